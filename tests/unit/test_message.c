/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/samples.h"

static uint8_t bytes[SL_MESSAGE_MAX], again[SL_MESSAGE_MAX];

static struct sl_envelope over(enum sl_message_type type, const struct sl_writer *writer)
{
    cr_assert_not(writer->full);
    return (struct sl_envelope){.type = type, .body = writer->bytes, .body_size = writer->size};
}

static int read_any(enum sl_message_type type, const struct sl_writer *writer)
{
    struct sl_envelope envelope = over(type, writer);
    struct sl_writer sink = sl_writer_over(again, sizeof again);
    return sample_rewrite(&envelope, &sink);
}

/* written_X(): the error of reading a body back. */
#define CASE(TYPE, name) \
    static int written_##name(struct sl_##name body) \
    { \
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes); \
        sl_write_##name(&writer, &body); \
        return read_any(SL_MESSAGE_##TYPE, &writer); \
    }
CASE(HELLO, hello) CASE(ADVERT, advert) CASE(VIEW_PULL, view_pull) CASE(VIEW, view_adverts) CASE(PROPOSE, propose) CASE(ROSTER, roster)
CASE(REFUSE, refuse) CASE(NEED, need) CASE(GET, get) CASE(CHUNK, chunk)
#undef CASE

/* The body of `type` as msgpack-c sees it: "[7 32*a1 [32*b0]]": numbers, bins as size*first byte, arrays. */
static size_t describe(const msgpack_object *object, char *text, size_t size)
{
    switch (object->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER: return (size_t)snprintf(text, size, "%llu", (unsigned long long)object->via.u64);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: return (size_t)snprintf(text, size, "%lld", (long long)object->via.i64);
    case MSGPACK_OBJECT_BIN:
        if (object->via.bin.size == 0) return (size_t)snprintf(text, size, "0*");
        return (size_t)snprintf(text, size, "%u*%02x", object->via.bin.size, (uint8_t)object->via.bin.ptr[0]);
    case MSGPACK_OBJECT_ARRAY: {
        size_t length = (size_t)snprintf(text, size, "[");
        for (uint32_t i = 0; i < object->via.array.size; i++) {
            if (i > 0) length += (size_t)snprintf(text + length, size - length, " ");
            length += describe(&object->via.array.ptr[i], text + length, size - length);
        }
        return length + (size_t)snprintf(text + length, size - length, "]");
    }
    default: return (size_t)snprintf(text, size, "?");
    }
}

static const char *seen_by_msgpack_c(enum sl_message_type type, enum sample kind)
{
    static char text[4096];
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sample_write_body(&writer, type, kind);

    msgpack_unpacked oracle;
    size_t consumed = 0;
    msgpack_unpacked_init(&oracle);
    cr_assert_eq(msgpack_unpack_next(&oracle, (const char *)bytes, writer.size, &consumed), MSGPACK_UNPACK_SUCCESS);
    cr_assert_eq(consumed, writer.size);
    describe(&oracle.data, text, sizeof text);
    msgpack_unpacked_destroy(&oracle);
    return text;
}

static const char *end_of(const char *text, size_t length)
{
    size_t all = strlen(text);
    return all < length ? text : text + all - length;
}

