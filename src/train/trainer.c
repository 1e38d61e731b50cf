/* SPDX-License-Identifier: MIT */
#include "train/trainer.h"

#include "config/plan.h"
#include "train/dp_node.h"
#include "train/dp_sgd.h"
#include "train/sgd.h"

bool sl_trainer_new(struct sl_trainer *out, const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data,
                    const uint32_t *rows, uint32_t n_rows, const uint8_t seed[32])
{
    switch (sl_unit_of(config)) {
    case SL_UNIT_RECORD: return sl_dp_sgd_new(out, model, config, data, rows, n_rows, seed);
    case SL_UNIT_NODE: return sl_dp_node_new(out, model, config, data, rows, n_rows, seed);
    default: return sl_sgd_new(out, model, config, data, rows, n_rows, seed);
    }
}
