/* SPDX-License-Identifier: MIT */
#include "sim/network.h"

#include <stdlib.h>
#include <string.h>

enum { LATENCY_US = 20000, LATENCIES_PER_EPOCH = 500, REORDER_LATENCIES = 8 };

bool sl_network_init(struct sl_network *network, uint32_t n_nodes, uint64_t epoch_us, struct sl_rng rng)
{
    uint64_t longest = epoch_us / LATENCIES_PER_EPOCH;
    *network = (struct sl_network){.n_nodes = n_nodes, .rng = rng};
    network->latency_us = longest < LATENCY_US ? longest : LATENCY_US;
    network->jitter_us = network->latency_us / 2;
    network->salt = sl_rng_u64(&network->rng);
    network->group = calloc(n_nodes, sizeof *network->group);
    return network->group;
}

void sl_network_finish(struct sl_network *network)
{
    free(network->group);
    network->group = NULL;
}

bool sl_network_is_blocked(const struct sl_network *network, uint32_t from, uint32_t to)
{
    if (network->group[from] != network->group[to]) return true;
    for (uint32_t i = 0; i < network->n_one_way; i++)
        if (network->one_way[i].from == from && network->one_way[i].to == to) return true;
    return false;
}

/* Finaliser of MurmurHash3: spreads a pair over 64 bits. Only latencies depend on it. */
static uint64_t spread(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

uint64_t sl_network_latency(const struct sl_network *network, uint32_t from, uint32_t to)
{
    uint64_t low = from < to ? from : to, high = from < to ? to : from;
    uint64_t share = spread(network->salt ^ (low << 32 | high)) & 1023;
    return network->latency_us / 2 + network->latency_us * share / 1024 + network->delay_us;
}

static uint64_t up_to(struct sl_network *network, uint64_t most_us)
{
    return (uint64_t)(sl_rng_uniform(&network->rng) * (double)most_us);
}

static bool happens(struct sl_network *network, double probability)
{
    return probability > 0 && sl_rng_uniform(&network->rng) < probability;
}

struct sl_fate sl_network_fate(struct sl_network *network, uint32_t from, uint32_t to)
{
    struct sl_fate fate = {0};
    if (sl_network_is_blocked(network, from, to) || happens(network, network->loss)) return fate;

    fate.n_copies = happens(network, network->duplicate) ? 2 : 1;
    for (uint32_t i = 0; i < fate.n_copies; i++) {
        bool is_late = i > 0 || happens(network, network->reorder);
        fate.in_order[i] = !is_late;
        fate.travel_us[i] = sl_network_latency(network, from, to) + up_to(network, network->jitter_us);
        if (is_late) fate.travel_us[i] += up_to(network, REORDER_LATENCIES * (network->latency_us + network->delay_us));
    }
    return fate;
}

bool sl_network_block_one_way(struct sl_network *network, uint32_t from, uint32_t to)
{
    if (network->n_one_way == SL_ONE_WAY_MAX) return false;

    network->one_way[network->n_one_way].from = from;
    network->one_way[network->n_one_way++].to = to;
    return true;
}

void sl_network_heal(struct sl_network *network)
{
    memset(network->group, 0, network->n_nodes);
    network->n_one_way = 0;
}
