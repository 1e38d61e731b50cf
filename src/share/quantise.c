/* SPDX-License-Identifier: MIT */
#include "share/quantise.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    RING_EXPONENT_MIN = -30, RING_EXPONENT_MAX = 40,
    REF_EXPONENT_MIN = -15, REF_EXPONENT_MAX = 30,
    REF_MAX = 32767,                     /* -32768 stays unused: negating a vector negates its encoding */
    RANDOM_WORDS = 64                    /* one buffer of the generator at a time */
};

/* A mean before it is cut to its bits: up to 2^92, when a fine reference meets a coarse ring. */
__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 unsigned_wide;

static uint32_t load_u32(const uint8_t b[4])
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static int32_t load_i16(const uint8_t b[2])
{
    int32_t value = b[0] | b[1] << 8;
    return value < 0x8000 ? value : value - 0x10000;
}

static int64_t as_signed(uint32_t value)
{
    return value < 0x80000000u ? (int64_t)value : (int64_t)value - 0x100000000;
}

static uint32_t stochastic_round(double x, uint32_t random)
{
    assert(x > -0x1p31 && x < 0x1p31);

    int64_t below = (int64_t)x;
    below -= (double)below > x;
    double chance = (x - (double)below) * 0x1p32;        /* of rounding up, in units of 2^-32 */
    return (uint32_t)(below + ((double)random + 0.5 < chance));
}

/* Half away from zero; what no 16-bit integer can hold goes to its end. Signs are a coin's toss, so nothing here branches on them. */
static int32_t ref_round(double x)
{
    double high = x > REF_MAX ? REF_MAX : x, inside = high < -REF_MAX ? -REF_MAX : high;
    return (int32_t)(inside + copysign(0.5, inside));
}

static unsigned_wide shift_right_rounded(unsigned_wide magnitude, uint32_t shift)
{
    if (shift == 0) return magnitude;
    return (magnitude + ((unsigned_wide)1 << (shift - 1))) >> shift;
}

/* How the two parts of a mean come to one exponent. */
struct mean_scale {
    wide ref_factor, sum_factor;         /* n 2^(E - ref_exponent), 2^(E - ring_exponent) */
    uint32_t n_members;
    bool is_narrow;                      /* totals stay below 2^53: 64-bit integers hold them */
};

/* |number|, and whether it is below zero, without a branch: signs are a coin's toss. */
static unsigned_wide magnitude_of(wide number, bool *negative)
{
    wide sign = number >> 127;
    *negative = sign != 0;
    return (unsigned_wide)((number ^ sign) - sign);
}

/* n_members m[j], before rounding. */
static wide total_of(const struct mean_scale *scale, const uint8_t ref[2], uint32_t sum)
{
    return load_i16(ref) * scale->ref_factor + as_signed(sum) * scale->sum_factor;
}

static int64_t narrow_total(const struct mean_scale *scale, const uint8_t ref[2], uint32_t sum)
{
    return load_i16(ref) * (int64_t)scale->ref_factor + as_signed(sum) * (int64_t)scale->sum_factor;
}

static unsigned_wide greatest_total(const struct mean_scale *scale, const uint8_t *ref, const uint32_t *sum, uint32_t dim)
{
    unsigned_wide greatest = 0;
    if (scale->is_narrow) {
        int64_t least = 0, most = 0;
        for (uint32_t j = 0; j < dim; j++) {
            int64_t total = narrow_total(scale, ref + 2 * (size_t)j, sum[j]);
            if (total < least) least = total;
            if (total > most) most = total;
        }
        return (unsigned_wide)(most > -least ? most : -least);
    }
    for (uint32_t j = 0; j < dim; j++) {
        bool negative;
        unsigned_wide total = magnitude_of(total_of(scale, ref + 2 * (size_t)j, sum[j]), &negative);
        if (total > greatest) greatest = total;
    }
    return greatest;
}

/* |m[j]| of |n_members m[j]|. */
static unsigned_wide mean_magnitude(const struct mean_scale *scale, unsigned_wide total)
{
    unsigned_wide magnitude = total + scale->n_members / 2;

    /* Nearly always the number fits 64 bits, whose division is several times faster. */
    if (magnitude <= UINT64_MAX) return (uint64_t)magnitude / scale->n_members;
    return magnitude / scale->n_members;
}

/* m[j], shifted. */
static uint32_t mean_value(const struct mean_scale *scale, const uint8_t ref[2], uint32_t sum, uint32_t shift)
{
    if (scale->is_narrow) {
        int64_t total = narrow_total(scale, ref, sum), sign = total >> 63, magnitude = ((total ^ sign) - sign) + scale->n_members / 2;
        int64_t mean = (int64_t)((uint64_t)magnitude / scale->n_members), half = ((int64_t)1 << shift) >> 1;
        return (uint32_t)((((mean + half) >> shift) ^ sign) - sign);
    }
    bool negative;
    unsigned_wide total = magnitude_of(total_of(scale, ref, sum), &negative);
    uint32_t value = (uint32_t)shift_right_rounded(mean_magnitude(scale, total), shift);
    return (value ^ -(uint32_t)negative) + negative;
}

static void store(uint8_t *bytes, uint32_t n_bytes, uint32_t value)
{
    for (uint32_t i = 0; i < n_bytes; i++) bytes[i] = (uint8_t)(value >> (8 * i));
}

int sl_ring_exponent(uint32_t radius_q, uint32_t n_members, uint32_t ring_bits)
{
    assert(ring_bits <= 32 && n_members < 1u << 28);

    uint64_t widest = 3 * (uint64_t)n_members > 32 ? 3 * (uint64_t)n_members : 32;
    uint64_t span = radius_q * widest;                   /* in units of 2^-16 */
    for (int exponent = RING_EXPONENT_MAX; exponent > RING_EXPONENT_MIN; exponent--) {
        int room = (int)ring_bits + 16 - exponent;       /* does 2^room hold the span? */
        if (room >= 64 || (room >= 0 && span <= (uint64_t)1 << room)) return exponent;
    }
    return RING_EXPONENT_MIN;
}

