/* SPDX-License-Identifier: MIT */
#ifndef SL_LEARN_MODELS_H
#define SL_LEARN_MODELS_H

#include "starling/model.h"

/*
 * Softmax regression. Weights: n_outputs x n_features row-major, then n_outputs biases. Starts at zero, whatever the seed: the loss is
 * convex, so the start decides nothing.
 */
extern const struct sl_model sl_model_softmax;

/* Least squares on one output. Weights: n_features, then one bias. Starts at zero. The only model with `fit`. */
extern const struct sl_model sl_model_ridge;

/* ReLU network with one or two hidden layers and a softmax on top. Weights: layer by layer from the inputs, each as those of softmax. */
extern const struct sl_model sl_model_mlp;

#endif
