/* SPDX-License-Identifier: MIT */
#include "runtime/ledger_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "privacy/ledger.h"
#include "runtime/files.h"
#include "starling/error.h"

static int lock(const struct sl_ledger_file *file, const char *path, const char *folder, char *why, size_t why_size)
{
    if (flock(file->descriptor, LOCK_EX | LOCK_NB) == 0) return SL_OK;
    if (errno != EWOULDBLOCK) return SL_FAIL(SL_ERROR_IO, why, why_size, "%s: cannot be locked (%s)", path, strerror(errno));
    return SL_FAIL(SL_ERROR_LOCKED, why, why_size,
                   "%s: is in use by another process: a node runs with the directory %s, and two would spend one privacy budget twice; stop it first", path,
                   folder);
}

/* A record that an ended process wrote may still be in the memory of the machine only. */
static int settle(struct sl_ledger_file *file, const char *path, const char *folder, char *why, size_t why_size)
{
    struct stat about;
    if (fstat(file->descriptor, &about) != 0 || !S_ISREG(about.st_mode)) return SL_FAIL(SL_ERROR_IO, why, why_size, "%s: is not a file", path);

    file->size = (uint64_t)about.st_size;
    int error = fsync(file->descriptor) == 0 ? sl_folder_sync(folder) : sl_file_error(errno);
    if (error == SL_OK) return SL_OK;
    return SL_FAIL(error, why, why_size, "%s: cannot be made durable (%s); without it this node must not learn from its data", path, sl_error_text(error));
}

int sl_ledger_file_open(struct sl_ledger_file *file, const char *folder, char *why, size_t why_size)
{
    char path[SL_PATH_SIZE];
    if (sl_path_join(folder, SL_LEDGER_NAME, path) != SL_OK) return SL_FAIL(SL_ERROR_IO, why, why_size, "%s: the path is too long", folder);

    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return SL_FAIL(sl_file_error(errno), why, why_size, "%s: cannot be opened (%s)", path, strerror(errno));

    *file = (struct sl_ledger_file){.is_open = true, .descriptor = descriptor};
    int error = lock(file, path, folder, why, why_size);
    if (error == SL_OK) error = settle(file, path, folder, why, why_size);
    if (error != SL_OK) sl_ledger_file_close(file);
    return error;
}

int sl_ledger_file_cut(struct sl_ledger_file *file, uint64_t size)
{
    file->has_more = true;
    if (ftruncate(file->descriptor, (off_t)size) != 0 || fsync(file->descriptor) != 0) return SL_ERROR_IO;

    file->size = size;
    file->has_more = false;
    return SL_OK;
}

/* No shorter than asked for, or an error. */
static int write_all(const struct sl_ledger_file *file, const uint8_t *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(file->descriptor, bytes + done, size - done, (off_t)(file->size + done));
        if (n > 0) done += (size_t)n;
        else if (n == 0) return SL_ERROR_IO;
        else if (errno != EINTR) return sl_file_error(errno);
    }
    return fdatasync(file->descriptor) == 0 ? SL_OK : sl_file_error(errno);
}

int sl_ledger_file_append(struct sl_ledger_file *file, const uint8_t *record, size_t size)
{
    if (size != SL_LEDGER_RECORD || file->size + size > SL_LEDGER_MAX) return SL_ERROR_NO_SPACE;
    if (file->has_more && sl_ledger_file_cut(file, file->size) != SL_OK) return SL_ERROR_IO;

    int error = write_all(file, record, size);
    if (error == SL_OK) file->size += size;
    else sl_ledger_file_cut(file, file->size);               /* a torn record would shift all that come after it */
    return error;
}

void sl_ledger_file_close(struct sl_ledger_file *file)
{
    if (file->is_open) close(file->descriptor);
    *file = (struct sl_ledger_file){0};
}
