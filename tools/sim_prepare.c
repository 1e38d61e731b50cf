/* SPDX-License-Identifier: MIT */
#include "sim_prepare.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config/network.h"
#include "config/options.h"
#include "config/registry.h"
#include "data/dataset.h"
#include "data/scale.h"
#include "runtime/files.h"
#include "starling/error.h"
#include "wire/certificate.h"

enum { EXIT_MACHINE = 1, EXIT_ARGUMENTS = 4, NODES_MAX = 1024, SETTINGS_MAX = 64, SHORT_PATH = 3072 };

static const uint64_t certificate_life_s = 10ULL * 366 * 24 * 3600;

static const char usage[] =
    "usage: starling-sim prepare --nodes N --data-dir DIR --dir DIR [options]\n"
    "\n"
    "Makes the directories of a closed network on this machine: the descriptor, the operator's key and one directory\n"
    "per node (n000, n001, ...) with a fresh identity, its options and the prepared list of all peers.\n"
    "\n"
    "  --nodes N            nodes, 1 to 1024\n"
    "  --data-dir DIR       training data as `starling-sim split` leaves them: node-000.csv, node-001.csv, ...\n"
    "  --dir DIR            where to put the network; must not hold one already\n"
    "  --test PATH          public test data, the same for all nodes: a table, or an IDX folder with :test\n"
    "  --label COLUMN       label column of a test CSV (default last)\n"
    "  --model SPEC         softmax, mlp:H1[,H2] or ridge (default softmax)\n"
    "  --seed S             network.seed (default 1)\n"
    "  --base-port P        node i listens at 127.0.0.1:P+i; 0 takes free ports (default 0)\n"
    "  --epoch-length D     epoch.length (default 2s)\n"
    "  --scale S            data.scale: none, divide:X or standard (default none)\n"
    "  --set KEY=VALUE      any option, of the network or of all nodes; may be given again\n"
    "\n"
    "example: starling-sim prepare --nodes 8 --data-dir parts --test test.csv --model mlp:32 --dir net\n";

struct request {
    const char *nodes, *data_dir, *folder, *test, *label, *model, *seed, *base_port, *epoch_length, *scale;
    const char *settings[SETTINGS_MAX];
    uint32_t n_settings, n_nodes, port;
};

struct plan {
    struct request request;
    struct sl_config config;
    struct sl_scaling scaling;
    const struct sl_model *model;
    struct sl_peer *peers;
    struct sl_secrets *secrets;
    char data_dir[SHORT_PATH], test[SHORT_PATH];
    uint8_t operator_secret[64];
    int code;                            /* exit code of the first failure */
};

/* ---- arguments ---- */

static bool fail(struct plan *plan, int code, const char *sentence)
{
    fprintf(stderr, "prepare: %s\n", sentence);
    plan->code = code;
    return false;
}

/* "--name value" or "--name=value" at *at; false if it is something else. */
static bool take_option(int argc, char **argv, int *at, const char *name, const char **out)
{
    size_t size = strlen(name);
    const char *word = argv[*at];
    if (strncmp(word, name, size) != 0) return false;

    if (word[size] == '=') *out = word + size + 1;
    else if (word[size] == 0 && *at + 1 < argc) *out = argv[++*at];
    else return false;
    return true;
}

static bool take_any(int argc, char **argv, int *at, struct request *request)
{
    const char *setting;
    if (request->n_settings < SETTINGS_MAX && take_option(argc, argv, at, "--set", &setting)) {
        request->settings[request->n_settings++] = setting;
        return true;
    }
    return take_option(argc, argv, at, "--nodes", &request->nodes) || take_option(argc, argv, at, "--data-dir", &request->data_dir) ||
           take_option(argc, argv, at, "--dir", &request->folder) || take_option(argc, argv, at, "--test", &request->test) ||
           take_option(argc, argv, at, "--label", &request->label) || take_option(argc, argv, at, "--model", &request->model) ||
           take_option(argc, argv, at, "--seed", &request->seed) || take_option(argc, argv, at, "--base-port", &request->base_port) ||
           take_option(argc, argv, at, "--epoch-length", &request->epoch_length) || take_option(argc, argv, at, "--scale", &request->scale);
}

