/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "config/plan.h"
#include "core/core.h"
#include "share/quantise.h"
#include "starling/error.h"

/*
 * One cohort, from the roster to the signed aggregate: the session runs the protocol, this file gives it links, time, the training result and the vectors,
 * and takes the aggregate from it. After every call into the session settle() looks at how far it has come.
 */

/* ---- moments ---- */

/*
 * Each step of a session has a span of the epoch; in it missing messages are asked for, the initiator closes the step with what is here, then others do in its
 * place one after another, and at the end the step fails. One deadline stands for the next of all these moments.
 */
enum { MOMENTS_PER_STEP = 4 };

static const struct { enum sl_session_moment moment; double share; } moments[MOMENTS_PER_STEP] = {
    {SL_MOMENT_ASK, .4}, {SL_MOMENT_CLOSE, .6}, {SL_MOMENT_BACKUP, .75}, {SL_MOMENT_END, 1}};
static const double backup_until = .95;
enum { ASK_SHARE = 24 };                 /* of an epoch, until what is missing is asked for a first time */

static const enum sl_session_step steps[] = {SL_STEP_SHARES, SL_STEP_COMMIT, SL_STEP_OPEN, SL_STEP_AUDIT, SL_STEP_CONFIRM, SL_STEP_UNMASK, SL_STEP_RESULT};
enum { N_STEPS = sizeof steps / sizeof *steps };

/* Where there is no audit the openings have its time too. */
static void span_of(const struct sl_node *node, enum sl_session_step step, double *from, double *to)
{
    const struct sl_config *config = &node->config;
    bool is_audited = node->cohort.rows > 0;
    switch (step) {
    case SL_STEP_SHARES: *from = config->phase_formation, *to = config->phase_shares; break;
    case SL_STEP_COMMIT: *from = config->phase_train, *to = config->phase_commit; break;
    case SL_STEP_OPEN: *from = config->phase_commit, *to = is_audited ? config->phase_open : config->phase_audit; break;
    case SL_STEP_AUDIT: *from = is_audited ? config->phase_open : config->phase_audit, *to = config->phase_audit; break;
    case SL_STEP_CONFIRM: *from = config->phase_audit, *to = config->phase_confirm; break;
    case SL_STEP_UNMASK: *from = config->phase_confirm, *to = config->phase_unmask; break;
    default: *from = config->phase_unmask, *to = config->phase_result; break;
    }
}

/* Members stand in for a silent initiator in the order of their places after it. */
static double share_of(const struct cohort *cohort, uint32_t number)
{
    double share = moments[number % MOMENTS_PER_STEP].share;
    if (moments[number % MOMENTS_PER_STEP].moment != SL_MOMENT_BACKUP) return share;

    uint32_t n = cohort->n_members, turn = (cohort->own + n - cohort->initiator) % n;
    return share + (backup_until - share) * turn / n;
}

static uint64_t time_of(const struct sl_node *node, uint32_t number)
{
    double from, to;
    span_of(node, steps[number / MOMENTS_PER_STEP], &from, &to);
    return node_phase(node, from + (to - from) * share_of(&node->cohort, number));
}

static void wait_for_moment(struct sl_node *node)
{
    bool is_last = node->cohort.next_moment == N_STEPS * MOMENTS_PER_STEP;
    node->deadlines[DEADLINE_MOMENT] = is_last ? SL_NEVER : time_of(node, node->cohort.next_moment);
}

/* ---- members ---- */

struct member *cohort_find(struct sl_node *node, const uint8_t id[32])
{
    for (uint32_t i = 0; i < node->cohort.n_members; i++)
        if (sl_hash_equal(node->cohort.members[i].id, id)) return &node->cohort.members[i];
    return NULL;
}

struct contact contact_of_member(const struct member *member)
{
    return (struct contact){.id = member->id, .transport_public = member->transport_public, .address = member->address};
}

uint32_t cohort_vector_size(const struct sl_node *node)
{
    return node->n_block * (node->config.ring_bits / 8);
}

/* ---- what the session says ---- */

/* The bytes move to the out arena, where they live until the next step; those of the session may change before. */
static void on_send(void *context, uint32_t to, const uint8_t *bytes, size_t size)
{
    struct sl_node *node = context;
    struct cohort *cohort = &node->cohort;
    uint8_t *copy = SL_RESERVE(&node->out, uint8_t, size);
    if (!copy) return;                                  /* as good as lost on the way */

    memcpy(copy, bytes, size);
    for (uint32_t i = 0; i < cohort->n_members; i++) {
        struct contact contact = contact_of_member(&cohort->members[i]);
        bool is_meant = to == SL_SESSION_ALL ? i != cohort->own : i == to;
        if (is_meant) links_send_to(node, &contact, copy, size);
    }
}

