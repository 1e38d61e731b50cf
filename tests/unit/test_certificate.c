/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "starling/error.h"
#include "wire/certificate.h"
#include "wire/reader.h"

enum { EXPIRY = 1000, NOW = 999 };

static const uint8_t network[32] = {0x11}, subject[32] = {0x22}, invite_seed[32] = {2};
static uint8_t operator_key[32], operator_secret[64], invite_key[32], invite_secret[64], transport_secret[32];
static struct sl_admission admission;
static struct sl_identity host;
static struct sl_invite invite;
static uint8_t certificate[SL_PEER_CERTIFICATE_MAX];
static size_t certificate_size;
static struct sl_certificate said;
static uint32_t n_checks;

/* Places of the parts in the encoding of an operator's, see the layout in certificate.h. */
enum { AT_INVITE_KEY = 3, AT_FLAGS = 35, AT_SLOT = 36, AT_BY_ISSUER = 39, AT_SUBJECT = 105, AT_EXPIRY = 137, AT_BY_INVITE = 142, AT_HOST = 206 };

static void take(void)
{
    certificate_size = sl_certificate_issue(network, &invite, subject, certificate);
}

static void by_operator(uint32_t flags, uint32_t slot, uint64_t expires_s)
{
    sl_invite_issue(network, operator_secret, NULL, invite_seed, flags, slot, expires_s, &invite);
    take();
}

static void by_host(uint32_t flags, uint32_t slot, uint64_t expires_s)
{
    sl_invite_issue(network, host.sign_secret, &host, invite_seed, flags, slot, expires_s, &invite);
    take();
}

static struct sl_identity from_seed(uint8_t first)
{
    uint8_t seed[32] = {first};
    struct sl_identity identity;
    sl_identity_from_seed(seed, network, operator_secret, "127.0.0.1:7400", EXPIRY, &identity, transport_secret);
    return identity;
}

static void issue(void)
{
    static const uint8_t operator_seed[32] = {1};
    crypto_sign_seed_keypair(operator_key, operator_secret, operator_seed);
    crypto_sign_seed_keypair(invite_key, invite_secret, invite_seed);
    admission = (struct sl_admission){.mode = SL_ADMISSION_INVITE, .network_id = network, .operator_key = operator_key};
    host = from_seed(7);
    by_operator(SL_INVITE_SINGLE_USE, 0, EXPIRY);
}

static int verify_as(const uint8_t who[32], uint64_t now_s)
{
    return sl_certificate_verify(certificate, certificate_size, &admission, who, now_s, &said, &n_checks);
}

static int verify(void)
{
    return verify_as(subject, NOW);
}

/* ---- by the operator ---- */

TestSuite(certificate, .init = issue);

Test(certificate, verifies_as_issued_and_says_what_it_holds)
{
    cr_assert_eq(verify(), SL_OK);

    cr_assert_eq(n_checks, 2);
    cr_assert_eq(memcmp(said.invite_key, invite_key, 32), 0);
    cr_assert_eq(said.flags, SL_INVITE_SINGLE_USE);
    cr_assert_eq(said.slot, 0);
    cr_assert_eq(said.expires_s, EXPIRY);
    cr_assert_not(said.has_host);
    cr_assert(sl_hash_is_zero(said.host_id));
    cr_assert_eq(certificate[AT_SUBJECT], subject[0]);
    cr_assert_eq(memcmp(certificate + AT_INVITE_KEY, invite_key, 32), 0);
    cr_assert_eq(certificate[AT_HOST], 0xc4);
    cr_assert_eq(certificate_size, AT_HOST + 2);
}

Test(certificate, fits_with_the_largest_numbers_and_never_expires_then)
{
    by_operator(SL_INVITE_SINGLE_USE, UINT32_MAX, UINT64_MAX);

    cr_assert_eq(verify_as(subject, UINT64_MAX), SL_OK);
    cr_assert_eq(said.slot, UINT32_MAX, "the operator has as many as it likes");
}

Test(certificate, ends_with_the_second_of_its_expiry)
{
    cr_assert_eq(verify_as(subject, EXPIRY), SL_OK);
    cr_assert_eq(verify_as(subject, EXPIRY + 1), SL_ERROR_BAD_CERTIFICATE);
    cr_assert_eq(verify_as(subject, UINT64_MAX), SL_ERROR_BAD_CERTIFICATE);
}

