/* SPDX-License-Identifier: MIT */
#ifndef SL_BASE_RNG_H
#define SL_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/*
 * The only randomness: ChaCha20 (RFC 8439 block function, libsodium) with fast key erasure (Bernstein, 2017): each buffer is the stream of the current
 * key, its first 32 bytes are the next key, and bytes given out are zeroed. Who reads the generator's memory learns nothing of what it gave before.
 * Every module forks its own stream by label, so a new draw in one never shifts another. A seed is 32 whole bytes and is used for one stream only.
 */
struct sl_rng {
    uint8_t key[32];
    uint32_t used;           /* bytes of `buffer` given out */
    uint8_t buffer[256];
};

void sl_rng_init(struct sl_rng *rng, const uint8_t seed[32]);

/* A stream of its own, from the parent's current key, a label and a number; the parent does not advance. Fork before drawing. */
struct sl_rng sl_rng_fork(const struct sl_rng *parent, const char *label, uint64_t number);

void sl_rng_bytes(struct sl_rng *rng, void *out, size_t size);
uint32_t sl_rng_u32(struct sl_rng *rng);
uint64_t sl_rng_u64(struct sl_rng *rng);
uint32_t sl_rng_below(struct sl_rng *rng, uint32_t n);       /* uniform in 0 .. n-1, unbiased; n > 0 */
double sl_rng_uniform(struct sl_rng *rng);                   /* uniform in [0, 1), 53 bits */
double sl_rng_normal(struct sl_rng *rng);                    /* standard normal (polar method); not for privacy noise */
void sl_rng_shuffle(struct sl_rng *rng, uint32_t *items, uint32_t n_items);      /* Fisher-Yates */

/* size bytes of the whole ChaCha20 stream of a 32-byte key from its start: masks, permutations, sketches. */
void sl_stream(const uint8_t key[32], void *out, size_t size);

/* The same stream from a byte offset that is a multiple of 64. */
void sl_stream_at(const uint8_t key[32], uint64_t offset, void *out, size_t size);

/* Overwrites a secret in a way the compiler cannot leave out. */
void sl_wipe(void *secret, size_t size);

#endif
