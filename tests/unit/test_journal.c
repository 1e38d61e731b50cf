/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/journal.h"
#include "starling/error.h"
#include "starling/event.h"

enum { EPOCH_US = 1000000 };

static const uint8_t own_id[32] = {1}, other_id[32] = {0xab, 0xcd};
static struct sl_journal *journal;

static void make_journal(void)
{
    journal = malloc(sizeof *journal);
    cr_assert_not_null(journal);
    sl_journal_init(journal, own_id, EPOCH_US);
}

static void free_journal(void)
{
    free(journal);
}

TestSuite(journal, .init = make_journal, .fini = free_journal);

static void add(enum sl_trace_type type, uint64_t epoch, uint64_t offset_us, const uint8_t *peer, int64_t a, int64_t b)
{
    struct sl_trace_event event = {.type = type, .epoch = epoch, .now_us = epoch * EPOCH_US + offset_us, .a = a, .b = b};
    if (peer) memcpy(event.peer, peer, 32);
    sl_journal_add(journal, &event);
}

/* The record of an epoch of which add() told everything. */
static const struct sl_epoch_record *end_epoch(uint64_t epoch, const struct sl_status *status, uint64_t cpu_us)
{
    add(SL_TRACE_EPOCH, epoch + 1, 0, NULL, 0, 0);
    return sl_journal_close(journal, status, cpu_us);
}

Test(journal, an_epoch_is_told_with_its_phases_and_totals)
{
    struct sl_status status = {.bytes_sent = 100, .bytes_received = 70, .peers_live = 3, .last_job = {.own = {.accuracy = 0.5, .n_rows = 9}}};
    add(SL_TRACE_EPOCH, 7, 0, NULL, 0, 0);
    add(SL_TRACE_TRAINED, 7, 20000, NULL, 10, 0);
    add(SL_TRACE_ROSTER, 7, 100000, own_id, 5, 0);
    add(SL_TRACE_COMMITTED, 7, 200000, NULL, 0, 0);
    add(SL_TRACE_OPENED, 7, 300000, NULL, 0, 0);
    add(SL_TRACE_AGGREGATE, 7, 400000, NULL, 4, 4);
    add(SL_TRACE_PULLED, 7, 500000, other_id, 4, 0);
    add(SL_TRACE_MERGED, 7, 900000, NULL, 2, 8);

    const struct sl_epoch_record *record = end_epoch(7, &status, 1234);

    cr_assert_not_null(record);
    cr_assert_eq(record->epoch, 7);
    cr_assert(record->trained && record->in_cohort && record->is_initiator && record->has_aggregate && !record->is_void);
    cr_assert_eq(record->n_members, 4, "the aggregate's, not the roster's");
    cr_assert_eq(record->n_pulled, 1);
    cr_assert_eq(record->n_merged_members, 8);
    uint64_t expected[SL_PHASES] = {100000, 20000, SL_NEVER, 200000, 300000, SL_NEVER, SL_NEVER, 400000, 900000};
    for (uint32_t i = 0; i < SL_PHASES; i++) cr_expect_eq(record->phase_us[i], expected[i], "%s", sl_phase_name(i));
    cr_assert_eq(record->bytes_sent, 100);
    cr_assert_eq(record->cpu_us, 1234);
    cr_assert_eq(record->own.n_rows, 9);
    cr_assert_str_empty(record->note);
    cr_assert_eq(journal->cohorts_completed, 1);
}

Test(journal, totals_are_those_of_one_epoch_and_phases_may_be_missing)
{
    struct sl_status status = {.bytes_sent = 100, .peers_live = 3};
    add(SL_TRACE_EPOCH, 7, 0, NULL, 0, 0);
    end_epoch(7, &status, 1000);
    status.bytes_sent = 130;

    const struct sl_epoch_record *record = end_epoch(8, &status, 1500);

    cr_assert_eq(record->bytes_sent, 30);
    cr_assert_eq(record->cpu_us, 500);
    cr_assert_eq(record->own.n_rows, 0, "it did not train: no score");
    for (uint32_t i = 0; i < SL_PHASES; i++) cr_assert_eq(record->phase_us[i], SL_NEVER);
    cr_assert_null(sl_journal_close(journal, &status, 1500), "an epoch is closed once");
}

Test(journal, the_note_names_who_was_missing_and_not_what_came_of_it)
{
    struct sl_status status = {.peers_live = 3};
    add(SL_TRACE_EPOCH, 7, 0, NULL, 0, 0);
    add(SL_TRACE_ROSTER, 7, 1, own_id, 5, 0);
    add(SL_TRACE_VOID, 7, 2, other_id, 3, 0);
    add(SL_TRACE_NOT_MERGED, 7, 3, NULL, 0, 1);

    const struct sl_epoch_record *record = end_epoch(7, &status, 0);

    cr_assert_not_null(strstr(record->note, "abcd0000"), "%s", record->note);
    cr_assert_eq(journal->cohorts_void, 1);
}

