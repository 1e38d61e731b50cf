/* SPDX-License-Identifier: MIT */
#include "share/columns.h"
#include "starling/aggregator.h"
#include "starling/error.h"

static size_t scratch_size(uint32_t n_inputs_max, uint32_t dim)
{
    (void)dim;
    return sl_columns_size(n_inputs_max, true);
}

static void median_of_strip(struct sl_columns *columns, uint32_t start, float *out)
{
    const uint32_t width = sl_columns_width(columns, start);
    double median[SL_STRIP];
    sl_columns_median(columns, start, median);
    for (uint32_t j = 0; j < width; j++) out[start + j] = (float)median[j];
}

/* Coordinate-wise median (Yin et al., 2018), weighted: withstands liars that hold less than half of the weight. */
static int combine(const struct sl_input *inputs, uint32_t n_inputs, uint32_t dim, const struct sl_rule_params *params,
                   struct sl_arena *scratch, float *out)
{
    (void)params;
    const size_t used_before = scratch->used;
    struct sl_columns columns;
    int error = sl_columns_init(&columns, inputs, n_inputs, dim, true, scratch);
    for (uint32_t start = 0; !error && start < dim; start += sl_columns_width(&columns, start)) median_of_strip(&columns, start, out);
    scratch->used = used_before;
    return error;
}

const struct sl_aggregator sl_aggregator_median = {
    .name = "median",
    .summary = "weighted median of every coordinate",
    .scratch_size = scratch_size, .combine = combine,
};
