/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cluster.h"
#include "starling/error.h"

/* formation N EPOCHS PERCENT: N stub nodes with default options and nothing that goes wrong. At least PERCENT of the node-epochs must give an aggregate. */

static double share_with_aggregate(const struct cluster *cluster)
{
    uint64_t n_with = 0, n_all = 0;
    for (uint32_t i = 0; i < cluster->n_nodes; i++) {
        struct sl_status status;
        sl_sim_status(cluster->sim, i, &status);
        n_with += status.epochs_with_aggregate;
        n_all += status.epochs_seen;
    }
    return n_all > 0 ? (double)n_with / (double)n_all : 0;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: formation N EPOCHS PERCENT\nexample: formation 16 20 90\n", stderr);
        return 4;
    }
    double n_epochs = strtod(argv[2], NULL), wanted = strtod(argv[3], NULL);
    struct cluster *cluster = cluster_new(&(struct cluster_options){.n_nodes = (uint32_t)strtoul(argv[1], NULL, 10), .seed = 1});
    if (!cluster) return 1;

    int error = cluster_run(cluster, n_epochs + 1);          /* in the first nodes only start */
    double percent = 100 * share_with_aggregate(cluster);
    if (error) printf("%s\n", cluster->why);
    printf("%" PRIu32 " nodes, %g epochs: %.1f %% of the node-epochs gave an aggregate, %g %% wanted\n", cluster->n_nodes, n_epochs, percent, wanted);
    cluster_destroy(&cluster);
    return error || !(percent >= wanted);
}
