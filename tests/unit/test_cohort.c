/* SPDX-License-Identifier: MIT */
/* One cohort seen by one real core among puppets, and whole cohorts of real cores: what they share must cancel to the bit, and who cheats voids the run. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "cluster.h"
#include "forge.h"
#include "share/quantise.h"
#include "starling/error.h"

static struct stage *stage;
static struct forged *forged;

static void make_stage(void)
{
    stage = stage_new(&(struct stage_options){.n_puppets = 4, .seed = 1});
    stage_start(stage);
}

static void drop_stage(void)
{
    forge_destroy(&forged);
    stage_destroy(&stage);
}

TestSuite(cohort, .init = make_stage, .fini = drop_stage);

static enum cohort_state state(void)
{
    return stage->node->cohort.state;
}

static void to_committed(void)
{
    forged = forge_cohort(stage, 3);
    forge_commit_all(forged);
}

static void to_opened(void)
{
    to_committed();
    forge_open_all(forged);
}

static void to_summed(void)
{
    to_opened();
    forge_say_list(forged, STEP_LIST_OPEN, 0);
    forge_sum(forged);
    forge_results(forged);
}

/* ---- the course without faults ---- */

Test(cohort, goes_from_the_roster_to_a_signed_aggregate)
{
    to_summed();
    cr_assert_eq(state(), COHORT_SUMMED);

    for (uint32_t i = 0; i < 3; i++) forge_say_result(forged, i, i);

    cr_assert_eq(state(), COHORT_DONE);
    cr_assert_eq(stage->told[SL_TRACE_AGGREGATE].n, 1);
    cr_assert_eq(stage_status(stage).epochs_with_aggregate, 1);
}

Test(cohort, sums_to_the_bit_what_its_members_put_in)
{
    to_summed();

    const struct cohort *cohort = &stage->node->cohort;
    for (uint32_t j = 0; j < stage->node->n_block; j++) {
        uint32_t plain = cohort->z[j];
        for (uint32_t i = 0; i < 3; i++) {
            uint8_t seed[32] = {77};
            struct sl_rng root, rng;
            sl_rng_init(&root, seed);
            rng = sl_rng_fork(&root, "vector", forged->epoch * 2000 + i);
            uint32_t z = 0;
            for (uint32_t skip = 0; skip <= j; skip++) z = sl_rng_below(&rng, 2001) - 1000;
            plain += z;
        }
        cr_assert_eq(cohort->sum[j], plain, "coordinate %u", j);
        cr_assert_eq(forged->sum[j], plain, "coordinate %u", j);
    }
}

Test(cohort, signs_the_mean_that_everybody_else_computes)
{
    struct sl_envelope envelope;
    struct sl_result result;
    to_summed();

    const struct sent *sent = stage_last(stage, SL_MESSAGE_RESULT);
    cr_assert_not_null(sent);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);
    cr_assert_eq(sl_read_result(&envelope, &result), SL_OK);

    cr_assert(sl_hash_equal(result.root, forged->mean_tree.root));
    cr_assert(sl_hash_equal(result.chain, forged->list_hash[1]));
    cr_assert(sl_envelope_verify(&envelope, stage->self.sign_public));
}

Test(cohort, starts_no_second_run_with_the_same_training_result)
{
    to_committed();
    stage_to_phase(stage, .99);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 3, "one COMMIT, sent to three members");
    cr_assert_eq(state(), COHORT_VOID, "nobody opened");
    cr_assert_eq(stage->told[SL_TRACE_COMMITTED].n, 1);
}

Test(cohort, waits_for_its_training_result_and_commits_then)
{
    stage->holds_jobs = true;
    forged = forge_cohort(stage, 3);
    cr_assert_eq(state(), COHORT_FORMED);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 0);

    stage_finish_job(stage, SL_OK);

    cr_assert_eq(state(), COHORT_COMMITTED);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 3);
}

