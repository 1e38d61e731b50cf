/* SPDX-License-Identifier: MIT */
/* An aggregate counts only if all of it proves itself: a valid one of four puppets, and then every single part spoiled. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "company.h"
#include "starling/error.h"
#include "wire/certificate.h"

enum { N_LISTED = 12 };

static struct stage *stage;
static struct forged *forged;

static void make_stage(void)
{
    stage = stage_new(&(struct stage_options){.n_puppets = 14, .n_listed = N_LISTED, .seed = 10, .settings = {"merge.pulls=2"}});
    stage_start(stage);
}

static void drop_stage(void)
{
    forge_destroy(&forged);
    stage_destroy(&stage);
}

TestSuite(pull, .init = make_stage, .fini = drop_stage);

/* The puppet whose aggregate was asked for last, in this epoch. */
static uint32_t asked(void)
{
    const struct sent *sent = stage_last(stage, SL_MESSAGE_PULL);
    cr_assert_not_null(sent, "nobody was asked");
    return sent->to;
}

static uint32_t n_pulled(void)
{
    return stage->told[SL_TRACE_PULLED].n;
}

/* To the time of pulling; a cohort of the puppet that was asked and three others, `last` among them (or any). Not made yet. */
static void to_pulling_with(uint32_t last)
{
    forge_destroy(&forged);
    stage_next_epoch(stage);
    stage_connect_all(stage);
    stage_to_phase(stage, .879);
    stage_forget(stage);
    stage_to_phase(stage, .881);
    uint32_t members[4] = {asked()}, n = 1;
    if (last != UINT32_MAX && last != members[0]) members[n++] = last;
    for (uint32_t i = 0; n < 4; i++) {
        bool here = false;
        for (uint32_t j = 0; j < n; j++) here |= members[j] == i;
        if (!here && stage_count_to(stage, SL_MESSAGE_PULL, i) == 0) members[n++] = i;
    }
    forged = forge_new(stage, members[0], members, 4);
}

static void to_pulling(void)
{
    to_pulling_with(UINT32_MAX);
}

static void serve(void)
{
    forge_say_aggregate(forged, forged->initiator);
    for (uint32_t i = 0; i < forged->mean_tree.n_chunks; i++) forge_say_chunk(forged, forged->initiator, &forged->mean_tree, forged->mean, i);
}

static void expect_refused(const char *what)
{
    uint32_t n_before = n_pulled();
    serve();
    cr_assert_eq(n_pulled(), n_before, "%s", what);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_GET), 0, "%s: no chunk of it is asked for", what);
    cr_assert_geq(stage->told[SL_TRACE_PULL_FAILED].n, 1, "%s", what);
}

/* ---- a valid one ---- */

Test(pull, counts_a_valid_aggregate)
{
    to_pulling();
    forge_aggregate(forged);
    serve();

    cr_assert_eq(n_pulled(), 1);
    cr_assert_eq(stage_status(stage).aggregates_pulled, 1);
}

Test(pull, counts_members_it_does_not_know_if_they_are_admitted)
{
    to_pulling_with(N_LISTED);           /* admitted, but on no list of ours */
    forge_aggregate(forged);
    serve();

    cr_assert_eq(n_pulled(), 1);
}

Test(pull, asks_identities_it_has_drawn_and_each_once)
{
    to_pulling();
    cr_assert_eq(stage_count(stage, SL_MESSAGE_PULL), 2, "merge.pulls");
    cr_assert_neq(stage->sent[0].to, stage->sent[1].to);
}

/* ---- every part spoiled ---- */

/* The bits of the first n places. */
static uint64_t first(uint32_t n)
{
    return ((uint64_t)1 << n) - 1;
}

/* Of four members three make a threshold, and one colluder is tolerated: three CONFIRMs and two RESULTs. */
Test(pull, counts_an_aggregate_with_the_fewest_signatures_that_suffice_and_verifies_no_more)
{
    to_pulling();
    forge_aggregate(forged);
    forge_name_signers(forged, 0xe, 0x9);
    uint64_t before = stage_status(stage).signature_checks;
    serve();
    cr_assert_eq(n_pulled(), 1);
    cr_assert_eq(stage_status(stage).signature_checks - before, 5);

    to_pulling();
    forge_aggregate(forged);
    before = stage_status(stage).signature_checks;
    serve();
    cr_assert_eq(n_pulled(), 1);
    cr_assert_eq(stage_status(stage).signature_checks - before, 6, "eight would say no more; the fourth has joined");
}

