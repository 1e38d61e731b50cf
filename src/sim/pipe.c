/* SPDX-License-Identifier: MIT */
#include "sim/pipe.h"

#include <stdlib.h>
#include <string.h>

uint32_t sl_pipes_open(struct sl_pipes *pipes, uint32_t dialler, uint32_t number, uint32_t target)
{
    uint32_t index = pipes->first_free - 1;
    if (pipes->first_free == 0) {
        if (pipes->n_pipes == pipes->n_pipes_max) {
            uint32_t n = pipes->n_pipes_max ? 2 * pipes->n_pipes_max : 256;
            struct sl_pipe *grown = realloc(pipes->pipes, n * sizeof *grown);
            if (!grown) return UINT32_MAX;
            pipes->pipes = grown;
            pipes->n_pipes_max = n;
        }
        index = pipes->n_pipes++;
        pipes->pipes[index].generation = 0;
    } else {
        pipes->first_free = pipes->pipes[index].next_free;
    }

    struct sl_pipe *pipe = &pipes->pipes[index];
    *pipe = (struct sl_pipe){
        .ends = {{.node = dialler, .number = number, .is_open = true}, {.node = target}},
        .generation = pipe->generation,
    };
    return index;
}

void sl_pipes_leave(struct sl_pipes *pipes, uint32_t index)
{
    struct sl_pipe *pipe = &pipes->pipes[index];
    if (pipe->ends[0].is_open || pipe->ends[1].is_open) return;

    pipe->generation++;
    pipe->next_free = pipes->first_free;
    pipes->first_free = index + 1;
}

void sl_pipes_finish(struct sl_pipes *pipes)
{
    free(pipes->pipes);
    *pipes = (struct sl_pipes){0};
}

bool sl_links_add(struct sl_links *links, uint32_t number, uint32_t pipe, uint32_t side)
{
    if (links->n_links == links->n_links_max) {
        uint32_t n = links->n_links_max ? 2 * links->n_links_max : 16;
        struct sl_link *grown = realloc(links->links, n * sizeof *grown);
        if (!grown) return false;
        links->links = grown;
        links->n_links_max = n;
    }
    links->links[links->n_links++] = (struct sl_link){number, pipe, side};
    return true;
}

const struct sl_link *sl_links_find(const struct sl_links *links, uint32_t number)
{
    for (uint32_t i = 0; i < links->n_links; i++)
        if (links->links[i].number == number) return &links->links[i];
    return NULL;
}

void sl_links_remove(struct sl_links *links, uint32_t number)
{
    const struct sl_link *link = sl_links_find(links, number);
    if (link) links->links[link - links->links] = links->links[--links->n_links];
}

void sl_links_finish(struct sl_links *links)
{
    free(links->links);
    *links = (struct sl_links){0};
}
