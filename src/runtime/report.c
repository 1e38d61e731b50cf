/* SPDX-License-Identifier: MIT */
#include "runtime/report.h"

#include <inttypes.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/files.h"
#include "runtime/resources.h"
#include "starling/error.h"

enum { LINE_SIZE = 512, SCORE_ROWS_MAX = 256, FINAL_JOB = 0xffffffff, REMIND_EPOCHS = 10 };

static double seconds_since(uint64_t start_us, uint64_t now_us)
{
    return (double)(now_us - start_us) / 1e6;
}

/* Adds ", text" to a line. */
static void add(char line[LINE_SIZE], const char *text)
{
    size_t length = strlen(line);
    snprintf(line + length, LINE_SIZE - length, "%s%s", length ? ", " : "", text);
}

static void describe_epoch(const struct sl_setup *setup, const struct sl_epoch_record *record, const struct sl_status *status, char line[LINE_SIZE])
{
    char piece[128];
    line[0] = 0;
    if (record->trained) snprintf(piece, sizeof piece, "trained %" PRId64 " steps", record->n_steps);
    else snprintf(piece, sizeof piece, "not trained%s%s", record->train_error ? ": " : "", record->train_error ? sl_error_text(record->train_error) : "");
    add(line, piece);

    if (record->has_aggregate) snprintf(piece, sizeof piece, "aggregate of %" PRId64 " members", record->n_members);
    else snprintf(piece, sizeof piece, record->is_void ? "cohort void" : "no cohort");
    add(line, piece);

    if (record->n_pulled > 0) {
        snprintf(piece, sizeof piece, "pulled %" PRId64, record->n_pulled);
        add(line, piece);
    }
    if (record->n_merged > 0)
        snprintf(piece, sizeof piece, "merged %" PRId64 " aggregate%s of %" PRId64 " members", record->n_merged, record->n_merged == 1 ? "" : "s",
                 record->n_merged_members);
    else snprintf(piece, sizeof piece, "nothing merged");
    add(line, piece);

    double own;
    if (sl_own_score(setup, &record->own, &own)) {
        snprintf(piece, sizeof piece, setup->model->task == SL_TASK_CLASSIFY ? "own accuracy %.3f" : "own rmse %.4g", own);
        add(line, piece);
    }
    if (sl_is_private(setup)) {
        snprintf(piece, sizeof piece, "epsilon %.4g of %.4g at delta %.3g per %.8s", status->privacy.epsilon, status->privacy.eps_max, status->privacy.delta,
                 setup->config.privacy_unit);
        add(line, piece);
    }
    snprintf(piece, sizeof piece, "%" PRIu32 " peer%s reachable", status->peers_live, status->peers_live == 1 ? "" : "s");
    add(line, piece);
    if (record->has_cause) add(line, record->note);
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

/* Null where privacy is off. */
static void put_privacy(FILE *file, const struct sl_setup *setup, const struct sl_privacy_status *privacy)
{
    bool is_private = sl_is_private(setup);
    fprintf(file, "  \"privacy\": \"%s\",\n", setup->config.privacy_unit);
    put_number(file, "epsilon", privacy->epsilon, is_private);
    put_number(file, "epsilon_floor", privacy->epsilon_floor, is_private);
    put_number(file, "delta", privacy->delta, is_private);
    put_number(file, "epsilon_limit", privacy->eps_max, is_private);
    put_number(file, "rounds_charged", (double)privacy->rounds_charged, is_private);
}

static void put_summary(FILE *file, const struct sl_glance *glance, const struct sl_status *status, const float *weights)
{
    const struct sl_setup *setup = glance->setup;
    bool classify = setup->model->task == SL_TASK_CLASSIFY;
    struct sl_score test = {0}, own = {0};
    struct sl_health health;
    bool has_test = score_test(setup, weights, &test), has_own = !sl_is_private(setup) && score_own(setup, weights, status->dim, &own);
    struct sl_resources resources;
    char id[65];
    sl_resources_read(&resources);
    sl_health_of(glance, status, &health);
    sodium_bin2hex(id, sizeof id, status->id, 32);

    fprintf(file, "{\n  \"schema_version\": 1,\n  \"id\": \"%s\",\n  \"task\": \"%s\",\n", id, classify ? "classify" : "regress");
    put_count(file, "epochs", status->epochs_seen);
    put_number(file, classify ? "accuracy" : "rmse", classify ? test.accuracy : test.rmse, has_test);
    put_number(file, classify ? "own_accuracy" : "own_rmse", classify ? own.accuracy : own.rmse, has_own);
    put_count(file, "bytes_sent", status->bytes_sent);
    put_count(file, "bytes_received", status->bytes_received);
    put_number(file, "cpu_s", (double)resources.cpu_us / 1e6, true);
    put_count(file, "rss_max_bytes", resources.rss_max_bytes);
    put_count(file, "signature_checks", status->signature_checks);
    put_count(file, "cohorts_completed", glance->journal->cohorts_completed);
    put_count(file, "cohorts_void", glance->journal->cohorts_void);
    put_count(file, "epochs_with_aggregate", status->epochs_with_aggregate);
    put_count(file, "epochs_merged", status->epochs_merged);
    put_privacy(file, setup, &status->privacy);
    put_count(file, "sends_dropped", glance->sends_dropped);
    fprintf(file, "  \"healthy\": %s,\n  \"stalled\": %s,\n", health.healthy ? "true" : "false", status->stalled ? "true" : "false");
    put_text(file, "reason", health.healthy ? status->reason : health.reason);
    fprintf(file, "}\n");
}

void sl_report_init(struct sl_report *report, bool verbose, uint64_t start_us)
{
    *report = (struct sl_report){.verbose = verbose, .start_us = start_us};
}

void sl_report_say(const struct sl_report *report, uint64_t now_us, const char *text)
{
    fprintf(stderr, "[%9.3fs] %s\n", seconds_since(report->start_us, now_us), text);
}

void sl_report_event(const struct sl_report *report, const struct sl_trace_event *event)
{
    if (!report->verbose) return;

    char text[LINE_SIZE];
    sl_journal_text(event, text, sizeof text);
    fprintf(stderr, "[%9.3fs] epoch %" PRIu64 ": - %s\n", seconds_since(report->start_us, event->now_us), event->epoch, text);
}

static const char *alarm_of(enum sl_trouble trouble)
{
    if (trouble == SL_TROUBLE_STALLED) return "STALLED";
    return trouble == SL_TROUBLE_LEDGER ? "NO LEARNING" : "UNHEALTHY";
}

/* In the words of the moment when it changed: numbers in them that go on changing are told with the reminder. */
static void report_health(struct sl_report *report, const struct sl_glance *glance, const struct sl_status *status, uint64_t epoch)
{
    struct sl_health health;
    char line[LINE_SIZE];
    sl_health_of(glance, status, &health);
    bool is_due = health.trouble != report->told || (!health.healthy && epoch - report->told_epoch >= REMIND_EPOCHS);
    if (!is_due) return;

    if (health.healthy) snprintf(line, sizeof line, "healthy again");
    else snprintf(line, sizeof line, "%s: %s", alarm_of(health.trouble), health.reason);
    sl_report_say(report, glance->now_us, line);
    report->told = health.trouble;
    report->told_epoch = epoch;
}

void sl_report_epoch(struct sl_report *report, const struct sl_glance *glance, const struct sl_status *status, const struct sl_epoch_record *record)
{
    if (record->epoch < status->first_epoch) return;

    char facts[LINE_SIZE], line[2 * LINE_SIZE];
    describe_epoch(glance->setup, record, status, facts);
    snprintf(line, sizeof line, "epoch %" PRIu64 ": %s", record->epoch, facts);
    sl_report_say(report, glance->now_us, line);
    report_health(report, glance, status, record->epoch);
}

int sl_report_write_summary(const struct sl_glance *glance, const struct sl_status *status, const float *weights)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) return SL_ERROR_NO_MEMORY;

    put_summary(file, glance, status, weights);
    bool written = fclose(file) == 0;
    int error = written ? sl_file_put(glance->setup->folder, "summary.json", text, size, 0600, false) : SL_ERROR_NO_MEMORY;
    free(text);
    return error;
}
