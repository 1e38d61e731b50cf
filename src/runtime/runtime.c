/* SPDX-License-Identifier: MIT */
#include "runtime/runtime.h"

#include <assert.h>
#include <czmq.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/answer.h"
#include "runtime/clock.h"
#include "runtime/control.h"
#include "runtime/files.h"
#include "runtime/link.h"
#include "runtime/metrics.h"
#include "runtime/report.h"
#include "runtime/resources.h"
#include "runtime/signals.h"
#include "runtime/store.h"
#include "runtime/worker.h"
#include "runtime/zap.h"
#include "starling/error.h"
#include "starling/node.h"

enum {
    ITEM_SIGNAL, ITEM_ZAP, ITEM_STORE, ITEM_WORKER, ITEM_CONTROL, ITEM_CONTROL_MONITOR, ITEM_METRICS, ITEM_LINKS,
    ITEM_INPUT = ITEM_LINKS,         /* while held there are no links to look at */
    SILENCE_EPOCHS = 10,
    SOCKETS_PER_LINK = 4,            /* a DEALER, the two ends of its monitor, and one that is being closed */
    NODE_ALIGNMENT = 64,             /* of libsodium's hash states, stricter than what malloc() promises */
    WAIT_MAX_MS = 1000
};

static const uint64_t silence_min_us = 120000000;

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
    int wake;                        /* readable after a signal */
    uint64_t n_stores, n_stored;     /* handed over, answered */
    struct checkpoint checkpoints[SL_CONTROL_CLIENTS];
    bool stopping, held, has_begun, leaving, state_failing, book_failing;
};

static uint64_t advance_clock(struct runtime *runtime)
{
    runtime->now_us = sl_clock_now_us(&runtime->clock);
    return runtime->now_us;
}

static void say(struct runtime *runtime, const char *text)
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
    say(runtime, text);
}

static struct sl_glance glance_at(struct runtime *runtime)
{
    return (struct sl_glance){.setup = runtime->setup, .node = runtime->node, .journal = &runtime->journal, .start_us = runtime->clock.start_us,
                              .now_us = advance_clock(runtime), .sends_dropped = sl_links_dropped(runtime->links), .state_failing = runtime->state_failing,
                              .book_failing = runtime->book_failing, .clock_stepped = runtime->clock.stepped, .held = runtime->held,
                              .leaving = runtime->leaving};
}

/* The line of the epoch that ended, if one did. */
static void close_epoch(struct runtime *runtime)
{
    if (!runtime->journal.has_ended) return;

    struct sl_status status;
    sl_node_status(runtime->node, &status);
    const struct sl_epoch_record *record = sl_journal_close(&runtime->journal, &status, sl_cpu_us());
    struct sl_glance glance = glance_at(runtime);
    sl_report_epoch(&runtime->report, &glance, &status, record);
}

static void on_trace(void *context, const struct sl_trace_event *event)
{
    struct runtime *runtime = context;
    sl_report_event(&runtime->report, event);
    sl_journal_add(&runtime->journal, event);
}

/* ---- the core's actions ---- */

static void step(struct runtime *runtime, struct sl_event *event);

static void fail_job(struct runtime *runtime, uint32_t number)
{
    struct sl_event event = {.type = SL_EVENT_DONE, .done = {.number = number, .error = SL_ERROR_NO_MEMORY}};
    step(runtime, &event);
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
    if (actions->job.number != 0 && !sl_worker_submit(runtime->worker, &actions->job)) failed_job = actions->job.number;
    runtime->deadline_us = actions->deadline_us;

    for (uint32_t i = 0; i < n_failed; i++) {
        struct sl_event event = {.type = SL_EVENT_STORED, .stored = {.ticket = failed_tickets[i], .error = SL_ERROR_IO}};
        step(runtime, &event);
    }
    if (failed_job != 0) fail_job(runtime, failed_job);
}

static void step(struct runtime *runtime, struct sl_event *event)
{
    struct sl_actions actions;
    event->now_us = advance_clock(runtime);
    sl_node_step(runtime->node, event, &actions);
    carry_out(runtime, &actions);
    close_epoch(runtime);
}

/* ---- what comes in ---- */

