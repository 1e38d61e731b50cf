/* SPDX-License-Identifier: MIT */
#include "wire/message.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "wire/body.h"

enum { ADDRESSES_MAX = sizeof ((struct sl_advert *)0)->addresses / SL_ADDRESS_MAX, UNIT_MAX = 2 };

struct sl_reader sl_body_reader(const struct sl_envelope *envelope, enum sl_message_type type, uint32_t n_items)
{
    struct sl_reader reader = sl_reader_over(envelope->body, envelope->body_size);
    if (envelope->type != type) reader.error = SL_ERROR_MALFORMED;

    sl_read_array_of(&reader, n_items);
    return reader;
}

int sl_body_finish(const struct sl_reader *reader, bool holds)
{
    int error = sl_reader_finish(reader);
    if (error) return error;

    return holds ? SL_OK : SL_ERROR_MALFORMED;
}

uint32_t sl_body_read_hashes(struct sl_reader *reader, uint32_t n_max, uint8_t out[][32])
{
    uint32_t n_hashes = sl_read_array(reader, n_max);
    for (uint32_t i = 0; i < n_hashes; i++) sl_read_copy(reader, out[i], 32);
    return n_hashes;
}

void sl_body_write_hashes(struct sl_writer *writer, uint32_t n_hashes, const uint8_t hashes[][32])
{
    sl_write_array(writer, n_hashes);
    for (uint32_t i = 0; i < n_hashes; i++) sl_write_bin(writer, hashes[i], 32);
}

const uint8_t *sl_body_read_optional(struct sl_reader *reader, size_t size)
{
    size_t found;
    const uint8_t *bytes = sl_read_bin(reader, size, &found);
    if (found == 0) return NULL;
    if (found < size) reader->error = SL_ERROR_MALFORMED;

    return found == size ? bytes : NULL;
}

void sl_body_write_optional(struct sl_writer *writer, const uint8_t *bytes, size_t size)
{
    sl_write_bin(writer, bytes, bytes ? size : 0);
}

static void read_address(struct sl_reader *reader, char out[SL_ADDRESS_MAX])
{
    size_t size;
    const uint8_t *text = sl_read_bin(reader, SL_ADDRESS_MAX - 1, &size);
    memset(out, 0, SL_ADDRESS_MAX);

    for (size_t i = 0; i < size; i++) {
        bool is_printable = text[i] >= 0x21 && text[i] <= 0x7e;
        if (!is_printable) { reader->error = SL_ERROR_MALFORMED; return; }
        out[i] = (char)text[i];
    }
}

static void write_address(struct sl_writer *writer, const char address[SL_ADDRESS_MAX])
{
    sl_write_bin(writer, address, strnlen(address, SL_ADDRESS_MAX - 1));
}

/* Text for people: any bytes but zero, which would end it early and give two encodings one meaning. */
static void read_name(struct sl_reader *reader, char out[SL_NAME_MAX])
{
    size_t size;
    const uint8_t *text = sl_read_bin(reader, SL_NAME_MAX - 1, &size);
    memset(out, 0, SL_NAME_MAX);
    if (size == 0) return;

    memcpy(out, text, size);
    if (memchr(text, 0, size)) reader->error = SL_ERROR_MALFORMED;
}

static bool distinct(uint32_t n_ids, const uint8_t ids[][32])
{
    for (uint32_t i = 1; i < n_ids; i++)
        for (uint32_t j = 0; j < i; j++)
            if (sl_hash_equal(ids[i], ids[j])) return false;
    return true;
}

int sl_read_hello(const struct sl_envelope *envelope, struct sl_hello *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_HELLO, 3);
    out->time_us = sl_read_uint(&reader, UINT64_MAX);
    out->advert = sl_read_bin(&reader, SL_SIZE_MAX_ADVERT, &out->advert_size);
    out->door = sl_body_read_optional(&reader, SL_DOOR_SIZE);
    return sl_reader_finish(&reader);
}

void sl_write_hello(struct sl_writer *writer, const struct sl_hello *body)
{
    sl_write_array(writer, 3);
    sl_write_uint(writer, body->time_us);
    sl_write_bin(writer, body->advert, body->advert_size);
    sl_body_write_optional(writer, body->door, SL_DOOR_SIZE);
}

