/* SPDX-License-Identifier: MIT */
/* Lies in AUDIT: a sketch that hides a large input behind the self mask, and one that makes a partner look guilty. */
#include <string.h>

#include "sim/adversary_parts.h"

enum { SHRINK = 8, FRAME = 3 };

static uint32_t ring_mask(const struct sl_liar *liar)
{
    return liar->node->config.ring_bits == 16 ? 0xffff : UINT32_MAX;
}

static int32_t as_signed(uint32_t value, uint32_t mask)
{
    return mask == UINT32_MAX ? (int32_t)value : (int32_t)(int16_t)(uint16_t)value;
}

/* The input is told smaller than it is; the self mask takes the rest, so that the sum still fits the vector. */
static bool hide_input(struct sl_liar *liar, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    struct sl_audit audit;
    uint32_t mask = ring_mask(liar);
    if (envelope->type != SL_MESSAGE_AUDIT || sl_read_audit(envelope, &audit) != SL_OK) return false;

    for (uint32_t r = 0; r < audit.rows; r++) {
        uint32_t told = (uint32_t)(as_signed(audit.input[r], mask) / SHRINK) & mask;
        audit.self[r] = (audit.self[r] + audit.input[r] - told) & mask;
        audit.input[r] = told;
    }
    sl_write_audit(writer, &audit);
    return true;
}

const struct sl_adversary sl_adversary_false_sketch = {
    .name = "false-sketch", .summary = "tells a sketch eight times too small and lets its self mask make up for it", .say = hide_input
};

/* One number of a pair is false, the input makes up for it: whoever believes it must think that the partner told another. */
static bool frame(struct sl_liar *liar, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    struct sl_audit audit;
    const struct cohort *cohort = liar_cohort(liar);
    uint32_t mask = ring_mask(liar), victim = SL_COHORT_MAX;
    if (!cohort || envelope->type != SL_MESSAGE_AUDIT || sl_read_audit(envelope, &audit) != SL_OK) return false;

    struct sl_rng rng = liar_rng(liar, "victim");
    for (uint32_t j = 0, n = 0; j < cohort->n_members; j++)
        if (audit.partners >> j & 1 && sl_rng_below(&rng, ++n) == 0) victim = j;
    if (victim == SL_COHORT_MAX) return false;

    audit.pair[victim][0] = (audit.pair[victim][0] + FRAME) & mask;
    audit.input[0] = (audit.input[0] + (victim > cohort->own ? -FRAME : FRAME)) & mask;
    sl_write_audit(writer, &audit);
    return true;
}

/* It says nothing of its own about the dispute. */
static bool keep_quiet(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    (void)send;
    return envelope->type == SL_MESSAGE_REVEAL && liar_is_own(liar, envelope);
}

const struct sl_adversary sl_adversary_framing_sketch = {
    .name = "framing-sketch", .summary = "tells a false sketch of a pair's mask, so that the partner looks guilty", .say = frame,
    .message = keep_quiet
};
