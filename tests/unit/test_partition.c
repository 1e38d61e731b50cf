/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "data/partition.h"
#include "starling/error.h"

enum { N_ROWS = 1200, N_CLASSES = 6, N_CLIENTS = 40, N_NODES_MAX = 64 };

static float labels[N_ROWS];
static uint32_t clients[N_ROWS];
static char why[512];

/* Labels in turn; client k has about k/2 times as many rows as the smallest. */
static struct sl_dataset table(void)
{
    for (uint32_t i = 0; i < N_ROWS; i++) labels[i] = (float)(i % N_CLASSES);
    for (uint32_t i = 0; i < N_ROWS; i++) clients[i] = (uint32_t)(sqrt((double)i / N_ROWS) * N_CLIENTS);
    return (struct sl_dataset){.labels = labels, .n_rows = N_ROWS, .n_classes = N_CLASSES, .clients = clients, .n_clients = N_CLIENTS};
}

static void deal(const struct sl_dataset *d, uint32_t n_nodes, const char *specification, uint64_t seed, uint32_t *owner)
{
    for (uint32_t i = 0; i < d->n_rows; i++) owner[i] = UINT32_MAX;
    int error = sl_partition(d, n_nodes, specification, seed, owner, why, sizeof why);
    cr_assert_eq(error, SL_OK, "%s: %s", specification, why);
}

static void count(const uint32_t *owner, uint32_t n_rows, uint32_t n_nodes, uint32_t counts[N_NODES_MAX])
{
    memset(counts, 0, N_NODES_MAX * sizeof *counts);
    for (uint32_t i = 0; i < n_rows; i++) {
        cr_assert_lt(owner[i], n_nodes, "every row needs a node");
        counts[owner[i]]++;
    }
}

static void assert_refused(const struct sl_dataset *d, uint32_t n_nodes, const char *specification, int error, const char *words)
{
    uint32_t owner[N_ROWS];
    int got = sl_partition(d, n_nodes, specification, 1, owner, why, sizeof why);
    cr_assert_eq(got, error, "%s: %s (%s)", specification, sl_error_text(got), why);
    cr_assert(strstr(why, words), "it should say \"%s\" but says \"%s\"", words, why);
}

/* Mean over nodes of the share of a node's largest class: 1/N_CLASSES is even, 1 is one class a node. */
static double skew(const uint32_t *owner, uint32_t n_nodes)
{
    double sum = 0;
    for (uint32_t node = 0; node < n_nodes; node++) {
        uint32_t of_class[N_CLASSES] = {0}, n_rows = 0, largest = 0;
        for (uint32_t i = 0; i < N_ROWS; i++) {
            if (owner[i] != node) continue;
            n_rows++;
            of_class[(int)labels[i]]++;
        }
        for (int c = 0; c < N_CLASSES; c++) largest = of_class[c] > largest ? of_class[c] : largest;
        sum += (double)largest / n_rows;
    }
    return sum / n_nodes;
}

static const char *const specifications[] = {"iid",      "dirichlet:0.01", "dirichlet:0.5", "dirichlet:100",
                                             "shards:2", "quantity:0.001", "quantity:1",    "by:who"};
enum { N_SPECIFICATIONS = sizeof specifications / sizeof *specifications };

Test(partition, gives_every_row_to_one_node_and_every_node_rows)
{
    static const uint32_t sizes[] = {1, 2, 7, 40};
    struct sl_dataset d = table();
    for (int s = 0; s < N_SPECIFICATIONS; s++) {
        for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
            uint32_t owner[N_ROWS], counts[N_NODES_MAX];
            deal(&d, sizes[n], specifications[s], n, owner);
            count(owner, N_ROWS, sizes[n], counts);
            for (uint32_t node = 0; node < sizes[n]; node++) cr_assert_geq(counts[node], 1, "%s, %u nodes", specifications[s], sizes[n]);
        }
    }
}

