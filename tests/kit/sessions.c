/* SPDX-License-Identifier: MIT */
#include "sessions.h"

#include <assert.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/quorum.h"
#include "privacy/shamir.h"
#include "share/merkle.h"
#include "share/quantise.h"
#include "starling/error.h"
#include "starling/identity.h"

enum { INPUT = 200, RADIUS_FACTOR = 5, RING_EXPONENT = 4, NEWS_MAX = 400 };       /* inputs are at most so large; the norm allowed is so many times theirs */

static uint64_t bit(uint32_t member)
{
    return UINT64_C(1) << member;
}

static void *must(void *block)
{
    assert(block);
    return block;
}

/* ---- packets ---- */

static uint32_t place_of(const struct sessions *sessions, const uint8_t id[32])
{
    for (uint32_t i = 0; i < sessions->setup.n; i++)
        if (sl_hash_equal(sessions->members[i].keys.id, id)) return i;
    return SESSIONS_ANY;
}

static uint32_t step_of(const struct sl_envelope *envelope)
{
    struct sl_list list;
    switch (envelope->type) {
    case SL_MESSAGE_SHARES: return SL_STEP_SHARES;
    case SL_MESSAGE_COMMIT: return SL_STEP_COMMIT;
    case SL_MESSAGE_OPEN: return SL_STEP_OPEN;
    case SL_MESSAGE_AUDIT: return SL_STEP_AUDIT;
    case SL_MESSAGE_CONFIRM: return SL_STEP_CONFIRM;
    case SL_MESSAGE_UNMASK: return SL_STEP_UNMASK;
    case SL_MESSAGE_RESULT: return SL_STEP_RESULT;
    case SL_MESSAGE_LIST: return sl_read_list(envelope, &list) == SL_OK ? list.step : 0;
    default: return 0;
    }
}

static size_t keep(struct sessions *sessions, const uint8_t *bytes, size_t size)
{
    if (sessions->n_bytes + size > sessions->bytes_max) {
        sessions->bytes_max = 2 * (sessions->n_bytes + size) + 65536;
        sessions->bytes = must(realloc(sessions->bytes, sessions->bytes_max));
    }
    memcpy(sessions->bytes + sessions->n_bytes, bytes, size);
    sessions->n_bytes += size;
    return sessions->n_bytes - size;
}

static void push(struct sessions *sessions, const struct sessions_packet *packet)
{
    if (sessions->n_packets == sessions->packets_max) {
        sessions->packets_max = 2 * sessions->packets_max + 256;
        sessions->packets = must(realloc(sessions->packets, sessions->packets_max * sizeof *sessions->packets));
        sessions->waiting = must(realloc(sessions->waiting, 2 * sessions->packets_max * sizeof *sessions->waiting));
    }
    sessions->packets[sessions->n_packets++] = *packet;
}

static void queue(struct sessions *sessions, const struct sessions_packet *packet)
{
    push(sessions, packet);
    if (packet->until == 0) sessions->waiting[sessions->n_waiting++] = sessions->n_packets - 1;
}

static bool fits(uint32_t wanted, uint32_t is)
{
    return wanted == SESSIONS_ANY || wanted == is;
}

static enum sessions_fate fate_of(struct sessions *sessions, uint32_t type, uint32_t step, uint32_t author, uint32_t sender, uint32_t to, uint32_t *until)
{
    for (uint32_t r = 0; r < sessions->n_rules; r++) {
        struct sessions_rule *rule = &sessions->rules[r];
        bool applies = fits(rule->type, type) && fits(rule->step, step) && fits(rule->author, author) && fits(rule->sender, sender) && fits(rule->to, to);
        if (!applies) continue;
        if (rule->skip > 0) {
            rule->skip--;
            continue;
        }
        *until = rule->until;
        return rule->fate;
    }
    return SESSIONS_DELIVER;
}

static void post(struct sessions *sessions, struct sessions_packet packet)
{
    enum sessions_fate fate = sessions->setup.tap ? sessions->setup.tap(sessions->setup.context, sessions, &packet) : SESSIONS_DELIVER;
    if (fate == SESSIONS_DELIVER) fate = fate_of(sessions, packet.type, packet.step, packet.author, packet.sender, packet.to, &packet.until);
    bool is_lost = sessions->setup.loss > 0 && sl_rng_uniform(&sessions->rng) < sessions->setup.loss;
    if (fate == SESSIONS_DROP || is_lost) {
        packet.until = UINT32_MAX;               /* said, and never heard */
        push(sessions, &packet);
        return;
    }
    if (fate == SESSIONS_DELIVER) packet.until = 0;
    queue(sessions, &packet);
}

