/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE                  /* SO_COOKIE, pthread_setname_np */
#include "runtime/guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "starling/error.h"

enum {
    WATCHED_EVENTS = ZMQ_EVENT_LISTENING | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED,
    MONITOR_QUEUE = 4096,            /* events: a storm of connections that outruns this thread waits in the I/O thread until it is drained */
    EVENTS_PER_TURN = 256,
    WAKES_PER_TURN = 64,
    PATROL_MS = 5,                   /* while bytes come in: a flood sends some 2 MB in this time */
    SILENCE_MS = 250,                /* while somebody has not spoken yet */
    FILES_MAX = 65536,               /* descriptors whose bytes are counted; no connection above is kept */
    FILES_SPARE = 24,                /* kept free, so that accept() never fails */
    ORDERS_MAX = 256,
    MONITOR_HEAD = 6                 /* an event's number and value */
};

/* What the loop asks for: to look after this connection; to stop, if the descriptor is -1. */
struct order {
    int descriptor;
    uint64_t cookie;
};

struct sl_guard {
    pthread_t thread;
    bool has_thread;
    void *router, *orders_in;        /* the loop's ends */
    void *monitor, *orders_out;      /* the thread's ends */
    int wakes;                       /* epoll: the next byte of a watched connection */
    uint16_t port;                   /* of the ROUTER; 0 not known yet */
    uint32_t n_files;
    struct sl_caller *callers;
    struct sl_door door;
    _Atomic uint64_t *accounted;     /* by descriptor, n_files of them: only ever grow, the loop adds */
    _Atomic uint64_t open_us, n_accepted, n_cut[SL_CUT_COUNT];
};

static uint64_t clock_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* ---- connections ---- */

uint64_t sl_guard_cookie(int descriptor)
{
    uint64_t cookie;
    socklen_t size = sizeof cookie;
    return getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/* Between the check and the shutdown libzmq may close the descriptor and get it again for another peer. So the check looks at a copy, which nobody
 * else closes. Without a descriptor for the copy: better a wrong connection in a rare moment than no way to end one. */
void sl_guard_cut(int descriptor, uint64_t cookie)
{
    if (cookie == 0) return;
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    int target = copy >= 0 ? copy : descriptor;
    if (sl_guard_cookie(target) == cookie) shutdown(target, SHUT_RDWR);
    if (copy >= 0) close(copy);
}

static bool to_v6(const struct sockaddr_storage *from, uint8_t out[16])
{
    if (from->ss_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
        return true;
    }
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    memcpy(out, mapped, sizeof mapped);
    memcpy(out + 12, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    return from->ss_family == AF_INET;
}

static bool peer_address(int descriptor, uint8_t out[16])
{
    struct sockaddr_storage peer = {0};
    socklen_t size = sizeof peer;
    return getpeername(descriptor, (struct sockaddr *)&peer, &size) == 0 && to_v6(&peer, out);
}

/* 0: not bound to one. */
static uint16_t own_port(int descriptor)
{
    struct sockaddr_storage own = {0};
    socklen_t size = sizeof own;
    if (getsockname(descriptor, (struct sockaddr *)&own, &size) != 0) return 0;
    if (own.ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)(const void *)&own)->sin6_port);
    return own.ss_family == AF_INET ? ntohs(((const struct sockaddr_in *)(const void *)&own)->sin_port) : 0;
}

/* libzmq writes an IPv4 peer of a dual-stack socket either way. */
static bool parse_address(const char *text, uint8_t out[16])
{
    struct sockaddr_storage from = {0};
    if (inet_pton(AF_INET, text, &((struct sockaddr_in *)(void *)&from)->sin_addr) == 1) from.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)(void *)&from)->sin6_addr) == 1) from.ss_family = AF_INET6;
    else return false;
    return to_v6(&from, out);
}

uint64_t sl_guard_cookie_of(int descriptor, const char *address_of_peer)
{
    uint8_t named[16], real[16];
    uint64_t cookie = sl_guard_cookie(descriptor);
    bool is_same = address_of_peer && parse_address(address_of_peer, named) && peer_address(descriptor, real) && memcmp(named, real, 16) == 0;
    return is_same ? cookie : 0;
}

/* Bytes the kernel has received on this connection; false when it is gone. The cookie is read last: a descriptor never becomes an old connection again. */
static bool received_of(int descriptor, uint64_t cookie, uint64_t *out)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || sl_guard_cookie(descriptor) != cookie) return false;

    *out = info.tcpi_bytes_received;
    return true;
}

/* ---- the thread ---- */

static uint64_t accounted_of(const struct sl_guard *guard, int descriptor)
{
    if (descriptor < 0 || descriptor >= (int)guard->n_files) return 0;
    return atomic_load_explicit(&guard->accounted[descriptor], memory_order_relaxed);
}

