/* SPDX-License-Identifier: MIT */
/* starling: the command line beside a node. Options that every command takes are sorted out here; the rest is the command's. */
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "cli_terminal.h"

void openblas_set_num_threads(int n_threads);        /* <cblas.h> is for the models alone */

static const double watch_default_s = 2, seconds_max = 86400;

struct words {
    struct cli *cli;
    int n;
    char **kept;                         /* what is left for the command */
    bool wants_help, wants_version;
    const char *wrong;                   /* a sentence, or NULL */
};

static bool parse_seconds(const char *text, double *out)
{
    char *end;
    double value = strtod(text, &end);
    bool is_number = end != text && *end == 0 && strspn(text, "0123456789.") == strlen(text);
    if (!is_number || !(value >= 0.1 && value <= seconds_max)) return false;
    *out = value;
    return true;
}

/* The value of the option at *at, from behind its "=" or from the next word. */
static const char *value_of(int argc, char **argv, int *at)
{
    const char *equals = argv[*at][1] == '-' ? strchr(argv[*at], '=') : NULL;
    if (equals) return equals + 1;
    return *at + 1 < argc ? argv[++*at] : NULL;
}

static bool is_option(const char *word, const char *name)
{
    size_t length = strlen(name);
    return strncmp(word, name, length) == 0 && (word[length] == 0 || word[length] == '=');
}

/* The seconds may be missing: a next word that is no number belongs to the command. */
static void take_watch(struct words *words, int argc, char **argv, int *at)
{
    const char *equals = strchr(argv[*at], '=');
    words->cli->watch_s = watch_default_s;
    if (equals && !parse_seconds(equals + 1, &words->cli->watch_s)) words->wrong = "--watch wants seconds between 0.1 and 86400, like --watch=5";
    if (!equals && *at + 1 < argc && parse_seconds(argv[*at + 1], &words->cli->watch_s)) ++*at;
}

static void take_timeout(struct words *words, int argc, char **argv, int *at)
{
    double seconds;
    const char *value = value_of(argc, argv, at);
    if (value && parse_seconds(value, &seconds)) words->cli->timeout_ms = (uint32_t)lround(seconds * 1000);
    else words->wrong = "--timeout wants seconds between 0.1 and 86400, like --timeout 20";
}

static void take_directory(struct words *words, int argc, char **argv, int *at)
{
    words->cli->directory = value_of(argc, argv, at);
    if (!words->cli->directory || !words->cli->directory[0]) words->wrong = "-d wants the directory of a node, like -d ~/n1";
}

/* Options of all commands may stand anywhere before a "--". */
static void sort_words(struct words *words, int argc, char **argv)
{
    struct cli *cli = words->cli;
    bool ended = false;
    for (int i = 1; i < argc && !words->wrong; i++) {
        const char *word = argv[i];
        ended = ended || strcmp(word, "--") == 0;
        if (ended) words->kept[words->n++] = argv[i];
        else if (strcmp(word, "-d") == 0 || is_option(word, "--directory")) take_directory(words, argc, argv, &i);
        else if (strcmp(word, "--json") == 0) cli->json = true;
        else if (strcmp(word, "--dump") == 0) cli->dump = true;
        else if (strcmp(word, "--full-ids") == 0) cli->full_ids = true;
        else if (is_option(word, "--watch")) take_watch(words, argc, argv, &i);
        else if (is_option(word, "--timeout")) take_timeout(words, argc, argv, &i);
        else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) words->wants_help = true;
        else if (strcmp(word, "--version") == 0) words->wants_version = true;
        else words->kept[words->n++] = argv[i];
    }
    words->kept[words->n] = NULL;
}

/* -d, else STARLING_DIR, else the working directory where it is a node's. */
static void find_directory(struct cli *cli)
{
    struct stat file;
    if (!cli->directory) cli->directory = getenv("STARLING_DIR");
    if (cli->directory && !cli->directory[0]) cli->directory = NULL;
    if (!cli->directory && (stat("control.sock", &file) == 0 || stat("node.conf", &file) == 0)) cli->directory = ".";
}

