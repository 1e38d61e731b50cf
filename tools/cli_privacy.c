/* SPDX-License-Identifier: MIT */
/* starling privacy, and starling privacy reset. */
#include "cli.h"

int cli_privacy_show(struct cli *cli, int argc, char **argv)
{
    (void)argc, (void)argv;
    return cli_refuse(cli, CLI_FAILED, NULL, "this version cannot show the budget of a node");
}

int cli_privacy_reset(struct cli *cli, int argc, char **argv)
{
    (void)argc, (void)argv;
    return cli_refuse(cli, CLI_FAILED, NULL, "this version cannot begin a new budget");
}
