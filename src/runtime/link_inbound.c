/* SPDX-License-Identifier: MIT */
#include "runtime/link_parts.h"

#include <errno.h>
#include <string.h>

enum {
    MESSAGES_PER_TURN = 64, BYTES_PER_TURN = 1 << 20,    /* a flood must not keep the clock and the other peers waiting */
    PER_KEY = 2,                                         /* a peer that restarts may have an old one beside the new */
    SWEEP_US = 1000000
};

static struct sl_inbound *numbered(struct sl_links *links, uint32_t number)
{
    for (uint32_t i = 0; i < links->n_max; i++)
        if (links->inbound[i].used && !links->inbound[i].bad && links->inbound[i].number == number) return &links->inbound[i];
    return NULL;
}

static struct sl_inbound *routed(struct sl_links *links, const uint8_t route[SL_ROUTE_SIZE])
{
    for (uint32_t i = 0; i < links->n_max; i++)
        if (links->inbound[i].used && memcmp(links->inbound[i].route, route, SL_ROUTE_SIZE) == 0) return &links->inbound[i];
    return NULL;
}

/* Ends the connection, and tells the node if it does not know. The entry stays, to drop what is on its way, until the connection is gone. */
static void turn_bad(struct sl_links *links, struct sl_inbound *link, const char *why)
{
    if (link->bad) return;

    link->bad = true;
    link->lost = false;
    sl_guard_cut(link->descriptor, link->cookie);
    sl_links_note(links, link->number, why);
    links->sink.on_change(links->sink.context, link->number, SL_LINK_DOWN, link->key);
}

/* Frees the entry first: the sink may dial or hang up while it listens. */
static void end(struct sl_links *links, struct sl_inbound *link, const char *why)
{
    struct sl_inbound ended = *link;
    *link = (struct sl_inbound){0};
    sl_guard_cut(ended.descriptor, ended.cookie);
    if (ended.bad) return;

    sl_links_note(links, ended.number, why);
    links->sink.on_change(links->sink.context, ended.number, SL_LINK_DOWN, ended.key);
}

/* Of the entries with this key (NULL: of all) the one to give up first: one that is bad already, or was silent longest. Their number in *n. */
static struct sl_inbound *oldest(struct sl_links *links, const uint8_t *key, uint32_t *n)
{
    struct sl_inbound *first = NULL;
    *n = 0;
    for (uint32_t i = 0; i < links->n_max; i++) {
        struct sl_inbound *link = &links->inbound[i];
        if (!link->used || (key && (link->bad || memcmp(link->key, key, 32) != 0))) continue;
        (*n)++;
        if (!first || (link->bad == first->bad ? link->heard_us < first->heard_us : link->bad)) first = link;
    }
    return first;
}

/* A free entry. Whoever has too many gives up its own oldest, so that nobody's connections push out another's; then the one that was silent longest ends. */
static struct sl_inbound *free_entry(struct sl_links *links, const uint8_t key[32])
{
    uint32_t n;
    struct sl_inbound *own = oldest(links, key, &n);
    if (n >= PER_KEY) turn_bad(links, own, "the peer has newer connections");
    for (;;) {
        for (uint32_t i = 0; i < links->n_max; i++)
            if (!links->inbound[i].used) return &links->inbound[i];
        end(links, oldest(links, NULL, &n), "the table of connections is full");
    }
}

static struct sl_inbound *begin(struct sl_links *links, const uint8_t route[SL_ROUTE_SIZE], const uint8_t key[32], zmq_msg_t *frame, uint64_t now_us)
{
    struct sl_inbound *link = free_entry(links, key);
    *link = (struct sl_inbound){.used = true, .number = SL_LINK_INBOUND + links->next_inbound, .heard_us = now_us};
    links->next_inbound = (links->next_inbound + 1) % SL_LINK_INBOUND;
    memcpy(link->route, route, SL_ROUTE_SIZE);
    memcpy(link->key, key, 32);
    link->descriptor = zmq_msg_get(frame, ZMQ_SRCFD);
    link->cookie = sl_guard_cookie_of(link->descriptor, zmq_msg_gets(frame, "Peer-Address"));
    sl_links_fill(links, &link->budget, now_us);

    uint32_t number = link->number;
    links->sink.on_change(links->sink.context, number, SL_LINK_UP, key);
    return numbered(links, number);                  /* NULL when the node hung up at once */
}

/* The key that CURVE proved, as sl_zap_turn() wrote it down. */
static bool proven_key(zmq_msg_t *frame, uint8_t out[32])
{
    const char *user = zmq_msg_gets(frame, "User-Id");
    return user && strlen(user) == 40 && zmq_z85_decode(out, user) != NULL;
}

