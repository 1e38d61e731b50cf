/* SPDX-License-Identifier: MIT */
#ifndef STARLING_IDENTITY_H
#define STARLING_IDENTITY_H

#include <stdint.h>

#include "starling/config.h"

/*
 * How an embedder makes identities for a closed network. The operator is any Ed25519 key pair: its public half goes into
 * sl_config.operator_key of every node, its secret half (64 bytes) admits members and then stays away from the nodes.
 */

/* id = BLAKE2b("id", network id, sign_public). */
void sl_identity_id(const uint8_t network_id[32], const uint8_t sign_public[32], uint8_t out[32]);

/* A complete identity from one 32-byte seed: the signing and transport key pairs (labels "sign", "transport"), the id and a certificate made with a
 * fresh invite key (label "invite"). The seed is a secret; `address` has at most SL_PEER_ADDRESS_MAX - 1 bytes; transport_secret goes to the driver. */
void sl_identity_from_seed(const uint8_t seed[32], const uint8_t network_id[32], const uint8_t operator_secret[64], const char *address,
                           uint64_t expires_s, struct sl_identity *out, uint8_t transport_secret[32]);

#endif
