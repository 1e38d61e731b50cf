/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "config/invite.h"
#include "starling/error.h"

static const char descriptor[] = "# network\nnetwork.name = birds\nchecksum 00\ndescriptor\n";
static struct sl_invite_file example, got;
static char why[512];

static void make(bool by_member)
{
    const uint8_t network[32] = {1}, seed[32] = {2}, host_seed[32] = {3};
    uint8_t operator_key[32], operator_secret[64], transport_secret[32];
    struct sl_identity host;
    crypto_sign_seed_keypair(operator_key, operator_secret, seed);
    sl_identity_from_seed(host_seed, network, operator_secret, "", 5000, &host, transport_secret);

    memset(&example, 0, sizeof example);
    example.has_invite = example.has_secret = true;
    sl_invite_issue(network, by_member ? host.sign_secret : operator_secret, by_member ? &host : NULL, seed, SL_INVITE_SINGLE_USE, 2, 4000, &example.invite);
    memset(example.network_secret, 0xab, 32);
    example.n_seeds = 2;
    memset(example.seeds[0].transport_public, 0x10, 32);
    strcpy(example.seeds[0].address, "192.0.2.7:7400");
    memset(example.seeds[1].transport_public, 0x20, 32);
    strcpy(example.seeds[1].address, "[2001:db8::1]:7400");
    example.descriptor = strdup(descriptor);
}

static void by_operator(void)
{
    make(false);
}

static void drop(void)
{
    sl_invite_file_finish(&example);
    sl_invite_file_finish(&got);
}

TestSuite(invite, .init = by_operator, .fini = drop);

/* From exactly that many bytes, so that the sanitizer sees a read past their end. */
static int parse(const char *text, size_t size)
{
    char *exact = malloc(size ? size : 1);
    memcpy(exact, text, size);
    sl_invite_file_finish(&got);
    int error = sl_invite_file_parse(exact, size, "a.invite", &got, why, sizeof why);
    free(exact);
    return error;
}

/* The file with these lines and a checksum that holds. */
static int parse_lines(const char *lines)
{
    char text[8192];
    uint8_t checksum[32];
    int size = snprintf(text, sizeof text, "starling-invite 1\n%s", lines);
    cr_assert_lt(size, (int)sizeof text - 80);
    sl_hash_once("invite-file", text, (size_t)size, checksum);
    size += sprintf(text + size, "checksum ");
    for (int i = 0; i < 32; i++) size += sprintf(text + size, "%02x", checksum[i]);
    size += sprintf(text + size, "\n");
    return parse(text, (size_t)size);
}

static void refuses(const char *lines, const char *part)
{
    cr_assert_eq(parse_lines(lines), SL_ERROR_FORMAT, "%s", lines);
    cr_assert_not_null(strstr(why, part), "'%s' does not speak of '%s'", why, part);
    cr_assert_eq(strncmp(why, "a.invite", 8), 0, "%s", why);
    cr_assert_null(got.descriptor);
}

#define HEX_32 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SEED "seed " HEX_32 " 127.0.0.1:7400\n"

static void expect_example(void)
{
    cr_assert_eq(got.has_invite, example.has_invite);
    cr_assert_eq(memcmp(&got.invite, &example.invite, sizeof got.invite), 0);
    cr_assert_eq(got.has_secret, example.has_secret);
    cr_assert_eq(memcmp(got.network_secret, example.network_secret, 32), 0);
    cr_assert_eq(got.n_seeds, example.n_seeds);
    cr_assert_eq(memcmp(got.seeds, example.seeds, sizeof got.seeds), 0);
    cr_assert_str_eq(got.descriptor, example.descriptor);
}

Test(invite, comes_back_as_it_was_written)
{
    char *text = sl_invite_file_text(&example);
    cr_assert_eq(parse(text, strlen(text)), SL_OK, "%s", why);
    expect_example();
    cr_assert_eq(strncmp(text, "starling-invite 1\ninvite ", 25), 0);
    cr_assert_not_null(strstr(text, "\nseed 1010101010101010101010101010101010101010101010101010101010101010 192.0.2.7:7400\n"));
    cr_assert_not_null(strstr(text, descriptor), "byte for byte");
    free(text);
}

Test(invite, of_a_member_holds_its_certificate)
{
    drop();
    make(true);
    char *text = sl_invite_file_text(&example);
    cr_assert_eq(parse(text, strlen(text)), SL_OK, "%s", why);
    expect_example();
    cr_assert(got.invite.has_host);
    free(text);
}

Test(invite, to_an_open_network_is_a_descriptor_and_a_seed)
{
    example.has_invite = example.has_secret = false;
    memset(&example.invite, 0, sizeof example.invite);
    memset(example.network_secret, 0, 32);
    example.n_seeds = 1;
    memset(&example.seeds[1], 0, sizeof example.seeds[1]);
    char *text = sl_invite_file_text(&example);
    cr_assert_eq(parse(text, strlen(text)), SL_OK, "%s", why);
    expect_example();
    free(text);
}

