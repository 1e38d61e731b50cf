/* SPDX-License-Identifier: MIT */
/* What a core does with proofs against liars: whom it bans, to whom it passes them on, and what false ones cost. The proofs themselves: test_evidence.c. */
#include <criterion/criterion.h>
#include <string.h>

#include "cohort/evidence.h"
#include "company.h"
#include "forge.h"
#include "starling/error.h"

enum { N_PUPPETS = 20, N_LISTED = 16, LIAR = 3, TELLER = 5, STRANGER = 18 };

static struct stage *stage;
static struct forged *forged;
static uint8_t proof[4096];              /* a message, sealed by its teller */
static size_t proof_size;

static void make_stage(void)
{
    stage = stage_new(&(struct stage_options){.n_puppets = N_PUPPETS, .n_listed = N_LISTED, .seed = 4});
    stage_start(stage);
    stage_hush(stage);
    stage_next_epoch(stage);
    stage_connect_all(stage);
    stage_forget(stage);
}

static void drop_stage(void)
{
    forge_destroy(&forged);
    stage_destroy(&stage);
}

TestSuite(core_evidence, .init = make_stage, .fini = drop_stage);

/* ---- making proofs ---- */

/* One of the CONFIRMs that `author` signs in the epoch. */
static size_t sign_confirm(uint32_t author, uint8_t story, uint8_t out[512])
{
    struct sl_confirm body = {.chain = {story}};
    struct sl_writer writer = puppet_begin(stage, author, SL_MESSAGE_CONFIRM, stage_epoch(stage), (const uint8_t[32]){story});
    sl_write_confirm(&writer, &body);
    size_t size = puppet_seal(stage, author, &writer, SL_MESSAGE_CONFIRM);
    cr_assert_leq(size, 512);
    memcpy(out, stage->out, size);
    return size;
}

/* As two CONFIRMs of the accused; equal ones prove nothing. */
static void make_proof(uint32_t teller, uint32_t accused, uint8_t first, uint8_t second)
{
    uint8_t confirms[2][512];
    struct sl_evidence evidence = {.kind = SL_EVIDENCE_TWO_BODIES, .n_messages = 2};
    memcpy(evidence.sign_public, stage_identity(stage, accused)->sign_public, 32);
    for (uint32_t i = 0; i < 2; i++) {
        evidence.message_sizes[i] = sign_confirm(accused, i == 0 ? first : second, confirms[i]);
        evidence.messages[i] = confirms[i];
    }
    struct sl_writer writer = puppet_begin(stage, teller, SL_MESSAGE_EVIDENCE, stage_epoch(stage), NULL);
    sl_write_evidence(&writer, &evidence);
    proof_size = puppet_seal(stage, teller, &writer, SL_MESSAGE_EVIDENCE);
    cr_assert_leq(proof_size, sizeof proof);
    memcpy(proof, stage->out, proof_size);
}

static void tell(uint32_t teller, uint32_t accused)
{
    make_proof(teller, accused, 1, 2);
    puppet_deliver(stage, teller, proof, proof_size);
}

static bool is_banned(uint32_t puppet)
{
    return advert_is_listed(stage->node, stage_identity(stage, puppet)->id);
}

static uint32_t n_proven(void)
{
    return stage->told[SL_TRACE_PROVEN].n;
}

static uint64_t n_refused(void)
{
    return stage_status(stage).messages_refused;
}

/* ---- a valid proof ---- */

Test(core_evidence, a_proof_bans_the_liar_and_ends_its_connection)
{
    cr_assert_neq(stage->link[LIAR], 0);
    tell(TELLER, LIAR);

    cr_assert(is_banned(LIAR));
    cr_assert_eq(n_proven(), 1);
    cr_assert(sl_hash_equal(stage->told[SL_TRACE_PROVEN].last.peer, stage->puppets[LIAR].id));
    cr_assert_eq(stage->told[SL_TRACE_PROVEN].last.a, SL_EVIDENCE_TWO_BODIES);
    cr_assert_eq(stage->link[LIAR], 0);
    cr_assert_neq(stage->link[TELLER], 0, "who told it stays");
    cr_assert_eq(stage_status(stage).peers_banned, 1);
    cr_assert_eq(stage_status(stage).banned_by_proof, 1);
}

Test(core_evidence, a_proof_goes_once_to_everybody_else)
{
    tell(TELLER, LIAR);
    for (uint32_t puppet = 0; puppet < N_LISTED; puppet++) {
        uint32_t wanted = puppet != TELLER && puppet != LIAR;
        cr_assert_eq(stage_count_to(stage, SL_MESSAGE_EVIDENCE, puppet), wanted, "puppet %u", puppet);
    }
    struct sl_envelope told, passed_on;
    const struct sent *sent = stage_last(stage, SL_MESSAGE_EVIDENCE);
    cr_assert_eq(sl_envelope_open(proof, proof_size, stage->config.network_id, &told), SL_OK);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &passed_on), SL_OK);
    cr_assert_eq(told.body_size, passed_on.body_size);
    cr_assert_arr_eq(told.body, passed_on.body, told.body_size, "the proof itself is passed on as it came");
}