/* Once: the kernel wakes us at the next byte, and not again before we ask anew. */
static void watch(struct sl_guard *guard, struct sl_caller *caller)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data = {.fd = caller->descriptor}};
    int failed = epoll_ctl(guard->wakes, EPOLL_CTL_MOD, caller->descriptor, &event);
    if (failed && errno == ENOENT) failed = epoll_ctl(guard->wakes, EPOLL_CTL_ADD, caller->descriptor, &event);
    caller->watched = !failed;
}

static void enter(struct sl_guard *guard, struct sl_caller *caller)
{
    if (caller->cookie == 0 || !received_of(caller->descriptor, caller->cookie, &caller->received_0)) return;    /* it has left already */

    struct sl_caller shed, *old = sl_door_find(&guard->door, caller->descriptor);
    if (old && old->cookie == caller->cookie) return;
    if (old) *old = (struct sl_caller){0};

    bool is_counted = caller->descriptor < (int)guard->n_files;
    if (is_counted) caller->accounted_0 = accounted_of(guard, caller->descriptor);
    caller->received = caller->received_0;
    if (sl_door_enter(&guard->door, caller, clock_us(), &shed) != SL_CUT_NONE) sl_guard_cut(caller->descriptor, caller->cookie);
    if (shed.used) sl_guard_cut(shed.descriptor, shed.cookie);

    struct sl_caller *entry = sl_door_find(&guard->door, caller->descriptor);
    if (entry) watch(guard, entry);
}

/* The event may be old: what the descriptor is now counts, and only if it came to our port. */
static void on_accepted(struct sl_guard *guard, int descriptor)
{
    struct sl_caller caller = {.descriptor = descriptor, .cookie = sl_guard_cookie(descriptor)};
    guard->door.n_accepted++;
    if (descriptor < 0 || guard->port == 0 || own_port(descriptor) != guard->port || !peer_address(descriptor, caller.address)) return;
    enter(guard, &caller);
}

static void on_accept_failed(struct sl_guard *guard)
{
    struct sl_caller shed;
    if (!sl_door_shed(&guard->door, &shed)) return;
    guard->door.n_cut[SL_CUT_FILES]++;
    sl_guard_cut(shed.descriptor, shed.cookie);
}

static void on_disconnected(struct sl_guard *guard, int descriptor)
{
    struct sl_caller *caller = sl_door_find(&guard->door, descriptor);
    if (caller && !caller->outbound) *caller = (struct sl_caller){0};
}

static void on_event(struct sl_guard *guard, const uint8_t head[MONITOR_HEAD])
{
    uint16_t event;
    int32_t value;
    memcpy(&event, head, sizeof event);
    memcpy(&value, head + sizeof event, sizeof value);
    switch (event) {
    case ZMQ_EVENT_LISTENING: guard->port = own_port(value); break;
    case ZMQ_EVENT_ACCEPTED: on_accepted(guard, value); break;
    case ZMQ_EVENT_ACCEPT_FAILED: on_accept_failed(guard); break;
    case ZMQ_EVENT_DISCONNECTED: on_disconnected(guard, value); break;
    default: break;
    }
}

static void drain_monitor(struct sl_guard *guard)
{
    uint8_t head[MONITOR_HEAD];
    char endpoint[64];
    for (uint32_t i = 0; i < EVENTS_PER_TURN; i++) {
        int size = zmq_recv(guard->monitor, head, sizeof head, ZMQ_DONTWAIT);
        if (size < 0) return;
        zmq_recv(guard->monitor, endpoint, sizeof endpoint, ZMQ_DONTWAIT);
        if (size == MONITOR_HEAD) on_event(guard, head);
    }
}

/* Nobody tells this thread when a dialled connection is closed. */
static void forget_closed(struct sl_guard *guard)
{
    for (uint32_t i = 0; i < guard->door.limits.callers_max; i++) {
        struct sl_caller *caller = &guard->callers[i];
        if (caller->used && caller->outbound && sl_guard_cookie(caller->descriptor) != caller->cookie) *caller = (struct sl_caller){0};
    }
}

/* False: it is time to stop. */
static bool take_orders(struct sl_guard *guard)
{
    struct order order;
    while (zmq_recv(guard->orders_out, &order, sizeof order, ZMQ_DONTWAIT) == sizeof order) {
        if (order.descriptor < 0) return false;
        struct sl_caller caller = {.outbound = true, .descriptor = order.descriptor, .cookie = order.cookie};
        forget_closed(guard);
        enter(guard, &caller);
    }
    return true;
}

