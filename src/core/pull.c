/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/bits.h"
#include "base/quorum.h"
#include "config/plan.h"
#include "core/core.h"
#include "starling/error.h"

/*
 * Aggregates: those of the own cohorts are kept for three epochs, those pulled until the next pull. A node draws identities from its view and asks each for the
 * aggregate it took part in; an aggregate counts only if it proves itself, holds the identity that was drawn, and shares no member with another that counts.
 */

bool pull_init(struct sl_node *node, struct sl_arena *arena)
{
    uint32_t n_slots = OWN_SLOTS + node->config.merge_pulls, n_max = node->config.cohort_max_size;
    struct aggregate *slots = SL_TAKE(arena, struct aggregate, n_slots);
    node->pulls.n_drawn_max = node->config.merge_pulls * (n_max + DRAWS_PER_PULL) + n_max;       /* members of all that counts, and draws */
    node->pulls.drawn = sl_arena_reserve(arena, node->pulls.n_drawn_max, 32, 1);
    bool done = slots != NULL && node->pulls.drawn;
    for (uint32_t i = 0; i < n_slots; i++) {
        uint32_t body_max = PROPOSE_MAX + 1024 + n_max * (JOIN_MAX + 4 * 36 + 2 * 68);         /* JOINs, hashes of four LISTs, signatures of two bodies */
        uint8_t *body = SL_RESERVE(arena, uint8_t, body_max);
        uint8_t *bytes = SL_RESERVE(arena, uint8_t, (size_t)node->k * node->config.aggregate_bits / 8);
        uint8_t(*members)[32] = sl_arena_reserve(arena, n_max, 32, 1), (*roster)[32] = sl_arena_reserve(arena, n_max, 32, 1);
        done &= body && bytes && members && roster;
        if (slots) slots[i] = (struct aggregate){.members = members, .roster = roster, .body = body, .body_max = body_max, .bytes = bytes};
    }
    node->pulls.slots = slots;
    return done;
}

struct aggregate *pull_own_slot(struct sl_node *node, uint64_t epoch)
{
    return &node->pulls.slots[epoch % OWN_SLOTS];
}

struct aggregate *pull_slot(struct sl_node *node, uint32_t index)
{
    return &node->pulls.slots[OWN_SLOTS + index];
}

static bool holds(const struct aggregate *aggregate, const uint8_t id[32])
{
    for (uint32_t i = 0; i < aggregate->n_members; i++)
        if (sl_hash_equal(aggregate->members[i], id)) return true;
    return false;
}

static bool could_hold(const struct aggregate *aggregate, const uint8_t id[32])
{
    for (uint32_t i = 0; i < aggregate->n_roster; i++)
        if (sl_hash_equal(aggregate->roster[i], id)) return true;
    return false;
}

static uint32_t count_slots(const struct sl_node *node)
{
    return OWN_SLOTS + node->config.merge_pulls;
}

/* ---- drawing and asking ---- */

static struct pull *pull_of(struct sl_node *node, const uint8_t member[32], enum pull_state state)
{
    for (uint32_t i = 0; i < node->config.merge_pulls; i++) {
        struct pull *pull = &node->pulls.all[i];
        if (pull->state == state && sl_hash_equal(pull->member, member)) return pull;
    }
    return NULL;
}

static uint64_t patience(const struct sl_node *node)
{
    return node->config.epoch_us / 48;
}

static void ask(struct sl_node *node, struct pull *pull)
{
    const struct sl_view_peer *peer = sl_view_find(&node->view, pull->member);
    if (!peer) return;

    struct sl_pull body = {.epoch = node->epoch};
    memcpy(body.member, pull->member, 32);
    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_PULL, node->epoch, NULL, 512);
    sl_write_pull(&writer, &body);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_PULL, &size);
    struct contact contact = contact_of(peer);
    pull->asked_us = node->now_us;
    pull->tries++;
    node_trace(node, SL_TRACE_PULL, pull->member, 0, 0, SL_OK);
    links_send_to(node, &contact, bytes, size);
}

static void exclude(struct sl_node *node, const uint8_t id[32])
{
    struct pulls *pulls = &node->pulls;
    for (uint32_t i = 0; i < pulls->n_drawn; i++)
        if (sl_hash_equal(pulls->drawn[i], id)) return;
    if (pulls->n_drawn < pulls->n_drawn_max) memcpy(pulls->drawn[pulls->n_drawn++], id, 32);
}

