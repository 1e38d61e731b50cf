/* SPDX-License-Identifier: MIT */
/* In whose company a node shares: a group among several on the ring, led by one who may be silent, choosy, or lie about the keys of others. */
#include <criterion/criterion.h>
#include <string.h>

#include "forge.h"
#include "starling/error.h"

enum { N_LISTED = 20, N_PUPPETS = 26 };

/* The core's group, itself among them; near: not of the group, nearest first. */
struct company { uint32_t n, members[FORGED_MAX], leader, n_near, near[N_LISTED]; };

static struct stage *stage;
static struct forged *forged;
static struct company company;
static uint32_t n_dropped;

static void make_stage(void)
{
    stage = stage_new(&(struct stage_options){.n_puppets = N_PUPPETS, .n_listed = N_LISTED, .seed = 5});
    stage_start(stage);
}

static void drop_forged(void)
{
    if (forged) forged->n_members += n_dropped;
    n_dropped = 0;
    forge_destroy(&forged);
}

static void drop_stage(void)
{
    drop_forged();
    stage_destroy(&stage);
}

TestSuite(roster, .init = make_stage, .fini = drop_stage);

static enum formation_state state(void)
{
    return stage->node->formation.state;
}

static void to_share(double share)
{
    stage_to_phase(stage, stage->config.phase_formation * share);
}

/* The lot as every node computes it (finaliser of splitmix64). */
static uint64_t lot_of(uint64_t position)
{
    uint64_t z = position + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t lot_of_puppet(uint32_t puppet)
{
    return lot_of(sl_view_position(&stage->node->view, stage_identity(stage, puppet)->id));
}

static uint32_t puppet_at(uint32_t place)
{
    const struct sl_view *view = &stage->node->view;
    return view->ring[place] == SL_VIEW_SELF ? PUPPET_SELF : stage_puppet(stage, view->peers[view->ring[place]].id);
}

static bool is_of_company(uint32_t puppet)
{
    for (uint32_t i = 0; i < company.n; i++)
        if (company.members[i] == puppet) return true;
    return false;
}

static void find_company(void)
{
    const struct sl_view *view = &stage->node->view;
    uint32_t n = view->n_ring, n_groups = n / stage->config.cohort_size;
    cr_assert_eq(n, N_LISTED + 1, "everybody lives");
    company = (struct company){0};
    for (uint32_t place = 0; place < n; place++)
        if (place * n_groups / n == view->own_place * n_groups / n) company.members[company.n++] = puppet_at(place);
    company.leader = company.members[0];
    for (uint32_t i = 1; i < company.n; i++)
        if (lot_of_puppet(company.members[i]) < lot_of_puppet(company.leader)) company.leader = company.members[i];
    for (uint32_t distance = 1; distance <= group_window(stage->node); distance++)
        for (uint32_t puppet = 0; puppet < N_LISTED; puppet++)
            if (!is_of_company(puppet) && sl_view_ring_distance(view, stage->puppets[puppet].id) == distance) company.near[company.n_near++] = puppet;
    cr_assert_geq(company.n_near, 4);
}

/* To the first moment of an epoch in which another leads the core's group. */
static void follow(void)
{
    stage_connect_all(stage);
    stage_to_epoch_as(stage, false);
    stage_connect_all(stage);
    stage_forget(stage);
    find_company();
    cr_assert_neq(company.leader, PUPPET_SELF);
}

/* A PROPOSE of `initiator` to the group, but for n_left_out, and to n_others of the nearest; not yet sealed. */
static void prepare_from(uint32_t initiator, uint32_t n_left_out, uint32_t n_others)
{
    uint32_t members[FORGED_MAX] = {PUPPET_SELF, initiator}, n = 2;
    for (uint32_t i = 0, n_skipped = 0; i < company.n; i++) {
        if (company.members[i] == PUPPET_SELF || company.members[i] == initiator) continue;
        if (n_skipped < n_left_out) n_skipped++;
        else members[n++] = company.members[i];
    }
    for (uint32_t i = 0, n_more = 0; n_more < n_others; i++) {
        if (company.near[i] == initiator) continue;
        members[n++] = company.near[i];
        n_more++;
    }
    drop_forged();
    forged = forge_new(stage, initiator, members, n);
}

static void say_propose_of(uint32_t initiator)
{
    prepare_from(initiator, 0, 0);
    forge_seal_propose(forged);
    forge_say_propose(forged);
}

/* Who was invited and is not in the roster. */
static void leave_out(uint32_t puppet)
{
    uint32_t place = forge_place(forged, puppet);
    struct forged_member kept = forged->members[place];
    for (uint32_t i = place; i + 1 < forged->n_members; i++) forged->members[i] = forged->members[i + 1];
    forged->members[--forged->n_members] = kept;
    n_dropped++;
}

/* ---- whom a leader invites ---- */

Test(roster, answers_a_leader_that_leaves_out_one_of_the_group_but_not_two)
{
    for (uint32_t n_left_out = 0; n_left_out <= 3; n_left_out++) {
        follow();
        prepare_from(company.leader, n_left_out, n_left_out);
        forge_seal_propose(forged);
        forge_say_propose(forged);
        uint32_t n_at_once = stage_count_to(stage, SL_MESSAGE_JOIN, company.leader);
        to_share(.43);
        uint32_t n_later = stage_count_to(stage, SL_MESSAGE_JOIN, company.leader);
        to_share(.87);

        cr_assert_eq(n_at_once, n_left_out <= 1, "%u left out, at once", n_left_out);
        cr_assert_eq(n_later, n_left_out <= 1, "%u left out, at the time of answers", n_left_out);
        if (n_left_out > 1) cr_assert_eq(stage_count_to(stage, SL_MESSAGE_JOIN, company.leader), 0, "%u left out, at the end", n_left_out);
    }
}

Test(roster, hears_a_leader_that_first_left_some_out_and_then_invites_all)
{
    follow();
    prepare_from(company.leader, 2, 2);
    forge_seal_propose(forged);
    forge_say_propose(forged);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_JOIN), 0);

    say_propose_of(company.leader);

    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_JOIN, company.leader), 1);
}

