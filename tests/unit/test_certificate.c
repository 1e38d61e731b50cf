/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "starling/error.h"
#include "wire/certificate.h"

static const uint8_t network[32] = {0x11}, subject[32] = {0x22};
static uint8_t operator_key[32], operator_secret[64], invite_key[32], invite_secret[64];
static uint8_t certificate[SL_PEER_CERTIFICATE_MAX];
static size_t certificate_size;

/* Places of the parts in the encoding, see the layout in certificate.h. */
enum { AT_INVITE_KEY = 3, AT_BY_ISSUER = 37, AT_SUBJECT = 103, AT_EXPIRY = 135 };

static void issue(void)
{
    static const uint8_t operator_seed[32] = {1}, invite_seed[32] = {2};
    crypto_sign_seed_keypair(operator_key, operator_secret, operator_seed);
    crypto_sign_seed_keypair(invite_key, invite_secret, invite_seed);
    certificate_size = sl_certificate_issue(network, operator_secret, invite_secret, subject, 1000, certificate);
}

static int verify(void)
{
    return sl_certificate_verify(certificate, certificate_size, network, operator_key, subject, 999);
}

TestSuite(certificate, .init = issue);

Test(certificate, verifies_as_issued)
{
    cr_assert_eq(verify(), SL_OK);
    cr_assert_eq(certificate[AT_SUBJECT], subject[0]);
    cr_assert_eq(memcmp(certificate + AT_INVITE_KEY, invite_key, 32), 0);
}

Test(certificate, fits_with_the_largest_expiry_and_never_expires_then)
{
    certificate_size = sl_certificate_issue(network, operator_secret, invite_secret, subject, UINT64_MAX, certificate);

    cr_assert_leq(certificate_size, SL_PEER_CERTIFICATE_MAX);
    cr_assert_eq(sl_certificate_verify(certificate, certificate_size, network, operator_key, subject, UINT64_MAX), SL_OK);
}

Test(certificate, ends_with_the_second_of_its_expiry)
{
    cr_assert_eq(sl_certificate_verify(certificate, certificate_size, network, operator_key, subject, 1000), SL_OK);
    cr_assert_eq(sl_certificate_verify(certificate, certificate_size, network, operator_key, subject, 1001), SL_ERROR_BAD_CERTIFICATE);
    cr_assert_eq(sl_certificate_verify(certificate, certificate_size, network, operator_key, subject, UINT64_MAX), SL_ERROR_BAD_CERTIFICATE);
}

Test(certificate, admits_nobody_else)
{
    uint8_t other[32] = {0x23};
    cr_assert_eq(sl_certificate_verify(certificate, certificate_size, network, operator_key, other, 999), SL_ERROR_BAD_CERTIFICATE);

    certificate[AT_SUBJECT] = 0x23;                            /* and cannot be rewritten for somebody else */
    cr_assert_eq(sl_certificate_verify(certificate, certificate_size, network, operator_key, other, 999), SL_ERROR_BAD_CERTIFICATE);
}

Test(certificate, admits_to_no_other_network)
{
    uint8_t other[32] = {0x12};
    cr_assert_eq(sl_certificate_verify(certificate, certificate_size, other, operator_key, subject, 999), SL_ERROR_BAD_CERTIFICATE);
}

Test(certificate, of_another_operator_does_not_count)
{
    cr_assert_eq(sl_certificate_verify(certificate, certificate_size, network, invite_key, subject, 999), SL_ERROR_BAD_CERTIFICATE);

    uint8_t zero[32] = {0};
    cr_assert_eq(sl_certificate_verify(certificate, certificate_size, network, zero, subject, 999), SL_ERROR_BAD_CERTIFICATE);
}

Test(certificate, of_an_invite_that_the_operator_never_signed_does_not_count)
{
    certificate_size = sl_certificate_issue(network, invite_secret, invite_secret, subject, 1000, certificate);
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);
}

