/* SPDX-License-Identifier: MIT */
/* Proofs against liars: each kind convinces, and nothing that framers could put together convinces anybody against an honest member. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "cohort/evidence.h"
#include "cohort/session.h"
#include "privacy/mask.h"
#include "privacy/shamir.h"
#include "privacy/sketch.h"
#include "starling/error.h"
#include "starling/identity.h"

enum { N = 5, T = 4, DIM = 600, ROWS = 8, MESSAGE_MAX = 8192, LIAR = 1, PARTNER = 3 };

enum lie { LIE_NONE, LIE_SHARE, LIE_BOX_BYTE, LIE_MASK_TAG, LIE_TO_TAG, LIE_FROM_TAG, LIE_SELF, LIE_MASK, LIE_SELF_SKETCH, LIE_PAIR_SKETCH };

struct message { uint8_t bytes[MESSAGE_MAX]; size_t size; };

struct person {
    uint8_t id[32], sign_public[32], sign_secret[64], mask_public[32], mask_secret[32], box_public[32], box_secret[32];
    uint8_t self[32], pair[N][32];
    uint8_t self_shares[N][32], mask_shares[N][32];
    struct sl_box_keys boxes[N];
    struct message join, shares, audit;
};

/* A cohort of five, and what LIAR says in it. */
static struct world {
    uint8_t network_id[32], cohort[32], chain[32], propose_hash[32];
    uint64_t epoch;
    uint32_t dim, ring_bits;
    struct sl_rng rng;
    struct person people[N];
    struct message roster;
} world;

static uint32_t dim_of(void *context, uint64_t epoch)
{
    const struct world *w = context;
    return epoch == w->epoch ? w->dim : 0;
}

static struct sl_evidence_context context_of(const struct world *w)
{
    return (struct sl_evidence_context){.network_id = w->network_id, .dim = dim_of, .context = (void *)(uintptr_t)w, .ring_bits = w->ring_bits, .rows = ROWS};
}

static struct sl_writer begin(const struct world *w, const struct person *author, enum sl_message_type type, const uint8_t *cohort, struct message *out)
{
    return sl_envelope_begin(type, w->network_id, w->epoch, cohort, author->id, out->bytes, sizeof out->bytes);
}

static void seal(const struct person *author, struct sl_writer *writer, enum sl_message_type type, struct message *out)
{
    out->size = sl_envelope_seal(writer, type, author->sign_secret);
    cr_assert_gt(out->size, 0);
}

static struct sl_envelope open_message(const struct message *message)
{
    struct sl_envelope envelope;
    cr_assert_eq(sl_envelope_open(message->bytes, message->size, world.network_id, &envelope), SL_OK);
    return envelope;
}

static void make_person(struct world *w, struct person *person)
{
    uint8_t seed[32];
    sl_rng_bytes(&w->rng, seed, 32);
    crypto_sign_seed_keypair(person->sign_public, person->sign_secret, seed);
    sl_identity_id(w->network_id, person->sign_public, person->id);
    sl_rng_bytes(&w->rng, seed, 32);
    sl_mask_keypair(seed, person->mask_public, person->mask_secret);
    sl_rng_bytes(&w->rng, seed, 32);
    sl_mask_keypair(seed, person->box_public, person->box_secret);
    sl_rng_bytes(&w->rng, person->self, 32);
}

static void make_join(struct world *w, struct person *person)
{
    struct sl_join join = {.address = "127.0.0.1:7400"};
    memcpy(join.sign_public, person->sign_public, 32);
    memcpy(join.mask_public, person->mask_public, 32);
    memcpy(join.box_public, person->box_public, 32);
    struct sl_writer writer = begin(w, person, SL_MESSAGE_JOIN, w->propose_hash, &person->join);
    sl_write_join(&writer, &join);
    seal(person, &writer, SL_MESSAGE_JOIN, &person->join);
}

static void make_roster(struct world *w)
{
    struct sl_roster roster = {.n_joins = N};
    for (uint32_t i = 0; i < N; i++) {
        roster.joins[i].bytes = w->people[i].join.bytes;
        roster.joins[i].size = w->people[i].join.size;
    }
    struct sl_writer writer = begin(w, &w->people[0], SL_MESSAGE_ROSTER, w->propose_hash, &w->roster);
    sl_write_roster(&writer, &roster);
    seal(&w->people[0], &writer, SL_MESSAGE_ROSTER, &w->roster);
    struct sl_envelope envelope = open_message(&w->roster);
    sl_hash_once("cohort", envelope.body, envelope.body_size, w->cohort);
}

static void share_keys(struct world *w, uint32_t i)
{
    struct person *own = &w->people[i];
    for (uint32_t j = 0; j < N; j++) {
        const struct person *peer = &w->people[j];
        struct sl_mask_context context = {.network_id = w->network_id, .cohort_id = w->cohort, .epoch = w->epoch, .own_id = own->id, .peer_id = peer->id,
                                          .own_index = i, .peer_index = j};
        if (i == j) continue;
        cr_assert_eq(sl_mask_pair_seed(&context, own->mask_public, own->mask_secret, peer->mask_public, own->pair[j]), SL_OK);
        cr_assert_eq(sl_mask_box_keys(&context, own->box_public, own->box_secret, peer->box_public, &own->boxes[j]), SL_OK);
    }
}

