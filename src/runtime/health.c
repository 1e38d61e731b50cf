/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "config/plan.h"
#include "runtime/glance.h"

static const double spent_warning = .8;          /* of the limit */

enum { DAY_S = 24 * 3600, CERTIFICATE_WARNING_S = 7 * DAY_S };

/* Where the next warning is to be written. */
static char *next_warning(struct sl_health *health)
{
    assert(health->n_warnings < SL_HEALTH_WARNINGS);
    return health->warnings[health->n_warnings++];
}

static void warn(struct sl_health *health, const char *text)
{
    snprintf(next_warning(health), SL_WARNING_SIZE, "%s", text);
}

/* "3 h behind": the largest unit that fits. */
static void describe_offset(int64_t off_s, char *out, size_t size)
{
    uint64_t distance_s = (uint64_t)(off_s < 0 ? -off_s : off_s);
    const char *side = off_s < 0 ? "behind" : "ahead of";
    if (distance_s >= 2 * DAY_S) snprintf(out, size, "%" PRIu64 " days %s", distance_s / DAY_S, side);
    else if (distance_s >= 2 * 3600) snprintf(out, size, "%" PRIu64 " h %s", distance_s / 3600, side);
    else if (distance_s >= 2 * 60) snprintf(out, size, "%" PRIu64 " min %s", distance_s / 60, side);
    else snprintf(out, size, "%" PRIu64 " s %s", distance_s, side);
}

/* A network whose budgets are spent has learned all that it may: that is an end, and no trouble to mend. */
static bool has_finished(const struct sl_glance *glance, const struct sl_status *status)
{
    bool is_member = glance->setup->certificate_expires_s > glance->now_us / 1000000;
    return is_member && status->privacy.is_spent && status->stalled && status->peers_live + 1 >= glance->setup->config.cohort_min_size;
}

static enum sl_trouble trouble_of(const struct sl_glance *glance, const struct sl_status *status)
{
    if (glance->state_failing) return SL_TROUBLE_DISK;
    if (status->clock_peers > 0) return SL_TROUBLE_CLOCK;            /* the core has judged: farther off than an epoch */
    if (status->privacy.is_blocked || glance->ledger_failing || glance->release_failing) return SL_TROUBLE_LEDGER;
    if (glance->leaving) return SL_TROUBLE_STALLED;                  /* at any age: it does not come back by itself */
    if (has_finished(glance, status)) return SL_TROUBLE_NONE;
    return status->stalled && status->epochs_seen >= SL_HEALTH_YOUNG_EPOCHS ? SL_TROUBLE_STALLED : SL_TROUBLE_NONE;
}

static void give_reason(const struct sl_glance *glance, const struct sl_status *status, struct sl_health *out)
{
    char offset[48];
    switch (out->trouble) {
    case SL_TROUBLE_DISK:
        snprintf(out->reason, sizeof out->reason, "the disk does not take the state: the node sits out until it does; make room in %.96s",
                 glance->setup->folder);
        break;
    case SL_TROUBLE_CLOCK:
        describe_offset(status->clock_off_s, offset, sizeof offset);
        snprintf(out->reason, sizeof out->reason, "the clock is %s %" PRIu32 " peers: set it (NTP) and restart the node", offset, status->clock_peers);
        break;
    case SL_TROUBLE_LEDGER:
        if (glance->ledger_failing || glance->release_failing)
            snprintf(out->reason, sizeof out->reason, "the disk does not take %s: the node does not learn from its data until it does; make room in %.64s",
                     glance->ledger_failing ? "the privacy ledger" : "what it learned", glance->setup->folder);
        else snprintf(out->reason, sizeof out->reason, "does not learn from its data: %s",
                      status->reason[0] && !status->stalled ? status->reason : "its privacy ledger cannot be trusted");
        break;
    case SL_TROUBLE_STALLED:
        snprintf(out->reason, sizeof out->reason, "%s", status->reason[0] ? status->reason : "nothing merged for several epochs");
        break;
    case SL_TROUBLE_NONE:
        if (glance->held) snprintf(out->reason, sizeof out->reason, "starting: held until a line comes on standard input");
        else if (has_finished(glance, status)) snprintf(out->reason, sizeof out->reason, "its privacy budget is spent, and nobody around learns anything new");
        else if (status->epochs_seen < SL_HEALTH_YOUNG_EPOCHS) snprintf(out->reason, sizeof out->reason, "starting");
        break;
    }
}

