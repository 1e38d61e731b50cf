/* SPDX-License-Identifier: MIT */
#include "data/partition.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "data/number.h"
#include "data/source.h"
#include "starling/error.h"

enum { DRAWS_MAX = 100, TEST_SHARE = 5 };

static const double alpha_min = 0.001, alpha_max = 1e6;

struct item {
    float label;
    uint32_t place, row; /* `place` makes every key different, so that any sort gives the same order */
};

static int compare_items(const void *a, const void *b)
{
    const struct item *left = a, *right = b;
    if (left->label != right->label) return left->label < right->label ? -1 : 1;
    return left->place < right->place ? -1 : left->place > right->place;
}

static int refuse_memory(char *why, size_t why_size)
{
    return SL_REFUSE(why, why_size, SL_ERROR_NO_MEMORY, "not enough memory to deal out the rows");
}

/* All rows in random order, to be freed. */
static uint32_t *shuffled_rows(uint32_t n_rows, const struct sl_rng *root)
{
    uint32_t *rows = malloc(n_rows * sizeof *rows);
    if (!rows) return NULL;

    struct sl_rng rng = sl_rng_fork(root, "order", 0);
    for (uint32_t i = 0; i < n_rows; i++) rows[i] = i;
    sl_rng_shuffle(&rng, rows, n_rows);
    return rows;
}

/* All rows by label, in random order within a label; to be freed. */
static uint32_t *rows_by_label(const struct sl_dataset *dataset, const struct sl_rng *root)
{
    uint32_t *rows = shuffled_rows(dataset->n_rows, root);
    struct item *items = malloc(dataset->n_rows * sizeof *items);
    if (!rows || !items) {
        free(rows);
        free(items);
        return NULL;
    }
    for (uint32_t i = 0; i < dataset->n_rows; i++) items[i] = (struct item){.label = dataset->labels[rows[i]], .place = i, .row = rows[i]};
    qsort(items, dataset->n_rows, sizeof *items, compare_items);
    for (uint32_t i = 0; i < dataset->n_rows; i++) rows[i] = items[i].row;
    free(items);
    return rows;
}

/* Logarithm of a Gamma(shape, 1) draw (Marsaglia and Tsang, 2000): for small shapes the draw itself would often underflow to 0. */
static double draw_log_gamma(struct sl_rng *rng, double shape)
{
    double boost = shape < 1 ? log(1 - sl_rng_uniform(rng)) / shape : 0;
    double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = sl_rng_normal(rng), root = 1 + c * x, v = root * root * root;
        if (v <= 0) continue;
        double u = 1 - sl_rng_uniform(rng);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return log(d * v) + boost;
    }
}

/* Shares of n nodes ~ Dirichlet(alpha, ..., alpha), as running sums. */
static void draw_shares(struct sl_rng *rng, double alpha, double *sums, uint32_t n)
{
    double largest = -INFINITY, total = 0;
    for (uint32_t i = 0; i < n; i++) {
        sums[i] = draw_log_gamma(rng, alpha);
        if (sums[i] > largest) largest = sums[i];
    }
    for (uint32_t i = 0; i < n; i++) sums[i] = total += exp(sums[i] - largest);
    for (uint32_t i = 0; i < n; i++) sums[i] /= total;
}

/* Cuts a run of rows into pieces by running sums of shares. */
static void cut_run(const uint32_t *rows, uint32_t n_rows, const double *sums, uint32_t n_nodes, uint32_t *owner)
{
    uint32_t begin = 0;
    for (uint32_t node = 0; node < n_nodes; node++) {
        uint32_t end = node + 1 == n_nodes ? n_rows : (uint32_t)floor(sums[node] * n_rows + 0.5);
        for (; begin < end; begin++) owner[rows[begin]] = node;
    }
}

static uint32_t length_of_run(const struct sl_dataset *dataset, const uint32_t *rows, uint32_t n_rows)
{
    uint32_t length = 1;
    while (length < n_rows && dataset->labels[rows[length]] == dataset->labels[rows[0]]) length++;
    return length;
}

