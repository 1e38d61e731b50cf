/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/options.h"
#include "starling/config.h"
#include "starling/error.h"

static struct sl_config fresh(void)
{
    struct sl_config config;
    memset(&config, 0xa5, sizeof config);
    sl_config_init(&config);
    return config;
}

/* Setting must fail with this code, change nothing, and say a sentence that holds `part`. */
static void refuses(const char *key, const char *value, int code, const char *part)
{
    struct sl_config config = fresh(), before = config;
    char why[256] = "";

    cr_assert_eq(sl_config_set(&config, key, value, why, sizeof why), code, "%s = '%s': %s", key, value, why);

    cr_assert_arr_eq(&config, &before, sizeof config, "%s = '%s' changed something", key, value);
    cr_assert_not_null(strstr(why, part), "'%s' does not speak of '%s'", why, part);
}

static void accepts(const char *key, const char *value, const char *shown)
{
    struct sl_config config = fresh();
    char why[256] = "", text[SL_TEXT_MAX];

    cr_assert_eq(sl_config_set(&config, key, value, why, sizeof why), SL_OK, "%s", why);
    cr_assert_eq(sl_config_get(&config, key, text, sizeof text), SL_OK);
    cr_assert_str_eq(text, shown);
}

Test(config, defaults_are_those_of_the_list_and_leave_only_the_budget_open)
{
    struct sl_config config = fresh();
    char why[256];

    cr_assert_eq(config.epoch_us, 60000000);
    cr_assert_eq(config.cohort_min_size, 4);
    cr_assert_eq(config.phase_formation, 0.12);
    cr_assert_str_eq(config.merge_rule, "mean");
    cr_assert_str_eq(config.name, "");
    cr_assert_null(config.peers);
    cr_assert_eq(sl_config_check(&config, why, sizeof why), SL_ERROR_OUT_OF_RANGE, "unit record wants to know what it protects");
    sl_config_set(&config, "privacy.unit", "off", NULL, 0);
    cr_assert_eq(sl_config_check(&config, why, sizeof why), SL_OK, "%s", why);
}

Test(config, every_option_prints_what_it_reads_back)
{
    struct sl_config config = fresh();
    for (uint32_t i = 0; i < sl_config_count(); i++) {
        const char *key = sl_config_option(i)->key;
        struct sl_config copy = config;
        char text[SL_TEXT_MAX], why[256] = "";

        cr_assert_eq(sl_config_get(&config, key, text, sizeof text), SL_OK);
        cr_assert_eq(sl_config_set(&copy, key, text, why, sizeof why), SL_OK, "%s", why);
        cr_assert_arr_eq(&copy, &config, sizeof copy, "%s = '%s' reads back differently", key, text);
    }
}

Test(config, both_ends_of_every_range_are_inside_and_keys_are_unique)
{
    for (uint32_t i = 0; i < sl_config_count(); i++) {
        const struct sl_option *option = sl_config_option(i);
        cr_assert_eq(sl_config_find(option->key), option, "%s stands in the list twice", option->key);
        if (option->kind == SL_KIND_TEXT || option->kind == SL_KIND_CHOICE) continue;

        struct sl_config config = fresh();
        char why[256] = "";
        cr_assert_eq(sl_config_set(&config, option->key, option->min, why, sizeof why), SL_OK, "%s", why);
        cr_assert_eq(sl_config_set(&config, option->key, option->max, why, sizeof why), SL_OK, "%s", why);
    }
}

Test(config, an_unknown_key_names_the_one_that_was_probably_meant)
{
    refuses("epoch.lenght", "60s", SL_ERROR_NOT_FOUND, "'epoch.length'");
    refuses("train_lr", "0.1", SL_ERROR_NOT_FOUND, "'train.lr'");
    refuses("something.else.altogether", "1", SL_ERROR_NOT_FOUND, "docs/config.md");
    refuses("", "1", SL_ERROR_NOT_FOUND, "no option is called ''");

    char long_key[2000];
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = 0;
    refuses(long_key, "1", SL_ERROR_NOT_FOUND, "kkk");
}

Test(config, whole_numbers_are_plain_decimal_digits)
{
    accepts("train.batch", "65536", "65536");
    accepts("network.seed", "4294967295", "4294967295");
    accepts("train.batch", "007", "7");

    static const char *const wrong[] = {"", " 7", "7 ", "+7", "-7", "0x10", "7.0", "1e2", "seven", "7,000"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) refuses("train.batch", wrong[i], SL_ERROR_FORMAT, "train.batch");

    refuses("train.batch", "0", SL_ERROR_OUT_OF_RANGE, "1 .. 65536");
    refuses("train.batch", "65537", SL_ERROR_OUT_OF_RANGE, "'65537'");
    refuses("network.seed", "4294967296", SL_ERROR_OUT_OF_RANGE, "network.seed");
    refuses("network.seed", "18446744073709551617", SL_ERROR_OUT_OF_RANGE, "network.seed");      /* 2^64 + 1 must not wrap to 1 */
}

