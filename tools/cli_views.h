/* SPDX-License-Identifier: MIT */
#ifndef CLI_VIEWS_H
#define CLI_VIEWS_H

#include <stdio.h>

#include "cli.h"
#include "cli_text.h"

/* Parts of views that `top` shows too. `data` is a node's answer to the command of that name. */

enum cli_order { CLI_BY_CONTACT, CLI_BY_NAME, CLI_BY_SENT, CLI_BY_RECEIVED, CLI_BY_REFUSED, CLI_ORDERS };

extern const char *const cli_order_names[CLI_ORDERS];

/* What is wrong, in words, before anything else; nothing when all is well. Returns the lines it took. */
uint32_t cli_print_banner(const struct cli *cli, const json_t *status, FILE *file);

/* The tables are empty before and finished by the caller. */
void cli_peers_table(const struct cli *cli, const json_t *data, enum cli_order order, bool reversed, struct cli_table *out);
void cli_epochs_table(const struct cli *cli, const json_t *data, struct cli_table *out);

#endif