static void on_want(void *context, uint32_t member)
{
    struct sl_node *node = context;
    struct sl_session *session = node->cohort.session;
    transfer_fetch(node, FETCH_VECTOR, member, node->cohort.members[member].id, sl_session_root(session, member), sl_session_vector(session, member),
                   cohort_vector_size(node), node->config.ring_bits / 8);
}

static bool on_encode(void *context, const uint32_t *sum, uint64_t members, struct sl_result *out)
{
    return contribution_aggregate(context, sum, members, out);
}

static void on_accuse(void *context, uint32_t member, const uint8_t *body, size_t size)
{
    struct sl_node *node = context;
    evidence_accuse(node, node->cohort.members[member].id, body, size);
}

static void on_count(void *context, bool made)
{
    struct sl_node *node = context;
    if (made) node->counters.signatures_made++;
    else node->counters.signature_checks++;
}

static void on_tell(void *context, enum sl_session_news news, uint32_t member, int64_t number)
{
    static const enum sl_trace_type types[] = {
        [SL_NEWS_SHARED] = SL_TRACE_SHARED, [SL_NEWS_AGREED] = SL_TRACE_AGREED, [SL_NEWS_COMMITTED] = SL_TRACE_COMMITTED,
        [SL_NEWS_OPENED] = SL_TRACE_OPENED, [SL_NEWS_AUDITED] = SL_TRACE_AUDITED, [SL_NEWS_CONFIRMED] = SL_TRACE_CONFIRMED,
        [SL_NEWS_UNMASKED] = SL_TRACE_UNMASKED, [SL_NEWS_SUMMED] = SL_TRACE_SUMMED, [SL_NEWS_DROPPED] = SL_TRACE_DROPPED,
        [SL_NEWS_BAD_SHARE] = SL_TRACE_BAD_SHARE, [SL_NEWS_DISPUTED] = SL_TRACE_DISPUTED, [SL_NEWS_BAD_AUDIT] = SL_TRACE_BAD_AUDIT,
        [SL_NEWS_TOO_LARGE] = SL_TRACE_TOO_LARGE, [SL_NEWS_CONTRADICTION] = SL_TRACE_CONTRADICTION, [SL_NEWS_BAD_SECRET] = SL_TRACE_BAD_SECRET,
        [SL_NEWS_BAD_RESULT] = SL_TRACE_BAD_RESULT, [SL_NEWS_REFUSED] = SL_TRACE_REFUSED,
        [SL_NEWS_ODD_SUM] = SL_TRACE_ODD_SUM, [SL_NEWS_VOID] = SL_TRACE_VOID};
    struct sl_node *node = context;
    struct cohort *cohort = &node->cohort;
    bool is_one = member < cohort->n_members, is_fault = is_one && member != cohort->own && news >= SL_NEWS_DROPPED;
    bool is_doubtful = news == SL_NEWS_DISPUTED || news == SL_NEWS_BAD_RESULT || news == SL_NEWS_REFUSED;      /* its partner's fault, or nobody's */
    if (is_fault && !is_doubtful) cohort->members[member].was_lost = true;
    if (news == SL_NEWS_DONE) return;                   /* told as AGGREGATE when it is in its slot */

    enum sl_trace_type type = news == SL_NEWS_VOID && !is_one ? SL_TRACE_VOID_ALONE : types[news];
    node_trace(node, type, is_one ? cohort->members[member].id : NULL, number, 0, SL_OK);
}

bool cohort_init(struct sl_node *node, struct sl_arena *arena, struct sl_rng rng)
{
    struct cohort *cohort = &node->cohort;
    struct sl_session_port port = {.context = node, .send = on_send, .want = on_want, .encode = on_encode, .accuse = on_accuse, .tell = on_tell,
                                   .count = on_count};
    uint32_t rows_max = sl_audit_rows_of(&node->config, node->k);
    uint32_t roster_max = 1024 + node->config.cohort_max_size * JOIN_MAX;
    cohort->roster_max = roster_max < ROSTER_MAX ? roster_max : ROSTER_MAX;
    cohort->members = SL_TAKE(arena, struct member, node->config.cohort_max_size);
    cohort->roster = SL_RESERVE(arena, uint8_t, cohort->roster_max);
    cohort->ref = SL_TAKE(arena, uint8_t, (size_t)2 * node->k);
    cohort->session = sl_session_init(arena, node->config.cohort_max_size, node->k, rows_max, &port, rng);
    return cohort->members && cohort->roster && cohort->ref && cohort->session;
}

