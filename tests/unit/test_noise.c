/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "privacy/discrete_gaussian.h"

enum { WORDS = 8192 };

static struct sl_noise noise, other;

static uint64_t word_of(const uint8_t *bytes)
{
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--) word = word << 8 | bytes[i];
    return word;
}

Test(noise, words_are_the_keystream_of_chacha20_with_the_number_of_the_block_as_nonce)
{
    static uint8_t stream[3][8 * WORDS];
    const uint8_t key[32] = {1, 2, 3};
    for (uint8_t block = 0; block < 3; block++) {
        const uint8_t nonce[8] = {block};
        crypto_stream_chacha20(stream[block], sizeof stream[block], nonce, key);
    }

    sl_noise_init(&noise, key);

    for (int block = 0; block < 3; block++)
        for (int i = 0; i < WORDS; i++) cr_assert_eq(sl_noise_word(&noise), word_of(stream[block] + 8 * i), "block %d word %d", block, i);
}

Test(noise, two_keys_have_no_word_in_common_and_one_key_repeats_itself)
{
    sl_noise_init(&noise, (const uint8_t[32]){1});
    sl_noise_init(&other, (const uint8_t[32]){2});
    for (int i = 0; i < 2 * WORDS; i++) cr_assert_neq(sl_noise_word(&noise), sl_noise_word(&other));

    static uint64_t first[2 * WORDS];
    sl_noise_init(&noise, (const uint8_t[32]){1});
    sl_noise_init(&other, (const uint8_t[32]){1});
    for (int i = 0; i < 2 * WORDS; i++) cr_assert_eq(first[i] = sl_noise_word(&noise), sl_noise_word(&other));
    for (int i = 0; i < WORDS; i++) cr_assert_neq(first[i], first[WORDS + i], "a block must not come twice");
}

static void count_up(void *context, uint8_t *bytes, size_t size)
{
    uint8_t *next = context;
    for (size_t i = 0; i < size; i++) bytes[i] = i % 8 == 0 ? (*next)++ : 0;
}

Test(noise, a_test_may_bring_its_own_stream)
{
    uint8_t next = 5;
    sl_noise_init_from(&noise, count_up, &next);
    for (uint64_t i = 0; i < 3 * WORDS; i++) cr_assert_eq(sl_noise_word(&noise), (5 + i) % 256);
}

Test(noise, nothing_is_left_when_it_was_wiped)
{
    sl_noise_init(&noise, (const uint8_t[32]){9, 9, 9});
    sl_noise_word(&noise);
    sl_noise_wipe(&noise);
    for (size_t i = 0; i < sizeof noise; i++) cr_assert_eq(((const uint8_t *)&noise)[i], 0);
}
