/* SPDX-License-Identifier: MIT */
#include "puppet.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/network.h"
#include "config/registry.h"
#include "starling/error.h"
#include "wire/certificate.h"

enum { BEGIN_S = 1700000040, LIFE_S = 365 * 24 * 3600, TICKS_MAX = 10000 };

static void key_of(const struct stage *stage, const char *label, uint64_t number, uint8_t out[32])
{
    struct sl_hash hash;
    sl_hash_init(&hash, label);
    sl_hash_u64(&hash, stage->options.seed);
    sl_hash_u64(&hash, number);
    sl_hash_final(&hash, out);
}

/* ---- making one ---- */

static void configure(struct stage *stage)
{
    char why[256] = "";
    uint8_t key[32];
    struct sl_config *config = &stage->config;
    sl_config_init(config);
    sl_config_set(config, "privacy.unit", "off", NULL, 0);
    for (int i = 0; i < 16 && stage->options.settings[i]; i++) {
        char name[64];
        const char *setting = stage->options.settings[i];
        size_t size = strcspn(setting, "=");
        snprintf(name, sizeof name, "%.*s", (int)size, setting);
        if (sl_config_set(config, name, setting + size + 1, why, sizeof why) != SL_OK) fprintf(stderr, "stage: %s\n", why);
    }
    config->shape = (struct sl_shape){.n_features = stage->options.dim, .n_outputs = 1};
    config->aggregator = sl_aggregator_find(config->merge_rule);
    config->rule = sl_rule_params_of(config);
    key_of(stage, "operator", 0, key);
    crypto_sign_seed_keypair(config->operator_key, stage->operator_secret, key);
    sl_network_id(config, &(struct sl_scaling){0}, config->network_id);
}

static void make_identity(struct stage *stage, uint64_t number, struct sl_identity *out)
{
    char address[SL_PEER_ADDRESS_MAX];
    uint8_t seed[32], transport_secret[32];
    snprintf(address, sizeof address, "10.0.0.%u:7400", (unsigned)number % 250 + 1);
    key_of(stage, "identity", number, seed);
    sl_identity_from_seed(seed, stage->config.network_id, stage->operator_secret, address, BEGIN_S + LIFE_S, out, transport_secret);
}

static void list_peer(const struct sl_identity *identity, struct sl_peer *peer)
{
    memcpy(peer->id, identity->id, 32);
    memcpy(peer->sign_public, identity->sign_public, 32);
    memcpy(peer->transport_public, identity->transport_public, 32);
    memcpy(peer->address, identity->address, sizeof peer->address);
    memcpy(peer->certificate, identity->certificate, sizeof peer->certificate);
    peer->certificate_size = identity->certificate_size;
}

static void report(void *context, const struct sl_trace_event *event)
{
    struct stage *stage = context;
    stage->told[event->type].n++;
    stage->told[event->type].last = *event;
}

static void make_node(struct stage *stage)
{
    uint8_t run_seed[32];
    key_of(stage, "run", stage->incarnation++, run_seed);
    size_t size = sl_node_size(&stage->config, &sl_model_stub);
    stage->memory = malloc(size);
    stage->deadline_us = SL_NEVER;
    assert(size > 0 && stage->memory);
    stage->node = sl_node_init(stage->memory, size, &stage->config, &sl_model_stub, run_seed);
    assert(stage->node);
}

static uint64_t begin_of(const struct stage *stage)
{
    return (uint64_t)BEGIN_S * 1000000 / stage->config.epoch_us * stage->config.epoch_us + 1000;
}

struct stage *stage_new(const struct stage_options *options)
{
    struct stage *stage = calloc(1, sizeof *stage);
    assert(stage && options->n_puppets <= PUPPETS_MAX);

