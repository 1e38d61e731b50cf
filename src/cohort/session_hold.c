/* SPDX-License-Identifier: MIT */
/* Signed messages: one body of a member and step is held; a second one is a contradiction that convicts its author. */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "cohort/session_parts.h"

uint32_t session_find(const struct sl_session *session, const uint8_t id[32])
{
    uint32_t i = 0;
    while (i < session->n_members && !sl_hash_equal(session->members[i].id, id)) i++;
    return i;
}

/* It was opened when it came, so it opens again. */
struct sl_envelope session_envelope(const struct sl_session *session, const struct held *held)
{
    struct sl_envelope envelope;
    int error = sl_envelope_open(held->bytes, held->size, session->network_id, &envelope);
    assert(error == SL_OK);
    return envelope;
}

/* ---- own words ---- */

struct sl_writer session_write(struct sl_session *session, enum sl_message_type type, uint8_t *bytes, size_t size_max)
{
    return sl_envelope_begin(type, session->network_id, session->epoch, session->cohort_id, session->members[session->own].id, bytes, size_max);
}

static bool begins_with_chain(uint32_t step)
{
    bool is_list = step % 2 == 0 && step <= SL_STEP_LIST_AUDIT;
    return step > SL_STEP_SHARES && !is_list;
}

static void describe(struct held *held, uint32_t step, const struct sl_envelope *envelope)
{
    held->size = envelope->size;
    sl_body_hash(envelope->body, envelope->body_size, held->hash);
    memset(held->chain, 0, sizeof held->chain);
    if (!begins_with_chain(step)) return;

    struct sl_reader reader = sl_reader_over(envelope->body, envelope->body_size);
    sl_read_array(&reader, UINT32_MAX);
    sl_read_copy(&reader, held->chain, 32);
}

void session_say(struct sl_session *session, uint32_t step, struct sl_writer *writer, enum sl_message_type type)
{
    struct held *held = session_held(session, step, session->own);
    assert(held->size == 0 && writer->bytes == held->bytes);

    size_t size = sl_envelope_seal(writer, type, session->sign_secret);
    assert(size > 0);                                   /* slots are as large as bodies of this many members can be */
    session->port.count(session->port.context, true);

    struct sl_envelope envelope;
    int error = sl_envelope_open(held->bytes, size, session->network_id, &envelope);
    assert(error == SL_OK);
    describe(held, step, &envelope);
    session->port.send(session->port.context, SL_SESSION_ALL, held->bytes, held->size);
}

/* ---- evidence ---- */

void session_cite(struct sl_evidence *evidence, const uint8_t *bytes, size_t size)
{
    assert(evidence->n_messages < SL_EVIDENCE_MESSAGES_MAX);

    evidence->messages[evidence->n_messages] = bytes;
    evidence->message_sizes[evidence->n_messages++] = size;
}

/* Once a run: one proof is enough. */
void session_accuse(struct sl_session *session, uint32_t member, struct sl_evidence *evidence)
{
    if (session->accused & bit(member)) return;

    memcpy(evidence->sign_public, session->members[member].sign_public, 32);
    struct sl_writer writer = sl_writer_over(session->evidence, session->evidence_max);
    sl_write_evidence(&writer, evidence);
    if (writer.full) return;

    session->accused |= bit(member);
    session->port.accuse(session->port.context, member, session->evidence, writer.size);
}

/* ---- the words of others ---- */

static void blame_link(struct sl_session *session, uint32_t via)
{
    if (session->n_bad[via] < UINT32_MAX) session->n_bad[via]++;
}

bool session_verify(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope, uint32_t via)
{
    bool is_genuine = sl_envelope_verify(envelope, session->members[author].sign_public);
    session->port.count(session->port.context, false);
    if (!is_genuine) blame_link(session, via);
    return is_genuine;
}

static bool is_shares(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope)
{
    struct sl_shares *shares = &session->scratch.shares;
    if (sl_read_shares(envelope, shares) != SL_OK || shares->n_members != session->n_members) return false;

    for (uint32_t i = 0; i < session->n_members; i++)
        if ((shares->dealt[i].box == NULL) != (i == author)) return false;
    return true;
}

static bool is_audit(struct sl_session *session, const struct sl_envelope *envelope)
{
    struct sl_audit *audit = &session->scratch.audit;
    return sl_read_audit(envelope, audit) == SL_OK && audit->n_members == session->n_members && audit->rows == session->rows;
}

static bool is_unmask(const struct sl_session *session, const struct sl_envelope *envelope)
{
    struct sl_unmask unmask;
    return sl_read_unmask(envelope, &unmask) == SL_OK && unmask.n_members == session->n_members;
}

static uint32_t step_of_list(struct sl_session *session, const struct sl_envelope *envelope)
{
    struct sl_list *list = &session->scratch.list;
    if (sl_read_list(envelope, list) != SL_OK || (list->members & ~session_everybody(session)) != 0) return 0;

    bool is_list = list->step % 2 == 0 && list->step >= SL_STEP_LIST_SHARES && list->step <= 2 * session_lists(session);
    return is_list ? list->step : 0;
}

/* The step that a well-formed message belongs to, else 0. */
static uint32_t step_of(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope)
{
    struct sl_commit commit;
    struct sl_open open;
    struct sl_confirm confirm;
    struct sl_result result;
    switch (envelope->type) {
    case SL_MESSAGE_SHARES: return is_shares(session, author, envelope) ? SL_STEP_SHARES : 0;
    case SL_MESSAGE_LIST: return step_of_list(session, envelope);
    case SL_MESSAGE_COMMIT: return sl_read_commit(envelope, &commit) == SL_OK ? SL_STEP_COMMIT : 0;
    case SL_MESSAGE_OPEN: return sl_read_open(envelope, &open) == SL_OK ? SL_STEP_OPEN : 0;
    case SL_MESSAGE_AUDIT: return session->rows > 0 && is_audit(session, envelope) ? SL_STEP_AUDIT : 0;
    case SL_MESSAGE_CONFIRM: return sl_read_confirm(envelope, &confirm) == SL_OK ? SL_STEP_CONFIRM : 0;
    case SL_MESSAGE_UNMASK: return is_unmask(session, envelope) ? SL_STEP_UNMASK : 0;
    case SL_MESSAGE_RESULT: return sl_read_result(envelope, &result) == SL_OK ? SL_STEP_RESULT : 0;
    default: return 0;
    }
}

