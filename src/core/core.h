/* SPDX-License-Identifier: MIT */
#ifndef SL_CORE_CORE_H
#define SL_CORE_CORE_H

/*
 * The inside of a node, shared by the files of this folder and by nobody else. Each file owns one part of struct sl_node and the functions
 * declared under its name here; a part is changed by its owner only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/rng.h"
#include "cohort/session.h"
#include "overlay/book.h"
#include "overlay/sampler.h"
#include "overlay/view.h"
#include "privacy/ledger.h"
#include "share/merkle.h"
#include "starling/node.h"
#include "wire/message.h"

enum {
    SENDS_MAX = 512, DIALS_MAX = 64, STORES_MAX = 4,      /* actions of one step; more are dropped, sends are best effort */
    HANGUPS_MAX = 1024 + DIALS_MAX + 8,      /* all of the largest link.max, those dialled in the step and refused ones: none may be dropped */
    PROPOSALS_MAX = 4,               /* acceptable PROPOSEs a candidate chooses from */
    HEARD_MAX = 16,                  /* identities whose PROPOSE was looked at; later ones of the epoch are passed over */
    PROPOSE_MAX = 3072, JOIN_MAX = 1024,
    ROSTER_MAX = 50176,              /* the frame of a ROSTER: it must fit into an AGGREGATE, with the PROPOSE and the signatures of 64 members */
    WAITING_MIN = 1408,              /* a message that may wait for its connection, */
    PROPOSE_BASE = 384, PROPOSE_EACH = 34,   /* a PROPOSE this much, and more for every candidate, */
    SHARES_BASE = 512, SHARES_EACH = 264,    /* a SHARES this much, and more for every member: 257 bytes and the envelope */
    DISTANCES_MAX = 24,              /* distances of past aggregates, for the sharing radius */
    DISTANCE_EPOCHS = 4,             /* older ones say nothing about today */
    OWN_SLOTS = SL_EPOCHS_KEPT,
    FETCH_TRIES_MAX = 12,
    QUOTA_MESSAGES = 512,            /* messages a peer may send per epoch; an honest one needs about 40 and one per 64 KiB of vectors */
    ADVERT_MAX = 1024, HELLO_MAX = 2048,
    BANS_MAX = 256,                  /* identities banned by hand; the oldest gives way */
    ADMITTED_MAX = 256,              /* certificates whose signatures were checked, by hash */
    PUSHES_MAX = 8,                  /* ADVERTs nobody asked for that may cost a signature check, per round, */
    PUSHES_OF_ONE_MAX = 2,           /* and of those from one peer */
    HELLOS_REPEATED_MAX = 3,         /* answers to a HELLO that comes again: the first may have been lost */
    EVIDENCE_MAX = 8,                /* proofs of one connection that are verified in an epoch */
    PARDONS_MAX = 32,                /* identities whose ban the operator lifted in this run */
    PULLS_ANSWERED_MAX = 8           /* VIEW_PULLs of one connection per epoch */
};

/* Deadlines by purpose: one absolute time each, SL_NEVER when idle. Handled in this order when several are due. */
enum deadline {
    DEADLINE_PROPOSE, DEADLINE_AGAIN, DEADLINE_ANSWER, DEADLINE_ROSTER,                              /* formation, either wave */
    DEADLINE_FORMED, DEADLINE_TRAIN, DEADLINE_MOMENT, DEADLINE_ASK,          /* MOMENT: the next of a cohort's moments, see cohort.c; ASK: early */
    DEADLINE_FETCH, DEADLINE_PULL, DEADLINE_MERGE, DEADLINE_LINKS, DEADLINE_ROUND, DEADLINE_EPOCH,
    DEADLINE_COUNT
};

/* ---- links.c: connections, the messages that wait for them, and what a peer may cost ---- */

enum link_state { LINK_FREE, LINK_DIALING, LINK_OPEN };

