/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <math.h>
#include <stdalign.h>
#include <string.h>

#include "config/plan.h"
#include "core/core.h"
#include "share/block.h"

/* ---- helpers of the other files ---- */

void node_trace(struct sl_node *node, enum sl_trace_type type, const uint8_t *peer, int64_t a, int64_t b, int error)
{
    if (!node->config.trace.report) return;

    struct sl_trace_event event = {.type = type, .now_us = node->now_us, .epoch = node->epoch, .a = a, .b = b, .error = error};
    if (peer) memcpy(event.peer, peer, 32);
    node->config.trace.report(node->config.trace.context, &event);
}

uint64_t node_phase(const struct sl_node *node, double fraction)
{
    return node->epoch * node->config.epoch_us + (uint64_t)(fraction * (double)node->config.epoch_us);
}

bool node_has_left(const struct sl_node *node)
{
    return node->first_epoch == UINT64_MAX;
}

void node_gather(const struct sl_node *node, const float *from, float *to)
{
    for (uint32_t j = 0; j < node->n_block; j++) to[j] = from[node->block[j]];
}

void node_store(struct sl_node *node, enum sl_store_type type, const uint8_t *data, size_t size, uint64_t *ticket)
{
    if (node->actions.n_stores == STORES_MAX) return;

    *ticket = ++node->next_ticket;
    node->stores[node->actions.n_stores++] = (struct sl_store){.ticket = *ticket, .type = type, .data = data, .size = size};
}

bool node_verify(struct sl_node *node, const struct sl_envelope *envelope, const uint8_t sign_public[32])
{
    node->counters.signature_checks++;
    return sl_envelope_verify(envelope, sign_public);
}

struct sl_writer node_begin(struct sl_node *node, enum sl_message_type type, uint64_t epoch, const uint8_t cohort[32], size_t size_max)
{
    static const uint8_t no_cohort[32];
    size_t mark = node->out.used;
    uint8_t *bytes = sl_arena_take(&node->out, size_max, 1, 1);
    node->out.used = mark;                          /* node_seal() takes what the message really needs */
    return sl_envelope_begin(type, node->config.network_id, epoch, cohort ? cohort : no_cohort, node->self->id, bytes, bytes ? size_max : 0);
}

const uint8_t *node_seal(struct sl_node *node, struct sl_writer *writer, enum sl_message_type type, size_t *size)
{
    *size = sl_envelope_seal(writer, type, node->self->sign_secret);
    if (*size == 0) return NULL;

    node->counters.signatures_made += sl_message_is_signed(type);
    node->out.used += *size;
    return writer->bytes;
}

/* ---- memory ---- */

static size_t out_size(const struct sl_node *node)
{
    size_t message = (size_t)4 * (node->k < SL_CHUNK_ELEMENTS ? node->k : SL_CHUNK_ELEMENTS) + 1024;
    size_t session = (size_t)node->config.cohort_max_size * (SHARES_BASE + SHARES_EACH * node->config.cohort_max_size);     /* also forwarded ones */
    size_t release = node->unit == SL_UNIT_RECORD ? SL_RELEASE_HEAD + sizeof(float) * node->dim : 0;
    return state_size(node) + release + book_size_max(node) + 4 * message + 2 * (2048 + (size_t)node->config.cohort_max_size * 1024) + session + 65536;
}

static size_t scratch_size(const struct sl_node *node)
{
    size_t merge = epoch_merge_scratch(node);
    size_t block = node->k < node->dim ? sizeof(uint32_t) * node->dim : 0;
    size_t cohort = sizeof(float) * node->k;
    return (merge > block ? merge : block) + cohort + 4096;
}

