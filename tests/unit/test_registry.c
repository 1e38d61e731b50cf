/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "config/options.h"
#include "config/registry.h"
#include "starling/error.h"

static struct sl_config fresh(const char *model, uint32_t n_features, uint32_t n_classes)
{
    struct sl_config config;
    sl_config_init(&config);
    strcpy(config.model, model);
    config.n_features = n_features;
    config.n_classes = n_classes;
    return config;
}

Test(registry, every_rule_that_an_option_may_name_exists_and_no_other)
{
    const char *allowed = sl_config_find("merge.rule")->min;
    size_t length = 0;
    for (uint32_t i = 0; sl_aggregators[i]; i++) {
        const struct sl_aggregator *rule = sl_aggregators[i];
        cr_assert_eq(sl_aggregator_find(rule->name), rule);
        cr_assert_not_null(strstr(allowed, rule->name), "%s", rule->name);
        cr_assert(rule->summary && rule->scratch_size && rule->combine, "%s", rule->name);
        length += strlen(rule->name) + (i > 0);
    }
    cr_assert_eq(length, strlen(allowed));

    cr_assert_null(sl_aggregator_find("krum"));
    cr_assert_null(sl_aggregator_find(""));
}

Test(registry, every_model_is_complete_and_found_by_its_name)
{
    static const char *const specifications[] = {"softmax", "mlp:8", "ridge"};
    for (uint32_t i = 0; sl_models[i]; i++) {
        struct sl_shape shape = {0};
        cr_assert_eq(sl_model_parse(specifications[i], &shape, NULL, 0), sl_models[i]);
        cr_assert(sl_models[i]->dim && sl_models[i]->scratch_size && sl_models[i]->init && sl_models[i]->gradient && sl_models[i]->evaluate);
    }
}

Test(registry, reads_the_widths_of_hidden_layers)
{
    struct sl_shape shape = {.n_features = 4, .n_outputs = 3, .n_hidden = 2, .hidden = {9, 9}};

    cr_assert_not_null(sl_model_parse("mlp:64", &shape, NULL, 0));
    cr_assert_eq(shape.n_hidden, 1);
    cr_assert_eq(shape.hidden[0], 64);
    cr_assert_eq(shape.hidden[1], 0);
    cr_assert_not_null(sl_model_parse("mlp:64,32", &shape, NULL, 0));
    cr_assert_eq(shape.n_hidden, 2);
    cr_assert_eq(shape.hidden[1], 32);
    cr_assert_not_null(sl_model_parse("softmax", &shape, NULL, 0));
    cr_assert_eq(shape.n_hidden, 0, "layers of another model must not stay behind");
    cr_assert_eq(shape.n_features, 4);
    cr_assert_eq(shape.n_outputs, 3);
}

Test(registry, refuses_specifications_that_are_no_model)
{
    static const char *const wrong[] = {"", "soft", "softmaxx", "SOFTMAX", "softmax:", "ridge:3", "mlp", "mlp:", "mlp:0", "mlp:-1", "mlp:64,",
                                        "mlp:,64", "mlp:64,32,16", "mlp:65537", "mlp:64;32", "mlp: 64", "mlp:64 ", "mlp:99999999999999", ":64"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct sl_shape shape = {.n_features = 5, .n_hidden = 1, .hidden = {7, 0}}, before = shape;
        char why[256] = "";

        cr_assert_null(sl_model_parse(wrong[i], &shape, why, sizeof why), "'%s' passed", wrong[i]);

        cr_assert_arr_eq(&shape, &before, sizeof shape, "'%s' changed the shape", wrong[i]);
        cr_assert_not_null(strstr(why, wrong[i]), "'%s'", why);
    }
}

Test(registry, fills_the_shape_from_the_options)
{
    struct sl_config config = fresh("mlp:8,4", 20, 3);
    char why[256] = "";

    const struct sl_model *model = sl_model_of(&config, why, sizeof why);

    cr_assert_not_null(model, "%s", why);
    cr_assert_str_eq(model->name, "mlp");
    cr_assert_eq(config.shape.n_features, 20);
    cr_assert_eq(config.shape.n_outputs, 3);
    cr_assert_eq(config.shape.n_hidden, 2);
    cr_assert_eq(model->dim(&config.shape), 20 * 8 + 8 + 8 * 4 + 4 + 4 * 3 + 3);
}

Test(registry, a_regression_has_one_output_whether_classes_is_left_open_or_one)
{
    for (uint32_t n_classes = 0; n_classes <= 1; n_classes++) {
        struct sl_config config = fresh("ridge", 6, n_classes);

        cr_assert_not_null(sl_model_of(&config, NULL, 0));

        cr_assert_eq(config.shape.n_outputs, 1);
    }
}

