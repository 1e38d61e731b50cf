/* SPDX-License-Identifier: MIT */
#ifndef SL_TOOLS_SIM_WORLD_H
#define SL_TOOLS_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/network.h"
#include "data/dataset.h"
#include "sim/scenario.h"
#include "sim/stub.h"
#include "sim_attack.h"
#include "starling/config.h"
#include "starling/model.h"
#include "starling/trainer.h"

/* What `starling-sim run` was asked for. Texts lead into argv. */
enum { SETTINGS_MAX = 64 };

struct wish {
    const char *data, *test, *label, *impute, *scale, *split, *model, *aggregator, *scenario;
    const char *settings[SETTINGS_MAX];
    uint32_t n_settings, n_nodes, stub_dim, n_epochs, every;
    uint64_t seed;
    bool json, trace, trace_hash, local;
    struct attack_wish attacks[ATTACKS_MAX];
    uint32_t n_attacks;
};

/* Everything a simulation needs, made from the wish: configuration, model, data, who owns which rows, trainers. */
struct world {
    struct sl_config config;
    struct sl_scaling scaling;
    const struct sl_model *model;
    struct sl_dataset train, test;
    uint32_t *rows, *begin;              /* rows of node i: rows[begin[i]] .. rows[begin[i + 1] - 1] */
    struct sl_stub *stubs;
    struct sl_trainer *trainers;
    struct sl_scenario scenario;
    uint32_t n_nodes, dim;
};

/* 0, or an exit code with a sentence in `why`. Finish it either way. */
int world_make(const struct wish *wish, struct world *out, char *why, size_t why_size);
void world_finish(struct world *world);

/* Scores weights on the first n_rows_max rows of the test set (0: all). */
void world_score(const struct world *world, const float *weights, uint32_t n_rows_max, struct sl_score *out);

/* The model every node starts from: dim floats. */
void world_genesis(const struct world *world, float *weights);

#endif
