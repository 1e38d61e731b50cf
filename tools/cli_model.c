/* SPDX-License-Identifier: MIT */
/* starling model export | info, and predict: the model that lies in a node's directory, without a running node. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli_compare.h"
#include "cli_files.h"
#include "cli_join.h"
#include "cli_tensors.h"
#include "cli_words.h"
#include "config/network.h"
#include "config/registry.h"
#include "data/dataset.h"
#include "data/scale.h"
#include "runtime/settings.h"
#include "runtime/store.h"
#include "starling/error.h"
#include "starling/node.h"

/* A model as it was saved, and what it needs to be understood. */
struct saved {
    const char *folder;
    struct sl_config config;
    struct sl_scaling scaling;
    const struct sl_model *model;
    uint32_t dim;
    float *weights;
    uint64_t epoch;
    char why[CLI_WHY_SIZE];
};

#define REFUSE(saved, error, ...) SL_FAIL((error), (saved)->why, CLI_WHY_SIZE, __VA_ARGS__)

static int read_options(struct saved *saved)
{
    char path[SL_PATH_SIZE], sentence[SL_WHY_SIZE];
    sl_config_init(&saved->config);
    if (sl_path_join(saved->folder, "network.conf", path) != SL_OK) return REFUSE(saved, SL_ERROR_TOO_LARGE, "%s: is too long", saved->folder);

    int error = sl_network_read(path, &saved->config, &saved->scaling, saved->why, CLI_WHY_SIZE);
    sl_path_join(saved->folder, "node.conf", path);
    if (error == SL_OK) error = sl_settings_read(path, &saved->config, saved->why, CLI_WHY_SIZE);
    if (error != SL_OK) return error;

    saved->model = sl_model_of(&saved->config, sentence, sizeof sentence);
    if (!saved->model) return REFUSE(saved, SL_ERROR_FORMAT, "%s/network.conf: %s", saved->folder, sentence);
    saved->dim = saved->model->dim(&saved->config.shape);
    return cli_scaling_fill(&saved->config, &saved->scaling, saved->why);
}

static int read_weights(struct saved *saved)
{
    uint8_t *state = NULL;
    size_t size = 0;
    int error = sl_store_read_state(saved->folder, &state, &size, saved->why, CLI_WHY_SIZE);
    if (error != SL_OK) return error;
    if (!state)
        return REFUSE(saved, SL_ERROR_NOT_FOUND, "%s: has no saved model yet; the node saves one each epoch and when it stops: let it run first",
                      saved->folder);

    saved->weights = calloc(saved->dim, sizeof *saved->weights);
    if (!saved->weights) error = REFUSE(saved, SL_ERROR_NO_MEMORY, "not enough memory for %u weights", saved->dim);
    else error = sl_state_weights(state, size, saved->config.network_id, saved->dim, saved->weights, &saved->epoch);
    free(state);
    if (error == SL_ERROR_WRONG_NETWORK)
        return REFUSE(saved, error, "%s/state: was saved in another network than network.conf describes; was network.conf changed?", saved->folder);
    if (error == SL_ERROR_FORMAT)
        return REFUSE(saved, error, "%s/state: is not of a model of %u weights, or of another version of starling", saved->folder, saved->dim);
    return error;
}

static int load(struct saved *saved)
{
    int error = read_options(saved);
    return error == SL_OK ? read_weights(saved) : error;
}

static void finish(struct saved *saved)
{
    sl_scaling_finish(&saved->scaling);
    free(saved->weights);
}

/* ---- model info ---- */

static int info(struct cli *cli, struct saved *saved)
{
    int error = load(saved);
    if (error != SL_OK) return cli_fail(cli, cli_code_of(error), "%s", saved->why);

    struct cli_tensor tensors[CLI_TENSORS_MAX];
    uint32_t n = cli_tensors_of(&saved->config.shape, tensors);
    double norm = 0;
    for (uint32_t i = 0; i < saved->dim; i++) norm += (double)saved->weights[i] * (double)saved->weights[i];
    if (cli->json)
        return cli_answer(cli, json_pack("{s:s, s:s, s:I, s:i, s:i, s:i, s:f, s:s}", "model", saved->config.model, "network", saved->config.network_name,
                                         "epoch", (json_int_t)saved->epoch, "parameters", (int)saved->dim, "features", (int)saved->config.shape.n_features,
                                         "outputs", (int)saved->config.shape.n_outputs, "norm", sqrt(norm), "scale", saved->config.scale));

    printf("model       %s of the network %s, as saved in epoch %llu\n", saved->config.model, saved->config.network_name, (unsigned long long)saved->epoch);
    printf("parameters  %u, norm %.4g\n", saved->dim, sqrt(norm));
    printf("scaling     %s\n", saved->config.scale);
    for (uint32_t i = 0; i < n; i++) {
        if (tensors[i].columns) printf("  %-16s %u x %u\n", tensors[i].name, tensors[i].rows, tensors[i].columns);
        else printf("  %-16s %u\n", tensors[i].name, tensors[i].rows);
    }
    return CLI_OK;
}

