/* SPDX-License-Identifier: MIT */
#include "overlay/view.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

/* Ids and keys are hashes or curve points: eight of their bytes are as good as a hash. */
static uint64_t head_of(const uint8_t key[32])
{
    uint64_t head;
    memcpy(&head, key, sizeof head);
    return head;
}

/* The slot where the key stands, or the empty one where it would. `field` is the key's offset in a peer. */
static uint32_t slot_of(const struct sl_view *view, const uint32_t *slots, size_t field, const uint8_t key[32])
{
    uint32_t slot = (uint32_t)(head_of(key) % view->n_slots);
    while (slots[slot] && memcmp((const uint8_t *)&view->peers[slots[slot] - 1] + field, key, 32) != 0)
        slot = (slot + 1) % view->n_slots;
    return slot;
}

bool sl_view_init(struct sl_view *view, struct sl_arena *arena, uint32_t n_peers_max)
{
    *view = (struct sl_view){.n_peers_max = n_peers_max, .n_slots = 2 * n_peers_max + 1};
    view->peers = SL_TAKE(arena, struct sl_view_peer, n_peers_max);
    view->by_id = SL_TAKE(arena, uint32_t, view->n_slots);
    view->by_key = SL_TAKE(arena, uint32_t, view->n_slots);
    view->ring = SL_TAKE(arena, uint32_t, n_peers_max + 1);
    view->ring_positions = SL_TAKE(arena, uint64_t, n_peers_max + 1);
    return view->peers && view->by_id && view->by_key && view->ring && view->ring_positions;
}

struct sl_view_peer *sl_view_find(const struct sl_view *view, const uint8_t id[32])
{
    uint32_t entry = view->by_id[slot_of(view, view->by_id, offsetof(struct sl_view_peer, id), id)];
    return entry ? &view->peers[entry - 1] : NULL;
}

struct sl_view_peer *sl_view_find_key(const struct sl_view *view, const uint8_t transport_public[32])
{
    uint32_t entry = view->by_key[slot_of(view, view->by_key, offsetof(struct sl_view_peer, transport_public), transport_public)];
    return entry ? &view->peers[entry - 1] : NULL;
}

/* Room for one more, with its id and key indexed; NULL when there is none. */
static struct sl_view_peer *append(struct sl_view *view, const uint8_t id[32], const uint8_t transport_public[32])
{
    if (view->n_peers == view->n_peers_max) {
        view->overflowed = true;
        return NULL;
    }
    struct sl_view_peer *peer = &view->peers[view->n_peers];
    *peer = (struct sl_view_peer){0};
    memcpy(peer->id, id, 32);
    memcpy(peer->transport_public, transport_public, 32);

    uint32_t entry = ++view->n_peers;
    view->by_id[slot_of(view, view->by_id, offsetof(struct sl_view_peer, id), peer->id)] = entry;
    view->by_key[slot_of(view, view->by_key, offsetof(struct sl_view_peer, transport_public), peer->transport_public)] = entry;
    return peer;
}

struct sl_view_peer *sl_view_add(struct sl_view *view, const struct sl_peer *from)
{
    struct sl_view_peer *peer = sl_view_find(view, from->id);
    if (peer) return peer;
    if (sl_view_find_key(view, from->transport_public)) {
        view->overflowed = true;
        return NULL;
    }
    peer = append(view, from->id, from->transport_public);
    if (!peer) return NULL;

    memcpy(peer->sign_public, from->sign_public, 32);
    memcpy(peer->address, from->address, sizeof peer->address);
    peer->address[sizeof peer->address - 1] = 0;
    sl_hash_once("certificate", from->certificate, from->certificate_size, peer->certificate_hash);
    peer->prepared = peer->proven = true;
    return peer;
}

/* Removing one key from a table of open addressing would tear the chains of others: all are entered anew. Who is leaving owns no key. */
static void index_all(struct sl_view *view)
{
    memset(view->by_id, 0, sizeof *view->by_id * view->n_slots);
    memset(view->by_key, 0, sizeof *view->by_key * view->n_slots);
    for (uint32_t i = 0; i < view->n_peers; i++) {
        const struct sl_view_peer *peer = &view->peers[i];
        view->by_id[slot_of(view, view->by_id, offsetof(struct sl_view_peer, id), peer->id)] = i + 1;
        if (!peer->leaving) view->by_key[slot_of(view, view->by_key, offsetof(struct sl_view_peer, transport_public), peer->transport_public)] = i + 1;
    }
}

