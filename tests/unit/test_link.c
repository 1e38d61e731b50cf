/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include "runtime/files.h"
#include "runtime/link.h"
#include "runtime/zap.h"
#include "starling/error.h"

enum { ITEMS_MAX = 512, EVENTS_MAX = 64 };

/* One end: what its core would hear. */
struct end {
    void *context;
    struct sl_links *links;
    struct sl_zap zap;
    struct sl_peer self;
    uint8_t secret[32];
    uint32_t n_up, n_down, n_refused, n_messages;
    uint32_t last_link;
    uint8_t last_key[32];
    size_t last_size;
    char last_text[64];
    char last_note[128];
    uint8_t banned[32];
    bool bans;
};

static struct end left, right;
static char why[SL_WHY_SIZE];

static void on_change(void *context, uint32_t link, enum sl_link_change change, const uint8_t key[32])
{
    struct end *end = context;
    end->n_up += change == SL_LINK_UP;
    end->n_down += change == SL_LINK_DOWN;
    end->n_refused += change == SL_LINK_REFUSED;
    end->last_link = link;
    memcpy(end->last_key, key, 32);
}

static void on_message(void *context, uint32_t link, const uint8_t *data, size_t size)
{
    struct end *end = context;
    end->n_messages++;
    end->last_link = link;
    end->last_size = size;
    snprintf(end->last_text, sizeof end->last_text, "%.*s", size < 60 ? (int)size : 60, (const char *)data);
}

static void on_note(void *context, uint32_t link, const char *text)
{
    struct end *end = context;
    (void)link;
    snprintf(end->last_note, sizeof end->last_note, "%s", text);
}

static bool is_banned(const void *context, const uint8_t key[32])
{
    const struct end *end = context;
    return end->bans && memcmp(end->banned, key, 32) == 0;
}

static uint64_t now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000 + 1000000000;
}

/* A port that was free a moment ago. */
static void choose_address(char *out)
{
    char endpoint[64];
    size_t size = sizeof endpoint;
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PAIR);
    cr_assert_eq(zmq_bind(socket, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size);
    zmq_close(socket);
    zmq_ctx_term(context);
    snprintf(out, SL_PEER_ADDRESS_MAX, "%.40s", endpoint + strlen("tcp://"));
}

static void prepare(struct end *end)
{
    *end = (struct end){.context = zmq_ctx_new()};
    crypto_box_keypair(end->self.transport_public, end->secret);
    choose_address(end->self.address);
}

static void open_end(struct end *end)
{
    struct sl_links_setup setup = {.context = end->context, .listen = end->self.address, .transport_public = end->self.transport_public,
                                   .transport_secret = end->secret, .link_max = 8, .silence_max_us = 60000000};
    struct sl_links_sink sink = {end, on_change, on_message, on_note};
    cr_assert_eq(sl_zap_open(&end->zap, end->context, is_banned, end), SL_OK);
    cr_assert_eq(sl_links_new(&setup, &sink, &end->links, why, sizeof why), SL_OK, "%s", why);
}

static void close_end(struct end *end)
{
    sl_links_destroy(&end->links);
    sl_zap_close(&end->zap);
    zmq_ctx_term(end->context);
}

static void turn(struct end *end)
{
    zmq_pollitem_t items[ITEMS_MAX];
    uint32_t n = sl_links_items(end->links, items);
    zmq_poll(items, (int)n, 2);
    sl_zap_turn(&end->zap);
    sl_links_turn(end->links, items, n, now_us());
}

/* Turns both ends until `count` reaches `wanted` or 5 s are over. */
static bool wait_for(const uint32_t *count, uint32_t wanted)
{
    uint64_t limit_us = now_us() + 5000000;
    while (*count < wanted && now_us() < limit_us) {
        turn(&left);
        if (right.links) turn(&right);
    }
    return *count >= wanted;
}

static void dial(struct end *from, uint32_t link, const struct sl_peer *to)
{
    struct sl_dial dial = {.link = link};
    memcpy(dial.transport_key, to->transport_public, 32);
    memcpy(dial.address, to->address, sizeof dial.address);
    sl_links_dial(from->links, &dial, now_us());
}

static void open_both(void)
{
    prepare(&left);
    prepare(&right);
    open_end(&left);
    open_end(&right);
}

static void close_both(void)
{
    close_end(&left);
    if (right.links) close_end(&right);
}

