/* SPDX-License-Identifier: MIT */
/* From no cohort to a roster: who is answered, what a ROSTER must be, and that nobody is left over. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "forge.h"
#include "starling/error.h"
#include "wire/certificate.h"

static struct stage *stage;
static struct forged *forged;

static void make_stage(void)
{
    stage = stage_new(&(struct stage_options){.n_puppets = 7, .n_listed = 6, .seed = 10});
    stage_start(stage);
}

static void drop_stage(void)
{
    forge_destroy(&forged);
    stage_destroy(&stage);
}

TestSuite(formation, .init = make_stage, .fini = drop_stage);

static enum formation_state state(void)
{
    return stage->node->formation.state;
}

static uint32_t n_joins(void)
{
    return stage_count(stage, SL_MESSAGE_JOIN);
}

/* An epoch in which the core follows, and a PROPOSE of puppet 0 to it and puppets 1, 2; not yet sealed. */
static void prepare(void)
{
    stage_to_epoch_as(stage, false);
    stage_connect_all(stage);
    stage_forget(stage);
    forge_destroy(&forged);
    forged = forge_new(stage, 0, (const uint32_t[]){PUPPET_SELF, 0, 1, 2}, 4);
}

/* A leader that leaves members of its group out is not answered at once. */
static void invite_everybody(void)
{
    for (uint32_t puppet = 3; puppet < stage->options.n_puppets; puppet++)
        memcpy(forged->propose.candidates[forged->propose.n_candidates++], stage->puppets[puppet].id, 32);
}

static void to_answer(void)
{
    stage_to_phase(stage, stage->config.phase_formation * .43);
}

static void propose(void)
{
    forge_seal_propose(forged);
    forge_say_propose(forged);
    to_answer();
}

/* ---- whole clusters ---- */

struct story { uint32_t n_rosters, n_aggregates; };

static void count(void *context, uint32_t node, uint64_t now_us, const struct sl_trace_event *event)
{
    struct story *story = context;
    (void)node;
    (void)now_us;
    story->n_rosters += event->type == SL_TRACE_ROSTER;
    story->n_aggregates += event->type == SL_TRACE_AGGREGATE;
}

Test(formation_of_cores, leaves_nobody_out_for_any_size_without_faults)
{
    for (uint32_t n = 4; n <= 40; n++) {
        struct story story = {0};
        struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = n, .seed = n, .listen = count, .listen_context = &story});
        cr_assert_eq(cluster_run(cluster, 3.95), SL_OK, "%s", cluster->why);

        cr_assert_geq(10 * story.n_rosters, 9 * 3 * n, "%u nodes: %u of %u node-epochs found a cohort", n, story.n_rosters, 3 * n);
        cr_assert_eq(story.n_aggregates, story.n_rosters, "%u nodes: each cohort must give an aggregate", n);
        if (n <= 8) cr_assert_eq(story.n_rosters, 3 * n, "%u nodes are one cohort", n);
        cluster_destroy(&cluster);
    }
}

Test(formation_of_cores, reaches_candidates_it_is_not_connected_to_with_large_cohorts_too)
{
    struct story story = {0};
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 48, .seed = 3, .listen = count, .listen_context = &story,
        .settings = {"cohort.size=16", "cohort.max_size=16", "view.size=64"}});
    cr_assert_eq(cluster_run(cluster, 1.11), SL_OK, "%s", cluster->why);

    cr_assert_geq(story.n_rosters, 43, "%u of 48 in the first epoch in which anybody is connected", story.n_rosters);
    cluster_destroy(&cluster);
}

Test(formation_of_cores, goes_the_second_way_when_the_leader_is_dead)
{
    struct story story = {0};
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = 9, .seed = 2, .listen = count, .listen_context = &story,
        .settings = {"cohort.size=8"}, .scenario = "at 2e crash 0,1\n"});
    cr_assert_eq(cluster_run(cluster, 9.95), SL_OK, "%s", cluster->why);

    cr_assert_geq(story.n_rosters, 18 + 7 * 6, "seven of nine live on and must find together: %u node-epochs", story.n_rosters);
    cluster_destroy(&cluster);
}

/* ---- proposing ---- */

