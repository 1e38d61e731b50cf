/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "plain_gaussian.h"
#include "privacy/discrete_gaussian_parts.h"
#include "starling/error.h"

/*
 * All keys are fixed, so a test that passes always passes. Statistics must be within 4 or 5 standard errors of what the exact distribution gives.
 */
enum { BATCH = 8192, HALF_BINS = 400, BINS = 2 * HALF_BINS + 1 };

static struct sl_noise noise;
static struct sl_discrete_gaussian memory;
static const struct sl_discrete_gaussian *gaussian;

static void start(uint8_t key_number, uint64_t sigma2)
{
    struct sl_discrete_gaussian *made;
    cr_assert_eq(sl_discrete_gaussian_init(&memory, sigma2, &made), SL_OK);
    gaussian = made;
    cr_assert_geq(sodium_init(), 0);
    sl_noise_init(&noise, (const uint8_t[32]){key_number, 77});
}

static void draw(int64_t *out, size_t n)
{
    memset(out, 0, n * sizeof *out);
    cr_assert_eq(sl_discrete_gaussian_add(gaussian, &noise, out, n), SL_OK);
}

/* Bin b covers the values [b * width - shift, (b + 1) * width - shift), b from -HALF_BINS; the outermost cover all beyond. */
static void count(uint64_t n, int64_t width, int64_t shift, uint64_t counts[BINS])
{
    static int64_t batch[BATCH];
    memset(counts, 0, BINS * sizeof *counts);
    for (uint64_t i = 0; i < n; i += BATCH) {
        draw(batch, BATCH);
        for (int k = 0; k < BATCH; k++) {
            const int64_t moved = batch[k] + shift, bin = (moved >= 0 ? moved : moved - width + 1) / width;
            counts[(bin < -HALF_BINS ? -HALF_BINS : bin > HALF_BINS ? HALF_BINS : bin) + HALF_BINS]++;
        }
    }
}

static uint64_t total(const uint64_t counts[BINS])
{
    uint64_t sum = 0;
    for (int b = 0; b < BINS; b++) sum += counts[b];
    return sum;
}

/* How many standard deviations chi-square is above its mean; bins that expect fewer than 10 are joined with the next. */
static double excess_of_chi_square(const uint64_t counts[BINS], const long double shares[BINS])
{
    const double n = (double)total(counts);
    double sum = 0, expected = 0, seen = 0;
    int n_bins = 0;
    for (int b = 0; b < BINS; b++) {
        expected += n * (double)shares[b];
        seen += (double)counts[b];
        if (expected < 10) continue;
        sum += (seen - expected) * (seen - expected) / expected;
        n_bins++;
        expected = seen = 0;
    }
    cr_assert_leq(seen, 60, "more beyond the last bin than may be");
    cr_assert_gt(n_bins, 3);
    return (sum - (n_bins - 1)) / sqrt(2.0 * (n_bins - 1));
}

static void exact_shares(uint64_t sigma2, long double shares[BINS])
{
    long double sum = 0;
    for (int b = 0; b < BINS; b++) sum += shares[b] = expl(-(long double)(b - HALF_BINS) * (b - HALF_BINS) / (2 * (long double)sigma2));
    for (int b = 0; b < BINS; b++) shares[b] /= sum;
}

/* Of the normal law between the half integers around the values of a bin: the discrete Gaussian's but for sigma^-2 / 24. */
static void normal_shares(double sigma, int64_t width, int64_t shift, long double shares[BINS])
{
    const long double unit = (long double)sigma * sqrtl(2);
    for (int b = 0; b < BINS; b++) {
        const long double low = (long double)((b - HALF_BINS) * width - shift) - 0.5L, high = low + width;
        const long double below = b == 0 ? 1 : erfcl(low / unit) / 2, above = b == BINS - 1 ? 0 : erfcl(high / unit) / 2;
        shares[b] = below - above;
    }
}

static const struct {
    uint64_t sigma2;
    int x;
    double share;
} known_shares[] = {
    {1, 0, 0.39894227826686171},      {4, 0, 0.19947114020071634},    {10, 0, 0.126156626101008},     {10, 1, 0.1200038948430136},
    {20, 0, 0.089206205807638556},    {100, 0, 0.039894228040143268}, {100, 1, 0.039695254747701177},
};

