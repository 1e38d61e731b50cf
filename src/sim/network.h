/* SPDX-License-Identifier: MIT */
#ifndef SL_SIM_NETWORK_H
#define SL_SIM_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

/*
 * What the simulated network does to a frame: how long it travels, whether it is lost, comes twice or comes late. It knows pairs of nodes, not
 * connections. A pair has a base latency of its own; every frame adds jitter.
 */
enum { SL_ONE_WAY_MAX = 256 };

struct sl_network {
    uint64_t latency_us, jitter_us;      /* base between half and one and a half of latency_us; jitter on top, uniform */
    uint64_t delay_us;                   /* fault: added to everything */
    double loss, duplicate, reorder;     /* faults: probabilities per frame */
    uint8_t *group;                      /* n_nodes; frames between groups are lost */
    uint32_t n_nodes;
    struct { uint32_t from, to; } one_way[SL_ONE_WAY_MAX];      /* these frames are lost */
    uint32_t n_one_way;
    uint64_t salt;                       /* of the base latencies */
    struct sl_rng rng;
};

/* When the copies of a frame arrive. */
struct sl_fate {
    uint32_t n_copies;                   /* 0 .. 2 */
    uint64_t travel_us[2];
    bool in_order[2];                    /* false: later frames may overtake it */
};

/* False when memory is short. Latency: 20 ms with 10 ms of jitter, less where an epoch is short. */
bool sl_network_init(struct sl_network *network, uint32_t n_nodes, uint64_t epoch_us, struct sl_rng rng);
void sl_network_finish(struct sl_network *network);

bool sl_network_is_blocked(const struct sl_network *network, uint32_t from, uint32_t to);
uint64_t sl_network_latency(const struct sl_network *network, uint32_t from, uint32_t to);     /* without jitter, with delay */
struct sl_fate sl_network_fate(struct sl_network *network, uint32_t from, uint32_t to);

/* False when the table is full: nothing changed. */
bool sl_network_block_one_way(struct sl_network *network, uint32_t from, uint32_t to);

/* One group again, and every one-way block lifted. */
void sl_network_heal(struct sl_network *network);

#endif
