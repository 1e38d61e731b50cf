/* SPDX-License-Identifier: MIT */
#ifndef KIT_COMPANY_H
#define KIT_COMPANY_H

#include "cohort/session.h"
#include "forge.h"

/*
 * The puppets of a cohort that the core is in, each with a session of its own: honest partners, who talk to one another and to the core until there is nothing
 * more to say. A test silences some of them, holds chunks back and lets moments pass. Members are named by their places in the roster.
 */
struct company;

struct frame { uint32_t from, to; size_t size; uint8_t *bytes; };

struct player {
    struct company *company;
    uint32_t place;
    void *memory;
    struct sl_session *session;              /* NULL for the core */
    uint64_t wants, here;                    /* vectors asked for, and those that came, by place */
    bool is_mute[SL_PEER_TYPES_MAX];         /* by message type: what it would say stays unsaid */
    struct frame last[SL_PEER_TYPES_MAX];    /* said last of every type, or would have */
};

struct company {
    struct forged *forged;
    struct player players[FORGED_MAX];
    uint32_t *inputs[FORGED_MAX];            /* of the puppets */
    struct frame frames[4096];
    uint32_t n_frames, n_done, n_taken;      /* n_taken: of what the core sent */
    bool holds_chunks;                       /* GETs of the core are not answered */
};

/* After forge_cohort(). The puppets have their inputs; nothing is said yet. */
struct company *company_new(struct forged *forged);
void company_destroy(struct company **company);
void company_mute(struct company *company, uint32_t place, enum sl_message_type type);
void company_mute_all(struct company *company, uint32_t place);
void company_run(struct company *company);                                       /* begins, and goes as far as it can */
void company_moment(struct company *company, enum sl_session_step step, enum sl_session_moment moment);      /* for every puppet; then runs */
void company_say_chunk(struct company *company, uint32_t place, uint32_t via, uint32_t index);              /* of a puppet's vector, over a puppet's link */
void company_repeat(struct company *company, uint32_t place, uint32_t via, enum sl_message_type type);       /* to the core, muted or not */
struct sl_merkle company_tree(struct company *company, uint32_t place);          /* of a puppet's vector */

#endif
