/* SPDX-License-Identifier: MIT */
#ifndef SL_DATA_DATASET_H
#define SL_DATA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "starling/model.h"

/* A table of numbers in memory, read from CSV, NPY or IDX. Heap; for drivers and tools. */
struct sl_dataset {
    float *features;                 /* row-major n_rows x n_features */
    float *labels;                   /* n_rows: class index 0 .. n_classes-1, or the target of a regression */
    uint32_t n_rows, n_features;
    uint32_t n_classes;              /* 0 for regression */
    uint32_t *clients;               /* n_rows: number of the natural client (writer, hospital, engine), or NULL */
    uint32_t n_clients;
    char **columns;                  /* names of the feature columns, or NULL where the file has none */
    char **classes;                  /* names of the classes, or NULL where they are numbers */
};

struct sl_read_options {
    enum sl_task task;
    const char *label;               /* "last", "first", column number from 0, or a column's name; "none": there is none, labels are 0 (not in IDX) */
    const char *impute;              /* number for missing values; NULL or "" refuses them with file, line and column */
    const char *client_column;       /* column (name or number) that tells the natural client and is no feature; NULL */
    const char *client_file;         /* CSV with one row per data row, "FILE:COLUMN"; NULL */
};

/*
 * Reads `path`: a CSV or NPY file or an IDX folder or pair ("IMAGES,LABELS"), plain or .gz, or the name "fashion-mnist" (Debian's package).
 * A folder of IDX files gives its training part; with the suffix ":test" its test part. Every failure gives a sentence with file, line and
 * column that says what is wrong and what would be right. SL_ERROR_NOT_FOUND, _IO, _FORMAT, _NOT_FINITE, _NO_MEMORY, _UNSUPPORTED.
 */
int sl_dataset_read(const char *path, const struct sl_read_options *options, struct sl_dataset *out, char *why, size_t why_size);

/* Copies the given rows into a dataset of its own (labels, clients and names too). SL_ERROR_NO_MEMORY. */
int sl_dataset_take(const struct sl_dataset *from, const uint32_t *rows, uint32_t n_rows, struct sl_dataset *out);

/* Numbers classes that are texts as the list does, so that every node of a network means the same by a number; classes that are numbers stay. The dataset
 * then has all classes of the list. SL_ERROR_MISMATCH with a sentence when a class is not on the list, SL_ERROR_NO_MEMORY; then nothing is changed. */
int sl_dataset_number_classes(struct sl_dataset *dataset, char *const *names, uint32_t n_names, char *why, size_t why_size);

/* Writes it as CSV with a header, label last, %.9g: what sl_dataset_read() reads back exactly. SL_ERROR_IO, SL_ERROR_NO_SPACE. */
int sl_dataset_write_csv(const struct sl_dataset *dataset, const char *path);

void sl_dataset_finish(struct sl_dataset *dataset);

#endif
