/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_MEMBERSHIP_H
#define SL_RUNTIME_MEMBERSHIP_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/setup.h"

/*
 * Who this node is and whom it knows when it starts: identity.key; admission.cert (a node that joined) or its own line of peers.list (a closed, prepared
 * network); seeds.list; network.secret. Needs the descriptor and the options. Every failure: a negative code, and a sentence in `why` that says what to do.
 */
int sl_membership_read(struct sl_setup *setup, char *why, size_t why_size);

/* True when others cannot dial this listening address: it stands for all addresses of the machine. */
bool sl_address_is_wildcard(const char *address);

#endif
