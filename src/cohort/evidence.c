/* SPDX-License-Identifier: MIT */
#include "cohort/evidence.h"

#include <string.h>

#include "base/hash.h"
#include "base/quorum.h"
#include "base/rng.h"
#include "cohort/session.h"
#include "privacy/mask.h"
#include "privacy/shamir.h"
#include "privacy/sketch.h"
#include "starling/error.h"
#include "starling/identity.h"

/*
 * Every judge first takes the messages apart, then asks whether the secrets fit what was signed, then verifies the signatures, and only then does what costs
 * more. SL_OK from a judge means that no honest member can have signed this. JOINs of a roster need no signature check: the accused signed the cohort's id,
 * which is the hash of the roster, and an honest member signs nothing for a roster it has not verified.
 */
struct opened {
    const struct sl_evidence_context *context;
    const struct sl_evidence *evidence;
    uint8_t accused[32];
    struct sl_envelope messages[SL_EVIDENCE_MESSAGES_MAX];
    struct sl_shares shares;
    uint32_t own;                        /* place of the accused in its SHARES: the item without a box */
};

/* The roster's word on one member. */
struct keys { uint8_t id[32], mask_public[32], box_public[32]; };

/* ---- opening ---- */

/* All from the accused, of one epoch. */
static int open_messages(struct opened *opened)
{
    const struct sl_evidence *evidence = opened->evidence;
    sl_identity_id(opened->context->network_id, evidence->sign_public, opened->accused);
    for (uint32_t i = 0; i < evidence->n_messages; i++) {
        struct sl_envelope *message = &opened->messages[i];
        int error = sl_envelope_open(evidence->messages[i], evidence->message_sizes[i], opened->context->network_id, message);
        if (error != SL_OK) return error;
        if (!sl_hash_equal(message->from, opened->accused) || message->epoch != opened->messages[0].epoch) return SL_ERROR_MISMATCH;
    }
    return SL_OK;
}

static int verify_messages(const struct opened *opened)
{
    for (uint32_t i = 0; i < opened->evidence->n_messages; i++)
        if (!sl_envelope_verify(&opened->messages[i], opened->evidence->sign_public)) return SL_ERROR_BAD_SIGNATURE;
    return SL_OK;
}

static int open_shares(struct opened *opened, const struct sl_envelope *message)
{
    if (message->type != SL_MESSAGE_SHARES) return SL_ERROR_MISMATCH;
    int error = sl_read_shares(message, &opened->shares);
    if (error != SL_OK) return error;

    uint32_t n = opened->shares.n_members, n_own = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (opened->shares.dealt[i].box) continue;
        opened->own = i;
        n_own++;
    }
    return n >= 3 && n_own == 1 ? SL_OK : SL_ERROR_MALFORMED;
}

static int open_keys(const struct opened *opened, const struct sl_roster *roster, uint32_t place, struct keys *out)
{
    struct sl_envelope envelope;
    struct sl_join join;
    if (place >= roster->n_joins) return SL_ERROR_OUT_OF_RANGE;
    int error = sl_envelope_open(roster->joins[place].bytes, roster->joins[place].size, opened->context->network_id, &envelope);
    if (error == SL_OK && envelope.type != SL_MESSAGE_JOIN) error = SL_ERROR_MISMATCH;
    if (error == SL_OK) error = sl_read_join(&envelope, &join);
    if (error != SL_OK) return error;

    memcpy(out->id, envelope.from, 32);
    memcpy(out->mask_public, join.mask_public, 32);
    memcpy(out->box_public, join.box_public, 32);
    return SL_OK;
}

