/* SPDX-License-Identifier: MIT */
#include "cohort/session.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "cohort/draft_parts.h"
#include "starling/error.h"

/* The course of a session: memory, beginning and end, and how far what is here allows to go. */

uint32_t sl_session_threshold(uint32_t n_members)
{
    return (8 * n_members + 5) / 10;
}

uint32_t sl_session_colluders(uint32_t n_members)
{
    return n_members > 3 ? n_members / 3 : 0;
}

/* ---- memory ---- */

static uint32_t held_max(uint32_t slot, uint32_t n, uint32_t rows)
{
    switch (slot) {
    case HELD_SHARES: return 384 + 280 * n;             /* tags, box and hashes of each */
    case HELD_AUDIT: return rows ? 320 + (n + 2) * (4 * rows + 4) : 0;
    case HELD_UNMASK: return 320 + 34 * n;
    default: return SMALL_MAX;
    }
}

static uint32_t list_max(uint32_t n)
{
    return 384 + 34 * n;
}

static bool reserve(struct sl_arena *arena, struct held *held, uint32_t size)
{
    *held = (struct held){.size_max = size};
    if (size == 0) return true;
    held->bytes = SL_RESERVE(arena, uint8_t, size);
    return held->bytes != NULL;
}

static bool carve(struct sl_session *session, struct sl_arena *arena, uint32_t n_max, uint32_t dim_max, uint32_t rows_max)
{
    bool done = true;
    for (uint32_t i = 0; i < n_max; i++) {
        for (uint32_t slot = 0; slot < HELD_COUNT; slot++) done &= reserve(arena, &session->parties[i].held[slot], held_max(slot, n_max, rows_max));
        session->parties[i].vector = SL_RESERVE(arena, uint8_t, (size_t)4 * dim_max);
        done &= session->parties[i].vector != NULL;
    }
    for (uint32_t k = 0; k < LIST_COUNT; k++) {
        struct list *list = &session->lists[k];
        done &= reserve(arena, &list->message, list_max(n_max));
        done &= reserve(arena, &list->pending[0], list_max(n_max));
        done &= reserve(arena, &list->pending[1], list_max(n_max));
    }
    session->z = SL_RESERVE(arena, uint32_t, dim_max);
    session->sum = SL_RESERVE(arena, uint32_t, dim_max);
    /* the largest is evidence: a ROSTER of whole JOINs, a SHARES, and t shares */
    session->out_max = 2048 + 1024 * (size_t)n_max + held_max(HELD_SHARES, n_max, rows_max) + held_max(HELD_AUDIT, n_max, rows_max) + 40 * (size_t)n_max;
    session->out = SL_RESERVE(arena, uint8_t, session->out_max);
    return done && session->z && session->sum && session->out;
}

struct sl_session *sl_session_init(struct sl_arena *arena, uint32_t n_members_max, uint32_t dim_max, uint32_t rows_max, const struct sl_session_port *port,
                                   struct sl_rng rng)
{
    assert(n_members_max <= SL_MESH_COHORT_MAX && rows_max <= SL_SKETCH_ROWS_MAX);

    struct sl_session plan = {.state = SL_SESSION_NONE};         /* a counting arena has no place to write to */
    struct sl_session *session = SL_TAKE(arena, struct sl_session, 1);
    if (!carve(session ? session : &plan, arena, n_members_max, dim_max, rows_max) || !session) return NULL;

    session->port = *port;
    session->rng = rng;
    session->n_max = n_members_max;
    session->dim_max = dim_max;
    session->rows_max = rows_max;
    return session;
}

size_t sl_session_size(uint32_t n_members_max, uint32_t dim_max, uint32_t rows_max)
{
    struct sl_arena counting = sl_arena_over(NULL, SIZE_MAX);
    struct sl_session_port port = {0};
    struct sl_rng rng = {0};
    (void)sl_session_init(&counting, n_members_max, dim_max, rows_max, &port, rng);
    return counting.used + alignof(struct sl_session);
}

