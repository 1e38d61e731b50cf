/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cluster.h"
#include "starling/error.h"

/*
 * joining SCENE: networks whose nodes know nothing but a seed or two, newcomers, dead seeds, partial views, cut networks. Each scene says what must be true
 * at its end; time is counted in epochs. Without a name all are played.
 */
struct scene {
    const char *name, *scenario;
    uint32_t n_nodes, n_seeds;
    const char *settings[4];
    double n_epochs, n_more;         /* a first part, after which cohorts are counted, and the rest */
    uint32_t joiner;                 /* must have an aggregate at the end; UINT32_MAX: nobody in particular */
    uint32_t gone;                   /* nodes below this number are down at the end */
    double share;                    /* of the node-epochs of the second part that must give an aggregate */
    bool covers;                     /* everybody must know everybody that runs */
    double disagreement;             /* at most, at the end; 0: not asked */
};

static const struct scene scenes[] = {
    {"from-one-seed", "", 16, 1, {0}, 10, 10, UINT32_MAX, 0, .95, true, 0},
    {"64-from-two-seeds", "", 64, 2, {0}, 10, 5, UINT32_MAX, 0, .8, true, 0},
    {"newcomer", "at 8e join 15\n", 16, 1, {0}, 8, 5, 15, 0, .8, true, 0},
    {"newcomer-and-dead-seed", "at 3e crash 0\nat 8e join 15\n", 16, 2, {0}, 8, 6, 15, 1, .8, false, 0},
    {"newcomer-completes-four", "at 13e crash 0\nat 20e join 4\n", 5, 0, {"cohort.radius=1"}, 20, 7, 4, 1, .8, false, 0},
    {"newcomer-among-40", "at 8e join 39\n", 40, 2, {0}, 8, 5, 39, 0, .8, true, 0},
    {"partial-views", "", 40, 2, {"view.size=12", "merge.pulls=6"}, 15, 25, UINT32_MAX, 0, .5, false, .1},
    {"book-alone", "at 17.5e crash 0\nat 18e crash 5 for 1e\nat 18e crash 6 for 1.2e with old state\n", 12, 1, {0}, 20, 6, 5, 1, .8, false, 0},
    {"seed-comes-late", "at 4e join 0\n", 8, 1, {0}, 12, 6, 7, 0, .9, true, 0},
    {"cut-4-4", "at 10e partition 0-3/4-7\nat 40e heal\n", 8, 0, {"epoch.length=2s"}, 45, 6, UINT32_MAX, 0, .95, true, 0},
    {"cut-15-15", "at 10e partition 0-14/15-29\nat 40e heal\n", 30, 0, {"epoch.length=2s"}, 45, 6, UINT32_MAX, 0, .9, true, 0},
    {"cut-15-15-by-seeds", "at 20e partition 0-14/15-29\nat 50e heal\n", 30, 2, {"epoch.length=2s"}, 55, 6, UINT32_MAX, 0, .9, true, 0},
};

static void count(const struct cluster *cluster, uint64_t *n_with, uint64_t *n_seen)
{
    *n_with = *n_seen = 0;
    for (uint32_t i = 0; i < cluster->n_nodes; i++) {
        struct sl_status status;
        sl_sim_status(cluster->sim, i, &status);
        *n_with += status.epochs_with_aggregate;
        *n_seen += status.epochs_seen;
    }
}

