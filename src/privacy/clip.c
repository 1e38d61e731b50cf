/* SPDX-License-Identifier: MIT */
#include "privacy/clip.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "privacy/budget.h"

static const uint64_t norm2_max = UINT64_C(1) << (2 * SL_SCALE_BITS);

/* Stops at the first sum beyond the bound: at most 2^40 + 2^62, which cannot overflow. */
bool sl_clip_holds(const int32_t *v, uint32_t dim)
{
    uint64_t sum = 0;
    for (uint32_t j = 0; j < dim; j++) {
        int64_t value = v[j];
        sum += (uint64_t)(value * value);
        if (sum > norm2_max) return false;
    }
    return true;
}

/* Sums of squares of floats cannot overflow in double: (2^128)^2 2^32 = 2^288. A value that is not finite makes the sum so as well. */
static double norm_of(const float *g, uint32_t dim)
{
    double sum = 0;
    for (uint32_t j = 0; j < dim; j++) sum += (double)g[j] * g[j];
    return sqrt(sum);
}

double sl_clip_factor(double norm, double clip)
{
    double unit = ldexp(1, SL_SCALE_BITS) / clip;
    return norm > clip ? unit * (clip / norm) : unit;
}

/* Where the sum of squares is within rounding of the bound, truncation may leave it just above: a slightly smaller factor then helps. Products fit into
 * 32 bits, since none is larger than the norm, which the factor brings down to 2^20. */
void sl_clip_integers(const float *g, uint32_t dim, double clip, int32_t *v)
{
    assert(clip >= 1e-6 && clip <= 1e6);

    double norm = norm_of(g, dim);
    if (isfinite(norm)) {
        double factor = sl_clip_factor(norm, clip);
        for (uint32_t tries = 0; tries < SL_CLIP_TRIES; tries++) {
            for (uint32_t j = 0; j < dim; j++) v[j] = (int32_t)((double)g[j] * factor);
            if (sl_clip_holds(v, dim)) return;
            factor *= SL_CLIP_SHRINK;
        }
    }
    memset(v, 0, dim * sizeof *v);
}
