/* SPDX-License-Identifier: MIT */
/* Privacy where nodes meet: whose cohort a node joins, when it pays, what is in the sum, and that nobody else has a say in its parameters. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/samples.h"
#include "cluster.h"
#include "company.h"
#include "config/plan.h"
#include "share/quantise.h"
#include "starling/error.h"

enum { MEMBERS = 10, DIM = 16 };

#define NODE_SETTINGS "privacy.unit=node", "privacy.node_clip=.5", "privacy.node_noise=4", "privacy.dataset=letters", "privacy.records=1000", \
    "privacy.honest=5", "privacy.colluders=3", "cohort.size=10", "cohort.min_size=10", "cohort.max_size=12", "privacy.eps_max=100"
#define RECORD_SETTINGS "privacy.unit=record", "privacy.dataset=letters", "privacy.records=1000", "privacy.sampling_rate=.1", "privacy.batch=100", \
    "privacy.steps=10", "privacy.clip=1", "privacy.noise=2", "privacy.eps_max=100"

static struct stage *stage;
static struct forged *forged;
static struct company *company;

static void open_node(void)
{
    stage = stage_new(&(struct stage_options){.n_puppets = MEMBERS - 1, .seed = 1, .dim = DIM, .settings = {NODE_SETTINGS}});
    stage_start(stage);
}

static void open_record(void)
{
    stage = stage_new(&(struct stage_options){.n_puppets = 3, .seed = 1, .dim = DIM, .settings = {RECORD_SETTINGS}});
    stage_start(stage);
}

static void drop_stage(void)
{
    company_destroy(&company);
    forge_destroy(&forged);
    stage_destroy(&stage);
}

TestSuite(unit_node, .init = open_node, .fini = drop_stage);
TestSuite(unit_record, .init = open_record, .fini = drop_stage);
TestSuite(messages, .fini = drop_stage);

static void to_roster(void)
{
    company_destroy(&company);
    forge_destroy(&forged);
    forged = forge_cohort(stage, stage->node->unit == SL_UNIT_NODE ? MEMBERS - 1 : 3);
    company = company_new(forged);
}

static uint64_t n_charges(void)
{
    return stage_status(stage).privacy.rounds_charged;
}

/* ---- whose cohort it joins ---- */

/* A PROPOSE of puppet 0 to it and to as many others as a cohort needs, not yet sealed. */
static void prepare(void)
{
    uint32_t members[MEMBERS] = {PUPPET_SELF}, n = stage->node->unit == SL_UNIT_NODE ? MEMBERS : 4;
    for (uint32_t i = 1; i < n; i++) members[i] = i - 1;
    stage_to_epoch_as(stage, false);
    stage_connect_all(stage);
    stage_forget(stage);
    forge_destroy(&forged);
    forged = forge_new(stage, 0, members, n);
}

static uint32_t joins_of(void)
{
    forge_seal_propose(forged);
    forge_say_propose(forged);
    stage_to_phase(stage, stage->config.phase_formation * .43);
    return stage_count(stage, SL_MESSAGE_JOIN);
}

static void expect_declined(int64_t term)
{
    cr_assert_eq(joins_of(), 0);
    cr_assert_eq(stage->told[SL_TRACE_DECLINED].n, 1);
    cr_assert_eq(stage->told[SL_TRACE_DECLINED].last.a, term);
}

static void say_nothing_of_noise(struct sl_propose *propose, uint32_t unit)
{
    propose->unit = unit;
    propose->clip_bits = propose->sigma2 = 0;
}

Test(unit_node, joins_a_cohort_of_its_own_terms_and_declines_every_other)
{
    prepare();
    cr_assert_eq(joins_of(), 1, "the test can fail");
    cr_assert_eq(stage->told[SL_TRACE_DECLINED].n, 0);

    prepare();
    say_nothing_of_noise(&forged->propose, SL_UNIT_RECORD);
    expect_declined(TERM_UNIT);
    prepare();
    say_nothing_of_noise(&forged->propose, SL_UNIT_OFF);
    expect_declined(TERM_UNIT);
    prepare();
    forged->propose.clip_bits += UINT64_C(1) << 52;          /* twice as large */
    expect_declined(TERM_CLIP);
    prepare();
    forged->propose.sigma2--;
    expect_declined(TERM_NOISE);
    prepare();
    forged->propose.sigma2++;
    expect_declined(TERM_NOISE);
}

Test(unit_record, joins_a_cohort_of_its_own_unit_only)
{
    prepare();
    cr_assert_eq(joins_of(), 1);
    prepare();
    forged->propose.unit = SL_UNIT_OFF;
    expect_declined(TERM_UNIT);
    prepare();
    forged->propose.unit = SL_UNIT_NODE;
    forged->propose.ring_bits = 32;
    forged->propose.radius_q = 65536;
    forged->propose.clip_bits = UINT64_C(0x3ff0000000000000);
    forged->propose.sigma2 = 1;
    expect_declined(TERM_UNIT);
}

