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

enum { N_ITEMS = 8, DOOR_WINDOW_US = 30000000 };

/* The parts of an encoded certificate; pointers lead into it. */
struct parts {
    const uint8_t *invite_key, *by_issuer, *subject, *by_invite;
    uint32_t flags, slot;
    uint64_t expires_s;
    const uint8_t *host_sign_public, *host;          /* NULL when the operator issued the invite */
    size_t host_size;
};

/* What the issuer signs: this invite key may admit to this network, on these terms. */
static void invite_digest(const uint8_t network_id[32], const uint8_t invite_key[32], uint32_t flags, uint32_t slot, uint64_t expires_s, uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, "invite");
    sl_hash_bytes(&hash, network_id, 32);
    sl_hash_bytes(&hash, invite_key, 32);
    sl_hash_u64(&hash, flags);
    sl_hash_u64(&hash, slot);
    sl_hash_u64(&hash, expires_s);
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

struct sl_admission sl_admission_of(const struct sl_config *config)
{
    enum sl_admission_mode mode = SL_ADMISSION_INVITE;
    if (strcmp(config->admission, "private") == 0) mode = SL_ADMISSION_PRIVATE;
    if (strcmp(config->admission, "open") == 0) mode = SL_ADMISSION_OPEN;

    return (struct sl_admission){.mode = mode, .puzzle_bits = config->puzzle_bits, .network_id = config->network_id, .operator_key = config->operator_key};
}

/* ---- invites ---- */

void sl_invite_issue(const uint8_t network_id[32], const uint8_t issuer_secret[64], const struct sl_identity *host, const uint8_t invite_seed[32],
                     uint32_t flags, uint32_t slot, uint64_t expires_s, struct sl_invite *out)
{
    *out = (struct sl_invite){.flags = flags, .slot = slot, .expires_s = expires_s, .has_host = host != NULL};
    uint8_t invite_key[32], digest[32];
    crypto_sign_seed_keypair(invite_key, out->secret, invite_seed);
    invite_digest(network_id, invite_key, flags, slot, expires_s, digest);
    crypto_sign_detached(out->issuer_signature, NULL, digest, sizeof digest, issuer_secret);
    if (!host) return;

    assert(host->certificate_size <= sizeof out->host_certificate);
    memcpy(out->host_sign_public, host->sign_public, 32);
    memcpy(out->host_certificate, host->certificate, host->certificate_size);
    out->host_certificate_size = host->certificate_size;
}

/* An empty bin, or [sign_public, certificate]. The certificate is msgpack already. */
static void write_host(struct sl_writer *writer, const struct sl_invite *invite)
{
    if (!invite->has_host) {
        sl_write_bin(writer, NULL, 0);
        return;
    }
    sl_write_array(writer, 2);
    sl_write_bin(writer, invite->host_sign_public, 32);
    sl_write_raw(writer, invite->host_certificate, invite->host_certificate_size);
}

size_t sl_certificate_issue(const uint8_t network_id[32], const struct sl_invite *invite, const uint8_t subject[32], uint8_t out[SL_PEER_CERTIFICATE_MAX])
{
    uint8_t invite_key[32], digest[32], by_invite[64];
    crypto_sign_ed25519_sk_to_pk(invite_key, invite->secret);
    admit_digest(network_id, subject, invite->expires_s, digest);
    crypto_sign_detached(by_invite, NULL, digest, sizeof digest, invite->secret);

    struct sl_writer writer = sl_writer_over(out, SL_PEER_CERTIFICATE_MAX);
    sl_write_array(&writer, N_ITEMS);
    sl_write_bin(&writer, invite_key, sizeof invite_key);
    sl_write_uint(&writer, invite->flags);
    sl_write_uint(&writer, invite->slot);
    sl_write_bin(&writer, invite->issuer_signature, sizeof invite->issuer_signature);
    sl_write_bin(&writer, subject, 32);
    sl_write_uint(&writer, invite->expires_s);
    sl_write_bin(&writer, by_invite, sizeof by_invite);
    write_host(&writer, invite);
    return writer.full ? 0 : writer.size;
}

/* ---- the puzzle of open networks ---- */

static bool solves(const uint8_t network_id[32], uint32_t puzzle_bits, const uint8_t subject[32], uint64_t nonce)
{
    uint8_t digest[32];
    struct sl_hash hash;
    sl_hash_init(&hash, "puzzle");
    sl_hash_bytes(&hash, network_id, 32);
    sl_hash_bytes(&hash, subject, 32);
    sl_hash_u64(&hash, nonce);
    sl_hash_final(&hash, digest);

    assert(puzzle_bits <= 8 * sizeof digest);
    for (uint32_t i = 0; i < puzzle_bits; i++)
        if (digest[i / 8] >> (7 - i % 8) & 1) return false;
    return true;
}

