/* SPDX-License-Identifier: MIT */
#ifndef STARLING_EVENT_H
#define STARLING_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "starling/config.h"
#include "starling/trainer.h"

/*
 * All that goes into a node and all that comes out. Pointers in an event live for the step; pointers in actions live
 * until that node's next step (a job's weights: until DONE).
 */

#define SL_NEVER UINT64_MAX

enum { SL_LINK_INBOUND = 0x40000000 };       /* link numbers from here on belong to the driver, those below to the node */

enum sl_event_type {
    SL_EVENT_START,
    SL_EVENT_TICK,
    SL_EVENT_LINK,
    SL_EVENT_MESSAGE,
    SL_EVENT_STORED,
    SL_EVENT_DONE,
    SL_EVENT_CONTROL,
    SL_EVENT_STOP
};

enum sl_link_change { SL_LINK_UP, SL_LINK_DOWN, SL_LINK_REFUSED };

/* BAN and UNBAN concern `peer`; the operator of a node may ban an identity it has never met. LEAVE ends taking part, CHECKPOINT stores state and book now. */
enum sl_control_verb { SL_CONTROL_BAN, SL_CONTROL_UNBAN, SL_CONTROL_LEAVE, SL_CONTROL_CHECKPOINT };

struct sl_event {
    enum sl_event_type type;
    uint64_t now_us;         /* unix time at start plus monotonic time since; never goes back */
    union {
        struct {
            const uint8_t *state, *book;         /* the last durable PUT_STATE and PUT_BOOK, or size 0 */
            const uint8_t *ledger, *release;     /* all APPEND_LEDGERs without a torn tail, and the last durable PUT_RELEASE, or size 0; with
                                                    privacy the driver has checked the chain (src/privacy/ledger.h) */
            size_t state_size, book_size, ledger_size, release_size;
        } start;
        struct {
            uint32_t link;               /* a number from a dial action, or >= SL_LINK_INBOUND for an inbound link */
            enum sl_link_change change;
            uint8_t transport_key[32];   /* proven by the transport (CURVE); valid with UP */
        } link;
        struct { uint32_t link; const uint8_t *data; size_t size; } message;
        struct { uint64_t ticket; int error; } stored;
        struct sl_job_result done;
        struct { enum sl_control_verb verb; uint8_t peer[32]; } control;
    };
};

/* PUT_BOOK: the peers to come back to after a restart. APPEND_LEDGER: 256 bytes. PUT_RELEASE: the output of a private round. */
enum sl_store_type { SL_STORE_APPEND_LEDGER, SL_STORE_PUT_RELEASE, SL_STORE_PUT_STATE, SL_STORE_PUT_BOOK };

/* Stores are carried out in order; each is answered by STORED with its ticket, durable or failed. PUT_* replace atomically. An APPEND_LEDGER that failed leaves
 * the ledger as it was, or else all later ones fail as well: the next record takes the same place in the chain. */
struct sl_store {
    uint64_t ticket;
    enum sl_store_type type;
    const uint8_t *data;
    size_t size;
};

struct sl_dial {
    uint32_t link;                       /* answered by LINK with this number */
    uint8_t transport_key[32];           /* the peer must prove this key */
    char address[SL_PEER_ADDRESS_MAX];
};

struct sl_send {
    uint32_t link;
    const uint8_t *data;                 /* one frame; several sends may share it */
    size_t size;
};

struct sl_actions {
    const struct sl_store *stores;
    const struct sl_dial *dials;
    const struct sl_send *sends;         /* best effort; a full queue drops */
    const uint32_t *hangups;             /* carried out last; the node hears nothing more of these links */
    uint32_t n_stores, n_dials, n_sends, n_hangups;
    struct sl_job job;                   /* job.number 0: none */
    uint64_t deadline_us;                /* TICK the node then; SL_NEVER: not at all */
};

#endif
