/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/core.h"
#include "starling/error.h"

/*
 * Whom to look for, and when: the rounds in which a node asks others for peers, dials those it has not met, knocks at its seeds, and notices that links have
 * gone silent or the network has been cut. All periods follow the epoch where that is short.
 */

enum {
    YOUNG_EPOCHS = 10,               /* of a run */
    HURRY_EPOCHS = 10,               /* after a loss */
    LONELY_EPOCHS = 3,               /* without a roster */
    ENOUGH_LINKS = 4,                /* with fewer the book and the seeds are dialled */
    DIALS_PER_ROUND = 8, TRIED_PER_ROUND = 4, DEAD_PER_ROUND = 2,
    SMALL_NETWORK = 15,              /* others: all are met at once */
    QUIET_VIEWS = 3,                 /* answers without news, after which fewer ADVERTs are asked for, less often */
    QUIET_WANTED = 4,
    PUSH_TARGETS = 4,                /* connections that hear of a newcomer at once */
    ANNOUNCED_MAX = 16,              /* newcomers that are told to them, per round */
    PINGS_PER_EPOCH = 8,
    SILENT_EPOCHS = 2,               /* of one without address and connection, before each further epoch is a miss */
    GROUPS_WANTED = 4, GROUP_CHECK_EPOCHS = 10,
    HELLO_PATIENCE_US = 3000000, REST_US = 30000000, REST_DOUBLINGS = 6
};

bool membership_is_young(const struct sl_node *node)
{
    return node->epoch < node->members.first_epoch + YOUNG_EPOCHS;
}

static bool is_in_hurry(const struct sl_node *node)
{
    bool learns = membership_is_young(node) && node->members.n_quiet < QUIET_VIEWS;
    return learns || node->epoch < node->members.hurry_epoch;
}

static uint64_t shorter(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t rest_us(const struct sl_node *node)
{
    return shorter(REST_US, node->config.epoch_us / 2);
}

static void plan_round(struct sl_node *node, uint64_t period_us)
{
    double jitter = .8 + .4 * sl_rng_uniform(&node->members.rng);
    node->members.next_round_us = node->now_us + (uint64_t)((double)period_us * jitter) + 1;
    node->deadlines[DEADLINE_ROUND] = node->members.next_round_us;
}

static void search(struct sl_node *node)
{
    if (node->epoch >= node->members.hurry_epoch)
        node_trace(node, SL_TRACE_SEARCHING, NULL, sl_view_count_live(&node->view), node->view.n_peers, SL_OK);
    node->members.hurry_epoch = node->epoch + HURRY_EPOCHS;
}

/* ---- dialling ---- */

static void meet(struct sl_node *node, const struct sl_view_peer *peer)
{
    struct contact contact = contact_of(peer);
    links_dial(node, &contact);
}

static bool is_met(struct sl_node *node, const struct sl_view_peer *peer)
{
    return links_to(node, peer->id) != NULL;
}

static bool is_small(const struct sl_node *node)
{
    return group_is_known(node) && node->view.n_peers <= SMALL_NETWORK && node->view.n_peers + ENOUGH_LINKS <= node->links.n_max;
}

/* All of a small network. Of two who have met before the one with the lower id dials, so that there is one connection. */
static void meet_all(struct sl_node *node)
{
    for (uint32_t i = 0, n = 0; i < node->view.n_peers && n < DIALS_PER_ROUND; i++) {
        const struct sl_view_peer *peer = &node->view.peers[i];
        bool is_ours = !peer->proven || memcmp(node->self->id, peer->id, 32) < 0;
        if (!sl_view_is_live(peer) || peer->misses > 0 || !is_ours || is_met(node, peer)) continue;
        meet(node, peer);
        n++;
    }
}

/* A newcomer is of use where it is known: it introduces itself to those who will stand next to it on the ring of the coming epoch. */
static void meet_neighbours(struct sl_node *node)
{
    const struct sl_view_peer *nearest[DIALS_PER_ROUND];
    uint64_t distances[DIALS_PER_ROUND], own = sl_ring_position(node->config.network_id, node->epoch + 1, node->self->id);
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->view.n_peers; i++) {
        const struct sl_view_peer *peer = &node->view.peers[i];
        if (peer->proven || !sl_view_is_live(peer) || is_met(node, peer)) continue;
        uint64_t ahead = sl_ring_position(node->config.network_id, node->epoch + 1, peer->id) - own, distance = ahead < -ahead ? ahead : -ahead;
        if (n == DIALS_PER_ROUND && distance >= distances[n - 1]) continue;
        uint32_t at = n < DIALS_PER_ROUND ? n++ : n - 1;
        for (; at > 0 && distances[at - 1] > distance; at--) {
            nearest[at] = nearest[at - 1];
            distances[at] = distances[at - 1];
        }
        nearest[at] = peer;
        distances[at] = distance;
    }
    for (uint32_t i = 0; i < n; i++) meet(node, nearest[i]);
}

