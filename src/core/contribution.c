/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/vec.h"
#include "core/core.h"
#include "privacy/mask.h"
#include "share/quantise.h"

/* v = clip(work - ref), z = Q(v). */
static void encode(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    size_t mark = node->scratch.used;
    float *v = SL_TAKE(&node->scratch, float, node->n_block), *ref = SL_TAKE(&node->scratch, float, node->n_block);
    sl_ref_decode(cohort->ref, node->n_block, cohort->ref_exponent, ref);
    node_gather(node, node->work, v);
    for (uint32_t j = 0; j < node->n_block; j++) v[j] -= ref[j];
    sl_vec_clip(v, node->n_block, cohort->radius);
    sl_ring_encode(v, node->n_block, cohort->ring_exponent, &node->rounding, cohort->z);
    node->scratch.used = mark;
}

static void store_le(const uint32_t *from, uint32_t n, uint8_t *to)
{
    for (uint32_t j = 0; j < n; j++) {
        to[4 * j] = (uint8_t)from[j];
        to[4 * j + 1] = (uint8_t)(from[j] >> 8);
        to[4 * j + 2] = (uint8_t)(from[j] >> 16);
        to[4 * j + 3] = (uint8_t)(from[j] >> 24);
    }
}

/* y = z + sum over later members of PRG(s_ij) - sum over earlier members of PRG(s_ij). False if a partner's key is worthless. */
static bool mask(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    assert(!sl_hash_is_zero(node->formation.mask_secret));      /* a wiped key would mask nothing */
    struct sl_mask_context context = {.network_id = node->config.network_id, .cohort_id = cohort->id, .epoch = cohort->epoch,
                                      .own_id = node->self->id, .own_index = cohort->own};
    uint8_t seed[32];
    memcpy(cohort->sum, cohort->z, sizeof(uint32_t) * node->n_block);
    for (uint32_t i = 0; i < cohort->n_members; i++) {
        if (i == cohort->own) continue;
        context.peer_id = cohort->members[i].id;
        context.peer_index = i;
        if (sl_mask_pair_seed(&context, node->formation.mask_public, node->formation.mask_secret, cohort->members[i].mask_public, seed) != SL_OK) return false;
        sl_mask_add(seed, i > cohort->own ? 1 : -1, cohort->sum, node->n_block);
        sl_wipe(seed, sizeof seed);
    }
    sl_wipe(node->formation.mask_secret, sizeof node->formation.mask_secret);
    sl_wipe(node->formation.box_secret, sizeof node->formation.box_secret);
    return true;
}

bool contribution_make(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    struct member *own = &cohort->members[cohort->own];
    encode(node);
    if (!mask(node)) return false;

    store_le(cohort->sum, node->n_block, own->vector);
    sl_merkle_build(&own->tree, own->vector, (size_t)4 * node->n_block, 4 * SL_CHUNK_ELEMENTS);
    memcpy(own->root, own->tree.root, 32);
    own->vector_here = own->tree_ready = true;
    return true;
}
