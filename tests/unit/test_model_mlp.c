/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "learn/models.h"

enum { N_ROWS = 6, N_FEATURES = 3, N_CLASSES = 3, DIM_MAX = 128 };

static const struct sl_shape one_hidden = {.n_features = N_FEATURES, .n_outputs = N_CLASSES, .n_hidden = 1, .hidden = {5}};
static const struct sl_shape two_hidden = {.n_features = N_FEATURES, .n_outputs = N_CLASSES, .n_hidden = 2, .hidden = {5, 4}};
static const uint8_t seed[32] = {42};

static float features[N_ROWS * N_FEATURES], labels[N_ROWS];
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
    for (uint32_t i = 0; i < N_ROWS; i++) labels[i] = (float)(i % N_CLASSES);
}

static struct sl_batch rows(void)
{
    return (struct sl_batch){.features = features, .labels = labels, .n_rows = N_ROWS, .n_features = N_FEATURES};
}

static struct sl_arena exact_scratch(const struct sl_shape *shape, uint32_t n_rows)
{
    size_t size = sl_model_mlp.scratch_size(shape, n_rows);
    cr_assert_leq(size, sizeof block);
    return sl_arena_over(block, size);
}

static double loss_at(const struct sl_shape *shape, const float *weights)
{
    struct sl_batch batch = rows();
    struct sl_arena scratch = exact_scratch(shape, N_ROWS);
    struct sl_score score;
    sl_model_mlp.evaluate(shape, weights, &batch, &scratch, &score);
    return score.loss;
}

/* Which side of their kinks all hidden units are on is fixed by a step this small for the weights drawn here. */
static void check_gradient(const struct sl_shape *shape)
{
    float weights[DIM_MAX], gradient[DIM_MAX];
    uint32_t dim = sl_model_mlp.dim(shape);
    cr_assert_leq(dim, DIM_MAX);
    fill(weights, dim, 3);
    struct sl_batch batch = rows();
    struct sl_arena scratch = exact_scratch(shape, N_ROWS);

    double loss = sl_model_mlp.gradient(shape, weights, &batch, &scratch, gradient);

    cr_assert_eq(scratch.used, 0, "scratch is given back");
    cr_assert_float_eq(loss, loss_at(shape, weights), 1e-6);
    for (uint32_t i = 0; i < dim; i++) {
        float kept = weights[i], step = 1.0F / 512;
        weights[i] = kept + step;
        double above = loss_at(shape, weights);
        float higher = weights[i];
        weights[i] = kept - step;
        double expected = (above - loss_at(shape, weights)) / ((double)higher - weights[i]);
        weights[i] = kept;
        cr_assert_float_eq(gradient[i], expected, 5e-4 * (1 + fabs(expected)), "weight %u: %g, expected %g", i, gradient[i], expected);
    }
}

Test(mlp, gradient_of_one_hidden_layer_matches_finite_differences, .init = make_rows)
{
    check_gradient(&one_hidden);
}

Test(mlp, gradient_of_two_hidden_layers_matches_finite_differences, .init = make_rows)
{
    check_gradient(&two_hidden);
}

Test(mlp, refuses_shapes_it_cannot_be)
{
    cr_assert_eq(sl_model_mlp.dim(&one_hidden), 4 * 5 + 6 * 3);
    cr_assert_eq(sl_model_mlp.dim(&two_hidden), 4 * 5 + 6 * 4 + 5 * 3);
    cr_assert_eq(sl_model_mlp.dim(&(struct sl_shape){.n_features = 784, .n_outputs = 10, .n_hidden = 1, .hidden = {64}}), 50890);
    cr_assert_eq(sl_model_mlp.dim(&(struct sl_shape){.n_features = 3, .n_outputs = 3}), 0, "no hidden layer is softmax regression");
    cr_assert_eq(sl_model_mlp.dim(&(struct sl_shape){.n_features = 3, .n_outputs = 3, .n_hidden = 3, .hidden = {4, 4}}), 0);
    cr_assert_eq(sl_model_mlp.dim(&(struct sl_shape){.n_features = 3, .n_outputs = 3, .n_hidden = 2, .hidden = {4, 0}}), 0);
    cr_assert_eq(sl_model_mlp.dim(&(struct sl_shape){.n_features = 3, .n_outputs = 1, .n_hidden = 1, .hidden = {4}}), 0);
    const struct sl_shape vast = {.n_features = 3, .n_outputs = 3, .n_hidden = 2, .hidden = {UINT32_MAX, UINT32_MAX}};
    cr_assert_eq(sl_model_mlp.dim(&vast), 0);
}

