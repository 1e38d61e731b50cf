/* SPDX-License-Identifier: MIT */
/* starling init: a node's directory from an invite, after the data were compared with what the network learns from. */
#include "cli.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli_compare.h"
#include "cli_files.h"
#include "cli_init_privacy.h"
#include "cli_join.h"
#include "cli_words.h"
#include "data/dataset.h"
#include "data/scale.h"
#include "runtime/settings.h"
#include "starling/error.h"
#include "starling/identity.h"

enum { PUZZLE_STEP = 1 << 18 };

struct joining {
    struct cli *cli;
    struct cli_words words;
    const char *folder, *data, *label, *join_path, *listen, *address, *name;
    uint64_t now_s;

    struct cli_init_privacy privacy;
    struct cli_join join;
    struct sl_dataset rows;
    uint32_t n_own_classes;                      /* that occur in the own data */
    struct sl_secrets secrets;
    uint8_t sign_public[32], transport_public[32], id[32];
    uint8_t certificate[SL_PEER_CERTIFICATE_MAX];
    uint32_t certificate_size;
    char doubt[CLI_WHY_SIZE], why[CLI_WHY_SIZE];
};

#define REFUSE(joining, error, ...) SL_FAIL((error), (joining)->why, CLI_WHY_SIZE, __VA_ARGS__)

/* ---- what was asked for ---- */

static int parse(int argc, char **argv, struct joining *joining)
{
    const struct cli_flag flags[] = {{"--data", &joining->data, NULL},      {"--label", &joining->label, NULL}, {"--join", &joining->join_path, NULL},
                                     {"--listen", &joining->listen, NULL},  {"--address", &joining->address, NULL}, {"--name", &joining->name, NULL},
                                     {"--epsilon", &joining->privacy.epsilon, NULL}, {"--delta", &joining->privacy.delta, NULL},
                                     {"--epochs", &joining->privacy.epochs, NULL}, {"--records", &joining->privacy.records, NULL},
                                     {"--dataset", &joining->privacy.dataset, NULL}, {"--set", NULL, NULL}, {0}};
    if (!cli_words_sort(argc, argv, flags, 1, &joining->words, joining->why, CLI_WHY_SIZE)) return SL_ERROR_BAD_ARGUMENT;

    bool is_whole = joining->words.n_plain == 1 && joining->data && joining->join_path;
    if (!is_whole)
        return REFUSE(joining, SL_ERROR_BAD_ARGUMENT,
                      "wanted: starling init DIR --data FILE --join INVITE [--label COLUMN], where DIR is a new folder for the node");
    joining->folder = joining->words.plain[0];
    return SL_OK;
}

static int set_option(struct joining *joining, const char *flag, const char *key, const char *value)
{
    char sentence[SL_WHY_SIZE];
    if (!value) return SL_OK;

    int error = sl_config_set(&joining->join.config, key, value, sentence, sizeof sentence);
    if (error != SL_OK) return REFUSE(joining, error, "%s: %s", flag, cli_without_key(sentence, key));
    return SL_OK;
}

static int set_address(struct joining *joining, const char *flag, const char *key, const char *value)
{
    if (value && !sl_address_is_numeric(value))
        return REFUSE(joining, SL_ERROR_BAD_ARGUMENT, "%s %.80s: must be numeric with a port, like 10.0.0.7:7400; names are not looked up", flag, value);
    return set_option(joining, flag, key, value);
}

/* The first node listens where its invite says that others will reach it, unless told otherwise. */
static int set_options(struct joining *joining)
{
    char path[SL_TEXT_MAX];
    bool at_promised = joining->join.is_first && !joining->listen;
    const char *listen = at_promised ? joining->join.first_address : joining->listen;
    const char *address = joining->join.is_first && !at_promised && !joining->address ? joining->join.first_address : joining->address;

    int error = cli_path_anchor(joining->data, path, joining->why);
    if (error == SL_OK) error = set_option(joining, "--data", "data.path", path);
    if (error == SL_OK) error = set_option(joining, "--label", "data.label", joining->label);
    if (error == SL_OK) error = set_option(joining, "--name", "node.name", joining->name);
    if (error == SL_OK) error = set_address(joining, "--listen", "node.listen", listen);
    if (error == SL_OK) error = set_address(joining, "--address", "node.address", address);
    if (error == SL_OK) error = cli_init_privacy_flags(&joining->privacy, &joining->join.config, joining->why);
    for (uint32_t i = 0; i < joining->words.n_settings && error == SL_OK; i++)
        error = sl_settings_apply(joining->words.settings[i], &joining->join.config, joining->why, CLI_WHY_SIZE);
    return error;
}