Test(cohort, never_commits_what_was_trained_too_late_or_failed)
{
    stage->holds_jobs = true;
    forged = forge_cohort(stage, 3);
    stage_to_phase(stage, .51);
    stage_finish_job(stage, SL_OK);
    stage_to_phase(stage, .99);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 0, "late");
    cr_assert_eq(state(), COHORT_VOID);

    forge_destroy(&forged);
    stage->holds_jobs = false;
    stage_next_epoch(stage);
    stage->holds_jobs = true;
    forged = forge_cohort(stage, 3);
    stage_finish_job(stage, SL_ERROR_NOT_FINITE);
    stage_to_phase(stage, .99);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 0, "failed");
}

Test(cohort, never_commits_weights_that_are_not_finite)
{
    stage->holds_jobs = true;
    forged = forge_cohort(stage, 3);
    stage->stub.optimum[3] = NAN;

    stage_finish_job(stage, SL_OK);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 0);
    cr_assert_eq(stage->told[SL_TRACE_TRAIN_FAILED].n, 1);
}

/* ---- two stories ---- */

Test(cohort, is_void_when_a_member_commits_twice)
{
    to_committed();
    forge_member(forged, 1)->commit.root[0] ^= 1;

    forge_say_commit(forged, 1, 1);

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert(sl_hash_equal(stage->told[SL_TRACE_VOID].last.peer, stage->puppets[1].id), "the one who contradicts itself is named");
}

Test(cohort, hears_the_same_commit_twice_in_peace)
{
    to_committed();
    forge_say_commit(forged, 1, 1);
    forge_say_commit(forged, 1, 2);

    cr_assert_eq(state(), COHORT_COMMITTED);
}

Test(cohort, is_void_when_a_member_opens_twice)
{
    to_opened();
    forge_member(forged, 2)->open.nonce[0] ^= 1;

    forge_say_open(forged, 2, 2);

    cr_assert_eq(state(), COHORT_VOID);
}

Test(cohort, is_void_when_a_member_opens_on_other_commits_than_ours)
{
    to_committed();
    forge_say_list(forged, STEP_LIST_COMMIT, 0);
    forge_opens(forged);
    forge_member(forged, 1)->open.list_hash[5] ^= 1;

    forge_say_open(forged, 1, 1);

    cr_assert_eq(state(), COHORT_VOID);
}

Test(cohort, is_void_when_the_list_of_commits_contradicts)
{
    to_committed();
    forged->list_bytes[0][forged->list_size[0] - 1] ^= 1;

    forge_say_list(forged, STEP_LIST_COMMIT, 0);

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_OPEN), 0, "nothing may be opened on a list that differs");
}

Test(cohort, is_void_when_the_list_of_opens_contradicts)
{
    to_opened();
    forged->list_bytes[1][forged->list_size[1] - 1] ^= 1;

    forge_say_list(forged, STEP_LIST_OPEN, 0);

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_RESULT), 0);
}

Test(cohort, is_void_when_a_result_has_another_root)
{
    to_summed();
    forged->result.root[0] ^= 1;
    forge_results(forged);

    forge_say_result(forged, 1, 1);

    cr_assert_eq(state(), COHORT_VOID);
}

Test(cohort, is_void_when_a_result_is_signed_by_somebody_else)
{
    to_summed();
    struct sl_writer writer = puppet_begin(stage, 1, SL_MESSAGE_RESULT, forged->epoch, forged->cohort);
    sl_write_raw(&writer, forged->result_bytes, forged->result_size);
    size_t size = puppet_seal(stage, 2, &writer, SL_MESSAGE_RESULT);

    puppet_deliver(stage, 1, stage->out, size);

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert_eq(stage->told[SL_TRACE_AGGREGATE].n, 0);
}

