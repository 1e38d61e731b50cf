/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <sys/stat.h>

#include "../../tools/sim_split.h"
#include "data_files.h"

static void begin(void)
{
    cr_redirect_stdout();
    cr_redirect_stderr();
    make_folder();
}

/* The parts lie one level deeper. */
static void end(void)
{
    char outer[sizeof test_folder];
    strcpy(outer, test_folder);
    snprintf(test_folder + strlen(test_folder), sizeof test_folder - strlen(test_folder), "/parts");
    remove_folder();
    strcpy(test_folder, outer);
    remove_folder();
}

TestSuite(sim_split, .init = begin, .fini = end);

/* Runs the subcommand on data.csv with these further words; %s stands for the folder. */
static int run(const char *first, const char *second, const char *third)
{
    char words[9][2 * TEST_PATH_MAX] = {"split", "--data"}, path[TEST_PATH_MAX];
    const char *more[] = {first, second, third};
    char *argv[9] = {0};
    int argc = 5;
    strcpy(words[2], in_folder("data.csv", path));
    strcpy(words[3], "--out");
    strcpy(words[4], in_folder("parts", path));
    for (int i = 0; i < 3; i++) {
        if (more[i]) snprintf(words[argc++], sizeof *words, "%s", more[i]);
    }
    for (int i = 0; i < argc; i++) argv[i] = words[i];
    return sim_split(argc, argv);
}

static void expect_stderr(const char *words)
{
    char text[8192];
    fflush(stderr);
    FILE *redirected = cr_get_redirected_stderr();
    fclose(stderr);
    size_t n = fread(text, 1, sizeof text - 1, redirected);
    text[n] = 0;
    cr_assert(strstr(text, words), "it should say \"%s\" but says \"%s\"", words, text);
}

static void expect_file(const char *name, const char *expected)
{
    char path[TEST_PATH_MAX], text[1024];
    FILE *file = fopen(in_folder(name, path), "rb");
    cr_assert(file, "%s is missing", path);
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    fclose(file);
    cr_assert_str_eq(text, expected);
}

static const char wards[] = "ward,age,label\neast,0.1,owl\nwest,3,jay\neast,-2.5,jay\n";

Test(sim_split, writes_a_file_for_each_node)
{
    write_text("data.csv", wards);

    int code = run("--split=by:ward", "-n", "2");

    cr_assert_eq(code, 0);
    expect_file("parts/node-000.csv", "age,label\n0.100000001,1\n-2.5,0\n");
    expect_file("parts/node-001.csv", "age,label\n3,0\n");
    fflush(stdout);
    cr_assert_stdout_eq_str("node-000.csv: 2 rows, classes 0 jay (1), 1 owl (1)\nnode-001.csv: 1 rows, classes 0 jay (1)\n");
}

Test(sim_split, writes_the_same_for_the_same_seed)
{
    write_text("data.csv", "1,0\n2,1\n3,0\n4,1\n");

    cr_assert_eq(run("--seed=7", "--nodes=2", NULL), 0);

    fflush(stdout);
    expect_file("parts/node-000.csv", "x0,label\n1,0\n3,0\n");
    cr_assert_stdout_eq_str("node-000.csv: 2 rows, classes 0 (2)\nnode-001.csv: 2 rows, classes 1 (2)\n");
}

Test(sim_split, splits_a_regression)
{
    write_text("data.csv", "1,0.5\n2,?\n");
    cr_assert_eq(run("--task=regress", "--nodes=1", NULL), 4, "a missing label is refused");
    write_text("data.csv", "1,0.5\n?,-1\n");

    cr_assert_eq(run("--task=regress", "--nodes=1", "--impute=7"), 0);

    expect_file("parts/node-000.csv", "x0,label\n1,0.5\n7,-1\n");
    fflush(stdout);
    cr_assert_stdout_eq_str("node-000.csv: 2 rows\n");
}

Test(sim_split, writes_into_an_empty_folder_but_not_over_files)
{
    char path[TEST_PATH_MAX];
    write_text("data.csv", wards);
    cr_assert_eq(mkdir(in_folder("parts", path), 0700), 0);
    cr_assert_eq(run("--label=label", "--split=by:ward", "-n=2"), 0);

    cr_assert_eq(run("--label=label", "--split=by:ward", "-n=2"), 4);

    expect_stderr("parts is not empty; nothing was written");
}

