/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/core.h"
#include "starling/error.h"
#include "wire/certificate.h"

enum { HELLO_MAX = 2048, ADVERT_MAX = 1024 };

bool links_init(struct sl_node *node, struct sl_arena *arena)
{
    struct links *links = &node->links;
    links->n_max = node->config.link_max;
    links->n_waiting_max = node->config.outbox_size;
    links->next_number = 1;
    links->all = SL_TAKE(arena, struct link, links->n_max);
    links->waiting = SL_TAKE(arena, struct waiting, links->n_waiting_max);
    return links->all && links->waiting;
}

struct contact contact_of(const struct sl_view_peer *peer)
{
    return (struct contact){.id = peer->id, .transport_public = peer->transport_public, .address = peer->address};
}

struct link *links_find(struct sl_node *node, uint32_t number)
{
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        struct link *link = &node->links.all[i];
        if (link->state != LINK_FREE && link->number == number) return link;
    }
    return NULL;
}

/* Of several connections the newest: after a restart of the peer the older ones lead nowhere. */
struct link *links_to(struct sl_node *node, const uint8_t id[32])
{
    struct link *newest = NULL;
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        struct link *link = &node->links.all[i];
        if (link->state != LINK_OPEN || !link->known || !sl_hash_equal(link->id, id)) continue;
        if (!newest || link->opened_us >= newest->opened_us) newest = link;
    }
    return newest;
}

static bool is_dialing(const struct sl_node *node, const uint8_t id[32])
{
    for (uint32_t i = 0; i < node->links.n_max; i++)
        if (node->links.all[i].state == LINK_DIALING && sl_hash_equal(node->links.all[i].id, id)) return true;
    return false;
}

static void hang_up(struct sl_node *node, uint32_t number)
{
    if (node->actions.n_hangups < HANGUPS_MAX) node->hangups[node->actions.n_hangups++] = number;
}

void links_close(struct sl_node *node, struct link *link)
{
    hang_up(node, link->number);
    *link = (struct link){0};
}

void links_close_all(struct sl_node *node)
{
    for (uint32_t i = 0; i < node->links.n_max; i++)
        if (node->links.all[i].state != LINK_FREE) links_close(node, &node->links.all[i]);
}

static bool awaits_answer(const struct sl_node *node, const uint8_t id[32])
{
    const struct formation *formation = &node->formation;
    if (formation->state == FORMATION_JOINED && sl_hash_equal(formation->own.from, id)) return true;
    for (uint32_t i = 0; formation->state == FORMATION_PROPOSED && i < formation->n_candidates; i++)
        if (sl_hash_equal(formation->candidates[i].id, id)) return true;
    for (uint32_t i = 0; node->pulls.active && i < node->config.merge_pulls; i++) {
        const struct pull *pull = &node->pulls.all[i];
        if ((pull->state == PULL_ASKED || pull->state == PULL_FETCHING) && sl_hash_equal(pull->member, id)) return true;
    }
    return false;
}

/* A free entry, or that of the connection that was silent longest: strangers first, those in use never. */
static struct link *make_room(struct sl_node *node)
{
    struct link *oldest = NULL;
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        struct link *link = &node->links.all[i];
        if (link->state == LINK_FREE) return link;
        if (link->state == LINK_DIALING || cohort_find(node, link->id) || awaits_answer(node, link->id)) continue;
        bool earlier = !oldest || (link->known == oldest->known ? link->used_us < oldest->used_us : !link->known);
        if (earlier) oldest = link;
    }
    if (oldest) links_close(node, oldest);
    return oldest;
}

/* A link in use must not be handed back in the step in which it was hung up: its number would be ambiguous to the driver. */
static struct link *open_entry(struct sl_node *node, uint32_t number, const uint8_t key[32])
{
    struct link *link = make_room(node);
    if (!link) return NULL;

    *link = (struct link){.number = number, .opened_us = node->now_us, .used_us = node->now_us, .quota = {.filled_us = node->now_us}};
    memcpy(link->key, key, 32);
    return link;
}

static void dial(struct sl_node *node, const struct contact *to)
{
    if (is_dialing(node, to->id) || node->actions.n_dials == DIALS_MAX || !to->address[0]) return;

    struct link *link = open_entry(node, node->links.next_number, to->transport_public);
    if (!link) return;
    if (++node->links.next_number >= SL_LINK_INBOUND) node->links.next_number = 1;
    link->state = LINK_DIALING;
    memcpy(link->id, to->id, 32);

    struct sl_dial *action = &node->dials[node->actions.n_dials++];
    *action = (struct sl_dial){.link = link->number};
    memcpy(action->transport_key, to->transport_public, 32);
    memcpy(action->address, to->address, strnlen(to->address, sizeof action->address - 1));
}