Test(cohort, is_void_when_a_member_leaves)
{
    forged = forge_cohort(stage, 3);
    struct sl_refuse body = {.reason = REFUSAL_REFERENCE};
    struct sl_writer writer = puppet_begin(stage, 1, SL_MESSAGE_REFUSE, forged->epoch, forged->cohort);
    sl_write_refuse(&writer, &body);

    puppet_say(stage, 1, &writer, SL_MESSAGE_REFUSE);

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert_eq(stage->told[SL_TRACE_REFUSED].last.a, REFUSAL_REFERENCE, "the reason is told");
}

static bool is_blamed(uint32_t puppet)
{
    const struct told *told = &stage->told[SL_TRACE_VOID];
    return told->n == 1 && sl_hash_equal(told->last.peer, stage->puppets[puppet].id);
}

Test(cohort, blames_the_initiator_for_its_own_false_list)
{
    to_committed();
    forged->list_bytes[0][forged->list_size[0] - 1] ^= 1;
    forge_say_list(forged, STEP_LIST_COMMIT, 0);
    cr_assert(is_blamed(0), "COMMITs");

    stage_next_epoch(stage);
    forge_destroy(&forged);
    to_opened();
    forged->list_bytes[1][forged->list_size[1] - 1] ^= 1;
    forge_say_list(forged, STEP_LIST_OPEN, 0);
    cr_assert(is_blamed(0), "OPENs");
}

Test(cohort, cannot_be_led_to_blame_the_initiator_by_the_false_list_of_another)
{
    to_committed();
    forged->list_bytes[0][forged->list_size[0] - 1] ^= 1;
    forge_say_list(forged, STEP_LIST_COMMIT, 2);
    cr_assert_eq(state(), COHORT_COMMITTED, "before half of the step it is not heard");
    forged->list_bytes[0][forged->list_size[0] - 1] ^= 1;

    forge_open_all(forged);
    forged->list_bytes[1][forged->list_size[1] - 1] ^= 1;
    forge_say_list(forged, STEP_LIST_OPEN, 1);
    cr_assert_eq(state(), COHORT_OPENED);
    forged->list_bytes[1][forged->list_size[1] - 1] ^= 1;
    forge_say_list(forged, STEP_LIST_OPEN, 0);
    cr_assert_eq(state(), COHORT_SUMMED, "the initiator's was still to come");
}

Test(cohort, minds_no_false_list_once_it_has_announced_its_own_at_half_of_the_step)
{
    to_committed();
    stage_to_phase(stage, (stage->config.phase_commit + stage->config.phase_open) / 2 + .001);
    cr_assert_eq(state(), COHORT_OPENED);
    forged->list_bytes[0][forged->list_size[0] - 1] ^= 1;

    for (uint32_t puppet = 0; puppet < 3; puppet++) forge_say_list(forged, STEP_LIST_COMMIT, puppet);

    cr_assert_eq(state(), COHORT_OPENED, "the first counts");
}

Test(cohort, blames_whoever_announced_a_false_list_after_half_of_the_step)
{
    to_committed();
    stage->node->deadlines[DEADLINE_NEED_OPEN] = SL_NEVER;           /* as if half were over and nobody had announced */
    forged->list_bytes[0][forged->list_size[0] - 1] ^= 1;

    forge_say_list(forged, STEP_LIST_COMMIT, 2);

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert(is_blamed(2), "not the initiator, who said nothing");
}

/* ---- told to leave ---- */

Test(cohort, refuses_and_never_commits_when_it_is_told_to_leave_while_it_trains)
{
    struct sl_envelope envelope;
    struct sl_refuse body;
    stage->holds_jobs = true;
    forged = forge_cohort(stage, 3);

    stage_control(stage, SL_CONTROL_LEAVE, 0);

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_REFUSE), 3, "the others need not wait for it");
    const struct sent *sent = stage_last(stage, SL_MESSAGE_REFUSE);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);
    cr_assert_eq(sl_read_refuse(&envelope, &body), SL_OK);
    cr_assert_eq(body.reason, REFUSAL_LEAVING);

    stage_finish_job(stage, SL_OK);
    stage_to_phase(stage, .99);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 0, "its mask keys are wiped: a COMMIT would hide nothing");
    cr_assert_eq(state(), COHORT_VOID);
    cr_assert_eq(stage->told[SL_TRACE_VOID].n, 1);
}