static void say(struct sessions *sessions, uint32_t sender, uint32_t to, const uint8_t *bytes, size_t size, bool is_injected)
{
    struct sl_envelope envelope;
    struct sessions_member *self = &sessions->members[sender];
    int error = sl_envelope_open(bytes, size, sessions->network, &envelope);
    assert(error == SL_OK);
    struct sessions_packet packet = {.sender = sender, .author = place_of(sessions, envelope.from), .type = envelope.type, .step = step_of(&envelope),
                                     .size = size};
    if (self->is_gone) return;

    bool is_last = packet.author == sender && packet.step >= self->gone_from;
    uint32_t reach = is_last ? self->gone_reach : SESSIONS_MAX;
    if (is_last) self->is_gone = true;
    packet.at = keep(sessions, bytes, size);
    for (uint32_t i = 0; i < sessions->setup.n; i++) {
        if (i == sender || (to != SL_SESSION_ALL && to != i) || reach == 0) continue;
        reach--;
        packet.to = i;
        if (is_injected) queue(sessions, &packet);
        else post(sessions, packet);
    }
}

void sessions_send(struct sessions *sessions, uint32_t sender, uint32_t to, const uint8_t *bytes, size_t size)
{
    say(sessions, sender, to, bytes, size, true);
}

void sessions_replace(struct sessions *sessions, struct sessions_packet *packet, const uint8_t *bytes, size_t size)
{
    packet->at = keep(sessions, bytes, size);
    packet->size = size;
}

struct sl_writer sessions_write(const struct sessions *sessions, uint32_t author, enum sl_message_type type, uint8_t *bytes, size_t size_max)
{
    return sl_envelope_begin(type, sessions->network, SESSIONS_EPOCH, sessions->cohort, sessions->members[author].keys.id, bytes, size_max);
}

size_t sessions_seal(const struct sessions *sessions, uint32_t author, enum sl_message_type type, struct sl_writer *writer)
{
    size_t size = sl_envelope_seal(writer, type, sessions->members[author].sign_secret);
    assert(size > 0);
    return size;
}

/* ---- the sessions' ports ---- */

static void on_send(void *context, uint32_t to, const uint8_t *bytes, size_t size)
{
    struct sessions_member *self = context;
    say(self->sessions, (uint32_t)(self - self->sessions->members), to, bytes, size, false);
}

static void on_want(void *context, uint32_t member)
{
    struct sessions_member *self = context;
    self->wanted |= bit(member);
}

/* Any encoding does, as long as all have the same. */
static bool on_encode(void *context, const uint32_t *sum, uint64_t members, struct sl_result *out)
{
    const struct sessions_member *self = context;
    out->members = members;
    out->bits = 32;
    out->exponent = 0;
    sl_hash_once("sum", sum, self->sessions->setup.dim * sizeof *sum, out->root);
    return true;
}

static void on_accuse(void *context, uint32_t member, const uint8_t *body, size_t size)
{
    struct sessions_member *self = context;
    assert(body && size > 0);
    self->accused |= bit(member);
}

static void on_tell(void *context, enum sl_session_news news, uint32_t member, int64_t number)
{
    struct sessions_member *self = context;
    if (self->n_news < NEWS_MAX) self->news[self->n_news++] = (struct sessions_news){news, member, number};
}

static void on_count(void *context, bool made)
{
    (void)context;
    (void)made;
}

/* ---- making a cohort ---- */

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct sessions_member *)a)->keys.id, ((const struct sessions_member *)b)->keys.id, 32);
}

static void make_member(struct sessions *sessions, struct sessions_member *member)
{
    uint8_t seed[32];
    *member = (struct sessions_member){.gone_from = SL_STEP_COUNT, .sessions = sessions};
    sl_rng_bytes(&sessions->rng, seed, sizeof seed);
    crypto_sign_seed_keypair(member->keys.sign_public, member->sign_secret, seed);
    sl_identity_id(sessions->network, member->keys.sign_public, member->keys.id);
    sl_rng_bytes(&sessions->rng, seed, sizeof seed);
    sl_mask_keypair(seed, member->keys.mask_public, member->mask_secret);
    sl_rng_bytes(&sessions->rng, seed, sizeof seed);
    sl_mask_keypair(seed, member->keys.box_public, member->box_secret);
    member->z = must(calloc(sessions->setup.dim, sizeof *member->z));
    member->news = must(calloc(NEWS_MAX, sizeof *member->news));
}

