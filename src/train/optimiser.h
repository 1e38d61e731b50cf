/* SPDX-License-Identifier: MIT */
#ifndef SL_TRAIN_OPTIMISER_H
#define SL_TRAIN_OPTIMISER_H

#include <stdint.h>

#include "starling/arena.h"
#include "starling/config.h"

/* Gradient descent with momentum and weight decay. Of a noised gradient it is post-processing: it costs no privacy. */

struct sl_optimiser {
    float lr, momentum, weight_decay;
    float *velocity;                     /* dim; NULL where there is no momentum */
    uint32_t dim;
};

struct sl_optimiser sl_optimiser_of(const struct sl_config *config, uint32_t dim);
void sl_optimiser_take(struct sl_optimiser *optimiser, struct sl_arena *arena);
void sl_optimiser_start(const struct sl_optimiser *optimiser);               /* momentum starts at zero */

/* velocity = momentum velocity + gradient + decay weights; weights -= lr velocity. Biases decay like all other weights. The gradient is used up. */
void sl_optimiser_step(const struct sl_optimiser *optimiser, float *weights, float *gradient);

/* The same, but only for the coordinates of a block. */
void sl_optimiser_step_block(const struct sl_optimiser *optimiser, float *weights, const float *gradient, const uint32_t *block, uint32_t n_block);

#endif
