/* SPDX-License-Identifier: MIT */
#include "data_files.h"

TestSuite(csv, .init = make_folder, .fini = remove_folder);

static const struct sl_read_options classify = {.task = SL_TASK_CLASSIFY};
static const struct sl_read_options regress = {.task = SL_TASK_REGRESS};

static struct sl_dataset read_text(const char *text, struct sl_read_options options)
{
    struct sl_dataset dataset = {0};
    write_text("data.csv", text);
    cr_assert_eq(read_data("data.csv", options, &dataset), SL_OK, "%s", why);
    return dataset;
}

static void assert_text_refused(const char *text, struct sl_read_options options, int error, const char *words)
{
    write_text("data.csv", text);
    assert_refused("data.csv", options, error, words);
}

Test(csv, reads_numbers_without_a_header)
{
    struct sl_dataset d = read_text("1,-2.5,0\n3e1,.5,2\n", classify);

    cr_assert(d.n_rows == 2 && d.n_features == 2 && d.n_classes == 3);
    cr_assert(d.features[0] == 1 && d.features[1] == -2.5f && d.features[2] == 30 && d.features[3] == 0.5f);
    cr_assert(d.labels[0] == 0 && d.labels[1] == 2, "numeric labels keep their value");
    cr_assert(!d.columns && !d.classes && !d.clients);
    sl_dataset_finish(&d);
}

Test(csv, takes_the_first_line_as_header_when_a_feature_is_no_number)
{
    struct sl_dataset d = read_text("a,b,kind\n1,2,1\n", classify);

    cr_assert_eq(d.n_rows, 1);
    cr_assert_str_eq(d.columns[0], "a");
    cr_assert_str_eq(d.columns[1], "b");
    sl_dataset_finish(&d);
}

Test(csv, keeps_a_first_row_whose_label_alone_is_text)
{
    struct sl_dataset d = read_text("1,2,wren\n3,4,owl\n5,6,wren\n", classify);

    cr_assert_eq(d.n_rows, 3);
    cr_assert(d.labels[0] == 1 && d.labels[1] == 0 && d.labels[2] == 1, "names are numbered in sorted order");
    cr_assert_str_eq(d.classes[0], "owl");
    cr_assert_str_eq(d.classes[1], "wren");
    sl_dataset_finish(&d);
}

Test(csv, knows_a_header_of_numbers_by_the_word_label)
{
    struct sl_dataset d = read_text("0,1,Label\n7,8,1\n", classify);

    cr_assert_eq(d.n_rows, 1);
    cr_assert_str_eq(d.columns[1], "1");
    sl_dataset_finish(&d);
}

Test(csv, does_not_lose_a_first_row_with_missing_or_infinite_values)
{
    struct sl_dataset d = read_text("?,2,0\n3,NA,1\n,nan,1\n", (struct sl_read_options){.impute = "-1.5"});

    cr_assert_eq(d.n_rows, 3);
    cr_assert(d.features[0] == -1.5f && d.features[3] == -1.5f && d.features[4] == -1.5f && d.features[5] == -1.5f);
    sl_dataset_finish(&d);
    assert_text_refused("inf,2,0\n3,4,1\n", classify, SL_ERROR_NOT_FINITE, "data.csv:1:1: column 0");
}

Test(csv, detects_every_separator)
{
    static const char *const texts[] = {"x,y,label\n1,2,0\n", "x;y;label\n1;2;0\n", "x\ty\tlabel\n1\t2\t0\n",
                                        "  x   y label \n 1  2\t 0  \n", "\"a;b\",\"c\td\",label\n1,2,0\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct sl_dataset d = read_text(texts[i], classify);
        cr_assert(d.n_rows == 1 && d.n_features == 2 && d.features[0] == 1 && d.features[1] == 2, "%s", texts[i]);
        sl_dataset_finish(&d);
    }
}

Test(csv, reads_quotes_crlf_byte_order_mark_empty_lines_and_a_last_line_without_end)
{
    struct sl_dataset d = read_text("\xEF\xBB\xBF\"a, \"\"b\"\"\" , c ,label\r\n\r\n \"1\" , 2 ,\"x\"\r\n\n3,4,x", classify);

    cr_assert_eq(d.n_rows, 2);
    cr_assert_str_eq(d.columns[0], "a, \"b\"");
    cr_assert_str_eq(d.columns[1], "c");
    cr_assert(d.features[0] == 1 && d.features[3] == 4);
    cr_assert_str_eq(d.classes[0], "x");
    sl_dataset_finish(&d);
}

