/* SPDX-License-Identifier: MIT */
#include "runtime/link.h"

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
    ROUTE_SIZE = 5,                              /* routing ids that libzmq makes up; a peer that brings its own is not heard */
    INBOUND_PER_TURN = 64, OUTBOUND_PER_TURN = 8,    /* messages: a flood must not keep the clock and the other peers waiting */
    MONITOR_PER_TURN = 16,
    WATCHED_EVENTS = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_CONNECT_RETRIED
};

struct inbound {
    bool used, bad, lost;                        /* bad: sent what no honest node sends; its frames are dropped. lost: DOWN is due */
    uint32_t number;
    uint8_t route[ROUTE_SIZE], key[32];
    uint64_t heard_us;
};

struct outbound {
    bool used, up, lost;                         /* lost: DOWN, or REFUSED if it never was up, is due */
    uint32_t number;
    void *socket, *monitor;
    short readable, reported;                    /* revents of the last poll */
    uint8_t key[32];
    uint64_t give_up_us;
};

struct sl_links {
    struct sl_links_setup setup;
    struct sl_links_sink sink;
    void *router;
    bool router_readable, inside_message;        /* inside_message: frames of a refused message are still to come */
    struct inbound *inbound;
    struct outbound *outbound;
    uint32_t n_max;                              /* of each */
    uint32_t next_inbound, next_monitor;
    uint64_t n_dropped, swept_us;
};

static bool set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

/* The bounds of every network socket. */
static bool set_bounds(void *socket)
{
    int64_t message_max = SL_MESSAGE_MAX;
    return set(socket, ZMQ_LINGER, 0) && set(socket, ZMQ_RCVHWM, RECEIVE_QUEUE) && set(socket, ZMQ_SNDHWM, SEND_QUEUE) &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max) == 0 && set(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
           set(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) && set(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS) &&
           set(socket, ZMQ_HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS) && set(socket, ZMQ_SNDBUF, BUFFER_SIZE) && set(socket, ZMQ_RCVBUF, BUFFER_SIZE) &&
           set(socket, ZMQ_IPV6, 1) && set(socket, ZMQ_TCP_KEEPALIVE, 1) && set(socket, ZMQ_TCP_MAXRT, RETRANSMIT_MS);
}

static bool set_router(const struct sl_links *links)
{
    void *socket = links->router;
    return set_bounds(socket) && set(socket, ZMQ_ROUTER_MANDATORY, 1) && set(socket, ZMQ_ROUTER_HANDOVER, 0) && set(socket, ZMQ_BACKLOG, BACKLOG) &&
           set(socket, ZMQ_CURVE_SERVER, 1) && zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, links->setup.transport_secret, 32) == 0 &&
           zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, SL_ZAP_DOMAIN, strlen(SL_ZAP_DOMAIN)) == 0 && set(socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
}

static bool set_dealer(const struct sl_links *links, void *socket, const uint8_t server_key[32])
{
    return set_bounds(socket) && set(socket, ZMQ_IMMEDIATE, 1) && set(socket, ZMQ_RECONNECT_IVL, -1) && set(socket, ZMQ_CONNECT_TIMEOUT, CONNECT_MS) &&
           zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, 32) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, links->setup.transport_public, 32) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, links->setup.transport_secret, 32) == 0;
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

static struct inbound *inbound_numbered(struct sl_links *links, uint32_t number)
{
    for (uint32_t i = 0; i < links->n_max; i++)
        if (links->inbound[i].used && links->inbound[i].number == number) return &links->inbound[i];
    return NULL;
}

static struct inbound *inbound_routed(struct sl_links *links, const uint8_t route[ROUTE_SIZE])
{
    for (uint32_t i = 0; i < links->n_max; i++)
        if (links->inbound[i].used && memcmp(links->inbound[i].route, route, ROUTE_SIZE) == 0) return &links->inbound[i];
    return NULL;
}

