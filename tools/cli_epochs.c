/* SPDX-License-Identifier: MIT */
/* starling epochs and starling events: what happened in the node. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "cli_values.h"
#include "cli_views.h"
#include "cli_words.h"

static const double follow_default_s = 0.5;

static const char *const phase_keys[] = {"seconds.form", "seconds.train", "seconds.commit", "seconds.open", "seconds.result", "seconds.pull"};

enum { N_PHASES = sizeof phase_keys / sizeof phase_keys[0], N_PLAIN = 25, NOTE_WIDTH = 48 };

static const struct cli_column epoch_columns[] = {
    {"EPOCH", true, 0}, {"STEPS", true, 5},  {"COHORT", true, 0}, {"PULLED", true, 5}, {"MERGED", true, 0},
    {"SCORE", true, 0}, {"FORM", true, 3},   {"TRAIN", true, 2},  {"COMMIT", true, 3}, {"OPEN", true, 3},
    {"RESULT", true, 2}, {"PULL", true, 2},  {"SENT", true, 1},   {"RECEIVED", true, 1}, {"NOTE", false, 4}};

static const struct cli_column event_columns[] = {{"NUMBER", true, 0}, {"TIME", true, 0}, {"EPOCH", true, 0}, {"TYPE", false, 0},
                                                  {"PEER", false, 0},  {"A", true, 0},    {"B", true, 0},     {"TEXT", false, 0}};

/* A number in 1..max behind a flag, `out` untouched when it was not given. */
static bool take_count(const char *text, long max, long *out)
{
    if (!text) return true;

    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end || value < 1 || value > max) return false;
    *out = value;
    return true;
}

/* ---- epochs ---- */

static void put_plain_epoch(const struct cli *cli, const json_t *epoch, struct cli_table *table)
{
    static const char *const keys[N_PLAIN] = {"epoch", "begin", "steps", "cohort", "aggregate", "void", "pulled", "merged", "merged_members", "own_score",
                                       "seconds.form", "seconds.train", "seconds.commit", "seconds.open", "seconds.result", "seconds.pull",
                                       "bytes_sent", "bytes_received", "cpu_ms", "note",
                                       "seconds.share", "seconds.audit", "seconds.unmask", "proposer", "roster"};
    char cell[CLI_VALUE_SIZE];
    for (uint32_t i = 0; i < N_PLAIN; i++) cli_table_put(table, cli_plain(cli, epoch, keys[i], cell));
}

/* "5", or "4 of 5" where not all came through. */
static const char *members(const json_t *epoch, char cell[CLI_VALUE_SIZE])
{
    char roster[CLI_VALUE_SIZE];
    cli_count(epoch, "cohort", cell);
    size_t length = strlen(cell);
    bool is_less = cli_number(epoch, "cohort") < cli_number(epoch, "roster");
    if (is_less) snprintf(cell + length, CLI_VALUE_SIZE - length, " of %s", cli_count(epoch, "roster", roster));
    return cell;
}

static void put_epoch(const struct cli *cli, const json_t *epoch, struct cli_table *table)
{
    char cell[CLI_VALUE_SIZE];
    cli_table_put(table, cli_count(epoch, "epoch", cell));
    cli_table_put(table, cli_count(epoch, "steps", cell));
    cli_table_put(table, cli_is_true(epoch, "void") ? "void" : members(epoch, cell));
    cli_table_put(table, cli_count(epoch, "pulled", cell));
    cli_table_put(table, cli_count(epoch, "merged", cell));
    cli_table_put(table, cli_real(epoch, "own_score", 3, cell));
    for (uint32_t i = 0; i < N_PHASES; i++) cli_table_put(table, cli_real(epoch, phase_keys[i], 1, cell));
    cli_table_put(table, cli_bytes(epoch, "bytes_sent", cell));
    cli_table_put(table, cli_bytes(epoch, "bytes_received", cell));
    cli_string(cli, epoch, "note", cell);
    if (cli->columns > 0) cli_shorten(cell, NOTE_WIDTH);
    cli_table_put(table, strcmp(cell, "-") == 0 ? "" : cell);
}

static void put_plain_event(const struct cli *cli, const json_t *event, struct cli_table *table)
{
    static const char *const keys[] = {"sequence", "time", "epoch", "type", "peer", "a", "b", "text"};
    char cell[CLI_VALUE_SIZE];
    for (uint32_t i = 0; i < sizeof keys / sizeof keys[0]; i++) cli_table_put(table, cli_plain(cli, event, keys[i], cell));
}

