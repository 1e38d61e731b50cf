/* SPDX-License-Identifier: MIT */
#include "sim_attack.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "cohort/evidence.h"

bool attack_parse(const char *text, struct attack_wish wishes[ATTACKS_MAX], uint32_t *n_wishes, char *why, size_t why_size)
{
    if (*n_wishes == ATTACKS_MAX) return snprintf(why, why_size, "at most %d attacks at once", ATTACKS_MAX), false;
    struct attack_wish *wish = &wishes[*n_wishes];
    if (!sl_adversary_parse(text, 1000000, &wish->adversary, &wish->count, why, why_size)) return false;

    ++*n_wishes;
    return true;
}

uint32_t attack_count(const struct attack_wish *wishes, uint32_t n_wishes)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_wishes; i++) n += wishes[i].count;
    return n;
}

static struct sl_liar *make_liar(struct attacks *attacks, const struct sl_adversary *adversary, uint64_t seed, uint32_t number)
{
    struct sl_hash hash;
    uint8_t key[32];
    sl_hash_init(&hash, "simulated liar");
    sl_hash_u64(&hash, seed);
    sl_hash_u64(&hash, number);
    sl_hash_final(&hash, key);
    return sl_liar_new(adversary, attacks->gang, key);
}

bool attacks_make(struct attacks *attacks, const struct sl_config *config, uint32_t dim, uint64_t seed)
{
    uint32_t n = attacks->n_nodes, first = n - attacks->n_liars, at = 0;
    attacks->gang = sl_gang_new();
    attacks->liars = calloc(attacks->n_liars, sizeof *attacks->liars);
    attacks->taps = calloc(n, sizeof *attacks->taps);
    attacks->census = sl_census_new(config, dim, n, attacks->n_liars);
    if (!attacks->gang || !attacks->liars || !attacks->taps || !attacks->census) return false;

    for (uint32_t i = 0; i < first; i++) attacks->taps[i] = sl_census_tap(attacks->census, i);
    for (uint32_t i = 0; i < attacks->n_wishes; i++) {
        for (uint32_t k = 0; k < attacks->wishes[i].count; k++, at++) {
            attacks->liars[at] = make_liar(attacks, attacks->wishes[i].adversary, seed, at);
            if (!attacks->liars[at]) return false;
            attacks->taps[first + at] = sl_liar_tap(attacks->liars[at]);
        }
    }
    return true;
}

void attacks_finish(struct attacks *attacks)
{
    for (uint32_t i = 0; attacks->liars && i < attacks->n_liars; i++) sl_liar_destroy(&attacks->liars[i]);
    free(attacks->liars);
    free(attacks->taps);
    sl_gang_destroy(&attacks->gang);
    sl_census_destroy(&attacks->census);
}

bool attacks_is_liar(const struct attacks *attacks, uint32_t node)
{
    return node >= attacks->n_nodes - attacks->n_liars;
}

/* Of one wish: liars at `first` and after. */
static uint64_t strikes_of(const struct attacks *attacks, uint32_t first, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = first; i < first + count; i++) sum += sl_liar_strikes(attacks->liars[i]);
    return sum;
}

void attacks_write_json(const void *context, FILE *file)
{
    const struct attacks *attacks = context;
    struct sl_census_figures figures;
    sl_census_figures(attacks->census, &figures);
    fprintf(file, "\"attack\":{\"liars\":[");
    for (uint32_t i = 0, first = 0; i < attacks->n_wishes; first += attacks->wishes[i++].count)
        fprintf(file, "%s{\"name\":\"%s\",\"nodes\":%" PRIu32 ",\"strikes\":%" PRIu64 "}", i > 0 ? "," : "", sl_adversary_name(attacks->wishes[i].adversary),
                attacks->wishes[i].count, strikes_of(attacks, first, attacks->wishes[i].count));
    fprintf(file, "],\"honest\":{\"with_aggregate\":%" PRIu64 ",\"total\":%" PRIu64 "},\"liars_banned\":%" PRIu32 ",", attacks->honest_with_aggregate,
            attacks->honest_epochs, figures.n_liars_banned);
    if (isfinite(figures.ban_epochs)) fprintf(file, "\"banned_after_epochs\":%.4g,", figures.ban_epochs);
    else fprintf(file, "\"banned_after_epochs\":null,");
    fprintf(file, "\"honest_banned\":%" PRIu32 ",\"proofs\":{", figures.n_honest_banned);
    for (uint32_t kind = 0, n = 0; kind < SL_CENSUS_KINDS; kind++)
        if (figures.proofs[kind] > 0) fprintf(file, "%s\"%" PRIu32 "\":%" PRIu64, n++ > 0 ? "," : "", kind, figures.proofs[kind]);
    fprintf(file, "},\"proofs_against_honest\":%" PRIu64 ",\"proofs_that_fail\":%" PRIu64 ",", figures.n_false_proofs, figures.n_bad_proofs);
    fprintf(file, "\"company\":{\"rosters\":%" PRIu64 ",\"outnumbered\":%" PRIu64 ",\"expected_share\":%.4g}},", figures.n_rosters, figures.n_outnumbered,
            figures.outnumbered_expected);
}

static void write_verdict(const struct attacks *attacks, const struct sl_census_figures *figures, FILE *file)
{
    double share = attacks->honest_epochs > 0 ? 100 * (double)attacks->honest_with_aggregate / (double)attacks->honest_epochs : 0;
    fprintf(file, "%-12s %" PRIu64 " of %" PRIu64 " honest node-epochs with an aggregate (%.1f %%)\n", "", attacks->honest_with_aggregate,
            attacks->honest_epochs, share);
    fprintf(file, "%-12s banned %" PRIu32 " of %" PRIu32 " liars", "", figures->n_liars_banned, attacks->n_liars);
    if (isfinite(figures->ban_epochs)) fprintf(file, " after %.1f epochs", figures->ban_epochs);
    fprintf(file, ", %" PRIu32 " honest nodes; %" PRIu64 " proofs against honest nodes\n", figures->n_honest_banned, figures->n_false_proofs);
    for (uint32_t kind = 0; kind < SL_CENSUS_KINDS; kind++)
        if (figures->proofs[kind] > 0) fprintf(file, "%-12s proof that %" PRIu64 " %s\n", "", figures->proofs[kind], sl_evidence_text(kind));
    double met = figures->n_rosters > 0 ? 100 * (double)figures->n_outnumbered / (double)figures->n_rosters : 0;
    fprintf(file, "%-12s more liars than tolerated in %.1f %% of cohorts; by chance %.1f %%\n", "", met, 100 * figures->outnumbered_expected);
}

void attacks_write_lines(const void *context, FILE *file)
{
    const struct attacks *attacks = context;
    struct sl_census_figures figures;
    sl_census_figures(attacks->census, &figures);
    for (uint32_t i = 0, first = 0; i < attacks->n_wishes; first += attacks->wishes[i++].count)
        fprintf(file, "%-12s %" PRIu32 " of %" PRIu32 " nodes, %s: struck %" PRIu64 " times\n", i > 0 ? "" : "attack", attacks->wishes[i].count,
                attacks->n_nodes, sl_adversary_name(attacks->wishes[i].adversary), strikes_of(attacks, first, attacks->wishes[i].count));
    write_verdict(attacks, &figures, file);
}
