/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "privacy/sketch.h"

enum { ROWS = SL_SKETCH_ROWS_MAX, CHUNK = SL_SKETCH_CHUNK };

static struct sl_sketch sketch;

static void start(uint8_t key_number, uint32_t rows)
{
    uint8_t key[32] = {key_number};
    sl_sketch_init(&sketch, key, rows);
}

/* The entries of a column, as the sketch of a unit vector shows them. */
static void read_column(uint32_t column, uint32_t *out)
{
    uint32_t unit[CHUNK] = {0};
    unit[column] = 1;
    memset(out, 0, ROWS * sizeof *out);
    sl_sketch_add(&sketch, unit, CHUNK, out);
}

static void sketch_of(const uint32_t *values, uint32_t n, uint32_t *out)
{
    memset(out, 0, ROWS * sizeof *out);
    for (uint32_t begin = 0; begin < n; begin += CHUNK) {
        sl_sketch_chunk(&sketch, begin / CHUNK);
        sl_sketch_add(&sketch, values + begin, n - begin < CHUNK ? n - begin : CHUNK, out);
    }
}

Test(sketch, entries_are_the_plus_bits_less_the_minus_bits_of_the_stream)
{
    enum { CHUNKS = 3 };
    static uint8_t stream[CHUNKS * ROWS * 64];
    const uint32_t row_counts[] = {1, 5, 8, 32};
    uint32_t column[ROWS];
    for (size_t c = 0; c < sizeof row_counts / sizeof *row_counts; c++) {
        const uint32_t rows = row_counts[c];
        start(9, rows);
        sl_stream((const uint8_t[32]){9}, stream, CHUNKS * rows * 64);
        for (uint32_t chunk = 0; chunk < CHUNKS; chunk++) {
            sl_sketch_chunk(&sketch, chunk);
            for (uint32_t j = 0; j < CHUNK; j++) {
                read_column(j, column);
                for (uint32_t r = 0; r < rows; r++) {
                    const uint8_t *bits = stream + (chunk * rows + r) * 64;
                    uint32_t plus = bits[j / 8] >> j % 8 & 1, minus = bits[32 + j / 8] >> j % 8 & 1;
                    cr_assert_eq(column[r], plus - minus, "rows %u, chunk %u, row %u, column %u", rows, chunk, r, j);
                }
                for (uint32_t r = rows; r < ROWS; r++) cr_assert_eq(column[r], 0, "rows beyond the last stay untouched");
            }
        }
    }
}

Test(sketch, entries_are_minus_one_zero_and_one_by_a_quarter_a_half_and_a_quarter)
{
    enum { CHUNKS = 40 };
    uint32_t column[ROWS];
    double n = (double)CHUNKS * ROWS * CHUNK, seen[3] = {0};
    start(1, ROWS);
    for (uint32_t chunk = 0; chunk < CHUNKS; chunk++) {
        sl_sketch_chunk(&sketch, chunk);
        for (uint32_t j = 0; j < CHUNK; j++) {
            read_column(j, column);
            for (uint32_t r = 0; r < ROWS; r++) {
                uint32_t place = column[r] + 1;
                cr_assert_lt(place, 3);
                seen[place]++;
            }
        }
    }

    const double expected[3] = {.25, .5, .25};
    for (int i = 0; i < 3; i++) {
        double deviation = sqrt(n * expected[i] * (1 - expected[i]));
        cr_assert(fabs(seen[i] - n * expected[i]) < 4.5 * deviation, "%d: %g of %g", i - 1, seen[i], n);
    }
}

static uint32_t n_equal_entries(const uint32_t a[CHUNK][ROWS], const uint32_t b[CHUNK][ROWS])
{
    uint32_t n = 0;
    for (uint32_t j = 0; j < CHUNK; j++)
        for (uint32_t r = 0; r < ROWS; r++) n += a[j][r] == b[j][r];
    return n;
}