static void count_rows(const uint32_t *owner, uint32_t n_rows, uint32_t *counts, uint32_t n_nodes)
{
    memset(counts, 0, n_nodes * sizeof *counts);
    for (uint32_t i = 0; i < n_rows; i++) counts[owner[i]]++;
}

static uint32_t find_smallest(const uint32_t *counts, uint32_t n)
{
    uint32_t smallest = 0;
    for (uint32_t i = 1; i < n; i++) {
        if (counts[i] < counts[smallest]) smallest = i;
    }
    return smallest;
}

static uint32_t find_largest(const uint32_t *counts, uint32_t n)
{
    uint32_t largest = 0;
    for (uint32_t i = 1; i < n; i++) {
        if (counts[i] > counts[largest]) largest = i;
    }
    return largest;
}

/* Takes rows from the largest nodes until none has fewer than n_min. */
static void feed_poorest(const uint32_t *rows, uint32_t n_rows, uint32_t n_min, uint32_t *counts, uint32_t n_nodes, uint32_t *owner)
{
    for (;;) {
        uint32_t poorest = find_smallest(counts, n_nodes), richest = find_largest(counts, n_nodes), i = 0;
        if (counts[poorest] >= n_min) return;

        while (i + 1 < n_rows && owner[rows[i]] != richest) i++;
        owner[rows[i]] = poorest;
        counts[richest]--;
        counts[poorest]++;
    }
}

/* Cuts every label's rows, or all rows at once, by shares drawn anew for each, until no node stays almost empty. */
static int deal_by_shares(const struct sl_dataset *dataset, uint32_t n_nodes, double alpha, bool by_label, const uint8_t seed[32],
                          uint32_t *owner, char *why, size_t why_size)
{
    struct sl_rng root;
    sl_rng_init(&root, seed);
    uint32_t n_rows = dataset->n_rows, n_min = n_rows / 2 >= n_nodes ? 2 : 1;
    uint32_t *rows = by_label ? rows_by_label(dataset, &root) : shuffled_rows(n_rows, &root);
    uint32_t *counts = malloc(n_nodes * sizeof *counts);
    double *sums = malloc(n_nodes * sizeof *sums);
    int error = SL_OK;
    if (!rows || !counts || !sums) {
        error = refuse_memory(why, why_size);
        goto out;
    }

    for (uint32_t draw = 0; draw < DRAWS_MAX; draw++) {
        struct sl_rng rng = sl_rng_fork(&root, "shares", draw);
        for (uint32_t begin = 0, length; begin < n_rows; begin += length) {
            length = by_label ? length_of_run(dataset, rows + begin, n_rows - begin) : n_rows;
            draw_shares(&rng, alpha, sums, n_nodes);
            cut_run(rows + begin, length, sums, n_nodes, owner);
        }
        count_rows(owner, n_rows, counts, n_nodes);
        if (counts[find_smallest(counts, n_nodes)] >= n_min) goto out;
    }
    feed_poorest(rows, n_rows, n_min, counts, n_nodes, owner);
out:
    free(rows);
    free(counts);
    free(sums);
    return error;
}

static int parse_alpha(const char *name, const char *argument, double *out, char *why, size_t why_size)
{
    if (!sl_number_parse(argument, out))
        return SL_REFUSE(why, why_size, SL_ERROR_FORMAT, "%s needs a number, as in %s:0.5, not \"%s\"", name, name, argument);

    bool in_range = *out >= alpha_min && *out <= alpha_max;
    if (in_range) return SL_OK;
    return SL_REFUSE(why, why_size, SL_ERROR_OUT_OF_RANGE, "%s:%s is out of range: %g (most skewed) to %g (even)", name, argument,
                     alpha_min, alpha_max);
}

