/* SPDX-License-Identifier: MIT */
#ifndef SL_TESTS_SAMPLES_H
#define SL_TESTS_SAMPLES_H

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "wire/certificate.h"
#include "wire/message.h"

/*
 * A valid message of every type, the same on every run: for the tests of the wire and for the seeds of the fuzz corpus.
 * SAMPLE_SMALL holds the smallest allowed value of every field, SAMPLE_LARGE the largest. Fields of bytes are filled
 * with one byte of their own, so that swapped fields show.
 */
enum sample { SAMPLE_SMALL, SAMPLE_LARGE };

static const uint8_t sample_network[32] = {0x11, 0x11, 0x11, 0x11}, sample_cohort[32] = {0x22, 0x22}, sample_from[32] = {0x33, 0x33};
static const uint32_t sample_types[] = {
#define X(name, number, is_signed, size_max, help) number,
#include "wire/messages.def"
#undef X
};
enum { SAMPLE_TYPES = sizeof sample_types / sizeof *sample_types };

static inline void sample_keys(uint8_t sign_public[32], uint8_t sign_secret[64])
{
    static const uint8_t seed[32] = {0x44};
    crypto_sign_seed_keypair(sign_public, sign_secret, seed);
}

static inline const struct sl_admission *sample_admission(void)
{
    static uint8_t operator_key[32], operator_secret[64];
    static struct sl_admission admission = {.network_id = sample_network, .operator_key = operator_key};
    sample_keys(operator_key, operator_secret);
    return &admission;
}

/* A certificate by the operator, or by a member of its with `guest`, until that second. */
static inline size_t sample_certificate(const uint8_t subject[32], bool guest, uint64_t expires_s, uint8_t out[SL_PEER_CERTIFICATE_MAX])
{
    static const uint8_t host_seed[32] = {0x55}, invite_seed[32] = {0x66};
    uint8_t operator_key[32], operator_secret[64], transport_secret[32];
    struct sl_identity host;
    struct sl_invite invite;
    sample_keys(operator_key, operator_secret);
    sl_identity_from_seed(host_seed, sample_network, operator_secret, "", 1000, &host, transport_secret);
    sl_invite_issue(sample_network, guest ? host.sign_secret : operator_secret, guest ? &host : NULL, invite_seed, SL_INVITE_SINGLE_USE, 0, expires_s, &invite);
    return sl_certificate_issue(sample_network, &invite, subject, out);
}

/* n bytes of `byte`; one pool a byte, so that pointers to several of them may be held at once. */
static inline const uint8_t *sample_bytes(uint8_t byte)
{
    static uint8_t pool[64][4 * SL_CHUNK_ELEMENTS];
    uint8_t *bytes = pool[byte & 63];
    memset(bytes, byte, sizeof pool[0]);
    return bytes;
}

static inline void sample_address(enum sample kind, char out[SL_ADDRESS_MAX])
{
    memset(out, 0, SL_ADDRESS_MAX);
    if (kind == SAMPLE_LARGE) memset(out, '~', SL_ADDRESS_MAX - 1);
}

/* The ADVERT in it is filler here; the seeds of the corpus put a whole one in. */
static inline struct sl_hello sample_hello(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    return (struct sl_hello){.time_us = large ? UINT64_MAX : 0, .advert = sample_bytes(0xa1), .advert_size = large ? 1024 : 0,
                             .door = large ? sample_bytes(0xa2) : NULL};
}

static inline struct sl_advert sample_advert(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_advert body = {.sequence = large ? UINT64_MAX : 0, .ttl_s = large ? SL_ADVERT_TTL_MAX_S : 1, .n_addresses = large ? 2 : 0,
                             .certificate = sample_bytes(0xa3), .certificate_size = large ? SL_CERTIFICATE_MAX : 0};
    memset(body.sign_public, 0xa1, 32);
    memset(body.transport_public, 0xa2, 32);
    for (uint32_t i = 0; i < body.n_addresses; i++) sample_address(kind, body.addresses[i]);
    if (large) memset(body.name, 0xff, SL_NAME_MAX - 1);
    body.unit = large ? 2 : 0;
    body.ledger_records = large ? UINT64_MAX : 0;
    if (large) memset(body.ledger_head, 0xa4, 32);
    if (large) memset(body.ledger_of, 0xa5, 32);
    return body;
}