static void dial_entry(struct sl_node *node, struct sl_book_entry *entry)
{
    struct contact contact = {.id = entry->descriptor.id, .transport_public = entry->descriptor.transport_public, .address = entry->descriptor.address};
    entry->dialled_us = node->now_us;           /* also when it is linked already: it shall rest */
    links_dial(node, &contact);
}

static void dial_book(struct sl_node *node, bool is_tried, uint32_t n)
{
    struct sl_book_entry *entry;
    for (; n > 0 && (entry = sl_book_draw(&node->members.book, &node->members.rng, is_tried, node->now_us, rest_us(node))); n--) dial_entry(node, entry);
}

static uint32_t count_seeds(const struct sl_node *node)
{
    return node->config.n_seeds < SEEDS_MAX ? node->config.n_seeds : SEEDS_MAX;
}

uint32_t membership_count_seeds(const struct sl_node *node)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count_seeds(node); i++) n += node->members.seeds[i].answered;
    return n;
}

static void dial_seeds(struct sl_node *node)
{
    for (uint32_t i = 0; i < count_seeds(node); i++) {
        const struct sl_seed *seed = &node->config.seeds[i];
        struct seed_state *state = &node->members.seeds[i];
        bool is_ours = sl_hash_equal(seed->transport_public, node->self->transport_public);
        if (is_ours || state->next_us > node->now_us || links_to_key(node, seed->transport_public)) continue;
        if (state->link && links_find(node, state->link)) continue;             /* on its way */

        uint32_t doublings = state->failures < REST_DOUBLINGS ? state->failures : REST_DOUBLINGS;
        state->next_us = node->now_us + (rest_us(node) << doublings);
        state->link = links_dial_seed(node, seed);
        state->answered = false;
        state->failures++;
    }
}

static void dial_dead(struct sl_node *node, uint32_t n)
{
    const struct sl_view_peer *peer;
    for (; n > 0 && (peer = sl_view_draw_dead(&node->view, &node->members.rng)); n--) meet(node, peer);
}

static void look_for_peers(struct sl_node *node)
{
    if (is_small(node)) meet_all(node);
    else if (membership_is_young(node)) meet_neighbours(node);

    bool is_hurried = node->epoch < node->members.hurry_epoch;
    bool is_cut = 10 * sl_view_count_live(&node->view) < 7 * node->view.n_peers;
    if (is_hurried || is_cut) dial_dead(node, is_hurried ? 2 * DEAD_PER_ROUND : DEAD_PER_ROUND);
    if (links_count_known(node) >= ENOUGH_LINKS && !is_hurried) return;

    dial_book(node, true, TRIED_PER_ROUND);
    dial_book(node, false, TRIED_PER_ROUND / 2);
    dial_seeds(node);
}

/* ---- asking ---- */

/* Among the live the one that was asked least recently; those with a connection first while we are in need. */
static struct sl_view_peer *choose_to_ask(struct sl_node *node)
{
    struct sl_view_peer *chosen = NULL;
    for (uint32_t i = 0, n_equal = 0; i < node->view.n_peers; i++) {
        struct sl_view_peer *peer = &node->view.peers[i];
        if (!sl_view_is_live(peer) || peer->misses > 0) continue;
        if (chosen && peer->asked_us > chosen->asked_us) continue;
        n_equal = chosen && peer->asked_us == chosen->asked_us ? n_equal + 1 : 1;
        if (sl_rng_below(&node->members.rng, n_equal) == 0) chosen = peer;
    }
    return chosen;
}

