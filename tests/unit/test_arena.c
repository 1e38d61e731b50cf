/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "starling/arena.h"

Test(arena, pieces_are_aligned_zeroed_and_do_not_overlap)
{
    alignas(64) uint8_t block[256];
    memset(block, 0xff, sizeof block);
    struct sl_arena arena = sl_arena_over(block, sizeof block);

    uint8_t *bytes = SL_TAKE(&arena, uint8_t, 3);
    double *numbers = SL_TAKE(&arena, double, 4);
    uint8_t *lines = sl_arena_take(&arena, 1, 64, 64);

    cr_assert_eq(bytes, block);
    cr_assert_eq((uintptr_t)numbers % alignof(double), 0);
    cr_assert_eq((uintptr_t)lines % 64, 0);
    cr_assert_geq((uint8_t *)numbers, bytes + 3);
    cr_assert_geq(lines, (uint8_t *)(numbers + 4));
    for (int i = 0; i < 4; i++) cr_assert_eq(numbers[i], 0);
    for (int i = 0; i < 64; i++) cr_assert_eq(lines[i], 0);
}

Test(arena, alignment_counts_from_the_address_not_from_the_start_of_the_block)
{
    alignas(16) uint8_t block[64];
    struct sl_arena arena = sl_arena_over(block + 1, sizeof block - 1);

    uint64_t *number = SL_TAKE(&arena, uint64_t, 1);

    cr_assert_eq((uintptr_t)number % alignof(uint64_t), 0);
    cr_assert_eq(arena.used, 15);
}

Test(arena, gives_the_last_byte_but_not_one_more)
{
    uint8_t block[16];
    struct sl_arena arena = sl_arena_over(block, sizeof block);

    cr_assert_null(SL_TAKE(&arena, uint8_t, 17));
    cr_assert_eq(arena.used, 0, "a refused request takes nothing");
    cr_assert_not_null(SL_TAKE(&arena, uint8_t, 16));
    cr_assert_null(SL_TAKE(&arena, uint8_t, 1));
    cr_assert_eq(arena.used, 16);
}

Test(arena, a_product_that_overflows_is_refused)
{
    uint8_t block[64];
    struct sl_arena arena = sl_arena_over(block, sizeof block);

    cr_assert_null(sl_arena_take(&arena, SIZE_MAX / 8 + 2, 8, 1));       /* wraps to 8 */
    cr_assert_null(sl_arena_take(&arena, SIZE_MAX, SIZE_MAX, 1));        /* wraps to 1 */
    cr_assert_null(sl_arena_take(&arena, SIZE_MAX, 1, 8), "the sum with the gap must not wrap either");
    cr_assert_eq(arena.used, 0);
}

Test(arena, the_gap_before_an_aligned_piece_may_not_run_past_the_end)
{
    alignas(64) uint8_t block[9];
    struct sl_arena arena = sl_arena_over(block, sizeof block);
    SL_TAKE(&arena, uint8_t, 9);

    cr_assert_null(sl_arena_take(&arena, 0, 1, 64), "even nothing needs its aligned place inside the block");
    cr_assert_eq(arena.used, 9);
}

Test(arena, an_arena_over_nothing_counts_what_a_real_one_would_use)
{
    alignas(64) uint8_t block[512];
    struct sl_arena counting = sl_arena_over(NULL, SIZE_MAX), real = sl_arena_over(block, sizeof block);
    static const struct { size_t n, size, align; } takes[] = {{3, 1, 1}, {5, 8, 8}, {1, 2, 2}, {7, 4, 4}, {1, 64, 64}, {1, 1, 1}};

    for (size_t i = 0; i < sizeof takes / sizeof takes[0]; i++) {
        cr_assert_null(sl_arena_take(&counting, takes[i].n, takes[i].size, takes[i].align));
        cr_assert_not_null(sl_arena_take(&real, takes[i].n, takes[i].size, takes[i].align));
    }

    cr_assert_eq(counting.used, real.used);
}

Test(arena, setting_used_back_gives_the_same_memory_again_zeroed)
{
    alignas(8) uint8_t block[64];
    struct sl_arena arena = sl_arena_over(block, sizeof block);
    SL_TAKE(&arena, uint64_t, 1);
    size_t mark = arena.used;

    uint64_t *first = SL_TAKE(&arena, uint64_t, 2);
    first[0] = first[1] = UINT64_MAX;
    arena.used = mark;
    uint64_t *second = SL_TAKE(&arena, uint64_t, 2);

    cr_assert_eq(first, second);
    cr_assert_eq(second[0] | second[1], 0);
}
