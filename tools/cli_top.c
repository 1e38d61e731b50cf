/* SPDX-License-Identifier: MIT */
/* starling top: node, epochs and peers on one screen that renews itself. A screen is put together in memory and written at once, so that nothing
 * flickers. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "cli_terminal.h"
#include "cli_values.h"
#include "cli_views.h"
#include "cli_words.h"

enum { EPOCHS_SHOWN = 8, SCREENS_MAX = 1000000, ROWS_UNBOUNDED = 10000 };

static const double every_default_s = 2;

struct top {
    struct cli *cli;
    enum cli_order order;
    bool reversed, batch;
    long n_screens;                      /* 0: until the user ends it */
    double every_s;
};

struct screen {
    FILE *file;
    char *text;
    size_t size;
};

/* ---- what was asked for ---- */

static int parse(int argc, char **argv, struct top *top)
{
    char why[CLI_SENTENCE_SIZE];
    const char *count = NULL, *sort = NULL;
    struct cli_words words;
    const struct cli_flag flags[] = {{"-b", NULL, &top->batch}, {"-n", &count, NULL}, {"--sort", &sort, NULL}, {0}};
    if (!cli_words_sort(argc, argv, flags, 0, &words, why, sizeof why)) return cli_fail(top->cli, CLI_ARGUMENTS, "%s", why);

    char *end = NULL;
    if (count) top->n_screens = strtol(count, &end, 10);
    bool counts = !count || (end != count && *end == 0 && top->n_screens >= 1 && top->n_screens <= SCREENS_MAX);
    if (!counts) return cli_fail(top->cli, CLI_ARGUMENTS, "-n %.40s: must be a number between 1 and %d", count, SCREENS_MAX);

    for (uint32_t i = 0; sort && i < CLI_ORDERS; i++) {
        if (strcmp(sort, cli_order_names[i]) != 0) continue;
        top->order = (enum cli_order)i;
        sort = NULL;
    }
    if (sort) return cli_fail(top->cli, CLI_ARGUMENTS, "--sort %.40s: must be contact, name, sent, received or refused", sort);
    return CLI_OK;
}

/* ---- one screen ---- */

static void say_head(const struct top *top, const json_t *status, FILE *file)
{
    const struct cli *cli = top->cli;
    char a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE], c[CLI_VALUE_SIZE], d[CLI_VALUE_SIZE], e[CLI_VALUE_SIZE];
    char clock[16] = "";
    struct tm calendar;
    const time_t now = time(NULL);
    localtime_r(&now, &calendar);
    strftime(clock, sizeof clock, "%H:%M:%S", &calendar);

    fprintf(file, "starling %s  %s %s  network %s  up %s\n", clock, cli_id(cli, status, "node.id", a),
            cli_at(status, "node.name") ? cli_string(cli, status, "node.name", b) : "",
            cli_string(cli, status, "network.name", c), cli_age(status, "node.uptime_s", d));
    fprintf(file, "epoch %s, %s of %s s;  own %s", cli_count(status, "epoch.number", a), cli_real(status, "epoch.elapsed_s", 0, b),
            cli_plain(cli, status, "network.epoch_length_s", c), cli_string(cli, status, "model.score_name", d));
    double success = cli_number(status, "cohorts.success");
    bool is_hidden = cli_is_true(status, "model.score_hidden");
    fprintf(file, " %s;  cohorts %s", is_hidden ? "hidden: privacy" : cli_real(status, "model.own_score", 3, a), cli_count(status, "cohorts.completed", b));
    if (isfinite(success)) fprintf(file, " (%.0f %%)", 100 * success);
    fprintf(file, ", void %s\npeers %s of %s, %s links;  sent %s,", cli_count(status, "cohorts.void", d), cli_count(status, "peers.live", a),
            cli_count(status, "peers.known", b), cli_count(status, "peers.linked", c), cli_bytes(status, "traffic.bytes_sent", e));
    fprintf(file, " received %s;  CPU %s s, %s\nprivacy %s\n", cli_bytes(status, "traffic.bytes_received", a), cli_real(status, "resources.cpu_s", 1, b),
            cli_bytes(status, "resources.rss_bytes", c), cli_string(cli, status, "privacy.text", d));
}

static void say_table(struct cli_table *table, FILE *file, uint32_t columns, uint32_t rows)
{
    fputc('\n', file);
    cli_table_print(table, file, columns, rows);
    cli_table_finish(table);
}

/* Two lines at least for the peers; what is left of the rows after head, epochs and the line of keys. */
static void say_tables(const struct top *top, const json_t *epochs, const json_t *peers, uint32_t rows, FILE *file)
{
    struct cli_table table;
    uint32_t n_epochs = (uint32_t)json_array_size(json_object_get(epochs, "epochs"));
    if (n_epochs > 0) {
        cli_epochs_table(top->cli, epochs, &table);
        say_table(&table, file, top->cli->columns, UINT32_MAX);
        rows = rows > n_epochs + 2 ? rows - n_epochs - 2 : 0;
    }
    cli_peers_table(top->cli, peers, top->order, top->reversed, &table);
    say_table(&table, file, top->cli->columns, rows > 4 ? rows - 2 : 2);
}

