/* SPDX-License-Identifier: MIT */
#ifndef SL_SIM_WORLD_H
#define SL_SIM_WORLD_H

#include "base/hash.h"
#include "sim/network.h"
#include "sim/pipe.h"
#include "sim/queue.h"
#include "sim/sim.h"

/* The inside of the simulator, shared by sim.c (loop and steps), act.c (what nodes ask for), setup.c (creation), disk.c (ledgers and release files),
 * faults.c (what goes wrong) and inspect.c (a look into cores). */

enum sl_sim_type {
    SL_SIM_START,                /* node; a: enum sl_state_kind */
    SL_SIM_CRASH,                /* node; a: enum sl_state_kind of the restart, data NULL; b: 1 = comes back */
    SL_SIM_WAKE,                 /* node, incarnation */
    SL_SIM_DIAL,                 /* a: pipe, b: generation: arrives at the target */
    SL_SIM_UP,                   /* a: pipe, b: generation: the dialler hears of it */
    SL_SIM_REFUSED,              /* a: pipe, b: generation */
    SL_SIM_DOWN,                 /* a: pipe, b: generation, incarnation: side */
    SL_SIM_SILENCE,              /* a: pipe, b: generation: nothing came for a long time */
    SL_SIM_FRAME,                /* a: pipe, b: generation, incarnation: side that receives, data: struct sl_packet */
    SL_SIM_STORED,               /* node, incarnation, data: struct sl_disk_write */
    SL_SIM_DONE,                 /* node, incarnation, data: struct sl_job_result */
    SL_SIM_FAULT,                /* a: index in the scenario */
    SL_SIM_CHURN                 /* every epoch while there is churn */
};

/* One frame, shared by all who will receive it. */
struct sl_packet {
    uint32_t n_users;
    size_t size;
    uint8_t bytes[];
};

struct sl_disk_write {
    uint64_t ticket;
    enum sl_store_type type;
    int error;
    size_t size;
    uint8_t bytes[];
};

struct sl_bytes { uint8_t *bytes; size_t size; };

struct sl_sim_node {
    struct sl_sim *sim;
    uint32_t index, incarnation;         /* the first start is incarnation 1 */
    struct sl_node *core;                /* NULL while it is down */
    void *memory;
    const float *weights;
    struct sl_identity identity;
    int64_t clock_off_us;
    double slowness;
    bool has_merged, has_aggregate, has_committed;       /* in this step */
    uint64_t deadline_us, wake_us;       /* virtual; wake_us: the WAKE in the queue, SL_NEVER none */
    uint64_t disk_free_us;               /* stores are carried out in order */
    struct sl_links links;
    struct sl_bytes state, old_state;    /* durable, and the one before */
    struct sl_bytes book;                /* durable */
    struct sl_bytes ledger, kept;        /* privacy: durable records, torn ones until the next start, and the release file */
    struct sl_disk_write *under_way;     /* of these two; NULL none */
    enum sl_round_point point;           /* where it is to crash next */
    uint64_t point_down_us;
    struct sl_status past;               /* counters of former incarnations */
    struct sl_status last;               /* as it was when it went down */
    uint64_t last_merge_us, n_steps, busy_ns;
    uint64_t roster_epoch, completed_epoch;      /* last epoch in which its cohort, as initiator, was formed and completed */
    uint8_t initiator[32];               /* of its current roster */
};

struct sl_sim {
    struct sl_sim_options options;
    struct sl_rng root, fault_rng, disk_rng, train_rng;
    uint64_t begin_us, now_us;           /* virtual unix time */
    struct sl_sim_queue queue;
    struct sl_network network;
    struct sl_pipes pipes;
    struct sl_sim_node *nodes;
    uint32_t *by_id, n_slots;            /* open addressing: index + 1, 0 empty */
    struct sl_peer *peers;               /* all nodes */
    struct sl_seed *seeds;               /* the first options.n_seeds of them; NULL without */
    uint32_t *rings, *places;            /* where a view cannot hold all: n_rings random rings; rings[r][place] = node, places[r][node] = place */
    uint32_t n_rings;
    size_t node_size;
    uint32_t dim;
    double store_fail, churn;
    bool is_churning;                    /* a CHURN is in the queue */
    struct sl_checker checker;
    struct sl_hash hash;
    struct sl_sim_counts counts;
    int error;
    char violation[512];
};

uint64_t sl_sim_clock(const struct sl_sim *sim, const struct sl_sim_node *node);       /* what the node's clock shows */
void sl_sim_push(struct sl_sim *sim, struct sl_sim_entry entry);
void sl_sim_start(struct sl_sim *sim, uint32_t node, enum sl_state_kind kind);         /* nothing if it runs */
void sl_sim_crash(struct sl_sim *sim, uint32_t node);                                  /* nothing if it is down */
void sl_sim_fault(struct sl_sim *sim, const struct sl_fault *fault);
void sl_sim_churn(struct sl_sim *sim);

/* act.c */
void sl_sim_carry_out(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_actions *actions);
void sl_sim_close_end(struct sl_sim *sim, uint32_t pipe, uint32_t side);               /* the node there leaves; the other will hear of it */
uint64_t sl_sim_arrival(const struct sl_sim *sim, struct sl_pipe *pipe, uint32_t side, uint64_t travel_us);
uint64_t sl_sim_dial_patience(const struct sl_sim *sim);                               /* microseconds until an unanswered dial is given up */

/* disk.c */
bool sl_sim_crash_at(struct sl_sim *sim, struct sl_sim_node *node, enum sl_round_point point);         /* if the scenario wants it there: true, it is down */
void sl_sim_crash_within(struct sl_sim *sim, struct sl_sim_node *node, enum sl_round_point point, uint64_t until_us);       /* at some time until then */
void sl_sim_write_begins(struct sl_sim *sim, struct sl_sim_node *node, struct sl_disk_write *write, uint64_t until_us);
bool sl_sim_write_ends(struct sl_sim *sim, struct sl_sim_node *node, const struct sl_disk_write *write);      /* false: the node crashed before it heard */
void sl_sim_tear(struct sl_sim *sim, struct sl_sim_node *node);                        /* what is under way at a crash */
void sl_sim_check_disk(struct sl_sim *sim, struct sl_sim_node *node);                  /* before a start */
void sl_sim_noise_key(const struct sl_sim *sim, const struct sl_sim_node *node, uint32_t job, uint8_t out[32]);

bool sl_sim_is_tapped(const struct sl_sim *sim, uint32_t node);                        /* are its actions changed? */

/* inspect.c */
void sl_sim_check_aggregate(struct sl_sim *sim, const struct sl_sim_node *node);
void sl_sim_check_commit(struct sl_sim *sim, const struct sl_sim_node *node);

/* setup.c */
void sl_sim_key(const struct sl_sim *sim, const char *label, uint64_t a, uint64_t b, uint8_t out[32]);
struct sl_peer *sl_sim_neighbours(const struct sl_sim *sim, uint32_t node, uint32_t *n_out);      /* malloc'ed peer list; NULL: memory is short */
bool sl_sim_resolve(const struct sl_sim *sim, const char *address, uint32_t *out);
void sl_sim_drop(struct sl_sim_entry *entry);                                          /* frees what an entry points to */

#endif
