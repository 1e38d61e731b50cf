/* SPDX-License-Identifier: MIT */
#include "train/sgd.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/vec.h"
#include "starling/error.h"
#include "train/optimiser.h"
#include "train/own_rows.h"

/* One heap block: this, and the arrays behind it. */
struct sgd {
    struct sl_own_rows own;
    struct sl_optimiser optimiser;
    int error;                           /* why the data cannot be learned from; SL_OK */

    uint32_t n_steps_max, batch_rows;    /* rows of a step, no more than there are to train on */
    double lambda;

    uint32_t *order;                     /* n_training: the pass through the rows that is under way */
    float *gradient;                     /* dim; NULL where the model's fit does without */
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
    uint32_t n_kept = kept_back(config->data_holdback, n_rows), n_training = n_rows - n_kept;
    struct sgd sgd = {
        .n_steps_max = config->train_steps, .lambda = config->train_lambda,
        .batch_rows = model->fit ? n_training : smaller(config->train_batch, n_training),
    };
    sgd.own = sl_own_rows_plan(model, config, data, n_kept, n_training, sgd.batch_rows);
    sgd.optimiser = sl_optimiser_of(config, sgd.own.dim);
    return sgd;
}

/* Called twice: over a counting arena to learn the size, then over the block. */
static struct sgd *carve(struct sl_arena *arena, struct sgd *plan)
{
    struct sgd *sgd = SL_TAKE(arena, struct sgd, 1);
    sl_own_rows_take_list(&plan->own, arena);
    if (!plan->own.model->fit) {
        plan->order = SL_TAKE(arena, uint32_t, plan->own.n_training);
        plan->gradient = SL_TAKE(arena, float, plan->own.dim);
        sl_optimiser_take(&plan->optimiser, arena);
    }
    sl_own_rows_take_buffers(&plan->own, arena);
    return sgd;
}

static void train_by_steps(const struct sgd *sgd, const struct sl_job *job, struct sl_job_result *result)
{
    struct sl_pass pass = sl_pass_start(&sgd->own, sgd->order, sgd->batch_rows, job->seed);
    sl_optimiser_start(&sgd->optimiser);

    double loss = 0;
    while (result->n_steps < sgd->n_steps_max && isfinite(loss)) {
        struct sl_batch batch = sl_pass_next(&pass);
        struct sl_arena scratch = sl_arena_over(sgd->own.scratch, sgd->own.scratch_size);
        loss += sgd->own.model->gradient(&sgd->own.shape, job->weights, &batch, &scratch, sgd->gradient);
        sl_optimiser_step(&sgd->optimiser, job->weights, sgd->gradient);
        result->n_steps++;
    }
    if (result->n_steps > 0) result->loss = loss / result->n_steps;
}

/* One closed-form step; its loss is, as with the others, the one before the step. */
static void train_by_fit(const struct sgd *sgd, const struct sl_job *job, struct sl_job_result *result)
{
    struct sl_batch batch = sl_own_rows_gather(&sgd->own, sgd->own.rows + sgd->own.n_kept, sgd->own.n_training);
    struct sl_arena scratch = sl_arena_over(sgd->own.scratch, sgd->own.scratch_size);
    struct sl_score before;
    sgd->own.model->evaluate(&sgd->own.shape, job->weights, &batch, &scratch, &before);
    result->loss = before.loss;
    result->error = sgd->own.model->fit(&sgd->own.shape, job->weights, &batch, sgd->lambda, &scratch);
    result->n_steps = result->error == SL_OK;
}

static void train(const struct sgd *sgd, const struct sl_job *job, struct sl_job_result *result)
{
    if (sgd->own.model->fit)
        train_by_fit(sgd, job, result);
    else
        train_by_steps(sgd, job, result);

    bool is_usable = isfinite(result->loss) && sl_vec_finite(job->weights, sgd->own.dim);
    if (result->error == SL_OK && !is_usable) result->error = SL_ERROR_NOT_FINITE;
}

static void run(void *context, const struct sl_job *job, struct sl_job_result *out)
{
    const struct sgd *sgd = context;
    assert(job->dim == sgd->own.dim);

    uint64_t start_us = sl_cpu_now_us();
    struct sl_job_result result = {.number = job->number, .error = sgd->error, .n_rows = sgd->own.n_training};
    if (result.error == SL_OK) {
        result.own = sl_own_rows_score(&sgd->own, job->weights);
        if (job->type == SL_JOB_TRAIN) train(sgd, job, &result);
    }

    result.cpu_us = sl_cpu_now_us() - start_us;
    *out = result;
}

static void destroy(struct sl_trainer *trainer)
{
    free(trainer->context);
    *trainer = (struct sl_trainer){0};
}

bool sl_sgd_new(struct sl_trainer *out, const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data,
                const uint32_t *rows, uint32_t n_rows, const uint8_t seed[32])
{
    if (n_rows == 0) return false;

    struct sgd plan_of = plan(model, config, data, n_rows);
    if (plan_of.own.dim == 0) return false;

    struct sl_arena counting = sl_arena_over(NULL, SIZE_MAX);
    carve(&counting, &plan_of);

    void *block = malloc(counting.used);
    if (!block) return false;

    struct sl_arena arena = sl_arena_over(block, counting.used);
    struct sgd *sgd = carve(&arena, &plan_of);
    if (!sgd || !plan_of.own.scratch) {          /* a size beyond what can be counted */
        free(block);
        return false;
    }

    *sgd = plan_of;
    sl_own_rows_choose(&sgd->own, rows, seed);
    sgd->error = sl_own_rows_check(&sgd->own);
    *out = (struct sl_trainer){.context = sgd, .run = run, .destroy = destroy};
    return true;
}
