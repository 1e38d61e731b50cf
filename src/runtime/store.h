/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_STORE_H
#define SL_RUNTIME_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "starling/event.h"

/*
 * What a node asks to be stored, made durable in order by a thread of its own, so that a slow disk never holds up the loop. The files `state` and
 * `book` are a magic word, a BLAKE2b checksum and the bytes; the ones before stay as state.bak and book.bak. `privacy.release` holds the bytes as they are: the
 * ledger has their hash.
 */

#define SL_RELEASE_NAME "privacy.release"

enum { SL_STATE_SIZE_MAX = 64 << 20 };

/* One store, now, in the calling thread. SL_ERROR_IO, SL_ERROR_NO_SPACE; SL_ERROR_UNSUPPORTED for APPEND_LEDGER, which wants a ledger that is
 * held. */
int sl_store_carry_out(const char *folder, enum sl_store_type type, const uint8_t *data, size_t size);

/* "state", "book", "privacy.ledger", "privacy.release": the file of such a store. */
const char *sl_store_name(enum sl_store_type type);

/* The last durable bytes on the heap, or NULL with size 0 if there never were any: the file, or its .bak when the file is missing or damaged.
 * SL_ERROR_FORMAT when there are files but neither is whole, SL_ERROR_IO, _NO_MEMORY, with a sentence in `why`. */
int sl_store_read_state(const char *folder, uint8_t **out, size_t *out_size, char *why, size_t why_size);
int sl_store_read_book(const char *folder, uint8_t **out, size_t *out_size, char *why, size_t why_size);

struct sl_ledger_file;
struct sl_storer;

/* Starts the thread; `folder` must outlive it, and so must `ledger`, which is the thread's until it ends. NULL: there is none, and APPEND_LEDGER is
 * SL_ERROR_UNSUPPORTED. While a ledger is empty no state is written: a state without one looks like a budget that was lost. NULL when the machine gives no
 * thread or memory. */
struct sl_storer *sl_storer_new(const char *folder, struct sl_ledger_file *ledger);

/* Hands a copy of the store over. SL_ERROR_NO_MEMORY, and then there will be no answer. */
int sl_storer_submit(struct sl_storer *storer, const struct sl_store *store);

/* The zmq socket that becomes readable when a store is done. */
void *sl_storer_socket(struct sl_storer *storer);

struct sl_receipt {
    uint64_t ticket;
    enum sl_store_type type;
    int error;
};

/* The next finished store, if any. */
bool sl_storer_take(struct sl_storer *storer, struct sl_receipt *out);

/* Carries out what was submitted, then ends the thread. */
void sl_storer_destroy(struct sl_storer **storer);

#endif
