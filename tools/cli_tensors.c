/* SPDX-License-Identifier: MIT */
#include "cli_tensors.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "learn/layer.h"

enum { BLOCK_ROWS = 256, ALIGNMENT = 8, NPY_HEAD = 128 };

/* Widths from the inputs to the outputs; returns the number of layers between them. All models are such chains. */
static uint32_t widths_of(const struct sl_shape *shape, uint32_t out[SL_HIDDEN_MAX + 2])
{
    uint32_t n = 0;
    out[n++] = shape->n_features;
    for (uint32_t i = 0; i < shape->n_hidden; i++) out[n++] = shape->hidden[i];
    out[n] = shape->n_outputs;
    return n;
}

static void name_tensor(struct cli_tensor *tensor, uint32_t layer, uint32_t n_layers, const char *part)
{
    if (n_layers == 1) snprintf(tensor->name, sizeof tensor->name, "%s", part);
    else snprintf(tensor->name, sizeof tensor->name, "layers.%u.%s", (unsigned)layer, part);
}

uint32_t cli_tensors_of(const struct sl_shape *shape, struct cli_tensor out[CLI_TENSORS_MAX])
{
    uint32_t widths[SL_HIDDEN_MAX + 2], n_layers = widths_of(shape, widths), n = 0, offset = 0;
    for (uint32_t i = 0; i < n_layers; i++) {
        struct cli_tensor *matrix = &out[n++], *biases = &out[n++];
        *matrix = (struct cli_tensor){.rows = widths[i + 1], .columns = widths[i], .offset = offset, .size = widths[i + 1] * widths[i]};
        offset += matrix->size;
        *biases = (struct cli_tensor){.rows = widths[i + 1], .offset = offset, .size = widths[i + 1]};
        offset += biases->size;
        name_tensor(matrix, i, n_layers, "weight");
        name_tensor(biases, i, n_layers, "bias");
    }
    return n;
}

static json_t *json_of(const struct cli_tensor *tensor)
{
    json_int_t begin = (json_int_t)tensor->offset * 4, end = begin + (json_int_t)tensor->size * 4;
    json_t *shape = tensor->columns ? json_pack("[I, I]", (json_int_t)tensor->rows, (json_int_t)tensor->columns) : json_pack("[I]", (json_int_t)tensor->rows);
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets", begin, end);
}

char *cli_safetensors_head(const struct cli_tensor *tensors, uint32_t n_tensors, const struct cli_note *notes, uint32_t n_notes, size_t *out_size)
{
    json_t *head = json_object(), *metadata = json_object();
    for (uint32_t i = 0; i < n_notes; i++) json_object_set_new(metadata, notes[i].key, json_string(notes[i].value));
    json_object_set_new(head, "__metadata__", metadata);
    for (uint32_t i = 0; i < n_tensors; i++) json_object_set_new(head, tensors[i].name, json_of(&tensors[i]));

    char *bytes = NULL, *text = json_dumps(head, JSON_COMPACT);
    size_t length = text ? strlen(text) : 0, padded = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (text) bytes = malloc(8 + padded);
    if (bytes) {
        for (uint32_t i = 0; i < 8; i++) bytes[i] = (char)((uint64_t)padded >> 8 * i & 255);
        memset(bytes + 8, ' ', padded);
        memcpy(bytes + 8, text, length);
        *out_size = 8 + padded;
    }
    free(text);
    json_decref(head);
    return bytes;
}

static uint32_t dim_of(const struct cli_tensor *tensors, uint32_t n_tensors)
{
    return tensors[n_tensors - 1].offset + tensors[n_tensors - 1].size;
}

bool cli_safetensors_write(FILE *file, const struct sl_shape *shape, const float *weights, const struct cli_note *notes, uint32_t n_notes)
{
    struct cli_tensor tensors[CLI_TENSORS_MAX];
    uint32_t n = cli_tensors_of(shape, tensors), dim = dim_of(tensors, n);
    size_t size;
    char *head = cli_safetensors_head(tensors, n, notes, n_notes, &size);
    bool written = head && fwrite(head, 1, size, file) == size && fwrite(weights, sizeof *weights, dim, file) == dim;
    free(head);
    return written;
}

