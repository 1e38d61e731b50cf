/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <malloc.h>
#include <math.h>
#include <string.h>

#include "learn/models.h"
#include "privacy/budget.h"
#include "privacy/clip.h"
#include "small_training.h"
#include "starling/error.h"
#include "train/trainer.h"
#include "watched_noise.h"

enum { N_ROWS = 30, DIM_MAX = 1000 };

static float features[N_ROWS * 2], labels[N_ROWS];
static uint32_t rows[N_ROWS];
static int32_t released[DIM_MAX];
static const struct sl_dataset data = {.features = features, .labels = labels, .n_rows = N_ROWS, .n_features = 2, .n_classes = 2};

static void make_rows(void)
{
    fill_two_clouds(N_ROWS, rows, features, labels, (const uint8_t[32]){1});
}

static struct sl_config config_of(uint32_t dim)
{
    struct sl_config config = {.train_lr = 1, .train_steps = 4, .train_batch = 8, .privacy_node_clip = 1, .privacy_records = 12345};
    strcpy(config.privacy_unit, "node");
    strcpy(config.privacy_show_own_accuracy, "no");
    config.shape = (struct sl_shape){.n_features = 2, .n_outputs = 2, .hidden = {dim}};
    return config;
}

static struct sl_job job_of(float *weights, uint32_t dim)
{
    return (struct sl_job){
        .number = 9, .type = SL_JOB_TRAIN, .weights = weights, .dim = dim, .seed = {5}, .noise_key = {6}, .release = released,
        .round = {.q64 = SL_Q64_ONE, .sigma2 = UINT64_C(1) << 40, .steps = 1},
    };
}

static struct sl_trainer trainer_of(const struct sl_model *model, const struct sl_config *config, uint32_t n_rows)
{
    struct sl_trainer trainer;
    cr_assert(sl_trainer_new(&trainer, model, config, &data, rows, n_rows, (const uint8_t[32]){1}));
    return trainer;
}

/* A model of any number of weights whose gradient a test sets. */
static float given[DIM_MAX], last_weights[DIM_MAX];
static uint32_t n_seen;

static uint32_t fake_dim(const struct sl_shape *shape)
{
    return shape->hidden[0];
}

static size_t fake_scratch(const struct sl_shape *shape, uint32_t n_rows_max)
{
    return shape->n_features * n_rows_max;
}

static double fake_gradient(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch, float *gradient)
{
    (void)scratch;
    n_seen += batch->n_rows;
    memcpy(last_weights, weights, shape->hidden[0] * sizeof *weights);
    memcpy(gradient, given, shape->hidden[0] * sizeof *gradient);
    return 1e6;
}

static const struct sl_model fake = {.name = "fake", .task = SL_TASK_REGRESS, .dim = fake_dim, .scratch_size = fake_scratch, .gradient = fake_gradient};

Test(dp_node, the_release_is_the_clipped_change_and_the_weights_come_home_bit_for_bit, .init = make_rows)
{
    watched.is_silent = true;
    struct sl_config config = config_of(4);
    struct sl_trainer trainer = trainer_of(&fake, &config, N_ROWS);
    float weights[] = {.5F, -.0F, 1e-45F, 7}, before[4];
    memcpy(before, weights, sizeof weights);
    const float step[] = {.0625F, .125F, -.03125F, 0};          /* four of them: norm below 1 */
    memcpy(given, step, sizeof step);
    struct sl_job job = job_of(weights, 4);

    struct sl_job_result result = run_once(&trainer, &job);

    const int32_t expected[] = {-(1 << 18), -(1 << 19), 1 << 17, 0};
    cr_assert_eq(result.error, SL_OK);
    cr_assert_arr_eq(released, expected, sizeof expected);
    cr_assert_eq(memcmp(weights, before, sizeof weights), 0);

    config.privacy_node_clip = .25;
    trainer.destroy(&trainer);
    trainer = trainer_of(&fake, &config, N_ROWS);
    run_once(&trainer, &job);
    cr_assert(sl_clip_holds(released, 4));
    cr_assert_float_eq(hypot(hypot(released[0], released[1]), released[2]), 1 << 20, 4, "a long change is cut to the whole norm");
    cr_assert_float_eq((double)released[1] / released[0], 2, 1e-4);
    trainer.destroy(&trainer);
}

