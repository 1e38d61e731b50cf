/* SPDX-License-Identifier: MIT */
#include "base/rng.h"

#include <assert.h>
#include <math.h>
#include <sodium.h>
#include <string.h>

#include "base/hash.h"

void sl_stream_at(const uint8_t key[32], uint64_t offset, void *out, size_t size)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    assert(offset % 64 == 0);

    memset(out, 0, size);
    crypto_stream_chacha20_xor_ic(out, out, size, nonce, offset / 64, key);
}

void sl_stream(const uint8_t key[32], void *out, size_t size)
{
    sl_stream_at(key, 0, out, size);
}

void sl_rng_init(struct sl_rng *rng, const uint8_t seed[32])
{
    memset(rng, 0, sizeof *rng);
    memcpy(rng->key, seed, sizeof rng->key);
    rng->used = sizeof rng->buffer;
}

struct sl_rng sl_rng_fork(const struct sl_rng *parent, const char *label, uint64_t number)
{
    struct sl_hash hash;
    uint8_t seed[32];
    sl_hash_keyed_init(&hash, label, parent->key);
    sl_hash_u64(&hash, number);
    sl_hash_final(&hash, seed);

    struct sl_rng child;
    sl_rng_init(&child, seed);
    sodium_memzero(seed, sizeof seed);
    return child;
}

void sl_rng_bytes(struct sl_rng *rng, void *out, size_t size)
{
    uint8_t *to = out;
    while (size > 0) {
        if (rng->used == sizeof rng->buffer) {
            sl_stream(rng->key, rng->buffer, sizeof rng->buffer);
            memcpy(rng->key, rng->buffer, sizeof rng->key);
            memset(rng->buffer, 0, sizeof rng->key);
            rng->used = sizeof rng->key;
        }
        size_t left = sizeof rng->buffer - rng->used, n = size < left ? size : left;
        memcpy(to, rng->buffer + rng->used, n);
        memset(rng->buffer + rng->used, 0, n);
        rng->used += (uint32_t)n;
        to += n;
        size -= n;
    }
}

uint32_t sl_rng_u32(struct sl_rng *rng)
{
    uint8_t b[4];
    sl_rng_bytes(rng, b, sizeof b);
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint64_t sl_rng_u64(struct sl_rng *rng)
{
    uint64_t low = sl_rng_u32(rng);
    return low | (uint64_t)sl_rng_u32(rng) << 32;
}

/* Lemire's multiplication with rejection. */
uint32_t sl_rng_below(struct sl_rng *rng, uint32_t n)
{
    assert(n > 0);

    uint32_t threshold = -n % n;
    for (;;) {
        uint64_t product = (uint64_t)sl_rng_u32(rng) * n;
        if ((uint32_t)product >= threshold) return (uint32_t)(product >> 32);
    }
}

double sl_rng_uniform(struct sl_rng *rng)
{
    return (double)(sl_rng_u64(rng) >> 11) * 0x1p-53;
}

double sl_rng_normal(struct sl_rng *rng)
{
    for (;;) {
        double u = 2 * sl_rng_uniform(rng) - 1, v = 2 * sl_rng_uniform(rng) - 1, s = u * u + v * v;
        if (s > 0 && s < 1) return u * sqrt(-2 * log(s) / s);
    }
}

void sl_rng_shuffle(struct sl_rng *rng, uint32_t *items, uint32_t n_items)
{
    for (uint32_t i = n_items; i > 1; i--) {
        uint32_t j = sl_rng_below(rng, i), t = items[i - 1];
        items[i - 1] = items[j];
        items[j] = t;
    }
}

void sl_wipe(void *secret, size_t size)
{
    sodium_memzero(secret, size);
}
