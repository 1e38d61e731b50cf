/* SPDX-License-Identifier: MIT */
#include "runtime/link_parts.h"

#include <stdio.h>
#include <string.h>

#include "runtime/files.h"

enum {
    MESSAGES_PER_TURN = 8, MONITOR_PER_TURN = 16,
    WATCHED_EVENTS = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_CONNECT_RETRIED
};

struct report {
    uint16_t event;
    int32_t value;
};

static struct sl_outbound *numbered(struct sl_links *links, uint32_t number)
{
    for (uint32_t i = 0; i < links->n_max; i++)
        if (links->outbound[i].used && links->outbound[i].number == number) return &links->outbound[i];
    return NULL;
}

/* The monitor is taken off first: an event for which nobody listens would block libzmq's I/O thread for ever. */
void sl_outbound_close(struct sl_outbound *link)
{
    if (link->socket) zmq_socket_monitor(link->socket, NULL, 0);
    if (link->socket) zmq_close(link->socket);
    if (link->monitor) zmq_close(link->monitor);
    *link = (struct sl_outbound){0};
}

static void end(struct sl_links *links, struct sl_outbound *link)
{
    struct sl_outbound ended = *link;
    sl_outbound_close(link);
    if (ended.why) sl_links_note(links, ended.number, ended.why);
    links->sink.on_change(links->sink.context, ended.number, ended.up ? SL_LINK_DOWN : SL_LINK_REFUSED, ended.key);
}

/* The end is told in a later turn, and a refusal not before its time: what was begun is closed then. */
static void lose(struct sl_outbound *link, const char *why)
{
    if (link->lost) return;
    link->lost = true;
    link->why = why;
}

/* ---- dialling ---- */

static bool set_dealer(const struct sl_links *links, void *socket, const uint8_t server_key[32])
{
    return sl_links_bound(socket) && sl_links_set(socket, ZMQ_IMMEDIATE, 1) && zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, 32) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, links->setup.transport_public, 32) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, links->setup.transport_secret, 32) == 0;
}

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
bool sl_outbound_begin(struct sl_links *links, struct sl_outbound *link, const struct sl_dial *dial)
{
    char address[SL_PEER_ADDRESS_MAX], endpoint[SL_PEER_ADDRESS_MAX + 8];
    memcpy(address, dial->address, sizeof address);
    address[sizeof address - 1] = 0;
    link->why = "its address is not a numeric one";
    if (!sl_address_is_numeric(address)) return false;       /* a peer chose this text */

    link->why = "no socket is left for it";
    link->socket = zmq_socket(links->setup.context, ZMQ_DEALER);
    if (!link->socket || !set_dealer(links, link->socket, dial->transport_key)) return false;

    link->monitor = open_monitor(links, link->socket);
    snprintf(endpoint, sizeof endpoint, "tcp://%s", address);
    if (!link->monitor || zmq_connect(link->socket, endpoint) != 0) return false;

    link->why = NULL;
    return true;
}

/* ---- what the monitor tells ---- */

/* Reads one monitor event: two frames, number and value, then the endpoint. */
static bool next_report(void *monitor, struct report *out)
{
    uint8_t head[6];
    char endpoint[128];
    if (zmq_recv(monitor, head, sizeof head, ZMQ_DONTWAIT) != sizeof head) return false;

    zmq_recv(monitor, endpoint, sizeof endpoint, ZMQ_DONTWAIT);
    memcpy(&out->event, head, sizeof out->event);
    memcpy(&out->value, head + sizeof out->event, sizeof out->value);
    return true;
}

/* A peer that was dialled may flood as well as one that dialled. */
static void on_connected(struct sl_links *links, struct sl_outbound *link, int descriptor)
{
    link->descriptor = descriptor;
    link->cookie = sl_guard_cookie(descriptor);
    if (link->cookie != 0 && !sl_guard_watch(links->guard, link->descriptor, link->cookie)) lose(link, "the guard is too busy to look after it");
}

