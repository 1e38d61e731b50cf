/* SPDX-License-Identifier: MIT */
#ifndef SL_BASE_QUORUM_H
#define SL_BASE_QUORUM_H

#include <stdint.h>

/* t(c) = floor(.8 c + .5) members of c open a sum, and f(c) = floor(c / 3), 0 for c = 3, colluders are tolerated: 2t - c > f, so two quorums share an honest
 * member. */
static inline uint32_t sl_quorum_threshold(uint32_t n_members)
{
    return (8 * n_members + 5) / 10;
}

static inline uint32_t sl_quorum_colluders(uint32_t n_members)
{
    return n_members == 3 ? 0 : n_members / 3;
}

#endif
