/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/quorum.h"
#include "cohort/evidence.h"
#include "cohort/session.h"
#include "privacy/mask.h"
#include "share/merkle.h"
#include "share/quantise.h"
#include "starling/identity.h"

/*
 * Sessions side by side, with a queue of messages between them. A test may look at each message on its way and keep it from its receiver, change what a
 * member says, and let moments pass.
 */
enum { MEMBERS_MAX = 8, PACKETS_MAX = 4000, DIM = 600, EPOCH = 7, RADIUS = 4 };

static const uint8_t network[32] = {3, 1, 4};

struct cohort;
struct packet { uint32_t from, to; size_t size; uint8_t *bytes; };

struct member {
    struct cohort *cohort;
    uint32_t index;
    struct sl_session *session;
    uint8_t *block;
    size_t block_size;
    uint8_t sign_secret[64], mask_secret[32], box_secret[32];
    uint64_t wanted;
    uint32_t news[SL_NEWS_VOID + 1], accused[SL_EVIDENCE_BAD_PAIR_SKETCH + 1];
    uint64_t news_of[SL_NEWS_VOID + 1], accused_members;
    uint32_t said[32];                           /* messages by type */
    bool is_gone;
};

struct cohort {
    uint32_t n, rows, ring_bits;
    struct member members[MEMBERS_MAX];
    struct sl_session_member keys[MEMBERS_MAX];
    uint8_t id[32], roster[16384];
    size_t roster_size;
    struct packet packets[PACKETS_MAX];
    uint32_t n_packets, next;
    bool (*passes)(struct cohort *cohort, const struct packet *packet, const struct sl_envelope *envelope);      /* NULL: all do */
    /* Another body in place of what a member says. */
    bool (*changes)(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer);
    uint32_t subject;                            /* what those two may want to know */
};

static void put(struct cohort *cohort, uint32_t from, uint32_t to, const uint8_t *bytes, size_t size)
{
    cr_assert_lt(cohort->n_packets, PACKETS_MAX);
    struct packet *packet = &cohort->packets[cohort->n_packets++];
    *packet = (struct packet){.from = from, .to = to, .size = size, .bytes = malloc(size)};
    memcpy(packet->bytes, bytes, size);
}

static void on_send(void *context, uint32_t to, const uint8_t *bytes, size_t size)
{
    struct member *self = context;
    struct cohort *cohort = self->cohort;
    struct sl_envelope envelope;
    cr_assert_eq(sl_envelope_open(bytes, size, network, &envelope), SL_OK);
    self->said[envelope.type]++;
    for (uint32_t i = 0; i < cohort->n; i++) {
        if (i == self->index || (to != SL_SESSION_ALL && to != i)) continue;
        uint8_t changed[8192];
        bool is_own = sl_hash_equal(envelope.from, cohort->keys[self->index].id);
        struct sl_writer writer = sl_envelope_begin(envelope.type, network, EPOCH, cohort->id, envelope.from, changed, sizeof changed);
        if (is_own && cohort->changes && cohort->changes(cohort, self->index, i, &envelope, &writer))
            put(cohort, self->index, i, changed, sl_envelope_seal(&writer, envelope.type, self->sign_secret));
        else put(cohort, self->index, i, bytes, size);
    }
}

static void on_want(void *context, uint32_t member)
{
    struct member *self = context;
    self->wanted |= (uint64_t)1 << member;
}

static bool on_encode(void *context, const uint32_t *sum, uint64_t members, struct sl_result *out)
{
    (void)context;
    (void)members;
    out->bits = 16;
    sl_hash_once("test sum", sum, DIM * sizeof *sum, out->root);
    return true;
}

static uint32_t dim_of(void *context, uint64_t epoch)
{
    (void)context;
    (void)epoch;
    return DIM;
}

/* Every accusation must convince a stranger. */
static void on_accuse(void *context, uint32_t member, const uint8_t *body, size_t size)
{
    static struct sl_evidence evidence;
    struct member *self = context;
    struct sl_envelope envelope = {.type = SL_MESSAGE_EVIDENCE, .body = body, .body_size = size};
    cr_assert_eq(sl_read_evidence(&envelope, &evidence), SL_OK);
    struct sl_evidence_context verifier = {.network_id = network, .dim = dim_of, .ring_bits = self->cohort->ring_bits, .rows = self->cohort->rows};
    uint8_t accused[32];
    int error = sl_evidence_verify(&verifier, &evidence, accused);
    cr_assert_eq(error, SL_OK, "evidence of kind %u: error %d", evidence.kind, error);
    cr_assert(sl_hash_equal(accused, self->cohort->keys[member].id));
    self->accused[evidence.kind]++;
    self->accused_members |= (uint64_t)1 << member;
}

static void on_tell(void *context, enum sl_session_news news, uint32_t member, int64_t number)
{
    struct member *self = context;
    (void)number;
    self->news[news]++;
    if (member < 64) self->news_of[news] |= (uint64_t)1 << member;
}

static void on_count(void *context, bool made)
{
    (void)context;
    (void)made;
}

/* ---- a cohort at its beginning ---- */

