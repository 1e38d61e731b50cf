/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <malloc.h>
#include <math.h>
#include <string.h>

#include "learn/models.h"
#include "privacy/budget.h"
#include "small_training.h"
#include "starling/error.h"
#include "train/trainer.h"
#include "watched_noise.h"

enum { N_ROWS_MAX = 400, DIM = 1000, STEPS_MAX = 4000 };

static float features[N_ROWS_MAX * 2], labels[N_ROWS_MAX];
static uint32_t rows[N_ROWS_MAX];
static const uint8_t seed[32] = {1};
static const struct sl_dataset clouds = {.features = features, .labels = labels, .n_rows = N_ROWS_MAX, .n_features = 2, .n_classes = 2};

static void make_two_clouds(void)
{
    fill_two_clouds(N_ROWS_MAX, rows, features, labels, seed);
}

static struct sl_config config_of(uint32_t n_features, uint32_t n_outputs)
{
    struct sl_config config = {.train_lr = 1, .train_steps = 3, .train_batch = 7, .privacy_clip = 1, .privacy_batch = 10, .privacy_records = 12345};
    strcpy(config.privacy_unit, "record");
    strcpy(config.privacy_show_own_accuracy, "no");
    config.shape = (struct sl_shape){.n_features = n_features, .n_outputs = n_outputs};
    return config;
}

static struct sl_job job_of(float *weights, uint32_t dim, double q, uint32_t steps)
{
    return (struct sl_job){
        .number = 9, .type = SL_JOB_TRAIN, .weights = weights, .dim = dim, .seed = {5}, .noise_key = {6},
        .round = {.q64 = q >= 1 ? SL_Q64_ONE : (uint64_t)ldexp(q, 64), .sigma2 = UINT64_C(1) << 40, .steps = steps},
    };
}

static struct sl_trainer trainer_of(const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data, uint32_t n_rows)
{
    struct sl_trainer trainer;
    cr_assert(sl_trainer_new(&trainer, model, config, data, rows, n_rows, seed));
    return trainer;
}

/* ---- a model that writes down whom it is shown, and whose gradient is one unit of the clip norm ---- */

static uint32_t times_seen[N_ROWS_MAX], n_seen_at[STEPS_MAX];
static uint32_t n_seen;

static uint32_t spy_dim(const struct sl_shape *shape)
{
    return shape->hidden[0];
}

static size_t spy_scratch(const struct sl_shape *shape, uint32_t n_rows_max)
{
    return shape->n_features * n_rows_max;
}

static double spy_gradient(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch, float *gradient)
{
    (void)weights;
    (void)scratch;
    cr_assert_eq(batch->n_rows, 1, "rows must be shown one by one");
    times_seen[(uint32_t)batch->labels[0]]++;
    n_seen_at[watched.n_calls]++;          /* a step ends with its noise */
    n_seen++;
    memset(gradient, 0, shape->hidden[0] * sizeof *gradient);
    gradient[0] = 1;
    return 1e6;
}

static void spy_evaluate(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch, struct sl_score *out)
{
    (void)shape;
    (void)weights;
    (void)scratch;
    n_seen += batch->n_rows;
    *out = (struct sl_score){.loss = 77, .rmse = 7, .n_rows = batch->n_rows};
}

static const struct sl_model spy = {
    .name = "spy", .task = SL_TASK_REGRESS, .dim = spy_dim, .scratch_size = spy_scratch, .gradient = spy_gradient, .evaluate = spy_evaluate};
static const struct sl_dataset numbered = {.features = features, .labels = labels, .n_rows = N_ROWS_MAX, .n_features = 1};

static struct sl_config spy_config(uint32_t dim)
{
    struct sl_config config = config_of(1, 1);
    config.shape.hidden[0] = dim;
    return config;
}

static void number_rows(void)
{
    for (uint32_t i = 0; i < N_ROWS_MAX; i++) {
        rows[i] = i;
        labels[i] = (float)i;
        features[i] = 1;
    }
}

/* ---- who takes part ---- */

