/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "share/quantise.h"

static struct sl_rng rng_of(uint8_t number)
{
    struct sl_rng rng;
    uint8_t seed[32] = {number};
    sl_rng_init(&rng, seed);
    return rng;
}

Test(quantise, ring_exponent_is_the_largest_that_satisfies_the_bound)
{
    const uint32_t radii[] = {1, 7, 656, 65536, 65537, 524288, 8 * 65536 + 1, 1000 * 65536, UINT32_MAX};
    for (uint32_t bits = 16; bits <= 32; bits += 16) {
        for (uint32_t n = 3; n <= 64; n++) {
            for (size_t r = 0; r < sizeof radii / sizeof *radii; r++) {
                int exponent = sl_ring_exponent(radii[r], n, bits);
                double bound = ldexp(1, (int)bits) / (radii[r] / 65536.0 * (3 * n > 32 ? 3 * n : 32));
                cr_assert(exponent >= -30 && exponent <= 40);
                cr_assert(ldexp(1, exponent) <= bound, "n %u radius %u: 2^%d", n, radii[r], exponent);
                cr_assert(exponent == 40 || ldexp(1, exponent + 1) > bound, "n %u radius %u: 2^%d is not the largest", n, radii[r], exponent);
            }
        }
    }
    cr_assert_eq(sl_ring_exponent(0, 3, 32), 40);
    cr_assert_eq(sl_ring_exponent(65536, 3, 32), 27, "2^32 / 32 exactly: equality counts");
    cr_assert_eq(sl_ring_exponent(65537, 3, 32), 26);
    cr_assert_eq(sl_ring_exponent(UINT32_MAX, 64, 0), -24);
}

Test(quantise, a_sum_of_vectors_at_the_radius_never_wraps)
{
    const uint32_t radii[] = {656, 65536, 524288, 524289, 65536000};
    for (uint32_t n = 3; n <= 64; n++) {
        for (size_t r = 0; r < sizeof radii / sizeof *radii; r++) {
            const int exponent = sl_ring_exponent(radii[r], n, 32);
            const float radius = (float)(radii[r] / 65536.0), v[2] = {radius, -radius};
            struct sl_rng rng = rng_of((uint8_t)n);
            int64_t exact[2] = {0, 0};
            uint32_t sum[2] = {0, 0}, z[2];
            for (uint32_t i = 0; i < n; i++) {
                sl_ring_encode(v, 2, exponent, &rng, z);
                for (int j = 0; j < 2; j++) {
                    sum[j] += z[j];
                    exact[j] += (int32_t)z[j];
                }
            }
            for (int j = 0; j < 2; j++) cr_assert_eq((int32_t)sum[j], exact[j], "n %u radius %u", n, radii[r]);
        }
    }
}

Test(quantise, ring_encoding_is_one_of_the_two_neighbours)
{
    enum { DIM = 1000 };
    struct sl_rng rng = rng_of(1);
    float v[DIM];
    uint32_t z[DIM];
    for (int j = 0; j < DIM; j++) v[j] = (float)(sl_rng_normal(&rng) * 3);

    sl_ring_encode(v, DIM, 10, &rng, z);

    for (int j = 0; j < DIM; j++) {
        double x = v[j] * 1024.0, integer = (int32_t)z[j];
        cr_assert(integer == floor(x) || integer == ceil(x), "%g became %g", x, integer);
    }
}

Test(quantise, ring_encoding_is_unbiased)
{
    enum { DRAWS = 40000 };
    static float v[DRAWS];
    static uint32_t z[DRAWS];
    const double fractions[] = {0, 0.001, 0.25, 0.5, 0.9, 0.999, -0.001, -0.3, -0.75, 1000.125, -1000.125};
    struct sl_rng rng = rng_of(2);
    for (size_t f = 0; f < sizeof fractions / sizeof *fractions; f++) {
        for (int j = 0; j < DRAWS; j++) v[j] = (float)fractions[f];
        const double x = v[0], up = x - floor(x);

        sl_ring_encode(v, DRAWS, 0, &rng, z);

        double sum = 0;
        for (int j = 0; j < DRAWS; j++) sum += (int32_t)z[j];
        double error = sum / DRAWS - x, deviation = sqrt(up * (1 - up) / DRAWS);
        cr_assert(fabs(error) <= 4.5 * deviation + 1e-12, "%g: mean off by %g, standard deviation %g", x, error, deviation);
    }
}