Test(partition, is_a_function_of_the_seed)
{
    struct sl_dataset d = table();
    for (int s = 0; s < N_SPECIFICATIONS; s++) {
        uint32_t first[N_ROWS], again[N_ROWS], other[N_ROWS];
        deal(&d, 8, specifications[s], 42, first);
        deal(&d, 8, specifications[s], 42, again);
        deal(&d, 8, specifications[s], 43, other);
        cr_assert_arr_eq(first, again, sizeof first, "%s", specifications[s]);
        cr_assert(memcmp(first, other, sizeof first) != 0, "%s must heed the seed", specifications[s]);
    }
}

/* Splits stand in reports by their seed: a change of the stream would silently make them incomparable. */
Test(partition, stays_the_same_from_version_to_version)
{
    struct sl_dataset d = table();
    static const struct {
        const char *specification;
        uint64_t sum;
    } cases[] = {
        {"iid", 188889099}, {"dirichlet:0.5", 204061561}, {"shards:2", 805704238}, {"quantity:1", 62632759}, {"by:who", 559187894},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t owner[N_ROWS];
        uint64_t sum = 0;
        deal(&d, 8, cases[i].specification, 1, owner);
        for (uint32_t row = 0; row < N_ROWS; row++) sum = (sum * 31 + owner[row]) % 1000000007;
        cr_expect_eq(sum, cases[i].sum, "%s: %llu", cases[i].specification, (unsigned long long)sum);
    }
}

Test(partition, iid_gives_equal_counts_and_even_classes)
{
    struct sl_dataset d = table();
    uint32_t owner[N_ROWS], counts[N_NODES_MAX];
    deal(&d, 7, "iid", 1, owner);
    count(owner, N_ROWS, 7, counts);
    for (int node = 0; node < 7; node++) cr_assert(counts[node] == N_ROWS / 7 || counts[node] == N_ROWS / 7 + 1);
    cr_assert_lt(skew(owner, 7), 0.3);
}

Test(partition, dirichlet_is_more_even_the_larger_alpha_is)
{
    struct sl_dataset d = table();
    static const char *const from_skewed_to_even[] = {"dirichlet:0.05", "dirichlet:0.5", "dirichlet:5", "dirichlet:5000"};
    double before = 1.01;
    for (int i = 0; i < 4; i++) {
        double sum = 0;
        for (uint64_t seed = 0; seed < 10; seed++) {
            uint32_t owner[N_ROWS];
            deal(&d, 10, from_skewed_to_even[i], seed, owner);
            sum += skew(owner, 10) / 10;
        }
        cr_assert_lt(sum, before - 0.05, "%s: %g", from_skewed_to_even[i], sum);
        before = sum;
    }
    cr_assert_lt(before, 0.2, "a huge alpha is even");
}

Test(partition, dirichlet_leaves_no_node_with_less_than_two_rows_where_there_are_enough)
{
    struct sl_dataset d = table();
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint32_t owner[N_ROWS], counts[N_NODES_MAX];
        deal(&d, 60, "dirichlet:0.001", seed, owner);
        count(owner, N_ROWS, 60, counts);
        for (int node = 0; node < 60; node++) cr_assert_geq(counts[node], 2);
    }
}

Test(partition, shards_give_a_node_few_classes_and_equal_counts)
{
    struct sl_dataset d = table();
    uint32_t owner[N_ROWS], counts[N_NODES_MAX];
    deal(&d, 6, "shards:2", 3, owner);
    count(owner, N_ROWS, 6, counts);
    for (uint32_t node = 0; node < 6; node++) {
        bool seen[N_CLASSES] = {false};
        int n_seen = 0;
        for (uint32_t i = 0; i < N_ROWS; i++) {
            if (owner[i] == node) seen[(int)labels[i]] = true;
        }
        for (int c = 0; c < N_CLASSES; c++) n_seen += seen[c];
        cr_assert_eq(counts[node], N_ROWS / 6);
        cr_assert_leq(n_seen, 2);
    }
}

Test(partition, shards_deal_a_regression_by_its_target)
{
    float targets[] = {0.9f, 0.1f, 0.8f, 0.2f};
    struct sl_dataset d = {.labels = targets, .n_rows = 4};
    uint32_t owner[4];
    deal(&d, 2, "shards:1", 5, owner);
    cr_assert(owner[0] == owner[2] && owner[1] == owner[3] && owner[0] != owner[1]);
}

