/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <sodium.h>
#include <string.h>

#include "share/quantise.h"
#include "sim/checker.h"
#include "starling/error.h"
#include "wire/message.h"

enum { NODES = 4, DIM = 3, EPOCH = 100 };

static struct sl_config config;
static struct sl_checker checker;
static uint8_t sign_public[32], sign_secret[64];
static const uint8_t id[32] = {7}, zero[32];

static uint64_t now(uint64_t epoch)
{
    return epoch * config.epoch_us + 5;
}

static void setup(void)
{
    crypto_sign_keypair(sign_public, sign_secret);
    sl_config_init(&config);
    sl_config_set(&config, "privacy.unit", "off", NULL, 0);
    cr_assert(sl_checker_init(&checker, &config, NODES, DIM));
    sl_checker_start(&checker, 1, id, now(EPOCH - 1));
}

static void teardown(void)
{
    sl_checker_finish(&checker);
}

TestSuite(checker, .init = setup, .fini = teardown);

static void put_state(uint64_t ticket, uint64_t epoch, int error)
{
    struct sl_store store = {.ticket = ticket, .type = SL_STORE_PUT_STATE};
    struct sl_actions actions = {.stores = &store, .n_stores = 1, .deadline_us = SL_NEVER};
    sl_checker_actions(&checker, 1, now(epoch), &actions);
    sl_checker_event(&checker, 1, &(struct sl_event){.type = SL_EVENT_STORED, .now_us = now(epoch), .stored = {ticket, error}});
}

static void begin_training(uint32_t number, uint64_t epoch)
{
    struct sl_actions actions = {.job = {.number = number, .type = SL_JOB_TRAIN, .epoch = epoch}, .deadline_us = SL_NEVER};
    sl_checker_actions(&checker, 1, now(epoch), &actions);
}

static void end_training(uint32_t number, uint64_t at_us)
{
    sl_checker_event(&checker, 1, &(struct sl_event){.type = SL_EVENT_DONE, .now_us = at_us, .done = {.number = number}});
}

static void finish_training(uint64_t epoch)
{
    uint32_t number = checker.nodes[1].job + 1;
    begin_training(number, epoch);
    end_training(number, now(epoch));
}

static void send_bytes(const uint8_t *bytes, size_t size, uint64_t epoch)
{
    struct sl_send send = {.link = 1, .data = bytes, .size = size};
    struct sl_actions actions = {.sends = &send, .n_sends = 1, .deadline_us = SL_NEVER};
    sl_checker_actions(&checker, 1, now(epoch), &actions);
}

static void send_commit_as(const uint8_t from[32], uint64_t epoch, uint64_t sent_in, uint8_t mark)
{
    uint8_t bytes[512];
    struct sl_commit body = {.root = {mark}};
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_COMMIT, config.network_id, epoch, zero, from, bytes, sizeof bytes);
    sl_write_commit(&writer, &body);
    send_bytes(bytes, sl_envelope_seal(&writer, SL_MESSAGE_COMMIT, sign_secret), sent_in);
}

static void send_commit(uint64_t epoch, uint8_t mark)
{
    send_commit_as(id, epoch, epoch, mark);
}

static void send_result(uint32_t node, uint8_t chain, uint8_t root)
{
    uint8_t bytes[512], cohort[32] = {9};
    struct sl_result body = {.chain = {chain}, .members = 15, .bits = 16, .root = {root}};
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_RESULT, config.network_id, EPOCH, cohort, checker.nodes[node].id, bytes, sizeof bytes);
    sl_write_result(&writer, &body);
    struct sl_send send = {.link = 1, .data = bytes, .size = sl_envelope_seal(&writer, SL_MESSAGE_RESULT, sign_secret)};
    sl_checker_actions(&checker, node, now(EPOCH), &(struct sl_actions){.sends = &send, .n_sends = 1});
}

static bool found(const char *piece)
{
    return strstr(checker.violation, piece);
}