/* Shows a view again and again; a node that is gone for a while is waited for. */
static int watch(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    bool on_screen = isatty(STDOUT_FILENO) && !cli->json && !cli->dump;
    double whole_s = floor(cli->watch_s);
    const struct timespec pause = {(time_t)whole_s, (long)((cli->watch_s - whole_s) * 1e9)};
    for (;;) {
        if (on_screen) fputs("\033[H\033[J", stdout);
        cli->columns = cli_terminal_columns();
        int code = command->run(cli, argc, argv);
        if (code == CLI_ARGUMENTS || code == CLI_INTERNAL) return code;
        if (fflush(stdout) != 0) return CLI_FAILED;
        nanosleep(&pause, NULL);
        if (!on_screen && !cli->json) putchar('\n');
    }
}

static int run(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    if (cli->watch_s > 0 && command->kind != CLI_VIEW)
        return cli_fail(cli, CLI_ARGUMENTS, "--watch is for what shows the node, and `%s` is not", command->name);
    if (cli->dump && command->run == cli_top)
        return cli_fail(cli, CLI_ARGUMENTS, "--dump is not possible with `top`, which is for people; for programs: starling --dump status, epochs and peers");
    if (cli->dump && !command->has_dump) return cli_fail(cli, CLI_ARGUMENTS, "--dump is not possible with `%s`; --json is", command->name);
    if (cli->dump && cli->json) return cli_fail(cli, CLI_ARGUMENTS, "--dump and --json exclude each other");

    bool watches_itself = command->run == cli_top || command->run == cli_events;
    return cli->watch_s > 0 && !watches_itself ? watch(cli, command, argc, argv) : command->run(cli, argc, argv);
}

static int no_such_command(const struct cli *cli, const char *word)
{
    if (cli_is_group(word)) {
        if (!cli->json) cli_help_group(stderr, word);
        return cli_fail(cli, CLI_ARGUMENTS, "`%s` needs one of these words behind it; `starling %s --help` lists them", word, word);
    }
    return cli_fail(cli, CLI_ARGUMENTS, "there is no command '%.40s'; `starling help` lists them", word);
}

static int dispatch(struct cli *cli, const struct words *words)
{
    const struct cli_command *command = cli_find(words->n, words->kept);
    if (words->wrong) return cli_fail(cli, CLI_ARGUMENTS, "%s", words->wrong);
    if (words->wants_version) return cli_version(cli, words->n, words->kept);
    if (words->wants_help && command) return cli_help_command(stdout, command), CLI_OK;
    if (words->wants_help && words->n > 0 && cli_is_group(words->kept[0])) return cli_help_group(stdout, words->kept[0]), CLI_OK;
    if (words->wants_help && words->n == 0) return cli_help_all(stdout), CLI_OK;
    if (words->n == 0 && cli->json) return cli_fail(cli, CLI_ARGUMENTS, "a command is needed; `starling help` lists them");
    if (words->n == 0) return cli_help_all(stderr), CLI_ARGUMENTS;
    return command ? run(cli, command, words->n, words->kept) : no_such_command(cli, words->kept[0]);
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0) {
        fputs("starling: libsodium does not start on this machine\n", stderr);
        return CLI_INTERNAL;
    }
    openblas_set_num_threads(1);
    setlocale(LC_CTYPE, "");

    char sentence[CLI_LINE_SIZE];
    const char *no_color = getenv("NO_COLOR");
    struct cli cli = {.timeout_ms = CLI_TIMEOUT_MS, .wake = -1, .sentence = sentence,
                       .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0, .columns = cli_terminal_columns()};
    struct words words = {.cli = &cli, .kept = calloc((size_t)argc + 1, sizeof *words.kept)};
    if (!words.kept) return cli_fail(&cli, CLI_INTERNAL, "not enough memory");

    sort_words(&words, argc, argv);
    find_directory(&cli);
    cli.color = cli_terminal_has_color() && !(no_color && no_color[0]);
    int code = dispatch(&cli, &words);
    free(words.kept);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == CLI_OK) code = cli_fail(&cli, CLI_FAILED, "the output cannot be written");
    return code;
}
