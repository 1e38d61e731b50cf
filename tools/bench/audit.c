/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "privacy/sketch.h"

/*
 * How well the audit tells vectors that are too large: bench_audit [DRAWS [HONEST]]. Each draw has a matrix of its own; vectors are normal, scaled to a
 * multiple of the norm that is allowed, out of a pool. Exit status 1 if a rate is not the one that the chi-square distribution of the sketch's energy promises.
 */
enum { DIM = 4096, POOL = 64, RING_EXPONENT = 4, NOISE_VARIANCE = 40000 };

static const double POINTS = .03, FALSE_ALARMS = .002;

static double pool[POOL][DIM];               /* of norm 1 */
static struct sl_rng rng;
static bool all_right = true;

struct kind { uint32_t rows, ring_bits, radius; double noise_variance; };

static double expected(const struct kind *kind)
{
    return sl_sketch_expected(kind->radius << 16, RING_EXPONENT, DIM, kind->noise_variance);
}

static void make_pool(void)
{
    for (uint32_t v = 0; v < POOL; v++) {
        double energy = 0;
        for (uint32_t j = 0; j < DIM; j++) {
            pool[v][j] = sl_rng_normal(&rng);
            energy += pool[v][j] * pool[v][j];
        }
        for (uint32_t j = 0; j < DIM; j++) pool[v][j] /= sqrt(energy);
    }
}

static void draw_vector(double norm, uint32_t *z)
{
    const double *direction = pool[sl_rng_below(&rng, POOL)];
    for (uint32_t j = 0; j < DIM; j++) z[j] = (uint32_t)(int32_t)lround(direction[j] * norm);
}

static void sketch_of(const struct kind *kind, const uint32_t *z, uint32_t *out)
{
    static struct sl_sketch sketch;
    uint8_t key[32];
    sl_rng_bytes(&rng, key, sizeof key);
    sl_sketch_init(&sketch, key, kind->rows);
    memset(out, 0, SL_SKETCH_ROWS_MAX * sizeof *out);
    for (uint32_t start = 0; start < DIM; start += SL_SKETCH_CHUNK) {
        sl_sketch_chunk(&sketch, start / SL_SKETCH_CHUNK);
        sl_sketch_add(&sketch, z + start, SL_SKETCH_CHUNK, out);
    }
}

static bool passes(const struct kind *kind, const uint32_t *w)
{
    double ratio = sl_sketch_energy(w, kind->rows, kind->ring_bits) / expected(kind);
    struct sl_sketch_band band = sl_sketch_band(kind->rows, kind->noise_variance > 0);
    return ratio >= band.lower && ratio <= band.upper;
}

static double rate(const struct kind *kind, double factor, uint32_t draws)
{
    static uint32_t z[DIM];
    uint32_t w[SL_SKETCH_ROWS_MAX], n = 0;
    for (uint32_t d = 0; d < draws; d++) {
        draw_vector(factor * sqrt(expected(kind)), z);
        sketch_of(kind, z, w);
        n += !passes(kind, w);
    }
    return (double)n / draws;
}

static void verdict(bool is_right)
{
    printf("  %s\n", is_right ? "ok" : "WRONG");
    all_right = all_right && is_right;
}

static void detection(const struct kind *kind, double factor, double promised, uint32_t draws)
{
    double found = rate(kind, factor, draws);
    printf("%2u rows, ring %2u: norm %.1f x allowed: found %6.2f %%, expected %5.1f %%", kind->rows, kind->ring_bits, factor, 100 * found, 100 * promised);
    verdict(fabs(found - promised) <= POINTS);
}

static void false_alarms(const struct kind *kind, uint32_t draws)
{
    double found = rate(kind, 1, draws);
    printf("%2u rows, ring %2u: as large as allowed, %u runs: false alarms %.3f %%, at most %.1f %%", kind->rows, kind->ring_bits, draws, 100 * found,
           100 * FALSE_ALARMS);
    verdict(found <= FALSE_ALARMS + 3 * sqrt(FALSE_ALARMS / draws));         /* three standard deviations of the count itself */
}

/* Half the ring on an even number of coordinates: a row is blind to it if it takes in an even number of them, so 2^-rows of the runs are missed by the audit;
 * of these, the norm of the sum tells. */
static void poison(const struct kind *kind, uint32_t draws)
{
    static uint32_t z[DIM];
    uint32_t w[SL_SKETCH_ROWS_MAX], missed = 0;
    for (uint32_t d = 0; d < draws; d++) {
        uint32_t n = 2 * (1 + sl_rng_below(&rng, 20)), start = sl_rng_below(&rng, DIM - 40);
        draw_vector(sqrt(expected(kind)) / 2, z);
        for (uint32_t j = 0; j < n; j++) z[start + j] += UINT32_C(1) << (kind->ring_bits - 1);
        sketch_of(kind, z, w);
        missed += sl_sketch_energy(w, kind->rows, kind->ring_bits) <= sl_sketch_band(kind->rows, false).upper * expected(kind);
    }
    double promised = pow(2, -(double)kind->rows);
    printf("%2u rows, ring %2u: half the ring on an even number of coordinates, %u runs: missed by the sketch %u, expected %.1f", kind->rows, kind->ring_bits,
           draws, missed, promised * draws);
    verdict(missed <= promised * draws + 4 * sqrt(promised * draws));
}

/* Two colluders may agree on a false sketch of their common mask, and so share out between their audits what one of them put in. Half to each is the best
 * they can do: together `factor` times the norm that both are allowed is found as `factor` times that of one. */
static void shifted(const struct kind *kind, double factor, double promised, uint32_t draws)
{
    static uint32_t z[DIM];
    uint32_t w[SL_SKETCH_ROWS_MAX], n = 0;
    for (uint32_t d = 0; d < draws; d++) {
        draw_vector(2 * factor * sqrt(expected(kind)), z);
        sketch_of(kind, z, w);
        for (uint32_t r = 0; r < kind->rows; r++) w[r] = (uint32_t)((int32_t)w[r] / 2);
        n += !passes(kind, w);
    }
    double found = (double)n / draws;
    printf("%2u rows, ring %2u: two colluders, together %.1f x what both are allowed: found %6.2f %%, expected %5.1f %%", kind->rows, kind->ring_bits, factor,
           100 * found, 100 * promised);
    verdict(fabs(found - promised) <= POINTS);
}

int main(int argc, char **argv)
{
    uint32_t draws = argc > 1 ? (uint32_t)atoi(argv[1]) : 20000, honest = argc > 2 ? (uint32_t)atoi(argv[2]) : 100000;
    const struct kind full = {32, 32, 600, NOISE_VARIANCE}, light = {8, 32, 600, 0}, light16 = {8, 16, 128, 0};
    sl_rng_init(&rng, (const uint8_t[32]){"audit"});
    make_pool();

    detection(&full, 1.4, .46, draws);
    detection(&full, 1.6, .82, draws);
    detection(&full, 2, .99, draws);
    detection(&light, 1.4, .12, draws);
    detection(&light, 1.6, .29, draws);
    detection(&light, 2, .62, draws);
    detection(&light, 3, .95, draws);
    detection(&light, 4, .99, draws);
    false_alarms(&full, honest);
    false_alarms(&light, honest);
    shifted(&full, 1.4, .46, draws);
    shifted(&full, 2, .99, draws);
    shifted(&light, 2, .62, draws);
    poison(&full, draws);
    poison(&light, draws);
    poison(&light16, draws);
    return !all_right;
}
