/* SPDX-License-Identifier: MIT */
#include "cli_text.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INVALID = 0xffffffff };

/* ---- characters ---- */

struct range {
    uint32_t first, last;
};

static bool is_among(uint32_t point, const struct range *ranges, uint32_t n_ranges)
{
    for (uint32_t i = 0; i < n_ranges; i++)
        if (point >= ranges[i].first && point <= ranges[i].last) return true;
    return false;
}

/* The character that `text` begins with and its length; INVALID with length 1 for what is no UTF-8 in its shortest form. */
static uint32_t take_point(const char *text, uint32_t *out_length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    *out_length = 1;
    if (bytes[0] < 0x80) return bytes[0];

    uint32_t length = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4) return INVALID;
    uint32_t point = bytes[0] & (0xffu >> (length + 1));
    for (uint32_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) return INVALID;       /* also the end of the text */
        point = point << 6 | (bytes[i] & 0x3fu);
    }
    bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
    if (point < least[length] || point > 0x10ffff || is_surrogate) return INVALID;
    *out_length = length;
    return point;
}

/* Controls of terminals, marks without width, marks that turn the direction of writing, separators of lines, tags, private and unassigned planes. */
static bool is_harmful(uint32_t point)
{
    static const struct range harmful[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x34f, 0x34f},   {0x61c, 0x61c},   {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},
        {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164}, {0xe000, 0xf8ff}, {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
        {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0x1d173, 0x1d17a}, {0x40000, 0x10ffff}};
    return is_among(point, harmful, sizeof harmful / sizeof harmful[0]);
}

static bool is_combining(uint32_t point)
{
    static const struct range combining[] = {{0x300, 0x36f}, {0x483, 0x489}, {0x591, 0x5bd}, {0x610, 0x61a}, {0x64b, 0x65f}, {0xe31, 0xe31}, {0xe34, 0xe3a},
                                             {0xe47, 0xe4e}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0x3099, 0x309a}, {0xfe20, 0xfe2f}};
    return is_among(point, combining, sizeof combining / sizeof combining[0]);
}

static bool is_wide(uint32_t point)
{
    static const struct range wide[] = {{0x1100, 0x115e}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f},
                                        {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd}};
    return is_among(point, wide, sizeof wide / sizeof wide[0]);
}

/* One mark may stand on a letter; towers of them cover the lines above. */
void cli_clean(const char *text, bool utf8, char *out, size_t size)
{
    assert(size >= 1);
    size_t used = 0;
    bool on_letter = false;
    while (*text) {
        uint32_t length, point = take_point(text, &length);
        bool combines = point != INVALID && is_combining(point);
        bool stays = point != INVALID && !is_harmful(point) && (utf8 || point < 0x80) && (!combines || on_letter);
        size_t n = stays ? length : 1;
        if (used + n >= size) break;
        memcpy(out + used, stays ? text : "?", n);
        used += n;
        on_letter = stays && !combines;
        text += length;
    }
    out[used] = 0;
}

uint32_t cli_width(const char *text)
{
    uint32_t width = 0, length;
    for (; *text; text += length) {
        uint32_t point = take_point(text, &length);
        width += is_combining(point) ? 0 : is_wide(point) ? 2 : 1;
    }
    return width;
}

void cli_shorten(char *text, uint32_t width)
{
    size_t end = strlen(text);
    while (cli_width(text) > width) {
        do end--;
        while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80);
        text[end] = 0;
    }
}

/* ---- numbers in words ---- */

