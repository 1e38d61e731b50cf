/* SPDX-License-Identifier: MIT */
#include <cblas.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "learn/layer.h"
#include "learn/models.h"
#include "privacy/clip.h"
#include "train/gradient_sum.h"

enum { N_ROWS = 48, FEATURES_MAX = 784, DIM_MAX = 784 * 40 + 40 + 41 * 10 };

struct example {
    const char *name;
    const struct sl_model *model;
    struct sl_shape shape;
    bool is_written_out;                 /* without gradients as layers */
};

static const struct example examples[] = {
    {"softmax", &sl_model_softmax, {.n_features = 29, .n_outputs = 5}, false},
    {"mlp", &sl_model_mlp, {.n_features = 784, .n_outputs = 10, .n_hidden = 1, .hidden = {40}}, false},
    {"deep mlp", &sl_model_mlp, {.n_features = 21, .n_outputs = 3, .n_hidden = 2, .hidden = {33, 18}}, false},
    {"ridge", &sl_model_ridge, {.n_features = 17, .n_outputs = 1}, false},
    {"softmax written out", &sl_model_softmax, {.n_features = 29, .n_outputs = 5}, true},
    {"mlp written out", &sl_model_mlp, {.n_features = 784, .n_outputs = 10, .n_hidden = 1, .hidden = {40}}, true},
};
enum { N_EXAMPLES = sizeof examples / sizeof *examples };

static float features[N_ROWS * FEATURES_MAX], labels[N_ROWS], shown[SL_GRADIENT_ROWS * FEATURES_MAX], shown_labels[SL_GRADIENT_ROWS];
static float weights[DIM_MAX];
static int64_t alone[N_ROWS][DIM_MAX];
static uint8_t memory[1 << 22], scratch[1 << 20];

struct setup {
    struct sl_model model;
    struct sl_gradient_sum sum;
    uint32_t n_features;
};

/* Magnitudes of rows differ by far, so that some are clipped and some are not. */
static struct setup prepare(const struct example *example, double clip, const struct sl_rank_one *loops)
{
    static struct sl_model model;
    model = *example->model;
    if (example->is_written_out) model.row_gradients = NULL;

    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){1});
    uint32_t n_features = example->shape.n_features;
    for (uint32_t i = 0; i < N_ROWS; i++) {
        double scale = pow(10, 4 * sl_rng_uniform(&rng) - 2);
        for (uint32_t j = 0; j < n_features; j++) features[i * n_features + j] = (float)(scale * sl_rng_normal(&rng));
        labels[i] = (float)sl_rng_below(&rng, example->shape.n_outputs);
    }
    uint32_t dim = model.dim(&example->shape);
    cr_assert_leq(dim, DIM_MAX);
    cr_assert_leq(model.scratch_size(&example->shape, SL_GRADIENT_ROWS), sizeof scratch);
    for (uint32_t j = 0; j < dim; j++) weights[j] = (float)(.3 * sl_rng_normal(&rng));

    struct setup setup = {.model = model, .sum = sl_gradient_sum_of(&model, &example->shape, clip), .n_features = n_features};
    if (loops) setup.sum.loops = loops;
    struct sl_arena arena = sl_arena_over(memory, sizeof memory);
    sl_gradient_sum_take(&setup.sum, &arena);
    cr_assert_not_null(setup.sum.gradient);
    return setup;
}

/* The rows of a list, in groups as a trainer shows them. */
static const int64_t *sum_of(struct setup *setup, const uint32_t *rows, uint32_t n_rows, uint32_t group_rows)
{
    sl_gradient_sum_start(&setup->sum);
    for (uint32_t first = 0; first < n_rows; first += group_rows) {
        uint32_t n = n_rows - first < group_rows ? n_rows - first : group_rows;
        for (uint32_t i = 0; i < n; i++) {
            memcpy(shown + i * setup->n_features, features + rows[first + i] * setup->n_features, setup->n_features * sizeof(float));
            shown_labels[i] = labels[rows[first + i]];
        }
        struct sl_batch batch = {.features = shown, .labels = shown_labels, .n_rows = n, .n_features = setup->n_features};
        sl_gradient_sum_add(&setup->sum, weights, &batch, sl_arena_over(scratch, sizeof scratch));
    }
    sl_gradient_sum_finish(&setup->sum);
    return setup->sum.total;
}

