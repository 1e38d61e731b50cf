/* SPDX-License-Identifier: MIT */
/* starling invite: the file that is handed to whoever shall join. By the operator from a network's folder, or by a member from its node's directory. */
#include "cli.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "cli_files.h"
#include "cli_join.h"
#include "cli_words.h"
#include "config/invite.h"
#include "config/network.h"
#include "runtime/settings.h"
#include "starling/error.h"

static const uint64_t default_life_s = 365ULL * 86400;

struct invitation {
    struct cli *cli;
    struct cli_words words;
    const char *folder, *address, *from, *uses, *expires, *slot_word, *out;
    bool by_member, is_open, is_first;
    uint64_t life_s, expires_s;
    uint32_t slot;

    struct sl_config config;
    struct sl_scaling scaling;
    struct sl_seed known[SL_SEEDS_MAX];              /* the doors that the network's folder remembers */
    uint32_t n_known;
    bool is_new_door;                                /* known[] has to be written again */
    struct sl_invite_file file;
    uint8_t issuer_secret[64];
    struct sl_identity host;
    char why[CLI_WHY_SIZE];
};

#define REFUSE(invitation, error, ...) SL_FAIL((error), (invitation)->why, CLI_WHY_SIZE, __VA_ARGS__)

/* ---- what was asked for ---- */

static int parse(int argc, char **argv, struct invitation *invitation)
{
    const struct cli_flag flags[] = {{"--address", &invitation->address, NULL},
                                     {"--from", &invitation->from, NULL},
                                     {"--uses", &invitation->uses, NULL},
                                     {"--expires", &invitation->expires, NULL},
                                     {"--slot", &invitation->slot_word, NULL},
                                     {"--out", &invitation->out, NULL},
                                     {0}};
    if (!cli_words_sort(argc, argv, flags, 1, &invitation->words, invitation->why, CLI_WHY_SIZE)) return SL_ERROR_BAD_ARGUMENT;

    bool has_network = invitation->words.n_plain == 1;
    invitation->folder = has_network ? invitation->words.plain[0] : invitation->cli->directory;
    if (!invitation->folder)
        return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT,
                      "wanted: starling invite NET, with the folder that `network create` made; a member invites with: starling -d DIR invite");
    if (invitation->address && !sl_address_is_numeric(invitation->address))
        return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT,
                      "--address %.80s: must be numeric with a port, like 10.0.0.7:7400 or [2001:db8::7]:7400; names are not looked up",
                      invitation->address);
    if (invitation->address && cli_address_is_wildcard(invitation->address))
        return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT, "--address %s: nobody can knock at that; name the address that others see", invitation->address);
    if (strcmp(invitation->uses, "one") != 0 && strcmp(invitation->uses, "many") != 0)
        return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT, "--uses %.40s: must be one or many", invitation->uses);
    if (invitation->expires && !cli_span_parse(invitation->expires, &invitation->life_s))
        return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT, "--expires %.40s: must be a whole number with s, m, h or d, like 30d", invitation->expires);

    bool is_slot = !invitation->slot_word || (strlen(invitation->slot_word) == 1 && invitation->slot_word[0] >= '0' && invitation->slot_word[0] <= '2');
    if (!is_slot) return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT, "--slot %.40s: must be 0, 1 or 2", invitation->slot_word);

    if (invitation->from && !cli_file_exists(invitation->from, "identity.key"))
        return REFUSE(invitation, SL_ERROR_NOT_FOUND,
                      "--from %s: holds no node (identity.key); give the directory of a node of the network, made by `starling init`", invitation->from);

    bool is_network = cli_file_exists(invitation->folder, "operator.key"), is_node = cli_file_exists(invitation->folder, "identity.key");
    invitation->by_member = !is_network && is_node;
    if (is_network || is_node || cli_file_exists(invitation->folder, "network.conf")) return SL_OK;
    return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT, "%s: holds neither a network (network.conf, operator.key) nor a node (identity.key)", invitation->folder);
}

/* Where an invite goes must be no screen: it is a secret. */
static int check_outlet(struct invitation *invitation)
{
    if (invitation->out && access(invitation->out, F_OK) == 0)
        return REFUSE(invitation, SL_ERROR_EXISTS, "%s: exists already and nothing is ever overwritten; name another file", invitation->out);
    if (invitation->out || !isatty(STDOUT_FILENO)) return SL_OK;
    return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT,
                  "an invite is a secret and does not belong on a screen; write it into a file: --out join.star, or > join.star");
}