/* Carves everything from the arena; with a counting arena it only measures. */
static bool carve(struct sl_node *node, struct sl_arena *arena, struct sl_rng *root)
{
    node->weights = SL_TAKE(arena, float, node->dim);
    node->work = SL_TAKE(arena, float, node->dim);
    node->anchor = SL_TAKE(arena, float, node->dim);
    node->block = SL_TAKE(arena, uint32_t, node->k);
    bool done = node->weights && node->work && node->anchor && node->block;
    if (node->unit == SL_UNIT_NODE) {
        node->release = SL_TAKE(arena, int32_t, node->k);
        node->lent_block = SL_TAKE(arena, uint32_t, node->k);
        done = done && node->release && node->lent_block;
    }
    done &= sl_view_init(&node->view, arena, node->config.view_size);
    done &= links_init(node, arena);
    done &= advert_init(node, arena);
    done &= formation_init(node, arena);
    done &= cohort_init(node, arena, sl_rng_fork(root, "session", 0));
    done &= pull_init(node, arena);

    size_t size = scratch_size(node);
    node->scratch = sl_arena_over(SL_RESERVE(arena, uint8_t, size), size);
    size = out_size(node);
    node->out = sl_arena_over(SL_RESERVE(arena, uint8_t, size), size);      /* a book is written rarely, and seldom a full one */
    return done && node->scratch.base && node->out.base;
}

static bool prepare(struct sl_node *node, const struct sl_config *config, const struct sl_model *model)
{
    node->config = *config;
    node->model = model;
    node->self = config->identity;
    node->unit = sl_unit_of(config);
    node->dim = model->dim(&config->shape);
    node->k = node->dim ? sl_block_size(config->block_size, node->dim) : 0;
    return node->dim > 0 && node->k > 0 && node->k <= SL_CHUNKS_MAX * SL_CHUNK_ELEMENTS && config->cohort_max_size <= SL_COHORT_MAX;
}

size_t sl_node_size(const struct sl_config *config, const struct sl_model *model)
{
    struct sl_node plan = {0};
    if (!prepare(&plan, config, model)) return 0;

    struct sl_arena counting = sl_arena_over(NULL, SIZE_MAX);
    struct sl_rng none = {0};
    (void)SL_TAKE(&counting, struct sl_node, 1);
    (void)carve(&plan, &counting, &none);
    return counting.used + alignof(struct sl_node);      /* room to align whatever the caller gives */
}

struct sl_node *sl_node_init(void *memory, size_t size, const struct sl_config *config, const struct sl_model *model,
                             const uint8_t run_seed[32])
{
    struct sl_arena arena = sl_arena_over(memory, size);
    struct sl_node *node = SL_TAKE(&arena, struct sl_node, 1);
    struct sl_rng root;
    sl_rng_init(&root, run_seed);
    if (!node || !prepare(node, config, model) || !carve(node, &arena, &root)) return NULL;

    node->size = (size_t)((uint8_t *)memory + size - (uint8_t *)node);
    node->draw = sl_rng_fork(&root, "draw", 0);
    node->keys = sl_rng_fork(&root, "keys", 0);
    node->rounding = sl_rng_fork(&root, "rounding", 0);
    node->seeds = sl_rng_fork(&root, "jobs", 0);
    node->members.rng = sl_rng_fork(&root, "membership", 0);
    sl_wipe(&root, sizeof root);

    uint8_t secret[16];
    sl_rng_bytes(&node->members.rng, secret, sizeof secret);
    sl_book_set_secret(&node->members.book, secret);
    node->members.expires_s = certificate_expiry(node, node->self->certificate, node->self->certificate_size);
    for (uint32_t i = 0; i < config->n_peers; i++) {
        if (sl_hash_equal(config->peers[i].id, node->self->id)) continue;
        if (sl_view_add(&node->view, &config->peers[i])) advert_admit_prepared(node, &config->peers[i]);
    }
    node->config.peers = NULL;
    node->config.n_peers = 0;
    for (uint32_t i = 0; i < DEADLINE_COUNT; i++) node->deadlines[i] = SL_NEVER;
    return node;
}

/* ---- the step ---- */

static void genesis(struct sl_node *node)
{
    struct sl_hash hash;
    uint8_t seed[32];
    sl_hash_init(&hash, "genesis");
    sl_hash_bytes(&hash, node->config.network_id, 32);
    sl_hash_final(&hash, seed);
    node->model->init(&node->config.shape, seed, node->weights);
    memcpy(node->anchor, node->weights, sizeof(float) * node->dim);
}

