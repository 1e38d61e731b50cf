/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/core.h"
#include "starling/error.h"
#include "starling/identity.h"
#include "wire/certificate.h"

/*
 * What identities say of themselves, and who is admitted. An ADVERT is signed by its author, so anybody may pass it on; what it claims counts for less than
 * what a HELLO proves. Here is decided who gets into the view and the book, and whose ADVERT is passed on.
 */

enum {
    LEDGER_TOLD_S = 3600,            /* how often the own ADVERT is made anew because the privacy ledger has grown */
    FUTURE_MAX_S = 3600,             /* an ADVERT from a later time than this would outlive its author's corrections */
    CLAIMS_OF_ONE = 3                /* by one certificate */
};

/* A guest's certificate makes three claims: its invite, its place at its host, and the host's invite. So there is room for all that view and book can hold. */
static uint32_t claims_max(const struct sl_config *config)
{
    return CLAIMS_OF_ONE * (config->view_size + config->book_new + config->book_tried) + 256;
}

bool advert_init(struct sl_node *node, struct sl_arena *arena)
{
    struct membership *members = &node->members;
    bool local_is_free = strcmp(node->config.link_local, "yes") == 0;
    members->n_relays_max = node->config.link_max;
    members->n_claims_max = claims_max(&node->config);
    members->relays = SL_RESERVE(arena, struct relay, members->n_relays_max);
    members->claims = SL_RESERVE(arena, struct claim, members->n_claims_max);
    members->admitted = SL_TAKE(arena, struct admitted, ADMITTED_MAX);
    members->banned = sl_arena_reserve(arena, BANS_MAX, 32, 1);
    bool done = sl_book_init(&members->book, arena, node->config.book_new, node->config.book_tried, local_is_free);
    done &= sl_sampler_init(&members->sampler, arena, node->config.view_size, node->config.view_slot_life, local_is_free);
    return done && members->relays && members->claims && members->admitted && members->banned;
}

/* ---- admission ---- */

static bool peek_host(const struct sl_node *node, struct sl_reader *host, struct sl_certificate *out)
{
    const uint8_t *skipped, *sign_public = sl_read_bin_of(host, 32);
    size_t skipped_size;
    sl_read_array_of(host, 8);
    sl_read_copy(host, out->host_invite_key, 32);
    out->host_flags = (uint32_t)sl_read_uint(host, UINT32_MAX);
    for (int i = 0; i < 3; i++) sl_read_skip(host, &skipped, &skipped_size);         /* slot, signature, subject */
    out->host_expires_s = sl_read_uint(host, UINT64_MAX);
    for (int i = 0; i < 2; i++) sl_read_skip(host, &skipped, &skipped_size);
    if (sl_reader_finish(host) != SL_OK) return false;

    out->has_host = true;
    sl_identity_id(node->config.network_id, sign_public, out->host_id);
    return true;
}

/* What a certificate says, whoever made it. False when it cannot be read. */
static bool peek(const struct sl_node *node, const uint8_t *bytes, size_t size, struct sl_certificate *out)
{
    *out = (struct sl_certificate){.expires_s = UINT64_MAX};
    if (strcmp(node->config.admission, "open") == 0) return true;

    const uint8_t *skipped;
    size_t skipped_size;
    struct sl_reader reader = sl_reader_over(bytes, size);
    sl_read_array_of(&reader, 8);
    sl_read_copy(&reader, out->invite_key, 32);
    out->flags = (uint32_t)sl_read_uint(&reader, UINT32_MAX);
    out->slot = (uint32_t)sl_read_uint(&reader, UINT32_MAX);
    sl_read_skip(&reader, &skipped, &skipped_size);
    sl_read_skip(&reader, &skipped, &skipped_size);
    out->expires_s = sl_read_uint(&reader, UINT64_MAX);
    sl_read_skip(&reader, &skipped, &skipped_size);
    sl_read_skip(&reader, &skipped, &skipped_size);
    if (sl_reader_finish(&reader) != SL_OK) return false;

    struct sl_reader host = sl_reader_over(skipped, skipped_size);
    if (sl_read_array(&host, 2) != 2) return true;
    return peek_host(node, &host, out);
}