Test(partition, quantity_makes_some_nodes_rich)
{
    struct sl_dataset d = table();
    uint32_t owner[N_ROWS], counts[N_NODES_MAX], largest = 0;
    deal(&d, 10, "quantity:0.3", 1, owner);
    count(owner, N_ROWS, 10, counts);
    for (int node = 0; node < 10; node++) largest = counts[node] > largest ? counts[node] : largest;
    cr_assert_gt(largest, 2 * N_ROWS / 10);
}

Test(partition, by_keeps_clients_whole_and_groups_near_equal)
{
    struct sl_dataset d = table();
    uint32_t owner[N_ROWS], counts[N_NODES_MAX], node_of[N_CLIENTS], smallest = N_ROWS, largest = 0;
    memset(node_of, 0xFF, sizeof node_of);
    deal(&d, 6, "by:who", 1, owner);
    count(owner, N_ROWS, 6, counts);
    for (uint32_t i = 0; i < N_ROWS; i++) {
        if (node_of[clients[i]] == UINT32_MAX) node_of[clients[i]] = owner[i];
        cr_assert_eq(owner[i], node_of[clients[i]]);
    }
    for (int node = 0; node < 6; node++) {
        smallest = counts[node] < smallest ? counts[node] : smallest;
        largest = counts[node] > largest ? counts[node] : largest;
    }
    cr_assert_leq(largest - smallest, 20);
}

Test(partition, by_makes_each_client_its_node_when_the_numbers_agree)
{
    struct sl_dataset d = table();
    uint32_t owner[N_ROWS];
    deal(&d, N_CLIENTS, "by:who", 9, owner);
    cr_assert_arr_eq(owner, clients, sizeof owner);
}

Test(partition, feeds_as_many_nodes_as_there_are_rows)
{
    struct sl_dataset d = table();
    d.n_rows = N_NODES_MAX;
    static const char *const all[] = {"iid", "dirichlet:0.1", "shards:1", "quantity:0.1"};
    for (int i = 0; i < 4; i++) {
        uint32_t owner[N_ROWS], counts[N_NODES_MAX];
        deal(&d, N_NODES_MAX, all[i], 1, owner);
        count(owner, d.n_rows, N_NODES_MAX, counts);
        for (int node = 0; node < N_NODES_MAX; node++) cr_assert_eq(counts[node], 1, "%s", all[i]);
    }
}

Test(partition, refuses_with_a_sentence)
{
    struct sl_dataset d = table(), regression = table(), unknown = table();
    regression.n_classes = 0;
    unknown.clients = NULL;
    assert_refused(&d, 4, "random", SL_ERROR_FORMAT, "no split \"random\"; there are iid, dirichlet:ALPHA");
    assert_refused(&d, 4, "", SL_ERROR_FORMAT, "no split");
    assert_refused(&d, 4, "dir:1", SL_ERROR_FORMAT, "no split");
    assert_refused(&d, 0, "iid", SL_ERROR_OUT_OF_RANGE, "at least one node");
    assert_refused(&d, N_ROWS + 1, "iid", SL_ERROR_TOO_FEW, "1200 rows are too few for 1201 nodes");
    assert_refused(&d, 4, "iid:3", SL_ERROR_FORMAT, "iid takes no argument");
    assert_refused(&d, 4, "dirichlet", SL_ERROR_FORMAT, "dirichlet needs a number");
    assert_refused(&d, 4, "dirichlet:nan", SL_ERROR_FORMAT, "dirichlet needs a number");
    assert_refused(&d, 4, "dirichlet:0", SL_ERROR_OUT_OF_RANGE, "0.001 (most skewed) to 1e+06 (even)");
    assert_refused(&d, 4, "quantity:-1", SL_ERROR_OUT_OF_RANGE, "quantity:-1 is out of range");
    assert_refused(&regression, 4, "dirichlet:1", SL_ERROR_FORMAT, "a regression has none");
    assert_refused(&d, 4, "shards:two", SL_ERROR_FORMAT, "shards needs a count");
    assert_refused(&d, 4, "shards:0", SL_ERROR_OUT_OF_RANGE, "1 to 300 whole shards");
    assert_refused(&d, 4, "shards:1.5", SL_ERROR_OUT_OF_RANGE, "whole shards");
    assert_refused(&d, 4, "shards:301", SL_ERROR_OUT_OF_RANGE, "1200 rows give each of 4 nodes");
    assert_refused(&d, N_CLIENTS + 1, "by:who", SL_ERROR_TOO_FEW, "tells 40 clients apart, too few for 41 nodes");
    assert_refused(&unknown, 4, "by:who", SL_ERROR_FORMAT, "read without a column that tells the client");
}

