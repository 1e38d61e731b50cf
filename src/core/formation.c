/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "core/core.h"
#include "privacy/mask.h"
#include "share/quantise.h"
#include "starling/error.h"

/*
 * How cohorts come about. Where the view covers the network every node cuts the ring of the epoch into the same groups of neighbours, and the member with the
 * lowest lot in a group proposes at once; its group answers at once. Whoever heard no such PROPOSE falls back on chance: it proposes at a random offset,
 * and candidates answer a random acceptable PROPOSE at a fixed time, so that being early buys nothing. A second wave takes those who are left.
 */

/* Times as shares of the formation phase. */
static const double propose_from = .08, propose_to = .40, answer_at = .42, again_at = .55, roster_at = .667,
                    second_from = .76, second_to = .82, second_answer_at = .86, second_roster_at = .97;

/* Twice as many as a cohort aims at where all see the same ring, four times as many elsewhere; never fewer than it may have. */
static uint32_t candidates_wanted(const struct sl_config *config, bool is_known)
{
    uint32_t n = (is_known ? 2 : 4) * config->cohort_size;
    if (n < config->cohort_max_size) n = config->cohort_max_size;
    return n < SL_CANDIDATES_MAX ? n : SL_CANDIDATES_MAX;
}

uint32_t formation_candidates(const struct sl_config *config)
{
    return candidates_wanted(config, false);
}

bool formation_init(struct sl_node *node, struct sl_arena *arena)
{
    struct formation *formation = &node->formation;
    const uint32_t n = formation_candidates(&node->config);
    formation->n_candidates_max = n;
    formation->answers = SL_TAKE(arena, struct answer, n);
    formation->candidates = SL_TAKE(arena, struct contact, n);
    formation->offsets = SL_TAKE(arena, int32_t, n);
    return formation->answers && formation->candidates && formation->offsets;
}

static uint64_t time_of(const struct sl_node *node, double share)
{
    return node_phase(node, node->config.phase_formation * share);
}

/* ---- proposing ---- */

static void add_candidate(struct sl_node *node, const struct sl_view_peer *peer, int32_t offset)
{
    struct formation *formation = &node->formation;
    formation->offsets[formation->n_candidates] = offset;
    formation->candidates[formation->n_candidates++] = contact_of(peer);
}

/* The own group first, then the nearest neighbours on both sides in turn; whom we leave alone our own JOIN refuses. */
static void choose_neighbours(struct sl_node *node, uint32_t n_wanted)
{
    struct group group = group_own(node);
    int32_t own = (int32_t)node->view.own_place, before = (int32_t)group.first - own, after = (int32_t)group.last - own;
    for (int32_t offset = before; offset <= after && node->formation.n_candidates < n_wanted; offset++)
        if (offset != 0) add_candidate(node, sl_view_ring_peer(&node->view, offset), offset);
    node->formation.n_group = node->formation.n_candidates;

    uint32_t others = node->view.n_ring - 1;
    for (int32_t step = 1; node->formation.n_candidates < n_wanted && node->formation.n_candidates < others; step++) {
        add_candidate(node, sl_view_ring_peer(&node->view, after + step), after + step);
        if (node->formation.n_candidates < n_wanted && node->formation.n_candidates < others)
            add_candidate(node, sl_view_ring_peer(&node->view, before - step), before - step);
    }
}

static void choose_at_random(struct sl_node *node, uint32_t n_wanted)
{
    uint8_t drawn[SL_CANDIDATES_MAX][32];
    const struct sl_view_peer *peer;
    for (uint32_t n = 0; n < n_wanted && (peer = sl_view_draw(&node->view, &node->draw, (const uint8_t(*)[32])drawn, n)); n++) {
        memcpy(drawn[n], peer->id, 32);
        if (!liveness_avoids(node, peer->id)) add_candidate(node, peer, 0);
    }
}

static void choose_candidates(struct sl_node *node)
{
    uint32_t n_wanted = candidates_wanted(&node->config, group_is_known(node));
    node->formation.n_candidates = node->formation.n_group = 0;
    if (group_is_known(node)) choose_neighbours(node, n_wanted);
    else choose_at_random(node, n_wanted);
}

