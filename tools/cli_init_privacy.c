/* SPDX-License-Identifier: MIT */
#include "cli_init_privacy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_files.h"
#include "cli_privacy_noise.h"
#include "config/options.h"
#include "config/plan.h"
#include "data/number.h"
#include "share/block.h"
#include "starling/error.h"

enum { DATASET, RECORDS, EPSILON, DELTA, EPOCHS };

static const double delta_default = 1e-5;

/* ---- flags ---- */

static int set_flag(struct sl_config *config, const char *flag, const char *key, const char *value, char *why)
{
    char sentence[SL_WHY_SIZE];
    if (!value) return SL_OK;

    int error = sl_config_set(config, key, value, sentence, sizeof sentence);
    if (error != SL_OK) return SL_FAIL(error, why, CLI_WHY_SIZE, "%s: %s", flag, cli_without_key(sentence, key));
    return SL_OK;
}

static bool read_epochs(const char *text, uint64_t *out)
{
    double value;
    if (!sl_number_parse(text, &value) || !(value >= 1 && value <= CLI_EPOCHS_MAX) || value != floor(value)) return false;
    *out = (uint64_t)value;
    return true;
}

int cli_init_privacy_flags(struct cli_init_privacy *privacy, struct sl_config *config, char *why)
{
    enum sl_unit unit = sl_unit_of(config);
    bool is_any = privacy->epsilon || privacy->delta || privacy->epochs || privacy->records || privacy->dataset;
    if (unit == SL_UNIT_OFF && is_any)
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, CLI_WHY_SIZE,
                       "--epsilon, --delta, --epochs, --records, --dataset: this network has privacy.unit = off, there is no budget to set");
    if (unit == SL_UNIT_NODE && privacy->epochs)
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, CLI_WHY_SIZE,
                       "--epochs: with privacy.unit = node the noise stands in the network's descriptor; how many epochs an epsilon allows follows from it");
    if (privacy->epochs && !read_epochs(privacy->epochs, &privacy->n_epochs))
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, CLI_WHY_SIZE, "--epochs %.40s: must be a whole number between 1 and %d", privacy->epochs, CLI_EPOCHS_MAX);

    int error = set_flag(config, "--epsilon", "privacy.eps_max", privacy->epsilon, why);
    if (error == SL_OK) error = set_flag(config, "--delta", "privacy.delta", privacy->delta, why);
    if (error == SL_OK) error = set_flag(config, "--records", "privacy.records", privacy->records, why);
    if (error == SL_OK) error = set_flag(config, "--dataset", "privacy.dataset", privacy->dataset, why);
    return error;
}

/* ---- what nobody said ---- */

/* Rounded down to one digit: 613 rows are told as 600. */
static uint32_t round_figure(uint32_t n_rows)
{
    uint32_t unit = 1;
    while (n_rows / unit >= 10) unit *= 10;
    return n_rows / unit * unit;
}

/* The usual one, or the next power of ten below 1 / records. */
static double usual_delta(uint32_t records)
{
    return records > 0 ? fmin(delta_default, pow(10, -(floor(log10(records)) + 1))) : delta_default;
}

