/* SPDX-License-Identifier: MIT */
#include "runtime/runtime.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/plan.h"
#include "runtime/files.h"
#include "runtime/poll.h"
#include "runtime/resources.h"
#include "runtime/runtime_parts.h"
#include "runtime/signals.h"
#include "starling/error.h"
#include "starling/node.h"

enum { WAIT_MAX_MS = 1000 };

static uint64_t advance_clock(struct runtime *runtime)
{
    runtime->now_us = sl_clock_now_us(&runtime->clock);
    return runtime->now_us;
}

void runtime_say(struct runtime *runtime, const char *text)
{
    sl_report_say(&runtime->report, advance_clock(runtime), text);
}

/* A wall clock that was set: this node goes on by its own time, in which peers that start now, or this one after a restart, will not be. */
static void watch_clock(struct runtime *runtime)
{
    int64_t ahead_us = sl_clock_watch(&runtime->clock, runtime->setup->config.epoch_us);
    if (ahead_us == 0) return;

    char text[SL_WHY_SIZE];
    snprintf(text, sizeof text, "CLOCK: the wall clock was set %s by %.3f s since the start; this node keeps its own time: restart it if the new time is right",
             ahead_us > 0 ? "forward" : "back", (double)(ahead_us > 0 ? ahead_us : -ahead_us) / 1e6);
    runtime_say(runtime, text);
}

struct sl_glance runtime_glance(struct runtime *runtime)
{
    struct sl_guard_counts guard;
    sl_links_guard(runtime->links, &guard);
    const bool *failing = runtime->failing;
    return (struct sl_glance){.setup = runtime->setup, .node = runtime->node, .journal = &runtime->journal, .start_us = runtime->clock.start_us,
                              .now_us = advance_clock(runtime), .sends_dropped = sl_links_dropped(runtime->links),
                              .state_failing = failing[SL_STORE_PUT_STATE], .book_failing = failing[SL_STORE_PUT_BOOK],
                              .ledger_failing = failing[SL_STORE_APPEND_LEDGER], .release_failing = failing[SL_STORE_PUT_RELEASE],
                              .clock_stepped = runtime->clock.stepped, .held = runtime->held, .leaving = runtime->leaving, .guard = guard};
}

/* The line of the epoch that ended, if one did. */
static void close_epoch(struct runtime *runtime)
{
    if (!runtime->journal.has_ended) return;

    struct sl_status status;
    sl_node_status(runtime->node, &status);
    const struct sl_epoch_record *record = sl_journal_close(&runtime->journal, &status, sl_cpu_us());
    struct sl_glance glance = runtime_glance(runtime);
    sl_report_epoch(&runtime->report, &glance, &status, record);
}

void runtime_on_trace(void *context, const struct sl_trace_event *event)
{
    struct runtime *runtime = context;
    sl_report_event(&runtime->report, event);
    sl_journal_add(&runtime->journal, event);
}

/* ---- the core's actions ---- */

static void fail_job(struct runtime *runtime, uint32_t number)
{
    struct sl_event event = {.type = SL_EVENT_DONE, .done = {.number = number, .error = SL_ERROR_NO_MEMORY}};
    runtime_step(runtime, &event);
}