static void on_start(struct sl_node *node, const struct sl_event *event)
{
    assert(!node->started);

    node->started = true;
    genesis(node);
    int error = event->start.state_size > 0 ? state_read(node, event->start.state, event->start.state_size) : SL_OK;
    if (error != SL_OK) node_trace(node, SL_TRACE_STATE_UNREADABLE, NULL, 0, 0, error);
    error = event->start.book_size > 0 ? book_read(node, event->start.book, event->start.book_size) : SL_OK;
    if (error != SL_OK) node_trace(node, SL_TRACE_BOOK_UNREADABLE, NULL, 0, 0, error);

    uint64_t epoch = node->now_us / node->config.epoch_us;
    node->epoch = node->last_merge_epoch = epoch;
    budget_start(node, event);
    node->first_epoch = (epoch > node->saved_epoch ? epoch : node->saved_epoch) + 1;
    node_trace(node, SL_TRACE_STARTED, NULL, node->dim, 0, SL_OK);
    membership_start(node);
    epoch_begin(node, epoch);
}

static void on_deadline(struct sl_node *node, enum deadline purpose)
{
    switch (purpose) {
    case DEADLINE_PROPOSE:
    case DEADLINE_AGAIN:
    case DEADLINE_ANSWER:
    case DEADLINE_ROSTER:
    case DEADLINE_FORMED: formation_on_deadline(node, purpose); break;
    case DEADLINE_TRAIN: epoch_on_train_deadline(node); break;
    case DEADLINE_MOMENT: cohort_on_moment(node); break;
    case DEADLINE_ASK: cohort_on_ask(node); break;
    case DEADLINE_FETCH: transfer_on_deadline(node); break;
    case DEADLINE_PULL: pull_on_deadline(node); break;
    case DEADLINE_MERGE: epoch_on_merge(node); break;
    case DEADLINE_LINKS: links_on_epoch(node); break;
    case DEADLINE_ROUND: membership_on_round(node); break;
    case DEADLINE_EPOCH: epoch_begin(node, node->now_us / node->config.epoch_us); break;
    case DEADLINE_COUNT: assert(!"not a deadline");
    }
}

/* Handles what is due. A node that slept through whole epochs begins only the current one. */
static void run_deadlines(struct sl_node *node)
{
    if (node->deadlines[DEADLINE_EPOCH] <= node->now_us && node->now_us - node->deadlines[DEADLINE_EPOCH] >= node->config.epoch_us)
        epoch_begin(node, node->now_us / node->config.epoch_us);

    for (uint32_t i = 0; i < DEADLINE_COUNT; i++) {
        if (node->deadlines[i] > node->now_us) continue;
        node->deadlines[i] = SL_NEVER;
        on_deadline(node, (enum deadline)i);
    }
}

void node_refuse(struct sl_node *node, const struct link *link, int error)
{
    struct sl_view_peer *peer = link->known ? sl_view_find(&node->view, link->id) : NULL;
    node->counters.messages_refused++;
    if (peer) peer->refused++;
    node_trace(node, SL_TRACE_MALFORMED, link->known ? link->id : NULL, 0, 0, error);
}

static void dispatch(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    switch (envelope->type) {
    case SL_MESSAGE_HELLO: links_on_hello(node, link, envelope); break;
    case SL_MESSAGE_ADVERT: membership_on_advert(node, link, envelope); break;
    case SL_MESSAGE_VIEW_PULL: membership_on_view_pull(node, link, envelope); break;
    case SL_MESSAGE_VIEW: membership_on_view(node, link, envelope); break;
    case SL_MESSAGE_PING:
    case SL_MESSAGE_PONG: membership_on_ping(node, link, envelope); break;
    case SL_MESSAGE_PROPOSE: formation_on_propose(node, link, envelope); break;
    case SL_MESSAGE_JOIN: formation_on_join(node, link, envelope); break;
    case SL_MESSAGE_ROSTER: formation_on_roster(node, link, envelope); break;
    case SL_MESSAGE_RELEASED: formation_on_released(node, link, envelope); break;
    case SL_MESSAGE_REFUSE:
    case SL_MESSAGE_SHARES:
    case SL_MESSAGE_LIST:
    case SL_MESSAGE_COMMIT:
    case SL_MESSAGE_OPEN:
    case SL_MESSAGE_AUDIT:
    case SL_MESSAGE_CONFIRM:
    case SL_MESSAGE_UNMASK:
    case SL_MESSAGE_RESULT:
    case SL_MESSAGE_REVEAL:
    case SL_MESSAGE_NEED: cohort_on_message(node, link, envelope); break;
    case SL_MESSAGE_EVIDENCE: evidence_on_message(node, link, envelope); break;
    case SL_MESSAGE_AGGREGATE: pull_on_aggregate(node, link, envelope); break;
    case SL_MESSAGE_PULL: pull_on_request(node, link, envelope); break;
    case SL_MESSAGE_NONE: pull_on_none(node, link, envelope); break;
    case SL_MESSAGE_GET: transfer_on_get(node, link, envelope); break;
    case SL_MESSAGE_CHUNK: transfer_on_chunk(node, link, envelope); break;
    }
}

