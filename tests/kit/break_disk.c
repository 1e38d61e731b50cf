/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a node, this library sees the system calls by which a private round becomes durable, and ends or disturbs the node at one of them. Points, in
 * the order of a round:
 *
 *     charge.write charge.sync job release.write release.sync release.rename folder.sync record.write record.sync commit
 *
 * charge and record are a CHARGE and a RELEASE in privacy.ledger (open.write, lower.write ... are the other records), `job` is the first draw of a job's noise
 * and sampling, before the trainer looks at a row, and `commit` is a COMMIT of its own that the node hands to the network: the first word about its output.
 *
 *     STARLING_BREAK=POINT:WHEN:N        kill -9 the process at the Nth time; WHEN is before, half (a write of half the bytes) or after
 *     STARLING_BREAK_FAULT=FILE          as long as FILE exists and holds "POINT ERRNO", that point fails with this number; a write leaves half its bytes
 *     STARLING_BREAK_TRACE=FILE          a line for every point, when it is over (job, commit: when it begins)
 *     STARLING_BREAK_SELF=ID             the node's id in hex: it also hands on COMMITs of others
 */
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS                 /* both pwrite() and pwrite64() by their own names */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <zmq.h>

enum { NAME_SIZE = 32, PATH_SIZE = 4096, RECORD = 256, COMMIT = 15, ARRAY_OF_EIGHT = 0x98, TYPE_AT = 6, ID_SIZE = 32, BIN_HEAD = 2,
       BIN_SIZE = BIN_HEAD + ID_SIZE, FRAME_MIN = 160 };
enum moment { BEFORE, AFTER };

static atomic_uint n_seen;               /* of the point at which the process ends */
static const char *record_name;          /* of the record that was written last; one thread writes */
static bool folder_is_due;               /* a release was renamed and the folder is not synced yet */

typedef void (*function)(void);          /* dlsym() gives a pointer to data: copied, not cast */

static void find(const char *name, function *out)
{
    void *address = dlsym(RTLD_NEXT, name);
    memcpy(out, &address, sizeof address);
}

static ssize_t plain_write(int descriptor, const void *bytes, size_t size)
{
    ssize_t (*real)(int, const void *, size_t);
    find("write", (function *)&real);
    return real(descriptor, bytes, size);
}

static void trace(const char *point)
{
    const char *path = getenv("STARLING_BREAK_TRACE");
    char line[NAME_SIZE + 1];
    if (!path) return;

    int length = snprintf(line, sizeof line, "%s\n", point), file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0 || plain_write(file, line, (size_t)length) != length) abort();
    close(file);
}

/* "POINT:WHEN:N": is it this point, and which moment? */
static bool is_breaking(const char *point, const char *when)
{
    const char *plan = getenv("STARLING_BREAK");
    size_t length = strlen(point), when_length = strlen(when);
    return plan && strncmp(plan, point, length) == 0 && plan[length] == ':' && strncmp(plan + length + 1, when, when_length) == 0 &&
           plan[length + 1 + when_length] == ':';
}

static bool is_the_time(void)
{
    return atomic_fetch_add(&n_seen, 1) + 1 == strtoul(strrchr(getenv("STARLING_BREAK"), ':') + 1, NULL, 10);
}

static void perhaps_end(const char *point, enum moment moment)
{
    if (is_breaking(point, moment == BEFORE ? "before" : "after") && is_the_time()) kill(getpid(), SIGKILL);
}

/* The number with which this point fails now, or 0. */
static int fault_of(const char *point)
{
    const char *path = getenv("STARLING_BREAK_FAULT");
    char name[NAME_SIZE] = "";
    int number = 0;
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return 0;

    bool is_here = fscanf(file, "%31s %d", name, &number) == 2 && strcmp(name, point) == 0;
    fclose(file);
    return is_here ? number : 0;
}

/* The last part of the name under which it was opened, and "/" for a folder. */
static void name_of(int descriptor, char out[PATH_SIZE])
{
    char link[64], path[PATH_SIZE];
    struct stat about;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    const char *slash = strrchr(path, '/');
    bool is_folder = fstat(descriptor, &about) == 0 && S_ISDIR(about.st_mode);
    snprintf(out, PATH_SIZE, "%s", is_folder ? "/" : slash ? slash + 1 : "");
}

static bool is_named(int descriptor, const char *name)
{
    char own[PATH_SIZE];
    name_of(descriptor, own);
    return strcmp(own, name) == 0;
}

typedef ssize_t (*writer)(int, const void *, size_t, off_t);

static ssize_t sequential(int descriptor, const void *bytes, size_t size, off_t offset)
{
    (void)offset;
    return plain_write(descriptor, bytes, size);
}

