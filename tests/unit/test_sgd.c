/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "learn/models.h"
#include "small_training.h"
#include "starling/error.h"
#include "train/sgd.h"

enum { N_ROWS_MAX = 400, DIM_MAX = 64 };

static float features[N_ROWS_MAX * 2], labels[N_ROWS_MAX];
static uint32_t rows[N_ROWS_MAX];
static const uint8_t seed[32] = {1};

static struct sl_dataset data_of(uint32_t n_rows, uint32_t n_features, uint32_t n_classes)
{
    return (struct sl_dataset){
        .features = features, .labels = labels, .n_rows = n_rows, .n_features = n_features, .n_classes = n_classes};
}

/* Only what training reads; the defaults of the option list. */
static struct sl_config config_of(uint32_t n_features, uint32_t n_outputs)
{
    struct sl_config config = {.train_batch = 32, .train_steps = 10, .train_lr = 0.1, .train_lambda = 1};
    config.shape = (struct sl_shape){.n_features = n_features, .n_outputs = n_outputs};
    return config;
}

static void make_two_clouds(void)
{
    fill_two_clouds(N_ROWS_MAX, rows, features, labels, seed);
}

static struct sl_job job_of(float *weights, uint32_t dim)
{
    return (struct sl_job){.number = 9, .type = SL_JOB_TRAIN, .epoch = 3, .weights = weights, .dim = dim, .seed = {5}};
}

Test(sgd, learns_and_reports, .init = make_two_clouds)
{
    struct sl_dataset data = data_of(200, 2, 2);
    struct sl_config config = config_of(2, 2);
    config.data_holdback = 0.1;
    struct sl_trainer trainer;
    float weights[6] = {0};
    struct sl_job job = job_of(weights, 6);
    cr_assert(sl_sgd_new(&trainer, &sl_model_softmax, &config, &data, rows, 200, seed));

    struct sl_job_result first = run_once(&trainer, &job), second = run_once(&trainer, &job);

    cr_assert_eq(first.error, SL_OK);
    cr_assert_eq(first.number, 9);
    cr_assert_eq(first.n_steps, 10);
    cr_assert_eq(first.n_rows, 180);
    cr_assert_eq(first.own.n_rows, 20);
    cr_assert_float_eq(first.own.loss, log(2), 1e-12, "scored as lent, before training");
    cr_assert_gt(second.own.accuracy, 0.9);
    cr_assert_lt(second.loss, first.loss);
    trainer.destroy(&trainer);
    cr_assert_null(trainer.context);
}

Test(sgd, same_seed_and_weights_give_the_same_result, .init = make_two_clouds)
{
    struct sl_dataset data = data_of(100, 2, 2);
    struct sl_config config = config_of(2, 2);
    config.shape.n_hidden = 1;
    config.shape.hidden[0] = 7;
    config.train_batch = 8;
    config.train_momentum = 0.9;
    float start[DIM_MAX], a[DIM_MAX], b[DIM_MAX], other[DIM_MAX];
    uint32_t dim = sl_model_mlp.dim(&config.shape);
    sl_model_mlp.init(&config.shape, seed, start);
    memcpy(a, start, sizeof a);
    memcpy(b, start, sizeof b);
    memcpy(other, start, sizeof other);
    struct sl_job job_a = job_of(a, dim), job_b = job_of(b, dim), job_other = job_of(other, dim);
    job_other.seed[31] = 1;
    struct sl_trainer trainer;
    cr_assert(sl_sgd_new(&trainer, &sl_model_mlp, &config, &data, rows, 100, seed));

    struct sl_job_result result_a = run_once(&trainer, &job_a);
    run_once(&trainer, &job_other);          /* nothing of a job may leak into the next */
    struct sl_job_result result_b = run_once(&trainer, &job_b);

    cr_assert_arr_eq(a, b, dim * sizeof *a);
    cr_assert_eq(result_a.loss, result_b.loss);
    cr_assert_arr_neq(a, other, dim * sizeof *a, "another seed gives another order");
    trainer.destroy(&trainer);
}

