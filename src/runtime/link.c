/* SPDX-License-Identifier: MIT */
#include "runtime/link_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "runtime/files.h"
#include "runtime/zap.h"
#include "starling/error.h"

#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93                /* libzmq 4.3 knows it, but its header hides it among the drafts */
#endif

enum {
    RECEIVE_QUEUE = 4, SEND_QUEUE = 8,           /* messages per connection: with SL_MESSAGE_MAX this bounds a peer's memory */
    HANDSHAKE_MS = 3000,                         /* memory before authentication is SL_MESSAGE_MAX times the half-open connections of this time */
    CONNECT_MS = 5000,
    DIAL_US = (CONNECT_MS + HANDSHAKE_MS + 1000) * 1000,
    HEARTBEAT_MS = 30000, HEARTBEAT_TIMEOUT_MS = 75000,
    RETRANSMIT_MS = 60000,
    BUFFER_SIZE = 131072,
    BACKLOG = 64,
    BYTES_PER_S_MIN = 256 * 1024,
    SMALL_PER_EPOCH = 65536,                     /* bytes, on top: 128 messages that carry no vector */
    VECTORS_SPARE = 4,                           /* times the vectors of an epoch: those asked for again, and chunks' envelopes */
    BURST_MIN = 4 * 1024 * 1024,
    FILL_MAX_MS = 3600000,                       /* longer rests fill no more */
    CHARGE_MIN = 512                             /* bytes: a small message costs us no less than this */
};

void sl_links_note(struct sl_links *links, uint32_t link, const char *text)
{
    if (links->sink.on_note) links->sink.on_note(links->sink.context, link, text);
}

bool sl_links_set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

bool sl_links_bound(void *socket)
{
    int64_t message_max = SL_MESSAGE_MAX;
    static const int options[][2] = {
        {ZMQ_LINGER, 0}, {ZMQ_RCVHWM, RECEIVE_QUEUE}, {ZMQ_SNDHWM, SEND_QUEUE}, {ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS},
        {ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS}, {ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS}, {ZMQ_HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS},
        {ZMQ_SNDBUF, BUFFER_SIZE}, {ZMQ_RCVBUF, BUFFER_SIZE}, {ZMQ_IPV6, 1}, {ZMQ_TCP_KEEPALIVE, 1}, {ZMQ_TCP_MAXRT, RETRANSMIT_MS},
        {ZMQ_RECONNECT_IVL, -1}, {ZMQ_CONNECT_TIMEOUT, CONNECT_MS}};
    for (uint32_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (!sl_links_set(socket, options[i][0], options[i][1])) return false;
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max) == 0;
}

static bool set_router(const struct sl_links *links)
{
    void *socket = links->router;
    return sl_links_bound(socket) && sl_links_set(socket, ZMQ_ROUTER_MANDATORY, 1) && sl_links_set(socket, ZMQ_ROUTER_HANDOVER, 0) &&
           sl_links_set(socket, ZMQ_BACKLOG, BACKLOG) && sl_links_set(socket, ZMQ_CURVE_SERVER, 1) &&
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, links->setup.transport_secret, 32) == 0 &&
           zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, SL_ZAP_DOMAIN, strlen(SL_ZAP_DOMAIN)) == 0 && sl_links_set(socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
}

static int bind_router(struct sl_links *links, char *why, size_t why_size)
{
    const char *listen = links->setup.listen;
    if (!sl_address_is_numeric(listen))
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, why_size, "node.listen is \"%s\": it must be a numeric address and a port, like 127.0.0.1:7400", listen);

    char endpoint[SL_PEER_ADDRESS_MAX + 8];
    snprintf(endpoint, sizeof endpoint, "tcp://%s", listen);
    if (zmq_bind(links->router, endpoint) == 0) return SL_OK;

    if (errno == EADDRINUSE)
        return SL_FAIL(SL_ERROR_EXISTS, why, why_size,
                       "%s is taken by another program; stop that, or choose another port with node.listen", listen);
    return SL_FAIL(SL_ERROR_IO, why, why_size, "cannot listen at %s (%s); node.listen must be an address of this machine", listen, zmq_strerror(errno));
}

