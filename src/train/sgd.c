/* SPDX-License-Identifier: MIT */
#include "train/sgd.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "base/vec.h"
#include "starling/error.h"

enum { SCORE_ROWS_MAX = 256 };          /* kept-back rows scored at once: enough for BLAS, little for a process of a thousand trainers */

/* One heap block: this, and the arrays behind it. */
struct sgd {
    const struct sl_model *model;
    const struct sl_dataset *data;
    struct sl_shape shape;
    uint32_t dim;
    int error;                           /* why the data cannot be learned from; SL_OK */

    uint32_t n_steps_max, batch_rows;    /* rows of a step, no more than there are to train on */
    float lr, momentum, weight_decay;
    double lambda;

    uint32_t *rows;                      /* of data: the kept-back ones, then those to train on */
    uint32_t n_kept, n_training;
    uint32_t *order;                     /* n_training: the pass through the rows that is under way */
    float *gradient, *velocity;          /* dim; NULL where the model's fit or a momentum of zero does without */
    float *features, *labels;            /* buffer_rows rows, gathered from all over the data */
    uint32_t buffer_rows;
    void *scratch;
    size_t scratch_size;
};

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Leaves at least one row to train on. The tiny addend keeps 0.29 of 100 from becoming 28. */
static uint32_t kept_back(double share, uint32_t n_rows)
{
    uint32_t n_kept = (uint32_t)(share * n_rows + 1e-6);
    if (n_kept == 0 && share > 0 && n_rows >= 5) n_kept = 1;
    return smaller(n_kept, n_rows - 1);
}

static struct sgd plan(const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data, uint32_t n_rows)
{
    struct sgd sgd = {
        .model = model, .data = data, .shape = config->shape, .dim = model->dim(&config->shape),
        .n_steps_max = config->train_steps,
        .lr = (float)config->train_lr, .momentum = (float)config->train_momentum, .weight_decay = (float)config->train_weight_decay,
        .lambda = config->train_lambda,
        .n_kept = kept_back(config->data_holdback, n_rows),
    };
    sgd.n_training = n_rows - sgd.n_kept;
    sgd.batch_rows = model->fit ? sgd.n_training : smaller(config->train_batch, sgd.n_training);

    uint32_t score_rows = smaller(sgd.n_kept, SCORE_ROWS_MAX);
    sgd.buffer_rows = sgd.batch_rows > score_rows ? sgd.batch_rows : score_rows;
    sgd.scratch_size = model->scratch_size(&sgd.shape, sgd.buffer_rows);
    return sgd;
}

/* Called twice: over a counting arena to learn the size, then over the block. */
static struct sgd *carve(struct sl_arena *arena, struct sgd *plan)
{
    struct sgd *sgd = SL_TAKE(arena, struct sgd, 1);
    plan->rows = SL_TAKE(arena, uint32_t, (size_t)plan->n_kept + plan->n_training);
    if (!plan->model->fit) {
        plan->order = SL_TAKE(arena, uint32_t, plan->n_training);
        plan->gradient = SL_TAKE(arena, float, plan->dim);
        if (plan->momentum > 0) plan->velocity = SL_TAKE(arena, float, plan->dim);
    }
    plan->features = SL_TAKE(arena, float, (size_t)plan->buffer_rows * plan->data->n_features);
    plan->labels = SL_TAKE(arena, float, plan->buffer_rows);
    plan->scratch = sl_arena_take(arena, plan->scratch_size, 1, alignof(max_align_t));
    return sgd;
}

static int check_data(const struct sgd *sgd)
{
    if (sgd->data->n_features != sgd->shape.n_features) return SL_ERROR_MISMATCH;
    if (sgd->model->task != SL_TASK_CLASSIFY) return SL_OK;

    for (uint32_t i = 0; i < sgd->n_kept + sgd->n_training; i++) {
        float label = sgd->data->labels[sgd->rows[i]];
        bool is_class = label >= 0 && label < (float)sgd->shape.n_outputs;
        if (!is_class) return SL_ERROR_OUT_OF_RANGE;
    }
    return SL_OK;
}

static struct sl_batch gather(const struct sgd *sgd, const uint32_t *rows, uint32_t n_rows)
{
    assert(n_rows <= sgd->buffer_rows);

    size_t n_features = sgd->data->n_features;
    for (uint32_t i = 0; i < n_rows; i++) {
        memcpy(sgd->features + i * n_features, sgd->data->features + rows[i] * n_features, n_features * sizeof(float));
        sgd->labels[i] = sgd->data->labels[rows[i]];
    }
    return (struct sl_batch){.features = sgd->features, .labels = sgd->labels, .n_rows = n_rows, .n_features = sgd->data->n_features};
}

static struct sl_score score_kept_rows(const struct sgd *sgd, const float *weights)
{
    struct sl_score sum = {0};
    double squares = 0;
    for (uint32_t first = 0; first < sgd->n_kept; first += sgd->buffer_rows) {
        struct sl_batch part = gather(sgd, sgd->rows + first, smaller(sgd->n_kept - first, sgd->buffer_rows));
        struct sl_arena scratch = sl_arena_over(sgd->scratch, sgd->scratch_size);
        struct sl_score score;
        sgd->model->evaluate(&sgd->shape, weights, &part, &scratch, &score);
        sum.loss += score.loss * part.n_rows;
        sum.accuracy += score.accuracy * part.n_rows;
        squares += score.rmse * score.rmse * part.n_rows;
    }
    if (sgd->n_kept == 0) return sum;

    return (struct sl_score){
        .loss = sum.loss / sgd->n_kept, .accuracy = sum.accuracy / sgd->n_kept, .rmse = sqrt(squares / sgd->n_kept), .n_rows = sgd->n_kept};
}

