/* SPDX-License-Identifier: MIT */
/* starling network create: the descriptor of a new network, from a sample of its data. */
#include "cli.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_compare.h"
#include "cli_files.h"
#include "cli_join.h"
#include "cli_network_privacy.h"
#include "cli_words.h"
#include "config/network.h"
#include "config/options.h"
#include "config/registry.h"
#include "data/dataset.h"
#include "data/scale.h"
#include "starling/error.h"

enum { NAMES_BYTES_MAX = 512 << 10 };            /* names of columns are left out of the descriptor above this: an invite must stay a file to mail */

struct creation {
    struct cli *cli;
    struct cli_words words;
    const char *folder, *model_spec, *data, *label, *epoch_length, *scale, *impute, *admission, *name;
    bool without_columns, is_public;
    struct cli_network_privacy privacy;

    struct sl_config config;
    struct sl_scaling scaling;
    struct sl_dataset sample;
    const struct sl_model *model;
    uint8_t operator_secret[64], network_secret[32];
    bool is_private, is_standard;
    char doubt[CLI_WHY_SIZE], why[CLI_WHY_SIZE];
};

/* ---- what was asked for ---- */

static int parse(int argc, char **argv, struct creation *creation)
{
    const struct cli_flag flags[] = {{"--model", &creation->model_spec, NULL},   {"--data", &creation->data, NULL},
                                     {"--label", &creation->label, NULL},        {"--epoch-length", &creation->epoch_length, NULL},
                                     {"--scale", &creation->scale, NULL},        {"--impute", &creation->impute, NULL},
                                     {"--admission", &creation->admission, NULL}, {"--name", &creation->name, NULL},
                                     {"--no-columns", NULL, &creation->without_columns}, {"--data-is-public", NULL, &creation->is_public},
                                     {"--unit", &creation->privacy.unit, NULL},   {"--epsilon", &creation->privacy.epsilon, NULL},
                                     {"--delta", &creation->privacy.delta, NULL}, {"--epochs", &creation->privacy.epochs, NULL},
                                     {"--set", NULL, NULL}, {0}};
    if (!cli_words_sort(argc, argv, flags, 2, &creation->words, creation->why, sizeof creation->why)) return SL_ERROR_BAD_ARGUMENT;

    const struct cli_words *words = &creation->words;
    bool is_create = words->n_plain >= 1 && strcmp(words->plain[0], "create") == 0;
    if (!is_create || words->n_plain != 2)
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, creation->why, sizeof creation->why,
                       "wanted: starling network create NET --data SAMPLE, where NET is a new folder");
    if (!creation->data)
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, creation->why, sizeof creation->why,
                       "--data SAMPLE is needed: a table with the columns and classes that all nodes will have; a few rows are enough");
    creation->folder = words->plain[1];
    return SL_OK;
}

/* The last part of the folder's path. */
static void name_after(const char *folder, char out[SL_TEXT_MAX])
{
    size_t end = strlen(folder);
    while (end > 1 && folder[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && folder[begin - 1] != '/') begin--;
    snprintf(out, SL_TEXT_MAX, "%.*s", (int)(end - begin < 64 ? end - begin : 64), folder + begin);
    if (strcmp(out, ".") == 0 || strcmp(out, "..") == 0) snprintf(out, SL_TEXT_MAX, "starling");
}

static int apply_setting(struct creation *creation, const char *setting)
{
    char key[128], sentence[SL_WHY_SIZE];
    const char *equals = strchr(setting, '=');
    size_t length = equals ? (size_t)(equals - setting) : 0;
    if (length == 0 || length >= sizeof key)
        return SL_FAIL(SL_ERROR_FORMAT, creation->why, sizeof creation->why, "--set %.80s: must be KEY=VALUE, like cohort.size=6", setting);

    memcpy(key, setting, length);
    key[length] = 0;
    const struct sl_option *option = sl_config_find(key);
    if (option && option->scope == SL_SCOPE_NODE)
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, creation->why, sizeof creation->why,
                       "--set %s: is each node's own; give it to `starling init`, or write it into node.conf", key);

    int error = sl_config_set(&creation->config, key, equals + 1, sentence, sizeof sentence);
    if (error != SL_OK) return SL_FAIL(error, creation->why, sizeof creation->why, "--set %s", sentence);
    return SL_OK;
}

