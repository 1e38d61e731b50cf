/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/number.h"

Test(number, parses_as_strtod_does)
{
    static const char *const texts[] = {"0",
                                        "-0",
                                        "7",
                                        "+7",
                                        "123456789012345",
                                        "1234567890123456789",
                                        "0.1",
                                        "-0.30",
                                        ".5",
                                        "5.",
                                        "1e3",
                                        "1E-3",
                                        "1.5e+10",
                                        "1e-320",
                                        "179769313486231",
                                        "0.000000000000001",
                                        "1e400",
                                        "-1e400",
                                        "9007199254740993",
                                        "0.00000000000000000000000000000000000000000000000000001"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double value;
        cr_assert(sl_number_parse(texts[i], &value), "%s", texts[i]);
        double expected = strtod(texts[i], NULL);
        cr_assert(value == expected && !signbit(value) == !signbit(expected), "%s", texts[i]);
    }
}

Test(number, refuses_everything_else)
{
    static const char *const texts[] = {"",   "-",     "+",   ".",    "-.",  "e5",  "1e",  "1e+",   "1 ",
                                        " 1", "1.2.3", "1,5", "0x10", "inf", "nan", "--1", "1e5.5", "1_000"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double value = 7;
        cr_assert_not(sl_number_parse(texts[i], &value), "%s", texts[i]);
        cr_assert_eq(value, 7);
    }
}

Test(number, prints_what_reads_back_exactly)
{
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){1});
    for (int i = 0; i < 100000; i++) {
        uint32_t bits = sl_rng_u32(&rng);
        float value, back;
        memcpy(&value, &bits, sizeof value);
        if (i % 4 == 0) value = (float)(bits % 20001) - 10000;
        if (i % 4 == 1) value = (float)(bits % 2000) / 100;
        if (!isfinite(value)) continue;

        char text[SL_NUMBER_TEXT_MAX];
        double parsed;
        size_t size = sl_number_print(value, text);
        cr_assert(size == strlen(text) && sl_number_parse(text, &parsed), "%s", text);
        back = (float)parsed;
        cr_assert(memcmp(&back, &value, sizeof value) == 0, "%s", text);
    }
}

Test(number, prints_integers_short)
{
    static const struct {
        float value;
        const char *text;
    } cases[] = {{0, "0"}, {-0.0f, "-0"}, {9, "9"}, {10, "10"}, {255, "255"}, {9999, "9999"}, {10000, "10000"}, {-3, "-3"}, {0.5f, "0.5"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[SL_NUMBER_TEXT_MAX];
        sl_number_print(cases[i].value, text);
        cr_assert_str_eq(text, cases[i].text);
    }
}

Test(number, tells_missing_from_infinite)
{
    cr_assert(sl_number_is_missing("") && sl_number_is_missing("?") && sl_number_is_missing("NA") && sl_number_is_missing("NaN"));
    cr_assert_not(sl_number_is_missing("0") || sl_number_is_missing("-") || sl_number_is_missing("inf"));
    cr_assert(sl_number_is_infinity("inf") && sl_number_is_infinity("-Infinity"));
    cr_assert_not(sl_number_is_infinity("") || sl_number_is_infinity("info"));
}
