/* SPDX-License-Identifier: MIT */
#include "session_checks.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/quorum.h"
#include "privacy/mask.h"

enum { STATES = SL_SESSION_VOID + 1, TYPES = 32 };

static struct {
    enum sl_session_state states[WORLD_MEMBERS_MAX];
    int32_t sizes[WORLD_MEMBERS_MAX];        /* of inputs */
    bool is_proof_checked;                   /* one aggregate of a run: signatures are costly */
} run;

static struct { unsigned long long met[STATES][TYPES], changed[STATES][STATES], accused; bool is_wanted; } coverage;

/* ---- coverage ---- */

static const char *const state_names[STATES] = {"none", "shared", "agreed", "committed", "opened", "audited", "confirmed", "unmasked", "signed", "done",
                                                "void"};

static void print_coverage(void)
{
    printf("messages by state\n%-10s", "");
    for (uint32_t type = 0; type < TYPES; type++)
        if (type >= SL_MESSAGE_REFUSE && type <= SL_MESSAGE_REVEAL) printf("%9s", sl_message_name(type));
    printf("%9s\n", "NEED");
    for (uint32_t state = SL_SESSION_SHARED; state < STATES; state++) {
        printf("%-10s", state_names[state]);
        for (uint32_t type = SL_MESSAGE_REFUSE; type <= SL_MESSAGE_REVEAL; type++) printf("%9llu", coverage.met[state][type]);
        printf("%9llu\n", coverage.met[state][SL_MESSAGE_NEED]);
    }
    printf("changes of state\n");
    for (uint32_t from = 0; from < STATES; from++)
        for (uint32_t to = 0; to < STATES; to++)
            if (coverage.changed[from][to] > 0) printf("%-10s-> %-10s%9llu\n", state_names[from], state_names[to], coverage.changed[from][to]);
    printf("accusations %llu\n", coverage.accused);
}

static void want_coverage(void)
{
    if (coverage.is_wanted || !getenv("STARLING_COVERAGE")) return;

    coverage.is_wanted = true;
    atexit(print_coverage);
}

/* ---- what was said ---- */

static uint32_t threshold(const struct world *world)
{
    return sl_quorum_threshold(world->n);
}

static uint32_t count_bits(uint64_t bits)
{
    uint32_t n_bits = 0;
    for (; bits; bits &= bits - 1) n_bits++;
    return n_bits;
}

static bool tolerates_liars(const struct world *world)
{
    return count_bits(world->liars) <= sl_quorum_colluders(world->n);
}

static struct sl_envelope opened(const struct world *world, const struct packet *packet)
{
    struct sl_envelope envelope;
    int error = sl_envelope_open(world->bytes + packet->at, packet->size, world_network(), &envelope);
    assert(!error);
    return envelope;
}

static bool same_body(const struct sl_envelope *a, const struct sl_envelope *b)
{
    return a->body_size == b->body_size && memcmp(a->body, b->body, a->body_size) == 0;
}

static uint32_t step_of_list(const struct sl_envelope *envelope)
{
    struct sl_list list;
    int error = sl_read_list(envelope, &list);
    assert(!error);
    return list.step;
}

/* Each body once; of LISTs one for every step. NEED may be said again, REVEAL for another pair. */
static void check_said_once(const struct world *world, uint32_t self, const struct sl_envelope *envelope)
{
    if (envelope->type == SL_MESSAGE_NEED || envelope->type == SL_MESSAGE_REVEAL) return;

    for (uint32_t i = 0; i < world->n_packets; i++) {
        const struct packet *packet = &world->packets[i];
        if (packet->author != self || packet->sender != self || packet->type != envelope->type || !packet->is_true) continue;

        struct sl_envelope before = opened(world, packet);
        bool is_other_list = envelope->type == SL_MESSAGE_LIST && step_of_list(&before) != step_of_list(envelope);
        assert(is_other_list || same_body(&before, envelope));
    }
}

static bool has_said(const struct world *world, uint32_t self, enum sl_message_type type)
{
    for (uint32_t i = 0; i < world->n_packets; i++)
        if (world->packets[i].author == self && world->packets[i].sender == self && world->packets[i].type == type && world->packets[i].is_true) return true;
    return false;
}

/* Members whose CONFIRM of this chain is known to `self`. */
static uint32_t confirms_of(const struct world *world, uint32_t self, const uint8_t chain[32])
{
    uint32_t members = 0;
    for (uint32_t i = 0; i < world->n_packets; i++) {
        const struct packet *packet = &world->packets[i];
        bool is_known = packet->delivered >> self & 1 || packet->author == self;
        if (packet->type != SL_MESSAGE_CONFIRM || !packet->is_true || !is_known) continue;

        struct sl_confirm confirm;
        struct sl_envelope envelope = opened(world, packet);
        if (sl_read_confirm(&envelope, &confirm) == SL_OK && sl_hash_equal(confirm.chain, chain)) members |= UINT32_C(1) << packet->author;
    }
    return count_bits(members);
}

