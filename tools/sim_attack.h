/* SPDX-License-Identifier: MIT */
#ifndef SL_TOOLS_SIM_ATTACK_H
#define SL_TOOLS_SIM_ATTACK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/adversary.h"
#include "sim/adversary_census.h"
#include "sim/sim.h"

/* `starling-sim run --attack NAME:COUNT`: the last nodes lie, the rest are watched. */
enum { ATTACKS_MAX = 8 };

struct attack_wish { const struct sl_adversary *adversary; uint32_t count; };

struct attacks {
    const struct attack_wish *wishes;
    uint32_t n_wishes, n_nodes, n_liars;
    struct sl_gang *gang;
    struct sl_liar **liars;              /* n_liars: those of the last nodes, the first wish's first */
    struct sl_tap *taps;                 /* n_nodes */
    struct sl_census *census;
    uint64_t honest_epochs, honest_with_aggregate;
};

/* Takes "NAME:COUNT" into wishes; false: `why` says what is wrong. */
bool attack_parse(const char *text, struct attack_wish wishes[ATTACKS_MAX], uint32_t *n_wishes, char *why, size_t why_size);

/* At least one node must stay honest. */
uint32_t attack_count(const struct attack_wish *wishes, uint32_t n_wishes);

/* False: memory is short. Finish it either way. */
bool attacks_make(struct attacks *attacks, const struct sl_config *config, uint32_t dim, uint64_t seed);
void attacks_finish(struct attacks *attacks);

bool attacks_is_liar(const struct attacks *attacks, uint32_t node);
/* Of struct attacks, as a report calls them: "attack":{...}, and lines of the table. */
void attacks_write_json(const void *attacks, FILE *file);
void attacks_write_lines(const void *attacks, FILE *file);

#endif
