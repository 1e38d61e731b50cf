/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "share/columns.h"
#include "starling/aggregator.h"
#include "starling/error.h"

enum { LANES = 8 };          /* partial sums of a squared distance: a fixed order that vector instructions can follow */

/* The current point z is never stored: it is a combination of the inputs, so its n coefficients say it all. */
struct state {
    struct sl_columns columns;
    double *coefficients;    /* of each row; z = sum coefficients x / total */
    double total;
    double *squared;         /* |x_i - z|^2, being summed up strip by strip */
};

static size_t scratch_size(uint32_t n_inputs_max, uint32_t dim)
{
    (void)dim;
    return sl_columns_size(n_inputs_max, true) + 2 * (n_inputs_max * sizeof(double) + alignof(double));
}

static int begin(struct state *state, const struct sl_input *inputs, uint32_t n_inputs, uint32_t dim, struct sl_arena *scratch)
{
    int error = sl_columns_init(&state->columns, inputs, n_inputs, dim, true, scratch);
    if (error) return error;

    state->coefficients = SL_TAKE(scratch, double, n_inputs);
    state->squared = SL_TAKE(scratch, double, n_inputs);
    return state->coefficients && state->squared ? SL_OK : SL_ERROR_NO_MEMORY;
}

static void combination_of_strip(const struct state *state, uint32_t start, double z[SL_STRIP])
{
    const uint32_t width = sl_columns_width(&state->columns, start);
    memset(z, 0, SL_STRIP * sizeof *z);
    for (uint32_t i = 0; i < state->columns.n_rows; i++) {
        const float *values = state->columns.rows[i].values + start;
        const double share = state->coefficients[i] / state->total;
        for (uint32_t j = 0; j < width; j++) z[j] += share * values[j];
    }
}

static void start_of_strip(struct state *state, enum sl_start kind, uint32_t start, double z[SL_STRIP])
{
    switch (kind) {
    case SL_START_ZERO: memset(z, 0, SL_STRIP * sizeof *z); break;
    case SL_START_MEAN: combination_of_strip(state, start, z); break;
    case SL_START_MEDIAN: sl_columns_median(&state->columns, start, z); break;
    }
}

static double squared_distance(const float *values, const double *z, uint32_t width)
{
    double lanes[LANES] = {0}, sum = 0;
    uint32_t j = 0;
    for (; j + LANES <= width; j += LANES) {
        for (uint32_t k = 0; k < LANES; k++) {
            double difference = values[j + k] - z[j + k];
            lanes[k] += difference * difference;
        }
    }
    for (; j < width; j++) sum += (values[j] - z[j]) * (values[j] - z[j]);
    for (uint32_t k = 0; k < LANES; k++) sum += lanes[k];
    return sum;
}

static void measure_strip(struct state *state, uint32_t start, const double z[SL_STRIP])
{
    const uint32_t width = sl_columns_width(&state->columns, start);
    for (uint32_t i = 0; i < state->columns.n_rows; i++)
        state->squared[i] += squared_distance(state->columns.rows[i].values + start, z, width);
}

static void use_weights(struct state *state)
{
    for (uint32_t i = 0; i < state->columns.n_rows; i++) state->coefficients[i] = state->columns.rows[i].weight;
    state->total = state->columns.total_weight;
}

/* New coefficients w / max(|x - z|, nu), all multiplied by the smallest of those lengths. So nothing overflows, and with nu = 0 a z
 * that has reached an input stays there. */
static void reweight(struct state *state, double nu)
{
    double smallest = INFINITY;
    for (uint32_t i = 0; i < state->columns.n_rows; i++) {
        state->squared[i] = fmax(sqrt(state->squared[i]), nu);
        smallest = fmin(smallest, state->squared[i]);
    }

    state->total = 0;
    for (uint32_t i = 0; i < state->columns.n_rows; i++) {
        double length = state->squared[i], nearness = length == smallest ? 1 : smallest / length;
        state->coefficients[i] = state->columns.rows[i].weight * nearness;
        state->total += state->coefficients[i];
        state->squared[i] = 0;
    }
}

static void write_strip(const struct state *state, uint32_t start, const double z[SL_STRIP], float *out)
{
    const uint32_t width = sl_columns_width(&state->columns, start);
    for (uint32_t j = 0; j < width; j++) out[start + j] = (float)z[j];
}

/* One pass over the inputs an iteration: each strip of z is made and at once measured against all inputs. */
static void iterate(struct state *state, const struct sl_rule_params *params, float *out)
{
    const uint32_t dim = state->columns.dim, n_iterations = params->n_iterations;
    double z[SL_STRIP];
    use_weights(state);
    for (uint32_t t = 0; t <= n_iterations; t++) {
        for (uint32_t start = 0; start < dim; start += sl_columns_width(&state->columns, start)) {
            if (t == 0) start_of_strip(state, params->start, start, z);
            else combination_of_strip(state, start, z);

            if (t < n_iterations) measure_strip(state, start, z);
            else write_strip(state, start, z, out);
        }
        if (t < n_iterations) reweight(state, params->nu);
    }
}

/* Smoothed geometric median (Pillutla et al., 2022): T steps of Weiszfeld's iteration from `start`. Withstands liars that hold less than
 * half of the weight. */
static int combine(const struct sl_input *inputs, uint32_t n_inputs, uint32_t dim, const struct sl_rule_params *params,
                   struct sl_arena *scratch, float *out)
{
    bool usable = params->nu >= 0 && isfinite(params->nu) && (unsigned)params->start <= SL_START_MEDIAN;
    if (!usable) return SL_ERROR_BAD_ARGUMENT;

    const size_t used_before = scratch->used;
    struct state state = {0};
    int error = begin(&state, inputs, n_inputs, dim, scratch);
    if (!error) iterate(&state, params, out);
    scratch->used = used_before;
    return error;
}

const struct sl_aggregator sl_aggregator_geometric_median = {
    .name = "geomed",
    .summary = "geometric median: T steps of smoothed Weiszfeld",
    .scratch_size = scratch_size, .combine = combine,
};
