/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/vec.h"
#include "core/core.h"
#include "privacy/mask.h"
#include "share/quantise.h"
#include "starling/error.h"

/*
 * One cohort, from the roster to the signed aggregate. In this version every member is needed to the end: whoever is lost voids the run.
 * advance() looks at what is here and goes as far as it can; messages and deadlines only add to what is here.
 */

bool cohort_init(struct sl_node *node, struct sl_arena *arena)
{
    struct cohort *cohort = &node->cohort;
    cohort->roster_max = 1024 + node->config.cohort_max_size * JOIN_MAX;
    cohort->roster = SL_RESERVE(arena, uint8_t, cohort->roster_max);
    cohort->ref = SL_TAKE(arena, uint8_t, (size_t)2 * node->k);
    cohort->sum = SL_TAKE(arena, uint32_t, node->k);
    cohort->z = SL_TAKE(arena, uint32_t, node->k);
    bool done = cohort->roster && cohort->ref && cohort->sum && cohort->z;
    for (uint32_t i = 0; i < node->config.cohort_max_size; i++) {
        cohort->members[i].vector = SL_RESERVE(arena, uint8_t, (size_t)4 * node->k);
        done &= cohort->members[i].vector != NULL;
    }
    return done;
}

/* ---- helpers ---- */

static bool is_under_way(const struct cohort *cohort)
{
    return cohort->state != COHORT_NONE && cohort->state != COHORT_DONE && cohort->state != COHORT_VOID;
}

static void set_void(struct sl_node *node, enum step step, const uint8_t culprit[32])
{
    if (!is_under_way(&node->cohort)) return;

    node->cohort.state = COHORT_VOID;
    sl_wipe(node->formation.mask_secret, sizeof node->formation.mask_secret);
    sl_wipe(node->formation.box_secret, sizeof node->formation.box_secret);
    node->counters.cohorts_void++;
    transfer_reset(node, FETCH_REFERENCE);
    transfer_reset(node, FETCH_VECTOR);
    node_trace(node, SL_TRACE_VOID, culprit, step, 0, SL_OK);
}

struct member *cohort_find(struct sl_node *node, const uint8_t id[32])
{
    for (uint32_t i = 0; i < node->cohort.n_members; i++)
        if (sl_hash_equal(node->cohort.members[i].id, id)) return &node->cohort.members[i];
    return NULL;
}

struct contact contact_of_member(const struct member *member)
{
    return (struct contact){.id = member->id, .transport_public = member->transport_public, .address = member->address};
}

static void send_to_all(struct sl_node *node, const uint8_t *bytes, size_t size)
{
    for (uint32_t i = 0; i < node->cohort.n_members; i++) {
        const struct member *member = &node->cohort.members[i];
        struct contact contact = contact_of_member(member);
        if (i != node->cohort.own) links_send_to(node, &contact, bytes, size);
    }
}

static void hold(struct held *held, const uint8_t *bytes, size_t size, const uint8_t *body, size_t body_size)
{
    held->size = (uint32_t)size;
    memcpy(held->bytes, bytes, size);
    sl_body_hash(body, body_size, held->body_hash);
}

/* Seals an own message, keeps it for those who ask again, and sends it to all. */
static bool publish(struct sl_node *node, struct sl_writer *writer, enum sl_message_type type, uint32_t slot)
{
    size_t size;
    struct sl_envelope envelope;
    const uint8_t *bytes = node_seal(node, writer, type, &size);
    if (!bytes || sl_envelope_open(bytes, size, node->config.network_id, &envelope) != SL_OK) {
        set_void(node, STEP_COMMIT, node->self->id);
        return false;
    }
    assert(size <= SMALL_MAX);
    hold(&node->cohort.members[node->cohort.own].held[slot], bytes, size, envelope.body, envelope.body_size);
    send_to_all(node, bytes, size);
    return true;
}

/* The first member whose message of this kind is not here; NULL when all are. */
static const struct member *first_missing(const struct cohort *cohort, uint32_t slot)
{
    for (uint32_t i = 0; i < cohort->n_members; i++)
        if (cohort->members[i].held[slot].size == 0) return &cohort->members[i];
    return NULL;
}

static bool open_held(const struct sl_node *node, const struct held *held, struct sl_envelope *envelope)
{
    return held->size > 0 && sl_envelope_open(held->bytes, held->size, node->config.network_id, envelope) == SL_OK;
}

