/* SPDX-License-Identifier: MIT */
/* starling status and starling health: the node as a whole. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cli_values.h"
#include "cli_views.h"

static const char red[] = "\033[1;31m", yellow[] = "\033[33m", normal[] = "\033[0m";

static void print_colored(const struct cli *cli, FILE *file, const char *color, const char *label, const char *text)
{
    fprintf(file, "%s%s%s%s\n", cli->color ? color : "", label, text, cli->color ? normal : "");
}

uint32_t cli_print_banner(const struct cli *cli, const json_t *status, FILE *file)
{
    char reason[CLI_VALUE_SIZE];
    bool has_reason = cli_at(status, "health.reason") != NULL, healthy = cli_is_true(status, "health.healthy");
    cli_string(cli, status, "health.reason", reason);
    if (!healthy) print_colored(cli, file, red, "NOT HEALTHY: ", has_reason ? reason : "the node gives no reason");
    else if (has_reason) print_colored(cli, file, yellow, "", reason);
    return healthy && !has_reason ? 0 : 1;
}

/* Every line of the screen: a label, then a sentence. */
static void label(const char *name)
{
    printf("%-10s", name);
}

static void say_node(const struct cli *cli, const json_t *status)
{
    char name[CLI_VALUE_SIZE], id[CLI_VALUE_SIZE], a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE], c[CLI_VALUE_SIZE];
    label("node");
    cli_id(cli, status, "node.id", id);
    if (cli_at(status, "node.name")) printf("%s  %s\n", id, cli_string(cli, status, "node.name", name));
    else printf("%s\n", id);

    label("");
    printf("up %s, process %s, version %s, in %s\n", cli_age(status, "node.uptime_s", a), cli_count(status, "node.pid", b),
           cli_string(cli, status, "node.version", c), cli_string(cli, status, "node.directory", name));
    label("address");
    bool has_address = cli_at(status, "node.address") != NULL;
    cli_string(cli, status, "node.listen", b);
    if (!has_address) printf("none, others cannot dial it; listens at %s\n", b);
    else if (strcmp(cli_string(cli, status, "node.address", a), b) == 0) printf("%s\n", a);
    else printf("%s, listens at %s\n", a, b);
    label("network");
    printf("%s  %s, admission: %s, an epoch lasts %s s\n", cli_id(cli, status, "network.id", id), cli_string(cli, status, "network.name", name),
           cli_string(cli, status, "network.admission", a), cli_plain(cli, status, "network.epoch_length_s", b));
}

static void say_learning(const struct cli *cli, const json_t *status)
{
    char a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE], c[CLI_VALUE_SIZE], d[CLI_VALUE_SIZE];
    label("epoch");
    printf("%s, %s of %s s gone\n", cli_count(status, "epoch.number", a), cli_real(status, "epoch.elapsed_s", 0, b),
           cli_plain(cli, status, "network.epoch_length_s", c));
    label("learning");
    double seen = cli_number(status, "epoch.seen");          /* those that are over; the one under way may be trained already */
    bool is_ahead = cli_number(status, "epoch.trained") > seen;
    if (is_ahead) printf("%.0f epochs seen with this one", seen + 1);
    else printf("%s epochs seen", cli_count(status, "epoch.seen", a));
    printf(", %s trained, %s with its own cohort, %s merged\n", cli_count(status, "epoch.trained", b), cli_count(status, "epoch.with_aggregate", c),
           cli_count(status, "epoch.merged", d));

    label("cohorts");
    double success = cli_number(status, "cohorts.success");
    printf("%s completed, %s void", cli_count(status, "cohorts.completed", a), cli_count(status, "cohorts.void", b));
    if (isfinite(success)) printf(": %.0f %% of the epochs", 100 * success);
    puts("");

    label("model");
    printf("%s, %s parameters, %s features, learns from %s%s rows\n", cli_string(cli, status, "model.spec", a), cli_count(status, "model.parameters", b),
           cli_count(status, "model.features", c), cli_at(status, "privacy.epsilon") ? "about " : "", cli_count(status, "model.rows", d));
    label("");
    if (isfinite(cli_number(status, "model.own_score")))
        printf("own %s %s on rows kept back; last merge in epoch %s\n", cli_string(cli, status, "model.score_name", a),
               cli_real(status, "model.own_score", 3, b), cli_count(status, "epoch.last_merge", c));
    else if (cli_is_true(status, "model.score_hidden"))
        printf("own %s hidden: privacy; last merge in epoch %s\n", cli_string(cli, status, "model.score_name", a), cli_count(status, "epoch.last_merge", c));
    else printf("not scored yet; last merge in epoch %s\n", cli_count(status, "epoch.last_merge", c));
}

