/* SPDX-License-Identifier: MIT */
/* The sum: secrets joined from shares, masks taken out, what only now can be checked of the audits, and the RESULT. */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "cohort/session_parts.h"
#include "privacy/shamir.h"
#include "share/quantise.h"
#include "starling/error.h"

/* One stream to take out: the self mask of a member in the sum, or the mask between it and one who fell out. */
struct term {
    uint8_t seed[32];
    int sign;                            /* with which it stands in the sum */
    uint32_t member, partner;            /* in the sum; who fell out, or the same member for its self mask */
    uint32_t sketch[SL_SKETCH_ROWS_MAX];
};

enum { TERMS_MAX = SL_COHORT_MAX + SL_COHORT_MAX * SL_COHORT_MAX / 4 };

struct quorum {                          /* of shares of one secret that fit their hashes */
    uint32_t n, indices[SL_COHORT_MAX];
    const uint8_t *shares[SL_COHORT_MAX];
};

/* ---- secrets ---- */

static bool is_summed(const struct sl_session *session, uint32_t dealer)
{
    return session_last(session) & bit(dealer);
}

static bool fits_hash(const struct sl_session *session, uint32_t dealer, uint32_t receiver, const uint8_t *share)
{
    uint8_t hash[32];
    const struct sl_dealt *dealt = &session->shares[dealer].dealt[receiver];
    bool is_mask = !is_summed(session, dealer);
    sl_mask_share_hash(is_mask, session->cohort_id, dealer, receiver, share, hash);
    return sl_hash_equal(hash, is_mask ? dealt->mask_share_hash : dealt->self_share_hash);
}

/* The shares that a member gave us of all secrets; those that do not fit are not taken. */
static void take_shares(struct sl_session *session, uint32_t receiver, struct quorum *quorums)
{
    struct sl_unmask unmask;
    struct sl_envelope envelope = session_envelope(session, session_held(session, SL_STEP_UNMASK, receiver));
    if (sl_read_unmask(&envelope, &unmask) != SL_OK) return;

    for (uint32_t dealer = 0; dealer < session->n_members; dealer++) {
        struct quorum *quorum = &quorums[dealer];
        if (!(session->agreed[0] & bit(dealer)) || quorum->n == session->threshold) continue;

        if (!unmask.shares[dealer]) continue;           /* it got none that was good */
        if (fits_hash(session, dealer, receiver, unmask.shares[dealer])) {
            quorum->indices[quorum->n] = receiver;
            quorum->shares[quorum->n++] = unmask.shares[dealer];
        } else if (!(session->bad_shares & bit(receiver))) {
            session->bad_shares |= bit(receiver);
            session_tell(session, SL_NEWS_DROPPED, receiver, SL_STEP_UNMASK);        /* as good as silent; nobody signed that this share is its */
        }
    }
}

/* A quorum of shares for every member of V. */
static bool collect(struct sl_session *session, struct quorum *quorums)
{
    for (uint32_t i = 0; i < session->n_members; i++)
        if ((session->agreed[0] & bit(i)) && session_fits(session, SL_STEP_UNMASK, i)) take_shares(session, i, quorums);

    for (uint32_t i = 0; i < session->n_members; i++)
        if ((session->agreed[0] & bit(i)) && quorums[i].n < session->threshold) return false;
    return true;
}

/* Shares that fit their signed hashes and yet give no secret that fits: only the dealer can have made them. */
static void accuse_dealer(struct sl_session *session, uint32_t dealer, const struct quorum *quorum)
{
    const struct held *shares = session_held(session, SL_STEP_SHARES, dealer);
    struct sl_evidence evidence = {.kind = is_summed(session, dealer) ? SL_EVIDENCE_BAD_SELF : SL_EVIDENCE_BAD_MASK, .roster = session->roster,
                                   .roster_size = session->roster_size, .n_secrets = quorum->n};
    session_cite(&evidence, shares->bytes, shares->size);
    for (uint32_t i = 0; i < quorum->n; i++) {
        evidence.secrets[i].index = quorum->indices[i];
        memcpy(evidence.secrets[i].secret, quorum->shares[i], 32);
    }
    session_tell(session, SL_NEWS_BAD_SECRET, dealer, 0);
    session_accuse(session, dealer, &evidence);
    session_void(session, dealer);
}

static bool is_secret(const struct sl_session *session, uint32_t dealer, const uint8_t secret[32])
{
    uint8_t found[32];
    if (is_summed(session, dealer)) {
        sl_mask_hash(SL_SECRET_SELF_SEED, session->cohort_id, secret, found);
        return sl_hash_equal(found, session->shares[dealer].self_hash);
    }
    sl_mask_public(secret, found);
    return sl_hash_equal(found, session->members[dealer].mask_public);
}

/* ---- terms ---- */

