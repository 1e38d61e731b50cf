/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "cohort/evidence.h"
#include "cohort/draft_parts.h"
#include "privacy/shamir.h"
#include "privacy/sketch.h"
#include "share/quantise.h"
#include "starling/error.h"

/* CONFIRM, UNMASK and RESULT: one story for all, then the shares that take its masks off, then the sum. */

static uint64_t in_v(const struct sl_session *session) { return session->lists[LIST_V].members; }
static uint64_t in_u(const struct sl_session *session) { return list_last(session)->members; }

void unmask_confirm(struct sl_session *session)
{
    struct sl_confirm body;
    memcpy(body.chain, list_last(session)->hash, 32);
    struct sl_writer writer = session_write(session, SL_MESSAGE_CONFIRM);
    sl_write_confirm(&writer, &body);
    session_say(session, &writer, SL_MESSAGE_CONFIRM, HELD_CONFIRM);
    session_tell(session, SL_NEWS_CONFIRMED, SL_SESSION_ALL, 0);
    sl_wipe(session->self_seed, sizeof session->self_seed);
    for (uint32_t j = 0; j < session->n; j++) sl_wipe(session->parties[j].pair_seed, 32);
}

/* CONFIRM or RESULT of a member that says the very body we said. */
static bool agrees(const struct sl_session *session, uint32_t member, uint32_t slot)
{
    const struct held *theirs = &session->parties[member].held[slot], *ours = &session->parties[session->own].held[slot];
    return in_v(session) >> member & 1 && theirs->size > 0 && ours->size > 0 && sl_hash_equal(theirs->body_hash, ours->body_hash);
}

static uint32_t count_agreed(const struct sl_session *session, uint32_t slot)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < session->n; i++) n += agrees(session, i, slot);
    return n;
}

/* Shares of b for those in the sum, of the mask secret for those who are not: never both of one, and once. */
bool unmask_say(struct sl_session *session)
{
    struct sl_unmask body = {.n_members = session->n};
    if (count_agreed(session, HELD_CONFIRM) < session->threshold) return false;

    memcpy(body.chain, list_last(session)->hash, 32);
    for (uint32_t j = 0; j < session->n; j++) {
        const struct party *party = &session->parties[j];
        if (!(in_v(session) >> j & 1) || !party->shares_here) continue;
        body.shares[j] = in_u(session) >> j & 1 ? party->self_share : party->mask_share;
    }
    struct sl_writer writer = session_write(session, SL_MESSAGE_UNMASK);
    sl_write_unmask(&writer, &body);
    session_say(session, &writer, SL_MESSAGE_UNMASK, HELD_UNMASK);
    for (uint32_t j = 0; j < session->n; j++) {
        sl_wipe(session->parties[j].self_share, 32);
        sl_wipe(session->parties[j].mask_share, 32);
    }
    session_tell(session, SL_NEWS_UNMASKED, SL_SESSION_ALL, 0);
    return true;
}

/* ---- the secrets that come off ---- */

struct opened {                      /* what UNMASKs gave, whole */
    uint8_t self_seed[SL_MESH_COHORT_MAX][32];                       /* of j in U */
    uint8_t pair_seed[SL_MESH_COHORT_MAX][SL_MESH_COHORT_MAX][32];   /* [i in U][j in V outside U] */
    uint32_t self_sketch[SL_MESH_COHORT_MAX][SL_SKETCH_ROWS_MAX], pair_sketch[SL_MESH_COHORT_MAX][SL_MESH_COHORT_MAX][SL_SKETCH_ROWS_MAX];
};

static bool read_shares(const struct sl_session *session, uint32_t dealer, struct sl_shares *out)
{
    struct sl_envelope envelope;
    return session_open_held(session, &session->parties[dealer].held[HELD_SHARES], &envelope) && sl_read_shares(&envelope, out) == SL_OK;
}