struct link {
    enum link_state state;
    uint32_t number;
    bool known;                      /* the id is proven: by HELLO, or by a transport key that was proven to be its own before */
    bool hello_sent, hello_heard;
    uint8_t id[32], key[32];         /* id: also of a dial whose peer has not proven itself yet; zero if nobody is expected */
    uint8_t sign_public[32];         /* by HELLO */
    uint64_t opened_us, used_us, heard_us;
    uint64_t ping_nonce, ping_us;    /* a PING under way; ping_us 0: none */
    uint64_t pulled_us;              /* a VIEW_PULL under way; 0: none */
    uint32_t n_answered, n_evidence; /* VIEW_PULLs answered and proofs verified, of this epoch */
    struct sl_view_pushes pushes;    /* of a peer that found no place in the view */
    bool has_told;                   /* its own ADVERT, in this epoch */
    uint32_t n_repeated;             /* HELLOs that were answered again */
    uint64_t told_s;                 /* when the own ADVERT was made that it has */
    struct sl_view_quota quota;      /* of a stranger; that of a known peer stands in the view, so that a new connection brings no new budget */
    uint64_t type_bytes_sent[SL_PEER_TYPES_MAX], type_bytes_received[SL_PEER_TYPES_MAX];
};

struct waiting { bool used; uint64_t epoch; uint8_t id[32]; uint32_t size; uint8_t *bytes; };        /* links.waiting_size bytes */

struct contact {                     /* how to reach somebody */
    const uint8_t *id, *transport_public;
    const char *address;
};

struct links {
    struct link *all;
    struct waiting *waiting;
    uint32_t n_max, n_waiting_max, waiting_size, next_number;
};

/* ---- advert.c: what identities say of themselves, and who is admitted; membership.c: whom to look for ---- */

/* An ADVERT taken apart; pointers lead into its bytes. */
struct opened_advert {
    struct sl_envelope envelope;
    struct sl_advert body;
    struct sl_descriptor descriptor;
};

/* The ADVERT of an identity that said HELLO to us: only these are passed on. */
struct relay {
    uint8_t id[32];
    uint64_t sequence, quiet_until;          /* quiet_until: the epoch from which it may be announced again */
    uint32_t size;
    bool verified;
    uint8_t bytes[ADVERT_MAX];
};

/* Whose an invite, or a member's place for one, is: the first who shows it has it. Both are hashes, cut. */
struct claim {
    uint8_t what[16], whose[16];
    uint8_t shown_by[32];            /* the identity that showed it last: while we know it, the claim must not be forgotten */
    uint64_t expires_s;              /* with the invite, then it admits nobody any more */
};

struct admitted { uint8_t hash[32], host_id[32]; uint64_t expires_s; };          /* hash: of identity and certificate */

struct seed_state { uint64_t next_us; uint32_t failures, link; bool answered; };

enum { SEEDS_MAX = 16 };

struct membership {
    struct sl_book book;
    struct sl_sampler sampler;
    struct relay *relays;
    struct claim *claims;
    uint32_t n_relays, n_relays_max, n_claims, n_claims_max, next_claim;
    struct admitted *admitted;               /* ADMITTED_MAX, by hash */
    uint8_t (*banned)[32];                   /* BANS_MAX */
    uint32_t n_banned;
    uint8_t pardoned[PARDONS_MAX][32];
    uint32_t n_pardoned;
    uint8_t advert[ADVERT_MAX];              /* our own */
    uint32_t advert_size;
    uint64_t advert_made_s, expires_s;       /* expires_s: of our own certificate; 0 unknown */
    uint64_t advert_records;                 /* of the ledger, as it says */
    struct seed_state seeds[SEEDS_MAX];
    struct sl_rng rng;
    uint64_t next_round_us, started_us;
    uint64_t round;                          /* counted */
    uint32_t n_pushes, n_announced;          /* of this round */
    uint32_t n_quiet;                        /* VIEWs in a row that brought nobody new */
    bool is_learning;                        /* the last VIEW was full of strangers: we do not know the network yet */
    bool wants_room;                         /* somebody found the view full while the dead hold places in it */
    uint64_t outsider_epoch;                 /* when we last heard of somebody who is not in the view */
    uint64_t first_epoch, hurry_epoch;       /* of this run; until this epoch we look for peers in a hurry */
    uint64_t cohort_epoch;                   /* of the last roster */
    uint32_t n_live[2];                      /* one and two epochs ago */
    bool is_book_changed;
    uint64_t book_saved_us;
};

/* ---- transfer.c: vectors in chunks, asked for one by one ---- */