static void on_frame(struct sl_links *links, const uint8_t route[SL_ROUTE_SIZE], zmq_msg_t *frame, uint64_t now_us)
{
    uint8_t key[32];
    if (!proven_key(frame, key)) return;

    struct sl_inbound *link = routed(links, route);
    if (link && memcmp(link->key, key, 32) != 0) {   /* another peer came after it under the same routing id */
        end(links, link, "another connection took its place");
        link = NULL;
    }
    if (!link) link = begin(links, route, key, frame, now_us);
    if (!link || link->bad) return;

    link->heard_us = now_us;
    link->missing = false;
    if (sl_links_charge(links, &link->budget, zmq_msg_size(frame), now_us))
        links->sink.on_message(links->sink.context, link->number, zmq_msg_data(frame), zmq_msg_size(frame));
    else turn_bad(links, link, "it sent more than its budget");
}

/* What no honest node sends. */
static void refuse(struct sl_links *links, const uint8_t route[SL_ROUTE_SIZE], bool has_route, zmq_msg_t *frame)
{
    struct sl_inbound *link = has_route ? routed(links, route) : NULL;
    if (link) {
        turn_bad(links, link, "it sent a message of several frames");
        return;
    }
    int descriptor = zmq_msg_get(frame, ZMQ_SRCFD);
    sl_guard_cut(descriptor, sl_guard_cookie_of(descriptor, zmq_msg_gets(frame, "Peer-Address")));
}

static bool receive_frame(struct sl_links *links, zmq_msg_t *frame)
{
    if (zmq_msg_recv(frame, links->router, ZMQ_DONTWAIT) < 0) return false;

    links->inside_message = zmq_msg_more(frame);
    sl_guard_account(links->guard, zmq_msg_get(frame, ZMQ_SRCFD), zmq_msg_size(frame));
    return true;
}

/* One frame that is left of a refused message, or one message of one peer: its routing id, then one frame. False when nothing waits. */
static bool receive(struct sl_links *links, uint64_t now_us, size_t *size)
{
    uint8_t route[SL_ROUTE_SIZE];
    int route_size = 0;
    bool inside = links->inside_message;
    if (!inside && (route_size = zmq_recv(links->router, route, sizeof route, ZMQ_DONTWAIT)) < 0) return false;

    zmq_msg_t frame;
    zmq_msg_init(&frame);
    bool received = receive_frame(links, &frame), has_route = route_size == SL_ROUTE_SIZE && route[0] == 0;
    *size = zmq_msg_size(&frame);
    if (received && !inside) {
        if (has_route && !links->inside_message) on_frame(links, route, &frame, now_us);
        else refuse(links, route, has_route, &frame);
    }
    zmq_msg_close(&frame);
    return received || !inside;
}

/* Gone at two sweeps: what it had sent before its end was read in between. */
static void sweep_one(struct sl_links *links, struct sl_inbound *link, uint64_t now_us)
{
    bool is_gone = link->cookie != 0 && sl_guard_cookie(link->descriptor) != link->cookie;
    bool is_silent = now_us - link->heard_us > links->setup.silence_max_us;
    if (is_gone && (link->missing || link->bad)) end(links, link, "its connection ended");
    else if (is_silent) end(links, link, "it was silent too long");
    else if (link->bad) sl_guard_cut(link->descriptor, link->cookie);
    link->missing = link->used && is_gone;
}

static void sweep(struct sl_links *links, uint64_t now_us)
{
    bool all = now_us - links->swept_us >= SWEEP_US;
    if (all) links->swept_us = now_us;

    for (uint32_t i = 0; i < links->n_max; i++) {
        struct sl_inbound *link = &links->inbound[i];
        if (link->used && link->lost) end(links, link, "a message could not be delivered");
        else if (link->used && all) sweep_one(links, link, now_us);
    }
}

void sl_inbound_turn(struct sl_links *links, uint64_t now_us)
{
    size_t size = 0, left = BYTES_PER_TURN;
    sweep(links, now_us);
    for (uint32_t i = 0; i < MESSAGES_PER_TURN && left > 0 && links->router_readable; i++) {
        links->router_readable = receive(links, now_us, &size);
        left -= size < left ? size : left;
    }
}

void sl_inbound_send(struct sl_links *links, uint32_t number, const void *data, size_t size)
{
    struct sl_inbound *link = numbered(links, number);
    if (!link || link->lost) return;

    links->router_was_used = true;
    if (zmq_send(links->router, link->route, SL_ROUTE_SIZE, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        link->lost = errno == EHOSTUNREACH;
        links->n_dropped++;
        return;
    }
    zmq_send(links->router, data, size, ZMQ_DONTWAIT);
}

void sl_inbound_hangup(struct sl_links *links, uint32_t number)
{
    struct sl_inbound *link = numbered(links, number);
    if (!link) return;

    link->bad = true;
    link->lost = false;
    sl_guard_cut(link->descriptor, link->cookie);
}
