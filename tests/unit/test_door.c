/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "runtime/door.h"

enum { SECOND = 1000000, INBOUND_MAX = 8, CALLERS_MAX = 200 };

static struct sl_caller callers[CALLERS_MAX];
static struct sl_door door;
static struct sl_caller shed;
static int next_descriptor;

static void open_door(bool caps_local)
{
    struct sl_door_limits limits = {.inbound_max = INBOUND_MAX, .callers_max = CALLERS_MAX, .descriptor_max = 1000, .caps_local = caps_local};
    sl_door_init(&door, &limits, callers);
    door.open_us = 1;
    next_descriptor = 10;
}

static struct sl_caller from(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (struct sl_caller){.descriptor = next_descriptor++, .cookie = 1, .address = {[10] = 0xff, [11] = 0xff, [12] = a, b, c, d}};
}

static enum sl_cut enter(struct sl_caller caller, uint64_t now_us)
{
    return sl_door_enter(&door, &caller, now_us, &shed);
}

static enum sl_cut speak(int descriptor, uint64_t now_us)
{
    return sl_door_judge(&door, sl_door_find(&door, descriptor), 500, 40, now_us);
}

static uint32_t n_inside(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < CALLERS_MAX; i++) n += callers[i].used;
    return n;
}

Test(door, two_of_an_address_and_four_of_a_group_may_stay)
{
    open_door(false);
    for (uint8_t i = 0; i < 3; i++) {
        struct sl_caller caller = from(203, 0, 113, 7);
        cr_assert_eq(enter(caller, i), SL_CUT_NONE);
        cr_assert_eq(speak(caller.descriptor, i), i < 2 ? SL_CUT_NONE : SL_CUT_CROWD, "%u", i);
    }
    for (uint8_t i = 0; i < 3; i++) {
        struct sl_caller neighbour = from(203, 0, 113, 8 + i);
        cr_assert_eq(enter(neighbour, i), SL_CUT_NONE);
        cr_assert_eq(speak(neighbour.descriptor, i), i < 2 ? SL_CUT_NONE : SL_CUT_CROWD, "%u", i);
    }
    struct sl_caller stranger = from(203, 0, 114, 7);
    cr_assert_eq(enter(stranger, 9), SL_CUT_NONE);
    cr_assert_eq(speak(stranger.descriptor, 9), SL_CUT_NONE);
    cr_assert_eq(door.n_cut[SL_CUT_CROWD], 2);
}

Test(door, an_address_that_says_nothing_gets_four_connections)
{
    open_door(false);
    for (uint32_t i = 0; i < 6; i++) cr_assert_eq(enter(from(203, 0, 113, 7), i), i < 4 ? SL_CUT_NONE : SL_CUT_CROWD);
}

Test(door, peers_at_home_share_an_address_unless_they_are_capped)
{
    for (int caps = 0; caps < 2; caps++) {
        open_door(caps);
        uint32_t n_cut = 0;
        for (uint32_t i = 0; i < INBOUND_MAX; i++) {
            struct sl_caller caller = from(127, 0, 0, 1);
            if (enter(caller, i) != SL_CUT_NONE || speak(caller.descriptor, i) != SL_CUT_NONE) n_cut++;
        }
        cr_assert_eq(n_cut, caps ? INBOUND_MAX - 2 : 0);
    }
}

Test(door, knows_what_is_local_and_what_is_a_group)
{
    static const struct { uint8_t address[16]; bool local; } rows[] = {
        {{[10] = 0xff, 0xff, 127, 9, 9, 9}, true},   {{[10] = 0xff, 0xff, 10, 1, 2, 3}, true},     {{[10] = 0xff, 0xff, 172, 31, 0, 1}, true},
        {{[10] = 0xff, 0xff, 172, 32, 0, 1}, false}, {{[10] = 0xff, 0xff, 192, 168, 0, 1}, true},  {{[10] = 0xff, 0xff, 169, 254, 0, 1}, true},
        {{[10] = 0xff, 0xff, 100, 64, 0, 1}, true},  {{[10] = 0xff, 0xff, 100, 128, 0, 1}, false},
        {{[10] = 0xff, 0xff, 8, 8, 8, 8}, false},    {{[15] = 1}, true},                           {{0xfd, 1}, true},
        {{0xfe, 0x80, [15] = 9}, true},              {{0xfe, 0xc0, [15] = 9}, false},              {{0x20, 1, 0x0d, 0xb8, [15] = 1}, false}};
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) cr_assert_eq(sl_door_is_local(rows[i].address), rows[i].local, "row %u", i);

    uint8_t a[16], b[16], v6[16] = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 7, 1}, neighbour[16] = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 7, 2};
    sl_door_group(v6, a);
    sl_door_group(neighbour, b);
    cr_assert_eq(memcmp(a, b, 16), 0, "one /64");
    neighbour[7] = 8;
    sl_door_group(neighbour, b);
    cr_assert_neq(memcmp(a, b, 16), 0);
}

