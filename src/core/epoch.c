/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/vec.h"
#include "core/core.h"
#include "share/block.h"
#include "share/quantise.h"
#include "starling/error.h"

/* ---- what the aggregates of the past say about distances ---- */

static const double radius_factor = 1.5;

static uint32_t count_recent(const struct sl_node *node)
{
    uint32_t n = 0;
    while (n < node->n_distances && node->distances[node->n_distances - 1 - n].epoch + DISTANCE_EPOCHS >= node->epoch) n++;
    return n;
}

bool epoch_is_experienced(const struct sl_node *node)
{
    return count_recent(node) > 0;
}

/* Middle of the recent distances, or of all when none is recent, by insertion into a copy. 0 without any. */
static double median_distance(const struct sl_node *node)
{
    double sorted[DISTANCES_MAX];
    uint32_t n_recent = count_recent(node), n = n_recent ? n_recent : node->n_distances;
    const struct distance *first = node->distances + node->n_distances - n;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = i;
        for (; at > 0 && sorted[at - 1] > first[i].value; at--) sorted[at] = sorted[at - 1];
        sorted[at] = first[i].value;
    }
    return n ? sorted[(n - 1) / 2] : 0;          /* the lower middle: of two, one may be a liar's */
}

/*
 * A mean of |U| independent differences is sqrt(|U|) shorter than each of them, so |mean_K - anchor| sqrt(|U|) is what one member brings when the members
 * disagree completely, and more than that when they agree. A radius below it would clip honest members, their clipped mean would be shorter,
 * and the next radius shorter still: half as much again keeps clear of that spiral (docs/decisions.md).
 */
double epoch_radius(const struct sl_node *node)
{
    double radius = node->n_distances ? radius_factor * median_distance(node) : node->config.cohort_radius;
    if (!(radius >= node->config.cohort_radius_min)) radius = node->config.cohort_radius_min;
    return radius <= node->config.cohort_radius_max ? radius : node->config.cohort_radius_max;
}

/* Anchors of unit node lie apart by the noise in what they were merged from, which is known beforehand. */
double epoch_reference_slack(const struct sl_node *node)
{
    if (!epoch_is_experienced(node)) return INFINITY;
    if (node->unit == SL_UNIT_NODE) return 1.5 * privacy_farthest(node, node->config.privacy_cohort_min_size);
    return 1.5 * median_distance(node) + node->config.cohort_radius_min;
}

/*
 * What one member brings, judged by the mean of n_members of them. The differences of all nodes of a settled network sum to nothing, so a cohort
 * that is a large part of the network says less than chance would: the finite-population correction. One that is nearly all of it says nothing; then
 * the start value holds.
 */
static double judge_distance(const struct sl_node *node, double distance, uint32_t n_members)
{
    double n_nodes = sl_view_count_live(&node->view) + 1.0, rest = 1 - n_members / n_nodes, one = distance * sqrt(n_members);
    if (rest >= .25) return one / sqrt(rest);

    double start = node->config.cohort_radius / radius_factor;
    return 2 * one > start ? 2 * one : start;
}

/* An anchor that did not move lately says nothing about distances in the network of today: it is that of a newcomer, or of one who was away. */
static bool anchor_is_stale(const struct sl_node *node)
{
    return node->anchor_epoch == 0 || node->anchor_epoch + DISTANCE_EPOCHS < node->epoch;
}

static void remember_distance(struct sl_node *node, double distance)
{
    if (node->n_distances == DISTANCES_MAX) memmove(node->distances, node->distances + 1, sizeof(struct distance) * --node->n_distances);
    node->distances[node->n_distances++] = (struct distance){.value = distance, .epoch = node->epoch};
}

/* ---- beginning ---- */

static void save_epoch(struct sl_node *node)
{
    uint8_t *bytes = SL_TAKE(&node->out, uint8_t, state_size(node));
    node->epoch_ticket = 0;
    if (!bytes) return;

    state_write(node, bytes);
    node_store(node, SL_STORE_PUT_STATE, bytes, state_size(node), &node->epoch_ticket);
}