/* A roster that counts shares nobody with another one. */
static void exclude_roster(struct sl_node *node, const struct aggregate *aggregate)
{
    for (uint32_t i = 0; i < aggregate->n_roster; i++) exclude(node, aggregate->roster[i]);
}

static void draw(struct sl_node *node, struct pull *pull)
{
    struct pulls *pulls = &node->pulls;
    *pull = (struct pull){.state = PULL_IDLE};
    transfer_cancel(node, FETCH_AGGREGATE, (uint32_t)(pull - pulls->all));       /* late chunks of the old one must not fill the new one */
    if (pulls->n_drawn >= pulls->n_drawn_max || pulls->n_asked >= DRAWS_PER_PULL * node->config.merge_pulls) return;

    const struct sl_view_peer *peer = sl_view_draw(&node->view, &node->draw, (const uint8_t(*)[32])pulls->drawn, pulls->n_drawn);
    if (!peer) return;
    exclude(node, peer->id);
    pulls->n_asked++;
    pull->state = PULL_ASKED;
    memcpy(pull->member, peer->id, 32);
    ask(node, pull);
}

void pull_begin(struct sl_node *node)
{
    struct pulls *pulls = &node->pulls;
    pulls->active = true;
    pulls->n_drawn = pulls->n_asked = 0;
    const struct aggregate *own = pull_own_slot(node, node->epoch);
    if (own->complete && own->epoch == node->epoch) exclude_roster(node, own);
    for (uint32_t i = 0; i < node->config.merge_pulls; i++) {
        pull_slot(node, i)->used = pull_slot(node, i)->complete = false;
        draw(node, &pulls->all[i]);
    }
}

void pull_end(struct sl_node *node)
{
    node->pulls.active = false;
    transfer_reset(node, FETCH_AGGREGATE);
    for (uint32_t i = 0; i < PULLS_MAX; i++) node->pulls.all[i].state = PULL_IDLE;
    node->deadlines[DEADLINE_PULL] = SL_NEVER;
}

/* First call: the phase begins. Later ones: whoever was silent is asked once more, then another is drawn. */
void pull_on_deadline(struct sl_node *node)
{
    if (!node->pulls.active) pull_begin(node);
    for (uint32_t i = 0; i < node->config.merge_pulls; i++) {
        struct pull *pull = &node->pulls.all[i];
        if (pull->state != PULL_ASKED && pull->state != PULL_FETCHING) continue;
        uint64_t limit = pull->state == PULL_ASKED ? patience(node) : 3 * patience(node);
        if (node->now_us - pull->asked_us < limit) continue;
        if (pull->state == PULL_ASKED && pull->tries < 2) {
            ask(node, pull);
        } else {
            node_trace(node, SL_TRACE_PULL_FAILED, pull->member, 0, 0, SL_ERROR_NOT_FOUND);
            pull_slot(node, i)->used = false;
            draw(node, pull);
        }
    }
    node->deadlines[DEADLINE_PULL] = node->now_us + patience(node) / 2;
}

static void failed(struct sl_node *node, struct pull *pull, int error)
{
    node_trace(node, SL_TRACE_PULL_FAILED, pull->member, 0, 0, error);
    draw(node, pull);
}

void pull_on_unreachable(struct sl_node *node, const uint8_t id[32])
{
    struct pull *pull = pull_of(node, id, PULL_ASKED);
    if (pull && node->pulls.active) failed(node, pull, SL_ERROR_NOT_FOUND);
}

void pull_on_none(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct sl_pull body;
    if (!node->pulls.active || sl_read_pull(envelope, &body) != SL_OK || body.epoch != node->epoch) return;

    struct pull *pull = pull_of(node, link->id, PULL_ASKED);
    if (pull && sl_hash_equal(body.member, pull->member)) failed(node, pull, SL_ERROR_NOT_FOUND);
}

/* ---- serving ---- */

static const struct aggregate *find_held(const struct sl_node *node, uint64_t epoch, const uint8_t member[32])
{
    for (uint32_t i = 0; i < count_slots(node); i++) {
        const struct aggregate *aggregate = &node->pulls.slots[i];
        if (aggregate->complete && aggregate->epoch == epoch && holds(aggregate, member)) return aggregate;
    }
    return NULL;
}

void pull_on_request(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct sl_pull body;
    if (sl_read_pull(envelope, &body) != SL_OK) {
        node->counters.messages_refused++;
        return;
    }
    const struct aggregate *aggregate = find_held(node, body.epoch, body.member);
    enum sl_message_type type = aggregate ? SL_MESSAGE_AGGREGATE : SL_MESSAGE_NONE;
    size_t size, size_max = aggregate ? aggregate->body_size + 512 : 512;
    struct sl_writer writer = node_begin(node, type, body.epoch, aggregate ? aggregate->cohort : NULL, size_max);
    if (aggregate) sl_write_raw(&writer, aggregate->body, aggregate->body_size);
    else sl_write_pull(&writer, &body);
    const uint8_t *bytes = node_seal(node, &writer, type, &size);
    links_send(node, link, bytes, size);
}

