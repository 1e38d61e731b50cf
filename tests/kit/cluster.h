/* SPDX-License-Identifier: MIT */
#ifndef KIT_CLUSTER_H
#define KIT_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/sim.h"
#include "sim/stub.h"

/*
 * A simulated cluster of stub nodes in three lines:
 *
 *     struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 5, .seed = 1});
 *     cr_assert_eq(cluster_run(cluster, 10), SL_OK, "%s", cluster->why);
 *     cluster_destroy(&cluster);
 */
struct cluster_options {
    uint32_t n_nodes;
    uint64_t seed;
    uint32_t n_seeds;                        /* nodes know only the first n_seeds nodes; 0: everybody */
    uint32_t dim;                            /* 0: 16 */
    double step;                             /* share of the way to its optimum a node walks per epoch; 0: 0.02 */
    const char *scenario;                    /* text, or NULL */
    const char *settings[16];                /* "key=value", up to the first NULL */
    bool hash;
    void (*listen)(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event);
    void *listen_context;
};

struct cluster {
    uint32_t n_nodes, dim;
    struct sl_config config;
    struct sl_scenario scenario;
    struct sl_stub *stubs;
    struct sl_trainer *trainers;
    struct sl_sim *sim;
    char why[512];                           /* what went wrong, also an invariant that broke */
};

/* NULL, with the reason on stderr, when the options do not suit. */
struct cluster *cluster_new(const struct cluster_options *options);
void cluster_destroy(struct cluster **cluster);

/* Goes on for so many epochs. SL_OK, or an error with a sentence in `why`. */
int cluster_run(struct cluster *cluster, double n_epochs);

/* The largest distance of a running node's weights from their mean, relative to the same measure of the optima. `takes_part` (n_nodes) may be NULL: all. */
double cluster_disagreement(const struct cluster *cluster, const bool *takes_part);

/* Largest distance, among the nodes that run, of the weights from the mean of all optima, relative to the spread of the optima. */
double cluster_error(const struct cluster *cluster);

#endif
