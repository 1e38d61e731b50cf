/* SPDX-License-Identifier: MIT */
#ifndef SL_SHARE_BLOCK_H
#define SL_SHARE_BLOCK_H

#include <stdint.h>

/*
 * The shared random block S_e: which k of the d coordinates are exchanged in epoch e. With B = ceil(d/k), epochs e in the same group
 * floor(e/B) share one permutation of all coordinates, ChaCha20-seeded by H("block", network, floor(e/B)); epoch e takes part e mod B of it.
 * The same on every node, so masks cancel and no index leaks.
 */

/* k for a configured size (0 = all up to 262,144 coordinates). */
uint32_t sl_block_size(uint32_t configured, uint32_t dim);

/* How many coordinates epoch e exchanges: k, or less in the last part. */
uint32_t sl_block_count(uint64_t epoch, uint32_t dim, uint32_t k);

/* The coordinates of epoch e, ascending; returns their number (k, or less in the last part). permutation: dim items of scratch, not used when k = dim. */
uint32_t sl_block_indices(const uint8_t network_id[32], uint64_t epoch, uint32_t dim, uint32_t k, uint32_t *permutation, uint32_t *out);

#endif