static void make_shares(struct world *w, uint32_t i, enum lie lie)
{
    struct person *own = &w->people[i];
    static uint8_t boxes[N][SL_BOX_SIZE];
    struct sl_shares shares = {.n_members = N};
    uint8_t self[32], mask[32];
    memcpy(self, own->self, 32);
    memcpy(mask, own->mask_secret, 32);
    if (lie == LIE_SELF) self[3] ^= 1;
    if (lie == LIE_MASK) mask[3] ^= 1;
    sl_shamir_split(self, T, N, &w->rng, own->self_shares);
    sl_shamir_split(mask, T, N, &w->rng, own->mask_shares);
    sl_mask_hash(SL_SECRET_SELF_SEED, w->cohort, own->self, shares.self_hash);
    for (uint32_t j = 0; j < N; j++) {
        struct sl_dealt *dealt = &shares.dealt[j];
        bool is_victim = j == PARTNER;
        sl_mask_share_hash(false, w->cohort, i, j, own->self_shares[j], dealt->self_share_hash);
        sl_mask_share_hash(true, w->cohort, i, j, own->mask_shares[j], dealt->mask_share_hash);
        if (is_victim && lie == LIE_SHARE) dealt->mask_share_hash[5] ^= 16;
        if (i == j) continue;
        sl_mask_hash(SL_SECRET_PAIR_SEED, w->cohort, own->pair[j], dealt->mask_tag);
        sl_mask_hash(SL_SECRET_BOX_KEY, w->cohort, own->boxes[j].to_peer, dealt->to_tag);
        sl_mask_hash(SL_SECRET_BOX_KEY, w->cohort, own->boxes[j].from_peer, dealt->from_tag);
        if (is_victim && lie == LIE_MASK_TAG) dealt->mask_tag[0] ^= 1;
        if (is_victim && lie == LIE_TO_TAG) dealt->to_tag[0] ^= 1;
        if (is_victim && lie == LIE_FROM_TAG) dealt->from_tag[0] ^= 1;
        sl_mask_seal(own->boxes[j].to_peer, w->cohort, own->self_shares[j], own->mask_shares[j], boxes[j]);
        if (is_victim && lie == LIE_BOX_BYTE) boxes[j][70] ^= 1;
        dealt->box = boxes[j];
    }
    struct sl_writer writer = begin(w, own, SL_MESSAGE_SHARES, w->cohort, &own->shares);
    sl_write_shares(&writer, &shares);
    seal(own, &writer, SL_MESSAGE_SHARES, &own->shares);
}

/* Plainly: the whole mask, then row by row. */
static void sketch(const struct world *w, const uint8_t seed[32], uint32_t dim, uint32_t *out)
{
    static uint32_t mask[4096];
    static struct sl_sketch matrix;
    uint8_t key[32];
    memset(mask, 0, sizeof mask);
    memset(out, 0, sizeof *out * ROWS);
    sl_mask_add(seed, 1, w->ring_bits, 0, mask, dim);
    sl_mask_audit_key(w->chain, key);
    sl_sketch_init(&matrix, key, ROWS);
    for (uint32_t chunk = 0; chunk * SL_SKETCH_CHUNK < dim; chunk++) {
        sl_sketch_chunk(&matrix, chunk);
        for (uint32_t row = 0; row < ROWS; row++)
            for (uint32_t j = 0; j < SL_SKETCH_CHUNK && chunk * SL_SKETCH_CHUNK + j < dim; j++)
                out[row] += (uint32_t)matrix.entries[row][j] * mask[chunk * SL_SKETCH_CHUNK + j];
    }
    for (uint32_t row = 0; row < ROWS; row++) out[row] &= w->ring_bits == 16 ? 0xffff : UINT32_MAX;
}

static void make_audit(struct world *w, uint32_t i, enum lie lie, uint32_t rows)
{
    struct person *own = &w->people[i];
    struct sl_audit audit = {.rows = rows, .n_members = N};
    memcpy(audit.chain, w->chain, 32);
    sketch(w, own->self, w->dim, audit.self);
    for (uint32_t j = 0; j < N; j++) {
        if (i == j) continue;
        audit.partners |= UINT64_C(1) << j;
        sketch(w, own->pair[j], w->dim, audit.pair[j]);
    }
    if (lie == LIE_SELF_SKETCH) audit.self[ROWS - 1] ^= 1;
    if (lie == LIE_PAIR_SKETCH) audit.pair[PARTNER][0] ^= 0x80;
    struct sl_writer writer = begin(w, own, SL_MESSAGE_AUDIT, w->cohort, &own->audit);
    sl_write_audit(&writer, &audit);
    seal(own, &writer, SL_MESSAGE_AUDIT, &own->audit);
}

