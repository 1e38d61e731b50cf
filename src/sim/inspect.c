/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "core/core.h"
#include "sim/world.h"
#include "share/quantise.h"

/* The only place where the simulator looks inside a node: what a cohort computed under masks is compared with what its members trained. */
static void compare(struct sl_sim *sim, const struct sl_sim_node *node, const struct aggregate *slot, float *mean, float *ref)
{
    const struct cohort *cohort = &node->core->cohort;
    uint32_t members[SL_MESH_COHORT_MAX];
    for (uint32_t i = 0; i < slot->n_members; i++) {
        members[i] = sl_sim_find(sim, slot->members[i]);
        if (members[i] == UINT32_MAX) {
            sl_checker_fail(&sim->checker, node->index, "has a member in its cohort that nobody knows");
            return;
        }
    }
    sl_mean_decode(slot->bytes, slot->n_values, slot->bits, slot->exponent, mean);
    sl_ref_decode(cohort->ref, sim->dim, cohort->ref_exponent, ref);
    sl_checker_aggregate(&sim->checker, node->index, cohort->epoch, members, slot->n_members, mean, (uint32_t)(cohort->radius * 65536), ref, slot->bits);
}

void sl_sim_check_aggregate(struct sl_sim *sim, const struct sl_sim_node *node)
{
    const struct cohort *cohort = &node->core->cohort;
    const struct aggregate *slot = &node->core->pulls.slots[cohort->epoch % OWN_SLOTS];
    bool is_comparable = cohort->state == COHORT_DONE && slot->complete && slot->epoch == cohort->epoch && slot->n_values == sim->dim;
    if (!is_comparable) return;          /* an epoch that shares only a part of the vector */

    float *mean = calloc(sim->dim, sizeof *mean), *ref = calloc(sim->dim, sizeof *ref);
    if (mean && ref) compare(sim, node, slot, mean, ref);
    free(mean);
    free(ref);
}
