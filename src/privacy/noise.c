/* SPDX-License-Identifier: MIT */
#include <sodium.h>
#include <string.h>

#include "base/rng.h"
#include "privacy/discrete_gaussian.h"

enum { WORDS = sizeof((struct sl_noise *)NULL)->words / sizeof(uint64_t) };

/* Where the keystream stands: nothing drawn yet, so that the first word fills the buffer. */
static void begin(struct sl_noise *noise)
{
    noise->block = 0;
    noise->at = WORDS;
}

void sl_noise_init(struct sl_noise *noise, const uint8_t key[32])
{
    memset(noise, 0, sizeof *noise);
    memcpy(noise->key, key, sizeof noise->key);
    begin(noise);
}

void sl_noise_init_from(struct sl_noise *noise, void (*fill)(void *context, uint8_t *bytes, size_t size), void *context)
{
    memset(noise, 0, sizeof *noise);
    noise->fill = fill;
    noise->context = context;
    begin(noise);
}

/* Block b of the stream is ChaCha20 under nonce b: one key yields 2^64 blocks of 64 KiB, none twice. Words are little-endian everywhere. */
static void refill(struct sl_noise *noise)
{
    uint8_t *bytes = (uint8_t *)noise->words;
    if (noise->fill) {
        noise->fill(noise->context, bytes, sizeof noise->words);
    } else {
        uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
        for (size_t i = 0; i < sizeof nonce; i++) nonce[i] = (uint8_t)(noise->block >> (8 * i));
        crypto_stream_chacha20(bytes, sizeof noise->words, nonce, noise->key);
    }
    for (size_t i = 0; i < WORDS; i++) {
        const uint8_t *from = bytes + 8 * i;
        uint64_t word = 0;
        for (int k = 7; k >= 0; k--) word = word << 8 | from[k];
        noise->words[i] = word;
    }
    noise->block++;
    noise->at = 0;
}

uint64_t sl_noise_word(struct sl_noise *noise)
{
    if (noise->at >= WORDS) refill(noise);
    return noise->words[noise->at++];
}

void sl_noise_wipe(struct sl_noise *noise)
{
    sl_wipe(noise, sizeof *noise);
}
