/* SPDX-License-Identifier: MIT */
#ifndef SL_CONFIG_REGISTRY_H
#define SL_CONFIG_REGISTRY_H

#include <stddef.h>

#include "starling/aggregator.h"
#include "starling/config.h"
#include "starling/model.h"

/* Every plug-in, one line each, in NULL-terminated arrays. */
extern const struct sl_model *const sl_models[];
extern const struct sl_aggregator *const sl_aggregators[];

const struct sl_aggregator *sl_aggregator_find(const char *name);        /* or NULL */

/* The model of a specification "softmax", "mlp:64,32", "ridge"; fills n_hidden and hidden of the shape. NULL with a sentence in `why`. */
const struct sl_model *sl_model_parse(const char *specification, struct sl_shape *shape, char *why, size_t why_size);

/* The model of config->model; fills config->shape from it, model.features and model.classes (a regression has one output). Both must be known
 * by now: a driver that takes them from the data sets them first. NULL, config unchanged, with a sentence in `why`. */
const struct sl_model *sl_model_of(struct sl_config *config, char *why, size_t why_size);

/* Merge parameters from the merge.* options. */
struct sl_rule_params sl_rule_params_of(const struct sl_config *config);

/* Applies "f=1;nu=0.1;T=8;start=mean" (or with commas). SL_ERROR_FORMAT, SL_ERROR_OUT_OF_RANGE with a sentence in `why`. */
int sl_rule_params_parse(const char *text, struct sl_rule_params *params, char *why, size_t why_size);

#endif
