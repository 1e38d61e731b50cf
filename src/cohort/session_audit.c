/* SPDX-License-Identifier: MIT */
/* The audit: sketches of our own input and masks for the others, and whether what they say of theirs fits their vectors. */
#include <string.h>

#include "cohort/session_parts.h"
#include "share/quantise.h"

/* ---- sketches, a block of coordinates at a time ---- */

void session_sketch_begin(struct sl_session *session)
{
    uint8_t key[32];
    sl_mask_audit_key(session->chain[2], key);
    for (int i = 0; i < SESSION_BLOCK_CHUNKS; i++) sl_sketch_init(&session->sketches[i], key, session->rows);
}

void session_sketch_block(struct sl_session *session, uint32_t start)
{
    for (uint32_t i = 0; i < SESSION_BLOCK_CHUNKS; i++)
        if (start + i * SL_SKETCH_CHUNK < session->dim) sl_sketch_chunk(&session->sketches[i], start / SL_SKETCH_CHUNK + i);
}

void session_sketch_add(struct sl_session *session, const uint32_t *values, uint32_t n_values, uint32_t *out)
{
    for (uint32_t i = 0; i * SL_SKETCH_CHUNK < n_values; i++) {
        uint32_t left = n_values - i * SL_SKETCH_CHUNK;
        sl_sketch_add(&session->sketches[i], values + i * SL_SKETCH_CHUNK, left < SL_SKETCH_CHUNK ? left : SL_SKETCH_CHUNK, out);
    }
}

bool session_sketch_equal(const struct sl_session *session, const uint32_t *a, const uint32_t *b)
{
    for (uint32_t r = 0; r < session->rows; r++)
        if (session_in_ring(session, a[r] - b[r]) != 0) return false;
    return true;
}

void session_expand(const struct sl_session *session, const uint8_t seed[32], uint32_t start, uint32_t *out, uint32_t n)
{
    memset(out, 0, n * sizeof *out);
    sl_mask_add(seed, 1, session->ring_bits, start, out, n);
}

/* ---- our own ---- */

static void keep_in_ring(const struct sl_session *session, uint32_t *sketch)
{
    for (uint32_t r = 0; r < session->rows; r++) sketch[r] = session_in_ring(session, sketch[r]);
}

/* Of what we put into our vector. */
static void sketch_own(struct sl_session *session, struct session_sketches *own, uint32_t start, uint32_t n)
{
    uint32_t values[SESSION_BLOCK];
    session_sketch_add(session, session->numbers + start, n, own->input);
    session_expand(session, session->secrets.self, start, values, n);
    session_sketch_add(session, values, n, own->self);
    for (uint32_t j = 0; j < session->n_members; j++) {
        if (!(own->partners & bit(j))) continue;
        session_expand(session, session->secrets.pair[j], start, values, n);
        session_sketch_add(session, values, n, own->pair[j]);
    }
    sl_wipe(values, sizeof values);
}

static void sketch_vectors(struct sl_session *session, uint64_t members, uint32_t start, uint32_t n)
{
    uint32_t values[SESSION_BLOCK];
    for (uint32_t i = 0; i < session->n_members; i++) {
        if (!(members & bit(i))) continue;
        sl_ring_unpack(sl_session_vector(session, i) + (size_t)start * (session->ring_bits / 8), n, session->ring_bits, values);
        session_sketch_add(session, values, n, session->sketched + i * SL_SKETCH_ROWS_MAX);
    }
}

static void say_audit(struct sl_session *session, struct session_sketches *own)
{
    struct sl_audit *said = &session->scratch.audit;
    keep_in_ring(session, own->input);
    keep_in_ring(session, own->self);
    for (uint32_t j = 0; j < session->n_members; j++) keep_in_ring(session, own->pair[j]);
    *said = (struct sl_audit){.rows = session->rows, .n_members = session->n_members, .partners = own->partners};
    memcpy(said->chain, session->chain[2], 32);
    memcpy(said->input, own->input, sizeof said->input);
    memcpy(said->self, own->self, sizeof said->self);
    memcpy(said->pair, own->pair, session->n_members * sizeof *said->pair);

    struct held *held = session_held(session, SL_STEP_AUDIT, session->own);
    struct sl_writer writer = session_write(session, SL_MESSAGE_AUDIT, held->bytes, held->size_max);
    sl_write_audit(&writer, said);
    session_say(session, SL_STEP_AUDIT, &writer, SL_MESSAGE_AUDIT);
    session_tell(session, SL_NEWS_AUDITED, session->own, session->rows);
}

