/* SPDX-License-Identifier: MIT */
/* The private rounds of a node: in which order it stores, trains and shares, and what a crash between two of these leaves. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/plan.h"
#include "forge.h"
#include "starling/error.h"

enum { DIM = 16, PUPPETS = 5 };

static struct stage *stage;
static struct forged *forged;

/* noise 2 at rate .1, ten steps: a few hundred rounds until epsilon 8. */
static void open_stage_with(const char *setting)
{
    stage = stage_new(&(struct stage_options){
        .n_puppets = PUPPETS, .seed = 1,
        .settings = {"privacy.unit=record", "privacy.dataset=letters", "privacy.records=1000", "privacy.sampling_rate=.1", "privacy.batch=100",
                     "privacy.steps=10", "privacy.clip=1", "privacy.noise=2", setting}});
}

static void open_stage(void)
{
    open_stage_with(NULL);
}

static void drop_stage(void)
{
    forge_destroy(&forged);
    stage_destroy(&stage);
}

TestSuite(core_budget, .init = open_stage, .fini = drop_stage);

/* ---- what is on disk ---- */

static struct sl_ledger read_ledger(void)
{
    struct sl_ledger ledger;
    uint8_t key[32];
    size_t whole;
    sl_ledger_key(stage->self.sign_secret, key);
    sl_ledger_init(&ledger, key);
    cr_assert_eq(sl_ledger_read(&ledger, stage->ledger, stage->ledger_size, &whole), SL_OK);
    cr_assert_eq(whole, stage->ledger_size);
    return ledger;
}

static enum sl_ledger_type record_type(const uint8_t *record)
{
    return (enum sl_ledger_type)record[6];
}

static void is_asked(enum sl_store_type store, enum sl_ledger_type type)
{
    cr_assert_neq(stage->round_store.ticket, 0, "no store is asked for");
    cr_assert_eq(stage->round_store.type, store);
    if (store == SL_STORE_APPEND_LEDGER) cr_assert_eq(record_type(stage->round_store.data), type);
}

static const float *kept_weights(void)
{
    return (const float *)(const void *)(stage->kept + SL_RELEASE_HEAD);
}

static bool has(const float *weights, const float *wanted)
{
    return memcmp(weights, wanted, DIM * sizeof *weights) == 0;
}

static bool is_wiped(const float *weights)
{
    static const float nothing[DIM];
    return has(weights, nothing);
}

static struct sl_privacy_status privacy(void)
{
    return stage_status(stage).privacy;
}

/* Goes to the next epoch, in which a round begins, and answers its stores and its job as far as `n_answers`: CHARGE, job, file, RELEASE. */
static void run_round(uint32_t n_answers)
{
    stage->holds_rounds = stage->holds_jobs = true;
    stage_next_epoch(stage);
    if (n_answers > 0) stage_finish_round(stage, SL_OK);
    if (n_answers > 1) stage_finish_job(stage, SL_OK);
    if (n_answers > 2) stage_finish_round(stage, SL_OK);
    if (n_answers > 3) stage_finish_round(stage, SL_OK);
    stage->holds_rounds = stage->holds_jobs = false;
}

/* The process dies with what is on disk, and a new one starts. */
static void die_and_restart(void)
{
    stage->holds_rounds = stage->holds_jobs = false;
    stage_restart(stage);
}

/* ---- the order of a round ---- */

Test(core_budget, opens_its_ledger_when_it_starts)
{
    stage_start(stage);

    struct sl_ledger ledger = read_ledger();
    uint8_t dataset[16];
    sl_ledger_dataset("letters", dataset);
    cr_assert_eq(ledger.n_records, 1);
    cr_assert_eq(ledger.unit, SL_UNIT_RECORD);
    cr_assert_eq(ledger.adjacency, SL_ADJACENCY_ADD_REMOVE);
    cr_assert_arr_eq(ledger.dataset, dataset, 16);
    cr_assert_eq(ledger.eps_max, 8);
    cr_assert_eq(ledger.delta, 1e-5);
    cr_assert_eq(stage->n_jobs, 0, "nothing is trained in the epoch of the start");
}

