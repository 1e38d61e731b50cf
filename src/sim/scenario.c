/* SPDX-License-Identifier: MIT */
#include "sim/scenario.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "starling/error.h"

enum { WORDS_MAX = 12, LINE_LENGTH_MAX = 4096, FILE_SIZE_MAX = 1 << 20, GROUPS_MAX = 255, FAULTS_MAX = 65536 };

struct parser {
    uint32_t n_nodes;
    uint64_t epoch_us;
    char *words[WORDS_MAX];
    uint32_t n_words, at;
    const char *wrong;           /* the word that does not fit */
    const char *wanted;          /* what would be right */
};

static int refuse(struct parser *parser, const char *wrong, const char *wanted, int error)
{
    parser->wrong = wrong ? wrong : "";
    parser->wanted = wanted;
    return error;
}

/* The next word, or NULL at the end of the line. */
static const char *next(struct parser *parser)
{
    return parser->at < parser->n_words ? parser->words[parser->at++] : NULL;
}

static bool read_number(const char *text, char **end, double *out)
{
    bool is_plain = isdigit((unsigned char)text[0]) || (text[0] == '.' && isdigit((unsigned char)text[1]));
    if (!is_plain || (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))) return false;

    double number = strtod(text, end);
    bool in_range = number >= 0 && number <= 1e15;
    if (!in_range) return false;
    *out = number;
    return true;
}

/* "90s", "500ms", "3e"; false unless the whole text is one time. */
static bool read_time(const struct parser *parser, const char *text, uint64_t *out_us)
{
    const struct { const char *unit; double us; } units[] = {
        {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}, {"e", (double)parser->epoch_us},
    };
    char *end = NULL;
    double number;
    if (!text || !read_number(text, &end, &number)) return false;

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit) != 0) continue;
        double us = number * units[i].us;
        if (!(us <= 1e15)) return false;
        *out_us = (uint64_t)(us + .5);
        return true;
    }
    return false;
}

static int take_time(struct parser *parser, int64_t *out_us)
{
    uint64_t us;
    const char *word = next(parser);
    if (!read_time(parser, word, &us)) return refuse(parser, word, "a time such as 90s, 500ms, 5m or 3e (epochs)", SL_ERROR_FORMAT);
    *out_us = (int64_t)us;
    return SL_OK;
}

static int take_share(struct parser *parser, double *out)
{
    static const char *const wanted = "a share from 0 to 1, such as 0.02";
    char *end = NULL;
    const char *word = next(parser);
    double number;
    if (!word || !read_number(word, &end, &number) || *end) return refuse(parser, word, wanted, SL_ERROR_FORMAT);
    if (number > 1) return refuse(parser, word, wanted, SL_ERROR_OUT_OF_RANGE);
    *out = number;
    return SL_OK;
}

/* A node's number; moves *text behind it. */
static bool read_node(const struct parser *parser, const char **text, uint32_t *out)
{
    uint64_t number = 0;
    const char *at = *text;
    for (; isdigit((unsigned char)*at) && at - *text < 10; at++) number = 10 * number + (uint64_t)(*at - '0');
    if (at == *text || number >= parser->n_nodes) return false;
    *text = at;
    *out = (uint32_t)number;
    return true;
}

/* False if one of them has another mark already. */
static bool mark_nodes(uint8_t *groups, uint32_t first, uint32_t last, uint8_t mark)
{
    for (uint32_t i = first; i <= last; i++) {
        if (groups[i] != 0 && groups[i] != mark) return false;
        groups[i] = mark;
    }
    return true;
}

/* "4", "0-3", "1,5,7-9", "all", up to the end or a slash: these nodes get `mark`. False if it is nothing of the kind,
 * or names a node that has another mark. */
static bool read_nodes(const struct parser *parser, const char **text, uint8_t mark, uint8_t *groups)
{
    if (strcmp(*text, "all") == 0) {
        *text += 3;
        return mark_nodes(groups, 0, parser->n_nodes - 1, mark);
    }
    for (;;) {
        uint32_t first, last;
        if (!read_node(parser, text, &first)) return false;
        last = first;
        if (**text == '-') {
            ++*text;
            if (!read_node(parser, text, &last) || last < first) return false;
        }
        if (!mark_nodes(groups, first, last, mark)) return false;
        if (**text != ',') return **text == 0 || **text == '/';
        ++*text;
    }
}

