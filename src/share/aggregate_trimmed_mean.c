/* SPDX-License-Identifier: MIT */
#include "share/columns.h"
#include "starling/aggregator.h"
#include "starling/error.h"

static size_t scratch_size(uint32_t n_inputs_max, uint32_t dim)
{
    (void)dim;
    return sl_columns_size(n_inputs_max, true);
}

static void average_middle_equal(const struct sl_columns *columns, uint32_t n_dropped, double mean[SL_STRIP])
{
    float values[SL_STRIP];
    for (uint32_t i = n_dropped; i < columns->n_rows - n_dropped; i++) {
        sl_columns_ranked(columns, i, values);
        for (uint32_t j = 0; j < SL_STRIP; j++) mean[j] += values[j];
    }
    for (uint32_t j = 0; j < SL_STRIP; j++) mean[j] /= columns->n_rows - 2 * n_dropped;
}

static void average_middle_weighted(const struct sl_columns *columns, uint32_t n_dropped, double mean[SL_STRIP])
{
    float values[SL_STRIP];
    double weight[SL_STRIP] = {0};
    for (uint32_t i = n_dropped; i < columns->n_rows - n_dropped; i++) {
        sl_columns_ranked(columns, i, values);
        const uint32_t *origin = columns->origin + (size_t)i * SL_STRIP;
        for (uint32_t j = 0; j < SL_STRIP; j++) {
            double w = columns->rows[origin[j]].weight;
            mean[j] += w * values[j];
            weight[j] += w;
        }
    }
    for (uint32_t j = 0; j < SL_STRIP; j++) mean[j] /= weight[j];
}

static void trim_strip(struct sl_columns *columns, uint32_t start, uint32_t n_dropped, float *out)
{
    const uint32_t width = sl_columns_width(columns, start);
    double mean[SL_STRIP] = {0};
    sl_columns_sort(columns, start);
    if (columns->equal_weights) average_middle_equal(columns, n_dropped, mean);
    else average_middle_weighted(columns, n_dropped, mean);
    for (uint32_t j = 0; j < width; j++) out[start + j] = (float)mean[j];
}

/* Coordinate-wise trimmed mean (Yin et al., 2018): drop the f highest and the f lowest, whatever their weight, and take the
 * weighted mean of the rest. Assumes at most f liars among the inputs that have a weight. */
static int combine(const struct sl_input *inputs, uint32_t n_inputs, uint32_t dim, const struct sl_rule_params *params,
                   struct sl_arena *scratch, float *out)
{
    const size_t used_before = scratch->used;
    const uint32_t n_dropped = params->max_faulty;
    struct sl_columns columns;
    int error = sl_columns_init(&columns, inputs, n_inputs, dim, true, scratch);
    if (!error && 2 * (uint64_t)n_dropped >= columns.n_rows) error = SL_ERROR_TOO_FEW;
    for (uint32_t start = 0; !error && start < dim; start += sl_columns_width(&columns, start)) trim_strip(&columns, start, n_dropped, out);
    scratch->used = used_before;
    return error;
}

const struct sl_aggregator sl_aggregator_trimmed_mean = {
    .name = "trmean",
    .summary = "drop the f highest and f lowest of every coordinate, average the rest",
    .scratch_size = scratch_size, .combine = combine,
};
