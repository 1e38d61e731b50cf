/* SPDX-License-Identifier: MIT */
/* A session in its node: one real core among puppets with sessions of their own, and whole cohorts of real cores. The session's own rules: test_session.c. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "cluster.h"
#include "company.h"
#include "share/quantise.h"
#include "starling/error.h"

static struct stage *stage;
static struct forged *forged;
static struct company *company;

static void make_stage(void)
{
    stage = stage_new(&(struct stage_options){.n_puppets = 5, .seed = 1});
    stage_start(stage);
}

static void drop_cohort(void)
{
    company_destroy(&company);
    forge_destroy(&forged);
}

static void drop_stage(void)
{
    drop_cohort();
    stage_destroy(&stage);
}

TestSuite(cohort, .init = make_stage, .fini = drop_stage);

static enum cohort_state state(void)
{
    return stage->node->cohort.state;
}

static enum sl_session_state step(void)
{
    return sl_session_state(stage->node->cohort.session);
}

static uint32_t place_of(uint32_t who)
{
    return forge_place(forged, who);
}

/* With the first three puppets, puppet 0 leads. */
static void to_roster(void)
{
    drop_cohort();
    forged = forge_cohort(stage, 3);
    company = company_new(forged);
}

static bool is_told_of(enum sl_trace_type type, uint32_t who)
{
    const struct told *told = &stage->told[type];
    return told->n > 0 && sl_hash_equal(told->last.peer, stage_identity(stage, who)->id);
}

static void open_last(enum sl_message_type type, struct sl_envelope *envelope)
{
    const struct sent *sent = stage_last(stage, type);
    cr_assert_not_null(sent);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, envelope), SL_OK);
}

/* ---- the course without faults ---- */

Test(cohort, goes_from_the_roster_to_a_signed_aggregate)
{
    static const enum sl_trace_type story[] = {SL_TRACE_ROSTER, SL_TRACE_SHARED, SL_TRACE_AGREED, SL_TRACE_COMMITTED, SL_TRACE_OPENED, SL_TRACE_CONFIRMED,
                                               SL_TRACE_UNMASKED, SL_TRACE_SUMMED, SL_TRACE_AGGREGATE};
    to_roster();
    company_run(company);

    cr_assert_eq(state(), COHORT_DONE);
    for (size_t i = 0; i < sizeof story / sizeof *story; i++) cr_assert_eq(stage->told[story[i]].n, 1, "%s", sl_trace_name(story[i]));
    cr_assert_eq(stage->told[SL_TRACE_AGGREGATE].last.a, 4);
    cr_assert_geq(stage->told[SL_TRACE_AGGREGATE].last.b, 2, "one of four may lie, so two sign");
    cr_assert_eq(stage_status(stage).epochs_with_aggregate, 1);
    cr_assert_eq(stage_status(stage).cohorts_void, 0);
}

/* The sum less what the puppets put in is what the core was trained to, to one unit of the ring. */
Test(cohort, puts_its_training_result_into_the_sum)
{
    to_roster();
    company_run(company);

    const struct sl_node *node = stage->node;
    const uint32_t *sum = sl_session_sum(node->cohort.session);
    cr_assert_not_null(sum);
    float *ref = calloc(node->n_block, sizeof *ref);
    double unit = ldexp(1, -node->cohort.ring_exponent);
    sl_ref_decode(node->cohort.ref, node->n_block, node->cohort.ref_exponent, ref);
    for (uint32_t j = 0; j < node->n_block; j++) {
        uint32_t rest = sum[j];
        for (uint32_t i = 0; i < 4; i++) rest -= company->inputs[i] ? company->inputs[i][j] : 0;
        double value = (int32_t)rest * unit, wanted = node->work[node->block[j]] - ref[j];
        cr_assert_lt(fabs(value - wanted), 2 * unit, "coordinate %u: %g for %g", j, value, wanted);
    }
    free(ref);
}