/* ---- reference ---- */

static void refuse(struct sl_node *node, enum refusal reason)
{
    size_t size;
    struct sl_refuse body = {.reason = reason};
    struct sl_writer writer = node_begin(node, SL_MESSAGE_REFUSE, node->cohort.epoch, node->cohort.id, 256);
    sl_write_refuse(&writer, &body);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_REFUSE, &size);
    send_to_all(node, bytes, size);
    node_trace(node, SL_TRACE_REFUSED, node->self->id, reason, 0, SL_OK);
}

/* A reference far from our own anchor would steer what we share. */
static bool reference_is_near(struct sl_node *node)
{
    size_t mark = node->scratch.used;
    float *ref = SL_TAKE(&node->scratch, float, node->n_block), *anchor = SL_TAKE(&node->scratch, float, node->n_block);
    sl_ref_decode(node->cohort.ref, node->n_block, node->cohort.ref_exponent, ref);
    node_gather(node, node->anchor, anchor);
    double distance = sl_vec_distance(ref, anchor, node->n_block);
    node->scratch.used = mark;
    return distance <= epoch_reference_slack(node);
}

static void fetch_reference(struct sl_node *node, const uint8_t root[32])
{
    struct cohort *cohort = &node->cohort;
    if (cohort->own == cohort->initiator) return;       /* it made it when it proposed */

    /* Often all anchors agree to the bit (in the first epochs always): then there is nothing to fetch. */
    size_t mark = node->scratch.used, size = (size_t)2 * node->n_block;
    float *anchor = SL_TAKE(&node->scratch, float, node->n_block);
    node_gather(node, node->anchor, anchor);
    if (sl_ref_exponent(anchor, node->n_block) == cohort->ref_exponent) {
        sl_ref_encode(anchor, node->n_block, cohort->ref_exponent, cohort->ref);
        sl_merkle_build(&cohort->ref_tree, cohort->ref, size, 2 * SL_CHUNK_ELEMENTS);
        cohort->ref_here = sl_hash_equal(cohort->ref_tree.root, root);
    }
    node->scratch.used = mark;
    if (!cohort->ref_here)
        transfer_fetch(node, FETCH_REFERENCE, 0, cohort->members[cohort->initiator].id, root, cohort->ref, size, 2);
}

/* ---- commit ---- */

static void commit(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    if (!reference_is_near(node)) {
        refuse(node, REFUSAL_REFERENCE);
        set_void(node, STEP_COMMIT, node->self->id);
        return;
    }
    if (!contribution_make(node)) {
        set_void(node, STEP_COMMIT, node->self->id);
        return;
    }
    node->spent = true;

    struct sl_commit body;
    memcpy(body.root, cohort->members[cohort->own].root, 32);
    struct sl_writer writer = node_begin(node, SL_MESSAGE_COMMIT, cohort->epoch, cohort->id, SMALL_MAX);
    sl_write_commit(&writer, &body);
    if (!publish(node, &writer, SL_MESSAGE_COMMIT, HELD_COMMIT)) return;
    cohort->state = COHORT_COMMITTED;
    node_trace(node, SL_TRACE_COMMITTED, NULL, 0, 0, SL_OK);
}

/* ---- lists ---- */

/* The LIST body that follows from what is held: the same at every member that holds the same. */
static void build_list(struct sl_node *node, struct list_body *list, enum step step, uint32_t slot, const uint8_t previous[32])
{
    struct cohort *cohort = &node->cohort;
    struct sl_list body = {.step = step, .n_hashes = cohort->n_members};
    if (list->size > 0) return;
    memcpy(body.previous, previous, 32);
    for (uint32_t i = 0; i < cohort->n_members; i++) memcpy(body.hashes[i], cohort->members[i].held[slot].body_hash, 32);

    struct sl_writer writer = sl_writer_over(list->bytes, sizeof list->bytes);
    sl_write_list(&writer, &body);
    assert(!writer.full);
    list->size = (uint32_t)writer.size;
    sl_body_hash(list->bytes, list->size, list->hash);
}

static void announce(struct sl_node *node, struct list_body *list)
{
    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_LIST, node->cohort.epoch, node->cohort.id, list->size + 512);
    sl_write_raw(&writer, list->bytes, list->size);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_LIST, &size);
    send_to_all(node, bytes, size);
    list->announced = true;
    list->announcer = node->cohort.own;
    memcpy(list->announced_hash, list->hash, 32);
}

