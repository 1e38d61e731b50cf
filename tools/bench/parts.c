/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include <time.h>

#include "privacy/mask.h"
#include "privacy/shamir.h"
#include "privacy/sketch.h"
#include "share/merkle.h"
#include "share/quantise.h"
#include "wire/envelope.h"

static double spent[PARTS], clock_ns;
static bool has_clocks;

static double now_ns(void)
{
    struct timespec t = {0};
    if (has_clocks) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Between two readings there lies one reading's time, which is nobody's. */
static double reading_ns(void)
{
    double best = 1e300;
    for (int i = 0; i < 1000; i++) {
        double begin = now_ns(), took = now_ns() - begin;
        if (took < best) best = took;
    }
    return best;
}

static void count(enum part part, double begin)
{
    spent[part] += now_ns() - begin - clock_ns;
}

void parts_begin(bool with_clocks)
{
    has_clocks = with_clocks;
    clock_ns = with_clocks ? reading_ns() : 0;
    for (int i = 0; i < PARTS; i++) spent[i] = 0;
}

double parts_ns(enum part part)
{
    return spent[part];
}

/* The linker calls __wrap_X() for X(), and X() for __real_X(). */
#define TIMED(part, name, parameters, arguments) \
    void __real_##name parameters; \
    void __wrap_##name parameters; \
    void __wrap_##name parameters \
    { \
        double begin = now_ns(); \
        __real_##name arguments; \
        count(part, begin); \
    }
#define TIMED_VALUE(part, type, name, parameters, arguments) \
    type __real_##name parameters; \
    type __wrap_##name parameters; \
    type __wrap_##name parameters \
    { \
        double begin = now_ns(); \
        type value = __real_##name arguments; \
        count(part, begin); \
        return value; \
    }

TIMED(PART_KEYS, sl_mask_keypair, (const uint8_t seed[32], uint8_t public_key[32], uint8_t secret_key[32]), (seed, public_key, secret_key))
TIMED(PART_KEYS, sl_mask_public, (const uint8_t secret_key[32], uint8_t public_key[32]), (secret_key, public_key))
TIMED_VALUE(PART_KEYS, int, sl_mask_pair_seed,
            (const struct sl_mask_context *context, const uint8_t own_public[32], const uint8_t own_secret[32], const uint8_t peer_public[32], uint8_t out[32]),
            (context, own_public, own_secret, peer_public, out))
TIMED_VALUE(PART_KEYS, int, sl_mask_box_keys,
            (const struct sl_mask_context *context, const uint8_t own_public[32], const uint8_t own_secret[32], const uint8_t peer_public[32],
             struct sl_box_keys *out),
            (context, own_public, own_secret, peer_public, out))
TIMED(PART_KEYS, sl_mask_hash, (enum sl_mask_secret what, const uint8_t cohort_id[32], const uint8_t secret[32], uint8_t out[32]),
      (what, cohort_id, secret, out))
TIMED(PART_KEYS, sl_mask_share_hash,
      (bool is_mask_share, const uint8_t cohort_id[32], uint32_t dealer, uint32_t receiver, const uint8_t share[32], uint8_t out[32]),
      (is_mask_share, cohort_id, dealer, receiver, share, out))
TIMED(PART_KEYS, sl_mask_seal, (const uint8_t key[32], const uint8_t cohort_id[32], const uint8_t self[32], const uint8_t mask[32], uint8_t *box),
      (key, cohort_id, self, mask, box))
TIMED_VALUE(PART_KEYS, int, sl_mask_unseal,
            (const uint8_t key[32], const uint8_t cohort_id[32], const uint8_t *box, uint8_t self[32], uint8_t mask[32]), (key, cohort_id, box, self, mask))
TIMED(PART_KEYS, sl_shamir_split, (const uint8_t secret[32], uint32_t threshold, uint32_t n, struct sl_rng *rng, uint8_t shares[][32]),
      (secret, threshold, n, rng, shares))
TIMED(PART_KEYS, sl_shamir_join, (uint32_t threshold, const uint32_t *indices, const uint8_t *const *shares, uint8_t out[32]),
      (threshold, indices, shares, out))

TIMED(PART_MASKS, sl_mask_add, (const uint8_t seed[32], int sign, uint32_t ring_bits, uint32_t start, uint32_t *ring, uint32_t n),
      (seed, sign, ring_bits, start, ring, n))

TIMED(PART_SKETCHES, sl_sketch_chunk, (struct sl_sketch *sketch, uint32_t number), (sketch, number))
TIMED(PART_SKETCHES, sl_sketch_add, (const struct sl_sketch *sketch, const uint32_t *values, uint32_t n_values, uint32_t *out),
      (sketch, values, n_values, out))

TIMED(PART_HASHES, sl_merkle_build, (struct sl_merkle *tree, const uint8_t *bytes, size_t size, size_t chunk_size), (tree, bytes, size, chunk_size))
TIMED_VALUE(PART_HASHES, bool, sl_merkle_verify,
            (const uint8_t root[32], size_t size, size_t chunk_size, uint32_t index, const uint8_t *chunk, size_t bytes, uint32_t n_path,
             uint8_t path[SL_MERKLE_DEPTH_MAX][32]),
            (root, size, chunk_size, index, chunk, bytes, n_path, path))
TIMED(PART_HASHES, sl_body_hash, (const uint8_t *body, size_t body_size, uint8_t out[32]), (body, body_size, out))

TIMED_VALUE(PART_SIGNING, size_t, sl_envelope_seal, (struct sl_writer *writer, enum sl_message_type type, const uint8_t sign_secret[64]),
            (writer, type, sign_secret))
TIMED_VALUE(PART_CHECKING, bool, sl_envelope_verify, (const struct sl_envelope *envelope, const uint8_t sign_public[32]), (envelope, sign_public))
TIMED_VALUE(PART_CHECKING, bool, sl_digest_verify, (const uint8_t digest[32], const uint8_t signature[64], const uint8_t sign_public[32]),
            (digest, signature, sign_public))

TIMED(PART_CODING, sl_ring_encode, (const float *v, uint32_t dim, int exponent, struct sl_rng *rng, uint32_t *z), (v, dim, exponent, rng, z))
TIMED(PART_CODING, sl_ring_pack, (const uint32_t *z, uint32_t dim, uint32_t ring_bits, uint8_t *bytes), (z, dim, ring_bits, bytes))
TIMED(PART_CODING, sl_ring_unpack, (const uint8_t *bytes, uint32_t dim, uint32_t ring_bits, uint32_t *z), (bytes, dim, ring_bits, z))
TIMED(PART_CODING, sl_mean_encode,
      (const uint8_t *ref, int ref_exponent, const uint32_t *sum, uint32_t n_members, int ring_exponent, uint32_t dim, uint32_t bits, uint8_t *bytes,
       int *exponent),
      (ref, ref_exponent, sum, n_members, ring_exponent, dim, bits, bytes, exponent))