static int deal_iid(const struct sl_dataset *dataset, uint32_t n_nodes, const char *argument, const uint8_t seed[32], uint32_t *owner,
                    char *why, size_t why_size)
{
    if (*argument) return SL_REFUSE(why, why_size, SL_ERROR_FORMAT, "iid takes no argument, not \"%s\"", argument);

    struct sl_rng root;
    sl_rng_init(&root, seed);
    uint32_t *rows = shuffled_rows(dataset->n_rows, &root);
    if (!rows) return refuse_memory(why, why_size);

    for (uint32_t i = 0; i < dataset->n_rows; i++) owner[rows[i]] = i % n_nodes;
    free(rows);
    return SL_OK;
}

/* Label skew as in Hsu, Qi and Brown (2019): each class is dealt out by shares of its own. */
static int deal_dirichlet(const struct sl_dataset *dataset, uint32_t n_nodes, const char *argument, const uint8_t seed[32], uint32_t *owner,
                          char *why, size_t why_size)
{
    double alpha;
    int error = parse_alpha("dirichlet", argument, &alpha, why, why_size);
    if (error) return error;
    if (dataset->n_classes == 0)
        return SL_REFUSE(why, why_size, SL_ERROR_FORMAT,
                         "dirichlet deals by class, and a regression has none; quantity, shards, by and iid work");

    return deal_by_shares(dataset, n_nodes, alpha, true, seed, owner, why, why_size);
}

/* Label skew as in McMahan et al. (2017): the rows in order of their label are cut into equal shards, and each node gets K of them. */
static int deal_shards(const struct sl_dataset *dataset, uint32_t n_nodes, const char *argument, const uint8_t seed[32], uint32_t *owner,
                       char *why, size_t why_size)
{
    double number;
    if (!sl_number_parse(argument, &number))
        return SL_REFUSE(why, why_size, SL_ERROR_FORMAT, "shards needs a count, as in shards:2, not \"%s\"", argument);
    bool in_range = number >= 1 && number <= dataset->n_rows / n_nodes && number == floor(number);
    if (!in_range)
        return SL_REFUSE(why, why_size, SL_ERROR_OUT_OF_RANGE,
                         "shards:%s is out of range: %u rows give each of %u nodes 1 to %u whole shards", argument, dataset->n_rows,
                         n_nodes, dataset->n_rows / n_nodes);

    struct sl_rng root, rng;
    sl_rng_init(&root, seed);
    rng = sl_rng_fork(&root, "shards", 0);
    uint32_t n_each = (uint32_t)number, n_shards = n_each * n_nodes;
    uint32_t *rows = rows_by_label(dataset, &root), *shards = malloc(n_shards * sizeof *shards);
    int error = rows && shards ? SL_OK : refuse_memory(why, why_size);
    if (error) goto out;

    for (uint32_t i = 0; i < n_shards; i++) shards[i] = i;
    sl_rng_shuffle(&rng, shards, n_shards);
    for (uint32_t i = 0; i < n_shards; i++) {
        uint64_t begin = (uint64_t)shards[i] * dataset->n_rows / n_shards, end = ((uint64_t)shards[i] + 1) * dataset->n_rows / n_shards;
        for (; begin < end; begin++) owner[rows[begin]] = i / n_each;
    }
out:
    free(rows);
    free(shards);
    return error;
}

static int deal_quantity(const struct sl_dataset *dataset, uint32_t n_nodes, const char *argument, const uint8_t seed[32], uint32_t *owner,
                         char *why, size_t why_size)
{
    double alpha;
    int error = parse_alpha("quantity", argument, &alpha, why, why_size);
    return error ? error : deal_by_shares(dataset, n_nodes, alpha, false, seed, owner, why, why_size);
}

struct client {
    uint32_t n_rows, place, number; /* `place` in a random order */
};

static unsigned length_in_bits(uint32_t number)
{
    unsigned n = 0;
    for (; number > 0; number >>= 1) n++;
    return n;
}

/* Largest first, but only to the power of two: within it the random order decides, so that each seed groups anew. */
static int compare_clients(const void *a, const void *b)
{
    const struct client *left = a, *right = b;
    unsigned left_size = length_in_bits(left->n_rows), right_size = length_in_bits(right->n_rows);
    if (left_size != right_size) return left_size > right_size ? -1 : 1;
    return left->place < right->place ? -1 : left->place > right->place;
}

