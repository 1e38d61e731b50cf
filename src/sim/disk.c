/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "config/plan.h"
#include "privacy/ledger.h"
#include "sim/world.h"
#include "starling/error.h"

/* The privacy ledger and the release file of a simulated node: what a crash leaves of them, and the points of a round at which a scenario may crash it. */

static enum sl_ledger_type type_of(const struct sl_disk_write *write)
{
    return (enum sl_ledger_type)write->bytes[6];
}

/* ---- crash points ---- */

static void restart_later(struct sl_sim *sim, struct sl_sim_node *node, uint64_t crash_us)
{
    if (node->point_down_us == 0) return;
    sl_sim_push(sim, (struct sl_sim_entry){.at_us = crash_us + node->point_down_us, .type = SL_SIM_START, .node = node->index});
}

static bool is_at(struct sl_sim_node *node, enum sl_round_point point)
{
    bool is_here = node->point == point;
    if (is_here) node->point = SL_POINT_NONE;
    return is_here;
}

bool sl_sim_crash_at(struct sl_sim *sim, struct sl_sim_node *node, enum sl_round_point point)
{
    if (!is_at(node, point)) return false;

    sl_sim_crash(sim, node->index);
    restart_later(sim, node, sim->now_us);
    return true;
}

void sl_sim_crash_within(struct sl_sim *sim, struct sl_sim_node *node, enum sl_round_point point, uint64_t until_us)
{
    if (until_us <= sim->now_us || !is_at(node, point)) return;

    uint64_t crash_us = sim->now_us + sl_rng_below(&sim->disk_rng, (uint32_t)(until_us - sim->now_us));
    sl_sim_push(sim, (struct sl_sim_entry){.at_us = crash_us, .type = SL_SIM_CRASH, .node = node->index});
    restart_later(sim, node, crash_us);
}

/* ---- writes ---- */

static bool is_private(const struct sl_disk_write *write)
{
    return write->type == SL_STORE_APPEND_LEDGER || write->type == SL_STORE_PUT_RELEASE;
}

void sl_sim_write_begins(struct sl_sim *sim, struct sl_sim_node *node, struct sl_disk_write *write, uint64_t until_us)
{
    if (!is_private(write)) return;

    node->under_way = write;
    if (write->type == SL_STORE_PUT_RELEASE) sl_sim_crash_within(sim, node, SL_POINT_OUTPUT, until_us);
    else if (type_of(write) == SL_LEDGER_CHARGE) sl_sim_crash_within(sim, node, SL_POINT_CHARGE, until_us);
    else if (type_of(write) == SL_LEDGER_RELEASE) sl_sim_crash_within(sim, node, SL_POINT_RELEASE, until_us);
}

static void append(struct sl_sim *sim, struct sl_sim_node *node, const uint8_t *bytes, size_t size)
{
    uint8_t *grown = realloc(node->ledger.bytes, node->ledger.size + size + 1);
    if (!grown) {
        sim->error = SL_ERROR_NO_MEMORY;
        return;
    }
    memcpy(grown + node->ledger.size, bytes, size);
    node->ledger = (struct sl_bytes){grown, node->ledger.size + size};
}

static void replace(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_disk_write *write)
{
    uint8_t *fresh = malloc(write->size + 1);
    if (!fresh) {
        sim->error = SL_ERROR_NO_MEMORY;
        return;
    }
    memcpy(fresh, write->bytes, write->size);
    free(node->kept.bytes);
    node->kept = (struct sl_bytes){fresh, write->size};
}

bool sl_sim_write_ends(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_disk_write *write)
{
    if (!is_private(write)) return true;

    node->under_way = NULL;
    if (write->error) return true;                       /* a failed write leaves the files as they were */
    if (write->type == SL_STORE_PUT_RELEASE) {
        replace(sim, node, write);
        return !sl_sim_crash_at(sim, node, SL_POINT_KEPT);
    }
    append(sim, node, write->bytes, write->size);
    if (type_of(write) == SL_LEDGER_CHARGE) return !sl_sim_crash_at(sim, node, SL_POINT_CHARGED);
    if (type_of(write) == SL_LEDGER_RELEASE) return !sl_sim_crash_at(sim, node, SL_POINT_RELEASED);
    return true;
}

/* A write under way at a crash is on disk, or is not, or a part of it is, or its place is there and empty. A release file is renamed whole, or not at all. */
void sl_sim_tear(struct sl_sim *sim, struct sl_sim_node *node)
{
    static const uint8_t nothing[SL_LEDGER_RECORD];
    const struct sl_disk_write *write = node->under_way;
    node->under_way = NULL;
    if (!write || write->error) return;

    uint32_t fate = sl_rng_below(&sim->disk_rng, 4);
    if (write->type == SL_STORE_PUT_RELEASE) {
        if (fate < 2) replace(sim, node, write);
    } else if (fate == 0) {
        append(sim, node, write->bytes, write->size);
    } else if (fate == 1) {
        append(sim, node, write->bytes, 1 + sl_rng_below(&sim->disk_rng, (uint32_t)write->size - 1));
    } else if (fate == 2) {
        append(sim, node, nothing, write->size);
    }
}

/* ---- start ---- */

/* As starlingd does: a torn tail is cut, and a release file that is not the one its RELEASE speaks of is deleted. */
void sl_sim_check_disk(struct sl_sim *sim, struct sl_sim_node *node)
{
    if (sl_unit_of(sim->options.config) == SL_UNIT_OFF) return;

    struct sl_ledger ledger;
    uint8_t key[32], hash[32];
    size_t whole = 0;
    sl_ledger_key(node->identity.sign_secret, key);
    sl_ledger_init(&ledger, key);
    if (sl_ledger_read(&ledger, node->ledger.bytes, node->ledger.size, &whole) == SL_OK) node->ledger.size = whole;
    else sl_checker_fail(&sim->checker, node->index, "left a ledger that cannot be read");
    sl_release_hash(node->kept.bytes, node->kept.size, hash);
    uint64_t sequence;
    const uint8_t *output;
    size_t size;
    bool is_whole = sl_release_open(node->kept.bytes, node->kept.size, &sequence, &output, &size) == SL_OK;
    bool is_of_last = is_whole && ledger.n_charges > 0 && sequence == ledger.charge.sequence;
    if (!is_whole || (is_of_last && ledger.is_released && !sl_hash_equal(hash, ledger.release))) node->kept.size = 0;
    sl_wipe(&ledger, sizeof ledger);
    sl_wipe(key, sizeof key);
}

/* ---- noise ---- */

/* One key for each job of each start, by a label of its own; in starlingd it comes from the kernel. */
void sl_sim_noise_key(const struct sl_sim *sim, const struct sl_sim_node *node, uint32_t job, uint8_t out[32])
{
    sl_sim_key(sim, "simulated noise", (uint64_t)node->incarnation << 32 | node->index, job, out);
}
