/* SPDX-License-Identifier: MIT */
#ifndef SL_TESTS_DATA_FILES_H
#define SL_TESTS_DATA_FILES_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "data/dataset.h"
#include "starling/error.h"

/* A folder of its own for each test, removed at its end, and what it takes to fill it. */

enum { TEST_PATH_MAX = 512 };

static char test_folder[64];
static char why[512]; /* the sentence of the last failure */

static inline void make_folder(void)
{
    strcpy(test_folder, "/tmp/starling-test-XXXXXX");
    cr_assert_not_null(mkdtemp(test_folder));
}

static inline const char *in_folder(const char *name, char path[TEST_PATH_MAX])
{
    snprintf(path, TEST_PATH_MAX, "%s/%s", test_folder, name);
    return path;
}

static inline void remove_folder(void)
{
    DIR *folder = opendir(test_folder);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char path[TEST_PATH_MAX];
        if (entry->d_name[0] != '.') remove(in_folder(entry->d_name, path));
    }
    if (folder) closedir(folder);
    rmdir(test_folder);
}

static inline void write_bytes(const char *name, const void *bytes, size_t size)
{
    char path[TEST_PATH_MAX];
    FILE *file = fopen(in_folder(name, path), "wb");
    cr_assert(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

static inline void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static inline void write_gzip(const char *name, const void *bytes, unsigned size)
{
    char path[TEST_PATH_MAX];
    gzFile file = gzopen(in_folder(name, path), "wb");
    cr_assert(file && gzwrite(file, bytes, size) == (int)size && gzclose(file) == Z_OK);
}

/* Cuts the last bytes off. */
static inline void shorten(const char *name, long n_bytes)
{
    char path[TEST_PATH_MAX];
    FILE *file = fopen(in_folder(name, path), "rb");
    cr_assert(file && fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    fclose(file);
    cr_assert(truncate(path, size - n_bytes) == 0);
}

static inline int read_data(const char *name, struct sl_read_options options, struct sl_dataset *out)
{
    char path[TEST_PATH_MAX];
    memset(why, 0, sizeof why);
    return sl_dataset_read(in_folder(name, path), &options, out, why, sizeof why);
}

#define ASSERT_SAYS(words) cr_assert(strstr(why, (words)), "it should say \"%s\" but says \"%s\"", (words), why)

/* Reading must fail with this code and these words, and leave the output alone. */
static inline void assert_refused(const char *name, struct sl_read_options options, int error, const char *words)
{
    struct sl_dataset dataset = {.n_rows = 77};
    int got = read_data(name, options, &dataset);
    cr_assert_eq(got, error, "%s: %s (%s), expected %s", name, sl_error_text(got), why, sl_error_text(error));
    ASSERT_SAYS(words);
    cr_assert_eq(dataset.n_rows, 77);
}

#endif