/* The clients from large to small, similar ones in random order; to be freed. */
static struct client *sorted_clients(const struct sl_dataset *dataset, const struct sl_rng *root)
{
    struct client *clients = calloc(dataset->n_clients, sizeof *clients);
    uint32_t *order = shuffled_rows(dataset->n_clients, root);
    for (uint32_t i = 0; clients && order && i < dataset->n_clients; i++)
        clients[order[i]] = (struct client){.place = i, .number = order[i]};
    for (uint32_t i = 0; clients && i < dataset->n_rows; i++) clients[dataset->clients[i]].n_rows++;
    if (clients && order) {
        qsort(clients, dataset->n_clients, sizeof *clients, compare_clients);
    } else {
        free(clients);
        clients = NULL;
    }
    free(order);
    return clients;
}

/* node_of[client]: one node a client where the counts agree, otherwise the largest client goes to the smallest node, again and again. */
static int group_clients(const struct sl_dataset *dataset, uint32_t n_nodes, const uint8_t seed[32], uint32_t *node_of)
{
    if (dataset->n_clients == n_nodes) {
        for (uint32_t i = 0; i < n_nodes; i++) node_of[i] = i;
        return SL_OK;
    }

    struct sl_rng root;
    sl_rng_init(&root, seed);
    struct client *clients = sorted_clients(dataset, &root);
    uint32_t *counts = calloc(n_nodes, sizeof *counts);
    int error = clients && counts ? SL_OK : SL_ERROR_NO_MEMORY;
    for (uint32_t i = 0; !error && i < dataset->n_clients; i++) {
        uint32_t node = find_smallest(counts, n_nodes);
        node_of[clients[i].number] = node;
        counts[node] += clients[i].n_rows;
    }
    free(clients);
    free(counts);
    return error;
}

static int deal_by_client(const struct sl_dataset *dataset, uint32_t n_nodes, const char *argument, const uint8_t seed[32], uint32_t *owner,
                          char *why, size_t why_size)
{
    if (!dataset->clients)
        return SL_REFUSE(why, why_size, SL_ERROR_FORMAT, "by:%s: the data were read without a column that tells the client of each row",
                         argument);
    if (dataset->n_clients < n_nodes)
        return SL_REFUSE(why, why_size, SL_ERROR_TOO_FEW, "by:%s tells %u clients apart, too few for %u nodes", argument,
                         dataset->n_clients, n_nodes);

    uint32_t *node_of = malloc(dataset->n_clients * sizeof *node_of);
    if (!node_of || group_clients(dataset, n_nodes, seed, node_of)) {
        free(node_of);
        return refuse_memory(why, why_size);
    }
    for (uint32_t i = 0; i < dataset->n_rows; i++) owner[i] = node_of[dataset->clients[i]];
    free(node_of);
    return SL_OK;
}

static const struct sl_partitioner *find_partitioner(const char *name, size_t size)
{
    for (size_t i = 0; sl_partitioners[i]; i++) {
        if (strlen(sl_partitioners[i]->name) == size && memcmp(sl_partitioners[i]->name, name, size) == 0) return sl_partitioners[i];
    }
    return NULL;
}

/* A dataset that was taken from another may know clients without a row. */
static int check_every_node(const uint32_t *owner, uint32_t n_rows, uint32_t n_nodes, char *why, size_t why_size)
{
    uint32_t *counts = malloc(n_nodes * sizeof *counts);
    if (!counts) return refuse_memory(why, why_size);

    count_rows(owner, n_rows, counts, n_nodes);
    uint32_t smallest = find_smallest(counts, n_nodes);
    bool fed = counts[smallest] > 0;
    free(counts);
    return fed ? SL_OK : SL_REFUSE(why, why_size, SL_ERROR_TOO_FEW, "node %u would get no row: its client has none", smallest);
}

