/* SPDX-License-Identifier: MIT */
#include "privacy/sketch.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"

enum { BITS_BYTES = SL_SKETCH_CHUNK / 8, ROW_BYTES = 2 * BITS_BYTES };

/* plus - minus of eight coordinates: bit j is moved to the sign and spread from there over the number. The matrix is public. */
static void expand(uint8_t plus, uint8_t minus, int16_t *entries)
{
    static const uint16_t to_sign[8] = {1u << 15, 1u << 14, 1u << 13, 1u << 12, 1u << 11, 1u << 10, 1u << 9, 1u << 8};
    for (int j = 0; j < 8; j++) {
        int16_t negative_plus = (int16_t)((int16_t)(uint16_t)(plus * to_sign[j]) >> 15);
        int16_t negative_minus = (int16_t)((int16_t)(uint16_t)(minus * to_sign[j]) >> 15);
        entries[j] = (int16_t)(negative_minus - negative_plus);
    }
}

/* Of numbers of 16 bits, so that compilers find the instruction which multiplies eight pairs and adds them up by two. */
static int32_t dot(const int16_t *a, const int16_t *b)
{
    int32_t sum = 0;
    for (int j = 0; j < SL_SKETCH_CHUNK; j++) sum += a[j] * b[j];
    return sum;
}

void sl_sketch_init(struct sl_sketch *sketch, const uint8_t key[32], uint32_t rows)
{
    assert(rows >= 1 && rows <= SL_SKETCH_ROWS_MAX);

    memcpy(sketch->key, key, 32);
    sketch->rows = rows;
}

void sl_sketch_chunk(struct sl_sketch *sketch, uint32_t number)
{
    uint8_t stream[SL_SKETCH_ROWS_MAX * ROW_BYTES];
    const uint32_t size = sketch->rows * ROW_BYTES;
    sl_stream_at(sketch->key, (uint64_t)number * size, stream, size);
    for (uint32_t r = 0; r < sketch->rows; r++) {
        const uint8_t *plus = stream + r * ROW_BYTES, *minus = plus + BITS_BYTES;
        for (int i = 0; i < BITS_BYTES; i++) expand(plus[i], minus[i], sketch->entries[r] + 8 * i);
    }
}

void sl_sketch_add(const struct sl_sketch *sketch, const uint32_t *values, uint32_t n_values, uint32_t *out)
{
    assert(n_values <= SL_SKETCH_CHUNK);

    /* value = low + 2^16 high modulo 2^32, both signed: neither sum of 256 leaves 32 bits. */
    int16_t low[SL_SKETCH_CHUNK] = {0}, high[SL_SKETCH_CHUNK] = {0};
    for (uint32_t j = 0; j < n_values; j++) {
        low[j] = (int16_t)(values[j] & 0xffff);
        high[j] = (int16_t)((values[j] + 0x8000) >> 16);
    }
    for (uint32_t r = 0; r < sketch->rows; r++)
        out[r] += (uint32_t)dot(sketch->entries[r], low) + ((uint32_t)dot(sketch->entries[r], high) << 16);
    sl_wipe(low, sizeof low);
    sl_wipe(high, sizeof high);
}

static double as_signed(uint32_t value, uint32_t ring_bits)
{
    const uint32_t sign_bit = (uint32_t)1 << (ring_bits - 1), inside = ring_bits == 32 ? value : value & 0xffff;
    return (double)((int64_t)(inside ^ sign_bit) - (int64_t)sign_bit);
}

double sl_sketch_energy(const uint32_t *w, uint32_t rows, uint32_t ring_bits)
{
    assert(rows >= 1 && (ring_bits == 16 || ring_bits == 32));

    double sum = 0;
    for (uint32_t r = 0; r < rows; r++) {
        double number = as_signed(w[r], ring_bits);
        sum += number * number;
    }
    return 2 * sum / rows;
}

double sl_sketch_expected(uint32_t radius_q, int ring_exponent, uint32_t dim, double noise_variance)
{
    double radius = ldexp(radius_q, ring_exponent - 16);
    return radius * radius + dim / 4.0 + dim * noise_variance;
}

struct sl_sketch_band sl_sketch_band(uint32_t rows, bool noise_is_due)
{
    if (rows >= 32) return (struct sl_sketch_band){.lower = noise_is_due ? 0.40 : 0, .upper = 1.95};

    return (struct sl_sketch_band){.lower = noise_is_due ? 0.10 : 0, .upper = 3.1};
}
