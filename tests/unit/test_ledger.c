/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <sodium.h>
#include <string.h>

#include "privacy/ledger.h"
#include "starling/error.h"

enum { RECORD = SL_LEDGER_RECORD, RECORDS_MAX = 8 };

static const uint8_t key[32] = {1, 2, 3};

/* A ledger together with the bytes that it came from. */
struct file {
    struct sl_ledger ledger;
    uint8_t bytes[RECORDS_MAX * RECORD + 2 * RECORD];
    size_t size;
};

static struct file file_new(void)
{
    struct file file = {.size = 0};
    sl_ledger_init(&file.ledger, key);
    return file;
}

static void append(struct file *file, struct sl_ledger_record record)
{
    sl_ledger_next(&file->ledger, &record, file->bytes + file->size);
    cr_assert_eq(sl_ledger_take(&file->ledger, file->bytes + file->size), SL_OK);
    file->size += RECORD;
}

static struct sl_charge record_charge(void)
{
    return (struct sl_charge){.unit = SL_UNIT_RECORD, .adjacency = SL_ADJACENCY_ADD_REMOVE, .mechanism = SL_MECHANISM_POISSON,
                              .q64 = UINT64_C(1) << 60, .sigma2 = UINT64_C(4) << 40, .sensitivity = 1 << 20, .steps = 10, .honest = 1};
}

static struct sl_charge node_charge(void)
{
    return (struct sl_charge){.unit = SL_UNIT_NODE, .adjacency = SL_ADJACENCY_REPLACE, .mechanism = SL_MECHANISM_COHORT, .q64 = SL_Q64_ONE,
                              .sigma2 = UINT64_C(5) << 42, .sensitivity = 1 << 21, .steps = 1, .honest = 5, .audit_rows = 8, .dim = 8192,
                              .kappa = SL_AUDIT_KAPPA};
}

static struct sl_ledger_record open_of(enum sl_unit unit, enum sl_adjacency adjacency)
{
    struct sl_ledger_record record = {.type = SL_LEDGER_OPEN, .charge = {.unit = unit, .adjacency = adjacency}, .eps_max = 8, .delta = 1e-5, .wall_ms = 99};
    sl_ledger_dataset("wards", record.dataset);
    return record;
}

static void open_ledger(struct file *file)
{
    append(file, open_of(SL_UNIT_RECORD, SL_ADJACENCY_ADD_REMOVE));
}

static void charge(struct file *file, uint64_t round)
{
    append(file, (struct sl_ledger_record){.type = SL_LEDGER_CHARGE, .charge = record_charge(), .round = round, .wall_ms = 1000 + round});
}

static void release(struct file *file, uint8_t hash)
{
    append(file, (struct sl_ledger_record){.type = SL_LEDGER_RELEASE, .release = {hash}});
}

/* OPEN, CHARGE, RELEASE, LOWER, CHARGE. */
static struct file example(void)
{
    struct file file = file_new();
    open_ledger(&file);
    charge(&file, 7);
    release(&file, 0xaa);
    append(&file, (struct sl_ledger_record){.type = SL_LEDGER_LOWER, .eps_max = 5, .delta = 1e-6});
    charge(&file, 8);
    return file;
}

static int read_bytes(const uint8_t *bytes, size_t size, struct sl_ledger *out, size_t *out_whole)
{
    sl_ledger_init(out, key);
    return sl_ledger_read(out, bytes, size, out_whole);
}

static void seal(uint8_t record[RECORD])
{
    crypto_generichash(record + 224, 32, record, 224, key, 32);
}

/* What a ledger says to its next record with one byte of it changed, and sealed again by one who has the key. */
static int take_with(const struct file *file, struct sl_ledger_record record, uint32_t at, uint8_t value)
{
    uint8_t bytes[RECORD];
    struct sl_ledger ledger = file->ledger;
    sl_ledger_next(&ledger, &record, bytes);
    bytes[at] = value;
    seal(bytes);
    return sl_ledger_take(&ledger, bytes);
}

static const struct sl_ledger_record next_charge = {.type = SL_LEDGER_CHARGE, .round = 9};

static struct sl_ledger_record sound_charge(void)
{
    struct sl_ledger_record record = next_charge;
    record.charge = record_charge();
    return record;
}

