/* SPDX-License-Identifier: MIT */
#include "cohort/session.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "base/quorum.h"
#include "cohort/session_parts.h"

/* The life of a session: its memory, the beginning and the end of a run, and what drivers ask. */

/* ---- memory ---- */

/* Room for a message of a step: 256 bytes of envelope, and what its body needs for so many members and rows. */
static size_t size_of(uint32_t step, uint32_t n_members, uint32_t rows)
{
    switch (step) {
    case SL_STEP_SHARES: return 384 + (size_t)256 * n_members;
    case SL_STEP_LIST_SHARES: case SL_STEP_LIST_COMMIT: case SL_STEP_LIST_OPEN: case SL_STEP_LIST_AUDIT: return 320 + (size_t)34 * n_members;
    case SL_STEP_AUDIT: return rows > 0 ? 320 + (size_t)(4 * rows + 3) * (n_members + 2) : 0;
    case SL_STEP_UNMASK: return 320 + (size_t)34 * n_members;
    default: return 384;
    }
}

static void carve_messages(struct sl_session *session, struct sl_arena *arena)
{
    uint32_t n = session->n_members_max, rows = session->rows_max;
    session->n_bytes = 0;
    for (uint32_t step = SL_STEP_SHARES; step < SL_STEP_COUNT; step++) session->n_bytes += n * size_of(step, n, rows);
    session->held = SL_TAKE(arena, struct held, (size_t)SL_STEP_COUNT * n);
    session->bytes = SL_TAKE(arena, uint8_t, session->n_bytes);
    if (!session->held || !session->bytes) return;

    uint8_t *at = session->bytes;
    for (uint32_t step = SL_STEP_SHARES; step < SL_STEP_COUNT; step++) {
        for (uint32_t i = 0; i < n; i++) {
            struct held *held = session_held(session, step, i);
            held->bytes = at;
            held->size_max = size_of(step, n, rows);
            at += held->size_max;
        }
    }
}

/* What the messages say, in tables. */
static bool carve_tables(struct sl_session *session, struct sl_arena *arena)
{
    size_t n = session->n_members_max;
    session->shares = SL_TAKE(arena, struct session_dealing, n);
    session->dealt = SL_TAKE(arena, struct sl_dealt, n * n);
    session->revealed = sl_arena_take(arena, SESSION_REVEALS * n * n, 32, 1);
    bool has_all = session->shares && session->dealt && session->revealed;
    for (uint32_t i = 0; i < n && has_all; i++) session->shares[i].dealt = session->dealt + i * n;
    if (session->rows_max == 0) return has_all;

    session->audits = SL_TAKE(arena, struct session_sketches, n);
    session->pairs = sl_arena_take(arena, n * n, sizeof *session->pairs, alignof(uint32_t));
    session->sketches = SL_TAKE(arena, struct sl_sketch, SESSION_BLOCK_CHUNKS);
    session->sketched = SL_TAKE(arena, uint32_t, n * SL_SKETCH_ROWS_MAX);
    has_all = has_all && session->audits && session->pairs && session->sketches && session->sketched;
    for (uint32_t i = 0; i < n && has_all; i++) session->audits[i].pair = session->pairs + i * n;
    return has_all;
}

/* False when the arena is too small, or only counts. */
static bool carve(struct sl_session *session, struct sl_arena *arena)
{
    uint32_t n = session->n_members_max, dim = session->dim_max, rows = session->rows_max;
    carve_messages(session, arena);
    bool has_tables = carve_tables(session, arena);
    session->vectors = SL_RESERVE(arena, uint8_t, (size_t)n * dim * 4);
    session->numbers = SL_TAKE(arena, uint32_t, dim);
    session->evidence_max = 2 * size_of(SL_STEP_SHARES, n, rows) + size_of(SL_STEP_AUDIT, n, rows) + 1024 * ((size_t)n + 1) + (size_t)40 * n;
    if (session->evidence_max > SL_MESSAGE_MAX) session->evidence_max = SL_MESSAGE_MAX;          /* nobody would take a larger one */
    session->evidence = SL_TAKE(arena, uint8_t, session->evidence_max);
    return has_tables && session->bytes && session->held && session->vectors && session->numbers && session->evidence;
}

size_t sl_session_size(uint32_t n_members_max, uint32_t dim_max, uint32_t rows_max)
{
    struct sl_session session = {.n_members_max = n_members_max, .dim_max = dim_max, .rows_max = rows_max};
    struct sl_arena arena = sl_arena_over(NULL, SIZE_MAX);
    (void)SL_TAKE(&arena, struct sl_session, 1);
    carve(&session, &arena);
    return arena.used + alignof(max_align_t);
}

struct sl_session *sl_session_init(struct sl_arena *arena, uint32_t n_members_max, uint32_t dim_max, uint32_t rows_max, const struct sl_session_port *port,
                                   struct sl_rng rng)
{
    assert(n_members_max >= 3 && n_members_max <= SL_COHORT_MAX && dim_max > 0 && rows_max <= SL_SKETCH_ROWS_MAX);