static void make_keys(struct cohort *cohort)
{
    for (uint32_t i = 0; i < cohort->n; i++) {
        struct member *member = &cohort->members[i];
        struct sl_session_member *keys = &cohort->keys[i];
        uint8_t seed[32] = {9, (uint8_t)i};
        crypto_sign_seed_keypair(keys->sign_public, member->sign_secret, seed);
        sl_identity_id(network, keys->sign_public, keys->id);
        seed[2] = 1;
        sl_mask_keypair(seed, keys->mask_public, member->mask_secret);
        seed[2] = 2;
        sl_mask_keypair(seed, keys->box_public, member->box_secret);
        member->cohort = cohort;
        member->index = i;
    }
    for (uint32_t i = 0; i < cohort->n; i++) {                       /* rosters are in order of their ids */
        for (uint32_t j = i + 1; j < cohort->n; j++) {
            if (memcmp(cohort->keys[i].id, cohort->keys[j].id, 32) < 0) continue;
            struct sl_session_member keys = cohort->keys[i];
            cohort->keys[i] = cohort->keys[j], cohort->keys[j] = keys;
            struct member member = cohort->members[i];
            cohort->members[i] = cohort->members[j], cohort->members[j] = member;
        }
        cohort->members[i].index = i;
    }
    for (uint32_t i = 0; i < cohort->n; i++) cohort->members[i].index = i;
}

static void make_roster(struct cohort *cohort)
{
    static const uint8_t proposal[32] = {8};
    static uint8_t joins[MEMBERS_MAX][1024];
    struct sl_roster roster = {.n_joins = cohort->n};
    for (uint32_t i = 0; i < cohort->n; i++) {
        const struct sl_session_member *keys = &cohort->keys[i];
        struct sl_join join = {.nonce = {(uint8_t)i}, .transport_public = {1, (uint8_t)i}};
        memcpy(join.sign_public, keys->sign_public, 32);
        memcpy(join.mask_public, keys->mask_public, 32);
        memcpy(join.box_public, keys->box_public, 32);
        struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_JOIN, network, EPOCH, proposal, keys->id, joins[i], sizeof joins[i]);
        sl_write_join(&writer, &join);
        roster.joins[i].bytes = joins[i];
        roster.joins[i].size = sl_envelope_seal(&writer, SL_MESSAGE_JOIN, cohort->members[i].sign_secret);
    }
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_ROSTER, network, EPOCH, proposal, cohort->keys[0].id, cohort->roster, sizeof cohort->roster);
    sl_write_roster(&writer, &roster);
    cohort->roster_size = sl_envelope_seal(&writer, SL_MESSAGE_ROSTER, cohort->members[0].sign_secret);
    struct sl_envelope envelope;
    cr_assert_eq(sl_envelope_open(cohort->roster, cohort->roster_size, network, &envelope), SL_OK);
    sl_hash_once("cohort", envelope.body, envelope.body_size, cohort->id);
}

static int exponent_of(const struct cohort *cohort)
{
    return sl_ring_exponent(RADIUS << 16, cohort->n, cohort->ring_bits);
}

static void begin_member(struct cohort *cohort, uint32_t i)
{
    struct member *member = &cohort->members[i];
    struct sl_session_port port = {.context = member, .send = on_send, .want = on_want, .encode = on_encode, .accuse = on_accuse, .tell = on_tell,
                                   .count = on_count};
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){5, (uint8_t)i});
    member->block_size = sl_session_size(MEMBERS_MAX, DIM, cohort->rows);
    member->block = malloc(member->block_size);
    struct sl_arena arena = sl_arena_over(member->block, member->block_size);
    member->session = sl_session_init(&arena, MEMBERS_MAX, DIM, cohort->rows, &port, rng);
    cr_assert_not_null(member->session);
    struct sl_session_setup setup = {
        .network_id = network, .cohort_id = cohort->id, .sign_secret = member->sign_secret, .roster = cohort->roster, .roster_size = cohort->roster_size,
        .epoch = EPOCH, .n_members = cohort->n, .own = i, .initiator = 0, .members = cohort->keys, .mask_secret = member->mask_secret,
        .box_secret = member->box_secret, .dim = DIM, .ring_bits = cohort->ring_bits, .rows = cohort->rows, .ring_exponent = exponent_of(cohort),
        .radius_q = RADIUS << 16};
    cr_assert(sl_session_begin(member->session, &setup));
}

static struct cohort *cohort_of(uint32_t n, uint32_t rows, uint32_t ring_bits)
{
    struct cohort *cohort = calloc(1, sizeof *cohort);
    cohort->n = n;
    cohort->rows = rows;
    cohort->ring_bits = ring_bits;
    make_keys(cohort);
    make_roster(cohort);
    return cohort;
}

static void begin(struct cohort *cohort)
{
    for (uint32_t i = 0; i < cohort->n; i++) begin_member(cohort, i);
}

static void destroy(struct cohort *cohort)
{
    for (uint32_t i = 0; i < cohort->n_packets; i++) free(cohort->packets[i].bytes);
    for (uint32_t i = 0; i < cohort->n; i++) free(cohort->members[i].block);
    free(cohort);
}

/* ---- what happens ---- */

static int32_t number_of(const struct cohort *cohort, uint32_t member, uint32_t j)
{
    int32_t size = cohort->ring_bits == 16 ? 2 : 10000;
    return ((int32_t)((member * 31 + j * 17 + 5) % 23) - 11) * size;
}

static void give_input(struct cohort *cohort, uint32_t i)
{
    uint32_t z[DIM];
    for (uint32_t j = 0; j < DIM; j++) z[j] = (uint32_t)number_of(cohort, i, j);
    if (!cohort->members[i].is_gone) sl_session_input(cohort->members[i].session, z);
}

static void give_inputs(struct cohort *cohort)
{
    for (uint32_t i = 0; i < cohort->n; i++) give_input(cohort, i);
}

static void deliver(struct cohort *cohort, const struct packet *packet)
{
    struct member *to = &cohort->members[packet->to];
    struct sl_envelope envelope;
    cr_assert_eq(sl_envelope_open(packet->bytes, packet->size, network, &envelope), SL_OK);
    bool passes = !cohort->passes || cohort->passes(cohort, packet, &envelope);
    if (passes && !to->is_gone && !cohort->members[packet->from].is_gone) sl_session_message(to->session, &envelope, packet->from);
}

