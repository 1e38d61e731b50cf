/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_REPORT_H
#define SL_RUNTIME_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/setup.h"
#include "starling/status.h"
#include "starling/trace.h"

/* What a node says: one line per epoch on stderr, every trace event with `verbose`, and summary.json when it stops. */

/* What the trace told of one epoch. */
struct sl_epoch_facts {
    uint64_t epoch;
    bool any, trained, no_cohort, is_initiator, has_aggregate, is_void;
    int64_t n_steps, n_members, n_merged, n_merged_members, n_pulled;
    int train_error;
};

struct sl_report {
    bool verbose;
    uint64_t start_us, first_epoch;
    uint8_t own_id[32];
    struct sl_epoch_facts now, finished;
    bool line_due;                           /* `finished` waits to be printed */
    uint64_t cohorts_completed, cohorts_void;        /* counted by their initiator, so that a network's sum counts each cohort once */
};

void sl_report_init(struct sl_report *report, const uint8_t own_id[32], bool verbose, uint64_t start_us);

/* One line of prose with the time since the start. */
void sl_report_say(const struct sl_report *report, uint64_t now_us, const char *text);

/* A struct sl_trace_sink's report function; context is the struct sl_report. */
void sl_report_trace(void *context, const struct sl_trace_event *event);

/* After a step: prints the line of the epoch that ended in it, if one did. */
void sl_report_turn(struct sl_report *report, uint64_t now_us, const struct sl_status *status);

/* Closes the epoch under way as well; for the end. */
void sl_report_finish(struct sl_report *report);

/* Scores the weights on data.test and on the own kept-back rows and writes folder/summary.json. SL_ERROR_IO, _NO_SPACE, _NO_MEMORY. */
int sl_report_write_summary(const struct sl_report *report, const struct sl_setup *setup, const struct sl_status *status, const float *weights,
                            uint64_t sends_dropped);

#endif