Test(message, bodies_hold_their_items_in_the_order_of_the_struct)
{
#define SEEN(TYPE, kind, text) cr_assert_str_eq(seen_by_msgpack_c(SL_MESSAGE_##TYPE, SAMPLE_##kind), text)
#define BEGINS(TYPE, kind, text) cr_assert_eq(strncmp(seen_by_msgpack_c(SL_MESSAGE_##TYPE, SAMPLE_##kind), text, strlen(text)), 0)
#define ENDS(TYPE, kind, text) cr_assert_str_eq(end_of(seen_by_msgpack_c(SL_MESSAGE_##TYPE, SAMPLE_##kind), strlen(text)), text)
    SEEN(HELLO, SMALL, "[0 0* 0*]");
    SEEN(HELLO, LARGE, "[18446744073709551615 1024*a1 48*a2]");
    SEEN(ADVERT, SMALL, "[0 1 32*a1 32*a2 [] 0* 0* 0 0 32*00 32*00]");
    SEEN(ADVERT, LARGE, "[18446744073709551615 259200 32*a1 32*a2 [47*7e 47*7e] 32*ff 512*a3 2 18446744073709551615 32*a4 32*a5]");
    SEEN(VIEW_PULL, SMALL, "[1]");
    SEEN(VIEW_PULL, LARGE, "[16]");
    SEEN(VIEW, SMALL, "[[]]");
    SEEN(PING, SMALL, "[0]");
    SEEN(PONG, LARGE, "[18446744073709551615]");
    SEEN(PROPOSE, SMALL, "[32*a1 [32*b0] 3 16 32*a2 -15 1 0 0 0]");
    ENDS(PROPOSE, LARGE, "32*ef] 64 32 32*a2 30 65536 2 4602678819172646912 18446744073709551615]");
    SEEN(JOIN, SMALL, "[32*a1 32*a2 0* 32*a3 32*a4 32*a5 0* 0]");
    SEEN(JOIN, LARGE, "[32*a1 32*a2 47*7e 32*a3 32*a4 32*a5 512*a6 18446744073709551615]");
    SEEN(ROSTER, SMALL, "[[0*]]");
    SEEN(RELEASED, SMALL, "[]");
    SEEN(REFUSE, LARGE, "[255]");
    SEEN(SHARES, SMALL, "[32*a1 32*a2 [[0* 0* 0* 0* 32*b0 32*a7]]]");
    SEEN(LIST, SMALL, "[0 32*a1 1 [32*b0]]");
    SEEN(COMMIT, SMALL, "[32*a1 32*a2]");
    SEEN(OPEN, SMALL, "[32*a1 32*a2]");
    SEEN(AUDIT, SMALL, "[32*a1 4*a2 4*00 [0*]]");
    BEGINS(AUDIT, LARGE, "[32*a1 128*a2 128*ff [0* 128*b1 128*b2");
    ENDS(AUDIT, LARGE, " 128*ee 128*ef]]");
    SEEN(CONFIRM, SMALL, "[32*a1]");
    SEEN(UNMASK, SMALL, "[32*a1 [0*]]");
    BEGINS(UNMASK, LARGE, "[32*a1 [0* 32*b1 32*b2");
    ENDS(UNMASK, LARGE, " 32*ee 32*ef]]");
    SEEN(REVEAL, SMALL, "[1 0 32*a1]");
    SEEN(REVEAL, LARGE, "[4 63 32*a1]");
    SEEN(RESULT, SMALL, "[32*a1 1 8 -63 32*a2]");
    SEEN(RESULT, LARGE, "[32*a1 18446744073709551615 32 63 32*a2]");
    SEEN(AGGREGATE, SMALL, "[0* 0* [0* 0* 0*] [0 []] 0* [0 []]]");
    SEEN(EVIDENCE, SMALL, "[1 32*a1 [0*] 0* []]");
    SEEN(PULL, LARGE, "[18446744073709551615 32*a1]");
    SEEN(NONE, SMALL, "[0 32*a1]");
    SEEN(NEED, LARGE, "[15 32*a1]");
    SEEN(GET, LARGE, "[32*a1 63]");
    SEEN(CHUNK, SMALL, "[32*a1 0 [] 1*a2]");
    SEEN(CHUNK, LARGE, "[32*a1 63 [32*b0 32*b1 32*b2 32*b3 32*b4 32*b5] 65536*a2]");
#undef SEEN
#undef BEGINS
#undef ENDS
}

Test(message, every_body_is_written_again_as_it_was_read)
{
    for (int i = 0; i < 2 * SAMPLE_TYPES; i++) {
        enum sl_message_type type = sample_types[i / 2];
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
        sample_write_body(&writer, type, i % 2 ? SAMPLE_LARGE : SAMPLE_SMALL);

        struct sl_envelope envelope = over(type, &writer);
        struct sl_writer second = sl_writer_over(again, sizeof again);
        cr_assert_eq(sample_rewrite(&envelope, &second), SL_OK, "%s", sl_message_name(type));

        cr_assert_eq(second.size, writer.size);
        cr_assert_eq(memcmp(again, bytes, writer.size), 0, "%s", sl_message_name(type));
    }
}