Test(formation, a_leader_proposes_at_once_and_makes_the_roster_when_its_group_has_answered)
{
    stage_connect_all(stage);
    stage_to_epoch_as(stage, true);
    const struct sent *sent = stage_last(stage, SL_MESSAGE_PROPOSE);
    struct sl_envelope envelope;
    struct sl_propose body;
    cr_assert_not_null(sent);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);
    cr_assert_eq(sl_read_propose(&envelope, &body), SL_OK);
    cr_assert_eq(sent->now_us, stage->now_us, "at once");
    cr_assert_eq(body.n_candidates, 6);

    uint8_t hash[32];
    sl_propose_hash(&envelope, hash);
    uint32_t members[7] = {PUPPET_SELF, 0, 1, 2, 3, 4, 5};
    forged = forge_new(stage, 0, members, 7);
    memcpy(forged->propose_hash, hash, 32);
    forge_joins(forged);
    for (uint32_t i = 0; i < 7; i++) {
        struct forged_member *member = &forged->members[i];
        if (member->who == PUPPET_SELF) continue;
        cr_assert_eq(stage_count(stage, SL_MESSAGE_ROSTER), 0, "somebody is missing");
        puppet_deliver(stage, member->who, member->join, member->join_size);
    }

    cr_assert_eq(stage_count(stage, SL_MESSAGE_ROSTER), 6);
    cr_assert_eq(stage->node->cohort.n_members, 7);
}

/* The core leads; a JOIN of each puppet with what `spoil` makes of it. Returns at the time of the roster. */
static void lead(void (*spoil)(uint32_t who, struct sl_join *join))
{
    struct sl_envelope envelope;
    stage_connect_all(stage);
    stage_to_epoch_as(stage, true);
    const struct sent *sent = stage_last(stage, SL_MESSAGE_PROPOSE);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);
    uint8_t hash[32];
    sl_propose_hash(&envelope, hash);

    forged = forge_new(stage, 0, (const uint32_t[]){PUPPET_SELF, 0, 1, 2, 3, 4, 5}, 7);
    memcpy(forged->propose_hash, hash, 32);
    for (uint32_t who = 0; who < 6; who++) {
        struct forged_member *member = forge_member(forged, who);
        struct sl_join join = forge_join_body(forged, member);
        spoil(who, &join);
        forge_join(forged, member, &join);
        puppet_deliver(stage, who, member->join, member->join_size);
    }
    stage_to_phase(stage, stage->config.phase_formation * .69);
}

Test(formation, makes_no_roster_that_its_own_group_would_refuse)
{
    struct sl_envelope envelope;
    uint32_t members[FORGED_MAX] = {PUPPET_SELF}, n_members = 1;
    stage_destroy(&stage);
    stage = stage_new(&(struct stage_options){.n_puppets = 14, .seed = 1});
    stage_start(stage);
    stage_connect_all(stage);
    stage_to_epoch_as(stage, true);
    const struct formation *formation = &stage->node->formation;
    for (uint32_t i = formation->n_group; i < formation->n_candidates; i++) members[n_members++] = stage_puppet(stage, formation->candidates[i].id);
    cr_assert_geq(n_members, stage->config.cohort_min_size, "substitutes enough for a cohort");
    const struct sent *sent = stage_last(stage, SL_MESSAGE_PROPOSE);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);
    forged = forge_new(stage, members[1], members, n_members);
    sl_propose_hash(&envelope, forged->propose_hash);
    forge_joins(forged);
    for (uint32_t i = 0; i < n_members; i++)
        if (forged->members[i].who != PUPPET_SELF) puppet_deliver(stage, forged->members[i].who, forged->members[i].join, forged->members[i].join_size);

    stage_to_phase(stage, stage->config.phase_formation * .69);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_ROSTER), 0, "none of its group but itself");
    cr_assert_eq(stage_count(stage, SL_MESSAGE_RELEASED), n_members - 1);
    cr_assert_eq(state(), FORMATION_FREE);
    cr_assert_eq(stage->node->cohort.n_members, 0);
}

static void spoil_nothing(uint32_t who, struct sl_join *join)
{
    (void)who;
    (void)join;
}

Test(formation, says_the_roster_again_to_a_member_whose_join_comes_again)
{
    lead(spoil_nothing);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_ROSTER), 6);
    stage_forget(stage);
    const struct forged_member *member = forge_member(forged, 2);

    puppet_deliver(stage, 2, member->join, member->join_size);

    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_ROSTER, 2), 1);
    cr_assert_eq(stage->n_sent, 1, "to nobody else");
    const struct sent *sent = stage_last(stage, SL_MESSAGE_ROSTER);
    cr_assert_eq(sent->size, stage->node->cohort.roster_size);
    cr_assert_eq(memcmp(sent->bytes, stage->node->cohort.roster, sent->size), 0, "the same to the bit");
}

static void stay_away(uint32_t who, struct sl_join *join)
{
    if (who != 0) join->sign_public[0] ^= 1;
}

