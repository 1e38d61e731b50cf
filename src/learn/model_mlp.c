/* SPDX-License-Identifier: MIT */
#include "learn/models.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "learn/layer.h"

/*
 * Multi-layer perceptron: affine layers with ReLU between them and a softmax on top. Hidden layers start as He et al. (2015), the last
 * one as Glorot and Bengio (2010), both uniform; the draws use only plain arithmetic and sqrt, so every machine gets the same bits.
 */

enum { LAYERS_MAX = SL_HIDDEN_MAX + 1 };

struct network {
    uint32_t n_layers;
    struct sl_layer layers[LAYERS_MAX];
    uint64_t first[LAYERS_MAX];          /* where a layer's weights begin */
    uint64_t dim;
    uint64_t n_forward;                  /* floats a row needs on the way up, */
    uint64_t n_backward;                 /* and those it needs besides on the way down */
};

static struct network network_of(const struct sl_shape *shape)
{
    struct network network = {.n_layers = shape->n_hidden + 1};
    uint32_t n_inputs = shape->n_features;
    for (uint32_t k = 0; k < network.n_layers; k++) {
        bool is_hidden = k < shape->n_hidden;
        uint32_t n_outputs = is_hidden ? shape->hidden[k] : shape->n_outputs;
        network.layers[k] = (struct sl_layer){.n_inputs = n_inputs, .n_outputs = n_outputs};
        network.first[k] = network.dim;
        network.dim += sl_layer_dim(network.layers[k]);
        network.n_forward += n_outputs;
        if (is_hidden) network.n_backward += n_outputs;
        n_inputs = n_outputs;
    }
    return network;
}

/* BLAS counts in int; every product below is smaller than 2^64 / 3, so the sum cannot wrap around. */
static uint32_t dim_of(const struct sl_shape *shape)
{
    enum { WIDTH_MAX = 1 << 30 };
    bool suits = shape->n_hidden >= 1 && shape->n_hidden <= SL_HIDDEN_MAX && shape->n_outputs >= 2 && shape->n_outputs <= WIDTH_MAX &&
                 shape->n_features >= 1 && shape->n_features <= WIDTH_MAX;
    if (!suits) return 0;

    for (uint32_t k = 0; k < shape->n_hidden; k++)
        if (shape->hidden[k] < 1 || shape->hidden[k] > WIDTH_MAX) return 0;

    uint64_t dim = network_of(shape).dim;
    return dim <= INT32_MAX ? (uint32_t)dim : 0;
}

static size_t scratch_size(const struct sl_shape *shape, uint32_t n_rows_max)
{
    struct network network = network_of(shape);
    return sl_rows_size(n_rows_max > 0 ? n_rows_max : 1, network.n_forward + network.n_backward, sizeof(float));
}

static void init(const struct sl_shape *shape, const uint8_t seed[32], float *weights)
{
    struct network network = network_of(shape);
    struct sl_rng root;
    sl_rng_init(&root, seed);

    memset(weights, 0, network.dim * sizeof *weights);
    for (uint32_t k = 0; k < network.n_layers; k++) {
        struct sl_layer layer = network.layers[k];
        struct sl_rng rng = sl_rng_fork(&root, "layer", k);
        double fan = k < shape->n_hidden ? layer.n_inputs : (double)layer.n_inputs + layer.n_outputs;
        double bound = sqrt(6 / fan);

        float *to = weights + network.first[k];
        size_t n_weights = (size_t)layer.n_inputs * layer.n_outputs;
        for (size_t i = 0; i < n_weights; i++) to[i] = (float)(bound * (2 * sl_rng_uniform(&rng) - 1));
    }
}

/* Written so that NaN stays NaN. */
static void rectify(float *values, size_t n_values)
{
    for (size_t i = 0; i < n_values; i++) values[i] = values[i] < 0 ? 0 : values[i];
}

/* outputs[k]: what layer k puts out. */
static void take_outputs(const struct network *network, uint32_t n_rows, struct sl_arena *scratch, float *outputs[LAYERS_MAX])
{
    for (uint32_t k = 0; k < network->n_layers; k++) {
        outputs[k] = SL_TAKE(scratch, float, (size_t)n_rows * network->layers[k].n_outputs);
        assert(outputs[k]);          /* less scratch than scratch_size asks for */
    }
}

static void forward(const struct network *network, const float *weights, const struct sl_batch *batch, float *outputs[LAYERS_MAX])
{
    const float *inputs = batch->features;
    for (uint32_t k = 0; k < network->n_layers; k++) {
        struct sl_layer layer = network->layers[k];
        sl_layer_forward(layer, weights + network->first[k], inputs, batch->n_rows, outputs[k]);
        if (k + 1 < network->n_layers) rectify(outputs[k], (size_t)batch->n_rows * layer.n_outputs);
        inputs = outputs[k];
    }
}

static float *take_by_inputs(struct sl_layer layer, uint32_t n_rows, struct sl_arena *scratch)
{
    float *by_inputs = SL_TAKE(scratch, float, (size_t)n_rows * layer.n_inputs);
    assert(by_inputs);
    return by_inputs;
}

/* Units that put out nothing pass no derivative on. */
static void switch_off(float *by_inputs, const float *inputs, size_t n_inputs)
{
    for (size_t i = 0; i < n_inputs; i++)
        if (inputs[i] == 0) by_inputs[i] = 0;
}