/* Sum of (count - n q)^2 / (n q (1 - q)): chi-square with so many degrees of freedom, here near its mean within five deviations. */
static void assert_binomial(const uint32_t *counts, uint32_t n_counts, uint32_t n, double q, const char *what)
{
    double chi2 = 0;
    for (uint32_t i = 0; i < n_counts; i++) chi2 += (counts[i] - n * q) * (counts[i] - n * q) / (n * q * (1 - q));
    cr_assert_float_eq(chi2, n_counts, 5 * sqrt(2. * n_counts), "%s: chi-square %g of %u", what, chi2, n_counts);
}

Test(dp_sgd, every_row_takes_part_by_a_coin_of_its_own_at_every_step, .init = number_rows)
{
    static const double rates[] = {.02, .3, .9};
    enum { N_STEPS = 600 };
    for (uint32_t k = 0; k < 3; k++) {
        memset(times_seen, 0, sizeof times_seen);
        memset(n_seen_at, 0, sizeof n_seen_at);
        watched.n_calls = 0;
        watched.is_silent = true;
        struct sl_config config = spy_config(1);
        struct sl_trainer trainer = trainer_of(&spy, &config, &numbered, N_ROWS_MAX);
        float weights[1] = {0};
        struct sl_job job = job_of(weights, 1, rates[k], N_STEPS);

        cr_assert_eq(run_once(&trainer, &job).error, SL_OK);

        assert_binomial(times_seen, N_ROWS_MAX, N_STEPS, rates[k], "how often a row takes part");
        assert_binomial(n_seen_at, N_STEPS, N_ROWS_MAX, rates[k], "how many rows take part in a step");
        trainer.destroy(&trainer);
    }
}

Test(dp_sgd, all_rows_take_part_where_the_rate_is_one, .init = number_rows)
{
    struct sl_config config = spy_config(1);
    struct sl_trainer trainer = trainer_of(&spy, &config, &numbered, 100);
    float weights[1] = {0};
    struct sl_job job = job_of(weights, 1, 1, 5);

    run_once(&trainer, &job);

    for (uint32_t i = 0; i < N_ROWS_MAX; i++) cr_assert_eq(times_seen[i], i < 100 ? 5 : 0);
    trainer.destroy(&trainer);
}

Test(dp_sgd, empty_batches_are_noised_and_counted_like_all_others, .init = number_rows)
{
    enum { N_STEPS = 200 };
    struct sl_config config = spy_config(4);
    struct sl_trainer trainer = trainer_of(&spy, &config, &numbered, 20);
    float weights[4] = {0};
    struct sl_job job = job_of(weights, 4, .01, N_STEPS);

    struct sl_job_result result = run_once(&trainer, &job);

    uint32_t n_empty = 0;
    for (uint32_t i = 0; i < N_STEPS; i++) n_empty += n_seen_at[i] == 0;
    cr_assert(n_empty > 120 && n_empty < 190, "%u steps without a row; .99^20 of 200 is 164", n_empty);
    cr_assert_eq(result.n_steps, N_STEPS);
    cr_assert_eq(watched.n_calls, N_STEPS, "noise at every step");
    cr_assert_eq(watched.n_values, 4 * N_STEPS, "on every coordinate");
    trainer.destroy(&trainer);
}

/* Without rows the weights are noise alone, of the variance that was charged. Its sum of squares is chi-square with DIM degrees of freedom. */
static void assert_pure_noise(const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data, uint32_t n_rows)
{
    struct sl_trainer trainer = trainer_of(model, config, data, n_rows);
    float weights[DIM] = {0};
    struct sl_job job = job_of(weights, DIM, .5, 3);

    struct sl_job_result result = run_once(&trainer, &job);

    double chi2 = 0;
    for (uint32_t j = 0; j < DIM; j++) chi2 += pow(weights[j] * config->privacy_batch, 2) / 3;
    cr_assert_eq(result.error, SL_OK);
    cr_assert_eq(result.n_rows, 12345);
    cr_assert_float_eq(chi2, DIM, 5 * sqrt(2. * DIM), "chi-square %g", chi2);
    trainer.destroy(&trainer);
}