Test(formation, releases_who_joins_after_it_gave_its_propose_up)
{
    struct sl_envelope envelope;
    lead(stay_away);
    cr_assert_eq(state(), FORMATION_FREE, "one JOIN is too few");
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_RELEASED, 0), 1);
    stage_forget(stage);
    struct forged_member *late = forge_member(forged, 3);
    struct sl_join join = forge_join_body(forged, late);
    forge_join(forged, late, &join);

    puppet_deliver(stage, 3, late->join, late->join_size);

    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_RELEASED, 3), 1, "or it would wait for a roster until the second wave");
    const struct sent *sent = stage_last(stage, SL_MESSAGE_RELEASED);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);
    cr_assert(sl_hash_equal(envelope.cohort, forged->propose_hash), "it names the PROPOSE");

    stage_forget(stage);
    forged->propose_hash[0] ^= 1;
    forge_join(forged, late, &join);
    puppet_deliver(stage, 3, late->join, late->join_size);
    cr_assert_eq(stage->n_sent, 0, "a PROPOSE that never was is not answered");
}

static void refuse_initiator(uint32_t who, struct sl_join *join)
{
    if (who == 1) join->refused = (uint32_t)1 << 6;          /* the place behind the last candidate stands for the initiator */
}

Test(formation, releases_again_who_was_left_out_and_joins_again)
{
    lead(refuse_initiator);
    stage_forget(stage);
    const struct forged_member *member = forge_member(forged, 1);

    puppet_deliver(stage, 1, member->join, member->join_size);

    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_RELEASED, 1), 1);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_ROSTER), 0);
}

Test(formation, a_candidate_that_refuses_its_initiator_is_left_out_and_the_others_go_on)
{
    lead(refuse_initiator);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_ROSTER), 5);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_ROSTER, 1), 0);
}

static void refuse_everybody(uint32_t who, struct sl_join *join)
{
    struct sl_propose propose;
    if (!proposal_open(stage->node, &stage->node->formation.own, &propose)) return;
    if (sl_hash_equal(propose.candidates[0], stage->puppets[who].id)) join->refused = 0x3f;
}

Test(formation, a_candidate_that_refuses_everybody_does_not_break_the_cohort)
{
    lead(refuse_everybody);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_ROSTER), 5);
}

static void use_foreign_certificate(uint32_t who, struct sl_join *join)
{
    if (who != 2) return;
    join->certificate = stage->puppets[3].certificate;
    join->certificate_size = stage->puppets[3].certificate_size;
}

Test(formation, a_join_with_the_certificate_of_another_is_refused)
{
    lead(use_foreign_certificate);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_ROSTER), 5);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_ROSTER, 2), 0);
}

static void use_foreign_identity(uint32_t who, struct sl_join *join)
{
    if (who == 2) memcpy(join->sign_public, stage->puppets[3].sign_public, 32);
}

Test(formation, a_join_whose_key_is_not_that_of_its_sender_is_refused)
{
    lead(use_foreign_identity);

    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_ROSTER, 2), 0);
}

static void use_equal_keys(uint32_t who, struct sl_join *join)
{
    if (who == 2) memcpy(join->mask_public, join->box_public, 32);
    if (who == 3) memcpy(join->mask_public, stage->node->formation.mask_public, 32);
}

Test(formation, joins_with_somebody_elses_mask_key_do_not_keep_the_rest_from_its_cohort)
{
    lead(use_equal_keys);

    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_ROSTER, 3), 0, "the initiator's own key");
    cr_assert_geq(stage_count(stage, SL_MESSAGE_ROSTER), 4);
}

Test(formation, proposes_nothing_when_it_wakes_up_after_the_epoch)
{
    stage_to_epoch_as(stage, false);
    stage_forget(stage);

    stage_jump_to(stage, stage->now_us + stage->config.epoch_us + stage->config.epoch_us / 2);

    for (uint32_t i = 0; i < stage->n_sent; i++) {
        struct sl_envelope envelope;
        sl_envelope_open(stage->sent[i].bytes, stage->sent[i].size, stage->config.network_id, &envelope);
        cr_assert(envelope.type != SL_MESSAGE_PROPOSE || envelope.epoch == stage_epoch(stage), "a PROPOSE for an epoch that is over");
    }
}

Test(formation, proposes_nothing_when_it_wakes_up_after_the_time_of_formation)
{
    stage_to_epoch_as(stage, false);
    stage_forget(stage);

    stage_jump_to(stage, stage->now_us + stage->config.epoch_us / 2);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_PROPOSE), 0);
}

/* ---- answering ---- */

