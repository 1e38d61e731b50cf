/* SPDX-License-Identifier: MIT */
#include "sim_run.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/rng.h"
#include "sim/sim.h"
#include "sim_attack.h"
#include "sim_report.h"
#include "sim_world.h"
#include "starling/error.h"

enum { EXIT_FAILED = 1, EXIT_ARGUMENTS = 4, NODES_MAX = 1000000, EPOCHS_MAX = 1000000, QUICK_ROWS = 1000, MEASURED_NODES_MAX = 200, SHARED_EPOCHS_MIN = 3,
       FINAL_JOB = 0x7fffffff };

static const char usage[] =
    "usage: starling-sim run --data PATH|NAME [options]\n"
    "       starling-sim run --stub D [options]\n"
    "\n"
    "Simulates nodes that learn together without a server: the real protocol core under a virtual clock. Everything follows from the seed.\n"
    "\n"
    "  -n, --nodes N        number of nodes (default 16)\n"
    "  --data PATH|NAME     training data: CSV or NPY, a folder of IDX files or IMAGES,LABELS, plain or .gz; or fashion-mnist\n"
    "  --test PATH          common test set; default: the test part of IDX data, else a fifth of the rows is kept back\n"
    "  --label COLUMN       last (default), first, a number from 0, or a name\n"
    "  --impute NUMBER      stands for missing values; without it they are refused\n"
    "  --scale HOW          none (default), divide:X or standard (measured on the training data)\n"
    "  --split HOW          iid (default), dirichlet:ALPHA, shards:K, quantity:ALPHA, by:COLUMN, by:FILE:COLUMN\n"
    "  --model SPEC         softmax (default), mlp:H1[,H2] or ridge\n"
    "  --stub D             no data: D weights with a known optimum per node, to test scale and the protocol\n"
    "  --epochs E           epochs in which nodes act (default 20)\n"
    "  --aggregator RULE    mean (default), median, trmean or geomed\n"
    "  --local              every node learns alone, for comparison\n"
    "  --seed S             default 1; the same seed gives the same run\n"
    "  --scenario FILE      what goes wrong and when, one line each: at 120s partition 0.5\n"
    "  --attack NAME:COUNT  the last COUNT nodes lie in this way; may be given again. A wrong NAME lists all\n"
    "  --set KEY=VALUE      any option of a node or network, such as train.steps=30; may be given again\n"
    "  --every K            show progress every K epochs (default: a tenth of them)\n"
    "  --json               print nothing but the report, as JSON\n"
    "  --trace              print the story: one line per event of a node\n"
    "  --trace-hash         print the BLAKE2b hash of all events and frames, 64 digits\n"
    "\n"
    "exit codes: 0, 1 (an invariant broke or nobody merged), 4 (arguments)\n"
    "\n"
    "example: starling-sim run -n 16 --data fashion-mnist --scale divide:255 --split dirichlet:0.5 --model mlp:64 --epochs 20\n";

struct run {
    struct wish wish;
    struct world world;
    struct sl_sim *sim;
    struct attacks attacks;
    float *alone;                /* weights of all nodes where each learns alone */
    struct report report;
    char hash[65], command[1024];
};

/* ---- arguments ---- */

/* "--name value" or "--name=value" at *at; false if it is something else. A missing value gives NULL. */
static bool take_option(int argc, char **argv, int *at, const char *name, const char **out)
{
    size_t size = strlen(name);
    if (strncmp(argv[*at], name, size) != 0) return false;
    if (argv[*at][size] == '=') *out = argv[*at] + size + 1;
    else if (argv[*at][size] == 0) *out = *at + 1 < argc ? argv[++*at] : NULL;
    else return false;
    return true;
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    if (!text || *text == 0 || text[strspn(text, "0123456789")] != 0) return false;
    errno = 0;
    unsigned long long number = strtoull(text, NULL, 10);
    if (errno != 0 || number < min || number > max) return false;
    *out = number;
    return true;
}

static int refuse(const char *option, const char *wanted)
{
    fprintf(stderr, "run: %s needs %s; `starling-sim run --help` shows all options\n", option, wanted);
    return EXIT_ARGUMENTS;
}

struct numbers { uint64_t nodes, stub, epochs, every, seed; };