Test(cohort, keeps_the_aggregate_of_those_who_are_in_the_sum)
{
    to_roster();
    company_run(company);

    const struct aggregate *slot = pull_own_slot(stage->node, stage_epoch(stage));
    cr_assert(slot->complete);
    cr_assert_eq(slot->n_members, 4);
    cr_assert_eq(slot->n_roster, 4);
    for (uint32_t i = 0; i < 4; i++) cr_assert(sl_hash_equal(slot->members[i], stage->node->cohort.members[i].id));
}

Test(cohort, commits_once_with_one_training_result)
{
    to_roster();
    company_run(company);
    stage_to_phase(stage, .99);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 3, "one COMMIT, sent to three members");
    cr_assert_eq(stage->told[SL_TRACE_COMMITTED].n, 1);
}

/* As on a device that slept over the end of the epoch. */
Test(cohort, counts_a_run_that_ends_under_way_as_void_and_remembers_who_was_in_it)
{
    to_roster();
    cr_assert_eq(state(), COHORT_RUNNING);
    cohort_end(stage->node);

    cr_assert_eq(stage_status(stage).cohorts_void, 1);
    cr_assert_eq(stage->node->liveness.n, 3);
    cr_assert_eq(stage->node->deadlines[DEADLINE_ASK], SL_NEVER);
    cr_assert_eq(state(), COHORT_NONE);
}

/* ---- training ---- */

Test(cohort, waits_for_its_training_result_and_commits_then)
{
    stage->holds_jobs = true;
    to_roster();
    company_run(company);
    cr_assert_eq(step(), SL_SESSION_AGREED);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 0);

    stage_finish_job(stage, SL_OK);
    cr_assert_eq(step(), SL_SESSION_COMMITTED);
    company_run(company);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 3);
    cr_assert_eq(state(), COHORT_DONE);
}

static uint32_t refusal_told(void)
{
    struct sl_envelope envelope;
    struct sl_refuse body;
    open_last(SL_MESSAGE_REFUSE, &envelope);
    cr_assert_eq(sl_read_refuse(&envelope, &body), SL_OK);
    return body.reason;
}

/* The others go on without it, and it helps them: the aggregate is also its own. */
static void expect_help(void)
{
    company_run(company);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_UNMASK), 3, "its shares take the others' masks off");
    cr_assert_eq(state(), COHORT_DONE);
    cr_assert_eq(stage->told[SL_TRACE_AGGREGATE].last.a, 3);
}

Test(cohort, never_commits_what_was_trained_too_late)
{
    stage->holds_jobs = true;
    to_roster();
    company_run(company);
    stage_to_phase(stage, .501);
    cr_assert_eq(refusal_told(), REFUSAL_TRAINING);
    stage_finish_job(stage, SL_OK);

    expect_help();
}

Test(cohort, never_commits_what_failed_to_train)
{
    stage->holds_jobs = true;
    to_roster();
    company_run(company);
    stage_finish_job(stage, SL_ERROR_IO);
    cr_assert_eq(refusal_told(), REFUSAL_TRAINING);

    expect_help();
}

Test(cohort, never_commits_weights_that_are_not_finite)
{
    stage->holds_jobs = true;
    to_roster();
    company_run(company);
    stage->stub.optimum[3] = NAN;
    stage_finish_job(stage, SL_OK);

    cr_assert_eq(stage->told[SL_TRACE_TRAIN_FAILED].n, 1);
    expect_help();
}

/* ---- the reference ---- */

Test(cohort, contributes_nothing_when_the_reference_lies_far_from_its_own_anchor)
{
    stage->holds_jobs = true;
    stage->node->n_distances = 3;
    for (int i = 0; i < 3; i++) stage->node->distances[i] = (struct distance){1, stage_epoch(stage)};
    to_roster();
    company_run(company);
    stage->node->anchor[0] += 10;                    /* as if its own anchor were elsewhere */
    stage_finish_job(stage, SL_OK);

    cr_assert_eq(refusal_told(), REFUSAL_REFERENCE);
    expect_help();
}

