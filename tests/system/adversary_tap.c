/* SPDX-License-Identifier: MIT */
/* starlingd-adversary: starlingd's own main() with a liar's tap on the node. "--attack NAME" chooses which, "--attacks" lists them. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "main_tap.h"
#include "sim/adversary.h"
#include "starling/event.h"

enum { EXIT_BAD_CONFIG = 4 };

struct hand { struct sl_tap tap, liars; const struct sl_liar *liar; const struct sl_adversary *adversary; };

static void tell(const struct hand *hand)
{
    fprintf(stderr, "ADVERSARY: %s struck %llu times\n", sl_adversary_name(hand->adversary), (unsigned long long)sl_liar_strikes(hand->liar));
}

static void on_event(void *context, struct sl_node *node, struct sl_event *event)
{
    const struct hand *hand = context;
    hand->liars.event(hand->liars.context, node, event);
    if (event->type == SL_EVENT_STOP) tell(hand);
}

static void on_actions(void *context, struct sl_node *node, struct sl_actions *actions)
{
    const struct hand *hand = context;
    hand->liars.actions(hand->liars.context, node, actions);
}

/* It lives as long as the process. */
static const struct sl_tap *make_hand(const struct sl_adversary *adversary)
{
    uint8_t seed[32];
    struct hand *hand = calloc(1, sizeof *hand);
    struct sl_gang *gang = sl_gang_new();
    randombytes_buf(seed, sizeof seed);
    struct sl_liar *liar = gang ? sl_liar_new(adversary, gang, seed) : NULL;
    if (!hand || !liar) {
        fputs("starlingd-adversary: not enough memory\n", stderr);
        exit(1);
    }
    *hand = (struct hand){.tap = {hand, on_event, on_actions}, .liars = sl_liar_tap(liar), .liar = liar, .adversary = adversary};
    fprintf(stderr, "ADVERSARY: this node lies to its peers on purpose: it %s\n", sl_adversary_summary(adversary));
    return &hand->tap;
}

static void list_all(void)
{
    for (int i = 0; sl_adversaries[i]; i++) printf("%-20s %s\n", sl_adversary_name(sl_adversaries[i]), sl_adversary_summary(sl_adversaries[i]));
    exit(0);
}

const struct sl_tap *starlingd_tap(int *argc, char **argv)
{
    const struct sl_adversary *adversary = NULL;
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--attacks") == 0) list_all();
        if (strcmp(argv[i], "--attack") == 0 && i + 1 < *argc) adversary = sl_adversary_find(argv[++i]);
        else argv[kept++] = argv[i];
    }
    *argc = kept;
    argv[kept] = NULL;
    if (adversary) return make_hand(adversary);
    fputs("starlingd-adversary: --attack NAME is needed; --attacks lists the names\n", stderr);
    exit(EXIT_BAD_CONFIG);
}
