/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "learn/models.h"
#include "privacy/budget.h"
#include "privacy/discrete_gaussian.h"
#include "train/gradient_sum.h"
#include "train/optimiser.h"
#include "train/own_rows.h"

/*
 * What a step of private training costs beside a plain one: ratios of one run, since machines differ. A plain step is one gradient over the whole batch by BLAS
 * (on one core, as the others are); a private one adds up the clipped integer gradients of its rows; the noise is drawn on top.
 * Every number is the best of ROUNDS.
 */
enum { N_FEATURES = 784, N_CLASSES = 10, N_ROWS = 1024, ROUNDS = 7 };

struct bench {
    struct sl_own_rows own;
    struct sl_optimiser optimiser;
    struct sl_gradient_sum sum;
    float *weights, *gradient;
    struct sl_noise *noise;
    struct sl_discrete_gaussian *sampler;
};

static float features[N_ROWS * N_FEATURES], labels[N_ROWS];

/* Processor time, so that other programs cost nothing but cache. */
static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* As pictures of digits are: a fifth of the pixels is not the background. */
static void make_rows(void)
{
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){1});
    for (uint32_t i = 0; i < N_ROWS; i++) {
        labels[i] = (float)sl_rng_below(&rng, N_CLASSES);
        for (uint32_t j = 0; j < N_FEATURES; j++) features[i * N_FEATURES + j] = (float)(sl_rng_uniform(&rng) < .2 ? sl_rng_uniform(&rng) : 0) - .13F;
    }
}

static void *take(struct sl_arena *arena, size_t size)
{
    void *memory = sl_arena_take(arena, size, 1, alignof(max_align_t));
    if (memory) return memory;
    fputs("not enough memory\n", stderr);
    exit(1);
}

static struct bench prepare(const struct sl_model *model, const struct sl_shape *shape, const struct sl_dataset *data, struct sl_arena *arena)
{
    struct sl_config config = {.train_lr = .01, .shape = *shape};
    struct bench bench = {
        .own = sl_own_rows_plan(model, &config, data, 0, N_ROWS, N_ROWS),
        .sum = sl_gradient_sum_of(model, shape, 1),
    };
    bench.optimiser = sl_optimiser_of(&config, bench.own.dim);
    sl_own_rows_take_list(&bench.own, arena);
    sl_own_rows_take_buffers(&bench.own, arena);
    sl_gradient_sum_take(&bench.sum, arena);
    bench.weights = take(arena, bench.own.dim * sizeof(float));
    bench.gradient = take(arena, bench.own.dim * sizeof(float));
    bench.noise = take(arena, sizeof *bench.noise);
    if (sl_discrete_gaussian_init(take(arena, sl_discrete_gaussian_size()), UINT64_C(1) << 40, &bench.sampler) != 0) exit(1);

    uint32_t rows[N_ROWS];
    for (uint32_t i = 0; i < N_ROWS; i++) rows[i] = i;
    sl_own_rows_choose(&bench.own, rows, (const uint8_t[32]){2});
    model->init(shape, (const uint8_t[32]){3}, bench.weights);
    return bench;
}

static void plain_step(struct bench *bench, const uint32_t *rows, uint32_t n_rows)
{
    struct sl_batch batch = sl_own_rows_gather(&bench->own, rows, n_rows);
    struct sl_arena scratch = sl_arena_over(bench->own.scratch, bench->own.scratch_size);
    bench->own.model->gradient(&bench->own.shape, bench->weights, &batch, &scratch, bench->gradient);
    sl_optimiser_step(&bench->optimiser, bench->weights, bench->gradient);
}

