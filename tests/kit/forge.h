/* SPDX-License-Identifier: MIT */
#ifndef KIT_FORGE_H
#define KIT_FORGE_H

#include "puppet.h"

/*
 * A cohort of puppets, with or without the core of the stage, made step by step with real keys, masks and signatures. Every part lies open, so that a test can
 * spoil it between two steps; what follows is then made of the spoiled part. Members are puppet numbers, PUPPET_SELF for the core.
 */
enum { FORGED_MAX = 16 };

struct forged_member {
    uint32_t who;
    uint8_t join[JOIN_MAX];                      /* the core's own: what it sent */
    size_t join_size;
    uint8_t mask_public[32], mask_secret[32], box_public[32];
    uint32_t *y;                                 /* masked vector, dim */
    uint8_t *y_bytes;
    struct sl_merkle tree;
    struct sl_commit commit;
    struct sl_open open;
    uint8_t commit_hash[32], open_hash[32];      /* of the bodies */
    uint8_t result_signature[64];
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
    uint8_t list_bytes[2][1024], list_hash[2][32];
    size_t list_size[2];
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

/* Random small vectors under masks: COMMIT roots of all puppets. */
void forge_vectors(struct forged *forged);
void forge_take_commit(struct forged *forged);           /* the core's, from what it sent */
void forge_take_open(struct forged *forged);
void forge_list(struct forged *forged, uint32_t step);   /* STEP_LIST_COMMIT or STEP_LIST_OPEN */
void forge_opens(struct forged *forged);
void forge_sum(struct forged *forged);                   /* needs every member's y */
void forge_results(struct forged *forged);               /* signatures of all puppets */
void forge_aggregate(struct forged *forged);             /* everything after forge_new(), for cohorts of puppets only */

/* One message of a member, over its own link or over that of another (`via`). */
void forge_say_commit(struct forged *forged, uint32_t member, uint32_t via);
void forge_say_open(struct forged *forged, uint32_t member, uint32_t via);
void forge_say_result(struct forged *forged, uint32_t member, uint32_t via);
void forge_say_list(struct forged *forged, uint32_t step, uint32_t via);         /* signed by the one who sends it */
void forge_say_aggregate(struct forged *forged, uint32_t via);
void forge_say_chunk(struct forged *forged, uint32_t via, const struct sl_merkle *tree, const uint8_t *bytes, uint32_t index);

struct forged_member *forge_self(struct forged *forged);                         /* the core among the members, or NULL */
struct forged_member *forge_member(struct forged *forged, uint32_t who);
uint32_t forge_place(const struct forged *forged, uint32_t who);                 /* in the roster */

/* Brings the core into a cohort with the first n puppets: an epoch in which it does not lead, PROPOSE, its JOIN, the ROSTER. */
struct forged *forge_cohort(struct stage *stage, uint32_t n_puppets);

/* Goes on from there until everybody has committed, and until everybody has opened and all vectors have travelled. */
void forge_commit_all(struct forged *forged);
void forge_open_all(struct forged *forged);

#endif
