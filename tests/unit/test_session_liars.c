/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/quorum.h"
#include "cohort/session_parts.h"
#include "sessions.h"

/* Members that keep to the letter of the protocol and yet try to spoil a run, or somebody's name. */

static struct sessions *cohort_of(uint32_t n, uint32_t rows)
{
    return sessions_begin(&(struct sessions_setup){.n = n, .dim = 70, .ring_bits = 32, .rows = rows, .seed = 1});
}

static void lose(struct sessions *sessions, uint32_t type, uint32_t step, uint32_t author, uint32_t sender, uint32_t to)
{
    sessions_rule(sessions, &(struct sessions_rule){.type = type, .step = step, .author = author, .sender = sender, .to = to, .fate = SESSIONS_DROP});
}

Test(session_liars, do_not_stop_a_run_by_withholding_a_vector)
{
    for (uint32_t rows = 0; rows <= 8; rows += 8) {
        struct sessions *sessions = cohort_of(5, rows);
        lose(sessions, SESSIONS_VECTOR, SESSIONS_ANY, 0, SESSIONS_ANY, SESSIONS_ANY);

        sessions_run(sessions);

        for (uint32_t i = 1; i < 5; i++) {
            cr_assert(sessions_is_done(sessions, i), "member %u", i);
            cr_assert_eq(sessions_last_set(sessions, i), 0x1e);
            cr_assert(sessions_sum_is_right(sessions, i));
            cr_assert_eq(sessions_told(sessions, i, SL_NEWS_DROPPED, 0), 1);
        }
        sessions_free(sessions);
    }
}

Test(session_liars, do_not_split_a_cohort_by_telling_a_list_to_one_alone)
{
    struct sessions *sessions = cohort_of(4, 8);
    lose(sessions, SL_MESSAGE_COMMIT, SESSIONS_ANY, 3, SESSIONS_ANY, 0);
    sessions_rule(sessions, &(struct sessions_rule){.type = SL_MESSAGE_LIST, .step = SL_STEP_LIST_COMMIT, .author = 0, .sender = 0, .to = 1,
                                                    .fate = SESSIONS_DELAY, .until = SESSIONS_TICK(SL_STEP_COMMIT, SL_MOMENT_CLOSE)});
    lose(sessions, SL_MESSAGE_LIST, SL_STEP_LIST_COMMIT, 0, 0, SESSIONS_ANY);

    sessions_run(sessions);

    for (uint32_t i = 1; i < 4; i++) cr_assert_eq(sl_session_set(sessions->members[i].session, SL_STEP_LIST_COMMIT), 7, "member %u", i);
    sessions_free(sessions);
}

Test(session_liars, do_not_make_others_call_a_member_silent_whom_they_heard)
{
    struct sessions *sessions = cohort_of(5, 8);
    lose(sessions, SL_MESSAGE_COMMIT, SESSIONS_ANY, 3, SESSIONS_ANY, 0);

    sessions_run(sessions);

    cr_assert_eq(sessions_told(sessions, 0, SL_NEWS_DROPPED, 3), 1, "who did not hear it");
    for (uint32_t i = 1; i < 5; i++) cr_assert_eq(sessions_told(sessions, i, SL_NEWS_DROPPED, 3), 0, "member %u", i);
    sessions_free(sessions);
}

Test(session_liars, cannot_veto_a_run_without_audit_by_a_large_input)
{
    struct sessions *sessions = sessions_begin(&(struct sessions_setup){.n = 4, .dim = 70, .ring_bits = 32, .seed = 1, .scales_inputs = true,
                                                                        .scale = {.2, 8, .2, .2}});

    sessions_run(sessions);

    for (uint32_t i = 0; i < 4; i++) cr_assert(sessions_is_done(sessions, i));
    sessions_free(sessions);
}

Test(session_liars, leave_nothing_of_audits_and_self_seeds_to_be_found_after_the_end)
{
    struct sessions *sessions = cohort_of(4, 8);
    sessions_run(sessions);
    uint8_t self[32];
    uint32_t input[8];
    cr_assert(sessions_self_seed(sessions, 1, self));
    memcpy(input, sessions->members[2].session->audits[1].input, sizeof input);

    for (uint32_t i = 0; i < 4; i++) {
        sl_session_end(sessions->members[i].session);
        const uint8_t *block = sessions->members[i].block;
        for (size_t at = 0; at + 32 <= sl_session_size(4, 70, 8); at++)
            cr_assert(memcmp(block + at, self, 32) != 0 && memcmp(block + at, input, 32) != 0, "member %u", i);
    }
    sessions_free(sessions);
}

