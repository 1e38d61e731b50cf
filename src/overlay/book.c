/* SPDX-License-Identifier: MIT */
#include "overlay/book.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

enum { REST_DOUBLINGS_MAX = 5 };

bool sl_book_init(struct sl_book *book, struct sl_arena *arena, uint32_t n_new_max, uint32_t n_tried_max, bool local_is_free)
{
    *book = (struct sl_book){.n_new_max = n_new_max, .n_tried_max = n_tried_max, .local_is_free = local_is_free};
    book->entries = SL_RESERVE(arena, struct sl_book_entry, (size_t)n_new_max + n_tried_max);
    book->heads = SL_RESERVE(arena, uint64_t, (size_t)n_new_max + n_tried_max);
    book->new_places = SL_TAKE(arena, uint32_t, n_new_max);
    book->tried_places = SL_TAKE(arena, uint32_t, n_tried_max);
    return book->entries && book->heads && book->new_places && book->tried_places;
}

void sl_book_set_secret(struct sl_book *book, const uint8_t secret[16])
{
    assert(book->n_new + book->n_tried == 0);
    memcpy(book->secret, secret, sizeof book->secret);
}

static uint64_t head_of(const uint8_t id[32])
{
    uint64_t head;
    memcpy(&head, id, sizeof head);
    return head;
}

static uint32_t count(const struct sl_book *book)
{
    return book->n_new + book->n_tried;
}

struct sl_book_entry *sl_book_find(const struct sl_book *book, const uint8_t id[32])
{
    uint64_t head = head_of(id);
    for (uint32_t i = 0; i < count(book); i++)
        if (book->heads[i] == head && memcmp(book->entries[i].descriptor.id, id, 32) == 0) return &book->entries[i];
    return NULL;
}

/* ---- places ---- */

static uint32_t count_buckets(uint32_t n_places)
{
    return (n_places + SL_BOOK_BUCKET - 1) / SL_BOOK_BUCKET;
}

/* Of a bucket, the place that falls to the identity. */
static uint32_t place_in(const struct sl_book *book, uint32_t n_places, uint64_t bucket, const uint8_t id[32])
{
    uint64_t own[] = {bucket, head_of(id), 4};
    uint32_t first = (uint32_t)bucket * SL_BOOK_BUCKET, size = n_places - first < SL_BOOK_BUCKET ? n_places - first : SL_BOOK_BUCKET;
    return first + (uint32_t)(sl_hash_short(book->secret, own, sizeof own) % size);
}

/* A source has a share of the buckets, whatever it tells; of these the group picks one. */
static uint32_t new_place(const struct sl_book *book, const struct sl_descriptor *descriptor, const char *source)
{
    struct sl_group group = sl_group_of(descriptor->address, descriptor->id, book->local_is_free);
    struct sl_group told = sl_group_of(source, descriptor->id, book->local_is_free);
    uint32_t n_buckets = count_buckets(book->n_new_max), share = n_buckets / 4 < SL_BOOK_SOURCE_MAX ? n_buckets / 4 : SL_BOOK_SOURCE_MAX;
    uint64_t pick[] = {told.wide, group.wide, 3}, which[] = {told.wide, sl_hash_short(book->secret, pick, sizeof pick) % (share > 0 ? share : 1), 1};
    return place_in(book, book->n_new_max, sl_hash_short(book->secret, which, sizeof which) % n_buckets, descriptor->id);
}

/* A group has a few buckets among the tried, as its addresses have proved to be somebody. */
static uint32_t tried_place(const struct sl_book *book, const struct sl_descriptor *descriptor)
{
    struct sl_group group = sl_group_of(descriptor->address, descriptor->id, book->local_is_free);
    uint64_t groups[] = {group.wide, descriptor->id[31] % 4, 2};
    return place_in(book, book->n_tried_max, sl_hash_short(book->secret, groups, sizeof groups) % count_buckets(book->n_tried_max), descriptor->id);
}

static uint32_t *places_of(const struct sl_book *book, const struct sl_book_entry *entry)
{
    return entry->is_tried ? book->tried_places : book->new_places;
}

static void remove_at(struct sl_book *book, uint32_t index)
{
    struct sl_book_entry *entry = &book->entries[index];
    places_of(book, entry)[entry->place] = 0;
    if (entry->is_tried) book->n_tried--;
    else book->n_new--;

    uint32_t last = count(book);                /* the last fills the gap */
    if (index == last) return;
    book->entries[index] = book->entries[last];
    book->heads[index] = book->heads[last];
    places_of(book, entry)[entry->place] = index + 1;
}