/* Three liars make up the JOIN of a fourth who knows nothing of it. */
Test(pull, refuses_an_aggregate_that_names_one_who_neither_signed_nor_joined)
{
    for (uint32_t victim = 0; victim < 4; victim++) {
        to_pulling();
        forge_seal_propose(forged);
        forge_joins(forged);
        forged->members[victim].join[forged->members[victim].join_size - 5] ^= 1;
        forge_prove(forged);
        forge_name_signers(forged, first(4) & ~((uint64_t)1 << victim), first(4) & ~((uint64_t)1 << victim));
        expect_refused("a made-up JOIN");
    }
}

Test(pull, refuses_an_aggregate_with_any_of_the_signatures_spoiled_that_it_counts_on)
{
    for (uint32_t i = 0; i < 3; i++) {
        to_pulling();
        forge_aggregate(forged);
        forged->members[i].confirm_signature[10] ^= 1;
        expect_refused("a CONFIRM");
    }
    for (uint32_t i = 0; i < 2; i++) {
        to_pulling();
        forge_aggregate(forged);
        forged->members[i].result_signature[10] ^= 1;
        expect_refused("a RESULT");
    }
}

/* Its numbers would be clip norms, of a clip norm that is not ours. */
Test(pull, refuses_an_aggregate_of_another_unit_of_privacy)
{
    to_pulling();
    forged->propose.unit = 1;
    forge_aggregate(forged);
    expect_refused("unit record");

    to_pulling();
    forged->propose.unit = 2;
    forged->propose.ring_bits = 32;
    forged->propose.radius_q = 65536;
    forged->propose.clip_bits = UINT64_C(0x3ff0000000000000);
    forged->propose.sigma2 = UINT64_C(1) << 40;
    forge_aggregate(forged);
    expect_refused("unit node");
}

Test(pull, refuses_an_aggregate_with_two_signatures_exchanged)
{
    for (int which = 0; which < 2; which++) {
        to_pulling();
        forge_aggregate(forged);
        struct sl_signatures *signatures = which ? &forged->aggregate.confirms : &forged->aggregate.results;
        const uint8_t *kept = signatures->all[0];
        signatures->all[0] = signatures->all[1];
        signatures->all[1] = kept;
        expect_refused("signatures exchanged");
    }
}

Test(pull, refuses_an_aggregate_with_a_result_in_the_place_of_a_confirm)
{
    to_pulling();
    forge_aggregate(forged);
    forged->aggregate.confirms.all[1] = forged->members[1].result_signature;
    expect_refused("another body was signed");
}

Test(pull, refuses_an_aggregate_with_a_signature_too_few)
{
    to_pulling();
    forge_aggregate(forged);
    forge_name_signers(forged, first(2), first(4));
    expect_refused("two CONFIRMs of four members");

    to_pulling();
    forge_aggregate(forged);
    forge_name_signers(forged, first(4), first(1));
    expect_refused("one RESULT: it may be the colluder's");
}

/* ---- members that dropped ---- */

static void aggregate_of(uint64_t shares, uint64_t commits, uint64_t opens)
{
    to_pulling();
    forged->sets[0] = shares;
    forged->sets[1] = commits;
    forged->sets[2] = opens;
    forge_aggregate(forged);
}

/* All places but that of the initiator, who serves it, or the other way round. */
static uint64_t without(bool initiator)
{
    uint32_t place = forge_place(forged, forged->initiator);
    return first(4) & ~((uint64_t)1 << (initiator ? place : (place + 1) % 4));
}

Test(pull, counts_an_aggregate_of_those_who_were_left_and_weighs_it_so)
{
    for (int step = 0; step < 3; step++) {
        to_pulling();
        for (int i = step; i < 3; i++) forged->sets[i] = without(false);
        forge_aggregate(forged);
        uint32_t n_before = n_pulled();
        serve();
        cr_assert_eq(n_pulled(), n_before + 1, "left at step %d", step);
        cr_assert_eq(stage->told[SL_TRACE_PULLED].last.a, 3, "three of four are in the sum");
    }
}

