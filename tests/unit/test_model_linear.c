/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "learn/models.h"
#include "starling/error.h"

enum { N_ROWS = 7, N_FEATURES = 3, N_CLASSES = 4, DIM_MAX = 32 };

static const uint8_t seed[32] = {7};
static const struct sl_shape softmax_shape = {.n_features = N_FEATURES, .n_outputs = N_CLASSES};
static const struct sl_shape ridge_shape = {.n_features = N_FEATURES, .n_outputs = 1};

static float features[N_ROWS * N_FEATURES], classes[N_ROWS], targets[N_ROWS];
static uint8_t block[65536];

static void fill(float *values, uint32_t n, uint8_t number)
{
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){number});
    for (uint32_t i = 0; i < n; i++) values[i] = (float)sl_rng_normal(&rng);
}

static void make_rows(void)
{
    fill(features, N_ROWS * N_FEATURES, 1);
    fill(targets, N_ROWS, 2);
    for (uint32_t i = 0; i < N_ROWS; i++) classes[i] = (float)(i % N_CLASSES);
}

static struct sl_batch batch_of(const float *labels)
{
    return (struct sl_batch){.features = features, .labels = labels, .n_rows = N_ROWS, .n_features = N_FEATURES};
}

static struct sl_arena exact_scratch(const struct sl_model *model, const struct sl_shape *shape, uint32_t n_rows)
{
    size_t size = model->scratch_size(shape, n_rows);
    cr_assert_leq(size, sizeof block);
    return sl_arena_over(block, size);
}

static double loss_at(const struct sl_model *model, const struct sl_shape *shape, const float *weights, const struct sl_batch *batch)
{
    struct sl_arena scratch = exact_scratch(model, shape, batch->n_rows);
    struct sl_score score;
    model->evaluate(shape, weights, batch, &scratch, &score);
    return score.loss;
}

/* Central differences of the loss, against every entry of the gradient. */
static void check_gradient(const struct sl_model *model, const struct sl_shape *shape, const float *labels)
{
    float weights[DIM_MAX], gradient[DIM_MAX];
    uint32_t dim = model->dim(shape);
    cr_assert_leq(dim, DIM_MAX);
    fill(weights, dim, 3);
    struct sl_batch batch = batch_of(labels);
    struct sl_arena scratch = exact_scratch(model, shape, N_ROWS);

    double loss = model->gradient(shape, weights, &batch, &scratch, gradient);

    cr_assert_eq(scratch.used, 0, "scratch is given back");
    cr_assert_float_eq(loss, loss_at(model, shape, weights, &batch), 1e-6);
    for (uint32_t i = 0; i < dim; i++) {
        float kept = weights[i], step = 1.0F / 64;
        weights[i] = kept + step;
        double above = loss_at(model, shape, weights, &batch);
        float higher = weights[i];
        weights[i] = kept - step;
        double expected = (above - loss_at(model, shape, weights, &batch)) / ((double)higher - weights[i]);
        weights[i] = kept;
        cr_assert_float_eq(gradient[i], expected, 2e-4 * (1 + fabs(expected)), "weight %u: %g, expected %g", i, gradient[i], expected);
    }
}

Test(softmax, gradient_matches_finite_differences, .init = make_rows)
{
    check_gradient(&sl_model_softmax, &softmax_shape, classes);
}

Test(ridge, gradient_matches_finite_differences, .init = make_rows)
{
    check_gradient(&sl_model_ridge, &ridge_shape, targets);
}

Test(linear, refuses_shapes_it_cannot_be)
{
    cr_assert_eq(sl_model_softmax.dim(&softmax_shape), N_CLASSES * (N_FEATURES + 1));
    cr_assert_eq(sl_model_ridge.dim(&ridge_shape), N_FEATURES + 1);
    cr_assert_eq(sl_model_softmax.dim(&ridge_shape), 0, "one class is nothing to choose from");
    cr_assert_eq(sl_model_ridge.dim(&softmax_shape), 0);
    cr_assert_eq(sl_model_softmax.dim(&(struct sl_shape){.n_features = 0, .n_outputs = 2}), 0);
    cr_assert_eq(sl_model_softmax.dim(&(struct sl_shape){.n_features = 2, .n_outputs = 2, .n_hidden = 1, .hidden = {4}}), 0);
    cr_assert_eq(sl_model_softmax.dim(&(struct sl_shape){.n_features = 1048576, .n_outputs = 65536}), 0, "more than BLAS can count");
}

