/* SPDX-License-Identifier: MIT */
/* What becomes of the model when aggregates come in, and how a node explains that nothing does. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cluster.h"
#include "puppet.h"
#include "share/quantise.h"
#include "starling/error.h"

enum { DIM = 16, SCALE = 12 };       /* aggregates in steps of 2^-12 */

static struct stage *stage;

static void open_stage(const char *rule, const char *setting)
{
    char text[64];
    snprintf(text, sizeof text, "merge.rule=%s", rule);
    stage = stage_new(&(struct stage_options){.n_puppets = 24, .seed = 1, .settings = {text, setting}});
    for (uint32_t i = 0; i < 24; i++) stage->refuses[i] = true;          /* nobody answers: only what a test puts in counts */
    stage->holds_jobs = true;                                            /* and nothing is trained */
    stage_start(stage);
    stage_to_phase(stage, .9);
}

static void drop_stage(void)
{
    stage_destroy(&stage);
}

TestSuite(merge, .fini = drop_stage);

/* A complete aggregate of n members, all coordinates equal to `value`. */
static void put_aggregate_of(uint32_t index, double value, uint32_t n_members)
{
    struct aggregate *slot = pull_slot(stage->node, index);
    uint8_t ref[2 * DIM] = {0};
    uint32_t sum[DIM];
    for (int j = 0; j < DIM; j++) sum[j] = (uint32_t)(int32_t)lrint(4 * value * (1 << SCALE));
    slot->used = slot->complete = true;
    slot->epoch = stage_epoch(stage);
    slot->n_members = n_members;
    slot->n_values = DIM;
    slot->bits = stage->config.aggregate_bits;
    sl_mean_encode(ref, 0, sum, 4, SCALE, DIM, slot->bits, slot->bytes, &slot->exponent);
}

static void put_aggregate(uint32_t index, double value)
{
    put_aggregate_of(index, value, 1);
}

static void set_own(float value)
{
    for (int j = 0; j < DIM; j++) stage->node->weights[j] = value;
}

static void expect_weights(double value, const char *what)
{
    for (int j = 0; j < DIM; j++) cr_assert_float_eq(stage->node->weights[j], value, 1e-3, "%s: %g, not %g", what, (double)stage->node->weights[j], value);
}

static void expect_anchor(double value)
{
    for (int j = 0; j < DIM; j++) cr_assert_float_eq(stage->node->anchor[j], value, 1e-3, "anchor %g, not %g", (double)stage->node->anchor[j], value);
}

static void merge_four(double a, double b, double c, double d)
{
    put_aggregate(0, a);
    put_aggregate(1, b);
    put_aggregate(2, c);
    put_aggregate(3, d);
    stage_to_phase(stage, .98);
}

Test(merge, mean_is_the_mean_of_own_model_and_aggregates)
{
    open_stage("mean", NULL);
    set_own(1);
    merge_four(2, 3, 4, 10);

    expect_weights(4, "mean");
    expect_anchor(3.5);
    cr_assert_eq(stage_status(stage).epochs_merged, 1);
    cr_assert_eq(stage->told[SL_TRACE_MERGED].last.a, 4);
    cr_assert_eq(stage->told[SL_TRACE_MERGED].last.b, 4);
}

Test(merge, an_aggregate_weighs_as_much_as_the_members_it_stands_for)
{
    open_stage("mean", NULL);
    set_own(1);
    for (uint32_t i = 0; i < 4; i++) put_aggregate_of(i, 3, 5);
    stage_to_phase(stage, .98);

    expect_weights((1 + 4 * 5 * 3) / 21.0, "own model 1, each aggregate 5");
}

Test(merge, median_does_not_follow_one_liar)
{
    open_stage("median", NULL);
    set_own(1);
    merge_four(2, 3, 4, 100);

    expect_weights(3, "median");
    expect_anchor(3.5);
}

Test(merge, trimmed_mean_drops_both_ends)
{
    open_stage("trmean", NULL);
    set_own(1);
    merge_four(2, 3, 4, -100);

    expect_weights(2, "trmean");
}

