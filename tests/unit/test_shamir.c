/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "privacy/shamir.h"

static struct sl_rng rng_of(uint8_t number)
{
    struct sl_rng rng;
    uint8_t seed[32] = {number};
    sl_rng_init(&rng, seed);
    return rng;
}

/* The members of a set of shares in ascending order; returns their number. */
static uint32_t choose(uint32_t set, uint8_t shares[][32], uint32_t *indices, const uint8_t **chosen)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < SL_SHAMIR_MAX && set >> i; i++) {
        if (!(set >> i & 1)) continue;
        indices[n] = i;
        chosen[n++] = shares[i];
    }
    return n;
}

static uint32_t count(uint32_t set)
{
    uint32_t n = 0;
    for (; set; set &= set - 1) n++;
    return n;
}

Test(shamir, every_set_of_threshold_shares_gives_the_secret)
{
    struct sl_rng rng = rng_of(1);
    uint8_t shares[SL_SHAMIR_MAX][32], secret[32], joined[32];
    uint32_t indices[SL_SHAMIR_MAX];
    const uint8_t *chosen[SL_SHAMIR_MAX];
    for (uint32_t n = 2; n <= 10; n++)
        for (uint32_t threshold = 2; threshold <= n; threshold++) {
            sl_rng_bytes(&rng, secret, sizeof secret);
            sl_shamir_split(secret, threshold, n, &rng, shares);
            for (uint32_t set = 0; set < 1u << n; set++) {
                if (count(set) != threshold) continue;
                choose(set, shares, indices, chosen);

                sl_shamir_join(threshold, indices, chosen, joined);

                cr_assert_eq(memcmp(joined, secret, 32), 0, "%u of %u, set %x", threshold, n, set);
            }
        }
}

Test(shamir, shares_join_in_any_order)
{
    struct sl_rng rng = rng_of(2);
    uint8_t shares[6][32], joined[32];
    const uint8_t secret[32] = "thirty-two bytes of some secret";
    sl_shamir_split(secret, 4, 6, &rng, shares);
    uint32_t indices[] = {5, 0, 3, 2};
    const uint8_t *const chosen[] = {shares[5], shares[0], shares[3], shares[2]};

    sl_shamir_join(4, indices, chosen, joined);

    cr_assert_eq(memcmp(joined, secret, 32), 0);
}

Test(shamir, the_largest_cohort_shares_too)
{
    struct sl_rng rng = rng_of(3);
    static uint8_t shares[SL_SHAMIR_MAX][32];
    uint8_t joined[32];
    const uint8_t secret[32] = {255, 254, 1, 0, 128};
    uint32_t indices[51];
    const uint8_t *chosen[51];
    sl_shamir_split(secret, 51, SL_SHAMIR_MAX, &rng, shares);
    for (uint32_t k = 0; k < 51; k++) {
        indices[k] = k + 13;
        chosen[k] = shares[k + 13];
    }

    sl_shamir_join(51, indices, chosen, joined);

    cr_assert_eq(memcmp(joined, secret, 32), 0);
}

/*
 * Whatever shares one short of the threshold hold, each secret fits them, and exactly one value of a further share goes with it: so they say nothing. Tried
 * for every set of threshold - 1 shares and every further one, over all values of a byte.
 */
Test(shamir, fewer_than_threshold_shares_fit_every_secret_equally)
{
    enum { N = 6 };
    struct sl_rng rng = rng_of(4);
    uint8_t shares[N][32], joined[32], further[32];
    uint32_t indices[N];
    const uint8_t *chosen[N];
    const uint8_t secret[32] = "what nobody may guess from below";
    for (uint32_t threshold = 2; threshold <= N; threshold++) {
        sl_shamir_split(secret, threshold, N, &rng, shares);
        for (uint32_t set = 0; set < 1u << N; set++) {
            if (count(set) != threshold - 1) continue;
            uint32_t known = choose(set, shares, indices, chosen);
            for (uint32_t other = 0; other < N; other++) {
                if (set >> other & 1) continue;
                uint8_t seen[32][256] = {{0}};
                indices[known] = other;
                chosen[known] = further;
                for (int value = 0; value < 256; value++) {
                    memset(further, value, 32);
                    sl_shamir_join(threshold, indices, chosen, joined);
                    for (int i = 0; i < 32; i++) {
                        cr_assert_eq(seen[i][joined[i]], 0, "a secret fits twice");
                        seen[i][joined[i]] = 1;
                    }
                }
            }
        }
    }
}

Test(shamir, too_few_shares_joined_are_not_the_secret)
{
    struct sl_rng rng = rng_of(5);
    uint8_t shares[5][32], joined[32];
    const uint8_t secret[32] = "thirty-two bytes of some secret";
    sl_shamir_split(secret, 4, 5, &rng, shares);
    const uint32_t indices[] = {0, 1, 2};
    const uint8_t *const chosen[] = {shares[0], shares[1], shares[2]};

    sl_shamir_join(3, indices, chosen, joined);

    cr_assert_neq(memcmp(joined, secret, 32), 0);
}

