/* SPDX-License-Identifier: MIT */
#include "privacy/mask.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"
#include "base/rng.h"
#include "starling/error.h"

enum { STREAM_BYTES = 4096, STREAM_WORDS = STREAM_BYTES / 4 };      /* a multiple of ChaCha20's 64-byte block */

/* The two keys of a session as its client sees them, whichever end we are. */
struct session {
    uint8_t rx[crypto_kx_SESSIONKEYBYTES], tx[crypto_kx_SESSIONKEYBYTES];
};

static bool agree(bool is_client, const uint8_t own_public[32], const uint8_t own_secret[32], const uint8_t peer_public[32],
                  struct session *out)
{
    if (is_client) return crypto_kx_client_session_keys(out->rx, out->tx, own_public, own_secret, peer_public) == 0;

    return crypto_kx_server_session_keys(out->tx, out->rx, own_public, own_secret, peer_public) == 0;
}

static void bind_to_context(const struct session *session, const struct sl_mask_context *context, bool is_client, uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, "mask seed");
    sl_hash_bytes(&hash, session->rx, sizeof session->rx);
    sl_hash_bytes(&hash, session->tx, sizeof session->tx);
    sl_hash_bytes(&hash, context->network_id, 32);
    sl_hash_u64(&hash, context->epoch);
    sl_hash_bytes(&hash, context->cohort_id, 32);
    sl_hash_bytes(&hash, is_client ? context->own_id : context->peer_id, 32);
    sl_hash_bytes(&hash, is_client ? context->peer_id : context->own_id, 32);
    sl_hash_final(&hash, out);
    sodium_memzero(&hash, sizeof hash);
}

static uint32_t little_endian(const uint8_t b[4])
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

void sl_mask_keypair(const uint8_t seed[32], uint8_t public_key[32], uint8_t secret_key[32])
{
    crypto_kx_seed_keypair(public_key, secret_key, seed);
}

int sl_mask_pair_seed(const struct sl_mask_context *context, const uint8_t own_public[32], const uint8_t own_secret[32],
                      const uint8_t peer_public[32], uint8_t out[32])
{
    assert(context->own_index != context->peer_index);

    bool is_client = context->own_index < context->peer_index;
    struct session session;
    int error = SL_ERROR_BAD_ARGUMENT;
    if (agree(is_client, own_public, own_secret, peer_public, &session)) {
        bind_to_context(&session, context, is_client, out);
        error = SL_OK;
    }
    sodium_memzero(&session, sizeof session);
    return error;
}

void sl_mask_add(const uint8_t seed[32], int sign, uint32_t *ring, uint32_t dim)
{
    assert(sign == 1 || sign == -1);

    uint8_t stream[STREAM_BYTES];
    const uint32_t factor = sign == 1 ? 1 : UINT32_MAX;             /* -1 modulo 2^32 */
    for (uint32_t start = 0; start < dim; start += STREAM_WORDS) {
        uint32_t left = dim - start, n = left < STREAM_WORDS ? left : STREAM_WORDS;
        sl_stream_at(seed, (uint64_t)start * 4, stream, (size_t)n * 4);
        for (uint32_t j = 0; j < n; j++) ring[start + j] += factor * little_endian(stream + 4 * (size_t)j);
        if (left <= STREAM_WORDS) break;                            /* keeps `start` from wrapping near 2^32 */
    }
    sodium_memzero(stream, sizeof stream);
}
