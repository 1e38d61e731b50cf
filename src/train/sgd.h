/* SPDX-License-Identifier: MIT */
#ifndef SL_TRAIN_SGD_H
#define SL_TRAIN_SGD_H

#include <stdbool.h>
#include <stdint.h>

#include "data/dataset.h"
#include "starling/config.h"
#include "starling/model.h"
#include "starling/trainer.h"

/*
 * Local training: at most train.steps mini-batch steps per job (SGD with momentum and weight decay; momentum starts at zero in every job), rows in a
 * fresh random order that is reshuffled when used up; models with `fit` make one proximal fit with train.lambda instead. A share data.holdback of the rows
 * (at least one when the share is above zero and there are 5 rows or more, chosen once from `seed`) is kept back and only scored. Nothing is allocated
 * while a job runs.
 *
 * data and rows stay with the caller and must outlive the trainer; several trainers may share one dataset.
 * Returns false with nothing allocated when memory is short or there are no rows.
 */
bool sl_sgd_new(struct sl_trainer *out, const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data,
                const uint32_t *rows, uint32_t n_rows, const uint8_t seed[32]);

#endif
