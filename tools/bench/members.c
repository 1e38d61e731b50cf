/* SPDX-License-Identifier: MIT */
#include "members.h"

#include <assert.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/vec.h"
#include "privacy/mask.h"
#include "share/merkle.h"
#include "share/quantise.h"

enum { QUEUE_MAX = 4096, PARCEL_MAX = 5120 };

/* A message on its way, or a wish for a vector (size 0). */
struct parcel {
    uint32_t from, to;
    size_t size;
    uint8_t bytes[PARCEL_MAX];
};

struct member {
    struct members *all;
    uint32_t own;
    struct sl_session *session;
    void *block;
    uint8_t id[32], sign_secret[64], mask_secret[32], box_secret[32];
    uint32_t *z;
    float *difference;
    uint8_t *mean;
    struct sl_merkle tree, mean_tree;
    bool has_tree;
    struct members_cost cost;
};

struct members {
    struct members_options options;
    uint8_t network_id[32], cohort_id[32], roster[64], *ref;
    struct sl_session_member keys[SL_COHORT_MAX];
    struct member list[SL_COHORT_MAX];
    struct parcel *queue;
    uint32_t n_read, n_written;
};

double members_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

void members_seed(uint32_t seed, const char *label, uint32_t member, uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, label);
    sl_hash_u64(&hash, seed);
    sl_hash_u64(&hash, member);
    sl_hash_final(&hash, out);
}

static int ring_exponent(const struct members *all)
{
    return sl_ring_exponent(MEMBERS_RADIUS_Q, all->options.n, all->options.ring_bits);
}

static size_t vector_size(const struct members *all)
{
    return (size_t)all->options.dim * all->options.ring_bits / 8;
}

static size_t chunk_size(const struct members *all)
{
    return (size_t)SL_CHUNK_ELEMENTS * all->options.ring_bits / 8;
}

static enum sl_session_step step_of(const struct sl_envelope *envelope)
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
    case SL_MESSAGE_LIST: return sl_read_list(envelope, &list) == SL_OK ? (enum sl_session_step)list.step : SL_STEP_COUNT;
    default: return SL_STEP_SHARES;
    }
}

static bool is_silent(const struct members *all, uint32_t from, const uint8_t *bytes, size_t size)
{
    struct sl_envelope envelope;
    if (all->options.silent_from == 0 || from != all->options.n - 1) return false;

    return sl_envelope_open(bytes, size, all->network_id, &envelope) == SL_OK && step_of(&envelope) >= all->options.silent_from;
}

static void put(struct members *all, uint32_t from, uint32_t to, const uint8_t *bytes, size_t size)
{
    assert(size <= PARCEL_MAX && all->n_written - all->n_read < QUEUE_MAX);

    struct parcel *parcel = &all->queue[all->n_written++ % QUEUE_MAX];
    parcel->from = from;
    parcel->to = to;
    parcel->size = size;
    if (size > 0) memcpy(parcel->bytes, bytes, size);
}

static void on_send(void *context, uint32_t to, const uint8_t *bytes, size_t size)
{
    struct member *member = context;
    struct members *all = member->all;
    if (is_silent(all, member->own, bytes, size)) return;

    if (all->options.heard) all->options.heard(all->options.context, member->own, bytes, size);
    for (uint32_t i = 0; i < all->options.n; i++) {
        if (i == member->own || (to != SL_SESSION_ALL && to != i)) continue;
        put(all, member->own, i, bytes, size);
        member->cost.message_bytes += size;
    }
}

static void on_want(void *context, uint32_t wanted)
{
    struct member *member = context;
    put(member->all, wanted, member->own, NULL, 0);
}