Test(discrete_gaussian, small_variances_follow_the_exact_probabilities)
{
    static const uint64_t variances[] = {1, 4, 10, 20, 100};
    static long double shares[BINS];
    static uint64_t counts[BINS];
    for (uint8_t v = 0; v < 5; v++) {
        exact_shares(variances[v], shares);
        for (size_t i = 0; i < sizeof known_shares / sizeof known_shares[0]; i++)
            if (known_shares[i].sigma2 == variances[v])
                cr_assert_float_eq((double)shares[HALF_BINS + known_shares[i].x], known_shares[i].share, 1e-14);

        start(v, variances[v]);
        count(5000000, 1, 0, counts);

        const double excess = excess_of_chi_square(counts, shares);
        cr_assert(fabs(excess) < 4, "variance %d: %f", (int)variances[v], excess);
    }
}

Test(discrete_gaussian, a_thousandth_of_the_samples_in_a_wrong_place_would_be_seen)
{
    static long double shares[BINS];
    static uint64_t counts[BINS];
    exact_shares(10, shares);
    start(2, 10);
    count(8000000, 1, 0, counts);

    const uint64_t moved = total(counts) / 1000;
    counts[HALF_BINS + 1] -= moved;
    counts[HALF_BINS + 2] += moved;

    cr_assert_gt(excess_of_chi_square(counts, shares), 10);
}

/* Where columns meet an error would show as too many on one side; half a column away as a wrong slope within. */
Test(discrete_gaussian, columns_and_what_lies_around_their_borders_hold_their_shares)
{
    static const uint64_t variances[] = {UINT64_C(1) << 40, (UINT64_C(1) << 42) - 1, UINT64_C(20480) * 20480};
    static long double shares[BINS];
    static uint64_t counts[BINS];
    for (uint8_t v = 0; v < 3; v++) {
        start((uint8_t)(20 + v), variances[v]);
        const int64_t column = (int64_t)1 << gaussian->width_bits, widths[] = {column, column, column / 2, column / 2};
        const int64_t shifts[] = {0, column / 2, 0, column / 4};
        for (int i = 0; i < 4; i++) {
            normal_shares(sqrt((double)variances[v]), widths[i], shifts[i], shares);
            count(2000000, widths[i], shifts[i], counts);

            const double excess = excess_of_chi_square(counts, shares);
            cr_assert(fabs(excess) < 4, "variance %d, width %d, shift %d: %f", v, (int)widths[i], (int)shifts[i], excess);
        }
    }
}

Test(discrete_gaussian, within_a_column_sizes_thin_out_as_they_should)
{
    enum { PARTS = 16, N = 3000000 };
    static int64_t batch[BATCH];
    uint64_t counts[PARTS] = {0}, sum = 0;
    start(30, UINT64_C(1) << 40);
    const uint64_t column = UINT64_C(1) << gaussian->width_bits, part = column / PARTS;
    for (int i = 0; i < N; i += BATCH) {
        draw(batch, BATCH);
        for (int k = 0; k < BATCH; k++) counts[(uint64_t)llabs(batch[k]) % column / part]++;
    }
    for (int p = 0; p < PARTS; p++) sum += counts[p];

    double chi_square = 0;
    for (int p = 0; p < PARTS; p++) {
        double expected = 0;
        for (uint32_t j = 0; j < gaussian->n_columns; j++) {
            const double low = (double)(j * column + (uint64_t)p * part) - 0.5, unit = sqrt(2) * 0x1p20;
            expected += erfc((low < 0 ? 0 : low) / unit) - erfc((low + (double)part) / unit);
        }
        expected *= (double)sum;
        chi_square += ((double)counts[p] - expected) * ((double)counts[p] - expected) / expected;
    }
    cr_assert_lt(fabs(chi_square - (PARTS - 1)) / sqrt(2.0 * (PARTS - 1)), 4);
}

static int by_value(const void *a, const void *b)
{
    const int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
    return first < second ? -1 : first > second;
}

Test(discrete_gaussian, a_large_variance_follows_the_normal_law)
{
    enum { N = 300000 };
    static int64_t samples[N];
    start(40, UINT64_C(1) << 40);
    draw(samples, N);
    qsort(samples, N, sizeof *samples, by_value);

    double distance = 0;
    for (int i = 0; i < N; i++) {
        const double below = erfc(-(double)samples[i] / (sqrt(2) * 0x1p20)) / 2;
        distance = fmax(distance, fmax(fabs(below - (double)i / N), fabs(below - (double)(i + 1) / N)));
    }
    cr_assert_lt(distance * sqrt(N), 1.95, "Kolmogorov and Smirnov: one in a thousand is farther off");
}

