/* SPDX-License-Identifier: MIT */
#include "runtime/worker.h"

#include <czmq.h>
#include <sodium.h>
#include <stdlib.h>

struct sl_worker {
    zactor_t *thread;
    const struct sl_trainer *trainer;
    bool makes_noise;
};

/* The pipe brings jobs; anything of another size is zactor's "$TERM". */
static void run(zsock_t *pipe, void *argument)
{
    struct sl_worker *worker = argument;
    void *socket = zsock_resolve(pipe);
    zsock_signal(pipe, 0);

    for (;;) {
        struct sl_job job;
        int size = zmq_recv(socket, &job, sizeof job, 0);
        if (size < 0 && errno == EINTR) continue;
        if (size != sizeof job) return;

        struct sl_job_result result = {0};
        if (worker->makes_noise && job.type == SL_JOB_TRAIN) randombytes_buf(job.noise_key, sizeof job.noise_key);
        worker->trainer->run(worker->trainer->context, &job, &result);
        sodium_memzero(job.noise_key, sizeof job.noise_key);
        result.number = job.number;
        zmq_send(socket, &result, sizeof result, 0);
    }
}

struct sl_worker *sl_worker_new(const struct sl_trainer *trainer, bool makes_noise)
{
    struct sl_worker *worker = malloc(sizeof *worker);
    if (!worker) return NULL;

    worker->trainer = trainer;
    worker->makes_noise = makes_noise;
    worker->thread = zactor_new(run, worker);
    if (worker->thread) return worker;

    free(worker);
    return NULL;
}

bool sl_worker_submit(struct sl_worker *worker, const struct sl_job *job)
{
    return zmq_send(sl_worker_socket(worker), job, sizeof *job, ZMQ_DONTWAIT) == sizeof *job;
}

void *sl_worker_socket(struct sl_worker *worker)
{
    return zsock_resolve(worker->thread);
}

bool sl_worker_take(struct sl_worker *worker, struct sl_job_result *out)
{
    return zmq_recv(sl_worker_socket(worker), out, sizeof *out, ZMQ_DONTWAIT) == sizeof *out;
}

void sl_worker_destroy(struct sl_worker **worker)
{
    if (!*worker) return;

    zactor_destroy(&(*worker)->thread);
    free(*worker);
    *worker = NULL;
}