static bool on_encode(void *context, const uint32_t *sum, uint64_t n_members, struct sl_result *out)
{
    struct member *member = context;
    const struct members *all = member->all;
    const uint32_t dim = all->options.dim;
    uint32_t n = 0;
    int exponent;
    for (; n_members; n_members &= n_members - 1) n++;
    sl_mean_encode(all->ref, MEMBERS_REF_EXPONENT, sum, n, ring_exponent(all), dim, MEMBERS_AGGREGATE_BITS, member->mean, &exponent);
    sl_merkle_build(&member->mean_tree, member->mean, (size_t)dim * MEMBERS_AGGREGATE_BITS / 8, 2 * SL_CHUNK_ELEMENTS);
    out->bits = MEMBERS_AGGREGATE_BITS;
    out->exponent = exponent;
    memcpy(out->root, member->mean_tree.root, 32);
    return true;
}

static void on_accuse(void *context, uint32_t accused, const uint8_t *body, size_t size)
{
    (void)context;
    (void)body;
    fprintf(stderr, "member %u is accused, %zu bytes of evidence\n", accused, size);
}

static void on_tell(void *context, enum sl_session_news news, uint32_t member, int64_t number)
{
    (void)context;
    (void)news;
    (void)member;
    (void)number;
}

static void on_count(void *context, bool made)
{
    struct member *member = context;
    if (made) member->cost.n_made++;
    else member->cost.n_checked++;
}

static void draw_keys(struct members *all, struct member *member)
{
    struct sl_session_member *keys = &all->keys[member->own];
    uint8_t seed[32];
    members_seed(all->options.seed, "sign", member->own, seed);
    crypto_sign_seed_keypair(keys->sign_public, member->sign_secret, seed);
    struct sl_hash hash;
    sl_hash_init(&hash, "id");
    sl_hash_bytes(&hash, all->network_id, 32);
    sl_hash_bytes(&hash, keys->sign_public, 32);
    sl_hash_final(&hash, keys->id);

    double begin = members_cpu_ns();
    members_seed(all->options.seed, "mask", member->own, seed);
    sl_mask_keypair(seed, keys->mask_public, member->mask_secret);
    members_seed(all->options.seed, "box", member->own, seed);
    sl_mask_keypair(seed, keys->box_public, member->box_secret);
    member->cost.ns += members_cpu_ns() - begin;
}

static bool new_session(struct members *all, struct member *member)
{
    const struct members_options *options = &all->options;
    const struct sl_session_port port = {
        .context = member, .send = on_send, .want = on_want, .encode = on_encode, .accuse = on_accuse, .tell = on_tell, .count = on_count,
    };
    uint8_t seed[32];
    struct sl_rng rng;
    members_seed(options->seed, "session", member->own, seed);
    sl_rng_init(&rng, seed);
    size_t size = sl_session_size(options->n, options->dim, options->rows);
    member->block = malloc(size);
    member->z = calloc(options->dim, sizeof *member->z);
    member->difference = calloc(options->dim, sizeof *member->difference);
    member->mean = calloc(options->dim, 4);
    if (!member->block || !member->z || !member->difference || !member->mean) return false;

    struct sl_arena arena = sl_arena_over(member->block, size);
    member->session = sl_session_init(&arena, options->n, options->dim, options->rows, &port, rng);
    return member->session != NULL;
}

/* A difference inside the radius, as a training job leaves it. */
static void draw_difference(struct members *all, struct member *member)
{
    uint8_t seed[32];
    struct sl_rng rng;
    members_seed(all->options.seed, "input", member->own, seed);
    sl_rng_init(&rng, seed);
    for (uint32_t j = 0; j < all->options.dim; j++) member->difference[j] = (float)sl_rng_below(&rng, 2001) / 1000 - 1;
    sl_vec_clip(member->difference, all->options.dim, MEMBERS_RADIUS_Q / 65536.0);
}

struct members *members_new(const struct members_options *options)
{
    struct members *all = calloc(1, sizeof *all);
    if (!all) return NULL;