static void make_world(enum lie lie, uint32_t ring_bits, uint64_t seed)
{
    cr_assert_geq(sodium_init(), 0);
    struct world *w = &world;
    memset(w, 0, sizeof *w);
    w->epoch = 77 + seed;
    w->dim = DIM;
    w->ring_bits = ring_bits;
    uint8_t key[32] = {(uint8_t)seed};
    sl_rng_init(&w->rng, key);
    memset(w->network_id, 0xa1, 32);
    memset(w->chain, 0x17, 32);
    memset(w->propose_hash, 0x33, 32);
    for (uint32_t i = 0; i < N; i++) make_person(w, &w->people[i]);
    for (uint32_t i = 0; i < N; i++) make_join(w, &w->people[i]);
    make_roster(w);
    for (uint32_t i = 0; i < N; i++) share_keys(w, i);
    for (uint32_t i = 0; i < N; i++) {
        make_shares(w, i, i == LIAR ? lie : LIE_NONE);
        make_audit(w, i, i == LIAR ? lie : LIE_NONE, ROWS);
    }
}

/* ---- evidence, as an accuser puts it together ---- */

static void cite(struct sl_evidence *evidence, const struct message *message)
{
    evidence->messages[evidence->n_messages] = message->bytes;
    evidence->message_sizes[evidence->n_messages++] = message->size;
}

static void cite_roster(struct sl_evidence *evidence)
{
    evidence->roster = world.roster.bytes;
    evidence->roster_size = world.roster.size;
}

static void tell(struct sl_evidence *evidence, uint32_t index, const uint8_t secret[32])
{
    evidence->secrets[evidence->n_secrets].index = index;
    memcpy(evidence->secrets[evidence->n_secrets++].secret, secret, 32);
}

/* Whatever LIAR did, the evidence of this kind that would prove it. */
static struct sl_evidence evidence_of(enum sl_evidence_kind kind)
{
    const struct person *liar = &world.people[LIAR], *partner = &world.people[PARTNER];
    struct sl_evidence evidence = {.kind = kind};
    memcpy(evidence.sign_public, liar->sign_public, 32);
    bool is_sketch = kind == SL_EVIDENCE_BAD_SELF_SKETCH || kind == SL_EVIDENCE_BAD_PAIR_SKETCH;
    if (is_sketch) cite(&evidence, &liar->audit);
    cite(&evidence, &liar->shares);
    switch (kind) {
    case SL_EVIDENCE_BAD_SHARE: tell(&evidence, PARTNER, partner->boxes[LIAR].from_peer); break;
    case SL_EVIDENCE_BAD_MASK_TAG: tell(&evidence, PARTNER, partner->mask_secret); break;
    case SL_EVIDENCE_BAD_BOX_TAG: tell(&evidence, PARTNER, partner->box_secret); break;
    case SL_EVIDENCE_BAD_SELF: for (uint32_t i = 0; i < T; i++) tell(&evidence, i, liar->self_shares[i]); break;
    case SL_EVIDENCE_BAD_MASK: for (uint32_t i = N - T; i < N; i++) tell(&evidence, i, liar->mask_shares[i]); break;
    case SL_EVIDENCE_BAD_SELF_SKETCH: tell(&evidence, LIAR, liar->self); break;
    case SL_EVIDENCE_BAD_PAIR_SKETCH: tell(&evidence, PARTNER, partner->pair[LIAR]); break;
    case SL_EVIDENCE_TWO_BODIES: break;
    }
    bool needs_roster = kind >= SL_EVIDENCE_BAD_MASK_TAG && kind <= SL_EVIDENCE_BAD_MASK;
    if (needs_roster) cite_roster(&evidence);
    return evidence;
}

static int verify(const struct sl_evidence *evidence, uint8_t accused[32])
{
    struct sl_evidence_context context = context_of(&world);
    memset(accused, 0, 32);
    return sl_evidence_verify(&context, evidence, accused);
}

static void expect_proof(const struct sl_evidence *evidence)
{
    uint8_t accused[32];
    cr_assert_eq(verify(evidence, accused), SL_OK, "%s", sl_evidence_text(evidence->kind));
    cr_assert_arr_eq(accused, world.people[LIAR].id, 32);
}

static void expect_refusal(const struct sl_evidence *evidence, int error, const char *why)
{
    uint8_t accused[32];
    int got = verify(evidence, accused);
    cr_assert_neq(got, SL_OK, "%s", why);
    cr_assert_eq(got, error, "%s: %s", why, sl_error_text(got));
    cr_assert(sl_hash_is_zero(accused), "nobody is named: %s", why);
}