static bool fetch_from(struct cohort *cohort, uint32_t to, uint32_t holder, uint32_t member)
{
    struct sl_session *from = cohort->members[holder].session, *session = cohort->members[to].session;
    if (holder == to || cohort->members[holder].is_gone || !sl_session_serves(from, member)) return false;

    struct sl_merkle tree;
    size_t element = cohort->ring_bits / 8;
    sl_merkle_build(&tree, sl_session_vector(from, member), DIM * element, SL_CHUNK_ELEMENTS * element);
    if (!sl_hash_equal(tree.root, sl_session_root(session, member))) return false;

    memcpy(sl_session_vector(session, member), sl_session_vector(from, member), DIM * element);
    return true;
}

static bool fetch_all(struct cohort *cohort)
{
    bool has_moved = false;
    for (uint32_t i = 0; i < cohort->n; i++) {
        struct member *member = &cohort->members[i];
        for (uint32_t j = 0; j < cohort->n && !member->is_gone; j++) {
            bool is_wanted = member->wanted >> j & 1;
            if (!is_wanted || (!fetch_from(cohort, i, j, j) && !fetch_from(cohort, i, 0, j))) continue;
            member->wanted &= ~((uint64_t)1 << j);
            sl_session_vector_here(member->session, j);
            has_moved = true;
        }
    }
    return has_moved;
}

static void settle(struct cohort *cohort)
{
    do {
        while (cohort->next < cohort->n_packets) {
            struct packet packet = cohort->packets[cohort->next++];
            deliver(cohort, &packet);
        }
    } while (fetch_all(cohort) || cohort->next < cohort->n_packets);
}

/* A moment reaches one member after another, and each has its effect before the next. */
static void moment(struct cohort *cohort, enum sl_session_step step, enum sl_session_moment what)
{
    for (uint32_t i = 0; i < cohort->n; i++) {
        if (!cohort->members[i].is_gone) sl_session_moment(cohort->members[i].session, step, what);
        settle(cohort);
    }
}

static void pass_step(struct cohort *cohort, enum sl_session_step step)
{
    settle(cohort);
    for (int what = SL_MOMENT_ASK; what <= SL_MOMENT_END; what++) moment(cohort, step, (enum sl_session_moment)what);
}

static void pass_all(struct cohort *cohort)
{
    static const enum sl_session_step steps[] = {SL_STEP_SHARES, SL_STEP_COMMIT, SL_STEP_OPEN, SL_STEP_AUDIT, SL_STEP_CONFIRM, SL_STEP_UNMASK, SL_STEP_RESULT};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) pass_step(cohort, steps[i]);
}

static enum sl_session_state state_of(const struct cohort *cohort, uint32_t i)
{
    return sl_session_state(cohort->members[i].session);
}

static uint64_t summed_by(const struct cohort *cohort, uint32_t i)
{
    return sl_session_set(cohort->members[i].session, cohort->rows > 0 ? SL_STEP_LIST_AUDIT : SL_STEP_LIST_OPEN);
}

static uint64_t all_but(const struct cohort *cohort, uint32_t i)
{
    return (((uint64_t)1 << cohort->n) - 1) & ~((uint64_t)1 << i);
}

static void check_sum(const struct cohort *cohort, uint32_t i, uint64_t members)
{
    cr_assert_eq(summed_by(cohort, i), members, "member %u summed %lx", i, (unsigned long)summed_by(cohort, i));
    const uint32_t *sum = sl_session_sum(cohort->members[i].session);
    for (uint32_t j = 0; j < DIM; j++) {
        int32_t expected = 0;
        for (uint32_t k = 0; k < cohort->n; k++) expected += members >> k & 1 ? number_of(cohort, k, j) : 0;
        cr_assert_eq((int32_t)sum[j], expected, "coordinate %u of member %u", j, i);
    }
}

static void check_done(const struct cohort *cohort, uint64_t who, uint64_t members)
{
    for (uint32_t i = 0; i < cohort->n; i++) {
        if (!(who >> i & 1)) continue;
        cr_assert_eq(state_of(cohort, i), SL_SESSION_DONE, "member %u of %u is in state %d", i, cohort->n, state_of(cohort, i));
        check_sum(cohort, i, members);
    }
}

static bool memory_holds(const struct member *member, const uint8_t secret[32])
{
    for (size_t at = 0; at + 32 <= member->block_size; at++)
        if (memcmp(member->block + at, secret, 32) == 0) return true;
    return false;
}

/* ---- without faults ---- */

Test(session, gives_the_exact_sum_whatever_the_size_the_ring_and_the_audit)
{
    for (uint32_t n = 3; n <= MEMBERS_MAX; n++) {
        for (int kind = 0; kind < 4; kind++) {
            struct cohort *cohort = cohort_of(n, kind & 1 ? 8 : 0, kind & 2 ? 16 : 32);

            begin(cohort);
            give_inputs(cohort);
            settle(cohort);

            uint64_t everybody = ((uint64_t)1 << n) - 1;
            check_done(cohort, everybody, everybody);
            for (uint32_t i = 0; i < n; i++) {
                struct sl_aggregate aggregate;
                cr_assert(sl_session_aggregate(cohort->members[i].session, &aggregate));
                cr_assert_eq(aggregate.n_lists, cohort->rows > 0 ? 4 : 3);
                cr_assert_geq(aggregate.confirms.n, sl_quorum_threshold(n));
                cr_assert_geq(aggregate.results.n, sl_quorum_colluders(n) + 1);
                cr_assert_eq(cohort->members[i].said[SL_MESSAGE_LIST], i == 0 ? 1 * aggregate.n_lists : 0);
                cr_assert_eq(cohort->members[i].said[SL_MESSAGE_NEED], 0);
                cr_assert_eq(cohort->members[i].news[SL_NEWS_DROPPED], 0);
            }
            destroy(cohort);
        }
    }
}

