/* SPDX-License-Identifier: MIT */
#include "cohort/evidence.h"

#include <string.h>

#include "config/plan.h"
#include "core/core.h"
#include "share/block.h"
#include "starling/error.h"
#include "starling/identity.h"

/*
 * Proofs that an identity broke the protocol: made in the own cohort or heard of, verified from their bytes alone, acted on by a ban, and passed on once.
 * Whoever is banned already costs a look at its id; a proof against somebody unknown is passed over, so that nobody fills the table of bans with identities
 * of its own making. When the table is full, a proof against somebody near us pushes out the oldest ban of an identity that nobody shows us any more.
 */

static uint32_t dim_of_epoch(void *context, uint64_t epoch)
{
    const struct sl_node *node = context;
    return sl_block_count(epoch, node->dim, node->k);
}

static int verify(struct sl_node *node, const struct sl_evidence *evidence, uint8_t accused[32])
{
    struct sl_evidence_context context = {.network_id = node->config.network_id, .dim = dim_of_epoch, .context = node,
                                          .ring_bits = node->config.ring_bits, .rows = sl_audit_rows_of(&node->config, SL_AUDIT_DIM_MIN)};
    node->counters.signature_checks += evidence->n_messages;
    return sl_evidence_verify(&context, evidence, accused);
}

/* An EVIDENCE body as it came. */
static int read_body(struct sl_node *node, const uint8_t *body, size_t size, struct sl_evidence *out)
{
    struct sl_envelope envelope = {.type = SL_MESSAGE_EVIDENCE, .epoch = node->epoch, .body = body, .body_size = size};
    return sl_read_evidence(&envelope, out);
}

/* One message for everybody we know; `except` has it already, or is NULL. */
static void spread(struct sl_node *node, const uint8_t *body, size_t body_size, const struct link *except)
{
    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_EVIDENCE, node->epoch, NULL, body_size + 512);
    sl_write_raw(&writer, body, body_size);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_EVIDENCE, &size);
    for (uint32_t i = 0; bytes && i < node->links.n_max; i++) {
        struct link *link = &node->links.all[i];
        if (link->state == LINK_OPEN && link->known && link != except) links_send(node, link, bytes, size);
    }
}

static bool is_near(struct sl_node *node, const uint8_t id[32])
{
    return sl_view_find(&node->view, id) || cohort_find(node, id);
}

/* The oldest ban of an identity that is in neither view nor book, or NULL: there it does the least. */
static const uint8_t *find_idle_ban(struct sl_node *node)
{
    for (uint32_t i = 0; i < node->members.n_banned; i++) {
        const uint8_t *id = node->members.banned[i];
        if (!is_near(node, id) && !sl_book_find(&node->members.book, id) && !links_to(node, id)) return id;
    }
    return NULL;
}

static bool is_room(struct sl_node *node, const uint8_t id[32])
{
    return node->members.n_banned < BANS_MAX || (is_near(node, id) && find_idle_ban(node));
}

/* For somebody near us, when the table is full. */
static void make_room(struct sl_node *node)
{
    uint8_t idle[32];
    const uint8_t *found = node->members.n_banned == BANS_MAX ? find_idle_ban(node) : NULL;
    if (!found) return;

    memcpy(idle, found, 32);
    advert_unban(node, idle);
    node_trace(node, SL_TRACE_UNBANNED, idle, 0, 0, SL_ERROR_NO_SPACE);
}

/* A liar that sits in the cohort under way is still of use to it, and is hung up on when the epoch ends. */
static void ban(struct sl_node *node, const uint8_t id[32], uint32_t kind)
{
    make_room(node);
    advert_ban(node, id);
    node->counters.banned_by_proof++;
    node_trace(node, SL_TRACE_PROVEN, id, kind, 0, SL_OK);
    if (!cohort_find(node, id)) links_close_banned(node);
    book_save(node);
}

static bool is_known(struct sl_node *node, const uint8_t id[32])
{
    return sl_view_find(&node->view, id) || sl_book_find(&node->members.book, id) || links_to(node, id) || cohort_find(node, id);
}

static bool is_pardoned(const struct sl_node *node, const uint8_t id[32])
{
    for (uint32_t i = 0; i < node->members.n_pardoned; i++)
        if (sl_hash_equal(node->members.pardoned[i], id)) return true;
    return false;
}

/* Whom the operator has let in again stays in for this run, whatever old proofs say. */
void evidence_pardon(struct sl_node *node, const uint8_t id[32])
{
    struct membership *members = &node->members;
    if (is_pardoned(node, id)) return;
    if (members->n_pardoned == PARDONS_MAX) memmove(members->pardoned[0], members->pardoned[1], (size_t)32 * --members->n_pardoned);
    memcpy(members->pardoned[members->n_pardoned++], id, 32);
}

/* Is there anything to be done about this identity? */
static bool concerns(struct sl_node *node, const uint8_t id[32])
{
    bool is_self = sl_hash_equal(id, node->self->id);
    return !is_self && !advert_is_listed(node, id) && !is_pardoned(node, id) && is_known(node, id) && is_room(node, id);
}

void evidence_accuse(struct sl_node *node, const uint8_t id[32], const uint8_t *body, size_t size)
{
    struct sl_evidence evidence;
    uint8_t accused[32];
    if (read_body(node, body, size, &evidence) != SL_OK || verify(node, &evidence, accused) != SL_OK || !sl_hash_equal(accused, id)) return;

    node->cohort.n_evidence++;
    node_trace(node, SL_TRACE_ACCUSED, id, evidence.kind, 0, SL_OK);
    if (!concerns(node, id)) return;
    ban(node, id, evidence.kind);
    spread(node, body, size, NULL);
}

void evidence_contradiction(struct sl_node *node, struct link *link, const uint8_t sign_public[32], const struct sl_span *first, const struct sl_span *second)
{
    bool is_same = first->size == second->size && memcmp(first->bytes, second->bytes, first->size) == 0;
    if (is_same || link->n_evidence >= EVIDENCE_MAX) return;

    size_t size_max = first->size + second->size + 256;
    uint8_t accused[32], *body = SL_RESERVE(&node->out, uint8_t, size_max);      /* a scratch of small models has no room for it */
    struct sl_evidence evidence = {.kind = SL_EVIDENCE_TWO_BODIES, .n_messages = 2, .messages = {first->bytes, second->bytes},
                                   .message_sizes = {first->size, second->size}};
    if (!body) return;

    link->n_evidence++;
    struct sl_writer writer = sl_writer_over(body, size_max);
    memcpy(evidence.sign_public, sign_public, 32);
    sl_write_evidence(&writer, &evidence);
    sl_identity_id(node->config.network_id, sign_public, accused);
    if (!writer.full) evidence_accuse(node, accused, body, writer.size);
}

void evidence_on_message(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct sl_evidence evidence;
    uint8_t accused[32], proven[32];
    if (link->n_evidence >= EVIDENCE_MAX) return;
    if (sl_read_evidence(envelope, &evidence) != SL_OK) {
        node_refuse(node, link, SL_ERROR_MALFORMED);
        return;
    }
    sl_identity_id(node->config.network_id, evidence.sign_public, accused);
    if (!concerns(node, accused)) return;

    link->n_evidence++;
    int error = verify(node, &evidence, proven);
    if (error != SL_OK) {
        node_refuse(node, link, error);
        return;
    }
    ban(node, accused, evidence.kind);
    spread(node, envelope->body, envelope->body_size, link);
}
