/* SPDX-License-Identifier: MIT */
#include "train/dp_sgd.h"

#include <stdlib.h>

#include "base/vec.h"
#include "privacy/budget.h"
#include "starling/error.h"
#include "train/gradient_sum.h"
#include "train/optimiser.h"
#include "train/private_job.h"

enum { GROUP_ROWS = SL_GRADIENT_ROWS };

/* One heap block: this, and the arrays behind it. */
struct dp_sgd {
    struct sl_private_job private;
    struct sl_optimiser optimiser;
    struct sl_gradient_sum sum;
    double unit;                     /* what one unit of the sum moves a gradient by: clip / (2^20 batch) */
    uint32_t *drawn;                 /* GROUP_ROWS */
};

static struct dp_sgd plan(const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data, uint32_t n_rows)
{
    struct dp_sgd dp = {
        .private = sl_private_job_plan(model, config, data, n_rows, GROUP_ROWS),
        .sum = sl_gradient_sum_of(model, &config->shape, config->privacy_clip),
        .unit = config->privacy_clip / ((double)(UINT64_C(1) << SL_SCALE_BITS) * config->privacy_batch),
    };
    dp.optimiser = sl_optimiser_of(config, dp.private.own.dim);
    return dp;
}

static struct dp_sgd *carve(struct sl_arena *arena, struct dp_sgd *plan)
{
    struct dp_sgd *dp = SL_TAKE(arena, struct dp_sgd, 1);
    sl_private_job_take(&plan->private, arena);
    sl_optimiser_take(&plan->optimiser, arena);
    sl_gradient_sum_take(&plan->sum, arena);
    plan->drawn = SL_TAKE(arena, uint32_t, GROUP_ROWS);
    sl_private_job_take_secrets_end(&plan->private, arena);
    return dp;
}

static bool takes_part(struct sl_noise *noise, uint64_t q64)
{
    return q64 == SL_Q64_ONE || sl_noise_word(noise) < q64;
}

static void add_drawn(struct dp_sgd *dp, const float *weights, uint32_t n_drawn)
{
    const struct sl_own_rows *own = &dp->private.own;
    struct sl_batch batch = sl_own_rows_gather(own, dp->drawn, n_drawn);
    sl_gradient_sum_add(&dp->sum, weights, &batch, sl_arena_over(own->scratch, own->scratch_size));
}

static void sum_sample(struct dp_sgd *dp, const struct sl_job *job)
{
    const struct sl_own_rows *own = &dp->private.own;
    uint32_t n_drawn = 0;
    sl_gradient_sum_start(&dp->sum);
    for (uint32_t i = 0; i < own->n_training; i++) {
        if (takes_part(dp->private.noise, job->round.q64)) dp->drawn[n_drawn++] = own->rows[own->n_kept + i];
        if (n_drawn == GROUP_ROWS) {
            add_drawn(dp, job->weights, n_drawn);
            n_drawn = 0;
        }
    }
    if (n_drawn > 0) add_drawn(dp, job->weights, n_drawn);
    sl_gradient_sum_finish(&dp->sum);
}

/* From the noise on, everything is a function of what may be known. */
static int step(struct dp_sgd *dp, const struct sl_job *job)
{
    sum_sample(dp, job);
    int error = sl_private_job_add_noise(&dp->private, dp->sum.total, job->dim);
    if (error != SL_OK) return error;

    float *gradient = dp->sum.gradient;
    for (uint32_t j = 0; j < job->dim; j++) gradient[j] = (float)((double)dp->sum.total[j] * dp->unit);
    sl_optimiser_step(&dp->optimiser, job->weights, gradient);
    return SL_OK;
}

static void train(struct dp_sgd *dp, const struct sl_job *job, struct sl_job_result *result)
{
    sl_optimiser_start(&dp->optimiser);
    while (result->n_steps < job->round.steps && result->error == SL_OK) {
        result->error = step(dp, job);
        result->n_steps++;
    }
    if (result->error == SL_OK && !sl_vec_finite(job->weights, job->dim)) result->error = SL_ERROR_NOT_FINITE;
    if (result->error != SL_OK) sl_private_job_restore(&dp->private, job->weights);
}

static void run(void *context, const struct sl_job *job, struct sl_job_result *out)
{
    struct dp_sgd *dp = context;
    uint64_t start_us = sl_cpu_now_us();
    struct sl_job_result result = sl_private_job_begin(&dp->private, job);
    if (result.error == SL_OK && job->type == SL_JOB_TRAIN) train(dp, job, &result);

    sl_private_job_wipe(&dp->private);
    result.cpu_us = sl_cpu_now_us() - start_us;
    *out = result;
}

static void destroy(struct sl_trainer *trainer)
{
    free(trainer->context);
    *trainer = (struct sl_trainer){0};
}

bool sl_dp_sgd_new(struct sl_trainer *out, const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data,
                   const uint32_t *rows, uint32_t n_rows, const uint8_t seed[32])
{
    struct dp_sgd plan_of = plan(model, config, data, n_rows);
    if (plan_of.private.own.dim == 0) return false;

    struct sl_arena counting = sl_arena_over(NULL, SIZE_MAX);
    carve(&counting, &plan_of);

    void *block = malloc(counting.used);
    if (!block) return false;

    plan_of = plan(model, config, data, n_rows);
    struct sl_arena arena = sl_arena_over(block, counting.used);
    struct dp_sgd *dp = carve(&arena, &plan_of);
    if (!dp || !plan_of.private.own.scratch) {          /* a size beyond what can be counted */
        free(block);
        return false;
    }

    *dp = plan_of;
    sl_private_job_settle(&dp->private, config, rows, seed);
    bool is_configured = config->privacy_clip >= 1e-6 && config->privacy_clip <= 1e6 && config->privacy_batch > 0;
    if (!is_configured) dp->private.error = SL_ERROR_BAD_ARGUMENT;
    *out = (struct sl_trainer){.context = dp, .run = run, .destroy = destroy};
    return true;
}
