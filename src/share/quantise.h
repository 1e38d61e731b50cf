/* SPDX-License-Identifier: MIT */
#ifndef SL_SHARE_QUANTISE_H
#define SL_SHARE_QUANTISE_H

#include <stdint.h>

#include "base/rng.h"

/*
 * Between float32 and integers. Scales are powers of two, so every step after the first rounding is exact integer arithmetic and
 * all members of a cohort, on any compiler, get the same bytes. Byte encodings are little endian.
 */

/* Largest S with 2^S <= 2^ring_bits / (radius * max(32, 3 n_members)), radius = radius_q / 65536: no sum of n_members vectors inside
 * the radius (nor an honest sketch of one) can wrap. In -30 .. 40. */
int sl_ring_exponent(uint32_t radius_q, uint32_t n_members, uint32_t ring_bits);

/* z[j] = stochastic rounding of v[j] * 2^exponent, modulo 2^32; unbiased. |v[j] * 2^exponent| must be below 2^31 (clip first). */
void sl_ring_encode(const float *v, uint32_t dim, int exponent, struct sl_rng *rng, uint32_t *z);

/* Ring elements on the wire: dim * ring_bits / 8 bytes, ring_bits 16 or 32. pack reads, unpack writes, the low ring_bits of each element. */
void sl_ring_pack(const uint32_t *z, uint32_t dim, uint32_t ring_bits, uint8_t *bytes);
void sl_ring_unpack(const uint8_t *bytes, uint32_t dim, uint32_t ring_bits, uint32_t *z);

/* An element of the ring read as signed, in 32 bits. */
uint32_t sl_ring_signed(uint32_t z, uint32_t ring_bits);

/* The reference vector: 16-bit integers, q[j] = round(v[j] * 2^exponent), half away from zero. The exponent is the largest in -15 .. 30 for which all fit. */
int sl_ref_exponent(const float *v, uint32_t dim);
void sl_ref_encode(const float *v, uint32_t dim, int exponent, uint8_t *bytes);                /* 2 * dim bytes */
void sl_ref_decode(const uint8_t *bytes, uint32_t dim, int exponent, float *v);

/* The canonical mean: m[j] = ref[j] * 2^ring_exponent-scaled + sum[j] / n_members, rounded half away from zero in integers, then shifted
 * right (rounding half away from zero) by the smallest amount for which every |m| fits into `bits` bits signed.
 * sum is read as signed. Writes dim * bits/8 bytes and *exponent with mean[j] = integer * 2^-exponent. */
void sl_mean_encode(const uint8_t *ref, int ref_exponent, const uint32_t *sum, uint32_t n_members, int ring_exponent, uint32_t dim,
                    uint32_t bits, uint8_t *bytes, int *exponent);
void sl_mean_decode(const uint8_t *bytes, uint32_t dim, uint32_t bits, int exponent, float *mean);

#endif
