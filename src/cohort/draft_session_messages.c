/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "cohort/evidence.h"
#include "cohort/draft_parts.h"
#include "starling/error.h"

/* Messages: making and keeping our own, keeping those of others, asking for what was lost. */

struct sl_writer session_write(struct sl_session *session, enum sl_message_type type)
{
    return sl_envelope_begin(type, session->network_id, session->epoch, session->cohort_id, session->parties[session->own].who.id, session->out,
                             session->out_max);
}

void session_hold(struct held *held, const struct sl_envelope *envelope)
{
    assert(envelope->size <= held->size_max);

    held->size = (uint32_t)envelope->size;
    memcpy(held->bytes, envelope->bytes, envelope->size);
    sl_body_hash(envelope->body, envelope->body_size, held->body_hash);
}

void session_say(struct sl_session *session, struct sl_writer *writer, enum sl_message_type type, uint32_t slot)
{
    struct sl_envelope envelope;
    size_t size = sl_envelope_seal(writer, type, session->sign_secret);
    assert(size > 0);                                   /* out_max holds the largest */
    if (sl_message_is_signed(type)) session->port.count(session->port.context, true);
    if (slot < HELD_COUNT) {
        int error = sl_envelope_open(session->out, size, session->network_id, &envelope);
        assert(error == SL_OK);
        session_hold(&session->parties[session->own].held[slot], &envelope);
    }
    session->port.send(session->port.context, SL_SESSION_ALL, session->out, size);
}

bool session_open_held(const struct sl_session *session, const struct held *held, struct sl_envelope *out)
{
    return held->size > 0 && sl_envelope_open(held->bytes, held->size, session->network_id, out) == SL_OK;
}

bool session_verify(struct sl_session *session, const struct sl_envelope *envelope, uint32_t member)
{
    session->port.count(session->port.context, false);
    if (sl_envelope_verify(envelope, session->parties[member].who.sign_public)) return true;

    session->parties[member].n_bad++;
    return false;
}

/* ---- contradictions and proofs ---- */

void session_expel(struct sl_session *session, uint32_t member)
{
    session->parties[member].expelled = true;
}

void session_accuse(struct sl_session *session, uint32_t member, struct sl_evidence *evidence, uint32_t slot_a, uint32_t slot_b)
{
    const struct party *party = &session->parties[member];
    uint32_t slots[2] = {slot_a, slot_b};
    memcpy(evidence->sign_public, party->who.sign_public, 32);
    for (uint32_t i = 0; i < 2; i++) {
        if (slots[i] >= HELD_COUNT || party->held[slots[i]].size == 0) continue;
        evidence->messages[evidence->n_messages] = party->held[slots[i]].bytes;
        evidence->message_sizes[evidence->n_messages++] = party->held[slots[i]].size;
    }
    struct sl_writer writer = sl_writer_over(session->out, session->out_max);
    sl_write_evidence(&writer, evidence);
    if (!writer.full) session->port.accuse(session->port.context, member, session->out, writer.size);
}

void session_contradicted(struct sl_session *session, uint32_t member, const struct held *first, const struct sl_envelope *second, enum sl_session_step step)
{
    struct sl_evidence evidence = {.kind = SL_EVIDENCE_TWO_BODIES, .n_messages = 2, .messages = {first->bytes, second->bytes},
                                   .message_sizes = {first->size, second->size}};
    session_tell(session, SL_NEWS_CONTRADICTION, member, step);
    session_accuse(session, member, &evidence, HELD_COUNT, HELD_COUNT);
    session_expel(session, member);
}

/* ---- keeping ---- */

struct kind { enum sl_message_type type; enum sl_session_step step; };

static const struct kind kinds[HELD_COUNT] = {
    [HELD_SHARES] = {SL_MESSAGE_SHARES, SL_STEP_SHARES}, [HELD_COMMIT] = {SL_MESSAGE_COMMIT, SL_STEP_COMMIT}, [HELD_OPEN] = {SL_MESSAGE_OPEN, SL_STEP_OPEN},
    [HELD_AUDIT] = {SL_MESSAGE_AUDIT, SL_STEP_AUDIT}, [HELD_CONFIRM] = {SL_MESSAGE_CONFIRM, SL_STEP_CONFIRM},
    [HELD_UNMASK] = {SL_MESSAGE_UNMASK, SL_STEP_UNMASK}, [HELD_RESULT] = {SL_MESSAGE_RESULT, SL_STEP_RESULT},
};

