/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/quorum.h"
#include "sessions.h"
#include "starling/error.h"

/*
 * secrecy patterns C STRIDE | attacks | random FIRST COUNT | weakness: what can a coalition compute from all that real sessions said?
 *
 * A coalition of up to f members holds what its members drew and what was dealt to them, and sees every message and every masked vector, even those that were
 * never opened. A seed is known if a member of the coalition has it, if it was revealed, or if t of its shares are known; a mask secret opens all seeds of its
 * pairs. What is left are linear forms: y_i = z_i + PRG(b_i) +- PRG(s_ij) ... with a formal unknown for each z and for each mask that is not known. The claim:
 *
 *     no combination of the y of honest members is free of unknown masks, unless it takes in at least t_h = t - |coalition| of them.
 *
 * AUDITs tell A z_i, A PRG(b_i), A PRG(s_ij): the declared sketch rows. They are of another matrix than the identity and say nothing of what lies outside its
 * row space, so all that counts of them is that a member says one AUDIT only; this is checked. `weakness` gives the coalition what a flawed protocol would
 * have given it and demands that it is found.
 */
enum { SELF = SESSIONS_MAX * SESSIONS_MAX, COLUMNS = SELF + SESSIONS_MAX, ATTACKS_MAX = 4 };

enum weakness { SOUND, BOTH_SHARES, ONE_KEY };

static uint64_t bit(uint32_t member)
{
    return UINT64_C(1) << member;
}

static uint32_t count_bits(uint64_t set)
{
    uint32_t n = 0;
    for (; set; set &= set - 1) n++;
    return n;
}

/* ---- what a coalition knows ---- */

struct view {
    const struct sessions *sessions;
    uint64_t coalition;
    uint64_t self_shares[SESSIONS_MAX], mask_shares[SESSIONS_MAX];       /* [dealer]: receivers whose share is known */
    uint64_t self, mask_secret, box_secret;                              /* members whose seed or key is known */
    uint64_t pair[SESSIONS_MAX];
    uint64_t committed, twice;               /* who masked a vector; who said two AUDITs or COMMITs */
};

static void learn_box(struct view *view, uint32_t dealer, uint32_t receiver)
{
    view->self_shares[dealer] |= bit(receiver);
    view->mask_shares[dealer] |= bit(receiver);
}

static void learn_unmask(struct view *view, const struct sessions_packet *packet, enum weakness weakness)
{
    struct sl_envelope envelope = sessions_envelope(view->sessions, packet), dealt;
    struct sl_unmask unmask;
    struct sl_shares shares;
    if (sl_read_unmask(&envelope, &unmask) != SL_OK) return;
    for (uint32_t j = 0; j < unmask.n_members; j++) {
        const struct sessions_packet *said = sessions_said(view->sessions, j, SL_STEP_SHARES);
        if (!unmask.shares[j] || !said) continue;
        dealt = sessions_envelope(view->sessions, said);
        if (sl_read_shares(&dealt, &shares) != SL_OK) continue;
        uint8_t hash[32];
        for (int is_mask = 0; is_mask < 2; is_mask++) {
            const uint8_t *signed_hash = is_mask ? shares.dealt[packet->author].mask_share_hash : shares.dealt[packet->author].self_share_hash;
            sl_mask_share_hash(is_mask, view->sessions->cohort, j, packet->author, unmask.shares[j], hash);
            if (!sl_hash_equal(hash, signed_hash)) continue;
            if (is_mask || weakness == BOTH_SHARES) view->mask_shares[j] |= bit(packet->author);
            if (!is_mask) view->self_shares[j] |= bit(packet->author);
        }
    }
}

static void learn_reveal(struct view *view, const struct sessions_packet *packet)
{
    struct sl_envelope envelope = sessions_envelope(view->sessions, packet);
    struct sl_reveal reveal;
    if (sl_read_reveal(&envelope, &reveal) != SL_OK || reveal.index >= view->sessions->setup.n) return;
    switch (reveal.kind) {
    case SL_REVEAL_BOX_KEY: learn_box(view, reveal.index, packet->author); break;
    case SL_REVEAL_MASK_SECRET: view->mask_secret |= bit(packet->author); break;
    case SL_REVEAL_BOX_SECRET: view->box_secret |= bit(packet->author); break;
    default: view->pair[packet->author] |= bit(reveal.index); view->pair[reveal.index] |= bit(packet->author);
    }
}