static bool parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    size_t length = strlen(text);
    if (length == 0 || length > 9 || strspn(text, "0123456789") != length) return false;

    uint32_t value = (uint32_t)strtoul(text, NULL, 10);
    if (value < min || value > max) return false;
    *out = value;
    return true;
}

static bool parse_request(int argc, char **argv, struct plan *plan)
{
    struct request *request = &plan->request;
    *request = (struct request){.label = "last", .model = "softmax", .seed = "1", .base_port = "0", .epoch_length = "2s", .scale = "none"};
    for (int i = 1; i < argc; i++) {
        if (take_any(argc, argv, &i, request)) continue;
        fprintf(stderr, "prepare: '%s' is not an option or lacks its value\n\n%s", argv[i], usage);
        plan->code = EXIT_ARGUMENTS;
        return false;
    }
    if (!request->nodes || !request->data_dir || !request->folder) return fail(plan, EXIT_ARGUMENTS, "--nodes, --data-dir and --dir are needed");
    if (!parse_number(request->nodes, 1, NODES_MAX, &request->n_nodes)) return fail(plan, EXIT_ARGUMENTS, "--nodes must be a number, 1 to 1024");
    if (!parse_number(request->base_port, 0, 65535, &request->port) || request->port + request->n_nodes - 1 > 65535)
        return fail(plan, EXIT_ARGUMENTS, "--base-port must be 0, or a port that leaves room for all nodes up to 65535");
    return true;
}

static bool set_option(struct plan *plan, const char *key, const char *value)
{
    char why[SL_WHY_SIZE];
    return sl_config_set(&plan->config, key, value, why, sizeof why) == SL_OK || fail(plan, EXIT_ARGUMENTS, why);
}

static bool apply_setting(struct plan *plan, const char *setting)
{
    char key[128];
    const char *equals = strchr(setting, '=');
    size_t length = equals ? (size_t)(equals - setting) : 0;
    if (length == 0 || length >= sizeof key) return fail(plan, EXIT_ARGUMENTS, "--set wants KEY=VALUE, like --set train.lr=0.1");

    memcpy(key, setting, length);
    key[length] = 0;
    return set_option(plan, key, equals + 1);
}

static bool set_options(struct plan *plan)
{
    const struct request *request = &plan->request;
    sl_config_init(&plan->config);
    bool done = set_option(plan, "privacy.unit", "off") &&                  /* as in all of the simulator, unless --set says otherwise */
                set_option(plan, "network.name", "testnet") && set_option(plan, "network.seed", request->seed) &&
                set_option(plan, "model", request->model) && set_option(plan, "epoch.length", request->epoch_length) &&
                set_option(plan, "data.scale", request->scale);
    for (uint32_t i = 0; i < request->n_settings && done; i++) done = apply_setting(plan, request->settings[i]);
    if (!done) return false;

    char why[SL_WHY_SIZE];
    plan->model = sl_model_parse(plan->config.model, &plan->config.shape, why, sizeof why);
    if (!plan->model) return fail(plan, EXIT_ARGUMENTS, why);
    return sl_config_check(&plan->config, why, sizeof why) == SL_OK || fail(plan, EXIT_ARGUMENTS, why);
}

/* ---- data ---- */

/* Nodes run in any folder: paths in their configuration begin at the root. Names of known data sets stay. */
static bool anchor(struct plan *plan, const char *path, char out[SHORT_PATH])
{
    static const char known[] = "fashion-mnist";
    char folder[SHORT_PATH];
    bool is_known = strncmp(path, known, sizeof known - 1) == 0 && access(path, F_OK) != 0;
    bool is_whole = path[0] == '/' || is_known;
    if (!is_whole && !getcwd(folder, sizeof folder)) return fail(plan, EXIT_MACHINE, "the path of this folder is too long");

    const char *comma = is_whole ? NULL : strchr(path, ',');         /* a pair of IDX files */
    int length;
    if (comma) length = snprintf(out, SHORT_PATH, "%s/%.*s,%s%s%s", folder, (int)(comma - path), path, comma[1] == '/' ? "" : folder,
                                 comma[1] == '/' ? "" : "/", comma + 1);
    else length = is_whole ? snprintf(out, SHORT_PATH, "%s", path) : snprintf(out, SHORT_PATH, "%s/%s", folder, path);
    return (length > 0 && length < SHORT_PATH) || fail(plan, EXIT_ARGUMENTS, "a path is too long");
}

