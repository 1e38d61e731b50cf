/* SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700                /* realpath() */
#include "runtime/answer.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/limits.h"
#include "config/options.h"
#include "config/plan.h"
#include "runtime/answer_privacy.h"
#include "runtime/control.h"
#include "runtime/files.h"
#include "runtime/resources.h"
#include "starling/trace.h"
#include "wire/envelope.h"

enum { ID_SIZE = 65, EPOCHS_DEFAULT = 20, EVENTS_DEFAULT = 100, EVENTS_MAX = 512, LINE_SIZE = 512 };

/* ---- values ---- */

/* Text that others chose may be no UTF-8; what is printable ASCII of it then stays. */
static json_t *text_or_remains(const char *text)
{
    json_t *value = json_string(text);
    if (value) return value;

    char remains[SL_PATH_SIZE];
    size_t n = 0;
    for (; text[n] && n + 1 < sizeof remains; n++) remains[n] = text[n] >= 0x20 && text[n] < 0x7f ? text[n] : '?';
    remains[n] = 0;
    return json_string(remains);
}

static json_t *text_or_null(const char *text)
{
    return text[0] ? text_or_remains(text) : json_null();
}

static json_t *count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *count_or_null(uint64_t value, bool known)
{
    return known ? count(value) : json_null();
}

static json_t *real_or_null(double value, bool known)
{
    return known && isfinite(value) ? json_real(value) : json_null();
}

static json_t *seconds(uint64_t us)
{
    return json_real((double)us / 1e6);
}

static json_t *id_text(const uint8_t id[32])
{
    char text[ID_SIZE];
    sodium_bin2hex(text, sizeof text, id, 32);
    return json_string(text);
}

static json_t *id_or_null(const uint8_t id[32])
{
    return sl_hash_is_zero(id) ? json_null() : id_text(id);
}

/* Seconds since a moment, null if it never was. */
static json_t *age(const struct sl_glance *glance, uint64_t when_us)
{
    if (when_us == 0) return json_null();
    return seconds(glance->now_us > when_us ? glance->now_us - when_us : 0);
}

/* A whole number among the arguments, or its default; false when it is something else or out of its range. */
static bool take_number(const json_t *arguments, const char *key, json_int_t initial, json_int_t min, json_int_t max, json_int_t *out)
{
    const json_t *value = json_object_get(arguments, key);
    if (value && !json_is_integer(value)) return false;

    *out = value ? json_integer_value(value) : initial;
    return *out >= min && *out <= max;
}

/* ---- peers ---- */

static bool is_hex(const char *text)
{
    size_t length = strlen(text);
    return length >= 1 && length <= ID_SIZE - 1 && strspn(text, "0123456789abcdefABCDEF") == length;
}

