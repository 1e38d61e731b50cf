/* SPDX-License-Identifier: MIT */
/* starling privacy reset: a new ledger for other data. Works on the directory of a node that does not run. */
#include "cli.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli_files.h"
#include "cli_words.h"
#include "config/network.h"
#include "config/plan.h"
#include "privacy/ledger.h"
#include "runtime/ledger_file.h"
#include "runtime/settings.h"
#include "runtime/store.h"
#include "starling/error.h"

enum { OLD_MAX = 9999, NAME_SIZE = 64, DATASET_AT = 48, SETTINGS_SIZE_MAX = 256 << 10 };

static const char next_name[] = SL_LEDGER_NAME ".next";

struct request {
    struct cli *cli;
    struct cli_words words;
    const char *folder, *name;
    int lock;
    struct sl_ledger_file held;              /* the old ledger, if there is one */
    struct sl_config config;
    char old_name[SL_TEXT_MAX];
    uint32_t number;                         /* under which the old files are kept */
    char why[CLI_WHY_SIZE];
};

#define REFUSE(request, error, ...) SL_FAIL(error, (request)->why, CLI_WHY_SIZE, __VA_ARGS__)

/* ---- may it be done? ---- */

static int check_name(struct request *request)
{
    const char *name = request->name;
    size_t length = name ? strlen(name) : 0;
    if (length == 0) return REFUSE(request, SL_ERROR_BAD_ARGUMENT, "--dataset NAME is missing: your name for the new data, to which the new budget belongs");
    if (length >= SL_TEXT_MAX) return REFUSE(request, SL_ERROR_BAD_ARGUMENT, "--dataset: at most %d characters", SL_TEXT_MAX - 1);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == '"' || *c == '\\')
            return REFUSE(request, SL_ERROR_BAD_ARGUMENT, "--dataset: a name has no quotation marks, backslashes or line ends");
    return SL_OK;
}

static int read_config(struct request *request)
{
    char path[SL_PATH_SIZE];
    struct sl_scaling scaling = {0};
    sl_config_init(&request->config);
    if (sl_path_join(request->folder, "network.conf", path) != SL_OK) return REFUSE(request, SL_ERROR_TOO_LARGE, "%s: the path is too long", request->folder);

    int error = sl_network_read(path, &request->config, &scaling, request->why, CLI_WHY_SIZE);
    sl_scaling_finish(&scaling);
    if (error == SL_OK && sl_path_join(request->folder, "node.conf", path) == SL_OK)
        error = sl_settings_read(path, &request->config, request->why, CLI_WHY_SIZE);
    if (error != SL_OK) return error;

    memcpy(request->old_name, request->config.privacy_dataset, sizeof request->old_name);
    if (sl_unit_of(&request->config) == SL_UNIT_OFF)
        return REFUSE(request, SL_ERROR_MISMATCH, "privacy.unit is off in the network of %s: there is no budget that could begin anew", request->folder);
    return SL_OK;
}

/* Nobody may spend from the old ledger meanwhile. */
static int hold(struct request *request)
{
    int error = sl_folder_lock(request->folder, &request->lock, request->why, CLI_WHY_SIZE);
    if (error == SL_ERROR_EXISTS) return REFUSE(request, error, "%s: its node runs; stop it first", request->folder);
    if (error == SL_OK && cli_file_exists(request->folder, SL_LEDGER_NAME))
        error = sl_ledger_file_open(&request->held, request->folder, request->why, CLI_WHY_SIZE);
    return error;
}

static const char *numbered(const char *name, uint32_t number, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, number > 0 ? "%s.%u" : "%s", name, number);
    return out;
}

/* Was this ledger opened for data of that name? Also a damaged one says so, as long as it has a beginning. */
static bool is_of(const struct request *request, uint32_t number, const uint8_t dataset[16])
{
    char name[NAME_SIZE], path[SL_PATH_SIZE];
    uint8_t first[SL_LEDGER_RECORD] = {0};
    if (sl_path_join(request->folder, numbered(SL_LEDGER_NAME, number, name), path) != SL_OK) return false;

    FILE *file = fopen(path, "rb");
    if (!file) return false;

    bool is_whole = fread(first, 1, sizeof first, file) == sizeof first;
    fclose(file);
    return is_whole && memcmp(first + DATASET_AT, dataset, 16) == 0;
}