/* True when the list that was announced is the one that follows from what we hold; the initiator announces it. Two views of one step void the run. */
static bool list_agrees(struct sl_node *node, struct list_body *list, enum step step)
{
    struct cohort *cohort = &node->cohort;
    if (!list->announced && cohort->own == cohort->initiator) announce(node, list);
    if (!list->announced) return false;
    if (sl_hash_equal(list->announced_hash, list->hash)) return true;

    set_void(node, step, cohort->members[list->announcer].id);
    return false;
}

/* ---- open, sum, result ---- */

static void open_vector(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    struct sl_open body;
    memcpy(body.list_hash, cohort->commits.hash, 32);
    sl_rng_bytes(&node->keys, body.nonce, sizeof body.nonce);

    struct sl_writer writer = node_begin(node, SL_MESSAGE_OPEN, cohort->epoch, cohort->id, SMALL_MAX);
    sl_write_open(&writer, &body);
    if (!publish(node, &writer, SL_MESSAGE_OPEN, HELD_OPEN)) return;
    cohort->state = COHORT_OPENED;
    node_trace(node, SL_TRACE_OPENED, NULL, 0, 0, SL_OK);
}

/* Who opened on another list than ours saw other COMMITs: somebody told two stories. */
static bool opens_agree(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    for (uint32_t i = 0; i < cohort->n_members; i++) {
        struct sl_envelope envelope;
        struct sl_open body;
        if (!open_held(node, &cohort->members[i].held[HELD_OPEN], &envelope)) continue;
        if (sl_read_open(&envelope, &body) == SL_OK && sl_hash_equal(body.list_hash, cohort->commits.hash)) continue;
        set_void(node, STEP_OPEN, cohort->members[i].id);
        return false;
    }
    return true;
}

static bool fetch_vectors(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    bool all_here = true;
    for (uint32_t i = 0; i < cohort->n_members; i++) {
        struct member *member = &cohort->members[i];
        all_here &= member->vector_here;
        if (member->vector_here || member->held[HELD_OPEN].size == 0) continue;
        transfer_fetch(node, FETCH_VECTOR, i, member->id, member->root, member->vector, (size_t)4 * node->n_block, 4);
    }
    return all_here;
}

static void add_le(const uint8_t *from, uint32_t n, uint32_t *to)
{
    for (uint32_t j = 0; j < n; j++)
        to[j] += (uint32_t)from[4 * j] | (uint32_t)from[4 * j + 1] << 8 | (uint32_t)from[4 * j + 2] << 16 | (uint32_t)from[4 * j + 3] << 24;
}

/* The masks cancel in the sum of all; its canonical mean goes into the own slot, whose root everybody signs. */
static void sum_up(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    memset(cohort->sum, 0, sizeof(uint32_t) * node->n_block);
    for (uint32_t i = 0; i < cohort->n_members; i++) add_le(cohort->members[i].vector, node->n_block, cohort->sum);

    struct aggregate *slot = pull_own_slot(node, cohort->epoch);
    slot->complete = false;
    slot->used = true;
    slot->epoch = cohort->epoch;
    slot->bits = node->config.aggregate_bits;
    slot->n_values = node->n_block;
    slot->n_members = cohort->n_members;
    slot->radius = cohort->radius;
    memcpy(slot->cohort, cohort->id, 32);
    for (uint32_t i = 0; i < cohort->n_members; i++) memcpy(slot->members[i], cohort->members[i].id, 32);
    sl_mean_encode(cohort->ref, cohort->ref_exponent, cohort->sum, cohort->n_members, cohort->ring_exponent, node->n_block, slot->bits, slot->bytes,
                   &slot->exponent);
    sl_merkle_build(&slot->tree, slot->bytes, (size_t)node->n_block * slot->bits / 8, (size_t)SL_CHUNK_ELEMENTS * slot->bits / 8);
    slot->tree_ready = true;
    memcpy(slot->root, slot->tree.root, 32);
}