struct collected { uint32_t n, indices[SL_MESH_COHORT_MAX]; uint8_t shares[SL_MESH_COHORT_MAX][32]; };

/* Shares of a dealer's secret that fit what it signed, t at most. */
static void collect(const struct sl_session *session, uint32_t dealer, bool is_mask, struct collected *out)
{
    struct sl_shares dealt;
    out->n = 0;
    if (!read_shares(session, dealer, &dealt)) return;

    for (uint32_t i = 0; i < session->n && out->n < session->threshold; i++) {
        struct sl_envelope envelope;
        struct sl_unmask body;
        uint8_t hash[32];
        if (!(in_v(session) >> i & 1) || !session_open_held(session, &session->parties[i].held[HELD_UNMASK], &envelope)) continue;
        if (sl_read_unmask(&envelope, &body) != SL_OK || !sl_hash_equal(body.chain, list_last(session)->hash) || !body.shares[dealer]) continue;
        sl_mask_share_hash(is_mask, session->cohort_id, dealer, i, body.shares[dealer], hash);
        const struct sl_dealt *signed_hashes = &dealt.dealt[i];
        if (!sl_hash_equal(hash, is_mask ? signed_hashes->mask_share_hash : signed_hashes->self_share_hash)) continue;
        out->indices[out->n] = i;
        memcpy(out->shares[out->n++], body.shares[dealer], 32);
    }
}

static void accuse_of_bad_secret(struct sl_session *session, uint32_t dealer, bool is_mask, const struct collected *collected)
{
    struct sl_evidence evidence = {.kind = is_mask ? SL_EVIDENCE_BAD_MASK : SL_EVIDENCE_BAD_SELF, .roster = session->roster,
                                   .roster_size = session->roster_size, .n_secrets = collected->n};
    for (uint32_t k = 0; k < collected->n; k++) {
        evidence.secrets[k].index = collected->indices[k];
        memcpy(evidence.secrets[k].secret, collected->shares[k], 32);
    }
    session_tell(session, SL_NEWS_BAD_SECRET, dealer, 0);
    session_accuse(session, dealer, &evidence, HELD_SHARES, HELD_COUNT);
    session_set_void(session, SL_STEP_UNMASK, dealer);
}

static bool secret_fits(const struct sl_session *session, uint32_t dealer, bool is_mask, const uint8_t secret[32])
{
    uint8_t image[32];
    struct sl_shares dealt;
    if (is_mask) {
        sl_mask_public(secret, image);
        return sl_hash_equal(image, session->parties[dealer].who.mask_public);
    }
    sl_mask_hash(SL_SECRET_SELF_SEED, session->cohort_id, secret, image);
    return read_shares(session, dealer, &dealt) && sl_hash_equal(image, dealt.self_hash);
}

/* False when shares are missing still, or the run is void now. */
static bool join(struct sl_session *session, uint32_t dealer, bool is_mask, uint8_t out[32])
{
    struct collected collected;
    const uint8_t *shares[SL_MESH_COHORT_MAX];
    collect(session, dealer, is_mask, &collected);
    if (collected.n < session->threshold) return false;

    for (uint32_t k = 0; k < collected.n; k++) shares[k] = collected.shares[k];
    sl_shamir_join(session->threshold, collected.indices, shares, out);
    bool fits = secret_fits(session, dealer, is_mask, out);
    if (!fits) accuse_of_bad_secret(session, dealer, is_mask, &collected);
    return fits;
}

static bool open_absent(struct sl_session *session, uint32_t absent, struct opened *opened)
{
    uint8_t secret[32];
    bool done = join(session, absent, true, secret);
    const struct sl_session_member *own = &session->parties[absent].who;
    for (uint32_t i = 0; i < session->n && done; i++) {
        const struct sl_session_member *peer = &session->parties[i].who;
        struct sl_mask_context context = {.network_id = session->network_id, .cohort_id = session->cohort_id, .epoch = session->epoch,
                                          .own_id = own->id, .peer_id = peer->id, .own_index = absent, .peer_index = i};
        if (in_u(session) >> i & 1) done = sl_mask_pair_seed(&context, own->mask_public, secret, peer->mask_public, opened->pair_seed[i][absent]) == SL_OK;
    }
    sl_wipe(secret, sizeof secret);
    return done;
}

