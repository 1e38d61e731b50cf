/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

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

static uint32_t count_bits(uint64_t bits)
{
    uint32_t n = 0;
    for (; bits; bits &= bits - 1) n++;
    return n;
}

static void ask(struct sl_node *node, struct fetch *fetch)
{
    struct link *link = links_to(node, fetch->peer);
    for (uint32_t i = 0; link && i < fetch->n_chunks && count_bits(fetch->asked & ~fetch->got) < OUTSTANDING_MAX; i++) {
        if ((fetch->asked | fetch->got) >> i & 1) continue;
        struct sl_get get = {.index = i};
        memcpy(get.root, fetch->root, 32);
        size_t size;
        struct sl_writer writer = node_begin(node, SL_MESSAGE_GET, node->epoch, NULL, 512);
        sl_write_get(&writer, &get);
        const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_GET, &size);
        links_send(node, link, bytes, size);
        fetch->asked |= (uint64_t)1 << i;
    }
    fetch->asked_us = node->now_us;
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
        if (count_bits(fetch->got) == fetch->n_chunks) finished(node, fetch);
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
        fetch->asked = fetch->got;
        ask(node, fetch);
    }
    if (n_active > 0) node->deadlines[DEADLINE_FETCH] = node->now_us + patience(node);
}

/* ---- serving ---- */

struct source { const struct sl_merkle *tree; const uint8_t *bytes; };

static bool is_member(const struct sl_node *node, const uint8_t id[32])
{
    for (uint32_t i = 0; i < node->cohort.n_members; i++)
        if (sl_hash_equal(node->cohort.members[i].id, id)) return true;
    return false;
}

/* What this peer may have under this root: the cohort's reference and the own opened vector for members, finished aggregates for everybody. */
static struct source find_source(struct sl_node *node, const uint8_t root[32], const uint8_t peer[32])
{
    const struct cohort *cohort = &node->cohort;
    if (cohort->state != COHORT_NONE && is_member(node, peer)) {
        const struct member *own = &cohort->members[cohort->own];
        bool opened = cohort->state == COHORT_OPENED || cohort->state == COHORT_SUMMED || cohort->state == COHORT_DONE;
        if (cohort->ref_here && sl_hash_equal(cohort->ref_tree.root, root)) return (struct source){&cohort->ref_tree, cohort->ref};
        if (opened && sl_hash_equal(own->root, root)) return (struct source){&own->tree, own->vector};
    }
    for (uint32_t i = 0; i < OWN_SLOTS + node->config.merge_pulls; i++) {
        struct aggregate *aggregate = &node->pulls.slots[i];
        if (!aggregate->complete || !sl_hash_equal(aggregate->root, root)) continue;
        if (!aggregate->tree_ready) {
            size_t element = aggregate->bits / 8;
            sl_merkle_build(&aggregate->tree, aggregate->bytes, element * aggregate->n_values, element * SL_CHUNK_ELEMENTS);
            aggregate->tree_ready = true;
        }
        return (struct source){&aggregate->tree, aggregate->bytes};
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
