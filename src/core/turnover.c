/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/core.h"

/*
 * Who leaves the view, and who takes the places. It happens when an epoch begins, before the ring is laid: within an epoch contacts point into the table.
 * Prepared peers stay. While there is room for all nobody else has to go but those whose time is over; else the sampler decides.
 */

enum { FORGOTTEN_AFTER_S = 72 * 3600, PARTIAL_EPOCHS = 8, NEWCOMERS_MAX = 16, FAILURES_SPARED = 1 };

static void close_links(struct sl_node *node, const uint8_t id[32])
{
    for (struct link *link; (link = links_to(node, id));) links_close(node, link);
}

/* Certificates run out also of those who were admitted long ago; nobody is believed longer than his ADVERT. */
static void drop_outlived(struct sl_node *node)
{
    uint64_t now_s = node->now_us / 1000000;
    for (uint32_t i = 0; i < node->view.n_peers; i++) {
        struct sl_view_peer *peer = &node->view.peers[i];
        bool has_expired = peer->expires_s && peer->expires_s < now_s;
        bool is_fresh = peer->until_s >= now_s || (peer->heard_us / 1000000 + FORGOTTEN_AFTER_S >= now_s && sl_view_is_live(peer));
        if (has_expired) {
            node_trace(node, SL_TRACE_EXPIRED, peer->id, 0, 0, SL_OK);
            close_links(node, peer->id);
            advert_forget(node, peer->id);
        }
        if (has_expired || (!peer->prepared && !is_fresh)) peer->leaving = true;
    }
    sl_book_expire(&node->members.book, now_s);
}

static bool is_replaceable(struct sl_node *node, const struct sl_view_peer *peer)
{
    return !peer->prepared && !peer->banned && !peer->leaving && !sl_view_is_live(peer) && !links_to(node, peer->id);
}

static uint32_t count_prepared(const struct sl_node *node)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->view.n_peers; i++) n += node->view.peers[i].prepared;
    return n;
}

/* May this entry of the book stand in the view now? In an open network only who has proven itself. */
static bool is_promising(const struct sl_node *node, const struct sl_book_entry *entry)
{
    if (!entry->is_tried && strcmp(node->config.admission, "open") == 0) return false;
    return entry->failures < FAILURES_SPARED && entry->descriptor.until_s >= node->now_us / 1000000 && !sl_view_find(&node->view, entry->descriptor.id);
}

/* Only those who have proven themselves. Those who answered at an address are of its network; all others are of one. */
static void offer_all(struct sl_node *node)
{
    struct membership *members = &node->members;
    for (uint32_t i = 0; i < node->view.n_peers; i++) {
        const struct sl_view_peer *peer = &node->view.peers[i];
        bool is_candidate = peer->proven && !peer->prepared && sl_view_is_live(peer);
        if (is_candidate) sl_sampler_offer(&members->sampler, peer->id, advert_proven_address(node, peer->id));
    }
    for (uint32_t i = 0; i < members->book.n_new + members->book.n_tried; i++) {
        const struct sl_book_entry *entry = &members->book.entries[i];
        if (entry->is_tried && is_promising(node, entry)) sl_sampler_offer(&members->sampler, entry->descriptor.id, entry->descriptor.address);
    }
}

/* Of holders who are neither in the view nor in the book any more nothing is left to go by. */
static uint32_t forget_lost(struct sl_node *node)
{
    struct sl_sampler *sampler = &node->members.sampler;
    uint32_t n = 0;
    for (uint32_t i = 0; i < sampler->n_slots; i++) {
        const struct sl_sampler_slot *slot = &sampler->slots[i];
        if (!slot->is_used || sl_view_find(&node->view, slot->id)) continue;
        const struct sl_book_entry *entry = sl_book_find(&node->members.book, slot->id);
        if (!entry || !is_promising(node, entry)) n += sl_sampler_forget(sampler, slot->id);
    }
    return n;
}

/* The slots whose life is over, and those of the dead and the lost, are offered to everybody known, at once: a slot that stood empty would cost the peer its
 * place that held it before. */