Test(formation, answers_a_proposal_once_and_again_when_it_is_repeated)
{
    prepare();
    propose();
    cr_assert_eq(n_joins(), 1);
    const struct sent *first = stage_last(stage, SL_MESSAGE_JOIN);
    uint8_t bytes[JOIN_MAX];
    size_t size = first->size;
    memcpy(bytes, first->bytes, size);

    forge_say_propose(forged);

    cr_assert_eq(n_joins(), 2);
    const struct sent *second = stage_last(stage, SL_MESSAGE_JOIN);
    cr_assert(second->size == size && memcmp(second->bytes, bytes, size) == 0, "the very same JOIN");
}

Test(formation, ignores_a_proposal_that_does_not_name_it)
{
    prepare();
    for (uint32_t i = 0; i < forged->propose.n_candidates; i++)
        if (sl_hash_equal(forged->propose.candidates[i], stage->self.id)) memcpy(forged->propose.candidates[i], stage->puppets[4].id, 32);
    propose();

    cr_assert_eq(n_joins(), 0);
}

Test(formation, ignores_a_proposal_of_another_epoch)
{
    for (int shift = -1; shift <= 1; shift += 2) {
        prepare();
        forged->epoch = (uint64_t)((int64_t)forged->epoch + shift);
        propose();
        cr_assert_eq(n_joins(), 0, "shift %d", shift);
    }
}

Test(formation, ignores_a_radius_outside_the_limits_of_the_network)
{
    const uint32_t radii[] = {1, 600, (uint32_t)(1001.0 * 65536), UINT32_MAX};
    for (int i = 0; i < 4; i++) {
        prepare();
        forged->propose.radius_q = radii[i];
        propose();
        cr_assert_eq(n_joins(), 0, "radius %u / 65536", radii[i]);
    }
}

Test(formation, ignores_a_radius_far_from_its_own_estimate)
{
    const struct { double factor; bool fits; } cases[] = {{1, true}, {1.49, true}, {1.52, false}, {.68, true}, {.65, false}, {10, false}};
    for (int i = 0; i < 6; i++) {
        prepare();
        stage->node->n_distances = 1;
        stage->node->distances[0] = (struct distance){4, stage_epoch(stage)};
        forged->propose.radius_q = (uint32_t)(stage_status(stage).sharing_radius * cases[i].factor * 65536);
        propose();
        cr_assert_eq(n_joins() == 1, cases[i].fits, "%g times the own estimate", cases[i].factor);
    }
}

Test(formation, ignores_proposals_of_banned_peers)
{
    prepare();
    stage->node->view.peers[0].banned = true;
    uint32_t banned = stage_puppet(stage, stage->node->view.peers[0].id);
    cr_assert_eq(banned, 0);
    propose();
    cr_assert_eq(n_joins(), 0, "banned");
}

Test(formation, ignores_a_proposal_with_a_bad_signature_or_through_another_link)
{
    prepare();
    forge_seal_propose(forged);
    forged->propose_bytes[forged->propose_size - 1] ^= 1;
    forge_say_propose(forged);
    to_answer();
    cr_assert_eq(n_joins(), 0, "bad signature");

    prepare();
    forge_seal_propose(forged);
    puppet_deliver(stage, 1, forged->propose_bytes, forged->propose_size);
    to_answer();
    cr_assert_eq(n_joins(), 0, "through another's link");
}

Test(formation, ignores_a_second_proposal_of_the_same_identity_in_both_waves)
{
    prepare();
    propose();
    cr_assert_eq(n_joins(), 1);
    struct forged *second = forge_new(stage, 0, (const uint32_t[]){PUPPET_SELF, 0, 3, 4}, 4);
    second->propose.nonce[0] ^= 1;
    forge_seal_propose(second);
    forge_say_propose(second);
    stage_to_phase(stage, stage->config.phase_formation * .75);
    forge_say_propose(second);
    stage_to_phase(stage, stage->config.phase_formation * .9);

    struct sl_envelope envelope;
    for (uint32_t i = 0; i < stage->n_sent; i++) {
        if (stage->sent[i].type != SL_MESSAGE_JOIN) continue;
        sl_envelope_open(stage->sent[i].bytes, stage->sent[i].size, stage->config.network_id, &envelope);
        cr_assert_not(sl_hash_equal(envelope.cohort, second->propose_hash), "one PROPOSE per identity and epoch");
    }
    forge_destroy(&second);
}

