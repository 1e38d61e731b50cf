/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>

#include "data/scale.h"

static struct sl_dataset table(float *features, uint32_t n_rows, uint32_t n_features)
{
    return (struct sl_dataset){.features = features, .n_rows = n_rows, .n_features = n_features};
}

Test(scale, gives_columns_mean_zero_and_deviation_one)
{
    float features[] = {1, 100, 3, 300, 5, 500}, offset[2], factor[2];
    struct sl_dataset d = table(features, 3, 2);

    sl_scale_measure(&d, offset, factor);
    sl_scale_apply(&d, offset, factor);

    cr_assert(offset[0] == 3 && offset[1] == 300);
    float end = sqrtf(1.5f);
    for (int j = 0; j < 2; j++) {
        cr_assert(fabsf(features[j] + end) < 1e-6f);
        cr_assert_eq(features[2 + j], 0);
        cr_assert(fabsf(features[4 + j] - end) < 1e-6f);
    }
}

Test(scale, turns_a_constant_column_to_zero)
{
    float features[] = {0.1f, 0.1f, 0.1f}, offset[1], factor[1];
    struct sl_dataset d = table(features, 3, 1);

    sl_scale_measure(&d, offset, factor);
    sl_scale_apply(&d, offset, factor);

    cr_assert_eq(factor[0], 0);
    cr_assert_eq(features[2], 0);
}

Test(scale, keeps_small_differences_of_large_numbers)
{
    float features[] = {16000000, 16000001, 16000002}, offset[1], factor[1];
    struct sl_dataset d = table(features, 3, 1);

    sl_scale_measure(&d, offset, factor);

    cr_assert_eq(offset[0], 16000001);
    cr_assert(fabsf(factor[0] - 1 / sqrtf(2.0f / 3)) < 1e-6f);
}

Test(scale, never_gives_a_factor_that_is_not_finite)
{
    float features[] = {0, 1e-45f}, offset[1], factor[1];
    struct sl_dataset d = table(features, 2, 1);

    sl_scale_measure(&d, offset, factor);

    cr_assert(isfinite(factor[0]));
}

Test(scale, applies_numbers_of_others)
{
    float features[] = {10, 20};
    struct sl_dataset d = table(features, 1, 2);

    sl_scale_apply(&d, (const float[]){2, 20}, (const float[]){0.5f, 3});

    cr_assert(features[0] == 4 && features[1] == 0);
}
