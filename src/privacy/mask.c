/* SPDX-License-Identifier: MIT */
#include "privacy/mask.h"

#include <assert.h>
#include <sodium.h>
#include <stddef.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "starling/error.h"

enum {
    STREAM_BYTES = 4096,                 /* of the generator at a time: fits the nearest cache, and is many of ChaCha20's blocks of 64 bytes */
    BLOCK = 64,                          /* elements added at a time; every stretch but the last is a multiple */
    LIBRARY_STACK = 4096,                /* more than libsodium's functions take of the stack, where they leave copies of keys */
    SHARES_BYTES = 64, BOX_BYTES = SHARES_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES
};

static_assert(BOX_BYTES == 80, "a box holds two shares and a tag");

/* The two keys of a session as its client sees them, whichever end we are. */
struct session {
    uint8_t rx[crypto_kx_SESSIONKEYBYTES], tx[crypto_kx_SESSIONKEYBYTES];
};

bool sl_mask_key_is_sound(const uint8_t public_key[32])
{
    static const uint8_t scalar[crypto_scalarmult_SCALARBYTES] = {8};    /* any: all are multiples of the cofactor */
    uint8_t shared[crypto_scalarmult_BYTES];
    return crypto_scalarmult(shared, scalar, public_key) == 0;
}

static bool is_client(const struct sl_mask_context *context)
{
    assert(context->own_index != context->peer_index);

    return context->own_index < context->peer_index;
}

static int agree(const struct sl_mask_context *context, const uint8_t own_public[32], const uint8_t own_secret[32], const uint8_t peer_public[32],
                 struct session *out)
{
    int failed = is_client(context) ? crypto_kx_client_session_keys(out->rx, out->tx, own_public, own_secret, peer_public)
                                    : crypto_kx_server_session_keys(out->tx, out->rx, own_public, own_secret, peer_public);
    return failed ? SL_ERROR_BAD_ARGUMENT : SL_OK;
}

/* Both ends name the two ids in the same order. */
static void bind_to_context(const char *label, const struct session *session, const struct sl_mask_context *context,
                            const uint8_t first_id[32], const uint8_t second_id[32], uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, label);
    sl_hash_bytes(&hash, session->rx, sizeof session->rx);
    sl_hash_bytes(&hash, session->tx, sizeof session->tx);
    sl_hash_bytes(&hash, context->network_id, 32);
    sl_hash_u64(&hash, context->epoch);
    sl_hash_bytes(&hash, context->cohort_id, 32);
    sl_hash_bytes(&hash, first_id, 32);
    sl_hash_bytes(&hash, second_id, 32);
    sl_hash_final(&hash, out);
    sl_wipe(&hash, sizeof hash);
}

static uint32_t from_little_endian(uint32_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return word << 24 | (word & 0xff00) << 8 | (word >> 8 & 0xff00) | word >> 24;
#else
    return word;
#endif
}

static uint16_t half_from_little_endian(uint16_t half)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (uint16_t)(half << 8 | half >> 8);
#else
    return half;
#endif
}

/* Zeros go through the cipher, so the buffer need not be cleared before. */
static void stream_at(const uint8_t key[32], uint64_t offset, void *out, size_t size)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES], zeros[STREAM_BYTES];
    crypto_stream_chacha20_xor_ic(out, zeros, size, nonce, offset / 64, key);
}

static uint32_t add_word(uint32_t element, uint32_t word, uint32_t flip)
{
    return element + (from_little_endian(word) ^ flip) - flip;
}

static uint32_t add_half(uint32_t element, uint16_t half, uint32_t flip)
{
    return (element + (half_from_little_endian(half) ^ flip) - flip) & 0xffff;
}

/*
 * flip is 0 to add and all ones to subtract: (x ^ -1) + 1 is -x, without a branch and cheaper than a product. Blocks have a length the compiler knows, so it
 * makes vector code of them at every level of optimisation.
 */
static void add_words(uint32_t flip, const uint32_t *restrict stream, uint32_t *restrict ring, uint32_t n)
{
    for (; n >= BLOCK; n -= BLOCK, ring += BLOCK, stream += BLOCK)
        for (int i = 0; i < BLOCK; i++) ring[i] = add_word(ring[i], stream[i], flip);
    for (uint32_t i = 0; i < n; i++) ring[i] = add_word(ring[i], stream[i], flip);
}

static void add_halves(uint32_t flip, const uint16_t *restrict stream, uint32_t *restrict ring, uint32_t n)
{
    for (; n >= BLOCK; n -= BLOCK, ring += BLOCK, stream += BLOCK)
        for (int i = 0; i < BLOCK; i++) ring[i] = add_half(ring[i], stream[i], flip);
    for (uint32_t i = 0; i < n; i++) ring[i] = add_half(ring[i], stream[i], flip);
}

void sl_mask_keypair(const uint8_t seed[32], uint8_t public_key[32], uint8_t secret_key[32])
{
    crypto_kx_seed_keypair(public_key, secret_key, seed);
    sodium_stackzero(LIBRARY_STACK);
}

void sl_mask_public(const uint8_t secret_key[32], uint8_t public_key[32])
{
    crypto_scalarmult_base(public_key, secret_key);
    sodium_stackzero(LIBRARY_STACK);
}

