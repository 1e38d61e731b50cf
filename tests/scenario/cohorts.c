/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/quorum.h"
#include "sessions.h"

/*
 * cohorts FIRST COUNT [-v]: random cohorts of real sessions, one seed each. A seed decides size, dimension, ring and audit, who vanishes at which step and whom
 * its last message still reaches, how many messages get lost and whether they keep their order. Whatever happens,
 *
 *     every member that finishes has the sum of the inputs of U, bit for bit, and all have the same U; nobody honest is accused;
 *     without losses, and unless the initiator vanishes in the middle of an announcement, all who stay finish if no more than c - t vanish.
 *
 * A failure names the command that repeats it.
 *
 * cohorts late: a COMMIT that comes after the LIST of COMMITs never counts. cohorts poison COUNT: half the ring added to an even number of coordinates never
 * gets into a sum: the audit leaves its author out, or, where all rows are blind to it, the norm of the sum voids the run.
 */
enum { DIM_LARGE = 4096 };

struct plan {
    struct sessions_setup setup;
    uint32_t n_gone, steps[SESSIONS_MAX], reach[SESSIONS_MAX];       /* steps: SL_STEP_COUNT for those who stay */
    bool is_torn;                            /* the initiator vanishes while it announces */
};

struct tally { uint32_t runs, finished, void_runs, void_allowed, torn, torn_void, lossy, lossy_void; };

/* Does an initiator that vanishes here leave members with different LISTs, or a LIST of OPENs with its own vector in it that nobody can fetch any more? */
static bool tears(const struct sessions_setup *setup, uint32_t step, uint32_t reach)
{
    bool is_list = step % 2 == 0 && step <= SL_STEP_LIST_AUDIT;
    bool is_next = step == SL_STEP_AUDIT || (setup->rows == 0 && step > SL_STEP_AUDIT && step <= SL_STEP_CONFIRM);
    return (is_list && reach > 0) || is_next;
}

static struct plan draw(uint64_t seed)
{
    static const uint8_t key[32] = "random cohorts";
    struct sl_rng base, rng;
    sl_rng_init(&base, key);
    rng = sl_rng_fork(&base, "cohort", seed);

    struct plan plan = {.setup = {.seed = seed}};
    struct sessions_setup *setup = &plan.setup;
    setup->n = 3 + sl_rng_below(&rng, 6);
    setup->dim = sl_rng_below(&rng, 16) == 0 ? DIM_LARGE + sl_rng_below(&rng, 700) : 2 * (1 + sl_rng_below(&rng, 150));
    setup->ring_bits = sl_rng_below(&rng, 2) ? 32 : 16;
    setup->rows = (uint32_t[]){0, 8, 32}[sl_rng_below(&rng, 3)];
    setup->initiator = sl_rng_below(&rng, setup->n);
    setup->shuffles = sl_rng_below(&rng, 2);
    if (sl_rng_below(&rng, 4) == 0) setup->loss = .3 * sl_rng_uniform(&rng);

    for (uint32_t i = 0; i < setup->n; i++) plan.steps[i] = SL_STEP_COUNT;
    uint32_t most = sl_rng_below(&rng, 2) ? setup->n : setup->n - sl_quorum_threshold(setup->n);
    plan.n_gone = sl_rng_below(&rng, most + 1);
    uint32_t order[SESSIONS_MAX];
    for (uint32_t i = 0; i < setup->n; i++) order[i] = i;
    sl_rng_shuffle(&rng, order, setup->n);
    for (uint32_t k = 0; k < plan.n_gone; k++) {
        uint32_t who = order[k];
        plan.steps[who] = SL_STEP_SHARES + sl_rng_below(&rng, SL_STEP_COUNT - SL_STEP_SHARES);
        plan.reach[who] = sl_rng_below(&rng, 3) ? 0 : sl_rng_below(&rng, setup->n);
        if (who == setup->initiator && tears(setup, plan.steps[who], plan.reach[who])) plan.is_torn = true;
    }
    return plan;
}