static void learn_said(struct view *view, const struct sessions_packet *packet, enum weakness weakness)
{
    if (packet->sender != packet->author) return;
    if (packet->type == SL_MESSAGE_UNMASK) learn_unmask(view, packet, weakness);
    if (packet->type == SL_MESSAGE_REVEAL) learn_reveal(view, packet);
    if (packet->type != SL_MESSAGE_COMMIT && packet->type != SL_MESSAGE_AUDIT) return;

    if (packet->type == SL_MESSAGE_COMMIT) view->committed |= bit(packet->author);
    const struct sessions_packet *last = sessions_said(view->sessions, packet->author, packet->step);
    struct sl_envelope this_one = sessions_envelope(view->sessions, packet), last_one = sessions_envelope(view->sessions, last);
    bool is_same = this_one.body_size == last_one.body_size && memcmp(this_one.body, last_one.body, this_one.body_size) == 0;
    if (!is_same) view->twice |= bit(packet->author);
}

/* What follows from what: keys open boxes, t shares give secrets. */
static void conclude(struct view *view, enum weakness weakness)
{
    uint32_t n = view->sessions->setup.n, threshold = sl_quorum_threshold(n);
    for (uint32_t round = 0; round <= n; round++) {
        if (weakness == ONE_KEY) view->box_secret |= view->mask_secret;
        for (uint32_t i = 0; i < n; i++) {
            for (uint32_t j = 0; j < n && (view->box_secret & bit(i)); j++) {
                learn_box(view, i, j);
                learn_box(view, j, i);
            }
            if (count_bits(view->self_shares[i]) >= threshold) view->self |= bit(i);
            if (count_bits(view->mask_shares[i]) >= threshold) view->mask_secret |= bit(i);
        }
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++)
            if ((view->mask_secret & (bit(i) | bit(j))) && i != j) view->pair[i] |= bit(j);
}

static struct view look(const struct sessions *sessions, uint64_t coalition, enum weakness weakness)
{
    struct view view = {.sessions = sessions, .coalition = coalition, .self = coalition, .mask_secret = coalition, .box_secret = coalition};
    for (uint32_t p = 0; p < sessions->n_packets; p++) learn_said(&view, &sessions->packets[p], weakness);
    conclude(&view, weakness);
    return view;
}

/* ---- elimination ---- */

static int64_t inverse(int64_t a, int64_t p)
{
    int64_t result = 1;
    for (int64_t e = p - 2; e > 0; e >>= 1, a = a * a % p)
        if (e & 1) result = result * a % p;
    return result;
}

static uint32_t rank_of(int64_t rows[][COLUMNS], uint32_t n_rows, int64_t p)
{
    uint32_t rank = 0;
    for (uint32_t column = 0; column < COLUMNS && rank < n_rows; column++) {
        uint32_t pivot = rank;
        while (pivot < n_rows && rows[pivot][column] == 0) pivot++;
        if (pivot == n_rows) continue;
        for (uint32_t k = column; k < COLUMNS; k++) {
            int64_t swap = rows[rank][k];
            rows[rank][k] = rows[pivot][k];
            rows[pivot][k] = swap;
        }
        int64_t scale = inverse(rows[rank][column], p);
        for (uint32_t r = rank + 1; r < n_rows; r++) {
            int64_t factor = rows[r][column] * scale % p;
            for (uint32_t k = column; k < COLUMNS && factor; k++) rows[r][k] = (rows[r][k] + (p - factor) * rows[rank][k]) % p;
        }
        rank++;
    }
    return rank;
}

