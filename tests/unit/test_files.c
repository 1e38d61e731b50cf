/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE                  /* unshare(), for a disk of our own */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/files.h"
#include "small_disk.h"
#include "starling/error.h"

static char folder[] = "/tmp/starling-files-XXXXXX", path[SL_PATH_SIZE], why[SL_WHY_SIZE];

static void make_folder(void)
{
    cr_assert_geq(sodium_init(), 0);
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[64];
    unmount_small_disk(folder);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(files, .init = make_folder, .fini = remove_folder);

static void write_text(const char *name, const char *text, mode_t mode)
{
    cr_assert_eq(sl_path_join(folder, name, path), SL_OK);
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    chmod(path, mode);
}

static bool file_holds(const char *name, const char *text)
{
    char full[SL_PATH_SIZE], buffer[256] = "";
    sl_path_join(folder, name, full);
    FILE *file = fopen(full, "rb");
    if (!file) return false;

    size_t size = fread(buffer, 1, sizeof buffer - 1, file);
    fclose(file);
    return size == strlen(text) && memcmp(buffer, text, size) == 0;
}

static struct sl_secrets fresh_secrets(void)
{
    uint8_t public_key[32];
    struct sl_secrets secrets;
    crypto_sign_keypair(public_key, secrets.sign_secret);
    randombytes_buf(secrets.transport_secret, sizeof secrets.transport_secret);
    return secrets;
}

static struct sl_peer some_peer(uint8_t mark, const char *address)
{
    struct sl_peer peer = {.certificate_size = 5};
    memset(peer.id, mark, 32);
    memset(peer.sign_public, mark + 1, 32);
    memset(peer.transport_public, mark + 2, 32);
    memset(peer.certificate, mark + 3, peer.certificate_size);
    memcpy(peer.address, address, strlen(address) + 1);
    return peer;
}

Test(files, a_put_replaces_the_whole_file_and_keeps_the_one_before)
{
    cr_assert_eq(sl_file_put(folder, "x", "old", 3, 0600, true), SL_OK);

    cr_assert_eq(sl_file_put(folder, "x", "newer", 5, 0600, true), SL_OK);

    cr_assert(file_holds("x", "newer"));
    cr_assert(file_holds("x.bak", "old"));
    cr_assert_not(file_holds("x.new", "newer"), "the temporary file must be gone");
}

Test(files, a_put_that_fails_leaves_the_old_file)
{
    char blocked[SL_PATH_SIZE];
    cr_assert_eq(sl_file_put(folder, "x", "old", 3, 0600, false), SL_OK);
    sl_path_join(folder, "x.new", blocked);
    cr_assert_eq(mkdir(blocked, 0700), 0, "a folder stands where the temporary file would");

    int error = sl_file_put(folder, "x", "new", 3, 0600, false);

    cr_assert_eq(error, SL_ERROR_IO);
    cr_assert(file_holds("x", "old"));
}

Test(files, a_full_disk_is_told_apart)
{
    if (!mount_small_disk(folder)) cr_skip_test("no right to mount a small disk");
    char filler[SL_PATH_SIZE];
    sl_path_join(folder, "filler", filler);
    cr_assert(fill_small_disk(filler));

    cr_assert_eq(sl_file_put(folder, "x", "new", 3, 0600, false), SL_ERROR_NO_SPACE);
    cr_assert_not(file_holds("x", "new"));
}

Test(files, a_put_writes_through_no_link_and_over_no_remains)
{
    char link_path[SL_PATH_SIZE];
    write_text("precious", "keep", 0600);
    sl_path_join(folder, "x.new", link_path);
    cr_assert_eq(symlink(path, link_path), 0);
    cr_assert_eq(sl_file_put(folder, "x", "new", 3, 0600, false), SL_OK);
    cr_assert(file_holds("precious", "keep"));
    cr_assert(file_holds("x", "new"));

    write_text("y.new", "left by a crash, and longer", 0600);
    cr_assert_eq(sl_file_put(folder, "y", "new", 3, 0600, false), SL_OK);
    cr_assert(file_holds("y", "new"));
}

Test(files, a_path_that_does_not_fit_is_refused)
{
    static char name[SL_PATH_SIZE];
    memset(name, 'a', sizeof name - 1);

    cr_assert_eq(sl_path_join(folder, name, path), SL_ERROR_TOO_LARGE);
    cr_assert_eq(sl_file_put(folder, name, "x", 1, 0600, false), SL_ERROR_TOO_LARGE);
}

Test(files, reading_says_what_is_missing_and_what_is_too_large)
{
    uint8_t *data;
    size_t size;
    sl_path_join(folder, "none", path);
    cr_assert_eq(sl_file_read(path, 10, &data, &size, why, sizeof why), SL_ERROR_NOT_FOUND);
    cr_assert_not_null(strstr(why, "none"));

    write_text("big", "12345678901", 0600);
    cr_assert_eq(sl_file_read(path, 10, &data, &size, why, sizeof why), SL_ERROR_TOO_LARGE);
    cr_assert_eq(sl_file_read(folder, 10, &data, &size, why, sizeof why), SL_ERROR_IO, "a folder is not a file");

    write_text("empty", "", 0600);
    cr_assert_eq(sl_file_read(path, 10, &data, &size, why, sizeof why), SL_OK);
    cr_assert_eq(size, 0);
    free(data);
}

Test(files, a_key_comes_back_as_it_was_and_is_for_its_owner_only)
{
    struct sl_secrets secrets = fresh_secrets(), again;
    struct stat about;
    cr_assert_eq(sl_secrets_write(folder, "identity.key", &secrets, why, sizeof why), SL_OK, "%s", why);
    sl_path_join(folder, "identity.key", path);

    cr_assert_eq(sl_secrets_read(path, &again, why, sizeof why), SL_OK, "%s", why);

    cr_assert_eq(memcmp(&secrets, &again, sizeof secrets), 0);
    cr_assert_eq(stat(path, &about), 0);
    cr_assert_eq(about.st_mode & 0777, 0600);
}

Test(files, a_key_is_never_replaced)
{
    struct sl_secrets secrets = fresh_secrets(), other = fresh_secrets(), again;
    cr_assert_eq(sl_secrets_write(folder, "identity.key", &secrets, why, sizeof why), SL_OK);

    cr_assert_eq(sl_secrets_write(folder, "identity.key", &other, why, sizeof why), SL_ERROR_EXISTS);

    sl_path_join(folder, "identity.key", path);
    cr_assert_eq(sl_secrets_read(path, &again, why, sizeof why), SL_OK);
    cr_assert_eq(memcmp(&secrets, &again, sizeof secrets), 0);
}

Test(files, a_key_that_others_may_read_is_refused_with_the_remedy)
{
    struct sl_secrets secrets = fresh_secrets(), again = {{7}, {7}};
    sl_secrets_write(folder, "identity.key", &secrets, why, sizeof why);
    sl_path_join(folder, "identity.key", path);
    chmod(path, 0640);

    cr_assert_eq(sl_secrets_read(path, &again, why, sizeof why), SL_ERROR_BAD_ARGUMENT);

    cr_assert_not_null(strstr(why, "chmod 600"));
    cr_assert_eq(again.sign_secret[0], 7, "out must stay untouched on failure");
}

Test(files, a_cut_or_damaged_key_is_refused)
{
    struct sl_secrets secrets = fresh_secrets(), again;
    uint8_t *text;
    size_t size;
    sl_secrets_write(folder, "good.key", &secrets, why, sizeof why);
    sl_path_join(folder, "good.key", path);
    cr_assert_eq(sl_file_read(path, 4096, &text, &size, why, sizeof why), SL_OK);
    char *sign = strstr((char *)text, "sign = ");

    for (size_t cut = 0; cut + 1 < size; cut += 7) {
        char kept = (char)text[cut];
        text[cut] = 0;
        write_text("cut.key", (char *)text, 0600);
        text[cut] = (uint8_t)kept;
        cr_assert_eq(sl_secrets_read(path, &again, why, sizeof why), SL_ERROR_FORMAT, "cut at %zu", cut);
    }
    sign[7] = sign[7] == '0' ? '1' : '0';
    write_text("flipped.key", (char *)text, 0600);
    cr_assert_eq(sl_secrets_read(path, &again, why, sizeof why), SL_ERROR_FORMAT, "the public half does not fit");
    sign[7] = 'x';
    write_text("digit.key", (char *)text, 0600);
    cr_assert_eq(sl_secrets_read(path, &again, why, sizeof why), SL_ERROR_FORMAT);
    free(text);
}

Test(files, the_prepared_list_comes_back_as_it_was)
{
    struct sl_peer peers[] = {some_peer(1, "127.0.0.1:7400"), some_peer(100, "[::1]:65535")}, *again;
    uint32_t n = 0;
    cr_assert_eq(sl_peers_write(folder, "peers.list", peers, 2, why, sizeof why), SL_OK, "%s", why);
    sl_path_join(folder, "peers.list", path);

    cr_assert_eq(sl_peers_read(path, &again, &n, why, sizeof why), SL_OK, "%s", why);

    cr_assert_eq(n, 2);
    cr_assert_eq(memcmp(peers, again, sizeof peers), 0);
    free(again);
}

Test(files, a_bad_line_of_the_list_is_named)
{
    static const char *const lines[] = {"# only a comment\nnonsense\n",
                                        "\n00 11 22 127.0.0.1:1 33\n",
                                        "\na b c d e f\n"};
    struct sl_peer *peers;
    uint32_t n;
    for (uint32_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        write_text("peers.list", lines[i], 0644);
        cr_assert_eq(sl_peers_read(path, &peers, &n, why, sizeof why), SL_ERROR_FORMAT);
        cr_assert_not_null(strstr(why, "line 2"), "%s", why);
    }
}

Test(files, a_name_in_place_of_a_numeric_address_is_refused)
{
    struct sl_peer peer = some_peer(1, "example.org:7400"), *again;
    uint32_t n;
    sl_peers_write(folder, "peers.list", &peer, 1, why, sizeof why);
    sl_path_join(folder, "peers.list", path);

    cr_assert_eq(sl_peers_read(path, &again, &n, why, sizeof why), SL_ERROR_FORMAT);
    cr_assert_not_null(strstr(why, "numeric"));
}

Test(files, an_empty_list_has_no_peers)
{
    struct sl_peer *peers;
    uint32_t n = 9;
    write_text("peers.list", "", 0644);

    cr_assert_eq(sl_peers_read(path, &peers, &n, why, sizeof why), SL_OK);
    cr_assert_eq(n, 0);
    free(peers);
}

Test(files, only_numeric_addresses_with_a_port_are_addresses)
{
    static const char *const good[] = {"1.2.3.4:1", "255.255.255.255:65535", "[::1]:7400", "[2001:db8::17]:80"};
    static const char *const bad[] = {"", ":", "1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:7400x", "1.2.3.4: 80", "1.2.3:80",
                                      "host:80", "*:80", "::1:80", "[::1]", "[1.2.3.4]:80", "1.2.3.4;5.6.7.8:80", "127.0.0.1:80;1.2.3.4:80",
                                      "[fe80::1%eth0]:80", "1.2.3.4:-1", "[]:80", "[:80", "1234567890123456789012345678901234567890123456789:80"};
    for (uint32_t i = 0; i < sizeof good / sizeof good[0]; i++) cr_expect(sl_address_is_numeric(good[i]), "%s", good[i]);
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++) cr_expect_not(sl_address_is_numeric(bad[i]), "%s", bad[i]);
}

Test(files, a_folder_is_held_by_one_process_and_free_when_that_ends)
{
    int lock, second;
    pid_t child = fork();
    if (child == 0) {
        bool held = sl_folder_lock(folder, &lock, why, sizeof why) == SL_OK && sl_folder_lock(folder, &second, why, sizeof why) == SL_ERROR_EXISTS &&
                    strstr(why, "another process") != NULL;
        _exit(held ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    cr_assert_eq(sl_folder_lock(folder, &lock, why, sizeof why), SL_OK, "the child is gone, its lock too: %s", why);
    close(lock);
}