static void make_roster(struct sessions *sessions)
{
    static const uint8_t proposal[32] = {0x99};
    uint8_t joins[SESSIONS_MAX][1024];
    struct sl_roster roster = {.n_joins = sessions->setup.n};
    for (uint32_t i = 0; i < sessions->setup.n; i++) {
        const struct sessions_member *member = &sessions->members[i];
        struct sl_join join = {.nonce = {(uint8_t)i}};
        memcpy(join.sign_public, member->keys.sign_public, 32);
        memset(join.transport_public, (int)(0x10 + i), 32);
        memcpy(join.mask_public, member->keys.mask_public, 32);
        memcpy(join.box_public, member->keys.box_public, 32);
        struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_JOIN, sessions->network, SESSIONS_EPOCH, proposal, member->keys.id, joins[i], sizeof joins[i]);
        sl_write_join(&writer, &join);
        roster.joins[i].bytes = joins[i];
        roster.joins[i].size = sl_envelope_seal(&writer, SL_MESSAGE_JOIN, member->sign_secret);
    }
    const struct sessions_member *initiator = &sessions->members[sessions->setup.initiator];
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_ROSTER, sessions->network, SESSIONS_EPOCH, proposal, initiator->keys.id, sessions->roster,
                                                sizeof sessions->roster);
    sl_write_roster(&writer, &roster);
    sessions->roster_size = sl_envelope_seal(&writer, SL_MESSAGE_ROSTER, initiator->sign_secret);

    struct sl_envelope envelope;
    int error = sl_envelope_open(sessions->roster, sessions->roster_size, sessions->network, &envelope);
    assert(!error);
    sl_hash_once("cohort", envelope.body, envelope.body_size, sessions->cohort);
}

/* Inputs are uniform within plus and minus this; the norm that is allowed leaves room in the ring, as sl_ring_exponent() has it. */
static double input_max(const struct sessions_setup *setup)
{
    double allowed_max = ldexp(1, (int)setup->ring_bits) / (setup->n > 10 ? 3 * setup->n : 32);
    double most = allowed_max / RADIUS_FACTOR / sqrt(setup->dim / 3.);
    assert(most >= 1);
    return most < INPUT ? floor(most) : INPUT;
}

static void make_input(struct sessions *sessions, uint32_t i)
{
    double scale = sessions->setup.scales_inputs ? sessions->setup.scale[i] * RADIUS_FACTOR : 1;
    uint32_t most = (uint32_t)(input_max(&sessions->setup) * scale);
    for (uint32_t j = 0; j < sessions->setup.dim; j++) sessions->members[i].z[j] = sl_rng_below(&sessions->rng, 2 * most + 1) - most;
}

static uint32_t radius_q(const struct sessions *sessions)
{
    double norm = input_max(&sessions->setup) * sqrt(sessions->setup.dim / 3.);        /* of a uniform input */
    return (uint32_t)(norm * RADIUS_FACTOR / (1 << RING_EXPONENT) * 65536);
}

struct sessions *sessions_begin(const struct sessions_setup *setup)
{
    assert(setup->n >= 3 && setup->n <= SESSIONS_MAX && setup->initiator < setup->n);
    struct sessions *sessions = must(calloc(1, sizeof *sessions));
    sessions->setup = *setup;
    memset(sessions->network, 0x11, sizeof sessions->network);
    uint8_t seed[32];
    sl_hash_once("sessions", &setup->seed, sizeof setup->seed, seed);
    sl_rng_init(&sessions->rng, seed);
    for (uint32_t i = 0; i < setup->n; i++) make_member(sessions, &sessions->members[i]);
    qsort(sessions->members, setup->n, sizeof *sessions->members, by_id);
    make_roster(sessions);
    for (uint32_t i = 0; i < setup->n; i++) make_input(sessions, i);
    return sessions;
}

void sessions_free(struct sessions *sessions)
{
    sessions->n_rules = 0;
    for (uint32_t i = 0; i < sessions->setup.n; i++) {
        struct sessions_member *member = &sessions->members[i];
        member->is_gone = true;
        if (member->session) sl_session_end(member->session);
        free(member->block);
        free(member->z);
        free(member->news);
    }
    free(sessions->packets);
    free(sessions->waiting);
    free(sessions->bytes);
    free(sessions);
}