Test(core_budget, stores_charge_then_trains_then_keeps_the_output_then_stores_its_release_and_only_then_has_a_result)
{
    stage_start(stage);
    stage->holds_rounds = stage->holds_jobs = true;
    stage_next_epoch(stage);

    is_asked(SL_STORE_APPEND_LEDGER, SL_LEDGER_CHARGE);
    cr_assert_eq(stage->n_jobs, 0, "no job before its charge is durable");

    stage_finish_round(stage, SL_OK);
    cr_assert_eq(stage->n_jobs, 1);
    cr_assert_eq(stage->round_store.ticket, 0);
    struct sl_charge charge = sl_charge_of(&stage->config, DIM);
    cr_assert_eq(stage->job.round.q64, charge.q64);
    cr_assert_eq(stage->job.round.sigma2, charge.sigma2);
    cr_assert_eq(stage->job.round.steps, 10);
    cr_assert_eq(stage->job.epoch, stage_epoch(stage));
    cr_assert(sl_hash_is_zero(stage->job.noise_key), "the driver makes the key");

    stage_finish_job(stage, SL_OK);
    is_asked(SL_STORE_PUT_RELEASE, 0);
    cr_assert_not(stage->node->trained);

    stage_finish_round(stage, SL_OK);
    is_asked(SL_STORE_APPEND_LEDGER, SL_LEDGER_RELEASE);
    cr_assert_not(stage->node->trained);

    stage_finish_round(stage, SL_OK);
    cr_assert(stage->node->trained);
    cr_assert(has(stage->node->work, kept_weights()));

    uint8_t hash[32];
    struct sl_ledger ledger = read_ledger();
    sl_release_hash(stage->kept, stage->kept_size, hash);
    cr_assert_eq(ledger.n_charges, 1);
    cr_assert(ledger.is_released);
    cr_assert_arr_eq(ledger.release, hash, 32, "the ledger names the file");
    cr_assert_eq(ledger.charge.round, stage_epoch(stage));
}

Test(core_budget, charges_only_when_its_state_is_durable_and_it_may_act)
{
    stage_start(stage);
    stage->holds_stores = stage->holds_rounds = true;
    stage_next_epoch(stage);
    cr_assert_eq(stage->round_store.ticket, 0);

    stage_finish_store(stage, SL_ERROR_NO_SPACE);
    stage_to_phase(stage, .9);

    cr_assert_eq(stage->round_store.ticket, 0, "an epoch that it sits out costs nothing");
    cr_assert_eq(read_ledger().n_charges, 0);
}

/* What it would share of its result when a cohort has formed. */
static void join_cohort(void)
{
    stage_connect_all(stage);
    forged = forge_new(stage, 0, (const uint32_t[]){PUPPET_SELF, 0, 1, 2}, 4);
    forge_seal_propose(forged);
    forge_say_propose(forged);
}

Test(core_budget, takes_part_in_forming_cohorts_while_its_round_is_under_way)
{
    stage_start(stage);
    stage->holds_rounds = stage->holds_jobs = true;
    stage_next_epoch(stage);
    join_cohort();
    stage_to_phase(stage, .1);

    cr_assert_gt(stage_count(stage, SL_MESSAGE_JOIN) + stage_count(stage, SL_MESSAGE_PROPOSE), 0);
}

/* ---- what fails ---- */

Test(core_budget, does_not_train_when_its_charge_cannot_be_stored_and_tries_again_in_the_next_epoch)
{
    stage_start(stage);
    stage->fails_rounds = true;
    stage_next_epoch(stage);

    cr_assert_eq(stage->n_jobs, 0);
    cr_assert_eq(stage->told[SL_TRACE_LEDGER_FAILED].n, 1);
    cr_assert_eq(privacy().rounds_charged, 0);

    stage->fails_rounds = false;
    stage_next_epoch(stage);
    cr_assert_eq(stage->n_jobs, 1);
    cr_assert_eq(read_ledger().n_charges, 1);
}

Test(core_budget, has_no_result_when_its_output_cannot_be_kept_and_the_charge_stays)
{
    stage_start(stage);
    run_round(2);
    stage->holds_rounds = true;
    stage_finish_round(stage, SL_ERROR_NO_SPACE);

    cr_assert_not(stage->node->trained);
    cr_assert_eq(stage->round_store.ticket, 0, "no release without an output on disk");
    cr_assert(is_wiped(stage->node->work));
    cr_assert_eq(stage->told[SL_TRACE_ROUND_LOST].n, 1);
    cr_assert_eq(privacy().rounds_charged, 1);
    cr_assert_eq(privacy().rounds_released, 0);
}

