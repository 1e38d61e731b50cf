/* SPDX-License-Identifier: MIT */
#include "runtime/journal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "starling/event.h"

const char *sl_phase_name(enum sl_phase phase)
{
    static const char *const names[SL_PHASES] = {"form", "train", "share", "commit", "open", "audit", "unmask", "result", "pull"};
    assert(phase < SL_PHASES);
    return names[phase];
}

void sl_short_id(const uint8_t id[32], char out[SL_SHORT_ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < SL_SHORT_ID_SIZE / 2; i++) {
        out[2 * i] = digits[id[i] >> 4];
        out[2 * i + 1] = digits[id[i] & 15];
    }
    out[SL_SHORT_ID_SIZE - 1] = 0;
}

void sl_journal_text(const struct sl_trace_event *event, char *text, size_t size)
{
    char name[SL_SHORT_ID_SIZE];
    sl_short_id(event->peer, name);
    sl_trace_text(event, sl_hash_is_zero(event->peer) ? "nobody" : name, text, size);
}

/* ---- one epoch ---- */

static struct sl_epoch_record fresh_record(uint64_t epoch, uint64_t epoch_us)
{
    struct sl_epoch_record record = {.epoch = epoch, .begin_us = epoch * epoch_us};
    for (uint32_t i = 0; i < SL_PHASES; i++) record.phase_us[i] = SL_NEVER;
    return record;
}

static void turn_epoch(struct sl_journal *journal, uint64_t epoch)
{
    if (journal->has_open && journal->open.epoch >= epoch) return;

    if (journal->has_open) {
        journal->ended = journal->open;
        journal->has_ended = true;
    }
    journal->open = fresh_record(epoch, journal->epoch_us);
    journal->has_open = true;
}

static void reach(struct sl_epoch_record *record, enum sl_phase phase, const struct sl_trace_event *event)
{
    record->phase_us[phase] = event->now_us > record->begin_us ? event->now_us - record->begin_us : 0;
}

/* A cause is told rather than what came of it; of several causes the last. */
static void note_event(struct sl_epoch_record *record, const struct sl_trace_event *event, bool is_cause)
{
    if (!is_cause && record->note[0]) return;

    sl_journal_text(event, record->note, sizeof record->note);
    record->has_cause = is_cause;
}

/* What happened to a cohort is told one after the other, as far as there is room. */
static void note_further(struct sl_epoch_record *record, const struct sl_trace_event *event)
{
    char text[SL_NOTE_SIZE];
    size_t length = record->has_cause ? strlen(record->note) : 0;
    sl_journal_text(event, text, sizeof text);
    bool is_told = length > 0 && strstr(record->note, text), has_room = length + 2 + strlen(text) < sizeof record->note;
    if (!is_told && has_room) snprintf(record->note + length, sizeof record->note - length, "%s%s", length > 0 ? "; " : "", text);
    record->has_cause = true;
}

bool sl_journal_is_loss(enum sl_trace_type type)
{
    switch (type) {
    case SL_TRACE_REFUSED: case SL_TRACE_DROPPED: case SL_TRACE_BAD_SHARE: case SL_TRACE_DISPUTED: case SL_TRACE_BAD_AUDIT: case SL_TRACE_TOO_LARGE:
    case SL_TRACE_CONTRADICTION: case SL_TRACE_BAD_SECRET: case SL_TRACE_BAD_RESULT: case SL_TRACE_ACCUSED: return true;
    default: return false;
    }
}

static void take_loss(struct sl_journal *journal, struct sl_epoch_record *record, const struct sl_trace_event *event)
{
    journal->losses[event->type]++;
    if (event->type == SL_TRACE_DROPPED && event->a >= 0 && event->a < SL_DROP_STEPS_MAX) journal->drops[event->a]++;
    if (event->type != SL_TRACE_ACCUSED) note_further(record, event);        /* the ban that follows says the same */
    if (record->n_losses == SL_LOSSES_MAX) return;

    struct sl_loss *loss = &record->losses[record->n_losses++];
    *loss = (struct sl_loss){.how = event->type, .number = event->a};
    memcpy(loss->peer, event->peer, 32);
}