void links_send(struct sl_node *node, struct link *link, const uint8_t *bytes, size_t size)
{
    if (!bytes || node->actions.n_sends == SENDS_MAX) return;

    node->sends[node->actions.n_sends++] = (struct sl_send){.link = link->number, .data = bytes, .size = size};
    node->counters.messages_sent++;
    node->counters.bytes_sent += size;
    link->used_us = node->now_us;
}

static void keep_waiting(struct sl_node *node, const uint8_t id[32], const uint8_t *bytes, size_t size)
{
    for (uint32_t i = 0; i < node->links.n_waiting_max; i++) {
        struct waiting *entry = &node->links.waiting[i];
        if (entry->used) continue;
        *entry = (struct waiting){.used = true, .size = (uint32_t)size};
        memcpy(entry->id, id, 32);
        memcpy(entry->bytes, bytes, size);
        return;
    }
}

void links_send_to(struct sl_node *node, const struct contact *to, const uint8_t *bytes, size_t size)
{
    if (!bytes) return;

    struct link *link = links_to(node, to->id);
    if (link) {
        links_send(node, link, bytes, size);
        return;
    }
    dial(node, to);
    if (size <= WAITING_MAX && is_dialing(node, to->id)) keep_waiting(node, to->id, bytes, size);     /* every dial ends, and its waiting messages with it */
}

/* Sends what waited for this peer; the bytes move to the out arena, where they live until the next step. */
static void flush_waiting(struct sl_node *node, struct link *link)
{
    for (uint32_t i = 0; i < node->links.n_waiting_max; i++) {
        struct waiting *entry = &node->links.waiting[i];
        if (!entry->used || !sl_hash_equal(entry->id, link->id)) continue;
        uint8_t *bytes = SL_TAKE(&node->out, uint8_t, entry->size);
        if (bytes) links_send(node, link, memcpy(bytes, entry->bytes, entry->size), entry->size);
        entry->used = false;
    }
}

static void drop_waiting(struct sl_node *node, const uint8_t id[32])
{
    for (uint32_t i = 0; i < node->links.n_waiting_max; i++)
        if (node->links.waiting[i].used && sl_hash_equal(node->links.waiting[i].id, id)) node->links.waiting[i].used = false;
}

/* Our own descriptor, fresh. NULL when the out arena is full. */
static const uint8_t *make_advert(struct sl_node *node, size_t *size)
{
    const struct sl_identity *self = node->self;
    struct sl_advert advert = {.sequence = node->now_us / 1000000, .ttl_s = SL_ADVERT_TTL_MAX_S, .n_addresses = self->address[0] != 0,
                               .certificate = self->certificate, .certificate_size = self->certificate_size};
    memcpy(advert.sign_public, self->sign_public, 32);
    memcpy(advert.transport_public, self->transport_public, 32);
    memcpy(advert.addresses[0], self->address, sizeof self->address);
    memcpy(advert.name, node->config.name, strnlen(node->config.name, sizeof advert.name - 1));

    struct sl_writer writer = node_begin(node, SL_MESSAGE_ADVERT, node->epoch, NULL, ADVERT_MAX);
    sl_write_advert(&writer, &advert);
    return node_seal(node, &writer, SL_MESSAGE_ADVERT, size);
}

static void say_hello(struct sl_node *node, struct link *link)
{
    struct sl_hello hello = {.time_us = node->now_us};
    hello.advert = make_advert(node, &hello.advert_size);
    if (!hello.advert) return;

    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_HELLO, node->epoch, NULL, HELLO_MAX);
    sl_write_hello(&writer, &hello);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_HELLO, &size);
    links_send(node, link, bytes, size);
    link->hello_sent = true;
}

/* One inbound connection a peer: an older one is stale, or hoarded. */
static void close_older_inbound(struct sl_node *node, const struct link *newest)
{
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        struct link *link = &node->links.all[i];
        bool inbound = link->state == LINK_OPEN && link->number >= SL_LINK_INBOUND;
        if (inbound && link != newest && link->known && sl_hash_equal(link->id, newest->id)) links_close(node, link);
    }
}

static void link_is_known(struct sl_node *node, struct link *link, const uint8_t id[32])
{
    memcpy(link->id, id, 32);
    link->known = true;
    struct sl_view_peer *peer = sl_view_find(&node->view, id);
    if (peer && peer->banned) {
        drop_waiting(node, id);
        links_close(node, link);
        return;
    }
    if (peer) {
        peer->misses = 0;
        peer->heard_us = node->now_us;
    }
    if (link->number >= SL_LINK_INBOUND) close_older_inbound(node, link);
    node_trace(node, SL_TRACE_LINK_UP, id, 0, 0, SL_OK);
    flush_waiting(node, link);
}

