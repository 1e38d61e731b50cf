/* SPDX-License-Identifier: MIT */
/* Addresses heard of and addresses that answered. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "overlay/book.h"

enum { NEW = 4096, TRIED = 64, NOW_S = 1000000 };

static struct sl_book book;
static struct sl_rng rng;
static uint8_t block[(NEW + TRIED) * (sizeof(struct sl_book_entry) + 32)];

static void open_book(void)
{
    struct sl_arena arena = sl_arena_over(block, sizeof block);
    const uint8_t seed[32] = {3}, secret[16] = {5};
    sl_rng_init(&rng, seed);
    cr_assert(sl_book_init(&book, &arena, NEW, TRIED, true));
    sl_book_set_secret(&book, secret);
}

TestSuite(book, .init = open_book);

static struct sl_descriptor make(uint32_t number, uint32_t a, uint32_t b)
{
    struct sl_descriptor descriptor = {.sequence = NOW_S, .until_s = NOW_S + 1000};
    sl_hash_once("id", &number, sizeof number, descriptor.id);
    snprintf(descriptor.address, sizeof descriptor.address, "%u.%u.%u.%u:7400", (unsigned)a, (unsigned)b, (unsigned)(number >> 8 & 255),
             (unsigned)(number & 255));
    return descriptor;
}

static struct sl_book_entry *hear(uint32_t number, uint32_t a, const char *source)
{
    struct sl_descriptor descriptor = make(number, a, 1);
    return sl_book_hear(&book, &descriptor, source, NOW_S);
}

/* Every entry is where its place says, and every place is held by who stands there. */
static void check(void)
{
    uint32_t n_held = 0;
    for (uint32_t i = 0; i < book.n_new + book.n_tried; i++) {
        const struct sl_book_entry *entry = &book.entries[i];
        cr_assert_eq((entry->is_tried ? book.tried_places : book.new_places)[entry->place], i + 1);
        cr_assert_eq(sl_book_find(&book, entry->descriptor.id), entry);
    }
    for (uint32_t i = 0; i < NEW; i++) n_held += book.new_places[i] != 0;
    cr_assert_eq(n_held, book.n_new);
    for (uint32_t i = 0; i < TRIED; i++) n_held += book.tried_places[i] != 0;
    cr_assert_eq(n_held, book.n_new + book.n_tried);
}

Test(book, does_not_fit_into_too_little_memory)
{
    struct sl_arena arena = sl_arena_over(block, 1000);
    struct sl_book small;
    cr_assert_not(sl_book_init(&small, &arena, NEW, TRIED, true));
}

Test(book, finds_whom_it_heard_of_and_moves_those_who_answered)
{
    struct sl_descriptor a = make(1, 20, 1), nobody = make(2, 20, 1);
    cr_assert_not_null(sl_book_hear(&book, &a, "", NOW_S));
    cr_assert_null(sl_book_find(&book, nobody.id));
    cr_assert_not(sl_book_find(&book, a.id)->is_tried);

    sl_book_answered(&book, a.id, NOW_S);

    cr_assert(sl_book_find(&book, a.id)->is_tried);
    cr_assert(book.n_new == 0 && book.n_tried == 1);
    check();
}

Test(book, takes_the_newer_word_of_an_identity_and_not_the_older)
{
    struct sl_descriptor now = make(1, 20, 1), later = make(1, 21, 1), older = make(1, 22, 1);
    later.sequence++;
    older.sequence--;
    sl_book_hear(&book, &now, "", NOW_S);
    sl_book_hear(&book, &older, "", NOW_S);
    cr_assert_str_eq(sl_book_find(&book, now.id)->descriptor.address, now.address);
    sl_book_hear(&book, &later, "", NOW_S);
    cr_assert_str_eq(sl_book_find(&book, now.id)->descriptor.address, later.address);
    cr_assert_eq(book.n_new, 1);
    check();
}

Test(book, keeps_nobody_who_cannot_be_dialled)
{
    static const char *const nowhere[] = {"", "1.2.3.4:0", "0.0.0.0:7400", "example.org:7400"};
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        struct sl_descriptor descriptor = make((uint32_t)i, 20, 1);
        strcpy(descriptor.address, nowhere[i]);
        cr_assert_null(sl_book_hear(&book, &descriptor, "", NOW_S), "%s", nowhere[i]);
    }
    cr_assert_eq(book.n_new, 0);
}

Test(book, gives_one_talkative_source_a_few_places_however_much_it_tells)
{
    for (uint32_t i = 0; i < 10000; i++) hear(i, 99, "50.1.0.1:7400");              /* one /16, told by one network */
    cr_assert_leq(book.n_new, SL_BOOK_BUCKET);
    for (uint32_t i = 10000; i < 20000; i++) hear(i, 1 + i % 90, "50.1.0.1:7400");  /* ninety networks, told by one */
    cr_assert_leq(book.n_new, NEW / 4);
    for (uint32_t i = 20000; i < 60000; i++) {                                      /* a new network for each, told by one */
        struct sl_descriptor descriptor = make(i, 1 + i / 250 % 200, i % 250);
        sl_book_hear(&book, &descriptor, "50.1.0.1:7400", NOW_S);
    }
    cr_assert_leq(book.n_new, SL_BOOK_SOURCE_MAX * SL_BOOK_BUCKET);
    cr_assert_leq(book.n_new, NEW / 4, "%u", (unsigned)book.n_new);
    cr_assert_geq(book.n_new, NEW / 8, "%u: and it is not kept from telling", (unsigned)book.n_new);
    check();
}

