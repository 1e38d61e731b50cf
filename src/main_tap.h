/* SPDX-License-Identifier: MIT */
#ifndef STARLINGD_MAIN_TAP_H
#define STARLINGD_MAIN_TAP_H

#include "base/tap.h"

/* The tap of the program that this main() is linked into: takes options of its own off the arguments. starlingd has none, and none to switch one on
 * (main_tap.c); starlingd-adversary, a program of the tests, puts a liar there. */
const struct sl_tap *starlingd_tap(int *argc, char **argv);

#endif