    stage->options = *options;
    if (stage->options.n_listed == 0) stage->options.n_listed = options->n_puppets;
    if (stage->options.dim == 0) stage->options.dim = 16;
    configure(stage);
    make_identity(stage, PUPPET_SELF, &stage->self);
    for (uint32_t i = 0; i < options->n_puppets; i++) {
        make_identity(stage, i, &stage->puppets[i]);
        list_peer(&stage->puppets[i], &stage->peers[i]);
    }
    stage->config.identity = &stage->self;
    for (uint32_t i = 0; i < options->n_seeds; i++) {
        memcpy(stage->seeds[i].transport_public, stage->puppets[i].transport_public, 32);
        memcpy(stage->seeds[i].address, stage->puppets[i].address, sizeof stage->seeds[i].address);
    }
    stage->config.peers = stage->peers;
    stage->config.n_peers = options->lists_nobody ? 0 : stage->options.n_listed;
    stage->config.seeds = stage->seeds;
    stage->config.n_seeds = options->n_seeds;
    stage->config.trace = (struct sl_trace_sink){stage, report};
    bool done = sl_stub_init(&stage->stub, stage->options.dim, .05, options->seed, 0);
    assert(done);
    stage->now_us = begin_of(stage);
    make_node(stage);
    return stage;
}

static void drop_rounds(struct stage *stage)
{
    free(stage->ledger);
    free(stage->kept);
    free(stage->round_bytes);
    stage->ledger = stage->kept = stage->round_bytes = NULL;
    stage->ledger_size = stage->kept_size = 0;
    stage->round_store.ticket = 0;
    stage->holds_rounds = stage->fails_rounds = false;
}

void stage_reset(struct stage *stage)
{
    stage_forget(stage);
    sl_node_finish(stage->node);
    free(stage->memory);
    free(stage->state);
    free(stage->book);
    stage->state = stage->book = NULL;
    stage->state_size = stage->book_size = 0;
    stage->n_books = 0;
    drop_rounds(stage);
    stage->pending_book = 0;
    memset(stage->link, 0, sizeof stage->link);
    memset(stage->refuses, 0, sizeof stage->refuses);
    stage->ignores_dials = stage->holds_stores = stage->fails_stores = stage->holds_jobs = false;
    stage->n_pending = stage->next_inbound = stage->incarnation = stage->n_jobs = 0;
    stage->pending_ticket = 0;
    stage->pending_job = false;
    stage->spoil = NULL;
    stage->now_us = begin_of(stage);
    make_node(stage);
}

void stage_destroy(struct stage **pointer)
{
    struct stage *stage = *pointer;
    if (!stage) return;

    stage_forget(stage);
    sl_node_finish(stage->node);
    sl_stub_finish(&stage->stub);
    free(stage->memory);
    free(stage->state);
    free(stage->book);
    drop_rounds(stage);
    free(stage);
    *pointer = NULL;
}

/* ---- steps ---- */

static uint32_t puppet_of_link(const struct stage *stage, uint32_t link)
{
    for (uint32_t i = 0; i < stage->options.n_puppets; i++)
        if (link != 0 && stage->link[i] == link) return i;
    return UINT32_MAX;
}

static void note_sends(struct stage *stage, const struct sl_actions *actions)
{
    for (uint32_t i = 0; i < actions->n_sends && stage->n_sent < SENT_MAX; i++) {
        const struct sl_send *send = &actions->sends[i];
        struct sent *sent = &stage->sent[stage->n_sent++];
        struct sl_envelope envelope;
        *sent = (struct sent){.to = puppet_of_link(stage, send->link), .link = send->link, .now_us = stage->now_us, .size = send->size};
        sent->bytes = malloc(send->size);
        assert(sent->bytes && sl_envelope_open(send->data, send->size, stage->config.network_id, &envelope) == SL_OK);
        memcpy(sent->bytes, send->data, send->size);
        sent->type = envelope.type;
    }
}

static void keep(uint8_t **bytes, size_t *size, const struct sl_store *store)
{
    *bytes = realloc(*bytes, store->size);
    assert(*bytes);
    memcpy(*bytes, store->data, store->size);
    *size = store->size;
}

