/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_JOURNAL_H
#define SL_RUNTIME_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "starling/status.h"
#include "starling/trace.h"

/*
 * What a node remembers of its own doings: the last trace events as they were, and the last epochs in numbers. Two rings of fixed size; texts are made
 * when somebody asks. The line per epoch, the control socket and /metrics all read it.
 */
enum { SL_JOURNAL_EVENTS = 1024, SL_JOURNAL_EPOCHS = 256, SL_NOTE_SIZE = 240, SL_LOSSES_MAX = 16, SL_DROP_STEPS_MAX = 16 };

/* Phases of an epoch in their order; the time of each is that of its end. */
enum sl_phase {
    SL_PHASE_FORM, SL_PHASE_TRAIN, SL_PHASE_SHARE, SL_PHASE_COMMIT, SL_PHASE_OPEN, SL_PHASE_AUDIT, SL_PHASE_UNMASK, SL_PHASE_RESULT, SL_PHASE_PULL, SL_PHASES
};

const char *sl_phase_name(enum sl_phase phase);          /* "form" */

/* How a cohort lost a member: SL_TRACE_REFUSED, _DROPPED, _BAD_SHARE, _DISPUTED, _BAD_AUDIT, _TOO_LARGE, _CONTRADICTION, _BAD_SECRET, _BAD_RESULT
 * or _ACCUSED. */
struct sl_loss { enum sl_trace_type how; uint8_t peer[32]; int64_t number; };

struct sl_epoch_record {
    uint64_t epoch, begin_us;
    bool trained, in_cohort, is_initiator, has_aggregate, is_void;
    int64_t n_steps, n_members, n_pulled, n_merged, n_merged_members;
    uint8_t initiator[32];                   /* who proposed the cohort; zero without one */
    int64_t n_roster;                        /* members it began with */
    uint32_t n_losses;
    struct sl_loss losses[SL_LOSSES_MAX];    /* in the order in which they were noticed */
    int train_error;
    struct sl_score own;                     /* of the weights at the beginning of the epoch; n_rows 0 = not known */
    double epsilon;                          /* spent up to its end, at privacy.delta; 0 where privacy is off */
    uint64_t phase_us[SL_PHASES];            /* since the beginning of the epoch; SL_NEVER: not reached */
    uint64_t bytes_sent, bytes_received, cpu_us;
    bool has_cause;                          /* the note tells why, not only what came of it */
    char note[SL_NOTE_SIZE];                 /* what went wrong, in words; empty when nothing did */
};

struct sl_journal {
    uint8_t own_id[32];
    uint64_t epoch_us;
    uint64_t n_events, n_epochs;             /* ever; the newest are kept */
    struct sl_trace_event events[SL_JOURNAL_EVENTS];
    struct sl_epoch_record epochs[SL_JOURNAL_EPOCHS];
    struct sl_epoch_record open, ended;      /* under way, and over but not closed */
    bool has_open, has_ended;
    uint64_t bytes_sent, bytes_received, cpu_us;             /* when the last epoch was closed */
    uint64_t cohorts_completed, cohorts_void;                /* counted by their initiator, so that a network's sum counts each cohort once */
    uint64_t losses[SL_TRACE_COUNT];         /* members lost to own cohorts, by how */
    uint64_t drops[SL_DROP_STEPS_MAX];            /* of these the silent, by step (enum sl_session_step) */
};

void sl_journal_init(struct sl_journal *journal, const uint8_t own_id[32], uint64_t epoch_us);

void sl_journal_add(struct sl_journal *journal, const struct sl_trace_event *event);

/* After a step: an epoch that ended in it gets its totals and enters the ring. NULL when none did. cpu_us: of the process so far. */
const struct sl_epoch_record *sl_journal_close(struct sl_journal *journal, const struct sl_status *status, uint64_t cpu_us);

/* Ends the epoch under way if it brought something; for the end of the node. sl_journal_close() then closes it. */
void sl_journal_finish(struct sl_journal *journal);

/* Closed epochs, i < sl_journal_epochs(), oldest first. */
uint32_t sl_journal_epochs(const struct sl_journal *journal);
const struct sl_epoch_record *sl_journal_epoch(const struct sl_journal *journal, uint32_t i);

/* Events have sequence numbers from 1 on; those from sl_journal_first() to n_events are kept. */
uint64_t sl_journal_first(const struct sl_journal *journal);
const struct sl_trace_event *sl_journal_event(const struct sl_journal *journal, uint64_t sequence);

/* The event's sentence, its peer by the first eight digits. */
void sl_journal_text(const struct sl_trace_event *event, char *text, size_t size);

enum { SL_SHORT_ID_SIZE = 9 };

/* Does a cohort lose a member by this event? */
bool sl_journal_is_loss(enum sl_trace_type type);

/* The first eight digits of an id: enough to tell the peers of one network apart. */
void sl_short_id(const uint8_t id[32], char out[SL_SHORT_ID_SIZE]);

#endif