static void on_link_change(void *context, uint32_t link, enum sl_link_change change, const uint8_t transport_key[32])
{
    struct sl_event event = {.type = SL_EVENT_LINK, .link = {.link = link, .change = change}};
    memcpy(event.link.transport_key, transport_key, 32);
    step(context, &event);
}

static void on_link_message(void *context, uint32_t link, const uint8_t *data, size_t size)
{
    struct sl_event event = {.type = SL_EVENT_MESSAGE, .message = {.link = link, .data = data, .size = size}};
    step(context, &event);
}

/* Said once when it begins and once when it is over. */
static void judge_disk(struct runtime *runtime, const struct sl_receipt *receipt)
{
    char text[SL_WHY_SIZE];
    bool is_state = receipt->type == SL_STORE_PUT_STATE, fails = receipt->error != SL_OK;
    bool *failing = is_state ? &runtime->state_failing : &runtime->book_failing;
    if (*failing == fails) return;

    *failing = fails;
    const char *folder = runtime->setup->folder, *name = sl_store_name(receipt->type);
    if (!fails) snprintf(text, sizeof text, "DISK: %s/%s is written again", folder, name);
    else snprintf(text, sizeof text, "DISK: %s/%s cannot be written (%s)%s", folder, name, sl_error_text(receipt->error),
                  is_state ? ": the node sits out until it can" : ": after a restart the node would know older peers only");
    say(runtime, text);
}

static void answer_checkpoints(struct runtime *runtime)
{
    for (uint32_t i = 0; i < SL_CONTROL_CLIENTS; i++) {
        struct checkpoint *checkpoint = &runtime->checkpoints[i];
        if (!checkpoint->waiting || runtime->n_stored < checkpoint->until) continue;

        struct sl_status status;
        sl_node_status(runtime->node, &status);
        json_t *answer = checkpoint->failed ? sl_control_error("failed", "the disk does not take it: make room in the node's directory")
                                            : sl_control_ok(json_pack("{s:I}", "epoch", (json_int_t)status.epoch));
        *checkpoint = (struct checkpoint){0};
        sl_control_answer(runtime->control, i, answer);
    }
}

static void take_stored(struct runtime *runtime)
{
    struct sl_receipt receipt;
    while (sl_storer_take(runtime->storer, &receipt)) {
        runtime->n_stored++;
        judge_disk(runtime, &receipt);
        for (uint32_t i = 0; i < SL_CONTROL_CLIENTS; i++) runtime->checkpoints[i].failed = runtime->checkpoints[i].failed || receipt.error != SL_OK;

        struct sl_event event = {.type = SL_EVENT_STORED, .stored = {.ticket = receipt.ticket, .error = receipt.error}};
        step(runtime, &event);
    }
    answer_checkpoints(runtime);
}

static void take_done(struct runtime *runtime)
{
    struct sl_job_result result;
    while (sl_worker_take(runtime->worker, &result)) {
        struct sl_event event = {.type = SL_EVENT_DONE, .done = result};
        step(runtime, &event);
    }
}

/* ---- commands ---- */

static void command(struct runtime *runtime, enum sl_control_verb verb, const uint8_t *peer)
{
    struct sl_event event = {.type = SL_EVENT_CONTROL, .control = {.verb = verb}};
    if (peer) memcpy(event.control.peer, peer, 32);
    step(runtime, &event);
}

static json_t *ban(struct runtime *runtime, enum sl_control_verb verb, const json_t *arguments)
{
    uint8_t peer[32];
    struct sl_glance glance = glance_at(runtime);
    json_t *wrong = sl_answer_find_peer(&glance, arguments, peer);
    if (wrong) return wrong;
    if (memcmp(peer, runtime->setup->identity.id, 32) == 0) return sl_control_error("bad_request", "that is this node itself");

    command(runtime, verb, peer);
    return sl_control_ok(sl_answer_peer_id(peer));
}

static json_t *leave(struct runtime *runtime)
{
    if (!runtime->leaving) command(runtime, SL_CONTROL_LEAVE, NULL);
    runtime->leaving = true;
    return sl_control_ok(json_object());
}

