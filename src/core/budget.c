/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/vec.h"
#include "config/plan.h"
#include "core/core.h"
#include "starling/error.h"

/*
 * The private rounds of one node. Their order is the promise: what a round costs is durable before private data is read, and its noised output is durable
 * before anything of it may leave.
 *
 *     begin -> CHARGE durable -> job -> (unit record: output in the release file) -> RELEASE durable -> trained
 *
 * One store at a time. Whatever fails or comes too late ends the round, and its charge stays: nothing is ever noised or charged again for the same epoch.
 */

bool budget_is_private(const struct sl_node *node)
{
    return node->unit != SL_UNIT_OFF;
}

bool budget_may_train(const struct sl_node *node)
{
    return !budget_is_private(node) || (!node->budget.is_spent && !node->budget.is_blocked);
}

bool budget_is_under_way(const struct sl_node *node)
{
    const struct budget *budget = &node->budget;
    return budget->wanted_epoch == node->epoch || (budget->step >= ROUND_CHARGING && budget->round == node->epoch);
}

static struct sl_charge plan_of(const struct sl_node *node)
{
    return sl_charge_of(&node->config, node->n_block > 0 ? node->n_block : node->k);
}

/* ---- what others may see ---- */

static int64_t millionths(double epsilon)
{
    return epsilon < 1e12 ? (int64_t)(epsilon * 1e6 + .5) : INT64_MAX;
}

/* After every change of the ledger: numbers for the status, and whether another round fits. */
static void refresh(struct sl_node *node)
{
    struct budget *budget = &node->budget;
    struct sl_privacy_status *out = &node->counters.privacy;
    struct sl_charge plan = plan_of(node);
    uint64_t wasted = out->rounds_wasted, left = budget->is_blocked ? 0 : sl_budget_rounds_left(&budget->ledger.budget, &plan, &budget->limits);
    budget->is_spent = !budget->is_blocked && left == 0;
    *out = (struct sl_privacy_status){
        .unit = (uint8_t)plan.unit, .adjacency = (uint8_t)plan.adjacency, .is_spent = budget->is_spent, .is_blocked = budget->is_blocked,
        .epsilon = sl_budget_epsilon(&budget->ledger.budget, budget->limits.delta),
        .epsilon_floor = sl_budget_floor(&budget->ledger.budget, budget->limits.delta),
        .eps_max = budget->limits.eps_max, .delta = budget->limits.delta, .floor_max = budget->limits.floor_max,
        .audit_factor = plan.audit_rows > 0 ? sl_audit_factor(plan.honest, plan.audit_rows, plan.dim, plan.kappa) : 1,
        .rounds_charged = budget->ledger.n_charges, .rounds_released = budget->ledger.n_releases, .rounds_wasted = wasted, .rounds_left = left,
        .ledger_records = budget->ledger.n_records, .sigma2 = plan.sigma2};
}

void budget_tell(struct sl_node *node)
{
    struct budget *budget = &node->budget;
    if (!budget->is_spent || budget->has_told) return;
    budget->has_told = true;
    node_trace(node, SL_TRACE_BUDGET_SPENT, NULL, millionths(node->counters.privacy.epsilon), 0, SL_OK);
}

const char *budget_reason(const struct sl_node *node)
{
    if (node->budget.is_blocked) return node->budget.why;
    return node->budget.is_spent ? "its privacy budget is spent: it learns no more from its data, and goes on merging" : NULL;
}

void budget_block(struct sl_node *node, const char *why, int error)
{
    if (node->budget.is_blocked) return;
    node->budget.is_blocked = true;
    node->budget.why = why;
    node_trace(node, SL_TRACE_LEDGER_BLOCKED, NULL, 0, 0, error);
    refresh(node);
}

/* ---- one store at a time ---- */

static void go_on(struct sl_node *node);

