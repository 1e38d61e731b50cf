/* SPDX-License-Identifier: MIT */
#include "runtime/poll.h"

/* Also takes in what libzmq has for the socket, so that its descriptor becomes readable at the next news. */
static short ask(void *socket)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN) ? ZMQ_POLLIN : 0;
}

static int descriptor_of(const zmq_pollitem_t *item)
{
    int descriptor = item->fd;
    size_t size = sizeof descriptor;
    if (!item->socket) return descriptor;
    return zmq_getsockopt(item->socket, ZMQ_FD, &descriptor, &size) == 0 ? descriptor : -1;
}

int sl_poll(zmq_pollitem_t *items, struct pollfd *descriptors, uint32_t n, long timeout_ms)
{
    int n_ready = 0;
    for (uint32_t i = 0; i < n; i++) {
        items[i].revents = items[i].socket && items[i].revents ? ask(items[i].socket) : 0;
        n_ready += items[i].revents != 0;
        descriptors[i] = (struct pollfd){.fd = items[i].events ? descriptor_of(&items[i]) : -1, .events = POLLIN};
    }
    int n_readable = poll(descriptors, n, n_ready > 0 ? 0 : (int)timeout_ms);
    for (uint32_t i = 0; i < n && n_readable > 0; i++) {
        if (!descriptors[i].revents) continue;
        n_readable--;
        n_ready += items[i].revents == 0;
        items[i].revents = items[i].socket ? ask(items[i].socket) : ZMQ_POLLIN;
        n_ready -= items[i].revents == 0;
    }
    return n_ready;
}
