/* SPDX-License-Identifier: MIT */
#ifndef SL_COHORT_SESSION_H
#define SL_COHORT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "starling/arena.h"
#include "base/rng.h"
#include "share/merkle.h"
#include "wire/message.h"

/*
 * One member's run of one cohort, from the roster to the signed result: secure aggregation that survives drops and liars (docs/protocol.md, "One cohort").
 * No clock, no sockets, no model: messages, moments and vectors come in through the functions below, everything goes out through the port. The core drives
 * it with links and deadlines; tests and benchmarks drive several of them side by side.
 *
 * In short, c members, threshold t, f colluders tolerated; masks are for V only and V > Y > O > U are shrinking sets of members:
 *
 *     SHARES -> LIST V -> COMMIT -> LIST Y -> OPEN, vectors -> LIST O -> AUDIT -> LIST U -> CONFIRM -> UNMASK -> sum -> RESULT
 *
 * A LIST closes a step: it names whose bodies are in, and binds the LIST before. With rows = 0 there is no audit: U = O and the LIST of OPENs is the last.
 * Whoever is missing at a LIST is left out; fewer than t anywhere, and the run is void. A member that is left out after V goes on helping with its shares.
 */
enum sl_session_step {
    SL_STEP_SHARES = 1, SL_STEP_LIST_SHARES, SL_STEP_COMMIT, SL_STEP_LIST_COMMIT, SL_STEP_OPEN, SL_STEP_LIST_OPEN, SL_STEP_AUDIT, SL_STEP_LIST_AUDIT,
    SL_STEP_CONFIRM, SL_STEP_UNMASK, SL_STEP_RESULT, SL_STEP_COUNT
};

/* Moments within a step (by its odd member: SHARES, COMMIT, OPEN, AUDIT; and CONFIRM, UNMASK, RESULT), given by the driver as time passes. Those of a step that
 * is over are nothing. */
enum sl_session_moment {
    SL_MOMENT_ASK,           /* NEED for what is missing */
    SL_MOMENT_CLOSE,         /* the initiator's LIST, with what is here */
    SL_MOMENT_BACKUP,        /* no LIST has come: ours, with what we hold. The driver gives it to members one after another, lest they contradict each other */
    SL_MOMENT_END            /* no LIST agreed, or too few answers: void */
};

enum sl_session_state {
    SL_SESSION_NONE,
    SL_SESSION_SHARED,       /* own SHARES are out; waits for those of all and LIST V */
    SL_SESSION_AGREED,       /* V is agreed; waits for our own input (it may be there already) */
    SL_SESSION_COMMITTED,    /* own COMMIT is out, or we have nothing to commit; waits for LIST Y */
    SL_SESSION_OPENED,       /* own OPEN is out if we are in Y; waits for LIST O, which counts when the vectors in O are here */
    SL_SESSION_AUDITED,      /* own AUDIT is out if we are in O; waits for LIST U */
    SL_SESSION_CONFIRMED,    /* own CONFIRM is out; waits for t of them */
    SL_SESSION_UNMASKED,     /* own shares are out; waits for t shares of every secret */
    SL_SESSION_SIGNED,       /* the sum is there, own RESULT is out; waits for f + 1 equal ones */
    SL_SESSION_DONE,
    SL_SESSION_VOID
};

/* What a session tells, for traces: member is a roster index or SL_SESSION_ALL. */
enum sl_session_news {
    SL_NEWS_SHARED, SL_NEWS_AGREED,          /* number: members in V */
    SL_NEWS_COMMITTED, SL_NEWS_OPENED, SL_NEWS_AUDITED, SL_NEWS_CONFIRMED, SL_NEWS_UNMASKED,
    SL_NEWS_SUMMED,                          /* number: members in the sum */
    SL_NEWS_DONE,                            /* number: signatures */
    SL_NEWS_DROPPED,                         /* member: silent; number: enum sl_session_step at which it was left out */
    SL_NEWS_BAD_SHARE,                       /* member: a share of it contradicts what it signed */
    SL_NEWS_DISPUTED,                        /* member: it and a partner disagree on a key: both sit out */
    SL_NEWS_BAD_AUDIT,                       /* member: its audit does not fit its vector, or it lied about a mask */
    SL_NEWS_TOO_LARGE,                       /* member: number = energy in thousandths of what is allowed */
    SL_NEWS_CONTRADICTION,                   /* member signed two different bodies of one step; number: the step */
    SL_NEWS_BAD_SECRET,                      /* member: its shares give no secret that fits */
    SL_NEWS_BAD_RESULT,                      /* member signed another result than ours */
    SL_NEWS_ODD_SUM,                         /* number: energy of the sum in thousandths of the noise that its members owe; noise was kept back, or added */
    SL_NEWS_REFUSED,                         /* member leaves; number: its reason */
    SL_NEWS_VOID                             /* number: step; member: whose fault, or ALL */
};

enum { SL_SESSION_ALL = 255 };

