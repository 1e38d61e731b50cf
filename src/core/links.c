/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "core/core.h"
#include "starling/error.h"
#include "wire/certificate.h"

bool links_init(struct sl_node *node, struct sl_arena *arena)
{
    struct links *links = &node->links;
    links->n_max = node->config.link_max;
    links->n_waiting_max = node->config.outbox_size;
    links->next_number = 1;
    links->all = SL_TAKE(arena, struct link, links->n_max);
    links->waiting = SL_TAKE(arena, struct waiting, links->n_waiting_max);
    uint32_t shares = SHARES_BASE + SHARES_EACH * node->config.cohort_max_size;
    uint32_t propose = PROPOSE_BASE + PROPOSE_EACH * formation_candidates(&node->config);
    links->waiting_size = shares > WAITING_MIN ? shares : WAITING_MIN;
    if (propose > links->waiting_size) links->waiting_size = propose;
    bool done = links->all && links->waiting;
    for (uint32_t i = 0; i < links->n_waiting_max; i++) {
        uint8_t *bytes = SL_RESERVE(arena, uint8_t, links->waiting_size);
        if (links->waiting) links->waiting[i].bytes = bytes;
        done &= bytes != NULL;
    }
    return done;
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

struct link *links_to_key(struct sl_node *node, const uint8_t transport_public[32])
{
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        struct link *link = &node->links.all[i];
        if (link->state == LINK_OPEN && link->known && sl_hash_equal(link->key, transport_public)) return link;
    }
    return NULL;
}

bool links_is_inbound(const struct link *link)
{
    return link->number >= SL_LINK_INBOUND;
}

uint32_t links_count_known(const struct sl_node *node)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->links.n_max; i++) n += node->links.all[i].state == LINK_OPEN && node->links.all[i].known;
    return n;
}

bool links_contact(struct sl_node *node, const uint8_t id[32], struct contact *out)
{
    const struct sl_view_peer *peer = sl_view_find(&node->view, id);
    const struct link *link = peer ? NULL : links_to(node, id);
    if (peer) *out = contact_of(peer);
    else if (link) *out = (struct contact){.id = link->id, .transport_public = link->key, .address = ""};
    return peer || link;
}

/* On its way up, or up and not introduced yet. */
static bool is_dialing(const struct sl_node *node, const uint8_t id[32])
{
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        const struct link *link = &node->links.all[i];
        bool is_coming = link->state == LINK_DIALING || (link->state == LINK_OPEN && !link->known);
        if (is_coming && sl_hash_equal(link->id, id)) return true;
    }
    return false;
}