Test(cohort, stays_when_the_reference_is_near_enough)
{
    stage->holds_jobs = true;
    stage->node->n_distances = 1;
    stage->node->distances[0] = (struct distance){1, stage_epoch(stage)};
    to_roster();
    company_run(company);
    stage->node->anchor[0] += 1;
    stage_finish_job(stage, SL_OK);

    cr_assert_eq(step(), SL_SESSION_COMMITTED);
}

/* ---- told to leave ---- */

Test(cohort, contributes_nothing_and_helps_when_it_is_told_to_leave_while_it_trains)
{
    stage->holds_jobs = true;
    to_roster();
    company_run(company);
    stage_control(stage, SL_CONTROL_LEAVE, 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_REFUSE), 3, "the others need not wait for it");
    cr_assert_eq(refusal_told(), REFUSAL_LEAVING);
    stage_finish_job(stage, SL_OK);

    expect_help();
}

Test(cohort, goes_on_to_the_end_when_it_is_told_to_leave_after_its_commit)
{
    to_roster();
    for (uint32_t who = 0; who < 3; who++) company_mute(company, place_of(who), SL_MESSAGE_COMMIT);
    company_run(company);
    cr_assert_eq(step(), SL_SESSION_COMMITTED);
    stage_control(stage, SL_CONTROL_LEAVE, 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_REFUSE), 0, "it has given already");
    for (uint32_t who = 0; who < 3; who++) {
        company->players[place_of(who)].is_mute[SL_MESSAGE_COMMIT] = false;
        company_repeat(company, place_of(who), place_of(who), SL_MESSAGE_COMMIT);
    }
    company_moment(company, SL_STEP_COMMIT, SL_MOMENT_ASK);

    cr_assert_eq(state(), COHORT_DONE);
}

Test(cohort, takes_nothing_back_when_it_is_told_to_leave_after_its_aggregate)
{
    to_roster();
    company_run(company);
    stage_forget(stage);
    stage_control(stage, SL_CONTROL_LEAVE, 0);

    cr_assert_eq(state(), COHORT_DONE);
    cr_assert_eq(stage->n_sent, 0);
}

/* ---- members that drop ---- */

static const struct { enum sl_message_type type; enum sl_session_step step; double until; } drops[] = {
    {SL_MESSAGE_SHARES, SL_STEP_SHARES, .12 + .28 * .61},
    {SL_MESSAGE_COMMIT, SL_STEP_COMMIT, .50 + .05 * .61},
    {SL_MESSAGE_OPEN, SL_STEP_OPEN, .55 + .17 * .61}};

Test(cohort, survives_a_member_that_vanishes_at_any_step_and_tells_of_it)
{
    for (size_t i = 0; i < sizeof drops / sizeof *drops; i++) {
        uint32_t victim = 1 + i % 2;                     /* who is lost twice in a row is left alone */
        to_roster();
        for (size_t later = i; later < sizeof drops / sizeof *drops; later++) company_mute(company, place_of(victim), drops[later].type);
        company_mute(company, place_of(victim), SL_MESSAGE_NEED);
        company_run(company);
        cr_assert_eq(state(), COHORT_RUNNING, "case %zu: nobody closes a step without a member before its time", i);
        stage_to_phase(stage, drops[i].until);
        company_moment(company, drops[i].step, SL_MOMENT_CLOSE);

        cr_assert_eq(state(), COHORT_DONE, "case %zu", i);
        cr_assert_eq(stage->told[SL_TRACE_AGGREGATE].last.a, 3, "case %zu", i);
        cr_assert(is_told_of(SL_TRACE_DROPPED, victim), "case %zu", i);
    }
}

