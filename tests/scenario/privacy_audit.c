/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "config/plan.h"
#include "privacy/budget.h"
#include "privacy/clip.h"
#include "privacy/discrete_gaussian.h"
#include "train/trainer.h"

/*
 * An audit of private training from outside (after Jagielski et al. 2020 and Nasr et al. 2021): train many times with a worst-case record and many times
 * without it, guess from the outcome which it was, and turn the rate of right guesses into an epsilon that training cannot be below. Honest training must stay
 * below what it reports. So that this says something, the same guesser is given three flaws that others have had, and must find each of them out.
 *
 * Thresholds are chosen on one half of the runs, rates are counted on the other; both hold together with confidence 95 % (Clopper and Pearson 1934). All runs
 * follow from fixed keys: the answer is the same every time. STARLING_LONG: ten times the runs, other keys.
 */
enum { DIM_MAX = 1000, ROWS_MAX = 4, RUNS = 2000, RUNS_MAX = 20000 };

#define DELTA 1e-5
#define TAIL .025                /* for each of the two rates */

struct setting {
    const char *name;
    double q, z;
    uint32_t steps, dim;
    uint32_t n_others;           /* rows beside the one in question; it is the last */
    double (*statistic)(const float *weights, uint32_t dim);
    void (*run)(const struct setting *setting, const struct sl_trainer *trainer, const struct sl_job *job, uint32_t n_rows);
    bool is_flawed;
};

/* ---- a model whose every gradient is the clip norm in the first coordinate, or nothing ---- */

static uint32_t canary_dim(const struct sl_shape *shape)
{
    return shape->hidden[0];
}

static size_t canary_scratch(const struct sl_shape *shape, uint32_t n_rows_max)
{
    return shape->n_features * n_rows_max;
}

static double canary_gradient(const struct sl_shape *shape, const float *weights, const struct sl_batch *batch, struct sl_arena *scratch, float *gradient)
{
    (void)weights;
    (void)scratch;
    memset(gradient, 0, shape->hidden[0] * sizeof *gradient);
    gradient[0] = batch->labels[0];
    return 0;
}

static const struct sl_model canary = {
    .name = "canary", .task = SL_TASK_REGRESS, .dim = canary_dim, .scratch_size = canary_scratch, .gradient = canary_gradient};

/* ---- what a guesser looks at: with learning rate 1, clip norm 1 and divisor 1 weights that start at zero are minus the sum of all updates ---- */

static double first_coordinate(const float *weights, uint32_t dim)
{
    (void)dim;
    return -weights[0];
}

static double size_of_it(const float *weights, uint32_t dim)
{
    double squares = 0;
    for (uint32_t j = 0; j < dim; j++) squares += (double)weights[j] * weights[j];
    return sqrt(squares);
}

/* ---- honest runs, and flaws put together from the same parts ---- */

static void train(const struct setting *setting, const struct sl_trainer *trainer, const struct sl_job *job, uint32_t n_rows)
{
    (void)setting;
    (void)n_rows;
    struct sl_job_result result;
    trainer->run(trainer->context, job, &result);
    if (result.error == 0 && result.n_steps == job->round.steps) return;
    printf("FAILED: training ended with error %d\n", result.error);
    exit(1);
}

struct parts {
    struct sl_noise noise;
    struct sl_discrete_gaussian *sampler;
    uint64_t sigma2;                         /* that the sampler is for */
    int64_t sum[DIM_MAX];
    uint32_t n_drawn;
};

/* Draws rows and adds up their gradients: the last one is the canary. */
static struct parts *draw(const struct setting *setting, const struct sl_job *job, uint32_t n_rows)
{
    static struct parts parts;
    static max_align_t memory[1 << 14];
    if (sl_discrete_gaussian_size() > sizeof memory) exit(1);
    if (parts.sigma2 != job->round.sigma2 && sl_discrete_gaussian_init(memory, job->round.sigma2, &parts.sampler) != 0) exit(1);

    parts.sigma2 = job->round.sigma2;
    sl_noise_init(&parts.noise, job->noise_key);
    memset(parts.sum, 0, sizeof parts.sum);
    parts.n_drawn = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        if (job->round.q64 != SL_Q64_ONE && sl_noise_word(&parts.noise) >= job->round.q64) continue;

        float g[DIM_MAX] = {i == setting->n_others};
        int32_t v[DIM_MAX];
        sl_clip_integers(g, setting->dim, 1, v);
        for (uint32_t j = 0; j < setting->dim; j++) parts.sum[j] += v[j];
        parts.n_drawn++;
    }
    return &parts;
}

static void add_noise(struct parts *parts, uint32_t dim)
{
    if (sl_discrete_gaussian_add(parts->sampler, &parts->noise, parts->sum, dim) != 0) exit(1);
}

