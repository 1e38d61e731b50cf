/* SPDX-License-Identifier: MIT */
/* Bodies of the messages within a cohort, and of what proves to outsiders what happened there. */
#include "wire/message.h"

#include <assert.h>
#include <string.h>

#include "base/bits.h"
#include "wire/body.h"

enum { LISTS_MIN = 3, LISTS_MAX = sizeof ((struct sl_aggregate *)0)->lists / sizeof (uint8_t *) };

/* Tags and box are all there, or all empty as in the own item. */
static bool read_dealt(struct sl_reader *reader, struct sl_dealt *out)
{
    sl_read_array_of(reader, 6);
    const uint8_t *tags[3];
    uint8_t *copies[3] = {out->mask_tag, out->to_tag, out->from_tag};
    uint32_t n_tags = 0;
    for (int i = 0; i < 3; i++) {
        tags[i] = sl_body_read_optional(reader, 32);
        n_tags += tags[i] != NULL;
        if (tags[i]) memcpy(copies[i], tags[i], 32);
        else memset(copies[i], 0, 32);
    }
    out->box = sl_body_read_optional(reader, SL_BOX_SIZE);
    sl_read_copy(reader, out->self_share_hash, 32);
    sl_read_copy(reader, out->mask_share_hash, 32);
    return n_tags == (out->box ? 3 : 0);
}

static void write_dealt(struct sl_writer *writer, const struct sl_dealt *dealt)
{
    sl_write_array(writer, 6);
    sl_body_write_optional(writer, dealt->box ? dealt->mask_tag : NULL, 32);
    sl_body_write_optional(writer, dealt->box ? dealt->to_tag : NULL, 32);
    sl_body_write_optional(writer, dealt->box ? dealt->from_tag : NULL, 32);
    sl_body_write_optional(writer, dealt->box, SL_BOX_SIZE);
    sl_write_bin(writer, dealt->self_share_hash, 32);
    sl_write_bin(writer, dealt->mask_share_hash, 32);
}

int sl_read_shares(const struct sl_envelope *envelope, struct sl_shares *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_SHARES, 3);
    sl_read_copy(&reader, out->self_hash, 32);
    sl_read_copy(&reader, out->nonce_hash, 32);
    out->n_members = sl_read_array(&reader, SL_COHORT_MAX);
    bool holds = out->n_members > 0;
    for (uint32_t i = 0; i < out->n_members; i++) holds = read_dealt(&reader, &out->dealt[i]) && holds;
    return sl_body_finish(&reader, holds);
}

void sl_write_shares(struct sl_writer *writer, const struct sl_shares *body)
{
    assert(body->n_members <= SL_COHORT_MAX);

    sl_write_array(writer, 3);
    sl_write_bin(writer, body->self_hash, 32);
    sl_write_bin(writer, body->nonce_hash, 32);
    sl_write_array(writer, body->n_members);
    for (uint32_t i = 0; i < body->n_members; i++) write_dealt(writer, &body->dealt[i]);
}

int sl_read_list(const struct sl_envelope *envelope, struct sl_list *out)
{
    if (envelope->type != SL_MESSAGE_LIST) return SL_ERROR_MALFORMED;

    return sl_read_list_body(envelope->body, envelope->body_size, out);
}

void sl_write_list(struct sl_writer *writer, const struct sl_list *body)
{
    assert(body->n_hashes <= SL_COHORT_MAX);

    sl_write_array(writer, 4);
    sl_write_uint(writer, body->step);
    sl_write_bin(writer, body->previous, 32);
    sl_write_uint(writer, body->members);
    sl_body_write_hashes(writer, body->n_hashes, body->hashes);
}

int sl_read_commit(const struct sl_envelope *envelope, struct sl_commit *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_COMMIT, 2);
    sl_read_copy(&reader, out->chain, 32);
    sl_read_copy(&reader, out->root, 32);
    return sl_reader_finish(&reader);
}

