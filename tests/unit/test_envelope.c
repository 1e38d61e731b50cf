/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/samples.h"
#include "base/hash.h"

static uint8_t message[SL_MESSAGE_MAX + 1], sign_public[32], sign_secret[64];

static void make_keys(void)
{
    sample_keys(sign_public, sign_secret);
}

/* The outside written by hand, so that it can be wrong: what follows `from` is the caller's. */
static struct sl_writer begin_by_hand(uint32_t n_elements, uint64_t version, uint64_t type)
{
    struct sl_writer writer = sl_writer_over(message, sizeof message);
    sl_write_array(&writer, n_elements);
    sl_write_uint(&writer, version);
    sl_write_uint(&writer, type);
    sl_write_bin(&writer, sample_network, 32);
    sl_write_uint(&writer, 9);
    sl_write_bin(&writer, sample_cohort, 32);
    sl_write_bin(&writer, sample_from, 32);
    return writer;
}

static size_t seal_by_hand(struct sl_writer *writer)
{
    uint8_t digest[32], signature[64];
    sl_hash_once("message", writer->bytes, writer->size, digest);
    crypto_sign_detached(signature, NULL, digest, sizeof digest, sign_secret);
    sl_write_bin(writer, signature, sizeof signature);
    return writer->size;
}

static int open_error(const uint8_t *bytes, size_t size)
{
    struct sl_envelope envelope;
    return sl_envelope_open(bytes, size, sample_network, &envelope);
}

TestSuite(envelope, .init = make_keys);

Test(envelope, opens_what_was_sealed)
{
    struct sl_commit commit = {{0xa1}};
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_COMMIT, sample_network, 77, sample_cohort, sample_from, message, sizeof message);
    sl_write_commit(&writer, &commit);
    size_t size = sl_envelope_seal(&writer, SL_MESSAGE_COMMIT, sign_secret);

    struct sl_envelope envelope;
    cr_assert_eq(sl_envelope_open(message, size, sample_network, &envelope), SL_OK);

    cr_assert_eq(envelope.type, SL_MESSAGE_COMMIT);
    cr_assert_eq(envelope.epoch, 77);
    cr_assert_eq(memcmp(envelope.cohort, sample_cohort, 32), 0);
    cr_assert_eq(memcmp(envelope.from, sample_from, 32), 0);
    cr_assert_eq(envelope.body_size, 69);
    cr_assert_eq(envelope.body[0], 0x92);
    cr_assert_eq(envelope.bytes, message);
    cr_assert_eq(envelope.size, size);
    cr_assert_eq(envelope.signed_size, size - 66);
    cr_assert_eq(envelope.signature, message + size - 64);
    cr_assert(sl_envelope_verify(&envelope, sign_public));
}

Test(envelope, opens_every_type_and_verifies_exactly_the_signed_ones)
{
    static const bool is_signed[] = {
#define X(name, number, is_signed, size_max, help) [number] = is_signed,
#include "wire/messages.def"
#undef X
    };
    for (int i = 0; i < SAMPLE_TYPES; i++) {
        size_t size = sample_message(sample_types[i], SAMPLE_LARGE, message);
        cr_assert_neq(size, 0, "%s does not fit its own limit", sl_message_name(sample_types[i]));

        struct sl_envelope envelope;
        cr_assert_eq(sl_envelope_open(message, size, sample_network, &envelope), SL_OK);
        cr_assert_eq(envelope.epoch, UINT64_MAX);
        cr_assert_eq(envelope.signature != NULL, is_signed[sample_types[i]]);
        cr_assert_eq(sl_envelope_verify(&envelope, sign_public), is_signed[sample_types[i]]);
        cr_assert_eq(sl_message_is_signed(sample_types[i]), is_signed[sample_types[i]]);
    }
    cr_assert_not(sl_message_is_signed(0), "no type");
    cr_assert_not(sl_message_is_signed(23), "a gap");
    cr_assert_not(sl_message_is_signed(UINT32_MAX));
}

