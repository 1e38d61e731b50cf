/* SPDX-License-Identifier: MIT */
#ifndef SL_CONFIG_NAMES_H
#define SL_CONFIG_NAMES_H

#include <stdint.h>

/*
 * A list of names in one line of text, as the network descriptor holds the names of columns and classes: "age,blood%20pressure". Commas part them;
 * blanks, control characters, commas, quotes and percent signs stand as %XX, so that every list has exactly one spelling.
 */
struct sl_names {
    uint32_t n;                      /* 0: no list */
    char **names;                    /* owned; free with sl_names_finish() */
};

enum { SL_NAMES_LINE_MAX = 1 << 20 };

void sl_names_finish(struct sl_names *names);

/* How one character of a name is spelled: as itself, or %XX. Returns `out`. */
const char *sl_names_letter(char c, char out[4]);

/* The line on the heap; NULL when memory is short. A line of more than SL_NAMES_LINE_MAX bytes is not read back: see to that. */
char *sl_names_join(char *const *names, uint32_t n);

/* SL_ERROR_FORMAT (a spelling that join never makes, too long), SL_ERROR_NO_MEMORY; then `out` is left alone. */
int sl_names_split(const char *line, struct sl_names *out);

/* SL_ERROR_NO_MEMORY. */
int sl_names_copy(char *const *names, uint32_t n, struct sl_names *out);

#endif
