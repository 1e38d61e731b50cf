/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "runtime/link.h"
#include "runtime/zap.h"
#include "starling/error.h"

/* A node's sockets without a node, against raw TCP from another process. */

enum { ITEMS_MAX = 512, SECOND = 1000000 };

static void *context;
static struct sl_links *links;
static struct sl_zap zap;
static uint8_t public_key[32], secret_key[32];
static char address[SL_PEER_ADDRESS_MAX];
static uint16_t port;
static uint32_t n_up, n_messages, inbound;

static void on_change(void *sink, uint32_t link, enum sl_link_change change, const uint8_t key[32])
{
    (void)sink, (void)key;
    n_up += change == SL_LINK_UP;
    if (link >= SL_LINK_INBOUND) inbound = link;
}

static void on_message(void *sink, uint32_t link, const uint8_t *data, size_t size)
{
    (void)sink, (void)link, (void)data, (void)size;
    n_messages++;
}

static uint64_t now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec / 1000 + 1000 * (uint64_t)SECOND;
}

static int raw_socket(const char *host, uint16_t to, bool binds)
{
    int one = 1, descriptor = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(to)};
    inet_pton(AF_INET, host, &name.sin_addr);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    int failed = binds ? bind(descriptor, (struct sockaddr *)&name, sizeof name) : connect(descriptor, (struct sockaddr *)&name, sizeof name);
    if (!failed) return descriptor;
    close(descriptor);
    return -1;
}

static uint16_t port_of(int descriptor)
{
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    getsockname(descriptor, (struct sockaddr *)&name, &size);
    return ntohs(name.sin_port);
}

static struct sl_links *open_at(uint16_t at)
{
    static char why[1024];
    struct sl_links *opened = NULL;
    snprintf(address, sizeof address, "127.0.0.1:%u", at);
    struct sl_links_setup setup = {.context = context, .listen = address, .transport_public = public_key, .transport_secret = secret_key, .link_max = 8,
                                   .silence_max_us = 60ull * SECOND};
    struct sl_links_sink sink = {NULL, on_change, on_message, NULL};
    cr_assert_eq(sl_links_new(&setup, &sink, &opened, why, sizeof why), SL_OK, "%s", why);
    return opened;
}

static void open_links(void)
{
    int probe = raw_socket("127.0.0.1", 0, true);
    port = port_of(probe);
    close(probe);
    context = zmq_ctx_new();
    crypto_box_keypair(public_key, secret_key);
    cr_assert_eq(sl_zap_open(&zap, context, NULL, NULL), SL_OK);
    links = open_at(port);
}

static void close_links(void)
{
    sl_links_destroy(&links);
    sl_zap_close(&zap);
    zmq_ctx_term(context);
}

static void turn(uint64_t us)
{
    zmq_pollitem_t items[ITEMS_MAX];
    uint64_t limit_us = now_us() + us;
    do {
        uint32_t n = sl_links_items(links, items);
        items[n] = (zmq_pollitem_t){.socket = zap.socket, .events = ZMQ_POLLIN};
        zmq_poll(items, (int)n + 1, 2);
        sl_zap_turn(&zap);
        sl_links_turn(links, items, n, now_us());
    } while (now_us() < limit_us);
}

static uint32_t n_open(const int *sockets, uint32_t n)
{
    uint32_t open = 0;
    char bytes[512];
    for (uint32_t i = 0; i < n; i++) {
        if (sockets[i] < 0) continue;
        ssize_t size;
        while ((size = recv(sockets[i], bytes, sizeof bytes, MSG_DONTWAIT)) > 0) continue;
        open += size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    return open;
}

static uint32_t n_descriptors(void)
{
    uint32_t n = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder)) n++;
    closedir(folder);
    return n;
}

/* Voluntary context switches of the guard's thread: how often it slept, and so how often it woke. */
static long wakes_of_guard(void)
{
    char path[300], line[128];
    long wakes = -1;
    DIR *folder = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(folder));) {
        bool is_guard = false;
        snprintf(path, sizeof path, "/proc/self/task/%.20s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file)) {
            if (strcmp(line, "Name:\tstarling-guard\n") == 0) is_guard = true;
            if (is_guard) sscanf(line, "voluntary_ctxt_switches: %ld", &wakes);
        }
        if (file) fclose(file);
    }
    closedir(folder);
    return wakes;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* An honest peer's connection, in this process. */
