/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/core.h"
#include "privacy/mask.h"
#include "starling/error.h"
#include "starling/identity.h"

/* A JOIN may not name a transport key other than the one we know for this identity, nor one that is another's: partners would dial strangers on its word. */
static bool key_is_its_own(const struct sl_node *node, const uint8_t id[32], const uint8_t transport_public[32])
{
    bool is_ours = sl_hash_equal(transport_public, node->self->transport_public);
    if (is_ours) return sl_hash_equal(id, node->self->id);

    const struct sl_view_peer *known = sl_view_find(&node->view, id), *holder = sl_view_find_key(&node->view, transport_public);
    if (known && known->proven) return known == holder;
    return !holder || holder == known || !holder->proven;       /* who only claims a key keeps nobody from using it */
}

int join_open(struct sl_node *node, const uint8_t *bytes, size_t size, const uint8_t propose_hash[32], bool verify, struct sl_envelope *envelope,
              struct sl_join *out)
{
    int error = sl_envelope_open(bytes, size, node->config.network_id, envelope);
    if (error != SL_OK) return error;
    if (envelope->type != SL_MESSAGE_JOIN || envelope->epoch != node->epoch || !sl_hash_equal(envelope->cohort, propose_hash)) return SL_ERROR_MISMATCH;
    error = sl_read_join(envelope, out);
    if (error != SL_OK) return error;

    uint8_t id[32];
    sl_identity_id(node->config.network_id, out->sign_public, id);
    bool consistent = sl_hash_equal(id, envelope->from) && key_is_its_own(node, id, out->transport_public);
    if (!consistent || sl_hash_equal(out->mask_public, out->box_public)) return SL_ERROR_MISMATCH;
    if (!verify) return SL_OK;
    if (!sl_mask_key_is_sound(out->mask_public) || !sl_mask_key_is_sound(out->box_public)) return SL_ERROR_MISMATCH;       /* no run could begin */
    if (!node_verify(node, envelope, out->sign_public)) return SL_ERROR_BAD_SIGNATURE;
    return certificate_check(node, id, out->certificate, out->certificate_size);
}

bool proposal_open(const struct sl_node *node, const struct proposal *proposal, struct sl_propose *out)
{
    struct sl_envelope envelope;
    return sl_envelope_open(proposal->bytes, proposal->size, node->config.network_id, &envelope) == SL_OK && sl_read_propose(&envelope, out) == SL_OK;
}

/* The address is the view's where it has one: a JOIN's is only its author's word. */
static void fill_member(const struct sl_node *node, struct member *member, const struct sl_envelope *envelope, const struct sl_join *join)
{
    const struct sl_view_peer *peer = sl_view_find(&node->view, envelope->from);
    *member = (struct member){0};
    memcpy(member->id, envelope->from, 32);
    memcpy(member->sign_public, join->sign_public, 32);
    memcpy(member->transport_public, join->transport_public, 32);
    memcpy(member->mask_public, join->mask_public, 32);
    memcpy(member->box_public, join->box_public, 32);
    memcpy(member->address, peer && peer->address[0] ? peer->address : join->address, sizeof member->address);
}

uint32_t proposal_place(const struct sl_propose *propose, const uint8_t initiator[32], const uint8_t id[32])
{
    if (sl_hash_equal(initiator, id)) return propose->n_candidates;
    for (uint32_t i = 0; i < propose->n_candidates; i++)
        if (sl_hash_equal(propose->candidates[i], id)) return i;
    return UINT32_MAX;
}

static bool refuses(const struct sl_join *join, uint32_t place)
{
    return place < SL_CANDIDATES_MAX && join->refused >> place & 1;
}

bool joins_suit(const struct sl_join *a, uint32_t place_a, const struct sl_join *b, uint32_t place_b)
{
    bool keys_differ = !sl_hash_equal(a->mask_public, b->mask_public) && !sl_hash_equal(a->box_public, b->box_public) &&
                       !sl_hash_equal(a->mask_public, b->box_public) && !sl_hash_equal(a->box_public, b->mask_public);
    return keys_differ && !refuses(a, place_b) && !refuses(b, place_a);
}