/* `prefix` in lower case. */
static bool has_prefix(const uint8_t id[32], const char *prefix)
{
    char text[ID_SIZE];
    sodium_bin2hex(text, sizeof text, id, 32);
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

json_t *sl_answer_find_peer(const struct sl_glance *glance, const json_t *arguments, uint8_t out[32])
{
    const char *wanted = json_string_value(json_object_get(arguments, "peer"));
    if (!wanted || !is_hex(wanted)) return sl_control_error("bad_request", "\"peer\" must be the first hex digits of a peer's id, or all 64");

    char prefix[ID_SIZE] = "";
    uint32_t n_found = 0;
    struct sl_status status;
    sl_node_status(glance->node, &status);
    for (size_t i = 0; wanted[i]; i++) prefix[i] = wanted[i] >= 'A' && wanted[i] <= 'F' ? (char)(wanted[i] - 'A' + 'a') : wanted[i];
    for (uint32_t i = 0; i < status.peers_known; i++) {
        struct sl_peer_status peer;
        sl_node_peer(glance->node, i, &peer);
        if (!has_prefix(peer.id, prefix)) continue;
        memcpy(out, peer.id, 32);
        n_found++;
    }
    if (n_found == 1) return NULL;
    if (n_found > 1) return sl_control_error("ambiguous", "more than one peer has an id that begins so; give more digits");
    if (strlen(prefix) < ID_SIZE - 1)
        return sl_control_error("not_found", "no peer that this node knows has an id that begins so; `starling peers` lists them");

    sodium_hex2bin(out, 32, prefix, ID_SIZE - 1, NULL, NULL, NULL);
    return NULL;
}

json_t *sl_answer_peer_id(const uint8_t id[32])
{
    return json_pack("{s:o}", "peer", id_text(id));
}

static json_t *types_of(const struct sl_peer_status *peer)
{
    json_t *types = json_array();
    for (uint32_t i = 0; i < SL_PEER_TYPES_MAX; i++) {
        const char *name = sl_message_name(i);
        if (!name || (peer->type_bytes_sent[i] == 0 && peer->type_bytes_received[i] == 0)) continue;
        json_array_append_new(types, json_pack("{s:s,s:o,s:o}", "type", name, "bytes_sent", count(peer->type_bytes_sent[i]), "bytes_received",
                                               count(peer->type_bytes_received[i])));
    }
    return types;
}

static json_t *peer_object(const struct sl_glance *glance, const struct sl_peer_status *peer)
{
    bool linked = peer->state == SL_PEER_LINKED;
    return json_pack("{s:o,s:o,s:o,s:o,s:s,s:o,s:o,s:o,s:o,s:n,s:o,s:o,s:o,s:o}", "id", id_text(peer->id), "name", text_or_null(peer->name), "address",
                     text_or_null(peer->address), "direction", linked ? json_string(peer->outbound ? "out" : "in") : json_null(), "state",
                     sl_peer_state_name(peer->state), "heard_ago_s", age(glance, peer->heard_us), "linked_s", age(glance, peer->linked_us), "rtt_ms",
                     real_or_null((double)peer->rtt_us / 1e3, peer->rtt_us > 0), "epoch", count_or_null(peer->epoch, peer->epoch > 0), "reputation",
                     "bytes_sent", count(peer->bytes_sent), "bytes_received", count(peer->bytes_received), "refused", count(peer->refused), "expires",
                     count_or_null(peer->expires_s, peer->expires_s > 0 && peer->expires_s < INT64_MAX));
}

static json_t *peers(const struct sl_glance *glance, const json_t *arguments)
{
    uint8_t wanted[32];
    bool only_one = json_object_get(arguments, "peer") != NULL;
    json_t *wrong = only_one ? sl_answer_find_peer(glance, arguments, wanted) : NULL;
    if (wrong) return wrong;

    struct sl_status status;
    json_t *list = json_array();
    sl_node_status(glance->node, &status);
    for (uint32_t i = 0; i < status.peers_known; i++) {
        struct sl_peer_status peer;
        sl_node_peer(glance->node, i, &peer);
        if (only_one && !sl_hash_equal(peer.id, wanted)) continue;

        json_t *object = peer_object(glance, &peer);
        if (only_one) json_object_set_new(object, "types", types_of(&peer));
        json_array_append_new(list, object);
    }
    if (only_one && json_array_size(list) == 0) {
        json_decref(list);
        return sl_control_error("not_found", "this node does not know that peer; `starling peers` lists whom it knows");
    }
    return sl_control_ok(json_pack("{s:o}", "peers", list));
}

/* ---- the past ---- */

static json_t *phases(const struct sl_epoch_record *record)
{
    json_t *times = json_object();
    for (uint32_t i = 0; i < SL_PHASES; i++)
        json_object_set_new(times, sl_phase_name(i), record->phase_us[i] == SL_NEVER ? json_null() : seconds(record->phase_us[i]));
    return times;
}

/* Whom the cohort lost, and how, in the words of the events. */
static json_t *losses(const struct sl_epoch_record *record)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < record->n_losses; i++) {
        const struct sl_loss *loss = &record->losses[i];
        struct sl_trace_event event = {.type = loss->how, .epoch = record->epoch, .a = loss->number};
        char text[LINE_SIZE];
        memcpy(event.peer, loss->peer, 32);
        sl_journal_text(&event, text, sizeof text);
        json_array_append_new(list, json_pack("{s:o,s:s,s:s}", "peer", id_or_null(loss->peer), "how", sl_trace_name(loss->how), "text", text));
    }
    return list;
}

