/* SPDX-License-Identifier: MIT */
#ifndef CLI_VALUES_H
#define CLI_VALUES_H

#include "cli.h"
#include "cli_text.h"

/* Values of a node's answer as they are shown. Whatever is missing, null or of another kind than expected is not known: "-". */

enum { CLI_VALUE_SIZE = 512 };

/* "epoch.number" inside an object; NULL when it is not there. */
json_t *cli_at(const json_t *object, const char *path);

double cli_number(const json_t *object, const char *path);           /* NaN: not known */
bool cli_is_true(const json_t *object, const char *path);

/* Cleaned for the terminal, into `out` of CLI_VALUE_SIZE bytes, which is returned. */
const char *cli_string(const struct cli *cli, const json_t *object, const char *path, char *out);
const char *cli_count(const json_t *object, const char *path, char *out);
const char *cli_bytes(const json_t *object, const char *path, char *out);
const char *cli_age(const json_t *object, const char *path, char *out);
const char *cli_real(const json_t *object, const char *path, int digits, char *out);
const char *cli_id(const struct cli *cli, const json_t *object, const char *path, char *out);

/* The value as scripts want it: whole numbers plain, texts cleaned, yes or no. */
const char *cli_plain(const struct cli *cli, const json_t *object, const char *path, char *out);

/* A line "key TAB value" for each value of the object, keys as paths. */
void cli_dump_object(const struct cli *cli, const json_t *object);

#endif
