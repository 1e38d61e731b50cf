/* SPDX-License-Identifier: MIT */
#include "runtime/membership.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "runtime/files.h"
#include "starling/error.h"
#include "wire/certificate.h"

enum { SEEDS_SIZE_MAX = 64 << 10, HEX_SIZE_MAX = 4096, SEED_LINE_MAX = 256 };

static bool is_there(const struct sl_setup *setup, const char *name, char path[SL_PATH_SIZE])
{
    sl_path_join(setup->folder, name, path);
    return access(path, F_OK) == 0;
}

static int read_identity(struct sl_setup *setup, char *why, size_t why_size)
{
    char path[SL_PATH_SIZE];
    struct sl_secrets secrets;
    sl_path_join(setup->folder, "identity.key", path);
    int error = sl_secrets_read(path, &secrets, why, why_size);
    if (error != SL_OK) return error;

    struct sl_identity *self = &setup->identity;
    memcpy(self->sign_secret, secrets.sign_secret, sizeof self->sign_secret);
    memcpy(setup->transport_secret, secrets.transport_secret, sizeof setup->transport_secret);
    sodium_memzero(&secrets, sizeof secrets);
    crypto_sign_ed25519_sk_to_pk(self->sign_public, self->sign_secret);
    crypto_scalarmult_base(self->transport_public, setup->transport_secret);
    sl_identity_id(setup->config.network_id, self->sign_public, self->id);
    return SL_OK;
}

/* ---- hex files ---- */

/* One line of hex digits, at most size_max bytes; what is between the digits' end and the file's end must be blank. */
static int read_hex(const char *path, uint8_t *out, size_t size_max, size_t *out_size, char *why, size_t why_size)
{
    uint8_t *text;
    size_t size, used = 0;
    int error = sl_file_read(path, HEX_SIZE_MAX, &text, &size, why, why_size);
    if (error != SL_OK) return error;

    const char *end;
    bool whole = sodium_hex2bin(out, size_max, (const char *)text, size, NULL, &used, &end) == 0 && used > 0;
    whole = whole && strspn(end, " \t\r\n") == size - (size_t)(end - (const char *)text);
    sodium_memzero(text, size);
    free(text);
    if (!whole) return SL_FAIL(SL_ERROR_FORMAT, why, why_size, "%s: must be one line of at most %zu hex digits; restore it from a copy", path, 2 * size_max);

    *out_size = used;
    return SL_OK;
}

static int read_secret(struct sl_setup *setup, char *why, size_t why_size)
{
    char path[SL_PATH_SIZE];
    bool wanted = strcmp(setup->config.admission, "private") == 0;
    if (!wanted) return SL_OK;
    if (!is_there(setup, "network.secret", path))
        return SL_FAIL(SL_ERROR_NOT_FOUND, why, why_size, "%s: is missing; a private network has a secret, which comes with the invite", path);

    struct stat about;
    if (stat(path, &about) == 0 && (about.st_mode & 077))
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, why_size, "%s: others may read this secret (mode %03o); close it with: chmod 600 %s", path,
                       (unsigned)about.st_mode & 0777, path);

    size_t size = 0;
    int error = read_hex(path, setup->network_secret, sizeof setup->network_secret, &size, why, why_size);
    if (error != SL_OK) return error;
    if (size != sizeof setup->network_secret)
        return SL_FAIL(SL_ERROR_FORMAT, why, why_size, "%s: must hold 64 hex digits, not %zu; restore it from a copy", path, 2 * size);
    setup->config.network_secret = setup->network_secret;
    return SL_OK;
}

/* ---- addresses ---- */

bool sl_address_is_wildcard(const char *address)
{
    return strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
}

static int check_address(const char *key, const char *address, char *why, size_t why_size)
{
    if (!sl_address_is_numeric(address))
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, why_size, "%s is \"%s\": it must be a numeric address and a port, like 127.0.0.1:7400", key, address);
    return SL_OK;
}