/* ---- counting ---- */

struct proof {                       /* what an AGGREGATE message says, opened */
    struct sl_aggregate body;
    struct sl_propose propose;
    struct sl_roster roster;
    struct sl_result result;
    struct sl_envelope roster_envelope;
    uint8_t propose_hash[32], cohort_id[32], list_hash[32];          /* list_hash: of the last LIST */
    uint64_t agreed;                 /* V: who shared keys with one another, and may sign */
};

/* PROPOSE <- ROSTER: the same author, the epoch of now, each naming the one before by hash. */
static int open_roster(const struct sl_node *node, struct proof *proof)
{
    struct sl_envelope propose;
    int error = sl_envelope_open(proof->body.propose, proof->body.propose_size, node->config.network_id, &propose);
    if (error == SL_OK) error = sl_envelope_open(proof->body.roster, proof->body.roster_size, node->config.network_id, &proof->roster_envelope);
    if (error != SL_OK) return error;
    if (propose.type != SL_MESSAGE_PROPOSE || proof->roster_envelope.type != SL_MESSAGE_ROSTER || propose.epoch != node->epoch ||
        proof->roster_envelope.epoch != node->epoch || !sl_hash_equal(propose.from, proof->roster_envelope.from) ||
        !sl_hash_is_zero(propose.cohort)) return SL_ERROR_MISMATCH;

    error = sl_read_propose(&propose, &proof->propose);
    if (error == SL_OK) error = sl_read_roster(&proof->roster_envelope, &proof->roster);
    if (error != SL_OK) return error;
    sl_propose_hash(&propose, proof->propose_hash);
    sl_hash_once("cohort", proof->roster_envelope.body, proof->roster_envelope.body_size, proof->cohort_id);
    return sl_hash_equal(proof->roster_envelope.cohort, proof->propose_hash) ? SL_OK : SL_ERROR_MISMATCH;
}

/* The LISTs, each naming the one before by hash, their sets shrinking; the last, and who is in it, by its hash in proof->list_hash. */
static int open_lists(const struct sl_node *node, struct proof *proof, uint64_t *last)
{
    static const uint32_t steps[] = {SL_STEP_LIST_SHARES, SL_STEP_LIST_COMMIT, SL_STEP_LIST_OPEN, SL_STEP_LIST_AUDIT};
    uint32_t n_lists = sl_audit_rows_of(&node->config, node->n_block) > 0 ? 4 : 3;
    if (proof->body.n_lists != n_lists) return SL_ERROR_MISMATCH;

    memcpy(proof->list_hash, proof->cohort_id, 32);
    *last = sl_first_bits(proof->roster.n_joins);
    for (uint32_t i = 0; i < n_lists; i++) {
        struct sl_list list;
        int error = sl_read_list_body(proof->body.lists[i], proof->body.list_sizes[i], &list);
        if (error != SL_OK) return error;
        bool follows = list.step == steps[i] && sl_hash_equal(list.previous, proof->list_hash) && (list.members & ~*last) == 0;
        if (!follows) return SL_ERROR_MISMATCH;
        *last = list.members;
        if (i == 0) proof->agreed = list.members;
        sl_body_hash(proof->body.lists[i], proof->body.list_sizes[i], proof->list_hash);
    }
    return SL_OK;
}

/* The whole chain hangs together: PROPOSE <- ROSTER <- LISTs <- RESULT, and enough members of it say that they follow it. Nothing is verified yet. */
static int open_proof(const struct sl_node *node, const struct sl_envelope *envelope, struct proof *proof)
{
    uint64_t last;
    int error = sl_read_aggregate(envelope, &proof->body);
    if (error == SL_OK) error = open_roster(node, proof);
    if (error != SL_OK) return error;
    uint32_t n = proof->roster.n_joins;
    if (n < node->config.cohort_min_size || n > node->config.cohort_max_size) return SL_ERROR_OUT_OF_RANGE;
    if (privacy_compare(node, &proof->propose) != TERMS_AGREE) return SL_ERROR_MISMATCH;       /* its numbers would mean something else */

    error = open_lists(node, proof, &last);
    if (error == SL_OK) error = sl_read_result_body(proof->body.result, proof->body.result_size, &proof->result);
    if (error != SL_OK) return error;
    bool fits = sl_hash_equal(envelope->cohort, proof->cohort_id) && sl_hash_equal(proof->result.chain, proof->list_hash) && proof->result.members == last &&
                ((proof->body.confirms.signers | proof->body.results.signers) & ~proof->agreed) == 0;
    bool enough = sl_count_bits(last) >= sl_quorum_threshold(n) && proof->body.confirms.n >= sl_quorum_threshold(n) &&
                  proof->body.results.n >= sl_quorum_colluders(n) + 1;
    return !fits ? SL_ERROR_MISMATCH : enough ? SL_OK : SL_ERROR_OUT_OF_RANGE;
}