static int read_descriptor(struct invitation *invitation)
{
    char path[SL_PATH_SIZE];
    uint8_t *text;
    size_t size;
    if (sl_path_join(invitation->folder, "network.conf", path) != SL_OK) return REFUSE(invitation, SL_ERROR_TOO_LARGE, "%s: is too long", invitation->folder);

    int error = sl_network_read(path, &invitation->config, &invitation->scaling, invitation->why, CLI_WHY_SIZE);
    if (error == SL_OK) error = sl_file_read(path, SL_INVITE_FILE_MAX, &text, &size, invitation->why, CLI_WHY_SIZE);
    if (error != SL_OK) return error;

    invitation->file.descriptor = (char *)text;
    invitation->is_open = strcmp(invitation->config.admission, "open") == 0;
    if (strcmp(invitation->config.admission, "private") != 0) return SL_OK;

    invitation->file.has_secret = true;
    error = cli_hex_read(invitation->folder, "network.secret", true, invitation->file.network_secret, 32, &size, invitation->why);
    if (error == SL_OK && size != 32) error = REFUSE(invitation, SL_ERROR_FORMAT, "%s/network.secret: must hold 64 hex digits", invitation->folder);
    return error;
}

/* ---- who invites ---- */

static int read_operator(struct invitation *invitation)
{
    uint8_t public_key[32];
    int error = cli_operator_read(invitation->folder, invitation->issuer_secret, invitation->why);
    if (error != SL_OK) return error;

    crypto_sign_ed25519_sk_to_pk(public_key, invitation->issuer_secret);
    if (sl_hash_equal(public_key, invitation->config.operator_key)) return SL_OK;
    return REFUSE(invitation, SL_ERROR_MISMATCH, "%s/operator.key: is not the operator's key that network.conf names; they belong to different networks",
                  invitation->folder);
}

/* The identity of a node's directory as far as invites need it; `secret` may be NULL. */
static int read_node(struct invitation *invitation, const char *folder, struct sl_identity *out, uint8_t *secret)
{
    char path[SL_PATH_SIZE];
    struct sl_secrets secrets;
    if (sl_path_join(folder, "identity.key", path) != SL_OK) return REFUSE(invitation, SL_ERROR_TOO_LARGE, "%s: is too long", folder);

    int error = sl_secrets_read(path, &secrets, invitation->why, CLI_WHY_SIZE);
    if (error != SL_OK) return error;

    crypto_sign_ed25519_sk_to_pk(out->sign_public, secrets.sign_secret);
    crypto_scalarmult_base(out->transport_public, secrets.transport_secret);
    sl_identity_id(invitation->config.network_id, out->sign_public, out->id);
    if (secret) memcpy(secret, secrets.sign_secret, 64);
    sodium_memzero(&secrets, sizeof secrets);
    return SL_OK;
}

/* The address that a node tells others, from its node.conf. */
static int read_address(struct invitation *invitation, const char *folder, char out[SL_PEER_ADDRESS_MAX])
{
    char path[SL_PATH_SIZE];
    struct sl_config config;
    sl_config_init(&config);
    if (sl_path_join(folder, "node.conf", path) != SL_OK) return REFUSE(invitation, SL_ERROR_TOO_LARGE, "%s: is too long", folder);

    int error = sl_settings_read(path, &config, invitation->why, CLI_WHY_SIZE);
    if (error != SL_OK) return error;

    const char *address = config.address[0] ? config.address : config.listen;
    if (!sl_address_is_numeric(address) || cli_address_is_wildcard(address))
        return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT,
                      "%s: node.address is empty and node.listen is \"%s\", so nobody can be told where to knock; give --address IP:PORT", path,
                      config.listen);
    snprintf(out, SL_PEER_ADDRESS_MAX, "%.47s", address);
    return SL_OK;
}