static void on_message(struct sl_node *node, const struct sl_event *event)
{
    struct link *link = links_find(node, event->message.link);
    if (!link || link->state != LINK_OPEN) return;

    node->counters.messages_received++;
    node->counters.bytes_received += event->message.size;
    link->used_us = link->heard_us = node->now_us;
    if (!links_take_quota(node, link)) return;

    struct sl_envelope envelope;
    int error = sl_envelope_open(event->message.data, event->message.size, node->config.network_id, &envelope);
    if (error == SL_OK && !link->known && envelope.type != SL_MESSAGE_HELLO) error = SL_ERROR_BAD_ARGUMENT;
    if (error != SL_OK) {
        node_refuse(node, link, error);
        return;
    }
    link->type_bytes_received[envelope.type] += event->message.size;
    struct sl_view_peer *peer = link->known ? sl_view_find(&node->view, link->id) : NULL;
    if (peer) {
        membership_on_alive(node, peer);
        peer->bytes_received += event->message.size;
        if (envelope.epoch > peer->epoch) peer->epoch = envelope.epoch;
    }
    dispatch(node, link, &envelope);
}

static void store_state(struct sl_node *node)
{
    uint64_t ticket;
    uint8_t *bytes = SL_TAKE(&node->out, uint8_t, state_size(node));
    if (!bytes) return;
    state_write(node, bytes);
    node_store(node, SL_STORE_PUT_STATE, bytes, state_size(node), &ticket);
}

static void on_control(struct sl_node *node, const struct sl_event *event)
{
    const uint8_t *peer = event->control.peer;
    switch (event->control.verb) {
    case SL_CONTROL_BAN:
        advert_ban(node, peer);
        node_trace(node, SL_TRACE_BANNED, peer, 0, 0, SL_OK);
        links_close_banned(node);                           /* also those of its guests */
        links_check_clock(node);
        book_save(node);
        break;
    case SL_CONTROL_UNBAN:
        advert_unban(node, peer);
        evidence_pardon(node, peer);
        links_check_clock(node);
        node_trace(node, SL_TRACE_UNBANNED, peer, 0, 0, SL_OK);
        book_save(node);
        break;
    case SL_CONTROL_LEAVE:
        node->acting = false;
        node->first_epoch = UINT64_MAX;
        cohort_leave(node);                                 /* before its keys are wiped */
        formation_end(node);
        node_trace(node, SL_TRACE_LEAVING, NULL, 0, 0, SL_OK);
        break;
    case SL_CONTROL_CHECKPOINT:
        store_state(node);
        book_save(node);
        break;
    }
}

static void on_stop(struct sl_node *node)
{
    store_state(node);
    book_save(node);
    links_close_all(node);
    node->stopped = true;
    for (uint32_t i = 0; i < DEADLINE_COUNT; i++) node->deadlines[i] = SL_NEVER;
}

static void reset_actions(struct sl_node *node)
{
    node->scratch.used = 0;
    node->out.used = 0;
    node->actions = (struct sl_actions){
        .stores = node->stores, .dials = node->dials, .sends = node->sends, .hangups = node->hangups, .deadline_us = SL_NEVER};
}

/* It takes part and its clock is right, yet nothing came to merge for more than four epochs. */
static bool merges_nothing(const struct sl_node *node)
{
    bool takes_part = node->first_epoch <= node->epoch && node->clock_peers == 0;
    return takes_part && node->epoch - node->first_epoch > 4 && node->epoch - node->last_merge_epoch > 4;
}

static void tell_if_stalled(struct sl_node *node)
{
    bool stalled = merges_nothing(node);
    if (stalled && !node->told_stalled)
        node_trace(node, SL_TRACE_STALLED, NULL, (int64_t)(node->epoch - node->last_merge_epoch), sl_view_count_live(&node->view), SL_OK);
    node->told_stalled = stalled;
}