Test(ledger, every_field_comes_back_as_it_was_written)
{
    struct file file = file_new();
    append(&file, open_of(SL_UNIT_NODE, SL_ADJACENCY_REPLACE));
    append(&file, (struct sl_ledger_record){.type = SL_LEDGER_CHARGE, .charge = node_charge(), .round = UINT64_C(0x123456789a), .wall_ms = 77});
    release(&file, 0xbb);
    append(&file, (struct sl_ledger_record){.type = SL_LEDGER_LOWER, .eps_max = 2.5, .delta = 3e-7});

    struct sl_ledger read;
    size_t whole;
    cr_assert_eq(read_bytes(file.bytes, file.size, &read, &whole), SL_OK);

    cr_expect_eq(whole, 4 * RECORD);
    cr_expect(read.n_records == 4 && read.n_charges == 1 && read.n_releases == 1 && read.is_released);
    cr_expect(read.unit == SL_UNIT_NODE && read.adjacency == SL_ADJACENCY_REPLACE);
    cr_expect(read.eps_max == 2.5 && read.delta == 3e-7);
    cr_expect_eq(read.release[0], 0xbb);
    struct sl_charge wanted = node_charge(), *got = &read.charge.charge;
    cr_expect(got->unit == wanted.unit && got->adjacency == wanted.adjacency && got->mechanism == wanted.mechanism);
    cr_expect(got->q64 == wanted.q64 && got->sigma2 == wanted.sigma2 && got->sensitivity == wanted.sensitivity && got->steps == wanted.steps);
    cr_expect(got->honest == wanted.honest && got->audit_rows == wanted.audit_rows && got->dim == wanted.dim && got->kappa == wanted.kappa);
    cr_expect(read.charge.round == UINT64_C(0x123456789a) && read.charge.wall_ms == 77 && read.charge.sequence == 1);
    uint8_t dataset[16];
    sl_ledger_dataset("wards", dataset);
    cr_expect_arr_eq(read.dataset, dataset, 16);
    cr_expect_arr_eq(read.charge.dataset, dataset, 16);
    cr_expect_arr_eq(read.head, file.ledger.head, 32);
}

Test(ledger, reading_a_file_costs_what_adding_its_charges_costs)
{
    struct file file = example();
    struct sl_budget budget;
    struct sl_charge once = record_charge();
    sl_budget_init(&budget);
    sl_budget_add(&budget, &once);
    double after_one = sl_budget_epsilon(&budget, 1e-5);
    sl_budget_add(&budget, &once);

    struct sl_ledger read;
    size_t whole;
    cr_assert_eq(read_bytes(file.bytes, file.size, &read, &whole), SL_OK);

    cr_expect_eq(sl_budget_epsilon(&read.budget, 1e-5), sl_budget_epsilon(&budget, 1e-5));
    cr_expect_gt(sl_budget_epsilon(&read.budget, 1e-5), after_one);
    cr_expect(!read.is_released && read.n_charges == 2 && read.n_releases == 1 && read.release[0] == 0, "the second charge has no release yet");
}

/* The ledger as it stood before its record `n`: most of the time of a reading goes into the first charge. */
static struct sl_ledger before(const struct file *file, size_t n)
{
    struct sl_ledger ledger;
    size_t whole;
    cr_assert_eq(read_bytes(file->bytes, n * RECORD, &ledger, &whole), SL_OK);
    return ledger;
}