static void start_one(struct sessions *sessions, uint32_t i, const struct sl_session_member keys[])
{
    const struct sessions_setup *setup = &sessions->setup;
    struct sessions_member *member = &sessions->members[i];
    struct sl_session_port port = {.context = member, .send = on_send, .want = on_want, .encode = on_encode, .accuse = on_accuse, .tell = on_tell,
                                   .count = on_count};
    size_t size = sl_session_size(setup->n, setup->dim, setup->rows);
    member->block = must(malloc(size));
    struct sl_arena arena = sl_arena_over(member->block, size);
    member->session = sl_session_init(&arena, setup->n, setup->dim, setup->rows, &port, sl_rng_fork(&sessions->rng, "session", i));
    assert(member->session);

    struct sl_session_setup run = {
        .network_id = sessions->network, .cohort_id = sessions->cohort, .sign_secret = member->sign_secret, .roster = sessions->roster,
        .roster_size = sessions->roster_size, .epoch = SESSIONS_EPOCH, .n_members = setup->n, .own = i, .initiator = setup->initiator, .members = keys,
        .mask_secret = member->mask_secret, .box_secret = member->box_secret, .dim = setup->dim, .ring_bits = setup->ring_bits, .rows = setup->rows,
        .ring_exponent = RING_EXPONENT, .radius_q = radius_q(sessions),
        .noise_variance = sessions->setup.noise_variance};
    bool has_begun = sl_session_begin(member->session, &run);
    assert(has_begun);
    if (setup->refuses & bit(i)) sl_session_refuse(member->session, 1);
    else sl_session_input(member->session, member->z);
}

static void start(struct sessions *sessions)
{
    if (sessions->is_started) return;

    sessions->is_started = true;
    struct sl_session_member keys[SESSIONS_MAX];
    for (uint32_t i = 0; i < sessions->setup.n; i++) keys[i] = sessions->members[i].keys;
    for (uint32_t i = 0; i < sessions->setup.n; i++) start_one(sessions, i, keys);
}

/* ---- what happens ---- */

void sessions_silence(struct sessions *sessions, uint32_t member, enum sl_session_step step, uint32_t reach)
{
    sessions->members[member].gone_from = step;
    sessions->members[member].gone_reach = reach;
}

void sessions_rule(struct sessions *sessions, const struct sessions_rule *rule)
{
    assert(sessions->n_rules < SESSIONS_RULES_MAX);
    sessions->rules[sessions->n_rules++] = *rule;
}

/* The message lies in a block of its own size: the address sanitizer sees every read past its end. */
static void deliver(struct sessions *sessions, uint32_t number)
{
    struct sessions_packet packet = sessions->packets[number];
    if (sessions->members[packet.to].is_gone) return;

    uint8_t *bytes = must(malloc(packet.size + 1));
    memcpy(bytes + 1, sessions->bytes + packet.at, packet.size);
    struct sl_envelope envelope;
    if (sl_envelope_open(bytes + 1, packet.size, sessions->network, &envelope) == SL_OK) {
        sessions->packets[number].is_delivered = true;
        sl_session_message(sessions->members[packet.to].session, &envelope, packet.sender);
    }
    free(bytes);
}

/* Checked by the root as every driver must. */
static bool fetch_from(struct sessions *sessions, uint32_t to, uint32_t holder, uint32_t member)
{
    struct sl_session *own = sessions->members[to].session, *other = sessions->members[holder].session;
    const uint8_t *root = sl_session_root(own, member);
    if (!root || holder == to || sessions->members[holder].is_gone || !sl_session_serves(other, member)) return false;

    uint32_t until;
    if (fate_of(sessions, SESSIONS_VECTOR, 0, member, holder, to, &until) != SESSIONS_DELIVER) return false;

    struct sl_merkle tree;
    size_t size = (size_t)sessions->setup.dim * sessions->setup.ring_bits / 8;
    const uint8_t *vector = sl_session_vector(other, member);
    sl_merkle_build(&tree, vector, size, (size_t)SL_CHUNK_ELEMENTS * sessions->setup.ring_bits / 8);
    if (!sl_hash_equal(tree.root, root)) return false;

    memcpy(sl_session_vector(own, member), vector, size);
    return true;
}

/* From its author, the initiator, or whoever else has it. */
static bool fetch_one(struct sessions *sessions, uint32_t to, uint32_t member)
{
    bool is_here = fetch_from(sessions, to, member, member) || fetch_from(sessions, to, sessions->setup.initiator, member);
    for (uint32_t i = 0; i < sessions->setup.n && !is_here; i++) is_here = fetch_from(sessions, to, i, member);
    return is_here;
}

