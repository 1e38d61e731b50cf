/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "wire/reader.h"

static const uint64_t edges[] = {
    0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0xffffffff, 0x100000000, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX,
};
static const int64_t signed_edges[] = {
    0, 0x7f, 0x80, 0xffff, INT64_MAX, -1, -32, -33, -128, -129, -32768, -32769, INT32_MIN, (int64_t)INT32_MIN - 1, INT64_MIN,
};
enum { N_EDGES = sizeof edges / sizeof *edges, N_SIGNED_EDGES = sizeof signed_edges / sizeof *signed_edges };

#define OVER(...) sl_reader_over((const uint8_t[]){__VA_ARGS__}, sizeof (const uint8_t[]){__VA_ARGS__})

/* Bytes on the heap without a byte to spare, so that the sanitizer sees every read past the end. */
static uint8_t *exact_copy(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    cr_assert_not_null(copy);
    if (size > 0) memcpy(copy, bytes, size);
    return copy;
}

static int skip_all(const uint8_t *bytes, size_t size)
{
    struct sl_reader reader = sl_reader_over(bytes, size);
    const uint8_t *start;
    size_t length;
    sl_read_skip(&reader, &start, &length);
    return sl_reader_finish(&reader);
}

Test(reader, reads_back_every_number_that_the_writer_wrote)
{
    uint8_t bytes[256];
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    for (int i = 0; i < N_EDGES; i++) sl_write_uint(&writer, edges[i]);
    for (int i = 0; i < N_SIGNED_EDGES; i++) sl_write_int(&writer, signed_edges[i]);
    cr_assert_not(writer.full);

    struct sl_reader reader = sl_reader_over(bytes, writer.size);
    for (int i = 0; i < N_EDGES; i++) cr_assert_eq(sl_read_uint(&reader, UINT64_MAX), edges[i]);
    for (int i = 0; i < N_SIGNED_EDGES; i++) cr_assert_eq(sl_read_int(&reader, INT64_MIN, INT64_MAX), signed_edges[i]);

    cr_assert_eq(sl_reader_finish(&reader), SL_OK);
}

Test(reader, msgpack_c_sees_the_same_numbers)
{
    for (int i = 0; i < N_EDGES; i++) {
        uint8_t bytes[16];
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
        sl_write_uint(&writer, edges[i]);

        msgpack_unpacked oracle;
        msgpack_unpacked_init(&oracle);
        cr_assert_eq(msgpack_unpack_next(&oracle, (const char *)bytes, writer.size, NULL), MSGPACK_UNPACK_SUCCESS);
        cr_assert_eq(oracle.data.type, MSGPACK_OBJECT_POSITIVE_INTEGER);
        cr_assert_eq(oracle.data.via.u64, edges[i]);
        msgpack_unpacked_destroy(&oracle);
    }
    for (int i = 0; i < N_SIGNED_EDGES; i++) {
        uint8_t bytes[16];
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
        sl_write_int(&writer, signed_edges[i]);

        msgpack_unpacked oracle;
        msgpack_unpacked_init(&oracle);
        cr_assert_eq(msgpack_unpack_next(&oracle, (const char *)bytes, writer.size, NULL), MSGPACK_UNPACK_SUCCESS);
        cr_assert_eq(oracle.data.type, signed_edges[i] < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER : MSGPACK_OBJECT_POSITIVE_INTEGER);
        cr_assert_eq(oracle.data.via.i64, signed_edges[i]);
        msgpack_unpacked_destroy(&oracle);
    }
}

Test(reader, reads_bins_of_every_header_size_and_so_does_msgpack_c)
{
    static const size_t sizes[] = {0, 1, 255, 256, 65535, 65536};
    static uint8_t content[65536], bytes[65600];
    memset(content, 0x5a, sizeof content);

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
        sl_write_bin(&writer, content, sizes[i]);
        uint8_t *copy = exact_copy(bytes, writer.size);

        struct sl_reader reader = sl_reader_over(copy, writer.size);
        size_t size;
        const uint8_t *bin = sl_read_bin(&reader, sizes[i], &size);
        cr_assert_eq(sl_reader_finish(&reader), SL_OK);
        cr_assert_not_null(bin);
        cr_assert_eq(size, sizes[i]);
        cr_assert_eq(memcmp(bin, content, size), 0);

        msgpack_unpacked oracle;
        msgpack_unpacked_init(&oracle);
        cr_assert_eq(msgpack_unpack_next(&oracle, (const char *)copy, writer.size, NULL), MSGPACK_UNPACK_SUCCESS);
        cr_assert_eq(oracle.data.type, MSGPACK_OBJECT_BIN);
        cr_assert_eq(oracle.data.via.bin.size, sizes[i]);
        msgpack_unpacked_destroy(&oracle);
        free(copy);
    }
}