void sl_node_step(struct sl_node *node, const struct sl_event *event, struct sl_actions *actions)
{
    assert(event->now_us >= node->now_us);                  /* the driver's clock never goes back */
    assert(node->started || event->type == SL_EVENT_START);

    node->now_us = event->now_us;
    reset_actions(node);
    if (!node->stopped) {
        if (node->started) run_deadlines(node);
        if (node->started) tell_if_stalled(node);
        switch (event->type) {
        case SL_EVENT_START: on_start(node, event); break;
        case SL_EVENT_TICK: break;
        case SL_EVENT_LINK: links_on_change(node, event); break;
        case SL_EVENT_MESSAGE: on_message(node, event); break;
        case SL_EVENT_STORED: epoch_on_stored(node, event->stored.ticket, event->stored.error); break;
        case SL_EVENT_DONE: epoch_on_done(node, &event->done); break;
        case SL_EVENT_CONTROL: on_control(node, event); break;
        case SL_EVENT_STOP: on_stop(node); break;
        }
    }
    for (uint32_t i = 0; i < DEADLINE_COUNT; i++)
        if (node->deadlines[i] < node->actions.deadline_us) node->actions.deadline_us = node->deadlines[i];
    *actions = node->actions;
}

/* ---- what others may see ---- */

const float *sl_node_weights(const struct sl_node *node)
{
    return node->weights;
}

/* snprintf is not for the core: joins words and numbers. */
static void say(char *text, size_t size, const char *const pieces[], const uint64_t numbers[])
{
    size_t length = 0;
    for (uint32_t i = 0; pieces[i]; i++) {
        for (const char *at = pieces[i]; *at; at++) {
            char digits[24], *digit = digits + sizeof digits - 1;
            *digit = 0;
            if (*at == '#') {
                uint64_t number = numbers[i];
                do *--digit = (char)('0' + number % 10); while (number /= 10);
            } else {
                *--digit = *at;
            }
            for (; *digit && length + 1 < size; digit++) text[length++] = *digit;
        }
    }
    text[length] = 0;
}

static bool has_expired(const struct sl_node *node)
{
    return node->members.expires_s && node->members.expires_s < node->now_us / 1000000;
}

static void explain(const struct sl_node *node, struct sl_status *out)
{
    uint64_t since = node->epoch - node->last_merge_epoch;
    bool is_settled = node->started && node->now_us - node->members.started_us >= node->config.epoch_us;
    if (node_has_left(node)) {
        say(out->reason, sizeof out->reason, (const char *[]){"it was told to leave", NULL}, (uint64_t[]){0});
    } else if (node->first_epoch > node->epoch + 1) {
        say(out->reason, sizeof out->reason, (const char *[]){"its state was saved # epochs in the future: check the clock", NULL},
            (uint64_t[]){node->first_epoch - 1 - node->epoch});
    } else if (has_expired(node)) {
        say(out->reason, sizeof out->reason, (const char *[]){"its certificate expired: ask for a new invite", NULL}, (uint64_t[]){0});
    } else if (node->clock_peers > 0) {
        say(out->reason, sizeof out->reason, (const char *[]){"its clock is # s off", " against # peers", NULL},
            (uint64_t[]){(uint64_t)(node->clock_off_s < 0 ? -node->clock_off_s : node->clock_off_s), node->clock_peers});
    } else if (is_settled && out->peers_known == 0 && node->config.n_seeds == 0) {
        say(out->reason, sizeof out->reason, (const char *[]){"alone: nobody else is known; # others are needed for a cohort", NULL},
            (uint64_t[]){node->config.cohort_min_size - 1});
    } else if (is_settled && links_count_known(node) == 0 && node->config.n_seeds > 0 && out->peers_known == 0) {
        say(out->reason, sizeof out->reason,
            (const char *[]){"no peer reachable: # of", " # seeds answer; does a node run there, and is the invite still unused?", NULL},
            (uint64_t[]){membership_count_seeds(node), node->config.n_seeds});
    } else if (is_settled && links_count_known(node) == 0 && node->config.n_seeds > 0) {
        say(out->reason, sizeof out->reason, (const char *[]){"no peer reachable: # of", " # seeds answer", NULL},
            (uint64_t[]){membership_count_seeds(node), node->config.n_seeds});
    } else if (merges_nothing(node) && out->peers_live + 1 >= node->config.cohort_min_size) {
        say(out->reason, sizeof out->reason, (const char *[]){"nothing merged for # epochs", " though # peers are reachable: no cohort was agreed", NULL},
            (uint64_t[]){since, out->peers_live});
    } else if (merges_nothing(node)) {
        say(out->reason, sizeof out->reason, (const char *[]){"nothing merged for # epochs:", " # peers reachable,", " # needed for a cohort", NULL},
            (uint64_t[]){since, out->peers_live, node->config.cohort_min_size - 1});
    } else {
        if (budget_reason(node)) say(out->reason, sizeof out->reason, (const char *[]){budget_reason(node), NULL}, (uint64_t[]){0});
        return;
    }
    out->stalled = true;
}