/* The roster whose hash is the cohort that the accused signed for, with the accused where its SHARES say that it stands. */
static int open_roster(const struct opened *opened, struct sl_roster *roster, struct keys *accused)
{
    struct sl_envelope envelope;
    uint8_t cohort[32];
    int error = sl_envelope_open(opened->evidence->roster, opened->evidence->roster_size, opened->context->network_id, &envelope);
    if (error != SL_OK) return error;
    sl_hash_once("cohort", envelope.body, envelope.body_size, cohort);
    bool is_its_own = envelope.type == SL_MESSAGE_ROSTER && envelope.epoch == opened->messages[0].epoch && sl_hash_equal(cohort, opened->messages[0].cohort);
    if (!is_its_own) return SL_ERROR_MISMATCH;

    error = sl_read_roster(&envelope, roster);
    if (error == SL_OK && roster->n_joins != opened->shares.n_members) error = SL_ERROR_MISMATCH;
    if (error == SL_OK) error = open_keys(opened, roster, opened->own, accused);
    if (error != SL_OK) return error;
    return sl_hash_equal(accused->id, opened->accused) ? SL_OK : SL_ERROR_MISMATCH;
}

/* ---- two bodies ---- */

static bool is_one_an_epoch(enum sl_message_type type)
{
    return type == SL_MESSAGE_PROPOSE || type == SL_MESSAGE_ROSTER || type == SL_MESSAGE_COMMIT || type == SL_MESSAGE_CONFIRM;
}

static bool is_one_a_cohort(enum sl_message_type type)
{
    return type == SL_MESSAGE_JOIN || type == SL_MESSAGE_SHARES || type == SL_MESSAGE_LIST || type == SL_MESSAGE_OPEN || type == SL_MESSAGE_AUDIT ||
           type == SL_MESSAGE_RESULT;
}

/* Only a body that can be read says anything: so that two of them are about one step. */
static int check_steps(const struct sl_envelope *a, const struct sl_envelope *b)
{
    struct sl_list lists[2];
    if (a->type != SL_MESSAGE_LIST) return SL_OK;
    int error = sl_read_list(a, &lists[0]);
    if (error == SL_OK) error = sl_read_list(b, &lists[1]);
    if (error != SL_OK) return error;
    return lists[0].step == lists[1].step ? SL_OK : SL_ERROR_MISMATCH;
}

static int judge_two_bodies(struct opened *opened)
{
    const struct sl_envelope *a = &opened->messages[0], *b = &opened->messages[1];
    bool is_one = is_one_an_epoch(a->type) || (is_one_a_cohort(a->type) && sl_hash_equal(a->cohort, b->cohort));
    bool is_same = a->body_size == b->body_size && memcmp(a->body, b->body, a->body_size) == 0;
    if (a->type != b->type || !is_one || is_same) return SL_ERROR_MISMATCH;

    int error = check_steps(a, b);
    return error == SL_OK ? verify_messages(opened) : error;
}

/* ---- secrets against what was signed about them ---- */

static bool fits(const struct opened *opened, enum sl_mask_secret what, const uint8_t secret[32], const uint8_t said[32])
{
    uint8_t hash[32];
    sl_mask_hash(what, opened->messages[0].cohort, secret, hash);
    return sl_hash_equal(hash, said);
}

static bool share_fits(const struct opened *opened, bool is_mask_share, uint32_t receiver, const uint8_t share[32])
{
    const struct sl_dealt *dealt = &opened->shares.dealt[receiver];
    uint8_t hash[32];
    sl_mask_share_hash(is_mask_share, opened->messages[0].cohort, opened->own, receiver, share, hash);
    return sl_hash_equal(hash, is_mask_share ? dealt->mask_share_hash : dealt->self_share_hash);
}

/* Another member, of whom the accused said something in its SHARES. */
static bool is_partner(const struct opened *opened, uint32_t index)
{
    return index < opened->shares.n_members && index != opened->own;
}

static int judge_share(struct opened *opened)
{
    int error = open_shares(opened, &opened->messages[0]);
    if (error != SL_OK) return error;
    uint32_t receiver = opened->evidence->secrets[0].index;
    const uint8_t *key = opened->evidence->secrets[0].secret;
    if (!is_partner(opened, receiver)) return SL_ERROR_OUT_OF_RANGE;
    if (!fits(opened, SL_SECRET_BOX_KEY, key, opened->shares.dealt[receiver].to_tag)) return SL_ERROR_MISMATCH;
    error = verify_messages(opened);
    if (error != SL_OK) return error;

    uint8_t self_share[32], mask_share[32];
    bool is_good = sl_mask_unseal(key, opened->messages[0].cohort, opened->shares.dealt[receiver].box, self_share, mask_share) == SL_OK &&
                   share_fits(opened, false, receiver, self_share) && share_fits(opened, true, receiver, mask_share);
    sl_wipe(self_share, sizeof self_share);
    sl_wipe(mask_share, sizeof mask_share);
    return is_good ? SL_ERROR_MISMATCH : SL_OK;
}

