/* SPDX-License-Identifier: MIT */
#ifndef SL_TRAIN_GRADIENT_SUM_H
#define SL_TRAIN_GRADIENT_SUM_H

#include <stdint.h>

#include "starling/arena.h"
#include "starling/model.h"
#include "train/rank_one.h"

/*
 * Sums of clipped gradients of single rows, as integers: total = sum over the rows of v, |v| <= 2^20 (privacy/clip.h). What a row adds is the same bit for
 * bit whichever rows stand beside it, so one row more or less changes the total by a vector of norm at most 2^20: the sensitivity that noise is made for.
 * No product over a whole batch could promise that, since its rounding may depend on all the rows.
 *
 * Models that give the gradients of their rows as layers never have them written out: v = trunc(float(e * factor) * a) for each entry e * a of a layer's outer
 * product, with the same factor and the same exact check as for a vector. Other models are asked for one gradient after the other.
 */
enum { SL_GRADIENT_ROWS = 16 };          /* at most so many rows are added at once */

struct sl_gradient_sum {
    const struct sl_model *model;
    const struct sl_rank_one *loops;
    struct sl_shape shape;
    uint32_t dim;
    double clip;

    int64_t *total;                      /* dim */
    int32_t *part;                       /* dim: of the rows since the last time it went into the total, or of one row */
    uint32_t n_part;
    float *gradient;                     /* dim: of one row */
};

struct sl_gradient_sum sl_gradient_sum_of(const struct sl_model *model, const struct sl_shape *shape, double clip);
void sl_gradient_sum_take(struct sl_gradient_sum *sum, struct sl_arena *arena);

void sl_gradient_sum_start(struct sl_gradient_sum *sum);

/* Scratch as the model asks for batches of so many rows. */
void sl_gradient_sum_add(struct sl_gradient_sum *sum, const float *weights, const struct sl_batch *batch, struct sl_arena scratch);

/* After the last row, before `total` is read. */
void sl_gradient_sum_finish(struct sl_gradient_sum *sum);

#endif
