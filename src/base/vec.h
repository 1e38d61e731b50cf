/* SPDX-License-Identifier: MIT */
#ifndef SL_BASE_VEC_H
#define SL_BASE_VEC_H

#include <stdbool.h>
#include <stdint.h>

/* Loops over vectors in a fixed order with double sums: whatever decides a branch of the core is computed here, never by BLAS. */

double sl_vec_dot(const float *a, const float *b, uint32_t dim);
double sl_vec_norm(const float *a, uint32_t dim);                            /* Euclidean */
double sl_vec_distance(const float *a, const float *b, uint32_t dim);        /* Euclidean, of the difference */
void sl_vec_axpy(double factor, const float *x, float *y, uint32_t dim);     /* y += factor * x */
void sl_vec_scale(double factor, float *x, uint32_t dim);
bool sl_vec_finite(const float *a, uint32_t dim);

/* Shortens v to Euclidean norm `radius` if it is longer; returns the factor used (1 when untouched). */
double sl_vec_clip(float *v, uint32_t dim, double radius);

#endif
