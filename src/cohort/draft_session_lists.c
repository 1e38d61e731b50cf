/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "cohort/evidence.h"
#include "cohort/draft_parts.h"
#include "starling/error.h"

/* LISTs: how members come to one story of each step, with whoever is missing left out. */

static const uint32_t slot_of[LIST_COUNT] = {HELD_SHARES, HELD_COMMIT, HELD_OPEN, HELD_AUDIT};
static const enum sl_session_step step_of[LIST_COUNT] = {SL_STEP_LIST_SHARES, SL_STEP_LIST_COMMIT, SL_STEP_LIST_OPEN, SL_STEP_LIST_AUDIT};

static uint64_t bit(uint32_t member)
{
    return (uint64_t)1 << member;
}

static uint32_t count(uint64_t bits)
{
    uint32_t n = 0;
    for (; bits; bits &= bits - 1) n++;
    return n;
}

const struct list *list_last(const struct sl_session *session)
{
    return &session->lists[session->rows ? LIST_U : LIST_O];
}

static uint64_t set_before(const struct sl_session *session, enum list_number number)
{
    return number == LIST_V ? bit(session->n) - 1 : session->lists[number - 1].members;
}

static const uint8_t *hash_before(const struct sl_session *session, enum list_number number)
{
    return number == LIST_V ? session->cohort_id : session->lists[number - 1].hash;
}

/* Does what we hold of this member belong to our story? */
static bool chain_fits(const struct sl_session *session, enum list_number number, uint32_t member)
{
    struct sl_envelope envelope;
    struct sl_commit commit;
    struct sl_open open;
    struct sl_audit audit;
    const uint8_t *chain = NULL;
    if (!session_open_held(session, &session->parties[member].held[slot_of[number]], &envelope)) return false;
    if (number == LIST_V) return true;
    if (number == LIST_Y && sl_read_commit(&envelope, &commit) == SL_OK) chain = commit.chain;
    if (number == LIST_O && sl_read_open(&envelope, &open) == SL_OK) chain = open.chain;
    if (number == LIST_U && sl_read_audit(&envelope, &audit) == SL_OK) chain = audit.chain;
    return chain && sl_hash_equal(chain, hash_before(session, number));
}

/* May it be in the list, as far as we know? */
static bool counts(struct sl_session *session, enum list_number number, uint32_t member)
{
    const struct party *party = &session->parties[member];
    if (party->expelled || !(set_before(session, number) & bit(member)) || !chain_fits(session, number, member)) return false;
    switch (number) {
    case LIST_V: return !party->sits_out && party->shares_here;
    case LIST_O: return party->nonce_fits;
    case LIST_U: return audit_passes(session, member) && !(audit_disputed(session) & bit(member));
    default: return true;
    }
}

/* Is there still hope for it? */
static bool is_awaited(struct sl_session *session, enum list_number number, uint32_t member)
{
    const struct party *party = &session->parties[member];
    if (party->expelled || party->sits_out || !(set_before(session, number) & bit(member))) return false;
    if (number == LIST_Y && party->refused) return false;
    return number != LIST_U || party->held[HELD_AUDIT].size == 0 || audit_passes(session, member);
}

static void accept(struct sl_session *session, enum list_number number, uint64_t members, const struct sl_envelope *envelope)
{
    struct list *list = &session->lists[number];
    uint64_t lost = set_before(session, number) & ~members;
    list->accepted = true;
    list->members = members;
    sl_body_hash(envelope->body, envelope->body_size, list->hash);
    list->message.size = (uint32_t)envelope->size;
    memmove(list->message.bytes, envelope->bytes, envelope->size);
    for (uint32_t i = 0; i < session->n; i++) {
        const struct party *party = &session->parties[i];
        bool known = party->expelled || party->sits_out || (number == LIST_Y && party->refused);
        if (lost & bit(i) && !known && party->held[slot_of[number]].size == 0) session_tell(session, SL_NEWS_DROPPED, i, step_of[number]);
    }
    if (number == LIST_V && !(members & bit(session->own))) session_set_void(session, SL_STEP_LIST_SHARES, session->own);
}

/* ---- our own ---- */

static void say(struct sl_session *session, enum list_number number, uint64_t members)
{
    struct list *list = &session->lists[number];
    struct sl_list body = {.step = step_of[number], .members = members};
    struct sl_envelope envelope;
    memcpy(body.previous, hash_before(session, number), 32);
    for (uint32_t i = 0; i < session->n; i++)
        if (members & bit(i)) memcpy(body.hashes[body.n_hashes++], session->parties[i].held[slot_of[number]].body_hash, 32);

    list->said = true;
    struct sl_writer writer = session_write(session, SL_MESSAGE_LIST);
    sl_write_list(&writer, &body);
    size_t size = sl_envelope_seal(&writer, SL_MESSAGE_LIST, session->sign_secret);
    assert(size > 0 && size <= list->message.size_max);
    session->port.count(session->port.context, true);
    session->port.send(session->port.context, SL_SESSION_ALL, session->out, size);
    int error = sl_envelope_open(session->out, size, session->network_id, &envelope);
    assert(error == SL_OK);
    accept(session, number, members, &envelope);
}