Test(dp_sgd, having_no_rows_at_all_gives_noise_of_the_variance_charged, .init = number_rows)
{
    struct sl_config config = spy_config(DIM);
    assert_pure_noise(&spy, &config, &numbered, 0);
    config.data_holdback = .9;
    assert_pure_noise(&spy, &config, &numbered, 1);          /* with this seed row 0 is kept back */
    cr_assert_eq(n_seen, 0);
}

/* ---- what a step does ---- */

Test(dp_sgd, the_sum_is_divided_by_a_constant_whatever_was_drawn, .init = number_rows)
{
    static const uint32_t counts[] = {0, 1, 10, 400};
    for (uint32_t k = 0; k < 4; k++) {
        watched.is_silent = true;
        struct sl_config config = spy_config(2);
        config.privacy_clip = .5;
        config.train_lr = .25;
        struct sl_trainer trainer = trainer_of(&spy, &config, &numbered, counts[k]);
        float weights[2] = {0};
        struct sl_job job = job_of(weights, 2, 1, 2);

        run_once(&trainer, &job);

        cr_assert_float_eq(weights[0], -2 * .25 * counts[k] * .5 / 10, 1e-5, "%u rows", counts[k]);
        cr_assert_eq(watched.sum[0], (int64_t)counts[k] << 20);
        cr_assert_eq(weights[1], 0);
        trainer.destroy(&trainer);
    }
}

/* Gradient 1 in every step, B = 1, C = 1: as with plain descent. lr 0.1, momentum 0.5, weight decay 0.2, w = 1: velocity 1.2, w = 0.88; then
 * 1 + 0.176 + 0.6 = 1.776. */
Test(dp_sgd, momentum_and_weight_decay_come_after_the_noise, .init = number_rows)
{
    watched.is_silent = true;
    struct sl_config config = spy_config(1);
    config.train_lr = .1;
    config.train_momentum = .5;
    config.train_weight_decay = .2;
    config.privacy_batch = 1;
    struct sl_trainer trainer = trainer_of(&spy, &config, &numbered, 1);
    for (uint32_t round = 0; round < 2; round++) {
        float weights[1] = {1};
        struct sl_job job = job_of(weights, 1, 1, 2);
        run_once(&trainer, &job);
        cr_assert_float_eq(weights[0], .88 - .1776, 1e-6, "momentum starts at zero in every job");
        cr_assert_eq(watched.sum[0], 1 << 20, "what is noised knows nothing of them");
    }
    trainer.destroy(&trainer);
}

static void train_models(const uint8_t key[32], uint8_t seed_byte, float out[3][DIM])
{
    const struct sl_model *models[] = {&sl_model_softmax, &sl_model_mlp, &sl_model_ridge};
    for (uint32_t m = 0; m < 3; m++) {
        struct sl_config config = config_of(2, models[m] == &sl_model_ridge ? 1 : 2);
        if (models[m] == &sl_model_mlp) config.shape.n_hidden = 1, config.shape.hidden[0] = 9;
        struct sl_trainer trainer = trainer_of(models[m], &config, &clouds, 300);
        memset(out[m], 0, sizeof out[m]);
        struct sl_job job = job_of(out[m], models[m]->dim(&config.shape), .1, 10);
        memcpy(job.noise_key, key, 32);
        job.seed[0] = seed_byte;

        struct sl_job_result result = run_once(&trainer, &job);

        cr_assert_eq(result.error, SL_OK);
        for (uint32_t j = 0; j < job.dim; j++) cr_assert(isfinite(out[m][j]) && out[m][j] != 0, "%s, weight %u", models[m]->name, j);
        trainer.destroy(&trainer);
    }
}

Test(dp_sgd, the_same_key_gives_the_same_weights_and_another_key_gives_others, .init = make_two_clouds)
{
    static float a[3][DIM], b[3][DIM], other[3][DIM];
    train_models((const uint8_t[32]){1}, 1, a);
    train_models((const uint8_t[32]){1}, 2, b);
    train_models((const uint8_t[32]){[31] = 1}, 1, other);

    cr_assert_arr_eq(a, b, sizeof a, "the job's seed has no say");
    for (uint32_t m = 0; m < 3; m++) cr_assert_neq(memcmp(a[m], other[m], sizeof a[m]), 0);
}

