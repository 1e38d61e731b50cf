/* SPDX-License-Identifier: MIT */
/*
 * A whole core among seven peers that lie: the input is a list of commands. Some drive a real cohort, a pull and the clock on, so that deep states are
 * reached; others change a byte of the next message (and sign it anew, or not), send a body of the input in a good envelope, cut links, restart the node.
 * Whatever happens, no assertion may fail and the node must stay in order.
 */
#include "fuzz.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/vec.h"
#include "company.h"
#include "starling/error.h"

enum { N_PUPPETS = 8, N_LISTED = 7, COMMANDS_MAX = 200 };

static struct stage *stage;
static struct forged *forged;
static struct company *company;
static uint32_t progress;                        /* of the cohort that is driven */

static struct { bool armed, signs_anew; uint32_t at; uint8_t flip; } change;

struct input { const uint8_t *data; size_t size, used; };

static uint8_t next_byte(struct input *input)
{
    return input->used < input->size ? input->data[input->used++] : 0;
}

static uint32_t next_number(struct input *input)
{
    uint32_t low = next_byte(input);
    return low | (uint32_t)next_byte(input) << 8;
}

/* Changes one byte of a message on its way, once; the sender may sign it anew. */
static void spoil(struct stage *unused, uint8_t *bytes, size_t size)
{
    struct sl_envelope envelope;
    (void)unused;
    if (!change.armed || size == 0) return;

    change.armed = false;
    bool is_message = sl_envelope_open(bytes, size, stage->config.network_id, &envelope) == SL_OK;
    size_t room = change.signs_anew && is_message && envelope.signature ? envelope.signed_size : size;
    uint32_t sender = is_message ? stage_puppet(stage, envelope.from) : UINT32_MAX;
    bytes[change.at % room] ^= change.flip;
    if (room == size || sender >= N_PUPPETS) return;

    uint8_t digest[32];
    sl_hash_once("message", bytes, room, digest);
    crypto_sign_detached(bytes + size - 64, NULL, digest, 32, stage->puppets[sender].sign_secret);
}

/* ---- driving ---- */

static void begin_cohort(struct input *input)
{
    uint32_t initiator = next_byte(input) % N_LISTED, members[FORGED_MAX] = {PUPPET_SELF}, n = 1 + 3 + next_byte(input) % 3;
    for (uint32_t i = 1; i < n; i++) members[i] = (initiator + i - 1) % N_LISTED;
    company_destroy(&company);
    forge_destroy(&forged);
    forged = forge_new(stage, initiator, members, n);
    forge_seal_propose(forged);
    forge_say_propose(forged);
    progress = 1;
}

/* The core has proposed: all whom it asked join, and if a roster comes of it, that cohort is driven on. */
static void answer_core(void)
{
    struct sl_envelope envelope;
    struct sl_propose body;
    const struct sent *sent = stage_last(stage, SL_MESSAGE_PROPOSE);
    if (!sent || sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope) != SL_OK || envelope.epoch != stage_epoch(stage)) return;
    if (sl_read_propose(&envelope, &body) != SL_OK) return;

    uint32_t members[FORGED_MAX] = {PUPPET_SELF}, n = 1;
    for (uint32_t i = 0; i < body.n_candidates && n < FORGED_MAX; i++) members[n++] = stage_puppet(stage, body.candidates[i]);
    company_destroy(&company);
    forge_destroy(&forged);
    forged = forge_new(stage, members[1], members, n);
    sl_propose_hash(&envelope, forged->propose_hash);
    forge_joins(forged);
    for (uint32_t i = 0; i < n; i++)
        if (forged->members[i].who != PUPPET_SELF) puppet_deliver(stage, forged->members[i].who, forged->members[i].join, forged->members[i].join_size);

    const struct cohort *cohort = &stage->node->cohort;
    progress = 0;
    if (cohort->state == COHORT_NONE || cohort->n_members != n || cohort->own != cohort->initiator) return;
    memcpy(forged->cohort, cohort->id, 32);
    memcpy(forged->roster_bytes, cohort->roster, cohort->roster_size);
    forged->roster_size = cohort->roster_size;
    forged->initiator = PUPPET_SELF;
    memcpy(forge_self(forged)->mask_public, cohort->members[cohort->own].mask_public, 32);
    memcpy(forge_self(forged)->box_public, cohort->members[cohort->own].box_public, 32);
    forged->propose.ref_exponent = cohort->ref_exponent;
    forged->propose.radius_q = cohort->radius_q;
    memcpy(forged->ref, cohort->ref, (size_t)2 * stage->node->n_block);
    forged->ring_exponent = cohort->ring_exponent;
    company = company_new(forged);
    progress = 2;
}