Test(merge, geometric_median_stays_with_the_many)
{
    open_stage("geomed", NULL);
    set_own(3);
    merge_four(3, 3, 3, 1000);

    for (int j = 0; j < DIM; j++) cr_assert(fabs((double)stage->node->weights[j] - 3) < 2, "%g", (double)stage->node->weights[j]);
}

Test(merge, leaves_the_model_alone_when_the_rule_refuses_and_moves_the_anchor)
{
    open_stage("trmean", "merge.faulty=3");
    set_own(1);
    merge_four(2, 3, 4, 5);

    expect_weights(1, "untouched");
    expect_anchor(3.5);
    cr_assert_eq(stage_status(stage).epochs_merged, 0);
    cr_assert_eq(stage->told[SL_TRACE_NOT_MERGED].last.error, SL_ERROR_TOO_FEW);
}

Test(merge, needs_as_many_cohorts_as_the_network_has_at_least)
{
    open_stage("mean", NULL);
    for (uint32_t i = 0; i < stage->node->view.n_peers; i++) stage->node->view.peers[i].misses = 0;
    set_own(1);
    put_aggregate(0, 2);
    stage_to_phase(stage, .98);

    cr_assert_geq(stage_status(stage).peers_live / stage->config.cohort_max_size, 2);
    expect_weights(1, "one where more are needed");
    cr_assert_eq(stage->told[SL_TRACE_NOT_MERGED].last.a, 1);
    cr_assert_eq(stage->told[SL_TRACE_NOT_MERGED].last.b, stage_status(stage).peers_live / stage->config.cohort_max_size);
}

Test(merge, needs_one_cohort_where_few_peers_live)
{
    open_stage("mean", NULL);
    for (uint32_t i = 5; i < stage->node->view.n_peers; i++) stage->node->view.peers[i].misses = SL_VIEW_MISSES_DEAD;
    set_own(1);
    put_aggregate(0, 2);
    stage_to_phase(stage, .98);

    expect_weights(1.5, "one is all there can be");
}

Test(merge, counts_no_aggregate_of_another_epoch_or_an_incomplete_one)
{
    open_stage("mean", NULL);
    for (uint32_t i = 5; i < stage->node->view.n_peers; i++) stage->node->view.peers[i].misses = SL_VIEW_MISSES_DEAD;
    set_own(1);
    put_aggregate(0, 2);
    pull_slot(stage->node, 0)->epoch--;
    put_aggregate(1, 2);
    pull_slot(stage->node, 1)->complete = false;
    stage_to_phase(stage, .98);

    expect_weights(1, "nothing that counts");
}

static void give_experience(void)
{
    stage->node->distances[stage->node->n_distances++] = (struct distance){.value = 4, .epoch = stage_epoch(stage) - 1};
}

Test(merge, leaves_an_absurd_aggregate_out_wherever_it_stands)
{
    open_stage("mean", NULL);
    set_own(1);
    give_experience();
    put_aggregate(4, 10);
    merge_four(1e6, 2, 3, 4);

    expect_weights(4, "four plausible ones and the own model");
    expect_anchor(3.5);
    cr_assert_eq(stage->told[SL_TRACE_MERGED].last.a, 4);
}

Test(merge, counts_every_far_aggregate_while_it_has_seen_none_lately)
{
    open_stage("mean", NULL);
    set_own(1);
    merge_four(500, 500, 500, 500);                      /* 2000 away: farther than cohort.radius_max */

    expect_weights((1 + 4 * 500) / 5.0, "a late joiner is far from everybody");
    expect_anchor(500);
    cr_assert_eq(stage->told[SL_TRACE_MERGED].last.a, 4, "the first one must not make the others absurd");
}

Test(merge, counts_far_aggregates_again_when_its_experience_is_old)
{
    open_stage("mean", NULL);
    give_experience();
    stage->node->distances[0].epoch = stage_epoch(stage) - DISTANCE_EPOCHS - 1;
    set_own(1);
    merge_four(500, 500, 500, 500);

    cr_assert_eq(stage->told[SL_TRACE_MERGED].last.a, 4);
}

