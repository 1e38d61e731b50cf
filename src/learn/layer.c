/* SPDX-License-Identifier: MIT */
#include "learn/layer.h"

#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { ALIGN_MAX = 16 };          /* no item needs more */

uint64_t sl_layer_dim(struct sl_layer layer)
{
    return ((uint64_t)layer.n_inputs + 1) * layer.n_outputs;
}

static const float *biases_of(struct sl_layer layer, const float *weights)
{
    return weights + (size_t)layer.n_outputs * layer.n_inputs;
}

void sl_layer_forward(struct sl_layer layer, const float *weights, const float *inputs, uint32_t n_rows, float *outputs)
{
    const float *biases = biases_of(layer, weights);
    for (uint32_t row = 0; row < n_rows; row++) memcpy(outputs + (size_t)row * layer.n_outputs, biases, layer.n_outputs * sizeof *biases);

    int f = (int)layer.n_inputs, o = (int)layer.n_outputs;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n_rows, o, f, 1, inputs, f, weights, f, 1, outputs, o);
}

void sl_layer_gradient(struct sl_layer layer, const float *inputs, const float *by_outputs, uint32_t n_rows, float *gradient)
{
    int f = (int)layer.n_inputs, o = (int)layer.n_outputs;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, o, f, (int)n_rows, 1, by_outputs, o, inputs, f, 0, gradient, f);

    float *by_biases = gradient + (size_t)layer.n_outputs * layer.n_inputs;
    memset(by_biases, 0, layer.n_outputs * sizeof *by_biases);
    for (uint32_t row = 0; row < n_rows; row++)
        for (uint32_t j = 0; j < layer.n_outputs; j++) by_biases[j] += by_outputs[(size_t)row * layer.n_outputs + j];
}

void sl_layer_backward(struct sl_layer layer, const float *weights, const float *by_outputs, uint32_t n_rows, float *by_inputs)
{
    int f = (int)layer.n_inputs, o = (int)layer.n_outputs;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n_rows, f, o, 1, by_outputs, o, weights, f, 0, by_inputs, f);
}

/* The largest logit is taken out first, so that exp() can neither overflow nor lose every term. */
static double log_sum_exp(const float *logits, uint32_t n_classes)
{
    double largest = logits[0], sum = 0;
    for (uint32_t c = 1; c < n_classes; c++)
        if (logits[c] > largest) largest = logits[c];
    for (uint32_t c = 0; c < n_classes; c++) sum += exp(logits[c] - largest);

    return largest + log(sum);
}

static bool is_class(float label, uint32_t n_classes)
{
    return label >= 0 && label < (float)n_classes;
}

static double row_loss(const float *logits, float label, uint32_t n_classes, double total)
{
    return is_class(label, n_classes) ? total - logits[(uint32_t)label] : INFINITY;
}

double sl_cross_entropy(const float *logits, const float *labels, uint32_t n_rows, uint32_t n_classes)
{
    double loss = 0;
    for (uint32_t row = 0; row < n_rows; row++, logits += n_classes)
        loss += row_loss(logits, labels[row], n_classes, log_sum_exp(logits, n_classes));
    return loss;
}

double sl_cross_entropy_derive(float *logits, const float *labels, uint32_t n_rows, uint32_t n_classes)
{
    double loss = 0;
    for (uint32_t row = 0; row < n_rows; row++, logits += n_classes) {
        double total = log_sum_exp(logits, n_classes);
        loss += row_loss(logits, labels[row], n_classes, total);

        for (uint32_t c = 0; c < n_classes; c++) {
            double is_label = is_class(labels[row], n_classes) && (uint32_t)labels[row] == c;
            logits[c] = (float)((exp(logits[c] - total) - is_label) / n_rows);
        }
    }
    return loss;
}

/* Asked so that every comparison with NaN says no. */
static bool is_arg_max(const float *logits, uint32_t label, uint32_t n_classes)
{
    for (uint32_t c = 0; c < n_classes; c++) {
        bool stays_behind = c < label ? logits[c] < logits[label] : logits[c] <= logits[label];
        if (!stays_behind) return false;
    }
    return true;
}

uint32_t sl_count_right(const float *logits, const float *labels, uint32_t n_rows, uint32_t n_classes)
{
    uint32_t n_right = 0;
    for (uint32_t row = 0; row < n_rows; row++, logits += n_classes)
        n_right += is_class(labels[row], n_classes) && is_arg_max(logits, (uint32_t)labels[row], n_classes);
    return n_right;
}

size_t sl_rows_size(uint64_t n_rows, uint64_t n_columns, size_t item_size)
{
    uint64_t items;
    size_t bytes;
    if (__builtin_mul_overflow(n_rows, n_columns, &items) || __builtin_mul_overflow(items, item_size, &bytes)) return SIZE_MAX;

    return bytes < SIZE_MAX - ALIGN_MAX ? bytes + ALIGN_MAX : SIZE_MAX;
}

uint32_t sl_rows_that_fit(const struct sl_arena *arena, uint32_t n_rows, uint64_t n_columns, size_t item_size)
{
    size_t left = arena->size - arena->used;
    uint64_t n_fit = left < ALIGN_MAX ? 0 : (left - ALIGN_MAX) / item_size / n_columns;
    assert(n_fit > 0);

    return n_fit < n_rows ? (uint32_t)n_fit : n_rows;
}

struct sl_batch sl_batch_part(const struct sl_batch *batch, uint32_t first, uint32_t n_rows_max)
{
    uint32_t left = batch->n_rows - first;
    return (struct sl_batch){
        .features = batch->features + (size_t)first * batch->n_features,
        .labels = batch->labels + first,
        .n_rows = left < n_rows_max ? left : n_rows_max,
        .n_features = batch->n_features,
    };
}
