/* SPDX-License-Identifier: MIT */
#ifndef SL_COHORT_SESSION_PARTS_H
#define SL_COHORT_SESSION_PARTS_H

#include "base/bits.h"
#include "cohort/evidence.h"
#include "cohort/session.h"
#include "privacy/mask.h"
#include "privacy/sketch.h"

/*
 * What the files of a session share. Messages and moments only add to what is held; session_advance() alone looks how far the run can go.
 *
 *     session.c           begin, end, what drivers ask
 *     session_advance.c   messages and moments come in; how far can the run go?
 *     session_hold.c      signed messages: one body a member and step; what is said and passed on
 *     session_need.c      asking for what is missing, answering, relaying
 *     session_shares.c    own SHARES, those of others, tags of pairs
 *     session_reveal.c    keys that were disclosed because somebody lied, and who it was
 *     session_lists.c     LISTs: ours, and whether one of them can be accepted
 *     session_input.c     masking, COMMIT, OPEN, vectors
 *     session_audit.c     own AUDIT, those of others
 *     session_unmask.c    CONFIRM, UNMASK
 *     session_sum.c       the sum, the checks that come late, RESULT
 */
enum {
    SESSION_LISTS = 4,                   /* V, Y, O, U: list number k closes the step of bodies 2k + 1 and is step 2k + 2 */
    SESSION_BLOCK = 1024,                /* coordinates that pass at a time: as many as make a stretch of a mask's stream worth its call */
    SESSION_BLOCK_CHUNKS = SESSION_BLOCK / SL_SKETCH_CHUNK,
    SESSION_REVEALS = SL_REVEAL_PAIR_SEED,       /* kinds of them */
    SESSION_BAD_MAX = 8,                 /* worthless messages over one link before it is not listened to any more */
    SESSION_NEEDS_MAX = 400              /* questions of one member that are answered in a run */
};

struct held {                            /* a signed message; size 0: none */
    uint8_t *bytes;
    size_t size, size_max;
    uint8_t hash[32], chain[32];         /* of its body; the chain it begins with, from COMMIT on but for LISTs */
};

struct secrets {
    uint8_t mask[32], box[32];           /* until V is agreed: a dispute may ask for them */
    uint8_t self[32];                    /* b, until the audit is over */
    uint8_t nonce[32];                   /* a, until it is told in our OPEN */
    uint8_t pair[SL_COHORT_MAX][32];                    /* s, until the audit is over */
    struct sl_box_keys boxes[SL_COHORT_MAX];            /* e, until V is agreed */
    uint8_t self_shares[SL_COHORT_MAX][32], mask_shares[SL_COHORT_MAX][32];        /* dealt to us, until our UNMASK is out */
};

/* What is held of the SHARES of a member, and of its AUDIT, read. Rows of tables are as long as the largest cohort that this session may run. */
struct session_dealing {
    uint8_t self_hash[32], nonce_hash[32];
    struct sl_dealt *dealt;              /* to each member; the boxes lead into the held message */
};

struct session_sketches {
    uint64_t partners;
    uint32_t input[SL_SKETCH_ROWS_MAX], self[SL_SKETCH_ROWS_MAX];
    uint32_t (*pair)[SL_SKETCH_ROWS_MAX];
};

/* Sets of members are words: bit i is roster member i. */
struct sl_session {
    struct sl_session_port port;
    struct sl_rng rng;
    bool is_wiped;
    uint32_t n_members_max, dim_max, rows_max;

    struct held *held;                   /* [step][member] */
    uint8_t *bytes;                      /* of all of them */
    size_t n_bytes;
    struct session_dealing *shares;
    struct sl_dealt *dealt;              /* [dealer][member] */
    struct session_sketches *audits;
    uint32_t (*pairs)[SL_SKETCH_ROWS_MAX];           /* [member][partner] */
    uint8_t (*revealed)[32];             /* [kind - 1][whose][of whom]: what REVEALs told: public from then on */
    uint8_t *vectors;                    /* [member][dim * 4] */
    uint32_t *numbers;                   /* dim: our input until the audit is out, later the sum */
    struct sl_sketch *sketches;          /* of one block */
    uint32_t *sketched;                  /* [member][rows]: of the vectors in O */
    uint8_t *evidence;
    size_t evidence_max;
    union { struct sl_list list; struct sl_shares shares; struct sl_audit audit; } scratch;

