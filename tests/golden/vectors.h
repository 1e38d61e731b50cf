/* SPDX-License-Identifier: MIT */
#ifndef GOLDEN_VECTORS_H
#define GOLDEN_VECTORS_H

#include <stddef.h>
#include <stdint.h>

/* What the parts of the program share that prints vectors.txt. */

void vectors_fill(uint32_t n, uint8_t *out, size_t size);                    /* F(n) and on */
const uint8_t *vectors_fixed(uint32_t n);                                    /* F(n), n < 128; 80 bytes of it are there */
void vectors_title(const char *text);
void vectors_print(const char *name, const void *bytes, size_t size);
void vectors_print_words(const char *name, const uint32_t *words, uint32_t n, uint32_t bits);

void vectors_messages(void);
void vectors_cohort(void);

#endif
