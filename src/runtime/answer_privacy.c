/* SPDX-License-Identifier: MIT */
#include "runtime/answer_privacy.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/limits.h"
#include "config/plan.h"
#include "share/block.h"

enum { TEXT_SIZE = 480 };

static const double delta_useless = 1e-2;        /* a group's delta above it is no bound */

/* ---- in words ---- */

/* A unit, and what two data sets may differ in without anybody being able to tell. */
static const char *protects(enum sl_unit unit)
{
    switch (unit) {
    case SL_UNIT_RECORD: return "every single example in this node's data, and not a person or the node as a whole";
    case SL_UNIT_NODE: return "all the data of this node together, whatever part of it belongs to whom";
    case SL_UNIT_OFF: break;
    }
    return "nothing beyond the masks";
}

static const char *adjacency_name(uint8_t adjacency)
{
    static const char *const names[] = {"none", "add-remove", "zero-out", "replace"};
    return adjacency < sizeof names / sizeof names[0] ? names[adjacency] : "none";
}

static const char *adjacency_words(uint8_t adjacency)
{
    switch (adjacency) {
    case SL_ADJACENCY_ADD_REMOVE: return "the data with and without any one example";
    case SL_ADJACENCY_ZERO_OUT: return "this node learned from its data, or it changed nothing";
    case SL_ADJACENCY_REPLACE: return "this node learned from its data, or from any other data";
    default: return "none";
    }
}

static void say_off(const struct sl_config *config, uint32_t dim, char text[TEXT_SIZE])
{
    snprintf(text, TEXT_SIZE, "off: no formal promise beyond the masks%s",
             sl_block_size(config->block_size, dim) < SL_AUDIT_DIM_MIN ? "; norms unchecked, for the exchanged block is too small for an audit" : "");
}

/* Unit, adjacency, epsilon and delta stand together, always. */
static void say_spent(const struct sl_config *config, const struct sl_privacy_status *privacy, bool has_begun, char text[TEXT_SIZE])
{
    int n = snprintf(text, TEXT_SIZE, "%s, %s: epsilon %.4g of %.4g spent at delta %.3g", config->privacy_unit, adjacency_name(privacy->adjacency),
                     privacy->epsilon, privacy->eps_max, privacy->delta);
    if (privacy->unit == SL_UNIT_NODE)
        n += snprintf(text + n, TEXT_SIZE - (size_t)n, " with at most %u colluders in a cohort (%.4g if all others collude)", config->privacy_colluders,
                      privacy->epsilon_floor);
    if (!has_begun) return;
    if (privacy->is_blocked) snprintf(text + n, TEXT_SIZE - (size_t)n, "; BLOCKED: does not learn");
    else if (privacy->is_spent) snprintf(text + n, TEXT_SIZE - (size_t)n, "; BUDGET SPENT: learns no more, goes on merging");
    else snprintf(text + n, TEXT_SIZE - (size_t)n, "; enough for %" PRIu64 " more epoch%s", privacy->rounds_left, privacy->rounds_left == 1 ? "" : "s");
}

/* ---- objects ---- */

static json_t *count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *real_or_null(double value, bool is_known)
{
    return is_known && isfinite(value) ? json_real(value) : json_null();
}

/* A node that is held has not begun to count: what its ledger said when it was read stands in for it. */
static struct sl_privacy_status numbers_of(const struct sl_glance *glance, const struct sl_status *status)
{
    const struct sl_config *config = &glance->setup->config;
    const struct sl_spending *spending = &glance->setup->spending;
    bool has_begun = status->privacy.unit != SL_UNIT_OFF || sl_unit_of(config) == SL_UNIT_OFF;
    if (has_begun) return status->privacy;

    const struct sl_charge charge = sl_charge_of(config, sl_block_size(config->block_size, status->dim));
    const struct sl_limits limits = sl_limits_of(config);
    const bool is_audited = charge.audit_rows > 0;
    return (struct sl_privacy_status){
        .unit = (uint8_t)charge.unit, .adjacency = (uint8_t)charge.adjacency, .epsilon = spending->epsilon, .epsilon_floor = spending->epsilon_floor,
        .eps_max = limits.eps_max, .delta = limits.delta, .floor_max = limits.floor_max, .rounds_charged = spending->n_charges,
        .audit_factor = is_audited ? sl_audit_factor(charge.honest, charge.audit_rows, charge.dim, charge.kappa) : 1, .sigma2 = charge.sigma2};
}

static double percent_of(double spent, double limit)
{
    return limit > 0 ? 100 * spent / limit : 0;
}

