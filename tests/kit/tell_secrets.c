/* SPDX-License-Identifier: MIT */
/*
 * Preloaded between a node and libsodium, this library writes every secret of a cohort that passes through it to the file STARLING_SECRETS: a line each, what
 * it is and its hex digits. So a test knows what must not be found afterwards, and the product needs no hook for it. With STARLING_SECRETS_KEEP set it also
 * keeps copies in its own memory: then they must be found, or the search is no good.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_SIZE = 32, KEPT_MAX = 4096, LINE_SIZE = 128 };

typedef void (*function)(void);          /* dlsym() gives a pointer to data: copied, not cast */

static unsigned char kept[KEPT_MAX][SECRET_SIZE];
static atomic_uint n_kept;

static void find(const char *name, function *out)
{
    void *address = dlsym(RTLD_NEXT, name);
    memcpy(out, &address, sizeof address);
}

static void tell(const char *what, const unsigned char secret[SECRET_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    const char *path = getenv("STARLING_SECRETS");
    if (!path) return;

    char line[LINE_SIZE];
    size_t length = strlen(what);
    memcpy(line, what, length);
    line[length++] = ' ';
    for (int i = 0; i < SECRET_SIZE; i++) {
        line[length++] = digits[secret[i] >> 4];
        line[length++] = digits[secret[i] & 15];
    }
    line[length++] = '\n';
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file < 0 || write(file, line, length) != (ssize_t)length) abort();
    close(file);
    sodium_memzero(line, sizeof line);

    if (!getenv("STARLING_SECRETS_KEEP")) return;
    unsigned place = atomic_fetch_add(&n_kept, 1);
    if (place < KEPT_MAX) memcpy(kept[place], secret, SECRET_SIZE);
}

int crypto_kx_seed_keypair(unsigned char public_key[32], unsigned char secret_key[32], const unsigned char seed[32])
{
    int (*real)(unsigned char *, unsigned char *, const unsigned char *);
    find("crypto_kx_seed_keypair", (function *)&real);
    int result = real(public_key, secret_key, seed);
    tell("key_seed", seed);
    tell("secret_key", secret_key);
    tell("public_key", public_key);
    return result;
}

int crypto_kx_client_session_keys(unsigned char rx[32], unsigned char tx[32], const unsigned char own_public[32], const unsigned char own_secret[32],
                                  const unsigned char peer_public[32])
{
    int (*real)(unsigned char *, unsigned char *, const unsigned char *, const unsigned char *, const unsigned char *);
    find("crypto_kx_client_session_keys", (function *)&real);
    int result = real(rx, tx, own_public, own_secret, peer_public);
    tell("agreed", rx);
    tell("agreed", tx);
    return result;
}

int crypto_kx_server_session_keys(unsigned char rx[32], unsigned char tx[32], const unsigned char own_public[32], const unsigned char own_secret[32],
                                  const unsigned char peer_public[32])
{
    int (*real)(unsigned char *, unsigned char *, const unsigned char *, const unsigned char *, const unsigned char *);
    find("crypto_kx_server_session_keys", (function *)&real);
    int result = real(rx, tx, own_public, own_secret, peer_public);
    tell("agreed", rx);
    tell("agreed", tx);
    return result;
}

/* A box: its key, and the two shares in it. */
int crypto_aead_xchacha20poly1305_ietf_encrypt(unsigned char *box, unsigned long long *box_size, const unsigned char *text, unsigned long long size,
                                               const unsigned char *more, unsigned long long more_size, const unsigned char *none,
                                               const unsigned char *nonce, const unsigned char *key)
{
    int (*real)(unsigned char *, unsigned long long *, const unsigned char *, unsigned long long, const unsigned char *, unsigned long long,
                const unsigned char *, const unsigned char *, const unsigned char *);
    find("crypto_aead_xchacha20poly1305_ietf_encrypt", (function *)&real);
    tell("box_key", key);
    if (size == 2 * SECRET_SIZE) {
        tell("self_share", text);
        tell("mask_share", text + SECRET_SIZE);
    }
    return real(box, box_size, text, size, more, more_size, none, nonce, key);
}

int crypto_aead_xchacha20poly1305_ietf_decrypt(unsigned char *text, unsigned long long *size, unsigned char *none, const unsigned char *box,
                                               unsigned long long box_size, const unsigned char *more, unsigned long long more_size,
                                               const unsigned char *nonce, const unsigned char *key)
{
    int (*real)(unsigned char *, unsigned long long *, unsigned char *, const unsigned char *, unsigned long long, const unsigned char *, unsigned long long,
                const unsigned char *, const unsigned char *);
    find("crypto_aead_xchacha20poly1305_ietf_decrypt", (function *)&real);
    int result = real(text, size, none, box, box_size, more, more_size, nonce, key);
    tell("box_key", key);
    if (result == 0 && box_size == 2 * SECRET_SIZE + crypto_aead_xchacha20poly1305_ietf_ABYTES) {
        tell("self_share", text);
        tell("mask_share", text + SECRET_SIZE);
    }
    return result;
}

/* Masks are made from a buffer of zeros beside the output; other streams, public or of the node's own generator, in place. */
int crypto_stream_chacha20_xor_ic(unsigned char *out, const unsigned char *in, unsigned long long size, const unsigned char *nonce, uint64_t counter,
                                  const unsigned char *key)
{
    int (*real)(unsigned char *, const unsigned char *, unsigned long long, const unsigned char *, uint64_t, const unsigned char *);
    find("crypto_stream_chacha20_xor_ic", (function *)&real);
    if (counter == 0 && out != in) tell("mask_seed", key);
    return real(out, in, size, nonce, counter, key);
}