Test(unit_node, wants_enough_honest_noise_in_every_cohort_it_sits_in)
{
    static const struct { uint32_t c, f, h; bool is_allowed; } cases[] = {
        {10, 3, 5, true}, {9, 3, 5, false}, {10, 4, 5, false}, {10, 3, 6, false}, {16, 3, 10, true}, {16, 3, 11, false}, {11, 7, 1, false}, {64, 19, 32, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stage->node->config.privacy_colluders = cases[i].f;
        stage->node->config.privacy_honest = cases[i].h;
        cr_assert_eq(privacy_allows(stage->node, cases[i].c), cases[i].is_allowed, "case %zu", i);
    }
}

Test(unit_node, sits_out_when_honest_sketches_could_wrap)
{
    cr_assert(privacy_fits_ring(stage->node), "this block is not audited");
    stage->node->n_block = 100000;
    cr_assert(!privacy_fits_ring(stage->node));
    stage->node->config.privacy_node_noise = .5;
    cr_assert(privacy_fits_ring(stage->node));
}

/* ---- when it pays ---- */

Test(unit_node, pays_when_keys_are_agreed_on_and_not_before)
{
    to_roster();
    cr_assert_eq(n_charges(), 0, "a roster alone costs nothing");
    cr_assert_eq(stage->told[SL_TRACE_TRAINING].n, 0, "and nothing is read");

    company_run(company);

    cr_assert_eq(n_charges(), 1);
    cr_assert_eq(stage->node->cohort.state, COHORT_DONE);
    cr_assert_eq(stage_status(stage).privacy.rounds_released, 1);
    cr_assert_eq(stage_status(stage).privacy.rounds_wasted, 0);
}

Test(unit_node, pays_nothing_for_a_reference_far_from_its_own_anchor)
{
    to_roster();
    stage->node->n_distances = 1;
    stage->node->distances[0] = (struct distance){.value = 1, .epoch = stage_epoch(stage)};
    for (uint32_t j = 0; j < DIM; j++) stage->node->anchor[j] += 100;        /* as if its own anchor were elsewhere */
    company_run(company);

    cr_assert_eq(n_charges(), 0);
    cr_assert_eq(stage->told[SL_TRACE_REFUSED].last.a, REFUSAL_REFERENCE);
}

Test(unit_node, opens_nothing_when_fewer_than_the_threshold_are_left)
{
    to_roster();
    uint32_t n_silent = 0;
    for (uint32_t i = 0; i < MEMBERS && n_silent < 3; i++) {
        if (!company->players[i].session) continue;
        company_mute(company, i, SL_MESSAGE_COMMIT);
        n_silent++;
    }
    company_run(company);
    stage_to_phase(stage, .99);

    cr_assert_eq(stage->node->cohort.state, COHORT_VOID);
    cr_assert_eq(sl_session_set(stage->node->cohort.session, SL_STEP_LIST_OPEN), 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_OPEN), 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_UNMASK), 0);
    cr_assert_eq(n_charges(), 1, "what was paid is gone");
    stage_next_epoch(stage);
    cr_assert_eq(stage_status(stage).privacy.rounds_wasted, 1);
}

/* ---- what is in the sum, and what is left ---- */

Test(unit_node, adds_its_release_to_the_sum_and_keeps_no_copy)
{
    to_roster();
    stage->holds_jobs = true;
    company_run(company);
    cr_assert_eq(stage->n_jobs, 1);
    stage_finish_job(stage, SL_OK);
    cr_assert_eq(stage->node->cohort.has_given, true);
    static const int32_t nothing[DIM];
    cr_assert_arr_eq(stage->node->release, nothing, sizeof nothing);
    company_run(company);

    cr_assert_eq(stage->node->cohort.state, COHORT_DONE);
    const uint32_t *sum = sl_session_sum(stage->node->cohort.session);
    double energy = 0;
    for (uint32_t j = 0; j < DIM; j++) {
        uint32_t rest = sum[j];
        for (uint32_t i = 0; i < MEMBERS; i++) rest -= company->inputs[i] ? company->inputs[i][j] : 0;
        energy += (double)(int32_t)rest * (int32_t)rest;
    }
    double share = (double)sl_charge_of(&stage->config, DIM).sigma2;
    cr_assert(energy > DIM * share / 5 && energy < DIM * share * 4, "%g for %g", energy, DIM * share);
}

