/* SPDX-License-Identifier: MIT */
#include "forge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "config/plan.h"
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
    forged->n_lists = sl_audit_rows_of(&stage->config, dim) > 0 ? 4 : 3;
    for (uint32_t i = 0; i < forged->n_lists; i++) forged->sets[i] = sl_first_bits(n_members);
    struct sl_rng rng = rng_of(forged, "propose", initiator);
    sl_rng_bytes(&rng, forged->propose.nonce, 32);
    forged->propose.aim = stage->config.cohort_min_size;
    forged->propose.ring_bits = stage->config.ring_bits;
    forged->propose.radius_q = (uint32_t)(stage_status(stage).sharing_radius * 65536);
    privacy_state(stage->node, &forged->propose);
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
    sl_propose_hash(&envelope, forged->propose_hash);
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
    uint8_t seed[32];
    sl_rng_bytes(&rng, seed, 32);
    sl_mask_keypair(seed, member->mask_public, member->mask_secret);
    sl_rng_bytes(&rng, seed, 32);
    sl_mask_keypair(seed, member->box_public, member->box_secret);
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
    memcpy(self->box_public, join.box_public, 32);
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
    forged->ring_exponent = privacy_ring_exponent(&forged->propose, forged->n_members);
}

void forge_say_roster(struct forged *forged)
{
    puppet_deliver(forged->stage, forged->initiator, forged->roster_bytes, forged->roster_size);
}

/* ---- the sum, lists, signatures ---- */

void forge_lists(struct forged *forged)
{
    static const uint32_t steps[] = {SL_STEP_LIST_SHARES, SL_STEP_LIST_COMMIT, SL_STEP_LIST_OPEN, SL_STEP_LIST_AUDIT};
    const uint8_t *previous = forged->cohort;
    for (uint32_t i = 0; i < forged->n_lists; i++) {
        struct sl_list list = {.step = steps[i] + forged->step_shift, .members = forged->sets[i]};
        memcpy(list.previous, previous, 32);
        struct sl_rng rng = rng_of(forged, "hashes", i);
        for (uint32_t j = 0; j < FORGED_MAX; j++)
            if (list.members >> j & 1) sl_rng_bytes(&rng, list.hashes[list.n_hashes++], 32);
        struct sl_writer writer = sl_writer_over(forged->list_bytes[i], sizeof forged->list_bytes[i]);
        sl_write_list(&writer, &list);
        forged->list_size[i] = writer.size;
        sl_body_hash(writer.bytes, writer.size, forged->list_hash[i]);
        previous = forged->list_hash[i];
    }
}

/* Of random small vectors: who was in it is on nobody's word but the signers'. */
void forge_sum(struct forged *forged)
{
    uint32_t dim = dim_of(forged), bits = forged->stage->config.aggregate_bits, last = forged->n_lists - 1, n = 0;
    memset(forged->sum, 0, (size_t)4 * dim);
    for (uint32_t i = 0; i < forged->n_members; i++) {
        if (!(forged->sets[last] >> i & 1)) continue;
        struct sl_rng rng = rng_of(forged, "vector", forged->members[i].who);
        for (uint32_t j = 0; j < dim; j++) forged->sum[j] += sl_rng_below(&rng, 2001) - 1000;
        n++;
    }
    int exponent;
    sl_mean_encode(forged->ref, forged->propose.ref_exponent, forged->sum, n, forged->ring_exponent, dim, bits, forged->mean, &exponent);
    forged->mean_size = (size_t)dim * bits / 8;
    sl_merkle_build(&forged->mean_tree, forged->mean, forged->mean_size, (size_t)SL_CHUNK_ELEMENTS * bits / 8);
    forged->result = (struct sl_result){.members = forged->sets[last], .bits = bits, .exponent = exponent};
    memcpy(forged->result.chain, forged->list_hash[last], 32);
    memcpy(forged->confirm.chain, forged->list_hash[last], 32);
    memcpy(forged->result.root, forged->mean_tree.root, 32);
}

