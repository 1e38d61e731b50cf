/* SPDX-License-Identifier: MIT */
/* SHARES: the keys of all pairs, our two secrets dealt out, and what others dealt to us. */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "cohort/session_parts.h"
#include "privacy/shamir.h"
#include "starling/error.h"

/* ---- own ---- */

static bool derive_keys(struct sl_session *session)
{
    struct secrets *secrets = &session->secrets;
    const struct sl_session_member *own = &session->members[session->own];
    for (uint32_t j = 0; j < session->n_members; j++) {
        if (j == session->own) continue;
        const struct sl_session_member *peer = &session->members[j];
        struct sl_mask_context context = session_context(session, session->own, j);
        if (sl_mask_pair_seed(&context, own->mask_public, secrets->mask, peer->mask_public, secrets->pair[j]) != SL_OK) return false;
        if (sl_mask_box_keys(&context, own->box_public, secrets->box, peer->box_public, &secrets->boxes[j]) != SL_OK) return false;
    }
    return true;
}

static void deal_to(struct sl_session *session, uint32_t j, const uint8_t self_share[32], const uint8_t mask_share[32], uint8_t *box, struct sl_dealt *out)
{
    struct secrets *secrets = &session->secrets;
    sl_mask_share_hash(false, session->cohort_id, session->own, j, self_share, out->self_share_hash);
    sl_mask_share_hash(true, session->cohort_id, session->own, j, mask_share, out->mask_share_hash);
    if (j == session->own) {
        memcpy(secrets->self_shares[j], self_share, 32);
        memcpy(secrets->mask_shares[j], mask_share, 32);
        return;
    }
    sl_mask_hash(SL_SECRET_PAIR_SEED, session->cohort_id, secrets->pair[j], out->mask_tag);
    sl_mask_hash(SL_SECRET_BOX_KEY, session->cohort_id, secrets->boxes[j].to_peer, out->to_tag);
    sl_mask_hash(SL_SECRET_BOX_KEY, session->cohort_id, secrets->boxes[j].from_peer, out->from_tag);
    sl_mask_seal(secrets->boxes[j].to_peer, session->cohort_id, self_share, mask_share, box);
    out->box = box;
}

static void write_shares(struct sl_session *session, const struct sl_shares *shares)
{
    struct held *held = session_held(session, SL_STEP_SHARES, session->own);
    struct sl_writer writer = session_write(session, SL_MESSAGE_SHARES, held->bytes, held->size_max);
    sl_write_shares(&writer, shares);
    session->state = SL_SESSION_SHARED;
    session_say(session, SL_STEP_SHARES, &writer, SL_MESSAGE_SHARES);
    struct sl_envelope envelope = session_envelope(session, held);
    session_keep_shares(session, session->own, &envelope);
    session_tell(session, SL_NEWS_SHARED, session->own, session->n_members);
}

/* False, and nothing is said, if a partner's key is worthless. */
bool session_share(struct sl_session *session)
{
    struct secrets *secrets = &session->secrets;
    if (!derive_keys(session)) return false;

    sl_rng_bytes(&session->rng, secrets->self, 32);
    sl_rng_bytes(&session->rng, secrets->nonce, 32);
    uint8_t self_shares[SL_COHORT_MAX][32], mask_shares[SL_COHORT_MAX][32], boxes[SL_COHORT_MAX][SL_BOX_SIZE];
    sl_shamir_split(secrets->self, session->threshold, session->n_members, &session->rng, self_shares);
    sl_shamir_split(secrets->mask, session->threshold, session->n_members, &session->rng, mask_shares);

    struct sl_shares *shares = &session->scratch.shares;
    memset(shares, 0, sizeof *shares);
    shares->n_members = session->n_members;
    sl_mask_hash(SL_SECRET_SELF_SEED, session->cohort_id, secrets->self, shares->self_hash);
    sl_mask_hash(SL_SECRET_AUDIT_NONCE, session->cohort_id, secrets->nonce, shares->nonce_hash);
    for (uint32_t j = 0; j < session->n_members; j++) deal_to(session, j, self_shares[j], mask_shares[j], boxes[j], &shares->dealt[j]);
    sl_wipe(self_shares, sizeof self_shares);
    sl_wipe(mask_shares, sizeof mask_shares);
    write_shares(session, shares);
    return true;
}