Test(pull, refuses_an_aggregate_of_fewer_than_the_threshold)
{
    aggregate_of(first(4), first(4), first(2));
    expect_refused("two of four");
}

Test(pull, refuses_an_aggregate_whose_sets_grow)
{
    aggregate_of(first(4), 7, first(4));
    expect_refused("out at COMMIT, in at OPEN");
    aggregate_of(7, first(4), 7);
    expect_refused("out at SHARES, in at COMMIT");
}

Test(pull, refuses_signatures_of_those_who_share_no_keys)
{
    aggregate_of(7, 7, 7);
    forge_name_signers(forged, first(4), 7);
    expect_refused("a CONFIRM of one outside");
    aggregate_of(7, 7, 7);
    forge_name_signers(forged, 7, first(4));
    expect_refused("a RESULT of one outside");
}

Test(pull, refuses_an_aggregate_in_whose_sum_the_drawn_one_is_not)
{
    to_pulling();
    for (int i = 0; i < 3; i++) forged->sets[i] = without(true);
    forge_aggregate(forged);
    expect_refused("in the roster, not in the sum");
}

Test(pull, refuses_a_result_of_others_than_the_last_list_names)
{
    to_pulling();
    forge_aggregate(forged);
    forged->result.members = 7;
    forge_results(forged);
    expect_refused("a part of the last set");
}

Test(pull, refuses_a_chain_with_a_list_missing_or_too_many)
{
    to_pulling();
    forged->n_lists = 2;
    forge_aggregate(forged);
    forged->aggregate.n_lists = 3;
    forged->aggregate.lists[2] = forged->list_bytes[1];
    forged->aggregate.list_sizes[2] = forged->list_size[1];
    expect_refused("the last one twice");

    to_pulling();
    forged->n_lists = 4;
    forged->sets[3] = first(4);
    forge_aggregate(forged);
    expect_refused("an audit where there is none");
}

Test(pull, refuses_an_aggregate_with_more_members_than_the_roster)
{
    to_pulling();
    forge_aggregate(forged);
    forged->result.members = 31;
    forge_results(forged);
    expect_refused("a bit too many");
}

Test(pull, refuses_an_aggregate_with_any_byte_of_the_result_spoiled)
{
    to_pulling();
    forge_aggregate(forged);
    size_t n = forged->result_size;
    for (size_t i = 1; i < n; i += 7) {
        to_pulling();
        forge_aggregate(forged);
        forged->result_bytes[i] ^= 1;
        uint32_t n_before = n_pulled();
        serve();
        cr_assert_eq(n_pulled(), n_before, "byte %zu", i);
    }
}

Test(pull, refuses_an_aggregate_with_any_byte_of_the_lists_spoiled)
{
    for (int list = 0; list < 3; list++)
        for (size_t i = 2; i < 170; i += 13) {
            to_pulling();
            forge_aggregate(forged);
            forged->list_bytes[list][i % forged->list_size[list]] ^= 1;
            uint32_t n_before = n_pulled();
            serve();
            cr_assert_eq(n_pulled(), n_before, "list %d byte %zu", list, i);
        }
}

Test(pull, refuses_an_aggregate_with_its_lists_exchanged)
{
    to_pulling();
    forge_aggregate(forged);
    forged->aggregate.lists[0] = forged->list_bytes[1];
    forged->aggregate.lists[1] = forged->list_bytes[0];
    expect_refused("lists exchanged");
}

Test(pull, refuses_an_aggregate_with_lists_of_other_steps)
{
    to_pulling();
    forged->step_shift = 1;
    forge_aggregate(forged);
    expect_refused("another step");
}

Test(pull, refuses_an_aggregate_with_any_byte_of_the_roster_spoiled)
{
    for (size_t i = 120; i < 1800; i += 97) {
        to_pulling();
        forge_aggregate(forged);
        if (i >= forged->roster_size - 66) break;        /* the initiator's signature: the RESULTs stand for it */
        forged->roster_bytes[i] ^= 1;
        uint32_t n_before = n_pulled();
        serve();
        cr_assert_eq(n_pulled(), n_before, "byte %zu", i);
    }
}

