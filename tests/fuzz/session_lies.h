/* SPDX-License-Identifier: MIT */
#ifndef SL_TESTS_SESSION_LIES_H
#define SL_TESTS_SESSION_LIES_H

#include "session_world.h"

/* Messages of liars, well formed and truly signed, that their sessions would never say. Numbers are taken modulo what there is. */

/* A waiting packet of a liar says something else: `field` of its body is changed at `place`; to everybody who has not got it yet, or to this receiver alone. */
void lie_change(struct world *world, uint32_t index, uint32_t field, uint32_t place, bool to_all);

/* A LIST of these members with the hashes that were said, on top of the LIST before it. */
void lie_list(struct world *world, uint32_t liar, uint32_t to, enum sl_session_step step, uint32_t members);

/* A key, true in itself, though nobody lied about it. */
void lie_reveal(struct world *world, uint32_t liar, uint32_t kind, uint32_t index);

void lie_need(struct world *world, uint32_t liar, uint32_t to, uint32_t step, uint32_t from);

/* The body of a packet as if it were the liar's own. */
void lie_copy(struct world *world, uint32_t liar, uint32_t index);

/* Any bytes as a body. */
void lie_body(struct world *world, uint32_t liar, uint32_t to, enum sl_message_type type, const uint8_t *body, size_t size);

#endif
