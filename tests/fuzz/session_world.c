/* SPDX-License-Identifier: MIT */
#include "session_world.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "privacy/mask.h"
#include "session_checks.h"
#include "share/merkle.h"
#include "starling/identity.h"

static const uint8_t network[32] = {0x11, 0x11};
static struct world *worlds[WORLD_KINDS], *current;          /* made when they are first wanted; the one that runs */

const uint8_t *world_network(void)
{
    return network;
}

bool world_is_liar(const struct world *world, uint32_t member)
{
    return world->liars >> member & 1;
}

static uint32_t place_of(const struct world *world, const uint8_t id[32])
{
    for (uint32_t i = 0; i < world->n; i++)
        if (sl_hash_equal(world->members[i].public_keys.id, id)) return i;
    return world->n;
}

/* ---- what sessions say ---- */

static uint32_t self_of(const void *context)
{
    return (uint32_t)((const struct world_member *)context - current->members);
}

void world_send(struct world *world, uint32_t author, uint32_t sender, uint32_t to, const uint8_t *bytes, size_t size, bool is_true)
{
    if (world->n_bytes + size > WORLD_BYTES_MAX) return;             /* as if it were lost */

    struct sl_envelope envelope;
    int error = sl_envelope_open(bytes, size, network, &envelope);
    memcpy(world->bytes + world->n_bytes, bytes, size);
    for (uint32_t i = 0; i < world->n && world->n_packets < WORLD_PACKETS_MAX; i++) {
        if (i == sender || (to != SL_SESSION_ALL && to != i)) continue;
        world->packets[world->n_packets++] = (struct packet){
            .author = author, .sender = sender, .to = i, .type = error ? 0 : envelope.type, .at = world->n_bytes, .size = size,
            .is_waiting = true, .is_true = is_true};
    }
    world->n_bytes += size;
}

/* Where the old one has been before is not forgotten. */
void world_reword(struct world *world, uint32_t index, size_t at, size_t size, bool is_true)
{
    if (world->n_packets == WORLD_PACKETS_MAX) return;

    struct packet *packet = &world->packets[index], *other = &world->packets[world->n_packets++];
    *other = *packet;
    other->at = at;
    other->size = size;
    other->is_true = is_true;
    other->delivered = 0;
    packet->is_waiting = false;
}

static void on_send(void *context, uint32_t to, const uint8_t *bytes, size_t size)
{
    struct world *world = current;
    uint32_t self = self_of(context);
    struct sl_envelope envelope;
    int error = sl_envelope_open(bytes, size, network, &envelope);
    assert(error == SL_OK && envelope.epoch == WORLD_EPOCH && sl_hash_equal(envelope.cohort, world->cohort));
    assert(to == SL_SESSION_ALL || (to < world->n && to != self));

    uint32_t author = place_of(world, envelope.from);
    bool is_true = author == self ? true : checks_may_relay(world, self, &envelope);
    if (!world_is_liar(world, self)) checks_sent(world, self, author, &envelope);
    world_send(world, author, self, to, bytes, size, is_true);
}

static void on_want(void *context, uint32_t member)
{
    struct world_member *self = context;
    assert(member < current->n && member != self_of(context));
    self->wanted |= UINT32_C(1) << member;
}

static bool on_encode(void *context, const uint32_t *sum, uint64_t members, struct sl_result *out)
{
    (void)context;
    out->members = members;
    out->bits = 16;
    out->exponent = 3;
    sl_hash_once("sum", sum, WORLD_DIM * sizeof *sum, out->root);
    return true;
}

static void on_accuse(void *context, uint32_t member, const uint8_t *body, size_t size)
{
    if (!world_is_liar(current, self_of(context))) checks_accused(current, member, body, size);
}

static void on_tell(void *context, enum sl_session_news news, uint32_t member, int64_t number)
{
    (void)number;
    if (!world_is_liar(current, self_of(context))) checks_told(current, news, member);
}

static void on_count(void *context, bool made)
{
    (void)context;
    (void)made;
}

/* ---- making a cohort ---- */

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct world_member *)a)->public_keys.id, ((const struct world_member *)b)->public_keys.id, 32);
}

static void make_keys(struct world *world)
{
    for (uint32_t i = 0; i < world->n; i++) {
        struct world_member *member = &world->members[i];
        uint8_t seed[32] = {0x77, (uint8_t)i};
        crypto_sign_seed_keypair(member->public_keys.sign_public, member->sign_secret, seed);
        sl_identity_id(network, member->public_keys.sign_public, member->public_keys.id);
        seed[2] = 1;
        sl_mask_keypair(seed, member->public_keys.mask_public, member->mask_secret);
        seed[2] = 2;
        sl_mask_keypair(seed, member->public_keys.box_public, member->box_secret);
    }
    qsort(world->members, world->n, sizeof *world->members, by_id);
}

