/* SPDX-License-Identifier: MIT */
#ifndef SL_PRIVACY_SHAMIR_H
#define SL_PRIVACY_SHAMIR_H

#include <stdint.h>

#include "base/rng.h"

/*
 * Secret sharing of 32-byte secrets (Shamir, 1979), byte by byte over GF(256) with the polynomial x^8 + x^4 + x^3 + x + 1. Any `threshold` shares give the
 * secret, fewer say nothing about it. Share i belongs to x = i + 1. No branch and no table access depends on a secret.
 */
enum { SL_SHAMIR_MAX = 64 };         /* shares of a secret */

/* 2 <= threshold <= n_shares <= SL_SHAMIR_MAX (our bug otherwise). Coefficients come from rng and are wiped. */
void sl_shamir_split(const uint8_t secret[32], uint32_t threshold, uint32_t n_shares, struct sl_rng *rng, uint8_t shares[][32]);

/* From `threshold` shares with distinct indices. Wrong shares give a wrong secret: the caller checks it. */
void sl_shamir_join(uint32_t threshold, const uint32_t *indices, const uint8_t *const *shares, uint8_t out[32]);

#endif
