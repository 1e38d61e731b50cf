/* SPDX-License-Identifier: MIT */
/* Asking for what is missing, answering others, and the initiator's relay between members that cannot reach each other. */
#include <string.h>

#include "base/hash.h"
#include "cohort/session_parts.h"

void session_need(struct sl_session *session, uint32_t step, uint32_t from, uint32_t to)
{
    uint8_t bytes[512];
    struct sl_need need = {.step = step};
    memcpy(need.from, session->members[from].id, 32);
    struct sl_writer writer = session_write(session, SL_MESSAGE_NEED, bytes, sizeof bytes);
    sl_write_need(&writer, &need);
    size_t size = sl_envelope_seal(&writer, SL_MESSAGE_NEED, NULL);
    session->port.send(session->port.context, to, bytes, size);
}

/* Of the step under way: of those who should have spoken, who has not been heard. */
static uint64_t missing(const struct sl_session *session, uint32_t step)
{
    uint64_t expected = step <= SL_STEP_AUDIT ? session_expected(session, (step - 1) / 2) : session->agreed[0], here = bit(session->own);
    for (uint32_t i = 0; i < session->n_members; i++)
        if (session_fits(session, step, i)) here |= bit(i);
    return expected & ~here;
}

void session_ask(struct sl_session *session)
{
    uint32_t step = session_step(session);
    uint64_t members = missing(session, step);
    bool is_initiator = session->own == session->initiator;
    for (uint32_t i = 0; i < session->n_members; i++) {
        if (!(members & bit(i))) continue;
        session_need(session, step, i, i);
        if (!is_initiator && i != session->initiator) session_need(session, step, i, session->initiator);
    }
    bool waits_for_list = step <= SL_STEP_AUDIT && session->n_agreed <= (step - 1) / 2;
    if (waits_for_list && !is_initiator) session_need(session, step + 1, session->initiator, session->initiator);
}

/* A LIST is known by its step: it is the accepted one, whoever announced it. */
static const struct held *answer_to(const struct sl_session *session, const struct sl_need *need, uint32_t from)
{
    bool is_list = need->step % 2 == 0 && need->step >= SL_STEP_LIST_SHARES && need->step <= SL_STEP_LIST_AUDIT;
    if (!is_list) return session_held(session, need->step, from);

    uint32_t k = need->step / 2 - 1;
    return k < session->n_agreed ? session_held(session, need->step, session->announcers[k]) : NULL;
}

/* Also when the run is over here: others may still be at it. */
void session_on_need(struct sl_session *session, const struct sl_envelope *envelope, uint32_t via)
{
    struct sl_need need;
    if (sl_read_need(envelope, &need) != SL_OK || session->n_needs[via] >= SESSION_NEEDS_MAX) return;

    uint32_t from = session_find(session, need.from);
    if (from >= session->n_members || need.step < SL_STEP_SHARES || need.step >= SL_STEP_COUNT) return;

    session->n_needs[via]++;
    const struct held *held = answer_to(session, &need, from);
    if (held && held->size > 0) session->port.send(session->port.context, via, held->bytes, held->size);
    bool cannot_meet = session->own == session->initiator && from != session->own && from != via;
    if (!cannot_meet) return;

    session->relays[from] |= bit(via);                  /* what one cannot hear the other probably cannot either */
    session->relays[via] |= bit(from);
}

void session_relay(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope, uint32_t via)
{
    if (session->state == SL_SESSION_VOID) return;

    uint64_t to = session->relays[author] & ~bit(via) & ~bit(author);
    for (uint32_t i = 0; i < session->n_members; i++)
        if (to & bit(i)) session->port.send(session->port.context, i, envelope->bytes, envelope->size);
}
