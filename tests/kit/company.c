/* SPDX-License-Identifier: MIT */
#include "company.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/plan.h"
#include "share/quantise.h"
#include "starling/error.h"

static struct stage *stage_of(const struct company *company)
{
    return company->forged->stage;
}

static uint32_t n_bytes(const struct company *company)
{
    return stage_of(company)->node->n_block * (stage_of(company)->config.ring_bits / 8);
}

/* ---- the puppets' ports ---- */

static void push(struct company *company, uint32_t from, uint32_t to, const uint8_t *bytes, size_t size)
{
    struct frame *frame = &company->frames[company->n_frames++];
    assert(company->n_frames <= sizeof company->frames / sizeof *company->frames);
    *frame = (struct frame){.from = from, .to = to, .size = size, .bytes = malloc(size)};
    assert(frame->bytes);
    memcpy(frame->bytes, bytes, size);
}

static void on_send(void *context, uint32_t to, const uint8_t *bytes, size_t size)
{
    struct player *player = context;
    struct sl_envelope envelope;
    int error = sl_envelope_open(bytes, size, stage_of(player->company)->config.network_id, &envelope);
    assert(error == SL_OK);
    struct frame *last = &player->last[envelope.type];
    free(last->bytes);
    *last = (struct frame){.from = player->place, .size = size, .bytes = malloc(size)};
    assert(last->bytes);
    memcpy(last->bytes, bytes, size);
    if (player->is_mute[envelope.type]) return;
    for (uint32_t i = 0; i < player->company->forged->n_members; i++)
        if (i != player->place && (to == SL_SESSION_ALL || to == i)) push(player->company, player->place, i, bytes, size);
}

static void on_want(void *context, uint32_t member)
{
    struct player *player = context;
    player->wants |= (uint64_t)1 << member;
}

/* Any encoding does, as long as all have the same: the core's own. */
static bool on_encode(void *context, const uint32_t *sum, uint64_t members, struct sl_result *out)
{
    const struct player *player = context;
    struct forged *forged = player->company->forged;
    uint32_t dim = forged->stage->node->n_block, bits = forged->stage->config.aggregate_bits, n = 0;
    for (uint64_t rest = members; rest; rest &= rest - 1) n++;
    sl_mean_encode(forged->ref, forged->propose.ref_exponent, sum, n, forged->ring_exponent, dim, bits, forged->mean, &out->exponent);
    struct sl_merkle tree;
    sl_merkle_build(&tree, forged->mean, (size_t)dim * bits / 8, (size_t)SL_CHUNK_ELEMENTS * bits / 8);
    memcpy(out->root, tree.root, 32);
    out->bits = bits;
    return true;
}

static void on_accuse(void *context, uint32_t member, const uint8_t *body, size_t size) { (void)context, (void)member, (void)body, (void)size; }
static void on_tell(void *context, enum sl_session_news news, uint32_t member, int64_t number) { (void)context, (void)news, (void)member, (void)number; }
static void on_count(void *context, bool made) { (void)context, (void)made; }

/* ---- beginning ---- */

static void begin_session(struct company *company, struct player *player)
{
    struct forged *forged = company->forged;
    struct stage *stage = forged->stage;
    struct forged_member *own = &forged->members[player->place];
    struct sl_session_member members[FORGED_MAX];
    for (uint32_t i = 0; i < forged->n_members; i++) {
        memcpy(members[i].id, stage_identity(stage, forged->members[i].who)->id, 32);
        memcpy(members[i].sign_public, stage_identity(stage, forged->members[i].who)->sign_public, 32);
        memcpy(members[i].mask_public, forged->members[i].mask_public, 32);
        memcpy(members[i].box_public, forged->members[i].box_public, 32);
    }
    bool is_noised = forged->propose.sigma2 > 0;         /* unit node measures in clip norms */
    struct sl_session_setup setup = {
        .network_id = stage->config.network_id, .cohort_id = forged->cohort, .sign_secret = stage_identity(stage, own->who)->sign_secret,
        .roster = forged->roster_bytes, .roster_size = forged->roster_size, .epoch = forged->epoch, .n_members = forged->n_members, .own = player->place,
        .initiator = forge_place(forged, forged->initiator), .members = members, .mask_secret = own->mask_secret, .box_secret = own->box_secret,
        .dim = stage->node->n_block, .ring_bits = stage->config.ring_bits, .rows = sl_audit_rows_of(&stage->config, stage->node->n_block),
        .ring_exponent = is_noised ? SL_SCALE_BITS : forged->ring_exponent, .radius_q = forged->propose.radius_q,
        .noise_variance = (double)forged->propose.sigma2};
    bool begun = sl_session_begin(player->session, &setup);
    assert(begun);
    sl_session_input(player->session, company->inputs[player->place]);
}

