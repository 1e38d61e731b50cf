/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <sodium.h>
#include <string.h>

#include "base/rng.h"

static const uint8_t zero[32];

static struct sl_rng seeded(uint8_t first)
{
    uint8_t seed[32] = {first};
    struct sl_rng rng;
    sl_rng_init(&rng, seed);
    return rng;
}

Test(rng, the_stream_is_chacha20_and_each_buffer_begins_with_the_next_key)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    /* first sixteen bytes of the key stream of the all-zero key and nonce: RFC 8439, appendix A.1, vector 1 */
    static const uint8_t published[16] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28};
    uint8_t expected[1000], streamed[1000], drawn[1000];
    struct sl_rng rng;
    crypto_stream_chacha20(expected, sizeof expected, nonce, zero);

    sl_stream(zero, streamed, sizeof streamed);
    sl_rng_init(&rng, zero);
    sl_rng_bytes(&rng, drawn, sizeof drawn);

    cr_assert_arr_eq(expected, published, sizeof published);
    cr_assert_arr_eq(streamed, expected, sizeof expected);
    /* 256 bytes a key: the first 32 become the next key, the others are given out */
    uint8_t key[32];
    memcpy(key, zero, sizeof key);
    for (size_t at = 0; at < sizeof drawn; at += 224) {
        uint8_t buffer[256];
        sl_stream(key, buffer, sizeof buffer);
        cr_assert_arr_eq(drawn + at, buffer + 32, sizeof drawn - at < 224 ? sizeof drawn - at : 224);
        memcpy(key, buffer, sizeof key);
    }
}

Test(rng, keeps_nothing_of_what_it_gave)
{
    struct sl_rng rng = seeded(5);
    uint8_t secret[32];
    sl_rng_bytes(&rng, secret, sizeof secret);

    for (size_t at = 0; at + 8 <= sizeof rng; at++) cr_assert_arr_neq((const uint8_t *)&rng + at, secret, 8);
    struct sl_rng later = rng;
    uint8_t again[32];
    sl_rng_bytes(&later, again, sizeof again);
    cr_assert_arr_neq(again, secret, sizeof secret);
    cr_assert_arr_neq(rng.key, seeded(5).key, sizeof rng.key, "the seed is gone");
}

Test(rng, how_the_stream_is_cut_into_draws_does_not_matter)
{
    uint8_t whole[700], pieces[700];
    struct sl_rng one = seeded(3), other = seeded(3);

    sl_rng_bytes(&one, whole, sizeof whole);
    for (size_t at = 0, n = 1; at < sizeof pieces; at += n, n = n % 61 + 7) {
        if (n > sizeof pieces - at) n = sizeof pieces - at;
        sl_rng_bytes(&other, pieces + at, n);
    }

    cr_assert_arr_eq(whole, pieces, sizeof whole);
}

Test(rng, an_offset_into_the_stream_gives_its_later_bytes)
{
    uint8_t whole[512], tail[256], far_away[64], again[64];
    sl_stream(zero, whole, sizeof whole);

    sl_stream_at(zero, 256, tail, sizeof tail);
    sl_stream_at(zero, (uint64_t)64 << 32, far_away, sizeof far_away);       /* the block counter has 64 bits */
    sl_stream_at(zero, 0, again, sizeof again);

    cr_assert_arr_eq(tail, whole + 256, sizeof tail);
    cr_assert_arr_neq(far_away, again, sizeof again);
}

Test(rng, integers_are_little_endian_bytes_of_the_stream)
{
    struct sl_rng rng, bytes;
    uint8_t b[12];
    sl_rng_init(&rng, zero);
    sl_rng_init(&bytes, zero);
    sl_rng_bytes(&bytes, b, sizeof b);
    uint64_t low = 0, high = 0;
    for (int i = 3; i >= 0; i--) low = low << 8 | b[i];
    for (int i = 11; i >= 4; i--) high = high << 8 | b[i];

    cr_assert_eq(sl_rng_u32(&rng), low);
    cr_assert_eq(sl_rng_u64(&rng), high);
}

Test(rng, a_fork_depends_on_label_number_and_parent_alone)
{
    struct sl_rng parent = seeded(1), twin = seeded(1), stranger = seeded(2);

    struct sl_rng a = sl_rng_fork(&parent, "view", 0), same = sl_rng_fork(&twin, "view", 0);
    struct sl_rng label = sl_rng_fork(&parent, "pull", 0), number = sl_rng_fork(&parent, "view", 1);
    struct sl_rng other = sl_rng_fork(&stranger, "view", 0);
    uint64_t first = sl_rng_u64(&a);

    cr_assert_eq(first, sl_rng_u64(&same));
    cr_assert_neq(first, sl_rng_u64(&label));
    cr_assert_neq(first, sl_rng_u64(&number));
    cr_assert_neq(first, sl_rng_u64(&other));
    cr_assert_neq(first, sl_rng_u64(&parent));
}