Test(checker, is_content_with_an_honest_epoch)
{
    put_state(1, EPOCH, SL_OK);
    finish_training(EPOCH);
    send_commit(EPOCH, 1);
    send_commit(EPOCH, 1);
    put_state(2, EPOCH + 1, SL_OK);
    finish_training(EPOCH + 1);
    send_commit(EPOCH + 1, 2);

    cr_assert_str_empty(checker.violation);
}

Test(checker, sees_a_commit_before_the_state_is_durable)
{
    finish_training(EPOCH);
    send_commit(EPOCH, 1);

    cr_assert(found("durable"), "%s", checker.violation);
}

Test(checker, does_not_take_a_failed_store_for_a_durable_one)
{
    put_state(1, EPOCH, SL_ERROR_IO);
    finish_training(EPOCH);
    send_commit(EPOCH, 1);

    cr_assert(found("durable"), "%s", checker.violation);
}

Test(checker, does_not_take_the_state_of_the_epoch_before)
{
    put_state(1, EPOCH, SL_OK);
    finish_training(EPOCH + 1);
    send_commit(EPOCH + 1, 1);

    cr_assert(found("durable"), "%s", checker.violation);
}

Test(checker, sees_a_node_that_acts_in_the_epoch_of_its_start)
{
    put_state(1, EPOCH - 1, SL_OK);
    finish_training(EPOCH - 1);
    send_commit(EPOCH - 1, 1);

    cr_assert(found("in which it started"), "%s", checker.violation);
}

Test(checker, sees_two_commits_in_one_epoch)
{
    put_state(1, EPOCH, SL_OK);
    finish_training(EPOCH);
    send_commit(EPOCH, 1);
    send_commit(EPOCH, 2);

    cr_assert(found("two different COMMIT"), "%s", checker.violation);
}

Test(checker, sees_two_commits_even_across_a_restart)
{
    put_state(1, EPOCH, SL_OK);
    finish_training(EPOCH);
    send_commit(EPOCH, 1);
    sl_checker_start(&checker, 1, id, now(EPOCH - 1));
    put_state(1, EPOCH, SL_OK);
    finish_training(EPOCH);
    send_commit(EPOCH, 2);

    cr_assert(found("two different COMMIT"), "%s", checker.violation);
}

Test(checker, sees_a_training_result_used_twice)
{
    put_state(1, EPOCH, SL_OK);
    finish_training(EPOCH);
    send_commit(EPOCH, 1);
    put_state(2, EPOCH + 1, SL_OK);
    send_commit(EPOCH + 1, 2);

    cr_assert(found("without a training result that came in time"), "%s", checker.violation);
}

Test(checker, sees_a_training_result_told_again_and_used_twice)
{
    put_state(1, EPOCH, SL_OK);
    finish_training(EPOCH);
    send_commit(EPOCH, 1);
    checker.nodes[1].said[SL_STEP_COMMIT].epoch = EPOCH - 1;       /* as if the first had gone into the sum of another epoch */
    send_commit(EPOCH, 2);

    cr_assert(found("result of job 1 twice"), "%s", checker.violation);
}

Test(checker, does_not_take_a_result_of_the_epoch_before)
{
    put_state(1, EPOCH, SL_OK);
    begin_training(1, EPOCH);
    put_state(2, EPOCH + 1, SL_OK);
    end_training(1, now(EPOCH + 1));
    send_commit(EPOCH + 1, 1);

    cr_assert(found("without a training result that came in time"), "%s", checker.violation);
}

Test(checker, does_not_take_a_result_that_came_after_the_training_phase)
{
    put_state(1, EPOCH, SL_OK);
    begin_training(1, EPOCH);
    end_training(1, now(EPOCH) + (uint64_t)(config.phase_train * (double)config.epoch_us));
    send_commit(EPOCH, 1);

    cr_assert(found("without a training result that came in time"), "%s", checker.violation);
}

