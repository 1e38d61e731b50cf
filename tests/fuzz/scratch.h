/* SPDX-License-Identifier: MIT */
#ifndef SL_TESTS_SCRATCH_H
#define SL_TESTS_SCRATCH_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Files for readers that want a path: SCRATCH_FILES of them, made at the first call and removed at the end of the program. */
enum { SCRATCH_FILES = 2 };

static char scratch_paths[SCRATCH_FILES][32];

static inline void scratch_remove(void)
{
    for (int i = 0; i < SCRATCH_FILES; i++) unlink(scratch_paths[i]);
}

static inline void scratch_make(void)
{
    static bool is_done;
    if (is_done) return;

    for (int i = 0; i < SCRATCH_FILES; i++) {
        snprintf(scratch_paths[i], sizeof scratch_paths[i], "/tmp/starling-fuzz-XXXXXX");
        int file = mkstemp(scratch_paths[i]);
        assert(file >= 0);
        close(file);
    }
    is_done = atexit(scratch_remove) == 0;
}

/* File i with these bytes; its path. */
static inline const char *scratch_write(int i, const void *data, size_t size)
{
    scratch_make();
    FILE *file = fopen(scratch_paths[i], "wb");
    assert(file);
    size_t written = fwrite(data, 1, size, file);
    int failed = fclose(file);
    assert(written == size && !failed);
    return scratch_paths[i];
}

#endif