static void step(const struct parts *parts, const struct sl_job *job, double divisor)
{
    for (uint32_t j = 0; j < job->dim; j++) job->weights[j] -= (float)((double)parts->sum[j] * 0x1p-20 / divisor);
}

static void skip_noise_of_empty_batches(const struct setting *setting, const struct sl_trainer *trainer, const struct sl_job *job, uint32_t n_rows)
{
    (void)trainer;
    struct parts *parts = draw(setting, job, n_rows);
    if (parts->n_drawn == 0) return;
    add_noise(parts, setting->dim);
    step(parts, job, 1);
}

static void noise_anew_for_each_of_twenty_peers(const struct setting *setting, const struct sl_trainer *trainer, const struct sl_job *job, uint32_t n_rows)
{
    enum { N_PEERS = 20 };
    (void)trainer;
    struct parts *parts = draw(setting, job, n_rows);
    int64_t private = parts->sum[0];
    for (uint32_t peer = 0; peer < N_PEERS; peer++) {
        parts->sum[0] = private;
        add_noise(parts, 1);
        step(parts, job, N_PEERS);          /* the peers take the mean of what they got */
    }
}

static void divide_by_the_rows_drawn(const struct setting *setting, const struct sl_trainer *trainer, const struct sl_job *job, uint32_t n_rows)
{
    (void)trainer;
    struct parts *parts = draw(setting, job, n_rows);
    add_noise(parts, setting->dim);
    step(parts, job, parts->n_drawn > 0 ? parts->n_drawn : 1);
}

static const struct setting settings[] = {
    {"honest: the sum of ten steps", .5, 2, 10, 1, 3, first_coordinate, train, false},
    {"honest: one record or none", .5, 4, 1, 1, 0, size_of_it, train, false},
    {"honest: one noised step", 1, 4, 1, 1, 0, first_coordinate, train, false},
    {"honest: the size of the update", 1, 4, 1, DIM_MAX, 1, size_of_it, train, false},
    {"honest: hardly any noise", 1, .5, 1, 1, 0, first_coordinate, train, false},
    {"flaw: no noise on empty batches", .5, 4, 1, 1, 0, size_of_it, skip_noise_of_empty_batches, true},
    {"flaw: fresh noise for every peer", 1, 4, 1, 1, 0, first_coordinate, noise_anew_for_each_of_twenty_peers, true},
    {"flaw: divided by the rows drawn", 1, 4, 1, DIM_MAX, 1, size_of_it, divide_by_the_rows_drawn, true},
};

/* ---- many runs ---- */

static struct sl_config config_of(const struct setting *setting)
{
    struct sl_config config = {
        .train_lr = 1, .privacy_clip = 1, .privacy_batch = 1, .privacy_records = 4, .privacy_sampling_rate = setting->q, .privacy_noise = setting->z,
        .privacy_steps = setting->steps, .shape = {.n_features = 1, .n_outputs = 1, .hidden = {setting->dim}},
    };
    strcpy(config.privacy_unit, "record");
    return config;
}

static void run_many(const struct setting *setting, bool with_canary, uint32_t n_runs, uint8_t salt, double *out)
{
    static float features[ROWS_MAX], labels[ROWS_MAX], weights[DIM_MAX];
    static const uint32_t rows[ROWS_MAX] = {0, 1, 2, 3};
    struct sl_config config = config_of(setting);
    struct sl_charge charge = sl_charge_of(&config, setting->dim);
    for (uint32_t i = 0; i < ROWS_MAX; i++) labels[i] = i == setting->n_others;
    uint32_t n_rows = setting->n_others + with_canary;
    const struct sl_dataset data = {.features = features, .labels = labels, .n_rows = ROWS_MAX, .n_features = 1};
    struct sl_trainer trainer;
    if (!sl_trainer_new(&trainer, &canary, &config, &data, rows, n_rows, (const uint8_t[32]){1})) exit(1);

    struct sl_rng keys;
    sl_rng_init(&keys, (const uint8_t[32]){salt, with_canary});
    for (uint32_t i = 0; i < n_runs; i++) {
        struct sl_job job = {
            .number = i + 1, .type = SL_JOB_TRAIN, .weights = weights, .dim = setting->dim,
            .round = {.q64 = charge.q64, .sigma2 = charge.sigma2, .steps = (uint32_t)charge.steps},
        };
        sl_rng_bytes(&keys, job.noise_key, sizeof job.noise_key);
        memset(weights, 0, sizeof weights);
        setting->run(setting, &trainer, &job, n_rows);
        out[i] = setting->statistic(weights, setting->dim);
    }
    trainer.destroy(&trainer);
}

