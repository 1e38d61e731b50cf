/* SPDX-License-Identifier: MIT */
#ifndef SL_COHORT_DRAFT_PARTS_H
#define SL_COHORT_DRAFT_PARTS_H

/* The inside of a session, shared by the session_*.c files. */

#include "cohort/session.h"
#include "cohort/evidence.h"
#include "privacy/mask.h"

enum { HELD_SHARES, HELD_COMMIT, HELD_OPEN, HELD_AUDIT, HELD_CONFIRM, HELD_UNMASK, HELD_RESULT, HELD_COUNT };

enum list_number { LIST_V, LIST_Y, LIST_O, LIST_U, LIST_COUNT };

enum { SMALL_MAX = 512, BAD_MESSAGES_MAX = 8 };

struct held { uint32_t size, size_max; uint8_t *bytes, body_hash[32]; };          /* a whole message; size 0: not here */

/* One member as we see it. */
struct party {
    struct sl_session_member who;
    struct held held[HELD_COUNT];
    bool expelled;                   /* contradicted itself or was proven a liar: in no set that is still open, and not listened to */
    bool sits_out;                   /* disagrees with a partner on a key, or revealed its own */
    bool refused;                    /* said that it will not commit */
    bool shares_here;                /* its two shares for us fit what it signed */
    bool nonce_fits, vector_here, wanted;
    uint32_t n_bad;                  /* messages of it that were worth nothing */
    uint8_t root[32];
    uint8_t *vector;                 /* packed */
    uint8_t pair_seed[32];           /* s_ij */
    struct sl_box_keys box;          /* e_ij, e_ji */
    uint8_t self_share[32], mask_share[32];              /* ours of its secrets; our own of our own at our place */
    uint32_t sketch[SL_SKETCH_ROWS_MAX];                 /* of its vector */
    bool sketch_here, judged, passes;                    /* judged once its vector and AUDIT are here */
    bool seed_shown;                 /* we revealed our common seed */
    uint64_t disputes;               /* partners that describe the common mask differently, until a seed decides */
};

struct list {
    bool accepted, said;             /* said: we signed one, and sign no other */
    bool backup;                     /* anybody's counts now */
    uint64_t members;
    uint8_t hash[32];                /* of the body that was accepted */
    struct held message;             /* the accepted one, whole */
    struct held pending[2];          /* heard and not accepted yet: the initiator's, and one of somebody else's */
    uint32_t announcer[2];
};

struct sl_session {
    struct sl_session_port port;
    struct sl_rng rng;
    uint32_t n_max, dim_max, rows_max;

    enum sl_session_state state;
    uint8_t network_id[32], cohort_id[32];
    const uint8_t *sign_secret, *roster;
    size_t roster_size;
    uint64_t epoch;
    uint32_t n, own, initiator, threshold, colluders;
    uint32_t dim, ring_bits, rows, radius_q;
    int ring_exponent;
    double noise_variance;

    struct party parties[SL_MESH_COHORT_MAX];
    struct list lists[LIST_COUNT];
    uint64_t relays[SL_MESH_COHORT_MAX];         /* of the initiator: bit i of relays[j]: what j says goes on to i */

    uint8_t mask_secret[32], mask_public[32], box_secret[32], box_public[32], self_seed[32], nonce[32];
    bool has_input, has_refused, has_revealed;
    uint32_t *z, *sum;                           /* dim each */
    struct sl_merkle tree;                       /* of the own vector */
    uint8_t *out;                                /* the message that is being made */
    size_t out_max;
};

/* ---- session.c ---- */
bool session_is_under_way(const struct sl_session *session);
void session_set_void(struct sl_session *session, enum sl_session_step step, uint32_t culprit);
void session_tell(struct sl_session *session, enum sl_session_news news, uint32_t member, int64_t number);
void session_advance(struct sl_session *session);            /* as far as what is here allows */

/* ---- session_messages.c: making, keeping, asking ---- */
struct sl_writer session_write(struct sl_session *session, enum sl_message_type type);
/* Signs what was written, keeps it as our own of `slot` (HELD_COUNT: not kept) and sends it to all. */
void session_say(struct sl_session *session, struct sl_writer *writer, enum sl_message_type type, uint32_t slot);
bool session_open_held(const struct sl_session *session, const struct held *held, struct sl_envelope *out);
void session_ask(struct sl_session *session, uint32_t to, enum sl_session_step step, uint32_t author);
void session_expel(struct sl_session *session, uint32_t member);
void session_hold(struct held *held, const struct sl_envelope *envelope);
void session_contradicted(struct sl_session *session, uint32_t member, const struct held *first, const struct sl_envelope *second, enum sl_session_step step);
void session_ask_missing(struct sl_session *session, enum sl_session_step step);
/* EVIDENCE against a member from its held messages of these slots (HELD_COUNT: none). */
void session_accuse(struct sl_session *session, uint32_t member, struct sl_evidence *evidence, uint32_t slot_a, uint32_t slot_b);
bool session_verify(struct sl_session *session, const struct sl_envelope *envelope, uint32_t member);

/* ---- session_shares.c ---- */
bool shares_deal(struct sl_session *session);
void shares_check(struct sl_session *session, uint32_t dealer);          /* its SHARES have come */
void shares_on_reveal(struct sl_session *session, uint32_t from, const struct sl_reveal *reveal);

/* ---- session_lists.c ---- */
const struct list *list_last(const struct sl_session *session);          /* the one that CONFIRM names */
uint64_t list_expected(const struct sl_session *session, enum list_number number);
void list_on_message(struct sl_session *session, uint32_t from, const struct sl_envelope *envelope);
void list_try(struct sl_session *session, enum list_number number);      /* announces if it is time, accepts what can be accepted */
void list_close(struct sl_session *session, enum list_number number);    /* with what is here */

/* ---- session_input.c, session_audit.c, session_unmask.c ---- */
void input_commit(struct sl_session *session);
void input_open(struct sl_session *session);
void input_want(struct sl_session *session);
void audit_say(struct sl_session *session);
bool audit_passes(struct sl_session *session, uint32_t member);          /* its vector, AUDIT and energy; disputes are judged apart */
uint64_t audit_disputed(const struct sl_session *session);
void audit_compare(struct sl_session *session, uint32_t member);         /* its AUDIT has come */
void audit_accuse(struct sl_session *session, uint32_t liar, enum sl_evidence_kind kind, uint32_t index, const uint8_t secret[32]);
void audit_on_reveal(struct sl_session *session, uint32_t from, const struct sl_reveal *reveal);
void unmask_confirm(struct sl_session *session);
bool unmask_say(struct sl_session *session);             /* true once our shares are out */
bool unmask_sum(struct sl_session *session);             /* true once the sum is there */
void unmask_sign(struct sl_session *session);
bool unmask_is_signed(struct sl_session *session);

#endif