/* ---- those of others ---- */

static bool masks_agree(const struct sl_session *session, uint32_t i, uint32_t j)
{
    return sl_hash_equal(session->shares[i].dealt[j].mask_tag, session->shares[j].dealt[i].mask_tag);
}

static bool boxes_agree(const struct sl_session *session, uint32_t i, uint32_t j)
{
    const struct sl_dealt *by_i = &session->shares[i].dealt[j], *by_j = &session->shares[j].dealt[i];
    return sl_hash_equal(by_i->to_tag, by_j->from_tag) && sl_hash_equal(by_i->from_tag, by_j->to_tag);
}

/* Everybody compares the tags of every pair, so all come to the same disputes. */
uint64_t session_disputants(const struct sl_session *session, uint64_t among)
{
    uint64_t found = 0;
    for (uint32_t i = 0; i < session->n_members; i++)
        if ((among & bit(i)) && (session->disputed[i] & among)) found |= bit(i);
    return found;
}

/* We show the secret that our tags come from. Nothing is masked by it yet, and with it public nothing may be: the run is over for us. */
static void defend(struct sl_session *session, uint32_t partner)
{
    bool is_mask = !masks_agree(session, session->own, partner);
    session_reveal(session, is_mask ? SL_REVEAL_MASK_SECRET : SL_REVEAL_BOX_SECRET, partner, is_mask ? session->secrets.mask : session->secrets.box);
    session_void(session, partner);
}

static void compare_tags(struct sl_session *session, uint32_t dealer)
{
    for (uint32_t j = 0; j < session->n_members; j++) {
        session->disputed[dealer] &= ~bit(j);
        session->disputed[j] &= ~bit(dealer);
        if (j == dealer || session_held(session, SL_STEP_SHARES, j)->size == 0) continue;
        if (masks_agree(session, dealer, j) && boxes_agree(session, dealer, j)) continue;

        session->disputed[dealer] |= bit(j);
        session->disputed[j] |= bit(dealer);
        uint32_t pair[2] = {dealer, j};
        for (int i = 0; i < 2; i++) {
            if (!(session->told & bit(pair[i]))) session_tell(session, SL_NEWS_DISPUTED, pair[i], 0);
            session->told |= bit(pair[i]);
        }
    }
}

static bool take_box(struct sl_session *session, uint32_t dealer)
{
    struct secrets *secrets = &session->secrets;
    const struct sl_dealt *dealt = &session->shares[dealer].dealt[session->own];
    uint8_t self_hash[32], mask_hash[32], *self_share = secrets->self_shares[dealer], *mask_share = secrets->mask_shares[dealer];
    if (sl_mask_unseal(secrets->boxes[dealer].from_peer, session->cohort_id, dealt->box, self_share, mask_share) != SL_OK) return false;

    sl_mask_share_hash(false, session->cohort_id, dealer, session->own, self_share, self_hash);
    sl_mask_share_hash(true, session->cohort_id, dealer, session->own, mask_share, mask_hash);
    return sl_hash_equal(self_hash, dealt->self_share_hash) && sl_hash_equal(mask_hash, dealt->mask_share_hash);
}

/* A dealer of a bad share stays out of our LISTs. One that names it is none the less good enough: the others' shares may do. */
void session_on_shares(struct sl_session *session, uint32_t dealer)
{
    if (session->n_agreed > 0) return;                  /* too late for V: nothing of it counts */

    compare_tags(session, dealer);
    bool concerns_us = session->disputed[session->own] & bit(dealer);
    session->unusable &= ~bit(dealer);
    if (!concerns_us && !take_box(session, dealer)) {
        session->unusable |= bit(dealer);
        sl_wipe(session->secrets.self_shares[dealer], 32);
        sl_wipe(session->secrets.mask_shares[dealer], 32);
        session_reveal(session, SL_REVEAL_BOX_KEY, dealer, session->secrets.boxes[dealer].from_peer);
    }
    session_judge_keys(session, dealer);
    if (concerns_us) defend(session, dealer);
}
