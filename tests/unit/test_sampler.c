/* SPDX-License-Identifier: MIT */
/* Who stays in a view that cannot hold everybody. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "overlay/sampler.h"

enum { SLOTS = 128, LIFE_US = 1000000 };

static struct sl_sampler sampler;
static struct sl_rng rng;
static uint8_t block[SLOTS * sizeof(struct sl_sampler_slot) + 64];

static void open_sampler(void)
{
    struct sl_arena arena = sl_arena_over(block, sizeof block);
    const uint8_t seed[32] = {7};
    sl_rng_init(&rng, seed);
    cr_assert(sl_sampler_init(&sampler, &arena, SLOTS, LIFE_US, true));
    sl_sampler_begin(&sampler, &rng, SLOTS, 0);
}

TestSuite(sampler, .init = open_sampler);

static void id_of(uint32_t number, uint8_t out[32])
{
    sl_hash_once("id", &number, sizeof number, out);
}

/* An identity at an address of network a.b/16. */
static uint32_t offer(uint32_t number, uint32_t a, uint32_t b)
{
    char address[48];
    uint8_t id[32];
    id_of(number, id);
    snprintf(address, sizeof address, "%u.%u.%u.%u:7400", (unsigned)a, (unsigned)b, (unsigned)(number >> 8 & 255), (unsigned)(number & 255));
    return sl_sampler_offer(&sampler, id, address);
}

static uint32_t count(uint32_t number)
{
    uint8_t id[32];
    id_of(number, id);
    return sl_sampler_count(&sampler, id);
}

Test(sampler, does_not_fit_into_too_little_memory)
{
    struct sl_arena arena = sl_arena_over(block, 100);
    struct sl_sampler small;
    cr_assert_not(sl_sampler_init(&small, &arena, SLOTS, LIFE_US, true));
}

Test(sampler, gives_all_slots_to_the_only_one_there_is)
{
    cr_assert_eq(offer(1, 20, 1), SLOTS);
    cr_assert_eq(count(1), SLOTS);
}

Test(sampler, is_not_moved_by_hearing_the_same_name_often)
{
    for (uint32_t i = 0; i < 20; i++) offer(i, 20 + i, 1);
    uint32_t before = count(3);
    for (int i = 0; i < 1000; i++) cr_assert_eq(offer(3, 23, 1), 0);
    cr_assert_eq(count(3), before);
}

Test(sampler, keeps_the_same_ones_whatever_the_order)
{
    struct sl_sampler_slot first[SLOTS];
    for (uint32_t i = 0; i < 50; i++) offer(i, 20 + i, 1);
    memcpy(first, sampler.slots, sizeof first);
    for (uint32_t i = 0; i < SLOTS; i++) sampler.slots[i].is_used = false;
    for (uint32_t i = 50; i-- > 0;) offer(i, 20 + i, 1);
    for (uint32_t i = 0; i < SLOTS; i++) cr_assert_arr_eq(first[i].id, sampler.slots[i].id, 32);
}

Test(sampler, gives_ten_thousand_identities_of_one_network_no_more_than_one_networks_share)
{
    for (uint32_t i = 0; i < 31; i++) offer(i, 20 + i, 1);               /* 31 networks with one honest node each */
    for (uint32_t i = 1000; i < 11000; i++) offer(i, 99, 1);             /* and one with ten thousand */
    uint32_t n_honest = 0;
    for (uint32_t i = 0; i < 31; i++) n_honest += count(i);

    uint32_t n_liars = SLOTS - n_honest;                                 /* a share of 1/32 would be four */
    cr_assert_leq(n_liars, 14, "%u slots of %d", (unsigned)n_liars, SLOTS);
}

Test(sampler, gives_ten_thousand_without_an_address_no_more_than_one_networks_share)
{
    uint8_t id[32];
    uint32_t n_honest = 0;
    for (uint32_t i = 0; i < 31; i++) offer(i, 20 + i, 1);
    for (uint32_t i = 1000; i < 11000; i++) {
        id_of(i, id);
        sl_sampler_offer(&sampler, id, "");
    }
    for (uint32_t i = 0; i < 31; i++) n_honest += count(i);
    cr_assert_leq(SLOTS - n_honest, 14, "%u slots of %d", (unsigned)(SLOTS - n_honest), SLOTS);
}

Test(sampler, lets_local_nodes_be_networks_of_their_own)
{
    for (uint32_t i = 0; i < 64; i++) offer(i, 10, 0);
    uint32_t n_present = 0;
    for (uint32_t i = 0; i < 64; i++) n_present += count(i) > 0;
    cr_assert_geq(n_present, 40, "%u of 64", (unsigned)n_present);
}

Test(sampler, forgets_the_gone_and_draws_old_slots_anew_one_after_another)
{
    offer(1, 20, 1);
    uint8_t id[32];
    id_of(1, id);
    cr_assert_eq(sl_sampler_turn(&sampler, &rng, 1), 0, "none is old yet");
    uint32_t n_first = sl_sampler_turn(&sampler, &rng, LIFE_US / 4);
    cr_assert(n_first >= SLOTS / 4 - 1 && n_first <= SLOTS / 4 + 1, "%u", (unsigned)n_first);
    cr_assert_eq(count(1), SLOTS - n_first);
    cr_assert_eq(sl_sampler_forget(&sampler, id), SLOTS - n_first);
    cr_assert_eq(count(1), 0);
    cr_assert_eq(offer(2, 21, 1), SLOTS);
}
