/* SPDX-License-Identifier: MIT */
/* starling privacy: what a running node promises, what is spent of it, and what it does not promise. For people who must answer for the data. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cli_values.h"
#include "cli_views.h"
#include "cli_words.h"

static void label(const char *name)
{
    printf("%-10s", name);
}

static const char *number(const json_t *data, const char *path, char *out)
{
    double value = cli_number(data, path);
    if (isfinite(value)) snprintf(out, CLI_VALUE_SIZE, "%.4g", value);
    else snprintf(out, CLI_VALUE_SIZE, "-");
    return out;
}

static bool is_unit(const json_t *data, const char *unit)
{
    const char *text = json_string_value(cli_at(data, "unit"));
    return text && strcmp(text, unit) == 0;
}

/* ---- what is promised ---- */

static void say_promise(const struct cli *cli, const json_t *data)
{
    char a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE];
    label("unit");
    printf("%s: protects %s\n", cli_string(cli, data, "unit", a), cli_string(cli, data, "protects", b));
    label("");
    printf("two cases nobody can tell apart but for what epsilon allows: %s (%s)\n", cli_string(cli, data, "adjacency_text", a),
           cli_string(cli, data, "adjacency", b));
    label("data");
    printf("\"%s\", about %s records\n", cli_string(cli, data, "dataset", a), cli_count(data, "records", b));
}

/* Epsilon as a factor of odds: the one reading of it that needs no mathematics. */
static void say_meaning(const json_t *data)
{
    double epsilon = cli_number(data, "epsilon"), delta = cli_number(data, "delta");
    char a[CLI_VALUE_SIZE];
    if (!isfinite(epsilon) || !(delta > 0)) return;

    label("");
    if (epsilon == 0) printf("nothing was learned from the data yet: nobody can know more about them than before\n");
    else printf("it may change the odds of a guess about them by a factor of %.4g, and by more with a chance of about %s only\n", exp(epsilon),
                number(data, "delta", a));
}

/* ---- what is spent ---- */

static void say_spent(const json_t *data)
{
    char a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE], c[CLI_VALUE_SIZE], d[CLI_VALUE_SIZE];
    bool is_node = is_unit(data, "node");
    label("spent");
    printf("epsilon %s of at most %s (%s %%) at delta %s", number(data, "epsilon", a), number(data, "eps_max", b), cli_real(data, "percent", 1, c),
           number(data, "delta", d));
    if (is_node) printf(", while at most %s of a cohort collude", cli_count(data, "settings.colluders", a));
    puts("");
    if (is_node) {
        bool has_limit = cli_at(data, "floor_max") != NULL;
        label("");
        printf("epsilon %s at the same delta if all others collude, %s%s\n", number(data, "epsilon_floor", a),
               has_limit ? "of at most " : "without a limit of its own",
               has_limit ? number(data, "floor_max", b) : "");
    }
    say_meaning(data);
}

static void say_left(const struct cli *cli, const json_t *data)
{
    char a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE], c[CLI_VALUE_SIZE];
    label("left");
    if (cli_is_true(data, "blocked")) printf("BLOCKED, it does not learn from its data: %s\n", cli_string(cli, data, "reason", a));
    else if (cli_is_true(data, "spent")) puts("nothing: BUDGET SPENT. The node learns no more from these data, and goes on merging what others learn");
    else
        printf("%s more epochs at these settings; then it learns no more from these data, and goes on merging\n", cli_count(data, "rounds.left", a));
    label("epochs");
    printf("%s charged, %s released; %s charged since the start without an aggregate. A charge is never given back\n", cli_count(data, "rounds.charged", a),
           cli_count(data, "rounds.released", b), cli_count(data, "rounds.wasted", c));
}

/* ---- how ---- */

static void say_record_settings(const json_t *data)
{
    char a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE], c[CLI_VALUE_SIZE];
    label("noise");
    printf("every step takes each record with probability %s, clips its gradient to norm %s and adds noise of %s times\n",
           number(data, "settings.sampling_rate", a), number(data, "settings.clip", b), number(data, "settings.noise", c));
    label("");
    printf("that norm; sums are divided by %s; %s step%s an epoch. The noise is added in this node: no other node is trusted\n",
           cli_count(data, "settings.batch", a), cli_count(data, "settings.steps", b), cli_number(data, "settings.steps") == 1 ? "" : "s");
}

static void say_node_settings(const json_t *data)
{
    char a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE], c[CLI_VALUE_SIZE], d[CLI_VALUE_SIZE];
    label("noise");
    printf("an epoch's change is clipped to norm %s; the sum of a cohort has noise of %s times that norm, of which this\n", number(data, "settings.clip", a),
           number(data, "settings.noise", b));
    label("");
    printf("node adds %s\n", number(data, "settings.own_noise", c));
    label("cohorts");
    printf("of %s or more; at most %s members collude or add no noise, so that %s honest shares are in every sum; audit factor %s\n",
           cli_count(data, "settings.cohort_min_size", a), cli_count(data, "settings.colluders", b), cli_count(data, "settings.honest", c),
           number(data, "settings.audit_factor", d));
}

static void say_groups(const json_t *data)
{
    json_t *group;
    size_t i;
    json_array_foreach(json_object_get(data, "groups"), i, group)
    {
        char a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE], c[CLI_VALUE_SIZE];
        label(i == 0 ? "people" : "");
        printf("%s examples of one person: ", cli_count(group, "records", a));
        if (cli_at(group, "epsilon")) printf("epsilon %s at delta %s\n", number(group, "epsilon", b), number(group, "delta", c));
        else puts("no bound");
    }
}

static void say_not_covered(const struct cli *cli, const json_t *data)
{
    json_t *item;
    size_t i;
    puts("\nnot covered by this promise:");
    json_array_foreach(json_object_get(data, "not_covered"), i, item)
    {
        char text[CLI_VALUE_SIZE];
        cli_clean(json_string_value(item) ? json_string_value(item) : "-", cli->utf8, text, sizeof text);
        printf("  - %s\n", text);
    }
}

static void say(const struct cli *cli, const json_t *data)
{
    char a[CLI_VALUE_SIZE], b[CLI_VALUE_SIZE];
    if (is_unit(data, "off")) {
        printf("PRIVACY IS OFF: %s\n", "the vectors of single nodes are masked within a cohort, nothing more. There is no formal promise about what\n"
               "the shared model gives away of this node's data, and no budget that could be spent.");
        return;
    }
    say_promise(cli, data);
    puts("");
    say_spent(data);
    say_left(cli, data);
    puts("");
    if (is_unit(data, "record")) say_record_settings(data);
    else say_node_settings(data);
    say_groups(data);
    label("counted");
    printf("by %s; %s records in the ledger\n", cli_string(cli, data, "accountant", a), cli_count(data, "ledger_records", b));
    say_not_covered(cli, data);
}

int cli_privacy_show(struct cli *cli, int argc, char **argv)
{
    char why[CLI_SENTENCE_SIZE];
    struct cli_words words;
    const struct cli_flag flags[] = {{0}};
    json_t *data;
    if (!cli_words_sort(argc, argv, flags, 1, &words, why, sizeof why)) return cli_fail(cli, CLI_ARGUMENTS, "%s", why);
    if (words.n_plain > 0) cli->directory = words.plain[0];

    int code = cli_ask_or_fail(cli, "privacy", NULL, &data);
    if (code != CLI_OK) return code;
    if (cli->json) return cli_answer(cli, data);
    if (cli->dump) cli_dump_object(cli, data);
    else say(cli, data);
    json_decref(data);
    return CLI_OK;
}