/* velocity = momentum velocity + gradient + decay weights; weights -= lr velocity. Biases decay like all other weights. */
static void descend(const struct sgd *sgd, float *weights)
{
    float *step = sgd->gradient;
    if (sgd->weight_decay > 0)
        for (uint32_t i = 0; i < sgd->dim; i++) step[i] += sgd->weight_decay * weights[i];

    if (sgd->velocity) {
        for (uint32_t i = 0; i < sgd->dim; i++) sgd->velocity[i] = sgd->momentum * sgd->velocity[i] + step[i];
        step = sgd->velocity;
    }
    for (uint32_t i = 0; i < sgd->dim; i++) weights[i] -= sgd->lr * step[i];
}

/* The last batch of a pass is shorter when the rows do not divide evenly, so every pass sees each row once. */
static void train_by_steps(const struct sgd *sgd, const struct sl_job *job, struct sl_job_result *result)
{
    struct sl_rng root, rng;
    sl_rng_init(&root, job->seed);
    rng = sl_rng_fork(&root, "order", 0);
    memcpy(sgd->order, sgd->rows + sgd->n_kept, sgd->n_training * sizeof *sgd->order);
    if (sgd->velocity) memset(sgd->velocity, 0, sgd->dim * sizeof *sgd->velocity);

    double loss = 0;
    uint32_t next = sgd->n_training;
    while (result->n_steps < sgd->n_steps_max && isfinite(loss)) {
        if (next == sgd->n_training) {
            sl_rng_shuffle(&rng, sgd->order, sgd->n_training);
            next = 0;
        }
        struct sl_batch batch = gather(sgd, sgd->order + next, smaller(sgd->n_training - next, sgd->batch_rows));
        struct sl_arena scratch = sl_arena_over(sgd->scratch, sgd->scratch_size);
        loss += sgd->model->gradient(&sgd->shape, job->weights, &batch, &scratch, sgd->gradient);
        descend(sgd, job->weights);
        next += batch.n_rows;
        result->n_steps++;
    }
    if (result->n_steps > 0) result->loss = loss / result->n_steps;
}

/* One closed-form step; its loss is, as with the others, the one before the step. */
static void train_by_fit(const struct sgd *sgd, const struct sl_job *job, struct sl_job_result *result)
{
    struct sl_batch batch = gather(sgd, sgd->rows + sgd->n_kept, sgd->n_training);
    struct sl_arena scratch = sl_arena_over(sgd->scratch, sgd->scratch_size);
    struct sl_score before;
    sgd->model->evaluate(&sgd->shape, job->weights, &batch, &scratch, &before);
    result->loss = before.loss;
    result->error = sgd->model->fit(&sgd->shape, job->weights, &batch, sgd->lambda, &scratch);
    result->n_steps = result->error == SL_OK;
}

static uint64_t cpu_now_us(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return 0;

    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void train(const struct sgd *sgd, const struct sl_job *job, struct sl_job_result *result)
{
    if (sgd->model->fit)
        train_by_fit(sgd, job, result);
    else
        train_by_steps(sgd, job, result);

    bool is_usable = isfinite(result->loss) && sl_vec_finite(job->weights, sgd->dim);
    if (result->error == SL_OK && !is_usable) result->error = SL_ERROR_NOT_FINITE;
}

static void run(void *context, const struct sl_job *job, struct sl_job_result *out)
{
    const struct sgd *sgd = context;
    assert(job->dim == sgd->dim);

    uint64_t start_us = cpu_now_us();
    struct sl_job_result result = {.number = job->number, .error = sgd->error, .n_rows = sgd->n_training};
    if (result.error == SL_OK) {
        result.own = score_kept_rows(sgd, job->weights);
        if (job->type == SL_JOB_TRAIN) train(sgd, job, &result);
    }

    result.cpu_us = cpu_now_us() - start_us;
    *out = result;
}

static void destroy(struct sl_trainer *trainer)
{
    free(trainer->context);
    *trainer = (struct sl_trainer){0};
}

/* A random choice of n_kept rows comes to lie in front. */
static void choose_rows(struct sgd *sgd, const uint32_t *rows, uint32_t n_rows, const uint8_t seed[32])
{
    struct sl_rng root, rng;
    sl_rng_init(&root, seed);
    rng = sl_rng_fork(&root, "holdback", 0);

    for (uint32_t i = 0; i < n_rows; i++) {
        assert(rows[i] < sgd->data->n_rows);
        sgd->rows[i] = rows[i];
    }
    sl_rng_shuffle(&rng, sgd->rows, n_rows);
}

bool sl_sgd_new(struct sl_trainer *out, const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data,
                const uint32_t *rows, uint32_t n_rows, const uint8_t seed[32])
{
    if (n_rows == 0) return false;

    struct sgd plan_of = plan(model, config, data, n_rows);
    if (plan_of.dim == 0) return false;

    struct sl_arena counting = sl_arena_over(NULL, SIZE_MAX);
    carve(&counting, &plan_of);

    void *block = malloc(counting.used);
    if (!block) return false;

    struct sl_arena arena = sl_arena_over(block, counting.used);
    struct sgd *sgd = carve(&arena, &plan_of);
    if (!sgd || !plan_of.scratch) {          /* a size beyond what can be counted */
        free(block);
        return false;
    }

    *sgd = plan_of;
    choose_rows(sgd, rows, n_rows, seed);
    sgd->error = check_data(sgd);
    *out = (struct sl_trainer){.context = sgd, .run = run, .destroy = destroy};
    return true;
}
