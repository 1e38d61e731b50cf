/* SPDX-License-Identifier: MIT */
#include "starling/error.h"

const char *sl_error_text(int error)
{
    static const char *const texts[] = {
        "no error",
#define X(name, text) text,
#include "starling/errors.def"
#undef X
    };
    if (error > 0 || error <= -SL_ERROR_INDEX_COUNT) return "unknown error";

    return texts[-error];
}
