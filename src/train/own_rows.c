/* SPDX-License-Identifier: MIT */
#include "train/own_rows.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/rng.h"
#include "starling/error.h"

enum { SCORE_ROWS_MAX = 256 };          /* kept-back rows scored at once: enough for BLAS, little for a process of a thousand trainers */

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

struct sl_own_rows sl_own_rows_plan(const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data, uint32_t n_kept,
                                    uint32_t n_training, uint32_t batch_rows)
{
    struct sl_own_rows own = {
        .model = model, .data = data, .shape = config->shape, .dim = model->dim(&config->shape),
        .n_kept = n_kept, .n_training = n_training,
    };
    uint32_t score_rows = smaller(n_kept, SCORE_ROWS_MAX);
    own.buffer_rows = batch_rows > score_rows ? batch_rows : score_rows;
    own.scratch_size = model->scratch_size(&own.shape, own.buffer_rows);
    return own;
}

void sl_own_rows_take_list(struct sl_own_rows *own, struct sl_arena *arena)
{
    own->rows = SL_TAKE(arena, uint32_t, (size_t)own->n_kept + own->n_training);
}

void sl_own_rows_take_buffers(struct sl_own_rows *own, struct sl_arena *arena)
{
    own->features = SL_TAKE(arena, float, (size_t)own->buffer_rows * own->data->n_features);
    own->labels = SL_TAKE(arena, float, own->buffer_rows);
    own->scratch = sl_arena_take(arena, own->scratch_size, 1, alignof(max_align_t));
}

/* A random choice of n_kept rows comes to lie in front. */
void sl_own_rows_choose(struct sl_own_rows *own, const uint32_t *rows, const uint8_t seed[32])
{
    struct sl_rng root, rng;
    sl_rng_init(&root, seed);
    rng = sl_rng_fork(&root, "holdback", 0);

    uint32_t n_rows = own->n_kept + own->n_training;
    for (uint32_t i = 0; i < n_rows; i++) {
        assert(rows[i] < own->data->n_rows);
        own->rows[i] = rows[i];
    }
    sl_rng_shuffle(&rng, own->rows, n_rows);
}

/* Uniform in [0, 1), by what the row holds. */
static double coin_of(const struct sl_own_rows *own, uint32_t row, const uint8_t key[32])
{
    struct sl_hash hash;
    uint8_t bytes[32];
    uint64_t word;
    size_t n_features = own->data->n_features;
    sl_hash_keyed_init(&hash, "holdback", key);
    sl_hash_bytes(&hash, own->data->features + row * n_features, n_features * sizeof(float));
    sl_hash_bytes(&hash, own->data->labels + row, sizeof(float));
    sl_hash_final(&hash, bytes);
    memcpy(&word, bytes, sizeof word);
    return (double)(word >> 11) * 0x1p-53;
}

/* Kept-back rows fill the list from its front, the others from its end; these are then put into the order in which they were given. */
void sl_own_rows_toss(struct sl_own_rows *own, const uint32_t *rows, double share, const uint8_t key[32])
{
    uint32_t n_rows = own->n_kept + own->n_training, n_kept = 0, n_training = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        assert(rows[i] < own->data->n_rows);
        bool is_kept = coin_of(own, rows[i], key) < share;
        own->rows[is_kept ? n_kept++ : n_rows - ++n_training] = rows[i];
    }
    for (uint32_t i = n_kept, j = n_rows; i + 1 < j; i++) {
        uint32_t last = own->rows[--j];
        own->rows[j] = own->rows[i];
        own->rows[i] = last;
    }
    own->n_kept = n_kept;
    own->n_training = n_training;
}

int sl_own_rows_check(const struct sl_own_rows *own)
{
    if (own->data->n_features != own->shape.n_features) return SL_ERROR_MISMATCH;
    if (own->model->task != SL_TASK_CLASSIFY) return SL_OK;

    for (uint32_t i = 0; i < own->n_kept + own->n_training; i++) {
        float label = own->data->labels[own->rows[i]];
        bool is_class = label >= 0 && label < (float)own->shape.n_outputs;
        if (!is_class) return SL_ERROR_OUT_OF_RANGE;
    }
    return SL_OK;
}

struct sl_batch sl_own_rows_gather(const struct sl_own_rows *own, const uint32_t *rows, uint32_t n_rows)
{
    assert(n_rows <= own->buffer_rows);

    size_t n_features = own->data->n_features;
    for (uint32_t i = 0; i < n_rows; i++) {
        memcpy(own->features + i * n_features, own->data->features + rows[i] * n_features, n_features * sizeof(float));
        own->labels[i] = own->data->labels[rows[i]];
    }
    return (struct sl_batch){.features = own->features, .labels = own->labels, .n_rows = n_rows, .n_features = own->data->n_features};
}

struct sl_pass sl_pass_start(const struct sl_own_rows *own, uint32_t *order, uint32_t batch_rows, const uint8_t seed[32])
{
    struct sl_rng root;
    sl_rng_init(&root, seed);
    memcpy(order, own->rows + own->n_kept, own->n_training * sizeof *order);
    return (struct sl_pass){.own = own, .order = order, .batch_rows = batch_rows, .next = own->n_training, .rng = sl_rng_fork(&root, "order", 0)};
}

struct sl_batch sl_pass_next(struct sl_pass *pass)
{
    uint32_t n_rows = pass->own->n_training;
    if (pass->next == n_rows) {
        sl_rng_shuffle(&pass->rng, pass->order, n_rows);
        pass->next = 0;
    }
    uint32_t first = pass->next;
    pass->next += smaller(n_rows - first, pass->batch_rows);
    return sl_own_rows_gather(pass->own, pass->order + first, pass->next - first);
}

struct sl_score sl_own_rows_score(const struct sl_own_rows *own, const float *weights)
{
    struct sl_score sum = {0};
    double squares = 0;
    for (uint32_t first = 0; first < own->n_kept; first += own->buffer_rows) {
        struct sl_batch part = sl_own_rows_gather(own, own->rows + first, smaller(own->n_kept - first, own->buffer_rows));
        struct sl_arena scratch = sl_arena_over(own->scratch, own->scratch_size);
        struct sl_score score;
        own->model->evaluate(&own->shape, weights, &part, &scratch, &score);
        sum.loss += score.loss * part.n_rows;
        sum.accuracy += score.accuracy * part.n_rows;
        squares += score.rmse * score.rmse * part.n_rows;
    }
    if (own->n_kept == 0) return sum;

    return (struct sl_score){
        .loss = sum.loss / own->n_kept, .accuracy = sum.accuracy / own->n_kept, .rmse = sqrt(squares / own->n_kept), .n_rows = own->n_kept};
}

uint64_t sl_cpu_now_us(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return 0;

    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
