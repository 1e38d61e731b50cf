/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/options.h"
#include "runtime/files.h"
#include "runtime/settings.h"
#include "starling/error.h"

static char path[] = "/tmp/starling-settings-XXXXXX", why[SL_WHY_SIZE];
static struct sl_config config;

static void make_file(void)
{
    int descriptor = mkstemp(path);
    cr_assert_geq(descriptor, 0);
    close(descriptor);
    sl_config_init(&config);
}

static void remove_file(void)
{
    unlink(path);
}

TestSuite(settings, .init = make_file, .fini = remove_file);

static int read_text(const char *text)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    why[0] = 0;
    return sl_settings_read(path, &config, why, sizeof why);
}

Test(settings, sections_and_dotted_names_mean_the_same)
{
    cr_assert_eq(read_text("# a comment\n\ndata\n    path = \"/some where/a b.csv\"   # with a blank\n    holdback = 0.25\ntrain.steps = 7\r\n"), SL_OK,
                 "%s", why);

    cr_assert_str_eq(config.data_path, "/some where/a b.csv");
    cr_assert_eq(config.data_holdback, 0.25);
    cr_assert_eq(config.train_steps, 7);
}

Test(settings, the_commented_file_of_all_options_reads_back)
{
    struct sl_config before;
    cr_assert_eq(sl_config_set(&config, "data.path", "x.csv", why, sizeof why), SL_OK);
    cr_assert_eq(sl_config_set(&config, "link.max", "33", why, sizeof why), SL_OK);
    before = config;
    FILE *file = fopen(path, "wb");
    cr_assert_eq(sl_config_write_commented(file, &config, SL_SCOPE_NODE), SL_OK);
    fclose(file);
    sl_config_init(&config);

    cr_assert_eq(sl_settings_read(path, &config, why, sizeof why), SL_OK, "%s", why);

    for (uint32_t i = 0; i < sl_config_count(); i++) {
        char old[SL_TEXT_MAX], fresh[SL_TEXT_MAX];
        sl_config_get(&before, sl_config_option(i)->key, old, sizeof old);
        sl_config_get(&config, sl_config_option(i)->key, fresh, sizeof fresh);
        cr_expect_str_eq(old, fresh, "%s", sl_config_option(i)->key);
    }
}

Test(settings, an_empty_file_leaves_the_defaults)
{
    cr_assert_eq(read_text(""), SL_OK, "%s", why);
    cr_assert_eq(read_text("# nothing\n\n"), SL_OK, "%s", why);
}

Test(settings, an_unknown_key_is_refused_with_its_line_and_nothing_changes)
{
    cr_assert_lt(read_text("train\n    steps = 3\n    # comment\n    stepps = 4\n"), 0);

    cr_assert_not_null(strstr(why, "line 4"), "%s", why);
    cr_assert_not_null(strstr(why, "train.stepps"), "%s", why);
    cr_assert_eq(config.train_steps, 10);
}

Test(settings, a_value_out_of_range_is_refused_with_its_line)
{
    cr_assert_eq(read_text("\n\ntrain.steps = 0\n"), SL_ERROR_OUT_OF_RANGE);
    cr_assert_not_null(strstr(why, "line 3"), "%s", why);
}

Test(settings, an_option_of_the_network_is_refused)
{
    cr_assert_lt(read_text("epoch.length = 5s\n"), 0);
    cr_assert_not_null(strstr(why, "network.conf"), "%s", why);
}

Test(settings, what_is_not_zpl_is_refused_with_its_line)
{
    static const char *const texts[] = {"ok\n  path = x\n", "data\n\tpath = x\n", "data\n    path x\n", "data\n    path = \"x\n", "data\n    = x\n",
                                        "data\n        path = x\n", "data\n{\n"};
    for (uint32_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cr_expect_lt(read_text(texts[i]), 0, "%s", texts[i]);
        cr_expect_not_null(strstr(why, "line 2"), "%s", why);
    }
}

Test(settings, zero_bytes_and_endless_lines_are_refused)
{
    FILE *file = fopen(path, "wb");
    fwrite("data\0x", 1, 6, file);
    fclose(file);
    cr_assert_eq(sl_settings_read(path, &config, why, sizeof why), SL_ERROR_FORMAT);

    file = fopen(path, "wb");
    for (uint32_t i = 0; i < 2000; i++) fputc('a', file);
    fclose(file);
    cr_assert_eq(sl_settings_read(path, &config, why, sizeof why), SL_ERROR_FORMAT);

    unlink(path);
    cr_assert_eq(sl_settings_read(path, &config, why, sizeof why), SL_ERROR_NOT_FOUND);
}

Test(settings, the_command_line_sets_one_option)
{
    cr_assert_eq(sl_settings_apply("train.lr=0.5", &config, why, sizeof why), SL_OK);
    cr_assert_eq(config.train_lr, 0.5);
    cr_assert_eq(sl_settings_apply("data.path=a=b", &config, why, sizeof why), SL_OK);
    cr_assert_str_eq(config.data_path, "a=b");

    static const char *const bad[] = {"train.lr", "=1", "train.lr=", "nothing=1", "epoch.length=1s", "train.steps=-1"};
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++) cr_expect_lt(sl_settings_apply(bad[i], &config, why, sizeof why), 0, "%s", bad[i]);
}