Test(csv, finds_the_label_by_place_number_and_name)
{
    static const char text[] = "a,b,c\n5,6,7\n";
    static const struct {
        const char *wish;
        float label;
    } cases[] = {{"first", 5}, {"last", 7}, {"1", 6}, {"b", 6}, {"", 7}, {NULL, 7}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sl_dataset d = read_text(text, (struct sl_read_options){.task = SL_TASK_REGRESS, .label = cases[i].wish});
        cr_assert_eq(d.labels[0], cases[i].label);
        cr_assert_eq(d.n_classes, 0);
        sl_dataset_finish(&d);
    }
}

Test(csv, takes_clients_out_of_the_features_and_numbers_them_in_sorted_order)
{
    struct sl_dataset d = read_text("ward,x,label\nwest,1,0\neast,2,1\nwest,3,1\n", (struct sl_read_options){.client_column = "ward"});

    cr_assert(d.n_features == 1 && d.n_clients == 2);
    cr_assert(d.clients[0] == 1 && d.clients[1] == 0 && d.clients[2] == 1);
    cr_assert_str_eq(d.columns[0], "x");
    sl_dataset_finish(&d);
}

Test(csv, passes_over_the_client_when_it_looks_for_the_last_column)
{
    struct sl_dataset d = read_text("1,0,w\n2,1,e\n", (struct sl_read_options){.client_column = "2", .label = "last"});

    cr_assert(d.n_features == 1 && d.n_classes == 2 && d.n_clients == 2);
    sl_dataset_finish(&d);
    d = read_text("w,1,0\ne,0,5\n", (struct sl_read_options){.client_column = "0", .label = "first"});
    cr_assert(d.n_features == 1 && d.n_classes == 2 && d.features[1] == 5);
    sl_dataset_finish(&d);
}

Test(csv, reads_gzip)
{
    static const char text[] = "a,label\n1,0\n2,1\n";
    struct sl_dataset d;
    write_gzip("data.csv.gz", text, sizeof text - 1);

    cr_assert_eq(read_data("data.csv.gz", classify, &d), SL_OK, "%s", why);
    cr_assert_eq(d.n_rows, 2);
    sl_dataset_finish(&d);
}

Test(csv, says_where_a_value_is_missing_and_what_to_do)
{
    assert_text_refused("a,b,label\n1,2,0\n1,?,0\n", classify, SL_ERROR_FORMAT,
                        "data.csv:3:3: column \"b\": missing value \"?\"; give a number");
    assert_text_refused("a,b,label\n1,,0\n", classify, SL_ERROR_FORMAT, "data.csv:2:3: column \"b\": missing value \"\"");
    assert_text_refused("1,2,0\n1,2,NA\n", (struct sl_read_options){.impute = "0"}, SL_ERROR_FORMAT,
                        "data.csv:2:5: column 2: missing value \"NA\"; a row without");
    assert_text_refused("1,2,0\n", (struct sl_read_options){.impute = "much"}, SL_ERROR_FORMAT, "impute \"much\"");
    assert_text_refused("1,2,0\n", (struct sl_read_options){.impute = "1e99"}, SL_ERROR_FORMAT, "impute \"1e99\"");
}

Test(csv, refuses_what_is_no_number)
{
    assert_text_refused("a,b,label\n1,two,0\n", classify, SL_ERROR_FORMAT, "data.csv:2:3: column \"b\": \"two\" is not a number");
    assert_text_refused("a,label\n0x10,0\n", classify, SL_ERROR_FORMAT, "\"0x10\" is not a number");
    assert_text_refused("a,label\n1e,0\n", classify, SL_ERROR_FORMAT, "\"1e\" is not a number");
    assert_text_refused("a,label\n1.2.3,0\n", classify, SL_ERROR_FORMAT, "\"1.2.3\" is not a number");
    assert_text_refused("a,label\n.,0\n", classify, SL_ERROR_FORMAT, "\".\" is not a number");
    assert_text_refused("a;label\n1,5;0\n", classify, SL_ERROR_FORMAT, "\"1,5\" is not a number");
    assert_text_refused("a,label\n-Inf,0\n", classify, SL_ERROR_NOT_FINITE, "data.csv:2:1: column \"a\": \"-Inf\" is not finite");
    assert_text_refused("a,label\n1e39,0\n", classify, SL_ERROR_NOT_FINITE, "too large");
    assert_text_refused("1,2\n1,dear\n", regress, SL_ERROR_FORMAT, "\"dear\" is not a number");
}

