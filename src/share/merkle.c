/* SPDX-License-Identifier: MIT */
#include "share/merkle.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

static void hash_leaf(uint32_t index, const uint8_t *bytes, size_t size, uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, "leaf");
    sl_hash_u64(&hash, index);
    sl_hash_bytes(&hash, bytes, size);
    sl_hash_final(&hash, out);
}

/* out may be one of the children. */
static void hash_node(const uint8_t left[32], const uint8_t right[32], uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, "node");
    sl_hash_bytes(&hash, left, 32);
    sl_hash_bytes(&hash, right, 32);
    sl_hash_final(&hash, out);
}

static void hash_root(uint32_t n_chunks, size_t size, const uint8_t top[32], uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, "root");
    sl_hash_u64(&hash, n_chunks);
    sl_hash_u64(&hash, size);
    sl_hash_bytes(&hash, top, 32);
    sl_hash_final(&hash, out);
}

static size_t chunk_length(size_t size, size_t chunk_size, uint32_t index)
{
    size_t left = size - index * chunk_size;
    return left < chunk_size ? left : chunk_size;
}

/* Turns the n nodes of a level into those of the level above; returns their number. A lone last node moves up. */
static uint32_t climb(uint8_t level[SL_CHUNKS_MAX][32], uint32_t n)
{
    for (uint32_t i = 0; i < n / 2; i++) hash_node(level[2 * i], level[2 * i + 1], level[i]);
    if (n % 2 == 1) memmove(level[n / 2], level[n - 1], 32);
    return n / 2 + n % 2;
}

uint32_t sl_merkle_chunks(size_t size, size_t chunk_size)
{
    if (chunk_size == 0) return 0;

    size_t n = size / chunk_size + (size % chunk_size != 0);
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

void sl_merkle_build(struct sl_merkle *tree, const uint8_t *bytes, size_t size, size_t chunk_size)
{
    uint32_t n = sl_merkle_chunks(size, chunk_size);
    assert(n > 0 && n <= SL_CHUNKS_MAX);

    tree->n_chunks = n;
    tree->size = size;
    tree->chunk_size = chunk_size;
    for (uint32_t i = 0; i < n; i++)
        hash_leaf(i, bytes + i * chunk_size, chunk_length(size, chunk_size, i), tree->leaves[i]);

    uint8_t level[SL_CHUNKS_MAX][32];
    memcpy(level, tree->leaves, 32 * (size_t)n);
    while (n > 1) n = climb(level, n);
    hash_root(tree->n_chunks, size, level[0], tree->root);
}

uint32_t sl_merkle_path(const struct sl_merkle *tree, uint32_t index, uint8_t path[SL_MERKLE_DEPTH_MAX][32])
{
    assert(index < tree->n_chunks);

    uint8_t level[SL_CHUNKS_MAX][32];
    memcpy(level, tree->leaves, 32 * (size_t)tree->n_chunks);
    uint32_t n_path = 0;
    for (uint32_t n = tree->n_chunks; n > 1; index /= 2) {
        uint32_t sibling = index ^ 1;
        if (sibling < n) memcpy(path[n_path++], level[sibling], 32);
        n = climb(level, n);
    }
    return n_path;
}

bool sl_merkle_verify(const uint8_t root[32], size_t size, size_t chunk_size, uint32_t index, const uint8_t *chunk, size_t bytes,
                      uint32_t n_path, uint8_t path[SL_MERKLE_DEPTH_MAX][32])
{
    const uint32_t n_chunks = sl_merkle_chunks(size, chunk_size);
    bool possible = n_chunks <= SL_CHUNKS_MAX && index < n_chunks && n_path <= SL_MERKLE_DEPTH_MAX;
    if (!possible || bytes != chunk_length(size, chunk_size, index)) return false;

    uint8_t hash[32];
    uint32_t used = 0, place = index;
    hash_leaf(index, chunk, bytes, hash);
    for (uint32_t n = n_chunks; n > 1; n = n / 2 + n % 2, place /= 2) {
        if ((place ^ 1) >= n) continue;                 /* no right neighbour: moves up unchanged */
        if (used == n_path) return false;

        if (place % 2 == 0) hash_node(hash, path[used], hash);
        else hash_node(path[used], hash, hash);
        used++;
    }
    if (used != n_path) return false;

    hash_root(n_chunks, size, hash, hash);
    return sl_hash_equal(hash, root);
}
