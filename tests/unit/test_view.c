/* SPDX-License-Identifier: MIT */
/* The table of peers and the ring on which cohorts form. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/view.h"

enum { VIEW_SIZE = 50 };

static struct sl_view view;
static uint8_t block[1 << 16];
static const uint8_t network[32] = {1}, self[32] = {0xee};

static struct sl_peer make_peer(uint32_t number)
{
    struct sl_peer peer = {.certificate_size = 4, .certificate = {(uint8_t)number}};
    uint8_t seed[4] = {(uint8_t)number, (uint8_t)(number >> 8), 7, 7};
    sl_hash_once("id", seed, 4, peer.id);
    sl_hash_once("sign", seed, 4, peer.sign_public);
    sl_hash_once("transport", seed, 4, peer.transport_public);
    snprintf(peer.address, sizeof peer.address, "10.0.0.%u:7400", (unsigned)number);
    return peer;
}

static void open_view(void)
{
    struct sl_arena arena = sl_arena_over(block, sizeof block);
    cr_assert(sl_view_init(&view, &arena, VIEW_SIZE));
}

static void fill(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct sl_peer peer = make_peer(i);
        cr_assert_not_null(sl_view_add(&view, &peer));
    }
}

TestSuite(view, .init = open_view);

Test(view, does_not_fit_into_too_little_memory)
{
    struct sl_arena arena = sl_arena_over(block, 1000);
    struct sl_view small;
    cr_assert_not(sl_view_init(&small, &arena, VIEW_SIZE));
}

Test(view, finds_peers_by_id_and_by_key_and_nobody_else)
{
    fill(VIEW_SIZE);
    for (uint32_t i = 0; i < VIEW_SIZE; i++) {
        struct sl_peer peer = make_peer(i);
        struct sl_view_peer *found = sl_view_find(&view, peer.id);
        cr_assert_not_null(found);
        cr_assert_eq(found, sl_view_find_key(&view, peer.transport_public));
        cr_assert_str_eq(found->address, peer.address);
    }
    struct sl_peer other = make_peer(999);
    cr_assert_null(sl_view_find(&view, other.id));
    cr_assert_null(sl_view_find_key(&view, other.transport_public));
}

Test(view, finds_among_ids_that_begin_alike)
{
    for (uint32_t i = 0; i < 20; i++) {
        struct sl_peer peer = make_peer(i);
        memset(peer.id, 0x11, 31);
        peer.id[31] = (uint8_t)i;
        memset(peer.transport_public, 0x22, 31);
        peer.transport_public[31] = (uint8_t)i;
        cr_assert_not_null(sl_view_add(&view, &peer));
    }
    uint8_t id[32];
    memset(id, 0x11, 32);
    for (uint32_t i = 0; i < 20; i++) {
        id[31] = (uint8_t)i;
        cr_assert_not_null(sl_view_find(&view, id));
        cr_assert_eq(sl_view_find(&view, id)->id[31], i);
    }
    id[31] = 20;
    cr_assert_null(sl_view_find(&view, id));
}

Test(view, knows_an_identity_once)
{
    struct sl_peer peer = make_peer(1);
    struct sl_view_peer *first = sl_view_add(&view, &peer);

    cr_assert_eq(sl_view_add(&view, &peer), first);
    cr_assert_eq(view.n_peers, 1);
    cr_assert_not(view.overflowed);
}

Test(view, does_not_let_two_identities_share_a_transport_key)
{
    struct sl_peer one = make_peer(1), two = make_peer(2);
    memcpy(two.transport_public, one.transport_public, 32);
    sl_view_add(&view, &one);

    cr_assert_null(sl_view_add(&view, &two));
    cr_assert_null(sl_view_find(&view, two.id));
    cr_assert_eq(memcmp(sl_view_find_key(&view, one.transport_public)->id, one.id, 32), 0);
}

Test(view, says_when_it_does_not_hold_everybody)
{
    fill(VIEW_SIZE);
    cr_assert_not(view.overflowed);
    struct sl_peer one_more = make_peer(VIEW_SIZE);

    cr_assert_null(sl_view_add(&view, &one_more));
    cr_assert(view.overflowed);
    cr_assert_eq(view.n_peers, VIEW_SIZE);
}

/* ---- the ring ---- */