enum fetch_kind { FETCH_FREE, FETCH_REFERENCE, FETCH_VECTOR, FETCH_AGGREGATE };

struct fetch {
    enum fetch_kind kind;
    uint32_t index;                  /* roster member or pulled slot */
    uint8_t peer[32], root[32];
    uint8_t *to;
    size_t size, chunk_size;
    uint32_t n_chunks, tries;
    uint64_t got, asked, asked_us;   /* bit per chunk */
};

/* ---- formation.c: from no cohort to a roster ---- */

enum formation_state { FORMATION_IDLE, FORMATION_FREE, FORMATION_PROPOSED, FORMATION_JOINED, FORMATION_DONE };

struct proposal { uint8_t from[32], hash[32]; uint64_t lot; bool tried; uint32_t size; uint8_t bytes[PROPOSE_MAX]; };      /* tried: answered once */

struct answer { bool here; uint32_t size; uint8_t bytes[JOIN_MAX]; };

struct formation {
    enum formation_state state;
    uint32_t wave, joined_wave;                      /* 1 or 2; 0 before. The one in which a PROPOSE was answered last: its ROSTER may come later */
    bool proposed;                                   /* this epoch, either wave */
    uint8_t proposed_hash[32];                       /* of that PROPOSE */
    uint32_t n_proposals, n_heard;
    struct proposal proposals[PROPOSALS_MAX];        /* as a candidate, in this wave */
    uint8_t heard[HEARD_MAX][32];            /* initiators of both waves: one PROPOSE each */
    struct proposal own;                             /* as an initiator, or the one that was joined */
    uint32_t n_candidates, n_group;                  /* as an initiator; the first n_group candidates are the own group */
    uint32_t n_candidates_max;
    struct contact *candidates;                      /* n_candidates_max each; contacts point into the view */
    int32_t *offsets;                                /* places of the candidates on the ring, from this node */
    struct answer *answers;
    struct answer join;                              /* the own JOIN */
    uint8_t mask_public[32], mask_secret[32], box_public[32], box_secret[32];
};

/* ---- cohort.c: from a roster to an aggregate, by way of a session (cohort/session.h) ---- */

enum cohort_state { COHORT_NONE, COHORT_RUNNING, COHORT_DONE, COHORT_VOID };         /* where in its course: sl_session_state() */

enum refusal { REFUSAL_REFERENCE = 1, REFUSAL_LEAVING, REFUSAL_TRAINING, REFUSAL_REFERENCE_LATE };       /* words in base/trace.c */

struct member {                      /* at its place in the roster, which is also its index in the session */
    uint8_t id[32], sign_public[32], transport_public[32], mask_public[32], box_public[32];
    char address[SL_ADDRESS_MAX];
    bool tree_ready, was_lost;       /* was_lost: silent when it was needed, or a liar */
    struct sl_merkle tree;           /* of its masked vector, when somebody asked for it */
};

struct cohort {
    enum cohort_state state;
    uint64_t epoch;
    uint8_t id[32];
    uint32_t n_members, own, initiator, rows;
    struct member *members;          /* cohort.max_size */
    struct proposal propose;
    uint8_t *roster;                 /* the whole message */
    uint32_t roster_size, roster_max;
    double radius;                   /* in the measure of the weights */
    uint32_t radius_q;
    int ring_exponent, ref_exponent; /* ring_exponent: of the weights */
    uint64_t sigma2;                 /* unit node: variance of a share of the noise, where the clip norm is 2^20; 0 elsewhere */
    bool ref_here, has_given;        /* has_given: the session has our input, or our refusal */
    bool has_begun;                  /* unit node: our private round */
    uint8_t *ref;                    /* 2 k bytes */
    struct sl_merkle ref_tree;
    enum sl_session_state asked_state;       /* for which the early question is set */
    uint32_t next_moment;            /* number of the moment that DEADLINE_MOMENT waits for */
    struct sl_session *session;
    uint64_t n_evidence;             /* proofs made by this node, ever */
};

/* ---- liveness.c: whom cohorts lost ---- */

enum { LIVENESS_MAX = 128 };

struct liveness_record { uint8_t id[32]; double lost; uint32_t wait; uint64_t until; };      /* lost: moving average; until: left alone up to this epoch */

