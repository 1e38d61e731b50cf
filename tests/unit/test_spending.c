/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/plan.h"
#include "privacy/ledger.h"
#include "runtime/files.h"
#include "runtime/setup.h"
#include "runtime/spending.h"
#include "runtime/store.h"
#include "starling/error.h"

enum { RECORD = SL_LEDGER_RECORD };

static char folder[] = "/tmp/starling-spending-XXXXXX", why[SL_WHY_SIZE];
static struct sl_setup setup;
static struct sl_ledger ledger;

static void set(const char *key, const char *value)
{
    cr_assert_eq(sl_config_set(&setup.config, key, value, why, sizeof why), SL_OK, "%s", why);
}

/* What a node of unit record has read when its ledger's turn comes. */
static void make_node(void)
{
    uint8_t key[32], public_key[32], seed[32] = {5};
    cr_assert_not_null(mkdtemp(folder));
    setup = (struct sl_setup){.folder = folder};
    sl_config_init(&setup.config);
    set("privacy.unit", "record");
    set("privacy.dataset", "wards");
    set("privacy.records", "1000");
    set("privacy.sampling_rate", "0.1");
    set("privacy.batch", "100");
    set("privacy.steps", "5");
    set("privacy.clip", "1");
    set("privacy.noise", "2");
    crypto_sign_seed_keypair(public_key, setup.identity.sign_secret, seed);
    sl_ledger_key(setup.identity.sign_secret, key);
    sl_ledger_init(&ledger, key);
}

