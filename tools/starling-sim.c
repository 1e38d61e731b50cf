/* SPDX-License-Identifier: MIT */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "sim_prepare.h"
#include "sim_rule.h"
#include "sim_run.h"
#include "sim_split.h"

void openblas_set_num_threads(int n_threads);        /* <cblas.h> is for the models alone */

enum { EXIT_MACHINE = 1, EXIT_ARGUMENTS = 4 };

static const char usage[] =
    "usage: starling-sim COMMAND [options]\n"
    "\n"
    "  run        simulate a network of nodes that learn together, in one process, under a virtual clock\n"
    "  rule       apply one merge rule to vectors from a file\n"
    "  split      deal the rows of a data set out to nodes, one CSV a node\n"
    "  prepare    make the directories of a closed network of real nodes on this machine\n"
    "\n"
    "`starling-sim COMMAND --help` tells more.\n"
    "\n"
    "example: starling-sim run --nodes 16 --data fashion-mnist --scale divide:255 --model mlp:64 --epochs 20\n";

int main(int argc, char **argv)
{
    static const struct { const char *name; int (*run)(int argc, char **argv); } commands[] = {
        {"run", sim_run}, {"rule", sim_rule}, {"split", sim_split}, {"prepare", sim_prepare},
    };
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
    if (sodium_init() < 0) {
        fputs("starling-sim: libsodium does not start on this machine\n", stderr);
        return EXIT_MACHINE;
    }
    openblas_set_num_threads(1);     /* the cores are used by running simulations side by side */

    for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);

    if (argc >= 2) fprintf(stderr, "starling-sim: there is no command '%s'; wanted: run, rule, split or prepare\n\n", argv[1]);
    fputs(usage, stderr);
    return EXIT_ARGUMENTS;
}