static int take_nodes(struct parser *parser, struct sl_fault *fault)
{
    const char *word = next(parser), *at = word;
    fault->groups = calloc(parser->n_nodes, 1);
    if (!fault->groups) return refuse(parser, word, "more memory", SL_ERROR_NO_MEMORY);
    if (!word || !read_nodes(parser, &at, 1, fault->groups) || *at)
        return refuse(parser, word, "nodes such as 4, 0-3, 1,5,7-9 or all, numbered from 0", SL_ERROR_OUT_OF_RANGE);
    return SL_OK;
}

/* A share of the nodes, or lists of nodes separated by slashes. */
static int take_groups(struct parser *parser, struct sl_fault *fault)
{
    static const char *const wanted = "a share such as 0.5, or groups of nodes such as 0-3/4-7, no node in two of them";
    const char *word = next(parser), *at = word;
    fault->groups = calloc(parser->n_nodes, 1);
    if (!fault->groups) return refuse(parser, word, "more memory", SL_ERROR_NO_MEMORY);
    if (!word) return refuse(parser, word, wanted, SL_ERROR_FORMAT);

    if (!strchr(word, '/')) {
        parser->at--;
        int error = take_share(parser, &fault->value);
        if (error) return refuse(parser, word, wanted, error);
        for (uint32_t i = 0; i < parser->n_nodes; i++) fault->groups[i] = i >= fault->value * parser->n_nodes;
        return SL_OK;
    }
    bool ended = false;
    for (uint32_t mark = 1; mark <= GROUPS_MAX && !ended; mark++) {
        if (!read_nodes(parser, &at, (uint8_t)mark, fault->groups)) break;
        ended = *at++ == 0;
    }
    if (!ended) return refuse(parser, word, wanted, SL_ERROR_OUT_OF_RANGE);
    for (uint32_t i = 0; i < parser->n_nodes; i++) fault->groups[i] -= fault->groups[i] > 0;     /* who is not named is in the first */
    return SL_OK;
}

static int take_pair(struct parser *parser, struct sl_fault *fault)
{
    static const char *const wanted = "two nodes, numbered from 0, such as: one-way 2 5";
    const char *from = next(parser), *to = next(parser), *at = from;
    if (!from || !to) return refuse(parser, "", wanted, SL_ERROR_FORMAT);
    if (!read_node(parser, &at, &fault->from) || *at) return refuse(parser, from, wanted, SL_ERROR_OUT_OF_RANGE);
    at = to;
    if (!read_node(parser, &at, &fault->to) || *at) return refuse(parser, to, wanted, SL_ERROR_OUT_OF_RANGE);
    return SL_OK;
}

/* "with old state" */
static int take_state(struct parser *parser, struct sl_fault *fault)
{
    static const char *const kinds[] = {"current", "old", "torn", "no"};
    static const char *const wanted = "with current state, with old state, with torn state or with no state";
    const char *kind = next(parser), *state = next(parser);
    for (int i = 0; kind && state && i < 4; i++) {
        if (strcmp(kind, kinds[i]) != 0 || strcmp(state, "state") != 0) continue;
        fault->state = (enum sl_state_kind)i;
        return SL_OK;
    }
    return refuse(parser, kind, wanted, SL_ERROR_FORMAT);
}

static int take_crash(struct parser *parser, struct sl_fault *fault)
{
    int error = take_nodes(parser, fault);
    for (const char *word; !error && (word = next(parser));) {
        bool may_last = fault->type == SL_FAULT_CRASH;
        if (may_last && strcmp(word, "for") == 0) error = take_time(parser, &fault->time_us);
        else if (strcmp(word, "with") == 0) error = take_state(parser, fault);
        else error = refuse(parser, word, may_last ? "for TIME, or with ... state" : "with ... state", SL_ERROR_FORMAT);
    }
    return error;
}

/* "charged" */
static int take_point(struct parser *parser, struct sl_fault *fault)
{
    static const char *const points[] = {"charge", "charged", "training", "output", "kept", "release", "released", "sent"};
    const char *word = next(parser);
    for (int i = 0; word && i < 8; i++) {
        if (strcmp(word, points[i]) != 0) continue;
        fault->point = (enum sl_round_point)(SL_POINT_CHARGE + i);
        return SL_OK;
    }
    return refuse(parser, word, "charge, charged, training, output, kept, release, released or sent", SL_ERROR_FORMAT);
}

static int take_crash_at(struct parser *parser, struct sl_fault *fault)
{
    int error = take_point(parser, fault);
    if (!error) error = take_nodes(parser, fault);
    const char *word = error ? NULL : next(parser);
    if (!word) return error;
    if (strcmp(word, "for") != 0) return refuse(parser, word, "for TIME", SL_ERROR_FORMAT);
    return take_time(parser, &fault->time_us);
}

