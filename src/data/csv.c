/* SPDX-License-Identifier: MIT */
#include "data/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/number.h"
#include "data/rows.h"
#include "data/source.h"
#include "starling/error.h"

enum { NO_COLUMN = SL_COLUMNS_MAX, CELLS_AT_START = 64, SHOWN_MAX = 48, PLACE_MAX = 640, BLANKS = ' ' };

struct cell {
    char *text;
    size_t position; /* in the line, from 1 */
};

struct table {
    struct sl_source source;
    const char *label_wish;  /* "last", "first", number or name; "none": there is no label */
    const char *client_wish; /* number or name, or NULL */
    enum sl_task task;
    double substitute; /* for a missing value; NaN: refuse it */

    char delimiter;     /* BLANKS: runs of blanks */
    struct cell *cells; /* of the current line */
    uint32_t n_cells, cells_capacity;

    uint32_t n_columns, label, client;
    char **names; /* n_columns, or NULL without a header */
    bool labels_are_texts;

    struct sl_rows rows;
    struct sl_texts labels, clients;
};

#define REFUSE(table, error, ...) SL_REFUSE((table)->source.why, (table)->source.why_size, (error), __VA_ARGS__)

static int refuse_memory(const struct table *table)
{
    return REFUSE(table, SL_ERROR_NO_MEMORY, "not enough memory to read %s", table->source.path);
}

/* A text from the file, fit to be shown: short, and without what could confuse a terminal. */
static const char *shown(const char *text, char out[SHOWN_MAX])
{
    size_t size = 0;
    for (; text[size] && size < SHOWN_MAX - 1; size++) out[size] = (unsigned char)text[size] < ' ' || text[size] == 127 ? '?' : text[size];
    out[size] = 0;
    return out;
}

/* "people.csv:17:9: column "age"", counted like a compiler does; columns without a name by their number, as --label counts them. */
static const char *place(const struct table *table, uint32_t column, char out[PLACE_MAX])
{
    char name[SHOWN_MAX];
    unsigned long long line = table->source.line_number;
    size_t position = table->cells[column].position;
    if (table->names)
        snprintf(out, PLACE_MAX, "%s:%llu:%zu: column \"%s\"", table->source.path, line, position, shown(table->names[column], name));
    else
        snprintf(out, PLACE_MAX, "%s:%llu:%zu: column %u", table->source.path, line, position, column);
    return out;
}

/* The separator that the line uses outside of quotes. A semicolon wins: where it parts cells, commas are decimal points or text. */
static char detect_delimiter(const char *line)
{
    size_t n_commas = 0, n_tabs = 0;
    bool quoted = false;
    for (; *line; line++) {
        if (*line == '"') quoted = !quoted;
        if (quoted) continue;
        if (*line == ';') return ';';
        n_commas += *line == ',';
        n_tabs += *line == '\t';
    }
    if (n_commas == 0 && n_tabs == 0) return BLANKS;
    return n_tabs > n_commas ? '\t' : ',';
}

static bool is_blank(const struct table *table, char c)
{
    return c == ' ' || (c == '\t' && table->delimiter != '\t');
}

static char *skip_blanks(const struct table *table, char *at)
{
    while (is_blank(table, *at)) at++;
    return at;
}

static int add_cell(struct table *table, char *text, size_t position)
{
    if (table->n_cells == SL_COLUMNS_MAX)
        return REFUSE(table, SL_ERROR_FORMAT, "%s:%llu: more than %d columns", table->source.path,
                      (unsigned long long)table->source.line_number, SL_COLUMNS_MAX);

    if (table->n_cells == table->cells_capacity) {
        uint32_t capacity = table->cells_capacity == 0 ? CELLS_AT_START : 2 * table->cells_capacity;
        struct cell *cells = realloc(table->cells, capacity * sizeof *cells);
        if (!cells) return refuse_memory(table);
        table->cells = cells;
        table->cells_capacity = capacity;
    }
    table->cells[table->n_cells++] = (struct cell){.text = text, .position = position};
    return SL_OK;
}

/* Takes the quotes off in place; *at moves from the opening quote to behind the closing one. */
static int unquote(struct table *table, char **at)
{
    char *from = *at + 1, *to = *at;
    for (; *from && !(from[0] == '"' && from[1] != '"'); from++) {
        if (*from == '"') from++;
        *to++ = *from;
    }
    if (*from == 0)
        return REFUSE(table, SL_ERROR_FORMAT, "%s:%llu:%zu: the quote is not closed in this line", table->source.path,
                      (unsigned long long)table->source.line_number, (size_t)(*at - table->source.line) + 1);
    *to = 0;
    *at = from + 1;
    return SL_OK;
}

