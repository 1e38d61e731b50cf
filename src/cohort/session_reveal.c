/* SPDX-License-Identifier: MIT */
/* REVEAL: a key that was disclosed because somebody lied about it. It proves itself: who signed what does not fit it is the liar. */
#include <string.h>

#include "base/hash.h"
#include "cohort/session_parts.h"
#include "starling/error.h"

static bool has_shares(const struct sl_session *session, uint32_t member)
{
    return session_held(session, SL_STEP_SHARES, member)->size > 0;
}

static bool fits_tag(const struct sl_session *session, enum sl_mask_secret what, const uint8_t secret[32], const uint8_t tag[32])
{
    uint8_t hash[32];
    sl_mask_hash(what, session->cohort_id, secret, hash);
    return sl_hash_equal(hash, tag);
}

/* A proof of SHARES and one secret, which is the partner's. */
static void accuse_by_shares(struct sl_session *session, uint32_t liar, enum sl_evidence_kind kind, uint32_t partner, const uint8_t secret[32])
{
    const struct held *shares = session_held(session, SL_STEP_SHARES, liar);
    bool rests_on_roster = kind == SL_EVIDENCE_BAD_MASK_TAG || kind == SL_EVIDENCE_BAD_BOX_TAG;
    struct sl_evidence evidence = {.kind = kind, .n_secrets = 1};
    session_cite(&evidence, shares->bytes, shares->size);
    evidence.roster = rests_on_roster ? session->roster : NULL;
    evidence.roster_size = rests_on_roster ? session->roster_size : 0;
    evidence.secrets[0].index = partner;
    memcpy(evidence.secrets[0].secret, secret, 32);
    session_accuse(session, liar, &evidence);
}

/* ---- a box whose key was shown by its receiver ---- */

static bool box_is_good(const struct sl_session *session, uint32_t dealer, uint32_t receiver, const uint8_t key[32])
{
    const struct sl_dealt *dealt = &session->shares[dealer].dealt[receiver];
    uint8_t shares[2][32], hashes[2][32];
    if (sl_mask_unseal(key, session->cohort_id, dealt->box, shares[0], shares[1]) != SL_OK) return false;

    for (int i = 0; i < 2; i++) sl_mask_share_hash(i == 1, session->cohort_id, dealer, receiver, shares[i], hashes[i]);
    sl_wipe(shares, sizeof shares);
    return sl_hash_equal(hashes[0], dealt->self_share_hash) && sl_hash_equal(hashes[1], dealt->mask_share_hash);
}

static void judge_box(struct sl_session *session, uint32_t dealer, uint32_t receiver)
{
    const uint8_t *key = session_revealed(session, SL_REVEAL_BOX_KEY, receiver, dealer);
    if (!(session->is_revealed[SL_REVEAL_BOX_KEY - 1][receiver] & bit(dealer)) || !has_shares(session, dealer) || dealer == receiver) return;
    if (!fits_tag(session, SL_SECRET_BOX_KEY, key, session->shares[dealer].dealt[receiver].to_tag) || box_is_good(session, dealer, receiver, key)) return;

    if (!(session->excluded & bit(dealer))) session_tell(session, SL_NEWS_BAD_SHARE, dealer, 0);
    session->excluded |= bit(dealer);
    session->told |= bit(dealer);
    accuse_by_shares(session, dealer, SL_EVIDENCE_BAD_SHARE, receiver, key);
}

/* ---- tags of which a partner showed the secret ---- */

static void judge_mask_tag(struct sl_session *session, uint32_t dealer, uint32_t partner)
{
    const uint8_t *secret = session_revealed(session, SL_REVEAL_MASK_SECRET, partner, 0);
    struct sl_mask_context context = session_context(session, partner, dealer);
    uint8_t seed[32];
    int error = sl_mask_pair_seed(&context, session->members[partner].mask_public, secret, session->members[dealer].mask_public, seed);
    if (!error && !fits_tag(session, SL_SECRET_PAIR_SEED, seed, session->shares[dealer].dealt[partner].mask_tag))
        accuse_by_shares(session, dealer, SL_EVIDENCE_BAD_MASK_TAG, partner, secret);
    sl_wipe(seed, sizeof seed);
}