Test(session, knows_quorums_that_share_an_honest_member)
{
    for (uint32_t c = 3; c <= 64; c++) {
        uint32_t t = sl_quorum_threshold(c), f = sl_quorum_colluders(c);
        cr_assert_gt(2 * t, c + f);
        cr_assert_gt(t, f);
    }
}

/* ---- members that fall silent ---- */

static enum sl_message_type silent_from;

/* Types of a member's messages in the order in which it says them. */
static int place_of(enum sl_message_type type)
{
    static const enum sl_message_type order[] = {SL_MESSAGE_SHARES, SL_MESSAGE_COMMIT, SL_MESSAGE_OPEN, SL_MESSAGE_AUDIT, SL_MESSAGE_CONFIRM,
                                                 SL_MESSAGE_UNMASK, SL_MESSAGE_RESULT};
    for (int i = 0; i < (int)(sizeof order / sizeof *order); i++)
        if (order[i] == type) return i;
    return -1;
}

static bool falls_silent(struct cohort *cohort, const struct packet *packet, const struct sl_envelope *envelope)
{
    struct member *subject = &cohort->members[cohort->subject];
    bool is_its = packet->from == cohort->subject;
    if (is_its && place_of(envelope->type) >= place_of(silent_from)) subject->is_gone = true;
    return !(is_its && subject->is_gone);
}

Test(session, completes_without_a_member_that_falls_silent_at_any_step)
{
    static const enum sl_message_type types[] = {SL_MESSAGE_SHARES, SL_MESSAGE_COMMIT, SL_MESSAGE_OPEN, SL_MESSAGE_AUDIT, SL_MESSAGE_CONFIRM,
                                                 SL_MESSAGE_UNMASK, SL_MESSAGE_RESULT};
    for (uint32_t n = 3; n <= 6; n++) {
        for (uint32_t kind = 0; kind < 14; kind++) {
            struct cohort *cohort = cohort_of(n, kind % 2 ? 8 : 0, kind % 4 < 2 ? 32 : 16);
            silent_from = types[kind / 2];
            if (cohort->rows == 0 && silent_from == SL_MESSAGE_AUDIT) { destroy(cohort); continue; }
            cohort->subject = kind % 3 == 0 ? 0 : n - 1;             /* the initiator too */
            cohort->passes = falls_silent;

            begin(cohort);
            give_inputs(cohort);
            pass_all(cohort);

            uint64_t everybody = ((uint64_t)1 << n) - 1, rest = all_but(cohort, cohort->subject);
            check_done(cohort, rest, place_of(silent_from) >= place_of(SL_MESSAGE_CONFIRM) ? everybody : rest);
            destroy(cohort);
        }
    }
}

Test(session, is_void_and_wiped_when_more_are_silent_than_may_be)
{
    struct cohort *cohort = cohort_of(5, 8, 32);
    begin(cohort);
    give_inputs(cohort);
    cohort->members[1].is_gone = cohort->members[3].is_gone = true;

    pass_all(cohort);

    for (uint32_t i = 0; i < 5; i += 2) {
        struct member *member = &cohort->members[i];
        cr_assert_eq(state_of(cohort, i), SL_SESSION_VOID);
        cr_assert_eq(member->news[SL_NEWS_VOID], 1);
        cr_assert_not(memory_holds(member, member->mask_secret));
        cr_assert_not(memory_holds(member, member->box_secret));
    }
    destroy(cohort);
}

Test(session, goes_on_without_the_input_of_one_who_refuses)
{
    struct cohort *cohort = cohort_of(5, 8, 32);
    begin(cohort);
    for (uint32_t i = 0; i < 4; i++) give_input(cohort, i);

    sl_session_refuse(cohort->members[4].session, 3);
    settle(cohort);

    check_done(cohort, all_but(cohort, 5), all_but(cohort, 4));          /* without any moment */
    cr_assert_eq(cohort->members[0].news[SL_NEWS_REFUSED], 1);
    cr_assert_eq(cohort->members[4].said[SL_MESSAGE_COMMIT], 0);
    cr_assert_eq(cohort->members[4].said[SL_MESSAGE_UNMASK], 1, "it still helps");
    destroy(cohort);
}

/* ---- messages that are late ---- */

static enum sl_message_type held_back;
static bool is_held_back;

static bool holds_back(struct cohort *cohort, const struct packet *packet, const struct sl_envelope *envelope)
{
    bool is_meant = is_held_back && envelope->type == held_back && sl_hash_equal(envelope->from, cohort->keys[cohort->subject].id);
    if (is_meant) put(cohort, packet->from, packet->to, packet->bytes, packet->size);
    return !is_meant;
}

/* What is held back goes round in the queue until it is let through: a few rounds are enough for the others. */
static void settle_some(struct cohort *cohort)
{
    for (int i = 0; i < 400 && cohort->next < cohort->n_packets; i++) {
        struct packet packet = cohort->packets[cohort->next++];
        deliver(cohort, &packet);
    }
    fetch_all(cohort);
}