/* Everything is handed over before a failure is told: telling is a step, and the pointers in `actions` end with it. */
static void carry_out(struct runtime *runtime, const struct sl_actions *actions)
{
    uint64_t failed_tickets[8];
    uint32_t n_failed = 0, failed_job = 0;
    for (uint32_t i = 0; i < actions->n_stores; i++) {
        if (sl_storer_submit(runtime->storer, &actions->stores[i]) == SL_OK) {
            runtime->n_stores++;
            continue;
        }
        assert(n_failed < sizeof failed_tickets / sizeof failed_tickets[0]);
        failed_tickets[n_failed++] = actions->stores[i].ticket;
    }
    for (uint32_t i = 0; i < actions->n_dials; i++) sl_links_dial(runtime->links, &actions->dials[i], runtime->now_us);
    for (uint32_t i = 0; i < actions->n_sends; i++)
        sl_links_send(runtime->links, actions->sends[i].link, actions->sends[i].data, actions->sends[i].size);
    for (uint32_t i = 0; i < actions->n_hangups; i++) sl_links_hangup(runtime->links, actions->hangups[i]);
    if (actions->job.number != 0 && sl_worker_submit(runtime->worker, &actions->job)) runtime->n_jobs++;
    else failed_job = actions->job.number;
    runtime->deadline_us = actions->deadline_us;

    for (uint32_t i = 0; i < n_failed; i++) {
        struct sl_event event = {.type = SL_EVENT_STORED, .stored = {.ticket = failed_tickets[i], .error = SL_ERROR_IO}};
        runtime_step(runtime, &event);
    }
    if (failed_job != 0) fail_job(runtime, failed_job);
}

void runtime_step(struct runtime *runtime, struct sl_event *event)
{
    struct sl_actions actions;
    const struct sl_tap *tap = runtime->options->tap;
    event->now_us = advance_clock(runtime);
    if (tap && tap->event) tap->event(tap->context, runtime->node, event);
    sl_node_step(runtime->node, event, &actions);
    if (tap && tap->actions) tap->actions(tap->context, runtime->node, &actions);
    carry_out(runtime, &actions);
    close_epoch(runtime);
}

/* ---- what comes in ---- */

void runtime_on_link_change(void *context, uint32_t link, enum sl_link_change change, const uint8_t transport_key[32])
{
    struct sl_event event = {.type = SL_EVENT_LINK, .link = {.link = link, .change = change}};
    memcpy(event.link.transport_key, transport_key, 32);
    runtime_step(context, &event);
}

void runtime_on_link_message(void *context, uint32_t link, const uint8_t *data, size_t size)
{
    struct sl_event event = {.type = SL_EVENT_MESSAGE, .message = {.link = link, .data = data, .size = size}};
    runtime_step(context, &event);
}

void runtime_on_link_note(void *context, uint32_t link, const char *text)
{
    struct runtime *runtime = context;
    char line[SL_WHY_SIZE];
    if (!runtime->options->verbose) return;

    bool is_inbound = link >= SL_LINK_INBOUND;
    snprintf(line, sizeof line, "connection %u %s: %s", is_inbound ? link - SL_LINK_INBOUND : link, is_inbound ? "from a peer" : "to a peer", text);
    runtime_say(runtime, line);
}

static const char *consequence(enum sl_store_type type)
{
    switch (type) {
    case SL_STORE_PUT_STATE: return "the node sits out until it can";
    case SL_STORE_PUT_BOOK: return "after a restart the node would know older peers only";
    case SL_STORE_APPEND_LEDGER: return "the node neither learns from its data nor sends what it learned until it can";
    case SL_STORE_PUT_RELEASE: return "what the node learned is not sent, and its privacy budget is spent all the same";
    }
    return "";
}

/* Said once when it begins and once when it is over. */
static void judge_disk(struct runtime *runtime, const struct sl_receipt *receipt)
{
    char text[SL_WHY_SIZE];
    bool fails = receipt->error != SL_OK;
    bool *failing = &runtime->failing[receipt->type];
    if (*failing == fails) return;

    *failing = fails;
    const char *folder = runtime->setup->folder, *name = sl_store_name(receipt->type);
    if (!fails) snprintf(text, sizeof text, "DISK: %s/%s is written again", folder, name);
    else snprintf(text, sizeof text, "DISK: %s/%s cannot be written (%s): %s", folder, name, sl_error_text(receipt->error), consequence(receipt->type));
    runtime_say(runtime, text);
}

