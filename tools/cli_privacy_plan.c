/* SPDX-License-Identifier: MIT */
/* starling privacy plan: from an epsilon to settings. No node, no data. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cli_privacy_noise.h"
#include "cli_words.h"
#include "base/limits.h"
#include "config/plan.h"
#include "data/number.h"
#include "starling/error.h"

enum { WHY_SIZE = 512, WARNINGS_MAX = 8 };

struct request {
    const char *records, *batch, *epochs, *steps, *epsilon, *delta, *unit, *honest, *colluders, *cohort, *block, *adjacency;      /* as given, or NULL */
    char why[WHY_SIZE];
};

struct answer {
    struct sl_config config;
    double epsilon, delta;               /* wanted */
    uint64_t epochs;
    uint32_t n_block, cohort;            /* 0: not given */
    struct cli_noise noise;
    char warnings[WARNINGS_MAX][WHY_SIZE];
    uint32_t n_warnings;
};

#define WARN(answer, ...) \
    do if ((answer)->n_warnings < WARNINGS_MAX) snprintf((answer)->warnings[(answer)->n_warnings++], WHY_SIZE, __VA_ARGS__); while (0)

/* ---- what was asked ---- */

static bool parse_words(int argc, char **argv, struct request *request)
{
    struct cli_words words;
    const struct cli_flag flags[] = {{"--records", &request->records, NULL}, {"--batch", &request->batch, NULL}, {"--epochs", &request->epochs, NULL},
                                     {"--steps", &request->steps, NULL}, {"--epsilon", &request->epsilon, NULL}, {"--delta", &request->delta, NULL},
                                     {"--unit", &request->unit, NULL}, {"--honest", &request->honest, NULL}, {"--cohort", &request->cohort, NULL},
                                     {"--colluders", &request->colluders, NULL}, {"--block", &request->block, NULL},
                                     {"--adjacency", &request->adjacency, NULL}, {0}};
    return cli_words_sort(argc, argv, flags, 1, &words, request->why, sizeof request->why);
}

/* A number within its range; one that was not given stays as it is. */
static bool read_real(struct request *request, const char *flag, const char *text, double min, double max, double *out)
{
    double value;
    if (!text) return true;
    if (!sl_number_parse(text, &value) || !(value >= min && value <= max))
        return snprintf(request->why, sizeof request->why, "%s must be a number between %g and %g, and '%.40s' is not", flag, min, max, text), false;
    *out = value;
    return true;
}

static bool read_whole(struct request *request, const char *flag, const char *text, double min, double max, uint32_t *out)
{
    double value = *out;
    if (!read_real(request, flag, text, min, max, &value)) return false;
    if (value != floor(value)) return snprintf(request->why, sizeof request->why, "%s must be a whole number, and %.40s is not", flag, text), false;
    *out = (uint32_t)value;
    return true;
}

static bool want(struct request *request, const char *text, const char *flag, const char *meaning)
{
    if (text) return true;
    return snprintf(request->why, sizeof request->why, "%s is needed: %s", flag, meaning), false;
}

static bool refuse_of(struct request *request, const char *text, const char *flag, const char *unit)
{
    if (!text) return true;
    return snprintf(request->why, sizeof request->why, "%s is for --unit %s", flag, unit), false;
}

static bool read_record(struct request *request, struct answer *answer)
{
    struct sl_config *config = &answer->config;
    bool is_sound = want(request, request->batch, "--batch B", "how many records a step takes on average") &&
                    want(request, request->steps, "--steps S", "how many steps an epoch has") && refuse_of(request, request->honest, "--honest", "node") &&
                    refuse_of(request, request->colluders, "--colluders", "node") && refuse_of(request, request->cohort, "--cohort", "node") &&
                    refuse_of(request, request->block, "--block", "node") && refuse_of(request, request->adjacency, "--adjacency", "node") &&
                    read_whole(request, "--batch", request->batch, 1, config->privacy_records, &config->privacy_batch) &&
                    read_whole(request, "--steps", request->steps, 1, 1e6, &config->privacy_steps);
    if (is_sound) config->privacy_sampling_rate = (double)config->privacy_batch / config->privacy_records;
    return is_sound;
}

