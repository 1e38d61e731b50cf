/* SPDX-License-Identifier: MIT */
#include "runtime/door.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/limits.h"
#include "overlay/descriptor.h"

enum {
    PER_ADDRESS = 2, PER_GROUP = 4,          /* that have spoken; twice that with those that have not: a peer that restarts leaves an old one behind */
    SILENT_US = 5000000,                     /* the handshake's 3 s, and 2 s for the HELLO that an honest peer sends at once */
    ALL_PER_S = 100, ALL_BURST = 200,        /* a handshake takes .6 ms of a core: at most a fifteenth of it goes to strangers */
    GROUP_PER_S = 8, GROUP_BURST = 32,
    SITE_SIZE = 6,                           /* bytes of an IPv6 address that a site has in common: /48 */
    RUN_AHEAD = 1 << 20,                     /* bytes on their way: the kernel's buffers and a full queue of the largest messages are 640 KiB */
    RUN_AHEAD_PER_S = 8                      /* heartbeats make no message: 82 bytes in 30 s */
};

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(const uint8_t address[16])
{
    return memcmp(address, mapped, sizeof mapped) == 0;
}

void sl_door_group(const uint8_t address[16], uint8_t out[16])
{
    memset(out, 0, 16);
    memcpy(out, address, is_v4(address) ? 15 : 8);
}

bool sl_door_is_local(const uint8_t address[16])
{
    struct sl_address plain = {0};
    memcpy(plain.ip, address, sizeof plain.ip);
    return sl_address_is_local(&plain);
}

const char *sl_cut_name(enum sl_cut cut)
{
    static const char *const names[SL_CUT_COUNT] = {"none", "rate", "files", "crowd", "full", "silent", "flood"};
    assert(cut < SL_CUT_COUNT);
    return names[cut];
}

void sl_door_init(struct sl_door *door, const struct sl_door_limits *limits, struct sl_caller *callers)
{
    *door = (struct sl_door){.limits = *limits, .callers = callers, .all = {.tokens = ALL_BURST}};
    for (uint32_t i = 0; i < limits->callers_max; i++) callers[i] = (struct sl_caller){0};
}

struct sl_caller *sl_door_find(struct sl_door *door, int descriptor)
{
    for (uint32_t i = 0; i < door->limits.callers_max; i++)
        if (door->callers[i].used && door->callers[i].descriptor == descriptor) return &door->callers[i];
    return NULL;
}

static bool same_group(const uint8_t a[16], const uint8_t b[16])
{
    return is_v4(a) == is_v4(b) && memcmp(a, b, is_v4(a) ? 15 : 8) == 0;
}

/* ---- rates ---- */

static void fill(struct sl_door_bucket *bucket, uint32_t per_s, uint32_t burst, uint64_t now_us)
{
    if (now_us > bucket->filled_us) bucket->tokens += (double)(now_us - bucket->filled_us) * per_s / 1e6;
    if (bucket->tokens > burst) bucket->tokens = burst;
    bucket->filled_us = now_us;
}

/* Whoever has one IPv6 network of a site has 65,536 of the groups that caps count by: rates count by the site. */
static void rate_group(const uint8_t address[16], uint8_t out[16])
{
    sl_door_group(address, out);
    if (!is_v4(address)) memset(out + SITE_SIZE, 0, 16 - SITE_SIZE);
}

static struct sl_door_bucket *bucket_of(struct sl_door *door, const uint8_t address[16], uint64_t now_us)
{
    struct sl_door_bucket *oldest = &door->groups[0];
    uint8_t group[16];
    rate_group(address, group);
    for (uint32_t i = 0; i < SL_DOOR_GROUPS; i++) {
        struct sl_door_bucket *bucket = &door->groups[i];
        if (memcmp(bucket->group, group, sizeof group) == 0) return bucket;
        if (bucket->filled_us < oldest->filled_us) oldest = bucket;
    }
    *oldest = (struct sl_door_bucket){.tokens = GROUP_BURST, .filled_us = now_us};
    memcpy(oldest->group, group, sizeof group);
    return oldest;
}

/* The group pays first, so that one that storms leaves the others their share of the whole. */
static bool comes_too_fast(struct sl_door *door, const struct sl_caller *caller, bool group_is_free, uint64_t now_us)
{
    if (!group_is_free) {
        struct sl_door_bucket *group = bucket_of(door, caller->address, now_us);
        fill(group, GROUP_PER_S, GROUP_BURST, now_us);
        if (group->tokens < 1) return true;
        group->tokens -= 1;
    }
    fill(&door->all, ALL_PER_S, ALL_BURST, now_us);
    if (door->all.tokens < 1) return true;
    door->all.tokens -= 1;
    return false;
}

/* ---- caps ---- */

struct census {
    uint32_t n_inbound, n_silent, n_heard;
    uint32_t n_address, n_group;                     /* inbound ones from there */
    uint32_t n_address_heard, n_group_heard;
};

static struct census count(const struct sl_door *door, const uint8_t address[16])
{
    struct census census = {0};
    for (uint32_t i = 0; i < door->limits.callers_max; i++) {
        const struct sl_caller *other = &door->callers[i];
        if (!other->used || other->outbound) continue;
        bool neighbour = same_group(other->address, address), same = memcmp(other->address, address, 16) == 0;
        census.n_inbound++;
        census.n_silent += !other->heard;
        census.n_heard += other->heard;
        census.n_address += same;
        census.n_group += neighbour;
        census.n_address_heard += same && other->heard;
        census.n_group_heard += neighbour && other->heard;
    }
    return census;
}

