/* SPDX-License-Identifier: MIT */
/* starling key show: who a node is, without its secrets. starling key renew: a new certificate for the same identity, from a new invite. */
#include "cli.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "cli_files.h"
#include "cli_join.h"
#include "cli_words.h"
#include "config/network.h"
#include "runtime/membership.h"
#include "runtime/settings.h"
#include "runtime/setup.h"
#include "starling/error.h"
#include "starling/identity.h"
#include "wire/certificate.h"

struct view {
    const char *folder, *join_path;
    bool renews;
    struct sl_setup setup;                       /* as far as an identity needs it */
    struct sl_certificate certificate;
    char id[65], sign[65], transport[65], host[65];
    char why[CLI_WHY_SIZE];
};

static int parse(struct cli *cli, int argc, char **argv, struct view *view)
{
    struct cli_words words;
    const struct cli_flag flags[] = {{"--join", &view->join_path, NULL}, {0}};
    if (!cli_words_sort(argc, argv, flags, 2, &words, view->why, CLI_WHY_SIZE)) return SL_ERROR_BAD_ARGUMENT;

    const char *verb = words.n_plain >= 1 ? words.plain[0] : "";
    view->renews = strcmp(verb, "renew") == 0;
    view->folder = words.n_plain == 2 ? words.plain[1] : cli->directory;
    bool is_whole = view->renews == (view->join_path != NULL) && (view->renews || strcmp(verb, "show") == 0);
    if (is_whole && view->folder) return SL_OK;
    return SL_FAIL(SL_ERROR_BAD_ARGUMENT, view->why, CLI_WHY_SIZE,
                   "wanted: starling key show DIR, or starling key renew DIR --join INVITE, with the directory of a node");
}

static int read_node(struct view *view)
{
    char path[SL_PATH_SIZE];
    struct sl_setup *setup = &view->setup;
    *setup = (struct sl_setup){.folder = view->folder};
    sl_config_init(&setup->config);
    if (sl_path_join(view->folder, "network.conf", path) != SL_OK) return SL_FAIL(SL_ERROR_TOO_LARGE, view->why, CLI_WHY_SIZE, "%s: is too long", view->folder);

    int error = sl_network_read(path, &setup->config, &setup->scaling, view->why, CLI_WHY_SIZE);
    sl_path_join(view->folder, "node.conf", path);
    if (error == SL_OK) error = sl_settings_read(path, &setup->config, view->why, CLI_WHY_SIZE);
    if (error == SL_OK) error = sl_membership_read(setup, view->why, CLI_WHY_SIZE);
    if (error != SL_OK) return error;

    const struct sl_admission admission = sl_admission_of(&setup->config);
    uint32_t n_checks;
    error = sl_certificate_verify(setup->identity.certificate, setup->identity.certificate_size, &admission, setup->identity.id, (uint64_t)time(NULL),
                                  &view->certificate, &n_checks);
    if (error != SL_OK) return SL_FAIL(error, view->why, CLI_WHY_SIZE, "%s: its certificate does not verify", view->folder);

    sodium_bin2hex(view->id, sizeof view->id, setup->identity.id, 32);
    sodium_bin2hex(view->sign, sizeof view->sign, setup->identity.sign_public, 32);
    sodium_bin2hex(view->transport, sizeof view->transport, setup->identity.transport_public, 32);
    sodium_bin2hex(view->host, sizeof view->host, view->certificate.host_id, 32);
    return SL_OK;
}

/* ---- renew ---- */

