/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../../tools/cli_words.h"

static const char *label, *data;
static bool changed;
static struct cli_words words;
static char why[512];

/* The words of a line, sorted. */
static bool sort(const char *line)
{
    static char text[256], *argv[16];
    const struct cli_flag flags[] = {{"--label", &label, NULL}, {"--data", &data, NULL}, {"--changed", NULL, &changed}, {"--set", NULL, NULL}, {0}};
    int argc = 0;
    char *rest = NULL;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) argv[argc++] = word;
    return cli_words_sort(argc, argv, flags, 2, &words, why, sizeof why);
}

Test(cli_words, come_in_any_order_with_values_behind_a_blank_or_an_equals_sign)
{
    cr_assert(sort("init --label=last dir --data mine.csv --changed more"), "%s", why);

    cr_assert_str_eq(label, "last");
    cr_assert_str_eq(data, "mine.csv");
    cr_assert(changed);
    cr_assert_eq(words.n_plain, 2);
    cr_assert_str_eq(words.plain[0], "dir");
    cr_assert_str_eq(words.plain[1], "more");
}

Test(cli_words, keep_every_setting)
{
    cr_assert(sort("init --set a=1 --set=b=2"), "%s", why);
    cr_assert_eq(words.n_settings, 2);
    cr_assert_str_eq(words.settings[1], "b=2", "only the first equals sign parts flag and value");
}

Test(cli_words, behind_two_dashes_are_never_flags)
{
    cr_assert(sort("init -- --label"), "%s", why);
    cr_assert_str_eq(words.plain[0], "--label");
}

Test(cli_words, that_make_no_sense_are_named)
{
    cr_assert_not(sort("init --lable last"));
    cr_assert_not_null(strstr(why, "'--lable' is not known here; known: --label --data"));
    cr_assert_not(sort("init --data"));
    cr_assert_not_null(strstr(why, "--data needs a value"));
    cr_assert_not(sort("init a b c"));
    cr_assert_not_null(strstr(why, "'c' is one word too many"));
}
