/* SPDX-License-Identifier: MIT */
/* What a node writes to disk, and what it makes of a disk that lies. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "forge.h"
#include "starling/error.h"

static struct stage *stage;
static struct forged *forged;

static void make_stage(void)
{
    stage = stage_new(&(struct stage_options){.n_puppets = 5, .seed = 1});
    stage_start(stage);
}

static void drop_stage(void)
{
    forge_destroy(&forged);
    stage_destroy(&stage);
}

TestSuite(state, .init = make_stage, .fini = drop_stage);

static void live_a_little(void)
{
    for (int i = 0; i < 3; i++) stage_next_epoch(stage);
    stage->node->weights[3] = 42;
    stage->node->anchor[4] = -7;
    stage->node->n_distances = 2;
    stage->node->distances[1] = (struct distance){3.5, stage_epoch(stage)};
    stage_control(stage, SL_CONTROL_CHECKPOINT, 0);
}

static uint32_t n_acts(void)
{
    return stage_count(stage, SL_MESSAGE_PROPOSE) + stage_count(stage, SL_MESSAGE_JOIN) + stage_count(stage, SL_MESSAGE_SHARES);
}

/* Tempts the core with a PROPOSE in the current epoch; returns how often it acted. */
static uint32_t tempt(void)
{
    stage_connect_all(stage);
    forge_destroy(&forged);
    forged = forge_new(stage, 0, (const uint32_t[]){PUPPET_SELF, 0, 1, 2}, 4);
    forge_seal_propose(forged);
    forge_say_propose(forged);
    stage_to_phase(stage, .9);
    return n_acts();
}

Test(state, comes_back_as_it_was)
{
    live_a_little();
    uint64_t epoch = stage_epoch(stage);
    stage_restart(stage);

    cr_assert_eq(stage->node->weights[3], 42);
    cr_assert_eq(stage->node->anchor[4], -7);
    cr_assert_eq(stage->node->n_distances, 2);
    cr_assert_eq(stage->node->distances[1].value, 3.5);
    cr_assert_eq(stage->node->saved_epoch, epoch);
    cr_assert_eq(stage->told[SL_TRACE_STATE_UNREADABLE].n, 0);
}

Test(state, a_node_without_state_starts_from_genesis_and_not_in_its_first_epoch)
{
    cr_assert_eq(stage->node->first_epoch, stage_epoch(stage) + 1);
    cr_assert_eq(tempt(), 0, "not in the epoch of its start");

    stage_next_epoch(stage);
    cr_assert_gt(tempt(), 0);
}

Test(state, does_not_act_again_in_an_epoch_it_has_saved)
{
    stage_next_epoch(stage);
    stage_restart(stage);
    stage_forget(stage);

    cr_assert_eq(tempt(), 0, "it may have acted in this epoch before it died");
    stage_next_epoch(stage);
    cr_assert_gt(tempt(), 0);
}

Test(state, does_not_act_up_to_the_epoch_it_has_saved_when_the_clock_went_back)
{
    for (int i = 0; i < 5; i++) stage_next_epoch(stage);
    uint64_t saved = stage_epoch(stage);
    stage->now_us -= 3 * stage->config.epoch_us;
    stage_restart(stage);

    cr_assert(stage_status(stage).stalled);
    cr_assert_str_eq(stage_status(stage).reason, "its state was saved 3 epochs in the future: check the clock");
    for (uint64_t epoch = stage_epoch(stage); epoch <= saved; epoch++) {
        stage_forget(stage);
        cr_assert_eq(tempt(), 0, "%d epochs before the saved one", (int)(saved - epoch));
        stage_next_epoch(stage);
    }
    stage_forget(stage);
    cr_assert_gt(tempt(), 0);
    cr_assert_not(stage_status(stage).stalled);
}