/* The masks in y_i that the coalition does not know, as coefficients modulo p. */
static void unknown_masks(const struct view *view, uint64_t agreed, uint32_t i, int64_t p, int64_t row[COLUMNS])
{
    memset(row, 0, COLUMNS * sizeof *row);
    if (!(view->self & bit(i))) row[SELF + i] = 1;
    for (uint32_t j = 0; j < view->sessions->setup.n; j++) {
        if (j == i || !(agreed & bit(j)) || (view->pair[i] & bit(j))) continue;
        uint32_t low = i < j ? i : j, high = i < j ? j : i;
        row[low * SESSIONS_MAX + high] = j > i ? 1 : p - 1;
    }
}

/* Fewer than t_h honest members with a combination of their vectors that has no unknown mask; 0: there are none. In a ring of 2^k elements a combination may
 * be one of its halves only, so parities are tried besides a large prime. */
static uint64_t leak(const struct view *view)
{
    static const int64_t primes[] = {1000003, 2};
    static int64_t rows[SESSIONS_MAX][COLUMNS];
    const struct sessions *sessions = view->sessions;
    uint32_t n = sessions->setup.n, least = sl_quorum_threshold(n) - count_bits(view->coalition);
    uint64_t candidates = view->committed & view->self & ~view->coalition;       /* the others have a mask of their own */
    for (uint64_t set = candidates; set; set = (set - 1) & candidates) {
        if (count_bits(set) >= least) continue;
        for (int f = 0; f < 2; f++) {
            uint32_t n_rows = 0;
            for (uint32_t i = 0; i < n; i++)
                if (set & bit(i))
                    unknown_masks(view, sl_session_set(sessions->members[i].session, SL_STEP_LIST_SHARES), i, primes[f], rows[n_rows++]);
            if (rank_of(rows, n_rows, primes[f]) < n_rows) return set;
        }
    }
    return 0;
}

/* ---- attacks ---- */

enum attack_kind { DELAY, WITHHOLD, SPLIT_LIST, SECOND_LIST, BAD_BOX, BAD_MASK_TAG, BAD_BOX_TAG, BAD_PAIR_SKETCH, BAD_SELF_SKETCH, ATTACK_KINDS };

static const char *const attack_names[] = {"delays a step of the target", "withholds a step from the target", "two LISTs of one step to two halves",
                                           "a LIST of another member beside the initiator's", "a box with wrong shares", "a false tag of a mask",
                                           "a false tag of a box key", "a false sketch of a mask", "a false sketch of its own mask"};

struct attack { enum attack_kind kind; uint32_t liar, target, step; };

struct story {
    uint64_t liars;
    struct attack attacks[ATTACKS_MAX];
    uint32_t n_attacks;
    uint8_t chain[2][32];                    /* a LIST that was split: hashes of both bodies */
    bool is_split;
    uint64_t others;                         /* who got the second */
};

static bool begins_second_half(uint32_t member)
{
    return member % 2 == 1;
}

/* Another LIST of the step: without its last member that is not the receiver's target. */
static size_t other_list(struct sessions *sessions, uint32_t author, uint32_t without, const struct sl_list *list, uint8_t *bytes, size_t size_max)
{
    struct sl_list other = *list;
    uint32_t n = 0, at = 0;
    for (uint32_t i = 0; i < sessions->setup.n; i++) {
        if (!(list->members & bit(i))) continue;
        if (i != without) memcpy(other.hashes[n++], list->hashes[at], 32);
        at++;
    }
    other.members &= ~bit(without);
    other.n_hashes = n;
    struct sl_writer writer = sessions_write(sessions, author, SL_MESSAGE_LIST, bytes, size_max);
    sl_write_list(&writer, &other);
    return sessions_seal(sessions, author, SL_MESSAGE_LIST, &writer);
}

static void split_list(struct story *story, const struct attack *attack, struct sessions *sessions, struct sessions_packet *packet)
{
    struct sl_envelope envelope = sessions_envelope(sessions, packet), other;
    struct sl_list list;
    uint8_t bytes[4096];
    if (sl_read_list(&envelope, &list) != SL_OK || count_bits(list.members) < 2 || !begins_second_half(packet->to)) return;
    sl_body_hash(envelope.body, envelope.body_size, story->chain[0]);
    size_t size = other_list(sessions, packet->author, attack->target, &list, bytes, sizeof bytes);
    sessions_replace(sessions, packet, bytes, size);
    other = sessions_envelope(sessions, packet);
    sl_body_hash(other.body, other.body_size, story->chain[1]);
    story->is_split = true;
    story->others |= bit(packet->to);
}

