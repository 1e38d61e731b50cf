/* SPDX-License-Identifier: MIT */
#ifndef CLI_TENSORS_H
#define CLI_TENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "starling/model.h"

/*
 * The flat vector of a model as the matrices it is made of, for files that other programs read and for predicting. Matrices are row-major, one row per
 * output: what PyTorch's Linear layers hold under the same names.
 */
enum { CLI_TENSORS_MAX = 2 * (SL_HIDDEN_MAX + 1) };

struct cli_tensor {
    char name[32];                   /* "weight", "layers.0.bias" */
    uint32_t rows, columns;          /* columns 0: a vector of `rows` */
    uint32_t offset, size;           /* in the flat vector, in floats */
};

/* The matrices in the order of the flat vector; returns how many. */
uint32_t cli_tensors_of(const struct sl_shape *shape, struct cli_tensor out[CLI_TENSORS_MAX]);

/* A text that travels with the tensors of a safetensors file. */
struct cli_note {
    const char *key, *value;
};

/* The head of a safetensors file on the heap: the length of its JSON in eight bytes, little endian, then the JSON, padded by blanks to a multiple of
 * eight. NULL when memory is short. */
char *cli_safetensors_head(const struct cli_tensor *tensors, uint32_t n_tensors, const struct cli_note *notes, uint32_t n_notes, size_t *out_size);

/* Whole files. False when writing fails; errno says why. */
bool cli_safetensors_write(FILE *file, const struct sl_shape *shape, const float *weights, const struct cli_note *notes, uint32_t n_notes);
bool cli_npy_write(FILE *file, const float *weights, uint32_t dim);                              /* one vector, <f4 */
bool cli_weights_csv_write(FILE *file, const struct sl_shape *shape, const float *weights);      /* tensor,row,column,value */

/* Logits of a classification, or the values of a regression: n_rows x n_outputs. False when memory is short. */
bool cli_forward(const struct sl_shape *shape, const float *weights, const float *features, uint32_t n_rows, float *out);

/* The class with the largest logit, the lowest of equal ones, and its probability. */
uint32_t cli_class_of(const float *logits, uint32_t n_classes, double *out_probability);

#endif
