/* SPDX-License-Identifier: MIT */
#include "wire/reader.h"

#include <msgpack/pack.h>
#include <string.h>

enum { DEPTH_MAX = 4 };

enum kind { KIND_UINT, KIND_NEGATIVE, KIND_BIN, KIND_ARRAY };

/* A first byte that is followed by a big-endian number. The number must be at least `min`, or a shorter form would do. */
struct form {
    uint8_t first;
    enum kind kind;
    uint8_t n_bytes;
    uint64_t min;            /* of the value or the length; of -1 - value for a negative number */
};

static const struct form forms[] = {
    {0xcc, KIND_UINT, 1, 0x80},     {0xcd, KIND_UINT, 2, 0x100},    {0xce, KIND_UINT, 4, 0x10000},  {0xcf, KIND_UINT, 8, 0x100000000},
    {0xd0, KIND_NEGATIVE, 1, 0x20}, {0xd1, KIND_NEGATIVE, 2, 0x80}, {0xd2, KIND_NEGATIVE, 4, 0x8000}, {0xd3, KIND_NEGATIVE, 8, 0x80000000},
    {0xc4, KIND_BIN, 1, 0},         {0xc5, KIND_BIN, 2, 0x100},     {0xc6, KIND_BIN, 4, 0x10000},
    {0xdc, KIND_ARRAY, 2, 0x10},    {0xdd, KIND_ARRAY, 4, 0x10000},
};

/* The head of one value: `number` is the value, -1 - value of a negative number, or the length. */
struct head {
    enum kind kind;
    uint64_t number;
};

static size_t left(const struct sl_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static void fail(struct sl_reader *reader, int error)
{
    if (!reader->error) reader->error = error;
}

/* Values up to one byte: the number is in the first byte itself. False if `first` begins a longer form. */
static bool short_head(uint8_t first, struct head *out)
{
    if (first <= 0x7f) *out = (struct head){KIND_UINT, first};
    else if (first >= 0xe0) *out = (struct head){KIND_NEGATIVE, 0xffu - first};
    else if (first >> 4 == 9) *out = (struct head){KIND_ARRAY, first & 0xfu};
    else return false;

    return true;
}

static const struct form *form_of(uint8_t first)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (forms[i].first == first) return &forms[i];
    return NULL;
}

/* The number that follows the first byte. */
static struct head long_head(struct sl_reader *reader, const struct form *form)
{
    struct head head = {form->kind, 0};
    if (left(reader) < form->n_bytes) { fail(reader, SL_ERROR_TRUNCATED); return head; }

    bool sign = *reader->at & 0x80;
    for (int i = 0; i < form->n_bytes; i++) head.number = head.number << 8 | *reader->at++;

    if (form->kind == KIND_NEGATIVE) {
        if (!sign) fail(reader, SL_ERROR_MALFORMED);          /* numbers from 0 on are written unsigned */
        head.number = ~head.number & UINT64_MAX >> (64 - 8 * form->n_bytes);
    }
    if (head.number < form->min) fail(reader, SL_ERROR_MALFORMED);
    return head;
}

/* Reads a head. After an error its number is 0. */
static struct head next(struct sl_reader *reader)
{
    struct head head = {KIND_UINT, 0};
    if (!reader->error && left(reader) == 0) fail(reader, SL_ERROR_TRUNCATED);
    if (reader->error) return head;

    uint8_t first = *reader->at++;
    if (!short_head(first, &head)) {
        const struct form *form = form_of(first);
        if (form) head = long_head(reader, form);
        else fail(reader, SL_ERROR_MALFORMED);
    }
    if (reader->error) head.number = 0;
    return head;
}

static uint64_t next_of(struct sl_reader *reader, enum kind kind)
{
    struct head head = next(reader);
    if (reader->error) return 0;
    if (head.kind == kind) return head.number;

    fail(reader, SL_ERROR_MALFORMED);
    return 0;
}

/* The contents of a bin whose head was read. */
static const uint8_t *take(struct sl_reader *reader, uint64_t size)
{
    if (!reader->error && size > left(reader)) fail(reader, SL_ERROR_TRUNCATED);
    if (reader->error) return NULL;

    const uint8_t *bytes = reader->at;
    reader->at += size;
    return bytes;
}

struct sl_reader sl_reader_over(const uint8_t *bytes, size_t size)
{
    return (struct sl_reader){.at = bytes, .end = size ? bytes + size : bytes};
}

