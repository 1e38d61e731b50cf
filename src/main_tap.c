/* SPDX-License-Identifier: MIT */
#include "main_tap.h"

#include <stddef.h>

const struct sl_tap *starlingd_tap(int *argc, char **argv)
{
    (void)argc, (void)argv;
    return NULL;
}
