/* SPDX-License-Identifier: MIT */
#ifndef KIT_FORGE_H
#define KIT_FORGE_H

#include "puppet.h"

/*
 * A cohort of puppets, with or without the core of the stage, up to its roster; and for cohorts of puppets alone a finished aggregate, made step by step with
 * real keys and signatures. Every part lies open, so that a test can spoil it between two steps; what follows is then made of the spoiled part. Members are
 * puppet numbers, PUPPET_SELF for the core. What happens between roster and aggregate: company.h.
 */
enum { FORGED_MAX = 16 };

struct forged_member {
    uint32_t who;
    uint8_t join[JOIN_MAX];                      /* the core's own: what it sent */
    size_t join_size;
    uint8_t mask_public[32], mask_secret[32], box_public[32], box_secret[32];
    uint8_t confirm_signature[64], result_signature[64];
};

struct forged {
    struct stage *stage;
    uint64_t epoch;
    uint32_t initiator;                          /* puppet */
    uint32_t n_members;
    struct forged_member members[FORGED_MAX];    /* in roster order once the PROPOSE is made */
    struct sl_propose propose;
    uint8_t propose_bytes[PROPOSE_MAX], propose_hash[32];
    size_t propose_size;
    uint8_t roster_bytes[32768], cohort[32];
    size_t roster_size;
    int ring_exponent;
    uint8_t *ref;
    uint32_t *sum;
    uint32_t n_lists, step_shift;                /* step_shift: added to the number of every step */
    uint64_t sets[4];                            /* who is in them; all, unless a test says otherwise */
    uint8_t list_bytes[4][1024], list_hash[4][32];
    size_t list_size[4];
    struct sl_confirm confirm;
    struct sl_result result;
    uint8_t result_bytes[512];
    size_t result_size;
    uint8_t *mean;                               /* canonical encoding */
    size_t mean_size;
    struct sl_merkle mean_tree;
    struct sl_aggregate aggregate;               /* points into the parts above */
};

/* Chooses members and makes a PROPOSE body that the core finds acceptable; spoil forged->propose, then forge_seal_propose(). */
struct forged *forge_new(struct stage *stage, uint32_t initiator, const uint32_t *members, uint32_t n_members);
void forge_destroy(struct forged **forged);
void forge_seal_propose(struct forged *forged);
void forge_say_propose(struct forged *forged);

/* JOINs of all puppets among the members; `refused` of them all is 0. */
void forge_joins(struct forged *forged);
void forge_join(struct forged *forged, struct forged_member *member, struct sl_join *join);          /* from a JOIN that a test has changed */
struct sl_join forge_join_body(struct forged *forged, struct forged_member *member);
bool forge_take_join(struct forged *forged);                                                         /* of the core, from what it sent; false: none */
void forge_roster(struct forged *forged);
void forge_say_roster(struct forged *forged);

void forge_lists(struct forged *forged);                 /* of made-up bodies */
void forge_sum(struct forged *forged);
void forge_results(struct forged *forged);               /* signatures of all, as forged->aggregate shows them */
void forge_name_signers(struct forged *forged, uint64_t confirms, uint64_t results);        /* only these, by places in the roster */
void forge_prove(struct forged *forged);                 /* from the roster on */
void forge_aggregate(struct forged *forged);             /* everything after forge_new() */

void forge_say_aggregate(struct forged *forged, uint32_t via);
void forge_say_chunk(struct forged *forged, uint32_t via, const struct sl_merkle *tree, const uint8_t *bytes, uint32_t index);

struct forged_member *forge_self(struct forged *forged);                         /* the core among the members, or NULL */
struct forged_member *forge_member(struct forged *forged, uint32_t who);
uint32_t forge_place(const struct forged *forged, uint32_t who);                 /* in the roster */

/* Brings the core into a cohort with the first n puppets: an epoch in which it does not lead, PROPOSE, its JOIN, the ROSTER. */
struct forged *forge_cohort(struct stage *stage, uint32_t n_puppets);

#endif