Test(config, real_numbers_are_finite_and_plain)
{
    accepts("train.lr", "1e-3", "0.001");
    accepts("train.lr", ".5", "0.5");
    accepts("train.lr", "-0", "0");
    accepts("train.lr", "0.1000000000000001", "0.1000000000000001");

    static const char *const wrong[] = {"", " 1", "1 ", "nan", "NaN", "inf", "0x1p3", "1e", "1.2.3", "--1", "1,5", "e", "."};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) refuses("train.lr", wrong[i], SL_ERROR_FORMAT, "train.lr");

    refuses("train.lr", "1e999", SL_ERROR_OUT_OF_RANGE, "train.lr");
    refuses("train.lr", "-1e-9", SL_ERROR_OUT_OF_RANGE, "0 .. 1000");
    refuses("phase.train", "0.90001", SL_ERROR_OUT_OF_RANGE, "0.02 .. 0.9");
}

Test(config, real_numbers_survive_printing_to_the_last_bit)
{
    static const double numbers[] = {1.0 / 3, 0.1, 1e-300, 5e-324, 123456789.123456789, 999.9999999999999};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sl_config config = fresh();
        char text[SL_TEXT_MAX];
        config.train_lr = numbers[i];

        sl_config_get(&config, "train.lr", text, sizeof text);

        cr_assert_eq(strtod(text, NULL), numbers[i], "%s", text);
    }
}

Test(config, durations_have_a_unit_and_are_exact_in_microseconds)
{
    accepts("epoch.length", "20ms", "20ms");
    accepts("epoch.length", "1.5s", "1500ms");
    accepts("epoch.length", "300s", "5m");
    accepts("epoch.length", "1440m", "24h");
    accepts("epoch.length", "90m", "90m");
    accepts("epoch.length", "20.001ms", "20001us");
    accepts("epoch.length", "0.0000200h", "72ms");
}

Test(config, durations_that_are_not_exact_or_not_durations_are_refused)
{
    static const char *const wrong[] = {"", "60", "s", ".5s", "5 s", "5s ", "-5s", "+5s", "5S", "5sec", "5d", "1.2.3s", "1e3ms", "0.0000001s"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) refuses("epoch.length", wrong[i], SL_ERROR_FORMAT, "epoch.length");

    refuses("epoch.length", "19ms", SL_ERROR_OUT_OF_RANGE, "20ms .. 24h");
    refuses("epoch.length", "24.5h", SL_ERROR_OUT_OF_RANGE, "20ms .. 24h");
    refuses("epoch.length", "18446744073709551617ms", SL_ERROR_OUT_OF_RANGE, "epoch.length");
    refuses("epoch.length", "5124095576030432h", SL_ERROR_OUT_OF_RANGE, "epoch.length");         /* times 3.6e9 wraps */
    refuses("epoch.length", "1.00000000000000000000000s", SL_ERROR_OUT_OF_RANGE, "epoch.length");
}

Test(config, texts_are_printable_and_fit_their_field)
{
    char longest[SL_TEXT_MAX + 1];
    memset(longest, 'x', SL_TEXT_MAX);
    longest[SL_TEXT_MAX] = 0;
    refuses("node.name", longest, SL_ERROR_OUT_OF_RANGE, "255 bytes");
    longest[SL_TEXT_MAX - 1] = 0;
    accepts("node.name", longest, longest);
    accepts("node.name", "", "");
    accepts("node.name", "two words # and 'quotes' = fine", "two words # and 'quotes' = fine");
    accepts("node.name", "Zürich", "Zürich");

    static const char *const wrong[] = {"a\nb", "a\tb", "\x1b[31m", "\x7f", " a", "a ", " ", "a\"b"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) refuses("node.name", wrong[i], SL_ERROR_FORMAT, "printable");
}

Test(config, a_shorter_text_leaves_nothing_of_the_longer_one_behind)
{
    struct sl_config a = fresh(), b = fresh();

    sl_config_set(&a, "node.name", "a long name", NULL, 0);
    sl_config_set(&a, "node.name", "n1", NULL, 0);
    sl_config_set(&b, "node.name", "n1", NULL, 0);

    cr_assert_arr_eq(&a, &b, sizeof a);
}

