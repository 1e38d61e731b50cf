/* SPDX-License-Identifier: MIT */
/* Vectors in chunks: what is taken, what is asked for again, and who is served what. */
#include <criterion/criterion.h>
#include <string.h>

#include "company.h"
#include "starling/error.h"

enum { DIM = 5 * SL_CHUNK_ELEMENTS - 100 };          /* five chunks, the last one shorter */

static struct stage *stage;
static struct forged *forged;
static struct company *company;

static void make_stage(void)
{
    stage = stage_new(&(struct stage_options){.n_puppets = 5, .seed = 5, .dim = DIM});
    stage_start(stage);
    forged = forge_cohort(stage, 3);
    company = company_new(forged);
    company->holds_chunks = true;
}

static void drop_stage(void)
{
    company_destroy(&company);
    forge_destroy(&forged);
    stage_destroy(&stage);
}

TestSuite(transfer, .init = make_stage, .fini = drop_stage);

static uint32_t place_of(uint32_t who)
{
    return forge_place(forged, who);
}

static void mute_puppets(enum sl_message_type type, uint32_t but)
{
    for (uint32_t who = 0; who < 3; who++)
        if (who != but) company_mute(company, place_of(who), type);
}

static enum sl_session_state state(void)
{
    return sl_session_state(stage->node->cohort.session);
}

/* The core has committed and knows of no other COMMIT. */
static void to_committed(void)
{
    mute_puppets(SL_MESSAGE_COMMIT, UINT32_MAX);
    company_run(company);
    cr_assert_eq(state(), SL_SESSION_COMMITTED);
}

/* The core has opened, and puppet 1 (or nobody) too: then the core fetches its vector. */
static void to_opened(uint32_t who)
{
    mute_puppets(SL_MESSAGE_OPEN, who);
    company_run(company);
    cr_assert_eq(state(), SL_SESSION_OPENED);
}

static void open_one(void)
{
    to_opened(1);
}

/* Chunk of puppet 1's vector, over its own link or another's. */
static void say_chunk(uint32_t via, uint32_t index)
{
    company_say_chunk(company, place_of(1), place_of(via), index);
}

static const uint8_t *vector_of(uint32_t who)
{
    return sl_session_vector(company->players[place_of(who)].session, place_of(who));
}

static const uint8_t *root_of(uint32_t who)
{
    return sl_session_root(company->players[place_of(who)].session, place_of(who));
}

static const uint8_t *own_root(void)
{
    return sl_session_root(stage->node->cohort.session, stage->node->cohort.own);
}

/* In the core: here, and checked by its root. */
static bool is_here(void)
{
    struct sl_session *session = stage->node->cohort.session;
    bool is_equal = memcmp(sl_session_vector(session, place_of(1)), vector_of(1), (size_t)4 * DIM) == 0;
    return sl_session_serves(session, place_of(1)) && is_equal;
}

static uint32_t n_gets(void)
{
    return stage_count_to(stage, SL_MESSAGE_GET, 1);
}

static uint32_t index_of_last_get(void)
{
    struct sl_envelope envelope;
    struct sl_get get;
    const struct sent *sent = stage_last_to(stage, SL_MESSAGE_GET, 1);
    cr_assert_not_null(sent);
    cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);
    cr_assert_eq(sl_read_get(&envelope, &get), SL_OK);
    return get.index;
}

static void get(uint32_t puppet, const uint8_t root[32], uint32_t index)
{
    struct sl_get body = {.index = index};
    memcpy(body.root, root, 32);
    struct sl_writer writer = puppet_begin(stage, puppet, SL_MESSAGE_GET, forged->epoch, NULL);
    sl_write_get(&writer, &body);
    puppet_say(stage, puppet, &writer, SL_MESSAGE_GET);
}

/* ---- fetching ---- */

Test(transfer, asks_for_two_chunks_at_a_time_and_for_all_in_the_end)
{
    open_one();
    cr_assert_eq(n_gets(), 2);
    for (uint32_t i = 0; i < 5; i++) {
        cr_assert_not(is_here());
        cr_assert_leq(n_gets(), i + 2, "never more than two outstanding");
        say_chunk(1, i);
    }

    cr_assert(is_here());
    cr_assert_eq(n_gets(), 5, "each once");
}

Test(transfer, takes_chunks_in_any_order_and_twice)
{
    open_one();
    const uint32_t order[] = {1, 0, 0, 1, 3, 2, 3, 4};
    for (int i = 0; i < 8; i++) say_chunk(1, order[i]);

    cr_assert(is_here());
}