static struct claim make_claim(const char *label, const void *what, size_t size, const uint8_t whose[32], uint64_t expires_s)
{
    uint8_t hash[32];
    struct claim claim = {.expires_s = expires_s};
    sl_hash_once(label, what, size, hash);
    memcpy(claim.what, hash, sizeof claim.what);
    memcpy(claim.whose, whose, sizeof claim.whose);
    return claim;
}

static bool is_outlived(const struct sl_node *node, const struct claim *claim)
{
    return claim->expires_s < node->now_us / 1000000;
}

static bool have_one_holder(const struct claim *a, const struct claim *b)
{
    return memcmp(a->whose, b->whose, sizeof a->whose) == 0;
}

static struct claim *find_claim(const struct sl_node *node, const struct claim *claim)
{
    for (uint32_t i = 0; i < node->members.n_claims; i++)
        if (memcmp(node->members.claims[i].what, claim->what, sizeof claim->what) == 0) return &node->members.claims[i];
    return NULL;
}

/* A new place, or that of a claim that ran out, or that of one by somebody whom we do not know any more; NULL when there is none. */
static struct claim *room_for_claim(struct sl_node *node)
{
    struct membership *members = &node->members;
    if (members->n_claims < members->n_claims_max) return &members->claims[members->n_claims++];

    for (uint32_t i = 0; i < members->n_claims; i++)
        if (is_outlived(node, &members->claims[i])) return &members->claims[i];
    for (uint32_t i = 0; i < members->n_claims; i++) {
        struct claim *claim = &members->claims[members->next_claim];             /* goes on where it ended, so that the oldest give way first */
        members->next_claim = (members->next_claim + 1) % members->n_claims;
        if (!sl_view_find(&node->view, claim->shown_by) && !sl_book_find(&members->book, claim->shown_by)) return claim;
    }
    return NULL;
}

bool advert_claim(struct sl_node *node, const struct claim *claim)
{
    struct claim *known = find_claim(node, claim), *place = known ? known : room_for_claim(node);
    bool is_renewed = known && have_one_holder(known, claim);
    if (!place || (known && !is_renewed && !is_outlived(node, known))) return false;

    uint64_t until_s = is_renewed && known->expires_s > claim->expires_s ? known->expires_s : claim->expires_s;
    *place = *claim;
    place->expires_s = until_s;
    return true;
}

/* An invite that admits one admits the first who shows it, and of a member's invites for one place the first key counts. A host that only its guests tell
 * of has used its invite like one that came itself: else one invite would admit as many hosts as its owner cares to sign. */
static uint32_t claims_of(const struct sl_certificate *said, const uint8_t id[32], struct claim claims[CLAIMS_OF_ONE])
{
    uint32_t n = 0;
    if (said->flags & SL_INVITE_SINGLE_USE) claims[n++] = make_claim("invite of one", said->invite_key, 32, id, said->expires_s);
    if (said->has_host) {
        uint8_t place[33];
        memcpy(place, said->host_id, 32);
        place[32] = (uint8_t)said->slot;
        claims[n++] = make_claim("place of a host", place, sizeof place, said->invite_key, said->expires_s);
    }
    if (said->has_host && said->host_flags & SL_INVITE_SINGLE_USE)
        claims[n++] = make_claim("invite of one", said->host_invite_key, 32, said->host_id, said->host_expires_s);
    for (uint32_t i = 0; i < n; i++) memcpy(claims[i].shown_by, id, 32);
    return n;
}

/* When there is no room to remember who used its invite, a newcomer has to wait: forgetting somebody else's would admit that one's copies. */
static bool is_free_to_use(struct sl_node *node, const struct sl_certificate *said, const uint8_t id[32])
{
    struct claim claims[CLAIMS_OF_ONE];
    uint32_t n = claims_of(said, id, claims);
    int error = SL_OK;
    for (uint32_t i = 0; i < n && error == SL_OK; i++) {
        const struct claim *holder = find_claim(node, &claims[i]);
        bool is_held = holder && !is_outlived(node, holder) && !have_one_holder(holder, &claims[i]);
        if (is_held) error = SL_ERROR_BAD_CERTIFICATE;
    }
    for (uint32_t i = 0; i < n && error == SL_OK; i++)
        if (!advert_claim(node, &claims[i])) error = SL_ERROR_NO_SPACE;
    if (error != SL_OK) node_trace(node, SL_TRACE_INVITE_SPENT, id, 0, 0, error);
    return error == SL_OK;
}