static void private_step(struct bench *bench, const uint32_t *rows, uint32_t n_rows)
{
    sl_gradient_sum_start(&bench->sum);
    for (uint32_t i = 0; i < n_rows; i += SL_GRADIENT_ROWS) {
        uint32_t n = n_rows - i < SL_GRADIENT_ROWS ? n_rows - i : SL_GRADIENT_ROWS;
        struct sl_batch batch = sl_own_rows_gather(&bench->own, rows + i, n);
        sl_gradient_sum_add(&bench->sum, bench->weights, &batch, sl_arena_over(bench->own.scratch, bench->own.scratch_size));
    }
    sl_gradient_sum_finish(&bench->sum);
    double unit = 1 / ((double)(UINT64_C(1) << SL_SCALE_BITS) * n_rows);
    for (uint32_t j = 0; j < bench->own.dim; j++) bench->gradient[j] = (float)((double)bench->sum.total[j] * unit);
    sl_optimiser_step(&bench->optimiser, bench->weights, bench->gradient);
}

typedef void step_function(struct bench *bench, const uint32_t *rows, uint32_t n_rows);

/* Nanoseconds of one step, over all rows once. */
static double time_of(step_function *step, struct bench *bench, uint32_t n_rows)
{
    double best = 1e300;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        for (uint32_t i = 0; i < N_ROWS; i += n_rows) step(bench, bench->own.rows + i, n_rows);
        double spent = (now_ns() - start) / (N_ROWS / n_rows);
        if (spent < best) best = spent;
    }
    return best;
}

static double time_of_noise(struct bench *bench)
{
    double best = 1e300;
    sl_noise_init(bench->noise, (const uint8_t[32]){4});
    for (uint32_t round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        if (sl_discrete_gaussian_add(bench->sampler, bench->noise, bench->sum.total, bench->own.dim) != 0) exit(1);
        double spent = now_ns() - start;
        if (spent < best) best = spent;
    }
    return best;
}

static void report(const char *name, struct bench *bench)
{
    double noise = time_of_noise(bench);
    for (uint32_t n_rows = 32; n_rows <= 128; n_rows *= 4) {
        double plain = time_of(plain_step, bench, n_rows), private = time_of(private_step, bench, n_rows);
        double steps = (double)N_ROWS / n_rows;
        printf("%-8s %6u %5u %9.1f %9.1f %6.2f %9.1f %10.2f %10.2f %10.0f %8.1f\n", name, bench->own.dim, n_rows, plain / 1e3, private / 1e3, private / plain,
               noise / 1e3, steps * plain / 1e6, steps * (private + noise) / 1e6, private / n_rows, noise / bench->own.dim);
    }
}

static void measure(const char *name, const struct sl_model *model, struct sl_shape shape)
{
    const struct sl_dataset data = {.features = features, .labels = labels, .n_rows = N_ROWS, .n_features = N_FEATURES, .n_classes = N_CLASSES};
    size_t size = (size_t)1 << 26;
    void *block = calloc(1, size);
    struct sl_arena arena = sl_arena_over(block, block ? size : 0);
    struct bench bench = prepare(model, &shape, &data, &arena);
    report(name, &bench);
    free(block);
}

/* BLAS reads how many threads it may use when the program is loaded. */
static void run_on_one_core(char **arguments)
{
    if (getenv("OPENBLAS_NUM_THREADS")) return;

    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    execv("/proc/self/exe", arguments);
    perror("the program cannot start itself again");
    exit(1);
}

int main(int n_arguments, char **arguments)
{
    (void)n_arguments;
    run_on_one_core(arguments);
    make_rows();
    printf("                       one step, us              ratio     noise   %u rows, ms (plain; private)   ns/row  ns/coordinate\n", N_ROWS);
    printf("model       dim batch     plain   private            us                                                of noise\n");
    measure("softmax", &sl_model_softmax, (struct sl_shape){.n_features = N_FEATURES, .n_outputs = N_CLASSES});
    measure("mlp:64", &sl_model_mlp, (struct sl_shape){.n_features = N_FEATURES, .n_outputs = N_CLASSES, .n_hidden = 1, .hidden = {64}});
    return 0;
}
