/* SPDX-License-Identifier: MIT */
#include "privacy/shamir.h"

#include <assert.h>
#include <string.h>

enum { SIZE = 32, REDUCTION = 0x1b };    /* x^8 = x^4 + x^3 + x + 1 */

/* Of bytes that are secret: the same few operations whatever they hold, on all 32 at once. */
static void times_x(uint8_t bytes[SIZE])
{
    for (int i = 0; i < SIZE; i++) {
        uint8_t top = (uint8_t)-(bytes[i] >> 7);
        bytes[i] = (uint8_t)(bytes[i] << 1) ^ (top & REDUCTION);
    }
}

/* sum += factor * bytes, the factor a public number; `bytes` is used up. */
static void add_product(uint8_t factor, uint8_t bytes[SIZE], uint8_t sum[SIZE])
{
    for (; factor; factor >>= 1) {
        uint8_t mask = (uint8_t)-(factor & 1);
        for (int i = 0; i < SIZE; i++) sum[i] ^= bytes[i] & mask;
        times_x(bytes);
    }
}

/* Of public numbers. */
static uint8_t product(uint8_t a, uint8_t b)
{
    uint8_t sum = 0;
    for (; b; b >>= 1) {
        sum ^= (uint8_t)(a & -(b & 1));
        a = (uint8_t)(a << 1) ^ (uint8_t)(-(a >> 7) & REDUCTION);
    }
    return sum;
}

/* a^254, which is 1 / a. */
static uint8_t inverse(uint8_t a)
{
    uint8_t power = a, result = 1;
    for (int bit = 1; bit < 8; bit++) {
        power = product(power, power);
        result = product(result, power);
    }
    return result;
}

/* Of the share at x = indices[k] + 1 in the value at zero: the product of x_j / (x_j - x_k) over the others (Lagrange). */
static uint8_t weight(uint32_t threshold, const uint32_t *indices, uint32_t k)
{
    const uint8_t own = (uint8_t)(indices[k] + 1);
    uint8_t above = 1, below = 1;
    for (uint32_t j = 0; j < threshold; j++) {
        uint8_t x = (uint8_t)(indices[j] + 1);
        if (j == k) continue;
        assert(x != own);
        above = product(above, x);
        below = product(below, x ^ own);
    }
    return product(above, inverse(below));
}

void sl_shamir_split(const uint8_t secret[32], uint32_t threshold, uint32_t n_shares, struct sl_rng *rng, uint8_t shares[][32])
{
    assert(threshold >= 2 && threshold <= n_shares && n_shares <= SL_SHAMIR_MAX);

    uint8_t coefficients[SL_SHAMIR_MAX][SIZE], value[SIZE], sum[SIZE];       /* coefficients[k] is that of x^k */
    memcpy(coefficients[0], secret, SIZE);
    sl_rng_bytes(rng, coefficients[1], SIZE * (size_t)(threshold - 1));

    for (uint32_t i = 0; i < n_shares; i++) {
        memcpy(value, coefficients[threshold - 1], SIZE);                    /* Horner */
        for (uint32_t k = threshold - 1; k > 0; k--) {
            memcpy(sum, coefficients[k - 1], SIZE);
            add_product((uint8_t)(i + 1), value, sum);
            memcpy(value, sum, SIZE);
        }
        memcpy(shares[i], value, SIZE);
    }

    sl_wipe(coefficients, sizeof coefficients);
    sl_wipe(value, sizeof value);
    sl_wipe(sum, sizeof sum);
}

void sl_shamir_join(uint32_t threshold, const uint32_t *indices, const uint8_t *const *shares, uint8_t out[32])
{
    assert(threshold >= 2 && threshold <= SL_SHAMIR_MAX);

    uint8_t sum[SIZE] = {0}, share[SIZE];
    for (uint32_t k = 0; k < threshold; k++) {
        assert(indices[k] < SL_SHAMIR_MAX);
        memcpy(share, shares[k], SIZE);
        add_product(weight(threshold, indices, k), share, sum);
    }
    memcpy(out, sum, SIZE);
    sl_wipe(sum, sizeof sum);
    sl_wipe(share, sizeof share);
}
