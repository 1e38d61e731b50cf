/* SPDX-License-Identifier: MIT */
#ifndef SL_SIM_STUB_H
#define SL_SIM_STUB_H

#include <stdbool.h>
#include <stdint.h>

#include "starling/model.h"
#include "starling/trainer.h"

/*
 * A model without data, for tests of the protocol and of scale: the loss of node i is half |w - t_i|^2 with a known optimum t_i, and training walks a
 * fixed share of the way. With unit record it adds a little noise from the job's key, enough to see a key that is used twice; with unit node all that was
 * charged, since cohorts look for it. All arithmetic is plain, in a fixed order, so every compiler gives the same bits.
 */

/* dim = shape->n_features. A row of a batch is an optimum; rmse and loss are taken over rows. */
extern const struct sl_model sl_model_stub;

struct sl_stub {
    uint32_t dim;
    float *optimum;              /* owned */
    double step;                 /* share of the way to the optimum per job, 0 .. 1 */
};

/* Optimum of a node: dim numbers in [-1, 1), from the seed. False when memory is short. */
bool sl_stub_init(struct sl_stub *stub, uint32_t dim, double step, uint64_t seed, uint32_t node);
void sl_stub_finish(struct sl_stub *stub);

/* A trainer over the stub, which must outlive it. */
struct sl_trainer sl_stub_trainer(struct sl_stub *stub);

#endif
