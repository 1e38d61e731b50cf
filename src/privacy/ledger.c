/* SPDX-License-Identifier: MIT */
#include "privacy/ledger.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/rng.h"
#include "starling/error.h"

/* Where the fields stand; integers are little-endian, doubles IEEE 754. What lies between is zero. */
enum {
    AT_MAGIC = 0, AT_VERSION = 4, AT_TYPE = 6, AT_SEQUENCE = 8, AT_PREVIOUS = 16, AT_DATASET = 48,
    AT_UNIT = 64, AT_ADJACENCY = 65, AT_MECHANISM = 66, AT_GRID = 67,
    AT_NUMBERS = 72,                         /* q64, sigma2, sensitivity, steps, honest, audit rows, dim, kappa, round */
    AT_RELEASE = 128, AT_EPS_MAX = 160, AT_DELTA = 168, AT_WALL = 176, AT_MAC = 224,
    VERSION = 1
};

static const uint8_t magic[4] = {'S', 'L', 'P', 'B'};
static const uint8_t release_magic[8] = {'S', 'L', 'R', 'E', 'L', 'S', 'E', '1'};

/* ---- bytes ---- */

static void put(uint8_t *out, uint32_t size, uint64_t number)
{
    for (uint32_t i = 0; i < size; i++) out[i] = (uint8_t)(number >> 8 * i);
}

static uint64_t get(const uint8_t *bytes, uint32_t size)
{
    uint64_t number = 0;
    for (uint32_t i = 0; i < size; i++) number |= (uint64_t)bytes[i] << 8 * i;
    return number;
}

static void put_real(uint8_t out[8], double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    put(out, 8, bits);
}

static double get_real(const uint8_t bytes[8])
{
    double number;
    uint64_t bits = get(bytes, 8);
    memcpy(&number, &bits, sizeof number);
    return number;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return sodium_is_zero(bytes, size) == 1;
}

static void hash(const void *bytes, size_t size, uint8_t out[32])
{
    crypto_generichash(out, 32, bytes, size, NULL, 0);
}

static void put_charge(uint8_t *out, const struct sl_charge *charge, uint64_t round)
{
    put(out + AT_MECHANISM, 1, charge->mechanism);
    put(out + 72, 8, charge->q64);
    put(out + 80, 8, charge->sigma2);
    put(out + 88, 8, charge->sensitivity);
    put(out + 96, 8, charge->steps);
    put(out + 104, 4, charge->honest);
    put(out + 108, 4, charge->audit_rows);
    put(out + 112, 4, charge->dim);
    put(out + 116, 4, charge->kappa);
    put(out + 120, 8, round);
}

static struct sl_charge get_charge(const uint8_t *bytes)
{
    return (struct sl_charge){.unit = (enum sl_unit)bytes[AT_UNIT],
                              .adjacency = (enum sl_adjacency)bytes[AT_ADJACENCY],
                              .mechanism = (enum sl_mechanism)bytes[AT_MECHANISM],
                              .q64 = get(bytes + 72, 8),
                              .sigma2 = get(bytes + 80, 8),
                              .sensitivity = get(bytes + 88, 8),
                              .steps = get(bytes + 96, 8),
                              .honest = (uint32_t)get(bytes + 104, 4),
                              .audit_rows = (uint32_t)get(bytes + 108, 4),
                              .dim = (uint32_t)get(bytes + 112, 4),
                              .kappa = (uint32_t)get(bytes + 116, 4)};
}