/* A liar that follows both LISTs confirms to each half what that half follows. */
static void follow_both(struct story *story, struct sessions *sessions, struct sessions_packet *packet)
{
    struct sl_envelope envelope = sessions_envelope(sessions, packet);
    struct sl_confirm confirm;
    if (!story->is_split || packet->type != SL_MESSAGE_CONFIRM || sl_read_confirm(&envelope, &confirm) != SL_OK) return;
    uint8_t bytes[512];
    memcpy(confirm.chain, story->chain[(story->others & bit(packet->to)) != 0], 32);
    struct sl_writer writer = sessions_write(sessions, packet->author, SL_MESSAGE_CONFIRM, bytes, sizeof bytes);
    sl_write_confirm(&writer, &confirm);
    sessions_replace(sessions, packet, bytes, sessions_seal(sessions, packet->author, SL_MESSAGE_CONFIRM, &writer));
}

static void lie_in_shares(const struct attack *attack, struct sessions *sessions, struct sessions_packet *packet)
{
    static struct sl_shares shares;
    struct sl_envelope envelope = sessions_envelope(sessions, packet);
    uint8_t bytes[5120], box[SL_BOX_SIZE];
    if (sl_read_shares(&envelope, &shares) != SL_OK) return;
    struct sl_dealt *dealt = &shares.dealt[attack->target];
    if (!dealt->box) return;
    memcpy(box, dealt->box, sizeof box);
    if (attack->kind == BAD_BOX) box[7] ^= 1;
    if (attack->kind == BAD_MASK_TAG) dealt->mask_tag[7] ^= 1;
    if (attack->kind == BAD_BOX_TAG) dealt->to_tag[7] ^= 1;
    dealt->box = box;
    struct sl_writer writer = sessions_write(sessions, packet->author, SL_MESSAGE_SHARES, bytes, sizeof bytes);
    sl_write_shares(&writer, &shares);
    size_t size = sessions_seal(sessions, packet->author, SL_MESSAGE_SHARES, &writer);
    sessions_replace(sessions, packet, bytes, size);
}

static void lie_in_audit(const struct attack *attack, struct sessions *sessions, struct sessions_packet *packet)
{
    static struct sl_audit audit;
    struct sl_envelope envelope = sessions_envelope(sessions, packet);
    uint8_t bytes[3072];
    if (sl_read_audit(&envelope, &audit) != SL_OK) return;
    uint32_t sign = attack->target > packet->author ? 1 : (uint32_t)-1;
    if (attack->kind == BAD_PAIR_SKETCH) audit.pair[attack->target][0] += 5, audit.input[0] -= 5 * sign;
    else audit.self[0] += 5, audit.input[0] -= 5;
    if (sessions->setup.ring_bits == 16) audit.input[0] &= 0xffff, audit.self[0] &= 0xffff, audit.pair[attack->target][0] &= 0xffff;
    struct sl_writer writer = sessions_write(sessions, packet->author, SL_MESSAGE_AUDIT, bytes, sizeof bytes);
    sl_write_audit(&writer, &audit);
    size_t size = sessions_seal(sessions, packet->author, SL_MESSAGE_AUDIT, &writer);
    sessions_replace(sessions, packet, bytes, size);
}

/* Beside the initiator's LIST, before it: one of the liar's, without the target. */
static void second_list(const struct attack *attack, struct sessions *sessions, const struct sessions_packet *packet)
{
    struct sl_envelope envelope = sessions_envelope(sessions, packet);
    struct sl_list list;
    uint8_t bytes[4096];
    if (packet->sender != sessions->setup.initiator || sl_read_list(&envelope, &list) != SL_OK || !(list.members & bit(attack->target))) return;
    size_t size = other_list(sessions, attack->liar, attack->target, &list, bytes, sizeof bytes);
    sessions_send(sessions, attack->liar, packet->to == attack->liar ? attack->target : packet->to, bytes, size);
}

