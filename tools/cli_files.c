/* SPDX-License-Identifier: MIT */
#include "cli_files.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config/options.h"
#include "data/dataset.h"
#include "starling/error.h"

enum { KEY_FILE_MAX = 1024, SEEDS_FILE_MAX = 64 << 10, SHOWN_ENTRIES = 3 };

/* ---- a folder that is filled wholly or not at all ---- */

/* Up to three names that lie in the folder, "" when it is empty. */
static int list_entries(const char *path, char *out, size_t size, char *why)
{
    DIR *folder = opendir(path);
    if (!folder) return SL_FAIL(SL_ERROR_IO, why, CLI_WHY_SIZE, "%s: cannot be used as a folder (%s)", path, strerror(errno));

    uint32_t n = 0;
    size_t used = 0;
    out[0] = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        bool is_nothing = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || strcmp(entry->d_name, "lost+found") == 0;
        if (is_nothing || ++n > SHOWN_ENTRIES) continue;
        int length = snprintf(out + used, size - used, "%s%.40s", n > 1 ? ", " : "", entry->d_name);
        if (length > 0 && used + (size_t)length < size) used += (size_t)length;
    }
    if (n > SHOWN_ENTRIES) snprintf(out + used, size - used, " and %u more", n - SHOWN_ENTRIES);
    closedir(folder);
    return SL_OK;
}

static int take_existing(const char *path, mode_t mode, char *why)
{
    char entries[256];
    int error = list_entries(path, entries, sizeof entries, why);
    if (error != SL_OK) return error;
    if (entries[0])
        return SL_FAIL(SL_ERROR_EXISTS, why, CLI_WHY_SIZE, "%s: is not empty (%s) and nothing is ever overwritten; name a folder that is new or empty", path,
                       entries);
    if (chmod(path, mode) != 0) return SL_FAIL(SL_ERROR_IO, why, CLI_WHY_SIZE, "%s: belongs to somebody else (%s)", path, strerror(errno));
    return SL_OK;
}

int cli_folder_begin(struct cli_folder *folder, const char *path, mode_t mode, char *why)
{
    *folder = (struct cli_folder){.path = path};
    if (mkdir(path, mode) == 0) {
        folder->was_made = true;
        return SL_OK;
    }
    if (errno == EEXIST) return take_existing(path, mode, why);

    int error = errno == ENOSPC || errno == EDQUOT ? SL_ERROR_NO_SPACE : SL_ERROR_IO;
    const char *hint = errno == ENOENT ? "; the folder above it must exist" : "";
    return SL_FAIL(error, why, CLI_WHY_SIZE, "%s: cannot be made (%s)%s", path, strerror(errno), hint);
}

void cli_folder_expect(struct cli_folder *folder, const char *name)
{
    assert(folder->n_files < CLI_FOLDER_FILES_MAX && strlen(name) < sizeof folder->files[0]);
    strcpy(folder->files[folder->n_files++], name);
}

int cli_folder_put(struct cli_folder *folder, const char *name, const void *data, size_t size, mode_t mode, char *why)
{
    cli_folder_expect(folder, name);
    int error = sl_file_put(folder->path, name, data, size, mode, false);
    if (error == SL_OK) return SL_OK;
    return SL_FAIL(error, why, CLI_WHY_SIZE, "%s/%s: cannot be written (%s)", folder->path, name, sl_error_text(error));
}

void cli_folder_undo(struct cli_folder *folder, char *why)
{
    char path[SL_PATH_SIZE];
    for (uint32_t i = 0; i < folder->n_files; i++)
        if (sl_path_join(folder->path, folder->files[i], path) == SL_OK) unlink(path);
    if (folder->was_made) rmdir(folder->path);
    folder->n_files = 0;

    size_t length = strlen(why);
    snprintf(why + length, CLI_WHY_SIZE - length, "; nothing was left behind");
}

/* ---- single files ---- */

bool cli_file_exists(const char *folder, const char *name)
{
    char path[SL_PATH_SIZE];
    return sl_path_join(folder, name, path) == SL_OK && access(path, F_OK) == 0;
}

int cli_hex_put(struct cli_folder *folder, const char *name, const uint8_t *bytes, size_t size, mode_t mode, char *why)
{
    char text[CLI_HEX_FILE_MAX];
    assert(2 * size + 2 <= sizeof text);
    sodium_bin2hex(text, sizeof text, bytes, size);
    text[2 * size] = '\n';
    int error = cli_folder_put(folder, name, text, 2 * size + 1, mode, why);
    sodium_memzero(text, sizeof text);
    return error;
}

static int refuse_open_file(const char *path, char *why)
{
    struct stat about;
    bool is_open = stat(path, &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & 077);
    if (!is_open) return SL_OK;
    return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, CLI_WHY_SIZE, "%s: others may read this secret (mode %03o); close it with: chmod 600 %s", path,
                   (unsigned)about.st_mode & 0777, path);
}

