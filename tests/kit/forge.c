/* SPDX-License-Identifier: MIT */
#include "forge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/mask.h"
#include "share/quantise.h"
#include "starling/error.h"

static struct sl_rng rng_of(const struct forged *forged, const char *label, uint32_t who)
{
    uint8_t seed[32] = {77};
    struct sl_rng root;
    sl_rng_init(&root, seed);
    return sl_rng_fork(&root, label, forged->epoch * 2000 + who);
}

static uint32_t dim_of(const struct forged *forged)
{
    return forged->stage->node->n_block;
}

/* Roster order is the order of ids. */
static void sort_members(struct forged *forged)
{
    for (uint32_t i = 1; i < forged->n_members; i++)
        for (uint32_t at = i; at > 0; at--) {
            struct forged_member *a = &forged->members[at - 1], *b = &forged->members[at];
            if (memcmp(stage_identity(forged->stage, a->who)->id, stage_identity(forged->stage, b->who)->id, 32) < 0) break;
            uint32_t who = a->who;
            a->who = b->who;
            b->who = who;
        }
}

static void make_reference(struct forged *forged)
{
    struct sl_node *node = forged->stage->node;
    uint32_t dim = dim_of(forged);
    float *anchor = calloc(dim, sizeof *anchor);
    struct sl_merkle tree;
    assert(anchor);
    for (uint32_t j = 0; j < dim; j++) anchor[j] = node->anchor[node->block[j]];
    forged->propose.ref_exponent = sl_ref_exponent(anchor, dim);
    sl_ref_encode(anchor, dim, forged->propose.ref_exponent, forged->ref);
    sl_merkle_build(&tree, forged->ref, (size_t)2 * dim, 2 * SL_CHUNK_ELEMENTS);
    memcpy(forged->propose.ref_root, tree.root, 32);
    free(anchor);
}

struct forged *forge_new(struct stage *stage, uint32_t initiator, const uint32_t *members, uint32_t n_members)
{
    struct forged *forged = calloc(1, sizeof *forged);
    assert(forged && n_members <= FORGED_MAX);
    forged->stage = stage;
    forged->epoch = stage_epoch(stage);
    forged->initiator = initiator;
    forged->n_members = n_members;
    for (uint32_t i = 0; i < n_members; i++) forged->members[i].who = members[i];
    sort_members(forged);

    uint32_t dim = stage->node->k;
    forged->ref = calloc(dim, 2);
    forged->sum = calloc(dim, 4);
    forged->mean = calloc(dim, 4);
    assert(forged->ref && forged->sum && forged->mean);
    for (uint32_t i = 0; i < n_members; i++) {
        forged->members[i].y = calloc(dim, 4);
        forged->members[i].y_bytes = calloc(dim, 4);
        assert(forged->members[i].y && forged->members[i].y_bytes);
    }
    struct sl_rng rng = rng_of(forged, "propose", initiator);
    sl_rng_bytes(&rng, forged->propose.nonce, 32);
    forged->propose.aim = 4;
    forged->propose.ring_bits = 32;
    forged->propose.radius_q = (uint32_t)(stage_status(stage).sharing_radius * 65536);
    for (uint32_t i = 0; i < n_members; i++)
        if (forged->members[i].who != initiator)
            memcpy(forged->propose.candidates[forged->propose.n_candidates++], stage_identity(stage, forged->members[i].who)->id, 32);
    make_reference(forged);
    return forged;
}

void forge_destroy(struct forged **pointer)
{
    struct forged *forged = *pointer;
    if (!forged) return;

    for (uint32_t i = 0; i < forged->n_members; i++) {
        free(forged->members[i].y);
        free(forged->members[i].y_bytes);
    }
    free(forged->ref);
    free(forged->sum);
    free(forged->mean);
    free(forged);
    *pointer = NULL;
}

void forge_seal_propose(struct forged *forged)
{
    struct sl_envelope envelope;
    struct sl_writer writer = puppet_begin(forged->stage, forged->initiator, SL_MESSAGE_PROPOSE, forged->epoch, NULL);
    sl_write_propose(&writer, &forged->propose);
    forged->propose_size = puppet_seal(forged->stage, forged->initiator, &writer, SL_MESSAGE_PROPOSE);
    assert(forged->propose_size <= sizeof forged->propose_bytes);
    memcpy(forged->propose_bytes, forged->stage->out, forged->propose_size);
    int error = sl_envelope_open(forged->propose_bytes, forged->propose_size, forged->stage->config.network_id, &envelope);
    assert(error == SL_OK);
    sl_body_hash(envelope.body, envelope.body_size, forged->propose_hash);
}

