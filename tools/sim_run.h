/* SPDX-License-Identifier: MIT */
#ifndef SL_TOOLS_SIM_RUN_H
#define SL_TOOLS_SIM_RUN_H

/* `starling-sim run`: simulates a network of nodes that learn together. argv[0] is the word "run".
 * Returns the exit code: 0, 1 (an invariant broke, nobody merged, or memory is short) or 4 (arguments or input). */
int sim_run(int argc, char **argv);

#endif
