/* SPDX-License-Identifier: MIT */
#include "sim/checker.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/vec.h"
#include "share/quantise.h"
#include "wire/message.h"

enum { STORES_MAX = 16, SENDS_PER_LINK = 4 };

/* Writes the sentence unless there is one already. A macro, so that the compiler checks the format. */
#define FAIL(checker, index, ...) \
    do { \
        if (!(checker)->violation[0]) { \
            (checker)->violator = (index); \
            snprintf((checker)->violation, sizeof(checker)->violation, __VA_ARGS__); \
        } \
    } while (0)

static uint32_t power_of_two_above(uint32_t n)
{
    uint32_t power = 16;
    while (power < n) power *= 2;
    return power;
}

bool sl_checker_init(struct sl_checker *checker, const struct sl_config *config, uint32_t n_nodes, uint32_t dim, bool keep_vectors)
{
    *checker = (struct sl_checker){.config = config, .n_nodes = n_nodes, .dim = dim, .n_results_max = power_of_two_above(4 * n_nodes)};
    checker->nodes = calloc(n_nodes, sizeof *checker->nodes);
    checker->results = calloc(checker->n_results_max, sizeof *checker->results);
    bool is_complete = checker->nodes && checker->results;
    for (uint32_t i = 0; is_complete && keep_vectors && i < n_nodes; i++) {
        checker->nodes[i].trained = calloc(dim, sizeof(float));
        is_complete = checker->nodes[i].trained;
    }
    if (!is_complete) sl_checker_finish(checker);
    return is_complete;
}

void sl_checker_finish(struct sl_checker *checker)
{
    for (uint32_t i = 0; checker->nodes && i < checker->n_nodes; i++) free(checker->nodes[i].trained);
    free(checker->nodes);
    free(checker->results);
    checker->nodes = NULL;
    checker->results = NULL;
}

void sl_checker_fail(struct sl_checker *checker, uint32_t index, const char *sentence)
{
    FAIL(checker, index, "%s", sentence);
}

void sl_checker_start(struct sl_checker *checker, uint32_t index, const uint8_t id[32], uint64_t now_us)
{
    struct sl_checked_node *node = &checker->nodes[index];
    memcpy(node->id, id, sizeof node->id);
    memset(node->tickets, 0, sizeof node->tickets);
    node->stored_epoch = 0;
    node->n_results = 0;
    node->start_epoch = now_us / checker->config->epoch_us;
}

/* Counts ticks in one instant: a node whose deadline never moves on would spin. */
static void count_tick(struct sl_checker *checker, uint32_t index, uint64_t now_us)
{
    struct sl_checked_node *node = &checker->nodes[index];
    if (node->instant_us != now_us) node->n_ticks = 0;
    node->instant_us = now_us;
    if (++node->n_ticks > SL_CHECKER_TICKS_MAX) FAIL(checker, index, "asked for %d ticks in one instant: its deadline does not move on", SL_CHECKER_TICKS_MAX);
}

void sl_checker_event(struct sl_checker *checker, uint32_t index, const struct sl_event *event)
{
    struct sl_checked_node *node = &checker->nodes[index];
    if (event->type == SL_EVENT_TICK) count_tick(checker, index, event->now_us);
    if (event->type == SL_EVENT_DONE && event->done.error == 0) node->n_results++;
    if (event->type != SL_EVENT_STORED || event->stored.error != 0) return;

    for (uint32_t i = 0; i < SL_CHECKER_TICKETS; i++) {
        bool is_newer = node->tickets[i].ticket == event->stored.ticket && node->tickets[i].epoch > node->stored_epoch;
        if (is_newer) node->stored_epoch = node->tickets[i].epoch;
    }
}

void sl_checker_trace(struct sl_checker *checker, uint32_t index, const struct sl_trace_event *event)
{
    struct sl_checked_node *node = &checker->nodes[index];
    if (event->epoch == 0) return;       /* told before the first epoch was known: while the state is read */
    if (event->epoch < node->epoch) FAIL(checker, index, "went back from epoch %" PRIu64 " to %" PRIu64, node->epoch, event->epoch);
    node->epoch = event->epoch;

    if (event->type != SL_TRACE_ROSTER) return;
    if (node->roster_epoch == event->epoch) FAIL(checker, index, "accepted two rosters in epoch %" PRIu64, event->epoch);
    node->roster_epoch = event->epoch;
}

/* The same body for every receiver, or a contradiction that others could prove. */
static void check_single(struct sl_checker *checker, uint32_t index, const struct sl_envelope *envelope, uint64_t *epoch, uint8_t hash[32])
{
    uint8_t fresh[32];
    sl_body_hash(envelope->body, envelope->body_size, fresh);
    bool is_other = *epoch == envelope->epoch && !sl_hash_equal(hash, fresh);
    if (is_other) FAIL(checker, index, "sent two different %s in epoch %" PRIu64, sl_message_name(envelope->type), envelope->epoch);
    *epoch = envelope->epoch;
    memcpy(hash, fresh, 32);
}

