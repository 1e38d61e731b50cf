/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_CLOCK_H
#define SL_RUNTIME_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* A node's time: unix time at its start plus monotonic time since. A wall clock that is set while the node runs does not move it, but is told of. */
struct sl_clock {
    uint64_t start_us, boot_start_us;
    uint64_t alarm_us;               /* when a step was told last; 0 never */
    bool stepped;                    /* the wall clock stands elsewhere now */
};

void sl_clock_start(struct sl_clock *clock);

uint64_t sl_clock_now_us(const struct sl_clock *clock);

/* By how much the wall clock is ahead of (or, negative, behind) the node's time, if that is more than a quarter of an epoch and is to be told now: once an
 * epoch. Else 0. */
int64_t sl_clock_watch(struct sl_clock *clock, uint64_t epoch_us);

#endif
