/* SPDX-License-Identifier: MIT */
#include "runtime/report.h"

#include <inttypes.h>
#include <math.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/hash.h"
#include "runtime/files.h"
#include "starling/error.h"

enum { LINE_SIZE = 512, NAME_SIZE = 9, SUMMARY_SIZE = 4096, SCORE_ROWS_MAX = 256, FINAL_JOB = 0xffffffff };

static double seconds_since(uint64_t start_us, uint64_t now_us)
{
    return (double)(now_us - start_us) / 1e6;
}

/* The first eight digits of an id: enough to tell the peers of one network apart in a log. */
static void name_of(const uint8_t id[32], char out[NAME_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < 4; i++) {
        out[2 * i] = digits[id[i] >> 4];
        out[2 * i + 1] = digits[id[i] & 15];
    }
    out[8] = 0;
}

static void print_event(const struct sl_report *report, const struct sl_trace_event *event)
{
    char name[NAME_SIZE], text[LINE_SIZE];
    name_of(event->peer, name);
    sl_trace_text(event, sl_hash_is_zero(event->peer) ? "nobody" : name, text, sizeof text);
    fprintf(stderr, "[%9.3fs] epoch %" PRIu64 ": - %s\n", seconds_since(report->start_us, event->now_us), event->epoch, text);
}

static void turn_epoch(struct sl_report *report, uint64_t epoch)
{
    if (report->now.any && report->now.epoch < epoch) {
        report->finished = report->now;
        report->line_due = true;
        report->cohorts_completed += report->now.is_initiator && report->now.has_aggregate;
        report->cohorts_void += report->now.is_initiator && !report->now.has_aggregate;
    }
    if (!report->now.any || report->now.epoch < epoch) report->now = (struct sl_epoch_facts){.epoch = epoch, .any = true};
}

/* Adds ", text" to a line. */
static void add(char line[LINE_SIZE], const char *text)
{
    size_t length = strlen(line);
    snprintf(line + length, LINE_SIZE - length, "%s%s", length ? ", " : "", text);
}

static void describe_epoch(const struct sl_epoch_facts *facts, const struct sl_status *status, char line[LINE_SIZE])
{
    char piece[128];
    line[0] = 0;
    if (facts->trained) snprintf(piece, sizeof piece, "trained %" PRId64 " steps", facts->n_steps);
    else snprintf(piece, sizeof piece, "not trained%s%s", facts->train_error ? ": " : "", facts->train_error ? sl_error_text(facts->train_error) : "");
    add(line, piece);

    if (facts->has_aggregate) snprintf(piece, sizeof piece, "aggregate of %" PRId64 " members", facts->n_members);
    else snprintf(piece, sizeof piece, facts->is_void ? "cohort void" : "no cohort");
    add(line, piece);

    if (facts->n_pulled > 0) {
        snprintf(piece, sizeof piece, "pulled %" PRId64, facts->n_pulled);
        add(line, piece);
    }
    if (facts->n_merged > 0)
        snprintf(piece, sizeof piece, "merged %" PRId64 " aggregate%s of %" PRId64 " members", facts->n_merged, facts->n_merged == 1 ? "" : "s",
                 facts->n_merged_members);
    else snprintf(piece, sizeof piece, "nothing merged");
    add(line, piece);

    const struct sl_score *own = &status->last_job.own;
    if (own->n_rows > 0) {
        snprintf(piece, sizeof piece, own->rmse > 0 ? "own rmse %.4g" : "own accuracy %.3f", own->rmse > 0 ? own->rmse : own->accuracy);
        add(line, piece);
    }
    snprintf(piece, sizeof piece, "%" PRIu32 " peer%s reachable", status->peers_live, status->peers_live == 1 ? "" : "s");
    add(line, piece);
}

/* A JSON number, or null for what is not one. */
static void put_number(FILE *file, const char *key, double value, bool known)
{
    if (known && isfinite(value)) fprintf(file, "  \"%s\": %.9g,\n", key, value);
    else fprintf(file, "  \"%s\": null,\n", key);
}

static void put_count(FILE *file, const char *key, uint64_t value)
{
    fprintf(file, "  \"%s\": %" PRIu64 ",\n", key, value);
}

static void put_text(FILE *file, const char *key, const char *text)
{
    fprintf(file, "  \"%s\": \"", key);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', file);
        fputc((unsigned char)*text < 0x20 ? ' ' : *text, file);
    }
    fprintf(file, "\"\n");
}

/* False when there are no test data or no memory. */
static bool score_test(const struct sl_setup *setup, const float *weights, struct sl_score *out)
{
    const struct sl_dataset *test = &setup->test;
    if (test->n_rows == 0) return false;

    uint32_t n_rows = test->n_rows < SCORE_ROWS_MAX ? test->n_rows : SCORE_ROWS_MAX;
    size_t size = setup->model->scratch_size(&setup->config.shape, n_rows);
    void *block = malloc(size ? size : 1);
    if (!block) return false;

    struct sl_arena scratch = sl_arena_over(block, size);
    struct sl_batch batch = {.features = test->features, .labels = test->labels, .n_rows = test->n_rows, .n_features = test->n_features};
    setup->model->evaluate(&setup->config.shape, weights, &batch, &scratch, out);
    free(block);
    return true;
}

