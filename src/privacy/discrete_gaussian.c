/* SPDX-License-Identifier: MIT */
#include "privacy/discrete_gaussian.h"

#include <stdbool.h>

#include "starling/error.h"

/* What a stream that is not random would make endless ends here; an honest one comes nowhere near (2^-100). */
enum { TRIES_MAX = 1024, STEPS_MAX = 1 << 14, WHOLES_MAX = 200 };

typedef unsigned __int128 uint128;

struct sl_discrete_gaussian {
    uint64_t sigma2, scale;          /* scale = floor(sqrt(sigma2)) + 1 */
};

/* Draws of one sample: a bound that was hit stays hit. */
struct draw {
    struct sl_noise *noise;
    bool is_stuck;
};

size_t sl_discrete_gaussian_size(void)
{
    return sizeof(struct sl_discrete_gaussian);
}

static uint64_t square_root(uint64_t value)
{
    uint64_t root = 0;
    for (int bit = 28; bit >= 0; bit--) {
        uint64_t next = root | UINT64_C(1) << bit;
        if (next * next <= value) root = next;
    }
    return root;
}

int sl_discrete_gaussian_init(void *memory, uint64_t sigma2, struct sl_discrete_gaussian **out)
{
    if (sigma2 == 0 || sigma2 > SL_SIGMA2_MAX) return SL_ERROR_OUT_OF_RANGE;

    struct sl_discrete_gaussian *gaussian = memory;
    gaussian->sigma2 = sigma2;
    gaussian->scale = square_root(sigma2) + 1;
    *out = gaussian;
    return SL_OK;
}

/* Uniform on 0 .. m - 1, by masks and rejection. */
static uint128 uniform(struct draw *draw, uint128 m)
{
    uint128 mask = m - 1;
    for (int shift = 1; shift < 128; shift *= 2) mask |= mask >> shift;
    for (int i = 0; i < TRIES_MAX; i++) {
        uint128 value = sl_noise_word(draw->noise);
        if (mask >> 64) value |= (uint128)sl_noise_word(draw->noise) << 64;
        value &= mask;
        if (value < m) return value;
    }
    draw->is_stuck = true;
    return 0;
}

/* True with probability exp(-n/d), n <= d. */
static bool chance_below_one(struct draw *draw, uint128 n, uint128 d)
{
    for (uint32_t i = 1; i < STEPS_MAX; i++)
        if (uniform(draw, d * i) >= n) return i % 2 == 1;
    draw->is_stuck = true;
    return false;
}

static bool chance(struct draw *draw, uint128 n, uint128 d)
{
    for (; n > d; n -= d)
        if (!chance_below_one(draw, 1, 1)) return false;
    return chance_below_one(draw, n, d);
}

/* |y| of the discrete Laplace distribution of this scale; false: start again. */
static bool laplace(struct draw *draw, uint64_t scale, uint64_t *size, bool *is_negative)
{
    uint64_t part = (uint64_t)uniform(draw, scale), wholes = 0;
    if (!chance_below_one(draw, part, scale)) return false;
    while (chance_below_one(draw, 1, 1))
        if (++wholes > WHOLES_MAX) return false;
    *size = wholes * scale + part;
    *is_negative = uniform(draw, 2);
    return !(*is_negative && *size == 0);
}

static int sample(const struct sl_discrete_gaussian *gaussian, struct sl_noise *noise, int64_t *out)
{
    struct draw draw = {.noise = noise};
    for (int i = 0; i < TRIES_MAX && !draw.is_stuck; i++) {
        uint64_t size;
        bool is_negative;
        if (!laplace(&draw, gaussian->scale, &size, &is_negative)) continue;

        uint128 reached = (uint128)size * gaussian->scale, apart = reached > gaussian->sigma2 ? reached - gaussian->sigma2 : gaussian->sigma2 - reached;
        bool is_taken = chance(&draw, apart * apart, (uint128)2 * gaussian->sigma2 * gaussian->scale * gaussian->scale);
        if (draw.is_stuck) break;
        if (!is_taken) continue;

        *out = is_negative ? -(int64_t)size : (int64_t)size;
        return SL_OK;
    }
    return SL_ERROR_RNG;
}

int sl_discrete_gaussian_add(const struct sl_discrete_gaussian *gaussian, struct sl_noise *noise, int64_t *sum, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t fresh;
        int error = sample(gaussian, noise, &fresh);
        if (error) return error;
        sum[i] += fresh;
    }
    return SL_OK;
}
