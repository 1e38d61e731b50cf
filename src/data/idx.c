/* SPDX-License-Identifier: MIT */
#include "data/idx.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/rows.h"
#include "data/source.h"
#include "starling/error.h"

enum { PATH_SIZE_MAX = 4096, MAGIC_IMAGES = 0x803, MAGIC_LABELS = 0x801 };

struct pair {
    struct sl_source images, labels;
    uint32_t n_rows, n_features; /* as the headers promise */
    struct sl_rows rows;
};

/* SL_ERROR_TRUNCATED comes without a sentence: here is one. */
static int explain_end(const struct sl_source *source, int error, uint32_t row, uint32_t n_rows)
{
    if (error != SL_ERROR_TRUNCATED) return error;
    return SL_REFUSE(source->why, source->why_size, SL_ERROR_FORMAT, "%s ends in row %u of %u: the file is cut off", source->path, row,
                     n_rows);
}

/* A header: the magic number and n_sizes big-endian numbers. */
static int read_header(struct sl_source *source, uint32_t magic, uint32_t *sizes, unsigned n_sizes)
{
    uint8_t bytes[16];
    int error = sl_source_read(source, bytes, 4 * (1 + n_sizes));
    if (error == SL_ERROR_TRUNCATED)
        return SL_REFUSE(source->why, source->why_size, SL_ERROR_FORMAT, "%s is too short for an IDX file", source->path);
    if (error) return error;

    uint32_t numbers[4] = {0};
    for (unsigned i = 0; i <= n_sizes; i++) {
        const uint8_t *b = bytes + 4 * i;
        numbers[i] = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    }
    if (numbers[0] != magic)
        return SL_REFUSE(source->why, source->why_size, SL_ERROR_FORMAT,
                         "%s begins with 0x%08x; IDX %s of unsigned bytes begin with 0x%08x", source->path, numbers[0],
                         n_sizes == 3 ? "images" : "labels", magic);
    memcpy(sizes, numbers + 1, n_sizes * sizeof *sizes);
    return SL_OK;
}

static int read_headers(struct pair *pair)
{
    uint32_t images[3], labels;
    int error = read_header(&pair->images, MAGIC_IMAGES, images, 3);
    if (!error) error = read_header(&pair->labels, MAGIC_LABELS, &labels, 1);
    if (error) return error;

    const struct sl_source *source = &pair->images;
    uint64_t n_pixels = (uint64_t)images[1] * images[2];
    if (n_pixels == 0 || n_pixels > SL_COLUMNS_MAX || images[0] == 0)
        return SL_REFUSE(source->why, source->why_size, SL_ERROR_FORMAT, "%s promises %u images of %u x %u; 1 to %d pixels are possible",
                         source->path, images[0], images[1], images[2], SL_COLUMNS_MAX);
    if (images[0] != labels)
        return SL_REFUSE(source->why, source->why_size, SL_ERROR_FORMAT, "%s holds %u images, but %s %u labels: do they belong together?",
                         source->path, images[0], pair->labels.path, labels);
    pair->n_rows = labels;
    pair->n_features = (uint32_t)n_pixels;
    return SL_OK;
}

static int read_row(struct pair *pair, uint8_t *pixels, enum sl_task task)
{
    uint32_t row = pair->rows.n_rows;
    uint8_t label;
    int error = sl_source_read(&pair->images, pixels, pair->n_features);
    if (error) return explain_end(&pair->images, error, row, pair->n_rows);
    error = sl_source_read(&pair->labels, &label, 1);
    if (error) return explain_end(&pair->labels, error, row, pair->n_rows);

    error = sl_rows_add(&pair->rows);
    if (error) return SL_REFUSE(pair->images.why, pair->images.why_size, error, "not enough memory to read %s", pair->images.path);

    float *features = pair->rows.features + (size_t)row * pair->n_features;
    for (uint32_t i = 0; i < pair->n_features; i++) features[i] = pixels[i];
    sl_rows_set_label(&pair->rows, task, label);
    return SL_OK;
}

static int read_rows(struct pair *pair, enum sl_task task)
{
    uint8_t *pixels = malloc(pair->n_features);
    if (!pixels)
        return SL_REFUSE(pair->images.why, pair->images.why_size, SL_ERROR_NO_MEMORY, "not enough memory to read %s", pair->images.path);

    int error = SL_OK;
    pair->rows.n_features = pair->n_features;
    while (!error && pair->rows.n_rows < pair->n_rows) error = read_row(pair, pixels, task);
    free(pixels);
    return error;
}

static int read_files(const char *images, const char *labels, enum sl_task task, struct sl_dataset *out, char *why, size_t why_size)
{
    struct pair *pair = calloc(1, sizeof *pair);
    if (!pair) return SL_REFUSE(why, why_size, SL_ERROR_NO_MEMORY, "not enough memory to read %s", images);

    int error = sl_source_open(&pair->images, images, why, why_size);
    if (!error) error = sl_source_open(&pair->labels, labels, why, why_size);
    if (!error) error = read_headers(pair);
    if (!error) error = read_rows(pair, task);
    if (!error) sl_rows_move(&pair->rows, task, out);

    sl_rows_finish(&pair->rows);
    sl_source_close(&pair->labels);
    sl_source_close(&pair->images);
    free(pair);
    return error;
}

/* FOLDER/NAME or FOLDER/NAME.gz, whichever is there. */
static int find_file(const char *folder, const char *name, char path[PATH_SIZE_MAX], char *why, size_t why_size)
{
    static const char *const endings[] = {"", ".gz"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        int size = snprintf(path, PATH_SIZE_MAX, "%s/%s%s", folder, name, endings[i]);
        if (size < PATH_SIZE_MAX && access(path, F_OK) == 0) return SL_OK;
    }
    return SL_REFUSE(why, why_size, SL_ERROR_NOT_FOUND, "%s holds no %s, plain or .gz; a folder of data is one of IDX files", folder, name);
}

int sl_idx_read_folder(const char *folder, bool test, enum sl_task task, struct sl_dataset *out, char *why, size_t why_size)
{
    char images[PATH_SIZE_MAX], labels[PATH_SIZE_MAX];
    int error = find_file(folder, test ? "t10k-images-idx3-ubyte" : "train-images-idx3-ubyte", images, why, why_size);
    if (!error) error = find_file(folder, test ? "t10k-labels-idx1-ubyte" : "train-labels-idx1-ubyte", labels, why, why_size);
    return error ? error : read_files(images, labels, task, out, why, why_size);
}

int sl_idx_read_pair(const char *images_and_labels, enum sl_task task, struct sl_dataset *out, char *why, size_t why_size)
{
    const char *comma = strchr(images_and_labels, ',');
    if (!comma)
        return SL_REFUSE(why, why_size, SL_ERROR_FORMAT, "IDX files come as IMAGES,LABELS; there is no comma in %s", images_and_labels);

    char *images = strndup(images_and_labels, (size_t)(comma - images_and_labels));
    if (!images) return SL_REFUSE(why, why_size, SL_ERROR_NO_MEMORY, "not enough memory to read %s", images_and_labels);

    int error = read_files(images, comma + 1, task, out, why, why_size);
    free(images);
    return error;
}
