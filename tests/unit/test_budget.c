/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/bits.h"
#include "base/limits.h"
#include "base/rng.h"
#include "privacy/budget.h"
#include "starling/error.h"

/* ---- charges ---- */

static struct sl_charge record_charge(double q, double z, uint64_t steps)
{
    return (struct sl_charge){.unit = SL_UNIT_RECORD, .adjacency = SL_ADJACENCY_ADD_REMOVE, .mechanism = SL_MECHANISM_POISSON,
                               .q64 = q >= 1 ? SL_Q64_ONE : (uint64_t)ldexp(q, 64), .sigma2 = (uint64_t)ceil(ldexp(z * z, 40)), .sensitivity = 1 << 20,
                               .steps = steps, .honest = 1};
}

static struct sl_charge cohort_charge(double z, uint32_t honest, uint32_t audited_dim)
{
    return (struct sl_charge){.unit = SL_UNIT_NODE, .adjacency = SL_ADJACENCY_ZERO_OUT, .mechanism = SL_MECHANISM_COHORT, .q64 = SL_Q64_ONE,
                               .sigma2 = (uint64_t)ceil(ldexp(z * z, 40) / honest), .sensitivity = 1 << 20, .steps = 1, .honest = honest,
                               .audit_rows = audited_dim ? SL_AUDIT_ROWS : 0, .dim = audited_dim, .kappa = audited_dim ? SL_AUDIT_KAPPA : 0};
}

static struct sl_charge replace_charge(double z, uint32_t honest)
{
    struct sl_charge charge = cohort_charge(z, honest, 0);
    charge.adjacency = SL_ADJACENCY_REPLACE;
    charge.sensitivity = 1 << 21;
    return charge;
}

static struct sl_budget budget_of(struct sl_charge charge, uint64_t n)
{
    struct sl_budget budget;
    sl_budget_init(&budget);
    for (uint64_t i = 0; i < n; i++) sl_budget_add(&budget, &charge);
    return budget;
}

static double epsilon_of(struct sl_charge charge, uint64_t n, double delta)
{
    struct sl_budget budget = budget_of(charge, n);
    return sl_budget_epsilon(&budget, delta);
}

static void near(double found, double wanted, double relative, const char *what)
{
    cr_assert(fabs(found - wanted) <= relative * fabs(wanted), "%s: %.17g, wanted %.17g", what, found, wanted);
}

static double plain_epsilon(double q, double z, double steps, double delta)
{
    struct sl_rdp step, sum = {{0}};
    sl_rdp_step(q, 1 / (2 * z * z), &step);
    sl_rdp_add(&sum, &step, steps);
    return sl_epsilon(&sum, delta, NULL);
}

Test(budget, a_charge_costs_what_the_accountant_says_of_its_numbers)
{
    near(epsilon_of(record_charge(.2, 3.84, 5), 30, 1e-5), plain_epsilon(.2, 3.84, 150, 1e-5), 1e-9, "record");
    near(epsilon_of(record_charge(1, 1, 1), 1, 1e-5), 4.752728337, 1e-9, "everything, once");
    near(epsilon_of(cohort_charge(4, 5, 0), 1, 1e-5), plain_epsilon(1, 4, 1, 1e-5), 1e-9, "cohort");
    struct sl_charge alone = cohort_charge(2, 1, 0);
    alone.mechanism = SL_MECHANISM_GAUSSIAN;
    near(epsilon_of(alone, 7, 1e-5), plain_epsilon(1, 2, 7, 1e-5), 1e-9, "alone");
}

Test(budget, different_charges_add_up)
{
    struct sl_budget budget;
    struct sl_charge first = record_charge(.01, 1, 500), second = record_charge(.02, 1.5, 500);
    sl_budget_init(&budget);
    cr_assert_eq(sl_budget_epsilon(&budget, 1e-5), 0, "nothing is spent yet");
    cr_assert_eq(sl_budget_floor(&budget, 1e-5), 0);
    sl_budget_add(&budget, &first);
    sl_budget_add(&budget, &second);
    near(sl_budget_epsilon(&budget, 1e-5), 2.147668342, 1e-9, "two kinds of steps");
    near(sl_budget_floor(&budget, 1e-5), 2.147668342, 1e-9, "and nobody else to trust");
    cr_assert_eq(budget.n_charges, 2);
    cr_assert_eq(budget.n_audited, 0);
}

Test(budget, thousands_of_equal_charges_are_added_from_memory)
{
    struct sl_charge charge = record_charge(.02, 1.02, 1), other = record_charge(.02, 1.02, 2);
    struct sl_budget budget = budget_of(charge, 10000);          /* at a full grid each this would take seconds */
    cr_assert_eq(budget.n_charges, 10000);
    near(sl_budget_epsilon(&budget, 1e-5), plain_epsilon(.02, 1.02, 10000, 1e-5), 1e-9, "10,000");
    sl_budget_add(&budget, &other);
    near(sl_budget_epsilon(&budget, 1e-5), plain_epsilon(.02, 1.02, 10002, 1e-5), 1e-9, "another charge is no cached one");
}

