/* SPDX-License-Identifier: MIT */
#include "runtime/setup.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "config/plan.h"
#include "config/registry.h"
#include "data/scale.h"
#include "runtime/files.h"
#include "runtime/membership.h"
#include "runtime/settings.h"
#include "runtime/spending.h"
#include "runtime/store.h"
#include "starling/error.h"
#include "train/trainer.h"

static int read_network(struct sl_setup *setup, char *why, size_t why_size)
{
    char path[SL_PATH_SIZE];
    if (sl_path_join(setup->folder, "network.conf", path) != SL_OK)
        return SL_FAIL(SL_ERROR_TOO_LARGE, why, why_size, "%s: the path is too long", setup->folder);
    return sl_network_read(path, &setup->config, &setup->scaling, why, why_size);
}

static int read_settings(struct sl_setup *setup, const char *const *settings, uint32_t n_settings, char *why, size_t why_size)
{
    char path[SL_PATH_SIZE];
    sl_path_join(setup->folder, "node.conf", path);
    int error = sl_settings_read(path, &setup->config, why, why_size);
    for (uint32_t i = 0; i < n_settings && error == SL_OK; i++) error = sl_settings_apply(settings[i], &setup->config, why, why_size);
    return error;
}

static int choose_plug_ins(struct sl_setup *setup, char *why, size_t why_size)
{
    struct sl_config *config = &setup->config;
    char sentence[SL_WHY_SIZE];
    setup->model = sl_model_parse(config->model, &config->shape, sentence, sizeof sentence);
    if (!setup->model) return SL_FAIL(SL_ERROR_FORMAT, why, why_size, "%s/network.conf: %s", setup->folder, sentence);

    config->aggregator = sl_aggregator_find(config->merge_rule);
    config->rule = sl_rule_params_of(config);
    return SL_OK;
}

static int read_rows(const struct sl_setup *setup, const char *key, const char *path, struct sl_dataset *out, char *why, size_t why_size)
{
    char sentence[SL_WHY_SIZE];
    struct sl_read_options options = {.task = setup->model->task, .label = setup->config.data_label, .impute = setup->config.impute};
    int error = sl_dataset_read(path, &options, out, sentence, sizeof sentence);
    const struct sl_names *classes = &setup->scaling.classes;
    if (error == SL_OK && classes->n > 0) error = sl_dataset_number_classes(out, classes->names, classes->n, sentence, sizeof sentence);
    if (error != SL_OK) return SL_FAIL(error, why, why_size, "%s: %s", key, sentence);
    return SL_OK;
}

static void settle_shape(struct sl_setup *setup)
{
    struct sl_config *config = &setup->config;
    bool classify = setup->model->task == SL_TASK_CLASSIFY;
    config->shape.n_features = config->n_features ? config->n_features : setup->data.n_features;
    config->shape.n_outputs = !classify ? 1 : config->n_classes ? config->n_classes : setup->data.n_classes;
}

static int check_rows(const struct sl_setup *setup, const char *path, const struct sl_dataset *data, char *why, size_t why_size)
{
    const struct sl_shape *shape = &setup->config.shape;
    if (data->n_features != shape->n_features)
        return SL_FAIL(SL_ERROR_MISMATCH, why, why_size, "%s: has %u feature columns, but the model of network.conf has %u inputs", path, data->n_features,
                       shape->n_features);
    if (setup->model->task == SL_TASK_CLASSIFY && data->n_classes > shape->n_outputs)
        return SL_FAIL(SL_ERROR_MISMATCH, why, why_size, "%s: has labels up to %u, but the model of network.conf has %u classes (0 to %u)", path,
                       data->n_classes - 1, shape->n_outputs, shape->n_outputs - 1);
    return SL_OK;
}

/* divide:X is written as offsets and factors, so that there is one way to scale. */
static int fill_division(struct sl_setup *setup, char *why, size_t why_size)
{
    char *end;
    const char *text = setup->config.scale + strlen("divide:");
    double divisor = strtod(text, &end);
    bool is_good = end != text && *end == 0 && (divisor > 0 || divisor < 0) && divisor * 0 == 0;
    if (!is_good) return SL_FAIL(SL_ERROR_FORMAT, why, why_size, "data.scale is \"%s\": wants a number other than zero, like divide:255", setup->config.scale);

    uint32_t n = setup->config.shape.n_features;
    struct sl_scaling *scaling = &setup->scaling;
    scaling->n_features = n;                 /* the descriptor holds numbers for standard scaling only */
    scaling->offset = calloc(n, sizeof(float));
    scaling->factor = calloc(n, sizeof(float));
    if (!scaling->offset || !scaling->factor) return SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory for the scaling");

    for (uint32_t j = 0; j < n; j++) scaling->factor[j] = (float)(1 / divisor);
    return SL_OK;
}

static int scale(struct sl_setup *setup, char *why, size_t why_size)
{
    if (strncmp(setup->config.scale, "divide:", 7) == 0) {
        int error = fill_division(setup, why, why_size);
        if (error != SL_OK) return error;
    }
    const struct sl_scaling *scaling = &setup->scaling;
    if (scaling->n_features == 0) return SL_OK;
    if (scaling->n_features != setup->config.shape.n_features)
        return SL_FAIL(SL_ERROR_MISMATCH, why, why_size, "%s/network.conf: scales %u features, but the model has %u inputs", setup->folder,
                       scaling->n_features, setup->config.shape.n_features);

    sl_scale_apply(&setup->data, scaling->offset, scaling->factor);
    if (setup->test.n_rows > 0) sl_scale_apply(&setup->test, scaling->offset, scaling->factor);
    return SL_OK;
}

