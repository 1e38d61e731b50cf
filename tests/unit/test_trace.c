/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "cohort/session.h"
#include "starling/error.h"
#include "starling/trace.h"

static const struct sl_trace_event example = {.type = SL_TRACE_PULLED, .a = 4};

Test(trace, every_event_has_a_name_and_a_sentence_without_letters_left_over)
{
    for (int type = 0; type < SL_TRACE_COUNT; type++) {
        struct sl_trace_event event = {.type = (enum sl_trace_type)type, .a = 12, .b = 34, .error = SL_ERROR_IO};
        char text[256];

        size_t length = sl_trace_text(&event, "n7", text, sizeof text);

        cr_assert_gt(length, 0);
        cr_assert_eq(length, strlen(text));
        cr_assert_null(strchr(text, '%'), "%s: '%s'", sl_trace_name(event.type), text);
        for (const char *at = sl_trace_name(event.type); *at; at++) cr_assert(isupper(*at) || *at == '_');
    }
}

Test(trace, puts_peer_and_numbers_in_their_places)
{
    char text[128];

    sl_trace_text(&example, "n7", text, sizeof text);
    cr_assert_str_eq(text, "pulled an aggregate of 4 members from n7");

    struct sl_trace_event aggregate = {.type = SL_TRACE_AGGREGATE, .a = 5, .b = 4};
    sl_trace_text(&aggregate, "", text, sizeof text);
    cr_assert_str_eq(text, "aggregate of 5 members signed by 4");
    cr_assert_str_eq(sl_trace_name(SL_TRACE_AGGREGATE), "AGGREGATE");
}

Test(trace, prints_an_epsilon_in_thousandths)
{
    const struct { int64_t millionths; const char *text; } cases[] = {
        {312345, "0.312"}, {7000999, "7.000"}, {12045000, "12.045"}, {1000, "0.001"}, {0, "0.000"}, {INT64_MAX, "9223372036854.775"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128], wanted[128] = "privacy budget spent at epsilon ";
        struct sl_trace_event event = {.type = SL_TRACE_BUDGET_SPENT, .a = cases[i].millionths};
        sl_trace_text(&event, "", text, sizeof text);
        strcat(wanted, cases[i].text);
        strcat(wanted, ": learns no more, goes on merging");
        cr_assert_str_eq(text, wanted);
    }
}

Test(trace, prints_the_error_in_words)
{
    struct sl_trace_event event = {.type = SL_TRACE_PULL_FAILED, .error = SL_ERROR_NOT_FOUND};
    char text[128];

    sl_trace_text(&event, "n7", text, sizeof text);

    cr_assert_str_eq(text, "no aggregate from n7 (not found)");
}

Test(trace, names_steps_of_a_cohort_and_reasons_in_words)
{
    struct sl_trace_event dropped = {.type = SL_TRACE_DROPPED, .a = SL_STEP_AUDIT}, empty = {.type = SL_TRACE_VOID_ALONE, .a = SL_STEP_LIST_SHARES},
                          refused = {.type = SL_TRACE_REFUSED, .a = 2}, unknown = {.type = SL_TRACE_REFUSED, .a = -1};
    char text[128];

    sl_trace_text(&dropped, "n7", text, sizeof text);
    cr_assert_str_eq(text, "dropped n7: silent at the audit");
    sl_trace_text(&empty, "", text, sizeof text);
    cr_assert_str_eq(text, "cohort void at the list of shares: too few members, or a sum that cannot be");
    sl_trace_text(&refused, "n7", text, sizeof text);
    cr_assert_str_eq(text, "n7 contributes nothing: it leaves");
    sl_trace_text(&unknown, "n7", text, sizeof text);
    cr_assert_str_eq(text, "n7 contributes nothing: an unknown one");
    for (int64_t step = 0; step < SL_STEP_COUNT; step++) {
        dropped.a = step;
        sl_trace_text(&dropped, "n7", text, sizeof text);
        cr_assert_null(strstr(text, "unknown"), "step %d has a word", (int)step);
    }
}

Test(trace, says_what_becomes_of_a_node_whose_state_is_bad_or_that_stalls)
{
    struct sl_trace_event unreadable = {.type = SL_TRACE_STATE_UNREADABLE, .error = SL_ERROR_WRONG_NETWORK};
    struct sl_trace_event stalled = {.type = SL_TRACE_STALLED, .a = 5, .b = 2};
    char text[128];

    sl_trace_text(&unreadable, "", text, sizeof text);
    cr_assert_eq(strncmp(text, "its saved state is not usable (", 31), 0, "%s", text);
    cr_assert_not_null(strstr(text, "): starts from the genesis model"), "%s", text);
    sl_trace_text(&stalled, "", text, sizeof text);
    cr_assert_str_eq(text, "stalled: nothing merged for 5 epochs, 2 peers reachable");
}

Test(trace, prints_the_extreme_numbers)
{
    struct sl_trace_event event = {.type = SL_TRACE_CLOCK, .a = INT64_MIN, .b = INT64_MAX};
    char text[128];

    sl_trace_text(&event, "", text, sizeof text);

    cr_assert_str_eq(text, "clock is -9223372036854775808 s off against 9223372036854775807 peers");
}

Test(trace, cuts_to_the_buffer_and_tells_the_length_it_wanted)
{
    char whole[128];
    size_t wanted = sl_trace_text(&example, "n7", whole, sizeof whole);

    for (size_t size = 1; size <= wanted + 1; size++) {
        char text[128];
        memset(text, '#', sizeof text);

        size_t length = sl_trace_text(&example, "n7", text, size);

        cr_assert_eq(length, wanted);
        cr_assert_eq(strlen(text), size - 1);
        cr_assert_arr_eq(text, whole, size - 1);
        cr_assert_eq(text[size], '#', "nothing may be written behind the buffer");
    }
}

Test(trace, a_buffer_of_no_bytes_is_only_measured)
{
    cr_assert_eq(sl_trace_text(&example, "n7", NULL, 0), strlen("pulled an aggregate of 4 members from n7"));
}
