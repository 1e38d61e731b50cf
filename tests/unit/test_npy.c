/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "data_files.h"

TestSuite(npy, .init = make_folder, .fini = remove_folder);

static const struct sl_read_options classify = {.task = SL_TASK_CLASSIFY};
static const struct sl_read_options regress = {.task = SL_TASK_REGRESS};

enum { FILE_SIZE_MAX = 512 };

/* An NPY file of the given version with this dictionary and these numbers; returns its size. */
static size_t make_npy(uint8_t version, const char *dictionary, const void *numbers, size_t numbers_size, uint8_t out[FILE_SIZE_MAX])
{
    size_t length = strlen(dictionary), at = 0;
    memcpy(out, "\x93NUMPY", 6);
    at = 6;
    out[at++] = version;
    out[at++] = 0;
    for (int i = 0; i < (version == 1 ? 2 : 4); i++) out[at++] = (uint8_t)(length >> 8 * i);
    memcpy(out + at, dictionary, length);
    at += length;
    if (numbers_size > 0) memcpy(out + at, numbers, numbers_size);
    return at + numbers_size;
}

static void write_npy(uint8_t version, const char *dictionary, const void *numbers, size_t numbers_size)
{
    uint8_t bytes[FILE_SIZE_MAX];
    write_bytes("data.npy", bytes, make_npy(version, dictionary, numbers, numbers_size, bytes));
}

static struct sl_dataset read_npy(struct sl_read_options options)
{
    struct sl_dataset d = {0};
    cr_assert_eq(read_data("data.npy", options, &d), SL_OK, "%s", why);
    return d;
}

#define F4(shape) "{'descr': '<f4', 'fortran_order': False, 'shape': " shape ", }\n"

Test(npy, reads_every_version_plain_or_gzip)
{
    static const float numbers[] = {1.5f, -2, 0, 3, 4, 2};
    for (uint8_t version = 1; version <= 3; version++) {
        write_npy(version, F4("(2, 3)"), numbers, sizeof numbers);
        struct sl_dataset d = read_npy(classify);
        cr_assert(d.n_rows == 2 && d.n_features == 2 && d.n_classes == 3);
        cr_assert(d.features[0] == 1.5f && d.features[1] == -2 && d.features[3] == 4 && d.labels[1] == 2);
        sl_dataset_finish(&d);
    }
    uint8_t bytes[FILE_SIZE_MAX];
    size_t size = make_npy(1, F4("(2, 3)"), numbers, sizeof numbers, bytes);
    write_gzip("data.npy.gz", bytes, (unsigned)size);
    struct sl_dataset d;
    cr_assert_eq(read_data("data.npy.gz", classify, &d), SL_OK, "%s", why);
    sl_dataset_finish(&d);
}

Test(npy, reads_every_kind_of_number)
{
    static const double f8[] = {-1.5, 7};
    static const uint8_t u1[] = {200, 7};
    static const uint8_t i4[] = {0xFE, 0xFF, 0xFF, 0xFF, 7, 0, 0, 0};
    static const uint8_t i8[] = {0, 0, 0, 0, 0, 0, 0, 0x80, 7, 0, 0, 0, 0, 0, 0, 0};
    static const struct {
        const char *kind;
        const void *numbers;
        size_t size;
        float value;
    } cases[] = {
        {"<f8", f8, sizeof f8, -1.5f},
        {"|u1", u1, sizeof u1, 200},
        {"<i4", i4, sizeof i4, -2},
        {"<i8", i8, sizeof i8, -0x1p63f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dictionary[128];
        snprintf(dictionary, sizeof dictionary, "{'descr': '%s', 'fortran_order': False, 'shape': (1, 2)}", cases[i].kind);
        write_npy(1, dictionary, cases[i].numbers, cases[i].size);
        struct sl_dataset d = read_npy(classify);
        cr_assert(d.features[0] == cases[i].value && d.labels[0] == 7, "%s", cases[i].kind);
        sl_dataset_finish(&d);
    }
}

Test(npy, finds_the_label_by_place_or_number)
{
    static const float numbers[] = {5, 6, 7};
    static const struct {
        const char *wish;
        float label;
    } cases[] = {{"first", 5}, {"last", 7}, {"1", 6}, {NULL, 7}};
    write_npy(1, F4("(1,3)"), numbers, sizeof numbers);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_dataset d = read_npy((struct sl_read_options){.task = SL_TASK_REGRESS, .label = cases[i].wish});
        cr_assert(d.labels[0] == cases[i].label && d.n_classes == 0);
        sl_dataset_finish(&d);
    }
    assert_refused("data.npy", (struct sl_read_options){.label = "age"}, SL_ERROR_UNSUPPORTED, "columns of an NPY file have no names");
    assert_refused("data.npy", (struct sl_read_options){.label = "3"}, SL_ERROR_NOT_FOUND, "its 3 columns count from 0");
}