/* ---- whom it takes ---- */

/* The leader's ROSTER with n_own of the group, itself and the core among them, and n_others from nearby. Said at this share of the formation. */
static void take(uint32_t n_own, uint32_t n_others, double share)
{
    follow();
    prepare_from(company.leader, 0, n_others);
    forge_seal_propose(forged);
    forge_say_propose(forged);
    cr_assert(forge_take_join(forged), "it must be answered at once");
    forge_joins(forged);
    for (uint32_t i = 0, n = company.n; i < company.n && n > n_own; i++) {
        uint32_t puppet = company.members[i];
        if (puppet == PUPPET_SELF || puppet == company.leader) continue;
        leave_out(puppet);
        n--;
    }
    forge_roster(forged);
    to_share(share);
    forge_say_roster(forged);
}

static void expect_refused(const char *what)
{
    cr_assert_eq(stage->node->cohort.state, COHORT_NONE, "%s", what);
    cr_assert_eq(stage->told[SL_TRACE_ROSTER_REFUSED].n, 1, "%s", what);
    cr_assert_eq(state(), FORMATION_FREE, "%s", what);
    stage_to_phase(stage, .96);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_SHARES), 0, "%s", what);
    cr_assert_eq(stage->told[SL_TRACE_SHARED].n, 0, "%s", what);
}

Test(roster, refuses_a_leader_that_takes_its_friends_from_nearby_instead_of_the_group)
{
    for (uint32_t n_own = 2; n_own < 4; n_own++) {
        take(n_own, 5 - n_own, .1);
        expect_refused(n_own == 2 ? "two of the group" : "three of the group");
    }
}

Test(roster, refuses_such_a_leader_also_when_it_waits_for_the_second_wave)
{
    take(2, 3, .70);
    expect_refused("the first wave is over, the promise is not");
}

