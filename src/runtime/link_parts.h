/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_LINK_PARTS_H
#define SL_RUNTIME_LINK_PARTS_H

#include "runtime/link.h"

/* What link.c, link_inbound.c and link_outbound.c share; nobody else includes this. */

enum {
    SL_ROUTE_SIZE = 5,                           /* routing ids that libzmq makes up; a peer that brings its own is not heard */
    SL_DIAL_ANSWER_US = 20000                    /* no dial is refused sooner: a peer that always refuses cannot make us spin */
};

/* What a link may still send us: a token bucket of bytes. */
struct sl_budget {
    uint64_t left, filled_us;
};

struct sl_inbound {
    bool used, lost;                             /* lost: DOWN is due */
    bool bad;                                    /* DOWN was told, or the node hung up: frames that were on their way are dropped until it is gone */
    bool missing;                                /* its TCP connection was gone at the last sweep */
    uint32_t number;
    uint8_t route[SL_ROUTE_SIZE], key[32];
    int descriptor;
    uint64_t cookie;                             /* of the TCP connection; 0 not known */
    uint64_t heard_us;
    struct sl_budget budget;
};

struct sl_outbound {
    bool used, up, lost;                         /* lost: DOWN, or REFUSED if it never was up, is due */
    uint32_t number;
    void *socket, *monitor;
    short readable, reported;                    /* revents of the last poll */
    bool was_sent_to, is_new;                    /* since then */
    uint8_t key[32];
    int descriptor;
    uint64_t cookie;
    uint64_t begun_us, give_up_us;
    struct sl_budget budget;
    const char *why;                             /* of its end, as far as it is known */
};

struct sl_links {
    struct sl_links_setup setup;
    struct sl_links_sink sink;
    struct sl_guard *guard;
    void *router;
    bool router_was_used;                        /* sent to, or left with something in it, since the last poll */
    bool router_readable, inside_message;        /* inside_message: frames of a refused message are still to come */
    struct sl_inbound *inbound;
    struct sl_outbound *outbound;
    uint32_t n_max;                              /* of each */
    uint32_t next_inbound, next_monitor;
    uint64_t n_dropped, swept_us;
};

void sl_links_note(struct sl_links *links, uint32_t link, const char *text);

/* Charges a message to its link. False: it sent more than it may. */
bool sl_links_charge(const struct sl_links *links, struct sl_budget *budget, size_t size, uint64_t now_us);
void sl_links_fill(const struct sl_links *links, struct sl_budget *budget, uint64_t now_us);     /* of a new link */

/* The two kinds of links; link.c calls these. */
void sl_inbound_turn(struct sl_links *links, uint64_t now_us);
void sl_inbound_send(struct sl_links *links, uint32_t number, const void *data, size_t size);
void sl_inbound_hangup(struct sl_links *links, uint32_t number);

void sl_outbound_turn(struct sl_links *links, const zmq_pollitem_t *items, uint32_t n_items, uint64_t now_us);
bool sl_outbound_begin(struct sl_links *links, struct sl_outbound *link, const struct sl_dial *dial);
void sl_outbound_send(struct sl_links *links, uint32_t number, const void *data, size_t size);
void sl_outbound_hangup(struct sl_links *links, uint32_t number);
void sl_outbound_close(struct sl_outbound *link);

/* Options that bound every network socket. */
bool sl_links_set(void *socket, int option, int value);
bool sl_links_bound(void *socket);

#endif
