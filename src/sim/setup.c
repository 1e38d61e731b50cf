/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "sim/world.h"
#include "starling/error.h"
#include "wire/certificate.h"

enum { NODES_MAX = 1 << 24, PORT = 7400, BEGIN_S = 1700000000, CERTIFICATE_LIFE_S = 10 * 366 * 24 * 3600, START_SHARE = 20 };

static void make_key(uint64_t seed, const char *label, uint64_t a, uint64_t b, uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, label);
    sl_hash_u64(&hash, seed);
    sl_hash_u64(&hash, a);
    sl_hash_u64(&hash, b);
    sl_hash_final(&hash, out);
}

void sl_sim_key(const struct sl_sim *sim, const char *label, uint64_t a, uint64_t b, uint8_t out[32])
{
    make_key(sim->options.seed, label, a, b, out);
}

/* As sl_node_init() makes it from the run seed. */
struct sl_rng sl_sim_job_seeds(uint64_t seed, uint32_t node)
{
    struct sl_rng root;
    uint8_t run_seed[32];
    make_key(seed, "run", node, 1, run_seed);
    sl_rng_init(&root, run_seed);
    return sl_rng_fork(&root, "jobs", 0);
}

void sl_sim_operator(uint64_t seed, uint8_t public_key[32], uint8_t secret[64])
{
    struct sl_hash hash;
    uint8_t key[32];
    sl_hash_init(&hash, "simulated operator");
    sl_hash_u64(&hash, seed);
    sl_hash_final(&hash, key);
    crypto_sign_seed_keypair(public_key, secret, key);
}

/* "10.x.y.z:7400": the address is the node's number. */
static void write_address(uint32_t node, char out[SL_PEER_ADDRESS_MAX])
{
    snprintf(out, SL_PEER_ADDRESS_MAX, "10.%u.%u.%u:%d", (unsigned)(node >> 16 & 255), (unsigned)(node >> 8 & 255), (unsigned)(node & 255), PORT);
}

bool sl_sim_resolve(const struct sl_sim *sim, const char *address, uint32_t *out)
{
    unsigned ten, x, y, z, port;
    int end = 0;
    bool is_ours = sscanf(address, "%3u.%3u.%3u.%3u:%5u%n", &ten, &x, &y, &z, &port, &end) == 5 && address[end] == 0 && ten == 10 && port == PORT;
    if (!is_ours || x > 255 || y > 255 || z > 255) return false;

    uint32_t node = x << 16 | y << 8 | z;
    if (node >= sim->options.n_nodes) return false;
    *out = node;
    return true;
}

static uint32_t slot_of(const struct sl_sim *sim, const uint8_t id[32])
{
    uint32_t at;
    memcpy(&at, id, sizeof at);
    return at & (sim->n_slots - 1);
}

uint32_t sl_sim_find(const struct sl_sim *sim, const uint8_t id[32])
{
    for (uint32_t at = slot_of(sim, id); sim->by_id[at]; at = (at + 1) & (sim->n_slots - 1)) {
        uint32_t node = sim->by_id[at] - 1;
        if (sl_hash_equal(sim->nodes[node].identity.id, id)) return node;
    }
    return UINT32_MAX;
}

static void index_id(struct sl_sim *sim, uint32_t node)
{
    uint32_t at = slot_of(sim, sim->nodes[node].identity.id);
    while (sim->by_id[at]) at = (at + 1) & (sim->n_slots - 1);
    sim->by_id[at] = node + 1;
}

static void fill_peer(const struct sl_identity *identity, struct sl_peer *peer)
{
    memcpy(peer->id, identity->id, sizeof peer->id);
    memcpy(peer->sign_public, identity->sign_public, sizeof peer->sign_public);
    memcpy(peer->transport_public, identity->transport_public, sizeof peer->transport_public);
    memcpy(peer->address, identity->address, sizeof peer->address);
    memcpy(peer->certificate, identity->certificate, sizeof peer->certificate);
    peer->certificate_size = identity->certificate_size;
}

static void make_node(struct sl_sim *sim, uint32_t index, const uint8_t operator_secret[64])
{
    struct sl_sim_node *node = &sim->nodes[index];
    *node = (struct sl_sim_node){.sim = sim, .index = index, .slowness = 1, .deadline_us = SL_NEVER, .wake_us = SL_NEVER};

    char address[SL_PEER_ADDRESS_MAX];
    uint8_t seed[32], transport_secret[32];
    write_address(index, address);
    sl_sim_key(sim, "simulated identity", index, 0, seed);
    sl_identity_from_seed(seed, sim->options.config->network_id, operator_secret, address, sim->begin_us / 1000000 + CERTIFICATE_LIFE_S,
                          &node->identity, transport_secret);
    fill_peer(&node->identity, &sim->peers[index]);
    index_id(sim, index);
}