static void warn_of_certificate(const struct sl_glance *glance, struct sl_health *out)
{
    uint64_t expires_s = glance->setup->certificate_expires_s, now_s = glance->now_us / 1000000;
    if (expires_s <= now_s) warn(out, "the certificate has expired: the node is a member no more; ask for a new invite");
    else if (expires_s - now_s < CERTIFICATE_WARNING_S)
        snprintf(next_warning(out), SL_WARNING_SIZE, "the certificate expires in %.1f days: ask for a new invite", (double)(expires_s - now_s) / DAY_S);
}

/* By the number that is nearest to its limit. */
static double share_spent(const struct sl_privacy_status *privacy)
{
    double share = privacy->eps_max > 0 ? privacy->epsilon / privacy->eps_max : 0;
    double floor = privacy->floor_max > 0 ? privacy->epsilon_floor / privacy->floor_max : 0;
    return floor > share ? floor : share;
}

static void warn_of_privacy(const struct sl_glance *glance, const struct sl_status *status, struct sl_health *out)
{
    const struct sl_privacy_status *privacy = &status->privacy;
    if (!sl_is_private(glance->setup)) {
        warn(out, "privacy is off: no formal promise beyond the masks");
    } else if (privacy->is_spent) {
        snprintf(next_warning(out), SL_WARNING_SIZE, "privacy budget spent (epsilon %.4g of %.4g): learns no more from its data, goes on merging",
                 privacy->epsilon, privacy->eps_max);
    } else if (share_spent(privacy) >= spent_warning) {
        snprintf(next_warning(out), SL_WARNING_SIZE, "privacy: %.0f %% of the budget is spent (epsilon %.4g of %.4g), enough for %" PRIu64 " more epoch%s",
                 100 * share_spent(privacy), privacy->epsilon, privacy->eps_max, privacy->rounds_left, privacy->rounds_left == 1 ? "" : "s");
    }
}

void sl_health_of(const struct sl_glance *glance, const struct sl_status *status, struct sl_health *out)
{
    const struct sl_config *config = &glance->setup->config;
    uint32_t needed = config->cohort_min_size - 1;
    *out = (struct sl_health){0};
    out->trouble = trouble_of(glance, status);
    out->healthy = out->trouble == SL_TROUBLE_NONE;
    give_reason(glance, status, out);

    warn_of_certificate(glance, out);
    if (glance->leaving) warn(out, "left: takes part no more; stop the process to end it");
    if (glance->book_failing)
        snprintf(next_warning(out), SL_WARNING_SIZE, "the disk does not take the address book: make room in %.96s", glance->setup->folder);
    if (glance->clock_stepped) warn(out, "the wall clock was set while the node ran: restart the node if the new time is right");
    if (!glance->leaving && status->epochs_seen > 0 && status->peers_live < needed)
        snprintf(next_warning(out), SL_WARNING_SIZE, "%" PRIu32 " peer%s reachable, %" PRIu32 " needed for a cohort", status->peers_live,
                 status->peers_live == 1 ? "" : "s", needed);
    if (!glance->setup->identity.address[0]) warn(out, "no address: other nodes cannot dial this one; set node.address if they could reach it");
    warn_of_privacy(glance, status, out);
}

const char *sl_score_name(const struct sl_setup *setup)
{
    return setup->model->task == SL_TASK_CLASSIFY ? "accuracy" : "rmse";
}

bool sl_is_private(const struct sl_setup *setup)
{
    return sl_unit_of(&setup->config) != SL_UNIT_OFF;
}

uint64_t sl_rows_told(const struct sl_setup *setup, const struct sl_job_result *last_job)
{
    if (sl_is_private(setup)) return setup->config.privacy_records;
    return last_job->n_rows > 0 ? last_job->n_rows : setup->data.n_rows;
}

bool sl_own_score(const struct sl_setup *setup, const struct sl_score *score, double *out)
{
    return !sl_is_private(setup) && sl_own_score_for_owner(setup, score, out);
}

bool sl_own_score_for_owner(const struct sl_setup *setup, const struct sl_score *score, double *out)
{
    bool is_hidden = sl_is_private(setup) && !sl_shows_own_accuracy(&setup->config);
    if (is_hidden || score->n_rows == 0) return false;

    *out = setup->model->task == SL_TASK_CLASSIFY ? score->accuracy : score->rmse;
    return true;
}
