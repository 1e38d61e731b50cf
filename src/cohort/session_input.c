/* SPDX-License-Identifier: MIT */
/* The own input, masked and committed to; OPENs, and the vectors behind them. */
#include <string.h>

#include "base/hash.h"
#include "cohort/session_parts.h"
#include "share/quantise.h"
#include "starling/error.h"

/* The lower place in the roster adds what the higher one takes away. */
static int sign_of(uint32_t own, uint32_t partner)
{
    return partner > own ? 1 : -1;
}

static void mask_block(struct sl_session *session, uint32_t start, uint32_t *block, uint32_t n)
{
    const struct secrets *secrets = &session->secrets;
    memcpy(block, session->numbers + start, n * sizeof *block);
    sl_mask_add(secrets->self, 1, session->ring_bits, start, block, n);
    for (uint32_t j = 0; j < session->n_members; j++) {
        bool is_partner = j != session->own && (session->agreed[0] & bit(j));
        if (is_partner) sl_mask_add(secrets->pair[j], sign_of(session->own, j), session->ring_bits, start, block, n);
    }
}

/* y = z + PRG(b) + masks towards those in V, packed. */
static void mask(struct sl_session *session)
{
    uint8_t *vector = sl_session_vector(session, session->own);
    uint32_t block[SESSION_BLOCK];
    for (uint32_t start = 0; start < session->dim; start += SESSION_BLOCK) {
        uint32_t n = session->dim - start < SESSION_BLOCK ? session->dim - start : SESSION_BLOCK;
        mask_block(session, start, block, n);
        sl_ring_pack(block, n, session->ring_bits, vector + (size_t)start * (session->ring_bits / 8));
    }
    sl_wipe(block, sizeof block);                       /* its last state is no secret, but what the compiler spilt into it may be */
}

void session_commit(struct sl_session *session)
{
    struct sl_merkle tree;
    struct sl_commit commit;
    size_t element = session->ring_bits / 8;
    mask(session);
    sl_merkle_build(&tree, sl_session_vector(session, session->own), session->dim * element, SL_CHUNK_ELEMENTS * element);
    memcpy(commit.chain, session->chain[0], 32);
    memcpy(commit.root, tree.root, 32);
    session->here |= bit(session->own);

    struct held *held = session_held(session, SL_STEP_COMMIT, session->own);
    struct sl_writer writer = session_write(session, SL_MESSAGE_COMMIT, held->bytes, held->size_max);
    sl_write_commit(&writer, &commit);
    session_say(session, SL_STEP_COMMIT, &writer, SL_MESSAGE_COMMIT);
    session_tell(session, SL_NEWS_COMMITTED, session->own, 0);
}

void session_open(struct sl_session *session)
{
    struct sl_open open;
    memcpy(open.chain, session->chain[1], 32);
    memcpy(open.nonce, session->secrets.nonce, 32);
    struct held *held = session_held(session, SL_STEP_OPEN, session->own);
    struct sl_writer writer = session_write(session, SL_MESSAGE_OPEN, held->bytes, held->size_max);
    sl_write_open(&writer, &open);
    session_say(session, SL_STEP_OPEN, &writer, SL_MESSAGE_OPEN);
    session_tell(session, SL_NEWS_OPENED, session->own, 0);
}

/* The nonce must be the one that its SHARES bound it to. */
bool session_opens(const struct sl_session *session, uint32_t member)
{
    struct sl_open open;
    struct sl_envelope envelope = session_envelope(session, session_held(session, SL_STEP_OPEN, member));
    if (sl_read_open(&envelope, &open) != SL_OK || session_held(session, SL_STEP_SHARES, member)->size == 0) return false;

    uint8_t hash[32];
    sl_mask_hash(SL_SECRET_AUDIT_NONCE, session->cohort_id, open.nonce, hash);
    return sl_hash_equal(hash, session->shares[member].nonce_hash);
}

void session_want(struct sl_session *session, uint64_t members)
{
    uint64_t wanted = members & ~session->wanted & ~session->here;
    session->wanted |= wanted;
    for (uint32_t i = 0; i < session->n_members; i++)
        if (wanted & bit(i)) session->port.want(session->port.context, i);
}

void sl_session_vector_here(struct sl_session *session, uint32_t member)
{
    bool is_meant = member < session->n_members && (session->wanted & bit(member));
    if (!is_meant || session->state == SL_SESSION_NONE || session->state == SL_SESSION_VOID) return;

    session->here |= bit(member);
    session_advance(session);
}
