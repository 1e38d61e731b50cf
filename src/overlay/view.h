/* SPDX-License-Identifier: MIT */
#ifndef SL_OVERLAY_VIEW_H
#define SL_OVERLAY_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/rng.h"
#include "overlay/descriptor.h"
#include "starling/arena.h"
#include "starling/config.h"

/*
 * The peer view: a bounded table of identities this node knows, and the ring on which cohorts are formed. Not a failure detector of its own: the core
 * tells it whom it heard and whom it missed. Peers may be added at any time; they leave only in sl_view_sweep(), so pointers hold between two of those.
 */
/* Token bucket: how many messages a peer may still send us. */
struct sl_view_quota { uint64_t filled_us; uint32_t used; };

/* What a peer told us unasked in a round of ours. */
struct sl_view_pushes { uint64_t round; uint32_t n; };

struct sl_view_peer {
    uint8_t id[32], sign_public[32], transport_public[32];
    uint8_t certificate_hash[32];        /* of the certificate that was accepted */
    char address[SL_ADDRESS_MAX];
    uint64_t heard_us;                   /* last time a message came; 0 never */
    uint64_t position;                   /* on the ring of the current epoch */
    uint32_t misses;                     /* unanswered dials or requests in a row */
    struct sl_view_quota quota;
    struct sl_view_pushes pushes;
    int32_t clock_off_ms;                /* its clock against ours, from HELLO */
    bool clock_known, banned;
    bool prepared;                       /* on the operator's list: stays */
    bool proven;                         /* its transport key is its own: it said HELLO over it, or the list says so */
    bool leaving;                        /* marked: gone with the next sweep, and no peer until then */
    char name[SL_NAME_MAX];
    uint64_t sequence, until_s;          /* of its newest ADVERT; 0 none */
    uint64_t expires_s;                  /* of its certificate; 0 unknown */
    uint8_t host_id[32];                 /* the member that invited it; zeros: the operator did */
    uint64_t asked_us;                   /* last VIEW_PULL to it */
    uint64_t epoch;                      /* highest epoch in one of its messages */
    uint32_t rtt_us;                     /* smoothed; 0 unknown */
    uint32_t refused;                    /* messages */
    uint64_t bytes_sent, bytes_received;
};

struct sl_view {
    struct sl_view_peer *peers;
    uint32_t n_peers, n_peers_max;
    uint32_t *by_id, *by_key;            /* open addressing: index + 1, 0 empty */
    uint32_t n_slots;
    uint32_t *ring;                      /* indices of live peers by position; UINT32_MAX stands for this node */
    uint64_t *ring_positions;            /* the same order */
    uint32_t n_ring, own_place;          /* own_place: where this node stands in ring */
    struct sl_hash ring_hash;            /* of label, network and epoch: positions continue from it */
    bool overflowed;                     /* somebody did not fit: the view does not cover the network */
};

#define SL_VIEW_SELF UINT32_MAX

enum { SL_VIEW_MISSES_DEAD = 3 };

/* Carves the tables; false when the arena is too small. */
bool sl_view_init(struct sl_view *view, struct sl_arena *arena, uint32_t n_peers_max);

/* Adds an identity of the operator's list; one that is here already stays as it is. NULL when the view is full or somebody else has this transport key. */
struct sl_view_peer *sl_view_add(struct sl_view *view, const struct sl_peer *peer);

/* Adds an identity that was heard of, or takes what is new of one that is here (a higher sequence; another transport key only while the old one is not
 * proven, or leads to nobody). NULL
 * when the view is full (then it is `overflowed`) or somebody else has this transport key (then it is not). */
struct sl_view_peer *sl_view_learn(struct sl_view *view, const struct sl_descriptor *descriptor);

/* The same for an identity that has proven its transport key over a connection. A rival that only claimed the key is marked as leaving; NULL when the rival
 * has proven it, too. */
struct sl_view_peer *sl_view_prove(struct sl_view *view, const struct sl_descriptor *descriptor);

struct sl_descriptor sl_view_descriptor(const struct sl_view_peer *peer);

/* Removes the leaving. Returns their number. The ring must be laid anew before it is used again. */
uint32_t sl_view_sweep(struct sl_view *view);

struct sl_view_peer *sl_view_find(const struct sl_view *view, const uint8_t id[32]);
struct sl_view_peer *sl_view_find_key(const struct sl_view *view, const uint8_t transport_public[32]);

/* Neither banned nor leaving, fewer than SL_VIEW_MISSES_DEAD misses in a row; and either it has said HELLO, or it can be dialled: a mere word is nobody. */
bool sl_view_is_live(const struct sl_view_peer *peer);
uint32_t sl_view_count_live(const struct sl_view *view);

/* Lays the ring of an epoch: position = H("pos", network, epoch, id), live peers and this node in order. */
void sl_view_turn(struct sl_view *view, const uint8_t network_id[32], uint64_t epoch, const uint8_t own_id[32]);

/* Position of any identity in any epoch. */
uint64_t sl_ring_position(const uint8_t network_id[32], uint64_t epoch, const uint8_t id[32]);

/* The same in the epoch of the last turn. */
uint64_t sl_view_position(const struct sl_view *view, const uint8_t id[32]);

/* Places from this node to an identity, known or not, on the ring of the live, the shorter way round. */
uint32_t sl_view_ring_distance(const struct sl_view *view, const uint8_t id[32]);

/* The peer at `offset` places from this node on the ring (negative: before); NULL when that is this node itself. */
struct sl_view_peer *sl_view_ring_peer(const struct sl_view *view, int offset);

/* A peer with enough misses to count as dead that can be dialled, at random, to see whether it is back; NULL if there is none. */
struct sl_view_peer *sl_view_draw_dead(const struct sl_view *view, struct sl_rng *rng);

/* A live peer, uniformly at random, that is not among the n excluded ids; NULL if there is none. */
struct sl_view_peer *sl_view_draw(const struct sl_view *view, struct sl_rng *rng, const uint8_t (*excluded)[32], uint32_t n_excluded);

#endif
