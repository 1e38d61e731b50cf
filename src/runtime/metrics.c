/* SPDX-License-Identifier: MIT */
#include "runtime/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/files.h"
#include "starling/error.h"

enum { CONNECTIONS = 8, CONNECTION_TIMEOUT_S = 2, CONNECTION_MEMORY = 16 << 10 };

struct sl_metrics {
    struct MHD_Daemon *daemon;
    struct sl_metrics_sink sink;
};

/* ---- answers ---- */

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned code, const char *content_type, char *text, size_t size,
                               enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(size, text, mode);
    if (!response) {
        if (mode == MHD_RESPMEM_MUST_FREE) free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result respond_text(struct MHD_Connection *connection, unsigned code, const char *text)
{
    char copy[256];
    int length = snprintf(copy, sizeof copy, "%s\n", text);
    size_t size = length < (int)sizeof copy ? (size_t)length : sizeof copy - 1;
    return respond(connection, code, "text/plain; charset=utf-8", copy, size, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result respond_metrics(struct MHD_Connection *connection, const struct sl_glance *glance)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) return MHD_NO;

    sl_metrics_write(file, glance);
    if (fclose(file) != 0) {
        free(text);
        return MHD_NO;
    }
    return respond(connection, MHD_HTTP_OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text, size, MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result respond_health(struct MHD_Connection *connection, const struct sl_glance *glance)
{
    struct sl_status status;
    struct sl_health health;
    sl_node_status(glance->node, &status);
    sl_health_of(glance, &status, &health);
    return respond_text(connection, health.healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, health.healthy ? "healthy" : health.reason);
}

/* Called by libmicrohttpd inside sl_metrics_turn(): in the loop's thread. The first call of a request brings its head, the next ones bodies nobody wants. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                  const char *body, size_t *body_size, void **state)
{
    static char seen[1];
    struct sl_metrics *metrics = context;
    (void)version, (void)body;
    if (!*state) {
        *state = seen;
        return MHD_YES;
    }
    if (*body_size > 0) {
        *body_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) return respond_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET is answered");

    bool is_metrics = strcmp(url, "/metrics") == 0, is_health = strcmp(url, "/health") == 0;
    if (!is_metrics && !is_health) return respond_text(connection, MHD_HTTP_NOT_FOUND, "only /metrics and /health are here");

    struct sl_glance glance;
    metrics->sink.look(metrics->sink.context, &glance);
    return is_metrics ? respond_metrics(connection, &glance) : respond_health(connection, &glance);
}

/* ---- opening and closing ---- */

/* `address` as for node.listen: numeric, with a port. */
static socklen_t parse_address(const char *address, struct sockaddr_storage *out)
{
    char host[SL_PEER_ADDRESS_MAX];
    const char *colon = strrchr(address, ':');
    bool is_v6 = address[0] == '[';
    size_t length = (size_t)(colon - address) - (is_v6 ? 2 : 0);
    uint16_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    memcpy(host, address + is_v6, length);
    host[length] = 0;
    memset(out, 0, sizeof *out);
    if (is_v6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = port;
        inet_pton(AF_INET6, host, &v6->sin6_addr);
        return sizeof *v6;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    v4->sin_family = AF_INET;
    v4->sin_port = port;
    inet_pton(AF_INET, host, &v4->sin_addr);
    return sizeof *v4;
}

/* Bound here and not by libmicrohttpd, which does not say what went wrong. */
static int open_listener(const char *address, int *out, char *why, size_t why_size)
{
    if (!sl_address_is_numeric(address))
        return SL_FAIL(SL_ERROR_BAD_ARGUMENT, why, why_size, "node.metrics is \"%s\": it must be a numeric address and a port, like 127.0.0.1:9464", address);

    struct sockaddr_storage socket_address;
    socklen_t size = parse_address(address, &socket_address);
    int yes = 1, descriptor = socket(socket_address.ss_family, SOCK_STREAM, 0);
    if (descriptor < 0) return SL_FAIL(SL_ERROR_IO, why, why_size, "node.metrics: the machine gives no socket (%s)", strerror(errno));

    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(descriptor, (struct sockaddr *)&socket_address, size) == 0 && listen(descriptor, 2 * CONNECTIONS) == 0) {
        *out = descriptor;
        return SL_OK;
    }
    int number = errno;
    close(descriptor);
    if (number == EADDRINUSE)
        return SL_FAIL(SL_ERROR_EXISTS, why, why_size, "%s is taken by another program; stop that, or choose another port with node.metrics", address);
    return SL_FAIL(SL_ERROR_IO, why, why_size, "cannot listen at %s (%s); node.metrics must be an address of this machine", address, strerror(number));
}

int sl_metrics_new(const char *address, const struct sl_metrics_sink *sink, struct sl_metrics **out, char *why, size_t why_size)
{
    int descriptor;
    int error = open_listener(address, &descriptor, why, why_size);
    if (error != SL_OK) return error;

    struct sl_metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics) {
        metrics->sink = *sink;
        metrics->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, metrics, MHD_OPTION_LISTEN_SOCKET, descriptor,
                                           MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                                           (unsigned)CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    }
    if (metrics && metrics->daemon) {
        *out = metrics;
        return SL_OK;
    }
    close(descriptor);
    free(metrics);
    return SL_FAIL(SL_ERROR_IO, why, why_size, "node.metrics: the HTTP server does not start");
}

int sl_metrics_descriptor(const struct sl_metrics *metrics)
{
    return MHD_get_daemon_info(metrics->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

void sl_metrics_turn(struct sl_metrics *metrics)
{
    MHD_run(metrics->daemon);
}

void sl_metrics_destroy(struct sl_metrics **self)
{
    struct sl_metrics *metrics = *self;
    if (!metrics) return;

    MHD_stop_daemon(metrics->daemon);
    free(metrics);
    *self = NULL;
}
