/* SPDX-License-Identifier: MIT */
#ifndef SL_TESTS_SESSION_CHECKS_H
#define SL_TESTS_SESSION_CHECKS_H

#include "session_world.h"

/*
 * What must hold whatever liars do, asserted for every member that is honest. With STARLING_COVERAGE in the environment the program prints at its end how
 * often each type of message met each state, and each change of state.
 */
void checks_begin(const struct world *world);

/* An honest session says, accuses, or tells something; a message reaches one. */
void checks_sent(const struct world *world, uint32_t self, uint32_t author, const struct sl_envelope *envelope);
void checks_accused(const struct world *world, uint32_t member, const uint8_t *body, size_t size);
void checks_told(const struct world *world, enum sl_session_news news, uint32_t member);
void checks_delivered(const struct world *world, uint32_t to, enum sl_message_type type);

/* A message of somebody else that is passed on must have come in just so; was it truly its author's? */
bool checks_may_relay(const struct world *world, uint32_t self, const struct sl_envelope *envelope);

/* Coordinate j of a member's input of that size; it is remembered, so that sums can be checked. */
uint32_t checks_input(const struct world *world, uint32_t member, uint32_t j, int32_t size);

void checks_member(struct world *world, uint32_t member);
void checks_wiped(const struct world *world, uint32_t member);

#endif