static json_t *epoch_object(const struct sl_glance *glance, const struct sl_epoch_record *record)
{
    double own = 0;
    bool has_own = sl_own_score_for_owner(glance->setup, &record->own, &own);
    return json_pack("{s:o,s:o,s:o,s:o,s:b,s:b,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "epoch", count(record->epoch),
                     "begin", seconds(record->begin_us), "steps", count_or_null((uint64_t)record->n_steps, record->trained), "cohort",
                     count_or_null((uint64_t)record->n_members, record->in_cohort || record->has_aggregate), "initiator", record->is_initiator, "aggregate",
                     record->has_aggregate, "void", record->is_void, "pulled", count((uint64_t)record->n_pulled), "merged", count((uint64_t)record->n_merged),
                     "merged_members", count((uint64_t)record->n_merged_members), "own_score", real_or_null(own, has_own), "epsilon",
                     real_or_null(record->epsilon, sl_is_private(glance->setup)), "bytes_sent", count(record->bytes_sent), "bytes_received",
                     count(record->bytes_received), "cpu_ms", real_or_null((double)record->cpu_us / 1e3, true),
                     "seconds", phases(record), "note", text_or_remains(record->note), "proposer", id_or_null(record->initiator), "roster",
                     count_or_null((uint64_t)record->n_roster, record->in_cohort), "lost", losses(record));
}

static json_t *epochs(const struct sl_glance *glance, const json_t *arguments)
{
    json_int_t n;
    if (!take_number(arguments, "n", EPOCHS_DEFAULT, 1, SL_JOURNAL_EPOCHS, &n)) return sl_control_error("bad_request", "\"n\" must be a number, 1 to 256");

    json_t *list = json_array();
    uint32_t n_kept = sl_journal_epochs(glance->journal);
    for (uint32_t i = n_kept > n ? n_kept - (uint32_t)n : 0; i < n_kept; i++)
        json_array_append_new(list, epoch_object(glance, sl_journal_epoch(glance->journal, i)));
    return sl_control_ok(json_pack("{s:o}", "epochs", list));
}

static json_t *event_object(uint64_t sequence, const struct sl_trace_event *event)
{
    char text[LINE_SIZE];
    sl_journal_text(event, text, sizeof text);
    return json_pack("{s:o,s:o,s:o,s:s,s:o,s:I,s:I,s:s}", "sequence", count(sequence), "time", seconds(event->now_us), "epoch", count(event->epoch), "type",
                     sl_trace_name(event->type), "peer", id_or_null(event->peer), "a", (json_int_t)event->a, "b", (json_int_t)event->b, "text", text);
}

static json_t *events(const struct sl_glance *glance, const json_t *arguments)
{
    const struct sl_journal *journal = glance->journal;
    json_int_t n, after;
    if (!take_number(arguments, "n", EVENTS_DEFAULT, 1, EVENTS_MAX, &n)) return sl_control_error("bad_request", "\"n\" must be a number, 1 to 512");
    if (!take_number(arguments, "after", 0, 0, INT64_MAX, &after))
        return sl_control_error("bad_request", "\"after\" must be the sequence number of an event, or 0 for all that are kept");

    bool wants_newest = json_object_get(arguments, "after") == NULL;
    uint64_t first = sl_journal_first(journal), last = journal->n_events;
    uint64_t from = wants_newest ? (last > (uint64_t)n ? last - (uint64_t)n + 1 : 1) : (uint64_t)after + 1;
    uint64_t n_lost = from < first ? first - from : 0;
    if (from < first) from = first;

    json_t *list = json_array();
    uint64_t next = wants_newest ? last : (uint64_t)after < last ? from - 1 : last;
    for (uint64_t i = from; i <= last && i < from + (uint64_t)n; i++) {
        json_array_append_new(list, event_object(i, sl_journal_event(journal, i)));
        next = i;
    }
    return sl_control_ok(json_pack("{s:o,s:o,s:o}", "events", list, "next", count(next), "lost", count(wants_newest ? 0 : n_lost)));
}