bool cli_npy_write(FILE *file, const float *weights, uint32_t dim)
{
    char head[NPY_HEAD + 1];
    int length = snprintf(head, sizeof head, "\x93NUMPY%c%c%c%c{'descr': '<f4', 'fortran_order': False, 'shape': (%u,), }", 1, 0, NPY_HEAD - 10, 0,
                          (unsigned)dim);
    memset(head + length, ' ', (size_t)(NPY_HEAD - length));
    head[NPY_HEAD - 1] = '\n';
    return fwrite(head, 1, NPY_HEAD, file) == NPY_HEAD && fwrite(weights, sizeof *weights, dim, file) == dim;
}

bool cli_weights_csv_write(FILE *file, const struct sl_shape *shape, const float *weights)
{
    struct cli_tensor tensors[CLI_TENSORS_MAX];
    uint32_t n = cli_tensors_of(shape, tensors);
    fputs("tensor,row,column,value\n", file);
    for (uint32_t t = 0; t < n; t++) {
        uint32_t columns = tensors[t].columns ? tensors[t].columns : 1;
        for (uint32_t i = 0; i < tensors[t].size; i++)
            fprintf(file, "%s,%u,%u,%.9g\n", tensors[t].name, (unsigned)(i / columns), (unsigned)(i % columns), (double)weights[tensors[t].offset + i]);
    }
    return !ferror(file);
}

static void cut_below_zero(float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (values[i] < 0) values[i] = 0;
}

/* At most BLOCK_ROWS rows through all layers; a and b hold BLOCK_ROWS rows of the widest layer each. */
static void forward_block(const struct sl_shape *shape, const float *weights, const float *features, uint32_t n_rows, float *a, float *b, float *out)
{
    uint32_t widths[SL_HIDDEN_MAX + 2], n_layers = widths_of(shape, widths);
    const float *inputs = features;
    for (uint32_t i = 0; i < n_layers; i++) {
        struct sl_layer layer = {.n_inputs = widths[i], .n_outputs = widths[i + 1]};
        bool is_last = i + 1 == n_layers;
        float *outputs = is_last ? out : i % 2 ? b : a;
        sl_layer_forward(layer, weights, inputs, n_rows, outputs);
        if (!is_last) cut_below_zero(outputs, (size_t)n_rows * layer.n_outputs);
        weights += sl_layer_dim(layer);
        inputs = outputs;
    }
}

bool cli_forward(const struct sl_shape *shape, const float *weights, const float *features, uint32_t n_rows, float *out)
{
    uint32_t widest = 1;
    for (uint32_t i = 0; i < shape->n_hidden; i++)
        if (shape->hidden[i] > widest) widest = shape->hidden[i];
    float *a = calloc((size_t)BLOCK_ROWS * widest, sizeof *a), *b = calloc((size_t)BLOCK_ROWS * widest, sizeof *b);
    bool has_memory = a && b;
    for (uint32_t first = 0; has_memory && first < n_rows; first += BLOCK_ROWS) {
        uint32_t n = n_rows - first < BLOCK_ROWS ? n_rows - first : BLOCK_ROWS;
        forward_block(shape, weights, features + (size_t)first * shape->n_features, n, a, b, out + (size_t)first * shape->n_outputs);
    }
    free(a);
    free(b);
    return has_memory;
}

uint32_t cli_class_of(const float *logits, uint32_t n_classes, double *out_probability)
{
    uint32_t best = 0;
    double sum = 0;
    for (uint32_t i = 1; i < n_classes; i++)
        if (logits[i] > logits[best]) best = i;
    for (uint32_t i = 0; i < n_classes; i++) sum += exp((double)logits[i] - (double)logits[best]);
    *out_probability = 1 / sum;
    return best;
}
