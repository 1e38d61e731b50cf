/* SPDX-License-Identifier: MIT */
#include "sim/stub.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "privacy/discrete_gaussian.h"
#include "starling/error.h"

enum { SCALE = 1 << 20 };        /* the clip norm in integers */

static uint32_t dim_of(const struct sl_shape *shape)
{
    return shape->n_hidden == 0 ? shape->n_features : 0;
}

static size_t scratch_size(const struct sl_shape *shape, uint32_t n_rows_max)
{
    (void)shape;
    (void)n_rows_max;
    return 0;
}

/* dim numbers in [-1, 1) that float32 holds exactly. */
static void fill(const uint8_t seed[32], uint32_t dim, float *out)
{
    struct sl_rng rng;
    sl_rng_init(&rng, seed);
    for (uint32_t j = 0; j < dim; j++) out[j] = (float)((int32_t)(sl_rng_u32(&rng) >> 12) - (1 << 19)) / (float)(1 << 19);
}

static void init(const struct sl_shape *shape, const uint8_t seed[32], float *weights)
{
    fill(seed, dim_of(shape), weights);
}

static double squared_distance(const float *a, const float *b, uint32_t dim)
{
    double sum = 0;
    for (uint32_t j = 0; j < dim; j++) sum += ((double)a[j] - b[j]) * ((double)a[j] - b[j]);
    return sum;
}

static double mean_loss(const float *weights, const struct sl_batch *batch)
{
    double sum = 0;
    for (uint32_t i = 0; i < batch->n_rows; i++) sum += squared_distance(weights, batch->features + (size_t)i * batch->n_features, batch->n_features);
    return batch->n_rows > 0 ? sum / 2 / batch->n_rows : 0;
}

static double gradient(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch, float *out)
{
    (void)scratch;
    for (uint32_t j = 0; j < dim_of(shape); j++) {
        double sum = 0;
        for (uint32_t i = 0; i < batch->n_rows; i++) sum += (double)weights[j] - batch->features[(size_t)i * batch->n_features + j];
        out[j] = batch->n_rows > 0 ? (float)(sum / batch->n_rows) : 0;
    }
    return mean_loss(weights, batch);
}

static void evaluate(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch, struct sl_score *out)
{
    (void)shape;
    (void)scratch;
    double loss = mean_loss(weights, batch);
    *out = (struct sl_score){.loss = loss, .rmse = sqrt(2 * loss), .n_rows = batch->n_rows};
}

bool sl_stub_init(struct sl_stub *stub, uint32_t dim, double step, uint64_t seed, uint32_t node)
{
    assert(step >= 0 && step <= 1);

    *stub = (struct sl_stub){.dim = dim, .step = step, .optimum = calloc(dim, sizeof *stub->optimum)};
    if (!stub->optimum) return false;

    struct sl_hash hash;
    uint8_t key[32];
    sl_hash_init(&hash, "optimum");
    sl_hash_u64(&hash, seed);
    sl_hash_u64(&hash, node);
    sl_hash_final(&hash, key);
    fill(key, dim, stub->optimum);
    return true;
}

void sl_stub_finish(struct sl_stub *stub)
{
    free(stub->optimum);
    stub->optimum = NULL;
}

static bool is_private(const struct sl_job *job)
{
    return job->round.steps > 0;
}

/* Noise for tests, not for privacy: evenly spread in -width .. width, from the job's key. */
static double noise(struct sl_rng *rng, double width)
{
    return width * ((double)sl_rng_u32(rng) / 2147483648.0 - 1);
}

/* Half a thousandth of the noise that was charged, which no cluster would agree under. */
static void train_record(const struct sl_stub *stub, const struct sl_job *job)
{
    struct sl_rng rng;
    double width = sqrt((double)job->round.sigma2) / (double)SCALE / 2000;
    sl_rng_init(&rng, job->noise_key);
    for (uint32_t j = 0; j < stub->dim; j++)
        job->weights[j] = (float)(job->weights[j] + stub->step * ((double)stub->optimum[j] - job->weights[j]) + noise(&rng, width));
}

/* What members owe one another must be there: the exact noise. */
static int add_noise(const struct sl_job *job)
{
    int error = SL_ERROR_NO_MEMORY;
    struct sl_discrete_gaussian *gaussian;
    void *memory = malloc(sl_discrete_gaussian_size());
    struct sl_noise *noise = malloc(sizeof *noise);
    int64_t *sum = calloc(job->n_block, sizeof *sum);
    if (!memory || !noise || !sum) goto out;

    sl_noise_init(noise, job->noise_key);
    error = sl_discrete_gaussian_init(memory, job->round.sigma2, &gaussian);
    if (error == SL_OK) error = sl_discrete_gaussian_add(gaussian, noise, sum, job->n_block);
    for (uint32_t i = 0; i < job->n_block && error == SL_OK; i++) job->release[i] += (int32_t)sum[i];
out:
    free(sum);
    free(noise);
    free(memory);
    return error;
}

/* The way to the optimum on the block, at most of length 1, in integers and noised; the weights come home as they were. */
static int train_node(const struct sl_stub *stub, const struct sl_job *job)
{
    double sum = 0;
    for (uint32_t i = 0; i < job->n_block; i++) {
        double way = stub->step * ((double)stub->optimum[job->block[i]] - job->weights[job->block[i]]);
        sum += way * way;
    }
    double scale = sum > 1 ? SCALE / sqrt(sum) : SCALE;
    for (uint32_t i = 0; i < job->n_block; i++) {
        double way = stub->step * ((double)stub->optimum[job->block[i]] - job->weights[job->block[i]]);
        job->release[i] = (int32_t)(way * scale);
    }
    return add_noise(job);
}

static int train(const struct sl_stub *stub, const struct sl_job *job)
{
    if (job->release) return train_node(stub, job);
    if (is_private(job)) train_record(stub, job);
    else for (uint32_t j = 0; j < stub->dim; j++) job->weights[j] = (float)(job->weights[j] + stub->step * ((double)stub->optimum[j] - job->weights[j]));
    return SL_OK;
}

static void run(void *context, const struct sl_job *job, struct sl_job_result *out)
{
    const struct sl_stub *stub = context;
    assert(job->dim == stub->dim);

    double loss = is_private(job) ? 0 : squared_distance(job->weights, stub->optimum, stub->dim) / 2;          /* nothing is told of private data */
    *out = (struct sl_job_result){.number = job->number, .error = SL_OK, .n_rows = 1, .loss = loss};
    if (!is_private(job)) out->own = (struct sl_score){.loss = loss, .rmse = sqrt(2 * loss), .n_rows = 1};
    if (job->type != SL_JOB_TRAIN) return;

    out->n_steps = is_private(job) ? job->round.steps : 1;
    out->error = train(stub, job);
}

struct sl_trainer sl_stub_trainer(struct sl_stub *stub)
{
    return (struct sl_trainer){.context = stub, .run = run};
}

const struct sl_model sl_model_stub = {
    .name = "stub", .summary = "half the squared distance to a known optimum per node; no data",
    .task = SL_TASK_REGRESS,
    .dim = dim_of, .scratch_size = scratch_size, .init = init, .gradient = gradient, .evaluate = evaluate,
};