Test(dp_sgd, it_learns_with_little_noise, .init = make_two_clouds)
{
    struct sl_config config = config_of(2, 2);
    config.data_holdback = .2;
    config.privacy_batch = 40;
    strcpy(config.privacy_show_own_accuracy, "yes");
    struct sl_trainer trainer = trainer_of(&sl_model_softmax, &config, &clouds, N_ROWS_MAX);
    float weights[6] = {0};
    struct sl_job job = job_of(weights, 6, .125, 30);

    struct sl_job_result first = run_once(&trainer, &job), second = run_once(&trainer, &job);

    cr_assert_float_eq(first.own.loss, log(2), 1e-6, "scored as lent, before training");
    cr_assert_gt(second.own.accuracy, .9);
    cr_assert(second.own.n_rows > 50 && second.own.n_rows < 110);
    cr_assert_eq(second.loss, 0);
    trainer.destroy(&trainer);
}

/* ---- silence ---- */

Test(dp_sgd, nothing_is_told_about_the_data, .init = number_rows)
{
    struct sl_config config = spy_config(2);
    config.data_holdback = .5;
    struct sl_trainer trainer = trainer_of(&spy, &config, &numbered, 200);
    float weights[2] = {0};
    struct sl_job job = job_of(weights, 2, .5, 4);

    struct sl_job_result result = run_once(&trainer, &job);

    cr_assert_eq(result.number, 9);
    cr_assert_eq(result.loss, 0);
    cr_assert_eq(result.n_rows, 12345);
    cr_assert_eq(result.n_steps, 4);
    const struct sl_score none = {0};
    cr_assert_eq(memcmp(&result.own, &none, sizeof none), 0);

    n_seen = 0;
    job.type = SL_JOB_EVALUATE;
    result = run_once(&trainer, &job);
    cr_assert_eq(n_seen, 0, "an evaluation looks at nothing, either");
    cr_assert_eq(memcmp(&result.own, &none, sizeof none), 0);
    trainer.destroy(&trainer);
}

Test(dp_sgd, the_owner_may_ask_for_the_score_of_the_rows_kept_back, .init = number_rows)
{
    struct sl_config config = spy_config(2);
    config.data_holdback = .5;
    strcpy(config.privacy_show_own_accuracy, "yes");
    struct sl_trainer trainer = trainer_of(&spy, &config, &numbered, N_ROWS_MAX);
    float weights[2] = {0};
    struct sl_job job = job_of(weights, 2, .5, 4);
    job.type = SL_JOB_EVALUATE;
    memset(&job.round, 0, sizeof job.round);

    struct sl_job_result result = run_once(&trainer, &job);

    cr_assert_eq(result.error, SL_OK);
    cr_assert_eq(result.own.loss, 77);
    cr_assert(result.own.n_rows > 150 && result.own.n_rows < 250);
    cr_assert_eq(weights[0], 0);
    trainer.destroy(&trainer);
}

/* ---- who is kept back ---- */

static void roles_of(uint32_t n_rows, double share, const char *shows, const uint8_t key[32], bool is_trained[N_ROWS_MAX])
{
    memset(times_seen, 0, sizeof times_seen);
    struct sl_config config = spy_config(1);
    config.data_holdback = share;
    strcpy(config.privacy_show_own_accuracy, shows);
    struct sl_trainer trainer;
    cr_assert(sl_trainer_new(&trainer, &spy, &config, &numbered, rows, n_rows, key));
    float weights[1] = {0};
    struct sl_job job = job_of(weights, 1, 1, 1);
    run_once(&trainer, &job);
    trainer.destroy(&trainer);
    for (uint32_t i = 0; i < N_ROWS_MAX; i++) is_trained[i] = times_seen[i] > 0;
}

