/* SPDX-License-Identifier: MIT */
#include "runtime/files.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "starling/error.h"

enum {
    SECRETS_SIZE_MAX = 1024,             /* the text of a key file: 192 digits and a comment */
    PEERS_SIZE_MAX = 64 << 20,           /* 65536 peers of a thousand characters */
    PEER_FIELDS = 5
};

/* A fresh file: what a crash left under this name goes first, and nothing that somebody put in its place meanwhile is written through. */
static int write_durably(const char *path, const uint8_t *data, size_t size, mode_t mode)
{
    unlink(path);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (descriptor < 0) return sl_file_error(errno);

    int error = SL_OK;
    while (size > 0 && error == SL_OK) {
        ssize_t n = write(descriptor, data, size);
        if (n >= 0) data += n, size -= (size_t)n;
        else if (errno != EINTR) error = sl_file_error(errno);
    }
    if (error == SL_OK && fsync(descriptor) != 0) error = sl_file_error(errno);
    if (close(descriptor) != 0 && error == SL_OK) error = sl_file_error(errno);
    return error;
}

static int path_with_ending(const char *path, const char *ending, char out[SL_PATH_SIZE])
{
    int length = snprintf(out, SL_PATH_SIZE, "%s%s", path, ending);
    return length > 0 && length < SL_PATH_SIZE ? SL_OK : SL_ERROR_TOO_LARGE;
}

static bool decode_hex(const char *text, size_t length, uint8_t *out, size_t size)
{
    size_t written = 0;
    return length == 2 * size && sodium_hex2bin(out, size, text, length, NULL, &written, NULL) == 0 && written == size;
}

/* The value of "name = value" if the line is that, else NULL. */
static const char *value_of(const char *line, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(line, name, length) != 0) return NULL;

    line += length;
    line += strspn(line, " ");
    if (*line != '=') return NULL;

    line++;
    return line + strspn(line, " ");
}

/* A key file that was cut or damaged gives a secret whose public half does not belong to it. */
static bool fits_itself(const uint8_t sign_secret[64])
{
    uint8_t seed[32], public_key[32], secret[64];
    crypto_sign_ed25519_sk_to_seed(seed, sign_secret);
    crypto_sign_seed_keypair(public_key, secret, seed);

    bool fits = sodium_memcmp(secret, sign_secret, sizeof secret) == 0;
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(secret, sizeof secret);
    return fits;
}

static bool parse_secrets(char *text, struct sl_secrets *out)
{
    bool has_sign = false, has_transport = false;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *sign = value_of(line, "sign"), *transport = value_of(line, "transport");
        if (sign) has_sign = decode_hex(sign, strlen(sign), out->sign_secret, sizeof out->sign_secret);
        if (transport) has_transport = decode_hex(transport, strlen(transport), out->transport_secret, sizeof out->transport_secret);
    }
    return has_sign && has_transport && fits_itself(out->sign_secret);
}

/* Splits at single spaces; false unless there are exactly PEER_FIELDS fields. */
static bool split_line(char *line, char *fields[PEER_FIELDS])
{
    char *rest = NULL;
    uint32_t n = 0;
    for (char *field = strtok_r(line, " \t\r", &rest); field; field = strtok_r(NULL, " \t\r", &rest)) {
        if (n == PEER_FIELDS) return false;
        fields[n++] = field;
    }
    return n == PEER_FIELDS;
}

/* NULL, or what is wrong with the line. */
static const char *parse_peer(char *line, struct sl_peer *out)
{
    char *fields[PEER_FIELDS];
    if (!split_line(line, fields)) return "a line has five fields: id, signing key, transport key, address, certificate";

    memset(out, 0, sizeof *out);
    if (!decode_hex(fields[0], strlen(fields[0]), out->id, 32)) return "the id must have 64 hex digits";
    if (!decode_hex(fields[1], strlen(fields[1]), out->sign_public, 32)) return "the signing key must have 64 hex digits";
    if (!decode_hex(fields[2], strlen(fields[2]), out->transport_public, 32)) return "the transport key must have 64 hex digits";
    if (!sl_address_is_numeric(fields[3])) return "the address must be numeric, like 127.0.0.1:7400 or [::1]:7400";

    size_t size = strlen(fields[4]) / 2;
    if (size == 0 || size > sizeof out->certificate || !decode_hex(fields[4], strlen(fields[4]), out->certificate, size))
        return "the certificate must be hex, two digits a byte";
    out->certificate_size = (uint32_t)size;
    memcpy(out->address, fields[3], strlen(fields[3]) + 1);
    return NULL;
}

static uint32_t count_lines(const char *text)
{
    uint32_t n = 1;
    for (; *text; text++) n += *text == '\n';
    return n;
}

static bool is_decimal(const char *text, size_t length_max)
{
    size_t length = strlen(text);
    return length > 0 && length <= length_max && strspn(text, "0123456789") == length;
}

