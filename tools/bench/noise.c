/* SPDX-License-Identifier: MIT */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "plain_gaussian.h"
#include "privacy/discrete_gaussian.h"
#include "starling/error.h"

/* Samples of exact noise in a second on one core: bench_noise [SAMPLES]. Beside each: how many times the plain algorithm of the distribution's authors, and
 * which share of the rate at which the keystream alone could come (8 bytes a sample). The best of several runs. */

enum { RUNS = 7, WORDS = sizeof((struct sl_noise *)NULL)->words / sizeof(uint64_t) };

static struct sl_noise noise;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double rate_of_keystream(size_t n)
{
    double best = 0;
    uint64_t mixed = 0;
    for (int run = 0; run < RUNS; run++) {
        const double begin = now_s();
        for (size_t i = 0; i < n; i += WORDS) {
            noise.at = WORDS;                                /* as if all of the block had been used */
            mixed ^= sl_noise_word(&noise);
        }
        const double rate = (double)n / (now_s() - begin);
        if (rate > best) best = rate;
    }
    fprintf(stderr, "%s", mixed == 1 ? " " : "");            /* so that nothing is left out */
    return best;
}

static double rate_of_ours(uint64_t sigma2, int64_t *sum, size_t n, double *init_s)
{
    struct sl_discrete_gaussian *gaussian = NULL;
    void *memory = malloc(sl_discrete_gaussian_size());
    if (!memory) exit(1);

    double best = 0, least = 1e300;
    for (int run = 0; run < RUNS; run++) {
        double begin = now_s();
        int error = sl_discrete_gaussian_init(memory, sigma2, &gaussian);
        const double took = now_s() - begin;
        if (took < least) least = took;

        begin = now_s();
        if (!error) error = sl_discrete_gaussian_add(gaussian, &noise, sum, n);
        const double rate = (double)n / (now_s() - begin);
        if (error) {
            fprintf(stderr, "%s\n", sl_error_text(error));
            exit(1);
        }
        if (rate > best) best = rate;
    }
    free(memory);
    *init_s = least;
    return best;
}

static double rate_of_plain(uint64_t sigma2, int64_t *sum, size_t n)
{
    double best = 0;
    for (int run = 0; run < RUNS; run++) {
        const double begin = now_s();
        for (size_t i = 0; i < n; i++) sum[i] += plain_gaussian(&noise, sigma2);
        const double rate = (double)n / (now_s() - begin);
        if (rate > best) best = rate;
    }
    return best;
}

int main(int argc, char **argv)
{
    static const uint64_t variances[] = {1, 10, 100, 10000, UINT64_C(1) << 40, UINT64_C(9) << 40, SL_SIGMA2_MAX};
    const size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 4000000;
    int64_t *sum = calloc(n ? n : 1, sizeof *sum);
    uint8_t key[32];
    if (n < 100 || !sum || sodium_init() < 0) {
        fprintf(stderr, "usage: bench_noise [SAMPLES], at least 100 and small enough for memory\n");
        return 1;
    }
    randombytes_buf(key, sizeof key);
    sl_noise_init(&noise, key);

    const double keystream = rate_of_keystream(n);
    printf("keystream alone: %.1f million words/s\n%20s %14s %14s %10s %12s %10s\n", keystream / 1e6, "sigma2", "samples/s", "plain", "times plain",
           "of stream", "table ms");
    for (size_t v = 0; v < sizeof variances / sizeof variances[0]; v++) {
        double init_s;
        const double ours = rate_of_ours(variances[v], sum, n, &init_s), plain = rate_of_plain(variances[v], sum, n / 20);
        printf("%20llu %14.0f %14.0f %10.1f %12.2f %10.2f\n", (unsigned long long)variances[v], ours, plain, ours / plain, ours / keystream, init_s * 1e3);
    }
    sl_noise_wipe(&noise);
    free(sum);
    return 0;
}