Test(checker, sees_a_committed_vector_that_no_job_made)
{
    const float made[DIM] = {1, 2, 3}, other[DIM] = {1, 2, 4};
    sl_checker_trained(&checker, 1, EPOCH, made);
    sl_checker_committed(&checker, 1, made);
    cr_assert_str_empty(checker.violation);

    sl_checker_committed(&checker, 1, other);

    cr_assert(found("another vector"), "%s", checker.violation);
}

Test(checker, sees_an_open_a_result_and_a_roster_before_the_state_is_durable)
{
    static const enum sl_message_type types[] = {SL_MESSAGE_ROSTER, SL_MESSAGE_OPEN, SL_MESSAGE_RESULT, SL_MESSAGE_JOIN, SL_MESSAGE_PROPOSE};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        uint8_t bytes[512];
        checker.violation[0] = 0;
        struct sl_writer writer = sl_envelope_begin(types[i], config.network_id, EPOCH, zero, id, bytes, sizeof bytes);
        sl_write_result(&writer, &(struct sl_result){.bits = 16});
        send_bytes(bytes, sl_envelope_seal(&writer, types[i], sign_secret), EPOCH);

        cr_assert(found("durable"), "%s: %s", sl_message_name(types[i]), checker.violation);
    }
}

Test(checker, sees_a_message_for_another_epoch)
{
    put_state(1, EPOCH, SL_OK);
    finish_training(EPOCH);
    send_commit_as(id, EPOCH + 1, EPOCH, 1);

    cr_assert(found("for epoch 101 in epoch 100"), "%s", checker.violation);
}

Test(checker, lets_a_member_pass_on_what_others_signed)
{
    const uint8_t other[32] = {8};

    send_commit_as(other, EPOCH, EPOCH, 1);
    send_commit_as(other, EPOCH, EPOCH, 2);

    cr_assert_str_empty(checker.violation);
}

/* ---- inside a cohort ---- */

static void send_in_cohort(enum sl_message_type type, struct sl_writer *writer, uint8_t *bytes)
{
    send_bytes(bytes, sl_envelope_seal(writer, type, sign_secret), EPOCH);
}

static void send_list(uint32_t step, uint8_t mark)
{
    uint8_t bytes[1024];
    struct sl_list body = {.step = step, .previous = {mark}, .members = 1, .n_hashes = 1};
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_LIST, config.network_id, EPOCH, zero, id, bytes, sizeof bytes);
    sl_write_list(&writer, &body);
    send_in_cohort(SL_MESSAGE_LIST, &writer, bytes);
}

static void send_chained(enum sl_message_type type, uint8_t mark)
{
    uint8_t bytes[512];
    struct sl_writer writer = sl_envelope_begin(type, config.network_id, EPOCH, zero, id, bytes, sizeof bytes);
    if (type == SL_MESSAGE_CONFIRM) sl_write_confirm(&writer, &(struct sl_confirm){.chain = {mark}});
    if (type == SL_MESSAGE_OPEN) sl_write_open(&writer, &(struct sl_open){.chain = {mark}});
    if (type == SL_MESSAGE_UNMASK) sl_write_unmask(&writer, &(struct sl_unmask){.chain = {mark}, .n_members = 5});
    send_in_cohort(type, &writer, bytes);
}

static void hear_confirm(uint8_t from, uint8_t mark)
{
    uint8_t bytes[512];
    const uint8_t sender[32] = {from};
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_CONFIRM, config.network_id, EPOCH, zero, sender, bytes, sizeof bytes);
    sl_write_confirm(&writer, &(struct sl_confirm){.chain = {mark}});
    struct sl_event event = {.type = SL_EVENT_MESSAGE, .now_us = now(EPOCH),
                             .message = {.link = 1, .data = bytes, .size = sl_envelope_seal(&writer, SL_MESSAGE_CONFIRM, sign_secret)}};
    sl_checker_event(&checker, 1, &event);
}

