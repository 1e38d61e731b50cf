/* SPDX-License-Identifier: MIT */
#include "wire/envelope.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/hash.h"

enum {
    N_ELEMENTS = 8,
    N_ELEMENTS_MAX = 15,                 /* what a later version may have before we say that we do not know it */
    HEAD_MAX = 128                       /* bytes before the body: 114 at most */
};

struct row {
    const char *name;
    bool is_signed;
    uint32_t size_max;
};

static const struct row rows[] = {
#define X(name, number, is_signed, size_max, help) [number] = {#name, is_signed, size_max},
#include "wire/messages.def"
#undef X
};

static const struct row *row_of(uint64_t type)
{
    bool is_known = type < sizeof rows / sizeof *rows && rows[type].name;
    return is_known ? &rows[type] : NULL;
}

const char *sl_message_name(uint32_t type)
{
    const struct row *row = row_of(type);
    return row ? row->name : NULL;
}

bool sl_message_is_signed(uint32_t type)
{
    const struct row *row = row_of(type);
    return row && row->is_signed;
}

/* Version and type: they decide how the rest is to be read. */
static int open_start(struct sl_reader *reader, size_t size, struct sl_envelope *out, const struct row **row)
{
    uint32_t n_elements = sl_read_array(reader, N_ELEMENTS_MAX);
    uint64_t version = sl_read_uint(reader, UINT64_MAX);
    if (reader->error) return reader->error;
    if (version != SL_PROTOCOL_VERSION) return SL_ERROR_BAD_VERSION;
    if (n_elements != N_ELEMENTS) return SL_ERROR_MALFORMED;

    uint64_t type = sl_read_uint(reader, UINT64_MAX);
    if (reader->error) return reader->error;

    *row = row_of(type);
    if (!*row) return SL_ERROR_MALFORMED;

    out->type = (enum sl_message_type)type;
    return size > (*row)->size_max ? SL_ERROR_TOO_LARGE : SL_OK;
}

static int open_rest(struct sl_reader *reader, const struct row *row, const uint8_t network_id[32], struct sl_envelope *out)
{
    const uint8_t *network = sl_read_bin_of(reader, 32);
    if (!network) return reader->error;
    if (!sl_hash_equal(network, network_id)) return SL_ERROR_WRONG_NETWORK;

    out->epoch = sl_read_uint(reader, UINT64_MAX);
    out->cohort = sl_read_bin_of(reader, 32);
    out->from = sl_read_bin_of(reader, 32);

    struct sl_reader body = *reader;
    sl_read_array(&body, UINT32_MAX);               /* a body is an array, whatever is in it */
    if (body.error) return body.error;

    sl_read_skip(reader, &out->body, &out->body_size);
    out->signed_size = (size_t)(reader->at - out->bytes);
    const uint8_t *signature = sl_read_bin_of(reader, row->is_signed ? SL_SIGNATURE_SIZE : 0);
    out->signature = row->is_signed ? signature : NULL;
    return sl_reader_finish(reader);
}

int sl_envelope_open(const uint8_t *bytes, size_t size, const uint8_t network_id[32], struct sl_envelope *out)
{
    if (size > SL_MESSAGE_MAX) return SL_ERROR_TOO_LARGE;

    struct sl_envelope envelope = {.bytes = bytes, .size = size};
    struct sl_reader reader = sl_reader_over(bytes, size);
    const struct row *row;
    int error = open_start(&reader, size, &envelope, &row);
    if (!error) error = open_rest(&reader, row, network_id, &envelope);
    if (!error) *out = envelope;
    return error;
}

bool sl_envelope_verify(const struct sl_envelope *envelope, const uint8_t sign_public[32])
{
    if (!envelope->signature) return false;

    uint8_t digest[32];
    sl_hash_once("message", envelope->bytes, envelope->signed_size, digest);
    return sl_digest_verify(digest, envelope->signature, sign_public);
}

void sl_envelope_digest(enum sl_message_type type, const uint8_t network_id[32], uint64_t epoch, const uint8_t cohort[32],
                        const uint8_t from[32], const uint8_t *body, size_t body_size, uint8_t out[32])
{
    uint8_t head[HEAD_MAX];
    struct sl_writer writer = sl_envelope_begin(type, network_id, epoch, cohort, from, head, sizeof head);
    assert(!writer.full);

    struct sl_hash hash;
    sl_hash_init(&hash, "message");
    sl_hash_bytes(&hash, head, writer.size);
    sl_hash_bytes(&hash, body, body_size);
    sl_hash_final(&hash, out);
}

/* libsodium refuses keys of low order and signatures that are not canonical. */
bool sl_digest_verify(const uint8_t digest[32], const uint8_t signature[64], const uint8_t sign_public[32])
{
    return crypto_sign_verify_detached(signature, digest, 32, sign_public) == 0;
}

struct sl_writer sl_envelope_begin(enum sl_message_type type, const uint8_t network_id[32], uint64_t epoch, const uint8_t cohort[32],
                                   const uint8_t from[32], uint8_t *bytes, size_t size_max)
{
    const struct row *row = row_of(type);
    assert(row);

    /* What is larger than its type allows would be refused by everybody, so it does not fit here either. */
    struct sl_writer writer = sl_writer_over(bytes, size_max < row->size_max ? size_max : row->size_max);
    sl_write_array(&writer, N_ELEMENTS);
    sl_write_uint(&writer, SL_PROTOCOL_VERSION);
    sl_write_uint(&writer, type);
    sl_write_bin(&writer, network_id, 32);
    sl_write_uint(&writer, epoch);
    sl_write_bin(&writer, cohort, 32);
    sl_write_bin(&writer, from, 32);
    return writer;
}

size_t sl_envelope_seal(struct sl_writer *writer, enum sl_message_type type, const uint8_t sign_secret[64])
{
    const struct row *row = row_of(type);
    assert(row && (sign_secret || !row->is_signed));
    if (writer->full) return 0;

    uint8_t signature[SL_SIGNATURE_SIZE];
    if (row->is_signed) {
        uint8_t digest[32];
        sl_hash_once("message", writer->bytes, writer->size, digest);
        crypto_sign_detached(signature, NULL, digest, sizeof digest, sign_secret);
    }
    sl_write_bin(writer, signature, row->is_signed ? sizeof signature : 0);
    return writer->full ? 0 : writer->size;
}

void sl_body_hash(const uint8_t *body, size_t body_size, uint8_t out[32])
{
    sl_hash_once("body", body, body_size, out);
}

void sl_propose_hash(const struct sl_envelope *propose, uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, "propose");
    sl_hash_bytes(&hash, propose->from, 32);
    sl_hash_bytes(&hash, propose->body, propose->body_size);
    sl_hash_final(&hash, out);
}