/* Sends chunk `index` of puppet 1's vector after `spoil`; returns how many messages were refused. */
static uint64_t send_spoiled(void (*spoil)(struct sl_chunk *chunk), uint32_t index, uint32_t via)
{
    struct sl_merkle tree = company_tree(company, place_of(1));
    static uint8_t data[4 * SL_CHUNK_ELEMENTS];
    struct sl_chunk chunk = {.index = index, .data = data, .data_size = sizeof data};
    if (index == 4) chunk.data_size -= 400;
    memcpy(data, vector_of(1) + index * sizeof data, chunk.data_size);
    memcpy(chunk.root, tree.root, 32);
    chunk.n_path = sl_merkle_path(&tree, index, chunk.path);
    if (spoil) spoil(&chunk);
    uint64_t before = stage_status(stage).messages_refused;
    struct sl_writer writer = puppet_begin(stage, via, SL_MESSAGE_CHUNK, forged->epoch, NULL);
    sl_write_chunk(&writer, &chunk);
    puppet_say(stage, via, &writer, SL_MESSAGE_CHUNK);
    return stage_status(stage).messages_refused - before;
}

static void spoil_data(struct sl_chunk *chunk)
{
    static uint8_t other[4 * SL_CHUNK_ELEMENTS];
    memcpy(other, chunk->data, chunk->data_size);
    other[77] ^= 1;
    chunk->data = other;
}

static void spoil_index(struct sl_chunk *chunk) { chunk->index = 1; }
static void spoil_index_far(struct sl_chunk *chunk) { chunk->index = SL_CHUNKS_MAX - 1; }
static void spoil_path(struct sl_chunk *chunk) { chunk->path[0][0] ^= 1; }
static void spoil_depth(struct sl_chunk *chunk) { chunk->n_path--; }
static void spoil_length(struct sl_chunk *chunk) { chunk->data_size -= 4; }
static void spoil_root(struct sl_chunk *chunk) { chunk->root[0] ^= 1; }

Test(transfer, takes_no_chunk_that_does_not_prove_itself)
{
    void (*const spoils[])(struct sl_chunk *) = {spoil_data, spoil_index, spoil_index_far, spoil_path, spoil_depth, spoil_length, spoil_root};
    open_one();
    for (int i = 0; i < 7; i++) {
        send_spoiled(spoils[i], 0, 1);
        cr_assert_eq(state(), SL_SESSION_OPENED, "case %d", i);
    }
    cr_assert_eq(n_gets(), 2, "nothing came, nothing more is asked for");

    stage_run_to(stage, stage->now_us + stage->config.epoch_us / 30);
    cr_assert_eq(n_gets(), 4, "both are asked for again");
    send_spoiled(NULL, 0, 1);
    cr_assert_eq(index_of_last_get(), 2, "and the right one is taken");
}

Test(transfer, takes_no_chunk_from_another_peer)
{
    open_one();
    send_spoiled(NULL, 0, 2);

    cr_assert_eq(n_gets(), 2, "it was not asked");
    cr_assert_not(is_here());
}

Test(transfer, is_not_disturbed_by_chunks_that_nobody_asked_for)
{
    to_opened(UINT32_MAX);
    send_spoiled(NULL, 0, 1);                            /* not yet opened: no fetch */
    company_repeat(company, place_of(1), place_of(1), SL_MESSAGE_OPEN);
    send_spoiled(NULL, 4, 1);                            /* proves itself, but is early */
    for (uint32_t i = 0; i < 4; i++) say_chunk(1, i);
    send_spoiled(NULL, 2, 1);                            /* after all is here */

    cr_assert(is_here());
}

Test(transfer, gives_up_a_peer_that_never_answers)
{
    open_one();
    stage_to_phase(stage, .96);

    cr_assert_leq(n_gets(), 2 * (1 + FETCH_TRIES_MAX));
    cr_assert_eq(stage->node->cohort.state, COHORT_VOID);
    stage_forget(stage);
    stage_to_phase(stage, .97);
    cr_assert_eq(n_gets(), 0, "the run is void: nothing is fetched any more");
}

Test(transfer, turns_to_the_initiator_when_an_author_stays_silent)
{
    open_one();
    uint64_t patience = stage->config.epoch_us / 32;
    stage_run_to(stage, stage->now_us + 5 * patience / 2);
    cr_assert_eq(n_gets(), 6, "the author first, and twice again");
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_GET, 0), 0);

    stage_run_to(stage, stage->now_us + patience);

    cr_assert_eq(n_gets(), 6);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_GET, 0), 2);
    send_spoiled(spoil_data, 0, 0);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_GET, 0), 2, "what the initiator says must prove itself too");
    for (uint32_t i = 0; i < 5; i++) say_chunk(0, i);
    cr_assert(is_here());
}

Test(transfer, goes_back_to_the_author_when_the_initiator_is_silent_too)
{
    open_one();
    uint64_t patience = stage->config.epoch_us / 32;
    stage_run_to(stage, stage->now_us + 9 * patience / 2);

    cr_assert_eq(n_gets(), 8);
    for (uint32_t i = 0; i < 5; i++) say_chunk(1, i);
    cr_assert(is_here());
}

