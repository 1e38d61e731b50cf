/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"

enum { SILENCE_US = 75000000 };

/* Where no frame gets through, both ends give a link up after the heartbeat's patience. */
static void expect_silence(struct sl_sim *sim)
{
    uint64_t two_epochs_us = 2 * sim->options.config->epoch_us, patience_us = two_epochs_us < SILENCE_US ? two_epochs_us : SILENCE_US;
    for (uint32_t i = 0; i < sim->pipes.n_pipes; i++) {
        const struct sl_pipe *pipe = &sim->pipes.pipes[i];
        bool is_used = pipe->ends[0].is_open && pipe->ends[1].is_open;
        if (!is_used || !sl_network_is_blocked(&sim->network, pipe->ends[0].node, pipe->ends[1].node)) continue;
        sl_sim_push(sim, (struct sl_sim_entry){.at_us = sim->now_us + patience_us, .type = SL_SIM_SILENCE, .a = i, .b = pipe->generation});
    }
}

static void crash_named(struct sl_sim *sim, const struct sl_fault *fault)
{
    for (uint32_t i = 0; i < sim->options.n_nodes; i++) {
        if (!fault->groups[i] || !sim->nodes[i].core) continue;
        sl_sim_crash(sim, i);
        if (fault->time_us == 0) continue;
        sl_sim_push(sim, (struct sl_sim_entry){.at_us = sim->now_us + (uint64_t)fault->time_us, .type = SL_SIM_START, .node = i, .a = fault->state});
    }
}

static void start_named(struct sl_sim *sim, const struct sl_fault *fault)
{
    for (uint32_t i = 0; i < sim->options.n_nodes; i++)
        if (fault->groups[i]) sl_sim_start(sim, i, fault->state);
}

static void arm_named(struct sl_sim *sim, const struct sl_fault *fault)
{
    for (uint32_t i = 0; i < sim->options.n_nodes; i++) {
        if (!fault->groups[i]) continue;
        sim->nodes[i].point = fault->point;
        sim->nodes[i].point_down_us = (uint64_t)fault->time_us;
    }
}

static void set_churn(struct sl_sim *sim, double churn)
{
    sim->churn = churn;
    if (churn <= 0 || sim->is_churning) return;
    sim->is_churning = true;
    sl_sim_push(sim, (struct sl_sim_entry){.at_us = sim->now_us, .type = SL_SIM_CHURN});
}

/* Each running node falls with probability churn at some moment of the coming epoch and returns at most an epoch later. */
void sl_sim_churn(struct sl_sim *sim)
{
    double epoch_us = (double)sim->options.config->epoch_us;
    sim->is_churning = sim->churn > 0;
    if (!sim->is_churning) return;

    for (uint32_t i = 0; i < sim->options.n_nodes; i++) {
        if (!sim->nodes[i].core || sl_rng_uniform(&sim->fault_rng) >= sim->churn) continue;
        uint64_t falls_us = sim->now_us + (uint64_t)(sl_rng_uniform(&sim->fault_rng) * epoch_us);
        uint64_t returns_us = falls_us + 1 + (uint64_t)(sl_rng_uniform(&sim->fault_rng) * epoch_us);
        sl_sim_push(sim, (struct sl_sim_entry){.at_us = falls_us, .type = SL_SIM_CRASH, .node = i});
        sl_sim_push(sim, (struct sl_sim_entry){.at_us = returns_us, .type = SL_SIM_START, .node = i});
    }
    sl_sim_push(sim, (struct sl_sim_entry){.at_us = sim->now_us + sim->options.config->epoch_us, .type = SL_SIM_CHURN});
}

static void calm(struct sl_sim *sim)
{
    sl_network_heal(&sim->network);
    sim->network.loss = sim->network.duplicate = sim->network.reorder = 0;
    sim->network.delay_us = 0;
    sim->store_fail = sim->churn = 0;
    for (uint32_t i = 0; i < sim->options.n_nodes; i++) sim->nodes[i].slowness = 1;
}

void sl_sim_fault(struct sl_sim *sim, const struct sl_fault *fault)
{
    switch (fault->type) {
    case SL_FAULT_PARTITION:
        memcpy(sim->network.group, fault->groups, sim->options.n_nodes);
        expect_silence(sim);
        break;
    case SL_FAULT_ONE_WAY: sl_network_block_one_way(&sim->network, fault->from, fault->to); break;
    case SL_FAULT_HEAL: sl_network_heal(&sim->network); break;
    case SL_FAULT_JOIN:
    case SL_FAULT_RESTART: start_named(sim, fault); break;
    case SL_FAULT_CRASH: crash_named(sim, fault); break;
    case SL_FAULT_CRASH_AT: arm_named(sim, fault); break;
    case SL_FAULT_LOSS: sim->network.loss = fault->value; break;
    case SL_FAULT_DUPLICATE: sim->network.duplicate = fault->value; break;
    case SL_FAULT_REORDER: sim->network.reorder = fault->value; break;
    case SL_FAULT_STORE_FAIL: sim->store_fail = fault->value; break;
    case SL_FAULT_DELAY: sim->network.delay_us = (uint64_t)fault->time_us; break;
    case SL_FAULT_SLOW:
        for (uint32_t i = 0; i < sim->options.n_nodes; i++)
            if (fault->groups[i]) sim->nodes[i].slowness = fault->value;
        break;
    case SL_FAULT_CHURN: set_churn(sim, fault->value); break;
    case SL_FAULT_CALM: calm(sim); break;
    case SL_FAULT_CLOCK: break;      /* there from the beginning */
    }
}
