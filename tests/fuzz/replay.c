/* SPDX-License-Identifier: MIT */
/* replay FOLDER: feeds every file of a corpus to the target, so that what a fuzzer once found stays tested with any compiler. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { PATH_LENGTH_MAX = 4096, FILE_SIZE_MAX = 1 << 20 };

/* The input lies in a block of its own size: the address sanitizer sees every read past its end. */
static int replay(const char *path)
{
    static uint8_t content[FILE_SIZE_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) { fprintf(stderr, "replay: cannot open %s\n", path); return -1; }

    size_t size = fread(content, 1, sizeof content, file);
    fclose(file);

    uint8_t *data = malloc(size ? size : 1);
    if (!data) return -1;

    memcpy(data, content, size);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (!folder) { fprintf(stderr, "usage: replay FOLDER\n"); return 2; }

    unsigned n_files = 0, n_failed = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (entry->d_name[0] == '.') continue;

        char path[PATH_LENGTH_MAX];
        int length = snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (length >= (int)sizeof path || replay(path) < 0) n_failed++;
        n_files++;
    }
    closedir(folder);

    printf("%u inputs replayed\n", n_files);
    return n_files == 0 || n_failed > 0;
}
