/* SPDX-License-Identifier: MIT */
#ifndef SL_CONFIG_INVITE_H
#define SL_CONFIG_INVITE_H

#include <stddef.h>
#include <stdint.h>

#include "config/network.h"
#include "starling/config.h"
#include "wire/certificate.h"

/*
 * The one file that is handed to whoever shall join: the network's descriptor, where to knock, and the invite's secret. Text, so that it can be read and
 * mailed; it must be kept secret like a key until it was used. Lines:
 *
 *   starling-invite 1
 *   invite SECRET FLAGS SLOT EXPIRES SIGNATURE [HOST_SIGN_PUBLIC HOST_CERTIFICATE]      hex and decimal; missing in an open network
 *   secret HEX                                                                          the network secret; private networks only
 *   seed TRANSPORT_PUBLIC ADDRESS                                                       once or more (at most SL_SEEDS_MAX)
 *   descriptor                                                                          all that follows is network.conf, byte for byte
 *   checksum is the last line: BLAKE2b("invite-file") of all before it
 */
enum { SL_SEEDS_MAX = 16, SL_INVITE_FILE_MAX = 2 << 20 };

struct sl_invite_file {
    bool has_invite, has_secret;
    struct sl_invite invite;
    uint8_t network_secret[32];
    struct sl_seed seeds[SL_SEEDS_MAX];
    uint32_t n_seeds;
    char *descriptor;                            /* owned; NUL-terminated */
};

/* The whole file as text on the heap (wipe and free it), NULL when memory is short. */
char *sl_invite_file_text(const struct sl_invite_file *file);

/* Parses bytes that anybody may have written. SL_ERROR_FORMAT, _TOO_LARGE, _NO_MEMORY with a sentence in `why` that begins with `name` and, where there is one,
 * the line. What it accepts still has to be checked: the descriptor by sl_network_parse(), the invite by sl_certificate_verify(). */
int sl_invite_file_parse(const char *text, size_t size, const char *name, struct sl_invite_file *out, char *why, size_t why_size);

/* Wipes and frees. */
void sl_invite_file_finish(struct sl_invite_file *file);

#endif