Test(quantise, ring_encoding_takes_integers_exactly_up_to_the_edge)
{
    const float v[] = {0, 1, -1, 2147483520, -2147483520, -0.0f};
    const uint32_t expected[] = {0, 1, UINT32_MAX, 2147483520, 2147483776, 0};
    struct sl_rng rng = rng_of(3);
    uint32_t z[6];

    sl_ring_encode(v, 6, 0, &rng, z);

    for (int j = 0; j < 6; j++) cr_assert_eq(z[j], expected[j]);
}

Test(quantise, ring_encoding_draws_one_word_a_coordinate_in_order)
{
    struct sl_rng rng = rng_of(4), words = rng_of(4);
    float v[100];
    uint32_t z[100];
    for (int j = 0; j < 100; j++) v[j] = 0.5f;

    sl_ring_encode(v, 100, 0, &rng, z);

    for (int j = 0; j < 100; j++) cr_assert_eq(z[j], sl_rng_u32(&words) < 0x80000000u);
    cr_assert_eq(sl_rng_u32(&rng), sl_rng_u32(&words));
}

Test(quantise, packed_elements_come_back_and_stand_little_endian)
{
    enum { DIM = 129 };
    struct sl_rng rng = rng_of(7);
    uint32_t z[DIM], back[DIM];
    uint8_t bytes[4 * DIM];
    for (int j = 0; j < DIM; j++) z[j] = sl_rng_u32(&rng);
    z[0] = 0x01020304;

    sl_ring_pack(z, DIM, 32, bytes);
    sl_ring_unpack(bytes, DIM, 32, back);
    cr_assert_eq(memcmp(z, back, sizeof z), 0);
    cr_assert_eq(memcmp(bytes, (uint8_t[]){4, 3, 2, 1}, 4), 0);

    sl_ring_pack(z, DIM, 16, bytes);
    sl_ring_unpack(bytes, DIM, 16, back);
    for (int j = 0; j < DIM; j++) cr_assert_eq(back[j], z[j] & 0xffff);
    cr_assert_eq(memcmp(bytes, (uint8_t[]){4, 3}, 2), 0);
}