Test(dp_sgd, a_row_keeps_its_role_whoever_comes_or_goes, .init = number_rows)
{
    bool all[N_ROWS_MAX], some[N_ROWS_MAX], shown[N_ROWS_MAX], other[N_ROWS_MAX];
    roles_of(N_ROWS_MAX, .3, "no", seed, all);
    roles_of(N_ROWS_MAX, .3, "yes", seed, shown);
    roles_of(N_ROWS_MAX, .3, "no", (const uint8_t[32]){2}, other);
    cr_assert_arr_eq(all, shown, sizeof all, "showing the own accuracy changes nothing");
    cr_assert_arr_neq(all, other, sizeof all);

    double n_trained = 0;
    for (uint32_t i = 0; i < N_ROWS_MAX; i++) n_trained += all[i];
    cr_assert_float_eq(n_trained, 280, 5 * sqrt(400 * .3 * .7), "%g of 400", n_trained);

    for (uint32_t i = 0; i < 300; i++) rows[i] = 399 - i;          /* fewer, in another order */
    roles_of(300, .3, "no", seed, some);
    for (uint32_t i = 100; i < N_ROWS_MAX; i++) cr_assert_eq(some[i], all[i], "row %u", i);

    number_rows();
    for (uint32_t i = 0; i + 1 < N_ROWS_MAX; i++) labels[i] = (float)(i + 1);          /* the first line of the file is gone */
    roles_of(N_ROWS_MAX - 1, .3, "no", seed, some);
    for (uint32_t i = 1; i < N_ROWS_MAX; i++) cr_assert_eq(some[i], all[i], "row %u", i);
}

/* ---- refusals ---- */

static void assert_refused(const struct sl_job *job, int expected)
{
    struct sl_config config = spy_config(2);
    struct sl_trainer trainer = trainer_of(&spy, &config, &numbered, 20);
    n_seen = 0;

    struct sl_job_result result = run_once(&trainer, job);

    cr_assert_eq(result.error, expected, "error %d", result.error);
    cr_assert_eq(n_seen, 0, "no private row was looked at");
    cr_assert_eq(result.n_steps, 0);
    cr_assert(job->weights[0] == 3 && job->weights[1] == -4);
    trainer.destroy(&trainer);
}

Test(dp_sgd, a_job_without_charge_variance_or_key_is_refused, .init = number_rows)
{
    float weights[] = {3, -4};
    struct sl_job good = job_of(weights, 2, .5, 4), bad = good;
    bad.round.q64 = 0;
    assert_refused(&bad, SL_ERROR_BAD_ARGUMENT);
    bad = good;
    bad.round.sigma2 = 0;
    assert_refused(&bad, SL_ERROR_BAD_ARGUMENT);
    bad.round.sigma2 = SL_SIGMA2_MAX + 1;
    assert_refused(&bad, SL_ERROR_BAD_ARGUMENT);
    bad = good;
    bad.round.steps = 0;
    assert_refused(&bad, SL_ERROR_BAD_ARGUMENT);
    bad = good;
    memset(bad.noise_key, 0, sizeof bad.noise_key);
    assert_refused(&bad, SL_ERROR_RNG);
}

Test(dp_sgd, settings_that_bound_nothing_are_refused, .init = number_rows)
{
    static const double clips[] = {0, -1, 1e-7, 1e7, NAN};
    for (uint32_t k = 0; k <= 5; k++) {
        struct sl_config config = spy_config(1);
        if (k < 5) config.privacy_clip = clips[k];
        if (k == 5) config.privacy_batch = 0;
        struct sl_trainer trainer = trainer_of(&spy, &config, &numbered, 20);
        float weights[1] = {3};
        struct sl_job job = job_of(weights, 1, .5, 4);
        cr_assert_eq(run_once(&trainer, &job).error, SL_ERROR_BAD_ARGUMENT);
        cr_assert_eq(weights[0], 3);
        cr_assert_eq(n_seen, 0);
        trainer.destroy(&trainer);
    }
}

Test(dp_sgd, data_that_does_not_suit_the_model_is_refused, .init = make_two_clouds)
{
    struct sl_config config = config_of(2, 2), wide = config_of(3, 2);
    float weights[8] = {0};
    struct sl_job job = job_of(weights, 6, .5, 2), wide_job = job_of(weights, 8, .5, 2);
    struct sl_trainer trainer = trainer_of(&sl_model_softmax, &wide, &clouds, 50);
    cr_assert_eq(run_once(&trainer, &wide_job).error, SL_ERROR_MISMATCH);
    trainer.destroy(&trainer);

    labels[20] = 2;
    trainer = trainer_of(&sl_model_softmax, &config, &clouds, 50);
    cr_assert_eq(run_once(&trainer, &job).error, SL_ERROR_OUT_OF_RANGE);
    trainer.destroy(&trainer);
}