void sl_write_commit(struct sl_writer *writer, const struct sl_commit *body)
{
    sl_write_array(writer, 2);
    sl_write_bin(writer, body->chain, 32);
    sl_write_bin(writer, body->root, 32);
}

int sl_read_open(const struct sl_envelope *envelope, struct sl_open *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_OPEN, 2);
    sl_read_copy(&reader, out->chain, 32);
    sl_read_copy(&reader, out->nonce, 32);
    return sl_reader_finish(&reader);
}

void sl_write_open(struct sl_writer *writer, const struct sl_open *body)
{
    sl_write_array(writer, 2);
    sl_write_bin(writer, body->chain, 32);
    sl_write_bin(writer, body->nonce, 32);
}

/* `rows` numbers from a bin; zeros from none. */
static void decode_rows(const uint8_t *bytes, uint32_t rows, uint32_t out[SL_SKETCH_ROWS_MAX])
{
    memset(out, 0, sizeof (uint32_t[SL_SKETCH_ROWS_MAX]));
    for (uint32_t i = 0; bytes && i < rows; i++, bytes += 4)
        out[i] = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void write_rows(struct sl_writer *writer, uint32_t rows, const uint32_t values[SL_SKETCH_ROWS_MAX])
{
    uint8_t bytes[4 * SL_SKETCH_ROWS_MAX];
    for (uint32_t i = 0; i < 4 * rows; i++) bytes[i] = (uint8_t)(values[i / 4] >> 8 * (i % 4));
    sl_write_bin(writer, bytes, 4 * rows);
}

/* The size of the first sketch says how many rows all have. */
int sl_read_audit(const struct sl_envelope *envelope, struct sl_audit *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_AUDIT, 4);
    sl_read_copy(&reader, out->chain, 32);

    size_t size;
    const uint8_t *input = sl_read_bin(&reader, 4 * SL_SKETCH_ROWS_MAX, &size);
    out->rows = (uint32_t)size / 4;
    decode_rows(input, out->rows, out->input);
    decode_rows(sl_read_bin_of(&reader, size), out->rows, out->self);

    out->n_members = sl_read_array(&reader, SL_COHORT_MAX);
    out->partners = 0;
    for (uint32_t i = 0; i < out->n_members; i++) {
        const uint8_t *pair = sl_body_read_optional(&reader, size);
        if (pair) out->partners |= UINT64_C(1) << i;
        decode_rows(pair, out->rows, out->pair[i]);
    }
    return sl_body_finish(&reader, out->rows > 0 && size % 4 == 0 && out->n_members > 0);
}

void sl_write_audit(struct sl_writer *writer, const struct sl_audit *body)
{
    assert(body->rows <= SL_SKETCH_ROWS_MAX && body->n_members <= SL_COHORT_MAX);

    sl_write_array(writer, 4);
    sl_write_bin(writer, body->chain, 32);
    write_rows(writer, body->rows, body->input);
    write_rows(writer, body->rows, body->self);
    sl_write_array(writer, body->n_members);
    for (uint32_t i = 0; i < body->n_members; i++) {
        bool is_partner = body->partners >> i & 1;
        write_rows(writer, is_partner ? body->rows : 0, body->pair[i]);
    }
}

int sl_read_confirm(const struct sl_envelope *envelope, struct sl_confirm *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_CONFIRM, 1);
    sl_read_copy(&reader, out->chain, 32);
    return sl_reader_finish(&reader);
}

void sl_write_confirm(struct sl_writer *writer, const struct sl_confirm *body)
{
    sl_write_array(writer, 1);
    sl_write_bin(writer, body->chain, 32);
}

int sl_read_unmask(const struct sl_envelope *envelope, struct sl_unmask *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_UNMASK, 2);
    sl_read_copy(&reader, out->chain, 32);
    out->n_members = sl_read_array(&reader, SL_COHORT_MAX);
    for (uint32_t i = 0; i < out->n_members; i++) out->shares[i] = sl_body_read_optional(&reader, 32);
    return sl_body_finish(&reader, out->n_members > 0);
}

