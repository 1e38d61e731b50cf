/* SPDX-License-Identifier: MIT */
#include "privacy/discrete_gaussian_parts.h"
#include "starling/error.h"

/* Of honest words one in three is thrown again at worst, that is at sigma2 = 1 (-0): 1,024 in a row have a chance below 2^-1024. */
enum { TRIES_MAX = 1024, TAIL_BLOCKS_MAX = 128, WORDS = sizeof((struct sl_noise *)NULL)->words / sizeof(uint64_t) };

enum outcome { TAKEN, AGAIN, STUCK };

/* A point of the area, as one word tells it. */
struct point {
    uint32_t column;
    uint64_t height, apart, size;                /* size = the column's begin + apart */
    bool is_negative;
};

/* Without branches that depend on the word: they would be guessed wrong half of the time. */
static inline struct point read_point(const struct sl_discrete_gaussian *gaussian, uint64_t word)
{
    const uint32_t own = (uint32_t)(word >> 55);
    const struct gaussian_slot *slot = &gaussian->slots[own];
    const uint64_t level = word >> GAUSSIAN_SIZE_BITS >> 1 & ((UINT64_C(1) << GAUSSIAN_LEVEL_BITS) - 1), is_moved = -(uint64_t)(level >= slot->threshold);

    struct point point;
    point.column = own ^ ((own ^ slot->alias) & (uint32_t)is_moved);
    point.height = level + (slot->offset & is_moved);
    point.apart = word & ((UINT64_C(1) << gaussian->width_bits) - 1);
    point.size = (uint64_t)point.column << gaussian->width_bits | point.apart;
    point.is_negative = word >> GAUSSIAN_SIZE_BITS & 1;
    return point;
}

static inline int64_t signed_value(uint64_t size, bool is_negative)
{
    const int64_t mask = -(int64_t)is_negative;
    return ((int64_t)size ^ mask) - mask;
}

static enum outcome outcome_of(enum gaussian_verdict verdict)
{
    return verdict == GAUSSIAN_BELOW ? TAKEN : verdict == GAUSSIAN_ABOVE ? AGAIN : STUCK;
}

/* Behind the columns: block k with probability 2^-(k+1), a size within it, and then the curve against the block's height 2^-k. */
static enum outcome draw_tail(const struct sl_discrete_gaussian *gaussian, struct sl_noise *noise, struct point *point)
{
    if (point->height >= GAUSSIAN_TAIL_AREA) return AGAIN;   /* the rest of the area */

    uint32_t k = 0;
    uint64_t word;
    while ((word = sl_noise_word(noise)) == 0) {
        k += 64;
        if (k >= TAIL_BLOCKS_MAX) return STUCK;
    }
    for (; word >> 63 == 0; word <<= 1) k++;

    const uint32_t block_bits = gaussian->width_bits + GAUSSIAN_TAIL_BLOCK_BITS;
    const uint64_t begin = (uint64_t)gaussian->n_columns << gaussian->width_bits;
    point->size = begin + ((uint64_t)k << block_bits) + (sl_noise_word(noise) & ((UINT64_C(1) << block_bits) - 1));
    return outcome_of(sl_gaussian_compare(noise, 0, point->size, gaussian->sigma2, gaussian->scale, k));
}

static enum outcome judge(const struct sl_discrete_gaussian *gaussian, struct sl_noise *noise, struct point *point)
{
    if (point->column == GAUSSIAN_TAIL) return draw_tail(gaussian, noise, point);
    if (point->size == 0 && point->is_negative) return AGAIN;
    if (point->height < gaussian->sure[point->column]) return TAKEN;

    const uint64_t estimate = sl_gaussian_estimate(gaussian, point->column, point->apart);
    if (point->height + GAUSSIAN_SLACK < estimate) return TAKEN;
    if (point->height >= estimate + GAUSSIAN_EXCESS) return AGAIN;
    return outcome_of(sl_gaussian_compare(noise, point->height, point->size, gaussian->sigma2, gaussian->scale, 0));
}

static int draw(const struct sl_discrete_gaussian *gaussian, struct sl_noise *noise, int64_t *sum)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        struct point point = read_point(gaussian, sl_noise_word(noise));
        enum outcome outcome = judge(gaussian, noise, &point);
        if (outcome == STUCK) return SL_ERROR_RNG;
        if (outcome == AGAIN) continue;

        *sum += signed_value(point.size, point.is_negative);
        return SL_OK;
    }
    return SL_ERROR_RNG;
}

/* As many samples as the next words yield at once, each from one word; how many. What draw() makes of these words is the same. */
static size_t draw_sure(const struct sl_discrete_gaussian *gaussian, const uint64_t *words, int64_t *sum, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct point point = read_point(gaussian, words[i]);
        const bool is_sure = (point.height < gaussian->sure[point.column]) & ((point.size != 0) | !point.is_negative);
        if (!is_sure) return i;
        sum[i] += signed_value(point.size, point.is_negative);
    }
    return n;
}

int sl_discrete_gaussian_add(const struct sl_discrete_gaussian *gaussian, struct sl_noise *noise, int64_t *sum, size_t n)
{
    for (size_t done = 0; done < n;) {
        const size_t ready = WORDS - noise->at, wanted = n - done;
        const size_t sure = draw_sure(gaussian, noise->words + noise->at, sum + done, ready < wanted ? ready : wanted);
        noise->at += (uint32_t)sure;
        done += sure;
        if (done == n) break;

        const int error = draw(gaussian, noise, sum + done);
        if (error) return error;
        done++;
    }
    return SL_OK;
}