void session_keep_shares(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope)
{
    struct sl_shares *said = &session->scratch.shares;
    struct session_dealing *kept = &session->shares[author];
    if (sl_read_shares(envelope, said) != SL_OK || said->n_members != session->n_members) return;

    memcpy(kept->self_hash, said->self_hash, 32);
    memcpy(kept->nonce_hash, said->nonce_hash, 32);
    memcpy(kept->dealt, said->dealt, said->n_members * sizeof *kept->dealt);
}

void session_keep_audit(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope)
{
    struct sl_audit *said = &session->scratch.audit;
    struct session_sketches *kept = &session->audits[author];
    if (sl_read_audit(envelope, said) != SL_OK || said->n_members != session->n_members) return;

    kept->partners = said->partners;
    memcpy(kept->input, said->input, sizeof kept->input);
    memcpy(kept->self, said->self, sizeof kept->self);
    memcpy(kept->pair, said->pair, said->n_members * sizeof *kept->pair);
}

/* What was found of an AUDIT says nothing of the one that takes its place. */
static void forget_audit(struct sl_session *session, uint32_t author, const struct sl_envelope *audit)
{
    session_keep_audit(session, author, audit);
    session->checked &= ~bit(author);
    session->failed &= ~bit(author);
    session->differing[author] = session->settled[author] = 0;
    for (uint32_t i = 0; i < session->n_members; i++) {
        session->differing[i] &= ~bit(author);
        session->settled[i] &= ~bit(author);
    }
}

static void store(struct sl_session *session, uint32_t step, uint32_t author, const struct sl_envelope *envelope)
{
    struct held *held = session_held(session, step, author);
    memcpy(held->bytes, envelope->bytes, envelope->size);
    describe(held, step, envelope);

    struct sl_envelope kept = session_envelope(session, held);
    if (step == SL_STEP_SHARES) {
        session_keep_shares(session, author, &kept);
        session_on_shares(session, author);
    }
    if (step == SL_STEP_COMMIT) {                        /* if it takes another's place: its vector is another too */
        session->here &= ~bit(author);
        session->wanted &= ~bit(author);
    }
    if (step == SL_STEP_AUDIT) forget_audit(session, author, &kept);
}

/* Everybody gets both bodies, so that all leave the author out alike. */
static void convict(struct sl_session *session, uint32_t step, uint32_t author, const struct sl_envelope *envelope)
{
    const struct held *held = session_held(session, step, author);
    struct sl_evidence evidence = {.kind = SL_EVIDENCE_TWO_BODIES};
    session_cite(&evidence, held->bytes, held->size);
    session_cite(&evidence, envelope->bytes, envelope->size);
    session->contradicted |= bit(author);
    session->excluded |= bit(author);
    session->told |= bit(author);
    session_tell(session, SL_NEWS_CONTRADICTION, author, step);
    session_accuse(session, author, &evidence);
    session->port.send(session->port.context, SL_SESSION_ALL, held->bytes, held->size);
    session->port.send(session->port.context, SL_SESSION_ALL, envelope->bytes, envelope->size);
}

/* A LIST that is not accepted yet decides which of two bodies counts. */
static void on_second_body(struct sl_session *session, uint32_t step, uint32_t author, const struct sl_envelope *envelope, const uint8_t hash[32], uint32_t via)
{
    bool is_known_liar = session->contradicted & bit(author), is_named = session_is_named(session, step, author, hash);
    if (step == SL_STEP_UNMASK || (is_known_liar && !is_named) || !session_verify(session, author, envelope, via)) return;

    if (!is_known_liar) convict(session, step, author, envelope);
    if (!is_named || (session->replaced[step] & bit(author))) return;

    session->replaced[step] |= bit(author);
    store(session, step, author, envelope);
}

void session_hold(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope, uint32_t via)
{
    uint8_t hash[32];
    uint32_t step = step_of(session, author, envelope);
    if (step == 0 || envelope->size > session_held(session, step, author)->size_max) {
        blame_link(session, via);
        return;
    }
    const struct held *held = session_held(session, step, author);
    sl_body_hash(envelope->body, envelope->body_size, hash);
    if (held->size > 0 && sl_hash_equal(held->hash, hash)) return;

    if (held->size > 0) {
        on_second_body(session, step, author, envelope, hash, via);
        return;
    }
    if (!session_verify(session, author, envelope, via)) return;

    store(session, step, author, envelope);
    session_relay(session, author, envelope, via);
}

bool session_fits(const struct sl_session *session, uint32_t step, uint32_t member)
{
    const struct held *held = session_held(session, step, member);
    if (held->size == 0) return false;

    switch (step) {
    case SL_STEP_SHARES: return true;
    case SL_STEP_COMMIT: case SL_STEP_OPEN: case SL_STEP_AUDIT:
        return session->n_agreed >= (step - 1) / 2 && sl_hash_equal(held->chain, session->chain[(step - 3) / 2]) &&
               (step != SL_STEP_OPEN || session_opens(session, member));
    default: return session->n_agreed == session_lists(session) && sl_hash_equal(held->chain, session_last_chain(session));
    }
}