static void turn_both_for(uint64_t us)
{
    uint64_t limit_us = now_us() + us;
    while (now_us() < limit_us) {
        turn(&left);
        if (right.links) turn(&right);
    }
}

/* A client of its own making, for what no honest node does. */
static void *rogue(const struct end *as, const struct end *to, void *context)
{
    char endpoint[64];
    int linger = 0, never = -1;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &never, sizeof never);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, to->self.transport_public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, as->self.transport_public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, as->secret, 32);
    snprintf(endpoint, sizeof endpoint, "tcp://%s", to->self.address);
    cr_assert_eq(zmq_connect(socket, endpoint), 0);
    return socket;
}

Test(link, a_dialled_link_is_up_and_carries_messages_both_ways)
{
    open_both();

    dial(&left, 7, &right.self);
    cr_assert(wait_for(&left.n_up, 1));
    cr_assert_eq(left.last_link, 7);
    sl_links_send(left.links, 7, "hello", 5);
    cr_assert(wait_for(&right.n_messages, 1));

    cr_assert_eq(right.n_up, 1);
    cr_assert_geq(right.last_link, SL_LINK_INBOUND);
    cr_assert_eq(memcmp(right.last_key, left.self.transport_public, 32), 0, "the key that CURVE proved");
    cr_assert_str_eq(right.last_text, "hello");

    sl_links_send(right.links, right.last_link, "welcome", 7);
    cr_assert(wait_for(&left.n_messages, 1));
    cr_assert_str_eq(left.last_text, "welcome");
    close_both();
}

Test(link, a_banned_key_is_refused_and_a_strange_one_is_let_in)
{
    open_both();
    right.bans = true;
    memcpy(right.banned, left.self.transport_public, 32);

    dial(&left, 1, &right.self);
    cr_assert(wait_for(&left.n_refused, 1));
    cr_assert_eq(left.n_up, 0);
    cr_assert_eq(right.n_up, 0);
    cr_assert_eq(right.zap.n_refused, 1);
    cr_assert_str_eq(left.last_note, "the peer does not admit this node");

    right.bans = false;
    dial(&left, 2, &right.self);
    cr_assert(wait_for(&left.n_up, 1));
    cr_assert_eq(right.zap.n_admitted, 1);
    close_both();
}

Test(link, a_peer_that_cannot_prove_the_dialled_key_is_not_up)
{
    open_both();
    struct sl_peer impostor = right.self;
    impostor.transport_public[3] ^= 1;

    dial(&left, 1, &impostor);

    uint64_t limit_us = now_us() + 300000;
    while (now_us() < limit_us) turn(&left), turn(&right);
    cr_assert_eq(left.n_up, 0);
    cr_assert_eq(right.n_up, 0);
    close_both();
}

Test(link, a_closed_port_and_a_bad_address_are_refused)
{
    open_both();
    struct sl_peer nobody = right.self, bad = right.self;
    choose_address(nobody.address);
    snprintf(bad.address, sizeof bad.address, "localhost:80;127.0.0.1:1");

    dial(&left, 1, &bad);
    cr_assert(wait_for(&left.n_refused, 1));
    dial(&left, 2, &nobody);
    cr_assert(wait_for(&left.n_refused, 2));
    cr_assert_eq(left.last_link, 2);
    close_both();
}

Test(link, the_end_of_the_other_side_is_noticed_at_either_side)
{
    open_both();
    dial(&left, 1, &right.self);
    cr_assert(wait_for(&left.n_up, 1));
    sl_links_send(left.links, 1, "x", 1);
    cr_assert(wait_for(&right.n_messages, 1));

    sl_links_hangup(left.links, 1);
    cr_assert(wait_for(&right.n_down, 1), "without a word sent to it");
    cr_assert_eq(left.n_down, 0, "who hangs up hears nothing more");

    dial(&left, 2, &right.self);
    cr_assert(wait_for(&left.n_up, 2));
    close_end(&right);
    right.links = NULL;
    cr_assert(wait_for(&left.n_down, 1));
    close_both();
}