Test(reader, reads_arrays_of_every_header_size)
{
    static const uint32_t counts[] = {0, 1, 15, 16, 65535, 65536};
    static uint8_t bytes[65600];
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
        sl_write_array(&writer, counts[i]);
        for (uint32_t j = 0; j < counts[i]; j++) sl_write_uint(&writer, 7);

        struct sl_reader reader = sl_reader_over(bytes, writer.size);
        cr_assert_eq(sl_read_array(&reader, counts[i]), counts[i]);
        for (uint32_t j = 0; j < counts[i]; j++) cr_assert_eq(sl_read_uint(&reader, 7), 7);
        cr_assert_eq(sl_reader_finish(&reader), SL_OK);
        cr_assert_eq(skip_all(bytes, writer.size), SL_OK);
    }
}

Test(reader, refuses_every_encoding_that_is_not_the_shortest)
{
    static const struct { uint8_t bytes[9]; size_t size; } longer[] = {
        {{0xcc, 0x00}, 2}, {{0xcc, 0x05}, 2}, {{0xcc, 0x7f}, 2},
        {{0xcd, 0x00, 0x05}, 3}, {{0xcd, 0x00, 0xff}, 3},
        {{0xce, 0, 0, 0, 5}, 5}, {{0xce, 0, 0, 0xff, 0xff}, 5},
        {{0xcf, 0, 0, 0, 0, 0, 0, 0, 5}, 9}, {{0xcf, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, 9},
        {{0xd0, 0x00}, 2}, {{0xd0, 0x7f}, 2}, {{0xd0, 0xff}, 2}, {{0xd0, 0xe0}, 2},
        {{0xd1, 0x00, 0x80}, 3}, {{0xd1, 0x7f, 0xff}, 3}, {{0xd1, 0xff, 0xff}, 3}, {{0xd1, 0xff, 0x80}, 3},
        {{0xd2, 0, 1, 0, 0}, 5}, {{0xd2, 0x7f, 0xff, 0xff, 0xff}, 5}, {{0xd2, 0xff, 0xff, 0x80, 0x00}, 5},
        {{0xd3, 0, 0, 0, 1, 0, 0, 0, 0}, 9}, {{0xd3, 0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0}, 9},
        {{0xc5, 0x00, 0x01, 0xaa}, 4}, {{0xc6, 0, 0, 0, 1, 0xaa}, 6}, {{0xc5, 0, 0}, 3}, {{0xc6, 0, 0, 0, 0}, 5},
        {{0xdc, 0x00, 0x01, 0x05}, 4}, {{0xdd, 0, 0, 0, 1, 5}, 6}, {{0xdc, 0, 0}, 3}, {{0xdd, 0, 0, 0, 0}, 5},
    };
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++) {
        const uint8_t *bytes = longer[i].bytes;
        size_t n = longer[i].size, size;

        struct sl_reader reader = sl_reader_over(bytes, n);
        cr_assert_eq(sl_read_uint(&reader, UINT64_MAX), 0);
        cr_assert_eq(reader.error, SL_ERROR_MALFORMED, "uint of case %zu", i);

        reader = sl_reader_over(bytes, n);
        cr_assert_eq(sl_read_int(&reader, INT64_MIN, INT64_MAX), 0);
        cr_assert_eq(reader.error, SL_ERROR_MALFORMED, "int of case %zu", i);

        reader = sl_reader_over(bytes, n);
        cr_assert_null(sl_read_bin(&reader, SIZE_MAX, &size));
        cr_assert_eq(reader.error, SL_ERROR_MALFORMED, "bin of case %zu", i);

        reader = sl_reader_over(bytes, n);
        cr_assert_eq(sl_read_array(&reader, UINT32_MAX), 0);
        cr_assert_eq(reader.error, SL_ERROR_MALFORMED, "array of case %zu", i);

        cr_assert_eq(skip_all(bytes, n), SL_ERROR_MALFORMED, "value of case %zu", i);
    }
}