static void publish_result(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    sum_up(node);
    const struct aggregate *slot = pull_own_slot(node, cohort->epoch);
    struct sl_result body = {.members = ((uint64_t)1 << cohort->n_members) - 1, .bits = slot->bits, .exponent = slot->exponent};
    memcpy(body.chain, cohort->opens.hash, 32);
    memcpy(body.root, slot->root, 32);

    struct sl_writer writer = node_begin(node, SL_MESSAGE_RESULT, cohort->epoch, cohort->id, SMALL_MAX);
    sl_write_result(&writer, &body);
    if (!publish(node, &writer, SL_MESSAGE_RESULT, HELD_RESULT)) return;
    cohort->state = COHORT_SUMMED;
    node_trace(node, SL_TRACE_SUMMED, NULL, cohort->n_members, 0, SL_OK);
}

/* Verifies RESULTs as they come: the same body as ours, signed. True when all are here. */
static bool results_agree(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    const uint8_t *ours = cohort->members[cohort->own].held[HELD_RESULT].body_hash;
    bool all_here = true;
    for (uint32_t i = 0; i < cohort->n_members; i++) {
        struct member *member = &cohort->members[i];
        struct sl_envelope envelope;
        if (!open_held(node, &member->held[HELD_RESULT], &envelope)) all_here = false;
        else if (!member->result_here) {
            bool valid = i == cohort->own || (sl_hash_equal(member->held[HELD_RESULT].body_hash, ours) && node_verify(node, &envelope, member->sign_public));
            if (!valid) {
                set_void(node, STEP_RESULT, member->id);
                return false;
            }
            memcpy(member->result_signature, envelope.signature, 64);
            member->result_here = true;
        }
    }
    return all_here;
}

static void build_aggregate(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    struct aggregate *slot = pull_own_slot(node, cohort->epoch);
    struct sl_envelope result;
    if (!open_held(node, &cohort->members[cohort->own].held[HELD_RESULT], &result)) return;

    struct sl_aggregate body = {
        .propose = cohort->propose.bytes, .propose_size = cohort->propose.size, .roster = cohort->roster, .roster_size = cohort->roster_size,
        .lists = {cohort->commits.bytes, cohort->opens.bytes}, .list_sizes = {cohort->commits.size, cohort->opens.size},
        .result = result.body, .result_size = result.body_size,
        .signers = ((uint64_t)1 << cohort->n_members) - 1, .n_signatures = cohort->n_members};
    for (uint32_t i = 0; i < cohort->n_members; i++) body.signatures[i] = cohort->members[i].result_signature;

    struct sl_writer writer = sl_writer_over(slot->body, slot->body_max);
    sl_write_aggregate(&writer, &body);
    if (writer.full) {
        set_void(node, STEP_RESULT, node->self->id);
        return;
    }
    slot->body_size = (uint32_t)writer.size;
    slot->complete = true;
    cohort->state = COHORT_DONE;
    node->counters.epochs_with_aggregate++;
    node_trace(node, SL_TRACE_AGGREGATE, NULL, cohort->n_members, cohort->n_members, SL_OK);
}

/* ---- the course of a cohort ---- */

static void advance(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    if (cohort->state == COHORT_FORMED) {
        if (!cohort->ref_here || !node->trained || node->spent) return;
        commit(node);
    }
    if (cohort->state == COHORT_COMMITTED) {
        if (first_missing(cohort, HELD_COMMIT)) return;
        build_list(node, &cohort->commits, STEP_LIST_COMMIT, HELD_COMMIT, cohort->id);
        if (!list_agrees(node, &cohort->commits, STEP_LIST_COMMIT)) return;
        open_vector(node);
    }
    if (cohort->state == COHORT_OPENED) {
        bool all_here = opens_agree(node) && fetch_vectors(node);
        if (cohort->state != COHORT_OPENED || first_missing(cohort, HELD_OPEN)) return;
        build_list(node, &cohort->opens, STEP_LIST_OPEN, HELD_OPEN, cohort->commits.hash);
        if (!list_agrees(node, &cohort->opens, STEP_LIST_OPEN) || !all_here) return;
        publish_result(node);
    }
    if (cohort->state == COHORT_SUMMED && results_agree(node)) build_aggregate(node);
}

