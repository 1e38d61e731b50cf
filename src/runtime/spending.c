/* SPDX-License-Identifier: MIT */
#include "runtime/spending.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/plan.h"
#include "privacy/ledger.h"
#include "runtime/files.h"
#include "runtime/store.h"
#include "starling/error.h"

enum { RELEASE_SIZE_MAX = SL_STATE_SIZE_MAX };

static bool has_file(const struct sl_setup *setup, const char *name)
{
    char path[SL_PATH_SIZE];
    return sl_path_join(setup->folder, name, path) == SL_OK && access(path, F_OK) == 0;
}

/* A whole file, or nothing where there is none. */
static int read_file(const struct sl_setup *setup, const char *name, size_t size_max, uint8_t **out, size_t *out_size, char *why, size_t why_size)
{
    char path[SL_PATH_SIZE];
    if (sl_path_join(setup->folder, name, path) != SL_OK) return SL_FAIL(SL_ERROR_IO, why, why_size, "%s: the path is too long", setup->folder);

    int error = sl_file_read(path, size_max, out, out_size, why, why_size);
    if (error != SL_ERROR_NOT_FOUND) return error;

    *out = NULL;
    *out_size = 0;
    return SL_OK;
}

/* ---- is it whole, and about what is configured? ---- */

/* What is not known cannot be held to a limit. */
static int refuse_unknown(const struct sl_setup *setup, int error, const char *what, char *why, size_t why_size)
{
    return SL_FAIL(error, why, why_size,
                   "%s/" SL_LEDGER_NAME ": %s, so what was spent on the privacy of this data is not known, and this node does not learn from it any more. "
                   "Restore the file as it was last, not an older copy; or give up the data: \"starling privacy reset %s --dataset NAME\" begins with other "
                   "data", setup->folder, what, setup->folder);
}

static int refuse_damage(const struct sl_setup *setup, int error, size_t at, char *why, size_t why_size)
{
    char what[80];
    bool is_foreign = error == SL_ERROR_BAD_VERSION;
    snprintf(what, sizeof what, "record %zu %s", at / SL_LEDGER_RECORD, is_foreign ? "was written by another version of Starling" : "is damaged");
    return refuse_unknown(setup, SL_ERROR_DAMAGED, what, why, why_size);
}

static int refuse_missing(const struct sl_setup *setup, char *why, size_t why_size)
{
    bool is_there = has_file(setup, SL_LEDGER_NAME);
    const char *what = is_there ? "is empty, but this node has run before" : "is missing, but this node has run before";
    return refuse_unknown(setup, SL_ERROR_NOT_FOUND, what, why, why_size);
}

static int refuse_other(const struct sl_setup *setup, const char *key, const char *now, const char *then, char *why, size_t why_size)
{
    return SL_FAIL(SL_ERROR_MISMATCH, why, why_size,
                   "%s is \"%s\", but %s/" SL_LEDGER_NAME " was opened %s, and that is fixed as long as the data is the same; set it back, or, if this is "
                   "other data, run: starling privacy reset %s --dataset NAME", key, now, setup->folder, then, setup->folder);
}

static const char *adjacency_text(enum sl_adjacency adjacency)
{
    static const char *const texts[] = {"for none", "for add-remove", "for zero-out", "for replace"};
    return texts[adjacency];
}

static int check_limits(const struct sl_setup *setup, const struct sl_ledger *ledger, char *why, size_t why_size)
{
    const struct sl_config *config = &setup->config;
    bool raises_epsilon = config->privacy_eps_max > ledger->eps_max;
    if (!raises_epsilon && config->privacy_delta <= ledger->delta) return SL_OK;

    double now = raises_epsilon ? config->privacy_eps_max : config->privacy_delta, then = raises_epsilon ? ledger->eps_max : ledger->delta;
    return SL_FAIL(SL_ERROR_MISMATCH, why, why_size,
                   "%s is %g, but %s/" SL_LEDGER_NAME " holds this node to %g: a limit of privacy may be lowered, never raised; set it to %g or less",
                   raises_epsilon ? "privacy.eps_max" : "privacy.delta", now, setup->folder, then, then);
}