static const struct lie_of_kind { enum lie lie; enum sl_evidence_kind kind; } lies[] = {
    {LIE_SHARE, SL_EVIDENCE_BAD_SHARE}, {LIE_BOX_BYTE, SL_EVIDENCE_BAD_SHARE}, {LIE_MASK_TAG, SL_EVIDENCE_BAD_MASK_TAG},
    {LIE_TO_TAG, SL_EVIDENCE_BAD_BOX_TAG}, {LIE_FROM_TAG, SL_EVIDENCE_BAD_BOX_TAG}, {LIE_SELF, SL_EVIDENCE_BAD_SELF}, {LIE_MASK, SL_EVIDENCE_BAD_MASK},
    {LIE_SELF_SKETCH, SL_EVIDENCE_BAD_SELF_SKETCH}, {LIE_PAIR_SKETCH, SL_EVIDENCE_BAD_PAIR_SKETCH}};
enum { N_LIES = sizeof lies / sizeof *lies };

/* ---- proofs ---- */

Test(evidence, each_lie_is_proven_in_either_ring)
{
    for (uint32_t i = 0; i < N_LIES; i++) {
        make_world(lies[i].lie, i % 2 ? 16 : 32, i);
        struct sl_evidence evidence = evidence_of(lies[i].kind);
        expect_proof(&evidence);
    }
}

Test(evidence, an_honest_member_is_not_accused_by_its_true_messages_and_true_secrets)
{
    for (uint32_t ring_bits = 16; ring_bits <= 32; ring_bits += 16) {
        make_world(LIE_NONE, ring_bits, 3);
        for (uint32_t kind = SL_EVIDENCE_BAD_SHARE; kind <= SL_EVIDENCE_BAD_PAIR_SKETCH; kind++) {
            struct sl_evidence evidence = evidence_of(kind);
            expect_refusal(&evidence, SL_ERROR_MISMATCH, sl_evidence_text(kind));
        }
    }
}

Test(evidence, a_liar_is_proven_of_its_own_lie_only)
{
    for (uint32_t i = 0; i < N_LIES; i++) {
        make_world(lies[i].lie, 32, i);
        for (uint32_t kind = SL_EVIDENCE_BAD_SHARE; kind <= SL_EVIDENCE_BAD_PAIR_SKETCH; kind++) {
            struct sl_evidence evidence = evidence_of(kind);
            uint8_t accused[32];
            bool is_other = kind != lies[i].kind;
            /* Another kind may be proven by the same lie only where the lie makes a secret and its hash disagree; none here does. */
            if (is_other) cr_assert_neq(verify(&evidence, accused), SL_OK, "lie %u taken for %s", i, sl_evidence_text(kind));
        }
    }
}

Test(evidence, kinds_have_words_and_unknown_ones_have_none)
{
    for (uint32_t kind = SL_EVIDENCE_TWO_BODIES; kind <= SL_EVIDENCE_BAD_PAIR_SKETCH; kind++) cr_assert_not_null(sl_evidence_text(kind));
    cr_assert_null(sl_evidence_text(0));
    cr_assert_null(sl_evidence_text(SL_EVIDENCE_BAD_PAIR_SKETCH + 1));
    make_world(LIE_SHARE, 32, 1);
    for (uint32_t kind = 9; kind < 16; kind++) {
        struct sl_evidence evidence = evidence_of(SL_EVIDENCE_BAD_SHARE);
        evidence.kind = kind;
        expect_refusal(&evidence, SL_ERROR_MALFORMED, "unknown kind");
    }
}

/* ---- framing ---- */

/* Flips one bit in each byte of what is cited; whatever is accepted then must still name the liar, and nothing is accepted against an honest member. */
static void flip_everywhere(const struct sl_evidence *original, bool is_honest, uint32_t *n_accepted)
{
    static uint8_t copy[3][MESSAGE_MAX], roster[MESSAGE_MAX];
    struct sl_evidence evidence = *original;
    uint8_t accused[32];
    size_t n_roster = evidence.roster_size;
    for (uint32_t i = 0; i < evidence.n_messages; i++) {
        memcpy(copy[i], evidence.messages[i], evidence.message_sizes[i]);
        evidence.messages[i] = copy[i];
    }
    if (n_roster) memcpy(roster, evidence.roster, n_roster);
    evidence.roster = roster;

    for (uint32_t i = 0; i < evidence.n_messages; i++) {
        for (size_t at = 0; at < evidence.message_sizes[i]; at++) {
            copy[i][at] ^= (uint8_t)(1 << at % 8);
            cr_assert_neq(verify(&evidence, accused), SL_OK, "message %u, byte %zu", i, at);
            copy[i][at] ^= (uint8_t)(1 << at % 8);
        }
    }
    for (size_t at = 0; at < 32; at++) {
        evidence.sign_public[at] ^= (uint8_t)(1 << at % 8);
        cr_assert_neq(verify(&evidence, accused), SL_OK, "key, byte %zu", at);
        evidence.sign_public[at] ^= (uint8_t)(1 << at % 8);
    }
    for (size_t at = 0; at < n_roster + 32 * evidence.n_secrets; at++) {
        uint8_t *byte = at < n_roster ? &roster[at] : &evidence.secrets[(at - n_roster) / 32].secret[(at - n_roster) % 32];
        *byte ^= (uint8_t)(1 << at % 8);
        bool is_accepted = verify(&evidence, accused) == SL_OK;
        *byte ^= (uint8_t)(1 << at % 8);
        *n_accepted += is_accepted;
        cr_assert(!is_accepted || !is_honest, "byte %zu frames an honest member", at);
        cr_assert(!is_accepted || sl_hash_equal(accused, world.people[LIAR].id));
    }
}