struct liveness { struct liveness_record all[LIVENESS_MAX]; uint32_t n; };

/* ---- pull.c: aggregates held, served and fetched ---- */

struct aggregate {
    bool used, complete, tree_ready;
    uint64_t epoch;
    uint8_t cohort[32], root[32];
    uint32_t n_members, n_values, n_roster;
    uint8_t (*members)[32];          /* whose sum it is: U; cohort.max_size */
    uint8_t (*roster)[32];           /* all who could have been in it; as many */
    uint32_t bits;
    int exponent;
    double radius;                   /* that its members shared within */
    uint8_t *body;                   /* of the AGGREGATE message */
    uint32_t body_size, body_max;
    uint8_t *bytes;                  /* canonical encoding, k * bits / 8 */
    struct sl_merkle tree;
};

enum pull_state { PULL_IDLE, PULL_ASKED, PULL_FETCHING, PULL_COMPLETE };

struct pull { enum pull_state state; uint8_t member[32]; uint32_t tries; uint64_t asked_us; };

enum { PULLS_MAX = 16, DRAWS_PER_PULL = 3 };         /* identities asked in vain cost little, but not nothing */

struct pulls {
    bool active;
    struct aggregate *slots;         /* OWN_SLOTS own ones by epoch mod OWN_SLOTS, then one per pull */
    struct pull all[PULLS_MAX];
    uint8_t (*drawn)[32];            /* identities that are not drawn any more: asked already, or in an aggregate that counts */
    uint32_t n_drawn, n_drawn_max, n_asked;
};

/* ---- budget.c: private rounds, and what stands in the ledger of them ---- */

enum round_step {
    ROUND_IDLE,                      /* no store and no job of a round is under way */
    ROUND_OPENING,                   /* a record that belongs to no round of this run: OPEN, LOWER, or the RELEASE that was missing at the start */
    ROUND_CHARGING, ROUND_TRAINING,
    ROUND_KEEPING,                   /* unit record: its output goes to the release file */
    ROUND_RELEASING
};

struct budget {
    struct sl_ledger ledger;         /* what is durable */
    struct sl_limits limits;         /* of the configuration; those in force stand in the ledger */
    enum round_step step;
    uint64_t ticket;                 /* of the store under way */
    uint8_t record[SL_LEDGER_RECORD];        /* under way; taken into the ledger when it is durable */
    uint64_t wanted_epoch;           /* a round is to begin as soon as the step is IDLE, in this epoch only */
    uint64_t round, wasted_round;    /* last one charged in this run, and last one counted as wasted: epochs, 0 none */
    uint8_t output[32];              /* hash of the output under way */
    bool is_recovered;               /* an output of the run before waits for its RELEASE, in `work` */
    bool is_spent, is_blocked, has_told;     /* has_told: that it is spent */
    const char *why;                 /* it is blocked */
    uint64_t merged;                 /* CHARGEs whose output is in `weights`: sequence number of the last one + 1; stands in the state */
};

/* |mean_K - anchor| * sqrt(|U|) of a past aggregate. */
struct distance { double value; uint64_t epoch; };

struct sl_node {
    size_t size;                     /* of the whole block */
    struct sl_config config;
    const struct sl_model *model;
    const struct sl_identity *self;
    uint32_t dim, k, n_block;        /* n_block: coordinates of the current epoch */
    uint32_t *block;                 /* their indices, ascending */

    uint64_t now_us, epoch, first_epoch, saved_epoch;
    bool started, stopped, acting;   /* acting: the epoch number is durable and we may speak in it */
    uint64_t deadlines[DEADLINE_COUNT];
    struct sl_rng draw, keys, rounding, seeds;

    enum sl_unit unit;
    float *weights, *work, *anchor;  /* merged model; copy lent to the trainer; public anchor */
    int32_t *release;                /* unit node: the noised delta of this epoch, n_block of k integers; public in the sense of DP once `trained` */
    uint32_t *lent_block, n_lent;    /* unit node: the block as it was lent to the job */
    uint32_t job;                    /* number of the job under way, 0 none */
    uint32_t last_job;
    bool trained, spent;             /* work holds this epoch's training result; it was committed */
    uint64_t next_ticket, epoch_ticket;

