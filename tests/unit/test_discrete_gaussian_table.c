/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "privacy/discrete_gaussian_parts.h"
#include "starling/error.h"

/* The least, the greatest, and both sides of where the width of columns changes. */
static const uint64_t variances[] = {
    1, 2, 3, 4, 7, 10, 100, 1000, 4071, 4095, 4096, 4097, 16383, 16384, 16385, 123456789, (UINT64_C(1) << 40) - 1, UINT64_C(1) << 40,
    (UINT64_C(1) << 42) - 1, UINT64_C(205891132094649), (UINT64_C(1) << 54) - 1, UINT64_C(1) << 54, SL_SIGMA2_MAX - 1, SL_SIGMA2_MAX,
};
enum { N_VARIANCES = sizeof variances / sizeof variances[0] };

static struct sl_discrete_gaussian memory;

static struct sl_discrete_gaussian *table_of(uint64_t sigma2)
{
    struct sl_discrete_gaussian *gaussian;
    cr_assert_leq(sl_discrete_gaussian_size(), sizeof memory);
    memset(&memory, 0xa5, sizeof memory);
    cr_assert_eq(sl_discrete_gaussian_init(&memory, sigma2, &gaussian), SL_OK);
    return gaussian;
}

struct piece {
    uint32_t column;
    uint64_t begin, end;
};

static int by_place(const void *a, const void *b)
{
    const struct piece *first = a, *second = b;
    if (first->column != second->column) return first->column < second->column ? -1 : 1;
    return first->begin < second->begin ? -1 : first->begin > second->begin;
}

static uint32_t pieces_of(const struct sl_discrete_gaussian *gaussian, struct piece pieces[2 * GAUSSIAN_COLUMNS])
{
    const uint64_t slot_size = GAUSSIAN_AREA / GAUSSIAN_COLUMNS;
    uint32_t n = 0;
    for (uint32_t i = 0; i < GAUSSIAN_COLUMNS; i++) {
        const struct gaussian_slot *slot = &gaussian->slots[i];
        cr_assert_leq(slot->threshold, slot_size);
        cr_assert_lt(slot->alias, GAUSSIAN_COLUMNS);
        if (slot->threshold > 0) pieces[n++] = (struct piece){i, 0, slot->threshold};
        if (slot->threshold < slot_size) pieces[n++] = (struct piece){slot->alias, slot->threshold + slot->offset, slot_size + slot->offset};
    }
    qsort(pieces, n, sizeof *pieces, by_place);
    return n;
}

Test(discrete_gaussian_table, the_slots_hold_each_height_of_each_column_exactly_once)
{
    static struct piece pieces[2 * GAUSSIAN_COLUMNS];
    for (int v = 0; v < N_VARIANCES; v++) {
        const struct sl_discrete_gaussian *gaussian = table_of(variances[v]);

        const uint32_t n = pieces_of(gaussian, pieces);

        uint64_t area = 0, reached[GAUSSIAN_COLUMNS] = {0};
        for (uint32_t i = 0; i < n; i++) {
            cr_assert_eq(pieces[i].begin, reached[pieces[i].column], "a gap or an overlap");
            cr_assert_gt(pieces[i].end, pieces[i].begin);
            reached[pieces[i].column] = pieces[i].end;
        }
        for (uint32_t j = 0; j < GAUSSIAN_COLUMNS; j++) area += reached[j];
        for (uint32_t j = 0; j < GAUSSIAN_TAIL; j++) cr_assert_eq(reached[j], j < gaussian->n_columns ? gaussian->height[j] : 0);
        cr_assert_eq(area, GAUSSIAN_AREA);
        cr_assert_geq(reached[GAUSSIAN_TAIL], GAUSSIAN_TAIL_AREA);
        cr_assert_leq(reached[GAUSSIAN_TAIL], 4 * GAUSSIAN_COLUMNS, "an area thrown away for nothing");
    }
}

