/* SPDX-License-Identifier: MIT */
#include "config/invite.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "starling/error.h"

enum {
    LINES_SIZE_MAX = 1024 + 2 * SL_CERTIFICATE_MAX + SL_SEEDS_MAX * (80 + SL_PEER_ADDRESS_MAX),      /* all but the descriptor: hex is what counts */
    CHECKSUM_SIZE = 32
};

static const char first_line[] = "starling-invite 1", checksum_word[] = "checksum ";

static void checksum_of(const char *text, size_t size, uint8_t out[CHECKSUM_SIZE])
{
    sl_hash_once("invite-file", text, size, out);
}

/* ---- writing ---- */

struct page {
    char *text;
    size_t size, size_max;
};

static void put(struct page *page, const char *text, size_t size)
{
    assert(size < page->size_max - page->size);
    memcpy(page->text + page->size, text, size);
    page->size += size;
}

static void put_text(struct page *page, const char *text)
{
    put(page, text, strlen(text));
}

static void put_hex(struct page *page, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) put(page, (const char[]){digits[bytes[i] >> 4], digits[bytes[i] & 15]}, 2);
}

static void put_invite(struct page *page, const struct sl_invite *invite)
{
    char numbers[64];
    put_text(page, "invite ");
    put_hex(page, invite->secret, sizeof invite->secret);
    snprintf(numbers, sizeof numbers, " %" PRIu32 " %" PRIu32 " %" PRIu64 " ", invite->flags, invite->slot, invite->expires_s);
    put_text(page, numbers);
    put_hex(page, invite->issuer_signature, sizeof invite->issuer_signature);
    if (invite->has_host) {
        assert(invite->host_certificate_size <= SL_CERTIFICATE_MAX);
        put_text(page, " ");
        put_hex(page, invite->host_sign_public, 32);
        put_text(page, " ");
        put_hex(page, invite->host_certificate, invite->host_certificate_size);
    }
    put_text(page, "\n");
}

char *sl_invite_file_text(const struct sl_invite_file *file)
{
    assert(file->n_seeds <= SL_SEEDS_MAX);

    size_t descriptor_size = strlen(file->descriptor);
    struct page page = {.size_max = LINES_SIZE_MAX + descriptor_size};
    page.text = malloc(page.size_max);
    if (!page.text) return NULL;

    put_text(&page, first_line);
    put_text(&page, "\n");
    if (file->has_invite) put_invite(&page, &file->invite);
    if (file->has_secret) {
        put_text(&page, "secret ");
        put_hex(&page, file->network_secret, sizeof file->network_secret);
        put_text(&page, "\n");
    }
    for (uint32_t i = 0; i < file->n_seeds; i++) {
        put_text(&page, "seed ");
        put_hex(&page, file->seeds[i].transport_public, 32);
        put_text(&page, " ");
        put_text(&page, file->seeds[i].address);
        put_text(&page, "\n");
    }
    put_text(&page, "descriptor\n");
    put(&page, file->descriptor, descriptor_size);
    if (descriptor_size > 0 && file->descriptor[descriptor_size - 1] != '\n') put_text(&page, "\n");

    uint8_t checksum[CHECKSUM_SIZE];
    checksum_of(page.text, page.size, checksum);
    put_text(&page, checksum_word);
    put_hex(&page, checksum, sizeof checksum);
    put_text(&page, "\n");
    page.text[page.size] = 0;
    return page.text;
}

/* ---- reading ---- */

/* Bytes in the file; not terminated. */
struct text {
    const char *at;
    size_t size;
};

static bool is(struct text text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.at, word, text.size) == 0;
}

static bool begins_with(struct text text, const char *word)
{
    return text.size >= strlen(word) && memcmp(text.at, word, strlen(word)) == 0;
}

