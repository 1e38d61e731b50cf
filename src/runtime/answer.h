/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_ANSWER_H
#define SL_RUNTIME_ANSWER_H

#include <jansson.h>
#include <stdbool.h>

#include "runtime/glance.h"

/* What the control socket answers (docs/control.md), as JSON: one look at the node turned into the objects of the contract. */

/* The whole answer to a command that only looks: status, health, privacy, peers, epochs, events, config, model. NULL if it is another command. */
json_t *sl_answer(const struct sl_glance *glance, const char *command, const json_t *arguments);

/* The peer that "peer" names: a unique prefix of a known id, or any whole id. NULL, and its id in `out`; or the answer that says why not. */
json_t *sl_answer_find_peer(const struct sl_glance *glance, const json_t *arguments, uint8_t out[32]);

/* {"peer": id} */
json_t *sl_answer_peer_id(const uint8_t id[32]);

#endif
