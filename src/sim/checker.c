/* SPDX-License-Identifier: MIT */
#include "sim/checker.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/quorum.h"
#include "base/vec.h"
#include "config/plan.h"
#include "core/core.h"
#include "share/quantise.h"
#include "starling/error.h"
#include "wire/message.h"

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

bool sl_checker_init(struct sl_checker *checker, const struct sl_config *config, uint32_t n_nodes, uint32_t dim)
{
    *checker = (struct sl_checker){.config = config, .n_nodes = n_nodes, .dim = dim, .n_results_max = power_of_two_above(4 * n_nodes)};
    checker->nodes = calloc(n_nodes, sizeof *checker->nodes);
    checker->results = calloc(checker->n_results_max, sizeof *checker->results);
    bool is_complete = checker->nodes && checker->results;
    for (uint32_t i = 0; is_complete && i < n_nodes; i++) {
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
    node->job = node->used_job = 0;          /* numbers begin anew with every start */
    node->job_epoch = node->result_epoch = 0;
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

/* CONFIRMs of the epoch, of whatever cohort: liars may send those of others, and old ones. */
static void hear_confirm(struct sl_checker *checker, uint32_t index, const struct sl_event *event)
{
    struct sl_checked_node *node = &checker->nodes[index];
    struct sl_envelope envelope;
    struct sl_confirm body;
    bool is_confirm = event->message.size > 2 && event->message.data[2] == SL_MESSAGE_CONFIRM;         /* most are not: cheap questions first */
    if (!is_confirm || sl_envelope_open(event->message.data, event->message.size, checker->config->network_id, &envelope)) return;
    if (envelope.type != SL_MESSAGE_CONFIRM || sl_read_confirm(&envelope, &body)) return;

    if (envelope.epoch < node->confirms.epoch) return;
    if (envelope.epoch > node->confirms.epoch) node->confirms.n = 0;
    node->confirms.epoch = envelope.epoch;
    for (uint32_t i = 0; i < node->confirms.n; i++)
        if (sl_hash_equal(node->confirms.all[i].from, envelope.from) && sl_hash_equal(node->confirms.all[i].chain, body.chain)) return;
    if (node->confirms.n == SL_CHECKER_CONFIRMS) return;
    memcpy(node->confirms.all[node->confirms.n].from, envelope.from, 32);
    memcpy(node->confirms.all[node->confirms.n++].chain, body.chain, 32);
}

/* In time: before the end of the training phase of the epoch in which the job began. */
static void take_result(struct sl_checker *checker, uint32_t index, uint64_t now_us, const struct sl_job_result *result)
{
    const struct sl_config *config = checker->config;
    struct sl_checked_node *node = &checker->nodes[index];
    double end_us = ((double)node->job_epoch + config->phase_train) * (double)config->epoch_us + 1;      /* 1: rounding */
    bool is_usable = result->error == SL_OK && result->number == node->job && now_us / config->epoch_us == node->job_epoch;
    if (is_usable && (double)now_us <= end_us) node->result_epoch = node->job_epoch;
}

void sl_checker_event(struct sl_checker *checker, uint32_t index, const struct sl_event *event)
{
    struct sl_checked_node *node = &checker->nodes[index];
    if (event->type == SL_EVENT_TICK) count_tick(checker, index, event->now_us);
    if (event->type == SL_EVENT_MESSAGE) hear_confirm(checker, index, event);
    if (event->type == SL_EVENT_DONE) take_result(checker, index, event->now_us, &event->done);
    if (event->type == SL_EVENT_STORED) sl_checker_rounds_stored(checker, index, event->stored.ticket, event->stored.error);
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
    node->roster_size = (uint32_t)event->a;
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
    bool is_first = node->said[SL_STEP_COMMIT].epoch != envelope->epoch, has_result = node->job != 0 && node->result_epoch == envelope->epoch;
    if (is_first && !has_result) FAIL(checker, index, "committed in epoch %" PRIu64 " without a training result that came in time", envelope->epoch);
    if (is_first && has_result && node->used_job == node->job)
        FAIL(checker, index, "committed the training result of job %" PRIu32 " twice, again in epoch %" PRIu64, node->job, envelope->epoch);
    if (is_first) node->used_job = node->job;
    sl_checker_rounds_said(checker, index, envelope->epoch);
}

/* Its shares open what it holds of others: only when a threshold has confirmed the story that it follows. */
static void check_unmask(struct sl_checker *checker, uint32_t index, const struct sl_envelope *envelope)
{
    const struct sl_checked_node *node = &checker->nodes[index];
    struct sl_unmask body;
    if (sl_read_unmask(envelope, &body)) { FAIL(checker, index, "sent an UNMASK that cannot be read"); return; }

    uint32_t n = node->said[SL_STEP_CONFIRM].epoch == envelope->epoch;          /* its own */
    for (uint32_t i = 0; i < node->confirms.n && node->confirms.epoch == envelope->epoch; i++) n += sl_hash_equal(node->confirms.all[i].chain, body.chain);
    if (n < sl_quorum_threshold(node->roster_size))
        FAIL(checker, index, "gave its shares away in epoch %" PRIu64 " with %" PRIu32 " CONFIRMs of %" PRIu32 " members", envelope->epoch, n,
             node->roster_size);
}

static void check_step(struct sl_checker *checker, uint32_t index, const struct sl_envelope *envelope, enum sl_session_step step)
{
    check_single(checker, index, envelope, &checker->nodes[index].said[step].epoch, checker->nodes[index].said[step].hash);
}

static void check_list(struct sl_checker *checker, uint32_t index, const struct sl_envelope *envelope)
{
    struct sl_list body;
    bool is_list = sl_read_list(envelope, &body) == SL_OK && body.step < SL_STEP_COUNT;
    if (is_list) check_step(checker, index, envelope, (enum sl_session_step)body.step);
    else FAIL(checker, index, "sent a LIST that cannot be read");
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

static void check_in_cohort(struct sl_checker *checker, uint32_t index, const struct sl_envelope *envelope)
{
    switch (envelope->type) {
    case SL_MESSAGE_SHARES: check_step(checker, index, envelope, SL_STEP_SHARES); break;
    case SL_MESSAGE_LIST: check_list(checker, index, envelope); break;
    case SL_MESSAGE_COMMIT:
        check_commit(checker, index, envelope);
        check_step(checker, index, envelope, SL_STEP_COMMIT);
        break;
    case SL_MESSAGE_OPEN: check_step(checker, index, envelope, SL_STEP_OPEN); break;
    case SL_MESSAGE_AUDIT: check_step(checker, index, envelope, SL_STEP_AUDIT); break;
    case SL_MESSAGE_CONFIRM: check_step(checker, index, envelope, SL_STEP_CONFIRM); break;
    case SL_MESSAGE_UNMASK:
        check_unmask(checker, index, envelope);
        check_step(checker, index, envelope, SL_STEP_UNMASK);
        break;
    case SL_MESSAGE_RESULT:
        check_result(checker, index, envelope);
        check_step(checker, index, envelope, SL_STEP_RESULT);
        break;
    default: break;
    }
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
    bool is_act = envelope.type >= SL_MESSAGE_PROPOSE && envelope.type <= SL_MESSAGE_RESULT && envelope.type != SL_MESSAGE_RELEASED;
    if (!sl_hash_equal(envelope.from, node->id) || !is_act) return;

    check_may_act(checker, index, now_us, &envelope);
    if (envelope.type == SL_MESSAGE_PROPOSE) check_single(checker, index, &envelope, &node->propose_epoch, node->propose_hash);
    else check_in_cohort(checker, index, &envelope);
}

static void remember_store(struct sl_checker *checker, uint32_t index, uint64_t now_us, const struct sl_store *store)
{
    sl_checker_rounds_store(checker, index, store);
    if (store->type != SL_STORE_PUT_STATE) return;

    struct sl_checked_node *node = &checker->nodes[index];
    uint32_t at = node->n_tickets++ % SL_CHECKER_TICKETS;
    node->tickets[at].ticket = store->ticket;
    node->tickets[at].epoch = now_us / checker->config->epoch_us;
}

static void remember_job(struct sl_checker *checker, uint32_t index, uint64_t now_us, const struct sl_job *job)
{
    struct sl_checked_node *node = &checker->nodes[index];
    if (job->number == 0 || job->type != SL_JOB_TRAIN) return;

    uint64_t current = now_us / checker->config->epoch_us;
    if (job->number <= node->job) FAIL(checker, index, "gave job %" PRIu32 " a number that is not new", job->number);
    if (job->epoch != current) FAIL(checker, index, "trains for epoch %" PRIu64 " in epoch %" PRIu64, job->epoch, current);
    sl_checker_rounds_job(checker, index, job);
    node->job = job->number;
    node->job_epoch = job->epoch;
    node->result_epoch = 0;
}

void sl_checker_actions(struct sl_checker *checker, uint32_t index, uint64_t now_us, const struct sl_actions *actions)
{
    checker->n_checked++;
    if (actions->n_stores > STORES_MAX) FAIL(checker, index, "asked for %" PRIu32 " stores in one step", actions->n_stores);
    if (actions->n_dials > DIALS_MAX) FAIL(checker, index, "dialled %" PRIu32 " peers in one step", actions->n_dials);
    if (actions->n_hangups > HANGUPS_MAX) FAIL(checker, index, "hung up %" PRIu32 " links in one step", actions->n_hangups);
    if (actions->n_sends > SENDS_MAX) FAIL(checker, index, "sent %" PRIu32 " frames in one step", actions->n_sends);
    if (checker->violation[0]) return;

    for (uint32_t i = 0; i < actions->n_stores; i++) remember_store(checker, index, now_us, &actions->stores[i]);
    for (uint32_t i = 0; i < actions->n_sends; i++) {
        bool is_shared = i > 0 && actions->sends[i].data == actions->sends[i - 1].data;
        if (!is_shared) check_frame(checker, index, now_us, &actions->sends[i]);
    }
    remember_job(checker, index, now_us, &actions->job);         /* last: what was sent in this step rests on the job before */
}

void sl_checker_status(struct sl_checker *checker, uint32_t index, const struct sl_status *status)
{
    const struct sl_config *config = checker->config;
    if (status->peers_known > config->view_size) FAIL(checker, index, "knows %" PRIu32 " peers, more than view.size", status->peers_known);
    if (status->peers_live > status->peers_known) FAIL(checker, index, "counts more live peers than known ones");
    if (status->links_up > config->link_max) FAIL(checker, index, "holds %" PRIu32 " links, more than link.max", status->links_up);
    sl_checker_rounds_status(checker, index, status);
    if (status->epochs_with_aggregate > status->epochs_seen + 1) FAIL(checker, index, "counts more aggregates than epochs");
}

void sl_checker_weights(struct sl_checker *checker, uint32_t index, const float *weights)
{
    if (!sl_vec_finite(weights, checker->dim)) FAIL(checker, index, "merged weights that are not finite");
}

static void hash_vector(const float *weights, uint32_t dim, uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, "trained vector");
    sl_hash_bytes(&hash, (const uint8_t *)weights, dim * sizeof *weights);
    sl_hash_final(&hash, out);
}

void sl_checker_trained(struct sl_checker *checker, uint32_t index, uint64_t epoch, const float *weights)
{
    struct sl_checked_node *node = &checker->nodes[index];
    memcpy(node->trained, weights, checker->dim * sizeof *weights);
    node->trained_epoch = epoch;
    hash_vector(weights, checker->dim, node->trained_hash);
}

void sl_checker_committed(struct sl_checker *checker, uint32_t index, const float *weights)
{
    uint8_t hash[32];
    hash_vector(weights, checker->dim, hash);
    if (!sl_hash_equal(hash, checker->nodes[index].trained_hash)) FAIL(checker, index, "committed another vector than the one its last training job made");
}

/* On the block `trained` is then not a model, but what is added to the reference. */
void sl_checker_released(struct sl_checker *checker, uint32_t index, const struct sl_job *job)
{
    sl_checker_trained(checker, index, job->epoch, job->weights);
    for (uint32_t j = 0; j < job->n_block; j++)
        checker->nodes[index].trained[job->block[j]] = (float)(ldexp(job->release[j], -SL_SCALE_BITS) * checker->config->privacy_node_clip);
}

/* Factor by which clipping shortens x - ref on the block. */
static double clip_factor(const struct sl_checked_aggregate *aggregate, const float *x)
{
    double sum = 0;
    for (uint32_t j = 0; j < aggregate->n_values; j++) {
        double difference = (double)x[aggregate->block[j]] - aggregate->ref[j];
        sum += difference * difference;
    }
    double norm = sqrt(sum);
    return norm > aggregate->radius ? aggregate->radius / norm : 1;
}

/* One step of the ring by rounding, one by clipping in float32, one step of the encoding, and float32 itself. */
static double tolerance_of(const struct sl_checked_aggregate *aggregate)
{
    double largest = aggregate->radius;
    for (uint32_t j = 0; j < aggregate->n_values; j++) largest = fmax(largest, aggregate->radius + fabs(aggregate->mean[j]));
    return 2 * ldexp(1, -aggregate->ring_exponent) + ldexp(largest, 2 - (int)aggregate->bits) + ldexp(largest, -20);
}

static double plain_mean(const struct sl_checker *checker, const struct sl_checked_aggregate *aggregate, const double *factors, uint32_t j)
{
    double sum = 0;
    bool is_change = sl_unit_of(checker->config) == SL_UNIT_NODE;
    for (uint32_t i = 0; i < aggregate->n_members; i++) {
        const float *x = checker->nodes[aggregate->members[i]].trained;
        if (is_change) sum += (double)aggregate->ref[j] + x[aggregate->block[j]];
        else sum += aggregate->ref[j] + factors[i] * ((double)x[aggregate->block[j]] - aggregate->ref[j]);
    }
    return sum / aggregate->n_members;
}

void sl_checker_skip(struct sl_checker *checker)
{
    checker->n_skipped++;
}

void sl_checker_aggregate(struct sl_checker *checker, uint32_t index, const struct sl_checked_aggregate *aggregate)
{
    double factors[SL_COHORT_MAX], tolerance = tolerance_of(aggregate);
    uint32_t n = aggregate->n_members;
    if (n == 0 || n > SL_COHORT_MAX) { FAIL(checker, index, "made an aggregate of %" PRIu32 " members", n); return; }

    for (uint32_t i = 0; i < n; i++) {
        const struct sl_checked_node *member = &checker->nodes[aggregate->members[i]];
        if (member->trained_epoch > aggregate->epoch) { sl_checker_skip(checker); return; }
        if (member->trained_epoch < aggregate->epoch) {
            FAIL(checker, index, "counted n%" PRIu32 ", which has not trained in epoch %" PRIu64, aggregate->members[i], aggregate->epoch);
            return;
        }
        factors[i] = clip_factor(aggregate, member->trained);
    }
    for (uint32_t j = 0; j < aggregate->n_values; j++) {
        double off = fabs(plain_mean(checker, aggregate, factors, j) - aggregate->mean[j]);
        if (off <= tolerance) continue;
        FAIL(checker, index, "made an aggregate that is off by %g at coordinate %" PRIu32 " (%g allowed) in epoch %" PRIu64, off, aggregate->block[j],
             tolerance, aggregate->epoch);
        return;
    }
    checker->n_aggregates++;
}
