/* SPDX-License-Identifier: MIT */
#include "sim/adversary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/adversary_parts.h"
#include "starling/error.h"

const struct sl_adversary *const sl_adversaries[] = {
    &sl_adversary_vanish_shares, &sl_adversary_vanish_commit, &sl_adversary_vanish_open, &sl_adversary_vanish_audit, &sl_adversary_vanish_confirm,
    &sl_adversary_vanish_unmask, &sl_adversary_vanish_result, &sl_adversary_late_commit, &sl_adversary_bad_shares, &sl_adversary_bad_secret,
    &sl_adversary_tag_mismatch, &sl_adversary_partial_shares, &sl_adversary_false_sketch, &sl_adversary_framing_sketch, &sl_adversary_large_input,
    &sl_adversary_huge_input, &sl_adversary_half_ring, &sl_adversary_near_half, &sl_adversary_two_commits, &sl_adversary_split_lists,
    &sl_adversary_two_rosters, &sl_adversary_forged_aggregate, &sl_adversary_withheld_aggregate, &sl_adversary_steer_reference,
    &sl_adversary_steer_radius, &sl_adversary_replay_epoch, &sl_adversary_replay_cohort, NULL
};

/* ---- names ---- */

const struct sl_adversary *sl_adversary_find(const char *name)
{
    for (int i = 0; sl_adversaries[i]; i++)
        if (strcmp(sl_adversaries[i]->name, name) == 0) return sl_adversaries[i];
    return NULL;
}

const char *sl_adversary_name(const struct sl_adversary *adversary)
{
    return adversary->name;
}

const char *sl_adversary_summary(const struct sl_adversary *adversary)
{
    return adversary->summary;
}

static bool refuse_name(const char *name, char *why, size_t why_size)
{
    int length = snprintf(why, why_size, "there is no attack '%s'; there are:", name);
    for (int i = 0; sl_adversaries[i] && length >= 0 && (size_t)length < why_size; i++)
        length += snprintf(why + length, why_size - (size_t)length, " %s", sl_adversaries[i]->name);
    return false;
}

bool sl_adversary_parse(const char *text, uint32_t n_max, const struct sl_adversary **out, uint32_t *out_count, char *why, size_t why_size)
{
    char name[64];
    const char *colon = strchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), text);
    const struct sl_adversary *found = sl_adversary_find(name);
    if (!found) return refuse_name(name, why, why_size);

    const char *digits = colon ? colon + 1 : "";
    size_t n_digits = strlen(digits);
    bool is_number = n_digits > 0 && n_digits < 10 && strspn(digits, "0123456789") == n_digits;
    unsigned long count = is_number ? strtoul(digits, NULL, 10) : 0;
    if (count < 1 || count > n_max) return snprintf(why, why_size, "NAME:COUNT is needed, COUNT from 1 to %u, like %s:3", (unsigned)n_max, name), false;

    *out = found;
    *out_count = (uint32_t)count;
    return true;
}

/* ---- what attacks are made of ---- */

void liar_strike(struct sl_liar *liar)
{
    liar->n_strikes++;
}

void liar_send(struct sl_liar *liar, uint32_t link, const uint8_t *bytes, size_t size)
{
    if (liar->n_sends < LIAR_SENDS_MAX) liar->sends[liar->n_sends++] = (struct sl_send){.link = link, .data = bytes, .size = size};
}

static uint8_t *copy_of(struct sl_liar *liar, const uint8_t *bytes, size_t size)
{
    if (size > LIAR_BYTES_MAX - liar->n_bytes) return NULL;

    uint8_t *copy = liar->bytes + liar->n_bytes;
    memcpy(copy, bytes, size);
    liar->n_bytes += size;
    return copy;
}

void liar_send_copy(struct sl_liar *liar, uint32_t link, const uint8_t *bytes, size_t size)
{
    const uint8_t *copy = copy_of(liar, bytes, size);
    if (copy) liar_send(liar, link, copy, size);
}

struct sl_rng liar_rng(const struct sl_liar *liar, const char *label)
{
    return sl_rng_fork(&liar->rng, label, liar->node->epoch);
}

bool liar_is_own(const struct sl_liar *liar, const struct sl_envelope *envelope)
{
    return sl_hash_equal(envelope->from, liar->node->self->id);
}

bool liar_open(const struct sl_liar *liar, const uint8_t *bytes, size_t size, struct sl_envelope *out)
{
    return sl_envelope_open(bytes, size, liar->node->config.network_id, out) == SL_OK;
}

enum sl_session_step liar_step_of(const struct sl_envelope *envelope)
{
    struct sl_list list;
    switch (envelope->type) {
    case SL_MESSAGE_SHARES: return SL_STEP_SHARES;
    case SL_MESSAGE_COMMIT: return SL_STEP_COMMIT;
    case SL_MESSAGE_OPEN: return SL_STEP_OPEN;
    case SL_MESSAGE_AUDIT: return SL_STEP_AUDIT;
    case SL_MESSAGE_CONFIRM: return SL_STEP_CONFIRM;
    case SL_MESSAGE_UNMASK: return SL_STEP_UNMASK;
    case SL_MESSAGE_RESULT: return SL_STEP_RESULT;
    case SL_MESSAGE_LIST: return sl_read_list(envelope, &list) == SL_OK && list.step < SL_STEP_COUNT ? (enum sl_session_step)list.step : 0;
    default: return 0;
    }
}