Test(envelope, msgpack_c_sees_the_same_eight_elements)
{
    size_t size = sample_message(SL_MESSAGE_RESULT, SAMPLE_LARGE, message);
    msgpack_unpacked oracle;
    msgpack_unpacked_init(&oracle);
    size_t consumed = 0;

    cr_assert_eq(msgpack_unpack_next(&oracle, (const char *)message, size, &consumed), MSGPACK_UNPACK_SUCCESS);

    cr_assert_eq(consumed, size);
    cr_assert_eq(oracle.data.type, MSGPACK_OBJECT_ARRAY);
    cr_assert_eq(oracle.data.via.array.size, 8);
    const msgpack_object *items = oracle.data.via.array.ptr;
    cr_assert_eq(items[0].via.u64, SL_PROTOCOL_VERSION);
    cr_assert_eq(items[1].via.u64, SL_MESSAGE_RESULT);
    cr_assert_eq(memcmp(items[2].via.bin.ptr, sample_network, 32), 0);
    cr_assert_eq(items[3].via.u64, UINT64_MAX);
    cr_assert_eq(memcmp(items[4].via.bin.ptr, sample_cohort, 32), 0);
    cr_assert_eq(memcmp(items[5].via.bin.ptr, sample_from, 32), 0);
    cr_assert_eq(items[6].type, MSGPACK_OBJECT_ARRAY);
    cr_assert_eq(items[7].via.bin.size, 64);
    msgpack_unpacked_destroy(&oracle);
}

Test(envelope, digest_is_what_the_seal_signed)
{
    for (int i = 0; i < SAMPLE_TYPES; i++) {
        size_t size = sample_message(sample_types[i], SAMPLE_SMALL, message);
        struct sl_envelope envelope;
        cr_assert_eq(sl_envelope_open(message, size, sample_network, &envelope), SL_OK);
        if (!envelope.signature) continue;

        uint8_t digest[32];
        sl_envelope_digest(envelope.type, sample_network, envelope.epoch, envelope.cohort, envelope.from, envelope.body,
                           envelope.body_size, digest);

        cr_assert(sl_digest_verify(digest, envelope.signature, sign_public));
        digest[31] ^= 1;
        cr_assert_not(sl_digest_verify(digest, envelope.signature, sign_public));
    }
}

Test(envelope, refuses_every_truncation)
{
    for (int i = 0; i < SAMPLE_TYPES; i++) {
        size_t whole = sample_message(sample_types[i], SAMPLE_SMALL, message);
        for (size_t size = 0; size < whole; size++) {
            uint8_t *prefix = malloc(size ? size : 1);         /* exact: the sanitizer sees a read past the end */
            memcpy(prefix, message, size);
            cr_assert_eq(open_error(prefix, size), SL_ERROR_TRUNCATED, "%s of %zu bytes", sl_message_name(sample_types[i]), size);
            free(prefix);
        }
    }
}

Test(envelope, no_change_of_one_byte_passes_for_the_original)
{
    size_t size = sample_message(SL_MESSAGE_PROPOSE, SAMPLE_SMALL, message);
    for (size_t at = 0; at < size; at++) {
        for (unsigned change = 1; change <= 0x100; change <<= 1) {
            uint8_t original = message[at];
            message[at] ^= (uint8_t)(change == 0x100 ? 0xff : change);

            struct sl_envelope envelope;
            int error = sl_envelope_open(message, size, sample_network, &envelope);
            cr_assert(error || !sl_envelope_verify(&envelope, sign_public), "byte %zu, change %02x", at, change);
            message[at] = original;
        }
    }
}

Test(envelope, leaves_its_output_alone_on_failure)
{
    size_t size = sample_message(SL_MESSAGE_COMMIT, SAMPLE_SMALL, message);
    struct sl_envelope envelope = {.epoch = 123}, before = envelope;

    cr_assert_neq(sl_envelope_open(message, size - 1, sample_network, &envelope), SL_OK);

    cr_assert_eq(memcmp(&envelope, &before, sizeof before), 0);
}

