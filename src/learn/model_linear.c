/* SPDX-License-Identifier: MIT */
#include "learn/models.h"

#include <assert.h>
#include <cblas.h>
#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "learn/layer.h"
#include "starling/error.h"

/* The models of one affine layer: softmax regression and ridge regression. They differ in what stands on top of the layer. */

enum { FIT_BLOCK_ROWS = 64 };          /* rows widened to double at once: enough for dsyrk to work in its own blocks */

static struct sl_layer layer_of(const struct sl_shape *shape)
{
    return (struct sl_layer){.n_inputs = shape->n_features, .n_outputs = shape->n_outputs};
}

/* BLAS counts in int; a vector beyond it is refused. */
static uint32_t dim_of(const struct sl_shape *shape)
{
    uint64_t dim = sl_layer_dim(layer_of(shape));
    return shape->n_features > 0 && shape->n_hidden == 0 && dim <= INT32_MAX ? (uint32_t)dim : 0;
}

static uint32_t softmax_dim(const struct sl_shape *shape)
{
    return shape->n_outputs >= 2 ? dim_of(shape) : 0;
}

static uint32_t ridge_dim(const struct sl_shape *shape)
{
    return shape->n_outputs == 1 ? dim_of(shape) : 0;
}

static size_t softmax_scratch_size(const struct sl_shape *shape, uint32_t n_rows_max)
{
    return sl_rows_size(n_rows_max > 0 ? n_rows_max : 1, shape->n_outputs, sizeof(float));
}

/* The fit needs most: the normal equations, the right side, and a block of rows with their residuals, all in double. */
static size_t ridge_scratch_size(const struct sl_shape *shape, uint32_t n_rows_max)
{
    uint64_t dim = (uint64_t)shape->n_features + 1;
    uint32_t block_rows = n_rows_max < FIT_BLOCK_ROWS ? n_rows_max : FIT_BLOCK_ROWS;
    size_t fit = sl_rows_size(dim + 2 + block_rows, dim + 1, sizeof(double)), score = softmax_scratch_size(shape, n_rows_max);
    return fit > score ? fit : score;
}

static void init_to_zero(const struct sl_shape *shape, const uint8_t seed[32], float *weights)
{
    (void)seed;
    memset(weights, 0, dim_of(shape) * sizeof *weights);
}

static float *take_outputs(const struct sl_shape *shape, uint32_t n_rows, struct sl_arena *scratch)
{
    float *outputs = SL_TAKE(scratch, float, (size_t)n_rows * shape->n_outputs);
    assert(outputs);          /* less scratch than scratch_size asks for */
    return outputs;
}

static double softmax_gradient(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch,
                               float *gradient)
{
    assert(batch->n_rows > 0 && batch->n_features == shape->n_features);

    size_t mark = scratch->used;
    float *outputs = take_outputs(shape, batch->n_rows, scratch);

    sl_layer_forward(layer_of(shape), weights, batch->features, batch->n_rows, outputs);
    double loss = sl_cross_entropy_derive(outputs, batch->labels, batch->n_rows, shape->n_outputs);
    sl_layer_gradient(layer_of(shape), batch->features, outputs, batch->n_rows, gradient);

    scratch->used = mark;
    return loss / batch->n_rows;
}

/* One layer, whose outputs hold the derivatives already. */
static uint32_t whole_gradient(const struct sl_shape *shape, const struct sl_batch *batch, const float *by_outputs,
                               struct sl_layer_gradients out[SL_LAYERS_MAX])
{
    out[0] = (struct sl_layer_gradients){
        .n_outputs = shape->n_outputs, .n_inputs = shape->n_features, .by_outputs = by_outputs, .inputs = batch->features};
    return 1;
}

static uint32_t softmax_row_gradients(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch,
                                      struct sl_layer_gradients out[SL_LAYERS_MAX])
{
    assert(batch->n_features == shape->n_features);

    float *outputs = take_outputs(shape, batch->n_rows, scratch);
    sl_layer_forward_alone(layer_of(shape), weights, batch->features, batch->n_rows, outputs);
    for (uint32_t row = 0; row < batch->n_rows; row++)
        sl_cross_entropy_derive(outputs + (size_t)row * shape->n_outputs, batch->labels + row, 1, shape->n_outputs);
    return whole_gradient(shape, batch, outputs, out);
}

static void softmax_evaluate(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch,
                             struct sl_score *out)
{
    assert(batch->n_features == shape->n_features);

