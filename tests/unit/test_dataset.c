/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <sys/stat.h>

#include "base/rng.h"
#include "data/partition.h"
#include "data_files.h"

#define TEXT(text) ((char[]){text})     /* names are owned, so not const */

TestSuite(dataset, .init = make_folder, .fini = remove_folder);

static const struct sl_read_options classify = {.task = SL_TASK_CLASSIFY};

static struct sl_dataset read_text(const char *text, struct sl_read_options options)
{
    struct sl_dataset dataset = {0};
    write_text("data.csv", text);
    cr_assert_eq(read_data("data.csv", options, &dataset), SL_OK, "%s", why);
    return dataset;
}

/* Where public data sets may lie beside the project; NULL, with a message, when this one does not. */
static const char *public_data(const char *name, char path[2 * TEST_PATH_MAX])
{
    const char *data = getenv("STARLING_DATA"), *tests = getenv("STARLING_TESTS");
    if (data)
        snprintf(path, 2 * TEST_PATH_MAX, "%s/%s", data, name);
    else
        snprintf(path, 2 * TEST_PATH_MAX, "%s/../shared/data/%s", tests ? tests : ".", name);
    if (!data && tests) snprintf(path, 2 * TEST_PATH_MAX, "%s/../../shared/data/%s", tests, name);

    char file[2 * TEST_PATH_MAX];
    snprintf(file, sizeof file, "%.*s", (int)strcspn(path, ":"), path);
    if (access(file, R_OK) == 0) return path;
    fprintf(stderr, "skipped: %s is not there; set STARLING_DATA to the folder of public data sets\n", file);
    return NULL;
}

Test(dataset, writes_what_it_reads_back_exactly)
{
    struct sl_rng rng;
    sl_rng_init(&rng, (const uint8_t[32]){7});
    float features[200], labels[100];
    for (int i = 0; i < 200; i++) features[i] = (float)sl_rng_normal(&rng) * powf(10, (float)(i % 20) - 10);
    for (int i = 0; i < 100; i++) labels[i] = (float)sl_rng_normal(&rng);
    struct sl_dataset d = {.features = features, .labels = labels, .n_rows = 100, .n_features = 2}, back;
    char path[TEST_PATH_MAX];

    cr_assert_eq(sl_dataset_write_csv(&d, in_folder("out.csv", path)), SL_OK);
    cr_assert_eq(read_data("out.csv", (struct sl_read_options){.task = SL_TASK_REGRESS}, &back), SL_OK, "%s", why);

    cr_assert(back.n_rows == 100 && back.n_features == 2);
    cr_assert_arr_eq(back.features, features, sizeof features);
    cr_assert_arr_eq(back.labels, labels, sizeof labels);
    cr_assert_str_eq(back.columns[1], "x1");
    sl_dataset_finish(&back);
}

Test(dataset, writes_names_that_need_quotes_and_class_numbers_for_texts)
{
    struct sl_dataset d = read_text("\"a,b\";\"say \"\"c\"\"\";what\n1;2;owl\n3;4;jay\n", classify), back;
    char path[TEST_PATH_MAX];

    cr_assert_eq(sl_dataset_write_csv(&d, in_folder("out.csv", path)), SL_OK);
    cr_assert_eq(read_data("out.csv", classify, &back), SL_OK, "%s", why);

    cr_assert_str_eq(back.columns[0], "a,b");
    cr_assert_str_eq(back.columns[1], "say \"c\"");
    cr_assert(back.n_features == 2 && back.labels[0] == 1 && back.labels[1] == 0);
    cr_assert_null(back.classes, "the file holds numbers");
    sl_dataset_finish(&back);
    sl_dataset_finish(&d);
}

Test(dataset, writes_names_that_are_numbers_or_empty_so_that_they_stay_names)
{
    struct sl_dataset d = read_text("0,,label\n1,2,0\n3,4,1\n", classify), back;
    char path[TEST_PATH_MAX];

    cr_assert_eq(sl_dataset_write_csv(&d, in_folder("out.csv", path)), SL_OK);
    cr_assert_eq(read_data("out.csv", classify, &back), SL_OK, "%s", why);

    cr_assert_eq(back.n_rows, 2);
    cr_assert_str_eq(back.columns[0], "0");
    cr_assert_str_eq(back.columns[1], "");
    sl_dataset_finish(&back);
    sl_dataset_finish(&d);
}

Test(dataset, says_when_it_cannot_write)
{
    struct sl_dataset d = read_text("1,0\n", classify);

    cr_assert_eq(sl_dataset_write_csv(&d, "/none/out.csv"), SL_ERROR_IO);
    if (access("/dev/full", W_OK) == 0) cr_assert_eq(sl_dataset_write_csv(&d, "/dev/full"), SL_ERROR_NO_SPACE);
    sl_dataset_finish(&d);
}

Test(dataset, takes_rows_with_all_that_belongs_to_them)
{
    struct sl_dataset d = read_text("who,x,label\nw,1,owl\ne,2,jay\nw,3,owl\n", (struct sl_read_options){.client_column = "who"}), taken;

    cr_assert_eq(sl_dataset_take(&d, (const uint32_t[]){2, 1}, 2, &taken), SL_OK);
    sl_dataset_finish(&d);

    cr_assert(taken.n_rows == 2 && taken.n_classes == 2 && taken.n_clients == 2);
    cr_assert(taken.features[0] == 3 && taken.features[1] == 2 && taken.labels[0] == 1 && taken.labels[1] == 0);
    cr_assert(taken.clients[0] == 1 && taken.clients[1] == 0);
    cr_assert_str_eq(taken.columns[0], "x");
    cr_assert_str_eq(taken.classes[1], "owl");
    sl_dataset_finish(&taken);
}