Test(merge, takes_the_training_result_even_when_nothing_else_comes)
{
    open_stage("mean", NULL);
    stage->holds_jobs = false;
    stage_next_epoch(stage);
    float before = stage->node->weights[0];
    stage_to_phase(stage, .98);

    cr_assert_float_eq(stage->node->weights[0], before + .05 * ((double)stage->stub.optimum[0] - before), 1e-6);
    cr_assert_eq(stage->told[SL_TRACE_NOT_MERGED].n, 2);
}

Test(merge, keeps_the_model_of_before_when_training_failed)
{
    open_stage("mean", NULL);
    stage_next_epoch(stage);
    float before = stage->node->weights[0];
    stage_finish_job(stage, SL_ERROR_IO);
    stage_to_phase(stage, .98);

    cr_assert_eq(stage->node->weights[0], before);
}

Test(merge, lends_no_second_job_while_one_is_out)
{
    open_stage("mean", NULL);
    stage->n_jobs = 0;
    stage_next_epoch(stage);
    uint32_t n_after_first = stage->n_jobs;
    stage_next_epoch(stage);
    stage_next_epoch(stage);

    cr_assert_leq(n_after_first, 1);
    cr_assert_eq(stage->n_jobs, n_after_first);
    cr_assert_gt(stage->told[SL_TRACE_TRAIN_LATE].n, 1);

    stage_finish_job(stage, SL_OK);
    stage_next_epoch(stage);
    cr_assert_eq(stage->n_jobs, n_after_first + 1);
}

Test(merge, estimates_the_radius_from_aggregates_within_the_limits)
{
    open_stage("mean", NULL);
    cr_assert_float_eq(stage_status(stage).sharing_radius, 8, 1e-12, "cohort.radius before the first aggregate");
    for (int j = 0; j < DIM; j++) stage->node->anchor[j] = 0;
    stage->node->anchor_epoch = stage_epoch(stage);
    merge_four(1, 1, 1, 1);
    double n_nodes = stage_status(stage).peers_live + 1.0;
    cr_assert_float_eq(stage_status(stage).sharing_radius, 1.5 * sqrt(DIM) / sqrt(1 - 1 / n_nodes), 1e-2);

    stage_next_epoch(stage);
    stage_to_phase(stage, .9);
    for (int j = 0; j < DIM; j++) stage->node->anchor[j] = 1e9f;
    for (int i = 0; i < 6; i++) put_aggregate((uint32_t)i, 1);
    stage_to_phase(stage, .98);
    cr_assert_leq(stage_status(stage).sharing_radius, 1000, "cohort.radius_max");
}

Test(merge, keeps_the_start_radius_where_one_cohort_is_nearly_the_whole_network)
{
    open_stage("mean", NULL);
    for (uint32_t i = 1; i < stage->node->view.n_peers; i++) stage->node->view.peers[i].misses = SL_VIEW_MISSES_DEAD;
    stage_to_phase(stage, .9);
    memcpy(stage->node->anchor, (float[DIM]){0}, sizeof(float[DIM]));
    stage->node->anchor_epoch = stage_epoch(stage);
    put_aggregate(0, 0);
    stage->node->pulls.slots[OWN_SLOTS].n_members = 2;

    stage_to_phase(stage, .98);

    cr_assert_float_eq(stage_status(stage).sharing_radius, stage->config.cohort_radius, 1e-9, "a mean that stands still says nothing of its members");
}

Test(merge, goes_by_the_radius_of_others_while_its_own_anchor_is_old)
{
    open_stage("mean", NULL);
    stage_to_phase(stage, .9);
    for (int j = 0; j < DIM; j++) stage->node->anchor[j] = 1e3f;         /* a newcomer's genesis, far from where the network is */
    put_aggregate(0, 1);
    stage->node->pulls.slots[OWN_SLOTS].radius = 3;
    cr_assert_eq(stage->node->anchor_epoch, 0);

    stage_to_phase(stage, .98);

    cr_assert_float_eq(stage_status(stage).sharing_radius, 3, 1e-9);
}

