/* SPDX-License-Identifier: MIT */
/* What a liar does to its own session: it stands between the session and the core, and reaches into what the session holds. */
#include <string.h>

#include "cohort/session_parts.h"
#include "sim/adversary_parts.h"

/* ---- standing by a lie ---- */

/* What is held of the own SHARES or AUDIT besides its bytes. */
static void read_again(struct sl_session *session, const struct sl_envelope *envelope)
{
    if (envelope->type == SL_MESSAGE_SHARES) session_keep_shares(session, session->own, envelope);
    if (envelope->type == SL_MESSAGE_AUDIT) session_keep_audit(session, session->own, envelope);
}

static bool replace(struct sl_liar *liar, uint32_t step, const uint8_t *bytes, size_t size)
{
    struct sl_session *session = liar->node->cohort.session;
    struct held *held = session_held(session, step, session->own);
    struct sl_envelope envelope;
    if (size > held->size_max) return false;

    memcpy(held->bytes, bytes, size);
    held->size = size;
    if (!liar_open(liar, held->bytes, size, &envelope)) return false;
    sl_body_hash(envelope.body, envelope.body_size, held->hash);
    memcpy(liar->lies[step], held->hash, 32);
    read_again(session, &envelope);
    return true;
}

/* The message in its false form, which the session holds from now on; or as it was. */
static const uint8_t *falsify(struct sl_liar *liar, const struct sl_envelope *envelope, size_t *size)
{
    uint8_t hash[32];
    uint32_t step = liar_step_of(envelope);
    sl_body_hash(envelope->body, envelope->body_size, hash);
    if (step == 0 || !liar_is_own(liar, envelope) || sl_hash_equal(hash, liar->lies[step])) return envelope->bytes;

    liar->n_bytes = 0;                                  /* the core copies what it is given */
    struct sl_writer writer = liar_begin(liar, envelope);
    const uint8_t *bytes = liar->adversary->say(liar, envelope, &writer) ? liar_end(liar, &writer, envelope->type, size) : NULL;
    if (!bytes || !replace(liar, step, bytes, *size)) {
        *size = envelope->size;
        return envelope->bytes;
    }
    liar_strike(liar);
    return bytes;
}

/* ---- the port ---- */

static void on_send(void *context, uint32_t to, const uint8_t *bytes, size_t size)
{
    struct sl_liar *liar = context;
    struct sl_envelope envelope;
    if (liar_open(liar, bytes, size, &envelope)) bytes = falsify(liar, &envelope, &size);
    liar->port.send(liar->port.context, to, bytes, size);
}

static void on_want(void *context, uint32_t member)
{
    struct sl_liar *liar = context;
    liar->port.want(liar->port.context, member);
}

static bool on_encode(void *context, const uint32_t *sum, uint64_t members, struct sl_result *out)
{
    struct sl_liar *liar = context;
    return liar->port.encode(liar->port.context, sum, members, out);
}

static void on_accuse(void *context, uint32_t member, const uint8_t *body, size_t size)
{
    struct sl_liar *liar = context;
    liar->port.accuse(liar->port.context, member, body, size);
}

static void on_tell(void *context, enum sl_session_news news, uint32_t member, int64_t number)
{
    struct sl_liar *liar = context;
    liar->port.tell(liar->port.context, news, member, number);
}

static void on_count(void *context, bool made)
{
    struct sl_liar *liar = context;
    liar->port.count(liar->port.context, made);
}

void session_listen(struct sl_liar *liar)
{
    struct sl_session_port *port = &liar->node->cohort.session->port;
    if (port->send == on_send) return;                  /* a node that starts again has a fresh session */

    liar->port = *port;
    *port = (struct sl_session_port){.context = liar, .send = on_send, .want = on_want, .encode = on_encode, .accuse = on_accuse, .tell = on_tell,
                                     .count = on_count};
}

/* ---- the vector ---- */

static void add_packed(uint8_t *at, uint32_t ring_bits, uint32_t value)
{
    for (uint32_t i = 0, carry = 0; i < ring_bits / 8; i++) {
        carry += at[i] + (value >> 8 * i & 0xff);
        at[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

void session_shift(struct sl_liar *liar, uint32_t value, uint32_t n, struct sl_rng *rng, uint8_t root[32])
{
    struct sl_session *session = liar->node->cohort.session;
    uint32_t bytes_each = session->ring_bits / 8;
    uint8_t *vector = sl_session_vector(session, session->own);
    struct sl_merkle tree;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t place = sl_rng_below(rng, session->dim);
        session->numbers[place] = session_in_ring(session, session->numbers[place] + value);
        add_packed(vector + (size_t)place * bytes_each, session->ring_bits, value);
    }
    sl_merkle_build(&tree, vector, (size_t)session->dim * bytes_each, SL_CHUNK_ELEMENTS * bytes_each);
    memcpy(root, tree.root, 32);
}