/* A union of random rings: every node is listed by exactly those it lists, and the whole is connected. */
static bool lay_rings(struct sl_sim *sim)
{
    uint32_t n = sim->options.n_nodes, view = sim->options.config->view_size;
    if (n <= view || sim->options.n_seeds > 0) return true;

    sim->n_rings = view / 2;
    sim->rings = calloc((size_t)sim->n_rings * n, sizeof *sim->rings);
    sim->places = calloc((size_t)sim->n_rings * n, sizeof *sim->places);
    if (!sim->rings || !sim->places) return false;

    struct sl_rng rng = sl_rng_fork(&sim->root, "rings", 0);
    for (uint32_t r = 0; r < sim->n_rings; r++) {
        uint32_t *ring = sim->rings + (size_t)r * n, *places = sim->places + (size_t)r * n;
        for (uint32_t i = 0; i < n; i++) ring[i] = i;
        sl_rng_shuffle(&rng, ring, n);
        for (uint32_t i = 0; i < n; i++) places[ring[i]] = i;
    }
    return true;
}

static uint32_t add_unless_known(uint32_t *items, uint32_t n_items, uint32_t item)
{
    for (uint32_t i = 0; i < n_items; i++)
        if (items[i] == item) return n_items;
    items[n_items] = item;
    return n_items + 1;
}

/* The list is one longer than a view: so the node can tell that it does not know the whole network. Where two rings agree, strangers fill it up. */
struct sl_peer *sl_sim_neighbours(const struct sl_sim *sim, uint32_t node, uint32_t *n_out)
{
    uint32_t n = sim->options.n_nodes, n_found = 0, n_wanted = sim->options.config->view_size + 1;
    uint32_t *found = calloc((size_t)n_wanted + 1, sizeof *found);
    struct sl_peer *peers = calloc(n_wanted, sizeof *peers);
    if (found && peers) {
        for (uint32_t r = 0; r < sim->n_rings; r++) {
            const uint32_t *ring = sim->rings + (size_t)r * n;
            uint32_t place = sim->places[(size_t)r * n + node];
            n_found = add_unless_known(found, n_found, ring[(place + 1) % n]);
            n_found = add_unless_known(found, n_found, ring[(place + n - 1) % n]);
        }
        for (uint32_t stranger = (node + 1) % n; n_found < n_wanted && stranger != node; stranger = (stranger + 1) % n)
            n_found = add_unless_known(found, n_found, stranger);
        for (uint32_t i = 0; i < n_found; i++) peers[i] = sim->peers[found[i]];
        *n_out = n_found;
    } else {
        free(peers);
        peers = NULL;
    }
    free(found);
    return peers;
}

static bool list_seeds(struct sl_sim *sim)
{
    if (sim->options.n_seeds > sim->options.n_nodes) sim->options.n_seeds = sim->options.n_nodes;
    if (sim->options.n_seeds == 0) return true;

    sim->seeds = calloc(sim->options.n_seeds, sizeof *sim->seeds);
    for (uint32_t i = 0; sim->seeds && i < sim->options.n_seeds; i++) {
        memcpy(sim->seeds[i].transport_public, sim->peers[i].transport_public, 32);
        memcpy(sim->seeds[i].address, sim->peers[i].address, sizeof sim->seeds[i].address);
    }
    return sim->seeds;
}

static bool joins_late(const struct sl_scenario *scenario, uint32_t node)
{
    for (uint32_t i = 0; scenario && i < scenario->n_faults; i++) {
        const struct sl_fault *fault = &scenario->faults[i];
        if (fault->type == SL_FAULT_JOIN && fault->groups[node]) return true;
    }
    return false;
}

/* Offsets are there from the start; the rest of the scenario and all starts go into the queue. */
static void plan(struct sl_sim *sim)
{
    const struct sl_scenario *scenario = sim->options.scenario;
    for (uint32_t i = 0; scenario && i < scenario->n_faults; i++) {
        const struct sl_fault *fault = &scenario->faults[i];
        for (uint32_t k = 0; fault->type == SL_FAULT_CLOCK && k < sim->options.n_nodes; k++)
            if (fault->groups[k]) sim->nodes[k].clock_off_us = fault->time_us;
        if (fault->type != SL_FAULT_CLOCK)
            sl_sim_push(sim, (struct sl_sim_entry){.at_us = sim->begin_us + fault->at_us, .type = SL_SIM_FAULT, .a = i});
    }

    struct sl_rng rng = sl_rng_fork(&sim->root, "starts", 0);
    for (uint32_t k = 0; k < sim->options.n_nodes; k++) {
        uint64_t after_us = (uint64_t)(sl_rng_uniform(&rng) * (double)(sim->options.config->epoch_us / START_SHARE));
        if (joins_late(scenario, k)) continue;
        sl_sim_push(sim, (struct sl_sim_entry){.at_us = sim->begin_us + after_us, .type = SL_SIM_START, .node = k});
    }
}

