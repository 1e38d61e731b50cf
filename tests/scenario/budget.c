/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "cluster.h"
#include "config/plan.h"
#include "starling/error.h"

/*
 * budget UNIT FIRST COUNT [-v]: small networks with private rounds whose nodes crash at random points of them, one seed each, until so many crashes have
 * happened. A crash leaves its write under way whole, torn, empty or undone. No rule of private rounds may break (sim/checker.h), and in the end
 *
 *     what a node says it has spent is what the accountant makes of its charges, and charges are at most one an epoch;
 *     a node whose budget is left trains on, and one whose budget is spent merges on;
 *     the same seed gives the same run.
 *
 * A failure names the command that repeats it.
 */
enum { NODES = 5, FAULT_EPOCHS = 10, CALM_EPOCHS = 3, CRASHES_PER_SEED = 14, SCENARIO_MAX = 4096, SEEDS_PER_PROOF = 16, N_POINTS = 8 };

static const char *const points[N_POINTS] = {"charge", "charged", "training", "output", "kept", "release", "released", "sent"};

struct tally { uint32_t runs, spent; uint64_t crashes, charged, released, recovered, wasted; };

struct plan { char scenario[SCENARIO_MAX], eps_max[48]; const char *unit; };

static struct tally tally;
static uint64_t n_recovered;

static void listen(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event)
{
    (void)node;
    n_recovered += event->type == SL_TRACE_ROUND_RECOVERED;
    if (!context) return;
    char text[192];
    sl_trace_text(event, "somebody", text, sizeof text);
    printf("%10.6f n%" PRIu32 " %s\n", (double)now_us / 1e6, node, text);
}

static struct plan draw(const char *unit, uint64_t seed)
{
    static const uint8_t key[32] = "random crash points";
    struct sl_rng base, rng;
    sl_rng_init(&base, key);
    rng = sl_rng_fork(&base, "budget", seed);

    struct plan plan = {.unit = unit};
    bool is_short = sl_rng_below(&rng, 3) == 0, fails = sl_rng_below(&rng, 3) == 0;
    snprintf(plan.eps_max, sizeof plan.eps_max, "privacy.eps_max=%g", is_short ? 1.5 + 2 * sl_rng_uniform(&rng) : 50);
    size_t length = 0;
    for (int i = 0; i < CRASHES_PER_SEED; i++) {
        double at = 1 + (FAULT_EPOCHS - 2) * sl_rng_uniform(&rng), away = sl_rng_below(&rng, 2) ? .001 + .2 * sl_rng_uniform(&rng) : 1.5 * sl_rng_uniform(&rng);
        length += (size_t)snprintf(plan.scenario + length, SCENARIO_MAX - length, "at %.4fe crash-at %s %" PRIu32 " for %.4fe\n", at,
                                   points[sl_rng_below(&rng, N_POINTS)], sl_rng_below(&rng, NODES), away);
    }
    if (fails) length += (size_t)snprintf(plan.scenario + length, SCENARIO_MAX - length, "at 2e store-fail .2\n");
    snprintf(plan.scenario + length, SCENARIO_MAX - length, "at %de calm\n", FAULT_EPOCHS);
    return plan;
}

static struct cluster *build(const struct plan *plan, uint64_t seed, bool is_told)
{
    static bool yes = true;
    char unit[32];
    snprintf(unit, sizeof unit, "privacy.unit=%s", plan->unit);
    bool is_node = strcmp(plan->unit, "node") == 0;
    struct cluster_options options = {
        .n_nodes = NODES, .seed = seed, .scenario = plan->scenario, .hash = true, .listen = listen, .listen_context = is_told ? &yes : NULL,
        .settings = {unit, "privacy.dataset=nobody's", "privacy.records=1000", plan->eps_max, "epoch.length=5s",
                     is_node ? "privacy.node_clip=1" : "privacy.clip=1", is_node ? "privacy.node_noise=4" : "privacy.noise=1.5",
                     is_node ? "privacy.honest=1" : "privacy.sampling_rate=0.1", is_node ? "privacy.colluders=0" : "privacy.batch=100",
                     is_node ? "privacy.cohort_min_size=4" : "privacy.steps=20"}};
    return cluster_new(&options);
}

/* By the accountant alone, from the number of charges. */
static bool is_counted_right(const struct cluster *cluster, const struct sl_privacy_status *status)
{
    struct sl_budget budget;
    struct sl_charge charge = sl_charge_of(&cluster->config, cluster->dim);
    sl_budget_init(&budget);
    for (uint64_t i = 0; i < status->rounds_charged; i++) sl_budget_add(&budget, &charge);
    double epsilon = sl_budget_epsilon(&budget, cluster->config.privacy_delta);
    return fabs(epsilon - status->epsilon) <= 1e-9 * (1 + epsilon);
}

