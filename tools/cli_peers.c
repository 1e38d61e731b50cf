/* SPDX-License-Identifier: MIT */
/* starling peers: whom the node knows, and what it knows of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "cli_values.h"
#include "cli_views.h"
#include "cli_words.h"

enum { NAME_WIDTH = 20 };

static const struct cli_column columns[] = {
    {"PEER", false, 0},   {"NAME", false, 2},  {"ADDRESS", false, 4}, {"DIR", false, 3},        {"STATE", false, 0}, {"AGE", true, 0},
    {"RTT", true, 6},     {"EPOCH", true, 5},  {"REPUTATION", true, 9}, {"TX", true, 1},        {"RX", true, 1},     {"REJECTED", true, 7}};

const char *const cli_order_names[CLI_ORDERS] = {"contact", "name", "sent", "received", "refused"};

/* ---- order ---- */

/* What the peers are sorted by: smaller comes first. */
struct place {
    const json_t *peer;
    double number;
    const char *text, *id;
};

static int compare(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    if (a->number != b->number) return a->number < b->number ? -1 : 1;
    int order = strcmp(a->text, b->text);
    return order != 0 ? order : strcmp(a->id, b->id);
}

static const char *text_at(const json_t *peer, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(peer, key));
    return text ? text : otherwise;
}

/* Never heard of comes last, no name after all names. */
static struct place place_of(const json_t *peer, enum cli_order order)
{
    static const char *const keys[CLI_ORDERS] = {"heard_ago_s", NULL, "bytes_sent", "bytes_received", "refused"};
    struct place place = {.peer = peer, .text = "", .id = text_at(peer, "id", "")};
    if (order == CLI_BY_NAME) {
        place.text = text_at(peer, "name", "\xff");
        return place;
    }
    double number = cli_number(peer, keys[order]);
    bool most_first = order != CLI_BY_CONTACT;
    place.number = !isfinite(number) ? (double)INFINITY : most_first ? -number : number;
    return place;
}

static struct place *sorted(const json_t *peers, enum cli_order order)
{
    size_t n = json_array_size(peers);
    struct place *places = calloc(n ? n : 1, sizeof *places);
    if (!places) return NULL;

    for (size_t i = 0; i < n; i++) places[i] = place_of(json_array_get(peers, i), order);
    qsort(places, n, sizeof *places, compare);
    return places;
}

/* ---- the table ---- */

static void put_plain(const struct cli *cli, const json_t *peer, struct cli_table *table)
{
    static const char *const keys[] = {"id", "name", "address", "direction", "state", "heard_ago_s", "rtt_ms", "epoch", "reputation", "bytes_sent",
                                       "bytes_received", "refused"};
    char cell[CLI_VALUE_SIZE];
    for (uint32_t i = 0; i < sizeof keys / sizeof keys[0]; i++) cli_table_put(table, cli_plain(cli, peer, keys[i], cell));
}

static void put_rtt(const json_t *peer, struct cli_table *table)
{
    char cell[CLI_VALUE_SIZE];
    double rtt_ms = cli_number(peer, "rtt_ms");
    if (isfinite(rtt_ms)) snprintf(cell, sizeof cell, rtt_ms < 10 ? "%.1f ms" : "%.0f ms", rtt_ms);
    else snprintf(cell, sizeof cell, "-");
    cli_table_put(table, cell);
}

/* A name that somebody else chose must not push the other columns away; --dump and --json say it whole. */
static void put_name(const struct cli *cli, const json_t *peer, struct cli_table *table)
{
    char cell[CLI_VALUE_SIZE];
    cli_string(cli, peer, "name", cell);
    cli_shorten(cell, NAME_WIDTH);
    cli_table_put(table, cell);
}

static void put_peer(const struct cli *cli, const json_t *peer, struct cli_table *table)
{
    char cell[CLI_VALUE_SIZE];
    cli_table_put(table, cli_id(cli, peer, "id", cell));
    put_name(cli, peer, table);
    cli_table_put(table, cli_string(cli, peer, "address", cell));
    cli_table_put(table, cli_string(cli, peer, "direction", cell));
    cli_table_put(table, cli_string(cli, peer, "state", cell));
    cli_table_put(table, cli_age(peer, "heard_ago_s", cell));
    put_rtt(peer, table);
    cli_table_put(table, cli_count(peer, "epoch", cell));
    cli_table_put(table, cli_real(peer, "reputation", 2, cell));
    cli_table_put(table, cli_bytes(peer, "bytes_sent", cell));
    cli_table_put(table, cli_bytes(peer, "bytes_received", cell));
    cli_table_put(table, cli_count(peer, "refused", cell));
}

void cli_peers_table(const struct cli *cli, const json_t *data, enum cli_order order, bool reversed, struct cli_table *out)
{
    const json_t *peers = json_object_get(data, "peers");
    size_t n = json_array_size(peers);
    struct place *places = sorted(peers, order);
    *out = (struct cli_table){.columns = columns, .n_columns = sizeof columns / sizeof columns[0], .failed = places == NULL};
    for (size_t i = 0; places && i < n; i++) {
        const json_t *peer = places[reversed ? n - 1 - i : i].peer;
        if (cli->dump) put_plain(cli, peer, out);
        else put_peer(cli, peer, out);
    }
    free(places);
}