    /* the run */
    enum sl_session_state state;
    bool is_busy;
    uint8_t network_id[32], cohort_id[32];
    const uint8_t *sign_secret, *roster;
    size_t roster_size;
    uint64_t epoch;
    uint32_t n_members, own, initiator, threshold, dim, ring_bits, rows;
    int ring_exponent;
    uint32_t radius_q;
    double noise_variance;
    struct sl_session_member members[SL_COHORT_MAX];
    struct secrets secrets;
    uint64_t is_revealed[SESSION_REVEALS][SL_COHORT_MAX];

    uint64_t excluded;                   /* our LISTs leave them out: a bad share, two bodies */
    uint64_t unusable;                   /* our own share from them is bad */
    uint64_t contradicted, refused, accused, told;
    uint64_t disputed[SL_COHORT_MAX];                   /* partners with whose tags one's own do not fit */
    bool has_input;
    uint64_t wanted, here;               /* vectors */
    uint64_t checked, failed;            /* audits */
    uint64_t differing[SL_COHORT_MAX], settled[SL_COHORT_MAX];     /* partners whose audit says another mask; of these, who lied is known */
    uint64_t shown;                      /* partners whose pair seed we revealed */
    uint64_t bad_shares, bad_results;    /* told already */

    uint32_t n_agreed;                   /* LISTs accepted */
    uint64_t agreed[SESSION_LISTS];
    uint8_t chain[SESSION_LISTS][32];    /* hashes of their bodies */
    uint32_t announcers[SESSION_LISTS];
    uint64_t replaced[SL_STEP_COUNT];    /* whose second body took the place of the first: at most once */
    uint64_t absent;                     /* the driver says that they cannot be reached */
    uint32_t asked, backup;              /* bit k: ASK, BACKUP were given for list k */
    uint64_t fetched[SESSION_LISTS][SL_COHORT_MAX];     /* [k][announcer]: bodies asked for because its LIST names them */

    uint64_t relays[SL_COHORT_MAX]; /* [author]: who gets its messages from us */
    uint32_t n_bad[SL_COHORT_MAX], n_needs[SL_COHORT_MAX];
};

static inline uint64_t bit(uint32_t member)
{
    return UINT64_C(1) << member;
}

static inline uint64_t session_everybody(const struct sl_session *session)
{
    return sl_first_bits(session->n_members);
}

static inline struct held *session_held(const struct sl_session *session, uint32_t step, uint32_t member)
{
    return &session->held[step * session->n_members_max + member];
}

static inline uint8_t *session_revealed(const struct sl_session *session, enum sl_reveal_kind kind, uint32_t whose, uint32_t of)
{
    const uint32_t n = session->n_members_max;
    return session->revealed[((kind - 1) * n + whose) * n + of];
}

static inline uint32_t session_lists(const struct sl_session *session)
{
    return session->rows > 0 ? 4 : 3;
}

static inline uint64_t session_last(const struct sl_session *session)        /* U, or O where there is no audit */
{
    return session->agreed[session_lists(session) - 1];
}

static inline const uint8_t *session_last_chain(const struct sl_session *session)
{
    return session->chain[session_lists(session) - 1];
}

static inline uint32_t session_in_ring(const struct sl_session *session, uint32_t number)
{
    return session->ring_bits == 16 ? number & 0xffff : number;
}

static inline void session_tell(struct sl_session *session, enum sl_session_news news, uint32_t member, int64_t number)
{
    session->port.tell(session->port.context, news, member, number);
}