Test(state, starts_from_genesis_and_says_so_when_any_byte_is_wrong)
{
    float genesis = stage->node->weights[3];
    live_a_little();
    uint8_t *good = malloc(stage->state_size);
    cr_assert_not_null(good);
    memcpy(good, stage->state, stage->state_size);
    for (size_t i = 0; i < stage->state_size; i += 37) {
        memcpy(stage->state, good, stage->state_size);
        stage->state[i] ^= 0x10;
        stage_forget(stage);
        stage->holds_stores = true;                      /* the new state must not replace the bad one */
        stage_restart(stage);

        cr_assert_eq(stage->told[SL_TRACE_STATE_UNREADABLE].n, 1, "byte %zu", i);
        cr_assert_eq(stage->node->weights[3], genesis, "byte %zu", i);
        cr_assert_eq(stage->node->saved_epoch, 0, "byte %zu", i);
        cr_assert_eq(stage->node->first_epoch, stage_epoch(stage) + 1);
    }
    free(good);
}

Test(state, starts_from_genesis_when_the_file_is_torn_or_too_long)
{
    float genesis = stage->node->weights[3];
    live_a_little();
    size_t size = stage->state_size;
    const size_t sizes[] = {1, 15, 16, 47, size / 2, size - 1, size + 1};
    stage->state = realloc(stage->state, size + 1);
    stage->state[size] = 0;
    stage->holds_stores = true;
    for (int i = 0; i < 7; i++) {
        stage_forget(stage);
        uint8_t *exact = malloc(sizes[i]), *kept = stage->state;
        memcpy(exact, kept, sizes[i]);
        stage->state = exact;
        stage->state_size = sizes[i];
        stage_restart(stage);
        cr_assert_eq(stage->told[SL_TRACE_STATE_UNREADABLE].n, 1, "%zu bytes", sizes[i]);
        cr_assert_eq(stage->node->weights[3], genesis);
        free(exact);
        stage->state = kept;
    }
}

Test(state, refuses_the_state_of_another_network)
{
    live_a_little();
    struct stage *other = stage_new(&(struct stage_options){.n_puppets = 5, .seed = 1, .settings = {"network.seed=2"}});
    other->state = malloc(stage->state_size);
    memcpy(other->state, stage->state, stage->state_size);
    other->state_size = stage->state_size;
    other->holds_stores = true;

    stage_start(other);

    cr_assert_eq(other->told[SL_TRACE_STATE_UNREADABLE].n, 1);
    cr_assert_eq(other->told[SL_TRACE_STATE_UNREADABLE].last.error, SL_ERROR_WRONG_NETWORK);
    cr_assert_neq(other->node->weights[3], 42);
    stage_destroy(&other);
}

Test(state, is_saved_at_every_epoch_and_when_it_stops)
{
    stage_next_epoch(stage);
    size_t size = stage->state_size;
    cr_assert_eq(size, state_size(stage->node));
    stage->node->weights[0] = 9;
    struct sl_event stop = {.type = SL_EVENT_STOP};
    stage->holds_stores = true;
    stage_step(stage, &stop);

    cr_assert_neq(stage->pending_ticket, 0, "the last word goes to disk");
    stage_restart(stage);
    cr_assert_eq(stage->node->weights[0], 9);
}

Test(state, a_stopped_node_says_nothing_more)
{
    stage_next_epoch(stage);
    stage_connect_all(stage);
    struct sl_event stop = {.type = SL_EVENT_STOP};
    stage_step(stage, &stop);
    cr_assert_eq(stage->n_hangups, 5, "it hangs up");
    stage_forget(stage);

    stage_run_to(stage, stage->now_us + 3 * stage->config.epoch_us);
    struct sl_pull body = {.epoch = 1};
    struct sl_writer writer = puppet_begin(stage, 1, SL_MESSAGE_PULL, 1, NULL);
    sl_write_pull(&writer, &body);
    puppet_say(stage, 1, &writer, SL_MESSAGE_PULL);

    cr_assert_eq(stage->n_sent, 0);
    cr_assert_eq(stage->deadline_us, SL_NEVER);
}
