/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/hash.h"
#include "cohort/evidence.h"
#include "cohort/draft_parts.h"
#include "privacy/sketch.h"
#include "share/quantise.h"
#include "starling/error.h"

/* AUDIT: a sketch of what each put into the sum, taken of the masked vectors too, so that nobody can describe another vector than its own. */

static uint32_t in_ring(const struct sl_session *session, uint32_t value)
{
    return session->ring_bits == 32 ? value : value & 0xffff;
}

struct sketches {
    uint32_t input[SL_SKETCH_ROWS_MAX], self[SL_SKETCH_ROWS_MAX], pair[SL_MESH_COHORT_MAX][SL_SKETCH_ROWS_MAX], vector[SL_MESH_COHORT_MAX][SL_SKETCH_ROWS_MAX];
};

static uint64_t partners_of(const struct sl_session *session, uint32_t member)
{
    return session->lists[LIST_V].members & ~((uint64_t)1 << member);
}

/* One pass over the matrix for everything: our input and the streams of our masks, and the vectors of the others. */
static void take(struct sl_session *session, bool audits_itself, struct sketches *out)
{
    struct sl_sketch sketch;
    uint8_t key[32];
    uint32_t values[SL_SKETCH_CHUNK];
    const size_t element = session->ring_bits / 8;
    sl_mask_audit_key(session->lists[LIST_O].hash, key);
    sl_sketch_init(&sketch, key, session->rows);
    memset(out, 0, sizeof *out);
    for (uint32_t start = 0, number = 0; start < session->dim; start += SL_SKETCH_CHUNK, number++) {
        uint32_t n = session->dim - start < SL_SKETCH_CHUNK ? session->dim - start : SL_SKETCH_CHUNK;
        sl_sketch_chunk(&sketch, number);
        for (uint32_t j = 0; j < session->n; j++) {
            if (!(session->lists[LIST_O].members >> j & 1)) continue;
            sl_ring_unpack(session->parties[j].vector + start * element, n, session->ring_bits, values);
            sl_sketch_add(&sketch, values, n, out->vector[j]);
        }
        if (!audits_itself) continue;
        sl_sketch_add(&sketch, session->z + start, n, out->input);
        memset(values, 0, sizeof values);
        sl_mask_add(session->self_seed, 1, session->ring_bits, start, values, n);
        sl_sketch_add(&sketch, values, n, out->self);
        for (uint32_t j = 0; j < session->n; j++) {
            if (!(partners_of(session, session->own) >> j & 1)) continue;
            memset(values, 0, sizeof values);
            sl_mask_add(session->parties[j].pair_seed, 1, session->ring_bits, start, values, n);
            sl_sketch_add(&sketch, values, n, out->pair[j]);
        }
    }
    sl_wipe(values, sizeof values);
}

static void keep_sketches(struct sl_session *session, const struct sketches *sketches)
{
    for (uint32_t j = 0; j < session->n; j++) {
        memcpy(session->parties[j].sketch, sketches->vector[j], sizeof session->parties[j].sketch);
        session->parties[j].sketch_here = true;
    }
}

void audit_say(struct sl_session *session)
{
    bool is_in = session->lists[LIST_O].members >> session->own & 1;
    struct sketches sketches;
    take(session, is_in, &sketches);
    keep_sketches(session, &sketches);
    if (is_in) {
        struct sl_audit body = {.rows = session->rows, .n_members = session->n, .partners = partners_of(session, session->own)};
        memcpy(body.chain, session->lists[LIST_O].hash, 32);
        for (uint32_t r = 0; r < session->rows; r++) {
            body.input[r] = in_ring(session, sketches.input[r]);
            body.self[r] = in_ring(session, sketches.self[r]);
            for (uint32_t j = 0; j < session->n; j++) body.pair[j][r] = in_ring(session, sketches.pair[j][r]);
        }
        struct sl_writer writer = session_write(session, SL_MESSAGE_AUDIT);
        sl_write_audit(&writer, &body);
        session_say(session, &writer, SL_MESSAGE_AUDIT, HELD_AUDIT);
        session_tell(session, SL_NEWS_AUDITED, SL_SESSION_ALL, 0);
    }
    sl_wipe(&sketches, sizeof sketches);
    sl_wipe(session->z, sizeof(uint32_t) * session->dim);
}

/* A PRG(seed). */
static void audit_sketch_stream(const struct sl_session *session, const uint8_t seed[32], uint32_t out[SL_SKETCH_ROWS_MAX])
{
    struct sl_sketch sketch;
    uint8_t key[32];
    uint32_t values[SL_SKETCH_CHUNK];
    sl_mask_audit_key(session->lists[LIST_O].hash, key);
    sl_sketch_init(&sketch, key, session->rows);
    memset(out, 0, sizeof(uint32_t) * SL_SKETCH_ROWS_MAX);
    for (uint32_t start = 0, number = 0; start < session->dim; start += SL_SKETCH_CHUNK, number++) {
        uint32_t n = session->dim - start < SL_SKETCH_CHUNK ? session->dim - start : SL_SKETCH_CHUNK;
        memset(values, 0, sizeof values);
        sl_mask_add(seed, 1, session->ring_bits, start, values, n);
        sl_sketch_chunk(&sketch, number);
        sl_sketch_add(&sketch, values, n, out);
    }
    for (uint32_t r = 0; r < session->rows; r++) out[r] = in_ring(session, out[r]);
    sl_wipe(values, sizeof values);
}

static bool read_audit(const struct sl_session *session, uint32_t member, struct sl_audit *out)
{
    struct sl_envelope envelope;
    return session_open_held(session, &session->parties[member].held[HELD_AUDIT], &envelope) && sl_read_audit(&envelope, out) == SL_OK;
}