Test(evidence, no_flipped_bit_frames_an_honest_member)
{
    make_world(LIE_NONE, 32, 5);
    for (uint32_t kind = SL_EVIDENCE_BAD_SHARE; kind <= SL_EVIDENCE_BAD_PAIR_SKETCH; kind++) {
        struct sl_evidence evidence = evidence_of(kind);
        uint32_t n_accepted = 0;
        flip_everywhere(&evidence, true, &n_accepted);
    }
}

Test(evidence, no_flipped_bit_turns_a_proof_against_another)
{
    for (uint32_t i = 0; i < N_LIES; i++) {
        make_world(lies[i].lie, 32, i);
        struct sl_evidence evidence = evidence_of(lies[i].kind);
        uint32_t n_accepted = 0;
        flip_everywhere(&evidence, false, &n_accepted);
        if (evidence.roster_size == 0) cr_assert_eq(n_accepted, 0, "%s: no bit of a secret is free", sl_evidence_text(evidence.kind));
    }
}

Test(evidence, secrets_of_others_and_made_up_ones_prove_nothing)
{
    make_world(LIE_NONE, 32, 6);
    for (uint32_t kind = SL_EVIDENCE_BAD_SHARE; kind <= SL_EVIDENCE_BAD_PAIR_SKETCH; kind++) {
        for (uint32_t i = 0; i < 16; i++) {
            struct sl_evidence evidence = evidence_of(kind);
            uint8_t accused[32];
            for (uint32_t k = 0; k < evidence.n_secrets; k++) sl_rng_bytes(&world.rng, evidence.secrets[k].secret, 32);
            evidence.secrets[0].index = i;
            cr_assert_neq(verify(&evidence, accused), SL_OK, "%s, index %u", sl_evidence_text(kind), i);
            evidence = evidence_of(kind);
            evidence.secrets[0].index = i;
            cr_assert_neq(verify(&evidence, accused), SL_OK, "%s, index %u", sl_evidence_text(kind), i);
        }
    }
}

Test(evidence, a_partner_that_reveals_another_key_than_its_own_frames_nobody)
{
    make_world(LIE_NONE, 32, 7);
    struct sl_evidence evidence = evidence_of(SL_EVIDENCE_BAD_MASK_TAG);
    memcpy(evidence.secrets[0].secret, world.people[PARTNER].box_secret, 32);
    expect_refusal(&evidence, SL_ERROR_MISMATCH, "the box secret for the mask secret");
    evidence = evidence_of(SL_EVIDENCE_BAD_BOX_TAG);
    memcpy(evidence.secrets[0].secret, world.people[4].box_secret, 32);
    expect_refusal(&evidence, SL_ERROR_MISMATCH, "another's box secret");
    evidence = evidence_of(SL_EVIDENCE_BAD_SHARE);
    memcpy(evidence.secrets[0].secret, world.people[PARTNER].boxes[LIAR].to_peer, 32);
    expect_refusal(&evidence, SL_ERROR_MISMATCH, "the key of the other direction");
}

Test(evidence, a_message_of_somebody_else_does_not_count_against_the_accused)
{
    for (uint32_t i = 0; i < N_LIES; i++) {
        make_world(lies[i].lie, 32, i);
        struct sl_evidence evidence = evidence_of(lies[i].kind);
        memcpy(evidence.sign_public, world.people[4].sign_public, 32);
        expect_refusal(&evidence, SL_ERROR_MISMATCH, "another is named as the author");
    }
}

/* What a framer can write in the name of another, but not sign. */
static struct message forge(const struct message *original, const struct person *signer)
{
    struct message forged = *original;
    struct sl_envelope envelope = open_message(original);
    struct sl_writer writer = sl_envelope_begin(envelope.type, world.network_id, envelope.epoch, envelope.cohort, envelope.from, forged.bytes,
                                                sizeof forged.bytes);
    sl_write_raw(&writer, envelope.body, envelope.body_size);
    forged.size = sl_envelope_seal(&writer, envelope.type, signer->sign_secret);
    return forged;
}

Test(evidence, lies_under_another_signature_are_refused)
{
    for (uint32_t i = 0; i < N_LIES; i++) {
        make_world(lies[i].lie, 32, i);
        struct sl_evidence evidence = evidence_of(lies[i].kind);
        for (uint32_t k = 0; k < evidence.n_messages; k++) {
            struct message forged = forge(k == 0 && evidence.n_messages == 2 ? &world.people[LIAR].audit : &world.people[LIAR].shares, &world.people[PARTNER]);
            struct sl_evidence copy = evidence;
            copy.messages[k] = forged.bytes;
            copy.message_sizes[k] = forged.size;
            expect_refusal(&copy, SL_ERROR_BAD_SIGNATURE, "signed by the partner");
        }
    }
}

