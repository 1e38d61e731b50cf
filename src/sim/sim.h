/* SPDX-License-Identifier: MIT */
#ifndef SL_SIM_SIM_H
#define SL_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/tap.h"
#include "sim/checker.h"
#include "sim/scenario.h"
#include "starling/config.h"
#include "starling/model.h"
#include "starling/node.h"
#include "starling/status.h"
#include "starling/trace.h"
#include "starling/trainer.h"

/*
 * The simulator: any number of real cores in one process, under a virtual clock, with network, disks, crashes and training jobs that all follow from one
 * 64-bit seed. Same seed and options, same run: the trace hash proves it. Time counts from the beginning, which is the start of an epoch; nodes start
 * within the first twentieth of it and act from epoch 1 on.
 */
struct sl_sim_options {
    uint64_t seed;
    uint32_t n_nodes;                        /* 1 .. 16777216 */
    const struct sl_config *config;          /* of every node; identity, peers, name and trace are filled in. Must outlive the simulator */
    const struct sl_model *model;
    struct sl_trainer *trainers;             /* n_nodes; stay with the caller */
    const struct sl_scenario *scenario;      /* or NULL; must outlive the simulator */
    uint32_t n_seeds;                        /* nodes know only the first n_seeds, by address and transport key; 0: everybody, from a prepared list */
    uint64_t train_us;                       /* mean length of a training job; 0: a tenth of the epoch */
    bool check;                              /* look for violations after every step */
    bool hash;                               /* hash every trace event and frame */
    const struct sl_tap *taps;               /* n_nodes, or NULL: none; empty functions where there is none. A node whose actions are
                                              * changed is not checked */
    uint64_t (*stopwatch_ns)(void);          /* measures the real time of steps and jobs; NULL: not measured */

    /* Hears every trace event; now_us counts from the beginning. May be NULL. */
    void (*listen)(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event);
    void *listen_context;
};

struct sl_sim;

/* The operator of a simulated network: its public key belongs into the configuration before the network's id is computed. */
void sl_sim_operator(uint64_t seed, uint8_t public_key[32], uint8_t secret[64]);

/* The generator of the seeds of a node's training jobs, one after another, in its first incarnation: for drivers that train without a network. */
struct sl_rng sl_sim_job_seeds(uint64_t seed, uint32_t node);

/* NULL with a sentence in `why`: memory is short, or the model does not suit the shape. */
struct sl_sim *sl_sim_new(const struct sl_sim_options *options, char *why, size_t why_size);
void sl_sim_destroy(struct sl_sim **sim);

/* Goes on until `until_us` (since the beginning). SL_ERROR_MISMATCH: an invariant broke, see sl_sim_violation(); SL_ERROR_NO_MEMORY. Both are final. */
int sl_sim_run(struct sl_sim *sim, uint64_t until_us);

uint64_t sl_sim_now(const struct sl_sim *sim);                   /* since the beginning */
const char *sl_sim_violation(const struct sl_sim *sim);          /* "n3 at 12.000s: ...", or NULL */
void sl_sim_hash(const struct sl_sim *sim, uint8_t out[32]);

/* One line of the story, "[ 12.000s] n3 epoch 4: training", without an end of line; epochs count from the beginning. */
void sl_sim_story(const struct sl_sim *sim, uint32_t node, uint64_t now_us, const struct sl_trace_event *event, char *out, size_t size);

uint32_t sl_sim_find(const struct sl_sim *sim, const uint8_t id[32]);        /* node of an identity, UINT32_MAX if there is none */
const struct sl_node *sl_sim_node(const struct sl_sim *sim, uint32_t node);  /* NULL while it is down */
const struct sl_identity *sl_sim_identity(const struct sl_sim *sim, uint32_t node);

/* The node's last weights in this incarnation; NULL while it is down. Valid until the next run. */
const float *sl_sim_weights(const struct sl_sim *sim, uint32_t node);

/* Status with counters summed over all incarnations. While it is down the rest is as it was. */
void sl_sim_status(const struct sl_sim *sim, uint32_t node, struct sl_status *out);

uint64_t sl_sim_last_merge(const struct sl_sim *sim, uint32_t node);         /* time of its last merge since the beginning; 0 none */
uint64_t sl_sim_busy_ns(const struct sl_sim *sim, uint32_t node);            /* real time in its steps and jobs */

struct sl_sim_counts {
    uint64_t events;                         /* carried out */
    uint64_t steps, frames, frames_lost, bytes;
    uint64_t cohorts_formed, cohorts_completed;      /* distinct rosters, and those of them that gave an aggregate */
    uint64_t crashes, stores, stores_failed;
    uint64_t checked_aggregates, skipped_aggregates;         /* compared with the plain mean of the members' vectors, once at each member; not comparable */
};
struct sl_sim_counts sl_sim_counts(const struct sl_sim *sim);

#endif
