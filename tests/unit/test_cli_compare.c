/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "../../tools/cli_compare.h"

#define TEXT(text) ((char[]){text})     /* names are owned, so not const */

static char why[1024];

static void assert_says(const char *part)
{
    cr_assert_not_null(strstr(why, part), "\"%s\" does not say \"%s\"", why, part);
}

Test(cli_compare, names_the_first_column_that_differs_with_both_sides)
{
    char *here[] = {TEXT("age"), TEXT("pixel_16"), TEXT("weight")}, *there[] = {TEXT("age"), TEXT("px16"), TEXT("mass")};
    struct sl_dataset data = {.n_features = 3, .columns = here};
    struct sl_names names = {.n = 3, .names = there};

    cr_assert_not(cli_columns_fit(&data, "mine.csv", "last", 3, &names, why, sizeof why));

    assert_says("mine.csv: column 2 is 'pixel_16' here and 'px16' in the network");
}

Test(cli_compare, takes_equal_columns_and_tables_without_names)
{
    char *columns[] = {TEXT("a"), TEXT("b")};
    struct sl_dataset named = {.n_features = 2, .columns = columns}, bare = {.n_features = 2};
    struct sl_names names = {.n = 2, .names = columns}, none = {0};

    cr_assert(cli_columns_fit(&named, "mine.csv", "last", 2, &names, why, sizeof why));
    cr_assert(cli_columns_fit(&bare, "mine.npy", "last", 2, &names, why, sizeof why));
    cr_assert(cli_columns_fit(&named, "mine.csv", "last", 2, &none, why, sizeof why));
}

Test(cli_compare, tells_the_likely_slip)
{
    char *here[] = {TEXT("id"), TEXT("a"), TEXT("b")}, *there[] = {TEXT("a"), TEXT("b")}, *turned[] = {TEXT("b"), TEXT("a")}, *cut[] = {TEXT("a")};
    struct sl_names names = {.n = 2, .names = there};

    cr_assert_not(cli_columns_fit(&(struct sl_dataset){.n_features = 3, .columns = here}, "m", "last", 2, &names, why, sizeof why));
    assert_says("3 feature columns here, 2 in the network");
    assert_says("a column too many");

    cr_assert_not(cli_columns_fit(&(struct sl_dataset){.n_features = 2, .columns = turned}, "m", "last", 2, &names, why, sizeof why));
    assert_says("another order");

    cr_assert_not(cli_columns_fit(&(struct sl_dataset){.n_features = 1, .columns = cut}, "m", "last", 2, &names, why, sizeof why));
    assert_says("column 2, 'b' in the network, is not there");

    cr_assert_not(cli_columns_fit(&(struct sl_dataset){.n_features = 2, .columns = turned}, "m", "a", 2, &names, why, sizeof why));
    assert_says("--label names a column that is a feature");
}

Test(cli_compare, counts_columns_where_there_are_no_names)
{
    struct sl_names none = {0};
    cr_assert_not(cli_columns_fit(&(struct sl_dataset){.n_features = 5}, "mine.npy", "last", 4, &none, why, sizeof why));
    assert_says("mine.npy: 5 feature columns here, 4 in the network");
}

Test(cli_compare, refuses_a_class_that_the_network_does_not_know)
{
    char *here[] = {TEXT("cat"), TEXT("dgo")}, *there[] = {TEXT("bird"), TEXT("cat"), TEXT("dog")};
    struct sl_names names = {.n = 3, .names = there}, none = {0};
    struct sl_dataset data = {.n_classes = 2, .classes = here};

    cr_assert_not(cli_classes_fit(&data, "mine.csv", 3, &names, why, sizeof why));
    assert_says("'dgo'");
    cr_assert_not(cli_classes_fit(&data, "mine.csv", 3, &none, why, sizeof why));
    assert_says("write the numbers");
    cr_assert_not(cli_classes_fit(&(struct sl_dataset){.n_classes = 13}, "mine.csv", 10, &none, why, sizeof why));
    assert_says("labels up to 12 here, 10 classes in the network (0 to 9)");
    cr_assert(cli_classes_fit(&(struct sl_dataset){.n_classes = 2}, "mine.csv", 10, &none, why, sizeof why), "a node need not have every class");
}

Test(cli_compare, doubts_values_of_another_unit_and_values_scaled_twice)
{
    char *columns[] = {TEXT("age"), TEXT("height")};
    float healthy[] = {0.5f, -1, -0.5f, 1}, wrong[] = {0.5f, 170, -0.5f, 180}, tiny[] = {0.001f, 0.002f, 0.001f, 0.003f};
    struct sl_dataset data = {.n_rows = 2, .n_features = 2, .columns = columns};
    struct sl_scaling none = {0};

    data.features = healthy;
    cr_assert_not(cli_scale_is_doubtful(&data, "mine.csv", &none, why, sizeof why));
    data.features = wrong;
    cr_assert(cli_scale_is_doubtful(&data, "mine.csv", &none, why, sizeof why));
    assert_says("column 2, 'height', has a mean of 175");
    data.features = tiny;
    cr_assert(cli_scale_is_doubtful(&data, "mine.csv", &none, why, sizeof why));
    assert_says("scaled already");
}
