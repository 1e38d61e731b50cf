/* SPDX-License-Identifier: MIT */
#ifndef SL_TRAIN_RANK_ONE_H
#define SL_TRAIN_RANK_ONE_H

#include <stdint.h>

/*
 * The inner loops of private training: gradients of single rows are outer products, and their truncated entries are added up without being written out.
 * Every path gives the same integers: each product is rounded once as a float and truncated toward zero, and nothing is fused.
 */
enum { SL_RANK_ONE_ROWS = 4 };           /* rows side by side */

struct sl_rank_one {
    /* For each of the rows: v[j] = trunc(factors[r] * inputs[r][j]), sums[j] += v[j], squares[r] += v[j]^2. |v| <= 2^21 is the caller's promise. */
    void (*add)(const float factors[SL_RANK_ONE_ROWS], const float *const inputs[SL_RANK_ONE_ROWS], uint32_t n, int32_t *sums,
                uint64_t squares[SL_RANK_ONE_ROWS]);

    /* totals[j] += sums[j], sums[j] = 0. */
    void (*carry)(int32_t *sums, uint32_t n, int64_t *totals);

    /* Sum of squares in double, in a fixed order. */
    double (*norm2)(const float *values, uint32_t n);
};

extern const struct sl_rank_one sl_rank_one_plain;
const struct sl_rank_one *sl_rank_one_fastest(void);         /* that this processor has */

#endif