static void check_may_act(struct sl_checker *checker, uint32_t index, uint64_t now_us, const struct sl_envelope *envelope)
{
    struct sl_checked_node *node = &checker->nodes[index];
    const char *name = sl_message_name(envelope->type);
    uint64_t epoch = envelope->epoch, current = now_us / checker->config->epoch_us;
    if (epoch != current) FAIL(checker, index, "sent %s for epoch %" PRIu64 " in epoch %" PRIu64, name, epoch, current);
    if (epoch <= node->start_epoch) FAIL(checker, index, "sent %s in epoch %" PRIu64 ", in which it started", name, epoch);
    if (epoch > node->stored_epoch) FAIL(checker, index, "sent %s in epoch %" PRIu64 " before a state of that epoch was durable", name, epoch);
}

static void check_commit(struct sl_checker *checker, uint32_t index, const struct sl_envelope *envelope)
{
    struct sl_checked_node *node = &checker->nodes[index];
    bool is_first = node->commit_epoch != envelope->epoch;
    if (is_first && node->n_results == 0)
        FAIL(checker, index, "committed in epoch %" PRIu64 " without a training result of its own since the last COMMIT", envelope->epoch);
    if (is_first) node->n_results = 0;
    check_single(checker, index, envelope, &node->commit_epoch, node->commit_hash);
}

/* Where the result of a cohort is kept, or where it may be put: an old or empty place. */
static struct sl_checked_result *find_result(struct sl_checker *checker, const uint8_t cohort[32], uint64_t epoch)
{
    uint32_t at = 0;
    memcpy(&at, cohort, sizeof at);
    for (uint32_t i = 0; i < checker->n_results_max; i++) {
        struct sl_checked_result *result = &checker->results[(at + i) & (checker->n_results_max - 1)];
        bool is_free = result->epoch + SL_EPOCHS_KEPT < epoch;
        if (is_free || sl_hash_equal(result->cohort, cohort)) return result;
    }
    return NULL;
}

static void check_result(struct sl_checker *checker, uint32_t index, const struct sl_envelope *envelope)
{
    struct sl_result body;
    if (sl_read_result(envelope, &body)) { FAIL(checker, index, "sent a RESULT that cannot be read"); return; }

    struct sl_checked_result *known = find_result(checker, envelope->cohort, envelope->epoch);
    if (!known) return;
    bool is_same = sl_hash_equal(known->cohort, envelope->cohort) && sl_hash_equal(known->chain, body.chain);
    if (is_same && !sl_hash_equal(known->root, body.root)) FAIL(checker, index, "computed another mean than its cohort in epoch %" PRIu64, envelope->epoch);
    known->epoch = envelope->epoch;
    memcpy(known->cohort, envelope->cohort, 32);
    memcpy(known->chain, body.chain, 32);
    memcpy(known->root, body.root, 32);
}

/* Frames that a member passes on for others carry the other's name and are not its own doing. */
static void check_frame(struct sl_checker *checker, uint32_t index, uint64_t now_us, const struct sl_send *send)
{
    struct sl_envelope envelope;
    if (send->size == 0 || send->size > SL_MESSAGE_MAX) { FAIL(checker, index, "sent a frame of %zu bytes", send->size); return; }
    if (sl_envelope_open(send->data, send->size, checker->config->network_id, &envelope)) {
        FAIL(checker, index, "sent a frame that cannot be opened");
        return;
    }

    struct sl_checked_node *node = &checker->nodes[index];
    if (!sl_hash_equal(envelope.from, node->id)) return;

    switch (envelope.type) {
    case SL_MESSAGE_PROPOSE:
        check_may_act(checker, index, now_us, &envelope);
        check_single(checker, index, &envelope, &node->propose_epoch, node->propose_hash);
        break;
    case SL_MESSAGE_JOIN: check_may_act(checker, index, now_us, &envelope); break;
    case SL_MESSAGE_COMMIT:
        check_may_act(checker, index, now_us, &envelope);
        check_commit(checker, index, &envelope);
        break;
    case SL_MESSAGE_RESULT: check_result(checker, index, &envelope); break;
    default: break;
    }
}

static void remember_store(struct sl_checker *checker, uint32_t index, uint64_t now_us, const struct sl_store *store)
{
    if (store->type != SL_STORE_PUT_STATE) return;

    struct sl_checked_node *node = &checker->nodes[index];
    uint32_t at = node->n_tickets++ % SL_CHECKER_TICKETS;
    node->tickets[at].ticket = store->ticket;
    node->tickets[at].epoch = now_us / checker->config->epoch_us;
}