static bool read_node(struct request *request, struct answer *answer)
{
    struct sl_config *config = &answer->config;
    bool is_replace = request->adjacency && strcmp(request->adjacency, "replace") == 0;
    bool is_sound = want(request, request->honest, "--honest H", "how many honest shares of noise a cohort's sum counts on; 1: everybody adds all of it") &&
                    refuse_of(request, request->batch, "--batch", "record") && refuse_of(request, request->steps, "--steps", "record") &&
                    read_whole(request, "--honest", request->honest, 1, SL_COHORT_MAX, &config->privacy_honest) &&
                    read_whole(request, "--colluders", request->colluders, 0, SL_COHORT_MAX - 1, &config->privacy_colluders) &&
                    read_whole(request, "--cohort", request->cohort, 4, SL_COHORT_MAX, &answer->cohort) &&
                    read_whole(request, "--block", request->block, 1, UINT32_MAX, &answer->n_block);
    if (is_sound && request->adjacency && !is_replace && strcmp(request->adjacency, "zero-out") != 0)
        return snprintf(request->why, sizeof request->why, "--adjacency is zero-out or replace"), false;
    if (is_replace) snprintf(config->privacy_adjacency, sizeof config->privacy_adjacency, "replace");
    return is_sound;
}

static bool read_request(struct request *request, struct answer *answer)
{
    struct sl_config *config = &answer->config;
    uint32_t epochs = 0;
    const char *unit = request->unit ? request->unit : "record";
    bool is_sound = want(request, request->records, "--records N", "about how many records there are") &&
                    want(request, request->epochs, "--epochs E", "for how many epochs the budget must last") &&
                    want(request, request->epsilon, "--epsilon X", "what all epochs together may cost") &&
                    read_whole(request, "--records", request->records, 1, UINT32_MAX, &config->privacy_records) &&
                    read_whole(request, "--epochs", request->epochs, 1, CLI_EPOCHS_MAX, &epochs) &&
                    read_real(request, "--epsilon", request->epsilon, 1e-3, 1e3, &answer->epsilon) &&
                    read_real(request, "--delta", request->delta, SL_DELTA_MIN, SL_DELTA_MAX, &answer->delta);
    if (!is_sound) return false;

    answer->epochs = epochs;
    snprintf(config->privacy_unit, sizeof config->privacy_unit, "%s", unit);
    if (strcmp(unit, "record") == 0) return read_record(request, answer);
    if (strcmp(unit, "node") == 0) return read_node(request, answer);
    return snprintf(request->why, sizeof request->why, "--unit is record or node"), false;
}

/* ---- what is doubtful ---- */

/* The cohort's rules are the network's: its own check puts into words what does not fit. */
static void check_cohort(struct answer *answer)
{
    char why[WHY_SIZE];
    struct sl_config config = answer->config;
    if (answer->cohort > 0) config.cohort_size = config.cohort_min_size = config.cohort_max_size = config.privacy_cohort_min_size = answer->cohort;
    config.privacy_node_noise = fmin(answer->noise.noise, CLI_NOISE_MAX);
    config.privacy_node_clip = 1;
    if (answer->cohort > 0 && sl_privacy_check_network(&config, why, sizeof why) != SL_OK) WARN(answer, "%s", why);
    if (answer->cohort == 0 && config.privacy_honest > 1)
        WARN(answer, "epsilon holds for cohorts in which at least %u members add their noise and do not collude; --cohort C checks a size",
             config.privacy_honest);
}

static void find_warnings(struct answer *answer)
{
    const struct sl_config *config = &answer->config;
    const double noise = answer->noise.noise;
    if (noise > CLI_NOISE_MAX)
        WARN(answer, "this is more noise than the %d clip norms that a node takes: choose a larger epsilon, or fewer epochs or steps", CLI_NOISE_MAX);
    if (!(answer->delta * config->privacy_records < 1))
        WARN(answer, "delta must be below 1 / records = %.3g, or publishing single records would count as private; no node starts with these settings",
             1. / config->privacy_records);
    if (answer->noise.epsilon < .95 * answer->epsilon) WARN(answer, "less noise than this is not taken by a node, so epsilon is smaller than what you allow");
    if (answer->noise.epsilon > 10) WARN(answer, "an epsilon above 10 promises little");
    if (sl_unit_of(config) != SL_UNIT_NODE) return;
    check_cohort(answer);
    if (config->privacy_honest == 1)
        WARN(answer, "every node adds all of the noise: this makes a useful model only with many hundreds of nodes");
}