Test(ledger, a_flipped_bit_anywhere_is_refused_and_located)
{
    struct file file = example();
    for (size_t n = 0; n < file.size / RECORD; n++) {
        struct sl_ledger prefix = before(&file, n);
        uint8_t *record = file.bytes + n * RECORD;
        for (uint32_t bit = 0; bit < 8 * RECORD; bit++) {
            struct sl_ledger ledger = prefix;
            size_t whole = 1;
            record[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int error = sl_ledger_read(&ledger, record, file.size - n * RECORD, &whole);
            record[bit / 8] ^= (uint8_t)(1 << bit % 8);

            cr_assert(error != SL_OK && whole == 0, "record %zu, bit %u", n, bit);
        }
    }

    struct sl_ledger ledger;
    size_t whole;
    file.bytes[3 * RECORD + 100] ^= 1;
    cr_expect_eq(read_bytes(file.bytes, file.size, &ledger, &whole), SL_ERROR_BAD_SIGNATURE);
    cr_expect_eq(whole, 3 * RECORD);
}

Test(ledger, a_torn_tail_of_every_length_is_cut)
{
    struct file file = example();
    for (size_t n = 0; n < file.size / RECORD; n++) {
        struct sl_ledger prefix = before(&file, n);
        for (size_t size = 0; size < RECORD; size++) {
            struct sl_ledger ledger = prefix;
            size_t whole = 1;
            cr_assert_eq(sl_ledger_read(&ledger, file.bytes + n * RECORD, size, &whole), SL_OK, "record %zu, %zu bytes", n, size);
            cr_assert(whole == 0 && ledger.n_records == n);
        }
    }

    struct sl_ledger ledger;
    size_t whole;
    cr_expect_eq(read_bytes(file.bytes, file.size - 1, &ledger, &whole), SL_OK);
    cr_expect(whole == file.size - RECORD && ledger.n_charges == 1);
}

Test(ledger, a_last_record_of_zeros_is_a_torn_one_but_not_two_of_them)
{
    struct file file = example();
    struct sl_ledger read;
    size_t whole;
    cr_expect_eq(read_bytes(file.bytes, file.size + RECORD, &read, &whole), SL_OK);
    cr_expect(whole == file.size && read.n_records == file.size / RECORD);
    cr_expect_eq(read_bytes(file.bytes + file.size, RECORD, &read, &whole), SL_OK, "the first record can be torn as well");
    cr_expect_eq(whole, 0);

    cr_expect_eq(read_bytes(file.bytes, file.size + 2 * RECORD, &read, &whole), SL_ERROR_BAD_SIGNATURE);
    cr_expect_eq(read_bytes(file.bytes, file.size + RECORD + 1, &read, &whole), SL_ERROR_BAD_SIGNATURE);
}

Test(ledger, a_record_that_is_taken_out_swapped_or_repeated_breaks_the_chain)
{
    struct file file = example(), other = example();
    struct sl_ledger read;
    size_t whole;

    memmove(other.bytes + RECORD, file.bytes + 2 * RECORD, 3 * RECORD);
    cr_expect_eq(read_bytes(other.bytes, 4 * RECORD, &read, &whole), SL_ERROR_MISMATCH, "a charge is missing");
    memcpy(other.bytes, file.bytes, file.size);
    memcpy(other.bytes + file.size, file.bytes + 4 * RECORD, RECORD);
    cr_expect_eq(read_bytes(other.bytes, 6 * RECORD, &read, &whole), SL_ERROR_MISMATCH, "a charge is there twice");
    cr_expect_eq(read_bytes(file.bytes + RECORD, 4 * RECORD, &read, &whole), SL_ERROR_MISMATCH, "the beginning is missing");
}

Test(ledger, the_place_in_the_chain_is_checked_even_under_a_good_seal)
{
    struct file file = example();

    cr_expect_eq(take_with(&file, sound_charge(), 8, 5), SL_OK, "nothing is changed: the test can fail");
    cr_expect_eq(take_with(&file, sound_charge(), 8, 6), SL_ERROR_MISMATCH, "sequence");
    cr_expect_eq(take_with(&file, sound_charge(), 16, (uint8_t)(file.ledger.head[0] ^ 1)), SL_ERROR_MISMATCH, "hash of the record before");
}

Test(ledger, unknown_magic_version_type_and_grid_are_refused)
{
    struct file file = example();

    cr_expect_eq(take_with(&file, sound_charge(), 0, 'X'), SL_ERROR_BAD_VERSION);
    cr_expect_eq(take_with(&file, sound_charge(), 4, 2), SL_ERROR_BAD_VERSION);
    cr_expect_eq(take_with(&file, sound_charge(), 6, 4), SL_ERROR_BAD_VERSION);
    cr_expect_eq(take_with(&file, sound_charge(), 67, 2), SL_ERROR_BAD_VERSION);
}

Test(ledger, a_record_of_another_unit_adjacency_or_data_set_is_refused)
{
    struct file file = example();

    cr_expect_eq(take_with(&file, sound_charge(), 64, SL_UNIT_NODE), SL_ERROR_MISMATCH);
    cr_expect_eq(take_with(&file, sound_charge(), 65, SL_ADJACENCY_REPLACE), SL_ERROR_MISMATCH);
    cr_expect_eq(take_with(&file, sound_charge(), 48, 0), SL_ERROR_MISMATCH);
}

Test(ledger, the_first_record_opens_and_no_other_does)
{
    struct file file = file_new();
    struct sl_ledger_record first = open_of(SL_UNIT_RECORD, SL_ADJACENCY_ADD_REMOVE);
    cr_expect_eq(take_with(&file, first, 6, SL_LEDGER_CHARGE), SL_ERROR_MISMATCH);
    cr_expect_eq(take_with(&file, first, 6, SL_LEDGER_LOWER), SL_ERROR_MISMATCH);

    open_ledger(&file);
    struct sl_ledger_record lower = {.type = SL_LEDGER_LOWER, .eps_max = 8, .delta = 1e-5};
    cr_expect_eq(take_with(&file, lower, 6, SL_LEDGER_LOWER), SL_OK);
    cr_expect_eq(take_with(&file, lower, 6, SL_LEDGER_OPEN), SL_ERROR_MISMATCH);
}

Test(ledger, only_units_with_an_adjacency_of_theirs_open_one)
{
    static const struct { enum sl_unit unit; enum sl_adjacency adjacency; bool is_good; } pairs[] = {
        {SL_UNIT_OFF, SL_ADJACENCY_NONE, false},       {SL_UNIT_RECORD, SL_ADJACENCY_ADD_REMOVE, true}, {SL_UNIT_RECORD, SL_ADJACENCY_ZERO_OUT, false},
        {SL_UNIT_NODE, SL_ADJACENCY_ADD_REMOVE, false}, {SL_UNIT_NODE, SL_ADJACENCY_ZERO_OUT, true},     {SL_UNIT_NODE, SL_ADJACENCY_REPLACE, true},
        {SL_UNIT_NODE, SL_ADJACENCY_NONE, false},      {(enum sl_unit)3, SL_ADJACENCY_ADD_REMOVE, false},
    };
    for (uint32_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct file file = file_new();
        int error = take_with(&file, open_of(pairs[i].unit, pairs[i].adjacency), 0, 'S');
        cr_expect_eq(error, pairs[i].is_good ? SL_OK : SL_ERROR_OUT_OF_RANGE, "pair %u", i);
    }
}

Test(ledger, a_release_belongs_to_the_last_charge_and_there_is_one)
{
    struct file file = file_new();
    struct sl_ledger_record done = {.type = SL_LEDGER_RELEASE, .release = {1}};
    uint8_t bytes[RECORD];
    open_ledger(&file);
    sl_ledger_next(&file.ledger, &done, bytes);
    cr_expect_eq(sl_ledger_take(&file.ledger, bytes), SL_ERROR_MISMATCH, "nothing was charged");

    charge(&file, 7);
    cr_expect_eq(take_with(&file, done, 128, 9), SL_OK);
    cr_expect_eq(take_with(&file, done, 120, 8), SL_ERROR_MISMATCH, "another round");
    static const uint8_t numbers[] = {66, 72, 80, 88, 96, 104, 108, 112, 116};
    for (uint32_t i = 0; i < sizeof numbers; i++) cr_expect_eq(take_with(&file, done, numbers[i], 77), SL_ERROR_MISMATCH, "byte %u", numbers[i]);

    release(&file, 0xaa);
    sl_ledger_next(&file.ledger, &done, bytes);
    cr_expect_eq(sl_ledger_take(&file.ledger, bytes), SL_ERROR_MISMATCH, "it was released already");
    charge(&file, 8);
    release(&file, 0xab);
    cr_expect_eq(file.ledger.n_releases, 2);
}

Test(ledger, limits_fall_and_never_rise)
{
    struct file file = example();            /* stands at 5 and 1e-6 */
    static const struct { double eps_max, delta; int error; } limits[] = {
        {4, 1e-6, SL_OK},          {5, 1e-7, SL_OK},           {5.0001, 1e-6, SL_ERROR_MISMATCH}, {4, 1.1e-6, SL_ERROR_MISMATCH},
        {0, 1e-6, SL_ERROR_OUT_OF_RANGE}, {-1, 1e-6, SL_ERROR_OUT_OF_RANGE}, {4, 0, SL_ERROR_OUT_OF_RANGE},
        {(double)NAN, 1e-6, SL_ERROR_OUT_OF_RANGE}, {4, (double)NAN, SL_ERROR_OUT_OF_RANGE}, {(double)INFINITY, 1e-6, SL_ERROR_OUT_OF_RANGE},
    };
    for (uint32_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct sl_ledger ledger = file.ledger;
        struct sl_ledger_record record = {.type = SL_LEDGER_LOWER, .eps_max = limits[i].eps_max, .delta = limits[i].delta};
        uint8_t bytes[RECORD];
        sl_ledger_next(&ledger, &record, bytes);
        cr_expect_eq(sl_ledger_take(&ledger, bytes), limits[i].error, "limits %u", i);
        cr_expect_eq(ledger.eps_max, limits[i].error == SL_OK ? limits[i].eps_max : 5);
    }
}

Test(ledger, a_charge_that_nobody_can_account_for_is_refused)
{
    struct file file = example();
    struct sl_ledger_record weak = sound_charge(), sampled = sound_charge();
    weak.charge.sigma2 = 1;
    sampled.charge.mechanism = SL_MECHANISM_GAUSSIAN;

    cr_expect_eq(take_with(&file, weak, 0, 'S'), SL_ERROR_OUT_OF_RANGE);
    cr_expect_eq(take_with(&file, sampled, 0, 'S'), SL_ERROR_OUT_OF_RANGE);
}

Test(ledger, what_a_type_does_not_use_must_be_zero)
{
    struct file file = example();
    struct sl_ledger_record lower = {.type = SL_LEDGER_LOWER, .eps_max = 4, .delta = 1e-6};
    struct sl_ledger_record done = {.type = SL_LEDGER_RELEASE, .release = {1}};

    for (uint32_t at = 0; at < 224; at++) {
        bool unused = (at >= 68 && at < 72) || at >= 184;
        bool unused_in_charge = unused || (at >= 128 && at < 176), unused_in_release = unused || (at >= 160 && at < 176);
        bool unused_in_lower = unused || at == 66 || (at >= 72 && at < 160);
        if (unused_in_charge) cr_assert_eq(take_with(&file, sound_charge(), at, 1), SL_ERROR_OUT_OF_RANGE, "byte %u of a charge", at);
        if (unused_in_release) cr_assert_eq(take_with(&file, done, at, 1), SL_ERROR_OUT_OF_RANGE, "byte %u of a release", at);
        if (unused_in_lower) cr_assert_eq(take_with(&file, lower, at, 1), SL_ERROR_OUT_OF_RANGE, "byte %u of a lower limit", at);
    }
}

Test(ledger, another_key_opens_nothing_and_a_refused_record_changes_nothing)
{
    struct file file = example();
    struct sl_ledger untouched = file.ledger, stranger;
    uint8_t other[32] = {9}, bytes[RECORD];
    struct sl_ledger_record record = sound_charge();
    sl_ledger_init(&stranger, other);
    cr_expect_eq(sl_ledger_take(&stranger, file.bytes), SL_ERROR_BAD_SIGNATURE);

    sl_ledger_next(&file.ledger, &record, bytes);
    bytes[100] ^= 1;
    cr_expect_eq(sl_ledger_take(&file.ledger, bytes), SL_ERROR_BAD_SIGNATURE);
    cr_expect_eq(memcmp(&untouched, &file.ledger, sizeof untouched), 0);
}

Test(ledger, a_file_that_is_too_large_is_not_read)
{
    struct sl_ledger ledger;
    size_t whole = 1;
    uint8_t byte = 0;
    sl_ledger_init(&ledger, key);
    cr_expect_eq(sl_ledger_read(&ledger, &byte, (size_t)SL_LEDGER_MAX + 1, &whole), SL_ERROR_TOO_LARGE);
    cr_expect_eq(whole, 0);
}

Test(ledger, its_bytes_stay_what_they_were)
{
    /* Two ledgers written with this layout must be read for ever: a change of these hashes is a new version. */
    struct file file = example();
    uint8_t hash[32], secret[64], public_key[32], seed[32] = {42}, mac_key[32];
    char hex[65];
    sl_release_hash(file.bytes, file.size, hash);
    cr_expect_str_eq(sodium_bin2hex(hex, sizeof hex, hash, 32), "f13a9fac0b43b04af07bcfbfbb1fdc117b10bfc8963c85527a03624264dfa282");

    crypto_sign_seed_keypair(public_key, secret, seed);
    sl_ledger_key(secret, mac_key);
    cr_expect_str_eq(sodium_bin2hex(hex, sizeof hex, mac_key, 32), "af456dd04cabb7315ff1e37fe506c348f09ef62ef757f1d87ad7d13370dba8d0");
}

Test(ledger, the_output_of_a_round_is_opened_only_whole)
{
    uint8_t file[SL_RELEASE_HEAD + 5] = {0};
    const uint8_t *bytes;
    uint64_t sequence;
    size_t size;
    sl_release_head(UINT64_C(0x0102030405), 5, file);
    memcpy(file + SL_RELEASE_HEAD, "model", 5);

    cr_assert_eq(sl_release_open(file, sizeof file, &sequence, &bytes, &size), SL_OK);
    cr_expect(sequence == UINT64_C(0x0102030405) && size == 5 && memcmp(bytes, "model", 5) == 0);

    for (size_t n = 0; n < sizeof file; n++) cr_expect_eq(sl_release_open(file, n, &sequence, &bytes, &size), SL_ERROR_FORMAT, "%zu bytes", n);
    file[0] ^= 1;
    cr_expect_eq(sl_release_open(file, sizeof file, &sequence, &bytes, &size), SL_ERROR_FORMAT);
}
