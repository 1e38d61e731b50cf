/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_PARTS_H
#define SL_RUNTIME_PARTS_H

/* What the files of the driver share: runtime.c (the loop), runtime_desk.c (commands of the owner), runtime_open.c (opening and closing). */
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <zmq.h>

#include "runtime/clock.h"
#include "runtime/control.h"
#include "runtime/journal.h"
#include "runtime/link.h"
#include "runtime/metrics.h"
#include "runtime/report.h"
#include "runtime/runtime.h"
#include "runtime/store.h"
#include "runtime/worker.h"
#include "runtime/zap.h"

enum {
    ITEM_SIGNAL, ITEM_ZAP, ITEM_STORE, ITEM_WORKER, ITEM_CONTROL, ITEM_CONTROL_MONITOR, ITEM_METRICS, ITEM_LINKS,
    ITEM_INPUT = ITEM_LINKS          /* while held there are no links to look at */
};

/* A client that waits until its checkpoint is durable. */
struct checkpoint {
    bool waiting, failed;
    uint64_t until;                  /* so many stores must have been answered */
};

struct runtime {
    struct sl_setup *setup;
    const struct sl_run_options *options;
    struct sl_clock clock;
    struct sl_journal journal;
    struct sl_report report;
    struct sl_node *node;
    uint64_t now_us, deadline_us;
    struct sl_zap zap;
    struct sl_links *links;
    struct sl_storer *storer;
    struct sl_worker *worker;
    struct sl_control *control;
    struct sl_metrics *metrics;
    zmq_pollitem_t *items;
    struct pollfd *descriptors;      /* as many */
    int wake;                        /* readable after a signal */
    uint64_t n_stores, n_stored;     /* handed over, answered */
    uint64_t n_jobs, n_jobs_done;
    uint64_t n_turns;
    bool has_answered_late;          /* at the control socket, since it was polled */
    struct checkpoint checkpoints[SL_CONTROL_CLIENTS];
    bool stopping, held, has_begun, leaving;
    bool failing[SL_STORE_PUT_BOOK + 1];     /* by the type of store: the last one was not durable */
};

/* One event for the core, and all that comes of it. */
void runtime_step(struct runtime *runtime, struct sl_event *event);

void runtime_say(struct runtime *runtime, const char *text);
struct sl_glance runtime_glance(struct runtime *runtime);

/* Of the core, by way of its trace. */
void runtime_on_trace(void *context, const struct sl_trace_event *event);

/* Of the links. */
void runtime_on_link_change(void *context, uint32_t link, enum sl_link_change change, const uint8_t transport_key[32]);
void runtime_on_link_message(void *context, uint32_t link, const uint8_t *data, size_t size);
void runtime_on_link_note(void *context, uint32_t link, const char *text);

/* A request at the control socket; a struct sl_control_sink's ask function. */
json_t *runtime_on_request(void *context, uint32_t client, const char *name, const json_t *arguments);

/* Answers the clients whose checkpoint is over. */
void runtime_answer_checkpoints(struct runtime *runtime);

int runtime_open(struct runtime *runtime, char *why, size_t why_size);
void runtime_close(struct runtime *runtime);

#endif
