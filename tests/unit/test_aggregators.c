/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "config/registry.h"
#include "starling/aggregator.h"
#include "starling/error.h"

enum { ROWS_MAX = 32, SCRATCH = 1 << 17 };

static const struct sl_aggregator *const rules[] = {
    &sl_aggregator_mean, &sl_aggregator_median, &sl_aggregator_trimmed_mean, &sl_aggregator_geometric_median,
};
enum { N_RULES = sizeof rules / sizeof *rules };

static const struct sl_rule_params plain = {.max_faulty = 1, .nu = 1e-6, .n_iterations = 8, .start = SL_START_MEAN};

/* Runs a rule with exactly the scratch it asked for. */
static int merge(const struct sl_aggregator *rule, const struct sl_input *inputs, uint32_t n, uint32_t dim,
                 const struct sl_rule_params *params, float *out)
{
    static uint8_t block[SCRATCH];
    size_t size = rule->scratch_size(n, dim);
    cr_assert_leq(size, sizeof block - 1);
    memset(block, 0xa5, sizeof block);
    struct sl_arena scratch = sl_arena_over(block + 1, size);       /* off alignment on purpose */

    int error = rule->combine(inputs, n, dim, params, &scratch, out);

    cr_assert_eq(scratch.used, 0, "%s keeps scratch", rule->name);
    cr_assert_eq(block[1 + size], 0xa5);
    return error;
}

/* ---- the table of reference vectors ---- */

struct reference_input {
    char name[32];
    uint32_t n, dim;
    float *values;
};

static double read_double(FILE *file)
{
    char word[64];
    cr_assert_eq(fscanf(file, "%63s", word), 1);
    char *end;
    double value = strtod(word, &end);
    cr_assert(*end == 0, "'%s' in the table", word);
    return value;
}

static void read_input(FILE *file, struct reference_input *input)
{
    cr_assert_eq(fscanf(file, "%31s %u %u", input->name, &input->n, &input->dim), 3);
    cr_assert(input->n <= ROWS_MAX);
    input->values = malloc(input->n * input->dim * sizeof(float));
    for (uint32_t i = 0; i < input->n * input->dim; i++) input->values[i] = (float)read_double(file);
}

static uint32_t inputs_of(const struct reference_input *reference, struct sl_input inputs[ROWS_MAX])
{
    for (uint32_t i = 0; i < reference->n; i++)
        inputs[i] = (struct sl_input){reference->values + i * reference->dim, 1};
    return reference->n;
}

static double distance_sum(const struct reference_input *reference, const float *at)
{
    double sum = 0;
    for (uint32_t i = 0; i < reference->n; i++) {
        double squared = 0;
        for (uint32_t j = 0; j < reference->dim; j++) {
            double difference = (double)reference->values[i * reference->dim + j] - at[j];
            squared += difference * difference;
        }
        sum += sqrt(squared);
    }
    return sum;
}

static void check_case(FILE *file, const struct reference_input *references, uint32_t n_references)
{
    char number[16], name[32], rule_name[32], text[64], check[16], tolerance_text[32], optimum_text[32], why[128];
    cr_assert_eq(fscanf(file, "%15s %31s %31s %63s %15s %31s %31s", number, name, rule_name, text, check, tolerance_text, optimum_text), 7);
    const struct reference_input *reference = NULL;
    for (uint32_t i = 0; i < n_references; i++)
        if (strcmp(references[i].name, name) == 0) reference = &references[i];
    const struct sl_aggregator *rule = NULL;
    for (int i = 0; i < N_RULES; i++)
        if (strcmp(rules[i]->name, rule_name) == 0) rule = rules[i];
    cr_assert(reference && rule, "case %s: %s %s", number, name, rule_name);

    struct sl_rule_params params = {0};
    if (strcmp(text, "-") != 0) cr_assert_eq(sl_rule_params_parse(text, &params, why, sizeof why), SL_OK, "%s", why);
    struct sl_input inputs[ROWS_MAX];
    float *out = malloc(reference->dim * sizeof *out);
    int error = merge(rule, inputs, inputs_of(reference, inputs), reference->dim, &params, out);
    cr_assert_eq(error, SL_OK, "case %s", number);

    const double tolerance = atof(tolerance_text);
    for (uint32_t j = 0; j < reference->dim; j++) {
        double expected = read_double(file);
        if (strcmp(check, "coord") == 0)
            cr_assert(fabs(out[j] - expected) <= tolerance, "case %s (%s %s %s), coordinate %u: %.9g, not %.9g", number, name, rule_name,
                      text, j, out[j], expected);
    }
    if (strcmp(check, "objective") == 0) {
        double reached = distance_sum(reference, out), optimum = atof(optimum_text);
        cr_assert(reached <= optimum * (1 + tolerance), "case %s (%s %s): %.12g above %.12g", number, name, text, reached, optimum);
    }
    free(out);
}

