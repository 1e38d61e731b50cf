/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_GLANCE_H
#define SL_RUNTIME_GLANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/guard.h"
#include "runtime/journal.h"
#include "runtime/setup.h"
#include "starling/node.h"

/* One look at a running node: all that the control socket, /metrics and the log may tell. The driver fills it in; everything is borrowed. */
struct sl_glance {
    const struct sl_setup *setup;
    const struct sl_node *node;
    const struct sl_journal *journal;
    uint64_t start_us, now_us;
    uint64_t sends_dropped;
    bool state_failing, book_failing, ledger_failing, release_failing;       /* the last store of that file was not durable */
    bool clock_stepped;                      /* the wall clock was set while the node ran */
    bool held, leaving;
    struct sl_guard_counts guard;            /* connections that others made, and those that were cut */
};

enum { SL_HEALTH_WARNINGS = 10, SL_WARNING_SIZE = 192, SL_HEALTH_YOUNG_EPOCHS = 3 };

enum sl_trouble { SL_TROUBLE_NONE, SL_TROUBLE_DISK, SL_TROUBLE_CLOCK, SL_TROUBLE_LEDGER, SL_TROUBLE_STALLED };

/* In words. Healthy: not stalled, the disk takes the state, the clock agrees with the peers', the privacy ledger can be trusted and written.
 * A node whose budget is spent is healthy: it merges and relays. A node that saw fewer than SL_HEALTH_YOUNG_EPOCHS epochs cannot be stalled yet: it is
 * healthy, and the reason says "starting". */
struct sl_health {
    bool healthy;
    enum sl_trouble trouble;                 /* the first that holds; none: healthy */
    char reason[SL_WARNING_SIZE];            /* empty: none */
    uint32_t n_warnings;
    char warnings[SL_HEALTH_WARNINGS][SL_WARNING_SIZE];
};

void sl_health_of(const struct sl_glance *glance, const struct sl_status *status, struct sl_health *out);

/* "accuracy" or "rmse"; and the score of that name, if the node kept rows back to know it and privacy is off: else it is told to nobody. */
const char *sl_score_name(const struct sl_setup *setup);
bool sl_own_score(const struct sl_setup *setup, const struct sl_score *score, double *out);

/* The same for the owner of the node, who may have asked for it (privacy.show_own_accuracy): for the control socket and nothing else. */
bool sl_own_score_for_owner(const struct sl_setup *setup, const struct sl_score *score, double *out);

/* Are the rows of this node protected? Then what is measured on them is told to nobody. */
bool sl_is_private(const struct sl_setup *setup);

/* Rows that it learns from; with privacy the round figure that its owner made public. */
uint64_t sl_rows_told(const struct sl_setup *setup, const struct sl_job_result *last_job);

#endif