/* ---- tags of keys that two members share ---- */

/* The pair as the partner sees it, whose secret is known. */
static struct sl_mask_context context_of(const struct opened *opened, uint32_t partner, const struct keys *keys)
{
    return (struct sl_mask_context){
        .network_id = opened->context->network_id, .cohort_id = opened->messages[0].cohort, .epoch = opened->messages[0].epoch,
        .own_id = keys->id, .peer_id = opened->accused, .own_index = partner, .peer_index = opened->own};
}

static bool mask_tag_holds(const struct opened *opened, uint32_t partner, const struct keys *keys, const uint8_t secret[32], const struct keys *accused)
{
    struct sl_mask_context context = context_of(opened, partner, keys);
    uint8_t seed[32];
    bool holds = sl_mask_pair_seed(&context, keys->mask_public, secret, accused->mask_public, seed) != SL_OK ||
                 fits(opened, SL_SECRET_PAIR_SEED, seed, opened->shares.dealt[partner].mask_tag);
    sl_wipe(seed, sizeof seed);
    return holds;
}

static bool box_tags_hold(const struct opened *opened, uint32_t partner, const struct keys *keys, const uint8_t secret[32], const struct keys *accused)
{
    struct sl_mask_context context = context_of(opened, partner, keys);
    struct sl_box_keys boxes;
    bool holds = sl_mask_box_keys(&context, keys->box_public, secret, accused->box_public, &boxes) != SL_OK ||
                 (fits(opened, SL_SECRET_BOX_KEY, boxes.from_peer, opened->shares.dealt[partner].to_tag) &&
                  fits(opened, SL_SECRET_BOX_KEY, boxes.to_peer, opened->shares.dealt[partner].from_tag));
    sl_wipe(&boxes, sizeof boxes);
    return holds;
}

static int judge_tag(struct opened *opened)
{
    bool is_mask = opened->evidence->kind == SL_EVIDENCE_BAD_MASK_TAG;
    uint32_t partner = opened->evidence->secrets[0].index;
    const uint8_t *secret = opened->evidence->secrets[0].secret;
    struct sl_roster roster;
    struct keys accused, keys;
    int error = open_shares(opened, &opened->messages[0]);
    if (error == SL_OK && !is_partner(opened, partner)) error = SL_ERROR_OUT_OF_RANGE;
    if (error == SL_OK) error = open_roster(opened, &roster, &accused);
    if (error == SL_OK) error = open_keys(opened, &roster, partner, &keys);
    if (error == SL_OK) error = verify_messages(opened);
    if (error != SL_OK) return error;

    uint8_t public_key[32];
    sl_mask_public(secret, public_key);
    if (!sl_hash_equal(public_key, is_mask ? keys.mask_public : keys.box_public)) return SL_ERROR_MISMATCH;
    bool holds = is_mask ? mask_tag_holds(opened, partner, &keys, secret, &accused) : box_tags_hold(opened, partner, &keys, secret, &accused);
    return holds ? SL_ERROR_MISMATCH : SL_OK;
}

/* ---- shares that give no secret ---- */

/* As many as the threshold, of different members, each with its signed hash. */
static int check_shares(const struct opened *opened, bool is_mask_share)
{
    const struct sl_evidence *evidence = opened->evidence;
    uint64_t seen = 0;
    if (evidence->n_secrets != sl_quorum_threshold(opened->shares.n_members)) return SL_ERROR_OUT_OF_RANGE;
    for (uint32_t i = 0; i < evidence->n_secrets; i++) {
        uint32_t receiver = evidence->secrets[i].index;
        if (receiver >= opened->shares.n_members || seen >> receiver & 1) return SL_ERROR_OUT_OF_RANGE;
        if (!share_fits(opened, is_mask_share, receiver, evidence->secrets[i].secret)) return SL_ERROR_MISMATCH;
        seen |= UINT64_C(1) << receiver;
    }
    return SL_OK;
}

