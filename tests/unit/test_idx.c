/* SPDX-License-Identifier: MIT */
#include "data_files.h"

TestSuite(idx, .init = make_folder, .fini = remove_folder);

static const struct sl_read_options classify = {.task = SL_TASK_CLASSIFY};

static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, /* rows */ 0, 128, 255, 1, 2, 3};
static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 2, /* rows */ 9, 4};

static void write_pair(void)
{
    write_bytes("images", images, sizeof images);
    write_bytes("labels", labels, sizeof labels);
}

/* The same pair with one byte of a header changed. */
static void write_changed(size_t image_byte, size_t label_byte, uint8_t value)
{
    uint8_t changed_images[sizeof images], changed_labels[sizeof labels];
    memcpy(changed_images, images, sizeof images);
    memcpy(changed_labels, labels, sizeof labels);
    if (image_byte < sizeof images) changed_images[image_byte] = value;
    if (label_byte < sizeof labels) changed_labels[label_byte] = value;
    write_bytes("images", changed_images, sizeof images);
    write_bytes("labels", changed_labels, sizeof labels);
}

static const char *pair(char both[2 * TEST_PATH_MAX])
{
    snprintf(both, 2 * TEST_PATH_MAX, "%s/images,%s/labels", test_folder, test_folder);
    return both;
}

static void assert_pair_refused(int error, const char *words)
{
    char both[2 * TEST_PATH_MAX];
    struct sl_dataset d = {.n_rows = 77};
    int got = sl_dataset_read(pair(both), &classify, &d, why, sizeof why);
    cr_assert_eq(got, error, "%s", why);
    ASSERT_SAYS(words);
    cr_assert_eq(d.n_rows, 77);
}

static void check_images(struct sl_dataset *d)
{
    cr_assert(d->n_rows == 2 && d->n_features == 3 && d->n_classes == 10);
    cr_assert(d->features[1] == 128 && d->features[2] == 255 && d->features[3] == 1, "pixels stay 0 .. 255");
    cr_assert(d->labels[0] == 9 && d->labels[1] == 4);
    sl_dataset_finish(d);
}

Test(idx, reads_a_pair_of_files)
{
    char both[2 * TEST_PATH_MAX];
    struct sl_dataset d;
    write_pair();

    cr_assert_eq(sl_dataset_read(pair(both), &classify, &d, why, sizeof why), SL_OK, "%s", why);
    check_images(&d);
}

Test(idx, reads_the_training_and_the_test_part_of_a_folder)
{
    struct sl_dataset d;
    char test_part[TEST_PATH_MAX];
    write_gzip("train-images-idx3-ubyte.gz", images, sizeof images);
    write_bytes("train-labels-idx1-ubyte", labels, sizeof labels);

    cr_assert_eq(sl_dataset_read(test_folder, &classify, &d, why, sizeof why), SL_OK, "%s", why);
    check_images(&d);

    snprintf(test_part, sizeof test_part, "%s:test", test_folder);
    cr_assert_eq(sl_dataset_read(test_part, &classify, &d, why, sizeof why), SL_ERROR_NOT_FOUND);
    ASSERT_SAYS("holds no t10k-images-idx3-ubyte, plain or .gz");

    write_bytes("t10k-images-idx3-ubyte", images, sizeof images);
    write_gzip("t10k-labels-idx1-ubyte.gz", labels, sizeof labels);
    cr_assert_eq(sl_dataset_read(test_part, &classify, &d, why, sizeof why), SL_OK, "%s", why);
    check_images(&d);
}

Test(idx, takes_labels_as_numbers_for_a_regression)
{
    char both[2 * TEST_PATH_MAX];
    struct sl_dataset d;
    write_pair();

    int error = sl_dataset_read(pair(both), &(struct sl_read_options){.task = SL_TASK_REGRESS}, &d, why, sizeof why);

    cr_assert(error == SL_OK && d.n_classes == 0 && d.labels[0] == 9);
    sl_dataset_finish(&d);
}

Test(idx, refuses_headers_of_other_kinds)
{
    write_changed(2, SIZE_MAX, 13);
    assert_pair_refused(SL_ERROR_FORMAT, "begins with 0x00000d03; IDX images of unsigned bytes begin with 0x00000803");
    write_changed(SIZE_MAX, 3, 3);
    assert_pair_refused(SL_ERROR_FORMAT, "IDX labels of unsigned bytes begin with 0x00000801");
    write_changed(SIZE_MAX, 7, 3);
    assert_pair_refused(SL_ERROR_FORMAT, "do they belong together?");
    write_changed(11, SIZE_MAX, 0);
    assert_pair_refused(SL_ERROR_FORMAT, "2 images of 0 x 3");
    write_changed(8, SIZE_MAX, 255);
    assert_pair_refused(SL_ERROR_FORMAT, "1 to 1048576 pixels");
}

Test(idx, does_not_believe_a_huge_count)
{
    write_changed(4, 4, 255);
    assert_pair_refused(SL_ERROR_FORMAT, "ends in row 2 of 4278190082");
}

Test(idx, refuses_files_that_end_early)
{
    write_pair();
    shorten("images", 1);
    assert_pair_refused(SL_ERROR_FORMAT, "images ends in row 1 of 2: the file is cut off");

    write_pair();
    shorten("labels", 2);
    assert_pair_refused(SL_ERROR_FORMAT, "labels ends in row 0 of 2");

    shorten("labels", 5);
    assert_pair_refused(SL_ERROR_FORMAT, "too short for an IDX file");

    write_pair();
    write_gzip("images", images, sizeof images);
    shorten("images", 10);
    assert_pair_refused(SL_ERROR_FORMAT, "damaged or cut-off gzip");
}

Test(idx, says_what_is_missing)
{
    write_pair();
    remove(strcat(strcpy((char[TEST_PATH_MAX]){0}, test_folder), "/labels"));
    assert_pair_refused(SL_ERROR_NOT_FOUND, "labels cannot be opened");

    write_bytes("train-images-idx3-ubyte", images, sizeof images);
    assert_refused("train-images-idx3-ubyte", classify, SL_ERROR_UNSUPPORTED, "give the pair IMAGES,LABELS or their folder");
    assert_refused("absent:test", classify, SL_ERROR_NOT_FOUND, "is no folder of IDX files");

    write_pair();
    char both[2 * TEST_PATH_MAX];
    struct sl_dataset d;
    int error = sl_dataset_read(pair(both), &(struct sl_read_options){.client_column = "a"}, &d, why, sizeof why);
    cr_assert_eq(error, SL_ERROR_UNSUPPORTED);
}
