/* SPDX-License-Identifier: MIT */
#ifndef SL_DATA_SOURCE_H
#define SL_DATA_SOURCE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <zlib.h>

/* A file to read from, plain or gzip, front to back. Memory grows with the bytes that were really read, never with what a header promises. */
struct sl_source {
    const char *path;                /* borrowed */
    gzFile file;
    char *line;                      /* the current line, without its end, followed by a zero */
    size_t line_size, line_capacity;
    uint64_t line_number;            /* from 1 */
    size_t chunk_size, chunk_used;   /* read ahead for lines */
    char chunk[64 << 10];
    char *why;                       /* where every failure leaves its sentence */
    size_t why_size;
};

enum {
    SL_SOURCE_LINE_MAX = 16 << 20,   /* a row of as many columns as a model may have, 16 characters each */
    SL_COLUMNS_MAX = 1 << 20,        /* as the option model.features */
    SL_CLASSES_MAX = 65536           /* as the option model.classes */
};

/* Writes a sentence into `why` and is `error`. A macro, so that every compiler checks the arguments against the format. */
#define SL_REFUSE(why, why_size, error, ...) (snprintf((why), (why_size), __VA_ARGS__), (error))

/* SL_ERROR_NOT_FOUND, SL_ERROR_IO (not readable, or a folder), SL_ERROR_NO_MEMORY. */
int sl_source_open(struct sl_source *source, const char *path, char *why, size_t why_size);

/* Reads exactly `size` bytes. SL_ERROR_TRUNCATED, without a sentence, when the file ends before; SL_ERROR_IO, SL_ERROR_FORMAT (damaged gzip). */
int sl_source_read(struct sl_source *source, void *out, size_t size);

/* Reads the next line into source->line: SL_OK, SL_ERROR_NOT_FOUND at the end of the file (without a sentence), SL_ERROR_IO, SL_ERROR_FORMAT (line
 * too long, zero bytes, damaged gzip), SL_ERROR_NO_MEMORY. Ends of lines may be LF or CRLF; a byte order mark is dropped. */
int sl_source_next_line(struct sl_source *source);

void sl_source_close(struct sl_source *source);

#endif