size_t sl_puzzle_solve(const uint8_t network_id[32], uint32_t puzzle_bits, const uint8_t subject[32], uint64_t from, uint64_t n_tries,
                       uint8_t out[SL_PEER_CERTIFICATE_MAX])
{
    for (uint64_t i = 0; i < n_tries; i++) {
        if (!solves(network_id, puzzle_bits, subject, from + i)) continue;

        struct sl_writer writer = sl_writer_over(out, SL_PEER_CERTIFICATE_MAX);
        sl_write_array(&writer, 1);
        sl_write_uint(&writer, from + i);
        return writer.size;
    }
    return 0;
}

static int verify_puzzle(const uint8_t *bytes, size_t size, const struct sl_admission *admission, const uint8_t subject[32], struct sl_certificate *out)
{
    struct sl_reader reader = sl_reader_over(bytes, size);
    sl_read_array_of(&reader, 1);
    uint64_t nonce = sl_read_uint(&reader, UINT64_MAX);
    if (sl_reader_finish(&reader)) return SL_ERROR_MALFORMED;
    if (!solves(admission->network_id, admission->puzzle_bits, subject, nonce)) return SL_ERROR_BAD_CERTIFICATE;

    *out = (struct sl_certificate){.expires_s = UINT64_MAX};
    return SL_OK;
}

/* ---- certificates ---- */

static void read_host(struct sl_reader *reader, struct parts *out)
{
    struct sl_reader ahead = *reader;
    size_t size;
    sl_read_bin(&ahead, 0, &size);
    if (!ahead.error) {
        *reader = ahead;
        return;
    }
    sl_read_array_of(reader, 2);
    out->host_sign_public = sl_read_bin_of(reader, 32);
    sl_read_skip(reader, &out->host, &out->host_size);
}

static int take_apart(const uint8_t *bytes, size_t size, struct parts *out)
{
    struct sl_reader reader = sl_reader_over(bytes, size);
    *out = (struct parts){0};
    sl_read_array_of(&reader, N_ITEMS);
    out->invite_key = sl_read_bin_of(&reader, 32);
    out->flags = (uint32_t)sl_read_uint(&reader, SL_INVITE_SINGLE_USE);      /* an unknown flag is a condition that we could not keep */
    out->slot = (uint32_t)sl_read_uint(&reader, UINT32_MAX);
    out->by_issuer = sl_read_bin_of(&reader, 64);
    out->subject = sl_read_bin_of(&reader, 32);
    out->expires_s = sl_read_uint(&reader, UINT64_MAX);
    out->by_invite = sl_read_bin_of(&reader, 64);
    read_host(&reader, out);
    return sl_reader_finish(&reader) ? SL_ERROR_MALFORMED : SL_OK;
}

/* Both signatures of one certificate, whoever issued its invite. */
static bool signatures_hold(const struct parts *parts, const uint8_t network_id[32], const uint8_t issuer_key[32], uint32_t *n_checks)
{
    uint8_t digest[32];
    invite_digest(network_id, parts->invite_key, parts->flags, parts->slot, parts->expires_s, digest);
    ++*n_checks;
    if (!sl_digest_verify(digest, parts->by_issuer, issuer_key)) return false;

    admit_digest(network_id, parts->subject, parts->expires_s, digest);
    ++*n_checks;
    return sl_digest_verify(digest, parts->by_invite, parts->invite_key);
}

/* May this host have invited this guest? All that can be said without a signature check. */
static bool is_host_of(const struct parts *host, const uint8_t host_id[32], const struct parts *guest)
{
    bool host_is_member = !host->host && sl_hash_equal(host->subject, host_id) && !sl_hash_equal(host_id, guest->subject);
    bool is_for_one = (guest->flags & SL_INVITE_SINGLE_USE) != 0;            /* else one place would hold any number of guests */
    return host_is_member && is_for_one && guest->slot < SL_INVITES_PER_MEMBER && guest->expires_s <= host->expires_s;
}