/* Answered when all that was handed over so far is durable. */
static json_t *checkpoint(struct runtime *runtime, uint32_t client)
{
    command(runtime, SL_CONTROL_CHECKPOINT, NULL);
    runtime->checkpoints[client] = (struct checkpoint){.waiting = true, .until = runtime->n_stores};
    return NULL;
}

static json_t *on_request(void *context, uint32_t client, const char *name, const json_t *arguments)
{
    struct runtime *runtime = context;
    struct sl_glance glance = glance_at(runtime);
    json_t *answer = sl_answer(&glance, name, arguments);
    if (answer) return answer;

    bool is_ban = strcmp(name, "ban") == 0, is_unban = strcmp(name, "unban") == 0, is_leave = strcmp(name, "leave") == 0;
    bool is_checkpoint = strcmp(name, "checkpoint") == 0;
    if (!is_ban && !is_unban && !is_leave && !is_checkpoint)
        return sl_control_error("unknown_command",
                                "commands are status, health, peers, epochs, events, config, model, ban, unban, leave and checkpoint");
    if (runtime->held) return sl_control_error("busy", "the node is held and has not begun; send a line to its standard input first");
    if (is_leave) return leave(runtime);
    return is_checkpoint ? checkpoint(runtime, client) : ban(runtime, is_ban ? SL_CONTROL_BAN : SL_CONTROL_UNBAN, arguments);
}

static void on_scrape(void *context, struct sl_glance *out)
{
    *out = glance_at(context);
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

/* What is looked at besides the links. */
static void fill_items(struct runtime *runtime)
{
    zmq_pollitem_t *items = runtime->items;
    items[ITEM_SIGNAL] = (zmq_pollitem_t){.fd = runtime->wake, .events = ZMQ_POLLIN};
    items[ITEM_ZAP] = (zmq_pollitem_t){.socket = runtime->zap.socket, .events = ZMQ_POLLIN};
    items[ITEM_STORE] = (zmq_pollitem_t){.socket = sl_storer_socket(runtime->storer), .events = ZMQ_POLLIN};
    items[ITEM_WORKER] = (zmq_pollitem_t){.socket = sl_worker_socket(runtime->worker), .events = ZMQ_POLLIN};
    for (uint32_t i = 0; i < SL_CONTROL_SOCKETS; i++)
        items[ITEM_CONTROL + i] = (zmq_pollitem_t){.socket = sl_control_socket(runtime->control, i), .events = ZMQ_POLLIN};
    items[ITEM_METRICS] = runtime->metrics ? (zmq_pollitem_t){.fd = sl_metrics_descriptor(runtime->metrics), .events = ZMQ_POLLIN}
                                           : (zmq_pollitem_t){.fd = runtime->wake};
}

static void poll_items(struct runtime *runtime, uint32_t n, long timeout_ms)
{
    if (zmq_poll(runtime->items, (int)n, timeout_ms) < 0)
        for (uint32_t i = 0; i < n; i++) runtime->items[i].revents = 0;
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
    sl_control_turn(runtime->control);
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
        take_stored(runtime);
        take_done(runtime);
        sl_links_turn(runtime->links, runtime->items + ITEM_LINKS, n_links, runtime->now_us);

        if (runtime->now_us >= runtime->deadline_us) {
            struct sl_event tick = {.type = SL_EVENT_TICK};
            step(runtime, &tick);
        }
        if (has_seen_enough(runtime)) runtime->stopping = true;
    }
}

/* Peers may connect already: their frames wait in the sockets. */
static void hold(struct runtime *runtime)
{
    say(runtime, "ready; waits for a line on standard input");
    while (!runtime->stopping) {
        fill_items(runtime);
        runtime->items[ITEM_INPUT] = (zmq_pollitem_t){.fd = STDIN_FILENO, .events = ZMQ_POLLIN};
        poll_items(runtime, ITEM_INPUT + 1, WAIT_MAX_MS);
        serve(runtime);
        if (runtime->items[ITEM_INPUT].revents && take_input(runtime)) return;
    }
}

/* ---- opening and closing ---- */

static void *open_context(uint32_t link_max)
{
    zsys_handler_set(NULL);
    zsys_set_max_sockets(64 + SOCKETS_PER_LINK * (size_t)link_max * 2);
    return zsys_init();
}

