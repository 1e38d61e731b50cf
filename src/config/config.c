/* SPDX-License-Identifier: MIT */
#include "starling/config.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/options.h"
#include "config/plan.h"
#include "starling/error.h"

static const struct sl_option options[] = {
#define X(scope_, kind_, field_, key_, initial_, min_, max_, help_)                                                               \
    {.key = key_, .scope = SL_SCOPE_##scope_, .kind = SL_KIND_##kind_, .initial = initial_, .min = min_, .max = max_,             \
     .help = help_, .offset = offsetof(struct sl_config, field_)},
#include "starling/options.def"
#undef X
};

enum { N_OPTIONS = sizeof options / sizeof options[0], KEY_MAX = 64, SHOWN_MAX = 80 };

/* A parsed value; the option's kind tells which member counts. */
union value {
    uint32_t uint;
    double real;
    uint64_t duration;
    char text[SL_TEXT_MAX];
};

static const struct {
    const char *name;
    uint64_t us;
} units[] = {{"h", 3600000000}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1}};

enum { N_UNITS = sizeof units / sizeof units[0] };

/* ---- parsing: each returns SL_OK, SL_ERROR_FORMAT or SL_ERROR_OUT_OF_RANGE ---- */

static int parse_uint(const char *text, uint32_t *out)
{
    size_t n_digits = strspn(text, "0123456789");
    if (n_digits == 0 || text[n_digits]) return SL_ERROR_FORMAT;

    uint64_t number = 0;
    for (const char *at = text; *at; at++) {
        number = number * 10 + (uint64_t)(*at - '0');
        if (number > UINT32_MAX) return SL_ERROR_OUT_OF_RANGE;
    }
    *out = (uint32_t)number;
    return SL_OK;
}

/* Plain decimal notation only: strtod alone would also take blanks, hexadecimal, "inf" and "nan". */
static int parse_real(const char *text, double *out)
{
    if (!*text || text[strspn(text, "0123456789+-.eE")]) return SL_ERROR_FORMAT;

    char *end;
    double number = strtod(text, &end);
    if (end == text || *end) return SL_ERROR_FORMAT;
    if (!isfinite(number)) return SL_ERROR_OUT_OF_RANGE;

    *out = number + 0.0;         /* -0 becomes 0, so equal values have equal texts */
    return SL_OK;
}

/* "1.5s": digits, at most one point, a unit; exact in whole microseconds. */
static int parse_duration(const char *text, uint64_t *out)
{
    uint64_t digits = 0, scale = 1;
    bool any = false, after_point = false;
    const char *at = text;
    for (; (*at >= '0' && *at <= '9') || (*at == '.' && any && !after_point); at++) {
        if (*at == '.') { after_point = true; continue; }

        any = true;
        if (digits > UINT64_MAX / 20 || (after_point && scale > UINT64_MAX / 20)) return SL_ERROR_OUT_OF_RANGE;
        digits = digits * 10 + (uint64_t)(*at - '0');
        if (after_point) scale *= 10;
    }
    if (!any) return SL_ERROR_FORMAT;

    for (int i = 0; i < N_UNITS; i++) {
        if (strcmp(at, units[i].name) != 0) continue;

        uint64_t product;
        if (__builtin_mul_overflow(digits, units[i].us, &product)) return SL_ERROR_OUT_OF_RANGE;
        if (product % scale != 0) return SL_ERROR_FORMAT;
        *out = product / scale;
        return SL_OK;
    }
    return SL_ERROR_FORMAT;
}

/* Printable, without blanks at the ends and without double quotes: so that it survives every file that holds it. */
static int parse_text(const char *text, char out[SL_TEXT_MAX])
{
    size_t size = strlen(text);
    if (size >= SL_TEXT_MAX) return SL_ERROR_OUT_OF_RANGE;
    if (size > 0 && (text[0] == ' ' || text[size - 1] == ' ')) return SL_ERROR_FORMAT;

    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f || c == '"') return SL_ERROR_FORMAT;
    }
    memset(out, 0, SL_TEXT_MAX);
    memcpy(out, text, size);
    return SL_OK;
}