Test(core_budget, has_no_result_when_its_release_cannot_be_stored_and_the_charge_stays)
{
    stage_start(stage);
    run_round(3);
    stage->holds_rounds = true;
    stage_finish_round(stage, SL_ERROR_IO);

    cr_assert_not(stage->node->trained);
    cr_assert(is_wiped(stage->node->work));
    cr_assert_eq(privacy().rounds_charged, 1);
    cr_assert_eq(privacy().rounds_released, 0);
}

Test(core_budget, has_no_result_when_training_fails_and_the_charge_stays)
{
    stage_start(stage);
    run_round(1);
    stage_finish_job(stage, SL_ERROR_RNG);

    cr_assert_not(stage->node->trained);
    cr_assert(is_wiped(stage->node->work));
    cr_assert_eq(stage->told[SL_TRACE_ROUND_LOST].last.error, SL_ERROR_RNG);
    cr_assert_eq(privacy().rounds_charged, 1);

    stage_next_epoch(stage);
    cr_assert_eq(stage->n_jobs, 2, "the next epoch is another round");
    cr_assert_eq(privacy().rounds_charged, 2);
}

Test(core_budget, drops_an_output_that_comes_after_its_epoch)
{
    stage_start(stage);
    run_round(1);
    stage->holds_jobs = true;
    stage_next_epoch(stage);
    cr_assert_eq(read_ledger().n_charges, 1, "while a job runs nothing new is charged");

    stage_finish_job(stage, SL_OK);
    cr_assert_eq(stage->kept_size, 0);
    cr_assert(is_wiped(stage->node->work));
    cr_assert_eq(stage->told[SL_TRACE_ROUND_LATE].n, 1);

    stage->holds_jobs = false;
    stage_next_epoch(stage);
    cr_assert_eq(read_ledger().n_charges, 2);
    cr_assert(stage->node->trained);
}

Test(core_budget, begins_its_round_late_when_the_store_of_the_last_one_took_until_then)
{
    stage_start(stage);
    run_round(3);
    stage->holds_rounds = stage->holds_jobs = true;
    stage_next_epoch(stage);
    is_asked(SL_STORE_APPEND_LEDGER, SL_LEDGER_RELEASE);

    stage_finish_round(stage, SL_OK);
    cr_assert_not(stage->node->trained, "what was released belongs to the epoch before");
    is_asked(SL_STORE_APPEND_LEDGER, SL_LEDGER_CHARGE);
    cr_assert(read_ledger().is_released);
}

/* Sixteen bytes of an output, anywhere in the memory of the node? */
static bool is_remembered(const uint8_t trace[16])
{
    const uint8_t *memory = stage->memory;
    size_t size = sl_node_size(&stage->config, &sl_model_stub);
    for (size_t at = 0; at + 16 <= size; at++)
        if (memory[at] == trace[0] && memcmp(memory + at, trace, 16) == 0) return true;
    return false;
}

Test(core_budget, forgets_an_output_that_was_not_released)
{
    uint8_t trace[16];
    stage_start(stage);
    run_round(2);
    memcpy(trace, stage->node->work, sizeof trace);
    cr_assert(is_remembered(trace), "or this test finds nothing");

    stage->holds_rounds = true;
    stage_finish_round(stage, SL_ERROR_NO_SPACE);
    cr_assert_not(is_remembered(trace));
}

Test(core_budget, forgets_the_output_of_a_job_that_ends_after_its_epoch)
{
    uint8_t trace[16];
    stage_start(stage);
    run_round(1);
    stage->holds_jobs = true;
    stage_next_epoch(stage);
    for (int j = 0; j < DIM; j++) stage->job.weights[j] = 1234.5f + (float)j;         /* what a trainer left there */
    memcpy(trace, stage->job.weights, sizeof trace);
    struct sl_event event = {.type = SL_EVENT_DONE, .done = {.number = stage->job.number}};
    stage_step(stage, &event);

    cr_assert_not(is_remembered(trace));
}

/* ---- limits ---- */

