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
 * nested arrays; texts are bins). sl_read_X() decodes envelope->body: SL_OK, or SL_ERROR_TRUNCATED, _MALFORMED, _TOO_LARGE, and then `out` is undefined.
 * Pointers lead into the message. sl_write_X() writes the body between sl_envelope_begin() and sl_envelope_seal().
 */

enum { SL_DOOR_SIZE = 48 };

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
    uint32_t ring_bits;                      /* 32 (16 comes later): the reader accepts both */
    uint8_t ref_root[32];                    /* Merkle root of the reference vector, int16 */
    int32_t ref_exponent;                    /* ref[j] = integer * 2^-exponent, -15 .. 30 */
    uint32_t radius_q;                       /* sharing radius in 1/65536, > 0 */
};

struct sl_join {
    uint8_t sign_public[32], transport_public[32];
    char address[SL_ADDRESS_MAX];            /* printable ASCII as in ADVERT; empty = cannot be dialled */
    uint8_t mask_public[32], box_public[32]; /* fresh X25519 keys */
    uint8_t nonce[32];
    const uint8_t *certificate;
    size_t certificate_size;
    uint32_t refused;                        /* bit i: refuses candidate i of the PROPOSE */
};

struct sl_roster {
    uint32_t n_joins;                        /* 1 .. SL_COHORT_MAX: whole JOIN messages, in roster order */
    struct { const uint8_t *bytes; size_t size; } joins[SL_COHORT_MAX];
};

struct sl_refuse { uint32_t reason; };       /* 0 .. 255; enum refusal in core/core.h */

struct sl_commit { uint8_t root[32]; };      /* Merkle root of the masked vector */

struct sl_list {
    uint32_t step;                           /* 0 .. 15 */
    uint8_t previous[32];                    /* body hash of the LIST before; the cohort id for the first */
    uint32_t n_hashes;                       /* 1 .. SL_COHORT_MAX, roster order */
    uint8_t hashes[SL_COHORT_MAX][32];
};

struct sl_open {
    uint8_t list_hash[32];                   /* body hash of the LIST of the commit step */
    uint8_t nonce[32];                       /* audit nonce */
};

struct sl_result {
    uint8_t chain[32];                       /* body hash of the LIST of the open step */
    uint64_t members;                        /* bit i: roster member i is in the sum */
    uint32_t bits;                           /* 8, 16 or 32 per coordinate of the canonical encoding */
    int32_t exponent;                        /* mean[j] = integer * 2^-exponent, -63 .. 63 */
    uint8_t root[32];                        /* Merkle root of the canonical encoding */
};

struct sl_aggregate {
    const uint8_t *propose, *roster;         /* whole messages */
    size_t propose_size, roster_size;
    const uint8_t *lists[2];                 /* bodies of the LISTs of commit and open */
    size_t list_sizes[2];
    const uint8_t *result;                   /* body of the RESULT */
    size_t result_size;
    uint64_t signers;                        /* bit i: roster member i signed the RESULT; signatures follow in that order */
    uint32_t n_signatures;                   /* popcount(signers): checked by the reader */
    const uint8_t *signatures[SL_COHORT_MAX];
};

struct sl_pull { uint64_t epoch; uint8_t member[32]; };      /* also the body of NONE */

struct sl_need { uint32_t step; uint8_t from[32]; };          /* enum step in core/core.h, and whose message is missing */

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
SL_BODY(commit) SL_BODY(list) SL_BODY(open) SL_BODY(result) SL_BODY(aggregate) SL_BODY(pull) SL_BODY(need) SL_BODY(get) SL_BODY(chunk)
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