Test(book, takes_all_who_do_not_say_where_they_are_for_one_source)
{
    for (uint32_t i = 0; i < 40000; i++) {
        struct sl_descriptor descriptor = make(i, 1 + i / 250 % 200, i % 250);
        sl_book_hear(&book, &descriptor, "", NOW_S);
    }
    cr_assert_leq(book.n_new, NEW / 4, "%u", (unsigned)book.n_new);
    check();
}

Test(book, dials_nobody_sooner_for_having_another_address)
{
    struct sl_descriptor a = make(1, 20, 1), moved = make(1, 21, 1);
    moved.sequence++;
    sl_book_hear(&book, &a, a.address, NOW_S);
    sl_book_dialled(&book, a.id, 1000);
    sl_book_failed(&book, a.id);
    cr_assert_not_null(sl_book_hear(&book, &moved, moved.address, NOW_S));
    cr_assert_null(sl_book_draw(&book, &rng, false, 1199, 100));
    cr_assert_not_null(sl_book_draw(&book, &rng, false, 1200, 100));
    check();
}

Test(book, keeps_room_for_honest_addresses_under_a_flood_from_one_network)
{
    for (uint32_t i = 0; i < 10000; i++) hear(i, 99, "50.1.0.1:7400");
    uint32_t n_kept = 0;
    for (uint32_t i = 0; i < 60; i++) n_kept += hear(20000 + i, 100 + i, "60.1.0.1:7400") != NULL;
    cr_assert_geq(n_kept, 50, "%u of 60", (unsigned)n_kept);
    check();
}

Test(book, lets_no_newcomer_take_the_place_of_one_who_is_no_worse_but_that_of_a_failure)
{
    uint32_t rival = 0;
    struct sl_descriptor holder = make(1, 99, 1);
    uint32_t place = sl_book_hear(&book, &holder, "", NOW_S)->place;
    do rival++; while (rival == 1 || hear(rival, 99, "") != NULL);                  /* the first that finds its place held */
    struct sl_descriptor refused = make(rival, 99, 1);
    cr_assert_null(sl_book_find(&book, refused.id));
    for (int i = 0; i < SL_BOOK_FAILURES_MAX; i++)
        for (uint32_t j = 0; j < book.n_new; j++) book.entries[j].failures++;       /* nobody can be reached */

    struct sl_book_entry *entry = hear(rival, 99, "");

    cr_assert_not_null(entry);
    cr_assert_eq(entry->failures, 0);
    cr_assert(entry->place == place || sl_book_find(&book, holder.id));
    check();
}

Test(book, rests_longer_after_each_failure)
{
    struct sl_descriptor a = make(1, 20, 1);
    sl_book_hear(&book, &a, "", NOW_S);
    cr_assert_not_null(sl_book_draw(&book, &rng, false, 1000, 100), "never dialled: due at once");
    cr_assert_null(sl_book_draw(&book, &rng, true, 1000, 100), "nobody is tried");
    sl_book_dialled(&book, a.id, 1000);
    cr_assert_null(sl_book_draw(&book, &rng, false, 1099, 100));
    cr_assert_not_null(sl_book_draw(&book, &rng, false, 1100, 100));
    sl_book_failed(&book, a.id);
    cr_assert_null(sl_book_draw(&book, &rng, false, 1199, 100));
    cr_assert_not_null(sl_book_draw(&book, &rng, false, 1200, 100));
    for (int i = 0; i < 100; i++) sl_book_failed(&book, a.id);
    cr_assert_not_null(sl_book_draw(&book, &rng, false, 1000 + 3200, 100), "but never for ever");
}

Test(book, forgets_whom_nobody_may_believe_any_more)
{
    for (uint32_t i = 0; i < 20; i++) {
        struct sl_descriptor descriptor = make(i, 20 + i, 1);
        descriptor.until_s = NOW_S + i;
        sl_book_hear(&book, &descriptor, "", NOW_S);
    }
    uint32_t before = book.n_new, n_dropped = sl_book_expire(&book, NOW_S + 10);
    cr_assert(n_dropped >= 9 && n_dropped <= 10, "%u", (unsigned)n_dropped);
    cr_assert_eq(book.n_new, before - n_dropped);
    check();
    struct sl_descriptor last = make(19, 39, 1);
    sl_book_remove(&book, last.id);
    cr_assert_null(sl_book_find(&book, last.id));
    check();
}

Test(book, stays_consistent_under_any_mix_of_calls)
{
    for (uint32_t step = 0; step < 20000; step++) {
        struct sl_descriptor descriptor = make(sl_rng_below(&rng, 600), 1 + sl_rng_below(&rng, 120), 1);
        descriptor.sequence += step;
        descriptor.until_s += step;
        switch (sl_rng_below(&rng, 6)) {
        case 0: sl_book_answered(&book, descriptor.id, NOW_S); break;
        case 1: sl_book_failed(&book, descriptor.id); break;
        case 2: sl_book_remove(&book, descriptor.id); break;
        default: sl_book_hear(&book, &descriptor, "", NOW_S); break;
        }
        if (step % 500 == 0) check();
    }
    check();
    cr_assert(book.n_new <= NEW && book.n_tried <= TRIED && book.n_tried > 0);
}