static void start_training(struct sl_node *node)
{
    if (node->job) {                                /* a slow device: the job of an earlier epoch still holds the buffer */
        node_trace(node, SL_TRACE_TRAIN_LATE, NULL, 0, 0, SL_OK);
        return;
    }
    memcpy(node->work, node->weights, sizeof(float) * node->dim);
    node->job = ++node->last_job;
    struct sl_job *job = &node->actions.job;
    *job = (struct sl_job){.number = node->job, .type = SL_JOB_TRAIN, .epoch = node->epoch, .weights = node->work, .dim = node->dim};
    sl_rng_bytes(&node->seeds, job->seed, sizeof job->seed);
    node->deadlines[DEADLINE_TRAIN] = node_phase(node, node->config.phase_train);
    node_trace(node, SL_TRACE_TRAINING, NULL, 0, 0, SL_OK);
}

void epoch_begin(struct sl_node *node, uint64_t epoch)
{
    if (node->epoch >= node->first_epoch && epoch > node->epoch) node->counters.epochs_seen++;
    budget_end(node);
    formation_end(node);
    cohort_end(node);
    pull_end(node);
    for (uint32_t i = 0; i < DEADLINE_COUNT; i++) node->deadlines[i] = SL_NEVER;

    node->epoch = epoch;
    node->acting = false;
    node->trained = false;
    node->spent = false;
    node->deadlines[DEADLINE_EPOCH] = (epoch + 1) * node->config.epoch_us;
    node_trace(node, SL_TRACE_EPOCH, NULL, 0, 0, SL_OK);
    if (node_has_left(node)) {                      /* the partners of its last epoch have heard it by now */
        links_close_all(node);
        return;
    }

    size_t mark = node->scratch.used;
    uint32_t *permutation = node->k < node->dim ? SL_TAKE(&node->scratch, uint32_t, node->dim) : NULL;
    node->n_block = sl_block_indices(node->config.network_id, epoch, node->dim, node->k, permutation, node->block);
    node->scratch.used = mark;

    membership_on_epoch(node);
    links_check_clock(node);
    sl_view_turn(&node->view, node->config.network_id, epoch, node->self->id);
    links_close_banned(node);                       /* also those who were of use to the last cohort */
    links_on_epoch(node);
    node->deadlines[DEADLINE_PULL] = node_phase(node, node->config.phase_result);
    node->deadlines[DEADLINE_MERGE] = node_phase(node, node->config.phase_pull);
    if (epoch < node->first_epoch) return;          /* it started in this epoch, or acted in it before: it only listens and pulls */

    save_epoch(node);
    if (!budget_is_private(node)) start_training(node);
}

/* Unit record charges as soon as it is sure that the node may act, unit node when its cohort has agreed on keys. Who cannot train has nothing to say. */
static void act(struct sl_node *node)
{
    if (!budget_may_train(node)) {
        budget_tell(node);
        return;
    }
    if (node->unit == SL_UNIT_RECORD) budget_begin(node);
    formation_begin(node);
}

void epoch_on_stored(struct sl_node *node, uint64_t ticket, int error)
{
    if (budget_on_stored(node, ticket, error) || ticket == 0 || ticket != node->epoch_ticket) return;

    node->epoch_ticket = 0;
    if (error != SL_OK) {
        node_trace(node, SL_TRACE_STORE_FAILED, NULL, 0, 0, error);
        return;
    }
    node->acting = node->epoch >= node->first_epoch;
    if (node->acting) act(node);
}

/* ---- training ---- */