void forge_say_propose(struct forged *forged)
{
    puppet_deliver(forged->stage, forged->initiator, forged->propose_bytes, forged->propose_size);
}

/* ---- JOINs and the ROSTER ---- */

struct sl_join forge_join_body(struct forged *forged, struct forged_member *member)
{
    const struct sl_identity *identity = stage_identity(forged->stage, member->who);
    struct sl_rng rng = rng_of(forged, "join", member->who);
    struct sl_join join = {.certificate = identity->certificate, .certificate_size = identity->certificate_size};
    uint8_t seed[32], box_secret[32];
    sl_rng_bytes(&rng, seed, 32);
    sl_mask_keypair(seed, member->mask_public, member->mask_secret);
    sl_rng_bytes(&rng, seed, 32);
    sl_mask_keypair(seed, member->box_public, box_secret);
    memcpy(join.sign_public, identity->sign_public, 32);
    memcpy(join.transport_public, identity->transport_public, 32);
    memcpy(join.address, identity->address, sizeof join.address);
    memcpy(join.mask_public, member->mask_public, 32);
    memcpy(join.box_public, member->box_public, 32);
    sl_rng_bytes(&rng, join.nonce, 32);
    return join;
}

void forge_join(struct forged *forged, struct forged_member *member, struct sl_join *join)
{
    struct sl_writer writer = puppet_begin(forged->stage, member->who, SL_MESSAGE_JOIN, forged->epoch, forged->propose_hash);
    sl_write_join(&writer, join);
    member->join_size = puppet_seal(forged->stage, member->who, &writer, SL_MESSAGE_JOIN);
    memcpy(member->join, forged->stage->out, member->join_size);
}

void forge_joins(struct forged *forged)
{
    for (uint32_t i = 0; i < forged->n_members; i++) {
        if (forged->members[i].who == PUPPET_SELF) continue;
        struct sl_join join = forge_join_body(forged, &forged->members[i]);
        forge_join(forged, &forged->members[i], &join);
    }
}

bool forge_take_join(struct forged *forged)
{
    struct forged_member *self = forge_self(forged);
    const struct sent *sent = stage_last_to(forged->stage, SL_MESSAGE_JOIN, forged->initiator);
    struct sl_envelope envelope;
    struct sl_join join;
    if (!sent || sl_envelope_open(sent->bytes, sent->size, forged->stage->config.network_id, &envelope) != SL_OK) return false;
    if (!sl_hash_equal(envelope.cohort, forged->propose_hash) || sl_read_join(&envelope, &join) != SL_OK) return false;

    self->join_size = sent->size;
    memcpy(self->join, sent->bytes, sent->size);
    memcpy(self->mask_public, join.mask_public, 32);
    return true;
}

void forge_roster(struct forged *forged)
{
    struct sl_roster roster = {.n_joins = forged->n_members};
    for (uint32_t i = 0; i < forged->n_members; i++) {
        roster.joins[i].bytes = forged->members[i].join;
        roster.joins[i].size = forged->members[i].join_size;
    }
    struct sl_writer writer = puppet_begin(forged->stage, forged->initiator, SL_MESSAGE_ROSTER, forged->epoch, forged->propose_hash);
    sl_write_roster(&writer, &roster);
    forged->roster_size = puppet_seal(forged->stage, forged->initiator, &writer, SL_MESSAGE_ROSTER);
    memcpy(forged->roster_bytes, forged->stage->out, forged->roster_size);

    struct sl_envelope envelope;
    int error = sl_envelope_open(forged->roster_bytes, forged->roster_size, forged->stage->config.network_id, &envelope);
    assert(error == SL_OK);
    sl_hash_once("cohort", envelope.body, envelope.body_size, forged->cohort);
    forged->ring_exponent = sl_ring_exponent(forged->propose.radius_q, forged->n_members, 32);
}

void forge_say_roster(struct forged *forged)
{
    puppet_deliver(forged->stage, forged->initiator, forged->roster_bytes, forged->roster_size);
}

/* ---- vectors, lists, results ---- */

static void mask(struct forged *forged, uint32_t own)
{
    struct forged_member *member = &forged->members[own];
    struct sl_mask_context context = {.network_id = forged->stage->config.network_id, .cohort_id = forged->cohort, .epoch = forged->epoch,
                                      .own_id = stage_identity(forged->stage, member->who)->id, .own_index = own};
    for (uint32_t i = 0; i < forged->n_members; i++) {
        uint8_t seed[32];
        if (i == own) continue;
        context.peer_id = stage_identity(forged->stage, forged->members[i].who)->id;
        context.peer_index = i;
        int error = sl_mask_pair_seed(&context, member->mask_public, member->mask_secret, forged->members[i].mask_public, seed);
        assert(error == SL_OK);
        sl_mask_add(seed, i > own ? 1 : -1, member->y, dim_of(forged));
    }
}

