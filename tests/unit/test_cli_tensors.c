/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../tools/cli_tensors.h"
#include "config/registry.h"

static struct sl_shape shape_of(const char *specification, uint32_t n_features, uint32_t n_outputs, const struct sl_model **model)
{
    struct sl_shape shape = {.n_features = n_features, .n_outputs = n_outputs};
    *model = sl_model_parse(specification, &shape, NULL, 0);
    return shape;
}

static size_t length_in(const char *head)
{
    size_t length = 0;
    for (int i = 7; i >= 0; i--) length = length << 8 | (unsigned char)head[i];
    return length;
}

Test(cli_tensors, cover_the_flat_vector_of_every_model_without_gaps)
{
    const char *specifications[] = {"softmax", "ridge", "mlp:5", "mlp:5,7"};
    for (uint32_t s = 0; s < 4; s++) {
        const struct sl_model *model;
        struct sl_shape shape = shape_of(specifications[s], 4, strcmp(specifications[s], "ridge") == 0 ? 1 : 3, &model);
        struct cli_tensor tensors[CLI_TENSORS_MAX];

        uint32_t n = cli_tensors_of(&shape, tensors), at = 0;

        for (uint32_t i = 0; i < n; i++) {
            cr_assert_eq(tensors[i].offset, at);
            cr_assert_eq(tensors[i].size, tensors[i].rows * (tensors[i].columns ? tensors[i].columns : 1));
            at += tensors[i].size;
        }
        cr_assert_eq(at, model->dim(&shape), "%s", specifications[s]);
    }
}

Test(cli_tensors, of_a_network_with_layers_bear_their_number)
{
    const struct sl_model *model;
    struct sl_shape shape = shape_of("mlp:5", 4, 3, &model);
    struct cli_tensor tensors[CLI_TENSORS_MAX];
    cr_assert_eq(cli_tensors_of(&shape, tensors), 4);
    cr_assert_str_eq(tensors[0].name, "layers.0.weight");
    cr_assert_str_eq(tensors[3].name, "layers.1.bias");
    cr_assert_eq(tensors[0].rows, 5);
    cr_assert_eq(tensors[0].columns, 4);
}

Test(cli_tensors, head_of_safetensors_is_json_whose_offsets_end_where_the_data_end)
{
    const struct sl_model *model;
    struct sl_shape shape = shape_of("softmax", 4, 3, &model);
    struct cli_tensor tensors[CLI_TENSORS_MAX];
    uint32_t n = cli_tensors_of(&shape, tensors);
    struct cli_note notes[] = {{"model", "softmax"}, {"quoted", "a \"b\"\n"}};
    size_t size;

    char *head = cli_safetensors_head(tensors, n, notes, 2, &size);

    cr_assert_eq(length_in(head) + 8, size);
    cr_assert_eq(size % 8, 0, "floats behind it shall be aligned");
    json_t *json = json_loadb(head + 8, size - 8, 0, NULL);
    cr_assert_not_null(json);
    cr_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "__metadata__"), "quoted")), "a \"b\"\n");
    json_t *bias = json_object_get(json, "bias");
    cr_assert_eq(json_integer_value(json_array_get(json_object_get(bias, "data_offsets"), 0)), 48);
    cr_assert_eq(json_integer_value(json_array_get(json_object_get(bias, "data_offsets"), 1)), 60);
    cr_assert_eq(json_array_size(json_object_get(bias, "shape")), 1);
    json_decref(json);
    free(head);
}

Test(cli_tensors, npy_begins_with_its_magic_and_a_head_of_whole_blocks)
{
    float weights[3] = {1, 2, 3};
    char *bytes = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&bytes, &size);

    cr_assert(cli_npy_write(file, weights, 3));
    fclose(file);

    cr_assert_eq(size, 128 + 12);
    cr_assert_eq(memcmp(bytes, "\x93NUMPY\x01\x00\x76\x00", 10), 0);
    cr_assert_not_null(strstr(bytes + 10, "'shape': (3,)"));
    cr_assert_eq(bytes[127], '\n');
    cr_assert_eq(memcmp(bytes + 128, weights, 12), 0);
    free(bytes);
}

Test(cli_tensors, predict_as_the_model_itself_scores)
{
    const char *specifications[] = {"softmax", "mlp:5", "mlp:5,7"};
    enum { ROWS = 600 };
    for (uint32_t s = 0; s < 3; s++) {
        const struct sl_model *model;
        struct sl_shape shape = shape_of(specifications[s], 4, 3, &model);
        uint32_t dim = model->dim(&shape);
        float *weights = calloc(dim, sizeof *weights), *features = calloc(ROWS * 4, sizeof *features), *labels = calloc(ROWS, sizeof *labels);
        float *logits = calloc(ROWS * 3, sizeof *logits);
        for (uint32_t i = 0; i < dim; i++) weights[i] = sinf((float)(7 * i + 1));
        for (uint32_t i = 0; i < ROWS * 4; i++) features[i] = cosf((float)(3 * i));

        cr_assert(cli_forward(&shape, weights, features, ROWS, logits));

        double probability, loss = 0;
        for (uint32_t i = 0; i < ROWS; i++) {
            labels[i] = (float)cli_class_of(logits + 3 * i, 3, &probability);
            loss -= log(probability) / ROWS;
        }
        size_t size = model->scratch_size(&shape, ROWS);
        void *block = malloc(size);
        struct sl_arena scratch = sl_arena_over(block, size);
        struct sl_batch batch = {.features = features, .labels = labels, .n_rows = ROWS, .n_features = 4};
        struct sl_score score;
        model->evaluate(&shape, weights, &batch, &scratch, &score);
        cr_assert_eq(score.accuracy, 1.0);
        cr_assert_float_eq(score.loss, loss, 1e-5);
        free(block);
        free(weights), free(features), free(labels), free(logits);
    }
}