static struct outbound *outbound_numbered(struct sl_links *links, uint32_t number)
{
    for (uint32_t i = 0; i < links->n_max; i++)
        if (links->outbound[i].used && links->outbound[i].number == number) return &links->outbound[i];
    return NULL;
}

/* Frees the entry first: the sink may dial or hang up while it listens. */
static void end_inbound(struct sl_links *links, struct inbound *link)
{
    struct inbound ended = *link;
    *link = (struct inbound){0};
    if (!ended.bad) links->sink.on_change(links->sink.context, ended.number, SL_LINK_DOWN, ended.key);
}

/* The monitor is taken off first: an event for which nobody listens would block libzmq's I/O thread for ever. */
static void close_outbound(struct outbound *link)
{
    if (link->socket) zmq_socket_monitor(link->socket, NULL, 0);
    if (link->socket) zmq_close(link->socket);
    if (link->monitor) zmq_close(link->monitor);
    *link = (struct outbound){0};
}

static void end_outbound(struct sl_links *links, struct outbound *link)
{
    struct outbound ended = *link;
    close_outbound(link);
    links->sink.on_change(links->sink.context, ended.number, ended.up ? SL_LINK_DOWN : SL_LINK_REFUSED, ended.key);
}

/* ---- inbound ---- */

enum { INBOUND_PER_KEY = 2 };        /* a peer that restarts may have an old one beside the new */

/* Of the entries with this key (NULL: of all) the one that was silent longest; their number in *n. */
static struct inbound *oldest_inbound(struct sl_links *links, const uint8_t *key, uint32_t *n)
{
    struct inbound *oldest = NULL;
    *n = 0;
    for (uint32_t i = 0; i < links->n_max; i++) {
        struct inbound *link = &links->inbound[i];
        if (!link->used || (key && memcmp(link->key, key, 32) != 0)) continue;
        (*n)++;
        if (!oldest || link->heard_us < oldest->heard_us) oldest = link;
    }
    return oldest;
}

/* A free entry. Whoever has too many gives up its own oldest, so that nobody's connections push out another's; then the one that was silent longest ends. */
static struct inbound *free_inbound(struct sl_links *links, const uint8_t key[32])
{
    uint32_t n;
    struct inbound *own = oldest_inbound(links, key, &n);
    if (n >= INBOUND_PER_KEY) end_inbound(links, own);
    for (;;) {
        for (uint32_t i = 0; i < links->n_max; i++)
            if (!links->inbound[i].used) return &links->inbound[i];
        end_inbound(links, oldest_inbound(links, NULL, &n));
    }
}

static struct inbound *begin_inbound(struct sl_links *links, const uint8_t route[ROUTE_SIZE], const uint8_t key[32], uint64_t now_us)
{
    struct inbound *link = free_inbound(links, key);
    *link = (struct inbound){.used = true, .number = SL_LINK_INBOUND + links->next_inbound, .heard_us = now_us};
    links->next_inbound = (links->next_inbound + 1) % SL_LINK_INBOUND;
    memcpy(link->route, route, ROUTE_SIZE);
    memcpy(link->key, key, 32);

    uint32_t number = link->number;
    links->sink.on_change(links->sink.context, number, SL_LINK_UP, key);
    return inbound_numbered(links, number);          /* NULL when the node hung up at once */
}

/* The key that CURVE proved, as sl_zap_turn() wrote it down. */
static bool proven_key(zmq_msg_t *frame, uint8_t out[32])
{
    const char *user = zmq_msg_gets(frame, "User-Id");
    return user && strlen(user) == 40 && zmq_z85_decode(out, user) != NULL;
}

static void mark_bad(struct sl_links *links, const uint8_t route[ROUTE_SIZE])
{
    struct inbound *link = inbound_routed(links, route);
    if (!link || link->bad) return;

    link->bad = true;
    links->sink.on_change(links->sink.context, link->number, SL_LINK_DOWN, link->key);
}

