/* SPDX-License-Identifier: MIT */
/*
 * What a node must survive on the wire: test_wire.py and tools/bench/wire start this program against a real node. It is never installed.
 *
 * usage: hostile ATTACK HOST PORT SERVER_KEY_HEX SECONDS
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { SOCKETS_MAX = 4000, PER_MS = 3, MS = 1000, SECOND = 1000000 };

struct target {
    const char *host;
    uint16_t port;
    uint8_t key[32];
    uint64_t end_us;
};

struct tally {
    unsigned long connections, ended;        /* made by us (or, where we listen, by the node), and ended by the node while we held them */
};

static uint8_t block[65536];

static uint64_t clock_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec / 1000;
}

static bool goes_on(const struct target *target)
{
    return clock_us() < target->end_us;
}

static void rest_ms(int ms)
{
    poll(NULL, 0, ms);
}

/* ---- raw TCP ---- */

static int connect_to(const struct target *target)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(target->port)};
    inet_pton(AF_INET, target->host, &name.sin_addr);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return -1;
    if (connect(descriptor, (struct sockaddr *)&name, sizeof name) == 0 || errno == EINPROGRESS) return descriptor;
    close(descriptor);
    return -1;
}

static void say(int descriptor, const void *bytes, size_t size)
{
    struct pollfd ready = {.fd = descriptor, .events = POLLOUT};
    if (descriptor >= 0 && poll(&ready, 1, 50) == 1) (void)!send(descriptor, bytes, size, MSG_NOSIGNAL);
}

static bool has_ended(int descriptor)
{
    char bytes[4096];
    for (;;) {
        ssize_t size = recv(descriptor, bytes, sizeof bytes, MSG_DONTWAIT);
        if (size == 0) return true;
        if (size < 0) return errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOTCONN;
    }
}

static void reset(int descriptor)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(descriptor);
}

/* Holds n connections and opens each again when the node ends it. `begin` says something on a new one, `again` once a second on each; either may be NULL. */
static struct tally hold(const struct target *target, uint32_t n, void (*begin)(int descriptor), void (*again)(int descriptor, uint32_t turn))
{
    static int sockets[SOCKETS_MAX];
    struct tally tally = {0};
    for (uint32_t i = 0; i < n; i++) sockets[i] = -1;
    for (uint32_t turn = 0; goes_on(target); turn++) {
        uint64_t next_us = clock_us() + SECOND;
        uint32_t n_new = 0;
        for (uint32_t i = 0; i < n && goes_on(target); i++) {
            if (sockets[i] >= 0 && has_ended(sockets[i])) {
                close(sockets[i]);
                sockets[i] = -1;
                tally.ended++;
            }
            bool is_new = sockets[i] < 0;
            if (is_new && (sockets[i] = connect_to(target)) >= 0) {
                tally.connections++;
                if (begin) begin(sockets[i]);
                if (++n_new % PER_MS == 0) rest_ms(1);
            }
            if (again && sockets[i] >= 0) again(sockets[i], turn);
        }
        while (clock_us() < next_us && goes_on(target)) rest_ms(10);
    }
    return tally;
}

static struct tally attack_idle(const struct target *target)
{
    return hold(target, 500, NULL, NULL);
}

static struct tally attack_files(const struct target *target)
{
    return hold(target, 3500, NULL, NULL);
}

/* ZMTP 3.1 with CURVE: 10 bytes of signature, version, mechanism, not a server, filler. */
static size_t write_greeting(uint8_t out[64])
{
    static const uint8_t head[12] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1};
    memset(out, 0, 64);
    memcpy(out, head, sizeof head);
    memcpy(out + 12, "CURVE", 5);
    return 64;
}