static void sum_each_alone(struct setup *setup)
{
    for (uint32_t i = 0; i < N_ROWS; i++) memcpy(alone[i], sum_of(setup, &i, 1, 1), setup->sum.dim * sizeof **alone);
}

static uint32_t random_rows(struct sl_rng *rng, uint32_t rows[N_ROWS])
{
    for (uint32_t i = 0; i < N_ROWS; i++) rows[i] = i;
    sl_rng_shuffle(rng, rows, N_ROWS);
    return 1 + sl_rng_below(rng, N_ROWS);
}

static unsigned __int128 squares_of(const int64_t *v, uint32_t dim)
{
    unsigned __int128 squares = 0;
    for (uint32_t j = 0; j < dim; j++) squares += (unsigned __int128)((__int128)v[j] * v[j]);
    return squares;
}

static bool is_bounded(const int64_t *v, uint32_t dim)
{
    return squares_of(v, dim) <= (unsigned __int128)1 << 40;
}

/* For random sets of rows in random order and groups of random size: the sum is that of what each row adds when it is alone. So with or without a row, sums
 * differ by just what the row alone adds, whose norm is bounded. */
Test(gradient_sum, what_a_row_adds_does_not_depend_on_the_rows_beside_it)
{
    static int64_t expected[DIM_MAX];
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){2});
    for (uint32_t e = 0; e < N_EXAMPLES; e++) {
        struct setup setup = prepare(&examples[e], 1, NULL);
        sum_each_alone(&setup);
        for (uint32_t i = 0; i < N_ROWS; i++) cr_assert(is_bounded(alone[i], setup.sum.dim), "%s, row %u", examples[e].name, i);

        for (uint32_t round = 0; round < 30; round++) {
            uint32_t rows[N_ROWS], n_rows = random_rows(&rng, rows);
            memset(expected, 0, sizeof expected);
            for (uint32_t i = 0; i < n_rows; i++)
                for (uint32_t j = 0; j < setup.sum.dim; j++) expected[j] += alone[rows[i]][j];

            const int64_t *sum = sum_of(&setup, rows, n_rows, 1 + sl_rng_below(&rng, SL_GRADIENT_ROWS));

            cr_assert_eq(memcmp(sum, expected, setup.sum.dim * sizeof *sum), 0, "%s, round %u", examples[e].name, round);
        }
    }
}

Test(gradient_sum, it_does_not_depend_on_the_number_of_threads_either)
{
    for (uint32_t e = 0; e < N_EXAMPLES; e++) {
        struct setup setup = prepare(&examples[e], 1, NULL);
        openblas_set_num_threads(1);
        sum_each_alone(&setup);
        for (int threads = 2; threads <= 16; threads *= 2) {
            openblas_set_num_threads(threads);
            for (uint32_t i = 0; i < N_ROWS; i++)
                cr_assert_eq(memcmp(sum_of(&setup, &i, 1, 1), alone[i], setup.sum.dim * sizeof **alone), 0, "%s, %d threads", examples[e].name, threads);
        }
    }
}

Test(gradient_sum, plain_loops_and_the_fastest_give_the_same_integers)
{
    static int64_t plain[DIM_MAX];
    uint32_t rows[N_ROWS];
    for (uint32_t i = 0; i < N_ROWS; i++) rows[i] = i;
    for (uint32_t e = 0; e < N_EXAMPLES; e++)
        for (double clip = 1e-6; clip <= 1e6; clip *= 1e3) {
            struct setup setup = prepare(&examples[e], clip, &sl_rank_one_plain);
            memcpy(plain, sum_of(&setup, rows, N_ROWS, 16), setup.sum.dim * sizeof *plain);
            setup = prepare(&examples[e], clip, sl_rank_one_fastest());

            const int64_t *fastest = sum_of(&setup, rows, N_ROWS, 16);

            cr_assert_eq(memcmp(plain, fastest, setup.sum.dim * sizeof *plain), 0, "%s, clip %g", examples[e].name, clip);
        }
}

