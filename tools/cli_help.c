/* SPDX-License-Identifier: MIT */
/* Help texts, from the list of commands, as wide as the terminal. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cli_terminal.h"

enum { WIDTH = 80, WIDTH_MIN = 40, OPTION_INDENT = 23, COMMAND_INDENT = 19, CODES_SIZE = 512 };

static const struct {
    const char *title;
    enum cli_kind kind;
} sections[] = {{"Show the node", CLI_VIEW}, {"Ask the node", CLI_ASKS}, {"Work on files", CLI_FILES}};

/* ---- wrapped text ---- */

static uint32_t width_of_screen(void)
{
    uint32_t columns = cli_terminal_columns();
    return columns == 0 ? WIDTH : columns < WIDTH_MIN ? WIDTH_MIN : columns;
}

/* Words from a column on; every line after the first begins at the indent. */
static void put_words(FILE *file, const char *text, uint32_t column, uint32_t indent)
{
    const uint32_t width = width_of_screen();
    bool at_begin = true;
    for (;;) {
        text += strspn(text, " ");
        if (*text == 0) break;
        uint32_t length = (uint32_t)strcspn(text, " \n");
        bool is_full = !at_begin && column + 1 + length > width;
        if (*text == '\n' || is_full) {
            fprintf(file, "\n%*s", (int)indent, "");
            column = indent;
            at_begin = true;
        }
        if (!at_begin) fputc(' ', file);
        fprintf(file, "%.*s", (int)length, text);
        column += length + (at_begin ? 0 : 1);
        at_begin = length == 0;
        text += length > 0 ? length : 1;
    }
    fputc('\n', file);
}

/* A name, and behind it what it means. */
static void put_entry(FILE *file, const char *name, const char *meaning, uint32_t indent)
{
    fprintf(file, "  %-*s ", (int)indent - 3, name);
    put_words(file, meaning, indent, indent);
}

/* ---- parts of help ---- */

static void list_commands(FILE *file, const char *prefix, int kind)
{
    size_t length = strlen(prefix);
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        bool is_here = kind >= 0 ? (int)command->kind == kind : strncmp(command->name, prefix, length) == 0 && command->name[length] == ' ';
        if (is_here) put_entry(file, command->name, command->summary, COMMAND_INDENT);
    }
}

static void list_options(FILE *file, const struct cli_option *options)
{
    for (; options && options->flag; options++) {
        char left[40];
        snprintf(left, sizeof left, "%s%s%s", options->flag, options->value ? " " : "", options->value ? options->value : "");
        put_entry(file, left, options->help, OPTION_INDENT);
    }
}

static void list_codes(FILE *file)
{
    char codes[CODES_SIZE];
    size_t used = 0;
    for (uint32_t i = 0; i < CLI_CODES && used < sizeof codes; i++)
        used += (size_t)snprintf(codes + used, sizeof codes - used, "%s%u %s", i == 0 ? "Exit codes: " : ", ", i, cli_exit_codes[i]);
    if (used + 1 < sizeof codes) memcpy(codes + used, ".", 2);
    put_words(file, codes, 0, 2);
}

/* Commands to copy: a line stays a line. */
static void put_examples(FILE *file, const char *text)
{
    fputs(strchr(text, '\n') ? "\nexamples:\n" : "\nexample:\n", file);
    while (*text) {
        size_t length = strcspn(text, "\n");
        fprintf(file, "  %.*s\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

/* ---- the three kinds of help ---- */

void cli_help_all(FILE *file)
{
    fputs("starling - the command line beside a node that learns with its peers\n\nusage: starling [-d DIR] COMMAND [options]\n", file);
    for (uint32_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        fprintf(file, "\n%s:\n", sections[i].title);
        list_commands(file, "", (int)sections[i].kind);
    }
    fputs("\nOptions of every command:\n", file);
    list_options(file, cli_common_options);
    fputc('\n', file);
    list_codes(file);
    fputs("\n`starling COMMAND --help` tells more.\n\nexample: starling -d ~/n1 status\n", file);
}

void cli_help_group(FILE *file, const char *word)
{
    fprintf(file, "usage: starling %s COMMAND [options]\n\n", word);
    list_commands(file, word, -1);
    fprintf(file, "\n`starling %s COMMAND --help` tells more.\n", word);
}

void cli_help_command(FILE *file, const struct cli_command *command)
{
    fprintf(file, "usage: starling %s%s%s%s%s\n\n", command->kind == CLI_FILES ? "" : "[-d DIR] ", command->name, command->arguments[0] ? " " : "",
            command->arguments, command->options ? " [options]" : "");
    put_words(file, command->summary, 0, 0);
    if (command->detail) {
        fputc('\n', file);
        put_words(file, command->detail, 0, 0);
    }
    if (command->options) {
        fputs("\nOptions:\n", file);
        list_options(file, command->options);
    }
    fputs("\nOptions of every command:\n", file);
    list_options(file, cli_common_options);
    put_examples(file, command->example);
    if (!cli_is_group(command->name)) return;
    fputs("\nMore of it:\n", file);
    list_commands(file, command->name, -1);
}

int cli_help(struct cli *cli, int argc, char **argv)
{
    const struct cli_command *command = cli_find(argc - 1, argv + 1);
    if (argc == 1) cli_help_all(stdout);
    else if (command) cli_help_command(stdout, command);
    else if (cli_is_group(argv[1])) cli_help_group(stdout, argv[1]);
    else return cli_fail(cli, CLI_ARGUMENTS, "there is no command '%.40s'; `starling help` lists them", argv[1]);
    return CLI_OK;
}
