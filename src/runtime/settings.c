/* SPDX-License-Identifier: MIT */
#include "runtime/settings.h"

#include <czmq.h>
#include <stdlib.h>
#include <string.h>

#include "config/options.h"
#include "runtime/files.h"
#include "starling/error.h"

enum { SETTINGS_SIZE_MAX = 256 << 10, NAME_SIZE = 64, KEY_SIZE = 2 * NAME_SIZE + 1, LEVELS = 2, INDENT = 4 };

/* Of one file while zconfig's tree is walked. */
struct reading {
    const char *path;
    const uint32_t *lines;               /* line number of each item, in the order of the tree */
    uint32_t n_lines, n_items;
    char section[NAME_SIZE];
    struct sl_config *config;
    int error;
    char *why;
    size_t why_size;
};

static int set_option(struct sl_config *config, const char *key, const char *value, const char *where, char *why, size_t why_size)
{
    const struct sl_option *option = sl_config_find(key);
    if (option && option->scope == SL_SCOPE_NETWORK)
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, why_size, "%s: %s is equal on every node of a network; it stands in network.conf", where, key);

    char sentence[SL_WHY_SIZE];
    int error = sl_config_set(config, key, value, sentence, sizeof sentence);
    if (error != SL_OK) return SL_FAIL(error, why, why_size, "%s: %s", where, sentence);
    return SL_OK;
}

/* What zconfig would only report to the console, without saying which line. NULL, or what is wrong. */
static const char *check_line(const char *line)
{
    size_t indent = strspn(line, " ");
    if (line[indent] == '\t') return "is indented with a tab; ZPL wants four spaces";
    if (indent % INDENT != 0 || indent / INDENT >= LEVELS) return "must be indented by no or by four spaces";

    const char *name = line + indent;
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    const char *rest = name + length + strspn(name + length, " \t");
    if (length == 0 || length >= NAME_SIZE) return "does not begin with the name of an option";
    if (*rest == 0 || *rest == '#') return NULL;
    if (*rest != '=') return "must be \"name = value\", or the name of a section alone";

    const char *value = rest + 1 + strspn(rest + 1, " \t");
    bool is_quoted = *value == '"' || *value == '\'';
    if (is_quoted && !strchr(value + 1, *value)) return "has a quotation mark that is not closed";
    return NULL;
}

/* Fills in the line number of every item. */
static int find_lines(const char *path, const char *text, uint32_t *lines, uint32_t *n_lines, char *why, size_t why_size)
{
    uint32_t number = 0;
    for (const char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        size_t length = next ? (size_t)(next - line) : strlen(line);
        char copy[SL_WHY_SIZE];
        number++;
        next = next ? next + 1 : NULL;
        if (length >= sizeof copy) return SL_FAIL(SL_ERROR_FORMAT, why, why_size, "%s, line %u: is too long", path, number);

        memcpy(copy, line, length);
        copy[length > 0 && copy[length - 1] == '\r' ? length - 1 : length] = 0;
        const char *start = copy + strspn(copy, " \t");
        if (*start == 0 || *start == '#') continue;

        const char *wrong = check_line(copy);
        if (wrong) return SL_FAIL(SL_ERROR_FORMAT, why, why_size, "%s, line %u: %s", path, number, wrong);
        lines[(*n_lines)++] = number;
    }
    return SL_OK;
}

static int on_item(zconfig_t *item, void *argument, int level)
{
    struct reading *reading = argument;
    if (level == 0) return 0;                                    /* the root has no line */

    const char *name = zconfig_name(item), *value = zconfig_value(item);
    uint32_t line = reading->n_items < reading->n_lines ? reading->lines[reading->n_items] : 0;
    reading->n_items++;
    if (level == 1) reading->section[0] = 0;

    char key[KEY_SIZE], where[SL_PATH_SIZE + 32];
    snprintf(key, sizeof key, "%s%s%.63s", reading->section, reading->section[0] ? "." : "", name);
    snprintf(where, sizeof where, "%s, line %u", reading->path, line);
    if (level == 1 && zconfig_child(item)) {
        snprintf(reading->section, sizeof reading->section, "%.63s", name);
        if (!value || !*value) return 0;                         /* a section; one with a value is an option as well */
    }
    reading->error = set_option(reading->config, key, value ? value : "", where, reading->why, reading->why_size);
    return reading->error == SL_OK ? 0 : -1;
}

static int read_tree(struct reading *reading, const char *text, size_t size)
{
    zchunk_t *chunk = zchunk_new(text, size);
    zconfig_t *root = chunk ? zconfig_chunk_load(chunk) : NULL;
    zchunk_destroy(&chunk);
    if (!root) return SL_FAIL(SL_ERROR_FORMAT, reading->why, reading->why_size, "%s: is not a configuration in ZPL", reading->path);

    zconfig_execute(root, on_item, reading);
    zconfig_destroy(&root);
    return reading->error;
}

int sl_settings_parse(const char *text, size_t size, const char *name, struct sl_config *config, char *why, size_t why_size)
{
    int error;
    uint32_t n_lines = 0, *lines = calloc(size + 1, sizeof *lines);
    if (!lines) error = SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "%s: not enough memory to read it", name);
    else if (strlen(text) != size) error = SL_FAIL(SL_ERROR_FORMAT, why, why_size, "%s: holds zero bytes; it must be text", name);
    else error = find_lines(name, text, lines, &n_lines, why, why_size);

    struct sl_config changed = *config;
    struct reading reading = {.path = name, .lines = lines, .n_lines = n_lines, .config = &changed, .why = why, .why_size = why_size};
    if (error == SL_OK && n_lines > 0) error = read_tree(&reading, text, size);
    if (error == SL_OK) *config = changed;
    free(lines);
    return error;
}

int sl_settings_read(const char *path, struct sl_config *config, char *why, size_t why_size)
{
    uint8_t *text;
    size_t size;
    int error = sl_file_read(path, SETTINGS_SIZE_MAX, &text, &size, why, why_size);
    if (error != SL_OK) return error;

    error = sl_settings_parse((char *)text, size, path, config, why, why_size);
    free(text);
    return error;
}

int sl_settings_apply(const char *setting, struct sl_config *config, char *why, size_t why_size)
{
    const char *equals = strchr(setting, '=');
    char key[KEY_SIZE];
    if (!equals || equals == setting || (size_t)(equals - setting) >= sizeof key)
        return SL_FAIL(SL_ERROR_FORMAT, why, why_size, "--set %s: must be KEY=VALUE, like train.lr=0.1", setting);

    memcpy(key, setting, (size_t)(equals - setting));
    key[equals - setting] = 0;
    return set_option(config, key, equals + 1, "--set", why, why_size);
}
