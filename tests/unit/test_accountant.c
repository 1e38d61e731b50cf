/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/accountant.h"
#include "starling/error.h"

enum { LINE_SIZE = 512, CELLS_MAX = 7 };

/* ---- tables made by other accountants and by arithmetic of 50 digits ---- */

static FILE *open_table(const char *name)
{
    char path[LINE_SIZE], head[LINE_SIZE];
    const char *tests = getenv("STARLING_TESTS");
    if (!tests) cr_skip_test("STARLING_TESTS must name the folder of the tests");
    snprintf(path, sizeof path, "%s/unit/tables/%s", tests, name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    cr_assert_not_null(fgets(head, sizeof head, file));
    return file;
}

/* The next line, cut at its commas; an empty cell is an empty text. */
static bool next_row(FILE *file, char line[LINE_SIZE], char *cells[CELLS_MAX])
{
    if (!fgets(line, LINE_SIZE, file)) return false;
    line[strcspn(line, "\n")] = 0;
    for (int i = 0; i < CELLS_MAX; i++) {
        cells[i] = line;
        line += strcspn(line, ",");
        if (*line) *line++ = 0;
    }
    return true;
}

/* "q=0.3;sigma=0.1" */
static double argument(const char *args, const char *name)
{
    size_t length = strlen(name);
    for (; args; args = strchr(args, ';'), args = args ? args + 1 : NULL)
        if (strncmp(args, name, length) == 0 && args[length] == '=') return strtod(args + length + 1, NULL);
    cr_assert_fail("no %s", name);
    return NAN;
}

static void near(double found, double wanted, double relative, const char *what)
{
    cr_assert(fabs(found - wanted) <= relative * fabs(wanted), "%s: %.17g, wanted %.17g", what, found, wanted);
}

static double u_of(double z)
{
    return 1 / (2 * z * z);
}

static double epsilon_of(double q, double z, double steps, double delta)
{
    struct sl_rdp step, sum = {{0}};
    sl_rdp_step(q, u_of(z), &step);
    sl_rdp_add(&sum, &step, steps);
    return sl_epsilon(&sum, delta, NULL);
}

/* q, sigma and steps may be lists, parted by |. */
static double epsilon_of_lists(const char *q, const char *sigma, const char *steps, double unit, double delta)
{
    struct sl_rdp step, sum = {{0}};
    char *end = NULL;
    for (;;) {
        sl_rdp_step(strtod(q, &end), u_of(strtod(sigma, NULL) / unit), &step);
        sl_rdp_add(&sum, &step, strtod(steps, NULL));
        if (*end == 0) return sl_epsilon(&sum, delta, NULL);
        q = end + 1, sigma = strchr(sigma, '|') + 1, steps = strchr(steps, '|') + 1;
    }
}

Test(accountant, agrees_with_other_accountants_and_is_never_below_the_true_loss)
{
    char line[LINE_SIZE], *cell[CELLS_MAX];
    unsigned n_checked = 0, n_bounded = 0;
    FILE *file = open_table("privacy_epsilons.csv");
    while (next_row(file, line, cell)) {
        bool is_replace = strcmp(cell[0], "gaussian_replace_one") == 0, is_discrete = strcmp(cell[0], "discrete_gaussian_1d") == 0;
        bool is_ours = is_replace || is_discrete || strcmp(cell[0], "gaussian") == 0 || strcmp(cell[0], "poisson_gaussian") == 0 ||
                       strcmp(cell[0], "poisson_gaussian_het") == 0;
        if (!is_ours) continue;

        double epsilon = epsilon_of_lists(cell[1], cell[2], cell[3], is_replace ? 2 : 1, strtod(cell[4], NULL));
        near(epsilon, strtod(cell[5], NULL), 1e-6, cell[0]);
        n_checked++;
        if (is_discrete) continue;                   /* its bound is rounded up */
        cr_assert(epsilon >= strtod(cell[6], NULL) * (1 - 1e-3), "%s q %s sigma %s steps %s is unsound", cell[0], cell[1], cell[2], cell[3]);
        n_bounded++;
    }
    fclose(file);
    cr_assert(n_checked == 48 && n_bounded == 44, "%u rows, %u bounds", n_checked, n_bounded);
}

/* The value that a row of the other table asks for; false when it is not of this file. */
static bool compute(const char *function, const char *args, double *out, double *tolerance)
{
    *tolerance = 1e-9;
    if (strcmp(function, "rdp_poisson_gaussian_int") == 0)
        *out = sl_rdp_order(argument(args, "q"), u_of(argument(args, "sigma")), (uint32_t)argument(args, "alpha"));
    else if (strcmp(function, "rdp_to_eps_cks") == 0 && argument(args, "alpha") >= 2)        /* ours are whole */
        *out = sl_rdp_to_epsilon(argument(args, "rdp"), (uint32_t)argument(args, "alpha"), argument(args, "delta"));
    else if (strcmp(function, "gaussian_delta") == 0)
        *out = sl_gaussian_delta(argument(args, "sigma"), argument(args, "eps"));
    else if (strcmp(function, "gaussian_eps") == 0)
        *out = sl_gaussian_epsilon(argument(args, "sigma"), argument(args, "delta"));
    else if (strcmp(function, "gaussian_sigma") == 0)
        *out = sl_gaussian_noise(argument(args, "eps"), argument(args, "delta"));
    else if (strcmp(function, "ddgauss_tau") == 0)
        *out = sl_share_gap((uint32_t)argument(args, "n"), argument(args, "local_sigma_int"));
    else if (strcmp(function, "group_privacy") == 0)
        *out = argument(args, "k") * argument(args, "eps");
    else if (strcmp(function, "dpsgd_sigma_rdp_int_grid") == 0) {
        *tolerance = 1e-6;
        cr_assert_eq(sl_noise_for(argument(args, "q"), (uint64_t)argument(args, "steps"), 1, argument(args, "eps"), argument(args, "delta"), out), SL_OK);
    } else return false;
    return true;
}

Test(accountant, single_functions_have_the_values_of_exact_arithmetic)
{
    char line[LINE_SIZE], *cell[CELLS_MAX];
    unsigned n_checked = 0;
    double value, tolerance;
    FILE *file = open_table("privacy_values.csv");
    while (next_row(file, line, cell)) {
        if (!compute(cell[0], cell[1], &value, &tolerance)) continue;
        near(value, strtod(cell[2], NULL), tolerance, cell[1]);
        n_checked++;
    }
    fclose(file);
    cr_assert_eq(n_checked, 10 + 2 + 5 + 5 + 3 + 3 + 1 + 4, "%u rows", n_checked);
    near(sl_group_delta(1, 1e-6, 2), 3.71828182845904524e-6, 1e-12, "two records of one person");
}

/* ---- what must hold of any numbers ---- */

Test(accountant, the_grid_has_159_orders_that_rise_from_2_to_4096)
{
    cr_assert_eq(sl_order(0), 2);
    cr_assert_eq(sl_order(SL_ORDERS - 1), 4096);
    for (uint32_t i = 1; i < SL_ORDERS; i++) cr_assert_gt(sl_order(i), sl_order(i - 1));
    static const uint32_t some[][2] = {{126, 128}, {127, 144}, {134, 256}, {135, 288}, {142, 512}, {143, 576}, {150, 1024}, {151, 1280}, {154, 2048},
                                       {155, 2560}};
    for (uint32_t i = 0; i < sizeof some / sizeof some[0]; i++) cr_assert_eq(sl_order(some[i][0]), some[i][1]);
}

Test(accountant, more_steps_and_more_sampling_cost_more_and_more_noise_and_delta_less)
{
    static const double qs[] = {1e-9, 1e-4, .01, .2, .7, .99}, zs[] = {.3, .8, 2, 20, 300};
    for (uint32_t i = 0; i < 6; i++) {
        for (uint32_t j = 0; j < 5; j++) {
            double q = qs[i], z = zs[j], epsilon = epsilon_of(q, z, 10, 1e-5);
            cr_assert(isfinite(epsilon) && epsilon > 0, "q %g z %g", q, z);
            cr_assert_geq(epsilon_of(q, z, 100, 1e-5), epsilon);
            cr_assert_geq(epsilon_of(fmin(1, 1.3 * q), z, 10, 1e-5), epsilon);
            cr_assert_leq(epsilon_of(q, 1.3 * z, 10, 1e-5), epsilon);
            cr_assert_lt(epsilon_of(q, z, 10, 1e-4), epsilon);
        }
    }
}

Test(accountant, divergences_do_not_fall_with_the_order_and_sampling_never_adds_to_them)
{
    static const double qs[] = {1e-9, 1e-3, .1, .5, .99}, zs[] = {.3, 1, 10, 1e4};
    for (uint32_t i = 0; i < 5; i++) {
        for (uint32_t j = 0; j < 4; j++) {
            struct sl_rdp step, whole;
            sl_rdp_step(qs[i], u_of(zs[j]), &step);
            sl_rdp_step(1, u_of(zs[j]), &whole);
            for (uint32_t k = 0; k < SL_ORDERS; k++) {
                cr_assert(isfinite(step.at[k]) && step.at[k] >= 0 && step.at[k] <= whole.at[k] * (1 + 1e-12));
                cr_assert(k == 0 || step.at[k] >= step.at[k - 1] * (1 - 1e-12), "q %g z %g order %u", qs[i], zs[j], sl_order(k));
                cr_assert_eq(step.at[k], sl_rdp_order(qs[i], u_of(zs[j]), sl_order(k)), "alone or with others, the same");
            }
        }
    }
}

Test(accountant, a_charge_in_two_parts_costs_what_the_whole_costs)
{
    struct sl_rdp step, whole = {{0}}, parts = {{0}};
    sl_rdp_step(.05, u_of(1.1), &step);
    sl_rdp_add(&whole, &step, 800);
    sl_rdp_add(&parts, &step, 333);
    sl_rdp_add(&parts, &step, 467);
    near(sl_epsilon(&parts, 1e-6, NULL), sl_epsilon(&whole, 1e-6, NULL), 1e-13, "parts");
}

Test(accountant, nearly_all_records_cost_nearly_what_all_cost)
{
    for (uint32_t i = 0; i < SL_ORDERS; i += 7)
        near(sl_rdp_order(1 - 1e-13, u_of(1.7), sl_order(i)), sl_rdp_order(1, u_of(1.7), sl_order(i)), 1e-9, "q near 1");
}

Test(accountant, the_ends_of_the_ranges_have_the_right_values)
{
    struct sl_rdp step, none = {{0}};
    sl_rdp_step(0, u_of(1), &step);
    for (uint32_t i = 0; i < SL_ORDERS; i++) cr_assert_eq(step.at[i], 0);
    cr_assert_eq(sl_epsilon(&step, 1e-5, NULL), 0, "nothing was used, nothing is lost");
    cr_assert_eq(sl_delta(&none, 0), 0);
    cr_assert_eq(sl_rdp_order(.1, INFINITY, 5), INFINITY, "no noise");
    sl_rdp_step(.1, INFINITY, &step);
    cr_assert_eq(sl_epsilon(&step, 1e-5, NULL), INFINITY);
    cr_assert_eq(sl_delta(&step, 50), 1);
    sl_rdp_step(.1, u_of(2), &step);
    cr_assert_eq(sl_epsilon(&step, 0, NULL), INFINITY);
    cr_assert_eq(sl_epsilon(&step, NAN, NULL), INFINITY);
    sl_rdp_add(&none, &step, 0);
    cr_assert_eq(none.at[5], 0);
    cr_assert(isfinite(sl_rdp_order(1e-9, u_of(.3), 4096)) && isfinite(sl_rdp_order(.99, u_of(.1), 4096)));
    near(sl_rdp_order(1e-9, u_of(1), 2), 1e-18 * expm1(1), 1e-12, "q 1e-9");       /* log1p(q^2 (e^2u - 1)) */
    cr_assert(isfinite(epsilon_of(1, .3, (double)SL_STEPS_MAX, 1e-12)));
}

Test(accountant, delta_of_an_epsilon_is_the_way_back)
{
    struct sl_rdp step, sum = {{0}};
    uint32_t order;
    sl_rdp_step(.1, u_of(2), &step);
    sl_rdp_add(&sum, &step, 300);
    double epsilon = sl_epsilon(&sum, 1e-4, &order);
    cr_assert_eq(order, 5);
    near(sl_delta(&sum, epsilon), 1e-4, 1e-9, "delta");
    cr_assert_lt(sl_delta(&sum, epsilon + .1), 1e-4);
    cr_assert(sl_delta(&sum, 0) > .1 && sl_delta(&sum, 0) <= 1);
}

Test(accountant, refuses_what_it_does_not_answer_for)
{
    cr_assert_eq(sl_accountant_check(.5, 1, 100, 1e-5), SL_OK);
    cr_assert_eq(sl_accountant_check(0, .3, 0, 1e-12), SL_OK);
    cr_assert_eq(sl_accountant_check(1, 1e4, UINT64_C(1) << 32, 1e-2), SL_OK);
    const struct { double q, z; uint64_t steps; double delta; } bad[] = {
        {-1e-9, 1, 1, 1e-5}, {1.0000001, 1, 1, 1e-5}, {NAN, 1, 1, 1e-5}, {INFINITY, 1, 1, 1e-5}, {.5, .2999, 1, 1e-5}, {.5, 10001, 1, 1e-5}, {.5, NAN, 1, 1e-5},
        {.5, -1, 1, 1e-5}, {.5, INFINITY, 1, 1e-5}, {.5, 1, (UINT64_C(1) << 32) + 1, 1e-5}, {.5, 1, 1, 0}, {.5, 1, 1, 9e-13}, {.5, 1, 1, .011}, {.5, 1, 1, NAN},
        {.5, 1, 1, -1e-5}, {.5, 1, 1, INFINITY}};
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(sl_accountant_check(bad[i].q, bad[i].z, bad[i].steps, bad[i].delta), SL_ERROR_OUT_OF_RANGE, "%u", i);

    double z = 7;
    cr_assert_eq(sl_noise_for(.1, 10, 1, NAN, 1e-5, &z), SL_ERROR_OUT_OF_RANGE);
    cr_assert_eq(sl_noise_for(.1, 10, 1, -1, 1e-5, &z), SL_ERROR_OUT_OF_RANGE);
    cr_assert_eq(sl_noise_for(.1, 10, NAN, 1, 1e-5, &z), SL_ERROR_OUT_OF_RANGE);
    cr_assert_eq(sl_noise_for(2, 10, 1, 1, 1e-5, &z), SL_ERROR_OUT_OF_RANGE);
    cr_assert_eq(sl_noise_for(1, SL_STEPS_MAX, 1, 1e-3, 1e-12, &z), SL_ERROR_OUT_OF_RANGE, "no noise does");
    cr_assert_eq(z, 7, "untouched on failure");
}

Test(accountant, the_noise_for_an_epsilon_is_enough_and_hardly_more)
{
    static const struct { double q; uint64_t steps; double factor, epsilon, delta; } wanted[] = {
        {.2, 150, 1, 8, 1e-5}, {.2, 150, 1, 1, 1e-5}, {.01, 100000, 1, .5, 1e-7}, {1, 20, 1.09, 8, 1e-5}, {1e-9, 10, 1, .01, 1e-6}, {1, 1, 1, .05, 1e-9}};
    for (uint32_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        double z, times = wanted[i].factor * (double)wanted[i].steps;
        cr_assert_eq(sl_noise_for(wanted[i].q, wanted[i].steps, wanted[i].factor, wanted[i].epsilon, wanted[i].delta, &z), SL_OK);
        cr_assert_leq(epsilon_of(wanted[i].q, z, times, wanted[i].delta), wanted[i].epsilon);
        if (z > SL_ACCOUNTANT_NOISE_MIN) cr_assert_gt(epsilon_of(wanted[i].q, z * (1 - 1e-6), times, wanted[i].delta), wanted[i].epsilon, "%u", i);
    }
}

Test(accountant, one_gaussian_release_exactly_costs_no_more_than_the_bound)
{
    for (double z = .3; z < 100; z *= 1.7) {
        for (double delta = 1e-12; delta < 1e-2; delta *= 30) {
            double exact = sl_gaussian_epsilon(z, delta);
            cr_assert_leq(exact, epsilon_of(1, z, 1, delta) * (1 + 1e-12));
            if (exact > 0) near(sl_gaussian_noise(exact, delta), z, 1e-8, "z and back");
        }
    }
    cr_assert_eq(sl_gaussian_epsilon(1e3, .01), 0, "the noise hides more than that");
    near(sl_gaussian_epsilon(4 / sqrt(16), 1e-5), sl_gaussian_epsilon(1, 1e-5), 1e-12, "16 releases at z 4 are one at z 1");
}

Test(accountant, records_of_one_person_cost_together)
{
    cr_assert_eq(sl_group_delta(3, 1e-5, 1), 1e-5);
    near(sl_group_delta(3, 1e-5, 2), 1e-5 * (exp(3) + 1), 1e-12, "two");
    near(sl_group_delta(1e-9, 1e-5, 4), 4e-5, 1e-8, "tiny epsilon");
    cr_assert_eq(sl_group_delta(0, 1e-5, 4), 4e-5);
    cr_assert_eq(sl_group_delta(100, 1e-5, 1000), 1, "no bound");
    cr_assert_eq(sl_group_delta(INFINITY, 1e-5, 2), 1);
}

/* ---- whole orders are exact for the discrete Gaussian too ---- */

struct long_sum { long double largest, rest; };

static void long_add(struct long_sum *sum, long double x)
{
    if (x > sum->largest) sum->rest = sum->rest * expl(sum->largest - x) + 1, sum->largest = x;
    else sum->rest += expl(x - sum->largest);
}

/* Q: the discrete Gaussian; P = (1 - q) Q + q Q shifted by v. log sum P^a Q^(1-a) / (a - 1), and with P and Q exchanged. */
static void sum_directly(uint32_t sigma2, int shift, double q, int order, long double *forward, long double *backward)
{
    const int end = (int)(40 * sqrt(sigma2)) + order * shift;
    struct long_sum mass = {-INFINITY, 0}, there = mass, back = mass;
    for (int x = -end; x <= end; x++) {
        long double log_q = -(long double)x * x / (2.L * sigma2), ratio = log1pl((long double)q * expm1l((2.L * x * shift - shift * shift) / (2.L * sigma2)));
        long_add(&mass, log_q);
        long_add(&there, log_q + order * ratio);
        long_add(&back, log_q - (order - 1) * ratio);
    }
    long double log_mass = mass.largest + logl(mass.rest);
    *forward = (there.largest + logl(there.rest) - log_mass) / (order - 1);
    *backward = (back.largest + logl(back.rest) - log_mass) / (order - 1);
}

Test(accountant, holds_exactly_for_integer_noise)
{
    static const uint32_t variances[] = {1, 2, 4, 16, 64};
    static const double rates[] = {.01, .1, .5};
    static const int orders[] = {2, 3, 8, 32};
    const double tolerance = fmax(1e-12, (double)(1e5L * LDBL_EPSILON));
    for (uint32_t i = 0; i < 5 * 2 * 3 * 4; i++) {
        uint32_t variance = variances[i % 5];
        int shift = 1 + (int)(i / 5 % 2), order = orders[i / 30];
        double q = rates[i / 10 % 3], ours = sl_rdp_order(q, shift * shift / (2. * variance), (uint32_t)order);
        long double forward, backward;
        sum_directly(variance, shift, q, order, &forward, &backward);
        near(ours, (double)forward, tolerance, "P from Q");
        cr_assert((double)backward <= ours * (1 + tolerance), "Q from P costs more at variance %u, shift %d, q %g, order %d", variance, shift, q, order);
    }
}

/* ---- shares ---- */

Test(accountant, sums_of_shares_are_discrete_gaussians_but_for_next_to_nothing)
{
    cr_assert_eq(sl_share_gap(1, 8), 0, "one share is one");
    cr_assert(sl_share_gap(64, 8) * 4294967296. < 1e-260);
    cr_assert_gt(sl_share_gap(10, 1), 1e-4);
    cr_assert_eq(sl_audit_factor(5, 0, 0, 0), 1);
    near(sl_audit_factor(16, 8, 8192, 6), 1.09375, 1e-15, "factor");
}