/* The reference is the own anchor, quantised; the cohort's buffers are free while there is no roster. */
static void make_reference(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    size_t mark = node->scratch.used;
    float *anchor = SL_TAKE(&node->scratch, float, node->n_block);
    node_gather(node, node->anchor, anchor);
    cohort->ref_exponent = sl_ref_exponent(anchor, node->n_block);
    sl_ref_encode(anchor, node->n_block, cohort->ref_exponent, cohort->ref);
    sl_merkle_build(&cohort->ref_tree, cohort->ref, (size_t)2 * node->n_block, 2 * SL_CHUNK_ELEMENTS);
    cohort->ref_here = true;
    node->scratch.used = mark;
}

/* Bit per candidate with whom this node will not sit in a cohort. */
static uint64_t unwanted(const struct sl_node *node, const struct proposal *proposal)
{
    struct sl_propose body;
    uint64_t bits = 0;
    if (!proposal_open(node, proposal, &body)) return 0;
    for (uint32_t i = 0; i < body.n_candidates; i++) {
        if (advert_is_banned(node, body.candidates[i]) || liveness_avoids(node, body.candidates[i])) bits |= (uint64_t)1 << i;
    }
    return bits;
}

/* Fresh keys and the JOIN that carries them, signed over H(PROPOSE). */
static void make_join(struct sl_node *node, const struct proposal *propose)
{
    struct formation *formation = &node->formation;
    uint8_t seed[32];
    sl_rng_bytes(&node->keys, seed, sizeof seed);
    sl_mask_keypair(seed, formation->mask_public, formation->mask_secret);
    sl_rng_bytes(&node->keys, seed, sizeof seed);
    sl_mask_keypair(seed, formation->box_public, formation->box_secret);
    sl_wipe(seed, sizeof seed);

    struct sl_join join = {.certificate = node->self->certificate, .certificate_size = node->self->certificate_size, .refused = unwanted(node, propose)};
    memcpy(join.sign_public, node->self->sign_public, 32);
    memcpy(join.transport_public, node->self->transport_public, 32);
    memcpy(join.address, node->self->address, sizeof join.address);
    memcpy(join.mask_public, formation->mask_public, 32);
    memcpy(join.box_public, formation->box_public, 32);
    sl_rng_bytes(&node->keys, join.nonce, sizeof join.nonce);

    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_JOIN, node->epoch, propose->hash, JOIN_MAX);
    sl_write_join(&writer, &join);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_JOIN, &size);
    formation->join.here = bytes != NULL;
    formation->join.size = (uint32_t)size;
    if (bytes) memcpy(formation->join.bytes, bytes, size);
}

static uint32_t radius_q(double radius)
{
    double scaled = radius * 65536;
    return scaled >= (double)UINT32_MAX ? UINT32_MAX : scaled < 1 ? 1 : (uint32_t)scaled;
}

static void propose(struct sl_node *node)
{
    struct formation *formation = &node->formation;
    choose_candidates(node);
    if (formation->n_candidates + 1 < node->config.cohort_min_size) return;

    make_reference(node);
    struct sl_propose body = {.n_candidates = formation->n_candidates, .aim = node->config.cohort_size, .ring_bits = node->config.ring_bits,
                              .ref_exponent = node->cohort.ref_exponent, .radius_q = radius_q(epoch_radius(node))};
    privacy_state(node, &body);
    sl_rng_bytes(&node->keys, body.nonce, sizeof body.nonce);
    memcpy(body.ref_root, node->cohort.ref_tree.root, 32);
    for (uint32_t i = 0; i < formation->n_candidates; i++) memcpy(body.candidates[i], formation->candidates[i].id, 32);

    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_PROPOSE, node->epoch, NULL, PROPOSE_MAX);
    sl_write_propose(&writer, &body);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_PROPOSE, &size);
    struct sl_envelope envelope;
    if (!bytes || sl_envelope_open(bytes, size, node->config.network_id, &envelope) != SL_OK) return;

    formation->own.size = (uint32_t)size;
    memcpy(formation->own.bytes, bytes, size);
    memcpy(formation->own.from, node->self->id, 32);
    sl_propose_hash(&envelope, formation->own.hash);
    formation->proposed = true;
    memcpy(formation->proposed_hash, formation->own.hash, 32);
    formation->state = FORMATION_PROPOSED;
    for (uint32_t i = 0; i < formation->n_candidates_max; i++) formation->answers[i].here = false;
    make_join(node, &formation->own);
    node_trace(node, SL_TRACE_PROPOSED, NULL, formation->n_candidates, 0, SL_OK);
    for (uint32_t i = 0; i < formation->n_candidates; i++) links_send_to(node, &formation->candidates[i], bytes, size);
}