Test(session_liars, who_are_known_to_be_absent_are_not_waited_for_after_ask)
{
    struct sessions *sessions = cohort_of(5, 8);
    sessions_silence(sessions, 3, SL_STEP_COMMIT, 0);
    sessions_settle(sessions);
    sl_session_absent(sessions->members[0].session, 3, true);
    cr_assert_eq(sl_session_set(sessions->members[0].session, SL_STEP_LIST_COMMIT), 0, "not before ASK");

    sessions_tick(sessions, SL_STEP_COMMIT, SL_MOMENT_ASK);

    cr_assert_eq(sl_session_set(sessions->members[0].session, SL_STEP_LIST_COMMIT), 0x17);
    sessions_free(sessions);
}

/* ---- large cohorts ---- */

Test(large_sessions, of_64_sum_exactly_and_lose_as_many_as_may_be_lost)
{
    struct sessions *sessions = cohort_of(64, 8);
    const uint32_t threshold = sl_quorum_threshold(64), n_lost = 64 - threshold;
    for (uint32_t i = 0; i < n_lost; i++) sessions_silence(sessions, 5 * i, i % 2 ? SL_STEP_COMMIT : SL_STEP_OPEN, 0);

    sessions_run(sessions);

    for (uint32_t i = 0; i < 64; i++) {
        bool is_lost = i % 5 == 0 && i / 5 < n_lost;
        if (is_lost) continue;
        cr_assert(sessions_is_done(sessions, i), "member %u", i);
        cr_assert_eq(sl_count_bits(sessions_last_set(sessions, i)), threshold);
        cr_assert(sessions_sum_is_right(sessions, i));
    }
    sessions_free(sessions);
}

Test(large_sessions, of_64_with_one_too_few_open_nothing)
{
    struct sessions *sessions = cohort_of(64, 0);
    const uint32_t n_lost = 64 - sl_quorum_threshold(64) + 1;
    for (uint32_t i = 0; i < n_lost; i++) sessions_silence(sessions, 4 * i, SL_STEP_COMMIT, 0);

    sessions_run(sessions);

    cr_assert_eq(sl_session_state(sessions->members[1].session), SL_SESSION_VOID);
    for (uint32_t i = 0; i < 64; i++) cr_assert_null(sessions_said(sessions, i, SL_STEP_UNMASK), "member %u", i);
    sessions_free(sessions);
}

/* ---- noise that members owe ---- */

enum { NOISY = 10, NOISY_DIM = 4096, WITHHOLDERS = 3 };
static const double noise_variance = 4e6;

/* Ten inputs that are all noise, evenly spread with that variance; the first n_silent ones are nothing. */
static struct sessions *noisy_cohort(uint32_t rows, uint32_t n_silent)
{
    struct sessions *sessions = sessions_begin(&(struct sessions_setup){.n = NOISY, .dim = NOISY_DIM, .ring_bits = 32, .rows = rows, .seed = 3,
                                                                        .noise_variance = noise_variance});
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){8});
    double width = sqrt(3 * noise_variance);
    for (uint32_t i = 0; i < NOISY; i++)
        for (uint32_t j = 0; j < NOISY_DIM; j++)
            sessions->members[i].z[j] = i < n_silent ? 0 : (uint32_t)(int32_t)(width * (2 * sl_rng_uniform(&rng) - 1));
    return sessions;
}

Test(session_noise, in_the_sum_is_what_its_members_owe)
{
    for (uint32_t rows = 0; rows <= 8; rows += 8) {
        struct sessions *sessions = noisy_cohort(rows, 0);
        sessions_run(sessions);
        for (uint32_t i = 0; i < NOISY; i++) {
            cr_assert(sessions_is_done(sessions, i));
            cr_assert(sessions_sum_is_right(sessions, i));
            cr_assert_eq(sessions_told(sessions, i, SL_NEWS_ODD_SUM, SESSIONS_ANY), 0);
        }
        sessions_free(sessions);
    }
}

Test(session_noise, that_was_kept_back_is_told_and_voids_nothing)
{
    struct sessions *sessions = noisy_cohort(0, WITHHOLDERS);
    sessions_run(sessions);
    for (uint32_t i = 0; i < NOISY; i++) {
        cr_assert(sessions_is_done(sessions, i));
        cr_assert_eq(sessions_told(sessions, i, SL_NEWS_ODD_SUM, SESSIONS_ANY), 1);
    }
    sessions_free(sessions);
}

Test(session_noise, that_was_kept_back_fails_an_audit)
{
    struct sessions *sessions = noisy_cohort(8, 2);
    sessions_run(sessions);
    for (uint32_t i = 0; i < NOISY; i++) {
        cr_assert(sessions_is_done(sessions, i));
        cr_assert_eq(sessions_last_set(sessions, i), 0x3fc, "all but the first two");
        cr_assert_eq(sessions_told(sessions, i, SL_NEWS_BAD_AUDIT, 0), 1);
        cr_assert_eq(sessions_told(sessions, i, SL_NEWS_ODD_SUM, SESSIONS_ANY), 0);
    }
    sessions_free(sessions);
}
