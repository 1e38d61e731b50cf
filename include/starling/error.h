/* SPDX-License-Identifier: MIT */
#ifndef STARLING_ERROR_H
#define STARLING_ERROR_H

/*
 * Errors are negative integers; 0 is success. Three kinds: our own bug is an assert; a peer's fault is a code that
 * the core turns into a trace event; the machine's fault (disk, port, memory at start) goes to the program.
 */
enum sl_error_index {
    SL_ERROR_INDEX_NONE,
#define X(name, text) SL_ERROR_INDEX_##name,
#include "errors.def"
#undef X
    SL_ERROR_INDEX_COUNT
};

enum sl_error {
    SL_OK = 0,
#define X(name, text) SL_ERROR_##name = -SL_ERROR_INDEX_##name,
#include "errors.def"
#undef X
};

/* A short sentence without a full stop, never NULL. */
const char *sl_error_text(int error);

#endif