/* Also where it was laid out for a store, which is no longer under way: what lies behind the messages of this step is of steps before. */
static void drop_output(struct sl_node *node)
{
    sl_wipe(node->out.base + node->out.used, node->out.size - node->out.used);
    if (node->unit == SL_UNIT_RECORD) sl_wipe(node->work, sizeof(float) * node->dim);
    else sl_wipe(node->release, sizeof(int32_t) * node->k);
}

/* The current epoch will have no result. */
static void give_up(struct sl_node *node)
{
    node->budget.wanted_epoch = 0;
    node->deadlines[DEADLINE_TRAIN] = SL_NEVER;
    cohort_on_untrained(node);
}

/* The output of a charged round is of no use any more, or never came. */
static void lose(struct sl_node *node, int error)
{
    bool is_late = node->epoch != node->budget.round;
    node->budget.step = ROUND_IDLE;
    drop_output(node);
    node_trace(node, is_late ? SL_TRACE_ROUND_LATE : SL_TRACE_ROUND_LOST, NULL, 0, 0, error);
    if (!is_late) give_up(node);
}

static void on_store_failed(struct sl_node *node, enum round_step step, int error)
{
    node_trace(node, SL_TRACE_LEDGER_FAILED, NULL, 0, 0, error);
    if (step == ROUND_KEEPING || step == ROUND_RELEASING) { lose(node, error); return; }

    bool is_wanted = step == ROUND_CHARGING ? node->budget.round == node->epoch : node->budget.wanted_epoch == node->epoch;
    if (step == ROUND_CHARGING) node->budget.round = 0;          /* nothing was charged, and nothing was read */
    if (is_wanted) give_up(node);
}

static void store(struct sl_node *node, enum round_step step, enum sl_store_type type, const uint8_t *bytes, size_t size)
{
    node->budget.ticket = 0;
    node->budget.step = step;
    if (bytes) node_store(node, type, bytes, size, &node->budget.ticket);
    if (node->budget.ticket != 0) return;

    node->budget.step = ROUND_IDLE;                              /* no room for it in this step */
    on_store_failed(node, step, SL_ERROR_TOO_FEW);
}

static void append(struct sl_node *node, enum round_step step, struct sl_ledger_record record)
{
    record.wall_ms = node->now_us / 1000;
    sl_ledger_next(&node->budget.ledger, &record, node->budget.record);
    store(node, step, SL_STORE_APPEND_LEDGER, node->budget.record, sizeof node->budget.record);
}

static void append_open(struct sl_node *node)
{
    struct sl_ledger_record record = {.type = SL_LEDGER_OPEN, .charge = {.unit = node->unit, .adjacency = sl_adjacency_of(&node->config)},
                                      .eps_max = node->budget.limits.eps_max, .delta = node->budget.limits.delta};
    sl_ledger_dataset(node->config.privacy_dataset, record.dataset);
    append(node, ROUND_OPENING, record);
}

static void append_lower(struct sl_node *node)
{
    append(node, ROUND_OPENING, (struct sl_ledger_record){.type = SL_LEDGER_LOWER, .eps_max = node->budget.limits.eps_max, .delta = node->budget.limits.delta});
}

static void append_release(struct sl_node *node, enum round_step step)
{
    struct sl_ledger_record record = {.type = SL_LEDGER_RELEASE};
    memcpy(record.release, node->budget.output, sizeof record.release);
    append(node, step, record);
}

/* ---- a round ---- */

static void charge(struct sl_node *node)
{
    struct budget *budget = &node->budget;
    bool has_been = budget->ledger.n_charges > 0 && budget->ledger.charge.round >= node->epoch;      /* by a run before, or by a clock that was ahead */
    budget->wanted_epoch = 0;
    refresh(node);                                               /* of the block as it is now */
    if (has_been || !budget_may_train(node)) {
        give_up(node);
        return;
    }
    budget->round = node->epoch;
    append(node, ROUND_CHARGING, (struct sl_ledger_record){.type = SL_LEDGER_CHARGE, .charge = plan_of(node), .round = node->epoch});
}