Test(mlp, start_weights_come_from_the_seed_alone)
{
    float a[DIM_MAX], b[DIM_MAX], other[DIM_MAX];
    uint32_t dim = sl_model_mlp.dim(&two_hidden);

    sl_model_mlp.init(&two_hidden, seed, a);
    memset(b, 0xff, sizeof b);
    sl_model_mlp.init(&two_hidden, seed, b);
    sl_model_mlp.init(&two_hidden, (const uint8_t[32]){43}, other);

    cr_assert_arr_eq(a, b, dim * sizeof *a);
    cr_assert_arr_neq(a, other, dim * sizeof *a);
}

/* Nodes of one network must agree on the genesis model, so these numbers may never change. */
Test(mlp, start_weights_are_the_same_on_every_machine)
{
    float weights[DIM_MAX];

    sl_model_mlp.init(&one_hidden, seed, weights);

    cr_assert_eq(weights[0], 0x1.13900ep+0F, "%a", weights[0]);
    cr_assert_eq(weights[20], -0x1.b6b028p-1F, "%a", weights[20]);
}

Test(mlp, start_weights_keep_within_their_bounds_and_biases_are_zero)
{
    float weights[DIM_MAX];

    sl_model_mlp.init(&one_hidden, seed, weights);

    for (uint32_t i = 0; i < 15; i++) cr_assert_leq(fabs(weights[i]), sqrt(6.0 / 3));
    for (uint32_t i = 15; i < 20; i++) cr_assert_eq(weights[i], 0);
    for (uint32_t i = 20; i < 35; i++) cr_assert_leq(fabs(weights[i]), sqrt(6.0 / 8));
    for (uint32_t i = 35; i < 38; i++) cr_assert_eq(weights[i], 0);
}

Test(mlp, learns_what_no_linear_model_can)
{
    const float corners[] = {0, 0, 0, 1, 1, 0, 1, 1}, is_odd[] = {0, 1, 1, 0};
    const struct sl_shape shape = {.n_features = 2, .n_outputs = 2, .n_hidden = 1, .hidden = {8}};
    const struct sl_batch batch = {.features = corners, .labels = is_odd, .n_rows = 4, .n_features = 2};
    float weights[DIM_MAX], gradient[DIM_MAX];
    struct sl_arena scratch = exact_scratch(&shape, 4);
    struct sl_score score;
    sl_model_mlp.init(&shape, seed, weights);

    for (int step = 0; step < 1000; step++) {
        sl_model_mlp.gradient(&shape, weights, &batch, &scratch, gradient);
        for (uint32_t i = 0; i < sl_model_mlp.dim(&shape); i++) weights[i] -= 0.3F * gradient[i];
    }
    sl_model_mlp.evaluate(&shape, weights, &batch, &scratch, &score);

    cr_assert_eq(score.accuracy, 1);
    cr_assert_lt(score.loss, 0.05);
}

Test(mlp, score_does_not_depend_on_the_block, .init = make_rows)
{
    float weights[DIM_MAX];
    fill(weights, DIM_MAX, 4);
    struct sl_batch batch = rows();
    struct sl_arena scratch = sl_arena_over(block, sizeof block);
    struct sl_score whole, part;
    sl_model_mlp.evaluate(&two_hidden, weights, &batch, &scratch, &whole);

    for (uint32_t n_rows = 1; n_rows < N_ROWS; n_rows++) {
        struct sl_arena small = exact_scratch(&two_hidden, n_rows);
        sl_model_mlp.evaluate(&two_hidden, weights, &batch, &small, &part);
        cr_assert_float_eq(part.loss, whole.loss, 1e-6);
        cr_assert_float_eq(part.accuracy, whole.accuracy, 1e-12);
        cr_assert_eq(small.used, 0);
    }
}

Test(mlp, rectifier_does_not_hide_nan, .init = make_rows)
{
    float weights[DIM_MAX], gradient[DIM_MAX];
    sl_model_mlp.init(&one_hidden, seed, weights);
    features[4] = NAN;
    struct sl_batch batch = rows();
    struct sl_arena scratch = exact_scratch(&one_hidden, N_ROWS);

    cr_assert(isnan(sl_model_mlp.gradient(&one_hidden, weights, &batch, &scratch, gradient)));
    cr_assert(isnan(gradient[0]));
    cr_assert(isnan(loss_at(&one_hidden, weights)));
}
