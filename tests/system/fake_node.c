/* SPDX-License-Identifier: MIT */
/* Plays a node for tests of the command line: answers at DIR/control.sock what lies in DIR/COMMAND.json, or that it does not know the command.
 *
 * usage: fake_node DIR        says "ready" when it listens; ends with its standard input or by a signal
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum { REQUEST_SIZE = 4096, ANSWER_SIZE = 1 << 20, PATH_SIZE = 512, NAME_SIZE = 32 };

static const char no[] = "{\"schema_version\":1,\"status\":\"error\",\"error\":\"unknown_command\",\"message\":\"no such command\"}";

/* The word behind "command":. */
static void command_of(const char *request, char out[NAME_SIZE])
{
    const char *at = strstr(request, "\"command\":\"");
    size_t length = at ? strspn(at + 11, "abcdefghijklmnopqrstuvwxyz") : 0;
    snprintf(out, NAME_SIZE, "%.*s", (int)length, at ? at + 11 : "");
}

static size_t read_answer(const char *folder, const char *request, char *out)
{
    char path[PATH_SIZE], command[NAME_SIZE];
    command_of(request, command);
    snprintf(path, sizeof path, "%s/%s.json", folder, command);
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(out, 1, ANSWER_SIZE, file) : 0;
    if (file) fclose(file);
    if (file) return size;
    memcpy(out, no, sizeof no - 1);
    return sizeof no - 1;
}

int main(int argc, char **argv)
{
    static char request[REQUEST_SIZE + 1], answer[ANSWER_SIZE];
    char endpoint[PATH_SIZE], route[256];
    if (argc != 2) return 4;

    void *context = zmq_ctx_new(), *router = zmq_socket(context, ZMQ_ROUTER);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/control.sock", argv[1]);
    if (zmq_bind(router, endpoint) != 0) return fprintf(stderr, "fake_node: %s: %s\n", endpoint, zmq_strerror(zmq_errno())), 1;
    puts("ready");
    fflush(stdout);
    zmq_pollitem_t items[] = {{.socket = router, .events = ZMQ_POLLIN}, {.fd = STDIN_FILENO, .events = ZMQ_POLLIN}};
    while (zmq_poll(items, 2, -1) >= 0 && !items[1].revents) {
        int route_size = zmq_recv(router, route, sizeof route, 0);
        int size = zmq_recv(router, request, REQUEST_SIZE, 0);
        if (route_size < 0 || size < 0) break;
        request[size < REQUEST_SIZE ? size : REQUEST_SIZE] = 0;
        size_t n = read_answer(argv[1], request, answer);
        zmq_send(router, route, (size_t)route_size, ZMQ_SNDMORE);
        zmq_send(router, answer, n, 0);
    }
    zmq_close(router);
    zmq_ctx_term(context);
    return 0;
}
