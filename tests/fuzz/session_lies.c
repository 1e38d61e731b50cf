/* SPDX-License-Identifier: MIT */
#include "session_lies.h"

#include <assert.h>
#include <string.h>

#include "privacy/mask.h"

static uint8_t made[SL_MESSAGE_MAX];             /* the message that is written */

static struct sl_writer begin(const struct world *world, uint32_t liar, enum sl_message_type type)
{
    return sl_envelope_begin(type, world_network(), WORLD_EPOCH, world->cohort, world->members[liar].public_keys.id, made, sizeof made);
}

static size_t seal(const struct world *world, uint32_t liar, enum sl_message_type type, struct sl_writer *writer)
{
    return sl_envelope_seal(writer, type, world->members[liar].sign_secret);
}

static void say(struct world *world, uint32_t liar, uint32_t to, enum sl_message_type type, struct sl_writer *writer)
{
    size_t size = seal(world, liar, type, writer);
    if (size > 0) world_send(world, liar, liar, to, made, size, true);
}

/* ---- changed bodies ---- */

static void change_shares(const struct world *world, struct sl_shares *body, uint32_t field, uint32_t place)
{
    static uint8_t box[SL_BOX_SIZE];
    struct sl_dealt *dealt = &body->dealt[place % world->n];
    switch (field % 9) {
    case 0:
        if (!dealt->box) break;
        memcpy(box, dealt->box, sizeof box);
        box[place % sizeof box] ^= 1;
        dealt->box = box;
        break;
    case 1: dealt->mask_tag[0] ^= 1; break;
    case 2: dealt->to_tag[0] ^= 1; break;
    case 3: dealt->from_tag[0] ^= 1; break;
    case 4: dealt->self_share_hash[0] ^= 1; break;
    case 5: dealt->mask_share_hash[0] ^= 1; break;
    case 6: body->self_hash[0] ^= 1; break;
    case 7: body->nonce_hash[0] ^= 1; break;
    case 8: body->n_members = 1 + place % SL_COHORT_MAX; break;
    }
}

static void change_list(const struct world *world, struct sl_list *body, uint32_t field, uint32_t place)
{
    switch (field % 4) {
    case 0: body->hashes[place % body->n_hashes][0] ^= 1; break;
    case 1: body->previous[0] ^= 1; break;
    case 2: body->step = place % 16; break;
    case 3: body->members ^= 3ull << place % world->n; break;       /* another member, where one of the two was in; refused if the count is not right */
    }
}

/* The sign with which member i adds its mask with j. */
static uint32_t sign_of(uint32_t i, uint32_t j)
{
    return j > i ? 1 : UINT32_MAX;
}

/* Some lies hide in each other: what one sketch says too much the other says too little. */
static void change_audit(const struct world *world, struct sl_audit *body, uint32_t author, uint32_t field, uint32_t place)
{
    uint32_t row = place % body->rows, partner = place % world->n, mask = world->ring_bits == 16 ? 0xffff : UINT32_MAX;
    switch (field % 7) {
    case 0: body->input[row] ^= 1; break;
    case 1: body->self[row] ^= 1; break;
    case 2: body->pair[partner][row] ^= 1; break;
    case 3:
        body->self[row] = (body->self[row] + 1) & mask;
        body->input[row] = (body->input[row] - 1) & mask;
        break;
    case 4:
        body->pair[partner][row] = (body->pair[partner][row] + 1) & mask;
        body->input[row] = (body->input[row] - sign_of(author, partner)) & mask;
        break;
    case 5: body->partners ^= UINT64_C(1) << partner; break;
    case 6: body->rows = 1 + place % SL_SKETCH_ROWS_MAX; break;
    }
}

static void change_unmask(const struct world *world, struct sl_unmask *body, uint32_t field, uint32_t place)
{
    static uint8_t share[32];
    uint32_t member = place % world->n;
    if (field % 2) { body->shares[member] = NULL; return; }

    if (body->shares[member]) memcpy(share, body->shares[member], 32);
    share[0] ^= 1;
    body->shares[member] = share;
}

