/* SPDX-License-Identifier: MIT */
/* What an audit adds to the loss of a cohort's release: the algebra behind the charge, and how far random projections stray. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/rng.h"
#include "privacy/budget.h"

/* ---- small linear algebra ---- */

enum { N = 76 };                                 /* 3 sketches of 4 numbers, and a sum of 64 */

/* Eigenvalues and vectors of a symmetric matrix, by Jacobi's rotations: a becomes diagonal, column j of v belongs to a[j][j]. */
static void rotate(double a[N][N], double v[N][N], int p, int q)
{
    double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]), t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (int i = 0; i < N; i++) {
        double x = a[i][p], y = a[i][q];
        a[i][p] = c * x - s * y, a[i][q] = s * x + c * y;
        x = v[i][p], y = v[i][q];
        v[i][p] = c * x - s * y, v[i][q] = s * x + c * y;
    }
    for (int i = 0; i < N; i++) {
        double x = a[p][i], y = a[q][i];
        a[p][i] = c * x - s * y, a[q][i] = s * x + c * y;
    }
}

static void diagonalise(double a[N][N], double v[N][N])
{
    memset(v, 0, sizeof(double[N][N]));
    for (int i = 0; i < N; i++) v[i][i] = 1;
    for (int sweep = 0; sweep < 30; sweep++)
        for (int p = 0; p < N; p++)
            for (int q = p + 1; q < N; q++)
                if (fabs(a[p][q]) > 1e-14) rotate(a, v, p, q);
}

/* Squared length of `shift` under the pseudo-inverse of the covariance. What lies outside its range would tell all: it must be nothing. */
static double mahalanobis(double covariance[N][N], const double shift[N])
{
    static double v[N][N];
    double sum = 0;
    diagonalise(covariance, v);
    for (int j = 0; j < N; j++) {
        double part = 0;
        for (int i = 0; i < N; i++) part += v[i][j] * shift[i];
        if (covariance[j][j] > 1e-9) sum += part * part / covariance[j][j];
        else cr_assert(fabs(part) < 1e-9, "the shift leaves the range of the noise");
    }
    return sum;
}

/* x^T G^-1 x for a positive definite G of n rows, by Cholesky; G is used up. */
static double inverse_form(double *g, int n, double *x)
{
    double sum = 0;
    for (int j = 0; j < n; j++) {
        for (int k = 0; k < j; k++) g[j * n + j] -= g[j * n + k] * g[j * n + k];
        g[j * n + j] = sqrt(g[j * n + j]);
        for (int i = j + 1; i < n; i++) {
            for (int k = 0; k < j; k++) g[i * n + j] -= g[i * n + k] * g[j * n + k];
            g[i * n + j] /= g[j * n + j];
        }
        for (int k = 0; k < j; k++) x[j] -= g[j * n + k] * x[k];
        x[j] /= g[j * n + j];
        sum += x[j] * x[j];
    }
    return sum;
}

/* ---- what sketches and sum tell together ---- */

enum { DIM = 64, ROWS = 4, HONEST = 3, SKETCHES = HONEST * ROWS };

static int entry(struct sl_rng *rng)
{
    static const int values[] = {-1, 0, 0, 1};
    return values[sl_rng_below(rng, 4)];
}

/* Each of the h honest vectors has noise of variance s2 in every coordinate; told are A times each of them, and their sum. */
static void fill_covariance(int a[ROWS][DIM], double s2, double out[N][N])
{
    memset(out, 0, sizeof(double[N][N]));
    for (int m = 0; m < HONEST; m++) {
        for (int r = 0; r < ROWS; r++) {
            for (int s = 0; s < ROWS; s++)
                for (int j = 0; j < DIM; j++) out[m * ROWS + r][m * ROWS + s] += s2 * a[r][j] * a[s][j];
            for (int j = 0; j < DIM; j++) out[m * ROWS + r][SKETCHES + j] = out[SKETCHES + j][m * ROWS + r] = s2 * a[r][j];
        }
    }
    for (int j = 0; j < DIM; j++) out[SKETCHES + j][SKETCHES + j] = HONEST * s2;
}

Test(audit_charge, sketches_and_sum_together_tell_of_a_difference_what_the_formula_says)
{
    static double covariance[N][N];
    const double s2 = 2.25;
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){74});
    for (int round = 0; round < 3; round++) {
        int a[ROWS][DIM];
        double d[DIM], shift[N] = {0}, gram[ROWS * ROWS] = {0}, projected[ROWS] = {0}, length = 0;
        for (int j = 0; j < DIM; j++) {
            d[j] = sl_rng_uniform(&rng) - .5;
            length += d[j] * d[j];
            for (int r = 0; r < ROWS; r++) a[r][j] = entry(&rng), projected[r] += a[r][j] * d[j];
        }
        for (int r = 0; r < ROWS; r++)
            for (int s = 0; s < ROWS; s++)
                for (int j = 0; j < DIM; j++) gram[r * ROWS + s] += a[r][j] * a[s][j];

        /* One member's vector differs by d: its sketch by A d, the sum by d. */
        memcpy(shift, projected, sizeof projected);
        memcpy(shift + SKETCHES, d, sizeof d);
        fill_covariance(a, s2, covariance);
        double told = mahalanobis(covariance, shift), inside = inverse_form(gram, ROWS, projected);

        double formula = inside / s2 + (length - inside) / (HONEST * s2);
        cr_assert(fabs(told - formula) <= 1e-9 * formula, "%.15g and %.15g", told, formula);
    }
}