static int take_slow(struct parser *parser, struct sl_fault *fault)
{
    static const char *const wanted = "a factor such as x100, from x0.01 to x1000000";
    int error = take_nodes(parser, fault);
    if (error) return error;

    char *end = NULL;
    const char *word = next(parser);
    if (!word || word[0] != 'x' || !read_number(word + 1, &end, &fault->value) || *end) return refuse(parser, word, wanted, SL_ERROR_FORMAT);
    bool in_range = fault->value >= .01 && fault->value <= 1e6;
    return in_range ? SL_OK : refuse(parser, word, wanted, SL_ERROR_OUT_OF_RANGE);
}

static int take_clock(struct parser *parser, struct sl_fault *fault)
{
    static const char *const wanted = "an offset such as -2h or +30s, at most 10000h";
    int error = take_nodes(parser, fault);
    if (error) return error;
    if (fault->at_us != 0) return refuse(parser, "clock", "at 0s: an offset is there from the beginning", SL_ERROR_OUT_OF_RANGE);

    uint64_t us;
    const char *word = next(parser);
    bool is_signed = word && (word[0] == '-' || word[0] == '+');
    if (!word || !read_time(parser, word + is_signed, &us)) return refuse(parser, word, wanted, SL_ERROR_FORMAT);
    if (us > 36000000000000u) return refuse(parser, word, wanted, SL_ERROR_OUT_OF_RANGE);
    fault->time_us = word[0] == '-' ? -(int64_t)us : (int64_t)us;
    return SL_OK;
}

static int take_verb(struct parser *parser, struct sl_fault *fault)
{
    static const char *const verbs[] = {
        [SL_FAULT_PARTITION] = "partition", [SL_FAULT_ONE_WAY] = "one-way", [SL_FAULT_HEAL] = "heal", [SL_FAULT_JOIN] = "join",
        [SL_FAULT_CRASH] = "crash", [SL_FAULT_RESTART] = "restart", [SL_FAULT_LOSS] = "loss", [SL_FAULT_DUPLICATE] = "duplicate",
        [SL_FAULT_REORDER] = "reorder", [SL_FAULT_STORE_FAIL] = "store-fail", [SL_FAULT_DELAY] = "delay", [SL_FAULT_SLOW] = "slow",
        [SL_FAULT_CLOCK] = "clock", [SL_FAULT_CHURN] = "churn", [SL_FAULT_CRASH_AT] = "crash-at", [SL_FAULT_CALM] = "calm",
    };
    const char *word = next(parser);
    for (int i = SL_FAULT_PARTITION; word && i <= SL_FAULT_CALM; i++) {
        if (strcmp(word, verbs[i]) != 0) continue;
        fault->type = (enum sl_fault_type)i;
        return SL_OK;
    }
    return refuse(parser, word,
                  "partition, one-way, heal, join, crash, crash-at, restart, loss, duplicate, reorder, store-fail, delay, slow, clock, churn or calm",
                  SL_ERROR_FORMAT);
}

static int take_arguments(struct parser *parser, struct sl_fault *fault)
{
    switch (fault->type) {
    case SL_FAULT_PARTITION: return take_groups(parser, fault);
    case SL_FAULT_ONE_WAY: return take_pair(parser, fault);
    case SL_FAULT_JOIN: return take_nodes(parser, fault);
    case SL_FAULT_CRASH:
    case SL_FAULT_RESTART: return take_crash(parser, fault);
    case SL_FAULT_CRASH_AT: return take_crash_at(parser, fault);
    case SL_FAULT_LOSS:
    case SL_FAULT_DUPLICATE:
    case SL_FAULT_REORDER:
    case SL_FAULT_STORE_FAIL:
    case SL_FAULT_CHURN: return take_share(parser, &fault->value);
    case SL_FAULT_DELAY: return take_time(parser, &fault->time_us);
    case SL_FAULT_SLOW: return take_slow(parser, fault);
    case SL_FAULT_CLOCK: return take_clock(parser, fault);
    case SL_FAULT_HEAL:
    case SL_FAULT_CALM: break;
    }
    return SL_OK;
}

static int parse_words(struct parser *parser, struct sl_fault *fault)
{
    const char *word = next(parser);
    if (strcmp(word, "at") != 0) return refuse(parser, word, "a line such as: at 120s partition 0.5", SL_ERROR_FORMAT);

    int64_t at_us;
    int error = take_time(parser, &at_us);
    if (error) return error;
    fault->at_us = (uint64_t)at_us;

    error = take_verb(parser, fault);
    if (!error) error = take_arguments(parser, fault);
    if (error) return error;

    word = next(parser);
    return word ? refuse(parser, word, "the end of the line", SL_ERROR_FORMAT) : SL_OK;
}

