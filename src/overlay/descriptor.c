/* SPDX-License-Identifier: MIT */
#include "overlay/descriptor.h"

#include <string.h>

/* Reads digits of a base up to a largest value; returns where it stopped, or NULL when there was no digit or too large a number. */
static const char *read_number(const char *at, unsigned base, uint32_t max, uint32_t *out)
{
    uint32_t value = 0, n_digits = 0;
    for (; *at; at++, n_digits++) {
        uint32_t lower = (uint32_t)*at | 0x20, digit = *at >= '0' && *at <= '9' ? (uint32_t)(*at - '0') : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 99;
        if (digit >= base) break;
        value = value * base + digit;
        if (value > max) return NULL;
    }
    *out = value;
    return n_digits > 0 ? at : NULL;
}

static const char *read_v4(const char *at, uint8_t ip[4])
{
    for (int i = 0; i < 4; i++) {
        uint32_t byte;
        if (i > 0 && *at++ != '.') return NULL;
        at = read_number(at, 10, 255, &byte);
        if (!at) return NULL;
        ip[i] = (uint8_t)byte;
    }
    return at;
}

/* Eight groups of hex digits, one run of zeros may be left out as "::", the last two groups may be a dotted quad. */
static const char *read_v6(const char *at, uint8_t ip[16])
{
    uint8_t bytes[16] = {0};
    uint32_t n = 0, gap = UINT32_MAX;
    if (at[0] == ':' && at[1] == ':') {
        gap = 0;
        at += 2;
    }
    while (n < 16 && *at && *at != ']') {
        uint32_t group;
        const char *end = n <= 12 ? read_v4(at, bytes + n) : NULL;
        if (end) {
            n += 4;
            at = end;
            break;
        }
        at = read_number(at, 16, 0xffff, &group);
        if (!at) return NULL;
        bytes[n++] = (uint8_t)(group >> 8);
        bytes[n++] = (uint8_t)group;
        if (*at != ':') break;
        at++;
        if (*at == ':') {
            if (gap != UINT32_MAX) return NULL;
            gap = n;
            at++;
        } else if (*at == ']') {
            return NULL;
        }
    }
    if ((gap == UINT32_MAX) != (n == 16)) return NULL;
    if (gap == UINT32_MAX) gap = 16;
    memset(ip, 0, 16);
    memcpy(ip, bytes, gap);
    memcpy(ip + 16 - (n - gap) * (gap < 16), bytes + gap, n - gap);
    return at;
}

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(const struct sl_address *address)
{
    return memcmp(address->ip, mapped, sizeof mapped) == 0;
}

bool sl_address_parse(const char *text, struct sl_address *out)
{
    static const uint8_t nowhere[16];
    struct sl_address address = {0};
    uint32_t port;
    const char *at;
    if (*text == '[') {
        at = read_v6(text + 1, address.ip);
        if (!at || *at++ != ']') return false;
    } else {
        memcpy(address.ip, mapped, sizeof mapped);
        at = read_v4(text, address.ip + 12);
        if (!at) return false;
    }
    if (*at++ != ':') return false;
    at = read_number(at, 10, 65535, &port);
    bool is_whole = at && *at == 0 && port > 0;
    bool is_somewhere = memcmp(address.ip, nowhere, 16) != 0 && (!is_v4(&address) || memcmp(address.ip + 12, nowhere, 4) != 0);
    if (!is_whole || !is_somewhere) return false;

    address.port = (uint16_t)port;
    *out = address;
    return true;
}

bool sl_address_is_local(const struct sl_address *address)
{
    static const uint8_t loopback[16] = {[15] = 1};
    const uint8_t *ip = address->ip, *v4 = address->ip + 12;
    if (!is_v4(address)) return memcmp(ip, loopback, 16) == 0 || (ip[0] & 0xfe) == 0xfc || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80);
    return v4[0] == 127 || v4[0] == 10 || (v4[0] == 172 && (v4[1] & 0xf0) == 16) || (v4[0] == 192 && v4[1] == 168) || (v4[0] == 169 && v4[1] == 254) ||
           (v4[0] == 100 && (v4[1] & 0xc0) == 64);
}

bool sl_address_is_of_one_machine(const struct sl_address *address)
{
    static const uint8_t loopback[16] = {[15] = 1};
    const uint8_t *ip = address->ip, *v4 = address->ip + 12;
    if (!is_v4(address)) return memcmp(ip, loopback, 16) == 0 || ip[0] == 0xff || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80);
    return v4[0] == 0 || v4[0] == 127 || v4[0] >= 224 || (v4[0] == 169 && v4[1] == 254);
}

static uint64_t pack(const uint8_t *bytes, uint32_t n, uint64_t kind)
{
    uint64_t value = kind;
    for (uint32_t i = 0; i < n; i++) value = value << 8 | bytes[i];
    return value;
}

struct sl_group sl_group_of(const char *text, const uint8_t id[32], bool local_is_free)
{
    struct sl_address address;
    if (!sl_address_parse(text, &address)) return (struct sl_group){0};
    if (local_is_free && sl_address_is_local(&address)) return (struct sl_group){pack(id, 7, 3), pack(id, 7, 3)};
    if (is_v4(&address)) return (struct sl_group){pack(address.ip + 12, 2, 1), pack(address.ip + 12, 3, 1)};
    return (struct sl_group){pack(address.ip, 4, 2), pack(address.ip, 6, 2)};
}