/* ---- writing files that must not exist ---- */

static int open_fresh(struct saved *saved, const char *path, FILE **out)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    *out = descriptor >= 0 ? fdopen(descriptor, "wb") : NULL;
    if (*out) return SL_OK;
    if (errno == EEXIST) return REFUSE(saved, SL_ERROR_EXISTS, "%s: exists already and nothing is ever overwritten; name another file", path);
    return REFUSE(saved, SL_ERROR_IO, "%s: cannot be written (%s)", path, strerror(errno));
}

/* Closes; a file that is not whole is removed. */
static int close_fresh(struct saved *saved, FILE *file, const char *path, bool written)
{
    int number = written ? 0 : errno;
    if (written && (fflush(file) != 0 || ferror(file) || fsync(fileno(file)) != 0)) number = errno ? errno : EIO;
    if (fclose(file) != 0 && number == 0) number = errno;
    if (written && number == 0) return SL_OK;

    unlink(path);
    return REFUSE(saved, number == ENOSPC ? SL_ERROR_NO_SPACE : SL_ERROR_IO, "%s: cannot be written (%s); nothing was left behind", path,
                  strerror(number ? number : EIO));
}

/* ---- model export ---- */

static bool write_model(FILE *file, const struct saved *saved, const char *format)
{
    if (strcmp(format, "npy") == 0) return cli_npy_write(file, saved->weights, saved->dim);
    if (strcmp(format, "csv") == 0) return cli_weights_csv_write(file, &saved->config.shape, saved->weights);

    char epoch[24], network[65];
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)saved->epoch);
    sodium_bin2hex(network, sizeof network, saved->config.network_id, 32);
    char *columns = sl_names_join(saved->scaling.columns.names, saved->scaling.columns.n),
         *classes = sl_names_join(saved->scaling.classes.names, saved->scaling.classes.n);
    const struct cli_note notes[] = {{"made_by", "starling"},        {"model", saved->config.model},   {"epoch", epoch},
                                     {"network", network},           {"scale", saved->config.scale},   {"network_name", saved->config.network_name},
                                     {"columns", columns},           {"classes", classes}};
    bool written = columns && classes && cli_safetensors_write(file, &saved->config.shape, saved->weights, notes, sizeof notes / sizeof notes[0]);
    free(columns);
    free(classes);
    return written;
}

static const char *format_after(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && strcmp(dot, ".npy") == 0 ? "npy" : dot && strcmp(dot, ".csv") == 0 ? "csv" : "safetensors";
}

static int export(struct cli *cli, struct saved *saved, const char *path, const char *format)
{
    if (!format) format = format_after(path);
    bool is_known = strcmp(format, "safetensors") == 0 || strcmp(format, "npy") == 0 || strcmp(format, "csv") == 0;
    if (!is_known) return cli_fail(cli, CLI_ARGUMENTS, "--format %.40s: must be safetensors, npy or csv", format);

    int error = load(saved);
    FILE *file = NULL;
    if (error == SL_OK) error = open_fresh(saved, path, &file);
    if (error == SL_OK) error = close_fresh(saved, file, path, write_model(file, saved, format));
    if (error != SL_OK) return cli_fail(cli, cli_code_of(error), "%s", saved->why);
    if (cli->json)
        return cli_answer(
            cli, json_pack("{s:s, s:s, s:I, s:i}", "file", path, "format", format, "epoch", (json_int_t)saved->epoch, "parameters", (int)saved->dim));

    printf("%s: %u weights of epoch %llu as %s\n", path, saved->dim, (unsigned long long)saved->epoch, format);
    if (strcmp(saved->config.scale, "none") != 0)
        printf("It wants scaled inputs (data.scale is %s): `starling predict` does that by itself.\n", saved->config.scale);
    return CLI_OK;
}

int cli_model(struct cli *cli, int argc, char **argv)
{
    const char *format = NULL;
    struct cli_words words;
    const struct cli_flag flags[] = {{"--format", &format, NULL}, {0}};
    struct saved *saved = calloc(1, sizeof *saved);
    if (!saved) return cli_fail(cli, CLI_FAILED, "not enough memory");

    int code;
    saved->folder = cli->directory;
    bool sorted = cli_words_sort(argc, argv, flags, 2, &words, saved->why, CLI_WHY_SIZE);
    bool is_export = sorted && words.n_plain == 2 && strcmp(words.plain[0], "export") == 0;
    bool is_info = sorted && words.n_plain == 1 && strcmp(words.plain[0], "info") == 0;
    if (!sorted) code = cli_fail(cli, CLI_ARGUMENTS, "%s", saved->why);
    else if (!is_export && !is_info)
        code = cli_fail(cli, CLI_ARGUMENTS, "wanted: starling -d DIR model export FILE [--format safetensors|npy|csv], or starling -d DIR model info");
    else if (!saved->folder) code = cli_fail(cli, CLI_ARGUMENTS, "names no node; wanted: starling -d DIR model %s", words.plain[0]);
    else code = is_export ? export(cli, saved, words.plain[1], format) : info(cli, saved);
    finish(saved);
    free(saved);
    return code;
}

