/* SPDX-License-Identifier: MIT */
#ifndef SL_BASE_BITS_H
#define SL_BASE_BITS_H

#include <stdint.h>

/* Of a set that is one word: how many are in it. */
static inline uint32_t sl_count_bits(uint64_t set)
{
    uint32_t n = 0;
    for (; set; set &= set - 1) n++;
    return n;
}

#endif
