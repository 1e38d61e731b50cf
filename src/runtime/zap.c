/* SPDX-License-Identifier: MIT */
#include "runtime/zap.h"

#include <string.h>
#include <zmq.h>

#include "starling/error.h"

enum { ANSWERS_PER_TURN = 16, FIELD_MAX = 256, Z85_KEY_SIZE = 41 };

enum field { FIELD_VERSION, FIELD_REQUEST, FIELD_DOMAIN, FIELD_ADDRESS, FIELD_IDENTITY, FIELD_MECHANISM, FIELD_KEY, FIELD_COUNT };

struct request {
    uint8_t fields[FIELD_COUNT][FIELD_MAX];
    size_t sizes[FIELD_COUNT];
    uint32_t n_fields;
};

static bool has_more(void *socket)
{
    int more = 0;
    size_t size = sizeof more;
    return zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) == 0 && more;
}

/* Reads one whole request; fields beyond the seventh are read and dropped. */
static bool receive(void *socket, struct request *out)
{
    out->n_fields = 0;
    do {
        uint8_t dropped[1], *field = out->n_fields < FIELD_COUNT ? out->fields[out->n_fields] : dropped;
        int size = zmq_recv(socket, field, field == dropped ? 0 : FIELD_MAX, ZMQ_DONTWAIT);
        if (size < 0) return false;
        if (field != dropped) out->sizes[out->n_fields] = size > FIELD_MAX ? FIELD_MAX : (size_t)size;
        out->n_fields++;
    } while (has_more(socket));
    return true;
}

static bool field_is(const struct request *request, enum field field, const char *text)
{
    return request->sizes[field] == strlen(text) && memcmp(request->fields[field], text, request->sizes[field]) == 0;
}

/* A request in proper form: only libzmq can send one, and a wrong one is a bug, but the door stays shut. */
static bool is_whole(const struct request *request)
{
    return request->n_fields == FIELD_COUNT && field_is(request, FIELD_VERSION, "1.0") && field_is(request, FIELD_DOMAIN, SL_ZAP_DOMAIN) &&
           field_is(request, FIELD_MECHANISM, "CURVE") && request->sizes[FIELD_KEY] == 32;
}

static bool is_welcome(const struct sl_zap *zap, const struct request *request)
{
    return is_whole(request) && !(zap->is_banned && zap->is_banned(zap->context, request->fields[FIELD_KEY]));
}

static void answer(void *socket, const struct request *request, bool welcome)
{
    char user[Z85_KEY_SIZE] = "";
    if (welcome) zmq_z85_encode(user, request->fields[FIELD_KEY], 32);

    size_t request_size = request->n_fields > FIELD_REQUEST ? request->sizes[FIELD_REQUEST] : 0;
    zmq_send(socket, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(socket, request->fields[FIELD_REQUEST], request_size, ZMQ_SNDMORE);
    zmq_send(socket, welcome ? "200" : "400", 3, ZMQ_SNDMORE);
    zmq_send(socket, welcome ? "OK" : "banned", welcome ? 2 : 6, ZMQ_SNDMORE);
    zmq_send(socket, user, strlen(user), ZMQ_SNDMORE);
    zmq_send(socket, "", 0, 0);
}

int sl_zap_open(struct sl_zap *zap, void *zmq_context, bool (*is_banned)(const void *context, const uint8_t transport_key[32]), const void *context)
{
    *zap = (struct sl_zap){.socket = zmq_socket(zmq_context, ZMQ_REP), .is_banned = is_banned, .context = context};
    if (!zap->socket) return SL_ERROR_IO;
    if (zmq_bind(zap->socket, "inproc://zeromq.zap.01") == 0) return SL_OK;

    sl_zap_close(zap);
    return SL_ERROR_IO;
}

void sl_zap_turn(struct sl_zap *zap)
{
    struct request request;
    for (uint32_t i = 0; i < ANSWERS_PER_TURN && receive(zap->socket, &request); i++) {
        bool welcome = is_welcome(zap, &request);
        zap->n_admitted += welcome;
        zap->n_refused += !welcome;
        answer(zap->socket, &request, welcome);
    }
}

void sl_zap_close(struct sl_zap *zap)
{
    if (zap->socket) zmq_close(zap->socket);
    zap->socket = NULL;
}