static uint32_t place_of_ban(const struct sl_node *node, const uint8_t id[32])
{
    uint32_t i = 0;
    while (i < node->members.n_banned && !sl_hash_equal(node->members.banned[i], id)) i++;
    return i;
}

bool advert_is_listed(const struct sl_node *node, const uint8_t id[32])
{
    return !sl_hash_is_zero(id) && place_of_ban(node, id) < node->members.n_banned;
}

/* Of a certificate whose signatures were checked before. expires_s 0: unknown. */
static int check_again(const struct sl_node *node, uint64_t expires_s, const uint8_t host_id[32])
{
    bool is_current = (expires_s == 0 || expires_s >= node->now_us / 1000000) && !advert_is_listed(node, host_id);
    return is_current ? SL_OK : SL_ERROR_BAD_CERTIFICATE;
}

static struct admitted *place_of(struct sl_node *node, const uint8_t id[32], const uint8_t hash[32], uint8_t key[32])
{
    uint8_t both[64];
    uint32_t at;
    memcpy(both, id, 32);
    memcpy(both + 32, hash, 32);
    sl_hash_once("admitted", both, sizeof both, key);
    memcpy(&at, key, sizeof at);
    return &node->members.admitted[at % ADMITTED_MAX];
}

/* Prepared peers were admitted by the operator's list with this very certificate; of others the signatures are checked, once while it is remembered. */
int certificate_check(struct sl_node *node, const uint8_t id[32], const uint8_t *certificate, size_t size)
{
    const struct sl_view_peer *peer = sl_view_find(&node->view, id);
    uint64_t now_s = node->now_us / 1000000;
    uint8_t hash[32], key[32];
    sl_hash_once("certificate", certificate, size, hash);
    if (peer && sl_hash_equal(peer->certificate_hash, hash)) return check_again(node, peer->expires_s, peer->host_id);

    struct admitted *admitted = place_of(node, id, hash, key);
    if (sl_hash_equal(admitted->hash, key)) return check_again(node, admitted->expires_s, admitted->host_id);

    const struct sl_admission admission = sl_admission_of(&node->config);
    struct sl_certificate said;
    uint32_t n_checks = 0;
    int error = sl_certificate_verify(certificate, size, &admission, id, now_s, &said, &n_checks);
    node->counters.signature_checks += n_checks;
    if (error != SL_OK) return error;
    if (advert_is_listed(node, said.host_id) || !is_free_to_use(node, &said, id)) return SL_ERROR_BAD_CERTIFICATE;

    memcpy(admitted->hash, key, 32);
    memcpy(admitted->host_id, said.host_id, 32);
    admitted->expires_s = said.expires_s;
    return SL_OK;
}

uint64_t certificate_expiry(const struct sl_node *node, const uint8_t *certificate, size_t size)
{
    struct sl_certificate said;
    return peek(node, certificate, size, &said) ? said.expires_s : 0;
}

void certificate_describe(const struct sl_node *node, const uint8_t *certificate, size_t size, struct sl_descriptor *out)
{
    struct sl_certificate said;
    if (!peek(node, certificate, size, &said)) return;
    out->expires_s = said.expires_s;
    memcpy(out->host_id, said.host_id, 32);
}

void advert_admit_prepared(struct sl_node *node, const struct sl_peer *peer)
{
    struct sl_certificate said;
    struct claim claims[CLAIMS_OF_ONE];
    struct sl_view_peer *entry = sl_view_find(&node->view, peer->id);
    if (!entry || !peek(node, peer->certificate, peer->certificate_size, &said)) return;

    entry->expires_s = said.expires_s;
    memcpy(entry->host_id, said.host_id, 32);
    uint32_t n = claims_of(&said, peer->id, claims);
    for (uint32_t i = 0; i < n; i++) advert_claim(node, &claims[i]);
}

/* ---- bans ---- */