/* Numbers: 1 taken, 0 not one of them, else an exit code. */
static int take_number(int argc, char **argv, int *at, struct numbers *numbers)
{
    const struct { const char *name; uint64_t min, max, *to; const char *wanted; } options[] = {
        {"--nodes", 1, NODES_MAX, &numbers->nodes, "a number from 1 to 1000000"},
        {"-n", 1, NODES_MAX, &numbers->nodes, "a number from 1 to 1000000"},
        {"--stub", 1, 1 << 20, &numbers->stub, "a number of weights from 1 to 1048576"},
        {"--epochs", 1, EPOCHS_MAX, &numbers->epochs, "a number from 1 to 1000000"},
        {"--every", 1, EPOCHS_MAX, &numbers->every, "a number from 1 to 1000000"},
        {"--seed", 0, UINT64_MAX, &numbers->seed, "a number from 0 to 18446744073709551615"},
    };
    const char *value;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (!take_option(argc, argv, at, options[i].name, &value)) continue;
        return parse_number(value, options[i].min, options[i].max, options[i].to) ? 1 : refuse(options[i].name, options[i].wanted);
    }
    return 0;
}

static int take_text(int argc, char **argv, int *at, struct wish *wish)
{
    const struct { const char *name, **to; } options[] = {
        {"--data", &wish->data}, {"--test", &wish->test}, {"--label", &wish->label}, {"--impute", &wish->impute}, {"--scale", &wish->scale},
        {"--split", &wish->split}, {"--model", &wish->model}, {"--aggregator", &wish->aggregator}, {"--scenario", &wish->scenario},
    };
    const char *value;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (!take_option(argc, argv, at, options[i].name, &value)) continue;
        if (!value) return refuse(options[i].name, "a value");
        *options[i].to = value;
        return 1;
    }
    if (!take_option(argc, argv, at, "--set", &value)) return 0;
    if (!value || wish->n_settings == SETTINGS_MAX) return refuse("--set", "KEY=VALUE, at most 64 times");
    wish->settings[wish->n_settings++] = value;
    return 1;
}

/* As the above. */
static int take_attack(int argc, char **argv, int *at, struct wish *wish)
{
    const char *value;
    char why[1024];
    if (!take_option(argc, argv, at, "--attack", &value)) return 0;
    if (!value) return refuse("--attack", "NAME:COUNT");
    if (attack_parse(value, wish->attacks, &wish->n_attacks, why, sizeof why)) return 1;
    fprintf(stderr, "run: --attack %s: %s\n", value, why);
    return EXIT_ARGUMENTS;
}

static bool take_flag(const char *word, struct wish *wish)
{
    const struct { const char *name; bool *to; } flags[] = {
        {"--json", &wish->json}, {"--trace", &wish->trace}, {"--trace-hash", &wish->trace_hash}, {"--local", &wish->local},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (strcmp(word, flags[i].name) != 0) continue;
        *flags[i].to = true;
        return true;
    }
    return false;
}

static int check_wish(const struct wish *wish)
{
    if (!wish->data && !wish->stub_dim) return refuse("the simulation", "data: --data PATH, or --stub D for nodes without data");
    if (wish->data && wish->stub_dim) return refuse("the simulation", "either --data or --stub, not both");
    if (wish->n_attacks > 0 && attack_count(wish->attacks, wish->n_attacks) >= wish->n_nodes)
        return refuse("--attack", "at least one honest node among --nodes");
    if (wish->local && (wish->scenario || wish->trace || wish->trace_hash || wish->n_attacks > 0))
        return refuse("--local", "to stand alone: there is no network to trace or to break");
    return 0;
}

static int parse(int argc, char **argv, struct wish *wish)
{
    struct numbers numbers = {.nodes = 16, .epochs = 20, .seed = 1};
    *wish = (struct wish){.label = "last", .split = "iid"};
    for (int at = 1; at < argc; at++) {
        int taken = take_number(argc, argv, &at, &numbers);
        if (taken == 0) taken = take_text(argc, argv, &at, wish);
        if (taken == 0) taken = take_attack(argc, argv, &at, wish);
        if (taken == 0) taken = take_flag(argv[at], wish);
        if (taken == 0) {
            fprintf(stderr, "run: '%s' is not an option\n\n%s", argv[at], usage);
            return EXIT_ARGUMENTS;
        }
        if (taken != 1) return taken;
    }
    wish->n_nodes = (uint32_t)numbers.nodes;
    wish->stub_dim = (uint32_t)numbers.stub;
    wish->n_epochs = (uint32_t)numbers.epochs;
    wish->every = (uint32_t)(numbers.every ? numbers.every : (numbers.epochs + 9) / 10);
    wish->seed = numbers.seed;
    return check_wish(wish);
}

