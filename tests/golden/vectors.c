/* SPDX-License-Identifier: MIT */
/* Prints the kept text vectors.txt: what another implementation of a cohort must compute from the same inputs. */
#include "vectors.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "privacy/mask.h"
#include "privacy/shamir.h"
#include "privacy/sketch.h"
#include "share/merkle.h"
#include "share/quantise.h"
#include "wire/message.h"

static const char heading[] =
    "# Test vectors of the protocol of a cohort: name = bytes in hexadecimal, long ones continued on indented lines.\n"
    "# F(n) stands for the 32 bytes (37 n + k) mod 256, k = 0 .. 31; longer ones go on in the same way. Numbers in vectors are little endian.\n"
    "# Unless said otherwise: network F(1), cohort F(2), epoch 5.\n";

void vectors_fill(uint32_t n, uint8_t *out, size_t size)
{
    for (size_t k = 0; k < size; k++) out[k] = (uint8_t)(37 * n + k);
}

const uint8_t *vectors_fixed(uint32_t n)
{
    static uint8_t table[128][80];
    assert(n < 128);
    vectors_fill(n, table[n], sizeof table[n]);
    return table[n];
}

void vectors_print(const char *name, const void *bytes, size_t size)
{
    enum { A_LINE = 64 };
    const uint8_t *b = bytes;
    printf("%s =", name);
    if (size > 32) printf("\n   ");
    printf(" ");
    for (size_t i = 0; i < size; i++) {
        if (i > 0 && i % A_LINE == 0) printf("\n    ");
        printf("%02x", b[i]);
    }
    printf("\n");
}

void vectors_print_words(const char *name, const uint32_t *words, uint32_t n, uint32_t bits)
{
    static uint8_t bytes[4 * 1024];
    assert(n <= 1024);
    sl_ring_pack(words, n, bits, bytes);
    vectors_print(name, bytes, (size_t)n * bits / 8);
}

void vectors_title(const char *text)
{
    printf("\n# %s\n", text);
}

struct end { const char *name; uint8_t public_key[32], secret_key[32]; };

static struct end print_end(const char *name, uint32_t seed)
{
    char label[32];
    struct end end;
    sl_mask_keypair(vectors_fixed(seed), end.public_key, end.secret_key);
    snprintf(label, sizeof label, "key.%s.secret", name);
    vectors_print(label, end.secret_key, 32);
    snprintf(label, sizeof label, "key.%s.public", name);
    vectors_print(label, end.public_key, 32);
    return end;
}

static void print_keys(void)
{
    vectors_title("Keys. Client: id F(3), key pair from seed F(4), place 1 in the roster. Server: id F(5), from F(6), place 3. key.to_server is\n"
                  "# the box key by which the client seals.");
    struct end client = print_end("client", 4), server = print_end("server", 6);
    const struct sl_mask_context context = {
        .network_id = vectors_fixed(1), .cohort_id = vectors_fixed(2), .epoch = 5,
        .own_id = vectors_fixed(3), .peer_id = vectors_fixed(5), .own_index = 1, .peer_index = 3,
    };
    uint8_t seed[32];
    struct sl_box_keys keys;
    int error = sl_mask_pair_seed(&context, client.public_key, client.secret_key, server.public_key, seed);
    error = error ? error : sl_mask_box_keys(&context, client.public_key, client.secret_key, server.public_key, &keys);
    assert(error == SL_OK);
    vectors_print("key.pair_seed", seed, 32);
    vectors_print("key.to_server", keys.to_peer, 32);
    vectors_print("key.to_client", keys.from_peer, 32);
}

static void print_hashes(void)
{
    static const char *const names[] = {"hash.mask_tag", "hash.box_tag", "hash.self_seed", "hash.audit_nonce"};
    uint8_t hash[32], box[SL_BOX_SIZE];
    vectors_title("Hashes of the secret F(7); of the share F(8) of dealer 1 for receiver 3; of the list hash F(9)");
    for (int what = SL_SECRET_PAIR_SEED; what <= SL_SECRET_AUDIT_NONCE; what++) {
        sl_mask_hash((enum sl_mask_secret)what, vectors_fixed(2), vectors_fixed(7), hash);
        vectors_print(names[what], hash, 32);
    }
    sl_mask_share_hash(false, vectors_fixed(2), 1, 3, vectors_fixed(8), hash);
    vectors_print("hash.self_share", hash, 32);
    sl_mask_share_hash(true, vectors_fixed(2), 1, 3, vectors_fixed(8), hash);
    vectors_print("hash.mask_share", hash, 32);
    sl_mask_audit_key(vectors_fixed(9), hash);
    vectors_print("hash.audit_key", hash, 32);

    vectors_title("The shares F(10) of the self-mask seed and F(11) of the mask secret, sealed with the key F(12)");
    sl_mask_seal(vectors_fixed(12), vectors_fixed(2), vectors_fixed(10), vectors_fixed(11), box);
    vectors_print("box", box, sizeof box);
}

