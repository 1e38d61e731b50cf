/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "config/names.h"
#include "starling/error.h"

#define TEXT(text) ((char[]){text})     /* names are owned, so not const */

Test(names, read_back_what_was_written_whatever_the_characters)
{
    char *names[] = {TEXT("age"), TEXT("blood pressure"), TEXT("a,b"), TEXT("100%"), TEXT("say \"hi\""), TEXT("tab\there"),
                     TEXT("größe"), TEXT(""), TEXT("#x = 1")};
    uint32_t n = sizeof names / sizeof names[0];
    struct sl_names read = {0};

    char *line = sl_names_join(names, n);
    cr_assert_eq(sl_names_split(line, &read), SL_OK);

    cr_assert_eq(read.n, n);
    for (uint32_t i = 0; i < n; i++) cr_assert_str_eq(read.names[i], names[i]);
    cr_assert_null(strchr(line, ' '), "a line of the descriptor is trimmed: blanks must not stand in it");
    sl_names_finish(&read);
    free(line);
}

Test(names, have_one_spelling_so_that_one_list_gives_one_network)
{
    const char *wrong[] = {"%61", "%2c", "a b", "%", "%2", "a%00", "\"a\"", "%zz"};
    for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct sl_names read = {.n = 7};
        cr_assert_eq(sl_names_split(wrong[i], &read), SL_ERROR_FORMAT, "%s", wrong[i]);
        cr_assert_eq(read.n, 7, "left alone");
    }
}

Test(names, at_the_end_of_the_line_are_decoded_too)
{
    struct sl_names read = {0};
    cr_assert_eq(sl_names_split("a,b%2C", &read), SL_OK);
    cr_assert_str_eq(read.names[1], "b,");
    sl_names_finish(&read);
}