Test(quantise, packing_writes_its_own_bytes_only)
{
    for (uint32_t bits = 16; bits <= 32; bits += 16) {
        const uint32_t z[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
        uint8_t bytes[16] = {0};
        sl_ring_pack(z, 3, bits, bytes);
        for (uint32_t i = 0; i < 16; i++) cr_assert_eq(bytes[i], i < 3 * bits / 8 ? 255 : 0);
    }
}

Test(quantise, elements_of_the_ring_are_read_as_signed)
{
    const struct { uint32_t z, bits; int32_t expected; } cases[] = {
        {0, 16, 0}, {1, 16, 1}, {0x7fff, 16, 32767}, {0x8000, 16, -32768}, {0xffff, 16, -1}, {0xabcdffff, 16, -1}, {0xabcd0001, 16, 1},
        {0, 32, 0}, {0x7fffffff, 32, INT32_MAX}, {0x80000000, 32, INT32_MIN}, {UINT32_MAX, 32, -1}, {0xffff, 32, 65535},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_eq((int32_t)sl_ring_signed(cases[i].z, cases[i].bits), cases[i].expected, "%x in %u bits", cases[i].z, cases[i].bits);
}

Test(quantise, sixteen_members_at_the_radius_add_up_in_either_ring)
{
    enum { MEMBERS = 16, DIM = 64 };
    const uint32_t radii[] = {656, 65536, 524288, 524289, 65536000};
    for (uint32_t bits = 16; bits <= 32; bits += 16) {
        for (size_t r = 0; r < sizeof radii / sizeof *radii; r++) {
            const int exponent = sl_ring_exponent(radii[r], MEMBERS, bits);
            const float radius = (float)(radii[r] / 65536.0);
            struct sl_rng rng = rng_of(8);
            float v[DIM];
            uint32_t z[DIM], sum[DIM] = {0};
            int64_t exact[DIM] = {0};
            uint8_t bytes[4 * DIM];
            for (int j = 0; j < DIM; j++) v[j] = j % 2 ? -radius : radius;
            for (int i = 0; i < MEMBERS; i++) {
                sl_ring_encode(v, DIM, exponent, &rng, z);
                for (int j = 0; j < DIM; j++) exact[j] += (int32_t)z[j];
                sl_ring_pack(z, DIM, bits, bytes);
                sl_ring_unpack(bytes, DIM, bits, z);
                for (int j = 0; j < DIM; j++) sum[j] += z[j];
            }
            for (int j = 0; j < DIM; j++)
                cr_assert_eq((int32_t)sl_ring_signed(sum[j], bits), exact[j], "%u bits, radius %u", bits, radii[r]);
        }
    }
}

Test(quantise, reference_exponent_is_the_largest_that_fits)
{
    const float greatest[] = {1e-9f, 0.001f, 0.49f, 1, -1, 1.9f, 32767, 32767.4f, -32767.4f, 32767.5f, 1e6f, 1e9f};
    for (size_t i = 0; i < sizeof greatest / sizeof *greatest; i++) {
        const float v[3] = {0, greatest[i], greatest[i] / 3};
        int exponent = sl_ref_exponent(v, 3);
        cr_assert(exponent >= -15 && exponent <= 30);
        cr_assert(round(ldexp(fabs(v[1]), exponent)) <= 32767, "%g does not fit with %d", v[1], exponent);
        cr_assert(exponent == 30 || round(ldexp(fabs(v[1]), exponent + 1)) > 32767, "%g: %d is not the largest", v[1], exponent);
    }
    cr_assert_eq(sl_ref_exponent((float[]){0, 0}, 2), 30);
    cr_assert_eq(sl_ref_exponent(NULL, 0), 30);
    cr_assert_eq(sl_ref_exponent((float[]){3e38f}, 1), -15);
}

Test(quantise, reference_survives_a_round_trip_within_half_a_step)
{
    enum { DIM = 500 };
    for (int scale = -20; scale <= 20; scale++) {
        struct sl_rng rng = rng_of(5);
        float v[DIM], back[DIM];
        uint8_t bytes[2 * DIM], again[2 * DIM];
        for (int j = 0; j < DIM; j++) v[j] = (float)ldexp(sl_rng_normal(&rng), scale);
        int exponent = sl_ref_exponent(v, DIM);

        sl_ref_encode(v, DIM, exponent, bytes);
        sl_ref_decode(bytes, DIM, exponent, back);
        sl_ref_encode(back, DIM, exponent, again);

        for (int j = 0; j < DIM; j++) cr_assert(fabs((double)v[j] - back[j]) <= ldexp(0.5, -exponent));
        cr_assert_eq(memcmp(bytes, again, sizeof bytes), 0, "the second round trip must be exact");
    }
}

Test(quantise, reference_rounds_half_away_from_zero_and_holds_at_its_ends)
{
    const float v[] = {0.5f, -0.5f, 1.5f, -1.5f, 0.49999997f, 1e9f, -1e9f};
    const int expected[] = {1, -1, 2, -2, 0, 32767, -32767};
    uint8_t bytes[14];

    sl_ref_encode(v, 7, 0, bytes);

    for (int j = 0; j < 7; j++) cr_assert_eq((int16_t)(bytes[2 * j] | bytes[2 * j + 1] << 8), expected[j]);
}

enum { MEAN_DIM = 200 };

struct mean_case {
    int ref_exponent, ring_exponent;
    uint32_t n_members, bits;
    uint8_t ref[2 * MEAN_DIM];
    uint32_t sum[MEAN_DIM];
    double exact[MEAN_DIM];
};

static void set_ref(uint8_t *bytes, int value)
{
    bytes[0] = (uint8_t)((uint32_t)value & 255);
    bytes[1] = (uint8_t)((uint32_t)value >> 8 & 255);
}

/* spread: how many bits of the sum are in use. */
static void draw(struct mean_case *c, struct sl_rng *rng, uint32_t spread)
{
    for (int j = 0; j < MEAN_DIM; j++) {
        int ref = (int)sl_rng_below(rng, 65535) - 32767;
        int32_t sum = (int32_t)(sl_rng_u32(rng) >> (32 - spread)) - (int32_t)(1u << (spread - 1));
        set_ref(c->ref + 2 * j, ref);
        c->sum[j] = (uint32_t)sum;
        c->exact[j] = ldexp(ref, -c->ref_exponent) + ldexp((double)sum / c->n_members, -c->ring_exponent);
    }
}

static void check_mean(const struct mean_case *c)
{
    uint8_t bytes[4 * MEAN_DIM];
    float mean[MEAN_DIM];
    int exponent;

    sl_mean_encode(c->ref, c->ref_exponent, c->sum, c->n_members, c->ring_exponent, MEAN_DIM, c->bits, bytes, &exponent);
    sl_mean_decode(bytes, MEAN_DIM, c->bits, exponent, mean);

    cr_assert(exponent >= -63 && exponent <= 63);
    double greatest = 0;
    for (int j = 0; j < MEAN_DIM; j++) {
        double unit = ldexp(1, -exponent) + fabs(c->exact[j]) * 0x1p-24;       /* 32-bit codes pass through float */
        cr_assert(fabs(mean[j] - c->exact[j]) <= unit, "bits %u: %.9g is not %.9g, unit %g", c->bits, mean[j], c->exact[j], unit);
        greatest = fmax(greatest, fabs(c->exact[j]));
    }
    int common = c->ring_exponent > c->ref_exponent ? c->ring_exponent : c->ref_exponent;
    cr_assert(exponent == common || ldexp(greatest, exponent + 1) > ldexp(1, (int)c->bits - 1) - 2, "a finer exponent would fit");
}

Test(quantise, canonical_mean_is_the_mean_within_one_unit_for_every_width_and_scale)
{
    struct sl_rng rng = rng_of(6);
    struct mean_case c;
    for (c.bits = 8; c.bits <= 32; c.bits *= 2)
        for (c.n_members = 1; c.n_members <= 64; c.n_members += c.n_members < 8 ? 1 : 14)
            for (c.ref_exponent = -15; c.ref_exponent <= 30; c.ref_exponent += 9)
                for (c.ring_exponent = -30; c.ring_exponent <= 40; c.ring_exponent += 7) {
                    draw(&c, &rng, 8 + sl_rng_below(&rng, 24));
                    check_mean(&c);
                }
}

Test(quantise, canonical_mean_holds_at_the_extremes_of_all_inputs)
{
    for (int corner = 0; corner < 48; corner++) {
        struct mean_case c = {
            .ref_exponent = corner & 1 ? -15 : 30, .ring_exponent = corner & 2 ? -30 : 40,
            .n_members = corner & 4 ? 1 : 64, .bits = 8u << corner / 16,
        };
        const int ref = corner & 8 ? 32767 : -32768;
        for (int j = 0; j < MEAN_DIM; j++) {
            int32_t sum = j % 2 ? INT32_MIN : INT32_MAX;
            set_ref(c.ref + 2 * j, ref);
            c.sum[j] = (uint32_t)sum;
            c.exact[j] = ldexp(ref, -c.ref_exponent) + ldexp((double)sum / c.n_members, -c.ring_exponent);
        }
        check_mean(&c);
    }
}

Test(quantise, canonical_mean_of_the_negated_is_the_negated)
{
    struct sl_rng rng = rng_of(7);
    for (uint32_t bits = 8; bits <= 32; bits *= 2) {
        struct mean_case c = {.ref_exponent = 9, .ring_exponent = 13, .n_members = 6, .bits = bits};
        uint8_t plus[4 * MEAN_DIM], minus[4 * MEAN_DIM];
        float mean_plus[MEAN_DIM], mean_minus[MEAN_DIM];
        int exponent_plus, exponent_minus;
        draw(&c, &rng, 20);

        sl_mean_encode(c.ref, 9, c.sum, 6, 13, MEAN_DIM, bits, plus, &exponent_plus);
        for (int j = 0; j < MEAN_DIM; j++) {
            set_ref(c.ref + 2 * j, -(int16_t)(c.ref[2 * j] | c.ref[2 * j + 1] << 8));
            c.sum[j] = -c.sum[j];
        }
        sl_mean_encode(c.ref, 9, c.sum, 6, 13, MEAN_DIM, bits, minus, &exponent_minus);
        sl_mean_decode(plus, MEAN_DIM, bits, exponent_plus, mean_plus);
        sl_mean_decode(minus, MEAN_DIM, bits, exponent_minus, mean_minus);

        cr_assert_eq(exponent_plus, exponent_minus);
        for (int j = 0; j < MEAN_DIM; j++) cr_assert_eq(mean_plus[j], -mean_minus[j]);
    }
}

Test(quantise, canonical_mean_rounds_half_away_from_zero_twice)
{
    const uint32_t sum[] = {5, (uint32_t)-5, 4, (uint32_t)-7, 254, (uint32_t)-254};
    const int8_t expected[] = {3, -3, 2, -4, 127, -127};
    uint8_t ref[12] = {0}, bytes[6];
    int exponent;

    sl_mean_encode(ref, 30, (uint32_t[6]){0}, 2, 40, 6, 8, bytes, &exponent);
    cr_assert_eq(exponent, 40, "a mean of zeros keeps the finest exponent");

    sl_mean_encode(ref, 0, sum, 2, 0, 6, 8, bytes, &exponent);
    cr_assert_eq(exponent, 0);
    for (int j = 0; j < 6; j++) cr_assert_eq((int8_t)bytes[j], expected[j]);

    /* 255 / 2 rounds to 128, which no longer fits: all are halved once more, half away from zero again. */
    const uint32_t larger[] = {255, (uint32_t)-255, 5, (uint32_t)-5, 1, 0};
    const int8_t halved[] = {64, -64, 2, -2, 1, 0};
    sl_mean_encode(ref, 0, larger, 2, 0, 6, 8, bytes, &exponent);
    cr_assert_eq(exponent, -1);
    for (int j = 0; j < 6; j++) cr_assert_eq((int8_t)bytes[j], halved[j], "coordinate %d is %d", j, (int8_t)bytes[j]);
}

Test(quantise, mean_decoding_reads_every_width_as_signed_little_endian)
{
    float mean[2];

    sl_mean_decode((uint8_t[]){0xff, 0x80}, 2, 8, 1, mean);
    cr_assert(mean[0] == -0.5f && mean[1] == -64);
    sl_mean_decode((uint8_t[]){0xfe, 0xff, 0x00, 0x01}, 2, 16, 0, mean);
    cr_assert(mean[0] == -2 && mean[1] == 256);
    sl_mean_decode((uint8_t[]){0, 0, 0, 0x80, 1, 0, 0, 0}, 2, 32, -63, mean);
    cr_assert(mean[0] == -0x1p94f && mean[1] == 0x1p63f);
}