/* All but the budget, for which the rows must be known. */
static int check_options(struct joining *joining)
{
    char sentence[SL_WHY_SIZE];
    struct sl_config config = joining->join.config;
    snprintf(config.privacy_unit, sizeof config.privacy_unit, "off");
    int error = sl_config_check(&config, sentence, sizeof sentence);
    return error == SL_OK ? SL_OK : REFUSE(joining, error, "%s", sentence);
}

static int plan_budget(struct joining *joining)
{
    struct sl_config *config = &joining->join.config;
    joining->privacy.folder = joining->folder;
    joining->privacy.dim = joining->join.model->dim(&config->shape);
    joining->privacy.n_rows = joining->rows.n_rows;
    joining->privacy.may_ask = !joining->cli->json && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
    return cli_init_privacy_plan(&joining->privacy, config, joining->why);
}

/* ---- the data ---- */

static uint32_t count_classes(const struct sl_dataset *rows)
{
    uint32_t n = 0;
    bool *seen = calloc(rows->n_classes + 1, sizeof *seen);
    for (uint32_t i = 0; seen && i < rows->n_rows; i++) {
        uint32_t class_number = (uint32_t)rows->labels[i];
        n += !seen[class_number];
        seen[class_number] = true;
    }
    free(seen);
    return n;
}

static int read_rows(struct joining *joining)
{
    char sentence[SL_WHY_SIZE];
    const struct sl_config *config = &joining->join.config;
    struct sl_read_options options = {.task = joining->join.model->task, .label = config->data_label, .impute = config->impute};
    int error = sl_dataset_read(config->data_path, &options, &joining->rows, sentence, sizeof sentence);
    if (error != SL_OK) return REFUSE(joining, error, "--data: %s", sentence);
    return SL_OK;
}

static int compare(struct joining *joining)
{
    const struct cli_join *join = &joining->join;
    struct sl_dataset *rows = &joining->rows;
    bool classify = join->model->task == SL_TASK_CLASSIFY;
    uint32_t n_classes = classify ? join->config.n_classes : 0;
    if (!cli_columns_fit(rows, joining->data, join->config.data_label, join->config.n_features, &join->scaling.columns, joining->why, CLI_WHY_SIZE) ||
        !cli_classes_fit(rows, joining->data, n_classes, &join->scaling.classes, joining->why, CLI_WHY_SIZE))
        return SL_ERROR_MISMATCH;

    if (classify) joining->n_own_classes = count_classes(rows);
    if (join->scaling.n_features > 0) sl_scale_apply(rows, join->scaling.offset, join->scaling.factor);
    cli_scale_is_doubtful(rows, joining->data, &join->scaling, joining->doubt, sizeof joining->doubt);
    return SL_OK;
}

/* ---- who the node is ---- */

static void make_keys(struct joining *joining)
{
    crypto_sign_keypair(joining->sign_public, joining->secrets.sign_secret);
    crypto_box_keypair(joining->transport_public, joining->secrets.transport_secret);
    if (joining->join.is_first) {
        memcpy(joining->secrets.transport_secret, joining->join.first_transport_secret, 32);
        crypto_scalarmult_base(joining->transport_public, joining->secrets.transport_secret);
    }
    sl_identity_id(joining->join.config.network_id, joining->sign_public, joining->id);
}

/* Half the nodes need fewer tries than 0.7 * 2^bits; the rest has no end that is known before. */
static void solve_puzzle(struct joining *joining)
{
    uint32_t bits = joining->join.config.puzzle_bits;
    bool shown = isatty(STDERR_FILENO);
    uint64_t from = 0;
    while (joining->certificate_size == 0) {
        joining->certificate_size =
            (uint32_t)sl_puzzle_solve(joining->join.config.network_id, bits, joining->id, from, PUZZLE_STEP, joining->certificate);
        from += PUZZLE_STEP;
        if (shown)
            fprintf(stderr, "\rsolving the puzzle of this open network: %.1f million tries, about %.1f are expected ", (double)from / 1e6,
                    (double)(1ULL << bits) / 1e6);
    }
    if (shown) fputc('\n', stderr);
}