/* A budget that was spent is spent: no name comes back, neither the last nor one before. A reset that a crash cut short may be run again. */
static int check_is_new(struct request *request)
{
    uint8_t dataset[16];
    char name[NAME_SIZE];
    sl_ledger_dataset(request->name, dataset);
    bool was_used = is_of(request, 0, dataset), is_unfinished = cli_file_exists(request->folder, next_name);
    for (request->number = 1; cli_file_exists(request->folder, numbered(SL_LEDGER_NAME, request->number, name)); request->number++) {
        was_used = was_used || is_of(request, request->number, dataset);
        if (request->number == OLD_MAX) return REFUSE(request, SL_ERROR_EXISTS, "%s: holds %d old ledgers; take some away", request->folder, OLD_MAX);
    }
    if (!request->held.is_open && !is_unfinished) was_used = was_used || strcmp(request->name, request->old_name) == 0;
    if (!was_used) return SL_OK;
    return REFUSE(request, SL_ERROR_MISMATCH,
                  "\"%s\" is data that this node has learned from: what that cost stays spent. A new budget wants other data and another name for it",
                  request->name);
}

/* ---- the new ledger ---- */

static int write_ledger(struct request *request)
{
    char path[SL_PATH_SIZE];
    struct sl_secrets secrets;
    sl_path_join(request->folder, "identity.key", path);
    int error = sl_secrets_read(path, &secrets, request->why, CLI_WHY_SIZE);
    if (error != SL_OK) return error;

    const struct sl_config *config = &request->config;
    struct sl_ledger_record first = {.type = SL_LEDGER_OPEN, .charge = {.unit = sl_unit_of(config), .adjacency = sl_adjacency_of(config)},
                                     .eps_max = config->privacy_eps_max, .delta = config->privacy_delta, .wall_ms = (uint64_t)time(NULL) * 1000};
    struct sl_ledger *ledger = malloc(sizeof *ledger);
    uint8_t key[32], bytes[SL_LEDGER_RECORD];
    if (!ledger) {
        error = REFUSE(request, SL_ERROR_NO_MEMORY, "not enough memory");
        goto out;
    }
    sl_ledger_key(secrets.sign_secret, key);
    sl_ledger_init(ledger, key);
    sl_ledger_dataset(request->name, first.dataset);
    sl_ledger_next(ledger, &first, bytes);
    error = sl_ledger_take(ledger, bytes);
    if (error == SL_OK) error = sl_file_put(request->folder, next_name, bytes, sizeof bytes, 0600, false);
    if (error != SL_OK) error = REFUSE(request, error, "%s/%s: cannot be written (%s)", request->folder, next_name, sl_error_text(error));
    sodium_memzero(ledger, sizeof *ledger);
    sodium_memzero(key, sizeof key);
out:
    sodium_memzero(&secrets, sizeof secrets);
    free(ledger);
    return error;
}

/* ---- the new name ---- */

static bool sets_dataset(const char *line)
{
    static const char key[] = "privacy.dataset";
    const char *rest = line + sizeof key - 1;
    return strncmp(line, key, sizeof key - 1) == 0 && rest[strspn(rest, " \t")] == '=';
}

/* The settings with every line that set the name left out, and one that sets the new name where the first of them was, or at the end. */
static char *renamed(const char *text, const char *name, size_t *out_size)
{
    char *out = NULL;
    bool is_set = false;
    FILE *file = open_memstream(&out, out_size);
    if (!file) return NULL;

    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        if (!sets_dataset(line)) fprintf(file, "%.*s\n", (int)length, line);
        else if (!is_set) is_set = fprintf(file, "privacy.dataset = \"%s\"\n", name) > 0;
        line += length + (line[length] == '\n');
    }
    if (!is_set) fprintf(file, "privacy.dataset = \"%s\"\n", name);
    bool is_good = ferror(file) == 0;
    if (fclose(file) == 0 && is_good) return out;
    free(out);
    return NULL;
}

static int write_name(struct request *request)
{
    char path[SL_PATH_SIZE];
    uint8_t *before;
    size_t size = 0;
    sl_path_join(request->folder, "node.conf", path);
    int error = sl_file_read(path, SETTINGS_SIZE_MAX, &before, &size, request->why, CLI_WHY_SIZE);
    if (error != SL_OK) return error;

    char *text = renamed((const char *)before, request->name, &size);
    free(before);
    if (!text) return REFUSE(request, SL_ERROR_NO_MEMORY, "not enough memory");

    error = sl_settings_parse(text, size, path, &request->config, request->why, CLI_WHY_SIZE);
    if (error == SL_OK && strcmp(request->config.privacy_dataset, request->name) != 0)
        error = REFUSE(request, SL_ERROR_MISMATCH, "%s: sets privacy.dataset in a way that this command cannot change; set it to \"%s\" by hand and run it "
                       "again", path, request->name);
    else if (error == SL_OK && sl_file_put(request->folder, "node.conf", text, size, 0644, true) != SL_OK)
        error = REFUSE(request, SL_ERROR_IO, "%s: cannot be written", path);
    free(text);
    return error;
}