Test(shamir, a_wrong_share_gives_a_wrong_secret)
{
    struct sl_rng rng = rng_of(6);
    uint8_t shares[5][32], joined[32];
    const uint8_t secret[32] = "thirty-two bytes of some secret";
    sl_shamir_split(secret, 4, 5, &rng, shares);
    const uint32_t indices[] = {0, 1, 2, 4};
    const uint8_t *const chosen[] = {shares[0], shares[1], shares[2], shares[4]};
    shares[2][31] ^= 1;

    sl_shamir_join(4, indices, chosen, joined);

    cr_assert_eq(memcmp(joined, secret, 31), 0, "bytes are shared one by one");
    cr_assert_neq(joined[31], secret[31]);
}

/* Multiplication by the table of logarithms to the base 3, as textbooks have it: another way than the code's. */
static uint8_t power[255], logarithm[256];

static void fill_tables(void)
{
    uint32_t value = 1;
    for (uint32_t i = 0; i < 255; i++) {
        power[i] = (uint8_t)value;
        logarithm[value] = (uint8_t)i;
        value ^= value << 1;
        if (value > 255) value ^= 0x11b;
    }
}

static uint8_t times(uint8_t a, uint8_t b)
{
    return a && b ? power[(logarithm[a] + logarithm[b]) % 255] : 0;
}

Test(shamir, shares_are_the_values_of_a_polynomial_over_the_field_of_aes)
{
    const uint32_t threshold = 5, n = 64;
    struct sl_rng rng = rng_of(7), same = rng;
    static uint8_t shares[64][32];
    uint8_t coefficients[5][32] = {"the constant term is the secret"};
    fill_tables();
    sl_rng_bytes(&same, coefficients[1], 4 * 32);

    sl_shamir_split(coefficients[0], threshold, n, &rng, shares);

    for (uint32_t i = 0; i < n; i++)
        for (int byte = 0; byte < 32; byte++) {
            uint8_t sum = 0, x = 1;
            for (uint32_t k = 0; k < threshold; k++) {
                sum ^= times(coefficients[k][byte], x);
                x = times(x, (uint8_t)(i + 1));
            }
            cr_assert_eq(shares[i][byte], sum, "share %u, byte %d", i, byte);
        }
}

Test(shamir, a_share_of_any_secret_takes_all_values_alike)
{
    enum { RUNS = 8192 };
    struct sl_rng rng = rng_of(8);
    uint8_t shares[4][32];
    const uint8_t secret[32] = {0};
    static uint32_t seen[4][256];
    for (int run = 0; run < RUNS; run++) {
        sl_shamir_split(secret, 3, 4, &rng, shares);
        for (int i = 0; i < 4; i++)
            for (int byte = 0; byte < 32; byte++) seen[i][shares[i][byte]]++;
    }

    for (int i = 0; i < 4; i++) {
        double chi_square = 0, expected = RUNS * 32 / 256;
        for (int value = 0; value < 256; value++) chi_square += (seen[i][value] - expected) * (seen[i][value] - expected) / expected;
        cr_assert(chi_square > 160 && chi_square < 370, "share %d: %g of 255 +- 23 expected", i, chi_square);
    }
}

/* A thread whose stack is ours to search when it is over. */
static uint8_t stack[1 << 18] __attribute__((aligned(4096)));
static const uint8_t kept[32] = "kept in no place but where it is";
static uint8_t kept_shares[5][32], result[32];

static void *split_and_join(void *unused)
{
    struct sl_rng rng = rng_of(9);
    const uint32_t indices[] = {0, 2, 3};
    const uint8_t *const chosen[] = {kept_shares[0], kept_shares[2], kept_shares[3]};
    sl_shamir_split(kept, 3, 5, &rng, kept_shares);
    sl_wipe(&rng, sizeof rng);
    sl_shamir_join(3, indices, chosen, result);
    return unused;
}

static bool is_on_the_stack(const void *bytes, size_t size)
{
    for (size_t i = 0; i + size <= sizeof stack; i++)
        if (memcmp(stack + i, bytes, size) == 0) return true;
    return false;
}

Test(shamir, leaves_neither_secret_nor_coefficient_nor_share_on_the_stack)
{
    pthread_attr_t attributes;
    pthread_t thread;
    split_and_join(NULL);                /* the first call of a shared library's function saves registers, on another stack then */
    cr_assert_eq(pthread_attr_init(&attributes), 0);
    cr_assert_eq(pthread_attr_setstack(&attributes, stack, sizeof stack), 0);

    cr_assert_eq(pthread_create(&thread, &attributes, split_and_join, NULL), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);

    struct sl_rng same = rng_of(9);
    uint8_t coefficients[2][32];
    sl_rng_bytes(&same, coefficients, sizeof coefficients);
    cr_assert_eq(memcmp(result, kept, 32), 0);
    cr_assert_not(is_on_the_stack(kept, 32));
    for (int k = 0; k < 2; k++) cr_assert_not(is_on_the_stack(coefficients[k], 32));
    for (int i = 0; i < 5; i++) cr_assert_not(is_on_the_stack(kept_shares[i], 32));
}
