/* SPDX-License-Identifier: MIT */
/* write_corpus FOLDER: the seeds of the corpora, valid and hostile. Run by hand when a message changes; fuzzers add to what it writes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/invite.h"
#include "samples.h"
#include "wire/certificate.h"

enum { SEED_SIZE_MAX = 4608, PATH_LENGTH_MAX = 4096 };

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

/* Two whole messages, a roster and a secret. */
static void put_evidence(const uint8_t *roster, size_t roster_size)
{
    static uint8_t shares[SL_MESSAGE_MAX], audit[SL_MESSAGE_MAX], bytes[SL_MESSAGE_MAX];
    struct sl_evidence evidence = {
        .kind = 8, .n_messages = 2, .messages = {audit, shares}, .roster = roster, .roster_size = roster_size, .n_secrets = 1,
        .message_sizes = {sample_message(SL_MESSAGE_AUDIT, SAMPLE_SMALL, audit), sample_message(SL_MESSAGE_SHARES, SAMPLE_SMALL, shares)},
    };
    struct sl_writer writer = begin(SL_MESSAGE_EVIDENCE, bytes);
    sl_write_evidence(&writer, &evidence);
    put("envelope", "EVIDENCE-nested", bytes, sl_envelope_seal(&writer, SL_MESSAGE_EVIDENCE, NULL));
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
        .roster = roster, .roster_size = roster_size,
        .n_lists = 3, .lists = {list, list, list}, .list_sizes = {list_writer.size, list_writer.size, list_writer.size},
        .confirms = {.signers = 3, .n = 2, .all = {sample_bytes(1), sample_bytes(2)}},
        .result = result, .result_size = result_writer.size, .results = {.signers = 2, .n = 1, .all = {sample_bytes(1)}},
    };
    writer = begin(SL_MESSAGE_AGGREGATE, bytes);
    sl_write_aggregate(&writer, &aggregate);
    put("envelope", "AGGREGATE-nested", bytes, sl_envelope_seal(&writer, SL_MESSAGE_AGGREGATE, NULL));
    put_evidence(roster, roster_size);
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

/* One byte of choices, two with the size of the labels' file, the labels, the images: see fuzz_idx.c. */
static void put_images(void)
{
    static const uint8_t good[] = {0, 10, 0, 0, 0, 8, 1, 0, 0, 0, 2, 7, 3, 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 1, 2, 3, 255};
    uint8_t bytes[sizeof good];
    put("idx", "pair", good, sizeof good);
    put("idx", "cut", good, sizeof good - 1);
    put("idx", "no-images", good, 13);
    memcpy(bytes, good, sizeof good);
    bytes[0] = 1;
    put("idx", "regression", bytes, sizeof bytes);
    memset(bytes + 17, 0xff, 4);
    put("idx", "many-promised", bytes, sizeof bytes);
    memset(bytes + 7, 0xff, 4);
    put("idx", "many-promised-by-both", bytes, sizeof bytes);
    memset(bytes + 21, 0xff, 8);
    put("idx", "huge-pixels", bytes, sizeof bytes);
    put("idx", "gzip-cut", "\x00\x03\x00\x1f\x8b\x08\x1f\x8b\x08", 9);
}

