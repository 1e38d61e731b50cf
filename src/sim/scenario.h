/* SPDX-License-Identifier: MIT */
#ifndef SL_SIM_SCENARIO_H
#define SL_SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A scenario: what goes wrong and when. One line each, "at TIME VERB ARGUMENTS"; `#` begins a comment. TIME counts from the beginning: 90s, 500ms, 5m, 2h, or
 * 3e = start of epoch 3. NODES: 4, 0-3, 1,5,7-9 or all.
 *
 *   partition SHARE           the first SHARE of the nodes against the rest       partition 0-3/4-7     groups; nodes not named stay with the first
 *   one-way FROM TO           frames from node FROM to node TO are lost           heal                  ends partition and one-way
 *   join NODES                these nodes start only now                          churn P               a share P of the nodes crashes and returns every epoch
 *   crash NODES [for TIME] [with current|old|torn|no state]                       restart NODES [with ... state]
 *   loss P    duplicate P    reorder P    store-fail P    delay TIME              slow NODES xFACTOR    clock NODES +-TIME (at 0s only)
 *   crash-at POINT NODES [for TIME]     where privacy.unit is not off: these nodes crash when they come to this point of a private round for the first time:
 *                             charge (its record is being written), charged (it is durable), training, output (its file is being written), kept (it is
 *                             durable), release (its record is being written), released (it is durable), sent (its COMMIT is out)
 *   calm                      ends every fault above except crashes and clock
 */
enum sl_fault_type {
    SL_FAULT_PARTITION, SL_FAULT_ONE_WAY, SL_FAULT_HEAL, SL_FAULT_JOIN, SL_FAULT_CRASH, SL_FAULT_RESTART, SL_FAULT_LOSS, SL_FAULT_DUPLICATE,
    SL_FAULT_REORDER, SL_FAULT_STORE_FAIL, SL_FAULT_DELAY, SL_FAULT_SLOW, SL_FAULT_CLOCK, SL_FAULT_CHURN, SL_FAULT_CRASH_AT, SL_FAULT_CALM
};

/* Points of a private round, in its order. */
enum sl_round_point {
    SL_POINT_NONE, SL_POINT_CHARGE, SL_POINT_CHARGED, SL_POINT_TRAINING, SL_POINT_OUTPUT, SL_POINT_KEPT, SL_POINT_RELEASE, SL_POINT_RELEASED, SL_POINT_SENT
};

enum sl_state_kind { SL_STATE_CURRENT, SL_STATE_OLD, SL_STATE_TORN, SL_STATE_NONE };

struct sl_fault {
    uint64_t at_us;
    enum sl_fault_type type;
    uint8_t *groups;             /* n_nodes: partition: group of each node; others: 1 = concerned. Owned; NULL where no nodes are named */
    double value;                /* probability, or factor */
    int64_t time_us;             /* crash: down for so long (0: for good); delay; clock offset */
    uint32_t from, to;           /* one-way */
    enum sl_state_kind state;
    enum sl_round_point point;   /* crash-at */
};

struct sl_scenario {
    struct sl_fault *faults;     /* in the order of at_us, lines of equal time in the order of the file */
    uint32_t n_faults;
    uint32_t n_nodes;
};

/* `name` stands in error messages, "NAME:LINE: what is wrong and what would be right". SL_ERROR_FORMAT, _OUT_OF_RANGE, _NO_MEMORY. */
int sl_scenario_parse(const char *text, const char *name, uint32_t n_nodes, uint64_t epoch_us, struct sl_scenario *out, char *why, size_t why_size);

/* Also SL_ERROR_NOT_FOUND, SL_ERROR_IO. */
int sl_scenario_read(const char *path, uint32_t n_nodes, uint64_t epoch_us, struct sl_scenario *out, char *why, size_t why_size);

void sl_scenario_finish(struct sl_scenario *scenario);

#endif