Test(view, the_ring_is_in_order_and_holds_the_live_and_this_node)
{
    fill(30);
    view.peers[3].banned = true;
    view.peers[4].misses = SL_VIEW_MISSES_DEAD;
    view.peers[5].misses = SL_VIEW_MISSES_DEAD - 1;
    sl_view_turn(&view, network, 7, self);

    cr_assert_eq(view.n_ring, 29);
    cr_assert_eq(view.ring[view.own_place], SL_VIEW_SELF);
    uint32_t n_self = 0;
    for (uint32_t i = 0; i < view.n_ring; i++) {
        if (i > 0) cr_assert_leq(view.ring_positions[i - 1], view.ring_positions[i]);
        n_self += view.ring[i] == SL_VIEW_SELF;
        cr_assert(view.ring[i] != 3 && view.ring[i] != 4);
        if (view.ring[i] != SL_VIEW_SELF) cr_assert_eq(view.ring_positions[i], sl_view_position(&view, view.peers[view.ring[i]].id));
    }
    cr_assert_eq(n_self, 1);
    cr_assert_eq(sl_view_count_live(&view), 28);
}

Test(view, every_node_sees_the_same_ring)
{
    struct sl_view other;
    static uint8_t other_block[1 << 16];
    struct sl_arena arena = sl_arena_over(other_block, sizeof other_block);
    cr_assert(sl_view_init(&other, &arena, VIEW_SIZE));
    struct sl_peer me = make_peer(200), them = make_peer(201);
    fill(20);
    sl_view_add(&view, &them);
    sl_view_add(&other, &me);
    for (uint32_t i = 20; i-- > 0;) {
        struct sl_peer peer = make_peer(i);
        sl_view_add(&other, &peer);
    }
    sl_view_turn(&view, network, 5, me.id);
    sl_view_turn(&other, network, 5, them.id);

    cr_assert_eq(view.n_ring, other.n_ring);
    for (uint32_t i = 0; i < view.n_ring; i++) cr_assert_eq(view.ring_positions[i], other.ring_positions[i]);
}

Test(view, the_ring_turns_with_epoch_and_network)
{
    const uint8_t other[32] = {2};
    fill(1);
    sl_view_turn(&view, network, 1, self);
    uint64_t first = sl_view_position(&view, view.peers[0].id);
    sl_view_turn(&view, network, 2, self);
    cr_assert_neq(sl_view_position(&view, view.peers[0].id), first);
    sl_view_turn(&view, other, 1, self);
    cr_assert_neq(sl_view_position(&view, view.peers[0].id), first);
    sl_view_turn(&view, network, 1, self);
    cr_assert_eq(sl_view_position(&view, view.peers[0].id), first);
}

Test(view, distances_are_places_the_shorter_way_round)
{
    fill(20);
    sl_view_turn(&view, network, 9, self);
    for (int offset = -10; offset <= 10; offset++) {
        struct sl_view_peer *peer = sl_view_ring_peer(&view, offset);
        if (offset == 0) {
            cr_assert_null(peer);
            continue;
        }
        cr_assert_eq(sl_view_ring_distance(&view, peer->id), (uint32_t)abs(offset), "offset %d", offset);
    }
    cr_assert_eq(sl_view_ring_peer(&view, 21), NULL, "once round");
    cr_assert_eq(sl_view_ring_peer(&view, -42), NULL, "twice, backwards");
    cr_assert_eq(sl_view_ring_peer(&view, 22), sl_view_ring_peer(&view, 1));
    cr_assert_eq(sl_view_ring_distance(&view, self), 0);
}

Test(view, places_strangers_on_the_ring_too)
{
    fill(20);
    sl_view_turn(&view, network, 9, self);
    for (uint32_t i = 100; i < 200; i++) {
        struct sl_peer stranger = make_peer(i);
        cr_assert_leq(sl_view_ring_distance(&view, stranger.id), 11);
    }
}

Test(view, an_empty_view_is_a_ring_of_one)
{
    sl_view_turn(&view, network, 1, self);
    struct sl_peer stranger = make_peer(1);
    struct sl_rng rng;
    sl_rng_init(&rng, network);

    cr_assert_eq(view.n_ring, 1);
    cr_assert_null(sl_view_ring_peer(&view, 5));
    cr_assert_eq(sl_view_ring_distance(&view, stranger.id), 0);
    cr_assert_null(sl_view_draw(&view, &rng, NULL, 0));
    cr_assert_null(sl_view_draw_dead(&view, &rng));
}

/* ---- drawing ---- */

Test(view, draws_everybody_alive_about_equally_often)
{
    struct sl_rng rng;
    uint32_t counts[20] = {0};
    sl_rng_init(&rng, network);
    fill(20);
    view.peers[7].banned = true;
    view.peers[8].misses = 99;
    for (int i = 0; i < 18000; i++) counts[sl_view_draw(&view, &rng, NULL, 0) - view.peers]++;

    for (int i = 0; i < 20; i++) {
        if (i == 7 || i == 8) cr_assert_eq(counts[i], 0);
        else cr_assert(counts[i] > 820 && counts[i] < 1180, "peer %d drawn %u times of about 1000", i, counts[i]);
    }
}

