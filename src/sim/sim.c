/* SPDX-License-Identifier: MIT */
#include "sim/sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "sim/world.h"
#include "starling/error.h"

enum { STEPS_PER_STATUS = 16 };

uint64_t sl_sim_clock(const struct sl_sim *sim, const struct sl_sim_node *node)
{
    return (uint64_t)((int64_t)sim->now_us + node->clock_off_us);
}

bool sl_sim_is_tapped(const struct sl_sim *sim, uint32_t node)
{
    return sim->options.taps && sim->options.taps[node].actions;
}

void sl_sim_push(struct sl_sim *sim, struct sl_sim_entry entry)
{
    if (sl_sim_queue_push(&sim->queue, &entry)) return;
    sl_sim_drop(&entry);
    sim->error = SL_ERROR_NO_MEMORY;
}

/* ---- what a node tells ---- */

/* Cohorts are counted once, at their initiator, whichever member tells of them first. */
static void count_cohort(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_trace_event *event)
{
    if (event->type == SL_TRACE_ROSTER) memcpy(node->initiator, event->peer, 32);
    if (event->type != SL_TRACE_ROSTER && event->type != SL_TRACE_AGGREGATE) return;

    uint32_t index = sl_sim_find(sim, node->initiator);
    struct sl_sim_node *initiator = index == UINT32_MAX ? node : &sim->nodes[index];
    bool is_roster = event->type == SL_TRACE_ROSTER;
    uint64_t *epoch = is_roster ? &initiator->roster_epoch : &initiator->completed_epoch;
    if (*epoch == event->epoch) return;
    *epoch = event->epoch;
    if (is_roster) sim->counts.cohorts_formed++;
    else sim->counts.cohorts_completed++;
}

static void hash_trace(struct sl_sim *sim, uint32_t node, const struct sl_trace_event *event)
{
    sl_hash_u64(&sim->hash, sim->now_us);
    sl_hash_u64(&sim->hash, (uint64_t)node << 32 | (uint32_t)event->type);
    sl_hash_u64(&sim->hash, event->epoch);
    sl_hash_bytes(&sim->hash, event->peer, sizeof event->peer);
    sl_hash_u64(&sim->hash, (uint64_t)event->a);
    sl_hash_u64(&sim->hash, (uint64_t)event->b);
    sl_hash_u64(&sim->hash, (uint64_t)(int64_t)event->error);
}

static void report(void *context, const struct sl_trace_event *event)
{
    struct sl_sim_node *node = context;
    struct sl_sim *sim = node->sim;
    count_cohort(sim, node, event);
    if (event->type == SL_TRACE_AGGREGATE) node->has_aggregate = true;
    if (event->type == SL_TRACE_COMMITTED) node->has_committed = true;
    if (event->type == SL_TRACE_MERGED) {
        node->has_merged = true;
        node->last_merge_us = sim->now_us - sim->begin_us;
    }
    if (sim->options.check && !sl_sim_is_tapped(sim, node->index)) sl_checker_trace(&sim->checker, node->index, event);
    if (sim->options.hash) hash_trace(sim, node->index, event);
    if (sim->options.listen) sim->options.listen(sim->options.listen_context, node->index, sim->now_us - sim->begin_us, event);
}

/* ---- steps ---- */

static void check_step(struct sl_sim *sim, struct sl_sim_node *node, uint64_t now_us, const struct sl_actions *actions)
{
    sl_checker_actions(&sim->checker, node->index, now_us, actions);
    if (node->has_merged) sl_checker_weights(&sim->checker, node->index, node->weights);
    if (node->has_committed) sl_sim_check_commit(sim, node);
    if (node->has_aggregate) sl_sim_check_aggregate(sim, node);
    if (node->has_merged || node->n_steps % STEPS_PER_STATUS == 0) {
        struct sl_status status;
        sl_node_status(node->core, &status);
        sl_checker_status(&sim->checker, node->index, &status);
    }
}

