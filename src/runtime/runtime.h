/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_RUNTIME_H
#define SL_RUNTIME_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tap.h"
#include "runtime/setup.h"

/*
 * The driver of one node in a process of its own: sockets, clock, files and threads around the core. One loop owns the core and all sockets; a
 * thread trains and a thread stores; libzmq has its own. Nothing in the loop blocks.
 */
struct sl_run_options {
    uint64_t epochs_max;             /* stop after this many epochs in which the node could act; 0: run until told to stop */
    bool hold;                       /* listen, but take no part before a line comes on standard input */
    bool verbose;                    /* log every trace event */
    const struct sl_tap *tap;        /* on the node; NULL: none */
};

/* Runs until SIGINT, SIGTERM or epochs_max, stores the state and, with epochs_max, writes summary.json. Signals must not be handled elsewhere.
 * Changes setup->config.trace. A failure: a negative code, and a sentence in `why` that says what to do. */
int sl_runtime_run(struct sl_setup *setup, const struct sl_run_options *options, char *why, size_t why_size);

#endif
