/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/core.h"
#include "starling/error.h"
#include "starling/identity.h"

/*
 * The durable book: magic, network id, three counts, peers, bans, claims, checksum. Little endian like the state. It makes a restart quick; one that cannot
 * be read costs time, nothing else. Who reads it trusts the disk for what was verified before it was written, but for nothing that could hurt.
 */
static const uint8_t magic[16] = "starling book 2";

enum { HEAD_SIZE = 16 + 32 + 12, PEER_SIZE = 4 + 5 * 32 + SL_ADDRESS_MAX + SL_NAME_MAX + 3 * 8, BAN_SIZE = 32, CLAIM_SIZE = 72, SUM_SIZE = 32 };

enum { IN_VIEW = 1, TRIED = 2, PROVEN = 4, ANCHOR = 8 };

enum { SAVE_AFTER_US = 900000000, SAVE_AFTER_EPOCHS = 16 };

_Static_assert(sizeof(struct claim) == CLAIM_SIZE, "stored as it lies in memory");

size_t book_size_max(const struct sl_node *node)
{
    const struct sl_config *config = &node->config;
    size_t n_peers = (size_t)config->view_size + config->book_new + config->book_tried;
    return HEAD_SIZE + n_peers * PEER_SIZE + (size_t)BANS_MAX * BAN_SIZE + (size_t)node->members.n_claims_max * CLAIM_SIZE + SUM_SIZE;
}

/* ---- writing ---- */

static uint8_t *put(uint8_t *at, const void *from, size_t size)
{
    memcpy(at, from, size);
    return at + size;
}

static uint8_t *put_peer(uint8_t *at, const struct sl_descriptor *peer, uint32_t flags)
{
    at = put(at, &flags, 4);
    at = put(at, peer->id, 32);
    at = put(at, peer->sign_public, 32);
    at = put(at, peer->transport_public, 32);
    at = put(at, peer->certificate_hash, 32);
    at = put(at, peer->host_id, 32);
    at = put(at, peer->address, sizeof peer->address);
    at = put(at, peer->name, sizeof peer->name);
    at = put(at, &peer->sequence, 8);
    at = put(at, &peer->until_s, 8);
    return put(at, &peer->expires_s, 8);
}

/* Is this one of the peers that we dialled and that have been linked longest? */
static bool is_anchor(struct sl_node *node, const uint8_t id[32])
{
    const struct link *own = links_to(node, id);
    uint32_t n_older = 0;
    if (!own || links_is_inbound(own)) return false;
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        const struct link *link = &node->links.all[i];
        n_older += link->state == LINK_OPEN && link->known && !links_is_inbound(link) && link->opened_us < own->opened_us;
    }
    return n_older < node->config.view_anchors;
}

static uint8_t *put_peers(struct sl_node *node, uint8_t *at, uint32_t *n)
{
    const struct sl_book *book = &node->members.book;
    for (uint32_t i = 0; i < node->view.n_peers; i++) {
        const struct sl_view_peer *peer = &node->view.peers[i];
        if (peer->prepared || peer->banned || peer->leaving || peer->sequence == 0) continue;
        const struct sl_book_entry *entry = sl_book_find(book, peer->id);
        struct sl_descriptor descriptor = sl_view_descriptor(peer);
        at = put_peer(at, &descriptor, IN_VIEW | (peer->proven ? PROVEN : 0u) | (entry && entry->is_tried ? TRIED : 0u) |
                                           (is_anchor(node, peer->id) ? ANCHOR : 0u));
        ++*n;
    }
    for (uint32_t i = 0; i < book->n_new + book->n_tried; i++) {
        const struct sl_book_entry *entry = &book->entries[i];
        const struct sl_view_peer *peer = sl_view_find(&node->view, entry->descriptor.id);
        if (peer && (!peer->leaving || peer->prepared)) continue;
        at = put_peer(at, &entry->descriptor, entry->is_tried ? TRIED : 0);
        ++*n;
    }
    return at;
}

size_t book_write(struct sl_node *node, uint8_t *bytes)
{
    const struct membership *members = &node->members;
    uint32_t n_peers = 0;
    uint8_t *counts = put(put(bytes, magic, sizeof magic), node->config.network_id, 32);
    uint8_t *at = put_peers(node, counts + 12, &n_peers);
    at = put(at, members->banned, (size_t)BAN_SIZE * members->n_banned);
    at = put(at, members->claims, (size_t)CLAIM_SIZE * members->n_claims);
    memcpy(counts, &n_peers, 4);
    memcpy(counts + 4, &members->n_banned, 4);
    memcpy(counts + 8, &members->n_claims, 4);
    sl_hash_once("book", bytes, (size_t)(at - bytes), at);
    return (size_t)(at - bytes) + SUM_SIZE;
}

bool book_is_due(const struct sl_node *node)
{
    uint64_t epochs_us = SAVE_AFTER_EPOCHS * node->config.epoch_us, period_us = epochs_us < SAVE_AFTER_US ? epochs_us : SAVE_AFTER_US;
    return node->members.is_book_changed && node->now_us - node->members.book_saved_us >= period_us;
}