static bool is_well_formed(struct sl_session *session, uint32_t slot, const struct sl_envelope *envelope)
{
    struct sl_shares shares;
    struct sl_commit commit;
    struct sl_open open;
    struct sl_audit audit;
    struct sl_confirm confirm;
    struct sl_unmask unmask;
    struct sl_result result;
    switch (slot) {
    case HELD_SHARES: return sl_read_shares(envelope, &shares) == SL_OK && shares.n_members == session->n;
    case HELD_COMMIT: return sl_read_commit(envelope, &commit) == SL_OK;
    case HELD_OPEN: return sl_read_open(envelope, &open) == SL_OK;
    case HELD_AUDIT: return session->rows && sl_read_audit(envelope, &audit) == SL_OK && audit.n_members == session->n && audit.rows == session->rows;
    case HELD_CONFIRM: return sl_read_confirm(envelope, &confirm) == SL_OK;
    case HELD_UNMASK: return sl_read_unmask(envelope, &unmask) == SL_OK && unmask.n_members == session->n;
    default: return sl_read_result(envelope, &result) == SL_OK;
    }
}

/* What follows from a body that has just come. */
static void on_kept(struct sl_session *session, uint32_t from, uint32_t slot, const struct sl_envelope *envelope)
{
    struct party *party = &session->parties[from];
    struct sl_commit commit;
    struct sl_open open;
    struct sl_shares shares;
    struct sl_envelope dealt;
    uint8_t hash[32];
    if (slot == HELD_SHARES) shares_check(session, from);
    if (slot == HELD_COMMIT && sl_read_commit(envelope, &commit) == SL_OK) memcpy(party->root, commit.root, 32);
    if (slot == HELD_AUDIT) audit_compare(session, from);
    if (slot != HELD_OPEN || sl_read_open(envelope, &open) != SL_OK) return;
    if (!session_open_held(session, &party->held[HELD_SHARES], &dealt) || sl_read_shares(&dealt, &shares) != SL_OK) return;

    sl_mask_hash(SL_SECRET_AUDIT_NONCE, session->cohort_id, open.nonce, hash);
    party->nonce_fits = sl_hash_equal(hash, shares.nonce_hash);
}

static void on_body(struct sl_session *session, uint32_t from, uint32_t slot, const struct sl_envelope *envelope)
{
    struct held *held = &session->parties[from].held[slot];
    uint8_t hash[32];
    sl_body_hash(envelope->body, envelope->body_size, hash);
    if (held->size > 0 && sl_hash_equal(hash, held->body_hash)) return;
    if (envelope->size > held->size_max || !is_well_formed(session, slot, envelope)) {
        session->parties[from].n_bad++;
        return;
    }
    if (slot == HELD_UNMASK && held->size > 0) return;          /* its shares prove themselves, the first are kept */
    if (!session_verify(session, envelope, from)) return;
    if (held->size > 0) {
        if (slot == HELD_RESULT || slot != HELD_UNMASK) session_contradicted(session, from, held, envelope, kinds[slot].step);
        return;
    }
    session_hold(held, envelope);
    on_kept(session, from, slot, envelope);
}

static void on_reveal(struct sl_session *session, uint32_t from, const struct sl_envelope *envelope)
{
    struct sl_reveal reveal;
    if (sl_read_reveal(envelope, &reveal) != SL_OK || !session_verify(session, envelope, from)) return;
    if (reveal.kind == SL_REVEAL_PAIR_SEED) audit_on_reveal(session, from, &reveal);
    else shares_on_reveal(session, from, &reveal);
    sl_wipe(&reveal, sizeof reveal);
}

static void on_refuse(struct sl_session *session, uint32_t from, const struct sl_envelope *envelope)
{
    struct sl_refuse body;
    struct party *party = &session->parties[from];
    if (party->refused || sl_read_refuse(envelope, &body) != SL_OK || !session_verify(session, envelope, from)) return;

    party->refused = true;
    session_tell(session, SL_NEWS_REFUSED, from, body.reason);
}

