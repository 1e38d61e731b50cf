/* SPDX-License-Identifier: MIT */
#ifndef CLI_NETWORK_PRIVACY_H
#define CLI_NETWORK_PRIVACY_H

#include <stdint.h>

#include "config/plan.h"
#include "starling/config.h"

/* The part of `starling network create` that says what a network protects. With unit node clip and noise are the network's, and its cohorts must be large. */

enum { CLI_NETWORK_EPOCHS = 100 };

struct cli_network_privacy {
    /* given: by flags, NULL for none */
    const char *unit, *epsilon, *delta, *epochs;

    /* found, unit node */
    double wanted, wanted_delta;
    uint64_t n_epochs;
    double first, first_floor, after, after_floor;       /* epsilon after one epoch and after all; floor: against all others together */
    bool is_planned;                                     /* by us; else --set gave the noise */
};

/* Flags, and all options but those that cli_network_privacy_plan() fills in. Negative codes with a sentence in why[CLI_WHY_SIZE]. */
int cli_network_privacy_check(struct cli_network_privacy *privacy, struct sl_config *config, char *why);

/* Clip, noise and sizes of cohorts of unit node, where --set did not give them; the configuration is then checked for good. */
int cli_network_privacy_plan(struct cli_network_privacy *privacy, struct sl_config *config, uint32_t dim, char *why);

/* What is promised to whom. */
void cli_network_privacy_say(const struct cli_network_privacy *privacy, const struct sl_config *config);

#endif