uint32_t sl_read_array(struct sl_reader *reader, uint32_t n_max)
{
    uint64_t n_items = next_of(reader, KIND_ARRAY);
    if (n_items > n_max) fail(reader, SL_ERROR_TOO_LARGE);
    else if (n_items > left(reader)) fail(reader, SL_ERROR_TRUNCATED);       /* an item takes at least a byte */

    return reader->error ? 0 : (uint32_t)n_items;
}

void sl_read_array_of(struct sl_reader *reader, uint32_t n_items)
{
    if (next_of(reader, KIND_ARRAY) != n_items) fail(reader, SL_ERROR_MALFORMED);
}

uint64_t sl_read_uint(struct sl_reader *reader, uint64_t max)
{
    uint64_t value = next_of(reader, KIND_UINT);
    if (value <= max) return value;

    fail(reader, SL_ERROR_MALFORMED);
    return 0;
}

int64_t sl_read_int(struct sl_reader *reader, int64_t min, int64_t max)
{
    struct head head = next(reader);
    bool is_number = head.kind == KIND_UINT || head.kind == KIND_NEGATIVE;
    if (!is_number || head.number > INT64_MAX) fail(reader, SL_ERROR_MALFORMED);
    if (reader->error) return 0;

    int64_t value = head.kind == KIND_UINT ? (int64_t)head.number : -1 - (int64_t)head.number;
    if (value >= min && value <= max) return value;

    fail(reader, SL_ERROR_MALFORMED);
    return 0;
}

const uint8_t *sl_read_bin(struct sl_reader *reader, size_t size_max, size_t *size)
{
    uint64_t length = next_of(reader, KIND_BIN);
    if (length > size_max) fail(reader, SL_ERROR_TOO_LARGE);

    const uint8_t *bytes = take(reader, length);
    *size = bytes ? (size_t)length : 0;
    return bytes;
}

const uint8_t *sl_read_bin_of(struct sl_reader *reader, size_t size)
{
    if (next_of(reader, KIND_BIN) != size) fail(reader, SL_ERROR_MALFORMED);
    return take(reader, size);
}

void sl_read_copy(struct sl_reader *reader, uint8_t *out, size_t size)
{
    const uint8_t *bytes = sl_read_bin_of(reader, size);
    if (bytes) memcpy(out, bytes, size);
    else memset(out, 0, size);
}

void sl_read_skip(struct sl_reader *reader, const uint8_t **start, size_t *size)
{
    const uint8_t *from = reader->at;
    uint64_t pending[DEPTH_MAX + 1] = {1};         /* values still to come, by depth */
    uint32_t depth = 0;

    while (!reader->error) {
        while (depth > 0 && pending[depth] == 0) depth--;
        if (pending[depth] == 0) break;

        pending[depth]--;
        struct head head = next(reader);
        if (head.kind == KIND_BIN) take(reader, head.number);
        if (head.kind != KIND_ARRAY) continue;

        if (depth == DEPTH_MAX) fail(reader, SL_ERROR_MALFORMED);
        else if (head.number > left(reader)) fail(reader, SL_ERROR_TRUNCATED);
        else pending[++depth] = head.number;
    }
    *start = reader->error ? NULL : from;
    *size = reader->error ? 0 : (size_t)(reader->at - from);
}

int sl_reader_finish(const struct sl_reader *reader)
{
    if (reader->error) return reader->error;

    return reader->at == reader->end ? SL_OK : SL_ERROR_MALFORMED;
}

static int append(void *context, const char *bytes, size_t size)
{
    struct sl_writer *writer = context;
    if (size > writer->size_max - writer->size) writer->full = true;
    if (writer->full) return -1;

    if (size > 0) memcpy(writer->bytes + writer->size, bytes, size);
    writer->size += size;
    return 0;
}

struct sl_writer sl_writer_over(uint8_t *bytes, size_t size_max)
{
    return (struct sl_writer){.bytes = bytes, .size_max = size_max};
}

void sl_write_array(struct sl_writer *writer, uint32_t n_items)
{
    msgpack_packer packer = {writer, append};
    msgpack_pack_array(&packer, n_items);
}

void sl_write_uint(struct sl_writer *writer, uint64_t value)
{
    msgpack_packer packer = {writer, append};
    msgpack_pack_uint64(&packer, value);
}

void sl_write_int(struct sl_writer *writer, int64_t value)
{
    msgpack_packer packer = {writer, append};
    msgpack_pack_int64(&packer, value);
}

void sl_write_bin(struct sl_writer *writer, const void *bytes, size_t size)
{
    msgpack_packer packer = {writer, append};
    msgpack_pack_bin(&packer, size);
    msgpack_pack_bin_body(&packer, bytes, size);
}

void sl_write_raw(struct sl_writer *writer, const void *bytes, size_t size)
{
    append(writer, bytes, size);
}
