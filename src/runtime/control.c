/* SPDX-License-Identifier: MIT */
#include "runtime/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "runtime/files.h"
#include "starling/error.h"

enum {
    ROUTE_SIZE = 255,                        /* most a routing id may have */
    FRAME_MAX = 2 * SL_CONTROL_REQUEST_MAX,  /* a request that is a little too long gets a sentence, a huge one the door */
    QUEUE = 4,
    REQUESTS_PER_TURN = 8, FRAMES_PER_TURN = 64, MONITOR_PER_TURN = 64,
    MESSAGE_SIZE = 512
};

struct client {
    bool known, waiting;                     /* waiting: for a late answer */
    bool has_delimiter;                      /* it asks like a REQ */
    uint32_t route_size;
    uint8_t route[ROUTE_SIZE];
    uint64_t turn;                           /* when it asked last, in requests */
};

struct sl_control {
    void *router, *monitor;
    struct sl_control_sink sink;
    struct client clients[SL_CONTROL_CLIENTS];
    uint64_t n_connected, n_requests;
    bool inside_message;                     /* frames of a refused message are still to come */
    char path[SL_PATH_SIZE];
};

/* What came in one message. */
struct question {
    struct client from;
    bool too_long;
    size_t size;
    char text[SL_CONTROL_REQUEST_MAX + 1];
};

/* ---- answers ---- */

json_t *sl_control_error(const char *error, const char *message)
{
    return json_pack("{s:i,s:s,s:s,s:s}", "schema_version", 1, "status", "error", "error", error, "message", message);
}

json_t *sl_control_ok(json_t *data)
{
    if (!data) return sl_control_error("failed", "the node is short of memory; ask again");
    return json_pack("{s:i,s:s,s:o}", "schema_version", 1, "status", "ok", "data", data);
}

/* A queue may look full only because libzmq has not looked for a millisecond at what was read from it: to be asked for its events makes it look. */
static bool begin_answer(struct sl_control *control, const struct client *to)
{
    int events;
    size_t size = sizeof events;
    if (zmq_send(control->router, to->route, to->route_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0) return true;
    if (errno != EAGAIN) return false;

    zmq_getsockopt(control->router, ZMQ_EVENTS, &events, &size);
    return zmq_send(control->router, to->route, to->route_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0;
}

/* Best effort: whoever asks and does not read loses its answers. */
static void send_answer(struct sl_control *control, const struct client *to, json_t *answer)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(16)) : NULL;
    const char *sent = text ? text : "{\"schema_version\":1,\"status\":\"error\",\"error\":\"failed\",\"message\":\"the node is short of memory; ask again\"}";
    bool open = begin_answer(control, to);
    if (open && to->has_delimiter) open = zmq_send(control->router, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0;
    if (open) zmq_send(control->router, sent, strlen(sent), ZMQ_DONTWAIT);
    free(text);
    json_decref(answer);
}

/* ---- clients ---- */

static struct client *known_client(struct sl_control *control, const struct client *from)
{
    for (uint32_t i = 0; i < SL_CONTROL_CLIENTS; i++) {
        struct client *client = &control->clients[i];
        if (client->known && client->route_size == from->route_size && memcmp(client->route, from->route, from->route_size) == 0) return client;
    }
    return NULL;
}

/* The place of the client that was silent longest and waits for nothing; NULL when all wait. */
static struct client *place_for_client(struct sl_control *control)
{
    struct client *place = NULL;
    for (uint32_t i = 0; i < SL_CONTROL_CLIENTS; i++) {
        struct client *client = &control->clients[i];
        if (!client->known) return client;
        if (!client->waiting && (!place || client->turn < place->turn)) place = client;
    }
    return place;
}

/* While no more are connected than there are places, a newcomer takes the place of one that is gone. NULL: it must wait. */
static struct client *admit(struct sl_control *control, const struct client *from)
{
    struct client *client = known_client(control, from);
    if (!client && control->n_connected <= SL_CONTROL_CLIENTS) {
        client = place_for_client(control);
        if (client) *client = *from;
    }
    if (!client) return NULL;

    client->known = true;
    client->has_delimiter = from->has_delimiter;
    client->turn = control->n_requests;
    return client;
}

/* One event of the socket's monitor: number and value, then an endpoint. */
static bool next_event(void *monitor, uint16_t *out)
{
    uint8_t head[6];
    char endpoint[SL_PATH_SIZE];
    if (zmq_recv(monitor, head, sizeof head, ZMQ_DONTWAIT) != sizeof head) return false;

    zmq_recv(monitor, endpoint, sizeof endpoint, ZMQ_DONTWAIT);
    memcpy(out, head, sizeof *out);
    return true;
}

static void count_clients(struct sl_control *control)
{
    uint16_t event;
    for (uint32_t i = 0; i < MONITOR_PER_TURN && next_event(control->monitor, &event); i++) {
        if (event == ZMQ_EVENT_ACCEPTED) control->n_connected++;
        else if (event == ZMQ_EVENT_DISCONNECTED && control->n_connected > 0) control->n_connected--;
    }
}

/* ---- requests ---- */

/* jansson goes down one level of the stack for each level of nesting. */
static bool is_flat_enough(const char *text, size_t size)
{
    uint32_t depth = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '{' || text[i] == '[') depth++;
        if ((text[i] == '}' || text[i] == ']') && depth > 0) depth--;
        if (depth > SL_CONTROL_DEPTH_MAX) return false;
    }
    return true;
}

