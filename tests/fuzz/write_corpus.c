/* SPDX-License-Identifier: MIT */
/* write_corpus FOLDER: the seeds of the corpora, valid and hostile. Run by hand when a message changes; fuzzers add to what it writes. */
#include <stdio.h>
#include <string.h>

#include "samples.h"
#include "wire/certificate.h"

enum { SEED_SIZE_MAX = 4096, PATH_LENGTH_MAX = 4096 };

static const char *folder;
static int n_failed;

static void put(const char *target, const char *name, const void *bytes, size_t size)
{
    char path[PATH_LENGTH_MAX];
    snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    FILE *file = fopen(path, "wb");
    bool is_written = file && fwrite(bytes, 1, size, file) == size;
    if (file && fclose(file) != 0) is_written = false;
    if (is_written) return;

    fprintf(stderr, "write_corpus: cannot write %s\n", path);
    n_failed++;
}

static void put_lengths_around(const char *target, const char *name, uint8_t *bytes, size_t size)
{
    char text[64];
    snprintf(text, sizeof text, "%s-short", name);
    put(target, text, bytes, size - 1);
    bytes[size] = 0;
    snprintf(text, sizeof text, "%s-long", name);
    put(target, text, bytes, size + 1);
}

static void put_hostile(const char *target)
{
    static const uint8_t huge_array[] = {0xdd, 0xff, 0xff, 0xff, 0xff}, huge_bin[] = {0xc6, 0xff, 0xff, 0xff, 0xff};
    uint8_t deep[64];
    memset(deep, 0x91, sizeof deep);
    put(target, "empty", deep, 0);
    put(target, "byte", deep, 1);
    put(target, "deep", deep, sizeof deep);
    put(target, "huge-array", huge_array, sizeof huge_array);
    put(target, "huge-bin", huge_bin, sizeof huge_bin);
}

/* The number of the type and a body alone. */
static void put_body(enum sl_message_type type, enum sample kind, const char *name)
{
    static uint8_t bytes[SL_MESSAGE_MAX];
    char text[64];
    bytes[0] = (uint8_t)type;
    struct sl_writer writer = sl_writer_over(bytes + 1, sizeof bytes - 1);
    sample_write_body(&writer, type, kind);
    snprintf(text, sizeof text, "%s-body", name);
    put("envelope", text, bytes, 1 + writer.size);
}

static void put_samples(void)
{
    static uint8_t bytes[SL_MESSAGE_MAX + 1];
    for (int i = 0; i < 2 * SAMPLE_TYPES; i++) {
        enum sample kind = i % 2 ? SAMPLE_LARGE : SAMPLE_SMALL;
        size_t size = sample_message(sample_types[i / 2], kind, bytes);
        if (size > SEED_SIZE_MAX) continue;

        char name[32];
        snprintf(name, sizeof name, "%s-%s", sl_message_name(sample_types[i / 2]), i % 2 ? "large" : "small");
        put("envelope", name, bytes, size);
        if (kind == SAMPLE_SMALL) put_lengths_around("envelope", name, bytes, size);
        put_body(sample_types[i / 2], kind, name);
    }
}

static struct sl_writer begin(enum sl_message_type type, uint8_t *bytes)
{
    return sl_envelope_begin(type, sample_network, 0, sample_cohort, sample_from, bytes, SL_MESSAGE_MAX);
}

/* A roster with a real JOIN and an aggregate with real parts. */
static void put_nested(void)
{
    static uint8_t join[SL_MESSAGE_MAX], propose[SL_MESSAGE_MAX], roster[SL_MESSAGE_MAX], list[256], result[256], bytes[SL_MESSAGE_MAX];
    uint8_t sign_public[32], sign_secret[64];
    sample_keys(sign_public, sign_secret);

    struct sl_roster members = {.n_joins = 1, .joins = {{join, sample_message(SL_MESSAGE_JOIN, SAMPLE_SMALL, join)}}};
    struct sl_writer writer = begin(SL_MESSAGE_ROSTER, roster);
    sl_write_roster(&writer, &members);
    size_t roster_size = sl_envelope_seal(&writer, SL_MESSAGE_ROSTER, sign_secret);
    put("envelope", "ROSTER-nested", roster, roster_size);

    struct sl_writer list_writer = sl_writer_over(list, sizeof list), result_writer = sl_writer_over(result, sizeof result);
    sample_write_body(&list_writer, SL_MESSAGE_LIST, SAMPLE_SMALL);
    sample_write_body(&result_writer, SL_MESSAGE_RESULT, SAMPLE_SMALL);
    struct sl_aggregate aggregate = {
        .propose = propose, .propose_size = sample_message(SL_MESSAGE_PROPOSE, SAMPLE_SMALL, propose),
        .roster = roster, .roster_size = roster_size, .lists = {list, list}, .list_sizes = {list_writer.size, list_writer.size},
        .result = result, .result_size = result_writer.size, .signers = 1, .n_signatures = 1, .signatures = {sample_bytes(1)},
    };
    writer = begin(SL_MESSAGE_AGGREGATE, bytes);
    sl_write_aggregate(&writer, &aggregate);
    put("envelope", "AGGREGATE-nested", bytes, sl_envelope_seal(&writer, SL_MESSAGE_AGGREGATE, NULL));
}

