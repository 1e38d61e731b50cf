/* SPDX-License-Identifier: MIT */
/* Two stories: whoever names members tells one half this, the other half that. */
#include <string.h>

#include "sim/adversary_parts.h"

/* The second half of the roster hears the other story. */
static bool hears_other_story(struct sl_liar *liar, uint32_t link)
{
    uint32_t member = liar_member_at(liar, link);
    return member != UINT32_MAX && member % 2 == 1;
}

/* ---- split-lists ---- */

/* The last member of the list, without the author, is left out. */
static bool shorten_list(const struct sl_liar *liar, struct sl_list *list)
{
    uint32_t own = liar_cohort(liar)->own, at = list->n_hashes;
    for (uint32_t i = SL_COHORT_MAX; i-- > 0;) {
        if (!(list->members >> i & 1)) continue;
        at--;
        if (i == own) continue;
        list->members &= ~(UINT64_C(1) << i);
        memmove(list->hashes[at], list->hashes[at + 1], (list->n_hashes - at - 1) * sizeof list->hashes[0]);
        list->n_hashes--;
        return true;
    }
    return false;
}

static bool split_lists(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    struct sl_list list;
    size_t size;
    bool is_split = envelope->type == SL_MESSAGE_LIST && liar_is_own(liar, envelope) && hears_other_story(liar, send->link);
    if (!is_split || sl_read_list(envelope, &list) != SL_OK || list.n_hashes < 4 || !shorten_list(liar, &list)) return false;

    struct sl_writer writer = liar_begin(liar, envelope);
    sl_write_list(&writer, &list);
    const uint8_t *bytes = liar_end(liar, &writer, SL_MESSAGE_LIST, &size);
    if (!bytes) return false;
    liar_send(liar, send->link, bytes, size);
    liar_strike(liar);
    return true;
}

const struct sl_adversary sl_adversary_split_lists = {
    .name = "split-lists", .summary = "as initiator announces one LIST to some members, a shorter one to the others", .message = split_lists
};

/* ---- two-rosters ---- */

/* Places of the JOINs of the author and of the one who will read it. */
static bool is_kept(const struct sl_liar *liar, const struct sl_roster *roster, uint32_t i, const uint8_t reader[32])
{
    struct sl_envelope join;
    return !liar_open(liar, roster->joins[i].bytes, roster->joins[i].size, &join) || liar_is_own(liar, &join) || sl_hash_equal(join.from, reader);
}

/* Every second reader gets a roster without one of the others. */
static bool two_rosters(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    struct sl_roster roster;
    size_t size;
    const struct link *link = links_find(liar->node, send->link);
    if (envelope->type != SL_MESSAGE_ROSTER || !liar_is_own(liar, envelope) || !link || link->id[0] % 2 == 0) return false;
    if (sl_read_roster(envelope, &roster) != SL_OK || roster.n_joins <= liar->node->config.cohort_min_size) return false;

    uint32_t left_out = roster.n_joins;
    while (left_out > 0 && is_kept(liar, &roster, left_out - 1, link->id)) left_out--;
    if (left_out == 0) return false;
    roster.n_joins--;
    memmove(&roster.joins[left_out - 1], &roster.joins[left_out], (roster.n_joins - left_out + 1) * sizeof roster.joins[0]);

    struct sl_writer writer = liar_begin(liar, envelope);
    sl_write_roster(&writer, &roster);
    const uint8_t *bytes = liar_end(liar, &writer, SL_MESSAGE_ROSTER, &size);
    if (!bytes) return false;
    liar_send(liar, send->link, bytes, size);
    liar_strike(liar);
    return true;
}

const struct sl_adversary sl_adversary_two_rosters = {
    .name = "two-rosters", .summary = "as initiator signs one roster for some members, a shorter one for the others", .message = two_rosters
};

/* ---- two-commits ---- */

static bool two_commits(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    struct sl_commit commit;
    size_t size;
    bool is_split = envelope->type == SL_MESSAGE_COMMIT && liar_is_own(liar, envelope) && hears_other_story(liar, send->link);
    if (!is_split || sl_read_commit(envelope, &commit) != SL_OK) return false;

    commit.root[0] ^= 1;
    struct sl_writer writer = liar_begin(liar, envelope);
    sl_write_commit(&writer, &commit);
    const uint8_t *bytes = liar_end(liar, &writer, SL_MESSAGE_COMMIT, &size);
    if (!bytes) return false;
    liar_send(liar, send->link, bytes, size);
    liar_strike(liar);
    return true;
}

const struct sl_adversary sl_adversary_two_commits = {
    .name = "two-commits", .summary = "commits to one vector towards some members, to another towards the others", .message = two_commits
};

/* ---- forged-aggregate ---- */

enum { RESULT_MAX = 512 };

/* The result says another mean; the signatures are those of the true one, but for its own. */
static bool forge_aggregate(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    struct sl_aggregate aggregate;
    struct sl_result result;
    uint8_t body[RESULT_MAX];
    size_t size;
    if (envelope->type != SL_MESSAGE_AGGREGATE || sl_read_aggregate(envelope, &aggregate) != SL_OK) return false;
    if (sl_read_result_body(aggregate.result, aggregate.result_size, &result) != SL_OK) return false;

    result.root[0] ^= 1;
    struct sl_writer writer = sl_writer_over(body, sizeof body);
    sl_write_result(&writer, &result);
    if (writer.full) return false;
    aggregate.result = body;
    aggregate.result_size = writer.size;
    writer = liar_begin(liar, envelope);
    sl_write_aggregate(&writer, &aggregate);
    const uint8_t *bytes = liar_end(liar, &writer, SL_MESSAGE_AGGREGATE, &size);
    if (!bytes) return false;
    liar_send(liar, send->link, bytes, size);
    liar_strike(liar);
    return true;
}

const struct sl_adversary sl_adversary_forged_aggregate = {
    .name = "forged-aggregate", .summary = "serves aggregates whose result is another than what was signed", .message = forge_aggregate
};
