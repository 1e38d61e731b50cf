/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/core.h"

/* Who belongs together in an epoch: groups of neighbours on the ring, a leader by lot, and what a cohort owes its group. */

/* A public lot per identity and epoch, independent of the position it is drawn from (finaliser of splitmix64). */
uint64_t group_lot(uint64_t position)
{
    uint64_t z = position + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct group group_own(const struct sl_node *node)
{
    uint64_t n = node->view.n_ring, n_groups = n / node->config.cohort_size;
    uint64_t fewest = (n + node->config.cohort_max_size - 1) / node->config.cohort_max_size;
    if (n_groups < fewest) n_groups = fewest;

    uint64_t group = node->view.own_place * n_groups / n;
    return (struct group){(uint32_t)((group * n + n_groups - 1) / n_groups), (uint32_t)(((group + 1) * n + n_groups - 1) / n_groups - 1)};
}

/* Place of the member of a group with the lowest lot. */
uint32_t group_leader(const struct sl_node *node, struct group group)
{
    uint32_t leader = group.first;
    for (uint32_t place = group.first + 1; place <= group.last; place++)
        if (group_lot(node->view.ring_positions[place]) < group_lot(node->view.ring_positions[leader])) leader = place;
    return leader;
}

bool group_is_known(const struct sl_node *node)
{
    return !node->view.overflowed && !node->members.is_learning;
}

uint32_t group_window(const struct sl_node *node)
{
    uint32_t window = 3 * node->config.cohort_size / 2;
    return window > node->config.cohort_max_size ? window : node->config.cohort_max_size;
}

bool group_is_led_by(const struct sl_node *node, const uint8_t from[32])
{
    if (!group_is_known(node)) return false;
    uint32_t index = node->view.ring[group_leader(node, group_own(node))];
    return index != SL_VIEW_SELF && sl_hash_equal(node->view.peers[index].id, from);
}

/* A leader has no say in whom it invites: all of the group, but for one at most, of whom it may know that he is gone. */
bool group_is_invited(const struct sl_node *node, const struct sl_propose *propose, const uint8_t from[32])
{
    struct group group = group_own(node);
    uint32_t n_left_out = 0;
    for (uint32_t place = group.first; place <= group.last; place++) {
        uint32_t index = node->view.ring[place];
        const uint8_t *id = index == SL_VIEW_SELF ? node->self->id : node->view.peers[index].id;
        n_left_out += proposal_place(propose, from, id) == UINT32_MAX;
    }
    return n_left_out <= 1;
}

/* Nor in whom it takes: enough of the roster must be of the group. Else one leader and two friends nearby could have any neighbour to themselves. */
bool group_is_taken(struct sl_node *node)
{
    struct group group = group_own(node);
    uint32_t n_own = 0, n_group = group.last - group.first + 1;
    for (uint32_t place = group.first; place <= group.last; place++) {
        uint32_t index = node->view.ring[place];
        n_own += cohort_find(node, index == SL_VIEW_SELF ? node->self->id : node->view.peers[index].id) != NULL;
    }
    return n_own >= (n_group < node->config.cohort_min_size ? n_group : node->config.cohort_min_size);
}
