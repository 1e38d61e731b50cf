/* SPDX-License-Identifier: MIT */
/* A scenario from anywhere: faults in the order of time, within what the simulator expects; or a sentence. */
#include "fuzz.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/scenario.h"
#include "starling/error.h"

enum { N_NODES = 12, EPOCH_US = 1000000 };

static void check_fault(const struct sl_fault *fault)
{
    assert(isfinite(fault->value) && fault->value >= 0);
    assert(fault->from < N_NODES && fault->to < N_NODES);
    bool is_chance = fault->type == SL_FAULT_LOSS || fault->type == SL_FAULT_DUPLICATE || fault->type == SL_FAULT_REORDER ||
                     fault->type == SL_FAULT_STORE_FAIL || fault->type == SL_FAULT_CHURN;
    if (is_chance) assert(fault->value <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[512] = "", *text = calloc(1, size + 1);
    assert(text);
    if (size > 0) memcpy(text, data, size);

    struct sl_scenario scenario = {0};
    int error = sl_scenario_parse(text, "scenario", N_NODES, EPOCH_US, &scenario, why, sizeof why);
    if (error) assert(*why && strlen(why) < sizeof why && !scenario.faults);
    for (uint32_t i = 0; !error && i < scenario.n_faults; i++) {
        check_fault(&scenario.faults[i]);
        if (i > 0) assert(scenario.faults[i].at_us >= scenario.faults[i - 1].at_us);
    }
    if (!error) sl_scenario_finish(&scenario);
    free(text);
    return 0;
}