static enum sessions_fate attack_one(struct story *story, const struct attack *attack, struct sessions *sessions, struct sessions_packet *packet)
{
    bool is_own = packet->sender == attack->liar && packet->author == attack->liar, is_list = packet->type == SL_MESSAGE_LIST;
    switch (attack->kind) {
    case DELAY:
        if (packet->author != attack->target || packet->step != attack->step) return SESSIONS_DELIVER;
        packet->until = SESSIONS_TICK(attack->step, SL_MOMENT_BACKUP);
        return SESSIONS_DELAY;
    case WITHHOLD: return is_own && packet->step == attack->step && packet->to == attack->target ? SESSIONS_DROP : SESSIONS_DELIVER;
    case SPLIT_LIST:
        if (is_own && is_list && packet->step == attack->step) split_list(story, attack, sessions, packet);
        break;
    case SECOND_LIST:
        if (is_list && packet->step == attack->step && packet->author == packet->sender && packet->to != attack->liar)
            second_list(attack, sessions, packet);
        break;
    case BAD_BOX: case BAD_MASK_TAG: case BAD_BOX_TAG:
        if (is_own && packet->type == SL_MESSAGE_SHARES) lie_in_shares(attack, sessions, packet);
        break;
    default:
        if (is_own && packet->type == SL_MESSAGE_AUDIT) lie_in_audit(attack, sessions, packet);
    }
    return SESSIONS_DELIVER;
}

static enum sessions_fate on_packet(void *context, struct sessions *sessions, struct sessions_packet *packet)
{
    struct story *story = context;
    bool is_liars = (story->liars & bit(packet->sender)) && packet->sender == packet->author;
    for (uint32_t a = 0; a < story->n_attacks; a++) {
        enum sessions_fate fate = attack_one(story, &story->attacks[a], sessions, packet);
        if (fate != SESSIONS_DELIVER) return fate;
    }
    if (is_liars) follow_both(story, sessions, packet);
    return SESSIONS_DELIVER;
}

/* ---- runs ---- */

struct tally { uint32_t runs, finished, views; };

/* Every coalition of liars and bystanders that is small enough. */
static bool is_secret(const struct sessions *sessions, uint64_t liars, enum weakness weakness, struct tally *tally)
{
    uint32_t n = sessions->setup.n, most = sl_quorum_colluders(n);
    bool is_secret = true;
    for (uint64_t coalition = 0; coalition < bit(n); coalition++) {
        if (count_bits(coalition) > most || (liars & ~coalition)) continue;
        struct view view = look(sessions, coalition, weakness);
        uint64_t leaked = leak(&view);
        tally->views++;
        if (leaked || (view.twice & ~coalition)) {
            is_secret = false;
            if (weakness == SOUND)
                printf("  coalition %" PRIx64 " computes a sum of %" PRIx64 " only; said twice %" PRIx64 "\n", coalition, leaked, view.twice & ~coalition);
        }
    }
    return is_secret;
}

static bool finish(struct sessions *sessions, uint64_t liars, struct tally *tally)
{
    sessions_run(sessions);
    bool is_done = false, is_fine = is_secret(sessions, liars, SOUND, tally);
    for (uint32_t i = 0; i < sessions->setup.n; i++) {
        if (liars & bit(i)) continue;
        if (sl_session_sum(sessions->members[i].session) && sl_session_state(sessions->members[i].session) == SL_SESSION_DONE) is_done = true;
    }
    tally->runs++;
    tally->finished += is_done;
    sessions_free(sessions);
    return is_fine;
}