Test(envelope, holds_every_type_to_its_size)
{
    static uint8_t filler[SL_MESSAGE_MAX];
    static const uint32_t size_max[] = {
#define X(name, number, is_signed, size_max, help) [number] = size_max,
#include "wire/messages.def"
#undef X
    };
    for (int i = 0; i < SAMPLE_TYPES; i++) {
        uint32_t type = sample_types[i];
        static const bool rows[] = {
#define X(name, number, is_signed, size_max, help) [number] = is_signed,
#include "wire/messages.def"
#undef X
        };
        bool is_signed = rows[type];
        for (uint32_t over = 0; over <= 1; over++) {
            struct sl_writer writer = begin_by_hand(8, SL_PROTOCOL_VERSION, type);
            size_t rest = size_max[type] + over - writer.size - (is_signed ? 66 : 2);
            sl_write_array(&writer, 1);
            sl_write_bin(&writer, filler, rest - 1 - (rest - 3 < 256 ? 2 : rest - 4 < 65536 ? 3 : 5));
            if (is_signed) seal_by_hand(&writer);
            else sl_write_bin(&writer, NULL, 0);

            cr_assert_eq(writer.size, size_max[type] + over);
            cr_assert_eq(open_error(message, writer.size), over ? SL_ERROR_TOO_LARGE : SL_OK, "%s + %u", sl_message_name(type), over);
        }
    }
}

Test(envelope, refuses_a_frame_over_the_limit_before_it_looks_inside)
{
    memset(message, 0xc0, sizeof message);
    cr_assert_eq(open_error(message, SL_MESSAGE_MAX + 1), SL_ERROR_TOO_LARGE);
    cr_assert_eq(open_error(message, SL_MESSAGE_MAX), SL_ERROR_MALFORMED);
}

Test(envelope, refuses_another_version_even_in_another_shape)
{
    struct sl_writer writer = begin_by_hand(8, SL_PROTOCOL_VERSION + 1, SL_MESSAGE_RELEASED);
    sl_write_released(&writer);
    cr_assert_eq(open_error(message, seal_by_hand(&writer)), SL_ERROR_BAD_VERSION);

    writer = begin_by_hand(8, 0, SL_MESSAGE_RELEASED);
    sl_write_released(&writer);
    cr_assert_eq(open_error(message, seal_by_hand(&writer)), SL_ERROR_BAD_VERSION);

    writer = begin_by_hand(9, SL_PROTOCOL_VERSION + 1, SL_MESSAGE_RELEASED);
    sl_write_released(&writer);
    sl_write_uint(&writer, 1);
    cr_assert_eq(open_error(message, seal_by_hand(&writer)), SL_ERROR_BAD_VERSION);

    writer = begin_by_hand(9, SL_PROTOCOL_VERSION, SL_MESSAGE_RELEASED);
    sl_write_released(&writer);
    sl_write_uint(&writer, 1);
    cr_assert_eq(open_error(message, seal_by_hand(&writer)), SL_ERROR_MALFORMED);
}

Test(envelope, refuses_another_network)
{
    size_t size = sample_message(SL_MESSAGE_COMMIT, SAMPLE_SMALL, message);
    uint8_t other[32];
    memcpy(other, sample_network, 32);
    other[31] ^= 1;

    struct sl_envelope envelope;
    cr_assert_eq(sl_envelope_open(message, size, other, &envelope), SL_ERROR_WRONG_NETWORK);
}

