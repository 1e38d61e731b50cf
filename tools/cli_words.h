/* SPDX-License-Identifier: MIT */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* The words behind a command, sorted into flags and the rest. */

enum { CLI_SETTINGS_MAX = 64 };

struct cli_flag {
    const char *name;                    /* "--label"; a NULL name ends a list of flags */
    const char **value;                  /* where its value goes; NULL for a flag without one */
    bool *is_given;                      /* of a flag without a value */
};

struct cli_words {
    const char *plain[4];                /* what is no flag, in order */
    uint32_t n_plain;
    const char *settings[CLI_SETTINGS_MAX];      /* of --set, which may be given again */
    uint32_t n_settings;
};

/* Sorts argv[1] and what follows it; "--name value" and "--name=value" mean the same. False with a sentence in `why` for a flag that is not known or lacks
 * its value, and for more than n_plain_max other words. */
bool cli_words_sort(int argc, char **argv, const struct cli_flag *flags, uint32_t n_plain_max, struct cli_words *out, char *why, unsigned why_size);

#endif