Test(evidence, lies_told_in_another_network_are_no_matter_here)
{
    for (uint32_t i = 0; i < N_LIES; i++) {
        make_world(lies[i].lie, 32, i);
        struct sl_evidence evidence = evidence_of(lies[i].kind);
        uint8_t accused[32] = {0}, other[32] = {9};
        struct sl_evidence_context context = context_of(&world);
        context.network_id = other;
        cr_assert_neq(sl_evidence_verify(&context, &evidence, accused), SL_OK);
        cr_assert(sl_hash_is_zero(accused));
    }
}

Test(evidence, messages_of_two_cohorts_or_epochs_do_not_make_one_lie)
{
    make_world(LIE_NONE, 32, 1);
    static struct message old_shares, old_roster;
    old_shares = world.people[LIAR].shares;
    old_roster = world.roster;

    /* The same people, keys and secrets in another cohort of the same epoch. */
    memset(world.propose_hash, 0x44, 32);
    make_roster(&world);
    uint8_t first_self[32];
    memcpy(first_self, world.people[LIAR].self, 32);
    for (uint32_t i = 0; i < N; i++) make_join(&world, &world.people[i]);
    make_roster(&world);
    sl_rng_bytes(&world.rng, world.people[LIAR].self, 32);
    for (uint32_t i = 0; i < N; i++) share_keys(&world, i);
    for (uint32_t i = 0; i < N; i++) {
        make_shares(&world, i, LIE_NONE);
        make_audit(&world, i, LIE_NONE, ROWS);
    }

    struct sl_evidence evidence = evidence_of(SL_EVIDENCE_BAD_SELF_SKETCH);
    evidence.messages[1] = old_shares.bytes;
    evidence.message_sizes[1] = old_shares.size;
    memcpy(evidence.secrets[0].secret, first_self, 32);
    expect_refusal(&evidence, SL_ERROR_MISMATCH, "SHARES of one cohort, AUDIT of another");
    for (uint32_t kind = SL_EVIDENCE_BAD_MASK_TAG; kind <= SL_EVIDENCE_BAD_MASK; kind++) {
        evidence = evidence_of(kind);
        evidence.roster = old_roster.bytes;
        evidence.roster_size = old_roster.size;
        expect_refusal(&evidence, SL_ERROR_MISMATCH, "a roster that is not the cohort's");
    }
    world.epoch++;
    for (uint32_t i = 0; i < N; i++) make_audit(&world, i, LIE_NONE, ROWS);
    evidence = evidence_of(SL_EVIDENCE_BAD_SELF_SKETCH);
    expect_refusal(&evidence, SL_ERROR_MISMATCH, "an AUDIT of the next epoch");
}

Test(evidence, a_roster_with_other_keys_is_not_that_of_the_cohort)
{
    make_world(LIE_NONE, 32, 2);
    static struct message altered;
    struct person partner = world.people[PARTNER];
    sl_mask_keypair(partner.self, world.people[PARTNER].mask_public, world.people[PARTNER].mask_secret);
    make_join(&world, &world.people[PARTNER]);
    uint8_t cohort[32];
    memcpy(cohort, world.cohort, 32);
    make_roster(&world);
    altered = world.roster;
    struct sl_evidence evidence = evidence_of(SL_EVIDENCE_BAD_MASK_TAG);
    evidence.roster = altered.bytes;
    evidence.roster_size = altered.size;
    expect_refusal(&evidence, SL_ERROR_MISMATCH, "the secret fits, but it is another roster");
    cr_assert_arr_neq(cohort, world.cohort, 32);
}

Test(evidence, fewer_shares_than_the_threshold_or_the_same_twice_prove_nothing)
{
    make_world(LIE_SELF, 32, 8);
    struct sl_evidence evidence = evidence_of(SL_EVIDENCE_BAD_SELF);
    evidence.n_secrets = T - 1;
    expect_refusal(&evidence, SL_ERROR_OUT_OF_RANGE, "three shares of five");
    evidence = evidence_of(SL_EVIDENCE_BAD_SELF);
    tell(&evidence, T, world.people[LIAR].self_shares[T]);
    expect_refusal(&evidence, SL_ERROR_OUT_OF_RANGE, "one more than needed");
    evidence = evidence_of(SL_EVIDENCE_BAD_SELF);
    evidence.secrets[3] = evidence.secrets[2];
    expect_refusal(&evidence, SL_ERROR_OUT_OF_RANGE, "one share twice");
    evidence = evidence_of(SL_EVIDENCE_BAD_SELF);
    memcpy(evidence.secrets[0].secret, world.people[LIAR].mask_shares[0], 32);
    expect_refusal(&evidence, SL_ERROR_MISMATCH, "a share of the other secret");
}

