/* SPDX-License-Identifier: MIT */
#include "runtime/resources.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/files.h"
#include "starling/error.h"

enum {
    FILES_PER_LINK = 8,                      /* measured: 2 to 4 outbound, 1 inbound; twice that while links turn over */
    FILES_OTHER = 128
};

static uint64_t microseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

uint64_t sl_cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
}

static bool read_memory(uint64_t *out)
{
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return false;

    unsigned long long total, resident;
    bool known = fscanf(file, "%llu %llu", &total, &resident) == 2;
    fclose(file);
    if (known) *out = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
    return known;
}

static bool count_files(uint64_t *out)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) return false;

    uint64_t n = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) n += entry->d_name[0] != '.';
    closedir(folder);
    *out = n - 1;                            /* the one that was opened to count */
    return true;
}

void sl_resources_read(struct sl_resources *out)
{
    struct rusage usage;
    struct rlimit limit;
    getrusage(RUSAGE_SELF, &usage);
    *out = (struct sl_resources){.cpu_us = microseconds(usage.ru_utime) + microseconds(usage.ru_stime),
                                 .rss_max_bytes = (uint64_t)usage.ru_maxrss * 1024};
    out->has_memory = read_memory(&out->rss_bytes);
    out->has_files = count_files(&out->open_files);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) out->files_max = limit.rlim_cur;
}

int sl_resources_reserve_files(uint32_t link_max, char *why, size_t why_size)
{
    struct rlimit limit;
    rlim_t wanted = FILES_OTHER + (rlim_t)FILES_PER_LINK * link_max;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return SL_OK;

    if (limit.rlim_max >= wanted) {
        limit.rlim_cur = wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return SL_OK;
    }
    return SL_FAIL(SL_ERROR_OUT_OF_RANGE, why, why_size,
                   "link.max = %u needs %llu open files, but this process may have %llu; raise it with: ulimit -n %llu, or lower link.max", link_max,
                   (unsigned long long)wanted, (unsigned long long)limit.rlim_max, (unsigned long long)wanted);
}

void sl_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;
    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) return;

    memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = 0;             /* Linux: a name that lies in no folder */
    int descriptor = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (descriptor < 0) return;

    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    sendto(descriptor, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
    close(descriptor);
}
