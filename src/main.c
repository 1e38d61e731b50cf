/* SPDX-License-Identifier: MIT */
/* starlingd: one node of a Starling network, one process, one directory. */
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "main_tap.h"
#include "runtime/files.h"
#include "runtime/glance.h"
#include "runtime/runtime.h"
#include "runtime/setup.h"
#include "starling/error.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_BAD_CONFIG = 4 };

static const char help[] =
    "starlingd - one node that learns a model together with its peers, without a\n"
    "server\n"
    "\n"
    "Usage: starlingd DIR [--epochs E] [--set KEY=VALUE]... [--hold] [-v]\n"
    "\n"
    "  DIR               the node's directory, as `starling init` makes it\n"
    "  --epochs E        stop after E epochs in which the node could act, and write\n"
    "                    DIR/summary.json\n"
    "  --set KEY=VALUE   an option of node.conf, for this run only; may be given\n"
    "                    again\n"
    "  --hold            listen, but take part only when a line comes on standard\n"
    "                    input\n"
    "  -v                log every event, not only one line per epoch\n"
    "  --version, --help\n"
    "\n"
    "Logs go to standard error. SIGINT, SIGTERM or SIGHUP stops the node; its state\n"
    "is kept in DIR/state. While it runs it answers `starling -d DIR status` and the\n"
    "other commands of starling at DIR/control.sock.\n"
    "Exit codes: 0 done, 1 failed, 4 bad arguments or configuration.\n"
    "\n"
    "Example:\n"
    "  starlingd ~/n000 --epochs 20 --set train.lr=0.05\n";

void openblas_set_num_threads(int n_threads);        /* OpenBLAS's own; its header is not part of every distribution */

struct arguments {
    const char *folder;
    const char **settings;
    uint32_t n_settings;
    struct sl_run_options run;
    bool help, version;
};

static int refuse(const char *sentence)
{
    fprintf(stderr, "starlingd: %s\n", sentence);
    return EXIT_BAD_CONFIG;
}

static bool parse_count(const char *text, uint64_t *out)
{
    size_t length = strlen(text);
    if (length == 0 || length > 15 || strspn(text, "0123456789") != length) return false;

    uint64_t value = strtoull(text, NULL, 10);
    if (value == 0) return false;
    *out = value;
    return true;
}

/* The value behind an option: it needs one. */
static bool take_count(const char *next, uint64_t *out, char *why, size_t why_size)
{
    if (next && parse_count(next, out)) return true;
    snprintf(why, why_size, "--epochs wants a number from 1 on, like --epochs 20");
    return false;
}

static bool take_setting(const char *next, struct arguments *out, char *why, size_t why_size)
{
    if (next) out->settings[out->n_settings++] = next;
    else snprintf(why, why_size, "--set wants KEY=VALUE, like --set train.lr=0.05");
    return next != NULL;
}

/* False: `why` says what is wrong. settings has room for every argument. */
static bool parse(int argc, char **argv, struct arguments *out, char *why, size_t why_size)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            out->help = true;
        } else if (strcmp(word, "--version") == 0) {
            out->version = true;
        } else if (strcmp(word, "-v") == 0) {
            out->run.verbose = true;
        } else if (strcmp(word, "--hold") == 0) {
            out->run.hold = true;
        } else if (strcmp(word, "--epochs") == 0) {
            if (!take_count(next, &out->run.epochs_max, why, why_size)) return false;
            i++;
        } else if (strcmp(word, "--set") == 0) {
            if (!take_setting(next, out, why, why_size)) return false;
            i++;
        } else if (word[0] == '-') {
            return snprintf(why, why_size, "unknown argument %.80s; allowed: --epochs E, --set KEY=VALUE, --hold, -v, --version, --help", word), false;
        } else if (out->folder) {
            return snprintf(why, why_size, "only one directory can be run at a time, and %.80s is a second one", word), false;
        } else {
            out->folder = word;
        }
    }
    if (out->folder || out->help || out->version) return true;
    return snprintf(why, why_size, "no directory is named; usage: starlingd DIR [--epochs E] [--set KEY=VALUE]..."), false;
}

static bool has_file(const char *folder, const char *name)
{
    char path[SL_PATH_SIZE];
    return sl_path_join(folder, name, path) == SL_OK && access(path, F_OK) == 0;
}

/* A core dump would hold the keys, and with privacy what must not be told of the data. A limit of 0 keeps Linux from writing a file, but not from handing the
 * dump to a program (core(5)); a limit of 1 byte does both. */
static void forbid_core_dumps(void)
{
    struct rlimit nearly_none = {1, 1};
    setrlimit(RLIMIT_CORE, &nearly_none);
}

static int run(const struct arguments *arguments)
{
    char why[SL_WHY_SIZE] = "";
    struct stat about;
    if (stat(arguments->folder, &about) != 0 || !S_ISDIR(about.st_mode)) {
        snprintf(why, sizeof why, "%s is not a directory; `starling init` makes node directories", arguments->folder);
        return refuse(why);
    }
    if (has_file(arguments->folder, "operator.key") && !has_file(arguments->folder, "node.conf")) {
        snprintf(why, sizeof why, "%s is the folder of a network, not of a node: `starling invite` and `starling init` make a node's directory from it",
                 arguments->folder);
        return refuse(why);
    }

    int lock;
    if (sl_folder_lock(arguments->folder, &lock, why, sizeof why) != SL_OK) {
        refuse(why);
        return EXIT_FAILED;
    }

    struct sl_setup setup;
    int code = EXIT_OK;
    if (sl_setup_load(&setup, arguments->folder, arguments->settings, arguments->n_settings, why, sizeof why) != SL_OK) {
        code = refuse(why);
    } else {
        if (sl_runtime_run(&setup, &arguments->run, why, sizeof why) != SL_OK) {
            refuse(why);
            code = EXIT_FAILED;
        }
        sl_setup_finish(&setup);
    }
    close(lock);
    return code;
}

int main(int argc, char **argv)
{
    forbid_core_dumps();
    openblas_set_num_threads(1);                     /* the cores are used by running nodes side by side */
    if (sodium_init() < 0) {
        refuse("libsodium does not start");
        return EXIT_FAILED;
    }

    const struct sl_tap *tap = starlingd_tap(&argc, argv);
    struct arguments arguments = {.settings = calloc((size_t)argc + 1, sizeof(char *)), .run.tap = tap};
    if (!arguments.settings) {
        refuse("not enough memory");
        return EXIT_FAILED;
    }
    char why[SL_WHY_SIZE];
    int code = EXIT_OK;
    if (!parse(argc, argv, &arguments, why, sizeof why)) code = refuse(why);
    else if (arguments.help) fputs(help, stdout);
    else if (arguments.version) puts("starlingd " STARLING_VERSION);
    else code = run(&arguments);
    free(arguments.settings);
    return code;
}
