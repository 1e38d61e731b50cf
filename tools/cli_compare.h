/* SPDX-License-Identifier: MIT */
#ifndef CLI_COMPARE_H
#define CLI_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/names.h"
#include "config/network.h"
#include "data/dataset.h"

/* Whether a table is of the kind that a network learns from; sentences name the first difference, with both sides. Columns are counted from 1. */

/* label: what the user called the label column; it helps to see why columns differ. False with a sentence in `why`. */
bool cli_columns_fit(const struct sl_dataset *data, const char *path, const char *label, uint32_t n_features, const struct sl_names *names, char *why,
                     size_t why_size);

/* n_classes 0: a regression, anything fits. */
bool cli_classes_fit(const struct sl_dataset *data, const char *path, uint32_t n_classes, const struct sl_names *names, char *why, size_t why_size);

/* True with a sentence in `out` when scaled values lie where a model of scaled values learns badly: another unit, or scaled twice. */
bool cli_scale_is_doubtful(const struct sl_dataset *scaled, const char *path, const struct sl_scaling *scaling, char *out, size_t size);

#endif