/*
 * Regression on rows whose target is always 0, but for one row with a huge target, each row in turn. It must show in the weights exactly
 * when it is trained on. Returns how many rows do not show.
 */
static uint32_t rows_that_never_count(const struct sl_model *model, double share, uint32_t n_rows)
{
    struct sl_dataset data = data_of(n_rows, 1, 0);
    struct sl_config config = config_of(1, 1);
    config.data_holdback = share;
    config.train_steps = 50;
    config.train_batch = 2;
    uint32_t n_idle = 0;
    for (uint32_t loud = 0; loud < n_rows; loud++) {
        for (uint32_t i = 0; i < n_rows; i++) {
            rows[i] = i;
            features[i] = 1;
            labels[i] = i == loud ? 1e6F : 0;
        }
        float weights[2] = {0};
        struct sl_job job = job_of(weights, 2);
        struct sl_trainer trainer;
        cr_assert(sl_sgd_new(&trainer, model, &config, &data, rows, n_rows, seed));
        struct sl_job_result result = run_once(&trainer, &job);
        trainer.destroy(&trainer);

        cr_assert_eq(result.error, SL_OK);
        bool is_idle = weights[0] == 0 && weights[1] == 0;
        cr_assert_eq(is_idle, result.own.n_rows > 0 && result.own.loss > 1e6, "a row is either trained on or scored");
        n_idle += is_idle;
    }
    return n_idle;
}

/* Ridge without its fit is a model trained step by step. */
static struct sl_model stepwise_ridge(void)
{
    struct sl_model model = sl_model_ridge;
    model.fit = NULL;
    return model;
}

Test(sgd, kept_back_rows_are_never_trained_on)
{
    struct sl_model model = stepwise_ridge();

    cr_assert_eq(rows_that_never_count(&model, 0.3, 20), 6);
    cr_assert_eq(rows_that_never_count(&sl_model_ridge, 0.3, 20), 6);
}

Test(sgd, keeps_back_one_row_of_five_but_none_without_a_share)
{
    cr_assert_eq(rows_that_never_count(&sl_model_ridge, 0.01, 5), 1);
    cr_assert_eq(rows_that_never_count(&sl_model_ridge, 0.01, 4), 0);
    cr_assert_eq(rows_that_never_count(&sl_model_ridge, 0, 20), 0);
    cr_assert_eq(rows_that_never_count(&sl_model_ridge, 0.9, 1), 0, "the last row is for training");
    cr_assert_eq(rows_that_never_count(&sl_model_ridge, 0.29, 100), 29);
}

Test(sgd, kept_back_rows_are_chosen_by_the_seed, .init = make_two_clouds)
{
    struct sl_dataset data = data_of(100, 2, 2);
    struct sl_config config = config_of(2, 2);
    config.data_holdback = 0.2;
    float weights[] = {1, 0, 0, 1, 0, 0};
    double loss[3];
    for (uint8_t i = 0; i < 3; i++) {
        struct sl_job job = job_of(weights, 6);
        job.type = SL_JOB_EVALUATE;
        job.seed[0] = i;
        struct sl_trainer trainer;
        cr_assert(sl_sgd_new(&trainer, &sl_model_softmax, &config, &data, rows, 100, (const uint8_t[32]){i / 2}));
        loss[i] = run_once(&trainer, &job).own.loss;
        trainer.destroy(&trainer);
    }

    cr_assert_eq(loss[0], loss[1], "the job's seed has no say");
    cr_assert_neq(loss[0], loss[2]);
}

/* One row x = 1, y = 1, so loss 1/2 (w + b - 1)^2 and both derivatives w + b - 1. lr 0.1, momentum 0.5, weight decay 0.2, w = b = 1:
 * step 1: derivative 1 + 0.2 = 1.2, velocity 1.2, w = 0.88.  step 2: 0.76 + 0.176 = 0.936, velocity 0.6 + 0.936 = 1.536, w = 0.7264. */
