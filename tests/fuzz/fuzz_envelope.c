/* SPDX-License-Identifier: MIT */
/*
 * A frame from a stranger: opened, verified, and its body decoded as if the signature were good. What decodes must be written again with the same
 * bytes. An input that begins with the number of a type (a frame never does) is a body alone, so that the fuzzer need not find frames around bodies.
 */
#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "samples.h"

static void check_body(const struct sl_envelope *envelope)
{
    static uint8_t again[SL_MESSAGE_MAX];
    struct sl_writer writer = sl_writer_over(again, sizeof again);
    if (sample_rewrite(envelope, &writer) != SL_OK) return;

    assert(!writer.full && writer.size == envelope->body_size);
    assert(memcmp(again, envelope->body, writer.size) == 0);
}

/* True if it is a message, whatever its body. */
static bool check_message(const uint8_t *bytes, size_t size, struct sl_envelope *envelope)
{
    if (sl_envelope_open(bytes, size, sample_network, envelope) != SL_OK) return false;

    assert(sl_message_name(envelope->type) && envelope->size == size && envelope->signed_size < size);
    assert(envelope->body > bytes && envelope->body + envelope->body_size == bytes + envelope->signed_size);

    uint8_t sign_public[32], sign_secret[64];
    sample_keys(sign_public, sign_secret);
    bool is_verified = sl_envelope_verify(envelope, sign_public);
    assert(!is_verified || envelope->signature);
    assert((envelope->signature != NULL) == sl_message_is_signed(envelope->type));
    check_body(envelope);
    return true;
}

/* A body that stands alone in a message of another type. */
static void check_bare(enum sl_message_type type, const uint8_t *body, size_t size)
{
    struct sl_envelope envelope = {.type = type, .body = body, .body_size = size};
    check_body(&envelope);
}

static void check_aggregate(const struct sl_aggregate *aggregate)
{
    struct sl_envelope part;
    check_message(aggregate->propose, aggregate->propose_size, &part);
    check_message(aggregate->roster, aggregate->roster_size, &part);
    for (uint32_t i = 0; i < aggregate->n_lists; i++) check_bare(SL_MESSAGE_LIST, aggregate->lists[i], aggregate->list_sizes[i]);
    check_bare(SL_MESSAGE_RESULT, aggregate->result, aggregate->result_size);
}

static void check_evidence(const struct sl_evidence *evidence)
{
    struct sl_envelope part;
    for (uint32_t i = 0; i < evidence->n_messages; i++) check_message(evidence->messages[i], evidence->message_sizes[i], &part);
    if (evidence->roster_size > 0) check_message(evidence->roster, evidence->roster_size, &part);
}

static void check_parts(const struct sl_envelope *envelope)
{
    static struct sl_roster roster;
    static struct sl_aggregate aggregate;
    static struct sl_evidence evidence;
    struct sl_envelope part;
    if (envelope->type == SL_MESSAGE_ROSTER && sl_read_roster(envelope, &roster) == SL_OK)
        for (uint32_t i = 0; i < roster.n_joins; i++) check_message(roster.joins[i].bytes, roster.joins[i].size, &part);

    if (envelope->type == SL_MESSAGE_AGGREGATE && sl_read_aggregate(envelope, &aggregate) == SL_OK) check_aggregate(&aggregate);
    if (envelope->type == SL_MESSAGE_EVIDENCE && sl_read_evidence(envelope, &evidence) == SL_OK) check_evidence(&evidence);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_envelope envelope;
    if (check_message(data, size, &envelope)) check_parts(&envelope);
    if (size == 0 || !sl_message_name(data[0])) return 0;

    envelope = (struct sl_envelope){.type = data[0], .body = data + 1, .body_size = size - 1};
    check_body(&envelope);
    check_parts(&envelope);
    return 0;
}