Test(roster, accepts_a_leader_that_takes_enough_of_the_group)
{
    take(4, 0, .1);
    cr_assert_eq(stage->node->cohort.n_members, 4);
    take(4, 1, .1);
    cr_assert_eq(stage->node->cohort.n_members, 5);
    cr_assert_geq(stage->told[SL_TRACE_SHARED].n, 1);
}

Test(roster, takes_nobody_into_a_later_cohort_from_a_roster_that_was_refused)
{
    take(2, 3, .1);
    cr_assert_eq(stage->node->cohort.state, COHORT_NONE);
    stage_forget(stage);
    struct sl_need body = {.step = SL_STEP_SHARES};
    memcpy(body.from, stage->self.id, 32);
    struct sl_writer writer = puppet_begin(stage, company.leader, SL_MESSAGE_NEED, forged->epoch, forged->cohort);
    sl_write_need(&writer, &body);
    puppet_say(stage, company.leader, &writer, SL_MESSAGE_NEED);
    stage_next_epoch(stage);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_SHARES), 0);
    cr_assert_eq(stage->told[SL_TRACE_VOID].n, 0, "there was no cohort to be void");
}

/* ---- a leader that falls silent ---- */

static void join_a_silent_leader(void)
{
    follow();
    say_propose_of(company.leader);
    cr_assert_eq(state(), FORMATION_JOINED);
}

static uint32_t second_of_company(void)
{
    uint32_t i = 0;
    while (company.members[i] == PUPPET_SELF || company.members[i] == company.leader) i++;
    return company.members[i];
}

Test(roster, proposes_itself_in_the_second_wave_when_its_leader_sent_no_roster)
{
    struct sl_envelope envelope;
    join_a_silent_leader();
    to_share(.7);
    cr_assert_eq(stage->told[SL_TRACE_SILENT].n, 0, "it is given its time");
    to_share(.83);

    cr_assert_eq(stage->told[SL_TRACE_SILENT].n, 1);
    cr_assert(sl_hash_equal(stage->told[SL_TRACE_SILENT].last.peer, stage->puppets[company.leader].id));
    cr_assert_eq(state(), FORMATION_PROPOSED);
    const struct sent *sent = stage_last(stage, SL_MESSAGE_PROPOSE);
    cr_assert_not_null(sent);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);

    sl_propose_hash(&envelope, forged->propose_hash);
    for (uint32_t i = 0; i < forged->n_members; i++) {
        struct forged_member *member = &forged->members[i];
        if (member->who == PUPPET_SELF || member->who == company.leader) continue;
        struct sl_join join = forge_join_body(forged, member);
        forge_join(forged, member, &join);
        puppet_deliver(stage, member->who, member->join, member->join_size);
    }
    to_share(.98);
    cr_assert_eq(state(), FORMATION_DONE);
    cr_assert_eq(stage->node->cohort.n_members, company.n - 1);
    cr_assert_geq(stage->told[SL_TRACE_SHARED].n, 1);
}

Test(roster, answers_another_in_the_second_wave_when_its_leader_sent_no_roster)
{
    join_a_silent_leader();
    uint32_t second = second_of_company(), leader = company.leader;
    to_share(.7);
    say_propose_of(second);
    cr_assert_eq(state(), FORMATION_JOINED, "the leader has a little time still");
    to_share(.87);

    cr_assert_eq(stage->told[SL_TRACE_SILENT].n, 1);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_PROPOSE), 0, "somebody else did");
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_JOIN, second), 1);
    cr_assert(forge_take_join(forged));
    forge_joins(forged);
    leave_out(leader);
    forge_roster(forged);
    forge_say_roster(forged);
    cr_assert_eq(state(), FORMATION_DONE);
    cr_assert_eq(stage->node->cohort.n_members, company.n - 1);
}

Test(roster, takes_no_roster_of_a_leader_it_has_left_and_does_not_answer_it_again)
{
    join_a_silent_leader();
    cr_assert(forge_take_join(forged));
    forge_joins(forged);
    forge_roster(forged);
    to_share(.83);
    cr_assert_eq(stage->told[SL_TRACE_SILENT].n, 1);
    stage_forget(stage);

    forge_say_roster(forged);
    forge_say_propose(forged);
    to_share(.95);

    cr_assert_eq(stage->node->cohort.state, COHORT_NONE);
    cr_assert_eq(stage->told[SL_TRACE_JOINED].n, 0, "its keys were for one PROPOSE");
    cr_assert_eq(stage_count(stage, SL_MESSAGE_JOIN), 0);
}