Test(linear, starts_at_zero)
{
    float weights[DIM_MAX];
    memset(weights, 0xff, sizeof weights);

    sl_model_softmax.init(&softmax_shape, seed, weights);

    for (uint32_t i = 0; i < sl_model_softmax.dim(&softmax_shape); i++) cr_assert_eq(weights[i], 0);
}

Test(softmax, loss_at_zero_weights_is_the_log_of_the_classes, .init = make_rows)
{
    float weights[DIM_MAX] = {0};
    struct sl_batch batch = batch_of(classes);
    struct sl_arena scratch = exact_scratch(&sl_model_softmax, &softmax_shape, N_ROWS);
    struct sl_score score;

    sl_model_softmax.evaluate(&softmax_shape, weights, &batch, &scratch, &score);

    cr_assert_float_eq(score.loss, log(N_CLASSES), 1e-12);
    cr_assert_float_eq(score.accuracy, 2.0 / 7, 1e-12, "of equal classes the lowest wins, and two of seven rows have label 0");
    cr_assert_eq(score.n_rows, N_ROWS);
    cr_assert_eq(score.rmse, 0);
}

Test(softmax, huge_logits_neither_overflow_nor_vanish)
{
    const struct sl_shape shape = {.n_features = 1, .n_outputs = 2};
    const float weights[] = {3e4F, -3e4F, 0, 0}, one_row[] = {1}, wrong[] = {1};
    const struct sl_batch batch = {.features = one_row, .labels = wrong, .n_rows = 1, .n_features = 1};
    float gradient[4];
    struct sl_arena scratch = exact_scratch(&sl_model_softmax, &shape, 1);

    double loss = sl_model_softmax.gradient(&shape, weights, &batch, &scratch, gradient);

    cr_assert_float_eq(loss, 6e4, 1e-6);
    cr_assert_eq(gradient[0], 1);
    cr_assert_eq(gradient[1], -1);
}

Test(softmax, a_label_that_is_no_class_is_wrong_and_costs_infinity, .init = make_rows)
{
    const float bad[] = {N_CLASSES, -1, NAN, INFINITY, 1e30F, 0, 0};
    float weights[DIM_MAX] = {0};
    struct sl_batch batch = batch_of(bad);
    struct sl_arena scratch = exact_scratch(&sl_model_softmax, &softmax_shape, N_ROWS);
    struct sl_score score;

    sl_model_softmax.evaluate(&softmax_shape, weights, &batch, &scratch, &score);

    cr_assert(isinf(score.loss));
    cr_assert_float_eq(score.accuracy, 2.0 / 7, 1e-12);
}

Test(softmax, a_model_of_nan_is_never_right, .init = make_rows)
{
    float weights[DIM_MAX];
    for (uint32_t i = 0; i < DIM_MAX; i++) weights[i] = NAN;
    struct sl_batch batch = batch_of(classes);
    struct sl_arena scratch = exact_scratch(&sl_model_softmax, &softmax_shape, N_ROWS);
    struct sl_score score;

    sl_model_softmax.evaluate(&softmax_shape, weights, &batch, &scratch, &score);

    cr_assert(isnan(score.loss));
    cr_assert_eq(score.accuracy, 0);
}

static void check_block_sizes(const struct sl_model *model, const struct sl_shape *shape, const float *labels)
{
    float weights[DIM_MAX];
    fill(weights, DIM_MAX, 3);
    struct sl_batch batch = batch_of(labels);
    struct sl_score whole, part;
    struct sl_arena scratch = sl_arena_over(block, sizeof block);
    model->evaluate(shape, weights, &batch, &scratch, &whole);

    for (uint32_t n_rows = 1; n_rows < N_ROWS; n_rows++) {
        struct sl_arena small = exact_scratch(model, shape, n_rows);
        model->evaluate(shape, weights, &batch, &small, &part);
        cr_assert_float_eq(part.loss, whole.loss, 1e-6);
        cr_assert_float_eq(part.accuracy, whole.accuracy, 1e-12);
        cr_assert_float_eq(part.rmse, whole.rmse, 1e-6);
        cr_assert_eq(part.n_rows, N_ROWS);
        cr_assert_eq(small.used, 0);
    }
}