static inline struct sl_view_pull sample_view_pull(enum sample kind)
{
    return (struct sl_view_pull){kind == SAMPLE_LARGE ? SL_ADVERTS_MAX : 1};
}

static inline struct sl_view_adverts sample_view_adverts(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_view_adverts body = {.n_adverts = large ? SL_ADVERTS_MAX : 0};
    for (uint32_t i = 0; i < body.n_adverts; i++) {
        body.adverts[i].bytes = sample_bytes(0xa1);
        body.adverts[i].size = 1024;
    }
    return body;
}

static inline struct sl_ping sample_ping(enum sample kind)
{
    return (struct sl_ping){kind == SAMPLE_LARGE ? UINT64_MAX : 0};
}

/* SMALL: unit off. LARGE: unit node with a clip norm of one half. */
static inline struct sl_propose sample_propose(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_propose body = {
        .n_candidates = large ? SL_CANDIDATES_MAX : 1, .aim = large ? SL_COHORT_MAX : 3, .ring_bits = large ? 32 : 16,
        .ref_exponent = large ? 30 : -15, .radius_q = large ? 65536 : 1, .unit = large ? 2 : 0, .clip_bits = large ? UINT64_C(0x3fe0000000000000) : 0,
        .sigma2 = large ? UINT64_MAX : 0,
    };
    memset(body.nonce, 0xa1, 32);
    for (uint32_t i = 0; i < body.n_candidates; i++) memset(body.candidates[i], (int)(0xb0 + i), 32);
    memset(body.ref_root, 0xa2, 32);
    return body;
}

static inline struct sl_join sample_join(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_join body = {.certificate = sample_bytes(0xa6), .certificate_size = large ? SL_CERTIFICATE_MAX : 0, .refused = large ? UINT64_MAX : 0};
    memset(body.sign_public, 0xa1, 32);
    memset(body.transport_public, 0xa2, 32);
    sample_address(kind, body.address);
    memset(body.mask_public, 0xa3, 32);
    memset(body.box_public, 0xa4, 32);
    memset(body.nonce, 0xa5, 32);
    return body;
}

/* The parts are filler here; the seeds of the corpus put whole messages in. */
static inline struct sl_roster sample_roster(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_roster body = {.n_joins = large ? SL_COHORT_MAX : 1};
    for (uint32_t i = 0; i < body.n_joins; i++) {
        body.joins[i].bytes = sample_bytes(0xa1);
        body.joins[i].size = large ? 500 : 0;
    }
    return body;
}

static inline struct sl_refuse sample_refuse(enum sample kind)
{
    return (struct sl_refuse){kind == SAMPLE_LARGE ? 255 : 0};
}

/* SMALL: the own item alone. LARGE: 63 partners before it. */
static inline struct sl_shares sample_shares(enum sample kind)
{
    struct sl_shares body = {.n_members = kind == SAMPLE_LARGE ? SL_COHORT_MAX : 1};
    memset(body.self_hash, 0xa1, 32);
    memset(body.nonce_hash, 0xa2, 32);
    for (uint32_t i = 0; i < body.n_members; i++) {
        struct sl_dealt *dealt = &body.dealt[i];
        memset(dealt->self_share_hash, (int)(0xb0 + i), 32);
        memset(dealt->mask_share_hash, 0xa7, 32);
        if (i == body.n_members - 1) continue;

        memset(dealt->mask_tag, 0xa3, 32);
        memset(dealt->to_tag, 0xa4, 32);
        memset(dealt->from_tag, 0xa5, 32);
        dealt->box = sample_bytes(0xa6);
    }
    return body;
}

static inline struct sl_list sample_list(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_list body = {.step = large ? 15 : 0, .members = large ? UINT64_MAX : 1, .n_hashes = large ? SL_COHORT_MAX : 1};
    memset(body.previous, 0xa1, 32);
    for (uint32_t i = 0; i < body.n_hashes; i++) memset(body.hashes[i], (int)(0xb0 + i), 32);
    return body;
}

static inline struct sl_commit sample_commit(enum sample kind)
{
    struct sl_commit body;
    memset(body.chain, kind == SAMPLE_LARGE ? 0xff : 0xa1, 32);
    memset(body.root, 0xa2, 32);
    return body;
}

