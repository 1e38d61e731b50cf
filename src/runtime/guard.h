/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_GUARD_H
#define SL_RUNTIME_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/door.h"

/*
 * Cuts connections that ZeroMQ itself would let harm us. No option of libzmq bounds the frames of one message, the connections that wait for a
 * handshake, or the descriptors in use, and a socket monitor that nobody reads stops its I/O thread. So a thread of its own drains the monitor of the
 * bound ROUTER, compares the bytes the kernel received on each connection with the bytes of the messages that the program got, and shuts down what
 * breaks the rules of door.h. It sleeps while nothing comes in. It never closes a descriptor: they are libzmq's, which closes what was shut down.
 *
 * All functions are for the loop's thread; none of them waits.
 */
struct sl_guard;

/* Before the bind: everything the socket accepts must be seen. SL_ERROR_NO_MEMORY, SL_ERROR_IO,
 * SL_ERROR_UNSUPPORTED (the kernel does not tell connections apart). */
int sl_guard_new(void *context, void *router, uint32_t inbound_max, uint32_t outbound_max, bool caps_local, struct sl_guard **out);

/* The program reads messages from now on; who is silent from now on has himself to blame. May be called again. */
void sl_guard_begin(struct sl_guard *guard);

/* Which connection a descriptor is; 0 if it is none. No two connections of a machine's life have the same. */
uint64_t sl_guard_cookie(int descriptor);

/* The cookie of the connection that a message came on: of the descriptor, if its peer has the address that the message names. Else 0. */
uint64_t sl_guard_cookie_of(int descriptor, const char *peer_address);

/* Bytes that a frame takes on the wire. Exact: an error of one byte would add up over the life of a connection. */
size_t sl_guard_size_on_wire(size_t size);

/* A frame of `size` bytes arrived on this connection. */
void sl_guard_account(struct sl_guard *guard, int descriptor, size_t size);

/* A connection that this node dialled is looked after as well, until it is gone. False: it cannot be, and must be given up. */
bool sl_guard_watch(struct sl_guard *guard, int descriptor, uint64_t cookie);

/* Ends this connection now, if the descriptor still is this connection. */
void sl_guard_cut(int descriptor, uint64_t cookie);

struct sl_guard_counts {
    uint64_t accepted, cut[SL_CUT_COUNT];
};

void sl_guard_read(const struct sl_guard *guard, struct sl_guard_counts *out);

/* Takes the monitor off the router; before the router is closed. */
void sl_guard_destroy(struct sl_guard **guard);

#endif