/* The SHARES that an honest dealer sent at the beginning. */
static void shares_of(const struct world *world, uint32_t dealer, struct sl_shares *out)
{
    uint32_t i = 0;
    while (world->packets[i].author != dealer || !world->packets[i].is_true) i++;
    assert(i < world->n_first);
    struct sl_envelope envelope = opened(world, &world->packets[i]);
    int error = sl_read_shares(&envelope, out);
    assert(!error);
}

/* Which of an honest dealer's two secrets is this a share of? One of them it must be. */
static bool is_mask_share(const struct world *world, uint32_t dealer, uint32_t receiver, const uint8_t *share)
{
    static struct sl_shares shares;
    uint8_t hash[32];
    shares_of(world, dealer, &shares);
    sl_mask_share_hash(true, world->cohort, dealer, receiver, share, hash);
    if (sl_hash_equal(hash, shares.dealt[receiver].mask_share_hash)) return true;

    sl_mask_share_hash(false, world->cohort, dealer, receiver, share, hash);
    assert(sl_hash_equal(hash, shares.dealt[receiver].self_share_hash));
    return false;
}

/* Liars pool what they hold with what was said: nobody's two secrets may come together. */
static void check_secrecy(const struct world *world, uint32_t self, const struct sl_unmask *own)
{
    uint32_t self_known[WORLD_MEMBERS_MAX] = {0}, mask_known[WORLD_MEMBERS_MAX] = {0};
    for (uint32_t i = 0; i <= world->n_packets; i++) {
        const struct packet *packet = &world->packets[i];
        struct sl_unmask unmask = *own;
        uint32_t author = self;
        if (i < world->n_packets) {
            if (packet->type != SL_MESSAGE_UNMASK || !packet->is_true || world_is_liar(world, packet->author)) continue;
            struct sl_envelope envelope = opened(world, packet);
            int error = sl_read_unmask(&envelope, &unmask);
            assert(!error);
            author = packet->author;
        }
        for (uint32_t dealer = 0; dealer < world->n; dealer++) {
            if (world_is_liar(world, dealer) || !unmask.shares[dealer]) continue;
            uint32_t *known = is_mask_share(world, dealer, author, unmask.shares[dealer]) ? mask_known : self_known;
            known[dealer] |= UINT32_C(1) << author;
        }
    }
    for (uint32_t dealer = 0; dealer < world->n && tolerates_liars(world); dealer++) {
        uint32_t n_self = count_bits(self_known[dealer] | world->liars), n_mask = count_bits(mask_known[dealer] | world->liars);
        assert(n_self < threshold(world) || n_mask < threshold(world));
    }
}

static void check_unmask(const struct world *world, uint32_t self, const struct sl_envelope *envelope)
{
    struct sl_unmask unmask;
    int error = sl_read_unmask(envelope, &unmask);
    assert(!error && unmask.n_members == world->n);
    assert(confirms_of(world, self, unmask.chain) >= threshold(world));

    const struct sl_session *session = world->members[self].session;
    uint64_t all = sl_session_set(session, SL_STEP_LIST_SHARES);
    uint64_t summed = sl_session_set(session, world->rows > 0 ? SL_STEP_LIST_AUDIT : SL_STEP_LIST_OPEN);
    assert(count_bits(summed) >= threshold(world));
    for (uint32_t j = 0; j < world->n; j++) {
        assert((unmask.shares[j] != NULL) <= (all >> j & 1));
        if (world_is_liar(world, j) || !unmask.shares[j]) continue;
        assert(is_mask_share(world, j, self, unmask.shares[j]) == !(summed >> j & 1));
    }
    check_secrecy(world, self, &unmask);
}

/* Keys are only shown where a liar has a part in them, and own secrets only before anything was masked by them. */
static void check_reveal(const struct world *world, uint32_t self, const struct sl_envelope *envelope)
{
    struct sl_reveal reveal;
    int error = sl_read_reveal(envelope, &reveal);
    assert(!error && world->liars);

    if (reveal.kind == SL_REVEAL_BOX_KEY || reveal.kind == SL_REVEAL_PAIR_SEED) {
        assert(reveal.index < world->n && world_is_liar(world, reveal.index));
    } else {
        assert(!has_said(world, self, SL_MESSAGE_COMMIT) && !has_said(world, self, SL_MESSAGE_UNMASK));
    }
}