Test(envelope, refuses_every_type_that_is_not_in_the_list)
{
    for (uint64_t type = 0; type < 300; type++) {
        struct sl_writer writer = begin_by_hand(8, SL_PROTOCOL_VERSION, type);
        sl_write_released(&writer);
        size_t size = seal_by_hand(&writer);
        if (!sl_message_name((uint32_t)type)) cr_assert_eq(open_error(message, size), SL_ERROR_MALFORMED, "type %u", (unsigned)type);
    }

    struct sl_writer writer = begin_by_hand(8, SL_PROTOCOL_VERSION, UINT64_C(0x100000000) + SL_MESSAGE_RELEASED);
    sl_write_released(&writer);
    cr_assert_eq(open_error(message, seal_by_hand(&writer)), SL_ERROR_MALFORMED, "a type must not be cut to 32 bits");
}

Test(envelope, refuses_what_follows_the_signature_or_the_body)
{
    size_t size = sample_message(SL_MESSAGE_COMMIT, SAMPLE_SMALL, message);
    message[size] = 0x00;
    cr_assert_eq(open_error(message, size + 1), SL_ERROR_MALFORMED);

    struct sl_writer writer = begin_by_hand(8, SL_PROTOCOL_VERSION, SL_MESSAGE_RELEASED);
    sl_write_released(&writer);
    sl_write_uint(&writer, 5);
    cr_assert_eq(open_error(message, seal_by_hand(&writer)), SL_ERROR_MALFORMED);
}

Test(envelope, refuses_a_body_that_is_no_plain_array)
{
    static const struct { const char *bytes; size_t size; } bodies[] = {
        {"\x05", 1}, {"\xff", 1}, {"\xc4\x01\xaa", 3}, {"\xc0", 1}, {"\x80", 1}, {"\xa1\x61", 2},
        {"\x91\xa1\x61", 3}, {"\x91\xc3", 2}, {"\x91\x81\x01\x01", 4}, {"\x91\xca\x00\x00\x00\x00", 6}, {"\x91\xcc\x05", 3},
        {"\x91\x91\x91\x91\x90", 5}, {"\xdc\x00\x00", 3},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct sl_writer writer = begin_by_hand(8, SL_PROTOCOL_VERSION, SL_MESSAGE_RELEASED);
        sl_write_raw(&writer, bodies[i].bytes, bodies[i].size);
        cr_assert_eq(open_error(message, seal_by_hand(&writer)), SL_ERROR_MALFORMED, "body %zu", i);
    }
}

Test(envelope, refuses_a_longer_encoding_of_its_own_elements)
{
    size_t size = sample_message(SL_MESSAGE_COMMIT, SAMPLE_SMALL, message);
    memmove(message + 2, message + 1, size - 1);
    message[1] = 0xcc;                                         /* the version in two bytes */
    cr_assert_eq(open_error(message, size + 1), SL_ERROR_MALFORMED);
}

Test(envelope, signed_types_need_a_signature_and_unsigned_types_must_have_none)
{
    struct sl_writer writer = begin_by_hand(8, SL_PROTOCOL_VERSION, SL_MESSAGE_COMMIT);
    sample_write_body(&writer, SL_MESSAGE_COMMIT, SAMPLE_SMALL);
    sl_write_bin(&writer, NULL, 0);
    cr_assert_eq(open_error(message, writer.size), SL_ERROR_MALFORMED);

    writer = begin_by_hand(8, SL_PROTOCOL_VERSION, SL_MESSAGE_COMMIT);
    sample_write_body(&writer, SL_MESSAGE_COMMIT, SAMPLE_SMALL);
    sl_write_bin(&writer, sample_bytes(1), 63);
    cr_assert_eq(open_error(message, writer.size), SL_ERROR_MALFORMED);

    writer = begin_by_hand(8, SL_PROTOCOL_VERSION, SL_MESSAGE_GET);
    sample_write_body(&writer, SL_MESSAGE_GET, SAMPLE_SMALL);
    cr_assert_eq(open_error(message, seal_by_hand(&writer)), SL_ERROR_MALFORMED);
}