void cli_size_text(double bytes, char out[CLI_SHORT_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    uint32_t unit = 0;
    for (; bytes >= 1023.5 && unit + 1 < sizeof units / sizeof units[0]; unit++) bytes /= 1024;
    snprintf(out, CLI_SHORT_SIZE, unit > 0 && bytes < 9.95 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

void cli_age_text(double seconds, char out[CLI_SHORT_SIZE])
{
    if (!(seconds >= 1)) snprintf(out, CLI_SHORT_SIZE, "<1 s");
    else if (seconds < 120) snprintf(out, CLI_SHORT_SIZE, "%.0f s", floor(seconds));
    else if (seconds < 120 * 60) snprintf(out, CLI_SHORT_SIZE, "%.0f min", floor(seconds / 60));
    else if (seconds < 48 * 3600) snprintf(out, CLI_SHORT_SIZE, "%.0f h", floor(seconds / 3600));
    else snprintf(out, CLI_SHORT_SIZE, "%.0f days", floor(seconds / 86400));
}

void cli_id_text(const char *id, bool full, char *out, size_t size)
{
    cli_clean(id, false, out, size);
    if (!full && strlen(out) > CLI_ID_DIGITS) out[CLI_ID_DIGITS] = 0;
}

/* ---- tables ---- */

void cli_table_put(struct cli_table *table, const char *text)
{
    if (table->n_cells == table->n_cells_max) {
        uint32_t n = table->n_cells_max ? 2 * table->n_cells_max : 256;
        char **cells = realloc(table->cells, n * sizeof *cells);
        if (!cells) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->n_cells_max = n;
    }
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy) memcpy(copy, text, size);
    else table->failed = true;
    if (copy) table->cells[table->n_cells++] = copy;
}

/* What a column needs, and whether it says anything. */
struct measure {
    uint32_t width;
    bool is_shown, says_something;
};

static void measure_columns(const struct cli_table *table, uint32_t n_rows, struct measure measures[CLI_COLUMNS_MAX])
{
    for (uint32_t i = 0; i < table->n_columns; i++) measures[i] = (struct measure){.width = cli_width(table->columns[i].title), .is_shown = true};
    for (uint32_t i = 0; i < n_rows * table->n_columns; i++) {
        struct measure *measure = &measures[i % table->n_columns];
        uint32_t width = cli_width(table->cells[i]);
        if (width > measure->width) measure->width = width;
        if (strcmp(table->cells[i], "-") != 0) measure->says_something = true;
    }
}

static uint32_t total_width(const struct cli_table *table, const struct measure *measures)
{
    uint32_t width = 0;
    for (uint32_t i = 0; i < table->n_columns; i++)
        if (measures[i].is_shown) width += measures[i].width + (width > 0 ? 2 : 0);
    return width;
}

/* The next column to leave out: one that says nothing, else the one that is needed least. */
static struct measure *least_needed(const struct cli_table *table, struct measure *measures)
{
    struct measure *least = NULL;
    uint32_t least_rank = 0;
    for (uint32_t i = 0; i < table->n_columns; i++) {
        uint32_t rank = table->columns[i].leave > 0 ? table->columns[i].leave + (measures[i].says_something ? 0u : 256u) : 0;
        if (measures[i].is_shown && rank > least_rank) {
            least_rank = rank;
            least = &measures[i];
        }
    }
    return least;
}

static void print_row(const struct cli_table *table, const struct measure *measures, const char *const *cells, FILE *file)
{
    uint32_t owed = 0;                           /* blanks are printed only when something follows */
    bool is_first = true;
    for (uint32_t i = 0; i < table->n_columns; i++) {
        if (!measures[i].is_shown) continue;
        uint32_t room = measures[i].width - cli_width(cells[i]);
        owed += (is_first ? 0 : 2) + (table->columns[i].right ? room : 0);
        if (cells[i][0]) {
            fprintf(file, "%*s%s", (int)owed, "", cells[i]);
            owed = 0;
        }
        owed += table->columns[i].right ? 0 : room;
        is_first = false;
    }
    fputc('\n', file);
}

void cli_table_print(const struct cli_table *table, FILE *file, uint32_t width, uint32_t rows_max)
{
    assert(table->n_columns <= CLI_COLUMNS_MAX);
    struct measure measures[CLI_COLUMNS_MAX];
    const char *titles[CLI_COLUMNS_MAX];
    uint32_t n_rows = table->n_cells / table->n_columns;
    if (n_rows > rows_max) n_rows = rows_max;
    measure_columns(table, n_rows, measures);
    while (width > 0 && total_width(table, measures) > width) {
        struct measure *least = least_needed(table, measures);
        if (!least) break;
        least->is_shown = false;
    }
    for (uint32_t i = 0; i < table->n_columns; i++) titles[i] = table->columns[i].title;
    print_row(table, measures, titles, file);
    for (uint32_t row = 0; row < n_rows; row++) print_row(table, measures, (const char *const *)table->cells + row * table->n_columns, file);
}

void cli_table_dump(const struct cli_table *table, FILE *file)
{
    for (uint32_t i = 0; i < table->n_cells; i++) fprintf(file, "%s%c", table->cells[i], (i + 1) % table->n_columns == 0 ? '\n' : '\t');
}

void cli_table_finish(struct cli_table *table)
{
    for (uint32_t i = 0; i < table->n_cells; i++) free(table->cells[i]);
    free(table->cells);
    *table = (struct cli_table){0};
}
