/* SPDX-License-Identifier: MIT */
/* Images and labels from anywhere: one byte of choices, two with the size of the labels' file, the labels' file, the images' file. */
#include "fuzz.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "data/idx.h"
#include "scratch.h"
#include "starling/error.h"

enum { HEAD_SIZE = 3 };

static void check_dataset(const struct sl_dataset *dataset, enum sl_task task)
{
    assert(dataset->n_rows > 0 && dataset->n_features > 0);
    for (size_t i = 0; i < (size_t)dataset->n_rows * dataset->n_features; i++) assert(dataset->features[i] >= 0 && dataset->features[i] <= 255);
    for (uint32_t i = 0; i < dataset->n_rows; i++) {
        assert(dataset->labels[i] >= 0 && dataset->labels[i] <= 255);
        if (task == SL_TASK_CLASSIFY) assert(dataset->labels[i] < (float)dataset->n_classes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD_SIZE) return 0;

    enum sl_task task = data[0] & 1 ? SL_TASK_REGRESS : SL_TASK_CLASSIFY;
    size_t rest = size - HEAD_SIZE, wish = data[1] | (size_t)data[2] << 8, labels_size = wish < rest ? wish : rest;
    char pair[128], why[512] = "";
    const char *labels = scratch_write(0, data + HEAD_SIZE, labels_size);
    const char *images = scratch_write(1, data + HEAD_SIZE + labels_size, rest - labels_size);
    snprintf(pair, sizeof pair, "%s,%s", images, labels);

    struct sl_dataset dataset = {0};
    int error = sl_idx_read_pair(pair, task, &dataset, why, sizeof why);
    if (error) {
        assert(*why && strlen(why) < sizeof why && !dataset.features && !dataset.labels);
        return 0;
    }
    check_dataset(&dataset, task);
    sl_dataset_finish(&dataset);
    return 0;
}