/* A banned member must not come back as the guest of itself. */
bool advert_is_banned(const struct sl_node *node, const uint8_t id[32])
{
    if (node->members.n_banned == 0) return false;
    if (advert_is_listed(node, id)) return true;

    const struct sl_view_peer *peer = sl_view_find(&node->view, id);
    const struct sl_book_entry *entry = peer ? NULL : sl_book_find(&node->members.book, id);
    if (peer) return advert_is_listed(node, peer->host_id);
    return entry && advert_is_listed(node, entry->descriptor.host_id);
}

void advert_mark_banned(struct sl_node *node)
{
    struct sl_view *view = &node->view;
    for (uint32_t i = 0; i < view->n_peers; i++) view->peers[i].banned = advert_is_banned(node, view->peers[i].id);
}

/* The banned and their guests: nobody hears of them from us any more. */
static void forget_banned(struct sl_node *node)
{
    const struct sl_book *book = &node->members.book;
    for (uint32_t i = 0; i < node->view.n_peers; i++)
        if (node->view.peers[i].banned) advert_forget(node, node->view.peers[i].id);
    for (uint32_t i = book->n_new + book->n_tried; i-- > 0;) {               /* backwards: the last fills the gap */
        const struct sl_descriptor held = book->entries[i].descriptor;
        if (advert_is_listed(node, held.id) || advert_is_listed(node, held.host_id)) advert_forget(node, held.id);
    }
}

void advert_ban(struct sl_node *node, const uint8_t id[32])
{
    struct membership *members = &node->members;
    members->is_book_changed = true;
    if (!advert_is_listed(node, id)) {
        if (members->n_banned == BANS_MAX) {
            uint8_t oldest[32];
            memcpy(oldest, members->banned[0], 32);
            advert_unban(node, oldest);
            node_trace(node, SL_TRACE_UNBANNED, oldest, 0, 0, SL_ERROR_NO_SPACE);
        }
        memcpy(members->banned[members->n_banned++], id, 32);
    }
    advert_forget(node, id);
    advert_mark_banned(node);
    forget_banned(node);
}

void advert_unban(struct sl_node *node, const uint8_t id[32])
{
    struct membership *members = &node->members;
    uint32_t at = place_of_ban(node, id);
    if (at == members->n_banned) return;

    members->n_banned--;
    memmove(members->banned[at], members->banned[at + 1], (size_t)32 * (members->n_banned - at));
    members->is_book_changed = true;
    advert_mark_banned(node);
}

/* ---- the own ADVERT ---- */

static bool is_current(const struct sl_node *node, uint64_t now_s)
{
    const struct membership *members = &node->members;
    uint64_t age_s = now_s - members->advert_made_s;
    bool has_grown = node->unit != SL_UNIT_OFF && node->budget.ledger.n_records > members->advert_records;
    return members->advert_size > 0 && age_s < (has_grown ? LEDGER_TOLD_S : SL_ADVERT_TTL_MAX_S / 2);
}

const uint8_t *advert_own(struct sl_node *node, size_t *size)
{
    struct membership *members = &node->members;
    const struct sl_identity *self = node->self;
    uint64_t now_s = node->now_us / 1000000;
    *size = members->advert_size;
    if (is_current(node, now_s)) return members->advert;

    struct sl_advert advert = {.sequence = now_s, .ttl_s = SL_ADVERT_TTL_MAX_S, .n_addresses = self->address[0] != 0,
                               .certificate = self->certificate, .certificate_size = self->certificate_size};
    memcpy(advert.sign_public, self->sign_public, 32);
    memcpy(advert.transport_public, self->transport_public, 32);
    memcpy(advert.addresses[0], self->address, sizeof self->address);
    memcpy(advert.name, node->config.name, strnlen(node->config.name, sizeof advert.name - 1));
    rollback_state(node, &advert);

    struct sl_writer writer = node_begin(node, SL_MESSAGE_ADVERT, node->epoch, NULL, ADVERT_MAX);
    sl_write_advert(&writer, &advert);
    const uint8_t *bytes = node_seal(node, &writer, SL_MESSAGE_ADVERT, size);
    if (!bytes) return NULL;
    memcpy(members->advert, bytes, *size);
    members->advert_size = (uint32_t)*size;
    members->advert_made_s = now_s;
    members->advert_records = advert.ledger_records;
    return members->advert;
}