/* by_outputs is the loss's derivative by the last layer's outputs. */
static void backward(const struct network *network, const float *weights, const struct sl_batch *batch, float *const outputs[LAYERS_MAX],
                     const float *by_outputs, struct sl_arena *scratch, float *gradient)
{
    for (uint32_t k = network->n_layers; k-- > 0;) {
        struct sl_layer layer = network->layers[k];
        const float *inputs = k > 0 ? outputs[k - 1] : batch->features;
        sl_layer_gradient(layer, inputs, by_outputs, batch->n_rows, gradient + network->first[k]);
        if (k == 0) return;

        float *by_inputs = take_by_inputs(layer, batch->n_rows, scratch);
        sl_layer_backward(layer, weights + network->first[k], by_outputs, batch->n_rows, by_inputs);
        switch_off(by_inputs, inputs, (size_t)batch->n_rows * layer.n_inputs);
        by_outputs = by_inputs;
    }
}

static double gradient_of(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch,
                          float *gradient)
{
    assert(batch->n_rows > 0 && batch->n_features == shape->n_features);

    size_t mark = scratch->used;
    struct network network = network_of(shape);
    float *outputs[LAYERS_MAX];
    take_outputs(&network, batch->n_rows, scratch, outputs);

    forward(&network, weights, batch, outputs);
    float *logits = outputs[network.n_layers - 1];
    double loss = sl_cross_entropy_derive(logits, batch->labels, batch->n_rows, shape->n_outputs);
    backward(&network, weights, batch, outputs, logits, scratch, gradient);

    scratch->used = mark;
    return loss / batch->n_rows;
}

static void forward_alone(const struct network *network, const float *weights, const struct sl_batch *batch, float *outputs[LAYERS_MAX])
{
    const float *inputs = batch->features;
    for (uint32_t k = 0; k < network->n_layers; k++) {
        struct sl_layer layer = network->layers[k];
        sl_layer_forward_alone(layer, weights + network->first[k], inputs, batch->n_rows, outputs[k]);
        if (k + 1 < network->n_layers) rectify(outputs[k], (size_t)batch->n_rows * layer.n_outputs);
        inputs = outputs[k];
    }
}

static uint32_t row_gradients(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch,
                              struct sl_layer_gradients out[SL_LAYERS_MAX])
{
    assert(batch->n_features == shape->n_features);

    struct network network = network_of(shape);
    float *outputs[LAYERS_MAX];
    take_outputs(&network, batch->n_rows, scratch, outputs);
    forward_alone(&network, weights, batch, outputs);

    float *by_outputs = outputs[network.n_layers - 1];
    for (uint32_t row = 0; row < batch->n_rows; row++)
        sl_cross_entropy_derive(by_outputs + (size_t)row * shape->n_outputs, batch->labels + row, 1, shape->n_outputs);

    for (uint32_t k = network.n_layers; k-- > 0;) {
        struct sl_layer layer = network.layers[k];
        const float *inputs = k > 0 ? outputs[k - 1] : batch->features;
        out[k] = (struct sl_layer_gradients){
            .first = (uint32_t)network.first[k], .n_outputs = layer.n_outputs, .n_inputs = layer.n_inputs, .by_outputs = by_outputs, .inputs = inputs};
        if (k > 0) {
            by_outputs = take_by_inputs(layer, batch->n_rows, scratch);
            sl_layer_backward_alone(layer, weights + network.first[k], out[k].by_outputs, batch->n_rows, by_outputs);
            switch_off(by_outputs, inputs, (size_t)batch->n_rows * layer.n_inputs);
        }
    }
    return network.n_layers;
}

static void evaluate(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch,
                     struct sl_score *out)
{
    assert(batch->n_features == shape->n_features);

    size_t mark = scratch->used;
    struct network network = network_of(shape);
    uint32_t block_rows = sl_rows_that_fit(scratch, batch->n_rows, network.n_forward, sizeof(float));
    float *outputs[LAYERS_MAX];
    take_outputs(&network, block_rows, scratch, outputs);
    const float *logits = outputs[network.n_layers - 1];

    double loss = 0;
    uint32_t n_right = 0;
    for (uint32_t row = 0; row < batch->n_rows; row += block_rows) {
        struct sl_batch part = sl_batch_part(batch, row, block_rows);
        forward(&network, weights, &part, outputs);
        loss += sl_cross_entropy(logits, part.labels, part.n_rows, shape->n_outputs);
        n_right += sl_count_right(logits, part.labels, part.n_rows, shape->n_outputs);
    }

    scratch->used = mark;
    *out = (struct sl_score){.n_rows = batch->n_rows};
    if (batch->n_rows == 0) return;

    out->loss = loss / batch->n_rows;
    out->accuracy = (double)n_right / batch->n_rows;
}

const struct sl_model sl_model_mlp = {
    .name = "mlp",
    .summary = "one or two hidden layers with ReLU, softmax on top",
    .task = SL_TASK_CLASSIFY,
    .dim = dim_of, .scratch_size = scratch_size, .init = init,
    .gradient = gradient_of, .evaluate = evaluate, .row_gradients = row_gradients,
};