/* Splits at blanks, up to a comment. False when there are too many words. */
static bool split(struct parser *parser, char *line)
{
    line[strcspn(line, "#")] = 0;
    parser->n_words = parser->at = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t\r", &rest); word; word = strtok_r(NULL, " \t\r", &rest)) {
        if (parser->n_words == WORDS_MAX) return false;
        parser->words[parser->n_words++] = word;
    }
    return true;
}

/* Keeps the list in the order of time; equal times keep the order of lines. */
static int insert(struct sl_scenario *scenario, const struct sl_fault *fault)
{
    struct sl_fault *faults = realloc(scenario->faults, (scenario->n_faults + 1) * sizeof *faults);
    if (!faults) return SL_ERROR_NO_MEMORY;

    uint32_t at = scenario->n_faults++;
    scenario->faults = faults;
    for (; at > 0 && faults[at - 1].at_us > fault->at_us; at--) faults[at] = faults[at - 1];
    faults[at] = *fault;
    return SL_OK;
}

static int parse_line(struct parser *parser, char *line, struct sl_scenario *scenario)
{
    if (!split(parser, line)) return refuse(parser, parser->words[WORDS_MAX - 1], "fewer words in a line", SL_ERROR_FORMAT);
    if (parser->n_words == 0) return SL_OK;
    if (scenario->n_faults == FAULTS_MAX) return refuse(parser, "", "at most 65536 lines", SL_ERROR_OUT_OF_RANGE);

    struct sl_fault fault = {0};
    int error = parse_words(parser, &fault);
    if (!error) error = insert(scenario, &fault);
    if (error) free(fault.groups);
    return error;
}

int sl_scenario_parse(const char *text, const char *name, uint32_t n_nodes, uint64_t epoch_us, struct sl_scenario *out, char *why, size_t why_size)
{
    struct parser parser = {.n_nodes = n_nodes, .epoch_us = epoch_us};
    struct sl_scenario scenario = {.n_nodes = n_nodes};
    uint32_t line_number = 0;
    for (const char *at = text; *at;) {
        char line[LINE_LENGTH_MAX];
        size_t size = strcspn(at, "\n");
        bool fits = size < sizeof line;
        line_number++;
        if (fits) snprintf(line, sizeof line, "%.*s", (int)size, at);

        int error = fits ? parse_line(&parser, line, &scenario) : refuse(&parser, "", "lines of at most 4095 characters", SL_ERROR_FORMAT);
        if (error) {
            snprintf(why, why_size, "%s:%" PRIu32 ": '%.60s' does not fit here; wanted: %s (nodes 0 .. %" PRIu32 ")", name, line_number,
                     parser.wrong ? parser.wrong : "", parser.wanted ? parser.wanted : sl_error_text(error), n_nodes - 1);
            sl_scenario_finish(&scenario);
            return error;
        }
        at += size + (at[size] == '\n');
    }
    *out = scenario;
    return SL_OK;
}

int sl_scenario_read(const char *path, uint32_t n_nodes, uint64_t epoch_us, struct sl_scenario *out, char *why, size_t why_size)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        snprintf(why, why_size, "cannot open the scenario %s; give the path of a text file with lines such as: at 120s partition 0.5", path);
        return SL_ERROR_NOT_FOUND;
    }
    int error = SL_ERROR_NO_MEMORY;
    char *text = malloc(FILE_SIZE_MAX);
    if (!text) goto out;

    size_t size = fread(text, 1, FILE_SIZE_MAX, file);
    error = ferror(file) ? SL_ERROR_IO : size == FILE_SIZE_MAX || memchr(text, 0, size) ? SL_ERROR_FORMAT : SL_OK;
    if (error) goto out;

    text[size] = 0;
    error = sl_scenario_parse(text, path, n_nodes, epoch_us, out, why, why_size);
    free(text);
    fclose(file);
    return error;
out:
    snprintf(why, why_size, "cannot read the scenario %s (%s); it must be a text file of less than 1 MiB", path, sl_error_text(error));
    free(text);
    fclose(file);
    return error;
}

void sl_scenario_finish(struct sl_scenario *scenario)
{
    for (uint32_t i = 0; i < scenario->n_faults; i++) free(scenario->faults[i].groups);
    free(scenario->faults);
    *scenario = (struct sl_scenario){0};
}