static void hash_body(struct sl_writer *writer, uint8_t out[32])
{
    sl_body_hash(writer->bytes, writer->size, out);
}

void forge_vectors(struct forged *forged)
{
    for (uint32_t i = 0; i < forged->n_members; i++) {
        struct forged_member *member = &forged->members[i];
        uint8_t body[SMALL_MAX];
        if (member->who == PUPPET_SELF) continue;
        struct sl_rng rng = rng_of(forged, "vector", member->who);
        for (uint32_t j = 0; j < dim_of(forged); j++) member->y[j] = sl_rng_below(&rng, 2001) - 1000;
        mask(forged, i);
        for (uint32_t j = 0; j < dim_of(forged); j++)
            for (int b = 0; b < 4; b++) member->y_bytes[4 * j + b] = (uint8_t)(member->y[j] >> 8 * b);
        sl_merkle_build(&member->tree, member->y_bytes, (size_t)4 * dim_of(forged), 4 * SL_CHUNK_ELEMENTS);
        memcpy(member->commit.root, member->tree.root, 32);
        struct sl_writer writer = sl_writer_over(body, sizeof body);
        sl_write_commit(&writer, &member->commit);
        hash_body(&writer, member->commit_hash);
    }
}

static bool open_sent(struct forged *forged, enum sl_message_type type, struct sl_envelope *envelope)
{
    const struct sent *sent = stage_last(forged->stage, type);
    return sent && sl_envelope_open(sent->bytes, sent->size, forged->stage->config.network_id, envelope) == SL_OK;
}

void forge_take_commit(struct forged *forged)
{
    struct sl_envelope envelope;
    struct forged_member *self = forge_self(forged);
    bool done = open_sent(forged, SL_MESSAGE_COMMIT, &envelope) && sl_read_commit(&envelope, &self->commit) == SL_OK;
    assert(done);
    sl_body_hash(envelope.body, envelope.body_size, self->commit_hash);
}

void forge_take_open(struct forged *forged)
{
    struct sl_envelope envelope;
    struct forged_member *self = forge_self(forged);
    bool done = open_sent(forged, SL_MESSAGE_OPEN, &envelope) && sl_read_open(&envelope, &self->open) == SL_OK;
    assert(done);
    sl_body_hash(envelope.body, envelope.body_size, self->open_hash);
}

void forge_list(struct forged *forged, uint32_t step)
{
    uint32_t index = step == STEP_LIST_OPEN;
    struct sl_list list = {.step = step, .n_hashes = forged->n_members};
    memcpy(list.previous, index ? forged->list_hash[0] : forged->cohort, 32);
    for (uint32_t i = 0; i < forged->n_members; i++)
        memcpy(list.hashes[i], index ? forged->members[i].open_hash : forged->members[i].commit_hash, 32);
    struct sl_writer writer = sl_writer_over(forged->list_bytes[index], sizeof forged->list_bytes[index]);
    sl_write_list(&writer, &list);
    forged->list_size[index] = writer.size;
    hash_body(&writer, forged->list_hash[index]);
}

void forge_opens(struct forged *forged)
{
    for (uint32_t i = 0; i < forged->n_members; i++) {
        struct forged_member *member = &forged->members[i];
        uint8_t body[SMALL_MAX];
        if (member->who == PUPPET_SELF) continue;
        struct sl_rng rng = rng_of(forged, "open", member->who);
        memcpy(member->open.list_hash, forged->list_hash[0], 32);
        sl_rng_bytes(&rng, member->open.nonce, 32);
        struct sl_writer writer = sl_writer_over(body, sizeof body);
        sl_write_open(&writer, &member->open);
        hash_body(&writer, member->open_hash);
    }
}

void forge_sum(struct forged *forged)
{
    uint32_t dim = dim_of(forged), bits = forged->stage->config.aggregate_bits;
    memset(forged->sum, 0, (size_t)4 * dim);
    for (uint32_t i = 0; i < forged->n_members; i++)
        for (uint32_t j = 0; j < dim; j++) forged->sum[j] += forged->members[i].y[j];

    int exponent;
    sl_mean_encode(forged->ref, forged->propose.ref_exponent, forged->sum, forged->n_members, forged->ring_exponent, dim, bits, forged->mean, &exponent);
    forged->mean_size = (size_t)dim * bits / 8;
    sl_merkle_build(&forged->mean_tree, forged->mean, forged->mean_size, (size_t)SL_CHUNK_ELEMENTS * bits / 8);
    forged->result = (struct sl_result){.members = ((uint64_t)1 << forged->n_members) - 1, .bits = bits, .exponent = exponent};
    memcpy(forged->result.chain, forged->list_hash[1], 32);
    memcpy(forged->result.root, forged->mean_tree.root, 32);
}

