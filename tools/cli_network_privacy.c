/* SPDX-License-Identifier: MIT */
#include "cli_network_privacy.h"

#include <math.h>
#include <stdio.h>

#include "cli_files.h"
#include "cli_privacy_noise.h"
#include "config/options.h"
#include "data/number.h"
#include "share/block.h"
#include "starling/error.h"

/* Twenty members share the noise of a sum well; with a few more or less a cohort goes on. */
enum { COHORT_SIZE = 20, COHORT_SIZE_MAX = 24 };

static int read_real(const char *flag, const char *text, double min, double max, double *out, char *why)
{
    if (!text) return SL_OK;
    if (sl_number_parse(text, out) && *out >= min && *out <= max) return SL_OK;
    return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, CLI_WHY_SIZE, "%s %.40s: must be a number between %g and %g", flag, text, min, max);
}

static int read_flags(struct cli_network_privacy *privacy, char *why)
{
    double epochs = CLI_NETWORK_EPOCHS;
    privacy->wanted = 8;
    privacy->wanted_delta = 1e-5;
    int error = read_real("--epsilon", privacy->epsilon, 1e-3, 1e3, &privacy->wanted, why);
    if (error == SL_OK) error = read_real("--delta", privacy->delta, SL_DELTA_MIN, SL_DELTA_MAX, &privacy->wanted_delta, why);
    if (error == SL_OK) error = read_real("--epochs", privacy->epochs, 1, CLI_EPOCHS_MAX, &epochs, why);
    privacy->n_epochs = (uint64_t)epochs;
    return error;
}

int cli_network_privacy_check(struct cli_network_privacy *privacy, struct sl_config *config, char *why)
{
    char sentence[SL_WHY_SIZE];
    bool is_node = sl_unit_of(config) == SL_UNIT_NODE, is_any = privacy->epsilon || privacy->delta || privacy->epochs;
    if (is_any && !is_node)
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, CLI_WHY_SIZE,
                       "--epsilon, --delta, --epochs: are for --unit node, where the noise is the network's; with unit record each node gives them to "
                       "`starling init`");
    int error = read_flags(privacy, why);
    if (error != SL_OK) return error;

    struct sl_config without = *config;                  /* what only nodes must give is not asked for here, and what follows comes later */
    snprintf(without.privacy_unit, sizeof without.privacy_unit, "off");
    error = sl_config_check(&without, sentence, sizeof sentence);
    return error == SL_OK ? SL_OK : SL_FAIL(error, why, CLI_WHY_SIZE, "%s", sentence);
}

static void at_least(uint32_t *value, uint32_t min)
{
    if (*value < min) *value = min;
}

/* Sizes that --set gave are large enough already, or would be refused: too small a cohort shares too little noise. */
static void enlarge_cohorts(struct sl_config *config)
{
    bool is_small = config->cohort_min_size < config->privacy_cohort_min_size;
    if (!is_small) return;

    at_least(&config->cohort_min_size, config->privacy_cohort_min_size);
    at_least(&config->cohort_size, COHORT_SIZE > config->cohort_min_size ? COHORT_SIZE : config->cohort_min_size);
    at_least(&config->cohort_max_size, COHORT_SIZE_MAX > config->cohort_size ? COHORT_SIZE_MAX : config->cohort_size);
}

static int find_noise(struct cli_network_privacy *privacy, struct sl_config *config, uint32_t n_block, char *why)
{
    struct cli_noise noise;
    if (config->privacy_node_noise > 0) return SL_OK;

    int error = cli_noise_for(config, n_block, privacy->n_epochs, privacy->wanted, privacy->wanted_delta, &noise);
    if (error != SL_OK || noise.noise > CLI_NOISE_MAX)
        return SL_FAIL(SL_ERROR_OUT_OF_RANGE, why, CLI_WHY_SIZE,
                       "epsilon %g for %llu epochs at delta %g would take more noise than is possible; choose a larger epsilon or fewer epochs",
                       privacy->wanted, (unsigned long long)privacy->n_epochs, privacy->wanted_delta);
    config->privacy_node_noise = noise.noise;
    privacy->is_planned = true;
    privacy->after = noise.epsilon;
    privacy->after_floor = noise.floor;
    return SL_OK;
}

static void count_first(struct cli_network_privacy *privacy, const struct sl_config *config, uint32_t n_block)
{
    struct sl_budget budget;
    const struct sl_charge charge = sl_charge_of(config, n_block);
    if (sl_charge_check(&charge) != SL_OK) return;

    sl_budget_init(&budget);
    sl_budget_add(&budget, &charge);
    privacy->first = sl_budget_epsilon(&budget, privacy->wanted_delta);
    privacy->first_floor = sl_budget_floor(&budget, privacy->wanted_delta);
}

int cli_network_privacy_plan(struct cli_network_privacy *privacy, struct sl_config *config, uint32_t dim, char *why)
{
    char sentence[SL_WHY_SIZE];
    if (sl_unit_of(config) != SL_UNIT_NODE) return SL_OK;

    uint32_t n_block = sl_block_size(config->block_size, dim);
    if (!(config->privacy_node_clip > 0)) config->privacy_node_clip = 1;
    enlarge_cohorts(config);
    int error = find_noise(privacy, config, n_block, why);
    if (error != SL_OK) return error;

    error = sl_config_check_network(config, sentence, sizeof sentence);
    if (error != SL_OK) return SL_FAIL(error, why, CLI_WHY_SIZE, "%s", sentence);
    count_first(privacy, config, n_block);
    return SL_OK;
}

/* ---- what is said ---- */

static void say_node(const struct cli_network_privacy *privacy, const struct sl_config *config)
{
    printf("\nPrivacy: unit node. All data of a node together are protected: whether it learned from them or not (zero-out) may change what is published "
           "by no more\n"
           "than epsilon allows, the smaller the better. An epoch's change is clipped to norm %g; the sum of a cohort has noise of %.6g times that norm, "
           "in shares.\n"
           "While at most %u members of a cohort collude: epsilon %.4g after one epoch", config->privacy_node_clip, config->privacy_node_noise,
           config->privacy_colluders, privacy->first);
    if (privacy->is_planned) printf(", %.4g after %llu", privacy->after, (unsigned long long)privacy->n_epochs);
    printf(".\nIf all others collude: epsilon %.4g after one epoch", privacy->first_floor);
    if (privacy->is_planned) printf(", %.4g after %llu", privacy->after_floor, (unsigned long long)privacy->n_epochs);
    printf(". Both at delta %g. Each node has a limit of its own, at which it stops learning.\n"
           "Cohorts have %u to %u members: this unit is for networks of many nodes.\n", privacy->wanted_delta, config->cohort_min_size,
           config->cohort_max_size);
}

void cli_network_privacy_say(const struct cli_network_privacy *privacy, const struct sl_config *config)
{
    switch (sl_unit_of(config)) {
    case SL_UNIT_OFF:
        printf("\nPRIVACY IS OFF: the vectors of single nodes are masked within a cohort, nothing more. There is no formal promise about what the shared\n"
               "model gives away of the data. Where such a promise is needed, make the network with --unit record or --unit node.\n");
        break;
    case SL_UNIT_RECORD:
        printf("\nPrivacy: unit record. Every single example of a node is protected: whether it is there or not (add-remove) may change what the node "
               "sends by no more\n"
               "than its epsilon allows. Each node's owner chooses it: `starling init` asks for an epsilon and a delta, and the node stops learning when "
               "they are spent.\n"
               "A person with several examples is protected less, a node as a whole not at all.\n");
        break;
    case SL_UNIT_NODE: say_node(privacy, config); break;
    }
}
