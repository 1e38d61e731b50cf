/* SPDX-License-Identifier: MIT */
#ifndef STARLING_STATUS_H
#define STARLING_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "starling/trainer.h"

enum { SL_REASON_MAX = 128 };

/* One look at a node: for the command line, metrics, tests and the simulator's checker. Counters count since START. */
struct sl_status {
    uint8_t id[32];
    uint64_t epoch;                      /* the current one */
    uint64_t first_epoch;                /* the first one this node may act in */
    uint32_t dim;
    uint64_t epochs_seen;                /* epochs it could have acted in, the current one not counted */
    uint64_t epochs_trained;
    uint64_t epochs_with_aggregate;      /* its own cohort produced one */
    uint64_t epochs_merged;
    uint64_t cohorts_void;               /* a roster, but no aggregate */
    uint64_t aggregates_pulled;
    uint32_t peers_known, peers_live, links_up;
    uint64_t messages_sent, messages_received, bytes_sent, bytes_received;      /* protocol frames */
    uint64_t messages_refused;           /* malformed, unsigned, over budget, out of place */
    uint64_t signature_checks, signatures_made;
    double sharing_radius;               /* the current estimate */
    struct sl_job_result last_job;
    bool stalled;
    char reason[SL_REASON_MAX];          /* why it is stalled, in words; empty otherwise */
};

#endif