/* ---- predict ---- */

struct prediction {
    struct saved *saved;
    const char *data, *label, *out;
    struct sl_dataset rows;
    bool has_labels;
    float *outputs;                              /* n_rows x n_outputs */
    double score;                                /* accuracy, or root mean squared error */
};

static int read_once(struct prediction *prediction, const char *label)
{
    char sentence[SL_WHY_SIZE];
    struct saved *saved = prediction->saved;
    struct sl_read_options options = {.task = saved->model->task, .label = label, .impute = saved->config.impute};
    int error = sl_dataset_read(prediction->data, &options, &prediction->rows, sentence, sizeof sentence);
    if (error != SL_OK) return REFUSE(saved, error, "--data: %s", sentence);
    prediction->has_labels = strcmp(label, "none") != 0;
    return SL_OK;
}

/* Where no label column was named, a table that fits without one has none. */
static int read_rows(struct prediction *prediction)
{
    struct saved *saved = prediction->saved;
    const struct sl_names *columns = &saved->scaling.columns;
    const char *label = prediction->label ? prediction->label : saved->config.data_label;
    uint32_t n_features = saved->config.n_features;
    if (!prediction->label) {
        int error = read_once(prediction, "none");
        if (error == SL_OK && prediction->rows.n_features == n_features) goto check;
        sl_dataset_finish(&prediction->rows);
    }
    int error = read_once(prediction, label);
    if (error != SL_OK) return error;
check:
    if (!cli_columns_fit(&prediction->rows, prediction->data, label, n_features, columns, saved->why, CLI_WHY_SIZE)) return SL_ERROR_MISMATCH;
    if (saved->model->task != SL_TASK_CLASSIFY || !prediction->has_labels) return SL_OK;
    if (!cli_classes_fit(&prediction->rows, prediction->data, saved->config.n_classes, &saved->scaling.classes, saved->why, CLI_WHY_SIZE))
        return SL_ERROR_MISMATCH;
    if (saved->scaling.classes.n == 0) return SL_OK;
    return sl_dataset_number_classes(&prediction->rows, saved->scaling.classes.names, saved->scaling.classes.n, saved->why, CLI_WHY_SIZE);
}

static void score(struct prediction *prediction)
{
    const struct sl_shape *shape = &prediction->saved->config.shape;
    bool classify = prediction->saved->model->task == SL_TASK_CLASSIFY;
    double sum = 0, probability;
    for (uint32_t i = 0; i < prediction->rows.n_rows; i++) {
        const float *row = prediction->outputs + (size_t)i * shape->n_outputs;
        double label = prediction->rows.labels[i];
        sum += classify ? cli_class_of(row, shape->n_outputs, &probability) == label : (*row - label) * (*row - label);
    }
    double mean = sum / prediction->rows.n_rows;
    prediction->score = classify ? mean : sqrt(mean);
}

static int predict(struct prediction *prediction)
{
    struct saved *saved = prediction->saved;
    int error = load(saved);
    if (error == SL_OK) error = read_rows(prediction);
    if (error != SL_OK) return error;

    struct sl_dataset *rows = &prediction->rows;
    if (saved->scaling.n_features > 0) sl_scale_apply(rows, saved->scaling.offset, saved->scaling.factor);
    prediction->outputs = calloc((size_t)rows->n_rows * saved->config.shape.n_outputs, sizeof(float));
    if (!prediction->outputs || !cli_forward(&saved->config.shape, saved->weights, rows->features, rows->n_rows, prediction->outputs))
        return REFUSE(saved, SL_ERROR_NO_MEMORY, "not enough memory for the predictions of %u rows", rows->n_rows);
    if (prediction->has_labels) score(prediction);
    return SL_OK;
}

/* A class by its name where it has one; quoted when it could be taken for more than one cell. */
static void print_class(FILE *file, const struct saved *saved, uint32_t class_number)
{
    const struct sl_names *names = &saved->scaling.classes;
    if (class_number >= names->n) {
        fprintf(file, "%u", class_number);
        return;
    }
    const char *name = names->names[class_number];
    bool plain = strcspn(name, ",;\"\n\r\t ") == strlen(name);
    if (!plain) fputc('"', file);
    for (; *name; name++) {
        if (*name == '"') fputc('"', file);
        fputc(*name, file);
    }
    if (!plain) fputc('"', file);
}