void forge_results(struct forged *forged)
{
    struct sl_writer body = sl_writer_over(forged->result_bytes, sizeof forged->result_bytes);
    sl_write_result(&body, &forged->result);
    forged->result_size = body.size;
    for (uint32_t i = 0; i < forged->n_members; i++) {
        struct forged_member *member = &forged->members[i];
        struct sl_envelope envelope;
        if (member->who == PUPPET_SELF) continue;
        struct sl_writer writer = puppet_begin(forged->stage, member->who, SL_MESSAGE_RESULT, forged->epoch, forged->cohort);
        sl_write_raw(&writer, forged->result_bytes, forged->result_size);
        size_t size = puppet_seal(forged->stage, member->who, &writer, SL_MESSAGE_RESULT);
        int error = sl_envelope_open(forged->stage->out, size, forged->stage->config.network_id, &envelope);
        assert(error == SL_OK);
        memcpy(member->result_signature, envelope.signature, 64);
    }
    forged->aggregate = (struct sl_aggregate){
        .propose = forged->propose_bytes, .propose_size = forged->propose_size, .roster = forged->roster_bytes, .roster_size = forged->roster_size,
        .lists = {forged->list_bytes[0], forged->list_bytes[1]}, .list_sizes = {forged->list_size[0], forged->list_size[1]},
        .result = forged->result_bytes, .result_size = forged->result_size,
        .signers = ((uint64_t)1 << forged->n_members) - 1, .n_signatures = forged->n_members};
    for (uint32_t i = 0; i < forged->n_members; i++) forged->aggregate.signatures[i] = forged->members[i].result_signature;
}

void forge_aggregate(struct forged *forged)
{
    forge_seal_propose(forged);
    forge_joins(forged);
    forge_roster(forged);
    forge_vectors(forged);
    forge_list(forged, STEP_LIST_COMMIT);
    forge_opens(forged);
    forge_list(forged, STEP_LIST_OPEN);
    forge_sum(forged);
    forge_results(forged);
}

/* ---- saying it ---- */

static void say_step(struct forged *forged, uint32_t place, uint32_t via, enum sl_message_type type)
{
    struct forged_member *member = &forged->members[place];
    struct sl_writer writer = puppet_begin(forged->stage, member->who, type, forged->epoch, forged->cohort);
    if (type == SL_MESSAGE_COMMIT) sl_write_commit(&writer, &member->commit);
    else if (type == SL_MESSAGE_OPEN) sl_write_open(&writer, &member->open);
    else sl_write_raw(&writer, forged->result_bytes, forged->result_size);
    size_t size = puppet_seal(forged->stage, member->who, &writer, type);
    puppet_deliver(forged->stage, via, forged->stage->out, size);
}

void forge_say_commit(struct forged *forged, uint32_t member, uint32_t via)
{
    say_step(forged, forge_place(forged, member), via, SL_MESSAGE_COMMIT);
}

void forge_say_open(struct forged *forged, uint32_t member, uint32_t via)
{
    say_step(forged, forge_place(forged, member), via, SL_MESSAGE_OPEN);
}

void forge_say_result(struct forged *forged, uint32_t member, uint32_t via)
{
    say_step(forged, forge_place(forged, member), via, SL_MESSAGE_RESULT);
}

void forge_say_list(struct forged *forged, uint32_t step, uint32_t via)
{
    uint32_t index = step == STEP_LIST_OPEN;
    struct sl_writer writer = puppet_begin(forged->stage, via, SL_MESSAGE_LIST, forged->epoch, forged->cohort);
    sl_write_raw(&writer, forged->list_bytes[index], forged->list_size[index]);
    puppet_say(forged->stage, via, &writer, SL_MESSAGE_LIST);
}

void forge_say_aggregate(struct forged *forged, uint32_t via)
{
    struct sl_writer writer = puppet_begin(forged->stage, via, SL_MESSAGE_AGGREGATE, forged->epoch, forged->cohort);
    sl_write_aggregate(&writer, &forged->aggregate);
    puppet_say(forged->stage, via, &writer, SL_MESSAGE_AGGREGATE);
}