/* ---- those of others ---- */

int advert_open(const struct sl_node *node, const uint8_t *bytes, size_t size, struct opened_advert *out)
{
    struct sl_address address;
    int error = sl_envelope_open(bytes, size, node->config.network_id, &out->envelope);
    if (error == SL_OK) error = sl_read_advert(&out->envelope, &out->body);
    if (error != SL_OK) return error;

    struct sl_descriptor *descriptor = &out->descriptor;
    *descriptor = (struct sl_descriptor){.sequence = out->body.sequence};
    sl_identity_id(node->config.network_id, out->body.sign_public, descriptor->id);
    if (!sl_hash_equal(descriptor->id, out->envelope.from)) return SL_ERROR_MISMATCH;

    memcpy(descriptor->sign_public, out->body.sign_public, 32);
    memcpy(descriptor->transport_public, out->body.transport_public, 32);
    memcpy(descriptor->name, out->body.name, sizeof descriptor->name);
    sl_hash_once("certificate", out->body.certificate, out->body.certificate_size, descriptor->certificate_hash);
    descriptor->until_s = out->body.sequence > UINT64_MAX - out->body.ttl_s ? UINT64_MAX : out->body.sequence + out->body.ttl_s;
    bool is_diallable = out->body.n_addresses > 0 && sl_address_parse(out->body.addresses[0], &address) &&
                        (node->members.book.local_is_free || !sl_address_is_of_one_machine(&address));
    if (is_diallable) memcpy(descriptor->address, out->body.addresses[0], sizeof descriptor->address);
    return SL_OK;
}

/* Somebody who found no place. If the dead hold places, some are theirs when the next epoch begins; else the view is partial. */
static void note_outsider(struct sl_node *node)
{
    const struct sl_view *view = &node->view;
    bool dead_hold_places = false;
    for (uint32_t i = 0; i < view->n_peers && !dead_hold_places; i++)
        dead_hold_places = !view->peers[i].prepared && !view->peers[i].banned && !sl_view_is_live(&view->peers[i]);
    node->members.wants_room = true;
    node->members.outsider_epoch = node->epoch;
    if (!dead_hold_places) node->view.overflowed = true;
}

/* Into view and book. Returns the view's entry, or NULL. */
static struct sl_view_peer *settle(struct sl_node *node, const struct sl_descriptor *descriptor, const char *source, bool is_proven)
{
    struct membership *members = &node->members;
    struct sl_view *view = &node->view;
    const struct sl_view_peer *known = sl_view_find(view, descriptor->id);
    bool was_here = known != NULL, was_partial = view->overflowed, must_prove = strcmp(node->config.admission, "open") == 0;
    struct sl_view_peer *peer = NULL;
    if (is_proven) peer = sl_view_prove(view, descriptor);
    else if (!must_prove || was_here) peer = sl_view_learn(view, descriptor);

    bool is_full = !peer && view->n_peers == view->n_peers_max;
    view->overflowed = was_partial;
    if (is_full) note_outsider(node);
    if (peer && !was_here) node_trace(node, SL_TRACE_DISCOVERED, peer->id, 0, 0, SL_OK);
    if (peer && peer->prepared) return peer;

    sl_book_hear(&members->book, descriptor, source, node->now_us / 1000000);
    members->is_book_changed = true;
    return peer;
}

/* What we hold of this identity, if it is as new as that. */
static bool is_known(struct sl_node *node, const struct sl_descriptor *descriptor)
{
    const struct sl_view_peer *peer = sl_view_find(&node->view, descriptor->id);
    if (peer && peer->prepared)
        return descriptor->sequence <= peer->sequence ||
               (sl_hash_equal(peer->transport_public, descriptor->transport_public) && strcmp(peer->address, descriptor->address) == 0 &&
                sl_hash_equal(peer->certificate_hash, descriptor->certificate_hash));
    if (peer) return descriptor->sequence <= peer->sequence;

    const struct sl_book_entry *entry = sl_book_find(&node->members.book, descriptor->id);
    bool is_old = entry && descriptor->sequence <= entry->descriptor.sequence;
    if (is_old) node->members.outsider_epoch = node->epoch;
    return is_old && (node->view.n_peers == node->view.n_peers_max || strcmp(node->config.admission, "open") == 0);
}