void cohort_start(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    struct sl_propose propose;
    if (!proposal_open(node, &cohort->propose, &propose)) return;

    cohort->state = COHORT_FORMED;
    node->members.cohort_epoch = node->epoch;
    cohort->commits = cohort->opens = (struct list_body){0};
    if (cohort->own != cohort->initiator) cohort->ref_here = false;
    node_trace(node, SL_TRACE_ROSTER, cohort->members[cohort->initiator].id, cohort->n_members, 0, SL_OK);

    const struct sl_config *config = &node->config;
    node->deadlines[DEADLINE_NEED_COMMIT] = node_phase(node, (config->phase_train + config->phase_commit) / 2);
    node->deadlines[DEADLINE_COMMIT] = node_phase(node, config->phase_commit);
    node->deadlines[DEADLINE_NEED_OPEN] = node_phase(node, (config->phase_commit + config->phase_open) / 2);
    node->deadlines[DEADLINE_OPEN] = node_phase(node, config->phase_open);
    node->deadlines[DEADLINE_NEED_RESULT] = node_phase(node, (config->phase_open + config->phase_result) / 2);
    node->deadlines[DEADLINE_RESULT] = node_phase(node, config->phase_result);
    fetch_reference(node, propose.ref_root);
    advance(node);
}

void cohort_end(struct sl_node *node)
{
    set_void(node, STEP_RESULT, NULL);
    transfer_reset(node, FETCH_REFERENCE);
    transfer_reset(node, FETCH_VECTOR);
    sl_wipe(node->cohort.z, sizeof(uint32_t) * node->k);        /* what was shared stays under its masks */
    node->cohort.state = COHORT_NONE;
    node->cohort.n_members = 0;
    node->cohort.ref_here = false;
}

void cohort_leave(struct sl_node *node)
{
    if (!is_under_way(&node->cohort)) return;

    refuse(node, REFUSAL_LEAVING);
    set_void(node, STEP_COMMIT, node->self->id);
}

void cohort_on_trained(struct sl_node *node)
{
    advance(node);
}

void cohort_on_fetched(struct sl_node *node, enum fetch_kind kind, uint32_t index)
{
    struct cohort *cohort = &node->cohort;
    if (kind == FETCH_REFERENCE) {
        sl_merkle_build(&cohort->ref_tree, cohort->ref, (size_t)2 * node->n_block, 2 * SL_CHUNK_ELEMENTS);
        cohort->ref_here = true;
    } else {
        cohort->members[index].vector_here = true;
    }
    advance(node);
}

/* ---- messages ---- */

/* One body per member and step; a second, different one is a contradiction and ends the run. */
static void on_step(struct sl_node *node, struct member *from, uint32_t slot, enum step step, const struct sl_envelope *envelope)
{
    struct held *held = &from->held[slot];
    uint8_t hash[32];
    if (envelope->size > SMALL_MAX) return;
    sl_body_hash(envelope->body, envelope->body_size, hash);
    if (held->size > 0) {
        if (!sl_hash_equal(hash, held->body_hash)) set_void(node, step, from->id);
        return;
    }
    if (slot == HELD_COMMIT) {
        struct sl_commit commit;
        if (sl_read_commit(envelope, &commit) != SL_OK) return;
        memcpy(from->root, commit.root, 32);
    }
    hold(held, envelope->bytes, envelope->size, envelope->body, envelope->body_size);
}

static void on_list(struct sl_node *node, const struct member *from, const struct sl_envelope *envelope)
{
    struct cohort *cohort = &node->cohort;
    struct sl_list body;
    if (sl_read_list(envelope, &body) != SL_OK || body.n_hashes != cohort->n_members) return;

    struct list_body *list = body.step == STEP_LIST_COMMIT ? &cohort->commits : body.step == STEP_LIST_OPEN ? &cohort->opens : NULL;
    if (!list || list->announced) return;               /* the first counts */
    uint32_t announcer = (uint32_t)(from - cohort->members);
    bool half_over = node->deadlines[list == &cohort->commits ? DEADLINE_NEED_OPEN : DEADLINE_NEED_RESULT] == SL_NEVER;
    if (announcer != cohort->initiator && !half_over) return;
    list->announced = true;
    list->announcer = announcer;
    sl_body_hash(envelope->body, envelope->body_size, list->announced_hash);
}

static void on_refuse(struct sl_node *node, const struct member *from, const struct sl_envelope *envelope)
{
    struct sl_refuse body;
    if (sl_read_refuse(envelope, &body) != SL_OK) return;

    node_trace(node, SL_TRACE_REFUSED, from->id, body.reason, 0, SL_OK);
    set_void(node, STEP_COMMIT, from->id);
}