Test(door, who_says_nothing_for_five_seconds_has_to_go_once_somebody_listens)
{
    open_door(false);
    struct sl_caller idle = from(203, 0, 113, 7), honest = from(203, 0, 114, 7);
    enter(idle, SECOND);
    enter(honest, SECOND);
    cr_assert_eq(speak(honest.descriptor, 2 * SECOND), SL_CUT_NONE);

    door.open_us = 0;
    cr_assert_eq(sl_door_judge(&door, sl_door_find(&door, idle.descriptor), 500, 0, 100 * SECOND), SL_CUT_NONE, "nobody listens yet");
    door.open_us = 100 * SECOND;
    cr_assert_eq(sl_door_judge(&door, sl_door_find(&door, idle.descriptor), 500, 0, 104 * SECOND), SL_CUT_NONE);
    cr_assert_eq(sl_door_judge(&door, sl_door_find(&door, idle.descriptor), 500, 0, 106 * SECOND), SL_CUT_SILENT);

    cr_assert_null(sl_door_find(&door, idle.descriptor));
    cr_assert_eq(sl_door_judge(&door, sl_door_find(&door, honest.descriptor), 500, 40, 3600ull * SECOND), SL_CUT_NONE, "one who spoke may rest");
}

Test(door, bytes_that_make_no_message_are_a_flood_and_heartbeats_are_not)
{
    open_door(false);
    struct sl_caller caller = from(203, 0, 113, 7);
    enter(caller, 0);
    cr_assert_eq(speak(caller.descriptor, 0), SL_CUT_NONE);

    uint64_t month_s = 30ull * 24 * 3600, heartbeats = month_s / 30 * 82;
    struct sl_caller *entry = sl_door_find(&door, caller.descriptor);
    cr_assert_eq(sl_door_judge(&door, entry, 10000000 + heartbeats, 10000000, month_s * SECOND), SL_CUT_NONE);
    cr_assert_eq(sl_door_judge(&door, entry, 10000000 + (1 << 20), 10000000, SECOND), SL_CUT_NONE);
    cr_assert_eq(sl_door_judge(&door, entry, 10000000 + (1 << 20) + 100, 10000000, SECOND), SL_CUT_FLOOD);
}

Test(door, a_dialled_peer_is_watched_for_floods_only)
{
    open_door(true);
    struct sl_caller dialled = {.outbound = true, .descriptor = 7, .cookie = 1};
    cr_assert_eq(enter(dialled, SECOND), SL_CUT_NONE);

    cr_assert_eq(sl_door_judge(&door, sl_door_find(&door, 7), 500, 0, 100ull * SECOND), SL_CUT_NONE);
    cr_assert(sl_door_is_quiet(&door));
    cr_assert_eq(sl_door_judge(&door, sl_door_find(&door, 7), 2 << 20, 0, 100ull * SECOND), SL_CUT_FLOOD);
}

Test(door, a_storm_from_one_group_leaves_the_others_their_share)
{
    open_door(false);
    uint32_t n_storm = 0, n_honest = 0;
    for (uint32_t ms = 0; ms < 4000; ms++) {
        struct sl_caller caller = from(198, 51, 100, 1);
        if (enter(caller, ms * 1000ull) == SL_CUT_NONE) {
            n_storm++;
            *sl_door_find(&door, caller.descriptor) = (struct sl_caller){0};
        }
        if (ms % 100 == 0) n_honest += enter(from(203, 0, (uint8_t)(ms / 100), 7), ms * 1000ull) == SL_CUT_NONE;
        next_descriptor = 10 + (next_descriptor - 10) % 900;
    }
    cr_assert_leq(n_storm, 32 + 4 * 8 + 1);
    cr_assert_eq(n_honest, 40);
}

