/* SPDX-License-Identifier: MIT */
#include "overlay/sampler.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

bool sl_sampler_init(struct sl_sampler *sampler, struct sl_arena *arena, uint32_t n_slots_max, uint64_t life_us, bool local_is_free)
{
    *sampler = (struct sl_sampler){.n_slots_max = n_slots_max, .life_us = life_us, .local_is_free = local_is_free};
    sampler->slots = SL_RESERVE(arena, struct sl_sampler_slot, n_slots_max);
    return sampler->slots;
}

static void draw(struct sl_sampler_slot *slot, struct sl_rng *rng, uint64_t until_us)
{
    *slot = (struct sl_sampler_slot){.until_us = until_us};
    sl_rng_bytes(rng, slot->seed, sizeof slot->seed);
}

void sl_sampler_begin(struct sl_sampler *sampler, struct sl_rng *rng, uint32_t n_slots, uint64_t now_us)
{
    assert(n_slots <= sampler->n_slots_max);
    sampler->n_slots = n_slots;
    for (uint32_t i = 0; i < n_slots; i++) draw(&sampler->slots[i], rng, now_us + sampler->life_us / n_slots * (i + 1));
}

uint32_t sl_sampler_turn(struct sl_sampler *sampler, struct sl_rng *rng, uint64_t now_us)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < sampler->n_slots; i++) {
        if (sampler->slots[i].until_us > now_us) continue;
        draw(&sampler->slots[i], rng, now_us + sampler->life_us);
        n++;
    }
    return n;
}

/* Does this rank beat the slot's? The finer hashes are computed only where the coarser ones are equal. */
static bool beats(struct sl_sampler_slot *slot, const struct sl_group *group, const uint8_t id[32])
{
    uint64_t parts[2] = {group->wide, group->narrow};
    uint64_t wide = sl_hash_short(slot->seed, &parts[0], 8);
    if (slot->is_used && wide > slot->rank[0]) return false;

    uint64_t narrow = sl_hash_short(slot->seed, parts, 16);
    if (slot->is_used && wide == slot->rank[0] && narrow > slot->rank[1]) return false;

    uint64_t own = sl_hash_short(slot->seed, id, 32);
    if (slot->is_used && wide == slot->rank[0] && narrow == slot->rank[1] && own >= slot->rank[2]) return false;

    slot->rank[0] = wide;
    slot->rank[1] = narrow;
    slot->rank[2] = own;
    return true;
}

uint32_t sl_sampler_offer(struct sl_sampler *sampler, const uint8_t id[32], const char *address)
{
    struct sl_group group = sl_group_of(address, id, sampler->local_is_free);
    uint32_t n = 0;
    for (uint32_t i = 0; i < sampler->n_slots; i++) {
        struct sl_sampler_slot *slot = &sampler->slots[i];
        if (!beats(slot, &group, id)) continue;
        memcpy(slot->id, id, 32);
        slot->is_used = true;
        n++;
    }
    return n;
}

uint32_t sl_sampler_forget(struct sl_sampler *sampler, const uint8_t id[32])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < sampler->n_slots; i++) {
        struct sl_sampler_slot *slot = &sampler->slots[i];
        if (!slot->is_used || memcmp(slot->id, id, 32) != 0) continue;
        slot->is_used = false;
        n++;
    }
    return n;
}

uint32_t sl_sampler_count(const struct sl_sampler *sampler, const uint8_t id[32])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < sampler->n_slots; i++) n += sampler->slots[i].is_used && memcmp(sampler->slots[i].id, id, 32) == 0;
    return n;
}