static void change_result(struct sl_result *body, uint32_t field, uint32_t place)
{
    switch (field % 4) {
    case 0: body->root[0] ^= 1; break;
    case 1: body->members ^= UINT64_C(1) << place % 8; break;
    case 2: body->bits = 8; break;
    case 3: body->exponent = 0; break;
    }
}

/* Writes the body anew with a change. False if it cannot be read. */
static bool write_changed(const struct world *world, const struct sl_envelope *envelope, uint32_t author, uint32_t field, uint32_t place,
                          struct sl_writer *writer)
{
    static union {
        struct sl_shares shares;
        struct sl_list list;
        struct sl_commit commit;
        struct sl_open open;
        struct sl_audit audit;
        struct sl_confirm confirm;
        struct sl_unmask unmask;
        struct sl_reveal reveal;
        struct sl_result result;
    } body;
    memset(&body, 0, sizeof body);               /* no pointers of another message */
    switch (envelope->type) {
#define CASE(TYPE, name, change) \
    case SL_MESSAGE_##TYPE: \
        if (sl_read_##name(envelope, &body.name) != SL_OK) return false; \
        change; \
        sl_write_##name(writer, &body.name); \
        return true;
    CASE(SHARES, shares, change_shares(world, &body.shares, field, place))
    CASE(LIST, list, change_list(world, &body.list, field, place))
    CASE(COMMIT, commit, (field % 2 ? body.commit.chain : body.commit.root)[place % 32] ^= 1)
    CASE(OPEN, open, (field % 2 ? body.open.chain : body.open.nonce)[place % 32] ^= 1)
    CASE(AUDIT, audit, change_audit(world, &body.audit, author, field, place))
    CASE(CONFIRM, confirm, body.confirm.chain[place % 32] ^= 1)
    CASE(UNMASK, unmask, change_unmask(world, &body.unmask, field, place))
    CASE(REVEAL, reveal, body.reveal.secret[place % 32] ^= 1)
    CASE(RESULT, result, change_result(&body.result, field, place))
#undef CASE
    default: return false;
    }
}

static bool is_open_to_lies(const struct world *world, const struct packet *packet)
{
    return packet->is_waiting && packet->author == packet->sender && world_is_liar(world, packet->author);
}

void lie_change(struct world *world, uint32_t index, uint32_t field, uint32_t place, bool to_all)
{
    const struct packet *packet = &world->packets[index % world->n_packets];
    struct sl_envelope envelope;
    if (!is_open_to_lies(world, packet)) return;
    if (sl_envelope_open(world->bytes + packet->at, packet->size, world_network(), &envelope) != SL_OK) return;

    struct sl_writer writer = begin(world, packet->author, envelope.type);
    if (!write_changed(world, &envelope, packet->author, field, place, &writer)) return;
    size_t size = seal(world, packet->author, envelope.type, &writer), before = packet->at;
    if (size == 0 || world->n_bytes + size > WORLD_BYTES_MAX) return;

    memcpy(world->bytes + world->n_bytes, made, size);
    for (uint32_t i = 0, n = world->n_packets; i < n; i++) {
        const struct packet *other = &world->packets[i];
        bool is_meant = other == packet || (to_all && other->at == before);
        if (is_meant && other->is_waiting) world_reword(world, i, world->n_bytes, size, true);
    }
    world->n_bytes += size;
}

/* ---- whole messages ---- */

static enum sl_message_type type_before(enum sl_session_step list)
{
    switch (list) {
    case SL_STEP_LIST_SHARES: return SL_MESSAGE_SHARES;
    case SL_STEP_LIST_COMMIT: return SL_MESSAGE_COMMIT;
    case SL_STEP_LIST_OPEN: return SL_MESSAGE_OPEN;
    default: return SL_MESSAGE_AUDIT;
    }
}

/* Hash of the newest body of that type by that author; for a LIST of that step by anybody. False: there is none. */
static bool hash_of_newest(const struct world *world, enum sl_message_type type, uint32_t author, uint32_t step, uint8_t out[32])
{
    for (uint32_t i = world->n_packets; i-- > 0;) {
        const struct packet *packet = &world->packets[i];
        struct sl_envelope envelope;
        struct sl_list list;
        if (packet->type != type || !packet->is_true || (type != SL_MESSAGE_LIST && packet->author != author)) continue;
        if (sl_envelope_open(world->bytes + packet->at, packet->size, world_network(), &envelope) != SL_OK) continue;
        if (type == SL_MESSAGE_LIST && (sl_read_list(&envelope, &list) != SL_OK || list.step != step)) continue;

        sl_body_hash(envelope.body, envelope.body_size, out);
        return true;
    }
    return false;
}

void lie_list(struct world *world, uint32_t liar, uint32_t to, enum sl_session_step step, uint32_t members)
{
    struct sl_list list = {.step = step};
    memcpy(list.previous, world->cohort, 32);
    if (step != SL_STEP_LIST_SHARES) hash_of_newest(world, SL_MESSAGE_LIST, 0, step - 2, list.previous);
    for (uint32_t i = 0; i < world->n; i++) {
        bool is_in = members >> i & 1 && hash_of_newest(world, type_before(step), i, 0, list.hashes[list.n_hashes]);
        if (!is_in) continue;

        list.members |= UINT64_C(1) << i;
        list.n_hashes++;
    }
    if (list.n_hashes == 0) return;

    struct sl_writer writer = begin(world, liar, SL_MESSAGE_LIST);
    sl_write_list(&writer, &list);
    say(world, liar, to, SL_MESSAGE_LIST, &writer);
}

void lie_reveal(struct world *world, uint32_t liar, uint32_t kind, uint32_t index)
{
    const struct world_member *own = &world->members[liar], *peer = &world->members[index % world->n];
    struct sl_reveal reveal = {.kind = SL_REVEAL_BOX_KEY + kind % 4, .index = index % world->n};
    struct sl_mask_context context = {
        .network_id = world_network(), .cohort_id = world->cohort, .epoch = WORLD_EPOCH, .own_id = own->public_keys.id, .peer_id = peer->public_keys.id,
        .own_index = liar, .peer_index = reveal.index};
    struct sl_box_keys keys;
    bool has_peer = reveal.index != liar;
    switch (reveal.kind) {
    case SL_REVEAL_BOX_KEY:
        if (!has_peer || sl_mask_box_keys(&context, own->public_keys.box_public, own->box_secret, peer->public_keys.box_public, &keys) != SL_OK) return;
        memcpy(reveal.secret, keys.from_peer, 32);
        break;
    case SL_REVEAL_MASK_SECRET: memcpy(reveal.secret, own->mask_secret, 32); break;
    case SL_REVEAL_BOX_SECRET: memcpy(reveal.secret, own->box_secret, 32); break;
    default:
        if (!has_peer) return;
        int error = sl_mask_pair_seed(&context, own->public_keys.mask_public, own->mask_secret, peer->public_keys.mask_public, reveal.secret);
        assert(!error);
    }
    struct sl_writer writer = begin(world, liar, SL_MESSAGE_REVEAL);
    sl_write_reveal(&writer, &reveal);
    say(world, liar, SL_SESSION_ALL, SL_MESSAGE_REVEAL, &writer);
}

void lie_need(struct world *world, uint32_t liar, uint32_t to, uint32_t step, uint32_t from)
{
    struct sl_need need = {.step = step % 16};
    memcpy(need.from, world->members[from % world->n].public_keys.id, 32);
    struct sl_writer writer = begin(world, liar, SL_MESSAGE_NEED);
    sl_write_need(&writer, &need);
    say(world, liar, to, SL_MESSAGE_NEED, &writer);
}

void lie_copy(struct world *world, uint32_t liar, uint32_t index)
{
    const struct packet *packet = &world->packets[index % world->n_packets];
    struct sl_envelope envelope;
    if (sl_envelope_open(world->bytes + packet->at, packet->size, world_network(), &envelope) != SL_OK) return;

    lie_body(world, liar, SL_SESSION_ALL, envelope.type, envelope.body, envelope.body_size);
}

void lie_body(struct world *world, uint32_t liar, uint32_t to, enum sl_message_type type, const uint8_t *body, size_t size)
{
    struct sl_writer writer = begin(world, liar, type);
    sl_write_raw(&writer, body, size);
    say(world, liar, to, type, &writer);
}