static void make_player(struct company *company, uint32_t place)
{
    struct player *player = &company->players[place];
    uint32_t dim = stage_of(company)->node->n_block;
    struct sl_session_port port = {.context = player, .send = on_send, .want = on_want, .encode = on_encode, .accuse = on_accuse, .tell = on_tell,
                                   .count = on_count};
    *player = (struct player){.company = company, .place = place};
    if (company->forged->members[place].who == PUPPET_SELF) return;

    uint8_t seed[32] = {99, (uint8_t)place};
    struct sl_rng rng;
    sl_rng_init(&rng, seed);
    company->inputs[place] = calloc(dim, sizeof(uint32_t));
    for (uint32_t j = 0; j < dim; j++) company->inputs[place][j] = sl_rng_below(&rng, 2001) - 1000;

    size_t size = sl_session_size(FORGED_MAX, dim, SL_SKETCH_ROWS_MAX);
    player->memory = malloc(size);
    struct sl_arena arena = sl_arena_over(player->memory, size);
    player->session = sl_session_init(&arena, FORGED_MAX, dim, SL_SKETCH_ROWS_MAX, &port, sl_rng_fork(&rng, "session", 0));
    assert(player->session);
}

struct company *company_new(struct forged *forged)
{
    struct company *company = calloc(1, sizeof *company);
    assert(company);
    company->forged = forged;
    for (uint32_t i = 0; i < forged->n_members; i++) make_player(company, i);
    return company;
}

void company_destroy(struct company **pointer)
{
    struct company *company = *pointer;
    if (!company) return;

    for (uint32_t i = 0; i < FORGED_MAX; i++) {
        for (uint32_t type = 0; type < SL_PEER_TYPES_MAX; type++) free(company->players[i].last[type].bytes);
        free(company->players[i].memory);
        free(company->inputs[i]);
    }
    for (uint32_t i = company->n_done; i < company->n_frames; i++) free(company->frames[i].bytes);
    free(company);
    *pointer = NULL;
}

void company_mute(struct company *company, uint32_t place, enum sl_message_type type)
{
    company->players[place].is_mute[type] = true;
}

void company_mute_all(struct company *company, uint32_t place)
{
    for (uint32_t type = 0; type < SL_PEER_TYPES_MAX; type++) company->players[place].is_mute[type] = true;
}

void company_repeat(struct company *company, uint32_t place, uint32_t via, enum sl_message_type type)
{
    const struct frame *last = &company->players[place].last[type];
    assert(last->bytes);
    puppet_deliver(stage_of(company), company->forged->members[via].who, last->bytes, last->size);
}

/* ---- vectors ---- */

struct sl_merkle company_tree(struct company *company, uint32_t place)
{
    struct sl_merkle tree;
    sl_merkle_build(&tree, sl_session_vector(company->players[place].session, place), n_bytes(company),
                    (size_t)SL_CHUNK_ELEMENTS * (stage_of(company)->config.ring_bits / 8));
    return tree;
}

