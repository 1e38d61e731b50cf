/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "config/plan.h"
#include "privacy/ledger.h"
#include "sim/checker.h"

/* The rules of private rounds (checker.h), by what a node stores, trains and sends. */

static uint64_t number_at(const uint8_t *bytes)
{
    uint64_t number;
    memcpy(&number, bytes, sizeof number);
    return number;
}

static enum sl_ledger_type type_of(const uint8_t *record)
{
    return (enum sl_ledger_type)record[6];
}

static void note_charge(struct sl_checked_rounds *rounds, const uint8_t *record)
{
    rounds->n_charges++;
    rounds->charged = number_at(record + 120);
    rounds->paid = (struct sl_round){.q64 = number_at(record + 72), .sigma2 = number_at(record + 80), .steps = (uint32_t)number_at(record + 96)};
    rounds->is_used = false;
}

void sl_checker_rounds_start(struct sl_checker *checker, uint32_t index, const uint8_t *ledger, size_t size)
{
    struct sl_checked_rounds *rounds = &checker->nodes[index].rounds;
    uint64_t n_before = rounds->n_charges;
    rounds->ticket = 0;
    rounds->n_charges = 0;
    for (size_t at = 0; at + SL_LEDGER_RECORD <= size; at += SL_LEDGER_RECORD) {
        if (type_of(ledger + at) == SL_LEDGER_CHARGE) note_charge(rounds, ledger + at);
        if (type_of(ledger + at) == SL_LEDGER_RELEASE) rounds->released = number_at(ledger + at + 120);
    }
    rounds->is_used = true;                  /* what an earlier run charged and did not finish is lost */
    if (rounds->n_charges < n_before) sl_checker_fail(checker, index, "lost a charge over a restart");
}

static void check_record(struct sl_checker *checker, uint32_t index, const uint8_t *record)
{
    struct sl_checked_rounds *rounds = &checker->nodes[index].rounds;
    uint64_t round = number_at(record + 120);
    if (type_of(record) == SL_LEDGER_CHARGE) {
        if (round <= rounds->asked) sl_checker_fail(checker, index, "charged a round a second time, or one of the past");
        rounds->asked = round;
    }
    if (type_of(record) != SL_LEDGER_RELEASE) return;
    if (rounds->output_round == round && memcmp(rounds->output, record + 128, 32) != 0) sl_checker_fail(checker, index, "released two outputs of one round");
    rounds->output_round = round;
    memcpy(rounds->output, record + 128, 32);
}

void sl_checker_rounds_store(struct sl_checker *checker, uint32_t index, const struct sl_store *store)
{
    struct sl_checked_rounds *rounds = &checker->nodes[index].rounds;
    if (store->type != SL_STORE_APPEND_LEDGER && store->type != SL_STORE_PUT_RELEASE) return;

    if (sl_unit_of(checker->config) == SL_UNIT_OFF) sl_checker_fail(checker, index, "keeps a ledger though privacy.unit is off");
    if (rounds->ticket != 0) sl_checker_fail(checker, index, "asked for a store of a round while another was under way");
    rounds->ticket = store->ticket;
    rounds->is_record = store->type == SL_STORE_APPEND_LEDGER;
    if (!rounds->is_record) return;

    if (store->size != SL_LEDGER_RECORD) {
        sl_checker_fail(checker, index, "appended to its ledger what is no record");
        return;
    }
    memcpy(rounds->record, store->data, SL_LEDGER_RECORD);
    check_record(checker, index, rounds->record);
}

void sl_checker_rounds_stored(struct sl_checker *checker, uint32_t index, uint64_t ticket, int error)
{
    struct sl_checked_rounds *rounds = &checker->nodes[index].rounds;
    if (ticket != rounds->ticket) return;

    rounds->ticket = 0;
    if (error != 0 || !rounds->is_record) return;
    if (type_of(rounds->record) == SL_LEDGER_CHARGE) note_charge(rounds, rounds->record);
    if (type_of(rounds->record) == SL_LEDGER_RELEASE) rounds->released = number_at(rounds->record + 120);
}

void sl_checker_rounds_job(struct sl_checker *checker, uint32_t index, const struct sl_job *job)
{
    struct sl_checked_rounds *rounds = &checker->nodes[index].rounds;
    bool is_private = sl_unit_of(checker->config) != SL_UNIT_OFF;
    if (!is_private) {
        if (job->round.steps > 0) sl_checker_fail(checker, index, "trains in private though privacy.unit is off");
        return;
    }
    bool is_paid = rounds->charged == job->epoch && rounds->paid.q64 == job->round.q64 && rounds->paid.sigma2 == job->round.sigma2 &&
                   rounds->paid.steps == job->round.steps && job->round.steps > 0;
    if (!is_paid) sl_checker_fail(checker, index, "trains on what no durable charge paid for");
    else if (rounds->is_used) sl_checker_fail(checker, index, "trains a second time for one charge");
    rounds->is_used = true;
}

void sl_checker_rounds_said(struct sl_checker *checker, uint32_t index, uint64_t epoch)
{
    if (sl_unit_of(checker->config) == SL_UNIT_OFF || checker->nodes[index].rounds.released == epoch) return;
    sl_checker_fail(checker, index, "sent something of a round before its release was durable");
}

void sl_checker_rounds_status(struct sl_checker *checker, uint32_t index, const struct sl_status *status)
{
    struct sl_checked_rounds *rounds = &checker->nodes[index].rounds;
    if (sl_unit_of(checker->config) == SL_UNIT_OFF) return;

    if (status->privacy.epsilon < rounds->epsilon) sl_checker_fail(checker, index, "counts less epsilon than before");
    if (status->privacy.rounds_charged < rounds->n_charges) sl_checker_fail(checker, index, "counts fewer rounds than it charged");
    if (status->privacy.epsilon > status->privacy.eps_max) sl_checker_fail(checker, index, "spent more than privacy.eps_max");
    if (status->last_job.loss != 0) sl_checker_fail(checker, index, "tells a loss on private data");
    rounds->epsilon = status->privacy.epsilon;
}