Test(checker, sees_two_bodies_of_one_step)
{
    static const enum sl_message_type types[] = {SL_MESSAGE_OPEN, SL_MESSAGE_CONFIRM};
    put_state(1, EPOCH, SL_OK);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        checker.violation[0] = 0;
        send_chained(types[i], 1);
        send_chained(types[i], 1);
        cr_assert_str_empty(checker.violation, "repeated: %s", checker.violation);

        send_chained(types[i], 2);

        cr_assert(found("two different"), "%s", sl_message_name(types[i]));
    }
}

Test(checker, sees_two_lists_of_one_step_and_lets_every_step_have_one)
{
    put_state(1, EPOCH, SL_OK);
    send_list(SL_STEP_LIST_SHARES, 1);
    send_list(SL_STEP_LIST_COMMIT, 2);
    send_list(SL_STEP_LIST_SHARES, 1);
    cr_assert_str_empty(checker.violation);

    send_list(SL_STEP_LIST_COMMIT, 3);

    cr_assert(found("two different LIST"), "%s", checker.violation);
}

/* Five members: four make a threshold. */
Test(checker, sees_shares_given_away_without_a_threshold_of_confirms_of_that_story)
{
    put_state(1, EPOCH, SL_OK);
    sl_checker_trace(&checker, 1, &(struct sl_trace_event){.type = SL_TRACE_ROSTER, .epoch = EPOCH, .a = 5});
    send_chained(SL_MESSAGE_CONFIRM, 1);
    hear_confirm(10, 1);
    hear_confirm(10, 1);
    hear_confirm(11, 1);
    hear_confirm(12, 2);
    cr_assert_str_empty(checker.violation);

    send_chained(SL_MESSAGE_UNMASK, 1);

    cr_assert(found("with 3 CONFIRMs of 5 members"), "%s", checker.violation);
}

Test(checker, lets_shares_be_given_away_with_a_threshold_of_confirms)
{
    put_state(1, EPOCH, SL_OK);
    sl_checker_trace(&checker, 1, &(struct sl_trace_event){.type = SL_TRACE_ROSTER, .epoch = EPOCH, .a = 5});
    send_chained(SL_MESSAGE_CONFIRM, 1);
    for (uint8_t from = 10; from < 13; from++) hear_confirm(from, 1);

    send_chained(SL_MESSAGE_UNMASK, 1);

    cr_assert_str_empty(checker.violation);
}

Test(checker, sees_a_second_roster)
{
    struct sl_trace_event event = {.type = SL_TRACE_ROSTER, .epoch = EPOCH};
    sl_checker_trace(&checker, 1, &event);
    cr_assert_str_empty(checker.violation);

    sl_checker_trace(&checker, 1, &event);

    cr_assert(found("two rosters"), "%s", checker.violation);
}

Test(checker, sees_an_epoch_that_goes_back)
{
    sl_checker_trace(&checker, 1, &(struct sl_trace_event){.type = SL_TRACE_EPOCH, .epoch = EPOCH});
    sl_checker_trace(&checker, 1, &(struct sl_trace_event){.type = SL_TRACE_EPOCH, .epoch = EPOCH - 1});

    cr_assert(found("went back"), "%s", checker.violation);
}

Test(checker, sees_members_that_disagree_on_their_sum)
{
    sl_checker_start(&checker, 2, (const uint8_t[32]){2}, now(EPOCH - 1));
    sl_checker_start(&checker, 3, (const uint8_t[32]){3}, now(EPOCH - 1));
    for (uint32_t i = 1; i < NODES; i++) checker.nodes[i].stored_epoch = EPOCH;
    send_result(1, 5, 1);
    send_result(2, 5, 1);
    cr_assert_str_empty(checker.violation);

    send_result(3, 5, 2);

    cr_assert(found("another mean"), "%s", checker.violation);
    cr_assert_eq(checker.violator, 3);
}