Test(dataset, takes_no_rows_too)
{
    struct sl_dataset d = read_text("1,0\n", classify), taken;

    cr_assert_eq(sl_dataset_take(&d, NULL, 0, &taken), SL_OK);

    cr_assert(taken.n_rows == 0 && taken.n_features == 1 && !taken.columns && !taken.clients);
    sl_dataset_finish(&taken);
    sl_dataset_finish(&d);
}

Test(dataset, says_what_is_wrong_with_a_path)
{
    assert_refused("absent.csv", classify, SL_ERROR_NOT_FOUND, "absent.csv cannot be opened: No such file");
    assert_refused("", classify, SL_ERROR_NOT_FOUND, "holds no train-images-idx3-ubyte");
    assert_refused("absent,too", classify, SL_ERROR_NOT_FOUND, "cannot be opened");
}

Test(dataset, finishes_one_that_is_empty_and_may_be_finished_twice)
{
    struct sl_dataset d = read_text("a,label\n1,0\n", classify);
    sl_dataset_finish(&d);
    sl_dataset_finish(&d);
    cr_assert_null(d.features);
}

Test(dataset, knows_fashion_mnist_by_name)
{
    struct sl_dataset d;
    int error = sl_dataset_read("fashion-mnist:test", &classify, &d, why, sizeof why);
    if (error == SL_ERROR_NOT_FOUND) {
        ASSERT_SAYS("apt-get install dataset-fashion-mnist");
        return;
    }
    cr_assert_eq(error, SL_OK, "%s", why);
    cr_assert(d.n_rows == 10000 && d.n_features == 784 && d.n_classes == 10);
    sl_dataset_finish(&d);
}

Test(dataset, reads_mnist_with_its_writers)
{
    char folder[2 * TEST_PATH_MAX], writers[2 * TEST_PATH_MAX];
    if (!public_data("mnist:test", folder) || !public_data("mnist/t10k-writers.csv.gz:writer", writers)) return;

    struct sl_dataset d;
    int error = sl_dataset_read(folder, &(struct sl_read_options){.client_file = writers}, &d, why, sizeof why);

    cr_assert_eq(error, SL_OK, "%s", why);
    cr_assert(d.n_rows == 10000 && d.n_features == 784 && d.n_classes == 10 && d.n_clients == 297);
    cr_assert_eq(d.labels[0], 7);
    sl_dataset_finish(&d);
}

Test(dataset, reads_public_tables_as_they_come)
{
    static const struct {
        const char *name, *label, *client, *impute;
        uint32_t n_rows, n_features, n_classes, n_clients;
    } cases[] = {
        {"tiny/iris.csv", "last", NULL, NULL, 150, 4, 3, 0},
        {"optdigits/train.csv.gz", "last", NULL, NULL, 3823, 64, 10, 0},
        {"breast-cancer-wdbc/data.csv", "label", NULL, NULL, 569, 30, 2, 0},
        {"wisdm51-watch/features_5s.csv.gz", "activity", "subject", NULL, 14288, 38, 6, 51},
        {"heart-disease/all.csv", "num", "hospital", "0", 920, 13, 5, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[2 * TEST_PATH_MAX];
        if (!public_data(cases[i].name, path)) return;
        struct sl_read_options options = {.label = cases[i].label, .client_column = cases[i].client, .impute = cases[i].impute};
        struct sl_dataset d;
        cr_assert_eq(sl_dataset_read(path, &options, &d, why, sizeof why), SL_OK, "%s", why);
        cr_assert(d.n_rows == cases[i].n_rows && d.n_features == cases[i].n_features, "%s: %u x %u", path, d.n_rows, d.n_features);
        cr_assert(d.n_classes == cases[i].n_classes && d.n_clients == cases[i].n_clients, "%s", path);
        sl_dataset_finish(&d);
    }
}

Test(dataset, numbers_its_classes_as_a_network_does_that_has_more_of_them)
{
    char *names[] = {TEXT("bird"), TEXT("cat"), TEXT("dog")};
    struct sl_dataset d = read_text("1,2,dog\n3,4,cat\n5,6,dog\n", classify);
    cr_assert_eq(d.labels[0], 1, "by itself the file would call a dog 1");

    cr_assert_eq(sl_dataset_number_classes(&d, names, 3, why, sizeof why), SL_OK);

    cr_assert(d.labels[0] == 2 && d.labels[1] == 1 && d.labels[2] == 2 && d.n_classes == 3);
    cr_assert_str_eq(d.classes[0], "bird");
    sl_dataset_finish(&d);
}

Test(dataset, with_a_class_that_the_network_does_not_know_stays_as_it_is)
{
    char *names[] = {TEXT("bird"), TEXT("cat")};
    struct sl_dataset d = read_text("1,2,dog\n3,4,cat\n", classify);

    cr_assert_eq(sl_dataset_number_classes(&d, names, 2, why, sizeof why), SL_ERROR_MISMATCH);

    cr_assert_not_null(strstr(why, "dog"));
    cr_assert(d.labels[0] == 1 && d.n_classes == 2);
    cr_assert_str_eq(d.classes[1], "dog");
    sl_dataset_finish(&d);
}