int sl_read_advert(const struct sl_envelope *envelope, struct sl_advert *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_ADVERT, 11);
    out->sequence = sl_read_uint(&reader, UINT64_MAX);
    out->ttl_s = (uint32_t)sl_read_uint(&reader, SL_ADVERT_TTL_MAX_S);
    sl_read_copy(&reader, out->sign_public, 32);
    sl_read_copy(&reader, out->transport_public, 32);

    memset(out->addresses, 0, sizeof out->addresses);
    out->n_addresses = sl_read_array(&reader, ADDRESSES_MAX);
    bool complete = true;
    for (uint32_t i = 0; i < out->n_addresses; i++) {
        read_address(&reader, out->addresses[i]);
        complete = complete && out->addresses[i][0];
    }
    read_name(&reader, out->name);
    out->certificate = sl_read_bin(&reader, SL_CERTIFICATE_MAX, &out->certificate_size);
    out->unit = (uint32_t)sl_read_uint(&reader, UNIT_MAX);
    out->ledger_records = sl_read_uint(&reader, UINT64_MAX);
    sl_read_copy(&reader, out->ledger_head, 32);
    sl_read_copy(&reader, out->ledger_of, 32);

    bool is_one_story = out->ledger_records > 0 || (sl_hash_is_zero(out->ledger_head) && sl_hash_is_zero(out->ledger_of));
    return sl_body_finish(&reader, complete && is_one_story && out->ttl_s > 0);
}

void sl_write_advert(struct sl_writer *writer, const struct sl_advert *body)
{
    assert(body->n_addresses <= ADDRESSES_MAX);

    sl_write_array(writer, 11);
    sl_write_uint(writer, body->sequence);
    sl_write_uint(writer, body->ttl_s);
    sl_write_bin(writer, body->sign_public, 32);
    sl_write_bin(writer, body->transport_public, 32);
    sl_write_array(writer, body->n_addresses);
    for (uint32_t i = 0; i < body->n_addresses; i++) write_address(writer, body->addresses[i]);
    sl_write_bin(writer, body->name, strnlen(body->name, SL_NAME_MAX - 1));
    sl_write_bin(writer, body->certificate, body->certificate_size);
    sl_write_uint(writer, body->unit);
    sl_write_uint(writer, body->ledger_records);
    sl_write_bin(writer, body->ledger_head, 32);
    sl_write_bin(writer, body->ledger_of, 32);
}

int sl_read_view_pull(const struct sl_envelope *envelope, struct sl_view_pull *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_VIEW_PULL, 1);
    out->n_wanted = (uint32_t)sl_read_uint(&reader, SL_ADVERTS_MAX);
    return sl_body_finish(&reader, out->n_wanted > 0);
}

void sl_write_view_pull(struct sl_writer *writer, const struct sl_view_pull *body)
{
    sl_write_array(writer, 1);
    sl_write_uint(writer, body->n_wanted);
}

int sl_read_view_adverts(const struct sl_envelope *envelope, struct sl_view_adverts *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_VIEW, 1);
    out->n_adverts = sl_read_array(&reader, SL_ADVERTS_MAX);
    for (uint32_t i = 0; i < out->n_adverts; i++) out->adverts[i].bytes = sl_read_bin(&reader, SL_SIZE_MAX_ADVERT, &out->adverts[i].size);
    return sl_reader_finish(&reader);
}

void sl_write_view_adverts(struct sl_writer *writer, const struct sl_view_adverts *body)
{
    assert(body->n_adverts <= SL_ADVERTS_MAX);

    sl_write_array(writer, 1);
    sl_write_array(writer, body->n_adverts);
    for (uint32_t i = 0; i < body->n_adverts; i++) sl_write_bin(writer, body->adverts[i].bytes, body->adverts[i].size);
}

int sl_read_ping(const struct sl_envelope *envelope, enum sl_message_type type, struct sl_ping *out)
{
    assert(type == SL_MESSAGE_PING || type == SL_MESSAGE_PONG);

    struct sl_reader reader = sl_body_reader(envelope, type, 1);
    out->nonce = sl_read_uint(&reader, UINT64_MAX);
    return sl_reader_finish(&reader);
}

