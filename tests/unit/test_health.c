/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/glance.h"

static struct sl_setup setup;
static struct sl_glance glance;
static struct sl_status status;
static struct sl_health health;

/* A node that is well: ten epochs old, four peers, a year of membership left. */
static void make_well(void)
{
    sl_config_init(&setup.config);
    sl_config_set(&setup.config, "privacy.unit", "off", NULL, 0);
    setup.folder = "/var/lib/starling/n1";
    setup.certificate_expires_s = 1000000 + 365 * 86400;
    snprintf(setup.identity.address, sizeof setup.identity.address, "10.0.0.7:7400");
    glance = (struct sl_glance){.setup = &setup, .now_us = 1000000ull * 1000000};
    status = (struct sl_status){.epochs_seen = 10, .peers_live = 4};
}

TestSuite(health, .init = make_well);

static void expect_reason(bool healthy, const char *part)
{
    sl_health_of(&glance, &status, &health);
    cr_expect_eq(health.healthy, healthy, "%s", health.reason);
    cr_expect_not_null(strstr(health.reason, part), "%s", health.reason);
}

static bool is_warned(const char *part)
{
    sl_health_of(&glance, &status, &health);
    for (uint32_t i = 0; i < health.n_warnings; i++)
        if (strstr(health.warnings[i], part)) return true;
    return false;
}

Test(health, a_node_that_is_well_has_no_reason_and_one_warning)
{
    sl_health_of(&glance, &status, &health);

    cr_assert(health.healthy);
    cr_assert_str_empty(health.reason);
    cr_assert_eq(health.n_warnings, 1);
    cr_assert_not_null(strstr(health.warnings[0], "privacy is off"));
}

Test(health, a_stalled_node_gives_the_cores_reason_unless_it_is_young)
{
    status.stalled = true;
    strcpy(status.reason, "nothing merged for 5 epochs: 1 peer reachable, 3 needed");
    expect_reason(false, "1 peer reachable, 3 needed");

    status.epochs_seen = 2;
    expect_reason(true, "starting");
}

Test(health, a_full_disk_and_a_wrong_clock_count_from_the_first_epoch)
{
    status.epochs_seen = 0;
    status.clock_peers = 5;
    status.clock_off_s = -3 * 3600 - 20 * 60;
    expect_reason(false, "the clock is 3 h behind 5 peers");

    status.clock_off_s = 90;
    expect_reason(false, "90 s ahead of 5 peers");

    glance.state_failing = true;
    expect_reason(false, "make room in /var/lib/starling/n1");
    cr_assert_eq(health.trouble, SL_TROUBLE_DISK);
}

Test(health, warnings_come_before_the_trouble)
{
    cr_assert_not(is_warned("certificate"));
    setup.certificate_expires_s = 1000000 + 6 * 86400;
    cr_assert(is_warned("expires in 6.0 days"));
    setup.certificate_expires_s = 1000000;
    cr_assert(is_warned("has expired"));
    setup.certificate_expires_s = UINT64_MAX;
    cr_assert_not(is_warned("certificate"), "in an open network it never does");

    cr_assert_not(is_warned("reachable"));
    status.peers_live = 1;
    cr_assert(is_warned("1 peer reachable, 3 needed"));

    setup.identity.address[0] = 0;
    cr_assert(is_warned("no address"));
}

Test(health, all_warnings_at_once_have_their_places)
{
    glance.leaving = glance.book_failing = glance.clock_stepped = true;
    setup.certificate_expires_s = 1000000;
    setup.identity.address[0] = 0;
    cr_assert(is_warned("told") || is_warned("left"));
    cr_assert(is_warned("address book"));
    cr_assert(is_warned("wall clock was set"));
    cr_assert_leq(health.n_warnings, SL_HEALTH_WARNINGS);
}

/* ---- privacy ---- */

static void protect_records(double spent)
{
    sl_config_set(&setup.config, "privacy.unit", "record", NULL, 0);
    setup.config.privacy_records = 600;
    status.privacy = (struct sl_privacy_status){.unit = 1, .adjacency = 1, .epsilon = spent, .epsilon_floor = spent, .eps_max = 8, .delta = 1e-5,
                                                 .rounds_left = 3};
}

Test(health, a_protected_node_warns_when_four_fifths_of_its_budget_are_spent_and_not_before)
{
    protect_records(6.3);
    cr_expect_not(is_warned("privacy"));

    protect_records(6.5);
    cr_expect(is_warned("81 % of the budget is spent (epsilon 6.5 of 8), enough for 3 more epochs"));
}

Test(health, a_node_with_a_spent_budget_is_healthy_and_says_that_it_learns_no_more)
{
    protect_records(7.9);
    status.privacy.is_spent = true;

    expect_reason(true, "");
    cr_expect(is_warned("learns no more from its data, goes on merging"));
}

Test(health, a_network_whose_budgets_are_spent_has_ended_but_a_node_that_is_cut_off_is_stalled)
{
    protect_records(7.9);
    setup.config.cohort_min_size = 4;
    status.privacy.is_spent = true;
    status.stalled = true;
    strcpy(status.reason, "nothing merged for 9 epochs");
    expect_reason(true, "nobody around learns anything new");

    status.peers_live = 1;
    expect_reason(false, "nothing merged for 9 epochs");
}

Test(health, a_node_whose_ledger_cannot_be_trusted_or_written_is_not_healthy)
{
    protect_records(1);
    status.privacy.is_blocked = true;
    strcpy(status.reason, "a peer shows a newer ledger of this node");
    expect_reason(false, "does not learn from its data: a peer shows a newer ledger");

    status.privacy.is_blocked = false;
    glance.ledger_failing = true;
    expect_reason(false, "the disk does not take the privacy ledger");
}

Test(health, a_score_on_private_rows_is_told_to_nobody_but_an_owner_who_asks)
{
    struct sl_model model = {.task = SL_TASK_CLASSIFY};
    struct sl_score score = {.accuracy = .875, .n_rows = 64};
    struct sl_job_result result = {.n_rows = 613};
    double told;
    setup.model = &model;
    cr_expect(sl_own_score(&setup, &score, &told));
    cr_expect_eq(sl_rows_told(&setup, &result), 613);

    protect_records(1);
    cr_expect_not(sl_own_score(&setup, &score, &told));
    cr_expect_not(sl_own_score_for_owner(&setup, &score, &told));
    cr_expect_eq(sl_rows_told(&setup, &result), 600, "the public figure");

    sl_config_set(&setup.config, "privacy.show_own_accuracy", "yes", NULL, 0);
    cr_expect_not(sl_own_score(&setup, &score, &told));
    cr_expect(sl_own_score_for_owner(&setup, &score, &told));
}