void epoch_on_done(struct sl_node *node, const struct sl_job_result *result)
{
    if (result->number != node->job || node->job == 0) return;

    bool in_time = node->deadlines[DEADLINE_TRAIN] != SL_NEVER;         /* the deadline falls with the epoch it belongs to */
    node->job = 0;
    if (budget_is_private(node)) {
        budget_on_done(node, result);
        return;
    }
    node->deadlines[DEADLINE_TRAIN] = SL_NEVER;
    if (!in_time) return;

    node->counters.last_job = *result;
    int error = result->error != SL_OK ? result->error : sl_vec_finite(node->work, node->dim) ? SL_OK : SL_ERROR_NOT_FINITE;
    if (error != SL_OK) {
        node_trace(node, SL_TRACE_TRAIN_FAILED, NULL, 0, 0, error);
        cohort_on_untrained(node);
        return;
    }
    node->trained = true;
    node->counters.epochs_trained++;
    node_trace(node, SL_TRACE_TRAINED, NULL, result->n_steps, 0, SL_OK);
    cohort_on_trained(node);
}

void epoch_on_train_deadline(struct sl_node *node)
{
    node_trace(node, SL_TRACE_TRAIN_LATE, NULL, 0, 0, SL_OK);
    cohort_on_untrained(node);
}

/* ---- merging ---- */

enum { MERGE_INPUTS_MAX = 2 + PULLS_MAX };

size_t epoch_merge_scratch(const struct sl_node *node)
{
    uint32_t n = node->config.merge_pulls + 2;
    size_t rule = node->config.aggregator ? node->config.aggregator->scratch_size(n, node->k) : 0;
    return sizeof(float) * node->k * (n + 2) + rule + sizeof(float) * n + 64 * (n + 4);
}

static void scatter(const struct sl_node *node, const float *from, float *to)
{
    for (uint32_t j = 0; j < node->n_block; j++) to[node->block[j]] = from[j];
}

/* Decodes one aggregate into scratch and remembers its distance; with a stale anchor the radius its cohort went by counts instead, else a newcomer would
 * measure the way from genesis, refuse everybody by it and be refused. NULL, and nothing taken, when it lies farther off than `farthest`. */
static const float *decode(struct sl_node *node, const struct aggregate *aggregate, double farthest)
{
    size_t before = node->scratch.used;
    float *values = SL_TAKE(&node->scratch, float, node->n_block);
    size_t after = node->scratch.used;
    float *anchor = SL_TAKE(&node->scratch, float, node->n_block);
    assert(values && anchor);           /* epoch_merge_scratch() made room */

    sl_mean_decode(aggregate->bytes, node->n_block, aggregate->bits, aggregate->exponent, values);
    node_gather(node, node->anchor, anchor);
    double distance = sl_vec_distance(values, anchor, node->n_block);
    bool plausible = distance <= farthest;
    node->scratch.used = plausible ? after : before;
    double judged = anchor_is_stale(node) ? aggregate->radius / radius_factor : judge_distance(node, distance, aggregate->n_members);
    if (plausible) remember_distance(node, judged);
    return plausible ? values : NULL;
}

/* With noise the distance of a mean from its reference is known beforehand, nearly; references lie as near to us as the aggregates of late lay. */
static double farthest_of(const struct sl_node *node, const struct aggregate *aggregate, double slack)
{
    if (node->unit == SL_UNIT_NODE) return privacy_farthest(node, aggregate->n_members) + slack;
    return isfinite(slack) ? node->config.cohort_radius_max : INFINITY;
}

/*
 * The complete aggregates of this epoch: the own cohort's and the pulled ones, each with the weight of the members it stands for. One that lies farther off
 * than any sharing radius is absurd, but for a late joiner, who is far from everybody.
 */
static uint32_t collect(struct sl_node *node, struct sl_input *inputs, uint32_t *n_members)
{
    uint32_t n = 0;
    double slack = epoch_reference_slack(node);          /* infinite without experience; of before this merge */
    for (uint32_t i = 0; i < OWN_SLOTS + node->config.merge_pulls; i++) {
        const struct aggregate *aggregate = &node->pulls.slots[i];
        if (!aggregate->complete || aggregate->epoch != node->epoch) continue;
        const float *values = decode(node, aggregate, farthest_of(node, aggregate, slack));
        if (!values) continue;
        inputs[n++] = (struct sl_input){.values = values, .weight = aggregate->n_members};
        *n_members += aggregate->n_members;
    }
    return n;
}