static void take_stored(struct runtime *runtime)
{
    struct sl_receipt receipt;
    while (sl_storer_take(runtime->storer, &receipt)) {
        runtime->n_stored++;
        judge_disk(runtime, &receipt);
        for (uint32_t i = 0; i < SL_CONTROL_CLIENTS; i++) runtime->checkpoints[i].failed = runtime->checkpoints[i].failed || receipt.error != SL_OK;

        struct sl_event event = {.type = SL_EVENT_STORED, .stored = {.ticket = receipt.ticket, .error = receipt.error}};
        runtime_step(runtime, &event);
    }
}

static void take_done(struct runtime *runtime)
{
    struct sl_job_result result;
    while (sl_worker_take(runtime->worker, &result)) {
        runtime->n_jobs_done++;
        struct sl_event event = {.type = SL_EVENT_DONE, .done = result};
        runtime_step(runtime, &event);
    }
}

/* True when the hold is over; the end of the input ends the node: whoever held it is gone. */
static bool take_input(struct runtime *runtime)
{
    char bytes[64];
    ssize_t size = read(STDIN_FILENO, bytes, sizeof bytes);
    if (size <= 0) runtime->stopping = true;
    return size > 0 && memchr(bytes, '\n', (size_t)size) != NULL;
}

/* ---- the loop ---- */

/* Rounded up, so that a deadline is over when the loop wakes. */
static long wait_ms(const struct runtime *runtime)
{
    uint64_t links_us = sl_links_deadline(runtime->links);
    uint64_t deadline_us = runtime->deadline_us < links_us ? runtime->deadline_us : links_us;
    if (deadline_us <= runtime->now_us) return 0;

    uint64_t wait = (deadline_us - runtime->now_us + 999) / 1000;
    return wait < WAIT_MAX_MS ? (long)wait : WAIT_MAX_MS;
}

/* An item keeps the revents of the last turn: sl_poll() asks those sockets again. */
static void fill_item(struct runtime *runtime, uint32_t item, void *socket, int descriptor)
{
    runtime->items[item].socket = socket;
    runtime->items[item].fd = descriptor;
    runtime->items[item].events = ZMQ_POLLIN;
}

/* What is looked at besides the links. */
static void fill_items(struct runtime *runtime)
{
    zmq_pollitem_t *items = runtime->items;
    fill_item(runtime, ITEM_SIGNAL, NULL, runtime->wake);
    fill_item(runtime, ITEM_ZAP, runtime->zap.socket, 0);
    fill_item(runtime, ITEM_STORE, sl_storer_socket(runtime->storer), 0);
    fill_item(runtime, ITEM_WORKER, sl_worker_socket(runtime->worker), 0);
    for (uint32_t i = 0; i < SL_CONTROL_SOCKETS; i++) fill_item(runtime, ITEM_CONTROL + i, sl_control_socket(runtime->control, i), 0);
    fill_item(runtime, ITEM_METRICS, NULL, runtime->metrics ? sl_metrics_descriptor(runtime->metrics) : -1);

    bool looks_anyway = runtime->n_turns++ == 0;         /* a first time */
    if (looks_anyway || runtime->n_stores > runtime->n_stored) items[ITEM_STORE].revents = ZMQ_POLLIN;
    if (looks_anyway || runtime->n_jobs > runtime->n_jobs_done) items[ITEM_WORKER].revents = ZMQ_POLLIN;
    for (uint32_t item = ITEM_ZAP; looks_anyway && item < ITEM_METRICS; item++) items[item].revents = ZMQ_POLLIN;
    if (runtime->has_answered_late) items[ITEM_CONTROL].revents = ZMQ_POLLIN;
    runtime->has_answered_late = false;
}

static void poll_items(struct runtime *runtime, uint32_t n, long timeout_ms)
{
    sl_poll(runtime->items, runtime->descriptors, n, timeout_ms);
    advance_clock(runtime);
}

static uint32_t wait_for_events(struct runtime *runtime)
{
    fill_items(runtime);
    uint32_t n_links = sl_links_items(runtime->links, runtime->items + ITEM_LINKS);
    advance_clock(runtime);
    poll_items(runtime, ITEM_LINKS + n_links, wait_ms(runtime));
    return n_links;
}