static double reported_epsilon(const struct setting *setting)
{
    struct sl_config config = config_of(setting);
    struct sl_charge charge = sl_charge_of(&config, setting->dim);
    static struct sl_budget budget;
    sl_budget_init(&budget);
    sl_budget_add(&budget, &charge);
    return sl_budget_epsilon(&budget, DELTA);
}

/* ---- guessing ---- */

/* P(at most k of n), every one with probability p >= k/n: terms fall from the k-th down. */
static double at_most(uint32_t k, uint32_t n, double p)
{
    double term = exp(lgamma(n + 1.) - lgamma(k + 1.) - lgamma(n - k + 1.) + k * log(p) + (n - k) * log1p(-p)), sum = term;
    for (uint32_t i = k; i > 0 && term > 1e-17 * sum; i--) {
        term *= i / (n - i + 1.) * (1 - p) / p;
        sum += term;
    }
    return sum;
}

/* The largest rate under which k or fewer of n still happen with probability TAIL. */
static double largest_rate_of(uint32_t k, uint32_t n)
{
    double low = (double)k / n, high = 1;
    for (uint32_t i = 0; i < 50; i++) {
        double middle = (low + high) / 2;
        if (at_most(k, n, middle) > TAIL)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* Asked for again and again. */
static double largest_rate(uint32_t k, uint32_t n)
{
    static double known[RUNS_MAX / 2];
    if (k == n) return 1;
    if (known[k] == 0) known[k] = largest_rate_of(k, n);
    return known[k];
}

static double smallest_rate(uint32_t k, uint32_t n)
{
    return 1 - largest_rate(n - k, n);
}

struct guess {
    double threshold;
    bool says_with_above;                /* else below it */
    bool is_about_absence;               /* the bound comes from guesses of "without" */
};

static uint32_t count(const double *values, uint32_t n, double threshold, bool above)
{
    uint32_t n_above = 0;
    for (uint32_t i = 0; i < n; i++) n_above += values[i] >= threshold;
    return above ? n_above : n - n_above;
}

/* Of rates of right and of wrong guesses, (epsilon, delta) privacy allows only right <= e^epsilon wrong + delta. */
static double bound_of(const struct guess *guess, const double *with, const double *without, uint32_t n)
{
    bool above = guess->says_with_above != guess->is_about_absence;
    const double *right = guess->is_about_absence ? without : with, *wrong = guess->is_about_absence ? with : without;
    double least = smallest_rate(count(right, n, guess->threshold, above), n), most = largest_rate(count(wrong, n, guess->threshold, above), n);
    return least > DELTA ? log((least - DELTA) / most) : -INFINITY;
}

static struct guess best_guess(const double *with, const double *without, uint32_t n)
{
    enum { N_THRESHOLDS = 200 };
    struct guess best = {0};
    double best_bound = -INFINITY;
    for (uint32_t i = 0; i < N_THRESHOLDS; i++)
        for (uint32_t kind = 0; kind < 8; kind++) {
            const double *from = kind & 1 ? with : without;
            struct guess guess = {.threshold = from[i * (n / N_THRESHOLDS)], .says_with_above = kind & 2, .is_about_absence = kind & 4};
            guess.threshold = nextafter(guess.threshold, INFINITY);          /* so that a value that is always the same is below it */
            double bound = bound_of(&guess, with, without, n);
            if (bound > best_bound) {
                best_bound = bound;
                best = guess;
            }
        }
    return best;
}

static bool audit(const struct setting *setting, uint32_t n_runs, uint8_t salt)
{
    double *with = calloc(n_runs, sizeof *with), *without = calloc(n_runs, sizeof *without);
    if (!with || !without) exit(1);

    run_many(setting, true, n_runs, salt, with);
    run_many(setting, false, n_runs, salt, without);
    uint32_t half = n_runs / 2;
    struct guess guess = best_guess(with, without, half);
    double bound = bound_of(&guess, with + half, without + half, half);
    double epsilon = reported_epsilon(setting);
    free(with);
    free(without);

    bool is_right = setting->is_flawed ? bound > epsilon : bound <= epsilon;
    printf("%-34s epsilon reported %6.3f, at least %6.3f by %u runs%s\n", setting->name, epsilon, bound > 0 ? bound : 0, 2 * n_runs,
           is_right ? "" : "   FAILED");
    return is_right;
}

int main(void)
{
    bool is_long = getenv("STARLING_LONG") != NULL, all_right = true;
    for (uint32_t i = 0; i < sizeof settings / sizeof *settings; i++)
        all_right = audit(&settings[i], is_long ? RUNS_MAX : RUNS, (uint8_t)(i + 100 * is_long)) && all_right;
    return all_right ? 0 : 1;
}
