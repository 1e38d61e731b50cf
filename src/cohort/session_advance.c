/* SPDX-License-Identifier: MIT */
/* What comes in, and how far the run can go with it. */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "base/quorum.h"
#include "cohort/session_parts.h"
#include "starling/error.h"

/* ---- how far ---- */

static void enter_agreed(struct sl_session *session)
{
    if (!(session->agreed[0] & bit(session->own))) {
        session_void(session, SL_SESSION_ALL);
        return;
    }
    struct secrets *secrets = &session->secrets;
    sl_wipe(secrets->mask, sizeof secrets->mask);
    sl_wipe(secrets->box, sizeof secrets->box);
    sl_wipe(secrets->boxes, sizeof secrets->boxes);
    session->state = SL_SESSION_AGREED;
    session_tell(session, SL_NEWS_AGREED, session->own, sl_count_bits(session->agreed[0]));
}

/* Our COMMIT, if LIST Y has not come before it; what is not committed then is never used. */
static bool leave_agreed(struct sl_session *session)
{
    bool has_refused = session->refused & bit(session->own), is_late = session_close(session, 1);
    if (!is_late && !session->has_input && !has_refused) return false;

    if (is_late) session_drop_input(session);
    else if (session->has_input) session_commit(session);
    session->state = SL_SESSION_COMMITTED;
    return true;
}

static bool leave_committed(struct sl_session *session)
{
    if (!session_close(session, 1)) return false;

    if (session->agreed[1] & bit(session->own)) session_open(session);
    else session_drop_input(session);
    session->state = SL_SESSION_OPENED;
    return true;
}

static void want_opened(struct sl_session *session)
{
    for (uint32_t i = 0; i < session->n_members; i++)
        if ((session->agreed[1] & bit(i)) && session_fits(session, SL_STEP_OPEN, i)) session_want(session, bit(i));
}

static void end_masking(struct sl_session *session)
{
    session_drop_input(session);
    sl_wipe(session->secrets.self, sizeof session->secrets.self);
    sl_wipe(session->secrets.nonce, sizeof session->secrets.nonce);
    sl_wipe(session->secrets.pair, sizeof session->secrets.pair);
}

static bool leave_opened(struct sl_session *session)
{
    want_opened(session);
    if (!session_close(session, 2)) return false;

    if (session->rows > 0) {
        session_audit(session);
        session->state = SL_SESSION_AUDITED;
        return true;
    }
    end_masking(session);
    session_confirm(session);
    session->state = SL_SESSION_CONFIRMED;
    return true;
}

static bool leave_audited(struct sl_session *session)
{
    session_check_audits(session);
    if (!session_close(session, 3)) return false;

    end_masking(session);
    session_confirm(session);
    session->state = SL_SESSION_CONFIRMED;
    return true;
}

static bool leave_signed(struct sl_session *session)
{
    uint64_t signers;
    session_compare_results(session);
    uint32_t n = session_results(session, &signers);
    if (n < sl_quorum_colluders(session->n_members) + 1) return false;

    session->state = SL_SESSION_DONE;
    session_tell(session, SL_NEWS_DONE, session->own, n);
    return true;
}

static bool go_on(struct sl_session *session)
{
    switch (session->state) {
    case SL_SESSION_SHARED:
        if (!session_close(session, 0)) return false;
        enter_agreed(session);
        return true;
    case SL_SESSION_AGREED: return leave_agreed(session);
    case SL_SESSION_COMMITTED: return leave_committed(session);
    case SL_SESSION_OPENED: return leave_opened(session);
    case SL_SESSION_AUDITED: return leave_audited(session);
    case SL_SESSION_CONFIRMED:
        if (!session_unmask(session)) return false;
        session->state = SL_SESSION_UNMASKED;
        return true;
    case SL_SESSION_UNMASKED:
        if (!session_sum(session)) return false;
        session->state = SL_SESSION_SIGNED;
        return true;
    case SL_SESSION_SIGNED: return leave_signed(session);
    default: return false;
    }
}

/* A driver may answer from within a call of the port: the loop that runs already sees what came. */
void session_advance(struct sl_session *session)
{
    if (session->is_busy) return;

    session->is_busy = true;
    while (go_on(session)) continue;
    session->is_busy = false;
}

/* ---- moments ---- */

uint32_t session_step(const struct sl_session *session)
{
    static const uint32_t steps[] = {
        [SL_SESSION_SHARED] = SL_STEP_SHARES, [SL_SESSION_AGREED] = SL_STEP_COMMIT, [SL_SESSION_COMMITTED] = SL_STEP_COMMIT,
        [SL_SESSION_OPENED] = SL_STEP_OPEN, [SL_SESSION_AUDITED] = SL_STEP_AUDIT, [SL_SESSION_CONFIRMED] = SL_STEP_CONFIRM,
        [SL_SESSION_UNMASKED] = SL_STEP_UNMASK, [SL_SESSION_SIGNED] = SL_STEP_RESULT, [SL_SESSION_DONE] = 0, [SL_SESSION_VOID] = 0};

    return steps[session->state];
}

