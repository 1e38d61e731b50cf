/* SPDX-License-Identifier: MIT */
#include "sim_split.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/dataset.h"
#include "data/partition.h"
#include "starling/error.h"

enum { EXIT_MACHINE = 1, EXIT_ARGUMENTS = 4, NODES_MAX = 100000, CLASSES_SHOWN = 12, WHY_MAX = 1024, PATH_SIZE_MAX = 4096 };

static const char usage[] = "usage: starling-sim split --data PATH|NAME --out FOLDER [OPTIONS]\n"
                            "\n"
                            "Deals the rows of a data set out to nodes and writes FOLDER/node-000.csv, node-001.csv and so on: a header, "
                            "the features, the label last.\n"
                            "Labels that are texts become numbers; the numbers are printed.\n"
                            "\n"
                            "  --data PATH      CSV or NPY, a folder of IDX files or IMAGES,LABELS, plain or .gz; or fashion-mnist\n"
                            "  --out FOLDER     is made; if it is there, it must be empty\n"
                            "  --label COLUMN   last (default), first, a number from 0, or a name\n"
                            "  --task TASK      classify (default) or regress\n"
                            "  --impute NUMBER  stands for missing values; without it they are refused\n"
                            "  --split HOW      iid (default), dirichlet:ALPHA, shards:K, quantity:ALPHA, by:COLUMN, by:FILE:COLUMN\n"
                            "  --keep-test FILE keep a fifth of the rows back, drawn by the seed as `starling-sim run` does without --test,\n"
                            "                   write it to FILE, and deal out the rest\n"
                            "  -n, --nodes N    number of nodes (default 10)\n"
                            "  --seed N         the same seed gives the same split (default 1)\n"
                            "\n"
                            "example: starling-sim split --data fashion-mnist --split dirichlet:0.3 -n 16 --out parts\n";

struct request {
    const char *data, *out, *split, *keep_test;
    struct sl_read_options options;
    uint32_t n_nodes;
    uint64_t seed;
};

/* Rows in the order of their nodes: those of node i are rows[begin[i]] .. rows[begin[i + 1] - 1]. */
struct parts {
    uint32_t *owner, *rows, *begin;
};

/* "--name value" or "--name=value" at *at; false if it is something else. */
static bool take_option(int argc, char **argv, int *at, const char *name, const char **out)
{
    const size_t size = strlen(name);
    const char *word = argv[*at];
    if (strncmp(word, name, size) != 0) return false;

    if (word[size] == '=')
        *out = word + size + 1;
    else if (word[size] == 0 && *at + 1 < argc)
        *out = argv[++*at];
    else
        return false;
    return true;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
    if (*text == 0 || text[strspn(text, "0123456789")] != 0) return false;

    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (errno != 0 || value > max) return false;

    *out = value;
    return true;
}

static int refuse_arguments(const char *what, const char *text)
{
    fprintf(stderr, "split: %s '%s'\n\n%s", what, text, usage);
    return EXIT_ARGUMENTS;
}

static int check_request(struct request *request, const char *task, const char *nodes, const char *seed)
{
    uint64_t n_nodes;
    if (!request->data || !request->out) return refuse_arguments("--data and --out are needed, not only", request->data ? "--data" : "");
    if (!parse_number(nodes, NODES_MAX, &n_nodes) || n_nodes == 0)
        return refuse_arguments("--nodes is a number from 1 to 100000, not", nodes);
    if (!parse_number(seed, UINT64_MAX, &request->seed)) return refuse_arguments("--seed is a number from 0 to 2^64 - 1, not", seed);
    if (strcmp(task, "classify") != 0 && strcmp(task, "regress") != 0) return refuse_arguments("--task is classify or regress, not", task);

    request->n_nodes = (uint32_t)n_nodes;
    request->options.task = strcmp(task, "regress") == 0 ? SL_TASK_REGRESS : SL_TASK_CLASSIFY;
    sl_partition_read_options(request->split, &request->options);
    return 0;
}