void sl_write_unmask(struct sl_writer *writer, const struct sl_unmask *body)
{
    assert(body->n_members <= SL_COHORT_MAX);

    sl_write_array(writer, 2);
    sl_write_bin(writer, body->chain, 32);
    sl_write_array(writer, body->n_members);
    for (uint32_t i = 0; i < body->n_members; i++) sl_body_write_optional(writer, body->shares[i], 32);
}

int sl_read_reveal(const struct sl_envelope *envelope, struct sl_reveal *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_REVEAL, 3);
    out->kind = (uint32_t)sl_read_uint(&reader, SL_REVEAL_PAIR_SEED);
    out->index = (uint32_t)sl_read_uint(&reader, SL_COHORT_MAX - 1);
    sl_read_copy(&reader, out->secret, 32);
    return sl_body_finish(&reader, out->kind >= SL_REVEAL_BOX_KEY);
}

void sl_write_reveal(struct sl_writer *writer, const struct sl_reveal *body)
{
    sl_write_array(writer, 3);
    sl_write_uint(writer, body->kind);
    sl_write_uint(writer, body->index);
    sl_write_bin(writer, body->secret, 32);
}

int sl_read_result(const struct sl_envelope *envelope, struct sl_result *out)
{
    if (envelope->type != SL_MESSAGE_RESULT) return SL_ERROR_MALFORMED;

    return sl_read_result_body(envelope->body, envelope->body_size, out);
}

void sl_write_result(struct sl_writer *writer, const struct sl_result *body)
{
    sl_write_array(writer, 5);
    sl_write_bin(writer, body->chain, 32);
    sl_write_uint(writer, body->members);
    sl_write_uint(writer, body->bits);
    sl_write_int(writer, body->exponent);
    sl_write_bin(writer, body->root, 32);
}

/* One signature for every signer. */
static bool read_signatures(struct sl_reader *reader, struct sl_signatures *out)
{
    sl_read_array_of(reader, 2);
    out->signers = sl_read_uint(reader, UINT64_MAX);
    out->n = sl_read_array(reader, SL_COHORT_MAX);
    for (uint32_t i = 0; i < out->n; i++) out->all[i] = sl_read_bin_of(reader, SL_SIGNATURE_SIZE);
    return out->n == sl_count_bits(out->signers);
}

static void write_signatures(struct sl_writer *writer, const struct sl_signatures *signatures)
{
    assert(signatures->n == sl_count_bits(signatures->signers));

    sl_write_array(writer, 2);
    sl_write_uint(writer, signatures->signers);
    sl_write_array(writer, signatures->n);
    for (uint32_t i = 0; i < signatures->n; i++) sl_write_bin(writer, signatures->all[i], SL_SIGNATURE_SIZE);
}

int sl_read_aggregate(const struct sl_envelope *envelope, struct sl_aggregate *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_AGGREGATE, 6);
    out->propose = sl_read_bin(&reader, SL_SIZE_MAX_PROPOSE, &out->propose_size);
    out->roster = sl_read_bin(&reader, SL_SIZE_MAX_ROSTER, &out->roster_size);
    out->n_lists = sl_read_array(&reader, LISTS_MAX);
    for (uint32_t i = 0; i < out->n_lists; i++) out->lists[i] = sl_read_bin(&reader, SL_SIZE_MAX_LIST, &out->list_sizes[i]);

    bool are_confirmed = read_signatures(&reader, &out->confirms);
    out->result = sl_read_bin(&reader, SL_SIZE_MAX_RESULT, &out->result_size);
    bool are_signed = read_signatures(&reader, &out->results);
    return sl_body_finish(&reader, are_confirmed && are_signed && out->n_lists >= LISTS_MIN);
}

