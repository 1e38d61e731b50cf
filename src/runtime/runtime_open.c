/* SPDX-License-Identifier: MIT */
/* Opens and closes what the loop of a node needs: sockets, threads, memory. */
#include <czmq.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/files.h"
#include "runtime/resources.h"
#include "runtime/runtime_parts.h"
#include "runtime/signals.h"
#include "starling/error.h"
#include "starling/node.h"

enum {
    SILENCE_EPOCHS = 10,
    SOCKETS_PER_LINK = 4,            /* a DEALER, the two ends of its monitor, and one that is being closed */
    NODE_ALIGNMENT = 64              /* of libsodium's hash states, stricter than what malloc() promises */
};

static const uint64_t silence_min_us = 120000000;

static void *open_context(uint32_t link_max)
{
    zsys_handler_set(NULL);
    zsys_set_max_sockets(64 + SOCKETS_PER_LINK * (size_t)link_max * 2);
    return zsys_init();
}

/* Asked at every handshake, some hundred times a second at most. */
static bool is_banned(const void *context, const uint8_t transport_key[32])
{
    const struct runtime *runtime = context;
    struct sl_status status;
    struct sl_peer_status peer;
    if (!runtime->node) return false;

    sl_node_status(runtime->node, &status);
    for (uint32_t i = 0; status.peers_banned > 0 && i < status.peers_known; i++) {
        sl_node_peer(runtime->node, i, &peer);
        if (peer.state == SL_PEER_BANNED && memcmp(peer.transport_public, transport_key, 32) == 0) return true;
    }
    return false;
}

static int open_links(struct runtime *runtime, void *context, char *why, size_t why_size)
{
    struct sl_setup *setup = runtime->setup;
    uint64_t silence_us = SILENCE_EPOCHS * setup->config.epoch_us;
    uint32_t inbound_max = setup->config.link_inbound < setup->config.link_max ? setup->config.link_inbound : setup->config.link_max;
    struct sl_links_setup links = {.context = context, .listen = setup->config.listen, .transport_public = setup->identity.transport_public,
                                   .transport_secret = setup->transport_secret, .link_max = setup->config.link_max,
                                   .inbound_max = inbound_max, .caps_local = strcmp(setup->config.link_local, "no") == 0,
                                   .budget = sl_links_budget_of(&setup->config, setup->model->dim(&setup->config.shape)),
                                   .silence_max_us = silence_us > silence_min_us ? silence_us : silence_min_us};
    struct sl_links_sink sink = {.context = runtime, .on_change = runtime_on_link_change, .on_message = runtime_on_link_message,
                                 .on_note = runtime_on_link_note};

    if (sl_zap_open(&runtime->zap, context, is_banned, runtime) != SL_OK)
        return SL_FAIL(SL_ERROR_IO, why, why_size, "cannot open the door keeper's socket (%s)", zmq_strerror(errno));
    int error = sl_links_new(&links, &sink, &runtime->links, why, why_size);
    if (error != SL_OK) return error;

    uint32_t n_items = ITEM_LINKS + sl_links_items_max(runtime->links);
    runtime->items = calloc(n_items, sizeof *runtime->items);
    runtime->descriptors = calloc(n_items, sizeof *runtime->descriptors);
    return runtime->items && runtime->descriptors ? SL_OK : SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory for the connections");
}

static void on_scrape(void *context, struct sl_glance *out)
{
    *out = runtime_glance(context);
}

/* Where the node's owner asks. */
static int open_desk(struct runtime *runtime, void *context, char *why, size_t why_size)
{
    struct sl_control_sink desk = {.context = runtime, .ask = runtime_on_request};
    struct sl_metrics_sink gauge = {.context = runtime, .look = on_scrape};
    int error = sl_control_new(context, runtime->setup->folder, &desk, &runtime->control, why, why_size);
    if (error == SL_OK && runtime->setup->config.metrics[0])
        error = sl_metrics_new(runtime->setup->config.metrics, &gauge, &runtime->metrics, why, why_size);
    return error;
}

static int open_threads(struct runtime *runtime, char *why, size_t why_size)
{
    struct sl_setup *setup = runtime->setup;
    struct sl_ledger_file *ledger = &setup->spending.file;
    runtime->storer = sl_storer_new(setup->folder, ledger->is_open ? ledger : NULL);
    runtime->worker = sl_worker_new(&setup->trainer, ledger->is_open);
    if (runtime->storer && runtime->worker) return SL_OK;
    return SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "the machine gives no more threads");
}

static int open_node(struct runtime *runtime, char *why, size_t why_size)
{
    struct sl_setup *setup = runtime->setup;
    setup->config.trace = (struct sl_trace_sink){.context = runtime, .report = runtime_on_trace};

    size_t size = sl_node_size(&setup->config, setup->model);
    if (size == 0)
        return SL_FAIL(SL_ERROR_UNSUPPORTED, why, why_size, "model %s does not suit %u features and %u classes", setup->config.model,
                       setup->config.shape.n_features, setup->config.shape.n_outputs);
    size = (size + NODE_ALIGNMENT - 1) / NODE_ALIGNMENT * NODE_ALIGNMENT;
    void *memory = aligned_alloc(NODE_ALIGNMENT, size);
    if (!memory) return SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory: the node needs %zu bytes", size);

    uint8_t run_seed[32];
    randombytes_buf(run_seed, sizeof run_seed);
    runtime->node = sl_node_init(memory, size, &setup->config, setup->model, run_seed);
    sodium_memzero(run_seed, sizeof run_seed);
    if (runtime->node) return SL_OK;

    free(memory);
    return SL_FAIL(SL_ERROR_UNSUPPORTED, why, why_size, "the node cannot be set up with this configuration");
}

int runtime_open(struct runtime *runtime, char *why, size_t why_size)
{
    uint32_t link_max = runtime->setup->config.link_max;
    int error = sl_setup_hold(runtime->setup, why, why_size);
    if (error == SL_OK) error = sl_resources_reserve_files(link_max, why, why_size);
    if (error != SL_OK) return error;

    void *context = open_context(link_max);
    if (!context) return SL_FAIL(SL_ERROR_IO, why, why_size, "ZeroMQ does not start (%s)", zmq_strerror(errno));

    error = sl_signals_open(&runtime->wake, why, why_size);
    if (error == SL_OK) error = open_desk(runtime, context, why, why_size);
    if (error == SL_OK) error = open_links(runtime, context, why, why_size);
    if (error == SL_OK) error = open_threads(runtime, why, why_size);
    if (error == SL_OK) error = open_node(runtime, why, why_size);
    return error;
}

/* Threads end before the node: a job works on the node's memory until it is done. Submitted stores are still carried out. */
void runtime_close(struct runtime *runtime)
{
    sl_worker_destroy(&runtime->worker);
    sl_storer_destroy(&runtime->storer);
    sl_metrics_destroy(&runtime->metrics);
    sl_control_destroy(&runtime->control);
    sl_links_destroy(&runtime->links);
    sl_zap_close(&runtime->zap);
    if (runtime->node) sl_node_finish(runtime->node);
    free(runtime->node);
    free(runtime->descriptors);
    free(runtime->items);
    sl_signals_close();
    free(runtime);
}