/* The trainer works on a copy: an evaluation must not change what it scores, but nothing forbids it to use the buffer. */
static bool score_own(const struct sl_setup *setup, const float *weights, uint32_t dim, struct sl_score *out)
{
    float *copy = malloc(sizeof *copy * dim);
    if (!copy) return false;

    memcpy(copy, weights, sizeof *copy * dim);
    struct sl_job job = {.number = FINAL_JOB, .type = SL_JOB_EVALUATE, .weights = copy, .dim = dim};
    struct sl_job_result result = {0};
    setup->trainer.run(setup->trainer.context, &job, &result);
    free(copy);
    *out = result.own;
    return result.error == SL_OK && result.own.n_rows > 0;
}

static void put_summary(FILE *file, const struct sl_report *report, const struct sl_setup *setup, const struct sl_status *status, const float *weights,
                        uint64_t sends_dropped)
{
    bool classify = setup->model->task == SL_TASK_CLASSIFY;
    struct sl_score test = {0}, own = {0};
    bool has_test = score_test(setup, weights, &test), has_own = score_own(setup, weights, status->dim, &own);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    char id[65];
    sodium_bin2hex(id, sizeof id, status->id, 32);

    fprintf(file, "{\n  \"schema_version\": 1,\n  \"id\": \"%s\",\n  \"task\": \"%s\",\n", id, classify ? "classify" : "regress");
    put_count(file, "epochs", status->epochs_seen);
    put_number(file, classify ? "accuracy" : "rmse", classify ? test.accuracy : test.rmse, has_test);
    put_number(file, classify ? "own_accuracy" : "own_rmse", classify ? own.accuracy : own.rmse, has_own);
    put_count(file, "bytes_sent", status->bytes_sent);
    put_count(file, "bytes_received", status->bytes_received);
    put_number(file, "cpu_s", cpu_s, true);
    put_count(file, "rss_max_bytes", (uint64_t)usage.ru_maxrss * 1024);
    put_count(file, "signature_checks", status->signature_checks);
    put_count(file, "cohorts_completed", report->cohorts_completed);
    put_count(file, "cohorts_void", report->cohorts_void);
    put_count(file, "epochs_with_aggregate", status->epochs_with_aggregate);
    put_count(file, "epochs_merged", status->epochs_merged);
    put_count(file, "sends_dropped", sends_dropped);
    fprintf(file, "  \"stalled\": %s,\n", status->stalled ? "true" : "false");
    put_text(file, "reason", status->reason);
    fprintf(file, "}\n");
}

void sl_report_init(struct sl_report *report, const uint8_t own_id[32], bool verbose, uint64_t start_us)
{
    *report = (struct sl_report){.verbose = verbose, .start_us = start_us};
    memcpy(report->own_id, own_id, 32);
}

void sl_report_say(const struct sl_report *report, uint64_t now_us, const char *text)
{
    fprintf(stderr, "[%9.3fs] %s\n", seconds_since(report->start_us, now_us), text);
}

void sl_report_trace(void *context, const struct sl_trace_event *event)
{
    struct sl_report *report = context;
    if (report->verbose) print_event(report, event);

    turn_epoch(report, event->epoch);
    struct sl_epoch_facts *facts = &report->now;
    switch (event->type) {
    case SL_TRACE_TRAINED: facts->trained = true, facts->n_steps = event->a; break;
    case SL_TRACE_TRAIN_FAILED: facts->train_error = event->error; break;
    case SL_TRACE_ROSTER: facts->is_initiator = sl_hash_equal(event->peer, report->own_id); break;
    case SL_TRACE_AGGREGATE: facts->has_aggregate = true, facts->n_members = event->a; break;
    case SL_TRACE_VOID: facts->is_void = true; break;
    case SL_TRACE_PULLED: facts->n_pulled++; break;
    case SL_TRACE_MERGED: facts->n_merged = event->a, facts->n_merged_members = event->b; break;
    default: break;
    }
}

void sl_report_turn(struct sl_report *report, uint64_t now_us, const struct sl_status *status)
{
    if (!report->line_due) return;

    report->line_due = false;
    if (report->finished.epoch < status->first_epoch) return;

    char facts[LINE_SIZE], line[2 * LINE_SIZE];
    describe_epoch(&report->finished, status, facts);
    snprintf(line, sizeof line, "epoch %" PRIu64 ": %s", report->finished.epoch, facts);
    sl_report_say(report, now_us, line);
    if (!status->stalled) return;

    snprintf(line, sizeof line, "STALLED: %s", status->reason);
    sl_report_say(report, now_us, line);
}

void sl_report_finish(struct sl_report *report)
{
    bool has_result = report->now.has_aggregate || report->now.is_void;
    if (has_result) turn_epoch(report, report->now.epoch + 1);
}

int sl_report_write_summary(const struct sl_report *report, const struct sl_setup *setup, const struct sl_status *status, const float *weights,
                            uint64_t sends_dropped)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) return SL_ERROR_NO_MEMORY;

    put_summary(file, report, setup, status, weights, sends_dropped);
    bool written = fclose(file) == 0;
    int error = written ? sl_file_put(setup->folder, "summary.json", text, size, 0644, false) : SL_ERROR_NO_MEMORY;
    free(text);
    return error;
}