/* ---- answering ---- */

static void send_join(struct sl_node *node)
{
    struct formation *formation = &node->formation;
    struct contact contact;
    if (!links_contact(node, formation->own.from, &contact)) return;

    uint8_t *bytes = SL_TAKE(&node->out, uint8_t, formation->join.size);
    if (!bytes) return;
    memcpy(bytes, formation->join.bytes, formation->join.size);
    links_send_to(node, &contact, bytes, formation->join.size);
}

static void join(struct sl_node *node, const struct proposal *proposal)
{
    struct formation *formation = &node->formation;
    formation->own = *proposal;
    make_join(node, &formation->own);
    if (!formation->join.here) return;

    formation->state = FORMATION_JOINED;
    formation->joined_wave = formation->wave;
    node_trace(node, SL_TRACE_JOINED, proposal->from, 0, 0, SL_OK);
    send_join(node);
}

static uint32_t count_answers(const struct sl_node *node, uint32_t n_candidates)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_candidates; i++) n += node->formation.answers[i].here;
    return n;
}

static void release(struct sl_node *node, const struct contact *to)
{
    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_RELEASED, node->epoch, node->formation.proposed_hash, 256);
    sl_write_released(&writer);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_RELEASED, &size);
    links_send_to(node, to, bytes, size);
}

static void give_up(struct sl_node *node)
{
    struct formation *formation = &node->formation;
    for (uint32_t i = 0; i < formation->n_candidates; i++)
        if (formation->answers[i].here) release(node, &formation->candidates[i]);
    formation->state = FORMATION_FREE;
}

/* Joins; an own PROPOSE that found no roster yet is given up for it. */
static void answer(struct sl_node *node, struct proposal *proposal)
{
    proposal->tried = true;                             /* a second JOIN would have other keys: two stories about one PROPOSE */
    if (node->formation.state == FORMATION_PROPOSED) give_up(node);
    join(node, proposal);
}

/* Is this radius within the descriptor's limits and near our own estimate? A node that saw no aggregate lately has only the limits: nodes whose
 * estimates have drifted apart would otherwise refuse one another for ever. */
static bool radius_fits(const struct sl_node *node, uint32_t offered_q)
{
    if (node->unit == SL_UNIT_NODE) return true;        /* one clip norm: privacy_compare() */

    double offered = offered_q / 65536.0, own = epoch_radius(node), slack = 1 + 1e-4;
    bool allowed = offered_q >= radius_q(node->config.cohort_radius_min) && offered_q <= radius_q(node->config.cohort_radius_max);
    return allowed && (!epoch_is_experienced(node) || (offered <= 1.5 * own * slack && own <= 1.5 * offered * slack));
}

/* An initiator who is not in the view has proven itself over its link; where the view covers the network nobody else belongs on the ring. */
static bool is_acceptable(struct sl_node *node, const struct sl_propose *propose, const uint8_t from[32])
{
    const struct sl_view_peer *initiator = sl_view_find(&node->view, from);
    if (group_is_known(node) ? !initiator || initiator->banned || initiator->leaving : advert_is_banned(node, from)) return false;
    if (proposal_place(propose, from, node->self->id) >= propose->n_candidates) return false;
    if (propose->aim < node->config.cohort_min_size || propose->aim > node->config.cohort_max_size) return false;
    if (group_is_known(node) && sl_view_ring_distance(&node->view, from) > group_window(node)) return false;
    if (node->formation.wave == 1 && group_is_led_by(node, from) && !group_is_invited(node, propose, from)) return false;

    enum privacy_term term = privacy_compare(node, propose);
    if (term != TERMS_AGREE) node_trace(node, SL_TRACE_DECLINED, from, term, 0, SL_OK);
    return term == TERMS_AGREE && radius_fits(node, propose->radius_q);
}

/* A free place among the proposals; when they are crowded, that of the highest lot, for a sender with a lower one or for the own leader: the lots of other
 * groups have no say in that. */
static struct proposal *make_place(struct sl_node *node, uint64_t lot, bool leads)
{
    struct formation *formation = &node->formation;
    if (formation->n_proposals < PROPOSALS_MAX) return &formation->proposals[formation->n_proposals++];

