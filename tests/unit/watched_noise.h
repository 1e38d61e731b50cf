/* SPDX-License-Identifier: MIT */
#ifndef SL_TEST_WATCHED_NOISE_H
#define SL_TEST_WATCHED_NOISE_H

#include "privacy/discrete_gaussian.h"
#include "starling/error.h"

/*
 * The linker puts this in front of sl_discrete_gaussian_add() (-Wl,--wrap), so that a test sees each sum before its noise, may leave the noise out, or have the
 * source of randomness fail.
 */
enum { WATCHED_MAX = 1024 };

static struct {
    bool is_silent;                      /* adds nothing */
    uint32_t fails_at;                   /* at this call, counted from 1; 0: never */
    uint32_t n_calls;
    uint64_t n_values;                   /* of all calls */
    int64_t sum[WATCHED_MAX];            /* of the last call */
} watched;

int __real_sl_discrete_gaussian_add(const struct sl_discrete_gaussian *gaussian, struct sl_noise *noise, int64_t *sum, size_t n);
int __wrap_sl_discrete_gaussian_add(const struct sl_discrete_gaussian *gaussian, struct sl_noise *noise, int64_t *sum, size_t n);

int __wrap_sl_discrete_gaussian_add(const struct sl_discrete_gaussian *gaussian, struct sl_noise *noise, int64_t *sum, size_t n)
{
    watched.n_calls++;
    watched.n_values += n;
    memcpy(watched.sum, sum, (n < WATCHED_MAX ? n : WATCHED_MAX) * sizeof *sum);
    if (watched.n_calls == watched.fails_at) return SL_ERROR_RNG;
    return watched.is_silent ? SL_OK : __real_sl_discrete_gaussian_add(gaussian, noise, sum, n);
}

#endif