/* Its row counts as zero, and nobody can tell. */
Test(dp_sgd, a_feature_that_is_not_finite_is_no_error, .init = make_two_clouds)
{
    features[0] = NAN;
    features[3] = INFINITY;
    features[4] = 3e38F;
    struct sl_config config = config_of(2, 2);
    struct sl_trainer trainer = trainer_of(&sl_model_softmax, &config, &clouds, 50);
    float weights[6] = {0};
    struct sl_job job = job_of(weights, 6, .5, 20);

    cr_assert_eq(run_once(&trainer, &job).error, SL_OK);

    for (uint32_t j = 0; j < 6; j++) cr_assert(isfinite(weights[j]));
    trainer.destroy(&trainer);
}

Test(dp_sgd, when_randomness_fails_the_weights_come_home_as_they_were_lent, .init = make_two_clouds)
{
    struct sl_config config = config_of(2, 2);
    config.train_momentum = .9;
    struct sl_trainer trainer = trainer_of(&sl_model_softmax, &config, &clouds, 50);
    for (uint32_t fails_at = 1; fails_at <= 5; fails_at += 2) {
        float weights[] = {1, 2, 3, 4, 5, -0.F};
        const float before[] = {1, 2, 3, 4, 5, -0.F};
        struct sl_job job = job_of(weights, 6, .5, 5);
        watched.n_calls = 0;
        watched.fails_at = fails_at;

        cr_assert_eq(run_once(&trainer, &job).error, SL_ERROR_RNG);

        cr_assert_arr_eq(weights, before, sizeof weights);
    }
    trainer.destroy(&trainer);
}

Test(dp_sgd, training_that_runs_away_brings_the_weights_home_as_they_were_lent, .init = make_two_clouds)
{
    struct sl_config config = config_of(2, 2);
    config.train_lr = 1e38;
    config.privacy_batch = 1;
    struct sl_trainer trainer = trainer_of(&sl_model_softmax, &config, &clouds, 50);
    float weights[] = {1, 2, 3, 4, 5, 6};
    struct sl_job job = job_of(weights, 6, .5, 50);

    cr_assert_eq(run_once(&trainer, &job).error, SL_ERROR_NOT_FINITE);

    cr_assert_eq(weights[5], 6);
    trainer.destroy(&trainer);
}

/* ---- what stays in memory ---- */

static bool is_in_memory(const void *memory, const void *bytes, size_t size)
{
    const uint8_t *at = memory;
    for (size_t i = 0, n = malloc_usable_size((void *)(uintptr_t)memory); i + size <= n; i++)
        if (memcmp(at + i, bytes, size) == 0) return true;
    return false;
}

static const void *scanned;
static bool was_there;

static double marked_gradient(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch, float *gradient)
{
    spy_gradient(shape, weights, batch, scratch, gradient);
    was_there = is_in_memory(scanned, batch->features, 2 * sizeof(float));
    return 0;
}

Test(dp_sgd, neither_rows_nor_the_key_stay_in_memory, .init = make_two_clouds)
{
    struct sl_model marked = spy;
    marked.gradient = marked_gradient;
    struct sl_config config = spy_config(3);
    config.shape.n_features = 2;
    struct sl_trainer trainer = trainer_of(&marked, &config, &clouds, 50);
    scanned = trainer.context;
    float weights[3] = {0};
    struct sl_job job = job_of(weights, 3, .5, 5);
    memset(job.noise_key, 0xa7, sizeof job.noise_key);

    run_once(&trainer, &job);

    cr_assert(was_there, "the search finds what is there");
    for (uint32_t i = 0; i < 50; i++) cr_assert_not(is_in_memory(trainer.context, features + 2 * i, 2 * sizeof(float)), "row %u", i);
    cr_assert_not(is_in_memory(trainer.context, job.noise_key, 8));
    cr_assert_not(is_in_memory(trainer.context, watched.sum, sizeof(int64_t)) && watched.sum[0] != 0);
    trainer.destroy(&trainer);
}