static inline struct sl_open sample_open(enum sample kind)
{
    struct sl_open body;
    memset(body.chain, kind == SAMPLE_LARGE ? 0xff : 0xa1, 32);
    memset(body.nonce, 0xa2, 32);
    return body;
}

/* SMALL: one row, nobody but the sender. LARGE: all rows, 63 partners. */
static inline struct sl_audit sample_audit(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_audit body = {.rows = large ? SL_SKETCH_ROWS_MAX : 1, .n_members = large ? SL_COHORT_MAX : 1, .partners = large ? UINT64_MAX - 1 : 0};
    memset(body.chain, 0xa1, 32);
    for (uint32_t row = 0; row < body.rows; row++) {
        body.input[row] = 0xdddddda2;
        body.self[row] = large ? UINT32_MAX : 0;
        for (uint32_t i = 1; i < body.n_members; i++) body.pair[i][row] = 0xddddddb0 + i;
    }
    return body;
}

static inline struct sl_confirm sample_confirm(enum sample kind)
{
    struct sl_confirm body;
    memset(body.chain, kind == SAMPLE_LARGE ? 0xff : 0xa1, 32);
    return body;
}

static inline struct sl_unmask sample_unmask(enum sample kind)
{
    struct sl_unmask body = {.n_members = kind == SAMPLE_LARGE ? SL_COHORT_MAX : 1};
    memset(body.chain, 0xa1, 32);
    for (uint32_t i = 1; i < body.n_members; i++) body.shares[i] = sample_bytes((uint8_t)(0xb0 + i));
    return body;
}

static inline struct sl_reveal sample_reveal(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_reveal body = {.kind = large ? SL_REVEAL_PAIR_SEED : SL_REVEAL_BOX_KEY, .index = large ? SL_COHORT_MAX - 1 : 0};
    memset(body.secret, 0xa1, 32);
    return body;
}

static inline struct sl_result sample_result(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_result body = {.members = large ? UINT64_MAX : 1, .bits = large ? 32 : 8, .exponent = large ? 63 : -63};
    memset(body.chain, 0xa1, 32);
    memset(body.root, 0xa2, 32);
    return body;
}

static inline struct sl_signatures sample_signatures(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_signatures signatures = {.signers = large ? UINT64_MAX : 0, .n = large ? SL_COHORT_MAX : 0};
    for (uint32_t i = 0; i < signatures.n; i++) signatures.all[i] = sample_bytes((uint8_t)(0xa6 + i % 4));
    return signatures;
}

static inline struct sl_aggregate sample_aggregate(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_aggregate body = {
        .propose = sample_bytes(0xa1), .propose_size = large ? 3072 : 0, .roster = sample_bytes(0xa2), .roster_size = large ? 50176 : 0,
        .n_lists = large ? 4 : 3, .confirms = sample_signatures(kind), .result = sample_bytes(0xa5), .result_size = large ? 512 : 0,
        .results = sample_signatures(kind),
    };
    for (uint32_t i = 0; i < body.n_lists; i++) {
        body.lists[i] = sample_bytes((uint8_t)(0xaa + i));
        body.list_sizes[i] = large ? 2560 : 0;
    }
    return body;
}

/* The messages in it are filler here; the seeds of the corpus put whole ones in. LARGE: two rosters of 16 JOINs, the longest that one can prove anything by. */
static inline struct sl_evidence sample_evidence(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_evidence body = {
        .kind = large ? 15 : 1, .n_messages = large ? SL_EVIDENCE_MESSAGES_MAX : 1, .roster = sample_bytes(0xa3), .roster_size = large ? 5120 : 0,
        .n_secrets = large ? SL_EVIDENCE_SECRETS_MAX : 0,
    };
    memset(body.sign_public, 0xa1, 32);
    for (uint32_t i = 0; i < body.n_messages; i++) {
        body.messages[i] = sample_bytes(0xa2);
        body.message_sizes[i] = large ? i < 2 ? 17000 : 5120 : 0;
    }
    for (uint32_t i = 0; i < body.n_secrets; i++) {
        body.secrets[i].index = i;
        memset(body.secrets[i].secret, (int)(0xb0 + i), 32);
    }
    return body;
}

static inline struct sl_pull sample_pull(enum sample kind)
{
    struct sl_pull body = {.epoch = kind == SAMPLE_LARGE ? UINT64_MAX : 0};
    memset(body.member, 0xa1, 32);
    return body;
}