Test(config, choices_are_whole_words_of_the_list)
{
    accepts("merge.rule", "trmean", "trmean");
    accepts("merge.rule", "geomed", "geomed");
    refuses("merge.rule", "tr", SL_ERROR_OUT_OF_RANGE, "mean|median|trmean|geomed");
    refuses("merge.rule", "mean|median", SL_ERROR_OUT_OF_RANGE, "allowed");
    refuses("merge.rule", "", SL_ERROR_OUT_OF_RANGE, "allowed");
    refuses("merge.rule", "Mean", SL_ERROR_OUT_OF_RANGE, "'Mean'");

    struct sl_config config = fresh();
    char why[256];
    sl_config_set(&config, "privacy.unit", "persons", why, sizeof why);
    cr_assert_str_eq(why, "privacy.unit: 'persons' is not known; allowed: record|node|off");
}

Test(config, the_sentence_is_optional_and_cut_to_its_buffer)
{
    struct sl_config config = fresh();
    char why[8] = "#######";

    cr_assert_eq(sl_config_set(&config, "train.lr", "x", NULL, 100), SL_ERROR_FORMAT);
    cr_assert_eq(sl_config_set(&config, "train.lr", "x", why, 4), SL_ERROR_FORMAT);

    cr_assert_str_eq(why, "tra");
    cr_assert_eq(why[4], '#');
}

Test(config, getting_needs_a_known_key_and_room_for_the_whole_value)
{
    struct sl_config config = fresh();
    char text[8] = "#######";

    cr_assert_eq(sl_config_get(&config, "no.such", text, sizeof text), SL_ERROR_NOT_FOUND);
    cr_assert_eq(sl_config_get(&config, "network.name", text, sizeof text), SL_ERROR_TOO_LARGE);
    cr_assert_str_eq(text, "#######", "out must stay untouched on failure");
    cr_assert_eq(sl_config_get(&config, "model", text, sizeof text), SL_OK);
    cr_assert_str_eq(text, "softmax");
}

/* Defaults that need nothing else: with privacy there is more to say (test_plan.c). */
static struct sl_config plain(void)
{
    struct sl_config config = fresh();
    sl_config_set(&config, "privacy.unit", "off", NULL, 0);
    return config;
}

/* With one option changed the check must fail with a sentence that names `part`. */
static void check_refuses(const char *key, const char *value, const char *part)
{
    struct sl_config config = plain();
    char why[256] = "";
    cr_assert_eq(sl_config_set(&config, key, value, why, sizeof why), SL_OK, "%s", why);

    cr_assert_eq(sl_config_check(&config, why, sizeof why), SL_ERROR_OUT_OF_RANGE, "%s = %s passed", key, value);
    cr_assert_not_null(strstr(why, part), "'%s' does not speak of '%s'", why, part);
    cr_assert_eq(sl_config_check(&config, NULL, 0), SL_ERROR_OUT_OF_RANGE);
}

Test(config, phases_must_follow_each_other_with_time_between)
{
    check_refuses("phase.formation", "0.4", "phase.shares");             /* equal is not earlier */
    check_refuses("phase.shares", "0.5", "phase.train");
    check_refuses("phase.train", "0.6", "phase.commit");
    check_refuses("phase.commit", "0.7", "phase.open");
    check_refuses("phase.open", "0.73", "phase.audit");
    check_refuses("phase.audit", "0.79", "phase.confirm");
    check_refuses("phase.confirm", "0.85", "phase.unmask");
    check_refuses("phase.unmask", "0.9", "phase.result");
    check_refuses("phase.pull", "0.5", "phase.result");
}

Test(config, cohort_sizes_and_radii_must_fit_into_each_other)
{
    check_refuses("cohort.size", "3", "cohort.min_size");
    check_refuses("cohort.size", "9", "cohort.max_size");
    check_refuses("cohort.max_size", "4", "cohort.size");
    check_refuses("cohort.radius", "0.001", "cohort.radius_min");
    check_refuses("cohort.radius", "1001", "cohort.radius_max");
}

Test(config, no_more_inbound_links_than_links)
{
    check_refuses("link.inbound", "65", "link.inbound (65) must be at most link.max (64)");
    check_refuses("link.max", "16", "link.inbound (48) must be at most link.max (16)");

    struct sl_config config = plain();
    sl_config_set(&config, "link.inbound", "64", NULL, 0);
    cr_assert_eq(sl_config_check(&config, NULL, 0), SL_OK);
    sl_config_set(&config, "link.inbound", "65", NULL, 0);
    cr_assert_eq(sl_config_check_network(&config, NULL, 0), SL_OK, "a descriptor does not answer for what a node chose");
}

