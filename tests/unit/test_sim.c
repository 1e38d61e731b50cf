/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cluster.h"
#include "sim/network.h"
#include "sim/pipe.h"
#include "sim/queue.h"
#include "starling/error.h"

/* ---- queue ---- */

Test(queue, gives_back_in_order_of_time_and_then_of_arrival)
{
    struct sl_sim_queue queue = {0};
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){1});
    for (uint32_t i = 0; i < 5000; i++) cr_assert(sl_sim_queue_push(&queue, &(struct sl_sim_entry){.at_us = sl_rng_below(&rng, 100), .a = i}));

    struct sl_sim_entry last = {0};
    for (uint32_t i = 0; i < 5000; i++) {
        struct sl_sim_entry entry = sl_sim_queue_pop(&queue);
        cr_assert(i == 0 || entry.at_us > last.at_us || (entry.at_us == last.at_us && entry.a > last.a));
        last = entry;
    }

    cr_assert_null(sl_sim_queue_first(&queue));
    sl_sim_queue_finish(&queue);
}

/* ---- pipes ---- */

Test(pipe, is_used_again_under_another_generation)
{
    struct sl_pipes pipes = {0};
    uint32_t first = sl_pipes_open(&pipes, 0, 1, 2), generation = pipes.pipes[first].generation;

    sl_pipes_leave(&pipes, first);
    cr_assert_eq(pipes.pipes[first].generation, generation, "the dialler is still there");
    pipes.pipes[first].ends[0].is_open = false;
    sl_pipes_leave(&pipes, first);
    uint32_t second = sl_pipes_open(&pipes, 3, 1, 4);

    cr_assert_eq(second, first);
    cr_assert_neq(pipes.pipes[second].generation, generation);
    sl_pipes_finish(&pipes);
}

Test(pipe, finds_links_by_number)
{
    struct sl_links links = {0};
    for (uint32_t i = 0; i < 100; i++) cr_assert(sl_links_add(&links, 10 * i, i, i & 1));

    sl_links_remove(&links, 500);

    cr_assert_null(sl_links_find(&links, 500));
    cr_assert_eq(sl_links_find(&links, 990)->pipe, 99);
    cr_assert_eq(links.n_links, 99);
    sl_links_finish(&links);
}

/* ---- network ---- */

static struct sl_network network;

static void make_network(void)
{
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){2});
    cr_assert(sl_network_init(&network, 4, 60000000, rng));
}

static void drop_network(void)
{
    sl_network_finish(&network);
}

TestSuite(network, .init = make_network, .fini = drop_network);

Test(network, loses_and_doubles_as_often_as_told)
{
    uint32_t lost = 0, doubled = 0;
    network.loss = .2;
    network.duplicate = .5;
    for (int i = 0; i < 10000; i++) {
        struct sl_fate fate = sl_network_fate(&network, 0, 1);
        lost += fate.n_copies == 0;
        doubled += fate.n_copies == 2;
    }

    cr_assert(lost > 1800 && lost < 2200, "lost %u of 10000", lost);
    cr_assert(doubled > 3700 && doubled < 4300, "doubled %u of 8000", doubled);
}

Test(network, is_the_same_distance_both_ways_and_adds_the_delay)
{
    uint64_t before = sl_network_latency(&network, 1, 3);
    cr_assert_eq(before, sl_network_latency(&network, 3, 1));

    network.delay_us = 40000;

    cr_assert_eq(sl_network_latency(&network, 1, 3), before + 40000);
}

Test(network, parts_groups_and_single_directions_until_it_heals)
{
    network.group[2] = 1;
    cr_assert(sl_network_block_one_way(&network, 0, 1));

    cr_assert(sl_network_is_blocked(&network, 0, 2));
    cr_assert(sl_network_is_blocked(&network, 2, 0));
    cr_assert(sl_network_is_blocked(&network, 0, 1));
    cr_assert_not(sl_network_is_blocked(&network, 1, 0));
    cr_assert_eq(sl_network_fate(&network, 0, 1).n_copies, 0);

    sl_network_heal(&network);
    cr_assert_not(sl_network_is_blocked(&network, 0, 2));
    cr_assert_not(sl_network_is_blocked(&network, 0, 1));
}

/* ---- whole clusters ---- */

static void hash_of(const struct cluster_options *options, double n_epochs, uint8_t out[32])
{
    struct cluster *cluster = cluster_new(options);
    cr_assert_not_null(cluster);
    cr_assert_eq(cluster_run(cluster, n_epochs), SL_OK, "%s", cluster->why);
    sl_sim_hash(cluster->sim, out);
    cluster_destroy(&cluster);
}

