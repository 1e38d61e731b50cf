/* SPDX-License-Identifier: MIT */
#ifndef SL_SIM_CHECKER_H
#define SL_SIM_CHECKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "cohort/session.h"
#include "privacy/ledger.h"
#include "starling/config.h"
#include "starling/event.h"
#include "starling/status.h"
#include "starling/trace.h"

/*
 * What must never happen, looked for after every step of a simulated node: it reads the events that went in, the actions that came out, traces and the
 * status. The first violation is kept as one sentence; it never changes the run.
 *
 * - Nothing is sent for an epoch (PROPOSE, JOIN, ROSTER, COMMIT, OPEN, RESULT) before a state stored in that epoch is durable, nor in the epoch of the start.
 * - One COMMIT and one ROSTER per node and epoch.
 * - No training result enters two sums: a COMMIT belongs to a result that came in time in the same epoch and that no COMMIT has used, and the vector
 *   behind it is, by its hash, that very result. Equal vectors of two jobs are no violation: a trainer may have nothing left to improve.
 * - In a cohort a node says one thing per step, also by LISTs, and gives its shares away only after a threshold of CONFIRMs of one story.
 * - All results of one cohort over the same LISTs name the same mean; it is the plain mean of the members' clipped vectors.
 * - Private rounds (checker_rounds.c): no job without a durable charge of its epoch that no job has used, with the numbers of that charge; no round is charged
 *   twice, also not over restarts, and no charge is ever lost; one output of a round; nothing is committed in an epoch before its RELEASE is durable; the
 *   epsilon of the status never falls, never passes the limit, and no loss is told.
 * - Epochs never go back; tables, actions and frames are bounded; weights are finite; no node spins in one instant.
 */
enum { SL_CHECKER_TICKETS = 16, SL_CHECKER_TICKS_MAX = 200, SL_CHECKER_CONFIRMS = 128 };

struct sl_checked_rounds {
    uint64_t ticket;                         /* of the store of a round that is under way; 0 none */
    bool is_record, is_used;                 /* is_record: it goes to the ledger; is_used: a job has begun on the last charge */
    uint8_t record[SL_LEDGER_RECORD];
    uint64_t asked, charged, released;       /* epochs: highest one for which a charge was asked, and the last with a durable one, and with its RELEASE */
    struct sl_round paid;                    /* of the last charge */
    uint64_t n_charges;                      /* durable ones */
    uint64_t output_round;
    uint8_t output[32];                      /* hash of that round's output */
    double epsilon;                          /* told last */
};

struct sl_checked_node {
    uint8_t id[32];
    uint64_t stored_epoch;                   /* the last epoch with a durable state of this incarnation; 0 none */
    uint64_t start_epoch;
    struct { uint64_t ticket, epoch; } tickets[SL_CHECKER_TICKETS];      /* PUT_STATE under way */
    uint32_t n_tickets;                      /* ever; the ring holds the last ones */
    uint64_t epoch;                          /* the last one seen */
    uint64_t roster_epoch, propose_epoch;
    uint32_t roster_size;
    uint8_t propose_hash[32];
    struct { uint64_t epoch; uint8_t hash[32]; } said[SL_STEP_COUNT];        /* in a cohort, by enum sl_session_step: the last body */
    struct { uint64_t epoch; uint32_t n; struct { uint8_t from[32], chain[32]; } all[SL_CHECKER_CONFIRMS]; } confirms;       /* heard */
    uint32_t job, used_job;                  /* the last training job that began, and the last whose result was committed; 0 none */
    uint64_t job_epoch, result_epoch;        /* of that job; the same once its result has come in time, else another */
    uint64_t instant_us;                     /* of the ticks counted */
    uint32_t n_ticks;
    float *trained;                          /* the vector that the last training job made */
    uint64_t trained_epoch;
    uint8_t trained_hash[32];
    struct sl_checked_rounds rounds;
};

struct sl_checked_result { uint8_t cohort[32], chain[32], root[32]; uint64_t epoch; };

/* What a cohort computed under masks, and what it must equal. */
struct sl_checked_aggregate {
    uint64_t epoch;
    const uint32_t *members, *block;         /* nodes; coordinates that were exchanged, ascending */
    uint32_t n_members, n_values, bits;      /* n_values: coordinates in block, mean and ref */
    int ring_exponent;                       /* by which vectors were rounded */
    const float *mean, *ref;
    double radius;
};

struct sl_checker {
    const struct sl_config *config;
    uint32_t n_nodes, dim;
    struct sl_checked_node *nodes;
    struct sl_checked_result *results;       /* open addressing by cohort id */
    uint32_t n_results_max;
    uint64_t n_checked, n_aggregates, n_skipped;     /* steps; aggregates compared with the plain mean, and those that could not be */
    uint32_t violator;
    char violation[320];                     /* empty: all is well */
};

/* Keeps dim floats a node. False when memory is short. */
bool sl_checker_init(struct sl_checker *checker, const struct sl_config *config, uint32_t n_nodes, uint32_t dim);
void sl_checker_finish(struct sl_checker *checker);

/* A node starts (again) at now_us, its own clock. */
void sl_checker_start(struct sl_checker *checker, uint32_t node, const uint8_t id[32], uint64_t now_us);

void sl_checker_event(struct sl_checker *checker, uint32_t node, const struct sl_event *event);       /* before the step */
void sl_checker_trace(struct sl_checker *checker, uint32_t node, const struct sl_trace_event *event); /* during it */
void sl_checker_actions(struct sl_checker *checker, uint32_t node, uint64_t now_us, const struct sl_actions *actions);
void sl_checker_status(struct sl_checker *checker, uint32_t node, const struct sl_status *status);
void sl_checker_weights(struct sl_checker *checker, uint32_t node, const float *weights);

/* Remembers what a training job made. */
void sl_checker_trained(struct sl_checker *checker, uint32_t node, uint64_t epoch, const float *weights);

/* The same of a job with unit node, whose result is the integers in job->release; one clip norm is 2^20 of them. */
void sl_checker_released(struct sl_checker *checker, uint32_t node, const struct sl_job *job);

/* The vector (dim floats) from which a node made its COMMIT. */
void sl_checker_committed(struct sl_checker *checker, uint32_t node, const float *weights);

/* The mean must be the plain one of ref + clip(x_i - ref, radius), with unit node of ref + what x_i released, within the rounding of the ring (32 bits) and of
 * an encoding with `bits` per coordinate. Skipped, and counted so, where a member has trained on since. */
void sl_checker_aggregate(struct sl_checker *checker, uint32_t node, const struct sl_checked_aggregate *aggregate);
void sl_checker_skip(struct sl_checker *checker);

/* checker_rounds.c: the ledger with which a node starts; what it stores, trains on and tells; and that it sends something of its result in an epoch. */
void sl_checker_rounds_start(struct sl_checker *checker, uint32_t node, const uint8_t *ledger, size_t size);
void sl_checker_rounds_store(struct sl_checker *checker, uint32_t node, const struct sl_store *store);
void sl_checker_rounds_stored(struct sl_checker *checker, uint32_t node, uint64_t ticket, int error);
void sl_checker_rounds_job(struct sl_checker *checker, uint32_t node, const struct sl_job *job);
void sl_checker_rounds_said(struct sl_checker *checker, uint32_t node, uint64_t epoch);
void sl_checker_rounds_status(struct sl_checker *checker, uint32_t node, const struct sl_status *status);

/* Records a violation that a driver saw; the first one stays. */
void sl_checker_fail(struct sl_checker *checker, uint32_t node, const char *sentence);

#endif
