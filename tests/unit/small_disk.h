/* SPDX-License-Identifier: MIT */
#ifndef SMALL_DISK_H
#define SMALL_DISK_H

/* A file system of a few pages at `folder`, seen by this process only; it goes when the process ends. Wants root or namespaces of one's own. Whoever includes
 * this defines _GNU_SOURCE first. */
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <unistd.h>

static bool mount_small_disk(const char *folder)
{
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return false;
    return mount("tmpfs", folder, "tmpfs", 0, "size=16k") == 0;
}

/* So that the folder can be removed; nothing where no disk was mounted. */
static void unmount_small_disk(const char *folder)
{
    umount2(folder, MNT_DETACH);
}

/* Leaves no room for another page; true when the disk is full. */
static bool fill_small_disk(const char *path)
{
    static const char page[4096];
    int descriptor = open(path, O_WRONLY | O_CREAT, 0600);
    ssize_t n = 1;
    for (int i = 0; descriptor >= 0 && n > 0 && i < 64; i++) n = write(descriptor, page, sizeof page);
    if (descriptor >= 0) close(descriptor);
    return descriptor >= 0 && n <= 0;
}

#endif