/* The first member is the initiator. */
static void make_roster(struct world *world)
{
    static uint8_t joins[WORLD_MEMBERS_MAX][1024];
    static const uint8_t proposal[32] = {0x99};
    struct sl_roster roster = {.n_joins = world->n};
    for (uint32_t i = 0; i < world->n; i++) {
        const struct sl_session_member *keys = &world->members[i].public_keys;
        struct sl_join join = {.nonce = {(uint8_t)i}};
        memcpy(join.sign_public, keys->sign_public, 32);
        memset(join.transport_public, (int)(0x10 + i), 32);
        memcpy(join.mask_public, keys->mask_public, 32);
        memcpy(join.box_public, keys->box_public, 32);
        struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_JOIN, network, WORLD_EPOCH, proposal, keys->id, joins[i], sizeof joins[i]);
        sl_write_join(&writer, &join);
        roster.joins[i].bytes = joins[i];
        roster.joins[i].size = sl_envelope_seal(&writer, SL_MESSAGE_JOIN, world->members[i].sign_secret);
    }
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_ROSTER, network, WORLD_EPOCH, proposal, world->members[0].public_keys.id, world->roster,
                                                sizeof world->roster);
    sl_write_roster(&writer, &roster);
    world->roster_size = sl_envelope_seal(&writer, SL_MESSAGE_ROSTER, world->members[0].sign_secret);

    struct sl_envelope envelope;
    int error = sl_envelope_open(world->roster, world->roster_size, network, &envelope);
    assert(!error);
    sl_hash_once("cohort", envelope.body, envelope.body_size, world->cohort);
}

static void make_pair_seed(struct world *world, uint32_t i)
{
    uint32_t j = (i + 1) % world->n;
    const struct sl_session_member *own = &world->members[i].public_keys, *peer = &world->members[j].public_keys;
    struct sl_mask_context context = {.network_id = network, .cohort_id = world->cohort, .epoch = WORLD_EPOCH, .own_id = own->id, .peer_id = peer->id,
                                      .own_index = i, .peer_index = j};
    int error = sl_mask_pair_seed(&context, own->mask_public, world->members[i].mask_secret, peer->mask_public, world->members[i].pair_seed);
    assert(!error);
}

static void begin_session(struct world *world, uint32_t i)
{
    struct world_member *member = &world->members[i];
    struct sl_session_member keys[WORLD_MEMBERS_MAX];
    for (uint32_t j = 0; j < world->n; j++) keys[j] = world->members[j].public_keys;

    struct sl_session_port port = {.context = member, .send = on_send, .want = on_want, .encode = on_encode, .accuse = on_accuse, .tell = on_tell,
                                   .count = on_count};
    struct sl_rng rng;
    uint8_t seed[32] = {0x88, (uint8_t)i, (uint8_t)world->n};
    sl_rng_init(&rng, seed);
    member->block_size = sl_session_size(world->n, WORLD_DIM, world->rows);
    member->block = calloc(1, member->block_size);
    member->first_block = malloc(member->block_size);
    assert(member->block && member->first_block);

    struct sl_arena arena = sl_arena_over(member->block, member->block_size);
    member->session = sl_session_init(&arena, world->n, WORLD_DIM, world->rows, &port, rng);
    assert(member->session);
    struct sl_session_setup setup = {
        .network_id = network, .cohort_id = world->cohort, .sign_secret = member->sign_secret, .roster = world->roster, .roster_size = world->roster_size,
        .epoch = WORLD_EPOCH, .n_members = world->n, .own = i, .initiator = 0, .members = keys, .mask_secret = member->mask_secret,
        .box_secret = member->box_secret, .dim = WORLD_DIM, .ring_bits = world->ring_bits, .rows = world->rows, .ring_exponent = 4,
        .radius_q = 8 << 16};
    bool has_begun = sl_session_begin(member->session, &setup);
    assert(has_begun && sl_session_state(member->session) == SL_SESSION_SHARED);
    memcpy(member->first_block, member->block, member->block_size);
}

static struct world *make_world(uint32_t kind)
{
    struct world *world = calloc(1, sizeof *world);
    assert(world);
    world->n = 3 + kind % 4;
    world->rows = kind / 4 ? 0 : 8;
    world->ring_bits = kind % 2 ? 32 : 16;
    world->bytes = malloc(WORLD_BYTES_MAX);
    assert(world->bytes);

    current = world;
    make_keys(world);
    make_roster(world);
    for (uint32_t i = 0; i < world->n; i++) make_pair_seed(world, i);
    for (uint32_t i = 0; i < world->n; i++) begin_session(world, i);
    world->n_first = world->n_packets;
    memcpy(world->first, world->packets, world->n_first * sizeof *world->first);
    world->n_first_bytes = world->n_bytes;
    return world;
}