/* ---- the present ---- */

static json_t *health_object(const struct sl_glance *glance, const struct sl_status *status)
{
    struct sl_health health;
    json_t *warnings = json_array();
    sl_health_of(glance, status, &health);
    for (uint32_t i = 0; i < health.n_warnings; i++) json_array_append_new(warnings, text_or_remains(health.warnings[i]));
    return json_pack("{s:b,s:o,s:o}", "healthy", health.healthy, "reason", text_or_null(health.reason), "warnings", warnings);
}

static json_t *model_object(const struct sl_glance *glance, const struct sl_status *status)
{
    const struct sl_setup *setup = glance->setup;
    const struct sl_shape *shape = &setup->config.shape;
    bool classify = setup->model->task == SL_TASK_CLASSIFY;
    double own = 0;
    bool has_own = sl_own_score_for_owner(setup, &status->last_job.own, &own);
    return json_pack("{s:o,s:s,s:i,s:i,s:i,s:o,s:s,s:o}", "spec", text_or_remains(setup->config.model), "task", classify ? "classify" : "regress", "parameters",
                     (int)status->dim, "features", (int)shape->n_features, "outputs", (int)shape->n_outputs, "epoch",
                     count_or_null(status->last_merge_epoch, status->last_merge_epoch > 0), "score_name", sl_score_name(setup), "own_score",
                     real_or_null(own, has_own));
}

static json_t *model_with_rows(const struct sl_glance *glance, const struct sl_status *status)
{
    json_t *model = model_object(glance, status);
    bool is_asked_for = sl_shows_own_accuracy(&glance->setup->config);
    json_object_set_new(model, "score_hidden", json_boolean(sl_is_private(glance->setup) && !is_asked_for));
    json_object_set_new(model, "rows", count(sl_rows_told(glance->setup, &status->last_job)));
    return model;
}

/* In full, so that who asks from elsewhere finds it. */
static json_t *directory_text(const char *folder)
{
    char *full = realpath(folder, NULL);
    json_t *text = text_or_remains(full ? full : folder);
    free(full);
    return text;
}

static json_t *node_object(const struct sl_glance *glance)
{
    const struct sl_setup *setup = glance->setup;
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:s,s:i,s:o}", "id", id_text(setup->identity.id), "name", text_or_null(setup->config.name), "address",
                     text_or_null(setup->identity.address), "listen", text_or_null(setup->config.listen), "directory", directory_text(setup->folder),
                     "version", STARLING_VERSION, "pid", (int)getpid(), "uptime_s", seconds(glance->now_us - glance->start_us));
}

static json_t *network_object(const struct sl_glance *glance)
{
    const struct sl_config *config = &glance->setup->config;
    return json_pack("{s:o,s:o,s:o,s:o}", "id", id_text(config->network_id), "name", text_or_null(config->network_name), "admission",
                     text_or_null(config->admission), "epoch_length_s", seconds(config->epoch_us));
}

static json_t *epoch_numbers(const struct sl_glance *glance, const struct sl_status *status)
{
    uint64_t epoch_us = glance->setup->config.epoch_us, number = glance->held ? glance->now_us / epoch_us : status->epoch;
    uint64_t begin_us = number * epoch_us;
    bool has_first = status->first_epoch > 0 && status->first_epoch < INT64_MAX;         /* a node that left has none */
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "number", count(number), "elapsed_s",
                     seconds(glance->now_us > begin_us ? glance->now_us - begin_us : 0), "first", count_or_null(status->first_epoch, has_first),
                     "seen", count(status->epochs_seen), "trained", count(status->epochs_trained), "with_aggregate", count(status->epochs_with_aggregate),
                     "merged", count(status->epochs_merged), "last_merge", count_or_null(status->last_merge_epoch, status->last_merge_epoch > 0));
}

