/* SPDX-License-Identifier: MIT */
#include <sodium.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/dataset.h"
#include "learn/models.h"
#include "members.h"
#include "parts.h"
#include "privacy/mask.h"
#include "privacy/shamir.h"
#include "privacy/sketch.h"
#include "share/merkle.h"
#include "share/quantise.h"
#include "train/sgd.h"

void openblas_set_num_threads(int n_threads);        /* OpenBLAS's own; its header is not part of every distribution */

/* What a cohort costs in CPU: first its parts, each the best of several runs on one thread, then whole members. */

enum { DIM = 50890, VECTORS = 9, KEYS = 64 };

static uint32_t ring[DIM];
static uint8_t packed[4 * DIM];
static struct sl_sketch sketch;
static volatile uint8_t sink;            /* keeps the compiler from leaving work out */

static double best_ns(void (*work)(uint32_t argument), uint32_t argument)
{
    enum { RUNS = 40 };
    double best = 1e300;
    for (int run = 0; run < RUNS; run++) {
        double begin = members_cpu_ns();
        work(argument);
        double took = members_cpu_ns() - begin;
        if (took < best) best = took;
    }
    return best;
}

static void stream(uint32_t bits)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES], key[32] = {1};
    crypto_stream_chacha20(packed, DIM * (size_t)bits / 8, nonce, key);
}

static void mask(uint32_t bits)
{
    static const uint8_t seed[32] = {1};
    sl_mask_add(seed, 1, bits, 0, ring, DIM);
}

static void sketch_vectors(uint32_t rows)
{
    static const uint8_t key[32] = {2};
    static uint32_t out[VECTORS][SL_SKETCH_ROWS_MAX];
    sl_sketch_init(&sketch, key, rows);
    for (uint32_t start = 0; start < DIM; start += SL_SKETCH_CHUNK) {
        uint32_t left = DIM - start, n = left < SL_SKETCH_CHUNK ? left : SL_SKETCH_CHUNK;
        sl_sketch_chunk(&sketch, start / SL_SKETCH_CHUNK);
        for (int v = 0; v < VECTORS; v++) sl_sketch_add(&sketch, ring + start, n, out[v]);
    }
    sink ^= (uint8_t)out[0][0];
}

static void split(uint32_t n)
{
    static uint8_t shares[SL_SHAMIR_MAX][32];
    static const uint8_t secret[32] = {3};
    struct sl_rng rng;
    sl_rng_init(&rng, secret);
    for (int i = 0; i < KEYS; i++) sl_shamir_split(secret, (4 * n + 2) / 5, n, &rng, shares);
    sink ^= shares[0][0];
}

static void join(uint32_t n)
{
    static uint8_t share[32] = {4};
    const uint8_t *shares[SL_SHAMIR_MAX];
    uint32_t indices[SL_SHAMIR_MAX];
    uint8_t out[32];
    for (uint32_t i = 0; i < n; i++) {
        shares[i] = share;
        indices[i] = i;
    }
    for (int i = 0; i < KEYS; i++) sl_shamir_join((4 * n + 2) / 5, indices, shares, out);
    sink ^= out[0];
}

static uint8_t publics[2][32], secrets[2][32], sign_public[32], sign_secret[64], signature[64];
static const uint8_t zeros[32];

static void agree(uint32_t unused)
{
    (void)unused;
    const struct sl_mask_context context = {
        .network_id = zeros, .cohort_id = zeros, .own_id = publics[0], .peer_id = publics[1], .own_index = 0, .peer_index = 1};
    uint8_t seed[32];
    for (int i = 0; i < KEYS; i++) sl_mask_pair_seed(&context, publics[0], secrets[0], publics[1], seed);
    sink ^= seed[0];
}

static void sign(uint32_t unused)
{
    (void)unused;
    for (int i = 0; i < KEYS; i++) crypto_sign_detached(signature, NULL, zeros, 32, sign_secret);
}

static void verify(uint32_t unused)
{
    (void)unused;
    for (int i = 0; i < KEYS; i++) sink ^= (uint8_t)crypto_sign_verify_detached(signature, zeros, 32, sign_public);
}

static void seal(uint32_t unused)
{
    (void)unused;
    static uint8_t box[80];
    for (int i = 0; i < KEYS; i++) sl_mask_seal(secrets[0], zeros, zeros, zeros, box);
    sink ^= box[0];
}

static void hash(uint32_t unused)
{
    (void)unused;
    uint8_t out[32];
    for (int i = 0; i < KEYS; i++) sl_mask_share_hash(true, zeros, 1, 2, secrets[0], out);
    sink ^= out[0];
}

static void pack(uint32_t bits)
{
    sl_ring_pack(ring, DIM, bits, packed);
}

static void unpack(uint32_t bits)
{
    sl_ring_unpack(packed, DIM, bits, ring);
}

