/* SPDX-License-Identifier: MIT */
#include "train/gradient_sum.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "privacy/budget.h"
#include "privacy/clip.h"

/* Entries are at most 2^21 before the check, 2^20 after it: this many rows and a group more stay below 2^31. */
enum { PART_ROWS_MAX = 1000 };

static const uint64_t norm2_max = UINT64_C(1) << (2 * SL_SCALE_BITS);

struct sl_gradient_sum sl_gradient_sum_of(const struct sl_model *model, const struct sl_shape *shape, double clip)
{
    return (struct sl_gradient_sum){
        .model = model, .loops = sl_rank_one_fastest(), .shape = *shape, .dim = model->dim(shape), .clip = clip};
}

void sl_gradient_sum_take(struct sl_gradient_sum *sum, struct sl_arena *arena)
{
    sum->total = SL_TAKE(arena, int64_t, sum->dim);
    sum->part = SL_TAKE(arena, int32_t, sum->dim);
    sum->gradient = SL_TAKE(arena, float, sum->dim);
}

void sl_gradient_sum_start(struct sl_gradient_sum *sum)
{
    memset(sum->total, 0, sum->dim * sizeof *sum->total);
    memset(sum->part, 0, sum->dim * sizeof *sum->part);
    sum->n_part = 0;
}

static void flush(struct sl_gradient_sum *sum)
{
    sum->loops->carry(sum->part, sum->dim, sum->total);
    sum->n_part = 0;
}

void sl_gradient_sum_finish(struct sl_gradient_sum *sum)
{
    if (sum->n_part > 0) flush(sum);
}

/* ---- gradients written out ---- */

static void add_row(struct sl_gradient_sum *sum, const float *weights, const struct sl_batch *row, struct sl_arena scratch)
{
    sum->model->gradient(&sum->shape, weights, row, &scratch, sum->gradient);
    sl_clip_integers(sum->gradient, sum->dim, sum->clip, sum->part);
    for (uint32_t j = 0; j < sum->dim; j++) sum->total[j] += sum->part[j];
}

static void add_row_by_row(struct sl_gradient_sum *sum, const float *weights, const struct sl_batch *batch, struct sl_arena scratch)
{
    for (uint32_t i = 0; i < batch->n_rows; i++) {
        struct sl_batch row = {
            .features = batch->features + (size_t)i * batch->n_features, .labels = batch->labels + i, .n_rows = 1, .n_features = batch->n_features};
        add_row(sum, weights, &row, scratch);
    }
}

/* ---- gradients as layers ---- */

struct group {
    struct sl_layer_gradients layers[SL_LAYERS_MAX];
    uint32_t n_layers, n_rows;
    double factor[SL_GRADIENT_ROWS];         /* of each row; 0 for one that counts as zero */
    uint64_t squares[SL_GRADIENT_ROWS];      /* of what was added for it */
};

static const float *inputs_of(const struct sl_layer_gradients *layer, uint32_t row)
{
    return layer->inputs + (size_t)row * layer->n_inputs;
}

/* |e x a|^2 = |e|^2 |a|^2, and the biases are as if one input more were 1. Not finite if anything in it is not. */
static double norm_of_row(const struct sl_gradient_sum *sum, const struct group *group, uint32_t row)
{
    double norm2 = 0;
    for (uint32_t k = 0; k < group->n_layers; k++) {
        const struct sl_layer_gradients *layer = &group->layers[k];
        double by_outputs = sum->loops->norm2(layer->by_outputs + (size_t)row * layer->n_outputs, layer->n_outputs);
        norm2 += by_outputs * (sum->loops->norm2(inputs_of(layer, row), layer->n_inputs) + 1);
    }
    return sqrt(norm2);
}

/*
 * |factor e| <= 2^20 for every e, and |factor e a| as well, since neither is more than the norm, which the factor brings down to 2^20. Two roundings as float
 * add less than one part in 2^22, or, below the smallest normal float, less than 2^-150 * 2^128. So v fits into 2^21, and the sum of squares is below 2^42
 * and cannot wrap; that it is at most 2^40 is checked exactly.
 */
static float factor_of(const struct group *group, const struct sl_layer_gradients *layer, uint32_t row, uint32_t output)
{
    if (group->factor[row] == 0) return 0;          /* nothing of this row need be finite */

    return (float)(layer->by_outputs[(size_t)row * layer->n_outputs + output] * group->factor[row]);
}

