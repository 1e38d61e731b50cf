/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_SPENDING_H
#define SL_RUNTIME_SPENDING_H

#include <stddef.h>

#include "runtime/setup.h"

/*
 * The ledger and the last output among all that a node starts with. A ledger that is damaged or missing, or that was opened for something else than what is
 * configured now, is refused in words: without it nobody knows what was spent.
 */

/* Reads and checks `privacy.ledger` against the configuration, and changes nothing: a node may be running. Needs configuration, identity and state. */
int sl_spending_read(struct sl_setup *setup, char *why, size_t why_size);

/* As sl_setup_hold() says. */
int sl_spending_hold(struct sl_setup *setup, char *why, size_t why_size);

void sl_spending_finish(struct sl_spending *spending);

#endif