Test(registry, refuses_shapes_that_are_not_known_yet_or_do_not_suit_and_changes_nothing)
{
    static const struct { const char *model; uint32_t n_features, n_classes; const char *part; } cases[] = {
        {"softmax", 0, 10, "model.features"}, {"softmax", 4, 0, "model.classes"}, {"softmax", 4, 1, "at least 2"},
        {"ridge", 4, 2, "regression"}, {"ridge", 0, 1, "model.features"}, {"tree", 4, 2, "'tree'"},
        {"softmax", 1048576, 65536, "not possible"},         /* 2^36 weights do not fit 32 bits */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_config config = fresh(cases[i].model, cases[i].n_features, cases[i].n_classes), before = config;
        char why[256] = "";

        cr_assert_null(sl_model_of(&config, why, sizeof why), "%s", cases[i].model);

        cr_assert_not_null(strstr(why, cases[i].part), "'%s' does not speak of '%s'", why, cases[i].part);
        cr_assert_arr_eq(&config, &before, sizeof config);
    }
}

Test(registry, merge_options_become_parameters)
{
    struct sl_config config = fresh("softmax", 4, 2);
    sl_config_set(&config, "merge.faulty", "3", NULL, 0);
    sl_config_set(&config, "merge.nu", "0.25", NULL, 0);
    sl_config_set(&config, "merge.iterations", "12", NULL, 0);

    struct sl_rule_params params = sl_rule_params_of(&config);

    cr_assert_eq(params.max_faulty, 3);
    cr_assert_eq(params.nu, 0.25);
    cr_assert_eq(params.n_iterations, 12);
    cr_assert_eq(params.start, SL_START_MEAN);
}

Test(registry, parameters_are_read_with_either_separator_and_the_rest_stays)
{
    struct sl_rule_params params = {.max_faulty = 9, .nu = 9, .n_iterations = 9, .start = SL_START_ZERO};

    cr_assert_eq(sl_rule_params_parse("f=1;nu=1e-3", &params, NULL, 0), SL_OK);
    cr_assert_eq(params.max_faulty, 1);
    cr_assert_eq(params.nu, 1e-3);
    cr_assert_eq(params.n_iterations, 9);
    cr_assert_eq(sl_rule_params_parse("T=0,start=median", &params, NULL, 0), SL_OK);
    cr_assert_eq(params.n_iterations, 0);
    cr_assert_eq(params.start, SL_START_MEDIAN);
    cr_assert_eq(params.max_faulty, 1);
    cr_assert_eq(sl_rule_params_parse("", &params, NULL, 0), SL_OK);
}

Test(registry, wrong_parameters_are_refused_with_nothing_changed)
{
    static const struct { const char *text; int code; const char *part; } cases[] = {
        {"f=-1", SL_ERROR_OUT_OF_RANGE, "f:"}, {"nu=-0.1", SL_ERROR_OUT_OF_RANGE, "nu:"}, {"T=-8", SL_ERROR_OUT_OF_RANGE, "T:"},
        {"f=1.5", SL_ERROR_FORMAT, "whole"}, {"f=", SL_ERROR_FORMAT, "f:"}, {"nu=nan", SL_ERROR_FORMAT, "nu:"},
        {"nu=inf", SL_ERROR_FORMAT, "nu:"}, {"nu=1e999", SL_ERROR_OUT_OF_RANGE, "nu:"}, {"f=4294967297", SL_ERROR_OUT_OF_RANGE, "f:"},
        {"start=middle", SL_ERROR_OUT_OF_RANGE, "zero, mean or median"}, {"g=1", SL_ERROR_FORMAT, "f, nu, T, start"},
        {"t=8", SL_ERROR_FORMAT, "'t'"}, {"f", SL_ERROR_FORMAT, "key=value"}, {";", SL_ERROR_FORMAT, "key=value"},
        {"f=1;;nu=1", SL_ERROR_FORMAT, "key=value"}, {"f=2;nu=x", SL_ERROR_FORMAT, "nu:"}, {"f= 1", SL_ERROR_FORMAT, "f:"},
        {"nu=0000000000000000000000000000000000000000000000000000000000000000000000001", SL_ERROR_FORMAT, "nu"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_rule_params params = {.max_faulty = 1, .nu = 0.5, .n_iterations = 8, .start = SL_START_ZERO};
        char why[256] = "";

        cr_assert_eq(sl_rule_params_parse(cases[i].text, &params, why, sizeof why), cases[i].code, "'%s': %s", cases[i].text, why);

        cr_assert_not_null(strstr(why, cases[i].part), "'%s' does not speak of '%s'", why, cases[i].part);
        cr_assert(params.max_faulty == 1 && params.nu == 0.5 && params.n_iterations == 8 && params.start == SL_START_ZERO);
    }
}