/* z = 4, delta 1e-5, one release: epsilon 1.01 for all; the floors by h. */
Test(budget, the_floor_counts_the_own_share_alone)
{
    static const struct { uint32_t honest; double floor; } known[] = {{2, 1.48}, {3, 1.85}, {4, 2.17}, {5, 2.45}, {8, 3.19}, {9, 3.41}, {16, 4.75},
                                                                      {32, 7.09}};
    for (uint32_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct sl_budget budget = budget_of(cohort_charge(4, known[i].honest, 0), 1);
        near(sl_budget_epsilon(&budget, 1e-5), 1.01, 6e-3, "epsilon");
        near(sl_budget_floor(&budget, 1e-5), known[i].floor, 4e-3, "floor");
        near(sl_budget_floor(&budget, 1e-5), plain_epsilon(1, 4 / sqrt(known[i].honest), 1, 1e-5), 1e-9, "floor");
    }
}

Test(budget, replacing_a_nodes_data_costs_as_much_as_half_the_noise)
{
    near(epsilon_of(replace_charge(20, 1), 100, 1e-6), 5.222428661, 1e-9, "replace");
    near(epsilon_of(replace_charge(8, 5), 20, 1e-5), epsilon_of(cohort_charge(4, 5, 0), 20, 1e-5), 1e-9, "half of z");
    struct sl_budget whole = budget_of(replace_charge(8, 5), 20), half = budget_of(cohort_charge(4, 5, 0), 20);
    near(sl_budget_floor(&whole, 1e-5), sl_budget_floor(&half, 1e-5), 1e-9, "the floor too");
}

Test(budget, an_audit_multiplies_the_loss_and_takes_some_of_delta)
{
    struct sl_rdp step, sum = {{0}};
    struct sl_charge audited = cohort_charge(4, 16, 8192);
    const double factor = 1 + (double)SL_AUDIT_KAPPA * 16 * 8 / 8192;
    sl_rdp_step(1, 1. / 32, &step);
    sl_rdp_add(&sum, &step, 20 * factor);

    struct sl_budget budget = budget_of(audited, 20), plain = budget_of(cohort_charge(4, 16, 0), 20);
    cr_assert_eq(budget.n_audited, 20);
    near(sl_budget_epsilon(&budget, 1e-7), sl_epsilon(&sum, 1e-7 - 20e-9, NULL), 1e-9, "factor and deduction");
    cr_assert_gt(sl_budget_epsilon(&budget, 1e-7), sl_budget_epsilon(&plain, 1e-7));
    cr_assert_eq(sl_budget_floor(&budget, 1e-7), sl_budget_floor(&plain, 1e-7), "whoever sees the own share learns nothing from its sketch");
}

Test(budget, audits_that_use_up_half_of_delta_leave_no_bound)
{
    struct sl_budget budget = budget_of(cohort_charge(100, 1, 4096), 49);
    struct sl_charge charge = cohort_charge(100, 1, 4096);
    cr_assert(isfinite(sl_budget_epsilon(&budget, 1e-7)));
    sl_budget_add(&budget, &charge);
    sl_budget_add(&budget, &charge);
    cr_assert_eq(sl_budget_epsilon(&budget, 1e-7), INFINITY, "51 audits take 51e-9 of 1e-7");
    cr_assert(isfinite(sl_budget_epsilon(&budget, 1e-6)));
    struct sl_limits limits = {.eps_max = 1e3, .delta = 1e-7};
    cr_assert_eq(sl_budget_rounds_left(&budget, &charge, &limits), 0);
}

/* ---- what is left ---- */

static void leaves(struct sl_charge charge, struct sl_limits limits, uint64_t spent)
{
    struct sl_budget budget = budget_of(charge, spent);
    uint64_t left = sl_budget_rounds_left(&budget, &charge, &limits), n = 0;
    for (;;) {
        sl_budget_add(&budget, &charge);
        bool fits = sl_budget_epsilon(&budget, limits.delta) <= limits.eps_max &&
                    (limits.floor_max == 0 || sl_budget_floor(&budget, limits.delta) <= limits.floor_max);
        if (!fits) break;
        n++;
        cr_assert_eq(sl_budget_rounds_left(&budget, &charge, &limits), left - n, "one round less, one less is left");
    }
    cr_assert_eq(left, n, "%llu foretold, %llu fitted", (unsigned long long)left, (unsigned long long)n);
}

Test(budget, the_rounds_that_are_left_are_those_that_fit)
{
    leaves(record_charge(.2, 3.84, 5), (struct sl_limits){.eps_max = 3, .delta = 1e-5}, 0);
    leaves(record_charge(.2, 3.84, 5), (struct sl_limits){.eps_max = 3, .delta = 1e-5}, 17);
    leaves(record_charge(.2, 3.84, 5), (struct sl_limits){.eps_max = .01, .delta = 1e-5}, 0);
    leaves(cohort_charge(6.38, 5, 8192), (struct sl_limits){.eps_max = 8, .delta = 1e-7}, 3);
    leaves(cohort_charge(15, 16, 0), (struct sl_limits){.eps_max = 8, .delta = 1e-5, .floor_max = 10}, 0);
    leaves(replace_charge(15, 2), (struct sl_limits){.eps_max = 4, .delta = 1e-5}, 1);
}

