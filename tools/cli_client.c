/* SPDX-License-Identifier: MIT */
/* Asks the running node at its control socket (docs/control.md). One connection a question: a node serves few clients, and a watch
 * must not hold a place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "cli.h"
#include "cli_files.h"
#include "cli_text.h"

enum { ANSWER_MAX = 16 << 20 };          /* the longest real answers have some hundred kilobytes */

static int give_up(struct cli_trouble *trouble, int code, const char *word, const char *sentence)
{
    trouble->code = code;
    snprintf(trouble->word, sizeof trouble->word, "%s", word);
    snprintf(trouble->sentence, sizeof trouble->sentence, "%s", sentence);
    return code;
}

static int cannot_reach(const struct cli *cli, struct cli_trouble *trouble, const char *why, bool may_start)
{
    char sentence[CLI_SENTENCE_SIZE], shown[CLI_SENTENCE_SIZE / 4];
    cli_clean(cli->directory, cli->utf8, shown, sizeof shown);
    if (may_start) snprintf(sentence, sizeof sentence, "cannot reach the node in %s: %s; start it with: starlingd %s", shown, why, shown);
    else snprintf(sentence, sizeof sentence, "cannot reach the node in %s: %s", shown, why);
    return give_up(trouble, CLI_UNREACHABLE, "unreachable", sentence);
}

/* ZeroMQ waits for a socket that is not there; a plain connection tells at once. */
static int probe(const struct cli *cli, struct cli_trouble *trouble)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/control.sock", cli->directory);
    if (length < 0 || (size_t)length >= sizeof address.sun_path)
        return cannot_reach(cli, trouble, "its path is too long for a socket; change into it and use: starling -d .", false);

    struct stat folder;
    if (stat(cli->directory, &folder) != 0) return cannot_reach(cli, trouble, strerror(errno), false);
    if (!S_ISDIR(folder.st_mode)) return cannot_reach(cli, trouble, "that is a file, and a node has a directory", false);

    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    if (descriptor < 0) return cannot_reach(cli, trouble, strerror(errno), false);

    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    int error = connect(descriptor, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(descriptor);
    if (error == 0 || error == EAGAIN || error == EINPROGRESS) return CLI_OK;       /* EAGAIN: it is there and does not keep up */
    bool is_network = error == ENOENT && cli_file_exists(cli->directory, "operator.key") && !cli_file_exists(cli->directory, "node.conf");
    if (is_network) return cannot_reach(cli, trouble, "that is the folder of a network; a node has a directory of its own, made by `starling init`", false);
    if (error == ENOENT) return cannot_reach(cli, trouble, "no node runs there", true);
    if (error == ECONNREFUSED) return cannot_reach(cli, trouble, "no node runs there any more, it left its socket behind", true);
    if (error == EACCES || error == EPERM) return cannot_reach(cli, trouble, "it belongs to somebody else; ask as the user who runs it", false);
    return cannot_reach(cli, trouble, strerror(error), false);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int timed_out(const struct cli *cli, struct cli_trouble *trouble)
{
    char sentence[CLI_SENTENCE_SIZE];
    snprintf(sentence, sizeof sentence,
             "the node in %.256s is there but did not answer within %.3g s: it is stopped, hangs or is overloaded (--timeout waits longer)",
             cli->directory, cli->timeout_ms / 1e3);
    return give_up(trouble, CLI_TIMEOUT, "timeout", sentence);
}

/* Waits for the answer's last frame. */
static int receive(const struct cli *cli, void *socket, zmq_msg_t *frame, struct cli_trouble *trouble)
{
    const int64_t end = now_ms() + cli->timeout_ms;
    zmq_pollitem_t items[] = {{.socket = socket, .events = ZMQ_POLLIN}, {.fd = cli->wake, .events = ZMQ_POLLIN}};
    for (;;) {
        int64_t left = end - now_ms();
        int n = left > 0 ? zmq_poll(items, cli->wake >= 0 ? 2 : 1, left) : 0;
        if (n < 0 || (n > 0 && items[1].revents)) return give_up(trouble, CLI_TIMEOUT, "interrupted", "interrupted before the node answered");
        if (n == 0) return timed_out(cli, trouble);
        while (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) >= 0)
            if (!zmq_msg_more(frame)) return CLI_OK;
    }
}

