/* SPDX-License-Identifier: MIT */
/* How a command of `starling` ends: an object for programs, a sentence for people. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>

#include "starling/error.h"

/* Escaped to ASCII: what a peer wrote cannot speak to a terminal. */
static bool print_object(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(16)) : NULL;
    json_decref(object);
    if (text) puts(text);
    free(text);
    return text != NULL;
}

int cli_refuse(const struct cli *cli, int code, const char *word, const char *sentence)
{
    static const char *const words[CLI_CODES] = {"ok", "failed", "unreachable", "timeout", "bad_arguments", "internal", "unhealthy"};
    fprintf(stderr, "starling: %s\n", sentence);
    if (cli->json && !print_object(json_pack("{s:i, s:s, s:s, s:s}", "schema_version", 1, "status", "error", "error", word ? word : words[code],
                                             "message", sentence)))
        puts("{\"schema_version\":1,\"status\":\"error\",\"error\":\"internal\",\"message\":\"the sentence on stderr is no UTF-8\"}");
    return code;
}

int cli_answer(const struct cli *cli, json_t *data)
{
    if (data && print_object(json_pack("{s:i, s:s, s:o}", "schema_version", 1, "status", "ok", "data", data))) return CLI_OK;
    return cli_fail(cli, CLI_INTERNAL, "the answer could not be put together: not enough memory, or a name in it is no UTF-8");
}

int cli_code_of(int error)
{
    if (error == SL_OK) return CLI_OK;
    return error == SL_ERROR_IO || error == SL_ERROR_NO_SPACE || error == SL_ERROR_NO_MEMORY ? CLI_FAILED : CLI_ARGUMENTS;
}