static int admit(struct joining *joining)
{
    make_keys(joining);
    if (strcmp(joining->join.config.admission, "open") != 0)
        return cli_join_admit(&joining->join, joining->join_path, joining->id, joining->now_s, joining->certificate, &joining->certificate_size, joining->why);
    solve_puzzle(joining);
    return SL_OK;
}

/* ---- files ---- */

static int write_settings(struct joining *joining, struct cli_folder *folder)
{
    size_t size;
    char *text = cli_settings_text(&joining->join.config, &size);
    if (!text) return REFUSE(joining, SL_ERROR_NO_MEMORY, "not enough memory");

    int error = cli_folder_put(folder, "node.conf", text, size, 0644, joining->why);
    free(text);
    return error;
}

static int write_files(struct joining *joining, struct cli_folder *folder)
{
    const struct cli_join *join = &joining->join;
    const char *descriptor = join->file.descriptor;
    cli_folder_expect(folder, "identity.key");
    int error = sl_secrets_write(folder->path, "identity.key", &joining->secrets, joining->why, CLI_WHY_SIZE);
    if (error == SL_OK) error = cli_hex_put(folder, "admission.cert", joining->certificate, joining->certificate_size, 0644, joining->why);
    if (error == SL_OK && join->file.has_secret) error = cli_hex_put(folder, "network.secret", join->file.network_secret, 32, 0600, joining->why);
    if (error == SL_OK) error = cli_folder_put(folder, "network.conf", descriptor, strlen(descriptor), 0644, joining->why);
    if (error == SL_OK) error = write_settings(joining, folder);
    cli_folder_expect(folder, "seeds.list");
    if (error == SL_OK) error = cli_seeds_put(folder->path, join->file.seeds, join->file.n_seeds, joining->why);
    return error;
}

static int make_node(struct joining *joining)
{
    int error = cli_join_read(joining->join_path, joining->now_s, &joining->join, joining->why);
    if (error == SL_OK) error = set_options(joining);
    if (error == SL_OK) error = check_options(joining);
    if (error == SL_OK) error = read_rows(joining);
    if (error == SL_OK) error = compare(joining);
    if (error == SL_OK) error = plan_budget(joining);
    if (error != SL_OK) return error;

    struct cli_folder folder;
    error = cli_folder_begin(&folder, joining->folder, 0700, joining->why);
    if (error != SL_OK) return error;

    error = admit(joining);
    if (error == SL_OK) error = write_files(joining, &folder);
    if (error != SL_OK) cli_folder_undo(&folder, joining->why);
    return error;
}

/* ---- what is said ---- */

static void say_data(const struct joining *joining)
{
    const struct cli_join *join = &joining->join;
    const struct sl_dataset *rows = &joining->rows;
    const char *compared = join->scaling.columns.n > 0 && rows->columns ? "their names and order are the network's"
                                                                        : "their number is the network's; names were not compared";
    printf("  data      %s: %u rows, %u columns (%s)", joining->data, rows->n_rows, rows->n_features, compared);
    if (join->model->task == SL_TASK_CLASSIFY) printf(", %u of the %u classes", joining->n_own_classes, join->config.n_classes);
    printf("\n");
}

/* What keeps others from reaching this node, with the flag that would help. */
static void say_reach(const struct joining *joining)
{
    const struct sl_config *config = &joining->join.config;
    char own[SL_PEER_ADDRESS_MAX];
    const char *door = joining->join.file.n_seeds > 0 ? joining->join.file.seeds[0].address : NULL;
    bool is_loopback = cli_address_is_loopback(config->listen) && !config->address[0];
    if (is_loopback && door && !cli_address_is_loopback(door)) {
        printf("\nNote: at %s no other machine can reach this node. It will dial others, but cohorts are rare unless most nodes can be dialled. To be "
               "reached,\n"
               "set node.listen in %s/node.conf",
               config->listen, joining->folder);
        if (cli_address_towards(door, own)) printf(", on this machine probably to %s%s", own, strrchr(config->listen, ':'));
        printf(".\n");
    }
    if (cli_address_is_wildcard(config->listen) && !config->address[0])
        printf("\nNote: %s is no address that others could dial; set node.address in %s/node.conf to the one they see, or nobody will be told.\n",
               config->listen, joining->folder);
    enum cli_port port = cli_port_try(config->listen);
    if (port == CLI_PORT_TAKEN)
        printf("\nNote: another program uses %s at this moment. Unless that ends, set node.listen in %s/node.conf to another port: every node on a\n"
               "machine needs one of its own.\n", config->listen, joining->folder);
    if (port == CLI_PORT_ELSEWHERE)
        printf("\nNote: this machine does not have the address %s. If it is that of a router in front, set in %s/node.conf\n"
               "node.listen to 0.0.0.0%s and node.address to %s, and forward the port.\n", config->listen, joining->folder, strrchr(config->listen, ':'),
               config->listen);
}