void sl_ring_encode(const float *v, uint32_t dim, int exponent, struct sl_rng *rng, uint32_t *z)
{
    const double factor = ldexp(1, exponent);
    uint8_t random[4 * RANDOM_WORDS];
    for (uint32_t start = 0; start < dim;) {
        uint32_t n = dim - start < RANDOM_WORDS ? dim - start : RANDOM_WORDS;
        sl_rng_bytes(rng, random, 4 * (size_t)n);
        for (uint32_t j = 0; j < n; j++)
            z[start + j] = stochastic_round(v[start + j] * factor, load_u32(random + 4 * (size_t)j));
        start += n;
    }
}

void sl_ring_pack(const uint32_t *z, uint32_t dim, uint32_t ring_bits, uint8_t *bytes)
{
    assert(ring_bits == 16 || ring_bits == 32);

    if (ring_bits == 32) {
        for (uint32_t j = 0; j < dim; j++) store(bytes + 4 * (size_t)j, 4, z[j]);
    } else {
        for (uint32_t j = 0; j < dim; j++) store(bytes + 2 * (size_t)j, 2, z[j]);
    }
}

void sl_ring_unpack(const uint8_t *bytes, uint32_t dim, uint32_t ring_bits, uint32_t *z)
{
    assert(ring_bits == 16 || ring_bits == 32);

    if (ring_bits == 32) {
        for (uint32_t j = 0; j < dim; j++) z[j] = load_u32(bytes + 4 * (size_t)j);
    } else {
        for (uint32_t j = 0; j < dim; j++) z[j] = (uint32_t)bytes[2 * (size_t)j] | (uint32_t)bytes[2 * (size_t)j + 1] << 8;
    }
}

uint32_t sl_ring_signed(uint32_t z, uint32_t ring_bits)
{
    assert(ring_bits == 16 || ring_bits == 32);

    if (ring_bits == 32) return z;
    return ((z & 0xffff) ^ 0x8000) - 0x8000;
}

int sl_ref_exponent(const float *v, uint32_t dim)
{
    float greatest = 0;
    for (uint32_t j = 0; j < dim; j++) {
        float size = fabsf(v[j]);
        if (size > greatest) greatest = size;
    }

    int exponent = REF_EXPONENT_MAX;
    while (exponent > REF_EXPONENT_MIN && !(ldexp(greatest, exponent) < REF_MAX + 0.5)) exponent--;
    return exponent;
}

void sl_ref_encode(const float *v, uint32_t dim, int exponent, uint8_t *bytes)
{
    const double factor = ldexp(1, exponent);
    for (uint32_t j = 0; j < dim; j++) store(bytes + 2 * (size_t)j, 2, (uint32_t)ref_round(v[j] * factor));
}

void sl_ref_decode(const uint8_t *bytes, uint32_t dim, int exponent, float *v)
{
    const double factor = ldexp(1, -exponent);
    for (uint32_t j = 0; j < dim; j++) v[j] = (float)(load_i16(bytes + 2 * (size_t)j) * factor);
}

void sl_mean_encode(const uint8_t *ref, int ref_exponent, const uint32_t *sum, uint32_t n_members, int ring_exponent, uint32_t dim,
                    uint32_t bits, uint8_t *bytes, int *exponent)
{
    assert(bits == 8 || bits == 16 || bits == 32);
    assert(n_members > 0 && n_members < 1u << 16);
    assert(ring_exponent >= RING_EXPONENT_MIN && ring_exponent <= RING_EXPONENT_MAX);
    assert(ref_exponent >= REF_EXPONENT_MIN && ref_exponent <= REF_EXPONENT_MAX);

    const int common = ring_exponent > ref_exponent ? ring_exponent : ref_exponent;
    struct mean_scale scale = {
        .ref_factor = (wide)n_members << (common - ref_exponent),
        .sum_factor = (wide)1 << (common - ring_exponent),
        .n_members = n_members,
    };
    scale.is_narrow = scale.ref_factor <= (wide)1 << 36 && scale.sum_factor <= (wide)1 << 20;

    /* Division and rounding are monotone, so the greatest decides for all. */
    const unsigned_wide greatest = mean_magnitude(&scale, greatest_total(&scale, ref, sum, dim)), limit = ((unsigned_wide)1 << (bits - 1)) - 1;
    uint32_t shift = 0;
    while (shift_right_rounded(greatest, shift) > limit) shift++;

    for (uint32_t j = 0; j < dim; j++)
        store(bytes + (size_t)j * (bits / 8), bits / 8, mean_value(&scale, ref + 2 * (size_t)j, sum[j], shift));
    *exponent = common - (int)shift;
}

void sl_mean_decode(const uint8_t *bytes, uint32_t dim, uint32_t bits, int exponent, float *mean)
{
    assert(bits == 8 || bits == 16 || bits == 32);

    const uint32_t n_bytes = bits / 8, sign_bit = (uint32_t)1 << (bits - 1);
    const double factor = ldexp(1, -exponent);
    for (uint32_t j = 0; j < dim; j++) {
        uint32_t value = 0;
        for (uint32_t i = 0; i < n_bytes; i++) value |= (uint32_t)bytes[(size_t)j * n_bytes + i] << (8 * i);
        int64_t number = (int64_t)(value ^ sign_bit) - (int64_t)sign_bit;
        mean[j] = (float)((double)number * factor);
    }
}