Test(journal, a_cohort_that_lost_members_is_told_from_who_proposed_it_to_who_was_left_out_and_why)
{
    struct sl_status status = {.peers_live = 6};
    static const uint8_t liar_id[32] = {0x11, 0x12};
    add(SL_TRACE_EPOCH, 7, 0, NULL, 0, 0);
    add(SL_TRACE_ROSTER, 7, 10, other_id, 6, 0);
    add(SL_TRACE_AGREED, 7, 20, NULL, 6, 0);
    add(SL_TRACE_DROPPED, 7, 30, other_id, 3, 0);
    add(SL_TRACE_AUDITED, 7, 40, NULL, 0, 0);
    add(SL_TRACE_TOO_LARGE, 7, 45, liar_id, 5000, 0);
    add(SL_TRACE_UNMASKED, 7, 50, NULL, 0, 0);
    add(SL_TRACE_AGGREGATE, 7, 60, NULL, 4, 4);

    const struct sl_epoch_record *record = end_epoch(7, &status, 0);

    cr_assert_arr_eq(record->initiator, other_id, 32);
    cr_assert_eq(record->n_roster, 6);
    cr_assert_eq(record->n_members, 4);
    cr_assert_eq(record->n_losses, 2);
    cr_assert_eq(record->losses[0].how, SL_TRACE_DROPPED);
    cr_assert_eq(record->losses[0].number, 3);
    cr_assert_arr_eq(record->losses[1].peer, liar_id, 32);
    cr_assert_not_null(strstr(record->note, "dropped abcd0000: silent at committing"), "%s", record->note);
    cr_assert_not_null(strstr(record->note, "; excluded 11120000"), "%s", record->note);
    cr_assert_eq(record->phase_us[SL_PHASE_SHARE], 20);
    cr_assert_eq(record->phase_us[SL_PHASE_AUDIT], 40);
    cr_assert_eq(record->phase_us[SL_PHASE_UNMASK], 50);
    cr_assert_eq(journal->drops[3], 1);
    cr_assert_eq(journal->losses[SL_TRACE_TOO_LARGE], 1);
}

Test(journal, a_void_cohort_names_first_whom_it_lost)
{
    struct sl_status status = {.peers_live = 6};
    add(SL_TRACE_EPOCH, 7, 0, NULL, 0, 0);
    add(SL_TRACE_ROSTER, 7, 1, own_id, 4, 0);
    add(SL_TRACE_DROPPED, 7, 2, other_id, 5, 0);
    add(SL_TRACE_VOID_ALONE, 7, 3, NULL, 5, 0);
    add(SL_TRACE_NOT_MERGED, 7, 4, NULL, 0, 1);

    const struct sl_epoch_record *record = end_epoch(7, &status, 0);

    cr_assert(record->is_void);
    cr_assert_str_eq(record->note, "dropped abcd0000: silent at opening; cohort void at opening: too few members, or a sum that cannot be");
}

Test(journal, more_losses_than_it_has_room_for_are_counted_all_the_same)
{
    struct sl_status status = {.peers_live = 6};
    add(SL_TRACE_EPOCH, 7, 0, NULL, 0, 0);
    for (int64_t i = 0; i < 3 * SL_LOSSES_MAX; i++) add(SL_TRACE_DROPPED, 7, 2, other_id, i, 0);

    const struct sl_epoch_record *record = end_epoch(7, &status, 0);

    cr_assert_eq(record->n_losses, SL_LOSSES_MAX);
    cr_assert_eq(journal->losses[SL_TRACE_DROPPED], 3 * SL_LOSSES_MAX);

    const char *last = record->note;
    for (const char *next; (next = strstr(last, "; ")); ) last = next + 2;
    cr_assert_lt(strlen(record->note), SL_NOTE_SIZE);
    cr_assert(strstr(last, ": silent at "), "whole sentences only: %s", record->note);
}

Test(journal, a_lonely_node_says_so_but_a_full_disk_goes_first)
{
    struct sl_status status = {.peers_known = 4};
    add(SL_TRACE_EPOCH, 7, 0, NULL, 0, 0);
    add(SL_TRACE_NO_COHORT, 7, 1, NULL, 0, 0);
    cr_assert_str_eq(end_epoch(7, &status, 0)->note, "no peer is reachable: 4 known");

    add(SL_TRACE_STORE_FAILED, 8, 1, NULL, 0, 0);
    add(SL_TRACE_NO_COHORT, 8, 2, NULL, 0, 0);
    cr_assert_not_null(strstr(end_epoch(8, &status, 0)->note, "could not store"));
}

Test(journal, the_rings_keep_the_newest)
{
    struct sl_status status = {0};
    for (uint64_t epoch = 1; epoch <= SL_JOURNAL_EPOCHS + 10; epoch++) end_epoch(epoch, &status, 0);
    cr_assert_eq(sl_journal_epochs(journal), SL_JOURNAL_EPOCHS);
    cr_assert_eq(sl_journal_epoch(journal, SL_JOURNAL_EPOCHS - 1)->epoch - sl_journal_epoch(journal, 0)->epoch, SL_JOURNAL_EPOCHS - 1);

    for (int64_t i = 0; i < SL_JOURNAL_EVENTS + 100; i++) add(SL_TRACE_TRAINED, 500, 0, NULL, i, 0);
    uint64_t first = sl_journal_first(journal);
    cr_assert_eq(journal->n_events - first + 1, SL_JOURNAL_EVENTS);
    for (uint64_t i = first; i <= journal->n_events; i++) cr_assert_eq(sl_journal_event(journal, i)->a, (int64_t)(100 + i - first));
}

Test(journal, an_epoch_that_brought_nothing_is_not_told_at_the_end)
{
    struct sl_status status = {0};
    add(SL_TRACE_EPOCH, 7, 0, NULL, 0, 0);
    sl_journal_finish(journal);
    cr_assert_null(sl_journal_close(journal, &status, 0));

    add(SL_TRACE_AGGREGATE, 7, 1, NULL, 4, 4);
    sl_journal_finish(journal);
    cr_assert_eq(sl_journal_close(journal, &status, 0)->epoch, 7);
}
