/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"
#include "starling/error.h"

enum { STORE_US = 2000, DIAL_PATIENCE_US = 5000000, DIALS_PER_EPOCH = 12, SHARED_MAX = 8 };

/* ---- links ---- */

/* When something that is never lost or overtaken arrives at this end, sent now by the other. */
uint64_t sl_sim_arrival(const struct sl_sim *sim, struct sl_pipe *pipe, uint32_t side, uint64_t travel_us)
{
    uint64_t at_us = sim->now_us + travel_us, last_us = pipe->ends[side].last_arrival_us;
    return pipe->ends[side].last_arrival_us = at_us > last_us ? at_us : last_us;
}

void sl_sim_close_end(struct sl_sim *sim, uint32_t index, uint32_t side)
{
    struct sl_pipe *pipe = &sim->pipes.pipes[index];
    struct sl_pipe_end *end = &pipe->ends[side], *other = &pipe->ends[!side];
    if (!end->is_open) return;

    end->is_open = false;
    sl_links_remove(&sim->nodes[end->node].links, end->number);
    if (other->is_open && !other->is_ending) {
        uint64_t travel_us = sl_network_latency(&sim->network, end->node, other->node);
        other->is_ending = true;
        sl_sim_push(sim, (struct sl_sim_entry){.at_us = sl_sim_arrival(sim, pipe, !side, travel_us), .type = SL_SIM_DOWN, .a = index,
                                               .b = pipe->generation, .incarnation = !side});
    }
    sl_pipes_leave(&sim->pipes, index);
}

uint64_t sl_sim_dial_patience(const struct sl_sim *sim)
{
    uint64_t share_us = sim->options.config->epoch_us / DIALS_PER_EPOCH;
    return share_us < DIAL_PATIENCE_US ? share_us : DIAL_PATIENCE_US;
}

/* A dial leads to DIAL at the target, or, where frames do not get through in both directions, to REFUSED after a while. */
static void dial(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_dial *wish)
{
    uint32_t target = node->index;
    bool is_known = sl_sim_resolve(sim, wish->address, &target);
    if (wish->link >= SL_LINK_INBOUND || sl_links_find(&node->links, wish->link)) {
        sl_checker_fail(&sim->checker, node->index, "dialled under a link number that is in use");
        return;
    }
    uint32_t index = sl_pipes_open(&sim->pipes, node->index, wish->link, target);
    if (index == UINT32_MAX || !sl_links_add(&node->links, wish->link, index, 0)) {
        sim->error = SL_ERROR_NO_MEMORY;
        return;
    }
    struct sl_pipe *pipe = &sim->pipes.pipes[index];
    bool is_right = is_known && target != node->index && memcmp(sim->nodes[target].identity.transport_public, wish->transport_key, 32) == 0;
    bool is_blocked = sl_network_is_blocked(&sim->network, node->index, target) || sl_network_is_blocked(&sim->network, target, node->index);
    uint64_t travel_us = sl_network_latency(&sim->network, node->index, target);
    struct sl_sim_entry entry = {.at_us = sim->now_us + travel_us, .type = SL_SIM_DIAL, .a = index, .b = pipe->generation};
    if (!is_right) entry.type = SL_SIM_REFUSED, entry.at_us = sim->now_us + 2 * travel_us;
    else if (is_blocked) entry.type = SL_SIM_REFUSED, entry.at_us = sim->now_us + sl_sim_dial_patience(sim);
    sl_sim_push(sim, entry);
}

/* ---- actions ---- */

static struct sl_packet *pack(struct sl_sim *sim, const struct sl_send *send)
{
    struct sl_packet *packet = malloc(sizeof *packet + send->size);
    if (!packet) {
        sim->error = SL_ERROR_NO_MEMORY;
        return NULL;
    }
    packet->n_users = 0;
    packet->size = send->size;
    memcpy(packet->bytes, send->data, send->size);
    return packet;
}