static void turn_sampler(struct sl_node *node)
{
    struct membership *members = &node->members;
    struct sl_sampler *sampler = &members->sampler;
    uint32_t n_empty = 0;
    if (sampler->n_slots == 0) {
        uint32_t n_slots = node->view.n_peers_max - count_prepared(node);
        sl_sampler_begin(sampler, &members->rng, n_slots, node->now_us);
        n_empty = n_slots;
    }
    n_empty += sl_sampler_turn(sampler, &members->rng, node->now_us);
    for (uint32_t i = 0; i < node->view.n_peers; i++)
        if (!sl_view_is_live(&node->view.peers[i])) n_empty += sl_sampler_forget(sampler, node->view.peers[i].id);
    n_empty += forget_lost(node);
    if (n_empty > 0) offer_all(node);
}

/* Holders of slots who are not in the view. */
static uint32_t find_newcomers(struct sl_node *node, struct sl_descriptor *newcomers)
{
    const struct sl_sampler *sampler = &node->members.sampler;
    uint32_t n = 0;
    for (uint32_t i = 0; i < sampler->n_slots && n < NEWCOMERS_MAX; i++) {
        const struct sl_sampler_slot *slot = &sampler->slots[i];
        if (!slot->is_used || sl_view_find(&node->view, slot->id)) continue;
        const struct sl_book_entry *entry = sl_book_find(&node->members.book, slot->id);
        if (!entry) continue;
        bool is_listed = false;
        for (uint32_t j = 0; j < n && !is_listed; j++) is_listed = sl_hash_equal(newcomers[j].id, slot->id);
        if (!is_listed) newcomers[n++] = entry->descriptor;
    }
    return n;
}

/* Places are given up by the dead, then, of a partial view, by the living without a slot. */
static void make_places(struct sl_node *node, uint32_t n_wanted)
{
    uint32_t n_free = node->view.n_peers_max - node->view.n_peers;
    for (uint32_t pass = 0; pass < 1 + (uint32_t)node->view.overflowed; pass++) {
        for (uint32_t i = 0; i < node->view.n_peers && n_free < n_wanted; i++) {
            struct sl_view_peer *peer = &node->view.peers[i];
            bool yields = pass == 0 ? is_replaceable(node, peer)
                                    : !peer->prepared && !peer->banned && !peer->leaving && sl_sampler_count(&node->members.sampler, peer->id) == 0;
            if (!yields) continue;
            if (pass == 0) sl_book_failed(&node->members.book, peer->id);       /* lest it comes back at once */
            peer->leaving = true;
            n_free++;
        }
    }
}

static void fill_from_book(struct sl_node *node)
{
    const struct sl_book *book = &node->members.book;
    for (uint32_t i = 0; i < book->n_new + book->n_tried && node->view.n_peers < node->view.n_peers_max; i++)
        if (is_promising(node, &book->entries[i])) sl_view_learn(&node->view, &book->entries[i].descriptor);
}

/* Nobody was heard of for a while for whom there was no room, and there is room: so the view covers the network again. */
static void judge_cover(struct sl_node *node)
{
    bool has_room = sl_view_count_live(&node->view) < node->view.n_peers_max;
    if (has_room && node->epoch > node->members.outsider_epoch + PARTIAL_EPOCHS) node->view.overflowed = false;
}

void turnover(struct sl_node *node)
{
    struct membership *members = &node->members;
    struct sl_descriptor newcomers[NEWCOMERS_MAX];
    uint32_t n = 0;
    drop_outlived(node);
    if (node->view.overflowed && count_prepared(node) < node->view.n_peers_max) {
        turn_sampler(node);
        n = find_newcomers(node, newcomers);
    } else if (members->wants_room) {
        n = 1;                                              /* the dead make room for somebody from the book */
    }
    if (n > 0) make_places(node, n);
    sl_view_sweep(&node->view);
    bool is_partial = node->view.overflowed;
    for (uint32_t i = 0; is_partial && i < n; i++) sl_view_learn(&node->view, &newcomers[i]);
    if (members->wants_room) fill_from_book(node);
    node->view.overflowed = is_partial;
    members->wants_room = members->wants_room && node->view.n_peers == node->view.n_peers_max;
    if (is_partial) judge_cover(node);
}
