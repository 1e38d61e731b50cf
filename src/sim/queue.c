/* SPDX-License-Identifier: MIT */
#include "sim/queue.h"

#include <assert.h>
#include <stdlib.h>

static bool comes_before(const struct sl_sim_entry *x, const struct sl_sim_entry *y)
{
    return x->at_us != y->at_us ? x->at_us < y->at_us : x->sequence < y->sequence;
}

static bool grow(struct sl_sim_queue *queue)
{
    size_t n = queue->n_entries_max ? 2 * queue->n_entries_max : 1024;
    struct sl_sim_entry *entries = realloc(queue->entries, n * sizeof *entries);
    if (!entries) return false;

    queue->entries = entries;
    queue->n_entries_max = n;
    return true;
}

bool sl_sim_queue_push(struct sl_sim_queue *queue, const struct sl_sim_entry *entry)
{
    if (queue->n_entries == queue->n_entries_max && !grow(queue)) return false;

    struct sl_sim_entry fresh = *entry;
    fresh.sequence = queue->sequence++;
    size_t at = queue->n_entries++;
    while (at > 0 && comes_before(&fresh, &queue->entries[(at - 1) / 2])) {
        queue->entries[at] = queue->entries[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->entries[at] = fresh;
    return true;
}

const struct sl_sim_entry *sl_sim_queue_first(const struct sl_sim_queue *queue)
{
    return queue->n_entries > 0 ? &queue->entries[0] : NULL;
}

struct sl_sim_entry sl_sim_queue_pop(struct sl_sim_queue *queue)
{
    assert(queue->n_entries > 0);

    struct sl_sim_entry first = queue->entries[0], last = queue->entries[--queue->n_entries];
    size_t at = 0, n = queue->n_entries;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n) break;
        if (child + 1 < n && comes_before(&queue->entries[child + 1], &queue->entries[child])) child++;
        if (comes_before(&last, &queue->entries[child])) break;
        queue->entries[at] = queue->entries[child];
        at = child;
    }
    if (n > 0) queue->entries[at] = last;
    return first;
}

void sl_sim_queue_finish(struct sl_sim_queue *queue)
{
    free(queue->entries);
    *queue = (struct sl_sim_queue){0};
}