/* ---- beginning and end ---- */

static void wipe_keys(struct sl_session *session)
{
    sl_wipe(session->mask_secret, sizeof session->mask_secret);
    sl_wipe(session->box_secret, sizeof session->box_secret);
    for (uint32_t i = 0; i < SL_MESH_COHORT_MAX; i++) sl_wipe(&session->parties[i].box, sizeof session->parties[i].box);
}

void sl_session_wipe(struct sl_session *session)
{
    wipe_keys(session);
    sl_wipe(session->self_seed, sizeof session->self_seed);
    sl_wipe(session->nonce, sizeof session->nonce);
    for (uint32_t i = 0; i < SL_MESH_COHORT_MAX; i++) {
        struct party *party = &session->parties[i];
        sl_wipe(party->pair_seed, sizeof party->pair_seed);
        sl_wipe(party->self_share, sizeof party->self_share);
        sl_wipe(party->mask_share, sizeof party->mask_share);
    }
    sl_wipe(session->z, sizeof(uint32_t) * session->dim);
    sl_wipe(session->out, session->out_max);
}

static void forget(struct party *party)
{
    struct party fresh = {.vector = party->vector};
    for (uint32_t slot = 0; slot < HELD_COUNT; slot++)
        fresh.held[slot] = (struct held){.size_max = party->held[slot].size_max, .bytes = party->held[slot].bytes};
    *party = fresh;
}

static void clear(struct held *held)
{
    held->size = 0;
}

static void reset(struct sl_session *session)
{
    for (uint32_t i = 0; i < SL_MESH_COHORT_MAX; i++) {
        forget(&session->parties[i]);
        session->relays[i] = 0;
    }
    for (uint32_t k = 0; k < LIST_COUNT; k++) {
        struct list *list = &session->lists[k];
        clear(&list->message);
        clear(&list->pending[0]);
        clear(&list->pending[1]);
        list->accepted = list->said = list->backup = false;
        list->members = 0;
    }
    session->has_input = session->has_refused = session->has_revealed = false;
}

bool sl_session_begin(struct sl_session *session, const struct sl_session_setup *setup)
{
    assert(setup->n_members >= 3 && setup->n_members <= session->n_max && setup->dim <= session->dim_max && setup->rows <= session->rows_max);

    reset(session);
    memcpy(session->network_id, setup->network_id, 32);
    memcpy(session->cohort_id, setup->cohort_id, 32);
    memcpy(session->mask_secret, setup->mask_secret, 32);
    memcpy(session->box_secret, setup->box_secret, 32);
    session->sign_secret = setup->sign_secret;
    session->roster = setup->roster;
    session->roster_size = setup->roster_size;
    session->epoch = setup->epoch;
    session->n = setup->n_members;
    session->own = setup->own;
    session->initiator = setup->initiator;
    session->threshold = sl_session_threshold(session->n);
    session->colluders = sl_session_colluders(session->n);
    session->dim = setup->dim;
    session->ring_bits = setup->ring_bits;
    session->rows = setup->rows;
    session->radius_q = setup->radius_q;
    session->ring_exponent = setup->ring_exponent;
    session->noise_variance = setup->noise_variance;
    for (uint32_t i = 0; i < session->n; i++) session->parties[i].who = setup->members[i];
    memcpy(session->mask_public, setup->members[setup->own].mask_public, 32);
    memcpy(session->box_public, setup->members[setup->own].box_public, 32);

    session->state = SL_SESSION_SHARED;
    if (!shares_deal(session)) {
        sl_session_wipe(session);
        session->state = SL_SESSION_VOID;
        return false;
    }
    session_tell(session, SL_NEWS_SHARED, SL_SESSION_ALL, session->n);
    return true;
}

bool session_is_under_way(const struct sl_session *session)
{
    return session->state != SL_SESSION_NONE && session->state != SL_SESSION_DONE && session->state != SL_SESSION_VOID;
}

