/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_WORKER_H
#define SL_RUNTIME_WORKER_H

#include <stdbool.h>

#include "starling/trainer.h"

/* The training thread: one job at a time, in order, by the trainer it was given. */
struct sl_worker;

/* `trainer` must outlive the worker. With makes_noise every training job gets a fresh noise key in this thread, right before the trainer runs; it
 * is wiped right after and stands nowhere else. NULL when the machine gives no thread or memory. */
struct sl_worker *sl_worker_new(const struct sl_trainer *trainer, bool makes_noise);

/* Hands the job over; its weights stay lent until sl_worker_take() brings its result. False, and there will be no result, when memory is short. */
bool sl_worker_submit(struct sl_worker *worker, const struct sl_job *job);

/* The zmq socket that becomes readable when a job is done. */
void *sl_worker_socket(struct sl_worker *worker);

/* The next result, if any. */
bool sl_worker_take(struct sl_worker *worker, struct sl_job_result *out);

/* Waits for the job under way, then ends the thread. */
void sl_worker_destroy(struct sl_worker **worker);

#endif
