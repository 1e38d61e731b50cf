/* SPDX-License-Identifier: MIT */
#include "starling/arena.h"

#include <assert.h>
#include <string.h>

struct sl_arena sl_arena_over(void *block, size_t size)
{
    return (struct sl_arena){.base = block, .size = size, .used = 0};
}

void *sl_arena_reserve(struct sl_arena *arena, size_t n_items, size_t item_size, size_t align)
{
    assert(align && (align & (align - 1)) == 0);

    size_t bytes;
    if (__builtin_mul_overflow(n_items, item_size, &bytes)) return NULL;

    size_t gap = -((uintptr_t)arena->base + arena->used) & (align - 1);
    if (gap > arena->size - arena->used || bytes > arena->size - arena->used - gap) return NULL;

    size_t start = arena->used + gap;
    arena->used = start + bytes;
    if (!arena->base) return NULL;          /* a counting arena */

    return arena->base + start;
}

void *sl_arena_take(struct sl_arena *arena, size_t n_items, size_t item_size, size_t align)
{
    void *items = sl_arena_reserve(arena, n_items, item_size, align);
    return items ? memset(items, 0, n_items * item_size) : NULL;
}