    size_t mark = scratch->used;
    uint32_t block_rows = sl_rows_that_fit(scratch, batch->n_rows, shape->n_outputs, sizeof(float));
    float *outputs = take_outputs(shape, block_rows, scratch);

    double loss = 0;
    uint32_t n_right = 0;
    for (uint32_t row = 0; row < batch->n_rows; row += block_rows) {
        struct sl_batch part = sl_batch_part(batch, row, block_rows);
        sl_layer_forward(layer_of(shape), weights, part.features, part.n_rows, outputs);
        loss += sl_cross_entropy(outputs, part.labels, part.n_rows, shape->n_outputs);
        n_right += sl_count_right(outputs, part.labels, part.n_rows, shape->n_outputs);
    }

    scratch->used = mark;
    *out = (struct sl_score){.n_rows = batch->n_rows};
    if (batch->n_rows == 0) return;

    out->loss = loss / batch->n_rows;
    out->accuracy = (double)n_right / batch->n_rows;
}

/* Sum of half the squared errors; the predictions are replaced by the derivative of the mean. */
static double half_squares(float *predictions, const float *labels, uint32_t n_rows)
{
    double loss = 0;
    for (uint32_t row = 0; row < n_rows; row++) {
        double residual = (double)predictions[row] - labels[row];
        loss += residual * residual / 2;
        predictions[row] = (float)(residual / n_rows);
    }
    return loss;
}

static double ridge_gradient(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch,
                             float *gradient)
{
    assert(batch->n_rows > 0 && batch->n_features == shape->n_features);

    size_t mark = scratch->used;
    float *predictions = take_outputs(shape, batch->n_rows, scratch);

    sl_layer_forward(layer_of(shape), weights, batch->features, batch->n_rows, predictions);
    double loss = half_squares(predictions, batch->labels, batch->n_rows);
    sl_layer_gradient(layer_of(shape), batch->features, predictions, batch->n_rows, gradient);

    scratch->used = mark;
    return loss / batch->n_rows;
}

static uint32_t ridge_row_gradients(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch,
                                    struct sl_layer_gradients out[SL_LAYERS_MAX])
{
    assert(batch->n_features == shape->n_features);

    float *residuals = take_outputs(shape, batch->n_rows, scratch);
    sl_layer_forward_alone(layer_of(shape), weights, batch->features, batch->n_rows, residuals);
    for (uint32_t row = 0; row < batch->n_rows; row++) half_squares(residuals + row, batch->labels + row, 1);
    return whole_gradient(shape, batch, residuals, out);
}

static void ridge_evaluate(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch,
                           struct sl_score *out)
{
    assert(batch->n_features == shape->n_features);

    size_t mark = scratch->used;
    uint32_t block_rows = sl_rows_that_fit(scratch, batch->n_rows, 1, sizeof(float));
    float *predictions = take_outputs(shape, block_rows, scratch);

    double loss = 0;
    for (uint32_t row = 0; row < batch->n_rows; row += block_rows) {
        struct sl_batch part = sl_batch_part(batch, row, block_rows);
        sl_layer_forward(layer_of(shape), weights, part.features, part.n_rows, predictions);
        loss += half_squares(predictions, part.labels, part.n_rows);
    }

    scratch->used = mark;
    *out = (struct sl_score){.n_rows = batch->n_rows};
    if (batch->n_rows == 0) return;

    out->loss = loss / batch->n_rows;
    out->rmse = sqrt(2 * out->loss);
}

/* The normal equations (X'X/n + lambda I) step = X'(y - X start)/n, column-major, lower triangle. */
struct equations {
    uint32_t dim;                  /* features and the bias, whose feature is always 1 */
    uint32_t block_rows;
    double *matrix, *right;        /* dim x dim; dim */
    double *block, *residual;      /* block_rows columns of dim; block_rows */
};

static bool take_equations(struct equations *equations, uint32_t dim, uint32_t n_rows, struct sl_arena *scratch)
{
    double *matrix = SL_TAKE(scratch, double, (size_t)dim * dim), *right = SL_TAKE(scratch, double, dim);
    size_t row_size = ((size_t)dim + 1) * sizeof(double);
    if (!matrix || !right || scratch->size - scratch->used < row_size) return false;

    size_t n_fit = (scratch->size - scratch->used) / row_size;
    uint32_t block_rows = n_rows < FIT_BLOCK_ROWS ? n_rows : FIT_BLOCK_ROWS;
    if (n_fit < block_rows) block_rows = (uint32_t)n_fit;

    double *block = SL_TAKE(scratch, double, (size_t)block_rows * dim), *residual = SL_TAKE(scratch, double, block_rows);
    *equations = (struct equations){dim, block_rows, matrix, right, block, residual};
    return block && residual;
}

