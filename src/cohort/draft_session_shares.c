/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/hash.h"
#include "cohort/evidence.h"
#include "cohort/draft_parts.h"
#include "privacy/shamir.h"
#include "starling/error.h"

/* SHARES: every member deals shares of its two secrets, and says in public what binds it to them. */

static struct sl_mask_context context_of(const struct sl_session *session, uint32_t own, uint32_t peer)
{
    return (struct sl_mask_context){.network_id = session->network_id, .cohort_id = session->cohort_id, .epoch = session->epoch,
                                    .own_id = session->parties[own].who.id, .peer_id = session->parties[peer].who.id,
                                    .own_index = own, .peer_index = peer};
}

static bool derive_keys(struct sl_session *session)
{
    for (uint32_t j = 0; j < session->n; j++) {
        struct party *party = &session->parties[j];
        struct sl_mask_context context = context_of(session, session->own, j);
        if (j == session->own) continue;
        if (sl_mask_pair_seed(&context, session->mask_public, session->mask_secret, party->who.mask_public, party->pair_seed) != SL_OK) return false;
        if (sl_mask_box_keys(&context, session->box_public, session->box_secret, party->who.box_public, &party->box) != SL_OK) return false;
    }
    return true;
}

static void describe(struct sl_session *session, uint32_t member, const uint8_t self_share[32], const uint8_t mask_share[32], uint8_t box[SL_BOX_SIZE],
                     struct sl_dealt *out)
{
    const struct party *party = &session->parties[member];
    sl_mask_share_hash(false, session->cohort_id, session->own, member, self_share, out->self_share_hash);
    sl_mask_share_hash(true, session->cohort_id, session->own, member, mask_share, out->mask_share_hash);
    if (member == session->own) return;

    sl_mask_hash(SL_SECRET_PAIR_SEED, session->cohort_id, party->pair_seed, out->mask_tag);
    sl_mask_hash(SL_SECRET_BOX_KEY, session->cohort_id, party->box.to_peer, out->to_tag);
    sl_mask_hash(SL_SECRET_BOX_KEY, session->cohort_id, party->box.from_peer, out->from_tag);
    sl_mask_seal(party->box.to_peer, session->cohort_id, self_share, mask_share, box);
    out->box = box;
}

bool shares_deal(struct sl_session *session)
{
    struct sl_shares body = {.n_members = session->n};
    uint8_t self_shares[SL_MESH_COHORT_MAX][32], mask_shares[SL_MESH_COHORT_MAX][32], boxes[SL_MESH_COHORT_MAX][SL_BOX_SIZE];
    struct party *own = &session->parties[session->own];
    if (!derive_keys(session)) return false;

    sl_rng_bytes(&session->rng, session->self_seed, 32);
    sl_rng_bytes(&session->rng, session->nonce, 32);
    sl_mask_hash(SL_SECRET_SELF_SEED, session->cohort_id, session->self_seed, body.self_hash);
    sl_mask_hash(SL_SECRET_AUDIT_NONCE, session->cohort_id, session->nonce, body.nonce_hash);
    sl_shamir_split(session->self_seed, session->threshold, session->n, &session->rng, self_shares);
    sl_shamir_split(session->mask_secret, session->threshold, session->n, &session->rng, mask_shares);
    for (uint32_t j = 0; j < session->n; j++) describe(session, j, self_shares[j], mask_shares[j], boxes[j], &body.dealt[j]);
    memcpy(own->self_share, self_shares[session->own], 32);
    memcpy(own->mask_share, mask_shares[session->own], 32);
    own->shares_here = true;
    sl_wipe(self_shares, sizeof self_shares);
    sl_wipe(mask_shares, sizeof mask_shares);

    struct sl_writer writer = session_write(session, SL_MESSAGE_SHARES);
    sl_write_shares(&writer, &body);
    session_say(session, &writer, SL_MESSAGE_SHARES, HELD_SHARES);
    return true;
}

static bool read_shares(const struct sl_session *session, uint32_t dealer, struct sl_shares *out)
{
    struct sl_envelope envelope;
    return session_open_held(session, &session->parties[dealer].held[HELD_SHARES], &envelope) && sl_read_shares(&envelope, out) == SL_OK;
}

/* ---- disputes: which pairs name different tags ---- */