/* Asked at every handshake, some hundred times a second at most. */
static bool is_banned(const void *context, const uint8_t transport_key[32])
{
    const struct runtime *runtime = context;
    struct sl_status status;
    struct sl_peer_status peer;
    if (!runtime->node) return false;

    sl_node_status(runtime->node, &status);
    for (uint32_t i = 0; status.peers_banned > 0 && i < status.peers_known; i++) {
        sl_node_peer(runtime->node, i, &peer);
        if (peer.state == SL_PEER_BANNED && memcmp(peer.transport_public, transport_key, 32) == 0) return true;
    }
    return false;
}

static int open_links(struct runtime *runtime, void *context, char *why, size_t why_size)
{
    struct sl_setup *setup = runtime->setup;
    uint64_t silence_us = SILENCE_EPOCHS * setup->config.epoch_us;
    uint32_t inbound_max = setup->config.link_inbound < setup->config.link_max ? setup->config.link_inbound : setup->config.link_max;
    struct sl_links_setup links = {.context = context, .listen = setup->config.listen, .transport_public = setup->identity.transport_public,
                                   .transport_secret = setup->transport_secret, .link_max = setup->config.link_max,
                                   .inbound_max = inbound_max, .caps_local = strcmp(setup->config.link_local, "no") == 0,
                                   .budget = sl_links_budget_of(&setup->config, setup->model->dim(&setup->config.shape)),
                                   .silence_max_us = silence_us > silence_min_us ? silence_us : silence_min_us};
    struct sl_links_sink sink = {.context = runtime, .on_change = on_link_change, .on_message = on_link_message};

    if (sl_zap_open(&runtime->zap, context, is_banned, runtime) != SL_OK)
        return SL_FAIL(SL_ERROR_IO, why, why_size, "cannot open the door keeper's socket (%s)", zmq_strerror(errno));
    int error = sl_links_new(&links, &sink, &runtime->links, why, why_size);
    if (error != SL_OK) return error;

    runtime->items = calloc(ITEM_LINKS + sl_links_items_max(runtime->links), sizeof *runtime->items);
    return runtime->items ? SL_OK : SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory for the connections");
}

/* Where the node's owner asks. */
static int open_desk(struct runtime *runtime, void *context, char *why, size_t why_size)
{
    struct sl_control_sink desk = {.context = runtime, .ask = on_request};
    struct sl_metrics_sink gauge = {.context = runtime, .look = on_scrape};
    int error = sl_control_new(context, runtime->setup->folder, &desk, &runtime->control, why, why_size);
    if (error == SL_OK && runtime->setup->config.metrics[0])
        error = sl_metrics_new(runtime->setup->config.metrics, &gauge, &runtime->metrics, why, why_size);
    return error;
}

static int open_threads(struct runtime *runtime, char *why, size_t why_size)
{
    runtime->storer = sl_storer_new(runtime->setup->folder);
    runtime->worker = sl_worker_new(&runtime->setup->trainer);
    if (runtime->storer && runtime->worker) return SL_OK;
    return SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "the machine gives no more threads");
}

static int open_node(struct runtime *runtime, char *why, size_t why_size)
{
    struct sl_setup *setup = runtime->setup;
    setup->config.trace = (struct sl_trace_sink){.context = runtime, .report = on_trace};

    size_t size = sl_node_size(&setup->config, setup->model);
    if (size == 0)
        return SL_FAIL(SL_ERROR_UNSUPPORTED, why, why_size, "model %s does not suit %u features and %u classes", setup->config.model,
                       setup->config.shape.n_features, setup->config.shape.n_outputs);
    size = (size + NODE_ALIGNMENT - 1) / NODE_ALIGNMENT * NODE_ALIGNMENT;
    void *memory = aligned_alloc(NODE_ALIGNMENT, size);
    if (!memory) return SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory: the node needs %zu bytes", size);

    uint8_t run_seed[32];
    randombytes_buf(run_seed, sizeof run_seed);
    runtime->node = sl_node_init(memory, size, &setup->config, setup->model, run_seed);
    sodium_memzero(run_seed, sizeof run_seed);
    if (runtime->node) return SL_OK;

    free(memory);
    return SL_FAIL(SL_ERROR_UNSUPPORTED, why, why_size, "the node cannot be set up with this configuration");
}

