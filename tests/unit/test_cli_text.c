/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../../tools/cli_text.h"

static const char *clean(const char *text)
{
    static char out[128];
    cli_clean(text, true, out, sizeof out);
    return out;
}

Test(cli_text, lets_plain_and_foreign_letters_through)
{
    cr_assert_str_eq(clean("ward 7 (B)"), "ward 7 (B)");
    cr_assert_str_eq(clean("Zürich 東京 Żółć"), "Zürich 東京 Żółć");
}

Test(cli_text, takes_the_power_from_controls_and_escapes)
{
    cr_assert_str_eq(clean("\033[2Jx"), "?[2Jx");
    cr_assert_str_eq(clean("a\tb\nc\rd\x7f"), "a?b?c?d?");
    cr_assert_str_eq(clean("\xc2\x9b" "31m"), "?31m", "CSI as one character");
}

Test(cli_text, takes_the_power_from_marks_that_turn_writing_or_have_no_width)
{
    cr_assert_str_eq(clean("\u202egpj.exe"), "?gpj.exe");
    cr_assert_str_eq(clean("a\u200bb\u2066c\ufeffd\u2028e"), "a?b?c?d?e");
}

Test(cli_text, takes_no_invalid_utf8)
{
    cr_assert_str_eq(clean("\xc0\xaf"), "??", "a slash written too long");
    cr_assert_str_eq(clean("\xed\xa0\x80"), "???", "half of a pair");
    cr_assert_str_eq(clean("\xf4\x90\x80\x80"), "????", "beyond the last character");
    cr_assert_str_eq(clean("ab\xe6\x9d"), "ab??", "cut in the middle");
    cr_assert_str_eq(clean("\x9b\xff"), "??");
}

Test(cli_text, lets_no_tower_of_marks_stand)
{
    cr_assert_str_eq(clean("e\u0301\u0302\u0303"), "e\u0301??");
}

Test(cli_text, shows_ascii_only_where_the_terminal_knows_no_more)
{
    char out[16];
    cli_clean("Z\xc3\x9b", false, out, sizeof out);
    cr_assert_str_eq(out, "Z?");
}

Test(cli_text, ends_at_a_whole_character)
{
    char out[4];
    cli_clean("ab東", true, out, sizeof out);
    cr_assert_str_eq(out, "ab");
}

Test(cli_text, cuts_to_a_width)
{
    char text[] = "a東京b";
    cr_assert_eq(cli_width(text), 6);
    cli_shorten(text, 4);
    cr_assert_str_eq(text, "a東");
}

Test(cli_text, says_sizes_and_ages_in_words)
{
    static const struct {
        double value;
        const char *size, *age;
    } cases[] = {{0, "0 B", "<1 s"}, {812, "812 B", "13 min"}, {1023, "1023 B", "17 min"}, {4300, "4.2 KiB", "71 min"}, {1048576, "1.0 MiB", "12 days"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char size[CLI_SHORT_SIZE], age[CLI_SHORT_SIZE];
        cli_size_text(cases[i].value, size);
        cli_age_text(cases[i].value, age);
        cr_expect_str_eq(size, cases[i].size);
        cr_expect_str_eq(age, cases[i].age);
    }
}

static char *printed(const struct cli_table *table, uint32_t width, uint32_t rows_max)
{
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    cli_table_print(table, file, width, rows_max);
    fclose(file);
    return text;
}

Test(cli_text, aligns_columns_and_leaves_out_what_does_not_fit)
{
    static const struct cli_column columns[] = {{"NAME", false, 0}, {"EMPTY", false, 1}, {"N", true, 2}};
    struct cli_table table = {.columns = columns, .n_columns = 3};
    const char *cells[] = {"東京", "-", "7", "b", "-", "123"};
    for (uint32_t i = 0; i < 6; i++) cli_table_put(&table, cells[i]);

    char *whole = printed(&table, 0, 9), *narrow = printed(&table, 12, 9), *first = printed(&table, 4, 1);

    cr_expect_str_eq(whole, "NAME  EMPTY    N\n東京  -        7\nb     -      123\n");
    cr_expect_str_eq(narrow, "NAME    N\n東京    7\nb     123\n", "a column that says nothing goes first");
    cr_expect_str_eq(first, "NAME\n東京\n");
    free(whole), free(narrow), free(first);
    cli_table_finish(&table);
}