Test(certificate, admits_nobody_else)
{
    uint8_t other[32] = {0x23};
    cr_assert_eq(verify_as(other, NOW), SL_ERROR_BAD_CERTIFICATE);
    cr_assert_eq(n_checks, 0, "nothing was worth a signature check");

    certificate[AT_SUBJECT] = 0x23;                            /* and cannot be rewritten for somebody else */
    cr_assert_eq(verify_as(other, NOW), SL_ERROR_BAD_CERTIFICATE);
}

Test(certificate, admits_to_no_other_network)
{
    uint8_t other[32] = {0x12};
    admission.network_id = other;
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);
}

Test(certificate, of_another_operator_does_not_count)
{
    admission.operator_key = invite_key;
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);

    uint8_t zero[32] = {0};
    admission.operator_key = zero;
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);
}

Test(certificate, of_an_invite_that_the_operator_never_signed_does_not_count)
{
    sl_invite_issue(network, invite_secret, NULL, invite_seed, 0, 0, EXPIRY, &invite);
    take();
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);
}

Test(certificate, of_an_invite_whose_terms_were_changed_does_not_count)
{
    const struct sl_invite kept = invite;
    invite.flags = 0;
    take();
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE, "used more than once");
    invite = kept, invite.slot = 1;
    take();
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE, "another slot");
    invite = kept, invite.expires_s++;
    take();
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE, "a second longer");
    invite = kept, invite.expires_s--;
    take();
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE, "a second less");
    invite = kept;
    take();
    cr_assert_eq(verify(), SL_OK);
}

Test(certificate, with_a_flag_that_nobody_knows_is_malformed)
{
    by_operator(2, 0, EXPIRY);
    cr_assert_eq(verify(), SL_ERROR_MALFORMED, "it may be a condition that we could not keep");
}

Test(certificate, signatures_cannot_be_swapped)
{
    uint8_t held[64], *by_issuer = certificate + AT_BY_ISSUER, *by_invite = certificate + AT_BY_INVITE;
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

/* ---- of operators and guests alike ---- */

static void expect_malformed_prefixes(void)
{
    for (size_t size = 0; size < certificate_size; size++) {
        uint8_t *prefix = malloc(size ? size : 1);
        memcpy(prefix, certificate, size);
        cr_assert_eq(sl_certificate_verify(prefix, size, &admission, subject, NOW, &said, &n_checks), SL_ERROR_MALFORMED, "%zu bytes", size);
        cr_assert_eq(n_checks, 0);
        free(prefix);
    }
}

Test(certificate, every_truncation_is_malformed)
{
    expect_malformed_prefixes();
    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY);
    expect_malformed_prefixes();
}

Test(certificate, bytes_behind_it_are_malformed)
{
    certificate[certificate_size++] = 0;
    cr_assert_eq(verify(), SL_ERROR_MALFORMED);

    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY);
    certificate[certificate_size++] = 0;
    cr_assert_eq(verify(), SL_ERROR_MALFORMED);
}

Test(certificate, larger_than_the_limit_is_malformed)
{
    uint8_t large[SL_CERTIFICATE_MAX + 1] = {0};
    cr_assert_eq(sl_certificate_verify(large, sizeof large, &admission, subject, NOW, &said, &n_checks), SL_ERROR_MALFORMED);
}

static void expect_no_spoilt_byte(void)
{
    for (size_t i = 0; i < certificate_size; i++) {
        for (unsigned bit = 1; bit < 0x100; bit <<= 1) {
            certificate[i] ^= (uint8_t)bit;
            cr_assert_neq(verify(), SL_OK, "byte %zu, bit %02x", i, bit);
            certificate[i] ^= (uint8_t)bit;
        }
    }
}

Test(certificate, no_change_of_one_bit_verifies)
{
    expect_no_spoilt_byte();
}

Test(certificate, no_change_of_one_bit_of_a_guests_verifies)
{
    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY);
    expect_no_spoilt_byte();
}

