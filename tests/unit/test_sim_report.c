/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../tools/sim_report.h"

enum { NODES = 20 };

static struct node_report nodes[NODES];

/* Figures .01, .02 ... .20 */
static struct report make(enum sl_task task)
{
    for (uint32_t i = 0; i < NODES; i++) nodes[i] = (struct node_report){.figure = (i + 1) / 100.0, .own_figure = NAN, .epochs = 10, .with_aggregate = 9};
    return (struct report){.task = task, .n_nodes = NODES, .nodes = nodes, .cohorts_completed = 5, .cohorts_void = 1, .cpu_s = 2, .wall_s = 3};
}

static void write_json(const struct report *report, char *out, size_t size)
{
    FILE *file = fmemopen(out, size, "w");
    report_write_json(report, file);
    fclose(file);
}

Test(sim_report, takes_the_lowest_accuracies_as_the_worst_tenth)
{
    struct report report = make(SL_TASK_CLASSIFY);
    struct figures figures = report_figures(&report, false);

    cr_assert_float_eq(figures.mean, .105, 1e-12);
    cr_assert_float_eq(figures.worst_tenth, .015, 1e-12);
    cr_assert_float_eq(figures.min, .01, 1e-12);
    cr_assert_float_eq(figures.std, sqrt(33.25) / 100, 1e-12);
}

Test(sim_report, takes_the_highest_errors_as_the_worst_tenth)
{
    struct report report = make(SL_TASK_REGRESS);
    struct figures figures = report_figures(&report, false);

    cr_assert_float_eq(figures.mean, .105, 1e-12);
    cr_assert_float_eq(figures.worst_tenth, .195, 1e-12);
    cr_assert_float_eq(figures.min, .01, 1e-12);
    cr_assert_float_eq(figures.max, .20, 1e-12);
}

Test(sim_report, counts_at_least_one_node_as_the_worst_tenth)
{
    struct report report = make(SL_TASK_CLASSIFY);
    report.n_nodes = 3;

    cr_assert_float_eq(report_figures(&report, false).worst_tenth, .01, 1e-12);
}

Test(sim_report, leaves_out_nodes_without_a_figure)
{
    struct report report = make(SL_TASK_CLASSIFY);
    nodes[0].figure = NAN;

    struct figures figures = report_figures(&report, false);

    cr_assert_eq(figures.n, NODES - 1);
    cr_assert_float_eq(figures.min, .02, 1e-12);
    cr_assert_eq(report_figures(&report, true).n, 0);
}

Test(sim_report, writes_null_where_a_number_is_not_known)
{
    char text[8192] = "";
    struct report report = make(SL_TASK_CLASSIFY);
    report.n_nodes = 1;
    nodes[0].figure = NAN;

    write_json(&report, text, sizeof text);

    cr_assert(strstr(text, "\"accuracy\":{\"mean\":null"), "%s", text);
    cr_assert(strstr(text, "\"own_accuracy\":null"), "%s", text);
    cr_assert_null(strstr(text, "nan"));
}

Test(sim_report, names_errors_of_a_regression_rmse)
{
    char text[8192] = "";
    struct report report = make(SL_TASK_REGRESS);

    write_json(&report, text, sizeof text);

    cr_assert(strstr(text, "{\"schema_version\":1,\"rmse\":{\"mean\":0.105,\"worst_tenth\":0.195,\"min\":0.01,\"max\":0.2,\"std\":"), "%s", text);
    cr_assert(strstr(text, "{\"id\":0,\"rmse\":0.01,\"own_rmse\":null,"), "%s", text);
    cr_assert(strstr(text, "\"cohorts\":{\"completed\":5,\"void\":1},\"node_epochs\":{\"with_aggregate\":180,\"total\":200}"), "%s", text);
    cr_assert_null(strstr(text, "accuracy"));
}
