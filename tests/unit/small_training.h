/* SPDX-License-Identifier: MIT */
#ifndef SL_TEST_SMALL_TRAINING_H
#define SL_TEST_SMALL_TRAINING_H

#include "base/rng.h"
#include "starling/trainer.h"

/* What tests of trainers share. */

/* Rows 0 .. n - 1 of two features, in two clouds that overlap a little; the label tells which. */
static inline void fill_two_clouds(uint32_t n, uint32_t *rows, float *features, float *labels, const uint8_t seed[32])
{
    struct sl_rng rng;
    sl_rng_init(&rng, seed);
    for (uint32_t i = 0; i < n; i++) {
        rows[i] = i;
        labels[i] = (float)(i % 2);
        features[2 * i] = (float)(sl_rng_normal(&rng) + 4 * labels[i] - 2);
        features[2 * i + 1] = (float)sl_rng_normal(&rng);
    }
}

static inline struct sl_job_result run_once(const struct sl_trainer *trainer, const struct sl_job *job)
{
    struct sl_job_result result;
    trainer->run(trainer->context, job, &result);
    return result;
}

#endif