Test(discrete_gaussian, variance_mean_and_signs_are_right_from_the_least_variance_to_the_greatest)
{
    enum { ROUNDS = 122, N = ROUNDS * BATCH };
    static const uint64_t variances[] = {1, 2, 4, 10, 20, 100, 4095, 4096, UINT64_C(1) << 40, SL_SIGMA2_MAX};
    static int64_t batch[BATCH];
    for (uint8_t v = 0; v < sizeof variances / sizeof variances[0]; v++) {
        const double sigma2 = v == 0 ? 0.99999978876772808 : (double)variances[v];
        double sum = 0, squares = 0;
        int64_t signs = 0;
        start((uint8_t)(50 + v), variances[v]);
        for (int i = 0; i < ROUNDS; i++) {
            draw(batch, BATCH);
            for (int k = 0; k < BATCH; k++) {
                sum += (double)batch[k];
                squares += (double)batch[k] * (double)batch[k];
                signs += (batch[k] > 0) - (batch[k] < 0);
            }
        }
        cr_assert_lt(fabs(squares / N - sigma2), 5 * sigma2 * sqrt(2.0 / N), "variance %d", v);
        cr_assert_lt(fabs(sum / N), 5 * sqrt(sigma2 / N), "variance %d", v);
        cr_assert_lt(fabs((double)signs), 5 * sqrt(N), "variance %d", v);
    }
}

Test(discrete_gaussian, values_beyond_three_and_four_sigma_come_as_often_as_they_should)
{
    enum { ROUNDS = 976, N = ROUNDS * BATCH };
    static int64_t batch[BATCH];
    uint64_t three = 0, four = 0, five = 0;
    start(60, UINT64_C(1) << 40);
    for (int i = 0; i < ROUNDS; i++) {
        draw(batch, BATCH);
        for (int k = 0; k < BATCH; k++) {
            const int64_t size = llabs(batch[k]);
            three += size >= 3 << 20;
            four += size >= 4 << 20;
            five += size >= 5 << 20;
        }
    }
    cr_assert_lt(fabs((double)three - N * erfc(3 / sqrt(2))), 4 * sqrt(N * erfc(3 / sqrt(2))));
    cr_assert_lt(fabs((double)four - N * erfc(4 / sqrt(2))), 4 * sqrt(N * erfc(4 / sqrt(2))));
    cr_assert_lt(fabs((double)five - N * erfc(5 / sqrt(2))), 4 * sqrt(N * erfc(5 / sqrt(2))));
}

/* Two samples of the same law: chi-square of their difference. */
Test(discrete_gaussian, agrees_with_the_plain_algorithm_of_its_authors)
{
    enum { N = 20 * BATCH };
    static const uint64_t variances[] = {1, 10, 1000};
    static uint64_t ours[BINS], theirs[BINS];
    for (uint8_t v = 0; v < 3; v++) {
        start((uint8_t)(70 + v), variances[v]);
        count(N, 1, 0, ours);
        memset(theirs, 0, sizeof theirs);
        for (int i = 0; i < N; i++) theirs[plain_gaussian(&noise, variances[v]) + HALF_BINS]++;

        double chi_square = 0;
        int n_bins = 0;
        for (int b = 0; b < BINS; b++) {
            const double both = (double)(ours[b] + theirs[b]), apart = (double)ours[b] - (double)theirs[b];
            if (both < 20) continue;
            chi_square += apart * apart / both;
            n_bins++;
        }
        cr_assert_lt(fabs(chi_square - n_bins) / sqrt(2.0 * n_bins), 4, "variance %d", (int)variances[v]);
    }
}

/* A word that stands for this point. */
static uint64_t word_of(uint32_t column, uint64_t height, uint64_t apart, bool is_negative)
{
    const uint64_t below = apart | (uint64_t)is_negative << GAUSSIAN_SIZE_BITS, slot_size = GAUSSIAN_AREA / GAUSSIAN_COLUMNS;
    for (uint64_t i = 0; i < GAUSSIAN_COLUMNS; i++) {
        const struct gaussian_slot *slot = &gaussian->slots[i];
        uint64_t level = height;
        bool is_here = i == column && height < slot->threshold;
        if (!is_here && slot->alias == column) {
            level = height - slot->offset;
            is_here = level >= slot->threshold && level < slot_size;
        }
        if (is_here) return i << 55 | level << 24 | below;
    }
    cr_assert(false, "no such point");
    return 0;
}

/* What becomes of a point whose further bits are these words; the words after them are all `next`. */
static int sample_of(uint64_t first, const uint64_t *rest, int n_rest, uint64_t next, int64_t *out)
{
    for (int i = 0; i < BATCH; i++) noise.words[i] = next;
    noise.at = 0;
    noise.words[0] = first;
    for (int i = 0; i < n_rest; i++) noise.words[1 + i] = rest[i];
    *out = 0;
    return sl_discrete_gaussian_add(gaussian, &noise, out, 1);
}