Test(reader, refuses_texts_maps_floats_nil_booleans_and_extensions)
{
    uint8_t bytes[32] = {0};
    for (unsigned first = 0x80; first < 0xe0; first++) {
        bool is_array = first >> 4 == 9 || first == 0xdc || first == 0xdd;
        bool is_allowed = is_array || (first >= 0xc4 && first <= 0xc6) || (first >= 0xcc && first <= 0xd3);
        if (is_allowed) continue;

        bytes[0] = (uint8_t)first;
        cr_assert_eq(skip_all(bytes, sizeof bytes), SL_ERROR_MALFORMED, "first byte %02x", first);
    }
}

Test(reader, refuses_a_count_or_size_that_the_bytes_cannot_hold)
{
    struct sl_reader reader = OVER(0xdd, 0xff, 0xff, 0xff, 0xff);
    cr_assert_eq(sl_read_array(&reader, UINT32_MAX), 0);
    cr_assert_eq(reader.error, SL_ERROR_TRUNCATED);

    reader = OVER(0xdd, 0xff, 0xff, 0xff, 0xff);
    cr_assert_eq(sl_read_array(&reader, 64), 0);
    cr_assert_eq(reader.error, SL_ERROR_TOO_LARGE);

    cr_assert_eq(skip_all((const uint8_t[]){0xdd, 0xff, 0xff, 0xff, 0xff}, 5), SL_ERROR_TRUNCATED);
    cr_assert_eq(skip_all((const uint8_t[]){0xc6, 0xff, 0xff, 0xff, 0xff}, 5), SL_ERROR_TRUNCATED);
    cr_assert_eq(skip_all((const uint8_t[]){0x92, 0x01}, 2), SL_ERROR_TRUNCATED);

    size_t size = 7;
    reader = OVER(0xc4, 0x02, 0xaa);
    cr_assert_null(sl_read_bin(&reader, SIZE_MAX, &size));
    cr_assert_eq(size, 0);
    cr_assert_eq(reader.error, SL_ERROR_TRUNCATED);
}

Test(reader, keeps_the_first_error_and_reads_zero_from_then_on)
{
    struct sl_reader reader = OVER(0xc0, 0x05, 0x91, 0x05, 0xc4, 0x01, 0xaa);
    sl_read_uint(&reader, UINT64_MAX);
    cr_assert_eq(reader.error, SL_ERROR_MALFORMED);

    const uint8_t *start = (const uint8_t *)"";
    uint8_t copy[2] = {9, 9};
    size_t size = 7;
    cr_assert_eq(sl_read_uint(&reader, UINT64_MAX), 0);
    cr_assert_eq(sl_read_int(&reader, -5, 5), 0);
    cr_assert_eq(sl_read_array(&reader, 64), 0);
    sl_read_array_of(&reader, 1);
    cr_assert_null(sl_read_bin(&reader, 64, &size));
    cr_assert_eq(size, 0);
    cr_assert_null(sl_read_bin_of(&reader, 0));
    sl_read_copy(&reader, copy, 2);
    cr_assert(copy[0] == 0 && copy[1] == 0);
    sl_read_skip(&reader, &start, &size);
    cr_assert_null(start);
    cr_assert_eq(size, 0);
    cr_assert_eq(sl_reader_finish(&reader), SL_ERROR_MALFORMED);
}

Test(reader, zero_is_not_mistaken_for_a_range_that_excludes_it)
{
    struct sl_reader reader = OVER(0x00);
    cr_assert_eq(sl_read_int(&reader, 1, 5), 0);
    cr_assert_eq(reader.error, SL_ERROR_MALFORMED);
}

Test(reader, holds_numbers_and_sizes_to_their_limits)
{
    struct sl_reader reader = OVER(0x40, 0x40);
    cr_assert_eq(sl_read_uint(&reader, 0x40), 0x40);
    cr_assert_eq(sl_read_uint(&reader, 0x3f), 0);
    cr_assert_eq(reader.error, SL_ERROR_MALFORMED);

    reader = OVER(0xf1, 0xf0);
    cr_assert_eq(sl_read_int(&reader, -15, 30), -15);
    cr_assert_eq(sl_read_int(&reader, -15, 30), 0);
    cr_assert_eq(reader.error, SL_ERROR_MALFORMED);

    reader = OVER(0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0);
    cr_assert_eq(sl_read_int(&reader, INT64_MIN, INT64_MAX), 0);
    cr_assert_eq(reader.error, SL_ERROR_MALFORMED);

    size_t size;
    reader = OVER(0xc4, 0x02, 1, 2, 0xc4, 0x02, 1, 2);
    cr_assert_not_null(sl_read_bin(&reader, 2, &size));
    cr_assert_null(sl_read_bin(&reader, 1, &size));
    cr_assert_eq(reader.error, SL_ERROR_TOO_LARGE);

    reader = OVER(0x92, 0x92, 1, 1, 1);
    cr_assert_eq(sl_read_array(&reader, 2), 2);
    cr_assert_eq(sl_read_array(&reader, 1), 0);
    cr_assert_eq(reader.error, SL_ERROR_TOO_LARGE);

    reader = OVER(0xc4, 0x02, 1, 2);
    cr_assert_null(sl_read_bin_of(&reader, 3));
    cr_assert_eq(reader.error, SL_ERROR_MALFORMED);

    reader = OVER(0x92, 1, 1);
    sl_read_array_of(&reader, 3);
    cr_assert_eq(reader.error, SL_ERROR_MALFORMED);
}