static bool write_rows(FILE *file, const struct prediction *prediction)
{
    const struct saved *saved = prediction->saved;
    uint32_t n_outputs = saved->config.shape.n_outputs;
    bool classify = saved->model->task == SL_TASK_CLASSIFY;
    fputs(classify ? "row,class,probability\n" : "row,value\n", file);
    for (uint32_t i = 0; i < prediction->rows.n_rows; i++) {
        const float *outputs = prediction->outputs + (size_t)i * n_outputs;
        double probability = 0;
        fprintf(file, "%u,", i + 1);
        if (!classify) {
            fprintf(file, "%.9g\n", (double)*outputs);
            continue;
        }
        print_class(file, saved, cli_class_of(outputs, n_outputs, &probability));
        fprintf(file, ",%.4f\n", probability);
    }
    return !ferror(file);
}

static json_t *json_of(const struct prediction *prediction)
{
    const struct saved *saved = prediction->saved;
    uint32_t n_outputs = saved->config.shape.n_outputs;
    bool classify = saved->model->task == SL_TASK_CLASSIFY;
    json_t *data = json_pack("{s:s, s:i, s:I}", "model", saved->config.model, "rows", (int)prediction->rows.n_rows, "epoch", (json_int_t)saved->epoch);
    json_object_set_new(data, classify ? "accuracy" : "rmse", prediction->has_labels ? json_real(prediction->score) : json_null());
    if (prediction->out) {
        json_object_set_new(data, "file", json_string(prediction->out));
        return data;
    }
    json_t *predictions = json_array();
    for (uint32_t i = 0; i < prediction->rows.n_rows; i++) {
        const float *outputs = prediction->outputs + (size_t)i * n_outputs;
        double probability = 0;
        uint32_t class_number = classify ? cli_class_of(outputs, n_outputs, &probability) : 0;
        const struct sl_names *names = &saved->scaling.classes;
        json_t *name = class_number < names->n ? json_string(names->names[class_number]) : json_integer((json_int_t)class_number);
        json_array_append_new(predictions, classify ? json_pack("{s:o, s:f}", "class", name, "probability", probability)
                                                    : json_pack("{s:f}", "value", (double)*outputs));
        if (!classify) json_decref(name);
    }
    json_object_set_new(data, "predictions", predictions);
    return data;
}

static int hand_over(struct cli *cli, struct prediction *prediction)
{
    int error = SL_OK;
    FILE *file = NULL;
    if (prediction->out) error = open_fresh(prediction->saved, prediction->out, &file);
    if (file) error = close_fresh(prediction->saved, file, prediction->out, write_rows(file, prediction));
    if (error != SL_OK) return cli_fail(cli, cli_code_of(error), "%s", prediction->saved->why);
    if (cli->json) return cli_answer(cli, json_of(prediction));

    if (!prediction->out) write_rows(stdout, prediction);
    bool classify = prediction->saved->model->task == SL_TASK_CLASSIFY;
    if (prediction->has_labels)
        fprintf(stderr, classify ? "%u rows, accuracy %.4f\n" : "%u rows, root mean squared error %.6g\n", prediction->rows.n_rows, prediction->score);
    else fprintf(stderr, "%u rows, without labels to compare with\n", prediction->rows.n_rows);
    return CLI_OK;
}

int cli_predict(struct cli *cli, int argc, char **argv)
{
    struct saved *saved = calloc(1, sizeof *saved);
    if (!saved) return cli_fail(cli, CLI_FAILED, "not enough memory");

    struct prediction prediction = {.saved = saved};
    struct cli_words words;
    const struct cli_flag flags[] = {{"--data", &prediction.data, NULL}, {"--label", &prediction.label, NULL}, {"--out", &prediction.out, NULL}, {0}};
    int code = CLI_OK;
    saved->folder = cli->directory;
    if (!cli_words_sort(argc, argv, flags, 0, &words, saved->why, CLI_WHY_SIZE)) code = cli_fail(cli, CLI_ARGUMENTS, "%s", saved->why);
    else if (!saved->folder || !prediction.data)
        code = cli_fail(cli, CLI_ARGUMENTS, "wanted: starling -d DIR predict --data FILE [--label COLUMN] [--out FILE]");
    else {
        int error = predict(&prediction);
        code = error == SL_OK ? hand_over(cli, &prediction) : cli_fail(cli, cli_code_of(error), "%s", saved->why);
    }
    sl_dataset_finish(&prediction.rows);
    free(prediction.outputs);
    finish(saved);
    free(saved);
    return code;
}