/* Where a plain cell ends: at its delimiter or at the end of the line. */
static char *find_end(const struct table *table, char *text)
{
    if (table->delimiter == BLANKS) return text + strcspn(text, " \t");

    char *delimiter = strchr(text, table->delimiter);
    return delimiter ? delimiter : text + strlen(text);
}

/* Reads one cell at *at, which is no blank, and moves to the next; *more tells whether there is one. */
static int split_cell(struct table *table, char **at, bool *more)
{
    char *text = *at, *end = text;
    bool quoted = *text == '"';
    int error = quoted ? unquote(table, &end) : SL_OK;
    if (error) return error;

    if (!quoted) end = find_end(table, text);
    char *delimiter = skip_blanks(table, end);
    bool parted = *delimiter == 0 || (table->delimiter == BLANKS ? delimiter > end : *delimiter == table->delimiter);
    if (!parted)
        return REFUSE(table, SL_ERROR_FORMAT, "%s:%llu:%zu: text behind a closing quote", table->source.path,
                      (unsigned long long)table->source.line_number, (size_t)(delimiter - table->source.line) + 1);

    *more = *delimiter != 0;
    *at = *more && table->delimiter != BLANKS ? skip_blanks(table, delimiter + 1) : delimiter;
    while (!quoted && end > text && is_blank(table, end[-1])) end--;
    *end = 0;
    return add_cell(table, text, (size_t)(text - table->source.line) + 1);
}

/* The cells of the next line that is not empty. SL_ERROR_NOT_FOUND at the end of the file. */
static int next_row(struct table *table)
{
    char *at;
    do {
        int error = sl_source_next_line(&table->source);
        if (error) return error;
        at = table->source.line + strspn(table->source.line, " ");
    } while (*at == 0);

    if (table->delimiter == 0) table->delimiter = detect_delimiter(at);
    at = skip_blanks(table, at);
    table->n_cells = 0;
    for (bool more = true; more;) {
        int error = split_cell(table, &at, &more);
        if (error) return error;
    }
    return SL_OK;
}

static bool is_column_number(const char *wish)
{
    return *wish && wish[strspn(wish, "0123456789")] == 0;
}

static bool is_none(const char *wish)
{
    return strcmp(wish, "none") == 0;
}

static bool is_column_name(const char *wish)
{
    return wish && strcmp(wish, "last") != 0 && strcmp(wish, "first") != 0 && !is_none(wish) && !is_column_number(wish);
}

/* Lists the names of a header, as many as fit. */
static void list_names(const struct table *table, char *out, size_t out_size)
{
    size_t used = 0;
    for (uint32_t i = 0; i < table->n_cells && used + SHOWN_MAX + 8 < out_size; i++) {
        char name[SHOWN_MAX];
        used += (size_t)snprintf(out + used, out_size - used, "%s%s", i ? ", " : "", shown(table->cells[i].text, name));
        if (i + 1 < table->n_cells && used + SHOWN_MAX + 8 >= out_size) snprintf(out + used, out_size - used, ", ...");
    }
}

static int find_named_column(const struct table *table, const char *name, uint32_t *out)
{
    for (uint32_t i = 0; i < table->n_cells; i++) {
        if (strcmp(table->cells[i].text, name) != 0) continue;
        *out = i;
        return SL_OK;
    }
    char names[256] = "";
    list_names(table, names, sizeof names);
    return REFUSE(table, SL_ERROR_NOT_FOUND, "%s: no column \"%s\" in its first line; there are: %s", table->source.path, name, names);
}

/* Finds a column by "last", "first", number or name in the first line; last and first pass over the column `other`. */
static int find_column(const struct table *table, const char *wish, uint32_t other, uint32_t *out)
{
    uint32_t n = table->n_cells;
    if (is_column_name(wish)) return find_named_column(table, wish, out);

    unsigned long number = strtoul(wish, NULL, 10);
    if (strcmp(wish, "first") == 0) number = other == 0;
    if (strcmp(wish, "last") == 0) number = n >= 2 && other == n - 1 ? n - 2 : n - 1;
    if (number >= n) return REFUSE(table, SL_ERROR_NOT_FOUND, "%s: no column %s; its %u columns count from 0", table->source.path, wish, n);

    *out = (uint32_t)number;
    return SL_OK;
}