Test(csv, shows_hostile_text_short_and_harmless)
{
    assert_text_refused("a,label\n\033[31m0123456789012345678901234567890123456789012345678901234567890,0\n", classify, SL_ERROR_FORMAT,
                        "\"?[31m0123");
    cr_assert_null(strchr(why, '\033'));
    cr_assert_lt(strlen(why), 200);
}

Test(csv, refuses_labels_that_are_no_classes)
{
    assert_text_refused("1,0\n2,1.5\n", classify, SL_ERROR_FORMAT, "data.csv:2:3: column 1: 1.5 is no class number");
    assert_text_refused("1,-1\n", classify, SL_ERROR_FORMAT, "the model ridge predicts numbers");
    assert_text_refused("1,4000000000\n", classify, SL_ERROR_FORMAT, "no class number");
    assert_text_refused("1,0\n2,owl\n", classify, SL_ERROR_FORMAT, "\"owl\" is not a class number");
}

Test(csv, refuses_ragged_rows)
{
    assert_text_refused("1,2,0\n1,0\n", classify, SL_ERROR_FORMAT, "data.csv:2:3: 2 cells, where the first line has 3");
    assert_text_refused("a,label\n1,0\n1,0,\n", classify, SL_ERROR_FORMAT, "data.csv:3:5: 3 cells, where the first line has 2");
}

Test(csv, refuses_columns_that_are_not_there)
{
    assert_text_refused("a,b\n1,0\n", (struct sl_read_options){.label = "c"}, SL_ERROR_NOT_FOUND,
                        "no column \"c\" in its first line; there are: a, b");
    assert_text_refused("a,b\n1,0\n", (struct sl_read_options){.label = "2"}, SL_ERROR_NOT_FOUND, "no column 2; its 2 columns");
    assert_text_refused("a,b\n1,0\n", (struct sl_read_options){.label = "99999999999999999999"}, SL_ERROR_NOT_FOUND, "its 2 columns");
    assert_text_refused("a,b,c\n1,0,1\n", (struct sl_read_options){.label = "b", .client_column = "b"}, SL_ERROR_FORMAT,
                        "both label and client");
    assert_text_refused("a,b\n1,0\n", (struct sl_read_options){.client_column = "a"}, SL_ERROR_FORMAT, "no feature column");
    assert_text_refused("word\n", classify, SL_ERROR_FORMAT, "no feature column");
    assert_text_refused("w,a,label\n,1,0\n", (struct sl_read_options){.client_column = "w"}, SL_ERROR_FORMAT, "every row needs its client");
}

Test(csv, refuses_files_without_rows)
{
    assert_text_refused("", classify, SL_ERROR_FORMAT, "is empty");
    assert_text_refused("\n \n\r\n", classify, SL_ERROR_FORMAT, "is empty");
    assert_text_refused("a,label\n\n", classify, SL_ERROR_FORMAT, "no rows behind its header");
}

Test(csv, refuses_broken_quotes)
{
    assert_text_refused("a,label\n\"1,0\n", classify, SL_ERROR_FORMAT, "data.csv:2:1: the quote is not closed");
    assert_text_refused("a,label\n\"1\"x,0\n", classify, SL_ERROR_FORMAT, "data.csv:2:4: text behind a closing quote");
}

Test(csv, refuses_binary_files)
{
    write_bytes("data.csv",
                "a,label\n1,\0"
                "0\n",
                13);
    assert_refused("data.csv", classify, SL_ERROR_FORMAT, "data.csv:2: the line holds a zero byte");
}

