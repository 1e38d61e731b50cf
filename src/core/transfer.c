/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/bits.h"
#include "core/core.h"

/*
 * Vectors travel in chunks that the receiver asks for: GET {root, index} -> CHUNK with its Merkle path. The receiver has at most two chunks of a vector
 * outstanding, allocates nothing on anybody's word, and asks again for what was lost.
 */
enum { OUTSTANDING_MAX = 2 };

static const uint32_t n_fetches = sizeof((struct sl_node *)0)->fetches / sizeof(struct fetch);

void transfer_reset(struct sl_node *node, enum fetch_kind kind)
{
    for (uint32_t i = 0; i < n_fetches; i++)
        if (node->fetches[i].kind == kind) node->fetches[i].kind = FETCH_FREE;
}

void transfer_cancel(struct sl_node *node, enum fetch_kind kind, uint32_t index)
{
    for (uint32_t i = 0; i < n_fetches; i++)
        if (node->fetches[i].kind == kind && node->fetches[i].index == index) node->fetches[i].kind = FETCH_FREE;
}

/* How to reach a peer, in the cohort or in the view; false for somebody who is in neither and has no connection. */
static bool find_contact(struct sl_node *node, const uint8_t id[32], struct contact *out)
{
    const struct member *member = cohort_find(node, id);
    const struct sl_view_peer *peer = member ? NULL : sl_view_find(&node->view, id);
    if (member) *out = contact_of_member(member);
    if (peer) *out = contact_of(peer);
    if (!member && !peer) *out = (struct contact){.id = id, .address = ""};
    return member || peer || links_to(node, id);
}

static void ask(struct sl_node *node, struct fetch *fetch)
{
    struct contact contact;
    fetch->asked_us = node->now_us;
    if (!find_contact(node, fetch->peer, &contact)) return;

    for (uint32_t i = 0; i < fetch->n_chunks && sl_count_bits(fetch->asked & ~fetch->got) < OUTSTANDING_MAX; i++) {
        if ((fetch->asked | fetch->got) >> i & 1) continue;
        struct sl_get get = {.index = i};
        memcpy(get.root, fetch->root, 32);
        size_t size;
        struct sl_writer writer = node_begin(node, SL_MESSAGE_GET, node->epoch, NULL, 512);
        sl_write_get(&writer, &get);
        const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_GET, &size);
        links_send_to(node, &contact, bytes, size);
        fetch->asked |= (uint64_t)1 << i;
    }
}

/* A member that does not answer may be cut off from us alone: the initiator holds the vectors of all. */
static void turn_to_initiator(struct sl_node *node, struct fetch *fetch)
{
    const struct cohort *cohort = &node->cohort;
    if (fetch->kind != FETCH_VECTOR || cohort->own == cohort->initiator) return;
    memcpy(fetch->peer, cohort->members[fetch->tries % 2 ? cohort->initiator : fetch->index].id, 32);
}

static uint64_t patience(const struct sl_node *node)
{
    return node->config.epoch_us / 32;
}

static void finished(struct sl_node *node, struct fetch *fetch)
{
    enum fetch_kind kind = fetch->kind;
    fetch->kind = FETCH_FREE;
    if (kind == FETCH_AGGREGATE) pull_on_fetched(node, fetch->index);
    else cohort_on_fetched(node, kind, fetch->index);
}

void transfer_fetch(struct sl_node *node, enum fetch_kind kind, uint32_t index, const uint8_t peer[32], const uint8_t root[32],
                    uint8_t *to, size_t size, uint32_t element_size)
{
    struct fetch *fetch = NULL;
    for (uint32_t i = 0; i < n_fetches; i++) {
        struct fetch *other = &node->fetches[i];
        if (other->kind == kind && other->index == index) return;       /* under way already */
        if (!fetch && other->kind == FETCH_FREE) fetch = other;
    }
    assert(fetch);                                      /* one per member and pull: the table cannot overflow */

    *fetch = (struct fetch){.kind = kind, .index = index, .to = to, .size = size, .chunk_size = (size_t)element_size * SL_CHUNK_ELEMENTS};
    fetch->n_chunks = sl_merkle_chunks(size, fetch->chunk_size);
    memcpy(fetch->peer, peer, 32);
    memcpy(fetch->root, root, 32);
    ask(node, fetch);
    if (node->deadlines[DEADLINE_FETCH] == SL_NEVER) node->deadlines[DEADLINE_FETCH] = node->now_us + patience(node);
}

