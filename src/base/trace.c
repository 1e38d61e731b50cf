/* SPDX-License-Identifier: MIT */
#include "starling/trace.h"

#include <assert.h>
#include <string.h>

#include "starling/error.h"

const char *sl_trace_name(enum sl_trace_type type)
{
    static const char *const names[] = {
#define X(name, text) #name,
#include "starling/trace_events.def"
#undef X
    };
    assert(type < SL_TRACE_COUNT);
    return names[type];
}

/* Appends what fits; `length` counts on regardless. */
static size_t append(char *text, size_t size, size_t length, const char *piece)
{
    for (; *piece; piece++, length++)
        if (length + 1 < size) text[length] = *piece;
    return length;
}

static size_t append_number(char *text, size_t size, size_t length, int64_t number)
{
    char digits[24], *at = digits + sizeof digits - 1;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    *at = 0;
    do *--at = (char)('0' + rest % 10); while (rest /= 10);
    if (number < 0) *--at = '-';
    return append(text, size, length, at);
}

/* 312345 as 0.312: a millionth is more than anybody reads. */
static size_t append_millionths(char *text, size_t size, size_t length, int64_t millionths)
{
    int64_t thousandths = millionths / 1000, rest = thousandths % 1000;
    length = append_number(text, size, length, thousandths / 1000);
    length = append(text, size, length, rest < 10 ? ".00" : rest < 100 ? ".0" : ".");
    return append_number(text, size, length, rest);
}

/* Steps of a cohort (cohort/session.h) and reasons to contribute nothing (core/core.h), by their numbers. */
static const char *const steps[] = {"its beginning", "the sharing of keys", "the list of shares", "committing", "the list of commits", "opening",
                                    "the list of openings", "the audit", "the list of audits", "confirming", "unmasking", "signing the result"};
static const char *const reasons[] = {"no reason given", "the reference is too far from its own model", "it leaves", "its training was not finished in time",
                                      "the reference did not come in time"};

/* In what a proposal differs from our configuration (core/core.h). */
static const char *const terms[] = {"nothing differs", "it is of another privacy.unit", "it has another privacy.node_clip", "it has another noise",
                                    "it is of another ring"};

/* Kinds of proofs (cohort/evidence.h). */
static const char *const kinds[] = {"broke the protocol", "signed two different messages of one step", "sealed a share that contradicts its signed hash",
                                    "signed a false tag of a mask", "signed a false tag of a box key", "dealt shares that do not give its own mask",
                                    "dealt shares that do not give its mask key", "lied about its own mask in the audit",
                                    "lied about the mask of a pair in the audit"};

static const char *word(const char *const *words, size_t n_words, int64_t number)
{
    return number >= 0 && (uint64_t)number < n_words ? words[number] : "an unknown one";
}

size_t sl_trace_text(const struct sl_trace_event *event, const char *peer_name, char *text, size_t size)
{
    static const char *const sentences[] = {
#define X(name, text) text,
#include "starling/trace_events.def"
#undef X
    };
    assert(event->type < SL_TRACE_COUNT);

    size_t length = 0;
    for (const char *at = sentences[event->type]; *at; at++) {
        char one[2] = {*at, 0};
        if (*at != '%') { length = append(text, size, length, one); continue; }

        switch (*++at) {
        case 'p': length = append(text, size, length, peer_name); break;
        case 'a': length = append_number(text, size, length, event->a); break;
        case 'm': length = append_millionths(text, size, length, event->a); break;
        case 'b': length = append_number(text, size, length, event->b); break;
        case 's': length = append(text, size, length, word(steps, sizeof steps / sizeof *steps, event->a)); break;
        case 'r': length = append(text, size, length, word(reasons, sizeof reasons / sizeof *reasons, event->a)); break;
        case 'd': length = append(text, size, length, word(terms, sizeof terms / sizeof *terms, event->a)); break;
        case 'k': length = append(text, size, length, word(kinds, sizeof kinds / sizeof *kinds, event->a)); break;
        case 'e': length = append(text, size, length, sl_error_text(event->error)); break;
        default: assert(!"unknown letter in trace_events.def");
        }
    }
    if (size > 0) text[length < size ? length : size - 1] = 0;
    return length;
}