static void print(const struct plan *plan)
{
    const struct sessions_setup *setup = &plan->setup;
    printf("c %" PRIu32 ", dim %" PRIu32 ", ring %" PRIu32 ", rows %" PRIu32 ", initiator %" PRIu32 ", loss %.3f%s; vanish:", setup->n, setup->dim,
           setup->ring_bits, setup->rows, setup->initiator, setup->loss, setup->shuffles ? ", shuffled" : "");
    for (uint32_t i = 0; i < setup->n; i++)
        if (plan->steps[i] != SL_STEP_COUNT) printf(" %" PRIu32 " at step %" PRIu32 " (reaches %" PRIu32 ")", i, plan->steps[i], plan->reach[i]);
    printf("\n");
}

static void print_end(const struct sessions *sessions)
{
    for (uint32_t i = 0; i < sessions->setup.n; i++) {
        const struct sessions_member *member = &sessions->members[i];
        printf("  %" PRIu32 ": state %d%s, sets", i, (int)sl_session_state(member->session), member->is_gone ? " (gone)" : "");
        for (uint32_t step = SL_STEP_LIST_SHARES; step <= SL_STEP_LIST_AUDIT; step += 2) printf(" %" PRIx64, sl_session_set(member->session, step));
        printf(", news");
        for (uint32_t k = 0; k < member->n_news; k++)
            printf(" %d/%" PRIu32 "/%" PRId64, (int)member->news[k].news, member->news[k].member, member->news[k].number);
        printf("\n");
    }
}

/* What is wrong, NULL: nothing. */
static const char *judge(const struct plan *plan, const struct sessions *sessions, uint32_t *n_done, uint32_t *n_stayed)
{
    uint64_t set = 0;
    *n_done = *n_stayed = 0;
    for (uint32_t i = 0; i < plan->setup.n; i++) {
        const struct sessions_member *member = &sessions->members[i];
        enum sl_session_state state = sl_session_state(member->session);
        if (member->accused) return "an honest member is accused";
        if (!member->is_gone) (*n_stayed)++;
        if (!member->is_gone && state < SL_SESSION_DONE) return "a run has no end";
        if (state != SL_SESSION_SIGNED && state != SL_SESSION_DONE) continue;
        if (!sessions_sum_is_right(sessions, i)) return "a sum is wrong";
        if (set && set != sessions_last_set(sessions, i)) return "two members sum over different sets";
        set = sessions_last_set(sessions, i);
        if (state == SL_SESSION_DONE && !member->is_gone) (*n_done)++;
    }
    uint32_t threshold = sl_quorum_threshold(plan->setup.n);
    bool must_finish = plan->setup.loss == 0 && !plan->is_torn && *n_stayed >= threshold;
    if (must_finish && *n_done < *n_stayed) return "not all who stay finish, although enough stay";
    return NULL;
}

static bool run(uint64_t seed, bool is_verbose, struct tally *tally)
{
    struct plan plan = draw(seed);
    struct sessions *sessions = sessions_begin(&plan.setup);
    for (uint32_t i = 0; i < plan.setup.n; i++)
        if (plan.steps[i] != SL_STEP_COUNT) sessions_silence(sessions, i, plan.steps[i], plan.reach[i]);
    sessions_run(sessions);

    uint32_t n_done, n_stayed;
    const char *wrong = judge(&plan, sessions, &n_done, &n_stayed);
    if (wrong || is_verbose) {
        print(&plan);
        print_end(sessions);
    }
    if (wrong) printf("cohorts %" PRIu64 " 1 -v: %s\n", seed, wrong);
    bool has_finished = n_done > 0;
    tally->runs++;
    tally->finished += has_finished;
    tally->void_runs += !has_finished;
    tally->void_allowed += !has_finished && n_stayed < sl_quorum_threshold(plan.setup.n);
    tally->torn += plan.is_torn;
    tally->torn_void += plan.is_torn && !has_finished;
    tally->lossy += plan.setup.loss > 0;
    tally->lossy_void += plan.setup.loss > 0 && !has_finished;
    sessions_free(sessions);
    return !wrong;
}