static void put_array(const char *name, char choice, const char *descr, const char *shape, const void *numbers, size_t size)
{
    char bytes[512] = {choice, '\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, 0, 0};
    int length = snprintf(bytes + 11, sizeof bytes - 11, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", descr, shape);
    bytes[9] = (char)length;
    memcpy(bytes + 11 + length, numbers, size);
    put("npy", name, bytes, 11 + (size_t)length + size);
}

static void put_arrays(void)
{
    static const float singles[] = {1, 0, 2, 1, 3, 2};
    static const double doubles[] = {1, 0.5, 1e300, 1};
    static const uint8_t units[] = {1, 2, 3, 4, 5, 6}, not_a_number[] = {0, 0, 0xc0, 0x7f, 0, 0, 0x80, 0x7f};
    put_array("singles", 0, "<f4", "(3, 2)", singles, sizeof singles);
    put_array("doubles", 1, "<f8", "(1, 2)", doubles, 16);
    put_array("too-large", 1, "<f8", "(2, 2)", doubles, sizeof doubles);
    put_array("bytes", 2, "|u1", "(2, 3)", units, sizeof units);
    put_array("no-label", 7, "|u1", "(2, 3)", units, sizeof units);
    put_array("missing", 8, "<f4", "(1, 2)", not_a_number, sizeof not_a_number);
    put_array("many-promised", 0, "<i8", "(18446744073709551615, 1048576)", units, sizeof units);
    put_array("one-dimension", 0, "<i4", "(4,)", units, sizeof units);
    put_array("cut", 0, "<i4", "(1, 2)", units, sizeof units);
}

static void put_text(const char *target, const char *name, const char *text)
{
    put(target, name, text, strlen(text));
}

/* A first byte of 1: the lines that are missing are added, see fuzz_descriptor.c. */
static void put_descriptors(void)
{
    put_text("descriptor", "defaults", "\x01");
    put_text("descriptor", "options", "\x01" "model = softmax\nmodel.features = 2\nmodel.classes = 3\nepoch.length = 20s\n");
    put_text("descriptor", "scaling", "\x01" "model.features = 2\nscale = standard\noffset = 1 -2.5\nfactor = 1e-3 4\n");
    put_text("descriptor", "names", "\x01" "model.features = 2\nmodel.classes = 2\ncolumns = age,blood%20pressure\nclasses = no,y%2Ces\n");
    put_text("descriptor", "twice", "\x01" "operator = 00\noperator = 00\n");
    put_text("descriptor", "unequal", "\x01" "offset = 1\nfactor = 1 2\n");
    put_text("descriptor", "not-finite", "\x01" "offset = nan\nfactor = 1e99\n");
    put_text("descriptor", "of-the-node", "\x01" "data.path = x\n");
    put_text("descriptor", "lines", "# comment\r\n\n = \nkey\n");
    put("descriptor", "zero-byte", "\x01" "a\0b", 4);
}

static void put_settings(void)
{
    put_text("settings", "sections", "#   mine\ntrain\n    lr = 0.1\n    batch = 16\ndata\n    path = \"data.csv\"\n");
    put_text("settings", "keys", "train.lr=0.1\ndata.path = 'x' # here\nlisten = 127.0.0.1:7400\n");
    put_text("settings", "of-the-network", "epoch.length = 20s\n");
    put_text("settings", "tab", "train\n\tlr = 0.1\n");
    put_text("settings", "deep", "a\n    b\n        c = 1\n");
    put_text("settings", "quote-open", "name = \"x\n");
    put_text("settings", "out-of-range", "train.lr = -1\r\ntrain.batch = nan\r\n");
    put_text("settings", "value-and-section", "train = 1\n    lr = 0.1\n");
    put("settings", "zero-byte", "a\0b", 3);
}

/* A first byte that is not 's': the checksum is added, see fuzz_invite.c. */
static void put_invites(void)
{
    static struct sl_invite_file file;
    static char bytes[SL_MESSAGE_MAX];
    static const uint8_t host_seed[32] = {0x55}, invite_seed[32] = {0x66};
    uint8_t operator_key[32], operator_secret[64], transport_secret[32];
    struct sl_identity host;
    sample_keys(operator_key, operator_secret);
    sl_identity_from_seed(host_seed, sample_network, operator_secret, "", 1000, &host, transport_secret);
    char descriptor[] = "model = softmax\n";
    file = (struct sl_invite_file){.has_invite = true, .has_secret = true, .n_seeds = 2, .descriptor = descriptor,
                                   .seeds = {{.address = "127.0.0.1:7400"}, {.address = "[::1]:7400"}}};
    for (int guest = 0; guest < 2; guest++) {
        sl_invite_issue(sample_network, guest ? host.sign_secret : operator_secret, guest ? &host : NULL,
                        invite_seed, SL_INVITE_SINGLE_USE, 0, 1000, &file.invite);
        char *text = sl_invite_file_text(&file);
        put_text("invite", guest ? "by-member" : "by-operator", text);
        snprintf(bytes, sizeof bytes, "+%s", text);
        *strstr(bytes, "checksum ") = 0;
        put_text("invite", guest ? "by-member-open" : "by-operator-open", bytes);
        free(text);
    }
    put_text("invite", "open", "+starling-invite 1\nseed 0000000000000000000000000000000000000000000000000000000000000001 a:1\ndescriptor\nx = y\n");
    put_text("invite", "no-seed", "+starling-invite 1\ndescriptor\nx = y\n");
    put_text("invite", "no-descriptor", "+starling-invite 1\nseed 00\nsecret 0\ninvite 0 0 0 0\n");
    put_text("invite", "other-version", "+starling-invite 2\n");
}

static void put_requests(void)
{
    put_text("control", "status", "{\"command\": \"status\"}");
    put_text("control", "arguments", "{\"command\": \"epochs\", \"arguments\": {\"n\": 256, \"after\": -1e9, \"peer\": \"\\u00e9\"}}");
    put_text("control", "null", "{\"command\": null, \"arguments\": []}");
    put_text("control", "no-object", "[true, false, 1.5, \"command\"]");
    put_text("control", "arguments-no-object", "{\"command\": \"peers\", \"arguments\": 7}");
    put_text("control", "twice", "{\"command\": \"status\", \"command\": \"leave\"}");
    put_text("control", "deep", "[[[[[[[[[[[[[[[[[[[[");
    put_text("control", "number", "{\"command\": \"epochs\", \"arguments\": {\"n\": 99999999999999999999}}");
    put_text("control", "not-utf-8-near-the-fault", "\"{\\\xd1\xa5\xa9\xff\xdf\x9f\xff\xff");
    put("control", "zero-byte", "{\"command\": \"a\\u0000b\"}\0", 25);
}

static void put_scenarios(void)
{
    put_text("scenario", "cuts", "at 0s partition 0.5\nat 3e heal\nat 4e partition 0-3/4-7,9\nat 5e one-way 1 2\nat 6e calm\n");
    put_text("scenario", "crashes", "at 1e crash 1,5,7-9 for 2e with torn state\nat 500ms restart all with no state\nat 2m join 4\nat 1h churn 0.1\n");
    put_text("scenario", "network", "# a bad day\nat 1s loss 0.2\nat 1s duplicate 1\nat 1s reorder 0.5\nat 1s delay 20ms\nat 1s store-fail 0.1\n");
    put_text("scenario", "clocks", "at 0s clock 0-3 -2s\nat 0s clock all +500ms\nat 2s slow 2 x1.5\n");
    put_text("scenario", "wrong", "at 1e crash 99\n");
    put_text("scenario", "not-a-number", "at 1s loss nan\nat 1s loss 1e999\n");
    put_text("scenario", "time-too-large", "at 18446744073709551615h heal\nat 99999999999999999e heal\n");
    put_text("scenario", "out-of-order", "at 2s heal\nat 1s heal\n");
}

/* ---- runs of a cohort: see fuzz_session.c ---- */

enum { RUN_SETTLE, RUN_DELIVER, RUN_DELIVER_TYPE, RUN_FETCH, RUN_INPUTS, RUN_MOMENTS, RUN_DROP, RUN_CUT, RUN_SILENCE, RUN_REPLAY, RUN_SPOIL, RUN_LIE_TO_ONE,
       RUN_LIE_TO_ALL, RUN_LIST, RUN_LIE, RUN_REFUSE, RUN_END };

static struct { uint8_t bytes[512]; size_t size; } story;

static void begin_run(uint8_t kind, uint8_t liars)
{
    story.bytes[0] = kind;
    story.bytes[1] = liars;
    story.size = 2;
}

static void add(int command, uint32_t a, uint32_t b, uint32_t c)
{
    const uint8_t bytes[4] = {(uint8_t)command, (uint8_t)a, (uint8_t)b, (uint8_t)c};
    if (story.size + 4 > sizeof story.bytes) return;

    memcpy(story.bytes + story.size, bytes, 4);
    story.size += 4;
}

/* Whatever is missing: asked for, done without, done by others. */
static void add_moments(uint32_t n, uint32_t step)
{
    for (uint32_t moment = 0; moment < 3; moment++) {
        add(RUN_MOMENTS, n, step - 1, moment);
        add(RUN_SETTLE, 0, 0, 0);
    }
}

static void add_end(uint32_t n)
{
    static const uint8_t steps[] = {1, 3, 5, 7, 9, 10, 11};
    add(RUN_SETTLE, 0, 0, 0);
    add(RUN_INPUTS, n, 0, 0);
    for (size_t i = 0; i < sizeof steps; i++) add_moments(n, steps[i]);
    for (size_t i = 0; i < sizeof steps; i++) add(RUN_MOMENTS, n, (uint32_t)steps[i] - 1, 3);
}

/* Up to the moment when messages of this type wait, and no others. */
static void add_until(uint32_t n, enum sl_message_type type)
{
    static const enum sl_message_type order[] = {SL_MESSAGE_SHARES, SL_MESSAGE_LIST, SL_MESSAGE_COMMIT, SL_MESSAGE_LIST, SL_MESSAGE_OPEN, SL_MESSAGE_LIST,
                                                 SL_MESSAGE_AUDIT, SL_MESSAGE_LIST, SL_MESSAGE_CONFIRM, SL_MESSAGE_UNMASK, SL_MESSAGE_RESULT};
    add(RUN_INPUTS, n, 0, 0);
    for (size_t i = 0; i < sizeof order / sizeof *order && order[i] != type; i++) {
        add(RUN_DELIVER_TYPE, (uint32_t)order[i] - SL_MESSAGE_REFUSE, 0, 0);
        for (uint32_t j = 0; j < n && order[i] >= SL_MESSAGE_LIST && order[i] <= SL_MESSAGE_OPEN; j++) add(RUN_FETCH, j, 0, 0);
    }
}

static void put_run(const char *format, uint32_t a, uint32_t b)
{
    char name[64];
    snprintf(name, sizeof name, format, a, b);
    put("session", name, story.bytes, story.size);
}

/* Member 1 changes one field of its message of each type, to one and to all. */
static void put_lies(uint32_t kind)
{
    static const struct { enum sl_message_type type; uint32_t n_fields; } lies[] = {
        {SL_MESSAGE_SHARES, 8}, {SL_MESSAGE_COMMIT, 2}, {SL_MESSAGE_OPEN, 2}, {SL_MESSAGE_AUDIT, 7}, {SL_MESSAGE_CONFIRM, 1}, {SL_MESSAGE_UNMASK, 2},
        {SL_MESSAGE_RESULT, 1}};
    uint32_t n = 3 + kind % 4;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        for (uint32_t field = 0; field < 2 * lies[i].n_fields; field++) {
            begin_run((uint8_t)kind, 2);
            add_until(n, lies[i].type);
            add(field % 2 ? RUN_LIE_TO_ALL : RUN_LIE_TO_ONE, n - 1, field / 2, 2);
            add_end(n);
            char format[64];
            snprintf(format, sizeof format, "lie-%%u-%s-%%u", sl_message_name(lies[i].type));
            put_run(format, kind, field);
        }
}

static void put_runs(void)
{
    for (uint32_t kind = 0; kind < 8; kind++) {
        uint32_t n = 3 + kind % 4;
        begin_run((uint8_t)kind, 0);
        add(RUN_SETTLE, 0, 0, 0);
        add(RUN_INPUTS, n, 0, 0);
        add(RUN_SETTLE, 0, 0, 0);
        put_run("well-%u-%u", kind, n);

        for (uint32_t step = SL_MESSAGE_SHARES; step <= SL_MESSAGE_RESULT; step++) {
            begin_run((uint8_t)kind, 0);
            add_until(n, (enum sl_message_type)step);
            add(RUN_SILENCE, step % n, 0, 0);
            add_end(n);
            put_run("silent-%u-%u", kind, step);
        }
        begin_run((uint8_t)kind, 0);
        add(RUN_CUT, 1, 2, 0);
        add_end(n);
        put_run("cut-%u-%u", kind, 1);
        begin_run((uint8_t)kind, 0);
        add(RUN_REFUSE, 1, 3, 0);
        add_end(n);
        put_run("refusal-%u-%u", kind, 1);
    }
    for (uint32_t kind = 2; kind < 4; kind++) {
        put_lies(kind);
        uint32_t n = 3 + kind % 4;
        begin_run((uint8_t)kind, 1);
        add_until(n, SL_MESSAGE_LIST);
        add(RUN_LIST, 0, 2, 0x7);
        add(RUN_LIST, 0, 1, 0xf);
        add_end(n);
        put_run("two-lists-%u-%u", kind, n);
        begin_run((uint8_t)kind, 2);
        add(RUN_INPUTS, 1, 14, 0);
        add_end(n);
        put_run("too-large-%u-%u", kind, n);
        begin_run((uint8_t)kind, 2);
        for (uint32_t what = 0; what < 4; what++) add(RUN_LIE, 8 * what, n - 1, 0);
        add_end(n);
        put_run("reveals-%u-%u", kind, n);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) { fprintf(stderr, "usage: write_corpus FOLDER, which holds a folder for each target\n"); return 2; }

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
    put_images();
    put_arrays();
    put_descriptors();
    put_settings();
    put_invites();
    put_requests();
    put_scenarios();
    put_runs();
    return n_failed > 0;
}