static bool read_rows(struct plan *plan, const char *path, const char *label, struct sl_dataset *out)
{
    char why[SL_WHY_SIZE];
    struct sl_read_options options = {.task = plan->model->task, .label = label, .impute = plan->config.impute};
    return sl_dataset_read(path, &options, out, why, sizeof why) == SL_OK || fail(plan, EXIT_ARGUMENTS, why);
}

static bool is_table(const char *path)
{
    static const char *const endings[] = {".csv", ".csv.gz", ".npy", ".npy.gz"};
    for (uint32_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t size = strlen(endings[i]), length = strlen(path);
        if (length > size && strcmp(path + length - size, endings[i]) == 0) return true;
    }
    return false;
}

/* The features of all files one after another: scaling is measured over all rows at once. */
static bool gather(struct plan *plan, const struct sl_dataset *part, struct sl_dataset *all)
{
    size_t n_old = (size_t)all->n_rows * part->n_features, n_new = (size_t)part->n_rows * part->n_features;
    float *features = realloc(all->features, (n_old + n_new + 1) * sizeof *features);
    if (!features) return fail(plan, EXIT_MACHINE, "not enough memory to measure the scaling");

    memcpy(features + n_old, part->features, n_new * sizeof *features);
    all->features = features;
    all->n_rows += part->n_rows;
    all->n_features = part->n_features;
    return true;
}

/* The widest of what the files hold becomes the model's shape; all must have equally many features. */
static bool widen_shape(struct plan *plan, const struct sl_dataset *data, const char *path)
{
    struct sl_config *config = &plan->config;
    if (config->n_features == 0) config->n_features = data->n_features;
    if (data->n_features != config->n_features) {
        char sentence[SL_PATH_SIZE + 128];
        snprintf(sentence, sizeof sentence, "%s has %u feature columns, others have %u; all files of a network must have the same", path,
                 data->n_features, config->n_features);
        return fail(plan, EXIT_ARGUMENTS, sentence);
    }
    uint32_t n_classes = plan->model->task == SL_TASK_CLASSIFY ? data->n_classes : 1;
    if (n_classes > config->n_classes) config->n_classes = n_classes;
    return true;
}

static bool read_part(struct plan *plan, uint32_t node, struct sl_dataset *all)
{
    char path[SL_PATH_SIZE];
    struct sl_dataset part = {0};
    snprintf(path, sizeof path, "%s/node-%03u.csv", plan->data_dir, node);
    bool done = read_rows(plan, path, "last", &part) && widen_shape(plan, &part, path);
    if (done && all) done = gather(plan, &part, all);
    sl_dataset_finish(&part);
    return done;
}

static bool measure_scaling(struct plan *plan, const struct sl_dataset *all)
{
    struct sl_scaling *scaling = &plan->scaling;
    *scaling = (struct sl_scaling){.n_features = all->n_features, .offset = calloc(all->n_features, sizeof(float)),
                                   .factor = calloc(all->n_features, sizeof(float))};
    if (!scaling->offset || !scaling->factor) return fail(plan, EXIT_MACHINE, "not enough memory to measure the scaling");

    sl_scale_measure(all, scaling->offset, scaling->factor);
    return true;
}

/* A table is written again with its label last, as the parts have it; an IDX set is read by the nodes themselves. */
static bool read_test(struct plan *plan)
{
    if (!plan->request.test) return true;

    char path[SHORT_PATH];
    struct sl_dataset test = {0};
    if (!anchor(plan, plan->request.test, path) || !read_rows(plan, path, plan->request.label, &test)) return false;

    bool done = widen_shape(plan, &test, path);
    if (done && is_table(path)) {
        char copy[SHORT_PATH];
        done = anchor(plan, plan->request.folder, copy);
        size_t length = strlen(copy);
        snprintf(plan->test, sizeof plan->test, "%.*s/test.csv", (int)(length < SHORT_PATH - 16 ? length : SHORT_PATH - 16), copy);
        if (done && sl_dataset_write_csv(&test, plan->test) != SL_OK) done = fail(plan, EXIT_MACHINE, "cannot write test.csv into the network's folder");
    } else {
        memcpy(plan->test, path, sizeof plan->test);
    }
    sl_dataset_finish(&test);
    return done;
}

