/* SPDX-License-Identifier: MIT */
#ifndef STARLING_TRAINER_H
#define STARLING_TRAINER_H

#include <stdint.h>

#include "starling/model.h"

/*
 * Where a training job runs: a thread, the simulator's stub, another process. The node emits a job as an action and
 * lends its weights until the driver answers with SL_EVENT_DONE.
 */

enum sl_job_type { SL_JOB_TRAIN, SL_JOB_EVALUATE };

/* A charged use of private data (docs/privacy.md). All zero where privacy.unit is off. */
struct sl_round {
    uint64_t q64;            /* sampling rate q = q64 * 2^-64; all bits set: 1 */
    uint64_t sigma2;         /* variance of the noise per coordinate, where the clip norm is 2^20 */
    uint32_t steps;          /* noised optimiser steps (unit record) */
};

struct sl_job {
    uint32_t number;         /* counts up, 0 means "no job" */
    enum sl_job_type type;
    uint64_t epoch;
    float *weights;          /* dim floats, trained in place; lent until DONE */
    uint32_t dim;
    uint8_t seed[32];        /* randomness of this job (order of rows), fresh for every job; never of noise */
    struct sl_round round;   /* what was charged for it; the trainer does exactly this */
    const uint32_t *block;   /* unit node: the coordinates that may change, ascending; lent until DONE. NULL: all */
    uint32_t n_block;
    int32_t *release;        /* unit node: n_block integers, the noised delta; lent until DONE. On DONE `weights` are as they were lent. NULL elsewhere */
    uint8_t noise_key[32];   /* zero as the node emits it: the driver puts a fresh key in, which serves this job alone, and wipes its copies */
};

struct sl_job_result {
    uint32_t number;         /* of the job */
    int error;               /* SL_OK, or why the weights must not be used */
    uint32_t n_steps;        /* optimiser steps done */
    uint32_t n_rows;         /* training rows of this node; with privacy the public figure privacy.records */
    double loss;             /* mean loss over the steps; never leaves the node; with privacy 0: it is not computed */
    struct sl_score own;     /* the weights as lent, before training, on this node's kept-back rows; n_rows 0 = none */
    uint64_t cpu_us;
};

struct sl_trainer {
    void *context;
    void (*run)(void *context, const struct sl_job *job, struct sl_job_result *out);
    void (*destroy)(struct sl_trainer *trainer);      /* may be NULL */
};

#endif
