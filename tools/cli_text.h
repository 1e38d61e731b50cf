/* SPDX-License-Identifier: MIT */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* How things are said: texts of peers made harmless, sizes, ages, tables. */

enum { CLI_SHORT_SIZE = 32, CLI_ID_DIGITS = 8 };

/* Copies what is harmless on a terminal: control and escape characters, invalid UTF-8, marks that turn the direction of writing or have no width become '?';
 * without utf8 all that is not ASCII does. Ends `out` at a whole character; size at least 1. */
void cli_clean(const char *text, bool utf8, char *out, size_t size);

/* Columns of a terminal that a cleaned text takes. */
uint32_t cli_width(const char *text);

/* Cuts a cleaned text at a whole character, to at most `width` columns. */
void cli_shorten(char *text, uint32_t width);

/* "812 B", "4.2 KiB", "13 MiB" */
void cli_size_text(double bytes, char out[CLI_SHORT_SIZE]);

/* "<1 s", "12 s", "4 min", "3 h", "2 days" */
void cli_age_text(double seconds, char out[CLI_SHORT_SIZE]);

/* The first digits of an id, or all. */
void cli_id_text(const char *id, bool full, char *out, size_t size);

/* ---- tables ---- */

struct cli_column {
    const char *title;
    bool right;                              /* numbers stand under each other */
    uint8_t leave;                           /* where the terminal is too narrow, columns go from the highest on; 0: stays */
};

enum { CLI_COLUMNS_MAX = 25 };

struct cli_table {
    const struct cli_column *columns;
    uint32_t n_columns, n_cells, n_cells_max;
    char **cells;                            /* row after row */
    bool failed;                             /* memory was short */
};

/* The next cell, copied. */
void cli_table_put(struct cli_table *table, const char *text);

/* With titles, in aligned columns; at most `width` wide, 0 as wide as it gets, and at most rows_max rows. */
void cli_table_print(const struct cli_table *table, FILE *file, uint32_t width, uint32_t rows_max);

/* A line a row, cells parted by tabs, no titles. */
void cli_table_dump(const struct cli_table *table, FILE *file);

void cli_table_finish(struct cli_table *table);

#endif
