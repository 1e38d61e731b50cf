/* SPDX-License-Identifier: MIT */
#include "sim/adversary_census.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/quorum.h"
#include "cohort/evidence.h"
#include "config/plan.h"
#include "core/core.h"
#include "share/block.h"
#include "starling/error.h"

enum { PROOFS_MAX = 4096 };              /* remembered by hash; later ones are not counted */

struct listener { struct sl_census *census; uint32_t node; uint64_t roster_epoch; };

struct sl_census {
    const struct sl_config *config;
    const struct sl_sim *sim;
    uint32_t dim, n_nodes, n_liars;
    struct listener *listeners;          /* n_nodes */
    uint32_t *banned_in;                 /* n_nodes: epoch of the first ban by an honest node; 0: none */
    uint32_t *proven;                    /* n_nodes: bit per kind of evidence */
    uint8_t (*heard)[32];                /* PROOFS_MAX hashes of proofs */
    uint32_t n_heard;
    uint64_t n_false_proofs, n_bad_proofs;
    uint64_t n_rosters[SL_COHORT_MAX + 1], n_outnumbered;       /* by size */
};

static bool is_liar(const struct sl_census *census, uint32_t node)
{
    return node >= census->n_nodes - census->n_liars && node < census->n_nodes;
}

/* ---- proofs ---- */

/* Coordinates of an epoch: the last part of a cycle may be smaller. */
static uint32_t dim_of(void *context, uint64_t epoch)
{
    const struct sl_census *census = context;
    return sl_block_count(epoch, census->dim, sl_block_size(census->config->block_size, census->dim));
}

static bool is_new(struct sl_census *census, const uint8_t hash[32])
{
    for (uint32_t i = 0; i < census->n_heard; i++)
        if (sl_hash_equal(census->heard[i], hash)) return false;
    if (census->n_heard == PROOFS_MAX) return false;
    memcpy(census->heard[census->n_heard++], hash, 32);
    return true;
}

static void judge(struct sl_census *census, const struct sl_envelope *envelope)
{
    struct sl_evidence evidence;
    uint8_t hash[32], accused[32];
    sl_body_hash(envelope->body, envelope->body_size, hash);
    if (!is_new(census, hash)) return;

    struct sl_evidence_context context = {.network_id = census->config->network_id, .dim = dim_of, .context = census, .ring_bits = census->config->ring_bits,
                                          .rows = sl_audit_rows_of(census->config, SL_AUDIT_DIM_MIN)};
    bool convinces = sl_read_evidence(envelope, &evidence) == SL_OK && sl_evidence_verify(&context, &evidence, accused) == SL_OK;
    uint32_t node = convinces ? sl_sim_find(census->sim, accused) : UINT32_MAX;
    if (!convinces) census->n_bad_proofs++;
    else if (!is_liar(census, node)) census->n_false_proofs++;
    else census->proven[node] |= UINT32_C(1) << evidence.kind;
}

/* Of honest senders only: what liars say proves nothing but themselves, and is refused where it is wrong. */
static void hear(struct sl_census *census, struct sl_node *node, const struct sl_event *event)
{
    struct sl_envelope envelope;
    if (sl_envelope_open(event->message.data, event->message.size, node->config.network_id, &envelope) != SL_OK) return;
    if (envelope.type == SL_MESSAGE_EVIDENCE && !is_liar(census, sl_sim_find(census->sim, envelope.from))) judge(census, &envelope);
}

/* ---- company ---- */

static void look_at_roster(struct listener *listener, const struct sl_node *node)
{
    struct sl_census *census = listener->census;
    const struct cohort *cohort = &node->cohort;
    if (cohort->n_members == 0 || cohort->epoch == listener->roster_epoch || cohort->epoch != node->epoch) return;

    uint32_t n_liars = 0;
    for (uint32_t i = 0; i < cohort->n_members; i++) n_liars += is_liar(census, sl_sim_find(census->sim, cohort->members[i].id));
    listener->roster_epoch = cohort->epoch;
    census->n_rosters[cohort->n_members]++;
    census->n_outnumbered += n_liars > sl_quorum_colluders(cohort->n_members);
}