void sl_write_aggregate(struct sl_writer *writer, const struct sl_aggregate *body)
{
    assert(body->n_lists <= LISTS_MAX);

    sl_write_array(writer, 6);
    sl_write_bin(writer, body->propose, body->propose_size);
    sl_write_bin(writer, body->roster, body->roster_size);
    sl_write_array(writer, body->n_lists);
    for (uint32_t i = 0; i < body->n_lists; i++) sl_write_bin(writer, body->lists[i], body->list_sizes[i]);
    write_signatures(writer, &body->confirms);
    sl_write_bin(writer, body->result, body->result_size);
    write_signatures(writer, &body->results);
}

int sl_read_evidence(const struct sl_envelope *envelope, struct sl_evidence *out)
{
    struct sl_reader reader = sl_body_reader(envelope, SL_MESSAGE_EVIDENCE, 5);
    out->kind = (uint32_t)sl_read_uint(&reader, 15);
    sl_read_copy(&reader, out->sign_public, 32);
    out->n_messages = sl_read_array(&reader, SL_EVIDENCE_MESSAGES_MAX);
    for (uint32_t i = 0; i < out->n_messages; i++) out->messages[i] = sl_read_bin(&reader, SL_SIZE_MAX_ROSTER, &out->message_sizes[i]);

    out->roster = sl_read_bin(&reader, SL_SIZE_MAX_ROSTER, &out->roster_size);
    out->n_secrets = sl_read_array(&reader, SL_EVIDENCE_SECRETS_MAX);
    for (uint32_t i = 0; i < out->n_secrets; i++) {
        sl_read_array_of(&reader, 2);
        out->secrets[i].index = (uint32_t)sl_read_uint(&reader, SL_COHORT_MAX - 1);
        sl_read_copy(&reader, out->secrets[i].secret, 32);
    }
    return sl_body_finish(&reader, out->kind > 0 && out->n_messages > 0);
}

void sl_write_evidence(struct sl_writer *writer, const struct sl_evidence *body)
{
    assert(body->n_messages <= SL_EVIDENCE_MESSAGES_MAX && body->n_secrets <= SL_EVIDENCE_SECRETS_MAX);

    sl_write_array(writer, 5);
    sl_write_uint(writer, body->kind);
    sl_write_bin(writer, body->sign_public, 32);
    sl_write_array(writer, body->n_messages);
    for (uint32_t i = 0; i < body->n_messages; i++) sl_write_bin(writer, body->messages[i], body->message_sizes[i]);

    sl_write_bin(writer, body->roster, body->roster_size);
    sl_write_array(writer, body->n_secrets);
    for (uint32_t i = 0; i < body->n_secrets; i++) {
        sl_write_array(writer, 2);
        sl_write_uint(writer, body->secrets[i].index);
        sl_write_bin(writer, body->secrets[i].secret, 32);
    }
}

int sl_read_list_body(const uint8_t *bytes, size_t size, struct sl_list *out)
{
    struct sl_reader reader = sl_reader_over(bytes, size);
    sl_read_array_of(&reader, 4);
    out->step = (uint32_t)sl_read_uint(&reader, 15);
    sl_read_copy(&reader, out->previous, 32);
    out->members = sl_read_uint(&reader, UINT64_MAX);
    out->n_hashes = sl_body_read_hashes(&reader, SL_COHORT_MAX, out->hashes);
    return sl_body_finish(&reader, out->n_hashes > 0 && out->n_hashes == sl_count_bits(out->members));
}

int sl_read_result_body(const uint8_t *bytes, size_t size, struct sl_result *out)
{
    struct sl_reader reader = sl_reader_over(bytes, size);
    sl_read_array_of(&reader, 5);
    sl_read_copy(&reader, out->chain, 32);
    out->members = sl_read_uint(&reader, UINT64_MAX);
    out->bits = (uint32_t)sl_read_uint(&reader, 32);
    out->exponent = (int32_t)sl_read_int(&reader, -63, 63);
    sl_read_copy(&reader, out->root, 32);
    return sl_body_finish(&reader, out->members != 0 && (out->bits == 8 || out->bits == 16 || out->bits == 32));
}
