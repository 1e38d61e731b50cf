/* SPDX-License-Identifier: MIT */
/* Settings of unit record from an epsilon. */
#include "cli_plan_record.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli_privacy_noise.h"
#include "config/plan.h"
#include "starling/error.h"

/*
 * What an epoch costs: every record of a step takes a pass forward and back over the weights, clipped on the way; every weight takes one sample of noise.
 * tools/bench/dp_sgd.c measures both; this is a quarter more than one core of a desktop took. A Raspberry Pi takes some four times as long.
 */
static const double gradient_s = 2.5e-10, noise_s = 2.5e-8, epoch_s_max = .3;    /* for each weight */

static const uint32_t steps_max = 10;            /* of an epoch */
static const double steps_wanted = 300;          /* of all epochs: few steps learn little, many cost noise */

static const double ratio_max = 20;              /* of noise to signal in a step; at 7 MNIST loses three points of accuracy */

static double step_s(double batch, uint32_t dim)
{
    return batch * dim * gradient_s + dim * noise_s;
}

/*
 * Large batches pay: their noise is the same, and divided by more. But so much of the data in every step costs epsilon again, and time. In between the
 * square root: 120 of 600 records (q = .2), 380 of 6,000 (.06), 1,200 of 60,000 (.02).
 */
static void choose_batch(struct cli_plan_record *plan)
{
    const double records = (double)plan->records, room = (epoch_s_max / plan->dim - noise_s) / gradient_s;
    double batch = fmin(120 * sqrt(records / 600), .2 * records);
    batch = fmax(1, floor(fmin(batch, room) + .5));
    plan->batch = (uint32_t)fmin(batch, UINT32_MAX);
    plan->sampling_rate = fmin(1, batch / records);
}

static void choose_steps(struct cli_plan_record *plan)
{
    double affordable = floor(epoch_s_max / step_s(plan->batch, plan->dim)), wanted = ceil(steps_wanted / (double)plan->epochs);
    plan->steps = (uint32_t)fmax(1, fmin(fmin(affordable, wanted), steps_max));
    plan->epoch_cpu_s = plan->steps * step_s(plan->batch, plan->dim);
}

/* A step moves by a gradient of norm 1 at most, and by noise of norm z sqrt(dim) / B. */
static void find_doubt(struct cli_plan_record *plan)
{
    double ratio = plan->noise * sqrt(plan->dim) / plan->batch;
    if (ratio > ratio_max)
        snprintf(plan->doubt, sizeof plan->doubt,
                 "at epsilon %g with %llu records the noise of a step is %.0f times as large as what it can learn: expect a poor model; more records, fewer "
                 "epochs, a smaller model or a larger epsilon would help", plan->epsilon, (unsigned long long)plan->records, ratio);
}

int cli_plan_record(struct cli_plan_record *plan, char *why)
{
    bool is_sound = plan->records >= 1 && plan->records <= UINT32_MAX && plan->dim >= 1 && plan->epochs >= 1 && plan->epochs <= CLI_EPOCHS_MAX &&
                    plan->epsilon > 0 && plan->epsilon <= 1e3 && plan->delta >= SL_DELTA_MIN && plan->delta <= SL_DELTA_MAX;
    if (!is_sound)
        return snprintf(why, CLI_PLAN_WHY_SIZE, "a plan wants at least one record, one weight and one epoch, epsilon above 0 and delta between 1e-12 and 1e-2"),
               SL_ERROR_OUT_OF_RANGE;
    if (!(plan->delta * (double)plan->records < 1))
        return snprintf(why, CLI_PLAN_WHY_SIZE, "delta = %g is not below 1 / %llu records: publishing single records would count as private; lower it",
                        plan->delta, (unsigned long long)plan->records), SL_ERROR_OUT_OF_RANGE;

    struct sl_config config;
    struct cli_noise noise;
    sl_config_init(&config);
    plan->doubt[0] = 0;
    plan->clip = 1;
    choose_batch(plan);
    choose_steps(plan);
    snprintf(config.privacy_unit, sizeof config.privacy_unit, "record");
    config.privacy_sampling_rate = plan->sampling_rate;
    config.privacy_steps = plan->steps;
    int error = cli_noise_for(&config, 0, plan->epochs, plan->epsilon, plan->delta, &noise);
    plan->noise = noise.noise;
    plan->after = noise.epsilon;
    if (error || plan->noise > CLI_NOISE_MAX)
        return snprintf(why, CLI_PLAN_WHY_SIZE,
                        "epsilon %g for %llu epochs at delta %g would take more noise than the %d clip norms that are possible; choose a larger epsilon or "
                        "fewer epochs", plan->epsilon, (unsigned long long)plan->epochs, plan->delta, CLI_NOISE_MAX), SL_ERROR_OUT_OF_RANGE;
    find_doubt(plan);
    return SL_OK;
}