Test(checker, sees_a_node_that_spins)
{
    for (int i = 0; i <= SL_CHECKER_TICKS_MAX; i++) sl_checker_event(&checker, 1, &(struct sl_event){.type = SL_EVENT_TICK, .now_us = now(EPOCH)});

    cr_assert(found("deadline"), "%s", checker.violation);
}

Test(checker, sees_frames_and_actions_out_of_bounds)
{
    uint8_t byte = 0;
    send_bytes(&byte, 0, EPOCH);
    cr_assert(found("frame of 0 bytes"), "%s", checker.violation);

    checker.violation[0] = 0;
    send_bytes(&byte, 1, EPOCH);
    cr_assert(found("cannot be opened"), "%s", checker.violation);

    checker.violation[0] = 0;
    sl_checker_actions(&checker, 1, now(EPOCH), &(struct sl_actions){.n_dials = 65});
    cr_assert(found("dialled"), "%s", checker.violation);
}

Test(checker, sees_tables_that_outgrow_their_options)
{
    sl_checker_status(&checker, 1, &(struct sl_status){.peers_known = config.view_size, .links_up = config.link_max});
    cr_assert_str_empty(checker.violation);

    sl_checker_status(&checker, 1, &(struct sl_status){.links_up = config.link_max + 1});

    cr_assert(found("link.max"), "%s", checker.violation);
}

Test(checker, sees_weights_that_are_not_finite)
{
    const float fine[DIM] = {1, 2, 3}, bad[DIM] = {1, NAN, 3};
    sl_checker_weights(&checker, 1, fine);
    cr_assert_str_empty(checker.violation);

    sl_checker_weights(&checker, 1, bad);

    cr_assert(found("not finite"), "%s", checker.violation);
}

/* Three members at (3,0,0), (0,3,0), (0,0,12) around 0 with radius 6: the last is shortened to (0,0,6). */
static void train_three(void)
{
    const float x[3][DIM] = {{3, 0, 0}, {0, 3, 0}, {0, 0, 12}};
    for (uint32_t i = 0; i < 3; i++) sl_checker_trained(&checker, i, EPOCH, x[i]);
}

static void check_mean(const uint32_t *block, uint32_t n_values, const float *mean, const float *ref)
{
    const uint32_t members[] = {0, 1, 2};
    struct sl_checked_aggregate aggregate = {.epoch = EPOCH, .members = members, .n_members = 3, .block = block, .n_values = n_values, .bits = 16,
                                             .ring_exponent = sl_ring_exponent(6 * 65536, 3, 32), .mean = mean, .ref = ref, .radius = 6};
    sl_checker_aggregate(&checker, 0, &aggregate);
}

static const uint32_t all[DIM] = {0, 1, 2};
static const float origin[DIM];

Test(checker, accepts_the_plain_mean_of_clipped_vectors)
{
    train_three();

    check_mean(all, DIM, (const float[]){1, 1, 2}, origin);

    cr_assert_str_empty(checker.violation);
    cr_assert_eq(checker.n_aggregates, 1);
}

Test(checker, compares_the_coordinates_of_a_block_and_clips_on_it)
{
    const uint32_t block[] = {0, 2};
    train_three();

    check_mean(block, 2, (const float[]){1, 2}, origin);
    cr_assert_str_empty(checker.violation);
    cr_assert_eq(checker.n_aggregates, 1);
    check_mean(block, 2, (const float[]){1, 1}, origin);

    cr_assert(found("coordinate 2"), "%s", checker.violation);
}

Test(checker, sees_a_mean_that_counts_somebody_twice)
{
    train_three();

    check_mean(all, DIM, (const float[]){2, 1, 2}, origin);

    cr_assert(found("off by"), "%s", checker.violation);
}

