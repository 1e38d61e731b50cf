/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_SETUP_H
#define SL_RUNTIME_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/network.h"
#include "data/dataset.h"
#include "runtime/ledger_file.h"
#include "starling/config.h"
#include "starling/model.h"
#include "starling/trainer.h"

enum { SL_SETUP_SEEDS_MAX = 64 };

/* What privacy has cost so far: the ledger as it was read, and the output of the last round. */
struct sl_spending {
    struct sl_ledger_file file;              /* open once it is held */
    uint8_t *ledger, *release;               /* whole records; NULL with size 0: none */
    size_t ledger_size, release_size;
    uint64_t n_charges;
    double epsilon, epsilon_floor;           /* at privacy.delta; floor: against everybody else together */
    bool was_torn, release_was_dropped;      /* found and mended while it was taken hold of */
};

/* All that a node starts with, read from its directory and checked against each other. */
struct sl_setup {
    const char *folder;                      /* borrowed */
    struct sl_config config;                 /* points into this struct: do not copy it */
    struct sl_scaling scaling;               /* standard: from the descriptor; divide:X: made here; none: empty */
    struct sl_identity identity;
    uint8_t transport_secret[32];
    uint64_t certificate_expires_s;          /* of the own one; UINT64_MAX: never */
    uint8_t network_secret[32];              /* of a private network */
    struct sl_seed seeds[SL_SETUP_SEEDS_MAX];
    uint32_t n_seeds;
    struct sl_peer *peers;                   /* the prepared list; may be empty */
    uint32_t n_peers;
    const struct sl_model *model;
    struct sl_dataset data, test;            /* scaled; test is empty when data.test is */
    struct sl_trainer trainer;
    uint8_t *state, *book;                   /* the last durable ones, or NULL */
    size_t state_size, book_size;
    bool book_damaged;                       /* neither the book nor the one before is whole: the node starts without */
    struct sl_spending spending;             /* zero when privacy.unit is off */
};

/* settings: n_settings texts KEY=VALUE that go over node.conf. Any failure: a negative code, and a sentence in `why` that says what to do. */
int sl_setup_load(struct sl_setup *setup, const char *folder, const char *const *settings, uint32_t n_settings, char *why, size_t why_size);

/* For a node that runs: takes hold of its ledger until sl_setup_finish(), reads it again, mends what a crash left behind (a torn last record, unfinished files,
 * an output that belongs to no round) and reads the output of the last round. Nothing where privacy.unit is off. Fails like sl_setup_load(). */
int sl_setup_hold(struct sl_setup *setup, char *why, size_t why_size);

/* Wipes the secrets and frees everything; a setup of zeros may be finished too. */
void sl_setup_finish(struct sl_setup *setup);

#endif