Test(certificate, leaves_its_output_alone_on_failure)
{
    struct sl_certificate before = {.flags = 77};
    said = before;
    cr_assert_eq(verify_as(subject, EXPIRY + 1), SL_ERROR_BAD_CERTIFICATE);
    certificate[certificate_size - 3] ^= 1;
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);
    cr_assert_eq(verify_as(subject, EXPIRY), SL_ERROR_BAD_CERTIFICATE);
    cr_assert_eq(memcmp(&said, &before, sizeof said), 0);
}

/* ---- by a member ---- */

TestSuite(guest, .init = issue);

Test(guest, is_admitted_by_a_member)
{
    by_host(SL_INVITE_SINGLE_USE, 2, EXPIRY);

    cr_assert_eq(verify(), SL_OK);
    cr_assert_eq(n_checks, 4);
    cr_assert(said.has_host);
    cr_assert_eq(memcmp(said.host_id, host.id, 32), 0);
    cr_assert_eq(said.slot, 2);
    cr_assert_eq(said.flags, SL_INVITE_SINGLE_USE);
    cr_assert_leq(certificate_size, SL_CERTIFICATE_MAX);
}

Test(guest, fits_with_the_largest_numbers)
{
    sl_invite_issue(network, operator_secret, NULL, invite_seed, SL_INVITE_SINGLE_USE, UINT32_MAX, UINT64_MAX, &invite);
    host.certificate_size = (uint32_t)sl_certificate_issue(network, &invite, host.id, host.certificate);
    by_host(SL_INVITE_SINGLE_USE, 2, UINT64_MAX);

    cr_assert_eq(verify_as(subject, UINT64_MAX), SL_OK);
    cr_assert_leq(certificate_size, SL_CERTIFICATE_MAX);
}

Test(guest, has_one_of_three_slots)
{
    for (uint32_t slot = 0; slot < 6; slot++) {
        by_host(SL_INVITE_SINGLE_USE, slot, EXPIRY);
        cr_assert_eq(verify(), slot < SL_INVITES_PER_MEMBER ? SL_OK : SL_ERROR_BAD_CERTIFICATE, "slot %u", slot);
    }
    by_host(SL_INVITE_SINGLE_USE, UINT32_MAX, EXPIRY);
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);
}

Test(guest, has_its_slot_for_itself)
{
    by_host(0, 1, EXPIRY);
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE, "an invite for many would fill one slot with any number of guests");
    cr_assert_eq(n_checks, 0);
}

Test(guest, tells_the_terms_on_which_its_host_was_admitted)
{
    sl_invite_issue(network, operator_secret, NULL, (uint8_t[32]){3}, SL_INVITE_SINGLE_USE, 9, EXPIRY + 5, &invite);
    host.certificate_size = (uint32_t)sl_certificate_issue(network, &invite, host.id, host.certificate);
    by_host(SL_INVITE_SINGLE_USE, 1, EXPIRY);

    cr_assert_eq(verify(), SL_OK);
    cr_assert_eq(memcmp(said.host_invite_key, host.certificate + AT_INVITE_KEY, 32), 0);
    cr_assert_eq(said.host_flags, SL_INVITE_SINGLE_USE);
    cr_assert_eq(said.host_expires_s, EXPIRY + 5);
}

Test(guest, does_not_outlive_its_host)
{
    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY);
    cr_assert_eq(verify(), SL_OK);
    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY - 1);
    cr_assert_eq(verify(), SL_OK);
    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY + 1);
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE, "not even while its host lives");
    cr_assert_eq(verify_as(subject, EXPIRY + 1), SL_ERROR_BAD_CERTIFICATE, "the host is expired");
}

Test(guest, invites_nobody)
{
    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY);
    struct sl_identity guest = from_seed(9);
    guest.certificate_size = (uint32_t)sl_certificate_issue(network, &invite, guest.id, guest.certificate);
    cr_assert_eq(sl_certificate_verify(guest.certificate, guest.certificate_size, &admission, guest.id, NOW, &said, &n_checks), SL_OK);

    sl_invite_issue(network, guest.sign_secret, &guest, invite_seed, SL_INVITE_SINGLE_USE, 0, EXPIRY, &invite);
    cr_assert_eq(sl_certificate_issue(network, &invite, subject, certificate), 0, "there is no room for a third");
}