static void step(struct sl_sim *sim, struct sl_sim_node *node, struct sl_event *event)
{
    struct sl_actions actions = {.deadline_us = SL_NEVER};
    bool is_tapped = sl_sim_is_tapped(sim, node->index), is_checked = sim->options.check && !is_tapped;
    const struct sl_tap *tap = sim->options.taps ? &sim->options.taps[node->index] : NULL;
    event->now_us = sl_sim_clock(sim, node);
    if (is_checked) sl_checker_event(&sim->checker, node->index, event);

    node->has_merged = node->has_aggregate = node->has_committed = false;
    node->n_steps++;
    sim->counts.steps++;
    uint64_t begin_ns = sim->options.stopwatch_ns ? sim->options.stopwatch_ns() : 0;
    if (tap && tap->event) tap->event(tap->context, node->core, event);
    sl_node_step(node->core, event, &actions);
    if (tap && tap->actions) tap->actions(tap->context, node->core, &actions);
    if (sim->options.stopwatch_ns) node->busy_ns += sim->options.stopwatch_ns() - begin_ns;
    node->weights = sl_node_weights(node->core);

    if (is_checked) check_step(sim, node, event->now_us, &actions);
    if (!sim->checker.violation[0]) sl_sim_carry_out(sim, node, &actions);
    if (node->has_committed) sl_sim_crash_at(sim, node, SL_POINT_SENT);
}

static void link_event(struct sl_sim *sim, struct sl_sim_node *node, uint32_t number, enum sl_link_change change, const uint8_t *key)
{
    struct sl_event event = {.type = SL_EVENT_LINK, .link = {.link = number, .change = change}};
    if (key) memcpy(event.link.transport_key, key, 32);
    step(sim, node, &event);
}

/* What the disk gives back at a start: a torn file is cut off anywhere. */
static struct sl_bytes state_to_start(struct sl_sim *sim, const struct sl_sim_node *node, enum sl_state_kind kind)
{
    struct sl_bytes state = kind == SL_STATE_OLD ? node->old_state : node->state;
    if (kind == SL_STATE_NONE) state.size = 0;
    if (kind == SL_STATE_TORN && state.size > 0) state.size = sl_rng_below(&sim->disk_rng, (uint32_t)state.size);
    return state;
}

static bool make_core(struct sl_sim *sim, struct sl_sim_node *node)
{
    struct sl_config config = *sim->options.config;
    struct sl_peer *own_list = NULL;
    uint8_t run_seed[32];
    snprintf(config.name, sizeof config.name, "n%" PRIu32, node->index);
    config.identity = &node->identity;
    config.peers = sim->peers;
    config.n_peers = sim->options.n_nodes;
    if (sim->seeds) {
        config.peers = NULL;
        config.n_peers = 0;
        config.seeds = sim->seeds;
        config.n_seeds = sim->options.n_seeds;
    }
    config.trace = (struct sl_trace_sink){node, report};
    if (sim->n_rings > 0) {
        own_list = sl_sim_neighbours(sim, node->index, &config.n_peers);
        if (!own_list) return false;
        config.peers = own_list;
    }
    sl_sim_key(sim, "run", node->index, node->incarnation, run_seed);
    node->memory = aligned_alloc(64, (sim->node_size + 63) / 64 * 64);
    node->core = node->memory ? sl_node_init(node->memory, sim->node_size, &config, sim->options.model, run_seed) : NULL;
    free(own_list);
    return node->core;
}

