/* SPDX-License-Identifier: MIT */
#ifndef SL_DATA_NUMBER_H
#define SL_DATA_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/* Numbers as text, quickly: tables have millions of them and most are short. */

enum { SL_NUMBER_TEXT_MAX = 24 };

/* A whole text that is a decimal number ("3", "-0.5", "1e-3"), rounded to the nearest double; what is too large becomes infinite. False for all else:
 * no blanks, no hexadecimal, no "inf" or "nan". */
bool sl_number_parse(const char *text, double *out);

/* Writes the shortest of %.9g, which reads back as the same float; `value` is finite. Returns the length. */
size_t sl_number_print(float value, char out[SL_NUMBER_TEXT_MAX]);

/* Whether the value is finite as a float. */
bool sl_number_fits(double value);

/* The number that stands for missing values, NaN for none ("" or NULL). False, and nothing set, when the text is anything else. */
bool sl_number_parse_substitute(const char *text, double *out);

/* Whether the text stands for a missing value: empty, "?", "NA", "nan" (any case). */
bool sl_number_is_missing(const char *text);

/* Whether the text is a written infinity: "inf", "-Infinity" and the like. */
bool sl_number_is_infinity(const char *text);

#endif
