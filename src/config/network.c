/* SPDX-License-Identifier: MIT */
#include "config/network.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "config/options.h"
#include "starling/error.h"

enum {
    FILE_SIZE_MAX = 64 << 20,            /* a descriptor of 2^20 features with two numbers each stays below this */
    PATH_SIZE_MAX = 4096,
    NUMBER_SIZE_MAX = 32,
    OPTIONS_MAX = 256                    /* more than options.def will ever hold; checked */
};

/* ---- the canonical form, into a hash or a file ---- */

struct sink {
    struct sl_hash *hash;
    FILE *file;
};

static void put(const struct sink *sink, const char *text)
{
    if (sink->hash) sl_hash_bytes(sink->hash, text, strlen(text));
    if (sink->file) fputs(text, sink->file);
}

static void put_numbers(const struct sink *sink, const char *key, const float *numbers, uint32_t n_numbers)
{
    put(sink, key);
    put(sink, " =");
    for (uint32_t i = 0; i < n_numbers; i++) {
        char text[NUMBER_SIZE_MAX];
        snprintf(text, sizeof text, " %.9g", (double)numbers[i]);
        put(sink, text);
    }
    put(sink, "\n");
}

static void put_names(const struct sink *sink, const char *key, const struct sl_names *names)
{
    for (uint32_t i = 0; i < names->n; i++) {
        put(sink, i == 0 ? key : ",");
        if (i == 0) put(sink, " = ");
        char spelled[4];
        for (const char *letter = names->names[i]; *letter; letter++) put(sink, sl_names_letter(*letter, spelled));
    }
    if (names->n > 0) put(sink, "\n");
}

static void put_options(const struct sink *sink, const struct sl_config *config)
{
    for (uint32_t i = 0; i < sl_config_count(); i++) {
        const struct sl_option *option = sl_config_option(i);
        if (option->scope != SL_SCOPE_NETWORK) continue;

        char value[SL_TEXT_MAX];
        int error = sl_config_get(config, option->key, value, sizeof value);
        assert(!error);
        put(sink, option->key);
        put(sink, " = ");
        put(sink, value);
        put(sink, "\n");
    }
}

static void put_canonical(const struct sink *sink, const struct sl_config *config, const struct sl_scaling *scaling)
{
    put_options(sink, config);

    put(sink, "operator = ");
    for (size_t i = 0; i < sizeof config->operator_key; i++) {
        char digits[3];
        snprintf(digits, sizeof digits, "%02x", config->operator_key[i]);
        put(sink, digits);
    }
    put(sink, "\n");

    if (!scaling) return;
    if (scaling->n_features > 0) {
        put_numbers(sink, "offset", scaling->offset, scaling->n_features);
        put_numbers(sink, "factor", scaling->factor, scaling->n_features);
    }
    put_names(sink, "columns", &scaling->columns);
    put_names(sink, "classes", &scaling->classes);
}

void sl_scaling_finish(struct sl_scaling *scaling)
{
    free(scaling->offset);
    free(scaling->factor);
    sl_names_finish(&scaling->columns);
    sl_names_finish(&scaling->classes);
    *scaling = (struct sl_scaling){0};
}

void sl_network_id(const struct sl_config *config, const struct sl_scaling *scaling, uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, "network");
    put_canonical(&(struct sink){.hash = &hash}, config, scaling);
    sl_hash_final(&hash, out);
}

/* ---- what must hold of a whole descriptor, when it is written and when it is read ---- */

static int check_scaling(const struct sl_config *config, const struct sl_scaling *scaling, char *why, size_t why_size)
{
    bool wanted = strcmp(config->scale, "standard") == 0;
    uint32_t n = scaling ? scaling->n_features : 0;
    if (!wanted && n > 0) {
        snprintf(why, why_size, "offset and factor belong to data.scale = standard, but data.scale is '%.80s'", config->scale);
        return SL_ERROR_FORMAT;
    }
    if (wanted && n == 0) {
        snprintf(why, why_size, "data.scale = standard needs the lines offset and factor, one number per feature");
        return SL_ERROR_FORMAT;
    }
    if (wanted && config->n_features > 0 && n != config->n_features) {
        snprintf(why, why_size, "offset and factor hold %u numbers; model.features wants %u", (unsigned)n, (unsigned)config->n_features);
        return SL_ERROR_FORMAT;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (isfinite(scaling->offset[i]) && isfinite(scaling->factor[i])) continue;
        snprintf(why, why_size, "offset and factor of feature %u must be finite numbers", (unsigned)i);
        return SL_ERROR_OUT_OF_RANGE;
    }
    return SL_OK;
}

