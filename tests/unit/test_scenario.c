/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "sim/scenario.h"
#include "starling/error.h"

enum { EPOCH_US = 60000000, NODES = 10 };

static struct sl_scenario scenario;
static char why[400];

static int parse(const char *text)
{
    why[0] = 0;
    return sl_scenario_parse(text, "storm.conf", NODES, EPOCH_US, &scenario, why, sizeof why);
}

Test(scenario, reads_every_verb)
{
    int error = parse("# a storm\n"
                      "at 120s partition 0.5\nat 120s partition 0-3/4-7\nat 300s heal   # and calm again\n\n"
                      "at 60s join 4\nat 90s crash 3 for 20s\nat 90s crash 1,5-6 for 1m with torn state\nat 95s restart 3 with old state\n"
                      "at 10s loss 0.02\nat 10s delay 40ms\nat 0s duplicate 0.1\nat 0s reorder .1\nat 0s store-fail 0.05\n"
                      "at 0s slow 2 x100\nat 0s clock 3 -2h\nat 0s churn 0.3\nat 0s one-way 1 2\nat 2e crash-at kept 1-3 for 2s\nat 9e calm");

    cr_assert_eq(error, SL_OK, "%s", why);
    cr_assert_eq(scenario.n_faults, 18);
    sl_scenario_finish(&scenario);
}

Test(scenario, orders_by_time_and_keeps_the_order_of_lines_within_a_moment)
{
    cr_assert_eq(parse("at 2s loss 0.2\nat 1s loss 0.1\nat 2s delay 1s\nat 1s heal\n"), SL_OK);

    const enum sl_fault_type wanted[] = {SL_FAULT_LOSS, SL_FAULT_HEAL, SL_FAULT_LOSS, SL_FAULT_DELAY};
    for (int i = 0; i < 4; i++) cr_assert_eq(scenario.faults[i].type, wanted[i], "line %d", i);
    sl_scenario_finish(&scenario);
}

Test(scenario, knows_units_of_time_and_epochs)
{
    cr_assert_eq(parse("at 500ms heal\nat 1.5s heal\nat 2m heal\nat 1h heal\nat 3e heal"), SL_OK, "%s", why);

    const uint64_t wanted[] = {500000, 1500000, 120000000, 3 * (uint64_t)EPOCH_US, 3600000000u};
    for (int i = 0; i < 5; i++) cr_assert_eq(scenario.faults[i].at_us, wanted[i], "line %d", i);
    sl_scenario_finish(&scenario);
}

Test(scenario, puts_unnamed_nodes_into_the_first_group)
{
    cr_assert_eq(parse("at 1s partition 2/4-5,9"), SL_OK, "%s", why);

    const uint8_t wanted[NODES] = {0, 0, 0, 0, 1, 1, 0, 0, 0, 1};
    cr_assert_arr_eq(scenario.faults[0].groups, wanted, NODES);
    sl_scenario_finish(&scenario);
}

Test(scenario, parts_by_share)
{
    cr_assert_eq(parse("at 1s partition 0.3"), SL_OK, "%s", why);

    const uint8_t wanted[NODES] = {0, 0, 0, 1, 1, 1, 1, 1, 1, 1};
    cr_assert_arr_eq(scenario.faults[0].groups, wanted, NODES);
    sl_scenario_finish(&scenario);
}

Test(scenario, reads_the_point_of_a_round_at_which_nodes_crash)
{
    cr_assert_eq(parse("at 1s crash-at charge 2\nat 2s crash-at sent 3 for 5s"), SL_OK, "%s", why);

    cr_assert_eq(scenario.faults[0].type, SL_FAULT_CRASH_AT);
    cr_assert_eq(scenario.faults[0].point, SL_POINT_CHARGE);
    cr_assert_eq(scenario.faults[0].time_us, 0, "for good");
    cr_assert_eq(scenario.faults[1].point, SL_POINT_SENT);
    cr_assert_eq(scenario.faults[1].time_us, 5000000);
    cr_assert_eq(scenario.faults[1].groups[3], 1);
    sl_scenario_finish(&scenario);

    cr_assert_eq(parse("at 1s crash-at lunch 2"), SL_ERROR_FORMAT);
    cr_assert(strstr(why, "'lunch'"), "%s", why);
    cr_assert_eq(parse("at 1s crash-at kept 2 with old state"), SL_ERROR_FORMAT);
}

