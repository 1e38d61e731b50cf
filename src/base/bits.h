/* SPDX-License-Identifier: MIT */
#ifndef SL_BASE_BITS_H
#define SL_BASE_BITS_H

#include <stdint.h>

/* Of a set that is one word: the first n of what it may hold, n at most 64. */
static inline uint64_t sl_first_bits(uint32_t n)
{
    return n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

/* How many are in it. */
static inline uint32_t sl_count_bits(uint64_t set)
{
    uint32_t n = 0;
    for (; set; set &= set - 1) n++;
    return n;
}

#endif
