/* SPDX-License-Identifier: MIT */
/* LISTs: each closes a step, names whose bodies are in and binds the LIST before. The first one that is accepted is final. */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "cohort/session_parts.h"

static uint64_t before(const struct sl_session *session, uint32_t k)
{
    return k == 0 ? session_everybody(session) : session->agreed[k - 1];
}

static const uint8_t *previous(const struct sl_session *session, uint32_t k)
{
    return k == 0 ? session->cohort_id : session->chain[k - 1];
}

/* ---- what we would announce ---- */

static uint64_t with_bodies(const struct sl_session *session, uint32_t k)
{
    uint64_t members = 0;
    for (uint32_t i = 0; i < session->n_members; i++)
        if ((before(session, k) & bit(i)) && session_fits(session, 2 * k + 1, i)) members |= bit(i);
    return members;
}

/* Members of whom one lied about a mask, and it is not known which. */
static uint64_t in_open_dispute(const struct sl_session *session)
{
    uint64_t members = 0;
    for (uint32_t i = 0; i < session->n_members; i++)
        if (session->differing[i] & ~session->settled[i]) members |= bit(i);
    return members;
}

static uint64_t without_fault(const struct sl_session *session, uint32_t k, uint64_t members)
{
    members &= ~session->excluded;
    switch (k) {
    case 0: return members & ~session_disputants(session, members);
    case 2: return members & session->here;
    case 3: return members & session->checked & ~session->failed & ~in_open_dispute(session);
    default: return members;
    }
}

/* Of whom a body is still to be waited for, or is here. */
uint64_t session_expected(const struct sl_session *session, uint32_t k)
{
    uint64_t committed = 0, members = before(session, k) & ~session->excluded;
    for (uint32_t i = 0; k == 1 && i < session->n_members; i++)
        if (session_fits(session, SL_STEP_COMMIT, i)) committed |= bit(i);
    switch (k) {
    case 0: return members & ~session_disputants(session, with_bodies(session, 0));
    case 1: return members & ~(session->refused & ~committed);
    case 3: return members & ~session->failed;
    default: return members;
    }
}

/* Whose body of list k, or vector, we lack. */
uint64_t session_lacking(const struct sl_session *session, uint32_t k)
{
    uint64_t here = with_bodies(session, k) & (k == 2 ? session->here : ~UINT64_C(0));
    return session_expected(session, k) & ~here;
}

/* ---- is a LIST acceptable? ---- */

enum verdict { REFUSED, WAITS, FITS };

static bool is_considered(const struct sl_session *session, uint32_t k, uint32_t author)
{
    return author == session->initiator || author == session->own || (session->backup & bit(k));
}

static bool read_list(struct sl_session *session, uint32_t k, uint32_t author, struct sl_list *out)
{
    const struct held *held = session_held(session, 2 * k + 2, author);
    if (held->size == 0) return false;

    struct sl_envelope envelope = session_envelope(session, held);
    return sl_read_list(&envelope, out) == SL_OK;
}

static bool has_sound_set(const struct sl_session *session, uint32_t k, const struct sl_list *list)
{
    bool follows = sl_hash_equal(list->previous, previous(session, k)) && (list->members & ~before(session, k)) == 0;
    return follows && sl_count_bits(list->members) >= session->threshold;
}

/* The hash that a LIST gives for a member; NULL if it is not in. */
static const uint8_t *hash_of(const struct sl_list *list, uint32_t member)
{
    return list->members & bit(member) ? list->hashes[sl_count_bits(list->members & (bit(member) - 1))] : NULL;
}

/* Bodies that are not here with that very hash. */
static uint64_t unknown(const struct sl_session *session, uint32_t k, const struct sl_list *list)
{
    uint64_t members = 0;
    for (uint32_t i = 0; i < session->n_members; i++) {
        const uint8_t *hash = hash_of(list, i);
        const struct held *held = session_held(session, 2 * k + 1, i);
        if (hash && (held->size == 0 || !sl_hash_equal(held->hash, hash))) members |= bit(i);
    }
    return members;
}

/* Bodies that only lag behind the LIST come by themselves; when the time to ask has passed, or another body is here, its announcer is asked. */
static void fetch(struct sl_session *session, uint32_t k, uint32_t announcer, uint64_t members)
{
    for (uint32_t i = 0; i < session->n_members; i++) {
        bool is_lost = (session->asked & bit(k)) || session_held(session, 2 * k + 1, i)->size > 0;
        if (!(members & bit(i)) || i == session->own || !is_lost || (session->fetched[k][announcer] & bit(i))) continue;

        session->fetched[k][announcer] |= bit(i);
        if (announcer != session->own) session_need(session, 2 * k + 1, i, announcer);
        bool can_relay = session->initiator != announcer && session->initiator != session->own && session->initiator != i;
        if (can_relay) session_need(session, 2 * k + 1, i, session->initiator);
    }
}

static enum verdict judge(struct sl_session *session, uint32_t k, uint32_t announcer, const struct sl_list *list)
{
    if (!has_sound_set(session, k, list)) return REFUSED;