int sl_path_join(const char *folder, const char *name, char out[SL_PATH_SIZE])
{
    int length = snprintf(out, SL_PATH_SIZE, "%s/%s", folder, name);
    return length > 0 && length < SL_PATH_SIZE ? SL_OK : SL_ERROR_TOO_LARGE;
}

int sl_file_error(int number)
{
    return number == ENOSPC || number == EDQUOT ? SL_ERROR_NO_SPACE : SL_ERROR_IO;
}

int sl_folder_sync(const char *folder)
{
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return SL_ERROR_IO;

    int error = fsync(descriptor) == 0 ? SL_OK : sl_file_error(errno);
    close(descriptor);
    return error;
}

int sl_file_put(const char *folder, const char *name, const void *data, size_t size, mode_t mode, bool keep_previous)
{
    char path[SL_PATH_SIZE], fresh[SL_PATH_SIZE], previous[SL_PATH_SIZE];
    if (sl_path_join(folder, name, path) != SL_OK || path_with_ending(path, ".new", fresh) != SL_OK ||
        path_with_ending(path, ".bak", previous) != SL_OK)
        return SL_ERROR_TOO_LARGE;

    int error = write_durably(fresh, data, size, mode);
    if (error != SL_OK) goto out;

    /* Between the two renames only the .bak exists: a reader who finds no file takes that. */
    if (keep_previous && rename(path, previous) != 0 && errno != ENOENT) error = sl_file_error(errno);
    if (error == SL_OK && rename(fresh, path) != 0) error = sl_file_error(errno);
    if (error == SL_OK) return sl_folder_sync(folder);

out:
    unlink(fresh);
    return error;
}

int sl_file_remove(const char *folder, const char *name)
{
    char path[SL_PATH_SIZE];
    if (sl_path_join(folder, name, path) != SL_OK) return SL_ERROR_IO;
    if (unlink(path) == 0) return sl_folder_sync(folder);
    return errno == ENOENT ? SL_OK : sl_file_error(errno);
}

int sl_file_read(const char *path, size_t size_max, uint8_t **out, size_t *out_size, char *why, size_t why_size)
{
    uint8_t *data = NULL;
    FILE *file = fopen(path, "rb");
    if (!file) {
        int error = errno == ENOENT ? SL_ERROR_NOT_FOUND : SL_ERROR_IO;
        return SL_FAIL(error, why, why_size, "%s: cannot be opened (%s)", path, strerror(errno));
    }

    struct stat about;
    int error = SL_OK;
    if (fstat(fileno(file), &about) != 0 || !S_ISREG(about.st_mode))
        error = SL_FAIL(SL_ERROR_IO, why, why_size, "%s: is not a file", path);
    else if ((uint64_t)about.st_size > size_max)
        error = SL_FAIL(SL_ERROR_TOO_LARGE, why, why_size, "%s: has %lld bytes, more than the %zu that such a file may have", path,
                        (long long)about.st_size, size_max);
    else if (!(data = malloc((size_t)about.st_size + 1)))
        error = SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "%s: not enough memory to read it", path);
    if (error != SL_OK) goto out;

    size_t size = fread(data, 1, (size_t)about.st_size, file);
    if (ferror(file)) {
        error = SL_FAIL(SL_ERROR_IO, why, why_size, "%s: cannot be read", path);
        goto out;
    }
    data[size] = 0;
    *out = data;
    *out_size = size;
    data = NULL;
out:
    free(data);
    fclose(file);
    return error;
}

int sl_secrets_write(const char *folder, const char *name, const struct sl_secrets *secrets, char *why, size_t why_size)
{
    char path[SL_PATH_SIZE], text[SECRETS_SIZE_MAX], sign[129], transport[65];
    if (sl_path_join(folder, name, path) != SL_OK) return SL_FAIL(SL_ERROR_TOO_LARGE, why, why_size, "%s: the path is too long", folder);
    if (access(path, F_OK) == 0) return SL_FAIL(SL_ERROR_EXISTS, why, why_size, "%s: exists already; keys are never replaced", path);

    sodium_bin2hex(sign, sizeof sign, secrets->sign_secret, sizeof secrets->sign_secret);
    sodium_bin2hex(transport, sizeof transport, secrets->transport_secret, sizeof secrets->transport_secret);
    int length = snprintf(text, sizeof text, "# Secret keys of one Starling node. Whoever reads this file can act as the node.\nsign = %s\ntransport = %s\n",
                          sign, transport);
    assert(length > 0 && (size_t)length < sizeof text);

    int error = sl_file_put(folder, name, text, (size_t)length, 0600, false);
    sodium_memzero(text, sizeof text);
    sodium_memzero(sign, sizeof sign);
    sodium_memzero(transport, sizeof transport);
    if (error != SL_OK) return SL_FAIL(error, why, why_size, "%s: cannot be written (%s)", path, sl_error_text(error));
    return SL_OK;
}