static void note_round_store(struct stage *stage, const struct sl_store *store)
{
    size_t size = 0;
    assert(stage->round_store.ticket == 0);          /* one at a time */
    stage->round_store = *store;
    keep(&stage->round_bytes, &size, store);
    stage->round_store.data = stage->round_bytes;
}

static void note_stores(struct stage *stage, const struct sl_actions *actions)
{
    for (uint32_t i = 0; i < actions->n_stores; i++) {
        const struct sl_store *store = &actions->stores[i];
        if (store->type == SL_STORE_APPEND_LEDGER || store->type == SL_STORE_PUT_RELEASE) {
            note_round_store(stage, store);
            continue;
        }
        if (store->type == SL_STORE_PUT_BOOK) {
            stage->pending_book = store->ticket;
            stage->n_books++;
            if (!stage->fails_stores) keep(&stage->book, &stage->book_size, store);
            continue;
        }
        stage->pending_ticket = store->ticket;
        if (!stage->fails_stores) keep(&stage->state, &stage->state_size, store);
    }
}

static void note_links(struct stage *stage, const struct sl_actions *actions)
{
    for (uint32_t i = 0; i < actions->n_dials; i++) {
        if (stage->n_dials < 256) stage->dials[stage->n_dials++] = actions->dials[i];
        if (stage->n_pending < 256) stage->pending[stage->n_pending++] = actions->dials[i];
    }
    for (uint32_t i = 0; i < actions->n_hangups; i++) {
        uint32_t puppet = puppet_of_link(stage, actions->hangups[i]);
        if (puppet != UINT32_MAX) stage->link[puppet] = 0;
        if (stage->n_hangups < 256) stage->hangups[stage->n_hangups++] = actions->hangups[i];
    }
}

static void step_once(struct stage *stage, struct sl_event *event)
{
    struct sl_actions actions;
    event->now_us = stage->now_us;
    sl_node_step(stage->node, event, &actions);
    note_sends(stage, &actions);
    note_stores(stage, &actions);
    note_links(stage, &actions);
    if (actions.job.number) {
        stage->job = actions.job;
        stage->n_jobs++;
        stage->pending_job = true;
    }
    stage->deadline_us = actions.deadline_us;
}

static void answer_dial(struct stage *stage, const struct sl_dial *dial)
{
    uint32_t puppet = 0;
    while (puppet < stage->options.n_puppets && !sl_hash_equal(stage->puppets[puppet].transport_public, dial->transport_key)) puppet++;
    bool up = puppet < stage->options.n_puppets && !stage->refuses[puppet];
    struct sl_event event = {.type = SL_EVENT_LINK, .link = {.link = dial->link, .change = up ? SL_LINK_UP : SL_LINK_REFUSED}};
    memcpy(event.link.transport_key, dial->transport_key, 32);
    if (up) stage->link[puppet] = dial->link;
    step_once(stage, &event);
}

/* A store that fails leaves the files as they were. */
static void end_round_store(struct stage *stage, int error)
{
    struct sl_store store = stage->round_store;
    struct sl_event event = {.type = SL_EVENT_STORED, .stored = {store.ticket, error}};
    stage->round_store.ticket = 0;
    if (error == SL_OK && store.type == SL_STORE_PUT_RELEASE) keep(&stage->kept, &stage->kept_size, &store);
    if (error == SL_OK && store.type == SL_STORE_APPEND_LEDGER) {
        stage->ledger = realloc(stage->ledger, stage->ledger_size + store.size);
        assert(stage->ledger);
        memcpy(stage->ledger + stage->ledger_size, store.data, store.size);
        stage->ledger_size += store.size;
    }
    step_once(stage, &event);
}