static void tell_own_advert(struct sl_node *node, struct link *link)
{
    size_t size;
    const uint8_t *bytes = advert_own(node, &size);
    if (!bytes || link->told_s == node->members.advert_made_s) return;
    links_send(node, link, bytes, size);
    link->told_s = node->members.advert_made_s;
}

static void ask(struct sl_node *node, const struct contact *to)
{
    size_t size;
    struct sl_view_pull body = {.n_wanted = node->members.n_quiet < QUIET_VIEWS ? SL_ADVERTS_MAX : QUIET_WANTED};
    struct sl_writer writer = node_begin(node, SL_MESSAGE_VIEW_PULL, node->epoch, NULL, 256);
    sl_write_view_pull(&writer, &body);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_VIEW_PULL, &size);
    struct link *link = links_to(node, to->id);
    links_send_to(node, to, bytes, size);
    if (link) tell_own_advert(node, link);
}

static void ask_somebody(struct sl_node *node)
{
    struct sl_view_peer *peer = choose_to_ask(node);
    if (!peer) return;
    peer->asked_us = node->now_us;
    struct contact contact = contact_of(peer);
    ask(node, &contact);
}

/* ---- the round ---- */

/* Strangers that connected and do not say who they are, and our own dials whose peer does not. */
static void close_silent_strangers(struct sl_node *node)
{
    uint64_t half_us = node->config.epoch_us / 2, patience_us = half_us > HELLO_PATIENCE_US ? half_us : HELLO_PATIENCE_US;
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        struct link *link = &node->links.all[i];
        if (link->state == LINK_OPEN && !link->known && node->now_us - link->opened_us > patience_us) links_close(node, link);
    }
}

void membership_on_round(struct sl_node *node)
{
    uint64_t epoch_us = node->config.epoch_us, calm_us = shorter(node->config.view_pull, epoch_us);
    node->members.n_pushes = node->members.n_announced = 0;
    node->members.round++;
    close_silent_strangers(node);
    links_greet_again(node);
    look_for_peers(node);
    ask_somebody(node);
    plan_round(node, is_in_hurry(node) ? shorter(calm_us, epoch_us / 5) : calm_us);
}

/* ---- what others say ---- */

/* A newcomer is told to a few who may not know it: it has proven itself, so its ADVERT may be passed on. One word of it makes four of ours, so each is told
 * once an epoch, and a few a round. */
static void announce(struct sl_node *node, const struct link *from)
{
    struct relay *relay = NULL;
    struct link *chosen[PUSH_TARGETS];
    uint32_t n_seen = 0;
    for (uint32_t i = 0; i < node->members.n_relays && !relay; i++)
        if (sl_hash_equal(node->members.relays[i].id, from->id)) relay = &node->members.relays[i];
    if (!relay || relay->size == 0 || node->epoch < relay->quiet_until || node->members.n_announced == ANNOUNCED_MAX) return;
    relay->quiet_until = node->epoch + 1;
    node->members.n_announced++;

    for (uint32_t i = 0; i < node->links.n_max; i++) {
        struct link *link = &node->links.all[i];
        if (link->state != LINK_OPEN || !link->known || link == from || sl_hash_equal(link->id, from->id)) continue;
        uint32_t at = n_seen++ < PUSH_TARGETS ? n_seen - 1 : sl_rng_below(&node->members.rng, n_seen);
        if (at < PUSH_TARGETS) chosen[at] = link;
    }
    uint8_t *bytes = SL_TAKE(&node->out, uint8_t, relay->size);
    if (!bytes) return;
    memcpy(bytes, relay->bytes, relay->size);
    for (uint32_t i = 0; i < n_seen && i < PUSH_TARGETS; i++) links_send(node, chosen[i], bytes, relay->size);
}

