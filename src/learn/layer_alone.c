/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "learn/layer.h"

/*
 * Layers for rows that must not know of each other. A dot product is summed in LANES lanes, item j in lane j % LANES, each from the left; the lanes are folded
 * in halves, and the items after the last whole LANES come last: an order of its own for every row and output, so the bits do not depend on the rows beside
 * it, nor on the width of the processor's vectors (the compiler is told not to fuse products and sums). Rows go by fours only to share the loads of weights.
 */
enum { LANES = 16, TOGETHER = 4 };

typedef float vector __attribute__((vector_size(32), aligned(4), may_alias));          /* half of the lanes */

static inline const vector *at(const float *values)
{
    return (const vector *)values;
}

/* The sum of the lanes and of what is left over after them. */
static inline __attribute__((always_inline)) float fold(const vector *low, const vector *high, const float *w, const float *row, uint32_t n_rest)
{
    float lanes[LANES / 2], rest = 0;
    vector both = *low + *high;
    memcpy(lanes, &both, sizeof lanes);
    for (uint32_t j = 0; j < n_rest; j++) rest += w[j] * row[j];
    float sum = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
    return sum + rest;
}

/* out[r] = w . rows[r] */
static inline __attribute__((always_inline)) void dot_four(const float *w, const float *const rows[TOGETHER], uint32_t n, float out[TOGETHER])
{
    vector a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0}, c0 = {0}, c1 = {0}, d0 = {0}, d1 = {0};
    uint32_t whole = n - n % LANES;
    for (uint32_t j = 0; j < whole; j += LANES) {
        vector w0 = *at(w + j), w1 = *at(w + j + LANES / 2);
        a0 += w0 * *at(rows[0] + j), a1 += w1 * *at(rows[0] + j + LANES / 2);
        b0 += w0 * *at(rows[1] + j), b1 += w1 * *at(rows[1] + j + LANES / 2);
        c0 += w0 * *at(rows[2] + j), c1 += w1 * *at(rows[2] + j + LANES / 2);
        d0 += w0 * *at(rows[3] + j), d1 += w1 * *at(rows[3] + j + LANES / 2);
    }
    uint32_t n_rest = n - whole;
    out[0] = fold(&a0, &a1, w + whole, rows[0] + whole, n_rest);
    out[1] = fold(&b0, &b1, w + whole, rows[1] + whole, n_rest);
    out[2] = fold(&c0, &c1, w + whole, rows[2] + whole, n_rest);
    out[3] = fold(&d0, &d1, w + whole, rows[3] + whole, n_rest);
}

/* Fewer than four rows are filled up with the first, whose results are then there more than once. */
static inline __attribute__((always_inline)) void forward(struct sl_layer layer, const float *weights, const float *inputs, uint32_t n_rows, float *outputs)
{
    const float *biases = weights + (size_t)layer.n_outputs * layer.n_inputs;
    for (uint32_t row = 0; row < n_rows; row += TOGETHER) {
        uint32_t n = n_rows - row < TOGETHER ? n_rows - row : TOGETHER;
        const float *rows[TOGETHER];
        for (uint32_t r = 0; r < TOGETHER; r++) rows[r] = inputs + (size_t)(row + (r < n ? r : 0)) * layer.n_inputs;

        for (uint32_t o = 0; o < layer.n_outputs; o++) {
            float dots[TOGETHER];
            dot_four(weights + (size_t)o * layer.n_inputs, rows, layer.n_inputs, dots);
            for (uint32_t r = 0; r < n; r++) outputs[(size_t)(row + r) * layer.n_outputs + o] = dots[r] + biases[o];
        }
    }
}

static void forward_anywhere(struct sl_layer layer, const float *weights, const float *inputs, uint32_t n_rows, float *outputs)
{
    forward(layer, weights, inputs, n_rows, outputs);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void forward_avx2(struct sl_layer layer, const float *weights, const float *inputs, uint32_t n_rows, float *outputs)
{
    forward(layer, weights, inputs, n_rows, outputs);
}
#endif

void sl_layer_forward_alone(struct sl_layer layer, const float *weights, const float *inputs, uint32_t n_rows, float *outputs)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        forward_avx2(layer, weights, inputs, n_rows, outputs);
        return;
    }
#endif
    forward_anywhere(layer, weights, inputs, n_rows, outputs);
}

/* Output by output, so that each sum runs in the order of the outputs. */
void sl_layer_backward_alone(struct sl_layer layer, const float *weights, const float *by_outputs, uint32_t n_rows, float *by_inputs)
{
    memset(by_inputs, 0, (size_t)n_rows * layer.n_inputs * sizeof *by_inputs);
    for (uint32_t row = 0; row < n_rows; row++, by_inputs += layer.n_inputs, by_outputs += layer.n_outputs)
        for (uint32_t o = 0; o < layer.n_outputs; o++) {
            const float *w = weights + (size_t)o * layer.n_inputs;
            for (uint32_t j = 0; j < layer.n_inputs; j++) by_inputs[j] += by_outputs[o] * w[j];
        }
}
