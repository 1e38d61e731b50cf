/* SPDX-License-Identifier: MIT */
#include "config/registry.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learn/models.h"
#include "starling/aggregator.h"
#include "starling/error.h"

enum { WIDTH_MAX = 65536, PARAMETER_MAX = 1000000, PIECE_MAX = 64 };

/* A decimal number of at most seven digits; false for anything else. */
static bool read_count(const char *text, size_t size, uint32_t *out)
{
    if (size == 0 || size > 7) return false;

    uint32_t number = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    *out = number;
    return true;
}

const struct sl_aggregator *sl_aggregator_find(const char *name)
{
    for (uint32_t i = 0; sl_aggregators[i]; i++)
        if (strcmp(sl_aggregators[i]->name, name) == 0) return sl_aggregators[i];
    return NULL;
}

static const struct sl_model *find_model(const char *name, size_t size)
{
    for (uint32_t i = 0; sl_models[i]; i++)
        if (strlen(sl_models[i]->name) == size && memcmp(sl_models[i]->name, name, size) == 0) return sl_models[i];
    return NULL;
}

/* "64,32"; false and nothing changed unless it holds 1 .. SL_HIDDEN_MAX widths. */
static bool read_widths(const char *text, struct sl_shape *shape)
{
    uint32_t widths[SL_HIDDEN_MAX] = {0}, n = 0;
    for (const char *at = text;; at++) {
        size_t size = strcspn(at, ",");
        if (n == SL_HIDDEN_MAX || !read_count(at, size, &widths[n])) return false;
        bool in_range = widths[n] >= 1 && widths[n] <= WIDTH_MAX;
        if (!in_range) return false;

        n++;
        at += size;
        if (!*at) break;
    }
    shape->n_hidden = n;
    memcpy(shape->hidden, widths, sizeof widths);
    return true;
}

const struct sl_model *sl_model_parse(const char *specification, struct sl_shape *shape, char *why, size_t why_size)
{
    if (!why) why_size = 0;

    size_t size = strcspn(specification, ":");
    const struct sl_model *model = find_model(specification, size);
    if (!model) {
        snprintf(why, why_size, "model: '%.80s' is not known; allowed: softmax, mlp:H1[,H2] or ridge", specification);
        return NULL;
    }

    bool layered = model == &sl_model_mlp;
    if (!layered && specification[size]) {
        snprintf(why, why_size, "model: '%.80s' takes no layers; write just %s", specification, model->name);
        return NULL;
    }
    if (!layered) {
        shape->n_hidden = 0;
        memset(shape->hidden, 0, sizeof shape->hidden);
        return model;
    }
    if (!specification[size] || !read_widths(specification + size + 1, shape)) {
        snprintf(why, why_size, "model: '%.80s' needs one or %d widths of 1 .. %d, such as %s:64 or %s:64,32", specification,
                 SL_HIDDEN_MAX, WIDTH_MAX, model->name, model->name);
        return NULL;
    }
    return model;
}

const struct sl_model *sl_model_of(struct sl_config *config, char *why, size_t why_size)
{
    if (!why) why_size = 0;

    struct sl_shape shape = {.n_features = config->n_features};
    const struct sl_model *model = sl_model_parse(config->model, &shape, why, why_size);
    if (!model) return NULL;

    bool regresses = model->task == SL_TASK_REGRESS;
    bool classes_suit = regresses ? config->n_classes <= 1 : config->n_classes >= 2;
    if (!classes_suit) {
        snprintf(why, why_size, "model.classes (%" PRIu32 ") does not suit %s: it must be %s", config->n_classes, model->name,
                 regresses ? "1 for a regression" : "at least 2 for a classification");
        return NULL;
    }

    shape.n_outputs = regresses ? 1 : config->n_classes;
    if (shape.n_features == 0 || model->dim(&shape) == 0) {
        snprintf(why, why_size, "model '%.80s' with model.features %" PRIu32 " and %" PRIu32 " outputs is not possible; "
                 "there must be at least one feature and not too many weights", config->model, shape.n_features, shape.n_outputs);
        return NULL;
    }
    config->shape = shape;
    return model;
}

