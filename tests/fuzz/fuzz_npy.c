/* SPDX-License-Identifier: MIT */
/* NumPy files from anywhere. The first byte chooses the options, the rest is the file. What was read is finite. */
#include "fuzz.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "data/npy.h"
#include "scratch.h"
#include "starling/error.h"

static struct sl_read_options options_of(uint8_t choice)
{
    static const char *const labels[] = {"last", "first", "1", "none"};
    return (struct sl_read_options){
        .task = choice & 1 ? SL_TASK_REGRESS : SL_TASK_CLASSIFY, .label = labels[choice >> 1 & 3], .impute = choice & 8 ? "-1" : NULL,
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;

    struct sl_read_options options = options_of(data[0]);
    struct sl_dataset dataset = {0};
    char why[512] = "";
    int error = sl_npy_read(scratch_write(0, data + 1, size - 1), &options, &dataset, why, sizeof why);
    if (error) {
        assert(*why && strlen(why) < sizeof why && !dataset.features && !dataset.labels);
        return 0;
    }
    assert(dataset.n_rows > 0 && dataset.n_features > 0);
    for (size_t i = 0; i < (size_t)dataset.n_rows * dataset.n_features; i++) assert(isfinite(dataset.features[i]));
    for (uint32_t i = 0; i < dataset.n_rows; i++) {
        assert(isfinite(dataset.labels[i]));
        if (dataset.n_classes) assert(dataset.labels[i] >= 0 && dataset.labels[i] < (float)dataset.n_classes);
    }
    sl_dataset_finish(&dataset);
    return 0;
}