static void hang_up(struct sl_node *node, uint32_t number)
{
    assert(node->actions.n_hangups < HANGUPS_MAX);
    node->hangups[node->actions.n_hangups++] = number;
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

void links_close_banned(struct sl_node *node)
{
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        struct link *link = &node->links.all[i];
        if (link->state != LINK_FREE && !sl_hash_is_zero(link->id) && advert_is_banned(node, link->id)) links_close(node, link);
    }
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

/* A free entry, or that of the connection that was silent longest: strangers first, those in use never, and of inbound ones only when there are too many. */
static struct link *make_room(struct sl_node *node, bool is_inbound)
{
    uint32_t n_inbound = 0;
    for (uint32_t i = 0; i < node->links.n_max; i++) n_inbound += node->links.all[i].state == LINK_OPEN && links_is_inbound(&node->links.all[i]);
    bool is_crowded = is_inbound && n_inbound >= node->config.link_inbound;

    struct link *oldest = NULL;
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        struct link *link = &node->links.all[i];
        if (link->state == LINK_FREE && !is_crowded) return link;
        if (link->state == LINK_FREE || (is_crowded && !links_is_inbound(link))) continue;
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
    struct link *link = make_room(node, number >= SL_LINK_INBOUND);
    if (!link) return NULL;

    *link = (struct link){.number = number, .opened_us = node->now_us, .used_us = node->now_us, .heard_us = node->now_us,
                          .quota = {.filled_us = node->now_us}};
    memcpy(link->key, key, 32);
    return link;
}

static struct link *dial(struct sl_node *node, const uint8_t transport_public[32], const char *address)
{
    if (node->actions.n_dials == DIALS_MAX || !address[0] || node_has_left(node)) return NULL;

    struct link *link = open_entry(node, node->links.next_number, transport_public);
    if (!link) return NULL;
    if (++node->links.next_number >= SL_LINK_INBOUND) node->links.next_number = 1;
    link->state = LINK_DIALING;

    struct sl_dial *action = &node->dials[node->actions.n_dials++];
    *action = (struct sl_dial){.link = link->number};
    memcpy(action->transport_key, transport_public, 32);
    memcpy(action->address, address, strnlen(address, sizeof action->address - 1));
    return link;
}

void links_dial(struct sl_node *node, const struct contact *to)
{
    if (links_to(node, to->id) || is_dialing(node, to->id) || advert_is_banned(node, to->id)) return;

    struct link *link = dial(node, to->transport_public, to->address);
    if (!link) return;
    memcpy(link->id, to->id, 32);
    sl_book_dialled(&node->members.book, to->id, node->now_us);
}

uint32_t links_dial_seed(struct sl_node *node, const struct sl_seed *seed)
{
    struct link *link = dial(node, seed->transport_public, seed->address);
    return link ? link->number : 0;
}

/* msgpack: an array, the version, then the type as one byte. */
static uint32_t type_of(const uint8_t *bytes, size_t size)
{
    return size > 2 ? bytes[2] % SL_PEER_TYPES_MAX : 0;
}

void links_send(struct sl_node *node, struct link *link, const uint8_t *bytes, size_t size)
{
    if (!bytes || node->actions.n_sends == SENDS_MAX) return;

    node->sends[node->actions.n_sends++] = (struct sl_send){.link = link->number, .data = bytes, .size = size};
    node->counters.messages_sent++;
    node->counters.bytes_sent += size;
    link->used_us = node->now_us;
    link->type_bytes_sent[type_of(bytes, size)] += size;
    if (type_of(bytes, size) == SL_MESSAGE_VIEW_PULL) link->pulled_us = node->now_us;
    struct sl_view_peer *peer = link->known ? sl_view_find(&node->view, link->id) : NULL;
    if (peer) peer->bytes_sent += size;
}

static void keep_waiting(struct sl_node *node, const uint8_t id[32], const uint8_t *bytes, size_t size)
{
    for (uint32_t i = 0; i < node->links.n_waiting_max; i++) {
        struct waiting *entry = &node->links.waiting[i];
        if (entry->used) continue;
        *entry = (struct waiting){.used = true, .epoch = node->epoch, .size = (uint32_t)size, .bytes = entry->bytes};
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
    links_dial(node, to);
    /* every dial ends, and its waiting messages with it */
    if (size <= node->links.waiting_size && is_dialing(node, to->id)) keep_waiting(node, to->id, bytes, size);
}

/* Sends what waited for this peer; the bytes move to the out arena, where they live until the next step. */
static void flush_waiting(struct sl_node *node, struct link *link)
{
    for (uint32_t i = 0; i < node->links.n_waiting_max; i++) {
        struct waiting *entry = &node->links.waiting[i];
        if (!entry->used || !sl_hash_equal(entry->id, link->id)) continue;
        uint8_t *bytes = entry->epoch == node->epoch ? SL_TAKE(&node->out, uint8_t, entry->size) : NULL;        /* what is of yesterday is of no use */
        if (bytes) links_send(node, link, memcpy(bytes, entry->bytes, entry->size), entry->size);
        entry->used = false;
    }
}

static void drop_waiting(struct sl_node *node, const uint8_t id[32])
{
    for (uint32_t i = 0; i < node->links.n_waiting_max; i++)
        if (node->links.waiting[i].used && sl_hash_equal(node->links.waiting[i].id, id)) node->links.waiting[i].used = false;
}

static bool is_private(const struct sl_node *node)
{
    return strcmp(node->config.admission, "private") == 0 && node->config.network_secret;
}

static void say_hello(struct sl_node *node, struct link *link)
{
    struct sl_hello hello = {.time_us = node->now_us};
    uint8_t door[SL_DOOR_SIZE], nonce[16];
    hello.advert = advert_own(node, &hello.advert_size);
    if (!hello.advert) return;
    if (is_private(node)) {
        sl_rng_bytes(&node->keys, nonce, sizeof nonce);
        sl_door_make(node->config.network_secret, node->self->transport_public, link->key, node->now_us, nonce, door);
        hello.door = door;
    }

    size_t size;
    struct sl_writer writer = node_begin(node, SL_MESSAGE_HELLO, node->epoch, NULL, HELLO_MAX);
    sl_write_hello(&writer, &hello);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_HELLO, &size);
    links_send(node, link, bytes, size);
    link->hello_sent = true;
    link->told_s = node->members.advert_made_s;
}

void links_greet_again(struct sl_node *node)
{
    for (uint32_t i = 0; i < node->links.n_max; i++) {
        struct link *link = &node->links.all[i];
        if (link->state == LINK_OPEN && !link->known && link->hello_sent) say_hello(node, link);
    }
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
    if (advert_is_banned(node, id)) {
        drop_waiting(node, id);
        links_close(node, link);
        return;
    }
    memmove(link->id, id, 32);
    link->known = true;
    struct sl_view_peer *peer = sl_view_find(&node->view, id);
    if (peer) {
        membership_on_alive(node, peer);
        memcpy(link->sign_public, peer->sign_public, 32);
    }
    if (links_is_inbound(link)) close_older_inbound(node, link);
    node_trace(node, SL_TRACE_LINK_UP, id, 0, 0, SL_OK);
    flush_waiting(node, link);
}

/* Is this transport key known to be somebody's own? Others are known when their HELLO verifies. */
static const struct sl_view_peer *owner_of(const struct sl_node *node, const uint8_t transport_public[32])
{
    const struct sl_view_peer *peer = sl_view_find_key(&node->view, transport_public);
    return peer && peer->proven ? peer : NULL;
}

static void on_up(struct sl_node *node, const struct sl_event *event)
{
    struct link *link = links_find(node, event->link.link);
    const struct sl_view_peer *owner = owner_of(node, event->link.transport_key);
    if (link && (link->state != LINK_DIALING || !sl_hash_equal(link->key, event->link.transport_key))) return;

    if (link) {                                         /* we dialled it: the transport has proven the key we asked for */
        link->state = LINK_OPEN;
        link->opened_us = link->heard_us = node->now_us;
        say_hello(node, link);
        bool is_expected = owner && (sl_hash_is_zero(link->id) || sl_hash_equal(link->id, owner->id));
        if (is_expected) link_is_known(node, link, owner->id);
        return;
    }
    if (event->link.link < SL_LINK_INBOUND) return;     /* an answer to a dial that was given up */

    link = node_has_left(node) ? NULL : open_entry(node, event->link.link, event->link.transport_key);
    if (!link) {
        hang_up(node, event->link.link);
        return;
    }
    link->state = LINK_OPEN;
    if (owner) link_is_known(node, link, owner->id);
}

static void on_down(struct sl_node *node, const struct sl_event *event)
{
    struct link *link = links_find(node, event->link.link);
    if (!link) return;

    bool is_named = !sl_hash_is_zero(link->id), was_dialing = link->state == LINK_DIALING;
    uint8_t id[32];
    memcpy(id, link->id, 32);
    *link = (struct link){0};
    if (!is_named) return;

    struct sl_view_peer *peer = sl_view_find(&node->view, id);
    bool is_news = !was_dialing || (peer && sl_view_is_live(peer));         /* the dead are probed on and on */
    if (is_news) node_trace(node, SL_TRACE_LINK_DOWN, id, 0, 0, SL_OK);
    if (links_to(node, id) || is_dialing(node, id)) return;         /* another connection to the same peer lives */

    drop_waiting(node, id);
    if (was_dialing) sl_book_failed(&node->members.book, id);
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

/* Whoever is not known by its key must sign its HELLO and be admitted. Whom we dialled must be who we dialled. */
static int introduce(struct sl_node *node, struct link *link, const struct sl_envelope *envelope, struct opened_advert *advert)
{
    bool is_expected = sl_hash_is_zero(link->id) || sl_hash_equal(link->id, envelope->from);
    if (!is_expected || sl_hash_equal(envelope->from, node->self->id)) return SL_ERROR_MISMATCH;
    if (advert_is_banned(node, envelope->from)) return SL_ERROR_BAD_CERTIFICATE;
    if (!link->known && !node_verify(node, envelope, advert->body.sign_public)) return SL_ERROR_BAD_SIGNATURE;
    return certificate_check(node, envelope->from, advert->body.certificate, advert->body.certificate_size);
}

static int check_hello(struct sl_node *node, struct link *link, const struct sl_envelope *envelope, struct sl_hello *hello, struct opened_advert *advert)
{
    int error = sl_read_hello(envelope, hello);
    if (error == SL_OK) error = advert_open(node, hello->advert, hello->advert_size, advert);
    if (error != SL_OK) return error;
    if (!sl_hash_equal(envelope->from, advert->descriptor.id) || !sl_hash_equal(advert->descriptor.transport_public, link->key)) return SL_ERROR_MISMATCH;

    bool opens_door = !is_private(node) || (hello->door && sl_door_verify(node->config.network_secret, link->key, node->self->transport_public,
                                                                          node->now_us, hello->door));
    return opens_door ? introduce(node, link, envelope, advert) : SL_ERROR_BAD_CERTIFICATE;
}

static bool is_far_off(const struct sl_node *node, int64_t offset_ms)
{
    int64_t limit_ms = (int64_t)(node->config.epoch_us / 1000);
    return offset_ms > limit_ms || offset_ms < -limit_ms;
}

/* Median over the live peers whose clock we know: who is banned or gone has no say any more. Both middle values must be off, of a majority or five: half of
 * them may be wrong without our minding. */
void links_check_clock(struct sl_node *node)
{
    int64_t offsets[64];
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->view.n_peers && n < 64; i++) {
        const struct sl_view_peer *peer = &node->view.peers[i];
        if (!peer->clock_known || !sl_view_is_live(peer)) continue;
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

/* A HELLO that is not believed ends a stranger's connection, and any other that names somebody else. */
static void refuse_hello(struct sl_node *node, struct link *link, int error)
{
    node->counters.messages_refused++;
    node_trace(node, SL_TRACE_STRANGER, NULL, 0, 0, error);
    uint8_t id[32];
    memcpy(id, link->id, 32);
    links_close(node, link);
    if (!sl_hash_is_zero(id) && !links_to(node, id) && !is_dialing(node, id)) {
        drop_waiting(node, id);
        sl_book_failed(&node->members.book, id);
    }
}

void links_on_hello(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct sl_hello hello;
    struct opened_advert advert;
    int error = check_hello(node, link, envelope, &hello, &advert);
    if (error != SL_OK) {
        refuse_hello(node, link, error);
        return;
    }
    const struct sl_view_peer *before = sl_view_find(&node->view, envelope->from);
    bool is_new = !link->hello_heard && (!before || !before->proven);
    bool is_repeated = link->hello_heard && links_is_inbound(link) && link->n_repeated < HELLOS_REPEATED_MAX;
    bool has_forgotten = !link->hello_heard && advert_take_own(node, link, &advert);
    if (!link->known) {
        memcpy(link->sign_public, advert.body.sign_public, 32);
        link_is_known(node, link, envelope->from);
    }
    if (link->state != LINK_OPEN) return;                    /* banned */

    link->hello_heard = true;
    link->n_repeated += is_repeated;
    struct sl_view_peer *peer = sl_view_find(&node->view, link->id);
    if (peer) {
        peer->clock_known = true;
        peer->clock_off_ms = clamp_ms(hello.time_us, node->now_us);
        links_check_clock(node);                             /* also for one that agrees: it may be the one that makes enough of them */
    }
    if (!link->hello_sent || is_repeated) say_hello(node, link);            /* so that the dialler learns our clock, once a link */
    if (has_forgotten) advert_remind(node, link);
    membership_on_introduced(node, link, is_new);
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
        links_dial(node, &contact);
        n_suspect++;
    }
    if (n_suspect > 0 && node->deadlines[DEADLINE_LINKS] == SL_NEVER)
        node->deadlines[DEADLINE_LINKS] = node->now_us + node->config.epoch_us / 8;

    uint32_t n_probes = 10 * live < 7 * node->view.n_peers ? 4 : 1;
    for (uint32_t i = 0; i < n_probes; i++) {
        const struct sl_view_peer *peer = sl_view_draw_dead(&node->view, &node->draw);
        if (!peer) break;
        struct contact contact = contact_of(peer);
        links_dial(node, &contact);
    }
}