static struct sl_book_entry *put(struct sl_book *book, const struct sl_book_entry *from, bool is_tried, uint32_t place)
{
    uint32_t index = count(book);
    struct sl_book_entry *entry = &book->entries[index];
    *entry = *from;
    entry->is_tried = is_tried;
    entry->place = place;
    book->heads[index] = head_of(entry->descriptor.id);
    places_of(book, entry)[place] = index + 1;
    if (is_tried) book->n_tried++;
    else book->n_new++;
    return entry;
}

static bool is_stale(const struct sl_book_entry *entry, uint64_t now_s)
{
    return entry->failures >= SL_BOOK_FAILURES_MAX || entry->descriptor.until_s < now_s;
}

/* ---- what is heard ---- */

struct sl_book_entry *sl_book_hear(struct sl_book *book, const struct sl_descriptor *descriptor, const char *source, uint64_t now_s)
{
    struct sl_address address;
    struct sl_book_entry *known = sl_book_find(book, descriptor->id);
    if (known && descriptor->sequence <= known->descriptor.sequence) return known;
    if (!sl_address_parse(descriptor->address, &address)) {
        if (known) remove_at(book, (uint32_t)(known - book->entries));
        return NULL;
    }
    if (known && strcmp(known->descriptor.address, descriptor->address) == 0) {         /* the place follows from the address */
        known->descriptor = *descriptor;
        return known;
    }
    struct sl_book_entry entry = {.descriptor = *descriptor};
    if (known) {                                        /* another address is no reason to dial it sooner */
        entry.dialled_us = known->dialled_us;
        entry.failures = known->failures;
        remove_at(book, (uint32_t)(known - book->entries));
    }
    uint32_t place = new_place(book, descriptor, source), holder = book->new_places[place];
    if (holder && !is_stale(&book->entries[holder - 1], now_s)) return NULL;
    if (holder) remove_at(book, holder - 1);
    return put(book, &entry, false, place);
}

void sl_book_answered(struct sl_book *book, const uint8_t id[32], uint64_t now_s)
{
    struct sl_book_entry *entry = sl_book_find(book, id);
    if (!entry) return;
    entry->failures = 0;
    if (entry->is_tried) return;

    uint32_t place = tried_place(book, &entry->descriptor), holder = book->tried_places[place];
    if (holder && !book->entries[holder - 1].failures && !is_stale(&book->entries[holder - 1], now_s)) return;       /* who answers stays */

    struct sl_book_entry moved = *entry;
    remove_at(book, (uint32_t)(entry - book->entries));
    holder = book->tried_places[place];
    if (holder) remove_at(book, holder - 1);
    put(book, &moved, true, place);
}

void sl_book_dialled(struct sl_book *book, const uint8_t id[32], uint64_t now_us)
{
    struct sl_book_entry *entry = sl_book_find(book, id);
    if (entry) entry->dialled_us = now_us;
}

void sl_book_failed(struct sl_book *book, const uint8_t id[32])
{
    struct sl_book_entry *entry = sl_book_find(book, id);
    if (entry && entry->failures < UINT32_MAX) entry->failures++;
}

void sl_book_remove(struct sl_book *book, const uint8_t id[32])
{
    struct sl_book_entry *entry = sl_book_find(book, id);
    if (entry) remove_at(book, (uint32_t)(entry - book->entries));
}

uint32_t sl_book_expire(struct sl_book *book, uint64_t now_s)
{
    uint32_t n = 0;
    for (uint32_t i = count(book); i-- > 0;) {
        if (book->entries[i].descriptor.until_s >= now_s) continue;
        remove_at(book, i);
        n++;
    }
    return n;
}

/* ---- whom to dial ---- */

static bool is_due(const struct sl_book_entry *entry, uint64_t now_us, uint64_t rest_us)
{
    uint32_t doublings = entry->failures < REST_DOUBLINGS_MAX ? entry->failures : REST_DOUBLINGS_MAX;
    return entry->dialled_us == 0 || now_us - entry->dialled_us >= rest_us << doublings;
}

struct sl_book_entry *sl_book_draw(const struct sl_book *book, struct sl_rng *rng, bool is_tried, uint64_t now_us, uint64_t rest_us)
{
    struct sl_book_entry *drawn = NULL;
    for (uint32_t i = 0, n_hits = 0; i < count(book); i++) {
        struct sl_book_entry *entry = &book->entries[i];
        if (entry->is_tried != is_tried || !is_due(entry, now_us, rest_us)) continue;
        if (sl_rng_below(rng, ++n_hits) == 0) drawn = entry;
    }
    return drawn;
}