static json_t *bad_request(const char *message)
{
    return sl_control_error("bad_request", message);
}

/* The command and its arguments in request->whole. NULL, or what is wrong. */
static const char *read_request(struct sl_control_request *request)
{
    const json_t *arguments = json_object_get(request->whole, "arguments");
    request->command = json_string_value(json_object_get(request->whole, "command"));
    request->arguments = arguments ? arguments : request->nothing;
    if (!request->command) return "a request is an object with a text \"command\", like {\"command\": \"status\"}";
    if (!json_is_object(request->arguments)) return "\"arguments\" must be an object";
    return NULL;
}

/* jansson quotes the request in its sentences, and what is no UTF-8 would make no answer. */
static json_t *refuse_text(const char *reason)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof message, "the request is not JSON: %s", reason);
    for (char *letter = message; *letter; letter++)
        if (*letter < 0x20 || *letter > 0x7e) *letter = '?';
    return bad_request(message);
}

bool sl_control_request_parse(const char *text, size_t size, struct sl_control_request *out, json_t **wrong)
{
    json_error_t error;
    json_t *whole = NULL;
    bool is_flat = is_flat_enough(text, size);
    if (is_flat) whole = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!whole) {
        *wrong = is_flat ? refuse_text(error.text) : bad_request("the request is nested deeper than 8 levels");
        return false;
    }
    *out = (struct sl_control_request){.whole = whole, .nothing = json_object()};
    const char *fault = read_request(out);
    if (!fault) return true;

    *wrong = bad_request(fault);
    sl_control_request_finish(out);
    return false;
}

void sl_control_request_finish(struct sl_control_request *request)
{
    json_decref(request->nothing);
    json_decref(request->whole);
}

/* False: the answer will come by sl_control_answer(). */
static bool answer_to(struct sl_control *control, uint32_t client, const struct question *question, json_t **answer)
{
    struct sl_control_request request;
    *answer = NULL;
    if (question->too_long) {
        *answer = bad_request("the request is longer than 4096 bytes");
        return true;
    }
    if (!sl_control_request_parse(question->text, question->size, &request, answer)) return true;

    *answer = control->sink.ask(control->sink.context, client, request.command, request.arguments);
    sl_control_request_finish(&request);
    return *answer != NULL;
}

static void on_question(struct sl_control *control, const struct question *question)
{
    control->n_requests++;
    struct client *client = admit(control, &question->from);
    if (!client || client->waiting) {
        const char *sentence = client ? "the answer to the last request is still to come" : "four clients are connected already; ask again when one has gone";
        send_answer(control, &question->from, sl_control_error("busy", sentence));
        return;
    }
    client->waiting = true;
    json_t *answer;
    uint32_t number = (uint32_t)(client - control->clients);
    if (answer_to(control, number, question, &answer)) sl_control_answer(control, number, answer);
}

/* The next frame into buffer; its true size, or -1 when nothing waits. */
static int receive(struct sl_control *control, void *buffer, size_t size, bool *more)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    int length = zmq_msg_recv(&frame, control->router, ZMQ_DONTWAIT);
    if (length >= 0) {
        *more = zmq_msg_more(&frame);
        memcpy(buffer, zmq_msg_data(&frame), (size_t)length < size ? (size_t)length : size);
    }
    zmq_msg_close(&frame);
    return length;
}

/* Drops what is left of a message that had too many frames. */
static bool skip_frame(struct sl_control *control)
{
    char ignored[1];
    return receive(control, ignored, sizeof ignored, &control->inside_message) >= 0;
}

