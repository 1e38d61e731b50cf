/* SPDX-License-Identifier: MIT */
#ifndef SL_TOOLS_SIM_PREPARE_H
#define SL_TOOLS_SIM_PREPARE_H

/* `starling-sim prepare`: makes a closed network of node directories for one machine, ready for starlingd. argv[0] is the word "prepare".
 * Returns the exit code: 0, 1 (machine: memory, disk, ports) or 4 (arguments or input). */
int sim_prepare(int argc, char **argv);

#endif