static const char storm[] = "at 0s loss 0.1\nat 0s duplicate 0.2\nat 0s reorder 0.2\nat 0s store-fail 0.05\nat 1e churn 0.2\n";

Test(sim, repeats_a_run_from_its_seed_and_only_from_it)
{
    struct cluster_options options = {.n_nodes = 9, .seed = 5, .scenario = storm, .hash = true};
    uint8_t first[32], second[32], other[32];
    hash_of(&options, 5, first);
    hash_of(&options, 5, second);
    options.seed = 6;
    hash_of(&options, 5, other);

    cr_assert(sl_hash_equal(first, second));
    cr_assert_not(sl_hash_equal(first, other));
}

Test(sim, runs_on_in_pieces_as_in_one_go)
{
    struct cluster_options options = {.n_nodes = 5, .seed = 1, .hash = true};
    uint8_t whole[32], pieces[32];
    hash_of(&options, 4, whole);

    struct cluster *cluster = cluster_new(&options);
    for (int i = 0; i < 40; i++) cr_assert_eq(cluster_run(cluster, .1), SL_OK, "%s", cluster->why);
    sl_sim_hash(cluster->sim, pieces);

    cr_assert(sl_hash_equal(whole, pieces));
    cluster_destroy(&cluster);
}

Test(sim, lets_a_calm_cluster_learn_together)
{
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 8, .seed = 2, .step = .05});
    cr_assert_eq(cluster_run(cluster, 80), SL_OK, "%s", cluster->why);

    cr_assert_lt(cluster_error(cluster), .3, "far from the common optimum: %g of the spread", cluster_error(cluster));
    struct sl_sim_counts counts = sl_sim_counts(cluster->sim);
    cr_assert_gt(counts.checked_aggregates, 200, "aggregates must have been compared with the plain mean");
    cr_assert_eq(counts.cohorts_formed, counts.cohorts_completed);
    cluster_destroy(&cluster);
}

static uint64_t merged_epochs(const struct cluster *cluster, uint32_t node)
{
    struct sl_status status;
    sl_sim_status(cluster->sim, node, &status);
    return status.epochs_merged;
}

Test(sim, keeps_the_parts_of_a_split_network_apart)
{
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 6, .seed = 3, .scenario = "at 0s partition 0-3/4-5\n"});
    cr_assert_eq(cluster_run(cluster, 8), SL_OK, "%s", cluster->why);

    cr_assert_gt(merged_epochs(cluster, 0), 3, "four nodes are enough for a cohort");
    cr_assert_eq(merged_epochs(cluster, 5), 0, "two are not");
    cluster_destroy(&cluster);
}

Test(sim, starts_late_nodes_late_and_lets_them_catch_up)
{
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 6, .seed = 4, .scenario = "at 3e join 5\n"});

    cr_assert_eq(cluster_run(cluster, 2.5), SL_OK, "%s", cluster->why);
    cr_assert_null(sl_sim_node(cluster->sim, 5));
    cr_assert_eq(cluster_run(cluster, 10), SL_OK, "%s", cluster->why);

    cr_assert_not_null(sl_sim_node(cluster->sim, 5));
    cr_assert_gt(merged_epochs(cluster, 5), 0);
    cluster_destroy(&cluster);
}

Test(sim, sums_counters_over_crashes)
{
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 6, .seed = 4, .scenario = "at 3.5e crash 2 for 0.1e\nat 6.5e crash 2\n"});
    cr_assert_eq(cluster_run(cluster, 3.4), SL_OK, "%s", cluster->why);
    struct sl_status before, between, after;
    sl_sim_status(cluster->sim, 2, &before);
    cr_assert_eq(cluster_run(cluster, 3), SL_OK, "%s", cluster->why);
    sl_sim_status(cluster->sim, 2, &between);
    cr_assert_eq(cluster_run(cluster, 1), SL_OK, "%s", cluster->why);
    sl_sim_status(cluster->sim, 2, &after);

    cr_assert_gt(between.bytes_sent, before.bytes_sent);
    cr_assert_geq(after.bytes_sent, between.bytes_sent);
    cr_assert_null(sl_sim_weights(cluster->sim, 2), "it is down");
    cr_assert_eq(sl_sim_counts(cluster->sim).crashes, 2);
    cluster_destroy(&cluster);
}

