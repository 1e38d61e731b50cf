/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/rng.h"
#include "starling/aggregator.h"
#include "starling/error.h"

/* How long one merge takes, for each rule: bench_aggregate [DIM [INPUTS]]. The best of several runs, one thread. */

enum { RUNS = 30 };

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double best_ns(const struct sl_aggregator *rule, const struct sl_input *inputs, uint32_t n, uint32_t dim,
                      const struct sl_rule_params *params, struct sl_arena *scratch, float *out)
{
    double best = 1e300;
    for (int run = 0; run < RUNS; run++) {
        double begin = now_ns();
        int error = rule->combine(inputs, n, dim, params, scratch, out);
        double took = now_ns() - begin;
        if (error) {
            fprintf(stderr, "%s: %s\n", rule->name, sl_error_text(error));
            exit(1);
        }
        if (took < best) best = took;
    }
    return best;
}

static void report(const struct sl_aggregator *rule, struct sl_input *inputs, uint32_t n, uint32_t dim, struct sl_arena *scratch, float *out)
{
    const struct sl_rule_params params = {.max_faulty = (n - 1) / 3, .nu = 0.1, .n_iterations = 8, .start = SL_START_MEAN};
    for (int weighted = 0; weighted < 2; weighted++) {
        for (uint32_t i = 0; i < n; i++) inputs[i].weight = weighted ? 1.0 / (1 + i) : 1;
        double ns = best_ns(rule, inputs, n, dim, &params, scratch, out);
        printf("%-8s %-9s %10.3f %10.3f\n", rule->name, weighted ? "unequal" : "equal", ns / dim / n, ns / 1e6);
    }
}

int main(int argc, char **argv)
{
    const uint32_t dim = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 50890;
    const uint32_t n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 7;
    const struct sl_aggregator *const rules[] = {
        &sl_aggregator_mean, &sl_aggregator_median, &sl_aggregator_trimmed_mean, &sl_aggregator_geometric_median, NULL,
    };
    const size_t scratch_size = sl_aggregator_geometric_median.scratch_size(n, dim);
    struct sl_input *inputs = calloc(n, sizeof *inputs);
    float *values = calloc((size_t)n * dim, sizeof *values), *out = calloc(dim, sizeof *out);
    void *block = malloc(scratch_size);
    bool usable = n > 0 && dim > 0 && inputs && values && out && block;
    if (!usable) {
        fprintf(stderr, "usage: bench_aggregate [DIM [INPUTS]], both positive and small enough for memory\n");
        return 1;
    }

    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){1});
    for (size_t i = 0; i < (size_t)n * dim; i++) values[i] = (float)sl_rng_normal(&rng);
    for (uint32_t i = 0; i < n; i++) inputs[i].values = values + (size_t)i * dim;

    struct sl_arena scratch = sl_arena_over(block, scratch_size);
    printf("%u coordinates, %u inputs\n%-8s %-9s %10s %10s\n", dim, n, "rule", "weights", "ns/value", "ms");
    for (int r = 0; rules[r]; r++) report(rules[r], inputs, n, dim, &scratch, out);

    free(block);
    free(out);
    free(values);
    free(inputs);
    return 0;
}
