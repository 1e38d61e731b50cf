/* SPDX-License-Identifier: MIT */
#ifndef SL_WIRE_CERTIFICATE_H
#define SL_WIRE_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "starling/config.h"
#include "starling/identity.h"

/*
 * Admission. In an invite or private network the operator, or a member it admitted, signs an invite key; whoever holds the invite's secret admits its own
 * identity with it. The chain is operator -> invite -> member -> invite -> guest at most: a guest invites nobody. Certificate, a msgpack array:
 *   [invite key, flags, slot, issuer's signature, subject id, expiry (unix seconds), invite's signature, host]
 * issuer's signature over H("invite", network, invite key, flags, slot, expiry), invite's signature over H("admit", network, subject, expiry). `host` is an
 * empty bin when the operator issued the invite, else an array [sign_public, certificate] of the member, whose own host must be empty. A member's invite is
 * for a single use, and its slot is below SL_INVITES_PER_MEMBER.
 *
 * In an open network the certificate is [nonce (uint64)]: H("puzzle", network, subject, nonce) begins with puzzle_bits zero bits.
 */
enum { SL_INVITES_PER_MEMBER = 3, SL_INVITE_SINGLE_USE = 1 };

enum sl_admission_mode { SL_ADMISSION_INVITE, SL_ADMISSION_PRIVATE, SL_ADMISSION_OPEN };

/* What a certificate is checked against. */
struct sl_admission {
    enum sl_admission_mode mode;
    uint32_t puzzle_bits;
    const uint8_t *network_id, *operator_key;        /* 32 bytes each */
};

struct sl_admission sl_admission_of(const struct sl_config *config);

/* An invite before anybody took it: what an invite file hands over. */
struct sl_invite {
    uint8_t secret[64];                              /* Ed25519, of the invite key */
    uint32_t flags, slot;
    uint64_t expires_s;                              /* who joins by it is a member until then */
    uint8_t issuer_signature[64];
    bool has_host;
    uint8_t host_sign_public[32];
    uint8_t host_certificate[SL_CERTIFICATE_MAX];
    uint32_t host_certificate_size;
};

/* By the operator (host NULL), or by a member with its certificate. invite_seed: 32 fresh random bytes. */
void sl_invite_issue(const uint8_t network_id[32], const uint8_t issuer_secret[64], const struct sl_identity *host, const uint8_t invite_seed[32],
                     uint32_t flags, uint32_t slot, uint64_t expires_s, struct sl_invite *out);

/* The subject admits itself. Returns the certificate's size (<= SL_CERTIFICATE_MAX), 0 when the invite's host is a guest itself: its certificate leaves no
 * room. Whoever has the invite from a file verifies what this made before using it. */
size_t sl_certificate_issue(const uint8_t network_id[32], const struct sl_invite *invite, const uint8_t subject[32], uint8_t out[SL_PEER_CERTIFICATE_MAX]);

/* Tries nonces from `from` on, at most `n_tries`. Returns the certificate's size, or 0 when none of them solves it. */
size_t sl_puzzle_solve(const uint8_t network_id[32], uint32_t puzzle_bits, const uint8_t subject[32], uint64_t from, uint64_t n_tries,
                       uint8_t out[SL_PEER_CERTIFICATE_MAX]);

/* What a valid certificate says. */
struct sl_certificate {
    uint8_t invite_key[32];                          /* zeros in an open network */
    uint32_t flags, slot;
    uint64_t expires_s;                              /* UINT64_MAX in an open network */
    bool has_host;                                   /* the rest is of the host's own certificate, zeros without one */
    uint8_t host_id[32], host_invite_key[32];
    uint32_t host_flags;
    uint64_t host_expires_s;
};

/* Two signature checks, four for a guest's. SL_ERROR_MALFORMED, SL_ERROR_BAD_CERTIFICATE (wrong subject, expired, a signature, slot or chain that does not
 * hold); *n_checks counts the signatures looked at. */
int sl_certificate_verify(const uint8_t *bytes, size_t size, const struct sl_admission *admission, const uint8_t subject[32], uint64_t now_s,
                          struct sl_certificate *out, uint32_t *n_checks);

/* The outer door of a private network: keyed BLAKE2b(secret, sender's and receiver's transport keys, nonce, time / 30 s), whoever of them dialled. It opens in
 * the 30 s of its making and those next to them. */
void sl_door_make(const uint8_t network_secret[32], const uint8_t from_transport[32], const uint8_t to_transport[32], uint64_t time_us,
                  const uint8_t nonce[16], uint8_t out[48]);
bool sl_door_verify(const uint8_t network_secret[32], const uint8_t from_transport[32], const uint8_t to_transport[32], uint64_t time_us,
                    const uint8_t door[48]);

#endif