/* Every member of the roster admitted, none in the sum banned; fills who is in it. keys: to sign with, by place in the roster. */
static int check_members(struct sl_node *node, const struct proof *proof, struct aggregate *out, uint8_t keys[][32])
{
    out->n_members = 0;
    for (uint32_t i = 0; i < proof->roster.n_joins; i++) {
        struct sl_envelope envelope;
        struct sl_join join;
        int error = join_open(node, proof->roster.joins[i].bytes, proof->roster.joins[i].size, proof->propose_hash, false, &envelope, &join);
        if (error == SL_OK) error = certificate_check(node, envelope.from, join.certificate, join.certificate_size);
        if (error != SL_OK) return error;
        if (i > 0 && memcmp(out->roster[i - 1], envelope.from, 32) >= 0) return SL_ERROR_MALFORMED;
        if (proposal_place(&proof->propose, proof->roster_envelope.from, envelope.from) == UINT32_MAX) return SL_ERROR_MISMATCH;

        memcpy(out->roster[i], envelope.from, 32);
        memcpy(keys[i], join.sign_public, 32);
        bool counts = proof->result.members >> i & 1;
        if (!counts) continue;
        if (advert_is_banned(node, envelope.from)) return SL_ERROR_BAD_CERTIFICATE;
        memcpy(out->members[out->n_members++], envelope.from, 32);
    }
    out->n_roster = proof->roster.n_joins;
    return SL_OK;
}

/* The first n_needed of these signatures under one body: more would say no more, and each costs a verification. */
static bool check_signatures(struct sl_node *node, const struct proof *proof, const struct aggregate *out, uint8_t keys[][32], enum sl_message_type type,
                             const uint8_t *body, size_t body_size, const struct sl_signatures *signatures, uint32_t n_needed)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < proof->roster.n_joins && n < n_needed; i++) {
        uint8_t digest[32];
        bool signs = signatures->signers >> i & 1;
        if (!signs) continue;
        sl_envelope_digest(type, node->config.network_id, node->epoch, proof->cohort_id, out->roster[i], body, body_size, digest);
        node->counters.signature_checks++;
        if (!sl_digest_verify(digest, signatures->all[n], keys[i])) return false;
        n++;
    }
    return n == n_needed;
}

/* The first n_needed of `signers`, as check_signatures() looks at them. */
static uint64_t first_of(uint64_t signers, uint32_t n_needed)
{
    uint64_t first = 0;
    for (; n_needed > 0 && signers; n_needed--, signers &= signers - 1) first |= signers & -signers;
    return first;
}

/* Who has not shown by a signature that it follows this chain must at least have joined: liars could name identities that know nothing of it. */
static bool check_silent_joins(struct sl_node *node, const struct proof *proof, uint8_t keys[][32], uint64_t shown)
{
    for (uint32_t i = 0; i < proof->roster.n_joins; i++) {
        struct sl_envelope envelope;
        bool is_shown = shown >> i & 1;
        if (is_shown) continue;
        int error = sl_envelope_open(proof->roster.joins[i].bytes, proof->roster.joins[i].size, node->config.network_id, &envelope);
        if (error != SL_OK || !node_verify(node, &envelope, keys[i])) return false;
    }
    return true;
}

/*
 * t CONFIRMs of the last LIST: two stories cannot both have them, for an honest member confirms one. f + 1 RESULTs: one at least is honest. Both name the whole
 * chain by hash, so they stand for the PROPOSE, the ROSTER, the LISTs and their signers' JOINs too: only the JOINs of others need a look here.
 */