void cohort_on_message(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct cohort *cohort = &node->cohort;
    if (!is_under_way(cohort) || envelope->epoch != cohort->epoch || !sl_hash_equal(envelope->cohort, cohort->id)) return;
    struct member *from = cohort_find(node, envelope->from);
    if (!from || from == &cohort->members[cohort->own]) return;
    bool relayed = !sl_hash_equal(link->id, envelope->from);
    if (relayed && !node_verify(node, envelope, from->sign_public)) {       /* a direct link has authenticated its sender already */
        node->counters.messages_refused++;
        return;
    }
    switch (envelope->type) {
    case SL_MESSAGE_COMMIT: on_step(node, from, HELD_COMMIT, STEP_COMMIT, envelope); break;
    case SL_MESSAGE_OPEN: on_step(node, from, HELD_OPEN, STEP_OPEN, envelope); break;
    case SL_MESSAGE_RESULT: on_step(node, from, HELD_RESULT, STEP_RESULT, envelope); break;
    case SL_MESSAGE_LIST: on_list(node, from, envelope); break;
    default: on_refuse(node, from, envelope); break;
    }
    advance(node);
}

/* ---- what was lost is asked for once per step ---- */

static void send_need(struct sl_node *node, const struct member *to, enum step step, const uint8_t from[32])
{
    struct sl_need body = {.step = step};
    memcpy(body.from, from, 32);
    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_NEED, node->cohort.epoch, node->cohort.id, 512);
    sl_write_need(&writer, &body);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_NEED, &size);
    struct contact contact = contact_of_member(to);
    links_send_to(node, &contact, bytes, size);
}

/* From its author, and from the initiator in case the author cannot reach us. */
static void need_missing(struct sl_node *node, uint32_t slot, enum step step)
{
    struct cohort *cohort = &node->cohort;
    const struct member *initiator = &cohort->members[cohort->initiator];
    for (uint32_t i = 0; i < cohort->n_members; i++) {
        const struct member *member = &cohort->members[i];
        if (member->held[slot].size > 0 || i == cohort->own) continue;
        send_need(node, member, step, member->id);
        if (member != initiator && cohort->own != cohort->initiator) send_need(node, initiator, step, member->id);
    }
}

void cohort_on_need(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct cohort *cohort = &node->cohort;
    struct sl_need need;
    if (cohort->state == COHORT_NONE || envelope->epoch != cohort->epoch || !sl_hash_equal(envelope->cohort, cohort->id)) return;
    if (!cohort_find(node, link->id) || sl_read_need(envelope, &need) != SL_OK) return;

    const struct member *from = cohort_find(node, need.from);
    uint32_t slot = need.step == STEP_COMMIT ? HELD_COMMIT : need.step == STEP_OPEN ? HELD_OPEN : need.step == STEP_RESULT ? HELD_RESULT : HELD_COUNT;
    if (!from || slot == HELD_COUNT || from->held[slot].size == 0) return;
    links_send(node, link, from->held[slot].bytes, from->held[slot].size);
}

/* Half of a step is over and its LIST has not come: whoever holds everything says it himself. */
static void announce_myself(struct sl_node *node, struct list_body *list)
{
    if (list->size > 0 && !list->announced) announce(node, list);
    advance(node);
}

void cohort_on_deadline(struct sl_node *node, enum deadline purpose)
{
    struct cohort *cohort = &node->cohort;
    const struct member *missing;
    if (!is_under_way(cohort)) return;

    switch (purpose) {
    case DEADLINE_NEED_COMMIT: need_missing(node, HELD_COMMIT, STEP_COMMIT); break;
    case DEADLINE_COMMIT:
        missing = first_missing(cohort, HELD_COMMIT);
        if (missing) set_void(node, STEP_COMMIT, missing->id);
        break;
    case DEADLINE_NEED_OPEN:
        announce_myself(node, &cohort->commits);
        if (cohort->state == COHORT_OPENED) need_missing(node, HELD_OPEN, STEP_OPEN);
        break;
    case DEADLINE_OPEN:
        missing = first_missing(cohort, HELD_OPEN);
        if (missing) set_void(node, STEP_OPEN, missing->id);
        break;
    case DEADLINE_NEED_RESULT:
        announce_myself(node, &cohort->opens);
        if (is_under_way(cohort)) need_missing(node, HELD_RESULT, STEP_RESULT);
        break;
    default:
        missing = first_missing(cohort, HELD_RESULT);
        set_void(node, STEP_RESULT, missing ? missing->id : NULL);
        break;
    }
}
