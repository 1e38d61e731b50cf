/* SPDX-License-Identifier: MIT */
/* A request at the control socket. What is no request is answered with a sentence; what is one has a command and an object of arguments. */
#include "fuzz.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

#include "runtime/control.h"

static void check_refusal(json_t *answer)
{
    const char *status = json_string_value(json_object_get(answer, "status")), *error = json_string_value(json_object_get(answer, "error"));
    const char *message = json_string_value(json_object_get(answer, "message"));
    assert(status && strcmp(status, "error") == 0 && error && strcmp(error, "bad_request") == 0 && message && *message);
    json_decref(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > SL_CONTROL_REQUEST_MAX) return 0;                     /* what is longer never gets here */

    struct sl_control_request request;
    json_t *wrong;
    if (!sl_control_request_parse((const char *)data, size, &request, &wrong)) {
        check_refusal(wrong);
        return 0;
    }
    assert(request.command && json_is_object(request.arguments));
    sl_control_request_finish(&request);
    return 0;
}
