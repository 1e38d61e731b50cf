/* SPDX-License-Identifier: MIT */
/* The text of a scrape (OpenMetrics 1.0): base units, _total on counters, labels of a bounded number of peers. */
#include <inttypes.h>
#include <math.h>
#include <sodium.h>
#include <string.h>

#include "runtime/metrics.h"
#include "runtime/resources.h"

enum { PEERS_LABELLED = 64, LABEL_SIZE = 512 };

/* One metric without labels. */
enum type { COUNTER, GAUGE };

static void put_head(FILE *file, const char *name, enum type type, const char *unit, const char *help)
{
    fprintf(file, "# TYPE %s %s\n", name, type == COUNTER ? "counter" : "gauge");
    if (unit) fprintf(file, "# UNIT %s %s\n", name, unit);
    fprintf(file, "# HELP %s %s\n", name, help);
}

static void put_sample(FILE *file, const char *name, enum type type, const char *labels, double value)
{
    fprintf(file, "%s%s%s %.15g\n", name, type == COUNTER ? "_total" : "", labels, value);
}

static void put(FILE *file, const char *name, enum type type, const char *unit, const char *help, double value)
{
    put_head(file, name, type, unit, help);
    put_sample(file, name, type, "", value);
}

/* Names are chosen by people and peers: what would end a label or a line is escaped, control characters and what is no ASCII become a question mark. */
static void clean(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text && n + 2 < size; text++) {
        if (*text == '"' || *text == '\\') out[n++] = '\\';
        out[n++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
    }
    out[n] = 0;
}

static void put_node(FILE *file, const struct sl_glance *glance)
{
    const struct sl_config *config = &glance->setup->config;
    char id[65], network[65], name[2 * SL_TEXT_MAX], network_name[2 * SL_TEXT_MAX], model[2 * SL_TEXT_MAX];
    sodium_bin2hex(id, sizeof id, glance->setup->identity.id, 32);
    sodium_bin2hex(network, sizeof network, config->network_id, 32);
    clean(config->name, name, sizeof name);
    clean(config->network_name, network_name, sizeof network_name);
    clean(config->model, model, sizeof model);
    fprintf(file, "# TYPE starling_node info\n# HELP starling_node Which node this is.\n");
    fprintf(file, "starling_node_info{id=\"%s\",name=\"%s\",network=\"%s\",network_name=\"%s\",model=\"%s\",version=\"%s\"} 1\n", id, name, network,
            network_name, model, STARLING_VERSION);
}

static void put_health(FILE *file, const struct sl_glance *glance, const struct sl_status *status)
{
    struct sl_health health;
    sl_health_of(glance, status, &health);
    put(file, "starling_healthy", GAUGE, NULL, "1 when the node can make progress, as far as it knows.", health.healthy);
    put(file, "starling_stalled", GAUGE, NULL, "1 when nothing was merged for several epochs.", health.trouble == SL_TROUBLE_STALLED);
    put(file, "starling_disk_failing", GAUGE, NULL, "1 when the last state or address book could not be stored.",
        glance->state_failing || glance->book_failing);
    put(file, "starling_warnings", GAUGE, NULL, "Warnings that the command health would show.", health.n_warnings);
    if (status->clock_peers > 0)
        put(file, "starling_clock_offset_seconds", GAUGE, "seconds",
            "How far the clock is ahead of the peers', when that is too far.", (double)status->clock_off_s);
    if (glance->setup->certificate_expires_s < INT64_MAX)
        put(file, "starling_certificate_expires_timestamp_seconds", GAUGE, "seconds", "Until when this node is a member, unix time.",
            (double)glance->setup->certificate_expires_s);
}