static void merkle(uint32_t bits)
{
    static struct sl_merkle tree;
    sl_merkle_build(&tree, packed, DIM * (size_t)bits / 8, SL_CHUNK_ELEMENTS * (size_t)bits / 8);
    sink ^= tree.root[0];
}

static void prepare(void)
{
    uint8_t seed[32] = {5};
    struct sl_rng rng;
    for (uint8_t i = 0; i < 2; i++) {
        seed[1] = i;
        sl_mask_keypair(seed, publics[i], secrets[i]);
    }
    crypto_sign_seed_keypair(sign_public, sign_secret, seed);
    sl_rng_init(&rng, seed);
    sl_rng_bytes(&rng, ring, sizeof ring);
}

static void print_parts(void)
{
    printf("%u coordinates, best of several runs\n\n", DIM);
    printf("%-44s %8s %8s\n", "bits of the ring", "32", "16");
    double plain[2], masked[2];
    for (uint32_t i = 0; i < 2; i++) {
        plain[i] = DIM * 4.0 / (1 + i) / best_ns(stream, 32 / (1 + i));
        masked[i] = DIM * 4.0 / (1 + i) / best_ns(mask, 32 / (1 + i));
    }
    printf("%-44s %8.2f %8.2f\n", "libsodium's ChaCha20 stream, GB/s", plain[0], plain[1]);
    printf("%-44s %8.2f %8.2f\n", "masks made of it and added, GB/s of stream", masked[0], masked[1]);
    printf("%-44s %8.2f %8.2f\n", "ratio", masked[0] / plain[0], masked[1] / plain[1]);
    printf("%-44s %8.3f %8.3f\n", "one mask added, ms", best_ns(mask, 32) / 1e6, best_ns(mask, 16) / 1e6);
    printf("%-44s %8.3f %8.3f\n", "pack, ms", best_ns(pack, 32) / 1e6, best_ns(pack, 16) / 1e6);
    printf("%-44s %8.3f %8.3f\n", "unpack, ms", best_ns(unpack, 32) / 1e6, best_ns(unpack, 16) / 1e6);
    printf("%-44s %8.3f %8.3f\n\n", "Merkle root, ms", best_ns(merkle, 32) / 1e6, best_ns(merkle, 16) / 1e6);

    printf("%-44s %8s %8s\n", "rows of the sketch", "8", "32");
    printf("%-44s %8.3f %8.3f\n\n", "a vector, the matrix shared by nine, ms", best_ns(sketch_vectors, 8) / VECTORS / 1e6,
           best_ns(sketch_vectors, 32) / VECTORS / 1e6);

    printf("%-44s %8s %8s\n", "members", "4", "8");
    printf("%-44s %8.2f %8.2f\n", "a secret split (Shamir), us", best_ns(split, 4) / KEYS / 1e3, best_ns(split, 8) / KEYS / 1e3);
    printf("%-44s %8.2f %8.2f\n\n", "a secret joined, us", best_ns(join, 4) / KEYS / 1e3, best_ns(join, 8) / KEYS / 1e3);

    printf("%-44s %8.2f\n", "a pair seed (X25519), us", best_ns(agree, 0) / KEYS / 1e3);
    printf("%-44s %8.2f\n", "a box sealed, us", best_ns(seal, 0) / KEYS / 1e3);
    printf("%-44s %8.2f\n", "the hash of a share, us", best_ns(hash, 0) / KEYS / 1e3);
    printf("%-44s %8.2f\n", "a signature made (Ed25519), us", best_ns(sign, 0) / KEYS / 1e3);
    printf("%-44s %8.2f\n", "a signature checked, us", best_ns(verify, 0) / KEYS / 1e3);
}

/* A training step of the perceptron of 64 hidden units on 784 features, rows in batches of 32, by the trainer of the product. */
static double step_ns(void)
{
    enum { FEATURES = 784, ROWS = 1024, STEPS = 100, RUNS = 5 };
    struct sl_config config = {.train_batch = 32, .train_steps = STEPS, .train_lr = 0.1, .shape = {FEATURES, 10, 1, {64}}};
    const uint32_t dim = sl_model_mlp.dim(&config.shape);
    struct sl_dataset data = {.n_rows = ROWS, .n_features = FEATURES, .n_classes = 10};
    float *weights = calloc(dim, sizeof *weights);
    uint32_t *rows = calloc(ROWS, sizeof *rows);
    struct sl_trainer trainer = {0};
    double best = 0;
    data.features = calloc((size_t)ROWS * FEATURES, sizeof *data.features);
    data.labels = calloc(ROWS, sizeof *data.labels);
    if (!weights || !rows || !data.features || !data.labels) goto out;

    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){6});
    for (size_t i = 0; i < (size_t)ROWS * FEATURES; i++) data.features[i] = (float)sl_rng_uniform(&rng);
    for (uint32_t i = 0; i < ROWS; i++) {
        data.labels[i] = (float)sl_rng_below(&rng, 10);
        rows[i] = i;
    }
    sl_model_mlp.init(&config.shape, zeros, weights);
    if (!sl_sgd_new(&trainer, &sl_model_mlp, &config, &data, rows, ROWS, zeros)) goto out;

    for (int run = 0; run < RUNS; run++) {
        struct sl_job job = {.number = 1, .type = SL_JOB_TRAIN, .weights = weights, .dim = dim};
        struct sl_job_result result = {0};
        double begin = members_cpu_ns();
        trainer.run(trainer.context, &job, &result);
        double took = (members_cpu_ns() - begin) / (result.n_steps > 0 ? result.n_steps : 1);
        if (run == 0 || took < best) best = took;
    }
    trainer.destroy(&trainer);