Test(sgd, momentum_and_weight_decay_match_numbers_by_hand)
{
    features[0] = labels[0] = 1;
    rows[0] = 0;
    struct sl_dataset data = data_of(1, 1, 0);
    struct sl_config config = config_of(1, 1);
    config.train_steps = 2;
    config.train_momentum = 0.5;
    config.train_weight_decay = 0.2;
    struct sl_model model = stepwise_ridge();
    float weights[] = {1, 1};
    struct sl_job job = job_of(weights, 2);
    struct sl_trainer trainer;
    cr_assert(sl_sgd_new(&trainer, &model, &config, &data, rows, 1, seed));

    struct sl_job_result result = run_once(&trainer, &job);

    cr_assert_float_eq(weights[0], 0.7264, 1e-6);
    cr_assert_float_eq(weights[1], 0.7264, 1e-6);
    cr_assert_float_eq(result.loss, (0.5 + 0.5 * 0.76 * 0.76) / 2, 1e-6);
    cr_assert_eq(result.own.n_rows, 0);

    weights[0] = weights[1] = 1;
    run_once(&trainer, &job);
    cr_assert_float_eq(weights[0], 0.7264, 1e-6, "momentum starts at zero in every job");
    trainer.destroy(&trainer);
}

/* A model that writes down which rows it is shown. */
static uint32_t times_seen[N_ROWS_MAX], batch_sizes[N_ROWS_MAX], n_batches;

static double spy_gradient(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch,
                           float *gradient)
{
    (void)weights;
    (void)scratch;
    for (uint32_t i = 0; i < batch->n_rows; i++) times_seen[(uint32_t)batch->labels[i]]++;
    batch_sizes[n_batches++] = batch->n_rows;
    memset(gradient, 0, (shape->n_features + 1) * sizeof *gradient);
    return 0;
}

Test(sgd, every_pass_sees_each_of_the_given_rows_once)
{
    struct sl_dataset data = data_of(20, 1, 0);
    struct sl_config config = config_of(1, 1);
    config.train_batch = 4;
    config.train_steps = 6;
    struct sl_model spy = stepwise_ridge();
    spy.gradient = spy_gradient;
    for (uint32_t i = 0; i < 20; i++) labels[i] = (float)i;
    for (uint32_t i = 0; i < 10; i++) rows[i] = 2 * i;
    float weights[2] = {0};
    struct sl_job job = job_of(weights, 2);
    struct sl_trainer trainer;
    cr_assert(sl_sgd_new(&trainer, &spy, &config, &data, rows, 10, seed));

    run_once(&trainer, &job);

    for (uint32_t i = 0; i < 20; i++) cr_assert_eq(times_seen[i], i % 2 == 0 ? 2 : 0, "row %u seen %u times", i, times_seen[i]);
    const uint32_t expected[] = {4, 4, 2, 4, 4, 2};
    cr_assert_eq(n_batches, 6);
    cr_assert_arr_eq(batch_sizes, expected, sizeof expected);
    trainer.destroy(&trainer);
}

Test(sgd, evaluate_leaves_the_weights_alone, .init = make_two_clouds)
{
    struct sl_dataset data = data_of(N_ROWS_MAX, 2, 2);
    struct sl_config config = config_of(2, 2);
    config.data_holdback = 0.9;          /* 360 rows: more than are scored at once */
    float weights[] = {-1, 0, 1, 0, 0, 0};
    const float before[] = {-1, 0, 1, 0, 0, 0};
    struct sl_job job = job_of(weights, 6);
    job.type = SL_JOB_EVALUATE;
    struct sl_trainer trainer;
    cr_assert(sl_sgd_new(&trainer, &sl_model_softmax, &config, &data, rows, N_ROWS_MAX, seed));

    struct sl_job_result result = run_once(&trainer, &job);

    cr_assert_arr_eq(weights, before, sizeof weights);
    cr_assert_eq(result.error, SL_OK);
    cr_assert_eq(result.n_steps, 0);
    cr_assert_eq(result.n_rows, 40);
    cr_assert_eq(result.own.n_rows, 360);
    cr_assert(result.own.accuracy > 0.9 && result.own.accuracy <= 1);
    trainer.destroy(&trainer);
}