static void join_cohort(void)
{
    if (!forge_take_join(forged)) return;
    forge_joins(forged);
    forge_roster(forged);
    forge_say_roster(forged);
    company = company_new(forged);
    progress = 2;
}

/* The partners go on as far as they can, one of them silent about something, and some moment comes for all of them. */
static void run_cohort(struct input *input)
{
    uint32_t place = next_byte(input) % forged->n_members, type = next_byte(input) % 64;
    if (type < SL_PEER_TYPES_MAX) company->players[place].is_mute[type] = !company->players[place].is_mute[type];
    company_run(company);
    uint32_t step = next_byte(input) % 32, moment = next_byte(input) % 4;
    if (step >= SL_STEP_SHARES && step < SL_STEP_COUNT) company_moment(company, (enum sl_session_step)step, (enum sl_session_moment)moment);
    if (company->n_frames > sizeof company->frames / sizeof *company->frames / 2) progress = 0;
}

static void drive(struct input *input)
{
    if (!forged || forged->epoch != stage_epoch(stage)) progress = 0;
    switch (progress) {
    case 1: join_cohort(); break;
    case 2: run_cohort(input); break;
    default: begin_cohort(input); break;
    }
}

/* Whoever was asked last for an aggregate serves one of a cohort of puppets. */
static void serve(struct input *input)
{
    const struct sent *sent = stage_last(stage, SL_MESSAGE_PULL);
    uint32_t first = sent && sent->to < N_PUPPETS ? sent->to : next_byte(input) % N_PUPPETS, members[4];
    for (uint32_t i = 0; i < 4; i++) members[i] = (first + i) % N_PUPPETS;
    struct forged *other = forge_new(stage, first, members, 4);
    forge_aggregate(other);
    forge_say_aggregate(other, first);
    forge_say_chunk(other, first, &other->mean_tree, other->mean, 0);
    forge_destroy(&other);
}

/* A body from the input in an envelope that is in order. */
static void say_raw(struct input *input)
{
    static const uint8_t types[] = {
#define X(name, number, is_signed, size_max, help) number,
#include "wire/messages.def"
#undef X
    };
    enum sl_message_type type = types[next_byte(input) % sizeof types];
    uint32_t from = next_byte(input) % N_PUPPETS, via = next_byte(input) % N_PUPPETS, where = next_byte(input) % 4;
    size_t size = next_byte(input), left = input->size - input->used;
    if (size > left) size = left;
    if (size == 0) return;
    const struct sl_node *node = stage->node;
    const uint8_t *cohort = where == 1 ? node->cohort.id : where == 2 ? node->formation.own.hash : NULL;
    struct sl_writer writer = puppet_begin(stage, from, type, stage_epoch(stage) + (where == 3), cohort);
    sl_write_raw(&writer, input->data + input->used, size);
    input->used += size;
    size = sl_envelope_seal(&writer, type, stage->puppets[from].sign_secret);
    if (size > 0) puppet_deliver(stage, via, stage->out, size);
}

/* Members and initiators leave and let go. */
static void leave(struct input *input)
{
    uint32_t from = next_byte(input) % N_PUPPETS;
    const struct sl_node *node = stage->node;
    if (next_byte(input) & 1) {
        struct sl_refuse body = {.reason = from};
        struct sl_writer writer = puppet_begin(stage, from, SL_MESSAGE_REFUSE, stage_epoch(stage), node->cohort.id);
        sl_write_refuse(&writer, &body);
        puppet_say(stage, from, &writer, SL_MESSAGE_REFUSE);
    } else {
        uint32_t initiator = stage_puppet(stage, node->formation.own.from);
        if (initiator >= N_PUPPETS) return;
        struct sl_writer writer = puppet_begin(stage, initiator, SL_MESSAGE_RELEASED, stage_epoch(stage), node->formation.own.hash);
        sl_write_released(&writer);
        puppet_say(stage, initiator, &writer, SL_MESSAGE_RELEASED);
    }
}