/* ---- one peer ---- */

static void say_types(const json_t *peer, const struct cli *cli)
{
    static const struct cli_column type_columns[] = {{"  MESSAGE", false, 0}, {"SENT", true, 0}, {"RECEIVED", true, 0}};
    struct cli_table table = {.columns = type_columns, .n_columns = 3};
    json_t *type;
    size_t i;
    json_array_foreach(json_object_get(peer, "types"), i, type)
    {
        char cell[CLI_VALUE_SIZE], indented[CLI_VALUE_SIZE + 2];
        snprintf(indented, sizeof indented, "  %s", cli_string(cli, type, "type", cell));
        cli_table_put(&table, indented);
        cli_table_put(&table, cli_bytes(type, "bytes_sent", cell));
        cli_table_put(&table, cli_bytes(type, "bytes_received", cell));
    }
    if (table.n_cells > 0) {
        puts("\non the link that is up now");
        cli_table_print(&table, stdout, 0, UINT32_MAX);
    }
    cli_table_finish(&table);
}

static void say_expiry(const json_t *peer)
{
    char text[64];
    struct tm calendar;
    double expires_s = cli_number(peer, "expires");
    if (!isfinite(expires_s) || expires_s > 253402300799.0) {
        puts("member until  not known, or without end");
        return;
    }
    const time_t then = (time_t)expires_s;
    gmtime_r(&then, &calendar);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &calendar);
    printf("member until  %s\n", text);
}

static void say_link(const struct cli *cli, const json_t *peer)
{
    char a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE], c[CLI_VALUE_SIZE];
    printf("state         %s", cli_string(cli, peer, "state", a));
    const char *direction = text_at(peer, "direction", "");
    if (direction[0]) printf(", dialled by %s, for %s", strcmp(direction, "out") == 0 ? "this node" : "the peer", cli_age(peer, "linked_s", b));
    puts("");
    bool was_heard = cli_at(peer, "heard_ago_s") != NULL;
    printf("last heard    %s%s\n", was_heard ? cli_age(peer, "heard_ago_s", a) : "never", was_heard ? " ago" : "");
    bool has_rtt = cli_at(peer, "rtt_ms") != NULL;
    printf("round trip    %s%s\n", cli_real(peer, "rtt_ms", 1, b), has_rtt ? " ms" : "");
    printf("epoch         %s\n", cli_count(peer, "epoch", c));
}

static void say_peer(const struct cli *cli, const json_t *peer)
{
    char a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE], c[CLI_VALUE_SIZE];
    const struct cli whole = {.full_ids = true};
    printf("peer          %s\n", cli_id(&whole, peer, "id", a));
    printf("name          %s\n", cli_string(cli, peer, "name", a));
    printf("address       %s\n", cli_string(cli, peer, "address", a));
    say_expiry(peer);
    puts("");
    say_link(cli, peer);
    puts("");
    printf("traffic       sent %s, received %s, %s messages refused\n", cli_bytes(peer, "bytes_sent", a), cli_bytes(peer, "bytes_received", b),
           cli_count(peer, "refused", c));
    printf("reputation    %s\n", cli_real(peer, "reputation", 2, a));
    say_types(peer, cli);
}

/* ---- the command ---- */

static void show(const struct cli *cli, const json_t *data, bool is_one)
{
    if (is_one && cli->dump) {
        cli_dump_object(cli, json_array_get(json_object_get(data, "peers"), 0));
        return;
    }
    if (is_one) {
        say_peer(cli, json_array_get(json_object_get(data, "peers"), 0));
        return;
    }
    struct cli_table table;
    cli_peers_table(cli, data, CLI_BY_CONTACT, false, &table);
    if (cli->dump) cli_table_dump(&table, stdout);
    else if (table.n_cells == 0) puts("this node knows no peers yet");
    else cli_table_print(&table, stdout, cli->columns, UINT32_MAX);
    cli_table_finish(&table);
}

int cli_peers(struct cli *cli, int argc, char **argv)
{
    char why[CLI_SENTENCE_SIZE];
    struct cli_words words;
    const struct cli_flag flags[] = {{0}};
    json_t *data;
    if (!cli_words_sort(argc, argv, flags, 1, &words, why, sizeof why)) return cli_fail(cli, CLI_ARGUMENTS, "%s", why);

    bool is_one = words.n_plain == 1;
    int code = cli_ask_or_fail(cli, "peers", is_one ? json_pack("{s:s}", "peer", words.plain[0]) : NULL, &data);
    if (code != CLI_OK) return code;
    if (cli->json) return cli_answer(cli, data);

    show(cli, data, is_one);
    json_decref(data);
    return CLI_OK;
}
