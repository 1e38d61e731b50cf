/* SPDX-License-Identifier: MIT */
/* Prints the kept text trace-hash.txt: the hashes of two short runs of stub nodes. */
#include <stdio.h>

#include "cluster.h"
#include "starling/error.h"

static const char heading[] =
    "# Hashes of all events and frames of two short runs of stub nodes. Every compiler, optimisation and processor gives the same ones.\n"
    "# Renewing them is right when a change was meant to alter what nodes say, when they say it, or what they draw at random. Where only\n"
    "# some builds give other hashes, something depends on the machine: then the code is to be mended, not this file.\n";

static const char storm[] =
    "at 0s loss 0.05\nat 0s duplicate 0.2\nat 0s reorder 0.2\nat 0s store-fail 0.05\nat 1e churn 0.2\nat 2e partition 0-5/6-11\nat 3e heal\n"
    "at 2e crash 1 for 1e with old state\nat 4e calm\n";

static const struct { const char *name; double n_epochs; struct cluster_options options; } runs[] = {
    {"calm", 5, {.n_nodes = 8, .seed = 1, .hash = true}},
    {"storm", 7, {.n_nodes = 12, .seed = 2, .scenario = storm, .hash = true}},
};

static bool print_run(const char *name, double n_epochs, const struct cluster_options *options)
{
    uint8_t hash[32];
    struct cluster *cluster = cluster_new(options);
    if (!cluster) return false;

    int error = cluster_run(cluster, n_epochs);
    if (error) fprintf(stderr, "trace_hash: %s\n", cluster->why);
    sl_sim_hash(cluster->sim, hash);
    cluster_destroy(&cluster);
    printf("%-5s ", name);
    for (int i = 0; i < 32; i++) printf("%02x", hash[i]);
    printf("\n");
    return error == SL_OK;
}

int main(void)
{
    bool is_fine = true;
    fputs(heading, stdout);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) is_fine &= print_run(runs[i].name, runs[i].n_epochs, &runs[i].options);
    return !is_fine;
}