    struct distance distances[DISTANCES_MAX];        /* oldest first */
    uint32_t n_distances;
    uint64_t last_merge_epoch, anchor_epoch;         /* anchor_epoch: when the anchor moved last since START; 0 not yet */
    bool told_stalled;               /* since the last merge */
    int64_t clock_off_s;
    uint32_t clock_peers;            /* how many peers say so; 0: our clock is fine */

    struct sl_view view;
    struct links links;
    struct membership members;
    struct formation formation;
    struct cohort cohort;
    struct liveness liveness;
    struct pulls pulls;
    struct budget budget;
    struct fetch fetches[SL_COHORT_MAX + PULLS_MAX];

    struct sl_arena scratch, out;    /* computation inside a step; bytes of actions */
    struct sl_store stores[STORES_MAX];
    struct sl_dial dials[DIALS_MAX];
    struct sl_send sends[SENDS_MAX];
    uint32_t hangups[HANGUPS_MAX];
    struct sl_actions actions;
    struct sl_status counters;       /* the counting fields only */
};

/* node.c */
void node_trace(struct sl_node *node, enum sl_trace_type type, const uint8_t *peer, int64_t a, int64_t b, int error);
bool node_has_left(const struct sl_node *node);         /* told to leave: it takes part no more */
uint64_t node_phase(const struct sl_node *node, double fraction);       /* absolute time in the current epoch */
void node_gather(const struct sl_node *node, const float *from, float *to);      /* the coordinates of the current block */
void node_store(struct sl_node *node, enum sl_store_type type, const uint8_t *data, size_t size, uint64_t *ticket);
void node_refuse(struct sl_node *node, const struct link *link, int error);      /* a message that is not what it should be */
bool node_verify(struct sl_node *node, const struct sl_envelope *envelope, const uint8_t sign_public[32]);      /* counts */
/* Builds a message in the out arena. Returns its bytes, or NULL when the arena is full. Between begin and seal the caller writes the body. */
struct sl_writer node_begin(struct sl_node *node, enum sl_message_type type, uint64_t epoch, const uint8_t cohort[32], size_t size_max);
const uint8_t *node_seal(struct sl_node *node, struct sl_writer *writer, enum sl_message_type type, size_t *size);