Test(budget, the_rounds_of_another_charge_are_counted_on_top_of_what_is_spent)
{
    struct sl_charge past = record_charge(.05, 1.1, 100), next = record_charge(.01, 2, 10);
    struct sl_limits limits = {.eps_max = 8, .delta = 1e-5};
    struct sl_budget budget = budget_of(past, 2);
    uint64_t left = sl_budget_rounds_left(&budget, &next, &limits);
    cr_assert(left > 0);
    for (uint64_t i = 0; i < left; i++) sl_budget_add(&budget, &next);
    cr_assert_leq(sl_budget_epsilon(&budget, 1e-5), 8 * (1 + 1e-12));
    sl_budget_add(&budget, &next);
    cr_assert_gt(sl_budget_epsilon(&budget, 1e-5), 8);
    cr_assert_eq(sl_budget_rounds_left(&budget, &next, &limits), 0);
}

Test(budget, rounds_that_cost_next_to_nothing_are_counted_up_to_a_thousand_million)
{
    struct sl_charge charge = record_charge(1e-12, 256, 1);
    struct sl_budget budget;
    sl_budget_init(&budget);
    cr_assert_eq(sl_budget_rounds_left(&budget, &charge, &(struct sl_limits){.eps_max = 8, .delta = 1e-5}), UINT64_C(1000000000));
}

/* ---- what can be charged ---- */

static void refuses(struct sl_charge charge, const char *why)
{
    cr_assert_eq(sl_charge_check(&charge), SL_ERROR_OUT_OF_RANGE, "%s passed", why);
}

#define REFUSES(good, field, value) \
    do { \
        struct sl_charge bad = good; \
        bad.field = value; \
        refuses(bad, #field " = " #value " of " #good); \
    } while (0)

Test(budget, sound_charges_pass)
{
    const struct sl_charge good[] = {record_charge(.2, 3.84, 5), record_charge(1, .3, 1), record_charge(1e-15, 256, SL_STEPS_MAX), cohort_charge(4, 5, 8192),
                                     cohort_charge(256, 5, 0), cohort_charge(256, 63, 4096), cohort_charge(.3, 1, 0), replace_charge(.6, 5),
                                     replace_charge(256, 1)};
    for (uint32_t i = 0; i < sizeof good / sizeof good[0]; i++) cr_assert_eq(sl_charge_check(&good[i]), SL_OK, "%u", i);
}

Test(budget, a_charge_of_numbers_without_an_answer_is_refused)
{
    const struct sl_charge record = record_charge(.2, 3.84, 5), cohort = cohort_charge(4, 5, 8192);
    refuses((struct sl_charge){0}, "nothing");
    refuses(record_charge(.2, .299, 5), "z below .3");
    refuses(record_charge(.2, 256.01, 5), "z above 256");
    refuses(replace_charge(.59, 5), "replace with half of z below .3");
    REFUSES(record, q64, 0);
    REFUSES(record, sigma2, 0);
    REFUSES(record, sigma2, UINT64_MAX);
    REFUSES(record, steps, 0);
    REFUSES(record, steps, SL_STEPS_MAX + 1);
    REFUSES(record, sensitivity, 0);
    REFUSES(record, sensitivity, 1 << 19);
    REFUSES(record, sensitivity, 1 << 21);
    REFUSES(record, honest, 0);
    REFUSES(record, honest, 2);
    REFUSES(record, adjacency, SL_ADJACENCY_REPLACE);
    REFUSES(record, mechanism, SL_MECHANISM_COHORT);
    REFUSES(record, mechanism, SL_MECHANISM_NONE);
    REFUSES(record, unit, SL_UNIT_OFF);
    REFUSES(record, unit, SL_UNIT_NODE);
    REFUSES(record, audit_rows, 8);
    REFUSES(record, dim, 8192);
    REFUSES(record, kappa, 6);

    REFUSES(cohort, honest, 0);
    REFUSES(cohort, honest, UINT32_MAX);
    REFUSES(cohort, q64, UINT64_MAX / 2);
    REFUSES(cohort, steps, 2);
    REFUSES(cohort, adjacency, SL_ADJACENCY_ADD_REMOVE);
    REFUSES(cohort, adjacency, SL_ADJACENCY_REPLACE);
    REFUSES(cohort, dim, 4095);
    REFUSES(cohort, dim, 0);
    REFUSES(cohort, kappa, 0);
    REFUSES(cohort, kappa, SL_AUDIT_KAPPA - 1);
    REFUSES(cohort, audit_rows, 0);
    REFUSES(cohort, audit_rows, 7);
    REFUSES(cohort, audit_rows, 8193);
    REFUSES(cohort, sigma2, 63);
}