Test(cohort, opens_nothing_when_it_is_told_to_leave_after_its_commit)
{
    to_committed();
    stage_control(stage, SL_CONTROL_LEAVE, 0);

    forge_say_list(forged, STEP_LIST_COMMIT, 0);
    stage_to_phase(stage, .99);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_REFUSE), 3);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_OPEN), 0);
}

Test(cohort, takes_nothing_back_when_it_is_told_to_leave_after_its_aggregate)
{
    to_summed();
    for (uint32_t i = 0; i < 3; i++) forge_say_result(forged, i, i);
    stage_forget(stage);

    stage_control(stage, SL_CONTROL_LEAVE, 0);

    cr_assert_eq(state(), COHORT_DONE);
    cr_assert_eq(stage->n_sent, 0);
}

/* ---- who may say what ---- */

Test(cohort, ignores_a_relayed_message_with_a_bad_signature)
{
    forged = forge_cohort(stage, 3);
    forge_vectors(forged);
    struct sl_writer writer = puppet_begin(stage, 1, SL_MESSAGE_COMMIT, forged->epoch, forged->cohort);
    sl_write_commit(&writer, &forge_member(forged, 1)->commit);
    size_t size = puppet_seal(stage, 1, &writer, SL_MESSAGE_COMMIT);
    stage->out[size - 1] ^= 1;
    uint64_t refused = stage_status(stage).messages_refused;

    puppet_deliver(stage, 2, stage->out, size);

    cr_assert_eq(stage->node->cohort.members[forge_place(forged, 1)].held[HELD_COMMIT].size, 0);
    cr_assert_eq(stage_status(stage).messages_refused, refused + 1);
    cr_assert_eq(state(), COHORT_COMMITTED);
}

Test(cohort, takes_a_relayed_message_with_a_good_signature)
{
    forged = forge_cohort(stage, 3);
    forge_vectors(forged);

    forge_say_commit(forged, 1, 2);

    cr_assert_gt(stage->node->cohort.members[forge_place(forged, 1)].held[HELD_COMMIT].size, 0);
}

Test(cohort, is_deaf_to_strangers_other_cohorts_and_other_epochs)
{
    forged = forge_cohort(stage, 2 + 1);
    forge_vectors(forged);
    uint8_t other[32] = {1};
    const struct sl_commit *commit = &forge_member(forged, 1)->commit;

    struct sl_writer writer = puppet_begin(stage, 3, SL_MESSAGE_COMMIT, forged->epoch, forged->cohort);
    sl_write_commit(&writer, commit);
    puppet_say(stage, 3, &writer, SL_MESSAGE_COMMIT);
    writer = puppet_begin(stage, 1, SL_MESSAGE_COMMIT, forged->epoch, other);
    sl_write_commit(&writer, commit);
    puppet_say(stage, 1, &writer, SL_MESSAGE_COMMIT);
    writer = puppet_begin(stage, 1, SL_MESSAGE_COMMIT, forged->epoch + 1, forged->cohort);
    sl_write_commit(&writer, commit);
    puppet_say(stage, 1, &writer, SL_MESSAGE_COMMIT);

    for (uint32_t i = 0; i < 4; i++) {
        bool own = i == stage->node->cohort.own;
        cr_assert_eq(stage->node->cohort.members[i].held[HELD_COMMIT].size > 0, own, "member %u", i);
    }
}

