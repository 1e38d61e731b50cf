/* SPDX-License-Identifier: MIT */
#ifndef SL_WIRE_READER_H
#define SL_WIRE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "starling/error.h"

/*
 * Bounded cursor over msgpack bytes that a stranger sent. It allocates nothing, never reads past the end, accepts
 * only the shortest encoding of each value (so that equal values have equal bytes), and keeps the first error: after
 * one, every read returns zero and the error stays. Strings, maps, floats, nil, booleans and extensions do not occur.
 */
struct sl_reader {
    const uint8_t *at, *end;
    int error;               /* SL_OK, SL_ERROR_TRUNCATED, SL_ERROR_MALFORMED, SL_ERROR_TOO_LARGE */
};

struct sl_reader sl_reader_over(const uint8_t *bytes, size_t size);

uint32_t sl_read_array(struct sl_reader *reader, uint32_t n_max);            /* number of items that follow */
void sl_read_array_of(struct sl_reader *reader, uint32_t n_items);           /* MALFORMED unless exactly this many */
uint64_t sl_read_uint(struct sl_reader *reader, uint64_t max);
int64_t sl_read_int(struct sl_reader *reader, int64_t min, int64_t max);
const uint8_t *sl_read_bin(struct sl_reader *reader, size_t size_max, size_t *size);      /* points into the message */
const uint8_t *sl_read_bin_of(struct sl_reader *reader, size_t size);        /* exactly this size; NULL after an error */
void sl_read_copy(struct sl_reader *reader, uint8_t *out, size_t size);      /* bin of exactly this size, copied (zeros after an error) */

/* Passes over one value of any allowed kind, nesting at most 4 deep; its bytes in *start and *size. */
void sl_read_skip(struct sl_reader *reader, const uint8_t **start, size_t *size);

/* SL_OK only if no error occurred and every byte was consumed. */
int sl_reader_finish(const struct sl_reader *reader);

/* Writes msgpack (by msgpack-c) into a fixed buffer; when it is full, `full` is set and nothing more is written. */
struct sl_writer {
    uint8_t *bytes;
    size_t size, size_max;
    bool full;
};

struct sl_writer sl_writer_over(uint8_t *bytes, size_t size_max);
void sl_write_array(struct sl_writer *writer, uint32_t n_items);
void sl_write_uint(struct sl_writer *writer, uint64_t value);
void sl_write_int(struct sl_writer *writer, int64_t value);
void sl_write_bin(struct sl_writer *writer, const void *bytes, size_t size);
void sl_write_raw(struct sl_writer *writer, const void *bytes, size_t size);       /* bytes that are msgpack already */

#endif