Test(message, fields_come_back_where_they_were_put)
{
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    struct sl_join in = sample_join(SAMPLE_LARGE), out;
    sl_write_join(&writer, &in);
    struct sl_envelope envelope = over(SL_MESSAGE_JOIN, &writer);
    cr_assert_eq(sl_read_join(&envelope, &out), SL_OK);
    cr_assert_eq(memcmp(out.sign_public, in.sign_public, 32), 0);
    cr_assert_eq(memcmp(out.transport_public, in.transport_public, 32), 0);
    cr_assert_str_eq(out.address, in.address);
    cr_assert_eq(memcmp(out.mask_public, in.mask_public, 32), 0);
    cr_assert_eq(memcmp(out.box_public, in.box_public, 32), 0);
    cr_assert_eq(memcmp(out.nonce, in.nonce, 32), 0);
    cr_assert_eq(out.certificate_size, SL_CERTIFICATE_MAX);
    cr_assert(out.certificate > bytes && out.certificate < bytes + sizeof bytes, "the certificate stays in the message");
    cr_assert_eq(out.refused, UINT64_MAX);

    struct sl_aggregate sent = sample_aggregate(SAMPLE_LARGE), got;
    writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_aggregate(&writer, &sent);
    envelope = over(SL_MESSAGE_AGGREGATE, &writer);
    cr_assert_eq(sl_read_aggregate(&envelope, &got), SL_OK);
    cr_assert(got.propose_size == 3072 && got.propose[0] == 0xa1);
    cr_assert(got.roster_size == 50176 && got.roster[0] == 0xa2);
    cr_assert_eq(got.n_lists, 4);
    for (uint8_t i = 0; i < 4; i++) cr_assert(got.list_sizes[i] == 2560 && got.lists[i][0] == 0xaa + i);
    cr_assert(got.result_size == 512 && got.result[0] == 0xa5);
    cr_assert_eq(got.confirms.signers, UINT64_MAX);
    cr_assert_eq(got.confirms.n, 64);
    cr_assert(got.confirms.all[0][63] == 0xa6 && got.confirms.all[63][63] == 0xa9);
    cr_assert_eq(got.results.signers, UINT64_MAX);
    cr_assert_eq(got.results.n, 64);
    cr_assert(got.results.all[0][63] == 0xa6 && got.results.all[63][63] == 0xa9);
}

Test(message, every_truncated_body_is_refused)
{
    for (int i = 0; i < 2 * SAMPLE_TYPES; i++) {
        enum sl_message_type type = sample_types[i / 2];
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
        sample_write_body(&writer, type, i % 2 ? SAMPLE_LARGE : SAMPLE_SMALL);

        size_t step = writer.size > 4096 ? 61 : 1;
        for (size_t size = 0; size < writer.size; size += step) {
            uint8_t *prefix = malloc(size ? size : 1);
            memcpy(prefix, bytes, size);
            struct sl_envelope envelope = {.type = type, .body = prefix, .body_size = size};
            struct sl_writer sink = sl_writer_over(again, sizeof again);
            cr_assert_eq(sample_rewrite(&envelope, &sink), SL_ERROR_TRUNCATED, "%s of %zu bytes", sl_message_name(type), size);
            free(prefix);
        }
    }
}

Test(message, a_body_with_an_item_more_or_less_is_refused)
{
    for (int i = 0; i < SAMPLE_TYPES; i++) {
        enum sl_message_type type = sample_types[i];
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
        sample_write_body(&writer, type, SAMPLE_SMALL);
        sl_write_uint(&writer, 0);
        cr_assert_eq(read_any(type, &writer), SL_ERROR_MALFORMED, "%s with a byte behind it", sl_message_name(type));

        bytes[0]++;                                            /* the array says so, too */
        cr_assert_eq(read_any(type, &writer), SL_ERROR_MALFORMED, "%s with an item more", sl_message_name(type));
        if (type == SL_MESSAGE_RELEASED) continue;

        bytes[0] -= 2;
        cr_assert_eq(read_any(type, &writer), SL_ERROR_MALFORMED, "%s with an item less", sl_message_name(type));
    }
}

