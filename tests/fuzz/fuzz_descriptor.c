/* SPDX-License-Identifier: MIT */
/*
 * A network descriptor from anywhere: whoever joins reads one out of an invite. The input is the file; with a first byte of 1 it follows a whole valid
 * descriptor's lines, so that the fuzzer need not find all of them. What is accepted has the id it says, and its canonical form has the same id.
 */
#include "fuzz.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "config/network.h"
#include "config/options.h"
#include "scratch.h"
#include "starling/error.h"

enum { WHOLE = 1 };

/* Every option at its default, but for those the input names itself. */
static size_t put_defaults(const char *given, char *out, size_t size)
{
    size_t used = 0;
    for (uint32_t i = 0; i < sl_config_count(); i++) {
        const struct sl_option *option = sl_config_option(i);
        if (option->scope != SL_SCOPE_NETWORK || strstr(given, option->key)) continue;
        used += (size_t)snprintf(out + used, size - used, "%s = %s\n", option->key, option->initial);
        assert(used < size);
    }
    if (!strstr(given, "operator")) used += (size_t)snprintf(out + used, size - used, "operator = %064d\n", 1);
    assert(used < size);
    return used;
}

static void check_scaling(const struct sl_scaling *scaling)
{
    for (uint32_t i = 0; i < scaling->n_features; i++) assert(isfinite(scaling->offset[i]) && isfinite(scaling->factor[i]));
    if (scaling->columns.n && scaling->n_features) assert(scaling->columns.n == scaling->n_features);
}

/* Once written and read, it is the same network. */
static void check_again(const struct sl_config *config, const struct sl_scaling *scaling)
{
    char why[512] = "";
    struct sl_config again;
    struct sl_scaling scaling_again = {0};
    sl_config_init(&again);
    int write_error = sl_network_write(scratch_write(0, "", 0), config, scaling, why, sizeof why);
    int read_error = sl_network_read(scratch_paths[0], &again, &scaling_again, why, sizeof why);
    assert(!write_error && !read_error && sl_hash_equal(again.network_id, config->network_id));
    sl_scaling_finish(&scaling_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char defaults[1 << 16];
    if (size == 0) return 0;

    char *given = calloc(1, size), *text = calloc(1, size + sizeof defaults), why[512] = "";
    assert(given && text);
    memcpy(given, data + 1, size - 1);
    size_t used = data[0] == WHOLE ? put_defaults(given, text, sizeof defaults) : 0;
    memcpy(text + used, given, size - 1);

    struct sl_config config;
    struct sl_scaling scaling = {0};
    uint8_t id[32];
    sl_config_init(&config);
    int error = sl_network_parse(text, used + size - 1, "descriptor", &config, &scaling, why, sizeof why);
    if (error) assert(*why && strlen(why) < sizeof why && !scaling.offset && !scaling.factor);
    else {
        sl_network_id(&config, &scaling, id);
        assert(sl_hash_equal(id, config.network_id));
        check_scaling(&scaling);
        check_again(&config, &scaling);
    }
    sl_scaling_finish(&scaling);
    free(text);
    free(given);
    return 0;
}