static void on_handshake(struct sl_links *links, struct sl_outbound *link)
{
    int events;
    size_t size = sizeof events;
    if (link->up) return;
    zmq_getsockopt(link->socket, ZMQ_EVENTS, &events, &size);        /* lets the socket see its new pipe, so that the first send finds it */

    link->up = link->was_sent_to = true;
    link->give_up_us = SL_NEVER;
    links->sink.on_change(links->sink.context, link->number, SL_LINK_UP, link->key);
}

static const char *explain(const struct sl_outbound *link, uint16_t event)
{
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: return "the peer does not admit this node";
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: return "whatever answers there does not speak this protocol";
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: return "the peer ended the handshake: its key may be another one, or it is full";
    case ZMQ_EVENT_CLOSED: return "nobody listens there, or no way leads there";
    default: return link->up ? "the peer ended the connection" : "the connection ended before the handshake did";
    }
}

/* The sink may hang the link up, and the entry may then serve another: its number tells. */
static bool is_still(const struct sl_outbound *link, uint32_t number)
{
    return link->used && link->number == number;
}

static void watch(struct sl_links *links, struct sl_outbound *link)
{
    struct report report;
    uint32_t number = link->number;
    for (uint32_t i = 0; i < MONITOR_PER_TURN && is_still(link, number) && !link->lost && next_report(link->monitor, &report); i++) {
        if (report.event == ZMQ_EVENT_CONNECTED) on_connected(links, link, report.value);
        else if (report.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) on_handshake(links, link);
        else lose(link, explain(link, report.event));
    }
}

/* ---- messages ---- */

static void read_messages(struct sl_links *links, struct sl_outbound *link, uint64_t now_us)
{
    uint32_t number = link->number;
    for (uint32_t i = 0; i < MESSAGES_PER_TURN && is_still(link, number) && !link->lost; i++) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        bool received = zmq_msg_recv(&frame, link->socket, ZMQ_DONTWAIT) >= 0;
        if (received) {
            sl_guard_account(links->guard, zmq_msg_get(&frame, ZMQ_SRCFD), zmq_msg_size(&frame));
            if (zmq_msg_more(&frame)) lose(link, "it sent a message of several frames");
            else if (!sl_links_charge(links, &link->budget, zmq_msg_size(&frame), now_us)) lose(link, "it sent more than its budget");
            else links->sink.on_message(links->sink.context, number, zmq_msg_data(&frame), zmq_msg_size(&frame));
        }
        zmq_msg_close(&frame);
        if (!received) return;
    }
}

static void note_readiness(struct sl_links *links, const zmq_pollitem_t *items, uint32_t n_items)
{
    for (uint32_t i = 0, at = 1; i < links->n_max; i++) {
        struct sl_outbound *link = &links->outbound[i];
        link->readable = link->reported = 0;
        if (!link->used || !link->socket || !link->monitor) continue;
        if (at + 1 >= n_items || items[at].socket != link->socket) continue;
        link->readable = items[at++].revents;
        link->reported = items[at++].revents;
    }
}

static void turn(struct sl_links *links, struct sl_outbound *link, uint64_t now_us)
{
    if (link->up && link->readable) read_messages(links, link, now_us);              /* first: the last words of a peer that left */
    if (link->used && link->reported) watch(links, link);
    if (link->used && link->up && link->readable) read_messages(links, link, now_us);

    if (link->used && now_us >= link->give_up_us) lose(link, "no answer in time");
    if (link->used && link->lost && (link->up || now_us >= link->begun_us + SL_DIAL_ANSWER_US)) end(links, link);
}

void sl_outbound_turn(struct sl_links *links, const zmq_pollitem_t *items, uint32_t n_items, uint64_t now_us)
{
    note_readiness(links, items, n_items);
    for (uint32_t i = 0; i < links->n_max; i++)
        if (links->outbound[i].used) turn(links, &links->outbound[i], now_us);
}

void sl_outbound_send(struct sl_links *links, uint32_t number, const void *data, size_t size)
{
    struct sl_outbound *link = numbered(links, number);
    if (!link || !link->up) return;

    link->was_sent_to = true;
    if (zmq_send(link->socket, data, size, ZMQ_DONTWAIT) < 0) links->n_dropped++;
}

void sl_outbound_hangup(struct sl_links *links, uint32_t number)
{
    struct sl_outbound *link = numbered(links, number);
    if (link) sl_outbound_close(link);
}
