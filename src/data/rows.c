/* SPDX-License-Identifier: MIT */
#include "data/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/source.h"
#include "starling/error.h"

enum { TEXT_SIZE_AT_START = 256 };

static int compare_texts(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

/* The addresses of all texts, in row order. */
static void list_texts(const struct sl_texts *texts, const char **list)
{
    const char *at = texts->bytes;
    for (uint32_t i = 0; i < texts->n_texts; i++, at += strlen(at) + 1) list[i] = at;
}

static uint32_t sort_distinct(const char **list, uint32_t n)
{
    qsort(list, n, sizeof *list, compare_texts);

    uint32_t n_distinct = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(list[i], list[n_distinct - 1]) != 0) list[n_distinct++] = list[i];
    }
    return n_distinct;
}

static char **copy_texts(const char *const *list, uint32_t n)
{
    char **copies = calloc(n, sizeof *copies);
    for (uint32_t i = 0; copies && i < n; i++) {
        copies[i] = strdup(list[i]);
        if (copies[i]) continue;

        while (i > 0) free(copies[--i]);
        free(copies);
        return NULL;
    }
    return copies;
}

int sl_rows_add(struct sl_rows *rows)
{
    if (rows->n_rows == rows->capacity) {
        if (rows->capacity > UINT32_MAX / 2) return SL_ERROR_NO_MEMORY;
        uint32_t capacity = rows->capacity == 0 ? 1 : 2 * rows->capacity;

        size_t row_size = rows->n_features * sizeof(float);
        if (capacity > SIZE_MAX / row_size) return SL_ERROR_NO_MEMORY;
        float *features = realloc(rows->features, capacity * row_size);
        if (!features) return SL_ERROR_NO_MEMORY;
        rows->features = features;

        float *labels = realloc(rows->labels, capacity * sizeof *labels);
        if (!labels) return SL_ERROR_NO_MEMORY;
        rows->labels = labels;
        rows->capacity = capacity;
    }
    rows->n_rows++;
    return SL_OK;
}

bool sl_rows_is_class(double value)
{
    return value >= 0 && value < SL_CLASSES_MAX && value == floor(value);
}

void sl_rows_set_label(struct sl_rows *rows, enum sl_task task, double value)
{
    rows->labels[rows->n_rows - 1] = (float)value;
    if (task == SL_TASK_CLASSIFY && value >= rows->n_classes) rows->n_classes = (uint32_t)value + 1;
}

void sl_rows_move(struct sl_rows *rows, enum sl_task task, struct sl_dataset *out)
{
    /* Give back what doubling took too much; should that fail, the larger block serves as well. */
    float *features = realloc(rows->features, (size_t)rows->n_rows * rows->n_features * sizeof *features);
    float *labels = realloc(rows->labels, rows->n_rows * sizeof *labels);

    *out = (struct sl_dataset){
        .features = features ? features : rows->features,
        .labels = labels ? labels : rows->labels,
        .n_rows = rows->n_rows,
        .n_features = rows->n_features,
        .n_classes = task == SL_TASK_CLASSIFY ? rows->n_classes : 0,
    };
    *rows = (struct sl_rows){0};
}

void sl_rows_finish(struct sl_rows *rows)
{
    free(rows->features);
    free(rows->labels);
    *rows = (struct sl_rows){0};
}

int sl_texts_add(struct sl_texts *texts, const char *text)
{
    if (texts->n_texts == UINT32_MAX) return SL_ERROR_NO_MEMORY;

    size_t size = strlen(text) + 1, needed = texts->size + size;
    if (needed > texts->capacity) {
        size_t capacity = 2 * needed > TEXT_SIZE_AT_START ? 2 * needed : TEXT_SIZE_AT_START;
        char *bytes = realloc(texts->bytes, capacity);
        if (!bytes) return SL_ERROR_NO_MEMORY;
        texts->bytes = bytes;
        texts->capacity = capacity;
    }
    memcpy(texts->bytes + texts->size, text, size);
    texts->size = needed;
    texts->n_texts++;
    return SL_OK;
}

int sl_texts_number(const struct sl_texts *texts, uint32_t *numbers, uint32_t *n_names, char ***names)
{
    uint32_t n = texts->n_texts;
    const char **sorted = calloc(n, sizeof *sorted);
    if (!sorted) return SL_ERROR_NO_MEMORY;

    list_texts(texts, sorted);
    uint32_t n_distinct = sort_distinct(sorted, n);
    if (names) {
        *names = copy_texts(sorted, n_distinct);
        if (!*names) {
            free(sorted);
            return SL_ERROR_NO_MEMORY;
        }
    }

    const char *text = texts->bytes;
    for (uint32_t row = 0; row < n; row++, text += strlen(text) + 1) {
        const char **place = bsearch(&text, sorted, n_distinct, sizeof *sorted, compare_texts);
        numbers[row] = (uint32_t)(place - sorted);
    }
    *n_names = n_distinct;
    free(sorted);
    return SL_OK;
}

void sl_texts_finish(struct sl_texts *texts)
{
    free(texts->bytes);
    *texts = (struct sl_texts){0};
}