Test(link, a_hang_up_of_an_inbound_link_ends_its_connection_and_what_was_on_its_way)
{
    open_both();
    dial(&left, 1, &right.self);
    cr_assert(wait_for(&left.n_up, 1));
    sl_links_send(left.links, 1, "x", 1);
    cr_assert(wait_for(&right.n_messages, 1));

    sl_links_send(left.links, 1, "y", 1);
    sl_links_hangup(right.links, right.last_link);

    uint64_t before_us = now_us();
    cr_assert(wait_for(&left.n_down, 1));
    cr_assert_lt(now_us() - before_us, 1000000);
    turn_both_for(100000);
    cr_assert_eq(right.n_messages, 1);
    cr_assert_eq(right.n_up, 1);
    cr_assert_eq(right.n_down, 0);
    close_both();
}

Test(link, every_dial_is_answered_soon_but_a_refusal_loop_cannot_spin)
{
    open_both();
    struct sl_peer nobody = right.self;
    choose_address(nobody.address);

    uint64_t begun_us = now_us();
    for (uint32_t i = 1; i <= 10; i++) {
        dial(&left, i, &nobody);
        cr_assert(wait_for(&left.n_refused, i));
        cr_assert_eq(left.last_link, i);
    }
    uint64_t took_us = now_us() - begun_us;
    cr_assert_geq(took_us, 10 * 20000);
    cr_assert_lt(took_us, 2000000);
    cr_assert_str_eq(left.last_note, "nobody listens there, or no way leads there");
    close_both();
}

Test(link, a_message_of_two_frames_ends_the_link_for_good)
{
    open_both();
    void *context = zmq_ctx_new(), *socket = rogue(&left, &right, context);
    zmq_send(socket, "honest", 6, 0);
    cr_assert(wait_for(&right.n_messages, 1));

    zmq_send(socket, "one", 3, ZMQ_SNDMORE);
    zmq_send(socket, "two", 3, ZMQ_SNDMORE);
    zmq_send(socket, "three", 5, 0);
    cr_assert(wait_for(&right.n_down, 1));
    zmq_send(socket, "honest again", 12, ZMQ_DONTWAIT);        /* nobody may be there any more */
    turn_both_for(200000);

    cr_assert_eq(right.n_messages, 1);
    cr_assert_str_eq(right.last_note, "it sent a message of several frames");
    zmq_close(socket);
    zmq_ctx_term(context);
    close_both();
}

/* Of this process, in bytes. */
static long memory_in_use(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%ld %ld", &pages, &resident), 2);
    fclose(file);
    return resident * 4096;
}

/* One message of 120 MB in frames that pass every limit. They share one block, so that the sender takes no memory for them. */
static void send_endless(void *socket)
{
    static uint8_t block[60000];
    zmq_msg_t frame;
    for (uint32_t i = 0; i < 2000; i++) {
        zmq_msg_init_data(&frame, block, sizeof block, NULL, NULL);
        if (zmq_msg_send(&frame, socket, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) zmq_msg_close(&frame);
    }
    zmq_send(socket, "end", 3, ZMQ_DONTWAIT);
}

Test(link, a_message_without_end_is_cut_off)
{
    open_both();
    void *context = zmq_ctx_new(), *socket = rogue(&left, &right, context);
    zmq_send(socket, "honest", 6, 0);
    cr_assert(wait_for(&right.n_messages, 1));
    long before = memory_in_use();

    send_endless(socket);
    cr_assert(wait_for(&right.n_down, 1));

    struct sl_guard_counts counts;
    sl_links_guard(right.links, &counts);
    cr_assert_eq(counts.cut[SL_CUT_FLOOD], 1);
    cr_assert_eq(right.n_messages, 1);
    cr_assert_lt(memory_in_use() - before, 40 << 20, "both ends together");
    zmq_close(socket);
    zmq_ctx_term(context);
    close_both();
}

Test(link, a_dialled_peer_that_sends_a_message_without_end_is_cut_off_as_well)
{
    open_both();
    zmq_msg_t route;
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_ROUTER);
    struct end rogue_end;
    char endpoint[64];
    int linger = 0, server = 1;
    prepare(&rogue_end);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &server, sizeof server);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, rogue_end.secret, 32);
    snprintf(endpoint, sizeof endpoint, "tcp://%s", rogue_end.self.address);
    cr_assert_eq(zmq_bind(socket, endpoint), 0);

    dial(&left, 1, &rogue_end.self);
    cr_assert(wait_for(&left.n_up, 1));
    sl_links_send(left.links, 1, "hello", 5);
    zmq_msg_init(&route);
    cr_assert_gt(zmq_msg_recv(&route, socket, 0), 0);
    zmq_msg_send(&route, socket, ZMQ_SNDMORE);
    send_endless(socket);

    cr_assert(wait_for(&left.n_down, 1));
    struct sl_guard_counts counts;
    sl_links_guard(left.links, &counts);
    cr_assert_eq(counts.cut[SL_CUT_FLOOD], 1);
    zmq_close(socket);
    zmq_ctx_term(context);
    zmq_ctx_term(rogue_end.context);
    close_both();
}

