/* SPDX-License-Identifier: MIT */
/* A node.conf from anywhere, and every line of it as a --set. A refusal says why and changes nothing. */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/settings.h"
#include "starling/error.h"

static void check_refusal(const struct sl_config *changed, const struct sl_config *before, const char *why, size_t why_size)
{
    assert(*why && strlen(why) < why_size);
    assert(memcmp(changed, before, sizeof *before) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_config initial, config;
    char why[512] = "", *text = calloc(1, size + 1);
    assert(text);
    if (size > 0) memcpy(text, data, size);

    sl_config_init(&initial);
    memcpy(&config, &initial, sizeof config);
    if (sl_settings_parse(text, size, "node.conf", &config, why, sizeof why)) check_refusal(&config, &initial, why, sizeof why);

    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        memcpy(&config, &initial, sizeof config);
        *why = 0;
        if (sl_settings_apply(line, &config, why, sizeof why)) check_refusal(&config, &initial, why, sizeof why);
    }
    free(text);
    return 0;
}