int advert_take(struct sl_node *node, const uint8_t *bytes, size_t size, const char *source, bool *is_news)
{
    struct opened_advert advert;
    struct sl_descriptor *descriptor = &advert.descriptor;
    uint64_t now_s = node->now_us / 1000000;
    *is_news = false;
    int error = advert_open(node, bytes, size, &advert);
    if (error != SL_OK) return error;
    if (sl_hash_equal(descriptor->id, node->self->id)) return rollback_heed(node, &advert);
    if (advert_is_banned(node, descriptor->id) || is_known(node, descriptor)) return SL_OK;
    if (sl_hash_equal(descriptor->transport_public, node->self->transport_public)) return SL_ERROR_MISMATCH;
    if (descriptor->sequence > now_s + FUTURE_MAX_S || descriptor->until_s < now_s) return SL_ERROR_OUT_OF_RANGE;

    bool was_here = sl_view_find(&node->view, descriptor->id) || sl_book_find(&node->members.book, descriptor->id);
    if (!node_verify(node, &advert.envelope, descriptor->sign_public)) return SL_ERROR_BAD_SIGNATURE;
    error = certificate_check(node, descriptor->id, advert.body.certificate, advert.body.certificate_size);
    if (error != SL_OK) return error;

    certificate_describe(node, advert.body.certificate, advert.body.certificate_size, descriptor);
    settle(node, descriptor, source, false);
    *is_news = !was_here;
    return SL_OK;
}

/* ---- passing on ---- */

static struct relay *relay_place(struct sl_node *node, const uint8_t id[32])
{
    struct membership *members = &node->members;
    struct relay *unlinked = NULL;
    for (uint32_t i = 0; i < members->n_relays; i++) {
        struct relay *relay = &members->relays[i];
        if (sl_hash_equal(relay->id, id)) return relay;
        if (!unlinked && !links_to(node, relay->id)) unlinked = relay;
    }
    if (members->n_relays < members->n_relays_max) {
        struct relay *relay = &members->relays[members->n_relays++];
        relay->sequence = 0;
        return relay;
    }
    struct relay *relay = unlinked ? unlinked : &members->relays[sl_rng_below(&members->rng, members->n_relays)];
    relay->sequence = 0;
    return relay;
}

static bool is_verified(struct sl_node *node, struct relay *relay)
{
    struct opened_advert advert;
    if (relay->verified) return true;
    relay->verified = advert_open(node, relay->bytes, relay->size, &advert) == SL_OK && node_verify(node, &advert.envelope, advert.body.sign_public);
    if (!relay->verified) relay->size = 0;
    return relay->verified;
}

/* What we hold of an identity may be news to it: that of a ledger which it has no more. */
static bool is_set_back(struct sl_node *node, struct relay *relay, const struct opened_advert *advert)
{
    struct opened_advert held;
    bool is_held = relay->size > 0 && sl_hash_equal(relay->id, advert->descriptor.id) && advert_open(node, relay->bytes, relay->size, &held) == SL_OK;
    return is_held && rollback_knows_better(&held.body, &advert->body) && is_verified(node, relay);
}

/* It gets its own words back. */
void advert_remind(struct sl_node *node, struct link *link)
{
    const struct relay *relay = NULL;
    for (uint32_t i = 0; i < node->members.n_relays && !relay; i++)
        if (sl_hash_equal(node->members.relays[i].id, link->id)) relay = &node->members.relays[i];
    uint8_t *bytes = relay ? SL_TAKE(&node->out, uint8_t, relay->size) : NULL;
    if (!bytes) return;

    memcpy(bytes, relay->bytes, relay->size);
    links_send(node, link, bytes, relay->size);
}

/* Its signature is checked when it is first passed on: most never are where all know one another. True: the one that is held says more of its author's ledger,
 * and stays. */
