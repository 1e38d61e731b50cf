/* SPDX-License-Identifier: MIT */
#include "data/scale.h"

#include <float.h>
#include <math.h>

/* Two passes in double: the sum of squares of large numbers close to each other would lose the difference. */
static void measure_column(const struct sl_dataset *dataset, uint32_t column, float *offset, float *factor)
{
    const float *first = dataset->features + column;
    size_t stride = dataset->n_features, n = dataset->n_rows;

    double sum = 0, squares = 0;
    bool constant = true;
    for (size_t i = 0; i < n; i++) {
        sum += first[i * stride];
        constant = constant && first[i * stride] == first[0];
    }
    double mean = n > 0 ? sum / (double)n : 0;
    for (size_t i = 0; i < n; i++) squares += (first[i * stride] - mean) * (first[i * stride] - mean);

    *offset = (float)mean;
    double inverse = constant ? 0 : 1 / sqrt(squares / (double)n);
    *factor = inverse <= FLT_MAX ? (float)inverse : 0;
}

void sl_scale_measure(const struct sl_dataset *dataset, float *offset, float *factor)
{
    for (uint32_t j = 0; j < dataset->n_features; j++) measure_column(dataset, j, &offset[j], &factor[j]);
}

void sl_scale_apply(struct sl_dataset *dataset, const float *offset, const float *factor)
{
    float *value = dataset->features;
    for (uint32_t i = 0; i < dataset->n_rows; i++) {
        for (uint32_t j = 0; j < dataset->n_features; j++, value++) *value = (*value - offset[j]) * factor[j];
    }
}
