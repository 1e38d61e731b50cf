/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "config/network.h"
#include "config/options.h"
#include "starling/error.h"

#define TEXT(text) ((char[]){text})     /* names are owned, so not const */

/* ---- a folder of its own for each test ---- */

static char folder[64], path[128];

static void set_up(void)
{
    strcpy(folder, "/tmp/starling-network-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/network.conf", folder);
}

static void tear_down(void)
{
    unlink(path);
    cr_assert_eq(rmdir(folder), 0, "something was left behind in %s", folder);
}

TestSuite(network, .init = set_up, .fini = tear_down);

/* ---- helpers ---- */

static struct sl_config example(void)
{
    struct sl_config config;
    sl_config_init(&config);
    sl_config_set(&config, "network.name", "birds = # 1", NULL, 0);
    sl_config_set(&config, "model", "mlp:16,8", NULL, 0);
    sl_config_set(&config, "epoch.length", "1.5s", NULL, 0);
    sl_config_set(&config, "cohort.radius", "0.3333333333333333", NULL, 0);
    for (int i = 0; i < 32; i++) config.operator_key[i] = (uint8_t)(7 * i);
    return config;
}

static char *load(void)
{
    static char text[1 << 16];
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

static void save(const char *text)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static void write_example(const struct sl_config *config, const struct sl_scaling *scaling)
{
    char why[512] = "";
    cr_assert_eq(sl_network_write(path, config, scaling, why, sizeof why), SL_OK, "%s", why);
}

/* Replaces the first `old` in the file. */
static void edit(const char *old, const char *new)
{
    static char text[1 << 16];
    const char *whole = load(), *at = strstr(whole, old);
    cr_assert_not_null(at, "'%s' does not stand in the file", old);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, new, at + strlen(old));
    save(text);
}

/* Reading must fail with this code, leave everything alone and say a sentence that holds both parts. */
static void refuses(int code, const char *part, const char *other_part)
{
    struct sl_config config, before;
    struct sl_scaling scaling = {.n_features = 77};
    char why[512] = "";
    sl_config_init(&config);
    before = config;

    cr_assert_eq(sl_network_read(path, &config, &scaling, why, sizeof why), code, "%s", why);

    cr_assert_arr_eq(&config, &before, sizeof config, "config must stay untouched on failure");
    cr_assert(scaling.n_features == 77 && !scaling.offset, "scaling must stay untouched on failure");
    cr_assert_not_null(strstr(why, path), "'%s' does not name the file", why);
    cr_assert_not_null(strstr(why, part), "'%s' does not speak of '%s'", why, part);
    cr_assert_not_null(strstr(why, other_part), "'%s' does not speak of '%s'", why, other_part);
}

/* ---- tests ---- */

Test(network, what_was_written_is_read_back_to_the_bit)
{
    struct sl_config config = example(), read;
    struct sl_scaling scaling = {0};
    char why[512] = "";
    uint8_t id[32];
    sl_config_init(&read);
    write_example(&config, NULL);
    sl_network_id(&config, NULL, id);

    cr_assert_eq(sl_network_read(path, &read, &scaling, why, sizeof why), SL_OK, "%s", why);

    cr_assert_arr_eq(read.network_id, id, 32);
    cr_assert_eq(scaling.n_features, 0);
    memcpy(config.network_id, id, 32);
    cr_assert_arr_eq(&read, &config, sizeof config);
}

Test(network, scaling_numbers_keep_every_bit_and_belong_to_the_id)
{
    struct sl_config config = example(), read;
    float offset[] = {0.1f, -0.0f, 1e-45f, 16777215}, factor[] = {1, 0, 3.4028235e38f, -1.0f / 3};
    struct sl_scaling scaling = {.n_features = 4, .offset = offset, .factor = factor}, back = {0};
    uint8_t id[32], other[32];
    char why[512] = "";
    sl_config_set(&config, "data.scale", "standard", NULL, 0);
    sl_config_init(&read);
    write_example(&config, &scaling);

    cr_assert_eq(sl_network_read(path, &read, &back, why, sizeof why), SL_OK, "%s", why);

    cr_assert_eq(back.n_features, 4);
    cr_assert_arr_eq(back.offset, offset, sizeof offset);
    cr_assert_arr_eq(back.factor, factor, sizeof factor);
    sl_network_id(&config, &scaling, id);
    cr_assert_arr_eq(read.network_id, id, 32);
    offset[0] = nextafterf(offset[0], 1);
    sl_network_id(&config, &scaling, other);
    cr_assert_arr_neq(id, other, 32);

    sl_scaling_finish(&back);
    cr_assert_null(back.offset);
    sl_scaling_finish(&back);
}