/* ---- how much of a difference a random matrix projects ---- */

enum { WIDE = 4096, WORDS = WIDE / 64, ROWS_MAX = 32, KINDS = 3 };

struct bits { uint64_t plus[WORDS], minus[WORDS]; };        /* a vector with entries -1, 0, 1 */

static int64_t ones(uint64_t word)
{
    word -= word >> 1 & 0x5555555555555555;
    word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
    return (int64_t)(((word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101 >> 56);
}

static int64_t inner(const struct bits *a, const struct bits *b)
{
    int64_t sum = 0;
    for (int i = 0; i < WORDS; i++) {
        sum += ones(a->plus[i] & b->plus[i]) + ones(a->minus[i] & b->minus[i]);
        sum -= ones(a->plus[i] & b->minus[i]) + ones(a->minus[i] & b->plus[i]);
    }
    return sum;
}

/* One coordinate, all of them alike, or random signs. */
static void make_difference(int kind, uint32_t number, const struct bits *random, struct bits *out)
{
    memset(out, 0, sizeof *out);
    if (kind == 0) out->plus[number % WORDS] = UINT64_C(1) << number / WORDS % 64;
    if (kind == 1) memset(out->plus, 0xff, sizeof out->plus);
    for (int i = 0; kind == 2 && i < WORDS; i++) out->plus[i] = random->plus[i], out->minus[i] = ~random->plus[i];
}

/* |P d|^2 / |d|^2, where P projects onto the rows. */
static double projected_part(const struct bits *a, int rows, const double *gram, const struct bits *d)
{
    double g[ROWS_MAX * ROWS_MAX], x[ROWS_MAX];
    memcpy(g, gram, sizeof(double) * (size_t)(rows * rows));
    for (int r = 0; r < rows; r++) x[r] = (double)inner(&a[r], d);
    return inverse_form(g, rows, x) / (double)inner(d, d);
}

/* Matrices as those of sketches, from a stream each; of every kind of difference the mean part, the largest, and how often it is above three times the mean. */
struct strays { double mean[KINDS], largest[KINDS]; uint32_t n_far[KINDS]; };

static struct strays project(int rows, uint32_t n_matrices)
{
    static struct bits a[ROWS_MAX + 1];
    struct strays strays = {0};
    for (uint32_t n = 0; n < n_matrices; n++) {
        uint8_t key[32] = {7, (uint8_t)rows};
        double gram[ROWS_MAX * ROWS_MAX];
        memcpy(key + 8, &n, sizeof n);
        sl_stream(key, a, (size_t)(rows + 1) * sizeof *a);
        for (int r = 0; r < rows; r++)
            for (int s = 0; s <= r; s++) gram[r * rows + s] = gram[s * rows + r] = (double)inner(&a[r], &a[s]);
        for (int kind = 0; kind < KINDS; kind++) {
            struct bits d;
            make_difference(kind, n, &a[rows], &d);
            double part = projected_part(a, rows, gram, &d);
            strays.mean[kind] += part / n_matrices;
            strays.largest[kind] = fmax(strays.largest[kind], part);
            strays.n_far[kind] += part > 3. * rows / WIDE;
        }
    }
    return strays;
}

/* At eight rows about one honest matrix in four hundred passes three times the mean (the tail of a chi-square of 8); at 32 rows none does. None here passes
 * kappa times the mean, which is what the charge allows for. */
static void check_strays(int rows, uint32_t n_matrices)
{
    struct strays strays = project(rows, n_matrices);
    const double mean = (double)rows / WIDE, far = pow(3 * exp(-2), rows / 2.);          /* Chernoff's bound of the tail */
    for (int kind = 0; kind < KINDS; kind++) {
        cr_assert(fabs(strays.mean[kind] / mean - 1) < .02, "%d rows, kind %d: mean %g of %g", rows, kind, strays.mean[kind], mean);
        cr_assert(strays.n_far[kind] <= far * n_matrices, "%d rows, kind %d: %u of %u", rows, kind, strays.n_far[kind], n_matrices);
        cr_assert(strays.largest[kind] < SL_AUDIT_KAPPA * mean, "%d rows, kind %d: %g times the mean", rows, kind, strays.largest[kind] / mean);
    }
}

Test(audit_charge, eight_rows_show_their_share_of_a_difference_and_seldom_much_more)
{
    check_strays(8, 10000);
}

Test(audit_charge, thirty_two_rows_never_show_three_times_their_share)
{
    check_strays(32, getenv("STARLING_LONG") ? 10000 : 2000);
}