static bool mask_tags_agree(const struct sl_shares *a, uint32_t at_a, const struct sl_shares *b, uint32_t at_b)
{
    return sl_hash_equal(a->dealt[at_b].mask_tag, b->dealt[at_a].mask_tag);
}

static bool box_tags_agree(const struct sl_shares *a, uint32_t at_a, const struct sl_shares *b, uint32_t at_b)
{
    return sl_hash_equal(a->dealt[at_b].to_tag, b->dealt[at_a].from_tag) && sl_hash_equal(a->dealt[at_b].from_tag, b->dealt[at_a].to_tag);
}

static void reveal(struct sl_session *session, enum sl_reveal_kind kind, uint32_t index, const uint8_t secret[32])
{
    struct sl_reveal body = {.kind = kind, .index = index};
    memcpy(body.secret, secret, 32);
    struct sl_writer writer = session_write(session, SL_MESSAGE_REVEAL);
    sl_write_reveal(&writer, &body);
    session_say(session, &writer, SL_MESSAGE_REVEAL, HELD_COUNT);
    sl_wipe(&body, sizeof body);
}

/* Our own SHARES cannot be taken back, so who lies about a key is found by the key itself: nothing is masked yet, and whoever reveals sits out. */
static void reveal_own(struct sl_session *session, bool mask_tags_differ)
{
    if (session->has_revealed) return;

    session->has_revealed = true;
    if (mask_tags_differ) reveal(session, SL_REVEAL_MASK_SECRET, 0, session->mask_secret);
    else reveal(session, SL_REVEAL_BOX_SECRET, 0, session->box_secret);
}

static void dispute(struct sl_session *session, uint32_t i, uint32_t j, bool mask_tags_differ)
{
    uint32_t pair[2] = {i, j};
    for (uint32_t n = 0; n < 2; n++) {
        struct party *party = &session->parties[pair[n]];
        if (!party->sits_out) session_tell(session, SL_NEWS_DISPUTED, pair[n], 0);
        party->sits_out = true;
        if (pair[n] == session->own) reveal_own(session, mask_tags_differ);
    }
}

/* ---- a dealer's shares for us ---- */

static bool shares_fit(const struct sl_session *session, uint32_t dealer, uint32_t receiver, const struct sl_dealt *dealt, const uint8_t key[32],
                       uint8_t self_share[32], uint8_t mask_share[32])
{
    uint8_t self_hash[32], mask_hash[32];
    if (!dealt->box || sl_mask_unseal(key, session->cohort_id, dealt->box, self_share, mask_share) != SL_OK) return false;

    sl_mask_share_hash(false, session->cohort_id, dealer, receiver, self_share, self_hash);
    sl_mask_share_hash(true, session->cohort_id, dealer, receiver, mask_share, mask_hash);
    return sl_hash_equal(self_hash, dealt->self_share_hash) && sl_hash_equal(mask_hash, dealt->mask_share_hash);
}

static void accuse_of_bad_share(struct sl_session *session, uint32_t dealer, uint32_t receiver, const uint8_t key[32])
{
    struct sl_evidence evidence = {.kind = SL_EVIDENCE_BAD_SHARE, .n_secrets = 1};
    evidence.secrets[0].index = receiver;
    memcpy(evidence.secrets[0].secret, key, 32);
    if (!session->parties[dealer].expelled) session_tell(session, SL_NEWS_BAD_SHARE, dealer, receiver);
    session_accuse(session, dealer, &evidence, HELD_SHARES, HELD_COUNT);
    session_expel(session, dealer);
}

static void open_box(struct sl_session *session, uint32_t dealer, const struct sl_dealt *dealt)
{
    struct party *party = &session->parties[dealer];
    party->shares_here = shares_fit(session, dealer, session->own, dealt, party->box.from_peer, party->self_share, party->mask_share);
    if (party->shares_here) return;

    reveal(session, SL_REVEAL_BOX_KEY, dealer, party->box.from_peer);
    accuse_of_bad_share(session, dealer, session->own, party->box.from_peer);
}

void shares_check(struct sl_session *session, uint32_t dealer)
{
    struct sl_shares body, other;
    if (!read_shares(session, dealer, &body)) return;

    for (uint32_t j = 0; j < session->n; j++) {
        if (j == dealer || !read_shares(session, j, &other)) continue;
        bool masks_agree = mask_tags_agree(&body, dealer, &other, j);
        if (!masks_agree || !box_tags_agree(&body, dealer, &other, j)) dispute(session, dealer, j, !masks_agree);
    }
    if (dealer != session->own && !session->parties[dealer].sits_out) open_box(session, dealer, &body.dealt[session->own]);
}