/* PULL and NEED have bodies of one shape: only the envelope's type, which the signature covers, tells them apart. */
Test(message, a_body_is_not_read_under_the_name_of_another_type)
{
    for (int i = 0; i < SAMPLE_TYPES; i++) {
        enum sl_message_type type = sample_types[i];
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
        sample_write_body(&writer, type, SAMPLE_SMALL);
        struct sl_envelope envelope = over(type, &writer);

#define CASE(TYPE, name) \
        if (type != SL_MESSAGE_##TYPE) { \
            struct sl_##name body; \
            int error = sl_read_##name(&envelope, &body); \
            cr_assert_eq(error, SL_ERROR_MALFORMED, "%s as " #TYPE, sl_message_name(type)); \
        }
        CASE(HELLO, hello) CASE(ADVERT, advert) CASE(VIEW_PULL, view_pull) CASE(VIEW, view_adverts) CASE(PROPOSE, propose) CASE(JOIN, join)
        CASE(ROSTER, roster) CASE(REFUSE, refuse) CASE(SHARES, shares) CASE(LIST, list) CASE(COMMIT, commit) CASE(OPEN, open) CASE(AUDIT, audit)
        CASE(CONFIRM, confirm) CASE(UNMASK, unmask) CASE(REVEAL, reveal) CASE(RESULT, result) CASE(AGGREGATE, aggregate) CASE(EVIDENCE, evidence)
        CASE(NEED, need) CASE(GET, get) CASE(CHUNK, chunk)
        if (type != SL_MESSAGE_NONE) CASE(PULL, pull)
#undef CASE
        if (type != SL_MESSAGE_RELEASED) cr_assert_eq(sl_read_released(&envelope), SL_ERROR_MALFORMED);
    }
}

Test(message, a_ping_is_no_pong)
{
    struct sl_ping body = {7}, out;
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_ping(&writer, &body);
    struct sl_envelope ping = over(SL_MESSAGE_PING, &writer), pong = over(SL_MESSAGE_PONG, &writer);

    cr_assert_eq(sl_read_ping(&ping, SL_MESSAGE_PING, &out), SL_OK);
    cr_assert_eq(out.nonce, 7);
    cr_assert_eq(sl_read_ping(&ping, SL_MESSAGE_PONG, &out), SL_ERROR_MALFORMED);
    cr_assert_eq(sl_read_ping(&pong, SL_MESSAGE_PING, &out), SL_ERROR_MALFORMED);
}

Test(hello, has_a_door_of_48_bytes_or_none)
{
    for (size_t size = 0; size <= 50; size++) {
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
        sl_write_array(&writer, 3);
        sl_write_uint(&writer, 1);
        sl_write_bin(&writer, sample_bytes(0xa1), 10);
        sl_write_bin(&writer, sample_bytes(0xa2), size);
        struct sl_envelope envelope = over(SL_MESSAGE_HELLO, &writer);
        struct sl_hello out;
        int error = sl_read_hello(&envelope, &out);

        int expected = size == 0 || size == SL_DOOR_SIZE ? SL_OK : size < SL_DOOR_SIZE ? SL_ERROR_MALFORMED : SL_ERROR_TOO_LARGE;
        cr_assert_eq(error, expected, "%zu bytes", size);
        if (size == 0) cr_assert_null(out.door);
        if (size == SL_DOOR_SIZE) cr_assert(out.door && out.door[47] == 0xa2);
    }
}

Test(hello, holds_no_advert_larger_than_an_advert_may_be)
{
    struct sl_hello body = sample_hello(SAMPLE_LARGE);
    cr_assert_eq(written_hello(body), SL_OK);
    body.advert_size++;
    cr_assert_eq(written_hello(body), SL_ERROR_TOO_LARGE);
}

Test(advert, holds_addresses_without_blanks_and_none_that_is_empty)
{
    struct sl_advert body = sample_advert(SAMPLE_SMALL);
    body.n_addresses = 2;
    strcpy(body.addresses[0], "[fe80::1]:7400");
    strcpy(body.addresses[1], "10.0.0.1:7400");
    cr_assert_eq(written_advert(body), SL_OK);

    static const char bad[] = {' ', '\t', '\n', 0x1f, 0x7f, (char)0x80, (char)0xff};
    for (size_t i = 0; i < sizeof bad; i++)
        for (int which = 0; which < 2; which++) {
            struct sl_advert spoilt = body;
            spoilt.addresses[which][3] = bad[i];
            cr_assert_eq(written_advert(spoilt), SL_ERROR_MALFORMED, "byte %02x", (uint8_t)bad[i]);
        }
    for (int which = 0; which < 2; which++) {
        struct sl_advert spoilt = body;
        memset(spoilt.addresses[which], 0, SL_ADDRESS_MAX);
        cr_assert_eq(written_advert(spoilt), SL_ERROR_MALFORMED, "address %d is empty", which);
    }
}

Test(advert, lives_for_a_second_to_three_days)
{
    static const struct { uint32_t ttl_s; int error; } cases[] = {
        {0, SL_ERROR_MALFORMED}, {1, SL_OK}, {72 * 3600, SL_OK}, {72 * 3600 + 1, SL_ERROR_MALFORMED}, {UINT32_MAX, SL_ERROR_MALFORMED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_advert body = sample_advert(SAMPLE_SMALL);
        body.ttl_s = cases[i].ttl_s;
        cr_assert_eq(written_advert(body), cases[i].error, "%u s", cases[i].ttl_s);
    }
}

/* One with this many addresses, this name and a certificate of this size, written by hand: the writer would not. */
static int read_advert_of(uint32_t n_addresses, const char *name, size_t name_size, size_t certificate_size)
{
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_array(&writer, 11);
    sl_write_uint(&writer, 1);
    sl_write_uint(&writer, 1);
    sl_write_bin(&writer, sample_from, 32);
    sl_write_bin(&writer, sample_from, 32);
    sl_write_array(&writer, n_addresses);
    for (uint32_t i = 0; i < n_addresses; i++) sl_write_bin(&writer, "a", 1);
    sl_write_bin(&writer, name, name_size);
    sl_write_bin(&writer, sample_bytes(0xa3), certificate_size);
    sl_write_uint(&writer, 0);
    sl_write_uint(&writer, 0);
    for (int i = 0; i < 2; i++) sl_write_bin(&writer, sample_advert(SAMPLE_SMALL).ledger_head, 32);
    return read_any(SL_MESSAGE_ADVERT, &writer);
}

Test(advert, names_the_head_of_a_ledger_only_if_there_is_one)
{
    struct sl_advert body = sample_advert(SAMPLE_LARGE);
    cr_assert_eq(written_advert(body), SL_OK);
    body.ledger_records = 0;
    cr_assert_eq(written_advert(body), SL_ERROR_MALFORMED);
    memset(body.ledger_head, 0, 32);
    cr_assert_eq(written_advert(body), SL_ERROR_MALFORMED);
    memset(body.ledger_of, 0, 32);
    cr_assert_eq(written_advert(body), SL_OK);
    body.unit = 3;
    cr_assert_eq(written_advert(body), SL_ERROR_MALFORMED);
}

Test(advert, holds_two_addresses_a_name_of_32_bytes_and_a_certificate_of_512_at_most)
{
    static const char name[] = "thirty-three bytes are one too many";
    cr_assert_eq(read_advert_of(2, name, 32, 512), SL_OK);
    cr_assert_eq(read_advert_of(3, name, 32, 512), SL_ERROR_TOO_LARGE);
    cr_assert_eq(read_advert_of(2, name, 33, 512), SL_ERROR_TOO_LARGE);
    cr_assert_eq(read_advert_of(2, name, 32, 513), SL_ERROR_TOO_LARGE);
}

Test(advert, has_a_name_of_any_bytes_but_zero)
{
    cr_assert_eq(read_advert_of(0, "", 0, 0), SL_OK);
    cr_assert_eq(read_advert_of(0, "\x1b[2J\xff \n", 7, 0), SL_OK, "whoever shows it cleans it");
    cr_assert_eq(read_advert_of(0, "a\0b", 3, 0), SL_ERROR_MALFORMED);
    cr_assert_eq(read_advert_of(0, "a\0", 2, 0), SL_ERROR_MALFORMED, "it would be written again without the zero");
}

Test(view, is_asked_for_1_to_16_and_holds_no_more)
{
    cr_assert_eq(written_view_pull((struct sl_view_pull){0}), SL_ERROR_MALFORMED);
    cr_assert_eq(written_view_pull((struct sl_view_pull){SL_ADVERTS_MAX}), SL_OK);
    cr_assert_eq(written_view_pull((struct sl_view_pull){SL_ADVERTS_MAX + 1}), SL_ERROR_MALFORMED);

    struct sl_view_adverts body = sample_view_adverts(SAMPLE_LARGE);
    cr_assert_eq(written_view_adverts(body), SL_OK);
    body.adverts[7].size = 1025;
    cr_assert_eq(written_view_adverts(body), SL_ERROR_TOO_LARGE);

    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_array(&writer, 1);
    sl_write_array(&writer, SL_ADVERTS_MAX + 1);
    for (int i = 0; i <= SL_ADVERTS_MAX; i++) sl_write_bin(&writer, NULL, 0);
    cr_assert_eq(read_any(SL_MESSAGE_VIEW, &writer), SL_ERROR_TOO_LARGE);
}

Test(view, of_the_largest_adverts_fits_into_a_message)
{
    static uint8_t message[SL_MESSAGE_MAX];
    cr_assert_gt(sample_message(SL_MESSAGE_VIEW, SAMPLE_LARGE, message), 16 * 1024);
    cr_assert_gt(sample_message(SL_MESSAGE_ADVERT, SAMPLE_LARGE, message), 0);
    cr_assert_gt(sample_message(SL_MESSAGE_HELLO, SAMPLE_LARGE, message), 0);
    cr_assert_gt(sample_message(SL_MESSAGE_JOIN, SAMPLE_LARGE, message), 0);
}

Test(join, an_address_ends_at_47_bytes_and_holds_no_zero)
{
    static const struct { const char *text; size_t size; int error; } cases[] = {
        {"", 0, SL_OK},
        {"a\0b", 3, SL_ERROR_MALFORMED},
        {"a b", 3, SL_ERROR_MALFORMED},
        {"12345678901234567890123456789012345678901234567", 47, SL_OK},
        {"123456789012345678901234567890123456789012345678", 48, SL_ERROR_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
        sl_write_array(&writer, 8);
        sl_write_bin(&writer, sample_from, 32);
        sl_write_bin(&writer, sample_from, 32);
        sl_write_bin(&writer, cases[i].text, cases[i].size);
        for (int key = 0; key < 3; key++) sl_write_bin(&writer, sample_from, 32);
        sl_write_bin(&writer, NULL, 0);
        sl_write_uint(&writer, 0);
        cr_assert_eq(read_any(SL_MESSAGE_JOIN, &writer), cases[i].error, "case %zu", i);
    }
}

Test(propose, holds_its_numbers_to_their_ranges)
{
#define REFUSED(change) do { struct sl_propose body = sample_propose(SAMPLE_LARGE); change; \
    cr_assert_eq(written_propose(body), SL_ERROR_MALFORMED, #change); } while (0)
    REFUSED(body.n_candidates = 0);
    REFUSED(memcpy(body.candidates[31], body.candidates[0], 32));
    REFUSED(memcpy(body.candidates[1], body.candidates[0], 32));
    REFUSED(body.aim = 2);
    REFUSED(body.aim = SL_COHORT_MAX + 1);
    REFUSED(body.ring_bits = 0);
    REFUSED(body.ring_bits = 8);
    REFUSED(body.ring_bits = 17);
    REFUSED(body.ring_bits = 64);
    REFUSED(body.ref_exponent = -16);
    REFUSED(body.ref_exponent = 31);
    REFUSED(body.radius_q = 0);
    REFUSED(body.unit = 3);
#undef REFUSED
}

Test(propose, says_of_privacy_what_fits_together)
{
#define SAID(kind, error, change) do { struct sl_propose body = sample_propose(kind); change; \
    cr_assert_eq(written_propose(body), error, #change); } while (0)
    static const uint64_t smallest = UINT64_C(1) << 52, infinity = UINT64_C(0x7ff0000000000000), minus_one = UINT64_C(0xbff0000000000000);
    SAID(SAMPLE_SMALL, SL_OK, body.unit = 1);
    SAID(SAMPLE_SMALL, SL_ERROR_MALFORMED, body.unit = 2);
    SAID(SAMPLE_SMALL, SL_ERROR_MALFORMED, body.clip_bits = smallest);
    SAID(SAMPLE_SMALL, SL_ERROR_MALFORMED, body.sigma2 = 1);
    SAID(SAMPLE_LARGE, SL_OK, body.sigma2 = 1);
    SAID(SAMPLE_LARGE, SL_OK, body.clip_bits = smallest);
    SAID(SAMPLE_LARGE, SL_OK, body.clip_bits = infinity - smallest);
    SAID(SAMPLE_LARGE, SL_ERROR_MALFORMED, body.clip_bits = infinity - 1);
    SAID(SAMPLE_LARGE, SL_ERROR_MALFORMED, body.clip_bits += smallest / 2);
    SAID(SAMPLE_LARGE, SL_ERROR_MALFORMED, body.unit = 1);
    SAID(SAMPLE_LARGE, SL_ERROR_MALFORMED, body.unit = 0);
    SAID(SAMPLE_LARGE, SL_ERROR_MALFORMED, body.sigma2 = 0);
    SAID(SAMPLE_LARGE, SL_ERROR_MALFORMED, body.clip_bits = 0);
    SAID(SAMPLE_LARGE, SL_ERROR_MALFORMED, body.clip_bits = smallest - 1);
    SAID(SAMPLE_LARGE, SL_ERROR_MALFORMED, body.clip_bits = infinity);
    SAID(SAMPLE_LARGE, SL_ERROR_MALFORMED, body.clip_bits = minus_one);
    SAID(SAMPLE_LARGE, SL_ERROR_MALFORMED, body.ring_bits = 16);
    SAID(SAMPLE_LARGE, SL_ERROR_MALFORMED, body.radius_q = 65535);
#undef SAID
}

Test(propose, has_room_for_64_candidates_and_no_more)
{
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_array(&writer, 10);
    sl_write_bin(&writer, sample_from, 32);
    sl_write_array(&writer, SL_CANDIDATES_MAX + 1);
    for (int i = 0; i <= SL_CANDIDATES_MAX; i++) sl_write_bin(&writer, sample_from, 32);
    cr_assert_eq(read_any(SL_MESSAGE_PROPOSE, &writer), SL_ERROR_TOO_LARGE);
}

Test(join, refuses_candidates_by_64_bits)
{
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    struct sl_join in = sample_join(SAMPLE_SMALL), out;
    in.refused = UINT64_C(1) << 63;
    sl_write_join(&writer, &in);
    struct sl_envelope envelope = over(SL_MESSAGE_JOIN, &writer);
    cr_assert_eq(sl_read_join(&envelope, &out), SL_OK);
    cr_assert_eq(out.refused, UINT64_C(1) << 63);
}

Test(roster, holds_one_to_64_joins_of_at_most_the_size_of_a_join)
{
    struct sl_roster body = {.n_joins = 0};
    cr_assert_eq(written_roster(body), SL_ERROR_MALFORMED);

    body = sample_roster(SAMPLE_SMALL);
    body.joins[0].size = 1024;
    cr_assert_eq(written_roster(body), SL_OK);
    body.joins[0].size = 1025;
    cr_assert_eq(written_roster(body), SL_ERROR_TOO_LARGE);

    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_array(&writer, 1);
    sl_write_array(&writer, SL_COHORT_MAX + 1);
    for (int i = 0; i <= SL_COHORT_MAX; i++) sl_write_bin(&writer, NULL, 0);
    cr_assert_eq(read_any(SL_MESSAGE_ROSTER, &writer), SL_ERROR_TOO_LARGE);
}

Test(chunk, holds_its_index_path_and_data_to_their_limits)
{
    struct sl_chunk body = sample_chunk(SAMPLE_SMALL);
    body.index = SL_CHUNKS_MAX;
    cr_assert_eq(written_chunk(body), SL_ERROR_MALFORMED);

    body = sample_chunk(SAMPLE_SMALL);
    body.data_size = 0;
    cr_assert_eq(written_chunk(body), SL_ERROR_MALFORMED);

    static uint8_t large[4 * SL_CHUNK_ELEMENTS + 1];
    body.data = large;
    body.data_size = sizeof large;
    cr_assert_eq(written_chunk(body), SL_ERROR_TOO_LARGE);

    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_array(&writer, 4);
    sl_write_bin(&writer, sample_from, 32);
    sl_write_uint(&writer, 0);
    sl_write_array(&writer, SL_MERKLE_DEPTH_MAX + 1);
    for (int i = 0; i <= SL_MERKLE_DEPTH_MAX; i++) sl_write_bin(&writer, sample_from, 32);
    sl_write_bin(&writer, large, 4);
    cr_assert_eq(read_any(SL_MESSAGE_CHUNK, &writer), SL_ERROR_TOO_LARGE);
}

Test(small_bodies, hold_their_numbers_to_their_ranges)
{
    cr_assert_eq(written_refuse((struct sl_refuse){256}), SL_ERROR_MALFORMED);
    cr_assert_eq(written_need((struct sl_need){.step = 16}), SL_ERROR_MALFORMED);
    cr_assert_eq(written_get((struct sl_get){.index = SL_CHUNKS_MAX}), SL_ERROR_MALFORMED);
}