Test(reader, refuses_every_proper_prefix)
{
    uint8_t bytes[512], filler[300] = {0};
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_array(&writer, 7);
    sl_write_uint(&writer, UINT64_MAX);
    sl_write_int(&writer, INT64_MIN);
    sl_write_bin(&writer, filler, sizeof filler);
    sl_write_uint(&writer, 0x1234);
    sl_write_array(&writer, 1);
    sl_write_int(&writer, -100);
    sl_write_bin(&writer, filler, 0);
    sl_write_uint(&writer, 0x80);
    cr_assert_eq(skip_all(bytes, writer.size), SL_OK);

    for (size_t size = 0; size < writer.size; size++) {
        uint8_t *prefix = exact_copy(bytes, size);
        cr_assert_eq(skip_all(prefix, size), SL_ERROR_TRUNCATED, "prefix of %zu bytes", size);
        free(prefix);
    }
}

Test(reader, passes_over_four_levels_and_refuses_five)
{
    struct sl_reader reader = OVER(0x92, 0x91, 0x92, 0x91, 0x05, 0xc4, 0x01, 0xaa, 0x06, 0x07);
    const uint8_t *begin = reader.at, *start;
    size_t size;
    sl_read_skip(&reader, &start, &size);
    cr_assert_eq(reader.error, SL_OK);
    cr_assert_eq(start, begin);
    cr_assert_eq(size, 9, "the last byte belongs to the next value");
    cr_assert_eq(sl_read_uint(&reader, 7), 7);

    cr_assert_eq(skip_all((const uint8_t[]){0x91, 0x91, 0x91, 0x90}, 4), SL_OK);
    cr_assert_eq(skip_all((const uint8_t[]){0x91, 0x91, 0x91, 0x91, 0x90}, 5), SL_ERROR_MALFORMED);

    uint8_t deep[4096];
    memset(deep, 0x91, sizeof deep);
    cr_assert_eq(skip_all(deep, sizeof deep), SL_ERROR_MALFORMED);
}

Test(reader, refuses_what_follows_the_last_value)
{
    struct sl_reader reader = OVER(0x05, 0x05);
    sl_read_uint(&reader, 5);
    cr_assert_eq(sl_reader_finish(&reader), SL_ERROR_MALFORMED);
}

Test(reader, finds_nothing_in_nothing)
{
    struct sl_reader reader = sl_reader_over(NULL, 0);
    cr_assert_eq(sl_reader_finish(&reader), SL_OK);
    cr_assert_eq(sl_read_uint(&reader, 5), 0);
    cr_assert_eq(sl_reader_finish(&reader), SL_ERROR_TRUNCATED);
}

Test(writer, stops_for_good_where_the_buffer_ends)
{
    uint8_t bytes[8];
    memset(bytes, 0xee, sizeof bytes);
    struct sl_writer writer = sl_writer_over(bytes, 6);
    sl_write_uint(&writer, 0x10000);
    sl_write_uint(&writer, 1);
    cr_assert_not(writer.full);
    cr_assert_eq(writer.size, 6);

    sl_write_uint(&writer, 1);
    cr_assert(writer.full);
    cr_assert_eq(writer.size, 6);
    cr_assert_eq(bytes[6], 0xee);

    writer = sl_writer_over(bytes, 6);
    sl_write_bin(&writer, "12345", 5);
    cr_assert(writer.full);
    sl_write_uint(&writer, 1);
    cr_assert_leq(writer.size, 2, "what would still fit is not written either");
    cr_assert_eq(bytes[6], 0xee);

    writer = sl_writer_over(bytes, 2);
    sl_write_raw(&writer, "\x91\x05", 2);
    cr_assert_not(writer.full);
    sl_write_raw(&writer, NULL, 0);
    cr_assert_not(writer.full);
    sl_write_raw(&writer, "\x05", 1);
    cr_assert(writer.full);
}
