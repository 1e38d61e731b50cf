/* SPDX-License-Identifier: MIT */
#include "cli_join.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "cli_files.h"
#include "config/registry.h"
#include "starling/error.h"

void cli_first_node_keys(const struct sl_invite *invite, uint8_t out_public[32], uint8_t out_secret[32])
{
    sl_hash_once("first node", invite->secret, sizeof invite->secret, out_secret);
    crypto_scalarmult_base(out_public, out_secret);
}

int cli_scaling_fill(const struct sl_config *config, struct sl_scaling *scaling, char *why)
{
    if (strncmp(config->scale, "divide:", 7) != 0) return SL_OK;

    uint32_t n = config->shape.n_features;
    float factor = (float)(1 / strtod(config->scale + 7, NULL));
    scaling->offset = calloc(n, sizeof(float));
    scaling->factor = calloc(n, sizeof(float));
    if (!scaling->offset || !scaling->factor) return SL_FAIL(SL_ERROR_NO_MEMORY, why, CLI_WHY_SIZE, "not enough memory for the scaling");

    scaling->n_features = n;
    for (uint32_t j = 0; j < n; j++) scaling->factor[j] = factor;
    return SL_OK;
}

/* The bytes of the file as an invite, or as the bare descriptor of an open network, which needs no invite. */
static int take_apart(const char *path, const char *text, size_t size, struct cli_join *out, char *why)
{
    static const char head[] = "starling-invite ";
    if (strncmp(text, head, sizeof head - 1) == 0 && strchr(text, '\r'))
        return SL_FAIL(SL_ERROR_FORMAT, why, CLI_WHY_SIZE,
                       "%s: its line ends were changed on its way, as mail and editors do; have it sent again as a file, in an archive if need be", path);
    if (strncmp(text, head, sizeof head - 1) == 0) return sl_invite_file_parse(text, size, path, &out->file, why, CLI_WHY_SIZE);

    bool is_descriptor = strstr(text, "\noperator = ") && strstr(text, "network.admission = ");
    if (!is_descriptor)
        return SL_FAIL(SL_ERROR_FORMAT, why, CLI_WHY_SIZE,
                       "%s: is not an invite; an invite is a text file that begins with \"starling-invite 1\" and comes from "
                       "`starling invite`",
                       path);
    if (!strstr(text, "\nnetwork.admission = open\n"))
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, CLI_WHY_SIZE,
                       "%s: is the descriptor of a network that admits by invitation; ask its operator for an invite", path);

    out->file.descriptor = strdup(text);
    return out->file.descriptor ? SL_OK : SL_FAIL(SL_ERROR_NO_MEMORY, why, CLI_WHY_SIZE, "not enough memory to read %s", path);
}

static int read_descriptor(const char *path, struct cli_join *join, char *why)
{
    size_t size = strlen(join->file.descriptor);
    char *copy = strdup(join->file.descriptor);                      /* parsing changes it */
    if (!copy) return SL_FAIL(SL_ERROR_NO_MEMORY, why, CLI_WHY_SIZE, "not enough memory to read %s", path);

    sl_config_init(&join->config);
    int error = sl_network_parse(copy, size, path, &join->config, &join->scaling, why, CLI_WHY_SIZE);
    free(copy);
    if (error != SL_OK) return error;

    char sentence[SL_WHY_SIZE];
    join->model = sl_model_of(&join->config, sentence, sizeof sentence);
    if (!join->model) return SL_FAIL(SL_ERROR_FORMAT, why, CLI_WHY_SIZE, "%s: %s", path, sentence);
    return cli_scaling_fill(&join->config, &join->scaling, why);
}

/* The parts must be those that the descriptor's kind of admission wants. */
static int check_parts(const char *path, const struct cli_join *join, char *why)
{
    bool is_open = strcmp(join->config.admission, "open") == 0, is_private = strcmp(join->config.admission, "private") == 0;
    if (!is_open && !join->file.has_invite)
        return SL_FAIL(SL_ERROR_FORMAT, why, CLI_WHY_SIZE, "%s: holds no invite, but this network admits by invitation; ask for a new one", path);
    if (is_private && !join->file.has_secret)
        return SL_FAIL(SL_ERROR_FORMAT, why, CLI_WHY_SIZE, "%s: lacks the network secret of a private network; ask for a new one", path);
    return SL_OK;
}

