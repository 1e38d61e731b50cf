/* SPDX-License-Identifier: MIT */
/* Help texts, from the list of commands. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct {
    const char *title;
    enum cli_kind kind;
} sections[] = {{"Show the node", CLI_VIEW}, {"Ask the node", CLI_ASKS}, {"Work on files", CLI_FILES}};

static void list_commands(const char *prefix, int kind)
{
    size_t length = strlen(prefix);
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        bool is_here = kind >= 0 ? (int)command->kind == kind : strncmp(command->name, prefix, length) == 0 && command->name[length] == ' ';
        if (is_here) printf("  %-16s %s\n", command->name, command->summary);
    }
}

static void list_options(const struct cli_option *options)
{
    for (; options && options->flag; options++) {
        char left[40];
        snprintf(left, sizeof left, "%s%s%s", options->flag, options->value ? " " : "", options->value ? options->value : "");
        printf("  %-20s %s\n", left, options->help);
    }
}

/* Each line of a text, behind an indent. */
static void print_lines(const char *text, const char *indent)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        printf("%s%.*s\n", indent, (int)length, text);
        text += length + (text[length] == '\n');
    }
}

void cli_help_all(void)
{
    puts("starling - the command line beside a node that learns with its peers\n\nusage: starling [-d DIR] COMMAND [options]");
    for (uint32_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        printf("\n%s:\n", sections[i].title);
        list_commands("", (int)sections[i].kind);
    }
    puts("\nOptions of every command:");
    list_options(cli_common_options);
    fputs("\nExit codes: ", stdout);
    for (uint32_t i = 0; i < CLI_CODES; i++) printf("%s%u %s", i == 0 ? "" : i % 4 == 0 ? ",\n  " : ", ", i, cli_exit_codes[i]);
    puts(".\n\n`starling COMMAND --help` tells more.\n\nexample: starling -d ~/n1 status");
}

void cli_help_group(const char *word)
{
    printf("usage: starling %s COMMAND [options]\n\n", word);
    list_commands(word, -1);
    printf("\n`starling %s COMMAND --help` tells more.\n", word);
}

void cli_help_command(const struct cli_command *command)
{
    printf("usage: starling %s%s%s%s%s\n\n", command->kind == CLI_FILES ? "" : "[-d DIR] ", command->name, command->arguments[0] ? " " : "", command->arguments,
           command->options ? " [options]" : "");
    printf("%s\n", command->summary);
    if (command->detail) {
        puts("");
        print_lines(command->detail, "");
    }
    if (command->options) {
        puts("\nOptions:");
        list_options(command->options);
    }
    puts("\nOptions of every command:");
    list_options(cli_common_options);
    puts(strchr(command->example, '\n') ? "\nexamples:" : "\nexample:");
    print_lines(command->example, "  ");
}

int cli_help(struct cli *cli, int argc, char **argv)
{
    const struct cli_command *command = cli_find(argc - 1, argv + 1);
    if (argc == 1) cli_help_all();
    else if (command) cli_help_command(command);
    else if (cli_is_group(argv[1])) cli_help_group(argv[1]);
    else return cli_fail(cli, CLI_ARGUMENTS, "there is no command '%.40s'; `starling help` lists them", argv[1]);
    return CLI_OK;
}