static inline struct sl_need sample_need(enum sample kind)
{
    struct sl_need body = {.step = kind == SAMPLE_LARGE ? 15 : 0};
    memset(body.from, 0xa1, 32);
    return body;
}

static inline struct sl_get sample_get(enum sample kind)
{
    struct sl_get body = {.index = kind == SAMPLE_LARGE ? SL_CHUNKS_MAX - 1 : 0};
    memset(body.root, 0xa1, 32);
    return body;
}

static inline struct sl_chunk sample_chunk(enum sample kind)
{
    bool large = kind == SAMPLE_LARGE;
    struct sl_chunk body = {
        .index = large ? SL_CHUNKS_MAX - 1 : 0, .n_path = large ? SL_MERKLE_DEPTH_MAX : 0,
        .data = sample_bytes(0xa2), .data_size = large ? 4 * SL_CHUNK_ELEMENTS : 1,
    };
    memset(body.root, 0xa1, 32);
    for (uint32_t i = 0; i < body.n_path; i++) memset(body.path[i], (int)(0xb0 + i), 32);
    return body;
}

#define SAMPLE_BODIES(CASE) \
    CASE(HELLO, hello) CASE(ADVERT, advert) CASE(VIEW_PULL, view_pull) CASE(VIEW, view_adverts) CASE(PROPOSE, propose) CASE(JOIN, join) \
    CASE(ROSTER, roster) CASE(REFUSE, refuse) CASE(SHARES, shares) CASE(LIST, list) CASE(COMMIT, commit) CASE(OPEN, open) CASE(AUDIT, audit) \
    CASE(CONFIRM, confirm) CASE(UNMASK, unmask) CASE(REVEAL, reveal) CASE(RESULT, result) CASE(AGGREGATE, aggregate) CASE(EVIDENCE, evidence) \
    CASE(PULL, pull) CASE(NONE, pull) CASE(NEED, need) CASE(GET, get) CASE(CHUNK, chunk)

static inline void sample_write_body(struct sl_writer *writer, enum sl_message_type type, enum sample kind)
{
    switch (type) {
#define CASE(TYPE, name) case SL_MESSAGE_##TYPE: { struct sl_##name body = sample_##name(kind); sl_write_##name(writer, &body); break; }
    SAMPLE_BODIES(CASE)
#undef CASE
    case SL_MESSAGE_RELEASED: sl_write_released(writer); break;
    case SL_MESSAGE_PING:
    case SL_MESSAGE_PONG: {
        struct sl_ping body = sample_ping(kind);
        sl_write_ping(writer, &body);
        break;
    }
    }
}

/* A whole message, signed if its type is; returns its size. */
static inline size_t sample_message(enum sl_message_type type, enum sample kind, uint8_t bytes[SL_MESSAGE_MAX])
{
    uint8_t sign_public[32], sign_secret[64];
    sample_keys(sign_public, sign_secret);
    uint64_t epoch = kind == SAMPLE_LARGE ? UINT64_MAX : 0;
    struct sl_writer writer = sl_envelope_begin(type, sample_network, epoch, sample_cohort, sample_from, bytes, SL_MESSAGE_MAX);
    sample_write_body(&writer, type, kind);
    return sl_envelope_seal(&writer, type, sign_secret);
}

/* Reads a body and, if it is valid, writes it again. */
static inline int sample_rewrite(const struct sl_envelope *envelope, struct sl_writer *writer)
{
    int error = SL_ERROR_MALFORMED;
    switch (envelope->type) {
#define CASE(TYPE, name) \
    case SL_MESSAGE_##TYPE: { \
        static struct sl_##name body; \
        error = sl_read_##name(envelope, &body); \
        if (!error) sl_write_##name(writer, &body); \
        break; \
    }
    SAMPLE_BODIES(CASE)
#undef CASE
    case SL_MESSAGE_RELEASED:
        error = sl_read_released(envelope);
        if (!error) sl_write_released(writer);
        break;
    case SL_MESSAGE_PING:
    case SL_MESSAGE_PONG: {
        struct sl_ping body;
        error = sl_read_ping(envelope, envelope->type, &body);
        if (!error) sl_write_ping(writer, &body);
        break;
    }
    }
    return error;
}

#endif
