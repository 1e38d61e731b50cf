/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "privacy/discrete_gaussian_parts.h"

typedef unsigned __int128 uint128;

/*
 * The curve to 2^-191: exp(-t) = 2^-q * exp(g) with g = q * ln 2 - t in [0, ln 2), and exp(g) = 1 + E by Taylor's series in Horner's form, whose terms are all
 * positive. Fractions are four words of 64 bits, the lowest first; everything is rounded down. An "ulp" is 2^-256:
 *
 *     t is low by 1 ulp, q * ln 2 by q <= 1,479 ulp: g is within 1,480 ulp, E (slope at most 2) within 2,960;
 *     each step of Horner's form loses at most 2 ulp, times g / k < 0.7 in each later step: 7 ulp; terms beyond the 54th are below 2^-270.
 *
 * So E is within 2^12 ulp = 2^-244. The product is at most 2^40, thus scale * 2^(shift - q) is at most 2^40 too, and its error is below 2^-204, plus 2^-192 for
 * what is cut off: below 2 * 2^-192.
 */
enum { TERMS = 54, EXPONENT_MAX = 1024, ERROR_UNITS = 2 };

static const uint64_t ln2[4] = {UINT64_C(0x8a0d175b8baafa2b), UINT64_C(0x40f343267298b62d), UINT64_C(0xc9e3b39803f2f6af), UINT64_C(0xb17217f7d1cf79ab)};

/* a * b, the upper half. */
static void multiply(const uint64_t a[4], const uint64_t b[4], uint64_t out[4])
{
    uint64_t product[8] = {0};
    for (int i = 0; i < 4; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < 4; j++) {
            uint128 sum = (uint128)a[i] * b[j] + product[i + j] + carry;
            product[i + j] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
        product[i + 4] = carry;
    }
    memcpy(out, product + 4, 4 * sizeof *out);
}

/* a + b on n words; what leaves them is dropped. */
static void add(uint64_t *a, const uint64_t *b, int n)
{
    uint64_t carry = 0;
    for (int i = 0; i < n; i++) {
        uint128 sum = (uint128)a[i] + b[i] + carry;
        a[i] = (uint64_t)sum;
        carry = (uint64_t)(sum >> 64);
    }
}

static void subtract(uint64_t *a, const uint64_t *b, int n)
{
    uint64_t borrow = 0;
    for (int i = 0; i < n; i++) {
        uint128 rest = (uint128)a[i] - b[i] - borrow;
        a[i] = (uint64_t)rest;
        borrow = (uint64_t)(rest >> 64) & 1;
    }
}

static bool is_less(const uint64_t *a, const uint64_t *b, int n)
{
    for (int i = n - 1; i >= 0; i--)
        if (a[i] != b[i]) return a[i] < b[i];
    return false;
}

static void divide(uint64_t a[4], uint32_t by)
{
    uint64_t rest = 0;
    for (int i = 3; i >= 0; i--) {
        uint64_t upper = rest << 32 | a[i] >> 32, lower = upper % by << 32 | (a[i] & UINT32_MAX);
        a[i] = (upper / by) << 32 | lower / by;
        rest = lower % by;
    }
}

/* q, and g in [0, ln 2) with q * ln 2 - g = square / twice, a quotient below EXPONENT_MAX. */
static uint32_t reduce(uint128 square, uint64_t twice, uint64_t g[4])
{
    uint64_t t[5];
    uint128 rest = square % twice;
    t[4] = (uint64_t)(square / twice);
    for (int i = 3; i >= 0; i--) {
        t[i] = (uint64_t)((rest << 64) / twice);
        rest = (rest << 64) % twice;
    }

    /* t / ln 2 by 2^32 / ln 2 from below, to fewer than 2^-20 of it; then one or two more, which come off again. */
    const uint64_t inverse = 6196328018;
    const uint128 quotient = (uint128)(t[4] << 32 | t[3] >> 32) * inverse;
    uint32_t q = (uint32_t)(quotient >> 64) + 2;

    uint64_t apart[5], whole_ln2[5] = {ln2[0], ln2[1], ln2[2], ln2[3], 0}, carry = 0;
    for (int i = 0; i < 4; i++) {
        uint128 product = (uint128)ln2[i] * q + carry;
        apart[i] = (uint64_t)product;
        carry = (uint64_t)(product >> 64);
    }
    apart[4] = carry;
    subtract(apart, t, 5);
    for (; !is_less(apart, whole_ln2, 5); q--) subtract(apart, whole_ln2, 5);
    memcpy(g, apart, 4 * sizeof *g);
    return q;
}