Test(formation, never_signs_two_different_joins_for_one_proposal)
{
    bool answered_at_once = false;
    for (int i = 0; i < 200 && !answered_at_once; i++) {         /* until puppet 0 leads the group */
        prepare();
        invite_everybody();
        forge_seal_propose(forged);
        forge_say_propose(forged);
        answered_at_once = state() == FORMATION_JOINED;
    }
    cr_assert(answered_at_once);

    struct sl_writer writer = puppet_begin(stage, 0, SL_MESSAGE_RELEASED, forged->epoch, forged->propose_hash);
    sl_write_released(&writer);
    puppet_say(stage, 0, &writer, SL_MESSAGE_RELEASED);
    cr_assert_eq(state(), FORMATION_FREE);
    forge_say_propose(forged);
    stage_to_phase(stage, stage->config.phase_formation);

    const struct sent *first = NULL;
    for (uint32_t i = 0; i < stage->n_sent; i++) {
        const struct sent *sent = &stage->sent[i];
        if (sent->type != SL_MESSAGE_JOIN || sent->to != 0) continue;
        if (!first) first = sent;
        cr_assert(sent->size == first->size && memcmp(sent->bytes, first->bytes, sent->size) == 0, "two stories for one PROPOSE");
    }
}

/* Puppet 0 asks and lets go; in the second wave puppet 1 says the same body in its own name. */
Test(formation, gives_two_initiators_of_one_body_joins_for_two_proposals)
{
    const struct sent *first = NULL, *second = NULL;
    for (int i = 0; i < 50 && !second; i++) {
        struct sl_envelope a, b;
        prepare();
        propose();
        struct sl_writer writer = puppet_begin(stage, 0, SL_MESSAGE_RELEASED, forged->epoch, forged->propose_hash);
        sl_write_released(&writer);
        puppet_say(stage, 0, &writer, SL_MESSAGE_RELEASED);
        stage_to_phase(stage, stage->config.phase_formation * .77);
        forged->initiator = 1;
        forge_seal_propose(forged);
        forge_say_propose(forged);
        stage_to_phase(stage, stage->config.phase_formation * .99);
        first = stage_last_to(stage, SL_MESSAGE_JOIN, 0);
        second = first ? stage_last_to(stage, SL_MESSAGE_JOIN, 1) : NULL;
        if (!second) continue;

        cr_assert_eq(sl_envelope_open(first->bytes, first->size, stage->config.network_id, &a), SL_OK);
        cr_assert_eq(sl_envelope_open(second->bytes, second->size, stage->config.network_id, &b), SL_OK);
        cr_assert_not(sl_hash_equal(a.cohort, b.cohort), "two JOINs of one cohort would convict it");
    }
    cr_assert_not_null(second, "both were answered in some epoch");
}

Test(formation, ignores_an_initiator_outside_its_window)
{
    struct stage *large = stage_new(&(struct stage_options){.n_puppets = 60, .seed = 3});
    struct stage *kept = stage;
    stage = large;
    stage_start(stage);
    bool near_joined = false;
    for (int i = 0; i < 12; i++) {
        stage_to_epoch_as(stage, false);
        uint32_t far_away = 0, near = 0;
        for (uint32_t puppet = 0; puppet < 60; puppet++) {
            uint32_t distance = sl_view_ring_distance(&stage->node->view, stage->puppets[puppet].id);
            if (distance > group_window(stage->node)) far_away = puppet;
            else near = puppet;
        }
        stage_forget(stage);
        forged = forge_new(stage, i % 2 ? far_away : near, (const uint32_t[]){PUPPET_SELF, i % 2 ? far_away : near}, 2);
        forge_seal_propose(forged);
        forge_say_propose(forged);
        to_answer();
        if (i % 2) cr_assert_eq(stage_count_to(stage, SL_MESSAGE_JOIN, far_away), 0);
        else near_joined |= stage_count_to(stage, SL_MESSAGE_JOIN, near) > 0;
        forge_destroy(&forged);
    }
    cr_assert(near_joined);
    stage_destroy(&large);
    stage = kept;
}

Test(formation, refuses_candidates_that_it_has_banned)
{
    prepare();
    stage_control(stage, SL_CONTROL_BAN, 2);
    propose();
    cr_assert_eq(n_joins(), 1);

    struct sl_envelope envelope;
    struct sl_join join;
    const struct sent *sent = stage_last(stage, SL_MESSAGE_JOIN);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);
    cr_assert_eq(sl_read_join(&envelope, &join), SL_OK);
    for (uint32_t i = 0; i < forged->propose.n_candidates; i++) {
        bool banned = sl_hash_equal(forged->propose.candidates[i], stage->puppets[2].id);
        cr_assert_eq(join.refused >> i & 1, banned, "candidate %u", i);
    }
}

/* ---- rosters ---- */