/* The norm beneath is summed in another order, so a truncation may fall one apart. */
Test(gradient_sum, layers_give_what_written_out_gradients_give)
{
    static int32_t v[DIM_MAX];
    static float g[DIM_MAX];
    for (uint32_t e = 0; e < 4; e++) {
        struct setup setup = prepare(&examples[e], 1, NULL);
        for (uint32_t i = 0; i < N_ROWS; i++) {
            struct sl_batch row = {.features = features + i * setup.n_features, .labels = labels + i, .n_rows = 1, .n_features = setup.n_features};
            struct sl_arena arena = sl_arena_over(scratch, sizeof scratch);
            setup.model.gradient(&setup.sum.shape, weights, &row, &arena, g);
            sl_clip_integers(g, setup.sum.dim, 1, v);
            const int64_t *sum = sum_of(&setup, &i, 1, 1);
            for (uint32_t j = 0; j < setup.sum.dim; j++)
                cr_assert_leq(llabs(sum[j] - v[j]), 2 + llabs(v[j]) / 10000, "%s row %u: %lld for %d", examples[e].name, i, (long long)sum[j], v[j]);
        }
    }
}

/* Rows as a user may have them, or an attacker may have put there, and weights as a peer may send them. */
Test(gradient_sum, hostile_rows_and_weights_stay_within_the_bound)
{
    static const float bad[] = {0, 1e38F, -1e38F, 3e38F, 1e-38F, 1e-45F, -1e-42F, NAN, INFINITY, -INFINITY, 1};
    enum { N_BAD = sizeof bad / sizeof *bad };
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){3});
    for (uint32_t e = 0; e < N_EXAMPLES; e++)
        for (uint32_t round = 0; round < 12; round++) {
            static const double clips[] = {1e-6, 1, 1e6};
            struct setup setup = prepare(&examples[e], clips[round % 3], NULL);
            bool spoils_weights = round >= 9;
            for (uint32_t k = 0; k < 40; k++) {
                features[sl_rng_below(&rng, N_ROWS * setup.n_features)] = bad[sl_rng_below(&rng, N_BAD)];
                if (spoils_weights) weights[sl_rng_below(&rng, setup.sum.dim)] = bad[sl_rng_below(&rng, N_BAD)];
            }
            for (uint32_t j = 0; j < setup.n_features; j++) features[j] = bad[round % N_BAD];
            for (uint32_t i = 0; i < N_ROWS; i++)
                cr_assert(is_bounded(sum_of(&setup, &i, 1, 1), setup.sum.dim), "%s, round %u, row %u", examples[e].name, round, i);
        }
}

/* Softmax over two classes at zero weights: by_outputs (1/2, -1/2); with a feature of 1 the norm is sqrt(4/4) = 1: each entry is half of 2^20. */
Test(gradient_sum, a_row_of_known_gradient_adds_known_integers)
{
    const struct example two = {"two", &sl_model_softmax, {.n_features = 1, .n_outputs = 2}, false};
    const int64_t expected[] = {1 << 19, -(1 << 19), 1 << 19, -(1 << 19)}, unclipped[] = {1 << 18, -(1 << 18), 1 << 18, -(1 << 18)};
    for (uint32_t clip = 1; clip <= 2; clip++) {
        struct setup setup = prepare(&two, clip, NULL);
        memset(weights, 0, sizeof weights);
        features[0] = 1;
        labels[0] = 1;

        const int64_t *sum = sum_of(&setup, &(uint32_t){0}, 1, 1);

        cr_assert_arr_eq(sum, clip == 1 ? expected : unclipped, sizeof expected);
    }
}

