/* SPDX-License-Identifier: MIT */
#include "runtime/clock.h"

#include <time.h>

enum { STEP_SHARE = 4 };             /* of an epoch: a wall clock that steps farther is told of */

static uint64_t read_clock(clockid_t which)
{
    struct timespec time;
    clock_gettime(which, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* Goes on while the machine sleeps, where the system has such a clock. */
static uint64_t read_monotonic(void)
{
#ifdef CLOCK_BOOTTIME
    return read_clock(CLOCK_BOOTTIME);
#else
    return read_clock(CLOCK_MONOTONIC);
#endif
}

void sl_clock_start(struct sl_clock *clock)
{
    *clock = (struct sl_clock){.start_us = read_clock(CLOCK_REALTIME), .boot_start_us = read_monotonic()};
}

uint64_t sl_clock_now_us(const struct sl_clock *clock)
{
    return clock->start_us + (read_monotonic() - clock->boot_start_us);
}

int64_t sl_clock_watch(struct sl_clock *clock, uint64_t epoch_us)
{
    uint64_t own_us = sl_clock_now_us(clock);
    int64_t ahead_us = (int64_t)(read_clock(CLOCK_REALTIME) - own_us);
    uint64_t distance_us = (uint64_t)(ahead_us < 0 ? -ahead_us : ahead_us);
    clock->stepped = distance_us > epoch_us / STEP_SHARE;
    bool is_told = clock->alarm_us != 0 && own_us - clock->alarm_us < epoch_us;
    if (!clock->stepped || is_told) return 0;

    clock->alarm_us = own_us;
    return ahead_us;
}