static void let_be_late(struct cohort *cohort, enum sl_message_type type, enum sl_session_step step)
{
    held_back = type;
    is_held_back = true;
    cohort->passes = holds_back;
    begin(cohort);
    give_inputs(cohort);
    for (int i = 0; i < 2; i++) settle_some(cohort);
    sl_session_moment(cohort->members[0].session, step, SL_MOMENT_CLOSE);
    is_held_back = false;
    settle(cohort);
}

Test(session, never_counts_a_commit_that_comes_after_its_list)
{
    struct cohort *cohort = cohort_of(5, 0, 32);
    cohort->subject = 2;

    let_be_late(cohort, SL_MESSAGE_COMMIT, SL_STEP_COMMIT);

    check_done(cohort, all_but(cohort, 5), all_but(cohort, 2));
    cr_assert_eq(cohort->members[2].said[SL_MESSAGE_OPEN], 0);
    destroy(cohort);
}

static const struct packet *packet_of(const struct cohort *cohort, uint32_t from, enum sl_message_type type, struct sl_envelope *envelope)
{
    for (uint32_t i = 0; i < cohort->n_packets; i++) {
        cr_assert_eq(sl_envelope_open(cohort->packets[i].bytes, cohort->packets[i].size, network, envelope), SL_OK);
        if (envelope->type == type && sl_hash_equal(envelope->from, cohort->keys[from].id)) return &cohort->packets[i];
    }
    return NULL;
}

/* Of every UNMASK: the shares of the members in the sum are of self masks, the others of mask secrets. */
static void check_unmasks(const struct cohort *cohort, uint64_t summed)
{
    struct sl_shares shares[MEMBERS_MAX];
    struct sl_envelope envelope;
    for (uint32_t i = 0; i < cohort->n; i++) {
        cr_assert(packet_of(cohort, i, SL_MESSAGE_SHARES, &envelope));
        cr_assert_eq(sl_read_shares(&envelope, &shares[i]), SL_OK);
    }
    for (uint32_t i = 0; i < cohort->n; i++) {
        struct sl_unmask unmask;
        if (!packet_of(cohort, i, SL_MESSAGE_UNMASK, &envelope)) continue;
        cr_assert_eq(sl_read_unmask(&envelope, &unmask), SL_OK);
        for (uint32_t j = 0; j < cohort->n; j++) {
            bool is_mask = !(summed >> j & 1);
            uint8_t hash[32];
            cr_assert_not_null(unmask.shares[j]);
            sl_mask_share_hash(is_mask, cohort->id, j, i, unmask.shares[j], hash);
            cr_assert(sl_hash_equal(hash, is_mask ? shares[j].dealt[i].mask_share_hash : shares[j].dealt[i].self_share_hash));
        }
    }
}

Test(session, keeps_a_member_masked_whose_audit_is_late)
{
    struct cohort *cohort = cohort_of(4, 8, 32);
    cohort->subject = 1;

    let_be_late(cohort, SL_MESSAGE_AUDIT, SL_STEP_AUDIT);

    check_done(cohort, all_but(cohort, 4), all_but(cohort, 1));
    check_unmasks(cohort, all_but(cohort, 1));
    for (uint32_t i = 0; i < 4; i++) cr_assert_leq(cohort->members[i].said[SL_MESSAGE_UNMASK], 1);
    destroy(cohort);
}

/* ---- lost messages, members that cannot meet ---- */

static bool cannot_meet(struct cohort *cohort, const struct packet *packet, const struct sl_envelope *envelope)
{
    (void)cohort;
    (void)envelope;
    return !((packet->from == 1 && packet->to == 2) || (packet->from == 2 && packet->to == 1));
}

Test(session, passes_messages_of_members_that_cannot_meet_through_the_initiator)
{
    struct cohort *cohort = cohort_of(4, 8, 32);
    cohort->passes = cannot_meet;
    begin(cohort);
    give_inputs(cohort);
    settle(cohort);

    moment(cohort, SL_STEP_SHARES, SL_MOMENT_ASK);               /* once is enough for the whole run */

    check_done(cohort, 15, 15);
    destroy(cohort);
}

static uint32_t countdown;

static bool loses_some(struct cohort *cohort, const struct packet *packet, const struct sl_envelope *envelope)
{
    (void)cohort;
    (void)packet;
    (void)envelope;
    return ++countdown % 9 != 0;
}

Test(session, never_gives_a_wrong_sum_when_messages_are_lost)
{
    uint32_t n_done = 0;
    for (uint32_t start = 0; start < 9; start++) {
        struct cohort *cohort = cohort_of(5, start % 2 ? 8 : 0, 32);
        cohort->passes = loses_some;
        countdown = start;
        begin(cohort);
        give_inputs(cohort);

        pass_all(cohort);

        for (uint32_t i = 0; i < 5; i++) {
            if (state_of(cohort, i) != SL_SESSION_DONE) continue;
            n_done++;
            check_sum(cohort, i, summed_by(cohort, i));
        }
        destroy(cohort);
    }
    cr_assert_geq(n_done, 30, "%u of 45 members were done", n_done);
}

/* ---- secrets ---- */