Test(link, a_peer_that_brings_its_own_routing_id_is_not_heard)
{
    open_both();
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_DEALER);
    char endpoint[64];
    int linger = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_ROUTING_ID, "squat", 5);
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, right.self.transport_public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, left.self.transport_public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, left.secret, 32);
    snprintf(endpoint, sizeof endpoint, "tcp://%s", right.self.address);
    zmq_connect(socket, endpoint);
    zmq_send(socket, "x", 1, 0);

    uint64_t limit_us = now_us() + 300000;
    while (now_us() < limit_us) turn(&right);

    cr_assert_eq(right.n_up, 0);
    cr_assert_eq(right.n_messages, 0);
    zmq_close(socket);
    zmq_ctx_term(context);
    close_both();
}

Test(link, a_frame_above_the_limit_ends_the_connection)
{
    static uint8_t large[73728 + 1];
    open_both();
    dial(&left, 1, &right.self);
    cr_assert(wait_for(&left.n_up, 1));
    sl_links_send(left.links, 1, large, sizeof large - 1024);
    cr_assert(wait_for(&right.n_messages, 1));
    cr_assert_eq(right.last_size, sizeof large - 1024);

    sl_links_send(left.links, 1, large, sizeof large);

    cr_assert(wait_for(&left.n_down, 1));
    cr_assert_eq(right.n_messages, 1);
    close_both();
}

Test(link, a_flood_is_bounded_per_turn_and_ends_the_link_in_the_end)
{
    open_both();
    void *context = zmq_ctx_new(), *socket = rogue(&left, &right, context);
    for (uint32_t i = 0; i < 500; i++) zmq_send(socket, "flood", 5, ZMQ_DONTWAIT);
    cr_assert(wait_for(&right.n_messages, 1));

    for (uint32_t i = 0; i < 20; i++) {
        uint32_t before = right.n_messages;
        turn(&right);
        cr_assert_leq(right.n_messages - before, 64);
    }
    uint64_t limit_us = now_us() + 10000000;
    while (right.n_down == 0 && now_us() < limit_us) {
        for (uint32_t i = 0; i < 200; i++) zmq_send(socket, "flood", 5, ZMQ_DONTWAIT);
        turn(&right);
    }
    cr_assert_eq(right.n_down, 1, "8192 small messages use up the budget of a link at rest");
    cr_assert_str_eq(right.last_note, "it sent more than its budget");
    zmq_close(socket);
    zmq_ctx_term(context);
    close_both();
}

Test(link, a_peer_that_hoards_connections_pushes_out_its_own)
{
    enum { N = 30 };
    static void *sockets[N];
    open_both();
    void *context = zmq_ctx_new();
    for (uint32_t i = 0; i < N; i++) {
        sockets[i] = rogue(&left, &right, context);
        zmq_send(sockets[i], "x", 1, 0);
        cr_assert(wait_for(&right.n_messages, i + 1));
    }

    cr_assert_eq(right.n_up, N);
    cr_assert_eq(right.n_down, N - 2, "two connections a key");
    for (uint32_t i = 0; i < N; i++) zmq_close(sockets[i]);
    zmq_ctx_term(context);
    close_both();
}

Test(link, a_taken_port_is_told_with_the_remedy)
{
    open_both();
    struct end third = {.context = zmq_ctx_new(), .self = right.self};
    struct sl_links_setup setup = {.context = third.context, .listen = right.self.address, .transport_public = right.self.transport_public,
                                   .transport_secret = right.secret, .link_max = 8, .silence_max_us = 1};
    struct sl_links_sink sink = {&third, on_change, on_message, NULL};

    cr_assert_eq(sl_links_new(&setup, &sink, &third.links, why, sizeof why), SL_ERROR_EXISTS);
    cr_assert_not_null(strstr(why, "node.listen"));
    setup.listen = "localhost:1";
    cr_assert_eq(sl_links_new(&setup, &sink, &third.links, why, sizeof why), SL_ERROR_BAD_ARGUMENT);

    zmq_ctx_term(third.context);
    close_both();
}
