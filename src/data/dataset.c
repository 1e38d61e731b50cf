/* SPDX-License-Identifier: MIT */
#include "data/dataset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/csv.h"
#include "data/idx.h"
#include "data/npy.h"
#include "data/number.h"
#include "data/source.h"
#include "starling/error.h"

#define FASHION_NAME "fashion-mnist"
#define FASHION_FOLDER "/usr/share/datasets/fashion-mnist"
#define TEST_SUFFIX ":test"

enum { WRITE_BUFFER_SIZE = 1 << 20 };

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* `folder` may be a name. */
static int read_folder(const char *folder, bool test, enum sl_task task, struct sl_dataset *out, char *why, size_t why_size)
{
    bool is_fashion = strcmp(folder, FASHION_NAME) == 0 && !is_folder(folder);
    if (is_fashion) folder = FASHION_FOLDER;
    if (is_folder(folder)) return sl_idx_read_folder(folder, test, task, out, why, why_size);

    if (is_fashion)
        return SL_REFUSE(why, why_size, SL_ERROR_NOT_FOUND, "Fashion-MNIST is not installed (%s): apt-get install dataset-fashion-mnist",
                         FASHION_FOLDER);
    return SL_REFUSE(why, why_size, SL_ERROR_NOT_FOUND, "%s is no folder of IDX files, so it has no test part", folder);
}

static int read_test_part(const char *path, enum sl_task task, struct sl_dataset *out, char *why, size_t why_size)
{
    char *folder = strndup(path, strlen(path) - strlen(TEST_SUFFIX));
    if (!folder) return SL_REFUSE(why, why_size, SL_ERROR_NO_MEMORY, "not enough memory to read %s", path);

    int error = read_folder(folder, true, task, out, why, why_size);
    free(folder);
    return error;
}

static int refuse_lone_idx(const char *path, char *why, size_t why_size)
{
    return SL_REFUSE(why, why_size, SL_ERROR_UNSUPPORTED, "%s is one IDX file; give the pair IMAGES,LABELS or their folder", path);
}

/* Whatever is no CSV; *is_csv is set when it is one. */
static int read_binary(const char *path, const struct sl_read_options *options, struct sl_dataset *out, bool *is_csv, char *why,
                       size_t why_size)
{
    bool exists = access(path, F_OK) == 0;
    *is_csv = false;
    if (!exists && ends_with(path, TEST_SUFFIX)) return read_test_part(path, options->task, out, why, why_size);
    if (is_folder(path) || (!exists && strcmp(path, FASHION_NAME) == 0)) return read_folder(path, false, options->task, out, why, why_size);
    if (!exists && strchr(path, ',')) return sl_idx_read_pair(path, options->task, out, why, why_size);
    if (ends_with(path, ".npy") || ends_with(path, ".npy.gz")) return sl_npy_read(path, options, out, why, why_size);
    if (strstr(path, "-idx3-ubyte") || strstr(path, "-idx1-ubyte")) return refuse_lone_idx(path, why, why_size);

    *is_csv = true;
    return SL_OK;
}

/* The given rows of an array, or NULL without memory. */
static void *copy_rows(const void *from, const uint32_t *rows, uint32_t n_rows, size_t row_size)
{
    if (row_size > 0 && n_rows > SIZE_MAX / row_size) return NULL;
    char *to = malloc(n_rows * row_size + 1); /* never of size 0, where malloc may give NULL */
    const char *source = from;
    for (uint32_t i = 0; to && i < n_rows; i++) memcpy(to + i * row_size, source + rows[i] * row_size, row_size);
    return to;
}

static bool copy_names(char *const *from, uint32_t n, char ***out)
{
    if (!from) return true;

    *out = calloc(n, sizeof **out);
    if (!*out) return false;
    for (uint32_t i = 0; i < n; i++) {
        (*out)[i] = strdup(from[i]);
        if (!(*out)[i]) return false;
    }
    return true;
}

static void free_names(char **names, uint32_t n)
{
    for (uint32_t i = 0; names && i < n; i++) free(names[i]);
    free(names);
}

static uint32_t index_of(char *const *names, uint32_t n, const char *name)
{
    uint32_t i = 0;
    while (i < n && strcmp(names[i], name) != 0) i++;
    return i;
}

/* Names that may hold a separator are quoted. */
static void write_name(FILE *file, const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    if (name[strspn(name, plain)] == 0) {
        fputs(name, file);
        return;
    }
    putc('"', file);
    for (; *name; name++) {
        if (*name == '"') putc('"', file);
        putc(*name, file);
    }
    putc('"', file);
}

static void write_header(FILE *file, const struct sl_dataset *dataset)
{
    for (uint32_t i = 0; i < dataset->n_features; i++) {
        if (dataset->columns)
            write_name(file, dataset->columns[i]);
        else
            fprintf(file, "x%u", i);
        putc(',', file);
    }
    fputs("label\n", file);
}