static int parse_request(int argc, char **argv, struct request *request)
{
    *request = (struct request){.split = "iid"};
    const char *task = "classify", *nodes = "10", *seed = "1";
    for (int i = 1; i < argc; i++) {
        bool known = take_option(argc, argv, &i, "--data", &request->data) || take_option(argc, argv, &i, "--out", &request->out) ||
                     take_option(argc, argv, &i, "--split", &request->split) || take_option(argc, argv, &i, "--keep-test", &request->keep_test) ||
                     take_option(argc, argv, &i, "--label", &request->options.label) ||
                     take_option(argc, argv, &i, "--impute", &request->options.impute) || take_option(argc, argv, &i, "--task", &task) ||
                     take_option(argc, argv, &i, "--nodes", &nodes) || take_option(argc, argv, &i, "-n", &nodes) ||
                     take_option(argc, argv, &i, "--seed", &seed);
        if (!known) return refuse_arguments("no option, or one without its value:", argv[i]);
    }
    return check_request(request, task, nodes, seed);
}

static bool is_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    }
    return false;
}

static int exit_code(int error)
{
    return error == SL_ERROR_NO_MEMORY || error == SL_ERROR_IO || error == SL_ERROR_NO_SPACE ? EXIT_MACHINE : EXIT_ARGUMENTS;
}

/* Makes the folder, or makes sure that it is empty. */
static int prepare_folder(const char *path)
{
    if (mkdir(path, 0777) == 0) return 0;
    DIR *folder = errno == EEXIST ? opendir(path) : NULL;
    if (!folder) {
        fprintf(stderr, "split: the folder %s cannot be made: %s\n", path, strerror(errno));
        return EXIT_MACHINE;
    }

    int n_entries = 0;
    for (struct dirent *entry; (entry = readdir(folder));) n_entries += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(folder);
    if (n_entries == 0) return 0;

    fprintf(stderr, "split: %s is not empty; nothing was written: name a folder that is new or empty\n", path);
    return EXIT_ARGUMENTS;
}

static void sort_rows(uint32_t n_rows, uint32_t n_nodes, struct parts *parts)
{
    for (uint32_t i = 0; i < n_rows; i++) parts->begin[parts->owner[i] + 1]++;
    for (uint32_t node = 0; node < n_nodes; node++) parts->begin[node + 1] += parts->begin[node];

    for (uint32_t i = 0; i < n_rows; i++) parts->rows[parts->begin[parts->owner[i]]++] = i;
    for (uint32_t node = n_nodes; node > 0; node--) parts->begin[node] = parts->begin[node - 1];
    parts->begin[0] = 0;
}

static int deal_rows(const struct request *request, const struct sl_dataset *dataset, struct parts *parts)
{
    parts->owner = calloc(dataset->n_rows, sizeof *parts->owner);
    parts->rows = calloc(dataset->n_rows, sizeof *parts->rows);
    parts->begin = calloc(request->n_nodes + 1, sizeof *parts->begin);
    if (!parts->owner || !parts->rows || !parts->begin) {
        fprintf(stderr, "split: not enough memory for %u rows\n", dataset->n_rows);
        return EXIT_MACHINE;
    }

    char why[WHY_MAX] = "";
    int error = sl_partition(dataset, request->n_nodes, request->split, request->seed, parts->owner, why, sizeof why);
    if (error) {
        fprintf(stderr, "split: %s\n", why);
        return exit_code(error);
    }
    sort_rows(dataset->n_rows, request->n_nodes, parts);
    return 0;
}

static void print_class(const struct sl_dataset *dataset, uint32_t class, uint32_t n_rows, const char *before)
{
    if (dataset->classes)
        printf("%s%u %s (%u)", before, class, dataset->classes[class], n_rows);
    else
        printf("%s%u (%u)", before, class, n_rows);
}