static bool is_among(const char *words, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = words; *at;) {
        size_t n = strcspn(at, "|");
        if (n == size && memcmp(at, word, n) == 0) return true;
        at += n + (at[n] == '|');
    }
    return false;
}

static int parse(enum sl_option_kind kind, const char *text, union value *out)
{
    switch (kind) {
    case SL_KIND_UINT: return parse_uint(text, &out->uint);
    case SL_KIND_REAL: return parse_real(text, &out->real);
    case SL_KIND_DURATION: return parse_duration(text, &out->duration);
    case SL_KIND_TEXT:
    case SL_KIND_CHOICE: return parse_text(text, out->text);
    }
    return SL_ERROR_FORMAT;
}

static bool is_in_range(const struct sl_option *option, const union value *value)
{
    if (option->kind == SL_KIND_TEXT) return true;
    if (option->kind == SL_KIND_CHOICE) return is_among(option->min, value->text);

    union value min, max;
    int error = parse(option->kind, option->min, &min);
    if (!error) error = parse(option->kind, option->max, &max);
    assert(!error);                                      /* options.def is ours */

    if (option->kind == SL_KIND_UINT) return value->uint >= min.uint && value->uint <= max.uint;
    if (option->kind == SL_KIND_REAL) return value->real >= min.real && value->real <= max.real;
    return value->duration >= min.duration && value->duration <= max.duration;
}

/* ---- fields ---- */

static size_t field_size(enum sl_option_kind kind)
{
    switch (kind) {
    case SL_KIND_UINT: return sizeof(uint32_t);
    case SL_KIND_REAL: return sizeof(double);
    case SL_KIND_DURATION: return sizeof(uint64_t);
    case SL_KIND_TEXT:
    case SL_KIND_CHOICE: return SL_TEXT_MAX;
    }
    return 0;
}

static void put_field(struct sl_config *config, const struct sl_option *option, const union value *value)
{
    memcpy((char *)config + option->offset, value, field_size(option->kind));
}

static union value get_field(const struct sl_config *config, const struct sl_option *option)
{
    union value value = {0};
    memcpy(&value, (const char *)config + option->offset, field_size(option->kind));
    return value;
}

/* ---- printing ---- */

/* The shortest of three forms that reads back to the same number. */
static void print_real(double number, char *out, size_t size)
{
    static const int precisions[] = {9, 15, 17};
    for (int i = 0; i < 3; i++) {
        snprintf(out, size, "%.*g", precisions[i], number);
        if (strtod(out, NULL) == number) return;
    }
}

static void print_duration(uint64_t us, char *out, size_t size)
{
    int i = 0;
    while (us % units[i].us != 0) i++;                   /* every number is whole in the last unit */
    if (us == 0) i = 2;
    snprintf(out, size, "%" PRIu64 "%s", us / units[i].us, units[i].name);
}

static void print_value(enum sl_option_kind kind, const union value *value, char *out, size_t size)
{
    switch (kind) {
    case SL_KIND_UINT: snprintf(out, size, "%" PRIu32, value->uint); break;
    case SL_KIND_REAL: print_real(value->real, out, size); break;
    case SL_KIND_DURATION: print_duration(value->duration, out, size); break;
    case SL_KIND_TEXT:
    case SL_KIND_CHOICE: snprintf(out, size, "%.*s", SL_TEXT_MAX - 1, value->text); break;
    }
}

/* ---- sentences ---- */