/* With a key of order one, R = key and S = 0 fit every message in implementations that do not look. */
Test(envelope, keys_of_low_order_verify_nothing)
{
    struct sl_writer writer = begin_by_hand(8, SL_PROTOCOL_VERSION, SL_MESSAGE_RELEASED);
    sl_write_released(&writer);
    uint8_t identity[32] = {1}, zero[32] = {0}, forged[64] = {1};
    sl_write_bin(&writer, forged, sizeof forged);

    struct sl_envelope envelope;
    cr_assert_eq(sl_envelope_open(message, writer.size, sample_network, &envelope), SL_OK);
    cr_assert_not(sl_envelope_verify(&envelope, identity));
    cr_assert_not(sl_envelope_verify(&envelope, zero));

    size_t size = sample_message(SL_MESSAGE_RELEASED, SAMPLE_SMALL, message);
    cr_assert_eq(sl_envelope_open(message, size, sample_network, &envelope), SL_OK);
    cr_assert_not(sl_envelope_verify(&envelope, zero));
}

Test(envelope, seals_nothing_that_does_not_fit)
{
    uint8_t whole[SL_MESSAGE_MAX];
    size_t size = sample_message(SL_MESSAGE_COMMIT, SAMPLE_SMALL, whole);
    for (size_t size_max = 0; size_max <= size; size_max++) {
        uint8_t *bytes = malloc(size_max ? size_max : 1);
        struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_COMMIT, sample_network, 0, sample_cohort, sample_from, bytes, size_max);
        sample_write_body(&writer, SL_MESSAGE_COMMIT, SAMPLE_SMALL);
        cr_assert_eq(sl_envelope_seal(&writer, SL_MESSAGE_COMMIT, sign_secret), size_max == size ? size : 0);
        free(bytes);
    }
}

Test(envelope, seals_nothing_that_its_type_does_not_allow)
{
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_RELEASED, sample_network, 0, sample_cohort, sample_from, message, sizeof message);
    sl_write_array(&writer, 1);
    sl_write_bin(&writer, sample_bytes(1), 100);
    cr_assert_eq(sl_envelope_seal(&writer, SL_MESSAGE_RELEASED, sign_secret), 0);
}

/* What others may pass on, or what decides a cohort, carries a signature; what its link proves does not. */
Test(envelope, signs_what_is_passed_on_and_not_what_the_link_proves)
{
    static const enum sl_message_type is_signed[] = {SL_MESSAGE_HELLO, SL_MESSAGE_ADVERT, SL_MESSAGE_JOIN}, is_not[] = {
        SL_MESSAGE_VIEW_PULL, SL_MESSAGE_VIEW, SL_MESSAGE_PING, SL_MESSAGE_PONG};
    struct sl_envelope envelope;
    for (size_t i = 0; i < sizeof is_signed / sizeof *is_signed; i++) {
        size_t size = sample_message(is_signed[i], SAMPLE_SMALL, message);
        cr_assert_eq(sl_envelope_open(message, size, sample_network, &envelope), SL_OK);
        cr_assert(sl_envelope_verify(&envelope, sign_public), "%s", sl_message_name(is_signed[i]));
    }
    for (size_t i = 0; i < sizeof is_not / sizeof *is_not; i++) {
        size_t size = sample_message(is_not[i], SAMPLE_SMALL, message);
        cr_assert_eq(sl_envelope_open(message, size, sample_network, &envelope), SL_OK);
        cr_assert_null(envelope.signature, "%s", sl_message_name(is_not[i]));
        cr_assert_not(sl_envelope_verify(&envelope, sign_public), "%s", sl_message_name(is_not[i]));
    }
}

Test(envelope, knows_the_names_of_its_types)
{
    cr_assert_str_eq(sl_message_name(SL_MESSAGE_PROPOSE), "PROPOSE");
    cr_assert_str_eq(sl_message_name(SL_MESSAGE_CHUNK), "CHUNK");
    cr_assert_null(sl_message_name(0));
    cr_assert_str_eq(sl_message_name(SL_MESSAGE_VIEW_PULL), "VIEW_PULL");
    cr_assert_null(sl_message_name(7));
    cr_assert_null(sl_message_name(UINT32_MAX));
}
