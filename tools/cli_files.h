/* SPDX-License-Identifier: MIT */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/files.h"
#include "starling/config.h"

/* What the commands that make and read files share. Failures are negative codes with a sentence in `why` (CLI_WHY_SIZE bytes). */

enum { CLI_WHY_SIZE = 2 * SL_PATH_SIZE + 1024, CLI_FOLDER_FILES_MAX = 12, CLI_TIME_SIZE = 40, CLI_HEX_FILE_MAX = 8192 };

/* ---- a folder that is filled wholly or not at all ---- */

struct cli_folder {
    const char *path;                                     /* borrowed */
    bool was_made;                                        /* by us, so that we may remove it */
    uint32_t n_files;
    char files[CLI_FOLDER_FILES_MAX][32];
};

/* Makes the folder with this mode, or takes an empty one. SL_ERROR_EXISTS when something lies in it, SL_ERROR_IO, SL_ERROR_NO_SPACE. */
int cli_folder_begin(struct cli_folder *folder, const char *path, mode_t mode, char *why);

/* Writes a file of it. SL_ERROR_IO, SL_ERROR_NO_SPACE, SL_ERROR_TOO_LARGE. */
int cli_folder_put(struct cli_folder *folder, const char *name, const void *data, size_t size, mode_t mode, char *why);

/* Remembers a file that somebody else is about to write. */
void cli_folder_expect(struct cli_folder *folder, const char *name);

/* Removes what was written, and the folder where it was made; says so at the end of the sentence in `why`. */
void cli_folder_undo(struct cli_folder *folder, char *why);

/* ---- single files ---- */

bool cli_file_exists(const char *folder, const char *name);

/* Bytes as one line of hex digits. */
int cli_hex_put(struct cli_folder *folder, const char *name, const uint8_t *bytes, size_t size, mode_t mode, char *why);

/* size_max bytes at most; with `secret`, refused when others may read it. SL_ERROR_NOT_FOUND, _IO, _BAD_ARGUMENT, _FORMAT. */
int cli_hex_read(const char *folder, const char *name, bool secret, uint8_t *out, size_t size_max, size_t *out_size, char *why);

/* The operator's key of a network: SL_ERROR_NOT_FOUND, _IO, _BAD_ARGUMENT (others may read it), _FORMAT. */
int cli_operator_put(struct cli_folder *folder, const uint8_t secret[64], char *why);
int cli_operator_read(const char *folder, uint8_t out[64], char *why);

/* "TRANSPORT_PUBLIC ADDRESS" a line, n_seeds of them. */
int cli_seeds_put(const char *folder, const struct sl_seed *seeds, uint32_t n_seeds, char *why);

/* A missing file holds none. At most n_max. SL_ERROR_IO, _FORMAT. */
int cli_seeds_read(const char *folder, struct sl_seed *out, uint32_t n_max, uint32_t *out_n, char *why);

/* node.conf with its comments, in memory; free(). NULL when memory is short. */
char *cli_settings_text(const struct sl_config *config, size_t *out_size);

/* ---- small things ---- */

/* Paths in node.conf begin at the root, for a node runs in any folder; names of known data sets and pairs of files are kept. SL_ERROR_TOO_LARGE. */
int cli_path_anchor(const char *path, char out[SL_TEXT_MAX], char *why);

/* A sentence about an option without the key in front, for it was given by a flag. */
const char *cli_without_key(const char *sentence, const char *key);

/* "30d", "12h", "90m", "45s": seconds. False for anything else, for zero and for more than a hundred years. */
bool cli_span_parse(const char *text, uint64_t *out_s);

/* "3 days", "12 hours", "40 seconds". */
const char *cli_span_text(uint64_t seconds, char out[CLI_TIME_SIZE]);

/* "2027-11-24 14:50 UTC". */
const char *cli_time_text(uint64_t unix_s, char out[CLI_TIME_SIZE]);

/* Loopback addresses lead nowhere but to the machine itself. */
bool cli_address_is_loopback(const char *address);
bool cli_address_is_wildcard(const char *address);

/* The address of this machine from which `towards` would be reached, without a port; nothing is sent. False when there is none. */
bool cli_address_towards(const char *towards, char out[SL_PEER_ADDRESS_MAX]);

enum cli_port { CLI_PORT_FREE, CLI_PORT_TAKEN, CLI_PORT_ELSEWHERE };     /* elsewhere: this machine does not have the address */

/* Whether a node could listen there now. */
enum cli_port cli_port_try(const char *address);

#endif