static void put_epochs(FILE *file, const struct sl_glance *glance, const struct sl_status *status)
{
    put(file, "starling_epoch", GAUGE, NULL, "Number of the epoch under way.", (double)status->epoch);
    put(file, "starling_epoch_length_seconds", GAUGE, "seconds", "Length of an epoch.", (double)glance->setup->config.epoch_us / 1e6);
    put(file, "starling_epochs_seen", COUNTER, NULL, "Epochs in which this node could have acted.", (double)status->epochs_seen);
    put(file, "starling_epochs_trained", COUNTER, NULL, "Epochs in which it trained.", (double)status->epochs_trained);
    put(file, "starling_epochs_with_aggregate", COUNTER, NULL, "Epochs in which its own cohort made an aggregate.", (double)status->epochs_with_aggregate);
    put(file, "starling_epochs_merged", COUNTER, NULL, "Epochs in which it merged aggregates into its model.", (double)status->epochs_merged);
    put(file, "starling_cohorts_void", COUNTER, NULL, "Cohorts with a roster that made no aggregate.", (double)status->cohorts_void);
    put(file, "starling_aggregates_pulled", COUNTER, NULL, "Aggregates of other cohorts fetched.", (double)status->aggregates_pulled);
    if (status->last_merge_epoch > 0)
        put(file, "starling_last_merge_timestamp_seconds", GAUGE, "seconds", "Beginning of the last epoch that was merged, unix time.",
            (double)status->last_merge_epoch * (double)glance->setup->config.epoch_us / 1e6);
    put(file, "starling_sharing_radius", GAUGE, NULL, "Norm to which differences are clipped before they are shared.", status->sharing_radius);
}

/* Numbers of the ledger: they may be known to anybody. */
static void put_privacy(FILE *file, const struct sl_glance *glance, const struct sl_status *status)
{
    const struct sl_privacy_status *privacy = &status->privacy;
    put_head(file, "starling_privacy_unit", GAUGE, NULL, "What is protected: off (nothing), record (one example) or node (all that the node has).");
    char labels[64];
    snprintf(labels, sizeof labels, "{unit=\"%.16s\"}", glance->setup->config.privacy_unit);
    put_sample(file, "starling_privacy_unit", GAUGE, labels, 1);
    if (!sl_is_private(glance->setup)) return;

    put(file, "starling_privacy_epsilon", GAUGE, NULL, "Epsilon spent, at starling_privacy_delta.", privacy->epsilon);
    put(file, "starling_privacy_epsilon_floor", GAUGE, NULL, "Epsilon spent if all other nodes pooled what they know.", privacy->epsilon_floor);
    put(file, "starling_privacy_epsilon_limit", GAUGE, NULL, "Epsilon at which the node stops learning from its data.", privacy->eps_max);
    put(file, "starling_privacy_delta", GAUGE, NULL, "Delta at which epsilon holds.", privacy->delta);
    put(file, "starling_privacy_spent", GAUGE, NULL, "1 when no further round fits: the node merges, and learns no more.", privacy->is_spent);
    put(file, "starling_privacy_blocked", GAUGE, NULL, "1 when the ledger cannot be trusted or written: no round until that is mended.", privacy->is_blocked);
    put(file, "starling_privacy_rounds_left", GAUGE, NULL, "Rounds that the budget still allows at the current settings.", (double)privacy->rounds_left);
    put(file, "starling_privacy_rounds_charged", COUNTER, NULL, "Charged uses of the data, ever.", (double)privacy->rounds_charged);
    put(file, "starling_privacy_rounds_released", COUNTER, NULL, "Charged uses whose result was released, ever.", (double)privacy->rounds_released);
    put(file, "starling_privacy_rounds_wasted", COUNTER, NULL, "Charged uses since the start that no aggregate came of.", (double)privacy->rounds_wasted);
}

/* It says something about private rows: it stays on the machine. */
static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]:", 6) == 0;
}

static void put_score(FILE *file, const struct sl_glance *glance, const struct sl_status *status)
{
    double score;
    if (!is_loopback(glance->setup->config.metrics)) return;
    if (!sl_own_score(glance->setup, &status->last_job.own, &score) || !isfinite(score)) return;

    char labels[64];
    put_head(file, "starling_own_score", GAUGE, NULL, "Score of the model on rows that this node keeps back and never trains on.");
    snprintf(labels, sizeof labels, "{score=\"%s\"}", sl_score_name(glance->setup));
    put_sample(file, "starling_own_score", GAUGE, labels, score);
}

/* Of the last epoch that is over. */
static void put_phases(FILE *file, const struct sl_journal *journal)
{
    uint32_t n = sl_journal_epochs(journal);
    if (n == 0) return;

    const struct sl_epoch_record *record = sl_journal_epoch(journal, n - 1);
    put_head(file, "starling_epoch_phase_seconds", GAUGE, "seconds", "From the beginning of the last complete epoch to the end of each phase it reached.");
    for (uint32_t i = 0; i < SL_PHASES; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "{phase=\"%s\"}", sl_phase_name(i));
        if (record->phase_us[i] != SL_NEVER) put_sample(file, "starling_epoch_phase_seconds", GAUGE, labels, (double)record->phase_us[i] / 1e6);
    }
    put(file, "starling_epoch_cpu_seconds", GAUGE, "seconds", "Processor time of the last complete epoch.", (double)record->cpu_us / 1e6);
}

