/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "runtime/control.h"
#include "runtime/files.h"
#include "starling/error.h"

enum { ANSWER_SIZE = 1024 };

static char folder[] = "/tmp/starling-control-XXXXXX", why[SL_WHY_SIZE], answer[ANSWER_SIZE];
static void *context;
static struct sl_control *control;
static uint32_t n_asked, last_client;

/* "echo" is answered with its arguments, "later" not yet. */
static json_t *ask(void *sink, uint32_t client, const char *command, const json_t *arguments)
{
    (void)sink;
    n_asked++;
    last_client = client;
    return strcmp(command, "later") == 0 ? NULL : sl_control_ok(json_deep_copy(arguments));
}

static void open_control(void)
{
    struct sl_control_sink sink = {.ask = ask};
    cr_assert_not_null(mkdtemp(folder));
    context = zmq_ctx_new();
    cr_assert_eq(sl_control_new(context, folder, &sink, &control, why, sizeof why), SL_OK, "%s", why);
}

static void close_control(void)
{
    sl_control_destroy(&control);
    zmq_ctx_term(context);
    cr_expect_eq(rmdir(folder), 0, "the socket must be gone");
}

TestSuite(control, .init = open_control, .fini = close_control);

static void *connect_client(int type)
{
    char endpoint[128];
    int nothing = 0;
    void *client = zmq_socket(context, type);
    zmq_setsockopt(client, ZMQ_LINGER, &nothing, sizeof nothing);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/control.sock", folder);
    cr_assert_eq(zmq_connect(client, endpoint), 0);
    return client;
}

/* Takes turns until the client has an answer; false after a while without. */
static bool wait_for_answer(void *client, int turns)
{
    for (int i = 0; i < turns; i++) {
        sl_control_turn(control);
        zmq_pollitem_t item = {.socket = client, .events = ZMQ_POLLIN};
        if (zmq_poll(&item, 1, 10) <= 0) continue;
        int size = zmq_recv(client, answer, sizeof answer - 1, 0);
        answer[size] = 0;
        return true;
    }
    return false;
}

static void request(void *client, const char *text)
{
    cr_assert_geq(zmq_send(client, text, strlen(text), 0), 0);
}

static void expect_answer(void *client, const char *part)
{
    cr_assert(wait_for_answer(client, 500), "no answer");
    cr_assert_not_null(strstr(answer, part), "%s", answer);
}

Test(control, a_request_reaches_the_sink_and_its_answer_the_client)
{
    void *client = connect_client(ZMQ_DEALER);

    request(client, "{\"command\": \"echo\", \"arguments\": {\"a\": [1, 2]}}");

    expect_answer(client, "{\"schema_version\":1,\"status\":\"ok\",\"data\":{\"a\":[1,2]}}");
    cr_assert_eq(n_asked, 1);
    zmq_close(client);
}

Test(control, a_req_gets_its_empty_frame_back)
{
    void *client = connect_client(ZMQ_REQ);
    for (int i = 0; i < 3; i++) {
        request(client, "{\"command\": \"echo\"}");
        expect_answer(client, "\"data\":{}");
    }
    zmq_close(client);
}

Test(control, what_is_no_request_never_reaches_the_sink)
{
    static const char *const wrong[] = {"x", "[]", "{}", "{\"command\":1}", "{\"command\":\"echo\",\"arguments\":3}", "[[[[[[[[[[", "{\"command\":\"echo\"} x"};
    void *client = connect_client(ZMQ_DEALER);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        request(client, wrong[i]);
        expect_answer(client, "\"error\":\"bad_request\"");
    }
    cr_assert_eq(n_asked, 0);
    zmq_close(client);
}

Test(control, a_late_answer_is_waited_for_and_only_its_client_waits)
{
    void *slow = connect_client(ZMQ_DEALER), *quick = connect_client(ZMQ_DEALER);
    request(slow, "{\"command\": \"later\"}");
    cr_assert_not(wait_for_answer(slow, 20));
    uint32_t waiting = last_client;
    request(slow, "{\"command\": \"echo\"}");
    expect_answer(slow, "\"busy\"");
    request(quick, "{\"command\": \"echo\"}");
    expect_answer(quick, "\"ok\"");

    sl_control_answer(control, waiting, sl_control_ok(json_pack("{s:i}", "late", 7)));

    expect_answer(slow, "\"late\":7");
    request(slow, "{\"command\": \"echo\"}");
    expect_answer(slow, "\"ok\"");
    zmq_close(slow);
    zmq_close(quick);
}

Test(control, a_client_that_goes_while_it_waits_harms_nobody)
{
    void *client = connect_client(ZMQ_DEALER);
    request(client, "{\"command\": \"later\"}");
    cr_assert_not(wait_for_answer(client, 20));
    zmq_close(client);
    zmq_poll(NULL, 0, 50);
    sl_control_turn(control);

    sl_control_answer(control, last_client, sl_control_ok(json_object()));
    sl_control_answer(control, last_client, sl_control_ok(json_object()));

    void *next = connect_client(ZMQ_DEALER);
    request(next, "{\"command\": \"echo\"}");
    expect_answer(next, "\"ok\"");
    zmq_close(next);
}

Test(control, many_clients_one_after_the_other_are_all_served)
{
    for (int i = 0; i < 30; i++) {
        void *client = connect_client(ZMQ_DEALER);
        request(client, "{\"command\": \"echo\"}");
        expect_answer(client, "\"ok\"");
        zmq_close(client);
    }
}

Test(control, one_turn_answers_a_bounded_number)
{
    void *client = connect_client(ZMQ_DEALER);
    for (int i = 0; i < 40; i++) request(client, "{\"command\": \"echo\"}");
    zmq_poll(NULL, 0, 200);

    sl_control_turn(control);

    cr_assert_leq(n_asked, 8);
    for (int i = 0; i < 500 && n_asked < 40; i++) wait_for_answer(client, 1);
    cr_assert_eq(n_asked, 40);
    zmq_close(client);
}

Test(control, a_path_that_does_not_fit_a_socket_is_refused_with_its_length)
{
    char deep[200];
    struct sl_control *second = NULL;
    struct sl_control_sink sink = {.ask = ask};
    memset(deep, 'd', sizeof deep - 1);
    deep[0] = '/';
    deep[sizeof deep - 1] = 0;

    cr_assert_eq(sl_control_new(context, deep, &sink, &second, why, sizeof why), SL_ERROR_TOO_LARGE);

    cr_assert_not_null(strstr(why, "at most 107 characters, this one has 212"), "%s", why);
    cr_assert_null(second);
}