/* ---- the answer ---- */

/* The shortest text that reads back as the same number. */
static const char *exact(double value, char out[32])
{
    snprintf(out, 32, "%.15g", value);
    double again;
    if (!sl_number_parse(out, &again) || again != value) snprintf(out, 32, "%.17g", value);
    return out;
}

static void print_group(const struct answer *answer)
{
    double delta = sl_group_delta(answer->noise.epsilon, answer->delta, 2);
    printf("This protects one record. For a person with 2 records ");
    if (delta > 1e-2) puts("there is no bound worth the name.");
    else printf("epsilon is %.4g at delta = %.2g; with more of them both grow on.\n", 2 * answer->noise.epsilon, delta);
}

static void print_record(const struct answer *answer)
{
    const struct sl_config *config = &answer->config;
    char text[32];
    printf("Unit record, add or remove one record: %llu epochs of %u steps; a step takes each of about %u records with probability %g.\n\n",
           (unsigned long long)answer->epochs, config->privacy_steps, config->privacy_records, config->privacy_sampling_rate);
    printf("  privacy.unit=record\n  privacy.records=%u\n  privacy.sampling_rate=%s\n", config->privacy_records, exact(config->privacy_sampling_rate, text));
    printf("  privacy.batch=%u\n  privacy.steps=%u\n  privacy.noise=%s\n", config->privacy_batch, config->privacy_steps, exact(answer->noise.noise, text));
    printf("  privacy.clip=1            (your choice: epsilon does not depend on it)\n");
    printf("  privacy.eps_max=%s\n", exact(answer->epsilon, text));
    printf("  privacy.delta=%s\n\n", exact(answer->delta, text));
    printf("z = %s: the noise of a step has this standard deviation, in clip norms. Divided by the batch it is %.3g clip norms a weight.\n",
           exact(answer->noise.noise, text), answer->noise.noise / config->privacy_batch);
    printf("After %llu epochs epsilon = %.6g at delta = %g, whoever sees all that the node ever sends, and whoever else colludes.\n",
           (unsigned long long)answer->epochs, answer->noise.epsilon, answer->delta);
    print_group(answer);
}

/* Noise of a mean over c members, in clip norms: c shares of z / sqrt(h) each. */
static double noise_of_mean(const struct answer *answer, uint32_t c)
{
    return answer->noise.noise / sqrt((double)answer->config.privacy_honest * c);
}

static bool is_replace(const struct sl_config *config)
{
    return sl_adjacency_of(config) == SL_ADJACENCY_REPLACE;
}

static void print_node(const struct answer *answer)
{
    const struct sl_config *config = &answer->config;
    const uint32_t h = config->privacy_honest;
    char text[32];
    printf("Unit node, %s: %llu epochs, each a release of all that a node learnt in it; a sum counts on %u honest share%s of noise.\n\n",
           is_replace(config) ? "other data in place of a node's" : "a node's data or none", (unsigned long long)answer->epochs, h, h == 1 ? "" : "s");
    printf("  network:  privacy.unit=node\n            privacy.honest=%u\n            privacy.colluders=%u\n", h, config->privacy_colluders);
    if (answer->cohort > 0) printf("            privacy.cohort_min_size=%u\n", answer->cohort);
    printf("            privacy.node_noise=%s\n", exact(answer->noise.noise, text));
    printf("            privacy.node_clip=1   (or another power of two: epsilon does not depend on it)\n");
    printf("  node:     privacy.records=%u\n", config->privacy_records);
    if (is_replace(config)) puts("            privacy.adjacency=replace");
    printf("            privacy.eps_max=%s\n", exact(answer->epsilon, text));
    printf("            privacy.delta=%s\n\n", exact(answer->delta, text));
    printf("z = %s: the noise of a sum has this standard deviation, in clip norms; a node's share of it is %.4g.\n", exact(answer->noise.noise, text),
           answer->noise.noise / sqrt(h));
    if (answer->cohort > 0) printf("In the mean of %u members it is %.3g clip norms a weight.\n", answer->cohort, noise_of_mean(answer, answer->cohort));
    if (answer->n_block > 0) printf("Audit factor %.6g: what the audit of a block of %u weights adds.\n", answer->noise.audit_factor, answer->n_block);
    printf("After %llu epochs epsilon = %.6g at delta = %g, as long as at most %u members of a cohort collude or add no noise.\n",
           (unsigned long long)answer->epochs, answer->noise.epsilon, answer->delta, config->privacy_colluders);
    printf("If everybody else colludes, only the node's own share is left: eps_floor = %.6g.\n", answer->noise.floor);
    puts("Epochs that a cohort does not finish count as well. That a node takes part is not hidden.");
}

