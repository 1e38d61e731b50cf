/* SPDX-License-Identifier: MIT */
#ifndef SL_BASE_HASH_H
#define SL_BASE_HASH_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * BLAKE2b-256 (RFC 7693) with a label for domain separation: the input begins with the label's length (one byte) and
 * the label. Variable-length fields must be preceded by their length by the caller.
 */
struct sl_hash {
    crypto_generichash_state state;
};

void sl_hash_init(struct sl_hash *hash, const char *label);
void sl_hash_keyed_init(struct sl_hash *hash, const char *label, const uint8_t key[32]);
void sl_hash_bytes(struct sl_hash *hash, const void *bytes, size_t size);
void sl_hash_u64(struct sl_hash *hash, uint64_t number);     /* eight bytes, little endian */
void sl_hash_final(struct sl_hash *hash, uint8_t out[32]);

void sl_hash_once(const char *label, const void *bytes, size_t size, uint8_t out[32]);

/* SipHash-2-4: short and fast, for tables whose places nobody may foresee who does not have the key. */
uint64_t sl_hash_short(const uint8_t key[16], const void *bytes, size_t size);

/* Not for secrets. */
bool sl_hash_equal(const uint8_t a[32], const uint8_t b[32]);
bool sl_hash_is_zero(const uint8_t a[32]);

#endif