Test(linear, score_does_not_depend_on_the_block, .init = make_rows)
{
    check_block_sizes(&sl_model_softmax, &softmax_shape, classes);
    check_block_sizes(&sl_model_ridge, &ridge_shape, targets);
}

Test(linear, no_rows_score_nothing, .init = make_rows)
{
    float weights[DIM_MAX] = {0};
    struct sl_batch none = batch_of(classes);
    none.n_rows = 0;
    struct sl_arena scratch = exact_scratch(&sl_model_softmax, &softmax_shape, 1);
    struct sl_score score = {.loss = 5};

    sl_model_softmax.evaluate(&softmax_shape, weights, &none, &scratch, &score);

    cr_assert_eq(score.n_rows, 0);
    cr_assert_eq(score.loss, 0);
}

Test(ridge, scores_by_half_the_squared_error)
{
    const float weights[] = {2, 1}, rows[] = {0, 1}, labels[] = {4, 2};
    const struct sl_shape shape = {.n_features = 1, .n_outputs = 1};
    const struct sl_batch batch = {.features = rows, .labels = labels, .n_rows = 2, .n_features = 1};
    struct sl_arena scratch = exact_scratch(&sl_model_ridge, &shape, 2);
    struct sl_score score;

    sl_model_ridge.evaluate(&shape, weights, &batch, &scratch, &score);          /* errors -3 and 1 */

    cr_assert_float_eq(score.loss, 2.5, 1e-12);
    cr_assert_float_eq(score.rmse, sqrt(5), 1e-12);
    cr_assert_eq(score.accuracy, 0);
}

/* At the optimum the gradient of mean loss + lambda/2 |w - start|^2 is zero. */
static void check_optimum(double lambda, uint32_t n_rows_of_scratch)
{
    float start[N_FEATURES + 1], weights[N_FEATURES + 1], gradient[N_FEATURES + 1];
    fill(start, N_FEATURES + 1, 4);
    memcpy(weights, start, sizeof weights);
    struct sl_batch batch = batch_of(targets);
    struct sl_arena scratch = exact_scratch(&sl_model_ridge, &ridge_shape, n_rows_of_scratch);

    cr_assert_eq(sl_model_ridge.fit(&ridge_shape, weights, &batch, lambda, &scratch), SL_OK);

    cr_assert_eq(scratch.used, 0);
    scratch = exact_scratch(&sl_model_ridge, &ridge_shape, N_ROWS);
    sl_model_ridge.gradient(&ridge_shape, weights, &batch, &scratch, gradient);
    for (uint32_t i = 0; i <= N_FEATURES; i++)
        cr_assert_float_eq(gradient[i] + lambda * ((double)weights[i] - start[i]), 0, 2e-6 * (1 + lambda), "weight %u", i);
}

Test(ridge, fit_ends_where_the_gradient_is_zero, .init = make_rows)
{
    check_optimum(0, N_ROWS);
    check_optimum(0.3, N_ROWS);
    check_optimum(100, N_ROWS);
}

Test(ridge, fit_works_row_by_row, .init = make_rows)
{
    check_optimum(0.3, 1);
}

