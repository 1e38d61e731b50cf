/* SPDX-License-Identifier: MIT */
#include "share/block.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/rng.h"

enum {
    DEFAULT_SIZE = 262144,                              /* 1 MiB of ring elements a member and epoch */
    LARGEST_SIZE = SL_CHUNKS_MAX * SL_CHUNK_ELEMENTS    /* what a Merkle tree can cover */
};

static void permute(const uint8_t network_id[32], uint64_t group, uint32_t *items, uint32_t n_items)
{
    struct sl_hash hash;
    uint8_t seed[32];
    sl_hash_init(&hash, "block");
    sl_hash_bytes(&hash, network_id, 32);
    sl_hash_u64(&hash, group);
    sl_hash_final(&hash, seed);

    struct sl_rng rng;
    sl_rng_init(&rng, seed);
    for (uint32_t i = 0; i < n_items; i++) items[i] = i;
    sl_rng_shuffle(&rng, items, n_items);
}

/* Sorts distinct numbers below n_marks by marking and reading back: linear, and no recursion. */
static void sort_by_marks(uint32_t *numbers, uint32_t n, uint32_t *marks, uint32_t n_marks)
{
    memset(marks, 0, n_marks * sizeof *marks);
    for (uint32_t i = 0; i < n; i++) marks[numbers[i]] = 1;
    for (uint32_t value = 0, i = 0; value < n_marks; value++)
        if (marks[value]) numbers[i++] = value;
}

uint32_t sl_block_size(uint32_t configured, uint32_t dim)
{
    uint32_t size = configured == 0 ? DEFAULT_SIZE : configured;
    if (size > LARGEST_SIZE) size = LARGEST_SIZE;
    return size < dim ? size : dim;
}

uint32_t sl_block_count(uint64_t epoch, uint32_t dim, uint32_t k)
{
    uint64_t n_parts = ((uint64_t)dim + k - 1) / k;
    uint32_t start = (uint32_t)(epoch % n_parts) * k;
    return dim - start < k ? dim - start : k;
}

uint32_t sl_block_indices(const uint8_t network_id[32], uint64_t epoch, uint32_t dim, uint32_t k, uint32_t *permutation, uint32_t *out)
{
    assert(k > 0 && k <= dim);

    if (k == dim) {
        for (uint32_t i = 0; i < dim; i++) out[i] = i;
        return dim;
    }

    uint64_t n_parts = ((uint64_t)dim + k - 1) / k;
    uint32_t start = (uint32_t)(epoch % n_parts) * k, n = sl_block_count(epoch, dim, k);
    permute(network_id, epoch / n_parts, permutation, dim);
    memcpy(out, permutation + start, n * sizeof *out);
    sort_by_marks(out, n, permutation, dim);
    return n;
}
