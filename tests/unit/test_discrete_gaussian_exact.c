/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "privacy/discrete_gaussian_parts.h"

/* scale * 2^shift * exp(-x^2 / (2 sigma2)) * 2^192, rounded down, by mpmath with 2,500 bits. */
static const struct known {
    uint64_t x, sigma2, scale;
    uint32_t shift;
    uint64_t words[4];               /* the lowest first */
} known[] = {
    {0, UINT64_C(1), UINT64_C(1099511627776), 0,
     {UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), UINT64_C(0x0000010000000000)}},
    {1, UINT64_C(1), UINT64_C(1099511627776), 0,
     {UINT64_C(0xe80abbce4ae95861), UINT64_C(0xcdd767e347bf8ad0), UINT64_C(0xb04ff3d675a35530), UINT64_C(0x0000009b4597e37c)}},
    {1, UINT64_C(1), UINT64_C(1), 0,
     {UINT64_C(0xe347bf8ad0e80abb), UINT64_C(0xd675a35530cdd767), UINT64_C(0x9b4597e37cb04ff3), UINT64_C(0x0000000000000000)}},
    {8, UINT64_C(1), UINT64_C(549755826233), 0,
     {UINT64_C(0x39e94ea4d364f616), UINT64_C(0x8d89fc2d150bf86f), UINT64_C(0x01c8465021fbd39d), UINT64_C(0x0000000000000000)}},
    {3, UINT64_C(10), UINT64_C(987654321987), 0,
     {UINT64_C(0x1e28dd8f37dc74e7), UINT64_C(0x032a6903eeb3a86c), UINT64_C(0xd397e22568b51248), UINT64_C(0x00000092a0650359)}},
    {1, UINT64_C(72057594037927936), UINT64_C(1099511627776), 0,
     {UINT64_C(0xfaaaaaaaaaaaaaab), UINT64_C(0x001fffffffffffff), UINT64_C(0xffff800000000000), UINT64_C(0x000000ffffffffff)}},
    {268435456, UINT64_C(72057594037927936), UINT64_C(1099511627776), 0,
     {UINT64_C(0xe80abbce4ae95861), UINT64_C(0xcdd767e347bf8ad0), UINT64_C(0xb04ff3d675a35530), UINT64_C(0x0000009b4597e37c)}},
    {2147483648, UINT64_C(72057594037927936), UINT64_C(34359738367), 3,
     {UINT64_C(0x8e0072f17cac9862), UINT64_C(0xf9eb6ba1041a2a25), UINT64_C(0x00e42327baee9edb), UINT64_C(0x0000000000000000)}},
    {2147561425, UINT64_C(72057594037927936), UINT64_C(34359738367), 11,
     {UINT64_C(0xa42237d926d6d3ca), UINT64_C(0x1498bc16bb4d106a), UINT64_C(0xe39bef4e9b6c6882), UINT64_C(0x0000000000000000)}},
    {12345, UINT64_C(16777216), UINT64_C(1099511627776), 0,
     {UINT64_C(0x43325b6d6a19afea), UINT64_C(0x5ad57fe085faf069), UINT64_C(0xa636aeaafa2fbe8d), UINT64_C(0x00000002ba33fd6e)}},
    {5000000, UINT64_C(1099511627776), UINT64_C(29000000001), 0,
     {UINT64_C(0x05057c9dabcb8f99), UINT64_C(0x45ff1cd9d9fa5292), UINT64_C(0x59205bfccf1e378b), UINT64_C(0x0000000000051c95)}},
    {7987654, UINT64_C(1099511640121), UINT64_C(24000000001), 1,
     {UINT64_C(0xb71cce874aeb00fc), UINT64_C(0xa2d725dc3ce48760), UINT64_C(0x0314fcf576ba17e0), UINT64_C(0x0000000000000000)}},
    {9000000, UINT64_C(1099511627776), UINT64_C(24000000001), 18,
     {UINT64_C(0xce6b32e1e00d5833), UINT64_C(0x56cc5b05281238e0), UINT64_C(0xa22a195b14b38232), UINT64_C(0x0000000000000000)}},
    {13000000, UINT64_C(1099511627776), UINT64_C(24000000001), 76,
     {UINT64_C(0xb8cd6e805d0fcef7), UINT64_C(0x65c2d64ad8d454d2), UINT64_C(0xc313059e2e688c90), UINT64_C(0x0000000000000000)}},
    {20000000, UINT64_C(1099511627776), UINT64_C(24000000001), 128,
     {UINT64_C(0x932e87ecdb22ebd4), UINT64_C(0x0000000010a6e3e0), UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000)}},
    {40, UINT64_C(100), UINT64_C(1), 0,
     {UINT64_C(0xad23fbcb7f4a81e5), UINT64_C(0xbbfcd46780fee71e), UINT64_C(0x0015fc21041027ac), UINT64_C(0x0000000000000000)}},
    {452, UINT64_C(100), UINT64_C(1099511627776), 128,
     {UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000)}},
    {55, UINT64_C(60), UINT64_C(77), 5,
     {UINT64_C(0x5128dc8c322b59d6), UINT64_C(0x4595c2f85477354e), UINT64_C(0x00000077553e6e42), UINT64_C(0x0000000000000000)}},
    {10240000007, UINT64_C(281474976710656), UINT64_C(3221225472), 0,
     {UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000)}},
    {134217729, UINT64_C(72057594037927935), UINT64_C(1099511627775), 0,
     {UINT64_C(0xb30c16756637bade), UINT64_C(0x01654e37ad19efa5), UINT64_C(0xd4973ec823779391), UINT64_C(0x000000e1eb51205b)}},
};
enum { N_KNOWN = sizeof known / sizeof known[0] };