static void send_copy(struct sl_sim *sim, const struct sl_link *link, uint64_t at_us, struct sl_packet *packet)
{
    packet->n_users++;
    sl_sim_push(sim, (struct sl_sim_entry){.at_us = at_us, .type = SL_SIM_FRAME, .a = link->pipe, .b = sim->pipes.pipes[link->pipe].generation,
                                           .incarnation = !link->side, .data = packet});
}

static void hash_send(struct sl_sim *sim, const struct sl_sim_node *node, const struct sl_send *send)
{
    sl_hash_u64(&sim->hash, sim->now_us);
    sl_hash_u64(&sim->hash, (uint64_t)node->index << 32 | send->link);
    sl_hash_u64(&sim->hash, send->size);
    sl_hash_bytes(&sim->hash, send->data, send->size);
}

/* Frames that are sent to several links travel as one packet. */
struct shared { const uint8_t *data; size_t size; struct sl_packet *packet; };

static struct sl_packet *shared_packet(struct sl_sim *sim, const struct sl_send *send, struct shared shared[SHARED_MAX], uint32_t n_packed)
{
    for (uint32_t i = 0; i < SHARED_MAX; i++)
        if (shared[i].packet && shared[i].data == send->data && shared[i].size == send->size) return shared[i].packet;

    struct shared *place = &shared[n_packed % SHARED_MAX];
    if (place->packet && place->packet->n_users == 0) free(place->packet);
    *place = (struct shared){send->data, send->size, pack(sim, send)};
    return place->packet;
}

static void send_frame(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_send *send, struct shared shared[SHARED_MAX], uint32_t number)
{
    sim->counts.frames++;
    sim->counts.bytes += send->size;
    if (sim->options.hash) hash_send(sim, node, send);

    const struct sl_link *link = sl_links_find(&node->links, send->link);
    struct sl_pipe *pipe = link ? &sim->pipes.pipes[link->pipe] : NULL;
    bool is_sendable = link && pipe->is_up && pipe->ends[!link->side].is_open;
    struct sl_fate fate = {0};
    if (is_sendable) fate = sl_network_fate(&sim->network, node->index, pipe->ends[!link->side].node);
    if (fate.n_copies == 0) { sim->counts.frames_lost++; return; }

    struct sl_packet *packet = shared_packet(sim, send, shared, number);
    if (!packet) return;

    /* Frames that come late must still come after the link's UP: that is the last arrival at the time of opening. */
    for (uint32_t i = 0; i < fate.n_copies; i++) {
        uint64_t last_us = pipe->ends[!link->side].last_arrival_us, late_us = sim->now_us + fate.travel_us[i];
        uint64_t at_us = fate.in_order[i] ? sl_sim_arrival(sim, pipe, !link->side, fate.travel_us[i]) : late_us > last_us ? late_us : last_us;
        send_copy(sim, link, at_us, packet);
    }
}

static void send_all(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_actions *actions)
{
    struct shared shared[SHARED_MAX] = {0};
    for (uint32_t i = 0; i < actions->n_sends; i++) send_frame(sim, node, &actions->sends[i], shared, i);
    for (uint32_t i = 0; i < SHARED_MAX; i++)
        if (shared[i].packet && shared[i].packet->n_users == 0) free(shared[i].packet);
}

