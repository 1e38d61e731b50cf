/* SPDX-License-Identifier: MIT */
#ifndef STARLING_TRACE_H
#define STARLING_TRACE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The core reports what happens as typed events through one callback: logs, metrics, golden stories and the
 * simulator's checker all read it. The core itself never logs.
 */
enum sl_trace_type {
#define X(name, text) SL_TRACE_##name,
#include "trace_events.def"
#undef X
    SL_TRACE_COUNT
};

struct sl_trace_event {
    enum sl_trace_type type;
    uint64_t now_us, epoch;
    uint8_t peer[32];        /* all zero: no peer */
    int64_t a, b;
    int error;
};

struct sl_trace_sink {
    void *context;
    void (*report)(void *context, const struct sl_trace_event *event);    /* NULL: nobody listens */
};

const char *sl_trace_name(enum sl_trace_type type);      /* "AGGREGATE" */

/* Writes the event's sentence ("aggregate of 4 members signed by 4") without time or node. `peer_name` stands for %p.
 * Returns the length that was needed, like snprintf. */
size_t sl_trace_text(const struct sl_trace_event *event, const char *peer_name, char *text, size_t size);

#endif
