/* SPDX-License-Identifier: MIT */
/* Writes what is installed beside the programs: man pages and completion of bash. A build-time program.
 *
 * usage: cli_docs man                         starling.1, from the list of commands
 *        cli_docs completion                  for bash, from the same list
 *        cli_docs page NAME SECTION FILE...   another program's page, from its help texts
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

enum { LINE_SIZE = 512 };

/* ---- man pages ---- */

/* roff takes a dot or quote at the beginning of a line and every backslash for its own, and a minus for a hyphen. */
static void print_roff(const char *text)
{
    bool at_begin = true;
    for (; *text; text++) {
        if (at_begin && (*text == '.' || *text == '\'')) fputs("\\&", stdout);
        if (*text == '\\') fputs("\\e", stdout);
        else if (*text == '-') fputs("\\-", stdout);
        else putchar(*text);
        at_begin = *text == '\n';
    }
}

static void print_head(const char *name, const char *section, const char *summary)
{
    printf(".\\\" SPDX-License-Identifier: MIT\n.TH %s %s \"\" \"Starling\" \"Starling\"\n.SH NAME\n%s \\- ", name, section, name);
    print_roff(summary);
    putchar('\n');
}

static void print_options(const struct cli_option *options)
{
    for (; options && options->flag; options++) {
        fputs(".TP\n.B ", stdout);
        print_roff(options->flag);
        if (options->value) printf(" \\fI%s\\fR", options->value);
        putchar('\n');
        print_roff(options->help);
        putchar('\n');
    }
}

static void print_example(const char *text)
{
    fputs(".PP\n.nf\n.RS\n", stdout);
    print_roff(text);
    fputs("\n.RE\n.fi\n", stdout);
}

static void print_command(const struct cli_command *command)
{
    fputs(".SS ", stdout);
    print_roff(command->name);
    putchar(' ');
    print_roff(command->arguments);
    putchar('\n');
    print_roff(command->summary);
    putchar('\n');
    if (command->detail) {
        fputs(".PP\n", stdout);
        print_roff(command->detail);
        putchar('\n');
    }
    print_options(command->options);
    print_example(command->example);
}

static int write_man(void)
{
    print_head("starling", "1", "the command line beside a node that learns with its peers");
    fputs(".SH SYNOPSIS\n.B starling\n[\\-d \\fIDIR\\fR] \\fICOMMAND\\fR [\\fIoptions\\fR]\n.SH DESCRIPTION\n"
          "Shows a running node and asks it to do things, through the socket in its directory; or makes and reads the files of networks and nodes.\n"
          ".SH OPTIONS\nThese may stand before or behind the command.\n",
          stdout);
    print_options(cli_common_options);
    fputs(".SH COMMANDS\n", stdout);
    for (const struct cli_command *command = cli_commands; command->name; command++) print_command(command);
    fputs(".SH EXIT STATUS\n", stdout);
    for (uint32_t i = 0; i < CLI_CODES; i++) printf(".TP\n.B %u\n%s\n", i, cli_exit_codes[i]);
    fputs(".SH ENVIRONMENT\n.TP\n.B STARLING_DIR\nthe directory of the node, where \\-d names none\n.TP\n.B NO_COLOR\nno colours, whatever its value\n"
          ".SH SEE ALSO\n.BR starlingd (8),\n.BR starling\\-sim (1)\n",
          stdout);
    return 0;
}

/* Help texts as they are, each under a heading of its own. */
static int write_page(const char *name, const char *section, int n_files, char **files)
{
    bool is_daemon = strcmp(section, "8") == 0;
    const char *summary = is_daemon ? "one node that learns a model together with its peers" : "simulates and prepares networks of nodes that learn together";
    print_head(name, section, summary);
    for (int i = 0; i < n_files; i++) {
        char line[LINE_SIZE];
        FILE *file = fopen(files[i], "r");
        if (!file) return fprintf(stderr, "cli_docs: %s cannot be read\n", files[i]), 1;
        printf(".SH %s\n.nf\n", i == 0 ? "DESCRIPTION" : "COMMAND");
        while (fgets(line, sizeof line, file)) print_roff(line);
        fputs(".fi\n", stdout);
        fclose(file);
    }
    fputs(".SH SEE ALSO\n.BR starling (1)\n", stdout);
    return 0;
}

/* ---- completion ---- */

static void print_flags(const struct cli_option *options)
{
    for (; options && options->flag; options++) printf(" %s", options->flag);
}

/* Words that may stand behind `first`, or first words where it is NULL; each once, for commands of a group stand together. */
static void print_words(const char *first)
{
    size_t length = first ? strlen(first) : 0;
    const char *last = "";
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        size_t n = strcspn(command->name, " ");
        bool is_here = !first || (n == length && strncmp(command->name, first, n) == 0 && command->name[n] == ' ');
        if (!is_here) continue;
        if (first) printf(" %s", command->name + n + 1);
        else if (strncmp(last, command->name, n) != 0 || (last[n] != ' ' && last[n] != 0)) printf(" %.*s", (int)n, command->name);
        last = command->name;
    }
}

static int write_completion(void)
{
    fputs("# SPDX-License-Identifier: MIT\n# Completion of starling for bash; written by the build.\n"
          "_starling() {\n    local word=${COMP_WORDS[COMP_CWORD]} command= i\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n        -d | --timeout) ((i++)) ;;\n        -*) ;;\n"
          "        *) command+=\"${command:+ }${COMP_WORDS[i]}\" ;;\n        esac\n    done\n"
          "    case $command in\n    '')",
          stdout);
    fputs(" set --", stdout);
    print_words(NULL);
    fputs(" ;;\n", stdout);
    char last[LINE_SIZE] = "";
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        char first[LINE_SIZE];
        snprintf(first, sizeof first, "%.*s", (int)strcspn(command->name, " "), command->name);
        if (!cli_is_group(first) || strcmp(first, last) == 0) continue;
        printf("    %s) set --", first);
        print_words(first);
        fputs(" ;;\n", stdout);
        memcpy(last, first, sizeof last);
    }
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        printf("    '%s' | '%s '*) set -- ", command->name, command->name);
        print_flags(command->options);
        fputs(" ;;\n", stdout);
    }
    fputs("    *) set -- ;;\n    esac\n    [[ $word == -* ]] && set -- \"$@\"", stdout);
    print_flags(cli_common_options);
    fputs("\n    COMPREPLY=($(compgen -W \"$*\" -- \"$word\"))\n}\ncomplete -o default -F _starling starling\n", stdout);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "man") == 0) return write_man();
    if (argc == 2 && strcmp(argv[1], "completion") == 0) return write_completion();
    if (argc > 4 && strcmp(argv[1], "page") == 0) return write_page(argv[2], argv[3], argc - 4, argv + 4);
    fputs("usage: cli_docs man | completion | page NAME SECTION FILE...\n", stderr);
    return 4;
}