Test(core_budget_limits, stops_before_its_limit_and_goes_on_merging, .fini = drop_stage)
{
    open_stage_with("privacy.eps_max=1.5");
    struct sl_budget fresh;
    struct sl_charge charge = sl_charge_of(&stage->config, DIM);
    struct sl_limits limits = sl_limits_of(&stage->config);
    sl_budget_init(&fresh);
    uint64_t n_wanted = sl_budget_rounds_left(&fresh, &charge, &limits);
    cr_assert(n_wanted > 1 && n_wanted < 40, "choose another limit: %d", (int)n_wanted);

    stage_start(stage);
    for (uint64_t i = 0; i < n_wanted + 3; i++) stage_next_epoch(stage);

    cr_assert_eq(read_ledger().n_charges, n_wanted);
    cr_assert_eq(stage->n_jobs, n_wanted);
    cr_assert_eq(stage->told[SL_TRACE_BUDGET_SPENT].n, 1);
    cr_assert(privacy().is_spent);
    cr_assert_eq(privacy().rounds_left, 0);
    cr_assert_leq(privacy().epsilon, 1.5);

    stage_next_epoch(stage);
    stage_forget(stage);
    join_cohort();
    stage_to_phase(stage, .98);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_JOIN) + stage_count(stage, SL_MESSAGE_PROPOSE), 0, "it has nothing new to share");
    cr_assert_eq(stage->told[SL_TRACE_MERGED].n + stage->told[SL_TRACE_NOT_MERGED].n, 1, "it merges what others share");
}

Test(core_budget, says_what_the_accountant_says)
{
    stage_start(stage);
    struct sl_budget budget;
    struct sl_charge charge = sl_charge_of(&stage->config, DIM);
    struct sl_limits limits = sl_limits_of(&stage->config);
    sl_budget_init(&budget);
    for (int i = 0; i < 3; i++) {
        stage_next_epoch(stage);
        sl_budget_add(&budget, &charge);
        cr_assert_float_eq(privacy().epsilon, sl_budget_epsilon(&budget, 1e-5), 1e-12);
        cr_assert_eq(privacy().rounds_left, sl_budget_rounds_left(&budget, &charge, &limits));
        cr_assert_eq(privacy().rounds_charged, (uint64_t)i + 1);
        cr_assert_eq(privacy().rounds_released, (uint64_t)i + 1);
    }
    cr_assert_eq(privacy().unit, SL_UNIT_RECORD);
    cr_assert_eq(privacy().epsilon_floor, privacy().epsilon);
    cr_assert_eq(privacy().audit_factor, 1);
    cr_assert_eq(privacy().sigma2, charge.sigma2);
    cr_assert_eq(privacy().ledger_records, 7);
}

Test(core_budget, tells_nothing_that_its_trainer_measured_on_private_data)
{
    stage_start(stage);
    run_round(1);
    struct sl_job_result said = {.number = stage->job.number, .n_steps = 10, .n_rows = 987, .loss = .123, .own = {.loss = 4, .n_rows = 98}};
    struct sl_event event = {.type = SL_EVENT_DONE, .done = said};
    stage_step(stage, &event);

    struct sl_status status = stage_status(stage);
    cr_assert_eq(status.last_job.loss, 0);
    cr_assert_eq(status.last_job.n_rows, 1000, "the public figure");
    cr_assert_eq(status.last_job.own.loss, 0);
    cr_assert_eq(status.last_job.own.n_rows, 0);
}

Test(core_budget, stores_lower_limits_before_its_next_charge)
{
    stage_start(stage);
    stage_next_epoch(stage);
    sl_config_set(&stage->config, "privacy.eps_max", "3", NULL, 0);
    stage->holds_rounds = true;
    stage_restart(stage);
    cr_assert_eq(stage->round_store.ticket != 0, true);
    stage->holds_rounds = true;
    die_and_restart();

    struct sl_ledger ledger = read_ledger();
    cr_assert_eq(ledger.eps_max, 3);
    cr_assert_eq(ledger.delta, 1e-5);
    cr_assert_eq(record_type(stage->ledger + stage->ledger_size - SL_LEDGER_RECORD), SL_LEDGER_LOWER);
    cr_assert_eq(privacy().eps_max, 3);
    cr_assert_not(privacy().is_blocked);
}

static void is_blocked(void)
{
    size_t size = stage->ledger_size;
    uint32_t n_jobs = stage->n_jobs;
    cr_assert(privacy().is_blocked);
    cr_assert_eq(stage->told[SL_TRACE_LEDGER_BLOCKED].n, 1);
    for (int i = 0; i < 3; i++) stage_next_epoch(stage);

    cr_assert_eq(stage->n_jobs, n_jobs, "no training");
    cr_assert_eq(stage->ledger_size, size, "a ledger that is not trusted is not written to");
    cr_assert_gt(strlen(budget_reason(stage->node)), 0);
}

