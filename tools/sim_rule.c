/* SPDX-License-Identifier: MIT */
#include "sim_rule.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/registry.h"
#include "starling/aggregator.h"
#include "starling/arena.h"
#include "starling/config.h"
#include "starling/error.h"

enum { EXIT_MACHINE = 1, EXIT_ARGUMENTS = 4, ROWS_MAX = 65536, COLUMNS_MAX = 1 << 24 };

static const char usage[] =
    "usage: starling-sim rule --rule NAME [--params KEY=VALUE;...] --input FILE.csv\n"
    "\n"
    "Merges the vectors of FILE.csv (one a line, no header) and prints the result on one line.\n"
    "\n"
    "  --rule NAME      mean, median, trmean or geomed\n"
    "  --params LIST    f (trmean); nu, T, start=zero|mean|median (geomed); separated by ; or ,\n"
    "                   what is not given has the default of the option merge.*\n"
    "  --input FILE     finite decimal numbers within the range of float32, separated by commas\n"
    "\n"
    "example: starling-sim rule --rule trmean --params 'f=1' --input vectors.csv\n";

struct request {
    const char *rule, *params, *input;
};

/* Rows of equal length, one after another. */
struct table {
    float *values;
    size_t n_values, values_max;
    uint32_t n_rows, n_columns;
};

/* "--name value" or "--name=value" at *at; false if it is something else. */
static bool take_option(int argc, char **argv, int *at, const char *name, const char **out)
{
    const size_t size = strlen(name);
    const char *word = argv[*at];
    if (strncmp(word, name, size) != 0) return false;

    if (word[size] == '=') *out = word + size + 1;
    else if (word[size] == 0 && *at + 1 < argc) *out = argv[++*at];
    else return false;
    return true;
}

static int parse_request(int argc, char **argv, struct request *request)
{
    *request = (struct request){.params = ""};
    for (int i = 1; i < argc; i++) {
        bool known = take_option(argc, argv, &i, "--rule", &request->rule) || take_option(argc, argv, &i, "--params", &request->params) ||
                     take_option(argc, argv, &i, "--input", &request->input);
        if (known) continue;

        fprintf(stderr, "rule: '%s' is not an option or lacks its value\n\n%s", argv[i], usage);
        return EXIT_ARGUMENTS;
    }
    if (request->rule && request->input) return 0;

    fprintf(stderr, "rule: --rule and --input are needed\n\n%s", usage);
    return EXIT_ARGUMENTS;
}

static const struct sl_aggregator *find_rule(const char *name)
{
    const struct sl_aggregator *rule = sl_aggregator_find(name);
    if (rule) return rule;

    fprintf(stderr, "rule: this version has no rule '%s'; it has", name);
    for (int i = 0; sl_aggregators[i]; i++) fprintf(stderr, "%s %s", i == 0 ? "" : ",", sl_aggregators[i]->name);
    fprintf(stderr, "\n");
    return NULL;
}

static int parse_params(const char *text, struct sl_rule_params *params)
{
    struct sl_config *config = malloc(sizeof *config);
    if (!config) {
        fprintf(stderr, "rule: not enough memory\n");
        return EXIT_MACHINE;
    }
    sl_config_init(config);
    *params = sl_rule_params_of(config);
    free(config);

    char why[256];
    if (!sl_rule_params_parse(text, params, why, sizeof why)) return 0;

    fprintf(stderr, "rule: --params: %s\n", why);
    return EXIT_ARGUMENTS;
}

/* What is wrong with a field, or NULL and its number. Only plain decimals: no "nan", "inf" or hexadecimal. */
static const char *parse_number(char *field, float *out)
{
    field += strspn(field, " \t");
    size_t size = strlen(field);
    while (size > 0 && (field[size - 1] == ' ' || field[size - 1] == '\t')) field[--size] = 0;

    if (size == 0) return "an empty field where a number is needed";
    if (field[strspn(field, "0123456789+-.eE")]) return "not a finite decimal number";

    char *end;
    double value = strtod(field, &end);
    if (end == field || *end) return "not a finite decimal number";
    if (!isfinite((float)value)) return "a number beyond the range of float32";

    *out = (float)value;
    return NULL;
}

static int refuse(const char *file, uint32_t line, uint32_t column, const char *what)
{
    fprintf(stderr, "%s:%u:%u: %s\n", file, line, column, what);
    return EXIT_ARGUMENTS;
}

static int append(struct table *table, float value)
{
    if (table->n_values == table->values_max) {
        size_t fresh_max = table->values_max ? 2 * table->values_max : 1024;
        float *fresh = realloc(table->values, fresh_max * sizeof *fresh);
        if (!fresh) {
            fprintf(stderr, "rule: not enough memory\n");
            return EXIT_MACHINE;
        }
        table->values = fresh;
        table->values_max = fresh_max;
    }
    table->values[table->n_values++] = value;
    return 0;
}