Test(roster, takes_the_roster_of_a_late_leader_until_the_second_wave_proposes)
{
    join_a_silent_leader();
    cr_assert(forge_take_join(forged));
    forge_joins(forged);
    forge_roster(forged);
    to_share(.75);

    forge_say_roster(forged);

    cr_assert_eq(stage->node->cohort.n_members, company.n);
    to_share(1.01);
    cr_assert_eq(stage->told[SL_TRACE_SILENT].n, 0);
}

/* ---- crowds ---- */

static uint32_t count_lower_lots(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < company.n_near; i++) n += lot_of_puppet(company.near[i]) < lot_of_puppet(company.leader);
    return n;
}

Test(roster, early_neighbours_do_not_crowd_out_the_leader_with_higher_lots_or_with_lower_ones)
{
    for (int lower = 0; lower < 2; lower++) {
        do follow(); while (count_lower_lots() < 4 * (uint32_t)lower || company.n_near - count_lower_lots() < 4);
        uint32_t n = 0;
        for (uint32_t i = 0; i < company.n_near && n < 4; i++) {
            if ((lot_of_puppet(company.near[i]) < lot_of_puppet(company.leader)) != lower) continue;
            say_propose_of(company.near[i]);
            n++;
        }
        cr_assert_eq(stage->node->formation.n_proposals, PROPOSALS_MAX);
        cr_assert_eq(stage_count(stage, SL_MESSAGE_JOIN), 0, "neighbours wait for the time of answers");

        say_propose_of(company.leader);

        cr_assert_eq(stage_count_to(stage, SL_MESSAGE_JOIN, company.leader), 1, "%s lots", lower ? "lower" : "higher");
        cr_assert_eq(state(), FORMATION_JOINED);
    }
}

Test(roster, a_crowd_leaves_the_lowest_lots_to_choose_from)
{
    follow();
    uint32_t lowest = company.near[0], n = company.n_near < 8 ? company.n_near : 8;
    for (uint32_t i = 0; i < n; i++) {
        if (lot_of_puppet(company.near[i]) < lot_of_puppet(lowest)) lowest = company.near[i];
        say_propose_of(company.near[i]);
    }
    to_share(.43);

    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_JOIN, lowest), 1);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_JOIN), 1);
}

Test(roster, looks_at_few_identities_an_epoch_but_always_at_the_leader)
{
    follow();
    struct formation *formation = &stage->node->formation;
    formation->n_heard = HEARD_MAX - 1;                  /* as if so many had spoken */
    memset(formation->heard, 0xee, sizeof formation->heard);
    say_propose_of(company.near[0]);
    cr_assert_eq(formation->n_proposals, 0);

    say_propose_of(company.leader);
    cr_assert_eq(state(), FORMATION_JOINED);
    cr_assert_eq(formation->n_heard, HEARD_MAX);
}

/* ---- keys and addresses of others ---- */

/* An identity that is on no list of the core's, near enough to sit in its cohort. */
static uint32_t follow_with_stranger(void)
{
    for (;;) {
        follow();
        for (uint32_t puppet = N_LISTED; puppet < N_PUPPETS; puppet++)
            if (sl_view_ring_distance(&stage->node->view, stage->puppets[puppet].id) <= group_window(stage->node)) return puppet;
    }
}

/* The whole group and a stranger, whose JOIN a test may change; the ROSTER is not yet made. */
static struct forged_member *invite_stranger(uint32_t stranger)
{
    company.near[0] = stranger;
    prepare_from(company.leader, 0, 1);
    forge_seal_propose(forged);
    forge_say_propose(forged);
    cr_assert(forge_take_join(forged));
    forge_joins(forged);
    return forge_member(forged, stranger);
}