Test(ridge, fit_agrees_with_many_steps_of_descent, .init = make_rows)
{
    enum { DIM = N_FEATURES + 1 };
    const double lambda = 0.5;
    float start[DIM], fitted[DIM], walked[DIM], gradient[DIM];
    fill(start, DIM, 5);
    memcpy(fitted, start, sizeof start);
    memcpy(walked, start, sizeof start);
    struct sl_batch batch = batch_of(targets);
    struct sl_arena scratch = exact_scratch(&sl_model_ridge, &ridge_shape, N_ROWS);

    cr_assert_eq(sl_model_ridge.fit(&ridge_shape, fitted, &batch, lambda, &scratch), SL_OK);
    for (int step = 0; step < 2000; step++) {
        sl_model_ridge.gradient(&ridge_shape, walked, &batch, &scratch, gradient);
        for (uint32_t i = 0; i < DIM; i++) walked[i] -= 0.1F * (gradient[i] + (float)lambda * (walked[i] - start[i]));
    }

    for (uint32_t i = 0; i < DIM; i++) cr_assert_float_eq(fitted[i], walked[i], 1e-5);
}

Test(ridge, fit_handles_more_rows_than_one_block)
{
    enum { MANY = 200 };
    float x[MANY], y[MANY], weights[2] = {0};
    fill(x, MANY, 6);
    for (uint32_t i = 0; i < MANY; i++) y[i] = 3 * x[i] - 2;
    const struct sl_shape shape = {.n_features = 1, .n_outputs = 1};
    const struct sl_batch batch = {.features = x, .labels = y, .n_rows = MANY, .n_features = 1};
    struct sl_arena scratch = exact_scratch(&sl_model_ridge, &shape, MANY);

    cr_assert_eq(sl_model_ridge.fit(&shape, weights, &batch, 0, &scratch), SL_OK);

    cr_assert_float_eq(weights[0], 3, 1e-5);
    cr_assert_float_eq(weights[1], -2, 1e-5);
}

Test(ridge, fit_without_pull_refuses_a_singular_system, .init = make_rows)
{
    float weights[N_FEATURES + 1] = {1, 2, 3, 4};
    for (uint32_t i = 0; i < N_ROWS; i++) features[i * N_FEATURES + 2] = features[i * N_FEATURES] - 3 * features[i * N_FEATURES + 1];
    struct sl_batch batch = batch_of(targets), too_few = batch;
    too_few.n_rows = 2;
    struct sl_arena scratch = exact_scratch(&sl_model_ridge, &ridge_shape, N_ROWS);

    cr_assert_eq(sl_model_ridge.fit(&ridge_shape, weights, &too_few, 0, &scratch), SL_ERROR_NOT_FINITE);
    for (uint32_t i = 0; i < N_ROWS; i++) features[i * N_FEATURES + 2] = features[i * N_FEATURES];
    cr_assert_eq(sl_model_ridge.fit(&ridge_shape, weights, &batch, 0, &scratch), SL_ERROR_NOT_FINITE);

    cr_assert_eq(weights[0], 1, "weights stay untouched on failure");
    cr_assert_eq(sl_model_ridge.fit(&ridge_shape, weights, &batch, 1e-3, &scratch), SL_OK, "a pull makes it solvable");
}

Test(ridge, fit_refuses_nan_and_leaves_the_weights, .init = make_rows)
{
    float weights[N_FEATURES + 1] = {1, 2, 3, 4};
    struct sl_batch batch = batch_of(targets);
    struct sl_arena scratch = exact_scratch(&sl_model_ridge, &ridge_shape, N_ROWS);

    targets[3] = INFINITY;
    cr_assert_eq(sl_model_ridge.fit(&ridge_shape, weights, &batch, 1, &scratch), SL_ERROR_NOT_FINITE);
    targets[3] = 0;
    features[4] = NAN;
    cr_assert_eq(sl_model_ridge.fit(&ridge_shape, weights, &batch, 1, &scratch), SL_ERROR_NOT_FINITE);

    cr_assert_eq(weights[0], 1);
    cr_assert_eq(weights[3], 4);
}

Test(ridge, fit_says_when_scratch_is_short, .init = make_rows)
{
    float weights[N_FEATURES + 1] = {0};
    struct sl_batch batch = batch_of(targets);
    struct sl_arena scratch = sl_arena_over(block, 100);

    cr_assert_eq(sl_model_ridge.fit(&ridge_shape, weights, &batch, 1, &scratch), SL_ERROR_NO_MEMORY);
    cr_assert_eq(scratch.used, 0);
}
