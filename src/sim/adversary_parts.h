/* SPDX-License-Identifier: MIT */
#ifndef SL_SIM_ADVERSARY_PARTS_H
#define SL_SIM_ADVERSARY_PARTS_H

/* What the files of the attacks share. */
#include "base/rng.h"
#include "cohort/session.h"
#include "core/core.h"
#include "sim/adversary.h"
#include "starling/event.h"

enum {
    LIAR_SENDS_MAX = 2048,               /* of one step */
    LIAR_BYTES_MAX = 1 << 20,            /* of altered messages in one step */
    RECORD_MAX = 6144,                   /* a message that may be repeated: the largest is a SHARES */
    RECORDS_MAX = 64
};

/*
 * An attack. All functions may be NULL.
 * event     before a step
 * say       when the node's own session says something, before it goes on: writes another body and returns true, or leaves it. The session stands by
 *           the lie from then on: it is what it holds, names in LISTs and sends again
 * after     after it, before its messages are looked at: messages that are added go out first
 * message   of each message that is about to go out: true if the attack has seen to it (dropped, altered, held back), false: it goes out as it is
 */
struct sl_adversary {
    const char *name, *summary;
    size_t size;                         /* of its memory, zero at the beginning */
    void (*event)(struct sl_liar *liar, struct sl_event *event);
    bool (*say)(struct sl_liar *liar, const struct sl_envelope *envelope, struct sl_writer *writer);
    void (*after)(struct sl_liar *liar);
    bool (*message)(struct sl_liar *liar, const struct sl_envelope *envelope, const struct sl_send *send);
};

extern const struct sl_adversary sl_adversary_vanish_shares, sl_adversary_vanish_commit, sl_adversary_vanish_open, sl_adversary_vanish_audit,
    sl_adversary_vanish_confirm, sl_adversary_vanish_unmask, sl_adversary_vanish_result, sl_adversary_late_commit, sl_adversary_withheld_aggregate,
    sl_adversary_bad_shares, sl_adversary_bad_secret, sl_adversary_tag_mismatch, sl_adversary_partial_shares, sl_adversary_false_sketch,
    sl_adversary_framing_sketch, sl_adversary_large_input, sl_adversary_huge_input, sl_adversary_half_ring, sl_adversary_near_half,
    sl_adversary_split_lists, sl_adversary_two_rosters, sl_adversary_two_commits, sl_adversary_forged_aggregate, sl_adversary_steer_reference,
    sl_adversary_steer_radius, sl_adversary_replay_epoch, sl_adversary_replay_cohort;

/* Messages that somebody recorded; the oldest gives way. */
struct record { uint64_t epoch; uint8_t cohort[32]; uint32_t size; uint8_t bytes[RECORD_MAX]; };
struct records { uint64_t n; struct record all[RECORDS_MAX]; };

struct sl_gang { struct records heard; };                                       /* of all their cohorts */

struct sl_liar {
    const struct sl_adversary *adversary;
    struct sl_gang *gang;
    struct sl_rng rng;                   /* forked from, never drawn from */
    struct sl_node *node;                /* during a step */
    uint64_t n_strikes;
    struct sl_session_port port;         /* of the core, behind that of the liar; empty before the first step */
    uint8_t lies[SL_STEP_COUNT][32];     /* hashes of the bodies that `say` wrote last, by step */
    struct sl_send sends[LIAR_SENDS_MAX];
    uint32_t n_sends;
    uint8_t *bytes;                      /* LIAR_BYTES_MAX */
    size_t n_bytes;
    void *memory;
};

void liar_strike(struct sl_liar *liar);
void liar_send(struct sl_liar *liar, uint32_t link, const uint8_t *bytes, size_t size);         /* bytes stay where they are */
void liar_send_copy(struct sl_liar *liar, uint32_t link, const uint8_t *bytes, size_t size);
struct sl_rng liar_rng(const struct sl_liar *liar, const char *label);         /* the same all through an epoch */

bool liar_is_own(const struct sl_liar *liar, const struct sl_envelope *envelope);      /* is the node its author? */
bool liar_open(const struct sl_liar *liar, const uint8_t *bytes, size_t size, struct sl_envelope *out);
enum sl_session_step liar_step_of(const struct sl_envelope *envelope);         /* of a cohort's run; 0: none */
const struct cohort *liar_cohort(const struct sl_liar *liar);                  /* of this epoch; NULL: none yet */
uint32_t liar_member_at(struct sl_liar *liar, uint32_t link);                  /* roster index of the peer at a link; UINT32_MAX: none */
void liar_send_to_members(struct sl_liar *liar, const uint8_t *bytes, size_t size);    /* who are linked; copies */

/* A message of the node's own again, with another body: begin, write one body, then end. NULL: no room. */
struct sl_writer liar_begin(struct sl_liar *liar, const struct sl_envelope *like);
const uint8_t *liar_end(struct sl_liar *liar, struct sl_writer *writer, enum sl_message_type type, size_t *size);

void records_add(struct records *records, const struct sl_envelope *envelope);

/* adversary_session.c: the inside of the node's own session. */
void session_listen(struct sl_liar *liar);                                     /* what it says passes the liar from now on */

/* Adds `value` to n coordinates of the own input and of the own masked vector, places drawn from rng; the root of the changed vector. */
void session_shift(struct sl_liar *liar, uint32_t value, uint32_t n, struct sl_rng *rng, uint8_t root[32]);

#endif
