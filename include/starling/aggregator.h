/* SPDX-License-Identifier: MIT */
#ifndef STARLING_AGGREGATOR_H
#define STARLING_AGGREGATOR_H

#include <stddef.h>
#include <stdint.h>

#include "starling/arena.h"

/*
 * A merge rule: several vectors in, one out. It sees no identities and keeps no state. Rules are const tables in the
 * file that implements them; src/config/registry.c lists those that have a name in merge.rule.
 */

struct sl_input {
    const float *values;     /* dim finite floats */
    double weight;           /* >= 0; equal weights give the textbook rule */
};

enum sl_start { SL_START_ZERO, SL_START_MEAN, SL_START_MEDIAN };

/* Parameters of all rules; each rule reads its own. A driver fills them from options or from "k=v;k=v". */
struct sl_rule_params {
    uint32_t max_faulty;     /* f: inputs that may be arbitrary */
    double nu;               /* geomed: smoothing length, absolute */
    uint32_t n_iterations;   /* geomed: T */
    enum sl_start start;     /* geomed: where the iteration begins */
};

struct sl_aggregator {
    const char *name;
    const char *summary;

    size_t (*scratch_size)(uint32_t n_inputs_max, uint32_t dim);

    /* Merges n_inputs vectors of dim floats into out (which must not overlap them). out stays untouched on failure.
     * SL_ERROR_TOO_FEW (no inputs, or 2f >= n where the rule drops f), SL_ERROR_BAD_ARGUMENT (a weight or parameter
     * negative or not finite, or no positive weight), SL_ERROR_NO_MEMORY (scratch too small). */
    int (*combine)(const struct sl_input *inputs, uint32_t n_inputs, uint32_t dim,
                   const struct sl_rule_params *params, struct sl_arena *scratch, float *out);
};

/* The rules of src/share. All of them treat an input of weight 0 as absent: it counts neither as a vector nor as one of the
 * n inputs that f is compared with. Sums are double, in the order of the inputs. */
extern const struct sl_aggregator sl_aggregator_mean;                    /* "mean" */
extern const struct sl_aggregator sl_aggregator_median;                  /* "median" */
extern const struct sl_aggregator sl_aggregator_trimmed_mean;            /* "trmean": f */
extern const struct sl_aggregator sl_aggregator_geometric_median;        /* "geomed": nu, T, start */

#endif