struct sl_rule_params sl_rule_params_of(const struct sl_config *config)
{
    return (struct sl_rule_params){.max_faulty = config->merge_faulty, .nu = config->merge_nu,
                                   .n_iterations = config->merge_iterations, .start = SL_START_MEAN};
}

static int read_start(const char *value, enum sl_start *out)
{
    static const char *const names[] = {[SL_START_ZERO] = "zero", [SL_START_MEAN] = "mean", [SL_START_MEDIAN] = "median"};
    for (int i = SL_START_ZERO; i <= SL_START_MEDIAN; i++) {
        if (strcmp(names[i], value) != 0) continue;
        *out = (enum sl_start)i;
        return SL_OK;
    }
    return SL_ERROR_OUT_OF_RANGE;
}

static int read_real(const char *value, double *out)
{
    if (!*value || value[strspn(value, "0123456789+-.eE")]) return SL_ERROR_FORMAT;

    char *end;
    double number = strtod(value, &end);
    if (end == value || *end) return SL_ERROR_FORMAT;

    bool in_range = number >= 0 && number <= 1e9;
    if (!in_range) return SL_ERROR_OUT_OF_RANGE;
    *out = number;
    return SL_OK;
}

static int read_whole(const char *value, uint32_t *out)
{
    double number;
    int error = read_real(value, &number);
    if (error) return error;
    if (number != floor(number)) return SL_ERROR_FORMAT;
    if (number > PARAMETER_MAX) return SL_ERROR_OUT_OF_RANGE;
    *out = (uint32_t)number;
    return SL_OK;
}

/* One "key=value"; `wanted` tells what would be right. */
static int set_parameter(struct sl_rule_params *params, const char *key, const char *value, const char **wanted)
{
    if (strcmp(key, "f") == 0) { *wanted = "a whole number from 0 to 1000000"; return read_whole(value, &params->max_faulty); }
    if (strcmp(key, "T") == 0) { *wanted = "a whole number from 0 to 1000000"; return read_whole(value, &params->n_iterations); }
    if (strcmp(key, "nu") == 0) { *wanted = "a number from 0 to 1e9"; return read_real(value, &params->nu); }
    if (strcmp(key, "start") == 0) { *wanted = "zero, mean or median"; return read_start(value, &params->start); }

    *wanted = NULL;
    return SL_ERROR_FORMAT;
}

int sl_rule_params_parse(const char *text, struct sl_rule_params *params, char *why, size_t why_size)
{
    if (!why) why_size = 0;

    struct sl_rule_params fresh = *params;
    for (const char *at = text; *at;) {
        char piece[PIECE_MAX];
        size_t size = strcspn(at, ";,");
        snprintf(piece, sizeof piece, "%.*s", (int)(size < PIECE_MAX ? size : PIECE_MAX), at);

        char *equals = strchr(piece, '=');
        if (size >= PIECE_MAX || !equals) {
            snprintf(why, why_size, "'%s' is not a parameter; wanted: key=value, separated by ; or ,", piece);
            return SL_ERROR_FORMAT;
        }
        *equals = 0;

        const char *wanted;
        int error = set_parameter(&fresh, piece, equals + 1, &wanted);
        if (error && !wanted) snprintf(why, why_size, "no parameter is called '%s'; allowed: f, nu, T, start", piece);
        else if (error) snprintf(why, why_size, "%s: '%s' is not possible; wanted: %s", piece, equals + 1, wanted);
        if (error) return error;

        at += size;
        if (*at) at++;
    }
    *params = fresh;
    return SL_OK;
}

const struct sl_model *const sl_models[] = {&sl_model_softmax, &sl_model_mlp, &sl_model_ridge, NULL};

const struct sl_aggregator *const sl_aggregators[] = {
    &sl_aggregator_mean,
    &sl_aggregator_median,
    &sl_aggregator_trimmed_mean,
    &sl_aggregator_geometric_median,
    NULL,
};
