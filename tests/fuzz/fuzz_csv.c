/* SPDX-License-Identifier: MIT */
/* Tables from anywhere. The first byte chooses the options, the rest is the file. What was read is finite and reads back as it was written. */
#include "fuzz.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "data/csv.h"
#include "scratch.h"
#include "starling/error.h"

static struct sl_read_options options_of(uint8_t choice)
{
    static const char *const labels[] = {"last", "first", "1", "b"}, *const clients[] = {NULL, "0", "1", "a"};
    return (struct sl_read_options){
        .task = choice & 1 ? SL_TASK_REGRESS : SL_TASK_CLASSIFY, .label = labels[choice >> 1 & 3],
        .client_column = clients[choice >> 3 & 3], .impute = choice & 32 ? "-1" : NULL,
    };
}

static void check_dataset(const struct sl_dataset *dataset)
{
    assert(dataset->n_rows > 0 && dataset->n_features > 0);
    for (size_t i = 0; i < (size_t)dataset->n_rows * dataset->n_features; i++) assert(isfinite(dataset->features[i]));
    for (uint32_t i = 0; i < dataset->n_rows; i++) {
        assert(isfinite(dataset->labels[i]));
        if (dataset->n_classes) assert(dataset->labels[i] >= 0 && dataset->labels[i] < (float)dataset->n_classes);
        if (dataset->clients) assert(dataset->clients[i] < dataset->n_clients);
    }
}

/* The features and labels; the names of classes and the clients are not written. */
static void check_round_trip(const struct sl_dataset *dataset, enum sl_task task)
{
    struct sl_read_options options = {.task = task, .label = "last"};
    struct sl_dataset again = {0};
    char why[512] = "";
    const char *path = scratch_write(1, "", 0);
    int write_error = sl_dataset_write_csv(dataset, path);
    int read_error = sl_csv_read(path, &options, &again, why, sizeof why);

    assert(!write_error && !read_error);
    assert(again.n_rows == dataset->n_rows && again.n_features == dataset->n_features);
    assert(memcmp(again.features, dataset->features, (size_t)again.n_rows * again.n_features * sizeof *again.features) == 0);
    assert(memcmp(again.labels, dataset->labels, again.n_rows * sizeof *again.labels) == 0);
    sl_dataset_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;

    const char *path = scratch_write(0, data + 1, size - 1);
    struct sl_read_options options = options_of(data[0]);
    struct sl_dataset dataset = {0};
    char why[512] = "";
    int error = sl_csv_read(path, &options, &dataset, why, sizeof why);
    if (error) {
        assert(*why && strlen(why) < sizeof why && !dataset.features && !dataset.labels);
        return 0;
    }
    check_dataset(&dataset);
    if (!dataset.clients) check_round_trip(&dataset, options.task);
    sl_dataset_finish(&dataset);
    return 0;
}