    uint64_t missing = unknown(session, k, list);
    if (missing) {
        fetch(session, k, announcer, missing);
        return WAITS;
    }
    bool all_fit = (list->members & ~with_bodies(session, k)) == 0;
    bool agree_on_keys = k > 0 || session_disputants(session, list->members) == 0;
    if (!all_fit || !agree_on_keys) return REFUSED;
    if (k == 2) {                                       /* whoever names a vector that nobody gets holds up its own LIST, and others make theirs */
        session_want(session, list->members);
        return list->members & ~session->here ? WAITS : FITS;
    }
    if (k < 3) return FITS;

    /* An audit that failed never passes; one that a partner's contradicts may still be cleared. */
    if (list->members & ~session->checked) return WAITS;
    return list->members & session->failed ? REFUSED : list->members & in_open_dispute(session) ? WAITS : FITS;
}

/* A LIST that does not count yet may do so soon: what it names should be here by then, lest we contradict it. */
static void prepare(struct sl_session *session, uint32_t k, uint32_t announcer)
{
    struct sl_list *list = &session->scratch.list;
    if (read_list(session, k, announcer, list) && has_sound_set(session, k, list)) fetch(session, k, announcer, unknown(session, k, list));
}

/* ---- accepting ---- */

static void tell_dropped(struct sl_session *session, uint32_t k)
{
    uint64_t here = with_bodies(session, k) & (k == 2 ? session->here : ~UINT64_C(0));       /* a LIST may leave out whom we heard: that is no silence */
    uint64_t dropped = before(session, k) & ~session->agreed[k] & ~session->told & ~here;
    for (uint32_t i = 0; i < session->n_members; i++)
        if (dropped & bit(i)) session_tell(session, SL_NEWS_DROPPED, i, 2 * k + 1);
    session->told |= dropped;
}

static void accept(struct sl_session *session, uint32_t k, uint32_t announcer, uint64_t members)
{
    assert(k == session->n_agreed);

    memcpy(session->chain[k], session_held(session, 2 * k + 2, announcer)->hash, 32);
    session->agreed[k] = members;
    session->announcers[k] = announcer;
    session->n_agreed = k + 1;
    tell_dropped(session, k);

    /* A LIST that came late may have been told to us alone; before ASK, those who lack it are still to ask. */
    bool may_be_unheard = announcer != session->own && (session->asked >> k & 1);
    const struct held *held = session_held(session, 2 * k + 2, announcer);
    if (may_be_unheard) session->port.send(session->port.context, SL_SESSION_ALL, held->bytes, held->size);
}

static bool try_list(struct sl_session *session, uint32_t k, uint32_t announcer)
{
    struct sl_list *list = &session->scratch.list;
    if (!is_considered(session, k, announcer)) {
        prepare(session, k, announcer);
        return false;
    }
    if (!read_list(session, k, announcer, list) || judge(session, k, announcer, list) != FITS) return false;

    accept(session, k, announcer, list->members);
    return true;
}

/* ---- announcing ---- */

static void announce(struct sl_session *session, uint32_t k, uint64_t members)
{
    struct sl_list *list = &session->scratch.list;
    *list = (struct sl_list){.step = 2 * k + 2, .members = members};
    memcpy(list->previous, previous(session, k), 32);
    for (uint32_t i = 0; i < session->n_members; i++)
        if (members & bit(i)) memcpy(list->hashes[list->n_hashes++], session_held(session, 2 * k + 1, i)->hash, 32);
    struct held *held = session_held(session, 2 * k + 2, session->own);
    struct sl_writer writer = session_write(session, SL_MESSAGE_LIST, held->bytes, held->size_max);
    sl_write_list(&writer, list);
    session_say(session, 2 * k + 2, &writer, SL_MESSAGE_LIST);
}

/* With what is here. One LIST of ours for a step, ever. */
void session_announce(struct sl_session *session, uint32_t k)
{
    uint64_t members = without_fault(session, k, with_bodies(session, k));
    bool has_announced = session_held(session, 2 * k + 2, session->own)->size > 0;
    if (k != session->n_agreed || has_announced || sl_count_bits(members) < session->threshold) return;

    announce(session, k, members);
}

static bool is_complete(const struct sl_session *session, uint32_t k)
{
    uint64_t expected = session_expected(session, k);
    if (session->asked >> k & 1) expected &= ~session->absent;
    bool is_clear = k < 3 || (in_open_dispute(session) & expected) == 0;
    return is_clear && (expected & ~without_fault(session, k, with_bodies(session, k))) == 0;
}

bool session_close(struct sl_session *session, uint32_t k)
{
    if (session->n_agreed > k) return true;

    if (session->own == session->initiator && is_complete(session, k)) session_announce(session, k);
    if (try_list(session, k, session->initiator)) return true;

    for (uint32_t i = 0; i < session->n_members; i++)
        if (i != session->initiator && try_list(session, k, i)) return true;
    return false;
}

bool session_is_named(struct sl_session *session, uint32_t step, uint32_t member, const uint8_t hash[32])
{
    uint32_t k = (step - 1) / 2;
    bool is_of_list = step % 2 == 1 && step <= SL_STEP_AUDIT && k == session->n_agreed;
    for (uint32_t i = 0; is_of_list && i < session->n_members; i++) {
        struct sl_list *list = &session->scratch.list;
        if (!is_considered(session, k, i) || !read_list(session, k, i, list)) continue;

        const uint8_t *named = hash_of(list, member);
        if (named && sl_hash_equal(named, hash)) return true;
    }
    return false;
}
