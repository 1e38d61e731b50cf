/* SPDX-License-Identifier: MIT */
#include "sim_world.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "config/plan.h"
#include "config/registry.h"
#include "data/partition.h"
#include "data/scale.h"
#include "sim/sim.h"
#include "starling/error.h"
#include "train/trainer.h"

enum { EXIT_MACHINE = 1, EXIT_ARGUMENTS = 4, SCORE_ROWS = 512 };

#define REFUSE(...) (snprintf(why, why_size, __VA_ARGS__), EXIT_ARGUMENTS)
#define SHORT_OF_MEMORY() (snprintf(why, why_size, "memory is too short for this simulation"), EXIT_MACHINE)

static int exit_code(int error)
{
    return error == SL_ERROR_NO_MEMORY ? EXIT_MACHINE : EXIT_ARGUMENTS;
}

/* ---- options ---- */

static int set_one(struct sl_config *config, const char *setting, char *why, size_t why_size)
{
    char key[64];
    size_t size = strcspn(setting, "=");
    if (!setting[size] || size >= sizeof key) return REFUSE("--set needs KEY=VALUE, such as train.lr=0.05, not '%.80s'", setting);

    snprintf(key, sizeof key, "%.*s", (int)size, setting);
    return sl_config_set(config, key, setting + size + 1, why, why_size) ? EXIT_ARGUMENTS : 0;
}

static int set_options(const struct wish *wish, struct sl_config *config, char *why, size_t why_size)
{
    const struct { const char *key, *value; } pairs[] = {
        {"privacy.unit", "off"},                         /* whoever simulates owns all the data; --set privacy.unit=record asks for more */
        {"model", wish->stub_dim ? NULL : wish->model}, {"merge.rule", wish->aggregator}, {"data.scale", wish->scale}, {"data.impute", wish->impute},
    };
    sl_config_init(config);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].value && sl_config_set(config, pairs[i].key, pairs[i].value, why, why_size)) return EXIT_ARGUMENTS;
    for (uint32_t i = 0; i < wish->n_settings; i++)
        if (set_one(config, wish->settings[i], why, why_size)) return EXIT_ARGUMENTS;
    return 0;
}

/* ---- data ---- */

static bool is_idx(const char *path)
{
    struct stat info;
    return strcmp(path, "fashion-mnist") == 0 || (stat(path, &info) == 0 && S_ISDIR(info.st_mode));
}

/* A test set that was not named: a fifth of the rows. */
static int split_off_test(const struct wish *wish, struct world *world, char *why, size_t why_size)
{
    uint32_t n = world->train.n_rows;
    int error = sl_keep_test(&world->train, wish->seed, &world->test);
    if (error == SL_ERROR_TOO_FEW) return REFUSE("%" PRIu32 " rows are too few to split a test set off; name one with --test", n);
    if (error) return SHORT_OF_MEMORY();

    fprintf(stderr, "run: no --test: %" PRIu32 " of %" PRIu32 " rows, drawn by the seed, are kept back as the common test set\n", world->test.n_rows, n);
    return 0;
}

static bool same_classes(const struct sl_dataset *a, const struct sl_dataset *b)
{
    if (!a->classes || !b->classes) return !a->classes == !b->classes;
    for (uint32_t i = 0; i < a->n_classes && i < b->n_classes; i++)
        if (strcmp(a->classes[i], b->classes[i]) != 0) return false;
    return true;
}

/* Nobody owns rows of the test set: the column that tells the client may be there or be left out. */
static int read_test(const char *path, const struct sl_read_options *of_training, struct sl_dataset *out, char *why, size_t why_size)
{
    struct sl_read_options options = *of_training;
    options.client_file = NULL;
    int error = sl_dataset_read(path, &options, out, why, why_size);
    if (error != SL_ERROR_NOT_FOUND || !options.client_column) return error;

    options.client_column = NULL;
    return sl_dataset_read(path, &options, out, why, why_size);
}

static int read_data(const struct wish *wish, struct world *world, enum sl_task task, char *why, size_t why_size)
{
    struct sl_read_options options = {.task = task, .label = wish->label, .impute = world->config.impute};
    char test_path[4096];
    const char *test = wish->test;
    if (!test && is_idx(wish->data)) {
        snprintf(test_path, sizeof test_path, "%s:test", wish->data);
        test = test_path;
    }
    sl_partition_read_options(wish->split, &options);
    int error = sl_dataset_read(wish->data, &options, &world->train, why, why_size);
    if (error) return exit_code(error);
    if (!test) return split_off_test(wish, world, why, why_size);

    error = read_test(test, &options, &world->test, why, why_size);
    if (error) return exit_code(error);
    if (world->test.n_features != world->train.n_features)
        return REFUSE("the test set has %" PRIu32 " features, the training data %" PRIu32 "; both must have the same columns",
                      world->test.n_features, world->train.n_features);
    if (!same_classes(&world->train, &world->test))
        return REFUSE("the classes of the test set are not those of the training data; both must name the same classes");
    return 0;
}