/* What others are told: node.address, else the prepared list's address, else node.listen unless that names no address of its own. */
static int settle_address(struct sl_setup *setup, const struct sl_peer *entry, char *why, size_t why_size)
{
    const struct sl_config *config = &setup->config;
    const char *address = config->address;
    int error = check_address("node.listen", config->listen, why, why_size);
    if (error == SL_OK && address[0]) error = check_address("node.address", address, why, why_size);
    if (error != SL_OK) return error;
    if (address[0] && sl_address_is_wildcard(address))
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, why_size,
                       "node.address is \"%s\": that is no address others could dial; leave it empty if there is none", address);

    if (!address[0] && entry) address = entry->address;
    if (!address[0] && !sl_address_is_wildcard(config->listen)) address = config->listen;
    snprintf(setup->identity.address, sizeof setup->identity.address, "%.*s", SL_PEER_ADDRESS_MAX - 1, address);
    return SL_OK;
}

static int parse_seed(char *line, const char *where, struct sl_seed *out, char *why, size_t why_size)
{
    char *rest = NULL, *key = strtok_r(line, " \t\r", &rest), *address = strtok_r(NULL, " \t\r", &rest);
    size_t used = 0;
    bool whole = key && address && !strtok_r(NULL, " \t\r", &rest) && strlen(key) == 64 &&
                 sodium_hex2bin(out->transport_public, 32, key, 64, NULL, &used, NULL) == 0 && used == 32 && sl_address_is_numeric(address);
    if (!whole)
        return SL_FAIL(SL_ERROR_FORMAT, why, why_size,
                       "%s: a line is a transport key of 64 hex digits, a blank, and a numeric address like 10.0.0.7:7400", where);

    memcpy(out->address, address, strlen(address) + 1);
    return SL_OK;
}

static int read_seeds(struct sl_setup *setup, char *why, size_t why_size)
{
    char path[SL_PATH_SIZE], where[SL_PATH_SIZE + 32];
    if (!is_there(setup, "seeds.list", path)) return SL_OK;

    uint8_t *text;
    size_t size;
    int error = sl_file_read(path, SEEDS_SIZE_MAX, &text, &size, why, why_size);
    if (error != SL_OK) return error;

    uint32_t number = 0;
    for (char *line = (char *)text, *next; line && error == SL_OK; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        number++;
        if (line[0] == '#' || line[strspn(line, " \t\r")] == 0) continue;

        snprintf(where, sizeof where, "%s, line %u", path, number);
        if (setup->n_seeds == SL_SETUP_SEEDS_MAX)
            error = SL_FAIL(SL_ERROR_TOO_LARGE, why, why_size, "%s: is one seed too many; %d are read at most", where, SL_SETUP_SEEDS_MAX);
        else error = parse_seed(line, where, &setup->seeds[setup->n_seeds], why, why_size);
        setup->n_seeds += error == SL_OK;
    }
    free(text);
    return error;
}

/* ---- the prepared list ---- */

static const struct sl_peer *own_entry(const struct sl_setup *setup)
{
    for (uint32_t i = 0; i < setup->n_peers; i++)
        if (sl_hash_equal(setup->peers[i].sign_public, setup->identity.sign_public)) return &setup->peers[i];
    return NULL;
}

static int check_own_entry(const struct sl_setup *setup, const struct sl_peer *entry, const char *path, char *why, size_t why_size)
{
    if (!sl_hash_equal(entry->id, setup->identity.id))
        return SL_FAIL(SL_ERROR_MISMATCH, why, why_size,
                       "%s: was made for another network than network.conf describes; copy the descriptor that came with the list", path);
    if (!sl_hash_equal(entry->transport_public, setup->identity.transport_public))
        return SL_FAIL(SL_ERROR_MISMATCH, why, why_size, "%s: names another transport key for this node than identity.key holds", path);
    return SL_OK;
}

static int read_peers(struct sl_setup *setup, char *why, size_t why_size)
{
    char path[SL_PATH_SIZE];
    if (!is_there(setup, "peers.list", path)) return SL_OK;

    int error = sl_peers_read(path, &setup->peers, &setup->n_peers, why, why_size);
    const struct sl_peer *entry = error == SL_OK ? own_entry(setup) : NULL;
    if (entry) error = check_own_entry(setup, entry, path, why, why_size);
    return error;                            /* certificates of others are checked when they speak: one that expired must not keep this node from starting */
}