static void store(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_store *wish)
{
    struct sl_disk_write *write = malloc(sizeof *write + wish->size);
    if (!write) {
        sim->error = SL_ERROR_NO_MEMORY;
        return;
    }
    *write = (struct sl_disk_write){.ticket = wish->ticket, .type = wish->type, .size = wish->size};
    if (wish->size > 0) memcpy(write->bytes, wish->data, wish->size);
    bool fails = sim->store_fail > 0 && sl_rng_uniform(&sim->disk_rng) < sim->store_fail;
    if (fails) write->error = sl_rng_below(&sim->disk_rng, 2) ? SL_ERROR_IO : SL_ERROR_NO_SPACE;

    uint64_t from_us = node->disk_free_us > sim->now_us ? node->disk_free_us : sim->now_us;
    node->disk_free_us = from_us + STORE_US / 2 + sl_rng_below(&sim->disk_rng, STORE_US);
    sim->counts.stores++;
    sim->counts.stores_failed += fails;
    sl_sim_push(
        sim, (struct sl_sim_entry){
                 .at_us = node->disk_free_us, .type = SL_SIM_STORED, .node = node->index, .incarnation = node->incarnation, .data = write});
    if (!sim->error) sl_sim_write_begins(sim, node, write, node->disk_free_us);
}

/* Training happens at once, its end comes later: between half and one and a half of the mean length. */
static void run_job(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_job *job)
{
    struct sl_job_result *result = calloc(1, sizeof *result);
    if (!result) {
        sim->error = SL_ERROR_NO_MEMORY;
        return;
    }
    const struct sl_trainer *trainer = &sim->options.trainers[node->index];
    uint64_t begin_ns = sim->options.stopwatch_ns ? sim->options.stopwatch_ns() : 0;
    struct sl_job keyed = *job;
    if (job->round.steps > 0) sl_sim_noise_key(sim, node, job->number, keyed.noise_key);
    trainer->run(trainer->context, &keyed, result);
    sl_wipe(keyed.noise_key, sizeof keyed.noise_key);
    if (sim->options.stopwatch_ns) node->busy_ns += sim->options.stopwatch_ns() - begin_ns;
    bool is_checked = sim->options.check && job->type == SL_JOB_TRAIN;
    if (is_checked && job->release) sl_checker_released(&sim->checker, node->index, job);
    else if (is_checked) sl_checker_trained(&sim->checker, node->index, job->epoch, job->weights);

    double length_us = (double)sim->options.train_us * (.5 + sl_rng_uniform(&sim->train_rng)) * node->slowness;
    result->number = job->number;
    result->cpu_us = (uint64_t)length_us;
    sl_sim_push(sim, (struct sl_sim_entry){.at_us = sim->now_us + result->cpu_us,
                                           .type = SL_SIM_DONE,
                                           .node = node->index,
                                           .incarnation = node->incarnation,
                                           .data = result});
    sl_sim_crash_within(sim, node, SL_POINT_TRAINING, sim->now_us + (uint64_t)length_us);
}

static void hang_up(struct sl_sim *sim, struct sl_sim_node *node, uint32_t number)
{
    const struct sl_link *link = sl_links_find(&node->links, number);
    if (link) sl_sim_close_end(sim, link->pipe, link->side);
}

static void wake_at(struct sl_sim *sim, struct sl_sim_node *node, uint64_t deadline_us)
{
    bool is_never = deadline_us == SL_NEVER;
    int64_t virtual_us = is_never ? 0 : (int64_t)deadline_us - node->clock_off_us;
    node->deadline_us = is_never ? SL_NEVER : virtual_us < (int64_t)sim->now_us ? sim->now_us : (uint64_t)virtual_us;
    if (node->deadline_us >= node->wake_us) return;

    node->wake_us = node->deadline_us;
    sl_sim_push(sim, (struct sl_sim_entry){.at_us = node->wake_us, .type = SL_SIM_WAKE, .node = node->index, .incarnation = node->incarnation});
}

void sl_sim_carry_out(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_actions *actions)
{
    for (uint32_t i = 0; i < actions->n_stores; i++) store(sim, node, &actions->stores[i]);
    for (uint32_t i = 0; i < actions->n_dials; i++) dial(sim, node, &actions->dials[i]);
    send_all(sim, node, actions);
    if (actions->job.number != 0) run_job(sim, node, &actions->job);
    for (uint32_t i = 0; i < actions->n_hangups; i++) hang_up(sim, node, actions->hangups[i]);
    wake_at(sim, node, actions->deadline_us);
}
