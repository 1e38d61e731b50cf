/* SPDX-License-Identifier: MIT */
#include "train/private_job.h"

#include <assert.h>
#include <string.h>

#include "base/rng.h"
#include "config/plan.h"
#include "starling/error.h"

/* Rows for scoring are asked for where they are ever scored; how many there will be is not known yet, and their number is no matter of the buffers. */
struct sl_private_job sl_private_job_plan(const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data, uint32_t n_rows,
                                          uint32_t batch_rows)
{
    bool shows = sl_shows_own_accuracy(config);
    return (struct sl_private_job){
        .own = sl_own_rows_plan(model, config, data, shows ? n_rows : 0, shows ? 0 : n_rows, batch_rows),
        .n_records = config->privacy_records, .shows_own_accuracy = shows,
    };
}

void sl_private_job_take(struct sl_private_job *private, struct sl_arena *arena)
{
    sl_own_rows_take_list(&private->own, arena);
    private->before = SL_TAKE(arena, float, private->own.dim);
    private->noise = SL_RESERVE(arena, struct sl_noise, 1);
    private->sampler_memory = sl_arena_reserve(arena, sl_discrete_gaussian_size(), 1, alignof(max_align_t));

    private->secrets = sl_arena_take(arena, 0, 1, alignof(max_align_t));
    private->secrets_size = arena->used;
    sl_own_rows_take_buffers(&private->own, arena);
}

void sl_private_job_take_secrets_end(struct sl_private_job *private, struct sl_arena *arena)
{
    private->secrets_size = arena->used - private->secrets_size;
}

void sl_private_job_settle(struct sl_private_job *private, const struct sl_config *config, const uint32_t *rows, const uint8_t seed[32])
{
    sl_own_rows_toss(&private->own, rows, config->data_holdback, seed);
    private->error = sl_own_rows_check(&private->own);
}

static int refusal(const struct sl_private_job *private, const struct sl_job *job)
{
    static const uint8_t no_key[32];
    if (private->error != SL_OK || job->type != SL_JOB_TRAIN) return private->error;
    if (job->round.q64 == 0 || job->round.sigma2 == 0 || job->round.sigma2 > SL_SIGMA2_MAX || job->round.steps == 0) return SL_ERROR_BAD_ARGUMENT;

    return memcmp(job->noise_key, no_key, sizeof no_key) == 0 ? SL_ERROR_RNG : SL_OK;
}

static int start_noise(struct sl_private_job *private, const struct sl_job *job)
{
    if (private->sampler_sigma2 != job->round.sigma2) {
        private->sampler_sigma2 = 0;
        int error = sl_discrete_gaussian_init(private->sampler_memory, job->round.sigma2, &private->sampler);
        if (error != SL_OK) return error;
    }
    private->sampler_sigma2 = job->round.sigma2;
    sl_noise_init(private->noise, job->noise_key);
    return SL_OK;
}

struct sl_job_result sl_private_job_begin(struct sl_private_job *private, const struct sl_job *job)
{
    assert(job->dim == private->own.dim);

    struct sl_job_result result = {.number = job->number, .error = refusal(private, job), .n_rows = private->n_records};
    if (result.error != SL_OK) return result;

    if (private->shows_own_accuracy) result.own = sl_own_rows_score(&private->own, job->weights);
    if (job->type == SL_JOB_TRAIN) {
        memcpy(private->before, job->weights, private->own.dim * sizeof *private->before);
        result.error = start_noise(private, job);
    }
    return result;
}

int sl_private_job_add_noise(struct sl_private_job *private, int64_t *sum, uint32_t n)
{
    return sl_discrete_gaussian_add(private->sampler, private->noise, sum, n);
}

void sl_private_job_restore(const struct sl_private_job *private, float *weights)
{
    memcpy(weights, private->before, private->own.dim * sizeof *weights);
}

void sl_private_job_wipe(struct sl_private_job *private)
{
    sl_noise_wipe(private->noise);
    sl_wipe(private->secrets, private->secrets_size);
}