static int print_text(const struct answer *answer)
{
    if (sl_unit_of(&answer->config) == SL_UNIT_RECORD) print_record(answer);
    else print_node(answer);
    for (uint32_t i = 0; i < answer->n_warnings; i++) printf("%swarning: %s\n", i == 0 ? "\n" : "", answer->warnings[i]);
    return CLI_OK;
}

static json_t *json_of(const struct answer *answer)
{
    const struct sl_config *config = &answer->config;
    const bool is_record = sl_unit_of(config) == SL_UNIT_RECORD;
    json_t *warnings = json_array();
    for (uint32_t i = 0; i < answer->n_warnings; i++) json_array_append_new(warnings, json_string(answer->warnings[i]));
    json_t *data = json_pack("{s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:o}", "unit", config->privacy_unit, "noise", answer->noise.noise, "epsilon",
                             answer->noise.epsilon, "epsilon_wanted", answer->epsilon, "delta", answer->delta, "epochs", (json_int_t)answer->epochs,
                             "records", (json_int_t)config->privacy_records, "warnings", warnings);
    json_t *more = is_record ? json_pack("{s:f, s:I, s:I}", "sampling_rate", config->privacy_sampling_rate, "batch", (json_int_t)config->privacy_batch, "steps",
                                         (json_int_t)config->privacy_steps)
                             : json_pack("{s:f, s:I, s:I, s:f, s:f}", "eps_floor", answer->noise.floor, "honest", (json_int_t)config->privacy_honest,
                                         "colluders", (json_int_t)config->privacy_colluders, "audit_factor", answer->noise.audit_factor, "share",
                                         answer->noise.noise / sqrt(config->privacy_honest));
    bool is_whole = data && more && json_object_update(data, more) == 0;
    if (is_whole && answer->cohort > 0)
        is_whole = json_object_set_new(data, "noise_of_mean", json_real(noise_of_mean(answer, answer->cohort))) == 0;
    json_decref(more);
    if (is_whole) return data;
    json_decref(data);
    return NULL;
}

int cli_privacy_plan(struct cli *cli, int argc, char **argv)
{
    struct request request = {0};
    struct answer answer = {.delta = 1e-5};
    sl_config_init(&answer.config);
    if (!parse_words(argc, argv, &request) || !read_request(&request, &answer)) return cli_fail(cli, CLI_ARGUMENTS, "%s", request.why);

    if (cli_noise_for(&answer.config, answer.n_block, answer.epochs, answer.epsilon, answer.delta, &answer.noise) != SL_OK)
        return cli_fail(cli, CLI_ARGUMENTS, "epsilon %g at delta %g for %llu epochs cannot be reached: %s", answer.epsilon, answer.delta,
                        (unsigned long long)answer.epochs, answer.n_block > 0 && (double)answer.epochs * SL_AUDIT_DELTA > answer.delta / 2
                            ? "every audit takes 1e-9 of delta, and so many take more than half of it; choose fewer epochs or a larger delta"
                            : "not even noise of 10,000 clip norms would do; choose a larger epsilon, or fewer epochs or steps");
    find_warnings(&answer);
    return cli->json ? cli_answer(cli, json_of(&answer)) : print_text(&answer);
}
