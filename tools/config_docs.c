/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "config/options.h"

/* Prints docs/config.md from the list of options. */

/* A bar would end the table's cell. */
static void print_cell(const char *text)
{
    for (; *text; text++) {
        if (*text == '|') putchar('\\');
        putchar(*text);
    }
}

/* In code marks; a bar is escaped there too, as the table is cut before marks are read. */
static void print_code(const char *text)
{
    putchar('`');
    print_cell(text);
    putchar('`');
}

static void print_range(const struct sl_option *option)
{
    switch (option->kind) {
    case SL_KIND_UINT: printf("%s .. %s, whole", option->min, option->max); break;
    case SL_KIND_REAL: printf("%s .. %s", option->min, option->max); break;
    case SL_KIND_DURATION: printf("%s .. %s", option->min, option->max); break;
    case SL_KIND_TEXT: printf("text"); break;
    case SL_KIND_CHOICE: print_code(option->min); break;
    }
}

static void print_table(enum sl_option_scope scope)
{
    printf("| option | default | range | meaning |\n|---|---|---|---|\n");
    for (uint32_t i = 0; i < sl_config_count(); i++) {
        const struct sl_option *option = sl_config_option(i);
        if (option->scope != scope) continue;

        printf("| `%s` | ", option->key);
        if (option->initial[0]) print_code(option->initial);
        else printf("(empty)");
        printf(" | ");
        print_range(option);
        printf(" | ");
        print_cell(option->help);
        printf(" |\n");
    }
}

int main(void)
{
    printf("# Options\n\n"
           "This page is printed from `include/starling/options.def` by `config_docs`; a test keeps the two equal. To write it anew:\n\n"
           "    ninja -C build tools/config_docs && build/tools/config_docs > docs/config.md\n\n"
           "Values are read strictly; whatever does not fit is refused with a sentence that names the option, the value and what would be "
           "right.\n\n"
           "- Whole numbers are decimal digits. Other numbers may have a point and an exponent (`0.1`, `1e-3`).\n"
           "- A duration is a number with a unit: `us`, `ms`, `s`, `m` or `h` (`20ms`, `1.5s`, `24h`). It must be whole in microseconds.\n"
           "- A text has at most %d bytes, all of them printable, no double quotes, and no blanks at its ends.\n",
           SL_TEXT_MAX - 1);

    printf("\n## Options of the network\n\n"
           "They stand in the network descriptor and are equal on every node: their values are part of the network's id, so nodes that differ "
           "in one of them are in different networks. A descriptor holds all of them.\n\n");
    print_table(SL_SCOPE_NETWORK);
    printf("\nBeyond the ranges above:\n\n"
           "- each phase ends before the next one: `phase.formation` < `phase.train` < `phase.commit` < `phase.open` < `phase.result` < "
           "`phase.pull`;\n"
           "- `cohort.min_size` <= `cohort.size` <= `cohort.max_size`;\n"
           "- `cohort.radius_min` <= `cohort.radius` <= `cohort.radius_max`;\n"
           "- `aggregate.bits` is 8, 16 or 32;\n"
           "- `data.scale` `standard` wants the lines `offset` and `factor` in the descriptor, one number per feature, and only then may they "
           "stand there.\n");

    printf("\n## Options of a node\n\n"
           "Each node has its own; nodes with different ones work together.\n\n");
    print_table(SL_SCOPE_NODE);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