void checks_sent(const struct world *world, uint32_t self, uint32_t author, const struct sl_envelope *envelope)
{
    if (author != self) return;

    check_said_once(world, self, envelope);
    if (envelope->type == SL_MESSAGE_UNMASK) check_unmask(world, self, envelope);
    if (envelope->type == SL_MESSAGE_REVEAL) check_reveal(world, self, envelope);
    if (envelope->type == SL_MESSAGE_COMMIT) {
        assert(!has_said(world, self, SL_MESSAGE_REFUSE));
    }
}

bool checks_may_relay(const struct world *world, uint32_t self, const struct sl_envelope *envelope)
{
    for (uint32_t i = 0; i < world->n_packets; i++) {
        const struct packet *packet = &world->packets[i];
        if (!(packet->delivered >> self & 1) || packet->size != envelope->size) continue;
        if (memcmp(world->bytes + packet->at, envelope->bytes, envelope->size) == 0) return packet->is_true;
    }
    assert(world_is_liar(world, self));          /* whose own words were changed may think that it said others */
    return true;
}

static uint32_t dim_of(void *context, uint64_t epoch)
{
    (void)context;
    (void)epoch;
    return WORLD_DIM;
}

void checks_accused(const struct world *world, uint32_t member, const uint8_t *body, size_t size)
{
    static struct sl_evidence evidence;
    struct sl_envelope envelope = {.type = SL_MESSAGE_EVIDENCE, .body = body, .body_size = size};
    struct sl_evidence_context context = {.network_id = world_network(), .dim = dim_of, .ring_bits = world->ring_bits, .rows = world->rows};
    uint8_t accused[32];
    assert(member < world->n && world_is_liar(world, member));
    int error = sl_read_evidence(&envelope, &evidence);
    assert(!error);
    error = sl_evidence_verify(&context, &evidence, accused);
    if (error) fprintf(stderr, "evidence of kind %u: error %d\n", evidence.kind, error);
    assert(!error && sl_hash_equal(accused, world->members[member].public_keys.id));
    coverage.accused++;
}

/* A dispute names both members, of whom one may be honest. */
void checks_told(const struct world *world, enum sl_session_news news, uint32_t member)
{
    bool is_blame = news == SL_NEWS_BAD_SHARE || news == SL_NEWS_BAD_AUDIT || news == SL_NEWS_TOO_LARGE || news == SL_NEWS_CONTRADICTION ||
                    news == SL_NEWS_BAD_SECRET || (news == SL_NEWS_BAD_RESULT && tolerates_liars(world) && world->rows > 0);
    assert(!is_blame || world_is_liar(world, member));
}

void checks_delivered(const struct world *world, uint32_t to, enum sl_message_type type)
{
    if (!world_is_liar(world, to) && (uint32_t)type < TYPES) coverage.met[sl_session_state(world->members[to].session)][type]++;
}

/* ---- sums ---- */

static int32_t number_of(uint32_t member, uint32_t j, int32_t size)
{
    return ((int32_t)((member * 31 + j * 17 + 5) % 17) - 8) * size;
}

static uint32_t in_ring(const struct world *world, uint32_t value)
{
    return world->ring_bits == 16 ? value & 0xffff : value;
}

uint32_t checks_input(const struct world *world, uint32_t member, uint32_t j, int32_t size)
{
    run.sizes[member] = size;
    return in_ring(world, (uint32_t)number_of(member, j, size));
}

/* Without an audit a liar may put anything in. */
static void check_sum(const struct world *world, uint32_t member)
{
    const uint32_t *sum = sl_session_sum(world->members[member].session);
    if (world->rows == 0 && world->liars) return;

    uint64_t summed = sl_session_set(world->members[member].session, world->rows > 0 ? SL_STEP_LIST_AUDIT : SL_STEP_LIST_OPEN);
    for (uint32_t j = 0; j < WORLD_DIM; j++) {
        uint32_t expected = 0;
        for (uint32_t i = 0; i < world->n; i++)
            if (summed >> i & 1) expected += (uint32_t)number_of(i, j, run.sizes[i]);
        assert(in_ring(world, sum[j]) == in_ring(world, expected));
        if (world->ring_bits == 16) assert(sum[j] + 0x8000 < 0x10000);         /* read as signed */
    }
}

