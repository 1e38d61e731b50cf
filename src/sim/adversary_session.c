/* SPDX-License-Identifier: MIT */
/* What a liar does to its own session. */
#include <string.h>

#include "sim/adversary_parts.h"

bool session_is_amended(const struct sl_liar *liar, const struct sl_envelope *envelope)
{
    (void)liar, (void)envelope;
    return false;
}

/* The session goes on with what it would have sent. */
void session_amend(struct sl_liar *liar, const uint8_t *bytes, size_t size)
{
    (void)liar, (void)bytes, (void)size;
}

static void add(uint8_t *at, uint32_t ring_bits, uint32_t value)
{
    for (uint32_t i = 0, carry = 0; i < ring_bits / 8; i++) {
        carry += at[i] + (value >> 8 * i & 0xff);
        at[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

/* Of the masked vector only: the audit speaks of the input without it. */
bool session_shift(struct sl_liar *liar, uint32_t value, uint32_t n, struct sl_rng *rng, uint8_t root[32])
{
    const struct cohort *cohort = liar_cohort(liar);
    if (!cohort) return false;

    uint32_t bits = liar->node->config.ring_bits, dim = liar->node->n_block;
    uint8_t *vector = sl_session_vector(cohort->session, cohort->own);
    struct sl_merkle tree;
    for (uint32_t i = 0; i < n; i++) add(vector + (size_t)sl_rng_below(rng, dim) * (bits / 8), bits, value);
    sl_merkle_build(&tree, vector, (size_t)dim * (bits / 8), SL_CHUNK_ELEMENTS * (bits / 8));
    memcpy(root, tree.root, 32);
    return true;
}
