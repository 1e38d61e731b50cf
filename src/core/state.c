/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/core.h"

/*
 * The durable state: magic, network id, epoch, dim, distances, number of the private round whose output is in the weights, weights, anchor, checksum. Little
 * endian, as all hosts we support; a state of another host or format fails its checksum or its magic and the node starts from genesis.
 */
static const uint8_t magic[16] = "starling state3";

_Static_assert(sizeof(struct distance) == 16, "stored as it lies in memory");

enum { HEAD_SIZE = 16 + 32 + 8 + 4 + 4 + 16 * DISTANCES_MAX + 8 };

size_t state_size(const struct sl_node *node)
{
    return HEAD_SIZE + 2 * sizeof(float) * node->dim + 32;
}

static uint8_t *put(uint8_t *at, const void *from, size_t size)
{
    memcpy(at, from, size);
    return at + size;
}

void state_write(const struct sl_node *node, uint8_t *bytes)
{
    uint8_t *at = put(bytes, magic, sizeof magic);
    at = put(at, node->config.network_id, 32);
    at = put(at, &node->epoch, 8);
    at = put(at, &node->dim, 4);
    at = put(at, &node->n_distances, 4);
    at = put(at, node->distances, sizeof node->distances);
    at = put(at, &node->budget.merged, 8);
    at = put(at, node->weights, sizeof(float) * node->dim);
    at = put(at, node->anchor, sizeof(float) * node->dim);
    sl_hash_once("state", bytes, (size_t)(at - bytes), at);
}

static const uint8_t *get(const uint8_t *at, void *to, size_t size)
{
    memcpy(to, at, size);
    return at + size;
}

/* Leaves the node as it was on failure. SL_ERROR_FORMAT (size, magic or checksum), SL_ERROR_WRONG_NETWORK. */
int state_read(struct sl_node *node, const uint8_t *bytes, size_t size)
{
    uint8_t checksum[32];
    if (size != state_size(node) || memcmp(bytes, magic, sizeof magic) != 0) return SL_ERROR_FORMAT;
    sl_hash_once("state", bytes, size - 32, checksum);
    if (!sl_hash_equal(checksum, bytes + size - 32)) return SL_ERROR_FORMAT;
    if (!sl_hash_equal(bytes + sizeof magic, node->config.network_id)) return SL_ERROR_WRONG_NETWORK;

    uint32_t dim, n_distances;
    const uint8_t *at = get(bytes + sizeof magic + 32, &node->saved_epoch, 8);
    at = get(at, &dim, 4);
    at = get(at, &n_distances, 4);
    at = get(at, node->distances, sizeof node->distances);
    at = get(at, &node->budget.merged, 8);
    node->n_distances = n_distances <= DISTANCES_MAX ? n_distances : 0;
    at = get(at, node->weights, sizeof(float) * node->dim);
    get(at, node->anchor, sizeof(float) * node->dim);
    return SL_OK;
}

int sl_state_weights(const uint8_t *state, size_t size, const uint8_t network_id[32], uint32_t dim, float *out, uint64_t *out_epoch)
{
    uint8_t checksum[32];
    uint32_t stored_dim;
    if (size != HEAD_SIZE + 2 * sizeof(float) * dim + 32 || memcmp(state, magic, sizeof magic) != 0) return SL_ERROR_FORMAT;
    sl_hash_once("state", state, size - 32, checksum);
    if (!sl_hash_equal(checksum, state + size - 32)) return SL_ERROR_FORMAT;
    if (!sl_hash_equal(state + sizeof magic, network_id)) return SL_ERROR_WRONG_NETWORK;

    const uint8_t *at = state + sizeof magic + 32;
    memcpy(&stored_dim, at + 8, 4);
    if (stored_dim != dim) return SL_ERROR_FORMAT;
    memcpy(out_epoch, at, 8);
    memcpy(out, state + HEAD_SIZE, sizeof(float) * dim);
    return SL_OK;
}