/* More rows than 32 bits hold sums of, all of the full norm in one coordinate: ridge on a feature of zero moves its bias alone. */
Test(gradient_sum, many_rows_do_not_overflow)
{
    const struct example one = {"one", &sl_model_ridge, {.n_features = 1, .n_outputs = 1}, false};
    static uint32_t rows[5000];
    struct setup setup = prepare(&one, 1, NULL);
    memset(weights, 0, sizeof weights);
    features[0] = 0;
    labels[0] = 1e6F;

    const int64_t *sum = sum_of(&setup, rows, 5000, 16);

    cr_assert_eq(sum[0], 0);
    cr_assert_eq(sum[1], -5000 * (INT64_C(1) << 20));
}

/* The order of additions is part of the promise: sixteen lanes, folded in halves, the rest last. */
Test(gradient_sum, rows_pass_a_layer_alone_in_the_order_that_is_promised)
{
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){4});
    for (uint32_t n = 1; n <= 70; n++) {
        float inputs[6 * 70], layer[3 * 70 + 3], outputs[6 * 3];
        for (uint32_t j = 0; j < 6 * n; j++) inputs[j] = (float)sl_rng_normal(&rng);
        for (uint32_t j = 0; j < 3 * n + 3; j++) layer[j] = (float)sl_rng_normal(&rng);

        sl_layer_forward_alone((struct sl_layer){.n_inputs = n, .n_outputs = 3}, layer, inputs, 6, outputs);

        for (uint32_t row = 0; row < 6; row++)
            for (uint32_t o = 0; o < 3; o++) {
                volatile float lanes[16] = {0}, rest = 0;          /* each rounded by itself */
                for (uint32_t j = 0; j < n; j++) {
                    volatile float product = layer[o * n + j] * inputs[row * n + j];
                    if (j < n / 16 * 16)
                        lanes[j % 16] += product;
                    else
                        rest += product;
                }
                for (uint32_t half = 8; half > 0; half /= 2)
                    for (uint32_t l = 0; l < half; l++) lanes[l] += lanes[l + half];
                volatile float dot = lanes[0] + rest;
                cr_assert_eq(outputs[row * 3 + o], dot + layer[3 * n + o], "%u inputs, row %u, output %u", n, row, o);
            }
    }
}

static double lie = 1;

static double norm2_that_lies(const float *values, uint32_t n)
{
    return lie * sl_rank_one_plain.norm2(values, n);
}

/* Nobody's arithmetic is believed: a norm that comes out a little too small is made up for by smaller factors, one far too small makes the row count as zero,
 * and what was added before the check is taken back. */
Test(gradient_sum, the_check_holds_even_if_the_norm_is_wrong)
{
    static int64_t zero[DIM_MAX];
    struct sl_rank_one lying = *sl_rank_one_fastest();
    lying.norm2 = norm2_that_lies;
    for (uint32_t e = 0; e < 4; e++) {
        struct setup setup = prepare(&examples[e], 1e-3, &lying);          /* most rows are clipped */
        size_t size = setup.sum.dim * sizeof(int64_t);
        uint32_t n_clipped = 0;
        for (uint32_t i = 0; i < N_ROWS; i++) {
            lie = 1;
            if ((double)squares_of(sum_of(&setup, &i, 1, 1), setup.sum.dim) < .99 * 0x1p40) continue;          /* a row that is predicted well is not clipped */

            lie = 1 - 2e-6;
            const int64_t *sum = sum_of(&setup, &i, 1, 1);
            cr_assert(is_bounded(sum, setup.sum.dim), "%s, row %u", examples[e].name, i);
            cr_assert_neq(memcmp(sum, zero, size), 0, "%s, row %u", examples[e].name, i);
            lie = .9;
            cr_assert_eq(memcmp(sum_of(&setup, &i, 1, 1), zero, size), 0, "%s, row %u", examples[e].name, i);
            n_clipped++;
        }
        cr_assert_gt(n_clipped, N_ROWS / 2);
    }
}
