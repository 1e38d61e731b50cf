/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "base/hash.h"

Test(hash, equals_blake2b_over_length_label_and_bytes)
{
    uint8_t ours[32], direct[32];

    sl_hash_once("pos", "abc", 3, ours);
    crypto_generichash(direct, 32, (const uint8_t *)"\x03posabc", 7, NULL, 0);

    cr_assert_arr_eq(ours, direct, 32);
}

Test(hash, keyed_form_equals_keyed_blake2b)
{
    uint8_t key[32] = {1, 2, 3}, ours[32], direct[32];
    struct sl_hash hash;

    sl_hash_keyed_init(&hash, "fork", key);
    sl_hash_bytes(&hash, "x", 1);
    sl_hash_final(&hash, ours);
    crypto_generichash(direct, 32, (const uint8_t *)"\x04" "forkx", 6, key, 32);

    cr_assert_arr_eq(ours, direct, 32);
}

Test(hash, label_and_bytes_cannot_be_shifted_into_each_other)
{
    uint8_t a[32], b[32], c[32];

    sl_hash_once("ab", "c", 1, a);
    sl_hash_once("a", "bc", 2, b);
    sl_hash_once("", "\x02" "abc", 4, c);        /* an empty label with the other's whole input behind it */

    cr_assert_arr_neq(a, b, 32);
    cr_assert_arr_neq(a, c, 32);
    cr_assert_arr_neq(b, c, 32);
}

Test(hash, numbers_are_eight_bytes_little_endian)
{
    static const uint8_t bytes[8] = {8, 7, 6, 5, 4, 3, 2, 1};
    struct sl_hash hash;
    uint8_t number[32], direct[32];

    sl_hash_init(&hash, "n");
    sl_hash_u64(&hash, 0x0102030405060708u);
    sl_hash_final(&hash, number);
    sl_hash_once("n", bytes, sizeof bytes, direct);

    cr_assert_arr_eq(number, direct, 32);
}

Test(hash, cutting_the_input_does_not_change_the_hash)
{
    struct sl_hash hash;
    uint8_t pieces[32], whole[32];

    sl_hash_init(&hash, "cut");
    sl_hash_bytes(&hash, "hello ", 6);
    sl_hash_bytes(&hash, "", 0);
    sl_hash_bytes(&hash, "world", 5);
    sl_hash_final(&hash, pieces);
    sl_hash_once("cut", "hello world", 11, whole);

    cr_assert_arr_eq(pieces, whole, 32);
}

Test(hash, a_label_of_255_bytes_is_the_longest)
{
    char label[256];
    uint8_t a[32], b[32];
    memset(label, 'x', 255);
    label[255] = 0;

    sl_hash_once(label, "", 0, a);
    label[254] = 0;
    sl_hash_once(label, "x", 1, b);

    cr_assert_arr_neq(a, b, 32);
}

Test(hash, equality_and_zero_look_at_every_byte)
{
    for (int i = 0; i < 32; i++) {
        uint8_t a[32] = {0}, b[32] = {0};
        cr_assert(sl_hash_equal(a, b));
        cr_assert(sl_hash_is_zero(a));

        b[i] = 1;
        cr_assert_not(sl_hash_equal(a, b));
        cr_assert_not(sl_hash_is_zero(b));
    }
}
