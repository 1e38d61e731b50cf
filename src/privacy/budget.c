/* SPDX-License-Identifier: MIT */
#include "privacy/budget.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

#include "base/limits.h"
#include "privacy/discrete_gaussian.h"
#include "starling/error.h"

enum { DEVIATION_MIN = 8, HONEST_MAX = 1 << 16 };

#define NOISE_MAX 256                            /* what the sampler can do at a clip norm of 2^20 */
#define ROUNDS_MAX UINT64_C(1000000000)

uint64_t sl_q64(double q)
{
    return q >= 1 ? SL_Q64_ONE : (uint64_t)ldexp(q, 64);
}

double sl_q_of(uint64_t q64)
{
    return q64 == SL_Q64_ONE ? 1 : ldexp((double)q64, -64);
}

uint64_t sl_sensitivity(enum sl_adjacency adjacency)
{
    return UINT64_C(1) << (adjacency == SL_ADJACENCY_REPLACE ? SL_SCALE_BITS + 1 : SL_SCALE_BITS);
}

/* 1 / (2 z^2), from the integers of the mechanism. */
static double u_of(const struct sl_charge *charge, uint32_t honest)
{
    double sensitivity = (double)charge->sensitivity;
    return sensitivity * sensitivity / (2. * honest * (double)charge->sigma2);
}

/* ---- what can be charged ---- */

static bool is_unit_sound(const struct sl_charge *charge)
{
    bool is_record = charge->unit == SL_UNIT_RECORD && charge->adjacency == SL_ADJACENCY_ADD_REMOVE && charge->mechanism == SL_MECHANISM_POISSON;
    bool is_node = charge->unit == SL_UNIT_NODE && (charge->adjacency == SL_ADJACENCY_ZERO_OUT || charge->adjacency == SL_ADJACENCY_REPLACE) &&
                   (charge->mechanism == SL_MECHANISM_GAUSSIAN || charge->mechanism == SL_MECHANISM_COHORT);
    /* A node takes part as a whole: its peers see that, so nothing is sampled. */
    bool is_sampling_sound = is_record ? charge->q64 > 0 : charge->q64 == SL_Q64_ONE && charge->steps == 1;
    return (is_record || is_node) && is_sampling_sound && charge->steps >= 1 && charge->steps <= SL_STEPS_MAX;
}

/* z lies within the limits; rounding the variance up to an integer may lift it a little beyond 256. */
static bool is_noise_sound(const struct sl_charge *charge)
{
    uint64_t sensitivity = sl_sensitivity(charge->adjacency);
    if (charge->sensitivity != sensitivity || charge->sigma2 > SL_SIGMA2_MAX) return false;

    double z = sqrt(charge->honest * (double)charge->sigma2) / (double)sensitivity, deviation = sqrt((double)charge->sigma2);
    bool is_share_sound = charge->mechanism != SL_MECHANISM_COHORT || deviation >= DEVIATION_MIN;
    return z >= SL_ACCOUNTANT_NOISE_MIN && z <= NOISE_MAX * (1 + 1e-9) && is_share_sound;
}

static bool is_audit_sound(const struct sl_charge *charge)
{
    if (charge->audit_rows == 0) return charge->dim == 0 && charge->kappa == 0;
    return charge->mechanism == SL_MECHANISM_COHORT && charge->audit_rows >= SL_AUDIT_ROWS && charge->dim >= SL_AUDIT_DIM_MIN &&
           charge->audit_rows <= charge->dim && charge->kappa >= SL_AUDIT_KAPPA;
}

int sl_charge_check(const struct sl_charge *charge)
{
    bool is_cohort = charge->mechanism == SL_MECHANISM_COHORT;
    bool is_honest_sound = is_cohort ? charge->honest >= 1 && charge->honest <= HONEST_MAX : charge->honest == 1;
    bool is_sound = is_unit_sound(charge) && is_honest_sound && is_noise_sound(charge) && is_audit_sound(charge);
    return is_sound ? SL_OK : SL_ERROR_OUT_OF_RANGE;
}

