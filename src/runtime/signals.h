/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_SIGNALS_H
#define SL_RUNTIME_SIGNALS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * SIGINT, SIGTERM and SIGHUP ask the loop to save and leave; a SIGHUP that was ignored at the start (nohup) stays so. SIGPIPE is ignored: whoever read the
 * log may go. One user per process, as signals are.
 */

/* From now on a signal makes the descriptor (>= 0) readable. SL_ERROR_IO. */
int sl_signals_open(int *out_descriptor, char *why, size_t why_size);

/* Takes what is waiting; true when the loop was asked to end. */
bool sl_signals_taken(void);

/* From here on another signal must not cut a wait for a thread short. */
void sl_signals_hold_back(void);

void sl_signals_close(void);

#endif