    struct proposal *highest = NULL;
    for (uint32_t i = 0; i < PROPOSALS_MAX; i++) {
        struct proposal *proposal = &formation->proposals[i];
        if (!proposal->tried && (!highest || proposal->lot > highest->lot)) highest = proposal;
    }
    return highest && group_is_known(node) && (leads || lot < highest->lot) ? highest : NULL;
}

/* An initiator signs one PROPOSE an epoch: a second one beside that which we hold proves it a liar. */
static void compare_proposals(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    const struct formation *formation = &node->formation;
    struct sl_span said = {envelope->bytes, envelope->size};
    for (uint32_t i = 0; i < formation->n_proposals; i++) {
        const struct proposal *proposal = &formation->proposals[i];
        struct sl_span held = {proposal->bytes, proposal->size};
        if (sl_hash_equal(proposal->from, link->id)) evidence_contradiction(node, link, link->sign_public, &held, &said);
    }
}

void formation_on_propose(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct formation *formation = &node->formation;
    struct sl_propose propose;
    if (!node->acting || envelope->epoch != node->epoch || !sl_hash_equal(envelope->from, link->id) || envelope->size > PROPOSE_MAX) return;

    uint8_t hash[32];
    sl_propose_hash(envelope, hash);
    if (formation->state == FORMATION_JOINED && sl_hash_equal(hash, formation->own.hash)) {
        send_join(node);                                /* our answer was lost */
        return;
    }
    if (formation->state == FORMATION_IDLE || formation->state == FORMATION_DONE) return;
    for (uint32_t i = 0; i < formation->n_heard; i++) {
        if (!sl_hash_equal(formation->heard[i], link->id)) continue;
        compare_proposals(node, link, envelope);
        return;                                         /* one per identity and epoch */
    }
    bool leads = group_is_led_by(node, link->id);
    uint32_t n_heard_max = leads ? HEARD_MAX : HEARD_MAX - 1;                       /* the last place is kept for the own leader */
    if (formation->n_heard >= n_heard_max || sl_read_propose(envelope, &propose) != SL_OK || !is_acceptable(node, &propose, link->id)) return;
    const struct sl_view_peer *initiator = sl_view_find(&node->view, link->id);
    if (!node_verify(node, envelope, initiator ? initiator->sign_public : link->sign_public)) return;

    memcpy(formation->heard[formation->n_heard++], link->id, 32);
    uint64_t lot = group_lot(sl_view_position(&node->view, link->id));
    struct proposal *proposal = make_place(node, lot, leads);
    if (!proposal) return;
    proposal->tried = false;
    proposal->size = (uint32_t)envelope->size;
    proposal->lot = lot;
    memcpy(proposal->from, link->id, 32);
    memcpy(proposal->hash, hash, 32);
    memcpy(proposal->bytes, envelope->bytes, envelope->size);
    bool may_answer = formation->state == FORMATION_FREE || formation->state == FORMATION_PROPOSED;
    if (may_answer && formation->wave == 1 && leads) answer(node, proposal);
}

/*
 * Where all see the same ring the PROPOSE with the lowest lot, so that rivals end in one cohort; a rival nobody answered yields to it. Elsewhere a random
 * one: there an initiator could pick its victims, but not their choice.
 */
static void answer_best(struct sl_node *node)
{
    struct formation *formation = &node->formation;
    struct proposal *chosen = NULL;
    for (uint32_t i = 0, n_open = 0; i < formation->n_proposals; i++) {
        struct proposal *proposal = &formation->proposals[i];
        if (proposal->tried) continue;
        n_open++;
        if (!chosen || (group_is_known(node) ? proposal->lot < chosen->lot : sl_rng_below(&node->draw, n_open) == 0)) chosen = proposal;
    }
    if (!chosen) return;

    uint64_t own_lot = group_lot(node->view.ring_positions[node->view.own_place]);
    bool yields = group_is_known(node) && formation->state == FORMATION_PROPOSED && count_answers(node, formation->n_candidates) == 0 &&
                  chosen->lot < own_lot;
    if (formation->state == FORMATION_FREE || yields) answer(node, chosen);
}

/* ---- the roster ---- */

static bool is_chosen(const uint32_t *chosen, uint32_t n_chosen, uint32_t candidate)
{
    for (uint32_t i = 0; i < n_chosen; i++)
        if (chosen[i] == candidate) return true;
    return false;
}

