/* SPDX-License-Identifier: MIT */
#ifndef SL_DATA_SCALE_H
#define SL_DATA_SCALE_H

#include "data/dataset.h"

/* x' = (x - offset) * factor per feature. The numbers come from the network descriptor; only tools that hold all data anyway compute them. */

/* Mean and 1/standard deviation of each column (factor 0 for a constant one); offset and factor hold n_features floats. */
void sl_scale_measure(const struct sl_dataset *dataset, float *offset, float *factor);

void sl_scale_apply(struct sl_dataset *dataset, const float *offset, const float *factor);

#endif