static void add_bias(struct group *group, uint32_t row, float factor, int32_t *bias)
{
    int32_t v = (int32_t)factor;
    *bias += v;
    group->squares[row] += (uint64_t)((int64_t)v * v);
}

/* Rows that add anything go by fours; a place left over is taken by a factor of zero. */
static void add_output(const struct sl_gradient_sum *sum, struct group *group, const struct sl_layer_gradients *layer, uint32_t output)
{
    int32_t *to = sum->part + layer->first + (size_t)output * layer->n_inputs;
    int32_t *bias = sum->part + layer->first + (size_t)layer->n_outputs * layer->n_inputs + output;
    uint32_t row = 0;
    while (row < group->n_rows) {
        uint32_t rows[SL_RANK_ONE_ROWS], n = 0;
        float factors[SL_RANK_ONE_ROWS] = {0};
        for (; row < group->n_rows && n < SL_RANK_ONE_ROWS; row++) {
            float factor = factor_of(group, layer, row, output);
            if (factor == 0) continue;

            rows[n] = row;
            factors[n++] = factor;
            add_bias(group, row, factor, bias);
        }
        if (n == 0) return;

        const float *inputs[SL_RANK_ONE_ROWS];
        uint64_t squares[SL_RANK_ONE_ROWS] = {0};
        for (uint32_t i = 0; i < SL_RANK_ONE_ROWS; i++) inputs[i] = inputs_of(layer, rows[i < n ? i : 0]);
        sum->loops->add(factors, inputs, layer->n_inputs, to, squares);
        for (uint32_t i = 0; i < n; i++) group->squares[rows[i]] += squares[i];
    }
}

/* One row alone, added or taken back. */
static void add_alone(const struct sl_gradient_sum *sum, struct group *group, uint32_t row, int32_t sign)
{
    group->squares[row] = 0;
    for (uint32_t k = 0; k < group->n_layers; k++) {
        const struct sl_layer_gradients *layer = &group->layers[k];
        const float *inputs = inputs_of(layer, row);
        int32_t *to = sum->part + layer->first, *biases = to + (size_t)layer->n_outputs * layer->n_inputs;
        for (uint32_t o = 0; o < layer->n_outputs; o++, to += layer->n_inputs) {
            float factor = factor_of(group, layer, row, o);
            if (factor == 0) continue;

            for (uint32_t j = 0; j <= layer->n_inputs; j++) {
                int32_t v = (int32_t)(j < layer->n_inputs ? factor * inputs[j] : factor);
                *(j < layer->n_inputs ? to + j : biases + o) += sign * v;
                group->squares[row] += (uint64_t)((int64_t)v * v);
            }
        }
    }
}

/* Rounding and truncation left it just above the bound: again with a slightly smaller factor, and in the end not at all. */
static void correct(const struct sl_gradient_sum *sum, struct group *group, uint32_t row)
{
    for (uint32_t tries = 1; group->squares[row] > norm2_max; tries++) {
        add_alone(sum, group, row, -1);
        group->factor[row] = tries < SL_CLIP_TRIES ? group->factor[row] * SL_CLIP_SHRINK : 0;
        add_alone(sum, group, row, 1);
    }
}

static void add_layers(struct sl_gradient_sum *sum, struct group *group)
{
    for (uint32_t row = 0; row < group->n_rows; row++) {
        double norm = norm_of_row(sum, group, row);
        group->factor[row] = isfinite(norm) ? sl_clip_factor(norm, sum->clip) : 0;
        group->squares[row] = 0;
    }
    for (uint32_t k = 0; k < group->n_layers; k++)
        for (uint32_t o = 0; o < group->layers[k].n_outputs; o++) add_output(sum, group, &group->layers[k], o);
    for (uint32_t row = 0; row < group->n_rows; row++) correct(sum, group, row);
}

void sl_gradient_sum_add(struct sl_gradient_sum *sum, const float *weights, const struct sl_batch *batch, struct sl_arena scratch)
{
    assert(batch->n_rows <= SL_GRADIENT_ROWS);
    if (!sum->model->row_gradients) {
        add_row_by_row(sum, weights, batch, scratch);
        return;
    }

    struct group group = {.n_rows = batch->n_rows};
    group.n_layers = sum->model->row_gradients(&sum->shape, weights, batch, &scratch, group.layers);
    if (sum->n_part + batch->n_rows > PART_ROWS_MAX) flush(sum);
    add_layers(sum, &group);
    sum->n_part += batch->n_rows;
}