Test(core_evidence, a_proof_that_comes_again_costs_nothing)
{
    tell(TELLER, LIAR);
    uint32_t n_sent = stage_count(stage, SL_MESSAGE_EVIDENCE);
    uint64_t n_checks = stage_status(stage).signature_checks;
    tell(TELLER, LIAR);
    tell(TELLER + 1, LIAR);

    cr_assert_eq(n_proven(), 1);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_EVIDENCE), n_sent);
    cr_assert_eq(stage_status(stage).signature_checks, n_checks);
    cr_assert_eq(n_refused(), 0);
}

Test(core_evidence, a_ban_by_proof_survives_a_restart)
{
    tell(TELLER, LIAR);
    stage_restart(stage);
    stage_hush(stage);
    cr_assert(is_banned(LIAR));
    stage_next_epoch(stage);
    stage_connect(stage, LIAR);
    cr_assert_eq(stage->link[LIAR], 0, "it is not let in any more");
}

/* ---- proofs that concern nobody ---- */

Test(core_evidence, a_proof_against_somebody_unknown_is_passed_over)
{
    tell(TELLER, STRANGER);
    cr_assert_not(is_banned(STRANGER));
    cr_assert_eq(n_proven(), 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_EVIDENCE), 0);
    cr_assert_eq(n_refused(), 0);
}

Test(core_evidence, a_proof_against_ourselves_is_passed_over)
{
    tell(TELLER, PUPPET_SELF);
    cr_assert_not(is_banned(PUPPET_SELF));
    cr_assert_eq(stage_count(stage, SL_MESSAGE_EVIDENCE), 0);
    cr_assert_eq(stage_status(stage).peers_banned, 0);
}

Test(core_evidence, whom_the_operator_let_in_again_stays_in)
{
    tell(TELLER, LIAR);
    cr_assert(is_banned(LIAR));
    stage_control(stage, SL_CONTROL_UNBAN, LIAR);
    cr_assert_not(is_banned(LIAR));
    stage_connect(stage, LIAR);
    tell(TELLER, LIAR);

    cr_assert_not(is_banned(LIAR), "whatever old proofs say");
    cr_assert_eq(n_proven(), 1);
}

/* Bans by hand of identities that exist nowhere. */
static void fill_table(uint8_t first[32])
{
    for (uint32_t i = stage->node->members.n_banned; i < BANS_MAX; i++) {
        struct sl_event event = {.type = SL_EVENT_CONTROL, .control = {.verb = SL_CONTROL_BAN}};
        sl_hash_once("anybody", &i, sizeof i, event.control.peer);
        if (stage->node->members.n_banned == 0 || i == 1) memcpy(first, event.control.peer, 32);
        stage_step(stage, &event);
    }
}

Test(core_evidence, a_proof_against_somebody_near_pushes_the_oldest_idle_ban_out_of_a_full_table)
{
    uint8_t oldest_idle[32];
    tell(TELLER, LIAR);
    fill_table(oldest_idle);
    tell(TELLER, LIAR + 1);

    cr_assert(is_banned(LIAR + 1));
    cr_assert(is_banned(LIAR), "the oldest of all is in the view");
    cr_assert_not(advert_is_listed(stage->node, oldest_idle));
    cr_assert_eq(stage_status(stage).peers_banned, BANS_MAX);
}

Test(core_evidence, a_full_table_of_those_near_loses_no_ban_to_a_proof)
{
    uint8_t first[32];
    fill_table(first);
    for (uint32_t i = 0; i < BANS_MAX; i++) memcpy(stage->node->members.banned[i], stage->puppets[i % 2].id, 32);
    tell(TELLER, LIAR);

    cr_assert_not(is_banned(LIAR));
    cr_assert_eq(n_proven(), 0);
    cr_assert_eq(stage_status(stage).peers_banned, BANS_MAX);
}

/* ---- false proofs ---- */

/* The proof against LIAR with one bit of its body turned. */
static void tell_spoiled(uint32_t teller, size_t at)
{
    struct sl_envelope envelope;
    make_proof(teller, LIAR, 1, 2);
    cr_assert_eq(sl_envelope_open(proof, proof_size, stage->config.network_id, &envelope), SL_OK);
    proof[(size_t)(envelope.body - proof) + at] ^= 1;
    puppet_deliver(stage, teller, proof, proof_size);
}

static size_t body_size(void)
{
    struct sl_envelope envelope;
    make_proof(TELLER, LIAR, 1, 2);
    cr_assert_eq(sl_envelope_open(proof, proof_size, stage->config.network_id, &envelope), SL_OK);
    return envelope.body_size;
}