static void set_key(struct sl_view *view, struct sl_view_peer *peer, const uint8_t transport_public[32])
{
    memcpy(peer->transport_public, transport_public, 32);
    index_all(view);
}

static void take_news(struct sl_view_peer *peer, const struct sl_descriptor *news)
{
    memcpy(peer->sign_public, news->sign_public, 32);
    memcpy(peer->certificate_hash, news->certificate_hash, 32);
    if (news->address[0] || !peer->prepared) memcpy(peer->address, news->address, sizeof peer->address);
    memcpy(peer->name, news->name, sizeof peer->name);
    peer->sequence = news->sequence;
    peer->until_s = news->until_s;
    peer->expires_s = news->expires_s;
    memcpy(peer->host_id, news->host_id, 32);
}

struct sl_view_peer *sl_view_learn(struct sl_view *view, const struct sl_descriptor *news)
{
    struct sl_view_peer *peer = sl_view_find(view, news->id), *holder = sl_view_find_key(view, news->transport_public);
    if (!peer && holder) return NULL;
    if (!peer) peer = append(view, news->id, news->transport_public);
    if (!peer || news->sequence <= peer->sequence) return peer;

    bool is_movable = !peer->proven || peer->misses >= SL_VIEW_MISSES_DEAD;
    if (!holder && is_movable) {
        set_key(view, peer, news->transport_public);
        peer->proven = false;
    }
    take_news(peer, news);
    return peer;
}

struct sl_view_peer *sl_view_prove(struct sl_view *view, const struct sl_descriptor *news)
{
    struct sl_view_peer *rival = sl_view_find_key(view, news->transport_public), *peer = sl_view_find(view, news->id);
    bool is_rival = rival && rival != peer;
    if (is_rival && rival->proven) return NULL;
    if (is_rival) {
        rival->leaving = true;
        index_all(view);
    }
    if (!peer) peer = append(view, news->id, news->transport_public);
    if (!peer) return NULL;

    bool is_moved = peer->leaving || !sl_hash_equal(peer->transport_public, news->transport_public);
    peer->leaving = false;
    if (is_moved) set_key(view, peer, news->transport_public);
    if (news->sequence > peer->sequence) take_news(peer, news);
    peer->proven = true;
    return peer;
}

struct sl_descriptor sl_view_descriptor(const struct sl_view_peer *peer)
{
    struct sl_descriptor out = {.sequence = peer->sequence, .until_s = peer->until_s, .expires_s = peer->expires_s};
    memcpy(out.id, peer->id, 32);
    memcpy(out.sign_public, peer->sign_public, 32);
    memcpy(out.transport_public, peer->transport_public, 32);
    memcpy(out.certificate_hash, peer->certificate_hash, 32);
    memcpy(out.host_id, peer->host_id, 32);
    memcpy(out.address, peer->address, sizeof out.address);
    memcpy(out.name, peer->name, sizeof out.name);
    return out;
}

uint32_t sl_view_sweep(struct sl_view *view)
{
    uint32_t n_kept = 0, n_before = view->n_peers;
    for (uint32_t i = 0; i < n_before; i++) {
        if (view->peers[i].leaving) continue;
        if (n_kept != i) view->peers[n_kept] = view->peers[i];
        n_kept++;
    }
    view->n_peers = n_kept;
    if (n_kept != n_before) index_all(view);
    return n_before - n_kept;
}

bool sl_view_is_live(const struct sl_view_peer *peer)
{
    bool is_somebody = peer->proven || peer->address[0];
    return is_somebody && !peer->banned && !peer->leaving && peer->misses < SL_VIEW_MISSES_DEAD;
}

uint32_t sl_view_count_live(const struct sl_view *view)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < view->n_peers; i++) n += sl_view_is_live(&view->peers[i]);
    return n;
}

static struct sl_hash begin_position(const uint8_t network_id[32], uint64_t epoch)
{
    struct sl_hash hash;
    sl_hash_init(&hash, "pos");
    sl_hash_bytes(&hash, network_id, 32);
    sl_hash_u64(&hash, epoch);
    return hash;
}

static uint64_t end_position(struct sl_hash hash, const uint8_t id[32])
{
    uint8_t out[32];
    sl_hash_bytes(&hash, id, 32);
    sl_hash_final(&hash, out);
    return head_of(out);
}

uint64_t sl_ring_position(const uint8_t network_id[32], uint64_t epoch, const uint8_t id[32])
{
    return end_position(begin_position(network_id, epoch), id);
}

uint64_t sl_view_position(const struct sl_view *view, const uint8_t id[32])
{
    return end_position(view->ring_hash, id);
}

