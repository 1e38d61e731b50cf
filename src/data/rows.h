/* SPDX-License-Identifier: MIT */
#ifndef SL_DATA_ROWS_H
#define SL_DATA_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/dataset.h"

/* A dataset while it is being read: rows come one at a time and memory doubles with them. */
struct sl_rows {
    float *features, *labels;
    uint32_t n_rows, capacity, n_features;
    uint32_t n_classes;              /* largest class so far + 1 */
};

/* Makes room for one more row and counts it; its cells are to be written at features + (n_rows - 1) * n_features. SL_ERROR_NO_MEMORY. */
int sl_rows_add(struct sl_rows *rows);

/* Whether `value` is a class number 0 .. SL_CLASSES_MAX-1. */
bool sl_rows_is_class(double value);

/* Sets the label of the newest row; of a classification it must be a class number. */
void sl_rows_set_label(struct sl_rows *rows, enum sl_task task, double value);

/* Hands the rows over to `out` (features, labels, counts; the other fields are cleared). */
void sl_rows_move(struct sl_rows *rows, enum sl_task task, struct sl_dataset *out);

void sl_rows_finish(struct sl_rows *rows);

/* Texts of one column, a row each, to be numbered in sorted order once all are known. */
struct sl_texts {
    char *bytes;                     /* the texts one after the other, zeros between */
    size_t size, capacity;
    uint32_t n_texts;
};

/* SL_ERROR_NO_MEMORY. */
int sl_texts_add(struct sl_texts *texts, const char *text);

/* numbers[row] = place of the row's text among the distinct ones in strcmp() order, for n_texts rows. `names`, where asked for, becomes an array of
 * *n_names texts to be freed one by one. SL_ERROR_NO_MEMORY, and nothing set. */
int sl_texts_number(const struct sl_texts *texts, uint32_t *numbers, uint32_t *n_names, char ***names);

void sl_texts_finish(struct sl_texts *texts);

#endif