Test(unit_node, its_model_is_the_public_anchor_after_every_merge)
{
    float *before = calloc(DIM, sizeof *before);
    memcpy(before, stage->node->weights, DIM * sizeof *before);
    to_roster();
    company_run(company);
    stage_to_phase(stage, .99);

    cr_assert_eq(stage_status(stage).epochs_merged, 1);
    cr_assert_arr_eq(stage->node->weights, stage->node->anchor, DIM * sizeof(float));
    cr_assert_neq(memcmp(stage->node->weights, before, DIM * sizeof *before), 0);
    free(before);
}

/* One clip norm in the weights is 2^20 in the ring, whatever the clip norm is. */
Test(unit_node, publishes_the_reference_and_the_mean_of_changes_in_clip_norms)
{
    to_roster();
    company_run(company);
    const struct sl_node *node = stage->node;
    const struct aggregate *slot = &node->pulls.slots[stage_epoch(stage) % OWN_SLOTS];
    const uint32_t *sum = sl_session_sum(node->cohort.session);
    float mean[DIM], ref[DIM];
    sl_mean_decode(slot->bytes, DIM, slot->bits, slot->exponent, mean);
    sl_ref_decode(node->cohort.ref, DIM, node->cohort.ref_exponent, ref);

    cr_assert_eq(node->cohort.ring_exponent, 21, "the clip norm is one half");
    for (uint32_t j = 0; j < DIM; j++) {
        double wanted = ref[j] + .5 * (int32_t)sum[j] / 1048576.0 / MEMBERS;
        cr_assert_float_eq(mean[j], wanted, 1e-3 + fabs(wanted) * 1e-3, "coordinate %u", j);
    }
}

/* ---- real cores: the noise in sums ---- */

struct energies { struct cluster *cluster; uint32_t n, n_odd, n_void; double least, most; };

static void measure(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event)
{
    struct energies *energies = context;
    (void)now_us;
    energies->n_odd += event->type == SL_TRACE_ODD_SUM;
    energies->n_void += event->type == SL_TRACE_VOID || event->type == SL_TRACE_VOID_ALONE;
    if (event->type != SL_TRACE_AGGREGATE) return;

    const struct sl_node *core = sl_sim_node(energies->cluster->sim, node);
    const uint32_t *sum = sl_session_sum(core->cohort.session);
    double energy = 0, due = (double)event->a * core->n_block * (double)core->cohort.sigma2;
    for (uint32_t j = 0; j < core->n_block; j++) energy += (double)(int32_t)sum[j] * (int32_t)sum[j];
    if (energies->n == 0 || energy / due < energies->least) energies->least = energy / due;
    if (energies->n == 0 || energy / due > energies->most) energies->most = energy / due;
    energies->n++;
}

/* The sum of c shares has c times the variance of one: chi-square with as many degrees of freedom as there are coordinates. */
Test(sums_of_cores, hold_a_share_of_noise_of_every_member)
{
    enum { COORDINATES = 5000 };
    struct energies energies = {0};
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 10, .seed = 5, .dim = COORDINATES, .settings = {NODE_SETTINGS},
                                                                    .listen = measure, .listen_context = &energies});
    energies.cluster = cluster;
    cr_assert_eq(cluster_run(cluster, 3.9), SL_OK, "%s", cluster->why);

    cr_assert_eq(energies.n, 30, "ten members in three epochs");
    cr_assert_eq(energies.n_void, 0);
    double slack = 4.5 * sqrt(2.0 / COORDINATES);
    cr_assert(energies.least > 1 - slack && energies.most < 1 + slack + .002, "%g to %g", energies.least, energies.most);
    cr_assert_eq(energies.n_odd, 0);
    cluster_destroy(&cluster);
}

Test(sums_of_cores, of_unit_record_are_audited_by_32_rows)
{
    struct energies energies = {0};
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 5, .seed = 5, .dim = 100, .settings = {RECORD_SETTINGS},
                                                                    .listen = measure, .listen_context = &energies});
    energies.cluster = cluster;
    cr_assert_eq(cluster_run(cluster, 1.9), SL_OK, "%s", cluster->why);
    cr_assert_eq(energies.n, 5);
    cr_assert_eq(sl_sim_node(cluster->sim, 0)->cohort.rows, 32);
    cluster_destroy(&cluster);
}

/* ---- no message moves a parameter ---- */

struct watch { struct sl_config config; struct sl_charge plan; };

static struct watch watch_begin(void)
{
    struct watch watch;
    memcpy(&watch.config, &stage->node->config, sizeof watch.config);
    watch.plan = sl_charge_of(&stage->config, stage->node->k);
    return watch;
}