static bool is_in_window(const struct sl_node *node, const uint32_t *chosen, uint32_t n_chosen, uint32_t candidate)
{
    int32_t window = (int32_t)group_window(node);
    for (uint32_t i = 0; i < n_chosen; i++) {
        int32_t apart = node->formation.offsets[candidate] - node->formation.offsets[chosen[i]];
        if (apart > window || apart < -window) return false;
    }
    return true;
}

enum { ROSTER_BASE = 512, JOIN_HEAD = 3 };              /* a ROSTER without its JOINs; what stands before each of them */

/* A set in which nobody refuses anybody, all keys are distinct and all lie in one another's window: in candidate order, but who refuses others comes last, lest
 * the first of all keep out the rest. Returns its size without this node; chosen: candidate numbers. */
static uint32_t choose_members(struct sl_node *node, uint32_t n_max, uint32_t chosen[SL_COHORT_MAX])
{
    struct formation *formation = &node->formation;
    struct sl_join joins[SL_COHORT_MAX];
    struct sl_envelope envelope;
    uint32_t n = 0, places[SL_COHORT_MAX] = {formation->n_candidates};
    size_t size = ROSTER_BASE + JOIN_HEAD + formation->join.size;
    if (join_open(node, formation->join.bytes, formation->join.size, formation->own.hash, false, &envelope, &joins[0]) != SL_OK) return 0;

    for (uint32_t i = 0; i < 2 * formation->n_candidates && n + 1 < n_max; i++) {
        uint32_t candidate = i % formation->n_candidates;
        const struct answer *given = &formation->answers[candidate];
        struct sl_join *join = &joins[n + 1];
        if (size + JOIN_HEAD + given->size > node->cohort.roster_max) continue;
        if (!given->here || !is_in_window(node, chosen, n, candidate)) continue;
        if (join_open(node, given->bytes, given->size, formation->own.hash, false, &envelope, join) != SL_OK) continue;
        bool suits = (join->refused != 0) == (i >= formation->n_candidates);
        for (uint32_t j = 0; j <= n && suits; j++) suits = joins_suit(join, candidate, &joins[j], places[j]);
        if (!suits) continue;
        chosen[n++] = candidate;
        places[n] = candidate;
        size += JOIN_HEAD + given->size;
    }
    return n;
}

/* Members in the order of their ids, this node among them. */
static void order_roster(struct sl_node *node, const uint32_t *chosen, uint32_t n_chosen, struct sl_roster *roster)
{
    struct formation *formation = &node->formation;
    const uint8_t *ids[SL_COHORT_MAX];
    roster->n_joins = 0;
    for (uint32_t i = 0; i <= n_chosen; i++) {
        bool self = i == n_chosen;
        const uint8_t *id = self ? node->self->id : formation->candidates[chosen[i]].id;
        const struct answer *answer = self ? &formation->join : &formation->answers[chosen[i]];
        uint32_t at = roster->n_joins++;
        for (; at > 0 && memcmp(ids[at - 1], id, 32) > 0; at--) {
            ids[at] = ids[at - 1];
            roster->joins[at] = roster->joins[at - 1];
        }
        ids[at] = id;
        roster->joins[at].bytes = answer->bytes;
        roster->joins[at].size = answer->size;
    }
}

static bool leads_group(const struct sl_node *node)
{
    return group_is_known(node) && group_leader(node, group_own(node)) == node->view.own_place;
}

/* Of its leader the group refuses a roster with too few of its own; better to let everybody go than to make a cohort that will be void. */
static bool group_would_refuse(struct sl_node *node)
{
    return node->formation.wave == 1 && leads_group(node) && !group_is_taken(node);
}

