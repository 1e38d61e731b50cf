/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/hash.h"
#include "share/merkle.h"

enum { CHUNK = 10 };

static uint8_t vector[CHUNK * SL_CHUNKS_MAX];

static void fill(void)
{
    for (size_t i = 0; i < sizeof vector; i++) vector[i] = (uint8_t)(i * 7 + i / 256);
}

TestSuite(merkle, .init = fill);

/* A vector of n chunks whose last one is 3 bytes short. */
static size_t size_of(uint32_t n)
{
    return (size_t)n * CHUNK - 3;
}

static size_t length_of(uint32_t n, uint32_t index)
{
    return index + 1 == n ? CHUNK - 3 : CHUNK;
}

Test(merkle, every_chunk_of_every_size_proves_itself)
{
    for (uint32_t n = 1; n <= SL_CHUNKS_MAX; n++) {
        struct sl_merkle tree;
        sl_merkle_build(&tree, vector, size_of(n), CHUNK);
        cr_assert_eq(tree.n_chunks, n);
        for (uint32_t i = 0; i < n; i++) {
            uint8_t path[SL_MERKLE_DEPTH_MAX][32];
            uint32_t n_path = sl_merkle_path(&tree, i, path);
            cr_assert(sl_merkle_verify(tree.root, size_of(n), CHUNK, i, vector + i * CHUNK, length_of(n, i), n_path, path),
                      "chunk %u of %u", i, n);
        }
    }
}

Test(merkle, the_root_of_three_chunks_is_what_the_definition_says)
{
    struct sl_merkle tree;
    struct sl_hash hash;
    uint8_t leaf[3][32], node[32], top[32], root[32];
    for (uint64_t i = 0; i < 3; i++) {
        sl_hash_init(&hash, "leaf");
        sl_hash_u64(&hash, i);
        sl_hash_bytes(&hash, vector + i * CHUNK, length_of(3, (uint32_t)i));
        sl_hash_final(&hash, leaf[i]);
    }
    sl_hash_init(&hash, "node");
    sl_hash_bytes(&hash, leaf[0], 32);
    sl_hash_bytes(&hash, leaf[1], 32);
    sl_hash_final(&hash, node);
    sl_hash_init(&hash, "node");
    sl_hash_bytes(&hash, node, 32);
    sl_hash_bytes(&hash, leaf[2], 32);
    sl_hash_final(&hash, top);
    sl_hash_init(&hash, "root");
    sl_hash_u64(&hash, 3);
    sl_hash_u64(&hash, size_of(3));
    sl_hash_bytes(&hash, top, 32);
    sl_hash_final(&hash, root);

    sl_merkle_build(&tree, vector, size_of(3), CHUNK);

    cr_assert_eq(memcmp(tree.root, root, 32), 0);
}

Test(merkle, any_changed_byte_is_refused)
{
    const uint32_t counts[] = {1, 2, 3, 5, 11, 64};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        const uint32_t n = counts[c];
        struct sl_merkle tree;
        sl_merkle_build(&tree, vector, size_of(n), CHUNK);
        for (uint32_t i = 0; i < n; i++) {
            uint8_t path[SL_MERKLE_DEPTH_MAX][32], root[32], chunk[CHUNK];
            const size_t bytes = length_of(n, i);
            uint32_t n_path = sl_merkle_path(&tree, i, path);
            memcpy(root, tree.root, 32);
            memcpy(chunk, vector + i * CHUNK, bytes);

            for (int b = 0; b < 32; b++) {
                root[b] ^= 1;
                cr_assert_not(sl_merkle_verify(root, size_of(n), CHUNK, i, chunk, bytes, n_path, path));
                root[b] ^= 1;
            }
            for (size_t b = 0; b < bytes; b++) {
                chunk[b] ^= 0x80;
                cr_assert_not(sl_merkle_verify(root, size_of(n), CHUNK, i, chunk, bytes, n_path, path));
                chunk[b] ^= 0x80;
            }
            for (uint32_t b = 0; b < 32 * n_path; b++) {
                path[b / 32][b % 32] ^= 0x10;
                cr_assert_not(sl_merkle_verify(root, size_of(n), CHUNK, i, chunk, bytes, n_path, path));
                path[b / 32][b % 32] ^= 0x10;
            }
            cr_assert(sl_merkle_verify(root, size_of(n), CHUNK, i, chunk, bytes, n_path, path));
        }
    }
}