/* What a held node answers as well. */
static void serve(struct runtime *runtime)
{
    if (runtime->items[ITEM_SIGNAL].revents && sl_signals_taken()) runtime->stopping = true;
    if (runtime->items[ITEM_ZAP].revents) sl_zap_turn(&runtime->zap);
    if (runtime->items[ITEM_CONTROL].revents || runtime->items[ITEM_CONTROL_MONITOR].revents) {
        sl_control_turn(runtime->control);
        runtime->items[ITEM_CONTROL].revents = runtime->items[ITEM_CONTROL_MONITOR].revents = ZMQ_POLLIN;
    }
    if (runtime->metrics) sl_metrics_turn(runtime->metrics);
}

static bool has_seen_enough(const struct runtime *runtime)
{
    if (runtime->options->epochs_max == 0) return false;

    struct sl_status status;
    sl_node_status(runtime->node, &status);
    return status.epochs_seen >= runtime->options->epochs_max;
}

static void loop(struct runtime *runtime)
{
    while (!runtime->stopping) {
        uint32_t n_links = wait_for_events(runtime);
        watch_clock(runtime);
        serve(runtime);
        if (runtime->items[ITEM_STORE].revents) take_stored(runtime);
        runtime_answer_checkpoints(runtime);
        if (runtime->items[ITEM_WORKER].revents) take_done(runtime);
        sl_links_turn(runtime->links, runtime->items + ITEM_LINKS, n_links, runtime->now_us);

        if (runtime->now_us >= runtime->deadline_us) {
            struct sl_event tick = {.type = SL_EVENT_TICK};
            runtime_step(runtime, &tick);
        }
        if (has_seen_enough(runtime)) runtime->stopping = true;
    }
}

/* Peers may connect already: their frames wait in the sockets. */
static void hold(struct runtime *runtime)
{
    runtime_say(runtime, "ready; waits for a line on standard input");
    while (!runtime->stopping) {
        fill_items(runtime);
        fill_item(runtime, ITEM_INPUT, NULL, STDIN_FILENO);
        poll_items(runtime, ITEM_INPUT + 1, WAIT_MAX_MS);
        serve(runtime);
        if (runtime->items[ITEM_INPUT].revents && take_input(runtime)) return;
    }
}

/* What is promised, of what, up to where, and how much of it is spent. */
static void introduce_privacy(struct runtime *runtime)
{
    char text[SL_WHY_SIZE];
    const struct sl_config *config = &runtime->setup->config;
    const struct sl_spending *spending = &runtime->setup->spending;
    enum sl_unit unit = sl_unit_of(config);
    if (unit == SL_UNIT_OFF) {
        runtime_say(runtime, "privacy: OFF - no formal promise beyond the masks");
        return;
    }
    if (spending->was_torn)
        runtime_say(runtime, "privacy: the last record of the ledger was not written to the end; it is cut off, and nothing had followed from it");
    if (spending->release_was_dropped)
        runtime_say(runtime, "privacy: the output of the last round was not whole; it is removed, and its budget stays spent");

    char floor[64] = "";
    if (unit == SL_UNIT_NODE) snprintf(floor, sizeof floor, ", %.3g if everybody else colludes,", spending->epsilon_floor);
    snprintf(text, sizeof text, "privacy: unit %s, data set \"%.80s\": epsilon %.3g%s of at most %g is spent (at delta %g) in %llu round%s",
             unit == SL_UNIT_RECORD ? "record (protects one example)" : "node (protects all data of this node)", config->privacy_dataset, spending->epsilon,
             floor, config->privacy_eps_max, config->privacy_delta, (unsigned long long)spending->n_charges, spending->n_charges == 1 ? "" : "s");
    runtime_say(runtime, text);
}

