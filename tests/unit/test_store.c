/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE                  /* unshare(), for a disk of our own */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "privacy/ledger.h"
#include "runtime/files.h"
#include "runtime/ledger_file.h"
#include "runtime/store.h"
#include "small_disk.h"
#include "starling/error.h"

static char folder[] = "/tmp/starling-store-XXXXXX", why[SL_WHY_SIZE];

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[64];
    unmount_small_disk(folder);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(store, .init = make_folder, .fini = remove_folder);

static void put(const char *text)
{
    cr_assert_eq(sl_store_carry_out(folder, SL_STORE_PUT_STATE, (const uint8_t *)text, strlen(text)), SL_OK);
}

static void expect_state(const char *text)
{
    uint8_t *state;
    size_t size;
    cr_assert_eq(sl_store_read_state(folder, &state, &size, why, sizeof why), SL_OK, "%s", why);
    cr_assert_eq(size, strlen(text));
    cr_assert_eq(memcmp(state, text, size), 0);
    free(state);
}

/* Flips a byte, or cuts the file when `at` is its size. */
static void damage(const char *name, long at)
{
    char path[SL_PATH_SIZE];
    sl_path_join(folder, name, path);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 1, file);
    fclose(file);
}

Test(store, a_folder_without_a_state_has_none)
{
    uint8_t *state = (uint8_t *)why;
    size_t size = 7;

    cr_assert_eq(sl_store_read_state(folder, &state, &size, why, sizeof why), SL_OK);

    cr_assert_null(state);
    cr_assert_eq(size, 0);
}

Test(store, the_last_state_is_the_one_that_is_read)
{
    put("first");
    put("second");

    expect_state("second");
}

Test(store, an_empty_state_is_a_state)
{
    put("");

    expect_state("");
}

Test(store, a_damaged_state_gives_way_to_the_one_before)
{
    for (long at = 0; at < 46; at += 5) {
        put("first");
        put("second");
        damage("state", at);
        expect_state("first");
    }
}

Test(store, a_missing_state_gives_way_to_the_one_before)
{
    char path[SL_PATH_SIZE];
    put("first");
    put("second");
    sl_path_join(folder, "state", path);
    cr_assert_eq(unlink(path), 0, "as if power failed between the two renames");

    expect_state("first");
}

Test(store, two_damaged_files_are_an_error_that_says_what_to_do)
{
    uint8_t *state;
    size_t size;
    put("first");
    put("second");
    damage("state", 41);
    damage("state.bak", 41);

    cr_assert_eq(sl_store_read_state(folder, &state, &size, why, sizeof why), SL_ERROR_FORMAT);
    cr_assert_not_null(strstr(why, "restore"));
}

Test(store, a_truncated_file_is_damaged)
{
    char path[SL_PATH_SIZE];
    put("first");
    put("second");
    sl_path_join(folder, "state", path);
    for (long size = 45; size >= 0; size -= 9) {
        cr_assert_eq(truncate(path, size), 0);
        expect_state("first");
    }
}

Test(store, the_output_of_a_round_is_kept_as_it_is)
{
    char path[SL_PATH_SIZE];
    uint8_t *bytes;
    size_t size;
    cr_assert_eq(sl_store_carry_out(folder, SL_STORE_PUT_RELEASE, (const uint8_t *)"round 1", 7), SL_OK);
    cr_assert_eq(sl_store_carry_out(folder, SL_STORE_PUT_RELEASE, (const uint8_t *)"round 02", 8), SL_OK);

    sl_path_join(folder, "privacy.release", path);
    cr_assert_eq(sl_file_read(path, 100, &bytes, &size, why, sizeof why), SL_OK);
    cr_expect(size == 8 && memcmp(bytes, "round 02", 8) == 0);
    free(bytes);
    sl_path_join(folder, "privacy.release.bak", path);
    cr_expect_neq(access(path, F_OK), 0, "an older output is not kept");
}

Test(store, a_charge_wants_a_ledger_that_is_held)
{
    cr_assert_eq(sl_store_carry_out(folder, SL_STORE_APPEND_LEDGER, (const uint8_t *)"x", 1), SL_ERROR_UNSUPPORTED);
}

Test(store, a_folder_that_is_gone_is_an_io_error)
{
    cr_assert_eq(sl_store_carry_out("/tmp/starling-no-such-folder", SL_STORE_PUT_STATE, (const uint8_t *)"x", 1), SL_ERROR_IO);

}