static int open_all(struct runtime *runtime, char *why, size_t why_size)
{
    uint32_t link_max = runtime->setup->config.link_max;
    int error = sl_resources_reserve_files(link_max, why, why_size);
    if (error != SL_OK) return error;

    void *context = open_context(link_max);
    if (!context) return SL_FAIL(SL_ERROR_IO, why, why_size, "ZeroMQ does not start (%s)", zmq_strerror(errno));

    error = sl_signals_open(&runtime->wake, why, why_size);
    if (error == SL_OK) error = open_desk(runtime, context, why, why_size);
    if (error == SL_OK) error = open_links(runtime, context, why, why_size);
    if (error == SL_OK) error = open_threads(runtime, why, why_size);
    if (error == SL_OK) error = open_node(runtime, why, why_size);
    return error;
}

/* Threads end before the node: a job works on the node's memory until it is done. Submitted stores are still carried out. */
static void close_all(struct runtime *runtime)
{
    sl_worker_destroy(&runtime->worker);
    sl_storer_destroy(&runtime->storer);
    sl_metrics_destroy(&runtime->metrics);
    sl_control_destroy(&runtime->control);
    sl_links_destroy(&runtime->links);
    sl_zap_close(&runtime->zap);
    if (runtime->node) sl_node_finish(runtime->node);
    free(runtime->node);
    free(runtime->items);
    sl_signals_close();
    free(runtime);
}

static void introduce(struct runtime *runtime)
{
    const struct sl_setup *setup = runtime->setup;
    char text[SL_WHY_SIZE], id[65];
    sodium_bin2hex(id, sizeof id, setup->identity.id, 32);
    snprintf(text, sizeof text, "node %.8s listens at %s; %u on the prepared list, %u seed%s, %u rows to learn from, model %s", id, setup->config.listen,
             setup->n_peers, setup->n_seeds, setup->n_seeds == 1 ? "" : "s", setup->data.n_rows, setup->config.model);
    say(runtime, text);
    if (setup->book_damaged) say(runtime, "the address book is damaged and left behind: begins with seeds and the prepared list");
    if (!setup->identity.address[0]) say(runtime, "tells no address: others cannot dial this node; set node.address if they could reach it");
    if (setup->config.metrics[0]) {
        snprintf(text, sizeof text, "metrics at http://%s/metrics", setup->config.metrics);
        say(runtime, text);
    }
    say(runtime, "privacy: OFF - no formal promise beyond the masks");
}

static void start(struct runtime *runtime)
{
    struct sl_setup *setup = runtime->setup;
    struct sl_event event = {.type = SL_EVENT_START, .start = {.state = setup->state, .state_size = setup->state_size, .book = setup->book,
                                                               .book_size = setup->book_size}};
    step(runtime, &event);
}

static int stop(struct runtime *runtime, char *why, size_t why_size)
{
    struct sl_event event = {.type = SL_EVENT_STOP};
    sl_signals_hold_back();
    sl_notify("STOPPING=1");
    step(runtime, &event);
    sl_journal_finish(&runtime->journal);
    close_epoch(runtime);

    struct sl_status status;
    sl_node_status(runtime->node, &status);
    sl_worker_destroy(&runtime->worker);             /* the trainer is now free to score the final weights */
    sl_storer_destroy(&runtime->storer);
    if (runtime->options->epochs_max == 0) return SL_OK;

    struct sl_glance glance = glance_at(runtime);
    int error = sl_report_write_summary(&glance, &status, sl_node_weights(runtime->node));
    if (error != SL_OK) return SL_FAIL(error, why, why_size, "%s/summary.json cannot be written (%s)", runtime->setup->folder, sl_error_text(error));
    say(runtime, "done; summary.json is written");
    return SL_OK;
}

static void run(struct runtime *runtime)
{
    introduce(runtime);
    sl_notify("READY=1");
    runtime->held = runtime->options->hold;
    if (runtime->held) hold(runtime);
    else say(runtime, "ready");
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

    int error = open_all(runtime, why, why_size);
    if (error == SL_OK) {
        run(runtime);
        if (runtime->has_begun) error = stop(runtime, why, why_size);
    }
    close_all(runtime);
    return error;
}