/* Carries out what the core asked for, and what it asks for then. */
static void settle(struct stage *stage)
{
    for (;;) {
        if (stage->round_store.ticket && !stage->holds_rounds) {
            end_round_store(stage, stage->fails_rounds ? SL_ERROR_NO_SPACE : SL_OK);
        } else if (stage->pending_book && !stage->holds_stores) {
            struct sl_event event = {.type = SL_EVENT_STORED, .stored = {stage->pending_book, stage->fails_stores ? SL_ERROR_NO_SPACE : SL_OK}};
            stage->pending_book = 0;
            step_once(stage, &event);
        } else if (stage->pending_ticket && !stage->holds_stores) {
            struct sl_event event = {.type = SL_EVENT_STORED, .stored = {stage->pending_ticket, stage->fails_stores ? SL_ERROR_NO_SPACE : SL_OK}};
            stage->pending_ticket = 0;
            step_once(stage, &event);
        } else if (stage->pending_job && !stage->holds_jobs) {
            stage_finish_job(stage, SL_OK);
        } else if (stage->n_pending > 0 && !stage->ignores_dials) {
            struct sl_dial dial = stage->pending[--stage->n_pending];
            answer_dial(stage, &dial);
        } else {
            return;
        }
    }
}

void stage_step(struct stage *stage, struct sl_event *event)
{
    step_once(stage, event);
    settle(stage);
}

void stage_finish_job(struct stage *stage, int error)
{
    struct sl_trainer trainer = sl_stub_trainer(&stage->stub);
    struct sl_event event = {.type = SL_EVENT_DONE};
    stage->pending_job = false;
    if (error == SL_OK) trainer.run(trainer.context, &stage->job, &event.done);
    event.done.number = stage->job.number;
    event.done.error = error;
    step_once(stage, &event);
    if (stage->holds_jobs) settle(stage);
}

void stage_finish_round(struct stage *stage, int error)
{
    end_round_store(stage, error);
    settle(stage);
}

void stage_finish_store(struct stage *stage, int error)
{
    struct sl_event event = {.type = SL_EVENT_STORED, .stored = {stage->pending_ticket, error}};
    stage->pending_ticket = 0;
    stage_step(stage, &event);
}

void stage_start(struct stage *stage)
{
    struct sl_event event = {.type = SL_EVENT_START,
                             .start = {.state = stage->state, .book = stage->book, .ledger = stage->ledger, .release = stage->kept,
                                       .state_size = stage->state_size, .book_size = stage->book_size, .ledger_size = stage->ledger_size,
                                       .release_size = stage->kept_size}};
    stage_step(stage, &event);
}

void stage_hush(struct stage *stage)
{
    stage->node->members.next_round_us = stage->node->deadlines[DEADLINE_ROUND] = SL_NEVER;
}

void stage_restart(struct stage *stage)
{
    sl_node_finish(stage->node);
    free(stage->memory);
    memset(stage->link, 0, sizeof stage->link);
    stage->n_pending = 0;
    stage->pending_ticket = stage->pending_book = stage->round_store.ticket = 0;
    stage->pending_job = false;
    make_node(stage);
    stage_start(stage);
}

void stage_jump_to(struct stage *stage, uint64_t now_us)
{
    stage->now_us = now_us;
    stage_step(stage, &(struct sl_event){.type = SL_EVENT_TICK});
}

void stage_run_to(struct stage *stage, uint64_t now_us)
{
    uint32_t n_ticks = 0;
    while (stage->deadline_us <= now_us) {
        stage_jump_to(stage, stage->deadline_us > stage->now_us ? stage->deadline_us : stage->now_us);
        assert(++n_ticks < TICKS_MAX);
    }
    if (now_us > stage->now_us) stage->now_us = now_us;
}

uint64_t stage_epoch(const struct stage *stage)
{
    return stage->now_us / stage->config.epoch_us;
}

void stage_to_phase(struct stage *stage, double fraction)
{
    stage_run_to(stage, stage_epoch(stage) * stage->config.epoch_us + (uint64_t)(fraction * (double)stage->config.epoch_us));
}

