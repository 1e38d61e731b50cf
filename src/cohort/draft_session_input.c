/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/hash.h"
#include "cohort/draft_parts.h"
#include "privacy/sketch.h"
#include "share/quantise.h"
#include "starling/error.h"

/* COMMIT and OPEN: our input under its masks. */

enum { MASKED_AT_ONCE = 4096 };

/* y = z + PRG(b) + sum over later members of V of PRG(s) - sum over earlier ones, piece by piece. */
static void mask(struct sl_session *session)
{
    struct party *own = &session->parties[session->own];
    uint32_t piece[MASKED_AT_ONCE];
    for (uint32_t start = 0; start < session->dim; start += MASKED_AT_ONCE) {
        uint32_t n = session->dim - start < MASKED_AT_ONCE ? session->dim - start : MASKED_AT_ONCE;
        memcpy(piece, session->z + start, sizeof(uint32_t) * n);
        sl_mask_add(session->self_seed, 1, session->ring_bits, start, piece, n);
        for (uint32_t j = 0; j < session->n; j++) {
            bool shares_mask = j != session->own && session->lists[LIST_V].members >> j & 1;
            if (shares_mask) sl_mask_add(session->parties[j].pair_seed, j > session->own ? 1 : -1, session->ring_bits, start, piece, n);
        }
        sl_ring_pack(piece, n, session->ring_bits, own->vector + (size_t)start * (session->ring_bits / 8));
    }
    sl_wipe(piece, sizeof piece);
}

void input_commit(struct sl_session *session)
{
    struct sl_commit body;
    struct party *own = &session->parties[session->own];
    mask(session);
    sl_merkle_build(&session->tree, own->vector, (size_t)session->dim * (session->ring_bits / 8), (size_t)SL_CHUNK_ELEMENTS * (session->ring_bits / 8));
    memcpy(own->root, session->tree.root, 32);
    own->vector_here = true;

    memcpy(body.chain, session->lists[LIST_V].hash, 32);
    memcpy(body.root, own->root, 32);
    struct sl_writer writer = session_write(session, SL_MESSAGE_COMMIT);
    sl_write_commit(&writer, &body);
    session_say(session, &writer, SL_MESSAGE_COMMIT, HELD_COMMIT);
    session_tell(session, SL_NEWS_COMMITTED, SL_SESSION_ALL, 0);
}

void input_open(struct sl_session *session)
{
    struct sl_open body;
    memcpy(body.chain, session->lists[LIST_Y].hash, 32);
    memcpy(body.nonce, session->nonce, 32);
    session->parties[session->own].nonce_fits = true;
    struct sl_writer writer = session_write(session, SL_MESSAGE_OPEN);
    sl_write_open(&writer, &body);
    session_say(session, &writer, SL_MESSAGE_OPEN, HELD_OPEN);
    session_tell(session, SL_NEWS_OPENED, SL_SESSION_ALL, 0);
}

/* The vectors of those who opened and are in Y. */
void input_want(struct sl_session *session)
{
    for (uint32_t j = 0; j < session->n; j++) {
        struct party *party = &session->parties[j];
        bool opened = session->lists[LIST_Y].members >> j & 1 && party->held[HELD_OPEN].size > 0;
        if (j == session->own || !opened || party->vector_here || party->wanted) continue;
        party->wanted = true;
        session->port.want(session->port.context, j);
    }
}