Test(scenario, reads_offsets_with_sign)
{
    cr_assert_eq(parse("at 0s clock 1 -2h\nat 0s clock 2 +30s\nat 0s clock 3 1s"), SL_OK, "%s", why);

    cr_assert_eq(scenario.faults[0].time_us, -7200000000);
    cr_assert_eq(scenario.faults[1].time_us, 30000000);
    cr_assert_eq(scenario.faults[2].time_us, 1000000);
    sl_scenario_finish(&scenario);
}

Test(scenario, says_where_and_what_would_be_right)
{
    cr_assert_eq(parse("at 1s heal\n# fine\nat 2s crush 3\n"), SL_ERROR_FORMAT);

    cr_assert(strstr(why, "storm.conf:3:"), "%s", why);
    cr_assert(strstr(why, "'crush'"), "%s", why);
    cr_assert(strstr(why, "crash"), "%s", why);
}

Test(scenario, refuses_what_it_does_not_understand)
{
    static const char *const lines[] = {
        "heal",
        "at heal",
        "at 5 heal",
        "at -1s heal",
        "at 1y heal",
        "at nan heal",
        "at 1s",
        "at 1s heal now",
        "at 1s loss",
        "at 1s loss 1.5",
        "at 1s loss -0.1",
        "at 1s loss nan",
        "at 1s loss 0x1p-2",
        "at 1s loss 0.1%",
        "at 1s delay 40",
        "at 1s slow 2 100",
        "at 1s slow 2 x0",
        "at 1s slow x100",
        "at 5s clock 1 2h",
        "at 0s clock 1 2",
        "at 1s crash",
        "at 1s crash 10",
        "at 1s crash 3-1",
        "at 1s crash 1,",
        "at 1s crash 1/2",
        "at 1s crash 1 for",
        "at 1s crash 1 for ever",
        "at 1s crash 1 with state",
        "at 1s crash 1 with broken state",
        "at 1s restart 1 for 5s",
        "at 1s partition",
        "at 1s partition 2",
        "at 1s partition 1/",
        "at 1s partition 0-3/4-70", "at 1s partition 0-3/3-7", "at 1s partition 0/all",
        "at 1s one-way 1",
        "at 1s one-way 1 10",
        "at 1s join 99999999999999999999",
        "at 1s churn 2",
        "at 1s a b c d e f g h i j k l m",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        cr_assert_lt(parse(lines[i]), 0, "accepted: %s", lines[i]);
        cr_assert(strstr(why, "storm.conf:1: "), "%s", why);
        cr_assert(strstr(why, "wanted"), "%s", why);
    }
}

Test(scenario, reads_an_empty_text_as_no_faults)
{
    cr_assert_eq(parse(""), SL_OK);
    cr_assert_eq(scenario.n_faults, 0);
    cr_assert_eq(parse("\n\n   \n# nothing\r\n"), SL_OK);
    cr_assert_eq(scenario.n_faults, 0);
}

Test(scenario, refuses_a_line_longer_than_its_buffer)
{
    static char text[6000];
    memset(text, ' ', sizeof text - 1);

    cr_assert_eq(parse(text), SL_ERROR_FORMAT);
    cr_assert(strstr(why, "4095"), "%s", why);
}

Test(scenario, says_that_a_file_is_missing)
{
    int error = sl_scenario_read("/nowhere/storm.conf", NODES, EPOCH_US, &scenario, why, sizeof why);

    cr_assert_eq(error, SL_ERROR_NOT_FOUND);
    cr_assert(strstr(why, "/nowhere/storm.conf"), "%s", why);
}