static bool fetch_all(struct sessions *sessions)
{
    bool moved = false;
    for (uint32_t i = 0; i < sessions->setup.n; i++) {
        struct sessions_member *self = &sessions->members[i];
        for (uint32_t j = 0; j < sessions->setup.n; j++) {
            if (!(self->wanted & bit(j)) || self->is_gone || !fetch_one(sessions, i, j)) continue;
            self->wanted &= ~bit(j);
            sl_session_vector_here(self->session, j);
            moved = true;
        }
    }
    return moved;
}

static bool deliver_all(struct sessions *sessions)
{
    bool moved = sessions->next_waiting < sessions->n_waiting;
    while (sessions->next_waiting < sessions->n_waiting) {
        uint32_t first = sessions->next_waiting++;
        uint32_t pick = sessions->setup.shuffles ? first + sl_rng_below(&sessions->rng, sessions->n_waiting - first) : first;
        uint32_t number = sessions->waiting[pick];
        sessions->waiting[pick] = sessions->waiting[first];
        deliver(sessions, number);
        if (!sessions->setup.shuffles || sl_rng_below(&sessions->rng, 2)) fetch_all(sessions);
    }
    sessions->next_waiting = sessions->n_waiting = 0;
    return moved;
}

void sessions_settle(struct sessions *sessions)
{
    start(sessions);
    bool moved = true;
    while (moved) {
        moved = deliver_all(sessions);
        if (fetch_all(sessions)) moved = true;
    }
}

static void release_delayed(struct sessions *sessions)
{
    for (uint32_t i = 0; i < sessions->n_packets; i++) {
        if (sessions->packets[i].until == 0 || sessions->packets[i].until > sessions->tick) continue;
        sessions->packets[i].until = 0;
        sessions->waiting[sessions->n_waiting++] = i;
    }
}

static void moment_for(struct sessions *sessions, uint32_t member, enum sl_session_step step, enum sl_session_moment moment)
{
    if (!sessions->members[member].is_gone) sl_session_moment(sessions->members[member].session, step, moment);
}

void sessions_tick(struct sessions *sessions, enum sl_session_step step, enum sl_session_moment moment)
{
    sessions_settle(sessions);
    sessions->tick = SESSIONS_TICK(step, moment);
    for (uint32_t i = 0; i < sessions->setup.n; i++) {
        moment_for(sessions, i, step, moment);
        if (moment == SL_MOMENT_BACKUP) sessions_settle(sessions);
    }
    sessions_settle(sessions);
    release_delayed(sessions);
    sessions_settle(sessions);
}

static bool all_over(const struct sessions *sessions)
{
    for (uint32_t i = 0; i < sessions->setup.n; i++) {
        const struct sessions_member *member = &sessions->members[i];
        if (!member->is_gone && sl_session_state(member->session) < SL_SESSION_DONE) return false;
    }
    return true;
}

void sessions_run(struct sessions *sessions)
{
    static const enum sl_session_step steps[] = {SL_STEP_SHARES, SL_STEP_COMMIT, SL_STEP_OPEN, SL_STEP_AUDIT, SL_STEP_CONFIRM, SL_STEP_UNMASK, SL_STEP_RESULT};
    static const enum sl_session_moment moments[] = {SL_MOMENT_ASK, SL_MOMENT_ASK, SL_MOMENT_CLOSE, SL_MOMENT_ASK, SL_MOMENT_BACKUP, SL_MOMENT_ASK,
                                                     SL_MOMENT_END};
    sessions_settle(sessions);
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++)
        for (size_t m = 0; m < sizeof moments / sizeof *moments && !all_over(sessions); m++) sessions_tick(sessions, steps[s], moments[m]);
}

/* ---- looking ---- */

const uint8_t *sessions_bytes(const struct sessions *sessions, const struct sessions_packet *packet)
{
    return sessions->bytes + packet->at;
}

struct sl_envelope sessions_envelope(const struct sessions *sessions, const struct sessions_packet *packet)
{
    struct sl_envelope envelope = {0};
    int error = sl_envelope_open(sessions_bytes(sessions, packet), packet->size, sessions->network, &envelope);
    assert(error == SL_OK);
    return envelope;
}