Test(cohort, does_not_take_its_own_words_from_others)
{
    to_committed();
    struct sl_commit body = {{9}};
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_COMMIT, stage->config.network_id, forged->epoch, forged->cohort, stage->self.id, stage->out,
                                                sizeof stage->out);
    sl_write_commit(&writer, &body);
    size_t size = puppet_seal(stage, 1, &writer, SL_MESSAGE_COMMIT);

    puppet_deliver(stage, 1, stage->out, size);

    cr_assert_eq(state(), COHORT_COMMITTED);
}

/* ---- what is lost ---- */

static void need(uint32_t puppet, uint32_t step, const uint8_t from[32])
{
    struct sl_need body = {.step = step};
    memcpy(body.from, from, 32);
    struct sl_writer writer = puppet_begin(stage, puppet, SL_MESSAGE_NEED, forged->epoch, forged->cohort);
    sl_write_need(&writer, &body);
    puppet_say(stage, puppet, &writer, SL_MESSAGE_NEED);
}

Test(cohort, gives_members_what_they_miss_and_strangers_nothing)
{
    to_committed();
    stage_forget(stage);

    need(2, STEP_COMMIT, stage->self.id);
    need(2, STEP_COMMIT, stage->puppets[1].id);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_COMMIT, 2), 2, "its own and that of another member");

    need(3, STEP_COMMIT, stage->self.id);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_COMMIT, 3), 0, "puppet 3 is no member");

    need(2, STEP_OPEN, stage->self.id);
    need(2, 15, stage->self.id);
    need(2, STEP_COMMIT, stage->puppets[3].id);
    cr_assert_eq(stage->n_sent, 2, "nothing that is not there");
}

Test(cohort, asks_author_and_initiator_for_a_lost_commit_and_goes_on_when_it_comes)
{
    forged = forge_cohort(stage, 3);
    forge_vectors(forged);
    forge_take_commit(forged);
    forge_say_commit(forged, 0, 0);
    forge_say_commit(forged, 2, 2);
    stage_to_phase(stage, .53);

    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_NEED, 1), 1, "its author");
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_NEED, 0), 1, "the initiator");
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_NEED, 2), 0);

    forge_say_commit(forged, 1, 0);
    forge_list(forged, STEP_LIST_COMMIT);
    forge_say_list(forged, STEP_LIST_COMMIT, 0);
    cr_assert_eq(state(), COHORT_OPENED);
}

Test(cohort, ends_the_run_when_a_commit_never_comes_and_names_who_is_missing)
{
    forged = forge_cohort(stage, 3);
    forge_vectors(forged);
    forge_say_commit(forged, 0, 0);
    forge_say_commit(forged, 2, 2);

    stage_to_phase(stage, .56);

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert(sl_hash_equal(stage->told[SL_TRACE_VOID].last.peer, stage->puppets[1].id));
    cr_assert_eq(stage_count(stage, SL_MESSAGE_OPEN), 0);
}

Test(cohort, does_not_open_on_a_commit_that_comes_after_the_deadline)
{
    forged = forge_cohort(stage, 3);
    forge_vectors(forged);
    forge_take_commit(forged);
    forge_say_commit(forged, 0, 0);
    forge_say_commit(forged, 2, 2);
    stage_to_phase(stage, .551);

    forge_say_commit(forged, 1, 1);
    forge_list(forged, STEP_LIST_COMMIT);
    forge_say_list(forged, STEP_LIST_COMMIT, 0);

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_OPEN), 0);
}

Test(cohort, announces_the_list_itself_at_half_time_when_the_initiator_is_silent)
{
    to_committed();
    cr_assert_eq(state(), COHORT_COMMITTED);
    stage_to_phase(stage, .59);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_LIST), 0);

    stage_to_phase(stage, .61);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_LIST), 3);
    cr_assert_eq(state(), COHORT_OPENED);
}