static void on_frame(struct sl_links *links, const uint8_t route[ROUTE_SIZE], zmq_msg_t *frame, uint64_t now_us)
{
    uint8_t key[32];
    if (!proven_key(frame, key)) return;

    struct inbound *link = inbound_routed(links, route);
    if (link && memcmp(link->key, key, 32) != 0) {   /* another peer came after it under the same routing id */
        end_inbound(links, link);
        link = NULL;
    }
    if (!link) link = begin_inbound(links, route, key, now_us);
    if (!link || link->bad) return;

    link->heard_us = now_us;
    links->sink.on_message(links->sink.context, link->number, zmq_msg_data(frame), zmq_msg_size(frame));
}

/* Drops what is left of a message that had too many frames. */
static bool skip_frame(struct sl_links *links)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    bool received = zmq_msg_recv(&frame, links->router, ZMQ_DONTWAIT) >= 0;
    if (received) links->inside_message = zmq_msg_more(&frame);
    zmq_msg_close(&frame);
    return received;
}

/* One message of one peer: its routing id, then one frame. False when nothing waits. */
static bool receive_inbound(struct sl_links *links, uint64_t now_us)
{
    if (links->inside_message) return skip_frame(links);

    uint8_t route[ROUTE_SIZE];
    int route_size = zmq_recv(links->router, route, sizeof route, ZMQ_DONTWAIT);
    if (route_size < 0) return false;

    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, links->router, ZMQ_DONTWAIT) >= 0) {
        links->inside_message = zmq_msg_more(&frame);
        bool known_kind = route_size == ROUTE_SIZE && route[0] == 0;
        if (known_kind && links->inside_message) mark_bad(links, route);
        else if (known_kind) on_frame(links, route, &frame, now_us);
    }
    zmq_msg_close(&frame);
    return true;
}

/* ---- outbound ---- */

static void *open_monitor(struct sl_links *links, void *socket)
{
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "inproc://monitor-%u", links->next_monitor++);
    if (zmq_socket_monitor(socket, endpoint, WATCHED_EVENTS) != 0) return NULL;

    void *monitor = zmq_socket(links->setup.context, ZMQ_PAIR);
    if (monitor && zmq_connect(monitor, endpoint) == 0) return monitor;
    if (monitor) zmq_close(monitor);
    return NULL;
}

/* True when the attempt is under way; whatever was opened stands in `link`. */
static bool begin_outbound(struct sl_links *links, struct outbound *link, const struct sl_dial *dial)
{
    char address[SL_PEER_ADDRESS_MAX], endpoint[SL_PEER_ADDRESS_MAX + 8];
    memcpy(address, dial->address, sizeof address);
    address[sizeof address - 1] = 0;
    if (!sl_address_is_numeric(address)) return false;       /* a peer chose this text */

    link->socket = zmq_socket(links->setup.context, ZMQ_DEALER);
    if (!link->socket || !set_dealer(links, link->socket, dial->transport_key)) return false;

    link->monitor = open_monitor(links, link->socket);
    snprintf(endpoint, sizeof endpoint, "tcp://%s", address);
    return link->monitor && zmq_connect(link->socket, endpoint) == 0;
}

/* Reads one monitor event: two frames, number and value, then the endpoint. */
static bool next_event(void *monitor, uint16_t *out)
{
    uint8_t head[6];
    char endpoint[128];
    if (zmq_recv(monitor, head, sizeof head, ZMQ_DONTWAIT) != sizeof head) return false;

    zmq_recv(monitor, endpoint, sizeof endpoint, ZMQ_DONTWAIT);
    memcpy(out, head, sizeof *out);
    return true;
}

static void on_connected(struct sl_links *links, struct outbound *link)
{
    int events;
    size_t size = sizeof events;
    zmq_getsockopt(link->socket, ZMQ_EVENTS, &events, &size);        /* lets the socket see its new pipe, so that the first send finds it */

    link->up = true;
    link->give_up_us = SL_NEVER;
    links->sink.on_change(links->sink.context, link->number, SL_LINK_UP, link->key);
}

