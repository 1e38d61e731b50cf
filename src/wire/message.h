/* SPDX-License-Identifier: MIT */
#ifndef SL_WIRE_MESSAGE_H
#define SL_WIRE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "starling/config.h"
#include "wire/envelope.h"

/*
 * The bodies, one struct each. Every body is one msgpack array whose items stand in the order of the struct's fields (arrays of things are
 * nested arrays; texts are bins; how many there are, n_X, is no item: the array says it). sl_read_X() decodes envelope->body: SL_OK, or
 * SL_ERROR_TRUNCATED, _MALFORMED, _TOO_LARGE, and then `out` is undefined. Pointers lead into the message. sl_write_X() writes the body between
 * sl_envelope_begin() and sl_envelope_seal().
 */

enum {
    SL_DOOR_SIZE = 48,
    SL_BOX_SIZE = 80                         /* two shares of 32 bytes and a Poly1305 tag */
};

struct sl_hello {
    uint64_t time_us;                        /* the sender's clock */
    const uint8_t *advert;                   /* the sender's own ADVERT, whole */
    size_t advert_size;
    const uint8_t *door;                     /* SL_DOOR_SIZE bytes in a private network: nonce (16) and MAC; NULL (an empty bin) elsewhere */
};

struct sl_advert {
    uint64_t sequence;                       /* unix seconds when it was made: the newest of an identity counts */
    uint32_t ttl_s;                          /* 1 .. SL_ADVERT_TTL_MAX_S */
    uint8_t sign_public[32], transport_public[32];
    uint32_t n_addresses;                    /* 0 .. 2, numeric, the first is dialled first; 0 = cannot be dialled */
    char addresses[2][SL_ADDRESS_MAX];       /* at most 47 bytes, printable ASCII 0x21..0x7e, not empty */
    char name[SL_NAME_MAX];                  /* for people; at most 32 bytes of anything but zero: whoever shows it cleans it */
    const uint8_t *certificate;
    size_t certificate_size;                 /* <= SL_CERTIFICATE_MAX */
    uint32_t unit;                           /* of privacy: 0 off, 1 record, 2 node (src/privacy/budget.h) */
    uint64_t ledger_records;                 /* in the author's privacy ledger; 0: it keeps none, and then the next two are zero */
    uint8_t ledger_head[32];                 /* hash of the last of them: an author whose ledger was set back contradicts itself */
    uint8_t ledger_of[32];                   /* which ledger that is: the next data set has another one */
};

struct sl_view_pull { uint32_t n_wanted; };  /* 1 .. SL_ADVERTS_MAX */

struct sl_view_adverts {                     /* VIEW */
    uint32_t n_adverts;                      /* 0 .. SL_ADVERTS_MAX: whole ADVERT messages */
    struct { const uint8_t *bytes; size_t size; } adverts[SL_ADVERTS_MAX];
};

struct sl_ping { uint64_t nonce; };          /* also PONG */

struct sl_propose {
    uint8_t nonce[32];
    uint32_t n_candidates;                   /* 1 .. SL_CANDIDATES_MAX, ids distinct (checked by the reader) */
    uint8_t candidates[SL_CANDIDATES_MAX][32];
    uint32_t aim;                            /* cohort size aimed at, 3 .. SL_COHORT_MAX */
    uint32_t ring_bits;                      /* 16 or 32 */
    uint8_t ref_root[32];                    /* Merkle root of the reference vector, int16 */
    int32_t ref_exponent;                    /* ref[j] = integer * 2^-exponent, -15 .. 30 */
    uint32_t radius_q;                       /* sharing radius in 1/65536, > 0; in unit node 65536: one clip norm */
    uint32_t unit;                           /* of privacy: 0 off, 1 record, 2 node, which needs ring_bits 32 */
    uint64_t clip_bits;                      /* unit node: the clip norm, a power of two, by the bits of an IEEE 754 double; 0 elsewhere */
    uint64_t sigma2;                         /* unit node: variance of a member's share of the noise, > 0; 0 elsewhere */
};

