/* SPDX-License-Identifier: MIT */
#include "cluster.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "config/network.h"
#include "config/registry.h"
#include "starling/error.h"

enum { DIM = 16 };

static int apply(struct cluster *cluster, const char *setting)
{
    char key[64];
    size_t size = strcspn(setting, "=");
    snprintf(key, sizeof key, "%.*s", (int)size, setting);
    return sl_config_set(&cluster->config, key, setting[size] ? setting + size + 1 : "", cluster->why, sizeof cluster->why);
}

static int configure(struct cluster *cluster, const struct cluster_options *options)
{
    uint8_t secret[64];
    struct sl_config *config = &cluster->config;
    sl_config_init(config);
    sl_config_set(config, "privacy.unit", "off", NULL, 0);
    for (int i = 0; i < 16 && options->settings[i]; i++) {
        int error = apply(cluster, options->settings[i]);
        if (error) return error;
    }
    config->shape = (struct sl_shape){.n_features = cluster->dim, .n_outputs = 1};
    config->aggregator = sl_aggregator_find(config->merge_rule);
    config->rule = sl_rule_params_of(config);
    sl_sim_operator(options->seed, config->operator_key, secret);
    sl_network_id(config, &(struct sl_scaling){0}, config->network_id);
    return sl_config_check(config, cluster->why, sizeof cluster->why);
}

static bool make_trainers(struct cluster *cluster, const struct cluster_options *options)
{
    cluster->stubs = calloc(cluster->n_nodes, sizeof *cluster->stubs);
    cluster->trainers = calloc(cluster->n_nodes, sizeof *cluster->trainers);
    if (!cluster->stubs || !cluster->trainers) return false;

    double step = options->step > 0 ? options->step : .02;
    for (uint32_t i = 0; i < cluster->n_nodes; i++) {
        if (!sl_stub_init(&cluster->stubs[i], cluster->dim, step, options->seed, i)) return false;
        cluster->trainers[i] = sl_stub_trainer(&cluster->stubs[i]);
    }
    return true;
}

static bool build(struct cluster *cluster, const struct cluster_options *options)
{
    const char *text = options->scenario ? options->scenario : "";
    if (configure(cluster, options) || !make_trainers(cluster, options)) return false;
    if (sl_scenario_parse(text, "scenario", cluster->n_nodes, cluster->config.epoch_us, &cluster->scenario, cluster->why, sizeof cluster->why)) return false;

    struct sl_sim_options sim = {
        .seed = options->seed, .n_seeds = options->n_seeds, .n_nodes = cluster->n_nodes,
        .config = &cluster->config, .model = &sl_model_stub, .trainers = cluster->trainers,
        .scenario = &cluster->scenario, .check = true, .hash = options->hash, .listen = options->listen, .listen_context = options->listen_context,
    };
    cluster->sim = sl_sim_new(&sim, cluster->why, sizeof cluster->why);
    return cluster->sim;
}

struct cluster *cluster_new(const struct cluster_options *options)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);
    if (!cluster) return NULL;

    cluster->n_nodes = options->n_nodes;
    cluster->dim = options->dim ? options->dim : DIM;
    if (build(cluster, options)) return cluster;

    fprintf(stderr, "cluster: %s\n", cluster->why);
    cluster_destroy(&cluster);
    return NULL;
}

void cluster_destroy(struct cluster **pointer)
{
    struct cluster *cluster = *pointer;
    if (!cluster) return;

    sl_sim_destroy(&cluster->sim);
    for (uint32_t i = 0; cluster->stubs && i < cluster->n_nodes; i++) sl_stub_finish(&cluster->stubs[i]);
    free(cluster->stubs);
    free(cluster->trainers);
    sl_scenario_finish(&cluster->scenario);
    free(cluster);
    *pointer = NULL;
}

int cluster_run(struct cluster *cluster, double n_epochs)
{
    uint64_t length_us = (uint64_t)(n_epochs * (double)cluster->config.epoch_us);
    int error = sl_sim_run(cluster->sim, sl_sim_now(cluster->sim) + length_us);
    const char *violation = sl_sim_violation(cluster->sim);
    if (error) snprintf(cluster->why, sizeof cluster->why, "%s", violation ? violation : sl_error_text(error));
    return error;
}

/* Largest distance of n vectors from their mean (or from `centre`); vectors that are NULL are passed over. */
static double spread(const float *const *vectors, uint32_t n, uint32_t dim, const float *centre)
{
    float *mean = calloc(dim, sizeof *mean);
    if (!mean) return INFINITY;

    uint32_t n_here = 0;
    for (uint32_t i = 0; i < n; i++) n_here += vectors[i] != NULL;
    for (uint32_t i = 0; i < n; i++)
        if (vectors[i]) sl_vec_axpy(1.0 / n_here, vectors[i], mean, dim);

    double largest = 0;
    for (uint32_t i = 0; i < n; i++)
        if (vectors[i]) largest = fmax(largest, sl_vec_distance(vectors[i], centre ? centre : mean, dim));
    free(mean);
    return largest;
}

static double measure(const struct cluster *cluster, const bool *takes_part, bool from_optimum)
{
    uint32_t n = cluster->n_nodes;
    const float **weights = calloc(n, sizeof *weights), **optima = calloc(n, sizeof *optima);
    float *centre = calloc(cluster->dim, sizeof *centre);
    double result = INFINITY;
    if (weights && optima && centre) {
        for (uint32_t i = 0; i < n; i++) {
            weights[i] = !takes_part || takes_part[i] ? sl_sim_weights(cluster->sim, i) : NULL;
            optima[i] = cluster->stubs[i].optimum;
            sl_vec_axpy(1.0 / n, optima[i], centre, cluster->dim);
        }
        result = spread(weights, n, cluster->dim, from_optimum ? centre : NULL) / spread(optima, n, cluster->dim, NULL);
    }
    free(weights);
    free(optima);
    free(centre);
    return result;
}

double cluster_disagreement(const struct cluster *cluster, const bool *takes_part)
{
    return measure(cluster, takes_part, false);
}

double cluster_error(const struct cluster *cluster)
{
    return measure(cluster, NULL, true);
}