/* Cuts the bytes before `end` off the front, and `end` with them. */
static struct text cut(struct text *from, char end)
{
    const char *found = from->size > 0 ? memchr(from->at, end, from->size) : NULL;
    struct text piece = {from->at, found ? (size_t)(found - from->at) : from->size};
    size_t used = piece.size + (found ? 1 : 0);
    from->at += used;
    from->size -= used;
    return piece;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

static bool read_hex(struct text text, uint8_t *out, size_t size)
{
    if (text.size != 2 * size) return false;

    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text.at[2 * i]), low = hex_digit(text.at[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Decimal digits without a superfluous zero: every number has one spelling. */
static bool read_number(struct text text, uint64_t max, uint64_t *out)
{
    bool superfluous = text.size > 1 && text.at[0] == '0';
    if (text.size == 0 || superfluous) return false;

    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        uint64_t digit = (uint64_t)(text.at[i] - '0');
        if (number > (max - digit) / 10) return false;
        number = 10 * number + digit;
    }
    *out = number;
    return true;
}

static const char *read_host(struct text rest, struct sl_invite *out)
{
    struct text key = cut(&rest, ' '), certificate = cut(&rest, ' ');
    size_t size = certificate.size / 2;
    if (!read_hex(key, out->host_sign_public, 32)) return "the host's key must be 64 digits 0-9 a-f";
    if (rest.size > 0 || size == 0 || size > SL_CERTIFICATE_MAX || !read_hex(certificate, out->host_certificate, size))
        return "the line must end with the host's certificate, an even number of digits 0-9 a-f";

    out->host_certificate_size = (uint32_t)size;
    out->has_host = true;
    return NULL;
}

/* Readers of a line return what is wrong with it, or NULL. */
static const char *read_invite(struct text rest, struct sl_invite_file *out)
{
    if (out->has_invite) return "a second invite; wanted: one";

    struct sl_invite *invite = &out->invite;
    struct text secret = cut(&rest, ' '), flags = cut(&rest, ' '), slot = cut(&rest, ' '), expires = cut(&rest, ' '), signature = cut(&rest, ' ');
    uint64_t flag_bits, slot_number;
    if (!read_hex(secret, invite->secret, sizeof invite->secret)) return "the invite's secret must be 128 digits 0-9 a-f";
    if (!read_number(flags, UINT32_MAX, &flag_bits) || !read_number(slot, UINT32_MAX, &slot_number) || !read_number(expires, UINT64_MAX, &invite->expires_s))
        return "flags, slot and expiry must be whole numbers";
    if (!read_hex(signature, invite->issuer_signature, sizeof invite->issuer_signature)) return "the issuer's signature must be 128 digits 0-9 a-f";

    invite->flags = (uint32_t)flag_bits;
    invite->slot = (uint32_t)slot_number;
    out->has_invite = true;
    return rest.size > 0 ? read_host(rest, invite) : NULL;
}

static const char *read_secret(struct text rest, struct sl_invite_file *out)
{
    if (out->has_secret) return "a second network secret; wanted: one";
    if (!read_hex(rest, out->network_secret, sizeof out->network_secret)) return "the network secret must be 64 digits 0-9 a-f";

    out->has_secret = true;
    return NULL;
}

static const char *read_seed(struct text rest, struct sl_invite_file *out)
{
    if (out->n_seeds == SL_SEEDS_MAX) return "more than 16 seeds";

    struct sl_seed *seed = &out->seeds[out->n_seeds];
    struct text key = cut(&rest, ' ');
    if (!read_hex(key, seed->transport_public, 32)) return "a seed's key must be 64 digits 0-9 a-f";
    if (rest.size == 0 || rest.size >= sizeof seed->address) return "a seed's address must have 1 to 47 characters";
    for (size_t i = 0; i < rest.size; i++)
        if (rest.at[i] < 0x21 || rest.at[i] > 0x7e) return "a seed's address must be plain characters without blanks";

    memcpy(seed->address, rest.at, rest.size);
    out->n_seeds++;
    return NULL;
}

static const char *read_line(struct text line, struct sl_invite_file *out)
{
    struct text word = cut(&line, ' ');
    if (is(word, "invite")) return read_invite(line, out);
    if (is(word, "secret")) return read_secret(line, out);
    if (is(word, "seed")) return read_seed(line, out);
    return "this is no line of an invite; wanted: invite, secret, seed or descriptor";
}

/* Everything after the first line and before the checksum. */
static int read_body(struct text body, const char *name, struct sl_invite_file *out, char *why, size_t why_size)
{
    for (uint32_t number = 2; body.size > 0; number++) {
        struct text line = cut(&body, '\n');
        if (is(line, "descriptor")) break;

        const char *wrong = read_line(line, out);
        if (!wrong) continue;

        snprintf(why, why_size, "%s:%" PRIu32 ": %s", name, number, wrong);
        return SL_ERROR_FORMAT;
    }
    const char *missing = out->n_seeds == 0 ? "no seed is named, so nobody could be reached" : NULL;
    if (body.size == 0) missing = "the network's descriptor is missing";
    if (missing) {
        snprintf(why, why_size, "%s: %s; ask for a new invite", name, missing);
        return SL_ERROR_FORMAT;
    }
    out->descriptor = malloc(body.size + 1);
    if (!out->descriptor) {
        snprintf(why, why_size, "%s: not enough memory", name);
        return SL_ERROR_NO_MEMORY;
    }
    memcpy(out->descriptor, body.at, body.size);
    out->descriptor[body.size] = 0;
    return SL_OK;
}

/* Cuts the last line off and compares. Mail programs like to add empty lines behind it; they change nothing. */
static bool checksum_holds(struct text *text)
{
    size_t end = text->size;
    while (end > 0 && (text->at[end - 1] == '\n' || text->at[end - 1] == '\r' || text->at[end - 1] == ' ')) end--;
    size_t begin = end;
    while (begin > 0 && text->at[begin - 1] != '\n') begin--;

    struct text line = {text->at + begin, end - begin};
    uint8_t said[CHECKSUM_SIZE], computed[CHECKSUM_SIZE];
    if (!begins_with(line, checksum_word)) return false;

    line.at += strlen(checksum_word);
    line.size -= strlen(checksum_word);
    text->size = begin;
    checksum_of(text->at, text->size, computed);
    return read_hex(line, said, sizeof said) && sl_hash_equal(said, computed);
}

/* What can be said of the file before its lines are read; leaves the body in *text. */
static int check_frame(struct text *text, const char *name, char *why, size_t why_size)
{
    if (text->size > SL_INVITE_FILE_MAX) {
        snprintf(why, why_size, "%s is not an invite: it is larger than %d bytes", name, SL_INVITE_FILE_MAX);
        return SL_ERROR_TOO_LARGE;
    }
    struct text whole = *text, line = cut(text, '\n');
    if (!begins_with(line, "starling-invite ")) {
        snprintf(why, why_size, "%s is not an invite: its first line is not '%s'", name, first_line);
        return SL_ERROR_FORMAT;
    }
    if (!is(line, first_line)) {
        snprintf(why, why_size, "%s: the invite is of another version, or its first line was changed; wanted: '%s'", name, first_line);
        return SL_ERROR_FORMAT;
    }
    if (memchr(whole.at, 0, whole.size) || !checksum_holds(&whole)) {
        snprintf(why, why_size, "%s was cut or changed on its way: its checksum does not hold; send it as a file, not as text in a mail", name);
        return SL_ERROR_FORMAT;
    }
    text->size = (size_t)(whole.at + whole.size - text->at);
    return SL_OK;
}

int sl_invite_file_parse(const char *bytes, size_t size, const char *name, struct sl_invite_file *out, char *why, size_t why_size)
{
    if (!why) why_size = 0;

    struct text text = {size > 0 ? bytes : "", size};
    struct sl_invite_file draft = {0};
    int error = check_frame(&text, name, why, why_size);
    if (error == SL_OK) error = read_body(text, name, &draft, why, why_size);
    if (error == SL_OK) *out = draft;
    else sl_invite_file_finish(&draft);
    sodium_memzero(&draft, sizeof draft);
    return error;
}

void sl_invite_file_finish(struct sl_invite_file *file)
{
    free(file->descriptor);
    sodium_memzero(file, sizeof *file);
}