static bool make_world(struct sl_sim *sim)
{
    const struct sl_sim_options *options = &sim->options;
    uint32_t n = options->n_nodes;
    uint8_t seed[32], operator_public[32], operator_secret[64];
    sl_sim_key(sim, "simulation", 0, 0, seed);
    sl_rng_init(&sim->root, seed);
    sim->fault_rng = sl_rng_fork(&sim->root, "faults", 0);
    sim->disk_rng = sl_rng_fork(&sim->root, "disks", 0);
    sim->train_rng = sl_rng_fork(&sim->root, "training", 0);
    sl_hash_init(&sim->hash, "trace");

    uint64_t epoch_us = options->config->epoch_us, base_us = (uint64_t)BEGIN_S * 1000000;
    sim->begin_us = sim->now_us = (base_us + epoch_us - 1) / epoch_us * epoch_us;
    for (sim->n_slots = 16; sim->n_slots < 2 * n; sim->n_slots *= 2) { }

    sim->nodes = calloc(n, sizeof *sim->nodes);
    sim->peers = calloc(n, sizeof *sim->peers);
    sim->by_id = calloc(sim->n_slots, sizeof *sim->by_id);
    bool has_network = sl_network_init(&sim->network, n, epoch_us, sl_rng_fork(&sim->root, "network", 0));
    bool has_checker = !options->check || sl_checker_init(&sim->checker, options->config, n, sim->dim);
    if (!sim->nodes || !sim->peers || !sim->by_id || !has_network || !has_checker || !lay_rings(sim)) return false;

    sl_sim_operator(options->seed, operator_public, operator_secret);
    for (uint32_t i = 0; i < n; i++) make_node(sim, i, operator_secret);
    if (!list_seeds(sim)) return false;
    plan(sim);
    return sim->error == SL_OK;
}

struct sl_sim *sl_sim_new(const struct sl_sim_options *options, char *why, size_t why_size)
{
    bool in_range = options->n_nodes >= 1 && options->n_nodes <= NODES_MAX;
    if (!in_range) {
        snprintf(why, why_size, "the number of nodes must be 1 .. %d", NODES_MAX);
        return NULL;
    }
    size_t size = sl_node_size(options->config, options->model);
    if (size == 0) {
        snprintf(why, why_size, "the model %s does not suit its shape", options->model->name);
        return NULL;
    }
    struct sl_sim *sim = calloc(1, sizeof *sim);
    if (sim) {
        sim->options = *options;
        sim->node_size = size;
        sim->dim = options->model->dim(&options->config->shape);
        if (sim->options.train_us == 0) sim->options.train_us = options->config->epoch_us / 10;
    }
    if (!sim || !make_world(sim)) {
        snprintf(why, why_size, "memory is too short for %" PRIu32 " nodes of %zu bytes; simulate fewer, or lower view.size and link.max",
                 options->n_nodes, size);
        sl_sim_destroy(&sim);
    }
    return sim;
}

void sl_sim_drop(struct sl_sim_entry *entry)
{
    if (entry->type == SL_SIM_FRAME) {
        struct sl_packet *packet = entry->data;
        if (--packet->n_users > 0) return;
    }
    free(entry->data);
}

void sl_sim_destroy(struct sl_sim **pointer)
{
    struct sl_sim *sim = *pointer;
    if (!sim) return;

    while (sl_sim_queue_first(&sim->queue)) {
        struct sl_sim_entry entry = sl_sim_queue_pop(&sim->queue);
        sl_sim_drop(&entry);
    }
    for (uint32_t i = 0; sim->nodes && i < sim->options.n_nodes; i++) {
        struct sl_sim_node *node = &sim->nodes[i];
        if (node->core) sl_node_finish(node->core);
        free(node->memory);
        free(node->state.bytes);
        free(node->old_state.bytes);
        free(node->book.bytes);
        free(node->ledger.bytes);
        free(node->kept.bytes);
        sl_links_finish(&node->links);
    }
    sl_sim_queue_finish(&sim->queue);
    sl_pipes_finish(&sim->pipes);
    sl_network_finish(&sim->network);
    sl_checker_finish(&sim->checker);
    free(sim->nodes);
    free(sim->peers);
    free(sim->seeds);
    free(sim->by_id);
    free(sim->rings);
    free(sim->places);
    free(sim);
    *pointer = NULL;
}