Test(cohort, takes_the_list_from_any_member_once_half_of_the_step_is_over)
{
    to_committed();

    forge_say_list(forged, STEP_LIST_COMMIT, 2);
    cr_assert_eq(state(), COHORT_COMMITTED, "until then it is the initiator's to say");

    stage_to_phase(stage, (stage->config.phase_commit + stage->config.phase_open) / 2 + .001);
    forge_say_list(forged, STEP_LIST_COMMIT, 2);
    cr_assert_eq(state(), COHORT_OPENED);
}

Test(cohort, waits_for_messages_in_any_order)
{
    forged = forge_cohort(stage, 3);
    forge_vectors(forged);
    forge_take_commit(forged);
    forge_list(forged, STEP_LIST_COMMIT);
    forge_opens(forged);

    forge_say_list(forged, STEP_LIST_COMMIT, 0);         /* before its COMMITs */
    forge_say_open(forged, 1, 1);
    forge_say_commit(forged, 2, 2);
    forge_say_commit(forged, 1, 1);
    cr_assert_eq(state(), COHORT_COMMITTED);
    forge_say_commit(forged, 0, 0);

    cr_assert_eq(state(), COHORT_OPENED);
}

/* ---- the reference ---- */

Test(cohort, leaves_when_the_reference_lies_far_from_its_own_anchor)
{
    stage->holds_jobs = true;
    stage->node->n_distances = 3;
    for (int i = 0; i < 3; i++) stage->node->distances[i] = (struct distance){1, stage_epoch(stage)};
    forged = forge_cohort(stage, 3);
    stage->node->anchor[0] += 10;                    /* as if its own anchor were elsewhere */

    stage_finish_job(stage, SL_OK);

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_REFUSE), 3);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 0);
}

Test(cohort, stays_when_the_reference_is_near_enough)
{
    stage->holds_jobs = true;
    stage->node->n_distances = 1;
    stage->node->distances[0] = (struct distance){1, stage_epoch(stage)};
    forged = forge_cohort(stage, 3);
    stage->node->anchor[0] += 1;

    stage_finish_job(stage, SL_OK);

    cr_assert_eq(state(), COHORT_COMMITTED);
}

/* ---- what is left of it ---- */

static bool is_zero(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        if (at[i] != 0) return false;
    return true;
}

Test(cohort, wipes_what_was_put_in_when_the_epoch_is_over)
{
    to_summed();
    size_t size = sizeof(uint32_t) * stage->node->k;
    cr_assert_not(is_zero(stage->node->cohort.z, size), "it put something in");

    stage_next_epoch(stage);

    cr_assert(is_zero(stage->node->cohort.z, size));
}

Test(cohort, wipes_its_secrets_as_soon_as_the_run_is_void)
{
    stage->holds_jobs = true;
    forged = forge_cohort(stage, 3);
    const struct formation *formation = &stage->node->formation;
    cr_assert_not(is_zero(formation->mask_secret, 32), "they wait for the training result");
    cr_assert_not(is_zero(formation->box_secret, 32));
    struct sl_refuse body = {.reason = REFUSAL_REFERENCE};
    struct sl_writer writer = puppet_begin(stage, 1, SL_MESSAGE_REFUSE, forged->epoch, forged->cohort);
    sl_write_refuse(&writer, &body);
    puppet_say(stage, 1, &writer, SL_MESSAGE_REFUSE);

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert(is_zero(formation->mask_secret, 32));
    cr_assert(is_zero(formation->box_secret, 32));
    stage_finish_job(stage, SL_OK);
    stage_to_phase(stage, .99);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 0, "and nothing is masked with what is gone");
}

Test(cohort, nothing_is_left_in_memory_of_a_node_that_is_finished)
{
    to_summed();
    uint8_t *memory = (uint8_t *)stage->node;            /* what lies before it is alignment */
    size_t size = sl_node_size(&stage->config, &sl_model_stub) - (size_t)(memory - (uint8_t *)stage->memory);
    memory[size - 1] = 1;                                /* all of it may have been in use */

    sl_node_finish(stage->node);

    for (size_t i = 0; i < size; i++) cr_assert_eq(memory[i], 0, "byte %zu of %zu", i, size);
}

