/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/vec.h"
#include "core/core.h"
#include "share/quantise.h"

/* What this node puts into a cohort, and what it takes from the sum: between models and ring elements. */

/* A reference far from our own anchor would steer what we share. */
bool contribution_is_near(struct sl_node *node)
{
    size_t mark = node->scratch.used;
    float *ref = SL_TAKE(&node->scratch, float, node->n_block), *anchor = SL_TAKE(&node->scratch, float, node->n_block);
    sl_ref_decode(node->cohort.ref, node->n_block, node->cohort.ref_exponent, ref);
    node_gather(node, node->anchor, anchor);
    double distance = sl_vec_distance(ref, anchor, node->n_block);
    node->scratch.used = mark;
    return distance <= epoch_reference_slack(node);
}

/* In unit node it is clipped, noised and in the ring already. It has served then: what a cohort has is in no other place. */
static void take_release(struct sl_node *node, uint32_t *z)
{
    for (uint32_t j = 0; j < node->n_block; j++) z[j] = (uint32_t)node->release[j];
    sl_wipe(node->release, sizeof *node->release * node->n_block);
}

/* z = Q(clip(work - ref)). */
void contribution_make(struct sl_node *node, uint32_t *z)
{
    struct cohort *cohort = &node->cohort;
    if (node->unit == SL_UNIT_NODE) {
        take_release(node, z);
        return;
    }
    size_t mark = node->scratch.used;
    float *v = SL_TAKE(&node->scratch, float, node->n_block), *ref = SL_TAKE(&node->scratch, float, node->n_block);
    sl_ref_decode(cohort->ref, node->n_block, cohort->ref_exponent, ref);
    node_gather(node, node->work, v);
    for (uint32_t j = 0; j < node->n_block; j++) v[j] -= ref[j];
    sl_vec_clip(v, node->n_block, cohort->radius);
    sl_ring_encode(v, node->n_block, cohort->ring_exponent, &node->rounding, z);
    sl_wipe(v, sizeof(float) * node->n_block);
    node->scratch.used = mark;
}

static void name_members(struct sl_node *node, struct aggregate *slot, uint64_t members)
{
    const struct cohort *cohort = &node->cohort;
    slot->n_members = 0;
    slot->n_roster = cohort->n_members;
    for (uint32_t i = 0; i < cohort->n_members; i++) {
        memcpy(slot->roster[i], cohort->members[i].id, 32);
        if (members >> i & 1) memcpy(slot->members[slot->n_members++], cohort->members[i].id, 32);
    }
}

bool contribution_aggregate(struct sl_node *node, const uint32_t *sum, uint64_t members, struct sl_result *out)
{
    struct cohort *cohort = &node->cohort;
    struct aggregate *slot = pull_own_slot(node, cohort->epoch);
    if (members == 0 || !cohort->ref_here) return false;        /* without the reference the sum is known, the mean is not */

    slot->complete = slot->tree_ready = false;
    slot->used = true;
    slot->epoch = cohort->epoch;
    slot->bits = node->config.aggregate_bits;
    slot->n_values = node->n_block;
    slot->radius = cohort->radius;
    memcpy(slot->cohort, cohort->id, 32);
    name_members(node, slot, members);
    sl_mean_encode(cohort->ref, cohort->ref_exponent, sum, slot->n_members, cohort->ring_exponent, node->n_block, slot->bits, slot->bytes, &slot->exponent);
    sl_merkle_build(&slot->tree, slot->bytes, (size_t)node->n_block * slot->bits / 8, (size_t)SL_CHUNK_ELEMENTS * slot->bits / 8);
    slot->tree_ready = true;
    memcpy(slot->root, slot->tree.root, 32);

    out->bits = slot->bits;
    out->exponent = slot->exponent;
    memcpy(out->root, slot->root, 32);
    return true;
}