Test(aggregators, agree_with_every_reference_vector)
{
    char path[512], word[16];
    const char *tests = getenv("STARLING_TESTS");
    if (!tests) cr_skip_test("STARLING_TESTS must name the folder of the tests");
    snprintf(path, sizeof path, "%s/unit/tables/rules.txt", tests);
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s", path);

    struct reference_input references[32];
    uint32_t n_references = 0, n_cases = 0;
    while (fscanf(file, "%15s", word) == 1) {
        if (word[0] == '#') {
            cr_assert(fscanf(file, "%*[^\n]") >= 0);
        } else if (strcmp(word, "input") == 0) {
            cr_assert(n_references < 32);
            read_input(file, &references[n_references++]);
        } else {
            cr_assert_str_eq(word, "case");
            check_case(file, references, n_references);
            n_cases++;
        }
    }
    fclose(file);
    for (uint32_t i = 0; i < n_references; i++) free(references[i].values);
    cr_assert_eq(n_cases, 199);
}

/* ---- what every rule must do ---- */

enum { N = 7, DIM = 300 };           /* three strips, the last one in part */

static float vectors[N][DIM];

static void draw_vectors(void)
{
    struct sl_rng rng;
    uint8_t seed[32] = {9};
    sl_rng_init(&rng, seed);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < DIM; j++) vectors[i][j] = (float)sl_rng_normal(&rng);
}

TestSuite(aggregators, .init = draw_vectors);

static void use_vectors(struct sl_input inputs[N], double weight)
{
    for (int i = 0; i < N; i++) inputs[i] = (struct sl_input){vectors[i], weight};
}

static bool same(const float *a, const float *b, double tolerance)
{
    for (int j = 0; j < DIM; j++)
        if (!(fabs((double)a[j] - b[j]) <= tolerance)) return false;
    return true;
}

Test(aggregators, equal_weights_of_any_size_give_the_same_bits)
{
    const double weights[] = {1e-300, 0.1, 1.0 / 3, 1e300};
    struct sl_input inputs[N];
    float expected[DIM], out[DIM];
    for (int r = 0; r < N_RULES; r++) {
        use_vectors(inputs, 1);
        cr_assert_eq(merge(rules[r], inputs, N, DIM, &plain, expected), SL_OK);
        for (int w = 0; w < 4; w++) {
            use_vectors(inputs, weights[w]);
            cr_assert_eq(merge(rules[r], inputs, N, DIM, &plain, out), SL_OK);
            cr_assert_eq(memcmp(out, expected, sizeof out), 0, "%s with weight %g", rules[r]->name, weights[w]);
        }
    }
}

Test(aggregators, an_input_without_weight_counts_as_absent)
{
    struct sl_input inputs[N], fewer[N];
    float out[DIM], expected[DIM];
    for (int r = 0; r < N_RULES; r++) {
        use_vectors(inputs, 1);
        inputs[0].weight = inputs[4].weight = 0;
        uint32_t n_fewer = 0;
        for (int i = 0; i < N; i++)
            if (inputs[i].weight > 0) fewer[n_fewer++] = inputs[i];

        cr_assert_eq(merge(rules[r], inputs, N, DIM, &plain, out), SL_OK);
        cr_assert_eq(merge(rules[r], fewer, n_fewer, DIM, &plain, expected), SL_OK);

        cr_assert_eq(memcmp(out, expected, sizeof out), 0, "%s", rules[r]->name);
    }

    for (int i = 2; i < N; i++) inputs[i].weight = 0;
    cr_assert_eq(merge(&sl_aggregator_trimmed_mean, inputs, N, DIM, &plain, out), SL_ERROR_TOO_FEW,
                 "absent inputs must not help against f liars");
}

Test(aggregators, an_integer_weight_counts_like_so_many_copies)
{
    struct sl_input weighted[3] = {{vectors[0], 1}, {vectors[1], 2}, {vectors[2], 3}}, copies[6];
    const int origin[6] = {0, 1, 1, 2, 2, 2};
    for (int i = 0; i < 6; i++) copies[i] = (struct sl_input){vectors[origin[i]], 1};
    float out[DIM], expected[DIM];
    struct sl_rule_params params = plain;
    params.max_faulty = 0;
    for (int r = 0; r < N_RULES; r++) {
        for (params.start = SL_START_ZERO; params.start <= SL_START_MEDIAN; params.start++) {
            cr_assert_eq(merge(rules[r], weighted, 3, DIM, &params, out), SL_OK);
            cr_assert_eq(merge(rules[r], copies, 6, DIM, &params, expected), SL_OK);
            cr_assert(same(out, expected, 1e-6), "%s", rules[r]->name);
        }
    }
}