Test(checker, sees_a_member_that_has_not_trained)
{
    train_three();
    checker.nodes[2].trained_epoch = EPOCH - 1;

    check_mean(all, DIM, (const float[]){1, 1, 2}, origin);

    cr_assert(found("n2, which has not trained"), "%s", checker.violation);
}

Test(checker, counts_what_it_cannot_compare)
{
    train_three();
    checker.nodes[2].trained_epoch = EPOCH + 1;

    check_mean(all, DIM, (const float[]){1, 1, 2}, origin);

    cr_assert_str_empty(checker.violation);
    cr_assert_eq(checker.n_skipped, 1);
}

Test(checker, keeps_the_first_violation)
{
    sl_checker_fail(&checker, 2, "first");
    sl_checker_fail(&checker, 3, "second");

    cr_assert_str_eq(checker.violation, "first");
    cr_assert_eq(checker.violator, 2);
}

/* ---- private rounds ---- */

static const uint32_t STEPS = 20;

static void setup_record(void)
{
    setup();
    sl_config_set(&config, "privacy.unit", "record", NULL, 0);
    sl_checker_rounds_start(&checker, 1, NULL, 0);
}

TestSuite(checker_rounds, .init = setup_record, .fini = teardown);

static void make_record(enum sl_ledger_type type, uint64_t epoch, uint8_t output, uint8_t out[SL_LEDGER_RECORD])
{
    const uint64_t q64 = 11, sigma2 = 12, steps = STEPS;
    memset(out, 0, SL_LEDGER_RECORD);
    out[6] = (uint8_t)type;
    memcpy(out + 72, &q64, 8);
    memcpy(out + 80, &sigma2, 8);
    memcpy(out + 96, &steps, 8);
    memcpy(out + 120, &epoch, 8);
    if (type == SL_LEDGER_RELEASE) out[128] = output;
}

static void ask_record(enum sl_ledger_type type, uint64_t epoch, uint8_t output)
{
    uint8_t record[SL_LEDGER_RECORD];
    make_record(type, epoch, output, record);
    struct sl_store store = {.ticket = 77, .type = SL_STORE_APPEND_LEDGER, .data = record, .size = sizeof record};
    sl_checker_actions(&checker, 1, now(epoch), &(struct sl_actions){.stores = &store, .n_stores = 1, .deadline_us = SL_NEVER});
}

static void answer_record(uint64_t epoch, int error)
{
    sl_checker_event(&checker, 1, &(struct sl_event){.type = SL_EVENT_STORED, .now_us = now(epoch), .stored = {77, error}});
}

static void append(enum sl_ledger_type type, uint64_t epoch)
{
    ask_record(type, epoch, 1);
    answer_record(epoch, SL_OK);
}

static void train_for(uint64_t epoch, uint32_t steps)
{
    uint32_t number = checker.nodes[1].job + 1;
    struct sl_job job = {.number = number, .type = SL_JOB_TRAIN, .epoch = epoch, .round = {.q64 = 11, .sigma2 = 12, .steps = steps}};
    sl_checker_actions(&checker, 1, now(epoch), &(struct sl_actions){.job = job, .deadline_us = SL_NEVER});
    end_training(number, now(epoch));
}

static void tell(double epsilon, double loss)
{
    struct sl_status status = {.privacy = {.epsilon = epsilon, .eps_max = 8, .rounds_charged = 9}, .last_job = {.loss = loss}};
    sl_checker_status(&checker, 1, &status);
}

Test(checker_rounds, is_content_with_honest_rounds)
{
    for (uint64_t epoch = EPOCH; epoch < EPOCH + 3; epoch++) {
        put_state(1, epoch, SL_OK);
        append(SL_LEDGER_CHARGE, epoch);
        train_for(epoch, STEPS);
        append(SL_LEDGER_RELEASE, epoch);
        send_commit(epoch, 1);
        tell((double)(epoch - EPOCH + 1), 0);
    }
    cr_assert_str_eq(checker.violation, "");
}

