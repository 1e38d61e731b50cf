/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "../../tools/cli_plan_record.h"
#include "config/plan.h"
#include "starling/error.h"

static struct cli_plan_record plan_of(uint64_t records, uint32_t dim, uint64_t epochs, double epsilon)
{
    struct cli_plan_record plan = {.records = records, .dim = dim, .epochs = epochs, .epsilon = epsilon, .delta = fmin(1e-5, .5 / (double)records)};
    char why[CLI_PLAN_WHY_SIZE] = "";
    cr_assert_eq(cli_plan_record(&plan, why), SL_OK, "%s", why);
    return plan;
}

/* The settings of a node that takes a plan over, as far as its own check and its budget are concerned. */
static struct sl_config config_of(const struct cli_plan_record *plan)
{
    struct sl_config config;
    sl_config_init(&config);
    strcpy(config.privacy_unit, "record");
    strcpy(config.privacy_dataset, "ward 7");
    config.privacy_records = (uint32_t)plan->records;
    config.privacy_sampling_rate = plan->sampling_rate;
    config.privacy_batch = plan->batch;
    config.privacy_steps = plan->steps;
    config.privacy_clip = plan->clip;
    config.privacy_noise = plan->noise;
    config.privacy_eps_max = plan->epsilon;
    config.privacy_delta = plan->delta;
    return config;
}

Test(cli_plan_record, a_node_with_the_planned_settings_starts_and_has_room_for_just_so_many_epochs)
{
    static const struct { uint64_t records; uint32_t dim; uint64_t epochs; double epsilon; } wanted[] = {
        {600, 7850, 30, 3}, {600, 7850, 300, 8}, {6000, 50890, 50, 1}, {60000, 7850, 100, 8}, {47, 50, 20, 8}, {3, 10, 5, 8}, {4000000, 101770, 1000, 2}};
    for (uint32_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct cli_plan_record plan = plan_of(wanted[i].records, wanted[i].dim, wanted[i].epochs, wanted[i].epsilon);
        struct sl_config config = config_of(&plan);
        struct sl_charge charge = sl_charge_of(&config, plan.dim);
        struct sl_limits limits = sl_limits_of(&config);
        struct sl_budget budget;
        char why[512] = "";

        cr_assert_eq(sl_privacy_check(&config, why, sizeof why), SL_OK, "%s", why);
        cr_assert_eq(sl_charge_check(&charge), SL_OK);
        sl_budget_init(&budget);
        for (uint64_t n = 0; n < plan.epochs; n++) {
            cr_assert_gt(sl_budget_rounds_left(&budget, &charge, &limits), 0, "plan %u, epoch %llu", i, (unsigned long long)n);
            sl_budget_add(&budget, &charge);
        }
        bool is_least = plan.noise == SL_ACCOUNTANT_NOISE_MIN;
        cr_assert(is_least || sl_budget_rounds_left(&budget, &charge, &limits) <= plan.epochs / 1000, "plan %u leaves much unused", i);
        cr_assert(fabs(sl_budget_epsilon(&budget, plan.delta) - plan.after) < 1e-6);
        cr_assert_leq(plan.after, plan.epsilon);
    }
}

Test(cli_plan_record, more_records_mean_larger_batches_that_are_a_smaller_part_of_them)
{
    struct cli_plan_record small = plan_of(600, 7850, 30, 3), middle = plan_of(6000, 7850, 30, 3), large = plan_of(60000, 7850, 30, 3);
    cr_assert_eq(small.batch, 120);
    cr_assert_eq(small.sampling_rate, .2);
    cr_assert(small.batch < middle.batch && middle.batch < large.batch);
    cr_assert(small.sampling_rate > middle.sampling_rate && middle.sampling_rate > large.sampling_rate);
    cr_assert(small.noise / small.batch > large.noise / large.batch, "and less noise in the mean");
    cr_assert_eq(large.clip, 1);
    cr_assert_str_empty(small.doubt);
}

Test(cli_plan_record, an_epoch_stays_cheap_whatever_the_model_and_the_data)
{
    for (uint64_t records = 1; records < UINT32_MAX / 30; records *= 30)
        for (uint32_t dim = 1; dim < 10000000; dim *= 10) {
            struct cli_plan_record plan = plan_of(records, dim, 40, 8);
            cr_assert(plan.epoch_cpu_s <= .3001, "%llu records, %u weights: %g s", (unsigned long long)records, dim, plan.epoch_cpu_s);
            cr_assert(plan.steps >= 1 && plan.steps <= 10 && plan.batch >= 1 && plan.batch <= records);
            cr_assert(plan.sampling_rate > 0 && plan.sampling_rate <= 1);
        }
}

Test(cli_plan_record, few_records_under_much_noise_are_worth_a_word)
{
    struct cli_plan_record plan = plan_of(30, 7850, 100, 1);
    cr_assert_not_null(strstr(plan.doubt, "expect a poor model"));
}

Test(cli_plan_record, what_cannot_be_reached_is_refused_in_words)
{
    struct cli_plan_record plan = {.records = 600, .dim = 7850, .epochs = 1000000, .epsilon = .001, .delta = 1e-5};
    char why[CLI_PLAN_WHY_SIZE] = "";
    cr_assert_eq(cli_plan_record(&plan, why), SL_ERROR_OUT_OF_RANGE);
    cr_assert_not_null(strstr(why, "more noise than the 256"), "%s", why);

    plan = (struct cli_plan_record){.records = 600, .dim = 7850, .epochs = 10, .epsilon = 1, .delta = .002};
    cr_assert_eq(cli_plan_record(&plan, why), SL_ERROR_OUT_OF_RANGE);
    cr_assert_not_null(strstr(why, "below 1 / 600"), "%s", why);

    const struct cli_plan_record bad[] = {{0}, {.records = 600, .dim = 1, .epochs = 1, .epsilon = NAN, .delta = 1e-5},
                                          {.records = 600, .dim = 1, .epochs = 1, .epsilon = -1, .delta = 1e-5},
                                          {.records = 600, .dim = 1, .epochs = 1, .epsilon = 1, .delta = NAN},
                                          {.records = 600, .dim = 1, .epochs = 0, .epsilon = 1, .delta = 1e-5},
                                          {.records = 600, .dim = 0, .epochs = 1, .epsilon = 1, .delta = 1e-5}};
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        plan = bad[i];
        cr_assert_eq(cli_plan_record(&plan, why), SL_ERROR_OUT_OF_RANGE, "%u", i);
    }
}