void company_say_chunk(struct company *company, uint32_t place, uint32_t via, uint32_t index)
{
    struct sl_merkle tree = company_tree(company, place);
    forge_say_chunk(company->forged, company->forged->members[via].who, &tree, sl_session_vector(company->players[place].session, place), index);
}

/* The vector that hides behind a root of a puppet, asked for by the core. */
static void answer_get(struct company *company, uint32_t asked, const struct sl_envelope *envelope)
{
    struct sl_get get;
    if (sl_read_get(envelope, &get) != SL_OK) return;
    for (uint32_t i = 0; i < company->forged->n_members; i++) {
        struct sl_session *session = company->players[i].session;
        bool fits = session && sl_session_root(session, i) && sl_hash_equal(sl_session_root(session, i), get.root) && sl_session_serves(session, i);
        if (fits && !company->players[asked].is_mute[SL_MESSAGE_CHUNK]) company_say_chunk(company, i, asked, get.index);
    }
}

/* Straight from memory to memory; the core's too, once it would serve it. */
static bool fetch(struct company *company, struct player *player, uint32_t member)
{
    struct sl_session *holder = company->players[member].session ? company->players[member].session : stage_of(company)->node->cohort.session;
    if (!sl_session_serves(holder, member) || company->players[member].is_mute[SL_MESSAGE_CHUNK]) return false;

    memcpy(sl_session_vector(player->session, member), sl_session_vector(holder, member), n_bytes(company));
    player->here |= (uint64_t)1 << member;
    sl_session_vector_here(player->session, member);
    return true;
}

static bool fetch_all(struct company *company)
{
    bool came = false;
    for (uint32_t i = 0; i < company->forged->n_members; i++) {
        struct player *player = &company->players[i];
        for (uint32_t j = 0; player->session && j < company->forged->n_members; j++)
            if ((player->wants & ~player->here) >> j & 1) came |= fetch(company, player, j);
    }
    return came;
}

/* ---- talking ---- */

static bool take_from_core(struct company *company)
{
    struct stage *stage = stage_of(company);
    struct forged *forged = company->forged;
    if (company->n_taken > stage->n_sent) company->n_taken = 0;         /* the stage forgot what was sent before */
    if (company->n_taken == stage->n_sent) return false;

    const struct sent *sent = &stage->sent[company->n_taken++];
    struct sl_envelope envelope;
    for (uint32_t i = 0; i < forged->n_members; i++) {
        if (forged->members[i].who != sent->to || sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope) != SL_OK) continue;
        if (envelope.type == SL_MESSAGE_GET && !company->holds_chunks) answer_get(company, i, &envelope);
        if (sl_hash_equal(envelope.cohort, forged->cohort)) sl_session_message(company->players[i].session, &envelope, forge_place(forged, PUPPET_SELF));
    }
    return true;
}

static bool deliver_one(struct company *company)
{
    if (company->n_done == company->n_frames) return false;

    struct frame *frame = &company->frames[company->n_done++];
    struct player *to = &company->players[frame->to];
    struct sl_envelope envelope;
    if (!to->session) puppet_deliver(stage_of(company), company->forged->members[frame->from].who, frame->bytes, frame->size);
    else if (sl_envelope_open(frame->bytes, frame->size, stage_of(company)->config.network_id, &envelope) == SL_OK)
        sl_session_message(to->session, &envelope, frame->from);
    free(frame->bytes);
    return true;
}

void company_run(struct company *company)
{
    for (uint32_t i = 0; i < company->forged->n_members; i++) {
        struct player *player = &company->players[i];
        if (player->session && sl_session_state(player->session) == SL_SESSION_NONE) begin_session(company, player);
    }
    while (deliver_one(company) || take_from_core(company) || fetch_all(company)) {}
}

void company_moment(struct company *company, enum sl_session_step step, enum sl_session_moment moment)
{
    for (uint32_t i = 0; i < company->forged->n_members; i++)
        if (company->players[i].session) sl_session_moment(company->players[i].session, step, moment);
    company_run(company);
}