/* A member may give three invites in all; the directory remembers which. */
static int choose_slot(struct invitation *invitation)
{
    if (invitation->slot_word) {
        invitation->slot = (uint32_t)(invitation->slot_word[0] - '0');
        return SL_OK;
    }
    for (invitation->slot = 0; invitation->slot < SL_INVITES_PER_MEMBER; invitation->slot++) {
        char name[32];
        snprintf(name, sizeof name, "invited.%u", invitation->slot);
        if (!cli_file_exists(invitation->folder, name)) return SL_OK;
    }
    return REFUSE(invitation, SL_ERROR_TOO_FEW,
                  "%s: has given its %d invites; an invite that nobody used can be replaced with --slot 0, 1 or 2, others ask the operator",
                  invitation->folder, SL_INVITES_PER_MEMBER);
}

static int read_member(struct invitation *invitation)
{
    char then[CLI_TIME_SIZE];
    struct sl_identity *host = &invitation->host;
    size_t size;
    if (strcmp(invitation->uses, "one") != 0) return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT, "--uses many: only the operator can make such an invite");

    int error = read_node(invitation, invitation->folder, host, invitation->issuer_secret);
    if (error == SL_OK) error = cli_hex_read(invitation->folder, "admission.cert", false, host->certificate, sizeof host->certificate, &size, invitation->why);
    if (error != SL_OK) return error;

    const struct sl_admission admission = sl_admission_of(&invitation->config);
    struct sl_certificate said;
    uint32_t n_checks;
    host->certificate_size = (uint32_t)size;
    uint64_t now_s = (uint64_t)time(NULL);
    if (sl_certificate_verify(host->certificate, size, &admission, host->id, now_s, &said, &n_checks) != SL_OK)
        return REFUSE(invitation, SL_ERROR_BAD_CERTIFICATE, "%s/admission.cert: does not verify: it is expired, or of another node or network",
                      invitation->folder);
    if (said.has_host)
        return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT, "%s: was invited by a member, and such a guest invites nobody; ask the operator for an invite",
                      invitation->folder);
    if (invitation->expires_s > said.expires_s && invitation->expires)
        return REFUSE(invitation, SL_ERROR_OUT_OF_RANGE, "--expires %s: a guest cannot stay longer than its host, which is a member until %s",
                      invitation->expires, cli_time_text(said.expires_s, then));
    if (invitation->expires_s > said.expires_s) invitation->expires_s = said.expires_s;
    return choose_slot(invitation);
}

/* ---- where the invite leads ---- */

static bool is_known(const struct invitation *invitation, const char *address)
{
    for (uint32_t i = 0; i < invitation->n_known; i++)
        if (strcmp(invitation->known[i].address, address) == 0) return true;
    return false;
}

/* Puts a door in front of the others; the last falls off when there are too many, and one with the same key is replaced. */
static void add_door(struct invitation *invitation, const uint8_t transport_public[32], const char *address)
{
    struct sl_seed door = {0}, kept[SL_SEEDS_MAX];
    memcpy(door.transport_public, transport_public, 32);
    snprintf(door.address, sizeof door.address, "%s", address);

    uint32_t n = 0;
    kept[n++] = door;
    for (uint32_t i = 0; i < invitation->n_known && n < SL_SEEDS_MAX; i++)
        if (!sl_hash_equal(invitation->known[i].transport_public, transport_public)) kept[n++] = invitation->known[i];
    memcpy(invitation->known, kept, sizeof kept);
    invitation->n_known = n;
    invitation->is_new_door = true;
}

static int add_node_door(struct invitation *invitation, const char *folder)
{
    struct sl_identity node;
    char address[SL_PEER_ADDRESS_MAX];
    int error = read_node(invitation, folder, &node, NULL);
    if (error == SL_OK && invitation->address) snprintf(address, sizeof address, "%s", invitation->address);
    else if (error == SL_OK) error = read_address(invitation, folder, address);
    if (error == SL_OK) add_door(invitation, node.transport_public, address);
    return error;
}