int sl_partition(const struct sl_dataset *dataset, uint32_t n_nodes, const char *specification, uint64_t seed, uint32_t *owner, char *why,
                 size_t why_size)
{
    size_t name_size = strcspn(specification, ":");
    const struct sl_partitioner *partitioner = find_partitioner(specification, name_size);
    if (!partitioner)
        return SL_REFUSE(why, why_size, SL_ERROR_FORMAT,
                         "no split \"%s\"; there are iid, dirichlet:ALPHA, shards:K, quantity:ALPHA, by:COLUMN, by:FILE:COLUMN",
                         specification);
    if (n_nodes == 0) return SL_REFUSE(why, why_size, SL_ERROR_OUT_OF_RANGE, "at least one node is needed");
    if (n_nodes > dataset->n_rows)
        return SL_REFUSE(why, why_size, SL_ERROR_TOO_FEW, "%u rows are too few for %u nodes", dataset->n_rows, n_nodes);

    uint8_t whole_seed[32];
    struct sl_hash hash;
    sl_hash_init(&hash, "partition");
    sl_hash_u64(&hash, seed);
    sl_hash_final(&hash, whole_seed);

    const char *argument = specification + name_size + (specification[name_size] == ':');
    int error = partitioner->assign(dataset, n_nodes, argument, whole_seed, owner, why, why_size);
    return error ? error : check_every_node(owner, dataset->n_rows, n_nodes, why, why_size);
}

void sl_partition_read_options(const char *specification, struct sl_read_options *options)
{
    if (strncmp(specification, "by:", 3) != 0) return;

    const char *argument = specification + 3;
    if (strchr(argument, ':'))
        options->client_file = argument;
    else
        options->client_column = argument;
}

static uint32_t *draw_order(uint32_t n_rows, uint64_t number)
{
    uint32_t *rows = calloc(n_rows, sizeof *rows);
    if (!rows) return NULL;

    struct sl_hash hash;
    struct sl_rng rng;
    uint8_t seed[32];
    sl_hash_init(&hash, "test set");
    sl_hash_u64(&hash, number);
    sl_hash_final(&hash, seed);
    sl_rng_init(&rng, seed);
    for (uint32_t i = 0; i < n_rows; i++) rows[i] = i;
    sl_rng_shuffle(&rng, rows, n_rows);
    return rows;
}

int sl_keep_test(struct sl_dataset *data, uint64_t seed, struct sl_dataset *test)
{
    uint32_t n_test = data->n_rows / TEST_SHARE;
    if (n_test == 0) return SL_ERROR_TOO_FEW;

    uint32_t *rows = draw_order(data->n_rows, seed);
    struct sl_dataset kept = {0}, rest = {0};
    bool done = rows && sl_dataset_take(data, rows, n_test, &kept) == SL_OK &&
                sl_dataset_take(data, rows + n_test, data->n_rows - n_test, &rest) == SL_OK;
    free(rows);
    if (!done) {
        sl_dataset_finish(&kept);
        return SL_ERROR_NO_MEMORY;
    }
    sl_dataset_finish(data);
    *data = rest;
    *test = kept;
    return SL_OK;
}

static const struct sl_partitioner iid = {
    .name = "iid",
    .summary = "shuffle, equal counts",
    .assign = deal_iid,
};

static const struct sl_partitioner dirichlet = {
    .name = "dirichlet",
    .summary = "dirichlet:ALPHA, each class dealt by shares drawn from a Dirichlet distribution; small is skewed",
    .assign = deal_dirichlet,
};

static const struct sl_partitioner shards = {
    .name = "shards",
    .summary = "shards:K, each node gets K pieces of the rows in order of their label",
    .assign = deal_shards,
};

static const struct sl_partitioner quantity = {
    .name = "quantity",
    .summary = "quantity:ALPHA, numbers of rows by shares drawn from a Dirichlet distribution",
    .assign = deal_quantity,
};

static const struct sl_partitioner by = {
    .name = "by",
    .summary = "by:COLUMN or by:FILE:COLUMN, natural clients, each whole on one node",
    .assign = deal_by_client,
};

const struct sl_partitioner *const sl_partitioners[] = {&iid, &dirichlet, &shards, &quantity, &by, NULL};