static void swap_places(struct sl_view *view, uint32_t a, uint32_t b)
{
    uint32_t peer = view->ring[a];
    uint64_t position = view->ring_positions[a];
    view->ring[a] = view->ring[b];
    view->ring_positions[a] = view->ring_positions[b];
    view->ring[b] = peer;
    view->ring_positions[b] = position;
}

static void sift_down(struct sl_view *view, uint32_t root, uint32_t n)
{
    for (uint32_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && view->ring_positions[child + 1] > view->ring_positions[child]) child++;
        if (view->ring_positions[root] >= view->ring_positions[child]) return;
        swap_places(view, root, child);
    }
}

/* Heap sort: in place, and glibc's qsort may allocate. */
static void sort_ring(struct sl_view *view)
{
    uint32_t n = view->n_ring;
    for (uint32_t i = n / 2; i-- > 0;) sift_down(view, i, n);
    for (uint32_t last = n; last-- > 1;) {
        swap_places(view, 0, last);
        sift_down(view, 0, last);
    }
}

void sl_view_turn(struct sl_view *view, const uint8_t network_id[32], uint64_t epoch, const uint8_t own_id[32])
{
    view->ring_hash = begin_position(network_id, epoch);
    view->ring[0] = SL_VIEW_SELF;
    view->ring_positions[0] = sl_view_position(view, own_id);
    view->n_ring = 1;
    for (uint32_t i = 0; i < view->n_peers; i++) {
        struct sl_view_peer *peer = &view->peers[i];
        if (!sl_view_is_live(peer)) continue;
        peer->position = sl_view_position(view, peer->id);
        view->ring[view->n_ring] = i;
        view->ring_positions[view->n_ring++] = peer->position;
    }
    sort_ring(view);

    view->own_place = 0;
    while (view->ring[view->own_place] != SL_VIEW_SELF) view->own_place++;
}

uint32_t sl_view_ring_distance(const struct sl_view *view, const uint8_t id[32])
{
    uint64_t position = sl_view_position(view, id);
    uint32_t low = 0, high = view->n_ring;
    while (low < high) {                            /* first place at or after the position */
        uint32_t middle = low + (high - low) / 2;
        if (view->ring_positions[middle] < position) low = middle + 1;
        else high = middle;
    }
    uint32_t ahead = (low + view->n_ring - view->own_place) % view->n_ring, behind = view->n_ring - ahead;
    return ahead < behind ? ahead : behind;
}

struct sl_view_peer *sl_view_ring_peer(const struct sl_view *view, int offset)
{
    int64_t n = view->n_ring, place = ((int64_t)view->own_place + offset) % n;
    uint32_t index = view->ring[place < 0 ? place + n : place];
    return index == SL_VIEW_SELF ? NULL : &view->peers[index];
}

static bool is_among(const uint8_t id[32], const uint8_t (*ids)[32], uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (memcmp(id, ids[i], 32) == 0) return true;
    return false;
}

/* Uniform over the peers with a property, by one pass and one draw per hit (reservoir of one). */
struct sl_view_peer *sl_view_draw_dead(const struct sl_view *view, struct sl_rng *rng)
{
    struct sl_view_peer *drawn = NULL;
    for (uint32_t i = 0, n_hits = 0; i < view->n_peers; i++) {
        struct sl_view_peer *peer = &view->peers[i];
        if (peer->banned || peer->leaving || !peer->address[0] || sl_view_is_live(peer)) continue;
        if (sl_rng_below(rng, ++n_hits) == 0) drawn = peer;
    }
    return drawn;
}

struct sl_view_peer *sl_view_draw(const struct sl_view *view, struct sl_rng *rng, const uint8_t (*excluded)[32], uint32_t n_excluded)
{
    if (view->n_peers == 0) return NULL;

    /* A few blind draws nearly always hit; otherwise one pass, as uniform as they are. */
    for (int tries = 0; tries < 8; tries++) {
        struct sl_view_peer *peer = &view->peers[sl_rng_below(rng, view->n_peers)];
        if (sl_view_is_live(peer) && !is_among(peer->id, excluded, n_excluded)) return peer;
    }
    struct sl_view_peer *drawn = NULL;
    for (uint32_t i = 0, n_hits = 0; i < view->n_peers; i++) {
        struct sl_view_peer *peer = &view->peers[i];
        if (!sl_view_is_live(peer) || is_among(peer->id, excluded, n_excluded)) continue;
        if (sl_rng_below(rng, ++n_hits) == 0) drawn = peer;
    }
    return drawn;
}