static void last_part(const char *folder, char out[SL_TEXT_MAX])
{
    size_t end = strlen(folder);
    while (end > 1 && folder[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && folder[begin - 1] != '/') begin--;
    snprintf(out, SL_TEXT_MAX, "%.*s", (int)(end - begin), folder + begin);
}

/* Asks until the answer suits; an empty line takes what is proposed. True when a person chose something else. */
static bool ask(const char *question, const char *proposed, char *out, size_t size)
{
    char line[SL_TEXT_MAX];
    fprintf(stderr, "%s [%s]: ", question, proposed);
    fflush(stderr);
    bool is_there = fgets(line, sizeof line, stdin) != NULL;
    size_t length = is_there ? strcspn(line, "\r\n") : 0;
    line[length] = 0;
    snprintf(out, size, "%s", length > 0 ? line : proposed);
    return length > 0;
}

/* One open option: from a person, else as proposed. */
static int fill(struct cli_init_privacy *privacy, struct sl_config *config, int which, const char *key, const char *question, const char *proposed, char *why)
{
    char value[SL_TEXT_MAX], sentence[SL_WHY_SIZE];
    privacy->is_default[which] = true;
    for (;;) {
        snprintf(value, sizeof value, "%s", proposed);
        bool is_chosen = privacy->may_ask && ask(question, proposed, value, sizeof value);
        int error = key ? sl_config_set(config, key, value, sentence, sizeof sentence)
                        : read_epochs(value, &privacy->n_epochs) ? SL_OK : SL_FAIL(SL_ERROR_OUT_OF_RANGE, sentence, sizeof sentence,
                                                                                   "a whole number from 1 on");
        if (is_chosen) privacy->is_default[which] = false;
        if (error == SL_OK) return SL_OK;
        if (!is_chosen) return SL_FAIL(error, why, CLI_WHY_SIZE, "%s", sentence);
        fprintf(stderr, "  %s\n", sentence);
    }
}

static int fill_open(struct cli_init_privacy *privacy, struct sl_config *config, char *why)
{
    char proposed[SL_TEXT_MAX];
    int error = SL_OK;
    if (privacy->may_ask)
        fprintf(stderr, "Privacy of this network is per %s. Five questions at most; Return takes what is proposed.\n", config->privacy_unit);
    if (!config->privacy_dataset[0]) {
        last_part(privacy->folder, proposed);
        error = fill(privacy, config, DATASET, "privacy.dataset", "Your name for these data; the budget belongs to them", proposed, why);
    }
    if (error == SL_OK && config->privacy_records == 0) {
        snprintf(proposed, sizeof proposed, "%u", round_figure(privacy->n_rows));
        error = fill(privacy, config, RECORDS, "privacy.records", "About how many records are there? A round figure that anybody may know", proposed, why);
    }
    if (error == SL_OK && !privacy->epsilon && config->privacy_eps_max == 8)
        error = fill(privacy, config, EPSILON, "privacy.eps_max", "The most epsilon that may ever be spent on them: 1 is strict, 8 usual, above 10 says "
                     "little", "8", why);
    if (error == SL_OK && !privacy->delta && config->privacy_delta == delta_default) {
        snprintf(proposed, sizeof proposed, "%g", usual_delta(config->privacy_records));
        error = fill(privacy, config, DELTA, "privacy.delta", "delta, the chance that more than epsilon says is lost; below 1 / records", proposed, why);
    }
    if (error == SL_OK && privacy->n_epochs == 0 && sl_unit_of(config) == SL_UNIT_RECORD) {
        snprintf(proposed, sizeof proposed, "%d", CLI_EPOCHS_PLANNED);
        error = fill(privacy, config, EPOCHS, NULL, "For how many epochs must that last?", proposed, why);
    }
    return error;
}

/* ---- what follows from it ---- */

/* Settings that --set gave stay, and the noise is made for them. */
static int plan_record(struct cli_init_privacy *privacy, struct sl_config *config, char *why)
{
    struct cli_plan_record plan = {.records = config->privacy_records, .dim = privacy->dim, .epochs = privacy->n_epochs, .epsilon = config->privacy_eps_max,
                                   .delta = config->privacy_delta};
    struct cli_noise noise;
    char sentence[CLI_PLAN_WHY_SIZE];
    bool is_own = config->privacy_sampling_rate > 0 || config->privacy_steps > 0 || config->privacy_noise > 0;
    int error = cli_plan_record(&plan, sentence);
    if (error != SL_OK && !is_own) return SL_FAIL(error, why, CLI_WHY_SIZE, "%s", sentence);

    if (!(config->privacy_sampling_rate > 0)) config->privacy_sampling_rate = plan.sampling_rate;
    if (config->privacy_batch == 0)
        config->privacy_batch = (uint32_t)fmax(1, floor(config->privacy_sampling_rate * config->privacy_records + .5));
    if (config->privacy_steps == 0) config->privacy_steps = plan.steps;
    if (!(config->privacy_clip > 0)) config->privacy_clip = plan.clip;
    if (config->privacy_noise > 0) return SL_OK;
    if (!is_own) snprintf(privacy->doubt, sizeof privacy->doubt, "%s", plan.doubt);

    error = cli_noise_for(config, 0, privacy->n_epochs, config->privacy_eps_max, config->privacy_delta, &noise);
    if (error != SL_OK || noise.noise > CLI_NOISE_MAX)
        return SL_FAIL(SL_ERROR_OUT_OF_RANGE, why, CLI_WHY_SIZE,
                       "epsilon %g for %llu epochs would take more noise than is possible at these settings; choose a larger epsilon or fewer epochs",
                       config->privacy_eps_max, (unsigned long long)privacy->n_epochs);
    config->privacy_noise = noise.noise;
    return SL_OK;
}

/* What one epoch costs, and how many fit: as the node itself will count. */
static int count_epochs(struct cli_init_privacy *privacy, const struct sl_config *config, char *why)
{
    uint32_t n_block = sl_block_size(config->block_size, privacy->dim);
    const struct sl_charge charge = sl_charge_of(config, n_block);
    const struct sl_limits limits = sl_limits_of(config);
    struct sl_budget budget;
    if (sl_charge_check(&charge) != SL_OK)
        return SL_FAIL(SL_ERROR_OUT_OF_RANGE, why, CLI_WHY_SIZE, "nobody can say what an epoch costs at these settings: noise, clip or steps are out of range");

    sl_budget_init(&budget);
    privacy->n_epochs = sl_budget_rounds_left(&budget, &charge, &limits);
    if (privacy->n_epochs == 0)
        return SL_FAIL(SL_ERROR_OUT_OF_RANGE, why, CLI_WHY_SIZE, "not one epoch fits into epsilon %g at delta %g: this node would never learn; allow "
                       "more, or take more noise",
                       limits.eps_max, limits.delta);
    sl_budget_add(&budget, &charge);
    privacy->first = sl_budget_epsilon(&budget, limits.delta);
    privacy->first_floor = sl_budget_floor(&budget, limits.delta);

    struct sl_rdp sum = {{0}}, floor = {{0}};            /* of all of them at once: adding a million charges would take its time */
    sl_rdp_add(&sum, &budget.last_sum, (double)privacy->n_epochs);
    sl_rdp_add(&floor, &budget.last_floor, (double)privacy->n_epochs);
    const double audits = charge.audit_rows > 0 ? (double)privacy->n_epochs * SL_AUDIT_DELTA : 0;
    privacy->after = sl_epsilon(&sum, limits.delta - audits, NULL);
    privacy->after_floor = sl_epsilon(&floor, limits.delta, NULL);
    return SL_OK;
}

int cli_init_privacy_plan(struct cli_init_privacy *privacy, struct sl_config *config, char *why)
{
    enum sl_unit unit = sl_unit_of(config);
    if (unit == SL_UNIT_OFF) return SL_OK;

    char sentence[SL_WHY_SIZE];
    int error = fill_open(privacy, config, why);
    if (error == SL_OK && !(config->privacy_delta * config->privacy_records < 1))
        return SL_FAIL(SL_ERROR_OUT_OF_RANGE, why, CLI_WHY_SIZE, "delta = %g is not below 1 / %u records: publishing single records would count as "
                       "private; lower it",
                       config->privacy_delta, config->privacy_records);
    if (error == SL_OK && unit == SL_UNIT_RECORD) error = plan_record(privacy, config, why);
    if (error != SL_OK) return error;

    error = sl_config_check(config, sentence, sizeof sentence);
    if (error != SL_OK) return SL_FAIL(error, why, CLI_WHY_SIZE, "%s", sentence);
    return count_epochs(privacy, config, why);
}

/* ---- what is said ---- */

static void say_record(const struct cli_init_privacy *privacy, const struct sl_config *config)
{
    printf("\n  privacy   protects every single example (unit record): whether it is there or not (add-remove) changes what the node sends by no more than\n"
           "            epsilon %.4g after the first epoch, never above %g, at delta %g; enough for %llu epochs. Then it learns no more, and goes on merging\n",
           privacy->first, config->privacy_eps_max, config->privacy_delta, (unsigned long long)privacy->n_epochs);
    printf("  noise     a step takes each record with probability %.3g, clips its gradient to norm %g, adds noise of %.4g times that, divides by %u; %u "
           "step%s an epoch\n",
           config->privacy_sampling_rate, config->privacy_clip, config->privacy_noise, config->privacy_batch, config->privacy_steps,
           config->privacy_steps == 1 ? "" : "s");
}

static void say_node(const struct cli_init_privacy *privacy, const struct sl_config *config)
{
    printf("\n  privacy   protects all data of this node together (unit node): whether it learned from them or not (%s) changes what is published by no more\n"
           "            than this. While at most %u members of a cohort collude: epsilon %.4g after the first epoch, %.4g after all %llu that fit, never "
           "above %g;\n"
           "            if all others collude: epsilon %.4g after the first epoch, %.4g after all%s. Both at delta %g\n",
           sl_adjacency_of(config) == SL_ADJACENCY_REPLACE ? "or from any others: replace" : "zero-out", config->privacy_colluders, privacy->first,
           privacy->after,
           (unsigned long long)privacy->n_epochs, config->privacy_eps_max, privacy->first_floor, privacy->after_floor,
           config->privacy_floor_max > 0 ? "" : " (no limit; privacy.floor_max would set one)", config->privacy_delta);
    printf("  noise     the network's: an epoch's change is clipped to norm %g; a cohort's sum has noise of %.4g times that, %.4g of it from this node\n",
           config->privacy_node_clip, config->privacy_node_noise, config->privacy_node_noise / sqrt(config->privacy_honest));
}

static void say_defaults(const struct cli_init_privacy *privacy, const struct sl_config *config)
{
    const bool *is_default = privacy->is_default;
    bool is_any = false;
    for (uint32_t i = 0; i < sizeof privacy->is_default / sizeof privacy->is_default[0]; i++) is_any = is_any || is_default[i];
    if (!is_any) return;

    printf("            nobody said otherwise, so:");
    if (is_default[DATASET]) printf(" --dataset %s", config->privacy_dataset);
    if (is_default[RECORDS]) printf(" --records %u (rows, rounded down)", config->privacy_records);
    if (is_default[EPSILON]) printf(" --epsilon %g", config->privacy_eps_max);
    if (is_default[DELTA]) printf(" --delta %g", config->privacy_delta);
    if (is_default[EPOCHS]) printf(" --epochs %d", CLI_EPOCHS_PLANNED);
    puts("");
}

void cli_init_privacy_say(const struct cli_init_privacy *privacy, const struct sl_config *config)
{
    enum sl_unit unit = sl_unit_of(config);
    if (unit == SL_UNIT_OFF) {
        printf("\nPRIVACY IS OFF: single vectors are masked within a cohort, nothing more.\n");
        return;
    }
    if (unit == SL_UNIT_RECORD) say_record(privacy, config);
    else say_node(privacy, config);
    printf("  budget    belongs to the data, \"%s\", whatever model learns from them; new rows in the same file share it. Public by your choice: about %u "
           "records\n",
           config->privacy_dataset, config->privacy_records);
    say_defaults(privacy, config);
    if (privacy->doubt[0]) printf("\nDOUBTFUL: %s.\n", privacy->doubt);
}

json_t *cli_init_privacy_answer(const struct cli_init_privacy *privacy, const struct sl_config *config)
{
    enum sl_unit unit = sl_unit_of(config);
    if (unit == SL_UNIT_OFF) return json_pack("{s:s}", "unit", config->privacy_unit);

    json_t *answer = json_pack("{s:s, s:s, s:I, s:f, s:f, s:I, s:f, s:f, s:f, s:f, s:s*}", "unit", config->privacy_unit, "dataset", config->privacy_dataset,
                               "records", (json_int_t)config->privacy_records, "eps_max", config->privacy_eps_max, "delta", config->privacy_delta, "epochs",
                               (json_int_t)privacy->n_epochs, "epsilon_first", privacy->first, "epsilon_after", privacy->after, "floor_first",
                               privacy->first_floor, "floor_after", privacy->after_floor, "doubt", privacy->doubt[0] ? privacy->doubt : NULL);
    if (answer && unit == SL_UNIT_RECORD)
        json_object_set_new(answer, "settings", json_pack("{s:f, s:I, s:I, s:f, s:f}", "sampling_rate", config->privacy_sampling_rate, "batch",
                                                          (json_int_t)config->privacy_batch, "steps", (json_int_t)config->privacy_steps, "clip",
                                                          config->privacy_clip, "noise", config->privacy_noise));
    return answer;
}