void sl_write_ping(struct sl_writer *writer, const struct sl_ping *body)
{
    sl_write_array(writer, 1);
    sl_write_uint(writer, body->nonce);
}

/* A power of two that is a normal double: no sign, no fraction, neither zero nor infinite. */
static bool is_power_of_two(uint64_t bits)
{
    uint64_t exponent = bits >> 52, fraction = bits & ((UINT64_C(1) << 52) - 1);
    return exponent > 0 && exponent < 0x7ff && fraction == 0;
}

/* Unit node shares within its clip norm, one in its own measure, and adds noise; the others say neither. */
static bool fits_unit(const struct sl_propose *propose)
{
    if (propose->unit != UNIT_MAX) return propose->clip_bits == 0 && propose->sigma2 == 0;

    return is_power_of_two(propose->clip_bits) && propose->sigma2 > 0 && propose->ring_bits == 32 && propose->radius_q == 65536;
}

int sl_read_propose(const struct sl_envelope *envelope, struct sl_propose *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_PROPOSE, 10);
    sl_read_copy(&reader, out->nonce, 32);
    out->n_candidates = sl_body_read_hashes(&reader, SL_CANDIDATES_MAX, out->candidates);
    out->aim = (uint32_t)sl_read_uint(&reader, SL_COHORT_MAX);
    out->ring_bits = (uint32_t)sl_read_uint(&reader, 32);
    sl_read_copy(&reader, out->ref_root, 32);
    out->ref_exponent = (int32_t)sl_read_int(&reader, -15, 30);
    out->radius_q = (uint32_t)sl_read_uint(&reader, UINT32_MAX);
    out->unit = (uint32_t)sl_read_uint(&reader, UNIT_MAX);
    out->clip_bits = sl_read_uint(&reader, UINT64_MAX);
    out->sigma2 = sl_read_uint(&reader, UINT64_MAX);

    bool holds = out->n_candidates > 0 && out->aim >= 3 && (out->ring_bits == 16 || out->ring_bits == 32) && out->radius_q > 0 && fits_unit(out);
    return sl_body_finish(&reader, holds && distinct(out->n_candidates, out->candidates));
}

void sl_write_propose(struct sl_writer *writer, const struct sl_propose *body)
{
    assert(body->n_candidates <= SL_CANDIDATES_MAX);

    sl_write_array(writer, 10);
    sl_write_bin(writer, body->nonce, 32);
    sl_body_write_hashes(writer, body->n_candidates, body->candidates);
    sl_write_uint(writer, body->aim);
    sl_write_uint(writer, body->ring_bits);
    sl_write_bin(writer, body->ref_root, 32);
    sl_write_int(writer, body->ref_exponent);
    sl_write_uint(writer, body->radius_q);
    sl_write_uint(writer, body->unit);
    sl_write_uint(writer, body->clip_bits);
    sl_write_uint(writer, body->sigma2);
}

int sl_read_join(const struct sl_envelope *envelope, struct sl_join *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_JOIN, 8);
    sl_read_copy(&reader, out->sign_public, 32);
    sl_read_copy(&reader, out->transport_public, 32);
    read_address(&reader, out->address);
    sl_read_copy(&reader, out->mask_public, 32);
    sl_read_copy(&reader, out->box_public, 32);
    sl_read_copy(&reader, out->nonce, 32);
    out->certificate = sl_read_bin(&reader, SL_CERTIFICATE_MAX, &out->certificate_size);
    out->refused = sl_read_uint(&reader, UINT64_MAX);
    return sl_reader_finish(&reader);
}

void sl_write_join(struct sl_writer *writer, const struct sl_join *body)
{
    sl_write_array(writer, 8);
    sl_write_bin(writer, body->sign_public, 32);
    sl_write_bin(writer, body->transport_public, 32);
    write_address(writer, body->address);
    sl_write_bin(writer, body->mask_public, 32);
    sl_write_bin(writer, body->box_public, 32);
    sl_write_bin(writer, body->nonce, 32);
    sl_write_bin(writer, body->certificate, body->certificate_size);
    sl_write_uint(writer, body->refused);
}

