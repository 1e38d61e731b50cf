/* SPDX-License-Identifier: MIT */
/* starling privacy epsilon: what steps cost together, from numbers alone. No node, no ledger. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cli_words.h"
#include "data/number.h"
#include "privacy/accountant.h"
#include "starling/error.h"

enum { WHY_SIZE = 512, NUMBER_SIZE = 64 };

struct question {
    const char *q, *sigma, *steps, *delta;       /* as given; the first three may be lists, parted by | */
    bool is_plain;
    char why[WHY_SIZE];
};

/* The number at the head of a list, which moves on; false, with a sentence, when there is none. */
static bool take(struct question *question, const char *flag, const char **list, double *out)
{
    char text[NUMBER_SIZE];
    size_t length = strcspn(*list, "|");
    snprintf(text, sizeof text, "%.*s", length < sizeof text ? (int)length : 0, *list);
    *list += length;
    if (sl_number_parse(text, out)) return true;
    snprintf(question->why, sizeof question->why, "%s: '%.*s' is not a number", flag, length < 40 ? (int)length : 40, *list - length);
    return false;
}

/* What the accountant does not answer for, in words. */
static bool is_known(struct question *question, double q, double z, double steps, double delta)
{
    const char *wrong = NULL;
    if (!(delta >= SL_DELTA_MIN && delta <= SL_DELTA_MAX)) wrong = "--delta must be between 1e-12 and 1e-2";
    if (!(steps >= 1 && steps <= (double)SL_STEPS_MAX && steps == (double)(uint64_t)steps)) wrong = "--steps must be a whole number between 1 and 4294967296";
    if (!(z >= SL_ACCOUNTANT_NOISE_MIN && z <= SL_ACCOUNTANT_NOISE_MAX))
        wrong = "--sigma must be between 0.3 and 10000: it is the standard deviation of the noise, divided by the clip norm";
    if (!(q >= 0 && q <= 1)) wrong = "--q must be between 0 and 1: it is the probability with which a record is in a step";
    snprintf(question->why, sizeof question->why, "%s", wrong ? wrong : "");
    return !wrong;
}

/* The next charge of the lists, added to the sum. */
static bool add_next(struct question *question, const char **q_list, const char **sigma_list, const char **steps_list, double delta, struct sl_rdp *sum)
{
    double q, z, steps;
    struct sl_rdp step;
    if (!take(question, "--q", q_list, &q) || !take(question, "--sigma", sigma_list, &z) || !take(question, "--steps", steps_list, &steps)) return false;
    if (!is_known(question, q, z, steps, delta)) return false;
    sl_rdp_step(q, 1 / (2 * z * z), &step);
    sl_rdp_add(sum, &step, steps);
    return true;
}

static bool add_all(struct question *question, double delta, struct sl_rdp *sum)
{
    const char *q = question->q, *sigma = question->sigma, *steps = question->steps;
    for (;;) {
        if (!add_next(question, &q, &sigma, &steps, delta, sum)) return false;
        if (*q == 0 && *sigma == 0 && *steps == 0) return true;
        if (*q == 0 || *sigma == 0 || *steps == 0)
            return snprintf(question->why, sizeof question->why, "--q, --sigma and --steps must be lists of the same length, parted by |"), false;
        q++, sigma++, steps++;
    }
}

static bool parse(int argc, char **argv, struct question *question, double *delta)
{
    struct cli_words words;
    const struct cli_flag flags[] = {{"--q", &question->q, NULL},         {"--sigma", &question->sigma, NULL}, {"--steps", &question->steps, NULL},
                                     {"--delta", &question->delta, NULL}, {"--plain", NULL, &question->is_plain}, {0}};
    if (!cli_words_sort(argc, argv, flags, 1, &words, question->why, sizeof question->why)) return false;
    if (!question->q || !question->sigma || !question->steps || !question->delta)
        return snprintf(question->why, sizeof question->why, "wanted: starling privacy epsilon --q Q --sigma Z --steps T --delta D"), false;

    const char *text = question->delta;
    if (!take(question, "--delta", &text, delta)) return false;
    if (*text) return snprintf(question->why, sizeof question->why, "--delta is one number, not a list"), false;
    return true;
}

int cli_privacy_epsilon(struct cli *cli, int argc, char **argv)
{
    struct question question = {0};
    struct sl_rdp sum = {{0}};
    double delta;
    uint32_t order;
    if (!parse(argc, argv, &question, &delta) || !add_all(&question, delta, &sum)) return cli_fail(cli, CLI_ARGUMENTS, "%s", question.why);

    double epsilon = sl_epsilon(&sum, delta, &order);
    if (cli->json) return cli_answer(cli, json_pack("{s:f, s:f, s:i, s:i}", "epsilon", epsilon, "delta", delta, "order", (int)order, "grid", SL_GRID_VERSION));
    if (question.is_plain) printf("%.10g\n", epsilon);
    else printf("eps=%.10g order=%u\n", epsilon, order);
    return CLI_OK;
}