/* The node's "no" as a code: what was asked wrongly is a bad argument, the rest failed. */
static int node_refused(const json_t *answer, struct cli_trouble *trouble)
{
    const char *word = json_string_value(json_object_get(answer, "error")), *message = json_string_value(json_object_get(answer, "message"));
    char shown[CLI_SENTENCE_SIZE];
    cli_clean(message ? message : "the node refused without a reason", false, shown, sizeof shown);
    bool is_ours = word && (strcmp(word, "bad_request") == 0 || strcmp(word, "ambiguous") == 0);
    return give_up(trouble, is_ours ? CLI_ARGUMENTS : CLI_FAILED, word ? word : "failed", shown);
}

static int understand(zmq_msg_t *frame, json_t **out, struct cli_trouble *trouble)
{
    json_t *answer = json_loadb(zmq_msg_data(frame), zmq_msg_size(frame), 0, NULL);
    const char *status = json_string_value(json_object_get(answer, "status"));
    json_t *data = json_object_get(answer, "data");
    int code;
    if (json_integer_value(json_object_get(answer, "schema_version")) != 1 || !status)
        code = give_up(trouble, CLI_FAILED, "failed", "the answer is not one that this starling understands: node and starling are of different versions");
    else if (strcmp(status, "ok") != 0) code = node_refused(answer, trouble);
    else if (!json_is_object(data)) code = give_up(trouble, CLI_FAILED, "failed", "the node's answer holds no data");
    else code = CLI_OK, *out = json_incref(data);
    json_decref(answer);
    return code;
}

static int exchange(const struct cli *cli, void *socket, const char *request, json_t **out, struct cli_trouble *trouble)
{
    char endpoint[sizeof "ipc:///control.sock" + sizeof(struct sockaddr_un)];
    const int linger = 0;
    const int64_t size_max = ANSWER_MAX;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/control.sock", cli->directory);
    bool sent = zmq_connect(socket, endpoint) == 0 && zmq_send(socket, request, strlen(request), ZMQ_DONTWAIT) >= 0;
    if (!sent) return cannot_reach(cli, trouble, zmq_strerror(zmq_errno()), false);

    zmq_msg_t frame;
    zmq_msg_init(&frame);
    int code = receive(cli, socket, &frame, trouble);
    if (code == CLI_OK) code = understand(&frame, out, trouble);
    zmq_msg_close(&frame);
    return code;
}

int cli_ask(const struct cli *cli, const char *command, json_t *arguments, json_t **out, struct cli_trouble *trouble)
{
    *out = NULL;
    json_t *question = json_pack("{s:s, s:o*}", "command", command, "arguments", arguments);
    char *request = question ? json_dumps(question, JSON_COMPACT) : NULL;
    json_decref(question);
    if (!request) return give_up(trouble, CLI_ARGUMENTS, "bad_arguments", "an argument is no UTF-8, or memory is short");

    void *context = NULL, *socket = NULL;
    int code = CLI_OK;
    if (cli->directory) code = probe(cli, trouble);
    else code = give_up(trouble, CLI_ARGUMENTS, "bad_arguments", "names no node: give its directory with -d DIR, or set STARLING_DIR, or change into it");
    if (code == CLI_OK) {
        context = zmq_ctx_new();
        socket = context ? zmq_socket(context, ZMQ_DEALER) : NULL;
        if (socket) code = exchange(cli, socket, request, out, trouble);
        else code = give_up(trouble, CLI_INTERNAL, "internal", "ZeroMQ does not start: not enough memory or file descriptors");
    }
    if (socket) zmq_close(socket);
    if (context) zmq_ctx_term(context);
    free(request);
    return code;
}

int cli_ask_or_fail(const struct cli *cli, const char *command, json_t *arguments, json_t **out)
{
    struct cli_trouble trouble;
    int code = cli_ask(cli, command, arguments, out, &trouble);
    return code == CLI_OK ? code : cli_refuse(cli, code, trouble.word, trouble.sentence);
}
