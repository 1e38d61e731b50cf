/* SPDX-License-Identifier: MIT */
#ifndef STARLING_NODE_H
#define STARLING_NODE_H

#include <stddef.h>
#include <stdint.h>

#include "starling/config.h"
#include "starling/event.h"
#include "starling/model.h"
#include "starling/status.h"

/*
 * A node is one deterministic state machine: event in, actions out. It does no I/O, reads no clock, allocates nothing
 * and cannot fail after sl_node_init(). A send or a job that depends on a store is emitted only in the step that
 * receives that store's STORED.
 */
struct sl_node;

/* Bytes sl_node_init() needs for this configuration; 0 if the model does not suit config->shape. */
size_t sl_node_size(const struct sl_config *config, const struct sl_model *model);

/* A node in `memory` (aligned for any type, sl_node_size() bytes, owned by the caller). The configuration is copied; what it
 * points to, the model and the memory must outlive the node. run_seed: fresh for every start, never stored.
 * NULL if `size` is too small or the model does not suit the shape. Call sl_node_step() with START first. */
struct sl_node *sl_node_init(void *memory, size_t size, const struct sl_config *config, const struct sl_model *model,
                             const uint8_t run_seed[32]);

void sl_node_step(struct sl_node *node, const struct sl_event *event, struct sl_actions *actions);

void sl_node_status(const struct sl_node *node, struct sl_status *out);

/* Whom the node knows, one by one: i < status.peers_known. The order is that of the table and changes between steps. */
void sl_node_peer(const struct sl_node *node, uint32_t i, struct sl_peer_status *out);

/* The current merged model: dim floats, valid until the next step. */
const float *sl_node_weights(const struct sl_node *node);

/* The weights in a durable state (the bytes of a PUT_STATE), for tools that have no running node: dim floats to `out`. SL_ERROR_FORMAT (size, magic or
 * checksum), SL_ERROR_WRONG_NETWORK; then nothing is written. */
int sl_state_weights(const uint8_t *state, size_t size, const uint8_t network_id[32], uint32_t dim, float *out, uint64_t *out_epoch);

/* Wipes every secret. The memory may then be freed. */
void sl_node_finish(struct sl_node *node);

#endif
