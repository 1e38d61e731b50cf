/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "config/plan.h"
#include "starling/error.h"

struct setting { const char *key, *value; };

static const struct setting record[] = {{"privacy.unit", "record"}, {"privacy.dataset", "ward 7"}, {"privacy.records", "600"}, {"privacy.sampling_rate", "0.2"},
                                        {"privacy.batch", "120"}, {"privacy.steps", "5"}, {"privacy.clip", "1"}, {"privacy.noise", "3.84"}, {0}};
static const struct setting node[] = {{"privacy.unit", "node"}, {"privacy.dataset", "ward 7"}, {"privacy.records", "600"}, {"privacy.node_clip", "2"},
                                      {"privacy.node_noise", "4"}, {"cohort.max_size", "16"}, {"cohort.size", "12"}, {"cohort.min_size", "10"}, {0}};

static struct sl_config make(const struct setting *settings)
{
    struct sl_config config;
    char why[256] = "";
    sl_config_init(&config);
    for (; settings->key; settings++) cr_assert_eq(sl_config_set(&config, settings->key, settings->value, why, sizeof why), SL_OK, "%s", why);
    return config;
}

static void passes(const struct sl_config *config)
{
    char why[512] = "";
    cr_assert_eq(sl_config_check(config, why, sizeof why), SL_OK, "%s", why);
}

/* The good settings with one of them changed must be refused by a sentence that holds `part`. */
static void refuses(const struct setting *good, const char *key, const char *value, const char *part)
{
    struct sl_config config = make(good);
    char why[512] = "";
    cr_assert_eq(sl_config_set(&config, key, value, why, sizeof why), SL_OK, "%s", why);

    cr_assert_eq(sl_config_check(&config, why, sizeof why), SL_ERROR_OUT_OF_RANGE, "%s = %s passed", key, value);
    cr_assert_not_null(strstr(why, part), "'%s' does not speak of '%s'", why, part);
    cr_assert_eq(sl_config_check(&config, NULL, 0), SL_ERROR_OUT_OF_RANGE);
}

Test(plan, with_unit_record_everything_that_a_charge_needs_must_be_given)
{
    struct sl_config config = make(record);
    passes(&config);

    refuses(record, "privacy.dataset", "", "privacy.dataset is not set");
    refuses(record, "privacy.records", "0", "privacy.records is not set");
    refuses(record, "privacy.sampling_rate", "0", "privacy.sampling_rate is not set");
    refuses(record, "privacy.batch", "0", "privacy.batch is not set");
    refuses(record, "privacy.steps", "0", "privacy.steps is not set");
    refuses(record, "privacy.clip", "0", "privacy.clip is not set");
    refuses(record, "privacy.noise", "0", "starling privacy plan");
    refuses(record, "privacy.noise", "0.29", "below 0.3");
    refuses(record, "privacy.adjacency", "zero-out", "must be add-remove");
    refuses(record, "privacy.adjacency", "replace", "must be add-remove");
}

Test(plan, delta_must_be_below_one_over_the_number_of_records)
{
    refuses(record, "privacy.records", "100000", "is not below 1 / privacy.records");
    refuses(record, "privacy.delta", "0.002", "is not below 1 / privacy.records");

    struct sl_config config = make(record);
    sl_config_set(&config, "privacy.records", "99999", NULL, 0);
    passes(&config);
    config.privacy_delta = NAN;
    cr_assert_eq(sl_config_check(&config, NULL, 0), SL_ERROR_OUT_OF_RANGE);
}

Test(plan, with_unit_off_nothing_of_it_is_asked_for)
{
    struct sl_config config = make((const struct setting[]){{"privacy.unit", "off"}, {0}});
    passes(&config);
    struct sl_charge charge = sl_charge_of(&config, 7850), zero = {0};
    cr_assert_arr_eq(&charge, &zero, sizeof charge);
}

Test(plan, with_unit_node_cohorts_must_be_large_enough_for_the_noise_that_members_count_on)
{
    struct sl_config config = make(node);
    passes(&config);

    refuses(node, "privacy.node_clip", "0", "privacy.node_clip is not set");
    refuses(node, "privacy.node_clip", "1.5", "must be a power of two");
    refuses(node, "privacy.node_noise", "0", "privacy.node_noise is not set");
    refuses(node, "ring.bits", "16", "ring.bits = 32");
    refuses(node, "cohort.min_size", "9", "privacy.cohort_min_size = 10");
    refuses(node, "privacy.honest", "6", "fewer than privacy.honest = 6");           /* t(10) = 8, and 8 - 3 is 5 */
    refuses(node, "privacy.colluders", "6", "two sums could be opened");             /* 2 * 8 - 10 = 6 is not above 6 */
    refuses(node, "privacy.adjacency", "add-remove", "zero-out or replace");
}

