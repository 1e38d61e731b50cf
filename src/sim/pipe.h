/* SPDX-License-Identifier: MIT */
#ifndef SL_SIM_PIPE_H
#define SL_SIM_PIPE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Connections between simulated nodes. A pipe has two ends, 0 the dialler's and 1 the target's; each end is known to its node by a link number.
 * A pipe that both ends have left is used again with another generation, so what still travels on it finds nobody.
 */
struct sl_pipe_end {
    uint32_t node, number;
    bool is_open;                /* the node counts on it; the target's end opens when the dial arrives */
    bool is_ending;              /* a DOWN is on its way to this end */
    uint64_t last_arrival_us;    /* of the frames travelling to this end: later ones come no earlier */
};

struct sl_pipe {
    struct sl_pipe_end ends[2];
    uint32_t generation;
    uint32_t next_free;          /* index + 1 in the list of free pipes */
    bool is_up;                  /* the target accepted */
};

struct sl_pipes {
    struct sl_pipe *pipes;
    uint32_t n_pipes, n_pipes_max, first_free;
};

/* The links of one node. */
struct sl_links {
    struct sl_link { uint32_t number, pipe, side; } *links;
    uint32_t n_links, n_links_max;
    uint32_t next_inbound;       /* number of the next inbound link, from 0 */
};

/* A new pipe, dialled by `dialler` under `number`; its index, or UINT32_MAX when memory is short. */
uint32_t sl_pipes_open(struct sl_pipes *pipes, uint32_t dialler, uint32_t number, uint32_t target);

/* Frees the pipe when both ends are closed. */
void sl_pipes_leave(struct sl_pipes *pipes, uint32_t pipe);

void sl_pipes_finish(struct sl_pipes *pipes);

bool sl_links_add(struct sl_links *links, uint32_t number, uint32_t pipe, uint32_t side);
const struct sl_link *sl_links_find(const struct sl_links *links, uint32_t number);      /* or NULL */
void sl_links_remove(struct sl_links *links, uint32_t number);
void sl_links_finish(struct sl_links *links);

#endif