void sl_checker_actions(struct sl_checker *checker, uint32_t index, uint64_t now_us, const struct sl_actions *actions)
{
    const struct sl_config *config = checker->config;
    checker->n_checked++;

    uint32_t sends_max = SENDS_PER_LINK * config->link_max + config->outbox_size;
    if (actions->n_stores > STORES_MAX) FAIL(checker, index, "asked for %" PRIu32 " stores in one step", actions->n_stores);
    if (actions->n_dials > config->link_max) FAIL(checker, index, "dialled %" PRIu32 " peers in one step", actions->n_dials);
    if (actions->n_hangups > 2 * config->link_max) FAIL(checker, index, "hung up %" PRIu32 " links in one step", actions->n_hangups);
    if (actions->n_sends > sends_max) FAIL(checker, index, "sent %" PRIu32 " frames in one step, more than %" PRIu32, actions->n_sends, sends_max);
    if (checker->violation[0]) return;

    for (uint32_t i = 0; i < actions->n_stores; i++) remember_store(checker, index, now_us, &actions->stores[i]);
    for (uint32_t i = 0; i < actions->n_sends; i++) {
        bool is_shared = i > 0 && actions->sends[i].data == actions->sends[i - 1].data;
        if (!is_shared) check_frame(checker, index, now_us, &actions->sends[i]);
    }
}

void sl_checker_status(struct sl_checker *checker, uint32_t index, const struct sl_status *status)
{
    const struct sl_config *config = checker->config;
    if (status->peers_known > config->view_size) FAIL(checker, index, "knows %" PRIu32 " peers, more than view.size", status->peers_known);
    if (status->peers_live > status->peers_known) FAIL(checker, index, "counts more live peers than known ones");
    if (status->links_up > config->link_max) FAIL(checker, index, "holds %" PRIu32 " links, more than link.max", status->links_up);
    if (status->epochs_with_aggregate > status->epochs_seen + 1) FAIL(checker, index, "counts more aggregates than epochs");
}

void sl_checker_weights(struct sl_checker *checker, uint32_t index, const float *weights)
{
    if (!sl_vec_finite(weights, checker->dim)) FAIL(checker, index, "merged weights that are not finite");
}

void sl_checker_trained(struct sl_checker *checker, uint32_t index, uint64_t epoch, const float *weights)
{
    struct sl_checked_node *node = &checker->nodes[index];
    if (!node->trained) return;
    memcpy(node->trained, weights, checker->dim * sizeof *weights);
    node->trained_epoch = epoch;
}

/* Factor by which clipping shortens x - ref. */
static double clip_factor(const float *x, const float *ref, uint32_t dim, double radius)
{
    double norm = sl_vec_distance(x, ref, dim);
    return norm > radius ? radius / norm : 1;
}

void sl_checker_aggregate(struct sl_checker *checker, uint32_t index, uint64_t epoch, const uint32_t *members, uint32_t n_members, const float *mean,
                          uint32_t radius_q, const float *ref, uint32_t bits)
{
    double factors[SL_COHORT_MAX], radius = radius_q / 65536.0, largest = 0;
    if (n_members == 0 || n_members > SL_COHORT_MAX) { FAIL(checker, index, "made an aggregate of %" PRIu32 " members", n_members); return; }

    for (uint32_t i = 0; i < n_members; i++) {
        const struct sl_checked_node *member = &checker->nodes[members[i]];
        if (!member->trained) return;
        if (member->trained_epoch > epoch) return;      /* it has trained on since: nothing to compare with */
        factors[i] = clip_factor(member->trained, ref, checker->dim, radius);
    }
    for (uint32_t j = 0; j < checker->dim; j++) largest = fmax(largest, fabs(mean[j]));

    /* One step of the ring by rounding, one by clipping in float32, one step of the encoding, and float32 itself. */
    double tolerance = 2 * ldexp(1, -sl_ring_exponent(radius_q, n_members, 32)) + ldexp(largest + radius, 2 - (int)bits) + ldexp(largest + radius, -20);
    for (uint32_t j = 0; j < checker->dim; j++) {
        double sum = 0;
        for (uint32_t i = 0; i < n_members; i++) sum += ref[j] + factors[i] * ((double)checker->nodes[members[i]].trained[j] - ref[j]);
        double off = fabs(sum / n_members - mean[j]);
        if (off <= tolerance) continue;
        FAIL(checker, index, "made an aggregate that is off by %g at coordinate %" PRIu32 " (%g allowed) in epoch %" PRIu64, off, j, tolerance, epoch);
        return;
    }
    checker->n_aggregates++;
}