/* The command that repeats this run. */
static void remember_command(int argc, char **argv, char *out, size_t size)
{
    size_t length = (size_t)snprintf(out, size, "starling-sim");
    for (int i = 0; i < argc && length < size; i++)
        length += (size_t)snprintf(out + length, size - length, strpbrk(argv[i], " \t'\"$") ? " '%s'" : " %s", argv[i]);
}

/* ---- progress ---- */

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double wall_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static FILE *talk(const struct run *run)
{
    return run->wish.json ? stderr : stdout;
}

static void hear(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event)
{
    const struct run *run = context;
    char line[256];
    sl_sim_story(run->sim, node, now_us, event, line, sizeof line);
    fprintf(talk(run), "%s\n", line);
}

static void print_settings(const struct run *run)
{
    const struct wish *wish = &run->wish;
    const struct world *world = &run->world;
    const struct sl_config *config = &world->config;
    printf("%" PRIu32 " nodes, %s (%" PRIu32 " weights), seed %" PRIu64 ", %s\n", wish->n_nodes, wish->stub_dim ? "stub" : config->model,
           world->dim, wish->seed, wish->local ? "each alone" : "together");
    if (!wish->stub_dim)
        printf("data %s: %" PRIu32 " rows of %" PRIu32 " features dealt out %s, scaled %s; %" PRIu32 " test rows\n", wish->data,
               world->train.n_rows, world->train.n_features, wish->split, config->scale, world->test.n_rows);
    printf("%" PRIu32 " epochs of %.6g s, up to %" PRIu32 " steps of %" PRIu32 " rows, rate %g\n", wish->n_epochs,
           (double)config->epoch_us / 1e6, config->train_steps, config->train_batch, config->train_lr);
    if (!wish->local)
        printf("cohorts of %" PRIu32 " (%" PRIu32 " to %" PRIu32 "), %" PRIu32 " aggregates pulled, merged by %s\n", config->cohort_size,
               config->cohort_min_size, config->cohort_max_size, config->merge_pulls, config->merge_rule);
    for (uint32_t i = 0; i < wish->n_attacks; i++)
        printf("%s\"%s\" on %" PRIu32 " nodes: %s\n", i == 0 ? "ATTACK " : "       ", sl_adversary_name(wish->attacks[i].adversary), wish->attacks[i].count,
               sl_adversary_summary(wish->attacks[i].adversary));
    printf("\n");
}

static double figure_of(const struct run *run, const struct sl_score *score)
{
    return run->world.model->task == SL_TASK_REGRESS ? score->rmse : score->accuracy;
}

/* Scores every node that runs; few rows suffice to show progress. */
static void score_all(struct run *run, const float *(*weights_of)(const struct run *run, uint32_t node), uint32_t n_rows_max)
{
    for (uint32_t i = 0; i < run->wish.n_nodes; i++) {
        struct sl_score score = {.accuracy = NAN, .rmse = NAN};
        const float *weights = weights_of(run, i);
        if (weights) world_score(&run->world, weights, n_rows_max, &score);
        run->report.nodes[i].figure = figure_of(run, &score);
    }
}

/* The final weights on the rows that each node keeps back, as starlingd scores them when it stops. */
static bool score_own_rows(struct run *run, const float *(*weights_of)(const struct run *run, uint32_t node))
{
    uint32_t dim = run->world.dim;
    float *copy = calloc(dim, sizeof *copy);         /* an evaluation may use the buffer that it is lent */
    if (!copy) return false;

    for (uint32_t i = 0; i < run->wish.n_nodes; i++) {
        const float *weights = weights_of(run, i);
        struct sl_job job = {.number = FINAL_JOB, .type = SL_JOB_EVALUATE, .weights = copy, .dim = dim};
        struct sl_job_result result = {0};
        if (weights) {
            memcpy(copy, weights, dim * sizeof *copy);
            run->world.trainers[i].run(run->world.trainers[i].context, &job, &result);
        }
        bool is_scored = weights && result.error == SL_OK && result.own.n_rows > 0;
        run->report.nodes[i].own_figure = is_scored ? figure_of(run, &result.own) : NAN;
    }
    free(copy);
    return true;
}

