/* SPDX-License-Identifier: MIT */
#include "wire/certificate.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/hash.h"
#include "wire/envelope.h"
#include "wire/reader.h"

_Static_assert((int)SL_PEER_CERTIFICATE_MAX == (int)SL_CERTIFICATE_MAX, "the public and the private limit are one");
_Static_assert((int)SL_PEER_ADDRESS_MAX == (int)SL_ADDRESS_MAX, "the public and the private limit are one");

/* What the operator signs: this invite key may admit to this network. */
static void invite_digest(const uint8_t network_id[32], const uint8_t invite_key[32], uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, "invite");
    sl_hash_bytes(&hash, network_id, 32);
    sl_hash_bytes(&hash, invite_key, 32);
    sl_hash_final(&hash, out);
}

/* What the invite key signs: this identity is admitted until then. */
static void admit_digest(const uint8_t network_id[32], const uint8_t subject[32], uint64_t expires_s, uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, "admit");
    sl_hash_bytes(&hash, network_id, 32);
    sl_hash_bytes(&hash, subject, 32);
    sl_hash_u64(&hash, expires_s);
    sl_hash_final(&hash, out);
}

void sl_identity_id(const uint8_t network_id[32], const uint8_t sign_public[32], uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, "id");
    sl_hash_bytes(&hash, network_id, 32);
    sl_hash_bytes(&hash, sign_public, 32);
    sl_hash_final(&hash, out);
}

size_t sl_certificate_issue(const uint8_t network_id[32], const uint8_t operator_secret[64], const uint8_t invite_secret[64],
                            const uint8_t subject[32], uint64_t expires_s, uint8_t out[SL_PEER_CERTIFICATE_MAX])
{
    uint8_t invite_key[32], digest[32], by_issuer[64], by_invite[64];
    crypto_sign_ed25519_sk_to_pk(invite_key, invite_secret);
    invite_digest(network_id, invite_key, digest);
    crypto_sign_detached(by_issuer, NULL, digest, sizeof digest, operator_secret);
    admit_digest(network_id, subject, expires_s, digest);
    crypto_sign_detached(by_invite, NULL, digest, sizeof digest, invite_secret);

    struct sl_writer writer = sl_writer_over(out, SL_PEER_CERTIFICATE_MAX);
    sl_write_array(&writer, 5);
    sl_write_bin(&writer, invite_key, sizeof invite_key);
    sl_write_bin(&writer, by_issuer, sizeof by_issuer);
    sl_write_bin(&writer, subject, 32);
    sl_write_uint(&writer, expires_s);
    sl_write_bin(&writer, by_invite, sizeof by_invite);
    assert(!writer.full);
    return writer.size;
}

/* Valid up to and including the second of its expiry. */
int sl_certificate_verify(const uint8_t *bytes, size_t size, const uint8_t network_id[32], const uint8_t operator_key[32],
                          const uint8_t subject[32], uint64_t now_s)
{
    struct sl_reader reader = sl_reader_over(bytes, size);
    sl_read_array_of(&reader, 5);
    const uint8_t *invite_key = sl_read_bin_of(&reader, 32), *by_issuer = sl_read_bin_of(&reader, 64);
    const uint8_t *admitted = sl_read_bin_of(&reader, 32);
    uint64_t expires_s = sl_read_uint(&reader, UINT64_MAX);
    const uint8_t *by_invite = sl_read_bin_of(&reader, 64);
    if (size > SL_CERTIFICATE_MAX || sl_reader_finish(&reader)) return SL_ERROR_MALFORMED;

    if (!sl_hash_equal(admitted, subject) || now_s > expires_s) return SL_ERROR_BAD_CERTIFICATE;

    uint8_t digest[32];
    invite_digest(network_id, invite_key, digest);
    if (!sl_digest_verify(digest, by_issuer, operator_key)) return SL_ERROR_BAD_CERTIFICATE;

    admit_digest(network_id, subject, expires_s, digest);
    return sl_digest_verify(digest, by_invite, invite_key) ? SL_OK : SL_ERROR_BAD_CERTIFICATE;
}

static void sign_keys(const char *label, const uint8_t seed[32], uint8_t public_key[32], uint8_t secret[64])
{
    uint8_t own_seed[32];
    sl_hash_once(label, seed, 32, own_seed);
    crypto_sign_seed_keypair(public_key, secret, own_seed);
    sodium_memzero(own_seed, sizeof own_seed);
}

void sl_identity_from_seed(const uint8_t seed[32], const uint8_t network_id[32], const uint8_t operator_secret[64], const char *address,
                           uint64_t expires_s, struct sl_identity *out, uint8_t transport_secret[32])
{
    assert(strlen(address) < sizeof out->address);
    memset(out, 0, sizeof *out);
    memcpy(out->address, address, strlen(address));

    sign_keys("sign", seed, out->sign_public, out->sign_secret);
    sl_identity_id(network_id, out->sign_public, out->id);

    uint8_t transport_seed[32], invite_key[32], invite_secret[64];
    sl_hash_once("transport", seed, 32, transport_seed);
    crypto_box_seed_keypair(out->transport_public, transport_secret, transport_seed);

    sign_keys("invite", seed, invite_key, invite_secret);
    size_t size = sl_certificate_issue(network_id, operator_secret, invite_secret, out->id, expires_s, out->certificate);
    out->certificate_size = (uint32_t)size;

    sodium_memzero(transport_seed, sizeof transport_seed);
    sodium_memzero(invite_secret, sizeof invite_secret);
}