Test(cohort, is_void_once_when_too_few_are_left)
{
    to_roster();
    company_mute_all(company, place_of(1));
    company_mute_all(company, place_of(2));
    company_run(company);
    stage_to_phase(stage, .97);

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert_eq(stage->told[SL_TRACE_VOID].n + stage->told[SL_TRACE_VOID_ALONE].n, 1);
    cr_assert_eq(stage_status(stage).cohorts_void, 1);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 0);
    stage_next_epoch(stage);
    cr_assert_eq(stage_status(stage).cohorts_void, 1);
}

Test(cohort, asks_author_and_initiator_for_what_it_misses)
{
    to_roster();
    company_mute(company, place_of(1), SL_MESSAGE_SHARES);
    company_run(company);
    stage_to_phase(stage, .12 + .28 * .39);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_NEED, 1), 1, "soon after it dealt its own");
    stage_to_phase(stage, .12 + .28 * .41);

    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_NEED, 1), 2, "its author");
    cr_assert_geq(stage_count_to(stage, SL_MESSAGE_NEED, 0), 1, "the initiator");
    company_repeat(company, place_of(1), place_of(0), SL_MESSAGE_SHARES);
    company->players[place_of(1)].is_mute[SL_MESSAGE_SHARES] = false;
    company_moment(company, SL_STEP_SHARES, SL_MOMENT_ASK);

    cr_assert_eq(state(), COHORT_DONE);
}

Test(cohort, stands_in_for_a_silent_initiator_in_its_turn)
{
    to_roster();
    company_mute(company, place_of(0), SL_MESSAGE_LIST);
    company_run(company);
    uint32_t turn = (place_of(PUPPET_SELF) + 4 - place_of(0)) % 4;
    double share = .75 + .2 * turn / 4;
    stage_to_phase(stage, .12 + .28 * (share - .01));
    cr_assert_eq(stage_count(stage, SL_MESSAGE_LIST), 0);
    stage_to_phase(stage, .12 + .28 * (share + .01));

    cr_assert_eq(stage_count(stage, SL_MESSAGE_LIST), 3);
    cr_assert_eq(step(), SL_SESSION_COMMITTED);
}

/* A device that slept through several moments does not spin, and ends the run. */
Test(cohort, is_woken_late)
{
    to_roster();
    stage_jump_to(stage, stage_epoch(stage) * stage->config.epoch_us + (uint64_t)(.9 * (double)stage->config.epoch_us));

    cr_assert_eq(state(), COHORT_VOID);
    cr_assert_eq(stage->told[SL_TRACE_VOID].n + stage->told[SL_TRACE_VOID_ALONE].n, 1);
}

/* ---- who may say what ---- */

static void need(uint32_t puppet, const uint8_t cohort[32], uint64_t epoch, const uint8_t from[32])
{
    struct sl_need body = {.step = SL_STEP_SHARES};
    memcpy(body.from, from, 32);
    struct sl_writer writer = puppet_begin(stage, puppet, SL_MESSAGE_NEED, epoch, cohort);
    sl_write_need(&writer, &body);
    puppet_say(stage, puppet, &writer, SL_MESSAGE_NEED);
}

Test(cohort, gives_members_what_they_miss_and_strangers_other_cohorts_and_epochs_nothing)
{
    to_roster();
    company_run(company);
    stage_forget(stage);
    uint8_t other[32] = {1};

    need(4, forged->cohort, forged->epoch, stage->self.id);
    need(2, other, forged->epoch, stage->self.id);
    need(2, forged->cohort, forged->epoch + 1, stage->self.id);
    cr_assert_eq(stage->n_sent, 0);

    need(2, forged->cohort, forged->epoch, stage->self.id);
    need(2, forged->cohort, forged->epoch, stage->puppets[1].id);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_SHARES, 2), 2, "its own and that of another member, also when it is done itself");
}

/* ---- what is left of it ---- */

static bool is_zero(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        if (at[i] != 0) return false;
    return true;
}

