/* SPDX-License-Identifier: MIT */
#ifndef SL_PRIVACY_DISCRETE_GAUSSIAN_PARTS_H
#define SL_PRIVACY_DISCRETE_GAUSSIAN_PARTS_H

#include <stdbool.h>

#include "privacy/discrete_gaussian.h"

/*
 * Inside the sampler; its tests look at it too.
 *
 *     noise.c                       the stream of random words
 *     discrete_gaussian.c           samples
 *     discrete_gaussian_table.c     the columns under which they are drawn
 *     discrete_gaussian_exact.c     is this point below the curve? Decided with as many bits as it takes
 *
 * How. Write rho(x) = exp(-x^2 / (2 sigma2)). A point thrown uniformly under any curve above c * rho, and thrown again until it falls below c * rho itself,
 * has an x of the wanted distribution; the sign is a bit of its own, and -0 is thrown again. The curve above is a staircase over the sizes 0, 1, 2, ...:
 * columns of L sizes each, L a power of two near sigma / 32 or 1, to about 8 sigma, each as high as c * rho at its begin, rounded up to an integer. Behind
 * the last one come blocks of 8 L sizes, each half as high as the one before. The area of the columns, in units of one height by L sizes, plus that of the
 * blocks, plus a rest that is always thrown again, is 2^40 exactly, so that the 64 bits of one word are a point:
 *
 *     bits 63..55 slot, 54..24 level    a point of the area: slots are 2^31 units each, cut into at most two pieces of columns (alias method, on integers)
 *     bit 23                            the sign
 *     bits 22..0                        which of the L sizes of the column
 *
 * The level says how high the point lies, in whole units p; the real height is p + u with u in [0, 1), whose bits are drawn only when they matter. Nearly
 * all points lie a whole unit below the curve at the far end of their column: taken at once. Of the rest nearly all are settled by an integer polynomial
 * with a proven error. What remains, about one in 2^28, and all of the tail, is settled by 256-bit arithmetic and 192 bits of u. Should even that not
 * do (2^-189), the sample ends in SL_ERROR_RNG. No decision is ever taken on an approximation that could be wrong, and no floating point is involved, so
 * the samples of a key are the same on every machine.
 */
enum {
    GAUSSIAN_COLUMNS = 512,
    GAUSSIAN_TAIL = GAUSSIAN_COLUMNS - 1,        /* stands for all behind the columns, and for the rest */
    GAUSSIAN_LEVEL_BITS = 31, GAUSSIAN_SIZE_BITS = 23,
    GAUSSIAN_TAIL_AREA = 16,                     /* blocks of 8 L sizes, heights 1, 1/2, 1/4, ... */
    GAUSSIAN_TAIL_BLOCK_BITS = 3,
    GAUSSIAN_SLACK = 4, GAUSSIAN_EXCESS = 2,     /* sl_gaussian_estimate() - SLACK < curve < sl_gaussian_estimate() + EXCESS */
};
#define GAUSSIAN_AREA (UINT64_C(1) << 40)

/* Levels below the threshold belong to the column of the slot's own number, the others to its alias, higher up by `offset` (modulo 2^64). */
struct gaussian_slot {
    uint32_t threshold, alias;
    uint64_t offset;
};

struct sl_discrete_gaussian {
    uint64_t sigma2;
    uint64_t scale;                              /* c */
    uint64_t reciprocal;                         /* 2^(64 + reciprocal_shift) / (2 sigma2), rounded down */
    uint32_t reciprocal_shift;
    uint32_t width_bits;                         /* L = 2^width_bits */
    uint32_t n_columns;                          /* in use: 0 .. n_columns - 1, all of them before GAUSSIAN_TAIL */
    struct gaussian_slot slots[GAUSSIAN_COLUMNS];
    uint64_t sure[GAUSSIAN_COLUMNS];             /* lower heights are below the curve all over the column */
    uint64_t height[GAUSSIAN_COLUMNS];
};

/* Of c * rho(column's begin + apart), apart < L. */
uint64_t sl_gaussian_estimate(const struct sl_discrete_gaussian *gaussian, uint32_t column, uint64_t apart);

/* low < scale * 2^shift * exp(-x^2 / (2 sigma2)) < high, unless low is 0: numbers of 64 bits before and 192 bits behind the point, the lowest word first, at
 * most 4 * 2^-192 apart. The product must be at most 2^40, and at most 1 unless shift is 0; scale >= 1, x < 2^35, shift <= 128. */
void sl_gaussian_bounds(uint64_t x, uint64_t sigma2, uint64_t scale, uint32_t shift, uint64_t low[4], uint64_t high[4]);

/* Is whole + u below that product? u in [0, 1) is drawn as far as needed. */
enum gaussian_verdict { GAUSSIAN_BELOW, GAUSSIAN_ABOVE, GAUSSIAN_UNDECIDED };
enum gaussian_verdict sl_gaussian_compare(struct sl_noise *noise, uint64_t whole, uint64_t x, uint64_t sigma2, uint64_t scale, uint32_t shift);

#endif
