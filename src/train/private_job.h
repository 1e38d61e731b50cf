/* SPDX-License-Identifier: MIT */
#ifndef SL_TRAIN_PRIVATE_JOB_H
#define SL_TRAIN_PRIVATE_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "privacy/discrete_gaussian.h"
#include "starling/arena.h"
#include "starling/config.h"
#include "starling/trainer.h"
#include "train/own_rows.h"

/*
 * What the two private trainers share: when a job is refused, the noise of one job, weights that come home as they were when it fails, memory that is wiped,
 * and silence about the data.
 */
struct sl_private_job {
    struct sl_own_rows own;
    int error;                                       /* why the data cannot be learned from; SL_OK */
    uint32_t n_records;                              /* the public figure */
    bool shows_own_accuracy;                         /* the owner asked for it */

    float *before;                                   /* dim: the weights as lent */
    struct sl_noise *noise;
    void *sampler_memory;                            /* public, and kept for the next job of the same variance */
    uint64_t sampler_sigma2;
    struct sl_discrete_gaussian *sampler;

    uint8_t *secrets;                                /* everything that private data goes through: one piece of memory */
    size_t secrets_size;
};

/* The buffers do not depend on which rows are kept back. */
struct sl_private_job sl_private_job_plan(const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data, uint32_t n_rows,
                                          uint32_t batch_rows);

/* The trainer's own secrets are taken between the two, all of them at once. */
void sl_private_job_take(struct sl_private_job *job, struct sl_arena *arena);
void sl_private_job_take_secrets_end(struct sl_private_job *job, struct sl_arena *arena);

/* Decides who is kept back, and whether the model suits the data. */
void sl_private_job_settle(struct sl_private_job *job, const struct sl_config *config, const uint32_t *rows, const uint8_t seed[32]);

/*
 * The answer to a job, before it trains: a public number of rows, no loss, a score only where the owner asked for it. For a training job the noise is ready
 * and `before` is filled when no error stands in it. SL_ERROR_BAD_ARGUMENT: nothing was charged, or noise without variance; SL_ERROR_RNG: no key. Nothing
 * private was read then.
 */
struct sl_job_result sl_private_job_begin(struct sl_private_job *private, const struct sl_job *job);

/* sum[j] += noise. SL_ERROR_RNG. */
int sl_private_job_add_noise(struct sl_private_job *private, int64_t *sum, uint32_t n);

void sl_private_job_restore(const struct sl_private_job *private, float *weights);
void sl_private_job_wipe(struct sl_private_job *private);

#endif