static int find_columns(struct table *table)
{
    table->n_columns = table->n_cells;
    table->client = NO_COLUMN;
    table->label = NO_COLUMN;
    if (table->client_wish) {
        int error = find_column(table, table->client_wish, NO_COLUMN, &table->client);
        if (error) return error;
    }
    int error = is_none(table->label_wish) ? SL_OK : find_column(table, table->label_wish, table->client, &table->label);
    if (error) return error;

    if (table->label != NO_COLUMN && table->label == table->client)
        return REFUSE(table, SL_ERROR_FORMAT, "%s: column \"%s\" cannot be both label and client", table->source.path, table->client_wish);

    uint32_t n_others = (uint32_t)(table->label != NO_COLUMN) + (table->client != NO_COLUMN);
    if (table->n_columns <= n_others)
        return REFUSE(table, SL_ERROR_FORMAT, "%s: no feature column: the first line has %u cells; columns are parted by , ; tab or blanks",
                      table->source.path, table->n_columns);
    table->rows.n_features = table->n_columns - n_others;
    return SL_OK;
}

static bool is_feature(const struct table *table, uint32_t column)
{
    return column != table->label && column != table->client;
}

static bool is_like_number(const char *text)
{
    double value;
    return sl_number_parse(text, &value) || sl_number_is_missing(text) || sl_number_is_infinity(text);
}

static bool is_word_for_label(const char *text)
{
    return strcasecmp(text, "label") == 0 || strcasecmp(text, "class") == 0 || strcasecmp(text, "target") == 0 ||
           strcasecmp(text, "y") == 0;
}

/* Whether the first line holds names; its columns are known. */
static bool is_header(const struct table *table)
{
    if (is_column_name(table->label_wish) || is_column_name(table->client_wish)) return true;

    const char *label = table->label == NO_COLUMN ? "0" : table->cells[table->label].text;
    if (table->task == SL_TASK_REGRESS ? !is_like_number(label) : is_word_for_label(label)) return true;

    for (uint32_t i = 0; i < table->n_columns; i++) {
        if (is_feature(table, i) && !is_like_number(table->cells[i].text)) return true;
    }
    return false;
}

static int keep_names(struct table *table)
{
    char **names = calloc(table->n_cells, sizeof *names);
    if (!names) return refuse_memory(table);

    table->names = names;
    table->n_columns = table->n_cells;
    for (uint32_t i = 0; i < table->n_cells; i++) {
        names[i] = strdup(table->cells[i].text);
        if (!names[i]) return refuse_memory(table);
    }
    return SL_OK;
}

static int refuse_missing(const struct table *table, uint32_t column, const char *remedy)
{
    char where[PLACE_MAX], text[SHOWN_MAX];
    return REFUSE(table, SL_ERROR_FORMAT, "%s: missing value \"%s\"; %s", place(table, column, where),
                  shown(table->cells[column].text, text), remedy);
}

/* The cell as a finite float. */
static int read_number(const struct table *table, uint32_t column, double *out)
{
    char where[PLACE_MAX], seen[SHOWN_MAX];
    const char *text = table->cells[column].text;
    double value = INFINITY;
    bool is_number = sl_number_parse(text, &value);
    if (!is_number && !sl_number_is_infinity(text))
        return REFUSE(table, SL_ERROR_FORMAT, "%s: \"%s\" is not a number", place(table, column, where), shown(text, seen));
    if (!sl_number_fits(value))
        return REFUSE(table, SL_ERROR_NOT_FINITE, "%s: \"%s\" is not finite, or too large for single precision",
                      place(table, column, where), shown(text, seen));
    *out = value;
    return SL_OK;
}

static int read_feature(const struct table *table, uint32_t column, float *out)
{
    double value = table->substitute;
    if (!sl_number_is_missing(table->cells[column].text)) {
        int error = read_number(table, column, &value);
        if (error) return error;
    } else if (isnan(value)) {
        return refuse_missing(table, column, "give a number that stands for all missing values (impute), or remove the row");
    }
    *out = (float)value;
    return SL_OK;
}

