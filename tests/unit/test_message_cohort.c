/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/samples.h"

static uint8_t bytes[SL_MESSAGE_MAX], again[SL_MESSAGE_MAX];

static struct sl_envelope over(enum sl_message_type type, const struct sl_writer *writer)
{
    cr_assert_not(writer->full);
    return (struct sl_envelope){.type = type, .body = writer->bytes, .body_size = writer->size};
}

/* SL_OK also means that it was written again with the same bytes. */
static int read_any(enum sl_message_type type, const struct sl_writer *writer)
{
    struct sl_envelope envelope = over(type, writer);
    struct sl_writer second = sl_writer_over(again, sizeof again);
    int error = sample_rewrite(&envelope, &second);
    if (error) return error;

    cr_assert_eq(second.size, writer->size);
    cr_assert_eq(memcmp(again, writer->bytes, second.size), 0, "%s", sl_message_name(type));
    return SL_OK;
}

/* written_X(): the error of reading a body back. */
#define CASE(TYPE, name) \
    static int written_##name(struct sl_##name body) \
    { \
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes); \
        sl_write_##name(&writer, &body); \
        return read_any(SL_MESSAGE_##TYPE, &writer); \
    }
CASE(LIST, list) CASE(UNMASK, unmask) CASE(REVEAL, reveal) CASE(RESULT, result) CASE(AGGREGATE, aggregate) CASE(EVIDENCE, evidence)
#undef CASE

/* ---- SHARES ---- */

Test(shares, come_back_as_they_were_written)
{
    static struct sl_shares out;
    struct sl_shares body = sample_shares(SAMPLE_LARGE);
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_shares(&writer, &body);
    struct sl_envelope envelope = over(SL_MESSAGE_SHARES, &writer);

    cr_assert_eq(sl_read_shares(&envelope, &out), SL_OK);
    cr_assert_eq(out.n_members, SL_COHORT_MAX);
    cr_assert_eq(memcmp(out.dealt[3].from_tag, body.dealt[3].from_tag, 32), 0);
    cr_assert(out.dealt[3].box && memcmp(out.dealt[3].box, sample_bytes(0xa6), SL_BOX_SIZE) == 0);
    cr_assert_eq(out.dealt[14].self_share_hash[31], 0xb0 + 14);
    cr_assert_null(out.dealt[63].box, "the own item");
    cr_assert_eq(out.dealt[63].mask_share_hash[0], 0xa7);
}

/* One item whose three tags and box have these sizes and whose hashes have that one. */
static int read_dealt_of(const size_t sizes[4], size_t hash_size)
{
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_array(&writer, 3);
    sl_write_bin(&writer, sample_from, 32);
    sl_write_bin(&writer, sample_from, 32);
    sl_write_array(&writer, 1);
    sl_write_array(&writer, 6);
    for (int i = 0; i < 4; i++) sl_write_bin(&writer, sample_bytes(0xa1), sizes[i]);
    for (int i = 0; i < 2; i++) sl_write_bin(&writer, sample_bytes(0xa2), hash_size);
    return read_any(SL_MESSAGE_SHARES, &writer);
}

Test(shares, an_item_has_all_tags_and_a_box_or_none_of_them)
{
    for (unsigned present = 0; present < 16; present++) {
        size_t sizes[4];
        for (int i = 0; i < 4; i++) sizes[i] = present >> i & 1 ? i == 3 ? SL_BOX_SIZE : 32 : 0;
        int expected = present == 0 || present == 15 ? SL_OK : SL_ERROR_MALFORMED;
        cr_assert_eq(read_dealt_of(sizes, 32), expected, "present: %x", present);
    }
}