/* Every signature in it holds. */
static void check_proof(const struct world *world, uint32_t member)
{
    static struct sl_aggregate aggregate;
    bool is_there = sl_session_aggregate(world->members[member].session, &aggregate);
    assert(is_there && aggregate.n_lists == (world->rows > 0 ? 4 : 3));
    assert(aggregate.confirms.n >= threshold(world) && aggregate.results.n >= sl_quorum_colluders(world->n) + 1);
    if (run.is_proof_checked) return;

    run.is_proof_checked = true;
    struct sl_confirm confirm;
    uint8_t body[64], digest[32];
    sl_body_hash(aggregate.lists[aggregate.n_lists - 1], aggregate.list_sizes[aggregate.n_lists - 1], confirm.chain);
    struct sl_writer writer = sl_writer_over(body, sizeof body);
    sl_write_confirm(&writer, &confirm);
    for (int set = 0; set < 2; set++) {
        const struct sl_signatures *signatures = set == 0 ? &aggregate.confirms : &aggregate.results;
        assert(signatures->n == count_bits(signatures->signers));
        for (uint32_t i = 0, n = 0; i < world->n; i++) {
            if (!(signatures->signers >> i & 1)) continue;
            const struct sl_session_member *keys = &world->members[i].public_keys;
            sl_envelope_digest(set == 0 ? SL_MESSAGE_CONFIRM : SL_MESSAGE_RESULT, world_network(), WORLD_EPOCH, world->cohort, keys->id,
                               set == 0 ? body : aggregate.result, set == 0 ? writer.size : aggregate.result_size, digest);
            assert(sl_digest_verify(digest, signatures->all[n++], keys->sign_public));
        }
    }
}

/* ---- a member ---- */

static void check_sets(struct world *world, uint32_t member)
{
    static const enum sl_session_step lists[4] = {SL_STEP_LIST_SHARES, SL_STEP_LIST_COMMIT, SL_STEP_LIST_OPEN, SL_STEP_LIST_AUDIT};
    struct world_member *self = &world->members[member];
    uint64_t before = (UINT64_C(1) << world->n) - 1;
    for (int i = 0; i < 4; i++) {
        uint64_t set = sl_session_set(self->session, lists[i]);
        if (set == 0 && self->sets[i] == 0) continue;

        assert(set == self->sets[i] || self->sets[i] == 0);
        assert((set & ~before) == 0 && count_bits(set) >= threshold(world));
        before = self->sets[i] = set;
    }
}

/* Whoever has unmasked follows the one story that t members confirmed. */
static void check_agreement(const struct world *world, uint32_t member)
{
    for (uint32_t i = 0; i < world->n && tolerates_liars(world); i++) {
        if (world_is_liar(world, i) || world->members[i].is_over || i == member) continue;
        const struct sl_session *other = world->members[i].session;
        bool has_unmasked = sl_session_state(other) >= SL_SESSION_UNMASKED && sl_session_state(other) <= SL_SESSION_DONE;
        if (has_unmasked) assert(memcmp(world->members[i].sets, world->members[member].sets, sizeof world->members[i].sets) == 0);
    }
}

static void check_change(struct world *world, uint32_t member, enum sl_session_state before, enum sl_session_state now)
{
    assert(now > before && before != SL_SESSION_DONE);
    coverage.changed[before][now]++;
    if (now >= SL_SESSION_UNMASKED && now <= SL_SESSION_DONE) check_agreement(world, member);
    if (now == SL_SESSION_SIGNED || now == SL_SESSION_DONE) check_sum(world, member);
    if (now == SL_SESSION_DONE) check_proof(world, member);
    if (now == SL_SESSION_VOID) checks_wiped(world, member);
}

void checks_member(struct world *world, uint32_t member)
{
    enum sl_session_state state = sl_session_state(world->members[member].session), before = run.states[member];
    run.states[member] = state;
    if (state != SL_SESSION_VOID) check_sets(world, member);
    if (state != before) check_change(world, member, before, state);
}

static bool holds(const struct world_member *member, const uint8_t secret[32])
{
    const uint8_t *at = member->block, *end = member->block + member->block_size - 31;
    while (at < end && (at = memchr(at, secret[0], (size_t)(end - at))) != NULL) {
        if (memcmp(at, secret, 32) == 0) return true;
        at++;
    }
    return false;
}

void checks_wiped(const struct world *world, uint32_t member)
{
    const struct world_member *self = &world->members[member];
    if (has_said(world, member, SL_MESSAGE_REVEAL)) return;          /* it is public then */

    assert(!holds(self, self->mask_secret) && !holds(self, self->box_secret));
    assert(world_is_liar(world, (member + 1) % world->n) || !holds(self, self->pair_seed));          /* a liar may tell what it shares with others */
}

void checks_begin(const struct world *world)
{
    want_coverage();
    memset(&run, 0, sizeof run);
    for (uint32_t i = 0; i < world->n; i++) run.states[i] = sl_session_state(world->members[i].session);
}
