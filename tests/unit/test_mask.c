/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <pthread.h>
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

/* All points of small order and their twins beyond the prime, as in libsodium's own list: whoever sent one would know the key. */
static const char *const low_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static void read_hex(const char *hex, uint8_t out[32])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) out[i] = (uint8_t)((strchr(digits, hex[2 * i]) - digits) << 4 | (strchr(digits, hex[2 * i + 1]) - digits));
}

Test(mask, refuses_keys_of_low_order_and_leaves_the_results_alone)
{
    struct member a = member_of(0), b = member_of(1);
    for (int end = 0; end < 2; end++) {
        struct sl_mask_context context = context_of(&a, end == 0 ? 0 : 2, &b, 1);
        for (size_t i = 0; i < sizeof low_order / sizeof *low_order; i++) {
            uint8_t point[32], seed[32] = {42};
            struct sl_box_keys keys = {.to_peer = {42}, .from_peer = {42}};
            read_hex(low_order[i], point);

            cr_assert_eq(sl_mask_pair_seed(&context, a.public_key, a.secret_key, point, seed), SL_ERROR_BAD_ARGUMENT, "%s", low_order[i]);
            cr_assert_eq(sl_mask_box_keys(&context, a.public_key, a.secret_key, point, &keys), SL_ERROR_BAD_ARGUMENT, "%s", low_order[i]);

            cr_assert(seed[0] == 42 && keys.to_peer[0] == 42 && keys.from_peer[0] == 42);
        }
    }
}

Test(mask, public_half_of_a_revealed_secret_is_the_one_in_the_roster)
{
    struct member a = member_of(0);
    uint8_t public_key[32];

    sl_mask_public(a.secret_key, public_key);

    cr_assert_eq(memcmp(public_key, a.public_key, 32), 0);
}

Test(mask, what_one_end_seals_with_the_other_opens_with)
{
    struct member a = member_of(0), b = member_of(1);
    struct sl_mask_context at_a = context_of(&a, 2, &b, 6), at_b = context_of(&b, 6, &a, 2);
    struct sl_box_keys keys_a, keys_b;

    cr_assert_eq(sl_mask_box_keys(&at_a, a.public_key, a.secret_key, b.public_key, &keys_a), SL_OK);
    cr_assert_eq(sl_mask_box_keys(&at_b, b.public_key, b.secret_key, a.public_key, &keys_b), SL_OK);

    cr_assert_eq(memcmp(keys_a.to_peer, keys_b.from_peer, 32), 0);
    cr_assert_eq(memcmp(keys_a.from_peer, keys_b.to_peer, 32), 0);
}

Test(mask, box_keys_differ_by_direction_context_and_from_the_pair_seed)
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
    variants[6].own_index = 2;

    uint8_t keys[15][32];
    struct sl_box_keys both;
    cr_assert_eq(sl_mask_pair_seed(&variants[0], a.public_key, a.secret_key, b.public_key, keys[14]), SL_OK);
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(sl_mask_box_keys(&variants[i], a.public_key, a.secret_key, b.public_key, &both), SL_OK);
        memcpy(keys[2 * i], both.to_peer, 32);
        memcpy(keys[2 * i + 1], both.from_peer, 32);
    }

    for (int i = 0; i < 15; i++)
        for (int k = 0; k < i; k++) cr_assert_neq(memcmp(keys[i], keys[k], 32), 0, "keys %d and %d are equal", i, k);
}

Test(mask, hashes_of_secrets_differ_by_kind_cohort_and_secret)
{
    const uint8_t secret[32] = {1}, other[32] = {3};
    uint8_t hashes[6][32];
    for (int what = SL_SECRET_PAIR_SEED; what <= SL_SECRET_AUDIT_NONCE; what++) sl_mask_hash((enum sl_mask_secret)what, cohort, secret, hashes[what]);
    sl_mask_hash(SL_SECRET_PAIR_SEED, other, secret, hashes[4]);
    sl_mask_hash(SL_SECRET_PAIR_SEED, cohort, other, hashes[5]);

    for (int i = 0; i < 6; i++)
        for (int k = 0; k < i; k++) cr_assert_neq(memcmp(hashes[i], hashes[k], 32), 0, "hashes %d and %d are equal", i, k);
}

