/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_CONTROL_H
#define SL_RUNTIME_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The control socket (docs/control.md): requests come in, are checked and bounded here, and one answer each goes out. What a command means is the sink's
 * matter. Only the owner of the node's directory can connect: the socket has mode 0600.
 */
enum { SL_CONTROL_CLIENTS = 4, SL_CONTROL_REQUEST_MAX = 4096, SL_CONTROL_DEPTH_MAX = 8 };

struct sl_control;

struct sl_control_sink {
    void *context;
    /* The whole answer, made by sl_control_ok() or sl_control_error(); NULL: it will come by sl_control_answer() with this client's number. `arguments` is an
     * object. */
    json_t *(*ask)(void *context, uint32_t client, const char *command, const json_t *arguments);
};

/* An answer that says ok; takes `data` (NULL when memory is short, which is then said). */
json_t *sl_control_ok(json_t *data);

/* An answer that says no: error is "not_found" and the like, the message a sentence that says what to do. */
json_t *sl_control_error(const char *error, const char *message);

/* One request, at most SL_CONTROL_REQUEST_MAX bytes that anybody may have written. `command` and `arguments` (an object) live until finish. */
struct sl_control_request {
    const char *command;
    const json_t *arguments;
    json_t *whole, *nothing;
};

/* False: nothing to finish, and *wrong is the answer that says why (NULL when memory is short). */
bool sl_control_request_parse(const char *text, size_t size, struct sl_control_request *out, json_t **wrong);
void sl_control_request_finish(struct sl_control_request *request);

/* Binds folder/control.sock; the caller holds the folder's lock, for whatever has that name is replaced. SL_ERROR_TOO_LARGE (the path), SL_ERROR_IO,
 * SL_ERROR_NO_MEMORY, with a sentence in `why`. */
int sl_control_new(void *zmq_context, const char *folder, const struct sl_control_sink *sink, struct sl_control **out, char *why, size_t why_size);

/* Sockets to poll for reading: the requests, and who comes and goes. */
enum { SL_CONTROL_SOCKETS = 2 };
void *sl_control_socket(struct sl_control *control, uint32_t i);

/* Answers a bounded number of requests; never blocks. */
void sl_control_turn(struct sl_control *control);

/* The late answer; takes it. A client that is gone gets nothing. */
void sl_control_answer(struct sl_control *control, uint32_t client, json_t *answer);

/* Closes and removes the socket. */
void sl_control_destroy(struct sl_control **control);

#endif
