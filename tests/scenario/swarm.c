/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "cluster.h"
#include "starling/error.h"

/*
 * swarm FIRST COUNT [-v]: whole networks under random faults, one seed each. A seed decides size, options and faults. For a while things go wrong, and no
 * invariant may break; then all is calm, and within 30 epochs every node must have merged and agree with the others within 5 % of the spread of optima
 * (more where it exchanges only a part of the vector in each epoch, where aggregates have 8 bits, or where next to nothing is pulled).
 *
 * Where nodes may hold fewer links than there are peers, links that are needed get closed for others: then three quarters of the nodes must have merged, and
 * agreement is not demanded; the last line counts these seeds.
 * A failure names the command that repeats it; -v shows what a seed means and prints the story.
 */
enum { FAULT_EPOCHS = 8, HEALING_EPOCHS = 30, NODES_MIN = 4, NODES_MAX = 24, SCENARIO_MAX = 4096, SETTING_MAX = 48, N_SETTINGS = 10, DIM = 16 };

struct plan {
    uint32_t n_nodes;
    char scenario[SCENARIO_MAX], settings[N_SETTINGS][SETTING_MAX];
    bool takes_part[NODES_MAX];      /* false: its clock is off, so it must stay away */
    double disagreement_max;
    bool is_tight;                   /* fewer links than peers */
    struct cluster *cluster;
};

static uint32_t between(struct sl_rng *rng, uint32_t min, uint32_t max)
{
    return min + sl_rng_below(rng, max - min + 1);
}

/* A moment of the faulty phase, in epochs. */
static double moment(struct sl_rng *rng)
{
    return FAULT_EPOCHS * sl_rng_uniform(rng);
}

/* Adds a line to the scenario. A macro, so that the compiler checks the format. */
#define LINE(plan, ...) \
    do { \
        size_t length = strlen((plan)->scenario); \
        snprintf((plan)->scenario + length, SCENARIO_MAX - length, __VA_ARGS__); \
    } while (0)

static void draw_options(struct plan *plan, struct sl_rng *rng)
{
    static const char *const epochs[] = {"5s", "20s", "60s"}, *const rules[] = {"mean", "median", "trmean", "geomed"};
    static const uint32_t bits[] = {8, 16, 32};
    const char *rule = rules[sl_rng_below(rng, 4)];
    uint32_t i = 0, n = plan->n_nodes, cohort = between(rng, 4, 6), n_bits = bits[sl_rng_below(rng, 3)], n_pulls = between(rng, 0, 8);
    bool trims = strcmp(rule, "trmean") == 0 && n / cohort >= 3 && sl_rng_below(rng, 3) > 0;         /* one input dropped at either end needs three */
    if (trims) n_pulls = between(rng, 4, 8);
    uint32_t block = sl_rng_below(rng, 3) == 0 ? between(rng, DIM / 4, DIM - 1) : 0, n_parts = block ? (DIM + block - 1) / block : 1;
    uint32_t view = n >= 12 && sl_rng_below(rng, 3) == 0 ? between(rng, n / 2, n - 1) : 1024, links = sl_rng_below(rng, 2) ? between(rng, 8, 16) : 64;
    snprintf(plan->settings[i++], SETTING_MAX, "epoch.length=%s", epochs[sl_rng_below(rng, 3)]);
    snprintf(plan->settings[i++], SETTING_MAX, "merge.rule=%s", rule);
    snprintf(plan->settings[i++], SETTING_MAX, "cohort.size=%" PRIu32, cohort);
    snprintf(plan->settings[i++], SETTING_MAX, "aggregate.bits=%" PRIu32, n_bits);
    snprintf(plan->settings[i++], SETTING_MAX, "merge.pulls=%" PRIu32, n_pulls);
    snprintf(plan->settings[i++], SETTING_MAX, "merge.faulty=%d", trims);
    snprintf(plan->settings[i++], SETTING_MAX, "block.size=%" PRIu32, block);
    snprintf(plan->settings[i++], SETTING_MAX, "view.size=%" PRIu32, view);
    snprintf(plan->settings[i++], SETTING_MAX, "link.max=%" PRIu32, links);
    snprintf(plan->settings[i++], SETTING_MAX, "link.inbound=%" PRIu32, links < 48 ? links : 48);
    plan->is_tight = links < n;
    plan->disagreement_max = .05 * n_parts * (n_bits == 8 ? 2 : 1) * (n_pulls < 2 ? 2 : 1);
}