static void sign(struct forged *forged, uint32_t who, enum sl_message_type type, uint8_t signature[64])
{
    struct sl_envelope envelope;
    struct sl_writer writer = puppet_begin(forged->stage, who, type, forged->epoch, forged->cohort);
    if (type == SL_MESSAGE_CONFIRM) sl_write_confirm(&writer, &forged->confirm);
    else sl_write_raw(&writer, forged->result_bytes, forged->result_size);
    size_t size = puppet_seal(forged->stage, who, &writer, type);
    int error = sl_envelope_open(forged->stage->out, size, forged->stage->config.network_id, &envelope);
    assert(error == SL_OK);
    memcpy(signature, envelope.signature, 64);
}

void forge_name_signers(struct forged *forged, uint64_t confirms, uint64_t results)
{
    struct sl_signatures *c = &forged->aggregate.confirms, *r = &forged->aggregate.results;
    *c = (struct sl_signatures){.signers = confirms};
    *r = (struct sl_signatures){.signers = results};
    for (uint32_t i = 0; i < FORGED_MAX; i++) {
        if (confirms >> i & 1) c->all[c->n++] = forged->members[i].confirm_signature;
        if (results >> i & 1) r->all[r->n++] = forged->members[i].result_signature;
    }
}

void forge_results(struct forged *forged)
{
    struct sl_writer body = sl_writer_over(forged->result_bytes, sizeof forged->result_bytes);
    sl_write_result(&body, &forged->result);
    forged->result_size = body.size;
    for (uint32_t i = 0; i < forged->n_members; i++) {
        struct forged_member *member = &forged->members[i];
        sign(forged, member->who, SL_MESSAGE_RESULT, member->result_signature);
        sign(forged, member->who, SL_MESSAGE_CONFIRM, member->confirm_signature);
    }
    forged->aggregate = (struct sl_aggregate){
        .propose = forged->propose_bytes, .propose_size = forged->propose_size, .roster = forged->roster_bytes, .roster_size = forged->roster_size,
        .n_lists = forged->n_lists, .result = forged->result_bytes, .result_size = forged->result_size};
    for (uint32_t i = 0; i < forged->n_lists; i++) {
        forged->aggregate.lists[i] = forged->list_bytes[i];
        forged->aggregate.list_sizes[i] = forged->list_size[i];
    }
    forge_name_signers(forged, forged->sets[0], forged->sets[0]);
}

void forge_aggregate(struct forged *forged)
{
    forge_seal_propose(forged);
    forge_joins(forged);
    forge_prove(forged);
}

void forge_prove(struct forged *forged)
{
    forge_roster(forged);
    forge_lists(forged);
    forge_sum(forged);
    forge_results(forged);
}

/* ---- saying it ---- */

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

/* In this epoch the core follows puppet 0 wherever it leads these puppets: its own leader would have to ask the whole group. */
static bool suits(const struct stage *stage, uint32_t n_puppets)
{
    const struct sl_node *node = stage->node;
    if (group_is_led_by(node, stage->puppets[0].id)) return false;
    for (uint32_t i = 0; i < n_puppets && group_is_known(node); i++)
        if (sl_view_ring_distance(&node->view, stage->puppets[i].id) > group_window(node)) return false;
    return true;
}

static void to_epoch_that_suits(struct stage *stage, uint32_t n_puppets)
{
    for (int i = 0; i < 200; i++) {
        stage_to_epoch_as(stage, false);
        if (suits(stage, n_puppets)) return;
        if (stage->holds_jobs) stage_finish_job(stage, SL_OK);           /* of the epoch that is passed over */
    }
    assert(!"no such epoch");
}

struct forged *forge_cohort(struct stage *stage, uint32_t n_puppets)
{
    uint32_t members[FORGED_MAX] = {PUPPET_SELF};
    for (uint32_t i = 0; i < n_puppets; i++) members[i + 1] = i;
    to_epoch_that_suits(stage, n_puppets);
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