/* ---- the end ---- */

/* The session's part of the AGGREGATE, with the PROPOSE and the ROSTER before it, as others will pull it. */
static bool build_aggregate(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    struct aggregate *slot = pull_own_slot(node, cohort->epoch);
    struct sl_aggregate body = {0};
    if (!slot->used || slot->epoch != cohort->epoch || !sl_session_aggregate(cohort->session, &body)) return false;

    body.propose = cohort->propose.bytes;
    body.propose_size = cohort->propose.size;
    body.roster = cohort->roster;
    body.roster_size = cohort->roster_size;
    struct sl_writer writer = sl_writer_over(slot->body, slot->body_max);
    sl_write_aggregate(&writer, &body);
    if (writer.full) return false;

    slot->body_size = (uint32_t)writer.size;
    slot->complete = true;
    node->counters.epochs_with_aggregate++;
    node_trace(node, SL_TRACE_AGGREGATE, NULL, slot->n_members, body.results.n, SL_OK);
    return true;
}

/* What is missing a while after a state was entered is asked for at once: a run that ends early loses fewer to crashes. Whoever has nothing to commit yet
 * expects it of nobody. */
static void ask_early(struct sl_node *node, enum sl_session_state state)
{
    struct cohort *cohort = &node->cohort;
    if (state == cohort->asked_state) return;

    cohort->asked_state = state;
    node->deadlines[DEADLINE_ASK] = state == SL_SESSION_AGREED ? SL_NEVER : node->now_us + node->config.epoch_us / ASK_SHARE;
}

static void refuse(struct sl_node *node, enum refusal reason);

/*
 * Unit node: once keys are agreed on, and all is known that could keep us from contributing. From here on a part of the budget is spent, whether or not the
 * cohort completes, so nothing that an initiator has a say in may stand between the charge and the input.
 */
static void begin_round(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    bool is_wanted = node->unit == SL_UNIT_NODE && cohort->state == COHORT_RUNNING && !cohort->has_begun && !cohort->has_given && cohort->ref_here;
    bool is_agreed = sl_session_state(cohort->session) == SL_SESSION_AGREED &&
                     (sl_session_set(cohort->session, SL_STEP_LIST_SHARES) >> cohort->own & 1);
    if (!is_wanted || !is_agreed || node->now_us >= node_phase(node, node->config.phase_train)) return;
    if (!contribution_is_near(node)) {
        refuse(node, REFUSAL_REFERENCE);
        return;
    }
    cohort->has_begun = true;
    budget_begin(node);
}

static void settle(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    enum sl_session_state state = sl_session_state(cohort->session);
    bool is_over = state == SL_SESSION_DONE || state == SL_SESSION_VOID || state == SL_SESSION_NONE;       /* NONE: it was ended under way */
    if (cohort->state != COHORT_RUNNING) return;
    if (!is_over) {
        ask_early(node, state);
        begin_round(node);
        return;
    }
    node->deadlines[DEADLINE_ASK] = SL_NEVER;

    cohort->state = state == SL_SESSION_DONE && build_aggregate(node) ? COHORT_DONE : COHORT_VOID;
    if (cohort->state == COHORT_VOID) node->counters.cohorts_void++;
    liveness_on_run(node);
    transfer_reset(node, FETCH_REFERENCE);
    if (cohort->state == COHORT_VOID) transfer_reset(node, FETCH_VECTOR);
}

/* ---- reference and input ---- */

static void fetch_reference(struct sl_node *node, const uint8_t root[32])
{
    struct cohort *cohort = &node->cohort;
    if (cohort->own == cohort->initiator) return;       /* it made it when it proposed */

    /* Often all anchors agree to the bit (in the first epochs always): then there is nothing to fetch. */
    size_t mark = node->scratch.used, size = (size_t)2 * node->n_block;
    float *anchor = SL_TAKE(&node->scratch, float, node->n_block);
    node_gather(node, node->anchor, anchor);
    if (sl_ref_exponent(anchor, node->n_block) == cohort->ref_exponent) {
        sl_ref_encode(anchor, node->n_block, cohort->ref_exponent, cohort->ref);
        sl_merkle_build(&cohort->ref_tree, cohort->ref, size, 2 * SL_CHUNK_ELEMENTS);
        cohort->ref_here = sl_hash_equal(cohort->ref_tree.root, root);
    }
    node->scratch.used = mark;
    if (!cohort->ref_here)
        transfer_fetch(node, FETCH_REFERENCE, 0, cohort->members[cohort->initiator].id, root, cohort->ref, size, 2);
}

