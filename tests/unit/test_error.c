/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>

#include "starling/error.h"

static const char unknown[] = "unknown error";

Test(error, codes_count_down_from_minus_one_so_that_old_numbers_keep_their_meaning)
{
    cr_assert_eq(SL_OK, 0);
    cr_assert_eq(SL_ERROR_NO_MEMORY, -1);
    cr_assert_eq(SL_ERROR_BAD_ARGUMENT, -2);
    cr_assert_eq(SL_ERROR_OUT_OF_RANGE, -3);
}

Test(error, every_code_has_a_text_of_its_own_that_reads_inside_a_sentence)
{
    for (int code = 0; code > -SL_ERROR_INDEX_COUNT; code--) {
        const char *text = sl_error_text(code);

        cr_assert_not_null(text);
        cr_assert_gt(strlen(text), 4);
        cr_assert_neq(text[strlen(text) - 1], '.', "'%s' ends with a full stop", text);
        cr_assert_str_neq(text, unknown);
        for (int other = 0; other > code; other--) cr_assert_str_neq(text, sl_error_text(other));
    }
}

Test(error, codes_that_do_not_exist_are_called_unknown)
{
    static const int codes[] = {1, INT_MAX, -SL_ERROR_INDEX_COUNT, -SL_ERROR_INDEX_COUNT - 1, INT_MIN};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) cr_assert_str_eq(sl_error_text(codes[i]), unknown);
}