/* The three certificates of a chain of depth 3 do not fit; this is the shortest text with its shape. */
Test(guest, with_a_host_that_has_a_host_is_refused_before_any_signature_is_looked_at)
{
    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY);
    struct sl_writer writer = sl_writer_over(invite.host_certificate, sizeof invite.host_certificate);
    sl_write_array(&writer, 8);
    sl_write_bin(&writer, invite_key, 32);
    sl_write_uint(&writer, 0);
    sl_write_uint(&writer, 0);
    sl_write_bin(&writer, invite.issuer_signature, 64);
    sl_write_bin(&writer, host.id, 32);
    sl_write_uint(&writer, EXPIRY);
    sl_write_bin(&writer, invite.issuer_signature, 64);
    sl_write_array(&writer, 2);
    sl_write_bin(&writer, operator_key, 32);
    sl_write_array(&writer, 0);
    invite.host_certificate_size = (uint32_t)writer.size;
    take();

    cr_assert_gt(certificate_size, 0);
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);
    cr_assert_eq(n_checks, 0);
}

Test(guest, of_a_host_whose_certificate_is_another_members_is_refused)
{
    struct sl_identity other = from_seed(8);
    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY);
    memcpy(invite.host_certificate, other.certificate, other.certificate_size);
    invite.host_certificate_size = other.certificate_size;
    take();
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE, "the key of one and the certificate of another");

    memcpy(invite.host_sign_public, other.sign_public, 32);
    take();
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE, "another host, who signed nothing");
    cr_assert_eq(n_checks, 3);
}

Test(guest, of_a_host_that_the_operator_never_admitted_is_refused)
{
    sl_invite_issue(network, invite_secret, NULL, invite_seed, 0, 0, EXPIRY, &invite);
    host.certificate_size = (uint32_t)sl_certificate_issue(network, &invite, host.id, host.certificate);
    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY);

    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);
    cr_assert_eq(n_checks, 1);
}

Test(guest, invite_does_not_become_the_operators_when_its_host_is_cut_off)
{
    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY);
    invite.has_host = false;
    take();
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);

    by_operator(0, 0, EXPIRY);
    invite.has_host = true;
    memcpy(invite.host_sign_public, host.sign_public, 32);
    memcpy(invite.host_certificate, host.certificate, host.certificate_size);
    invite.host_certificate_size = host.certificate_size;
    take();
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE, "nor the other way");
}

Test(guest, is_not_its_own_host)
{
    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY);
    certificate_size = sl_certificate_issue(network, &invite, host.id, certificate);
    cr_assert_eq(verify_as(host.id, NOW), SL_ERROR_BAD_CERTIFICATE);
}

Test(guest, of_an_invite_with_garbage_for_a_host_is_malformed)
{
    by_host(SL_INVITE_SINGLE_USE, 0, EXPIRY);
    memset(invite.host_certificate, 0xc1, sizeof invite.host_certificate);
    for (uint32_t size = 0; size <= sizeof invite.host_certificate; size++) {
        invite.host_certificate_size = size;
        take();
        if (certificate_size > 0) cr_assert_eq(verify(), SL_ERROR_MALFORMED, "%u bytes", size);
        else cr_assert_gt(size, 250);
    }
}

/* ---- open networks ---- */

TestSuite(puzzle, .init = issue);

Test(puzzle, admits_whoever_solves_it)
{
    admission = (struct sl_admission){.mode = SL_ADMISSION_OPEN, .puzzle_bits = 12, .network_id = network, .operator_key = operator_key};
    certificate_size = sl_puzzle_solve(network, 12, subject, 0, 1 << 20, certificate);
    cr_assert_gt(certificate_size, 0);

    cr_assert_eq(verify_as(subject, UINT64_MAX), SL_OK);
    cr_assert_eq(n_checks, 0);
    cr_assert_eq(said.expires_s, UINT64_MAX);
    cr_assert_not(said.has_host);
    cr_assert(sl_hash_is_zero(said.invite_key));

    uint8_t other[32] = {0x23}, other_network[32] = {0x12};
    cr_assert_eq(verify_as(other, NOW), SL_ERROR_BAD_CERTIFICATE);
    admission.network_id = other_network;
    cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE);
}