Test(sketch, key_and_chunk_change_the_whole_matrix)
{
    static uint32_t matrix[3][CHUNK][ROWS];
    const struct { uint8_t key; uint32_t chunk; } which[3] = {{1, 0}, {1, 1}, {2, 0}};
    for (int i = 0; i < 3; i++) {
        start(which[i].key, ROWS);
        sl_sketch_chunk(&sketch, which[i].chunk);
        for (uint32_t j = 0; j < CHUNK; j++) read_column(j, matrix[i][j]);
    }

    /* Two independent entries are equal with probability 3/8: 3072 of 8192, standard deviation 44. */
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < a; b++) {
            uint32_t n = n_equal_entries((const void *)matrix[a], (const void *)matrix[b]);
            cr_assert(n > 2874 && n < 3270, "matrices %d and %d: %u equal", a, b, n);
        }
}

Test(sketch, is_exact_modulo_the_ring_at_any_values_and_lengths)
{
    enum { DIM = 3 * CHUNK };
    static uint32_t values[DIM];
    static uint32_t matrix[DIM][ROWS];
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){3});
    start(4, ROWS);
    for (uint32_t j = 0; j < DIM; j++) {
        if (j % CHUNK == 0) sl_sketch_chunk(&sketch, j / CHUNK);
        read_column(j % CHUNK, matrix[j]);
    }
    const uint32_t edges[] = {0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffff8000, UINT32_MAX};
    for (uint32_t length = 1; length <= DIM; length += length < 20 ? 1 : 71) {
        uint32_t out[ROWS], expected[ROWS] = {0};
        for (uint32_t j = 0; j < DIM; j++) values[j] = length % 2 ? sl_rng_u32(&rng) : edges[sl_rng_below(&rng, 8)];
        for (uint32_t j = 0; j < length; j++)
            for (uint32_t r = 0; r < ROWS; r++) expected[r] += matrix[j][r] * values[j];

        sketch_of(values, length, out);

        for (uint32_t r = 0; r < ROWS; r++) cr_assert_eq(out[r], expected[r], "length %u, row %u", length, r);
    }
}

Test(sketch, of_equal_extreme_values_does_not_overflow)
{
    const uint32_t edges[] = {0x7fff, 0x8000, 0x7fff7fff, 0x80008000, 0x80000000, 0x7fff8000, UINT32_MAX};
    static uint32_t values[CHUNK];
    uint32_t out[ROWS], counts[ROWS] = {0};
    start(5, ROWS);
    for (uint32_t j = 0; j < CHUNK; j++) values[j] = 1;
    sketch_of(values, CHUNK, counts);
    for (size_t e = 0; e < sizeof edges / sizeof *edges; e++) {
        for (uint32_t j = 0; j < CHUNK; j++) values[j] = edges[e];

        sketch_of(values, CHUNK, out);

        for (uint32_t r = 0; r < ROWS; r++) cr_assert_eq(out[r], counts[r] * edges[e]);
    }
}

Test(sketch, of_a_sum_is_the_sum_of_sketches)
{
    enum { DIM = 700 };
    static uint32_t values[3][DIM];
    uint32_t out[3][ROWS];
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){6});
    start(6, 8);
    for (uint32_t j = 0; j < DIM; j++) {
        values[0][j] = sl_rng_u32(&rng);
        values[1][j] = sl_rng_u32(&rng);
        values[2][j] = values[0][j] - values[1][j];
    }

    for (int i = 0; i < 3; i++) sketch_of(values[i], DIM, out[i]);

    for (int r = 0; r < 8; r++) cr_assert_eq(out[2][r], out[0][r] - out[1][r]);
}

Test(sketch, low_half_holds_for_a_ring_of_16_bits)
{
    enum { DIM = 600 };
    static uint32_t small[DIM], whole[DIM];
    uint32_t out_small[ROWS], out_whole[ROWS];
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){7});
    start(7, 32);
    for (uint32_t j = 0; j < DIM; j++) {
        whole[j] = sl_rng_u32(&rng);
        small[j] = whole[j] & 0xffff;
    }

    sketch_of(small, DIM, out_small);
    sketch_of(whole, DIM, out_whole);

    for (int r = 0; r < 32; r++) cr_assert_eq(out_small[r] & 0xffff, out_whole[r] & 0xffff);
}

