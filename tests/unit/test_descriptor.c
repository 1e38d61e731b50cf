/* SPDX-License-Identifier: MIT */
/* Numeric addresses as strangers write them, and the groups they belong to. */
#include <criterion/criterion.h>
#include <string.h>

#include "overlay/descriptor.h"

static const uint8_t one[32] = {1}, other[32] = {2};

Test(address, is_read_in_every_numeric_spelling)
{
    struct sl_address address;
    cr_assert(sl_address_parse("192.0.2.7:7400", &address));
    cr_assert_eq(address.port, 7400);
    cr_assert_arr_eq(address.ip, ((uint8_t[16]){[10] = 0xff, 0xff, 192, 0, 2, 7}), 16);
    cr_assert(sl_address_parse("[2001:db8::7]:1", &address));
    cr_assert_arr_eq(address.ip, ((uint8_t[16]){0x20, 1, 0x0d, 0xb8, [15] = 7}), 16);
    cr_assert(sl_address_parse("[::1]:65535", &address));
    cr_assert_arr_eq(address.ip, ((uint8_t[16]){[15] = 1}), 16);
    cr_assert(sl_address_parse("[fe80::]:80", &address));
    cr_assert(sl_address_parse("[1:2:3:4:5:6:7:8]:80", &address));
    cr_assert(sl_address_parse("[::ffff:10.1.2.3]:80", &address));
    cr_assert_arr_eq(address.ip, ((uint8_t[16]){[10] = 0xff, 0xff, 10, 1, 2, 3}), 16);
}

Test(address, is_refused_when_anything_is_wrong_with_it)
{
    static const char *const wrong[] = {
        "", ":", "7400", "192.0.2.7", "192.0.2.7:", "192.0.2.7:0", "192.0.2.7:65536", "192.0.2.7:99999999999", "192.0.2.256:1", "192.0.2:1", "192.0.2.7.8:1",
        "192.0.2.7:1 ", " 192.0.2.7:1", "192.0.2.7:-1", "example.org:7400", "0.0.0.0:7400", "[::]:7400", "[::1]", "[::1]:", "[::1]:0", "::1:7400", "[1:2]:1",
        "[1:2:3:4:5:6:7]:1", "[1:2:3:4:5:6:7:8:9]:1", "[1::2::3]:1", "[12345::]:1", "[fe80::1%eth0]:1", "[::1.2.3]:1", "[1:]:1", "[::ffff:0.0.0.0]:1", "[:]:1",
        "[1:2:3:4:5:6:7:1.2.3.4]:1", "[::1:7400", "tcp://1.2.3.4:5",
    };
    struct sl_address before = {.port = 9}, address = before;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) cr_assert_not(sl_address_parse(wrong[i], &address), "%s", wrong[i]);
    cr_assert_eq(address.port, before.port, "untouched on failure");
}

Test(address, is_told_to_be_local)
{
    static const char *const local[] = {"127.0.0.1:1", "10.9.8.7:1", "172.16.0.1:1", "172.31.255.1:1", "192.168.1.1:1", "169.254.1.1:1", "100.64.0.1:1",
                                        "[::1]:1", "[fd00::1]:1", "[fe80::1]:1"};
    static const char *const global[] = {"128.0.0.1:1", "11.0.0.1:1", "172.32.0.1:1", "192.169.1.1:1", "100.128.0.1:1", "[2001:db8::1]:1"};
    struct sl_address address;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        cr_assert(sl_address_parse(local[i], &address) && sl_address_is_local(&address), "%s", local[i]);
    for (size_t i = 0; i < sizeof global / sizeof *global; i++)
        cr_assert(sl_address_parse(global[i], &address) && !sl_address_is_local(&address), "%s", global[i]);
}

Test(address, is_told_to_lead_to_no_other_machine)
{
    static const char *const here[] = {"127.9.0.1:1", "169.254.1.1:1", "224.0.0.1:1", "255.255.255.255:1", "0.1.2.3:1",
                                       "[::1]:1", "[fe80::1]:1", "[ff02::1]:1"};
    static const char *const there[] = {"10.9.8.7:1", "192.168.1.1:1", "223.255.0.1:1", "169.253.1.1:1", "[fd00::1]:1", "[2001:db8::1]:1"};
    struct sl_address address;
    for (size_t i = 0; i < sizeof here / sizeof *here; i++)
        cr_assert(sl_address_parse(here[i], &address) && sl_address_is_of_one_machine(&address), "%s", here[i]);
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        cr_assert(sl_address_parse(there[i], &address) && !sl_address_is_of_one_machine(&address), "%s", there[i]);
}

Test(group, is_that_of_the_network_and_not_of_the_identity)
{
    struct sl_group a = sl_group_of("192.0.2.7:1", one, true), b = sl_group_of("192.0.2.9:2", other, true), c = sl_group_of("192.0.3.9:2", one, true);
    cr_assert(a.wide == b.wide && a.narrow == b.narrow);
    cr_assert(a.wide == c.wide && a.narrow != c.narrow);
    cr_assert_neq(a.wide, sl_group_of("192.1.2.7:1", one, true).wide);
    cr_assert_eq(sl_group_of("[2001:db8:1::1]:1", one, true).wide, sl_group_of("[2001:db8:2::1]:1", other, true).wide);
    cr_assert_neq(sl_group_of("[2001:db8:1::1]:1", one, true).narrow, sl_group_of("[2001:db8:2::1]:1", one, true).narrow);
    cr_assert_eq(sl_group_of("[::ffff:192.0.2.7]:1", one, true).wide, a.wide, "the same network in another spelling");
}

Test(group, is_each_identitys_own_where_addresses_tell_nothing)
{
    cr_assert_neq(sl_group_of("127.0.0.1:1", one, true).wide, sl_group_of("127.0.0.1:2", other, true).wide);
    cr_assert_eq(sl_group_of("127.0.0.1:1", one, false).wide, sl_group_of("127.0.0.1:2", other, false).wide);
    cr_assert_eq(sl_group_of("", one, true).wide, sl_group_of("", other, true).wide, "all who say nothing are one");
}