struct sl_session_port {
    void *context;
    void (*send)(void *context, uint32_t to, const uint8_t *bytes, size_t size);     /* to: roster index or SL_SESSION_ALL, all but us; bytes are ours */
    void (*want)(void *context, uint32_t member);            /* fetch the vector under sl_session_root() into sl_session_vector(), then call ..._here() */
    bool (*encode)(void *context, const uint32_t *sum, uint64_t members, struct sl_result *out);     /* the canonical mean: fills bits, exponent and root.
                                                                        The sum is reduced and read as signed 32-bit numbers. false: cannot, the run is void */
    void (*accuse)(void *context, uint32_t member, const uint8_t *body, size_t size);                /* an EVIDENCE body that convinces anybody */
    void (*tell)(void *context, enum sl_session_news news, uint32_t member, int64_t number);
    void (*count)(void *context, bool made);                 /* a signature was made, or checked */
};

struct sl_session_member { uint8_t id[32], sign_public[32], mask_public[32], box_public[32]; };      /* as in the roster's JOINs */

struct sl_session_setup {
    const uint8_t *network_id, *cohort_id, *sign_secret;     /* 32, 32, 64 bytes; sign_secret must stay */
    const uint8_t *roster;                                   /* the whole ROSTER message, for evidence; must stay */
    size_t roster_size;
    uint64_t epoch;
    uint32_t n_members, own, initiator;                      /* n_members 3 .. SL_COHORT_MAX */
    const struct sl_session_member *members;                 /* n_members, copied */
    const uint8_t *mask_secret, *box_secret;                 /* of the own JOIN; copied: the caller wipes its own at once */
    uint32_t dim, ring_bits, rows;                           /* rows 0: no audit */
    int ring_exponent;
    uint32_t radius_q;                                       /* what the audit holds inputs to */
    double noise_variance;                                   /* per coordinate; 0 in unit off and record */
};

struct sl_session;

size_t sl_session_size(uint32_t n_members_max, uint32_t dim_max, uint32_t rows_max);
/* Carves everything from the arena, which may be a counting one; NULL when it is too small. `rng` is the session's own stream of randomness. */
struct sl_session *sl_session_init(struct sl_arena *arena, uint32_t n_members_max, uint32_t dim_max, uint32_t rows_max, const struct sl_session_port *port,
                                   struct sl_rng rng);

/* A fresh run; the SHARES go out. False, and nothing is said, if a partner's key is worthless. */
bool sl_session_begin(struct sl_session *session, const struct sl_session_setup *setup);
void sl_session_end(struct sl_session *session);             /* wipes every secret; VOID is told if the run was under way */
void sl_session_wipe(struct sl_session *session);            /* every byte that may hold a secret, at once */

/* Our input, dim elements: at most once a run, any time after begin. It is masked, committed once V is agreed, and wiped when the audit is out. */
void sl_session_input(struct sl_session *session, const uint32_t *z);

/* No input will come (training late, reference refused, leaving): tells the others, and goes on helping. reason: 1 .. 255. */
void sl_session_refuse(struct sl_session *session, uint32_t reason);

/* SHARES, LIST, COMMIT, OPEN, AUDIT, CONFIRM, UNMASK, REVEAL, RESULT, REFUSE or NEED of this cohort and epoch; via: the roster index of the peer whose link it
 * came over. The envelope was opened; network, epoch and cohort are checked here, and the signature of everything that others will rely on. */
void sl_session_message(struct sl_session *session, const struct sl_envelope *envelope, uint32_t via);

/* The link to a member is down, or up again; forgotten at begin. Once ASK of a step was given, the initiator does not wait for who is absent; what of it is
 * here counts as ever. */
void sl_session_absent(struct sl_session *session, uint32_t member, bool is_absent);
void sl_session_moment(struct sl_session *session, enum sl_session_step step, enum sl_session_moment moment);

/* The vector of a member: where it belongs (dim * ring_bits / 8 bytes, packed little endian), its root, and that it is there and was checked by the root. */
uint8_t *sl_session_vector(struct sl_session *session, uint32_t member);
const uint8_t *sl_session_root(const struct sl_session *session, uint32_t member);           /* NULL: it has not committed */
void sl_session_vector_here(struct sl_session *session, uint32_t member);
bool sl_session_serves(const struct sl_session *session, uint32_t member);   /* may its vector be given to members? Ours once we opened,
                                                                                   others' when they are here */

enum sl_session_state sl_session_state(const struct sl_session *session);
uint64_t sl_session_set(const struct sl_session *session, enum sl_session_step list);        /* members in V, Y, O, U by the step of their LIST;
                                                                                                  0: not agreed yet */
const uint32_t *sl_session_sum(const struct sl_session *session);            /* dim, from SIGNED on; signed 32-bit numbers */
bool sl_session_aggregate(const struct sl_session *session, struct sl_aggregate *out);       /* all but propose and roster; true once DONE.
                                                                                                  Pointers lead into the session */

#endif
