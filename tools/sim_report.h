/* SPDX-License-Identifier: MIT */
#ifndef SL_TOOLS_SIM_REPORT_H
#define SL_TOOLS_SIM_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "starling/model.h"

/* The outcome of a simulation. Figures are accuracies, or root mean squared errors of a regression; NaN: not known (a node that was down at the end). */
struct node_report {
    double figure, own_figure;               /* on the common test set; on the rows the node keeps back */
    uint64_t epochs, with_aggregate, bytes_sent, bytes_received, signature_checks;
    double cpu_s;
};

struct report {
    enum sl_task task;
    uint32_t n_nodes;
    struct node_report *nodes;
    uint64_t cohorts_completed, cohorts_void;
    uint64_t means_checked, means_skipped;   /* aggregates compared with the plain mean of their members */
    double cpu_s, wall_s;
    uint64_t rss_max_bytes;                  /* of the process */
    void (*more_json)(const void *context, FILE *file);      /* members of the object before the costs, each with a comma behind it; NULL: none */
    void (*more_lines)(const void *context, FILE *file);
    const void *more_context;
    const char *trace_hash;                  /* 64 digits, or NULL */
};

struct figures { double mean, worst_tenth, min, max, std; uint32_t n; };         /* worst: the lowest accuracies, the highest errors of a regression */

/* Over the nodes that have a figure; own: the own rows. */
struct figures report_figures(const struct report *report, bool own);

void report_write_json(const struct report *report, FILE *file);
void report_write_table(const struct report *report, FILE *file);

#endif