/* The operator's folder remembers the doors in its seeds.list; a member is the door itself, with those it came through behind. */
static int choose_doors(struct invitation *invitation)
{
    int error = cli_seeds_read(invitation->folder, invitation->known, SL_SEEDS_MAX, &invitation->n_known, invitation->why);
    if (error != SL_OK) return error;
    if (invitation->by_member || invitation->from) return add_node_door(invitation, invitation->by_member ? invitation->folder : invitation->from);

    if (invitation->n_known == 0 && invitation->is_open)
        return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT,
                      "the first node of an open network is made from the descriptor: starling init DIR --join %s/network.conf ...; "
                      "then: starling invite %s --from DIR",
                      invitation->folder, invitation->folder);
    if (invitation->n_known == 0 && !invitation->address)
        return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT,
                      "this is the network's first invite, for its first node; say where others will reach that node: --address IP:PORT");
    invitation->is_first = invitation->n_known == 0;
    if (invitation->is_first || !invitation->address || is_known(invitation, invitation->address)) return SL_OK;

    return REFUSE(invitation, SL_ERROR_BAD_ARGUMENT,
                  "--address %s: the key of a node there is not known, and nobody could tell it from an impostor; take it from the node's "
                  "directory with --from DIR --address %s. Without --address the invite leads to %s. If the first invite was lost before anybody used it, "
                  "remove %s/seeds.list",
                  invitation->address, invitation->address, invitation->known[0].address, invitation->folder);
}

/* ---- the invite ---- */

static void issue(struct invitation *invitation)
{
    uint8_t seed[32], public_key[32], secret[32];
    uint32_t flags = strcmp(invitation->uses, "one") == 0 || invitation->is_first ? SL_INVITE_SINGLE_USE : 0;
    struct sl_invite_file *file = &invitation->file;
    randombytes_buf(seed, sizeof seed);
    file->has_invite = !invitation->is_open;
    if (file->has_invite)
        sl_invite_issue(invitation->config.network_id, invitation->issuer_secret, invitation->by_member ? &invitation->host : NULL, seed, flags,
                        invitation->slot, invitation->expires_s, &file->invite);
    if (invitation->is_first) {
        cli_first_node_keys(&file->invite, public_key, secret);
        add_door(invitation, public_key, invitation->address);
    }
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(secret, sizeof secret);
    file->n_seeds = invitation->n_known;
    memcpy(file->seeds, invitation->known, sizeof file->seeds);
}

/* Into a file of its own, mode 0600, durable. */
static int write_file(struct invitation *invitation, const char *text, size_t size)
{
    char folder[SL_PATH_SIZE];
    const char *slash = strrchr(invitation->out, '/'), *name = slash ? slash + 1 : invitation->out;
    int length = slash ? (int)(slash - invitation->out) + (slash == invitation->out) : 1;
    if (length >= SL_PATH_SIZE) return REFUSE(invitation, SL_ERROR_TOO_LARGE, "%.80s: is too long", invitation->out);

    snprintf(folder, sizeof folder, "%.*s", length, slash ? invitation->out : ".");
    int error = sl_file_put(folder, name, text, size, 0600, false);
    if (error != SL_OK) return REFUSE(invitation, error, "%s: cannot be written (%s)", invitation->out, sl_error_text(error));
    return SL_OK;
}

/* A file that the shell has just made can usually be read by all: it is closed before the secret goes in. */
static int write_standard_output(struct invitation *invitation, const char *text, size_t size)
{
    struct stat about;
    if (fstat(STDOUT_FILENO, &about) == 0 && S_ISREG(about.st_mode) && about.st_size == 0 && (about.st_mode & 077)) fchmod(STDOUT_FILENO, 0600);

    bool written = fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0;
    if (written) return SL_OK;
    return REFUSE(invitation, errno == ENOSPC ? SL_ERROR_NO_SPACE : SL_ERROR_IO,
                  "the invite cannot be written to standard output (%s); throw away what is there", strerror(errno));
}

static int hand_over(struct invitation *invitation)
{
    char *text = sl_invite_file_text(&invitation->file);
    if (!text) return REFUSE(invitation, SL_ERROR_NO_MEMORY, "not enough memory");

    size_t size = strlen(text);
    int error = invitation->out ? write_file(invitation, text, size) : write_standard_output(invitation, text, size);
    sodium_memzero(text, size);
    free(text);
    return error;
}