Test(roster, a_join_may_not_name_another_transport_key_than_the_one_we_know_for_it)
{
    for (int which = 0; which < 3; which++) {
        follow();
        prepare_from(company.leader, 0, 0);
        forge_seal_propose(forged);
        forge_say_propose(forged);
        cr_assert(forge_take_join(forged));
        forge_joins(forged);
        struct forged_member *liar = forge_member(forged, second_of_company());
        struct sl_join join = forge_join_body(forged, liar);
        if (which == 0) join.transport_public[0] ^= 1;
        if (which == 1) memcpy(join.transport_public, stage->puppets[company.near[0]].transport_public, 32);
        if (which == 2) memcpy(join.transport_public, stage->self.transport_public, 32);
        forge_join(forged, liar, &join);
        forge_roster(forged);
        stage_change(stage, stage->link[liar->who], SL_LINK_DOWN, NULL);         /* so that it would have to be dialled */
        stage_forget(stage);
        forge_say_roster(forged);

        cr_assert_eq(stage->n_dials, 0, "which %d", which);
        expect_refused(which == 0 ? "nobody's" : which == 1 ? "another peer's" : "ours");
    }
}

Test(roster, a_stranger_may_not_name_a_transport_key_of_somebody_we_know_or_ours)
{
    for (int which = 0; which < 3; which++) {
        struct forged_member *stranger = invite_stranger(follow_with_stranger());
        struct sl_join join = forge_join_body(forged, stranger);
        if (which == 1) memcpy(join.transport_public, stage->puppets[company.near[1]].transport_public, 32);
        if (which == 2) memcpy(join.transport_public, stage->self.transport_public, 32);
        forge_join(forged, stranger, &join);
        forge_roster(forged);
        stage_forget(stage);
        forge_say_roster(forged);

        if (which == 0) {
            cr_assert_eq(state(), FORMATION_DONE, "its own key is fine");
            continue;
        }
        cr_assert_eq(stage->n_dials, 0);
        expect_refused(which == 1 ? "a known peer's" : "ours");
    }
}

Test(roster, believes_the_view_and_not_a_join_about_the_address_of_a_known_peer)
{
    uint32_t stranger = follow_with_stranger();
    invite_stranger(stranger);
    for (uint32_t i = 0; i < forged->n_members; i++) {
        struct forged_member *member = &forged->members[i];
        if (member->who == PUPPET_SELF) continue;
        struct sl_join join = forge_join_body(forged, member);
        strcpy(join.address, "192.0.2.7:9");
        forge_join(forged, member, &join);
    }
    forge_roster(forged);
    forge_say_roster(forged);

    cr_assert_eq(state(), FORMATION_DONE);
    for (uint32_t i = 0; i < forged->n_members; i++) {
        uint32_t who = forged->members[i].who;
        const char *address = stage->node->cohort.members[i].address;
        if (who == PUPPET_SELF) continue;
        cr_assert_str_eq(address, who == stranger ? "192.0.2.7:9" : stage->puppets[who].address, "member %u", who);
    }
}

Test(roster, a_leader_leaves_out_a_join_with_a_foreign_transport_key)
{
    struct sl_envelope envelope;
    stage_connect_all(stage);
    stage_to_epoch_as(stage, true);
    find_company();
    const struct sent *sent = stage_last(stage, SL_MESSAGE_PROPOSE);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);
    forged = forge_new(stage, second_of_company(), company.members, company.n);
    sl_propose_hash(&envelope, forged->propose_hash);
    uint32_t liar = second_of_company();
    for (uint32_t i = 0; i < forged->n_members; i++) {
        struct forged_member *member = &forged->members[i];
        if (member->who == PUPPET_SELF) continue;
        struct sl_join join = forge_join_body(forged, member);
        if (member->who == liar) memcpy(join.transport_public, stage->puppets[company.near[0]].transport_public, 32);
        forge_join(forged, member, &join);
        puppet_deliver(stage, member->who, member->join, member->join_size);
    }
    to_share(.7);

    cr_assert_eq(state(), FORMATION_DONE);
    cr_assert_eq(stage->node->cohort.n_members, company.n - 1);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_ROSTER, liar), 0);
}