int sl_read_roster(const struct sl_envelope *envelope, struct sl_roster *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_ROSTER, 1);
    out->n_joins = sl_read_array(&reader, SL_COHORT_MAX);
    for (uint32_t i = 0; i < out->n_joins; i++) out->joins[i].bytes = sl_read_bin(&reader, SL_SIZE_MAX_JOIN, &out->joins[i].size);
    return sl_body_finish(&reader, out->n_joins > 0);
}

void sl_write_roster(struct sl_writer *writer, const struct sl_roster *body)
{
    assert(body->n_joins <= SL_COHORT_MAX);

    sl_write_array(writer, 1);
    sl_write_array(writer, body->n_joins);
    for (uint32_t i = 0; i < body->n_joins; i++) sl_write_bin(writer, body->joins[i].bytes, body->joins[i].size);
}

int sl_read_refuse(const struct sl_envelope *envelope, struct sl_refuse *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_REFUSE, 1);
    out->reason = (uint32_t)sl_read_uint(&reader, 255);
    return sl_reader_finish(&reader);
}

void sl_write_refuse(struct sl_writer *writer, const struct sl_refuse *body)
{
    sl_write_array(writer, 1);
    sl_write_uint(writer, body->reason);
}

int sl_read_pull(const struct sl_envelope *envelope, struct sl_pull *out)
{
    enum sl_message_type type = envelope->type == SL_MESSAGE_NONE ? SL_MESSAGE_NONE : SL_MESSAGE_PULL;
    struct sl_reader reader = sl_body_reader(envelope, type, 2);
    out->epoch = sl_read_uint(&reader, UINT64_MAX);
    sl_read_copy(&reader, out->member, 32);
    return sl_reader_finish(&reader);
}

void sl_write_pull(struct sl_writer *writer, const struct sl_pull *body)
{
    sl_write_array(writer, 2);
    sl_write_uint(writer, body->epoch);
    sl_write_bin(writer, body->member, 32);
}

int sl_read_need(const struct sl_envelope *envelope, struct sl_need *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_NEED, 2);
    out->step = (uint32_t)sl_read_uint(&reader, 15);
    sl_read_copy(&reader, out->from, 32);
    return sl_reader_finish(&reader);
}

void sl_write_need(struct sl_writer *writer, const struct sl_need *body)
{
    sl_write_array(writer, 2);
    sl_write_uint(writer, body->step);
    sl_write_bin(writer, body->from, 32);
}

int sl_read_get(const struct sl_envelope *envelope, struct sl_get *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_GET, 2);
    sl_read_copy(&reader, out->root, 32);
    out->index = (uint32_t)sl_read_uint(&reader, SL_CHUNKS_MAX - 1);
    return sl_reader_finish(&reader);
}

void sl_write_get(struct sl_writer *writer, const struct sl_get *body)
{
    sl_write_array(writer, 2);
    sl_write_bin(writer, body->root, 32);
    sl_write_uint(writer, body->index);
}

int sl_read_chunk(const struct sl_envelope *envelope, struct sl_chunk *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_CHUNK, 4);
    sl_read_copy(&reader, out->root, 32);
    out->index = (uint32_t)sl_read_uint(&reader, SL_CHUNKS_MAX - 1);
    out->n_path = sl_body_read_hashes(&reader, SL_MERKLE_DEPTH_MAX, out->path);
    out->data = sl_read_bin(&reader, 4 * SL_CHUNK_ELEMENTS, &out->data_size);
    return sl_body_finish(&reader, out->data_size > 0);
}

void sl_write_chunk(struct sl_writer *writer, const struct sl_chunk *body)
{
    assert(body->n_path <= SL_MERKLE_DEPTH_MAX);

    sl_write_array(writer, 4);
    sl_write_bin(writer, body->root, 32);
    sl_write_uint(writer, body->index);
    sl_body_write_hashes(writer, body->n_path, body->path);
    sl_write_bin(writer, body->data, body->data_size);
}

void sl_write_released(struct sl_writer *writer)
{
    sl_write_array(writer, 0);
}

int sl_read_released(const struct sl_envelope *envelope)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_RELEASED, 0);
    return sl_reader_finish(&reader);
}
