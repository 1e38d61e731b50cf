/* SPDX-License-Identifier: MIT */
#ifndef SL_PRIVACY_BUDGET_H
#define SL_PRIVACY_BUDGET_H

#include <stdint.h>

#include "privacy/accountant.h"

/* What rounds cost together. A round is one charged use of private data; its charge stands in the ledger as integers, and everything here follows from them. */

enum sl_unit { SL_UNIT_OFF, SL_UNIT_RECORD, SL_UNIT_NODE };
enum sl_adjacency { SL_ADJACENCY_NONE, SL_ADJACENCY_ADD_REMOVE, SL_ADJACENCY_ZERO_OUT, SL_ADJACENCY_REPLACE };
enum sl_mechanism { SL_MECHANISM_NONE, SL_MECHANISM_POISSON, SL_MECHANISM_GAUSSIAN, SL_MECHANISM_COHORT };

enum { SL_SCALE_BITS = 20, SL_AUDIT_KAPPA = 16 };             /* the clip norm is 2^20 in integers */

#define SL_Q64_ONE UINT64_MAX                                /* q = 1; else q = q64 * 2^-64 */
#define SL_AUDIT_DELTA 1e-9                                  /* of delta, for every audited release */

/* q64 of a sampling rate, floor(q 2^64), and back: exact for every double below 1. The sensitivity in integers: doubled where all data may differ. */
uint64_t sl_q64(double q);
double sl_q_of(uint64_t q64);
uint64_t sl_sensitivity(enum sl_adjacency adjacency);

struct sl_charge {
    enum sl_unit unit;
    enum sl_adjacency adjacency;
    enum sl_mechanism mechanism;
    uint64_t q64, sigma2, sensitivity, steps;                /* sigma2: of the noise per coordinate; in a cohort of the own share */
    uint32_t honest;                                         /* h: honest shares counted on, 1 if there is no cohort */
    uint32_t audit_rows, dim, kappa;                         /* audit_rows 0: no audit, then dim and kappa are 0 as well */
};

/* Two sums: at most f colluders in every cohort, and all others colluding (for everything but cohort shares they are equal). */
struct sl_budget {
    struct sl_rdp sum, floor;
    uint64_t n_charges, n_audited;
    struct sl_charge last;                                   /* whose divergences are in the cache */
    struct sl_rdp last_sum, last_floor;
};

struct sl_limits { double eps_max, delta, floor_max; };      /* floor_max 0: none */

/* SL_ERROR_OUT_OF_RANGE: numbers that the accountant or the mechanism does not answer for (z above 256 or below .3, h 0, a share's deviation below 8, ...). */
int sl_charge_check(const struct sl_charge *charge);

void sl_budget_init(struct sl_budget *budget);
void sl_budget_add(struct sl_budget *budget, const struct sl_charge *charge);            /* charge was checked */

/* Infinite when audits have used up more than half of delta. */
double sl_budget_epsilon(const struct sl_budget *budget, double delta);
double sl_budget_floor(const struct sl_budget *budget, double delta);

/* The largest number of such rounds that stay within the limits, at most 1e9. Fills the cache. */
uint64_t sl_budget_rounds_left(struct sl_budget *budget, const struct sl_charge *charge, const struct sl_limits *limits);

#endif