Test(mask, hash_of_a_share_binds_kind_cohort_dealer_receiver_and_share)
{
    const uint8_t share[32] = {1}, other[32] = {3};
    uint8_t hashes[7][32];
    sl_mask_share_hash(false, cohort, 1, 2, share, hashes[0]);
    sl_mask_share_hash(true, cohort, 1, 2, share, hashes[1]);
    sl_mask_share_hash(false, other, 1, 2, share, hashes[2]);
    sl_mask_share_hash(false, cohort, 2, 1, share, hashes[3]);
    sl_mask_share_hash(false, cohort, 1, 3, share, hashes[4]);
    sl_mask_share_hash(false, cohort, 3, 2, share, hashes[5]);
    sl_mask_share_hash(false, cohort, 1, 2, other, hashes[6]);

    for (int i = 0; i < 7; i++)
        for (int k = 0; k < i; k++) cr_assert_neq(memcmp(hashes[i], hashes[k], 32), 0, "hashes %d and %d are equal", i, k);
}

Test(mask, a_box_opens_under_its_key_in_its_cohort_only)
{
    const uint8_t key[32] = {1}, wrong_key[32] = {1, 1}, self[32] = {7}, mask[32] = {8};
    uint8_t box[80], first[32], second[32];
    sl_mask_seal(key, cohort, self, mask, box);

    cr_assert_eq(sl_mask_unseal(key, cohort, box, first, second), SL_OK);

    cr_assert_eq(memcmp(first, self, 32), 0);
    cr_assert_eq(memcmp(second, mask, 32), 0);
    cr_assert_eq(sl_mask_unseal(wrong_key, cohort, box, first, second), SL_ERROR_BAD_SIGNATURE);
    cr_assert_eq(sl_mask_unseal(key, network, box, first, second), SL_ERROR_BAD_SIGNATURE);
}

