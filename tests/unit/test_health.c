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
