/* SPDX-License-Identifier: MIT */
#include "core/core.h"

/* Proofs against liars that this node made: counted. */
void evidence_accuse(struct sl_node *node, const uint8_t id[32], const uint8_t *body, size_t size)
{
    (void)body;
    (void)size;
    node->cohort.n_evidence++;
    node_trace(node, SL_TRACE_ACCUSED, id, 0, 0, SL_OK);
}

void evidence_on_message(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    (void)link;
    (void)envelope;
    node->counters.messages_refused++;
}
