/* SPDX-License-Identifier: MIT */
/* What the owner of the node asks for at its control socket. */
#include <string.h>

#include "runtime/answer.h"
#include "runtime/runtime_parts.h"
#include "starling/error.h"
#include "starling/node.h"

static void command(struct runtime *runtime, enum sl_control_verb verb, const uint8_t *peer)
{
    struct sl_event event = {.type = SL_EVENT_CONTROL, .control = {.verb = verb}};
    if (peer) memcpy(event.control.peer, peer, 32);
    runtime_step(runtime, &event);
}

static json_t *ban(struct runtime *runtime, enum sl_control_verb verb, const json_t *arguments)
{
    uint8_t peer[32];
    struct sl_glance glance = runtime_glance(runtime);
    json_t *wrong = sl_answer_find_peer(&glance, arguments, peer);
    if (wrong) return wrong;
    if (memcmp(peer, runtime->setup->identity.id, 32) == 0) return sl_control_error("bad_request", "that is this node itself");

    command(runtime, verb, peer);
    return sl_control_ok(sl_answer_peer_id(peer));
}

static json_t *leave(struct runtime *runtime)
{
    if (!runtime->leaving) command(runtime, SL_CONTROL_LEAVE, NULL);
    runtime->leaving = true;
    return sl_control_ok(json_object());
}

/* Answered when all that was handed over so far is durable. */
static json_t *checkpoint(struct runtime *runtime, uint32_t client)
{
    command(runtime, SL_CONTROL_CHECKPOINT, NULL);
    runtime->checkpoints[client] = (struct checkpoint){.waiting = true, .until = runtime->n_stores};
    return NULL;
}

json_t *runtime_on_request(void *context, uint32_t client, const char *name, const json_t *arguments)
{
    struct runtime *runtime = context;
    struct sl_glance glance = runtime_glance(runtime);
    json_t *answer = sl_answer(&glance, name, arguments);
    if (answer) return answer;

    bool is_ban = strcmp(name, "ban") == 0, is_unban = strcmp(name, "unban") == 0, is_leave = strcmp(name, "leave") == 0;
    bool is_checkpoint = strcmp(name, "checkpoint") == 0;
    if (!is_ban && !is_unban && !is_leave && !is_checkpoint)
        return sl_control_error("unknown_command",
                                "commands are status, health, peers, epochs, events, config, model, ban, unban, leave and checkpoint");
    if (runtime->held) return sl_control_error("busy", "the node is held and has not begun; send a line to its standard input first");
    if (is_leave) return leave(runtime);
    return is_checkpoint ? checkpoint(runtime, client) : ban(runtime, is_ban ? SL_CONTROL_BAN : SL_CONTROL_UNBAN, arguments);
}

void runtime_answer_checkpoints(struct runtime *runtime)
{
    for (uint32_t i = 0; i < SL_CONTROL_CLIENTS; i++) {
        struct checkpoint *checkpoint = &runtime->checkpoints[i];
        if (!checkpoint->waiting || runtime->n_stored < checkpoint->until) continue;

        struct sl_status status;
        sl_node_status(runtime->node, &status);
        json_t *answer = checkpoint->failed ? sl_control_error("failed", "the disk does not take it: make room in the node's directory")
                                            : sl_control_ok(json_pack("{s:I}", "epoch", (json_int_t)status.epoch));
        *checkpoint = (struct checkpoint){0};
        sl_control_answer(runtime->control, i, answer);
        runtime->has_answered_late = true;
    }
}