static bool decode(const char *text, size_t length, uint8_t *out, size_t size_max, size_t *out_size)
{
    return length > 0 && length % 2 == 0 && sodium_hex2bin(out, size_max, text, length, NULL, out_size, NULL) == 0 && *out_size == length / 2;
}

int cli_hex_read(const char *folder, const char *name, bool secret, uint8_t *out, size_t size_max, size_t *out_size, char *why)
{
    char path[SL_PATH_SIZE];
    if (sl_path_join(folder, name, path) != SL_OK) return SL_FAIL(SL_ERROR_TOO_LARGE, why, CLI_WHY_SIZE, "%s: the path is too long", folder);

    int error = secret ? refuse_open_file(path, why) : SL_OK;
    uint8_t *text = NULL;
    size_t size = 0;
    if (error == SL_OK) error = sl_file_read(path, CLI_HEX_FILE_MAX, &text, &size, why, CLI_WHY_SIZE);
    if (error != SL_OK) return error;

    size_t length = strcspn((char *)text, "\r\n");
    bool decoded = decode((char *)text, length, out, size_max, out_size);
    sodium_memzero(text, size);
    free(text);
    if (decoded) return SL_OK;
    return SL_FAIL(SL_ERROR_FORMAT, why, CLI_WHY_SIZE, "%s: must be one line of hex digits, two a byte, at most %zu bytes; restore it from a copy", path,
                   size_max);
}

int cli_operator_put(struct cli_folder *folder, const uint8_t secret[64], char *why)
{
    char hex[129], text[KEY_FILE_MAX];
    sodium_bin2hex(hex, sizeof hex, secret, 64);
    int length = snprintf(text, sizeof text, "# Secret key of the network's operator. Whoever reads this file can admit nodes.\noperator = %s\n", hex);
    int error = cli_folder_put(folder, "operator.key", text, (size_t)length, 0600, why);
    sodium_memzero(hex, sizeof hex);
    sodium_memzero(text, sizeof text);
    return error;
}

/* A file that was cut or damaged gives a secret whose public half does not belong to it. */
static bool fits_itself(const uint8_t secret[64])
{
    uint8_t seed[32], public_key[32], again[64];
    crypto_sign_ed25519_sk_to_seed(seed, secret);
    crypto_sign_seed_keypair(public_key, again, seed);
    bool fits = sodium_memcmp(again, secret, sizeof again) == 0;
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(again, sizeof again);
    return fits;
}

int cli_operator_read(const char *folder, uint8_t out[64], char *why)
{
    char path[SL_PATH_SIZE];
    if (sl_path_join(folder, "operator.key", path) != SL_OK) return SL_FAIL(SL_ERROR_TOO_LARGE, why, CLI_WHY_SIZE, "%s: the path is too long", folder);

    uint8_t *text;
    size_t size, decoded = 0;
    int error = refuse_open_file(path, why);
    if (error == SL_OK) error = sl_file_read(path, KEY_FILE_MAX, &text, &size, why, CLI_WHY_SIZE);
    if (error != SL_OK) return error;

    const char *value = strstr((char *)text, "\noperator = ");
    if (value) value += strlen("\noperator = ");
    bool is_whole = value && decode(value, strcspn(value, "\r\n"), out, 64, &decoded) && decoded == 64 && fits_itself(out);
    sodium_memzero(text, size);
    free(text);
    if (is_whole) return SL_OK;

    sodium_memzero(out, 64);
    return SL_FAIL(SL_ERROR_FORMAT, why, CLI_WHY_SIZE,
                   "%s: is not a whole operator's key; it must hold a line \"operator = \" with 128 hex digits; restore it from a copy", path);
}

int cli_seeds_put(const char *folder, const struct sl_seed *seeds, uint32_t n_seeds, char *why)
{
    size_t size_max = (64 + 1 + SL_PEER_ADDRESS_MAX + 1) * (size_t)n_seeds + 1, at = 0;
    char *text = malloc(size_max), hex[65];
    if (!text) return SL_FAIL(SL_ERROR_NO_MEMORY, why, CLI_WHY_SIZE, "not enough memory");

    for (uint32_t i = 0; i < n_seeds; i++) {
        sodium_bin2hex(hex, sizeof hex, seeds[i].transport_public, 32);
        at += (size_t)snprintf(text + at, size_max - at, "%s %s\n", hex, seeds[i].address);
    }
    int error = sl_file_put(folder, "seeds.list", text, at, 0644, false);
    free(text);
    if (error != SL_OK) return SL_FAIL(error, why, CLI_WHY_SIZE, "%s/seeds.list: cannot be written (%s)", folder, sl_error_text(error));
    return SL_OK;
}