/* Every JOIN against the PROPOSE and against those before it; fills the members. */
static int check_joins(struct sl_node *node, const struct sl_roster *roster, const struct sl_propose *propose, bool verified)
{
    struct formation *formation = &node->formation;
    struct cohort *cohort = &node->cohort;
    struct sl_join joins[SL_COHORT_MAX];
    uint32_t places[SL_COHORT_MAX];
    cohort->own = cohort->initiator = UINT32_MAX;

    for (uint32_t i = 0; i < roster->n_joins; i++) {
        struct sl_envelope envelope;
        bool own = roster->joins[i].size == formation->join.size && memcmp(roster->joins[i].bytes, formation->join.bytes, formation->join.size) == 0;
        int error = join_open(node, roster->joins[i].bytes, roster->joins[i].size, formation->own.hash, !own && !verified, &envelope, &joins[i]);
        if (error != SL_OK) return error;

        places[i] = proposal_place(propose, formation->own.from, envelope.from);
        if (places[i] == UINT32_MAX || (i > 0 && memcmp(cohort->members[i - 1].id, envelope.from, 32) >= 0)) return SL_ERROR_MALFORMED;
        if (!own && group_is_known(node) && sl_view_ring_distance(&node->view, envelope.from) > group_window(node)) return SL_ERROR_OUT_OF_RANGE;
        for (uint32_t j = 0; j < i; j++)
            if (!joins_suit(&joins[i], places[i], &joins[j], places[j])) return SL_ERROR_MISMATCH;
        fill_member(node, &cohort->members[i], &envelope, &joins[i]);
        if (own) cohort->own = i;
        if (places[i] == propose->n_candidates) cohort->initiator = i;
    }
    return cohort->own == UINT32_MAX || cohort->initiator == UINT32_MAX ? SL_ERROR_NOT_FOUND : SL_OK;
}

int roster_accept(struct sl_node *node, const struct sl_envelope *envelope, bool verified)
{
    struct formation *formation = &node->formation;
    struct cohort *cohort = &node->cohort;
    struct sl_roster roster;
    struct sl_propose propose;
    if (!sl_hash_equal(envelope->cohort, formation->own.hash) || envelope->size > cohort->roster_max) return SL_ERROR_MISMATCH;
    int error = sl_read_roster(envelope, &roster);
    if (error != SL_OK) return error;
    if (!proposal_open(node, &formation->own, &propose)) return SL_ERROR_MALFORMED;
    if (privacy_compare(node, &propose) != TERMS_AGREE) return SL_ERROR_MISMATCH;
    if (!privacy_allows(node, roster.n_joins)) return SL_ERROR_OUT_OF_RANGE;
    if (roster.n_joins < node->config.cohort_min_size || roster.n_joins > node->config.cohort_max_size) return SL_ERROR_OUT_OF_RANGE;

    error = check_joins(node, &roster, &propose, verified);
    if (error != SL_OK) return error;
    if (!verified && !node_verify(node, envelope, cohort->members[cohort->initiator].sign_public)) return SL_ERROR_BAD_SIGNATURE;

    cohort->epoch = node->epoch;
    cohort->n_members = roster.n_joins;
    cohort->propose = formation->own;
    cohort->radius = privacy_radius(&propose);
    cohort->sigma2 = propose.sigma2;
    cohort->ref_exponent = propose.ref_exponent;
    cohort->radius_q = propose.radius_q;
    cohort->ring_exponent = privacy_ring_exponent(&propose, cohort->n_members);
    cohort->roster_size = (uint32_t)envelope->size;
    memcpy(cohort->roster, envelope->bytes, envelope->size);
    sl_hash_once("cohort", envelope->body, envelope->body_size, cohort->id);
    return SL_OK;
}
