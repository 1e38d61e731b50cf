/* SPDX-License-Identifier: MIT */
/* Initiators that would lead a cohort elsewhere: a reference that is not theirs, a radius that suits them. */
#include <math.h>
#include <string.h>

#include "sim/adversary_parts.h"

enum { STEER_FACTOR = 10 };

/* An own PROPOSE may be made in this step: when the number of the epoch is durable, or later by chance. */
static bool may_propose(const struct sl_liar *liar, const struct sl_event *event)
{
    const struct formation *formation = &liar->node->formation;
    return event->type == SL_EVENT_STORED || (formation->state == FORMATION_FREE && !formation->proposed);
}

static bool count_proposals(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    (void)send;
    if (envelope->type == SL_MESSAGE_PROPOSE && liar_is_own(liar, envelope)) liar_strike(liar);
    return false;
}

/* ---- steer-reference ---- */

struct shove { float by; };              /* of every coordinate of the anchor, during a step; 0: none */

static void shove(struct sl_liar *liar, float by)
{
    for (uint32_t j = 0; j < liar->node->dim; j++) liar->node->anchor[j] += by;
}

/* The reference of a PROPOSE is the initiator's anchor: ten sharing radii off. */
static void reference_event(struct sl_liar *liar, struct sl_event *event)
{
    struct shove *shoved = liar->memory;
    shoved->by = may_propose(liar, event) ? (float)(STEER_FACTOR * epoch_radius(liar->node) / sqrt(liar->node->dim)) : 0;
    if (shoved->by > 0) shove(liar, shoved->by);
}

static void reference_after(struct sl_liar *liar)
{
    const struct shove *shoved = liar->memory;
    if (shoved->by > 0) shove(liar, -shoved->by);
}

const struct sl_adversary sl_adversary_steer_reference = {
    .name = "steer-reference", .summary = "proposes cohorts around a reference ten sharing radii off", .size = sizeof(struct shove),
    .event = reference_event, .after = reference_after, .message = count_proposals
};

/* ---- steer-radius ---- */

struct stretch { bool is_stretched; uint32_t n; struct distance distances[DISTANCES_MAX]; double radius; };

/* The radius of a PROPOSE is the initiator's estimate from the distances that it remembers: ten times as large. */
static void radius_event(struct sl_liar *liar, struct sl_event *event)
{
    struct stretch *stretch = liar->memory;
    struct sl_node *node = liar->node;
    stretch->is_stretched = may_propose(liar, event);
    if (!stretch->is_stretched) return;

    stretch->n = node->n_distances;
    stretch->radius = node->config.cohort_radius;
    memcpy(stretch->distances, node->distances, sizeof node->distances);
    node->config.cohort_radius *= STEER_FACTOR;
    for (uint32_t i = 0; i < node->n_distances; i++) node->distances[i].value *= STEER_FACTOR;
}

static void radius_after(struct sl_liar *liar)
{
    const struct stretch *stretch = liar->memory;
    if (!stretch->is_stretched) return;

    liar->node->config.cohort_radius = stretch->radius;
    if (liar->node->n_distances == stretch->n) memcpy(liar->node->distances, stretch->distances, sizeof stretch->distances);
}

const struct sl_adversary sl_adversary_steer_radius = {
    .name = "steer-radius", .summary = "proposes cohorts with a sharing radius ten times too large", .size = sizeof(struct stretch),
    .event = radius_event, .after = radius_after, .message = count_proposals
};