static struct sl_noise noise;

/* number += by, or -= where by is negative, without leaving 0 .. 2^256 - 1: what would, stops there. */
static void move(const uint64_t number[4], int by, uint64_t out[4])
{
    bool is_out = false;
    memcpy(out, number, 4 * sizeof *out);
    for (int n = 0; n < (by < 0 ? -by : by) && !is_out; n++) {
        int i = 0;
        if (by > 0) {
            while (i < 4 && ++out[i] == 0) i++;
        } else {
            while (i < 4 && out[i]-- == 0) i++;
        }
        is_out = i == 4;
    }
    if (is_out) memset(out, by > 0 ? 0xff : 0, 4 * sizeof *out);
}

static int order(const uint64_t a[4], const uint64_t b[4])
{
    for (int i = 3; i >= 0; i--)
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
    return 0;
}

Test(discrete_gaussian_exact, bounds_hold_numbers_known_to_192_bits_and_are_close)
{
    for (size_t i = 0; i < N_KNOWN; i++) {
        const struct known *k = &known[i];
        uint64_t low[4], high[4], gap[4];

        sl_gaussian_bounds(k->x, k->sigma2, k->scale, k->shift, low, high);

        move(k->words, 1, gap);
        cr_assert_leq(order(low, k->words), 0, "number %zu: low", i);
        cr_assert_geq(order(high, gap), 0, "number %zu: high", i);
        move(low, 4, gap);
        cr_assert_leq(order(high, gap), 0, "number %zu: too far apart", i);
    }
}

/* A stream whose next words are the fraction of `number`, the highest first. */
static void start_with_fraction_of(const uint64_t number[4])
{
    sl_noise_init(&noise, (const uint8_t[32]){1});
    noise.at = 0;
    for (int i = 0; i < 3; i++) noise.words[i] = number[2 - i];
}

static enum gaussian_verdict verdict_on(const struct known *k, const uint64_t point[4])
{
    start_with_fraction_of(point);
    return sl_gaussian_compare(&noise, point[3], k->x, k->sigma2, k->scale, k->shift);
}

Test(discrete_gaussian_exact, a_point_a_few_units_of_the_192nd_bit_away_is_decided_and_one_too_close_to_tell_is_not)
{
    for (size_t i = 0; i < N_KNOWN; i++) {
        const struct known *k = &known[i];
        uint64_t point[4];

        move(k->words, 5, point);
        cr_assert_eq(verdict_on(k, point), GAUSSIAN_ABOVE, "number %zu", i);
        cr_assert_eq(verdict_on(k, k->words), GAUSSIAN_UNDECIDED, "number %zu", i);
        move(k->words, -5, point);
        const bool is_below = k->words[0] >= 5 || k->words[1] || k->words[2] || k->words[3];
        cr_assert_eq(verdict_on(k, point), is_below ? GAUSSIAN_BELOW : GAUSSIAN_UNDECIDED, "number %zu", i);
    }
}

Test(discrete_gaussian_exact, bits_are_drawn_only_where_the_whole_part_leaves_a_doubt)
{
    for (size_t i = 0; i < N_KNOWN; i++) {
        const struct known *k = &known[i];
        if (k->words[2] == 0 || k->words[2] == UINT64_MAX) continue;         /* a whole number itself, or close to it */

        start_with_fraction_of(k->words);
        cr_assert_eq(sl_gaussian_compare(&noise, k->words[3] + 1, k->x, k->sigma2, k->scale, k->shift), GAUSSIAN_ABOVE);
        if (k->words[3] > 0)
            cr_assert_eq(sl_gaussian_compare(&noise, k->words[3] - 1, k->x, k->sigma2, k->scale, k->shift), GAUSSIAN_BELOW);
        cr_assert_eq(noise.at, 0, "number %zu", i);
        sl_gaussian_compare(&noise, k->words[3], k->x, k->sigma2, k->scale, k->shift);
        cr_assert_eq(noise.at, 3);
    }
}

Test(discrete_gaussian_exact, beyond_all_exponents_only_zero_could_be_below_and_nobody_claims_it)
{
    const struct known far = {.x = (UINT64_C(1) << 35) - 1, .sigma2 = 1, .scale = UINT64_C(1) << 40, .shift = 128};
    cr_assert_eq(verdict_on(&far, (const uint64_t[4]){0, 0, 0, 1}), GAUSSIAN_ABOVE);
    cr_assert_eq(verdict_on(&far, (const uint64_t[4]){5, 0, 0, 0}), GAUSSIAN_ABOVE);
    cr_assert_eq(verdict_on(&far, (const uint64_t[4]){0, 0, 0, 0}), GAUSSIAN_UNDECIDED);
}

Test(discrete_gaussian_exact, the_curve_falls_from_its_top_all_the_way)
{
    const uint64_t sigma2 = UINT64_C(1) << 56, top = UINT64_C(1) << 40;
    uint64_t low[4], high[4], before[4];
    sl_gaussian_bounds(0, sigma2, top, 0, low, before);
    cr_assert_eq(before[3], top);
    for (uint64_t x = 1; x < UINT64_C(1) << 35; x += x / 50 + 1) {
        sl_gaussian_bounds(x, sigma2, top, 0, low, high);
        cr_assert_leq(order(high, before), 0, "at %llu", (unsigned long long)x);
        memcpy(before, high, sizeof before);
    }
}
