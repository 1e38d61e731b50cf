/* SPDX-License-Identifier: MIT */
#ifndef SL_DATA_NPY_H
#define SL_DATA_NPY_H

#include <stddef.h>

#include "data/dataset.h"

/* NumPy's array file, versions 1 to 3, plain or .gz: two dimensions, C order, <f4, <f8, |u1, <i4 or <i8. The label is the last, the first or a
 * numbered column, as options->label says; NaN is a missing value. */
int sl_npy_read(const char *path, const struct sl_read_options *options, struct sl_dataset *out, char *why, size_t why_size);

#endif
