/* SPDX-License-Identifier: MIT */
/*
 * Four devices in one process learn a line together, through the public headers alone. Each saw only its own stretch of y = 3x - 1; the model has two
 * weights and is this program's own. This program is also the driver: it carries messages, stores states, runs training jobs and keeps the time, which is
 * virtual here. A real driver does the same with sockets, files, a thread and a clock (src/runtime/ is one).
 *
 * Prints what each device ended with. Exit status 0: all of them found the line.
 */
#include <math.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "starling/starling.h"

enum { N_DEVICES = 4, N_POINTS = 40, N_EPOCHS = 30, STEPS_PER_EPOCH = 20, PIPES_MAX = 64 };

/* ---- the model: y = weights[0] x + weights[1] ---- */

static uint32_t line_dim(const struct sl_shape *shape)
{
    return shape->n_features == 1 && shape->n_outputs == 1 ? 2 : 0;
}

static size_t line_scratch_size(const struct sl_shape *shape, uint32_t n_rows_max)
{
    (void)shape;
    (void)n_rows_max;
    return 0;
}

static void line_init(const struct sl_shape *shape, const uint8_t seed[32], float *weights)
{
    (void)shape;
    (void)seed;
    weights[0] = weights[1] = 0;
}

static double line_gradient(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch, float *gradient)
{
    double loss = 0, slope = 0, offset = 0;
    (void)shape;
    (void)scratch;
    for (uint32_t i = 0; i < batch->n_rows; i++) {
        double error = weights[0] * batch->features[i] + weights[1] - batch->labels[i];
        loss += error * error / 2 / batch->n_rows;
        slope += error * batch->features[i] / batch->n_rows;
        offset += error / batch->n_rows;
    }
    gradient[0] = (float)slope;
    gradient[1] = (float)offset;
    return loss;
}

static void line_evaluate(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch, struct sl_score *out)
{
    float gradient[2];
    double loss = line_gradient(shape, weights, batch, scratch, gradient);
    *out = (struct sl_score){.loss = loss, .rmse = sqrt(2 * loss), .n_rows = batch->n_rows};
}

static const struct sl_model line_model = {
    .name = "line", .summary = "a straight line", .task = SL_TASK_REGRESS, .dim = line_dim, .scratch_size = line_scratch_size, .init = line_init,
    .gradient = line_gradient, .evaluate = line_evaluate,
};

/* ---- the trainer: gradient descent on what this device saw ---- */

struct points { float x[N_POINTS], y[N_POINTS]; };

static void see_points(struct points *points, uint32_t device)
{
    for (uint32_t i = 0; i < N_POINTS; i++) {
        points->x[i] = -1 + .5f * (float)device + .5f * (float)i / N_POINTS;       /* device 0: -1 .. -0.5, device 3: 0.5 .. 1 */
        points->y[i] = 3 * points->x[i] - 1 + (i % 2 ? .05f : -.05f);
    }
}

static void train(void *context, const struct sl_job *job, struct sl_job_result *out)
{
    const struct points *points = context;
    const struct sl_shape shape = {.n_features = 1, .n_outputs = 1};
    const struct sl_batch batch = {.features = points->x, .labels = points->y, .n_rows = N_POINTS, .n_features = 1};
    float gradient[2];
    *out = (struct sl_job_result){.number = job->number, .n_rows = N_POINTS};
    for (uint32_t step = 0; step < STEPS_PER_EPOCH; step++) {
        out->loss += line_gradient(&shape, job->weights, &batch, NULL, gradient) / STEPS_PER_EPOCH;
        for (uint32_t j = 0; j < job->dim; j++) job->weights[j] -= .5f * gradient[j];
        out->n_steps++;
    }
}

/* ---- the driver ---- */

struct device {
    struct sl_config config;
    struct sl_identity identity;
    struct points points;
    struct sl_trainer trainer;
    void *memory;
    struct sl_node *node;
    uint64_t deadline_us;
};

/* A connection: the dialler knows it by the number its node chose, the other side by one from SL_LINK_INBOUND on. */
struct pipe { uint32_t device[2], link[2]; };

/* An event on its way to a device; the bytes of a message travel with it. */
struct post {
    struct post *next;
    uint32_t device;
    struct sl_event event;
    uint8_t bytes[];
};