Test(session, forgets_its_input_when_the_audit_is_out_and_every_secret_at_the_end)
{
    struct cohort *cohort = cohort_of(4, 8, 32);
    uint8_t seeds[MEMBERS_MAX][MEMBERS_MAX][32];
    for (uint32_t i = 0; i < 4; i++) {
        for (uint32_t j = 0; j < 4; j++) {
            struct sl_mask_context context = {.network_id = network, .cohort_id = cohort->id, .epoch = EPOCH, .own_id = cohort->keys[i].id,
                                              .peer_id = cohort->keys[j].id, .own_index = i, .peer_index = j};
            if (i != j) sl_mask_pair_seed(&context, cohort->keys[i].mask_public, cohort->members[i].mask_secret, cohort->keys[j].mask_public, seeds[i][j]);
        }
    }
    begin(cohort);
    struct member *member = &cohort->members[1];
    cr_assert(memory_holds(member, member->mask_secret), "the search must be able to find");
    cr_assert(memory_holds(member, seeds[1][2]));
    give_inputs(cohort);
    uint32_t z[DIM];
    for (uint32_t j = 0; j < DIM; j++) z[j] = (uint32_t)number_of(cohort, 1, j);
    cr_assert(memory_holds(member, (uint8_t *)z));
    settle(cohort);
    check_done(cohort, 15, 15);

    cr_assert_not(memory_holds(member, (uint8_t *)z));
    cr_assert_not(memory_holds(member, (uint8_t *)(z + 32)));
    sl_session_end(member->session);

    struct sl_envelope envelope;
    struct sl_unmask unmask;
    cr_assert_not(memory_holds(member, member->mask_secret));
    cr_assert_not(memory_holds(member, member->box_secret));
    for (uint32_t j = 0; j < 4; j++) {
        if (j != 1) cr_assert_not(memory_holds(member, seeds[1][j]));
        cr_assert(packet_of(cohort, j, SL_MESSAGE_UNMASK, &envelope));
        cr_assert_eq(sl_read_unmask(&envelope, &unmask), SL_OK);
        for (uint32_t k = 0; k < 4; k++) cr_assert_not(memory_holds(member, unmask.shares[k]));
    }
    cr_assert_eq(state_of(cohort, 1), SL_SESSION_NONE);
    destroy(cohort);
}

/* ---- liars: the subject says something else than its session ---- */

static bool is_subject(const struct cohort *cohort, uint32_t from, const struct sl_envelope *envelope, enum sl_message_type type)
{
    return from == cohort->subject && envelope->type == type;
}

static uint32_t victim_of(const struct cohort *cohort)
{
    return (cohort->subject + 1) % cohort->n;
}

/* Runs the cohort with one liar; the honest end with a sum of `members`. */
static void run_with_liar(struct cohort *cohort, uint32_t subject,
                          bool (*changes)(struct cohort *, uint32_t, uint32_t, const struct sl_envelope *, struct sl_writer *))
{
    cohort->subject = subject;
    cohort->changes = changes;
    begin(cohort);
    give_inputs(cohort);
    pass_all(cohort);
}

static uint32_t accusations(const struct cohort *cohort, enum sl_evidence_kind kind)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < cohort->n; i++) {
        if (i == cohort->subject) continue;
        n += cohort->members[i].accused[kind];
        cr_assert_eq(cohort->members[i].accused_members & ~((uint64_t)1 << cohort->subject), 0, "member %u accused somebody honest", i);
    }
    return n;
}

static bool spoils_a_box(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    static struct sl_shares shares;
    static uint8_t box[SL_BOX_SIZE];
    (void)to;
    if (!is_subject(cohort, from, envelope, SL_MESSAGE_SHARES)) return false;
    cr_assert_eq(sl_read_shares(envelope, &shares), SL_OK);
    memcpy(box, shares.dealt[victim_of(cohort)].box, sizeof box);
    box[5] ^= 1;
    shares.dealt[victim_of(cohort)].box = box;
    sl_write_shares(writer, &shares);
    return true;
}

Test(session, leaves_out_and_convicts_a_dealer_of_bad_shares)
{
    struct cohort *cohort = cohort_of(8, 8, 32);

    run_with_liar(cohort, 2, spoils_a_box);

    cr_assert_eq(accusations(cohort, SL_EVIDENCE_BAD_SHARE), 7);
    check_done(cohort, all_but(cohort, 2), all_but(cohort, 2));
    destroy(cohort);
}

static bool spoils_a_share_hash(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    static struct sl_shares shares;
    (void)to;
    if (!is_subject(cohort, from, envelope, SL_MESSAGE_SHARES)) return false;
    cr_assert_eq(sl_read_shares(envelope, &shares), SL_OK);
    shares.dealt[victim_of(cohort)].mask_share_hash[0] ^= 1;
    sl_write_shares(writer, &shares);
    return true;
}

Test(session, leaves_out_and_convicts_a_dealer_whose_share_is_not_the_one_it_signed)
{
    struct cohort *cohort = cohort_of(5, 0, 32);

    run_with_liar(cohort, 4, spoils_a_share_hash);

    cr_assert_eq(accusations(cohort, SL_EVIDENCE_BAD_SHARE), 4);
    check_done(cohort, all_but(cohort, 4), all_but(cohort, 4));
    destroy(cohort);
}

static bool spoils_a_mask_tag(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    static struct sl_shares shares;
    (void)to;
    if (!is_subject(cohort, from, envelope, SL_MESSAGE_SHARES)) return false;
    cr_assert_eq(sl_read_shares(envelope, &shares), SL_OK);
    shares.dealt[victim_of(cohort)].mask_tag[0] ^= 1;
    sl_write_shares(writer, &shares);
    return true;
}

static bool spoils_a_box_tag(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    static struct sl_shares shares;
    (void)to;
    if (!is_subject(cohort, from, envelope, SL_MESSAGE_SHARES)) return false;
    cr_assert_eq(sl_read_shares(envelope, &shares), SL_OK);
    shares.dealt[victim_of(cohort)].from_tag[0] ^= 1;
    sl_write_shares(writer, &shares);
    return true;
}

