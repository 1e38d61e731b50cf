/* SPDX-License-Identifier: MIT */
#ifndef SL_TESTS_SESSIONS_H
#define SL_TESTS_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "cohort/session.h"
#include "privacy/mask.h"

/*
 * The real sessions of one cohort side by side, over a queue without time: packets in, vectors on request, then the moments of each step in order. All that was
 * ever said is kept, and all secrets can be looked at, so that a test may ask what a coalition knew.
 *
 *     struct sessions *sessions = sessions_begin(&(struct sessions_setup){.n = 4, .dim = 70, .ring_bits = 32, .rows = 8, .seed = 1});
 *     sessions_silence(sessions, 2, SL_STEP_OPEN);
 *     sessions_run(sessions);
 *     ... sessions->members[0].session, sessions_sum_is_right(sessions, 0) ...
 *     sessions_free(sessions);
 */
enum { SESSIONS_MAX = SL_COHORT_MAX, SESSIONS_RULES_MAX = 32, SESSIONS_EPOCH = 7, SESSIONS_ANY = 254, SESSIONS_VECTOR = 200 };

struct sessions;

enum sessions_fate { SESSIONS_DELIVER, SESSIONS_DROP, SESSIONS_DELAY };

/* The moments of all steps, in order. */
#define SESSIONS_TICK(step, moment) (((uint32_t)(step) << 2) | (uint32_t)(moment))

struct sessions_packet {                     /* one message to one member */
    uint32_t author, sender, to;             /* author: who signed it, or made it; sender: who said it or passed it on */
    enum sl_message_type type;
    uint32_t step;                           /* enum sl_session_step; 0: of none */
    size_t at, size;                         /* in sessions->bytes, see sessions_bytes() */
    bool is_delivered;
    uint32_t until;                          /* not 0: a delayed one, which goes out after this tick */
};

/* What happens to packets, and to vectors (type SESSIONS_VECTOR, author whose it is, sender who gives it). SESSIONS_ANY fits all. */
struct sessions_rule {
    uint32_t type, step, author, sender, to;
    enum sessions_fate fate;
    uint32_t until;
    uint32_t skip;                           /* so many that fit go their way before it begins */
};

/* Called for every packet that is to be sent, before the rules: may replace its bytes, send others, and decides. */
typedef enum sessions_fate sessions_tap(void *context, struct sessions *sessions, struct sessions_packet *packet);

struct sessions_setup {
    uint32_t n, dim, ring_bits, rows, initiator;
    uint64_t seed;                           /* all randomness follows from it */
    double noise_variance;                   /* per coordinate of an input, that the sessions count on; tests put it into `z` themselves */
    double loss;                             /* how likely a packet gets lost */
    bool shuffles;                           /* packets arrive in any order */
    bool scales_inputs;                      /* inputs of `scale` times the norm that is allowed, instead of a fifth of it */
    double scale[SESSIONS_MAX];
    uint64_t refuses;                        /* bit i: member i has no input */
    sessions_tap *tap;
    void *context;
};

struct sessions_news { enum sl_session_news news; uint32_t member; int64_t number; };

struct sessions_member {
    struct sl_session *session;
    struct sl_session_member keys;
    uint8_t sign_secret[64], mask_secret[32], box_secret[32];
    uint32_t *z;                             /* its input, signed 32-bit numbers */
    struct sessions_news *news;              /* all it told */
    uint32_t n_news;
    uint64_t accused;                        /* bit i: it made evidence against i */
    uint32_t gone_from;                      /* enum sl_session_step; SL_STEP_COUNT: it stays */
    uint32_t gone_reach;                     /* its last message reaches so many */
    bool is_gone;
    uint64_t wanted;
    void *block;
    struct sessions *sessions;
};

struct sessions {
    struct sessions_setup setup;
    struct sessions_member members[SESSIONS_MAX];
    uint8_t network[32], cohort[32], roster[51200];
    size_t roster_size;
    struct sl_rng rng;
    struct sessions_rule rules[SESSIONS_RULES_MAX];
    uint32_t n_rules;
    struct sessions_packet *packets;         /* everything ever said, in order */
    uint32_t n_packets, packets_max;
    uint32_t *waiting, n_waiting, next_waiting;              /* packets on their way */
    uint8_t *bytes;
    size_t n_bytes, bytes_max;
    uint32_t tick;                           /* the last one given */
    bool is_started;
};

/* Keys and a roster; nothing is said before the first settle, tick or run, so that rules and silence hold from the first message on. */
struct sessions *sessions_begin(const struct sessions_setup *setup);
void sessions_free(struct sessions *sessions);

/* The member says nothing from the first message of this step on, gives no vector, and hears nothing; its last message still reaches `reach` members. */
void sessions_silence(struct sessions *sessions, uint32_t member, enum sl_session_step step, uint32_t reach);
void sessions_rule(struct sessions *sessions, const struct sessions_rule *rule);

/* Delivers until nothing moves. */
void sessions_settle(struct sessions *sessions);

/* The moment comes for all, BACKUP for one after another; what is delayed until it goes out afterwards; then everything settles. */
void sessions_tick(struct sessions *sessions, enum sl_session_step step, enum sl_session_moment moment);

/* All moments of all steps, until every session is done or void, or has gone. */
void sessions_run(struct sessions *sessions);

/* Puts a message on its way, as if `sender` had said it, past tap and rules; to: one or SL_SESSION_ALL. */
void sessions_send(struct sessions *sessions, uint32_t sender, uint32_t to, const uint8_t *bytes, size_t size);

/* A message of this member: write the body, then sessions_seal() gives its size. */
struct sl_writer sessions_write(const struct sessions *sessions, uint32_t author, enum sl_message_type type, uint8_t *bytes, size_t size_max);
size_t sessions_seal(const struct sessions *sessions, uint32_t author, enum sl_message_type type, struct sl_writer *writer);
void sessions_replace(struct sessions *sessions, struct sessions_packet *packet, const uint8_t *bytes, size_t size);

const uint8_t *sessions_bytes(const struct sessions *sessions, const struct sessions_packet *packet);
struct sl_envelope sessions_envelope(const struct sessions *sessions, const struct sessions_packet *packet);

/* The last packet of this author and step that was said (by whomever), NULL: none. */
const struct sessions_packet *sessions_said(const struct sessions *sessions, uint32_t author, uint32_t step);

uint32_t sessions_told(const struct sessions *sessions, uint32_t self, enum sl_session_news news, uint32_t member);       /* how often; SESSIONS_ANY: of all */
bool sessions_is_done(const struct sessions *sessions, uint32_t member);
uint64_t sessions_last_set(const struct sessions *sessions, uint32_t member);        /* who is in its sum; 0: not agreed */
bool sessions_sum_is_right(const struct sessions *sessions, uint32_t member);        /* bit for bit that of the inputs of sessions_last_set() */

/* Keys that only the test sees. */
void sessions_pair_seed(const struct sessions *sessions, uint32_t i, uint32_t j, uint8_t out[32]);
void sessions_box_keys(const struct sessions *sessions, uint32_t own, uint32_t peer, struct sl_box_keys *out);

/* Both shares that `dealer` sent to `receiver`, taken out of its box. False: it said none, or they are not to be read. */
bool sessions_shares(const struct sessions *sessions, uint32_t dealer, uint32_t receiver, uint8_t self_share[32], uint8_t mask_share[32]);

/* b of a member, joined from the shares that it dealt. */
bool sessions_self_seed(const struct sessions *sessions, uint32_t member, uint8_t out[32]);

#endif