static bool is_exempt(const struct sl_door *door, const uint8_t address[16])
{
    return !door->limits.caps_local && sl_door_is_local(address);
}

static struct sl_caller *free_entry(struct sl_door *door)
{
    for (uint32_t i = 0; i < door->limits.callers_max; i++)
        if (!door->callers[i].used) return &door->callers[i];
    return NULL;
}

static bool is_silent(const struct sl_caller *caller)
{
    return caller->used && !caller->outbound && !caller->heard;
}

/* Of those that have not spoken: one of the group that has most of them, and of these the oldest, which had the most time to speak. */
static struct sl_caller *most_expendable(struct sl_door *door)
{
    struct sl_caller *worst = NULL;
    uint32_t worst_n = 0;
    for (uint32_t i = 0; i < door->limits.callers_max; i++) {
        struct sl_caller *caller = &door->callers[i];
        if (!is_silent(caller)) continue;
        uint32_t n = 0;
        for (uint32_t j = 0; j < door->limits.callers_max; j++)
            n += is_silent(&door->callers[j]) && same_group(door->callers[j].address, caller->address);
        if (!worst || n > worst_n || (n == worst_n && caller->since_us < worst->since_us)) worst = caller, worst_n = n;
    }
    return worst;
}

bool sl_door_shed(struct sl_door *door, struct sl_caller *out)
{
    struct sl_caller *worst = most_expendable(door);
    if (!worst) return false;

    *out = *worst;
    *worst = (struct sl_caller){0};
    return true;
}

static enum sl_cut decide(struct sl_door *door, const struct sl_caller *caller, uint64_t now_us, struct sl_caller *shed)
{
    if (caller->outbound) return free_entry(door) ? SL_CUT_NONE : SL_CUT_FULL;

    bool exempt = is_exempt(door, caller->address);
    if (caller->descriptor >= door->limits.descriptor_max) {
        if (sl_door_shed(door, shed)) door->n_cut[SL_CUT_FILES]++;
        return SL_CUT_FILES;
    }
    if (comes_too_fast(door, caller, exempt, now_us)) return SL_CUT_RATE;

    struct census census = count(door, caller->address);
    if (!exempt && (census.n_address >= 2 * PER_ADDRESS || census.n_group >= 2 * PER_GROUP)) return SL_CUT_CROWD;
    if (census.n_silent >= SL_DOOR_SILENT_MAX && sl_door_shed(door, shed)) door->n_cut[SL_CUT_FULL]++;
    return free_entry(door) ? SL_CUT_NONE : SL_CUT_FULL;
}

enum sl_cut sl_door_enter(struct sl_door *door, const struct sl_caller *caller, uint64_t now_us, struct sl_caller *shed)
{
    *shed = (struct sl_caller){0};
    enum sl_cut cut = decide(door, caller, now_us, shed);
    door->n_cut[cut]++;
    if (cut != SL_CUT_NONE) return cut;

    struct sl_caller *entry = free_entry(door);
    *entry = *caller;
    entry->used = true;
    entry->heard = caller->outbound;                 /* the node chose to dial it, and gives it up itself */
    entry->since_us = now_us;
    return SL_CUT_NONE;
}

static bool is_flood(const struct sl_caller *caller, uint64_t received, uint64_t accounted, uint64_t now_us)
{
    uint64_t sent = received - caller->received_0, arrived = accounted - caller->accounted_0;
    uint64_t age_s = now_us > caller->since_us ? (now_us - caller->since_us) / 1000000 : 0;
    return sent > arrived && sent - arrived > RUN_AHEAD + age_s * RUN_AHEAD_PER_S;
}

static bool is_overdue(const struct sl_door *door, const struct sl_caller *caller, uint64_t now_us)
{
    if (caller->heard || caller->outbound || door->open_us == 0) return false;
    uint64_t since_us = caller->since_us > door->open_us ? caller->since_us : door->open_us;
    return now_us > since_us + SILENT_US;
}

/* Its first message: now it counts among those that have spoken, if there is room for one more. */
static enum sl_cut admit(struct sl_door *door, struct sl_caller *caller)
{
    struct census census = count(door, caller->address);
    if (census.n_heard >= door->limits.inbound_max + SL_DOOR_SPARE) return SL_CUT_FULL;
    bool is_crowd = census.n_address_heard >= PER_ADDRESS || census.n_group_heard >= PER_GROUP;
    if (is_crowd && !is_exempt(door, caller->address)) return SL_CUT_CROWD;

    caller->heard = true;
    return SL_CUT_NONE;
}

enum sl_cut sl_door_judge(struct sl_door *door, struct sl_caller *caller, uint64_t received, uint64_t accounted, uint64_t now_us)
{
    enum sl_cut cut = SL_CUT_NONE;
    if (is_flood(caller, received, accounted, now_us)) cut = SL_CUT_FLOOD;
    else if (!caller->heard && accounted != caller->accounted_0) cut = admit(door, caller);
    else if (is_overdue(door, caller, now_us)) cut = SL_CUT_SILENT;

    caller->received = received;
    if (cut != SL_CUT_NONE) {
        *caller = (struct sl_caller){0};
        door->n_cut[cut]++;
    }
    return cut;
}

bool sl_door_is_quiet(const struct sl_door *door)
{
    for (uint32_t i = 0; i < door->limits.callers_max; i++)
        if (is_silent(&door->callers[i])) return false;
    return true;
}