static int read_class_number(struct table *table, const char *text)
{
    char where[PLACE_MAX], seen[SHOWN_MAX];
    double value;
    if (!sl_number_parse(text, &value))
        return REFUSE(table, SL_ERROR_FORMAT, "%s: \"%s\" is not a class number, but the label of the first row is a number",
                      place(table, table->label, where), shown(text, seen));
    if (!sl_rows_is_class(value))
        return REFUSE(table, SL_ERROR_FORMAT, "%s: %s is no class number 0, 1, ... %d; is this the label column? (the model ridge predicts numbers)",
                      place(table, table->label, where), shown(text, seen), SL_CLASSES_MAX - 1);
    sl_rows_set_label(&table->rows, SL_TASK_CLASSIFY, value);
    return SL_OK;
}

static int read_label(struct table *table)
{
    const char *text = table->cells[table->label].text;
    double value;
    if (sl_number_is_missing(text)) return refuse_missing(table, table->label, "a row without a label teaches nothing: remove it");

    if (table->task == SL_TASK_REGRESS) {
        int error = read_number(table, table->label, &value);
        if (!error) sl_rows_set_label(&table->rows, SL_TASK_REGRESS, value);
        return error;
    }
    if (table->rows.n_rows == 1) table->labels_are_texts = !sl_number_parse(text, &value);
    if (!table->labels_are_texts) return read_class_number(table, text);

    return sl_texts_add(&table->labels, text) ? refuse_memory(table) : SL_OK;
}

static int read_client(struct table *table, uint32_t column)
{
    const char *text = table->cells[column].text;
    if (*text == 0) return refuse_missing(table, column, "every row needs its client");

    return sl_texts_add(&table->clients, text) ? refuse_memory(table) : SL_OK;
}

static int check_width(const struct table *table)
{
    if (table->n_cells == table->n_columns) return SL_OK;

    return REFUSE(table, SL_ERROR_FORMAT, "%s:%llu:%zu: %u cells, where the first line has %u", table->source.path,
                  (unsigned long long)table->source.line_number, table->cells[table->n_cells - 1].position, table->n_cells,
                  table->n_columns);
}

static int read_row(struct table *table)
{
    int error = check_width(table);
    if (error) return error;
    if (sl_rows_add(&table->rows)) return refuse_memory(table);

    float *feature = table->rows.features + (size_t)(table->rows.n_rows - 1) * table->rows.n_features;
    for (uint32_t i = 0; i < table->n_columns && !error; i++) {
        if (is_feature(table, i)) error = read_feature(table, i, feature++);
    }
    if (!error && table->label == NO_COLUMN) sl_rows_set_label(&table->rows, SL_TASK_REGRESS, 0);
    else if (!error) error = read_label(table);
    if (!error && table->client != NO_COLUMN) error = read_client(table, table->client);
    return error;
}

/* Settles columns and names by the first line, which may be the first row. */
static int read_first_line(struct table *table)
{
    int error = next_row(table);
    if (error == SL_ERROR_NOT_FOUND) return REFUSE(table, SL_ERROR_FORMAT, "%s is empty", table->source.path);
    if (!error) error = find_columns(table);
    if (error) return error;

    return is_header(table) ? keep_names(table) : read_row(table);
}

static int read_rows(struct table *table)
{
    int error = read_first_line(table);
    if (error) return error;

    while (!error) {
        error = next_row(table);
        if (!error)
            error = read_row(table);
        else if (error == SL_ERROR_NOT_FOUND)
            break;
    }
    if (error != SL_ERROR_NOT_FOUND) return error;

    return table->rows.n_rows > 0 ? SL_OK : REFUSE(table, SL_ERROR_FORMAT, "%s holds no rows behind its header", table->source.path);
}

/* Class numbers for texts, in sorted order. */
static int number_labels(struct table *table, struct sl_dataset *out)
{
    uint32_t *numbers = malloc(out->n_rows * sizeof *numbers);
    if (!numbers || sl_texts_number(&table->labels, numbers, &out->n_classes, &out->classes)) {
        free(numbers);
        return refuse_memory(table);
    }
    for (uint32_t i = 0; i < out->n_rows; i++) out->labels[i] = (float)numbers[i];
    free(numbers);

    if (out->n_classes <= SL_CLASSES_MAX) return SL_OK;
    return REFUSE(table, SL_ERROR_FORMAT, "%s: %u different labels, at most %d are possible; is this the right label column?",
                  table->source.path, out->n_classes, SL_CLASSES_MAX);
}