Test(cohort, hands_its_secrets_to_the_session_and_keeps_none)
{
    stage->holds_jobs = true;
    to_roster();
    const struct formation *formation = &stage->node->formation;

    cr_assert(is_zero(formation->mask_secret, 32));
    cr_assert(is_zero(formation->box_secret, 32));
}

Test(cohort, nothing_is_left_in_memory_of_a_node_that_is_finished)
{
    to_roster();
    company_run(company);
    uint8_t *memory = (uint8_t *)stage->node;            /* what lies before it is alignment */
    size_t size = sl_node_size(&stage->config, &sl_model_stub) - (size_t)(memory - (uint8_t *)stage->memory);
    memory[size - 1] = 1;                                /* all of it may have been in use */

    sl_node_finish(stage->node);

    for (size_t i = 0; i < size; i++) cr_assert_eq(memory[i], 0, "byte %zu of %zu", i, size);
}

/* ---- real cores only; the simulator compares every aggregate with the plain mean of its members ---- */

struct collected { uint32_t n_aggregates, n_void, sizes[SL_COHORT_MAX + 1]; };

static void collect(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event)
{
    struct collected *collected = context;
    (void)node;
    (void)now_us;
    if (event->type == SL_TRACE_VOID || event->type == SL_TRACE_VOID_ALONE) collected->n_void++;
    if (event->type != SL_TRACE_AGGREGATE) return;
    collected->n_aggregates++;
    collected->sizes[event->a]++;
}

static void expect_all(uint32_t n, uint32_t dim, const char *setting)
{
    struct collected collected = {0};
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = n, .seed = n, .dim = dim, .settings = {setting}, .listen = collect,
                                                                    .listen_context = &collected});
    cr_assert_eq(cluster_run(cluster, 1.9), SL_OK, "%s", cluster->why);
    cr_assert_eq(collected.n_aggregates, n, "%u nodes, %u coordinates", n, dim);
    cr_assert_eq(collected.sizes[n], n, "%u nodes, %u coordinates", n, dim);
    cr_assert_eq(collected.n_void, 0);
    cluster_destroy(&cluster);
}

Test(cohorts_of_cores, sum_to_the_plain_mean_for_every_size)
{
    for (uint32_t n = 4; n <= 8; n++) expect_all(n, 300, "ring.bits=32");
}

Test(cohorts_of_cores, sum_to_the_plain_mean_where_they_audit_one_another)
{
    expect_all(4, SL_AUDIT_DIM_MIN, "ring.bits=32");
    expect_all(7, 20000, "ring.bits=32");
}

Test(cohorts_of_cores, sum_to_the_plain_mean_in_a_ring_of_16_bits)
{
    expect_all(5, 300, "ring.bits=16");
    expect_all(5, SL_AUDIT_DIM_MIN, "ring.bits=16");
}

Test(cohorts_of_cores, a_single_masked_vector_looks_like_noise)
{
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 4, .seed = 9, .dim = 20000});
    cr_assert_eq(cluster_run(cluster, 1.9), SL_OK, "%s", cluster->why);

    for (uint32_t i = 0; i < 4; i++) {
        const struct sl_node *node = sl_sim_node(cluster->sim, i);
        const uint8_t *y = sl_session_vector(node->cohort.session, node->cohort.own);
        for (uint32_t byte = 0; byte < 4; byte++) {
            uint32_t counts[256] = {0};
            double chi2 = 0, expected = node->n_block / 256.0;
            for (uint32_t j = 0; j < node->n_block; j++) counts[y[4 * j + byte]]++;
            for (int v = 0; v < 256; v++) chi2 += (counts[v] - expected) * (counts[v] - expected) / expected;
            cr_assert(chi2 > 150 && chi2 < 380, "n%u byte %u: chi-square %g with 255 degrees of freedom", i, byte, chi2);
        }
    }
    cluster_destroy(&cluster);
}