/* The sink may hang the link up, and the entry may then serve another: its number tells. */
static bool is_still(const struct outbound *link, uint32_t number)
{
    return link->used && link->number == number;
}

static void watch_outbound(struct sl_links *links, struct outbound *link)
{
    uint16_t event;
    uint32_t number = link->number;
    for (uint32_t i = 0; i < MONITOR_PER_TURN && is_still(link, number) && next_event(link->monitor, &event); i++) {
        if (event != ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            end_outbound(links, link);
            return;
        }
        if (!link->up) on_connected(links, link);
    }
}

static void read_outbound(struct sl_links *links, struct outbound *link)
{
    uint32_t number = link->number;
    for (uint32_t i = 0; i < OUTBOUND_PER_TURN && is_still(link, number); i++) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        bool received = zmq_msg_recv(&frame, link->socket, ZMQ_DONTWAIT) >= 0;
        if (received && zmq_msg_more(&frame)) end_outbound(links, link);
        else if (received && link->up) links->sink.on_message(links->sink.context, number, zmq_msg_data(&frame), zmq_msg_size(&frame));
        zmq_msg_close(&frame);
        if (!received) return;
    }
}

/* ---- the turn ---- */

static void note_readiness(struct sl_links *links, const zmq_pollitem_t *items, uint32_t n_items)
{
    links->router_readable = n_items > 0 && items[0].revents != 0;
    for (uint32_t i = 0, at = 1; i < links->n_max; i++) {
        struct outbound *link = &links->outbound[i];
        link->readable = link->reported = 0;
        if (!link->used || !link->socket || !link->monitor) continue;
        if (at + 1 >= n_items || items[at].socket != link->socket) continue;
        link->readable = items[at++].revents;
        link->reported = items[at++].revents;
    }
}

static void turn_outbound(struct sl_links *links, struct outbound *link, uint64_t now_us)
{
    if (link->used && (link->lost || now_us >= link->give_up_us)) {
        end_outbound(links, link);
        return;
    }
    if (link->used && link->up && link->readable) read_outbound(links, link);        /* first: the last words of a peer that left */
    if (link->used && link->reported) watch_outbound(links, link);
    if (link->used && link->up && link->readable) read_outbound(links, link);
}

/* Once a second is enough for silence that is counted in minutes. */
static void sweep_inbound(struct sl_links *links, uint64_t now_us)
{
    bool all = now_us - links->swept_us >= 1000000;
    if (all) links->swept_us = now_us;

    for (uint32_t i = 0; i < links->n_max; i++) {
        struct inbound *link = &links->inbound[i];
        if (link->used && (link->lost || (all && now_us - link->heard_us > links->setup.silence_max_us))) end_inbound(links, link);
    }
}

int sl_links_new(const struct sl_links_setup *setup, const struct sl_links_sink *sink, struct sl_links **out, char *why, size_t why_size)
{
    struct sl_links *links = calloc(1, sizeof *links);
    if (!links) return SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory for the connections");

    links->setup = *setup;
    links->sink = *sink;
    links->n_max = setup->link_max + setup->link_max / 2 + 64;       /* more than the node keeps: links it does not know of yet, or that are bad */
    links->inbound = calloc(links->n_max, sizeof *links->inbound);
    links->outbound = calloc(links->n_max, sizeof *links->outbound);
    links->router = zmq_socket(setup->context, ZMQ_ROUTER);

    int error = SL_OK;
    if (!links->inbound || !links->outbound) error = SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory for the connections");
    else if (!links->router || !set_router(links))
        error = SL_FAIL(SL_ERROR_IO, why, why_size, "ZeroMQ gives no socket (%s); libzmq must be built with CURVE", zmq_strerror(errno));
    else error = bind_router(links, why, why_size);

    if (error != SL_OK) sl_links_destroy(&links);
    else *out = links;
    return error;
}