Test(npy, takes_nan_as_missing)
{
    const float numbers[] = {NAN, 1, 2, 0};
    write_npy(1, F4("(2, 2)"), numbers, sizeof numbers);

    assert_refused("data.npy", classify, SL_ERROR_FORMAT, "row 0, column 0: missing value (NaN)");
    struct sl_dataset d = read_npy((struct sl_read_options){.impute = "9"});
    cr_assert_eq(d.features[0], 9);
    sl_dataset_finish(&d);
    assert_refused("data.npy", (struct sl_read_options){.label = "first"}, SL_ERROR_FORMAT, "row 0 has no label");
    assert_refused("data.npy", (struct sl_read_options){.impute = "x"}, SL_ERROR_FORMAT, "impute \"x\"");
}

Test(npy, refuses_infinite_numbers_and_labels_that_are_no_classes)
{
    const float numbers[] = {1, INFINITY, 2, 0.5f};
    write_npy(1, F4("(2, 2)"), numbers, sizeof numbers);
    assert_refused("data.npy", regress, SL_ERROR_NOT_FINITE, "the label of row 0 is not finite");
    assert_refused("data.npy", (struct sl_read_options){.label = "first"}, SL_ERROR_NOT_FINITE, "row 0, column 1 is not finite");
    write_npy(1, F4("(1, 2)"), numbers + 2, sizeof numbers / 2);
    assert_refused("data.npy", classify, SL_ERROR_FORMAT, "the label 0.5 of row 0 is no class number");
}

Test(npy, refuses_tables_of_other_kinds_with_a_sentence)
{
    static const struct {
        const char *dictionary;
        int error;
        const char *words;
    } cases[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (1, 2)}", SL_ERROR_UNSUPPORTED, "numbers of kind '>f4'; convert them"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2)}", SL_ERROR_UNSUPPORTED, "Fortran order"},
        {F4("(2,)"), SL_ERROR_UNSUPPORTED, "two dimensions are needed"},
        {F4("()"), SL_ERROR_UNSUPPORTED, "two dimensions are needed"},
        {F4("(1, 2, 3)"), SL_ERROR_UNSUPPORTED, "two dimensions are needed"},
        {F4("(-1, 2)"), SL_ERROR_UNSUPPORTED, "two dimensions are needed"},
        {F4("(99999999999999999999, 2)"), SL_ERROR_UNSUPPORTED, "two dimensions are needed"},
        {F4("(0, 2)"), SL_ERROR_FORMAT, "0 rows and 2 columns"},
        {F4("(1, 1)"), SL_ERROR_FORMAT, "at least 1 row and 2 to"},
        {F4("(1, 18446744073709551615)"), SL_ERROR_FORMAT, "18446744073709551615 columns"},
        {"{'fortran_order': False, 'shape': (1, 2)}", SL_ERROR_FORMAT, "header cannot be read"},
        {"{'descr': '<f4', 'shape': (1, 2)}", SL_ERROR_FORMAT, "header cannot be read"},
        {"{'descr': '<f4', 'fortran_order': False}", SL_ERROR_FORMAT, "header cannot be read"},
        {"", SL_ERROR_FORMAT, "header cannot be read"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_npy(1, cases[i].dictionary, "\0\0\0\0\0\0\0\0", 8);
        assert_refused("data.npy", classify, cases[i].error, cases[i].words);
    }
}

Test(npy, refuses_other_files_and_versions)
{
    write_text("data.npy", "a,b,label\n1,2,0\n");
    assert_refused("data.npy", classify, SL_ERROR_FORMAT, "is no NPY file");
    write_text("data.npy", "\x93NUM");
    assert_refused("data.npy", classify, SL_ERROR_FORMAT, "is no NPY file");
    write_npy(4, F4("(1, 2)"), NULL, 0);
    assert_refused("data.npy", classify, SL_ERROR_UNSUPPORTED, "NPY version 4");
    write_bytes("data.npy", "\x93NUMPY\2\0\xFF\xFF\xFF\xFF", 12);
    assert_refused("data.npy", classify, SL_ERROR_FORMAT, "a header of 4294967295 bytes");
    write_bytes("data.npy", "\x93NUMPY\1\0\x40\0{'descr'", 18);
    assert_refused("data.npy", classify, SL_ERROR_FORMAT, "header cannot be read");
    write_bytes("data.npy", "\x93NUMPY\1\0\x40", 9);
    assert_refused("data.npy", classify, SL_ERROR_FORMAT, "header cannot be read");
}

Test(npy, does_not_believe_a_huge_count)
{
    static const float numbers[] = {1, 0, 2};
    write_npy(1, F4("(18446744073709551615, 2)"), numbers, sizeof numbers);
    assert_refused("data.npy", classify, SL_ERROR_FORMAT, "ends in row 1 of 18446744073709551615: the file is cut off");
    write_npy(1, F4("(1, 1048576)"), numbers, sizeof numbers);
    assert_refused("data.npy", classify, SL_ERROR_FORMAT, "ends in row 0 of 1");
}

Test(npy, may_have_no_label_at_all)
{
    static const float numbers[] = {1.5f, -2, 0, 3, 4, 2};
    write_npy(1, F4("(2, 3)"), numbers, sizeof numbers);
    struct sl_dataset d = read_npy((struct sl_read_options){.task = SL_TASK_CLASSIFY, .label = "none"});
    cr_assert(d.n_rows == 2 && d.n_features == 3 && d.n_classes == 0);
    cr_assert(d.features[5] == 2 && d.labels[1] == 0);
    sl_dataset_finish(&d);
}
