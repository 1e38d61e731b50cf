/* SPDX-License-Identifier: MIT */
#include "runtime/poll.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

/* Two ends of a pair over inproc, as the monitors and threads of a node have them. */
struct pair { void *context, *here, *there; };

static struct pair open_pair(void)
{
    struct pair pair = {.context = zmq_ctx_new()};
    pair.here = zmq_socket(pair.context, ZMQ_PAIR);
    pair.there = zmq_socket(pair.context, ZMQ_PAIR);
    cr_assert_eq(zmq_bind(pair.here, "inproc://pair"), 0);
    cr_assert_eq(zmq_connect(pair.there, "inproc://pair"), 0);
    return pair;
}

static void close_pair(struct pair *pair)
{
    zmq_close(pair->here);
    zmq_close(pair->there);
    zmq_ctx_term(pair->context);
}

/* As a loop does that goes on until something is there. */
static int poll_one(zmq_pollitem_t *item, int most_turns)
{
    struct pollfd descriptor;
    int n = 0;
    for (int i = 0; i < most_turns && n == 0; i++) n = sl_poll(item, &descriptor, 1, 50);
    return n;
}

Test(poll, wakes_for_a_message)
{
    struct pair pair = open_pair();
    zmq_pollitem_t item = {.socket = pair.here, .events = ZMQ_POLLIN, .revents = ZMQ_POLLIN};
    cr_assert_eq(poll_one(&item, 3), 0);
    cr_assert_eq(item.revents, 0);

    zmq_send(pair.there, "x", 1, 0);
    cr_assert_eq(poll_one(&item, 20), 1);
    cr_assert_eq(item.revents, ZMQ_POLLIN);
    close_pair(&pair);
}

Test(poll, finds_what_was_left_in_a_socket_that_was_readable)
{
    struct pair pair = open_pair();
    char text[1];
    zmq_pollitem_t item = {.socket = pair.here, .events = ZMQ_POLLIN, .revents = ZMQ_POLLIN};
    zmq_send(pair.there, "x", 1, 0);
    zmq_send(pair.there, "y", 1, 0);
    cr_assert_eq(poll_one(&item, 20), 1);
    cr_assert_eq(zmq_recv(pair.here, text, 1, ZMQ_DONTWAIT), 1);

    cr_assert_eq(poll_one(&item, 1), 1, "the descriptor alone would not tell of the second");
    cr_assert_eq(zmq_recv(pair.here, text, 1, ZMQ_DONTWAIT), 1);
    cr_assert_eq(poll_one(&item, 1), 0);
    close_pair(&pair);
}

Test(poll, wakes_for_every_message_of_a_socket_that_is_read_to_its_end)
{
    struct pair pair = open_pair();
    char text[1];
    zmq_pollitem_t item = {.socket = pair.here, .events = ZMQ_POLLIN, .revents = ZMQ_POLLIN};
    for (int i = 0; i < 200; i++) {
        zmq_send(pair.there, "x", 1, 0);
        cr_assert_eq(poll_one(&item, 20), 1, "message %d", i);
        while (zmq_recv(pair.here, text, 1, ZMQ_DONTWAIT) >= 0) {}
    }
    close_pair(&pair);
}

Test(poll, takes_plain_descriptors_and_leaves_out_what_is_not_there)
{
    int ends[2];
    struct pollfd descriptors[2];
    zmq_pollitem_t items[] = {{.fd = -1, .events = ZMQ_POLLIN}, {.events = ZMQ_POLLIN}};
    cr_assert_eq(pipe(ends), 0);
    items[1].fd = ends[0];
    cr_assert_eq(sl_poll(items, descriptors, 2, 0), 0);

    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert_eq(sl_poll(items, descriptors, 2, 1000), 1);
    cr_assert(items[1].revents == ZMQ_POLLIN && items[0].revents == 0);
    close(ends[0]);
    close(ends[1]);
}
