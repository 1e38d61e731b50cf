/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <assert.h>
#include <string.h>

static void begin(struct sl_hash *hash, const char *label, const uint8_t *key, size_t key_size)
{
    size_t size = strlen(label);
    assert(size < 256);

    uint8_t length = (uint8_t)size;
    crypto_generichash_init(&hash->state, key, key_size, 32);
    crypto_generichash_update(&hash->state, &length, 1);
    crypto_generichash_update(&hash->state, (const uint8_t *)label, size);
}

void sl_hash_init(struct sl_hash *hash, const char *label)
{
    begin(hash, label, NULL, 0);
}

void sl_hash_keyed_init(struct sl_hash *hash, const char *label, const uint8_t key[32])
{
    begin(hash, label, key, 32);
}

void sl_hash_bytes(struct sl_hash *hash, const void *bytes, size_t size)
{
    crypto_generichash_update(&hash->state, bytes, size);
}

void sl_hash_u64(struct sl_hash *hash, uint64_t number)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(number >> (8 * i));
    crypto_generichash_update(&hash->state, bytes, sizeof bytes);
}

void sl_hash_final(struct sl_hash *hash, uint8_t out[32])
{
    crypto_generichash_final(&hash->state, out, 32);
}

void sl_hash_once(const char *label, const void *bytes, size_t size, uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, label);
    sl_hash_bytes(&hash, bytes, size);
    sl_hash_final(&hash, out);
}

uint64_t sl_hash_short(const uint8_t key[16], const void *bytes, size_t size)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t value;
    crypto_shorthash(out, bytes, size, key);
    memcpy(&value, out, sizeof value);
    return value;
}

bool sl_hash_equal(const uint8_t a[32], const uint8_t b[32])
{
    return memcmp(a, b, 32) == 0;
}

bool sl_hash_is_zero(const uint8_t a[32])
{
    return sodium_is_zero(a, 32);
}