/* c * rho(x) rounded down, and rounded up. */
static uint64_t curve_from_below(const struct sl_discrete_gaussian *gaussian, uint64_t x)
{
    uint64_t low[4], high[4];
    sl_gaussian_bounds(x, gaussian->sigma2, gaussian->scale, 0, low, high);
    return low[3];
}

static uint64_t curve_from_above(const struct sl_discrete_gaussian *gaussian, uint64_t x)
{
    uint64_t low[4], high[4];
    sl_gaussian_bounds(x, gaussian->sigma2, gaussian->scale, 0, low, high);
    return high[3] + 1;
}

Test(discrete_gaussian_table, columns_cover_the_curve_closely_and_what_is_sure_lies_below_it)
{
    for (int v = 0; v < N_VARIANCES; v++) {
        const struct sl_discrete_gaussian *gaussian = table_of(variances[v]);
        const uint64_t width = UINT64_C(1) << gaussian->width_bits;
        cr_assert_leq(width, UINT64_C(1) << GAUSSIAN_SIZE_BITS, "a size must fit into its bits");
        cr_assert_leq(gaussian->n_columns, GAUSSIAN_TAIL);
        for (uint32_t j = 0; j < gaussian->n_columns; j++) {
            cr_assert_geq(gaussian->height[j], curve_from_above(gaussian, j * width) - 1);
            cr_assert_leq(gaussian->height[j], curve_from_below(gaussian, j * width) + 4);
            cr_assert_leq(gaussian->sure[j], curve_from_below(gaussian, (j + 1) * width - 1));
        }
    }
}

Test(discrete_gaussian_table, estimates_are_as_good_as_they_claim)
{
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){4});
    for (int v = 0; v < N_VARIANCES; v++) {
        const struct sl_discrete_gaussian *gaussian = table_of(variances[v]);
        const uint64_t width = UINT64_C(1) << gaussian->width_bits;
        for (int i = 0; i < 400; i++) {
            const uint32_t column = i < 2 ? i * (gaussian->n_columns - 1) : sl_rng_below(&rng, gaussian->n_columns);
            const uint64_t apart = i < 4 ? i % 2 * (width - 1) : sl_rng_below(&rng, (uint32_t)width), x = column * width + apart;

            const uint64_t estimate = sl_gaussian_estimate(gaussian, column, apart);

            cr_assert_geq(estimate + GAUSSIAN_EXCESS, curve_from_above(gaussian, x));
            cr_assert_leq(estimate, curve_from_below(gaussian, x) + GAUSSIAN_SLACK);
        }
    }
}

Test(discrete_gaussian_table, each_block_of_the_tail_stands_above_the_curve_at_its_begin)
{
    for (int v = 0; v < N_VARIANCES; v++) {
        const struct sl_discrete_gaussian *gaussian = table_of(variances[v]);
        const uint64_t begin = (uint64_t)gaussian->n_columns << gaussian->width_bits;
        for (uint32_t k = 0; k < 128; k++) {
            const uint64_t x = begin + ((uint64_t)k << gaussian->width_bits << GAUSSIAN_TAIL_BLOCK_BITS);
            uint64_t low[4], high[4];
            sl_gaussian_bounds(x, gaussian->sigma2, gaussian->scale, k, low, high);
            cr_assert_eq(high[3], 0, "block %u of variance %llu", k, (unsigned long long)variances[v]);
        }
    }
}

Test(discrete_gaussian_table, variances_out_of_range_are_refused)
{
    struct sl_discrete_gaussian *gaussian = NULL;
    cr_assert_eq(sl_discrete_gaussian_init(&memory, 0, &gaussian), SL_ERROR_OUT_OF_RANGE);
    cr_assert_eq(sl_discrete_gaussian_init(&memory, SL_SIGMA2_MAX + 1, &gaussian), SL_ERROR_OUT_OF_RANGE);
    cr_assert_eq(sl_discrete_gaussian_init(&memory, UINT64_MAX, &gaussian), SL_ERROR_OUT_OF_RANGE);
    cr_assert_null(gaussian);
}