static void refuse(struct sl_node *node, enum refusal reason)
{
    struct cohort *cohort = &node->cohort;
    if (cohort->state != COHORT_RUNNING || cohort->has_given) return;

    cohort->has_given = true;
    node_trace(node, SL_TRACE_REFUSED, node->self->id, reason, 0, SL_OK);
    sl_session_refuse(cohort->session, reason);
    settle(node);
}

/* The training result goes in as soon as it and the reference are here, once. */
static void give_input(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    if (cohort->state != COHORT_RUNNING || cohort->has_given || !cohort->ref_here || !node->trained || node->spent) return;

    if (!contribution_is_near(node)) {
        refuse(node, REFUSAL_REFERENCE);
        return;
    }
    size_t mark = node->scratch.used;
    uint32_t *z = SL_TAKE(&node->scratch, uint32_t, node->n_block);
    contribution_make(node, z);
    cohort->has_given = node->spent = true;
    sl_session_input(cohort->session, z);
    sl_wipe(z, sizeof(uint32_t) * node->n_block);
    node->scratch.used = mark;
    settle(node);
}

/* ---- the course of a cohort ---- */

static bool begin_session(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    struct formation *formation = &node->formation;
    struct sl_session_member members[SL_COHORT_MAX];
    for (uint32_t i = 0; i < cohort->n_members; i++) {
        const struct member *member = &cohort->members[i];
        memcpy(members[i].id, member->id, 32);
        memcpy(members[i].sign_public, member->sign_public, 32);
        memcpy(members[i].mask_public, member->mask_public, 32);
        memcpy(members[i].box_public, member->box_public, 32);
    }
    bool is_noised = cohort->sigma2 > 0;                /* then the session measures in clip norms */
    struct sl_session_setup setup = {
        .network_id = node->config.network_id, .cohort_id = cohort->id, .sign_secret = node->self->sign_secret, .roster = cohort->roster,
        .roster_size = cohort->roster_size, .epoch = cohort->epoch, .n_members = cohort->n_members, .own = cohort->own, .initiator = cohort->initiator,
        .members = members, .mask_secret = formation->mask_secret, .box_secret = formation->box_secret, .dim = node->n_block,
        .ring_bits = node->config.ring_bits, .rows = cohort->rows, .ring_exponent = is_noised ? SL_SCALE_BITS : cohort->ring_exponent,
        .radius_q = cohort->radius_q, .noise_variance = (double)cohort->sigma2};
    bool begun = sl_session_begin(cohort->session, &setup);
    sl_wipe(formation->mask_secret, sizeof formation->mask_secret);
    sl_wipe(formation->box_secret, sizeof formation->box_secret);
    return begun;
}

/* No job was begun in this epoch, or it has failed already. With unit node it is begun when this cohort has agreed on keys. */
static bool no_result_will_come(const struct sl_node *node)
{
    if (node->unit == SL_UNIT_NODE) return !budget_may_train(node);
    return !node->trained && !budget_is_under_way(node) && node->deadlines[DEADLINE_TRAIN] == SL_NEVER;
}

void cohort_start(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    struct sl_propose propose;
    if (!proposal_open(node, &cohort->propose, &propose)) return;

    cohort->state = COHORT_RUNNING;
    cohort->has_given = cohort->has_begun = false;
    cohort->next_moment = 0;
    cohort->asked_state = SL_SESSION_NONE;
    node->deadlines[DEADLINE_ASK] = SL_NEVER;
    cohort->rows = sl_audit_rows_of(&node->config, node->n_block);
    node->members.cohort_epoch = node->epoch;
    if (cohort->own != cohort->initiator) cohort->ref_here = false;
    node_trace(node, SL_TRACE_ROSTER, cohort->members[cohort->initiator].id, cohort->n_members, 0, SL_OK);

    if (!begin_session(node)) {
        cohort->state = COHORT_VOID;
        node->counters.cohorts_void++;
        node_trace(node, SL_TRACE_VOID_ALONE, NULL, SL_STEP_SHARES, 0, SL_OK);
        cohort->members[cohort->initiator].was_lost = cohort->own != cohort->initiator;         /* its roster holds what nobody can begin with */
        liveness_on_run(node);
        return;
    }
    wait_for_moment(node);
    fetch_reference(node, propose.ref_root);
    if (no_result_will_come(node)) refuse(node, REFUSAL_TRAINING);
    give_input(node);
    settle(node);
}

