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

/* The current merged model: dim floats, valid until the next step. */
const float *sl_node_weights(const struct sl_node *node);

/* Wipes every secret. The memory may then be freed. */
void sl_node_finish(struct sl_node *node);

#endif
