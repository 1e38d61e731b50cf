/* SPDX-License-Identifier: MIT */
#ifndef CLI_PRIVACY_NOISE_H
#define CLI_PRIVACY_NOISE_H

#include <stdint.h>

#include "starling/config.h"

/* The noise that an epsilon takes, as a node will count it: through its configuration, its charges and its budget. */

enum { CLI_NOISE_MAX = 256, CLI_EPOCHS_MAX = 1000000 };      /* no node takes more noise; a plan may name it */

struct cli_noise {
    double noise;                        /* in clip norms: privacy.noise, or privacy.node_noise */
    double epsilon, floor;               /* after all epochs; floor: against everybody else together */
    double audit_factor;                 /* 1: none */
};

/* The smallest noise, rounded up to 8 digits, under which so many epochs of the configuration stay within epsilon. n_block: coordinates of a cohort's epoch,
 * 0 for none that is audited. SL_ERROR_OUT_OF_RANGE: not even 10,000 clip norms would do, or audits alone use up delta. */
int cli_noise_for(const struct sl_config *config, uint32_t n_block, uint64_t epochs, double epsilon, double delta, struct cli_noise *out);

#endif
