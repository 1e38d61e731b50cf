/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "privacy/clip.h"

enum { DIM_MAX = 1 << 20 };

static float g[DIM_MAX + 1];
static int32_t v[DIM_MAX + 1];
static const uint32_t dims[] = {1, 2, 17, 1000, DIM_MAX};
static const double clips[] = {1e-6, .3, 1, 7, 1e6};
enum { N_DIMS = sizeof dims / sizeof *dims, N_CLIPS = sizeof clips / sizeof *clips };

/* The bound counted anew, in wide arithmetic. */
static bool is_bounded(const int32_t *values, uint32_t dim)
{
    unsigned __int128 sum = 0;
    for (uint32_t j = 0; j < dim; j++) sum += (unsigned __int128)((__int128)values[j] * values[j]);
    return sum <= (unsigned __int128)1 << 40;
}

static void check_every_clip(uint32_t dim, const char *what)
{
    for (uint32_t c = 0; c < N_CLIPS; c++) {
        memset(v, 0x55, dim * sizeof *v);
        sl_clip_integers(g, dim, clips[c], v);
        cr_assert(is_bounded(v, dim), "%s, %u coordinates, clip %g", what, dim, clips[c]);
        cr_assert(sl_clip_holds(v, dim));
    }
}

static bool is_zero(uint32_t dim)
{
    for (uint32_t j = 0; j < dim; j++)
        if (v[j] != 0) return false;
    return true;
}

Test(clip, no_vector_whatsoever_passes_the_bound)
{
    static const float constants[] = {0, 1, -1, 1e38F, FLT_MAX, -FLT_MAX, FLT_MIN, 1e-45F, 1e-6F, 1e6F};
    for (uint32_t d = 0; d < N_DIMS; d++)
        for (uint32_t k = 0; k < sizeof constants / sizeof *constants; k++) {
            for (uint32_t j = 0; j < dims[d]; j++) g[j] = constants[k];
            check_every_clip(dims[d], "a constant");
            memset(g, 0, dims[d] * sizeof *g);
            g[dims[d] - 1] = constants[k];
            check_every_clip(dims[d], "one coordinate");
        }
}

Test(clip, random_vectors_of_every_magnitude_stay_within_the_bound)
{
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){1});
    for (uint32_t round = 0; round < 3000; round++) {
        uint32_t dim = 1 + sl_rng_below(&rng, 100);
        double scale = pow(10, 76 * sl_rng_uniform(&rng) - 40);
        for (uint32_t j = 0; j < dim; j++) g[j] = (float)(scale * sl_rng_normal(&rng));
        check_every_clip(dim, "random");
    }
}

Test(clip, any_bits_at_all_stay_within_the_bound)
{
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){2});
    for (uint32_t round = 0; round < 2000; round++) {
        uint32_t dim = 1 + sl_rng_below(&rng, 8);
        sl_rng_bytes(&rng, g, dim * sizeof *g);
        check_every_clip(dim, "any bits");
    }
}

Test(clip, a_number_that_is_not_finite_makes_all_of_it_zero)
{
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (uint32_t k = 0; k < 4; k++)
        for (uint32_t place = 0; place < 100; place++) {
            for (uint32_t j = 0; j < 100; j++) g[j] = 1;
            g[place] = bad[k];
            sl_clip_integers(g, 100, 1, v);
            cr_assert(is_zero(100), "%g at %u", (double)bad[k], place);
        }
}

Test(clip, vectors_within_the_norm_are_scaled_and_cut_toward_zero)
{
    const float given[] = {.25F, -.25F, 0x1.8p-20F, -0x1.8p-20F, 0x1p-21F, 0};
    const int32_t expected[] = {1 << 18, -(1 << 18), 1, -1, 0, 0};

    sl_clip_integers(given, 6, 1, v);

    cr_assert_arr_eq(v, expected, sizeof expected);
}

Test(clip, long_vectors_keep_their_direction_and_nearly_the_whole_norm)
{
    const float given[] = {300, -400};

    sl_clip_integers(given, 2, 10, v);

    cr_assert(abs(v[0] - 629145) <= 1 && abs(v[1] + 838860) <= 1, "%d %d", v[0], v[1]);
}

Test(clip, one_coordinate_of_the_whole_norm_becomes_the_whole_of_it)
{
    const float given[] = {0, 5, 0};

    sl_clip_integers(given, 3, 5, v);

    cr_assert_eq(v[1], 1 << 20);
}

/* 2^20 coordinates of 1024 units and one of 1: exactly, they all fall short of whole units. But a million roundings make the norm come out smaller or larger;
 * where it is smaller, all units are whole and their squares are 2^40 + 1. */
Test(clip, a_norm_that_was_rounded_down_is_found_out)
{
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){3});
    uint32_t n_found = 0;
    for (uint32_t round = 0; round < 40; round++) {
        float unit = (float)(1 + sl_rng_uniform(&rng));
        for (uint32_t j = 0; j < DIM_MAX; j++) g[j] = 1024 * unit;
        g[DIM_MAX] = unit;

        sl_clip_integers(g, DIM_MAX + 1, 1, v);

        cr_assert(is_bounded(v, DIM_MAX + 1), "unit %a", (double)unit);
        double squares = 0;
        for (uint32_t j = 0; j <= DIM_MAX; j++) squares += (double)g[j] * g[j];
        n_found += (int32_t)(1024 * (double)unit * sl_clip_factor(sqrt(squares), 1)) == 1024;
    }
    cr_assert(n_found > 5 && n_found < 35, "rounded down %u times of 40", n_found);
}

/* 2^20 integers of 2^10 are exactly at it. */
Test(clip, the_check_is_exact_at_the_bound)
{
    for (uint32_t j = 0; j < DIM_MAX; j++) v[j] = 1 << 10;
    cr_assert(sl_clip_holds(v, DIM_MAX));
    v[7]++;
    cr_assert_not(sl_clip_holds(v, DIM_MAX));

    const int32_t largest[] = {1 << 20, 0}, beyond[] = {1 << 20, 1}, wraps[] = {INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN};
    cr_assert(sl_clip_holds(largest, 2));
    cr_assert_not(sl_clip_holds(beyond, 2));
    cr_assert_not(sl_clip_holds(wraps, 4), "four times 2^62 is zero in 64 bits");
}
