/* SPDX-License-Identifier: MIT */
#include "privacy/accountant.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "starling/error.h"

enum { ORDER_MAX = 4096 };

static const double pi = 3.14159265358979323846;
static const double noise_tolerance = 1e-9;      /* relative; of what sl_noise_for() finds */

/* ---- the grid ---- */

/* From `first` on, up to and without the next line's, by `step`. */
static const struct { uint16_t at, first, step; } grid[] = {
    {0, 2, 1}, {127, 144, 16}, {135, 288, 32}, {143, 576, 64}, {151, 1280, 256}, {155, 2560, 512}, {SL_ORDERS, 0, 0}};

uint32_t sl_order(uint32_t i)
{
    assert(i < SL_ORDERS);
    uint32_t line = 0;
    while (i >= grid[line + 1].at) line++;
    return grid[line].first + (i - grid[line].at) * grid[line].step;
}

int sl_accountant_check(double q, double z, uint64_t steps, double delta)
{
    bool is_known = q >= 0 && q <= 1 && z >= SL_ACCOUNTANT_NOISE_MIN && z <= SL_ACCOUNTANT_NOISE_MAX && steps <= SL_STEPS_MAX &&
                    delta >= SL_DELTA_MIN && delta <= SL_DELTA_MAX;
    return is_known ? SL_OK : SL_ERROR_OUT_OF_RANGE;
}

/* ---- one step ---- */

/* log(e^x - 1) for x >= 0. */
static double log_expm1(double x)
{
    return x > 40 ? x : x > .6931471805599453 ? x + log1p(-exp(-x)) : log(expm1(x));
}

/* growth[i] = log(e^(i (i - 1) u) - 1): the same at every order. */
static void fill_growth(double u, uint32_t order_max, double growth[ORDER_MAX + 1])
{
    for (uint32_t i = 2; i <= order_max; i++) growth[i] = log_expm1((double)i * (i - 1) * u);
}

/* A sum of positive numbers that are given, and kept, by their logarithms. */
struct log_sum { double largest, rest; };

static void log_sum_add(struct log_sum *sum, double x)
{
    const double negligible = 60;                /* 4096 of e^-60 are nothing in a double */
    double above = x - sum->largest;
    if (above > negligible) *sum = (struct log_sum){x, 1};
    else if (above > 0) *sum = (struct log_sum){x, sum->rest * exp(-above) + 1};
    else if (above > -negligible) sum->rest += exp(above);
}

/*
 * Of the binomial sum  E[(P/Q)^a] = sum C(a, i) q^i (1 - q)^(a - i) e^(i (i - 1) u)  the weights alone sum to 1, so subtracting 1 from every e^... leaves
 * the sum less 1, all of positive terms, and i = 0 and 1 drop out: full precision where the divergence is tiny. log C(a, i) grows from i to i + 1 by the
 * logarithm of a ratio, with compensated rounding: differences of lgamma() would be good to 1e-11 only at the largest orders.
 */
static double divergence(double q, const double *growth, uint32_t order)
{
    const double log_q = log(q), log_rest = log1p(-q);
    struct log_sum sum = {-INFINITY, 0};
    double choose = log(order), lost = 0;        /* log C(a, 1) */
    for (uint32_t i = 2; i <= order; i++) {
        double gain = log((double)(order - i + 1) / i) - lost, next = choose + gain;
        lost = (next - choose) - gain;
        choose = next;
        log_sum_add(&sum, choose + i * log_q + (order - i) * log_rest + growth[i]);
    }
    double log_excess = sum.largest + log(sum.rest);
    return (log_excess > 37 ? log_excess : log1p(exp(log_excess))) / (order - 1);
}

/* True for what needs no sum, with the divergence in *out. */
static bool is_simple(double q, double u, uint32_t order, double *out)
{
    assert(q >= 0 && q <= 1 && u >= 0 && order >= 2 && order <= ORDER_MAX);
    bool is_nothing = q == 0 || u == 0, is_all = q == 1 || isinf(u);
    *out = is_nothing ? 0 : order * u;
    return is_nothing || is_all;
}

double sl_rdp_order(double q, double u, uint32_t order)
{
    double growth[ORDER_MAX + 1], simple;
    if (is_simple(q, u, order, &simple)) return simple;
    fill_growth(u, order, growth);
    return divergence(q, growth, order);
}

void sl_rdp_step(double q, double u, struct sl_rdp *out)
{
    double growth[ORDER_MAX + 1];
    if (is_simple(q, u, 2, &out->at[0])) {
        for (uint32_t i = 0; i < SL_ORDERS; i++) is_simple(q, u, sl_order(i), &out->at[i]);
        return;
    }
    fill_growth(u, ORDER_MAX, growth);
    for (uint32_t i = 0; i < SL_ORDERS; i++) out->at[i] = divergence(q, growth, sl_order(i));
}

void sl_rdp_add(struct sl_rdp *sum, const struct sl_rdp *step, double times)
{
    assert(times >= 0 && !isinf(times));
    if (times == 0) return;                      /* and not NaN where a step is infinite */
    for (uint32_t i = 0; i < SL_ORDERS; i++) sum->at[i] += times * step->at[i];
}

/* ---- conversion ---- */

