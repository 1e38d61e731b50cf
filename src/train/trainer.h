/* SPDX-License-Identifier: MIT */
#ifndef SL_TRAIN_TRAINER_H
#define SL_TRAIN_TRAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "data/dataset.h"
#include "starling/config.h"
#include "starling/model.h"
#include "starling/trainer.h"

/* The trainer that goes with privacy.unit: plain SGD where it is off (train/sgd.h), noised steps for unit record (train/dp_sgd.h), one noised change of the
 * block for unit node (train/dp_node.h). Promises and memory as there. */
bool sl_trainer_new(struct sl_trainer *out, const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data,
                    const uint32_t *rows, uint32_t n_rows, const uint8_t seed[32]);

#endif
