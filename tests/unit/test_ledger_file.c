/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE                  /* unshare(), for a disk of our own */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "privacy/ledger.h"
#include "runtime/files.h"
#include "runtime/ledger_file.h"
#include "small_disk.h"
#include "starling/error.h"

enum { RECORD = SL_LEDGER_RECORD, RECORDS_OF_A_PAGE = 4096 / RECORD };

static char folder[] = "/tmp/starling-ledger-XXXXXX", why[SL_WHY_SIZE];
static struct sl_ledger_file ledger;

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[64];
    sl_ledger_file_close(&ledger);
    unmount_small_disk(folder);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(ledger_file, .init = make_folder, .fini = remove_folder);

static void open_ledger(void)
{
    cr_assert_eq(sl_ledger_file_open(&ledger, folder, why, sizeof why), SL_OK, "%s", why);
}

/* A record of one byte, again and again. */
static int append(uint8_t byte)
{
    uint8_t record[RECORD];
    memset(record, byte, sizeof record);
    return sl_ledger_file_append(&ledger, record, sizeof record);
}

/* The file holds these records and nothing else. */
static void expect_records(const char *bytes)
{
    char path[SL_PATH_SIZE];
    uint8_t *file;
    size_t size;
    sl_path_join(folder, SL_LEDGER_NAME, path);
    cr_assert_eq(sl_file_read(path, SL_LEDGER_MAX, &file, &size, why, sizeof why), SL_OK, "%s", why);
    cr_assert_eq(size, strlen(bytes) * RECORD);
    for (size_t i = 0; i < size; i++) cr_assert_eq(file[i], bytes[i / RECORD], "byte %zu", i);
    free(file);
}

Test(ledger_file, records_stand_one_behind_the_other_over_several_runs)
{
    open_ledger();
    cr_assert_eq(ledger.size, 0);
    cr_assert_eq(append('a'), SL_OK);
    cr_assert_eq(append('b'), SL_OK);
    sl_ledger_file_close(&ledger);

    open_ledger();
    cr_assert_eq(ledger.size, 2 * RECORD);
    cr_assert_eq(append('c'), SL_OK);

    expect_records("abc");
}

Test(ledger_file, nobody_but_the_owner_may_read_it)
{
    char path[SL_PATH_SIZE];
    struct stat about;
    open_ledger();
    sl_path_join(folder, SL_LEDGER_NAME, path);

    cr_assert_eq(stat(path, &about), 0);
    cr_expect_eq(about.st_mode & 077, 0);
}

Test(ledger_file, a_second_holder_is_locked_out_until_the_first_lets_go)
{
    struct sl_ledger_file second = {0};
    open_ledger();

    cr_assert_eq(sl_ledger_file_open(&second, folder, why, sizeof why), SL_ERROR_LOCKED);
    cr_expect_not_null(strstr(why, "in use by another process"));
    cr_expect_not_null(strstr(why, folder));
    cr_expect(!second.is_open);

    sl_ledger_file_close(&ledger);
    cr_assert_eq(sl_ledger_file_open(&second, folder, why, sizeof why), SL_OK, "%s", why);
    sl_ledger_file_close(&second);
}

Test(ledger_file, a_write_that_stops_in_the_middle_leaves_no_half_record)
{
    struct rlimit limit = {RECORD + 100, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    open_ledger();
    cr_assert_eq(append('a'), SL_OK);

    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_eq(append('b'), SL_ERROR_IO, "100 of 256 bytes go in");
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    expect_records("a");

    cr_expect_eq(append('c'), SL_OK);
    expect_records("ac");
}

Test(ledger_file, a_full_disk_is_no_space_and_goes_on_where_it_was_when_there_is_room)
{
    if (!mount_small_disk(folder)) cr_skip_test("no right to mount a small disk");
    char filler[SL_PATH_SIZE];
    open_ledger();
    for (int i = 0; i < RECORDS_OF_A_PAGE; i++) cr_assert_eq(append('a'), SL_OK);
    sl_path_join(folder, "filler", filler);
    cr_assert(fill_small_disk(filler));

    cr_expect_eq(append('b'), SL_ERROR_NO_SPACE);
    expect_records("aaaaaaaaaaaaaaaa");

    cr_assert_eq(unlink(filler), 0);
    cr_expect_eq(append('c'), SL_OK);
    expect_records("aaaaaaaaaaaaaaaac");
}

Test(ledger_file, what_was_cut_off_is_gone_and_the_next_record_takes_its_place)
{
    char path[SL_PATH_SIZE];
    open_ledger();
    cr_assert_eq(append('a'), SL_OK);
    sl_ledger_file_close(&ledger);
    sl_path_join(folder, SL_LEDGER_NAME, path);
    FILE *file = fopen(path, "ab");
    cr_assert_not_null(file);
    fputs("torn", file);
    fclose(file);

    open_ledger();
    cr_assert_eq(ledger.size, RECORD + 4);
    cr_assert_eq(sl_ledger_file_cut(&ledger, RECORD), SL_OK);
    cr_assert_eq(append('b'), SL_OK);

    expect_records("ab");
}

Test(ledger_file, only_whole_records_are_taken_and_only_so_many)
{
    open_ledger();
    cr_expect_eq(sl_ledger_file_append(&ledger, (const uint8_t *)"x", 1), SL_ERROR_NO_SPACE);
    ledger.size = SL_LEDGER_MAX;
    cr_expect_eq(append('a'), SL_ERROR_NO_SPACE);
}

Test(ledger_file, a_folder_that_is_gone_is_an_io_error)
{
    cr_assert_eq(sl_ledger_file_open(&ledger, "/tmp/starling-no-such-folder", why, sizeof why), SL_ERROR_IO);
    cr_expect(!ledger.is_open);
    cr_expect_not_null(strstr(why, "/tmp/starling-no-such-folder"));
}