static int set_options(struct creation *creation)
{
    char name[SL_TEXT_MAX], sentence[SL_WHY_SIZE] = "";
    name_after(creation->folder, name);
    const struct {
        const char *flag, *key, *value;
    } given[] = {{"--name", "network.name", creation->name ? creation->name : name}, {"--model", "model", creation->model_spec},
                 {"--epoch-length", "epoch.length", creation->epoch_length},          {"--scale", "data.scale", creation->scale},
                 {"--impute", "data.impute", creation->impute},                       {"--admission", "network.admission", creation->admission},
                 {"--unit", "privacy.unit", creation->privacy.unit}};
    sl_config_init(&creation->config);
    for (uint32_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        if (!given[i].value) continue;
        int error = sl_config_set(&creation->config, given[i].key, given[i].value, sentence, sizeof sentence);
        if (error != SL_OK) return SL_FAIL(error, creation->why, sizeof creation->why, "%s: %s", given[i].flag, cli_without_key(sentence, given[i].key));
    }
    for (uint32_t i = 0; i < creation->words.n_settings; i++) {
        int error = apply_setting(creation, creation->words.settings[i]);
        if (error != SL_OK) return error;
    }
    int error = cli_network_privacy_check(&creation->privacy, &creation->config, creation->why);
    if (error != SL_OK) return error;

    creation->is_private = strcmp(creation->config.admission, "private") == 0;
    creation->is_standard = strcmp(creation->config.scale, "standard") == 0;
    bool is_measured = creation->is_standard && !creation->is_public && sl_unit_of(&creation->config) != SL_UNIT_OFF;
    if (!is_measured) return SL_OK;
    return SL_FAIL(SL_ERROR_BAD_ARGUMENT, creation->why, sizeof creation->why,
                   "--scale standard would publish the mean and spread of each column of %.80s, which no budget pays for; give --data-is-public if "
                   "anybody may know these "
                   "rows, or a scaling that is not measured: --scale divide:X, or none", creation->data);
}

/* ---- what the sample says ---- */

static int read_sample(struct creation *creation)
{
    char sentence[SL_WHY_SIZE];
    struct sl_config *config = &creation->config;
    creation->model = sl_model_parse(config->model, &config->shape, sentence, sizeof sentence);
    if (!creation->model) return SL_FAIL(SL_ERROR_FORMAT, creation->why, sizeof creation->why, "--model: %s", cli_without_key(sentence, "model"));

    struct sl_read_options options = {.task = creation->model->task, .label = creation->label, .impute = config->impute};
    int error = sl_dataset_read(creation->data, &options, &creation->sample, sentence, sizeof sentence);
    if (error != SL_OK) return SL_FAIL(error, creation->why, sizeof creation->why, "--data: %s", sentence);
    return SL_OK;
}

/* Options that were set stay: a sample may lack the last class. */
static int take_shape(struct creation *creation)
{
    char sentence[SL_WHY_SIZE];
    struct sl_config *config = &creation->config;
    const struct sl_dataset *sample = &creation->sample;
    uint32_t n_classes = creation->model->task == SL_TASK_CLASSIFY ? sample->n_classes : 1;
    if (config->n_features == 0) config->n_features = sample->n_features;
    if (config->n_classes == 0) config->n_classes = n_classes;
    if (config->n_features != sample->n_features || config->n_classes < n_classes)
        return SL_FAIL(SL_ERROR_MISMATCH, creation->why, sizeof creation->why, "%s has %u feature columns and %u classes, but --set asks for %u and %u",
                       creation->data, sample->n_features, n_classes, config->n_features, config->n_classes);

    creation->model = sl_model_of(config, sentence, sizeof sentence);
    if (creation->model) return cli_network_privacy_plan(&creation->privacy, config, creation->model->dim(&config->shape), creation->why);
    return SL_FAIL(SL_ERROR_OUT_OF_RANGE, creation->why, sizeof creation->why, "%s: %s", creation->data, sentence);
}

