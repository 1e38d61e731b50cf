/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../tools/bench/members.h"
#include "base/hash.h"
#include "base/rng.h"
#include "vectors.h"

/* A cohort of four from its seeds to its sum. The last falls silent when it should commit, so that a mask secret must be joined as well. */

enum { N = 4, STAY = 3, DIM = 300, ROWS = 8, SEED = 7, NAMES = 32 };

static struct { char name[32]; uint8_t hash[32]; } heard[NAMES];
static uint32_t n_heard;

static void input(uint32_t member, uint32_t *z, uint32_t dim)
{
    for (uint32_t j = 0; j < dim; j++) z[j] = (31 * member + 17 * j) % 101 - 50;
}

static void name_of(const struct sl_envelope *envelope, uint32_t from, char *name, size_t size)
{
    static const char *const lists[SL_STEP_COUNT] = {
        [SL_STEP_LIST_SHARES] = "V", [SL_STEP_LIST_COMMIT] = "Y", [SL_STEP_LIST_OPEN] = "O", [SL_STEP_LIST_AUDIT] = "U",
    };
    struct sl_list list;
    if (envelope->type == SL_MESSAGE_LIST && sl_read_list(envelope, &list) == SL_OK && list.step < SL_STEP_COUNT && lists[list.step])
        snprintf(name, size, "LIST.%s", lists[list.step]);
    else snprintf(name, size, "%s.%u", sl_message_name(envelope->type), from);
}

/* Each signed message once: what is repeated for those who asked is the same. */
static void hear(void *context, uint32_t from, const uint8_t *bytes, size_t size)
{
    const uint8_t *network_id = context;
    struct sl_envelope envelope;
    char name[32];
    int error = sl_envelope_open(bytes, size, network_id, &envelope);
    assert(error == SL_OK);
    if (envelope.type == SL_MESSAGE_NEED) return;

    name_of(&envelope, from, name, sizeof name);
    for (uint32_t i = 0; i < n_heard; i++)
        if (strcmp(heard[i].name, name) == 0) return;
    assert(n_heard < NAMES);
    memcpy(heard[n_heard].name, name, sizeof name);
    sl_hash_once("message", bytes, size, heard[n_heard++].hash);
}

static void print_named(const char *what, uint32_t member, const void *bytes, size_t size)
{
    char name[48];
    snprintf(name, sizeof name, "cohort.%s.%u", what, member);
    vectors_print(name, bytes, size);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void print_secrets(void)
{
    for (uint32_t i = 0; i < N; i++) {
        uint8_t seed[32], drawn[2][32];
        struct sl_rng rng;
        members_seed(SEED, "session", i, seed);
        sl_rng_init(&rng, seed);
        sl_rng_bytes(&rng, drawn, sizeof drawn);
        print_named("self_seed", i, drawn[0], 32);
        print_named("nonce", i, drawn[1], 32);
    }
}

void vectors_cohort(void)
{
    uint8_t network_id[32];
    members_seed(SEED, "network", 0, network_id);
    const struct members_options options = {
        .n = N, .dim = DIM, .ring_bits = 32, .rows = ROWS, .seed = SEED, .silent_from = SL_STEP_COMMIT, .input = input, .heard = hear, .context = network_id,
    };
    struct members *members = members_new(&options);
    bool is_done = members && members_run(members);
    assert(is_done);
    vectors_title("A cohort of four, 300 coordinates in a ring of 32 bits, 8 rows, epoch 5, exponent 24, radius 8; member 3 is silent from COMMIT on.\n"
                  "# S(label, i) = BLAKE2b(label, 7, i), both numbers of eight bytes: S(\"network\", 0) and S(\"cohort\", 0) are the ids, S(\"sign\", i),\n"
                  "# S(\"mask\", i), S(\"box\", i) the seeds of a member's keys, S(\"session\", i) that of its generator. Element j of its vector is\n"
                  "# (31 i + 17 j) mod 101 - 50. Of messages: BLAKE2b(\"message\", all bytes).");
    print_secrets();
    qsort(heard, n_heard, sizeof heard[0], by_name);
    for (uint32_t i = 0; i < n_heard; i++) {
        char name[48];
        snprintf(name, sizeof name, "cohort.%s", heard[i].name);
        vectors_print(name, heard[i].hash, 32);
    }
    for (uint32_t i = 0; i < STAY; i++) print_named("root", i, sl_session_root(members_session(members, 0), i), 32);
    vectors_print_words("cohort.sum", sl_session_sum(members_session(members, 0)), DIM, 32);
    vectors_print("cohort.mean", members_mean(members, 0), DIM * MEMBERS_AGGREGATE_BITS / 8);
    members_destroy(&members);
}