Test(evidence, an_audit_of_other_rows_or_another_dimension_blames_nobody)
{
    make_world(LIE_NONE, 32, 9);
    make_audit(&world, LIAR, LIE_SELF_SKETCH, ROWS - 1);
    struct sl_evidence evidence = evidence_of(SL_EVIDENCE_BAD_SELF_SKETCH);
    expect_refusal(&evidence, SL_ERROR_MISMATCH, "seven rows where the network has eight");
    make_audit(&world, LIAR, LIE_PAIR_SKETCH, ROWS);
    world.dim = 0;
    evidence = evidence_of(SL_EVIDENCE_BAD_PAIR_SKETCH);
    expect_refusal(&evidence, SL_ERROR_MISMATCH, "no coordinates in that epoch");
}

Test(evidence, has_one_form_only)
{
    for (uint32_t i = 0; i < N_LIES; i++) {
        make_world(lies[i].lie, 32, i);
        struct sl_evidence good = evidence_of(lies[i].kind), evidence = good;
        evidence.n_messages--;
        expect_refusal(&evidence, SL_ERROR_MALFORMED, "a message less");
        evidence = good;
        cite(&evidence, &world.people[LIAR].shares);
        expect_refusal(&evidence, SL_ERROR_MALFORMED, "a message more");
        evidence = good;
        evidence.n_secrets = 0;
        expect_refusal(&evidence, SL_ERROR_MALFORMED, "no secret");
        evidence = good;
        if (good.roster_size) evidence.roster_size = 0;
        else cite_roster(&evidence);
        expect_refusal(&evidence, SL_ERROR_MALFORMED, "a roster where none is needed, or none");
        if (good.n_messages == 2) {
            evidence = good;
            evidence.messages[0] = good.messages[1];
            evidence.message_sizes[0] = good.message_sizes[1];
            expect_refusal(&evidence, SL_ERROR_MISMATCH, "SHARES twice");
        }
    }
}

/* ---- two bodies ---- */

static struct message say(const struct person *author, enum sl_message_type type, uint64_t epoch, const uint8_t cohort[32], uint8_t number)
{
    struct message message;
    struct sl_writer writer = sl_envelope_begin(type, world.network_id, epoch, cohort, author->id, message.bytes, sizeof message.bytes);
    struct sl_list list = {.step = SL_STEP_LIST_COMMIT, .members = 3, .n_hashes = 2};
    list.hashes[0][0] = number;
    uint8_t bytes[32] = {number};
    if (type == SL_MESSAGE_LIST) {
        sl_write_list(&writer, &list);
    } else {
        sl_write_array(&writer, 1);
        sl_write_bin(&writer, bytes, 32);
    }
    message.size = sl_envelope_seal(&writer, type, author->sign_secret);
    return message;
}

static int verify_two(const struct message *a, const struct message *b)
{
    struct sl_evidence evidence = {.kind = SL_EVIDENCE_TWO_BODIES};
    uint8_t accused[32];
    memcpy(evidence.sign_public, world.people[LIAR].sign_public, 32);
    cite(&evidence, a);
    cite(&evidence, b);
    int error = verify(&evidence, accused);
    cr_assert_eq(error == SL_OK, sl_hash_equal(accused, world.people[LIAR].id));
    return error;
}

enum { ONE_AN_EPOCH = 1, ONE_A_COHORT = 2, AS_MANY_AS_ONE_LIKES = 3 };

static const struct { enum sl_message_type type; int rule; } types[] = {
    {SL_MESSAGE_PROPOSE, ONE_AN_EPOCH}, {SL_MESSAGE_ROSTER, ONE_AN_EPOCH}, {SL_MESSAGE_COMMIT, ONE_AN_EPOCH}, {SL_MESSAGE_CONFIRM, ONE_AN_EPOCH},
    {SL_MESSAGE_JOIN, ONE_A_COHORT}, {SL_MESSAGE_SHARES, ONE_A_COHORT}, {SL_MESSAGE_LIST, ONE_A_COHORT}, {SL_MESSAGE_OPEN, ONE_A_COHORT},
    {SL_MESSAGE_AUDIT, ONE_A_COHORT}, {SL_MESSAGE_RESULT, ONE_A_COHORT},
    {SL_MESSAGE_HELLO, AS_MANY_AS_ONE_LIKES}, {SL_MESSAGE_ADVERT, AS_MANY_AS_ONE_LIKES}, {SL_MESSAGE_RELEASED, AS_MANY_AS_ONE_LIKES},
    {SL_MESSAGE_REFUSE, AS_MANY_AS_ONE_LIKES}, {SL_MESSAGE_UNMASK, AS_MANY_AS_ONE_LIKES}, {SL_MESSAGE_REVEAL, AS_MANY_AS_ONE_LIKES}};

