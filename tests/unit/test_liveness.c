/* SPDX-License-Identifier: MIT */
/* Whom cohorts lost: judged run by run in a node's own table, which a test fills with runs that never were. */
#include <criterion/criterion.h>
#include <string.h>

#include "puppet.h"

static struct stage *stage;

static void make_stage(void)
{
    stage = stage_new(&(struct stage_options){.n_puppets = 12, .seed = 1});
    stage_start(stage);
    stage_next_epoch(stage);
}

static void drop_stage(void)
{
    stage_destroy(&stage);
}

TestSuite(liveness, .init = make_stage, .fini = drop_stage);

/* A run with puppets first .. first + 3, of whom those in `lost` (bit by bit) were lost; an epoch later than the one before. */
static void run(uint32_t first, uint32_t lost)
{
    struct cohort *cohort = &stage->node->cohort;
    stage->node->epoch++;
    cohort->n_members = 5;
    cohort->own = 4;
    memcpy(cohort->members[4].id, stage->self.id, 32);
    for (uint32_t i = 0; i < 4; i++) {
        memcpy(cohort->members[i].id, stage->puppets[first + i].id, 32);
        cohort->members[i].was_lost = lost >> i & 1;
    }
    liveness_on_run(stage->node);
    cohort->n_members = 0;
}

static bool avoids(uint32_t puppet)
{
    return liveness_avoids(stage->node, stage->puppets[puppet].id);
}

/* Epochs for which it leaves this puppet alone from now on. */
static uint32_t wait_for(uint32_t puppet)
{
    uint32_t n = 0;
    for (; avoids(puppet); n++) stage->node->epoch++;
    return n;
}

Test(liveness, forgives_one_loss)
{
    run(0, 1);
    cr_assert_not(avoids(0));
    cr_assert_not(avoids(1));
}

Test(liveness, leaves_alone_who_was_lost_twice_in_a_row_and_tells_of_it)
{
    run(0, 1);
    run(0, 1);

    cr_assert(avoids(0));
    cr_assert_not(avoids(1));
    cr_assert_eq(stage->told[SL_TRACE_AVOIDED].n, 1);
    cr_assert(sl_hash_equal(stage->told[SL_TRACE_AVOIDED].last.peer, stage->puppets[0].id));
}

Test(liveness, waits_longer_every_time_and_not_for_ever)
{
    uint32_t before = 0, wait = 0;
    run(0, 1);
    for (int i = 0; i < 8; i++) {
        run(0, 1);
        wait = wait_for(0);
        cr_assert(wait > before || (wait == before && i > 3), "%u after %u epochs", wait, before);
        before = wait;
    }
    cr_assert_leq(wait, 17);
}

Test(liveness, trusts_again_who_stays_to_the_end)
{
    run(0, 1);
    run(0, 1);
    (void)wait_for(0);
    for (int i = 0; i < 6; i++) run(0, 0);
    run(0, 1);
    cr_assert_not(avoids(0));
    run(0, 1);

    cr_assert(avoids(0));
    cr_assert_eq(stage->told[SL_TRACE_AVOIDED].last.a, 2, "it begins anew with a short wait");
}

Test(liveness, blames_its_own_connection_when_most_are_lost_at_once)
{
    for (int i = 0; i < 4; i++) run(0, 7);

    for (uint32_t puppet = 0; puppet < 4; puppet++) cr_assert_not(avoids(puppet));
}

Test(liveness, refuses_nobody_where_everybody_is_lossy)
{
    for (int i = 0; i < 6; i++)
        for (uint32_t first = 0; first < 12; first += 4)
            for (uint32_t lost = 1; lost < 16; lost *= 2) run(first, lost);
    for (int i = 0; i < 2; i++)
        for (uint32_t first = 0; first < 12; first += 4) {
            run(first, 3);
            run(first, 12);
        }

    uint32_t n = 0;
    for (uint32_t puppet = 0; puppet < 12; puppet++) n += avoids(puppet);
    cr_assert_leq(n, 1, "%u of 12 are left alone", n);
}

Test(liveness, keeps_its_table_within_bounds)
{
    struct cohort *cohort = &stage->node->cohort;
    for (uint32_t i = 0; i < 3 * LIVENESS_MAX; i++) {
        memset(cohort->members[0].id, 0, 32);
        memcpy(cohort->members[0].id, &i, sizeof i);
        cohort->members[0].was_lost = true;
        cohort->n_members = 5;
        cohort->own = 4;
        for (uint32_t j = 1; j < 4; j++) {
            memcpy(cohort->members[j].id, stage->puppets[j].id, 32);
            cohort->members[j].was_lost = false;
        }
        liveness_on_run(stage->node);
    }
    cohort->n_members = 0;
    cr_assert_eq(stage->node->liveness.n, LIVENESS_MAX);
}

/* What the others see of it: a bit in its JOIN, no more. */
Test(liveness, refuses_in_its_join_whom_it_leaves_alone)
{
    struct sl_envelope envelope;
    struct sl_propose propose;
    struct sl_join join;
    stage_to_epoch_as(stage, true);
    run(0, 1);
    run(0, 1);
    stage->node->liveness.all[0].until = UINT64_MAX;
    stage_to_epoch_as(stage, true);
    stage_connect_all(stage);
    stage_to_phase(stage, stage->config.phase_formation / 2);

    const struct sent *sent = stage_last(stage, SL_MESSAGE_PROPOSE);
    cr_assert_not_null(sent);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);
    cr_assert_eq(sl_read_propose(&envelope, &propose), SL_OK);
    const struct answer *own = &stage->node->formation.join;
    cr_assert_eq(sl_envelope_open(own->bytes, own->size, stage->config.network_id, &envelope), SL_OK);
    cr_assert_eq(sl_read_join(&envelope, &join), SL_OK);
    for (uint32_t i = 0; i < propose.n_candidates; i++) {
        bool is_avoided = sl_hash_equal(propose.candidates[i], stage->puppets[0].id);
        cr_assert_eq(join.refused >> i & 1, is_avoided, "candidate %u", i);
    }
}