static void ask(struct input *input)
{
    uint32_t from = next_byte(input) % N_PUPPETS, what = next_byte(input);
    const struct cohort *cohort = &stage->node->cohort;
    struct sl_writer writer;
    if (what % 3 == 0) {
        struct sl_need body = {.step = what / 3 % SL_STEP_COUNT};
        memcpy(body.from, what & 64 ? stage->self.id : stage->puppets[from].id, 32);
        writer = puppet_begin(stage, from, SL_MESSAGE_NEED, stage_epoch(stage), cohort->id);
        sl_write_need(&writer, &body);
        puppet_say(stage, from, &writer, SL_MESSAGE_NEED);
    } else if (what % 3 == 1) {
        struct sl_get body = {.index = what / 3 % 3};
        const uint8_t *own = cohort->state == COHORT_NONE ? NULL : sl_session_root(cohort->session, cohort->own);
        memcpy(body.root, what & 64 || !own ? cohort->ref_tree.root : own, 32);
        writer = puppet_begin(stage, from, SL_MESSAGE_GET, stage_epoch(stage), NULL);
        sl_write_get(&writer, &body);
        puppet_say(stage, from, &writer, SL_MESSAGE_GET);
    } else {
        struct sl_pull body = {.epoch = stage_epoch(stage) - what / 3 % 4};
        memcpy(body.member, what & 64 ? stage->self.id : stage->puppets[from].id, 32);
        enum sl_message_type type = what & 32 ? SL_MESSAGE_PULL : SL_MESSAGE_NONE;
        writer = puppet_begin(stage, from, type, body.epoch, NULL);
        sl_write_pull(&writer, &body);
        puppet_say(stage, from, &writer, type);
    }
}

static void change_link(struct input *input)
{
    uint32_t what = next_byte(input), puppet = what / 8 % N_PUPPETS;
    switch (what % 8) {
    case 0: stage_change(stage, stage->link[puppet] ? stage->link[puppet] : what, SL_LINK_DOWN, NULL); break;
    case 1: stage_change(stage, next_byte(input), SL_LINK_UP, stage->puppets[puppet].transport_public); break;
    case 2: stage_inbound(stage, stage->puppets[puppet].transport_public); break;
    case 3: stage->refuses[puppet] = !stage->refuses[puppet]; break;
    case 4: stage->ignores_dials = !stage->ignores_dials; break;
    case 5: stage_control(stage, (enum sl_control_verb)(next_byte(input) % 3), puppet); break;
    case 6: stage->fails_stores = !stage->fails_stores; break;
    default: stage_connect(stage, puppet); break;
    }
}

static void pass_time(struct input *input)
{
    uint32_t share = next_byte(input);
    uint64_t step_us = stage->config.epoch_us / 256 * share;
    if (share >= 250) stage_jump_to(stage, stage->now_us + (share - 249) * stage->config.epoch_us);
    else stage_run_to(stage, stage->now_us + step_us);
}

static void check_order(void)
{
    struct sl_status status = stage_status(stage);
    assert(status.links_up <= stage->config.link_max && status.peers_live <= status.peers_known);
    assert(sl_vec_finite(stage->node->weights, stage->node->dim) && sl_vec_finite(stage->node->anchor, stage->node->dim));
    assert(stage->node->stopped || stage->deadline_us > stage->now_us);
    assert(isfinite(status.sharing_radius) && status.sharing_radius > 0);
}

static void obey(struct input *input)
{
    switch (next_byte(input) % 18) {
    case 0: case 1: case 2: case 3: drive(input); break;
    case 4: case 5: pass_time(input); break;
    case 6: case 7:
        change.signs_anew = next_byte(input) & 1;
        change.at = next_number(input);
        change.flip = next_byte(input);
        change.armed = true;
        break;
    case 8: case 9: say_raw(input); break;
    case 10: serve(input); break;
    case 11: ask(input); break;
    case 12: change_link(input); break;
    case 13:
        stage->holds_jobs = !stage->holds_jobs;
        if (!stage->holds_jobs && stage->pending_job) stage_finish_job(stage, next_byte(input) & 1 ? SL_OK : SL_ERROR_IO);
        break;
    case 14: stage_next_epoch(stage); break;
    case 15:
        if (next_byte(input) % 8 == 0) stage_restart(stage);
        else stage_to_phase(stage, .881);
        break;
    case 16: answer_core(); break;
    default: leave(input); break;
    }
    stage_run_to(stage, stage->now_us);                  /* what is due at once; a deadline that does not move on fails here */
    if (stage->n_sent > SENT_MAX / 2) stage_forget(stage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .size = size};
    if (!stage) stage = stage_new(&(struct stage_options){.n_puppets = N_PUPPETS, .n_listed = N_LISTED, .settings = {"link.max=8", "outbox.size=8"}});
    else stage_reset(stage);
    company_destroy(&company);
    forge_destroy(&forged);
    progress = 0;
    change.armed = false;
    stage->spoil = spoil;
    stage_start(stage);
    stage_connect_all(stage);
    stage_next_epoch(stage);
    for (uint32_t i = 0; i < COMMANDS_MAX && input.used < size; i++) {
        obey(&input);
        check_order();
    }
    return 0;
}