struct sl_join {
    uint8_t sign_public[32], transport_public[32];
    char address[SL_ADDRESS_MAX];            /* printable ASCII as in ADVERT; empty = cannot be dialled */
    uint8_t mask_public[32], box_public[32]; /* fresh X25519 keys */
    uint8_t nonce[32];
    const uint8_t *certificate;
    size_t certificate_size;
    uint64_t refused;                        /* bit i: refuses candidate i of the PROPOSE */
};

struct sl_roster {
    uint32_t n_joins;                        /* 1 .. SL_COHORT_MAX: whole JOIN messages, in roster order */
    struct { const uint8_t *bytes; size_t size; } joins[SL_COHORT_MAX];
};

struct sl_refuse { uint32_t reason; };       /* 0 .. 255; enum refusal in core/core.h */

/*
 * Inside a cohort every body from COMMIT on begins with `chain`: the body hash of the LIST that closed the step before, so that each answers one story.
 * Arrays `of the roster` hold one item per member in roster order; an item that does not apply is an empty bin. Of an AUDIT, rows and partners are no items
 * either: [chain, input, self, [pair ...]], each sketch a bin of 4 * rows bytes. A struct sl_signatures is [signers, [signature ...]].
 */
struct sl_dealt {                            /* what a dealer says of one member; its own item has the two hashes only, and no tags and no box */
    uint8_t mask_tag[32];                    /* of s_ij */
    uint8_t to_tag[32], from_tag[32];        /* of the box keys dealer -> member and member -> dealer */
    const uint8_t *box;                      /* SL_BOX_SIZE bytes: the member's two shares, encrypted; NULL in the own item */
    uint8_t self_share_hash[32], mask_share_hash[32];
};

struct sl_shares {
    uint8_t self_hash[32], nonce_hash[32];   /* of the self-mask seed b_i and of the audit nonce a_i */
    uint32_t n_members;                      /* of the roster, 1 .. SL_COHORT_MAX */
    struct sl_dealt dealt[SL_COHORT_MAX];
};

struct sl_list {
    uint32_t step;                           /* 0 .. 15 */
    uint8_t previous[32];                    /* body hash of the LIST before; the cohort id for the first */
    uint64_t members;                        /* bit i: roster member i is in; its hash follows in that order */
    uint32_t n_hashes;                       /* popcount(members), 1 .. SL_COHORT_MAX: checked by the reader */
    uint8_t hashes[SL_COHORT_MAX][32];       /* body hashes */
};

struct sl_commit { uint8_t chain[32], root[32]; };           /* root: Merkle root of the masked vector */

struct sl_open { uint8_t chain[32], nonce[32]; };            /* nonce: a_i */

struct sl_audit {
    uint8_t chain[32];
    uint32_t rows;                           /* 1 .. SL_SKETCH_ROWS_MAX */
    uint32_t n_members;                      /* of the roster */
    uint32_t input[SL_SKETCH_ROWS_MAX];      /* A z_i; numbers are ring elements, four bytes little endian each */
    uint32_t self[SL_SKETCH_ROWS_MAX];       /* A PRG(b_i) */
    uint64_t partners;                       /* bit j: pair[j] is there (an empty bin elsewhere) */
    uint32_t pair[SL_COHORT_MAX][SL_SKETCH_ROWS_MAX];      /* A PRG(s_ij), without its sign */
};

struct sl_confirm { uint8_t chain[32]; };

struct sl_unmask {
    uint8_t chain[32];
    uint32_t n_members;                      /* of the roster */
    const uint8_t *shares[SL_COHORT_MAX];       /* 32 bytes: of b_j for j in U, of the mask secret for j in V outside U; NULL: none */
};

enum sl_reveal_kind {
    SL_REVEAL_BOX_KEY = 1,                   /* the key under which member `index` sent us a share that is wrong */
    SL_REVEAL_MASK_SECRET,                   /* our own: tags of s_ij differ. Nothing is masked yet, and we sit this epoch out */
    SL_REVEAL_BOX_SECRET,                    /* our own: tags of box keys differ */
    SL_REVEAL_PAIR_SEED                      /* s_ij with member `index`: our audits differ on it */
};

struct sl_reveal { uint32_t kind, index; uint8_t secret[32]; };      /* index < SL_COHORT_MAX */