/* ---- keys that others reveal ---- */

static void on_box_key(struct sl_session *session, uint32_t receiver, const struct sl_reveal *reveal)
{
    struct sl_shares body;
    uint8_t tag[32], self_share[32], mask_share[32];
    uint32_t dealer = reveal->index;
    if (dealer >= session->n || dealer == receiver || !read_shares(session, dealer, &body)) return;

    sl_mask_hash(SL_SECRET_BOX_KEY, session->cohort_id, reveal->secret, tag);
    if (!sl_hash_equal(tag, body.dealt[receiver].to_tag)) return;
    if (!shares_fit(session, dealer, receiver, &body.dealt[receiver], reveal->secret, self_share, mask_share))
        accuse_of_bad_share(session, dealer, receiver, reveal->secret);
    sl_wipe(self_share, sizeof self_share);
    sl_wipe(mask_share, sizeof mask_share);
}

/* Does what `liar` said of its pair with `witness` differ from what the witness's own secret gives? */
static bool tags_are_false(const struct sl_session *session, uint32_t liar, uint32_t witness, const struct sl_reveal *reveal)
{
    struct sl_shares body;
    struct sl_mask_context context = context_of(session, witness, liar);
    const struct sl_session_member *own = &session->parties[witness].who, *peer = &session->parties[liar].who;
    uint8_t seed[32], tag[2][32] = {{0}};
    struct sl_box_keys keys = {{0}, {0}};
    bool is_false = false;
    if (!read_shares(session, liar, &body)) return false;

    if (reveal->kind == SL_REVEAL_MASK_SECRET) {
        if (sl_mask_pair_seed(&context, own->mask_public, reveal->secret, peer->mask_public, seed) != SL_OK) return false;
        sl_mask_hash(SL_SECRET_PAIR_SEED, session->cohort_id, seed, tag[0]);
        is_false = !sl_hash_equal(tag[0], body.dealt[witness].mask_tag);
    } else {
        if (sl_mask_box_keys(&context, own->box_public, reveal->secret, peer->box_public, &keys) != SL_OK) return false;
        sl_mask_hash(SL_SECRET_BOX_KEY, session->cohort_id, keys.to_peer, tag[0]);
        sl_mask_hash(SL_SECRET_BOX_KEY, session->cohort_id, keys.from_peer, tag[1]);
        is_false = !sl_hash_equal(tag[0], body.dealt[witness].from_tag) || !sl_hash_equal(tag[1], body.dealt[witness].to_tag);
    }
    sl_wipe(seed, sizeof seed);
    sl_wipe(&keys, sizeof keys);
    return is_false;
}

static void on_own_secret(struct sl_session *session, uint32_t witness, const struct sl_reveal *reveal)
{
    const struct sl_session_member *who = &session->parties[witness].who;
    const bool is_mask = reveal->kind == SL_REVEAL_MASK_SECRET;
    uint8_t public_key[32];
    sl_mask_public(reveal->secret, public_key);
    if (!sl_hash_equal(public_key, is_mask ? who->mask_public : who->box_public)) return;

    session->parties[witness].sits_out = true;          /* its key is no secret any more */
    for (uint32_t j = 0; j < session->n; j++) {
        struct sl_evidence evidence = {.kind = is_mask ? SL_EVIDENCE_BAD_MASK_TAG : SL_EVIDENCE_BAD_BOX_TAG, .roster = session->roster,
                                       .roster_size = session->roster_size, .n_secrets = 1};
        if (j == witness || j == session->own || session->parties[j].expelled || !tags_are_false(session, j, witness, reveal)) continue;
        evidence.secrets[0].index = witness;
        memcpy(evidence.secrets[0].secret, reveal->secret, 32);
        session_accuse(session, j, &evidence, HELD_SHARES, HELD_COUNT);
        session_expel(session, j);
    }
}

void shares_on_reveal(struct sl_session *session, uint32_t from, const struct sl_reveal *reveal)
{
    if (reveal->kind == SL_REVEAL_BOX_KEY) on_box_key(session, from, reveal);
    else on_own_secret(session, from, reveal);
}