static void say_surroundings(const struct cli *cli, const json_t *status)
{
    char a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE], c[CLI_VALUE_SIZE], d[CLI_VALUE_SIZE];
    label("peers");
    printf("%s reachable of %s known, %s banned; %s\n", cli_count(status, "peers.live", a), cli_count(status, "peers.known", b),
           cli_count(status, "peers.banned", c), cli_is_true(status, "peers.view_covers") ? "sees the whole network" : "sees a part of the network");
    label("");
    printf("%s links (%s out, %s in)", cli_count(status, "peers.linked", a), cli_count(status, "peers.outbound", b),
           cli_count(status, "peers.inbound", c));
    printf("; address book: %s proven, %s heard of\n", cli_count(status, "peers.book_tried", a), cli_count(status, "peers.book_new", b));
    label("privacy");
    printf("%s\n", cli_string(cli, status, "privacy.text", a));
    label("traffic");
    printf("sent %s in %s messages, received %s in %s\n", cli_bytes(status, "traffic.bytes_sent", a), cli_count(status, "traffic.messages_sent", b),
           cli_bytes(status, "traffic.bytes_received", c), cli_count(status, "traffic.messages_received", d));
    label("");
    printf("%s messages refused, %s not sent for want of room\n", cli_count(status, "traffic.refused", a), cli_count(status, "traffic.dropped", b));
    label("machine");
    printf("%s s of CPU, memory %s (peak %s), %s open files\n", cli_real(status, "resources.cpu_s", 1, a), cli_bytes(status, "resources.rss_bytes", b),
           cli_bytes(status, "resources.rss_max_bytes", c), cli_count(status, "resources.open_files", d));
    label("");
    printf("signatures: %s made, %s checked\n", cli_count(status, "resources.signatures_made", a), cli_count(status, "resources.signature_checks", b));
}

static void say_warnings(const struct cli *cli, const json_t *warnings)
{
    json_t *warning;
    size_t i;
    json_array_foreach(warnings, i, warning)
    {
        char text[CLI_VALUE_SIZE];
        cli_clean(json_string_value(warning) ? json_string_value(warning) : "-", cli->utf8, text, sizeof text);
        label(i == 0 ? "warnings" : "");
        print_colored(cli, stdout, yellow, "", text);
    }
}

int cli_status(struct cli *cli, int argc, char **argv)
{
    json_t *data;
    if (argc != 1) return cli_fail(cli, CLI_ARGUMENTS, "status takes no words: '%.40s' is one too many", argv[1]);

    int code = cli_ask_or_fail(cli, "status", NULL, &data);
    if (code != CLI_OK) return code;
    if (cli->json) return cli_answer(cli, data);
    if (cli->dump) {
        cli_dump_object(cli, data);
    } else {
        if (cli_print_banner(cli, data, stdout) > 0) puts("");
        say_node(cli, data);
        say_learning(cli, data);
        say_surroundings(cli, data);
        say_warnings(cli, cli_at(data, "health.warnings"));
    }
    json_decref(data);
    return CLI_OK;
}

int cli_health(struct cli *cli, int argc, char **argv)
{
    json_t *data;
    char reason[CLI_VALUE_SIZE];
    if (argc != 1) return cli_fail(cli, CLI_ARGUMENTS, "health takes no words: '%.40s' is one too many", argv[1]);

    int code = cli_ask_or_fail(cli, "health", NULL, &data);
    if (code != CLI_OK) return code;

    bool healthy = cli_is_true(data, "healthy"), has_reason = cli_at(data, "reason") != NULL;
    if (cli->json) {
        code = cli_answer(cli, json_incref(data));
    } else if (cli->dump) {
        cli_dump_object(cli, data);
    } else {
        printf("%s%s%s\n", healthy ? "healthy" : "not healthy", has_reason ? ": " : "", has_reason ? cli_string(cli, data, "reason", reason) : "");
        say_warnings(cli, cli_at(data, "warnings"));
    }
    json_decref(data);
    return code == CLI_OK && !healthy ? CLI_UNHEALTHY : code;
}