void sl_sim_start(struct sl_sim *sim, uint32_t index, enum sl_state_kind kind)
{
    struct sl_sim_node *node = &sim->nodes[index];
    if (node->core) return;

    node->incarnation++;
    node->links.n_links = 0;
    node->deadline_us = node->wake_us = SL_NEVER;
    node->disk_free_us = 0;
    if (!make_core(sim, node)) {
        free(node->memory);
        node->memory = NULL;
        sim->error = SL_ERROR_NO_MEMORY;
        return;
    }
    sl_sim_check_disk(sim, node);
    if (sim->options.check) sl_checker_start(&sim->checker, index, node->identity.id, sl_sim_clock(sim, node));
    if (sim->options.check) sl_checker_rounds_start(&sim->checker, index, node->ledger.bytes, node->ledger.size);
    struct sl_bytes state = state_to_start(sim, node, kind);
    struct sl_bytes book = kind == SL_STATE_NONE ? (struct sl_bytes){0} : node->book;
    if (kind == SL_STATE_TORN && book.size > 0) book.size /= 2;
    struct sl_event event = {.type = SL_EVENT_START, .start = {.state = state.bytes, .state_size = state.size, .book = book.bytes, .book_size = book.size,
                                                            .ledger = node->ledger.bytes, .ledger_size = node->ledger.size,
                                                            .release = node->kept.bytes, .release_size = node->kept.size}};
    step(sim, node, &event);
}

static void add_counters(struct sl_status *sum, const struct sl_status *more)
{
    sum->epochs_seen += more->epochs_seen;
    sum->epochs_trained += more->epochs_trained;
    sum->epochs_with_aggregate += more->epochs_with_aggregate;
    sum->epochs_merged += more->epochs_merged;
    sum->cohorts_void += more->cohorts_void;
    sum->aggregates_pulled += more->aggregates_pulled;
    sum->messages_sent += more->messages_sent;
    sum->messages_received += more->messages_received;
    sum->bytes_sent += more->bytes_sent;
    sum->bytes_received += more->bytes_received;
    sum->messages_refused += more->messages_refused;
    sum->signature_checks += more->signature_checks;
    sum->signatures_made += more->signatures_made;
    sum->privacy.rounds_wasted += more->privacy.rounds_wasted;
}

/* The process dies: what was under way on disk or in training is gone, the others see their links end. */
void sl_sim_crash(struct sl_sim *sim, uint32_t index)
{
    struct sl_sim_node *node = &sim->nodes[index];
    if (!node->core) return;

    sl_sim_tear(sim, node);
    sl_node_status(node->core, &node->last);
    if (node->last.epoch >= node->last.first_epoch) node->last.epochs_seen++;          /* the one in which it dies: it may have its aggregate */
    add_counters(&node->past, &node->last);
    while (node->links.n_links > 0) {
        struct sl_link link = node->links.links[node->links.n_links - 1];
        sl_sim_close_end(sim, link.pipe, link.side);
    }
    sl_node_finish(node->core);
    free(node->memory);
    node->core = NULL;
    node->memory = NULL;
    node->weights = NULL;
    node->incarnation++;             /* what is on its way to the dead one finds nobody */
    sim->counts.crashes++;
}

/* ---- what comes out of the queue ---- */

static struct sl_pipe *pipe_of(struct sl_sim *sim, uint32_t index, uint32_t generation)
{
    struct sl_pipe *pipe = &sim->pipes.pipes[index];
    return pipe->generation == generation ? pipe : NULL;
}

static void on_wake(struct sl_sim *sim, struct sl_sim_node *node)
{
    if (node->wake_us != sim->now_us) return;        /* an earlier one took its place */
    node->wake_us = SL_NEVER;
    if (node->deadline_us > sim->now_us) {
        if (node->deadline_us == SL_NEVER) return;
        node->wake_us = node->deadline_us;
        sl_sim_push(sim, (struct sl_sim_entry){.at_us = node->wake_us, .type = SL_SIM_WAKE, .node = node->index, .incarnation = node->incarnation});
        return;
    }
    step(sim, node, &(struct sl_event){.type = SL_EVENT_TICK});
}

static void refuse(struct sl_sim *sim, struct sl_pipe *pipe, uint32_t index)
{
    struct sl_sim_node *node = &sim->nodes[pipe->ends[0].node];
    uint32_t number = pipe->ends[0].number;
    pipe->ends[0].is_open = false;
    sl_links_remove(&node->links, number);
    sl_pipes_leave(&sim->pipes, index);
    link_event(sim, node, number, SL_LINK_REFUSED, NULL);
}