static void write_row(FILE *file, const float *features, uint32_t n_features, float label)
{
    char text[SL_NUMBER_TEXT_MAX + 1];
    for (uint32_t i = 0; i < n_features; i++) {
        size_t size = sl_number_print(features[i], text);
        text[size] = ',';
        fwrite(text, 1, size + 1, file);
    }
    size_t size = sl_number_print(label, text);
    text[size] = '\n';
    fwrite(text, 1, size + 1, file);
}

static int error_of_write(void)
{
    return errno == ENOSPC || errno == EDQUOT ? SL_ERROR_NO_SPACE : SL_ERROR_IO;
}

int sl_dataset_read(const char *path, const struct sl_read_options *options, struct sl_dataset *out, char *why, size_t why_size)
{
    bool is_csv, has_column = options->client_column && *options->client_column, has_file = options->client_file && *options->client_file;
    if (has_column && has_file)
        return SL_REFUSE(why, why_size, SL_ERROR_UNSUPPORTED,
                         "clients come either from a column of the data or from a file, not from both");

    struct sl_dataset dataset = {0};
    int error = read_binary(path, options, &dataset, &is_csv, why, why_size);
    if (!error && is_csv) error = sl_csv_read(path, options, &dataset, why, why_size);
    if (!error && !is_csv && has_column)
        error = SL_REFUSE(why, why_size, SL_ERROR_UNSUPPORTED, "only a CSV has a client column; for %s give FILE:COLUMN", path);
    if (!error && has_file) error = sl_csv_read_clients(options->client_file, &dataset, why, why_size);

    if (error)
        sl_dataset_finish(&dataset);
    else
        *out = dataset;
    return error;
}

int sl_dataset_take(const struct sl_dataset *from, const uint32_t *rows, uint32_t n_rows, struct sl_dataset *out)
{
    struct sl_dataset taken = {
        .n_rows = n_rows, .n_features = from->n_features, .n_classes = from->n_classes, .n_clients = from->n_clients};
    taken.features = copy_rows(from->features, rows, n_rows, from->n_features * sizeof *from->features);
    taken.labels = copy_rows(from->labels, rows, n_rows, sizeof *from->labels);
    if (from->clients) taken.clients = copy_rows(from->clients, rows, n_rows, sizeof *from->clients);

    bool complete = taken.features && taken.labels && (taken.clients || !from->clients);
    complete = complete && copy_names(from->columns, from->n_features, &taken.columns);
    complete = complete && copy_names(from->classes, from->n_classes, &taken.classes);
    if (!complete) {
        sl_dataset_finish(&taken);
        return SL_ERROR_NO_MEMORY;
    }
    *out = taken;
    return SL_OK;
}

int sl_dataset_number_classes(struct sl_dataset *dataset, char *const *names, uint32_t n_names, char *why, size_t why_size)
{
    if (!dataset->classes) return SL_OK;

    char **copy = NULL;
    uint32_t *numbers = malloc(sizeof *numbers * dataset->n_classes + 1);
    int error = numbers && copy_names(names, n_names, &copy) ? SL_OK : SL_REFUSE(why, why_size, SL_ERROR_NO_MEMORY, "not enough memory");
    for (uint32_t i = 0; i < dataset->n_classes && !error; i++) {
        numbers[i] = index_of(names, n_names, dataset->classes[i]);
        if (numbers[i] == n_names)
            error = SL_REFUSE(why, why_size, SL_ERROR_MISMATCH, "the class \"%.60s\" is none of the %u that the network knows", dataset->classes[i], n_names);
    }
    if (error) {
        free_names(copy, copy ? n_names : 0);
        free(numbers);
        return error;
    }

    for (uint32_t row = 0; row < dataset->n_rows; row++) dataset->labels[row] = (float)numbers[(uint32_t)dataset->labels[row]];
    free_names(dataset->classes, dataset->n_classes);
    dataset->classes = copy;
    dataset->n_classes = n_names;
    free(numbers);
    return SL_OK;
}

int sl_dataset_write_csv(const struct sl_dataset *dataset, const char *path)
{
    FILE *file = fopen(path, "wb");
    if (!file) return error_of_write();
    setvbuf(file, NULL, _IOFBF, WRITE_BUFFER_SIZE);

    write_header(file, dataset);
    for (uint32_t row = 0; row < dataset->n_rows && !ferror(file); row++)
        write_row(file, dataset->features + (size_t)row * dataset->n_features, dataset->n_features, dataset->labels[row]);

    int error = ferror(file) ? error_of_write() : SL_OK;
    if (fclose(file) != 0 && !error) error = error_of_write();
    return error;
}

void sl_dataset_finish(struct sl_dataset *dataset)
{
    free(dataset->features);
    free(dataset->labels);
    free(dataset->clients);
    free_names(dataset->columns, dataset->n_features);
    free_names(dataset->classes, dataset->n_classes);
    *dataset = (struct sl_dataset){0};
}