Test(network, the_id_is_the_labelled_hash_of_the_file_without_its_comment)
{
    struct sl_config config = example();
    uint8_t id[32], direct[32];
    write_example(&config, NULL);

    const char *text = load(), *lines = strchr(text, '\n') + 1;
    sl_hash_once("network", lines, strlen(lines), direct);
    sl_network_id(&config, NULL, id);

    cr_assert_eq(text[0], '#', "the first line says what the file is");
    cr_assert_arr_eq(id, direct, 32);
}

Test(network, the_id_depends_on_every_network_option_and_on_no_node_option)
{
    struct sl_config config = example();
    uint8_t id[32], changed[32];
    sl_network_id(&config, NULL, id);

    for (uint32_t i = 0; i < sl_config_count(); i++) {
        const struct sl_option *option = sl_config_option(i);
        struct sl_config copy = config;
        ((uint8_t *)&copy)[option->offset] ^= 1;
        sl_network_id(&copy, NULL, changed);
        cr_assert_eq(sl_hash_equal(id, changed), option->scope == SL_SCOPE_NODE, "%s", option->key);
    }

    config.operator_key[31] ^= 1;
    sl_network_id(&config, NULL, changed);
    cr_assert_not(sl_hash_equal(id, changed));
}

Test(network, node_options_and_pointers_of_the_reader_are_kept)
{
    struct sl_config config = example(), read;
    struct sl_scaling scaling = {0};
    struct sl_peer peer = {0};
    write_example(&config, NULL);
    sl_config_init(&read);
    sl_config_set(&read, "node.name", "n7", NULL, 0);
    read.peers = &peer;

    cr_assert_eq(sl_network_read(path, &read, &scaling, NULL, 0), SL_OK);

    cr_assert_str_eq(read.name, "n7");
    cr_assert_eq(read.peers, &peer);
    cr_assert_str_eq(read.model, "mlp:16,8");
    cr_assert_null(strstr(load(), "node.name"));
}

Test(network, comments_blank_lines_order_and_line_ends_do_not_change_the_network)
{
    struct sl_config config = example(), read;
    struct sl_scaling scaling = {0};
    uint8_t id[32];
    char why[512] = "";
    write_example(&config, NULL);
    sl_network_id(&config, NULL, id);
    edit("model = mlp:16,8\n", "\n   # moved down\n");
    edit("operator =", "model   =   mlp:16,8\t\r\noperator=");
    edit("epoch.length = 1500ms\n", "epoch.length = 1.5s\r\n");
    sl_config_init(&read);

    cr_assert_eq(sl_network_read(path, &read, &scaling, why, sizeof why), SL_OK, "%s", why);

    cr_assert_arr_eq(read.network_id, id, 32);
}

Test(network, a_last_line_without_a_line_end_counts)
{
    struct sl_config config = example();
    struct sl_scaling scaling = {0};
    write_example(&config, NULL);
    char *text = load();
    text[strlen(text) - 1] = 0;
    save(text);

    cr_assert_eq(sl_network_read(path, &config, &scaling, NULL, 0), SL_OK);
}