    all->options = *options;
    members_seed(options->seed, "network", 0, all->network_id);
    members_seed(options->seed, "cohort", 0, all->cohort_id);
    all->queue = calloc(QUEUE_MAX, sizeof *all->queue);
    all->ref = calloc(options->dim, 2);
    bool is_fine = all->queue && all->ref;
    for (uint32_t i = 0; is_fine && i < options->n; i++) {
        struct member *member = &all->list[i];
        member->all = all;
        member->own = i;
        draw_keys(all, member);
        is_fine = new_session(all, member);
        if (is_fine) draw_difference(all, member);
    }
    if (!is_fine) members_destroy(&all);
    return all;
}

void members_destroy(struct members **members)
{
    struct members *all = *members;
    *members = NULL;
    if (!all) return;

    for (uint32_t i = 0; i < SL_COHORT_MAX; i++) {
        free(all->list[i].block);
        free(all->list[i].z);
        free(all->list[i].difference);
        free(all->list[i].mean);
    }
    free(all->queue);
    free(all->ref);
    free(all);
}

static bool start_session(struct members *all, struct member *member)
{
    const struct members_options *options = &all->options;
    const struct sl_session_setup setup = {
        .network_id = all->network_id, .cohort_id = all->cohort_id, .sign_secret = member->sign_secret, .roster = all->roster, .roster_size = 1,
        .epoch = MEMBERS_EPOCH, .n_members = options->n, .own = member->own, .initiator = 0, .members = all->keys,
        .mask_secret = member->mask_secret, .box_secret = member->box_secret, .dim = options->dim, .ring_bits = options->ring_bits, .rows = options->rows,
        .ring_exponent = ring_exponent(all), .radius_q = MEMBERS_RADIUS_Q,
    };
    double begin = members_cpu_ns();
    bool begun = sl_session_begin(member->session, &setup);
    member->cost.ns += members_cpu_ns() - begin;
    return begun;
}

static void give_input(struct members *all, struct member *member)
{
    uint8_t seed[32];
    struct sl_rng rng;
    members_seed(all->options.seed, "rounding", member->own, seed);
    sl_rng_init(&rng, seed);
    double begin = members_cpu_ns();
    if (all->options.input) all->options.input(member->own, member->z, all->options.dim);
    else sl_ring_encode(member->difference, all->options.dim, ring_exponent(all), &rng, member->z);
    sl_session_input(member->session, member->z);
    member->cost.ns += members_cpu_ns() - begin;
}

/* What a node serves chunks from; made once. */
static void make_tree(const struct members *all, struct member *from)
{
    if (from->has_tree) return;

    double begin = members_cpu_ns();
    sl_merkle_build(&from->tree, sl_session_vector(from->session, from->own), vector_size(all), chunk_size(all));
    from->has_tree = true;
    from->cost.ns += members_cpu_ns() - begin;
}

/* The sizes of GET and CHUNK go to those who send them. */
static void count_chunk(const struct members *all, struct member *from, struct member *to, const struct sl_chunk *chunk)
{
    static uint8_t bytes[SL_MESSAGE_MAX];
    struct sl_get get = {.index = chunk->index};
    memcpy(get.root, chunk->root, 32);
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_GET, all->network_id, MEMBERS_EPOCH, all->cohort_id, all->keys[to->own].id, bytes, sizeof bytes);
    sl_write_get(&writer, &get);
    to->cost.message_bytes += sl_envelope_seal(&writer, SL_MESSAGE_GET, NULL);

    writer = sl_envelope_begin(SL_MESSAGE_CHUNK, all->network_id, MEMBERS_EPOCH, all->cohort_id, all->keys[from->own].id, bytes, sizeof bytes);
    sl_write_chunk(&writer, chunk);
    from->cost.vector_bytes += sl_envelope_seal(&writer, SL_MESSAGE_CHUNK, NULL);
}