/* exp(g) - 1 = g/1 * (1 + g/2 * (1 + g/3 * (...))). */
static void grow(const uint64_t g[4], uint64_t out[4])
{
    memset(out, 0, 4 * sizeof *out);
    for (uint32_t k = TERMS; k >= 1; k--) {
        multiply(out, g, out);
        add(out, g, 4);
        divide(out, k);
    }
}

/* Five words moved down by so many bits. */
static void shift_down(uint64_t a[5], uint32_t bits)
{
    const uint32_t words = bits / 64, rest = bits % 64;
    for (uint32_t i = 0; i < 5; i++) {
        uint64_t lower = i + words < 5 ? a[i + words] : 0, upper = i + words + 1 < 5 ? a[i + words + 1] : 0;
        a[i] = rest ? lower >> rest | upper << (64 - rest) : lower;
    }
}

/* scale * 2^shift * exp(-x^2 / (2 sigma2)), to less than ERROR_UNITS. */
static void curve(uint64_t x, uint64_t sigma2, uint64_t scale, uint32_t shift, uint64_t out[4])
{
    const uint128 square = (uint128)x * x;
    const uint64_t twice = 2 * sigma2;
    memset(out, 0, 4 * sizeof *out);
    if (square / twice >= EXPONENT_MAX) return;              /* below 2^(40 + 128 - 1477) */

    uint64_t g[4], above[4], product[5];
    const uint32_t q = reduce(square, twice, g);
    assert(q >= shift);
    grow(g, above);

    uint64_t carry = 0;
    for (int i = 0; i < 4; i++) {
        uint128 sum = (uint128)above[i] * scale + carry;
        product[i] = (uint64_t)sum;
        carry = (uint64_t)(sum >> 64);
    }
    product[4] = scale + carry;
    shift_down(product, q - shift);
    memcpy(out, product + 1, 4 * sizeof *out);
}

void sl_gaussian_bounds(uint64_t x, uint64_t sigma2, uint64_t scale, uint32_t shift, uint64_t low[4], uint64_t high[4])
{
    const uint64_t error[4] = {ERROR_UNITS};
    curve(x, sigma2, scale, shift, low);
    memcpy(high, low, 4 * sizeof *high);
    add(high, error, 4);
    if (is_less(low, error, 4)) {
        memset(low, 0, 4 * sizeof *low);
    } else {
        subtract(low, error, 4);
    }
}

enum gaussian_verdict sl_gaussian_compare(struct sl_noise *noise, uint64_t whole, uint64_t x, uint64_t sigma2, uint64_t scale, uint32_t shift)
{
    uint64_t low[4], high[4], point[4];
    sl_gaussian_bounds(x, sigma2, scale, shift, low, high);
    if (whole < low[3]) return GAUSSIAN_BELOW;               /* whole + u < whole + 1 <= low */
    if (whole > high[3]) return GAUSSIAN_ABOVE;

    point[3] = whole;
    for (int i = 2; i >= 0; i--) point[i] = sl_noise_word(noise);
    if (is_less(point, low, 4)) return GAUSSIAN_BELOW;       /* so is point + 2^-192, the most that the bits of u not drawn can make of it */
    if (!is_less(point, high, 4)) return GAUSSIAN_ABOVE;
    return GAUSSIAN_UNDECIDED;
}