/* Whom the own cohorts lost: the silent by step, the others by what was wrong. */
static void put_losses(FILE *file, const struct sl_journal *journal)
{
    static const char *const steps[] = {[1] = "shares", [3] = "commit", [5] = "open", [7] = "audit", [9] = "confirm", [10] = "unmask", [11] = "result"};
    static const struct { enum sl_trace_type how; const char *name; } ways[] = {
        {SL_TRACE_REFUSED, "refused"}, {SL_TRACE_BAD_SHARE, "bad_share"}, {SL_TRACE_DISPUTED, "disputed"}, {SL_TRACE_BAD_AUDIT, "bad_audit"},
        {SL_TRACE_TOO_LARGE, "too_large"}, {SL_TRACE_CONTRADICTION, "contradiction"}, {SL_TRACE_BAD_SECRET, "bad_secret"}, {SL_TRACE_BAD_RESULT, "bad_result"}};
    char labels[64];
    put_head(file, "starling_members_dropped", COUNTER, NULL, "Members of own cohorts that fell silent, by the step at which they were left out.");
    for (uint32_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (!steps[i]) continue;
        snprintf(labels, sizeof labels, "{step=\"%s\"}", steps[i]);
        put_sample(file, "starling_members_dropped", COUNTER, labels, (double)journal->drops[i]);
    }
    put_head(file, "starling_members_excluded", COUNTER, NULL, "Members of own cohorts that were left out for another cause than silence.");
    for (uint32_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        snprintf(labels, sizeof labels, "{cause=\"%s\"}", ways[i].name);
        put_sample(file, "starling_members_excluded", COUNTER, labels, (double)journal->losses[ways[i].how]);
    }
    put(file, "starling_evidence_made", COUNTER, NULL, "Proofs of a broken rule that this node made.", (double)journal->losses[SL_TRACE_ACCUSED]);
}

static void put_directions(FILE *file, const char *name, const char *unit, const char *help, uint64_t sent, uint64_t received)
{
    put_head(file, name, COUNTER, unit, help);
    put_sample(file, name, COUNTER, "{direction=\"sent\"}", (double)sent);
    put_sample(file, name, COUNTER, "{direction=\"received\"}", (double)received);
}

static void put_traffic(FILE *file, const struct sl_glance *glance, const struct sl_status *status)
{
    put_directions(file, "starling_messages", NULL, "Protocol messages.", status->messages_sent, status->messages_received);
    put_directions(file, "starling_traffic_bytes", "bytes", "Bytes of protocol messages.", status->bytes_sent, status->bytes_received);
    put(file, "starling_messages_refused", COUNTER, NULL, "Messages that were malformed, unsigned, over budget or out of place.",
        (double)status->messages_refused);
    put(file, "starling_messages_dropped", COUNTER, NULL, "Messages that found a full queue.", (double)glance->sends_dropped);
    put(file, "starling_connections_accepted", COUNTER, NULL, "Connections that others made.", (double)glance->guard.accepted);
    put_head(file, "starling_connections_cut", COUNTER, NULL, "Connections that the guard ended, by cause.");
    for (uint32_t cut = SL_CUT_NONE + 1; cut < SL_CUT_COUNT; cut++) {
        char labels[64];
        snprintf(labels, sizeof labels, "{cause=\"%s\"}", sl_cut_name(cut));
        put_sample(file, "starling_connections_cut", COUNTER, labels, (double)glance->guard.cut[cut]);
    }
    put(file, "starling_signature_checks", COUNTER, NULL, "Signatures checked.", (double)status->signature_checks);
    put(file, "starling_signatures_made", COUNTER, NULL, "Signatures made.", (double)status->signatures_made);
}