static void print_progress(struct run *run, uint32_t epoch, const float *(*weights_of)(const struct run *run, uint32_t node))
{
    score_all(run, weights_of, QUICK_ROWS);
    struct figures figures = report_figures(&run->report, false);
    printf("epoch %4" PRIu32 "  %s %.4f  worst %.4f", epoch, run->report.task == SL_TASK_REGRESS ? "rmse" : "accuracy", figures.mean,
           run->report.task == SL_TASK_REGRESS ? figures.max : figures.min);
    if (run->sim) {
        struct sl_sim_counts counts = sl_sim_counts(run->sim);
        printf("  cohorts %" PRIu64 "/%" PRIu64 "  %.2f MB sent", counts.cohorts_completed, counts.cohorts_formed, (double)counts.bytes / 1e6);
    }
    printf("\n");
    fflush(stdout);
}

/* ---- together ---- */

static const float *simulated_weights(const struct run *run, uint32_t node)
{
    return sl_sim_weights(run->sim, node);
}

static int tell_failure(const struct run *run, int error)
{
    const char *violation = sl_sim_violation(run->sim);
    fprintf(stderr, "run: %s\nrepeat with: %s\n", violation ? violation : sl_error_text(error), run->command);
    return EXIT_FAILED;
}

static void collect(struct run *run, double cpu_s)
{
    struct sl_sim_counts counts = sl_sim_counts(run->sim);
    run->report.cohorts_completed = counts.cohorts_completed;
    run->report.cohorts_void = counts.cohorts_formed - counts.cohorts_completed;
    run->report.means_checked = counts.checked_aggregates;
    run->report.means_skipped = counts.skipped_aggregates;
    for (uint32_t i = 0; i < run->wish.n_nodes; i++) {
        struct node_report *node = &run->report.nodes[i];
        struct sl_status status;
        uint64_t busy_ns = sl_sim_busy_ns(run->sim, i);
        sl_sim_status(run->sim, i, &status);
        node->epochs = status.epochs_seen;
        node->with_aggregate = status.epochs_with_aggregate;
        node->bytes_sent = status.bytes_sent;
        node->bytes_received = status.bytes_received;
        node->signature_checks = status.signature_checks;
        if (run->wish.n_attacks > 0 && !attacks_is_liar(&run->attacks, i)) {
            run->attacks.honest_epochs += status.epochs_seen;
            run->attacks.honest_with_aggregate += status.epochs_with_aggregate;
        }
        node->cpu_s = busy_ns > 0 ? (double)busy_ns / 1e9 : cpu_s / run->wish.n_nodes;
    }
}

static bool somebody_merged(const struct run *run)
{
    for (uint32_t i = 0; i < run->wish.n_nodes; i++)
        if (sl_sim_last_merge(run->sim, i) > 0) return true;
    return false;
}

static bool make_attacks(struct run *run)
{
    const struct wish *wish = &run->wish;
    run->attacks = (struct attacks){.wishes = wish->attacks, .n_wishes = wish->n_attacks, .n_nodes = wish->n_nodes,
                                    .n_liars = attack_count(wish->attacks, wish->n_attacks)};
    return wish->n_attacks == 0 || attacks_make(&run->attacks, &run->world.config, run->world.dim, wish->seed);
}

static int run_together(struct run *run)
{
    char why[512];
    const struct wish *wish = &run->wish;
    if (!make_attacks(run)) {
        fprintf(stderr, "run: memory is too short for the liars\n");
        return EXIT_FAILED;
    }
    struct sl_sim_options options = {
        .seed = wish->seed, .n_nodes = wish->n_nodes, .config = &run->world.config, .model = run->world.model, .trainers = run->world.trainers,
        .scenario = wish->scenario ? &run->world.scenario : NULL, .check = true, .hash = wish->trace_hash,
        .stopwatch_ns = wish->n_nodes <= MEASURED_NODES_MAX ? cpu_ns : NULL,
        .listen = wish->trace ? hear : NULL, .listen_context = run, .taps = run->attacks.taps,
    };
    run->sim = sl_sim_new(&options, why, sizeof why);
    if (!run->sim) {
        fprintf(stderr, "run: %s\n", why);
        return EXIT_FAILED;
    }
    if (run->attacks.census) sl_census_watch(run->attacks.census, run->sim);
    uint64_t epoch_us = run->world.config.epoch_us;
    for (uint32_t epoch = 1; epoch <= wish->n_epochs; epoch++) {
        int error = sl_sim_run(run->sim, (epoch + 1) * epoch_us);
        if (error) return tell_failure(run, error);
        if (run->attacks.census) sl_census_epoch(run->attacks.census, epoch);
        bool is_shown = !wish->json && (epoch % wish->every == 0 || epoch == wish->n_epochs);
        if (is_shown) print_progress(run, epoch, simulated_weights);
    }
    score_all(run, simulated_weights, 0);
    if (!score_own_rows(run, simulated_weights)) return tell_failure(run, SL_ERROR_NO_MEMORY);
    collect(run, (double)cpu_ns() / 1e9);
    if (wish->n_epochs >= SHARED_EPOCHS_MIN && !somebody_merged(run)) {
        fprintf(stderr, "run: no node has merged anything; a cohort needs %" PRIu32 " nodes that can reach one another\n", run->world.config.cohort_min_size);
        return EXIT_FAILED;
    }
    return 0;
}