const struct sessions_packet *sessions_said(const struct sessions *sessions, uint32_t author, uint32_t step)
{
    for (uint32_t i = sessions->n_packets; i > 0; i--)
        if (sessions->packets[i - 1].author == author && sessions->packets[i - 1].step == step) return &sessions->packets[i - 1];
    return NULL;
}

uint32_t sessions_told(const struct sessions *sessions, uint32_t self, enum sl_session_news news, uint32_t member)
{
    const struct sessions_member *who = &sessions->members[self];
    uint32_t n = 0;
    for (uint32_t i = 0; i < who->n_news; i++)
        if (who->news[i].news == news && fits(member, who->news[i].member)) n++;
    return n;
}

bool sessions_is_done(const struct sessions *sessions, uint32_t member)
{
    return sl_session_state(sessions->members[member].session) == SL_SESSION_DONE;
}

uint64_t sessions_last_set(const struct sessions *sessions, uint32_t member)
{
    return sl_session_set(sessions->members[member].session, sessions->setup.rows > 0 ? SL_STEP_LIST_AUDIT : SL_STEP_LIST_OPEN);
}

bool sessions_sum_is_right(const struct sessions *sessions, uint32_t member)
{
    const uint32_t *sum = sl_session_sum(sessions->members[member].session);
    uint64_t set = sessions_last_set(sessions, member);
    for (uint32_t j = 0; j < sessions->setup.dim; j++) {
        uint32_t expected = 0;
        for (uint32_t i = 0; i < sessions->setup.n; i++)
            if (set & bit(i)) expected += sessions->members[i].z[j];
        if (sum[j] != sl_ring_signed(expected, sessions->setup.ring_bits)) return false;
    }
    return true;
}

static struct sl_mask_context pair_context(const struct sessions *sessions, uint32_t own, uint32_t peer)
{
    return (struct sl_mask_context){.network_id = sessions->network, .cohort_id = sessions->cohort, .epoch = SESSIONS_EPOCH,
                                    .own_id = sessions->members[own].keys.id, .peer_id = sessions->members[peer].keys.id, .own_index = own,
                                    .peer_index = peer};
}

void sessions_pair_seed(const struct sessions *sessions, uint32_t i, uint32_t j, uint8_t out[32])
{
    struct sl_mask_context context = pair_context(sessions, i, j);
    const struct sessions_member *own = &sessions->members[i], *peer = &sessions->members[j];
    int error = sl_mask_pair_seed(&context, own->keys.mask_public, own->mask_secret, peer->keys.mask_public, out);
    assert(!error);
}

void sessions_box_keys(const struct sessions *sessions, uint32_t own, uint32_t peer, struct sl_box_keys *out)
{
    struct sl_mask_context context = pair_context(sessions, own, peer);
    const struct sessions_member *self = &sessions->members[own], *other = &sessions->members[peer];
    int error = sl_mask_box_keys(&context, self->keys.box_public, self->box_secret, other->keys.box_public, out);
    assert(!error);
}

bool sessions_shares(const struct sessions *sessions, uint32_t dealer, uint32_t receiver, uint8_t self_share[32], uint8_t mask_share[32])
{
    const struct sessions_packet *packet = sessions_said(sessions, dealer, SL_STEP_SHARES);
    if (!packet || dealer == receiver) return false;

    struct sl_envelope envelope = sessions_envelope(sessions, packet);
    struct sl_shares shares;
    struct sl_box_keys keys;
    if (sl_read_shares(&envelope, &shares) != SL_OK || receiver >= shares.n_members || !shares.dealt[receiver].box) return false;
    sessions_box_keys(sessions, receiver, dealer, &keys);
    return sl_mask_unseal(keys.from_peer, sessions->cohort, shares.dealt[receiver].box, self_share, mask_share) == SL_OK;
}

bool sessions_self_seed(const struct sessions *sessions, uint32_t member, uint8_t out[32])
{
    uint8_t self_shares[SESSIONS_MAX][32], mask_share[32];
    const uint8_t *shares[SESSIONS_MAX];
    uint32_t indices[SESSIONS_MAX], n = 0, threshold = sl_quorum_threshold(sessions->setup.n);
    for (uint32_t i = 0; i < sessions->setup.n && n < threshold; i++) {
        if (!sessions_shares(sessions, member, i, self_shares[n], mask_share)) continue;
        shares[n] = self_shares[n];
        indices[n++] = i;
    }
    if (n < threshold) return false;
    sl_shamir_join(threshold, indices, shares, out);
    return true;
}
