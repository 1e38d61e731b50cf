/* SPDX-License-Identifier: MIT */
#include "train/dp_node.h"

#include <math.h>
#include <stdlib.h>

#include "privacy/clip.h"
#include "starling/error.h"
#include "train/optimiser.h"
#include "train/private_job.h"

/* One heap block: this, and the arrays behind it. */
struct dp_node {
    struct sl_private_job private;
    struct sl_optimiser optimiser;
    uint32_t n_steps, batch_rows;
    double clip;

    uint32_t *order;                 /* n_training: the pass through the rows that is under way */
    float *gradient;                 /* dim; in the end the change of the block */
    int64_t *noised;                 /* dim */
};

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static struct dp_node plan(const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data, uint32_t n_rows)
{
    struct dp_node node = {.n_steps = config->train_steps, .batch_rows = smaller(config->train_batch, n_rows), .clip = config->privacy_node_clip};
    node.private = sl_private_job_plan(model, config, data, n_rows, node.batch_rows);
    node.optimiser = sl_optimiser_of(config, node.private.own.dim);
    return node;
}

static struct dp_node *carve(struct sl_arena *arena, struct dp_node *plan, uint32_t n_rows)
{
    struct dp_node *node = SL_TAKE(arena, struct dp_node, 1);
    sl_private_job_take(&plan->private, arena);
    sl_optimiser_take(&plan->optimiser, arena);
    plan->order = SL_TAKE(arena, uint32_t, n_rows);
    plan->gradient = SL_TAKE(arena, float, plan->private.own.dim);
    plan->noised = SL_TAKE(arena, int64_t, plan->private.own.dim);
    sl_private_job_take_secrets_end(&plan->private, arena);
    return node;
}

/* Private loss may stop it. */
static void train(struct dp_node *node, const struct sl_job *job)
{
    const struct sl_own_rows *own = &node->private.own;
    if (own->n_training == 0) return;

    struct sl_pass pass = sl_pass_start(own, node->order, node->batch_rows, job->seed);
    sl_optimiser_start(&node->optimiser);

    double loss = 0;
    for (uint32_t i = 0; i < node->n_steps && isfinite(loss); i++) {
        struct sl_batch batch = sl_pass_next(&pass);
        struct sl_arena scratch = sl_arena_over(own->scratch, own->scratch_size);
        loss = own->model->gradient(&own->shape, job->weights, &batch, &scratch, node->gradient);
        if (job->block)
            sl_optimiser_step_block(&node->optimiser, job->weights, node->gradient, job->block, job->n_block);
        else
            sl_optimiser_step(&node->optimiser, job->weights, node->gradient);
    }
}

/* A sum that does not fit into 32 bits wraps around, which hurts the model but never privacy; the configuration keeps it from happening. */
static int release_change(struct dp_node *node, const struct sl_job *job)
{
    uint32_t n = job->block ? job->n_block : job->dim;
    float *change = node->gradient;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t j = job->block ? job->block[k] : k;
        change[k] = job->weights[j] - node->private.before[j];
    }
    sl_clip_integers(change, n, node->clip, job->release);
    for (uint32_t k = 0; k < n; k++) node->noised[k] = job->release[k];
    sl_wipe(job->release, n * sizeof *job->release);

    int error = sl_private_job_add_noise(&node->private, node->noised, n);
    for (uint32_t k = 0; k < n && error == SL_OK; k++) job->release[k] = (int32_t)(uint32_t)(uint64_t)node->noised[k];
    return error;
}

static void run(void *context, const struct sl_job *job, struct sl_job_result *out)
{
    struct dp_node *node = context;
    uint64_t start_us = sl_cpu_now_us();
    struct sl_job_result result = sl_private_job_begin(&node->private, job);
    if (result.error == SL_OK && job->type == SL_JOB_TRAIN && !job->release) result.error = SL_ERROR_BAD_ARGUMENT;
    if (result.error == SL_OK && job->type == SL_JOB_TRAIN) {
        train(node, job);
        result.error = release_change(node, job);
        result.n_steps = node->n_steps;
        sl_private_job_restore(&node->private, job->weights);
    }

    sl_private_job_wipe(&node->private);
    result.cpu_us = sl_cpu_now_us() - start_us;
    *out = result;
}

static void destroy(struct sl_trainer *trainer)
{
    free(trainer->context);
    *trainer = (struct sl_trainer){0};
}

bool sl_dp_node_new(struct sl_trainer *out, const struct sl_model *model, const struct sl_config *config, const struct sl_dataset *data,
                    const uint32_t *rows, uint32_t n_rows, const uint8_t seed[32])
{
    struct dp_node plan_of = plan(model, config, data, n_rows);
    if (plan_of.private.own.dim == 0) return false;

    struct sl_arena counting = sl_arena_over(NULL, SIZE_MAX);
    carve(&counting, &plan_of, n_rows);

    void *block = malloc(counting.used);
    if (!block) return false;

    plan_of = plan(model, config, data, n_rows);
    struct sl_arena arena = sl_arena_over(block, counting.used);
    struct dp_node *node = carve(&arena, &plan_of, n_rows);
    if (!node || !plan_of.private.own.scratch) {          /* a size beyond what can be counted */
        free(block);
        return false;
    }

    *node = plan_of;
    sl_private_job_settle(&node->private, config, rows, seed);
    bool is_configured = node->clip >= 1e-6 && node->clip <= 1e6;
    if (!is_configured) node->private.error = SL_ERROR_BAD_ARGUMENT;
    *out = (struct sl_trainer){.context = node, .run = run, .destroy = destroy};
    return true;
}
