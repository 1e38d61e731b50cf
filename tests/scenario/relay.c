/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cluster.h"
#include "starling/error.h"

/*
 * relay: networks of five nodes, of whom 0 and 1 cannot reach each other from the first rosters on: every frame between them is lost, messages and chunks of
 * vectors alike. Where a third node is the initiator it passes on what they miss, and both stand in the sum of all five. The checker compares each sum with
 * the plain one.
 */
enum { N_NODES = 5, N_RUNS = 20, DIM_AUDITED = 5000 };

/* Frames take 20 ms, so that the cut comes between ROSTER and SHARES. */
static const char scenario[] = "at 0s delay 20ms\nat 1.015e one-way 0 1\nat 1.015e one-way 1 0\n";

struct tally {
    const struct cluster *cluster;
    uint32_t initiator;              /* of a roster of five; UINT32_MAX: none */
    int64_t members[2];              /* of the aggregate at nodes 0 and 1 */
    bool is_told;
};

static void hear(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event)
{
    struct tally *tally = context;
    char line[256];
    if (tally->is_told) {
        sl_sim_story(tally->cluster->sim, node, now_us, event, line, sizeof line);
        puts(line);
    }
    if (event->type == SL_TRACE_ROSTER && event->a == N_NODES) tally->initiator = sl_sim_find(tally->cluster->sim, event->peer);
    if (event->type == SL_TRACE_AGGREGATE && node <= 1) tally->members[node] = event->a;
}

/* One cohort. False when something is wrong with it. */
static bool play(uint64_t seed, uint32_t dim, bool is_told, uint32_t *n_relayed, uint32_t *n_complete)
{
    struct tally tally = {.initiator = UINT32_MAX, .is_told = is_told};
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = N_NODES, .seed = seed, .dim = dim, .scenario = scenario,
                                                                     .settings = {"epoch.length=10s"}, .listen = hear, .listen_context = &tally});
    if (!cluster) return false;

    tally.cluster = cluster;
    int error = cluster_run(cluster, 2);
    bool is_relayed = tally.initiator > 1 && tally.initiator < N_NODES;
    bool is_complete = is_relayed && tally.members[0] == N_NODES && tally.members[1] == N_NODES;
    *n_relayed += is_relayed;
    *n_complete += is_complete;
    if (error != SL_OK) puts(cluster->why);
    if (is_relayed && !is_complete)
        printf("seed %" PRIu64 ", dim %" PRIu32 ": initiator %" PRIu32 ", members at node 0 %" PRId64 ", at node 1 %" PRId64 "\n", seed, dim, tally.initiator,
               tally.members[0], tally.members[1]);
    cluster_destroy(&cluster);
    return error == SL_OK;
}

int main(int argc, char **argv)
{
    static const uint32_t dims[] = {16, DIM_AUDITED};
    bool is_told = argc > 1 && strcmp(argv[1], "-v") == 0, is_fine = true;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t n_relayed = 0, n_complete = 0;
        for (uint64_t seed = 1; seed <= N_RUNS; seed++) is_fine &= play(seed, dims[i], is_told, &n_relayed, &n_complete);
        printf("dim %" PRIu32 ": in %" PRIu32 " cohorts a third is the initiator, and %" PRIu32 " of them have a sum of all five\n", dims[i],
               n_relayed, n_complete);
        is_fine &= n_relayed >= N_RUNS / 4 && n_complete == n_relayed;
    }
    return is_fine ? 0 : 1;
}