Test(partition, refuses_a_node_whose_client_has_no_row_left)
{
    struct sl_dataset d = table();
    d.n_rows = 100;
    assert_refused(&d, N_CLIENTS, "by:who", SL_ERROR_TOO_FEW, "would get no row");
}

Test(partition, tells_the_reader_where_clients_stand)
{
    struct sl_read_options options = {.label = "last"};
    sl_partition_read_options("dirichlet:1", &options);
    cr_assert(!options.client_column && !options.client_file);
    sl_partition_read_options("by:ward", &options);
    cr_assert_str_eq(options.client_column, "ward");
    cr_assert_null(options.client_file);

    options = (struct sl_read_options){.label = "last"};
    sl_partition_read_options("by:writers.csv.gz:writer", &options);
    cr_assert_str_eq(options.client_file, "writers.csv.gz:writer");
    cr_assert_null(options.client_column);
}

Test(partition, lists_every_partitioner_with_a_summary)
{
    int n = 0;
    for (; sl_partitioners[n]; n++) cr_assert(sl_partitioners[n]->name[0] && sl_partitioners[n]->summary[0] && sl_partitioners[n]->assign);
    cr_assert_eq(n, 5);
}

/* Rows 0 .. n-1, each with its number as the only feature. */
static struct sl_dataset numbered(uint32_t n_rows)
{
    struct sl_dataset data = {.n_rows = n_rows, .n_features = 1, .n_classes = 2, .features = calloc(n_rows, sizeof(float)),
                              .labels = calloc(n_rows, sizeof(float))};
    for (uint32_t i = 0; i < n_rows; i++) data.features[i] = (float)i, data.labels[i] = (float)(i % 2);
    return data;
}

Test(keep_test, moves_a_fifth_of_the_rows_and_loses_none)
{
    struct sl_dataset data = numbered(103), test = {0};
    uint32_t seen[103] = {0};

    cr_assert_eq(sl_keep_test(&data, 7, &test), SL_OK);

    cr_assert_eq(test.n_rows, 20);
    cr_assert_eq(data.n_rows, 83);
    for (uint32_t i = 0; i < test.n_rows; i++) seen[(uint32_t)test.features[i]]++;
    for (uint32_t i = 0; i < data.n_rows; i++) seen[(uint32_t)data.features[i]]++;
    for (uint32_t i = 0; i < 103; i++) cr_assert_eq(seen[i], 1, "row %u", i);
    cr_assert_eq(data.labels[0], (float)((uint32_t)data.features[0] % 2), "labels stay with their rows");
    sl_dataset_finish(&data);
    sl_dataset_finish(&test);
}

Test(keep_test, follows_from_the_seed_alone)
{
    struct sl_dataset data[3] = {numbered(50), numbered(50), numbered(50)}, test[3] = {0};
    for (int i = 0; i < 3; i++) cr_assert_eq(sl_keep_test(&data[i], i < 2 ? 1 : 2, &test[i]), SL_OK);

    cr_assert_arr_eq(test[0].features, test[1].features, 10 * sizeof(float));
    cr_assert_arr_eq(data[0].features, data[1].features, 40 * sizeof(float));
    cr_assert_arr_neq(test[0].features, test[2].features, 10 * sizeof(float));
    for (int i = 0; i < 3; i++) sl_dataset_finish(&data[i]), sl_dataset_finish(&test[i]);
}

Test(keep_test, leaves_a_handful_of_rows_alone)
{
    struct sl_dataset data = numbered(4), test = {0};

    cr_assert_eq(sl_keep_test(&data, 1, &test), SL_ERROR_TOO_FEW);

    cr_assert_eq(data.n_rows, 4);
    cr_assert_null(test.features);
    sl_dataset_finish(&data);
}
