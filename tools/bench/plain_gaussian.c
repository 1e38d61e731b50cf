/* SPDX-License-Identifier: MIT */
#include "plain_gaussian.h"

#include <stdbool.h>

typedef unsigned __int128 uint128;

static uint128 uniform(struct sl_noise *noise, uint128 m)
{
    uint128 mask = m - 1;
    for (int shift = 1; shift < 128; shift *= 2) mask |= mask >> shift;
    for (;;) {
        uint128 value = sl_noise_word(noise);
        if (mask >> 64) value |= (uint128)sl_noise_word(noise) << 64;
        value &= mask;
        if (value < m) return value;
    }
}

/* True with probability exp(-n/d), n <= d. */
static bool chance_below_one(struct sl_noise *noise, uint128 n, uint128 d)
{
    uint32_t i = 1;
    while (uniform(noise, d * i) < n) i++;
    return i % 2 == 1;
}

static bool chance(struct sl_noise *noise, uint128 n, uint128 d)
{
    for (; n > d; n -= d)
        if (!chance_below_one(noise, 1, 1)) return false;
    return chance_below_one(noise, n, d);
}

static int64_t laplace(struct sl_noise *noise, uint64_t scale)
{
    for (;;) {
        const uint64_t part = (uint64_t)uniform(noise, scale);
        if (!chance_below_one(noise, part, scale)) continue;
        uint64_t wholes = 0;
        while (chance_below_one(noise, 1, 1)) wholes++;
        const int64_t size = (int64_t)(wholes * scale + part);
        const bool is_negative = uniform(noise, 2);
        if (is_negative && size == 0) continue;
        return is_negative ? -size : size;
    }
}

int64_t plain_gaussian(struct sl_noise *noise, uint64_t sigma2)
{
    uint64_t scale = 1;
    for (int bit = 28; bit >= 0; bit--) {
        const uint64_t next = scale - 1 + (UINT64_C(1) << bit);
        if (next * next <= sigma2) scale = next + 1;
    }
    for (;;) {
        const int64_t y = laplace(noise, scale);
        const uint128 reached = (uint128)(y < 0 ? -y : y) * scale, apart = reached > sigma2 ? reached - sigma2 : sigma2 - reached;
        if (chance(noise, apart * apart, (uint128)2 * sigma2 * scale * scale)) return y;
    }
}