Test(pull, refuses_an_aggregate_with_any_byte_of_the_propose_spoiled)
{
    for (size_t i = 3; i < 300; i += 11) {
        to_pulling();
        forge_aggregate(forged);
        if (i >= forged->propose_size - 66) break;
        forged->propose_bytes[i] ^= 1;
        uint32_t n_before = n_pulled();
        serve();
        cr_assert_eq(n_pulled(), n_before, "byte %zu", i);
    }
}

Test(pull, refuses_a_roster_in_another_order)
{
    to_pulling();
    struct forged_member kept = forged->members[0];
    forged->members[0] = forged->members[1];
    forged->members[1] = kept;
    forge_aggregate(forged);
    expect_refused("not by id");
}

Test(pull, refuses_one_member_twice)
{
    to_pulling();
    forge_seal_propose(forged);
    forge_joins(forged);
    memcpy(forged->members[1].join, forged->members[0].join, forged->members[0].join_size);
    forged->members[1].join_size = forged->members[0].join_size;
    forge_roster(forged);
    forged->members[1].who = forged->members[0].who;
    forge_lists(forged);
    forge_sum(forged);
    forge_results(forged);
    expect_refused("one member twice");
}

Test(pull, refuses_a_roster_of_three)
{
    to_pulling();
    uint32_t spare = forge_place(forged, forged->initiator) == 3 ? 0 : 3;
    struct forged_member kept = forged->members[spare];
    for (uint32_t i = spare; i < 3; i++) forged->members[i] = forged->members[i + 1];
    forged->members[3] = kept;
    forged->n_members = 3;
    for (int i = 0; i < 3; i++) forged->sets[i] = 7;
    forge_aggregate(forged);
    expect_refused("too small");
    forged->n_members = 4;
}

Test(pull, refuses_a_member_who_was_not_invited)
{
    to_pulling();
    for (uint32_t i = 0; i < forged->propose.n_candidates; i++) {
        if (i > 0) continue;
        memcpy(forged->propose.candidates[0], stage->puppets[13].id, 32);
    }
    forge_aggregate(forged);
    expect_refused("not a candidate");
}

Test(pull, refuses_another_epoch)
{
    for (int shift = -1; shift <= 1; shift += 2) {
        to_pulling();
        forged->epoch = (uint64_t)((int64_t)forged->epoch + shift);
        forge_aggregate(forged);
        uint32_t n_before = n_pulled();
        serve();
        cr_assert_eq(n_pulled(), n_before, "shift %d", shift);
    }
}

Test(pull, refuses_an_old_aggregate_under_a_new_envelope)
{
    to_pulling();
    forged->epoch--;
    forge_aggregate(forged);
    forged->epoch++;
    expect_refused("replayed");
}

Test(pull, refuses_another_number_of_bits)
{
    const uint32_t bits[] = {8, 32};
    for (int i = 0; i < 2; i++) {
        to_pulling();
        forge_aggregate(forged);
        forged->result.bits = bits[i];
        forge_results(forged);
        expect_refused("bits");
    }
}

Test(pull, refuses_an_aggregate_without_the_identity_that_was_drawn)
{
    to_pulling();
    uint32_t drawn = forged->initiator, place = forge_place(forged, drawn), other = drawn == 11 ? 10 : 11;
    while (stage_count_to(stage, SL_MESSAGE_PULL, other) > 0 || forged->members[0].who == other || forged->members[1].who == other ||
           forged->members[2].who == other || forged->members[3].who == other)
        other--;
    (void)place;
    uint32_t members[4], n = 0;
    for (uint32_t i = 0; i < 4; i++)
        if (forged->members[i].who != drawn) members[n++] = forged->members[i].who;
    members[n++] = other;
    forge_destroy(&forged);
    forged = forge_new(stage, members[0], members, 4);
    forge_aggregate(forged);
    forge_say_aggregate(forged, drawn);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_GET), 0);
    cr_assert_geq(stage->told[SL_TRACE_PULL_FAILED].n, 1);
}