static int take_names(struct creation *creation)
{
    const struct sl_dataset *sample = &creation->sample;
    size_t size = 0;
    for (uint32_t i = 0; sample->columns && i < sample->n_features; i++) size += strlen(sample->columns[i]) + 1;

    int error = SL_OK;
    bool wanted = sample->columns && !creation->without_columns && size <= NAMES_BYTES_MAX;
    if (wanted) error = sl_names_copy(sample->columns, sample->n_features, &creation->scaling.columns);
    bool is_whole = sample->classes && sample->n_classes == creation->config.n_classes;
    if (error == SL_OK && is_whole) error = sl_names_copy(sample->classes, sample->n_classes, &creation->scaling.classes);
    if (error != SL_OK) return SL_FAIL(error, creation->why, sizeof creation->why, "not enough memory");
    if (!sample->classes || is_whole) return SL_OK;
    return SL_FAIL(SL_ERROR_MISMATCH, creation->why, sizeof creation->why,
                   "%s names %u classes, but model.classes is set to %u; where classes are texts, the sample must have all of them", creation->data,
                   sample->n_classes, creation->config.n_classes);
}

/* The sample is scaled as the nodes will do it, to see whether that suits. */
static int take_scaling(struct creation *creation)
{
    struct sl_scaling *scaling = &creation->scaling;
    int error = cli_scaling_fill(&creation->config, scaling, creation->why);
    if (error != SL_OK) return error;

    uint32_t n = creation->sample.n_features;
    if (creation->is_standard) {
        scaling->offset = calloc(n, sizeof(float));
        scaling->factor = calloc(n, sizeof(float));
        if (!scaling->offset || !scaling->factor) return SL_FAIL(SL_ERROR_NO_MEMORY, creation->why, sizeof creation->why, "not enough memory");
        scaling->n_features = n;
        sl_scale_measure(&creation->sample, scaling->offset, scaling->factor);
    }
    if (scaling->n_features > 0) sl_scale_apply(&creation->sample, scaling->offset, scaling->factor);
    cli_scale_is_doubtful(&creation->sample, creation->data, scaling, creation->doubt, sizeof creation->doubt);

    if (creation->is_standard) return SL_OK;
    free(scaling->offset);                               /* divide:X stands in an option, not in numbers */
    free(scaling->factor);
    scaling->offset = scaling->factor = NULL;
    scaling->n_features = 0;
    return SL_OK;
}

/* ---- files ---- */

static int write_descriptor(struct creation *creation, struct cli_folder *folder)
{
    char path[SL_PATH_SIZE];
    if (sl_path_join(folder->path, "network.conf", path) != SL_OK)
        return SL_FAIL(SL_ERROR_TOO_LARGE, creation->why, sizeof creation->why, "%s: is too long", folder->path);

    cli_folder_expect(folder, "network.conf");
    cli_folder_expect(folder, "network.conf.new");
    return sl_network_write(path, &creation->config, &creation->scaling, creation->why, sizeof creation->why);
}

static int write_files(struct creation *creation)
{
    struct cli_folder folder;
    int error = cli_folder_begin(&folder, creation->folder, 0700, creation->why);
    if (error != SL_OK) return error;

    error = cli_operator_put(&folder, creation->operator_secret, creation->why);
    if (error == SL_OK && creation->is_private) error = cli_hex_put(&folder, "network.secret", creation->network_secret, 32, 0600, creation->why);
    if (error == SL_OK) error = write_descriptor(creation, &folder);
    if (error != SL_OK) cli_folder_undo(&folder, creation->why);
    return error;
}

static int create(struct creation *creation)
{
    int error = set_options(creation);
    if (error == SL_OK) error = read_sample(creation);
    if (error == SL_OK) error = take_shape(creation);
    if (error == SL_OK) error = take_names(creation);
    if (error == SL_OK) error = take_scaling(creation);
    if (error != SL_OK) return error;

    crypto_sign_keypair(creation->config.operator_key, creation->operator_secret);
    randombytes_buf(creation->network_secret, sizeof creation->network_secret);
    sl_network_id(&creation->config, &creation->scaling, creation->config.network_id);
    return write_files(creation);
}

/* ---- what is said ---- */