/* Each member stays, or vanishes at one of six steps: all combinations. */
static uint32_t patterns(uint32_t n, uint32_t stride, struct tally *tally)
{
    static const uint32_t steps[] = {SL_STEP_COUNT, SL_STEP_SHARES, SL_STEP_COMMIT, SL_STEP_OPEN, SL_STEP_AUDIT, SL_STEP_CONFIRM, SL_STEP_UNMASK};
    uint32_t n_patterns = 1, n_wrong = 0;
    for (uint32_t i = 0; i < n; i++) n_patterns *= 7;
    for (uint32_t pattern = 0; pattern < n_patterns; pattern += stride) {
        struct sessions *sessions = sessions_begin(&(struct sessions_setup){.n = n, .dim = 2, .ring_bits = 32, .rows = 8, .seed = pattern});
        for (uint32_t i = 0, rest = pattern; i < n; i++, rest /= 7)
            if (rest % 7) sessions_silence(sessions, i, steps[rest % 7], pattern % 3);
        if (finish(sessions, 0, tally)) continue;
        printf("secrecy patterns %" PRIu32 ": pattern %" PRIu32 " leaks\n", n, pattern);
        n_wrong++;
    }
    return n_wrong;
}

static uint32_t attack_all_steps(uint32_t n, enum attack_kind kind, struct tally *tally)
{
    uint32_t n_wrong = 0;
    for (uint32_t liar = 0; liar < n; liar++)
        for (uint32_t target = 0; target < n; target++)
            for (uint32_t step = SL_STEP_SHARES; step < SL_STEP_COUNT; step++) {
                bool of_lists = kind == SPLIT_LIST || kind == SECOND_LIST, of_any_step = kind == DELAY || kind == WITHHOLD;
                bool makes_sense = of_lists ? step % 2 == 0 && step <= SL_STEP_LIST_AUDIT : of_any_step || step == SL_STEP_SHARES;
                if (target == liar || !makes_sense || (kind == SPLIT_LIST && liar != 0) || (kind == SECOND_LIST && liar == 0)) continue;

                struct story story = {.liars = bit(liar), .attacks = {{kind, liar, target, step}}, .n_attacks = 1};
                struct sessions *sessions = sessions_begin(&(struct sessions_setup){.n = n, .dim = 4, .ring_bits = 16, .rows = 8, .seed = step,
                                                           .tap = on_packet, .context = &story});
                if (finish(sessions, story.liars, tally)) continue;
                printf("secrecy attacks: %" PRIu32 " members, %s: liar %" PRIu32 ", target %" PRIu32 ", step %" PRIu32 " leaks\n", n, attack_names[kind], liar,
                       target, step);
                n_wrong++;
            }
    return n_wrong;
}

static uint32_t attacks(void)
{
    uint32_t n_wrong = 0;
    for (uint32_t kind = 0; kind < ATTACK_KINDS; kind++) {
        struct tally tally = {0};
        for (uint32_t n = 4; n <= 5; n++) n_wrong += attack_all_steps(n, kind, &tally);
        printf("%-48s %5" PRIu32 " runs, %5" PRIu32 " finished, %6" PRIu32 " views\n", attack_names[kind], tally.runs, tally.finished, tally.views);
    }
    return n_wrong;
}

/* One to four attacks of up to f liars, the initiator often among them, and members that vanish. */
static bool random_run(uint64_t seed, struct tally *tally)
{
    static const uint8_t key[32] = "secrecy";
    struct sl_rng base, rng;
    sl_rng_init(&base, key);
    rng = sl_rng_fork(&base, "run", seed);
    uint32_t n = 6 + sl_rng_below(&rng, 3), most = sl_quorum_colluders(n), liars[SESSIONS_MAX];
    for (uint32_t i = 0; i < n; i++) liars[i] = i;
    sl_rng_shuffle(&rng, liars, n);
    if (sl_rng_below(&rng, 2)) liars[0] = 0;

    struct story story = {.n_attacks = 1 + sl_rng_below(&rng, ATTACKS_MAX)};
    for (uint32_t a = 0; a < story.n_attacks; a++) {
        struct attack *attack = &story.attacks[a];
        *attack = (struct attack){.kind = sl_rng_below(&rng, ATTACK_KINDS), .liar = liars[sl_rng_below(&rng, most)], .target = sl_rng_below(&rng, n),
                                  .step = SL_STEP_SHARES + sl_rng_below(&rng, SL_STEP_COUNT - 1)};
        if (attack->target == attack->liar) attack->target = (attack->target + 1) % n;
        story.liars |= bit(attack->liar);
    }
    struct sessions *sessions = sessions_begin(&(struct sessions_setup){
        .n = n, .dim = 2, .ring_bits = sl_rng_below(&rng, 2) ? 32 : 16, .rows = sl_rng_below(&rng, 4) ? 8 : 0, .seed = seed, .tap = on_packet,
        .context = &story, .shuffles = sl_rng_below(&rng, 2), .loss = sl_rng_below(&rng, 4) ? 0 : .1});
    for (uint32_t gone = sl_rng_below(&rng, 3); gone > 0; gone--)
        sessions_silence(sessions, sl_rng_below(&rng, n), SL_STEP_SHARES + sl_rng_below(&rng, SL_STEP_COUNT - 1), sl_rng_below(&rng, n));
    bool is_fine = finish(sessions, story.liars, tally);
    if (!is_fine) printf("secrecy random %" PRIu64 " 1: leaks\n", seed);
    return is_fine;
}