/* ---- budgets ---- */

struct sl_links_budget sl_links_budget_of(const struct sl_config *config, uint32_t dim)
{
    uint64_t n = config->block_size != 0 && config->block_size < dim ? config->block_size : dim;
    uint64_t n_vectors = (uint64_t)VECTORS_SPARE * (config->cohort_max_size + config->merge_pulls);
    uint64_t per_epoch = n_vectors * (n * sizeof(uint32_t) + SL_MESSAGE_MAX - SL_CHUNK_ELEMENTS * sizeof(uint32_t)) + SMALL_PER_EPOCH;
    return (struct sl_links_budget){.bytes_per_s = BYTES_PER_S_MIN + per_epoch * 1000 / (config->epoch_us / 1000), .burst = BURST_MIN + per_epoch};
}

static struct sl_links_budget at_least_the_floor(struct sl_links_budget budget)
{
    if (budget.bytes_per_s < BYTES_PER_S_MIN) budget.bytes_per_s = BYTES_PER_S_MIN;
    if (budget.burst < BURST_MIN) budget.burst = BURST_MIN;
    return budget;
}

void sl_links_fill(const struct sl_links *links, struct sl_budget *budget, uint64_t now_us)
{
    *budget = (struct sl_budget){.left = links->setup.budget.burst, .filled_us = now_us};
}

bool sl_links_charge(const struct sl_links *links, struct sl_budget *budget, size_t size, uint64_t now_us)
{
    uint64_t since_ms = now_us > budget->filled_us ? (now_us - budget->filled_us) / 1000 : 0, most = links->setup.budget.burst;
    uint64_t gained = (since_ms < FILL_MAX_MS ? since_ms : FILL_MAX_MS) * links->setup.budget.bytes_per_s / 1000;
    budget->left = gained < most - budget->left ? budget->left + gained : most;
    budget->filled_us += since_ms * 1000;                /* the fraction is kept for next time */

    uint64_t cost = size > CHARGE_MIN ? size : CHARGE_MIN;
    if (budget->left < cost) return false;
    budget->left -= cost;
    return true;
}

/* ---- opening, turning, closing ---- */

static int open_router(struct sl_links *links, char *why, size_t why_size)
{
    const struct sl_links_setup *setup = &links->setup;
    links->router = zmq_socket(setup->context, ZMQ_ROUTER);
    if (!links->router || !set_router(links))
        return SL_FAIL(SL_ERROR_IO, why, why_size, "ZeroMQ gives no socket (%s); libzmq must be built with CURVE", zmq_strerror(errno));

    uint32_t inbound_max = setup->inbound_max ? setup->inbound_max : setup->link_max;
    int error = sl_guard_new(setup->context, links->router, inbound_max, links->n_max, setup->caps_local, &links->guard);
    if (error == SL_ERROR_UNSUPPORTED)
        return SL_FAIL(error, why, why_size, "this kernel does not tell connections apart (SO_COOKIE, TCP_INFO); Linux 4.12 or later does");
    if (error != SL_OK) return SL_FAIL(error, why, why_size, "the guard of the connections does not start (%s)", zmq_strerror(errno));
    return bind_router(links, why, why_size);
}

int sl_links_new(const struct sl_links_setup *setup, const struct sl_links_sink *sink, struct sl_links **out, char *why, size_t why_size)
{
    struct sl_links *links = calloc(1, sizeof *links);
    if (!links) return SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory for the connections");

    links->setup = *setup;
    links->setup.budget = at_least_the_floor(setup->budget);
    links->sink = *sink;
    links->router_was_used = true;
    links->n_max = setup->link_max + setup->link_max / 2 + 64;       /* more than the node keeps: links it does not know of yet, or that are bad */
    links->inbound = calloc(links->n_max, sizeof *links->inbound);
    links->outbound = calloc(links->n_max, sizeof *links->outbound);

    int error = SL_OK;
    if (!links->inbound || !links->outbound) error = SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory for the connections");
    else error = open_router(links, why, why_size);

    if (error != SL_OK) sl_links_destroy(&links);
    else *out = links;
    return error;
}