static int number_clients(struct table *table, struct sl_dataset *out)
{
    uint32_t *clients = malloc(table->clients.n_texts * sizeof *clients);
    if (!clients || sl_texts_number(&table->clients, clients, &out->n_clients, NULL)) {
        free(clients);
        return refuse_memory(table);
    }
    out->clients = clients;
    return SL_OK;
}

/* Moves the names of the feature columns over. */
static int move_names(struct table *table, struct sl_dataset *out)
{
    if (!table->names) return SL_OK;

    out->columns = calloc(out->n_features, sizeof *out->columns);
    if (!out->columns) return refuse_memory(table);

    uint32_t feature = 0;
    for (uint32_t i = 0; i < table->n_columns; i++) {
        if (!is_feature(table, i)) continue;
        out->columns[feature++] = table->names[i];
        table->names[i] = NULL;
    }
    return SL_OK;
}

static void finish_table(struct table *table)
{
    for (uint32_t i = 0; table->names && i < table->n_columns; i++) free(table->names[i]);
    free(table->names);
    free(table->cells);
    sl_rows_finish(&table->rows);
    sl_texts_finish(&table->labels);
    sl_texts_finish(&table->clients);
    sl_source_close(&table->source);
}

static int begin_table(struct table *table, const struct sl_read_options *options, char *why, size_t why_size)
{
    table->label_wish = options->label && *options->label ? options->label : "last";
    table->client_wish = options->client_column && *options->client_column ? options->client_column : NULL;
    table->task = options->task;
    if (sl_number_parse_substitute(options->impute, &table->substitute)) return SL_OK;

    return SL_REFUSE(why, why_size, SL_ERROR_FORMAT, "impute \"%s\" is not a number that can stand for missing values", options->impute);
}

int sl_csv_read(const char *path, const struct sl_read_options *options, struct sl_dataset *out, char *why, size_t why_size)
{
    struct table table = {.delimiter = 0};
    struct sl_dataset dataset = {0};

    int error = begin_table(&table, options, why, why_size);
    if (!error) error = sl_source_open(&table.source, path, why, why_size);
    if (!error) error = read_rows(&table);
    if (error) goto out;

    sl_rows_move(&table.rows, table.task, &dataset);
    error = move_names(&table, &dataset);
    if (!error && table.labels_are_texts) error = number_labels(&table, &dataset);
    if (!error && table.client != NO_COLUMN) error = number_clients(&table, &dataset);
    if (error) goto out;

    *out = dataset;
    dataset = (struct sl_dataset){0};
out:
    sl_dataset_finish(&dataset);
    finish_table(&table);
    return error;
}

/* Reads the column `wish` of every row into the table's clients. */
static int read_client_column(struct table *table, const char *wish)
{
    uint32_t column = 0;
    int error = next_row(table);
    if (error == SL_ERROR_NOT_FOUND) return REFUSE(table, SL_ERROR_FORMAT, "%s is empty", table->source.path);
    if (!error) error = find_column(table, wish, NO_COLUMN, &column);
    if (!error) error = keep_names(table);

    while (!error) {
        error = next_row(table);
        if (error == SL_ERROR_NOT_FOUND) return SL_OK;
        if (!error) error = check_width(table);
        if (!error) error = read_client(table, column);
    }
    return error;
}

int sl_csv_read_clients(const char *file_and_column, struct sl_dataset *dataset, char *why, size_t why_size)
{
    const char *colon = strrchr(file_and_column, ':');
    if (!colon || colon == file_and_column || colon[1] == 0)
        return SL_REFUSE(why, why_size, SL_ERROR_FORMAT, "clients are told by FILE:COLUMN, not by \"%s\"", file_and_column);

    char *path = strndup(file_and_column, (size_t)(colon - file_and_column));
    if (!path) return SL_REFUSE(why, why_size, SL_ERROR_NO_MEMORY, "not enough memory to read %s", file_and_column);

    struct table table = {.delimiter = 0};
    int error = sl_source_open(&table.source, path, why, why_size);
    if (!error) error = read_client_column(&table, colon + 1);
    if (!error && table.clients.n_texts != dataset->n_rows)
        error = REFUSE(&table, SL_ERROR_FORMAT, "%s has %u rows behind its header, but the data have %u: one is needed for each", path,
                       table.clients.n_texts, dataset->n_rows);
    if (!error) {
        free(dataset->clients);
        dataset->clients = NULL;
        error = number_clients(&table, dataset);
    }
    finish_table(&table);
    free(path);
    return error;
}