static void *honest_peer(void)
{
    uint8_t own_public[32], own_secret[32];
    char endpoint[64];
    int linger = 0;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    crypto_box_keypair(own_public, own_secret);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, public_key, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, own_public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own_secret, 32);
    snprintf(endpoint, sizeof endpoint, "tcp://%s", address);
    zmq_connect(socket, endpoint);
    uint32_t before = n_messages;
    zmq_send(socket, "hello", 5, 0);
    for (uint32_t i = 0; i < 1000 && n_messages == before; i++) turn(2000);
    cr_assert_eq(n_messages, before + 1);
    return socket;
}

Test(guard, a_descriptor_is_cut_only_while_it_is_the_connection_that_was_meant)
{
    int listener = raw_socket("127.0.0.1", 0, true);
    listen(listener, 4);
    int client = raw_socket("127.0.0.1", port_of(listener), false), accepted = accept(listener, NULL, NULL);
    uint64_t cookie = sl_guard_cookie(accepted);
    cr_assert_neq(cookie, 0);
    cr_assert_eq(sl_guard_cookie_of(accepted, "127.0.0.1"), cookie);
    cr_assert_eq(sl_guard_cookie_of(accepted, "::ffff:127.0.0.1"), cookie);
    cr_assert_eq(sl_guard_cookie_of(accepted, "192.0.2.1"), 0);
    cr_assert_eq(sl_guard_cookie_of(accepted, NULL), 0);
    cr_assert_eq(sl_guard_cookie(STDIN_FILENO), 0);

    sl_guard_cut(accepted, cookie + 1);
    sl_guard_cut(accepted, 0);
    cr_assert_eq(n_open(&client, 1), 1);

    int second_client = raw_socket("127.0.0.1", port_of(listener), false);
    close(accepted);
    int second = accept(listener, NULL, NULL);
    cr_assert_eq(second, accepted, "the number is used again");
    sl_guard_cut(second, cookie);
    cr_assert_eq(n_open(&second_client, 1), 1);
    sl_guard_cut(second, sl_guard_cookie(second));
    cr_assert_eq(n_open(&second_client, 1), 0);
    close(client), close(second_client), close(second), close(listener);
}

Test(guard, of_many_that_say_nothing_few_stay_and_none_for_long)
{
    enum { N = 150 };
    static int sockets[N];
    open_links();
    turn(10000);
    uint32_t before = n_descriptors();
    for (uint32_t i = 0; i < N; i++) {
        sockets[i] = raw_socket("127.0.0.1", port, false);
        if (i % 10 == 0) turn(20000);
    }
    turn(200000);
    cr_assert_leq(n_open(sockets, N), SL_DOOR_SILENT_MAX);
    cr_assert_geq(n_open(sockets, N), SL_DOOR_SILENT_MAX / 2);

    turn(6 * SECOND);
    cr_assert_eq(n_open(sockets, N), 0);
    for (uint32_t i = 0; i < N; i++) close(sockets[i]);
    turn(100000);
    cr_assert_leq(n_descriptors(), before);
    close_links();
}

Test(guard, a_proven_key_that_says_nothing_is_cut_as_well_and_one_that_spoke_is_not)
{
    struct sl_guard_counts counts;
    open_links();
    void *speaker = honest_peer(), *mute = zmq_socket(context, ZMQ_DEALER);
    char endpoint[64];
    uint8_t own_public[32], own_secret[32];
    int linger = 0, never = -1;
    crypto_box_keypair(own_public, own_secret);
    zmq_setsockopt(mute, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(mute, ZMQ_RECONNECT_IVL, &never, sizeof never);
    zmq_setsockopt(mute, ZMQ_CURVE_SERVERKEY, public_key, 32);
    zmq_setsockopt(mute, ZMQ_CURVE_PUBLICKEY, own_public, 32);
    zmq_setsockopt(mute, ZMQ_CURVE_SECRETKEY, own_secret, 32);
    snprintf(endpoint, sizeof endpoint, "tcp://%s", address);
    zmq_connect(mute, endpoint);

    turn(6 * SECOND);

    sl_links_guard(links, &counts);
    cr_assert_eq(zap.n_admitted, 2);
    cr_assert_eq(counts.cut[SL_CUT_SILENT], 1);
    zmq_send(speaker, "still here", 10, 0);
    turn(100000);
    cr_assert_eq(n_messages, 2);
    zmq_close(mute);
    zmq_close(speaker);
    close_links();
}

/* Bytes that the kernel received on the only connection somebody made to us. */
static uint64_t received_by_kernel(void)
{
    for (int descriptor = 3; descriptor < 200; descriptor++) {
        struct sockaddr_in6 own, peer;
        struct tcp_info info = {0};
        socklen_t own_size = sizeof own, peer_size = sizeof peer, size = sizeof info;
        bool is_connected = getsockname(descriptor, (struct sockaddr *)&own, &own_size) == 0 && ntohs(own.sin6_port) == port &&
                            getpeername(descriptor, (struct sockaddr *)&peer, &peer_size) == 0;
        if (is_connected && getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) return info.tcpi_bytes_received;
    }
    return 0;
}

Test(guard, knows_to_the_byte_what_a_message_takes_on_the_wire)
{
    static const size_t sizes[] = {0, 1, 100, 221, 222, 223, 224, 1000, 65535, 65536, 73000};
    static uint8_t bytes[73000];
    open_links();
    void *peer = honest_peer();
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t before = received_by_kernel();
        uint32_t n_before = n_messages;
        cr_assert_gt(before, 0);
        for (uint32_t j = 0; j < 10; j++) zmq_send(peer, bytes, sizes[i], 0);
        for (uint32_t j = 0; j < 1000 && n_messages < n_before + 10; j++) turn(2000);
        cr_assert_eq(received_by_kernel() - before, 10 * sl_guard_size_on_wire(sizes[i]), "size %zu", sizes[i]);
    }
    zmq_close(peer);
    close_links();
}