static int check_proof(struct sl_node *node, const struct proof *proof, struct aggregate *out)
{
    uint8_t keys[SL_COHORT_MAX][32], confirm[64];
    int error = check_members(node, proof, out, keys);
    if (error != SL_OK) return error;

    struct sl_confirm body;
    memcpy(body.chain, proof->list_hash, 32);
    struct sl_writer writer = sl_writer_over(confirm, sizeof confirm);
    sl_write_confirm(&writer, &body);
    uint32_t t = sl_quorum_threshold(proof->roster.n_joins), n_results = sl_quorum_colluders(proof->roster.n_joins) + 1;
    uint64_t shown = first_of(proof->body.confirms.signers, t) | first_of(proof->body.results.signers, n_results);
    bool signed_well = check_signatures(node, proof, out, keys, SL_MESSAGE_RESULT, proof->body.result, proof->body.result_size, &proof->body.results,
                                        n_results) &&
                       check_signatures(node, proof, out, keys, SL_MESSAGE_CONFIRM, confirm, writer.size, &proof->body.confirms, t) &&
                       check_silent_joins(node, proof, keys, shown);
    return signed_well ? SL_OK : SL_ERROR_BAD_SIGNATURE;
}

static bool is_counted(struct sl_node *node, const uint8_t id[32], const struct aggregate *except)
{
    for (uint32_t i = 0; i < count_slots(node); i++) {
        const struct aggregate *aggregate = &node->pulls.slots[i];
        bool counts = i < OWN_SLOTS ? aggregate->complete : aggregate->used;
        if (aggregate != except && counts && aggregate->epoch == node->epoch && could_hold(aggregate, id)) return true;
    }
    return false;
}

/* Cheap questions before dear ones: is anybody of this roster counted already? */
static bool overlaps(struct sl_node *node, const struct proof *proof, const struct aggregate *slot)
{
    for (uint32_t i = 0; i < proof->roster.n_joins; i++) {
        struct sl_envelope envelope;
        if (sl_envelope_open(proof->roster.joins[i].bytes, proof->roster.joins[i].size, node->config.network_id, &envelope) != SL_OK) return true;
        if (is_counted(node, envelope.from, slot)) return true;
    }
    return false;
}

/* own cohorts whose RESULTs never came in full are not counted, so their members stay free for another aggregate */
static int admit(struct sl_node *node, const struct sl_envelope *envelope, const uint8_t drawn[32], struct aggregate *slot)
{
    struct proof proof;
    int error = open_proof(node, envelope, &proof);
    if (error != SL_OK) return error;
    if (proof.result.bits != node->config.aggregate_bits || envelope->body_size > slot->body_max) return SL_ERROR_OUT_OF_RANGE;
    if (overlaps(node, &proof, slot)) return SL_ERROR_EXISTS;
    error = check_proof(node, &proof, slot);
    if (error != SL_OK) return error;
    if (!holds(slot, drawn)) return SL_ERROR_MISMATCH;

    slot->used = true;
    slot->complete = slot->tree_ready = false;
    slot->epoch = node->epoch;
    slot->bits = proof.result.bits;
    slot->exponent = proof.result.exponent;
    slot->radius = privacy_radius(&proof.propose);
    slot->n_values = node->n_block;
    slot->body_size = (uint32_t)envelope->body_size;
    memcpy(slot->body, envelope->body, envelope->body_size);
    memcpy(slot->cohort, proof.cohort_id, 32);
    memcpy(slot->root, proof.result.root, 32);
    return SL_OK;
}

void pull_on_aggregate(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct pull *pull = pull_of(node, link->id, PULL_ASKED);
    if (!node->pulls.active || !pull || envelope->epoch != node->epoch) return;

    uint32_t index = (uint32_t)(pull - node->pulls.all);
    struct aggregate *slot = pull_slot(node, index);
    int error = admit(node, envelope, pull->member, slot);
    if (error != SL_OK) {
        if (error != SL_ERROR_EXISTS) node->counters.messages_refused++;
        failed(node, pull, error);
        return;
    }
    pull->state = PULL_FETCHING;
    pull->asked_us = node->now_us;
    transfer_fetch(node, FETCH_AGGREGATE, index, link->id, slot->root, slot->bytes, (size_t)slot->n_values * slot->bits / 8, slot->bits / 8);
}

void pull_on_fetched(struct sl_node *node, uint32_t index)
{
    struct aggregate *slot = pull_slot(node, index);
    struct pull *pull = &node->pulls.all[index];
    slot->complete = true;
    exclude_roster(node, slot);        /* not before: one who sends no vector must not keep us from its partners */
    pull->state = PULL_COMPLETE;
    node->counters.aggregates_pulled++;
    node_trace(node, SL_TRACE_PULLED, pull->member, slot->n_members, 0, SL_OK);
}