/* ---- the one who is left out, and flaws that must be found ---- */

static uint32_t expect(bool holds, const char *text)
{
    printf("%-100s %s\n", text, holds ? "yes" : "NO");
    return !holds;
}

static uint32_t weaknesses(void)
{
    enum { TARGET = 2 };
    struct tally tally = {0};
    uint32_t n_wrong = 0;
    struct sessions *sessions = sessions_begin(&(struct sessions_setup){.n = 5, .dim = 4, .ring_bits = 32, .rows = 8, .seed = 1});
    sessions_rule(sessions, &(struct sessions_rule){.type = SL_MESSAGE_AUDIT, .step = SESSIONS_ANY, .author = TARGET, .sender = SESSIONS_ANY,
                                                    .to = SESSIONS_ANY, .fate = SESSIONS_DELAY, .until = SESSIONS_TICK(SL_STEP_AUDIT, SL_MOMENT_CLOSE)});
    sessions_run(sessions);
    struct view view = look(sessions, bit(1), SOUND);
    bool is_out = sessions_is_done(sessions, 0) && !(sessions_last_set(sessions, 0) & bit(TARGET));
    n_wrong += expect(is_out && sl_session_serves(sessions->members[0].session, TARGET),
                      "a member whose AUDIT is delayed is left out of U, its vector is open");
    n_wrong += expect((view.mask_secret & bit(TARGET)) && !(view.self & bit(TARGET)), "its mask secret is known to all, its own seed to nobody");
    n_wrong += expect(is_secret(sessions, 0, SOUND, &tally), "it stays hidden, and so do the others");
    n_wrong += expect(!is_secret(sessions, 0, ONE_KEY, &tally), "with one key for masks and boxes it would not: found");
    n_wrong += expect(!is_secret(sessions, 0, BOTH_SHARES, &tally), "with both shares of one member no sum would be safe: found");
    sessions_free(sessions);
    return n_wrong;
}

int main(int argc, char **argv)
{
    struct tally tally = {0};
    uint32_t n_wrong = 0;
    if (argc == 4 && strcmp(argv[1], "patterns") == 0) n_wrong = patterns((uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]), &tally);
    else if (argc == 4 && strcmp(argv[1], "random") == 0)
        for (int k = 0; k < atoi(argv[3]); k++) n_wrong += !random_run((uint64_t)(atoi(argv[2]) + k), &tally);
    else if (argc == 2 && strcmp(argv[1], "attacks") == 0) n_wrong = attacks();
    else if (argc == 2 && strcmp(argv[1], "weakness") == 0) n_wrong = weaknesses();
    else {
        fprintf(stderr, "usage: secrecy patterns C STRIDE | attacks | random FIRST COUNT | weakness\n");
        return 2;
    }
    if (tally.runs) printf("%" PRIu32 " runs, %" PRIu32 " finished, %" PRIu32 " views of coalitions, %" PRIu32 " leak\n",
                           tally.runs, tally.finished, tally.views, n_wrong);
    return n_wrong > 0;
}