static bool is_lowered(const struct budget *budget)
{
    return budget->limits.eps_max < budget->ledger.eps_max || budget->limits.delta < budget->ledger.delta;
}

/* What the ledger lacks comes first. */
static void go_on(struct sl_node *node)
{
    struct budget *budget = &node->budget;
    if (budget->step != ROUND_IDLE || budget->is_blocked) return;

    if (budget->ledger.n_records == 0) append_open(node);
    else if (is_lowered(budget)) append_lower(node);
    else if (budget->is_recovered) append_release(node, ROUND_OPENING);
    else if (budget->wanted_epoch == node->epoch) charge(node);
}

void budget_begin(struct sl_node *node)
{
    if (!budget_may_train(node)) {
        give_up(node);
        return;
    }
    if (node->job) {                                /* a slow device: the job of an earlier epoch still holds the buffers. Nothing is charged */
        node_trace(node, SL_TRACE_TRAIN_LATE, NULL, 0, 0, SL_OK);
        give_up(node);
        return;
    }
    node->budget.wanted_epoch = node->epoch;
    node->deadlines[DEADLINE_TRAIN] = node_phase(node, node->config.phase_train);
    go_on(node);
}

/* What the job is lent is its own: the block of the next epoch may be chosen before it ends. */
static void train(struct sl_node *node)
{
    const struct sl_charge *paid = &node->budget.ledger.charge.charge;
    struct sl_job *job = &node->actions.job;
    if (node->epoch != node->budget.round) {
        lose(node, SL_OK);
        return;
    }
    memcpy(node->work, node->unit == SL_UNIT_RECORD ? node->weights : node->anchor, sizeof(float) * node->dim);
    node->job = ++node->last_job;
    *job = (struct sl_job){.number = node->job, .type = SL_JOB_TRAIN, .epoch = node->epoch, .weights = node->work, .dim = node->dim,
                           .round = {.q64 = paid->q64, .sigma2 = paid->sigma2, .steps = (uint32_t)paid->steps}};
    if (node->unit == SL_UNIT_NODE) {
        memcpy(node->lent_block, node->block, sizeof(uint32_t) * node->n_block);
        job->block = node->lent_block;
        job->n_block = node->n_lent = node->n_block;
        job->release = node->release;
    }
    sl_rng_bytes(&node->seeds, job->seed, sizeof job->seed);
    node->budget.step = ROUND_TRAINING;
    node_trace(node, SL_TRACE_TRAINING, NULL, 0, 0, SL_OK);
}

/* The release file: its head, and the weights. */
static void keep(struct sl_node *node)
{
    size_t weights_size = sizeof(float) * node->dim, size = SL_RELEASE_HEAD + weights_size;
    uint8_t *bytes = SL_TAKE(&node->out, uint8_t, size);
    if (bytes) {
        sl_release_head(node->budget.ledger.charge.sequence, weights_size, bytes);
        memcpy(bytes + SL_RELEASE_HEAD, node->work, weights_size);
        sl_release_hash(bytes, size, node->budget.output);
    }
    store(node, ROUND_KEEPING, SL_STORE_PUT_RELEASE, bytes, size);
}

/* Only what the trainer may tell: with privacy nothing that depends on the data but the noised output itself. */
static struct sl_job_result silenced(const struct sl_node *node, const struct sl_job_result *result)
{
    bool shows_own = sl_shows_own_accuracy(&node->config);
    return (struct sl_job_result){.number = result->number, .error = result->error, .n_steps = result->n_steps, .n_rows = node->config.privacy_records,
                                  .own = shows_own ? result->own : (struct sl_score){0}, .cpu_us = result->cpu_us};
}

