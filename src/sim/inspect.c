/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "core/core.h"
#include "sim/world.h"
#include "share/quantise.h"

/* The only place where the simulator looks inside a node: what a cohort computed under masks is compared with what its members trained. */
static void compare(struct sl_sim *sim, const struct sl_sim_node *node, const struct aggregate *slot, float *mean, float *ref)
{
    const struct cohort *cohort = &node->core->cohort;
    uint32_t members[SL_COHORT_MAX];
    for (uint32_t i = 0; i < slot->n_members; i++) {
        members[i] = sl_sim_find(sim, slot->members[i]);
        if (members[i] == UINT32_MAX) {
            sl_checker_fail(&sim->checker, node->index, "has a member in its cohort that nobody knows");
            return;
        }
        if (sl_sim_is_tapped(sim, members[i])) {
            sl_checker_skip(&sim->checker);          /* what it put in is not what it trained */
            return;
        }
    }
    sl_mean_decode(slot->bytes, slot->n_values, slot->bits, slot->exponent, mean);
    sl_ref_decode(cohort->ref, slot->n_values, cohort->ref_exponent, ref);
    struct sl_checked_aggregate aggregate = {
        .epoch = cohort->epoch, .members = members, .n_members = slot->n_members, .block = node->core->block, .n_values = slot->n_values,
        .bits = slot->bits, .ring_exponent = cohort->ring_exponent, .mean = mean, .ref = ref, .radius = cohort->radius,
    };
    sl_checker_aggregate(&sim->checker, node->index, &aggregate);
}

void sl_sim_check_aggregate(struct sl_sim *sim, const struct sl_sim_node *node)
{
    const struct cohort *cohort = &node->core->cohort;
    const struct aggregate *slot = &node->core->pulls.slots[cohort->epoch % OWN_SLOTS];
    bool is_here = cohort->state == COHORT_DONE && slot->complete && slot->epoch == cohort->epoch;
    bool is_comparable = is_here && cohort->epoch == node->core->epoch && slot->n_values == node->core->n_block;         /* the block is that of the epoch */
    float *mean = is_comparable ? calloc(slot->n_values, sizeof *mean) : NULL, *ref = is_comparable ? calloc(slot->n_values, sizeof *ref) : NULL;
    if (mean && ref) compare(sim, node, slot, mean, ref);
    else sl_checker_skip(&sim->checker);
    free(mean);
    free(ref);
}

void sl_sim_check_commit(struct sl_sim *sim, const struct sl_sim_node *node)
{
    sl_checker_committed(&sim->checker, node->index, node->core->work);
}