static void take_event(struct sl_journal *journal, struct sl_epoch_record *record, const struct sl_trace_event *event)
{
    if (sl_journal_is_loss(event->type)) take_loss(journal, record, event);
    switch (event->type) {
    case SL_TRACE_ROSTER:
        record->in_cohort = true;
        record->n_members = record->n_roster = event->a;
        memcpy(record->initiator, event->peer, 32);
        record->is_initiator = sl_hash_equal(event->peer, journal->own_id);
        reach(record, SL_PHASE_FORM, event);
        break;
    case SL_TRACE_TRAINED:
        record->trained = true;
        record->n_steps = event->a;
        reach(record, SL_PHASE_TRAIN, event);
        break;
    case SL_TRACE_PROVEN: note_further(record, event); break;
    case SL_TRACE_AGREED: reach(record, SL_PHASE_SHARE, event); break;
    case SL_TRACE_COMMITTED: reach(record, SL_PHASE_COMMIT, event); break;
    case SL_TRACE_OPENED: reach(record, SL_PHASE_OPEN, event); break;
    case SL_TRACE_AUDITED: reach(record, SL_PHASE_AUDIT, event); break;
    case SL_TRACE_UNMASKED: reach(record, SL_PHASE_UNMASK, event); break;
    case SL_TRACE_AGGREGATE:
        record->has_aggregate = true;
        record->n_members = event->a;
        reach(record, SL_PHASE_RESULT, event);
        break;
    case SL_TRACE_VOID: case SL_TRACE_VOID_ALONE:
        record->is_void = true;
        note_further(record, event);
        break;
    case SL_TRACE_PULLED: record->n_pulled++; break;
    case SL_TRACE_MERGED:
        record->n_merged = event->a;
        record->n_merged_members = event->b;
        reach(record, SL_PHASE_PULL, event);
        break;
    case SL_TRACE_TRAIN_FAILED:
        record->train_error = event->error;
        note_event(record, event, true);
        break;
    case SL_TRACE_STORE_FAILED: case SL_TRACE_TRAIN_LATE: case SL_TRACE_SILENT: case SL_TRACE_CLOCK: note_event(record, event, true); break;
    case SL_TRACE_NO_COHORT: case SL_TRACE_NOT_MERGED: note_event(record, event, false); break;
    default: break;
    }
}

/* A lonely node says whom it lacks, which "found no cohort" does not. */
static void explain(struct sl_epoch_record *record, const struct sl_status *status)
{
    if (record->has_cause || record->in_cohort || record->has_aggregate || status->peers_live > 0) return;

    record->has_cause = true;
    snprintf(record->note, sizeof record->note, "no peer is reachable: %" PRIu32 " known", status->peers_known);
}

/* ---- the rings ---- */

void sl_journal_init(struct sl_journal *journal, const uint8_t own_id[32], uint64_t epoch_us)
{
    memset(journal, 0, sizeof *journal);
    memcpy(journal->own_id, own_id, 32);
    journal->epoch_us = epoch_us;
}

void sl_journal_add(struct sl_journal *journal, const struct sl_trace_event *event)
{
    journal->events[journal->n_events % SL_JOURNAL_EVENTS] = *event;
    journal->n_events++;

    turn_epoch(journal, event->epoch);
    if (journal->open.epoch == event->epoch) take_event(journal, &journal->open, event);
}

const struct sl_epoch_record *sl_journal_close(struct sl_journal *journal, const struct sl_status *status, uint64_t cpu_us)
{
    if (!journal->has_ended) return NULL;

    struct sl_epoch_record *record = &journal->epochs[journal->n_epochs % SL_JOURNAL_EPOCHS];
    *record = journal->ended;
    journal->has_ended = false;
    journal->n_epochs++;
    journal->cohorts_completed += record->is_initiator && record->has_aggregate;
    journal->cohorts_void += record->is_initiator && !record->has_aggregate;

    record->bytes_sent = status->bytes_sent - journal->bytes_sent;
    record->bytes_received = status->bytes_received - journal->bytes_received;
    record->cpu_us = cpu_us - journal->cpu_us;
    if (record->trained) record->own = status->last_job.own;
    record->epsilon = status->privacy.epsilon;
    explain(record, status);

    journal->bytes_sent = status->bytes_sent;
    journal->bytes_received = status->bytes_received;
    journal->cpu_us = cpu_us;
    return record;
}

void sl_journal_finish(struct sl_journal *journal)
{
    bool has_result = journal->has_open && (journal->open.has_aggregate || journal->open.is_void);
    if (has_result) turn_epoch(journal, journal->open.epoch + 1);
}

uint32_t sl_journal_epochs(const struct sl_journal *journal)
{
    return journal->n_epochs < SL_JOURNAL_EPOCHS ? (uint32_t)journal->n_epochs : SL_JOURNAL_EPOCHS;
}

const struct sl_epoch_record *sl_journal_epoch(const struct sl_journal *journal, uint32_t i)
{
    uint32_t n = sl_journal_epochs(journal);
    assert(i < n);
    return &journal->epochs[(journal->n_epochs - n + i) % SL_JOURNAL_EPOCHS];
}

uint64_t sl_journal_first(const struct sl_journal *journal)
{
    return journal->n_events < SL_JOURNAL_EVENTS ? 1 : journal->n_events - SL_JOURNAL_EVENTS + 1;
}

const struct sl_trace_event *sl_journal_event(const struct sl_journal *journal, uint64_t sequence)
{
    assert(sequence >= sl_journal_first(journal) && sequence <= journal->n_events);
    return &journal->events[(sequence - 1) % SL_JOURNAL_EVENTS];
}