Test(invite, of_the_largest_parts_fits)
{
    example.invite = (struct sl_invite){.flags = UINT32_MAX, .slot = UINT32_MAX, .expires_s = UINT64_MAX, .has_host = true,
                                        .host_certificate_size = SL_CERTIFICATE_MAX};
    memset(example.invite.host_certificate, 0xff, SL_CERTIFICATE_MAX);
    example.n_seeds = SL_SEEDS_MAX;
    for (int i = 0; i < SL_SEEDS_MAX; i++) memset(example.seeds[i].address, '~', SL_PEER_ADDRESS_MAX - 1);
    char *text = sl_invite_file_text(&example);
    cr_assert_eq(parse(text, strlen(text)), SL_OK, "%s", why);
    expect_example();
    free(text);
}

Test(invite, gives_a_descriptor_without_an_end_of_line_one)
{
    example.descriptor[strlen(example.descriptor) - 1] = 0;
    char *text = sl_invite_file_text(&example);
    cr_assert_eq(parse(text, strlen(text)), SL_OK, "%s", why);
    cr_assert_str_eq(got.descriptor, descriptor);
    free(text);
}

Test(invite, cut_anywhere_is_refused)
{
    char *text = sl_invite_file_text(&example);
    for (size_t size = 0; size + 1 < strlen(text); size++) {
        cr_assert_eq(parse(text, size), SL_ERROR_FORMAT, "%zu bytes", size);
        cr_assert_null(got.descriptor);
    }
    cr_assert_eq(parse(text, strlen(text) - 1), SL_OK, "without the last end of line");
    free(text);
}

Test(invite, with_any_changed_byte_is_refused)
{
    char *text = sl_invite_file_text(&example);
    size_t size = strlen(text);
    for (size_t i = 0; i + 1 < size; i++) {
        text[i] ^= 1;
        cr_assert_eq(parse(text, size), SL_ERROR_FORMAT, "byte %zu", i);
        text[i] ^= 1;
    }
    free(text);
}

Test(invite, minds_no_empty_lines_behind_it_but_everything_else)
{
    char text[8192];
    char *written = sl_invite_file_text(&example);
    int size = snprintf(text, sizeof text, "%s\n \r\n\n", written);
    cr_assert_eq(parse(text, (size_t)size), SL_OK, "%s", why);
    expect_example();
    size = snprintf(text, sizeof text, "%s-- \nsent from a bus\n", written);
    cr_assert_eq(parse(text, (size_t)size), SL_ERROR_FORMAT);
    size = snprintf(text, sizeof text, "%s", written);
    text[size] = 0;
    cr_assert_eq(parse(text, (size_t)size + 1), SL_ERROR_FORMAT, "a zero byte");
    free(written);
}

Test(invite, is_told_from_other_files_and_versions)
{
    cr_assert_eq(parse("network.name = birds\n", 21), SL_ERROR_FORMAT);
    cr_assert_not_null(strstr(why, "a.invite is not an invite"), "%s", why);
    cr_assert_eq(parse("starling-invite 2\nfoo\n", 22), SL_ERROR_FORMAT);
    cr_assert_not_null(strstr(why, "another version"), "%s", why);
    cr_assert_eq(parse("starling-invite 1", 17), SL_ERROR_FORMAT);
    cr_assert_not_null(strstr(why, "cut or changed"), "%s", why);
    cr_assert_eq(parse("", 0), SL_ERROR_FORMAT);
}

Test(invite, larger_than_two_megabytes_is_refused)
{
    char *text = calloc(1, SL_INVITE_FILE_MAX + 1);
    memset(text, 'a', SL_INVITE_FILE_MAX + 1);
    memcpy(text, "starling-invite 1\n", 18);
    cr_assert_eq(parse(text, SL_INVITE_FILE_MAX + 1), SL_ERROR_TOO_LARGE);
    cr_assert_eq(parse(text, SL_INVITE_FILE_MAX), SL_ERROR_FORMAT);
    free(text);
}

Test(invite, names_the_line_that_is_wrong)
{
    cr_assert_eq(parse_lines(SEED "descriptor\nx\n"), SL_OK, "%s", why);
    refuses("sed " HEX_32 " 127.0.0.1:7400\ndescriptor\nx\n", "a.invite:2: this is no line of an invite");
    refuses(SEED "\ndescriptor\nx\n", "a.invite:3: ");
    refuses(SEED "secret " HEX_32 "\nsecret " HEX_32 "\ndescriptor\nx\n", "a.invite:4: a second network secret");
    refuses(SEED "secret " HEX_32 "0\ndescriptor\nx\n", "64 digits");
    refuses(SEED "secret  " HEX_32 "\ndescriptor\nx\n", "64 digits");
    refuses(SEED "secret " HEX_32 " \ndescriptor\nx\n", "64 digits");
    refuses(SEED "secret\ndescriptor\nx\n", "64 digits");
    refuses(SEED, "descriptor is missing");
    refuses(SEED "descriptor\n", "descriptor is missing");
    refuses("descriptor\nx\n", "no seed");
    refuses("descriptor \nx\n", "a.invite:2: ");
}