static int check_agrees(const struct sl_setup *setup, const struct sl_ledger *ledger, char *why, size_t why_size)
{
    const struct sl_config *config = &setup->config;
    uint8_t dataset[16];
    sl_ledger_dataset(config->privacy_dataset, dataset);
    if (ledger->unit != sl_unit_of(config))
        return refuse_other(setup, "privacy.unit", config->privacy_unit, ledger->unit == SL_UNIT_NODE ? "for node" : "for record", why, why_size);
    if (ledger->adjacency != sl_adjacency_of(config))
        return refuse_other(setup, "privacy.adjacency", config->privacy_adjacency, adjacency_text(ledger->adjacency), why, why_size);
    if (memcmp(ledger->dataset, dataset, sizeof dataset) != 0)
        return refuse_other(setup, "privacy.dataset", config->privacy_dataset, "under another name", why, why_size);
    return check_limits(setup, ledger, why, why_size);
}

static void open_ledger(const struct sl_setup *setup, struct sl_ledger *out)
{
    uint8_t key[32];
    sl_ledger_key(setup->identity.sign_secret, key);
    sl_ledger_init(out, key);
    sodium_memzero(key, sizeof key);
}

/* Checks the chain; the bytes are cut to whole records. */
static int check_chain(struct sl_setup *setup, struct sl_ledger *ledger, char *why, size_t why_size)
{
    struct sl_spending *spending = &setup->spending;
    size_t whole;
    int error = sl_ledger_read(ledger, spending->ledger, spending->ledger_size, &whole);
    if (error != SL_OK) return refuse_damage(setup, error, whole, why, why_size);

    bool has_run = setup->state_size > 0 || has_file(setup, SL_RELEASE_NAME);
    if (whole == 0 && has_run) return refuse_missing(setup, why, why_size);

    spending->was_torn = whole < spending->ledger_size;
    spending->ledger_size = whole;
    spending->n_charges = ledger->n_charges;
    spending->epsilon = sl_budget_epsilon(&ledger->budget, setup->config.privacy_delta);
    spending->epsilon_floor = sl_budget_floor(&ledger->budget, setup->config.privacy_delta);
    return whole == 0 ? SL_OK : check_agrees(setup, ledger, why, why_size);
}

static int read_ledger(struct sl_setup *setup, char *why, size_t why_size)
{
    struct sl_spending *spending = &setup->spending;
    free(spending->ledger);
    spending->ledger = NULL;
    int error = read_file(setup, SL_LEDGER_NAME, SL_LEDGER_MAX, &spending->ledger, &spending->ledger_size, why, why_size);
    if (error != SL_OK) return error;

    struct sl_ledger ledger;
    open_ledger(setup, &ledger);
    error = check_chain(setup, &ledger, why, why_size);
    sodium_memzero(&ledger, sizeof ledger);
    return error;
}

/* Without privacy nothing is counted: what was counted would be worth nothing afterwards. */
static int refuse_to_forget(const struct sl_setup *setup, char *why, size_t why_size)
{
    if (!has_file(setup, SL_LEDGER_NAME)) return SL_OK;
    return SL_FAIL(SL_ERROR_MISMATCH, why, why_size,
                   "privacy.unit is \"off\", but %s/" SL_LEDGER_NAME " holds what this node promised about its data, and without privacy the promise would be "
                   "broken. Use another directory for a network without privacy: starling init", setup->folder);
}

/* ---- the output of the last round ---- */

/* Does the ledger say of this output that it is the one of its round, or may it still come to say so? */
static int judge_release(const struct sl_setup *setup, uint64_t sequence, bool *is_good, bool *is_known)
{
    const struct sl_spending *spending = &setup->spending;
    struct sl_ledger ledger;
    uint8_t hash[32];
    int error = SL_OK;
    sl_release_hash(spending->release, spending->release_size, hash);
    open_ledger(setup, &ledger);
    *is_good = *is_known = false;
    for (size_t at = 0; at < spending->ledger_size && error == SL_OK; at += SL_LEDGER_RECORD) {
        error = sl_ledger_take(&ledger, spending->ledger + at);
        bool is_its_round = ledger.n_charges > 0 && ledger.charge.sequence == sequence;
        *is_known = *is_known || is_its_round;
        if (is_its_round && ledger.is_released) *is_good = memcmp(ledger.release, hash, 32) == 0;
    }
    bool awaits = ledger.n_charges > 0 && ledger.charge.sequence == sequence && !ledger.is_released;
    *is_good = *is_good || awaits;
    sodium_memzero(&ledger, sizeof ledger);
    return error;
}

