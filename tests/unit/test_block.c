/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "share/block.h"

enum { DIM_MAX = 1000 };

static const uint8_t network[32] = {1, 2, 3};
static uint32_t permutation[DIM_MAX];

Test(block, a_group_of_epochs_covers_every_coordinate_exactly_once)
{
    const uint32_t shapes[][2] = {{1000, 7}, {1000, 500}, {1000, 999}, {10, 3}, {9, 3}, {2, 1}, {1, 1}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const uint32_t dim = shapes[s][0], k = shapes[s][1], n_parts = (dim + k - 1) / k;
        for (uint64_t group = 0; group < 3; group++) {
            uint32_t seen[DIM_MAX] = {0}, out[DIM_MAX];
            for (uint32_t part = 0; part < n_parts; part++) {
                uint32_t n = sl_block_indices(network, group * n_parts + part, dim, k, permutation, out);
                cr_assert(n == k || (part + 1 == n_parts && n == dim - part * k));
                for (uint32_t i = 0; i < n; i++) {
                    cr_assert(out[i] < dim && (i == 0 || out[i] > out[i - 1]), "ascending and in range");
                    seen[out[i]]++;
                }
            }
            for (uint32_t j = 0; j < dim; j++) cr_assert_eq(seen[j], 1, "coordinate %u of %u in parts of %u", j, dim, k);
        }
    }
}

Test(block, two_calls_give_the_same_coordinates)
{
    uint32_t first[100], second[100];

    sl_block_indices(network, 77, DIM_MAX, 100, permutation, first);
    memset(permutation, 0xff, sizeof permutation);
    sl_block_indices(network, 77, DIM_MAX, 100, permutation, second);

    cr_assert_eq(memcmp(first, second, sizeof first), 0);
}

Test(block, differs_between_groups_and_between_networks)
{
    const uint8_t other_network[32] = {1, 2, 4};
    uint32_t out[3][100];

    sl_block_indices(network, 0, DIM_MAX, 100, permutation, out[0]);
    sl_block_indices(network, 10, DIM_MAX, 100, permutation, out[1]);
    sl_block_indices(other_network, 0, DIM_MAX, 100, permutation, out[2]);

    cr_assert_neq(memcmp(out[0], out[1], sizeof out[0]), 0);
    cr_assert_neq(memcmp(out[0], out[2], sizeof out[0]), 0);
}

Test(block, of_all_coordinates_is_the_identity_and_needs_no_scratch)
{
    uint32_t out[DIM_MAX];

    uint32_t n = sl_block_indices(network, 12345, DIM_MAX, DIM_MAX, NULL, out);

    cr_assert_eq(n, DIM_MAX);
    for (uint32_t j = 0; j < n; j++) cr_assert_eq(out[j], j);
}

Test(block, works_at_the_last_epoch_of_all)
{
    uint32_t out[7];
    uint32_t n = sl_block_indices(network, UINT64_MAX, DIM_MAX, 7, permutation, out);
    cr_assert(n == 7 || n == DIM_MAX % 7);
}

Test(block, size_is_as_configured_within_the_model_and_the_limits)
{
    cr_assert_eq(sl_block_size(0, 650), 650);
    cr_assert_eq(sl_block_size(0, 262144), 262144);
    cr_assert_eq(sl_block_size(0, 3000000), 262144);
    cr_assert_eq(sl_block_size(100, 650), 100);
    cr_assert_eq(sl_block_size(1000, 650), 650);
    cr_assert_eq(sl_block_size(4000000, 5000000), 1048576);
}