/* One message: the client's routing id, an empty frame from a REQ, the request. False when nothing waits. */
static bool take_question(struct sl_control *control)
{
    if (control->inside_message) return skip_frame(control);

    struct question question = {0};
    bool more = false;
    int size = receive(control, question.from.route, ROUTE_SIZE, &more);
    if (size < 0) return false;
    if (!more) return true;

    question.from.route_size = (uint32_t)size;
    size = receive(control, question.text, SL_CONTROL_REQUEST_MAX, &more);
    if (size == 0 && more) {
        question.from.has_delimiter = true;
        size = receive(control, question.text, SL_CONTROL_REQUEST_MAX, &more);
    }
    control->inside_message = more;
    if (size < 0 || more) return true;       /* no client of ours sends more frames: not worth an answer */

    question.too_long = size > SL_CONTROL_REQUEST_MAX;
    question.size = question.too_long ? SL_CONTROL_REQUEST_MAX : (size_t)size;
    on_question(control, &question);
    return true;
}

/* ---- opening and closing ---- */

static bool set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool set_bounds(void *router)
{
    int64_t frame_max = FRAME_MAX;
    return set(router, ZMQ_LINGER, 0) && set(router, ZMQ_RCVHWM, QUEUE) && set(router, ZMQ_SNDHWM, QUEUE) && set(router, ZMQ_ROUTER_MANDATORY, 1) &&
           set(router, ZMQ_HANDSHAKE_IVL, 3000) && zmq_setsockopt(router, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max) == 0;
}

/* The monitor's other end is connected before the bind: an event for which nobody listens would block libzmq's I/O thread. */
static bool open_monitor(struct sl_control *control, void *zmq_context)
{
    static const char endpoint[] = "inproc://control-monitor";
    if (zmq_socket_monitor(control->router, endpoint, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED) != 0) return false;

    control->monitor = zmq_socket(zmq_context, ZMQ_PAIR);
    return control->monitor && set(control->monitor, ZMQ_LINGER, 0) && zmq_connect(control->monitor, endpoint) == 0;
}

static int bind_router(struct sl_control *control, char *why, size_t why_size)
{
    char endpoint[SL_PATH_SIZE + 8];
    snprintf(endpoint, sizeof endpoint, "ipc://%s", control->path);
    mode_t kept = umask(0177);               /* from the first moment only the owner may connect */
    int code = zmq_bind(control->router, endpoint), number = errno;
    umask(kept);
    if (code == 0) return SL_OK;
    return SL_FAIL(SL_ERROR_IO, why, why_size, "%s: the control socket cannot be made (%s); the directory must be on a file system that knows sockets",
                   control->path, zmq_strerror(number));
}

int sl_control_new(void *zmq_context, const char *folder, const struct sl_control_sink *sink, struct sl_control **out, char *why, size_t why_size)
{
    struct sockaddr_un address;
    struct sl_control *control = calloc(1, sizeof *control);
    if (!control) return SL_FAIL(SL_ERROR_NO_MEMORY, why, why_size, "not enough memory for the control socket");

    int error = SL_OK;
    control->sink = *sink;
    if (sl_path_join(folder, "control.sock", control->path) != SL_OK || strlen(control->path) >= sizeof address.sun_path) {
        error = SL_FAIL(SL_ERROR_TOO_LARGE, why, why_size,
                        "%s/control.sock: a socket's path may have at most %zu characters, this one has %zu; choose a shorter directory", folder,
                        sizeof address.sun_path - 1, strlen(folder) + strlen("/control.sock"));
        control->path[0] = 0;
        goto out;
    }
    control->router = zmq_socket(zmq_context, ZMQ_ROUTER);
    if (!control->router || !set_bounds(control->router) || !open_monitor(control, zmq_context))
        error = SL_FAIL(SL_ERROR_IO, why, why_size, "ZeroMQ gives no socket (%s)", zmq_strerror(errno));
    else error = bind_router(control, why, why_size);

out:
    if (error != SL_OK) sl_control_destroy(&control);
    else *out = control;
    return error;
}

void *sl_control_socket(struct sl_control *control, uint32_t i)
{
    return i == 0 ? control->router : control->monitor;
}

void sl_control_turn(struct sl_control *control)
{
    uint64_t n_before = control->n_requests;
    count_clients(control);
    for (uint32_t i = 0; i < FRAMES_PER_TURN && control->n_requests - n_before < REQUESTS_PER_TURN; i++)
        if (!take_question(control)) return;
}

void sl_control_answer(struct sl_control *control, uint32_t client, json_t *answer)
{
    if (control->clients[client].waiting) send_answer(control, &control->clients[client], answer);
    else json_decref(answer);
    control->clients[client].waiting = false;
}

void sl_control_destroy(struct sl_control **self)
{
    struct sl_control *control = *self;
    if (!control) return;

    if (control->monitor) zmq_socket_monitor(control->router, NULL, 0);
    if (control->monitor) zmq_close(control->monitor);
    if (control->router) zmq_close(control->router);
    if (control->path[0]) unlink(control->path);
    free(control);
    *self = NULL;
}