Test(plan, where_all_data_may_differ_the_least_noise_is_twice_as_much)
{
    struct sl_config config = make(node);
    sl_config_set(&config, "privacy.node_noise", "0.5", NULL, 0);
    passes(&config);
    config = make(node);
    sl_config_set(&config, "privacy.adjacency", "replace", NULL, 0);
    passes(&config);
    sl_config_set(&config, "privacy.node_noise", "0.5", NULL, 0);
    cr_assert_eq(sl_config_check(&config, NULL, 0), SL_ERROR_OUT_OF_RANGE);
}

/* At a share of 256 / sqrt(1) deviations of 2^20 the sum of 64 members needs 64 2^20 + 8 * 8 * 2^28, more than 2^31. */
Test(plan, a_sum_that_could_leave_the_ring_is_refused)
{
    refuses(node, "privacy.node_noise", "256", "does not fit into 32 bits");
    struct sl_config config = make(node);
    sl_config_set(&config, "privacy.node_noise", "100", NULL, 0);                    /* 16 2^20 + 8 * 4 * 45 2^20 is below 2^31 */
    passes(&config);
}

/* A share of 12 / sqrt(5) = 5.4 clip norms: 5.5 deviations of a row over k coordinates reach half the ring at about k = 9,600. */
Test(plan, noise_that_overflows_the_audit_of_a_large_block_is_refused_once_the_model_is_known)
{
    struct sl_config config = make(node);
    char why[512] = "";
    sl_config_set(&config, "privacy.node_noise", "12", NULL, 0);
    passes(&config);
    cr_assert_eq(sl_privacy_check_model(&config, 7850, why, sizeof why), SL_OK, "%s", why);
    cr_assert_eq(sl_privacy_check_model(&config, 50890, why, sizeof why), SL_ERROR_OUT_OF_RANGE);
    cr_assert_not_null(strstr(why, "block.size"), "%s", why);

    sl_config_set(&config, "block.size", "5000", NULL, 0);
    cr_assert_eq(sl_privacy_check_model(&config, 50890, why, sizeof why), SL_OK, "%s", why);
}

Test(plan, a_charge_of_unit_record_holds_the_numbers_of_the_mechanism)
{
    struct sl_config config = make(record);
    struct sl_charge charge = sl_charge_of(&config, 7850);
    cr_assert_eq(charge.unit, SL_UNIT_RECORD);
    cr_assert_eq(charge.adjacency, SL_ADJACENCY_ADD_REMOVE);
    cr_assert_eq(charge.mechanism, SL_MECHANISM_POISSON);
    cr_assert_eq(charge.steps, 5);
    cr_assert_eq(charge.sensitivity, 1u << 20);
    cr_assert_eq(charge.sigma2, (uint64_t)ceil(3.84 * 3.84 * 1099511627776.0));
    cr_assert_eq(charge.q64, UINT64_C(3689348814741910528), "0.2 as a double, in units of 2^-64");
    cr_assert_eq(charge.honest, 1);
    cr_assert_eq(charge.audit_rows, 0, "the audit of record mode costs nothing");
    cr_assert_eq(sl_q_of(charge.q64), .2, "every double below 1 is exact");
    cr_assert_eq(sl_q64(1), SL_Q64_ONE);
    cr_assert_eq(sl_q_of(SL_Q64_ONE), 1);
}

Test(plan, a_charge_of_unit_node_holds_its_share_of_the_noise_and_the_audit)
{
    struct sl_config config = make(node);
    struct sl_charge charge = sl_charge_of(&config, 7850), small = sl_charge_of(&config, 4095);
    cr_assert_eq(charge.mechanism, SL_MECHANISM_COHORT);
    cr_assert_eq(charge.adjacency, SL_ADJACENCY_ZERO_OUT);
    cr_assert_eq(charge.sigma2, (uint64_t)ceil(16 * 1099511627776.0 / 5), "a fifth of the variance, rounded up");
    cr_assert_eq(charge.q64, SL_Q64_ONE);
    cr_assert_eq(charge.steps, 1);
    cr_assert_eq(charge.honest, 5);
    cr_assert(charge.audit_rows == SL_AUDIT_ROWS && charge.dim == 7850 && charge.kappa == SL_AUDIT_KAPPA);
    cr_assert(small.audit_rows == 0 && small.dim == 0 && small.kappa == 0, "too small for an audit");

    sl_config_set(&config, "privacy.adjacency", "replace", NULL, 0);
    charge = sl_charge_of(&config, 7850);
    cr_assert_eq(charge.sensitivity, 1u << 21);
    cr_assert_eq(charge.adjacency, SL_ADJACENCY_REPLACE);
}

Test(plan, record_mode_can_afford_long_audits)
{
    struct sl_config config = make(record), other = make(node);
    cr_assert_eq(sl_audit_rows_of(&config, 100), SL_SKETCH_ROWS_MAX);
    cr_assert_eq(sl_audit_rows_of(&other, SL_AUDIT_DIM_MIN), SL_AUDIT_ROWS);
    cr_assert_eq(sl_audit_rows_of(&other, SL_AUDIT_DIM_MIN - 1), 0);
}
