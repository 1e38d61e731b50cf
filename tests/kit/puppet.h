/* SPDX-License-Identifier: MIT */
#ifndef KIT_PUPPET_H
#define KIT_PUPPET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/core.h"
#include "sim/stub.h"
#include "starling/node.h"
#include "wire/message.h"

/*
 * One real core among puppets: peers with keys and certificates of their own that do and say only what a test makes them, honest or not. Time moves when the
 * test moves it. Unless told otherwise the stage answers the core's stores, jobs and dials at once.
 *
 *     struct stage *stage = stage_new(&(struct stage_options){.n_puppets = 5});
 *     stage_start(stage);
 *     stage_next_epoch(stage);
 */
enum { PUPPETS_MAX = 64, SENT_MAX = 4096, PUPPET_SELF = 1000 };

struct stage_options {
    uint32_t n_puppets;              /* identities that exist */
    uint32_t n_listed;               /* of those, on the core's prepared list; 0: all */
    bool lists_nobody;               /* the core has no prepared list */
    uint32_t n_seeds;                /* the first puppets are its seeds, by transport key and address */
    uint32_t dim;                    /* 0: 16 */
    uint64_t seed;
    const char *settings[16];         /* "key=value", up to the first NULL */
};

struct sent {                        /* a frame that the core sent */
    uint32_t to;                     /* puppet, or UINT32_MAX: to a link of nobody known */
    uint32_t link;
    uint64_t now_us;
    enum sl_message_type type;
    uint8_t *bytes;
    size_t size;
};

struct told { uint32_t n; struct sl_trace_event last; };

struct stage {
    struct stage_options options;
    struct sl_config config;
    uint8_t operator_secret[64];
    struct sl_identity self, puppets[PUPPETS_MAX];
    struct sl_peer peers[PUPPETS_MAX];
    struct sl_seed seeds[PUPPETS_MAX];
    struct sl_stub stub;
    struct sl_node *node;
    void *memory;
    uint32_t incarnation;
    uint64_t now_us, deadline_us;

    bool refuses[PUPPETS_MAX];       /* dials to this puppet are refused */
    bool ignores_dials;              /* no dial is answered */
    bool holds_stores, fails_stores, holds_jobs;
    uint32_t link[PUPPETS_MAX];      /* number of the open link; 0 none */

    uint64_t ticket;                 /* a store that waits, while stores are held */
    uint8_t *state;                  /* what was stored last */
    size_t state_size;
    uint8_t *book;                   /* and the book */
    size_t book_size;
    uint32_t n_books;
    uint8_t *ledger, *kept;          /* what private rounds left on disk: the ledger, and the release file */
    size_t ledger_size, kept_size;
    bool holds_rounds, fails_rounds; /* their stores are held until stage_finish_round(), or fail */
    struct sl_store round_store;     /* of these, the one under way; ticket 0 none. Its data is round_bytes */
    uint8_t *round_bytes;
    struct sl_job job;               /* the last one */
    uint32_t n_jobs;

    struct sent sent[SENT_MAX];
    uint32_t n_sent;
    struct told told[SL_TRACE_COUNT];
    struct sl_dial dials[256];
    uint32_t n_dials, n_hangups, hangups[256];

    struct sl_dial pending[256];     /* dials of the last step, to be answered */
    uint32_t n_pending;
    uint64_t pending_ticket, pending_book;
    bool pending_job;
    uint32_t next_inbound;
    void (*spoil)(struct stage *stage, uint8_t *bytes, size_t size);         /* may change a message on its way to the core; NULL: none */
    uint8_t out[SL_MESSAGE_MAX];     /* the message under construction */
};

struct stage *stage_new(const struct stage_options *options);
void stage_destroy(struct stage **stage);

