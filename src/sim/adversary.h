/* SPDX-License-Identifier: MIT */
#ifndef SL_SIM_ADVERSARY_H
#define SL_SIM_ADVERSARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tap.h"

/*
 * Nodes that lie: the same core as everybody's, with a tap that keeps back, delays, alters, signs anew, repeats or adds what it sends, and looks into the
 * node's own memory. A liar has the keys of its own node only. Liars of one simulation may know one another (struct sl_gang).
 *
 * An attack is a table in the file of its family, adversary_*.c; sl_adversaries lists them all.
 */
struct sl_adversary;
struct sl_gang;
struct sl_liar;

extern const struct sl_adversary *const sl_adversaries[];        /* ends with NULL */

const struct sl_adversary *sl_adversary_find(const char *name);          /* or NULL */
const char *sl_adversary_name(const struct sl_adversary *adversary);
const char *sl_adversary_summary(const struct sl_adversary *adversary);  /* what it does, in a few words */

/* "NAME:COUNT", COUNT 1 .. n_max. False: `why` says what would be right. */
bool sl_adversary_parse(const char *text, uint32_t n_max, const struct sl_adversary **out, uint32_t *out_count, char *why, size_t why_size);

/* What liars share. NULL: memory is short. It must outlive them. */
struct sl_gang *sl_gang_new(void);
void sl_gang_destroy(struct sl_gang **gang);

/* NULL: memory is short. seed: where its choices come from. */
struct sl_liar *sl_liar_new(const struct sl_adversary *adversary, struct sl_gang *gang, const uint8_t seed[32]);
void sl_liar_destroy(struct sl_liar **liar);

struct sl_tap sl_liar_tap(struct sl_liar *liar);                 /* for one node */
uint64_t sl_liar_strikes(const struct sl_liar *liar);            /* how often it did what it is there for */

#endif
