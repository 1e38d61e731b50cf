/* SPDX-License-Identifier: MIT */
#include "runtime/runtime.h"

#include <assert.h>
#include <czmq.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "runtime/files.h"
#include "runtime/link.h"
#include "runtime/report.h"
#include "runtime/store.h"
#include "runtime/worker.h"
#include "runtime/zap.h"
#include "starling/error.h"
#include "starling/node.h"

enum {
    ITEM_SIGNAL, ITEM_ZAP, ITEM_STORE, ITEM_WORKER, ITEM_LINKS,
    SILENCE_EPOCHS = 10,
    SOCKETS_PER_LINK = 4,            /* a DEALER, the two ends of its monitor, and one that is being closed */
    FILES_PER_LINK = 8,              /* measured: 2 to 4 outbound, 1 inbound; twice that while links turn over */
    FILES_OTHER = 128,
    NODE_ALIGNMENT = 64,             /* of libsodium's hash states, stricter than what malloc() promises */
    WAIT_MAX_MS = 1000,
    CLOCK_STEP_SHARE = 4             /* of an epoch: a wall clock that steps farther is told of */
};

static const uint64_t silence_min_us = 120000000;

/* Where the signal handler writes. It is a global because a handler has no argument, and a handler because libraries start threads before
 * main() that block no signals: a signal that is only blocked here would end the process in one of those. */
static volatile sig_atomic_t wake_descriptor = -1;

struct runtime {
    struct sl_setup *setup;
    const struct sl_run_options *options;
    struct sl_report report;
    struct sl_node *node;
    uint64_t unix_start_us, monotonic_start_us, now_us, deadline_us;
    uint64_t clock_alarm_us;         /* when the last alarm was given, 0 never */
    struct sl_zap zap;
    struct sl_links *links;
    struct sl_storer *storer;
    struct sl_worker *worker;
    zmq_pollitem_t *items;
    int wake[2];                     /* pipe: the signal handler writes, the loop reads */
    bool stopping, disk_alarm;
};

/* ---- clock ---- */