static void to_joined(void)
{
    prepare();
    propose();
    cr_assert(forge_take_join(forged));
    forge_joins(forged);
}

/* A spoiled ROSTER is refused, and no share of a key is dealt for the rest of the epoch. */
static void expect_refused(const char *what)
{
    forge_say_roster(forged);
    cr_assert_eq(stage->node->cohort.state, COHORT_NONE, "%s", what);
    cr_assert_eq(stage->told[SL_TRACE_ROSTER_REFUSED].n, 1, "%s", what);
    stage_to_phase(stage, .96);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_SHARES), 0, "%s", what);
    cr_assert_eq(stage->told[SL_TRACE_SHARED].n, 0, "%s", what);
}

Test(formation, accepts_a_roster_that_is_in_order)
{
    to_joined();
    forge_roster(forged);
    forge_say_roster(forged);

    cr_assert_eq(state(), FORMATION_DONE);
    cr_assert_eq(stage->node->cohort.n_members, 4);
    cr_assert_eq(stage->told[SL_TRACE_SHARED].n, 1);
}

Test(formation, accepts_one_roster_per_epoch)
{
    to_joined();
    forge_roster(forged);
    forge_say_roster(forged);
    uint8_t id[32];
    memcpy(id, stage->node->cohort.id, 32);

    struct sl_join join = forge_join_body(forged, forge_member(forged, 1));
    join.nonce[0] ^= 1;
    forge_join(forged, forge_member(forged, 1), &join);
    forge_roster(forged);
    forge_say_roster(forged);

    cr_assert(sl_hash_equal(stage->node->cohort.id, id));
}

Test(formation, refuses_a_roster_in_which_its_own_join_was_altered)
{
    to_joined();
    forge_self(forged)->join[forge_self(forged)->join_size - 100] ^= 1;
    forge_roster(forged);
    expect_refused("altered");
}

Test(formation, refuses_a_roster_without_it)
{
    to_joined();
    struct forged_member *self = forge_self(forged);
    struct forged_member other = {.who = 3};
    struct sl_join join = forge_join_body(forged, &other);
    forge_join(forged, &other, &join);
    memcpy(self->join, other.join, other.join_size);
    self->join_size = other.join_size;
    forge_roster(forged);
    expect_refused("it is missing, and a stranger to the PROPOSE stands there");
}

Test(formation, refuses_a_roster_that_is_too_small)
{
    to_joined();
    uint32_t place = forge_place(forged, 1);
    for (uint32_t i = place; i + 1 < forged->n_members; i++) forged->members[i] = forged->members[i + 1];
    forged->n_members = 3;
    forge_roster(forged);
    forged->n_members = 4;
    expect_refused("three members");
}

Test(formation, refuses_a_roster_that_is_too_large)
{
    struct stage *kept = stage;
    stage = stage_new(&(struct stage_options){.n_puppets = 12, .seed = 4, .settings = {"cohort.max_size=5", "cohort.size=4"}});
    stage_start(stage);
    stage_to_epoch_as(stage, false);
    stage_forget(stage);
    uint32_t near[5] = {0}, n_near = 0;
    for (uint32_t i = 0; i < 12 && n_near < 5; i++)
        if (sl_view_ring_distance(&stage->node->view, stage->puppets[i].id) <= group_window(stage->node)) near[n_near++] = i;
    cr_assert_eq(n_near, 5);
    forged = forge_new(stage, near[0], (const uint32_t[]){PUPPET_SELF, near[0], near[1], near[2], near[3], near[4]}, 6);
    propose();
    cr_assert(forge_take_join(forged));
    forge_joins(forged);
    forge_roster(forged);
    expect_refused("six members");
    forge_destroy(&forged);
    stage_destroy(&stage);
    stage = kept;
}

Test(formation, refuses_a_roster_with_one_member_twice)
{
    to_joined();
    struct forged_member *one = forge_member(forged, 1), *two = forge_member(forged, 2);
    memcpy(two->join, one->join, one->join_size);
    two->join_size = one->join_size;
    forge_roster(forged);
    expect_refused("equal ids");
}

Test(formation, refuses_a_roster_in_another_order)
{
    to_joined();
    struct forged_member *first = &forged->members[0], *second = &forged->members[1], kept = *first;
    memcpy(first->join, second->join, second->join_size);
    first->join_size = second->join_size;
    memcpy(second->join, kept.join, kept.join_size);
    second->join_size = kept.join_size;
    forge_roster(forged);
    expect_refused("not by id");
}

