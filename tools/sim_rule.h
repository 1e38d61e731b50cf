/* SPDX-License-Identifier: MIT */
#ifndef SL_TOOLS_SIM_RULE_H
#define SL_TOOLS_SIM_RULE_H

/* `starling-sim rule`: applies one merge rule to the vectors of a file and prints the result. argv[0] is the word "rule".
 * Returns the exit code: 0, 1 (machine: memory, output) or 4 (arguments or input; nothing was printed to stdout). */
int sim_rule(int argc, char **argv);

#endif
