/* SPDX-License-Identifier: MIT */
#include "share/columns.h"

#include <math.h>
#include <string.h>

#include "starling/error.h"

/* Floats are sorted as integers of the same order (sign and magnitude turned into two's complement): a comparison of integers gives a mask,
 * and with masks both compilers make vector code. The key of -0 becomes that of 0, so that the two are equal here as well. */
static void to_keys(int32_t keys[SL_STRIP], const float *values, uint32_t width)
{
    memset(keys, 0, SL_STRIP * sizeof *keys);
    memcpy(keys, values, width * sizeof *keys);
    for (uint32_t j = 0; j < SL_STRIP; j++) {
        int32_t key = keys[j] < 0 ? keys[j] ^ INT32_MAX : keys[j];
        keys[j] = key + (key == -1);
    }
}

static float to_value(int32_t key)
{
    float value;
    key = key < 0 ? key ^ INT32_MAX : key;
    memcpy(&value, &key, sizeof value);
    return value;
}

/* Adjacent rows change places in each column where they are out of order. Equal values stay, so the sort is stable. */
static void order_pair(int32_t *restrict lower, int32_t *restrict upper)
{
    for (uint32_t j = 0; j < SL_STRIP; j++) {
        int32_t a = lower[j], b = upper[j], change = (a ^ b) & -(b < a);
        lower[j] = a ^ change;
        upper[j] = b ^ change;
    }
}

static void order_pair_with_origin(int32_t *restrict lower, int32_t *restrict upper, uint32_t *restrict lower_origin,
                                   uint32_t *restrict upper_origin)
{
    for (uint32_t j = 0; j < SL_STRIP; j++) {
        int32_t a = lower[j], b = upper[j], swap = -(b < a), change = (a ^ b) & swap;
        uint32_t of_change = (lower_origin[j] ^ upper_origin[j]) & (uint32_t)swap;
        lower[j] = a ^ change;
        upper[j] = b ^ change;
        lower_origin[j] ^= of_change;
        upper_origin[j] ^= of_change;
    }
}

static int32_t *keys_of(const struct sl_columns *columns, uint32_t i)
{
    return columns->keys + (size_t)i * SL_STRIP;
}

static uint32_t *origin_of(const struct sl_columns *columns, uint32_t i)
{
    return columns->origin + (size_t)i * SL_STRIP;
}

/* The greatest weight, or an error. */
static int greatest_weight(const struct sl_input *inputs, uint32_t n_inputs, double *out)
{
    if (n_inputs == 0) return SL_ERROR_TOO_FEW;

    double greatest = 0;
    for (uint32_t i = 0; i < n_inputs; i++) {
        bool usable = inputs[i].weight >= 0 && isfinite(inputs[i].weight);
        if (!usable) return SL_ERROR_BAD_ARGUMENT;
        if (inputs[i].weight > greatest) greatest = inputs[i].weight;
    }
    if (greatest == 0) return SL_ERROR_BAD_ARGUMENT;

    *out = greatest;
    return SL_OK;
}

static double median_of_weighted(const struct sl_columns *columns, uint32_t j)
{
    const double half = columns->total_weight / 2, slack = columns->total_weight * 1e-9;
    const uint32_t last = columns->n_rows - 1;
    double weight_so_far = 0;
    uint32_t i = 0;
    for (; i < last; i++) {
        weight_so_far += columns->rows[origin_of(columns, i)[j]].weight;
        if (weight_so_far >= half - slack) break;
    }

    double value = to_value(keys_of(columns, i)[j]);
    bool met = i < last && weight_so_far <= half + slack;
    return met ? (value + to_value(keys_of(columns, i + 1)[j])) / 2 : value;
}

size_t sl_columns_size(uint32_t n_inputs_max, bool sorts)
{
    const size_t strip = sorts ? SL_STRIP * (sizeof(int32_t) + sizeof(uint32_t)) : 0;
    return n_inputs_max * (sizeof(struct sl_input) + strip) + 3 * alignof(max_align_t);
}

int sl_columns_init(struct sl_columns *columns, const struct sl_input *inputs, uint32_t n_inputs, uint32_t dim, bool sorts,
                    struct sl_arena *scratch)
{
    double greatest;
    int error = greatest_weight(inputs, n_inputs, &greatest);
    if (error) return error;

    *columns = (struct sl_columns){.dim = dim, .equal_weights = true};
    columns->rows = SL_TAKE(scratch, struct sl_input, n_inputs);
    if (!columns->rows) return SL_ERROR_NO_MEMORY;

    for (uint32_t i = 0; i < n_inputs; i++) {
        double weight = inputs[i].weight / greatest;
        if (weight == 0) continue;
        columns->rows[columns->n_rows++] = (struct sl_input){inputs[i].values, weight};
        columns->total_weight += weight;
        columns->equal_weights &= weight == 1;
    }
    if (!sorts) return SL_OK;

    columns->keys = SL_TAKE(scratch, int32_t, (size_t)columns->n_rows * SL_STRIP);
    columns->origin = SL_TAKE(scratch, uint32_t, (size_t)columns->n_rows * SL_STRIP);
    return columns->keys && columns->origin ? SL_OK : SL_ERROR_NO_MEMORY;
}

uint32_t sl_columns_width(const struct sl_columns *columns, uint32_t start)
{
    uint32_t left = columns->dim - start;
    return left < SL_STRIP ? left : SL_STRIP;
}

/* Insertion sort of whole rows. Columns past the width of the last strip hold zeros, which do no harm. */
void sl_columns_sort(struct sl_columns *columns, uint32_t start)
{
    const uint32_t width = sl_columns_width(columns, start);
    for (uint32_t i = 0; i < columns->n_rows; i++) {
        to_keys(keys_of(columns, i), columns->rows[i].values + start, width);
        for (uint32_t j = 0; j < SL_STRIP && !columns->equal_weights; j++) origin_of(columns, i)[j] = i;

        for (uint32_t k = i; k > 0; k--) {
            if (columns->equal_weights) order_pair(keys_of(columns, k - 1), keys_of(columns, k));
            else order_pair_with_origin(keys_of(columns, k - 1), keys_of(columns, k), origin_of(columns, k - 1), origin_of(columns, k));
        }
    }
}

void sl_columns_ranked(const struct sl_columns *columns, uint32_t i, float values[SL_STRIP])
{
    const int32_t *keys = keys_of(columns, i);
    for (uint32_t j = 0; j < SL_STRIP; j++) values[j] = to_value(keys[j]);
}

void sl_columns_median(struct sl_columns *columns, uint32_t start, double median[SL_STRIP])
{
    sl_columns_sort(columns, start);
    if (!columns->equal_weights) {
        const uint32_t width = sl_columns_width(columns, start);
        for (uint32_t j = 0; j < width; j++) median[j] = median_of_weighted(columns, j);
        return;
    }

    float lower[SL_STRIP], upper[SL_STRIP];
    sl_columns_ranked(columns, (columns->n_rows - 1) / 2, lower);
    sl_columns_ranked(columns, columns->n_rows / 2, upper);
    for (uint32_t j = 0; j < SL_STRIP; j++) median[j] = ((double)lower[j] + upper[j]) / 2;
}