void sl_node_status(const struct sl_node *node, struct sl_status *out)
{
    *out = node->counters;
    memcpy(out->id, node->self->id, 32);
    out->epoch = node->epoch;
    out->first_epoch = node->first_epoch;
    out->dim = node->dim;
    out->peers_known = node->view.n_peers;
    out->peers_live = sl_view_count_live(&node->view);
    out->links_up = out->links_inbound = out->links_outbound = 0;
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        const struct link *link = &node->links.all[i];
        if (link->state != LINK_OPEN) continue;
        out->links_up++;
        if (links_is_inbound(link)) out->links_inbound++;
        else out->links_outbound++;
    }
    out->peers_banned = node->members.n_banned;
    out->view_covers = group_is_known(node);
    out->book_new = node->members.book.n_new;
    out->book_tried = node->members.book.n_tried;
    out->clock_off_s = node->clock_off_s;
    out->clock_peers = node->clock_peers;
    out->last_merge_epoch = out->epochs_merged > 0 ? node->last_merge_epoch : 0;
    out->sharing_radius = epoch_radius(node);
    explain(node, out);
}

static enum sl_peer_state state_of(const struct sl_view_peer *peer, const struct link *link, bool is_dialing)
{
    if (peer->banned) return SL_PEER_BANNED;
    if (link) return SL_PEER_LINKED;
    if (is_dialing) return SL_PEER_DIALING;
    if (!sl_view_is_live(peer)) return SL_PEER_DEAD;
    return peer->misses > 0 ? SL_PEER_SUSPECT : SL_PEER_IDLE;
}

/* The newest open link, and whether one is being dialled. */
static const struct link *link_of(const struct sl_node *node, const uint8_t id[32], bool *is_dialing)
{
    const struct link *newest = NULL;
    *is_dialing = false;
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        const struct link *link = &node->links.all[i];
        if (link->state == LINK_FREE || !sl_hash_equal(link->id, id)) continue;
        if (link->state != LINK_OPEN || !link->known) *is_dialing = true;
        else if (!newest || link->opened_us >= newest->opened_us) newest = link;
    }
    return newest;
}

void sl_node_peer(const struct sl_node *node, uint32_t i, struct sl_peer_status *out)
{
    assert(i < node->view.n_peers);
    const struct sl_view_peer *peer = &node->view.peers[i];
    bool is_dialing;
    const struct link *link = link_of(node, peer->id, &is_dialing);
    *out = (struct sl_peer_status){.state = state_of(peer, link, is_dialing), .heard_us = peer->heard_us, .epoch = peer->epoch, .rtt_us = peer->rtt_us,
                                   .bytes_sent = peer->bytes_sent, .bytes_received = peer->bytes_received, .refused = peer->refused,
                                   .expires_s = peer->expires_s == UINT64_MAX ? 0 : peer->expires_s};
    memcpy(out->id, peer->id, 32);
    memcpy(out->transport_public, peer->transport_public, 32);
    memcpy(out->name, peer->name, sizeof out->name);
    memcpy(out->address, peer->address, sizeof out->address);
    if (!link) return;

    out->outbound = !links_is_inbound(link);
    out->linked_us = link->opened_us;
    memcpy(out->type_bytes_sent, link->type_bytes_sent, sizeof out->type_bytes_sent);
    memcpy(out->type_bytes_received, link->type_bytes_received, sizeof out->type_bytes_received);
}

const char *sl_peer_state_name(enum sl_peer_state state)
{
    static const char *const names[] = {"linked", "dialing", "idle", "suspect", "dead", "banned"};
    return names[state];
}

void sl_node_finish(struct sl_node *node)
{
    sl_wipe(node, node->size);
}