/* The run ends here: whom did we wait for? If all is here it was for the initiator's LIST, or for one that we could accept. */
static void end_run(struct sl_session *session, uint32_t step)
{
    bool has_list = step <= SL_STEP_AUDIT;
    uint64_t lacking = has_list ? session_lacking(session, (step - 1) / 2) : 0;
    for (uint32_t i = 0; i < session->n_members; i++) {
        bool is_silent = has_list ? lacking & bit(i) : (session->agreed[0] & bit(i)) && !session_fits(session, step, i);
        if (!is_silent || i == session->own || (session->told & bit(i))) continue;
        session->told |= bit(i);
        session_tell(session, SL_NEWS_DROPPED, i, step);
    }
    bool are_enough = has_list && lacking == 0 && sl_count_bits(session_expected(session, (step - 1) / 2)) >= session->threshold;
    session_void(session, are_enough && session->own != session->initiator ? session->initiator : SL_SESSION_ALL);
}

/* The initiator may have spoken, and not been heard by us: who else knows its LIST? */
static void ask_for_list(struct sl_session *session, uint32_t step)
{
    if (session->own != session->initiator) session_need(session, step + 1, session->initiator, SL_SESSION_ALL);
}

static void on_list_moment(struct sl_session *session, uint32_t step, enum sl_session_moment moment)
{
    uint32_t k = (step - 1) / 2;
    switch (moment) {
    case SL_MOMENT_ASK:
        session->asked |= UINT32_C(1) << k;
        session_ask(session);
        break;
    case SL_MOMENT_CLOSE:
        if (session->own == session->initiator) session_announce(session, k);
        else ask_for_list(session, step);
        break;
    case SL_MOMENT_BACKUP:
        session->backup |= UINT32_C(1) << k;
        if (!session_close(session, k)) session_announce(session, k);
        break;
    case SL_MOMENT_END: end_run(session, step); break;
    }
}

void sl_session_moment(struct sl_session *session, enum sl_session_step step, enum sl_session_moment moment)
{
    if (session->state == SL_SESSION_NONE || session_step(session) != step) return;

    session->is_busy = true;                            /* what a driver answers from within is looked at when the moment is over */
    if (step <= SL_STEP_AUDIT) on_list_moment(session, step, moment);
    else if (moment == SL_MOMENT_END) end_run(session, step);
    else session_ask(session);                          /* here missing messages are all that can be lacking */
    session->is_busy = false;
    session_advance(session);
}

void sl_session_absent(struct sl_session *session, uint32_t member, bool is_absent)
{
    if (session->state == SL_SESSION_NONE || member >= session->n_members) return;

    if (is_absent) session->absent |= bit(member);
    else session->absent &= ~bit(member);
    session_advance(session);
}

/* ---- messages ---- */

static void on_refuse(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope, uint32_t via)
{
    struct sl_refuse refuse;
    bool is_news = !(session->refused & bit(author));
    if (!is_news || sl_read_refuse(envelope, &refuse) != SL_OK || !session_verify(session, author, envelope, via)) return;

    session->refused |= bit(author);
    session->told |= bit(author);
    session_tell(session, SL_NEWS_REFUSED, author, refuse.reason);
    session_relay(session, author, envelope, via);
}

static void on_message(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope, uint32_t via)
{
    if (session->state == SL_SESSION_VOID && envelope->type != SL_MESSAGE_NEED) return;

    switch (envelope->type) {
    case SL_MESSAGE_NEED:
        if (author == via) session_on_need(session, envelope, via);
        break;
    case SL_MESSAGE_REVEAL: session_on_reveal(session, author, envelope, via); break;
    case SL_MESSAGE_REFUSE: on_refuse(session, author, envelope, via); break;
    default: session_hold(session, author, envelope, via);
    }
}

void sl_session_message(struct sl_session *session, const struct sl_envelope *envelope, uint32_t via)
{
    bool is_running = session->state != SL_SESSION_NONE && via < session->n_members && via != session->own;
    if (!is_running || envelope->epoch != session->epoch || !sl_hash_equal(envelope->cohort, session->cohort_id)) return;

    uint32_t author = session_find(session, envelope->from);
    bool is_of_another = author < session->n_members && author != session->own;
    if (!is_of_another || session->n_bad[via] > SESSION_BAD_MAX) return;

    on_message(session, author, envelope, via);
    session_advance(session);
}