void membership_on_introduced(struct sl_node *node, struct link *link, bool is_new)
{
    struct membership *members = &node->members;
    for (uint32_t i = 0; i < count_seeds(node); i++) {
        if (!sl_hash_equal(node->config.seeds[i].transport_public, link->key)) continue;
        members->seeds[i].answered = true;
        members->seeds[i].failures = 0;
    }
    if (!is_new) return;

    announce(node, link);
    bool is_hungry = is_in_hurry(node) && link->pulled_us == 0;
    struct sl_view_peer *peer = sl_view_find(&node->view, link->id);
    struct contact contact = {.id = link->id, .transport_public = link->key, .address = ""};
    if (peer && is_hungry) peer->asked_us = node->now_us;
    if (is_hungry) ask(node, &contact);
}

/* One that was thought dead is back: then others may be, too. */
void membership_on_alive(struct sl_node *node, struct sl_view_peer *peer)
{
    bool was_dead = !sl_view_is_live(peer) && !peer->banned;
    peer->misses = 0;
    peer->heard_us = node->now_us;
    if (!was_dead || node->deadlines[DEADLINE_ROUND] == SL_NEVER) return;

    bool is_cut = 10 * sl_view_count_live(&node->view) < 7 * node->view.n_peers;
    if (is_cut) dial_dead(node, DIALS_PER_ROUND);
}

static void refuse(struct sl_node *node, const struct link *link, int error)
{
    node->counters.messages_refused++;
    struct sl_view_peer *peer = sl_view_find(&node->view, link->id);
    if (peer) peer->refused++;
    node_trace(node, SL_TRACE_MALFORMED, link->id, 0, 0, error);
}

/* Only of whom we dialled do we know where it is. */
static const char *source_of(const struct sl_node *node, const struct link *link)
{
    const struct sl_view_peer *peer = links_is_inbound(link) ? NULL : sl_view_find(&node->view, link->id);
    return peer ? peer->address : "";
}

/* Counted in the view, where the peer stands there: a new connection brings no new allowance. */
static struct sl_view_pushes *pushes_of(struct sl_node *node, struct link *link)
{
    struct sl_view_peer *peer = sl_view_find(&node->view, link->id);
    struct sl_view_pushes *pushes = peer ? &peer->pushes : &link->pushes;
    if (pushes->round != node->members.round) *pushes = (struct sl_view_pushes){.round = node->members.round};
    return pushes;
}

/* Nobody asked for it: only a few a round may cost us a look at a signature, and of those one peer has not all. What it says of itself over its own
 * connection is heard always, once an epoch. */
void membership_on_advert(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    uint64_t checks = node->counters.signature_checks;
    struct sl_view_pushes *pushes = pushes_of(node, link);
    bool is_news, is_own = !link->has_told && sl_hash_equal(envelope->from, link->id), is_ours = sl_hash_equal(envelope->from, node->self->id);
    if (!is_own && !is_ours && (node->members.n_pushes >= PUSHES_MAX || pushes->n >= PUSHES_OF_ONE_MAX)) return;

    int error = advert_take(node, envelope->bytes, envelope->size, source_of(node, link), &is_news);
    bool is_counted = node->counters.signature_checks != checks;
    if (is_own) {
        link->has_told |= is_counted;
    } else if (!is_ours) {
        node->members.n_pushes += is_counted;
        pushes->n += is_counted;
    }
    if (error != SL_OK) refuse(node, link, error);
}

void membership_on_view_pull(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct sl_view_pull body;
    struct sl_view_adverts adverts;
    int error = sl_read_view_pull(envelope, &body);
    if (error != SL_OK) refuse(node, link, error);
    if (error != SL_OK || link->n_answered >= PULLS_ANSWERED_MAX) return;

    link->n_answered++;
    advert_choose(node, link, body.n_wanted, &adverts);
    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_VIEW, node->epoch, NULL, 20480);
    sl_write_view_adverts(&writer, &adverts);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_VIEW, &size);
    links_send(node, link, bytes, size);
}