const struct cohort *liar_cohort(const struct sl_liar *liar)
{
    const struct cohort *cohort = &liar->node->cohort;
    return cohort->n_members > 0 && cohort->epoch == liar->node->epoch ? cohort : NULL;
}

uint32_t liar_member_at(struct sl_liar *liar, uint32_t number)
{
    const struct cohort *cohort = liar_cohort(liar);
    const struct link *link = links_find(liar->node, number);
    for (uint32_t i = 0; cohort && link && i < cohort->n_members; i++)
        if (sl_hash_equal(cohort->members[i].id, link->id)) return i;
    return UINT32_MAX;
}

void liar_send_to_members(struct sl_liar *liar, const uint8_t *bytes, size_t size)
{
    const struct cohort *cohort = liar_cohort(liar);
    const uint8_t *copy = cohort ? copy_of(liar, bytes, size) : NULL;
    for (uint32_t i = 0; copy && i < cohort->n_members; i++) {
        const struct link *link = i == cohort->own ? NULL : links_to(liar->node, cohort->members[i].id);
        if (link) liar_send(liar, link->number, copy, size);
    }
}

struct sl_writer liar_begin(struct sl_liar *liar, const struct sl_envelope *like)
{
    return sl_envelope_begin(like->type, liar->node->config.network_id, like->epoch, like->cohort, liar->node->self->id, liar->bytes + liar->n_bytes,
                             LIAR_BYTES_MAX - liar->n_bytes);
}

const uint8_t *liar_end(struct sl_liar *liar, struct sl_writer *writer, enum sl_message_type type, size_t *size)
{
    *size = sl_envelope_seal(writer, type, liar->node->self->sign_secret);
    if (*size == 0) return NULL;

    liar->n_bytes += *size;
    return writer->bytes;
}

void records_add(struct records *records, const struct sl_envelope *envelope)
{
    if (envelope->size > RECORD_MAX) return;

    struct record *record = &records->all[records->n++ % RECORDS_MAX];
    *record = (struct record){.epoch = envelope->epoch, .size = (uint32_t)envelope->size};
    memcpy(record->cohort, envelope->cohort, 32);
    memcpy(record->bytes, envelope->bytes, envelope->size);
}

/* ---- the tap ---- */

static void on_event(void *context, struct sl_node *node, struct sl_event *event)
{
    struct sl_liar *liar = context;
    liar->node = node;
    if (liar->adversary->say) session_listen(liar);
    if (liar->adversary->event) liar->adversary->event(liar, event);
}

static void on_message(struct sl_liar *liar, const struct sl_send *send)
{
    struct sl_envelope envelope;
    bool is_taken = liar->adversary->message && liar_open(liar, send->data, send->size, &envelope) && liar->adversary->message(liar, &envelope, send);
    if (!is_taken) liar_send(liar, send->link, send->data, send->size);
}

static void on_actions(void *context, struct sl_node *node, struct sl_actions *actions)
{
    struct sl_liar *liar = context;
    liar->node = node;
    liar->n_sends = 0;
    liar->n_bytes = 0;
    if (liar->adversary->after) liar->adversary->after(liar);
    for (uint32_t i = 0; i < actions->n_sends; i++) on_message(liar, &actions->sends[i]);
    actions->sends = liar->sends;
    actions->n_sends = liar->n_sends;
}

struct sl_tap sl_liar_tap(struct sl_liar *liar)
{
    return (struct sl_tap){.context = liar, .event = on_event, .actions = on_actions};
}

uint64_t sl_liar_strikes(const struct sl_liar *liar)
{
    return liar->n_strikes;
}

/* ---- making and ending ---- */

struct sl_gang *sl_gang_new(void)
{
    return calloc(1, sizeof(struct sl_gang));
}

void sl_gang_destroy(struct sl_gang **gang)
{
    free(*gang);
    *gang = NULL;
}

struct sl_liar *sl_liar_new(const struct sl_adversary *adversary, struct sl_gang *gang, const uint8_t seed[32])
{
    struct sl_liar *liar = calloc(1, sizeof *liar);
    if (!liar) return NULL;

    liar->adversary = adversary;
    liar->gang = gang;
    sl_rng_init(&liar->rng, seed);
    liar->bytes = malloc(LIAR_BYTES_MAX);
    liar->memory = calloc(1, adversary->size > 0 ? adversary->size : 1);
    if (!liar->bytes || !liar->memory) sl_liar_destroy(&liar);
    return liar;
}

void sl_liar_destroy(struct sl_liar **pointer)
{
    struct sl_liar *liar = *pointer;
    if (!liar) return;

    free(liar->bytes);
    free(liar->memory);
    free(liar);
    *pointer = NULL;
}