static bool keep_relay(struct sl_node *node, const struct opened_advert *advert)
{
    if (advert->envelope.size > ADVERT_MAX || advert->body.sequence > node->now_us / 1000000 + FUTURE_MAX_S) return false;

    struct relay *relay = relay_place(node, advert->descriptor.id);
    if (relay->sequence == advert->body.sequence && sl_hash_equal(relay->id, advert->descriptor.id)) return false;
    if (is_set_back(node, relay, advert)) return true;
    if (!sl_hash_equal(relay->id, advert->descriptor.id)) relay->quiet_until = 0;
    memcpy(relay->id, advert->descriptor.id, 32);
    relay->sequence = advert->body.sequence;
    relay->size = (uint32_t)advert->envelope.size;
    relay->verified = false;
    memcpy(relay->bytes, advert->envelope.bytes, advert->envelope.size);
    return false;
}

/* What tells in which network it is: the address at which it answered. Anybody may say he is anywhere. */
const char *advert_proven_address(const struct sl_node *node, const uint8_t id[32])
{
    const struct sl_book_entry *entry = sl_book_find(&node->members.book, id);
    return entry && entry->is_tried ? entry->descriptor.address : "";
}

bool advert_take_own(struct sl_node *node, struct link *link, struct opened_advert *advert)
{
    struct sl_descriptor *descriptor = &advert->descriptor;
    uint64_t now_s = node->now_us / 1000000;
    bool is_outbound = !links_is_inbound(link);
    if (descriptor->sequence > now_s + FUTURE_MAX_S) descriptor->sequence = now_s + FUTURE_MAX_S;        /* its clock may be off: it proves itself now */
    if (descriptor->until_s < now_s || descriptor->until_s > now_s + SL_ADVERT_TTL_MAX_S) descriptor->until_s = now_s + SL_ADVERT_TTL_MAX_S;
    certificate_describe(node, advert->body.certificate, advert->body.certificate_size, descriptor);

    struct membership *members = &node->members;
    const char *source = is_outbound ? descriptor->address : "";                /* who came to us may say it is anywhere */
    const struct sl_view_peer *peer = settle(node, descriptor, source, true);
    bool is_prepared = peer && peer->prepared;
    if (is_outbound && !is_prepared) sl_book_answered(&members->book, descriptor->id, now_s);
    bool is_held = peer || sl_book_find(&members->book, descriptor->id);
    bool is_candidate = members->sampler.n_slots > 0 && is_held && !is_prepared;
    if (is_candidate) sl_sampler_offer(&members->sampler, descriptor->id, advert_proven_address(node, descriptor->id));
    return keep_relay(node, advert);
}

void advert_forget(struct sl_node *node, const uint8_t id[32])
{
    struct membership *members = &node->members;
    sl_book_remove(&members->book, id);
    sl_sampler_forget(&members->sampler, id);
    for (uint32_t i = 0; i < members->n_relays; i++)
        if (sl_hash_equal(members->relays[i].id, id)) members->relays[i] = members->relays[--members->n_relays];
}

/* Alive, as far as we know, and not the one who asks. */
static bool is_worth_passing(struct sl_node *node, const struct relay *relay, const struct link *link)
{
    const struct sl_view_peer *peer = sl_view_find(&node->view, relay->id);
    if (relay->size == 0 || sl_hash_equal(relay->id, link->id) || relay->sequence + SL_ADVERT_TTL_MAX_S < node->now_us / 1000000) return false;
    return peer ? sl_view_is_live(peer) : links_to(node, relay->id) != NULL;
}

uint32_t advert_choose(struct sl_node *node, const struct link *link, uint32_t n, struct sl_view_adverts *out)
{
    struct membership *members = &node->members;
    uint32_t chosen[SL_ADVERTS_MAX], n_chosen = 0, n_seen = 0;
    for (uint32_t i = 0; i < members->n_relays; i++) {                           /* a uniform choice in one pass */
        if (!is_worth_passing(node, &members->relays[i], link)) continue;
        uint32_t at = n_seen++ < n ? n_chosen++ : sl_rng_below(&members->rng, n_seen);
        if (at < n) chosen[at] = i;
    }
    out->n_adverts = 0;
    for (uint32_t i = 0; i < n_chosen; i++) {
        struct relay *relay = &members->relays[chosen[i]];
        if (!is_verified(node, relay)) continue;
        out->adverts[out->n_adverts].bytes = relay->bytes;
        out->adverts[out->n_adverts++].size = relay->size;
    }
    return out->n_adverts;
}
