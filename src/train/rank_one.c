/* SPDX-License-Identifier: MIT */
#include "train/rank_one.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { NORM_LANES = 8 };                 /* value j is summed in lane j % 8; the lanes are folded in halves */

static void add_rest(const float factors[SL_RANK_ONE_ROWS], const float *const inputs[SL_RANK_ONE_ROWS], uint32_t first, uint32_t n, int32_t *sums,
                     uint64_t squares[SL_RANK_ONE_ROWS])
{
    for (uint32_t r = 0; r < SL_RANK_ONE_ROWS; r++)
        for (uint32_t j = first; j < n; j++) {
            int32_t v = (int32_t)(factors[r] * inputs[r][j]);
            sums[j] += v;
            squares[r] += (uint64_t)((int64_t)v * v);
        }
}

static double fold_rest(double lanes[NORM_LANES], const float *values, uint32_t first, uint32_t n)
{
    for (uint32_t j = first; j < n; j++) lanes[j % NORM_LANES] += (double)values[j] * values[j];
    for (uint32_t half = NORM_LANES / 2; half > 0; half /= 2)
        for (uint32_t l = 0; l < half; l++) lanes[l] += lanes[l + half];
    return lanes[0];
}

static void add_plain(const float factors[SL_RANK_ONE_ROWS], const float *const inputs[SL_RANK_ONE_ROWS], uint32_t n, int32_t *sums,
                      uint64_t squares[SL_RANK_ONE_ROWS])
{
    add_rest(factors, inputs, 0, n, sums, squares);
}

static void carry_rest(int32_t *sums, uint32_t first, uint32_t n, int64_t *totals)
{
    for (uint32_t j = first; j < n; j++) {
        totals[j] += sums[j];
        sums[j] = 0;
    }
}

static void carry_plain(int32_t *sums, uint32_t n, int64_t *totals)
{
    carry_rest(sums, 0, n, totals);
}

static double norm2_plain(const float *values, uint32_t n)
{
    double lanes[NORM_LANES] = {0};
    return fold_rest(lanes, values, 0, n);
}

const struct sl_rank_one sl_rank_one_plain = {.add = add_plain, .carry = carry_plain, .norm2 = norm2_plain};

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2")))

/* Squares of eight 32-bit integers, added up in four lanes of 64 bits: the even ones, then the odd ones moved into their place. */
AVX2 static inline __m256i add_squares(__m256i squares, __m256i v)
{
    __m256i odd = _mm256_srli_epi64(v, 32);
    return _mm256_add_epi64(squares, _mm256_add_epi64(_mm256_mul_epi32(v, v), _mm256_mul_epi32(odd, odd)));
}

AVX2 static inline __m256i truncated(__m256 factor, const float *inputs)
{
    return _mm256_cvttps_epi32(_mm256_mul_ps(factor, _mm256_loadu_ps(inputs)));
}

AVX2 static inline uint64_t sum_of_lanes(__m256i squares)
{
    uint64_t lanes[4];
    _mm256_storeu_si256((__m256i *)lanes, squares);
    return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

AVX2 static void add_avx2(const float factors[SL_RANK_ONE_ROWS], const float *const inputs[SL_RANK_ONE_ROWS], uint32_t n, int32_t *sums,
                          uint64_t squares[SL_RANK_ONE_ROWS])
{
    __m256 f0 = _mm256_set1_ps(factors[0]), f1 = _mm256_set1_ps(factors[1]), f2 = _mm256_set1_ps(factors[2]), f3 = _mm256_set1_ps(factors[3]);
    __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
    uint32_t whole = n - n % 8;
    for (uint32_t j = 0; j < whole; j += 8) {
        __m256i *at = (__m256i *)(sums + j);
        __m256i v0 = truncated(f0, inputs[0] + j), v1 = truncated(f1, inputs[1] + j), v2 = truncated(f2, inputs[2] + j), v3 = truncated(f3, inputs[3] + j);
        __m256i v = _mm256_add_epi32(_mm256_add_epi32(v0, v1), _mm256_add_epi32(v2, v3));
        _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), v));
        s0 = add_squares(s0, v0), s1 = add_squares(s1, v1), s2 = add_squares(s2, v2), s3 = add_squares(s3, v3);
    }
    squares[0] += sum_of_lanes(s0), squares[1] += sum_of_lanes(s1), squares[2] += sum_of_lanes(s2), squares[3] += sum_of_lanes(s3);
    add_rest(factors, inputs, whole, n, sums, squares);
}

AVX2 static void carry_avx2(int32_t *sums, uint32_t n, int64_t *totals)
{
    uint32_t whole = n - n % 4;
    for (uint32_t j = 0; j < whole; j += 4) {
        __m128i *from = (__m128i *)(sums + j);
        __m256i *to = (__m256i *)(totals + j);
        _mm256_storeu_si256(to, _mm256_add_epi64(_mm256_loadu_si256(to), _mm256_cvtepi32_epi64(_mm_loadu_si128(from))));
        _mm_storeu_si128(from, _mm_setzero_si128());
    }
    carry_rest(sums, whole, n, totals);
}

AVX2 static double norm2_avx2(const float *values, uint32_t n)
{
    __m256d low = _mm256_setzero_pd(), high = low;
    uint32_t whole = n - n % NORM_LANES;
    for (uint32_t j = 0; j < whole; j += NORM_LANES) {
        __m256d a = _mm256_cvtps_pd(_mm_loadu_ps(values + j)), b = _mm256_cvtps_pd(_mm_loadu_ps(values + j + 4));
        low = _mm256_add_pd(low, _mm256_mul_pd(a, a)), high = _mm256_add_pd(high, _mm256_mul_pd(b, b));
    }
    double lanes[NORM_LANES];
    _mm256_storeu_pd(lanes, low);
    _mm256_storeu_pd(lanes + 4, high);
    return fold_rest(lanes, values, whole, n);
}

static const struct sl_rank_one by_avx2 = {.add = add_avx2, .carry = carry_avx2, .norm2 = norm2_avx2};

const struct sl_rank_one *sl_rank_one_fastest(void)
{
    return __builtin_cpu_supports("avx2") ? &by_avx2 : &sl_rank_one_plain;
}

#else

const struct sl_rank_one *sl_rank_one_fastest(void)
{
    return &sl_rank_one_plain;
}

#endif