static void remove_node(void)
{
    char command[64];
    sl_spending_finish(&setup.spending);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(spending, .init = make_node, .fini = remove_node);

static void write_file(const char *name, const void *bytes, size_t size, const char *mode)
{
    char path[SL_PATH_SIZE];
    sl_path_join(folder, name, path);
    FILE *file = fopen(path, mode);
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static bool is_there(const char *name)
{
    char path[SL_PATH_SIZE];
    sl_path_join(folder, name, path);
    return access(path, F_OK) == 0;
}

static void append(struct sl_ledger_record record)
{
    uint8_t bytes[RECORD];
    sl_ledger_next(&ledger, &record, bytes);
    cr_assert_eq(sl_ledger_take(&ledger, bytes), SL_OK);
    write_file(SL_LEDGER_NAME, bytes, sizeof bytes, "ab");
}

static void open_ledger(void)
{
    struct sl_ledger_record record = {.type = SL_LEDGER_OPEN, .charge = {.unit = SL_UNIT_RECORD, .adjacency = SL_ADJACENCY_ADD_REMOVE},
                                      .eps_max = 8, .delta = 1e-5};
    sl_ledger_dataset("wards", record.dataset);
    append(record);
}

static void charge(uint64_t round)
{
    append((struct sl_ledger_record){.type = SL_LEDGER_CHARGE, .charge = sl_charge_of(&setup.config, 0), .round = round});
}

/* The output of the last charge, on disk; its hash. */
static void write_output(const char *text, uint8_t hash[32])
{
    uint8_t file[SL_RELEASE_HEAD + 32];
    size_t size = strlen(text);
    sl_release_head(ledger.charge.sequence, size, file);
    memcpy(file + SL_RELEASE_HEAD, text, size);
    sl_release_hash(file, SL_RELEASE_HEAD + size, hash);
    write_file(SL_RELEASE_NAME, file, SL_RELEASE_HEAD + size, "wb");
}

static void release(const uint8_t hash[32])
{
    struct sl_ledger_record record = {.type = SL_LEDGER_RELEASE};
    memcpy(record.release, hash, 32);
    append(record);
}

static void expect_start(void)
{
    cr_assert_eq(sl_spending_read(&setup, why, sizeof why), SL_OK, "%s", why);
    cr_assert_eq(sl_spending_hold(&setup, why, sizeof why), SL_OK, "%s", why);
}

static void expect_refusal(int error, const char *sentence)
{
    why[0] = 0;
    cr_expect_eq(sl_spending_read(&setup, why, sizeof why), error, "%s", why);
    cr_expect_not_null(strstr(why, sentence), "%s", why);
    cr_expect_not_null(strstr(why, folder), "%s", why);
}

Test(spending, a_new_node_gets_an_empty_ledger_that_it_holds)
{
    expect_start();

    cr_expect(is_there(SL_LEDGER_NAME) && setup.spending.file.is_open && setup.spending.ledger_size == 0);
    cr_expect(setup.spending.epsilon <= 0 && setup.spending.n_charges == 0);
}

Test(spending, what_was_spent_is_known_before_the_node_starts)
{
    uint8_t hash[32];
    open_ledger();
    charge(1);
    write_output("model", hash);
    release(hash);

    expect_start();

    cr_expect_eq(setup.spending.epsilon, sl_budget_epsilon(&ledger.budget, 1e-5));
    cr_expect(setup.spending.n_charges == 1 && setup.spending.ledger_size == 3 * RECORD && setup.spending.release_size == SL_RELEASE_HEAD + 5);
    cr_expect(!setup.spending.was_torn && !setup.spending.release_was_dropped);
}

Test(spending, looking_changes_nothing_and_holding_cuts_a_torn_record_off)
{
    char path[SL_PATH_SIZE];
    struct stat about;
    open_ledger();
    charge(1);
    write_file(SL_LEDGER_NAME, "half a record", 13, "ab");
    sl_path_join(folder, SL_LEDGER_NAME, path);

    cr_assert_eq(sl_spending_read(&setup, why, sizeof why), SL_OK, "%s", why);
    cr_expect(stat(path, &about) == 0 && about.st_size == 2 * RECORD + 13, "a node may be running");
    cr_assert_eq(sl_spending_hold(&setup, why, sizeof why), SL_OK, "%s", why);

    cr_expect(stat(path, &about) == 0 && about.st_size == 2 * RECORD);
    cr_expect(setup.spending.was_torn && setup.spending.ledger_size == 2 * RECORD && setup.spending.n_charges == 1);
}

Test(spending, a_node_that_has_run_wants_the_ledger_that_it_had)
{
    setup.state_size = 100;
    expect_refusal(SL_ERROR_NOT_FOUND, "is missing");

    write_file(SL_LEDGER_NAME, "", 0, "wb");
    expect_refusal(SL_ERROR_NOT_FOUND, "is empty");
    write_file(SL_LEDGER_NAME, "torn", 4, "wb");
    expect_refusal(SL_ERROR_NOT_FOUND, "starling privacy reset");
}

Test(spending, damage_is_refused_with_its_place_and_the_ways_out)
{
    char path[SL_PATH_SIZE];
    open_ledger();
    charge(1);
    sl_path_join(folder, SL_LEDGER_NAME, path);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    fseek(file, RECORD + 80, SEEK_SET);
    fputc(0x55, file);
    fclose(file);

    expect_refusal(SL_ERROR_DAMAGED, "record 1 is damaged");
    cr_expect_not_null(strstr(why, "Restore the file"));
    cr_expect_not_null(strstr(why, "starling privacy reset"));
}

Test(spending, a_ledger_of_another_node_is_refused)
{
    open_ledger();
    setup.identity.sign_secret[0] ^= 1;
    expect_refusal(SL_ERROR_DAMAGED, "record 0 is damaged");
}

Test(spending, other_data_other_units_and_higher_limits_are_refused)
{
    open_ledger();
    set("privacy.dataset", "other wards");
    expect_refusal(SL_ERROR_MISMATCH, "privacy.dataset is \"other wards\"");
    set("privacy.dataset", "wards");
    set("privacy.unit", "node");
    expect_refusal(SL_ERROR_MISMATCH, "privacy.unit is \"node\"");
    set("privacy.unit", "off");
    expect_refusal(SL_ERROR_MISMATCH, "privacy.unit is \"off\"");
    set("privacy.unit", "record");
    set("privacy.eps_max", "8.5");
    expect_refusal(SL_ERROR_MISMATCH, "privacy.eps_max is 8.5");
    set("privacy.eps_max", "7");
    set("privacy.delta", "1.1e-5");
    expect_refusal(SL_ERROR_MISMATCH, "privacy.delta is 1.1e-05");
    set("privacy.delta", "1e-6");
    expect_start();
}

Test(spending, without_privacy_there_is_no_ledger)
{
    set("privacy.unit", "off");
    setup.state_size = 100;
    expect_start();
    cr_expect(!is_there(SL_LEDGER_NAME) && !setup.spending.file.is_open);
}

Test(spending, what_a_crash_left_unfinished_is_removed)
{
    static const char *const names[] = {"privacy.release.new", "state.new", "book.new"};
    for (int i = 0; i < 3; i++) write_file(names[i], "half", 4, "wb");
    expect_start();
    for (int i = 0; i < 3; i++) cr_expect(!is_there(names[i]), "%s", names[i]);
}

Test(spending, an_output_that_waits_for_its_release_is_kept)
{
    uint8_t hash[32];
    open_ledger();
    charge(1);
    write_output("model", hash);
    expect_start();
    cr_expect(setup.spending.release_size > 0 && is_there(SL_RELEASE_NAME));
}

Test(spending, the_output_of_the_round_before_is_kept_when_the_last_one_has_none)
{
    uint8_t hash[32];
    open_ledger();
    charge(1);
    write_output("model", hash);
    release(hash);
    charge(2);
    expect_start();
    cr_expect(setup.spending.release_size > 0 && is_there(SL_RELEASE_NAME));
}

Test(spending, an_output_that_is_not_what_was_released_is_removed)
{
    uint8_t hash[32];
    open_ledger();
    charge(1);
    write_output("model", hash);
    release(hash);
    write_output("moder", hash);
    expect_start();
    cr_expect(setup.spending.release_size == 0 && !is_there(SL_RELEASE_NAME) && setup.spending.release_was_dropped);
}

Test(spending, an_output_of_an_abandoned_round_is_removed)
{
    uint8_t hash[32];
    open_ledger();
    charge(1);
    write_output("model", hash);
    charge(2);
    expect_start();
    cr_expect(setup.spending.release_size == 0 && !is_there(SL_RELEASE_NAME));
}

Test(spending, an_output_that_is_not_whole_is_removed)
{
    open_ledger();
    charge(1);
    write_file(SL_RELEASE_NAME, "half an output", 14, "wb");
    expect_start();
    cr_expect(setup.spending.release_size == 0 && !is_there(SL_RELEASE_NAME));
}

Test(spending, an_output_of_a_round_that_the_ledger_lacks_tells_of_an_older_ledger)
{
    uint8_t hash[32];
    open_ledger();
    charge(1);
    charge(2);
    write_output("model", hash);
    cr_assert_eq(truncate(strcat(strcpy(why, folder), "/" SL_LEDGER_NAME), 2 * RECORD), 0);

    cr_expect_eq(sl_spending_read(&setup, why, sizeof why), SL_OK);
    cr_expect_eq(sl_spending_hold(&setup, why, sizeof why), SL_ERROR_DAMAGED);
    cr_expect_not_null(strstr(why, "is older than privacy.release"), "%s", why);
    cr_expect(is_there(SL_RELEASE_NAME));
}
