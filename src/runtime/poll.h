/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_POLL_H
#define SL_RUNTIME_POLL_H

#include <poll.h>
#include <stdint.h>
#include <zmq.h>

/*
 * zmq_poll() asks every socket twice at each call what waits in it, with two system calls a time: most of what an idle node did. A ZeroMQ socket has a
 * descriptor that becomes readable when it was empty and something came, but not when something is left in it, or came in while it was sent to. So whoever
 * fills in the items says which sockets must be asked whatever their descriptors say: those that were new, readable at the last call, or sent to since then.
 *
 * items: events are ZMQ_POLLIN; revents on entry: not 0 where the socket must be asked; on return: as after zmq_poll(). `descriptors` has room for n.
 * May return early with nothing. Returns how many have something; a signal ends the wait.
 */
int sl_poll(zmq_pollitem_t *items, struct pollfd *descriptors, uint32_t n, long timeout_ms);

#endif