/* Both sit out: with eight members there are six left. */
static void check_tag_dispute(bool is_mask)
{
    struct cohort *cohort = cohort_of(8, 0, 32);

    run_with_liar(cohort, 3, is_mask ? spoils_a_mask_tag : spoils_a_box_tag);

    uint64_t rest = all_but(cohort, 3) & ~((uint64_t)1 << 4);
    cr_assert_geq(accusations(cohort, is_mask ? SL_EVIDENCE_BAD_MASK_TAG : SL_EVIDENCE_BAD_BOX_TAG), 6);
    cr_assert_eq(state_of(cohort, 4), SL_SESSION_VOID);
    check_done(cohort, rest, rest);
    destroy(cohort);
}

Test(session, lets_both_sit_out_who_differ_on_their_mask_and_convicts_the_liar) { check_tag_dispute(true); }

Test(session, lets_both_sit_out_who_differ_on_their_box_keys_and_convicts_the_liar) { check_tag_dispute(false); }

static bool opens_falsely(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    struct sl_open open;
    (void)to;
    if (!is_subject(cohort, from, envelope, SL_MESSAGE_OPEN)) return false;
    cr_assert_eq(sl_read_open(envelope, &open), SL_OK);
    open.nonce[0] ^= 1;
    sl_write_open(writer, &open);
    return true;
}

Test(session, leaves_out_who_opens_with_another_nonce_than_it_bound_itself_to)
{
    struct cohort *cohort = cohort_of(5, 8, 32);

    run_with_liar(cohort, 1, opens_falsely);

    check_done(cohort, all_but(cohort, 1), all_but(cohort, 1));
    destroy(cohort);
}

/* Moves a number from its input to a mask: its own equation still holds. */
static bool audits_a_false_mask(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    static struct sl_audit audit;
    uint32_t victim = victim_of(cohort);
    (void)to;
    if (!is_subject(cohort, from, envelope, SL_MESSAGE_AUDIT)) return false;
    cr_assert_eq(sl_read_audit(envelope, &audit), SL_OK);
    for (uint32_t r = 0; r < audit.rows; r++) {
        audit.input[r] += 5;
        audit.pair[victim][r] -= victim > from ? 5 : (uint32_t)-5;
    }
    sl_write_audit(writer, &audit);
    return true;
}

Test(session, finds_who_lied_when_two_audits_differ_on_a_mask)
{
    for (uint32_t subject = 0; subject < 5; subject++) {
        struct cohort *cohort = cohort_of(5, 8, 32);

        run_with_liar(cohort, subject, audits_a_false_mask);

        cr_assert_geq(accusations(cohort, SL_EVIDENCE_BAD_PAIR_SKETCH), subject == 0 ? 1 : 4);
        for (uint32_t i = 0; i < 5; i++)
            if (i != subject && state_of(cohort, i) == SL_SESSION_DONE) check_sum(cohort, i, all_but(cohort, subject));
        check_done(cohort, all_but(cohort, subject), all_but(cohort, subject));
        check_unmasks(cohort, all_but(cohort, subject));
        destroy(cohort);
    }
}

static bool audits_a_false_self(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    static struct sl_audit audit;
    (void)to;
    if (!is_subject(cohort, from, envelope, SL_MESSAGE_AUDIT)) return false;
    cr_assert_eq(sl_read_audit(envelope, &audit), SL_OK);
    for (uint32_t r = 0; r < audit.rows; r++) audit.input[r] += 5, audit.self[r] -= 5;
    sl_write_audit(writer, &audit);
    return true;
}

Test(session, is_void_and_convicts_the_liar_when_a_self_mask_was_not_as_its_audit_said)
{
    struct cohort *cohort = cohort_of(5, 8, 32);

    run_with_liar(cohort, 2, audits_a_false_self);

    cr_assert_eq(accusations(cohort, SL_EVIDENCE_BAD_SELF_SKETCH), 4);
    for (uint32_t i = 0; i < 5; i++) cr_assert(i == 2 || state_of(cohort, i) == SL_SESSION_VOID);
    destroy(cohort);
}

static bool audits_nonsense(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    static struct sl_audit audit;
    (void)to;
    if (!is_subject(cohort, from, envelope, SL_MESSAGE_AUDIT)) return false;
    cr_assert_eq(sl_read_audit(envelope, &audit), SL_OK);
    audit.input[0]++;
    sl_write_audit(writer, &audit);
    return true;
}

Test(session, leaves_out_whose_audit_does_not_fit_its_vector)
{
    struct cohort *cohort = cohort_of(4, 8, 32);

    run_with_liar(cohort, 2, audits_nonsense);

    cr_assert_eq(cohort->members[0].news_of[SL_NEWS_BAD_AUDIT], 4);
    check_done(cohort, all_but(cohort, 2), all_but(cohort, 2));
    destroy(cohort);
}

Test(session, leaves_out_whose_input_is_too_large)
{
    struct cohort *cohort = cohort_of(4, 8, 32);
    uint32_t z[DIM];
    for (uint32_t j = 0; j < DIM; j++) z[j] = (uint32_t)(j % 2 ? 1 : -1) << 25;
    begin(cohort);
    for (uint32_t i = 0; i < 3; i++) give_input(cohort, i);

    sl_session_input(cohort->members[3].session, z);
    settle(cohort);

    check_done(cohort, all_but(cohort, 3), all_but(cohort, 3));
    cr_assert_eq(cohort->members[0].news_of[SL_NEWS_TOO_LARGE], 8);
    destroy(cohort);
}

/* ---- two stories ---- */

static bool commits_twice(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    struct sl_commit commit;
    if (!is_subject(cohort, from, envelope, SL_MESSAGE_COMMIT) || to == 0) return false;
    cr_assert_eq(sl_read_commit(envelope, &commit), SL_OK);
    commit.root[0] ^= (uint8_t)to;
    sl_write_commit(writer, &commit);
    return true;
}

