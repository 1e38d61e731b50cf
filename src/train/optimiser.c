/* SPDX-License-Identifier: MIT */
#include "train/optimiser.h"

#include <string.h>

struct sl_optimiser sl_optimiser_of(const struct sl_config *config, uint32_t dim)
{
    return (struct sl_optimiser){
        .lr = (float)config->train_lr, .momentum = (float)config->train_momentum, .weight_decay = (float)config->train_weight_decay, .dim = dim};
}

void sl_optimiser_take(struct sl_optimiser *optimiser, struct sl_arena *arena)
{
    if (optimiser->momentum > 0) optimiser->velocity = SL_TAKE(arena, float, optimiser->dim);
}

void sl_optimiser_start(const struct sl_optimiser *optimiser)
{
    if (optimiser->velocity) memset(optimiser->velocity, 0, optimiser->dim * sizeof *optimiser->velocity);
}

void sl_optimiser_step(const struct sl_optimiser *optimiser, float *weights, float *gradient)
{
    float *step = gradient;
    if (optimiser->weight_decay > 0)
        for (uint32_t i = 0; i < optimiser->dim; i++) step[i] += optimiser->weight_decay * weights[i];

    if (optimiser->velocity) {
        for (uint32_t i = 0; i < optimiser->dim; i++) optimiser->velocity[i] = optimiser->momentum * optimiser->velocity[i] + step[i];
        step = optimiser->velocity;
    }
    for (uint32_t i = 0; i < optimiser->dim; i++) weights[i] -= optimiser->lr * step[i];
}

void sl_optimiser_step_block(const struct sl_optimiser *optimiser, float *weights, const float *gradient, const uint32_t *block, uint32_t n_block)
{
    for (uint32_t k = 0; k < n_block; k++) {
        uint32_t i = block[k];
        float step = gradient[i];
        if (optimiser->weight_decay > 0) step += optimiser->weight_decay * weights[i];
        if (optimiser->velocity) step = optimiser->velocity[i] = optimiser->momentum * optimiser->velocity[i] + step;
        weights[i] -= optimiser->lr * step;
    }
}