/* One line without its end. The first one says how many columns there are. */
static int read_row(const char *file, uint32_t line, char *text, struct table *table)
{
    uint32_t column = 0;
    for (char *field = text, *comma; field; field = comma ? comma + 1 : NULL) {
        comma = strchr(field, ',');
        if (comma) *comma = 0;
        if (++column > (table->n_rows ? table->n_columns : COLUMNS_MAX)) return refuse(file, line, column, "more numbers than expected");

        float value = 0;
        const char *wrong = parse_number(field, &value);
        if (wrong) return refuse(file, line, column, wrong);

        int code = append(table, value);
        if (code) return code;
    }
    if (table->n_rows && column < table->n_columns) return refuse(file, line, column, "the row ends before all columns are filled");

    table->n_columns = column;
    table->n_rows++;
    return 0;
}

static int read_rows(const char *name, FILE *file, struct table *table)
{
    char *text = NULL;
    size_t text_max = 0;
    int code = 0;
    errno = 0;
    for (uint32_t line = 1; !code; line++) {
        ssize_t size = getline(&text, &text_max, file);
        if (size < 0) break;

        if (size > 0 && text[size - 1] == '\n') text[--size] = 0;
        if (size > 0 && text[size - 1] == '\r') text[--size] = 0;
        if (strlen(text) != (size_t)size) code = refuse(name, line, 1, "a zero byte; this is not a text file");
        else if (line > ROWS_MAX) code = refuse(name, line, 1, "too many rows");
        else code = read_row(name, line, text, table);
    }
    if (!code && !feof(file)) {
        fprintf(stderr, "%s: cannot be read: %s\n", name, strerror(errno));
        code = EXIT_ARGUMENTS;
    }
    if (!code && table->n_rows == 0) code = refuse(name, 1, 1, "the file is empty; at least one row of numbers is needed");
    free(text);
    return code;
}

static int read_table(const char *name, struct table *table)
{
    FILE *file = fopen(name, "r");
    if (!file) {
        fprintf(stderr, "%s: cannot be opened: %s\n", name, strerror(errno));
        return EXIT_ARGUMENTS;
    }
    int code = read_rows(name, file, table);
    fclose(file);
    return code;
}

static int print_vector(const float *vector, uint32_t dim)
{
    for (uint32_t j = 0; j < dim; j++) printf("%s%.9g", j == 0 ? "" : " ", (double)vector[j]);
    printf("\n");
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;

    fprintf(stderr, "rule: the result cannot be written: %s\n", strerror(errno));
    return EXIT_MACHINE;
}

static int explain(int error, const struct sl_aggregator *rule, const struct sl_rule_params *params, const struct table *table)
{
    if (error == SL_ERROR_TOO_FEW)
        fprintf(stderr, "rule: %s cannot withstand f = %u among %u rows; 2f must be less than the number of rows\n", rule->name,
                params->max_faulty, table->n_rows);
    else
        fprintf(stderr, "rule: %s: %s\n", rule->name, sl_error_text(error));
    return error == SL_ERROR_NO_MEMORY ? EXIT_MACHINE : EXIT_ARGUMENTS;
}

static int merge_and_print(const struct sl_aggregator *rule, const struct sl_rule_params *params, const struct table *table)
{
    const size_t scratch_size = rule->scratch_size(table->n_rows, table->n_columns);
    struct sl_input *inputs = malloc(table->n_rows * sizeof *inputs);
    float *out = malloc(table->n_columns * sizeof *out);
    void *block = malloc(scratch_size);
    int code = EXIT_MACHINE;
    if (!inputs || !out || !block) {
        fprintf(stderr, "rule: not enough memory\n");
        goto out;
    }

    for (uint32_t i = 0; i < table->n_rows; i++)
        inputs[i] = (struct sl_input){table->values + (size_t)i * table->n_columns, 1};
    struct sl_arena scratch = sl_arena_over(block, scratch_size);
    int error = rule->combine(inputs, table->n_rows, table->n_columns, params, &scratch, out);
    code = error ? explain(error, rule, params, table) : print_vector(out, table->n_columns);

out:
    free(block);
    free(out);
    free(inputs);
    return code;
}

int sim_rule(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return 0;
    }

    struct request request;
    int code = parse_request(argc, argv, &request);
    if (code) return code;

    const struct sl_aggregator *rule = find_rule(request.rule);
    if (!rule) return EXIT_ARGUMENTS;

    struct sl_rule_params params;
    code = parse_params(request.params, &params);
    if (code) return code;

    struct table table = {0};
    code = read_table(request.input, &table);
    if (!code) code = merge_and_print(rule, &params, &table);
    free(table.values);
    return code;
}