/* ---- sums ---- */

void sl_budget_init(struct sl_budget *budget)
{
    *budget = (struct sl_budget){0};
}

static bool is_same(const struct sl_charge *a, const struct sl_charge *b)
{
    return a->unit == b->unit && a->adjacency == b->adjacency && a->mechanism == b->mechanism && a->q64 == b->q64 && a->sigma2 == b->sigma2 &&
           a->sensitivity == b->sensitivity && a->steps == b->steps && a->honest == b->honest && a->audit_rows == b->audit_rows && a->dim == b->dim &&
           a->kappa == b->kappa;
}

/* The divergences of a whole round; a charge of sigma2 0 is none, so an empty cache is like no charge. */
static void fill_cache(struct sl_budget *budget, const struct sl_charge *charge)
{
    assert(sl_charge_check(charge) == SL_OK);
    if (is_same(&budget->last, charge)) return;

    struct sl_rdp step;
    const double steps = (double)charge->steps, factor = sl_audit_factor(charge->honest, charge->audit_rows, charge->dim, charge->kappa);
    budget->last = *charge;
    budget->last_sum = budget->last_floor = (struct sl_rdp){{0}};
    sl_rdp_step(sl_q_of(charge->q64), u_of(charge, charge->honest), &step);
    sl_rdp_add(&budget->last_sum, &step, steps * factor);

    /* All others colluding, only the own share is left; they see it anyway, so an audit adds nothing. */
    sl_rdp_step(sl_q_of(charge->q64), u_of(charge, 1), &step);
    sl_rdp_add(&budget->last_floor, &step, steps);
}

void sl_budget_add(struct sl_budget *budget, const struct sl_charge *charge)
{
    fill_cache(budget, charge);
    sl_rdp_add(&budget->sum, &budget->last_sum, 1);
    sl_rdp_add(&budget->floor, &budget->last_floor, 1);
    budget->n_charges++;
    budget->n_audited += charge->audit_rows > 0;
}

double sl_budget_epsilon(const struct sl_budget *budget, double delta)
{
    double left = delta - SL_AUDIT_DELTA * (double)budget->n_audited;
    return left >= delta / 2 ? sl_epsilon(&budget->sum, left, NULL) : INFINITY;
}

double sl_budget_floor(const struct sl_budget *budget, double delta)
{
    return sl_epsilon(&budget->floor, delta, NULL);
}

/* ---- what is left ---- */

static bool fits(const struct sl_budget *budget, const struct sl_charge *charge, uint64_t rounds, const struct sl_limits *limits)
{
    struct sl_budget after = {.sum = budget->sum, .floor = budget->floor, .n_audited = budget->n_audited + (charge->audit_rows > 0 ? rounds : 0)};
    sl_rdp_add(&after.sum, &budget->last_sum, (double)rounds);
    sl_rdp_add(&after.floor, &budget->last_floor, (double)rounds);
    bool is_within_floor = !(limits->floor_max > 0) || sl_budget_floor(&after, limits->delta) <= limits->floor_max;
    return is_within_floor && sl_budget_epsilon(&after, limits->delta) <= limits->eps_max;
}

uint64_t sl_budget_rounds_left(struct sl_budget *budget, const struct sl_charge *charge, const struct sl_limits *limits)
{
    fill_cache(budget, charge);
    uint64_t low = 0, high = 1;                  /* low fits, or is 0; high does not, from the first loop on */
    while (high <= ROUNDS_MAX && fits(budget, charge, high, limits)) {
        low = high;
        high *= 2;
    }
    if (low == 0) return 0;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (fits(budget, charge, middle, limits)) low = middle;
        else high = middle;
    }
    return low < ROUNDS_MAX ? low : ROUNDS_MAX;
}