Test(pull, refuses_members_that_were_not_admitted)
{
    uint8_t other_public[32], other_secret[64], seed[32] = {6}, certificate[SL_PEER_CERTIFICATE_MAX];
    crypto_sign_seed_keypair(other_public, other_secret, seed);
    for (int which = 0; which < 3; which++) {
        to_pulling_with(N_LISTED);
        struct sl_identity *stranger = &stage->puppets[N_LISTED], kept = *stranger;
        const uint8_t *issuer = which == 0 ? other_secret : stage->operator_secret;
        uint64_t expires_s = which == 1 ? stage->now_us / 1000000 - 1 : UINT32_MAX;
        const uint8_t *subject = which == 2 ? stage->puppets[0].id : stranger->id;
        stranger->certificate_size = (uint32_t)stage_admit(stage, issuer, subject, expires_s, certificate);
        memcpy(stranger->certificate, certificate, stranger->certificate_size);
        forge_aggregate(forged);
        *stranger = kept;
        expect_refused(which == 0 ? "another operator" : which == 1 ? "expired" : "of another");
    }
}

Test(pull, refuses_an_aggregate_with_a_member_that_it_has_banned)
{
    for (uint32_t place = 0; place < 4; place++) {
        to_pulling();
        uint32_t banned = forged->members[place].who;
        if (banned == forged->initiator) continue;
        forge_aggregate(forged);
        stage_control(stage, SL_CONTROL_BAN, banned);
        expect_refused("banned");
        stage_control(stage, SL_CONTROL_UNBAN, banned);
    }
    to_pulling();
    forge_aggregate(forged);
    serve();
    cr_assert_geq(n_pulled(), 1, "banned no more");
}

/* Everything up to the signatures, with the JOIN of this member as a test has changed it. */
static void aggregate_with(struct forged_member *member, struct sl_join *join)
{
    forge_join(forged, member, join);
    forge_prove(forged);
}

Test(pull, refuses_an_aggregate_in_which_a_join_claims_the_transport_key_of_another)
{
    for (int which = 0; which < 2; which++) {
        to_pulling_with(which == 0 ? 1 : N_LISTED);      /* somebody we know under a new key, a stranger under a known one */
        forge_seal_propose(forged);
        forge_joins(forged);
        struct forged_member *liar = &forged->members[0];
        while (which == 1 ? liar->who != N_LISTED : liar->who == forged->initiator) liar++;
        struct sl_join join = forge_join_body(forged, liar);
        if (which == 0) join.transport_public[0] ^= 1;
        if (which == 1) memcpy(join.transport_public, stage->puppets[forged->initiator].transport_public, 32);
        aggregate_with(liar, &join);
        expect_refused(which == 0 ? "a new key" : "a known key");
    }
}

/* Who was found out was left out, and takes no partner down with it. */
Test(pull, counts_an_aggregate_in_whose_roster_but_not_in_whose_sum_one_is_banned)
{
    to_pulling();
    uint64_t rest = without(false);
    uint32_t out = 0;
    while (rest >> out & 1) out++;
    for (int i = 0; i < 3; i++) forged->sets[i] = rest;
    forge_aggregate(forged);
    stage_control(stage, SL_CONTROL_BAN, forged->members[out].who);
    serve();
    cr_assert_eq(n_pulled(), 1);
}

static void leave_out(uint32_t who)
{
    for (int i = 0; i < 3; i++) forged->sets[i] &= ~((uint64_t)1 << forge_place(forged, who));
}

/* A member that is out of the first one's sum sat in its roster all the same. */
static void expect_overlap(bool is_out)
{
    to_pulling();
    uint32_t one = stage->sent[0].to, other = stage->sent[1].to, common = 0;
    while (common == one || common == other) common++;
    uint32_t a[4] = {one, common}, b[4] = {other, common}, n_a = 2, n_b = 2;
    for (uint32_t i = 0; i < N_LISTED; i++) {
        if (i == one || i == other || i == common) continue;
        if (n_a < 4) a[n_a++] = i;
        else if (n_b < 4) b[n_b++] = i;
    }
    forge_destroy(&forged);
    forged = forge_new(stage, one, a, 4);
    if (is_out) leave_out(common);
    forge_aggregate(forged);
    serve();
    cr_assert_eq(n_pulled(), 1);

    forge_destroy(&forged);
    forged = forge_new(stage, other, b, 4);
    forge_aggregate(forged);
    stage_forget(stage);
    expect_refused("overlap");
}

