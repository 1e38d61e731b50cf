/* SPDX-License-Identifier: MIT */
#ifndef CLI_PLAN_RECORD_H
#define CLI_PLAN_RECORD_H

#include <stdint.h>

/* Settings of unit record for a node whose owner names an epsilon and no more: what `starling init` writes. */

enum { CLI_PLAN_WHY_SIZE = 512 };

struct cli_plan_record {
    /* given */
    uint64_t records;                    /* the public round figure */
    uint32_t dim;                        /* weights of the model */
    uint64_t epochs;                     /* for which the budget must last */
    double epsilon, delta;

    /* found: privacy.sampling_rate, .batch, .steps, .clip, .noise */
    double sampling_rate;
    uint32_t batch, steps;
    double clip, noise;
    double after;                        /* epsilon after all epochs: at most what was given */
    double epoch_cpu_s;                  /* of one core of a desktop, estimated */
    char doubt[CLI_PLAN_WHY_SIZE];       /* a sentence when little can be learnt under so much noise; or "" */
};

/* SL_ERROR_OUT_OF_RANGE with a sentence in why[CLI_PLAN_WHY_SIZE]: numbers without sense, or an epsilon that no noise within the limits reaches. */
int cli_plan_record(struct cli_plan_record *plan, char *why);

#endif