struct world {
    struct device devices[N_DEVICES];
    struct pipe pipes[PIPES_MAX];
    uint32_t n_pipes;
    struct post *first, **end;
    uint64_t now_us;
};

static void put(struct world *world, uint32_t device, const struct sl_event *event, const uint8_t *bytes, size_t size)
{
    struct post *post = malloc(sizeof *post + size);
    if (!post) abort();

    *post = (struct post){.device = device, .event = *event};
    if (size > 0) memcpy(post->bytes, bytes, size);
    *world->end = post;
    world->end = &post->next;
}

static void dial(struct world *world, uint32_t from, const struct sl_dial *dial)
{
    uint32_t to = 0;
    while (to < N_DEVICES && strcmp(world->devices[to].identity.address, dial->address) != 0) to++;
    if (to == N_DEVICES || world->n_pipes == PIPES_MAX) return;

    struct pipe *pipe = &world->pipes[world->n_pipes];
    *pipe = (struct pipe){{from, to}, {dial->link, SL_LINK_INBOUND + world->n_pipes}};
    world->n_pipes++;
    for (int side = 0; side < 2; side++) {             /* each is told the key that the other has proven */
        struct sl_event up = {.type = SL_EVENT_LINK, .link = {.link = pipe->link[side], .change = SL_LINK_UP}};
        memcpy(up.link.transport_key, world->devices[pipe->device[1 - side]].identity.transport_public, 32);
        put(world, pipe->device[side], &up, NULL, 0);
    }
}

static void deliver(struct world *world, uint32_t from, const struct sl_send *send)
{
    for (uint32_t i = 0; i < world->n_pipes; i++) {
        const struct pipe *pipe = &world->pipes[i];
        for (int side = 0; side < 2; side++) {
            if (pipe->device[side] != from || pipe->link[side] != send->link) continue;
            struct sl_event event = {.type = SL_EVENT_MESSAGE, .message = {.link = pipe->link[1 - side], .size = send->size}};
            put(world, pipe->device[1 - side], &event, send->data, send->size);
            return;
        }
    }
}

/* One event in, all actions out. Disks are perfect here and training takes no time. */
static void step(struct world *world, uint32_t device, struct sl_event *event)
{
    struct device *self = &world->devices[device];
    struct sl_actions actions;
    event->now_us = world->now_us;
    sl_node_step(self->node, event, &actions);
    self->deadline_us = actions.deadline_us;

    for (uint32_t i = 0; i < actions.n_stores; i++)
        put(world, device, &(struct sl_event){.type = SL_EVENT_STORED, .stored = {.ticket = actions.stores[i].ticket}}, NULL, 0);
    for (uint32_t i = 0; i < actions.n_dials; i++) dial(world, device, &actions.dials[i]);
    for (uint32_t i = 0; i < actions.n_sends; i++) deliver(world, device, &actions.sends[i]);
    if (actions.job.number > 0) {
        struct sl_event done = {.type = SL_EVENT_DONE};
        self->trainer.run(self->trainer.context, &actions.job, &done.done);
        put(world, device, &done, NULL, 0);
    }
}

static void run_until(struct world *world, uint64_t end_us)
{
    while (world->now_us < end_us) {
        for (struct post *post; (post = world->first);) {
            world->first = post->next;
            if (!world->first) world->end = &world->first;
            if (post->event.type == SL_EVENT_MESSAGE) post->event.message.data = post->bytes;
            step(world, post->device, &post->event);
            free(post);
        }
        uint32_t next = 0;
        for (uint32_t i = 1; i < N_DEVICES; i++)
            if (world->devices[i].deadline_us < world->devices[next].deadline_us) next = i;
        if (world->devices[next].deadline_us > world->now_us) world->now_us = world->devices[next].deadline_us;
        step(world, next, &(struct sl_event){.type = SL_EVENT_TICK});
    }
}

/* ---- setting up ---- */

/* What all members of a network share. Without a descriptor file the id is any 32 bytes that differ wherever anything shared differs. */
static void share_settings(struct sl_config *config, uint8_t operator_secret[64])
{
    static const char name[] = "embed example: line, epochs of 10 s";
    sl_config_init(config);
    sl_config_set(config, "epoch.length", "10s", NULL, 0);
    sl_config_set(config, "privacy.unit", "off", NULL, 0);           /* nothing here is private, and this driver keeps no ledger */
    config->shape = (struct sl_shape){.n_features = 1, .n_outputs = 1};
    config->aggregator = &sl_aggregator_mean;
    crypto_generichash(config->network_id, 32, (const uint8_t *)name, sizeof name, NULL, 0);
    crypto_sign_keypair(config->operator_key, operator_secret);
}