Test(aggregators, weighted_median_meets_half_in_spite_of_rounding)
{
    float values[4][1] = {{1}, {2}, {4}, {8}}, out;
    /* 0.1 + 0.2 against 0.3: equal but for rounding. */
    struct sl_input inputs[3] = {{values[0], 0.1}, {values[1], 0.2}, {values[2], 0.3}};
    cr_assert_eq(merge(&sl_aggregator_median, inputs, 3, 1, &plain, &out), SL_OK);
    cr_assert_eq(out, 3);

    inputs[2].weight = 0.3001;
    cr_assert_eq(merge(&sl_aggregator_median, inputs, 3, 1, &plain, &out), SL_OK);
    cr_assert_eq(out, 4);

    inputs[0].weight = 5;
    cr_assert_eq(merge(&sl_aggregator_median, inputs, 3, 1, &plain, &out), SL_OK);
    cr_assert_eq(out, 1);
}

Test(aggregators, weighted_trimmed_mean_drops_by_value_then_by_row)
{
    float values[5][1] = {{3}, {1}, {3}, {2}, {3}}, out;
    struct sl_input inputs[5];
    const double weights[5] = {1, 2, 3, 4, 5};
    for (int i = 0; i < 5; i++) inputs[i] = (struct sl_input){values[i], weights[i]};

    cr_assert_eq(merge(&sl_aggregator_trimmed_mean, inputs, 5, 1, &plain, &out), SL_OK);

    cr_assert_float_eq(out, (2 * 4 + 3 * 1 + 3 * 3) / 8.0, 1e-6, "1 (row 1) and the last 3 (row 4) go");
}

Test(aggregators, median_of_any_finite_floats_is_the_middle_one)
{
    struct sl_input inputs[N];
    float out[DIM];
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){11});
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < DIM; j++) {
            uint32_t bits = sl_rng_u32(&rng) & (j % 3 == 0 ? 0x800000ff : 0xff7fffff);        /* every third: zeros of both signs, denormals */
            memcpy(&vectors[i][j], &bits, sizeof bits);
        }
    }
    for (int weighted = 0; weighted < 2; weighted++) {
        use_vectors(inputs, 1);
        if (weighted) inputs[2].weight = 1.0001;
        cr_assert_eq(merge(&sl_aggregator_median, inputs, N, DIM, &plain, out), SL_OK);
        for (int j = 0; j < DIM; j++) {
            int n_below = 0, n_above = 0;
            for (int i = 0; i < N; i++) {
                n_below += vectors[i][j] < out[j];
                n_above += vectors[i][j] > out[j];
            }
            cr_assert(n_below <= N / 2 && n_above <= N / 2, "coordinate %d: %g has %d below and %d above", j, out[j], n_below, n_above);
        }
    }
}

Test(aggregators, zeros_of_either_sign_tie_and_the_row_decides)
{
    float values[4][1] = {{0.0f}, {-0.0f}, {6}, {7}}, out;
    const double weights[4] = {2, 1, 1, 1};
    struct sl_input inputs[4];
    for (int i = 0; i < 4; i++) inputs[i] = (struct sl_input){values[i], weights[i]};

    cr_assert_eq(merge(&sl_aggregator_trimmed_mean, inputs, 4, 1, &plain, &out), SL_OK);

    cr_assert_float_eq(out, 3, 1e-6, "0 of row 0 goes first, so -0 and 6 share the weight evenly");
}

Test(aggregators, liars_beyond_reason_move_the_robust_rules_little)
{
    struct sl_input inputs[N];
    float expected[DIM], out[DIM];
    use_vectors(inputs, 1);
    struct sl_rule_params params = plain;
    params.max_faulty = 2;
    params.n_iterations = 100;
    for (int liar = 0; liar < 2; liar++)
        for (int j = 0; j < DIM; j++) vectors[liar][j] = liar ? -3e38f : 3e38f;
    sl_aggregator_mean.combine(inputs + 2, N - 2, DIM, &plain, &(struct sl_arena){(uint8_t[4096]){0}, 4096, 0}, expected);

    for (int r = 1; r < N_RULES; r++) {
        params.start = SL_START_MEDIAN;
        cr_assert_eq(merge(rules[r], inputs, N, DIM, &params, out), SL_OK);
        for (int j = 0; j < DIM; j++)
            cr_assert(fabs((double)out[j] - expected[j]) < 4, "%s, coordinate %d: %g", rules[r]->name, j, out[j]);
    }
}

