/* SPDX-License-Identifier: MIT */
#include "share/columns.h"
#include "starling/aggregator.h"
#include "starling/error.h"

static size_t scratch_size(uint32_t n_inputs_max, uint32_t dim)
{
    (void)dim;
    return sl_columns_size(n_inputs_max, false);
}

static void average_strip(const struct sl_columns *columns, uint32_t start, float *out)
{
    const uint32_t width = sl_columns_width(columns, start);
    double sum[SL_STRIP] = {0};
    for (uint32_t i = 0; i < columns->n_rows; i++) {
        const float *values = columns->rows[i].values + start;
        const double weight = columns->rows[i].weight;
        for (uint32_t j = 0; j < width; j++) sum[j] += weight * values[j];
    }
    for (uint32_t j = 0; j < width; j++) out[start + j] = (float)(sum[j] / columns->total_weight);
}

/* Weighted mean: optimal without liars, at the mercy of a single one with them. */
static int combine(const struct sl_input *inputs, uint32_t n_inputs, uint32_t dim, const struct sl_rule_params *params,
                   struct sl_arena *scratch, float *out)
{
    (void)params;
    const size_t used_before = scratch->used;
    struct sl_columns columns;
    int error = sl_columns_init(&columns, inputs, n_inputs, dim, false, scratch);
    for (uint32_t start = 0; !error && start < dim; start += sl_columns_width(&columns, start)) average_strip(&columns, start, out);
    scratch->used = used_before;
    return error;
}

const struct sl_aggregator sl_aggregator_mean = {
    .name = "mean",
    .summary = "weighted mean; no protection against liars",
    .scratch_size = scratch_size, .combine = combine,
};