/* In calm epochs. Unit record trains in every one of them; unit node when a cohort has formed, which it cannot where too many have spent their budgets. */
static uint64_t rounds_expected(const struct cluster *cluster, const struct sl_status before[NODES])
{
    uint32_t n_able = 0;
    if (sl_unit_of(&cluster->config) == SL_UNIT_RECORD) return CALM_EPOCHS - 1;

    for (uint32_t i = 0; i < NODES; i++) {
        struct sl_status now;
        sl_sim_status(cluster->sim, i, &now);
        n_able += !before[i].privacy.is_spent && !now.privacy.is_spent;
    }
    return n_able == NODES;
}

static bool check_node(const struct cluster *cluster, uint32_t i, const struct sl_status *before, uint64_t n_expected)
{
    struct sl_status now;
    sl_sim_status(cluster->sim, i, &now);
    const struct sl_privacy_status *privacy = &now.privacy;
    const char *wrong = NULL;
    if (!is_counted_right(cluster, privacy)) wrong = "does not count what it charged";
    else if (privacy->rounds_charged > FAULT_EPOCHS + CALM_EPOCHS) wrong = "charged more than once in an epoch";
    else if (privacy->rounds_released > privacy->rounds_charged) wrong = "released more than it charged";
    else if (privacy->is_blocked) wrong = "does not trust its own ledger";
    else if (!before->privacy.is_spent && !privacy->is_spent && privacy->rounds_charged < before->privacy.rounds_charged + n_expected)
        wrong = "does not train though its budget is not spent";
    else if (before->privacy.is_spent && now.epochs_trained != before->epochs_trained) wrong = "trains though its budget was spent";
    tally.charged += privacy->rounds_charged;
    tally.released += privacy->rounds_released;
    tally.wasted += privacy->rounds_wasted;
    tally.spent += privacy->is_spent;
    if (wrong)
        printf("n%" PRIu32 " %s: %" PRIu64 " charged, %" PRIu64 " released, epsilon %g\n", i, wrong, privacy->rounds_charged, privacy->rounds_released,
               privacy->epsilon);
    return !wrong;
}

static bool run(const struct plan *plan, uint64_t seed, bool is_told, uint8_t hash[32])
{
    struct cluster *cluster = build(plan, seed, is_told);
    struct sl_status before[NODES];
    if (!cluster) return false;

    bool done = cluster_run(cluster, FAULT_EPOCHS + .99) == SL_OK;
    for (uint32_t i = 0; i < NODES; i++) sl_sim_status(cluster->sim, i, &before[i]);
    done = done && cluster_run(cluster, CALM_EPOCHS) == SL_OK;
    if (!done) printf("%s\n", cluster->why);
    uint64_t n_expected = rounds_expected(cluster, before);
    for (uint32_t i = 0; i < NODES && done; i++) done = check_node(cluster, i, &before[i], n_expected);
    tally.crashes += sl_sim_counts(cluster->sim).crashes;
    sl_sim_hash(cluster->sim, hash);
    cluster_destroy(&cluster);
    return done;
}

static bool try(const char *unit, uint64_t seed, bool is_told)
{
    uint8_t hash[32], again[32];
    struct plan plan = draw(unit, seed);
    if (is_told) printf("%s", plan.scenario);
    n_recovered = 0;
    bool done = run(&plan, seed, is_told, hash);
    tally.recovered += n_recovered;
    tally.runs++;
    if (!done || seed % SEEDS_PER_PROOF != 0) return done;

    struct tally kept = tally;
    done = run(&plan, seed, false, again) && sl_hash_equal(hash, again);
    tally = kept;
    if (!done) printf("the same seed gives another run\n");
    return done;
}

int main(int argc, char **argv)
{
    bool is_told = argc > 4 && strcmp(argv[4], "-v") == 0;
    if (argc < 4) {
        fprintf(stderr, "usage: budget record|node FIRST COUNT [-v]\n");
        return 2;
    }
    uint64_t first = strtoull(argv[2], NULL, 10), count = strtoull(argv[3], NULL, 10);
    for (uint64_t seed = first; tally.crashes < count; seed++) {
        if (try(argv[1], seed, is_told)) continue;
        printf("seed %" PRIu64 " failed; repeat it with: budget %s %" PRIu64 " 1 -v\n", seed, argv[1], seed);
        return 1;
    }
    printf("%" PRIu32 " runs, %" PRIu64 " crashes: %" PRIu64 " rounds charged, %" PRIu64 " released, %" PRIu64 " outputs kept over a crash, %" PRIu64
           " charges without an aggregate, %" PRIu32 " nodes spent their budget\n",
           tally.runs, tally.crashes, tally.charged, tally.released, tally.recovered, tally.wasted, tally.spent);
    return 0;
}