void budget_on_done(struct sl_node *node, const struct sl_job_result *result)
{
    struct budget *budget = &node->budget;
    bool is_usable = node->unit == SL_UNIT_NODE || sl_vec_finite(node->work, node->dim);
    int error = result->error != SL_OK ? result->error : is_usable ? SL_OK : SL_ERROR_NOT_FINITE;
    node->counters.last_job = silenced(node, result);
    if (budget->is_blocked && error == SL_OK) error = SL_ERROR_DAMAGED;

    if (error != SL_OK || node->epoch != budget->round) {
        lose(node, error);
    } else if (node->unit == SL_UNIT_RECORD) {
        keep(node);
    } else {
        sl_release_hash((const uint8_t *)node->release, sizeof(int32_t) * node->n_lent, budget->output);
        append_release(node, ROUND_RELEASING);
    }
    go_on(node);
}

static void on_released(struct sl_node *node)
{
    if (node->epoch != node->budget.round) {
        lose(node, SL_OK);
        return;
    }
    node->trained = true;
    node->counters.epochs_trained++;
    node->deadlines[DEADLINE_TRAIN] = SL_NEVER;
    node_trace(node, SL_TRACE_TRAINED, NULL, node->counters.last_job.n_steps, 0, SL_OK);
    cohort_on_trained(node);
}

static void on_opened(struct sl_node *node)
{
    if (node->budget.ledger.is_released) node->budget.is_recovered = false;
    if (node->budget.ledger.n_records == 1)
        node_trace(node, SL_TRACE_LEDGER_OPENED, NULL, millionths(node->budget.limits.eps_max), 0, SL_OK);
}

static void on_charged(struct sl_node *node)
{
    const struct sl_privacy_status *status = &node->counters.privacy;
    node_trace(node, SL_TRACE_CHARGED, NULL, millionths(status->epsilon), (int64_t)status->rounds_left, SL_OK);
    train(node);
}

bool budget_on_stored(struct sl_node *node, uint64_t ticket, int error)
{
    struct budget *budget = &node->budget;
    enum round_step step = budget->step;
    if (ticket == 0 || ticket != budget->ticket) return false;

    budget->ticket = 0;
    budget->step = ROUND_IDLE;
    if (error != SL_OK) {
        on_store_failed(node, step, error);
        return true;
    }
    if (step != ROUND_KEEPING) {
        error = sl_ledger_take(&budget->ledger, budget->record);
        assert(error == SL_OK);                                  /* we made it */
        refresh(node);
    }
    if (budget->is_blocked && step != ROUND_OPENING) {           /* it turned out meanwhile that this is not the newest ledger */
        lose(node, SL_ERROR_DAMAGED);
        return true;
    }
    switch (step) {
    case ROUND_OPENING: on_opened(node); break;
    case ROUND_CHARGING: on_charged(node); break;
    case ROUND_KEEPING:
        if (node->epoch == budget->round) append_release(node, ROUND_RELEASING);
        else lose(node, SL_OK);
        break;
    case ROUND_RELEASING: on_released(node); break;
    case ROUND_IDLE:
    case ROUND_TRAINING: assert(!"no store is under way");
    }
    go_on(node);
    return true;
}

void budget_on_wasted(struct sl_node *node)
{
    struct budget *budget = &node->budget;
    if (budget->wasted_round == node->epoch) return;
    budget->wasted_round = node->epoch;
    node->counters.privacy.rounds_wasted++;
    node_trace(node, SL_TRACE_ROUND_WASTED, NULL, 0, 0, SL_OK);
}

void budget_end(struct sl_node *node)
{
    const struct budget *budget = &node->budget;
    bool is_charged = budget->round != 0 && budget->round == node->epoch && budget->ledger.n_charges > 0 && budget->ledger.charge.round == node->epoch;
    if (is_charged && node->cohort.state != COHORT_DONE) budget_on_wasted(node);
    if (node->unit == SL_UNIT_NODE && !node->job) sl_wipe(node->release, sizeof(int32_t) * node->k);          /* for one cohort, and that is over */
    if (budget_is_private(node) && budget->ledger.n_records == 0) go_on(node);       /* it could not be opened so far; drivers keep no state before it is */
}