static void introduce(struct runtime *runtime)
{
    const struct sl_setup *setup = runtime->setup;
    char text[SL_WHY_SIZE], id[65];
    bool is_private = sl_unit_of(&setup->config) != SL_UNIT_OFF;             /* then the true number of rows is nobody's business */
    uint32_t n_rows = is_private ? setup->config.privacy_records : setup->data.n_rows;
    sodium_bin2hex(id, sizeof id, setup->identity.id, 32);
    snprintf(text, sizeof text, "node %.8s listens at %s; %u on the prepared list, %u seed%s, %s%u rows to learn from, model %s", id, setup->config.listen,
             setup->n_peers, setup->n_seeds, setup->n_seeds == 1 ? "" : "s", is_private ? "about " : "", n_rows, setup->config.model);
    runtime_say(runtime, text);
    if (setup->book_damaged) runtime_say(runtime, "the address book is damaged and left behind: begins with seeds and the prepared list");
    if (!setup->identity.address[0]) runtime_say(runtime, "tells no address: others cannot dial this node; set node.address if they could reach it");
    if (setup->config.metrics[0]) {
        snprintf(text, sizeof text, "metrics at http://%s/metrics", setup->config.metrics);
        runtime_say(runtime, text);
    }
    introduce_privacy(runtime);
}

static void start(struct runtime *runtime)
{
    struct sl_setup *setup = runtime->setup;
    const struct sl_spending *spending = &setup->spending;
    struct sl_event event = {.type = SL_EVENT_START, .start = {.state = setup->state, .state_size = setup->state_size, .book = setup->book,
                                                               .book_size = setup->book_size, .ledger = spending->ledger, .ledger_size = spending->ledger_size,
                                                               .release = spending->release, .release_size = spending->release_size}};
    runtime_step(runtime, &event);
}

static int stop(struct runtime *runtime, char *why, size_t why_size)
{
    struct sl_event event = {.type = SL_EVENT_STOP};
    sl_signals_hold_back();
    sl_notify("STOPPING=1");
    runtime_step(runtime, &event);
    sl_journal_finish(&runtime->journal);
    close_epoch(runtime);

    struct sl_status status;
    sl_node_status(runtime->node, &status);
    sl_worker_destroy(&runtime->worker);             /* the trainer is now free to score the final weights */
    sl_storer_destroy(&runtime->storer);
    if (runtime->options->epochs_max == 0) return SL_OK;

    struct sl_glance glance = runtime_glance(runtime);
    int error = sl_report_write_summary(&glance, &status, sl_node_weights(runtime->node));
    if (error != SL_OK) return SL_FAIL(error, why, why_size, "%s/summary.json cannot be written (%s)", runtime->setup->folder, sl_error_text(error));
    runtime_say(runtime, "done; summary.json is written");
    return SL_OK;
}

static void run(struct runtime *runtime)
{
    introduce(runtime);
    sl_notify("READY=1");
    runtime->held = runtime->options->hold;
    if (runtime->held) hold(runtime);
    else runtime_say(runtime, "ready");
    runtime->held = false;
    if (runtime->stopping) return;

    runtime->has_begun = true;
    start(runtime);
    loop(runtime);
}

int sl_runtime_run(struct sl_setup *setup, const struct sl_run_options *options, char *why, size_t why_size)
{
    struct runtime *runtime = calloc(1, sizeof *runtime);
    if (!runtime) return SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory");

    runtime->setup = setup;
    runtime->options = options;
    runtime->deadline_us = SL_NEVER;
    sl_clock_start(&runtime->clock);
    sl_journal_init(&runtime->journal, setup->identity.id, setup->config.epoch_us);
    sl_report_init(&runtime->report, options->verbose, runtime->clock.start_us);

    int error = runtime_open(runtime, why, why_size);
    if (error == SL_OK) {
        run(runtime);
        if (runtime->has_begun) error = stop(runtime, why, why_size);
    }
    runtime_close(runtime);
    return error;
}