void cli_epochs_table(const struct cli *cli, const json_t *data, struct cli_table *out)
{
    json_t *epoch;
    size_t i;
    *out = (struct cli_table){.columns = epoch_columns, .n_columns = sizeof epoch_columns / sizeof epoch_columns[0]};
    if (cli->dump) out->n_columns = N_PLAIN;
    json_array_foreach(json_object_get(data, "epochs"), i, epoch)
    {
        if (cli->dump) put_plain_epoch(cli, epoch, out);
        else put_epoch(cli, epoch, out);
    }
}

/* ---- one epoch ---- */

static void say_cohort(const struct cli *cli, const json_t *epoch)
{
    char cell[CLI_VALUE_SIZE], roster[CLI_VALUE_SIZE];
    json_t *loss;
    size_t i;
    if (!cli_at(epoch, "proposer")) {
        puts("cohort        none");
        return;
    }
    printf("proposed by   %s%s\n", cli_id(cli, epoch, "proposer", cell), cli_is_true(epoch, "initiator") ? ", this node" : "");
    printf("members       %s at the beginning", cli_count(epoch, "roster", roster));
    if (cli_is_true(epoch, "aggregate")) printf(", %s in the sum\n", cli_count(epoch, "cohort", cell));
    else puts(cli_is_true(epoch, "void") ? ", and no sum: it was void" : ", and no sum");
    json_array_foreach(json_object_get(epoch, "lost"), i, loss)
        printf("%s%s\n", i == 0 ? "lost          " : "              ", cli_string(cli, loss, "text", cell));
}

static void say_epoch(const struct cli *cli, const json_t *epoch)
{
    static const char *const phases[] = {"form", "train", "share", "commit", "open", "audit", "unmask", "result", "pull"};
    char cell[CLI_VALUE_SIZE], path[CLI_VALUE_SIZE];
    printf("epoch         %s\n", cli_count(epoch, "epoch", cell));
    printf("steps         %s\n", cli_count(epoch, "steps", cell));
    say_cohort(cli, epoch);
    printf("ends          ");
    for (uint32_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        snprintf(path, sizeof path, "seconds.%s", phases[i]);
        printf("%s%s %s", i == 0 ? "" : ", ", phases[i], cli_real(epoch, path, 2, cell));
    }
    printf("\npulled        %s\n", cli_count(epoch, "pulled", cell));
    printf("merged        %s\n", cli_count(epoch, "merged", cell));
    if (cli_at(epoch, "epsilon"))
        printf("privacy       epsilon %s spent up to its end; `starling privacy` says of what\n", cli_real(epoch, "epsilon", 4, cell));
    printf("note          %s\n", cli_string(cli, epoch, "note", cell));
}

/* The one with this number among those the node remembers. */
static int one_epoch(struct cli *cli, const char *number)
{
    json_t *data, *epoch;
    size_t i;
    char cell[CLI_VALUE_SIZE];
    int code = cli_ask_or_fail(cli, "epochs", json_pack("{s:i}", "n", 256), &data);
    if (code != CLI_OK) return code;

    json_t *found = NULL;
    json_array_foreach(json_object_get(data, "epochs"), i, epoch) if (strcmp(cli_count(epoch, "epoch", cell), number) == 0) found = json_incref(epoch);
    json_decref(data);
    if (!found) return cli_fail(cli, CLI_ARGUMENTS, "epoch %.40s: the node remembers no such epoch; `starling epochs` lists those it does", number);
    if (cli->json) return cli_answer(cli, found);
    if (cli->dump) cli_dump_object(cli, found);
    else say_epoch(cli, found);
    json_decref(found);
    return CLI_OK;
}

