/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "config/plan.h"
#include "core/core.h"
#include "share/quantise.h"

/*
 * What cohorts and their members owe one another in each unit of privacy. All of it is our own configuration: a PROPOSE repeats clip and noise, so that members
 * who count on one another's noise know that they mean the same, and whatever differs is declined. Nothing is ever taken from it.
 *
 * In unit node members share in units of the clip norm C, which is 2^20 in the ring. C is a power of two, so a mean in the measure of the weights is exact.
 */

static uint64_t bits_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

void privacy_state(const struct sl_node *node, struct sl_propose *out)
{
    out->unit = node->unit;
    if (node->unit != SL_UNIT_NODE) return;

    out->clip_bits = bits_of(node->config.privacy_node_clip);
    out->sigma2 = sl_charge_of(&node->config, node->n_block).sigma2;
    out->radius_q = 65536;
}

enum privacy_term privacy_compare(const struct sl_node *node, const struct sl_propose *propose)
{
    struct sl_propose own = {0};
    privacy_state(node, &own);
    if (propose->unit != own.unit) return TERM_UNIT;
    if (propose->clip_bits != own.clip_bits) return TERM_CLIP;
    if (propose->sigma2 != own.sigma2) return TERM_NOISE;
    bool is_other_ring = propose->ring_bits != node->config.ring_bits || (own.unit == SL_UNIT_NODE && propose->radius_q != own.radius_q);
    return is_other_ring ? TERM_RING : TERMS_AGREE;
}

bool privacy_allows(const struct sl_node *node, uint32_t n_members)
{
    return node->unit != SL_UNIT_NODE || sl_cohort_suffices(&node->config, n_members);
}

bool privacy_fits_ring(const struct sl_node *node)
{
    return sl_sketch_fits(&node->config, node->n_block);
}

double privacy_radius(const struct sl_propose *propose)
{
    double radius = propose->radius_q / 65536.0;
    return propose->unit == SL_UNIT_NODE ? radius * double_of(propose->clip_bits) : radius;
}

int privacy_ring_exponent(const struct sl_propose *propose, uint32_t n_members)
{
    if (propose->unit != SL_UNIT_NODE) return sl_ring_exponent(propose->radius_q, n_members, propose->ring_bits);
    return SL_SCALE_BITS - ilogb(double_of(propose->clip_bits));
}

/* One clip norm, and twice the length that the noise of the mean is expected to have. */
double privacy_farthest(const struct sl_node *node, uint32_t n_members)
{
    double share = ldexp(sqrt((double)sl_charge_of(&node->config, node->n_block).sigma2), -SL_SCALE_BITS);
    return node->config.privacy_node_clip * (1 + 2 * share * sqrt((double)node->n_block / n_members));
}