struct sl_result {
    uint8_t chain[32];
    uint64_t members;                        /* bit i: roster member i is in the sum */
    uint32_t bits;                           /* 8, 16 or 32 per coordinate of the canonical encoding */
    int32_t exponent;                        /* mean[j] = integer * 2^-exponent, -63 .. 63 */
    uint8_t root[32];                        /* Merkle root of the canonical encoding */
};

struct sl_signatures { uint64_t signers; uint32_t n; const uint8_t *all[SL_COHORT_MAX]; };     /* bit i: roster member i; n = popcount(signers) */

struct sl_aggregate {
    const uint8_t *propose, *roster;         /* whole messages */
    size_t propose_size, roster_size;
    uint32_t n_lists;                        /* 3, or 4 with an audit */
    const uint8_t *lists[4];                 /* bodies of the LISTs */
    size_t list_sizes[4];
    struct sl_signatures confirms;           /* of CONFIRM bodies that name the last LIST */
    const uint8_t *result;                   /* body of the RESULT */
    size_t result_size;
    struct sl_signatures results;
};

enum { SL_EVIDENCE_MESSAGES_MAX = 3, SL_EVIDENCE_SECRETS_MAX = SL_COHORT_MAX };

struct sl_evidence {                         /* what it proves: cohort/evidence.h */
    uint32_t kind;                           /* 1 .. 15 */
    uint8_t sign_public[32];                 /* of the accused */
    uint32_t n_messages;                     /* 1 .. SL_EVIDENCE_MESSAGES_MAX whole messages, of the accused unless the kind says otherwise */
    const uint8_t *messages[SL_EVIDENCE_MESSAGES_MAX];
    size_t message_sizes[SL_EVIDENCE_MESSAGES_MAX];
    const uint8_t *roster;                   /* the ROSTER of the cohort, whole, or an empty bin */
    size_t roster_size;
    uint32_t n_secrets;                      /* at most SL_EVIDENCE_SECRETS_MAX */
    struct { uint32_t index; uint8_t secret[32]; } secrets[SL_EVIDENCE_SECRETS_MAX];
};

struct sl_pull { uint64_t epoch; uint8_t member[32]; };      /* also the body of NONE */

struct sl_need { uint32_t step; uint8_t from[32]; };          /* enum sl_session_step in cohort/session.h, and whose message is missing */

struct sl_get { uint8_t root[32]; uint32_t index; };          /* index < SL_CHUNKS_MAX */

struct sl_chunk {
    uint8_t root[32];
    uint32_t index;
    uint32_t n_path;                         /* <= SL_MERKLE_DEPTH_MAX */
    uint8_t path[SL_MERKLE_DEPTH_MAX][32];
    const uint8_t *data;
    size_t data_size;                        /* 1 .. 4 * SL_CHUNK_ELEMENTS */
};

#define SL_BODY(name) \
    int sl_read_##name(const struct sl_envelope *envelope, struct sl_##name *out); \
    void sl_write_##name(struct sl_writer *writer, const struct sl_##name *body);
SL_BODY(hello) SL_BODY(advert) SL_BODY(view_pull) SL_BODY(view_adverts) SL_BODY(propose) SL_BODY(join) SL_BODY(roster) SL_BODY(refuse)
SL_BODY(shares) SL_BODY(list) SL_BODY(commit) SL_BODY(open) SL_BODY(audit) SL_BODY(confirm) SL_BODY(unmask) SL_BODY(reveal) SL_BODY(result)
SL_BODY(aggregate) SL_BODY(evidence) SL_BODY(pull) SL_BODY(need) SL_BODY(get) SL_BODY(chunk)
#undef SL_BODY

/* `type` is SL_MESSAGE_PING or SL_MESSAGE_PONG. */
int sl_read_ping(const struct sl_envelope *envelope, enum sl_message_type type, struct sl_ping *out);
void sl_write_ping(struct sl_writer *writer, const struct sl_ping *body);

/* RELEASED has an empty body: an empty array. */
void sl_write_released(struct sl_writer *writer);
int sl_read_released(const struct sl_envelope *envelope);

/* The body of a LIST or RESULT that stands alone inside an AGGREGATE. */
int sl_read_list_body(const uint8_t *bytes, size_t size, struct sl_list *out);
int sl_read_result_body(const uint8_t *bytes, size_t size, struct sl_result *out);

#endif