Test(discrete_gaussian, a_point_that_touches_the_curve_is_decided_by_its_192_further_bits)
{
    static const uint64_t variances[] = {10, 4000, UINT64_C(1) << 40, SL_SIGMA2_MAX};
    for (uint8_t v = 0; v < 4; v++) {
        start(80, variances[v]);
        const uint64_t other = word_of(0, 0, 0, false);                      /* a sample of 0, taken at once */
        for (uint32_t column = 1; column < gaussian->n_columns / 2; column += 3) {
            const uint64_t apart = (UINT64_C(1) << gaussian->width_bits) / 3;
            const int64_t x = (int64_t)(((uint64_t)column << gaussian->width_bits) + apart);
            uint64_t low[4], high[4];
            int64_t out;
            sl_gaussian_bounds((uint64_t)x, variances[v], gaussian->scale, 0, low, high);
            if (low[0] < 8 || high[0] > UINT64_MAX - 8) continue;

            const uint64_t touching = word_of(column, low[3], apart, true);
            const uint64_t below[3] = {low[2], low[1], low[0] - 1}, at[3] = {low[2], low[1], low[0] + 1}, above[3] = {low[2], low[1], high[0]};
            cr_assert_eq(sample_of(touching, below, 3, other, &out), SL_OK);
            cr_assert_eq(out, -x, "below the curve");
            cr_assert_eq(noise.at, 4);
            cr_assert_eq(sample_of(touching, above, 3, other, &out), SL_OK);
            cr_assert_eq(out, 0, "above it: thrown again");
            cr_assert_eq(sample_of(touching, at, 3, other, &out), SL_ERROR_RNG, "no bit decides");

            cr_assert_eq(sample_of(word_of(column, low[3] - 1, apart, false), at, 3, other, &out), SL_OK);
            cr_assert_eq(out, x, "a whole unit below");
            if (low[3] + 1 >= gaussian->height[column]) continue;
            cr_assert_eq(sample_of(word_of(column, low[3] + 1, apart, false), NULL, 0, other, &out), SL_OK);
            cr_assert_eq(out, 0, "a whole unit above");
            cr_assert_eq(noise.at, 2);
        }
    }
}

Test(discrete_gaussian, minus_zero_is_thrown_again)
{
    start(81, 10);
    int64_t out;
    cr_assert_eq(sample_of(word_of(0, 0, 0, true), NULL, 0, word_of(3, 0, 0, true), &out), SL_OK);
    cr_assert_eq(out, -3);
}

/* The tail's curve is lifted to touch its first block, or hardly anything would be taken; all points come from there. */
Test(discrete_gaussian, the_tail_behind_the_columns_follows_the_curve)
{
    enum { N = 40000, SIZES = 200 };
    static double expected[SIZES];
    static uint64_t counts[SIZES];
    start(82, 4000);
    const uint64_t begin = gaussian->n_columns;
    memory.scale = (uint64_t)exp((double)(begin * begin) / 8000 - 1e-9);

    int64_t n_taken = 0, signs = 0;
    for (int i = 0; i < N; i++) {
        int64_t out = 0;
        if (noise.at >= BATCH) sl_noise_word(&noise);
        noise.words[noise.at] = word_of(GAUSSIAN_TAIL, (uint64_t)i % GAUSSIAN_TAIL_AREA, 0, i / GAUSSIAN_TAIL_AREA % 2);
        cr_assert_eq(sl_discrete_gaussian_add(gaussian, &noise, &out, 1), SL_OK);
        const uint64_t size = (uint64_t)llabs(out);
        if (size < begin) continue;                          /* thrown again */
        n_taken++;
        signs += out > 0 ? 1 : -1;
        counts[size - begin < SIZES ? size - begin : SIZES - 1]++;
    }

    double chi_square = 0, wanted = 0, seen = 0, sum = 0;
    int n_bins = 0;
    for (int i = 0; i < SIZES; i++) {
        const double x = (double)begin + i;
        expected[i] = N * (double)memory.scale * exp(-x * x / 8000) / GAUSSIAN_TAIL_AREA;
        sum += expected[i];
        wanted += expected[i];
        seen += (double)counts[i];
        if (wanted < 10) continue;
        chi_square += (seen - wanted) * (seen - wanted) / wanted;
        n_bins++;
        wanted = seen = 0;
    }
    cr_assert_gt(n_bins, 20);
    cr_assert_lt(fabs(chi_square - n_bins) / sqrt(2.0 * n_bins), 4);
    cr_assert_lt(fabs((double)n_taken - sum), 4 * sqrt(sum));
    cr_assert_lt(fabs((double)signs), 4 * sqrt((double)n_taken));
}