/* Every feature and every class has its name, or none has. */
static int check_names(const char *key, const struct sl_names *names, const char *option, uint32_t n, char *why, size_t why_size)
{
    if (names->n == 0 || names->n == n) return SL_OK;

    snprintf(why, why_size, "%s holds %u names, but %s is %u; wanted: equally many, or no such line", key, (unsigned)names->n, option, (unsigned)n);
    return SL_ERROR_FORMAT;
}

static int check_whole(const char *path, const struct sl_config *config, const struct sl_scaling *scaling, char *why, size_t why_size)
{
    char sentence[SL_TEXT_MAX];
    int error = sl_config_check_network(config, sentence, sizeof sentence);
    if (!error) error = check_scaling(config, scaling, sentence, sizeof sentence);
    if (!error && scaling) error = check_names("columns", &scaling->columns, "model.features", config->n_features, sentence, sizeof sentence);
    if (!error && scaling) error = check_names("classes", &scaling->classes, "model.classes", config->n_classes, sentence, sizeof sentence);
    if (error) snprintf(why, why_size, "%s: %s", path, sentence);
    return error;
}

/* ---- writing ---- */

static int refuse_file(const char *verb, const char *path, int number, char *why, size_t why_size)
{
    snprintf(why, why_size, "cannot %s %s: %s", verb, path, strerror(number));
    if (number == ENOENT) return SL_ERROR_NOT_FOUND;
    return number == ENOSPC || number == EDQUOT ? SL_ERROR_NO_SPACE : SL_ERROR_IO;
}

/* Makes a rename durable. */
static bool sync_folder_of(const char *path)
{
    char folder[PATH_SIZE_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");

    int descriptor = open(folder, O_RDONLY | O_DIRECTORY);
    if (descriptor < 0) return false;

    bool synced = fsync(descriptor) == 0;
    int number = errno;
    close(descriptor);
    errno = number;
    return synced;
}

static void put_file(FILE *file, const struct sl_config *config, const struct sl_scaling *scaling)
{
    const struct sink sink = {.file = file};
    put(&sink, "# Starling network descriptor: equal on every node. A change of any line makes another network.\n");
    put_canonical(&sink, config, scaling);
}

int sl_network_write(const char *path, const struct sl_config *config, const struct sl_scaling *scaling, char *why, size_t why_size)
{
    if (!why) why_size = 0;

    int error = check_whole(path, config, scaling, why, why_size);
    if (error) return error;

    char fresh[PATH_SIZE_MAX];
    int length = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof fresh) return refuse_file("write", path, ENAMETOOLONG, why, why_size);

    bool done = false;
    FILE *file = fopen(fresh, "wb");
    if (!file) goto out;
    put_file(file, config, scaling);
    if (ferror(file) || fflush(file) != 0 || fsync(fileno(file)) != 0) goto out;
    if (rename(fresh, path) != 0) goto out;
    done = sync_folder_of(path);
out:
    if (!done) error = refuse_file("write", path, errno, why, why_size);
    if (file) fclose(file);
    if (!done && file) unlink(fresh);
    return error;
}

/* ---- reading ---- */

/* What has been read so far; becomes the caller's when the whole file is right. */
struct draft {
    struct sl_config config;
    struct sl_scaling scaling;
    uint32_t n_offsets, n_factors;
    bool option_seen[OPTIONS_MAX], operator_seen;
};

/* One line "key = value", both without blanks at their ends; texts end with a zero. */
struct line {
    const char *path;
    uint32_t number;
    const char *key, *value;
};

/* The whole file with a zero after it, or NULL. */
static char *load(const char *path, size_t *size, int *error, char *why, size_t why_size)
{
    char *text = NULL;
    long end = -1;
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0 || (end = ftell(file)) < 0) {
        *error = refuse_file("read", path, errno, why, why_size);
        goto out;
    }
    if (end > FILE_SIZE_MAX) {
        snprintf(why, why_size, "%s is not a network descriptor: it is larger than %d bytes", path, FILE_SIZE_MAX);
        *error = SL_ERROR_FORMAT;
        goto out;
    }

    text = malloc((size_t)end + 1);
    if (!text) {
        snprintf(why, why_size, "cannot read %s: not enough memory", path);
        *error = SL_ERROR_NO_MEMORY;
        goto out;
    }
    rewind(file);
    *size = fread(text, 1, (size_t)end, file);
    text[*size] = 0;
    if (ferror(file)) {
        *error = refuse_file("read", path, errno, why, why_size);
        free(text);
        text = NULL;
    }