Test(evidence, two_bodies_are_proven_where_there_must_be_one)
{
    make_world(LIE_NONE, 32, 1);
    const struct person *liar = &world.people[LIAR];
    uint8_t other[32] = {5};
    for (uint32_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct message first = say(liar, types[i].type, 7, world.cohort, 1), second = say(liar, types[i].type, 7, world.cohort, 2);
        struct message elsewhere = say(liar, types[i].type, 7, other, 2), later = say(liar, types[i].type, 8, world.cohort, 2);
        struct message same = say(liar, types[i].type, 7, world.cohort, 1);

        cr_assert_eq(verify_two(&first, &second) == SL_OK, types[i].rule != AS_MANY_AS_ONE_LIKES, "type %u", types[i].type);
        cr_assert_eq(verify_two(&first, &elsewhere) == SL_OK, types[i].rule == ONE_AN_EPOCH, "type %u in two cohorts", types[i].type);
        cr_assert_eq(verify_two(&first, &later), SL_ERROR_MISMATCH, "type %u in two epochs", types[i].type);
        cr_assert_eq(verify_two(&first, &same), SL_ERROR_MISMATCH, "type %u, one body twice", types[i].type);
        cr_assert_eq(verify_two(&first, &first), SL_ERROR_MISMATCH, "type %u with itself", types[i].type);
    }
}

Test(evidence, two_signatures_of_one_body_are_no_contradiction)
{
    make_world(LIE_NONE, 32, 1);
    struct message first = say(&world.people[LIAR], SL_MESSAGE_COMMIT, 7, world.cohort, 1), second = first;
    second.bytes[second.size - 1] ^= 1;
    cr_assert_eq(verify_two(&first, &second), SL_ERROR_MISMATCH);
}

Test(evidence, two_bodies_of_different_types_or_steps_are_none)
{
    make_world(LIE_NONE, 32, 1);
    const struct person *liar = &world.people[LIAR];
    struct message commit = say(liar, SL_MESSAGE_COMMIT, 7, world.cohort, 1), confirm = say(liar, SL_MESSAGE_CONFIRM, 7, world.cohort, 2);
    cr_assert_eq(verify_two(&commit, &confirm), SL_ERROR_MISMATCH);

    struct message list = say(liar, SL_MESSAGE_LIST, 7, world.cohort, 1), next;
    struct sl_list body = {.step = SL_STEP_LIST_OPEN, .members = 1, .n_hashes = 1};
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_LIST, world.network_id, 7, world.cohort, liar->id, next.bytes, sizeof next.bytes);
    sl_write_list(&writer, &body);
    next.size = sl_envelope_seal(&writer, SL_MESSAGE_LIST, liar->sign_secret);
    cr_assert_eq(verify_two(&list, &next), SL_ERROR_MISMATCH, "each step has its LIST");
}

Test(evidence, a_second_body_by_somebody_else_or_badly_signed_frames_nobody)
{
    make_world(LIE_NONE, 32, 1);
    const struct person *liar = &world.people[LIAR], *framer = &world.people[0];
    struct message first = say(liar, SL_MESSAGE_COMMIT, 7, world.cohort, 1), second = say(framer, SL_MESSAGE_COMMIT, 7, world.cohort, 2);
    cr_assert_eq(verify_two(&first, &second), SL_ERROR_MISMATCH, "the framer's own");
    cr_assert_eq(verify_two(&second, &first), SL_ERROR_MISMATCH);

    struct person mask = *framer;
    memcpy(mask.id, liar->id, 32);
    struct message forged = say(&mask, SL_MESSAGE_COMMIT, 7, world.cohort, 2);
    cr_assert_eq(verify_two(&first, &forged), SL_ERROR_BAD_SIGNATURE, "in the name of the accused, signed by the framer");
    for (size_t at = 0; at < first.size; at++) {
        struct message flipped = first;
        flipped.bytes[at] ^= (uint8_t)(1 << at % 8);
        cr_assert_neq(verify_two(&first, &flipped), SL_OK, "byte %zu", at);
        cr_assert_neq(verify_two(&flipped, &first), SL_OK, "byte %zu", at);
    }
}

/* ---- as it travels ---- */

Test(evidence, of_the_largest_cohort_fits_its_message_and_is_read_as_it_was_written)
{
    make_world(LIE_MASK, 32, 4);
    struct sl_evidence evidence = evidence_of(SL_EVIDENCE_BAD_MASK), read;
    static uint8_t bytes[49152];
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_EVIDENCE, world.network_id, world.epoch, (uint8_t[32]){0}, world.people[2].id, bytes, sizeof bytes);
    sl_write_evidence(&writer, &evidence);
    size_t size = sl_envelope_seal(&writer, SL_MESSAGE_EVIDENCE, NULL);
    struct sl_envelope envelope;
    cr_assert_eq(sl_envelope_open(bytes, size, world.network_id, &envelope), SL_OK);
    cr_assert_eq(sl_read_evidence(&envelope, &read), SL_OK);
    expect_proof(&read);
}