Test(formation, refuses_a_roster_with_equal_keys)
{
    for (int which = 0; which < 3; which++) {
        to_joined();
        struct sl_join join = forge_join_body(forged, forge_member(forged, 1));
        if (which == 0) memcpy(join.mask_public, forge_member(forged, 2)->mask_public, 32);
        if (which == 1) memcpy(join.box_public, forge_member(forged, 2)->mask_public, 32);
        if (which == 2) memcpy(join.mask_public, forge_self(forged)->mask_public, 32);
        forge_join(forged, forge_member(forged, 1), &join);
        forge_roster(forged);
        expect_refused("equal keys");
    }
}

Test(formation, refuses_a_roster_with_one_key_for_masks_and_boxes)
{
    to_joined();
    struct sl_join join = forge_join_body(forged, forge_member(forged, 1));
    memcpy(join.box_public, join.mask_public, 32);
    forge_join(forged, forge_member(forged, 1), &join);
    forge_roster(forged);
    expect_refused("whoever is left out of a sum would be opened");
}

/* With such a key nobody could begin: one of the roster would void the run of all. */
Test(formation, refuses_a_roster_with_a_key_of_low_order)
{
    for (int which = 0; which < 2; which++) {
        to_joined();
        struct sl_join join = forge_join_body(forged, forge_member(forged, 1));
        memset(which ? join.box_public : join.mask_public, 0, 32);
        forge_join(forged, forge_member(forged, 1), &join);
        forge_roster(forged);
        stage->told[SL_TRACE_ROSTER_REFUSED].n = 0;
        expect_refused("a key of low order");
    }
}

static void spoil_key(uint32_t who, struct sl_join *join)
{
    if (who == 2) memset(join->mask_public, 0, 32);
}

Test(formation, a_leader_leaves_out_a_join_with_a_key_of_low_order)
{
    lead(spoil_key);
    cr_assert_eq(state(), FORMATION_DONE);
    cr_assert_eq(stage->node->cohort.n_members, 6);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_ROSTER, 2), 0);
    cr_assert_geq(stage->told[SL_TRACE_SHARED].n, 1);
}

Test(formation, refuses_a_roster_with_a_forged_join)
{
    to_joined();
    forge_member(forged, 1)->join[forge_member(forged, 1)->join_size - 1] ^= 1;
    forge_roster(forged);
    expect_refused("bad signature of a JOIN");
}

Test(formation, refuses_a_roster_with_a_join_of_another_proposal)
{
    to_joined();
    uint8_t kept[32];
    memcpy(kept, forged->propose_hash, 32);
    forged->propose_hash[0] ^= 1;
    struct sl_join join = forge_join_body(forged, forge_member(forged, 1));
    forge_join(forged, forge_member(forged, 1), &join);
    memcpy(forged->propose_hash, kept, 32);
    forge_roster(forged);
    expect_refused("JOIN of another PROPOSE");
}

Test(formation, refuses_a_roster_in_which_one_refuses_another)
{
    to_joined();
    for (uint32_t bit = 0; bit < forged->propose.n_candidates; bit++) {
        if (!sl_hash_equal(forged->propose.candidates[bit], stage->self.id)) continue;
        struct sl_join join = forge_join_body(forged, forge_member(forged, 1));
        join.refused = (uint32_t)1 << bit;
        forge_join(forged, forge_member(forged, 1), &join);
    }
    forge_roster(forged);
    expect_refused("a member refuses us");
}

Test(formation, refuses_a_roster_with_somebody_who_was_not_invited)
{
    to_joined();
    for (uint32_t i = 0; i < forged->n_members; i++) {
        if (forged->members[i].who != 1) continue;
        forged->members[i].who = 5;
        struct sl_join join = forge_join_body(forged, &forged->members[i]);
        forge_join(forged, &forged->members[i], &join);
    }
    /* in order all the same */
    for (uint32_t i = 1; i < forged->n_members; i++)
        for (uint32_t at = i; at > 0; at--) {
            struct forged_member *a = &forged->members[at - 1], *b = &forged->members[at], kept;
            if (memcmp(stage_identity(stage, a->who)->id, stage_identity(stage, b->who)->id, 32) < 0) break;
            kept = *a;
            *a = *b;
            *b = kept;
        }
    forge_roster(forged);
    expect_refused("puppet 5 is no candidate");
}

Test(formation, refuses_a_roster_without_its_initiator)
{
    prepare();
    forge_destroy(&forged);
    forged = forge_new(stage, 0, (const uint32_t[]){PUPPET_SELF, 0, 1, 2, 3}, 5);
    propose();
    cr_assert(forge_take_join(forged));
    forge_joins(forged);
    uint32_t place = forge_place(forged, 0);
    struct forged_member kept = forged->members[place];
    for (uint32_t i = place; i < 4; i++) forged->members[i] = forged->members[i + 1];
    forged->members[4] = kept;
    forged->n_members = 4;
    forge_roster(forged);
    forged->n_members = 5;
    expect_refused("it invites others and stays away");
}