/* The vector by its chunks, each with its path: what GET and CHUNK carry. Sending is not measured, checking is. */
static void carry_vector(struct members *all, struct member *from, struct member *to)
{
    const size_t size = vector_size(all), chunk = chunk_size(all);
    const uint8_t *vector = sl_session_vector(from->session, from->own), *root = sl_session_root(to->session, from->own);
    if (!sl_session_serves(from->session, from->own)) return;

    make_tree(all, from);
    bool is_right = root != NULL;
    for (uint32_t i = 0; is_right && i < from->tree.n_chunks; i++) {
        struct sl_chunk body = {.index = i, .data = vector + i * chunk, .data_size = size - i * chunk < chunk ? size - i * chunk : chunk};
        memcpy(body.root, from->tree.root, 32);
        body.n_path = sl_merkle_path(&from->tree, i, body.path);
        count_chunk(all, from, to, &body);

        double begin = members_cpu_ns();
        is_right = sl_merkle_verify(root, size, chunk, i, body.data, body.data_size, body.n_path, body.path);
        memcpy(sl_session_vector(to->session, from->own) + i * chunk, body.data, body.data_size);
        to->cost.ns += members_cpu_ns() - begin;
    }
    if (!is_right) return;

    double begin = members_cpu_ns();
    sl_session_vector_here(to->session, from->own);
    to->cost.ns += members_cpu_ns() - begin;
}

static void deliver(struct members *all)
{
    static struct parcel parcel;
    while (all->n_read < all->n_written) {
        parcel = all->queue[all->n_read++ % QUEUE_MAX];
        struct member *to = &all->list[parcel.to];
        if (parcel.size == 0) {
            carry_vector(all, &all->list[parcel.from], to);
            continue;
        }
        struct sl_envelope envelope;
        double begin = members_cpu_ns();
        int error = sl_envelope_open(parcel.bytes, parcel.size, all->network_id, &envelope);
        if (!error) sl_session_message(to->session, &envelope, parcel.from);
        to->cost.ns += members_cpu_ns() - begin;
    }
}

static bool are_done(const struct members *all)
{
    const uint32_t n_stay = all->options.n - (all->options.silent_from > 0);
    for (uint32_t i = 0; i < n_stay; i++)
        if (sl_session_state(all->list[i].session) != SL_SESSION_DONE) return false;
    return true;
}

/* Where somebody is silent, the steps end by their time. */
static void close_steps(struct members *all)
{
    static const enum sl_session_step steps[] = {
        SL_STEP_SHARES, SL_STEP_COMMIT, SL_STEP_OPEN, SL_STEP_AUDIT, SL_STEP_CONFIRM, SL_STEP_UNMASK, SL_STEP_RESULT,
    };
    for (size_t s = 0; s < sizeof steps / sizeof *steps && !are_done(all); s++)
        for (int moment = SL_MOMENT_ASK; moment <= SL_MOMENT_CLOSE; moment++)
            for (uint32_t i = 0; i < all->options.n; i++) {
                sl_session_moment(all->list[i].session, steps[s], (enum sl_session_moment)moment);
                deliver(all);
            }
}

bool members_run(struct members *members)
{
    const uint32_t n = members->options.n;
    bool begun = true;
    for (uint32_t i = 0; i < n; i++) begun = start_session(members, &members->list[i]) && begun;
    if (!begun) return false;

    deliver(members);
    for (uint32_t i = 0; i < n; i++) give_input(members, &members->list[i]);
    deliver(members);
    close_steps(members);
    if (are_done(members)) return true;

    for (uint32_t i = 0; i < n; i++) fprintf(stderr, "member %u: state %d\n", i, (int)sl_session_state(members->list[i].session));
    return false;
}

const struct members_cost *members_cost(const struct members *members, uint32_t member)
{
    return &members->list[member].cost;
}

struct sl_session *members_session(const struct members *members, uint32_t member)
{
    return members->list[member].session;
}

const uint8_t *members_mean(const struct members *members, uint32_t member)
{
    return members->list[member].mean;
}
