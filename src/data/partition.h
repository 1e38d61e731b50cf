/* SPDX-License-Identifier: MIT */
#ifndef SL_DATA_PARTITION_H
#define SL_DATA_PARTITION_H

#include <stddef.h>
#include <stdint.h>

#include "data/dataset.h"

/* Deals the rows of a dataset out to nodes. Deterministic in (specification, n_nodes, seed). */
struct sl_partitioner {
    const char *name;                /* "iid", "dirichlet", "shards", "quantity", "by" */
    const char *summary;

    /* owner[row] = node, 0 .. n_nodes-1, for every row. `argument` is the text after the colon, "" if none. Errors with a sentence in `why`. */
    int (*assign)(const struct sl_dataset *dataset, uint32_t n_nodes, const char *argument, const uint8_t seed[32], uint32_t *owner,
                  char *why, size_t why_size);
};

extern const struct sl_partitioner *const sl_partitioners[];      /* NULL-terminated */

/* "iid", "dirichlet:0.5" (labels per node ~ Dirichlet), "shards:K" (K label shards a node), "quantity:0.5" (row counts ~ Dirichlet), "by:COLUMN" or
 * "by:FILE:COLUMN" (natural clients, grouped whole into n_nodes groups; the clients must have been read with the dataset). Every node gets at least one row.
 * SL_ERROR_FORMAT, _OUT_OF_RANGE, _TOO_FEW, _NO_MEMORY. */
int sl_partition(const struct sl_dataset *dataset, uint32_t n_nodes, const char *specification, uint64_t seed, uint32_t *owner,
                 char *why, size_t why_size);

/* What has to be read beside the data for this specification: "by:COLUMN" sets the client column, "by:FILE:COLUMN" the client file, all others
 * nothing. The options then point into `specification`. */
void sl_partition_read_options(const char *specification, struct sl_read_options *options);

/* Moves a fifth of the rows, drawn by the seed, out of `data` into `test`: the common test set where nobody names one. The same seed keeps the same
 * rows back in every program and leaves both parts in the same order. SL_ERROR_TOO_FEW (under 5 rows), SL_ERROR_NO_MEMORY; then nothing is changed. */
int sl_keep_test(struct sl_dataset *data, uint64_t seed, struct sl_dataset *test);

#endif