Test(mask, a_box_with_any_bit_changed_does_not_open_and_gives_nothing)
{
    const uint8_t key[32] = {1}, self[32] = {7}, mask[32] = {8};
    uint8_t box[80], first[32] = {42}, second[32] = {43};
    sl_mask_seal(key, cohort, self, mask, box);
    for (int bit = 0; bit < 640; bit++) {
        box[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_eq(sl_mask_unseal(key, cohort, box, first, second), SL_ERROR_BAD_SIGNATURE, "bit %d", bit);
        box[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cr_assert_eq(first[0], 42);
    cr_assert_eq(second[0], 43);
}

Test(mask, a_box_shows_neither_share)
{
    const uint8_t key[32] = {1}, share[32] = "the very same bytes in both half";
    uint8_t box[80];

    sl_mask_seal(key, cohort, share, share, box);

    cr_assert_neq(memcmp(box, box + 32, 32), 0);
    for (int i = 0; i < 64; i += 8) cr_assert_neq(memcmp(box + i, share + i % 32, 8), 0);
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
                sl_mask_add(seed, peer > i ? 1 : -1, 32, 0, ring, DIM);
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

    sl_mask_add(seed, 1, 32, 0, added, DIM);
    sl_mask_add(seed, -1, 32, 0, taken, DIM);

    for (uint32_t j = 0; j < DIM; j++) {
        const uint8_t *b = stream + 4 * j;
        uint32_t word = b[0] + 256u * b[1] + 65536u * b[2] + 16777216u * b[3];
        cr_assert_eq(added[j], word);
        cr_assert_eq(taken[j], -word);
    }
}

Test(mask, of_a_ring_of_16_bits_takes_two_bytes_an_element_and_keeps_the_high_half_zero)
{
    static uint8_t stream[2 * DIM];
    static uint32_t added[DIM], taken[DIM];
    uint8_t seed[32] = {3};
    sl_stream(seed, stream, sizeof stream);
    for (uint32_t n = DIM - 1; n <= DIM; n++) {
        for (uint32_t j = 0; j < DIM; j++) added[j] = taken[j] = j % 65536;

        sl_mask_add(seed, 1, 16, 0, added, n);
        sl_mask_add(seed, -1, 16, 0, taken, n);

        for (uint32_t j = 0; j < DIM; j++) {
            uint32_t word = j < n ? stream[2 * j] + 256u * stream[2 * j + 1] : 0;
            cr_assert_eq(added[j], (j + word) % 65536, "element %u of %u", j, n);
            cr_assert_eq(taken[j], (j + 65536 - word) % 65536, "element %u of %u", j, n);
        }
    }
}

Test(mask, of_a_ring_of_16_bits_cancels)
{
    static uint32_t ring[DIM];
    uint8_t seed[32] = {4};
    for (uint32_t j = 0; j < DIM; j++) ring[j] = j;

    sl_mask_add(seed, 1, 16, 0, ring, DIM);
    cr_assert_neq(ring[1], 1);
    sl_mask_add(seed, -1, 16, 0, ring, DIM);

    for (uint32_t j = 0; j < DIM; j++) cr_assert_eq(ring[j], j);
}

Test(mask, may_be_added_piece_by_piece)
{
    static uint32_t whole[DIM], pieces[DIM];
    uint8_t seed[32] = {6};
    for (uint32_t bits = 16; bits <= 32; bits += 16) {
        for (uint32_t piece = 64; piece < DIM; piece += 192) {
            memset(whole, 0, sizeof whole);
            memset(pieces, 0, sizeof pieces);

            sl_mask_add(seed, 1, bits, 0, whole, DIM);
            for (uint32_t start = 0; start < DIM; start += piece)
                sl_mask_add(seed, 1, bits, start, pieces + start, DIM - start < piece ? DIM - start : piece);

            cr_assert_eq(memcmp(whole, pieces, sizeof whole), 0, "%u bits, pieces of %u", bits, piece);
        }
    }
}

Test(mask, starts_far_beyond_32_bits_of_stream)
{
    uint32_t ring[64] = {0};
    uint8_t seed[32] = {6}, stream[256];
    const uint32_t start = UINT32_MAX - 63;
    sl_stream_at(seed, (uint64_t)start * 4, stream, sizeof stream);

    sl_mask_add(seed, 1, 32, start, ring, 64);

    cr_assert_eq(ring[0], stream[0] + 256u * stream[1] + 65536u * stream[2] + 16777216u * stream[3]);
}

Test(mask, every_bit_of_the_seed_counts)
{
    enum { N = 64, SEEDS = 257 };
    static uint32_t streams[SEEDS][N];
    uint8_t seed[32] = {0};
    sl_mask_add(seed, 1, 32, 0, streams[256], N);
    for (int bit = 0; bit < 256; bit++) {
        seed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        sl_mask_add(seed, 1, 32, 0, streams[bit], N);
        seed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }

    /* No two alike: were a seed folded to fewer bits, some of these would coincide. */
    for (int a = 0; a < SEEDS; a++)
        for (int b = 0; b < a; b++) {
            uint32_t n_equal = 0;
            for (int j = 0; j < N; j++) n_equal += streams[a][j] == streams[b][j];
            cr_assert_leq(n_equal, 1, "seeds %d and %d lead to one stream", a, b);
        }
}

Test(mask, takes_every_range_of_values_including_the_top)
{
    static uint32_t ring[1 << 16];
    uint8_t seed[32] = {5}, seen[256] = {0};

    sl_mask_add(seed, 1, 32, 0, ring, 1 << 16);

    for (uint32_t j = 0; j < 1 << 16; j++) seen[ring[j] >> 24] = 1;
    for (int top = 0; top < 256; top++) cr_assert(seen[top], "no word begins with %02x", top);
}

Test(mask, of_a_ring_of_16_bits_takes_its_largest_value)
{
    static uint32_t ring[1 << 20];
    uint8_t seed[32] = {5};

    sl_mask_add(seed, 1, 16, 0, ring, 1 << 20);

    uint32_t n_largest = 0, n_zero = 0;
    for (uint32_t j = 0; j < 1 << 20; j++) {
        n_largest += ring[j] == 65535;
        n_zero += ring[j] == 0;
    }
    cr_assert(n_largest >= 3 && n_largest <= 40, "%u of 16 expected", n_largest);
    cr_assert(n_zero >= 3 && n_zero <= 40, "%u of 16 expected", n_zero);
}

Test(mask, takes_the_largest_value_of_a_ring_of_32_bits)
{
    /* Word 3,562,743 of this stream is 2^32 - 1 (found by a search). */
    const uint8_t seed[32] = {32};
    uint32_t ring[64] = {0};

    sl_mask_add(seed, 1, 32, 3562743 / 64 * 64, ring, 64);

    cr_assert_eq(ring[3562743 % 64], UINT32_MAX);
}

Test(mask, of_no_words_touches_nothing)
{
    uint8_t seed[32] = {5};
    uint32_t ring[2] = {1, 2};

    sl_mask_add(seed, 1, 32, 0, ring, 0);
    sl_mask_add(seed, 1, 16, 0, ring, 0);

    cr_assert_eq(ring[0], 1);
    cr_assert_eq(ring[1], 2);
}

/* A thread whose stack is ours to search when it is over. */
static uint8_t stack[1 << 18] __attribute__((aligned(4096)));
static const uint8_t wiped_seed[32] = "a seed of one single use";
static uint32_t masked[DIM];
static struct { struct member a, b; uint8_t pair_seed[32], box[80], hash[32], opened[2][32]; struct sl_box_keys keys; } made;

static void *add_mask(void *unused)
{
    sl_mask_add(wiped_seed, 1, 32, 0, masked, DIM);
    return unused;
}

static void *derive_and_seal(void *unused)
{
    struct sl_mask_context context = context_of(&made.a, 0, &made.b, 1);
    sl_mask_pair_seed(&context, made.a.public_key, made.a.secret_key, made.b.public_key, made.pair_seed);
    sl_mask_box_keys(&context, made.a.public_key, made.a.secret_key, made.b.public_key, &made.keys);
    sl_mask_hash(SL_SECRET_PAIR_SEED, cohort, made.pair_seed, made.hash);
    sl_mask_share_hash(true, cohort, 0, 1, wiped_seed, made.hash);
    sl_mask_seal(made.keys.to_peer, cohort, wiped_seed, made.a.secret_key, made.box);
    sl_mask_unseal(made.keys.to_peer, cohort, made.box, made.opened[0], made.opened[1]);
    return unused;
}

static void run_on_our_stack(void *(*work)(void *))
{
    pthread_attr_t attributes;
    pthread_t thread;
    work(NULL);                          /* the first call of a shared library's function saves registers, on another stack then */
    memset(masked, 0, sizeof masked);
    memset(stack, 0, sizeof stack);
    cr_assert_eq(pthread_attr_init(&attributes), 0);
    cr_assert_eq(pthread_attr_setstack(&attributes, stack, sizeof stack), 0);
    cr_assert_eq(pthread_create(&thread, &attributes, work, NULL), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
}

static bool is_on_the_stack(const void *bytes, size_t size)
{
    for (size_t i = 0; i + size <= sizeof stack; i++)
        if (memcmp(stack + i, bytes, size) == 0) return true;
    return false;
}

Test(mask, leaves_neither_seed_nor_stream_on_the_stack)
{
    run_on_our_stack(add_mask);

    cr_assert_neq(masked[0], 0);
    cr_assert_not(is_on_the_stack(wiped_seed, 16));
    for (uint32_t j = 0; j + 8 <= DIM; j += 8) cr_assert_not(is_on_the_stack(masked + j, 32), "words from %u of the stream", j);
}

Test(mask, leaves_no_key_and_no_share_on_the_stack)
{
    made.a = member_of(0);
    made.b = member_of(1);

    run_on_our_stack(derive_and_seal);

    cr_assert_eq(memcmp(made.opened[0], wiped_seed, 32), 0);
    cr_assert_not(is_on_the_stack(made.a.secret_key, 16));
    cr_assert_not(is_on_the_stack(made.pair_seed, 16));
    cr_assert_not(is_on_the_stack(made.keys.to_peer, 16));
    cr_assert_not(is_on_the_stack(made.keys.from_peer, 16));
    cr_assert_not(is_on_the_stack(wiped_seed, 16));
}