/* A dial arrives: the target's end opens, and the dialler hears of it one way later. */
static void on_dial(struct sl_sim *sim, struct sl_pipe *pipe, uint32_t index)
{
    uint32_t from = pipe->ends[0].node, to = pipe->ends[1].node;
    struct sl_sim_node *target = &sim->nodes[to];
    bool is_blocked = sl_network_is_blocked(&sim->network, from, to) || sl_network_is_blocked(&sim->network, to, from);
    uint64_t back_us = sl_network_latency(&sim->network, to, from);
    if (!target->core || is_blocked) {
        uint64_t at_us = sim->now_us + (is_blocked ? sl_sim_dial_patience(sim) : back_us);
        sl_sim_push(sim, (struct sl_sim_entry){.at_us = at_us, .type = SL_SIM_REFUSED, .a = index, .b = pipe->generation});
        return;
    }
    uint32_t number = SL_LINK_INBOUND + target->links.next_inbound++ % SL_LINK_INBOUND;
    pipe->ends[1] = (struct sl_pipe_end){.node = to, .number = number, .is_open = true};
    pipe->is_up = true;
    if (!sl_links_add(&target->links, number, index, 1)) {
        sim->error = SL_ERROR_NO_MEMORY;
        return;
    }
    sl_sim_push(sim, (struct sl_sim_entry){.at_us = sl_sim_arrival(sim, pipe, 0, back_us), .type = SL_SIM_UP, .a = index, .b = pipe->generation});
    link_event(sim, target, number, SL_LINK_UP, sim->nodes[from].identity.transport_public);
}

static void on_down(struct sl_sim *sim, struct sl_pipe *pipe, uint32_t index, uint32_t side)
{
    struct sl_pipe_end *end = &pipe->ends[side];
    if (!end->is_open) return;

    struct sl_sim_node *node = &sim->nodes[end->node];
    uint32_t number = end->number;
    end->is_open = false;
    sl_links_remove(&node->links, number);
    sl_pipes_leave(&sim->pipes, index);
    link_event(sim, node, number, SL_LINK_DOWN, NULL);
}

static void on_silence(struct sl_sim *sim, struct sl_pipe *pipe, uint32_t index)
{
    bool is_used = pipe->ends[0].is_open && pipe->ends[1].is_open;
    if (!is_used || !sl_network_is_blocked(&sim->network, pipe->ends[0].node, pipe->ends[1].node)) return;
    for (uint32_t side = 0; side < 2; side++)
        sl_sim_push(sim, (struct sl_sim_entry){.at_us = sim->now_us, .type = SL_SIM_DOWN, .a = index, .b = pipe->generation, .incarnation = side});
}

static void on_frame(struct sl_sim *sim, const struct sl_pipe *pipe, uint32_t side, const struct sl_packet *packet)
{
    const struct sl_pipe_end *end = &pipe->ends[side];
    if (!end->is_open) return;
    struct sl_event event = {.type = SL_EVENT_MESSAGE, .message = {.link = end->number, .data = packet->bytes, .size = packet->size}};
    step(sim, &sim->nodes[end->node], &event);
}

static void on_pipe(struct sl_sim *sim, const struct sl_sim_entry *entry)
{
    struct sl_pipe *pipe = pipe_of(sim, entry->a, entry->b);
    if (!pipe) return;

    switch (entry->type) {
    case SL_SIM_DIAL: on_dial(sim, pipe, entry->a); break;
    case SL_SIM_REFUSED: refuse(sim, pipe, entry->a); break;
    case SL_SIM_DOWN: on_down(sim, pipe, entry->a, entry->incarnation); break;
    case SL_SIM_SILENCE: on_silence(sim, pipe, entry->a); break;
    case SL_SIM_FRAME: on_frame(sim, pipe, entry->incarnation, entry->data); break;
    case SL_SIM_UP:
        if (pipe->ends[0].is_open)
            link_event(sim, &sim->nodes[pipe->ends[0].node], pipe->ends[0].number, SL_LINK_UP, sim->nodes[pipe->ends[1].node].identity.transport_public);
        break;
    default: assert(!"an entry that concerns no pipe");
    }
}

