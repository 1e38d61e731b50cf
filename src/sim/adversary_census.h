/* SPDX-License-Identifier: MIT */
#ifndef SL_SIM_ADVERSARY_CENSUS_H
#define SL_SIM_ADVERSARY_CENSUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tap.h"
#include "sim/sim.h"

/*
 * What honest nodes get from the liars among them: whose company they keep, whom they ban, and which proofs they hear of. The last n_liars nodes are the
 * liars. Each proof is verified here from its bytes alone, as by somebody who was not there.
 */
enum { SL_CENSUS_KINDS = 16 };           /* of evidence */

struct sl_census_figures {
    uint64_t proofs[SL_CENSUS_KINDS];    /* distinct accused of each kind of evidence */
    uint64_t n_false_proofs;             /* that convince, of an honest node: there must be none */
    uint64_t n_bad_proofs;               /* distinct ones that honest nodes sent and that do not convince */
    uint32_t n_liars_banned, n_honest_banned;        /* by at least one honest node */
    double ban_epochs;                   /* epochs until a liar was banned by somebody, mean over those that were; NaN: none was */
    uint64_t n_rosters, n_outnumbered;   /* cohorts of honest nodes, one for each of them; with more than f(c) liars in them */
    double outnumbered_expected;         /* share of the second in the first if companions were drawn at random among all */
};

struct sl_census;

/* NULL: memory is short. config must outlive it. */
struct sl_census *sl_census_new(const struct sl_config *config, uint32_t dim, uint32_t n_nodes, uint32_t n_liars);
void sl_census_destroy(struct sl_census **census);

struct sl_tap sl_census_tap(struct sl_census *census, uint32_t node);    /* listens at an honest node and changes nothing */
void sl_census_watch(struct sl_census *census, const struct sl_sim *sim);        /* before the first event */
void sl_census_epoch(struct sl_census *census, uint32_t epoch);          /* an epoch is over; the first is 1 */
void sl_census_figures(const struct sl_census *census, struct sl_census_figures *out);

#endif