static bool open_all(struct sl_session *session, struct opened *opened)
{
    for (uint32_t j = 0; j < session->n; j++) {
        if (!(in_v(session) >> j & 1)) continue;
        bool done = in_u(session) >> j & 1 ? join(session, j, false, opened->self_seed[j]) : open_absent(session, j, opened);
        if (!done) return false;
    }
    return true;
}

/* ---- the sum ---- */

static void take_off(struct sl_session *session, const uint8_t seed[32], int sign, uint32_t start, uint32_t n, const struct sl_sketch *sketch,
                     uint32_t *sketched)
{
    uint32_t values[SL_SKETCH_CHUNK] = {0};
    sl_mask_add(seed, 1, session->ring_bits, start, values, n);
    for (uint32_t k = 0; k < n; k++) session->sum[start + k] += sign > 0 ? values[k] : -values[k];
    if (session->rows) sl_sketch_add(sketch, values, n, sketched);
    sl_wipe(values, sizeof values);
}

static void sum_piece(struct sl_session *session, struct opened *opened, const struct sl_sketch *sketch, uint32_t start, uint32_t n)
{
    uint32_t values[SL_SKETCH_CHUNK];
    const size_t element = session->ring_bits / 8;
    memset(session->sum + start, 0, sizeof(uint32_t) * n);
    for (uint32_t i = 0; i < session->n; i++) {
        if (!(in_u(session) >> i & 1)) continue;
        sl_ring_unpack(session->parties[i].vector + start * element, n, session->ring_bits, values);
        for (uint32_t k = 0; k < n; k++) session->sum[start + k] += values[k];
        take_off(session, opened->self_seed[i], -1, start, n, sketch, opened->self_sketch[i]);
        for (uint32_t j = 0; j < session->n; j++) {
            bool dangles = in_v(session) & ~in_u(session) & (uint64_t)1 << j;
            if (dangles) take_off(session, opened->pair_seed[i][j], j > i ? -1 : 1, start, n, sketch, opened->pair_sketch[i][j]);
        }
    }
    for (uint32_t k = 0; k < n; k++) session->sum[start + k] = sl_ring_signed(session->sum[start + k], session->ring_bits);
}

static bool same_rows(const struct sl_session *session, const uint32_t *told, const uint32_t *found)
{
    for (uint32_t r = 0; r < session->rows; r++) {
        uint32_t value = session->ring_bits == 32 ? found[r] : found[r] & 0xffff;
        if (told[r] != value) return false;
    }
    return true;
}

/* What nobody could check before the masks came off. */
static bool audits_hold(struct sl_session *session, const struct opened *opened)
{
    bool hold = true;
    for (uint32_t i = 0; i < session->n && session->rows; i++) {
        struct sl_envelope envelope;
        struct sl_audit audit;
        if (!(in_u(session) >> i & 1)) continue;
        if (!session_open_held(session, &session->parties[i].held[HELD_AUDIT], &envelope) || sl_read_audit(&envelope, &audit) != SL_OK) return false;
        if (!same_rows(session, audit.self, opened->self_sketch[i])) {
            audit_accuse(session, i, SL_EVIDENCE_BAD_SELF_SKETCH, i, opened->self_seed[i]);
            hold = false;
        }
        for (uint32_t j = 0; j < session->n; j++) {
            bool dangles = in_v(session) & ~in_u(session) & (uint64_t)1 << j;
            if (!dangles || same_rows(session, audit.pair[j], opened->pair_sketch[i][j])) continue;
            audit_accuse(session, i, SL_EVIDENCE_BAD_PAIR_SKETCH, j, opened->pair_seed[i][j]);
            hold = false;
        }
    }
    return hold;
}