struct world *world_begin(uint32_t kind, uint32_t liars)
{
    if (!worlds[kind]) worlds[kind] = make_world(kind);
    struct world *world = current = worlds[kind];

    world->liars = liars & ((1u << world->n) - 1);
    for (uint32_t i = 0; i < world->n; i++) {
        struct world_member *member = &world->members[i];
        memcpy(member->block, member->first_block, member->block_size);
        memset(member->sets, 0, sizeof member->sets);
        member->wanted = 0;
        member->has_input = member->is_over = false;
    }
    world->n_packets = world->n_first;
    world->n_bytes = world->n_first_bytes;
    memcpy(world->packets, world->first, world->n_first * sizeof *world->first);
    checks_begin(world);
    return world;
}

/* ---- what happens ---- */

/* The message lies in a block of its own size: the address sanitizer sees every read past its end. */
void world_deliver(struct world *world, uint32_t index, uint32_t to, uint32_t via)
{
    struct packet *packet = &world->packets[index];
    if (to == packet->to) packet->is_waiting = false;
    if (to == via || world->members[to].is_over) return;

    uint8_t *bytes = malloc(packet->size ? packet->size : 1);
    assert(bytes);
    memcpy(bytes, world->bytes + packet->at, packet->size);
    struct sl_envelope envelope;
    if (sl_envelope_open(bytes, packet->size, network, &envelope) == SL_OK) {
        packet->delivered |= UINT32_C(1) << to;
        checks_delivered(world, to, envelope.type);
        sl_session_message(world->members[to].session, &envelope, via);
    }
    free(bytes);
    world_check(world);
}

void world_moment(struct world *world, uint32_t member, enum sl_session_step step, enum sl_session_moment moment)
{
    if (world->members[member].is_over) return;

    sl_session_moment(world->members[member].session, step, moment);
    world_check(world);
}

void world_input(struct world *world, uint32_t member, int32_t size)
{
    struct world_member *self = &world->members[member];
    if (self->has_input || self->is_over) return;

    uint32_t z[WORLD_DIM];
    for (uint32_t j = 0; j < WORLD_DIM; j++) z[j] = checks_input(world, member, j, size);
    self->has_input = true;
    sl_session_input(self->session, z);
    world_check(world);
}

void world_refuse(struct world *world, uint32_t member, uint32_t reason)
{
    if (world->members[member].has_input || world->members[member].is_over) return;

    world->members[member].has_input = true;                 /* none will come */
    sl_session_refuse(world->members[member].session, reason);
    world_check(world);
}

/* From the author, or from whoever has it and gives it away; checked by its root as a driver must. */
static bool fetch_from(struct world *world, uint32_t to, uint32_t holder, uint32_t member)
{
    struct sl_session *session = world->members[to].session, *other = world->members[holder].session;
    const uint8_t *root = sl_session_root(session, member);
    if (!root || holder == to || world->members[holder].is_over || !sl_session_serves(other, member)) return false;

    struct sl_merkle tree;
    size_t size = WORLD_DIM * world->ring_bits / 8;
    const uint8_t *vector = sl_session_vector(other, member);
    sl_merkle_build(&tree, vector, size, (size_t)SL_CHUNK_ELEMENTS * world->ring_bits / 8);
    if (!sl_hash_equal(tree.root, root)) return false;

    memcpy(sl_session_vector(session, member), vector, size);
    return true;
}

void world_fetch(struct world *world, uint32_t member)
{
    struct world_member *self = &world->members[member];
    for (uint32_t i = 0; i < world->n && !self->is_over; i++) {
        if (!(self->wanted >> i & 1)) continue;
        bool is_here = fetch_from(world, member, i, i) || fetch_from(world, member, 0, i);
        if (!is_here) continue;

        self->wanted &= ~(UINT32_C(1) << i);
        sl_session_vector_here(self->session, i);
        world_check(world);
    }
}

void world_end(struct world *world, uint32_t member)
{
    struct world_member *self = &world->members[member];
    if (self->is_over) return;

    sl_session_end(self->session);
    self->is_over = true;
    checks_wiped(world, member);
}

void world_settle(struct world *world)
{
    for (uint32_t at = 0; at < world->n_packets; at++) {
        const struct packet *packet = &world->packets[at];
        if (packet->is_waiting) world_deliver(world, at, packet->to, packet->sender);
        for (uint32_t i = 0; at + 1 == world->n_packets && i < world->n; i++) world_fetch(world, i);
    }
}

void world_check(struct world *world)
{
    for (uint32_t i = 0; i < world->n; i++)
        if (!world_is_liar(world, i) && !world->members[i].is_over) checks_member(world, i);
}