static int scale_data(struct world *world, char *why, size_t why_size)
{
    const char *how = world->config.scale;
    uint32_t n = world->train.n_features;
    if (strcmp(how, "none") == 0 || !*how) return 0;

    float *offset = calloc(n, sizeof *offset), *factor = calloc(n, sizeof *factor);
    world->scaling = (struct sl_scaling){n, offset, factor};
    if (!offset || !factor) return SHORT_OF_MEMORY();

    char *end = NULL;
    bool divides = strncmp(how, "divide:", 7) == 0;
    double divisor = divides ? strtod(how + 7, &end) : 1;
    if (divides && (end == how + 7 || *end || !(fabs(divisor) > 0 && fabs(divisor) <= 1e30)))
        return REFUSE("--scale divide:X needs a number other than 0, such as divide:255, not '%.60s'", how);
    if (!divides && strcmp(how, "standard") != 0) return REFUSE("--scale must be none, divide:X or standard, not '%.60s'", how);

    if (!divides) sl_scale_measure(&world->train, offset, factor);
    for (uint32_t j = 0; divides && j < n; j++) factor[j] = (float)(1 / divisor);
    sl_scale_apply(&world->train, offset, factor);
    sl_scale_apply(&world->test, offset, factor);
    if (divides) sl_scaling_finish(&world->scaling);         /* the option says it all: nothing for the descriptor */
    return 0;
}

/* Sorts rows by owner. */
static bool index_rows(struct world *world, const uint32_t *owner)
{
    uint32_t n_rows = world->train.n_rows;
    world->rows = calloc(n_rows, sizeof *world->rows);
    world->begin = calloc((size_t)world->n_nodes + 2, sizeof *world->begin);
    if (!world->rows || !world->begin) return false;

    uint32_t *next = world->begin + 1;       /* while filling, next[i] is where the next row of node i goes; in the end it is begin[i + 1] */
    for (uint32_t r = 0; r < n_rows; r++) next[owner[r] + 1]++;
    for (uint32_t i = 0; i < world->n_nodes; i++) next[i + 1] += next[i];
    for (uint32_t r = 0; r < n_rows; r++) world->rows[next[owner[r]]++] = r;
    return true;
}

static int deal_rows(const struct wish *wish, struct world *world, char *why, size_t why_size)
{
    uint32_t *owner = calloc(world->train.n_rows, sizeof *owner);
    if (!owner) return SHORT_OF_MEMORY();

    int error = sl_partition(&world->train, wish->n_nodes, wish->split, wish->seed, owner, why, why_size);
    bool indexed = !error && index_rows(world, owner);
    free(owner);
    if (error) return exit_code(error);
    return indexed ? 0 : SHORT_OF_MEMORY();
}

/* ---- trainers ---- */

static int make_sgd(const struct wish *wish, struct world *world, char *why, size_t why_size)
{
    for (uint32_t i = 0; i < world->n_nodes; i++) {
        struct sl_hash hash;
        uint8_t seed[32];
        sl_hash_init(&hash, "holdback");
        sl_hash_u64(&hash, wish->seed);
        sl_hash_u64(&hash, i);
        sl_hash_final(&hash, seed);
        if (!sl_trainer_new(&world->trainers[i], world->model, &world->config, &world->train, world->rows + world->begin[i],
                        world->begin[i + 1] - world->begin[i], seed))
            return SHORT_OF_MEMORY();
    }
    return 0;
}

/* The stub's test set is one row, the mean of all optima: rmse tells how far from the common optimum a node is. */
static int make_stubs(const struct wish *wish, struct world *world, char *why, size_t why_size)
{
    const double step = .02;
    uint32_t dim = wish->stub_dim;
    world->stubs = calloc(world->n_nodes, sizeof *world->stubs);
    world->test = (struct sl_dataset){.n_rows = 1, .n_features = dim, .features = calloc(dim, sizeof(float)), .labels = calloc(1, sizeof(float))};
    if (!world->stubs || !world->test.features || !world->test.labels) return SHORT_OF_MEMORY();

    for (uint32_t i = 0; i < world->n_nodes; i++) {
        if (!sl_stub_init(&world->stubs[i], dim, step, wish->seed, i)) return SHORT_OF_MEMORY();
        world->trainers[i] = sl_stub_trainer(&world->stubs[i]);
        for (uint32_t j = 0; j < dim; j++) world->test.features[j] += world->stubs[i].optimum[j] / (float)world->n_nodes;
    }
    return 0;
}