/* ---- real cores only ---- */

struct collected { uint32_t n_aggregates, sizes[SL_MESH_COHORT_MAX + 1]; };

static void collect(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event)
{
    struct collected *collected = context;
    (void)node;
    (void)now_us;
    if (event->type != SL_TRACE_AGGREGATE) return;
    collected->n_aggregates++;
    collected->sizes[event->a]++;
}

/* Adds up y and z of all members of node 0's cohort. */
static void check_sums(const struct cluster *cluster)
{
    const struct sl_node *first = sl_sim_node(cluster->sim, 0);
    const struct cohort *cohort = &first->cohort;
    uint32_t n = cohort->n_members;
    for (uint32_t j = 0; j < first->n_block; j++) {
        uint32_t sum_y = 0, sum_z = 0;
        for (uint32_t i = 0; i < n; i++) {
            const struct sl_node *member = sl_sim_node(cluster->sim, sl_sim_find(cluster->sim, cohort->members[i].id));
            const uint8_t *b = member->cohort.members[member->cohort.own].vector + 4 * j;
            sum_y += b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
            sum_z += member->cohort.z[j];
        }
        cr_assert_eq(sum_y, sum_z, "%u members, coordinate %u", n, j);
        cr_assert_eq(sum_y, cohort->sum[j], "%u members, coordinate %u", n, j);
    }
}

Test(cohorts_of_cores, masks_cancel_to_the_bit_for_every_size)
{
    for (uint32_t n = 4; n <= 8; n++) {
        struct collected collected = {0};
        struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = n, .seed = n, .dim = 300, .listen = collect, .listen_context = &collected});
        cr_assert_eq(cluster_run(cluster, 1.9), SL_OK, "%s", cluster->why);

        cr_assert_eq(collected.n_aggregates, n);
        cr_assert_eq(collected.sizes[n], n);
        check_sums(cluster);
        cluster_destroy(&cluster);
    }
}

Test(cohorts_of_cores, a_single_masked_vector_looks_like_noise)
{
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 4, .seed = 9, .dim = 20000});
    cr_assert_eq(cluster_run(cluster, 1.9), SL_OK, "%s", cluster->why);

    for (uint32_t i = 0; i < 4; i++) {
        const struct sl_node *node = sl_sim_node(cluster->sim, i);
        const uint8_t *y = node->cohort.members[node->cohort.own].vector;
        for (uint32_t byte = 0; byte < 4; byte++) {
            uint32_t counts[256] = {0};
            double chi2 = 0, expected = node->n_block / 256.0;
            for (uint32_t j = 0; j < node->n_block; j++) counts[y[4 * j + byte]]++;
            for (int v = 0; v < 256; v++) chi2 += (counts[v] - expected) * (counts[v] - expected) / expected;
            cr_assert(chi2 > 150 && chi2 < 380, "n%u byte %u: chi-square %g with 255 degrees of freedom", i, byte, chi2);
        }
        cr_assert_neq(node->cohort.z[0], y[0] + 256u * y[1] + 65536u * y[2] + 16777216u * y[3]);
    }
    cluster_destroy(&cluster);
}

Test(cohorts_of_cores, wipe_the_secrets_of_their_masks_after_use)
{
    static const uint8_t zero[32];
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 5, .seed = 9});
    cr_assert_eq(cluster_run(cluster, 1.9), SL_OK, "%s", cluster->why);

    for (uint32_t i = 0; i < 5; i++) {
        const struct sl_node *node = sl_sim_node(cluster->sim, i);
        cr_assert_eq(node->cohort.state, COHORT_DONE);
        cr_assert_eq(memcmp(node->formation.mask_secret, zero, 32), 0);
        cr_assert_eq(memcmp(node->formation.box_secret, zero, 32), 0);
    }
    cluster_destroy(&cluster);
}