static void admit(struct world *world, const struct sl_config *shared, const uint8_t operator_secret[64], struct sl_peer peers[N_DEVICES])
{
    const uint64_t expires_s = world->now_us / 1000000 + 24 * 3600;
    for (uint32_t i = 0; i < N_DEVICES; i++) {
        struct sl_identity *identity = &world->devices[i].identity;
        uint8_t seed[32], transport_secret[32];
        char address[16];
        snprintf(address, sizeof address, "10.0.0.%u:7400", (unsigned)(i + 1));
        randombytes_buf(seed, sizeof seed);
        sl_identity_from_seed(seed, shared->network_id, operator_secret, address, expires_s, identity, transport_secret);

        memcpy(peers[i].id, identity->id, sizeof peers[i].id);
        memcpy(peers[i].sign_public, identity->sign_public, sizeof peers[i].sign_public);
        memcpy(peers[i].transport_public, identity->transport_public, sizeof peers[i].transport_public);
        memcpy(peers[i].address, identity->address, sizeof peers[i].address);
        memcpy(peers[i].certificate, identity->certificate, sizeof peers[i].certificate);
        peers[i].certificate_size = identity->certificate_size;
    }
}

static bool start(struct world *world, uint32_t i, const struct sl_config *shared, const struct sl_peer *peers)
{
    struct device *device = &world->devices[i];
    uint8_t run_seed[32];
    see_points(&device->points, i);
    device->trainer = (struct sl_trainer){.context = &device->points, .run = train};
    device->config = *shared;
    device->config.identity = &device->identity;
    device->config.peers = peers;
    device->config.n_peers = N_DEVICES;

    size_t size = sl_node_size(&device->config, &line_model);
    randombytes_buf(run_seed, sizeof run_seed);
    device->memory = malloc(size);
    device->node = device->memory ? sl_node_init(device->memory, size, &device->config, &line_model, run_seed) : NULL;
    if (!device->node) return false;

    step(world, i, &(struct sl_event){.type = SL_EVENT_START});
    return true;
}

static bool report(const struct world *world, uint32_t i)
{
    struct sl_status status;
    sl_node_status(world->devices[i].node, &status);
    const float *weights = sl_node_weights(world->devices[i].node);
    bool found = fabsf(weights[0] - 3) < .1f && fabsf(weights[1] + 1) < .1f;
    printf("device %u: y = %.3f x %+.3f   %llu epochs, %llu with an aggregate, %llu merged, %.1f KB sent\n", (unsigned)i, weights[0], weights[1],
           (unsigned long long)status.epochs_seen, (unsigned long long)status.epochs_with_aggregate, (unsigned long long)status.epochs_merged,
           (double)status.bytes_sent / 1e3);
    return found && status.epochs_with_aggregate + 1 >= N_EPOCHS;          /* nothing is ever lost here, so every epoch has its aggregate */
}

int main(void)
{
    static struct world world;
    static struct sl_config shared;
    static struct sl_peer peers[N_DEVICES];
    uint8_t operator_secret[64];
    char why[128];
    if (sodium_init() < 0) return 1;

    world.end = &world.first;
    world.now_us = UINT64_C(1700000000) * 1000000;     /* some start of an epoch */
    share_settings(&shared, operator_secret);
    if (sl_config_check(&shared, why, sizeof why) != SL_OK) {
        fprintf(stderr, "embed: %s\n", why);
        return 1;
    }
    admit(&world, &shared, operator_secret, peers);
    for (uint32_t i = 0; i < N_DEVICES; i++) {
        if (start(&world, i, &shared, peers)) continue;
        fprintf(stderr, "embed: device %u does not start\n", (unsigned)i);
        return 1;
    }
    run_until(&world, world.now_us + (N_EPOCHS + 1) * shared.epoch_us);

    bool found = true;
    for (uint32_t i = 0; i < N_DEVICES; i++) {
        found = report(&world, i) && found;
        sl_node_finish(world.devices[i].node);
        free(world.devices[i].memory);
    }
    for (struct post *post; (post = world.first); free(post)) world.first = post->next;
    return found ? 0 : 1;
}