Test(shares, tags_boxes_and_hashes_have_their_sizes)
{
    static const struct { size_t sizes[4], hash_size; int error; } cases[] = {
        {{32, 32, 32, 80}, 32, SL_OK},
        {{31, 32, 32, 80}, 32, SL_ERROR_MALFORMED}, {{32, 33, 32, 80}, 32, SL_ERROR_TOO_LARGE}, {{32, 32, 1, 80}, 32, SL_ERROR_MALFORMED},
        {{32, 32, 32, 79}, 32, SL_ERROR_MALFORMED}, {{32, 32, 32, 81}, 32, SL_ERROR_TOO_LARGE}, {{32, 32, 32, 1}, 32, SL_ERROR_MALFORMED},
        {{32, 32, 32, 80}, 31, SL_ERROR_MALFORMED}, {{32, 32, 32, 80}, 0, SL_ERROR_MALFORMED}, {{0, 0, 0, 0}, 33, SL_ERROR_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) cr_assert_eq(read_dealt_of(cases[i].sizes, cases[i].hash_size), cases[i].error, "case %zu", i);
}

/* A body whose last item is a list of that many items, each of them those bytes. */
static int read_members_of(enum sl_message_type type, uint32_t n_members, const struct sl_writer *head, const void *item, size_t item_size)
{
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_raw(&writer, head->bytes, head->size);
    sl_write_array(&writer, n_members);
    for (uint32_t i = 0; i < n_members; i++) sl_write_raw(&writer, item, item_size);
    return read_any(type, &writer);
}

Test(cohort_bodies, hold_one_to_64_members)
{
    uint8_t heads[3][512], item[128];
    struct sl_writer shares = sl_writer_over(heads[0], 512), audit = sl_writer_over(heads[1], 512), unmask = sl_writer_over(heads[2], 512);
    sl_write_array(&shares, 3);
    for (int i = 0; i < 2; i++) sl_write_bin(&shares, sample_from, 32);
    sl_write_array(&audit, 4);
    sl_write_bin(&audit, sample_from, 32);
    for (int i = 0; i < 2; i++) sl_write_bin(&audit, sample_from, 4);
    sl_write_array(&unmask, 2);
    sl_write_bin(&unmask, sample_from, 32);

    struct sl_writer own = sl_writer_over(item, sizeof item);
    sl_write_array(&own, 6);
    for (int i = 0; i < 4; i++) sl_write_bin(&own, NULL, 0);
    for (int i = 0; i < 2; i++) sl_write_bin(&own, sample_from, 32);

    static const uint8_t empty[] = {0xc4, 0};
    for (uint32_t n = 0; n <= SL_COHORT_MAX + 1; n++) {
        int expected = n == 0 ? SL_ERROR_MALFORMED : n <= SL_COHORT_MAX ? SL_OK : SL_ERROR_TOO_LARGE;
        cr_assert_eq(read_members_of(SL_MESSAGE_SHARES, n, &shares, item, own.size), expected, "%u", n);
        cr_assert_eq(read_members_of(SL_MESSAGE_AUDIT, n, &audit, empty, sizeof empty), expected, "%u", n);
        cr_assert_eq(read_members_of(SL_MESSAGE_UNMASK, n, &unmask, empty, sizeof empty), expected, "%u", n);
    }
}

/* Sessions reserve memory by these sizes. */
Test(cohort_bodies, of_64_members_and_32_rows_have_the_sizes_that_sessions_reserve)
{
    static uint8_t message[SL_MESSAGE_MAX];
    struct sl_list list = sample_list(SAMPLE_LARGE);
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_LIST, sample_network, UINT64_MAX, sample_cohort, sample_from, message, sizeof message);
    sl_write_list(&writer, &list);
    uint8_t sign_public[32], sign_secret[64];
    sample_keys(sign_public, sign_secret);

    cr_assert_eq(sl_envelope_seal(&writer, SL_MESSAGE_LIST, sign_secret), 2404);
    cr_assert_eq(sample_message(SL_MESSAGE_SHARES, SAMPLE_LARGE, message), 16268);
    cr_assert_eq(sample_message(SL_MESSAGE_AUDIT, SAMPLE_LARGE, message), 8670);
    cr_assert_eq(sample_message(SL_MESSAGE_UNMASK, SAMPLE_LARGE, message), 2362);
    cr_assert_eq(sample_message(SL_MESSAGE_COMMIT, SAMPLE_LARGE, message), 249);
    cr_assert_eq(sample_message(SL_MESSAGE_OPEN, SAMPLE_LARGE, message), 249);
    cr_assert_eq(sample_message(SL_MESSAGE_CONFIRM, SAMPLE_LARGE, message), 215);
    cr_assert_eq(sample_message(SL_MESSAGE_REVEAL, SAMPLE_LARGE, message), 217);
    cr_assert_eq(sample_message(SL_MESSAGE_RESULT, SAMPLE_LARGE, message), 260);
}

/* ---- LIST ---- */

Test(list, holds_its_step_and_hashes_to_their_ranges)
{
    struct sl_list body = sample_list(SAMPLE_LARGE);
    body.step = 16;
    cr_assert_eq(written_list(body), SL_ERROR_MALFORMED);

    body = sample_list(SAMPLE_LARGE);
    body.n_hashes = 0;
    body.members = 0;
    cr_assert_eq(written_list(body), SL_ERROR_MALFORMED);

    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_array(&writer, 4);
    sl_write_uint(&writer, 1);
    sl_write_bin(&writer, sample_from, 32);
    sl_write_uint(&writer, UINT64_MAX);
    sl_write_array(&writer, SL_COHORT_MAX + 1);
    for (int i = 0; i <= SL_COHORT_MAX; i++) sl_write_bin(&writer, sample_from, 32);
    cr_assert_eq(read_any(SL_MESSAGE_LIST, &writer), SL_ERROR_TOO_LARGE);
}