void session_tell(struct sl_session *session, enum sl_session_news news, uint32_t member, int64_t number)
{
    session->port.tell(session->port.context, news, member, number);
}

void session_set_void(struct sl_session *session, enum sl_session_step step, uint32_t culprit)
{
    if (!session_is_under_way(session)) return;

    session->state = SL_SESSION_VOID;
    sl_session_wipe(session);
    session_tell(session, SL_NEWS_VOID, culprit, step);
}

void sl_session_end(struct sl_session *session)
{
    session_set_void(session, SL_STEP_RESULT, SL_SESSION_ALL);
    sl_session_wipe(session);
    session->state = SL_SESSION_NONE;
}

/* ---- how far we can go ---- */

static bool vectors_are_here(const struct sl_session *session)
{
    for (uint32_t i = 0; i < session->n; i++)
        if (session->lists[LIST_O].members >> i & 1 && !session->parties[i].vector_here) return false;
    return true;
}

static bool is_in(const struct sl_session *session, enum list_number number)
{
    return session->lists[number].members >> session->own & 1;
}

static void agree(struct sl_session *session)
{
    session->state = SL_SESSION_AGREED;
    wipe_keys(session);
    uint32_t n = 0;
    for (uint32_t i = 0; i < session->n; i++) n += session->lists[LIST_V].members >> i & 1;
    session_tell(session, SL_NEWS_AGREED, SL_SESSION_ALL, n);
}

/* One stage further, if what it waits for is here. */
static bool go_on(struct sl_session *session)
{
    enum sl_session_state before = session->state;
    switch (before) {
    case SL_SESSION_SHARED:
        list_try(session, LIST_V);
        if (session_is_under_way(session) && session->lists[LIST_V].accepted) agree(session);
        break;
    case SL_SESSION_AGREED:
        if (session->has_input) input_commit(session);
        if (session->has_input || session->has_refused) session->state = SL_SESSION_COMMITTED;
        list_try(session, LIST_Y);                      /* others may go on without us */
        if (session->lists[LIST_Y].accepted) session->state = SL_SESSION_COMMITTED;
        break;
    case SL_SESSION_COMMITTED:
        list_try(session, LIST_Y);
        if (!session->lists[LIST_Y].accepted) break;
        if (is_in(session, LIST_Y)) input_open(session);
        session->state = SL_SESSION_OPENED;
        break;
    case SL_SESSION_OPENED:
        input_want(session);
        list_try(session, LIST_O);
        if (!session->lists[LIST_O].accepted || !vectors_are_here(session)) break;
        if (session->rows) audit_say(session);
        session->state = SL_SESSION_AUDITED;
        break;
    case SL_SESSION_AUDITED:
        if (session->rows) list_try(session, LIST_U);
        if (!list_last(session)->accepted) break;
        unmask_confirm(session);
        session->state = SL_SESSION_CONFIRMED;
        break;
    case SL_SESSION_CONFIRMED:
        if (unmask_say(session)) session->state = SL_SESSION_UNMASKED;
        break;
    case SL_SESSION_UNMASKED:
        if (!unmask_sum(session)) break;
        session->state = SL_SESSION_SIGNED;
        unmask_sign(session);
        break;
    case SL_SESSION_SIGNED:
        if (!unmask_is_signed(session)) break;
        session->state = SL_SESSION_DONE;
        sl_session_wipe(session);
        session_tell(session, SL_NEWS_DONE, SL_SESSION_ALL, session->colluders + 1);
        break;
    default: break;
    }
    return session->state != before;
}

void session_advance(struct sl_session *session)
{
    while (session_is_under_way(session) && go_on(session)) continue;
}

/* ---- our input ---- */

void sl_session_input(struct sl_session *session, const uint32_t *z)
{
    if (!session_is_under_way(session) || session->has_input || session->has_refused || session->state > SL_SESSION_AGREED) return;

    memcpy(session->z, z, sizeof(uint32_t) * session->dim);
    session->has_input = true;
    session_advance(session);
}

