/* SPDX-License-Identifier: MIT */
#include "config/plan.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/quorum.h"
#include "share/block.h"
#include "starling/error.h"

#define REFUSE(...) (snprintf(why, why_size, __VA_ARGS__), SL_ERROR_OUT_OF_RANGE)

enum sl_unit sl_unit_of(const struct sl_config *config)
{
    if (strcmp(config->privacy_unit, "record") == 0) return SL_UNIT_RECORD;
    return strcmp(config->privacy_unit, "node") == 0 ? SL_UNIT_NODE : SL_UNIT_OFF;
}

enum sl_adjacency sl_adjacency_of(const struct sl_config *config)
{
    enum sl_unit unit = sl_unit_of(config);
    if (unit == SL_UNIT_OFF) return SL_ADJACENCY_NONE;
    if (unit == SL_UNIT_RECORD) return SL_ADJACENCY_ADD_REMOVE;
    return strcmp(config->privacy_adjacency, "replace") == 0 ? SL_ADJACENCY_REPLACE : SL_ADJACENCY_ZERO_OUT;
}

struct sl_limits sl_limits_of(const struct sl_config *config)
{
    return (struct sl_limits){.eps_max = config->privacy_eps_max, .delta = config->privacy_delta, .floor_max = config->privacy_floor_max};
}

bool sl_shows_own_accuracy(const struct sl_config *config)
{
    return strcmp(config->privacy_show_own_accuracy, "yes") == 0;
}

uint32_t sl_audit_rows_of(const struct sl_config *config, uint32_t n_block)
{
    if (sl_unit_of(config) == SL_UNIT_RECORD) return SL_SKETCH_ROWS_MAX;
    return n_block >= SL_AUDIT_DIM_MIN ? SL_AUDIT_ROWS : 0;
}

static uint64_t variance(double z, uint32_t honest)
{
    return (uint64_t)ceil(ldexp(z * z, 2 * SL_SCALE_BITS) / honest);
}

struct sl_charge sl_charge_of(const struct sl_config *config, uint32_t n_block)
{
    struct sl_charge charge = {.unit = sl_unit_of(config), .adjacency = sl_adjacency_of(config)};
    if (charge.unit == SL_UNIT_OFF) return charge;

    charge.sensitivity = sl_sensitivity(charge.adjacency);
    if (charge.unit == SL_UNIT_RECORD) {
        charge.mechanism = SL_MECHANISM_POISSON;
        charge.q64 = sl_q64(config->privacy_sampling_rate);
        charge.sigma2 = variance(config->privacy_noise, 1);
        charge.steps = config->privacy_steps;
        charge.honest = 1;
        return charge;
    }
    charge.mechanism = SL_MECHANISM_COHORT;
    charge.q64 = SL_Q64_ONE;
    charge.sigma2 = variance(config->privacy_node_noise, config->privacy_honest);
    charge.steps = 1;
    charge.honest = config->privacy_honest;
    charge.audit_rows = sl_audit_rows_of(config, n_block);
    charge.dim = charge.audit_rows ? n_block : 0;
    charge.kappa = charge.audit_rows ? SL_AUDIT_KAPPA : 0;
    return charge;
}

/* ---- what must be given, and what fits together ---- */

static int want(bool is_given, const char *key, const char *advice, char *why, size_t why_size)
{
    if (is_given) return SL_OK;
    return REFUSE("%s is not set: %s", key, advice);
}

static const char planner[] = "\"starling privacy plan\" works it out from an epsilon; or set privacy.unit = off, and nothing is promised";

static int want_noise(double z, const char *key, char *why, size_t why_size)
{
    int error = want(z > 0, key, planner, why, why_size);
    if (!error && z < SL_ACCOUNTANT_NOISE_MIN) error = REFUSE("%s = %g: below %g no useful epsilon comes of it", key, z, SL_ACCOUNTANT_NOISE_MIN);
    return error;
}

static int check_record(const struct sl_config *config, char *why, size_t why_size)
{
    int error = want(config->privacy_sampling_rate > 0, "privacy.sampling_rate", planner, why, why_size);
    if (!error) error = want(config->privacy_batch > 0, "privacy.batch", planner, why, why_size);
    if (!error) error = want(config->privacy_steps > 0, "privacy.steps", planner, why, why_size);
    if (!error) error = want(config->privacy_clip >= 1e-6, "privacy.clip", "the norm to which the gradient of one record is clipped, 1 is a good start",
                             why, why_size);
    return error ? error : want_noise(config->privacy_noise, "privacy.noise", why, why_size);
}

/* Two quorums of t of c members share at least 2t - c of them. */
bool sl_cohort_suffices(const struct sl_config *config, uint32_t n_members)
{
    uint32_t t = sl_quorum_threshold(n_members), f = config->privacy_colluders, h = config->privacy_honest;
    return n_members >= config->privacy_cohort_min_size && t >= f + h && 2 * t > n_members + f;
}

static int check_cohort_of(const struct sl_config *config, uint32_t c, char *why, size_t why_size)
{
    if (sl_cohort_suffices(config, c)) return SL_OK;
    return REFUSE("a cohort of %u opens its sum when %u members are in it: with privacy.colluders = %u that leaves fewer than privacy.honest = %u, or two "
                  "sums could be opened; raise privacy.cohort_min_size, or lower one of the two", c, sl_quorum_threshold(c), config->privacy_colluders,
                  config->privacy_honest);
}