/* The same identity, admitted anew: the descriptor must be the one the node has, and all else stays. */
static int renew(struct view *view)
{
    char path[SL_PATH_SIZE];
    struct sl_secrets secrets;
    struct cli_join join;
    struct sl_identity self = {0};
    const uint64_t now_s = (uint64_t)time(NULL);
    int error = cli_join_read(view->join_path, now_s, &join, view->why);
    if (error != SL_OK) return error;

    struct sl_config config;
    struct sl_scaling scaling = {0};
    sl_config_init(&config);
    if (sl_path_join(view->folder, "network.conf", path) == SL_OK) error = sl_network_read(path, &config, &scaling, view->why, CLI_WHY_SIZE);
    if (error == SL_OK && !sl_hash_equal(config.network_id, join.config.network_id))
        error = SL_FAIL(SL_ERROR_MISMATCH, view->why, CLI_WHY_SIZE, "%s: invites to the network %s, but this node is of another one, %s", view->join_path,
                        join.config.network_name, config.network_name);
    if (error == SL_OK && !join.file.has_invite)
        error = SL_FAIL(SL_ERROR_BAD_ARGUMENT, view->why, CLI_WHY_SIZE, "%s: belongs to an open network, whose members never expire", view->join_path);
    if (sl_path_join(view->folder, "identity.key", path) == SL_OK && error == SL_OK) error = sl_secrets_read(path, &secrets, view->why, CLI_WHY_SIZE);
    if (error == SL_OK) {
        crypto_sign_ed25519_sk_to_pk(self.sign_public, secrets.sign_secret);
        sodium_memzero(&secrets, sizeof secrets);
        sl_identity_id(config.network_id, self.sign_public, self.id);
        error = cli_join_admit(&join, view->join_path, self.id, now_s, self.certificate, &self.certificate_size, view->why);
    }
    struct cli_folder folder = {.path = view->folder};
    if (error == SL_OK) error = cli_hex_put(&folder, "admission.cert", self.certificate, self.certificate_size, 0644, view->why);
    sl_scaling_finish(&scaling);
    cli_join_finish(&join);
    return error;
}

/* ---- what is said ---- */

static void admitted_by(const struct view *view, char out[128])
{
    if (view->certificate.expires_s == UINT64_MAX) snprintf(out, 128, "a puzzle, for ever");
    else if (view->certificate.has_host) snprintf(out, 128, "member %s", view->host);
    else snprintf(out, 128, "the operator");
}

static void say(const struct view *view)
{
    char who[128], then[CLI_TIME_SIZE];
    const struct sl_identity *self = &view->setup.identity;
    admitted_by(view, who);
    printf("id             %s\n", view->id);
    printf("name           %s\n", view->setup.config.name[0] ? view->setup.config.name : "(none)");
    printf("network        %s\n", view->setup.config.network_name);
    printf("signing key    %s\n", view->sign);
    printf("transport key  %s\n", view->transport);
    printf("address        %s\n", self->address[0] ? self->address : "(none: others cannot dial it)");
    printf("admitted by    %s\n", who);
    if (view->certificate.expires_s != UINT64_MAX) printf("member until   %s\n", cli_time_text(view->certificate.expires_s, then));
    printf("secret keys    (hidden)\n");
}

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

static json_t *answer(const struct view *view)
{
    const struct sl_certificate *certificate = &view->certificate;
    bool expires = certificate->expires_s != UINT64_MAX;
    return json_pack("{s:s, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:s}", "id", view->id, "name", text_or_null(view->setup.config.name), "network",
                     view->setup.config.network_name, "sign_public", view->sign, "transport_public", view->transport, "address",
                     text_or_null(view->setup.identity.address), "host", certificate->has_host ? json_string(view->host) : json_null(), "expires",
                     expires ? json_integer((json_int_t)certificate->expires_s) : json_null(), "secret", "(hidden)");
}

int cli_key(struct cli *cli, int argc, char **argv)
{
    struct view *view = calloc(1, sizeof *view);
    if (!view) return cli_fail(cli, CLI_FAILED, "not enough memory");

    int error = parse(cli, argc, argv, view);
    if (error == SL_OK && view->renews) error = renew(view);
    if (error == SL_OK) error = read_node(view);

    int code = CLI_OK;
    if (error != SL_OK) code = cli_fail(cli, cli_code_of(error), "%s", view->why);
    else if (cli->json) code = cli_answer(cli, answer(view));
    else say(view);
    sl_setup_finish(&view->setup);
    free(view);
    return code;
}