Test(merkle, a_chunk_at_another_place_or_of_another_length_is_refused)
{
    const uint32_t n = 7;
    struct sl_merkle tree;
    sl_merkle_build(&tree, vector, size_of(n), CHUNK);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t path[SL_MERKLE_DEPTH_MAX][32] = {{0}};
        const uint8_t *chunk = vector + i * CHUNK;
        const size_t bytes = length_of(n, i);
        uint32_t n_path = sl_merkle_path(&tree, i, path);

        for (uint32_t place = 0; place < n; place++)
            cr_assert_eq(sl_merkle_verify(tree.root, size_of(n), CHUNK, place, chunk, bytes, n_path, path), place == i);
        for (uint32_t other = 0; other <= SL_MERKLE_DEPTH_MAX; other++)
            cr_assert_eq(sl_merkle_verify(tree.root, size_of(n), CHUNK, i, chunk, bytes, other, path), other == n_path);
        cr_assert_not(sl_merkle_verify(tree.root, size_of(n), CHUNK, i, chunk, bytes - 1, n_path, path));
        cr_assert_not(sl_merkle_verify(tree.root, size_of(n), CHUNK, i, chunk, 0, n_path, path));
        cr_assert_not(sl_merkle_verify(tree.root, size_of(n) - 1, CHUNK, i, chunk, bytes, n_path, path));
        cr_assert_not(sl_merkle_verify(tree.root, size_of(n) + CHUNK, CHUNK, i, chunk, bytes, n_path, path));
    }
}

Test(merkle, hostile_shapes_are_refused_without_harm)
{
    struct sl_merkle tree;
    uint8_t path[SL_MERKLE_DEPTH_MAX][32] = {{0}};
    sl_merkle_build(&tree, vector, CHUNK, CHUNK);

    cr_assert_not(sl_merkle_verify(tree.root, 0, CHUNK, 0, vector, 0, 0, path));
    cr_assert_not(sl_merkle_verify(tree.root, CHUNK, 0, 0, vector, CHUNK, 0, path));
    cr_assert_not(sl_merkle_verify(tree.root, CHUNK, CHUNK, 1, vector, CHUNK, 0, path));
    cr_assert_not(sl_merkle_verify(tree.root, CHUNK, CHUNK, UINT32_MAX, vector, CHUNK, 0, path));
    cr_assert_not(sl_merkle_verify(tree.root, CHUNK, CHUNK, 0, vector, CHUNK, SL_MERKLE_DEPTH_MAX + 1, path));
    cr_assert_not(sl_merkle_verify(tree.root, CHUNK, CHUNK, 0, vector, CHUNK, UINT32_MAX, path));
    cr_assert_not(sl_merkle_verify(tree.root, SIZE_MAX, 1, 0, vector, 1, 0, path));
    cr_assert_not(sl_merkle_verify(tree.root, CHUNK * (SL_CHUNKS_MAX + 1), CHUNK, 0, vector, CHUNK, 6, path));
    cr_assert(sl_merkle_verify(tree.root, CHUNK, CHUNK, 0, vector, CHUNK, 0, path));
}

Test(merkle, counts_chunks)
{
    cr_assert_eq(sl_merkle_chunks(0, 10), 0);
    cr_assert_eq(sl_merkle_chunks(1, 10), 1);
    cr_assert_eq(sl_merkle_chunks(10, 10), 1);
    cr_assert_eq(sl_merkle_chunks(11, 10), 2);
    cr_assert_eq(sl_merkle_chunks(11, 0), 0);
    cr_assert_eq(sl_merkle_chunks(SIZE_MAX, 1), UINT32_MAX, "a huge size must not look small");
}
