/* SPDX-License-Identifier: MIT */
#ifndef SL_DATA_IDX_H
#define SL_DATA_IDX_H

#include <stdbool.h>
#include <stddef.h>

#include "data/dataset.h"

/* IDX, the format of the MNIST family: unsigned bytes only, big endian, plain or .gz. Pixels stay 0 .. 255; scaling is the caller's business. */

/* The pair train-images-idx3-ubyte[.gz] and train-labels-idx1-ubyte[.gz] of a folder, or its t10k-* pair. */
int sl_idx_read_folder(const char *folder, bool test, enum sl_task task, struct sl_dataset *out, char *why, size_t why_size);

/* "IMAGES,LABELS". */
int sl_idx_read_pair(const char *images_and_labels, enum sl_task task, struct sl_dataset *out, char *why, size_t why_size);

#endif
