/* SPDX-License-Identifier: MIT */
/*
 * A whole cohort of sessions, some of whose members lie: the input is a list of commands. Some drive the run on, so that deep states are reached; others
 * deliver messages late, twice, elsewhere or not at all, give moments out of turn, change what liars say, forge LISTs and keys. Whatever happens, what
 * session_world.h promises holds for the honest ones.
 *
 * Byte 0: the kind of cohort. Byte 1: the liars, a bit each. Then four bytes a command.
 */
#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "session_lies.h"

enum { COMMANDS_MAX = 200, COMMAND_BYTES = 4, BODY_MAX = 64 };

static struct world *world;
static bool is_calm;                             /* nobody lies, nothing is lost and no time passes: then the order of things does not matter */

/* The nth waiting packet, counted round; n_packets if none waits. */
static uint32_t waiting(uint32_t n)
{
    uint32_t n_waiting = 0;
    for (uint32_t i = 0; i < world->n_packets; i++) n_waiting += world->packets[i].is_waiting;
    if (n_waiting == 0) return world->n_packets;

    uint32_t left = n % n_waiting, at = 0;
    while (!world->packets[at].is_waiting || left-- > 0) at++;
    return at;
}

/* The nth liar, counted round; n if there is none. */
static uint32_t liar(uint32_t n)
{
    for (uint32_t i = 0; i < world->n; i++)
        if (world_is_liar(world, (n + i) % world->n)) return (n + i) % world->n;
    return world->n;
}

static void deliver(uint32_t n, bool again)
{
    uint32_t index = waiting(n);
    if (index == world->n_packets) return;

    world_deliver(world, index, world->packets[index].to, world->packets[index].sender);
    world->packets[index].is_waiting = again;
}

/* The messages of a type, and only they, reach everybody. */
static void deliver_type(enum sl_message_type type)
{
    for (uint32_t i = 0; i < world->n_packets; i++)
        if (world->packets[i].is_waiting && world->packets[i].type == type) world_deliver(world, i, world->packets[i].to, world->packets[i].sender);
}

static void drop(uint32_t n)
{
    uint32_t index = waiting(n);
    if (index < world->n_packets) world->packets[index].is_waiting = false;
}

/* What waits between two members is lost, and the vectors that one wants of the other too. */
static void cut(uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < world->n_packets; i++) {
        struct packet *packet = &world->packets[i];
        if ((packet->sender == a && packet->to == b) || (packet->sender == b && packet->to == a)) packet->is_waiting = false;
    }
}

/* What a member says does not leave it. */
static void silence(uint32_t member)
{
    for (uint32_t i = 0; i < world->n_packets; i++)
        if (world->packets[i].sender == member) world->packets[i].is_waiting = false;
}

/* A message of before comes once more, from a liar or from whom it came. */
static void replay(uint32_t n, uint32_t to)
{
    uint32_t index = n % world->n_packets, via = liar(n);
    world_deliver(world, index, to, via < world->n ? via : world->packets[index].sender);
}

/* A byte of a waiting message changes on its way, so that its signature is false. */
static void spoil(uint32_t n, uint32_t at, uint32_t flip)
{
    uint32_t index = waiting(n);
    if (index == world->n_packets || flip == 0) return;
    const struct packet *packet = &world->packets[index];
    if (!packet->is_true || world->n_bytes + packet->size > WORLD_BYTES_MAX) return;

    uint8_t *bytes = world->bytes + world->n_bytes;
    memcpy(bytes, world->bytes + packet->at, packet->size);
    bytes[at % packet->size] ^= (uint8_t)flip;
    world_reword(world, index, world->n_bytes, packet->size, false);
    world->n_bytes += packet->size;
}

static void moments(uint32_t who, uint32_t step, uint32_t moment)
{
    for (uint32_t i = 0; i < world->n; i++)
        if (who % (world->n + 1) == world->n || who % (world->n + 1) == i) world_moment(world, i, 1 + step % SL_STEP_RESULT, moment % 4);
}

static void inputs(uint32_t who, uint32_t size)
{
    for (uint32_t i = 0; i < world->n; i++) {
        bool is_meant = who % (world->n + 1) == world->n || who % (world->n + 1) == i;
        if (is_meant) world_input(world, i, world_is_liar(world, i) ? 1 << size % 16 : 1);
    }
}

static void lie(uint32_t what, uint32_t a, uint32_t b, const uint8_t *rest, size_t size)
{
    uint32_t who = liar(a), to = b % (world->n + 1) == world->n ? SL_SESSION_ALL : b % (world->n + 1);
    if (who == world->n || who == to) return;
    switch (what % 4) {
    case 0: lie_reveal(world, who, a / 8, b); break;
    case 1: lie_need(world, who, to, a / 8, b / 8); break;
    case 2: lie_copy(world, who, b | (uint32_t)a << 8); break;
    case 3: lie_body(world, who, to, SL_MESSAGE_REFUSE + a / 8 % 11, rest, size < BODY_MAX ? size : BODY_MAX); break;
    }
}

static void command(const uint8_t bytes[COMMAND_BYTES], const uint8_t *rest, size_t size)
{
    static const enum sl_session_step lists[4] = {SL_STEP_LIST_SHARES, SL_STEP_LIST_COMMIT, SL_STEP_LIST_OPEN, SL_STEP_LIST_AUDIT};
    uint32_t a = bytes[1], b = bytes[2], c = bytes[3], index, who;
    is_calm = is_calm && (bytes[0] % 18 <= 4 || bytes[0] % 18 == 9 || bytes[0] % 18 == 17);
    switch (bytes[0] % 18) {
    case 0: world_settle(world); break;
    case 1: deliver(a, b & 1); break;
    case 2: deliver_type(SL_MESSAGE_REFUSE + a % 11); break;
    case 3: world_fetch(world, a % world->n); break;
    case 4: inputs(a, b); break;
    case 5: moments(a, b, c); break;
    case 6: drop(a); break;
    case 7: cut(a % world->n, b % world->n); break;
    case 8: silence(a % world->n); break;
    case 9: replay(a | b << 8, c % world->n); break;
    case 10: spoil(a, b, c); break;
    case 11:
    case 12:
        index = waiting(a);
        if (index < world->n_packets) lie_change(world, index, b, c, bytes[0] % 18 == 12);
        break;
    case 13:
        who = liar(a);
        if (who < world->n && who != b % 7) lie_list(world, who, b % 7 < world->n ? b % 7 : SL_SESSION_ALL, lists[b / 7 % 4], c);
        break;
    case 14: lie(c, a, b, rest, size); break;
    case 15: world_refuse(world, a % world->n, 1 + b % 255); break;
    case 16: world_end(world, a % world->n); break;
    case 17: for (uint32_t i = 0; i <= a % 8; i++) deliver(b, false); break;
    }
}

static void finish(void)
{
    world_settle(world);
    inputs(world->n, 0);
    world_settle(world);
    for (uint32_t i = 0; i < world->n; i++) assert(sl_session_state(world->members[i].session) == SL_SESSION_DONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;

    world = world_begin(data[0] % WORLD_KINDS, data[1]);
    is_calm = world->liars == 0;
    size_t at = 2;
    for (uint32_t i = 0; i < COMMANDS_MAX && size - at >= COMMAND_BYTES; i++, at += COMMAND_BYTES)
        command(data + at, data + at + COMMAND_BYTES, size - at - COMMAND_BYTES);

    if (is_calm && world->n_packets < WORLD_PACKETS_MAX) finish();
    for (uint32_t i = 0; i < world->n; i++)
        if (!world_is_liar(world, i)) world_end(world, i);
    return 0;
}
