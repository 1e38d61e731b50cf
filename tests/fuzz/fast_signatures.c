/* SPDX-License-Identifier: MIT */
/*
 * Linked into the fuzzer of sessions in the place of libsodium's: a hash of key and message stands for a signature, which is four times as fast. Nobody in
 * the target would make one for another's key. The replay of the corpus has real signatures.
 */
#include <sodium.h>
#include <string.h>

enum { KEY = 32, SIGNATURE = 64 };

int crypto_sign_detached(unsigned char *signature, unsigned long long *size, const unsigned char *message, unsigned long long message_size,
                         const unsigned char *secret)
{
    if (size) *size = SIGNATURE;
    return crypto_generichash(signature, SIGNATURE, message, message_size, secret + KEY, KEY);       /* the public half stands behind the seed */
}

int crypto_sign_verify_detached(const unsigned char *signature, const unsigned char *message, unsigned long long message_size, const unsigned char *key)
{
    unsigned char expected[SIGNATURE];
    crypto_generichash(expected, SIGNATURE, message, message_size, key, KEY);
    return memcmp(signature, expected, SIGNATURE) == 0 ? 0 : -1;
}
