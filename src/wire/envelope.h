/* SPDX-License-Identifier: MIT */
#ifndef SL_WIRE_ENVELOPE_H
#define SL_WIRE_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "wire/reader.h"

/*
 * The outside of every message: msgpack array [version, type, network, epoch, cohort, from, body, signature].
 * The signature is Ed25519 over BLAKE2b-256 (label "message") of all bytes before the signature element, that is from the array header to the
 * end of the body; unsigned types carry an empty bin. `cohort` is zero in PROPOSE and outside cohorts, H(PROPOSE) in JOIN, ROSTER and
 * RELEASED, the cohort id afterwards. Everything is checked before the body is decoded.
 */
enum { SL_PROTOCOL_VERSION = 2 };

enum sl_message_type {
#define X(name, number, is_signed, size_max, help) SL_MESSAGE_##name = number,
#include "wire/messages.def"
#undef X
};

struct sl_envelope {
    enum sl_message_type type;
    uint64_t epoch;
    const uint8_t *cohort;           /* 32 bytes; pointers lead into the message */
    const uint8_t *from;             /* 32 bytes: the sender's id */
    const uint8_t *body;
    size_t body_size;
    const uint8_t *signature;        /* 64 bytes; NULL for unsigned types */
    const uint8_t *bytes;            /* the whole message */
    size_t size, signed_size;        /* signed_size: bytes before the signature element */
};

/* "PROPOSE", or NULL. */
const char *sl_message_name(uint32_t type);
bool sl_message_is_signed(uint32_t type);        /* false for an unknown one */

/* Takes the outside apart. SL_ERROR_TRUNCATED, _MALFORMED (also an unknown type, or bytes left over), _TOO_LARGE (over the type's size_max),
 * _BAD_VERSION, _WRONG_NETWORK. The signature is not verified. */
int sl_envelope_open(const uint8_t *bytes, size_t size, const uint8_t network_id[32], struct sl_envelope *out);

bool sl_envelope_verify(const struct sl_envelope *envelope, const uint8_t sign_public[32]);

/* What a signature signs: for a signer who wants the signature of one message without its bytes (AGGREGATE carries one RESULT body and many signatures). */
void sl_envelope_digest(enum sl_message_type type, const uint8_t network_id[32], uint64_t epoch, const uint8_t cohort[32],
                        const uint8_t from[32], const uint8_t *body, size_t body_size, uint8_t out[32]);
bool sl_digest_verify(const uint8_t digest[32], const uint8_t signature[64], const uint8_t sign_public[32]);

/* Begins a message; the caller then writes exactly one msgpack value, the body, and calls sl_envelope_seal(). */
struct sl_writer sl_envelope_begin(enum sl_message_type type, const uint8_t network_id[32], uint64_t epoch, const uint8_t cohort[32],
                                   const uint8_t from[32], uint8_t *bytes, size_t size_max);

/* Signs (signed types; sign_secret may be NULL for unsigned ones) and returns the size of the whole message, 0 if it did not fit. */
size_t sl_envelope_seal(struct sl_writer *writer, enum sl_message_type type, const uint8_t sign_secret[64]);

/* BLAKE2b of a body, label "body": what LISTs hold. */
void sl_body_hash(const uint8_t *body, size_t body_size, uint8_t out[32]);

/* H(PROPOSE), the `cohort` of JOIN, ROSTER and RELEASED: BLAKE2b("propose", initiator's id || body). The id is in it because anybody can say another's body
 * again in his own name: JOINs for both would be two stories of one who told the truth twice. */
void sl_propose_hash(const struct sl_envelope *propose, uint8_t out[32]);

#endif