/* Smoothed as TCP does. */
static void measure(struct sl_node *node, const struct link *link, uint64_t since_us)
{
    struct sl_view_peer *peer = sl_view_find(&node->view, link->id);
    uint64_t now_us = node->now_us - since_us, sample = now_us < UINT32_MAX / 8 ? now_us : UINT32_MAX / 8;
    if (peer) peer->rtt_us = peer->rtt_us ? (uint32_t)((7 * (uint64_t)peer->rtt_us + sample) / 8) : (uint32_t)sample;
}

void membership_on_view(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct membership *members = &node->members;
    struct sl_view_adverts adverts;
    int error = link->pulled_us == 0 ? SL_ERROR_BAD_ARGUMENT : sl_read_view_adverts(envelope, &adverts);
    if (error != SL_OK) {
        refuse(node, link, error);
        return;
    }
    measure(node, link, link->pulled_us);
    link->pulled_us = 0;
    uint32_t n_news = 0;
    for (uint32_t i = 0; i < adverts.n_adverts; i++) {
        bool is_news;
        error = advert_take(node, adverts.adverts[i].bytes, adverts.adverts[i].size, source_of(node, link), &is_news);
        n_news += is_news;
        if (error != SL_OK) refuse(node, link, error);
        bool is_careless = error == SL_ERROR_BAD_SIGNATURE || error == SL_ERROR_BAD_CERTIFICATE;
        if (is_careless || error == SL_ERROR_MALFORMED || error == SL_ERROR_TRUNCATED) break;           /* it has not looked itself */
    }
    members->n_quiet = n_news > 0 ? 0 : members->n_quiet + 1;
    members->is_learning = membership_is_young(node) && 2 * n_news > adverts.n_adverts && adverts.n_adverts >= SL_ADVERTS_MAX / 2;
    if (n_news > 0) look_for_peers(node);
}

void membership_on_ping(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct sl_ping body;
    int error = sl_read_ping(envelope, envelope->type, &body);
    if (error != SL_OK) {
        refuse(node, link, error);
        return;
    }
    if (envelope->type == SL_MESSAGE_PONG) {
        if (link->ping_us && body.nonce == link->ping_nonce) measure(node, link, link->ping_us);
        link->ping_us = 0;
        return;
    }
    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_PONG, node->epoch, NULL, 256);
    sl_write_ping(&writer, &body);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_PONG, &size);
    links_send(node, link, bytes, size);
}

/* ---- the epoch ---- */

static void ping(struct sl_node *node, struct link *link)
{
    size_t size;
    struct sl_ping body = {.nonce = sl_rng_u64(&node->members.rng)};
    struct sl_writer writer = node_begin(node, SL_MESSAGE_PING, node->epoch, NULL, 256);
    sl_write_ping(&writer, &body);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_PING, &size);
    links_send(node, link, bytes, size);
    link->ping_nonce = body.nonce;
    link->ping_us = node->now_us;
}

static bool is_silent(const struct link *link)
{
    return link->state == LINK_OPEN && link->known && link->ping_us > 0 && link->heard_us < link->ping_us;
}

static void miss(struct sl_node *node, struct link *link)
{
    struct sl_view_peer *peer = sl_view_find(&node->view, link->id);
    if (peer && peer->misses < UINT32_MAX) peer->misses++;
    if (!peer || peer->misses >= SL_VIEW_MISSES_DEAD) links_close(node, link);
}

/* Nobody can look for those without an address: they are missed when they have neither a connection nor said anything for a while. */
static void judge_unreachable(struct sl_node *node)
{
    for (uint32_t i = 0; i < node->view.n_peers; i++) {
        struct sl_view_peer *peer = &node->view.peers[i];
        uint64_t since_us = peer->heard_us > node->members.started_us ? peer->heard_us : node->members.started_us;
        bool is_missed = !peer->address[0] && sl_view_is_live(peer) && node->now_us - since_us > SILENT_EPOCHS * node->config.epoch_us;
        if (is_missed && !links_to(node, peer->id)) peer->misses++;
    }
}