static int drop_release(struct sl_setup *setup, char *why, size_t why_size)
{
    struct sl_spending *spending = &setup->spending;
    free(spending->release);
    spending->release = NULL;
    spending->release_size = 0;
    spending->release_was_dropped = true;
    int error = sl_file_remove(setup->folder, SL_RELEASE_NAME);
    if (error == SL_OK) return SL_OK;
    return SL_FAIL(error, why, why_size, "%s/" SL_RELEASE_NAME ": is not whole and cannot be removed (%s)", setup->folder, sl_error_text(error));
}

static int read_release(struct sl_setup *setup, char *why, size_t why_size)
{
    struct sl_spending *spending = &setup->spending;
    int error = read_file(setup, SL_RELEASE_NAME, RELEASE_SIZE_MAX, &spending->release, &spending->release_size, why, why_size);
    if (error != SL_OK || !spending->release) return error;

    const uint8_t *bytes;
    uint64_t sequence;
    size_t size;
    bool is_good, is_known;
    if (sl_release_open(spending->release, spending->release_size, &sequence, &bytes, &size) != SL_OK) return drop_release(setup, why, why_size);

    error = judge_release(setup, sequence, &is_good, &is_known);
    assert(error == SL_OK);                                  /* the same bytes were read before */
    if (!is_known) return refuse_unknown(setup, SL_ERROR_DAMAGED, "is older than " SL_RELEASE_NAME ", which came of a round that it lacks", why, why_size);
    return is_good ? SL_OK : drop_release(setup, why, why_size);
}

/* ---- for the driver ---- */

int sl_spending_read(struct sl_setup *setup, char *why, size_t why_size)
{
    if (sl_unit_of(&setup->config) == SL_UNIT_OFF) return refuse_to_forget(setup, why, why_size);
    return read_ledger(setup, why, why_size);
}

/* Half-written files of an ended process; each would be replaced by the next of its kind, which may never come. */
static int remove_unfinished(const struct sl_setup *setup, char *why, size_t why_size)
{
    static const char *const names[] = {SL_RELEASE_NAME ".new", "state.new", "book.new"};
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int error = sl_file_remove(setup->folder, names[i]);
        if (error != SL_OK) return SL_FAIL(error, why, why_size, "%s/%s: cannot be removed (%s)", setup->folder, names[i], sl_error_text(error));
    }
    return SL_OK;
}

static int cut_torn(struct sl_setup *setup, char *why, size_t why_size)
{
    struct sl_spending *spending = &setup->spending;
    if (!spending->was_torn || sl_ledger_file_cut(&spending->file, spending->ledger_size) == SL_OK) return SL_OK;
    return SL_FAIL(SL_ERROR_IO, why, why_size, "%s/" SL_LEDGER_NAME ": its last record was not written to the end, and it cannot be cut off", setup->folder);
}

int sl_spending_hold(struct sl_setup *setup, char *why, size_t why_size)
{
    if (sl_unit_of(&setup->config) == SL_UNIT_OFF) return SL_OK;

    int error = sl_ledger_file_open(&setup->spending.file, setup->folder, why, why_size);
    if (error == SL_OK) error = read_ledger(setup, why, why_size);       /* again: until it was held, another process could write */
    if (error == SL_OK) error = cut_torn(setup, why, why_size);
    if (error == SL_OK) error = remove_unfinished(setup, why, why_size);
    if (error == SL_OK) error = read_release(setup, why, why_size);
    return error;
}

void sl_spending_finish(struct sl_spending *spending)
{
    sl_ledger_file_close(&spending->file);
    free(spending->ledger);
    free(spending->release);
    *spending = (struct sl_spending){0};
}