Test(network, every_missing_line_is_named)
{
    struct sl_config config = example();
    for (uint32_t i = 0; i < sl_config_count(); i++) {
        const struct sl_option *option = sl_config_option(i);
        if (option->scope != SL_SCOPE_NETWORK) continue;

        char line[SL_TEXT_MAX + 80], start[80], value[SL_TEXT_MAX];
        sl_config_get(&config, option->key, value, sizeof value);
        snprintf(line, sizeof line, "\n%s = %s\n", option->key, value);
        snprintf(start, sizeof start, "'%s' is missing", option->key);
        write_example(&config, NULL);
        edit(line, "\n");
        refuses(SL_ERROR_FORMAT, start, "wanted");
    }

    write_example(&config, NULL);
    edit("operator = ", "#");
    refuses(SL_ERROR_FORMAT, "'operator' is missing", "wanted");
}

Test(network, wrong_lines_are_refused_with_file_and_line)
{
    static const struct { const char *old, *new; int code; const char *part, *other_part; } cases[] = {
        {"model = mlp:16,8\n", "model = mlp:16,8\nmodel = softmax\n", SL_ERROR_FORMAT, ":5:", "second time"},
        {"model = mlp:16,8\n", "modell = mlp:16,8\n", SL_ERROR_FORMAT, ":4:", "did you mean 'model'"},
        {"model = mlp:16,8\n", "model\n", SL_ERROR_FORMAT, ":4:", "key = value"},
        {"model = mlp:16,8\n", "= mlp:16,8\n", SL_ERROR_FORMAT, ":4:", "''"},
        {"model = mlp:16,8\n", "train.lr = 0.1\n", SL_ERROR_FORMAT, ":4:", "'train.lr' is each node's own"},
        {"cohort.size = 5\n", "cohort.size = 65\n", SL_ERROR_OUT_OF_RANGE, "cohort.size", "3 .. 64"},
        {"cohort.size = 5\n", "cohort.size = five\n", SL_ERROR_FORMAT, "cohort.size", "'five'"},
        {"cohort.size = 5\n", "cohort.size = 9\n", SL_ERROR_OUT_OF_RANGE, "cohort.size", "cohort.max_size"},
        {"operator = 00", "operator = 0", SL_ERROR_FORMAT, "operator", "64 digits"},
        {"operator = 00", "operator = 0G", SL_ERROR_FORMAT, "operator", "64 digits"},
        {"operator = 00", "operator = 0000", SL_ERROR_FORMAT, "operator", "64 digits"},
        {"operator = ", "offset = 1 2\nfactor = 1\noperator = ", SL_ERROR_FORMAT, "offset", "equally many"},
        {"operator = ", "offset = 1 2\noperator = ", SL_ERROR_FORMAT, "offset", "equally many"},
        {"operator = ", "offset = 1\nfactor = 1\noperator = ", SL_ERROR_FORMAT, "offset", "data.scale = standard"},
        {"operator = ", "offset = 1 nan\noperator = ", SL_ERROR_FORMAT, "number 2", "'nan'"},
        {"operator = ", "offset = 1 1e39\noperator = ", SL_ERROR_FORMAT, "number 2", "finite"},
        {"operator = ", "offset = 1,5\noperator = ", SL_ERROR_FORMAT, "number 1", "'1,5'"},
        {"operator = ", "offset =\noperator = ", SL_ERROR_FORMAT, "no numbers", "one per feature"},
        {"operator = ", "factor = 1\nfactor = 1\noperator = ", SL_ERROR_FORMAT, "factor", "second time"},
        {"data.scale = none\n", "data.scale = standard\n", SL_ERROR_FORMAT, "offset", "factor"},
        {"privacy.unit = record\n", "privacy.unit = person\n", SL_ERROR_OUT_OF_RANGE, "'person'", "allowed: "},
    };
    struct sl_config config = example();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_example(&config, NULL);
        edit(cases[i].old, cases[i].new);
        refuses(cases[i].code, cases[i].part, cases[i].other_part);
    }
}

Test(network, a_second_operator_line_is_refused)
{
    struct sl_config config = example();
    write_example(&config, NULL);
    const char *operator = strstr(load(), "operator = ");
    char doubled[256];
    snprintf(doubled, sizeof doubled, "%s%s", operator, operator);
    char single[128];
    snprintf(single, sizeof single, "%s", operator);
    edit(single, doubled);

    refuses(SL_ERROR_FORMAT, "'operator'", "second time");
}

