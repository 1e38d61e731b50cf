/* SPDX-License-Identifier: MIT */
/* Bad inputs to a sum that nobody sees: longer than allowed, or made of numbers that a sketch may be blind to. */
#include <math.h>
#include <string.h>

#include "base/vec.h"
#include "sim/adversary_parts.h"

/* ---- large-input, huge-input ---- */

enum { FAR = 1000 };                     /* sharing radii from where the node would be: the clip gives the wanted length */

struct large { uint64_t committed_epoch; bool is_scaled; double radius; };

/* Before a step in which the input may be made the node believes in a larger radius. */
static void large_event(struct sl_liar *liar, struct sl_event *event, double factor)
{
    struct large *large = liar->memory;
    struct sl_node *node = liar->node;
    large->is_scaled = liar_cohort(liar) && large->committed_epoch != node->epoch;
    large->radius = node->cohort.radius;
    if (large->is_scaled) node->cohort.radius *= factor;
    if (event->type != SL_EVENT_DONE || node->job != event->done.number || event->done.error != SL_OK) return;

    double step = FAR * node->config.cohort_radius / sqrt(node->dim);
    for (uint32_t j = 0; j < node->dim; j++) node->work[j] += (float)step;
}

static void twice(struct sl_liar *liar, struct sl_event *event)
{
    large_event(liar, event, 2);
}

static void four_times(struct sl_liar *liar, struct sl_event *event)
{
    large_event(liar, event, 4);
}

static void large_after(struct sl_liar *liar)
{
    struct large *large = liar->memory;
    if (large->is_scaled) liar->node->cohort.radius = large->radius;
}

static bool large_message(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    (void)send;
    struct large *large = liar->memory;
    if (envelope->type != SL_MESSAGE_COMMIT || !liar_is_own(liar, envelope) || large->committed_epoch == liar->node->epoch) return false;
    large->committed_epoch = liar->node->epoch;
    liar_strike(liar);
    return false;
}

const struct sl_adversary sl_adversary_large_input = {
    .name = "large-input", .summary = "puts a vector of twice the allowed norm into the sum", .size = sizeof(struct large),
    .event = twice, .after = large_after, .message = large_message
};

const struct sl_adversary sl_adversary_huge_input = {
    .name = "huge-input", .summary = "puts a vector of four times the allowed norm into the sum", .size = sizeof(struct large),
    .event = four_times, .after = large_after, .message = large_message
};

/* ---- half-ring, near-half ---- */

enum { HALVES = 16 };

/* The vector is changed when its COMMIT is said, and the COMMIT names the changed one. */
static bool shift(struct sl_liar *liar, const struct sl_envelope *envelope, struct sl_writer *writer, uint32_t value, uint32_t n)
{
    struct sl_commit commit;
    struct sl_rng rng = liar_rng(liar, "places");
    if (envelope->type != SL_MESSAGE_COMMIT || sl_read_commit(envelope, &commit) != SL_OK) return false;

    session_shift(liar, value, n, &rng, commit.root);
    sl_write_commit(writer, &commit);
    return true;
}

/* Sketches of +-1 alone would not see it: an even number of halves is nothing. */
static bool half_ring(struct sl_liar *liar, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    return shift(liar, envelope, writer, UINT32_C(1) << (liar->node->config.ring_bits - 1), HALVES);
}

const struct sl_adversary sl_adversary_half_ring = {
    .name = "half-ring", .summary = "adds half the ring to an even number of coordinates of its vector", .say = half_ring
};

/* The largest number that the ring can hold, in one coordinate. */
static bool near_half(struct sl_liar *liar, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    return shift(liar, envelope, writer, (UINT32_C(1) << (liar->node->config.ring_bits - 1)) - 1, 1);
}

const struct sl_adversary sl_adversary_near_half = {
    .name = "near-half", .summary = "puts one number of nearly half the ring into its vector", .say = near_half
};
