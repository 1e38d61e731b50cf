/* SPDX-License-Identifier: MIT */
/* Messages again: of an epoch that is over, or of a cohort that is not theirs. */
#include <string.h>

#include "sim/adversary_parts.h"

struct replay { struct records records; uint64_t epoch; };

static bool is_repeatable(const struct sl_envelope *envelope)
{
    return liar_step_of(envelope) > 0 || envelope->type == SL_MESSAGE_REVEAL || envelope->type == SL_MESSAGE_REFUSE;
}

static void record_event(struct sl_liar *liar, struct records *records, const struct sl_event *event)
{
    struct sl_envelope envelope;
    if (event->type == SL_EVENT_MESSAGE && liar_open(liar, event->message.data, event->message.size, &envelope) && is_repeatable(&envelope))
        records_add(records, &envelope);
}

static void repeat(struct sl_liar *liar, const struct record *record)
{
    liar_send_to_members(liar, record->bytes, record->size);
    liar_strike(liar);
}

/* Once in an epoch, when the node has sent a COMMIT: by then its partners listen. */
static bool is_time(struct sl_liar *liar, const struct sl_envelope *envelope)
{
    struct replay *replay = liar->memory;
    if (envelope->type != SL_MESSAGE_COMMIT || !liar_is_own(liar, envelope) || replay->epoch == liar->node->epoch) return false;
    replay->epoch = liar->node->epoch;
    return true;
}

/* ---- replay-epoch ---- */

static void old_event(struct sl_liar *liar, struct sl_event *event)
{
    struct replay *replay = liar->memory;
    record_event(liar, &replay->records, event);
}

static bool old_message(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    struct replay *replay = liar->memory;
    (void)send;
    if (is_time(liar, envelope)) {
        for (uint32_t i = 0; i < RECORDS_MAX; i++) {
            const struct record *record = &replay->records.all[i];
            if (record->size > 0 && record->epoch < liar->node->epoch) repeat(liar, record);
        }
    }
    if (is_repeatable(envelope) && liar_is_own(liar, envelope)) records_add(&replay->records, envelope);
    return false;
}

const struct sl_adversary sl_adversary_replay_epoch = {
    .name = "replay-epoch", .summary = "sends messages of former epochs again, its own and its partners'", .size = sizeof(struct replay),
    .event = old_event, .message = old_message
};

/* ---- replay-cohort ---- */

static void foreign_event(struct sl_liar *liar, struct sl_event *event)
{
    record_event(liar, &liar->gang->heard, event);
}

/* The same message with this cohort in its envelope: bodies stay, and with them signatures that do not fit. */
static void relabel(struct sl_liar *liar, const struct record *record)
{
    struct sl_envelope envelope;
    uint8_t bytes[RECORD_MAX];
    if (!liar_open(liar, record->bytes, record->size, &envelope)) return;

    memcpy(bytes, record->bytes, record->size);
    memcpy(bytes + (envelope.cohort - envelope.bytes), liar_cohort(liar)->id, 32);
    liar_send_to_members(liar, bytes, record->size);
}

static bool foreign_message(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    (void)send;
    const struct cohort *cohort = liar_cohort(liar);
    struct records *heard = &liar->gang->heard;
    if (is_repeatable(envelope) && liar_is_own(liar, envelope)) records_add(heard, envelope);
    if (!cohort || !is_time(liar, envelope)) return false;

    for (uint32_t i = 0; i < RECORDS_MAX; i++) {
        const struct record *record = &heard->all[i];
        if (record->size == 0 || sl_hash_equal(record->cohort, cohort->id)) continue;
        repeat(liar, record);
        relabel(liar, record);
    }
    return false;
}

const struct sl_adversary sl_adversary_replay_cohort = {
    .name = "replay-cohort", .summary = "sends messages of other cohorts to its own, as they are and with its cohort's name", .size = sizeof(struct replay),
    .event = foreign_event, .message = foreign_message
};