static void print_shares(void)
{
    enum { THRESHOLD = 4, N = 6 };
    struct sl_rng rng, same;
    uint8_t coefficients[THRESHOLD - 1][32], shares[N][32];
    vectors_title("The secret F(13) shared among six, four of whom can join it: coefficients of x, x^2, x^3, drawn from the generator of seed F(14)");
    sl_rng_init(&rng, vectors_fixed(14));
    same = rng;
    sl_rng_bytes(&same, coefficients, sizeof coefficients);
    sl_shamir_split(vectors_fixed(13), THRESHOLD, N, &rng, shares);
    vectors_print("shamir.coefficients", coefficients, sizeof coefficients);
    vectors_print("shamir.shares", shares, sizeof shares);
}

static void print_masks(void)
{
    uint32_t ring[128];
    vectors_title("Masks from the seed F(15): elements 0 .. 31 and 128 .. 159 added to zeros, and taken from them; rings of 32 and of 16 bits");
    for (uint32_t bits = 32; bits >= 16; bits -= 16)
        for (int sign = 1; sign >= -1; sign -= 2)
            for (uint32_t start = 0; start <= 128; start += 128) {
                char name[32];
                memset(ring, 0, sizeof ring);
                sl_mask_add(vectors_fixed(15), sign, bits, start, ring, 32);
                snprintf(name, sizeof name, "mask.%u.%s.%u", bits, sign == 1 ? "added" : "taken", start);
                vectors_print_words(name, ring, 32, bits);
            }
}

static void print_sketch(void)
{
    enum { ROWS = 3, DIM = 300 };
    static struct sl_sketch sketch;
    uint32_t vector[DIM], out[ROWS] = {0};
    uint8_t column[ROWS * 32];
    vectors_title("Sketch of three rows by the key F(16) of 300 elements: element j is 2654435761 j mod 2^32. sketch.entries: -1, 0, 1 as bytes, row by row,\n"
                  "# columns 0 .. 31 of the first 256, then columns 256 .. 287");
    for (uint32_t j = 0; j < DIM; j++) vector[j] = 2654435761u * j;
    sl_sketch_init(&sketch, vectors_fixed(16), ROWS);
    for (uint32_t chunk = 0; chunk < 2; chunk++) {
        sl_sketch_chunk(&sketch, chunk);
        for (uint32_t r = 0; r < ROWS; r++)
            for (uint32_t j = 0; j < 32; j++) column[32 * r + j] = (uint8_t)sketch.entries[r][j];
        vectors_print(chunk == 0 ? "sketch.entries.0" : "sketch.entries.256", column, sizeof column);
        sl_sketch_add(&sketch, vector + SL_SKETCH_CHUNK * chunk, chunk == 0 ? SL_SKETCH_CHUNK : DIM - SL_SKETCH_CHUNK, out);
    }
    vectors_print_words("sketch.rows", out, ROWS, 32);
}

static void print_tree(void)
{
    uint8_t bytes[300], path[SL_MERKLE_DEPTH_MAX][32];
    struct sl_merkle tree;
    vectors_title("Merkle tree over 300 bytes, F(17) and on, in chunks of 64; path of chunk 2");
    vectors_fill(17, bytes, sizeof bytes);
    sl_merkle_build(&tree, bytes, sizeof bytes, 64);
    vectors_print("merkle.root", tree.root, 32);
    uint32_t n = sl_merkle_path(&tree, 2, path);
    vectors_print("merkle.path", path, 32 * (size_t)n);
}

int main(void)
{
    if (sodium_init() < 0) return 1;

    fputs(heading, stdout);
    print_keys();
    print_hashes();
    print_shares();
    print_masks();
    print_sketch();
    print_tree();
    vectors_messages();
    vectors_cohort();
    return 0;
}