Test(aggregators, extremes_of_float_stay_finite)
{
    float huge[3][2] = {{3.4e38f, -3.4e38f}, {3.4e38f, 3.4e38f}, {-3.4e38f, 1e-45f}}, out[2];
    struct sl_input inputs[3] = {{huge[0], 1}, {huge[1], 1}, {huge[2], 0.5}};
    for (int r = 0; r < N_RULES; r++) {
        cr_assert_eq(merge(rules[r], inputs, 3, 2, &plain, out), SL_OK);
        cr_assert(isfinite(out[0]) && isfinite(out[1]), "%s", rules[r]->name);
    }
}

Test(aggregators, geometric_median_without_smoothing_stays_at_a_point_it_has_reached)
{
    float values[4][2] = {{0, 0}, {0, 0}, {0, 0}, {5, 5}}, out[2];
    struct sl_input inputs[4];
    for (int i = 0; i < 4; i++) inputs[i] = (struct sl_input){values[i], 1};
    struct sl_rule_params params = {.nu = 0, .n_iterations = 10, .start = SL_START_MEDIAN};

    cr_assert_eq(merge(&sl_aggregator_geometric_median, inputs, 4, 2, &params, out), SL_OK);

    cr_assert(out[0] == 0 && out[1] == 0);
}

Test(aggregators, one_input_is_its_own_merge)
{
    struct sl_input input = {vectors[3], 0.7};
    float out[DIM];
    struct sl_rule_params params = plain;
    params.max_faulty = 0;
    for (int r = 0; r < N_RULES; r++) {
        cr_assert_eq(merge(rules[r], &input, 1, DIM, &params, out), SL_OK);
        cr_assert_eq(memcmp(out, vectors[3], sizeof out), 0, "%s", rules[r]->name);
    }
}

Test(aggregators, refuse_what_makes_no_sense_and_leave_out_alone)
{
    struct sl_input inputs[N];
    float out[DIM] = {7};
    for (int r = 0; r < N_RULES; r++) {
        const struct sl_aggregator *rule = rules[r];
        const double bad[] = {-1, -1e-300, NAN, INFINITY};
        for (int b = 0; b < 4; b++) {
            use_vectors(inputs, 1);
            inputs[N - 1].weight = bad[b];
            cr_assert_eq(merge(rule, inputs, N, DIM, &plain, out), SL_ERROR_BAD_ARGUMENT, "%s with weight %g", rule->name, bad[b]);
        }
        use_vectors(inputs, 0);
        cr_assert_eq(merge(rule, inputs, N, DIM, &plain, out), SL_ERROR_BAD_ARGUMENT, "%s without weight", rule->name);
        cr_assert_eq(merge(rule, inputs, 0, DIM, &plain, out), SL_ERROR_TOO_FEW, "%s without inputs", rule->name);

        use_vectors(inputs, 1);
        for (size_t size = 0; size < N * sizeof(struct sl_input); size += 40) {
            uint8_t block[N * sizeof(struct sl_input)];
            struct sl_arena scratch = sl_arena_over(block, size);
            cr_assert_eq(rule->combine(inputs, N, DIM, &plain, &scratch, out), SL_ERROR_NO_MEMORY, "%s", rule->name);
        }
    }
    cr_assert_eq(out[0], 7);
}

Test(aggregators, parameters_out_of_their_range_are_refused)
{
    struct sl_input inputs[N];
    float out[DIM] = {7};
    use_vectors(inputs, 1);
    struct sl_rule_params params = plain;
    const uint32_t too_many[] = {4, 7, 0x80000000, UINT32_MAX};
    for (int i = 0; i < 4; i++) {
        params.max_faulty = too_many[i];
        cr_assert_eq(merge(&sl_aggregator_trimmed_mean, inputs, N, DIM, &params, out), SL_ERROR_TOO_FEW);
    }
    params = plain;
    params.max_faulty = 3;
    cr_assert_eq(merge(&sl_aggregator_trimmed_mean, inputs, N, DIM, &params, (float[DIM]){0}), SL_OK, "2f < n is enough");

    const double bad[] = {-1, NAN, INFINITY};
    for (int i = 0; i < 3; i++) {
        params.nu = bad[i];
        cr_assert_eq(merge(&sl_aggregator_geometric_median, inputs, N, DIM, &params, out), SL_ERROR_BAD_ARGUMENT);
    }
    params = plain;
    params.start = (enum sl_start)3;
    cr_assert_eq(merge(&sl_aggregator_geometric_median, inputs, N, DIM, &params, out), SL_ERROR_BAD_ARGUMENT);
    cr_assert_eq(out[0], 7);
}