static int put_together(const struct top *top, uint32_t rows, FILE *file)
{
    json_t *status = NULL, *epochs = NULL, *peers = NULL;
    struct cli_trouble trouble;
    uint32_t n_epochs = rows > 20 ? EPOCHS_SHOWN : 3;
    int code = cli_ask(top->cli, "status", NULL, &status, &trouble);
    if (code == CLI_OK) code = cli_ask(top->cli, "epochs", json_pack("{s:i}", "n", (int)n_epochs), &epochs, &trouble);
    if (code == CLI_OK) code = cli_ask(top->cli, "peers", NULL, &peers, &trouble);
    if (code == CLI_OK) {
        uint32_t n_lines = cli_print_banner(top->cli, status, file) + 5;
        say_head(top, status, file);
        say_tables(top, epochs, peers, rows > n_lines ? rows - n_lines : 0, file);
    } else if (top->batch) {
        cli_refuse(top->cli, code, trouble.word, trouble.sentence);
    } else if (strcmp(trouble.word, "interrupted") != 0) {
        fprintf(file, "%s\n", trouble.sentence);
    }
    json_decref(status);
    json_decref(epochs);
    json_decref(peers);
    bool was_interrupted = code == CLI_TIMEOUT && strcmp(trouble.word, "interrupted") == 0;
    return was_interrupted ? CLI_OK : code;
}

static bool screen_open(struct screen *screen)
{
    *screen = (struct screen){0};
    screen->file = open_memstream(&screen->text, &screen->size);
    return screen->file != NULL;
}

/* ---- live ---- */

static void write_all(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDOUT_FILENO, text, size);
        if (n < 0 && errno != EINTR) return;
        if (n > 0) text += n, size -= (size_t)n;
    }
}

/* Line after line over the old screen, each wiped to its end, no line below the last row. */
static void draw(const struct top *top, const char *text, uint32_t rows)
{
    struct screen picture;
    if (!screen_open(&picture)) return;
    fputs("\033[H\033[?7l", picture.file);
    for (uint32_t row = 1; row < rows && *text; row++) {
        size_t length = strcspn(text, "\n");
        fprintf(picture.file, "%.*s\033[K\r\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
    fprintf(picture.file, "\033[J\033[%u;1Hq quit  s sort: %s%s  r reverse  every %.3g s\033[K\033[?7h", rows, cli_order_names[top->order],
            top->reversed ? ", reversed" : "", top->every_s);
    fclose(picture.file);
    write_all(picture.text, picture.size);
    free(picture.text);
}

/* False when the user is done. */
static bool on_key(struct top *top, int key)
{
    if (key == 's') top->order = (top->order + 1) % CLI_ORDERS;
    if (key == 'r') top->reversed = !top->reversed;
    return key != 'q' && key != 'Q' && !cli_terminal_must_end();
}

static int live(struct top *top)
{
    if (!cli_terminal_enter()) return cli_fail(top->cli, CLI_ARGUMENTS, "top needs a terminal; without one use: starling top -b");

    int code = CLI_OK;
    long n_shown = 0;
    bool goes_on = true;
    top->cli->wake = STDIN_FILENO;       /* a key does not wait for a node that hangs */
    while (goes_on) {
        struct screen screen;
        uint32_t rows = cli_terminal_rows();
        top->cli->columns = cli_terminal_columns();
        if (!screen_open(&screen)) break;
        code = put_together(top, rows, screen.file);
        fclose(screen.file);
        if (screen.size > 0) draw(top, screen.text, rows);
        free(screen.text);
        if (code == CLI_ARGUMENTS || ++n_shown == top->n_screens) break;
        goes_on = on_key(top, cli_terminal_key(top->every_s));
        cli_terminal_sleep_if_asked();
    }
    top->cli->wake = -1;
    cli_terminal_leave();
    return code;
}

/* ---- batch ---- */

static int batch(struct top *top)
{
    double whole_s = floor(top->every_s);
    const struct timespec pause = {(time_t)whole_s, (long)((top->every_s - whole_s) * 1e9)};
    long n = top->n_screens > 0 ? top->n_screens : 1;
    int code = CLI_OK;
    top->cli->columns = 0;
    top->cli->color = false;
    for (long i = 0; i < n && code == CLI_OK; i++) {
        if (i > 0) {
            nanosleep(&pause, NULL);
            putchar('\n');
        }
        code = put_together(top, ROWS_UNBOUNDED, stdout);
        if (fflush(stdout) != 0) return CLI_FAILED;
    }
    return code;
}

int cli_top(struct cli *cli, int argc, char **argv)
{
    struct top top = {.cli = cli, .every_s = cli->watch_s > 0 ? cli->watch_s : every_default_s};
    int code = parse(argc, argv, &top);
    if (code != CLI_OK) return code;
    if (cli->json) return cli_fail(cli, CLI_ARGUMENTS, "top is for people; for programs: starling --json status, epochs and peers, with --watch");
    return top.batch ? batch(&top) : live(&top);
}
