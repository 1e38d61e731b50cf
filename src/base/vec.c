/* SPDX-License-Identifier: MIT */
#include "base/vec.h"

#include <math.h>

double sl_vec_dot(const float *a, const float *b, uint32_t dim)
{
    double sum = 0;
    for (uint32_t j = 0; j < dim; j++) sum += (double)a[j] * b[j];
    return sum;
}

double sl_vec_norm(const float *a, uint32_t dim)
{
    return sqrt(sl_vec_dot(a, a, dim));
}

double sl_vec_distance(const float *a, const float *b, uint32_t dim)
{
    double sum = 0;
    for (uint32_t j = 0; j < dim; j++) {
        double difference = (double)a[j] - b[j];
        sum += difference * difference;
    }
    return sqrt(sum);
}

void sl_vec_axpy(double factor, const float *x, float *y, uint32_t dim)
{
    for (uint32_t j = 0; j < dim; j++) y[j] = (float)(y[j] + factor * x[j]);
}

void sl_vec_scale(double factor, float *x, uint32_t dim)
{
    for (uint32_t j = 0; j < dim; j++) x[j] = (float)(factor * x[j]);
}

bool sl_vec_finite(const float *a, uint32_t dim)
{
    for (uint32_t j = 0; j < dim; j++)
        if (!isfinite(a[j])) return false;
    return true;
}

double sl_vec_clip(float *v, uint32_t dim, double radius)
{
    double norm = sl_vec_norm(v, dim);
    if (norm <= radius) return 1;

    sl_vec_scale(radius / norm, v, dim);
    return radius / norm;
}
