/* SPDX-License-Identifier: MIT */
#ifndef SL_SHARE_COLUMNS_H
#define SL_SHARE_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "starling/aggregator.h"
#include "starling/arena.h"

/*
 * Inputs of a merge rule, worked on a strip of columns (coordinates) at a time: a strip of all rows stays in the cache,
 * and every loop runs along a row, where the compiler can use vector instructions. Private to the rules.
 */

enum { SL_STRIP = 128 };             /* columns of a strip */

struct sl_columns {
    struct sl_input *rows;           /* those with a weight, in the order given; weights divided by the greatest */
    uint32_t n_rows, dim;
    bool equal_weights;              /* then all are exactly 1 */
    double total_weight;
    int32_t *keys;                   /* n_rows x SL_STRIP: after sl_columns_sort(), ascending down each column */
    uint32_t *origin;                /* which row each of them came from; kept only if weights differ */
};

/* Scratch bytes for so many inputs; a rule that never sorts needs less. */
size_t sl_columns_size(uint32_t n_inputs_max, bool sorts);

/* SL_ERROR_TOO_FEW (no inputs), SL_ERROR_BAD_ARGUMENT (a weight negative or not finite, or none positive), SL_ERROR_NO_MEMORY.
 * A weight so small beside the greatest that their quotient is 0 counts as 0. */
int sl_columns_init(struct sl_columns *columns, const struct sl_input *inputs, uint32_t n_inputs, uint32_t dim, bool sorts,
                    struct sl_arena *scratch);

/* Width of the strip that begins at column `start`. */
uint32_t sl_columns_width(const struct sl_columns *columns, uint32_t start);

/* Sorts each column of the strip by (value, row). */
void sl_columns_sort(struct sl_columns *columns, uint32_t start);

/* The i-th smallest values of a sorted strip. -0 comes back as 0. */
void sl_columns_ranked(const struct sl_columns *columns, uint32_t i, float values[SL_STRIP]);

/* Coordinate-wise weighted median of the strip: where the cumulative weight passes one half; the mean of the two
 * values on either side when it meets one half (to 1e-9 of the total). Sorts the strip. */
void sl_columns_median(struct sl_columns *columns, uint32_t start, double median[SL_STRIP]);

#endif