Test(pull, refuses_an_aggregate_that_shares_a_member_with_one_that_counts)
{
    expect_overlap(false);
}

Test(pull, refuses_an_aggregate_that_shares_one_who_was_left_out_of_one_that_counts)
{
    expect_overlap(true);
}

Test(pull, ignores_an_aggregate_that_nobody_asked_for)
{
    to_pulling();
    forge_aggregate(forged);
    uint32_t other = 0;
    while (stage_count_to(stage, SL_MESSAGE_PULL, other) > 0) other++;
    stage_forget(stage);
    forge_say_aggregate(forged, other);

    cr_assert_eq(stage->n_sent, 0);
    cr_assert_eq(stage->told[SL_TRACE_PULL_FAILED].n, 0);
}

Test(pull, ignores_an_aggregate_outside_the_time_of_pulling)
{
    to_pulling();
    forge_aggregate(forged);
    stage_to_phase(stage, .98);
    stage_forget(stage);
    serve();

    cr_assert_eq(stage->n_sent, 0);
    cr_assert_eq(n_pulled(), 0);
}

/* ---- no, and silence ---- */

static void say_none(uint32_t puppet, uint64_t epoch, const uint8_t member[32])
{
    struct sl_pull body = {.epoch = epoch};
    memcpy(body.member, member, 32);
    struct sl_writer writer = puppet_begin(stage, puppet, SL_MESSAGE_NONE, epoch, NULL);
    sl_write_pull(&writer, &body);
    puppet_say(stage, puppet, &writer, SL_MESSAGE_NONE);
}

Test(pull, draws_another_when_the_answer_is_no)
{
    to_pulling();
    uint32_t puppet = asked();

    say_none(puppet, stage_epoch(stage), stage->puppets[puppet].id);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_PULL), 3);
    cr_assert_neq(asked(), puppet);
}

Test(pull, takes_a_no_only_from_the_one_it_asked_about_this_epoch)
{
    to_pulling();
    uint32_t puppet = asked(), other = 0;
    while (stage_count_to(stage, SL_MESSAGE_PULL, other) > 0) other++;

    say_none(other, stage_epoch(stage), stage->puppets[puppet].id);
    say_none(puppet, stage_epoch(stage) - 1, stage->puppets[puppet].id);
    say_none(puppet, stage_epoch(stage), stage->puppets[other].id);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_PULL), 2);
}

Test(pull, asks_the_silent_once_more_and_then_others)
{
    to_pulling();
    uint32_t puppet = asked();
    stage_to_phase(stage, .969);

    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_PULL, puppet), 2);
    cr_assert_geq(stage_count(stage, SL_MESSAGE_PULL), 6, "two asked twice, then two others");
    cr_assert_leq(stage_count(stage, SL_MESSAGE_PULL), 12);
}

Test(pull, draws_another_when_the_connection_breaks)
{
    to_pulling();
    uint32_t puppet = asked();
    stage->refuses[puppet] = true;

    stage_change(stage, stage->link[puppet], SL_LINK_DOWN, NULL);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_PULL), 3);
}

