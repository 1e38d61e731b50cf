/* SPDX-License-Identifier: MIT */
#ifndef SL_TOOLS_SIM_SPLIT_H
#define SL_TOOLS_SIM_SPLIT_H

/* `starling-sim split`: deals a data set out to nodes and writes one CSV a node. argv[0] is the word "split".
 * Returns the exit code: 0, 1 (machine: memory, output) or 4 (arguments or input; no file was written). */
int sim_split(int argc, char **argv);

#endif