/* Two who signed the same false tag show no dispute; the secret of one of them shows it. */
static void accuse_of_tag(struct sl_session *session, uint32_t liar, uint32_t absent, const uint8_t secret[32])
{
    const struct held *shares = session_held(session, SL_STEP_SHARES, liar);
    struct sl_evidence evidence = {.kind = SL_EVIDENCE_BAD_MASK_TAG, .roster = session->roster, .roster_size = session->roster_size, .n_secrets = 1};
    session_cite(&evidence, shares->bytes, shares->size);
    evidence.secrets[0].index = absent;
    memcpy(evidence.secrets[0].secret, secret, 32);
    session_tell(session, SL_NEWS_BAD_AUDIT, liar, 0);
    session_accuse(session, liar, &evidence);
}

static bool has_true_tag(const struct sl_session *session, uint32_t member, uint32_t absent, const uint8_t seed[32])
{
    uint8_t tag[32];
    sl_mask_hash(SL_SECRET_PAIR_SEED, session->cohort_id, seed, tag);
    return sl_hash_equal(tag, session->shares[member].dealt[absent].mask_tag);
}

static bool add_dangling(struct sl_session *session, uint32_t absent, const uint8_t secret[32], struct term *terms, uint32_t *n_terms)
{
    for (uint32_t i = 0; i < session->n_members; i++) {
        if (!is_summed(session, i)) continue;
        struct term *term = &terms[(*n_terms)++];
        struct sl_mask_context context = session_context(session, absent, i);
        *term = (struct term){.sign = absent > i ? 1 : -1, .member = i, .partner = absent};
        if (sl_mask_pair_seed(&context, session->members[absent].mask_public, secret, session->members[i].mask_public, term->seed) != SL_OK) return false;
        if (has_true_tag(session, i, absent, term->seed)) continue;

        accuse_of_tag(session, i, absent, secret);
        return false;
    }
    return true;
}

/* Every secret that must be known, joined and checked. False: the run is void. */
static bool make_terms(struct sl_session *session, const struct quorum *quorums, struct term *terms, uint32_t *n_terms)
{
    bool holds = true;
    for (uint32_t dealer = 0; dealer < session->n_members && holds; dealer++) {
        if (!(session->agreed[0] & bit(dealer))) continue;

        uint8_t secret[32];
        const struct quorum *quorum = &quorums[dealer];
        sl_shamir_join(session->threshold, quorum->indices, quorum->shares, secret);
        holds = is_secret(session, dealer, secret);
        if (!holds) {
            accuse_dealer(session, dealer, quorum);
        } else if (is_summed(session, dealer)) {
            struct term *term = &terms[(*n_terms)++];
            *term = (struct term){.sign = 1, .member = dealer, .partner = dealer};
            memcpy(term->seed, secret, 32);
        } else if (!add_dangling(session, dealer, secret, terms, n_terms)) {
            holds = false;
            session_void(session, dealer);
        }
        sl_wipe(secret, sizeof secret);
    }
    return holds;
}

/* ---- taking masks out ---- */

static void add_vectors(struct sl_session *session, uint32_t start, uint32_t n)
{
    uint32_t values[SESSION_BLOCK], *sum = session->numbers + start;
    memset(sum, 0, n * sizeof *sum);
    for (uint32_t i = 0; i < session->n_members; i++) {
        if (!is_summed(session, i)) continue;
        sl_ring_unpack(sl_session_vector(session, i) + (size_t)start * (session->ring_bits / 8), n, session->ring_bits, values);
        for (uint32_t j = 0; j < n; j++) sum[j] += values[j];
    }
}

/* With an audit each stream is sketched beside, from the one expansion. */
static void take_out(struct sl_session *session, struct term *term, uint32_t start, uint32_t n)
{
    uint32_t values[SESSION_BLOCK], *sum = session->numbers + start;
    if (session->rows == 0) {
        sl_mask_add(term->seed, -term->sign, session->ring_bits, start, sum, n);
        return;
    }
    session_expand(session, term->seed, start, values, n);
    session_sketch_add(session, values, n, term->sketch);
    if (term->sign > 0) for (uint32_t j = 0; j < n; j++) sum[j] -= values[j];
    else for (uint32_t j = 0; j < n; j++) sum[j] += values[j];
}

static double take_all_out(struct sl_session *session, struct term *terms, uint32_t n_terms)
{
    double energy = 0;
    if (session->rows > 0) session_sketch_begin(session);
    for (uint32_t start = 0; start < session->dim; start += SESSION_BLOCK) {
        uint32_t n = session->dim - start < SESSION_BLOCK ? session->dim - start : SESSION_BLOCK;
        if (session->rows > 0) session_sketch_block(session, start);
        add_vectors(session, start, n);
        for (uint32_t i = 0; i < n_terms; i++) take_out(session, &terms[i], start, n);
        for (uint32_t j = start; j < start + n; j++) {
            session->numbers[j] = sl_ring_signed(session->numbers[j], session->ring_bits);
            double number = (double)(int32_t)session->numbers[j];
            energy += number * number;
        }
    }
    return energy;
}

/* ---- checks that come late ---- */

