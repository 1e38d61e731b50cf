/* SPDX-License-Identifier: MIT */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/* The terminal under stdout, and its use by a live view. */

/* Columns of the terminal; 0 when stdout is none. */
uint32_t cli_terminal_columns(void);

/* Rows of the terminal; 24 when it does not tell. */
uint32_t cli_terminal_rows(void);

/* Is stdout a terminal that knows colours? */
bool cli_terminal_has_color(void);

/* Takes the screen and reads single keys, until cli_terminal_leave(): also when a signal ends the program. False without a terminal on stdin and stdout. */
bool cli_terminal_enter(void);
void cli_terminal_leave(void);

/* Has a signal asked to end? SIGINT, SIGTERM, SIGHUP, SIGQUIT. */
bool cli_terminal_must_end(void);

/* After Ctrl-Z: gives the screen back, sleeps until the shell wakes the program, takes the screen again. Returns whether it did. */
bool cli_terminal_sleep_if_asked(void);

/* Waits up to `seconds` for a key; 0 when none came. Signals end the wait. */
int cli_terminal_key(double seconds);

#endif
