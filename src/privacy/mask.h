/* SPDX-License-Identifier: MIT */
#ifndef SL_PRIVACY_MASK_H
#define SL_PRIVACY_MASK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The key schedule of a cohort and the masks it leads to (Bonawitz et al., 2017, with two key pairs a member).
 *
 *     mask keys (JOIN) -- X25519 --> s_ij, the pair seed ---- PRG ---> pairwise masks: one end adds, the other subtracts
 *     box keys (JOIN)  -- X25519 --> e_ij, e_ji, box keys --> shares of b_i and of the mask secret, encrypted, one key per direction
 *     b_i, drawn ---------------------------------------- PRG ---> self mask
 *
 * Every derivation is BLAKE2b-256 with a label of its own over the context. All 256 bits of a seed go into its generator, and each key is used once.
 */
struct sl_mask_context {
    const uint8_t *network_id, *cohort_id;       /* 32 bytes each */
    uint64_t epoch;
    const uint8_t *own_id, *peer_id;             /* 32 bytes each */
    uint32_t own_index, peer_index;              /* places in the roster; the lower one is the client of crypto_kx */
};

/* A fresh X25519 key pair (crypto_kx) from 32 bytes of the node's randomness: for mask keys and box keys alike. */
void sl_mask_keypair(const uint8_t seed[32], uint8_t public_key[32], uint8_t secret_key[32]);
void sl_mask_public(const uint8_t secret_key[32], uint8_t public_key[32]);           /* the public half of a secret that was revealed */

/* Not of low order: such a key agrees on nothing with anybody. No secret goes in. */
bool sl_mask_key_is_sound(const uint8_t public_key[32]);

/* s_ij = BLAKE2b("mask seed", rx || tx of the client, network, epoch, cohort, client's id, server's id). The same at both ends.
 * SL_ERROR_BAD_ARGUMENT if the peer's key is of low order. */
int sl_mask_pair_seed(const struct sl_mask_context *context, const uint8_t own_public[32], const uint8_t own_secret[32],
                      const uint8_t peer_public[32], uint8_t out[32]);

/* e_ij and e_ji: BLAKE2b("box key", rx || tx of the client, network, epoch, cohort, sender's id, receiver's id) from the box keys. What one end names
 * to_peer the other names from_peer. SL_ERROR_BAD_ARGUMENT as above. */
struct sl_box_keys { uint8_t to_peer[32], from_peer[32]; };
int sl_mask_box_keys(const struct sl_mask_context *context, const uint8_t own_public[32], const uint8_t own_secret[32],
                     const uint8_t peer_public[32], struct sl_box_keys *out);

/* What a SHARES says in public about secrets: BLAKE2b(label, cohort id, secret), labels "mask tag", "box tag", "self seed", "audit nonce". */
enum sl_mask_secret { SL_SECRET_PAIR_SEED, SL_SECRET_BOX_KEY, SL_SECRET_SELF_SEED, SL_SECRET_AUDIT_NONCE };
void sl_mask_hash(enum sl_mask_secret what, const uint8_t cohort_id[32], const uint8_t secret[32], uint8_t out[32]);

/* Of a share: BLAKE2b("self share" or "mask share", cohort id, dealer, receiver (8 bytes each, roster places), share). */
void sl_mask_share_hash(bool is_mask_share, const uint8_t cohort_id[32], uint32_t dealer, uint32_t receiver, const uint8_t share[32], uint8_t out[32]);

/* XChaCha20-Poly1305 of a member's two shares under a box key, nonce zero (the key is used once), additional data the cohort id. box: 80 bytes. */
void sl_mask_seal(const uint8_t key[32], const uint8_t cohort_id[32], const uint8_t self_share[32], const uint8_t mask_share[32], uint8_t *box);
/* SL_ERROR_BAD_SIGNATURE, and nothing is written, if the box was not sealed so. */
int sl_mask_unseal(const uint8_t key[32], const uint8_t cohort_id[32], const uint8_t *box, uint8_t self_share[32], uint8_t mask_share[32]);

/* Key of the audit's matrix: BLAKE2b("audit", hash of the LIST of OPENs). */
void sl_mask_audit_key(const uint8_t list_hash[32], uint8_t out[32]);

/* ring[j] += sign * PRG(seed)[j] modulo 2^ring_bits for j = start .. start + n - 1 (ring points at element `start`, a multiple of 64); PRG = ChaCha20 from
 * block 0, little endian words of 32 or 16 bits; sign is +1 or -1. Elements of a ring of 16 bits stand in the low half, the high half is zero. */
void sl_mask_add(const uint8_t seed[32], int sign, uint32_t ring_bits, uint32_t start, uint32_t *ring, uint32_t n);

#endif