/* Bytes came in: from now on the patrol looks at these. */
static bool take_wakes(struct sl_guard *guard)
{
    struct epoll_event events[WAKES_PER_TURN];
    int n = epoll_wait(guard->wakes, events, WAKES_PER_TURN, 0);
    for (int i = 0; i < n; i++) {
        struct sl_caller *caller = sl_door_find(&guard->door, events[i].data.fd);
        if (caller) caller->watched = false;
    }
    return n > 0;
}

/* Returns to the kernel's watch what sent nothing since the last look. */
static void look_at(struct sl_guard *guard, struct sl_caller *caller, uint64_t now_us)
{
    uint64_t received, accounted = accounted_of(guard, caller->descriptor);
    int descriptor = caller->descriptor;
    uint64_t cookie = caller->cookie;
    if (!received_of(descriptor, cookie, &received)) {
        *caller = (struct sl_caller){0};
        return;
    }
    bool is_quiet = received == caller->received;
    if (sl_door_judge(&guard->door, caller, received, accounted, now_us) != SL_CUT_NONE) sl_guard_cut(descriptor, cookie);
    else if (is_quiet && !caller->watched) watch(guard, caller);
}

/* Those that send at every turn; all of them when the clock says so. True: somebody is sending. */
static bool patrol(struct sl_guard *guard, bool all)
{
    bool is_busy = false;
    uint64_t now_us = clock_us();
    guard->door.open_us = atomic_load_explicit(&guard->open_us, memory_order_relaxed);
    for (uint32_t i = 0; i < guard->door.limits.callers_max; i++) {
        struct sl_caller *caller = &guard->callers[i];
        if (caller->used && (all || !caller->watched)) look_at(guard, caller, now_us);
        is_busy = is_busy || (caller->used && !caller->watched);
    }
    return is_busy;
}

static void publish(struct sl_guard *guard)
{
    atomic_store_explicit(&guard->n_accepted, guard->door.n_accepted, memory_order_relaxed);
    for (uint32_t i = 0; i < SL_CUT_COUNT; i++) atomic_store_explicit(&guard->n_cut[i], guard->door.n_cut[i], memory_order_relaxed);
}

static void *run(void *argument)
{
    struct sl_guard *guard = argument;
    zmq_pollitem_t items[] = {{.socket = guard->monitor, .events = ZMQ_POLLIN}, {.socket = guard->orders_out, .events = ZMQ_POLLIN},
                              {.fd = guard->wakes, .events = ZMQ_POLLIN}};
    uint64_t patrolled_us = 0, looked_us = 0;
    bool is_busy = false;
    pthread_setname_np(pthread_self(), "starling-guard");
    while (take_orders(guard)) {
        long wait_ms = is_busy ? PATROL_MS : sl_door_is_quiet(&guard->door) ? -1 : SILENCE_MS;
        zmq_poll(items, is_busy ? 2 : 3, wait_ms);
        drain_monitor(guard);
        if (take_wakes(guard)) is_busy = true;

        uint64_t now_us = clock_us();
        bool all = now_us - looked_us >= SILENCE_MS * 1000;
        if (all || now_us - patrolled_us >= PATROL_MS * 1000 / 2) {
            is_busy = patrol(guard, all);
            patrolled_us = now_us;
            if (all) looked_us = now_us;
        }
        publish(guard);
    }
    return NULL;
}

/* ---- the loop's side ---- */

static void *open_pair(void *context, const char *endpoint, bool binds)
{
    int linger = 0, queue = binds ? ORDERS_MAX : MONITOR_QUEUE;
    void *socket = zmq_socket(context, ZMQ_PAIR);
    if (!socket) return NULL;
    bool done = zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger) == 0 && zmq_setsockopt(socket, ZMQ_SNDHWM, &queue, sizeof queue) == 0 &&
                zmq_setsockopt(socket, ZMQ_RCVHWM, &queue, sizeof queue) == 0;
    if (done && (binds ? zmq_bind(socket, endpoint) : zmq_connect(socket, endpoint)) == 0) return socket;

    zmq_close(socket);
    return NULL;
}

static uint32_t files_of_process(void)
{
    struct rlimit limit;
    bool is_known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    return is_known && limit.rlim_cur < FILES_MAX ? (uint32_t)limit.rlim_cur : FILES_MAX;
}

/* Signals belong to the loop. */
static bool start_thread(struct sl_guard *guard)
{
    sigset_t all, kept;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &kept);
    guard->has_thread = pthread_create(&guard->thread, NULL, run, guard) == 0;
    pthread_sigmask(SIG_SETMASK, &kept, NULL);
    return guard->has_thread;
}

/* Without these two facts about a connection nothing could be guarded. */
static bool kernel_tells(void)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool tells = sl_guard_cookie(descriptor) != 0 && getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
                 size >= offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received;
    if (descriptor >= 0) close(descriptor);
    return tells;
}