Test(csv, refuses_a_line_without_end)
{
    size_t size = 17u << 20;
    char *text = malloc(size);
    memset(text, '1', size);
    write_gzip("bomb.csv.gz", text, (unsigned)size);
    free(text);

    assert_refused("bomb.csv.gz", classify, SL_ERROR_FORMAT, "longer than 16 MiB");
}

Test(csv, refuses_more_columns_than_a_model_may_have)
{
    size_t size = 3u << 20;
    char *text = malloc(size);
    for (size_t i = 0; i < size; i++) text[i] = i % 2 ? ',' : '1';
    write_bytes("data.csv", text, size);
    free(text);

    assert_refused("data.csv", classify, SL_ERROR_FORMAT, "more than 1048576 columns");
}

Test(csv, refuses_gzip_that_is_cut_off)
{
    char text[6000];
    for (size_t i = 0; i + 6 <= sizeof text; i += 6) memcpy(text + i, i % 12 ? "12,30\n" : "45,71\n", 6);
    write_gzip("data.csv.gz", text, sizeof text);
    shorten("data.csv.gz", 12);

    assert_refused("data.csv.gz", classify, SL_ERROR_FORMAT, "damaged or cut-off gzip");
}

Test(csv, reads_clients_from_another_file)
{
    struct sl_dataset d;
    char path[TEST_PATH_MAX], clients[2 * TEST_PATH_MAX];
    write_text("data.csv", "1,0\n2,1\n3,1\n");
    write_text("who.csv", "row,writer\n0,30\n1,4\n2,30\n");
    snprintf(clients, sizeof clients, "%s:writer", in_folder("who.csv", path));

    int error = read_data("data.csv", (struct sl_read_options){.client_file = clients}, &d);

    cr_assert_eq(error, SL_OK, "%s", why);
    cr_assert(d.n_clients == 2 && d.clients[0] == 0 && d.clients[1] == 1 && d.clients[2] == 0, "sorted as text: 30 before 4");
    sl_dataset_finish(&d);
}

Test(csv, refuses_client_files_that_do_not_fit)
{
    static const struct {
        const char *text, *column;
        int error;
        const char *words;
    } cases[] = {
        {"row,writer\n0,3\n", "writer", SL_ERROR_FORMAT, "has 1 rows behind its header, but the data have 2"},
        {"row,writer\n0,3\n1,4\n2,5\n", "writer", SL_ERROR_FORMAT, "has 3 rows"},
        {"row,writer\n0,3\n1,4\n", "author", SL_ERROR_NOT_FOUND, "there are: row, writer"},
        {"row,writer\n0,3\n1\n", "writer", SL_ERROR_FORMAT, "who.csv:3:1: 1 cells"},
        {"", "writer", SL_ERROR_FORMAT, "is empty"},
    };
    write_text("data.csv", "1,0\n2,1\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[TEST_PATH_MAX], clients[2 * TEST_PATH_MAX];
        write_text("who.csv", cases[i].text);
        snprintf(clients, sizeof clients, "%s:%s", in_folder("who.csv", path), cases[i].column);
        assert_refused("data.csv", (struct sl_read_options){.client_file = clients}, cases[i].error, cases[i].words);
    }
    assert_refused("data.csv", (struct sl_read_options){.client_file = "who.csv"}, SL_ERROR_FORMAT, "FILE:COLUMN");
    assert_refused("data.csv", (struct sl_read_options){.client_file = "/none/who.csv:w"}, SL_ERROR_NOT_FOUND,
                   "/none/who.csv cannot be opened");
    assert_refused("data.csv", (struct sl_read_options){.client_file = "a:b", .client_column = "c"}, SL_ERROR_UNSUPPORTED, "not from both");
}

Test(csv, may_have_no_label_at_all)
{
    struct sl_read_options bare = {.task = SL_TASK_CLASSIFY, .label = "none"};
    struct sl_dataset d = read_text("a,b\n1,2\n3,4\n", bare);

    cr_assert(d.n_rows == 2 && d.n_features == 2 && d.n_classes == 0);
    cr_assert(d.features[3] == 4 && d.labels[0] == 0 && d.labels[1] == 0);
    cr_assert_str_eq(d.columns[1], "b");
    sl_dataset_finish(&d);
}