void stage_next_epoch(struct stage *stage)
{
    stage_run_to(stage, (stage_epoch(stage) + 1) * stage->config.epoch_us);
}

void stage_to_epoch_as(struct stage *stage, bool as_leader)
{
    for (int i = 0; i < 200; i++) {
        stage_next_epoch(stage);
        if (stage->node->formation.state == (as_leader ? FORMATION_PROPOSED : FORMATION_FREE)) return;
    }
    assert(!"no such epoch");
}

void stage_control(struct stage *stage, enum sl_control_verb verb, uint32_t puppet)
{
    struct sl_event event = {.type = SL_EVENT_CONTROL, .control = {.verb = verb}};
    if (puppet < stage->options.n_puppets) memcpy(event.control.peer, stage->puppets[puppet].id, 32);
    stage_step(stage, &event);
}

/* ---- links ---- */

void stage_change(struct stage *stage, uint32_t link, enum sl_link_change change, const uint8_t transport_key[32])
{
    struct sl_event event = {.type = SL_EVENT_LINK, .link = {.link = link, .change = change}};
    if (transport_key) memcpy(event.link.transport_key, transport_key, 32);
    uint32_t puppet = puppet_of_link(stage, link);
    if (change != SL_LINK_UP && puppet != UINT32_MAX) stage->link[puppet] = 0;
    stage_step(stage, &event);
}

uint32_t stage_inbound(struct stage *stage, const uint8_t transport_key[32])
{
    uint32_t link = SL_LINK_INBOUND + stage->next_inbound++;
    for (uint32_t i = 0; i < stage->options.n_puppets; i++)
        if (sl_hash_equal(stage->puppets[i].transport_public, transport_key)) stage->link[i] = link;
    stage_change(stage, link, SL_LINK_UP, transport_key);
    return link;
}

void stage_connect(struct stage *stage, uint32_t puppet)
{
    if (!stage->link[puppet]) stage_inbound(stage, stage->puppets[puppet].transport_public);
}

void stage_connect_all(struct stage *stage)
{
    for (uint32_t i = 0; i < stage->options.n_listed; i++) stage_connect(stage, i);
}

/* ---- messages ---- */

struct sl_writer puppet_begin(struct stage *stage, uint32_t puppet, enum sl_message_type type, uint64_t epoch, const uint8_t cohort[32])
{
    static const uint8_t none[32];
    return sl_envelope_begin(type, stage->config.network_id, epoch, cohort ? cohort : none, stage_identity(stage, puppet)->id, stage->out, sizeof stage->out);
}

size_t puppet_seal(struct stage *stage, uint32_t puppet, struct sl_writer *writer, enum sl_message_type type)
{
    size_t size = sl_envelope_seal(writer, type, stage_identity(stage, puppet)->sign_secret);
    assert(size > 0);
    return size;
}

struct introduction puppet_introduction(const struct stage *stage, uint32_t puppet)
{
    const struct sl_identity *identity = &stage->puppets[puppet];
    struct introduction said = {.time_us = stage->now_us};
    said.advert = (struct sl_advert){.sequence = stage->now_us / 1000000, .ttl_s = 3600, .n_addresses = 1,
                                     .certificate = identity->certificate, .certificate_size = identity->certificate_size};
    memcpy(said.advert.sign_public, identity->sign_public, 32);
    memcpy(said.advert.transport_public, identity->transport_public, 32);
    memcpy(said.advert.addresses[0], identity->address, sizeof identity->address);
    return said;
}

size_t puppet_advert(const struct stage *stage, uint32_t puppet, const struct sl_advert *advert, uint8_t out[1024])
{
    static const uint8_t none[32];
    const struct sl_identity *identity = &stage->puppets[puppet];
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_ADVERT, stage->config.network_id, 0, none, identity->id, out, 1024);
    sl_write_advert(&writer, advert);
    size_t size = sl_envelope_seal(&writer, SL_MESSAGE_ADVERT, identity->sign_secret);
    assert(size > 0);
    return size;
}

