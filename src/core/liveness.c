/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/core.h"

/*
 * Whom cohorts lost, as this node saw it: a moving average per peer over the runs together. Who is lost again and again is left alone for some epochs, longer
 * every time. It is never told to others: nobody can be slandered by it, and it proves nothing.
 */
static const double weight = .3,                         /* of the latest run: two losses in a row are enough */
                    allowed = .5, forgiven = .2;
enum { WAIT_FIRST = 2, WAIT_MAX = 16 };                  /* epochs */

/* A new record takes the place of the best one when there is no room: of it there is least to remember. */
static struct liveness_record *find_or_add(struct sl_node *node, const uint8_t id[32])
{
    struct liveness *liveness = &node->liveness;
    struct liveness_record *record;
    for (uint32_t i = 0; i < liveness->n; i++)
        if (sl_hash_equal(liveness->all[i].id, id)) return &liveness->all[i];

    if (liveness->n < LIVENESS_MAX) {
        record = &liveness->all[liveness->n++];
    } else {
        record = &liveness->all[0];
        for (uint32_t i = 1; i < liveness->n; i++)
            if (liveness->all[i].lost < record->lost) record = &liveness->all[i];
    }
    *record = (struct liveness_record){0};
    memcpy(record->id, id, 32);
    return record;
}

/* Where all are lossy nobody stands out, and whoever refused everybody would sit alone. */
static bool stands_out(const struct sl_node *node, const struct liveness_record *record)
{
    double sum = 0;
    for (uint32_t i = 0; i < node->liveness.n; i++) sum += node->liveness.all[i].lost;
    return record->lost > allowed && record->lost * node->liveness.n > 2 * sum;
}

static void note(struct sl_node *node, const uint8_t id[32], bool was_lost)
{
    struct liveness_record *record = find_or_add(node, id);
    record->lost += weight * (was_lost - record->lost);
    if (!was_lost && record->lost < forgiven) record->wait = 0;
    if (!was_lost || !stands_out(node, record)) return;

    record->wait = record->wait == 0 ? WAIT_FIRST : record->wait >= WAIT_MAX / 2 ? WAIT_MAX : 2 * record->wait;
    record->until = node->epoch + record->wait;
    node_trace(node, SL_TRACE_AVOIDED, id, record->wait, 0, SL_OK);
}

void liveness_on_run(struct sl_node *node)
{
    const struct cohort *cohort = &node->cohort;
    uint32_t n_lost = 0;
    for (uint32_t i = 0; i < cohort->n_members; i++) n_lost += cohort->members[i].was_lost;
    bool is_us = 2 * n_lost >= cohort->n_members;        /* most were silent at once: it is our connection */
    for (uint32_t i = 0; i < cohort->n_members && !is_us; i++)
        if (i != cohort->own) note(node, cohort->members[i].id, cohort->members[i].was_lost);
}

bool liveness_avoids(const struct sl_node *node, const uint8_t id[32])
{
    for (uint32_t i = 0; i < node->liveness.n; i++)
        if (sl_hash_equal(node->liveness.all[i].id, id)) return node->epoch <= node->liveness.all[i].until;
    return false;
}
