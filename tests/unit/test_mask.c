/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/rng.h"
#include "privacy/mask.h"
#include "starling/error.h"

enum { MEMBERS_MAX = 8, DIM = 2500 };        /* two whole stream buffers and a part */

struct member {
    uint8_t id[32], public_key[32], secret_key[32];
};

static const uint8_t network[32] = {1}, cohort[32] = {2};

static struct member member_of(uint64_t number)
{
    struct sl_rng root, rng;
    uint8_t seed[32] = {7};
    sl_rng_init(&root, seed);
    rng = sl_rng_fork(&root, "member", number);

    struct member member;
    sl_rng_bytes(&rng, member.id, 32);
    sl_rng_bytes(&rng, seed, 32);
    sl_mask_keypair(seed, member.public_key, member.secret_key);
    return member;
}

static struct sl_mask_context context_of(const struct member *own, uint32_t own_index, const struct member *peer, uint32_t peer_index)
{
    return (struct sl_mask_context){
        .network_id = network, .cohort_id = cohort, .epoch = 5,
        .own_id = own->id, .peer_id = peer->id, .own_index = own_index, .peer_index = peer_index,
    };
}

Test(mask, both_ends_of_a_pair_agree_on_the_seed)
{
    struct member a = member_of(0), b = member_of(1);
    struct sl_mask_context at_a = context_of(&a, 2, &b, 6), at_b = context_of(&b, 6, &a, 2);
    uint8_t seed_a[32], seed_b[32];

    cr_assert_eq(sl_mask_pair_seed(&at_a, a.public_key, a.secret_key, b.public_key, seed_a), SL_OK);
    cr_assert_eq(sl_mask_pair_seed(&at_b, b.public_key, b.secret_key, a.public_key, seed_b), SL_OK);

    cr_assert_eq(memcmp(seed_a, seed_b, 32), 0);
}

Test(mask, every_part_of_the_context_changes_the_seed)
{
    struct member a = member_of(0), b = member_of(1);
    const uint8_t other[32] = {9};
    struct sl_mask_context variants[7];
    for (int i = 0; i < 7; i++) variants[i] = context_of(&a, 0, &b, 1);
    variants[1].epoch++;
    variants[2].cohort_id = other;
    variants[3].network_id = other;
    variants[4].own_id = other;
    variants[5].peer_id = other;
    variants[6].own_index = 2;               /* now the server: the ids change places */

    uint8_t seeds[7][32];
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(sl_mask_pair_seed(&variants[i], a.public_key, a.secret_key, b.public_key, seeds[i]), SL_OK);
        for (int k = 0; k < i; k++) cr_assert_neq(memcmp(seeds[i], seeds[k], 32), 0, "variants %d and %d share a seed", i, k);
    }
}

Test(mask, refuses_keys_of_low_order_and_leaves_the_seed_alone)
{
    struct member a = member_of(0), b = member_of(1);
    const uint8_t low_order[][32] = {{0}, {1}};
    for (int end = 0; end < 2; end++) {
        struct sl_mask_context context = context_of(&a, end == 0 ? 0 : 2, &b, 1);
        for (int i = 0; i < 2; i++) {
            uint8_t seed[32] = {42};

            int error = sl_mask_pair_seed(&context, a.public_key, a.secret_key, low_order[i], seed);

            cr_assert_eq(error, SL_ERROR_BAD_ARGUMENT);
            cr_assert_eq(seed[0], 42);
        }
    }
}

Test(mask, masks_of_a_whole_cohort_cancel_bit_for_bit)
{
    static uint32_t sum[DIM], ring[DIM];
    for (uint32_t n = 3; n <= MEMBERS_MAX; n++) {
        struct member members[MEMBERS_MAX];
        for (uint32_t i = 0; i < n; i++) members[i] = member_of(i);
        memset(sum, 0, sizeof sum);

        for (uint32_t i = 0; i < n; i++) {
            for (uint32_t j = 0; j < DIM; j++) ring[j] = i * 1000 + j;
            for (uint32_t peer = 0; peer < n; peer++) {
                if (peer == i) continue;
                struct sl_mask_context context = context_of(&members[i], i, &members[peer], peer);
                uint8_t seed[32];
                cr_assert_eq(sl_mask_pair_seed(&context, members[i].public_key, members[i].secret_key, members[peer].public_key, seed), SL_OK);
                sl_mask_add(seed, peer > i ? 1 : -1, ring, DIM);
            }
            cr_assert_neq(ring[0], i * 1000, "a masked vector must not show its content");
            for (uint32_t j = 0; j < DIM; j++) sum[j] += ring[j];
        }

        for (uint32_t j = 0; j < DIM; j++) cr_assert_eq(sum[j], 1000 * n * (n - 1) / 2 + n * j, "n %u, coordinate %u", n, j);
    }
}

Test(mask, is_the_chacha20_stream_in_little_endian_words)
{
    static uint8_t stream[4 * DIM];
    static uint32_t added[DIM], taken[DIM];
    uint8_t seed[32] = {3};
    sl_stream(seed, stream, sizeof stream);

    sl_mask_add(seed, 1, added, DIM);
    sl_mask_add(seed, -1, taken, DIM);

    for (uint32_t j = 0; j < DIM; j++) {
        const uint8_t *b = stream + 4 * j;
        uint32_t word = b[0] + 256u * b[1] + 65536u * b[2] + 16777216u * b[3];
        cr_assert_eq(added[j], word);
        cr_assert_eq(taken[j], -word);
    }
}

Test(mask, every_byte_of_the_seed_counts)
{
    uint8_t seed[32] = {0};
    uint32_t plain[64] = {0};
    sl_mask_add(seed, 1, plain, 64);
    for (int i = 0; i < 32; i++) {
        uint32_t changed[64] = {0};
        seed[i] ^= 0x80;
        sl_mask_add(seed, 1, changed, 64);
        seed[i] ^= 0x80;
        uint32_t n_equal = 0;
        for (int j = 0; j < 64; j++) n_equal += plain[j] == changed[j];
        cr_assert_leq(n_equal, 1, "byte %d of the seed hardly matters", i);
    }
}

Test(mask, takes_every_range_of_values_including_the_top)
{
    static uint32_t ring[1 << 16];
    uint8_t seed[32] = {5}, seen[256] = {0};

    sl_mask_add(seed, 1, ring, 1 << 16);

    for (uint32_t j = 0; j < 1 << 16; j++) seen[ring[j] >> 24] = 1;
    for (int top = 0; top < 256; top++) cr_assert(seen[top], "no word begins with %02x", top);
}

Test(mask, of_no_words_touches_nothing)
{
    uint8_t seed[32] = {5};
    uint32_t ring[2] = {1, 2};

    sl_mask_add(seed, 1, ring, 0);

    cr_assert_eq(ring[0], 1);
    cr_assert_eq(ring[1], 2);
}