static json_t *cohorts_object(const struct sl_status *status)
{
    uint64_t n_done = status->epochs_with_aggregate, n_epochs = status->epochs_seen, n_known = n_done + status->cohorts_void;
    if (n_epochs < n_known) n_epochs = n_known;         /* the cohort of the epoch under way is over before the epoch is seen to its end */
    return json_pack("{s:o,s:o,s:o}", "completed", count(status->epochs_with_aggregate), "void", count(status->cohorts_void), "success",
                     real_or_null(n_epochs > 0 ? (double)n_done / (double)n_epochs : 0, n_epochs > 0));
}

static json_t *peers_object(const struct sl_status *status)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:b,s:i,s:i}", "known", (int)status->peers_known, "live", (int)status->peers_live, "banned",
                     (int)status->peers_banned, "linked", (int)status->links_up, "outbound", (int)status->links_outbound, "inbound", (int)status->links_inbound,
                     "view_covers", status->view_covers, "book_new", (int)status->book_new, "book_tried", (int)status->book_tried);
}

static json_t *traffic_object(const struct sl_glance *glance, const struct sl_status *status)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "messages_sent", count(status->messages_sent), "messages_received", count(status->messages_received),
                     "bytes_sent", count(status->bytes_sent), "bytes_received", count(status->bytes_received), "refused", count(status->messages_refused),
                     "dropped", count(glance->sends_dropped));
}

static json_t *resources_object(const struct sl_status *status)
{
    struct sl_resources resources;
    sl_resources_read(&resources);
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "cpu_s", seconds(resources.cpu_us), "rss_bytes", count_or_null(resources.rss_bytes, resources.has_memory),
                     "rss_max_bytes", count(resources.rss_max_bytes), "open_files", count_or_null(resources.open_files, resources.has_files),
                     "signature_checks", count(status->signature_checks), "signatures_made", count(status->signatures_made));
}

static json_t *status_object(const struct sl_glance *glance, const struct sl_status *status)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "node", node_object(glance), "network", network_object(glance), "health",
                     health_object(glance, status), "epoch", epoch_numbers(glance, status), "model", model_with_rows(glance, status), "cohorts",
                     cohorts_object(status), "peers", peers_object(status), "privacy", sl_answer_privacy_brief(glance, status), "traffic",
                     traffic_object(glance, status), "resources", resources_object(status));
}

static json_t *config_object(const struct sl_glance *glance)
{
    json_t *options = json_array();
    for (uint32_t i = 0; i < sl_config_count(); i++) {
        const struct sl_option *option = sl_config_option(i);
        char value[SL_TEXT_MAX];
        sl_config_get(&glance->setup->config, option->key, value, sizeof value);
        json_array_append_new(options, json_pack("{s:s,s:o,s:s,s:s}", "key", option->key, "value", text_or_remains(value), "default", option->initial, "scope",
                                                 option->scope == SL_SCOPE_NETWORK ? "network" : "node"));
    }
    return json_pack("{s:o}", "options", options);
}

json_t *sl_answer(const struct sl_glance *glance, const char *command, const json_t *arguments)
{
    struct sl_status status;
    sl_node_status(glance->node, &status);
    if (strcmp(command, "status") == 0) return sl_control_ok(status_object(glance, &status));
    if (strcmp(command, "health") == 0) return sl_control_ok(health_object(glance, &status));
    if (strcmp(command, "privacy") == 0) return sl_control_ok(sl_answer_privacy(glance, &status));
    if (strcmp(command, "model") == 0) return sl_control_ok(model_object(glance, &status));
    if (strcmp(command, "config") == 0) return sl_control_ok(config_object(glance));
    if (strcmp(command, "peers") == 0) return peers(glance, arguments);
    if (strcmp(command, "epochs") == 0) return epochs(glance, arguments);
    if (strcmp(command, "events") == 0) return events(glance, arguments);
    return NULL;
}