Test(network, scaling_must_have_one_number_for_each_feature_of_the_model)
{
    struct sl_config config = example();
    float numbers[] = {1, 2};
    struct sl_scaling scaling = {.n_features = 2, .offset = numbers, .factor = numbers};
    sl_config_set(&config, "data.scale", "standard", NULL, 0);
    sl_config_set(&config, "model.features", "2", NULL, 0);
    write_example(&config, &scaling);

    edit("model.features = 2", "model.features = 3");

    refuses(SL_ERROR_FORMAT, "hold 2 numbers", "wants 3");
}

Test(network, files_that_are_no_descriptor_are_refused)
{
    save("");
    refuses(SL_ERROR_FORMAT, "is missing", "network.name");
    save("\x7f" "ELF\x02\x01");
    refuses(SL_ERROR_FORMAT, ":1:", "key = value");

    FILE *file = fopen(path, "wb");
    fwrite("model\0 = softmax\n", 1, 17, file);
    fclose(file);
    refuses(SL_ERROR_FORMAT, "zero bytes", "not a network descriptor");

    cr_assert_eq(truncate(path, ((off_t)64 << 20) + 1), 0);
    refuses(SL_ERROR_FORMAT, "larger than", "not a network descriptor");
}

Test(network, a_file_that_is_not_there_is_not_found)
{
    refuses(SL_ERROR_NOT_FOUND, "cannot read", "No such file");
}

Test(network, a_configuration_that_could_not_be_read_back_is_not_written)
{
    struct sl_config config = example();
    char why[512] = "";
    config.cohort_min_size = 3;

    cr_assert_eq(sl_network_write(path, &config, NULL, why, sizeof why), SL_ERROR_OUT_OF_RANGE);

    cr_assert_not_null(strstr(why, "cohort.min_size"), "%s", why);
    cr_assert_neq(access(path, F_OK), 0);
}

Test(network, scaling_that_is_not_finite_is_not_written)
{
    struct sl_config config = example();
    float offset[] = {0}, factor[] = {INFINITY};
    struct sl_scaling scaling = {.n_features = 1, .offset = offset, .factor = factor};
    sl_config_set(&config, "data.scale", "standard", NULL, 0);

    cr_assert_eq(sl_network_write(path, &config, &scaling, NULL, 0), SL_ERROR_OUT_OF_RANGE);
    cr_assert_neq(access(path, F_OK), 0);
}

Test(network, writing_replaces_the_old_file_in_one_step)
{
    struct sl_config config = example();
    save("old");
    struct stat before, after;
    stat(path, &before);

    write_example(&config, NULL);

    stat(path, &after);
    cr_assert_neq(before.st_ino, after.st_ino, "the old file must not be overwritten in place");
    cr_assert_not_null(strstr(load(), "mlp:16,8"));
}

Test(network, a_write_that_fails_names_the_file_and_leaves_nothing)
{
    struct sl_config config = example();
    char why[512] = "", elsewhere[160];
    snprintf(elsewhere, sizeof elsewhere, "%s/nowhere/network.conf", folder);

    cr_assert_eq(sl_network_write(elsewhere, &config, NULL, why, sizeof why), SL_ERROR_NOT_FOUND);
    cr_assert_not_null(strstr(why, elsewhere), "%s", why);

    cr_assert_eq(mkdir(path, 0755), 0);
    cr_assert_eq(sl_network_write(path, &config, NULL, why, sizeof why), SL_ERROR_IO, "a folder stands in the way");
    cr_assert_eq(rmdir(path), 0);
}

Test(network, a_full_disk_is_told_from_a_broken_one)
{
    struct sl_config config = example();
    char link[160], why[512] = "";
    if (access("/dev/full", W_OK) != 0) cr_skip_test("there is no /dev/full here");
    snprintf(link, sizeof link, "%s.new", path);
    cr_assert_eq(symlink("/dev/full", link), 0);

    cr_assert_eq(sl_network_write(path, &config, NULL, why, sizeof why), SL_ERROR_NO_SPACE, "%s", why);

    cr_assert_neq(access(link, F_OK), 0);
    cr_assert_neq(access(path, F_OK), 0);
}