/* "node-003.csv: 120 rows, classes 0 (100), 7 (20)"; counts has a place for every class. */
static void print_part(const struct sl_dataset *part, const char *name, uint32_t *counts)
{
    uint32_t n_present = 0;
    memset(counts, 0, part->n_classes * sizeof *counts);
    for (uint32_t i = 0; part->n_classes > 0 && i < part->n_rows; i++) counts[(uint32_t)part->labels[i]]++;

    printf("%s: %u rows", name, part->n_rows);
    for (uint32_t class = 0; class < part->n_classes; class ++) {
        if (counts[class] == 0) continue;
        if (n_present < CLASSES_SHOWN) print_class(part, class, counts[class], n_present == 0 ? ", classes " : ", ");
        n_present++;
    }
    if (n_present > CLASSES_SHOWN) printf(", ... %u in all", n_present);
    putchar('\n');
}

static int write_part(const char *folder, const struct sl_dataset *dataset, const struct parts *parts, uint32_t node, uint32_t *counts)
{
    char name[32], path[PATH_SIZE_MAX];
    snprintf(name, sizeof name, "node-%03u.csv", node);
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= PATH_SIZE_MAX) {
        fprintf(stderr, "split: the name of the folder is too long\n");
        return EXIT_ARGUMENTS;
    }

    struct sl_dataset part;
    int error = sl_dataset_take(dataset, parts->rows + parts->begin[node], parts->begin[node + 1] - parts->begin[node], &part);
    if (error) {
        fprintf(stderr, "split: %s for node %u\n", sl_error_text(error), node);
        return EXIT_MACHINE;
    }
    error = sl_dataset_write_csv(&part, path);
    if (error)
        fprintf(stderr, "split: %s cannot be written: %s\n", path, sl_error_text(error));
    else
        print_part(&part, name, counts);
    sl_dataset_finish(&part);
    return error ? EXIT_MACHINE : 0;
}

static int keep_test(const struct request *request, struct sl_dataset *dataset, struct sl_dataset *test)
{
    if (!request->keep_test) return 0;

    uint32_t n_rows = dataset->n_rows;
    int error = sl_keep_test(dataset, request->seed, test);
    if (error == SL_ERROR_TOO_FEW) fprintf(stderr, "split: %u rows are too few to keep a fifth of them back\n", n_rows);
    else if (error) fprintf(stderr, "split: not enough memory for %u rows\n", n_rows);
    return error ? exit_code(error) : 0;
}

static int write_test(const struct request *request, const struct sl_dataset *test)
{
    if (!request->keep_test) return 0;

    int error = sl_dataset_write_csv(test, request->keep_test);
    if (error) fprintf(stderr, "split: %s cannot be written: %s\n", request->keep_test, sl_error_text(error));
    else printf("%s: %u rows kept back as the common test set\n", request->keep_test, test->n_rows);
    return error ? EXIT_MACHINE : 0;
}

static int write_parts(const struct request *request, const struct sl_dataset *dataset, const struct parts *parts)
{
    uint32_t *counts = calloc((size_t)dataset->n_classes + 1, sizeof *counts);
    if (!counts) {
        fprintf(stderr, "split: not enough memory for %u classes\n", dataset->n_classes);
        return EXIT_MACHINE;
    }
    int code = prepare_folder(request->out);
    for (uint32_t node = 0; code == 0 && node < request->n_nodes; node++) code = write_part(request->out, dataset, parts, node, counts);
    free(counts);
    return code;
}

int sim_split(int argc, char **argv)
{
    struct request request;
    struct sl_dataset dataset = {0}, test = {0};
    struct parts parts = {0};
    char why[WHY_MAX] = "";

    if (is_help(argc, argv)) {
        fputs(usage, stdout);
        return 0;
    }
    int code = parse_request(argc, argv, &request);
    if (code != 0) return code;

    int error = sl_dataset_read(request.data, &request.options, &dataset, why, sizeof why);
    if (error) {
        fprintf(stderr, "split: %s\n", why);
        return exit_code(error);
    }
    code = keep_test(&request, &dataset, &test);
    if (code == 0) code = deal_rows(&request, &dataset, &parts);
    if (code == 0) code = write_parts(&request, &dataset, &parts);
    if (code == 0) code = write_test(&request, &test);

    free(parts.owner);
    free(parts.rows);
    free(parts.begin);
    sl_dataset_finish(&test);
    sl_dataset_finish(&dataset);
    return code;
}