/* A peer proves an aggregate, sends none of it, and answers after another one has taken its place: its bytes must not count as the other's. */
Test(pull, late_chunks_of_a_dropped_aggregate_do_not_stand_for_its_successor)
{
    to_pulling();
    forge_aggregate(forged);
    uint32_t slow = forged->initiator;
    forge_say_aggregate(forged, slow);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_GET, slow), 1);
    stage_to_phase(stage, .8805 + 4 / 48.0);             /* its time is over, another is drawn */
    uint32_t next = asked();
    cr_assert_neq(next, slow);

    uint32_t members[4] = {next}, n = 1;
    for (uint32_t i = 0; i < N_LISTED && n < 4; i++) {
        bool is_used = i == next;
        for (uint32_t j = 0; j < 4; j++) is_used |= forged->members[j].who == i;
        if (!is_used && stage_count_to(stage, SL_MESSAGE_PULL, i) == 0) members[n++] = i;
    }
    cr_assert_eq(n, 4);
    struct forged *successor = forge_new(stage, next, members, 4);
    forge_aggregate(successor);
    forge_say_aggregate(successor, next);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_GET, next), 1, "the successor is fetched from its own holder");

    forge_say_chunk(forged, slow, &forged->mean_tree, forged->mean, 0);
    cr_assert_eq(n_pulled(), 0);
    forge_say_chunk(successor, next, &successor->mean_tree, successor->mean, 0);
    cr_assert_eq(n_pulled(), 1);
    forge_destroy(&successor);
}

/* A liar proves an aggregate and sends none of it. That must not keep its partners from being asked for the same one. */
Test(pull, gets_from_a_partner_what_the_first_one_proves_and_never_sends)
{
    struct stage *kept = stage;
    stage = stage_new(&(struct stage_options){.n_puppets = 4, .seed = 1, .settings = {"merge.pulls=1"}});
    stage_start(stage);
    stage_next_epoch(stage);
    stage_connect_all(stage);
    stage_to_phase(stage, .879);
    stage_forget(stage);
    stage_to_phase(stage, .881);
    uint32_t silent = asked();
    forged = forge_new(stage, silent, (const uint32_t[]){0, 1, 2, 3}, 4);
    forge_aggregate(forged);
    forge_say_aggregate(forged, silent);
    cr_assert_geq(stage_count_to(stage, SL_MESSAGE_GET, silent), 1, "its proof holds");

    stage_to_phase(stage, .8805 + 4 / 48.0);
    uint32_t partner = asked();
    cr_assert_neq(partner, silent);
    forge_say_aggregate(forged, partner);
    for (uint32_t i = 0; i < forged->mean_tree.n_chunks; i++) forge_say_chunk(forged, partner, &forged->mean_tree, forged->mean, i);

    cr_assert_eq(n_pulled(), 1);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_PULL), 2);
    forge_destroy(&forged);
    stage_destroy(&stage);
    stage = kept;
}

Test(pull, asks_no_partner_of_an_aggregate_that_counts)
{
    for (int epoch = 0; epoch < 4; epoch++) {
        to_pulling();
        uint32_t silent = stage->sent[0].to == forged->initiator ? stage->sent[1].to : stage->sent[0].to;
        forge_aggregate(forged);
        serve();
        stage_forget(stage);
        for (;;) {                                       /* nobody else has one: the other pull draws to the end */
            say_none(silent, stage_epoch(stage), stage->puppets[silent].id);
            if (!stage_last(stage, SL_MESSAGE_PULL) || asked() == silent) break;
            silent = asked();
        }

        cr_assert_eq(stage_count(stage, SL_MESSAGE_PULL), 4, "six are asked for two pulls");
        for (uint32_t i = 0; i < 4; i++) cr_assert_eq(stage_count_to(stage, SL_MESSAGE_PULL, forged->members[i].who), 0, "member %u", i);
    }
}

/* ---- serving ---- */

static void pull(uint32_t puppet, uint64_t epoch, const uint8_t member[32])
{
    struct sl_pull body = {.epoch = epoch};
    memcpy(body.member, member, 32);
    struct sl_writer writer = puppet_begin(stage, puppet, SL_MESSAGE_PULL, epoch, NULL);
    sl_write_pull(&writer, &body);
    puppet_say(stage, puppet, &writer, SL_MESSAGE_PULL);
}

static struct company *company;

static void begin_own_cohort(void)
{
    forged = forge_cohort(stage, 3);
    company = company_new(forged);
}

static void drop_company(void)
{
    company_destroy(&company);
    drop_stage();
}

TestSuite(pull_own, .init = make_stage, .fini = drop_company);