Test(config, a_cohort_of_three_is_refused_even_when_set_past_the_parser)
{
    struct sl_config config = plain();
    char why[256];
    config.cohort_min_size = 3;

    cr_assert_eq(sl_config_check(&config, why, sizeof why), SL_ERROR_OUT_OF_RANGE);
    cr_assert_not_null(strstr(why, "at least 4"), "%s", why);
}

Test(config, numbers_that_are_not_numbers_fail_the_check)
{
    struct sl_config config = plain();
    config.cohort_radius = NAN;
    cr_assert_eq(sl_config_check(&config, NULL, 0), SL_ERROR_OUT_OF_RANGE);

    config = plain();
    config.phase_open = NAN;
    cr_assert_eq(sl_config_check(&config, NULL, 0), SL_ERROR_OUT_OF_RANGE);
}

Test(config, forms_that_a_range_cannot_express_are_checked)
{
    check_refuses("aggregate.bits", "12", "8, 16 or 32");
    check_refuses("data.scale", "divide:0", "divide:X");
    check_refuses("data.scale", "divide:nan", "divide:X");
    check_refuses("data.scale", "standardised", "'standardised'");
    check_refuses("data.impute", "mean", "data.impute");

    static const char *const good[][2] = {{"data.scale", "divide:255"}, {"data.scale", "standard"}, {"data.impute", "-1.5"},
                                          {"aggregate.bits", "32"}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct sl_config config = plain();
        char why[256] = "";
        sl_config_set(&config, good[i][0], good[i][1], NULL, 0);
        cr_assert_eq(sl_config_check(&config, why, sizeof why), SL_OK, "%s", why);
    }
}

/* Reads the commented file as a ZPL reader would: four blanks of indent lead into the section above. */
static uint32_t read_commented(FILE *file, struct sl_config *config)
{
    char line[1024], section[64] = "", name[64], value[SL_TEXT_MAX];
    uint32_t n_read = 0;
    while (fgets(line, sizeof line, file)) {
        bool nested = strncmp(line, "    ", 4) == 0;
        const char *content = line + (nested ? 4 : 0);
        cr_assert_neq(*content, ' ', "ZPL indents by four: '%s'", line);
        if (*content == '#' || *content == '\n') continue;

        value[0] = 0;
        int n_fields = sscanf(content, "%63[a-z_] = \"%255[^\"]", name, value);
        cr_assert_geq(n_fields, 1, "not ZPL: '%s'", line);
        if (!nested) strcpy(section, name);
        if (!strchr(content, '=')) continue;

        char key[160], why[256] = "";
        snprintf(key, sizeof key, "%s%s%s", nested ? section : "", nested ? "." : "", name);
        cr_assert_eq(sl_config_set(config, key, value, why, sizeof why), SL_OK, "%s", why);
        n_read++;
    }
    return n_read;
}

Test(config, the_commented_files_of_both_scopes_bring_back_the_whole_configuration)
{
    struct sl_config config = fresh(), copy = fresh();
    static const char *const changes[][2] = {{"model", "mlp:64,32"}, {"epoch.length", "1.5s"}, {"node.name", "it's # one"},
                                             {"data.impute", "0"}, {"train.lr", "0.3333333333333333"}, {"merge.needed", "2"}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) sl_config_set(&config, changes[i][0], changes[i][1], NULL, 0);

    uint32_t n_read = 0;
    for (int scope = SL_SCOPE_NETWORK; scope <= SL_SCOPE_NODE; scope++) {
        FILE *file = tmpfile();
        cr_assert_eq(sl_config_write_commented(file, &config, (enum sl_option_scope)scope), SL_OK);
        rewind(file);
        n_read += read_commented(file, &copy);
        fclose(file);
    }

    cr_assert_eq(n_read, sl_config_count());
    cr_assert_arr_eq(&copy, &config, sizeof config);
}

Test(config, a_section_is_opened_once_so_that_readers_find_all_of_it)
{
    struct sl_config config = fresh();
    char line[1024];
    uint32_t n_merge = 0;
    FILE *file = tmpfile();

    sl_config_write_commented(file, &config, SL_SCOPE_NODE);

    rewind(file);
    while (fgets(line, sizeof line, file)) n_merge += strcmp(line, "merge\n") == 0;
    fclose(file);
    cr_assert_eq(n_merge, 1);
}

Test(config, a_full_disk_is_reported)
{
    struct sl_config config = fresh();
    FILE *full = fopen("/dev/full", "w");
    if (!full) cr_skip_test("there is no /dev/full here");

    cr_assert_eq(sl_config_write_commented(full, &config, SL_SCOPE_NODE), SL_ERROR_IO);
    fclose(full);
}