static void join_shares(const struct sl_evidence *evidence, uint8_t out[32])
{
    uint32_t indices[SL_EVIDENCE_SECRETS_MAX];
    const uint8_t *shares[SL_EVIDENCE_SECRETS_MAX];
    for (uint32_t i = 0; i < evidence->n_secrets; i++) {
        indices[i] = evidence->secrets[i].index;
        shares[i] = evidence->secrets[i].secret;
    }
    sl_shamir_join(evidence->n_secrets, indices, shares, out);
}

static int judge_secret(struct opened *opened)
{
    bool is_mask = opened->evidence->kind == SL_EVIDENCE_BAD_MASK;
    struct sl_roster roster;
    struct keys accused;
    int error = open_shares(opened, &opened->messages[0]);
    if (error == SL_OK) error = check_shares(opened, is_mask);
    if (error == SL_OK) error = open_roster(opened, &roster, &accused);
    if (error == SL_OK) error = verify_messages(opened);
    if (error != SL_OK) return error;

    uint8_t secret[32], public_key[32];
    join_shares(opened->evidence, secret);
    if (is_mask) sl_mask_public(secret, public_key);
    bool holds = is_mask ? sl_hash_equal(public_key, accused.mask_public) : fits(opened, SL_SECRET_SELF_SEED, secret, opened->shares.self_hash);
    sl_wipe(secret, sizeof secret);
    return holds ? SL_ERROR_MISMATCH : SL_OK;
}

/* ---- sketches ---- */

/* A PRG(seed), the matrix being that of the AUDIT. */
static void sketch_of(const struct sl_evidence_context *context, const uint8_t chain[32], const uint8_t seed[32], uint32_t dim, uint32_t *out)
{
    struct sl_sketch sketch;
    uint8_t key[32];
    sl_mask_audit_key(chain, key);
    sl_sketch_init(&sketch, key, context->rows);
    memset(out, 0, sizeof *out * context->rows);
    for (uint32_t start = 0; start < dim; start += SL_SKETCH_CHUNK) {
        uint32_t values[SL_SKETCH_CHUNK] = {0}, n = dim - start < SL_SKETCH_CHUNK ? dim - start : SL_SKETCH_CHUNK;
        sl_mask_add(seed, 1, context->ring_bits, start, values, n);
        sl_sketch_chunk(&sketch, start / SL_SKETCH_CHUNK);
        sl_sketch_add(&sketch, values, n, out);
    }
}

static bool sketches_are_equal(const struct sl_evidence_context *context, const uint32_t *a, const uint32_t *b)
{
    uint32_t mask = context->ring_bits == 16 ? 0xffff : UINT32_MAX, difference = 0;
    for (uint32_t row = 0; row < context->rows; row++) difference |= (a[row] ^ b[row]) & mask;
    return difference == 0;
}

/* The AUDIT and the SHARES of one member in one cohort. */
static int open_audit(struct opened *opened, struct sl_audit *audit)
{
    const struct sl_envelope *message = &opened->messages[0];
    if (message->type != SL_MESSAGE_AUDIT || !sl_hash_equal(message->cohort, opened->messages[1].cohort)) return SL_ERROR_MISMATCH;
    int error = sl_read_audit(message, audit);
    if (error == SL_OK) error = open_shares(opened, &opened->messages[1]);
    if (error != SL_OK) return error;
    return audit->rows == opened->context->rows && audit->n_members == opened->shares.n_members ? SL_OK : SL_ERROR_MISMATCH;
}

