/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>
#include <zmq.h>

#include "runtime/zap.h"
#include "starling/error.h"

static uint8_t banned[32] = {7, 7, 7};
static struct sl_zap zap;
static void *context, *client;

static bool is_banned(const void *expected, const uint8_t key[32])
{
    cr_assert_eq(expected, &zap);
    return memcmp(key, banned, 32) == 0;
}

static void open_both(void)
{
    context = zmq_ctx_new();
    cr_assert_eq(sl_zap_open(&zap, context, is_banned, &zap), SL_OK);
    client = zmq_socket(context, ZMQ_REQ);
    cr_assert_eq(zmq_connect(client, "inproc://zeromq.zap.01"), 0);
}

static void close_both(void)
{
    zmq_close(client);
    sl_zap_close(&zap);
    zmq_ctx_term(context);
}

struct answer {
    char status[8], user[64], request[8];
};

/* Asks as libzmq does; what is NULL is left out with all that follows. */
static struct answer ask(const char *version, const char *domain, const char *mechanism, const void *key, size_t key_size)
{
    struct answer answer = {0};
    zmq_send(client, version, strlen(version), ZMQ_SNDMORE);
    zmq_send(client, "42", 2, ZMQ_SNDMORE);
    zmq_send(client, domain, strlen(domain), ZMQ_SNDMORE);
    zmq_send(client, "192.0.2.1", 9, ZMQ_SNDMORE);
    zmq_send(client, "", 0, ZMQ_SNDMORE);
    zmq_send(client, mechanism, strlen(mechanism), key ? ZMQ_SNDMORE : 0);
    if (key) zmq_send(client, key, key_size, 0);

    zmq_pollitem_t item = {.socket = zap.socket, .events = ZMQ_POLLIN};
    zmq_poll(&item, 1, 2000);
    sl_zap_turn(&zap);

    char version_back[8] = {0}, text[32], metadata[8];
    zmq_recv(client, version_back, 7, 0);
    zmq_recv(client, answer.request, 7, 0);
    zmq_recv(client, answer.status, 7, 0);
    zmq_recv(client, text, sizeof text, 0);
    zmq_recv(client, answer.user, sizeof answer.user - 1, 0);
    cr_assert_eq(zmq_recv(client, metadata, sizeof metadata, 0), 0);
    cr_assert_str_eq(version_back, "1.0");
    return answer;
}

Test(zap, any_key_comes_in_and_becomes_the_user)
{
    uint8_t key[32] = {1, 2, 3}, back[32];
    open_both();

    struct answer answer = ask("1.0", SL_ZAP_DOMAIN, "CURVE", key, 32);

    cr_assert_str_eq(answer.status, "200");
    cr_assert_str_eq(answer.request, "42");
    cr_assert_eq(strlen(answer.user), 40);
    cr_assert_not_null(zmq_z85_decode(back, answer.user));
    cr_assert_eq(memcmp(back, key, 32), 0);
    cr_assert_eq(zap.n_admitted, 1);
    close_both();
}

Test(zap, a_banned_key_stays_out)
{
    open_both();
    struct answer answer = ask("1.0", SL_ZAP_DOMAIN, "CURVE", banned, 32);

    cr_assert_str_eq(answer.status, "400");
    cr_assert_str_eq(answer.user, "");
    cr_assert_eq(zap.n_refused, 1);
    close_both();
}

Test(zap, nobody_comes_in_without_curve_or_by_another_door)
{
    static const uint8_t long_key[300] = {1};
    open_both();
    cr_assert_str_eq(ask("1.0", SL_ZAP_DOMAIN, "NULL", NULL, 0).status, "400");
    cr_assert_str_eq(ask("1.0", SL_ZAP_DOMAIN, "PLAIN", "me", 2).status, "400");
    cr_assert_str_eq(ask("1.0", "other", "CURVE", long_key, 32).status, "400");
    cr_assert_str_eq(ask("2.0", SL_ZAP_DOMAIN, "CURVE", long_key, 32).status, "400");
    cr_assert_str_eq(ask("1.0", SL_ZAP_DOMAIN, "CURVE", long_key, 31).status, "400");
    cr_assert_str_eq(ask("1.0", SL_ZAP_DOMAIN, "CURVE", long_key, sizeof long_key).status, "400");
    cr_assert_eq(zap.n_admitted, 0);
    close_both();
}