static void make_roster(struct sl_node *node)
{
    struct formation *formation = &node->formation;
    uint32_t chosen[SL_COHORT_MAX], n_chosen = choose_members(node, node->config.cohort_max_size, chosen);
    if (n_chosen + 1 < node->config.cohort_min_size) {
        give_up(node);
        return;
    }
    struct sl_roster roster;
    order_roster(node, chosen, n_chosen, &roster);
    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_ROSTER, node->epoch, formation->own.hash, node->cohort.roster_max);
    sl_write_roster(&writer, &roster);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_ROSTER, &size);
    struct sl_envelope envelope;
    if (!bytes || sl_envelope_open(bytes, size, node->config.network_id, &envelope) != SL_OK || roster_accept(node, &envelope, true) != SL_OK ||
        group_would_refuse(node)) {
        node->cohort.n_members = 0;
        give_up(node);
        return;
    }
    for (uint32_t i = 0; i < formation->n_candidates; i++) {
        bool member = is_chosen(chosen, n_chosen, i);
        if (member) links_send_to(node, &formation->candidates[i], bytes, size);
        else if (formation->answers[i].here) release(node, &formation->candidates[i]);
    }
    formation->state = FORMATION_DONE;
    cohort_start(node);
}

/* A JOIN that comes when the roster is settled: the ROSTER again for a member who did not hear it, RELEASED for everybody else. */
static void answer_late_join(struct sl_node *node, struct link *link, const uint8_t propose_hash[32])
{
    const struct cohort *cohort = &node->cohort;
    if (!node->formation.proposed || !sl_hash_equal(propose_hash, node->formation.proposed_hash)) return;

    bool leads = cohort->state != COHORT_NONE && cohort->initiator == cohort->own;
    if (leads && cohort_find(node, link->id)) {
        links_send(node, link, cohort->roster, cohort->roster_size);
        return;
    }
    struct contact contact;
    if (links_contact(node, link->id, &contact)) release(node, &contact);
}

void formation_on_join(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct formation *formation = &node->formation;
    if (!node->acting || envelope->epoch != node->epoch || !sl_hash_equal(envelope->from, link->id) || envelope->size > JOIN_MAX) return;
    if (formation->state != FORMATION_PROPOSED) {
        answer_late_join(node, link, envelope->cohort);
        return;
    }

    for (uint32_t i = 0; i < formation->n_candidates; i++) {
        struct answer *answer = &formation->answers[i];
        struct sl_envelope opened;
        struct sl_join join;
        if (!sl_hash_equal(formation->candidates[i].id, link->id) || answer->here) continue;
        if (join_open(node, envelope->bytes, envelope->size, formation->own.hash, true, &opened, &join) != SL_OK) {
            node->counters.messages_refused++;
            return;
        }
        answer->size = (uint32_t)envelope->size;
        memcpy(answer->bytes, envelope->bytes, envelope->size);
        answer->here = true;
    }
    bool group_complete = formation->n_group + 1 >= node->config.cohort_min_size && count_answers(node, formation->n_group) == formation->n_group;
    if (group_complete && formation->wave == 1) make_roster(node);
}

/* The initiator of our cohort signs one ROSTER: another one beside ours proves it a liar. */
static void compare_rosters(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    const struct cohort *cohort = &node->cohort;
    if (cohort->state == COHORT_NONE || cohort->own == cohort->initiator || envelope->epoch != cohort->epoch) return;

    const struct member *initiator = &cohort->members[cohort->initiator];
    struct sl_span held = {cohort->roster, cohort->roster_size}, said = {envelope->bytes, envelope->size};
    if (sl_hash_equal(envelope->from, initiator->id)) evidence_contradiction(node, link, initiator->sign_public, &held, &said);
}

void formation_on_roster(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct formation *formation = &node->formation;
    compare_rosters(node, link, envelope);
    if (formation->state != FORMATION_JOINED || !node->acting || envelope->epoch != node->epoch) return;
    if (!sl_hash_equal(envelope->from, link->id) || !sl_hash_equal(formation->own.from, link->id)) return;

    int error = roster_accept(node, envelope, false);
    if (error == SL_OK && formation->joined_wave == 1 && group_is_led_by(node, link->id) && !group_is_taken(node)) error = SL_ERROR_OUT_OF_RANGE;
    if (error != SL_OK) {
        node_trace(node, SL_TRACE_ROSTER_REFUSED, link->id, 0, 0, error);
        formation->state = FORMATION_FREE;
        return;
    }
    formation->state = FORMATION_DONE;
    cohort_start(node);
}

void formation_on_released(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct formation *formation = &node->formation;
    if (formation->state != FORMATION_JOINED || envelope->epoch != node->epoch) return;
    if (!sl_hash_equal(envelope->from, link->id) || !sl_hash_equal(envelope->cohort, formation->own.hash)) return;

    node_trace(node, SL_TRACE_RELEASED, link->id, 0, 0, SL_OK);
    formation->state = FORMATION_FREE;
}

