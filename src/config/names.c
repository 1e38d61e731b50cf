/* SPDX-License-Identifier: MIT */
#include "config/names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "starling/error.h"

static bool is_plain(unsigned char c)
{
    return c > ' ' && c != 0x7f && c != ',' && c != '%' && c != '"';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The name in `size` bytes of the line; NULL with *error when it is spelled wrongly or memory is short. */
static char *take_name(const char *at, size_t size, int *error)
{
    char *name = malloc(size + 1), *to = name;
    *error = name ? SL_OK : SL_ERROR_NO_MEMORY;
    for (size_t i = 0; name && i < size; i++) {
        char c = at[i];
        if (c == '%') {
            int high = i + 2 < size ? hex_digit(at[i + 1]) : -1, low = i + 2 < size ? hex_digit(at[i + 2]) : -1;
            int byte = high < 0 || low < 0 ? 0 : high << 4 | low;
            if (byte == 0 || is_plain((unsigned char)byte)) *error = SL_ERROR_FORMAT;      /* one spelling only */
            c = (char)byte;
            i += 2;
        } else if (!is_plain((unsigned char)c)) {
            *error = SL_ERROR_FORMAT;
        }
        if (*error) break;
        *to++ = c;
    }
    if (*error) {
        free(name);
        return NULL;
    }
    *to = 0;
    return name;
}

void sl_names_finish(struct sl_names *names)
{
    for (uint32_t i = 0; i < names->n; i++) free(names->names[i]);
    free(names->names);
    *names = (struct sl_names){0};
}

const char *sl_names_letter(char c, char out[4])
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned char byte = (unsigned char)c;
    if (is_plain(byte)) memcpy(out, (char[]){c, 0}, 2);
    else memcpy(out, (char[]){'%', digits[byte >> 4], digits[byte & 15], 0}, 4);
    return out;
}

char *sl_names_join(char *const *names, uint32_t n)
{
    size_t size = 1;
    for (uint32_t i = 0; i < n; i++) size += 3 * strlen(names[i]) + 1;
    char *line = malloc(size), *at = line;
    if (!line) return NULL;

    for (uint32_t i = 0; i < n; i++) {
        if (i > 0) *at++ = ',';
        for (const char *letter = names[i]; *letter; letter++) {
            char spelled[4];
            size_t length = strlen(sl_names_letter(*letter, spelled));
            memcpy(at, spelled, length);
            at += length;
        }
    }
    *at = 0;
    return line;
}

int sl_names_split(const char *line, struct sl_names *out)
{
    if (strlen(line) > SL_NAMES_LINE_MAX) return SL_ERROR_FORMAT;

    uint32_t n = 1;
    for (const char *at = line; *at; at++) n += *at == ',';
    struct sl_names names = {.names = calloc(n, sizeof(char *))};
    int error = names.names ? SL_OK : SL_ERROR_NO_MEMORY;
    for (const char *at = line; !error && names.n < n;) {
        size_t size = strcspn(at, ",");
        names.names[names.n] = take_name(at, size, &error);
        if (!error) names.n++;
        at += size + (at[size] == ',');
    }
    if (error) sl_names_finish(&names);
    else *out = names;
    return error;
}

int sl_names_copy(char *const *names, uint32_t n, struct sl_names *out)
{
    struct sl_names copy = {.names = calloc(n ? n : 1, sizeof(char *))};
    if (!copy.names) return SL_ERROR_NO_MEMORY;

    for (; copy.n < n; copy.n++) {
        copy.names[copy.n] = strdup(names[copy.n]);
        if (copy.names[copy.n]) continue;

        sl_names_finish(&copy);
        return SL_ERROR_NO_MEMORY;
    }
    *out = copy;
    return SL_OK;
}
