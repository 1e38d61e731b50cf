/* SPDX-License-Identifier: MIT */
#include "train/gradient_sum.h"

#include <string.h>

#include "privacy/clip.h"

struct sl_gradient_sum sl_gradient_sum_of(const struct sl_model *model, const struct sl_shape *shape, double clip)
{
    return (struct sl_gradient_sum){.model = model, .shape = *shape, .dim = model->dim(shape), .clip = clip};
}

void sl_gradient_sum_take(struct sl_gradient_sum *sum, struct sl_arena *arena)
{
    sum->total = SL_TAKE(arena, int64_t, sum->dim);
    sum->gradient = SL_TAKE(arena, float, sum->dim);
    sum->clipped = SL_TAKE(arena, int32_t, sum->dim);
}

void sl_gradient_sum_start(struct sl_gradient_sum *sum)
{
    memset(sum->total, 0, sum->dim * sizeof *sum->total);
}

static void add_row(struct sl_gradient_sum *sum, const float *weights, const struct sl_batch *row, struct sl_arena scratch)
{
    sum->model->gradient(&sum->shape, weights, row, &scratch, sum->gradient);
    sl_clip_integers(sum->gradient, sum->dim, sum->clip, sum->clipped);
    for (uint32_t j = 0; j < sum->dim; j++) sum->total[j] += sum->clipped[j];
}

void sl_gradient_sum_add(struct sl_gradient_sum *sum, const float *weights, const struct sl_batch *batch, struct sl_arena scratch)
{
    for (uint32_t i = 0; i < batch->n_rows; i++) {
        struct sl_batch row = {
            .features = batch->features + (size_t)i * batch->n_features, .labels = batch->labels + i, .n_rows = 1, .n_features = batch->n_features};
        add_row(sum, weights, &row, scratch);
    }
}

void sl_gradient_sum_finish(struct sl_gradient_sum *sum)
{
    (void)sum;
}