/* One pass over the matrix: our AUDIT if we are in O, and the sketches of all vectors in O. The input is not needed any more then. */
void session_audit(struct sl_session *session)
{
    struct session_sketches *own = &session->audits[session->own];
    bool is_in = session->agreed[2] & bit(session->own);
    own->partners = session->agreed[0] & ~bit(session->own);
    memset(own->input, 0, sizeof own->input);
    memset(own->self, 0, sizeof own->self);
    memset(own->pair, 0, session->n_members * sizeof *own->pair);
    memset(session->sketched, 0, (size_t)session->n_members_max * SL_SKETCH_ROWS_MAX * sizeof *session->sketched);

    session_sketch_begin(session);
    for (uint32_t start = 0; start < session->dim; start += SESSION_BLOCK) {
        uint32_t n = session->dim - start < SESSION_BLOCK ? session->dim - start : SESSION_BLOCK;
        session_sketch_block(session, start);
        sketch_vectors(session, session->agreed[2], start, n);
        if (is_in) sketch_own(session, own, start, n);
    }
    session_drop_input(session);
    if (is_in) say_audit(session, own);
}

/* ---- those of others ---- */

/* Does A y = input + self + masks, with the signs that the places in the roster give? */
static bool adds_up(const struct sl_session *session, uint32_t member)
{
    const struct session_sketches *audit = &session->audits[member];
    const uint32_t *sketched = session->sketched + member * SL_SKETCH_ROWS_MAX;
    if (audit->partners != (session->agreed[0] & ~bit(member))) return false;

    uint32_t sum[SL_SKETCH_ROWS_MAX];
    for (uint32_t r = 0; r < session->rows; r++) {
        sum[r] = audit->input[r] + audit->self[r];
        for (uint32_t j = 0; j < session->n_members; j++) {
            if (!(audit->partners & bit(j))) continue;
            sum[r] += j > member ? audit->pair[j][r] : 0 - audit->pair[j][r];
        }
    }
    return session_sketch_equal(session, sum, sketched);
}

static void fail(struct sl_session *session, uint32_t member, enum sl_session_news news, int64_t number)
{
    session->failed |= bit(member);
    session->told |= bit(member);
    session_tell(session, news, member, number);
}

static void check(struct sl_session *session, uint32_t member)
{
    struct sl_sketch_band band = sl_sketch_band(session->rows, session->noise_variance > 0);
    double expected = sl_sketch_expected(session->radius_q, session->ring_exponent, session->dim, session->noise_variance);
    double energy = sl_sketch_energy(session->audits[member].input, session->rows, session->ring_bits);
    session->checked |= bit(member);
    if (!adds_up(session, member)) {
        fail(session, member, SL_NEWS_BAD_AUDIT, 0);
        return;
    }
    bool is_small_enough = energy <= band.upper * expected, is_large_enough = energy >= band.lower * expected;
    if (!is_small_enough) fail(session, member, SL_NEWS_TOO_LARGE, (int64_t)(1000 * (energy / (band.upper * expected))));
    else if (!is_large_enough) fail(session, member, SL_NEWS_BAD_AUDIT, 0);
}

/* What two members say of the mask between them must be the same. Where they differ, one who is honest shows the seed, and it is known who lied. */
static void compare(struct sl_session *session, uint32_t a, uint32_t b)
{
    const struct session_sketches *by_a = &session->audits[a], *by_b = &session->audits[b];
    bool is_known = session->differing[a] & bit(b);
    if (is_known || !(by_a->partners & bit(b)) || !(by_b->partners & bit(a))) return;
    if (session_sketch_equal(session, by_a->pair[b], by_b->pair[a])) return;

    session->differing[a] |= bit(b);
    session->differing[b] |= bit(a);
    uint32_t partner = a == session->own ? b : a;
    bool concerns_us = a == session->own || b == session->own;
    if (concerns_us) session_reveal(session, SL_REVEAL_PAIR_SEED, partner, session->secrets.pair[partner]);
    session_judge_pair(session, a, b);                  /* also if the seed was shown when another audit stood here */
}

void session_check_audits(struct sl_session *session)
{
    uint64_t here = 0;
    for (uint32_t i = 0; i < session->n_members; i++)
        if ((session->agreed[2] & bit(i)) && session_fits(session, SL_STEP_AUDIT, i)) here |= bit(i);

    for (uint32_t i = 0; i < session->n_members; i++) {
        if (!(here & bit(i)) || (session->checked & bit(i))) continue;
        check(session, i);
        for (uint32_t j = 0; j < session->n_members; j++)
            if (j != i && (here & bit(j))) compare(session, i, j);
    }
}