out:
    free(data.labels);
    free(data.features);
    free(rows);
    free(weights);
    return best;
}

/* Means over the members: of the whole the best of several runs, of each part the best of as many with clocks. */
struct whole { double ns, parts[PARTS]; uint32_t n_made, n_checked; uint64_t message_bytes, vector_bytes; };

static bool run_once(const struct members_options *options, bool with_clocks, struct whole *out)
{
    parts_begin(with_clocks);
    struct members *members = members_new(options);
    bool is_done = members && members_run(members);
    *out = (struct whole){0};
    for (uint32_t i = 0; is_done && i < options->n; i++) {
        const struct members_cost *cost = members_cost(members, i);
        out->ns += cost->ns / options->n;
        out->n_made += cost->n_made;
        out->n_checked += cost->n_checked;
        out->message_bytes += cost->message_bytes / options->n;
        out->vector_bytes += cost->vector_bytes / options->n;
    }
    for (int part = 0; part < PARTS; part++) out->parts[part] = parts_ns((enum part)part) / options->n;
    members_destroy(&members);
    return is_done;
}

static bool measure(const struct members_options *options, struct whole *best)
{
    enum { RUNS = 15 };
    for (int run = 0; run < 2 * RUNS; run++) {
        struct whole whole;
        bool with_clocks = run % 2 == 1;
        if (!run_once(options, with_clocks, &whole)) return false;
        if (run == 0 || (!with_clocks && whole.ns < best->ns)) {
            double parts[PARTS];
            memcpy(parts, best->parts, sizeof parts);
            *best = whole;
            if (run > 0) memcpy(best->parts, parts, sizeof parts);
        }
        for (int part = 0; with_clocks && part < PARTS; part++)
            if (run == 1 || whole.parts[part] < best->parts[part]) best->parts[part] = whole.parts[part];
    }
    return true;
}

static bool print_whole(uint32_t dim, uint32_t n, uint32_t ring_bits, double step)
{
    static const char *const names[PARTS] = {"keys and shares", "masks", "sketches", "hashes", "signatures made", "signatures checked", "coding"};
    const struct members_options options = {.n = n, .dim = dim, .ring_bits = ring_bits, .rows = 8, .seed = 1};
    struct whole whole;
    if (!measure(&options, &whole)) return false;

    printf("\n%u coordinates, %u members, 8 rows, a ring of %u bits\n", dim, n, ring_bits);
    printf("  %-24s %8.2f ms of CPU a member and cohort\n", "whole", whole.ns / 1e6);
    double rest = whole.ns;
    for (int part = 0; part < PARTS; part++) {
        printf("  %-24s %8.2f\n", names[part], whole.parts[part] / 1e6);
        rest -= whole.parts[part];
    }
    printf("  %-24s %8.2f\n", "rest", rest / 1e6);
    printf("  %-24s %8.1f and %.1f a member\n", "made and checked", (double)whole.n_made / n, (double)whole.n_checked / n);
    double formula = (n - 1.0) * dim * ring_bits / 8 + 12 * 1024;
    printf("  %-24s %8.0f in vectors, %.0f in messages; %.0f together, (c - 1) k r / 8 + 12 KiB is %.0f\n", "bytes sent", (double)whole.vector_bytes,
           (double)whole.message_bytes, (double)(whole.vector_bytes + whole.message_bytes), formula);
    printf("  %-24s %8.0f training steps an epoch\n", "below a tenth from", 9 * whole.ns / step);
    return true;
}

int main(void)
{
    if (sodium_init() < 0) return 1;

    openblas_set_num_threads(1);                     /* as the product does */
    prepare();
    print_parts();
    double step = step_ns();
    printf("%-44s %8.2f\n", "a training step, mlp:64, 32 rows of 784, us", step / 1e3);
    bool is_fine = true;
    for (uint32_t bits = 32; bits >= 16; bits -= 16) is_fine = print_whole(DIM, 4, bits, step) && is_fine;
    for (uint32_t bits = 32; bits >= 16; bits -= 16) is_fine = print_whole(65536, 8, bits, step) && is_fine;
    return !is_fine;
}