int sl_secrets_read(const char *path, struct sl_secrets *out, char *why, size_t why_size)
{
    struct stat about;
    if (stat(path, &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & 077))
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, why_size,
                       "%s: others may read this secret key (mode %03o); close it with: chmod 600 %s", path, (unsigned)about.st_mode & 0777, path);

    uint8_t *text;
    size_t size;
    int error = sl_file_read(path, SECRETS_SIZE_MAX, &text, &size, why, why_size);
    if (error != SL_OK) return error;

    struct sl_secrets secrets = {0};
    bool parsed = parse_secrets((char *)text, &secrets);
    sodium_memzero(text, size);
    free(text);
    if (parsed) *out = secrets;
    sodium_memzero(&secrets, sizeof secrets);
    if (parsed) return SL_OK;
    return SL_FAIL(SL_ERROR_FORMAT, why, why_size,
                   "%s: is not a whole key file (%zu bytes); it must hold a line \"sign = \" with 128 hex digits and a line \"transport = \" with 64; "
                   "restore it from a copy",
                   path, size);
}

int sl_peers_write(const char *folder, const char *name, const struct sl_peer *peers, uint32_t n_peers, char *why, size_t why_size)
{
    static const char head[] = "# The prepared list: id, signing key, transport key, address, certificate\n";
    size_t line_max = 3 * 65 + SL_PEER_ADDRESS_MAX + 2 * SL_PEER_CERTIFICATE_MAX + 3;
    char *text = malloc(sizeof head + line_max * n_peers);
    if (!text) return SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory for a list of %u peers", n_peers);

    memcpy(text, head, sizeof head);
    size_t at = sizeof head - 1;
    for (uint32_t i = 0; i < n_peers; i++) {
        char id[65], sign[65], transport[65], certificate[2 * SL_PEER_CERTIFICATE_MAX + 1];
        sodium_bin2hex(id, sizeof id, peers[i].id, 32);
        sodium_bin2hex(sign, sizeof sign, peers[i].sign_public, 32);
        sodium_bin2hex(transport, sizeof transport, peers[i].transport_public, 32);
        sodium_bin2hex(certificate, sizeof certificate, peers[i].certificate, peers[i].certificate_size);
        at += (size_t)snprintf(text + at, line_max + 1, "%s %s %s %s %s\n", id, sign, transport, peers[i].address, certificate);
    }

    int error = sl_file_put(folder, name, text, at, 0644, false);
    free(text);
    if (error != SL_OK) return SL_FAIL(error, why, why_size, "%s/%s: cannot be written (%s)", folder, name, sl_error_text(error));
    return SL_OK;
}

int sl_peers_read(const char *path, struct sl_peer **out, uint32_t *n_out, char *why, size_t why_size)
{
    uint8_t *text;
    size_t size;
    int error = sl_file_read(path, PEERS_SIZE_MAX, &text, &size, why, why_size);
    if (error != SL_OK) return error;

    uint32_t n = 0, line_number = 0;
    struct sl_peer *peers = calloc(count_lines((char *)text), sizeof *peers);
    if (!peers) error = SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "%s: not enough memory to read it", path);

    for (char *line = (char *)text, *next; line && error == SL_OK; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        line_number++;
        if (line[0] == '#' || line[strspn(line, " \t\r")] == 0) continue;

        const char *wrong = parse_peer(line, &peers[n]);
        if (wrong) error = SL_FAIL(SL_ERROR_FORMAT, why, why_size, "%s, line %u: %s", path, line_number, wrong);
        else n++;
    }

    free(text);
    if (error != SL_OK) {
        free(peers);
        return error;
    }
    *out = peers;
    *n_out = n;
    return SL_OK;
}

int sl_folder_lock(const char *folder, int *out_descriptor, char *why, size_t why_size)
{
    char path[SL_PATH_SIZE];
    if (sl_path_join(folder, "node.lock", path) != SL_OK) return SL_FAIL(SL_ERROR_IO, why, why_size, "%s: the path is too long", folder);

    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return SL_FAIL(SL_ERROR_IO, why, why_size, "%s: cannot be opened (%s)", path, strerror(errno));

    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        int error = errno == EWOULDBLOCK ? SL_ERROR_EXISTS : SL_ERROR_IO;
        close(descriptor);
        return SL_FAIL(error, why, why_size, "%s: another process runs this node; stop it first, or give this one a directory of its own", folder);
    }
    *out_descriptor = descriptor;
    return SL_OK;
}

bool sl_address_is_numeric(const char *address)
{
    char host[SL_PEER_ADDRESS_MAX];
    const char *colon = strrchr(address, ':');
    if (!colon || strlen(address) >= sizeof host || !is_decimal(colon + 1, 5)) return false;

    long port = strtol(colon + 1, NULL, 10);
    size_t length = (size_t)(colon - address);
    if (port < 1 || port > 65535 || length < 2) return false;

    uint8_t number[16];
    bool is_v6 = address[0] == '[' && address[length - 1] == ']';
    memcpy(host, is_v6 ? address + 1 : address, is_v6 ? length - 2 : length);
    host[is_v6 ? length - 2 : length] = 0;
    return inet_pton(is_v6 ? AF_INET6 : AF_INET, host, number) == 1;
}