static bool read_data(struct plan *plan)
{
    bool standard = strcmp(plan->config.scale, "standard") == 0;
    struct sl_dataset all = {0};
    bool done = anchor(plan, plan->request.data_dir, plan->data_dir);
    for (uint32_t i = 0; i < plan->request.n_nodes && done; i++) done = read_part(plan, i, standard ? &all : NULL);
    if (done && standard) done = measure_scaling(plan, &all);
    free(all.features);
    return done && read_test(plan);
}

/* ---- addresses and keys ---- */

/* All ports are held until the last one is known, so that none is given out twice. */
static bool choose_ports(struct plan *plan)
{
    uint32_t n = plan->request.n_nodes, n_open = 0;
    int *sockets = calloc(n, sizeof *sockets);
    bool done = sockets != NULL;
    for (uint32_t i = 0; i < n && done; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof address;
        if (plan->request.port != 0) {
            address.sin_port = htons((uint16_t)(plan->request.port + i));
        } else {
            sockets[n_open] = socket(AF_INET, SOCK_STREAM, 0);
            done = sockets[n_open] >= 0;
            n_open += done;
            done = done && bind(sockets[i], (struct sockaddr *)&address, size) == 0 && getsockname(sockets[i], (struct sockaddr *)&address, &size) == 0;
        }
        snprintf(plan->peers[i].address, sizeof plan->peers[i].address, "127.0.0.1:%u", ntohs(address.sin_port));
    }
    for (uint32_t i = 0; i < n_open; i++) close(sockets[i]);
    free(sockets);
    return done || fail(plan, EXIT_MACHINE, "the machine gives no free ports");
}

/* Fresh keys from the kernel; the invite key signs once and is gone. */
static void admit(struct plan *plan, uint32_t node)
{
    struct sl_peer *peer = &plan->peers[node];
    struct sl_secrets *secrets = &plan->secrets[node];
    uint8_t invite_seed[32];
    struct sl_invite invite;
    crypto_sign_keypair(peer->sign_public, secrets->sign_secret);
    crypto_box_keypair(peer->transport_public, secrets->transport_secret);
    randombytes_buf(invite_seed, sizeof invite_seed);

    sl_identity_id(plan->config.network_id, peer->sign_public, peer->id);
    uint64_t expires_s = (uint64_t)time(NULL) + certificate_life_s;
    sl_invite_issue(plan->config.network_id, plan->operator_secret, NULL, invite_seed, 0, 0, expires_s, &invite);
    peer->certificate_size = (uint32_t)sl_certificate_issue(plan->config.network_id, &invite, peer->id, peer->certificate);
    sodium_memzero(invite_seed, sizeof invite_seed);
    sodium_memzero(&invite, sizeof invite);
}

/* ---- files ---- */

static bool make_folder(struct plan *plan, const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST) return true;

    char sentence[SL_PATH_SIZE + 64];
    snprintf(sentence, sizeof sentence, "cannot make the folder %s (%s)", path, strerror(errno));
    return fail(plan, EXIT_MACHINE, sentence);
}

static bool refuse_existing(struct plan *plan)
{
    char path[SL_PATH_SIZE];
    if (sl_path_join(plan->request.folder, "network.conf", path) != SL_OK) return fail(plan, EXIT_ARGUMENTS, "--dir is too long");
    if (access(path, F_OK) != 0) return true;
    return fail(plan, EXIT_ARGUMENTS, "--dir holds a network already; name a new folder, or remove that one");
}

static bool write_operator(struct plan *plan)
{
    char hex[129], text[512];
    sodium_bin2hex(hex, sizeof hex, plan->operator_secret, sizeof plan->operator_secret);
    int length = snprintf(text, sizeof text, "# Secret key of the network's operator. Whoever reads this file can admit nodes.\noperator = %s\n", hex);
    int error = sl_file_put(plan->request.folder, "operator.key", text, (size_t)length, 0600, false);
    sodium_memzero(hex, sizeof hex);
    sodium_memzero(text, sizeof text);
    return error == SL_OK || fail(plan, EXIT_MACHINE, "cannot write operator.key");
}

