/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_DOOR_H
#define SL_RUNTIME_DOOR_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The rules of the guard, without sockets, threads or clock: how many connections may be open, from where, how fast new ones may come, how long one may be
 * silent and how far the bytes it sent may run ahead of the messages that arrived. The guard asks; what it is told to cut is forgotten here at once.
 */

enum sl_cut {
    SL_CUT_NONE,
    SL_CUT_RATE,                 /* new connections come too fast, from everywhere or from this group of addresses */
    SL_CUT_FILES,                /* few descriptors are left */
    SL_CUT_CROWD,                /* too many from one address or one group of addresses */
    SL_CUT_FULL,                 /* too many altogether */
    SL_CUT_SILENT,               /* no message in time: the handshake was not finished, or nobody said HELLO after it */
    SL_CUT_FLOOD,                /* bytes without end that make no message */
    SL_CUT_COUNT
};

struct sl_door_limits {
    uint32_t inbound_max;        /* connections that have spoken */
    uint32_t callers_max;        /* size of the table: all connections, also outbound ones */
    int descriptor_max;          /* one accepted with this number or a higher one is not kept */
    bool caps_local;             /* loopback and private addresses are counted like all others */
};

/* A connection. Its descriptor belongs to libzmq and may be closed and given to another at any moment; the kernel's cookie says which one is meant. */
struct sl_caller {
    bool used, outbound, heard;              /* heard: a message of it arrived */
    int descriptor;
    uint64_t cookie, since_us;
    uint8_t address[16];                     /* IPv4 as ::ffff:a.b.c.d */
    uint64_t received_0, accounted_0;        /* the counters when it came in */
    uint64_t received;                       /* bytes, when last looked at */
    bool watched;                            /* the kernel wakes the guard at the next byte */
};

struct sl_door_bucket {
    uint8_t group[16];
    uint64_t filled_us;
    double tokens;
};

enum {
    SL_DOOR_SILENT_MAX = 64,                 /* times SL_MESSAGE_MAX: the memory that strangers can take before they are known */
    SL_DOOR_SPARE = 8,                       /* more may have spoken than inbound_max: the node chooses who goes */
    SL_DOOR_GROUPS = 128                     /* groups of addresses whose rate is remembered; above that, the longest quiet is forgotten */
};

struct sl_door {
    struct sl_door_limits limits;
    struct sl_caller *callers;               /* callers_max */
    struct sl_door_bucket all, groups[SL_DOOR_GROUPS];
    uint64_t open_us;                        /* since when silence counts: nobody reads messages before; 0 not yet */
    uint64_t n_accepted, n_cut[SL_CUT_COUNT];        /* the guard counts the first */
};

/* `callers`: limits->callers_max entries that live as long as the door. */
void sl_door_init(struct sl_door *door, const struct sl_door_limits *limits, struct sl_caller *callers);

/* A new connection. SL_CUT_NONE: it is in the table. `shed` (used if there is one) had to make room and is no longer in it. */
enum sl_cut sl_door_enter(struct sl_door *door, const struct sl_caller *caller, uint64_t now_us, struct sl_caller *shed);

/* NULL when the door does not know it. */
struct sl_caller *sl_door_find(struct sl_door *door, int descriptor);

/* Looks at one connection: bytes it sent by the kernel's count, bytes of the messages that arrived of it. Cut: it is no longer in the table. */
enum sl_cut sl_door_judge(struct sl_door *door, struct sl_caller *caller, uint64_t received, uint64_t accounted, uint64_t now_us);

/* Near the end of the descriptors: gives up one that has not spoken. False when there is none. */
bool sl_door_shed(struct sl_door *door, struct sl_caller *out);

/* Has nobody, or only connections that need no looking after by the clock. */
bool sl_door_is_quiet(const struct sl_door *door);

/* IPv4 by /24, IPv6 by /64. */
void sl_door_group(const uint8_t address[16], uint8_t out[16]);
bool sl_door_is_local(const uint8_t address[16]);

const char *sl_cut_name(enum sl_cut cut);    /* "flood" */

#endif