/* What the folder has to remember about an invite once it was handed over. */
static int remember(struct invitation *invitation)
{
    char name[32], text[CLI_TIME_SIZE + 32], then[CLI_TIME_SIZE];
    int error = SL_OK;
    if (invitation->by_member) {
        snprintf(name, sizeof name, "invited.%u", invitation->slot);
        snprintf(text, sizeof text, "until %s\n", cli_time_text(invitation->expires_s, then));
        error = sl_file_put(invitation->folder, name, text, strlen(text), 0600, false);
        if (error != SL_OK)
            return REFUSE(invitation, error, "%s/%s: cannot be written (%s); throw the invite away", invitation->folder, name, sl_error_text(error));
    } else if (invitation->is_new_door) {
        error = cli_seeds_put(invitation->folder, invitation->known, invitation->n_known, invitation->why);
    }
    return error;
}

static int invite(struct invitation *invitation)
{
    int error = check_outlet(invitation);
    if (error == SL_OK) error = read_descriptor(invitation);
    if (error == SL_OK && invitation->by_member && !invitation->is_open) error = read_member(invitation);
    if (error == SL_OK && !invitation->by_member && !invitation->is_open) error = read_operator(invitation);
    if (error == SL_OK) error = choose_doors(invitation);
    if (error != SL_OK) return error;

    issue(invitation);
    error = hand_over(invitation);
    return error == SL_OK ? remember(invitation) : error;
}

/* ---- what is said, on standard error: standard output is the invite ---- */

static void say(const struct invitation *invitation)
{
    char then[CLI_TIME_SIZE];
    const char *where = invitation->known[0].address, *network = invitation->config.network_name;
    if (invitation->is_first)
        fprintf(stderr, "An invite for the first node of %s, the one that others will reach at %s. Use it on that machine:\n"
                "  starling init DIR --data FILE --label COLUMN --join FILE.star\n"
                "For every other device make an invite of its own:   starling invite %s > NAME.star\n", network, where, invitation->folder);
    else
        fprintf(stderr,
                "An invite to %s, knocking at %s%s. On the device that shall join:\n  starling init DIR --data FILE --label COLUMN --join FILE.star\n",
                network, where, invitation->n_known > 1 ? " and others" : "");
    if (!invitation->is_open)
        fprintf(stderr, "Keep the file secret: whoever has it can join%s. Who joins with it is a member until %s.\n",
                strcmp(invitation->uses, "many") == 0 && !invitation->is_first ? ", any number of times" : ", once",
                cli_time_text(invitation->expires_s, then));
    if (invitation->is_first && strcmp(invitation->uses, "many") == 0) fprintf(stderr, "--uses many: the first node's invite works once all the same.\n");
    if (cli_address_is_loopback(where))
        fprintf(stderr, "Note: %s leads nowhere but to the machine itself; nodes on other machines cannot join with this.\n", where);
}

static json_t *answer(const struct invitation *invitation)
{
    json_t *doors = json_array();
    for (uint32_t i = 0; i < invitation->n_known; i++) json_array_append_new(doors, json_string(invitation->known[i].address));
    return json_pack("{s:s, s:s, s:b, s:s, s:I, s:o}", "file", invitation->out, "network", invitation->config.network_name, "first", invitation->is_first,
                     "uses", invitation->is_first ? "one" : invitation->uses, "expires", (json_int_t)invitation->expires_s, "addresses", doors);
}

int cli_invite(struct cli *cli, int argc, char **argv)
{
    struct invitation *invitation = calloc(1, sizeof *invitation);
    if (!invitation) return cli_fail(cli, CLI_FAILED, "not enough memory");

    *invitation = (struct invitation){.cli = cli, .uses = "one", .life_s = default_life_s};
    int error = parse(argc, argv, invitation);
    if (error == SL_OK && cli->json && !invitation->out)
        error = REFUSE(invitation, SL_ERROR_BAD_ARGUMENT, "with --json the invite needs a file of its own: --out FILE");
    invitation->expires_s = (uint64_t)time(NULL) + invitation->life_s;
    if (error == SL_OK) error = invite(invitation);

    int code = CLI_OK;
    if (error != SL_OK) code = cli_fail(cli, cli_code_of(error), "%s", invitation->why);
    else if (cli->json) code = cli_answer(cli, answer(invitation));
    else say(invitation);
    sodium_memzero(invitation->issuer_secret, sizeof invitation->issuer_secret);
    sl_invite_file_finish(&invitation->file);
    sl_scaling_finish(&invitation->scaling);
    free(invitation);
    return code;
}
