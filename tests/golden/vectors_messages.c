/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "vectors.h"
#include "wire/message.h"

/* One message of each type a cohort knows, with contents that make no sense together. */

static uint8_t message[SL_MESSAGE_MAX];
static size_t message_size;

static void finish(enum sl_message_type type, struct sl_writer *writer)
{
    char name[32];
    uint8_t public_key[32], secret_key[64];
    crypto_sign_seed_keypair(public_key, secret_key, vectors_fixed(18));
    message_size = sl_envelope_seal(writer, type, secret_key);
    assert(message_size > 0);
    snprintf(name, sizeof name, "message.%s", sl_message_name(type));
    vectors_print(name, message, message_size);
}

/* print_X() prints the message with this body. */
#define MESSAGE(TYPE, name) \
    static void print_##name(const uint8_t cohort[32], const struct sl_##name *body) \
    { \
        struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_##TYPE, vectors_fixed(1), 5, cohort, vectors_fixed(3), message, sizeof message); \
        sl_write_##name(&writer, body); \
        finish(SL_MESSAGE_##TYPE, &writer); \
    }
MESSAGE(PROPOSE, propose) MESSAGE(JOIN, join) MESSAGE(ROSTER, roster) MESSAGE(REFUSE, refuse) MESSAGE(SHARES, shares) MESSAGE(LIST, list)
MESSAGE(COMMIT, commit) MESSAGE(OPEN, open) MESSAGE(AUDIT, audit) MESSAGE(CONFIRM, confirm) MESSAGE(UNMASK, unmask) MESSAGE(RESULT, result)
MESSAGE(REVEAL, reveal) MESSAGE(EVIDENCE, evidence) MESSAGE(NEED, need)
#undef MESSAGE

static void copy(uint32_t n, uint8_t out[32])
{
    memcpy(out, vectors_fixed(n), 32);
}

static void print_forming(void)
{
    static const uint8_t zeros[32];
    struct sl_propose propose = {.n_candidates = 3, .aim = 4, .ring_bits = 16, .ref_exponent = -12, .radius_q = 524288, .unit = 1};
    copy(20, propose.nonce);
    for (uint32_t i = 0; i < 3; i++) copy(21 + i, propose.candidates[i]);
    copy(24, propose.ref_root);
    print_propose(zeros, &propose);

    struct sl_join join = {.address = "127.0.0.1:7400", .certificate = vectors_fixed(30), .certificate_size = 3, .refused = 300};
    uint8_t *const fields[] = {join.sign_public, join.transport_public, join.mask_public, join.box_public, join.nonce};
    for (uint32_t i = 0; i < 5; i++) copy(25 + i, fields[i]);
    print_join(vectors_fixed(31), &join);

    static uint8_t kept[1024];
    const size_t size = message_size;
    assert(size <= sizeof kept);
    memcpy(kept, message, size);
    print_roster(vectors_fixed(31), &(struct sl_roster){.n_joins = 2, .joins = {{kept, size}, {kept, size}}});
    print_refuse(vectors_fixed(2), &(struct sl_refuse){.reason = 200});
}

static void print_dealing(void)
{
    struct sl_shares shares = {.n_members = 3};
    copy(32, shares.self_hash);
    copy(33, shares.nonce_hash);
    for (uint32_t i = 0; i < 3; i++) {
        struct sl_dealt *dealt = &shares.dealt[i];
        copy(34 + i, dealt->mask_tag);
        copy(37 + i, dealt->to_tag);
        copy(40 + i, dealt->from_tag);
        dealt->box = i == 1 ? NULL : vectors_fixed(43 + i);
        copy(46 + i, dealt->self_share_hash);
        copy(49 + i, dealt->mask_share_hash);
    }
    print_shares(vectors_fixed(2), &shares);

    struct sl_list list = {.step = 2, .members = 0x805, .n_hashes = 3};
    copy(52, list.previous);
    for (uint32_t i = 0; i < 3; i++) copy(53 + i, list.hashes[i]);
    print_list(vectors_fixed(2), &list);
}

static void print_committing(void)
{
    struct sl_commit commit;
    copy(56, commit.chain);
    copy(57, commit.root);
    print_commit(vectors_fixed(2), &commit);

    struct sl_open open;
    copy(58, open.chain);
    copy(59, open.nonce);
    print_open(vectors_fixed(2), &open);

    struct sl_audit audit = {
        .rows = 2, .n_members = 3, .input = {1, 0xfffffffe}, .self = {0x01020304, 5}, .partners = 5, .pair = {[0] = {7, 8}, [2] = {0x80000000, 9}},
    };
    copy(60, audit.chain);
    print_audit(vectors_fixed(2), &audit);
}

static void print_ending(void)
{
    struct sl_confirm confirm;
    copy(61, confirm.chain);
    print_confirm(vectors_fixed(2), &confirm);

    struct sl_unmask unmask = {.n_members = 3, .shares = {vectors_fixed(63), NULL, vectors_fixed(64)}};
    copy(62, unmask.chain);
    print_unmask(vectors_fixed(2), &unmask);

    struct sl_result result = {.members = 13, .bits = 16, .exponent = -7};
    copy(65, result.chain);
    copy(66, result.root);
    print_result(vectors_fixed(2), &result);
}

static void print_disputing(void)
{
    struct sl_reveal reveal = {.kind = SL_REVEAL_PAIR_SEED, .index = 2};
    copy(67, reveal.secret);
    print_reveal(vectors_fixed(2), &reveal);

    static uint8_t kept[512];
    const size_t size = message_size;
    assert(size <= sizeof kept);
    memcpy(kept, message, size);
    struct sl_evidence evidence = {.kind = 1, .n_messages = 2, .messages = {kept, kept}, .message_sizes = {size, size}, .n_secrets = 1};
    copy(68, evidence.sign_public);
    evidence.secrets[0].index = 2;
    copy(69, evidence.secrets[0].secret);
    print_evidence(vectors_fixed(2), &evidence);

    struct sl_need need = {.step = 3};
    copy(70, need.from);
    print_need(vectors_fixed(2), &need);
}

void vectors_messages(void)
{
    vectors_title("Messages from F(3), signed by the Ed25519 key of seed F(18). Their contents: tests/golden/vectors_messages.c");
    print_forming();
    print_dealing();
    print_committing();
    print_ending();
    print_disputing();
}