static void put_certificates(void)
{
    uint8_t bytes[SL_PEER_CERTIFICATE_MAX + 1];
    size_t size = sample_certificate(sample_from, false, 1000, bytes);
    put("certificate", "issued", bytes, size);
    put_lengths_around("certificate", "issued", bytes, size);

    bytes[size - 1] ^= 1;
    put("certificate", "forged", bytes, size);
    put("certificate", "expired", bytes, sample_certificate(sample_from, false, 999, bytes));
    put("certificate", "of-another", bytes, sample_certificate(sample_cohort, false, 1000, bytes));

    size = sample_certificate(sample_from, true, 1000, bytes);
    put("certificate", "of-guest", bytes, size);
    put_lengths_around("certificate", "of-guest", bytes, size);
    put("certificate", "outlives-host", bytes, sample_certificate(sample_from, true, 1001, bytes));
}

/* A HELLO with a real ADVERT, and a VIEW of two. */
static void put_adverts(void)
{
    static uint8_t advert[SL_MESSAGE_MAX], bytes[SL_MESSAGE_MAX];
    uint8_t sign_public[32], sign_secret[64], certificate[SL_PEER_CERTIFICATE_MAX];
    sample_keys(sign_public, sign_secret);
    struct sl_advert body = {.sequence = 900, .ttl_s = 60, .n_addresses = 1, .addresses = {"127.0.0.1:7400"}, .name = "one", .certificate = certificate};
    body.certificate_size = sample_certificate(sample_from, true, 1000, certificate);
    struct sl_writer writer = begin(SL_MESSAGE_ADVERT, advert);
    sl_write_advert(&writer, &body);
    size_t size = sl_envelope_seal(&writer, SL_MESSAGE_ADVERT, sign_secret);

    struct sl_hello hello = {.time_us = 1, .advert = advert, .advert_size = size};
    writer = begin(SL_MESSAGE_HELLO, bytes);
    sl_write_hello(&writer, &hello);
    put("envelope", "HELLO-nested", bytes, sl_envelope_seal(&writer, SL_MESSAGE_HELLO, sign_secret));

    struct sl_view_adverts view = {.n_adverts = 2, .adverts = {{advert, size}, {advert, size}}};
    writer = begin(SL_MESSAGE_VIEW, bytes);
    sl_write_view_adverts(&writer, &view);
    put("envelope", "VIEW-nested", bytes, sl_envelope_seal(&writer, SL_MESSAGE_VIEW, NULL));
}

static void put_values(void)
{
    uint8_t bytes[512];
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_array(&writer, 7);
    sl_write_uint(&writer, UINT64_MAX);
    sl_write_int(&writer, INT64_MIN);
    sl_write_int(&writer, -129);
    sl_write_bin(&writer, sample_bytes(7), 300);
    sl_write_uint(&writer, 0x1234);
    sl_write_array(&writer, 1);
    sl_write_int(&writer, -100);
    sl_write_bin(&writer, NULL, 0);
    put("reader", "values", bytes, writer.size);
    put_lengths_around("reader", "values", bytes, writer.size);
}

/* The first byte chooses the options, see fuzz_csv.c. */
static void put_tables(void)
{
    static const struct { const char *name, *text; } tables[] = {
        {"numbers", "\x08" "1,2,0\n3,4,1\n"},
        {"header", "\x06" "a,b,c\n1,0,3\n4,1,6\n"},
        {"regression", "\x01" "x;y\r\n1.5;-2e3\r\n2.5;1e-30\r\n"},
        {"texts", "\x10" "width\tkind\n1\tcat\n2\t\"d\"\"og\"\n"},
        {"clients", "\x18" "a,b,label\nu1,1,0\nu2,2,1\nu1,3,1\n"},
        {"missing", "\x20" "1,,0\n?,NA,1\n"},
        {"missing-refused", "\x00" "1,,0\n"},
        {"blanks", "\x00" "  1   2  0\n\n  3\t4  1  \n"},
        {"quote-open", "\x00" "\"1,2,0\n"},
        {"behind-quote", "\x00" "\"1\"2,0\n"},
        {"ragged", "\x00" "1,2,0\n1,0\n"},
        {"infinite", "\x00" "inf,1,0\n1e999,2,1\n"},
        {"class-too-large", "\x00" "1,65536\n"},
        {"no-end-of-line", "\x00" "1,2,0\n3,4,1"},
        {"gzip-cut", "\x00" "\x1f\x8b\x08"},
        {"only-header", "\x00" "a,b,label\n"},
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) put("csv", tables[i].name, tables[i].text, 1 + strlen(tables[i].text + 1));
    put("csv", "zero-byte", "\x00" "1,\0,0\n", 8);
    put("csv", "empty", "", 0);
}

int main(int argc, char **argv)
{
    if (argc != 2) { fprintf(stderr, "usage: write_corpus FOLDER, which holds reader, envelope, certificate and csv\n"); return 2; }

    folder = argv[1];
    put_hostile("reader");
    put_hostile("envelope");
    put_hostile("certificate");
    put_values();
    put_samples();
    put_nested();
    put_adverts();
    put_certificates();
    put_tables();
    return n_failed > 0;
}
