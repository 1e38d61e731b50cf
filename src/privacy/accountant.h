/* SPDX-License-Identifier: MIT */
#ifndef SL_PRIVACY_ACCOUNTANT_H
#define SL_PRIVACY_ACCOUNTANT_H

#include <stdint.h>

/*
 * How much privacy a sequence of noised releases costs: Renyi differential privacy on a fixed grid of integer orders (Mironov, Talwar and Zhang 2019),
 * converted to (epsilon, delta) by Canonne, Kamath and Steinke (2020). At integer orders the sums are exact for the discrete Gaussian as well as for the
 * continuous one. z, the noise multiplier, is the standard deviation of the noise divided by the sensitivity; u = 1 / (2 z^2).
 *
 * Limits of this file: q in [0, 1], z in [SL_ACCOUNTANT_NOISE_MIN, _MAX], delta in [SL_DELTA_MIN, SL_DELTA_MAX], at most 2^32 steps. Outside of them
 * sl_accountant_check() says SL_ERROR_OUT_OF_RANGE, and nothing is extrapolated.
 */

enum { SL_ORDERS = 159, SL_GRID_VERSION = 1 };

#define SL_ACCOUNTANT_NOISE_MIN .3
#define SL_ACCOUNTANT_NOISE_MAX 1e4
#define SL_DELTA_MIN 1e-12
#define SL_DELTA_MAX 1e-2
#define SL_STEPS_MAX (UINT64_C(1) << 32)

/* The i-th order of the grid: 2 .. 128 by 1, 144 .. 256 by 16, 288 .. 512 by 32, 576 .. 1024 by 64, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096. */
uint32_t sl_order(uint32_t i);

/* Renyi divergences at the orders of the grid: of one step, or summed over many. */
struct sl_rdp { double at[SL_ORDERS]; };

/* SL_ERROR_OUT_OF_RANGE (also NaN). */
int sl_accountant_check(double q, double z, uint64_t steps, double delta);

/* Of one Poisson-sampled Gaussian step at one order: q 0 gives 0; u infinite (no noise) gives infinity. */
double sl_rdp_order(double q, double u, uint32_t order);
void sl_rdp_step(double q, double u, struct sl_rdp *out);
void sl_rdp_add(struct sl_rdp *sum, const struct sl_rdp *step, double times);

/* By one order, before the maximum with 0: R + log1p(-1/a) - (log delta + log a) / (a - 1). */
double sl_rdp_to_epsilon(double rdp, uint32_t order, double delta);

/* The best of the grid, at least 0; its order in *order (may be NULL). delta 0 gives infinity. */
double sl_epsilon(const struct sl_rdp *sum, double delta, uint32_t *order);
double sl_delta(const struct sl_rdp *sum, double epsilon);                   /* at most 1 */

/* Of k records of one person: k epsilon, and delta (e^(k epsilon) - 1) / (e^epsilon - 1), which is "no bound" above 1e-2. */
double sl_group_delta(double epsilon, double delta, uint32_t k);

/* The smallest z, to a relative 1e-6 and never too small, whose epsilon for so many steps is at most `epsilon`; factor multiplies the divergence of a step
 * (1, or that of an audit). SL_ERROR_OUT_OF_RANGE: no z within the limits does. */
int sl_noise_for(double q, uint64_t steps, double factor, double epsilon, double delta, double *out);

/* One Gaussian release exactly (Balle and Wang 2018), in logs; T of them count as one with z / sqrt(T). For tests and planning, never for enforcement. */
double sl_gaussian_delta(double z, double epsilon);
double sl_gaussian_epsilon(double z, double delta);
double sl_gaussian_noise(double epsilon, double delta);                      /* smallest z */

/* Sums of h discrete Gaussians of integer deviation s are nearly one (Kairouz, Liu and Steinke 2021): their distance tau. Below 1e-260 from s = 8 on. */
double sl_share_gap(uint32_t honest, double deviation);

/* What showing partners k' random projections of an own noised vector of k coordinates multiplies the divergence of a cohort's release by: 1 + kappa h k'/k. */
double sl_audit_factor(uint32_t honest, uint32_t rows, uint32_t dim, uint32_t kappa);

#endif