void transfer_on_chunk(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct sl_chunk chunk;
    if (sl_read_chunk(envelope, &chunk) != SL_OK) {
        node->counters.messages_refused++;
        return;
    }
    for (uint32_t i = 0; i < n_fetches; i++) {
        struct fetch *fetch = &node->fetches[i];
        if (fetch->kind == FETCH_FREE || !sl_hash_equal(fetch->root, chunk.root) || !sl_hash_equal(fetch->peer, link->id)) continue;
        if (chunk.index >= fetch->n_chunks || fetch->got >> chunk.index & 1) continue;
        if (!sl_merkle_verify(fetch->root, fetch->size, fetch->chunk_size, chunk.index, chunk.data, chunk.data_size, chunk.n_path, chunk.path)) {
            node->counters.messages_refused++;
            return;
        }
        memcpy(fetch->to + chunk.index * fetch->chunk_size, chunk.data, chunk.data_size);
        fetch->got |= (uint64_t)1 << chunk.index;
        fetch->tries = 0;
        if (sl_count_bits(fetch->got) == fetch->n_chunks) finished(node, fetch);
        else ask(node, fetch);
        return;
    }
}

void transfer_on_deadline(struct sl_node *node)
{
    uint32_t n_active = 0;
    for (uint32_t i = 0; i < n_fetches; i++) {
        struct fetch *fetch = &node->fetches[i];
        if (fetch->kind == FETCH_FREE) continue;
        n_active++;
        if (node->now_us - fetch->asked_us < patience(node) || fetch->tries >= FETCH_TRIES_MAX) continue;
        fetch->tries++;
        if (fetch->tries > 2) turn_to_initiator(node, fetch);
        fetch->asked = fetch->got;
        ask(node, fetch);
    }
    if (n_active > 0) node->deadlines[DEADLINE_FETCH] = node->now_us + patience(node);
}

/* ---- serving ---- */

struct source { const struct sl_merkle *tree; const uint8_t *bytes; };

static const struct sl_merkle *tree_of(struct sl_merkle *tree, bool *ready, const uint8_t *bytes, uint32_t n_values, uint32_t element_size)
{
    if (!*ready) sl_merkle_build(tree, bytes, (size_t)n_values * element_size, (size_t)element_size * SL_CHUNK_ELEMENTS);
    *ready = true;
    return tree;
}

/* For members of the cohort: the reference, and every vector that may be seen by now. */
static struct source find_in_cohort(struct sl_node *node, const uint8_t root[32])
{
    struct cohort *cohort = &node->cohort;
    if (cohort->ref_here && sl_hash_equal(cohort->ref_tree.root, root)) return (struct source){&cohort->ref_tree, cohort->ref};
    for (uint32_t i = 0; i < cohort->n_members; i++) {
        struct member *member = &cohort->members[i];
        const uint8_t *known = sl_session_root(cohort->session, i);
        if (!known || !sl_hash_equal(known, root) || !sl_session_serves(cohort->session, i)) continue;
        const uint8_t *vector = sl_session_vector(cohort->session, i);
        return (struct source){tree_of(&member->tree, &member->tree_ready, vector, node->n_block, node->config.ring_bits / 8), vector};
    }
    return (struct source){NULL, NULL};
}

/* What this peer may have under this root: things of the cohort for its members, finished aggregates for everybody. */
static struct source find_source(struct sl_node *node, const uint8_t root[32], const uint8_t peer[32])
{
    bool alive = node->cohort.state != COHORT_NONE && node->cohort.state != COHORT_VOID;
    if (alive && cohort_find(node, peer)) {
        struct source source = find_in_cohort(node, root);
        if (source.tree) return source;
    }
    for (uint32_t i = 0; i < OWN_SLOTS + node->config.merge_pulls; i++) {
        struct aggregate *slot = &node->pulls.slots[i];
        if (!slot->complete || !sl_hash_equal(slot->root, root)) continue;
        return (struct source){tree_of(&slot->tree, &slot->tree_ready, slot->bytes, slot->n_values, slot->bits / 8), slot->bytes};
    }
    return (struct source){NULL, NULL};
}

void transfer_on_get(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct sl_get get;
    if (sl_read_get(envelope, &get) != SL_OK) {
        node->counters.messages_refused++;
        return;
    }
    struct source source = find_source(node, get.root, link->id);
    if (!source.tree || get.index >= source.tree->n_chunks) return;

    struct sl_chunk chunk = {.index = get.index};
    size_t start = get.index * source.tree->chunk_size, left = source.tree->size - start;
    memcpy(chunk.root, get.root, 32);
    chunk.n_path = sl_merkle_path(source.tree, get.index, chunk.path);
    chunk.data = source.bytes + start;
    chunk.data_size = left < source.tree->chunk_size ? left : source.tree->chunk_size;

    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_CHUNK, node->epoch, NULL, chunk.data_size + 1024);
    sl_write_chunk(&writer, &chunk);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_CHUNK, &size);
    links_send(node, link, bytes, size);
}
