/* SPDX-License-Identifier: MIT */
#ifndef STARLING_MODEL_H
#define STARLING_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "starling/arena.h"

/*
 * A model is one flat float32 vector plus this table of functions: sharing, masking and merging never look inside the
 * vector. Models own no memory and keep no state; the same table serves every node of a process at once.
 */

enum sl_task { SL_TASK_CLASSIFY, SL_TASK_REGRESS };

enum { SL_HIDDEN_MAX = 2 };

/* Architecture, equal on every node of a network (it stands in the network descriptor). */
struct sl_shape {
    uint32_t n_features;               /* inputs */
    uint32_t n_outputs;                /* classes, or 1 for regression */
    uint32_t n_hidden;                 /* hidden layers used, 0 .. SL_HIDDEN_MAX */
    uint32_t hidden[SL_HIDDEN_MAX];    /* their widths */
};

/* Rows to learn from or to score. Row-major n_rows x n_features; labels hold class indices 0, 1, ... or targets. */
struct sl_batch {
    const float *features;
    const float *labels;
    uint32_t n_rows, n_features;
};

struct sl_score {
    double loss;             /* mean over rows: cross-entropy in nats, or half the squared error */
    double accuracy;         /* share of rows whose arg max is the label; 0 for regression */
    double rmse;             /* root mean squared error; 0 for classification */
    uint32_t n_rows;
};

enum { SL_LAYERS_MAX = SL_HIDDEN_MAX + 1 };

/* Gradients of single rows by the weights of one affine layer. That of row i is the outer product of row i of by_outputs and row i of inputs, in the flat
 * vector from `first` on: n_outputs x n_inputs, then n_outputs biases, whose gradient is by_outputs itself. */
struct sl_layer_gradients {
    uint32_t first;
    uint32_t n_outputs, n_inputs;
    const float *by_outputs;           /* n_rows x n_outputs: the row's loss derived by the layer's outputs */
    const float *inputs;               /* n_rows x n_inputs */
};

struct sl_model {
    const char *name;        /* "softmax", "mlp", "ridge" */
    const char *summary;
    enum sl_task task;

    /* Number of weights, 0 if the shape does not suit this model. */
    uint32_t (*dim)(const struct sl_shape *shape);

    /* Scratch bytes that gradient, evaluate and fit need for batches of up to n_rows_max rows. */
    size_t (*scratch_size)(const struct sl_shape *shape, uint32_t n_rows_max);

    /* Start weights from a public seed: the same seed gives the same weights on every machine. */
    void (*init)(const struct sl_shape *shape, const uint8_t seed[32], float *weights);

    /* Mean loss over the batch; its gradient (dim floats) in `gradient`. Scratch as scratch_size(shape, batch->n_rows). */
    double (*gradient)(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch,
                       struct sl_arena *scratch, float *gradient);

    /* Scores the rows, in blocks of n_rows_max rows if need be. */
    void (*evaluate)(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch,
                     struct sl_arena *scratch, struct sl_score *out);

    /* Optional (NULL): minimises mean loss + lambda/2 |w - start|^2 in closed form; `weights` holds start on entry.
     * SL_ERROR_NO_MEMORY, SL_ERROR_NOT_FINITE. */
    int (*fit)(const struct sl_shape *shape, float *weights, const struct sl_batch *batch, double lambda,
               struct sl_arena *scratch);

    /* Optional (NULL; `gradient` is then called for one row at a time): the gradients of single rows, as layers; returns how many, which together cover all
     * weights. What comes out for a row depends on that row and the weights alone, bit for bit, never on the rows beside it. Points into batch and scratch, of
     * which it takes what scratch_size(shape, batch->n_rows) says. */
    uint32_t (*row_gradients)(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch,
                              struct sl_arena *scratch, struct sl_layer_gradients out[SL_LAYERS_MAX]);
};

#endif
