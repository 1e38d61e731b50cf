/* SPDX-License-Identifier: MIT */
#ifndef BENCH_MEMBERS_H
#define BENCH_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "cohort/session.h"

/*
 * The members of one cohort side by side in one thread: their sessions, their vectors, and messages that arrive in the order they were sent. Everything is
 * drawn from one seed. For measuring, and for printing a run.
 */
struct members_options {
    uint32_t n, dim, ring_bits, rows, seed;
    void (*input)(uint32_t member, uint32_t *z, uint32_t dim);       /* gives ring vectors; NULL: drawn inside the radius, and encoded */
    uint32_t silent_from;                    /* member n - 1 says nothing from this step on (enum sl_session_step); 0: all stay */
    void (*heard)(void *context, uint32_t from, const uint8_t *bytes, size_t size);      /* every message that is sent, once; may be NULL */
    void *context;
};

struct members_cost {                        /* of one member */
    double ns;                               /* of CPU: its session, its input's encoding, checking vectors, encoding the mean */
    uint32_t n_made, n_checked;              /* signatures */
    uint64_t message_bytes, vector_bytes;    /* sent */
};

struct members;

struct members *members_new(const struct members_options *options);
bool members_run(struct members *members);               /* true if all that stay are done; else it says on stderr who stands where */
void members_destroy(struct members **members);

const struct members_cost *members_cost(const struct members *members, uint32_t member);
struct sl_session *members_session(const struct members *members, uint32_t member);
const uint8_t *members_mean(const struct members *members, uint32_t member);              /* as it encoded the sum, MEMBERS_AGGREGATE_BITS a coordinate */

/* From the seed: 32 bytes that a label and a member name. "sign", "mask", "box" lead to a member's keys, "session", "input", "rounding" to its generators,
 * "network" and "cohort" of member 0 are the ids. */
void members_seed(uint32_t seed, const char *label, uint32_t member, uint8_t out[32]);

double members_cpu_ns(void);              /* of this thread */

enum { MEMBERS_EPOCH = 5, MEMBERS_RADIUS_Q = 8 * 65536, MEMBERS_REF_EXPONENT = 10, MEMBERS_AGGREGATE_BITS = 16 };

#endif