static void draw_network_faults(struct plan *plan, struct sl_rng *rng)
{
    static const char *const kinds[] = {"loss", "duplicate", "reorder", "store-fail"};
    static const double most[] = {.3, .5, .5, .1};
    for (int i = 0; i < 4; i++)
        if (sl_rng_below(rng, 2)) LINE(plan, "at %.3fe %s %.3f\n", moment(rng), kinds[i], most[i] * sl_rng_uniform(rng));
    if (sl_rng_below(rng, 3) == 0) LINE(plan, "at %.3fe delay %.3fe\n", moment(rng), .08 * sl_rng_uniform(rng));
    if (sl_rng_below(rng, 3) == 0) {
        double begin = moment(rng);
        LINE(plan, "at %.3fe partition %.3f\n", begin, sl_rng_uniform(rng));
        LINE(plan, "at %.3fe heal\n", begin + 3 * sl_rng_uniform(rng));
    }
    for (uint32_t n = sl_rng_below(rng, 4); n > 0; n--) {
        uint32_t from = sl_rng_below(rng, plan->n_nodes), to = sl_rng_below(rng, plan->n_nodes);
        if (from != to) LINE(plan, "at %.3fe one-way %" PRIu32 " %" PRIu32 "\n", moment(rng), from, to);
    }
}

static void draw_node_faults(struct plan *plan, struct sl_rng *rng)
{
    static const char *const states[] = {"current", "old", "torn", "no"};
    for (uint32_t n = sl_rng_below(rng, plan->n_nodes); n > 0; n--)
        LINE(plan, "at %.3fe crash %" PRIu32 " for %.3fe with %s state\n", moment(rng), sl_rng_below(rng, plan->n_nodes), 2 * sl_rng_uniform(rng) + .01,
             states[sl_rng_below(rng, 4)]);
    if (sl_rng_below(rng, 3) == 0) LINE(plan, "at %.3fe churn %.3f\n", moment(rng), .4 * sl_rng_uniform(rng));
    if (sl_rng_below(rng, 3) == 0) LINE(plan, "at %.3fe slow %" PRIu32 " x100\n", moment(rng), sl_rng_below(rng, plan->n_nodes));
    if (sl_rng_below(rng, 3) == 0) LINE(plan, "at %.3fe join %" PRIu32 "\n", moment(rng), sl_rng_below(rng, plan->n_nodes));
    if (plan->n_nodes >= 8 && sl_rng_below(rng, 4) == 0) {
        uint32_t off = sl_rng_below(rng, plan->n_nodes);
        LINE(plan, "at 0s clock %" PRIu32 " %s\n", off, sl_rng_below(rng, 2) ? "-2h" : "+24h");
        plan->takes_part[off] = false;
    }
}

static void draw_plan(struct plan *plan, uint64_t seed)
{
    struct sl_hash hash;
    struct sl_rng rng;
    uint8_t key[32];
    sl_hash_init(&hash, "swarm");
    sl_hash_u64(&hash, seed);
    sl_hash_final(&hash, key);
    sl_rng_init(&rng, key);

    *plan = (struct plan){.n_nodes = between(&rng, NODES_MIN, NODES_MAX)};
    for (uint32_t i = 0; i < plan->n_nodes; i++) plan->takes_part[i] = true;
    draw_options(plan, &rng);
    draw_network_faults(plan, &rng);
    draw_node_faults(plan, &rng);
    LINE(plan, "at %de calm\nat %de restart all\n", FAULT_EPOCHS, FAULT_EPOCHS + 2);
}

static void hear(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event)
{
    const struct plan *plan = context;
    char line[256];
    sl_sim_story(plan->cluster->sim, node, now_us, event, line, sizeof line);
    puts(line);
}

