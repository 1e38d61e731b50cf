/* SPDX-License-Identifier: MIT */
#include "cli_privacy_noise.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "config/plan.h"
#include "data/number.h"
#include "starling/error.h"

/* To a number of 8 digits, never smaller: what is written into a file reads back the same. */
static double round_up(double value)
{
    char text[32];
    double exponent = floor(log10(value)) - 7, rounded = value;
    snprintf(text, sizeof text, "%.0fe%.0f", ceil(value / pow(10, exponent)), exponent);
    return sl_number_parse(text, &rounded) && rounded >= value ? rounded : value;
}

static struct sl_charge charge_of(const struct sl_config *config, double noise, uint32_t n_block)
{
    struct sl_config with = *config;
    with.privacy_noise = with.privacy_node_noise = noise;
    return sl_charge_of(&with, n_block);
}

/* What so many epochs come to. Beyond the noise that a node takes there are no integers, so this goes by the real numbers, which are the same to 12 digits. */
static void count(const struct sl_charge *like, uint64_t epochs, double delta, struct cli_noise *out)
{
    struct sl_rdp step, sum = {{0}}, floor = {{0}};
    const double z = ldexp(out->noise, SL_SCALE_BITS) / (double)like->sensitivity, u = 1 / (2 * z * z), times = (double)epochs * (double)like->steps;
    sl_rdp_step(sl_q_of(like->q64), u, &step);
    sl_rdp_add(&sum, &step, times * out->audit_factor);
    sl_rdp_step(sl_q_of(like->q64), u * like->honest, &step);
    sl_rdp_add(&floor, &step, times);
    out->epsilon = sl_epsilon(&sum, delta - (like->audit_rows > 0 ? (double)epochs * SL_AUDIT_DELTA : 0), NULL);
    out->floor = sl_epsilon(&floor, delta, NULL);
}

/* Whether a node would find room for all of them: it adds charge to charge, from integers. */
static bool has_room(const struct sl_config *config, uint32_t n_block, uint64_t epochs, const struct sl_limits *limits, double noise)
{
    struct sl_budget budget;
    struct sl_charge charge = charge_of(config, noise, n_block);
    sl_budget_init(&budget);
    return sl_charge_check(&charge) == SL_OK && sl_budget_rounds_left(&budget, &charge, limits) >= epochs;
}

int cli_noise_for(const struct sl_config *config, uint32_t n_block, uint64_t epochs, double epsilon, double delta, struct cli_noise *out)
{
    const struct sl_charge like = charge_of(config, 1, n_block);
    const struct sl_limits limits = {.eps_max = epsilon, .delta = delta};
    const double left = delta - (like.audit_rows > 0 ? (double)epochs * SL_AUDIT_DELTA : 0), clip = ldexp(1, SL_SCALE_BITS);
    *out = (struct cli_noise){.audit_factor = sl_audit_factor(like.honest, like.audit_rows, like.dim, like.kappa)};
    if (!(left >= delta / 2)) return SL_ERROR_OUT_OF_RANGE;

    double z;
    int error = sl_noise_for(sl_q_of(like.q64), like.steps, out->audit_factor * (double)epochs, epsilon, left, &z);
    if (error) return error;

    out->noise = round_up(z * (double)like.sensitivity / clip);
    while (out->noise <= CLI_NOISE_MAX && !has_room(config, n_block, epochs, &limits, out->noise)) out->noise = round_up(out->noise * (1 + 1e-7));
    count(&like, epochs, delta, out);
    return SL_OK;
}