/* session.c */
void session_void(struct sl_session *session, uint32_t member);
void session_wipe_secrets(struct sl_session *session);
struct sl_mask_context session_context(const struct sl_session *session, uint32_t own, uint32_t peer);

/* session_advance.c */
void session_advance(struct sl_session *session);
uint32_t session_step(const struct sl_session *session);     /* of bodies, that is under way; 0: none */

/* session_hold.c */
void session_hold(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope, uint32_t via);
bool session_verify(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope, uint32_t via);
bool session_fits(const struct sl_session *session, uint32_t step, uint32_t member);         /* a body is held and follows our chain */
struct sl_envelope session_envelope(const struct sl_session *session, const struct held *held);
uint32_t session_find(const struct sl_session *session, const uint8_t id[32]);               /* n_members: nobody */
struct sl_writer session_write(struct sl_session *session, enum sl_message_type type, uint8_t *bytes, size_t size_max);
void session_say(struct sl_session *session, uint32_t step, struct sl_writer *writer, enum sl_message_type type);      /* a body that is held: our own */
void session_keep_shares(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope);      /* of as many members as we are */
void session_keep_audit(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope);
void session_accuse(struct sl_session *session, uint32_t member, struct sl_evidence *evidence);
void session_cite(struct sl_evidence *evidence, const uint8_t *bytes, size_t size);

/* session_need.c */
void session_ask(struct sl_session *session);
void session_need(struct sl_session *session, uint32_t step, uint32_t from, uint32_t to);
void session_on_need(struct sl_session *session, const struct sl_envelope *envelope, uint32_t via);
void session_relay(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope, uint32_t via);

/* session_shares.c */
bool session_share(struct sl_session *session);
void session_on_shares(struct sl_session *session, uint32_t dealer);
uint64_t session_disputants(const struct sl_session *session, uint64_t among);       /* of these, who has a dispute with another of them */

/* session_reveal.c */
void session_reveal(struct sl_session *session, enum sl_reveal_kind kind, uint32_t index, const uint8_t secret[32]);
void session_on_reveal(struct sl_session *session, uint32_t author, const struct sl_envelope *envelope, uint32_t via);
void session_judge_keys(struct sl_session *session, uint32_t dealer);       /* SHARES came: did a REVEAL before them show a lie in them? */
void session_judge_pair(struct sl_session *session, uint32_t a, uint32_t b);

/* session_lists.c */
bool session_close(struct sl_session *session, uint32_t k);                          /* true: list k is accepted */
void session_announce(struct sl_session *session, uint32_t k);
bool session_is_named(struct sl_session *session, uint32_t step, uint32_t member, const uint8_t hash[32]);
uint64_t session_expected(const struct sl_session *session, uint32_t k);
uint64_t session_lacking(const struct sl_session *session, uint32_t k);

/* session_input.c */
void session_commit(struct sl_session *session);
void session_open(struct sl_session *session);
void session_want(struct sl_session *session, uint64_t members);
bool session_opens(const struct sl_session *session, uint32_t member);
void session_drop_input(struct sl_session *session);

/* session_audit.c */
void session_audit(struct sl_session *session);
void session_check_audits(struct sl_session *session);
void session_sketch_begin(struct sl_session *session);
void session_sketch_block(struct sl_session *session, uint32_t start);
void session_sketch_add(struct sl_session *session, const uint32_t *values, uint32_t n_values, uint32_t *out);
bool session_sketch_equal(const struct sl_session *session, const uint32_t *a, const uint32_t *b);
void session_expand(const struct sl_session *session, const uint8_t seed[32], uint32_t start, uint32_t *out, uint32_t n);

/* session_unmask.c */
void session_confirm(struct sl_session *session);
bool session_unmask(struct sl_session *session);

/* session_sum.c */
bool session_sum(struct sl_session *session);
uint32_t session_results(const struct sl_session *session, uint64_t *signers);      /* how many signed the same as we, and who */
void session_compare_results(struct sl_session *session);

#endif