Test(certificate, signatures_cannot_be_swapped)
{
    uint8_t held[64], *by_issuer = certificate + AT_BY_ISSUER, *by_invite = certificate + certificate_size - 64;
    memcpy(held, by_issuer, 64);
    memcpy(by_issuer, by_invite, 64);
    memcpy(by_invite, held, 64);
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);
}

Test(certificate, expiry_cannot_be_moved)
{
    cr_assert_eq(certificate[AT_EXPIRY], 0xcd);                /* 1000 = cd 03 e8 */
    certificate[AT_EXPIRY + 1] = 0x7f;
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);
}

Test(certificate, every_truncation_is_malformed)
{
    for (size_t size = 0; size < certificate_size; size++) {
        uint8_t *prefix = malloc(size ? size : 1);
        memcpy(prefix, certificate, size);
        cr_assert_eq(sl_certificate_verify(prefix, size, network, operator_key, subject, 999), SL_ERROR_MALFORMED);
        free(prefix);
    }
}

Test(certificate, bytes_behind_it_are_malformed)
{
    certificate[certificate_size++] = 0;
    cr_assert_eq(verify(), SL_ERROR_MALFORMED);
}

Test(certificate, no_change_of_one_byte_verifies)
{
    for (size_t i = 0; i < certificate_size; i++) {
        for (unsigned bit = 1; bit < 0x100; bit <<= 1) {
            certificate[i] ^= (uint8_t)bit;
            cr_assert_neq(verify(), SL_OK, "byte %zu, bit %02x", i, bit);
            certificate[i] ^= (uint8_t)bit;
        }
    }
}

static struct sl_identity from_seed(uint8_t first, uint8_t transport_secret[32])
{
    uint8_t seed[32] = {first};
    struct sl_identity identity;
    sl_identity_from_seed(seed, network, operator_secret, "127.0.0.1:7400", 1000, &identity, transport_secret);
    return identity;
}

Test(identity, from_a_seed_is_complete_and_admitted, .init = issue)
{
    uint8_t transport_secret[32], id[32], transport_public[32], digest[32] = {5}, signature[64];
    struct sl_identity identity = from_seed(7, transport_secret);

    sl_identity_id(network, identity.sign_public, id);
    cr_assert_eq(memcmp(identity.id, id, 32), 0);
    crypto_scalarmult_base(transport_public, transport_secret);
    cr_assert_eq(memcmp(identity.transport_public, transport_public, 32), 0);
    crypto_sign_detached(signature, NULL, digest, 32, identity.sign_secret);
    cr_assert_eq(crypto_sign_verify_detached(signature, digest, 32, identity.sign_public), 0);
    cr_assert_str_eq(identity.address, "127.0.0.1:7400");
    cr_assert_eq(sl_certificate_verify(identity.certificate, identity.certificate_size, network, operator_key, identity.id, 999), SL_OK);
}

Test(identity, is_the_same_for_the_same_seed_and_another_for_another, .init = issue)
{
    uint8_t secret[32], again_secret[32], other_secret[32];
    struct sl_identity identity = from_seed(7, secret), again = from_seed(7, again_secret), other = from_seed(8, other_secret);

    cr_assert_eq(memcmp(&identity, &again, sizeof identity), 0);
    cr_assert_eq(memcmp(secret, again_secret, 32), 0);
    cr_assert_neq(memcmp(identity.id, other.id, 32), 0);
    cr_assert_neq(memcmp(secret, other_secret, 32), 0);
    cr_assert_neq(memcmp(identity.certificate + AT_INVITE_KEY, other.certificate + AT_INVITE_KEY, 32), 0);
}

Test(identity, has_another_id_in_another_network, .init = issue)
{
    uint8_t id[32], other_id[32], other_network[32] = {0x12};
    sl_identity_id(network, operator_key, id);
    sl_identity_id(other_network, operator_key, other_id);
    cr_assert_neq(memcmp(id, other_id, 32), 0);
}