/* Where the descriptor and the file both name the columns, the same must stand in the same place; classes that are texts get the descriptor's numbers. */
static int settle_names(const struct sl_setup *setup, const char *path, struct sl_dataset *data, char *why, size_t why_size)
{
    const struct sl_names *columns = &setup->scaling.columns, *classes = &setup->scaling.classes;
    bool both_named = data->columns && columns->n == data->n_features;
    for (uint32_t j = 0; both_named && j < columns->n; j++)
        if (strcmp(data->columns[j], columns->names[j]) != 0)
            return SL_FAIL(SL_ERROR_MISMATCH, why, why_size,
                           "%s: feature column %u is \"%s\", but network.conf wants \"%s\" there; bring the columns into its order", path, j + 1,
                           data->columns[j], columns->names[j]);
    if (!data->classes || classes->n == 0) return SL_OK;

    char sentence[SL_WHY_SIZE];
    int error = sl_dataset_number_classes(data, classes->names, classes->n, sentence, sizeof sentence);
    return error == SL_OK ? SL_OK : SL_FAIL(error, why, why_size, "%s: %s", path, sentence);
}

static int read_data(struct sl_setup *setup, char *why, size_t why_size)
{
    const struct sl_config *config = &setup->config;
    if (!config->data_path[0])
        return SL_FAIL(SL_ERROR_NOT_FOUND, why, why_size, "%s/node.conf: data.path is empty; it must name the training data", setup->folder);

    int error = read_rows(setup, "data.path", config->data_path, &setup->data, why, why_size);
    if (error == SL_OK && config->data_test[0]) error = read_rows(setup, "data.test", config->data_test, &setup->test, why, why_size);
    if (error != SL_OK) return error;

    error = settle_names(setup, config->data_path, &setup->data, why, why_size);
    if (error == SL_OK && setup->test.n_rows > 0) error = settle_names(setup, config->data_test, &setup->test, why, why_size);
    if (error != SL_OK) return error;

    settle_shape(setup);
    error = sl_privacy_check_model(config, setup->model->dim(&config->shape), why, why_size);
    if (error != SL_OK) return error;

    error = check_rows(setup, config->data_path, &setup->data, why, why_size);
    if (error == SL_OK && setup->test.n_rows > 0) error = check_rows(setup, config->data_test, &setup->test, why, why_size);
    if (error == SL_OK) error = scale(setup, why, why_size);
    return error;
}

/* The rows kept back depend on the identity only: a restart must not train on what was kept back before. With privacy nobody else may know which. */
static int make_trainer(struct sl_setup *setup, char *why, size_t why_size)
{
    uint8_t seed[32];
    bool is_private = sl_unit_of(&setup->config) != SL_UNIT_OFF;
    sl_hash_once("holdback", is_private ? setup->identity.sign_secret : setup->identity.id, 32, seed);
    uint32_t *rows = malloc(sizeof *rows * (setup->data.n_rows ? setup->data.n_rows : 1));
    if (!rows) return SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory to train");

    for (uint32_t i = 0; i < setup->data.n_rows; i++) rows[i] = i;
    bool made = sl_trainer_new(&setup->trainer, setup->model, &setup->config, &setup->data, rows, setup->data.n_rows, seed);
    free(rows);
    sodium_memzero(seed, sizeof seed);
    if (!made) return SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "cannot train: %s holds no rows, or memory is short", setup->config.data_path);
    return SL_OK;
}

/* The book only says whom to dial first: a damaged one is left behind. */
static int read_book(struct sl_setup *setup, char *why, size_t why_size)
{
    int error = sl_store_read_book(setup->folder, &setup->book, &setup->book_size, why, why_size);
    setup->book_damaged = error == SL_ERROR_FORMAT;
    return setup->book_damaged ? SL_OK : error;
}

int sl_setup_load(struct sl_setup *setup, const char *folder, const char *const *settings, uint32_t n_settings, char *why, size_t why_size)
{
    *setup = (struct sl_setup){.folder = folder};
    sl_config_init(&setup->config);

    int error = read_network(setup, why, why_size);
    if (error == SL_OK) error = read_settings(setup, settings, n_settings, why, why_size);
    if (error == SL_OK) error = sl_config_check(&setup->config, why, why_size);
    if (error == SL_OK) error = sl_membership_read(setup, why, why_size);
    if (error == SL_OK) error = choose_plug_ins(setup, why, why_size);
    if (error == SL_OK) error = read_data(setup, why, why_size);
    if (error == SL_OK) error = make_trainer(setup, why, why_size);
    if (error == SL_OK) error = sl_store_read_state(folder, &setup->state, &setup->state_size, why, why_size);
    if (error == SL_OK) error = read_book(setup, why, why_size);
    if (error == SL_OK) error = sl_spending_read(setup, why, why_size);
    if (error != SL_OK) sl_setup_finish(setup);
    return error;
}

int sl_setup_hold(struct sl_setup *setup, char *why, size_t why_size)
{
    return sl_spending_hold(setup, why, why_size);
}

void sl_setup_finish(struct sl_setup *setup)
{
    if (setup->trainer.destroy) setup->trainer.destroy(&setup->trainer);
    sl_dataset_finish(&setup->data);
    sl_dataset_finish(&setup->test);
    sl_scaling_finish(&setup->scaling);
    free(setup->peers);
    free(setup->state);
    free(setup->book);
    sl_spending_finish(&setup->spending);
    sodium_memzero(&setup->identity, sizeof setup->identity);
    sodium_memzero(setup->transport_secret, sizeof setup->transport_secret);
    sodium_memzero(setup->network_secret, sizeof setup->network_secret);
    *setup = (struct sl_setup){0};
}