/* Half the ring, added to an even number of coordinates: in a row of +1 and -1 alone it would always come to nothing. */
Test(sketch, sees_half_the_ring_added_to_an_even_number_of_coordinates)
{
    enum { DIM = 512, RUNS = 64 };
    static uint32_t values[DIM];
    uint32_t out[ROWS], n_seen = 0;
    for (uint32_t run = 0; run < RUNS; run++) {
        memset(values, 0, sizeof values);
        for (uint32_t i = 0; i < 2 * (1 + run % 8); i++) values[(i * 37 + run) % DIM] = 0x80000000;
        start((uint8_t)run, ROWS);

        sketch_of(values, DIM, out);

        uint32_t in_this_run = 0;
        for (uint32_t r = 0; r < ROWS; r++) in_this_run += out[r] == 0x80000000;
        cr_assert_gt(in_this_run, 0, "run %u", run);
        n_seen += in_this_run;
    }
    cr_assert(n_seen > 1024 - 102 && n_seen < 1024 + 102, "%u of 2048 rows saw it, half expected", n_seen);
}

Test(sketch, energy_is_the_squared_norm_on_average)
{
    enum { DIM = 300, RUNS = 250 };
    static uint32_t values[DIM];
    uint32_t out[ROWS];
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){8});
    double squared = 0, sum[2] = {0};
    for (uint32_t j = 0; j < DIM; j++) {
        int32_t number = (int32_t)sl_rng_below(&rng, 201) - 100;
        values[j] = (uint32_t)number;
        squared += (double)number * number;
    }
    for (uint32_t run = 0; run < RUNS; run++) {
        start((uint8_t)run, ROWS);
        sketch_of(values, DIM, out);
        sum[0] += sl_sketch_energy(out, ROWS, 32);
        for (int r = 0; r < ROWS; r++) out[r] &= 0xffff;
        sum[1] += sl_sketch_energy(out, ROWS, 16);
    }

    cr_assert_eq(sum[0], sum[1], "both rings read the same signed numbers");
    double ratio = sum[0] / RUNS / squared, deviation = sqrt(2.0 / ROWS / RUNS);
    cr_assert(fabs(ratio - 1) < 4.5 * deviation, "%g", ratio);
}

Test(sketch, energy_reads_numbers_as_signed_in_their_ring)
{
    const uint32_t w[4] = {UINT32_MAX, 3, 0x80000000, 0xffff8000};
    cr_assert_eq(sl_sketch_energy(w, 2, 32), 10);
    cr_assert_eq(sl_sketch_energy(w, 2, 16), 10);
    cr_assert_eq(sl_sketch_energy(w + 2, 1, 32), 0x1p63);
    cr_assert_eq(sl_sketch_energy(w + 2, 1, 16), 0);
    cr_assert_eq(sl_sketch_energy(w + 3, 1, 16), 0x1p31, "the high half does not count in a ring of 16 bits");
}

Test(sketch, expected_energy_is_that_of_the_radius_rounding_and_noise)
{
    cr_assert_eq(sl_sketch_expected(3 * 65536, 4, 0, 0), 48 * 48);
    cr_assert_eq(sl_sketch_expected(65536 / 2, 1, 100, 0), 1 + 25);
    cr_assert_eq(sl_sketch_expected(65536, 0, 100, 2.5), 1 + 25 + 250);
    cr_assert_eq(sl_sketch_expected(UINT32_MAX, -30, 0, 0), ldexp(UINT32_MAX, -46) * ldexp(UINT32_MAX, -46));
}

Test(sketch, band_widens_with_fewer_rows_and_has_a_floor_where_noise_is_due)
{
    for (uint32_t rows = 1; rows <= ROWS; rows++)
        for (int noise = 0; noise < 2; noise++) {
            struct sl_sketch_band band = sl_sketch_band(rows, noise);
            cr_assert_eq(band.upper, rows < 32 ? 3.1 : 1.95);
            cr_assert_eq(band.lower, !noise ? 0 : rows < 32 ? .10 : .40);
        }
}
