/* SPDX-License-Identifier: MIT */
#ifndef SL_SHARE_AGGREGATORS_H
#define SL_SHARE_AGGREGATORS_H

#include "starling/aggregator.h"

/*
 * The merge rules of this folder. All of them treat an input of weight 0 as absent: it counts neither as a vector nor
 * as one of the n inputs that f is compared with. Sums are double, in the order of the inputs.
 */
extern const struct sl_aggregator sl_aggregator_mean;                    /* "mean" */
extern const struct sl_aggregator sl_aggregator_median;                  /* "median" */
extern const struct sl_aggregator sl_aggregator_trimmed_mean;            /* "trmean": f */
extern const struct sl_aggregator sl_aggregator_geometric_median;        /* "geomed": nu, T, start */

#endif