static void on_up(struct sl_node *node, const struct sl_event *event)
{
    struct link *link = links_find(node, event->link.link);
    if (link && (link->state != LINK_DIALING || !sl_hash_equal(link->key, event->link.transport_key))) return;

    if (link) {                                         /* we dialled it: the transport has proven the key we asked for */
        link->state = LINK_OPEN;
        link->opened_us = node->now_us;
        say_hello(node, link);
        uint8_t id[32];
        memcpy(id, link->id, 32);
        link_is_known(node, link, id);
        return;
    }
    if (event->link.link < SL_LINK_INBOUND) return;     /* an answer to a dial that was given up */

    link = open_entry(node, event->link.link, event->link.transport_key);
    if (!link) {
        hang_up(node, event->link.link);
        return;
    }
    link->state = LINK_OPEN;
    const struct sl_view_peer *peer = sl_view_find_key(&node->view, event->link.transport_key);
    if (peer) link_is_known(node, link, peer->id);      /* others are known when their HELLO verifies */
}

static void on_down(struct sl_node *node, const struct sl_event *event)
{
    struct link *link = links_find(node, event->link.link);
    if (!link) return;

    bool named = link->known || link->state == LINK_DIALING;
    uint8_t id[32];
    memcpy(id, link->id, 32);
    *link = (struct link){0};
    if (!named) return;

    struct sl_view_peer *peer = sl_view_find(&node->view, id);
    node_trace(node, SL_TRACE_LINK_DOWN, id, 0, 0, SL_OK);
    if (links_to(node, id) || is_dialing(node, id)) return;         /* another connection to the same peer lives */

    drop_waiting(node, id);
    if (peer && peer->misses < UINT32_MAX) peer->misses++;
    bool suspect = peer && sl_view_is_live(peer);           /* the dead are probed once an epoch, not at every failure */
    if (suspect && node->deadlines[DEADLINE_LINKS] == SL_NEVER) node->deadlines[DEADLINE_LINKS] = node->now_us + node->config.epoch_us / 16;
    pull_on_unreachable(node, id);
}

void links_on_change(struct sl_node *node, const struct sl_event *event)
{
    if (event->link.change == SL_LINK_UP) on_up(node, event);
    else on_down(node, event);
}

/* ---- HELLO ---- */

/* Is it believed at this time? Clocks may differ by a day, as those of peers whose ADVERT we heard of from others may. */
static bool is_current(const struct sl_node *node, const struct sl_advert *advert)
{
    uint64_t now_s = node->now_us / 1000000, slack_s = 24 * 3600;
    bool from_future = advert->sequence > now_s && advert->sequence - now_s > slack_s;
    bool outlived = now_s > advert->sequence && now_s - advert->sequence > advert->ttl_s + slack_s;
    return !from_future && !outlived;
}

static int introduce(struct sl_node *node, struct link *link, const struct sl_envelope *envelope, const struct sl_hello *hello)
{
    struct sl_envelope inner;
    struct sl_advert advert;
    int error = sl_envelope_open(hello->advert, hello->advert_size, node->config.network_id, &inner);
    if (error == SL_OK) error = sl_read_advert(&inner, &advert);
    if (error != SL_OK) return error;

    uint8_t id[32];
    sl_identity_id(node->config.network_id, advert.sign_public, id);
    bool consistent = sl_hash_equal(id, envelope->from) && sl_hash_equal(id, inner.from) && sl_hash_equal(advert.transport_public, link->key);
    if (!consistent || !is_current(node, &advert)) return SL_ERROR_MISMATCH;
    if (!node_verify(node, envelope, advert.sign_public) || !node_verify(node, &inner, advert.sign_public)) return SL_ERROR_BAD_SIGNATURE;
    error = certificate_check(node, id, advert.certificate, advert.certificate_size);
    if (error != SL_OK) return error;

    link_is_known(node, link, id);
    return SL_OK;
}

static bool is_far_off(const struct sl_node *node, int64_t offset_ms)
{
    int64_t limit_ms = (int64_t)(node->config.epoch_us / 1000);
    return offset_ms > limit_ms || offset_ms < -limit_ms;
}

