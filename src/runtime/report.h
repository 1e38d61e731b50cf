/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_REPORT_H
#define SL_RUNTIME_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/glance.h"
#include "runtime/setup.h"
#include "starling/status.h"
#include "starling/trace.h"

/* What a node says: one line per epoch on stderr, every trace event with `verbose`, and summary.json when it stops. */

struct sl_report {
    bool verbose;
    uint64_t start_us;
    enum sl_trouble told;                    /* what was said of the node's health last, */
    uint64_t told_epoch;                     /* and when */
};

void sl_report_init(struct sl_report *report, bool verbose, uint64_t start_us);

/* One line of prose with the time since the start. */
void sl_report_say(const struct sl_report *report, uint64_t now_us, const char *text);

/* One line per trace event, with `verbose`. */
void sl_report_event(const struct sl_report *report, const struct sl_trace_event *event);

/* The line of an epoch that is over; then, when the node's health changed, and every tenth epoch while it is bad, a line that says why. */
void sl_report_epoch(struct sl_report *report, const struct sl_glance *glance, const struct sl_status *status, const struct sl_epoch_record *record);

/* Scores the weights on data.test and on the own kept-back rows and writes folder/summary.json. SL_ERROR_IO, _NO_SPACE, _NO_MEMORY. */
int sl_report_write_summary(const struct sl_glance *glance, const struct sl_status *status, const float *weights);

#endif