static double log_choose(double n, double k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

/* More than f of c - 1 companions, drawn among the n - 1 others of whom n_liars lie. */
static double chance(uint32_t n, uint32_t n_liars, uint32_t c)
{
    double sum = 0;
    for (uint32_t x = sl_quorum_colluders(c) + 1; x < c && x <= n_liars; x++) {
        if (c - 1 - x > n - 1 - n_liars) continue;
        sum += exp(log_choose(n_liars, x) + log_choose(n - 1 - n_liars, c - 1 - x) - log_choose(n - 1, c - 1));
    }
    return sum;
}

/* ---- public ---- */

struct sl_census *sl_census_new(const struct sl_config *config, uint32_t dim, uint32_t n_nodes, uint32_t n_liars)
{
    struct sl_census *census = calloc(1, sizeof *census);
    if (!census) return NULL;

    *census = (struct sl_census){.config = config, .dim = dim, .n_nodes = n_nodes, .n_liars = n_liars};
    census->listeners = calloc(n_nodes, sizeof *census->listeners);
    census->banned_in = calloc(n_nodes, sizeof *census->banned_in);
    census->proven = calloc(n_nodes, sizeof *census->proven);
    census->heard = calloc(PROOFS_MAX, sizeof *census->heard);
    if (!census->listeners || !census->banned_in || !census->proven || !census->heard) sl_census_destroy(&census);
    for (uint32_t i = 0; census && i < n_nodes; i++) census->listeners[i] = (struct listener){.census = census, .node = i};
    return census;
}

void sl_census_destroy(struct sl_census **pointer)
{
    struct sl_census *census = *pointer;
    if (!census) return;

    free(census->listeners);
    free(census->banned_in);
    free(census->proven);
    free(census->heard);
    free(census);
    *pointer = NULL;
}

static void on_event(void *context, struct sl_node *node, struct sl_event *event)
{
    struct listener *listener = context;
    if (event->type == SL_EVENT_MESSAGE) hear(listener->census, node, event);
    look_at_roster(listener, node);
}

struct sl_tap sl_census_tap(struct sl_census *census, uint32_t node)
{
    return (struct sl_tap){.context = &census->listeners[node], .event = on_event};
}

void sl_census_watch(struct sl_census *census, const struct sl_sim *sim)
{
    census->sim = sim;
}

void sl_census_epoch(struct sl_census *census, uint32_t epoch)
{
    for (uint32_t i = 0; i < census->n_nodes - census->n_liars; i++) {
        const struct sl_node *node = sl_sim_node(census->sim, i);
        for (uint32_t k = 0; node && k < census->n_nodes; k++)
            if (census->banned_in[k] == 0 && advert_is_banned(node, sl_sim_identity(census->sim, k)->id)) census->banned_in[k] = epoch;
    }
}

static void count_bans(const struct sl_census *census, struct sl_census_figures *out)
{
    double sum = 0;
    for (uint32_t i = 0; i < census->n_nodes; i++) {
        if (census->banned_in[i] == 0) continue;
        out->n_honest_banned += !is_liar(census, i);
        out->n_liars_banned += is_liar(census, i);
        if (is_liar(census, i)) sum += census->banned_in[i];
    }
    out->ban_epochs = out->n_liars_banned > 0 ? sum / out->n_liars_banned : NAN;
}

void sl_census_figures(const struct sl_census *census, struct sl_census_figures *out)
{
    *out = (struct sl_census_figures){.n_false_proofs = census->n_false_proofs, .n_bad_proofs = census->n_bad_proofs, .n_outnumbered = census->n_outnumbered};
    count_bans(census, out);
    for (uint32_t i = 0; i < census->n_nodes; i++)
        for (uint32_t kind = 0; kind < SL_CENSUS_KINDS; kind++) out->proofs[kind] += census->proven[i] >> kind & 1;

    double expected = 0;
    for (uint32_t c = 3; c <= SL_COHORT_MAX; c++) {
        out->n_rosters += census->n_rosters[c];
        expected += (double)census->n_rosters[c] * chance(census->n_nodes, census->n_liars, c);
    }
    out->outnumbered_expected = out->n_rosters > 0 ? expected / (double)out->n_rosters : 0;
}
