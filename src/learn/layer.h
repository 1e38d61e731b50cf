/* SPDX-License-Identifier: MIT */
#ifndef SL_LEARN_LAYER_H
#define SL_LEARN_LAYER_H

#include <stddef.h>
#include <stdint.h>

#include "starling/arena.h"
#include "starling/model.h"

/*
 * What the models are built of: the affine layer, the losses on top of it, and the cutting of rows into blocks. All matrices are row-major,
 * one row of a matrix per row of the batch. Loss is summed in double. Numbers that are not finite are passed on, never hidden.
 */

/* One affine layer: n_outputs x n_inputs weights, then n_outputs biases. */
struct sl_layer {
    uint32_t n_inputs, n_outputs;
};

/* Weights of the layer, biases included; the result may exceed what a vector of weights can hold. */
uint64_t sl_layer_dim(struct sl_layer layer);

/* outputs = inputs W' + b, n_rows x n_outputs. */
void sl_layer_forward(struct sl_layer layer, const float *weights, const float *inputs, uint32_t n_rows, float *outputs);

/* Gradient of the layer's weights and biases, from the loss's derivative by the outputs. */
void sl_layer_gradient(struct sl_layer layer, const float *inputs, const float *by_outputs, uint32_t n_rows, float *gradient);

/* Derivative of the loss by the inputs, n_rows x n_inputs, from that by the outputs. */
void sl_layer_backward(struct sl_layer layer, const float *weights, const float *by_outputs, uint32_t n_rows, float *by_inputs);

/* The same two for rows that must not know of each other: what a row gets is the same bits whichever rows stand beside it, which BLAS does not promise. */
void sl_layer_forward_alone(struct sl_layer layer, const float *weights, const float *inputs, uint32_t n_rows, float *outputs);
void sl_layer_backward_alone(struct sl_layer layer, const float *weights, const float *by_outputs, uint32_t n_rows, float *by_inputs);

/* Sum over the rows of the cross-entropy in nats; a label that is no class has probability zero and so costs infinity. */
double sl_cross_entropy(const float *logits, const float *labels, uint32_t n_rows, uint32_t n_classes);

/* The same sum; the logits are replaced by the derivative of the mean. */
double sl_cross_entropy_derive(float *logits, const float *labels, uint32_t n_rows, uint32_t n_classes);

/* Rows whose arg max is the label. The lowest of equal classes wins; a row with NaN is never right. */
uint32_t sl_count_right(const float *logits, const float *labels, uint32_t n_rows, uint32_t n_classes);

/* Bytes of n_rows rows of n_columns items, with room to align them; SIZE_MAX when that is more than can be addressed. */
size_t sl_rows_size(uint64_t n_rows, uint64_t n_columns, size_t item_size);

/* How many of n_rows rows of n_columns items the arena still holds. Not even one is the caller's mistake. */
uint32_t sl_rows_that_fit(const struct sl_arena *arena, uint32_t n_rows, uint64_t n_columns, size_t item_size);

/* Rows first .. first + n_rows_max - 1 of a batch, or as many as there are. */
struct sl_batch sl_batch_part(const struct sl_batch *batch, uint32_t first, uint32_t n_rows_max);

#endif
