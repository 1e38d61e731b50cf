/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_LINK_H
#define SL_RUNTIME_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "runtime/guard.h"
#include "starling/config.h"
#include "starling/event.h"

/*
 * A node's connections: one bound ROUTER that all peers dial (CURVE server; zap.h says whose key may, guard.h cuts what harms), and one DEALER for each
 * peer this node dialled. A message is one frame; a peer that sends more than one, more bytes than its budget, or a routing id of its own is cut off.
 *
 * An inbound link begins with the first frame of a new routing id; it ends when its TCP connection is gone, when a send cannot be delivered, after a long
 * silence, or when the table is full and it was silent longest. An outbound link is up when its CURVE handshake succeeded, as the socket's monitor tells;
 * ZeroMQ never dials again by itself: every dial is answered once, by UP or REFUSED.
 */
struct sl_links;

/* What one link may send us: a token bucket of bytes. Never less than 256 KiB/s and 4 MiB at once. */
struct sl_links_budget {
    uint64_t bytes_per_s, burst;
};

struct sl_links_setup {
    void *context;                       /* of ZeroMQ */
    const char *listen;                  /* "127.0.0.1:7400" */
    const uint8_t *transport_public, *transport_secret;      /* 32 bytes each */
    uint32_t link_max;
    uint32_t inbound_max;                /* connections of others; 0: link_max */
    bool caps_local;                     /* peers at loopback and private addresses are capped per address like all others */
    struct sl_links_budget budget;       /* zeros: the floor */
    uint64_t silence_max_us;             /* an inbound link is given up after this long without a frame */
};

/* Where events go. The first two may call back into sl_links_dial(), _send() and _hangup(). */
struct sl_links_sink {
    void *context;
    void (*on_change)(void *context, uint32_t link, enum sl_link_change change, const uint8_t transport_key[32]);
    void (*on_message)(void *context, uint32_t link, const uint8_t *data, size_t size);
    void (*on_note)(void *context, uint32_t link, const char *text);     /* why a link ended or was refused, for the log; may be NULL */
};

/* For this network: far more than the protocol asks for, with vectors of `dim` coordinates or of a block. */
struct sl_links_budget sl_links_budget_of(const struct sl_config *config, uint32_t dim);

/* Binds. SL_ERROR_EXISTS (the port is taken), SL_ERROR_BAD_ARGUMENT (address), SL_ERROR_NO_MEMORY, SL_ERROR_IO, with a sentence in `why`. */
int sl_links_new(const struct sl_links_setup *setup, const struct sl_links_sink *sink, struct sl_links **out, char *why, size_t why_size);

/* How many poll items the links need at most; fills them in, with revents as sl_poll() wants them, and returns how many. */
uint32_t sl_links_items_max(const struct sl_links *links);
uint32_t sl_links_items(struct sl_links *links, zmq_pollitem_t *items);

/* After polling those items: reports changes and a bounded number of messages and bytes. */
void sl_links_turn(struct sl_links *links, const zmq_pollitem_t *items, uint32_t n_items, uint64_t now_us);

/* When the next dial runs out of time; SL_NEVER. */
uint64_t sl_links_deadline(const struct sl_links *links);

/* Begins to connect; answered by on_change in a later turn. */
void sl_links_dial(struct sl_links *links, const struct sl_dial *dial, uint64_t now_us);

/* Best effort, never blocks: a full queue or a link that is not there drops. */
void sl_links_send(struct sl_links *links, uint32_t link, const void *data, size_t size);

/* Nothing more is heard of this link; its TCP connection ends now. */
void sl_links_hangup(struct sl_links *links, uint32_t link);

uint64_t sl_links_dropped(const struct sl_links *links);         /* sends that found a full queue */

/* Counts since the start: connections that others made, and those that were cut, by cause. */
void sl_links_guard(const struct sl_links *links, struct sl_guard_counts *out);

void sl_links_destroy(struct sl_links **links);

#endif
