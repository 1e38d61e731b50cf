/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>

#include "base/vec.h"

Test(vec, dot_norm_and_distance_of_small_vectors)
{
    const float a[] = {3, 4}, b[] = {3, 0};

    cr_assert_eq(sl_vec_dot(a, b, 2), 9);
    cr_assert_eq(sl_vec_norm(a, 2), 5);
    cr_assert_eq(sl_vec_distance(a, b, 2), 4);
}

Test(vec, an_empty_vector_has_length_zero)
{
    cr_assert_eq(sl_vec_dot(NULL, NULL, 0), 0);
    cr_assert_eq(sl_vec_norm(NULL, 0), 0);
    cr_assert_eq(sl_vec_distance(NULL, NULL, 0), 0);
    cr_assert(sl_vec_finite(NULL, 0));
}

Test(vec, sums_are_double_so_large_and_small_floats_do_not_swamp_each_other)
{
    const float large[] = {FLT_MAX, FLT_MAX}, small[] = {1e8f, 1, -1e8f}, ones[] = {1, 1, 1};

    cr_assert(isfinite(sl_vec_norm(large, 2)), "the square of FLT_MAX does not fit a float");
    cr_assert_eq(sl_vec_dot(small, ones, 3), 1);
}

Test(vec, axpy_adds_and_scale_multiplies)
{
    const float x[] = {1, -2};
    float y[] = {10, 20};

    sl_vec_axpy(0.5, x, y, 2);
    cr_assert_eq(y[0], 10.5f);
    cr_assert_eq(y[1], 19);

    sl_vec_scale(-2, y, 2);
    cr_assert_eq(y[0], -21);
    cr_assert_eq(y[1], -38);
}

Test(vec, finite_finds_one_bad_number_anywhere)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        for (int at = 0; at < 4; at++) {
            float v[4] = {1, FLT_MAX, -FLT_MAX, FLT_MIN / 2};
            cr_assert(sl_vec_finite(v, 4));
            v[at] = bad[i];
            cr_assert_not(sl_vec_finite(v, 4));
        }
    }
}

Test(vec, clip_shortens_to_the_radius_and_keeps_the_direction)
{
    float v[] = {30, 40};

    double factor = sl_vec_clip(v, 2, 5);

    cr_assert_float_eq(factor, 0.1, 1e-15);
    cr_assert_float_eq(v[0], 3, 1e-6);
    cr_assert_float_eq(v[1], 4, 1e-6);
}

Test(vec, clip_leaves_vectors_inside_or_on_the_radius_alone)
{
    float on[] = {3, 4}, none[] = {0, 0};

    cr_assert_eq(sl_vec_clip(on, 2, 5), 1);
    cr_assert_eq(on[0], 3);
    cr_assert_eq(on[1], 4);
    cr_assert_eq(sl_vec_clip(none, 2, 0), 1, "no division by a zero norm");
}