double sl_rdp_to_epsilon(double rdp, uint32_t order, double delta)
{
    double a = order;
    return rdp + log1p(-1 / a) - (log(delta) + log(a)) / (a - 1);
}

double sl_epsilon(const struct sl_rdp *sum, double delta, uint32_t *order)
{
    double best = INFINITY;
    uint32_t best_order = sl_order(0);
    for (uint32_t i = 0; i < SL_ORDERS && delta > 0; i++) {
        double epsilon = sl_rdp_to_epsilon(sum->at[i], sl_order(i), delta);
        if (!(epsilon < best)) continue;
        best = epsilon;
        best_order = sl_order(i);
    }
    /* The conversion never gives 0, but where the divergence is 0 nothing can be told apart. */
    bool is_nothing = delta > 0 && sum->at[SL_ORDERS - 1] == 0;
    if (order) *order = best_order;
    return is_nothing ? 0 : fmax(0, best);
}

double sl_delta(const struct sl_rdp *sum, double epsilon)
{
    if (sum->at[SL_ORDERS - 1] == 0) return 0;

    double best = 0;                             /* log 1 */
    for (uint32_t i = 0; i < SL_ORDERS; i++) {
        double a = sl_order(i), log_delta = (a - 1) * (sum->at[i] - epsilon + log1p(-1 / a)) - log(a);
        if (log_delta < best) best = log_delta;
    }
    return exp(best);
}

double sl_group_delta(double epsilon, double delta, uint32_t k)
{
    if (epsilon == 0) return fmin(1, k * delta);
    /* (e^(k eps) - 1) / (e^eps - 1), without overflow on the way */
    double ratio = exp((k - 1.) * epsilon) * (expm1(-(double)k * epsilon) / expm1(-epsilon));
    return isfinite(ratio) ? fmin(1, delta * ratio) : 1;
}

static double epsilon_of(double q, double z, double times, double delta)
{
    struct sl_rdp step, sum = {{0}};
    sl_rdp_step(q, 1 / (2 * z * z), &step);
    sl_rdp_add(&sum, &step, times);
    return sl_epsilon(&sum, delta, NULL);
}

int sl_noise_for(double q, uint64_t steps, double factor, double epsilon, double delta, double *out)
{
    double low = SL_ACCOUNTANT_NOISE_MIN, high = SL_ACCOUNTANT_NOISE_MAX, times = factor * (double)steps;
    bool is_known = sl_accountant_check(q, low, steps, delta) == SL_OK && epsilon >= 0 && factor >= 0 && isfinite(factor);
    if (!is_known || !(epsilon_of(q, high, times, delta) <= epsilon)) return SL_ERROR_OUT_OF_RANGE;

    if (epsilon_of(q, low, times, delta) <= epsilon) high = low;
    while (high > low * (1 + noise_tolerance)) {
        double middle = sqrt(low * high);
        bool is_enough = epsilon_of(q, middle, times, delta) <= epsilon;
        if (is_enough) high = middle;
        else low = middle;
    }
    *out = high;
    return SL_OK;
}

/* ---- one Gaussian release, exactly ---- */

/* log of the normal distribution function: far below 0 by its asymptotic series. */
static double log_phi(double x)
{
    if (x >= -37) return log(.5 * erfc(-x / sqrt(2)));
    double w = 1 / (x * x);
    return -x * x / 2 - log(-x) - .5 * log(2 * pi) + log1p(-w + 3 * w * w - 15 * w * w * w + 105 * w * w * w * w);
}

static double log_gaussian_delta(double z, double epsilon)
{
    double a = log_phi(1 / (2 * z) - epsilon * z), b = epsilon + log_phi(-1 / (2 * z) - epsilon * z);
    return b >= a ? -INFINITY : a + log1p(-exp(b - a));
}

double sl_gaussian_delta(double z, double epsilon)
{
    return exp(log_gaussian_delta(z, epsilon));
}

double sl_gaussian_epsilon(double z, double delta)
{
    const double log_delta = log(delta);
    double low = 0, high = 1;
    if (log_gaussian_delta(z, 0) <= log_delta) return 0;
    while (log_gaussian_delta(z, high) > log_delta && high < 1e300) high *= 2;
    for (uint32_t i = 0; i < 200 && low < high; i++) {
        double middle = low + (high - low) / 2;
        if (log_gaussian_delta(z, middle) > log_delta) low = middle;
        else high = middle;
    }
    return high;
}

double sl_gaussian_noise(double epsilon, double delta)
{
    const double log_delta = log(delta);
    double low = 1e-6, high = 1e9;
    for (uint32_t i = 0; i < 200 && low < high; i++) {
        double middle = sqrt(low * high);
        if (log_gaussian_delta(middle, epsilon) > log_delta) low = middle;
        else high = middle;
    }
    return high;
}

/* ---- noise in shares ---- */

double sl_share_gap(uint32_t honest, double deviation)
{
    double sum = 0;
    for (uint32_t j = 1; j < honest; j++) sum += exp(-2 * pi * pi * deviation * deviation * j / (j + 1.));
    return 10 * sum;
}

double sl_audit_factor(uint32_t honest, uint32_t rows, uint32_t dim, uint32_t kappa)
{
    return rows == 0 ? 1 : 1 + (double)kappa * honest * rows / dim;
}
