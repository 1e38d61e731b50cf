/* SPDX-License-Identifier: MIT */
#ifndef SL_PRIVACY_SKETCH_H
#define SL_PRIVACY_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

/*
 * A random sketch of a ring vector: A x modulo the ring, A in {-1, 0, +1}^{rows x dim} with probabilities 1/4, 1/2, 1/4 (Achlioptas, 2003, but sparser),
 * from the ChaCha20 stream of a 32-byte key. E|A x|^2 = rows |x|^2 / 2, so a few rows tell the norm of a vector and little else. Entries +-1 alone would be
 * blind to half the ring added to an even number of coordinates; with zeros each row misses that with probability 1/2.
 *
 * The matrix goes by chunks of SL_SKETCH_CHUNK coordinates: chunk n takes rows * 64 bytes of the stream at offset n * rows * 64; row r of it the 64 bytes at
 * r * 64, 32 of `plus` bits and 32 of `minus` bits, coordinate j in bit j % 8 of byte j / 8. Entry = plus - minus. Vectors pass chunk by chunk, so none but the
 * chunk need be in memory:
 *
 *     sl_sketch_init(&sketch, key, rows);
 *     for (each chunk) {
 *         sl_sketch_chunk(&sketch, number);
 *         for (each vector) sl_sketch_add(&sketch, values, n_values, out[vector]);
 *     }
 */
enum { SL_SKETCH_CHUNK = 256 };

struct sl_sketch {
    uint8_t key[32];
    uint32_t rows;
    int16_t entries[SL_SKETCH_ROWS_MAX][SL_SKETCH_CHUNK];        /* of the chunk: -1, 0, +1 */
};

void sl_sketch_init(struct sl_sketch *sketch, const uint8_t key[32], uint32_t rows);         /* rows 1 .. SL_SKETCH_ROWS_MAX */
void sl_sketch_chunk(struct sl_sketch *sketch, uint32_t number);

/* out[r] += row r times values, modulo 2^32; in a ring of 16 bits the caller keeps the low 16 in the end. n_values <= SL_SKETCH_CHUNK. */
void sl_sketch_add(const struct sl_sketch *sketch, const uint32_t *values, uint32_t n_values, uint32_t *out);

/* T = 2 |w|^2 / rows, w read as signed in its ring: an estimate of the squared norm of the vector behind it. */
double sl_sketch_energy(const uint32_t *w, uint32_t rows, uint32_t ring_bits);

/* E = (rho s)^2 + dim / 4 + dim * noise_variance: the largest energy of an honest vector, in expectation (rounding adds at most 1/4 a coordinate). */
double sl_sketch_expected(uint32_t radius_q, int ring_exponent, uint32_t dim, double noise_variance);

/* Bounds of T / E for a number of rows: `upper` 1.95 at 32 rows, 3.1 at 8; `lower` 0 without noise, else .40 at 32 rows and .10 at 8. Other numbers of rows are
 * those of the next smaller of 8 and 32. */
struct sl_sketch_band { double lower, upper; };
struct sl_sketch_band sl_sketch_band(uint32_t rows, bool noise_is_due);

#endif
