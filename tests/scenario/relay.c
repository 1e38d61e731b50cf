/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "cluster.h"
#include "starling/error.h"

/*
 * relay: five nodes, of whom 0 and 1 cannot reach each other: after the rosters of each epoch are made, every frame between them is lost, messages and chunks
 * of vectors alike. Wherever a third node is the initiator it passes on what they miss, and both stand in the sum of all five. The checker compares each sum
 * with the plain one.
 */
enum { N_NODES = 5, N_EPOCHS = 16, SCENARIO_SIZE = 8192 };

struct tally {
    const struct cluster *cluster;
    uint32_t initiator[N_EPOCHS + 4];        /* as node 0 saw it; UINT32_MAX: none */
    int64_t members[N_EPOCHS + 4][2];        /* of the aggregate at nodes 0 and 1 */
    uint64_t first;
    bool is_told;
};

static void hear(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event)
{
    struct tally *tally = context;
    char line[256];
    sl_sim_story(tally->cluster->sim, node, now_us, event, line, sizeof line);
    if (tally->is_told) puts(line);

    uint64_t epoch = now_us / tally->cluster->config.epoch_us;
    if (node > 1 || epoch >= N_EPOCHS + 4) return;
    if (event->type == SL_TRACE_ROSTER && event->a == N_NODES) tally->initiator[epoch] = sl_sim_find(tally->cluster->sim, event->peer);
    if (event->type == SL_TRACE_AGGREGATE) tally->members[epoch][node] = event->a;
}

/* Frames take 20 ms, so that the cut comes between ROSTER and SHARES. */
static void write_scenario(char *text)
{
    size_t length = (size_t)snprintf(text, SCENARIO_SIZE, "at 0s delay 20ms\n");
    for (int epoch = 1; epoch <= N_EPOCHS; epoch++)
        length += (size_t)snprintf(text + length, SCENARIO_SIZE - length, "at %d.015e one-way 0 1\nat %d.015e one-way 1 0\nat %d.97e heal\n",
                                   epoch, epoch, epoch);
}

static int play(uint32_t dim, bool is_told)
{
    static char scenario[SCENARIO_SIZE];
    struct tally tally = {.is_told = is_told};
    for (uint32_t i = 0; i < N_EPOCHS + 4; i++) tally.initiator[i] = UINT32_MAX;
    write_scenario(scenario);
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = N_NODES, .seed = 3, .dim = dim, .scenario = scenario,
                                                                     .settings = {"epoch.length=10s"}, .listen = hear, .listen_context = &tally});
    if (!cluster) return 1;

    tally.cluster = cluster;
    int error = cluster_run(cluster, N_EPOCHS + 1);
    uint32_t n_relayed = 0, n_complete = 0;
    for (uint32_t i = 1; i <= N_EPOCHS; i++) {
        bool is_relayed = tally.initiator[i] > 1 && tally.initiator[i] < N_NODES;
        n_relayed += is_relayed;
        n_complete += is_relayed && tally.members[i][0] == N_NODES && tally.members[i][1] == N_NODES;
    }
    printf("dim %" PRIu32 ": %" PRIu32 " cohorts of five with a third as the initiator, %" PRIu32 " of them complete; %" PRIu64 " sums checked\n", dim,
           n_relayed, n_complete, sl_sim_counts(cluster->sim).checked_aggregates);
    bool is_fine = error == SL_OK && n_relayed >= 4 && 10 * n_complete >= 9 * n_relayed;
    if (error != SL_OK) puts(cluster->why);
    cluster_destroy(&cluster);
    return is_fine ? 0 : 1;
}

int main(int argc, char **argv)
{
    bool is_told = argc > 1 && strcmp(argv[1], "-v") == 0;
    return play(16, is_told) | play(5000, is_told);
}