Test(formation, refuses_a_roster_with_a_bad_signature)
{
    to_joined();
    forge_roster(forged);
    forged->roster_bytes[forged->roster_size - 1] ^= 1;
    expect_refused("bad signature of the ROSTER");
}

Test(formation, refuses_a_roster_with_a_foreign_or_expired_certificate)
{
    uint8_t other_public[32], other_secret[64], seed[32] = {6}, certificate[SL_PEER_CERTIFICATE_MAX];
    crypto_sign_seed_keypair(other_public, other_secret, seed);
    for (int which = 0; which < 2; which++) {
        to_joined();
        const uint8_t *issuer = which == 0 ? other_secret : stage->operator_secret;
        uint64_t expires_s = which == 0 ? UINT32_MAX : stage->now_us / 1000000 - 1;
        struct sl_join join = forge_join_body(forged, forge_member(forged, 1));
        join.certificate = certificate;
        join.certificate_size = stage_admit(stage, issuer, stage->puppets[1].id, expires_s, certificate);
        forge_join(forged, forge_member(forged, 1), &join);
        forge_roster(forged);
        expect_refused(which == 0 ? "another operator" : "expired");
    }
}

Test(formation, ignores_a_roster_from_anybody_but_its_initiator)
{
    to_joined();
    forge_roster(forged);
    puppet_deliver(stage, 1, forged->roster_bytes, forged->roster_size);

    cr_assert_eq(state(), FORMATION_JOINED);
    cr_assert_eq(stage->node->cohort.state, COHORT_NONE);
}

/* ---- who may not act ---- */

Test(formation, does_nothing_before_its_epoch_is_stored)
{
    stage_connect_all(stage);
    stage->holds_stores = true;
    stage_next_epoch(stage);
    stage_forget(stage);
    forged = forge_new(stage, 0, (const uint32_t[]){PUPPET_SELF, 0, 1, 2}, 4);
    propose();

    cr_assert_eq(n_joins(), 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_PROPOSE), 0);
    cr_assert_eq(state(), FORMATION_IDLE);
}

Test(formation, sits_an_epoch_out_whose_store_failed_but_trains_and_merges)
{
    stage->fails_stores = true;
    for (int i = 0; i < 5; i++) {
        stage_next_epoch(stage);
        stage_connect_all(stage);
        stage_forget(stage);
        forge_destroy(&forged);
        forged = forge_new(stage, 0, (const uint32_t[]){PUPPET_SELF, 0, 1, 2}, 4);
        propose();
        cr_assert_eq(n_joins() + stage_count(stage, SL_MESSAGE_PROPOSE), 0);
    }
    cr_assert_geq(stage->n_jobs, 5);
    cr_assert_geq(stage_status(stage).epochs_trained, 5);

    stage->fails_stores = false;
    prepare();
    propose();
    cr_assert_eq(n_joins(), 1, "a disk that works again is enough");
}

Test(formation, a_store_that_comes_after_its_epoch_opens_nothing)
{
    stage->holds_stores = true;
    stage_next_epoch(stage);
    uint64_t ticket = stage->pending_ticket;
    stage_next_epoch(stage);
    struct sl_event late = {.type = SL_EVENT_STORED, .stored = {ticket, SL_OK}};
    stage_step(stage, &late);

    cr_assert_not(stage->node->acting);
}

Test(formation, does_not_act_after_it_was_told_to_leave)
{
    stage_to_epoch_as(stage, false);
    stage_control(stage, SL_CONTROL_LEAVE, 0);
    stage_forget(stage);
    for (int i = 0; i < 4; i++) {
        stage_next_epoch(stage);
        forge_destroy(&forged);
        forged = forge_new(stage, 0, (const uint32_t[]){PUPPET_SELF, 0, 1, 2}, 4);
        propose();
    }

    cr_assert_eq(n_joins() + stage_count(stage, SL_MESSAGE_PROPOSE), 0);
    cr_assert(stage_status(stage).stalled);
    cr_assert_str_eq(stage_status(stage).reason, "it was told to leave");
    cr_assert_eq(stage_status(stage).links_up, 0, "its peers notice");
    uint32_t n_dials = stage->n_dials;
    stage_connect(stage, 1);
    cr_assert_eq(stage_status(stage).links_up, 0, "and nobody comes back");
    cr_assert_eq(stage->n_dials, n_dials);
}