Test(core_budget, does_not_train_when_its_limits_were_raised)
{
    stage_start(stage);
    stage_next_epoch(stage);
    sl_config_set(&stage->config, "privacy.eps_max", "9", NULL, 0);
    stage_restart(stage);
    is_blocked();
}

Test(core_budget, does_not_train_on_a_data_set_that_the_ledger_does_not_name)
{
    stage_start(stage);
    stage_next_epoch(stage);
    sl_config_set(&stage->config, "privacy.dataset", "digits", NULL, 0);
    stage_restart(stage);
    is_blocked();
}

Test(core_budget, does_not_train_when_a_bit_of_its_ledger_has_changed)
{
    stage_start(stage);
    stage_next_epoch(stage);
    stage->ledger[SL_LEDGER_RECORD + 72] ^= 1;
    stage_restart(stage);
    is_blocked();
}

Test(core_budget, ends_the_round_under_way_wherever_it_is_when_its_ledger_turns_out_to_be_old)
{
    for (uint32_t n_answers = 0; n_answers < 4; n_answers++) {
        stage_reset(stage);
        stage_start(stage);
        run_round(n_answers);
        stage->holds_rounds = stage->holds_jobs = true;
        uint32_t n_jobs = stage->n_jobs;
        budget_block(stage->node, "a test says so", SL_ERROR_DAMAGED);
        if (stage->round_store.ticket) stage_finish_round(stage, SL_OK);
        else stage_finish_job(stage, SL_OK);

        cr_assert_not(stage->node->trained, "after %u answers", n_answers);
        cr_assert_eq(stage->n_jobs, n_jobs);
        cr_assert_eq(stage->round_store.ticket, 0, "nothing more is stored");
        cr_assert(is_wiped(stage->node->work));
        cr_assert_str_eq(stage_status(stage).reason, "a test says so");
    }
}

/* ---- after a crash ---- */

Test(core_budget, keeps_the_charge_of_a_round_whose_output_never_reached_the_disk_and_draws_anew)
{
    stage_start(stage);
    run_round(4);
    uint8_t seed[32], first[32];
    memcpy(first, read_ledger().release, 32);
    run_round(1);
    memcpy(seed, stage->job.seed, 32);
    die_and_restart();

    cr_assert_eq(privacy().rounds_charged, 2);
    cr_assert_eq(privacy().rounds_released, 1);
    cr_assert_eq(read_ledger().n_records, 4, "OPEN, CHARGE, RELEASE, CHARGE: nothing is added for what is lost");
    uint32_t n_jobs = stage->n_jobs;
    stage_to_phase(stage, .99);
    cr_assert_eq(stage->n_jobs, n_jobs, "nothing more in this epoch");

    stage_next_epoch(stage);
    cr_assert_eq(privacy().rounds_charged, 3);
    cr_assert_arr_neq(stage->job.seed, seed, 32);
    cr_assert_arr_neq(read_ledger().release, first, 32);
}

Test(core_budget, releases_what_was_kept_on_disk_before_the_crash_and_goes_on_from_it)
{
    stage_start(stage);
    run_round(3);
    float output[DIM];
    memcpy(output, kept_weights(), sizeof output);
    stage->holds_rounds = true;
    stage_restart(stage);

    is_asked(SL_STORE_APPEND_LEDGER, SL_LEDGER_RELEASE);
    stage_finish_round(stage, SL_OK);
    uint8_t hash[32];
    sl_release_hash(stage->kept, stage->kept_size, hash);
    cr_assert_arr_eq(read_ledger().release, hash, 32, "of the bytes that are there: nothing is noised again");
    cr_assert(has(sl_node_weights(stage->node), output));
    cr_assert_not(stage->node->trained, "it shares nothing in the epoch of its start");
    cr_assert_eq(privacy().rounds_charged, 1);
}

