/* SPDX-License-Identifier: MIT */
#ifndef SL_TRAIN_OWN_ROWS_H
#define SL_TRAIN_OWN_ROWS_H

#include <stdint.h>

#include "base/rng.h"
#include "data/dataset.h"
#include "starling/arena.h"
#include "starling/config.h"
#include "starling/model.h"

/* What all trainers have in common: the rows of a node, which of them are kept back for scoring, and the buffers through which a model sees them. */

struct sl_own_rows {
    const struct sl_model *model;
    const struct sl_dataset *data;
    struct sl_shape shape;
    uint32_t dim;

    uint32_t *rows;                      /* of data: the kept-back ones, then those to train on */
    uint32_t n_kept, n_training;

    float *features, *labels;            /* buffer_rows rows, gathered from all over the data */
    uint32_t buffer_rows;
    void *scratch;                       /* of the model */
    size_t scratch_size;
};

/* Everything but the memory: n_training rows to train on, n_kept to score, at most batch_rows shown at once for training. */
struct sl_own_rows sl_own_rows_plan(const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data, uint32_t n_kept,
                                    uint32_t n_training, uint32_t batch_rows);

/* Memory for the list of rows, and for the buffers. Over a counting arena nothing is there afterwards, but the size is known. */
void sl_own_rows_take_list(struct sl_own_rows *own, struct sl_arena *arena);
void sl_own_rows_take_buffers(struct sl_own_rows *own, struct sl_arena *arena);

/* Keeps back exactly n_kept rows, chosen at random. */
void sl_own_rows_choose(struct sl_own_rows *own, const uint32_t *rows, const uint8_t seed[32]);

/* Keeps back each row with this probability by a coin of its own, which depends on a secret key and on what the row holds, and on nothing else: one row more
 * or less, anywhere in the file, changes the role of no other. */
void sl_own_rows_toss(struct sl_own_rows *own, const uint32_t *rows, double share, const uint8_t key[32]);

/* SL_ERROR_MISMATCH, SL_ERROR_OUT_OF_RANGE: why the model cannot learn from these rows. */
int sl_own_rows_check(const struct sl_own_rows *own);

/* At most buffer_rows rows, one after the other in the buffers. */
struct sl_batch sl_own_rows_gather(const struct sl_own_rows *own, const uint32_t *rows, uint32_t n_rows);

/* The rows to train on in a fresh random order, batch after batch, shuffled anew when used up. The last batch of a pass is shorter when the rows do not divide
 * evenly, so every pass sees each row once. `order`: room for n_training numbers. */
struct sl_pass {
    const struct sl_own_rows *own;
    uint32_t *order;
    uint32_t batch_rows, next;
    struct sl_rng rng;
};

struct sl_pass sl_pass_start(const struct sl_own_rows *own, uint32_t *order, uint32_t batch_rows, const uint8_t seed[32]);
struct sl_batch sl_pass_next(struct sl_pass *pass);          /* n_training must not be 0 */

struct sl_score sl_own_rows_score(const struct sl_own_rows *own, const float *weights);          /* on the kept-back rows */

/* Processor time of the calling thread. */
uint64_t sl_cpu_now_us(void);

#endif
