/* SPDX-License-Identifier: MIT */
/* Silence: nodes that stop speaking in the middle of a run, speak too late, or keep what others wait for. */
#include <string.h>

#include "sim/adversary_parts.h"

/* ---- silent from a step on ---- */

struct silence { uint64_t epoch; bool is_silent; };

/* In this epoch the node has come to the step; it says no more of its cohort, as one that died, yet is there again in the next epoch. */
static bool vanish(struct sl_liar *liar, const struct sl_envelope *envelope, enum sl_session_step from)
{
    struct silence *silence = liar->memory;
    if (silence->epoch != liar->node->epoch) *silence = (struct silence){.epoch = liar->node->epoch};
    silence->is_silent = silence->is_silent || (liar_is_own(liar, envelope) && liar_step_of(envelope) >= from);
    if (!silence->is_silent) return false;

    bool concerns_run = liar_step_of(envelope) > 0 || envelope->type == SL_MESSAGE_NEED || envelope->type == SL_MESSAGE_REVEAL ||
                        envelope->type == SL_MESSAGE_REFUSE || (envelope->type == SL_MESSAGE_CHUNK && from <= SL_STEP_OPEN);
    if (concerns_run) liar_strike(liar);
    return concerns_run;
}

#define VANISH(word, step, text) \
    static bool vanish_##word(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send) \
    { \
        (void)send; \
        return vanish(liar, envelope, step); \
    } \
    const struct sl_adversary sl_adversary_vanish_##word = { \
        .name = "vanish-" #word, .summary = "falls silent when it should send its " text, .size = sizeof(struct silence), .message = vanish_##word \
    }
VANISH(shares, SL_STEP_SHARES, "SHARES");
VANISH(commit, SL_STEP_COMMIT, "COMMIT");
VANISH(open, SL_STEP_OPEN, "OPEN");
VANISH(audit, SL_STEP_AUDIT, "AUDIT");
VANISH(confirm, SL_STEP_CONFIRM, "CONFIRM");
VANISH(unmask, SL_STEP_UNMASK, "UNMASK");
VANISH(result, SL_STEP_RESULT, "RESULT");

/* ---- late-commit ---- */

enum { HELD_BACK_MAX = SL_COHORT_MAX * 2, COMMIT_MAX = 256 };

struct held_back { uint32_t n; struct { uint32_t link, size; uint8_t bytes[COMMIT_MAX]; } all[HELD_BACK_MAX]; bool has_heard; uint64_t epoch; };

static struct held_back *held_back_of(struct sl_liar *liar)
{
    struct held_back *held = liar->memory;
    if (held->epoch != liar->node->epoch) *held = (struct held_back){.epoch = liar->node->epoch};
    return held;
}

/* Somebody's nonce is open: an audit could be computed by now, if a COMMIT still counted. */
static void late_event(struct sl_liar *liar, struct sl_event *event)
{
    struct sl_envelope envelope;
    if (event->type != SL_EVENT_MESSAGE || !liar_open(liar, event->message.data, event->message.size, &envelope)) return;
    if (envelope.type == SL_MESSAGE_OPEN && envelope.epoch == liar->node->epoch) held_back_of(liar)->has_heard = true;
}

static void late_after(struct sl_liar *liar)
{
    struct held_back *held = held_back_of(liar);
    if (!held->has_heard) return;

    for (uint32_t i = 0; i < held->n; i++) {
        liar_send_copy(liar, held->all[i].link, held->all[i].bytes, held->all[i].size);
        liar_strike(liar);
    }
    held->n = 0;
}

static bool late_message(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    struct held_back *held = held_back_of(liar);
    if (envelope->type != SL_MESSAGE_COMMIT || !liar_is_own(liar, envelope) || held->has_heard || send->size > COMMIT_MAX) return false;
    if (held->n == HELD_BACK_MAX) return true;

    held->all[held->n].link = send->link;
    held->all[held->n].size = (uint32_t)send->size;
    memcpy(held->all[held->n++].bytes, send->data, send->size);
    return true;
}

const struct sl_adversary sl_adversary_late_commit = {
    .name = "late-commit", .summary = "keeps its COMMIT back until somebody has opened", .size = sizeof(struct held_back),
    .event = late_event, .after = late_after, .message = late_message
};

/* ---- withheld-aggregate ---- */

static bool withhold(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    (void)send;
    bool is_withheld = envelope->type == SL_MESSAGE_AGGREGATE || (envelope->type == SL_MESSAGE_RESULT && liar_is_own(liar, envelope));
    if (is_withheld) liar_strike(liar);
    return is_withheld;
}

const struct sl_adversary sl_adversary_withheld_aggregate = {
    .name = "withheld-aggregate", .summary = "signs no result and serves no aggregate", .message = withhold
};