Test(core_evidence, a_bit_turned_anywhere_in_a_proof_bans_nobody)
{
    for (size_t at = 0, size = body_size(); at < size; at += 3) {
        for (uint32_t i = 0; i < stage->node->links.n_max; i++) stage->node->links.all[i].n_evidence = 0;
        tell_spoiled(TELLER, at);
        cr_assert_eq(stage_status(stage).peers_banned, 0, "byte %zu", at);
    }
    cr_assert_eq(n_proven(), 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_EVIDENCE), 0);
}

Test(core_evidence, a_false_proof_counts_against_who_told_it)
{
    struct sl_view_peer *teller = sl_view_find(&stage->node->view, stage->puppets[TELLER].id);
    uint64_t before = teller->refused;
    make_proof(TELLER, LIAR, 1, 1);
    puppet_deliver(stage, TELLER, proof, proof_size);

    cr_assert_eq(n_refused(), 1);
    cr_assert_eq(teller->refused, before + 1);
    cr_assert_not(is_banned(LIAR));
    cr_assert_not(is_banned(TELLER), "to pass on a lie is no proof");
}

Test(core_evidence, a_connection_has_few_proofs_verified_in_an_epoch)
{
    for (uint32_t i = 0; i < EVIDENCE_MAX; i++) {
        make_proof(TELLER, LIAR, 1, 1);
        puppet_deliver(stage, TELLER, proof, proof_size);
    }
    uint64_t n_checks = stage_status(stage).signature_checks, n_bad = n_refused();
    tell(TELLER, LIAR);
    cr_assert_not(is_banned(LIAR), "it told its share of this epoch");
    cr_assert_eq(stage_status(stage).signature_checks, n_checks);
    cr_assert_eq(n_refused(), n_bad);

    tell(TELLER + 1, LIAR);
    cr_assert(is_banned(LIAR), "others have theirs");
    stage_next_epoch(stage);
    tell(TELLER, LIAR + 1);
    cr_assert(is_banned(LIAR + 1), "and so has it in the next epoch");
}

/* ---- what a banned liar says ---- */

Test(core_evidence, a_liar_proven_before_gets_no_answer_to_its_propose)
{
    stage_to_epoch_as(stage, false);
    stage_connect_all(stage);
    tell(TELLER, LIAR);
    forged = forge_new(stage, LIAR, (const uint32_t[]){PUPPET_SELF, LIAR, 1, 2}, 4);
    forge_seal_propose(forged);
    forge_say_propose(forged);
    stage_to_phase(stage, stage->config.phase_formation * .43);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_JOIN, LIAR), 0);
    cr_assert_eq(stage->node->formation.n_heard, 0);
}

Test(core_evidence, a_liar_in_the_cohort_under_way_is_hung_up_on_when_the_epoch_ends)
{
    forged = forge_cohort(stage, 4);
    struct company *company = company_new(forged);
    stage_connect_all(stage);
    tell(TELLER, LIAR);
    cr_assert(is_banned(LIAR));
    cr_assert_neq(stage->link[LIAR], 0, "its partners need it");
    company_run(company);
    cr_assert_eq(stage->node->cohort.state, COHORT_DONE, "what it is good for it does");

    company_destroy(&company);
    stage_next_epoch(stage);
    cr_assert_eq(stage->link[LIAR], 0);
}

/* ---- contradictions in the forming of cohorts ---- */

Test(core_evidence, a_second_roster_of_our_initiator_convicts_it)
{
    forged = forge_cohort(stage, 4);
    forge_say_roster(forged);
    cr_assert_eq(n_proven(), 0, "the same again is none");

    forged->n_members--;
    forge_roster(forged);
    forge_say_roster(forged);
    cr_assert(is_banned(forged->initiator));
    cr_assert_eq(n_proven(), 1);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_EVIDENCE, TELLER), 1);
}

Test(core_evidence, a_second_roster_with_a_bad_signature_convicts_nobody)
{
    forged = forge_cohort(stage, 4);
    forged->n_members--;
    forge_roster(forged);
    forged->roster_bytes[forged->roster_size - 3] ^= 1;
    for (uint32_t i = 0; i < EVIDENCE_MAX + 3; i++) forge_say_roster(forged);
    cr_assert_not(is_banned(forged->initiator));
    cr_assert_eq(n_proven(), 0);
}

Test(core_evidence, a_second_propose_convicts_its_initiator)
{
    forged = forge_cohort(stage, 4);
    forge_destroy(&forged);
    stage_to_epoch_as(stage, false);
    stage_connect_all(stage);
    stage_forget(stage);
    forged = forge_new(stage, 0, (const uint32_t[]){PUPPET_SELF, 0, 1, 2}, 4);
    forge_seal_propose(forged);
    forge_say_propose(forged);
    cr_assert_eq(stage->node->formation.n_heard, 1, "the first one was held");
    forge_say_propose(forged);
    cr_assert_eq(n_proven(), 0, "the same again is none");
    forged->propose.nonce[0] ^= 1;
    forge_seal_propose(forged);
    forge_say_propose(forged);
    cr_assert(is_banned(0));
    cr_assert_eq(n_proven(), 1);
}