static void judge_box_tags(struct sl_session *session, uint32_t dealer, uint32_t partner)
{
    const uint8_t *secret = session_revealed(session, SL_REVEAL_BOX_SECRET, partner, 0);
    const struct sl_dealt *dealt = &session->shares[dealer].dealt[partner];
    struct sl_mask_context context = session_context(session, partner, dealer);
    struct sl_box_keys keys;
    int error = sl_mask_box_keys(&context, session->members[partner].box_public, secret, session->members[dealer].box_public, &keys);
    bool fits = !error && fits_tag(session, SL_SECRET_BOX_KEY, keys.from_peer, dealt->to_tag) &&
                fits_tag(session, SL_SECRET_BOX_KEY, keys.to_peer, dealt->from_tag);
    if (!error && !fits) accuse_by_shares(session, dealer, SL_EVIDENCE_BAD_BOX_TAG, partner, secret);
    sl_wipe(&keys, sizeof keys);
}

static void judge_tags(struct sl_session *session, uint32_t dealer, uint32_t partner)
{
    if (dealer == partner || !has_shares(session, dealer)) return;

    if (session->is_revealed[SL_REVEAL_MASK_SECRET - 1][partner] & 1) judge_mask_tag(session, dealer, partner);
    if (session->is_revealed[SL_REVEAL_BOX_SECRET - 1][partner] & 1) judge_box_tags(session, dealer, partner);
}

void session_judge_keys(struct sl_session *session, uint32_t dealer)
{
    for (uint32_t i = 0; i < session->n_members; i++) {
        judge_box(session, dealer, i);
        judge_tags(session, dealer, i);
    }
}

/* ---- masks on which two audits differ ---- */

static void accuse_by_audit(struct sl_session *session, uint32_t liar, uint32_t partner, const uint8_t seed[32])
{
    const struct held *audit = session_held(session, SL_STEP_AUDIT, liar), *shares = session_held(session, SL_STEP_SHARES, liar);
    struct sl_evidence evidence = {.kind = SL_EVIDENCE_BAD_PAIR_SKETCH, .n_secrets = 1};
    session_cite(&evidence, audit->bytes, audit->size);
    session_cite(&evidence, shares->bytes, shares->size);
    evidence.secrets[0].index = partner;
    memcpy(evidence.secrets[0].secret, seed, 32);
    session_accuse(session, liar, &evidence);
}

/* The seed, if one of the two has shown it. */
static const uint8_t *shown_seed(const struct sl_session *session, uint32_t a, uint32_t b)
{
    for (int i = 0; i < 2; i++) {
        const uint8_t *seed = session_revealed(session, SL_REVEAL_PAIR_SEED, a, b);
        bool is_shown = session->is_revealed[SL_REVEAL_PAIR_SEED - 1][a] & bit(b);
        if (is_shown && fits_tag(session, SL_SECRET_PAIR_SEED, seed, session->shares[a].dealt[b].mask_tag)) return seed;
        uint32_t other = a;
        a = b;
        b = other;
    }
    return NULL;
}

void session_judge_pair(struct sl_session *session, uint32_t a, uint32_t b)
{
    bool is_open = (session->differing[a] & bit(b)) && !(session->settled[a] & bit(b));
    const uint8_t *seed = is_open ? shown_seed(session, a, b) : NULL;
    if (!seed) return;

    uint32_t truth[SL_SKETCH_ROWS_MAX] = {0}, values[SESSION_BLOCK], pair[2] = {a, b};
    session_sketch_begin(session);
    for (uint32_t start = 0; start < session->dim; start += SESSION_BLOCK) {
        uint32_t n = session->dim - start < SESSION_BLOCK ? session->dim - start : SESSION_BLOCK;
        session_sketch_block(session, start);
        session_expand(session, seed, start, values, n);
        session_sketch_add(session, values, n, truth);
    }
    for (int i = 0; i < 2; i++) {
        uint32_t member = pair[i], partner = pair[1 - i];
        session->settled[member] |= bit(partner);
        if (session_sketch_equal(session, session->audits[member].pair[partner], truth)) continue;

        if (!(session->failed & bit(member))) session_tell(session, SL_NEWS_BAD_AUDIT, member, 0);
        session->failed |= bit(member);
        session->told |= bit(member);
        accuse_by_audit(session, member, partner, seed);
    }
}