/* links.c */
bool links_init(struct sl_node *node, struct sl_arena *arena);
void links_on_change(struct sl_node *node, const struct sl_event *event);
struct link *links_find(struct sl_node *node, uint32_t number);
struct link *links_to(struct sl_node *node, const uint8_t id[32]);      /* an open one, or NULL */
void links_send(struct sl_node *node, struct link *link, const uint8_t *bytes, size_t size);
void links_send_to(struct sl_node *node, const struct contact *to, const uint8_t *bytes, size_t size);
void links_on_hello(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
bool links_take_quota(struct sl_node *node, struct link *link);
void links_close(struct sl_node *node, struct link *link);
void links_close_all(struct sl_node *node);
void links_close_banned(struct sl_node *node);
void links_on_epoch(struct sl_node *node);
const char *advert_proven_address(const struct sl_node *node, const uint8_t id[32]);      /* at which it answered a dial; empty: none */
void links_check_clock(struct sl_node *node);                                   /* is it us whose clock is wrong? */
void links_greet_again(struct sl_node *node);                                   /* those who have not answered our HELLO */
void links_dial(struct sl_node *node, const struct contact *to);                /* nothing if there is a connection, or one under way */
uint32_t links_dial_seed(struct sl_node *node, const struct sl_seed *seed);     /* number of the link; 0: not now */
struct link *links_to_key(struct sl_node *node, const uint8_t transport_public[32]);     /* open and known, or NULL */
uint32_t links_count_known(const struct sl_node *node);                         /* open ones */
bool links_is_inbound(const struct link *link);
struct contact contact_of(const struct sl_view_peer *peer);
bool links_contact(struct sl_node *node, const uint8_t id[32], struct contact *out);     /* by the view, or by an open link; false: unknown */

/* advert.c */
bool advert_init(struct sl_node *node, struct sl_arena *arena);
void advert_admit_prepared(struct sl_node *node, const struct sl_peer *peer);   /* what its certificate says, unverified: the operator's list vouches for it */
const uint8_t *advert_own(struct sl_node *node, size_t *size);                  /* made anew when it grows old */
/* Checks everything but its signature and its times. */
int advert_open(const struct sl_node *node, const uint8_t *bytes, size_t size, struct opened_advert *out);
/* An ADVERT that somebody passed on. SL_OK also when it is nothing new, *is_news says. SL_ERROR_*: why it was not taken. */
int advert_take(struct sl_node *node, const uint8_t *bytes, size_t size, const char *source, bool *is_news);
/* That of a HELLO, which proves it and the transport key: into view, book and relays. */
bool advert_take_own(struct sl_node *node, struct link *link, struct opened_advert *advert);      /* true: we hold one by which it knew more of its ledger, */
void advert_remind(struct sl_node *node, struct link *link);                    /* which it gets back */
int certificate_check(struct sl_node *node, const uint8_t id[32], const uint8_t *certificate, size_t size);
void certificate_describe(const struct sl_node *node, const uint8_t *certificate, size_t size, struct sl_descriptor *out);      /* expiry and host */
uint64_t certificate_expiry(const struct sl_node *node, const uint8_t *certificate, size_t size);      /* unix seconds; of one that was checked */
bool advert_is_listed(const struct sl_node *node, const uint8_t id[32]);         /* as banned, itself */
bool advert_is_banned(const struct sl_node *node, const uint8_t id[32]);         /* itself, or the host that invited it */
void advert_ban(struct sl_node *node, const uint8_t id[32]);
void advert_unban(struct sl_node *node, const uint8_t id[32]);
void advert_mark_banned(struct sl_node *node);                                  /* in the view */
void advert_forget(struct sl_node *node, const uint8_t id[32]);                 /* from relays, book and sampler */
bool advert_claim(struct sl_node *node, const struct claim *claim);             /* from a book file; false: no room */
/* n ADVERTs for `link`, at random; returns how many. They point into the relays. */
uint32_t advert_choose(struct sl_node *node, const struct link *link, uint32_t n, struct sl_view_adverts *out);

/* rollback.c: a privacy ledger that was set back */
void rollback_state(const struct sl_node *node, struct sl_advert *out);          /* what our ADVERT says of privacy */
bool rollback_knows_better(const struct sl_advert *a, const struct sl_advert *b);        /* does a know more of a ledger than b, or another end of it? */
int rollback_heed(struct sl_node *node, const struct opened_advert *own);        /* our own, as somebody else holds it. SL_ERROR_BAD_SIGNATURE */

/* membership.c */
void membership_start(struct sl_node *node);
void membership_on_epoch(struct sl_node *node);          /* before the ring is laid: peers come and go here */
void membership_on_round(struct sl_node *node);
void membership_on_introduced(struct sl_node *node, struct link *link, bool is_new);     /* it said a valid HELLO */
void membership_on_alive(struct sl_node *node, struct sl_view_peer *peer);                 /* heard of */
void membership_on_advert(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void membership_on_view_pull(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void membership_on_view(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void membership_on_ping(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
bool membership_is_young(const struct sl_node *node);
uint32_t membership_count_seeds(const struct sl_node *node);     /* that answer */

/* turnover.c */
void turnover(struct sl_node *node);                     /* when an epoch begins, before the ring is laid */

/* bookfile.c */
size_t book_size_max(const struct sl_node *node);
size_t book_write(struct sl_node *node, uint8_t *bytes);                         /* at most book_size_max() */
int book_read(struct sl_node *node, const uint8_t *bytes, size_t size);         /* SL_ERROR_FORMAT, _WRONG_NETWORK: then nothing was taken */
bool book_is_due(const struct sl_node *node);
void book_save(struct sl_node *node);                    /* PUT_BOOK */

/* transfer.c */
void transfer_reset(struct sl_node *node, enum fetch_kind kind);
void transfer_cancel(struct sl_node *node, enum fetch_kind kind, uint32_t index);
void transfer_fetch(struct sl_node *node, enum fetch_kind kind, uint32_t index, const uint8_t peer[32], const uint8_t root[32],
                    uint8_t *to, size_t size, uint32_t element_size);
void transfer_on_get(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void transfer_on_chunk(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void transfer_on_deadline(struct sl_node *node);

/* state.c */
size_t state_size(const struct sl_node *node);
void state_write(const struct sl_node *node, uint8_t *bytes);
int state_read(struct sl_node *node, const uint8_t *bytes, size_t size);

/* epoch.c */
void epoch_begin(struct sl_node *node, uint64_t epoch);
void epoch_on_stored(struct sl_node *node, uint64_t ticket, int error);
void epoch_on_done(struct sl_node *node, const struct sl_job_result *result);
void epoch_on_train_deadline(struct sl_node *node);
void epoch_on_merge(struct sl_node *node);
double epoch_radius(const struct sl_node *node);         /* sharing radius by our own estimate */
bool epoch_is_experienced(const struct sl_node *node);   /* has it seen an aggregate lately? */
double epoch_reference_slack(const struct sl_node *node);        /* how far a reference may lie from our anchor; infinite without experience */
size_t epoch_merge_scratch(const struct sl_node *node);

/* budget.c */
bool budget_is_private(const struct sl_node *node);      /* the unit is not off */
void budget_start(struct sl_node *node, const struct sl_event *event);
bool budget_may_train(const struct sl_node *node);       /* is there a round left, and a ledger to write it to? Without a unit always */
void budget_begin(struct sl_node *node);                 /* charges a round of this epoch and trains; cohort_on_trained() or cohort_on_untrained() follows */
bool budget_is_under_way(const struct sl_node *node);    /* a round of this epoch was begun, and whether it succeeds is open */
bool budget_on_stored(struct sl_node *node, uint64_t ticket, int error);        /* false: not a store of this file */
void budget_on_done(struct sl_node *node, const struct sl_job_result *result);   /* the job of a round */
void budget_end(struct sl_node *node);                   /* the epoch is over, the cohort still there */
void budget_on_wasted(struct sl_node *node);             /* a charged round gave no aggregate; once per epoch */
void budget_block(struct sl_node *node, const char *why, int error);             /* no round from now on; `why` stays */
void budget_tell(struct sl_node *node);                  /* if it is spent, once */
const char *budget_reason(const struct sl_node *node);   /* why it learns no more; NULL: it does */

/* formation.c */
uint32_t formation_candidates(const struct sl_config *config);   /* that a PROPOSE names at most */
bool formation_init(struct sl_node *node, struct sl_arena *arena);
void formation_begin(struct sl_node *node);
void formation_end(struct sl_node *node);
void formation_on_deadline(struct sl_node *node, enum deadline purpose);
void formation_on_propose(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void formation_on_join(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void formation_on_roster(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void formation_on_released(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);

/* group.c: the groups that every node with a covering view cuts alike */
struct group { uint32_t first, last; };                  /* places on the ring */
uint64_t group_lot(uint64_t position);                   /* public, one per identity and epoch */
bool group_is_known(const struct sl_node *node);         /* does the view cover the network, as far as we know? */
struct group group_own(const struct sl_node *node);
uint32_t group_leader(const struct sl_node *node, struct group group);       /* the place with the lowest lot */
bool group_is_led_by(const struct sl_node *node, const uint8_t id[32]);      /* our group; never true of ourselves */
bool group_is_invited(const struct sl_node *node, const struct sl_propose *propose, const uint8_t from[32]);
uint32_t group_window(const struct sl_node *node);        /* places within which partners must lie */
bool group_is_taken(struct sl_node *node);               /* by the roster in node->cohort */

/* roster.c */
/* Checks a ROSTER message for the PROPOSE and own JOIN in node->formation and fills node->cohort from it. verified: the JOINs were checked
 * on arrival. SL_ERROR_* of the first thing that is wrong. */
int roster_accept(struct sl_node *node, const struct sl_envelope *envelope, bool verified);
/* Takes a JOIN for this PROPOSE apart; with `verify` also its signature and certificate. */
int join_open(struct sl_node *node, const uint8_t *bytes, size_t size, const uint8_t propose_hash[32], bool verify, struct sl_envelope *envelope,
              struct sl_join *out);
/* May these two sit in one cohort: does neither refuse the other, and are all their keys distinct? A place is the number of the candidate, n_candidates for
 * the initiator. */
bool joins_suit(const struct sl_join *a, uint32_t place_a, const struct sl_join *b, uint32_t place_b);
bool proposal_open(const struct sl_node *node, const struct proposal *proposal, struct sl_propose *out);
/* Number of an id among the candidates; n_candidates for the initiator, which is none of them; UINT32_MAX for a stranger. */
uint32_t proposal_place(const struct sl_propose *propose, const uint8_t initiator[32], const uint8_t id[32]);

/* privacy.c: what cohorts and their members owe one another in each unit of privacy */
enum privacy_term { TERMS_AGREE, TERM_UNIT, TERM_CLIP, TERM_NOISE, TERM_RING };      /* in which a PROPOSE differs from our options; words: base/trace.c */
void privacy_state(const struct sl_node *node, struct sl_propose *out);         /* into our PROPOSE: unit, clip_bits, sigma2 and in unit node radius_q */
enum privacy_term privacy_compare(const struct sl_node *node, const struct sl_propose *propose);
bool privacy_allows(const struct sl_node *node, uint32_t n_members);            /* so many in a roster */
bool privacy_fits_ring(const struct sl_node *node);                             /* may honest sketches of a cohort wrap? */
double privacy_radius(const struct sl_propose *propose);                        /* that a cohort shares within, in the measure of the weights */
int privacy_ring_exponent(const struct sl_propose *propose, uint32_t n_members); /* of the weights in the ring */
double privacy_farthest(const struct sl_node *node, uint32_t n_members);        /* unit node: how far the mean of an honest cohort may lie from its reference */

/* cohort.c */
bool cohort_init(struct sl_node *node, struct sl_arena *arena, struct sl_rng rng);
void cohort_start(struct sl_node *node);                 /* node->cohort was filled by roster_accept() */
void cohort_end(struct sl_node *node);
void cohort_leave(struct sl_node *node);                 /* contributes nothing, and goes on helping */
struct member *cohort_find(struct sl_node *node, const uint8_t id[32]);      /* a member of the current cohort, or NULL */
struct contact contact_of_member(const struct member *member);
void cohort_on_trained(struct sl_node *node);
void cohort_on_untrained(struct sl_node *node);          /* no result will come in time */
void cohort_on_fetched(struct sl_node *node, enum fetch_kind kind, uint32_t index);
void cohort_on_message(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void cohort_on_moment(struct sl_node *node);
void cohort_on_ask(struct sl_node *node);
uint32_t cohort_vector_size(const struct sl_node *node);         /* of a masked vector on the wire, in bytes */

/* liveness.c */
void liveness_on_run(struct sl_node *node);              /* the run in node->cohort is over */
bool liveness_avoids(const struct sl_node *node, const uint8_t id[32]);

/* contribution.c */
bool contribution_is_near(struct sl_node *node);         /* is the reference near our own anchor? */
void contribution_make(struct sl_node *node, uint32_t *z);       /* clips and encodes this epoch's training result: n_block elements */
bool contribution_aggregate(struct sl_node *node, const uint32_t *sum, uint64_t members, struct sl_result *out);     /* the mean, into the own slot */

/* evidence.c */
void evidence_accuse(struct sl_node *node, const uint8_t id[32], const uint8_t *body, size_t size);      /* a proof that we made */
struct sl_span { const uint8_t *bytes; size_t size; };
/* Two messages of one author where there must be one; nothing if they are the same. `link` brought the second, and pays for the verification. */
void evidence_contradiction(struct sl_node *node, struct link *link, const uint8_t sign_public[32], const struct sl_span *first, const struct sl_span *second);
void evidence_on_message(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void evidence_pardon(struct sl_node *node, const uint8_t id[32]);

/* pull.c */
bool pull_init(struct sl_node *node, struct sl_arena *arena);
void pull_begin(struct sl_node *node);
void pull_end(struct sl_node *node);
void pull_on_deadline(struct sl_node *node);
void pull_on_request(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void pull_on_none(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void pull_on_aggregate(struct sl_node *node, struct link *link, const struct sl_envelope *envelope);
void pull_on_fetched(struct sl_node *node, uint32_t index);
void pull_on_unreachable(struct sl_node *node, const uint8_t id[32]);
struct aggregate *pull_own_slot(struct sl_node *node, uint64_t epoch);
struct aggregate *pull_slot(struct sl_node *node, uint32_t index);       /* of a pull */

#endif