/* Whether one of the doors is the one this invite opens. The door is then our own and no other leads anywhere yet. */
static void find_first(struct cli_join *join)
{
    uint8_t public_key[32];
    if (!join->file.has_invite || join->file.invite.has_host) return;

    cli_first_node_keys(&join->file.invite, public_key, join->first_transport_secret);
    for (uint32_t i = 0; i < join->file.n_seeds; i++) {
        if (!sl_hash_equal(join->file.seeds[i].transport_public, public_key)) continue;
        join->is_first = true;
        memcpy(join->first_address, join->file.seeds[i].address, sizeof join->first_address);
        join->file.seeds[i] = join->file.seeds[--join->file.n_seeds];
        return;
    }
    sodium_memzero(join->first_transport_secret, sizeof join->first_transport_secret);
}

static int check_expiry(const char *path, const struct cli_join *join, uint64_t now_s, char *why)
{
    char ago[CLI_TIME_SIZE], now[CLI_TIME_SIZE];
    if (!join->file.has_invite || join->file.invite.expires_s >= now_s) return SL_OK;
    return SL_FAIL(SL_ERROR_BAD_CERTIFICATE, why, CLI_WHY_SIZE,
                   "%s: expired %s ago, if this machine's clock is right, which says %s; set the clock if it is wrong, else ask for a new invite", path,
                   cli_span_text(now_s - join->file.invite.expires_s, ago), cli_time_text(now_s, now));
}

int cli_join_read(const char *path, uint64_t now_s, struct cli_join *out, char *why)
{
    *out = (struct cli_join){0};
    uint8_t *text;
    size_t size;
    int error = sl_file_read(path, SL_INVITE_FILE_MAX, &text, &size, why, CLI_WHY_SIZE);
    if (error != SL_OK) return error;

    if (strlen((char *)text) != size) error = SL_FAIL(SL_ERROR_FORMAT, why, CLI_WHY_SIZE, "%s: holds zero bytes; an invite is a text file", path);
    if (error == SL_OK) error = take_apart(path, (char *)text, size, out, why);
    sodium_memzero(text, size);
    free(text);
    if (error == SL_OK) error = read_descriptor(path, out, why);
    if (error == SL_OK) error = check_parts(path, out, why);
    if (error == SL_OK) error = check_expiry(path, out, now_s, why);
    if (error == SL_OK) find_first(out);
    else cli_join_finish(out);
    return error;
}

int cli_join_admit(const struct cli_join *join, const char *path, const uint8_t subject[32], uint64_t now_s, uint8_t *out, uint32_t *out_size, char *why)
{
    const struct sl_admission admission = sl_admission_of(&join->config);
    struct sl_certificate said;
    uint32_t n_checks;
    *out_size = (uint32_t)sl_certificate_issue(join->config.network_id, &join->file.invite, subject, out);
    if (*out_size > 0 && sl_certificate_verify(out, *out_size, &admission, subject, now_s, &said, &n_checks) == SL_OK) return SL_OK;

    const char *issuer = join->file.invite.has_host ? "a member whom the operator admitted" : "the operator";
    return SL_FAIL(
        SL_ERROR_BAD_CERTIFICATE, why, CLI_WHY_SIZE,
        "%s: does not admit to the network it describes: its invite was not signed by %s of network %s; it was changed, or put together from two files",
        path, issuer, join->config.network_name);
}

void cli_join_finish(struct cli_join *join)
{
    sl_invite_file_finish(&join->file);
    sl_scaling_finish(&join->scaling);
    sodium_memzero(join->first_transport_secret, sizeof join->first_transport_secret);
    *join = (struct cli_join){0};
}