Test(rng, a_fork_does_not_advance_its_parent)
{
    struct sl_rng parent = seeded(1), twin = seeded(1);

    sl_rng_fork(&parent, "view", 0);

    cr_assert_eq(sl_rng_u64(&parent), sl_rng_u64(&twin));
}

/* Sum of (seen - expected)^2 / expected over n equally likely cells. */
static double chi_square(const uint32_t *counts, uint32_t n_cells, uint32_t n_draws)
{
    double expected = (double)n_draws / n_cells, sum = 0;
    for (uint32_t i = 0; i < n_cells; i++) sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    return sum;
}

Test(rng, below_is_uniform)
{
    enum { N_CELLS = 10, N_DRAWS = 100000 };
    uint32_t counts[N_CELLS] = {0};
    struct sl_rng rng = seeded(4);

    for (int i = 0; i < N_DRAWS; i++) counts[sl_rng_below(&rng, N_CELLS)]++;

    cr_assert_lt(chi_square(counts, N_CELLS, N_DRAWS), 27.9, "9 degrees of freedom: exceeded once in a thousand seeds");
}

Test(rng, below_is_unbiased_where_a_plain_product_would_favour_some)
{
    /* 3 * 2^30 does not divide 2^32: without rejection every third value would be drawn twice as often as the others */
    enum { N_DRAWS = 90000 };
    uint32_t counts[3] = {0};
    struct sl_rng rng = seeded(5);

    for (int i = 0; i < N_DRAWS; i++) counts[sl_rng_below(&rng, 3u << 30) % 3]++;

    cr_assert_lt(chi_square(counts, 3, N_DRAWS), 13.9);
}

Test(rng, below_one_is_zero_and_the_largest_bound_is_kept)
{
    struct sl_rng rng = seeded(6);
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(sl_rng_below(&rng, 1), 0);
        cr_assert_lt(sl_rng_below(&rng, UINT32_MAX), UINT32_MAX);
    }
}

Test(rng, uniform_lies_in_zero_to_below_one_with_the_right_moments)
{
    enum { N_DRAWS = 100000 };
    struct sl_rng rng = seeded(7);
    double sum = 0, squares = 0;

    for (int i = 0; i < N_DRAWS; i++) {
        double u = sl_rng_uniform(&rng);
        cr_assert(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
    }

    cr_assert_float_eq(sum / N_DRAWS, 0.5, 0.005);
    cr_assert_float_eq(squares / N_DRAWS, 1.0 / 3, 0.005);
}

Test(rng, normal_has_the_moments_of_the_standard_normal)
{
    enum { N_DRAWS = 200000 };
    struct sl_rng rng = seeded(8);
    double moments[5] = {0};
    uint32_t n_far = 0;

    for (int i = 0; i < N_DRAWS; i++) {
        double x = sl_rng_normal(&rng);
        cr_assert(isfinite(x));
        for (int k = 1; k <= 4; k++) moments[k] += pow(x, k) / N_DRAWS;
        n_far += fabs(x) > 1.959964;
    }

    cr_assert_float_eq(moments[1], 0, 0.01);
    cr_assert_float_eq(moments[2], 1, 0.015);
    cr_assert_float_eq(moments[3], 0, 0.04);
    cr_assert_float_eq(moments[4], 3, 0.12);
    cr_assert_float_eq((double)n_far / N_DRAWS, 0.05, 0.003);
}

Test(rng, shuffle_keeps_every_item_and_every_place_is_equally_likely)
{
    enum { N_ITEMS = 5, N_ROUNDS = 50000 };
    uint32_t places[N_ITEMS] = {0};
    struct sl_rng rng = seeded(9);

    for (int round = 0; round < N_ROUNDS; round++) {
        uint32_t items[N_ITEMS] = {0, 1, 2, 3, 4}, seen = 0;
        sl_rng_shuffle(&rng, items, N_ITEMS);
        for (uint32_t i = 0; i < N_ITEMS; i++) {
            seen |= 1u << items[i];
            if (items[i] == 0) places[i]++;
        }
        cr_assert_eq(seen, 31u);
    }

    cr_assert_lt(chi_square(places, N_ITEMS, N_ROUNDS), 18.5);
}

Test(rng, shuffling_nothing_or_one_item_draws_nothing)
{
    uint32_t item = 7;
    struct sl_rng rng = seeded(1), twin = seeded(1);

    sl_rng_shuffle(&rng, NULL, 0);
    sl_rng_shuffle(&rng, &item, 1);

    cr_assert_eq(item, 7);
    cr_assert_eq(sl_rng_u64(&rng), sl_rng_u64(&twin));
}
