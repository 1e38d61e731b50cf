/* SPDX-License-Identifier: MIT */
/* starling config check | list | get: the options of a node's directory, without a running node. */
#include "cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli_compare.h"
#include "cli_files.h"
#include "cli_words.h"
#include "config/network.h"
#include "config/options.h"
#include "runtime/settings.h"
#include "runtime/setup.h"
#include "starling/error.h"

static const uint64_t soon_s = 14 * 86400;

static const char usage[] = "wanted: starling config check DIR, starling config list [DIR] [--changed], or starling config get KEY [DIR]";

struct request {
    struct cli *cli;
    struct cli_words words;
    const char *folder;
    bool changed;
    char why[CLI_WHY_SIZE];
};

/* ---- check: all that starlingd checks when it starts ---- */

/* What is allowed and yet worth a word; several sentences, one a line. */
static void find_doubts(const struct sl_setup *setup, json_t *doubts)
{
    char sentence[CLI_WHY_SIZE], then[CLI_TIME_SIZE];
    const struct sl_config *config = &setup->config;
    if (cli_scale_is_doubtful(&setup->data, config->data_path, &setup->scaling, sentence, sizeof sentence))
        json_array_append_new(doubts, json_string(sentence));
    if (setup->identity.address[0] == 0)
        json_array_append_new(doubts, json_string("others cannot dial this node: node.listen is a wildcard and node.address is empty"));
    if (setup->certificate_expires_s - (uint64_t)time(NULL) < soon_s) {
        snprintf(sentence, sizeof sentence, "the node is a member only until %s; ask for a new invite", cli_time_text(setup->certificate_expires_s, then));
        json_array_append_new(doubts, json_string(sentence));
    }
    if (setup->book_damaged) json_array_append_new(doubts, json_string("the book of addresses is damaged; the node starts without it"));
}

static int check(struct request *request)
{
    struct sl_setup *setup = calloc(1, sizeof *setup);
    if (!setup) return cli_fail(request->cli, CLI_FAILED, "not enough memory");

    int code = CLI_OK, error = sl_setup_load(setup, request->folder, request->words.settings, request->words.n_settings, request->why, CLI_WHY_SIZE);
    if (error != SL_OK) {
        code = cli_fail(request->cli, cli_code_of(error), "%s", request->why);
    } else {
        json_t *doubts = json_array(), *doubt;
        size_t i;
        find_doubts(setup, doubts);
        if (request->cli->json) {
            code = cli_answer(request->cli, json_pack("{s:s, s:i, s:i, s:O}", "directory", request->folder, "rows", (int)setup->data.n_rows, "features",
                                                      (int)setup->data.n_features, "doubts", doubts));
        } else {
            printf("%s: the node can start: %u rows of %u features, model %s\n", request->folder, setup->data.n_rows, setup->data.n_features,
                   setup->config.model);
            json_array_foreach(doubts, i, doubt) printf("DOUBTFUL: %s\n", json_string_value(doubt));
        }
        json_decref(doubts);
        sl_setup_finish(setup);
    }
    free(setup);
    return code;
}

/* ---- list and get: the options as they stand, or the defaults where no directory is named ---- */

static int read_options(struct request *request, struct sl_config *config)
{
    char path[SL_PATH_SIZE];
    struct sl_scaling scaling = {0};
    sl_config_init(config);
    if (!request->folder) return SL_OK;
    if (sl_path_join(request->folder, "network.conf", path) != SL_OK)
        return SL_FAIL(SL_ERROR_TOO_LARGE, request->why, CLI_WHY_SIZE, "%s: is too long", request->folder);

    int error = sl_network_read(path, config, &scaling, request->why, CLI_WHY_SIZE);
    sl_scaling_finish(&scaling);
    sl_path_join(request->folder, "node.conf", path);
    bool has_settings = cli_file_exists(request->folder, "node.conf") || !cli_file_exists(request->folder, "operator.key");
    if (error == SL_OK && has_settings) error = sl_settings_read(path, config, request->why, CLI_WHY_SIZE);
    return error;
}

static json_t *json_of(const struct sl_option *option, const char *value)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "key", option->key, "value", value, "default", option->initial, "scope",
                     option->scope == SL_SCOPE_NETWORK ? "network" : "node");
}

static int list(struct request *request)
{
    struct sl_config config;
    int error = read_options(request, &config);
    if (error != SL_OK) return cli_fail(request->cli, cli_code_of(error), "%s", request->why);

    struct sl_config initial;
    sl_config_init(&initial);
    json_t *options = json_array();
    for (uint32_t i = 0; i < sl_config_count(); i++) {
        const struct sl_option *option = sl_config_option(i);
        char value[SL_TEXT_MAX], before[SL_TEXT_MAX];
        sl_config_get(&config, option->key, value, sizeof value);
        sl_config_get(&initial, option->key, before, sizeof before);
        if (request->changed && strcmp(value, before) == 0) continue;
        if (request->cli->json) json_array_append_new(options, json_of(option, value));
        else printf("%-20s %-8s %s\n", option->key, option->scope == SL_SCOPE_NETWORK ? "network" : "node", value);
    }
    int code = request->cli->json ? cli_answer(request->cli, json_pack("{s:O}", "options", options)) : CLI_OK;
    json_decref(options);
    return code;
}

static int get(struct request *request, const char *key)
{
    struct sl_config config;
    char value[SL_TEXT_MAX], range[SL_TEXT_MAX];
    int error = read_options(request, &config);
    if (error != SL_OK) return cli_fail(request->cli, cli_code_of(error), "%s", request->why);

    const struct sl_option *option = sl_config_find(key);
    if (!option) {
        sl_config_set(&config, key, "", request->why, CLI_WHY_SIZE);         /* for its sentence, which names the nearest key */
        return cli_fail(request->cli, CLI_ARGUMENTS, "%s", request->why);
    }
    sl_config_get(&config, key, value, sizeof value);
    sl_option_range(option, range, sizeof range);
    if (request->cli->json) return cli_answer(request->cli, json_of(option, value));

    printf("%s\n", value);
    fprintf(stderr, "%s: %s (%s; default \"%s\")\n", key, option->help, range, option->initial);
    return CLI_OK;
}

int cli_config(struct cli *cli, int argc, char **argv)
{
    struct request request = {.cli = cli};
    const struct cli_flag flags[] = {{"--changed", NULL, &request.changed}, {"--set", NULL, NULL}, {0}};
    if (!cli_words_sort(argc, argv, flags, 3, &request.words, request.why, CLI_WHY_SIZE)) return cli_fail(cli, CLI_ARGUMENTS, "%s", request.why);

    const struct cli_words *words = &request.words;
    const char *verb = words->n_plain > 0 ? words->plain[0] : "";
    uint32_t n_before = strcmp(verb, "get") == 0 ? 2 : 1;
    request.folder = words->n_plain > n_before ? words->plain[n_before] : cli->directory;
    if (strcmp(verb, "check") == 0 && words->n_plain <= 2 && request.folder) return check(&request);
    if (strcmp(verb, "list") == 0 && words->n_plain <= 2) return list(&request);
    if (strcmp(verb, "get") == 0 && words->n_plain >= 2) return get(&request, words->plain[1]);
    return cli_fail(cli, CLI_ARGUMENTS, "%s", usage);
}