/* Momentum and weight decay would move the others as well. */
Test(dp_node, only_the_block_moves, .init = make_rows)
{
    static const uint32_t block[] = {1, 4, 5, 9};
    watched.is_silent = true;
    struct sl_config config = config_of(10);
    config.train_momentum = .9;
    config.train_weight_decay = .1;
    config.train_lr = .01;
    struct sl_trainer trainer = trainer_of(&fake, &config, N_ROWS);
    float weights[10];
    for (uint32_t j = 0; j < 10; j++) {
        weights[j] = (float)j;
        given[j] = 1;
    }
    struct sl_job job = job_of(weights, 10);
    job.block = block;
    job.n_block = 4;
    released[4] = 4321;

    run_once(&trainer, &job);

    for (uint32_t j = 0, k = 0; j < 10; j++) {
        bool is_of_block = k < 4 && block[k] == j;
        cr_assert_eq(last_weights[j] != (float)j, is_of_block, "weight %u", j);
        cr_assert_eq(weights[j], (float)j);
        k += is_of_block;
    }
    for (uint32_t k = 0; k < 4; k++) cr_assert_lt(released[k], -1000);
    cr_assert_eq(watched.n_values, 4);
    cr_assert_eq(released[4], 4321, "nothing beyond the block is written");
    trainer.destroy(&trainer);
}

Test(dp_node, the_noise_has_the_variance_charged, .init = make_rows)
{
    struct sl_config config = config_of(DIM_MAX);
    struct sl_trainer trainer = trainer_of(&fake, &config, 0);
    static float weights[DIM_MAX];
    struct sl_job job = job_of(weights, DIM_MAX);
    job.round.sigma2 = UINT64_C(9) << 40;

    struct sl_job_result result = run_once(&trainer, &job);

    double chi2 = 0;
    for (uint32_t j = 0; j < DIM_MAX; j++) chi2 += pow(released[j], 2) / (double)job.round.sigma2;
    cr_assert_eq(result.error, SL_OK);
    cr_assert_float_eq(chi2, DIM_MAX, 5 * sqrt(2. * DIM_MAX), "chi-square %g", chi2);
    trainer.destroy(&trainer);
}

Test(dp_node, real_models_give_the_same_release_for_the_same_key_and_another_for_another, .init = make_rows)
{
    const struct sl_model *models[] = {&sl_model_softmax, &sl_model_mlp, &sl_model_ridge};
    for (uint32_t m = 0; m < 3; m++) {
        struct sl_config config = config_of(5);
        config.shape.n_hidden = models[m] == &sl_model_mlp;
        config.shape.n_outputs = models[m] == &sl_model_ridge ? 1 : 2;
        config.train_momentum = .5;
        struct sl_trainer trainer = trainer_of(models[m], &config, N_ROWS);
        float weights[64] = {0};
        struct sl_job job = job_of(weights, models[m]->dim(&config.shape));
        models[m]->init(&config.shape, job.seed, weights);
        size_t size = job.dim * sizeof *released;
        int32_t first[64];
        run_once(&trainer, &job);
        memcpy(first, released, size);
        cr_assert(watched.sum[0] != 0 && llabs(watched.sum[0]) <= 1 << 20, "%s learns", models[m]->name);

        run_once(&trainer, &job);
        cr_assert_arr_eq(released, first, size, "nothing of a job leaks into the next");
        job.noise_key[31] = 1;
        run_once(&trainer, &job);
        cr_assert_neq(memcmp(released, first, size), 0);
        trainer.destroy(&trainer);
    }
}

Test(dp_node, nothing_is_told_about_the_data, .init = make_rows)
{
    struct sl_config config = config_of(2);
    config.data_holdback = .5;
    struct sl_trainer trainer = trainer_of(&fake, &config, N_ROWS);
    float weights[2] = {0};
    struct sl_job job = job_of(weights, 2);

    struct sl_job_result result = run_once(&trainer, &job);

    const struct sl_score none = {0};
    cr_assert_eq(result.number, 9);
    cr_assert_eq(result.n_rows, 12345);
    cr_assert_eq(result.n_steps, 4);
    cr_assert_eq(result.loss, 0);
    cr_assert_eq(memcmp(&result.own, &none, sizeof none), 0);
    trainer.destroy(&trainer);
}

/* An error would say that this data makes training run away. */
Test(dp_node, training_that_runs_away_counts_as_no_change_and_is_no_error, .init = make_rows)
{
    watched.is_silent = true;
    struct sl_config config = config_of(2);
    float weights[2] = {1, 2};
    struct sl_job job = job_of(weights, 2);
    static const float bad[] = {NAN, INFINITY, 3e38F};
    for (uint32_t k = 0; k < 3; k++) {
        struct sl_trainer trainer = trainer_of(&fake, &config, N_ROWS);
        given[0] = bad[k];

        struct sl_job_result result = run_once(&trainer, &job);

        cr_assert_eq(result.error, SL_OK);
        cr_assert_eq(result.n_steps, 4);
        cr_assert(released[0] == 0 && released[1] == 0);
        cr_assert(weights[0] == 1 && weights[1] == 2);
        trainer.destroy(&trainer);
    }
}