void cohort_end(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    if (cohort->state != COHORT_NONE) sl_session_end(cohort->session);
    settle(node);
    transfer_reset(node, FETCH_REFERENCE);
    transfer_reset(node, FETCH_VECTOR);
    cohort->state = COHORT_NONE;
    cohort->n_members = 0;
    cohort->ref_here = false;
}

void cohort_leave(struct sl_node *node)
{
    refuse(node, REFUSAL_LEAVING);
}

void cohort_on_trained(struct sl_node *node)
{
    give_input(node);
}

void cohort_on_untrained(struct sl_node *node)
{
    refuse(node, REFUSAL_TRAINING);
}

void cohort_on_fetched(struct sl_node *node, enum fetch_kind kind, uint32_t index)
{
    struct cohort *cohort = &node->cohort;
    if (kind == FETCH_REFERENCE) {
        sl_merkle_build(&cohort->ref_tree, cohort->ref, (size_t)2 * node->n_block, 2 * SL_CHUNK_ELEMENTS);
        cohort->ref_here = true;
        begin_round(node);
        give_input(node);
        return;
    }
    sl_session_vector_here(cohort->session, index);
    settle(node);
}

/* Anything of this cohort, also when it is over here: others may still need what we hold. */
void cohort_on_message(struct sl_node *node, struct link *link, const struct sl_envelope *envelope)
{
    struct cohort *cohort = &node->cohort;
    const struct member *via = cohort_find(node, link->id);
    bool is_ours = cohort->state != COHORT_NONE && envelope->epoch == cohort->epoch && sl_hash_equal(envelope->cohort, cohort->id);
    if (!is_ours || !via || via == &cohort->members[cohort->own]) return;

    sl_session_message(cohort->session, envelope, (uint32_t)(via - cohort->members));
    settle(node);
}

/* Once in each state; later ones come with the moments of the step. */
void cohort_on_ask(struct sl_node *node)
{
    static const enum sl_session_step asked[] = {
        [SL_SESSION_SHARED] = SL_STEP_SHARES, [SL_SESSION_COMMITTED] = SL_STEP_COMMIT, [SL_SESSION_OPENED] = SL_STEP_OPEN,
        [SL_SESSION_AUDITED] = SL_STEP_AUDIT, [SL_SESSION_CONFIRMED] = SL_STEP_CONFIRM, [SL_SESSION_UNMASKED] = SL_STEP_UNMASK,
        [SL_SESSION_SIGNED] = SL_STEP_RESULT};
    struct cohort *cohort = &node->cohort;
    enum sl_session_state state = sl_session_state(cohort->session);
    node->deadlines[DEADLINE_ASK] = SL_NEVER;
    if (cohort->state != COHORT_RUNNING || state != cohort->asked_state || state >= sizeof asked / sizeof *asked || asked[state] == 0) return;

    sl_session_moment(cohort->session, asked[state], SL_MOMENT_ASK);
    settle(node);
}

/* Handles all that are due: a device that slept may be late for several. */
void cohort_on_moment(struct sl_node *node)
{
    struct cohort *cohort = &node->cohort;
    if (cohort->state != COHORT_RUNNING) return;

    while (cohort->next_moment < N_STEPS * MOMENTS_PER_STEP && time_of(node, cohort->next_moment) <= node->now_us) {
        enum sl_session_step step = steps[cohort->next_moment / MOMENTS_PER_STEP];
        enum sl_session_moment moment = moments[cohort->next_moment % MOMENTS_PER_STEP].moment;
        cohort->next_moment++;
        if (step == SL_STEP_COMMIT && moment == SL_MOMENT_CLOSE) refuse(node, REFUSAL_REFERENCE_LATE);     /* nobody need wait for us any longer */
        if (step != SL_STEP_AUDIT || cohort->rows > 0) sl_session_moment(cohort->session, step, moment);
    }
    settle(node);
    if (cohort->state == COHORT_RUNNING) wait_for_moment(node);
}