/* ---- in with the new ---- */

static int move(struct request *request, const char *from, const char *to)
{
    char old[SL_PATH_SIZE], new[SL_PATH_SIZE];
    sl_path_join(request->folder, from, old);
    sl_path_join(request->folder, to, new);
    if (rename(old, new) == 0 || errno == ENOENT) return SL_OK;
    return REFUSE(request, SL_ERROR_IO, "%s: cannot be renamed to %s (%s)", old, to, strerror(errno));
}

/* Where a crash leaves no ledger at all, the node refuses to start, and this command may be run again. */
static int exchange(struct request *request)
{
    char name[NAME_SIZE];
    int error = move(request, SL_RELEASE_NAME, numbered(SL_RELEASE_NAME, request->number, name));
    if (error == SL_OK) error = move(request, SL_LEDGER_NAME, numbered(SL_LEDGER_NAME, request->number, name));
    if (error == SL_OK) error = move(request, next_name, SL_LEDGER_NAME);
    if (error == SL_OK && sl_folder_sync(request->folder) != SL_OK) error = REFUSE(request, SL_ERROR_IO, "%s: cannot be made durable", request->folder);
    return error;
}

static int answer(const struct request *request)
{
    char kept[NAME_SIZE];
    bool had_ledger = request->held.is_open;
    numbered(SL_LEDGER_NAME, request->number, kept);
    if (request->cli->json)
        return cli_answer(request->cli, json_pack("{s:s, s:s, s:s, s:s?, s:f, s:f}", "directory", request->folder, "dataset", request->name, "before",
                                                  request->old_name, "kept", had_ledger ? kept : NULL, "eps_max", request->config.privacy_eps_max, "delta",
                                                  request->config.privacy_delta));
    printf("%s: a new budget begins for \"%s\": epsilon at most %g at delta %g, nothing is spent.\n", request->folder, request->name,
           request->config.privacy_eps_max, request->config.privacy_delta);
    if (had_ledger) printf("The old ledger is kept as %s; node.conf has the new name.\n", kept);
    printf("The old data (\"%s\") must not be used again, here or elsewhere: what was learned from it has used up\n"
           "what was promised to the people in it. If the new data holds some of the old records, what they have spent\n"
           "before adds to what they spend from now on, and no ledger counts that.\n", request->old_name);
    return CLI_OK;
}

static int reset(struct request *request)
{
    int error = check_name(request);
    if (error == SL_OK) error = hold(request);
    if (error == SL_OK) error = read_config(request);
    if (error == SL_OK) error = check_is_new(request);
    if (error == SL_OK) error = write_ledger(request);
    if (error == SL_OK) error = write_name(request);
    if (error == SL_OK) error = exchange(request);
    return error;
}

int cli_privacy_reset(struct cli *cli, int argc, char **argv)
{
    struct request *request = calloc(1, sizeof *request);
    if (!request) return cli_fail(cli, CLI_FAILED, "not enough memory");

    int code = CLI_ARGUMENTS;
    const struct cli_flag flags[] = {{"--dataset", &request->name, NULL}, {0}};
    request->cli = cli;
    request->lock = -1;
    if (!cli_words_sort(argc, argv, flags, 2, &request->words, request->why, CLI_WHY_SIZE)) goto out;

    request->folder = request->words.n_plain > 1 ? request->words.plain[1] : cli->directory;
    if (!request->folder) {
        snprintf(request->why, CLI_WHY_SIZE, "wanted: starling privacy reset DIR --dataset NAME");
        goto out;
    }
    int error = reset(request);
    code = error == SL_OK ? answer(request) : cli_code_of(error);
out:
    if (request->why[0] && code != CLI_OK) code = cli_fail(cli, code, "%s", request->why);
    sl_ledger_file_close(&request->held);
    if (request->lock >= 0) close(request->lock);
    free(request);
    return code;
}
