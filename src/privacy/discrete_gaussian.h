/* SPDX-License-Identifier: MIT */
#ifndef SL_PRIVACY_DISCRETE_GAUSSIAN_H
#define SL_PRIVACY_DISCRETE_GAUSSIAN_H

#include <stddef.h>
#include <stdint.h>

/*
 * Noise: exact samples of the discrete Gaussian, P(x) proportional to exp(-x^2 / (2 sigma2)) over all integers (Canonne, Kamath and Steinke 2020), from
 * integers only. A round has one key of its own, made by the driver and wiped at its end; the random choice of records draws from the same stream.
 */

/* ChaCha20 keystream in blocks. Memory given: 64 KiB are too much for a stack. */
struct sl_noise {
    uint8_t key[32];
    uint64_t block;
    uint32_t at;                     /* words used of the buffer */
    void (*fill)(void *context, uint8_t *bytes, size_t size);        /* NULL: ChaCha20 under the key */
    void *context;
    uint64_t words[8192];
};

void sl_noise_init(struct sl_noise *noise, const uint8_t key[32]);           /* takes a copy; wipe your own */
void sl_noise_init_from(struct sl_noise *noise, void (*fill)(void *context, uint8_t *bytes, size_t size), void *context);     /* for tests: any stream */
uint64_t sl_noise_word(struct sl_noise *noise);
void sl_noise_wipe(struct sl_noise *noise);

#define SL_SIGMA2_MAX (UINT64_C(1) << 56)

/* What a sampler needs to know of its variance; public, about 20 KiB, made once for a round. */
struct sl_discrete_gaussian;
size_t sl_discrete_gaussian_size(void);
/* In `memory` of that size, aligned for any type. sigma2 in 1 .. SL_SIGMA2_MAX, else SL_ERROR_OUT_OF_RANGE. */
int sl_discrete_gaussian_init(void *memory, uint64_t sigma2, struct sl_discrete_gaussian **out);

/* sum[i] += a fresh sample. SL_ERROR_RNG: the stream is not random (a bound that honest randomness misses with probability below 2^-100 was hit); then the
 * round must end without output, and sum is worthless. */
int sl_discrete_gaussian_add(const struct sl_discrete_gaussian *gaussian, struct sl_noise *noise, int64_t *sum, size_t n);

#endif