uint32_t sl_links_items_max(const struct sl_links *links)
{
    return 1 + 2 * links->n_max;
}

/* What sl_poll() is told of a socket. */
static short look(bool anyway)
{
    return anyway ? ZMQ_POLLIN : 0;
}

uint32_t sl_links_items(struct sl_links *links, zmq_pollitem_t *items)
{
    uint32_t n = 0;
    items[n++] = (zmq_pollitem_t){.socket = links->router, .events = ZMQ_POLLIN, .revents = look(links->router_was_used)};
    links->router_was_used = false;
    for (uint32_t i = 0; i < links->n_max; i++) {
        struct sl_outbound *link = &links->outbound[i];
        if (!link->used || !link->socket || !link->monitor) continue;
        items[n++] = (zmq_pollitem_t){.socket = link->socket, .events = ZMQ_POLLIN, .revents = look(link->was_sent_to || link->readable)};
        items[n++] = (zmq_pollitem_t){.socket = link->monitor, .events = ZMQ_POLLIN, .revents = look(link->is_new || link->reported)};
        link->was_sent_to = link->is_new = false;
    }
    return n;
}

void sl_links_turn(struct sl_links *links, const zmq_pollitem_t *items, uint32_t n_items, uint64_t now_us)
{
    sl_guard_begin(links->guard);
    links->router_readable = n_items > 0 && items[0].revents != 0;
    links->router_was_used = links->router_was_used || links->router_readable;
    sl_outbound_turn(links, items, n_items, now_us);
    sl_inbound_turn(links, now_us);
}

uint64_t sl_links_deadline(const struct sl_links *links)
{
    uint64_t deadline_us = SL_NEVER;
    for (uint32_t i = 0; i < links->n_max; i++) {
        if (links->inbound[i].used && links->inbound[i].lost) return 0;
        const struct sl_outbound *link = &links->outbound[i];
        uint64_t due_us = link->lost ? (link->up ? 0 : link->begun_us + SL_DIAL_ANSWER_US) : link->give_up_us;
        if (link->used && due_us < deadline_us) deadline_us = due_us;
    }
    return deadline_us;
}

void sl_links_dial(struct sl_links *links, const struct sl_dial *dial, uint64_t now_us)
{
    assert(dial->link < SL_LINK_INBOUND);

    struct sl_outbound *link = NULL;
    for (uint32_t i = 0; i < links->n_max && !link; i++)
        if (!links->outbound[i].used) link = &links->outbound[i];
    assert(link);                                    /* the node keeps at most link.max connections */

    *link = (struct sl_outbound){.used = true, .is_new = true, .was_sent_to = true, .number = dial->link, .descriptor = -1, .begun_us = now_us,
                                 .give_up_us = now_us + DIAL_US};
    memcpy(link->key, dial->transport_key, 32);
    sl_links_fill(links, &link->budget, now_us);
    link->lost = !sl_outbound_begin(links, link, dial);
}

void sl_links_send(struct sl_links *links, uint32_t number, const void *data, size_t size)
{
    if (number < SL_LINK_INBOUND) sl_outbound_send(links, number, data, size);
    else sl_inbound_send(links, number, data, size);
}

void sl_links_hangup(struct sl_links *links, uint32_t number)
{
    if (number < SL_LINK_INBOUND) sl_outbound_hangup(links, number);
    else sl_inbound_hangup(links, number);
}

uint64_t sl_links_dropped(const struct sl_links *links)
{
    return links->n_dropped;
}

void sl_links_guard(const struct sl_links *links, struct sl_guard_counts *out)
{
    sl_guard_read(links->guard, out);
}

void sl_links_destroy(struct sl_links **self)
{
    struct sl_links *links = *self;
    if (!links) return;

    sl_guard_destroy(&links->guard);
    for (uint32_t i = 0; links->outbound && i < links->n_max; i++) sl_outbound_close(&links->outbound[i]);
    if (links->router) zmq_close(links->router);
    free(links->outbound);
    free(links->inbound);
    free(links);
    *self = NULL;
}