Test(sim_split, refuses_a_split_before_it_makes_the_folder)
{
    char path[TEST_PATH_MAX];
    write_text("data.csv", wards);

    cr_assert_eq(run("--split=by:ward", "-n", "3"), 4);

    cr_assert_neq(access(in_folder("parts", path), F_OK), 0);
    expect_stderr("too few for 3 nodes");
}

Test(sim_split, says_when_the_data_cannot_be_read)
{
    cr_assert_eq(run(NULL, NULL, NULL), 4);
    expect_stderr("data.csv cannot be opened");
}

Test(sim_split, refuses_an_unknown_split)
{
    write_text("data.csv", "1,0\n2,1\n");
    cr_assert_eq(run("--split=odd", "-n=2", NULL), 4);
    expect_stderr("no split \"odd\"");
}

Test(sim_split, says_when_the_folder_cannot_be_made)
{
    write_text("data.csv", wards);
    cr_assert_eq(run("--split=by:ward", "-n=2", "--out=/none/parts"), 1);
    expect_stderr("/none/parts cannot be made: No such file");
}

static void assert_refused_words(const char *first, const char *second, const char *words)
{
    write_text("data.csv", wards);
    cr_assert_eq(run(first, second, NULL), 4);
    expect_stderr(words);
}

Test(sim_split, refuses_unknown_options)
{
    assert_refused_words("--shape", "3", "no option, or one without its value: '--shape'");
}
Test(sim_split, refuses_an_option_without_value)
{
    assert_refused_words("--seed", NULL, "without its value: '--seed'");
}
Test(sim_split, refuses_no_nodes)
{
    assert_refused_words("--nodes", "0", "--nodes is a number from 1 to 100000, not '0'");
}
Test(sim_split, refuses_a_seed_that_is_no_number)
{
    assert_refused_words("--seed", "-1", "--seed is a number");
}
Test(sim_split, refuses_an_unknown_task)
{
    assert_refused_words("--task", "rank", "--task is classify or regress, not 'rank'");
}

Test(sim_split, needs_data_and_a_folder)
{
    char *argv[] = {(char[]){"split"}, NULL};
    cr_assert_eq(sim_split(1, argv), 4);
    expect_stderr("--data and --out are needed");
}

Test(sim_split, helps)
{
    cr_assert_eq(run("--help", NULL, NULL), 0);
    fflush(stdout);
    char text[32] = "";
    cr_assert(fgets(text, sizeof text, cr_get_redirected_stdout()));
    cr_assert_eq(strncmp(text, "usage: starling-sim split", 25), 0);
}

Test(sim_split, keeps_a_fifth_of_the_rows_back_for_the_test)
{
    char option[TEST_PATH_MAX + 16], path[TEST_PATH_MAX];
    write_text("data.csv", "1,0\n2,1\n3,0\n4,1\n5,0\n");
    snprintf(option, sizeof option, "--keep-test=%s", in_folder("test.csv", path));

    cr_assert_eq(run(option, "--nodes=1", "--seed=3"), 0);

    fflush(stdout);
    char text[1024];
    FILE *file = fopen(path, "rb");
    cr_assert(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    cr_assert_eq(strlen(text), strlen("x0,label\n1,0\n"), "one row of five, not \"%s\"", text);
    file = fopen(in_folder("parts/node-000.csv", path), "rb");
    cr_assert(file);
    char parts[1024];
    parts[fread(parts, 1, sizeof parts - 1, file)] = 0;
    fclose(file);
    cr_assert_eq(strlen(parts), strlen("x0,label\n1,0\n2,0\n3,0\n4,0\n"), "the other four, not \"%s\"", parts);
    cr_assert_null(strstr(parts, strchr(text, '\n') + 1), "a row that is kept back must not be dealt out");
}

Test(sim_split, refuses_to_keep_rows_back_where_there_are_too_few)
{
    write_text("data.csv", "1,0\n2,1\n");

    cr_assert_eq(run("--keep-test=/tmp/never.csv", "--nodes=1", NULL), 4);

    expect_stderr("too few to keep a fifth");
}