void book_save(struct sl_node *node)
{
    uint64_t ticket;
    size_t mark = node->out.used;
    uint8_t *bytes = sl_arena_reserve(&node->out, book_size_max(node), 1, 1);
    if (!bytes) return;

    size_t size = book_write(node, bytes);
    node->out.used = mark + size;
    node->members.is_book_changed = false;
    node->members.book_saved_us = node->now_us;
    node_store(node, SL_STORE_PUT_BOOK, bytes, size, &ticket);
}

/* ---- reading ---- */

static const uint8_t *get(const uint8_t *at, void *to, size_t size)
{
    memcpy(to, at, size);
    return at + size;
}

static const uint8_t *get_peer(const uint8_t *at, struct sl_descriptor *peer, uint32_t *flags)
{
    at = get(at, flags, 4);
    at = get(at, peer->id, 32);
    at = get(at, peer->sign_public, 32);
    at = get(at, peer->transport_public, 32);
    at = get(at, peer->certificate_hash, 32);
    at = get(at, peer->host_id, 32);
    at = get(at, peer->address, sizeof peer->address);
    at = get(at, peer->name, sizeof peer->name);
    at = get(at, &peer->sequence, 8);
    at = get(at, &peer->until_s, 8);
    peer->address[sizeof peer->address - 1] = 0;
    peer->name[sizeof peer->name - 1] = 0;
    return get(at, &peer->expires_s, 8);
}

static bool is_usable(const struct sl_node *node, const struct sl_descriptor *peer)
{
    uint8_t id[32];
    uint64_t now_s = node->now_us / 1000000;
    sl_identity_id(node->config.network_id, peer->sign_public, id);
    bool is_consistent = sl_hash_equal(id, peer->id) && !sl_hash_equal(id, node->self->id) && peer->sequence > 0;
    return is_consistent && peer->until_s >= now_s && peer->until_s <= now_s + 2 * (uint64_t)SL_ADVERT_TTL_MAX_S && peer->expires_s >= now_s;
}

static void take_peer(struct sl_node *node, const struct sl_descriptor *peer, uint32_t flags)
{
    struct membership *members = &node->members;
    if (!is_usable(node, peer) || advert_is_banned(node, peer->id) || advert_is_banned(node, peer->host_id)) return;

    if (flags & IN_VIEW) {
        struct sl_view_peer *entry = flags & PROVEN ? sl_view_prove(&node->view, peer) : sl_view_learn(&node->view, peer);
        if (entry && entry->prepared) return;
    }
    sl_book_hear(&members->book, peer, peer->address, node->now_us / 1000000);
    if (flags & TRIED) sl_book_answered(&members->book, peer->id, node->now_us / 1000000);
    struct contact contact = {.id = peer->id, .transport_public = peer->transport_public, .address = peer->address};
    if (flags & ANCHOR) links_dial(node, &contact);
}

int book_read(struct sl_node *node, const uint8_t *bytes, size_t size)
{
    uint8_t checksum[32];
    uint32_t n_peers, n_banned, n_claims;
    if (size < HEAD_SIZE + SUM_SIZE || size > book_size_max(node) || memcmp(bytes, magic, sizeof magic) != 0) return SL_ERROR_FORMAT;
    sl_hash_once("book", bytes, size - SUM_SIZE, checksum);
    if (!sl_hash_equal(checksum, bytes + size - SUM_SIZE)) return SL_ERROR_FORMAT;
    if (!sl_hash_equal(bytes + sizeof magic, node->config.network_id)) return SL_ERROR_WRONG_NETWORK;

    const uint8_t *at = get(bytes + sizeof magic + 32, &n_peers, 4);
    at = get(at, &n_banned, 4);
    at = get(at, &n_claims, 4);
    uint64_t whole = HEAD_SIZE + (uint64_t)n_peers * PEER_SIZE + (uint64_t)n_banned * BAN_SIZE + (uint64_t)n_claims * CLAIM_SIZE + SUM_SIZE;
    if (whole != size || n_banned > BANS_MAX || n_claims > node->members.n_claims_max) return SL_ERROR_FORMAT;

    const uint8_t *bans = at + (size_t)n_peers * PEER_SIZE, *claims = bans + (size_t)n_banned * BAN_SIZE;
    for (uint32_t i = 0; i < n_banned; i++) advert_ban(node, bans + (size_t)i * BAN_SIZE);
    for (uint32_t i = 0; i < n_claims; i++) {
        struct claim claim;
        memcpy(&claim, claims + (size_t)i * CLAIM_SIZE, sizeof claim);
        advert_claim(node, &claim);
    }
    for (uint32_t i = 0; i < n_peers; i++) {
        struct sl_descriptor peer = {0};
        uint32_t flags;
        at = get_peer(at, &peer, &flags);
        take_peer(node, &peer, flags);
    }
    node->members.is_book_changed = false;
    return SL_OK;
}
