/* SPDX-License-Identifier: MIT */
#ifndef SL_BASE_TAP_H
#define SL_BASE_TAP_H

struct sl_node;
struct sl_event;
struct sl_actions;

/*
 * A hand on a node from outside: whoever drives the node lets the tap see, and change, each event before the step and all actions after it. Tests put
 * liars there. The core knows nothing of it. What it leaves in the actions must stay until the next step.
 */
struct sl_tap {
    void *context;
    void (*event)(void *context, struct sl_node *node, struct sl_event *event);          /* NULL: not asked */
    void (*actions)(void *context, struct sl_node *node, struct sl_actions *actions);    /* NULL: not asked */
};

#endif