/* Who did not answer the PING of the epoch before has missed one. When many miss at once it is more likely us: that is no evidence against anybody. */
static void judge_silence(struct sl_node *node)
{
    uint32_t n_silent = 0, n_known = links_count_known(node);
    for (uint32_t i = 0; i < node->links.n_max; i++) n_silent += is_silent(&node->links.all[i]);
    bool is_us = n_silent > 1 && 10 * n_silent > 3 * n_known;
    if (is_us) node_trace(node, SL_TRACE_BLAMES_ITSELF, NULL, n_silent, n_known, SL_OK);
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        struct link *link = &node->links.all[i];
        if (is_silent(link) && !is_us) miss(node, link);
        link->ping_us = 0;
        link->n_answered = link->n_evidence = 0;
        link->has_told = false;
    }
}

static void ping_idle(struct sl_node *node)
{
    uint32_t n = 0, from = sl_rng_below(&node->members.rng, node->links.n_max);
    for (uint32_t i = 0; i < node->links.n_max && n < PINGS_PER_EPOCH; i++) {
        struct link *link = &node->links.all[(from + i) % node->links.n_max];
        bool is_idle = link->state == LINK_OPEN && link->known && node->now_us - link->heard_us >= node->config.epoch_us;
        if (!is_idle) continue;
        ping(node, link);
        n++;
    }
}

/* Losing half of the live within two epochs, or finding no cohort for three: the network may be cut, or we from it. */
static void notice_loss(struct sl_node *node)
{
    struct membership *members = &node->members;
    uint32_t live = sl_view_count_live(&node->view);
    bool has_lost = members->n_live[1] >= ENOUGH_LINKS && 2 * live <= members->n_live[1];
    bool takes_part = node->first_epoch <= node->epoch && node->clock_peers == 0;
    uint64_t since = members->cohort_epoch > node->first_epoch ? members->cohort_epoch : node->first_epoch;
    bool is_lonely = takes_part && node->epoch > since + LONELY_EPOCHS;
    members->n_live[1] = members->n_live[0];
    members->n_live[0] = live;
    if (has_lost || is_lonely) search(node);
}

/* Many outgoing links into few networks: whoever owns those networks would be all we see. Links to local addresses say nothing if those are free. */
static void check_groups(struct sl_node *node)
{
    uint64_t groups[GROUPS_WANTED];
    uint32_t n_groups = 0, n_links = 0;
    if (node->epoch % GROUP_CHECK_EPOCHS != 0) return;

    for (uint32_t i = 0; i < node->links.n_max && n_groups < GROUPS_WANTED; i++) {
        const struct link *link = &node->links.all[i];
        const struct sl_view_peer *peer = link->state == LINK_OPEN && link->known && !links_is_inbound(link) ? sl_view_find(&node->view, link->id) : NULL;
        if (!peer) continue;
        uint64_t wide = sl_group_of(peer->address, peer->id, node->members.book.local_is_free).wide;
        uint32_t at = 0;
        while (at < n_groups && groups[at] != wide) at++;
        if (at == n_groups) groups[n_groups++] = wide;
        n_links++;
    }
    if (n_groups >= GROUPS_WANTED || n_links < 2 * GROUPS_WANTED) return;
    node_trace(node, SL_TRACE_FEW_GROUPS, NULL, n_groups, n_links, SL_OK);
    dial_book(node, true, TRIED_PER_ROUND);
    dial_book(node, false, TRIED_PER_ROUND);
}

void membership_start(struct sl_node *node)
{
    struct membership *members = &node->members;
    members->started_us = node->now_us;
    members->first_epoch = node->now_us / node->config.epoch_us;
    members->cohort_epoch = members->first_epoch;
    members->book_saved_us = node->now_us;
    if (node->view.overflowed) members->outsider_epoch = members->first_epoch;
    advert_mark_banned(node);
    if (node->view.n_peers == 0 || members->book.n_tried == 0) dial_seeds(node);
    plan_round(node, shorter(node->config.view_pull, node->config.epoch_us / 20));
}

void membership_on_epoch(struct sl_node *node)
{
    node->deadlines[DEADLINE_ROUND] = node->members.next_round_us;
    turnover(node);
    notice_loss(node);
    judge_silence(node);
    judge_unreachable(node);
    ping_idle(node);
    if (!is_small(node)) dial_book(node, false, node->config.view_feelers);
    check_groups(node);
    if (book_is_due(node)) book_save(node);
}
