/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../tools/sim_rule.h"

static char folder[] = "/tmp/starling-rule-XXXXXX", path[64];

static void begin(void)
{
    cr_redirect_stdout();
    cr_redirect_stderr();
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/in.csv", folder);
}

static void end(void)
{
    unlink(path);
    rmdir(folder);
}

TestSuite(sim_rule, .init = begin, .fini = end);

static void write_file(const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static int run(const char *rule, const char *params, const char *input)
{
    char words[7][256] = {"rule", "--rule", "", "--params", "", "--input", ""};
    char *argv[8] = {0};
    snprintf(words[2], sizeof words[2], "%s", rule);
    snprintf(words[4], sizeof words[4], "%s", params);
    snprintf(words[6], sizeof words[6], "%s", input);
    for (int i = 0; i < 7; i++) argv[i] = words[i];
    return sim_rule(7, argv);
}

static void expect_stdout(const char *text)
{
    fflush(stdout);
    if (*text) cr_assert_stdout_eq_str(text);
    else fclose(stdout);
}

static void read_stderr(char *out, size_t size)
{
    fflush(stderr);
    FILE *redirected = cr_get_redirected_stderr();
    fclose(stderr);
    size_t n = fread(out, 1, size - 1, redirected);
    out[n] = 0;
}

static void write_text(const char *text)
{
    write_file(text, strlen(text));
}

Test(sim_rule, prints_the_merged_vector_on_one_line)
{
    write_text("1,10\n2, 20\n6,-1.5e1");
    cr_assert_eq(run("mean", "", path), 0);
    expect_stdout("3 5\n");
}

Test(sim_rule, takes_parameters_separated_by_either_mark)
{
    write_text("1\r\n2\r\n9\r\n");
    cr_assert_eq(run("trmean", "f=1", path), 0);
    cr_assert_eq(run("geomed", "nu=0.1;T=0;start=median", path), 0);
    cr_assert_eq(run("geomed", "nu=0.1,T=0,start=mean", path), 0);
    expect_stdout("2\n2\n4\n");
}

Test(sim_rule, prints_nine_digits_that_identify_a_float)
{
    write_text("0.1\n");
    cr_assert_eq(run("median", "", path), 0);
    expect_stdout("0.100000001\n");
}

Test(sim_rule, refuses_everything_that_is_not_a_number_and_says_where)
{
    static const struct { const char *text, *where; } cases[] = {
        {"1,2\n3,nan\n", ":2:2: "}, {"1,2\n-inf,4\n", ":2:1: "}, {"1,2\n3,1e39\n", ":2:2: "}, {"1,2\n3,1e400\n", ":2:2: "},
        {"1,2\n3,4x\n", ":2:2: "}, {"a,b\n1,2\n", ":1:1: "}, {"1,2\n3\n", ":2:1: "}, {"1,2\n3,4,5\n", ":2:3: "},
        {"1,2\n\n3,4\n", ":2:1: "}, {"1,\n", ":1:2: "}, {"0x10\n", ":1:1: "}, {"1 2\n", ":1:1: "}, {"\n", ":1:1: "}, {"", ":1:1: "},
        {"-\n", ":1:1: "}, {"1e\n", ":1:1: "}, {"1;2\n", ":1:1: "},
    };
    char said[8192], expected[128];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(cases[i].text);
        cr_assert_eq(run("mean", "", path), 4, "case %zu", i);
    }
    write_file("1,2\n3\0,4\n", 9);
    cr_assert_eq(run("mean", "", path), 4);

    read_stderr(said, sizeof said);
    const char *at = said;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(expected, sizeof expected, "%s%s", path, cases[i].where);
        cr_assert_eq(strncmp(at, expected, strlen(expected)), 0, "case %zu: wanted %s, got %.80s", i, expected, at);
        at = strchr(at, '\n') + 1;
    }
    expect_stdout("");
    cr_assert_eq(fgetc(cr_get_redirected_stdout()), EOF, "no number may be printed");
}

