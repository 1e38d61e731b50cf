/* SPDX-License-Identifier: MIT */
/* Lies in SHARES: shares that are wrong, tags that belong to no key, SHARES for some only. */
#include <string.h>

#include "sim/adversary_parts.h"

/* A partner of this epoch, the same for every copy of a message. */
static uint32_t victim_of(const struct sl_liar *liar, uint32_t n_members, uint32_t own)
{
    struct sl_rng rng = liar_rng(liar, "victim");
    uint32_t victim = sl_rng_below(&rng, n_members - 1);
    return victim + (victim >= own);
}

/* The node's own SHARES, read into `shares`; the own place in *own. */
static bool read_shares(const struct sl_liar *liar, const struct sl_envelope *envelope, struct sl_shares *shares, uint32_t *own)
{
    const struct cohort *cohort = liar_cohort(liar);
    if (!cohort || envelope->type != SL_MESSAGE_SHARES || sl_read_shares(envelope, shares) != SL_OK || shares->n_members < 2) return false;
    *own = cohort->own;
    return *own < shares->n_members;
}

/* ---- bad-shares ---- */

static bool spoil_box(struct sl_liar *liar, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    struct sl_shares shares;
    uint8_t box[SL_BOX_SIZE];
    uint32_t own;
    if (!read_shares(liar, envelope, &shares, &own)) return false;

    struct sl_dealt *dealt = &shares.dealt[victim_of(liar, shares.n_members, own)];
    if (!dealt->box) return false;
    memcpy(box, dealt->box, sizeof box);
    box[0] ^= 1;
    dealt->box = box;
    sl_write_shares(writer, &shares);
    return true;
}

const struct sl_adversary sl_adversary_bad_shares = {
    .name = "bad-shares", .summary = "deals one partner shares that do not open", .say = spoil_box
};

/* ---- bad-secret ---- */

static bool spoil_hash(struct sl_liar *liar, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    struct sl_shares shares;
    uint32_t own;
    if (!read_shares(liar, envelope, &shares, &own)) return false;

    shares.self_hash[0] ^= 1;
    sl_write_shares(writer, &shares);
    return true;
}

const struct sl_adversary sl_adversary_bad_secret = {
    .name = "bad-secret", .summary = "deals shares that fit their hashes, of another secret than it signed", .say = spoil_hash
};

/* ---- tag-mismatch ---- */

static bool spoil_tag(struct sl_liar *liar, const struct sl_envelope *envelope, struct sl_writer *writer)
{
    struct sl_shares shares;
    uint32_t own;
    if (!read_shares(liar, envelope, &shares, &own)) return false;

    struct sl_dealt *dealt = &shares.dealt[victim_of(liar, shares.n_members, own)];
    if (liar->node->epoch % 2) dealt->mask_tag[0] ^= 1;
    else dealt->to_tag[0] ^= 1;
    sl_write_shares(writer, &shares);
    return true;
}

/* It says nothing of its own about the dispute. */
static bool keep_quiet(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    (void)send;
    return envelope->type == SL_MESSAGE_REVEAL && liar_is_own(liar, envelope);
}

const struct sl_adversary sl_adversary_tag_mismatch = {
    .name = "tag-mismatch", .summary = "signs a false tag of a key it shares with one partner", .say = spoil_tag,
    .message = keep_quiet
};

/* ---- partial-shares ---- */

static bool partial_shares(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send)
{
    bool is_own = envelope->type == SL_MESSAGE_SHARES && liar_is_own(liar, envelope);
    uint32_t member = is_own ? liar_member_at(liar, send->link) : UINT32_MAX;
    if (member == UINT32_MAX || member % 2 == 0) return false;

    liar_strike(liar);
    return true;
}

const struct sl_adversary sl_adversary_partial_shares = {
    .name = "partial-shares", .summary = "sends its SHARES to every second member only", .message = partial_shares
};