void forge_say_chunk(struct forged *forged, uint32_t via, const struct sl_merkle *tree, const uint8_t *bytes, uint32_t index)
{
    struct sl_chunk chunk = {.index = index};
    size_t start = index * tree->chunk_size, left = tree->size - start;
    memcpy(chunk.root, tree->root, 32);
    chunk.n_path = sl_merkle_path(tree, index, chunk.path);
    chunk.data = bytes + start;
    chunk.data_size = left < tree->chunk_size ? left : tree->chunk_size;
    struct sl_writer writer = puppet_begin(forged->stage, via, SL_MESSAGE_CHUNK, forged->epoch, NULL);
    sl_write_chunk(&writer, &chunk);
    puppet_say(forged->stage, via, &writer, SL_MESSAGE_CHUNK);
}

uint32_t forge_place(const struct forged *forged, uint32_t who)
{
    for (uint32_t i = 0; i < forged->n_members; i++)
        if (forged->members[i].who == who) return i;
    assert(!"not a member");
    return 0;
}

struct forged_member *forge_member(struct forged *forged, uint32_t who)
{
    return &forged->members[forge_place(forged, who)];
}

struct forged_member *forge_self(struct forged *forged)
{
    for (uint32_t i = 0; i < forged->n_members; i++)
        if (forged->members[i].who == PUPPET_SELF) return &forged->members[i];
    return NULL;
}

/* ---- the whole course ---- */

struct forged *forge_cohort(struct stage *stage, uint32_t n_puppets)
{
    uint32_t members[FORGED_MAX] = {PUPPET_SELF};
    for (uint32_t i = 0; i < n_puppets; i++) members[i + 1] = i;
    stage_to_epoch_as(stage, false);
    stage_connect_all(stage);
    stage_forget(stage);
    struct forged *forged = forge_new(stage, 0, members, n_puppets + 1);
    forge_seal_propose(forged);
    forge_say_propose(forged);
    stage_to_phase(stage, stage->config.phase_formation * .43);
    bool joined = forge_take_join(forged);
    assert(joined);
    forge_joins(forged);
    forge_roster(forged);
    forge_say_roster(forged);
    assert(stage->node->cohort.state != COHORT_NONE);
    return forged;
}

void forge_commit_all(struct forged *forged)
{
    forge_vectors(forged);
    forge_take_commit(forged);
    for (uint32_t i = 0; i < forged->n_members; i++)
        if (forged->members[i].who != PUPPET_SELF) forge_say_commit(forged, forged->members[i].who, forged->members[i].who);
    forge_list(forged, STEP_LIST_COMMIT);
}

/* The core's vector, asked for over the initiator's link, one chunk after another. */
static void fetch_core_vector(struct forged *forged)
{
    struct forged_member *self = forge_self(forged);
    size_t size = (size_t)4 * dim_of(forged), chunk_size = (size_t)4 * SL_CHUNK_ELEMENTS;
    for (uint32_t i = 0; i < sl_merkle_chunks(size, chunk_size); i++) {
        struct sl_get get = {.index = i};
        memcpy(get.root, self->commit.root, 32);
        struct sl_writer writer = puppet_begin(forged->stage, forged->initiator, SL_MESSAGE_GET, forged->epoch, NULL);
        sl_write_get(&writer, &get);
        puppet_say(forged->stage, forged->initiator, &writer, SL_MESSAGE_GET);
        struct sl_envelope envelope;
        struct sl_chunk chunk;
        bool served = open_sent(forged, SL_MESSAGE_CHUNK, &envelope) && sl_read_chunk(&envelope, &chunk) == SL_OK && chunk.index == i;
        assert(served);
        memcpy(self->y_bytes + i * chunk_size, chunk.data, chunk.data_size);
    }
    for (uint32_t j = 0; j < dim_of(forged); j++)
        for (int b = 0; b < 4; b++) self->y[j] = (b ? self->y[j] : 0) | (uint32_t)self->y_bytes[4 * j + b] << 8 * b;
}

void forge_open_all(struct forged *forged)
{
    forge_say_list(forged, STEP_LIST_COMMIT, forged->initiator);
    forge_take_open(forged);
    forge_opens(forged);
    for (uint32_t i = 0; i < forged->n_members; i++) {
        struct forged_member *member = &forged->members[i];
        if (member->who == PUPPET_SELF) continue;
        forge_say_open(forged, member->who, member->who);
        for (uint32_t j = 0; j < member->tree.n_chunks; j++) forge_say_chunk(forged, member->who, &member->tree, member->y_bytes, j);
    }
    fetch_core_vector(forged);
    forge_list(forged, STEP_LIST_OPEN);
}