/* The anchor moves by public quantities only: the coordinate-wise median of the aggregates, which needs no parameters and stands one input. */
static void move_anchor(struct sl_node *node, const struct sl_input *inputs, uint32_t n, float *merged)
{
    float column[MERGE_INPUTS_MAX];
    for (uint32_t j = 0; j < node->n_block; j++) {
        for (uint32_t i = 0; i < n; i++) {
            uint32_t at = i;
            for (; at > 0 && column[at - 1] > inputs[i].values[j]; at--) column[at] = column[at - 1];
            column[at] = inputs[i].values[j];
        }
        merged[j] = n % 2 ? column[n / 2] : (column[n / 2 - 1] + column[n / 2]) / 2;
    }
    scatter(node, merged, node->anchor);
    node->anchor_epoch = node->epoch;
}

/* Unit node: the model is public, and is the anchor. */
static void stay_at_anchor(struct sl_node *node)
{
    memcpy(node->anchor, node->weights, sizeof(float) * node->dim);
    node->anchor_epoch = node->epoch;
}

/* As many cohorts as there are at least when all live peers found one: more could be waited for in vain, and for ever. */
static uint32_t cohorts_needed(const struct sl_node *node)
{
    uint32_t there = sl_view_count_live(&node->view) / node->config.cohort_max_size;
    if (there > node->config.merge_needed) there = node->config.merge_needed;
    if (there > node->config.merge_pulls) there = node->config.merge_pulls;         /* no node can do better without a cohort of its own */
    return there > 0 ? there : 1;
}

static void merge(struct sl_node *node, struct sl_input *inputs, uint32_t n, uint32_t n_members)
{
    float *own = SL_TAKE(&node->scratch, float, node->n_block), *merged = SL_TAKE(&node->scratch, float, node->n_block);
    assert(own && merged);              /* epoch_merge_scratch() made room */

    node_gather(node, node->weights, own);
    inputs[n] = (struct sl_input){.values = own, .weight = 1};
    bool has_own = node->unit != SL_UNIT_NODE;          /* there the own model is but the anchor of before */
    struct sl_rule_params rule = node->config.rule;
    int error = node->config.aggregator->combine(inputs, n + has_own, node->n_block, &rule, &node->scratch, merged);
    if (error == SL_OK && !sl_vec_finite(merged, node->n_block)) error = SL_ERROR_NOT_FINITE;
    if (error == SL_OK) {
        scatter(node, merged, node->weights);
        node->counters.epochs_merged++;
        node->last_merge_epoch = node->epoch;
        node_trace(node, SL_TRACE_MERGED, NULL, n, n_members, SL_OK);
    } else {
        node_trace(node, SL_TRACE_NOT_MERGED, NULL, n, cohorts_needed(node), error);
    }
    if (has_own) move_anchor(node, inputs, n, merged);
    else if (error == SL_OK) stay_at_anchor(node);
}

/* With unit node the own model stays the anchor: what this node adds reaches it by the sums of cohorts only. */
static void take_trained(struct sl_node *node)
{
    if (node->unit == SL_UNIT_NODE) return;
    memcpy(node->weights, node->work, sizeof(float) * node->dim);
    if (node->unit == SL_UNIT_RECORD) node->budget.merged = node->budget.ledger.charge.sequence + 1;
}

void epoch_on_merge(struct sl_node *node)
{
    struct sl_input inputs[MERGE_INPUTS_MAX];
    uint32_t n_members = 0, needed = cohorts_needed(node);
    size_t mark = node->scratch.used;

    pull_end(node);
    if (node->trained) take_trained(node);
    uint32_t n = collect(node, inputs, &n_members);
    if (n >= needed) merge(node, inputs, n, n_members);
    else node_trace(node, SL_TRACE_NOT_MERGED, NULL, n, needed, SL_OK);
    node->scratch.used = mark;
}