static bool write_network(struct plan *plan, const char *folder)
{
    char path[SL_PATH_SIZE], why[SL_WHY_SIZE];
    if (sl_path_join(folder, "network.conf", path) != SL_OK) return fail(plan, EXIT_ARGUMENTS, "--dir is too long");
    return sl_network_write(path, &plan->config, &plan->scaling, why, sizeof why) == SL_OK || fail(plan, EXIT_MACHINE, why);
}

static bool write_settings(struct plan *plan, uint32_t node, const char *folder)
{
    char value[SL_PATH_SIZE];
    snprintf(value, sizeof value, "n%03u", node);
    bool done = set_option(plan, "node.name", value) && set_option(plan, "node.listen", plan->peers[node].address);
    snprintf(value, sizeof value, "%s/node-%03u.csv", plan->data_dir, node);
    done = done && set_option(plan, "data.path", value) && set_option(plan, "data.test", plan->test) && set_option(plan, "data.label", "last");
    if (!done) return false;

    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) return fail(plan, EXIT_MACHINE, "not enough memory");
    bool written = sl_config_write_commented(file, &plan->config, SL_SCOPE_NODE) == SL_OK;
    written = fclose(file) == 0 && written;
    written = written && sl_file_put(folder, "node.conf", text, size, 0644, false) == SL_OK;
    free(text);
    return written || fail(plan, EXIT_MACHINE, "cannot write node.conf");
}

static bool write_node(struct plan *plan, uint32_t node)
{
    char folder[SL_PATH_SIZE], name[16], why[SL_WHY_SIZE];
    snprintf(name, sizeof name, "n%03u", node);
    if (sl_path_join(plan->request.folder, name, folder) != SL_OK) return fail(plan, EXIT_ARGUMENTS, "--dir is too long");
    if (!make_folder(plan, folder) || !write_network(plan, folder) || !write_settings(plan, node, folder)) return false;
    if (sl_secrets_write(folder, "identity.key", &plan->secrets[node], why, sizeof why) != SL_OK) return fail(plan, EXIT_MACHINE, why);
    return sl_peers_write(folder, "peers.list", plan->peers, plan->request.n_nodes, why, sizeof why) == SL_OK || fail(plan, EXIT_MACHINE, why);
}

static bool make_network(struct plan *plan)
{
    uint32_t n = plan->request.n_nodes;
    crypto_sign_keypair(plan->config.operator_key, plan->operator_secret);
    sl_network_id(&plan->config, &plan->scaling, plan->config.network_id);
    bool done = write_operator(plan) && choose_ports(plan);
    for (uint32_t i = 0; i < n && done; i++) admit(plan, i);
    for (uint32_t i = 0; i < n && done; i++) done = write_node(plan, i);
    return done && write_network(plan, plan->request.folder);        /* last: the mark of a whole network */
}

static bool prepare(struct plan *plan)
{
    if (!make_folder(plan, plan->request.folder) || !refuse_existing(plan) || !set_options(plan) || !read_data(plan)) return false;

    char why[SL_WHY_SIZE];
    if (sl_config_check(&plan->config, why, sizeof why) != SL_OK) return fail(plan, EXIT_ARGUMENTS, why);
    plan->peers = calloc(plan->request.n_nodes, sizeof *plan->peers);
    plan->secrets = calloc(plan->request.n_nodes, sizeof *plan->secrets);
    if (!plan->peers || !plan->secrets) return fail(plan, EXIT_MACHINE, "not enough memory");
    return make_network(plan);
}

int sim_prepare(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    struct plan *plan = calloc(1, sizeof *plan);
    if (!plan || sodium_init() < 0) {
        fprintf(stderr, "prepare: not enough memory\n");
        free(plan);
        return EXIT_MACHINE;
    }
    if (parse_request(argc, argv, plan) && prepare(plan))
        printf("%u nodes in %s, model %s with %u features and %u classes\n", plan->request.n_nodes, plan->request.folder, plan->config.model,
               plan->config.n_features, plan->config.n_classes);

    int code = plan->code;
    if (plan->secrets) sodium_memzero(plan->secrets, plan->request.n_nodes * sizeof *plan->secrets);
    sodium_memzero(plan->operator_secret, sizeof plan->operator_secret);
    sl_scaling_finish(&plan->scaling);
    free(plan->secrets);
    free(plan->peers);
    free(plan);
    return code;
}
