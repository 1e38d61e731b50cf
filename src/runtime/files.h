/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_FILES_H
#define SL_RUNTIME_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "starling/config.h"

/*
 * The files of a node's directory that are plain text or plain bytes. Every failure leaves a sentence in `why` that names the file, says what is
 * wrong and what to do about it. Nothing here knows sockets or the core, so the tools that prepare directories use it too.
 */

enum { SL_WHY_SIZE = 1024, SL_PATH_SIZE = 4096 };

/* Writes the sentence and has `error` as its value. */
#define SL_FAIL(error, why, why_size, ...) (snprintf((why), (why_size), __VA_ARGS__), (error))

/* "folder/name". SL_ERROR_TOO_LARGE. */
int sl_path_join(const char *folder, const char *name, char out[SL_PATH_SIZE]);

/* errno as one of ours: SL_ERROR_NO_SPACE or SL_ERROR_IO. */
int sl_file_error(int number);

/* Makes durable what was created, renamed or removed in a folder. SL_ERROR_IO, SL_ERROR_NO_SPACE. */
int sl_folder_sync(const char *folder);

/* Writes folder/name.new, makes it durable and renames it over folder/name: a reader sees the old bytes or the new ones. With keep_previous the old
 * file stays as name.bak. SL_ERROR_IO, SL_ERROR_NO_SPACE, SL_ERROR_TOO_LARGE (the path). */
int sl_file_put(const char *folder, const char *name, const void *data, size_t size, mode_t mode, bool keep_previous);

/* Removes the file if it is there, durably. SL_ERROR_IO, SL_ERROR_NO_SPACE. */
int sl_file_remove(const char *folder, const char *name);

/* The whole file on the heap, with a zero byte after its end that is not counted. SL_ERROR_NOT_FOUND, _IO, _TOO_LARGE (more than size_max), _NO_MEMORY. */
int sl_file_read(const char *path, size_t size_max, uint8_t **out, size_t *out_size, char *why, size_t why_size);

/* The secret half of an identity: text, mode 0600. */
struct sl_secrets {
    uint8_t sign_secret[64];
    uint8_t transport_secret[32];
};

/* Refuses to replace a key that exists. SL_ERROR_EXISTS, _IO, _NO_SPACE. */
int sl_secrets_write(const char *folder, const char *name, const struct sl_secrets *secrets, char *why, size_t why_size);

/* SL_ERROR_NOT_FOUND, _IO, _BAD_ARGUMENT (others may read the file), _FORMAT (size, digits, or a key that does not fit itself). */
int sl_secrets_read(const char *path, struct sl_secrets *out, char *why, size_t why_size);

/* The prepared list: one line per peer, "id sign_public transport_public address certificate", in hex but for the address. */
int sl_peers_write(const char *folder, const char *name, const struct sl_peer *peers, uint32_t n_peers, char *why, size_t why_size);

/* The list on the heap; free(). SL_ERROR_NOT_FOUND, _IO, _TOO_LARGE, _FORMAT, _NO_MEMORY. */
int sl_peers_read(const char *path, struct sl_peer **out, uint32_t *n_out, char *why, size_t why_size);

/* Holds folder/node.lock until the descriptor is closed or the process ends. SL_ERROR_EXISTS (another process holds it), SL_ERROR_IO. */
int sl_folder_lock(const char *folder, int *out_descriptor, char *why, size_t why_size);

/* True for "1.2.3.4:port" and "[ipv6]:port" with port 1 .. 65535: no names, so no look-ups, and nothing else that a socket library would read into it. */
bool sl_address_is_numeric(const char *address);

#endif
