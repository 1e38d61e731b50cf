/* SPDX-License-Identifier: MIT */
#ifndef STARLING_STATUS_H
#define STARLING_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "starling/config.h"
#include "starling/trainer.h"

enum { SL_REASON_MAX = 128 };

/* What privacy has cost and may cost. Units and adjacencies by the numbers of src/privacy/budget.h. */
struct sl_privacy_status {
    uint8_t unit, adjacency;             /* unit 0: off, and then all else is zero */
    bool is_spent;                       /* no further round fits: it merges, serves and relays, and learns no more */
    bool is_blocked;                     /* its ledger cannot be trusted or written: no round until that is mended; why: reason */
    double epsilon, epsilon_floor;       /* spent, at delta; floor: against everybody else together (unit node) */
    double eps_max, delta, floor_max;    /* limits in force; floor_max 0: none */
    double audit_factor;                 /* unit node: what the audit multiplies a round's divergence by, 1 without */
    uint64_t rounds_charged, rounds_released, rounds_wasted;       /* ever; wasted: charged, and no aggregate came of it (since START) */
    uint64_t rounds_left;                /* at the current settings */
    uint64_t ledger_records;
    uint64_t sigma2;                     /* of the planned round, per coordinate, where the clip norm is 2^20 */
};

/* One look at a node: for the command line, metrics, tests and the simulator's checker. Counters count since START. */
struct sl_status {
    uint8_t id[32];
    uint64_t epoch;                      /* the current one */
    uint64_t first_epoch;                /* the first one this node may act in */
    uint32_t dim;
    uint64_t epochs_seen;                /* epochs it could have acted in, the current one not counted */
    uint64_t epochs_trained;
    uint64_t epochs_with_aggregate;      /* its own cohort produced one */
    uint64_t epochs_merged;
    uint64_t cohorts_void;               /* a roster, but no aggregate */
    uint64_t aggregates_pulled;
    uint32_t peers_known, peers_live, links_up;
    uint64_t messages_sent, messages_received, bytes_sent, bytes_received;      /* protocol frames */
    uint64_t messages_refused;           /* malformed, unsigned, over budget, out of place */
    uint64_t signature_checks, signatures_made, banned_by_proof;
    double sharing_radius;               /* the current estimate */
    uint32_t peers_banned, links_outbound, links_inbound;
    bool view_covers;                    /* does the view hold the whole network, as far as it knows? */
    uint32_t book_new, book_tried;       /* addresses heard of, and addresses that answered once */
    int64_t clock_off_s;                 /* against clock_peers peers; clock_peers 0: nothing to say */
    uint32_t clock_peers;
    uint64_t last_merge_epoch;
    struct sl_job_result last_job;
    struct sl_privacy_status privacy;
    bool stalled;
    char reason[SL_REASON_MAX];          /* why it is stalled, in words; empty otherwise */
};

enum { SL_PEER_TYPES_MAX = 32 };

enum sl_peer_state { SL_PEER_LINKED, SL_PEER_DIALING, SL_PEER_IDLE, SL_PEER_SUSPECT, SL_PEER_DEAD, SL_PEER_BANNED };

/* One peer as the node sees it. */
struct sl_peer_status {
    uint8_t id[32], transport_public[32];
    char name[SL_NAME_MAX];              /* the peer chose it: clean it before showing it */
    char address[SL_PEER_ADDRESS_MAX];   /* empty: cannot be dialled */
    enum sl_peer_state state;
    bool outbound;                       /* of the link; meaningless without one */
    uint64_t heard_us;                   /* last message, 0 never */
    uint64_t linked_us;                  /* since when the link is up, 0 without one */
    uint64_t epoch;                      /* highest epoch in one of its messages, 0 none */
    uint32_t rtt_us;                     /* smoothed, 0 unknown */
    uint64_t bytes_sent, bytes_received; /* of all its links since START */
    uint32_t refused;                    /* messages refused */
    uint64_t expires_s;                  /* of its certificate; 0 unknown */
    uint64_t type_bytes_sent[SL_PEER_TYPES_MAX], type_bytes_received[SL_PEER_TYPES_MAX];     /* by message number; of the live link only */
};

const char *sl_peer_state_name(enum sl_peer_state state);        /* "linked" */

#endif