Test(discrete_gaussian, the_rest_of_the_area_is_thrown_again_and_a_tail_without_end_is_an_error)
{
    start(83, UINT64_C(1) << 40);
    int64_t out;
    const uint64_t seven = word_of(0, 0, 7, false);
    cr_assert_eq(sample_of(word_of(GAUSSIAN_TAIL, GAUSSIAN_TAIL_AREA, 0, false), NULL, 0, seven, &out), SL_OK);
    cr_assert_eq(out, 7);
    cr_assert_eq(noise.at, 2);
    cr_assert_eq(sample_of(word_of(GAUSSIAN_TAIL, GAUSSIAN_TAIL_AREA - 1, 0, false), NULL, 0, 0, &out), SL_ERROR_RNG);
}

static void repeat_byte(void *context, uint8_t *bytes, size_t size)
{
    memset(bytes, *(const uint8_t *)context, size);
}

Test(discrete_gaussian, a_stuck_stream_ends_with_samples_or_an_error_whatever_it_is_stuck_at)
{
    static const uint64_t variances[] = {1, 10, 100, UINT64_C(1) << 40, SL_SIGMA2_MAX};
    static int64_t out[64];
    for (int v = 0; v < 5; v++) {
        start(90, variances[v]);
        for (int value = 0; value < 256; value++) {
            uint8_t byte = (uint8_t)value;
            sl_noise_init_from(&noise, repeat_byte, &byte);
            memset(out, 0, sizeof out);
            const int error = sl_discrete_gaussian_add(gaussian, &noise, out, 64);
            cr_assert(error == SL_OK || error == SL_ERROR_RNG, "byte %d", value);
        }
    }
}

Test(discrete_gaussian, samples_are_added_and_one_call_gives_what_many_give)
{
    enum { N = 50000 };
    static int64_t at_once[N], one_by_one[N];
    static const uint64_t variances[] = {1, UINT64_C(1) << 40};
    for (int v = 0; v < 2; v++) {
        start(91, variances[v]);
        draw(at_once, N);
        start(91, variances[v]);
        for (int i = 0; i < N; i++) {
            one_by_one[i] = 1000 - i;
            cr_assert_eq(sl_discrete_gaussian_add(gaussian, &noise, one_by_one + i, 1), SL_OK);
        }
        for (int i = 0; i < N; i++) cr_assert_eq(one_by_one[i], at_once[i] + 1000 - i);
    }
    cr_assert_eq(sl_discrete_gaussian_add(gaussian, &noise, NULL, 0), SL_OK);
}

/* The same on every machine, by every compiler: no floating point is involved. */
Test(discrete_gaussian, one_key_gives_known_samples)
{
    enum { N = 500000 };
    static int64_t samples[N];
    static const struct {
        uint64_t sigma2;
        int64_t first[6];
        uint64_t hash;
    } known[] = {
        {UINT64_C(1), {0, 0, 0, -1, 2, 0}, UINT64_C(0x5c68d16401aa4276)},
        {UINT64_C(10), {-1, 0, 2, 2, -1, -4}, UINT64_C(0xb9bef9ff8b8f9027)},
        {UINT64_C(1099511627776), {-205017, -97784, 31998, 555717, 542038, -372251}, UINT64_C(0xf1daecc956a63aee)},
        {UINT64_C(3141592653589793), {-4923609, -123829752, 97090814, 23427781, 22398294, -13741595}, UINT64_C(0x933baff90f68d71d)},
        {UINT64_C(72057594037927936), {-51060953, -23166456, 5864702, 136673989, 141935958, -95530523}, UINT64_C(0x75af0e84f6d32d42)},
    };
    for (size_t v = 0; v < sizeof known / sizeof known[0]; v++) {
        start(92, known[v].sigma2);
        draw(samples, N);
        uint64_t hash = UINT64_C(14695981039346656037);
        for (int i = 0; i < N; i++) hash = (hash ^ (uint64_t)samples[i]) * UINT64_C(1099511628211);
        for (int i = 0; i < 6; i++) cr_assert_eq(samples[i], known[v].first[i], "variance %zu: %lld", v, (long long)samples[i]);
        cr_assert_eq(hash, known[v].hash, "variance %zu: %llx", v, (unsigned long long)hash);
    }
}