static void widen(const struct equations *equations, const struct sl_batch *part, const float *start)
{
    for (uint32_t row = 0; row < part->n_rows; row++) {
        const float *features = part->features + (size_t)row * part->n_features;
        double *to = equations->block + (size_t)row * equations->dim, prediction = start[part->n_features];
        for (uint32_t j = 0; j < part->n_features; j++) {
            to[j] = features[j];
            prediction += to[j] * start[j];
        }
        to[part->n_features] = 1;
        equations->residual[row] = part->labels[row] - prediction;
    }
}

static void add_up(const struct equations *equations, const struct sl_batch *batch, const float *start, double lambda)
{
    int dim = (int)equations->dim;
    double weight = 1.0 / batch->n_rows;
    for (uint32_t first = 0; first < batch->n_rows; first += equations->block_rows) {
        struct sl_batch part = sl_batch_part(batch, first, equations->block_rows);
        int n_rows = (int)part.n_rows;
        widen(equations, &part, start);
        cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, dim, n_rows, weight, equations->block, dim, 1, equations->matrix, dim);
        cblas_dgemv(CblasColMajor, CblasNoTrans, dim, n_rows, weight, equations->block, dim, equations->residual, 1, 1,
                    equations->right, 1);
    }

    for (size_t j = 0; j < equations->dim; j++) equations->matrix[j * equations->dim + j] += lambda;
}

/* A column that others make up leaves only rounding as its pivot: small against the column's own entry in the matrix. */
static bool factor_is_regular(const struct equations *equations)
{
    size_t dim = equations->dim;
    for (size_t j = 0; j < dim; j++) {
        double pivot = equations->matrix[j * dim + j], entry = 0;
        for (size_t k = 0; k <= j; k++) entry += equations->matrix[k * dim + j] * equations->matrix[k * dim + j];

        bool stands_out = pivot * pivot > 4 * (double)dim * DBL_EPSILON * entry;
        if (!stands_out) return false;
    }
    return true;
}

/* Leaves the step in `right`. */
static bool solve(const struct equations *equations)
{
    int dim = (int)equations->dim;
    if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', dim, equations->matrix, dim) != 0 || !factor_is_regular(equations)) return false;

    return LAPACKE_dpotrs_work(LAPACK_COL_MAJOR, 'L', dim, 1, equations->matrix, dim, equations->right, dim) == 0;
}

static bool add_step(float *weights, const double *step, uint32_t dim)
{
    for (uint32_t j = 0; j < dim; j++)
        if (!isfinite((float)(weights[j] + step[j]))) return false;

    for (uint32_t j = 0; j < dim; j++) weights[j] = (float)(weights[j] + step[j]);
    return true;
}

/* The proximal step of federated least squares. A system without a single solution (possible when lambda is 0) counts as not finite. */
static int ridge_fit(const struct sl_shape *shape, float *weights, const struct sl_batch *batch, double lambda, struct sl_arena *scratch)
{
    assert(batch->n_rows > 0 && batch->n_features == shape->n_features && lambda >= 0);

    size_t mark = scratch->used;
    struct equations equations;
    int error = SL_ERROR_NO_MEMORY;
    if (!take_equations(&equations, shape->n_features + 1, batch->n_rows, scratch)) goto out;

    add_up(&equations, batch, weights, lambda);
    error = solve(&equations) && add_step(weights, equations.right, equations.dim) ? SL_OK : SL_ERROR_NOT_FINITE;
out:
    scratch->used = mark;
    return error;
}

const struct sl_model sl_model_softmax = {
    .name = "softmax",
    .summary = "softmax regression: one linear layer, cross-entropy",
    .task = SL_TASK_CLASSIFY,
    .dim = softmax_dim, .scratch_size = softmax_scratch_size, .init = init_to_zero,
    .gradient = softmax_gradient, .evaluate = softmax_evaluate, .row_gradients = softmax_row_gradients,
};

const struct sl_model sl_model_ridge = {
    .name = "ridge",
    .summary = "linear regression with a closed-form pull towards the shared model",
    .task = SL_TASK_REGRESS,
    .dim = ridge_dim, .scratch_size = ridge_scratch_size, .init = init_to_zero,
    .gradient = ridge_gradient, .evaluate = ridge_evaluate, .fit = ridge_fit, .row_gradients = ridge_row_gradients,
};