Test(transfer, dials_an_author_it_has_no_link_to)
{
    to_opened(UINT32_MAX);
    stage_change(stage, stage->link[1], SL_LINK_DOWN, NULL);
    stage_forget(stage);

    company_repeat(company, place_of(1), place_of(2), SL_MESSAGE_OPEN);

    cr_assert_eq(stage->n_dials, 1);
    cr_assert(sl_hash_equal(stage->dials[0].transport_key, stage->puppets[1].transport_public));
    cr_assert_eq(n_gets(), 2, "sent when the link was up");
}

/* ---- serving ---- */

Test(transfer, serves_the_opened_vectors_of_others_to_members_only)
{
    open_one();
    get(2, root_of(1), 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_CHUNK), 0, "it is not here yet");
    for (uint32_t i = 0; i < 5; i++) say_chunk(1, i);

    get(2, root_of(1), 4);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_CHUNK, 2), 1);
    get(3, root_of(1), 0);
    get(4, root_of(1), 0);
    get(1, root_of(2), 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_CHUNK), 1, "no stranger, and nothing of puppet 2, who has not opened");
}

Test(transfer, serves_no_masked_vector_before_it_is_open)
{
    to_committed();
    stage_forget(stage);
    for (uint32_t puppet = 0; puppet < 5; puppet++) get(puppet, own_root(), 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_CHUNK), 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_OPEN), 0);
}

Test(transfer, serves_its_masked_vector_to_members_once_it_is_open)
{
    to_opened(UINT32_MAX);
    stage_forget(stage);
    for (uint32_t puppet = 0; puppet < 3; puppet++) get(puppet, own_root(), 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_CHUNK), 3, "members, once it has opened");
    get(3, own_root(), 0);
    get(4, own_root(), 1);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_CHUNK), 3, "nobody else, ever");
}

Test(transfer, serves_the_reference_to_members_only)
{
    stage_forget(stage);
    get(3, forged->propose.ref_root, 0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_CHUNK), 0);

    get(2, forged->propose.ref_root, 4);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_CHUNK), 1);
}

Test(transfer, serves_no_chunk_that_does_not_exist)
{
    stage_forget(stage);
    uint8_t unknown[32] = {1};
    get(2, forged->propose.ref_root, 5);
    get(2, forged->propose.ref_root, SL_CHUNKS_MAX - 1);
    get(2, unknown, 0);

    cr_assert_eq(stage->n_sent, 0);
}

Test(transfer, serves_chunks_that_prove_themselves)
{
    to_opened(UINT32_MAX);
    for (uint32_t i = 0; i < 5; i++) {
        struct sl_envelope envelope;
        struct sl_chunk chunk;
        get(2, own_root(), i);
        const struct sent *sent = stage_last_to(stage, SL_MESSAGE_CHUNK, 2);
        cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);
        cr_assert_eq(sl_read_chunk(&envelope, &chunk), SL_OK);
        cr_assert(sl_merkle_verify(own_root(), (size_t)4 * DIM, 4 * SL_CHUNK_ELEMENTS, i, chunk.data, chunk.data_size, chunk.n_path, chunk.path));
    }
}

Test(transfer, serves_nothing_of_a_cohort_that_is_void)
{
    to_opened(UINT32_MAX);
    stage_to_phase(stage, .66);
    cr_assert_eq(stage->node->cohort.state, COHORT_VOID);
    stage_forget(stage);

    get(2, own_root(), 0);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_CHUNK), 0);
}

/* ---- a reference that must be fetched ---- */

Test(transfer, fetches_a_reference_that_differs_from_its_own_anchor)
{
    stage_next_epoch(stage);
    company_destroy(&company);
    forge_destroy(&forged);
    stage_to_epoch_as(stage, false);
    stage_connect_all(stage);
    stage_forget(stage);
    forged = forge_new(stage, 0, (const uint32_t[]){PUPPET_SELF, 0, 1, 2}, 4);
    for (uint32_t j = 0; j < DIM; j++) forged->ref[2 * j] ^= 1;
    struct sl_merkle tree;
    sl_merkle_build(&tree, forged->ref, (size_t)2 * DIM, 2 * SL_CHUNK_ELEMENTS);
    memcpy(forged->propose.ref_root, tree.root, 32);
    forge_seal_propose(forged);
    forge_say_propose(forged);
    stage_to_phase(stage, stage->config.phase_formation * .43);
    cr_assert(forge_take_join(forged));
    forge_joins(forged);
    forge_roster(forged);
    forge_say_roster(forged);
    company = company_new(forged);
    company_run(company);
    cr_assert_eq(state(), SL_SESSION_AGREED);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_GET, 0), 2);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_COMMIT), 0, "no COMMIT without the reference");

    for (uint32_t i = 0; i < 5; i++) forge_say_chunk(forged, 0, &tree, forged->ref, i);

    cr_assert_eq(state(), SL_SESSION_COMMITTED);
    cr_assert_eq(memcmp(stage->node->cohort.ref, forged->ref, (size_t)2 * DIM), 0);
}
