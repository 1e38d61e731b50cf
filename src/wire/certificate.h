/* SPDX-License-Identifier: MIT */
#ifndef SL_WIRE_CERTIFICATE_H
#define SL_WIRE_CERTIFICATE_H

#include <stddef.h>
#include <stdint.h>

#include "starling/config.h"
#include "starling/identity.h"

/*
 * Admission: msgpack array [invite key, issuer's signature, subject id, expiry (unix seconds), invite's signature].
 * The operator signs H("invite", network, invite key); the invite key signs H("admit", network, subject id, expiry).
 */

/* Issues one. operator_secret and invite_secret are Ed25519 secrets (64 bytes). Returns its size (<= SL_CERTIFICATE_MAX). */
size_t sl_certificate_issue(const uint8_t network_id[32], const uint8_t operator_secret[64], const uint8_t invite_secret[64],
                            const uint8_t subject[32], uint64_t expires_s, uint8_t out[SL_PEER_CERTIFICATE_MAX]);

/* Two signature checks. SL_ERROR_MALFORMED, SL_ERROR_BAD_CERTIFICATE (wrong subject, expired, or a signature fails). */
int sl_certificate_verify(const uint8_t *bytes, size_t size, const uint8_t network_id[32], const uint8_t operator_key[32],
                          const uint8_t subject[32], uint64_t now_s);

#endif