Test(sim, gives_large_networks_symmetric_views_that_leave_nobody_out)
{
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 40, .seed = 7, .settings = {"view.size=16"}});
    cr_assert_eq(cluster_run(cluster, 6), SL_OK, "%s", cluster->why);

    for (uint32_t i = 0; i < 40; i++) {
        struct sl_status status;
        sl_sim_status(cluster->sim, i, &status);
        cr_assert(status.peers_known > 0 && status.peers_known <= 16, "n%u knows %u", i, status.peers_known);
    }
    cluster_destroy(&cluster);
}

Test(sim, tells_a_node_by_its_identity)
{
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 20, .seed = 8});

    for (uint32_t i = 0; i < 20; i++) cr_assert_eq(sl_sim_find(cluster->sim, sl_sim_identity(cluster->sim, i)->id), i);
    cr_assert_eq(sl_sim_find(cluster->sim, (const uint8_t[32]){1, 2, 3}), UINT32_MAX);
    cluster_destroy(&cluster);
}

Test(sim, refuses_a_shape_that_does_not_suit_the_model)
{
    struct sl_config config;
    char why[200] = "";
    sl_config_init(&config);
    struct sl_sim_options options = {.n_nodes = 2, .config = &config, .model = &sl_model_stub};

    cr_assert_null(sl_sim_new(&options, why, sizeof why));
    cr_assert(strstr(why, "stub"), "%s", why);
}

static size_t size_with(const char *const settings[], uint32_t dim)
{
    char key[64], why[200] = "";
    struct sl_config config;
    sl_config_init(&config);
    sl_config_set(&config, "privacy.unit", "off", NULL, 0);
    for (uint32_t i = 0; settings[i]; i++) {
        size_t size = strcspn(settings[i], "=");
        snprintf(key, sizeof key, "%.*s", (int)size, settings[i]);
        cr_assert_eq(sl_config_set(&config, key, settings[i] + size + 1, why, sizeof why), SL_OK, "%s", why);
    }
    config.shape = (struct sl_shape){.n_features = dim, .n_outputs = 1};
    return sl_node_size(&config, &sl_model_stub);
}

/* 650 weights: ten classes from 64 inputs. */
Test(sim, needs_little_memory_for_a_node)
{
    const size_t whole = size_with((const char *const[]){NULL}, 650);
    const size_t small = size_with((const char *const[]){"view.size=64", "link.max=16", "outbox.size=16", "merge.pulls=3", "book.new=256",
                                                               "book.tried=64", NULL}, 650);
    fprintf(stderr, "a node of 650 weights: %zu bytes with default options, %zu with small tables\n", whole, small);

    cr_assert_leq(whole, 7 << 19, "%zu bytes, of which much is touched only as book and claims fill", whole);
    cr_assert_leq(small, 9 << 17, "%zu bytes, of which a cohort's session has 170 KB", small);
}

/* ---- stub ---- */

Test(stub, walks_its_share_of_the_way)
{
    struct sl_stub stub;
    float weights[4] = {0};
    cr_assert(sl_stub_init(&stub, 4, .5, 1, 0));
    struct sl_trainer trainer = sl_stub_trainer(&stub);
    struct sl_job job = {.number = 1, .type = SL_JOB_TRAIN, .weights = weights, .dim = 4};
    struct sl_job_result result;

    trainer.run(trainer.context, &job, &result);

    for (int j = 0; j < 4; j++) cr_assert_float_eq(weights[j], stub.optimum[j] / 2, 1e-7);
    cr_assert_eq(result.number, 1);
    cr_assert_gt(result.loss, 0);
    sl_stub_finish(&stub);
}

Test(stub, has_a_gradient_that_fits_its_loss)
{
    const struct sl_shape shape = {.n_features = 3, .n_outputs = 1};
    const float optima[6] = {1, 0, 2, 3, -2, 0};
    const struct sl_batch batch = {.features = optima, .n_rows = 2, .n_features = 3};
    float weights[3] = {.5f, 1, -1}, gradient[3], ignored[3];
    double base = sl_model_stub.gradient(&shape, weights, &batch, NULL, gradient);

    for (int j = 0; j < 3; j++) {
        float moved[3] = {weights[0], weights[1], weights[2]};
        moved[j] += 1e-3f;
        double slope = (sl_model_stub.gradient(&shape, moved, &batch, NULL, ignored) - base) / 1e-3;
        cr_assert_float_eq(slope, gradient[j], 2e-3);
    }
}