void stage_reset(struct stage *stage);                               /* as after stage_new(), with the same identities */
void stage_start(struct stage *stage);                               /* from `state`, if there is any */
void stage_hush(struct stage *stage);                                /* no more rounds of membership: it dials and asks nobody without need */
void stage_restart(struct stage *stage);                             /* the process died; a new one starts from `state` */
void stage_run_to(struct stage *stage, uint64_t now_us);             /* ticks when the core asks for it; never back */
void stage_jump_to(struct stage *stage, uint64_t now_us);            /* one late tick */
void stage_to_phase(struct stage *stage, double fraction);           /* of the current epoch */
void stage_next_epoch(struct stage *stage);                          /* to its first moment: stored, training job out */
void stage_to_epoch_as(struct stage *stage, bool as_leader);         /* to the beginning of an epoch in which the core leads its group, or does not */
uint64_t stage_epoch(const struct stage *stage);
void stage_step(struct stage *stage, struct sl_event *event);
void stage_control(struct stage *stage, enum sl_control_verb verb, uint32_t puppet);
void stage_finish_job(struct stage *stage, int error);               /* the job that is held */
void stage_finish_round(struct stage *stage, int error);             /* the ledger's or the release file's store that is held */
void stage_finish_store(struct stage *stage, int error);             /* the store that is held */

/* Links. An inbound one gets a number of its own; connect does nothing if there is a link. */
uint32_t stage_inbound(struct stage *stage, const uint8_t transport_key[32]);
void stage_connect(struct stage *stage, uint32_t puppet);
void stage_connect_all(struct stage *stage);
void stage_change(struct stage *stage, uint32_t link, enum sl_link_change change, const uint8_t transport_key[32]);

/* Messages of a puppet: begin, write the body with sl_write_X(), then say (its own link) or seal (the bytes alone, in stage->out). */
struct sl_writer puppet_begin(struct stage *stage, uint32_t puppet, enum sl_message_type type, uint64_t epoch, const uint8_t cohort[32]);
size_t puppet_seal(struct stage *stage, uint32_t puppet, struct sl_writer *writer, enum sl_message_type type);
void puppet_say(struct stage *stage, uint32_t puppet, struct sl_writer *writer, enum sl_message_type type);
void puppet_deliver(struct stage *stage, uint32_t puppet, const uint8_t *bytes, size_t size);        /* over this puppet's link */
void stage_deliver(struct stage *stage, uint32_t link, const uint8_t *bytes, size_t size);

/* What a HELLO says, to be changed by a test before the puppet signs the ADVERT in it and writes the body. */
struct introduction { uint64_t time_us; struct sl_advert advert; };
struct introduction puppet_introduction(const struct stage *stage, uint32_t puppet);
void puppet_write_hello(const struct stage *stage, uint32_t puppet, struct sl_writer *writer, const struct introduction *said);
size_t puppet_advert(const struct stage *stage, uint32_t puppet, const struct sl_advert *advert, uint8_t out[1024]);

/* A certificate by an operator's secret. */
size_t stage_admit(const struct stage *stage, const uint8_t issuer_secret[64], const uint8_t subject[32], uint64_t expires_s,
                   uint8_t out[SL_PEER_CERTIFICATE_MAX]);

/* What the core did. */
void stage_forget(struct stage *stage);                              /* counts and frames start from zero */
uint32_t stage_count(const struct stage *stage, enum sl_message_type type);
uint32_t stage_count_to(const struct stage *stage, enum sl_message_type type, uint32_t puppet);
const struct sent *stage_last(const struct stage *stage, enum sl_message_type type);                 /* or NULL */
const struct sent *stage_last_to(const struct stage *stage, enum sl_message_type type, uint32_t puppet);
uint32_t stage_puppet(const struct stage *stage, const uint8_t id[32]);                              /* PUPPET_SELF for the core; UINT32_MAX unknown */
const struct sl_identity *stage_identity(const struct stage *stage, uint32_t puppet);                /* also PUPPET_SELF */
struct sl_status stage_status(const struct stage *stage);

#endif