static void encode(const struct sl_ledger_record *record, const uint8_t key[32], uint8_t out[SL_LEDGER_RECORD])
{
    bool is_round = record->type == SL_LEDGER_CHARGE || record->type == SL_LEDGER_RELEASE;
    memset(out, 0, SL_LEDGER_RECORD);
    memcpy(out + AT_MAGIC, magic, sizeof magic);
    put(out + AT_VERSION, 2, VERSION);
    put(out + AT_TYPE, 2, record->type);
    put(out + AT_SEQUENCE, 8, record->sequence);
    memcpy(out + AT_PREVIOUS, record->previous, 32);
    memcpy(out + AT_DATASET, record->dataset, 16);
    put(out + AT_UNIT, 1, record->charge.unit);
    put(out + AT_ADJACENCY, 1, record->charge.adjacency);
    put(out + AT_GRID, 1, SL_GRID_VERSION);
    if (is_round) {
        put_charge(out, &record->charge, record->round);
    } else {
        put_real(out + AT_EPS_MAX, record->eps_max);
        put_real(out + AT_DELTA, record->delta);
    }
    if (record->type == SL_LEDGER_RELEASE) memcpy(out + AT_RELEASE, record->release, 32);
    put(out + AT_WALL, 8, record->wall_ms);
    crypto_generichash(out + AT_MAC, 32, out, AT_MAC, key, 32);
}

static struct sl_ledger_record decode(const uint8_t bytes[SL_LEDGER_RECORD])
{
    struct sl_ledger_record record = {.type = (enum sl_ledger_type)get(bytes + AT_TYPE, 2),
                                      .sequence = get(bytes + AT_SEQUENCE, 8),
                                      .charge = get_charge(bytes),
                                      .round = get(bytes + 120, 8),
                                      .eps_max = get_real(bytes + AT_EPS_MAX),
                                      .delta = get_real(bytes + AT_DELTA),
                                      .wall_ms = get(bytes + AT_WALL, 8)};
    memcpy(record.previous, bytes + AT_PREVIOUS, 32);
    memcpy(record.dataset, bytes + AT_DATASET, 16);
    memcpy(record.release, bytes + AT_RELEASE, 32);
    return record;
}

/* ---- what a record must be ---- */

static int check_seal(const struct sl_ledger *ledger, const uint8_t *bytes)
{
    uint8_t mac[32];
    crypto_generichash(mac, 32, bytes, AT_MAC, ledger->key, 32);
    bool is_own = sodium_memcmp(mac, bytes + AT_MAC, 32) == 0;
    sl_wipe(mac, sizeof mac);
    if (!is_own) return SL_ERROR_BAD_SIGNATURE;

    bool is_known = memcmp(bytes + AT_MAGIC, magic, sizeof magic) == 0 && get(bytes + AT_VERSION, 2) == VERSION &&
                    get(bytes + AT_TYPE, 2) <= SL_LEDGER_LOWER && bytes[AT_GRID] == SL_GRID_VERSION;
    return is_known ? SL_OK : SL_ERROR_BAD_VERSION;
}

/* What a record of this type does not use says nothing. */
static int check_unused(const struct sl_ledger_record *record, const uint8_t *bytes)
{
    bool is_limit = record->type == SL_LEDGER_OPEN || record->type == SL_LEDGER_LOWER;
    bool unused_are_zero = is_zero(bytes + 68, 4) && is_zero(bytes + 184, 40);
    if (is_limit) unused_are_zero = unused_are_zero && bytes[AT_MECHANISM] == 0 && is_zero(bytes + AT_NUMBERS, 56);
    else unused_are_zero = unused_are_zero && is_zero(bytes + AT_EPS_MAX, 16);
    if (record->type != SL_LEDGER_RELEASE) unused_are_zero = unused_are_zero && is_zero(bytes + AT_RELEASE, 32);
    return unused_are_zero ? SL_OK : SL_ERROR_OUT_OF_RANGE;
}

static bool goes_with(enum sl_unit unit, enum sl_adjacency adjacency)
{
    if (unit == SL_UNIT_RECORD) return adjacency == SL_ADJACENCY_ADD_REMOVE;
    return unit == SL_UNIT_NODE && (adjacency == SL_ADJACENCY_ZERO_OUT || adjacency == SL_ADJACENCY_REPLACE);
}