void sl_session_refuse(struct sl_session *session, uint32_t reason)
{
    if (!session_is_under_way(session) || session->has_refused || session->has_input) return;

    struct sl_refuse body = {.reason = reason};
    struct sl_writer writer = session_write(session, SL_MESSAGE_REFUSE);
    sl_write_refuse(&writer, &body);
    session_say(session, &writer, SL_MESSAGE_REFUSE, HELD_COUNT);
    session->has_refused = session->parties[session->own].refused = true;
    session_tell(session, SL_NEWS_REFUSED, session->own, reason);
    session_advance(session);
}

/* ---- time ---- */

/* The LIST that closes a step. */
static bool list_of(enum sl_session_step step, enum list_number *out)
{
    *out = (enum list_number)((step - 1) / 2);
    return step <= SL_STEP_LIST_AUDIT;
}

/* Is this step the one we stand at? */
static bool is_open(const struct sl_session *session, enum sl_session_step step)
{
    enum list_number number;
    if (list_of(step, &number)) {
        bool begun = number == LIST_V || session->lists[number - 1].accepted;
        return begun && !session->lists[number].accepted && (session->rows || number != LIST_U);
    }
    if (step == SL_STEP_CONFIRM) return session->state == SL_SESSION_CONFIRMED;
    return step == SL_STEP_UNMASK ? session->state == SL_SESSION_UNMASKED : session->state == SL_SESSION_SIGNED;
}

static bool is_behind(const struct sl_session *session, enum sl_session_step step)
{
    enum list_number number;
    if (list_of(step, &number)) return !session->lists[number].accepted && (session->rows || number != LIST_U);
    if (step == SL_STEP_CONFIRM) return session->state < SL_SESSION_UNMASKED;
    return step == SL_STEP_UNMASK ? session->state < SL_SESSION_SIGNED : session->state < SL_SESSION_DONE;
}

void sl_session_moment(struct sl_session *session, enum sl_session_step step, enum sl_session_moment moment)
{
    enum list_number number;
    if (!session_is_under_way(session)) return;

    bool has_list = list_of(step, &number);
    if (moment == SL_MOMENT_ASK && is_open(session, step)) session_ask_missing(session, step);
    if (moment == SL_MOMENT_CLOSE && has_list && is_open(session, step) && session->own == session->initiator) list_close(session, number);
    if (moment == SL_MOMENT_BACKUP && has_list && is_open(session, step)) {
        session->lists[number].backup = true;
        list_try(session, number);
        list_close(session, number);
    }
    session_advance(session);
    bool missed = moment == SL_MOMENT_END && is_behind(session, step);
    if (missed) session_set_void(session, step, SL_SESSION_ALL);
}

/* ---- what the driver may see ---- */

enum sl_session_state sl_session_state(const struct sl_session *session)
{
    return session->state;
}

uint64_t sl_session_set(const struct sl_session *session, enum sl_session_step list)
{
    enum list_number number;
    if (!session->rows && list == SL_STEP_LIST_AUDIT) number = LIST_O;
    else if (!list_of(list, &number)) return 0;
    return session->lists[number].accepted ? session->lists[number].members : 0;
}

const uint32_t *sl_session_sum(const struct sl_session *session)
{
    return session->sum;
}

uint8_t *sl_session_vector(struct sl_session *session, uint32_t member)
{
    return session->parties[member].vector;
}

const uint8_t *sl_session_root(const struct sl_session *session, uint32_t member)
{
    return session->parties[member].held[HELD_COMMIT].size > 0 ? session->parties[member].root : NULL;
}

void sl_session_vector_here(struct sl_session *session, uint32_t member)
{
    if (!session_is_under_way(session)) return;

    session->parties[member].vector_here = true;
    session_advance(session);
}

bool sl_session_serves(const struct sl_session *session, uint32_t member)
{
    return session->parties[member].held[HELD_OPEN].size > 0 && session->parties[member].vector_here;
}
