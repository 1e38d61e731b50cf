/* SPDX-License-Identifier: MIT */
#ifndef SL_OVERLAY_BOOK_H
#define SL_OVERLAY_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "overlay/descriptor.h"
#include "starling/arena.h"

/*
 * The address book: identities that were heard of (new) and those that answered when they were dialled (tried), after Bitcoin's address manager (Heilman et
 * al., 2015). An entry has one place, decided by a secret key, its network group and, for new ones, the group of whoever told of it. So one network, or one
 * talkative peer, can fill only the few places that fall to it, and nobody outside knows which.
 */
enum { SL_BOOK_BUCKET = 16, SL_BOOK_SOURCE_MAX = 64, SL_BOOK_FAILURES_MAX = 4 };      /* buckets of one source, and no more than a quarter of all */

struct sl_book_entry {
    struct sl_descriptor descriptor;
    uint64_t dialled_us;                     /* last time; 0 never */
    uint32_t failures;                       /* dials in vain, in a row */
    bool is_tried;
    uint32_t place;
};

struct sl_book {
    struct sl_book_entry *entries;           /* n_new + n_tried of them, in no order */
    uint64_t *heads;                         /* of their ids, for searching */
    uint32_t *new_places, *tried_places;     /* index + 1, 0 empty */
    uint32_t n_new, n_tried, n_new_max, n_tried_max;
    uint8_t secret[16];
    bool local_is_free;                      /* as in sl_group_of() */
};

/* Reserves memory that is touched only as the book fills. False when the arena is too small. */
bool sl_book_init(struct sl_book *book, struct sl_arena *arena, uint32_t n_new_max, uint32_t n_tried_max, bool local_is_free);

/* The key of the places; before the first entry. */
void sl_book_set_secret(struct sl_book *book, const uint8_t secret[16]);

/* NULL if it is not here. Pointers to entries hold until the next call that adds or removes one. */
struct sl_book_entry *sl_book_find(const struct sl_book *book, const uint8_t id[32]);

/* Takes a descriptor that was verified, told by a peer at `source` (an address; all that do not tell theirs are one source). Who was dialled at its address is
 * its own source. One that is here gets the newer one. NULL when it cannot be
 * dialled, or its place is held by another who is no worse. */
struct sl_book_entry *sl_book_hear(struct sl_book *book, const struct sl_descriptor *descriptor, const char *source, uint64_t now_s);

/* It was dialled and proved itself: it moves among the tried. */
void sl_book_answered(struct sl_book *book, const uint8_t id[32], uint64_t now_s);
void sl_book_dialled(struct sl_book *book, const uint8_t id[32], uint64_t now_us);
void sl_book_failed(struct sl_book *book, const uint8_t id[32]);

void sl_book_remove(struct sl_book *book, const uint8_t id[32]);

/* Removes those who must not be believed any more. Returns their number. */
uint32_t sl_book_expire(struct sl_book *book, uint64_t now_s);

/* One at random among the tried or the new that is due: each failure doubles its rest, from rest_us on. NULL if there is none. */
struct sl_book_entry *sl_book_draw(const struct sl_book *book, struct sl_rng *rng, bool is_tried, uint64_t now_us, uint64_t rest_us);

#endif