/* ---- from memory ---- */

Test(network, parsed_from_memory_is_as_read_from_the_file)
{
    struct sl_config written = example(), config;
    struct sl_scaling scaling = {0};
    char why[512] = "";
    write_example(&written, NULL);
    sl_network_id(&written, NULL, written.network_id);

    char *text = load();
    sl_config_init(&config);
    cr_assert_eq(sl_network_parse(text, strlen(text), "descriptor", &config, &scaling, why, sizeof why), SL_OK, "%s", why);

    cr_assert_eq(memcmp(config.network_id, written.network_id, 32), 0);
    cr_assert_eq(memcmp(config.operator_key, written.operator_key, 32), 0);
    cr_assert_str_eq(config.network_name, "birds = # 1");
    sl_scaling_finish(&scaling);
}

Test(network, says_in_whose_text_a_line_is_wrong)
{
    struct sl_config config, before;
    struct sl_scaling scaling = {.n_features = 77};
    char why[512] = "", text[] = "# one\nnetwork.name = a\nnonsense\n", zero[] = "a\0b";
    sl_config_init(&config);
    before = config;

    cr_assert_eq(sl_network_parse(text, sizeof text - 1, "the invite", &config, &scaling, why, sizeof why), SL_ERROR_FORMAT);
    cr_assert_not_null(strstr(why, "the invite:3: "), "%s", why);
    cr_assert_eq(sl_network_parse(zero, 3, "the invite", &config, &scaling, why, sizeof why), SL_ERROR_FORMAT);
    cr_assert_not_null(strstr(why, "zero bytes"), "%s", why);
    cr_assert_eq(memcmp(&config, &before, sizeof config), 0);
    cr_assert_eq(scaling.n_features, 77);
}

/* ---- names of columns and classes ---- */

Test(network, keeps_the_names_of_columns_and_classes_and_they_are_part_of_its_id)
{
    struct sl_config config = example(), read = example();
    char *columns[] = {TEXT("age"), TEXT("blood pressure"), TEXT("a,b")}, *classes[] = {TEXT("ill"), TEXT("well")};
    struct sl_scaling named = {.columns = {3, columns}, .classes = {2, classes}}, none = {0}, back = {0};
    config.n_features = 3, config.n_classes = 2;
    char why[512] = "";
    uint8_t with[32], without[32];

    write_example(&config, &named);
    cr_assert_not_null(strstr(load(), "\ncolumns = age,blood%20pressure,a%2Cb\nclasses = ill,well\n"));
    cr_assert_eq(sl_network_read(path, &read, &back, why, sizeof why), SL_OK, "%s", why);

    cr_assert_eq(back.columns.n, 3);
    cr_assert_str_eq(back.columns.names[2], "a,b");
    cr_assert_str_eq(back.classes.names[1], "well");
    sl_network_id(&config, &none, without);
    sl_network_id(&config, &named, with);
    cr_assert(sl_hash_equal(with, read.network_id));
    cr_assert_not(sl_hash_equal(with, without));
    sl_scaling_finish(&back);
}

Test(network, refuses_a_list_of_names_that_does_not_fit_its_model)
{
    struct sl_config config = example(), read = example();
    char *columns[] = {TEXT("age"), TEXT("weight")}, why[512] = "";
    struct sl_scaling named = {.columns = {2, columns}}, back = {0};
    config.n_features = 2;

    write_example(&config, &named);
    edit("columns = age,weight", "columns = age");
    cr_assert_eq(sl_network_read(path, &read, &back, why, sizeof why), SL_ERROR_FORMAT);
    cr_assert_not_null(strstr(why, "columns holds 1 names, but model.features is 2"), "%s", why);

    edit("columns = age", "columns = a ge,b");
    cr_assert_eq(sl_network_read(path, &read, &back, why, sizeof why), SL_ERROR_FORMAT);
    cr_assert_not_null(strstr(why, "%XX"), "%s", why);
}