Test(invite, takes_seeds_of_plain_short_addresses_only)
{
    refuses("seed " HEX_32 "\ndescriptor\nx\n", "1 to 47");
    refuses("seed " HEX_32 " \ndescriptor\nx\n", "1 to 47");
    refuses("seed " HEX_32 " 123456789012345678901234567890123456789012345678\ndescriptor\nx\n", "1 to 47");
    cr_assert_eq(parse_lines("seed " HEX_32 " 12345678901234567890123456789012345678901234567\ndescriptor\nx\n"), SL_OK, "%s", why);
    refuses("seed " HEX_32 " 127.0.0.1:7400 x\ndescriptor\nx\n", "without blanks");
    refuses("seed " HEX_32 " 127.0.0.1:7400\r\ndescriptor\nx\n", "without blanks");
    refuses("seed " HEX_32 " \x1b[2J\ndescriptor\nx\n", "without blanks");
    refuses("seed 0011 127.0.0.1:7400\ndescriptor\nx\n", "64 digits");
    refuses("seed 0" HEX_32 " 127.0.0.1:7400\ndescriptor\nx\n", "64 digits");

    char lines[4096] = "";
    for (int i = 0; i < SL_SEEDS_MAX; i++) strcat(lines, SEED);
    strcat(lines, "descriptor\nx\n");
    cr_assert_eq(parse_lines(lines), SL_OK, "%s", why);
    char more[4200];
    snprintf(more, sizeof more, SEED "%s", lines);
    refuses(more, "a.invite:18: more than 16 seeds");
}

/* An invite line with one field exchanged. */
static void refuses_invite(const char *secret, const char *numbers, const char *signature, const char *rest, const char *part)
{
    char lines[4096];
    snprintf(lines, sizeof lines, "invite %s %s %s%s\n" SEED "descriptor\nx\n", secret, numbers, signature, rest);
    refuses(lines, part);
}

Test(invite, line_is_held_to_its_fields)
{
    char good[4096];
    snprintf(good, sizeof good, "invite %s %s %s%s\n" SEED "descriptor\nx\n", HEX_32 HEX_32, "1 0 18446744073709551615", HEX_32 HEX_32, " " HEX_32 " 00");
    cr_assert_eq(parse_lines(good), SL_OK, "%s", why);
    cr_assert_eq(got.invite.expires_s, UINT64_MAX);
    cr_assert_eq(got.invite.host_certificate_size, 1);

    refuses_invite(HEX_32, "1 0 5", HEX_32 HEX_32, "", "secret must be 128");
    refuses_invite("-" HEX_32 HEX_32, "1 0 5", HEX_32 HEX_32, "", "secret must be 128");
    static const char *const numbers[] = {"4294967296 0 5", "1 4294967296 5", "1 0 18446744073709551616", "1 0 99999999999999999999", "-1 0 5", "01 0 5",
                                          "1 0x 5", "1  5", "+1 0 5", "1 0 "};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) refuses_invite(HEX_32 HEX_32, numbers[i], HEX_32 HEX_32, "", "whole numbers");
    refuses_invite(HEX_32 HEX_32, "1 0 5", HEX_32, "", "signature must be 128");
    refuses_invite(HEX_32 HEX_32, "1 0 5", HEX_32 "0011223344556677889gaabbccddeeff00112233445566778899aabbccddeeff", "", "signature must be 128");
    refuses_invite(HEX_32 HEX_32, "1 0 5", HEX_32 HEX_32, " 00", "host's key");
    refuses_invite(HEX_32 HEX_32, "1 0 5", HEX_32 HEX_32, " " HEX_32, "host's certificate");
    refuses_invite(HEX_32 HEX_32, "1 0 5", HEX_32 HEX_32, " " HEX_32 " ", "host's certificate");
    refuses_invite(HEX_32 HEX_32, "1 0 5", HEX_32 HEX_32, " " HEX_32 " 000", "host's certificate");
    refuses_invite(HEX_32 HEX_32, "1 0 5", HEX_32 HEX_32, " " HEX_32 " 00 00", "host's certificate");

    char certificate[2 * SL_CERTIFICATE_MAX + 80];
    snprintf(certificate, sizeof certificate, " " HEX_32 " %0*d", 2 * SL_CERTIFICATE_MAX + 2, 0);
    refuses_invite(HEX_32 HEX_32, "1 0 5", HEX_32 HEX_32, certificate, "host's certificate");

    char twice[8192];
    snprintf(twice, sizeof twice, "invite %s 1 0 5 %s\n%s", HEX_32 HEX_32, HEX_32 HEX_32, good);
    refuses(twice, "a.invite:3: a second invite");
}

Test(invite, leaves_its_output_alone_on_failure)
{
    struct sl_invite_file out = {.n_seeds = 9}, before = out;
    cr_assert_eq(sl_invite_file_parse("starling-invite 1\n", 18, "x", &out, NULL, 0), SL_ERROR_FORMAT);
    cr_assert_eq(memcmp(&out, &before, sizeof out), 0);
}