Test(guard, running_out_of_descriptors_is_avoided)
{
    enum { LIMIT = 120, N = 400 };
    struct rlimit limit = {.rlim_cur = LIMIT, .rlim_max = LIMIT};
    struct sl_guard_counts counts;
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    int probe = raw_socket("127.0.0.1", 0, true);
    uint16_t chosen = port_of(probe);
    close(probe);

    pid_t attacker = fork();
    if (attacker == 0) {
        char go;
        if (read(ready[0], &go, 1) != 1) _exit(1);
        for (uint32_t i = 0; i < N; i++) {
            raw_socket("127.0.0.1", chosen, false);
            poll(NULL, 0, 2);
        }
        pause();
        _exit(0);
    }
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    context = zmq_ctx_new();
    crypto_box_keypair(public_key, secret_key);
    cr_assert_eq(sl_zap_open(&zap, context, NULL, NULL), SL_OK);
    links = open_at(chosen);
    for (int held = 0; held < 60;) held = dup(STDIN_FILENO);         /* as a node would that has many other files open */

    cr_assert_eq(write(ready[1], "g", 1), 1);
    double before_s = cpu_s();
    turn(2 * SECOND);
    cr_assert_lt(cpu_s() - before_s, 1.0, "half a core");
    sl_links_guard(links, &counts);
    cr_assert_gt(counts.cut[SL_CUT_FILES], 0);
    int spare = dup(STDIN_FILENO);
    cr_assert_geq(spare, 0, "descriptors are left");
    cr_assert_lt(spare, LIMIT - 12);

    kill(attacker, SIGKILL);
    waitpid(attacker, NULL, 0);
    turn(200000);
    close(spare);
    zmq_close(honest_peer());
    close_links();
}

Test(guard, a_storm_of_connections_leaves_a_link_in_peace)
{
    struct sl_guard_counts counts;
    open_links();
    void *peer = honest_peer();
    pid_t attacker = fork();
    if (attacker == 0) {
        for (uint32_t i = 0;; i++) {
            int descriptor = raw_socket("127.0.0.1", port, false);
            struct linger reset = {.l_onoff = 1, .l_linger = 0};
            if (descriptor % 2) setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            struct pollfd closed = {.fd = descriptor, .events = POLLIN};
            if (descriptor >= 0 && i % 4 == 0) poll(&closed, 1, 2);
            close(descriptor);
        }
    }
    uint32_t before = n_messages;
    for (uint32_t i = 0; i < 100; i++) {
        zmq_send(peer, "tick", 4, ZMQ_DONTWAIT);
        turn(20000);
    }
    kill(attacker, SIGKILL);
    waitpid(attacker, NULL, 0);
    turn(300000);

    sl_links_guard(links, &counts);
    cr_assert_eq(n_messages - before, 100);
    cr_assert_gt(counts.accepted, 200);
    cr_assert_gt(counts.cut[SL_CUT_RATE], 0);
    zmq_close(peer);
    close_links();
}

Test(guard, sleeps_while_nothing_comes_in)
{
    open_links();
    turn(100000);
    long before = wakes_of_guard();
    cr_assert_geq(before, 0);
    turn(SECOND);
    cr_assert_leq(wakes_of_guard() - before, 1, "alone");

    void *peer = honest_peer();
    turn(500000);
    before = wakes_of_guard();
    turn(2 * SECOND);
    cr_assert_leq(wakes_of_guard() - before, 8, "with a link at rest");
    zmq_close(peer);
    close_links();
}
