/* SPDX-License-Identifier: MIT */
#ifndef CLI_H
#define CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * The `starling` command: what its commands share. A command is a function and an entry of one table (cli_commands.c); help, man pages and completion are
 * made from that table.
 */

enum cli_code { CLI_OK = 0, CLI_FAILED = 1, CLI_UNREACHABLE = 2, CLI_TIMEOUT = 3, CLI_ARGUMENTS = 4, CLI_INTERNAL = 5, CLI_UNHEALTHY = 6, CLI_CODES };

enum { CLI_TIMEOUT_MS = 5000, CLI_SENTENCE_SIZE = 1024, CLI_LINE_SIZE = 12288 };

/* What was asked for by options that every command takes. */
struct cli {
    const char *directory;               /* of the node; NULL when none was named and the working directory is none */
    bool json, dump, full_ids;
    bool color;                          /* of a terminal that wants it */
    bool utf8;                           /* what is shown may hold more than ASCII */
    double watch_s;                      /* 0: once */
    uint32_t timeout_ms;
    uint32_t columns;                    /* of the terminal; 0: not known, as wide as it gets */
    char *sentence;                      /* CLI_LINE_SIZE bytes to put a failure into words */
    int wake;                            /* a descriptor that ends the wait for an answer when it can be read; -1: none */
};

/* ---- how a command ends ---- */

/* Says on stderr what is wrong, with --json also as an object on stdout; returns `code`. The word is for programs, like "not_found"; NULL: the one that
 * belongs to the code. */
int cli_refuse(const struct cli *cli, int code, const char *word, const char *sentence);

/* The same with a format and its arguments; a macro, so that the compiler checks them. */
#define cli_fail(cli, code, ...) cli_refuse((cli), (code) + 0 * snprintf((cli)->sentence, CLI_LINE_SIZE, __VA_ARGS__), NULL, (cli)->sentence)

/* Prints {"schema_version":1,"status":"ok","data":DATA} as one line; takes `data` (NULL: memory is short). Returns CLI_OK or a code of failure. */
int cli_answer(const struct cli *cli, json_t *data);

/* The exit code that belongs to an error of the library. */
int cli_code_of(int error);

/* ---- the node ---- */

/* What went wrong when the node was asked. */
struct cli_trouble {
    int code;
    char word[32];
    char sentence[CLI_SENTENCE_SIZE];
};

/* Asks the running node; takes `arguments`, which may be NULL. CLI_OK with the answer's data in *out, which the caller releases, or a code with the trouble. */
int cli_ask(const struct cli *cli, const char *command, json_t *arguments, json_t **out, struct cli_trouble *trouble);

/* The same, and says what is wrong. */
int cli_ask_or_fail(const struct cli *cli, const char *command, json_t *arguments, json_t **out);

/* ---- the table of commands ---- */

struct cli_option {
    const char *flag;                    /* "--label"; NULL ends a list */
    const char *value;                   /* "COLUMN", or NULL for a flag without one */
    const char *help;
};

enum cli_kind { CLI_FILES, CLI_VIEW, CLI_ASKS };     /* works on files; shows the node, again with --watch; asks the node to do something */

struct cli_command {
    const char *name;                    /* one or two words: "network create" */
    const char *arguments;               /* "NET --data SAMPLE", or "" */
    const char *summary;                 /* a line */
    const char *detail;                  /* lines of at most 100 characters; may be NULL */
    const struct cli_option *options;    /* may be NULL */
    const char *example;                 /* one or more lines */
    enum cli_kind kind;
    bool has_dump;
    int (*run)(struct cli *cli, int argc, char **argv);      /* argv[0] is the first word of the name */
};

extern const struct cli_command cli_commands[];              /* ends with a NULL name */
extern const struct cli_option cli_common_options[];         /* those of every command */
extern const char *const cli_exit_codes[CLI_CODES];

/* The command that the words begin with, or NULL. */
const struct cli_command *cli_find(int argc, char **argv);

/* Commands of node and network that have this first word: `network` has `network create`. */
bool cli_is_group(const char *word);

/* As wide as the terminal; 80 columns where there is none. */
void cli_help_all(FILE *file);
void cli_help_group(FILE *file, const char *word);
void cli_help_command(FILE *file, const struct cli_command *command);

/* ---- the commands ---- */

int cli_status(struct cli *cli, int argc, char **argv);
int cli_health(struct cli *cli, int argc, char **argv);
int cli_peers(struct cli *cli, int argc, char **argv);
int cli_epochs(struct cli *cli, int argc, char **argv);
int cli_events(struct cli *cli, int argc, char **argv);
int cli_top(struct cli *cli, int argc, char **argv);
int cli_ban(struct cli *cli, int argc, char **argv);
int cli_unban(struct cli *cli, int argc, char **argv);
int cli_leave(struct cli *cli, int argc, char **argv);
int cli_checkpoint(struct cli *cli, int argc, char **argv);
int cli_version(struct cli *cli, int argc, char **argv);
int cli_help(struct cli *cli, int argc, char **argv);
int cli_network(struct cli *cli, int argc, char **argv);
int cli_invite(struct cli *cli, int argc, char **argv);
int cli_init(struct cli *cli, int argc, char **argv);
int cli_key(struct cli *cli, int argc, char **argv);
int cli_config(struct cli *cli, int argc, char **argv);
int cli_model(struct cli *cli, int argc, char **argv);
int cli_predict(struct cli *cli, int argc, char **argv);
int cli_privacy_show(struct cli *cli, int argc, char **argv);
int cli_privacy_epsilon(struct cli *cli, int argc, char **argv);
int cli_privacy_plan(struct cli *cli, int argc, char **argv);
int cli_privacy_reset(struct cli *cli, int argc, char **argv);

#endif
