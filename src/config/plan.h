/* SPDX-License-Identifier: MIT */
#ifndef SL_CONFIG_PLAN_H
#define SL_CONFIG_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "privacy/budget.h"
#include "starling/config.h"

/* From options to what a round is charged. Core and trainers, planner and command line all go by this one reading of the configuration. */

enum sl_unit sl_unit_of(const struct sl_config *config);
enum sl_adjacency sl_adjacency_of(const struct sl_config *config);           /* "default" resolved by the unit */
struct sl_limits sl_limits_of(const struct sl_config *config);
uint32_t sl_audit_rows_of(const struct sl_config *config, uint32_t n_block); /* rows of a cohort's audit: 32 with unit record, 8 with off and node from
                                                                                 SL_AUDIT_DIM_MIN coordinates on, else 0 */

bool sl_shows_own_accuracy(const struct sl_config *config);                  /* to the owner, where a unit of privacy would hide it */

/* One round at these settings with a block of so many coordinates; all zero when the unit is off. The configuration was checked.
 * sigma2 = ceil(z^2 2^40 / h), h 1 in unit record. */
struct sl_charge sl_charge_of(const struct sl_config *config, uint32_t n_block);

/* Unit node: may a cohort have so many members? No fewer than configured, and every quorum of t holds the honest shares counted on, whoever else colludes. */
bool sl_cohort_suffices(const struct sl_config *config, uint32_t n_members);

/* The part of sl_config_check() that concerns privacy: what must be given, what fits together. SL_ERROR_OUT_OF_RANGE with a sentence in `why`. */
int sl_privacy_check(const struct sl_config *config, char *why, size_t why_size);
int sl_privacy_check_network(const struct sl_config *config, char *why, size_t why_size);

/* What shows only once the model's size is known: do sketches of noised vectors fit into the ring? SL_ERROR_OUT_OF_RANGE with a sentence. */
int sl_privacy_check_model(const struct sl_config *config, uint32_t dim, char *why, size_t why_size);
bool sl_sketch_fits(const struct sl_config *config, uint32_t n_block);

#endif