static ssize_t write_at(const char *point, writer real, int descriptor, const void *bytes, size_t size, off_t offset)
{
    perhaps_end(point, BEFORE);
    if (is_breaking(point, "half") && is_the_time()) {
        real(descriptor, bytes, size / 2, offset);
        kill(getpid(), SIGKILL);
    }
    int fault = fault_of(point);
    if (fault != 0) {
        if (size > 1) real(descriptor, bytes, size / 2, offset);
        errno = fault;
        return -1;
    }
    ssize_t result = real(descriptor, bytes, size, offset);
    trace(point);
    perhaps_end(point, AFTER);
    return result;
}

static int sync_at(const char *point, int (*real)(int), int descriptor)
{
    int fault = fault_of(point);
    perhaps_end(point, BEFORE);
    int result = real(descriptor);
    if (fault != 0) {
        errno = fault;
        return -1;
    }
    trace(point);
    perhaps_end(point, AFTER);
    return result;
}

/* ---- what a node calls ---- */

ssize_t write(int descriptor, const void *bytes, size_t size)
{
    if (size > 0 && is_named(descriptor, "privacy.release.new")) return write_at("release.write", sequential, descriptor, bytes, size, 0);
    return plain_write(descriptor, bytes, size);
}

static const char *kind_of(const uint8_t *record)
{
    static const char *const kinds[] = {"open", "charge", "record", "lower"};
    return record[TYPE_AT] < 4 ? kinds[record[TYPE_AT]] : "unknown";
}

static ssize_t pwrite_at(writer real, int descriptor, const void *bytes, size_t size, off_t offset)
{
    char point[NAME_SIZE];
    if (size != RECORD || !is_named(descriptor, "privacy.ledger")) return real(descriptor, bytes, size, offset);

    record_name = kind_of(bytes);
    snprintf(point, sizeof point, "%s.write", record_name);
    return write_at(point, real, descriptor, bytes, size, offset);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset)
{
    writer real;
    find("pwrite", (function *)&real);
    return pwrite_at(real, descriptor, bytes, size, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off_t offset)
{
    writer real;
    find("pwrite64", (function *)&real);
    return pwrite_at(real, descriptor, bytes, size, offset);
}

int fdatasync(int descriptor)
{
    int (*real)(int);
    find("fdatasync", (function *)&real);
    char point[NAME_SIZE];
    if (!record_name || !is_named(descriptor, "privacy.ledger")) return real(descriptor);

    snprintf(point, sizeof point, "%s.sync", record_name);
    return sync_at(point, real, descriptor);
}

int fsync(int descriptor)
{
    int (*real)(int);
    find("fsync", (function *)&real);
    if (is_named(descriptor, "privacy.release.new")) return sync_at("release.sync", real, descriptor);
    if (!folder_is_due || !is_named(descriptor, "/")) return real(descriptor);

    folder_is_due = false;
    return sync_at("folder.sync", real, descriptor);
}

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *);
    find("rename", (function *)&real);
    const char *slash = strrchr(to, '/');
    if (strcmp(slash ? slash + 1 : to, "privacy.release") != 0) return real(from, to);

    perhaps_end("release.rename", BEFORE);
    int result = real(from, to);
    folder_is_due = true;
    trace("release.rename");
    perhaps_end("release.rename", AFTER);
    return result;
}

/* Noise and the coins of sampling come from this stream, and nothing else does. A job is over when something becomes durable. */
int crypto_stream_chacha20(unsigned char *out, unsigned long long size, const unsigned char *nonce, const unsigned char *key)
{
    int (*real)(unsigned char *, unsigned long long, const unsigned char *, const unsigned char *);
    find("crypto_stream_chacha20", (function *)&real);
    static const unsigned char zeros[8];
    if (memcmp(nonce, zeros, sizeof zeros) == 0) {               /* the first buffer under a fresh key */
        trace("job");
        perhaps_end("job", BEFORE);
    }
    return real(out, size, nonce, key);
}

/* A frame is the msgpack array [version, type, network, epoch, cohort, from, body, signature]; ids and hashes are bins of 32 bytes. */
static bool is_own_commit(const uint8_t *frame, size_t size)
{
    const char *self = getenv("STARLING_BREAK_SELF");
    if (!self || size < FRAME_MIN || frame[0] != ARRAY_OF_EIGHT || frame[2] != COMMIT) return false;

    const uint8_t *epoch = frame + 3 + BIN_SIZE, *from = epoch + BIN_SIZE + BIN_HEAD;
    if (*epoch < 0x80) from += 1;
    else if (*epoch >= 0xcc && *epoch <= 0xcf) from += 1 + (1 << (*epoch - 0xcc));
    else return false;

    char hex[2 * ID_SIZE + 1];
    return strcmp(sodium_bin2hex(hex, sizeof hex, from, ID_SIZE), self) == 0;
}

int zmq_send(void *socket, const void *bytes, size_t size, int flags)
{
    int (*real)(void *, const void *, size_t, int);
    find("zmq_send", (function *)&real);
    if (is_own_commit(bytes, size)) {
        trace("commit");
        perhaps_end("commit", BEFORE);
    }
    return real(socket, bytes, size, flags);
}