void list_close(struct sl_session *session, enum list_number number)
{
    uint64_t here = 0;
    const struct list *list = &session->lists[number];
    if (list->accepted || list->said || !session_is_under_way(session)) return;

    for (uint32_t i = 0; i < session->n; i++) {
        bool vector_here = number != LIST_O || session->parties[i].vector_here;
        if (vector_here && counts(session, number, i)) here |= bit(i);
    }
    if (count(here) >= session->threshold) say(session, number, here);
}

static bool is_complete(struct sl_session *session, enum list_number number)
{
    for (uint32_t i = 0; i < session->n; i++) {
        bool here = counts(session, number, i) && (number != LIST_O || session->parties[i].vector_here);
        if (!here && is_awaited(session, number, i)) return false;
    }
    return true;
}

/* ---- those of others ---- */

/* Asks for what a LIST names and we do not hold. True when all of it is here. */
static bool bodies_fit(struct sl_session *session, enum list_number number, const struct sl_list *body, uint32_t announcer, bool asks)
{
    bool fit = true;
    uint32_t n = 0;
    for (uint32_t i = 0; i < session->n; i++) {
        if (!(body->members & bit(i))) continue;
        const struct held *held = &session->parties[i].held[slot_of[number]];
        bool same = held->size > 0 && sl_hash_equal(held->body_hash, body->hashes[n]);
        if (!same && asks && i != session->own) session_ask(session, announcer, (enum sl_session_step)(step_of[number] - 1), i);
        fit &= same;
        n++;
    }
    return fit;
}

static bool is_ours_to_take(struct sl_session *session, enum list_number number, const struct sl_list *body)
{
    uint64_t members = body->members;
    if (!sl_hash_equal(body->previous, hash_before(session, number)) || members & ~set_before(session, number)) return false;
    if (count(members) < session->threshold) return false;
    for (uint32_t i = 0; i < session->n; i++)
        if (members & bit(i) && !counts(session, number, i)) return false;
    return true;
}

static void take_pending(struct sl_session *session, enum list_number number)
{
    struct list *list = &session->lists[number];
    for (uint32_t k = 0; k < 2 && !list->accepted; k++) {
        struct sl_envelope envelope;
        struct sl_list body;
        if ((k == 1 && !list->backup) || !session_open_held(session, &list->pending[k], &envelope)) continue;
        if (sl_read_list(&envelope, &body) != SL_OK || !bodies_fit(session, number, &body, list->announcer[k], false)) continue;
        if (is_ours_to_take(session, number, &body)) accept(session, number, body.members, &envelope);
    }
}

void list_try(struct sl_session *session, enum list_number number)
{
    struct list *list = &session->lists[number];
    if (list->accepted) return;

    take_pending(session, number);
    bool leads = session->own == session->initiator;
    if (leads && !list->accepted && !list->said && is_complete(session, number)) list_close(session, number);
}

/* One LIST per member and step: a second, different one of its initiator proves it a liar. */
void list_on_message(struct sl_session *session, uint32_t from, const struct sl_envelope *envelope)
{
    struct sl_list body;
    if (sl_read_list(envelope, &body) != SL_OK || body.members & ~(bit(session->n) - 1)) return;
    if (body.step % 2 || body.step < SL_STEP_LIST_SHARES || body.step > step_of[session->rows ? LIST_U : LIST_O]) return;

    enum list_number number = (enum list_number)(body.step / 2 - 1);
    struct list *list = &session->lists[number];
    struct held *pending = &list->pending[from != session->initiator];
    uint8_t hash[32];
    sl_body_hash(envelope->body, envelope->body_size, hash);
    if (pending->size > 0) {
        bool contradicts = list->announcer[from != session->initiator] == from && !sl_hash_equal(hash, pending->body_hash);
        if (contradicts && session_verify(session, envelope, from)) session_contradicted(session, from, pending, envelope, body.step);
        return;
    }
    if (envelope->size > pending->size_max || !session_verify(session, envelope, from)) return;
    session_hold(pending, envelope);
    list->announcer[from != session->initiator] = from;
    if (!list->accepted) (void)bodies_fit(session, number, &body, from, true);
}
