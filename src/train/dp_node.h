/* SPDX-License-Identifier: MIT */
#ifndef SL_TRAIN_DP_NODE_H
#define SL_TRAIN_DP_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "data/dataset.h"
#include "starling/config.h"
#include "starling/model.h"
#include "starling/trainer.h"

/*
 * Training with privacy.unit = node. From the lent weights p a job does train.steps steps of plain SGD in which only the coordinates of the job's block move;
 * the change of the block is clipped as a whole to privacy.node_clip, in integers of norm at most 2^20, and noised; that is the job's release. The weights
 * come home as p, bit for bit, and nothing private stays in the trainer's memory.
 *
 * Told about the data is what the trainer of unit record tells: nothing. Training that runs away is no error, since that would tell something of the data:
 * its change counts as zero. Memory as with sl_sgd_new(); having no rows is no error.
 */
bool sl_dp_node_new(struct sl_trainer *out, const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data,
                    const uint32_t *rows, uint32_t n_rows, const uint8_t seed[32]);

#endif
