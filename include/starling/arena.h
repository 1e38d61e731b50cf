/* SPDX-License-Identifier: MIT */
#ifndef STARLING_ARENA_H
#define STARLING_ARENA_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bump allocator over a block that somebody else owns. Nothing is freed alone: remember `used`, and set it back.
 * An arena over NULL with size SIZE_MAX only counts: sl_arena_take() then returns NULL but `used` grows, which is how
 * sl_node_size() measures what sl_node_init() will carve.
 */
struct sl_arena {
    uint8_t *base;
    size_t size, used;
};

struct sl_arena sl_arena_over(void *block, size_t size);

/* n_items * item_size bytes aligned to `align` (a power of two, relative to address), zeroed. NULL when the block is too small or the product overflows. */
void *sl_arena_take(struct sl_arena *arena, size_t n_items, size_t item_size, size_t align);

/* The same, but what lies there stays: for large tables of which only a part is ever written, so that the rest costs no memory. */
void *sl_arena_reserve(struct sl_arena *arena, size_t n_items, size_t item_size, size_t align);

#define SL_RESERVE(arena, type, n_items) ((type *)sl_arena_reserve((arena), (n_items), sizeof(type), alignof(type)))
#define SL_TAKE(arena, type, n_items) ((type *)sl_arena_take((arena), (n_items), sizeof(type), alignof(type)))

#endif
