/* SPDX-License-Identifier: MIT */
/* story NAME: plays a short scene of stub nodes and prints what they tell. The kept texts in this folder are read as examples of the protocol. */
#include <stdio.h>
#include <string.h>

#include "cluster.h"
#include "starling/error.h"

struct scene {
    const char *name;
    double n_epochs;
    struct cluster_options options;
};

static const struct scene scenes[] = {
    {"four_nodes", 3, {.n_nodes = 4, .seed = 1}},                                                /* one cohort, two epochs */
    {"lost_member", 4, {.n_nodes = 5, .seed = 2, .scenario = "at 2.03e crash 3\n"}},             /* gone after the roster; the others go on without it */
    {"private_rounds", 4.1,                                                                      /* one crashes when its output is kept; budgets are spent */
     {.n_nodes = 4, .seed = 1, .scenario = "at 2e crash-at kept 1 for 20s\n",
      .settings = {"privacy.unit=record", "privacy.dataset=story", "privacy.records=1000", "privacy.sampling_rate=.1", "privacy.batch=100", "privacy.steps=20",
                   "privacy.clip=1", "privacy.noise=2", "privacy.eps_max=2"}}},
};

struct narrator { struct cluster *cluster; };

static void tell(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event)
{
    const struct narrator *narrator = context;
    char line[256];
    if (!narrator->cluster) return;                      /* before the simulator stands nobody has a name */
    sl_sim_story(narrator->cluster->sim, node, now_us, event, line, sizeof line);
    puts(line);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof scenes / sizeof *scenes; i++) {
        if (strcmp(argv[1], scenes[i].name) != 0) continue;
        struct narrator narrator = {0};
        struct cluster_options options = scenes[i].options;
        options.listen = tell;
        options.listen_context = &narrator;
        narrator.cluster = cluster_new(&options);
        if (!narrator.cluster) return 1;
        int error = cluster_run(narrator.cluster, scenes[i].n_epochs);
        if (error) fprintf(stderr, "story: %s\n", narrator.cluster->why);
        cluster_destroy(&narrator.cluster);
        return error != SL_OK;
    }
    fprintf(stderr, "usage: story four_nodes|lost_member|private_rounds\n");
    return 2;
}
