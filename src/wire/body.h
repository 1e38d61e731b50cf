/* SPDX-License-Identifier: MIT */
#ifndef SL_WIRE_BODY_H
#define SL_WIRE_BODY_H

#include "wire/message.h"

/* What message.c and message_cohort.c share: for readers and writers of bodies alone. */

/* No part of a message is longer than its own type allows. */
enum {
#define X(name, number, is_signed, size_max, help) SL_SIZE_MAX_##name = size_max,
#include "wire/messages.def"
#undef X
};

/* A reader over the items of a body. One that is read under another type's name would give a signature a meaning its signer never meant: MALFORMED. */
struct sl_reader sl_body_reader(const struct sl_envelope *envelope, enum sl_message_type type, uint32_t n_items);

/* The reader's error if there is one; MALFORMED if there is none but `holds` is false. */
int sl_body_finish(const struct sl_reader *reader, bool holds);

/* A nested array of 32-byte bins; how many. */
uint32_t sl_body_read_hashes(struct sl_reader *reader, uint32_t n_max, uint8_t out[][32]);
void sl_body_write_hashes(struct sl_writer *writer, uint32_t n_hashes, const uint8_t hashes[][32]);

/* A bin of that size, or an empty one where the item does not apply: NULL. */
const uint8_t *sl_body_read_optional(struct sl_reader *reader, size_t size);
void sl_body_write_optional(struct sl_writer *writer, const uint8_t *bytes, size_t size);

#endif