static struct sl_bytes copy_of(struct sl_sim *sim, const struct sl_disk_write *write)
{
    uint8_t *bytes = malloc(write->size > 0 ? write->size : 1);
    if (!bytes) {
        sim->error = SL_ERROR_NO_MEMORY;
        return (struct sl_bytes){0};
    }
    memcpy(bytes, write->bytes, write->size);
    return (struct sl_bytes){bytes, write->size};
}

/* A state that is durable replaces the one before, which is kept for restarts with an old disk. */
static void keep_state(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_disk_write *write)
{
    struct sl_bytes fresh = copy_of(sim, write);
    if (!fresh.bytes) return;
    free(node->old_state.bytes);
    node->old_state = (struct sl_bytes){0};
    if (sim->options.scenario) node->old_state = node->state;
    else free(node->state.bytes);
    node->state = fresh;
}

static void keep_book(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_disk_write *write)
{
    struct sl_bytes fresh = copy_of(sim, write);
    if (!fresh.bytes) return;
    free(node->book.bytes);
    node->book = fresh;
}

static void on_stored(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_disk_write *write)
{
    if (write->type == SL_STORE_PUT_STATE && !write->error) keep_state(sim, node, write);
    if (write->type == SL_STORE_PUT_BOOK && !write->error) keep_book(sim, node, write);
    if (!sl_sim_write_ends(sim, node, write)) return;
    step(sim, node, &(struct sl_event){.type = SL_EVENT_STORED, .stored = {.ticket = write->ticket, .error = write->error}});
}

static void on_node(struct sl_sim *sim, const struct sl_sim_entry *entry)
{
    struct sl_sim_node *node = &sim->nodes[entry->node];
    if (!node->core || node->incarnation != entry->incarnation) return;

    switch (entry->type) {
    case SL_SIM_WAKE: on_wake(sim, node); break;
    case SL_SIM_STORED: on_stored(sim, node, entry->data); break;
    case SL_SIM_DONE: {
        struct sl_event event = {.type = SL_EVENT_DONE, .done = *(const struct sl_job_result *)entry->data};
        step(sim, node, &event);
        break;
    }
    default: assert(!"an entry that concerns no node");
    }
}

static void happen(struct sl_sim *sim, const struct sl_sim_entry *entry)
{
    sim->counts.events++;
    switch ((enum sl_sim_type)entry->type) {
    case SL_SIM_START: sl_sim_start(sim, entry->node, (enum sl_state_kind)entry->a); break;
    case SL_SIM_CRASH: sl_sim_crash(sim, entry->node); break;
    case SL_SIM_FAULT: sl_sim_fault(sim, &sim->options.scenario->faults[entry->a]); break;
    case SL_SIM_CHURN: sl_sim_churn(sim); break;
    case SL_SIM_DIAL:
    case SL_SIM_UP:
    case SL_SIM_REFUSED:
    case SL_SIM_DOWN:
    case SL_SIM_SILENCE:
    case SL_SIM_FRAME: on_pipe(sim, entry); break;
    case SL_SIM_WAKE:
    case SL_SIM_STORED:
    case SL_SIM_DONE: on_node(sim, entry); break;
    }
}

static void note_violation(struct sl_sim *sim)
{
    uint64_t at_us = sim->now_us - sim->begin_us;
    snprintf(sim->violation, sizeof sim->violation, "n%" PRIu32 " at %" PRIu64 ".%03" PRIu64 "s: %s", sim->checker.violator, at_us / 1000000,
             at_us / 1000 % 1000, sim->checker.violation);
    sim->error = SL_ERROR_MISMATCH;
}

/* ---- public ---- */

int sl_sim_run(struct sl_sim *sim, uint64_t until_us)
{
    for (const struct sl_sim_entry *first; !sim->error && (first = sl_sim_queue_first(&sim->queue));) {
        if (first->at_us > sim->begin_us + until_us) break;

        struct sl_sim_entry entry = sl_sim_queue_pop(&sim->queue);
        assert(entry.at_us >= sim->now_us);
        sim->now_us = entry.at_us;
        happen(sim, &entry);
        sl_sim_drop(&entry);
        if (sim->checker.violation[0] && !sim->error) note_violation(sim);
    }
    if (!sim->error && sim->now_us < sim->begin_us + until_us) sim->now_us = sim->begin_us + until_us;
    return sim->error;
}