/* The first nonce that solves n bits and not n + 1. */
static uint64_t nonce_of(uint32_t n_bits)
{
    uint64_t nonce = 0;
    for (;; nonce++) {
        uint8_t exact[SL_PEER_CERTIFICATE_MAX];
        if (sl_puzzle_solve(network, n_bits, subject, nonce, 1, exact) > 0 && sl_puzzle_solve(network, n_bits + 1, subject, nonce, 1, exact) == 0) return nonce;
    }
}

Test(puzzle, with_one_bit_too_few_is_refused)
{
    for (uint32_t n_bits = 8; n_bits < 12; n_bits++) {
        admission = (struct sl_admission){.mode = SL_ADMISSION_OPEN, .puzzle_bits = n_bits, .network_id = network, .operator_key = operator_key};
        certificate_size = sl_puzzle_solve(network, n_bits, subject, nonce_of(n_bits), 1, certificate);
        cr_assert_eq(verify(), SL_OK, "%u bits", n_bits);
        admission.puzzle_bits++;
        cr_assert_eq(verify(), SL_ERROR_BAD_CERTIFICATE, "%u bits", n_bits);
    }
}

Test(puzzle, gives_up_after_its_tries_and_goes_on_where_it_stopped)
{
    certificate_size = sl_puzzle_solve(network, 9, subject, 0, 1 << 20, certificate);
    struct sl_reader reader = sl_reader_over(certificate, certificate_size);
    sl_read_array_of(&reader, 1);
    uint64_t first = sl_read_uint(&reader, UINT64_MAX);
    cr_assert_gt(first, 1);

    uint8_t again[SL_PEER_CERTIFICATE_MAX];
    cr_assert_eq(sl_puzzle_solve(network, 9, subject, 0, first, again), 0);
    cr_assert_eq(sl_puzzle_solve(network, 9, subject, first / 2, first - first / 2 + 1, again), certificate_size);
    cr_assert_eq(memcmp(again, certificate, certificate_size), 0);
}

Test(puzzle, and_invite_do_not_stand_for_each_other)
{
    admission.mode = SL_ADMISSION_OPEN;
    admission.puzzle_bits = 8;
    cr_assert_eq(verify(), SL_ERROR_MALFORMED);

    certificate_size = sl_puzzle_solve(network, 8, subject, 0, 1 << 20, certificate);
    cr_assert_eq(verify(), SL_OK);
    admission.mode = SL_ADMISSION_INVITE;
    cr_assert_eq(verify(), SL_ERROR_MALFORMED);
    admission.mode = SL_ADMISSION_PRIVATE;
    cr_assert_eq(verify(), SL_ERROR_MALFORMED);
}

Test(puzzle, every_truncation_is_malformed)
{
    admission.mode = SL_ADMISSION_OPEN;
    certificate_size = sl_puzzle_solve(network, 8, subject, UINT64_MAX / 2, 1 << 20, certificate);
    cr_assert_eq(certificate_size, 10);
    expect_malformed_prefixes();
}

Test(admission, is_what_the_network_says)
{
    struct sl_config config;
    sl_config_init(&config);
    cr_assert_eq(sl_admission_of(&config).mode, SL_ADMISSION_INVITE);
    cr_assert_eq(sl_admission_of(&config).puzzle_bits, 24);
    cr_assert_eq(sl_config_set(&config, "network.admission", "private", NULL, 0), SL_OK);
    cr_assert_eq(sl_admission_of(&config).mode, SL_ADMISSION_PRIVATE);
    cr_assert_eq(sl_config_set(&config, "network.admission", "open", NULL, 0), SL_OK);
    cr_assert_eq(sl_admission_of(&config).mode, SL_ADMISSION_OPEN);
    cr_assert_eq(sl_admission_of(&config).network_id, config.network_id);
    cr_assert_eq(sl_admission_of(&config).operator_key, config.operator_key);
}

/* ---- the door of private networks ---- */

enum { WINDOW_US = 30000000 };
static const uint8_t secret[32] = {0x31}, from[32] = {0x32}, to[32] = {0x33}, nonce[16] = {0x34};
static const uint64_t begin_us = (uint64_t)1000000 * WINDOW_US;