/* |sum|^2 <= |U|^2 upper E: more than all could bring within the audit's bound. */
static bool is_bounded(const struct sl_session *session)
{
    double energy = 0, n = 0;
    for (uint32_t j = 0; j < session->dim; j++) {
        double value = (double)(int32_t)session->sum[j];
        energy += value * value;
    }
    for (uint64_t bits = in_u(session); bits; bits &= bits - 1) n++;
    double expected = sl_sketch_expected(session->radius_q, session->ring_exponent, session->dim, session->noise_variance);
    return energy <= n * n * sl_sketch_band(session->rows, session->noise_variance > 0).upper * expected;
}

bool unmask_sum(struct sl_session *session)
{
    struct opened opened;
    struct sl_sketch sketch;
    uint8_t key[32];
    memset(&opened, 0, sizeof opened);
    if (!open_all(session, &opened)) {
        sl_wipe(&opened, sizeof opened);
        return false;
    }
    sl_mask_audit_key(session->lists[LIST_O].hash, key);
    if (session->rows) sl_sketch_init(&sketch, key, session->rows);
    for (uint32_t start = 0, number = 0; start < session->dim; start += SL_SKETCH_CHUNK, number++) {
        if (session->rows) sl_sketch_chunk(&sketch, number);
        sum_piece(session, &opened, &sketch, start, session->dim - start < SL_SKETCH_CHUNK ? session->dim - start : SL_SKETCH_CHUNK);
    }
    bool holds = audits_hold(session, &opened) && is_bounded(session);
    sl_wipe(&opened, sizeof opened);
    if (!holds) session_set_void(session, SL_STEP_UNMASK, SL_SESSION_ALL);
    return holds;
}

/* ---- the result ---- */

void unmask_sign(struct sl_session *session)
{
    struct sl_result body = {.members = in_u(session)};
    memcpy(body.chain, list_last(session)->hash, 32);
    session_tell(session, SL_NEWS_SUMMED, SL_SESSION_ALL, __builtin_popcountll(in_u(session)));
    if (!session->port.encode(session->port.context, session->sum, body.members, &body)) {
        session_set_void(session, SL_STEP_RESULT, session->own);
        return;
    }
    struct sl_writer writer = session_write(session, SL_MESSAGE_RESULT);
    sl_write_result(&writer, &body);
    session_say(session, &writer, SL_MESSAGE_RESULT, HELD_RESULT);
}

bool unmask_is_signed(struct sl_session *session)
{
    return count_agreed(session, HELD_RESULT) > session->colluders;
}

static uint64_t gather(const struct sl_session *session, uint32_t slot, struct sl_signatures *out)
{
    *out = (struct sl_signatures){0};
    for (uint32_t i = 0; i < session->n; i++) {
        struct sl_envelope envelope;
        if (!agrees(session, i, slot) || !session_open_held(session, &session->parties[i].held[slot], &envelope)) continue;
        out->signers |= (uint64_t)1 << i;
        out->all[out->n++] = envelope.signature;
    }
    return out->signers;
}

bool sl_session_aggregate(const struct sl_session *session, struct sl_aggregate *out)
{
    struct sl_envelope envelope;
    if (session->state != SL_SESSION_DONE || !session_open_held(session, &session->parties[session->own].held[HELD_RESULT], &envelope)) return false;

    out->result = envelope.body;
    out->result_size = envelope.body_size;
    gather(session, HELD_CONFIRM, &out->confirms);
    gather(session, HELD_RESULT, &out->results);
    out->n_lists = session->rows ? 4 : 3;
    for (uint32_t k = 0; k < out->n_lists; k++) {
        if (!session_open_held(session, &session->lists[k].message, &envelope)) return false;
        out->lists[k] = envelope.body;
        out->list_sizes[k] = envelope.body_size;
    }
    return true;
}