Test(session, convicts_who_commits_to_two_vectors)
{
    struct cohort *cohort = cohort_of(5, 8, 32);

    run_with_liar(cohort, 3, commits_twice);

    cr_assert_geq(accusations(cohort, SL_EVIDENCE_TWO_BODIES), 3);
    for (uint32_t i = 0; i < 5; i++)
        if (i != 3 && state_of(cohort, i) == SL_SESSION_DONE) check_sum(cohort, i, summed_by(cohort, i));
    destroy(cohort);
}

static uint32_t split_step;

/* The first half of the members hears a LIST without the last one. */
static bool splits_lists(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    static struct sl_list list;
    if (!is_subject(cohort, from, envelope, SL_MESSAGE_LIST) || to >= cohort->n / 2) return false;
    cr_assert_eq(sl_read_list(envelope, &list), SL_OK);
    if (list.step != split_step) return false;
    list.members &= ~((uint64_t)1 << (cohort->n - 1));
    list.n_hashes--;
    sl_write_list(writer, &list);
    return true;
}

Test(session, ends_void_or_agreed_when_the_initiator_tells_two_stories)
{
    for (uint32_t n = 4; n <= 8; n++) {
        for (split_step = SL_STEP_LIST_SHARES; split_step <= SL_STEP_LIST_AUDIT; split_step += 2) {
            struct cohort *cohort = cohort_of(n, 8, 32);

            run_with_liar(cohort, 0, splits_lists);

            uint64_t agreed = 0;
            for (uint32_t i = 0; i < n; i++) {
                if (state_of(cohort, i) != SL_SESSION_DONE) continue;
                cr_assert(agreed == 0 || agreed == summed_by(cohort, i));
                agreed = summed_by(cohort, i);
                check_sum(cohort, i, agreed);
            }
            destroy(cohort);
        }
    }
}

static bool unmasks_falsely(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    static struct sl_unmask unmask;
    static const uint8_t nothing[32];
    (void)to;
    if (!is_subject(cohort, from, envelope, SL_MESSAGE_UNMASK)) return false;
    cr_assert_eq(sl_read_unmask(envelope, &unmask), SL_OK);
    for (uint32_t i = 0; i < cohort->n; i++) unmask.shares[i] = nothing;
    sl_write_unmask(writer, &unmask);
    return true;
}

Test(session, does_not_need_who_gives_false_shares)
{
    struct cohort *cohort = cohort_of(5, 8, 16);

    run_with_liar(cohort, 1, unmasks_falsely);

    check_done(cohort, all_but(cohort, 1), all_but(cohort, 5));
    destroy(cohort);
}

static bool signs_another_result(struct cohort *cohort, uint32_t from, uint32_t to, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    struct sl_result result;
    (void)to;
    if (!is_subject(cohort, from, envelope, SL_MESSAGE_RESULT)) return false;
    cr_assert_eq(sl_read_result(envelope, &result), SL_OK);
    result.root[0] ^= 1;
    sl_write_result(writer, &result);
    return true;
}

Test(session, does_not_count_another_result)
{
    struct cohort *cohort = cohort_of(4, 0, 32);
    cohort->subject = 1;
    cohort->changes = signs_another_result;
    begin(cohort);
    give_inputs(cohort);

    settle(cohort);

    check_done(cohort, all_but(cohort, 1), all_but(cohort, 4));
    for (uint32_t i = 0; i < 4; i++) {
        struct sl_aggregate aggregate;
        if (i == 1) continue;
        cr_assert(sl_session_aggregate(cohort->members[i].session, &aggregate));
        cr_assert_eq(aggregate.results.signers & 2, 0);
    }
    destroy(cohort);
}

/* ---- strangers, forgeries, floods ---- */

Test(session, does_not_listen_to_forged_signatures_and_then_not_at_all_to_who_sends_them)
{
    struct cohort *cohort = cohort_of(4, 0, 32);
    begin(cohort);
    struct sl_envelope envelope;
    struct packet *packet = &cohort->packets[0];                     /* SHARES of member 0, for member 1 */
    cr_assert(packet->from == 0 && packet->to == 1);

    packet->bytes[packet->size - 1] ^= 1;
    cr_assert_eq(sl_envelope_open(packet->bytes, packet->size, network, &envelope), SL_OK);
    for (int i = 0; i < 9; i++) sl_session_message(cohort->members[1].session, &envelope, 3);
    packet->bytes[packet->size - 1] ^= 1;
    sl_session_message(cohort->members[1].session, &envelope, 3);
    cohort->next = 1;                                                /* it was not taken */
    give_inputs(cohort);
    settle(cohort);

    cr_assert_eq(state_of(cohort, 1), SL_SESSION_SHARED);
    destroy(cohort);
}

Test(session, takes_nothing_of_another_epoch_or_cohort)
{
    struct cohort *cohort = cohort_of(4, 0, 32);
    begin(cohort);
    struct sl_envelope envelope;
    cr_assert_eq(sl_envelope_open(cohort->packets[0].bytes, cohort->packets[0].size, network, &envelope), SL_OK);
    struct sl_envelope early = envelope, elsewhere = envelope;
    early.epoch--;
    elsewhere.cohort = network;

    sl_session_message(cohort->members[1].session, &early, 0);
    sl_session_message(cohort->members[1].session, &elsewhere, 0);
    cohort->next = 1;
    settle(cohort);

    cr_assert_eq(state_of(cohort, 1), SL_SESSION_SHARED);
    destroy(cohort);
}
