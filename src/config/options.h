/* SPDX-License-Identifier: MIT */
#ifndef SL_CONFIG_OPTIONS_H
#define SL_CONFIG_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "starling/config.h"

/* The lines of options.def as data: for --help, configuration files and docs/config.md. */

enum sl_option_scope { SL_SCOPE_NETWORK, SL_SCOPE_NODE };

enum sl_option_kind { SL_KIND_UINT, SL_KIND_REAL, SL_KIND_DURATION, SL_KIND_TEXT, SL_KIND_CHOICE };

struct sl_option {
    const char *key;
    enum sl_option_scope scope;
    enum sl_option_kind kind;
    const char *initial;     /* the default, as text */
    const char *min, *max;   /* empty for TEXT; CHOICE: min holds the allowed words, separated by | */
    const char *help;
    size_t offset;           /* of its field in struct sl_config */
};

uint32_t sl_config_count(void);
const struct sl_option *sl_config_option(uint32_t i);                /* i < sl_config_count(); order of options.def */
const struct sl_option *sl_config_find(const char *key);             /* or NULL */

/* The part of sl_config_check() that concerns the network's options: what must hold of a descriptor, whatever a node chooses. */
int sl_config_check_network(const struct sl_config *config, char *why, size_t why_size);

/* "whole number, 1 .. 16", "one of mean|median", ...: what a value must look like, without the default. Returns the length needed, like snprintf. */
size_t sl_option_range(const struct sl_option *option, char *out, size_t size);

/* Prints every option of a scope as a ZPL configuration file: sections for dotted keys, the help, range and default as comments,
 * then the value. zconfig reads it back. SL_ERROR_IO. */
int sl_config_write_commented(FILE *file, const struct sl_config *config, enum sl_option_scope scope);

#endif