/* Written so that NaN falls outside. */
static int check_limits(const struct sl_ledger_record *record)
{
    bool in_range = record->eps_max > 0 && record->eps_max <= 1e6 && record->delta >= SL_DELTA_MIN && record->delta <= SL_DELTA_MAX;
    return in_range ? SL_OK : SL_ERROR_OUT_OF_RANGE;
}

static int check_open(const struct sl_ledger_record *record)
{
    if (!goes_with(record->charge.unit, record->charge.adjacency)) return SL_ERROR_OUT_OF_RANGE;
    return check_limits(record);
}

static bool is_same_charge(const struct sl_charge *a, const struct sl_charge *b)
{
    return a->mechanism == b->mechanism && a->q64 == b->q64 && a->sigma2 == b->sigma2 && a->sensitivity == b->sensitivity && a->steps == b->steps &&
           a->honest == b->honest && a->audit_rows == b->audit_rows && a->dim == b->dim && a->kappa == b->kappa;
}

/* A RELEASE ends the latest CHARGE, once. */
static int check_release(const struct sl_ledger *ledger, const struct sl_ledger_record *record)
{
    bool awaits = ledger->n_charges > 0 && !ledger->is_released;
    bool fits = awaits && record->round == ledger->charge.round && is_same_charge(&record->charge, &ledger->charge.charge);
    return fits ? SL_OK : SL_ERROR_MISMATCH;
}

static int check_lower(const struct sl_ledger *ledger, const struct sl_ledger_record *record)
{
    int error = check_limits(record);
    if (error != SL_OK) return error;
    return record->eps_max <= ledger->eps_max && record->delta <= ledger->delta ? SL_OK : SL_ERROR_MISMATCH;
}

/* Its place in the chain: OPEN is the first and the only one, and all others are about what it opened. */
static int check_place(const struct sl_ledger *ledger, const struct sl_ledger_record *record)
{
    bool is_next = record->sequence == ledger->n_records && memcmp(record->previous, ledger->head, 32) == 0;
    bool is_first = ledger->n_records == 0;
    if (!is_next || is_first != (record->type == SL_LEDGER_OPEN)) return SL_ERROR_MISMATCH;

    bool is_of_this = is_first || (record->charge.unit == ledger->unit && record->charge.adjacency == ledger->adjacency &&
                                   memcmp(record->dataset, ledger->dataset, 16) == 0);
    return is_of_this ? SL_OK : SL_ERROR_MISMATCH;
}

static int check_content(const struct sl_ledger *ledger, const struct sl_ledger_record *record)
{
    switch (record->type) {
    case SL_LEDGER_OPEN: return check_open(record);
    case SL_LEDGER_CHARGE: return sl_charge_check(&record->charge);
    case SL_LEDGER_RELEASE: return check_release(ledger, record);
    case SL_LEDGER_LOWER: return check_lower(ledger, record);
    }
    return SL_ERROR_BAD_VERSION;
}

static void apply(struct sl_ledger *ledger, const struct sl_ledger_record *record)
{
    switch (record->type) {
    case SL_LEDGER_OPEN:
        ledger->unit = record->charge.unit;
        ledger->adjacency = record->charge.adjacency;
        memcpy(ledger->dataset, record->dataset, 16);
        ledger->eps_max = record->eps_max;
        ledger->delta = record->delta;
        break;
    case SL_LEDGER_CHARGE:
        ledger->charge = *record;
        ledger->n_charges++;
        ledger->is_released = false;
        memset(ledger->release, 0, 32);
        sl_budget_add(&ledger->budget, &record->charge);
        break;
    case SL_LEDGER_RELEASE:
        ledger->n_releases++;
        ledger->is_released = true;
        memcpy(ledger->release, record->release, 32);
        break;
    case SL_LEDGER_LOWER:
        ledger->eps_max = record->eps_max;
        ledger->delta = record->delta;
        break;
    }
}

/* ---- the chain ---- */