Test(door, a_site_of_many_ipv6_networks_storms_as_one)
{
    open_door(false);
    uint32_t n_storm = 0, n_honest = 0;
    for (uint32_t ms = 0; ms < 4000; ms++) {
        struct sl_caller caller = from(0, 0, 0, 0);
        memcpy(caller.address, (uint8_t[16]){0x20, 1, 0xd, 0xb8, 0, 1, (uint8_t)(ms >> 8), (uint8_t)ms, [15] = 1}, 16);
        if (enter(caller, ms * 1000ull) == SL_CUT_NONE) {
            n_storm++;
            *sl_door_find(&door, caller.descriptor) = (struct sl_caller){0};
        }
        if (ms % 100 == 0) n_honest += enter(from(203, 0, (uint8_t)(ms / 100), 7), ms * 1000ull) == SL_CUT_NONE;
        next_descriptor = 10 + (next_descriptor - 10) % 900;
    }
    cr_assert_leq(n_storm, 32 + 4 * 8 + 1);
    cr_assert_eq(n_honest, 40);
}

Test(door, a_storm_from_everywhere_is_slowed_down_as_a_whole)
{
    open_door(false);
    uint32_t n_let_in = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        struct sl_caller caller = from((uint8_t)(11 + i % 200), (uint8_t)(i / 200), 0, 1);
        caller.descriptor = 10;
        if (enter(caller, i * 200ull) != SL_CUT_NONE) continue;
        n_let_in++;
        *sl_door_find(&door, 10) = (struct sl_caller){0};
    }
    cr_assert_geq(n_let_in, 200);
    cr_assert_leq(n_let_in, 200 + 4 * 100 + 1);
}

Test(door, strangers_that_wait_are_bounded_and_the_largest_crowd_makes_room)
{
    open_door(false);
    struct sl_caller lonely = from(203, 0, 113, 7);
    cr_assert_eq(enter(lonely, 0), SL_CUT_NONE);
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert_eq(enter(from((uint8_t)(11 + i / 4), 0, 0, (uint8_t)(i % 4)), SECOND + i), SL_CUT_NONE);
        if (shed.used) cr_assert_neq(shed.descriptor, lonely.descriptor);
    }
    cr_assert_eq(n_inside(), SL_DOOR_SILENT_MAX);
    cr_assert_eq(door.n_cut[SL_CUT_FULL], 101 - SL_DOOR_SILENT_MAX);
    cr_assert_not_null(sl_door_find(&door, lonely.descriptor));
}

Test(door, no_more_may_have_spoken_than_the_node_takes_with_a_few_to_choose_from)
{
    open_door(false);
    uint32_t n = 0;
    for (uint32_t i = 0; i < 30; i++) {
        struct sl_caller caller = from((uint8_t)(11 + i), 0, 0, 1);
        cr_assert_eq(enter(caller, i * SECOND), SL_CUT_NONE);
        n += speak(caller.descriptor, i * SECOND) == SL_CUT_NONE;
    }
    cr_assert_eq(n, INBOUND_MAX + SL_DOOR_SPARE);
    cr_assert_eq(n_inside(), n);
}

Test(door, near_the_last_descriptor_newcomers_and_silent_ones_go)
{
    open_door(false);
    struct sl_caller silent = from(203, 0, 113, 7), spoken = from(203, 0, 114, 7), late = from(203, 0, 115, 7);
    enter(silent, 0);
    enter(spoken, 0);
    speak(spoken.descriptor, 0);
    late.descriptor = 1000;

    cr_assert_eq(enter(late, 1), SL_CUT_FILES);
    cr_assert(shed.used);
    cr_assert_eq(shed.descriptor, silent.descriptor);
    cr_assert_not_null(sl_door_find(&door, spoken.descriptor));
    cr_assert_eq(enter(late, 2), SL_CUT_FILES);
    cr_assert_not(shed.used);
}
