/* SPDX-License-Identifier: MIT */
/*
 * An invite from anywhere. A file whose first byte is not that of an invite gets the right checksum behind the rest, for no fuzzer finds it. What is accepted
 * is written and read again as the same.
 */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "config/invite.h"
#include "starling/error.h"

enum { CHECKSUM_LINE = 9 + 64 + 1 };

static size_t put_checksum(char *text, size_t size)
{
    uint8_t checksum[32];
    sl_hash_once("invite-file", text, size, checksum);
    memcpy(text + size, "checksum ", 9);
    sodium_bin2hex(text + size + 9, 65, checksum, 32);
    text[size + CHECKSUM_LINE - 1] = '\n';
    return size + CHECKSUM_LINE;
}

static void check_invite(const struct sl_invite_file *file)
{
    assert(file->descriptor && file->n_seeds > 0 && file->n_seeds <= SL_SEEDS_MAX);
    for (uint32_t i = 0; i < file->n_seeds; i++) assert(strnlen(file->seeds[i].address, SL_PEER_ADDRESS_MAX) < SL_PEER_ADDRESS_MAX);
    if (file->has_invite && file->invite.has_host) assert(file->invite.host_certificate_size <= SL_CERTIFICATE_MAX);
}

static void check_again(const struct sl_invite_file *file)
{
    struct sl_invite_file again = {0};
    char why[512] = "", *text = sl_invite_file_text(file);
    assert(text);
    int error = sl_invite_file_parse(text, strlen(text), "again", &again, why, sizeof why);
    assert(!error && again.n_seeds == file->n_seeds && again.has_invite == file->has_invite && again.has_secret == file->has_secret);
    assert(memcmp(again.seeds, file->seeds, sizeof again.seeds) == 0 && memcmp(again.network_secret, file->network_secret, 32) == 0);
    char *text_again = sl_invite_file_text(&again);
    assert(text_again && strcmp(text, text_again) == 0);
    free(text_again);
    free(text);
    sl_invite_file_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool sealed = size > 0 && data[0] != 's';
    char why[512] = "", *text = malloc(size + CHECKSUM_LINE + 1);
    assert(text);
    if (size > 0) memcpy(text, data + sealed, size - sealed);
    if (size > 0) size -= sealed;
    if (sealed) size = put_checksum(text, size);

    struct sl_invite_file file = {0};
    int error = sl_invite_file_parse(text, size, "invite", &file, why, sizeof why);
    if (error) assert(*why && strlen(why) < sizeof why && !file.descriptor);
    else {
        check_invite(&file);
        check_again(&file);
        sl_invite_file_finish(&file);
    }
    free(text);
    return 0;
}