/* ---- alone ---- */

static const float *alone_weights(const struct run *run, uint32_t node)
{
    return run->alone + (size_t)node * run->world.dim;
}

/* The same jobs with the same seeds as the simulated nodes have that never fall, but nothing is exchanged. */
static int run_alone(struct run *run)
{
    uint32_t dim = run->world.dim, n = run->wish.n_nodes;
    run->alone = calloc((size_t)n * dim, sizeof(float));
    if (!run->alone) return EXIT_FAILED;

    struct sl_rng *seeds = calloc(n, sizeof *seeds);
    if (!seeds) return EXIT_FAILED;
    for (uint32_t i = 0; i < n; i++) {
        world_genesis(&run->world, run->alone + (size_t)i * dim);
        seeds[i] = sl_sim_job_seeds(run->wish.seed, i);
    }
    for (uint32_t epoch = 1; epoch <= run->wish.n_epochs; epoch++) {
        for (uint32_t i = 0; i < n; i++) {
            struct sl_job job = {.number = epoch, .type = SL_JOB_TRAIN, .epoch = epoch, .weights = run->alone + (size_t)i * dim, .dim = dim};
            struct sl_job_result result = {0};
            sl_rng_bytes(&seeds[i], job.seed, sizeof job.seed);
            uint64_t begin_ns = cpu_ns();
            run->world.trainers[i].run(run->world.trainers[i].context, &job, &result);
            run->report.nodes[i].cpu_s += (double)(cpu_ns() - begin_ns) / 1e9;
            run->report.nodes[i].epochs = epoch;
        }
        bool is_shown = !run->wish.json && (epoch % run->wish.every == 0 || epoch == run->wish.n_epochs);
        if (is_shown) print_progress(run, epoch, alone_weights);
    }
    free(seeds);
    score_all(run, alone_weights, 0);
    return score_own_rows(run, alone_weights) ? 0 : EXIT_FAILED;
}

/* ---- all of it ---- */

static void measure_process(struct run *run, double began_s)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    run->report.rss_max_bytes = (uint64_t)used.ru_maxrss * 1024;
    run->report.cpu_s = (double)cpu_ns() / 1e9;
    run->report.wall_s = wall_s() - began_s;
}

static void write_hash(struct run *run)
{
    uint8_t hash[32];
    sl_sim_hash(run->sim, hash);
    for (int i = 0; i < 32; i++) snprintf(run->hash + 2 * i, 3, "%02x", hash[i]);
    run->report.trace_hash = run->hash;
}

static int simulate(struct run *run)
{
    char why[1024];
    double began_s = wall_s();
    int code = world_make(&run->wish, &run->world, why, sizeof why);
    if (code) {
        fprintf(stderr, "run: %s\n", why);
        return code;
    }
    run->report = (struct report){.task = run->world.model->task, .n_nodes = run->wish.n_nodes, .nodes = calloc(run->wish.n_nodes, sizeof(struct node_report))};
    if (!run->report.nodes) return EXIT_FAILED;
    if (!run->wish.json) print_settings(run);

    code = run->wish.local ? run_alone(run) : run_together(run);
    if (code) return code;

    measure_process(run, began_s);
    if (run->wish.n_attacks > 0) {
        run->report.more_json = attacks_write_json;
        run->report.more_lines = attacks_write_lines;
        run->report.more_context = &run->attacks;
    }
    if (run->wish.trace_hash) write_hash(run);
    if (run->wish.json) report_write_json(&run->report, stdout);
    else report_write_table(&run->report, stdout);
    return fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}

int sim_run(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "-h") != 0) continue;
        fputs(usage, stdout);
        return 0;
    }
    struct run run = {0};
    int code = parse(argc, argv, &run.wish);
    if (code) return code;

    remember_command(argc, argv, run.command, sizeof run.command);
    code = simulate(&run);
    sl_sim_destroy(&run.sim);
    attacks_finish(&run.attacks);
    world_finish(&run.world);
    free(run.alone);
    free(run.report.nodes);
    return code;
}
