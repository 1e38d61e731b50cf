/* SPDX-License-Identifier: MIT */
#ifndef SL_PRIVACY_CLIP_H
#define SL_PRIVACY_CLIP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * From floating-point gradients to integers of bounded norm: clip to C, scale by 2^20 / C, truncate toward zero, and check the integer norm exactly.
 * Whatever g holds (NaN, infinities, 1e38, denormals), sum v[j]^2 <= 2^40: the sensitivity is a fact of every vector, not a belief about arithmetic.
 */

/* v: dim integers. A g that is not finite gives v = 0. clip in [1e-6, 1e6]. */
void sl_clip_integers(const float *g, uint32_t dim, double clip, int32_t *v);

/* True if sum v[j]^2 <= 2^40, counted exactly and without overflow. */
bool sl_clip_holds(const int32_t *v, uint32_t dim);

/* For those who clip vectors that they never write out: what a gradient of this norm is multiplied by before truncation, and by how much less in each further
 * try when the exact check fails; after the last one the vector counts as zero. */
double sl_clip_factor(double norm, double clip);
enum { SL_CLIP_TRIES = 8 };
#define SL_CLIP_SHRINK (1 - 0x1p-20)

#endif