static uint64_t read_clock(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* Unix time at start plus monotonic time since: a wall clock that is set while the node runs does not move it. */
static uint64_t advance_clock(struct runtime *runtime)
{
    runtime->now_us = runtime->unix_start_us + (read_clock(CLOCK_BOOTTIME) - runtime->monotonic_start_us);
    return runtime->now_us;
}

/* A wall clock that was set: this node goes on by its own time, in which peers that start now, or this one after a restart, will not be. */
static void watch_clock(struct runtime *runtime)
{
    uint64_t wall_us = read_clock(CLOCK_REALTIME), own_us = advance_clock(runtime), epoch_us = runtime->setup->config.epoch_us;
    bool is_ahead = wall_us > own_us;
    uint64_t off_us = is_ahead ? wall_us - own_us : own_us - wall_us;
    bool is_told = runtime->clock_alarm_us != 0 && own_us - runtime->clock_alarm_us < epoch_us;
    if (off_us <= epoch_us / CLOCK_STEP_SHARE || is_told) return;

    char text[SL_WHY_SIZE];
    runtime->clock_alarm_us = own_us;
    snprintf(text, sizeof text, "CLOCK: the wall clock was set %s by %.3f s since the start; this node keeps its own time: restart it if the new time is right",
             is_ahead ? "forward" : "back", (double)off_us / 1e6);
    sl_report_say(&runtime->report, own_us, text);
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
        if (sl_storer_submit(runtime->storer, &actions->stores[i]) == SL_OK) continue;
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

    if (!runtime->report.line_due) return;
    struct sl_status status;
    sl_node_status(runtime->node, &status);
    sl_report_turn(&runtime->report, runtime->now_us, &status);
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

static void take_stored(struct runtime *runtime)
{
    uint64_t ticket;
    int error;
    while (sl_storer_take(runtime->storer, &ticket, &error)) {
        if (error != SL_OK && !runtime->disk_alarm) {
            char text[SL_WHY_SIZE];
            snprintf(text, sizeof text, "DISK: %s/state cannot be written (%s): the node sits out until it can", runtime->setup->folder, sl_error_text(error));
            sl_report_say(&runtime->report, advance_clock(runtime), text);
        }
        runtime->disk_alarm = error != SL_OK;

        struct sl_event event = {.type = SL_EVENT_STORED, .stored = {.ticket = ticket, .error = error}};
        step(runtime, &event);
    }
}

static void take_done(struct runtime *runtime)
{
    struct sl_job_result result;
    while (sl_worker_take(runtime->worker, &result)) {
        struct sl_event event = {.type = SL_EVENT_DONE, .done = result};
        step(runtime, &event);
    }
}

static void take_signal(struct runtime *runtime)
{
    char byte;
    if (read(runtime->wake[0], &byte, 1) == 1) runtime->stopping = true;
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

static uint32_t wait_for_events(struct runtime *runtime)
{
    zmq_pollitem_t *items = runtime->items;
    items[ITEM_SIGNAL] = (zmq_pollitem_t){.fd = runtime->wake[0], .events = ZMQ_POLLIN};
    items[ITEM_ZAP] = (zmq_pollitem_t){.socket = runtime->zap.socket, .events = ZMQ_POLLIN};
    items[ITEM_STORE] = (zmq_pollitem_t){.socket = sl_storer_socket(runtime->storer), .events = ZMQ_POLLIN};
    items[ITEM_WORKER] = (zmq_pollitem_t){.socket = sl_worker_socket(runtime->worker), .events = ZMQ_POLLIN};
    uint32_t n_links = sl_links_items(runtime->links, items + ITEM_LINKS);

    advance_clock(runtime);
    if (zmq_poll(items, (int)(ITEM_LINKS + n_links), wait_ms(runtime)) < 0)
        for (uint32_t i = 0; i < ITEM_LINKS + n_links; i++) items[i].revents = 0;
    advance_clock(runtime);
    return n_links;
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
        if (runtime->items[ITEM_SIGNAL].revents) take_signal(runtime);
        if (runtime->items[ITEM_ZAP].revents) sl_zap_turn(&runtime->zap);
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
    sl_report_say(&runtime->report, advance_clock(runtime), "ready; waits for a line on standard input");
    while (!runtime->stopping) {
        zmq_pollitem_t items[] = {{.fd = runtime->wake[0], .events = ZMQ_POLLIN},
                                  {.fd = STDIN_FILENO, .events = ZMQ_POLLIN},
                                  {.socket = runtime->zap.socket, .events = ZMQ_POLLIN}};
        if (zmq_poll(items, 3, -1) < 0) continue;
        if (items[0].revents) take_signal(runtime);
        if (items[2].revents) sl_zap_turn(&runtime->zap);
        if (items[1].revents && take_input(runtime)) return;
    }
}

/* ---- opening and closing ---- */

/* Every link takes descriptors; running out of them makes libzmq spin. */
static int reserve_files(uint32_t link_max, char *why, size_t why_size)
{
    struct rlimit limit;
    rlim_t wanted = FILES_OTHER + (rlim_t)FILES_PER_LINK * link_max;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return SL_OK;

    if (limit.rlim_max >= wanted) {
        limit.rlim_cur = wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return SL_OK;
    }
    return SL_FAIL(SL_ERROR_OUT_OF_RANGE, why, why_size,
                   "link.max = %u needs %llu open files, but this process may have %llu; raise it with: ulimit -n %llu, or lower link.max", link_max,
                   (unsigned long long)wanted, (unsigned long long)limit.rlim_max, (unsigned long long)wanted);
}

static void on_signal(int number)
{
    (void)number;
    int kept = errno;
    ssize_t ignored = write(wake_descriptor, "", 1);         /* a full pipe has woken the loop already */
    (void)ignored;
    errno = kept;
}

static void set_signals(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int open_signals(struct runtime *runtime, char *why, size_t why_size)
{
    if (pipe(runtime->wake) != 0) return SL_FAIL(SL_ERROR_IO, why, why_size, "cannot watch for signals (%s)", strerror(errno));

    for (uint32_t i = 0; i < 2; i++) {
        fcntl(runtime->wake[i], F_SETFL, O_NONBLOCK);
        fcntl(runtime->wake[i], F_SETFD, FD_CLOEXEC);
    }
    wake_descriptor = runtime->wake[1];
    set_signals(on_signal);
    return SL_OK;
}

static void close_signals(struct runtime *runtime)
{
    if (runtime->wake[0] < 0) return;

    set_signals(SIG_DFL);
    wake_descriptor = -1;
    close(runtime->wake[0]);
    close(runtime->wake[1]);
}

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
    setup->config.trace = (struct sl_trace_sink){.context = &runtime->report, .report = sl_report_trace};

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
    int error = reserve_files(link_max, why, why_size);
    if (error != SL_OK) return error;

    void *context = open_context(link_max);
    if (!context) return SL_FAIL(SL_ERROR_IO, why, why_size, "ZeroMQ does not start (%s)", zmq_strerror(errno));

    error = open_signals(runtime, why, why_size);
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
    sl_links_destroy(&runtime->links);
    sl_zap_close(&runtime->zap);
    if (runtime->node) sl_node_finish(runtime->node);
    free(runtime->node);
    free(runtime->items);
    close_signals(runtime);
}

static void introduce(const struct runtime *runtime)
{
    const struct sl_setup *setup = runtime->setup;
    char text[SL_WHY_SIZE], id[65];
    sodium_bin2hex(id, sizeof id, setup->identity.id, 32);
    snprintf(text, sizeof text, "node %.8s listens at %s; %u on the prepared list, %u rows to learn from, model %s", id, setup->config.listen,
             setup->n_peers, setup->data.n_rows, setup->config.model);
    sl_report_say(&runtime->report, runtime->now_us, text);
    sl_report_say(&runtime->report, runtime->now_us, "privacy: OFF - no formal promise beyond the masks");
}

static void start(struct runtime *runtime)
{
    struct sl_setup *setup = runtime->setup;
    struct sl_event event = {.type = SL_EVENT_START, .start = {.state = setup->state, .state_size = setup->state_size}};
    step(runtime, &event);
}

/* From here on another signal must not cut a wait for a thread short. */
static void hold_signals_back(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

static int stop(struct runtime *runtime, char *why, size_t why_size)
{
    struct sl_event event = {.type = SL_EVENT_STOP};
    hold_signals_back();
    step(runtime, &event);
    sl_report_finish(&runtime->report);

    struct sl_status status;
    sl_node_status(runtime->node, &status);
    sl_report_turn(&runtime->report, runtime->now_us, &status);
    uint64_t n_dropped = sl_links_dropped(runtime->links);
    sl_worker_destroy(&runtime->worker);             /* the trainer is now free to score the final weights */
    sl_storer_destroy(&runtime->storer);
    if (runtime->options->epochs_max == 0) return SL_OK;

    int error = sl_report_write_summary(&runtime->report, runtime->setup, &status, sl_node_weights(runtime->node), n_dropped);
    if (error != SL_OK) return SL_FAIL(error, why, why_size, "%s/summary.json cannot be written (%s)", runtime->setup->folder, sl_error_text(error));
    sl_report_say(&runtime->report, advance_clock(runtime), "done; summary.json is written");
    return SL_OK;
}

int sl_runtime_run(struct sl_setup *setup, const struct sl_run_options *options, char *why, size_t why_size)
{
    struct runtime runtime = {.setup = setup, .options = options, .deadline_us = SL_NEVER, .wake = {-1, -1},
                              .unix_start_us = read_clock(CLOCK_REALTIME), .monotonic_start_us = read_clock(CLOCK_BOOTTIME)};
    runtime.now_us = runtime.unix_start_us;
    sl_report_init(&runtime.report, setup->identity.id, options->verbose, runtime.unix_start_us);

    int error = open_all(&runtime, why, why_size);
    if (error == SL_OK) introduce(&runtime);
    if (error == SL_OK && options->hold) hold(&runtime);
    if (error == SL_OK && !runtime.stopping) {
        start(&runtime);
        loop(&runtime);
        error = stop(&runtime, why, why_size);
    }
    close_all(&runtime);
    return error;
}