/* ---- asking and answering ---- */

static bool slot_of_step(uint32_t step, uint32_t *slot)
{
    for (*slot = 0; *slot < HELD_COUNT; (*slot)++)
        if (kinds[*slot].step == step) return true;
    return false;
}

void session_ask(struct sl_session *session, uint32_t to, enum sl_session_step step, uint32_t author)
{
    struct sl_need body = {.step = step};
    if (to == session->own) return;

    memcpy(body.from, session->parties[author].who.id, 32);
    struct sl_writer writer = session_write(session, SL_MESSAGE_NEED);
    sl_write_need(&writer, &body);
    size_t size = sl_envelope_seal(&writer, SL_MESSAGE_NEED, NULL);
    session->port.send(session->port.context, to, session->out, size);
}

/* From its author, and from the initiator in case the author cannot reach us. A step that has come to its LIST waits for that alone. */
void session_ask_missing(struct sl_session *session, enum sl_session_step step)
{
    uint32_t slot;
    if (!slot_of_step(step, &slot)) return;

    for (uint32_t j = 0; j < session->n; j++) {
        const struct party *party = &session->parties[j];
        if (j == session->own || party->held[slot].size > 0 || party->expelled) continue;
        session_ask(session, j, step, j);
        if (j != session->initiator) session_ask(session, session->initiator, step, j);
    }
    if (step <= SL_STEP_AUDIT) session_ask(session, session->initiator, (enum sl_session_step)(step + 1), session->initiator);
}

static uint32_t find(const struct sl_session *session, const uint8_t id[32])
{
    for (uint32_t i = 0; i < session->n; i++)
        if (sl_hash_equal(session->parties[i].who.id, id)) return i;
    return session->n;
}

static void on_need(struct sl_session *session, uint32_t via, const struct sl_envelope *envelope)
{
    struct sl_need need;
    uint32_t slot;
    if (sl_read_need(envelope, &need) != SL_OK) return;

    uint32_t author = find(session, need.from);
    const struct held *held = NULL;
    if (author == session->n) return;
    if (slot_of_step(need.step, &slot)) {
        held = &session->parties[author].held[slot];
        if (session->own == session->initiator && author != via && author != session->own) session->relays[author] |= (uint64_t)1 << via;
    } else if (need.step >= SL_STEP_LIST_SHARES && need.step <= SL_STEP_LIST_AUDIT) {
        held = &session->lists[need.step / 2 - 1].message;
    }
    if (held && held->size > 0) session->port.send(session->port.context, via, held->bytes, held->size);
}

/* What a member says goes on to those who told us that they cannot hear it. */
static void relay(struct sl_session *session, uint32_t from, uint32_t via, const struct sl_envelope *envelope)
{
    if (session->own != session->initiator || via != from) return;
    for (uint32_t i = 0; i < session->n; i++)
        if (session->relays[from] >> i & 1) session->port.send(session->port.context, i, envelope->bytes, envelope->size);
}

void sl_session_message(struct sl_session *session, const struct sl_envelope *envelope, uint32_t via)
{
    if (session->state == SL_SESSION_NONE || envelope->epoch != session->epoch || !sl_hash_equal(envelope->cohort, session->cohort_id)) return;
    if (envelope->type == SL_MESSAGE_NEED) {
        on_need(session, via, envelope);
        return;
    }
    uint32_t from = find(session, envelope->from), slot;
    bool is_heard = from < session->n && from != session->own && session_is_under_way(session);
    if (!is_heard || session->parties[from].expelled || session->parties[from].n_bad >= BAD_MESSAGES_MAX) return;

    for (slot = 0; slot < HELD_COUNT && kinds[slot].type != envelope->type; slot++) continue;
    if (slot < HELD_COUNT) on_body(session, from, slot, envelope);
    else if (envelope->type == SL_MESSAGE_LIST) list_on_message(session, from, envelope);
    else if (envelope->type == SL_MESSAGE_REVEAL) on_reveal(session, from, envelope);
    else if (envelope->type == SL_MESSAGE_REFUSE) on_refuse(session, from, envelope);
    relay(session, from, via, envelope);
    session_advance(session);
}