static int judge_sketch(struct opened *opened)
{
    const struct sl_evidence_context *context = opened->context;
    bool is_pair = opened->evidence->kind == SL_EVIDENCE_BAD_PAIR_SKETCH;
    uint32_t partner = opened->evidence->secrets[0].index;
    const uint8_t *seed = opened->evidence->secrets[0].secret;
    struct sl_audit audit;
    int error = open_audit(opened, &audit);
    if (error != SL_OK) return error;
    if (is_pair && !(is_partner(opened, partner) && audit.partners >> partner & 1)) return SL_ERROR_OUT_OF_RANGE;
    bool is_signed_for = is_pair ? fits(opened, SL_SECRET_PAIR_SEED, seed, opened->shares.dealt[partner].mask_tag)
                                 : fits(opened, SL_SECRET_SELF_SEED, seed, opened->shares.self_hash);
    uint32_t dim = context->dim(context->context, opened->messages[0].epoch), sketch[SL_SKETCH_ROWS_MAX];
    if (!is_signed_for || dim == 0) return SL_ERROR_MISMATCH;
    error = verify_messages(opened);
    if (error != SL_OK) return error;

    sketch_of(context, audit.chain, seed, dim, sketch);
    return sketches_are_equal(context, sketch, is_pair ? audit.pair[partner] : audit.self) ? SL_ERROR_MISMATCH : SL_OK;
}

/* ---- kinds ---- */

static const struct kind {
    const char *text;
    uint32_t n_messages, n_secrets;      /* n_secrets 0 with a roster: as many as the threshold */
    bool has_roster;
    int (*judge)(struct opened *opened);
} kinds[] = {
    [SL_EVIDENCE_TWO_BODIES] = {"signed two different messages of one step", 2, 0, false, judge_two_bodies},
    [SL_EVIDENCE_BAD_SHARE] = {"sealed a share that contradicts its signed hash", 1, 1, false, judge_share},
    [SL_EVIDENCE_BAD_MASK_TAG] = {"signed a false tag of a mask", 1, 1, true, judge_tag},
    [SL_EVIDENCE_BAD_BOX_TAG] = {"signed a false tag of a box key", 1, 1, true, judge_tag},
    [SL_EVIDENCE_BAD_SELF] = {"dealt shares that do not give its own mask", 1, 0, true, judge_secret},
    [SL_EVIDENCE_BAD_MASK] = {"dealt shares that do not give its mask key", 1, 0, true, judge_secret},
    [SL_EVIDENCE_BAD_SELF_SKETCH] = {"lied about its own mask in the audit", 2, 1, false, judge_sketch},
    [SL_EVIDENCE_BAD_PAIR_SKETCH] = {"lied about the mask of a pair in the audit", 2, 1, false, judge_sketch},
};

static const struct kind *find_kind(uint32_t kind)
{
    bool is_known = kind >= SL_EVIDENCE_TWO_BODIES && kind <= SL_EVIDENCE_BAD_PAIR_SKETCH;
    return is_known ? &kinds[kind] : NULL;
}

/* Nothing more than the kind needs: one proof has one form. */
static bool has_form(const struct sl_evidence *evidence, const struct kind *kind)
{
    bool counts_fit = evidence->n_messages == kind->n_messages && (evidence->roster_size > 0) == kind->has_roster;
    bool by_threshold = kind->has_roster && kind->n_secrets == 0;
    return counts_fit && (by_threshold ? evidence->n_secrets > 0 : evidence->n_secrets == kind->n_secrets);
}

int sl_evidence_verify(const struct sl_evidence_context *context, const struct sl_evidence *evidence, uint8_t accused_id[32])
{
    const struct kind *kind = find_kind(evidence->kind);
    if (!kind || !has_form(evidence, kind)) return SL_ERROR_MALFORMED;

    struct opened opened = {.context = context, .evidence = evidence};
    int error = open_messages(&opened);
    if (error == SL_OK) error = kind->judge(&opened);
    if (error == SL_OK) memcpy(accused_id, opened.accused, 32);
    return error;
}

const char *sl_evidence_text(uint32_t kind)
{
    return find_kind(kind) ? kinds[kind].text : NULL;
}