/* Median over the peers whose clock we know. Both middle values must be off, of a majority or five: half of them may be wrong without our minding. */
static void check_clock(struct sl_node *node)
{
    int64_t offsets[64];
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->view.n_peers && n < 64; i++) {
        const struct sl_view_peer *peer = &node->view.peers[i];
        if (!peer->clock_known) continue;
        uint32_t at = n++;
        for (; at > 0 && offsets[at - 1] > peer->clock_off_ms; at--) offsets[at] = offsets[at - 1];
        offsets[at] = peer->clock_off_ms;
    }
    uint32_t enough = node->view.n_peers / 2 + 1 < 5 ? node->view.n_peers / 2 + 1 : 5;
    int64_t low = n > 0 ? offsets[(n - 1) / 2] : 0, median = n > 0 ? offsets[n / 2] : 0;
    bool bad = n >= 3 && n >= enough && is_far_off(node, low) && is_far_off(node, median) && (low < 0) == (median < 0);
    if (bad && node->clock_peers == 0) node_trace(node, SL_TRACE_CLOCK, NULL, -median / 1000, n, SL_OK);
    node->clock_peers = bad ? n : 0;
    node->clock_off_s = -median / 1000;
}

static int32_t clamp_ms(uint64_t theirs_us, uint64_t ours_us)
{
    bool ahead = theirs_us > ours_us;
    uint64_t off_ms = (ahead ? theirs_us - ours_us : ours_us - theirs_us) / 1000;
    int32_t bounded = off_ms > INT32_MAX ? INT32_MAX : (int32_t)off_ms;
    return ahead ? bounded : -bounded;
}

void links_on_hello(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct sl_hello hello;
    int error = sl_read_hello(envelope, &hello);
    if (error == SL_OK && !link->known) error = introduce(node, link, envelope, &hello);
    if (error == SL_OK && link->known && !sl_hash_equal(envelope->from, link->id)) error = SL_ERROR_MISMATCH;
    if (error != SL_OK) {
        node->counters.messages_refused++;
        node_trace(node, SL_TRACE_STRANGER, NULL, 0, 0, error);
        if (link->state != LINK_FREE) links_close(node, link);
        return;
    }
    struct sl_view_peer *peer = link->state == LINK_OPEN ? sl_view_find(&node->view, link->id) : NULL;
    if (peer) {
        peer->clock_known = true;
        peer->clock_off_ms = clamp_ms(hello.time_us, node->now_us);
        check_clock(node);                                   /* also for one that agrees: it may be the one that makes enough of them */
        if (!link->hello_sent) say_hello(node, link);        /* so that the dialler learns our clock, once a link */
    }
}

/* ---- budget ---- */

/* Token bucket over one epoch. */
static bool take_token(struct sl_view_quota *quota, uint64_t now_us, uint64_t epoch_us)
{
    uint64_t per_token = epoch_us / QUOTA_MESSAGES + 1, gained = (now_us - quota->filled_us) / per_token;
    quota->filled_us += gained * per_token;
    quota->used = gained >= quota->used ? 0 : quota->used - (uint32_t)gained;
    if (quota->used >= QUOTA_MESSAGES) return false;

    quota->used++;
    return true;
}

bool links_take_quota(struct sl_node *node, struct link *link)
{
    struct sl_view_peer *peer = link->known ? sl_view_find(&node->view, link->id) : NULL;
    if (take_token(peer ? &peer->quota : &link->quota, node->now_us, node->config.epoch_us)) return true;

    node->counters.messages_refused++;
    node_trace(node, SL_TRACE_OVER_BUDGET, link->known ? link->id : NULL, 0, 0, SL_OK);
    links_close(node, link);
    return false;
}

/* Peers that failed are tried again: the newly suspect soon, a dead one (more when many died at once: a partition) every epoch. */
void links_on_epoch(struct sl_node *node)
{
    uint32_t n_suspect = 0, live = sl_view_count_live(&node->view);
    for (uint32_t i = 0; i < node->view.n_peers && n_suspect < 8; i++) {
        const struct sl_view_peer *peer = &node->view.peers[i];
        if (!sl_view_is_live(peer) || peer->misses == 0 || links_to(node, peer->id)) continue;
        struct contact contact = contact_of(peer);
        dial(node, &contact);
        n_suspect++;
    }
    if (n_suspect > 0 && node->deadlines[DEADLINE_LINKS] == SL_NEVER)
        node->deadlines[DEADLINE_LINKS] = node->now_us + node->config.epoch_us / 8;

    uint32_t n_probes = 10 * live < 7 * node->view.n_peers ? 4 : 1;
    for (uint32_t i = 0; i < n_probes; i++) {
        const struct sl_view_peer *peer = sl_view_draw_dead(&node->view, &node->draw);
        if (!peer) break;
        struct contact contact = contact_of(peer);
        dial(node, &contact);
    }
}