/* ---- the clock of the two waves ---- */

void formation_begin(struct sl_node *node)
{
    struct formation *formation = &node->formation;
    if (!privacy_fits_ring(node) || node->clock_peers > 0 || node->view.n_ring < node->config.cohort_min_size || node->now_us >= time_of(node, 1)) {
        node_trace(node, SL_TRACE_NO_COHORT, NULL, 0, 0, SL_OK);
        return;
    }
    formation->state = FORMATION_FREE;
    formation->wave = 1;
    uint64_t position = node->view.ring_positions[node->view.own_place];
    double lot = (double)group_lot(position) * 0x1p-64;
    node->deadlines[DEADLINE_PROPOSE] = time_of(node, propose_from + (propose_to - propose_from) * lot);
    node->deadlines[DEADLINE_ANSWER] = time_of(node, answer_at);
    node->deadlines[DEADLINE_AGAIN] = time_of(node, again_at);
    node->deadlines[DEADLINE_ROSTER] = time_of(node, roster_at);
    node->deadlines[DEADLINE_FORMED] = time_of(node, 1);
    if (leads_group(node)) propose(node);
}

static void begin_second_wave(struct sl_node *node)
{
    uint64_t position = node->view.ring_positions[node->view.own_place];
    double lot = (double)group_lot(position + 1) * 0x1p-64;
    node->formation.wave = 2;
    node->formation.n_proposals = 0;                    /* those of the first wave are settled */
    node->deadlines[DEADLINE_PROPOSE] = time_of(node, second_from + (second_to - second_from) * lot);
    node->deadlines[DEADLINE_ANSWER] = time_of(node, second_answer_at);
    node->deadlines[DEADLINE_ROSTER] = time_of(node, second_roster_at);
}

/* What was lost is said once more: the PROPOSE to the silent of the own group, the JOIN to a silent initiator. */
static void repeat(struct sl_node *node)
{
    struct formation *formation = &node->formation;
    if (formation->state == FORMATION_JOINED) send_join(node);
    if (formation->state != FORMATION_PROPOSED) return;

    for (uint32_t i = 0; i < formation->n_group; i++)
        if (!formation->answers[i].here) links_send_to(node, &formation->candidates[i], formation->own.bytes, formation->own.size);
}

/* An initiator of the first wave that sent no roster by now costs its group the first wave, not the epoch. */
static void leave_silent_initiator(struct sl_node *node)
{
    struct formation *formation = &node->formation;
    if (formation->state != FORMATION_JOINED) return;

    node_trace(node, SL_TRACE_SILENT, formation->own.from, 0, 0, SL_OK);
    formation->state = FORMATION_FREE;
}

void formation_on_deadline(struct sl_node *node, enum deadline purpose)
{
    struct formation *formation = &node->formation;
    if (purpose != DEADLINE_FORMED && node->now_us >= time_of(node, 1)) return;      /* woken too late: nobody waits for us any more */

    switch (purpose) {
    case DEADLINE_PROPOSE:
        if (formation->wave == 2) leave_silent_initiator(node);
        if (formation->state == FORMATION_FREE && !formation->proposed && formation->n_proposals == 0) propose(node);
        break;
    case DEADLINE_AGAIN: repeat(node); break;
    case DEADLINE_ANSWER:
        answer_best(node);
        break;
    case DEADLINE_ROSTER:
        if (formation->state == FORMATION_PROPOSED) make_roster(node);
        if (formation->wave == 1 && formation->state != FORMATION_DONE) begin_second_wave(node);
        break;
    default:
        if (formation->state != FORMATION_DONE) node_trace(node, SL_TRACE_NO_COHORT, NULL, 0, 0, SL_OK);
        if (formation->state != FORMATION_DONE) formation->state = FORMATION_IDLE;
        break;
    }
}

void formation_end(struct sl_node *node)
{
    struct formation *formation = &node->formation;
    formation->state = FORMATION_IDLE;
    formation->wave = 0;
    formation->proposed = false;
    formation->n_proposals = formation->n_heard = formation->n_candidates = 0;
    formation->join.here = false;
    sl_wipe(formation->mask_secret, sizeof formation->mask_secret);
    sl_wipe(formation->box_secret, sizeof formation->box_secret);
}
