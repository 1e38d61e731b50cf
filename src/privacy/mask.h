/* SPDX-License-Identifier: MIT */
#ifndef SL_PRIVACY_MASK_H
#define SL_PRIVACY_MASK_H

#include <stdint.h>

/*
 * Pairwise masks (Bonawitz et al., 2017): both ends of a pair derive the same 256-bit seed, one adds its stream, the other subtracts it.
 */
struct sl_mask_context {
    const uint8_t *network_id, *cohort_id;       /* 32 bytes each */
    uint64_t epoch;
    const uint8_t *own_id, *peer_id;             /* 32 bytes each */
    uint32_t own_index, peer_index;              /* places in the roster; the lower one is the client of crypto_kx */
};

/* A fresh X25519 key pair (crypto_kx) from 32 bytes of the node's randomness. */
void sl_mask_keypair(const uint8_t seed[32], uint8_t public_key[32], uint8_t secret_key[32]);

/* s_ij = BLAKE2b("mask seed", rx || tx of the client, network, epoch, cohort, client's id, server's id). The same at both ends.
 * SL_ERROR_BAD_ARGUMENT if the peer's key is of low order. */
int sl_mask_pair_seed(const struct sl_mask_context *context, const uint8_t own_public[32], const uint8_t own_secret[32],
                      const uint8_t peer_public[32], uint8_t out[32]);

/* ring[j] += sign * PRG(seed)[j] mod 2^32, PRG = ChaCha20 from block 0, little endian words; sign is +1 or -1. */
void sl_mask_add(const uint8_t seed[32], int sign, uint32_t *ring, uint32_t dim);

#endif