static void assert_refused(const struct sl_config *config, const struct sl_job *job, int expected)
{
    struct sl_trainer trainer = trainer_of(&fake, config, N_ROWS);
    n_seen = 0;
    released[0] = 99;
    cr_assert_eq(run_once(&trainer, job).error, expected);
    cr_assert_eq(n_seen, 0, "no private row was looked at");
    cr_assert(job->weights[0] == 3 && released[0] == 99);
    trainer.destroy(&trainer);
}

Test(dp_node, a_job_without_charge_variance_key_or_place_for_its_release_is_refused, .init = make_rows)
{
    struct sl_config config = config_of(2), boundless = config;
    float weights[] = {3, -4};
    struct sl_job good = job_of(weights, 2), bad = good;
    bad.round.sigma2 = 0;
    assert_refused(&config, &bad, SL_ERROR_BAD_ARGUMENT);
    bad = good;
    bad.round.q64 = 0;
    assert_refused(&config, &bad, SL_ERROR_BAD_ARGUMENT);
    bad = good;
    bad.release = NULL;
    assert_refused(&config, &bad, SL_ERROR_BAD_ARGUMENT);
    bad = good;
    memset(bad.noise_key, 0, sizeof bad.noise_key);
    assert_refused(&config, &bad, SL_ERROR_RNG);
    boundless.privacy_node_clip = 0;
    assert_refused(&boundless, &good, SL_ERROR_BAD_ARGUMENT);
}

Test(dp_node, when_randomness_fails_nothing_is_released, .init = make_rows)
{
    struct sl_config config = config_of(2);
    struct sl_trainer trainer = trainer_of(&fake, &config, N_ROWS);
    float weights[] = {3, -4};
    struct sl_job job = job_of(weights, 2);
    given[0] = given[1] = .01F;
    watched.fails_at = 1;

    cr_assert_eq(run_once(&trainer, &job).error, SL_ERROR_RNG);

    cr_assert(watched.sum[0] != 0, "there was a change");
    cr_assert(released[0] == 0 && released[1] == 0);
    cr_assert(weights[0] == 3 && weights[1] == -4);
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
static bool gradient_was_there, row_was_there;

static double marked_gradient(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch, float *gradient)
{
    fake_gradient(shape, weights, batch, scratch, gradient);
    gradient_was_there = is_in_memory(scanned, given, sizeof(float));
    row_was_there = is_in_memory(scanned, batch->features, 2 * sizeof(float));
    return 0;
}

/* One step from zero weights: the change is the gradient with its sign changed, and its integers are known. */
Test(dp_node, nothing_private_stays_in_memory_after_a_job, .init = make_rows)
{
    struct sl_model marked = fake;
    marked.gradient = marked_gradient;
    struct sl_config config = config_of(3);
    config.train_steps = 1;
    config.train_momentum = .5;
    struct sl_trainer trainer = trainer_of(&marked, &config, N_ROWS);
    scanned = trainer.context;
    float weights[3] = {0};
    struct sl_job job = job_of(weights, 3);
    memset(job.noise_key, 0xa7, sizeof job.noise_key);
    given[0] = given[1] = given[2] = 0x1.2345p-5F;

    run_once(&trainer, &job);

    float change = -given[0];
    int32_t v = (int32_t)(change * 0x1p20F);
    cr_assert_eq(watched.sum[0], v);
    cr_assert(gradient_was_there && row_was_there, "the search finds what is there");
    cr_assert_not(is_in_memory(trainer.context, given, sizeof *given), "gradient or momentum");
    cr_assert_not(is_in_memory(trainer.context, &change, sizeof change));
    cr_assert_not(is_in_memory(trainer.context, &v, sizeof v));
    cr_assert_not(is_in_memory(trainer.context, job.noise_key, 8));
    for (uint32_t i = 0; i < N_ROWS; i++) cr_assert_not(is_in_memory(trainer.context, features + 2 * i, 2 * sizeof(float)), "row %u", i);
    for (uint32_t j = 0; j < 3; j++) cr_assert(released[j] != v);
    trainer.destroy(&trainer);
}
