/* SPDX-License-Identifier: MIT */
#include "data/npy.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/number.h"
#include "data/rows.h"
#include "data/source.h"
#include "starling/error.h"

enum { HEADER_SIZE_MAX = 65536, MAGIC_SIZE = 8, NO_COLUMN = SL_COLUMNS_MAX };

struct kind {
    const char *name; /* as the header writes it */
    uint32_t size;    /* bytes of a number */
    double (*value)(const uint8_t *bytes);
};

struct array {
    struct sl_source source;
    const struct kind *kind;
    uint64_t n_rows, n_columns; /* as the header promises */
    uint64_t label;
    enum sl_task task;
    double substitute; /* for NaN; NaN itself: refuse it */
    struct sl_rows rows;
};

#define REFUSE(array, error, ...) SL_REFUSE((array)->source.why, (array)->source.why_size, (error), __VA_ARGS__)

static uint64_t little_endian(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = size; i > 0; i--) value = value << 8 | bytes[i - 1];
    return value;
}

static double value_of_f4(const uint8_t *bytes)
{
    uint32_t bits = (uint32_t)little_endian(bytes, 4);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double value_of_f8(const uint8_t *bytes)
{
    uint64_t bits = little_endian(bytes, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double value_of_u1(const uint8_t *bytes)
{
    return *bytes;
}

/* Two's complement without a conversion that the standard leaves open. */
static double value_of_i4(const uint8_t *bytes)
{
    uint32_t bits = (uint32_t)little_endian(bytes, 4);
    return bits >> 31 ? -(double)(UINT32_MAX - bits) - 1 : (double)bits;
}

static double value_of_i8(const uint8_t *bytes)
{
    uint64_t bits = little_endian(bytes, 8);
    return bits >> 63 ? -(double)(UINT64_MAX - bits) - 1 : (double)bits;
}

static const struct kind kinds[] = {
    {"<f4", 4, value_of_f4}, {"<f8", 8, value_of_f8}, {"|u1", 1, value_of_u1}, {"<i4", 4, value_of_i4}, {"<i8", 8, value_of_i8},
};

/* The text behind 'key': in the header's dictionary, or NULL. */
static const char *find_key(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (!at) return NULL;

    at += strlen(key);
    at += strspn(at, " ");
    if (*at != ':') return NULL;
    return at + 1 + strspn(at + 1, " ");
}

static int refuse_header(const struct array *array)
{
    return REFUSE(array, SL_ERROR_FORMAT, "%s: the NPY header cannot be read", array->source.path);
}

static int parse_kind(struct array *array, const char *header)
{
    const char *text = find_key(header, "'descr'");
    if (!text) return refuse_header(array);

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (text[0] == '\'' && strncmp(text + 1, kinds[i].name, 3) == 0 && text[4] == '\'') array->kind = &kinds[i];
    }
    if (array->kind) return SL_OK;
    return REFUSE(array, SL_ERROR_UNSUPPORTED,
                  "%s holds numbers of kind %.*s; convert them to '<f4' ('<f8', '|u1', '<i4' and '<i8' work too)", array->source.path,
                  (int)strcspn(text, ",}"), text);
}

/* One number of the shape; moves *at behind it and its comma. */
static bool parse_size(const char **at, uint64_t *out)
{
    char *end;
    if (**at < '0' || **at > '9') return false;

    errno = 0;
    unsigned long long value = strtoull(*at, &end, 10);
    if (errno != 0) return false;

    *out = value;
    end += strspn(end, " ");
    if (*end == ',') end += 1 + strspn(end + 1, " ");
    *at = end;
    return true;
}

static int parse_shape(struct array *array, const char *header)
{
    const char *at = find_key(header, "'shape'");
    if (!at || *at != '(') return refuse_header(array);

    uint64_t sizes[2] = {0};
    unsigned n_sizes = 0;
    for (at++; n_sizes < 2 && parse_size(&at, &sizes[n_sizes]); n_sizes++) {
    }
    if (n_sizes != 2 || *at != ')')
        return REFUSE(array, SL_ERROR_UNSUPPORTED, "%s is no table: two dimensions are needed, rows and columns", array->source.path);
    if (sizes[0] == 0 || sizes[1] < 2 || sizes[1] > SL_COLUMNS_MAX)
        return REFUSE(array, SL_ERROR_FORMAT, "%s has %llu rows and %llu columns; at least 1 row and 2 to %d columns are needed",
                      array->source.path, (unsigned long long)sizes[0], (unsigned long long)sizes[1], SL_COLUMNS_MAX);
    array->n_rows = sizes[0];
    array->n_columns = sizes[1];
    return SL_OK;
}

static int parse_header(struct array *array, const char *header)
{
    const char *order = find_key(header, "'fortran_order'");
    if (!order) return refuse_header(array);
    if (strncmp(order, "False", 5) != 0)
        return REFUSE(array, SL_ERROR_UNSUPPORTED, "%s is in Fortran order; save it with numpy.ascontiguousarray()", array->source.path);

    int error = parse_kind(array, header);
    return error ? error : parse_shape(array, header);
}

/* Magic, version and the length of the header that follows. */
static int read_header_size(struct array *array, uint32_t *size)
{
    uint8_t magic[MAGIC_SIZE], bytes[4] = {0};
    int error = sl_source_read(&array->source, magic, sizeof magic);
    bool is_npy = !error && memcmp(magic, "\x93NUMPY", 6) == 0;
    if (error == SL_ERROR_TRUNCATED || (!error && !is_npy))
        return REFUSE(array, SL_ERROR_FORMAT, "%s is no NPY file: it does not begin with \\x93NUMPY", array->source.path);
    if (error) return error;

    unsigned version = magic[6];
    if (version < 1 || version > 3)
        return REFUSE(array, SL_ERROR_UNSUPPORTED, "%s has NPY version %u; 1 to 3 are known", array->source.path, version);

    error = sl_source_read(&array->source, bytes, version == 1 ? 2 : 4);
    if (error == SL_ERROR_TRUNCATED) return refuse_header(array);
    *size = (uint32_t)little_endian(bytes, 4);
    return error;
}

static int read_header(struct array *array)
{
    uint32_t size;
    int error = read_header_size(array, &size);
    if (error) return error;
    if (size > HEADER_SIZE_MAX)
        return REFUSE(array, SL_ERROR_FORMAT, "%s: a header of %u bytes is no table's; at most %d are read", array->source.path, size,
                      HEADER_SIZE_MAX);

    char *header = calloc(1, size + 1);
    if (!header) return REFUSE(array, SL_ERROR_NO_MEMORY, "not enough memory to read %s", array->source.path);

    error = sl_source_read(&array->source, header, size);
    if (error == SL_ERROR_TRUNCATED) error = refuse_header(array);
    if (!error) error = parse_header(array, header);
    free(header);
    return error;
}

static int find_label(struct array *array, const char *wish)
{
    uint64_t number = strtoul(wish, NULL, 10);
    bool is_number = *wish && wish[strspn(wish, "0123456789")] == 0;
    array->label = NO_COLUMN;
    if (strcmp(wish, "none") == 0) return SL_OK;

    if (strcmp(wish, "first") == 0)
        number = 0;
    else if (strcmp(wish, "last") == 0)
        number = array->n_columns - 1;
    else if (!is_number)
        return REFUSE(array, SL_ERROR_UNSUPPORTED, "%s: columns of an NPY file have no names; \"%s\" must be last, first or a number",
                      array->source.path, wish);

    if (number >= array->n_columns)
        return REFUSE(array, SL_ERROR_NOT_FOUND, "%s: no column %s; its %llu columns count from 0", array->source.path, wish,
                      (unsigned long long)array->n_columns);
    array->label = number;
    return SL_OK;
}

static int check_label(const struct array *array, double value)
{
    uint32_t row = array->rows.n_rows - 1;
    if (isnan(value)) return REFUSE(array, SL_ERROR_FORMAT, "%s: row %u has no label (NaN): remove it", array->source.path, row);
    if (!sl_number_fits(value)) return REFUSE(array, SL_ERROR_NOT_FINITE, "%s: the label of row %u is not finite", array->source.path, row);
    if (array->task == SL_TASK_REGRESS || sl_rows_is_class(value)) return SL_OK;

    return REFUSE(array, SL_ERROR_FORMAT,
                  "%s: the label %.9g of row %u is no class number 0, 1, ... %d; is this the label column? (the model ridge predicts numbers)",
                  array->source.path, value, row, SL_CLASSES_MAX - 1);
}

static int check_feature(const struct array *array, uint64_t column, double *value)
{
    if (isnan(*value)) *value = array->substitute;
    if (sl_number_fits(*value)) return SL_OK;

    uint32_t row = array->rows.n_rows - 1;
    if (isnan(*value))
        return REFUSE(array, SL_ERROR_FORMAT,
                      "%s: row %u, column %llu: missing value (NaN); give a number that stands for all missing values (impute)",
                      array->source.path, row, (unsigned long long)column);
    return REFUSE(array, SL_ERROR_NOT_FINITE, "%s: row %u, column %llu is not finite, or too large for single precision",
                  array->source.path, row, (unsigned long long)column);
}

static int read_row(struct array *array, uint8_t *bytes)
{
    int error = sl_source_read(&array->source, bytes, (size_t)array->n_columns * array->kind->size);
    if (error == SL_ERROR_TRUNCATED)
        return REFUSE(array, SL_ERROR_FORMAT, "%s ends in row %u of %llu: the file is cut off", array->source.path, array->rows.n_rows,
                      (unsigned long long)array->n_rows);
    if (error) return error;
    if (sl_rows_add(&array->rows)) return REFUSE(array, SL_ERROR_NO_MEMORY, "not enough memory to read %s", array->source.path);

    float *feature = array->rows.features + (size_t)(array->rows.n_rows - 1) * array->rows.n_features;
    if (array->label == NO_COLUMN) sl_rows_set_label(&array->rows, SL_TASK_REGRESS, 0);
    for (uint64_t i = 0; i < array->n_columns && !error; i++) {
        double value = array->kind->value(bytes + i * array->kind->size);
        error = i == array->label ? check_label(array, value) : check_feature(array, i, &value);
        if (error) return error;

        if (i == array->label)
            sl_rows_set_label(&array->rows, array->task, value);
        else
            *feature++ = (float)value;
    }
    return SL_OK;
}

static int read_rows(struct array *array)
{
    uint8_t *bytes = malloc((size_t)array->n_columns * array->kind->size);
    if (!bytes) return REFUSE(array, SL_ERROR_NO_MEMORY, "not enough memory to read %s", array->source.path);

    int error = SL_OK;
    array->rows.n_features = (uint32_t)array->n_columns - (array->label != NO_COLUMN);
    while (!error && array->rows.n_rows < array->n_rows) error = read_row(array, bytes);
    free(bytes);
    return error;
}

int sl_npy_read(const char *path, const struct sl_read_options *options, struct sl_dataset *out, char *why, size_t why_size)
{
    struct array array = {.task = options->task};
    if (!sl_number_parse_substitute(options->impute, &array.substitute))
        return SL_REFUSE(why, why_size, SL_ERROR_FORMAT, "impute \"%s\" is not a number that can stand for missing values",
                         options->impute);

    int error = sl_source_open(&array.source, path, why, why_size);
    if (!error) error = read_header(&array);
    if (!error) error = find_label(&array, options->label && *options->label ? options->label : "last");
    if (!error) error = read_rows(&array);
    if (!error) sl_rows_move(&array.rows, array.task, out);

    sl_rows_finish(&array.rows);
    sl_source_close(&array.source);
    return error;
}