static bool is_same_charge(const struct sl_charge *a, const struct sl_charge *b)
{
    return a->unit == b->unit && a->adjacency == b->adjacency && a->mechanism == b->mechanism && a->q64 == b->q64 && a->sigma2 == b->sigma2 &&
           a->sensitivity == b->sensitivity && a->steps == b->steps && a->honest == b->honest && a->audit_rows == b->audit_rows && a->dim == b->dim;
}

/* Nothing of the configuration has moved, and what stands in the ledger is what was configured. */
static void expect_unmoved(const struct watch *watch, const char *what)
{
    cr_assert_eq(memcmp(&watch->config, &stage->node->config, sizeof watch->config), 0, "after %s", what);

    struct sl_ledger ledger;
    uint8_t key[32];
    sl_ledger_key(stage->self.sign_secret, key);
    sl_ledger_init(&ledger, key);
    for (size_t at = 0; at < stage->ledger_size; at += SL_LEDGER_RECORD) {
        cr_assert_eq(sl_ledger_take(&ledger, stage->ledger + at), SL_OK);
        cr_assert_neq(stage->ledger[at + 6], SL_LEDGER_LOWER, "after %s", what);
        if (stage->ledger[at + 6] == SL_LEDGER_CHARGE) cr_assert(is_same_charge(&ledger.charge.charge, &watch->plan), "after %s", what);
    }
    cr_assert_eq(ledger.eps_max, watch->config.privacy_eps_max, "after %s", what);
    cr_assert_eq(ledger.delta, watch->config.privacy_delta, "after %s", what);
}

static void mutate(struct sl_rng *rng, struct sl_writer *writer, size_t from)
{
    uint32_t n = sl_rng_below(rng, 4);
    for (uint32_t i = 0; i < n && writer->size > from; i++)
        writer->bytes[from + sl_rng_below(rng, (uint32_t)(writer->size - from))] ^= (uint8_t)(1 << sl_rng_below(rng, 8));
}

/* A message of any kind, rightly signed by an admitted peer, whose body is a sample, now and then with some bits changed. */
static enum sl_message_type say_anything(struct sl_rng *rng)
{
    enum sl_message_type type = sample_types[sl_rng_below(rng, SAMPLE_TYPES)];
    uint32_t puppet = sl_rng_below(rng, stage->options.n_listed);
    const uint8_t *cohorts[] = {NULL, stage->node->cohort.id, stage->node->formation.own.hash};
    struct sl_writer writer = puppet_begin(stage, puppet, type, stage_epoch(stage), cohorts[sl_rng_below(rng, 3)]);
    size_t from = writer.size;
    sample_write_body(&writer, type, sl_rng_below(rng, 2) ? SAMPLE_LARGE : SAMPLE_SMALL);
    mutate(rng, &writer, from);
    stage_connect(stage, puppet);
    size_t size = puppet_seal(stage, puppet, &writer, type);
    if (size > 0 && stage->link[puppet]) puppet_deliver(stage, puppet, stage->out, size);
    return type;
}

/* A PROPOSE that would be acceptable but perhaps for what it says of privacy, then everything that follows from it if it is answered. */
static void say_proposal(struct sl_rng *rng)
{
    prepare();
    struct sl_propose *propose = &forged->propose;
    switch (sl_rng_below(rng, 6)) {
    case 0: propose->sigma2 += 1 + sl_rng_below(rng, 1000); break;
    case 1: propose->clip_bits += (uint64_t)(1 + sl_rng_below(rng, 3)) << 52; break;
    case 2: say_nothing_of_noise(propose, sl_rng_below(rng, 2)); break;
    case 3: propose->radius_q = 1 + sl_rng_u32(rng) / 2; break;
    default: break;                                      /* acceptable */
    }
    joins_of();
    if (!forge_take_join(forged)) return;

    forge_joins(forged);
    forge_roster(forged);
    forge_say_roster(forged);
    company_destroy(&company);
    company = company_new(forged);
    company_run(company);
}

static void storm_of_messages(uint32_t n_rounds)
{
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){7});
    stage_next_epoch(stage);
    struct watch watch = watch_begin();
    for (uint32_t i = 0; i < n_rounds; i++) {
        stage_forget(stage);
        if (i % 10 == 9) {
            say_proposal(&rng);
            expect_unmoved(&watch, "a proposal");
        } else {
            expect_unmoved(&watch, sl_message_name(say_anything(&rng)));
        }
        if (i % 20 == 19) stage_next_epoch(stage);       /* budgets of messages are full again */
    }
    cr_assert_gt(stage->ledger_size, 2 * SL_LEDGER_RECORD, "rounds were charged");
}

Test(messages, never_move_a_parameter_of_unit_record)
{
    open_record();
    storm_of_messages(300);
}

Test(messages, never_move_a_parameter_of_unit_node)
{
    open_node();
    storm_of_messages(300);
}
