/* SPDX-License-Identifier: MIT */
#ifndef SL_SHARE_MERKLE_H
#define SL_SHARE_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

/*
 * Merkle tree over the chunks of a vector, so that one chunk proves itself: leaf = H("leaf", index, bytes), node = H("node", left, right);
 * a node without a right neighbour moves up unchanged. The root is H("root", n_chunks, size, top), so the shape is bound too.
 */
struct sl_merkle {
    uint8_t root[32];
    uint32_t n_chunks;
    size_t size, chunk_size;                 /* bytes of the vector, bytes per chunk */
    uint8_t leaves[SL_CHUNKS_MAX][32];
};

uint32_t sl_merkle_chunks(size_t size, size_t chunk_size);

/* size > 0, at most SL_CHUNKS_MAX chunks (our bug otherwise). */
void sl_merkle_build(struct sl_merkle *tree, const uint8_t *bytes, size_t size, size_t chunk_size);

/* Siblings from leaf to top in path; returns their number. */
uint32_t sl_merkle_path(const struct sl_merkle *tree, uint32_t index, uint8_t path[SL_MERKLE_DEPTH_MAX][32]);

/* Does this chunk stand at `index` in the vector of `size` bytes with this root? The chunk must have the exact length of its place. */
bool sl_merkle_verify(const uint8_t root[32], size_t size, size_t chunk_size, uint32_t index, const uint8_t *chunk, size_t bytes,
                      uint32_t n_path, uint8_t path[SL_MERKLE_DEPTH_MAX][32]);

#endif