/* ---- messages ---- */

static void keep(struct sl_session *session, uint32_t author, const struct sl_reveal *reveal)
{
    bool is_of_pair = reveal->kind == SL_REVEAL_BOX_KEY || reveal->kind == SL_REVEAL_PAIR_SEED;
    uint32_t of = is_of_pair ? reveal->index : 0;
    memcpy(session_revealed(session, reveal->kind, author, of), reveal->secret, 32);
    session->is_revealed[reveal->kind - 1][author] |= bit(of);
}

static void judge(struct sl_session *session, uint32_t author, const struct sl_reveal *reveal)
{
    switch (reveal->kind) {
    case SL_REVEAL_BOX_KEY: judge_box(session, reveal->index, author); break;
    case SL_REVEAL_PAIR_SEED: session_judge_pair(session, author, reveal->index); break;
    default:
        for (uint32_t dealer = 0; dealer < session->n_members; dealer++) judge_tags(session, dealer, author);
    }
}

void session_reveal(struct sl_session *session, enum sl_reveal_kind kind, uint32_t index, const uint8_t secret[32])
{
    uint8_t bytes[512];
    struct sl_reveal reveal = {.kind = kind, .index = index};
    bool is_of_pair = kind == SL_REVEAL_BOX_KEY || kind == SL_REVEAL_PAIR_SEED;
    if (session->is_revealed[kind - 1][session->own] & bit(is_of_pair ? index : 0)) return;          /* said already */

    memcpy(reveal.secret, secret, 32);
    struct sl_writer writer = session_write(session, SL_MESSAGE_REVEAL, bytes, sizeof bytes);
    sl_write_reveal(&writer, &reveal);
    size_t size = sl_envelope_seal(&writer, SL_MESSAGE_REVEAL, session->sign_secret);
    session->port.count(session->port.context, true);
    session->port.send(session->port.context, SL_SESSION_ALL, bytes, size);
    keep(session, session->own, &reveal);
    judge(session, session->own, &reveal);
    sl_wipe(&reveal, sizeof reveal);
}

/* Does the secret belong to the keys in the roster, or can that not be told before the SHARES are here? */
static bool may_be_true(const struct sl_session *session, uint32_t author, const struct sl_reveal *reveal)
{
    const struct sl_session_member *member = &session->members[author];
    uint8_t public_key[32];
    switch (reveal->kind) {
    case SL_REVEAL_MASK_SECRET: case SL_REVEAL_BOX_SECRET:
        sl_mask_public(reveal->secret, public_key);
        return sl_hash_equal(public_key, reveal->kind == SL_REVEAL_MASK_SECRET ? member->mask_public : member->box_public);
    case SL_REVEAL_PAIR_SEED:
        return has_shares(session, author) && fits_tag(session, SL_SECRET_PAIR_SEED, reveal->secret, session->shares[author].dealt[reveal->index].mask_tag);
    default:
        return !has_shares(session, reveal->index) ||
               fits_tag(session, SL_SECRET_BOX_KEY, reveal->secret, session->shares[reveal->index].dealt[author].to_tag);
    }
}

void session_on_reveal(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope, uint32_t via)
{
    struct sl_reveal reveal;
    bool is_read = sl_read_reveal(envelope, &reveal) == SL_OK && reveal.index < session->n_members && reveal.index != author;
    if (!is_read || !may_be_true(session, author, &reveal)) return;

    bool is_of_pair = reveal.kind == SL_REVEAL_BOX_KEY || reveal.kind == SL_REVEAL_PAIR_SEED;
    uint32_t of = is_of_pair ? reveal.index : 0;
    bool is_known = session->is_revealed[reveal.kind - 1][author] & bit(of);
    if (is_known || !session_verify(session, author, envelope, via)) return;         /* the first one counts, and nobody speaks for another */

    keep(session, author, &reveal);
    session_relay(session, author, envelope, via);
    judge(session, author, &reveal);
}