Test(list, holds_one_hash_for_every_member)
{
    struct sl_list body = sample_list(SAMPLE_LARGE);
    static const struct { uint64_t members; uint32_t n_hashes; int error; } cases[] = {
        {1, 1, SL_OK}, {UINT64_C(1) << 63, 1, SL_OK}, {0x8001, 2, SL_OK}, {UINT64_MAX, 64, SL_OK}, {0xf0f0, 8, SL_OK},
        {0, 1, SL_ERROR_MALFORMED}, {1, 0, SL_ERROR_MALFORMED}, {1, 2, SL_ERROR_MALFORMED}, {3, 1, SL_ERROR_MALFORMED},
        {UINT64_MAX, 63, SL_ERROR_MALFORMED}, {UINT64_MAX >> 1, 64, SL_ERROR_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        body.members = cases[i].members;
        body.n_hashes = cases[i].n_hashes;
        cr_assert_eq(written_list(body), cases[i].error, "case %zu", i);
    }
}

/* ---- AUDIT ---- */

Test(audit, comes_back_as_it_was_written_little_endian)
{
    static struct sl_audit out;
    struct sl_audit body = sample_audit(SAMPLE_LARGE);
    body.input[0] = 0x04030201;
    body.pair[2][31] = 0xfffefdfc;
    body.partners = 0x8004;
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_audit(&writer, &body);
    struct sl_envelope envelope = over(SL_MESSAGE_AUDIT, &writer);

    cr_assert_eq(sl_read_audit(&envelope, &out), SL_OK);
    cr_assert_eq(out.rows, SL_SKETCH_ROWS_MAX);
    cr_assert_eq(out.n_members, SL_COHORT_MAX);
    cr_assert_eq(out.partners, 0x8004);
    cr_assert_eq(memcmp(out.input, body.input, sizeof body.input), 0);
    cr_assert_eq(memcmp(out.self, body.self, sizeof body.self), 0);
    cr_assert_eq(memcmp(out.pair[2], body.pair[2], sizeof body.pair[2]), 0);
    cr_assert_eq(out.pair[1][0], 0, "no partner, no numbers of one");
    static const uint8_t first[] = {0xc4, 0x80, 1, 2, 3, 4};
    cr_assert_eq(memcmp(bytes + 1 + 34, first, sizeof first), 0);
}

/* Sketches of these many bytes. */
static int read_audit_of(size_t input, size_t self, size_t pair)
{
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_array(&writer, 4);
    sl_write_bin(&writer, sample_from, 32);
    sl_write_bin(&writer, sample_bytes(0xa1), input);
    sl_write_bin(&writer, sample_bytes(0xa2), self);
    sl_write_array(&writer, 2);
    sl_write_bin(&writer, NULL, 0);
    sl_write_bin(&writer, sample_bytes(0xa3), pair);
    return read_any(SL_MESSAGE_AUDIT, &writer);
}

Test(audit, has_1_to_32_rows_of_four_bytes)
{
    for (size_t size = 0; size <= 4 * SL_SKETCH_ROWS_MAX + 4; size++) {
        int expected = size > 4 * SL_SKETCH_ROWS_MAX ? SL_ERROR_TOO_LARGE : size > 0 && size % 4 == 0 ? SL_OK : SL_ERROR_MALFORMED;
        cr_assert_eq(read_audit_of(size, size, size), expected, "%zu bytes", size);
    }
}

Test(audit, has_equally_many_rows_everywhere)
{
    cr_assert_eq(read_audit_of(32, 32, 32), SL_OK);
    cr_assert_eq(read_audit_of(32, 32, 0), SL_OK, "not a partner");
    cr_assert_eq(read_audit_of(32, 28, 32), SL_ERROR_MALFORMED);
    cr_assert_eq(read_audit_of(32, 36, 32), SL_ERROR_MALFORMED);
    cr_assert_eq(read_audit_of(32, 0, 32), SL_ERROR_MALFORMED);
    cr_assert_eq(read_audit_of(32, 32, 28), SL_ERROR_MALFORMED);
    cr_assert_eq(read_audit_of(32, 32, 36), SL_ERROR_TOO_LARGE);
    cr_assert_eq(read_audit_of(0, 0, 32), SL_ERROR_TOO_LARGE);
}

/* ---- UNMASK, REVEAL, RESULT ---- */

Test(unmask, holds_whole_shares_or_none)
{
    for (size_t size = 0; size <= 33; size++) {
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
        sl_write_array(&writer, 2);
        sl_write_bin(&writer, sample_from, 32);
        sl_write_array(&writer, 2);
        sl_write_bin(&writer, sample_from, 32);
        sl_write_bin(&writer, sample_bytes(0xa1), size);
        int expected = size == 0 || size == 32 ? SL_OK : size < 32 ? SL_ERROR_MALFORMED : SL_ERROR_TOO_LARGE;
        cr_assert_eq(read_any(SL_MESSAGE_UNMASK, &writer), expected, "%zu bytes", size);
    }
}

Test(unmask, shares_stay_with_their_members)
{
    struct sl_unmask body = {.n_members = 3, .shares = {[1] = sample_bytes(0xa1)}}, out;
    cr_assert_eq(written_unmask(body), SL_OK);
    struct sl_envelope envelope = {.type = SL_MESSAGE_UNMASK, .body = bytes, .body_size = 1 + 34 + 1 + 2 + 34 + 2};

    cr_assert_eq(sl_read_unmask(&envelope, &out), SL_OK);
    cr_assert_null(out.shares[0]);
    cr_assert(out.shares[1] && out.shares[1][31] == 0xa1);
    cr_assert_null(out.shares[2]);
}

Test(reveal, holds_its_numbers_to_their_ranges)
{
    for (uint32_t kind = 0; kind <= 6; kind++) {
        int expected = kind >= SL_REVEAL_BOX_KEY && kind <= SL_REVEAL_PAIR_SEED ? SL_OK : SL_ERROR_MALFORMED;
        cr_assert_eq(written_reveal((struct sl_reveal){.kind = kind}), expected, "kind %u", kind);
    }
    cr_assert_eq(written_reveal((struct sl_reveal){.kind = 1, .index = SL_COHORT_MAX}), SL_ERROR_MALFORMED);
}

Test(result, holds_its_numbers_to_their_ranges)
{
#define REFUSED(change) do { struct sl_result body = sample_result(SAMPLE_LARGE); change; \
    cr_assert_eq(written_result(body), SL_ERROR_MALFORMED, #change); } while (0)
    REFUSED(body.members = 0);
    REFUSED(body.bits = 0);
    REFUSED(body.bits = 24);
    REFUSED(body.bits = 64);
    REFUSED(body.exponent = -64);
    REFUSED(body.exponent = 64);
#undef REFUSED
}

/* ---- AGGREGATE ---- */

/* With that many lists, two signers of each kind, and these many signatures. */
static int read_aggregate_of(uint32_t n_lists, uint32_t n_confirms, uint32_t n_results)
{
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_array(&writer, 6);
    sl_write_bin(&writer, NULL, 0);
    sl_write_bin(&writer, NULL, 0);
    sl_write_array(&writer, n_lists);
    for (uint32_t i = 0; i < n_lists; i++) sl_write_bin(&writer, NULL, 0);
    for (int set = 0; set < 2; set++) {
        uint32_t n = set == 0 ? n_confirms : n_results;
        sl_write_array(&writer, 2);
        sl_write_uint(&writer, UINT64_C(0x8000000000000001));
        sl_write_array(&writer, n);
        for (uint32_t i = 0; i < n; i++) sl_write_bin(&writer, sample_bytes(1), 64);
        if (set == 0) sl_write_bin(&writer, NULL, 0);
    }
    return read_any(SL_MESSAGE_AGGREGATE, &writer);
}

Test(aggregate, holds_one_signature_for_every_signer)
{
    for (uint32_t n = 0; n <= 3; n++) {
        cr_assert_eq(read_aggregate_of(4, n, 2), n == 2 ? SL_OK : SL_ERROR_MALFORMED);
        cr_assert_eq(read_aggregate_of(4, 2, n), n == 2 ? SL_OK : SL_ERROR_MALFORMED);
    }
    cr_assert_eq(read_aggregate_of(4, 2, SL_COHORT_MAX + 1), SL_ERROR_TOO_LARGE);
}

Test(aggregate, holds_three_or_four_lists)
{
    for (uint32_t n = 0; n <= 6; n++)
        cr_assert_eq(read_aggregate_of(n, 2, 2), n > 4 ? SL_ERROR_TOO_LARGE : n >= 3 ? SL_OK : SL_ERROR_MALFORMED, "%u lists", n);
}

Test(aggregate, no_part_is_larger_than_its_message_may_be)
{
#define REFUSED(change) do { struct sl_aggregate body = sample_aggregate(SAMPLE_LARGE); change; \
    cr_assert_eq(written_aggregate(body), SL_ERROR_TOO_LARGE, #change); } while (0)
    REFUSED(body.propose_size++);
    REFUSED(body.roster_size++);
    REFUSED(body.list_sizes[0]++);
    REFUSED(body.list_sizes[3]++);
    REFUSED(body.result_size++);
#undef REFUSED
}

Test(aggregate, of_the_largest_parts_fits_into_a_message)
{
    static uint8_t message[SL_MESSAGE_MAX];
    cr_assert_gt(sample_message(SL_MESSAGE_AGGREGATE, SAMPLE_LARGE, message), 60000);
}

/* ---- EVIDENCE ---- */

Test(evidence, comes_back_as_it_was_written)
{
    static struct sl_evidence out;
    struct sl_evidence body = sample_evidence(SAMPLE_LARGE);
    struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
    sl_write_evidence(&writer, &body);
    struct sl_envelope envelope = over(SL_MESSAGE_EVIDENCE, &writer);

    cr_assert_eq(sl_read_evidence(&envelope, &out), SL_OK);
    cr_assert_eq(out.kind, 15);
    cr_assert_eq(out.n_messages, 3);
    cr_assert_eq(out.message_sizes[2], 5120);
    cr_assert_eq(out.roster_size, 5120);
    cr_assert_eq(out.roster[0], 0xa3);
    cr_assert_eq(out.n_secrets, 64);
    cr_assert_eq(out.secrets[9].index, 9);
    cr_assert_eq(out.secrets[9].secret[31], 0xb9);
}

Test(evidence, holds_its_numbers_to_their_ranges)
{
    static struct sl_evidence body;
    body = sample_evidence(SAMPLE_SMALL);
    body.kind = 0;
    cr_assert_eq(written_evidence(body), SL_ERROR_MALFORMED);
    body.kind = 16;
    cr_assert_eq(written_evidence(body), SL_ERROR_MALFORMED);

    body = sample_evidence(SAMPLE_SMALL);
    body.n_messages = 0;
    cr_assert_eq(written_evidence(body), SL_ERROR_MALFORMED);

    body = sample_evidence(SAMPLE_LARGE);
    body.secrets[15].index = SL_COHORT_MAX;
    cr_assert_eq(written_evidence(body), SL_ERROR_MALFORMED);

    body = sample_evidence(SAMPLE_SMALL);
    body.roster_size = 50177;
    cr_assert_eq(written_evidence(body), SL_ERROR_TOO_LARGE);
    body.roster_size = 0;
    body.message_sizes[0] = 50177;
    cr_assert_eq(written_evidence(body), SL_ERROR_TOO_LARGE);
}

Test(evidence, has_room_for_3_messages_and_64_secrets_and_no_more)
{
    for (int what = 0; what < 2; what++) {
        struct sl_writer writer = sl_writer_over(bytes, sizeof bytes);
        sl_write_array(&writer, 5);
        sl_write_uint(&writer, 1);
        sl_write_bin(&writer, sample_from, 32);
        uint32_t n_messages = what == 0 ? SL_EVIDENCE_MESSAGES_MAX + 1 : 1, n_secrets = what == 1 ? SL_EVIDENCE_SECRETS_MAX + 1 : 0;
        sl_write_array(&writer, n_messages);
        for (uint32_t i = 0; i < n_messages; i++) sl_write_bin(&writer, NULL, 0);
        sl_write_bin(&writer, NULL, 0);
        sl_write_array(&writer, n_secrets);
        for (uint32_t i = 0; i < n_secrets; i++) {
            sl_write_array(&writer, 2);
            sl_write_uint(&writer, 0);
            sl_write_bin(&writer, sample_from, 32);
        }
        cr_assert_eq(read_any(SL_MESSAGE_EVIDENCE, &writer), SL_ERROR_TOO_LARGE);
    }
}

/* Two rosters of 16 members with long certificates; two of 64 seldom fit, and only those who were shown both act on them. */
Test(evidence, of_a_large_cohort_fits_into_a_message)
{
    static uint8_t message[SL_MESSAGE_MAX];
    cr_assert_gt(sample_message(SL_MESSAGE_EVIDENCE, SAMPLE_LARGE, message), 2 * 17000);
}