/* No sum may wrap: |U| clipped vectors and eight deviations of their noise, for every size of cohort that can be. */
static int check_ring(const struct sl_config *config, char *why, size_t why_size)
{
    double scale = ldexp(1, SL_SCALE_BITS), c = config->cohort_max_size;
    double share = config->privacy_node_noise * scale / sqrt(config->privacy_honest);
    if (c * scale + 8 * sqrt(c) * share < ldexp(1, 31)) return SL_OK;
    return REFUSE("privacy.node_noise = %g with cohorts of up to %u does not fit into 32 bits; lower it or cohort.max_size", config->privacy_node_noise,
                   config->cohort_max_size);
}

static bool is_power_of_two(double x)
{
    int exponent;
    return frexp(x, &exponent) == .5;
}

static int check_node(const struct sl_config *config, char *why, size_t why_size)
{
    int error = want(config->privacy_node_clip >= 1e-6, "privacy.node_clip", "the norm to which a node's change of the model in an epoch is clipped", why,
                     why_size);
    if (!error && !is_power_of_two(config->privacy_node_clip))
        error = REFUSE("privacy.node_clip = %g must be a power of two (0.25, 0.5, 1, 2, ...): then means are exact on every machine",
                       config->privacy_node_clip);
    if (!error) error = want_noise(config->privacy_node_noise, "privacy.node_noise", why, why_size);
    if (!error && config->ring_bits != 32)
        error = REFUSE("privacy.unit = node needs ring.bits = 32");
    if (!error && config->cohort_min_size < config->privacy_cohort_min_size)
        error = REFUSE("cohort.min_size = %u is below privacy.cohort_min_size = %u: smaller cohorts share too little noise; raise cohort.min_size",
                        config->cohort_min_size, config->privacy_cohort_min_size);
    for (uint32_t c = config->privacy_cohort_min_size; c <= config->cohort_max_size && !error; c++) error = check_cohort_of(config, c, why, why_size);
    return error ? error : check_ring(config, why, why_size);
}

int sl_privacy_check_network(const struct sl_config *config, char *why, size_t why_size)
{
    return sl_unit_of(config) == SL_UNIT_NODE ? check_node(config, why, why_size) : SL_OK;
}

static int check_adjacency(const struct sl_config *config, char *why, size_t why_size)
{
    bool is_record = sl_unit_of(config) == SL_UNIT_RECORD, is_add = strcmp(config->privacy_adjacency, "add-remove") == 0;
    if (strcmp(config->privacy_adjacency, "default") == 0 || is_record == is_add) return SL_OK;
    return REFUSE("privacy.adjacency = %s does not go with privacy.unit = %s: %s", config->privacy_adjacency,
                   config->privacy_unit, is_record ? "it must be add-remove" : "it must be zero-out or replace");
}

/* What is left: replace doubles the sensitivity, so that its noise must be twice the least. */
static int check_charge(const struct sl_config *config, char *why, size_t why_size)
{
    struct sl_charge charge = sl_charge_of(config, SL_AUDIT_DIM_MIN);
    if (sl_charge_check(&charge) == SL_OK) return SL_OK;
    return REFUSE("the noise is too small or too large for an honest epsilon: %s must be between %g and 256 sensitivities%s",
                  charge.unit == SL_UNIT_NODE ? "privacy.node_noise" : "privacy.noise", SL_ACCOUNTANT_NOISE_MIN,
                  charge.adjacency == SL_ADJACENCY_REPLACE ? " (privacy.adjacency = replace: a sensitivity is two clip norms)" : "");
}

int sl_privacy_check(const struct sl_config *config, char *why, size_t why_size)
{
    enum sl_unit unit = sl_unit_of(config);
    if (unit == SL_UNIT_OFF) return SL_OK;

    int error = want(config->privacy_dataset[0], "privacy.dataset", "a name of your choice for the data; the budget belongs to it", why, why_size);
    if (!error) error = want(config->privacy_records > 0, "privacy.records", "about how many records there are, as a round figure that anybody may know", why,
                             why_size);
    if (!error && !(config->privacy_delta * config->privacy_records < 1))
        error = REFUSE("privacy.delta = %g is not below 1 / privacy.records = 1/%u: publishing single records would count as private; lower it",
                        config->privacy_delta, config->privacy_records);
    if (!error) error = check_adjacency(config, why, why_size);
    if (!error && unit == SL_UNIT_RECORD) error = check_record(config, why, why_size);
    return error ? error : check_charge(config, why, why_size);
}

/* A row of a sketch has the variance of half the vector's energy; 5.5 deviations of it must not reach half the ring. */
bool sl_sketch_fits(const struct sl_config *config, uint32_t n_block)
{
    struct sl_charge charge = sl_charge_of(config, n_block);
    if (charge.audit_rows == 0) return true;
    return 5.5 * sqrt((ldexp(1, 2 * SL_SCALE_BITS) + n_block * (double)charge.sigma2) / 2) < ldexp(1, 31);
}

int sl_privacy_check_model(const struct sl_config *config, uint32_t dim, char *why, size_t why_size)
{
    if (!why) why_size = 0;

    uint32_t n_block = sl_block_size(config->block_size, dim);
    if (sl_sketch_fits(config, n_block)) return SL_OK;
    return REFUSE("privacy.node_noise = %g shared by %u does not fit into the audit of %u coordinates; lower it, raise privacy.honest, or set a block.size",
                  config->privacy_node_noise, config->privacy_honest, n_block);
}