static uint32_t smallest(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Edit distance (Wagner and Fischer, 1974) of two keys shorter than KEY_MAX. */
static uint32_t edit_distance(const char *a, const char *b)
{
    uint32_t row[KEY_MAX + 1], n = (uint32_t)strlen(b);
    for (uint32_t j = 0; j <= n; j++) row[j] = j;

    for (uint32_t i = 0; a[i]; i++) {
        uint32_t diagonal = row[0];
        row[0] = i + 1;
        for (uint32_t j = 0; j < n; j++) {
            uint32_t above = row[j + 1];
            row[j + 1] = smallest(diagonal + (a[i] != b[j]), above + 1, row[j] + 1);
            diagonal = above;
        }
    }
    return row[n];
}

/* The key that was probably meant, or NULL when none is near. */
static const char *nearest_key(const char *key)
{
    size_t size = strlen(key);
    if (size >= KEY_MAX) return NULL;

    const char *nearest = NULL;
    uint32_t least = (uint32_t)size / 3 + 2;
    for (uint32_t i = 0; i < N_OPTIONS; i++) {
        uint32_t distance = edit_distance(key, options[i].key);
        if (distance >= least) continue;
        least = distance;
        nearest = options[i].key;
    }
    return nearest;
}

static int refuse_key(const char *key, char *why, size_t why_size)
{
    const char *nearest = nearest_key(key);
    if (nearest) snprintf(why, why_size, "no option is called '%.*s'; did you mean '%s'?", SHOWN_MAX, key, nearest);
    else snprintf(why, why_size, "no option is called '%.*s'; docs/config.md lists all of them", SHOWN_MAX, key);
    return SL_ERROR_NOT_FOUND;
}

static int refuse_value(const struct sl_option *option, const char *value, int error, char *why, size_t why_size)
{
    const char *fault = error == SL_ERROR_FORMAT ? "not of the right form" : "out of range";
    if (option->kind == SL_KIND_CHOICE) {
        snprintf(why, why_size, "%s: '%.*s' is not known; allowed: %s", option->key, SHOWN_MAX, value, option->min);
        return SL_ERROR_OUT_OF_RANGE;
    }
    if (option->kind == SL_KIND_TEXT) {
        snprintf(why, why_size, "%s: '%.*s' is %s; wanted: printable text of at most %d bytes, no double quotes, no blanks at its ends",
                 option->key, SHOWN_MAX, value, fault, SL_TEXT_MAX - 1);
        return error;
    }

    char range[SL_TEXT_MAX];
    sl_option_range(option, range, sizeof range);
    snprintf(why, why_size, "%s: '%.*s' is %s; wanted: %s", option->key, SHOWN_MAX, value, fault, range);
    return error;
}

/* ---- public: struct sl_config ---- */

void sl_config_init(struct sl_config *config)
{
    memset(config, 0, sizeof *config);
    for (uint32_t i = 0; i < N_OPTIONS; i++) {
        union value value;
        int error = parse(options[i].kind, options[i].initial, &value);
        assert(!error && is_in_range(&options[i], &value));
        put_field(config, &options[i], &value);
    }
}

int sl_config_set(struct sl_config *config, const char *key, const char *value, char *why, size_t why_size)
{
    if (!why) why_size = 0;

    const struct sl_option *option = sl_config_find(key);
    if (!option) return refuse_key(key, why, why_size);

    union value parsed;
    int error = parse(option->kind, value, &parsed);
    if (!error && !is_in_range(option, &parsed)) error = SL_ERROR_OUT_OF_RANGE;
    if (error) return refuse_value(option, value, error, why, why_size);

    put_field(config, option, &parsed);
    return SL_OK;
}

int sl_config_get(const struct sl_config *config, const char *key, char *out, size_t size)
{
    const struct sl_option *option = sl_config_find(key);
    if (!option) return SL_ERROR_NOT_FOUND;

    char text[SL_TEXT_MAX];
    union value value = get_field(config, option);
    print_value(option->kind, &value, text, sizeof text);
    if (strlen(text) >= size) return SL_ERROR_TOO_LARGE;

    strcpy(out, text);
    return SL_OK;
}

/* Names two neighbouring keys whose values are not in order. */
static int refuse_order(const char *low, double low_value, const char *relation, const char *high, double high_value, char *why,
                        size_t why_size)
{
    snprintf(why, why_size, "%s (%.9g) must be %s %s (%.9g)", low, low_value, relation, high, high_value);
    return SL_ERROR_OUT_OF_RANGE;
}

static int check_phases(const struct sl_config *config, char *why, size_t why_size)
{
    const struct {
        const char *key;
        double share;
    } phases[] = {{"phase.formation", config->phase_formation}, {"phase.shares", config->phase_shares},
                  {"phase.train", config->phase_train},         {"phase.commit", config->phase_commit},
                  {"phase.open", config->phase_open},           {"phase.audit", config->phase_audit},
                  {"phase.confirm", config->phase_confirm},     {"phase.unmask", config->phase_unmask},
                  {"phase.result", config->phase_result},       {"phase.pull", config->phase_pull}};
    for (size_t i = 1; i < sizeof phases / sizeof *phases; i++) {
        bool in_order = phases[i - 1].share < phases[i].share;
        if (!in_order)
            return refuse_order(phases[i - 1].key, phases[i - 1].share, "earlier than", phases[i].key, phases[i].share, why, why_size);
    }
    return SL_OK;
}

static int check_cohort(const struct sl_config *config, char *why, size_t why_size)
{
    const struct {
        const char *low;
        double low_value;
        const char *high;
        double high_value;
    } pairs[] = {{"cohort.min_size", config->cohort_min_size, "cohort.size", config->cohort_size},
                 {"cohort.size", config->cohort_size, "cohort.max_size", config->cohort_max_size},
                 {"cohort.radius_min", config->cohort_radius_min, "cohort.radius", config->cohort_radius},
                 {"cohort.radius", config->cohort_radius, "cohort.radius_max", config->cohort_radius_max}};
    for (int i = 0; i < 4; i++) {
        bool in_order = pairs[i].low_value <= pairs[i].high_value;
        if (!in_order) return refuse_order(pairs[i].low, pairs[i].low_value, "at most", pairs[i].high, pairs[i].high_value, why, why_size);
    }

    bool protects = config->cohort_min_size >= 4;
    if (protects) return SL_OK;

    snprintf(why, why_size, "cohort.min_size (%" PRIu32 ") must be at least 4: of three members, one colluder and the sum reveal the third",
             config->cohort_min_size);
    return SL_ERROR_OUT_OF_RANGE;
}

static bool is_scale(const char *text)
{
    double divisor;
    if (strcmp(text, "none") == 0 || strcmp(text, "standard") == 0) return true;
    return strncmp(text, "divide:", 7) == 0 && parse_real(text + 7, &divisor) == SL_OK && divisor > 0;
}

/* Single options whose rule is more than a range. */
static int check_forms(const struct sl_config *config, char *why, size_t why_size)
{
    double number;
    uint32_t bits = config->aggregate_bits, ring = config->ring_bits;
    if (ring != 16 && ring != 32) {
        snprintf(why, why_size, "ring.bits: '%" PRIu32 "' is not possible; allowed: 16 or 32", ring);
        return SL_ERROR_OUT_OF_RANGE;
    }
    if (bits != 8 && bits != 16 && bits != 32) {
        snprintf(why, why_size, "aggregate.bits: '%" PRIu32 "' is not possible; allowed: 8, 16 or 32", bits);
        return SL_ERROR_OUT_OF_RANGE;
    }
    if (!is_scale(config->scale)) {
        snprintf(why, why_size, "data.scale: '%.*s' is not known; allowed: none, divide:X with X above 0, or standard", SHOWN_MAX,
                 config->scale);
        return SL_ERROR_OUT_OF_RANGE;
    }
    if (config->impute[0] && parse_real(config->impute, &number) != SL_OK) {
        snprintf(why, why_size, "data.impute: '%.*s' is not a number; wanted: a finite decimal number, or nothing", SHOWN_MAX,
                 config->impute);
        return SL_ERROR_OUT_OF_RANGE;
    }
    return SL_OK;
}

int sl_config_check_network(const struct sl_config *config, char *why, size_t why_size)
{
    if (!why) why_size = 0;

    int error = check_phases(config, why, why_size);
    if (!error) error = check_cohort(config, why, why_size);
    if (!error) error = check_forms(config, why, why_size);
    if (!error) error = sl_privacy_check_network(config, why, why_size);
    return error;
}

int sl_config_check(const struct sl_config *config, char *why, size_t why_size)
{
    if (!why) why_size = 0;

    int error = sl_config_check_network(config, why, why_size);
    if (error) return error;
    if (config->link_inbound > config->link_max)
        return refuse_order("link.inbound", config->link_inbound, "at most", "link.max", config->link_max, why, why_size);
    return sl_privacy_check(config, why, why_size);
}

/* ---- public: the list of options ---- */

uint32_t sl_config_count(void)
{
    return N_OPTIONS;
}

const struct sl_option *sl_config_option(uint32_t i)
{
    assert(i < N_OPTIONS);
    return &options[i];
}

const struct sl_option *sl_config_find(const char *key)
{
    for (uint32_t i = 0; i < N_OPTIONS; i++)
        if (strcmp(options[i].key, key) == 0) return &options[i];
    return NULL;
}

size_t sl_option_range(const struct sl_option *option, char *out, size_t size)
{
    int length = 0;
    switch (option->kind) {
    case SL_KIND_UINT: length = snprintf(out, size, "whole number, %s .. %s", option->min, option->max); break;
    case SL_KIND_REAL: length = snprintf(out, size, "number, %s .. %s", option->min, option->max); break;
    case SL_KIND_DURATION: length = snprintf(out, size, "duration with a unit (us, ms, s, m, h), %s .. %s", option->min, option->max); break;
    case SL_KIND_TEXT: length = snprintf(out, size, "text"); break;
    case SL_KIND_CHOICE: length = snprintf(out, size, "one of %s", option->min); break;
    }
    assert(length >= 0);
    return (size_t)length;
}

/* Bytes of the key before its dot; the whole key where it has none. */
static size_t section_size(const char *key)
{
    return strcspn(key, ".");
}

static bool same_section(const struct sl_option *a, const struct sl_option *b)
{
    size_t size = section_size(a->key);
    return a->scope == b->scope && size == section_size(b->key) && memcmp(a->key, b->key, size) == 0;
}

static bool opens_section(uint32_t i)
{
    for (uint32_t before = 0; before < i; before++)
        if (same_section(&options[before], &options[i])) return false;
    return true;
}

static void write_option(FILE *file, const struct sl_config *config, const struct sl_option *option)
{
    char range[SL_TEXT_MAX], text[SL_TEXT_MAX];
    const char *dot = strchr(option->key, '.'), *indent = dot ? "    " : "";
    union value value = get_field(config, option);
    sl_option_range(option, range, sizeof range);
    print_value(option->kind, &value, text, sizeof text);

    fprintf(file, "%s# %s\n", indent, option->help);
    fprintf(file, "%s# %s; default \"%s\"\n", indent, range, option->initial);
    fprintf(file, "%s%s = \"%s\"\n", indent, dot ? dot + 1 : option->key, text);
}

/* A section may have a value of its own, as `model` has: ZPL then wants it in the section's line, above what is nested in it. */
static void write_section(FILE *file, const struct sl_config *config, const struct sl_option *first)
{
    char name[KEY_MAX];
    snprintf(name, sizeof name, "%.*s", (int)section_size(first->key), first->key);

    const struct sl_option *own = sl_config_find(name);
    if (own && own->scope == first->scope) write_option(file, config, own);
    else fprintf(file, "%s\n", name);

    for (uint32_t i = 0; i < N_OPTIONS; i++)
        if (same_section(first, &options[i]) && &options[i] != own) write_option(file, config, &options[i]);
}

int sl_config_write_commented(FILE *file, const struct sl_config *config, enum sl_option_scope scope)
{
    const char *gap = "";
    for (uint32_t i = 0; i < N_OPTIONS; i++) {
        if (options[i].scope != scope || !opens_section(i)) continue;

        fputs(gap, file);
        gap = "\n";
        write_section(file, config, &options[i]);
    }
    return fflush(file) == 0 && !ferror(file) ? SL_OK : SL_ERROR_IO;
}
