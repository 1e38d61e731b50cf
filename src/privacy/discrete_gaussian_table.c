/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "privacy/discrete_gaussian_parts.h"
#include "starling/error.h"

typedef unsigned __int128 uint128;

enum { TERMS = 14 };

/* 2^63 / k!, rounded down. */
#define OVER(factorial) ((UINT64_C(1) << 63) / UINT64_C(factorial))
static const uint64_t taylor[TERMS + 1] = {
    OVER(1),      OVER(1),       OVER(2),        OVER(6),         OVER(24),         OVER(120),         OVER(720),          OVER(5040),
    OVER(40320),  OVER(362880),  OVER(3628800),  OVER(39916800),  OVER(479001600),  OVER(6227020800),  OVER(87178291200),
};

static uint64_t multiply_high(uint64_t a, uint64_t b)
{
    return (uint64_t)((uint128)a * b >> 64);
}

/*
 * height * exp(-d), d = ((begin + apart)^2 - begin^2) / (2 sigma2). Where apart > 0 is possible, L <= sigma / 32 and begin < 8 sigma: d < 0.26.
 *
 * d, times 2^64 and down, is low by less than 3: the reciprocal by less than 2, times 0.26 * 2; and 1. Each step of Horner's form adds less than a unit of
 * 2^-63 either way, times 0.26 in each later step; the terms beyond the 14th are below 2^-69. So exp(-d) is within 2^-61, its product with a height of at most
 * 2^40 + 3 within 2^-20, and low by less than 1 more. The height itself is above c * rho(begin) by less than 3. Thus SLACK and EXCESS.
 */
uint64_t sl_gaussian_estimate(const struct sl_discrete_gaussian *gaussian, uint32_t column, uint64_t apart)
{
    const uint64_t begin = (uint64_t)column << gaussian->width_bits, more = apart * (2 * begin + apart);
    const uint64_t d = (uint64_t)((uint128)more * gaussian->reciprocal >> gaussian->reciprocal_shift);
    uint64_t decay = taylor[TERMS];
    for (int k = TERMS - 1; k >= 0; k--) decay = taylor[k] - multiply_high(decay, d);
    return (uint64_t)((uint128)gaussian->height[column] * decay >> 63);
}

/* L and the number of columns: 32 <= sigma / L < 64, or L = 1; then to 8 sigma, or 7.98 where that would be one column too many. */
static void lay_out(struct sl_discrete_gaussian *gaussian)
{
    const uint64_t sigma2 = gaussian->sigma2;
    while (UINT64_C(4096) << 2 * gaussian->width_bits <= sigma2) gaussian->width_bits++;

    uint32_t n = 1;
    while (n < GAUSSIAN_TAIL && ((uint128)n * n << 2 * gaussian->width_bits) < (uint128)64 * sigma2) n++;
    gaussian->n_columns = n;

    const uint64_t twice = 2 * sigma2;
    while (twice >> gaussian->reciprocal_shift > 1) gaussian->reciprocal_shift++;
    gaussian->reciprocal = (uint64_t)((((uint128)1 << (64 + gaussian->reciprocal_shift)) - 1) / twice);
}

/* c as large as the area allows; heights in [c * rho, c * rho + 3), rho at the column's begin. First 2^40 * rho is found, from above by less than 2. */
static void raise_columns(struct sl_discrete_gaussian *gaussian)
{
    uint64_t sum = 0;
    for (uint32_t j = 0; j < gaussian->n_columns; j++) {
        uint64_t low[4], high[4];
        sl_gaussian_bounds((uint64_t)j << gaussian->width_bits, gaussian->sigma2, GAUSSIAN_AREA, 0, low, high);
        gaussian->height[j] = high[3] + 1;
        sum += gaussian->height[j];
    }
    const uint64_t usable = GAUSSIAN_AREA - GAUSSIAN_TAIL_AREA - GAUSSIAN_COLUMNS;
    gaussian->scale = (uint64_t)((uint128)usable * GAUSSIAN_AREA / sum);
    for (uint32_t j = 0; j < gaussian->n_columns; j++)
        gaussian->height[j] = (uint64_t)((uint128)gaussian->scale * gaussian->height[j] / GAUSSIAN_AREA) + 1;

    for (uint32_t j = 0; j < gaussian->n_columns; j++) {
        uint64_t least = sl_gaussian_estimate(gaussian, j, (UINT64_C(1) << gaussian->width_bits) - 1);
        gaussian->sure[j] = least > GAUSSIAN_SLACK ? least - GAUSSIAN_SLACK : 0;
    }
}

/* Cuts the area into slots of equal size (alias method; Walker 1977, Vose 1991): who has less than a slot is filled up from the top of one who has more. */
static void fill_slots(struct sl_discrete_gaussian *gaussian)
{
    const uint64_t slot = GAUSSIAN_AREA / GAUSSIAN_COLUMNS;
    uint64_t left[GAUSSIAN_COLUMNS] = {0}, rest = GAUSSIAN_AREA;
    for (uint32_t j = 0; j < gaussian->n_columns; j++) {
        left[j] = gaussian->height[j];
        rest -= left[j];
    }
    assert(rest >= GAUSSIAN_TAIL_AREA && rest < GAUSSIAN_AREA);
    left[GAUSSIAN_TAIL] = rest;

    uint32_t poor[GAUSSIAN_COLUMNS], rich[GAUSSIAN_COLUMNS], n_poor = 0, n_rich = 0;
    for (uint32_t j = 0; j < GAUSSIAN_COLUMNS; j++) {
        gaussian->slots[j] = (struct gaussian_slot){.threshold = (uint32_t)slot, .alias = j};
        if (left[j] < slot) {
            poor[n_poor++] = j;
        } else {
            rich[n_rich++] = j;
        }
    }
    while (n_poor > 0) {
        assert(n_rich > 0);                                  /* what is left is one slot each on average */
        const uint32_t to = poor[--n_poor], from = rich[n_rich - 1];
        left[from] -= slot - left[to];
        gaussian->slots[to] = (struct gaussian_slot){.threshold = (uint32_t)left[to], .alias = from, .offset = left[from] - left[to]};
        if (left[from] < slot) poor[n_poor++] = rich[--n_rich];
    }
}

size_t sl_discrete_gaussian_size(void)
{
    return sizeof(struct sl_discrete_gaussian);
}

int sl_discrete_gaussian_init(void *memory, uint64_t sigma2, struct sl_discrete_gaussian **out)
{
    if (sigma2 == 0 || sigma2 > SL_SIGMA2_MAX) return SL_ERROR_OUT_OF_RANGE;

    struct sl_discrete_gaussian *gaussian = memory;
    *gaussian = (struct sl_discrete_gaussian){.sigma2 = sigma2};
    lay_out(gaussian);
    raise_columns(gaussian);
    fill_slots(gaussian);
    *out = gaussian;
    return SL_OK;
}
