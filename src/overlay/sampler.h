/* SPDX-License-Identifier: MIT */
#ifndef SL_OVERLAY_SAMPLER_H
#define SL_OVERLAY_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "overlay/descriptor.h"
#include "starling/arena.h"

/*
 * Who stays in a view that cannot hold everybody (after Auvolat et al., 2021). Each slot has a secret seed and keeps, of all identities it was ever offered,
 * the one with the lowest rank (H(seed, /16), H(seed, /24), H(seed, id)): how often somebody is named does not matter, and whoever buys many identities in
 * one network has won no more slots than any other network. A slot is drawn anew when its life is over.
 */
struct sl_sampler_slot {
    uint8_t seed[16];
    uint64_t rank[3];
    uint8_t id[32];
    bool is_used;
    uint64_t until_us;
};

struct sl_sampler {
    struct sl_sampler_slot *slots;
    uint32_t n_slots, n_slots_max;           /* n_slots 0: not begun */
    uint64_t life_us;
    bool local_is_free;                      /* as in sl_group_of() */
};

/* Reserves the slots; their memory is touched only when they begin. False when the arena is too small. */
bool sl_sampler_init(struct sl_sampler *sampler, struct sl_arena *arena, uint32_t n_slots_max, uint64_t life_us, bool local_is_free);

/* Draws the seeds of n slots (at most n_slots_max) and empties them. Their first lives end one after another. */
void sl_sampler_begin(struct sl_sampler *sampler, struct sl_rng *rng, uint32_t n_slots, uint64_t now_us);

/* Empties the slots whose life is over and draws their seeds anew. Returns how many: then everybody known should be offered again. */
uint32_t sl_sampler_turn(struct sl_sampler *sampler, struct sl_rng *rng, uint64_t now_us);

/* Returns the number of slots it won. */
uint32_t sl_sampler_offer(struct sl_sampler *sampler, const uint8_t id[32], const char *address);

/* Gone, dead or banned: its slots become empty. Returns their number. */
uint32_t sl_sampler_forget(struct sl_sampler *sampler, const uint8_t id[32]);

/* In how many slots it stands. */
uint32_t sl_sampler_count(const struct sl_sampler *sampler, const uint8_t id[32]);

#endif