Test(checker_rounds, finds_training_before_the_charge_is_durable)
{
    ask_record(SL_LEDGER_CHARGE, EPOCH, 0);
    train_for(EPOCH, STEPS);
    cr_assert(found("no durable charge paid for"));
}

Test(checker_rounds, finds_training_though_the_charge_failed)
{
    ask_record(SL_LEDGER_CHARGE, EPOCH, 0);
    answer_record(EPOCH, SL_ERROR_NO_SPACE);
    train_for(EPOCH, STEPS);
    cr_assert(found("no durable charge paid for"));
}

Test(checker_rounds, finds_more_steps_than_were_paid_for)
{
    append(SL_LEDGER_CHARGE, EPOCH);
    train_for(EPOCH, STEPS + 1);
    cr_assert(found("no durable charge paid for"));
}

Test(checker_rounds, finds_two_jobs_for_one_charge)
{
    append(SL_LEDGER_CHARGE, EPOCH);
    train_for(EPOCH, STEPS);
    train_for(EPOCH, STEPS);
    cr_assert(found("a second time for one charge"));
}

Test(checker_rounds, finds_a_job_after_a_restart_on_a_charge_from_before)
{
    uint8_t ledger[SL_LEDGER_RECORD];
    append(SL_LEDGER_CHARGE, EPOCH);
    make_record(SL_LEDGER_CHARGE, EPOCH, 0, ledger);
    sl_checker_rounds_start(&checker, 1, ledger, sizeof ledger);
    train_for(EPOCH, STEPS);
    cr_assert(found("a second time for one charge"));
}

Test(checker_rounds, finds_an_epoch_that_is_charged_twice)
{
    append(SL_LEDGER_CHARGE, EPOCH);
    append(SL_LEDGER_CHARGE, EPOCH);
    cr_assert(found("charged a round a second time"));
}

Test(checker_rounds, finds_a_charge_that_a_restart_forgets)
{
    append(SL_LEDGER_CHARGE, EPOCH);
    sl_checker_rounds_start(&checker, 1, NULL, 0);
    cr_assert(found("lost a charge"));
}

Test(checker_rounds, finds_a_commit_before_the_release)
{
    put_state(1, EPOCH, SL_OK);
    append(SL_LEDGER_CHARGE, EPOCH);
    train_for(EPOCH, STEPS);
    ask_record(SL_LEDGER_RELEASE, EPOCH, 1);
    send_commit(EPOCH, 1);
    cr_assert(found("before its release was durable"));
}

Test(checker_rounds, finds_two_outputs_of_one_round)
{
    append(SL_LEDGER_CHARGE, EPOCH);
    train_for(EPOCH, STEPS);
    ask_record(SL_LEDGER_RELEASE, EPOCH, 1);
    answer_record(EPOCH, SL_ERROR_IO);
    ask_record(SL_LEDGER_RELEASE, EPOCH, 2);
    cr_assert(found("two outputs of one round"));
}

Test(checker_rounds, finds_two_stores_at_once)
{
    ask_record(SL_LEDGER_CHARGE, EPOCH, 0);
    ask_record(SL_LEDGER_CHARGE, EPOCH + 1, 0);
    cr_assert(found("while another was under way"));
}

Test(checker_rounds, finds_an_epsilon_that_falls_or_passes_its_limit_and_a_loss_that_is_told)
{
    tell(1, .5);
    cr_assert(found("tells a loss"));

    checker.violation[0] = 0;
    tell(3, 0);
    tell(2.9, 0);
    cr_assert(found("less epsilon than before"));

    checker.violation[0] = 0;
    tell(8.1, 0);
    cr_assert(found("more than privacy.eps_max"));
}

Test(checker, finds_a_ledger_though_nothing_is_private)
{
    ask_record(SL_LEDGER_OPEN, EPOCH, 0);
    cr_assert(found("though privacy.unit is off"));
}
