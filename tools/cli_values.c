/* SPDX-License-Identifier: MIT */
#include "cli_values.h"

#include <math.h>
#include <string.h>

static const char unknown[] = "-";

enum { KEY_SIZE = 64, DEPTH_MAX = 4 };

static const char *say_unknown(char *out)
{
    memcpy(out, unknown, sizeof unknown);
    return out;
}

json_t *cli_at(const json_t *object, const char *path)
{
    json_t *value = NULL;
    while (*path) {
        char key[KEY_SIZE];
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        value = json_object_get(object, key);
        object = value;
        path += length + (path[length] == '.');
    }
    return json_is_null(value) ? NULL : value;
}

double cli_number(const json_t *object, const char *path)
{
    const json_t *value = cli_at(object, path);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

bool cli_is_true(const json_t *object, const char *path)
{
    return json_is_true(cli_at(object, path));
}

const char *cli_string(const struct cli *cli, const json_t *object, const char *path, char *out)
{
    const char *text = json_string_value(cli_at(object, path));
    if (!text || !text[0]) return say_unknown(out);
    cli_clean(text, cli->utf8, out, CLI_VALUE_SIZE);
    return out;
}

const char *cli_count(const json_t *object, const char *path, char *out)
{
    double value = cli_number(object, path);
    if (!isfinite(value)) return say_unknown(out);
    snprintf(out, CLI_VALUE_SIZE, "%.0f", value);
    return out;
}

const char *cli_bytes(const json_t *object, const char *path, char *out)
{
    double value = cli_number(object, path);
    if (!isfinite(value)) return say_unknown(out);
    cli_size_text(value, out);
    return out;
}

const char *cli_age(const json_t *object, const char *path, char *out)
{
    double value = cli_number(object, path);
    if (!isfinite(value)) return say_unknown(out);
    cli_age_text(value, out);
    return out;
}

const char *cli_real(const json_t *object, const char *path, int digits, char *out)
{
    double value = cli_number(object, path);
    if (!isfinite(value)) return say_unknown(out);
    snprintf(out, CLI_VALUE_SIZE, "%.*f", digits, value);
    return out;
}

const char *cli_id(const struct cli *cli, const json_t *object, const char *path, char *out)
{
    const char *id = json_string_value(cli_at(object, path));
    if (!id) return say_unknown(out);
    cli_id_text(id, cli->full_ids, out, CLI_VALUE_SIZE);
    return out;
}

static const char *plain_value(const struct cli *cli, const json_t *value, char *out)
{
    if (json_is_integer(value)) snprintf(out, CLI_VALUE_SIZE, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value)) snprintf(out, CLI_VALUE_SIZE, "%.15g", json_real_value(value));
    else if (json_is_boolean(value)) snprintf(out, CLI_VALUE_SIZE, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_string(value) && json_string_value(value)[0]) cli_clean(json_string_value(value), cli->utf8, out, CLI_VALUE_SIZE);
    else say_unknown(out);
    return out;
}

const char *cli_plain(const struct cli *cli, const json_t *object, const char *path, char *out)
{
    return plain_value(cli, cli_at(object, path), out);
}

/* One object or array that is being walked through. */
struct level {
    const json_t *value;
    void *at;                            /* of an object */
    size_t index;                        /* of an array */
    size_t key_length;                   /* of the path to it */
};

/* The next member of a level and its key; NULL at its end. */
static const json_t *next_member(struct level *level, char key[KEY_SIZE])
{
    const json_t *member = NULL;
    if (json_is_array(level->value)) {
        member = json_array_get(level->value, level->index);
        snprintf(key, KEY_SIZE, "%zu", level->index++);
    } else if (level->at) {
        member = json_object_iter_value(level->at);
        snprintf(key, KEY_SIZE, "%s", json_object_iter_key(level->at));
    }
    return member;
}

void cli_dump_object(const struct cli *cli, const json_t *object)
{
    char path[DEPTH_MAX * KEY_SIZE] = "", key[KEY_SIZE], value[CLI_VALUE_SIZE], shown[DEPTH_MAX * KEY_SIZE];
    json_t *known = json_incref((json_t *)(uintptr_t)object);        /* iterators want an object that may change */
    struct level levels[DEPTH_MAX] = {{.value = known, .at = json_object_iter(known)}};
    uint32_t depth = 0;
    for (;;) {
        struct level *level = &levels[depth];
        const json_t *member = next_member(level, key);
        if (!member && depth == 0) break;
        if (!member) {
            depth--;
            continue;
        }
        if (json_is_object(level->value)) level->at = json_object_iter_next((json_t *)(uintptr_t)level->value, level->at);
        snprintf(path + level->key_length, sizeof path - level->key_length, "%s%s", level->key_length > 0 ? "." : "", key);
        bool is_inner = (json_is_object(member) || json_is_array(member)) && depth + 1 < DEPTH_MAX;
        if (is_inner) {
            json_t *inner = (json_t *)(uintptr_t)member;
            levels[++depth] = (struct level){.value = inner, .at = json_object_iter(inner), .key_length = strlen(path)};
            continue;
        }
        cli_clean(path, false, shown, sizeof shown);
        printf("%s\t%s\n", shown, plain_value(cli, member, value));
    }
    json_decref(known);
}