/* A y = A z + A PRG(b) + sum of A PRG(s) with their signs, row by row. */
static bool adds_up(const struct sl_session *session, uint32_t member, const struct sl_audit *audit)
{
    for (uint32_t r = 0; r < session->rows; r++) {
        uint32_t sum = audit->input[r] + audit->self[r];
        for (uint32_t j = 0; j < session->n; j++)
            if (audit->partners >> j & 1) sum += j > member ? audit->pair[j][r] : -audit->pair[j][r];
        if (in_ring(session, sum - session->parties[member].sketch[r]) != 0) return false;
    }
    return true;
}

bool audit_passes(struct sl_session *session, uint32_t member)
{
    struct party *party = &session->parties[member];
    struct sl_audit audit;
    if (party->judged) return party->passes;
    if (!party->sketch_here || !(session->lists[LIST_O].members >> member & 1) || !read_audit(session, member, &audit)) return false;

    party->judged = true;
    party->passes = sl_hash_equal(audit.chain, session->lists[LIST_O].hash) && audit.rows == session->rows && audit.n_members == session->n &&
                    audit.partners == partners_of(session, member) && adds_up(session, member, &audit);
    if (!party->passes) {
        session_tell(session, SL_NEWS_BAD_AUDIT, member, 0);
        return false;
    }
    struct sl_sketch_band band = sl_sketch_band(session->rows, session->noise_variance > 0);
    double expected = sl_sketch_expected(session->radius_q, session->ring_exponent, session->dim, session->noise_variance);
    double ratio = sl_sketch_energy(audit.input, session->rows, session->ring_bits) / expected;
    party->passes = ratio >= band.lower && ratio <= band.upper;
    if (!party->passes) session_tell(session, SL_NEWS_TOO_LARGE, member, (int64_t)(1000 * ratio / band.upper));
    return party->passes;
}

/* ---- pairs that describe their common mask differently ---- */

static void show_seed(struct sl_session *session, uint32_t partner)
{
    struct party *party = &session->parties[partner];
    if (party->seed_shown) return;

    struct sl_reveal body = {.kind = SL_REVEAL_PAIR_SEED, .index = partner};
    party->seed_shown = true;
    memcpy(body.secret, party->pair_seed, 32);
    struct sl_writer writer = session_write(session, SL_MESSAGE_REVEAL);
    sl_write_reveal(&writer, &body);
    session_say(session, &writer, SL_MESSAGE_REVEAL, HELD_COUNT);
    audit_on_reveal(session, session->own, &body);
    sl_wipe(&body, sizeof body);
}

/* Compares a member's AUDIT, which has just come, with those of its partners. */
void audit_compare(struct sl_session *session, uint32_t member)
{
    struct sl_audit one, other;
    if (!read_audit(session, member, &one)) return;

    for (uint32_t j = 0; j < session->n; j++) {
        if (j == member || !(session->lists[LIST_O].members >> j & 1) || !read_audit(session, j, &other)) continue;
        bool same = one.rows == other.rows && memcmp(one.pair[j], other.pair[member], sizeof(uint32_t) * one.rows) == 0;
        if (same) continue;
        session->parties[member].disputes |= (uint64_t)1 << j;
        session->parties[j].disputes |= (uint64_t)1 << member;
        if (j == session->own || member == session->own) show_seed(session, j == session->own ? member : j);
    }
}

uint64_t audit_disputed(const struct sl_session *session)
{
    uint64_t disputed = 0;
    for (uint32_t i = 0; i < session->n; i++)
        if (session->parties[i].disputes) disputed |= (uint64_t)1 << i;
    return disputed;
}

void audit_accuse(struct sl_session *session, uint32_t liar, enum sl_evidence_kind kind, uint32_t index, const uint8_t secret[32])
{
    struct sl_evidence evidence = {.kind = kind, .n_secrets = 1};
    evidence.secrets[0].index = index;
    memcpy(evidence.secrets[0].secret, secret, 32);
    session_tell(session, SL_NEWS_BAD_AUDIT, liar, 0);
    session_accuse(session, liar, &evidence, HELD_AUDIT, HELD_SHARES);
    session_expel(session, liar);
}

/* The seed that both had tagged decides which of the two described its mask falsely. */
void audit_on_reveal(struct sl_session *session, uint32_t from, const struct sl_reveal *reveal)
{
    struct sl_envelope envelope;
    struct sl_shares shares;
    struct sl_audit audit;
    uint32_t truth[SL_SKETCH_ROWS_MAX], pair[2] = {from, reveal->index};
    uint8_t tag[32];
    bool disputed = reveal->index < session->n && reveal->index != from && session->parties[from].disputes >> reveal->index & 1;
    if (!disputed || !session_open_held(session, &session->parties[from].held[HELD_SHARES], &envelope) || sl_read_shares(&envelope, &shares) != SL_OK) return;

    sl_mask_hash(SL_SECRET_PAIR_SEED, session->cohort_id, reveal->secret, tag);
    if (!sl_hash_equal(tag, shares.dealt[reveal->index].mask_tag)) return;
    audit_sketch_stream(session, reveal->secret, truth);
    for (uint32_t n = 0; n < 2; n++) {
        uint32_t member = pair[n], partner = pair[1 - n];
        session->parties[member].disputes &= ~((uint64_t)1 << partner);
        bool lied = read_audit(session, member, &audit) && memcmp(audit.pair[partner], truth, sizeof(uint32_t) * session->rows) != 0;
        if (lied) audit_accuse(session, member, SL_EVIDENCE_BAD_PAIR_SKETCH, partner, reveal->secret);
    }
}