/* ---- the own certificate ---- */

static int take_certificate(struct sl_setup *setup, const struct sl_peer *entry, char path[SL_PATH_SIZE], char *why, size_t why_size)
{
    struct sl_identity *self = &setup->identity;
    if (is_there(setup, "admission.cert", path)) {
        size_t size = 0;
        int error = read_hex(path, self->certificate, sizeof self->certificate, &size, why, why_size);
        self->certificate_size = (uint32_t)size;
        return error;
    }
    if (!entry && setup->n_peers > 0)
        return SL_FAIL(SL_ERROR_NOT_FOUND, why, why_size,
                       "%s/peers.list: the key of identity.key is not on the list, and there is no admission.cert; use the list that was made with "
                       "the key, or join with an invite", setup->folder);
    if (!entry)
        return SL_FAIL(SL_ERROR_NOT_FOUND, why, why_size,
                       "%s: there is neither admission.cert nor peers.list, so nobody admits this node; `starling init --join INVITE` makes a whole directory",
                       setup->folder);

    sl_path_join(setup->folder, "peers.list", path);
    memcpy(self->certificate, entry->certificate, sizeof self->certificate);
    self->certificate_size = entry->certificate_size;
    return SL_OK;
}

static int refuse_certificate(const struct sl_setup *setup, const char *path, uint64_t now_s, char *why, size_t why_size)
{
    const struct sl_admission admission = sl_admission_of(&setup->config);
    struct sl_certificate said;
    uint32_t n_checks;
    const struct sl_identity *self = &setup->identity;
    bool was_good = sl_certificate_verify(self->certificate, self->certificate_size, &admission, self->id, 0, &said, &n_checks) == SL_OK;
    if (was_good)
        return SL_FAIL(SL_ERROR_BAD_CERTIFICATE, why, why_size,
                       "%s: the certificate expired %.1f days ago by this machine's clock: set the clock if that is wrong, else ask for a new invite and "
                       "take it with: starling key renew %s --join INVITE", path, (double)(now_s - said.expires_s) / 86400, setup->folder);
    return SL_FAIL(SL_ERROR_BAD_CERTIFICATE, why, why_size,
                   "%s: the certificate does not admit the key of identity.key to the network of network.conf; the three files must come from one invite",
                   path);
}

static int check_own_certificate(struct sl_setup *setup, const char *path, char *why, size_t why_size)
{
    const struct sl_admission admission = sl_admission_of(&setup->config);
    struct sl_certificate said;
    uint32_t n_checks;
    uint64_t now_s = (uint64_t)time(NULL);
    int error = sl_certificate_verify(setup->identity.certificate, setup->identity.certificate_size, &admission, setup->identity.id, now_s, &said, &n_checks);
    if (error != SL_OK) return refuse_certificate(setup, path, now_s, why, why_size);

    setup->certificate_expires_s = said.expires_s;
    return SL_OK;
}

int sl_membership_read(struct sl_setup *setup, char *why, size_t why_size)
{
    char path[SL_PATH_SIZE];
    int error = read_identity(setup, why, why_size);
    if (error == SL_OK) error = read_secret(setup, why, why_size);
    if (error == SL_OK) error = read_seeds(setup, why, why_size);
    if (error == SL_OK) error = read_peers(setup, why, why_size);
    if (error != SL_OK) return error;

    const struct sl_peer *entry = own_entry(setup);
    error = take_certificate(setup, entry, path, why, why_size);
    if (error == SL_OK) error = check_own_certificate(setup, path, why, why_size);
    if (error == SL_OK) error = settle_address(setup, entry, why, why_size);
    if (error != SL_OK) return error;

    setup->config.identity = &setup->identity;
    setup->config.peers = setup->peers;
    setup->config.n_peers = setup->n_peers;
    setup->config.seeds = setup->seeds;
    setup->config.n_seeds = setup->n_seeds;
    return SL_OK;
}