    struct sl_session *session = SL_TAKE(arena, struct sl_session, 1);
    struct sl_session fresh = {.port = *port, .rng = rng, .n_members_max = n_members_max, .dim_max = dim_max, .rows_max = rows_max};
    bool has_all = carve(&fresh, arena) && session;
    if (has_all) *session = fresh;
    sl_wipe(&fresh, sizeof fresh);
    sl_wipe(&rng, sizeof rng);
    return has_all ? session : NULL;
}

/* ---- wiping ---- */

/* What is not yet, or never to be, known to others. Messages stay: others may ask for them. */
void session_wipe_secrets(struct sl_session *session)
{
    sl_wipe(&session->secrets, sizeof session->secrets);
    if (session->state < SL_SESSION_SIGNED || session->state == SL_SESSION_VOID) sl_wipe(session->numbers, (size_t)session->dim_max * sizeof *session->numbers);
}

static void wipe_sketches(struct sl_session *session)
{
    const size_t n = session->n_members_max;
    sl_wipe(session->pairs, n * n * sizeof *session->pairs);
    sl_wipe(session->sketched, n * SL_SKETCH_ROWS_MAX * sizeof *session->sketched);
    for (uint32_t i = 0; i < n; i++) {
        sl_wipe(session->audits[i].input, sizeof session->audits[i].input);
        sl_wipe(session->audits[i].self, sizeof session->audits[i].self);
    }
}

/* Shares and keys that members were told are no longer anybody's either. */
static void wipe_run(struct sl_session *session)
{
    sl_wipe(&session->secrets, sizeof session->secrets);
    const size_t n = session->n_members_max;
    sl_wipe(session->revealed, SESSION_REVEALS * n * n * sizeof *session->revealed);
    sl_wipe(session->numbers, (size_t)session->dim_max * sizeof *session->numbers);
    sl_wipe(session->bytes, session->n_bytes);
    sl_wipe(session->dealt, n * n * sizeof *session->dealt);
    if (session->rows_max > 0) wipe_sketches(session);
    sl_wipe(session->evidence, session->evidence_max);
    sl_wipe(&session->scratch, sizeof session->scratch);
    for (uint32_t i = 0; i < SL_STEP_COUNT * session->n_members_max; i++) session->held[i].size = 0;
}

void session_void(struct sl_session *session, uint32_t member)
{
    if (session->state == SL_SESSION_VOID) return;

    uint32_t step = session_step(session);
    session->state = SL_SESSION_VOID;
    session_wipe_secrets(session);
    session_tell(session, SL_NEWS_VOID, member, step);
}

void sl_session_end(struct sl_session *session)
{
    bool is_under_way = session->state > SL_SESSION_NONE && session->state < SL_SESSION_DONE;
    if (is_under_way) session_void(session, SL_SESSION_ALL);
    session->state = SL_SESSION_NONE;
    wipe_run(session);
}

void sl_session_wipe(struct sl_session *session)
{
    wipe_run(session);
    sl_wipe(&session->rng, sizeof session->rng);
    session->state = SL_SESSION_NONE;
    session->is_wiped = true;
}

/* ---- beginning ---- */

struct sl_mask_context session_context(const struct sl_session *session, uint32_t own, uint32_t peer)
{
    return (struct sl_mask_context){
        .network_id = session->network_id, .cohort_id = session->cohort_id, .epoch = session->epoch, .own_id = session->members[own].id,
        .peer_id = session->members[peer].id, .own_index = own, .peer_index = peer};
}

/* Everything but the memory and the generator as after init. */
static void forget_run(struct sl_session *session)
{
    wipe_run(session);
    size_t start = offsetof(struct sl_session, state);
    memset((uint8_t *)session + start, 0, sizeof *session - start);
}

static void take_setup(struct sl_session *session, const struct sl_session_setup *setup)
{
    memcpy(session->network_id, setup->network_id, 32);
    memcpy(session->cohort_id, setup->cohort_id, 32);
    session->sign_secret = setup->sign_secret;
    session->roster = setup->roster;
    session->roster_size = setup->roster_size;
    session->epoch = setup->epoch;
    session->n_members = setup->n_members;
    session->own = setup->own;
    session->initiator = setup->initiator;
    session->threshold = sl_quorum_threshold(setup->n_members);
    session->dim = setup->dim;
    session->ring_bits = setup->ring_bits;
    session->rows = setup->rows;
    session->ring_exponent = setup->ring_exponent;
    session->radius_q = setup->radius_q;
    session->noise_variance = setup->noise_variance;
    memcpy(session->members, setup->members, setup->n_members * sizeof *setup->members);
    memcpy(session->secrets.mask, setup->mask_secret, 32);
    memcpy(session->secrets.box, setup->box_secret, 32);
}