Test(sgd, a_model_with_fit_takes_one_proximal_step)
{
    for (uint32_t i = 0; i < 100; i++) {
        rows[i] = i;
        features[i] = (float)i / 50 - 1;
        labels[i] = 2 * features[i] + 1;
    }
    struct sl_dataset data = data_of(100, 1, 0);
    struct sl_config config = config_of(1, 1);
    config.train_lambda = 0;
    float weights[2] = {0};
    struct sl_job job = job_of(weights, 2);
    struct sl_trainer trainer;
    cr_assert(sl_sgd_new(&trainer, &sl_model_ridge, &config, &data, rows, 100, seed));

    struct sl_job_result first = run_once(&trainer, &job), second = run_once(&trainer, &job);

    cr_assert_eq(first.error, SL_OK);
    cr_assert_eq(first.n_steps, 1);
    cr_assert_gt(first.loss, 0.5);
    cr_assert_lt(second.loss, 1e-10);
    cr_assert_float_eq(weights[0], 2, 1e-5);
    cr_assert_float_eq(weights[1], 1, 1e-5);
    trainer.destroy(&trainer);
}

static int error_of_training(const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data)
{
    float weights[DIM_MAX] = {0};
    struct sl_job job = job_of(weights, model->dim(&config->shape));
    struct sl_trainer trainer;
    cr_assert(sl_sgd_new(&trainer, model, config, data, rows, data->n_rows, seed));
    int error = run_once(&trainer, &job).error;
    trainer.destroy(&trainer);
    return error;
}

Test(sgd, nan_in_the_data_is_an_error, .init = make_two_clouds)
{
    struct sl_dataset data = data_of(50, 2, 2);
    struct sl_config softmax = config_of(2, 2), mlp = config_of(2, 2), ridge = config_of(2, 1);
    mlp.shape.n_hidden = 1;
    mlp.shape.hidden[0] = 3;
    cr_assert_eq(error_of_training(&sl_model_softmax, &softmax, &data), SL_OK);
    features[7] = NAN;

    cr_assert_eq(error_of_training(&sl_model_softmax, &softmax, &data), SL_ERROR_NOT_FINITE);
    cr_assert_eq(error_of_training(&sl_model_mlp, &mlp, &data), SL_ERROR_NOT_FINITE);
    cr_assert_eq(error_of_training(&sl_model_ridge, &ridge, &data), SL_ERROR_NOT_FINITE);
}

Test(sgd, training_that_runs_away_is_an_error, .init = make_two_clouds)
{
    struct sl_dataset data = data_of(50, 2, 0);
    struct sl_config config = config_of(2, 1);
    config.train_lr = 1000;
    config.train_steps = 1000;
    struct sl_model model = stepwise_ridge();

    cr_assert_eq(error_of_training(&model, &config, &data), SL_ERROR_NOT_FINITE);
}

Test(sgd, data_that_does_not_suit_the_model_is_an_error_not_a_crash, .init = make_two_clouds)
{
    struct sl_dataset data = data_of(50, 2, 2);
    struct sl_config too_wide = config_of(3, 2), fits = config_of(2, 2);

    cr_assert_eq(error_of_training(&sl_model_softmax, &too_wide, &data), SL_ERROR_MISMATCH);
    labels[20] = 2;
    cr_assert_eq(error_of_training(&sl_model_softmax, &fits, &data), SL_ERROR_OUT_OF_RANGE);
    labels[20] = NAN;
    cr_assert_eq(error_of_training(&sl_model_softmax, &fits, &data), SL_ERROR_OUT_OF_RANGE);
}

Test(sgd, refuses_no_rows_and_models_that_fit_no_memory, .init = make_two_clouds)
{
    struct sl_dataset data = data_of(50, 2, 2);
    struct sl_config config = config_of(2, 2), impossible = config_of(0, 2), vast = config_of(2000000000, 1);
    struct sl_trainer trainer;

    cr_assert_not(sl_sgd_new(&trainer, &sl_model_softmax, &config, &data, rows, 0, seed));
    cr_assert_not(sl_sgd_new(&trainer, &sl_model_softmax, &impossible, &data, rows, 50, seed));
    cr_assert_not(sl_sgd_new(&trainer, &sl_model_ridge, &vast, &data, rows, 50, seed));
}
