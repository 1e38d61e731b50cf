/* SPDX-License-Identifier: MIT */
#ifndef SL_TESTS_SESSION_WORLD_H
#define SL_TESTS_SESSION_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cohort/evidence.h"
#include "cohort/session.h"

/*
 * Three to six sessions of one cohort and everything that was ever said between them, for the fuzzer. Some of the members are liars: what their sessions say
 * may be changed and signed anew, and their secrets are known. Whatever they do, what is promised to the others is asserted after every step:
 * sets shrink and never change, each body is said once, nobody unmasks without t CONFIRMs, no member's two secrets can both be put together, nobody honest is
 * blamed, every accusation convinces, sums are right, and secrets are gone when a run ends.
 *
 * The start of a run is costly (keys), so the memory of the sessions just after sl_session_begin() is kept and put back for each input.
 */
enum { WORLD_MEMBERS_MAX = 6, WORLD_KINDS = 8, WORLD_PACKETS_MAX = 1500, WORLD_BYTES_MAX = 1 << 20, WORLD_DIM = 70, WORLD_EPOCH = 5 };

struct packet {                              /* one message to one member */
    uint32_t author, sender, to;             /* author: of the envelope; sender: whose session said it, or passed it on */
    enum sl_message_type type;
    size_t at, size;                         /* in world.bytes */
    bool is_waiting, is_true;                /* true: its author or somebody with its keys signed it */
    uint32_t delivered;                      /* bit i: member i got it */
};

struct world_member {
    struct sl_session *session;
    struct sl_session_member public_keys;
    uint8_t sign_secret[64], mask_secret[32], box_secret[32], pair_seed[32];     /* pair_seed: with the next member */
    uint8_t *block, *first_block;            /* the session's memory: now, and at the beginning */
    size_t block_size;
    uint64_t sets[4];                        /* V, Y, O, U as they were last seen */
    uint32_t wanted;                         /* bit i: wants the vector of member i */
    bool has_input, is_over;
};

struct world {
    uint32_t n, rows, ring_bits, liars;      /* liars: a bit each */
    uint8_t cohort[32], roster[8192];
    size_t roster_size;
    struct world_member members[WORLD_MEMBERS_MAX];
    struct packet packets[WORLD_PACKETS_MAX], first[WORLD_MEMBERS_MAX * WORLD_MEMBERS_MAX];      /* first: as they were at the beginning */
    uint32_t n_packets, n_first;
    uint8_t *bytes;
    size_t n_bytes, n_first_bytes;
};

/* The cohort of a kind (0 .. WORLD_KINDS - 1: its size, with an audit or not, the ring) at its beginning: own SHARES are out. */
struct world *world_begin(uint32_t kind, uint32_t liars);

bool world_is_liar(const struct world *world, uint32_t member);
const uint8_t *world_network(void);

/* A message is put on its way; a broadcast goes to all but the sender. */
void world_send(struct world *world, uint32_t author, uint32_t sender, uint32_t to, const uint8_t *bytes, size_t size, bool is_true);

/* A waiting packet says something else, which lies at `at` in world.bytes: it goes, and another comes in its place. */
void world_reword(struct world *world, uint32_t index, size_t at, size_t size, bool is_true);

/* One packet reaches a member, over the link of `via`; then everything is checked. */
void world_deliver(struct world *world, uint32_t index, uint32_t to, uint32_t via);
void world_moment(struct world *world, uint32_t member, enum sl_session_step step, enum sl_session_moment moment);
void world_input(struct world *world, uint32_t member, int32_t size);        /* numbers of about that size */
void world_refuse(struct world *world, uint32_t member, uint32_t reason);
void world_fetch(struct world *world, uint32_t member);                      /* the vectors it wants, where they are given */
void world_end(struct world *world, uint32_t member);

/* Every waiting packet and every vector, in order, until nothing moves. */
void world_settle(struct world *world);
void world_check(struct world *world);

#endif
