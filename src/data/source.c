/* SPDX-License-Identifier: MIT */
#include "data/source.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "starling/error.h"

enum { GZ_BUFFER_SIZE = 128 << 10, LINE_START_SIZE = 4096 };

static int refuse_to_open(struct sl_source *source, int system_error)
{
    int error = system_error == ENOENT || system_error == ENOTDIR ? SL_ERROR_NOT_FOUND : SL_ERROR_IO;
    return SL_REFUSE(source->why, source->why_size, error, "%s cannot be opened: %s", source->path, strerror(system_error));
}

/* What zlib has to say after a read that gave less than was asked. */
static int check_file(struct sl_source *source)
{
    int code = Z_OK;
    gzerror(source->file, &code);
    if (code == Z_OK || code == Z_STREAM_END) return SL_OK;
    if (code == Z_MEM_ERROR)
        return SL_REFUSE(source->why, source->why_size, SL_ERROR_NO_MEMORY, "not enough memory to read %s", source->path);
    if (code == Z_ERRNO)
        return SL_REFUSE(source->why, source->why_size, SL_ERROR_IO, "%s cannot be read: %s", source->path, strerror(errno));

    return SL_REFUSE(source->why, source->why_size, SL_ERROR_FORMAT,
                     "%s is a damaged or cut-off gzip file: copy it again and compare its checksum", source->path);
}

static int refuse_long_line(const struct sl_source *source)
{
    return SL_REFUSE(source->why, source->why_size, SL_ERROR_FORMAT, "%s:%llu: the line is longer than %d MiB: is this a text file?",
                     source->path, (unsigned long long)source->line_number, SL_SOURCE_LINE_MAX >> 20);
}

/* Appends to the line, with room for the closing zero. */
static int append_to_line(struct sl_source *source, const char *text, size_t size)
{
    size_t needed = source->line_size + size + 1;
    if (needed > SL_SOURCE_LINE_MAX) return refuse_long_line(source);

    if (needed > source->line_capacity) {
        size_t capacity = needed < LINE_START_SIZE / 2 ? LINE_START_SIZE : 2 * needed;
        char *line = realloc(source->line, capacity);
        if (!line) return SL_REFUSE(source->why, source->why_size, SL_ERROR_NO_MEMORY, "not enough memory to read %s", source->path);
        source->line = line;
        source->line_capacity = capacity;
    }
    memcpy(source->line + source->line_size, text, size);
    source->line_size += size;
    return SL_OK;
}

/* SL_ERROR_NOT_FOUND at the end of the file. */
static int refill_chunk(struct sl_source *source)
{
    int got = gzread(source->file, source->chunk, sizeof source->chunk);
    source->chunk_used = 0;
    source->chunk_size = got > 0 ? (size_t)got : 0;
    if (got > 0) return SL_OK;

    int error = check_file(source);
    return error ? error : SL_ERROR_NOT_FOUND;
}

/* Drops the end of line and, in the first line, the byte order mark. */
static int finish_line(struct sl_source *source)
{
    char *line = source->line;
    size_t size = source->line_size;
    if (memchr(line, 0, size))
        return SL_REFUSE(source->why, source->why_size, SL_ERROR_FORMAT, "%s:%llu: the line holds a zero byte, so this is no text file",
                         source->path, (unsigned long long)source->line_number);

    if (size > 0 && line[size - 1] == '\n') size--;
    if (size > 0 && line[size - 1] == '\r') size--;
    if (source->line_number == 1 && size >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
        size -= 3;
        memmove(line, line + 3, size);
    }
    line[size] = 0;
    source->line_size = size;
    return SL_OK;
}

int sl_source_open(struct sl_source *source, const char *path, char *why, size_t why_size)
{
    source->path = path;
    source->file = NULL;
    source->line = NULL;
    source->line_size = source->line_capacity = source->chunk_size = source->chunk_used = 0;
    source->line_number = 0;
    source->why = why;
    source->why_size = why_size;

    struct stat status;
    if (stat(path, &status) != 0) return refuse_to_open(source, errno);
    if (S_ISDIR(status.st_mode)) return SL_REFUSE(why, why_size, SL_ERROR_IO, "%s is a folder, a file is needed", path);

    errno = ENOMEM; /* gzopen leaves errno alone when memory is short */
    source->file = gzopen(path, "rb");
    if (!source->file) return refuse_to_open(source, errno);
    gzbuffer(source->file, GZ_BUFFER_SIZE);
    return SL_OK;
}

int sl_source_read(struct sl_source *source, void *out, size_t size)
{
    char *to = out;
    while (size > 0) {
        unsigned ask = size < GZ_BUFFER_SIZE ? (unsigned)size : (unsigned)GZ_BUFFER_SIZE;
        int got = gzread(source->file, to, ask);
        if (got <= 0) {
            int error = check_file(source);
            return error ? error : SL_ERROR_TRUNCATED;
        }
        to += got;
        size -= (size_t)got;
    }
    return SL_OK;
}

int sl_source_next_line(struct sl_source *source)
{
    source->line_size = 0;
    source->line_number++;
    for (bool ended = false; !ended;) {
        if (source->chunk_used == source->chunk_size) {
            int error = refill_chunk(source);
            if (error == SL_ERROR_NOT_FOUND && source->line_size > 0) break; /* a last line without its end */
            if (error) return error;
        }
        const char *rest = source->chunk + source->chunk_used, *newline = memchr(rest, '\n', source->chunk_size - source->chunk_used);
        size_t size = newline ? (size_t)(newline - rest) + 1 : source->chunk_size - source->chunk_used;
        int error = append_to_line(source, rest, size);
        if (error) return error;

        source->chunk_used += size;
        ended = newline != NULL;
    }
    return finish_line(source);
}

void sl_source_close(struct sl_source *source)
{
    if (source->file) gzclose(source->file);
    free(source->line);
    source->file = NULL;
    source->line = NULL;
}