uint64_t sl_sim_now(const struct sl_sim *sim)
{
    return sim->now_us - sim->begin_us;
}

const char *sl_sim_violation(const struct sl_sim *sim)
{
    return sim->violation[0] ? sim->violation : NULL;
}

void sl_sim_hash(const struct sl_sim *sim, uint8_t out[32])
{
    struct sl_hash copy = sim->hash;
    sl_hash_final(&copy, out);
}

void sl_sim_story(const struct sl_sim *sim, uint32_t node, uint64_t now_us, const struct sl_trace_event *event, char *out, size_t size)
{
    char peer[16] = "nobody", text[192];
    uint32_t index = sl_hash_is_zero(event->peer) ? UINT32_MAX : sl_sim_find(sim, event->peer);
    if (index != UINT32_MAX) snprintf(peer, sizeof peer, "n%" PRIu32, index);
    else if (!sl_hash_is_zero(event->peer)) snprintf(peer, sizeof peer, "%02x%02x%02x%02x", event->peer[0], event->peer[1], event->peer[2], event->peer[3]);
    sl_trace_text(event, peer, text, sizeof text);

    int64_t epoch = (int64_t)(event->epoch - sim->begin_us / sim->options.config->epoch_us);
    snprintf(out, size, "[%3" PRIu64 ".%03" PRIu64 "s] n%" PRIu32 " epoch %" PRId64 ": %s", now_us / 1000000, now_us / 1000 % 1000, node, epoch, text);
}

const struct sl_node *sl_sim_node(const struct sl_sim *sim, uint32_t node)
{
    return sim->nodes[node].core;
}

const struct sl_identity *sl_sim_identity(const struct sl_sim *sim, uint32_t node)
{
    return &sim->nodes[node].identity;
}

const float *sl_sim_weights(const struct sl_sim *sim, uint32_t node)
{
    return sim->nodes[node].weights;
}

void sl_sim_status(const struct sl_sim *sim, uint32_t index, struct sl_status *out)
{
    const struct sl_sim_node *node = &sim->nodes[index];
    struct sl_status sum = node->past;
    *out = node->last;
    if (node->core) {
        sl_node_status(node->core, out);
        add_counters(&sum, out);
    }
    struct sl_status counters = *out;
    *out = sum;
    memcpy(out->id, node->identity.id, sizeof out->id);
    out->epoch = counters.epoch;
    out->first_epoch = counters.first_epoch;
    out->dim = counters.dim;
    out->peers_known = counters.peers_known;
    out->peers_live = counters.peers_live;
    out->peers_banned = counters.peers_banned;
    out->links_up = counters.links_up;
    out->links_inbound = counters.links_inbound;
    out->links_outbound = counters.links_outbound;
    out->view_covers = counters.view_covers;
    out->book_new = counters.book_new;
    out->book_tried = counters.book_tried;
    out->sharing_radius = counters.sharing_radius;
    out->last_job = counters.last_job;
    out->privacy = counters.privacy;
    out->privacy.rounds_wasted = sum.privacy.rounds_wasted;
    out->stalled = counters.stalled;
    memcpy(out->reason, counters.reason, sizeof out->reason);
}

uint64_t sl_sim_last_merge(const struct sl_sim *sim, uint32_t node)
{
    return sim->nodes[node].last_merge_us;
}

uint64_t sl_sim_busy_ns(const struct sl_sim *sim, uint32_t node)
{
    return sim->nodes[node].busy_ns;
}

struct sl_sim_counts sl_sim_counts(const struct sl_sim *sim)
{
    struct sl_sim_counts counts = sim->counts;
    counts.checked_aggregates = sim->checker.n_aggregates;
    counts.skipped_aggregates = sim->checker.n_skipped;
    return counts;
}
