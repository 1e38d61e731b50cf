/* SPDX-License-Identifier: MIT */
/* starling privacy reset. */
#include "cli.h"

int cli_privacy_reset(struct cli *cli, int argc, char **argv)
{
    (void)argc, (void)argv;
    return cli_refuse(cli, CLI_FAILED, NULL, "this version cannot begin a new budget");
}