static bool opens(const uint8_t door[48], uint64_t now_us)
{
    return sl_door_verify(secret, from, to, now_us, door);
}

Test(door, opens_in_its_own_window_and_those_beside_it)
{
    uint8_t door[48];
    sl_door_make(secret, from, to, begin_us + 7, nonce, door);

    cr_assert_eq(memcmp(door, nonce, 16), 0);
    cr_assert_not(opens(door, begin_us - WINDOW_US - 1));
    cr_assert(opens(door, begin_us - WINDOW_US));
    cr_assert(opens(door, begin_us));
    cr_assert(opens(door, begin_us + WINDOW_US));
    cr_assert(opens(door, begin_us + 2 * WINDOW_US - 1));
    cr_assert_not(opens(door, begin_us + 2 * WINDOW_US), "replayed later");
    cr_assert_not(opens(door, 0));
    cr_assert_not(opens(door, UINT64_MAX));

    sl_door_make(secret, from, to, 0, nonce, door);
    cr_assert(opens(door, 0), "there is no window before the first");
}

Test(door, opens_for_nobody_else_nor_the_other_way)
{
    uint8_t door[48], other[32] = {0x35};
    sl_door_make(secret, from, to, begin_us, nonce, door);

    cr_assert_not(sl_door_verify(secret, to, from, begin_us, door), "thrown back at its maker");
    cr_assert_not(sl_door_verify(secret, other, to, begin_us, door));
    cr_assert_not(sl_door_verify(secret, from, other, begin_us, door));
    cr_assert_not(sl_door_verify(other, from, to, begin_us, door));
}

Test(door, opens_with_no_changed_bit)
{
    uint8_t door[48];
    sl_door_make(secret, from, to, begin_us, nonce, door);
    for (size_t i = 0; i < 8 * sizeof door; i++) {
        door[i / 8] ^= (uint8_t)(1 << i % 8);
        cr_assert_not(opens(door, begin_us), "bit %zu", i);
        door[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

/* ---- identities ---- */

TestSuite(identity, .init = issue);

Test(identity, from_a_seed_is_complete_and_admitted)
{
    uint8_t id[32], transport_public[32], digest[32] = {5}, signature[64];
    struct sl_identity identity = from_seed(7);

    sl_identity_id(network, identity.sign_public, id);
    cr_assert_eq(memcmp(identity.id, id, 32), 0);
    crypto_scalarmult_base(transport_public, transport_secret);
    cr_assert_eq(memcmp(identity.transport_public, transport_public, 32), 0);
    crypto_sign_detached(signature, NULL, digest, 32, identity.sign_secret);
    cr_assert_eq(crypto_sign_verify_detached(signature, digest, 32, identity.sign_public), 0);
    cr_assert_str_eq(identity.address, "127.0.0.1:7400");
    cr_assert_eq(sl_certificate_verify(identity.certificate, identity.certificate_size, &admission, identity.id, NOW, &said, &n_checks), SL_OK);
    cr_assert_eq(said.flags, 0);
    cr_assert_not(said.has_host);
}

Test(identity, is_the_same_for_the_same_seed_and_another_for_another)
{
    uint8_t kept[32];
    struct sl_identity identity = from_seed(7);
    memcpy(kept, transport_secret, 32);
    struct sl_identity again = from_seed(7);
    cr_assert_eq(memcmp(&identity, &again, sizeof identity), 0);
    cr_assert_eq(memcmp(kept, transport_secret, 32), 0);

    struct sl_identity other = from_seed(8);
    cr_assert_neq(memcmp(identity.id, other.id, 32), 0);
    cr_assert_neq(memcmp(kept, transport_secret, 32), 0);
    cr_assert_neq(memcmp(identity.certificate + AT_INVITE_KEY, other.certificate + AT_INVITE_KEY, 32), 0);
}

Test(identity, has_another_id_in_another_network)
{
    uint8_t id[32], other_id[32], other_network[32] = {0x12};
    sl_identity_id(network, operator_key, id);
    sl_identity_id(other_network, operator_key, other_id);
    cr_assert_neq(memcmp(id, other_id, 32), 0);
}
