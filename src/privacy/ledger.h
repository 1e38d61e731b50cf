/* SPDX-License-Identifier: MIT */
#ifndef SL_PRIVACY_LEDGER_H
#define SL_PRIVACY_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "privacy/budget.h"

/*
 * The ledger: a chain of records of 256 bytes, each with the hash of the one before and a MAC under a key of the node's identity secret. It stores parameters,
 * not epsilons. This file knows bytes only; who writes them to a disk, and in which order, is the driver's and the core's business. Layout: docs/privacy.md.
 */

enum { SL_LEDGER_RECORD = 256, SL_LEDGER_MAX = 64 << 20 };

enum sl_ledger_type { SL_LEDGER_OPEN, SL_LEDGER_CHARGE, SL_LEDGER_RELEASE, SL_LEDGER_LOWER };

struct sl_ledger_record {
    enum sl_ledger_type type;
    uint64_t sequence;
    uint8_t previous[32], dataset[16];
    struct sl_charge charge;         /* OPEN, LOWER: unit and adjacency only, the rest zero */
    uint64_t round;                  /* epoch; 0 in OPEN and LOWER */
    uint8_t release[32];             /* RELEASE: hash of the output */
    double eps_max, delta;           /* OPEN, LOWER */
    uint64_t wall_ms;                /* information only */
};

/* All that a chain says. */
struct sl_ledger {
    uint8_t key[32];
    uint64_t n_records, n_charges, n_releases;
    uint8_t head[32];                /* hash of the last record */
    enum sl_unit unit;
    enum sl_adjacency adjacency;
    uint8_t dataset[16];
    double eps_max, delta;           /* in force */
    struct sl_ledger_record charge;  /* the last CHARGE, when n_charges > 0 */
    bool is_released;                /* it has its RELEASE, */
    uint8_t release[32];             /* with this hash */
    struct sl_budget budget;
};

/* key = BLAKE2b("starling.ledger.v1") keyed with the seed of the identity's Ed25519 secret. */
void sl_ledger_key(const uint8_t sign_secret[64], uint8_t key[32]);
void sl_ledger_dataset(const char *name, uint8_t out[16]);           /* hash of the operator's name for the data */

void sl_ledger_init(struct sl_ledger *ledger, const uint8_t key[32]);        /* without records */

/* The next record of this chain: fills sequence, previous, dataset, unit and adjacency (but OPEN's, which are given), in a RELEASE also charge and round of the
 * last CHARGE, and encodes it. The ledger is unchanged. OPEN if and only if there are no records. */
void sl_ledger_next(const struct sl_ledger *ledger, struct sl_ledger_record *record, uint8_t out[SL_LEDGER_RECORD]);

/* Takes the next record; checks all of it. SL_ERROR_BAD_SIGNATURE (MAC), SL_ERROR_BAD_VERSION (version, grid or type unknown), SL_ERROR_MISMATCH (chain,
 * sequence, unit, data set, a RELEASE that fits no CHARGE, limits that rise), SL_ERROR_OUT_OF_RANGE (numbers); then the ledger is unchanged. */
int sl_ledger_take(struct sl_ledger *ledger, const uint8_t record[SL_LEDGER_RECORD]);

/* A whole file. *out_whole: how many bytes to keep; a last record that is shorter than 256 bytes or all zero is a torn write. SL_ERROR_* of sl_ledger_take(),
 * SL_ERROR_TOO_LARGE; *out_whole then says where the damage begins. */
int sl_ledger_read(struct sl_ledger *ledger, const uint8_t *bytes, size_t size, size_t *out_whole);

/* The output of a round as a file: magic, sequence of its CHARGE, length, bytes. */
enum { SL_RELEASE_HEAD = 24 };
void sl_release_head(uint64_t sequence, uint64_t size, uint8_t out[SL_RELEASE_HEAD]);
int sl_release_open(const uint8_t *file, size_t size, uint64_t *out_sequence, const uint8_t **out, size_t *out_size);      /* SL_ERROR_FORMAT */
void sl_release_hash(const uint8_t *bytes, size_t size, uint8_t out[32]);            /* of the whole file, or of the bytes of a cohort's output */

#endif