/* Of the running nodes: how many know fewer live peers than run besides them, or do not think that they know all. */
static uint32_t count_ignorant(const struct cluster *cluster, bool is_told)
{
    uint32_t n = 0, n_running = 0;
    for (uint32_t i = 0; i < cluster->n_nodes; i++) n_running += sl_sim_node(cluster->sim, i) != NULL;
    for (uint32_t i = 0; i < cluster->n_nodes; i++) {
        struct sl_status status;
        if (!sl_sim_node(cluster->sim, i)) continue;
        sl_sim_status(cluster->sim, i, &status);
        bool knows_all = status.view_covers && status.peers_live + 1 >= n_running;
        n += !knows_all;
        if (is_told)
            printf("n%" PRIu32 ": knows %" PRIu32 ", live %" PRIu32 "%s, links %" PRIu32 "+%" PRIu32 ", book %" PRIu32 "+%" PRIu32
                   ", aggregates %" PRIu64 "/%" PRIu64 ", checks %.1f, sent %.0f per epoch %s\n",
                   i, status.peers_known, status.peers_live, status.view_covers ? "" : " of more", status.links_outbound, status.links_inbound, status.book_new,
                   status.book_tried, status.epochs_with_aggregate, status.epochs_seen, (double)status.signature_checks / (double)(status.epochs_seen + 1),
                   (double)status.bytes_sent / (double)(status.epochs_seen + 1), status.reason);
    }
    return n;
}

static bool judge(const struct scene *scene, const struct cluster *cluster, uint64_t n_with, uint64_t n_seen, bool is_told)
{
    struct sl_status status;
    double share = n_seen > 0 ? (double)n_with / (double)n_seen : 0, disagreement = cluster_disagreement(cluster, NULL);
    uint32_t n_ignorant = count_ignorant(cluster, is_told);
    bool has_joined = true;
    if (scene->joiner != UINT32_MAX) {
        sl_sim_status(cluster->sim, scene->joiner, &status);
        has_joined = status.epochs_with_aggregate > 0;
    }
    bool is_fine = share >= scene->share && (!scene->covers || n_ignorant == 0) && has_joined &&
                   (scene->disagreement <= 0 || disagreement <= scene->disagreement);
    printf("%-24s %s: %.3f of the last node-epochs gave an aggregate (%.2f wanted), %" PRIu32 " nodes do not know all%s, disagreement %.3f%s\n", scene->name,
           is_fine ? "fine" : "FAILED", share, scene->share, n_ignorant, scene->covers ? " (none wanted)" : "", disagreement,
           has_joined ? "" : ", the newcomer found no cohort");
    return is_fine;
}

static void tell(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event)
{
    char line[256];
    struct cluster *const *cluster = context;
    if (!*cluster) return;
    sl_sim_story((*cluster)->sim, node, now_us, event, line, sizeof line);
    puts(line);
}

static bool play(const struct scene *scene, uint64_t seed, bool is_told)
{
    struct cluster *cluster = NULL;
    struct cluster_options options = {.n_nodes = scene->n_nodes, .seed = seed, .n_seeds = scene->n_seeds, .scenario = scene->scenario, .step = .05,
                                      .listen = is_told ? tell : NULL, .listen_context = &cluster};
    for (int i = 0; i < 4; i++) options.settings[i] = scene->settings[i];
    cluster = cluster_new(&options);
    if (!cluster) return false;

    uint64_t with_before, seen_before, n_with = 0, n_seen = 0;
    int error = cluster_run(cluster, scene->n_epochs);
    count(cluster, &with_before, &seen_before);
    if (!error) error = cluster_run(cluster, scene->n_more);
    if (error) printf("%s: %s\n", scene->name, cluster->why);
    count(cluster, &n_with, &n_seen);
    bool is_fine = !error && judge(scene, cluster, n_with - with_before, n_seen - seen_before, is_told);
    cluster_destroy(&cluster);
    return is_fine;
}

int main(int argc, char **argv)
{
    bool is_fine = true, is_told = argc > 3 && strcmp(argv[3], "-v") == 0, is_found = false;
    uint64_t seed = 1;
    if (argc > 2) sscanf(argv[2], "%" SCNu64, &seed);
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        if (argc > 1 && strcmp(argv[1], "all") != 0 && strcmp(argv[1], scenes[i].name) != 0) continue;
        is_found = true;
        is_fine &= play(&scenes[i], seed, is_told);
    }
    if (!is_found) fputs("usage: joining [SCENE|all [SEED [-v]]]\n", stderr);
    return !(is_found && is_fine);
}