static void say_doubts(const struct joining *joining)
{
    const struct cli_join *join = &joining->join;
    if (joining->doubt[0]) printf("\nDOUBTFUL: %s\n", joining->doubt);
    if (join->model->task == SL_TASK_CLASSIFY && joining->n_own_classes == 1)
        printf("\nDOUBTFUL: all rows have the same label; is --label %s the right column?\n", join->config.data_label);
    if (!joining->rows.columns && join->scaling.columns.n > 0)
        printf("\nNote: %s has no names of columns; see yourself that they come in the order of `columns` in %s/network.conf.\n", joining->data,
               joining->folder);
}

static void say(const struct joining *joining)
{
    const struct cli_join *join = &joining->join;
    const struct sl_config *config = &join->config;
    char id[65], then[CLI_TIME_SIZE], epoch[SL_TEXT_MAX];
    sodium_bin2hex(id, sizeof id, joining->id, 32);
    sl_config_get(config, "epoch.length", epoch, sizeof epoch);

    printf("%s holds a new node, %.8s, of the network %s\n\n", joining->folder, id, config->network_name);
    printf("  model     %s with %u features, an epoch lasts %s\n", config->model, config->n_features, epoch);
    say_data(joining);
    printf("  listens   %s\n", config->listen);
    if (join->is_first) printf("  role      the first node: others will knock at %s\n", config->address[0] ? config->address : config->listen);
    else if (join->file.n_seeds == 0) printf("  role      the first node: make invites for others with starling invite NET --from %s\n", joining->folder);
    else printf("  knocks    %s%s\n", join->file.seeds[0].address, join->file.n_seeds > 1 ? " and others" : "");
    if (join->file.has_invite) printf("  member    until %s\n", cli_time_text(join->file.invite.expires_s, then));
    printf("  secret    identity.key%s; keep a copy elsewhere, and never run two copies of one node\n", join->file.has_secret ? ", network.secret" : "");

    say_doubts(joining);
    say_reach(joining);
    cli_init_privacy_say(&joining->privacy, config);
    printf("\nA cohort has %u members at least: with fewer nodes this one waits, and says so.\n", config->cohort_min_size);
    if (join->file.has_invite && (join->file.invite.flags & SL_INVITE_SINGLE_USE)) printf("%s is used up; delete it.\n", joining->join_path);
    printf("Next:   starlingd %s\n", joining->folder);
}

static json_t *answer(const struct joining *joining)
{
    const struct cli_join *join = &joining->join;
    const struct sl_config *config = &join->config;
    char id[65], network[65];
    sodium_bin2hex(id, sizeof id, joining->id, 32);
    sodium_bin2hex(network, sizeof network, config->network_id, 32);
    bool expires = join->file.has_invite;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:i, s:i, s:o, s:o, s:s*}", "directory", joining->folder, "id", id, "network_id", network, "network",
                     config->network_name, "listen", config->listen, "first", join->is_first || join->file.n_seeds == 0, "rows", (int)joining->rows.n_rows,
                     "features", (int)joining->rows.n_features, "classes_present", (int)joining->n_own_classes, "expires",
                     expires ? json_integer((json_int_t)join->file.invite.expires_s) : json_null(), "privacy",
                     cli_init_privacy_answer(&joining->privacy, config), "doubt", joining->doubt[0] ? joining->doubt : NULL);
}

int cli_init(struct cli *cli, int argc, char **argv)
{
    struct joining *joining = calloc(1, sizeof *joining);
    if (!joining) return cli_fail(cli, CLI_FAILED, "not enough memory");

    *joining = (struct joining){.cli = cli, .now_s = (uint64_t)time(NULL)};
    int error = parse(argc, argv, joining);
    if (error == SL_OK) error = make_node(joining);

    int code = CLI_OK;
    if (error != SL_OK) code = cli_fail(cli, cli_code_of(error), "%s", joining->why);
    else if (cli->json) code = cli_answer(cli, answer(joining));
    else say(joining);
    sodium_memzero(&joining->secrets, sizeof joining->secrets);
    sl_dataset_finish(&joining->rows);
    cli_join_finish(&joining->join);
    free(joining);
    return code;
}