out:
    if (file) fclose(file);
    return text;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts blanks off both ends, in place. */
static char *trim(char *text)
{
    while (is_blank(*text)) text++;
    size_t size = strlen(text);
    while (size > 0 && is_blank(text[size - 1])) size--;
    text[size] = 0;
    return text;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

static bool read_hex(const char *text, uint8_t out[32])
{
    if (strlen(text) != 64) return false;

    uint8_t bytes[32];
    for (int i = 0; i < 32; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(out, bytes, sizeof bytes);
    return true;
}

/* Says what is wrong with a line. */
static int refuse_line(const struct line *line, int error, const char *what, char *why, size_t why_size)
{
    snprintf(why, why_size, "%s:%u: %s", line->path, (unsigned)line->number, what);
    return error;
}

static uint32_t count_words(const char *text)
{
    uint32_t n_words = 0;
    for (; *text; n_words++) {
        text += strcspn(text, " \t");
        text += strspn(text, " \t");
    }
    return n_words;
}

/* One row of float32 numbers, parted by blanks; *out is NULL until then. */
static int read_numbers(const struct line *line, float **out, uint32_t *n_out, char *why, size_t why_size)
{
    char sentence[SL_TEXT_MAX];
    uint32_t n_numbers = count_words(line->value);
    if (n_numbers == 0) return refuse_line(line, SL_ERROR_FORMAT, "no numbers; wanted: one per feature, parted by blanks", why, why_size);

    *out = calloc(n_numbers, sizeof **out);
    if (!*out) return refuse_line(line, SL_ERROR_NO_MEMORY, "not enough memory", why, why_size);

    *n_out = n_numbers;
    const char *at = line->value;
    for (uint32_t i = 0; i < n_numbers; i++) {
        size_t size = strcspn(at, " \t");
        char *end;
        float number = strtof(at, &end);
        bool plain = strspn(at, "0123456789+-.eE") >= size && end == at + size;
        if (!plain || !isfinite(number)) {
            snprintf(sentence, sizeof sentence, "number %u is '%.*s'; wanted: a finite decimal number", (unsigned)i + 1,
                     size < 40 ? (int)size : 40, at);
            return refuse_line(line, SL_ERROR_FORMAT, sentence, why, why_size);
        }
        (*out)[i] = number;
        at += size;
        at += strspn(at, " \t");
    }
    return SL_OK;
}

static int read_names(const struct line *line, struct sl_names *out, char *why, size_t why_size)
{
    int error = sl_names_split(line->value, out);
    if (error == SL_ERROR_NO_MEMORY) return refuse_line(line, error, "not enough memory", why, why_size);
    if (error)
        return refuse_line(line, error, "these are no names; wanted: names parted by commas, with %XX for blanks, commas, quotes and percent signs", why,
                           why_size);
    return SL_OK;
}

static int refuse_duplicate(const struct line *line, char *why, size_t why_size)
{
    char sentence[SL_TEXT_MAX];
    snprintf(sentence, sizeof sentence, "'%.80s' stands here a second time; wanted: every key once", line->key);
    return refuse_line(line, SL_ERROR_FORMAT, sentence, why, why_size);
}

static uint32_t index_of(const char *key)
{
    uint32_t i = 0;
    while (i < sl_config_count() && strcmp(sl_config_option(i)->key, key) != 0) i++;
    return i;
}

static int read_option(const struct line *line, struct draft *draft, char *why, size_t why_size)
{
    char sentence[SL_TEXT_MAX];
    uint32_t i = index_of(line->key);
    if (i < sl_config_count() && sl_config_option(i)->scope != SL_SCOPE_NETWORK) {
        snprintf(sentence, sizeof sentence, "'%s' is each node's own; it does not belong in the network descriptor", line->key);
        return refuse_line(line, SL_ERROR_FORMAT, sentence, why, why_size);
    }

    int error = sl_config_set(&draft->config, line->key, line->value, sentence, sizeof sentence);
    if (error == SL_ERROR_NOT_FOUND) error = SL_ERROR_FORMAT;      /* the file is there; its key is not */
    if (error) return refuse_line(line, error, sentence, why, why_size);
    if (draft->option_seen[i]) return refuse_duplicate(line, why, why_size);

    draft->option_seen[i] = true;
    return SL_OK;
}

static int read_line(const struct line *line, struct draft *draft, char *why, size_t why_size)
{
    if (strcmp(line->key, "operator") == 0) {
        if (draft->operator_seen) return refuse_duplicate(line, why, why_size);
        if (!read_hex(line->value, draft->config.operator_key))
            return refuse_line(line, SL_ERROR_FORMAT, "operator is not a key; wanted: 64 digits 0-9 a-f", why, why_size);
        draft->operator_seen = true;
        return SL_OK;
    }
    if (strcmp(line->key, "offset") == 0) {
        if (draft->scaling.offset) return refuse_duplicate(line, why, why_size);
        return read_numbers(line, &draft->scaling.offset, &draft->n_offsets, why, why_size);
    }
    if (strcmp(line->key, "factor") == 0) {
        if (draft->scaling.factor) return refuse_duplicate(line, why, why_size);
        return read_numbers(line, &draft->scaling.factor, &draft->n_factors, why, why_size);
    }
    bool is_columns = strcmp(line->key, "columns") == 0;
    if (is_columns || strcmp(line->key, "classes") == 0) {
        struct sl_names *names = is_columns ? &draft->scaling.columns : &draft->scaling.classes;
        if (names->n > 0) return refuse_duplicate(line, why, why_size);
        return read_names(line, names, why, why_size);
    }
    return read_option(line, draft, why, why_size);
}

static int read_lines(const char *path, char *text, struct draft *draft, char *why, size_t why_size)
{
    struct line line = {.path = path};
    for (char *at = text, *next; *at; at = next) {
        size_t size = strcspn(at, "\n");
        next = at + size + (at[size] == '\n');
        at[size] = 0;
        line.number++;

        char *content = trim(at);
        if (!*content || *content == '#') continue;

        char *equals = strchr(content, '=');
        if (!equals) return refuse_line(&line, SL_ERROR_FORMAT, "this is no setting; wanted: key = value", why, why_size);
        *equals = 0;
        line.key = trim(content);
        line.value = trim(equals + 1);
        int error = read_line(&line, draft, why, why_size);
        if (error) return error;
    }
    return SL_OK;
}

/* A descriptor is complete: a default that is filled in silently could differ between versions. */
static int check_complete(const char *path, struct draft *draft, char *why, size_t why_size)
{
    const char *missing = draft->operator_seen ? NULL : "operator";
    for (uint32_t i = sl_config_count(); i-- > 0;)
        if (sl_config_option(i)->scope == SL_SCOPE_NETWORK && !draft->option_seen[i]) missing = sl_config_option(i)->key;
    if (missing) {
        snprintf(why, why_size, "%s: '%s' is missing; wanted: every option of the network and the operator's key", path, missing);
        return SL_ERROR_FORMAT;
    }
    if (draft->n_offsets != draft->n_factors) {
        snprintf(why, why_size, "%s: offset holds %u numbers and factor %u; wanted: equally many", path, (unsigned)draft->n_offsets,
                 (unsigned)draft->n_factors);
        return SL_ERROR_FORMAT;
    }
    draft->scaling.n_features = draft->n_offsets;
    return check_whole(path, &draft->config, &draft->scaling, why, why_size);
}

int sl_network_parse(char *text, size_t size, const char *name, struct sl_config *config, struct sl_scaling *scaling, char *why, size_t why_size)
{
    assert(sl_config_count() <= OPTIONS_MAX && text[size] == 0);
    if (!why) why_size = 0;

    struct draft draft = {.config = *config};
    int error = SL_OK;
    if (strlen(text) != size) {
        snprintf(why, why_size, "%s is not a network descriptor: it holds zero bytes", name);
        error = SL_ERROR_FORMAT;
    }
    if (!error) error = read_lines(name, text, &draft, why, why_size);
    if (!error) error = check_complete(name, &draft, why, why_size);
    if (error) {
        sl_scaling_finish(&draft.scaling);
        return error;
    }
    sl_network_id(&draft.config, &draft.scaling, draft.config.network_id);
    *config = draft.config;
    *scaling = draft.scaling;
    return SL_OK;
}

int sl_network_read(const char *path, struct sl_config *config, struct sl_scaling *scaling, char *why, size_t why_size)
{
    if (!why) why_size = 0;

    size_t size = 0;
    int error = SL_OK;
    char *text = load(path, &size, &error, why, why_size);
    if (!text) return error;

    error = sl_network_parse(text, size, path, config, scaling, why, why_size);
    free(text);
    return error;
}