void puppet_write_hello(const struct stage *stage, uint32_t puppet, struct sl_writer *writer, const struct introduction *said)
{
    uint8_t advert[1024];
    struct sl_hello hello = {.time_us = said->time_us, .advert = advert, .advert_size = puppet_advert(stage, puppet, &said->advert, advert)};
    sl_write_hello(writer, &hello);
}

size_t stage_admit(const struct stage *stage, const uint8_t issuer_secret[64], const uint8_t subject[32], uint64_t expires_s,
                   uint8_t out[SL_PEER_CERTIFICATE_MAX])
{
    static const uint8_t seed[32] = {5};
    struct sl_invite invite;
    sl_invite_issue(stage->config.network_id, issuer_secret, NULL, seed, 0, 0, expires_s, &invite);
    return sl_certificate_issue(stage->config.network_id, &invite, subject, out);
}

void stage_deliver(struct stage *stage, uint32_t link, const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);        /* so that the sanitizer sees a read past its end */
    assert(exact);
    memcpy(exact, bytes, size);
    if (stage->spoil) stage->spoil(stage, exact, size);
    struct sl_event event = {.type = SL_EVENT_MESSAGE, .message = {.link = link, .data = exact, .size = size}};
    step_once(stage, &event);
    free(exact);
    settle(stage);
}

void puppet_deliver(struct stage *stage, uint32_t puppet, const uint8_t *bytes, size_t size)
{
    stage_connect(stage, puppet);
    stage_deliver(stage, stage->link[puppet], bytes, size);
}

void puppet_say(struct stage *stage, uint32_t puppet, struct sl_writer *writer, enum sl_message_type type)
{
    size_t size = puppet_seal(stage, puppet, writer, type);
    puppet_deliver(stage, puppet, stage->out, size);
}

/* ---- what it did ---- */

void stage_forget(struct stage *stage)
{
    for (uint32_t i = 0; i < stage->n_sent; i++) free(stage->sent[i].bytes);
    stage->n_sent = stage->n_dials = stage->n_hangups = 0;
    memset(stage->told, 0, sizeof stage->told);
}

uint32_t stage_count(const struct stage *stage, enum sl_message_type type)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < stage->n_sent; i++) n += stage->sent[i].type == type;
    return n;
}

uint32_t stage_count_to(const struct stage *stage, enum sl_message_type type, uint32_t puppet)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < stage->n_sent; i++) n += stage->sent[i].type == type && stage->sent[i].to == puppet;
    return n;
}

const struct sent *stage_last(const struct stage *stage, enum sl_message_type type)
{
    for (uint32_t i = stage->n_sent; i-- > 0;)
        if (stage->sent[i].type == type) return &stage->sent[i];
    return NULL;
}

const struct sent *stage_last_to(const struct stage *stage, enum sl_message_type type, uint32_t puppet)
{
    for (uint32_t i = stage->n_sent; i-- > 0;)
        if (stage->sent[i].type == type && stage->sent[i].to == puppet) return &stage->sent[i];
    return NULL;
}

uint32_t stage_puppet(const struct stage *stage, const uint8_t id[32])
{
    if (sl_hash_equal(stage->self.id, id)) return PUPPET_SELF;
    for (uint32_t i = 0; i < stage->options.n_puppets; i++)
        if (sl_hash_equal(stage->puppets[i].id, id)) return i;
    return UINT32_MAX;
}

const struct sl_identity *stage_identity(const struct stage *stage, uint32_t puppet)
{
    return puppet == PUPPET_SELF ? &stage->self : &stage->puppets[puppet];
}

struct sl_status stage_status(const struct stage *stage)
{
    struct sl_status status;
    sl_node_status(stage->node, &status);
    return status;
}