Test(view, draws_the_last_one_that_is_left_and_then_nobody)
{
    struct sl_rng rng;
    uint8_t excluded[VIEW_SIZE][32];
    sl_rng_init(&rng, network);
    fill(VIEW_SIZE);
    for (uint32_t n = 0; n < VIEW_SIZE; n++) {
        struct sl_view_peer *peer = sl_view_draw(&view, &rng, (const uint8_t(*)[32])excluded, n);
        cr_assert_not_null(peer, "%u of %d are excluded", n, VIEW_SIZE);
        for (uint32_t i = 0; i < n; i++) cr_assert_neq(memcmp(excluded[i], peer->id, 32), 0);
        memcpy(excluded[n], peer->id, 32);
    }
    cr_assert_null(sl_view_draw(&view, &rng, (const uint8_t(*)[32])excluded, VIEW_SIZE));
}

/* Chi-square of 20000 draws against the uniform distribution over those who are alive and not excluded. */
static double chi_square(const uint8_t (*excluded)[32], uint32_t n_excluded, uint32_t n_open)
{
    enum { DRAWS = 20000 };
    struct sl_rng rng;
    uint32_t counts[VIEW_SIZE] = {0}, n_drawn = 0;
    double expected = (double)DRAWS / n_open, sum = 0;
    sl_rng_init(&rng, network);
    for (int i = 0; i < DRAWS; i++) counts[sl_view_draw(&view, &rng, excluded, n_excluded) - view.peers]++;
    for (uint32_t i = 0; i < VIEW_SIZE; i++) {
        if (counts[i] == 0) continue;
        n_drawn++;
        sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    cr_assert_eq(n_drawn, n_open);
    return sum;
}

/* In each case six are left, five degrees of freedom: chance exceeds 20.5 once in a thousand. */
Test(view, draws_uniformly_also_when_most_peers_are_dead_or_excluded)
{
    uint8_t excluded[VIEW_SIZE][32];
    fill(VIEW_SIZE);
    for (uint32_t i = 0; i < VIEW_SIZE; i++) memcpy(excluded[i], view.peers[i].id, 32);
    cr_assert_lt(chi_square((const uint8_t(*)[32])excluded, VIEW_SIZE - 6, 6), 20.5, "excluded");

    for (uint32_t i = 0; i < 24; i++) view.peers[2 * i].misses = SL_VIEW_MISSES_DEAD;
    cr_assert_lt(chi_square((const uint8_t(*)[32])excluded, VIEW_SIZE - 9, 6), 20.5, "excluded and dead, three of the last nine");

    for (uint32_t i = 0; i < VIEW_SIZE; i++) view.peers[i].misses = i % 9 == 3 ? 0 : SL_VIEW_MISSES_DEAD;
    cr_assert_lt(chi_square(NULL, 0, 6), 20.5, "dead");
}

Test(view, draws_only_the_dead_among_the_dead_and_not_the_banned)
{
    struct sl_rng rng;
    uint32_t n_four = 0;
    sl_rng_init(&rng, network);
    fill(20);
    cr_assert_null(sl_view_draw_dead(&view, &rng));
    view.peers[4].misses = view.peers[9].misses = SL_VIEW_MISSES_DEAD;
    view.peers[5].misses = SL_VIEW_MISSES_DEAD;
    view.peers[5].banned = true;
    for (int i = 0; i < 1000; i++) {
        struct sl_view_peer *peer = sl_view_draw_dead(&view, &rng);
        cr_assert(peer == &view.peers[4] || peer == &view.peers[9]);
        n_four += peer == &view.peers[4];
    }
    cr_assert(n_four > 400 && n_four < 600);
}

/* ---- peers that come and go ---- */

static struct sl_descriptor heard(uint32_t number, uint64_t sequence)
{
    struct sl_peer peer = make_peer(number);
    struct sl_descriptor out = {.sequence = sequence, .until_s = sequence + 100};
    memcpy(out.id, peer.id, 32);
    memcpy(out.sign_public, peer.sign_public, 32);
    memcpy(out.transport_public, peer.transport_public, 32);
    memcpy(out.address, peer.address, sizeof out.address);
    return out;
}

Test(view, learns_the_newer_word_and_never_the_older)
{
    struct sl_descriptor first = heard(1, 10), newer = heard(1, 11), older = heard(1, 9);
    strcpy(newer.address, "10.9.9.9:1");
    strcpy(older.address, "10.8.8.8:1");
    struct sl_view_peer *peer = sl_view_learn(&view, &first);
    cr_assert_not_null(peer);
    cr_assert_eq(sl_view_learn(&view, &newer), peer);
    cr_assert_eq(sl_view_learn(&view, &older), peer);
    cr_assert_str_eq(peer->address, "10.9.9.9:1");
    cr_assert_not(peer->proven);
    cr_assert_eq(view.n_peers, 1);
}

Test(view, lets_a_proven_key_prevail_over_one_that_was_only_claimed)
{
    struct sl_descriptor squatter = heard(1, 10), owner = heard(2, 10);
    memcpy(squatter.transport_public, owner.transport_public, 32);
    cr_assert_not_null(sl_view_learn(&view, &squatter));
    cr_assert_null(sl_view_learn(&view, &owner), "a word against a word: the first stays");
    cr_assert_not(view.overflowed, "and nobody was kept out for want of room");

    struct sl_view_peer *peer = sl_view_prove(&view, &owner);

    cr_assert_not_null(peer);
    cr_assert_eq(sl_view_find_key(&view, owner.transport_public), peer);
    cr_assert_not(sl_view_is_live(sl_view_find(&view, squatter.id)));
    cr_assert_eq(sl_view_sweep(&view), 1);
    cr_assert_null(sl_view_find(&view, squatter.id));
    cr_assert_eq(sl_view_find_key(&view, owner.transport_public), sl_view_find(&view, owner.id));
    cr_assert_null(sl_view_prove(&view, &squatter), "a key has one owner");
}

Test(view, moves_an_identity_to_a_key_that_it_has_proven)
{
    struct sl_descriptor first = heard(1, 10), moved = heard(1, 11), claimed = heard(1, 12);
    memset(moved.transport_public, 7, 32);
    memset(claimed.transport_public, 8, 32);
    struct sl_view_peer *peer = sl_view_prove(&view, &first);
    cr_assert_eq(sl_view_learn(&view, &claimed), peer);
    cr_assert_arr_eq(peer->transport_public, first.transport_public, 32, "others' word does not move a proven key");
    cr_assert_eq(sl_view_prove(&view, &moved), peer);
    cr_assert_eq(sl_view_find_key(&view, moved.transport_public), peer);
    cr_assert_null(sl_view_find_key(&view, first.transport_public));
}

Test(view, sweeps_the_leaving_and_finds_all_others_after_it)
{
    fill(VIEW_SIZE);
    for (uint32_t i = 0; i < VIEW_SIZE; i += 3) view.peers[i].leaving = true;
    cr_assert_eq(sl_view_sweep(&view), 17);
    for (uint32_t i = 0; i < VIEW_SIZE; i++) {
        struct sl_peer peer = make_peer(i);
        const struct sl_view_peer *found = sl_view_find(&view, peer.id);
        cr_assert_eq(found != NULL, i % 3 != 0, "%u", (unsigned)i);
        cr_assert_eq(sl_view_find_key(&view, peer.transport_public), found);
    }
    struct sl_descriptor again = heard(0, 5);
    cr_assert_not_null(sl_view_learn(&view, &again), "there is room again");
}

Test(view, is_partial_when_somebody_found_no_room)
{
    fill(VIEW_SIZE);
    struct sl_descriptor known = heard(1, 5), stranger = heard(VIEW_SIZE + 1, 5);
    cr_assert_not_null(sl_view_learn(&view, &known));
    cr_assert_not(view.overflowed);
    cr_assert_null(sl_view_learn(&view, &stranger));
    cr_assert(view.overflowed);
}

Test(view, counts_nobody_as_live_who_is_neither_proven_nor_can_be_dialled)
{
    struct sl_descriptor ghost = heard(90, 1);
    ghost.address[0] = 0;
    struct sl_view_peer *peer = sl_view_learn(&view, &ghost);
    cr_assert(peer && !sl_view_is_live(peer));
    struct sl_rng rng;
    const uint8_t seed[32] = {1};
    sl_rng_init(&rng, seed);
    for (uint32_t i = 0; i < view.n_peers; i++) view.peers[i].misses = &view.peers[i] == peer ? SL_VIEW_MISSES_DEAD : 0;
    cr_assert_null(sl_view_draw_dead(&view, &rng), "nor is it worth a dial");
    cr_assert_eq(sl_view_prove(&view, &ghost), peer);
    peer->misses = 0;
    cr_assert(sl_view_is_live(peer));
}
