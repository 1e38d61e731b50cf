/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>
#include <zmq.h>

#include "runtime/worker.h"

enum { JOBS_MAX = 8 };

/* A trainer that only remembers what it was given. */
struct witness {
    uint8_t keys[JOBS_MAX][32];
    uint32_t n;
};

static void remember(void *context, const struct sl_job *job, struct sl_job_result *out)
{
    struct witness *witness = context;
    memcpy(witness->keys[witness->n++], job->noise_key, 32);
    out->n_steps = 7;
}

static struct witness witness;
static const struct sl_trainer trainer = {.context = &witness, .run = remember};

static struct sl_job_result run(struct sl_worker *worker, uint32_t number, enum sl_job_type type)
{
    struct sl_job job = {.number = number, .type = type};
    struct sl_job_result result = {0};
    zmq_pollitem_t item = {.socket = sl_worker_socket(worker), .events = ZMQ_POLLIN};
    cr_assert(sl_worker_submit(worker, &job));
    cr_expect(sodium_is_zero(job.noise_key, 32), "the key is made in the thread of the worker");
    while (!sl_worker_take(worker, &result)) zmq_poll(&item, 1, -1);
    return result;
}

Test(worker, jobs_come_back_under_their_number)
{
    struct sl_worker *worker = sl_worker_new(&trainer, false);
    cr_assert_not_null(worker);

    struct sl_job_result first = run(worker, 3, SL_JOB_TRAIN), second = run(worker, 4, SL_JOB_TRAIN);

    cr_expect(first.number == 3 && second.number == 4 && first.n_steps == 7);
    sl_worker_destroy(&worker);
    cr_expect_null(worker);
}

Test(worker, every_private_job_has_a_noise_key_of_its_own)
{
    struct sl_worker *worker = sl_worker_new(&trainer, true);
    for (uint32_t i = 0; i < 4; i++) run(worker, i + 1, SL_JOB_TRAIN);
    sl_worker_destroy(&worker);

    for (uint32_t i = 0; i < 4; i++) {
        cr_expect(!sodium_is_zero(witness.keys[i], 32));
        for (uint32_t j = 0; j < i; j++) cr_expect_arr_neq(witness.keys[i], witness.keys[j], 32);
    }
}

Test(worker, nothing_else_has_one)
{
    struct sl_worker *worker = sl_worker_new(&trainer, true);
    run(worker, 1, SL_JOB_EVALUATE);
    sl_worker_destroy(&worker);
    worker = sl_worker_new(&trainer, false);
    run(worker, 1, SL_JOB_TRAIN);
    sl_worker_destroy(&worker);

    cr_expect(sodium_is_zero(witness.keys[0], 32));
    cr_expect(sodium_is_zero(witness.keys[1], 32));
}