json_t *sl_answer_privacy_brief(const struct sl_glance *glance, const struct sl_status *status)
{
    const struct sl_config *config = &glance->setup->config;
    const struct sl_privacy_status numbers = numbers_of(glance, status), *privacy = &numbers;
    bool has_begun = status->privacy.unit != SL_UNIT_OFF;
    char text[TEXT_SIZE];
    if (!sl_is_private(glance->setup)) {
        say_off(config, status->dim, text);
        return json_pack("{s:s,s:s}", "unit", config->privacy_unit, "text", text);
    }
    say_spent(config, privacy, has_begun, text);
    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:b,s:{s:o,s:o,s:o,s:o}}", "unit", config->privacy_unit, "text", text, "adjacency",
                     adjacency_name(privacy->adjacency), "epsilon", real_or_null(privacy->epsilon, true), "epsilon_floor",
                     real_or_null(privacy->epsilon_floor, true), "eps_max", real_or_null(privacy->eps_max, true), "floor_max",
                     real_or_null(privacy->floor_max, privacy->floor_max > 0), "delta", real_or_null(privacy->delta, true), "percent",
                     real_or_null(percent_of(privacy->epsilon, privacy->eps_max), true), "spent", privacy->is_spent, "blocked", privacy->is_blocked, "rounds",
                     "charged", count(privacy->rounds_charged), "released", count(privacy->rounds_released), "wasted", count(privacy->rounds_wasted), "left",
                     has_begun ? count(privacy->rounds_left) : json_null());
}

static json_t *record_settings(const struct sl_config *config)
{
    return json_pack("{s:f,s:i,s:i,s:f,s:f}", "sampling_rate", config->privacy_sampling_rate, "batch", (int)config->privacy_batch, "steps",
                     (int)config->privacy_steps, "clip", config->privacy_clip, "noise", config->privacy_noise);
}

static json_t *node_settings(const struct sl_config *config, const struct sl_privacy_status *privacy)
{
    return json_pack("{s:f,s:f,s:f,s:i,s:i,s:i,s:o}", "clip", config->privacy_node_clip, "noise", config->privacy_node_noise, "own_noise",
                     config->privacy_node_noise / sqrt(config->privacy_honest), "honest", (int)config->privacy_honest, "colluders",
                     (int)config->privacy_colluders, "cohort_min_size", (int)config->privacy_cohort_min_size, "audit_factor",
                     real_or_null(privacy->audit_factor, true));
}

/* Where one person has several records: epsilon grows with their number, delta much faster. */
static json_t *groups(const struct sl_privacy_status *privacy)
{
    static const uint32_t sizes[] = {2, 5, 10};
    json_t *list = json_array();
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double delta = sl_group_delta(privacy->epsilon, privacy->delta, sizes[i]);
        bool is_bound = delta <= delta_useless;
        json_array_append_new(list, json_pack("{s:i,s:o,s:o}", "records", (int)sizes[i], "epsilon", real_or_null(sizes[i] * privacy->epsilon, is_bound),
                                              "delta", real_or_null(delta, is_bound)));
    }
    return list;
}

static void list(json_t *out, const char *text)
{
    json_array_append_new(out, json_string(text));
}

static json_t *not_covered(enum sl_unit unit)
{
    json_t *out = json_array();
    list(out, "the owner of this machine, and whoever breaks into it");
    list(out, "the fact that this node takes part, and when");
    list(out, "sizes and times of messages, and how long it trains");
    list(out, "the same data, or the same person's data, at another node: the epsilons add up, and nobody sees that");
    if (unit == SL_UNIT_RECORD) list(out, "a person with several examples, beyond the numbers for groups; and the node as a whole");
    if (unit == SL_UNIT_NODE) list(out, "the lower epsilon if more members of a cohort collude than assumed: then the higher one holds");
    list(out, "what is public by configuration: columns, classes, scaling, the round number of records");
    list(out, "poisoning: a low epsilon does not keep liars from spoiling the model");
    return out;
}

json_t *sl_answer_privacy(const struct sl_glance *glance, const struct sl_status *status)
{
    const struct sl_config *config = &glance->setup->config;
    const struct sl_privacy_status numbers = numbers_of(glance, status), *privacy = &numbers;
    enum sl_unit unit = sl_unit_of(config);
    char accountant[32];
    json_t *answer = sl_answer_privacy_brief(glance, status);
    json_object_set_new(answer, "protects", json_string(protects(unit)));
    if (unit == SL_UNIT_OFF) return answer;

    snprintf(accountant, sizeof accountant, "RDP, grid %d", SL_GRID_VERSION);
    json_object_set_new(answer, "adjacency_text", json_string(adjacency_words(privacy->adjacency)));
    json_t *dataset = json_string(config->privacy_dataset);
    json_object_set_new(answer, "dataset", dataset ? dataset : json_null());
    json_object_set_new(answer, "records", count(config->privacy_records));
    json_object_set_new(answer, "settings", unit == SL_UNIT_RECORD ? record_settings(config) : node_settings(config, privacy));
    json_object_set_new(answer, "groups", unit == SL_UNIT_RECORD ? groups(privacy) : json_array());
    json_object_set_new(answer, "accountant", json_string(accountant));
    json_object_set_new(answer, "ledger_records", count(privacy->ledger_records));
    json_object_set_new(answer, "reason", privacy->is_blocked && !status->stalled && status->reason[0] ? json_string(status->reason) : json_null());
    json_object_set_new(answer, "not_covered", not_covered(unit));
    return answer;
}