static bool parse_seed(const char *line, struct sl_seed *out)
{
    size_t length = strcspn(line, " "), size = 0;
    *out = (struct sl_seed){0};
    if (line[length] != ' ' || length != 64 || !decode(line, 64, out->transport_public, 32, &size)) return false;

    const char *address = line + length + 1;
    if (!sl_address_is_numeric(address)) return false;
    strcpy(out->address, address);                        /* a numeric address is short enough */
    return true;
}

int cli_seeds_read(const char *folder, struct sl_seed *out, uint32_t n_max, uint32_t *out_n, char *why)
{
    char path[SL_PATH_SIZE];
    uint8_t *text;
    size_t size;
    if (sl_path_join(folder, "seeds.list", path) != SL_OK) return SL_FAIL(SL_ERROR_TOO_LARGE, why, CLI_WHY_SIZE, "%s: the path is too long", folder);

    *out_n = 0;
    int error = sl_file_read(path, SEEDS_FILE_MAX, &text, &size, why, CLI_WHY_SIZE);
    if (error == SL_ERROR_NOT_FOUND) return SL_OK;
    if (error != SL_OK) return error;

    char *rest = NULL;
    for (char *line = strtok_r((char *)text, "\r\n", &rest); line && error == SL_OK; line = strtok_r(NULL, "\r\n", &rest)) {
        if (line[0] == '#' || *out_n == n_max) continue;
        if (parse_seed(line, &out[*out_n])) ++*out_n;
        else error = SL_FAIL(SL_ERROR_FORMAT, why, CLI_WHY_SIZE, "%s: \"%.80s\" is not a transport key of 64 hex digits and a numeric address", path, line);
    }
    free(text);
    return error;
}

char *cli_settings_text(const struct sl_config *config, size_t *out_size)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, out_size);
    if (!file) return NULL;

    bool written = sl_config_write_commented(file, config, SL_SCOPE_NODE) == SL_OK;
    written = fclose(file) == 0 && written;
    if (written) return text;
    free(text);
    return NULL;
}

/* ---- small things ---- */

int cli_path_anchor(const char *path, char out[SL_TEXT_MAX], char *why)
{
    char folder[SL_PATH_SIZE] = "";
    bool is_kept = path[0] == '/' || access(path, F_OK) != 0;        /* a pair, a known name or FOLDER:test is no file */
    if (!is_kept && !getcwd(folder, sizeof folder)) return SL_FAIL(SL_ERROR_TOO_LARGE, why, CLI_WHY_SIZE, "the path of this folder is too long");

    int length = is_kept ? snprintf(out, SL_TEXT_MAX, "%s", path) : snprintf(out, SL_TEXT_MAX, "%s/%s", folder, path);
    if (length >= 0 && length < SL_TEXT_MAX) return SL_OK;
    return SL_FAIL(SL_ERROR_TOO_LARGE, why, CLI_WHY_SIZE,
                   "%s: the whole path has %d characters, at most %d fit into node.conf; move the file, or link to it", path, length, SL_TEXT_MAX - 1);
}

const char *cli_without_key(const char *sentence, const char *key)
{
    size_t length = strlen(key);
    bool begins = strncmp(sentence, key, length) == 0 && strncmp(sentence + length, ": ", 2) == 0;
    return begins ? sentence + length + 2 : sentence;
}

bool cli_span_parse(const char *text, uint64_t *out_s)
{
    static const struct {
        char letter;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 10 || text[length] == 0 || text[length + 1] != 0) return false;

    uint64_t number = strtoull(text, NULL, 10);
    for (uint32_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].letter != text[length]) continue;
        *out_s = number * units[i].seconds;
        return *out_s > 0 && *out_s <= 36525ULL * 86400;
    }
    return false;
}

const char *cli_span_text(uint64_t seconds, char out[CLI_TIME_SIZE])
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {{"days", 86400}, {"hours", 3600}, {"minutes", 60}, {"seconds", 1}};
    uint32_t i = 0;
    while (i < 3 && seconds < 2 * units[i].seconds) i++;
    snprintf(out, CLI_TIME_SIZE, "%llu %s", (unsigned long long)(seconds / units[i].seconds), units[i].name);
    return out;
}

const char *cli_time_text(uint64_t unix_s, char out[CLI_TIME_SIZE])
{
    time_t time = (time_t)unix_s;
    struct tm parts;
    bool is_known = unix_s < UINT64_C(253402300800) && gmtime_r(&time, &parts);       /* the year 10000 */
    if (!is_known || strftime(out, CLI_TIME_SIZE, "%Y-%m-%d %H:%M UTC", &parts) == 0) snprintf(out, CLI_TIME_SIZE, "the end of time");
    return out;
}
