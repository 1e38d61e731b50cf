/* SPDX-License-Identifier: MIT */
#ifndef SL_TRAIN_DP_SGD_H
#define SL_TRAIN_DP_SGD_H

#include <stdbool.h>
#include <stdint.h>

#include "data/dataset.h"
#include "starling/config.h"
#include "starling/model.h"
#include "starling/trainer.h"

/*
 * Training with privacy.unit = record (DP-SGD: Abadi et al. 2016, with integers). A job does exactly the steps it was charged for. At each of them every
 * training row takes part by a coin of probability q; the integer gradients of norm at most 2^20 of those that do are added up; discrete Gaussian noise is
 * added to every coordinate, whether or not a row took part; and the model moves by the noised sum times learning rate * clip / (2^20 batch), `batch` a
 * constant of the configuration. Momentum and weight decay come after the noise. Models learn by their gradient also where they have a fit.
 *
 * Nothing but the weights depends on the data: no loss, no score (unless the owner asks for it), and privacy.records as number of rows. Each row is kept
 * back from training by a coin of its own. Having no rows at all is no error.
 *
 * Memory as with sl_sgd_new(). On any error the weights are as they were lent. Nothing private stays in the trainer's memory after a job.
 */
bool sl_dp_sgd_new(struct sl_trainer *out, const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data,
                   const uint32_t *rows, uint32_t n_rows, const uint8_t seed[32]);

#endif