static int make_learning(const struct wish *wish, struct world *world, char *why, size_t why_size)
{
    struct sl_shape shape = {0};
    struct sl_config *config = &world->config;
    const struct sl_model *model = sl_model_parse(config->model, &shape, why, why_size);
    if (!model) return EXIT_ARGUMENTS;

    int code = read_data(wish, world, model->task, why, why_size);
    if (!code) code = scale_data(world, why, why_size);
    if (!code) code = deal_rows(wish, world, why, why_size);
    if (code) return code;

    uint32_t n_classes = world->train.n_classes > world->test.n_classes ? world->train.n_classes : world->test.n_classes;
    if (config->n_features == 0) config->n_features = world->train.n_features;
    if (config->n_classes == 0) config->n_classes = model->task == SL_TASK_CLASSIFY ? n_classes : 1;
    if (config->n_features != world->train.n_features)
        return REFUSE("model.features is %" PRIu32 ", but the data have %" PRIu32 " columns; leave it out", config->n_features,
                      world->train.n_features);
    if (model->task == SL_TASK_CLASSIFY && config->n_classes < n_classes)
        return REFUSE("model.classes is %" PRIu32 ", but the data have %" PRIu32 " classes; leave it out", config->n_classes, n_classes);

    world->model = sl_model_of(config, why, why_size);
    return world->model ? make_sgd(wish, world, why, why_size) : EXIT_ARGUMENTS;
}

int world_make(const struct wish *wish, struct world *world, char *why, size_t why_size)
{
    struct sl_config *config = &world->config;
    uint8_t secret[64];
    *world = (struct world){.n_nodes = wish->n_nodes};
    int code = set_options(wish, config, why, why_size);
    if (code) return code;

    world->trainers = calloc(wish->n_nodes, sizeof *world->trainers);
    if (!world->trainers) return SHORT_OF_MEMORY();
    if (wish->stub_dim) {
        world->model = &sl_model_stub;
        config->shape = (struct sl_shape){.n_features = wish->stub_dim, .n_outputs = 1};
    }
    code = wish->stub_dim ? make_stubs(wish, world, why, why_size) : make_learning(wish, world, why, why_size);
    if (code) return code;

    world->dim = world->model->dim(&config->shape);
    config->aggregator = sl_aggregator_find(config->merge_rule);
    config->rule = sl_rule_params_of(config);
    if (sl_config_check(config, why, why_size) || sl_privacy_check_model(config, world->dim, why, why_size)) return EXIT_ARGUMENTS;
    sl_sim_operator(wish->seed, config->operator_key, secret);
    sl_network_id(config, &world->scaling, config->network_id);
    if (!wish->scenario) return 0;
    return sl_scenario_read(wish->scenario, wish->n_nodes, config->epoch_us, &world->scenario, why, why_size) ? EXIT_ARGUMENTS : 0;
}

void world_finish(struct world *world)
{
    for (uint32_t i = 0; world->trainers && i < world->n_nodes; i++)
        if (world->trainers[i].destroy) world->trainers[i].destroy(&world->trainers[i]);
    for (uint32_t i = 0; world->stubs && i < world->n_nodes; i++) sl_stub_finish(&world->stubs[i]);
    free(world->trainers);
    free(world->stubs);
    free(world->rows);
    free(world->begin);
    sl_scaling_finish(&world->scaling);
    sl_scenario_finish(&world->scenario);
    sl_dataset_finish(&world->train);
    sl_dataset_finish(&world->test);
}

void world_score(const struct world *world, const float *weights, uint32_t n_rows_max, struct sl_score *out)
{
    const struct sl_dataset *test = &world->test;
    uint32_t n_rows = n_rows_max > 0 && n_rows_max < test->n_rows ? n_rows_max : test->n_rows;
    struct sl_batch batch = {.features = test->features, .labels = test->labels, .n_rows = n_rows, .n_features = test->n_features};
    size_t size = world->model->scratch_size(&world->config.shape, SCORE_ROWS) + 64;
    void *memory = malloc(size);
    *out = (struct sl_score){.loss = NAN, .accuracy = NAN, .rmse = NAN};
    if (!memory) return;

    struct sl_arena arena = sl_arena_over(memory, size);
    world->model->evaluate(&world->config.shape, weights, &batch, &arena, out);
    free(memory);
}

void world_genesis(const struct world *world, float *weights)
{
    uint8_t seed[32];
    sl_hash_once("genesis", world->config.network_id, 32, seed);
    world->model->init(&world->config.shape, seed, weights);
}