Test(store, a_full_disk_is_no_space_and_the_file_before_stays)
{
    if (!mount_small_disk(folder)) cr_skip_test("no right to mount a small disk");
    char path[SL_PATH_SIZE];
    put("first");
    sl_path_join(folder, "filler", path);
    cr_assert(fill_small_disk(path));

    cr_assert_eq(sl_store_carry_out(folder, SL_STORE_PUT_STATE, (const uint8_t *)"x", 1), SL_ERROR_NO_SPACE);
    cr_assert_eq(sl_store_carry_out(folder, SL_STORE_PUT_BOOK, (const uint8_t *)"x", 1), SL_ERROR_NO_SPACE);
    expect_state("first");

    cr_assert_eq(unlink(path), 0);
    put("second");
    expect_state("second");
}

Test(store, the_book_is_a_file_of_its_own_that_no_state_can_be_taken_for)
{
    uint8_t *book;
    size_t size;
    char from[SL_PATH_SIZE], to[SL_PATH_SIZE];
    cr_assert_eq(sl_store_carry_out(folder, SL_STORE_PUT_BOOK, (const uint8_t *)"peers", 5), SL_OK);
    put("state");
    cr_assert_eq(sl_store_read_book(folder, &book, &size, why, sizeof why), SL_OK);
    cr_assert_eq(size, 5);
    cr_assert_eq(memcmp(book, "peers", 5), 0);
    free(book);

    sl_path_join(folder, "state", from);
    sl_path_join(folder, "book", to);
    cr_assert_eq(rename(from, to), 0);
    cr_assert_eq(sl_store_read_book(folder, &book, &size, why, sizeof why), SL_ERROR_FORMAT);
}

Test(store, the_thread_answers_in_order_and_copies_what_it_is_given)
{
    char text[16];
    struct sl_storer *storer = sl_storer_new(folder, NULL);
    cr_assert_not_null(storer);
    for (uint64_t ticket = 1; ticket <= 20; ticket++) {
        snprintf(text, sizeof text, "state %u", (unsigned)ticket);
        struct sl_store store = {.ticket = ticket, .type = SL_STORE_PUT_STATE, .data = (uint8_t *)text, .size = strlen(text)};
        cr_assert_eq(sl_storer_submit(storer, &store), SL_OK);
        memset(text, '?', sizeof text);
    }

    for (uint64_t expected = 1; expected <= 20; expected++) {
        struct sl_receipt receipt;
        zmq_pollitem_t item = {.socket = sl_storer_socket(storer), .events = ZMQ_POLLIN};
        cr_assert_eq(zmq_poll(&item, 1, 10000), 1);
        cr_assert(sl_storer_take(storer, &receipt));
        cr_assert_eq(receipt.ticket, expected);
        cr_assert_eq(receipt.type, SL_STORE_PUT_STATE);
        cr_assert_eq(receipt.error, SL_OK);
    }
    sl_storer_destroy(&storer);
    cr_assert_null(storer);
    expect_state("state 20");
}

Test(store, what_was_submitted_is_stored_before_the_thread_ends)
{
    struct sl_storer *storer = sl_storer_new(folder, NULL);
    struct sl_store store = {.ticket = 1, .type = SL_STORE_PUT_STATE, .data = (const uint8_t *)"last words", .size = 10};
    for (uint32_t i = 0; i < 10; i++) cr_assert_eq(sl_storer_submit(storer, &store), SL_OK);

    sl_storer_destroy(&storer);

    expect_state("last words");
}

static struct sl_receipt wait_for_receipt(struct sl_storer *storer)
{
    struct sl_receipt receipt = {0};
    zmq_pollitem_t item = {.socket = sl_storer_socket(storer), .events = ZMQ_POLLIN};
    while (!sl_storer_take(storer, &receipt)) zmq_poll(&item, 1, -1);
    return receipt;
}

Test(store, no_state_is_written_before_the_ledger_is_opened)
{
    uint8_t record[SL_LEDGER_RECORD] = {1};
    struct sl_ledger_file ledger;
    cr_assert_eq(sl_ledger_file_open(&ledger, folder, why, sizeof why), SL_OK, "%s", why);
    struct sl_storer *storer = sl_storer_new(folder, &ledger);
    struct sl_store state = {.ticket = 1, .type = SL_STORE_PUT_STATE, .data = (const uint8_t *)"state", .size = 5};
    struct sl_store charge = {.ticket = 2, .type = SL_STORE_APPEND_LEDGER, .data = record, .size = sizeof record};

    sl_storer_submit(storer, &state);
    sl_storer_submit(storer, &charge);
    sl_storer_submit(storer, &state);

    cr_expect_eq(wait_for_receipt(storer).error, SL_ERROR_IO);
    cr_expect_eq(wait_for_receipt(storer).error, SL_OK);
    cr_expect_eq(wait_for_receipt(storer).error, SL_OK);
    sl_storer_destroy(&storer);
    cr_expect_eq(ledger.size, SL_LEDGER_RECORD);
    sl_ledger_file_close(&ledger);
    expect_state("state");
}
