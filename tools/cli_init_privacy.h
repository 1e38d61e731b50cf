/* SPDX-License-Identifier: MIT */
#ifndef CLI_INIT_PRIVACY_H
#define CLI_INIT_PRIVACY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli_plan_record.h"
#include "starling/config.h"

/* The part of `starling init` that gives a node its budget: asks for what only its owner can know, works out the rest, and says what it means. */

enum { CLI_EPOCHS_PLANNED = 200 };

struct cli_init_privacy {
    /* given: by flags, NULL for none */
    const char *epsilon, *delta, *epochs, *records, *dataset;
    const char *folder;                          /* of the node: its last part is the data's name unless there is another */
    uint32_t dim, n_rows;
    bool may_ask;                                /* a person sits at the terminal */

    /* found */
    uint64_t n_epochs;                           /* that fit into the budget (unit node), or were planned (unit record) */
    double first, first_floor;                   /* epsilon after one epoch; floor: against all others together */
    double after, after_floor;                   /* and after n_epochs */
    bool is_default[5];                          /* dataset, records, epsilon, delta, epochs: nobody said */
    char doubt[CLI_PLAN_WHY_SIZE];
};

/* Flags into options: to be called before those of --set. SL_ERROR_BAD_ARGUMENT and what sl_config_set() says, with a sentence in why[CLI_WHY_SIZE]. */
int cli_init_privacy_flags(struct cli_init_privacy *privacy, struct sl_config *config, char *why);

/* Fills in what is still open; what --set gave stays. The configuration is then whole, but not checked. Nothing where privacy.unit is off. */
int cli_init_privacy_plan(struct cli_init_privacy *privacy, struct sl_config *config, char *why);

void cli_init_privacy_say(const struct cli_init_privacy *privacy, const struct sl_config *config);

/* {"unit", "dataset", "records", "epsilon", "delta", "epochs", ...} */
json_t *cli_init_privacy_answer(const struct cli_init_privacy *privacy, const struct sl_config *config);

#endif