int cli_epochs(struct cli *cli, int argc, char **argv)
{
    char why[CLI_SENTENCE_SIZE];
    const char *count = NULL;
    long n = 20;
    struct cli_words words;
    const struct cli_flag flags[] = {{"-n", &count, NULL}, {0}};
    json_t *data;
    if (!cli_words_sort(argc, argv, flags, 1, &words, why, sizeof why)) return cli_fail(cli, CLI_ARGUMENTS, "%s", why);
    if (!take_count(count, 256, &n)) return cli_fail(cli, CLI_ARGUMENTS, "-n %.40s: must be a number between 1 and 256", count);
    if (words.n_plain > 0) return one_epoch(cli, words.plain[0]);

    int code = cli_ask_or_fail(cli, "epochs", json_pack("{s:i}", "n", (int)n), &data);
    if (code != CLI_OK) return code;
    if (cli->json) return cli_answer(cli, data);

    struct cli_table table;
    cli_epochs_table(cli, data, &table);
    if (cli->dump) cli_table_dump(&table, stdout);
    else if (table.n_cells == 0) puts("no epoch has ended yet in which this node could take part");
    else cli_table_print(&table, stdout, cli->columns, UINT32_MAX);
    cli_table_finish(&table);
    json_decref(data);
    return CLI_OK;
}

/* ---- events ---- */

static void say_event(const struct cli *cli, const json_t *event)
{
    char clock[32] = "-", text[CLI_VALUE_SIZE], epoch[CLI_VALUE_SIZE];
    struct tm calendar;
    double time_s = cli_number(event, "time");
    if (isfinite(time_s) && time_s >= 0 && time_s < 253402300799.0) {
        const time_t whole_s = (time_t)time_s;
        localtime_r(&whole_s, &calendar);
        size_t length = strftime(clock, sizeof clock, "%H:%M:%S", &calendar);
        snprintf(clock + length, sizeof clock - length, ".%03d", (int)((time_s - floor(time_s)) * 1000));
    }
    printf("%s  %s  %s\n", clock, cli_count(event, "epoch", epoch), cli_string(cli, event, "text", text));
}

static void say_json_line(const json_t *event)
{
    char *text = json_dumps(event, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(16));
    if (text) puts(text);
    free(text);
}

static void say_events(const struct cli *cli, const json_t *data)
{
    struct cli_table table = {.columns = event_columns, .n_columns = sizeof event_columns / sizeof event_columns[0]};
    json_t *event;
    size_t i;
    double n_lost = cli_number(data, "lost");
    if (n_lost > 0) fprintf(stderr, "starling: %.0f events were not seen: the node keeps only the newest\n", n_lost);
    json_array_foreach(json_object_get(data, "events"), i, event)
    {
        if (cli->json) say_json_line(event);
        else if (cli->dump) put_plain_event(cli, event, &table);
        else say_event(cli, event);
    }
    cli_table_dump(&table, stdout);
    cli_table_finish(&table);
}

/* Asks for what came after the last answer until the node is gone or the output is closed. */
static int follow(const struct cli *cli, json_int_t next)
{
    double every_s = cli->watch_s > 0 ? cli->watch_s : follow_default_s, whole_s = floor(every_s);
    const struct timespec pause = {(time_t)whole_s, (long)((every_s - whole_s) * 1e9)};
    while (fflush(stdout) == 0) {
        json_t *data;
        nanosleep(&pause, NULL);
        int code = cli_ask_or_fail(cli, "events", json_pack("{s:I, s:i}", "after", next, "n", 512), &data);
        if (code != CLI_OK) return code;

        const json_t *moved = json_object_get(data, "next");
        if (json_is_integer(moved)) next = json_integer_value(moved);
        say_events(cli, data);
        json_decref(data);
    }
    return CLI_FAILED;
}

int cli_events(struct cli *cli, int argc, char **argv)
{
    char why[CLI_SENTENCE_SIZE];
    const char *count = NULL;
    long n = 100;
    bool follows = false;
    struct cli_words words;
    const struct cli_flag flags[] = {{"-n", &count, NULL}, {"-f", NULL, &follows}, {0}};
    json_t *data;
    if (!cli_words_sort(argc, argv, flags, 0, &words, why, sizeof why)) return cli_fail(cli, CLI_ARGUMENTS, "%s", why);
    if (!take_count(count, 512, &n)) return cli_fail(cli, CLI_ARGUMENTS, "-n %.40s: must be a number between 1 and 512", count);

    follows = follows || cli->watch_s > 0;
    int code = cli_ask_or_fail(cli, "events", json_pack("{s:i}", "n", (int)n), &data);
    if (code != CLI_OK) return code;
    if (cli->json && !follows) return cli_answer(cli, data);

    json_int_t next = json_integer_value(json_object_get(data, "next"));
    say_events(cli, data);
    json_decref(data);
    return follows ? follow(cli, next) : CLI_OK;
}
