/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli_files.h"

union endpoint {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* The parts of a numeric address; 0 for any other text, else the size for bind() and connect(). */
static socklen_t endpoint_of(const char *address, union endpoint *out)
{
    char host[SL_PEER_ADDRESS_MAX];
    if (!sl_address_is_numeric(address)) return 0;

    const char *colon = strrchr(address, ':');
    bool is_v6 = address[0] == '[';
    uint16_t port = (uint16_t)strtoul(colon + 1, NULL, 10);
    snprintf(host, sizeof host, "%.*s", (int)(colon - address) - (is_v6 ? 2 : 0), address + is_v6);
    memset(out, 0, sizeof *out);
    if (is_v6) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1 ? (socklen_t)sizeof out->v6 : 0;
    }
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons(port);
    return inet_pton(AF_INET, host, &out->v4.sin_addr) == 1 ? (socklen_t)sizeof out->v4 : 0;
}

bool cli_address_is_loopback(const char *address)
{
    union endpoint endpoint;
    if (endpoint_of(address, &endpoint) == 0) return false;
    if (endpoint.any.sa_family == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&endpoint.v6.sin6_addr);
    return ntohl(endpoint.v4.sin_addr.s_addr) >> 24 == 127;
}

bool cli_address_is_wildcard(const char *address)
{
    union endpoint endpoint;
    if (endpoint_of(address, &endpoint) == 0) return false;
    if (endpoint.any.sa_family == AF_INET6) return IN6_IS_ADDR_UNSPECIFIED(&endpoint.v6.sin6_addr);
    return endpoint.v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* Connecting a datagram socket asks the routing table and sends nothing. */
bool cli_address_towards(const char *towards, char out[SL_PEER_ADDRESS_MAX])
{
    union endpoint endpoint;
    socklen_t size = endpoint_of(towards, &endpoint);
    int descriptor = size ? socket(endpoint.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (descriptor < 0) return false;

    bool is_known = connect(descriptor, &endpoint.any, size) == 0 && getsockname(descriptor, &endpoint.any, &size) == 0;
    close(descriptor);
    if (!is_known) return false;

    char host[INET6_ADDRSTRLEN];
    bool is_v6 = endpoint.any.sa_family == AF_INET6;
    const void *number = is_v6 ? (const void *)&endpoint.v6.sin6_addr : (const void *)&endpoint.v4.sin_addr;
    if (!inet_ntop(endpoint.any.sa_family, number, host, sizeof host)) return false;
    int length = snprintf(out, SL_PEER_ADDRESS_MAX, is_v6 ? "[%s]" : "%s", host);
    return length > 0 && length < SL_PEER_ADDRESS_MAX;
}

enum cli_port cli_port_try(const char *address)
{
    union endpoint endpoint;
    socklen_t size = endpoint_of(address, &endpoint);
    int descriptor = size ? socket(endpoint.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (descriptor < 0) return CLI_PORT_FREE;

    int yes = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    bool is_free = bind(descriptor, &endpoint.any, size) == 0 && listen(descriptor, 1) == 0;
    int number = errno;
    close(descriptor);
    if (is_free) return CLI_PORT_FREE;
    return number == EADDRNOTAVAIL ? CLI_PORT_ELSEWHERE : CLI_PORT_TAKEN;
}