Test(sim_rule, refuses_unknown_rules_and_lists_those_it_has)
{
    char said[4096];
    write_text("1\n2\n3\n");
    cr_assert_eq(run("krum", "f=0", path), 4);
    read_stderr(said, sizeof said);
    cr_assert(strstr(said, "krum") && strstr(said, "mean, median, trmean, geomed"), "%s", said);
    expect_stdout("");
    cr_assert_eq(fgetc(cr_get_redirected_stdout()), EOF);
}

Test(sim_rule, refuses_wrong_arguments)
{
    char rule[] = "rule", option[] = "--rule", mean[] = "mean", other[] = "--rules";
    write_text("1\n2\n3\n");
    cr_assert_eq(sim_rule(1, (char *[]){rule, NULL}), 4);
    cr_assert_eq(sim_rule(3, (char *[]){rule, option, mean, NULL}), 4);
    cr_assert_eq(sim_rule(2, (char *[]){rule, option, NULL}), 4);
    cr_assert_eq(sim_rule(3, (char *[]){rule, other, mean, NULL}), 4);
    cr_assert_eq(run("trmean", "g=1", path), 4);
    cr_assert_eq(run("trmean", "f=-1", path), 4);
    cr_assert_eq(run("trmean", "f=1.5", path), 4);
    cr_assert_eq(run("trmean", "f=2", path), 4);
    cr_assert_eq(run("trmean", "f", path), 4);
    cr_assert_eq(run("geomed", "nu=nan", path), 4);
    cr_assert_eq(run("mean", "", "/nonexistent/file.csv"), 4);
    cr_assert_eq(run("mean", "", folder), 4);
    expect_stdout("");
    cr_assert_eq(fgetc(cr_get_redirected_stdout()), EOF);
}

/* Writes the input a refused case names: a file beside the table, or one of the inputs of the other table. */
static void input_of(const char *tests, const char *name)
{
    char source[512], line[8192];
    bool is_file = strncmp(name, "bad_", 4) == 0;
    snprintf(source, sizeof source, "%s/unit/tables/%s", tests, is_file ? name : "rules.txt");
    FILE *from = fopen(source, "r"), *to = fopen(path, "w");
    cr_assert(from && to, "%s", source);

    bool copying = is_file;
    while (fgets(line, sizeof line, from)) {
        char word[32] = "";
        if (!is_file && sscanf(line, "input %31s", word) == 1) {
            copying = strcmp(word, name) == 0;
            continue;
        }
        if (!is_file && strncmp(line, "case", 4) == 0) break;
        for (char *c = line; !is_file && *c; c++)
            if (*c == ' ') *c = ',';
        if (copying) fputs(line, to);
    }
    fclose(from);
    fclose(to);
}

Test(sim_rule, refuses_every_call_of_the_table)
{
    char table[512], line[256];
    const char *tests = getenv("STARLING_TESTS");
    if (!tests) cr_skip_test("STARLING_TESTS must name the folder of the tests");
    snprintf(table, sizeof table, "%s/unit/tables/rules_refused.txt", tests);
    FILE *file = fopen(table, "r");
    cr_assert(file, "%s", table);

    int n_cases = 0;
    while (fgets(line, sizeof line, file)) {
        char number[16], name[64], rule[16], params[64];
        if (line[0] == '#') continue;
        cr_assert_eq(sscanf(line, "%15s %63s %15s %63s", number, name, rule, params), 4);
        input_of(tests, name);
        if (n_cases == 0) cr_assert_eq(run("trmean", "f=1", path), 0, "the inputs themselves are good");
        cr_assert_eq(run(rule, strcmp(params, "-") == 0 ? "" : params, path), 4, "case %s", line);
        n_cases++;
    }
    fclose(file);
    cr_assert_eq(n_cases, 44);
}
