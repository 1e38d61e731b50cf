/* SPDX-License-Identifier: MIT */
#include "data/number.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double powers_of_ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "e-12" or nothing, up to the end of the text. */
static bool is_exponent(const char *at)
{
    if (*at == 0) return true;
    if (*at != 'e' && *at != 'E') return false;

    at++;
    if (*at == '+' || *at == '-') at++;
    if (!is_digit(*at)) return false;
    while (is_digit(*at)) at++;
    return *at == 0;
}

bool sl_number_parse(const char *text, double *out)
{
    const char *at = text + (*text == '-' || *text == '+');
    uint64_t digits = 0;
    unsigned n_digits = 0, n_decimals = 0;
    for (bool point = false; is_digit(*at) || (*at == '.' && !point); at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        digits = digits * 10 + (uint64_t)(*at - '0'); /* may wrap: then it is not used */
        n_digits++;
        n_decimals += point;
    }
    if (n_digits == 0 || !is_exponent(at)) return false;

    /* Up to 15 digits both parts are exact doubles, so one division rounds correctly; strtod takes ten times as long. */
    if (*at == 0 && n_digits <= 15) {
        double value = (double)digits / powers_of_ten[n_decimals];
        *out = *text == '-' ? -value : value;
    } else {
        *out = strtod(text, NULL);
    }
    return true;
}

size_t sl_number_print(float value, char out[SL_NUMBER_TEXT_MAX])
{
    bool is_short = value >= 0 && value < 10000 && value == floorf(value) && !signbit(value);
    if (!is_short) return (size_t)snprintf(out, SL_NUMBER_TEXT_MAX, "%.9g", (double)value);

    size_t size = 0;
    unsigned rest = (unsigned)value, unit = 1;
    while (rest / unit >= 10) unit *= 10;
    for (; unit > 0; unit /= 10) out[size++] = (char)('0' + rest / unit % 10);
    out[size] = 0;
    return size;
}

bool sl_number_fits(double value)
{
    return fabs(value) <= FLT_MAX;
}

bool sl_number_parse_substitute(const char *text, double *out)
{
    double value = NAN;
    bool given = text && *text;
    if (given && !(sl_number_parse(text, &value) && sl_number_fits(value))) return false;

    *out = value;
    return true;
}

bool sl_number_is_missing(const char *text)
{
    return *text == 0 || strcmp(text, "?") == 0 || strcmp(text, "NA") == 0 || strcasecmp(text, "nan") == 0;
}

bool sl_number_is_infinity(const char *text)
{
    text += *text == '-' || *text == '+';
    return strcasecmp(text, "inf") == 0 || strcasecmp(text, "infinity") == 0;
}