uint32_t sl_links_items_max(const struct sl_links *links)
{
    return 1 + 2 * links->n_max;
}

uint32_t sl_links_items(struct sl_links *links, zmq_pollitem_t *items)
{
    uint32_t n = 0;
    items[n++] = (zmq_pollitem_t){.socket = links->router, .events = ZMQ_POLLIN};
    for (uint32_t i = 0; i < links->n_max; i++) {
        const struct outbound *link = &links->outbound[i];
        if (!link->used || !link->socket || !link->monitor) continue;
        items[n++] = (zmq_pollitem_t){.socket = link->socket, .events = ZMQ_POLLIN};
        items[n++] = (zmq_pollitem_t){.socket = link->monitor, .events = ZMQ_POLLIN};
    }
    return n;
}

void sl_links_turn(struct sl_links *links, const zmq_pollitem_t *items, uint32_t n_items, uint64_t now_us)
{
    note_readiness(links, items, n_items);
    sweep_inbound(links, now_us);
    for (uint32_t i = 0; i < links->n_max; i++) turn_outbound(links, &links->outbound[i], now_us);
    for (uint32_t i = 0; i < INBOUND_PER_TURN && links->router_readable; i++) links->router_readable = receive_inbound(links, now_us);
}

uint64_t sl_links_deadline(const struct sl_links *links)
{
    uint64_t deadline_us = SL_NEVER;
    for (uint32_t i = 0; i < links->n_max; i++) {
        if (links->inbound[i].used && links->inbound[i].lost) return 0;
        const struct outbound *link = &links->outbound[i];
        if (link->used && link->lost) return 0;
        if (link->used && link->give_up_us < deadline_us) deadline_us = link->give_up_us;
    }
    return deadline_us;
}

void sl_links_dial(struct sl_links *links, const struct sl_dial *dial, uint64_t now_us)
{
    assert(dial->link < SL_LINK_INBOUND);

    struct outbound *link = NULL;
    for (uint32_t i = 0; i < links->n_max && !link; i++)
        if (!links->outbound[i].used) link = &links->outbound[i];
    assert(link);                                    /* the node keeps at most link.max connections */

    *link = (struct outbound){.used = true, .number = dial->link, .give_up_us = now_us + DIAL_US};
    memcpy(link->key, dial->transport_key, 32);
    link->lost = !begin_outbound(links, link, dial);
}

void sl_links_send(struct sl_links *links, uint32_t number, const void *data, size_t size)
{
    if (number < SL_LINK_INBOUND) {
        struct outbound *link = outbound_numbered(links, number);
        if (link && link->up && zmq_send(link->socket, data, size, ZMQ_DONTWAIT) < 0) links->n_dropped++;
        return;
    }
    struct inbound *link = inbound_numbered(links, number);
    if (!link || link->bad || link->lost) return;

    if (zmq_send(links->router, link->route, ROUTE_SIZE, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        link->lost = errno == EHOSTUNREACH;
        links->n_dropped++;
        return;
    }
    zmq_send(links->router, data, size, ZMQ_DONTWAIT);
}

void sl_links_hangup(struct sl_links *links, uint32_t number)
{
    struct outbound *outbound = number < SL_LINK_INBOUND ? outbound_numbered(links, number) : NULL;
    struct inbound *inbound = number >= SL_LINK_INBOUND ? inbound_numbered(links, number) : NULL;
    if (outbound) close_outbound(outbound);
    if (inbound && !inbound->bad) *inbound = (struct inbound){0};
}

uint64_t sl_links_dropped(const struct sl_links *links)
{
    return links->n_dropped;
}

void sl_links_destroy(struct sl_links **self)
{
    struct sl_links *links = *self;
    if (!links) return;

    for (uint32_t i = 0; links->outbound && i < links->n_max; i++) close_outbound(&links->outbound[i]);
    if (links->router) zmq_close(links->router);
    free(links->outbound);
    free(links->inbound);
    free(links);
    *self = NULL;
}