void sl_ledger_key(const uint8_t sign_secret[64], uint8_t key[32])
{
    static const char label[] = "starling.ledger.v1";
    uint8_t seed[32];
    crypto_sign_ed25519_sk_to_seed(seed, sign_secret);
    crypto_generichash(key, 32, (const uint8_t *)label, sizeof label - 1, seed, sizeof seed);
    sl_wipe(seed, sizeof seed);
}

void sl_ledger_dataset(const char *name, uint8_t out[16])
{
    uint8_t whole[32];
    hash(name, strlen(name), whole);
    memcpy(out, whole, 16);
}

void sl_ledger_init(struct sl_ledger *ledger, const uint8_t key[32])
{
    memset(ledger, 0, sizeof *ledger);
    memcpy(ledger->key, key, 32);
    sl_budget_init(&ledger->budget);
}

void sl_ledger_next(const struct sl_ledger *ledger, struct sl_ledger_record *record, uint8_t out[SL_LEDGER_RECORD])
{
    assert((record->type == SL_LEDGER_OPEN) == (ledger->n_records == 0));

    record->sequence = ledger->n_records;
    memcpy(record->previous, ledger->head, 32);
    if (record->type != SL_LEDGER_OPEN) {
        memcpy(record->dataset, ledger->dataset, 16);
        record->charge.unit = ledger->unit;
        record->charge.adjacency = ledger->adjacency;
    }
    if (record->type == SL_LEDGER_RELEASE) {
        record->charge = ledger->charge.charge;
        record->round = ledger->charge.round;
    }
    encode(record, ledger->key, out);
}

int sl_ledger_take(struct sl_ledger *ledger, const uint8_t bytes[SL_LEDGER_RECORD])
{
    int error = check_seal(ledger, bytes);
    if (error != SL_OK) return error;

    struct sl_ledger_record record = decode(bytes);
    error = check_place(ledger, &record);
    if (error == SL_OK) error = check_unused(&record, bytes);
    if (error == SL_OK) error = check_content(ledger, &record);
    if (error != SL_OK) return error;

    apply(ledger, &record);
    ledger->n_records++;
    hash(bytes, SL_LEDGER_RECORD, ledger->head);
    return SL_OK;
}

int sl_ledger_read(struct sl_ledger *ledger, const uint8_t *bytes, size_t size, size_t *out_whole)
{
    *out_whole = 0;
    if (size > SL_LEDGER_MAX) return SL_ERROR_TOO_LARGE;

    size_t short_tail = size % SL_LEDGER_RECORD, end = size - short_tail;
    if (short_tail == 0 && end > 0 && is_zero(bytes + end - SL_LEDGER_RECORD, SL_LEDGER_RECORD)) end -= SL_LEDGER_RECORD;

    for (; *out_whole < end; *out_whole += SL_LEDGER_RECORD) {
        int error = sl_ledger_take(ledger, bytes + *out_whole);
        if (error != SL_OK) return error;
    }
    return SL_OK;
}

/* ---- the output of a round ---- */

void sl_release_head(uint64_t sequence, uint64_t size, uint8_t out[SL_RELEASE_HEAD])
{
    memcpy(out, release_magic, sizeof release_magic);
    put(out + 8, 8, sequence);
    put(out + 16, 8, size);
}

int sl_release_open(const uint8_t *file, size_t size, uint64_t *out_sequence, const uint8_t **out, size_t *out_size)
{
    bool is_whole = size >= SL_RELEASE_HEAD && memcmp(file, release_magic, sizeof release_magic) == 0 && get(file + 16, 8) == size - SL_RELEASE_HEAD;
    if (!is_whole) return SL_ERROR_FORMAT;

    *out_sequence = get(file + 8, 8);
    *out = file + SL_RELEASE_HEAD;
    *out_size = size - SL_RELEASE_HEAD;
    return SL_OK;
}

void sl_release_hash(const uint8_t *bytes, size_t size, uint8_t out[32])
{
    hash(bytes, size, out);
}