static void one_byte(int descriptor, uint32_t turn)
{
    uint8_t greeting[64];
    write_greeting(greeting);
    (void)!send(descriptor, greeting + turn % 64, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static struct tally attack_slow(const struct target *target)
{
    return hold(target, 200, NULL, one_byte);
}

/* A frame as long as is allowed, before any proof of a key: all of it but the last byte. */
static void large_frame(int descriptor)
{
    uint8_t greeting[64], header[9] = {2, 0, 0, 0, 0, 0, 1, 0x1f, 0};
    say(descriptor, greeting, write_greeting(greeting));
    say(descriptor, header, sizeof header);
    say(descriptor, block, sizeof block);
    say(descriptor, block, 7000);
}

static struct tally attack_preauth(const struct target *target)
{
    return hold(target, 200, large_frame, NULL);
}

static void client_hello(int descriptor)
{
    static const uint8_t hello[] = {0x16, 3, 1, 0, 0xc4, 1, 0, 0, 0xc0, 3, 3, 0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f, 0x60, 0x61, 0x62};
    uint8_t bytes[201] = {0};
    memcpy(bytes, hello, sizeof hello);
    say(descriptor, bytes, sizeof bytes);
}

static struct tally attack_tls(const struct target *target)
{
    return hold(target, 100, client_hello, NULL);
}

/* As many connections as go, each ended at once. */
static struct tally come_and_go(const struct target *target, bool resets)
{
    struct tally tally = {0};
    uint8_t greeting[64];
    write_greeting(greeting);
    while (goes_on(target)) {
        int descriptor = connect_to(target);
        if (descriptor < 0) {
            rest_ms(1);
            continue;
        }
        say(descriptor, greeting, resets ? 20 : 1);
        tally.connections++;
        if (resets) reset(descriptor);
        else close(descriptor);
        if (tally.connections % PER_MS == 0) rest_ms(1);
    }
    return tally;
}

static struct tally attack_storm(const struct target *target)
{
    return come_and_go(target, false);
}

static struct tally attack_rst(const struct target *target)
{
    return come_and_go(target, true);
}

/* Listens where the node expects a peer, and ends whatever comes: half of it at once, half after a greeting. */
static struct tally attack_refuse(const struct target *target)
{
    struct tally tally = {0};
    uint8_t greeting[64];
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(target->port)};
    inet_pton(AF_INET, target->host, &name.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&name, sizeof name) != 0 || listen(listener, 64) != 0) exit(1);
    write_greeting(greeting);
    while (goes_on(target)) {
        struct pollfd ready = {.fd = listener, .events = POLLIN};
        int descriptor = poll(&ready, 1, 50) == 1 ? accept(listener, NULL, NULL) : -1;
        if (descriptor < 0) continue;
        if (tally.connections++ % 2) say(descriptor, greeting, sizeof greeting);
        reset(descriptor);
    }
    return tally;
}

/* ---- with proven keys ---- */

static void *dealer(void *context, const struct target *target, const char *routing_id)
{
    uint8_t public_key[32], secret_key[32];
    char endpoint[64];
    int zero = 0, never = -1, queue = 20000;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    if (!socket) return NULL;
    crypto_box_keypair(public_key, secret_key);
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &never, sizeof never);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &queue, sizeof queue);
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, target->key, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret_key, 32);
    if (routing_id) zmq_setsockopt(socket, ZMQ_ROUTING_ID, routing_id, strlen(routing_id));
    snprintf(endpoint, sizeof endpoint, "tcp://%s:%u", target->host, target->port);
    if (zmq_connect(socket, endpoint) == 0) return socket;
    zmq_close(socket);
    return NULL;
}