Test(pull_own, serves_its_own_aggregate_for_three_epochs_to_anybody_known)
{
    begin_own_cohort();
    company_run(company);
    cr_assert_eq(stage->node->cohort.state, COHORT_DONE);
    uint64_t epoch = stage_epoch(stage);
    for (uint32_t i = 0; i < 3; i++) {
        stage_forget(stage);
        pull(9, epoch, stage->self.id);
        cr_assert_eq(stage_count_to(stage, SL_MESSAGE_AGGREGATE, 9), 1, "%u epochs later", i);
        pull(9, epoch, stage->puppets[1].id);
        cr_assert_eq(stage_count_to(stage, SL_MESSAGE_AGGREGATE, 9), 2, "any member may be named");
        stage_next_epoch(stage);
        stage_connect_all(stage);
    }
    stage_forget(stage);
    pull(9, epoch + 10, stage->self.id);
    pull(9, epoch, stage->puppets[9].id);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_NONE, 9), 2);
}

Test(pull_own, does_not_serve_a_cohort_that_is_not_finished)
{
    begin_own_cohort();
    for (uint32_t i = 0; i < 4; i++) company_mute(company, i, SL_MESSAGE_RESULT);
    company_run(company);
    cr_assert_eq(sl_session_state(stage->node->cohort.session), SL_SESSION_SIGNED);

    pull(9, stage_epoch(stage), stage->self.id);

    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_NONE, 9), 1);
}

/* Its own cohort broke at the last step, but others have finished it: then it may be pulled like any other. */
Test(pull_own, may_pull_its_own_cohort_when_it_missed_the_last_signature)
{
    begin_own_cohort();
    for (uint32_t i = 0; i < 4; i++)
        if (company->players[i].session) company_mute(company, i, SL_MESSAGE_RESULT);
    company_run(company);
    stage_to_phase(stage, .881);
    cr_assert_eq(stage->node->cohort.state, COHORT_VOID);
    for (int i = 0; i < 12 && stage_count(stage, SL_MESSAGE_GET) < 2; i++) {
        uint32_t puppet = asked();
        if (puppet > 2) say_none(puppet, stage_epoch(stage), stage->puppets[puppet].id);
        else break;
    }
    uint32_t holder = asked();
    cr_assert_leq(holder, 2, "choose another seed");

    /* Forged of the same roster, as the others would serve it. */
    uint32_t members[4] = {PUPPET_SELF, 0, 1, 2};
    struct forged *other = forge_new(stage, 0, members, 4);
    forge_seal_propose(other);
    forge_joins(other);
    struct sl_join join = forge_join_body(other, forge_self(other));
    forge_join(other, forge_self(other), &join);
    forge_prove(other);
    forge_say_aggregate(other, holder);
    for (uint32_t i = 0; i < other->mean_tree.n_chunks; i++) forge_say_chunk(other, holder, &other->mean_tree, other->mean, i);
    forge_destroy(&other);
    cr_assert_eq(n_pulled(), 1);
}

Test(pull_of_cores, takes_pairwise_disjoint_rosters_only)
{
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 30, .seed = 3});
    for (int epoch = 0; epoch < 4; epoch++) {
        cr_assert_eq(cluster_run(cluster, epoch ? 1 : 1.985), SL_OK, "%s", cluster->why);
        uint32_t n_counted = 0;
        for (uint32_t i = 0; i < 30; i++) {
            const struct sl_node *node = sl_sim_node(cluster->sim, i);
            const struct aggregate *held[OWN_SLOTS + PULLS_MAX];
            uint32_t n = 0;
            for (uint32_t s = 0; s < OWN_SLOTS + node->config.merge_pulls; s++)
                if (node->pulls.slots[s].complete && node->pulls.slots[s].epoch == node->epoch) held[n++] = &node->pulls.slots[s];
            for (uint32_t a = 0; a < n; a++)
                for (uint32_t b = 0; b < a; b++)
                    for (uint32_t x = 0; x < held[a]->n_members; x++)
                        for (uint32_t y = 0; y < held[b]->n_members; y++)
                            cr_assert_not(sl_hash_equal(held[a]->members[x], held[b]->members[y]), "n%u counts a member twice", i);
            n_counted += n;
        }
        cr_assert_geq(n_counted, 30 * 4, "epoch %d: %u aggregates at 30 nodes", epoch, n_counted);
    }
    cluster_destroy(&cluster);
}
