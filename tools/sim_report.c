/* SPDX-License-Identifier: MIT */
#include "sim_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct figures report_figures(const struct report *report, bool own)
{
    struct figures out = {NAN, NAN, NAN, NAN, NAN, 0};
    double *sorted = calloc(report->n_nodes, sizeof *sorted), sum = 0, squares = 0, worst = 0;
    if (!sorted) return out;

    for (uint32_t i = 0; i < report->n_nodes; i++) {
        double figure = own ? report->nodes[i].own_figure : report->nodes[i].figure;
        if (!isnan(figure)) sorted[out.n++] = report->task == SL_TASK_REGRESS ? -figure : figure;        /* higher is better from here on */
    }
    uint32_t n = out.n, n_worst = n / 10 > 0 ? n / 10 : 1;
    if (n > 0) {
        double sign = report->task == SL_TASK_REGRESS ? -1 : 1;
        qsort(sorted, n, sizeof *sorted, compare_numbers);
        for (uint32_t i = 0; i < n; i++) sum += sorted[i];
        for (uint32_t i = 0; i < n; i++) squares += (sorted[i] - sum / n) * (sorted[i] - sum / n);
        for (uint32_t i = 0; i < n_worst; i++) worst += sorted[i];
        out = (struct figures){.mean = sign * sum / n, .worst_tenth = sign * worst / n_worst, .std = sqrt(squares / n), .n = n};
        out.min = fmin(sign * sorted[0], sign * sorted[n - 1]);
        out.max = fmax(sign * sorted[0], sign * sorted[n - 1]);
    }
    free(sorted);
    return out;
}

/* A number, or null where JSON has no word for it. */
static void write_number(FILE *file, const char *key, double number, const char *end)
{
    if (isfinite(number)) fprintf(file, "\"%s\":%.6g%s", key, number, end);
    else fprintf(file, "\"%s\":null%s", key, end);
}

static void write_node(const struct report *report, uint32_t i, FILE *file)
{
    const struct node_report *node = &report->nodes[i];
    bool regresses = report->task == SL_TASK_REGRESS;
    fprintf(file, "%s{\"id\":%" PRIu32 ",", i > 0 ? "," : "", i);
    write_number(file, regresses ? "rmse" : "accuracy", node->figure, ",");
    write_number(file, regresses ? "own_rmse" : "own_accuracy", node->own_figure, ",");
    fprintf(file, "\"epochs\":%" PRIu64 ",\"bytes_sent\":%" PRIu64 ",\"bytes_received\":%" PRIu64 ",", node->epochs, node->bytes_sent, node->bytes_received);
    write_number(file, "cpu_s", node->cpu_s, ",");
    fprintf(file, "\"rss_max_bytes\":%" PRIu64 ",\"signature_checks\":%" PRIu64 "}", report->rss_max_bytes / report->n_nodes, node->signature_checks);
}

static void sum_epochs(const struct report *report, uint64_t *with_aggregate, uint64_t *total)
{
    *with_aggregate = *total = 0;
    for (uint32_t i = 0; i < report->n_nodes; i++) {
        *with_aggregate += report->nodes[i].with_aggregate;
        *total += report->nodes[i].epochs;
    }
}

void report_write_json(const struct report *report, FILE *file)
{
    struct figures figures = report_figures(report, false);
    uint64_t with_aggregate, total;
    sum_epochs(report, &with_aggregate, &total);

    fprintf(file, "{\"schema_version\":1,\"%s\":{", report->task == SL_TASK_REGRESS ? "rmse" : "accuracy");
    write_number(file, "mean", figures.mean, ",");
    write_number(file, "worst_tenth", figures.worst_tenth, ",");
    write_number(file, "min", figures.min, ",");
    if (report->task == SL_TASK_REGRESS) write_number(file, "max", figures.max, ",");
    write_number(file, "std", figures.std, "},\"nodes\":[");
    for (uint32_t i = 0; i < report->n_nodes; i++) write_node(report, i, file);
    fprintf(file, "],\"cohorts\":{\"completed\":%" PRIu64 ",\"void\":%" PRIu64 "},\"node_epochs\":{\"with_aggregate\":%" PRIu64 ",\"total\":%" PRIu64 "},",
            report->cohorts_completed, report->cohorts_void, with_aggregate, total);
    if (report->more_json) report->more_json(report->more_context, file);
    if (report->trace_hash) fprintf(file, "\"trace_hash\":\"%s\",", report->trace_hash);
    fprintf(file, "\"rss_max_bytes\":%" PRIu64 ",", report->rss_max_bytes);
    write_number(file, "cpu_s", report->cpu_s, ",");
    write_number(file, "wall_s", report->wall_s, "}\n");
}

static void write_exchange(const struct report *report, uint64_t bytes, uint64_t checks, FILE *file)
{
    uint64_t with_aggregate, total;
    sum_epochs(report, &with_aggregate, &total);
    double per_epoch = total > 0 ? 1.0 / (double)total : 0;
    fprintf(file, "%-12s %" PRIu64 " of %" PRIu64 " node-epochs (%.1f %%); %" PRIu64 " cohorts completed, %" PRIu64 " void\n", "aggregates",
            with_aggregate, total, 100 * (double)with_aggregate * per_epoch, report->cohorts_completed, report->cohorts_void);
    fprintf(file, "%-12s checked %" PRIu64 " aggregates against plain means, skipped %" PRIu64 "\n", "", report->means_checked, report->means_skipped);
    fprintf(file, "%-12s %.1f KB sent, %.1f signatures checked\n", "node-epoch", (double)bytes * per_epoch / 1e3, (double)checks * per_epoch);
}

void report_write_table(const struct report *report, FILE *file)
{
    bool regresses = report->task == SL_TASK_REGRESS;
    const char *name = regresses ? "rmse" : "accuracy";
    struct figures all = report_figures(report, false), own = report_figures(report, true);
    uint64_t bytes = 0, checks = 0;
    for (uint32_t i = 0; i < report->n_nodes; i++) {
        bytes += report->nodes[i].bytes_sent;
        checks += report->nodes[i].signature_checks;
    }
    fprintf(file, "\n%-12s mean %.4f   worst tenth %.4f   %s %.4f   std %.4f   (%" PRIu32 " of %" PRIu32 " nodes)\n", name, all.mean, all.worst_tenth,
            regresses ? "max" : "min", regresses ? all.max : all.min, all.std, all.n, report->n_nodes);
    if (own.n > 0)
        fprintf(file, "%-12s mean %.4f   worst tenth %.4f   on the rows each node keeps back\n", regresses ? "own rmse" : "own accuracy",
                own.mean, own.worst_tenth);
    if (bytes > 0) write_exchange(report, bytes, checks, file);
    if (report->more_lines) report->more_lines(report->more_context, file);
    fprintf(file, "%-12s %.2f s CPU, %.2f s wall, %.1f MB memory at most\n", "process", report->cpu_s, report->wall_s, (double)report->rss_max_bytes / 1e6);
    if (report->trace_hash) fprintf(file, "%s\n", report->trace_hash);
}