int sl_mask_pair_seed(const struct sl_mask_context *context, const uint8_t own_public[32], const uint8_t own_secret[32],
                      const uint8_t peer_public[32], uint8_t out[32])
{
    struct session session;
    int error = agree(context, own_public, own_secret, peer_public, &session);
    if (!error) {
        bool own_first = is_client(context);
        bind_to_context("mask seed", &session, context, own_first ? context->own_id : context->peer_id,
                        own_first ? context->peer_id : context->own_id, out);
    }
    sl_wipe(&session, sizeof session);
    sodium_stackzero(LIBRARY_STACK);
    return error;
}

int sl_mask_box_keys(const struct sl_mask_context *context, const uint8_t own_public[32], const uint8_t own_secret[32],
                     const uint8_t peer_public[32], struct sl_box_keys *out)
{
    struct session session;
    int error = agree(context, own_public, own_secret, peer_public, &session);
    if (!error) {
        bind_to_context("box key", &session, context, context->own_id, context->peer_id, out->to_peer);
        bind_to_context("box key", &session, context, context->peer_id, context->own_id, out->from_peer);
    }
    sl_wipe(&session, sizeof session);
    sodium_stackzero(LIBRARY_STACK);
    return error;
}

void sl_mask_hash(enum sl_mask_secret what, const uint8_t cohort_id[32], const uint8_t secret[32], uint8_t out[32])
{
    static const char *const labels[] = {
        [SL_SECRET_PAIR_SEED] = "mask tag", [SL_SECRET_BOX_KEY] = "box tag", [SL_SECRET_SELF_SEED] = "self seed", [SL_SECRET_AUDIT_NONCE] = "audit nonce",
    };
    struct sl_hash hash;
    sl_hash_init(&hash, labels[what]);
    sl_hash_bytes(&hash, cohort_id, 32);
    sl_hash_bytes(&hash, secret, 32);
    sl_hash_final(&hash, out);
    sl_wipe(&hash, sizeof hash);
    sodium_stackzero(LIBRARY_STACK);
}

void sl_mask_share_hash(bool is_mask_share, const uint8_t cohort_id[32], uint32_t dealer, uint32_t receiver, const uint8_t share[32], uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, is_mask_share ? "mask share" : "self share");
    sl_hash_bytes(&hash, cohort_id, 32);
    sl_hash_u64(&hash, dealer);
    sl_hash_u64(&hash, receiver);
    sl_hash_bytes(&hash, share, 32);
    sl_hash_final(&hash, out);
    sl_wipe(&hash, sizeof hash);
    sodium_stackzero(LIBRARY_STACK);
}

void sl_mask_seal(const uint8_t key[32], const uint8_t cohort_id[32], const uint8_t self_share[32], const uint8_t mask_share[32], uint8_t *box)
{
    static const uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];
    uint8_t shares[SHARES_BYTES];
    memcpy(shares, self_share, 32);
    memcpy(shares + 32, mask_share, 32);
    crypto_aead_xchacha20poly1305_ietf_encrypt(box, NULL, shares, sizeof shares, cohort_id, 32, NULL, nonce, key);
    sl_wipe(shares, sizeof shares);
    sodium_stackzero(LIBRARY_STACK);
}

int sl_mask_unseal(const uint8_t key[32], const uint8_t cohort_id[32], const uint8_t *box, uint8_t self_share[32], uint8_t mask_share[32])
{
    static const uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];
    uint8_t shares[SHARES_BYTES];
    int failed = crypto_aead_xchacha20poly1305_ietf_decrypt(shares, NULL, NULL, box, BOX_BYTES, cohort_id, 32, nonce, key);
    if (!failed) {
        memcpy(self_share, shares, 32);
        memcpy(mask_share, shares + 32, 32);
    }
    sl_wipe(shares, sizeof shares);
    sodium_stackzero(LIBRARY_STACK);
    return failed ? SL_ERROR_BAD_SIGNATURE : SL_OK;
}

void sl_mask_audit_key(const uint8_t list_hash[32], uint8_t out[32])
{
    sl_hash_once("audit", list_hash, 32, out);
}

void sl_mask_add(const uint8_t seed[32], int sign, uint32_t ring_bits, uint32_t start, uint32_t *ring, uint32_t n)
{
    assert(sign == 1 || sign == -1);
    assert(ring_bits == 16 || ring_bits == 32);
    assert(start % 64 == 0);

    union { uint32_t words[STREAM_BYTES / 4]; uint16_t halves[STREAM_BYTES / 2]; } stream;
    const uint32_t size = ring_bits / 8, at_once = STREAM_BYTES / size, flip = sign == 1 ? 0 : UINT32_MAX;
    uint64_t offset = (uint64_t)start * size;
    while (n > 0) {
        uint32_t now = n < at_once ? n : at_once;
        stream_at(seed, offset, &stream, (size_t)now * size);
        if (ring_bits == 32) add_words(flip, stream.words, ring, now);
        else add_halves(flip, stream.halves, ring, now);
        offset += STREAM_BYTES;
        ring += now;
        n -= now;
    }
    sl_wipe(&stream, sizeof stream);
    sodium_stackzero(LIBRARY_STACK);
}