static void say_what_is_public(const struct creation *creation)
{
    const struct sl_scaling *scaling = &creation->scaling;
    bool is_protected = sl_unit_of(&creation->config) != SL_UNIT_OFF;
    if (is_protected)
        printf("                  all that stands in it is public, outside of every budget: %u features%s%s\n", creation->config.n_features,
               creation->model->task == SL_TASK_CLASSIFY ? ", the list of classes" : "", creation->scaling.columns.n > 0 ? ", the names of columns" : "");
    if (creation->is_standard)
        printf("                  the mean and spread of each column of %s (%u rows) stand in it and go to everybody who is invited\n", creation->data,
               creation->sample.n_rows);
    const char *of_columns = scaling->columns.n > 0 ? " columns" : "", *of_classes = scaling->classes.n > 0 ? " classes" : "";
    const char *and = of_columns[0] && of_classes[0] ? " and" : "", *way_out = of_columns[0] ? " (--no-columns leaves those of columns out)" : "";
    bool has_names = of_columns[0] || of_classes[0];
    if (has_names && creation->is_standard) printf("                  so do the names of its%s%s%s%s\n", of_columns, and, of_classes, way_out);
    else if (has_names)
        printf("                  the names of the%s%s%s of %s stand in it and go to everybody who is invited%s\n", of_columns, and, of_classes,
               creation->data, way_out);
    if (scaling->columns.n == 0 && creation->sample.columns)
        printf("                  names of columns are left out: nodes are compared by their number only\n");
}

static void say(const struct creation *creation)
{
    const struct sl_config *config = &creation->config;
    const char *folder = creation->folder;
    char epoch[SL_TEXT_MAX], task[SL_TEXT_MAX], id[65];
    sl_config_get(config, "epoch.length", epoch, sizeof epoch);
    sodium_bin2hex(id, sizeof id, config->network_id, 32);
    if (creation->model->task == SL_TASK_CLASSIFY) snprintf(task, sizeof task, "%u classes", config->n_classes);
    else snprintf(task, sizeof task, "one number to predict");

    printf("%s holds a new network, %s (%.8s)\n\n", folder, config->network_name, id);
    printf("  network.conf    the descriptor, equal on every node: model %s, %u features, %s, an epoch lasts %s\n", config->model, config->n_features, task,
           epoch);
    say_what_is_public(creation);
    printf("  operator.key    SECRET: signs invites and is needed for nothing else; whoever has it can admit nodes. Keep a copy elsewhere\n");
    if (creation->is_private) printf("  network.secret  SECRET: without it nobody is answered; every invite hands it over\n");

    if (creation->doubt[0]) printf("\nDOUBTFUL: %s\n", creation->doubt);
    cli_network_privacy_say(&creation->privacy, config);
    printf("\nA cohort has %u members at least: the network begins to learn with its %uth node.\n", config->cohort_min_size, config->cohort_min_size);
    if (strcmp(config->admission, "open") == 0)
        printf("Next, the first node:   starling init DIR --data FILE --label COLUMN --join %s/network.conf --listen IP:PORT\n"
               "Then, for the others:   starling invite %s --from DIR > join.star\n", folder, folder);
    else
        printf("Next, an invite for the first node, with the address where the others will reach it:   starling invite %s --address IP:PORT > join.star\n",
               folder);
}

static json_t *answer(const struct creation *creation)
{
    const struct sl_config *config = &creation->config;
    char id[65];
    sodium_bin2hex(id, sizeof id, config->network_id, 32);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:b, s:s, s:s*}", "directory", creation->folder, "network_id", id, "name", config->network_name,
                     "admission", config->admission, "model", config->model, "features", (int)config->n_features, "classes", (int)config->n_classes,
                     "scaling_measured", creation->is_standard, "column_names", creation->scaling.columns.n > 0, "privacy", config->privacy_unit, "doubt",
                     creation->doubt[0] ? creation->doubt : NULL);
}

int cli_network(struct cli *cli, int argc, char **argv)
{
    struct creation *creation = calloc(1, sizeof *creation);
    if (!creation) return cli_fail(cli, CLI_FAILED, "not enough memory");

    *creation = (struct creation){.cli = cli, .label = "last"};
    int error = parse(argc, argv, creation);
    if (error == SL_OK) error = create(creation);

    int code = CLI_OK;
    if (error != SL_OK) code = cli_fail(cli, cli_code_of(error), "%s", creation->why);
    else if (cli->json) code = cli_answer(cli, answer(creation));
    else say(creation);
    sodium_memzero(creation->operator_secret, sizeof creation->operator_secret);
    sodium_memzero(creation->network_secret, sizeof creation->network_secret);
    sl_dataset_finish(&creation->sample);
    sl_scaling_finish(&creation->scaling);
    free(creation);
    return code;
}