static int verify_chain(const uint8_t *bytes, size_t size, const struct sl_admission *admission, const uint8_t subject[32], uint64_t now_s,
                        struct sl_certificate *out, uint32_t *n_checks)
{
    struct parts parts, host;
    uint8_t host_id[32] = {0};
    int error = take_apart(bytes, size, &parts);
    if (!error && parts.host) error = take_apart(parts.host, parts.host_size, &host);
    if (error) return error;

    if (parts.host) sl_identity_id(admission->network_id, parts.host_sign_public, host_id);
    if (!sl_hash_equal(parts.subject, subject) || now_s > parts.expires_s) return SL_ERROR_BAD_CERTIFICATE;
    if (parts.host && !is_host_of(&host, host_id, &parts)) return SL_ERROR_BAD_CERTIFICATE;

    const uint8_t *issuer_key = admission->operator_key;
    if (parts.host) {
        if (!signatures_hold(&host, admission->network_id, issuer_key, n_checks)) return SL_ERROR_BAD_CERTIFICATE;
        issuer_key = parts.host_sign_public;
    }
    if (!signatures_hold(&parts, admission->network_id, issuer_key, n_checks)) return SL_ERROR_BAD_CERTIFICATE;

    *out = (struct sl_certificate){.flags = parts.flags, .slot = parts.slot, .expires_s = parts.expires_s, .has_host = parts.host != NULL};
    memcpy(out->invite_key, parts.invite_key, 32);
    if (!parts.host) return SL_OK;

    memcpy(out->host_id, host_id, 32);
    memcpy(out->host_invite_key, host.invite_key, 32);
    out->host_flags = host.flags;
    out->host_expires_s = host.expires_s;
    return SL_OK;
}

/* Valid up to and including the second of its expiry. */
int sl_certificate_verify(const uint8_t *bytes, size_t size, const struct sl_admission *admission, const uint8_t subject[32], uint64_t now_s,
                          struct sl_certificate *out, uint32_t *n_checks)
{
    *n_checks = 0;
    if (size > SL_CERTIFICATE_MAX) return SL_ERROR_MALFORMED;
    if (admission->mode == SL_ADMISSION_OPEN) return verify_puzzle(bytes, size, admission, subject, out);
    return verify_chain(bytes, size, admission, subject, now_s, out, n_checks);
}

/* ---- the door of private networks ---- */

static void door_mac(const uint8_t network_secret[32], const uint8_t from_transport[32], const uint8_t to_transport[32], const uint8_t nonce[16],
                     uint64_t window, uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_keyed_init(&hash, "door", network_secret);
    sl_hash_bytes(&hash, from_transport, 32);
    sl_hash_bytes(&hash, to_transport, 32);
    sl_hash_bytes(&hash, nonce, 16);
    sl_hash_u64(&hash, window);
    sl_hash_final(&hash, out);
}

void sl_door_make(const uint8_t network_secret[32], const uint8_t from_transport[32], const uint8_t to_transport[32], uint64_t time_us,
                  const uint8_t nonce[16], uint8_t out[48])
{
    memcpy(out, nonce, 16);
    door_mac(network_secret, from_transport, to_transport, nonce, time_us / DOOR_WINDOW_US, out + 16);
}

/* The windows beside our own count too: a message takes time, and clocks are never quite equal. */
bool sl_door_verify(const uint8_t network_secret[32], const uint8_t from_transport[32], const uint8_t to_transport[32], uint64_t time_us,
                    const uint8_t door[48])
{
    uint64_t own = time_us / DOOR_WINDOW_US;
    bool opens = false;
    for (uint64_t window = own > 0 ? own - 1 : 0; window <= own + 1; window++) {
        uint8_t mac[32];
        door_mac(network_secret, from_transport, to_transport, door, window, mac);
        opens |= sodium_memcmp(mac, door + 16, sizeof mac) == 0;
    }
    return opens;
}

/* ---- identities from a seed ---- */

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

    uint8_t transport_seed[32], invite_seed[32];
    sl_hash_once("transport", seed, 32, transport_seed);
    crypto_box_seed_keypair(out->transport_public, transport_secret, transport_seed);

    struct sl_invite invite;
    sl_hash_once("invite", seed, 32, invite_seed);
    sl_invite_issue(network_id, operator_secret, NULL, invite_seed, 0, 0, expires_s, &invite);
    out->certificate_size = (uint32_t)sl_certificate_issue(network_id, &invite, out->id, out->certificate);
    assert(out->certificate_size > 0);

    sodium_memzero(transport_seed, sizeof transport_seed);
    sodium_memzero(invite_seed, sizeof invite_seed);
    sodium_memzero(&invite, sizeof invite);
}