static void accuse_auditor(struct sl_session *session, const struct term *term)
{
    const struct held *audit = session_held(session, SL_STEP_AUDIT, term->member), *shares = session_held(session, SL_STEP_SHARES, term->member);
    struct sl_evidence evidence = {
        .kind = term->member == term->partner ? SL_EVIDENCE_BAD_SELF_SKETCH : SL_EVIDENCE_BAD_PAIR_SKETCH, .n_secrets = 1};
    session_cite(&evidence, audit->bytes, audit->size);
    session_cite(&evidence, shares->bytes, shares->size);
    evidence.secrets[0].index = term->partner;
    memcpy(evidence.secrets[0].secret, term->seed, 32);
    session_tell(session, SL_NEWS_BAD_AUDIT, term->member, 0);
    session_accuse(session, term->member, &evidence);
    session_void(session, term->member);
}

/* A seed may belong to an audit that never was compared: does it give what the audit said? */
static bool audits_hold(struct sl_session *session, const struct term *terms, uint32_t n_terms)
{
    for (uint32_t i = 0; session->rows > 0 && i < n_terms; i++) {
        const struct session_sketches *audit = &session->audits[terms[i].member];
        const uint32_t *said = terms[i].member == terms[i].partner ? audit->self : audit->pair[terms[i].partner];
        if (session_sketch_equal(session, said, terms[i].sketch)) continue;

        accuse_auditor(session, &terms[i]);
        return false;
    }
    return true;
}

static bool is_small_enough(const struct sl_session *session, double energy)
{
    if (session->rows == 0) return true;                /* without an audit nobody could be named, and one member would stop every run */

    double n = sl_count_bits(session_last(session));
    double expected = sl_sketch_expected(session->radius_q, session->ring_exponent, session->dim, session->noise_variance);
    return energy <= n * n * sl_sketch_band(session->rows, session->noise_variance > 0).upper * expected;
}

/* Is there as much noise in the sum as so many shares of it give (4.5 deviations of a chi-square law), and not more than that and their inputs? It does not
 * void the run: whoever wanted budgets spent for nothing would have it easy. */
static void look_at_noise(struct sl_session *session, double energy)
{
    double n = sl_count_bits(session_last(session)), due = n * session->dim * session->noise_variance, slack = 4.5 * sqrt(2.0 / session->dim);
    double inputs = n * ldexp(session->radius_q, session->ring_exponent - 16), crossing = 9 * inputs * sqrt(due / session->dim);
    bool is_odd = energy < due * (1 - slack) || energy > due * (1 + slack) + inputs * inputs + crossing;
    if (session->noise_variance > 0 && is_odd) session_tell(session, SL_NEWS_ODD_SUM, SL_SESSION_ALL, (int64_t)(1000 * (energy / due)));
}

/* ---- the result ---- */

static bool say_result(struct sl_session *session)
{
    struct sl_result result = {.members = session_last(session)};
    if (!session->port.encode(session->port.context, session->numbers, session_last(session), &result)) return false;

    result.members = session_last(session);
    memcpy(result.chain, session_last_chain(session), 32);
    struct held *held = session_held(session, SL_STEP_RESULT, session->own);
    struct sl_writer writer = session_write(session, SL_MESSAGE_RESULT, held->bytes, held->size_max);
    sl_write_result(&writer, &result);
    session_say(session, SL_STEP_RESULT, &writer, SL_MESSAGE_RESULT);
    return true;
}

/* True once the sum is there and our RESULT is out; the run may be void instead. */
bool session_sum(struct sl_session *session)
{
    struct quorum quorums[SL_COHORT_MAX] = {0};
    if (!collect(session, quorums)) return false;

    struct term terms[TERMS_MAX];
    uint32_t n_terms = 0;
    bool holds = make_terms(session, quorums, terms, &n_terms);
    double energy = holds ? take_all_out(session, terms, n_terms) : 0;
    holds = holds && audits_hold(session, terms, n_terms);
    sl_wipe(terms, n_terms * sizeof *terms);
    if (!holds) return false;

    if (!is_small_enough(session, energy)) {
        session_void(session, SL_SESSION_ALL);
        return false;
    }
    look_at_noise(session, energy);
    session_tell(session, SL_NEWS_SUMMED, session->own, sl_count_bits(session_last(session)));
    if (say_result(session)) return true;

    session_void(session, SL_SESSION_ALL);
    return false;
}

uint32_t session_results(const struct sl_session *session, uint64_t *signers)
{
    const struct held *own = session_held(session, SL_STEP_RESULT, session->own);
    *signers = 0;
    for (uint32_t i = 0; i < session->n_members; i++) {
        bool is_here = (session->agreed[0] & bit(i)) && session_fits(session, SL_STEP_RESULT, i);
        if (is_here && sl_hash_equal(session_held(session, SL_STEP_RESULT, i)->hash, own->hash)) *signers |= bit(i);
    }
    return sl_count_bits(*signers);
}

/* Another result of the same story. It is only its author's word against ours, so nobody else is told. */
void session_compare_results(struct sl_session *session)
{
    uint64_t signers;
    session_results(session, &signers);
    for (uint32_t i = 0; i < session->n_members; i++) {
        bool is_here = (session->agreed[0] & bit(i)) && session_fits(session, SL_STEP_RESULT, i);
        if (!is_here || ((signers | session->bad_results) & bit(i))) continue;

        session->bad_results |= bit(i);
        session_tell(session, SL_NEWS_BAD_RESULT, i, 0);
    }
}