/* One message in frames that share a block: it costs us nothing, and a reader without a guard everything. */
static void send_endless(void *socket, uint32_t n)
{
    zmq_msg_t frame;
    for (uint32_t i = 0; i < n; i++) {
        zmq_msg_init_data(&frame, block, 60000, NULL, NULL);
        if (zmq_msg_send(&frame, socket, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) zmq_msg_close(&frame);
    }
    zmq_send(socket, "end", 3, ZMQ_DONTWAIT);
}

static void flood_frames(void *socket)
{
    send_endless(socket, 10000);
}

static void flood_small(void *socket)
{
    for (uint32_t i = 0; i < 20000; i++) zmq_send(socket, block, 40, ZMQ_DONTWAIT);
}

static void garbage_hello(void *socket)
{
    uint8_t bytes[400];
    randombytes_buf(bytes, sizeof bytes);
    memcpy(bytes, "\x99\x01\x01", 3);
    zmq_send(socket, bytes, sizeof bytes, ZMQ_DONTWAIT);
}

static void hello_of_squatter(void *socket)
{
    zmq_send(socket, "who is there", 12, ZMQ_DONTWAIT);
}

/* n sockets at a time, each with a key of its own, renewed after `life_ms`. */
static struct tally swarm(const struct target *target, uint32_t n, int life_ms, void (*act)(void *socket), const char *const *ids, uint32_t n_ids)
{
    struct tally tally = {0};
    void *context = zmq_ctx_new(), *sockets[64];
    while (goes_on(target)) {
        for (uint32_t i = 0; i < n; i++) {
            sockets[i] = dealer(context, target, n_ids ? ids[i % n_ids] : NULL);
            if (sockets[i]) tally.connections++, act(sockets[i]);
        }
        uint64_t until_us = clock_us() + (uint64_t)life_ms * MS;
        while (clock_us() < until_us && goes_on(target)) rest_ms(5);
        for (uint32_t i = 0; i < n; i++)
            if (sockets[i]) zmq_close(sockets[i]);
    }
    zmq_ctx_term(context);
    return tally;
}

static struct tally attack_more(const struct target *target)
{
    return swarm(target, 4, 700, flood_frames, NULL, 0);
}

static struct tally attack_small(const struct target *target)
{
    return swarm(target, 2, 1000, flood_small, NULL, 0);
}

static struct tally attack_hello(const struct target *target)
{
    return swarm(target, 20, 100, garbage_hello, NULL, 0);
}

static struct tally attack_squat(const struct target *target)
{
    static const char *const ids[] = {"squat", "squat", "abcde", "x"};
    return swarm(target, 40, 500, hello_of_squatter, ids, 4);
}

/* Strangers that keep their connections after a word that means nothing. */
static struct tally attack_stranger(const struct target *target)
{
    return swarm(target, 60, 20000, garbage_hello, NULL, 0);
}

static const struct {
    const char *name;
    struct tally (*run)(const struct target *target);
} attacks[] = {{"more", attack_more},       {"preauth", attack_preauth}, {"hello", attack_hello}, {"slow", attack_slow},     {"idle", attack_idle},
               {"files", attack_files},     {"storm", attack_storm},     {"squat", attack_squat}, {"tls", attack_tls},       {"rst", attack_rst},
               {"refuse", attack_refuse},   {"small", attack_small},       {"stranger", attack_stranger}};

int main(int argc, char **argv)
{
    size_t size = 0;
    struct target target = {0};
    struct rlimit files = {.rlim_cur = SOCKETS_MAX + 96, .rlim_max = SOCKETS_MAX + 96};
    signal(SIGPIPE, SIG_IGN);
    if (argc != 6 || sodium_init() < 0 || sodium_hex2bin(target.key, 32, argv[4], strlen(argv[4]), NULL, &size, NULL) != 0 || size != 32) {
        fprintf(stderr, "usage: hostile ATTACK HOST PORT SERVER_KEY_HEX SECONDS\n");
        return 4;
    }
    setrlimit(RLIMIT_NOFILE, &files);
    target.host = argv[2];
    target.port = (uint16_t)atoi(argv[3]);
    target.end_us = clock_us() + (uint64_t)(atof(argv[5]) * SECOND);
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        if (strcmp(attacks[i].name, argv[1]) != 0) continue;
        struct tally tally = attacks[i].run(&target);
        printf("{\"connections\": %lu, \"ended\": %lu}\n", tally.connections, tally.ended);
        return 0;
    }
    fprintf(stderr, "hostile: no attack is called %s\n", argv[1]);
    return 4;
}