bool sl_session_begin(struct sl_session *session, const struct sl_session_setup *setup)
{
    assert(setup->n_members >= 3 && setup->n_members <= session->n_members_max && setup->own < setup->n_members && setup->initiator < setup->n_members);
    assert(setup->dim > 0 && setup->dim <= session->dim_max && setup->rows <= session->rows_max && (setup->ring_bits == 16 || setup->ring_bits == 32));

    forget_run(session);
    if (session->is_wiped) return false;

    take_setup(session, setup);
    if (session_share(session)) return true;

    wipe_run(session);
    return false;
}

/* ---- input ---- */

void session_drop_input(struct sl_session *session)
{
    if (session->has_input) sl_wipe(session->numbers, (size_t)session->dim * sizeof *session->numbers);
    session->has_input = false;
}

void sl_session_input(struct sl_session *session, const uint32_t *z)
{
    bool may_come = session->state == SL_SESSION_SHARED || session->state == SL_SESSION_AGREED;
    bool has_refused = session->refused & bit(session->own);
    if (!may_come || session->has_input || has_refused) return;

    for (uint32_t i = 0; i < session->dim; i++) session->numbers[i] = session_in_ring(session, z[i]);
    session->has_input = true;
    session_advance(session);
}

void sl_session_refuse(struct sl_session *session, uint32_t reason)
{
    assert(reason >= 1 && reason <= 255);

    bool has_committed = session->state != SL_SESSION_SHARED && session->state != SL_SESSION_AGREED;
    bool has_refused = session->refused & bit(session->own);
    if (has_committed || has_refused) return;

    session_drop_input(session);
    session->refused |= bit(session->own);
    uint8_t bytes[512];
    struct sl_writer writer = session_write(session, SL_MESSAGE_REFUSE, bytes, sizeof bytes);
    sl_write_refuse(&writer, &(struct sl_refuse){.reason = reason});
    size_t size = sl_envelope_seal(&writer, SL_MESSAGE_REFUSE, session->sign_secret);
    session->port.count(session->port.context, true);
    session->port.send(session->port.context, SL_SESSION_ALL, bytes, size);
    session_advance(session);
}

/* ---- questions ---- */

uint8_t *sl_session_vector(struct sl_session *session, uint32_t member)
{
    return session->vectors + (size_t)member * session->dim_max * 4;
}

/* A COMMIT is [chain, root], so the root stands in its last bytes. */
const uint8_t *sl_session_root(const struct sl_session *session, uint32_t member)
{
    const struct held *held = session_held(session, SL_STEP_COMMIT, member);
    if (member >= session->n_members || held->size == 0) return NULL;

    struct sl_envelope envelope = session_envelope(session, held);
    return envelope.body + envelope.body_size - 32;
}

bool sl_session_serves(const struct sl_session *session, uint32_t member)
{
    bool is_held = member < session->n_members && (session->here & bit(member)) && session->n_agreed >= 2 && (session->agreed[1] & bit(member));
    bool has_opened = session->state >= SL_SESSION_OPENED && session->state <= SL_SESSION_DONE;
    return is_held && has_opened;
}

enum sl_session_state sl_session_state(const struct sl_session *session)
{
    return session->state;
}

uint64_t sl_session_set(const struct sl_session *session, enum sl_session_step list)
{
    bool is_list = list >= SL_STEP_LIST_SHARES && list <= SL_STEP_LIST_AUDIT && list % 2 == 0;
    return is_list ? session->agreed[list / 2 - 1] : 0;
}

const uint32_t *sl_session_sum(const struct sl_session *session)
{
    return session->numbers;
}

static void collect(struct sl_signatures *out, uint64_t signers, const struct sl_session *session, enum sl_session_step step)
{
    *out = (struct sl_signatures){.signers = signers};
    for (uint32_t i = 0; i < session->n_members; i++)
        if (signers & bit(i)) out->all[out->n++] = session_envelope(session, session_held(session, step, i)).signature;
}

bool sl_session_aggregate(const struct sl_session *session, struct sl_aggregate *out)
{
    if (session->state != SL_SESSION_DONE) return false;

    *out = (struct sl_aggregate){.n_lists = session_lists(session)};
    for (uint32_t k = 0; k < out->n_lists; k++) {
        struct sl_envelope list = session_envelope(session, session_held(session, 2 * k + 2, session->announcers[k]));
        out->lists[k] = list.body;
        out->list_sizes[k] = list.body_size;
    }
    uint64_t confirms = 0, results = 0;
    for (uint32_t i = 0; i < session->n_members; i++)
        if ((session->agreed[0] & bit(i)) && session_fits(session, SL_STEP_CONFIRM, i)) confirms |= bit(i);
    session_results(session, &results);
    struct sl_envelope result = session_envelope(session, session_held(session, SL_STEP_RESULT, session->own));
    out->result = result.body;
    out->result_size = result.body_size;
    collect(&out->confirms, confirms, session, SL_STEP_CONFIRM);
    collect(&out->results, results, session, SL_STEP_RESULT);
    return true;
}