Test(core_budget, charges_nothing_before_the_missing_release_is_written)
{
    stage_start(stage);
    run_round(3);
    stage->fails_rounds = true;
    stage_restart(stage);
    stage->fails_rounds = false;
    cr_assert_not(read_ledger().is_released);

    stage->holds_rounds = true;
    stage_next_epoch(stage);
    is_asked(SL_STORE_APPEND_LEDGER, SL_LEDGER_RELEASE);
    stage_finish_round(stage, SL_OK);
    is_asked(SL_STORE_APPEND_LEDGER, SL_LEDGER_CHARGE);
}

Test(core_budget, goes_on_from_an_output_that_was_released_before_the_crash)
{
    stage_start(stage);
    run_round(4);
    float output[DIM];
    memcpy(output, kept_weights(), sizeof output);
    size_t size = stage->ledger_size;
    die_and_restart();

    cr_assert(has(sl_node_weights(stage->node), output));
    cr_assert_eq(stage->ledger_size, size);
    cr_assert_eq(stage->told[SL_TRACE_ROUND_RECOVERED].n, 1);
}

Test(core_budget, does_not_use_an_output_other_than_the_one_released)
{
    stage_start(stage);
    run_round(4);
    stage->kept[SL_RELEASE_HEAD] ^= 1;
    die_and_restart();

    cr_assert_eq(stage->told[SL_TRACE_ROUND_RECOVERED].n, 0);
    cr_assert_neq(*(const uint8_t *)(const void *)sl_node_weights(stage->node), stage->kept[SL_RELEASE_HEAD]);
}

Test(core_budget, does_not_use_the_output_of_a_round_before_the_last)
{
    stage_start(stage);
    run_round(4);
    run_round(1);
    die_and_restart();

    cr_assert_eq(stage->told[SL_TRACE_ROUND_RECOVERED].n, 0);
    cr_assert_not(read_ledger().is_released, "that of the round before is not released as this one's");
}

Test(core_budget, keeps_a_state_that_was_saved_after_the_output_was_merged)
{
    stage_start(stage);
    run_round(4);
    stage_to_phase(stage, .98);
    stage->node->weights[0] = 42;
    stage_control(stage, SL_CONTROL_CHECKPOINT, 0);
    die_and_restart();

    cr_assert_eq(sl_node_weights(stage->node)[0], 42);
    cr_assert_eq(stage->told[SL_TRACE_ROUND_RECOVERED].n, 0);
}

Test(core_budget, charges_no_epoch_twice_however_often_it_starts)
{
    stage_start(stage);
    run_round(4);
    for (int i = 0; i < 3; i++) die_and_restart();
    stage_to_phase(stage, .99);

    cr_assert_eq(read_ledger().n_charges, 1);
    stage_next_epoch(stage);
    cr_assert_eq(read_ledger().n_charges, 2);
}

Test(core_budget, charges_no_epoch_again_when_its_state_is_lost_and_its_clock_goes_back)
{
    stage_start(stage);
    run_round(4);
    stage_next_epoch(stage);
    uint64_t last = read_ledger().charge.round;
    free(stage->state);
    stage->state = NULL;
    stage->state_size = 0;
    stage->now_us -= 2 * stage->config.epoch_us;
    die_and_restart();
    cr_assert_eq(stage->node->first_epoch, last + 1, "it has spoken in the epochs that its ledger knows");
    while (stage_epoch(stage) < last) stage_next_epoch(stage);

    cr_assert_eq(read_ledger().n_charges, 2);
    stage_next_epoch(stage);
    cr_assert_eq(read_ledger().n_charges, 3);
}

Test(core_budget, counts_a_charged_round_without_an_aggregate_as_wasted)
{
    stage_start(stage);
    stage_next_epoch(stage);
    cr_assert_eq(privacy().rounds_wasted, 0);
    stage_next_epoch(stage);
    cr_assert_eq(privacy().rounds_wasted, 1);
    stage_next_epoch(stage);
    cr_assert_eq(privacy().rounds_wasted, 2);
}

Test(core_budget_off, keeps_no_ledger_without_a_unit, .fini = drop_stage)
{
    stage = stage_new(&(struct stage_options){.n_puppets = PUPPETS, .seed = 1});
    stage_start(stage);
    for (int i = 0; i < 3; i++) stage_next_epoch(stage);

    cr_assert_eq(stage->ledger_size + stage->kept_size, 0);
    cr_assert_eq(stage->job.round.steps, 0);
    cr_assert_eq(privacy().unit, SL_UNIT_OFF);
    cr_assert_gt(stage_status(stage).epochs_trained, 0);
}