/* ---- start ---- */

/* Has the ledger been opened for what is configured now, and are its limits kept? */
static void check_ledger(struct sl_node *node)
{
    const struct sl_ledger *ledger = &node->budget.ledger;
    const struct sl_limits *limits = &node->budget.limits;
    struct sl_charge plan = plan_of(node);
    uint8_t dataset[16];
    sl_ledger_dataset(node->config.privacy_dataset, dataset);
    bool is_same = ledger->unit == node->unit && ledger->adjacency == sl_adjacency_of(&node->config) && memcmp(ledger->dataset, dataset, sizeof dataset) == 0;
    if (sl_charge_check(&plan) != SL_OK)
        budget_block(node, "its privacy settings are out of range: no round can be charged", SL_ERROR_OUT_OF_RANGE);
    else if (ledger->n_records > 0 && !is_same)
        budget_block(node, "its privacy ledger is of another unit, adjacency or data set: see starling privacy reset", SL_ERROR_MISMATCH);
    else if (ledger->n_records > 0 && (limits->eps_max > ledger->eps_max || limits->delta > ledger->delta))
        budget_block(node, "privacy.eps_max or .delta is above what its ledger allows: limits may be lowered, never raised", SL_ERROR_OUT_OF_RANGE);
}

/*
 * The output of the last round, if it was whole on disk when the node stopped: its budget is spent, so its work is kept. What a state that was saved later
 * holds is newer.
 */
static void recover(struct sl_node *node, const struct sl_event *event)
{
    struct budget *budget = &node->budget;
    const struct sl_ledger_record *paid = &budget->ledger.charge;
    uint64_t sequence;
    const uint8_t *output;
    size_t size;
    bool is_newer = node->saved_epoch <= paid->round && budget->merged != paid->sequence + 1;
    if (node->unit != SL_UNIT_RECORD || budget->ledger.n_charges == 0 || event->start.release_size == 0 || !is_newer) return;
    if (sl_release_open(event->start.release, event->start.release_size, &sequence, &output, &size) != SL_OK) return;
    if (sequence != paid->sequence || size != sizeof(float) * node->dim) return;

    sl_release_hash(event->start.release, event->start.release_size, budget->output);
    if (budget->ledger.is_released && !sl_hash_equal(budget->output, budget->ledger.release)) return;

    memcpy(node->work, output, size);
    if (!sl_vec_finite(node->work, node->dim)) return;
    memcpy(node->weights, node->work, size);
    budget->merged = paid->sequence + 1;
    budget->is_recovered = !budget->ledger.is_released;
    node_trace(node, SL_TRACE_ROUND_RECOVERED, NULL, 0, 0, SL_OK);
}

void budget_start(struct sl_node *node, const struct sl_event *event)
{
    struct budget *budget = &node->budget;
    uint8_t key[32];
    size_t whole = 0;
    if (!budget_is_private(node)) return;

    sl_ledger_key(node->self->sign_secret, key);
    sl_ledger_init(&budget->ledger, key);
    sl_wipe(key, sizeof key);
    budget->limits = sl_limits_of(&node->config);
    int error = sl_ledger_read(&budget->ledger, event->start.ledger, event->start.ledger_size, &whole);
    if (error == SL_OK && whole != event->start.ledger_size) error = SL_ERROR_DAMAGED;           /* the driver has cut a torn tail */
    if (error != SL_OK) budget_block(node, "its privacy ledger is damaged: it learns nothing until that is mended", error);
    else check_ledger(node);

    if (!budget->is_blocked) recover(node, event);
    if (budget->ledger.n_charges > 0 && budget->ledger.charge.round > node->saved_epoch) node->saved_epoch = budget->ledger.charge.round;
    refresh(node);
    go_on(node);
}
