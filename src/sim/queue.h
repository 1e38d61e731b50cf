/* SPDX-License-Identifier: MIT */
#ifndef SL_SIM_QUEUE_H
#define SL_SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What will happen, in the order (time, sequence): a binary heap. The sequence number counts pushes, so that equal times keep the order in which
 * they were asked for, on every machine.
 */
struct sl_sim_entry {
    uint64_t at_us, sequence;
    uint32_t type;               /* enum of the owner */
    uint32_t node, incarnation;  /* whom it concerns; meaning of the rest is the owner's */
    uint32_t a, b;
    void *data;
};

struct sl_sim_queue {
    struct sl_sim_entry *entries;
    size_t n_entries, n_entries_max;
    uint64_t sequence;
};

/* Copies the entry (its sequence is set here). False when memory is short. */
bool sl_sim_queue_push(struct sl_sim_queue *queue, const struct sl_sim_entry *entry);

/* The earliest entry, or NULL. Valid until the next push or pop. */
const struct sl_sim_entry *sl_sim_queue_first(const struct sl_sim_queue *queue);

/* Takes the earliest out; the queue must not be empty. */
struct sl_sim_entry sl_sim_queue_pop(struct sl_sim_queue *queue);

/* Frees the heap itself; what the entries point to is the owner's. */
void sl_sim_queue_finish(struct sl_sim_queue *queue);

#endif