static void put_overlay(FILE *file, const struct sl_status *status)
{
    put(file, "starling_peers_known", GAUGE, NULL, "Peers in the view.", status->peers_known);
    put(file, "starling_peers_live", GAUGE, NULL, "Peers that can be reached.", status->peers_live);
    put(file, "starling_peers_banned_by_proof", COUNTER, NULL, "Peers that this node banned because they were proven to have broken the protocol.",
        (double)status->banned_by_proof);
    put(file, "starling_peers_banned", GAUGE, NULL, "Peers that are banned.", status->peers_banned);
    put_head(file, "starling_links", GAUGE, NULL, "Open connections by who dialled.");
    put_sample(file, "starling_links", GAUGE, "{direction=\"out\"}", status->links_outbound);
    put_sample(file, "starling_links", GAUGE, "{direction=\"in\"}", status->links_inbound);
    put_head(file, "starling_book_addresses", GAUGE, NULL, "Addresses in the address book.");
    put_sample(file, "starling_book_addresses", GAUGE, "{table=\"new\"}", status->book_new);
    put_sample(file, "starling_book_addresses", GAUGE, "{table=\"tried\"}", status->book_tried);
}

/* The value of one peer's sample; false: this peer has none. */
static bool rtt_of(const struct sl_peer_status *peer, double *out)
{
    *out = (double)peer->rtt_us / 1e6;
    return peer->rtt_us > 0;
}

static bool linked_of(const struct sl_peer_status *peer, double *out)
{
    *out = peer->state == SL_PEER_LINKED;
    return true;
}

static bool sent_of(const struct sl_peer_status *peer, double *out)
{
    *out = (double)peer->bytes_sent;
    return true;
}

static bool received_of(const struct sl_peer_status *peer, double *out)
{
    *out = (double)peer->bytes_received;
    return true;
}

static void put_peer_samples(FILE *file, const struct sl_glance *glance, uint32_t n, const char *name, enum type type, const char *more,
                             bool (*value_of)(const struct sl_peer_status *peer, double *out))
{
    for (uint32_t i = 0; i < n; i++) {
        struct sl_peer_status peer;
        char short_id[SL_SHORT_ID_SIZE], labels[LABEL_SIZE];
        double value;
        sl_node_peer(glance->node, i, &peer);
        sl_short_id(peer.id, short_id);
        snprintf(labels, sizeof labels, "{peer=\"%s\"%s}", short_id, more);
        if (value_of(&peer, &value)) put_sample(file, name, type, labels, value);
    }
}

static void put_peers(FILE *file, const struct sl_glance *glance, const struct sl_status *status)
{
    uint32_t n = status->peers_known < PEERS_LABELLED ? status->peers_known : PEERS_LABELLED;
    put_head(file, "starling_peer_linked", GAUGE, NULL, "1 when there is a connection to the peer; of the first 64 peers only, as all that has its label.");
    put_peer_samples(file, glance, n, "starling_peer_linked", GAUGE, "", linked_of);
    put_head(file, "starling_peer_rtt_seconds", GAUGE, "seconds", "Smoothed round-trip time.");
    put_peer_samples(file, glance, n, "starling_peer_rtt_seconds", GAUGE, "", rtt_of);
    put_head(file, "starling_peer_traffic_bytes", COUNTER, "bytes", "Bytes of protocol messages with this peer.");
    put_peer_samples(file, glance, n, "starling_peer_traffic_bytes", COUNTER, ",direction=\"sent\"", sent_of);
    put_peer_samples(file, glance, n, "starling_peer_traffic_bytes", COUNTER, ",direction=\"received\"", received_of);
}

static void put_process(FILE *file, const struct sl_glance *glance)
{
    struct sl_resources resources;
    sl_resources_read(&resources);
    put(file, "process_cpu_seconds", COUNTER, "seconds", "Processor time of the process.", (double)resources.cpu_us / 1e6);
    put(file, "process_start_time_seconds", GAUGE, "seconds", "When the node started, unix time.", (double)glance->start_us / 1e6);
    if (resources.has_memory) put(file, "process_resident_memory_bytes", GAUGE, "bytes", "Memory in use.", (double)resources.rss_bytes);
    if (resources.has_files) put(file, "process_open_fds", GAUGE, NULL, "Open file descriptors.", (double)resources.open_files);
    put(file, "process_max_fds", GAUGE, NULL, "File descriptors it may have.", (double)resources.files_max);
}

void sl_metrics_write(FILE *file, const struct sl_glance *glance)
{
    struct sl_status status;
    sl_node_status(glance->node, &status);
    put_node(file, glance);
    put_health(file, glance, &status);
    put_epochs(file, glance, &status);
    put_privacy(file, glance, &status);
    put_score(file, glance, &status);
    put_phases(file, glance->journal);
    put_losses(file, glance->journal);
    put_traffic(file, glance, &status);
    put_overlay(file, &status);
    put_peers(file, glance, &status);
    put_process(file, glance);
    fprintf(file, "# EOF\n");
}