Test(merge, takes_the_lower_middle_distance_for_its_radius)
{
    static const struct { uint32_t n; double values[4], middle; } cases[] = {
        {1, {3}, 3}, {2, {900, 3}, 3}, {3, {900, 2, 3}, 3}, {4, {900, 2, 800, 3}, 3}, {4, {2, 3, 3.5, 900}, 3}};
    open_stage("mean", NULL);
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stage->node->n_distances = cases[i].n;
        for (uint32_t j = 0; j < cases[i].n; j++) stage->node->distances[j] = (struct distance){cases[i].values[j], stage_epoch(stage)};

        cr_assert_float_eq(epoch_radius(stage->node), 1.5 * cases[i].middle, 1e-9, "case %u: as many absurd distances as honest ones", i);
        cr_assert_float_eq(epoch_reference_slack(stage->node), 1.5 * cases[i].middle + stage->config.cohort_radius_min, 1e-9, "case %u", i);
    }
}

/* ---- reasons ---- */

Test(merge, says_in_words_why_nothing_moves)
{
    open_stage("mean", NULL);
    for (int i = 0; i < 4; i++) stage_next_epoch(stage);
    cr_assert_not(stage_status(stage).stalled, "a few epochs are nothing yet");
    for (int i = 0; i < 3; i++) stage_next_epoch(stage);

    struct sl_status status = stage_status(stage);
    char expected[SL_REASON_MAX];
    snprintf(expected, sizeof expected, "nothing merged for 7 epochs: %u peers reachable, 3 needed for a cohort", status.peers_live);
    cr_assert(status.stalled);
    cr_assert_str_eq(status.reason, expected);
}

Test(merge, tells_once_that_nothing_moves_when_the_status_first_says_so)
{
    open_stage("mean", NULL);
    for (int i = 0; i < 12; i++) {
        stage_next_epoch(stage);
        cr_assert_eq(stage->told[SL_TRACE_STALLED].n, stage_status(stage).stalled, "epoch %d", i);
    }
    cr_assert_eq(stage->told[SL_TRACE_STALLED].n, 1);
    cr_assert_gt(stage->told[SL_TRACE_STALLED].last.a, 4, "epochs without a merge");
    cr_assert_leq(stage->told[SL_TRACE_STALLED].last.b, 24, "peers reachable");
}

Test(merge, is_content_again_after_the_next_merge)
{
    open_stage("mean", NULL);
    for (int i = 0; i < 7; i++) stage_next_epoch(stage);
    cr_assert(stage_status(stage).stalled);
    for (uint32_t i = 0; i < stage->node->view.n_peers; i++) stage->node->view.peers[i].misses = SL_VIEW_MISSES_DEAD;
    stage_to_phase(stage, .9);
    put_aggregate(0, 1);
    stage_to_phase(stage, .98);

    cr_assert_not(stage_status(stage).stalled);
    cr_assert_eq(stage_status(stage).reason[0], 0);

    for (int i = 0; i < 7; i++) stage_next_epoch(stage);
    cr_assert_eq(stage->told[SL_TRACE_STALLED].n, 2, "and tells it again when it stalls again");
}

Test(merge_of_cores, brings_all_rules_to_agreement)
{
    const char *const rules[] = {"merge.rule=mean", "merge.rule=median", "merge.rule=trmean", "merge.rule=geomed"};
    for (int i = 0; i < 4; i++) {
        struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 20, .seed = 4, .step = .2, .settings = {rules[i]}});
        cr_assert_eq(cluster_run(cluster, 25), SL_OK, "%s", cluster->why);
        double error = cluster_error(cluster);
        cr_assert(isfinite(error) && error < .6, "%s: %g of the spread away from the common optimum", rules[i], error);
        cluster_destroy(&cluster);
    }
}