enum { LIAR = 2 };

static int late(void)
{
    struct sessions *sessions = sessions_begin(&(struct sessions_setup){.n = 5, .dim = 64, .ring_bits = 32, .rows = 8, .seed = 1});
    sessions_rule(sessions, &(struct sessions_rule){.type = SL_MESSAGE_COMMIT, .step = SESSIONS_ANY, .author = LIAR, .sender = SESSIONS_ANY, .to = SESSIONS_ANY,
                                                    .fate = SESSIONS_DELAY, .until = SESSIONS_TICK(SL_STEP_COMMIT, SL_MOMENT_CLOSE)});
    sessions_run(sessions);
    bool is_right = true;
    for (uint32_t i = 0; i < 5; i++) {
        bool is_out = !(sl_session_set(sessions->members[i].session, SL_STEP_LIST_COMMIT) >> LIAR & 1);
        is_right = is_right && is_out && sessions_is_done(sessions, i) && sessions_sum_is_right(sessions, i);
    }
    printf("a late COMMIT is left out, and all finish without it: %s\n", is_right ? "yes" : "NO");
    sessions_free(sessions);
    return !is_right;
}

static int poison(uint32_t count)
{
    uint32_t n_left_out = 0, n_void = 0, n_wrong = 0;
    for (uint32_t seed = 1; seed <= count; seed++) {
        struct sessions_setup setup = {.n = 4, .dim = DIM_LARGE, .ring_bits = seed % 2 ? 32 : 16, .rows = 8, .seed = seed};
        struct sessions *sessions = sessions_begin(&setup);
        for (uint32_t j = 0; j < 2 * (1 + seed % 5); j++) sessions->members[LIAR].z[j * 17] += UINT32_C(1) << (setup.ring_bits - 1);
        sessions_run(sessions);
        bool is_done = sessions_is_done(sessions, 0), is_in = sessions_last_set(sessions, 0) >> LIAR & 1;
        n_left_out += is_done && !is_in && sessions_sum_is_right(sessions, 0);
        n_void += !is_done;
        n_wrong += is_done && (is_in || !sessions_sum_is_right(sessions, 0));
        sessions_free(sessions);
    }
    printf("%" PRIu32 " poisoned runs: left out by the audit %" PRIu32 ", void by the norm of the sum %" PRIu32 ", got through %" PRIu32 "\n", count,
           n_left_out, n_void, n_wrong);
    return n_wrong > 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "late") == 0) return late();
    if (argc == 3 && strcmp(argv[1], "poison") == 0) return poison((uint32_t)atoi(argv[2]));
    if (argc < 3) {
        fprintf(stderr, "usage: cohorts FIRST COUNT [-v] | late | poison COUNT\n");
        return 2;
    }
    uint64_t first = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);
    bool is_verbose = argc > 3 && strcmp(argv[3], "-v") == 0;
    struct tally tally = {0};
    uint32_t n_wrong = 0;
    for (uint64_t seed = first; seed < first + count; seed++) n_wrong += !run(seed, is_verbose, &tally);
    printf("%" PRIu32 " cohorts: %" PRIu32 " finished, %" PRIu32 " void (%" PRIu32 " with fewer than t left); torn announcements %" PRIu32
           ", of these void %" PRIu32
           "; with losses %" PRIu32 ", of these void %" PRIu32 "; wrong %" PRIu32 "\n",
           tally.runs, tally.finished, tally.void_runs, tally.void_allowed, tally.torn, tally.torn_void, tally.lossy, tally.lossy_void, n_wrong);
    return n_wrong > 0;
}