/* True when every node that takes part has merged since calm came; three quarters of them where links are few. */
static bool check_merged(const struct plan *plan, char *why, size_t why_size)
{
    uint64_t calm_us = (FAULT_EPOCHS + 2) * plan->cluster->config.epoch_us;
    uint32_t n_behind = 0, n_behind_max = plan->is_tight ? plan->n_nodes / 4 : 0;
    for (uint32_t i = 0; i < plan->n_nodes; i++) {
        if (!plan->takes_part[i] || sl_sim_last_merge(plan->cluster->sim, i) > calm_us || ++n_behind <= n_behind_max) continue;
        struct sl_status status;
        sl_sim_status(plan->cluster->sim, i, &status);
        snprintf(why, why_size, "n%" PRIu32 " has not merged in %d calm epochs (%s)", i, HEALING_EPOCHS,
                 status.reason[0] ? status.reason : "it gives no reason");
        return false;
    }
    return true;
}

static bool check_healed(const struct plan *plan, char *why, size_t why_size)
{
    if (!check_merged(plan, why, why_size)) return false;
    double disagreement = cluster_disagreement(plan->cluster, plan->takes_part);
    if (disagreement <= plan->disagreement_max || plan->is_tight) return true;
    snprintf(why, why_size, "after %d calm epochs the nodes still differ by %.3f of the spread of their optima", HEALING_EPOCHS, disagreement);
    return false;
}

/* The faulty phase, then calm until all is healed or the patience is at its end. */
static bool run_plan(struct plan *plan, char *why, size_t why_size)
{
    int error = cluster_run(plan->cluster, FAULT_EPOCHS + 2);
    for (int epoch = 0; !error && epoch < HEALING_EPOCHS; epoch++) {
        error = cluster_run(plan->cluster, 1);
        if (!error && epoch > 1 && check_healed(plan, why, why_size)) return true;
    }
    if (error) snprintf(why, why_size, "%s", plan->cluster->why);
    return false;
}

static void print_end(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->n_nodes; i++) {
        struct sl_status status;
        sl_sim_status(plan->cluster->sim, i, &status);
        printf("n%" PRIu32 ": merged in %" PRIu64 " of %" PRIu64 " epochs, sharing radius %g %s\n", i, status.epochs_merged,
               status.epochs_seen, status.sharing_radius, status.reason);
    }
}

static bool run_seed(uint64_t seed, bool is_told, bool *is_tight)
{
    struct plan plan;
    char why[512] = "the cluster could not be made";
    draw_plan(&plan, seed);
    *is_tight = plan.is_tight;
    if (is_told) printf("%" PRIu32 " nodes\n%s", plan.n_nodes, plan.scenario);
    for (int i = 0; is_told && i < N_SETTINGS; i++) printf("%s\n", plan.settings[i]);

    struct cluster_options options = {
        .n_nodes = plan.n_nodes, .seed = seed, .dim = DIM, .scenario = plan.scenario, .listen = is_told ? hear : NULL, .listen_context = &plan};
    for (int i = 0; i < N_SETTINGS; i++) options.settings[i] = plan.settings[i];
    plan.cluster = cluster_new(&options);
    bool is_fine = plan.cluster && run_plan(&plan, why, sizeof why);
    if (is_told && plan.cluster) print_end(&plan);
    if (!is_fine) printf("seed %" PRIu64 " failed: %s\nrepeat with: swarm %" PRIu64 " 1 -v\n", seed, why, seed);
    cluster_destroy(&plan.cluster);
    return is_fine;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: swarm FIRST COUNT [-v]\nexample: swarm 1 200\n", stderr);
        return 4;
    }
    uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10), n_failed = 0, n_tight = 0;
    bool is_told = argc > 3 && strcmp(argv[3], "-v") == 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        bool is_tight;
        n_failed += !run_seed(seed, is_told, &is_tight);
        n_tight += is_tight;
    }
    printf("%" PRIu64 " seeds, %" PRIu64 " failed; %" PRIu64 " with fewer links than peers, where agreement is not demanded\n", count, n_failed, n_tight);
    return n_failed > 0;
}