int sl_guard_new(void *context, void *router, uint32_t inbound_max, uint32_t outbound_max, bool caps_local, struct sl_guard **out)
{
    if (!kernel_tells()) return SL_ERROR_UNSUPPORTED;

    struct sl_guard *guard = calloc(1, sizeof *guard);
    if (!guard) return SL_ERROR_NO_MEMORY;

    uint32_t n_files = files_of_process(), callers_max = inbound_max + SL_DOOR_SPARE + SL_DOOR_SILENT_MAX + outbound_max;
    guard->n_files = n_files;
    guard->wakes = -1;
    guard->callers = calloc(callers_max, sizeof *guard->callers);
    guard->accounted = calloc(n_files, sizeof *guard->accounted);
    if (!guard->callers || !guard->accounted) {
        sl_guard_destroy(&guard);
        return SL_ERROR_NO_MEMORY;
    }
    struct sl_door_limits limits = {.inbound_max = inbound_max, .callers_max = callers_max, .descriptor_max = (int)n_files - FILES_SPARE,
                                    .caps_local = caps_local};
    sl_door_init(&guard->door, &limits, guard->callers);

    char monitor_endpoint[64], order_endpoint[64];       /* ZeroMQ frees a name some time after its socket was closed, so no two guards use the same */
    snprintf(monitor_endpoint, sizeof monitor_endpoint, "inproc://guard-monitor-%" PRIu64, clock_us());
    snprintf(order_endpoint, sizeof order_endpoint, "inproc://guard-orders-%" PRIu64, clock_us());
    guard->orders_out = open_pair(context, order_endpoint, true);
    guard->orders_in = open_pair(context, order_endpoint, false);
    bool is_open = guard->orders_out && guard->orders_in && zmq_socket_monitor(router, monitor_endpoint, WATCHED_EVENTS) == 0;
    if (is_open) guard->router = router;
    guard->monitor = is_open ? open_pair(context, monitor_endpoint, false) : NULL;
    guard->wakes = epoll_create1(EPOLL_CLOEXEC);
    if (guard->monitor && guard->wakes >= 0 && start_thread(guard)) {
        *out = guard;
        return SL_OK;
    }
    sl_guard_destroy(&guard);
    return SL_ERROR_IO;
}

void sl_guard_begin(struct sl_guard *guard)
{
    if (atomic_load_explicit(&guard->open_us, memory_order_relaxed) == 0) atomic_store_explicit(&guard->open_us, clock_us(), memory_order_relaxed);
}

/* CURVE's command, nonce, box and flag, and ZMTP's flag and length. */
size_t sl_guard_size_on_wire(size_t size)
{
    size_t boxed = size + 33;
    return boxed + (boxed > 255 ? 9 : 2);
}

void sl_guard_account(struct sl_guard *guard, int descriptor, size_t size)
{
    if (descriptor < 0 || descriptor >= (int)guard->n_files) return;
    atomic_fetch_add_explicit(&guard->accounted[descriptor], sl_guard_size_on_wire(size), memory_order_relaxed);
}

bool sl_guard_watch(struct sl_guard *guard, int descriptor, uint64_t cookie)
{
    if (descriptor < 0 || descriptor >= (int)guard->n_files || cookie == 0) return false;
    struct order order = {.descriptor = descriptor, .cookie = cookie};
    return zmq_send(guard->orders_in, &order, sizeof order, ZMQ_DONTWAIT) == sizeof order;
}

void sl_guard_read(const struct sl_guard *guard, struct sl_guard_counts *out)
{
    out->accepted = atomic_load_explicit(&guard->n_accepted, memory_order_relaxed);
    for (uint32_t i = 0; i < SL_CUT_COUNT; i++) out->cut[i] = atomic_load_explicit(&guard->n_cut[i], memory_order_relaxed);
}

/* The thread reads the monitor until it is taken off: an event for which nobody has room would stop libzmq's I/O thread. */
void sl_guard_destroy(struct sl_guard **self)
{
    struct sl_guard *guard = *self;
    if (!guard) return;

    if (guard->router) zmq_socket_monitor(guard->router, NULL, 0);
    if (guard->has_thread) {
        struct order stop = {.descriptor = -1};
        zmq_send(guard->orders_in, &stop, sizeof stop, 0);
        pthread_join(guard->thread, NULL);
    }
    if (guard->monitor) zmq_close(guard->monitor);
    if (guard->orders_in) zmq_close(guard->orders_in);
    if (guard->orders_out) zmq_close(guard->orders_out);
    if (guard->wakes >= 0) close(guard->wakes);
    free(guard->accounted);
    free(guard->callers);
    free(guard);
    *self = NULL;
}
