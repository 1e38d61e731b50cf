/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sim/adversary.h"
#include "sim/adversary_parts.h"

static const uint8_t seed[32] = {7};

Test(adversary, finds_every_attack_by_a_name_of_its_own)
{
    for (int i = 0; sl_adversaries[i]; i++) {
        cr_assert_eq(sl_adversary_find(sl_adversary_name(sl_adversaries[i])), sl_adversaries[i], "%s", sl_adversary_name(sl_adversaries[i]));
        cr_assert_gt(strlen(sl_adversary_summary(sl_adversaries[i])), 10);
    }
    cr_assert_null(sl_adversary_find("honesty"));
}

Test(adversary, takes_a_name_and_a_count)
{
    const struct sl_adversary *found;
    uint32_t count;
    char why[1024];

    cr_assert(sl_adversary_parse("vanish-open:3", 10, &found, &count, why, sizeof why));

    cr_assert_str_eq(sl_adversary_name(found), "vanish-open");
    cr_assert_eq(count, 3);
}

Test(adversary, refuses_what_is_no_name_or_no_count_and_says_what_would_be)
{
    static const char *const wrong[] = {"vanish-open", "vanish-open:", "vanish-open:0", "vanish-open:11", "vanish-open:x", "vanish-open:-1", ":3", "nobody:3"};
    const struct sl_adversary *found = NULL;
    uint32_t count;
    char why[1024];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        why[0] = 0;
        cr_assert_not(sl_adversary_parse(wrong[i], 10, &found, &count, why, sizeof why), "%s", wrong[i]);
        cr_assert(strstr(why, "COUNT") || strstr(why, "vanish-shares"), "%s: %s", wrong[i], why);
    }
    cr_assert_null(found);
}

/* A node whose liar has nothing to lie about sends what it would have sent. */
Test(adversary, leaves_what_is_no_concern_of_its_attack_as_it_is)
{
    static const uint8_t bytes[] = "not even a message";
    const struct sl_send sends[] = {{1, bytes, sizeof bytes}, {2, bytes, 3}};
    struct sl_actions actions = {.sends = sends, .n_sends = 2};
    struct sl_gang *gang = sl_gang_new();
    struct sl_liar *liar = sl_liar_new(sl_adversary_find("withheld-aggregate"), gang, seed);
    struct sl_node *node = calloc(1, sizeof *node);
    struct sl_tap tap = sl_liar_tap(liar);

    tap.event(tap.context, node, &(struct sl_event){.type = SL_EVENT_TICK});
    tap.actions(tap.context, node, &actions);

    cr_assert_eq(actions.n_sends, 2);
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(actions.sends[i].link, sends[i].link);
        cr_assert_eq(actions.sends[i].data, sends[i].data);
        cr_assert_eq(actions.sends[i].size, sends[i].size);
    }
    cr_assert_eq(sl_liar_strikes(liar), 0);
    free(node);
    sl_liar_destroy(&liar);
    sl_gang_destroy(&gang);
}
