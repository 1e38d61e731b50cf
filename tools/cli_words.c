/* SPDX-License-Identifier: MIT */
#include "cli_words.h"

#include <stdio.h>
#include <string.h>

/* The flag that `word` begins with, or NULL. */
static const struct cli_flag *find_flag(const struct cli_flag *flags, const char *word)
{
    size_t length = strcspn(word, "=");
    for (; flags->name; flags++)
        if (strlen(flags->name) == length && strncmp(flags->name, word, length) == 0) return flags;
    return NULL;
}

static void list_flags(const struct cli_flag *flags, char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (const struct cli_flag *flag = flags; flag->name && used < size; flag++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", flag == flags ? "" : " ", flag->name);
}

/* The value of the flag at *at, from behind its "=" or from the next word. NULL when there is none. */
static const char *take_value(int argc, char **argv, int *at)
{
    const char *equals = strchr(argv[*at], '=');
    if (equals) return equals + 1;
    return *at + 1 < argc ? argv[++*at] : NULL;
}

bool cli_words_sort(int argc, char **argv, const struct cli_flag *flags, uint32_t n_plain_max, struct cli_words *out, char *why, unsigned why_size)
{
    const char *setting = NULL;
    const struct cli_flag set = {.name = "--set", .value = &setting};
    bool only_plain = false;
    *out = (struct cli_words){0};
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (only_plain || word[0] != '-' || word[1] == 0) {
            if (out->n_plain == n_plain_max) return snprintf(why, why_size, "'%.80s' is one word too many", word), false;
            out->plain[out->n_plain++] = word;
            continue;
        }
        only_plain = strcmp(word, "--") == 0;
        if (only_plain) continue;

        const struct cli_flag *flag = find_flag(flags, word);
        if (flag && flag->value == NULL && flag->is_given == NULL) flag = &set;      /* the command's list says that it takes settings */
        if (!flag) {
            char known[512];
            list_flags(flags, known, sizeof known);
            return snprintf(why, why_size, "'%.80s' is not known here; known: %s", word, known), false;
        }
        if (flag->is_given) {
            *flag->is_given = true;
            continue;
        }
        *flag->value = take_value(argc, argv, &i);
        if (!*flag->value) return snprintf(why, why_size, "%s needs a value behind it", flag->name), false;
        if (flag != &set) continue;
        if (out->n_settings == CLI_SETTINGS_MAX) return snprintf(why, why_size, "at most %d --set are possible", CLI_SETTINGS_MAX), false;
        out->settings[out->n_settings++] = setting;
    }
    return true;
}
