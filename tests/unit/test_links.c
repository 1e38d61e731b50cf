/* SPDX-License-Identifier: MIT */
/* Connections: dialled when needed, kept for partners, closed to who has no business here; and what HELLOs tell about clocks. */
#include <criterion/criterion.h>
#include <string.h>

#include "forge.h"
#include "starling/error.h"
#include "wire/certificate.h"

enum { N_LISTED = 12, STRANGER = 12, HOURS = 3600 };

static struct stage *stage;
static struct forged *forged;

static void make_stage(void)
{
    stage = stage_new(&(struct stage_options){.n_puppets = 40, .n_listed = N_LISTED, .seed = 3, .settings = {"link.max=8", "outbox.size=6"}});
    stage_start(stage);
}

static void drop_stage(void)
{
    forge_destroy(&forged);
    stage_destroy(&stage);
}

TestSuite(links, .init = make_stage, .fini = drop_stage);

static struct sl_view_peer *peer_of(uint32_t puppet)
{
    return sl_view_find(&stage->node->view, stage->puppets[puppet].id);
}

static uint32_t n_open(void)
{
    return stage_status(stage).links_up;
}

/* Makes the core send a small message to a puppet. */
static void make_it_send(uint32_t puppet)
{
    static const uint8_t bytes[] = {1, 2, 3};
    struct contact contact = contact_of(peer_of(puppet));
    links_send_to(stage->node, &contact, bytes, sizeof bytes);
}

static uint32_t n_waiting(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < stage->node->links.n_waiting_max; i++) n += stage->node->links.waiting[i].used;
    return n;
}

static struct introduction hello_of(uint32_t puppet, uint64_t time_us)
{
    struct introduction hello = puppet_introduction(stage, puppet);
    hello.time_us = time_us;
    return hello;
}

static void say_hello(uint32_t puppet, const struct introduction *hello)
{
    struct sl_writer writer = puppet_begin(stage, puppet, SL_MESSAGE_HELLO, stage_epoch(stage), NULL);
    puppet_write_hello(stage, puppet, &writer, hello);
    puppet_say(stage, puppet, &writer, SL_MESSAGE_HELLO);
}

static void pull(uint32_t puppet)
{
    struct sl_pull body = {.epoch = stage_epoch(stage)};
    memcpy(body.member, stage->puppets[puppet].id, 32);
    struct sl_writer writer = puppet_begin(stage, puppet, SL_MESSAGE_PULL, body.epoch, NULL);
    sl_write_pull(&writer, &body);
    puppet_say(stage, puppet, &writer, SL_MESSAGE_PULL);
}

/* ---- dialling ---- */

Test(links, dials_on_demand_once_and_sends_what_waited_when_the_link_is_up)
{
    stage->ignores_dials = true;
    stage_hush(stage);
    stage_to_phase(stage, .8799);
    cr_assert_eq(stage->n_dials, 0, "nobody is dialled without need");
    stage_to_phase(stage, .8801);                        /* it pulls from six peers */
    cr_assert_eq(stage->n_dials, 6);
    cr_assert_eq(n_waiting(), 6);
    stage_to_phase(stage, .93);                          /* and asks the silent again */
    cr_assert_eq(stage->n_dials, 8, "one dial each, as far as the table goes");
    for (uint32_t i = 0; i < stage->n_dials; i++)
        for (uint32_t j = 0; j < i; j++) cr_assert_neq(memcmp(stage->dials[i].transport_key, stage->dials[j].transport_key, 32), 0, "dialled twice");
    cr_assert_eq(stage->n_sent, 0);

    stage->ignores_dials = false;
    stage_jump_to(stage, stage->now_us + 1);

    cr_assert_eq(n_waiting(), 0);
    cr_assert_geq(stage_count(stage, SL_MESSAGE_PULL), 6);
    for (uint32_t i = 0; i < stage->n_sent; i++) {
        bool hello_came = false;
        for (uint32_t j = 0; j < i; j++) hello_came |= stage->sent[j].to == stage->sent[i].to && stage->sent[j].type == SL_MESSAGE_HELLO;
        cr_assert(hello_came || stage->sent[i].type == SL_MESSAGE_HELLO, "HELLO comes first");
    }
}

Test(links, forgets_what_waited_for_a_peer_that_refuses)
{
    for (uint32_t i = 0; i < N_LISTED; i++) stage->refuses[i] = true;
    stage_to_phase(stage, .9);

    cr_assert_eq(n_waiting(), 0);
    cr_assert_eq(n_open(), 0);
    uint32_t n_missed = 0;
    for (uint32_t i = 0; i < N_LISTED; i++) n_missed += peer_of(i)->misses > 0;
    cr_assert_geq(n_missed, 6);
}

Test(links, lets_nothing_wait_for_a_peer_that_cannot_be_dialled)
{
    peer_of(3)->address[0] = 0;
    for (int i = 0; i < 20; i++) make_it_send(3);
    cr_assert_eq(n_waiting(), 0, "or the outbox would be full for ever");

    make_it_send(4);
    cr_assert_eq(n_waiting(), 1);
}

Test(links, does_not_believe_an_answer_with_another_key_or_to_no_dial)
{
    stage->ignores_dials = true;
    stage_to_phase(stage, .8801);
    stage->n_pending = 0;
    stage_change(stage, stage->dials[0].link, SL_LINK_UP, stage->puppets[STRANGER].transport_public);
    stage_change(stage, 9999, SL_LINK_UP, stage->puppets[0].transport_public);
    stage_change(stage, 9998, SL_LINK_DOWN, NULL);
    stage_change(stage, SL_LINK_INBOUND + 70000, SL_LINK_REFUSED, NULL);

    cr_assert_eq(n_open(), 0);
    cr_assert_eq(stage->n_sent, 0);
}

Test(links, ignores_messages_of_links_it_does_not_have)
{
    stage_connect(stage, 0);
    struct sl_pull body = {.epoch = 1};
    struct sl_writer writer = puppet_begin(stage, 0, SL_MESSAGE_PULL, 1, NULL);
    sl_write_pull(&writer, &body);
    size_t size = puppet_seal(stage, 0, &writer, SL_MESSAGE_PULL);
    stage_deliver(stage, 12345, stage->out, size);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_NONE), 0);
}

/* ---- a full table ---- */

Test(links, hangs_up_the_link_that_was_silent_longest_when_the_table_is_full)
{
    for (uint32_t i = 0; i < 8; i++) {
        stage_connect(stage, i);
        stage->now_us += 1000;
    }
    pull(0);                                             /* the oldest is the freshest now */
    stage->now_us += 1000;
    uint32_t expected = stage->link[1];
    stage_connect(stage, 8);

    cr_assert_eq(n_open(), 8);
    cr_assert_eq(stage->n_hangups, 1);
    cr_assert_eq(stage->hangups[0], expected);
}

Test(links, hangs_up_as_many_in_one_step_as_it_may_have_open)
{
    stage_destroy(&stage);
    stage = stage_new(&(struct stage_options){.n_puppets = 4, .settings = {"link.max=1024", "link.inbound=1024"}});
    stage_start(stage);
    for (uint32_t i = 0; i < 1000; i++) {
        uint8_t key[32] = {0x80, (uint8_t)i, (uint8_t)(i >> 8)};
        stage_change(stage, SL_LINK_INBOUND + 1000 + i, SL_LINK_UP, key);
    }
    uint32_t n_before = stage->node->actions.n_hangups;
    links_close_all(stage->node);
    cr_assert_geq(stage->node->actions.n_hangups - n_before, 1000, "what the core forgets, the driver must close");
}

Test(links, hangs_up_strangers_before_anybody_it_knows)
{
    for (uint32_t i = 0; i < 7; i++) stage_connect(stage, i);
    stage->now_us += 1000000;
    for (uint32_t i = STRANGER; i < STRANGER + 20; i++) stage_connect(stage, i);

    for (uint32_t i = 0; i < 7; i++) cr_assert_neq(stage->link[i], 0, "a flood of strangers must not push out puppet %u", i);
    cr_assert_eq(n_open(), 8);
}

Test(links, keeps_its_partners_when_the_table_is_full)
{
    forged = forge_cohort(stage, 3);
    for (uint32_t i = 0; i < 3; i++) stage_connect(stage, i);
    for (uint32_t round = 0; round < 3; round++)
        for (uint32_t i = 3; i < N_LISTED; i++) {
            stage->now_us += 1000;
            stage_connect(stage, i);
        }

    for (uint32_t i = 0; i < 3; i++) cr_assert_neq(stage->link[i], 0, "partner %u", i);
    cr_assert_eq(n_open(), 8);
}

/* ---- strangers ---- */

Test(links, lets_an_admitted_stranger_in_by_its_hello)
{
    struct introduction hello = hello_of(STRANGER, stage->now_us);
    say_hello(STRANGER, &hello);
    pull(STRANGER);

    cr_assert_neq(stage->link[STRANGER], 0);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_NONE, STRANGER), 1, "it is answered");
    cr_assert_not_null(peer_of(STRANGER), "and it is a peer from now on");
    cr_assert(peer_of(STRANGER)->proven && !peer_of(STRANGER)->prepared);
}

Test(links, listens_to_no_stranger_without_hello)
{
    uint64_t refused = stage_status(stage).messages_refused;
    pull(STRANGER);

    cr_assert_eq(stage_count(stage, SL_MESSAGE_NONE), 0);
    cr_assert_eq(stage_status(stage).messages_refused, refused + 1);
}

enum lie { LIE_CERTIFICATE, LIE_OPERATOR, LIE_EXPIRED, LIE_SUBJECT, LIE_TRANSPORT, LIE_SIGNATURE, LIE_FROM, LIE_COUNT };

Test(links, hangs_up_a_stranger_whose_hello_does_not_hold)
{
    uint8_t other_public[32], other_secret[64], seed[32] = {6}, certificate[SL_PEER_CERTIFICATE_MAX];
    crypto_sign_seed_keypair(other_public, other_secret, seed);
    for (uint32_t lie = 0; lie < LIE_COUNT; lie++) {
        uint32_t puppet = STRANGER + lie, signer = lie == LIE_FROM ? STRANGER + LIE_COUNT : puppet;
        const struct sl_identity *identity = &stage->puppets[puppet];
        struct introduction hello = hello_of(puppet, stage->now_us);
        if (lie == LIE_CERTIFICATE) {
            memcpy(certificate, identity->certificate, identity->certificate_size);
            certificate[identity->certificate_size / 2] ^= 1;
            hello.advert.certificate = certificate;
        }
        if (lie == LIE_OPERATOR || lie == LIE_EXPIRED || lie == LIE_SUBJECT) {
            const uint8_t *issuer = lie == LIE_OPERATOR ? other_secret : stage->operator_secret;
            const uint8_t *subject = lie == LIE_SUBJECT ? stage->puppets[puppet + 1].id : identity->id;
            hello.advert.certificate_size = stage_admit(stage, issuer, subject, lie == LIE_EXPIRED ? stage->now_us / 1000000 - 1 : UINT32_MAX, certificate);
            hello.advert.certificate = certificate;
        }
        if (lie == LIE_TRANSPORT) memcpy(hello.advert.transport_public, stage->puppets[0].transport_public, 32);
        stage_connect(stage, puppet);
        uint32_t link = stage->link[puppet];
        struct sl_writer writer = puppet_begin(stage, signer, SL_MESSAGE_HELLO, stage_epoch(stage), NULL);
        puppet_write_hello(stage, signer, &writer, &hello);
        size_t size = puppet_seal(stage, signer, &writer, SL_MESSAGE_HELLO);
        if (lie == LIE_SIGNATURE) stage->out[size - 1] ^= 1;
        stage_deliver(stage, link, stage->out, size);

        cr_assert_eq(stage->n_hangups, lie + 1, "lie %u", lie);
        cr_assert_eq(stage->hangups[lie], link, "lie %u", lie);
        cr_assert_eq(stage->told[SL_TRACE_STRANGER].n, lie + 1, "lie %u", lie);
    }
}

Test(links, hangs_up_a_known_peer_that_says_it_is_another)
{
    stage_connect(stage, 0);
    uint32_t link = stage->link[0];
    struct introduction hello = hello_of(1, stage->now_us);
    struct sl_writer writer = puppet_begin(stage, 1, SL_MESSAGE_HELLO, stage_epoch(stage), NULL);
    puppet_write_hello(stage, 1, &writer, &hello);
    size_t size = puppet_seal(stage, 1, &writer, SL_MESSAGE_HELLO);
    stage_deliver(stage, link, stage->out, size);

    cr_assert_eq(stage->n_hangups, 1);
}

Test(links, takes_no_message_of_another_network_or_of_noise)
{
    stage_connect(stage, 0);
    struct sl_pull body = {.epoch = 1};
    const uint8_t other[32] = {1}, none[32] = {0};
    uint64_t refused = stage_status(stage).messages_refused;
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_PULL, other, 1, none, stage->puppets[0].id, stage->out, sizeof stage->out);
    sl_write_pull(&writer, &body);
    size_t size = puppet_seal(stage, 0, &writer, SL_MESSAGE_PULL);
    puppet_deliver(stage, 0, stage->out, size);
    puppet_deliver(stage, 0, stage->out, size - 1);
    puppet_deliver(stage, 0, stage->out, 0);
    memset(stage->out, 0xff, 1000);
    puppet_deliver(stage, 0, stage->out, 1000);

    cr_assert_eq(stage_status(stage).messages_refused, refused + 4);
    cr_assert_eq(stage->told[SL_TRACE_MALFORMED].n, 4);
}

/* ---- budget ---- */

Test(links, hangs_up_who_sends_more_than_its_budget)
{
    stage_connect(stage, 0);
    for (int i = 0; i < QUOTA_MESSAGES && stage->link[0]; i++) pull(0);
    cr_assert_neq(stage->link[0], 0);

    pull(0);

    cr_assert_eq(stage->n_hangups, 1);
    cr_assert_eq(stage->told[SL_TRACE_OVER_BUDGET].n, 1);
}

Test(links, gives_new_budget_as_time_goes_by)
{
    stage_connect(stage, 0);
    for (int i = 0; i < QUOTA_MESSAGES; i++) pull(0);
    stage_run_to(stage, stage->now_us + stage->config.epoch_us / 4);
    for (int i = 0; i < QUOTA_MESSAGES / 4 - 2; i++) pull(0);
    cr_assert_neq(stage->link[0], 0, "a quarter of the epoch gives a quarter of the budget");

    for (int i = 0; i < 4 && stage->link[0] != 0 && stage->n_hangups == 0; i++) pull(0);
    cr_assert_eq(stage->n_hangups, 1, "and not more");
}

Test(links, gives_a_peer_that_reconnects_no_new_budget)
{
    stage_connect(stage, 0);
    for (int i = 0; i < QUOTA_MESSAGES; i++) pull(0);
    stage_change(stage, stage->link[0], SL_LINK_DOWN, NULL);
    stage_connect(stage, 0);
    cr_assert_eq(stage->n_hangups, 0);

    pull(0);

    cr_assert_eq(stage->n_hangups, 1);
    cr_assert_eq(stage->told[SL_TRACE_OVER_BUDGET].n, 1);
}

/* ---- two links to one peer ---- */

Test(links, closes_the_first_inbound_link_of_a_peer_when_a_second_comes)
{
    uint32_t first = stage_inbound(stage, stage->puppets[0].transport_public), second = stage_inbound(stage, stage->puppets[0].transport_public);

    cr_assert_eq(stage->n_hangups, 1);
    cr_assert_eq(stage->hangups[0], first);
    cr_assert_eq(n_open(), 1);
    cr_assert_eq(links_to(stage->node, stage->puppets[0].id)->number, second);
}

Test(links, closes_the_first_link_of_a_stranger_when_a_second_has_proven_the_same_identity)
{
    struct introduction hello = hello_of(STRANGER, stage->now_us);
    uint32_t first = stage_inbound(stage, stage->puppets[STRANGER].transport_public);
    say_hello(STRANGER, &hello);
    cr_assert_eq(stage->n_hangups, 0, "nobody yet");
    uint32_t second = stage_inbound(stage, stage->puppets[STRANGER].transport_public);       /* its key is known to be its own by now */

    cr_assert_eq(stage->n_hangups, 1);
    cr_assert_eq(stage->hangups[0], first);
    cr_assert_eq(links_to(stage->node, stage->puppets[STRANGER].id)->number, second);
}

Test(links, prefers_the_newest_link_to_a_peer)
{
    stage->ignores_dials = true;
    stage_hush(stage);
    stage_to_phase(stage, .8801);                        /* it dials those it pulls from */
    const struct sl_dial dial = stage->dials[0];
    stage->n_pending = 0;
    uint32_t puppet = 0;
    while (!sl_hash_equal(stage->puppets[puppet].transport_public, dial.transport_key)) puppet++;
    const uint8_t *id = stage->puppets[puppet].id;

    uint32_t inbound = stage_inbound(stage, dial.transport_key);
    cr_assert_eq(links_to(stage->node, id)->number, inbound);
    stage->now_us += 1000;
    stage_change(stage, dial.link, SL_LINK_UP, dial.transport_key);
    cr_assert_eq(links_to(stage->node, id)->number, dial.link, "the dial was answered later");
    stage->now_us += 1000;
    inbound = stage_inbound(stage, dial.transport_key);
    cr_assert_eq(links_to(stage->node, id)->number, inbound, "the peer restarted: it dials us anew");

    stage_change(stage, inbound, SL_LINK_DOWN, NULL);
    cr_assert_eq(links_to(stage->node, id)->number, dial.link, "what is left");
}

/* ---- clocks ---- */

static void hellos(uint32_t n, int64_t off_us)
{
    for (uint32_t i = 0; i < n; i++) {
        struct introduction hello = hello_of(i, (uint64_t)((int64_t)stage->now_us + off_us));
        say_hello(i, &hello);
    }
}

Test(links, joins_no_cohort_while_its_clock_is_hours_off_and_says_so)
{
    hellos(5, (int64_t)3 * HOURS * 1000000);

    struct sl_status status = stage_status(stage);
    cr_assert(status.stalled);
    cr_assert_str_eq(status.reason, "its clock is 10800 s off against 5 peers");
    cr_assert_eq(stage->told[SL_TRACE_CLOCK].n, 1);

    for (int i = 0; i < 12; i++) {
        stage_next_epoch(stage);
        cr_assert_eq(stage->node->formation.state, FORMATION_IDLE);
    }
    cr_assert_eq(stage_count(stage, SL_MESSAGE_PROPOSE), 0);
    cr_assert_geq(stage->told[SL_TRACE_NO_COHORT].n, 12);
}

Test(links, comes_back_when_its_peers_agree_with_its_clock_again)
{
    hellos(5, -(int64_t)3 * HOURS * 1000000);
    cr_assert(stage_status(stage).stalled);

    hellos(5, 0);

    cr_assert_not(stage_status(stage).stalled);
    stage_next_epoch(stage);
    cr_assert_neq(stage->node->formation.state, FORMATION_IDLE);
}

Test(links, does_not_doubt_its_clock_for_the_word_of_two_or_of_a_minority)
{
    hellos(2, (int64_t)3 * HOURS * 1000000);
    cr_assert_not(stage_status(stage).stalled, "two could both be wrong");

    for (uint32_t i = 2; i < 5; i++) {
        struct introduction hello = hello_of(i, stage->now_us);
        say_hello(i, &hello);
    }
    cr_assert_not(stage_status(stage).stalled, "two of five");
}

static void hello_with(uint32_t *puppet, uint32_t n, int64_t off_us)
{
    for (uint32_t i = 0; i < n; i++, (*puppet)++) {
        struct introduction hello = hello_of(*puppet, (uint64_t)((int64_t)stage->now_us + off_us));
        say_hello(*puppet, &hello);
    }
}

/* Both middle values must be off to the same side, of a majority of the view or of five, and of three at least. */
Test(links, doubts_its_clock_only_for_more_than_half_of_enough_witnesses)
{
    static const struct { uint32_t n_listed, n_ahead, n_behind, n_right; bool doubts; } cases[] = {
        {4, 2, 0, 2, false}, {4, 3, 0, 1, true}, {4, 0, 3, 1, true}, {4, 2, 2, 0, false}, {4, 3, 0, 0, true}, {4, 1, 1, 2, false}, {4, 0, 2, 2, false},
        {3, 2, 0, 0, false}, {3, 2, 0, 1, true}, {3, 1, 0, 2, false}, {2, 2, 0, 0, false},
        {6, 3, 0, 0, false}, {6, 4, 0, 0, true}, {6, 3, 0, 3, false}, {6, 3, 3, 0, false},
        {8, 4, 0, 0, false}, {8, 5, 0, 0, true}, {8, 4, 0, 4, false}, {8, 5, 0, 3, true},
        {20, 4, 0, 0, false}, {20, 5, 0, 0, true}, {20, 5, 0, 4, true}, {20, 5, 0, 5, false}};
    struct stage *kept = stage;
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int right_first = 0; right_first < 2; right_first++) {
            uint32_t puppet = 0;
            int64_t right_us = cases[i].n_ahead > 0 ? 10000000 : -10000000;          /* not quite, and to the same side */
            stage = stage_new(&(struct stage_options){.n_puppets = cases[i].n_listed, .seed = 2});
            stage_start(stage);
            if (right_first) hello_with(&puppet, cases[i].n_right, right_us);
            hello_with(&puppet, cases[i].n_ahead, (int64_t)HOURS * 1000000);
            hello_with(&puppet, cases[i].n_behind, -(int64_t)HOURS * 1000000);
            if (!right_first) hello_with(&puppet, cases[i].n_right, right_us);

            cr_assert_eq(stage->node->clock_peers > 0, cases[i].doubts, "%u listed: %u ahead, %u behind, %u right", cases[i].n_listed,
                         cases[i].n_ahead, cases[i].n_behind, cases[i].n_right);
            stage_destroy(&stage);
        }
    stage = kept;
}

Test(links, minds_no_clock_that_is_off_by_an_epoch_or_less)
{
    int64_t epoch_us = (int64_t)stage->config.epoch_us;
    hellos(5, epoch_us);
    cr_assert_not(stage_status(stage).stalled);

    hellos(5, epoch_us + 1000);
    cr_assert(stage_status(stage).stalled);
}

Test(links, is_not_shaken_by_absurd_times)
{
    struct introduction hello = hello_of(0, UINT64_MAX);
    say_hello(0, &hello);
    hello = hello_of(1, 0);
    say_hello(1, &hello);
    hello = hello_of(2, UINT64_MAX / 2);
    say_hello(2, &hello);
    cr_assert_not(stage_status(stage).stalled, "three are no majority");
    hello = hello_of(3, UINT64_MAX);
    say_hello(3, &hello);
    hello = hello_of(4, UINT64_MAX / 2);
    say_hello(4, &hello);

    cr_assert(stage_status(stage).stalled, "all five far away, four of them ahead");
    cr_assert(strstr(stage_status(stage).reason, "against"), "%s", stage_status(stage).reason);
}

Test(links, tells_its_time_on_each_inbound_link_also_to_a_peer_that_restarts_and_not_without_end)
{
    for (int i = 0; i < 3; i++) {
        stage_forget(stage);
        struct introduction hello = hello_of(0, stage->now_us);
        say_hello(0, &hello);
        cr_assert_eq(stage_count_to(stage, SL_MESSAGE_HELLO, 0), 1, "link %d: a peer whose clock is wrong must hear ours", i);
        for (int again = 0; again < 20; again++) say_hello(0, &hello);
        cr_assert_eq(stage_count_to(stage, SL_MESSAGE_HELLO, 0), 1 + HELLOS_REPEATED_MAX, "an answer may be lost, but not that often");
        stage_change(stage, stage->link[0], SL_LINK_DOWN, NULL);
        stage->link[0] = 0;
        stage->n_pending = 0;
    }
}

Test(links, asks_neither_the_banned_nor_the_dead_what_time_it_is)
{
    hellos(5, (int64_t)3 * HOURS * 1000000);
    for (uint32_t i = 5; i < 9; i++) {
        struct introduction hello = hello_of(i, stage->now_us);
        say_hello(i, &hello);
    }
    cr_assert(stage_status(stage).stalled, "five of nine say so");

    stage_control(stage, SL_CONTROL_BAN, 0);
    stage_control(stage, SL_CONTROL_BAN, 1);
    cr_assert_eq(stage_status(stage).clock_peers, 0, "at once");
    stage_control(stage, SL_CONTROL_UNBAN, 0);
    stage_control(stage, SL_CONTROL_UNBAN, 1);
    cr_assert_gt(stage_status(stage).clock_peers, 0);

    for (uint32_t i = 0; i < 3; i++) {
        stage->refuses[i] = true;
        peer_of(i)->misses = SL_VIEW_MISSES_DEAD;
    }
    stage_next_epoch(stage);
    cr_assert_eq(stage_status(stage).clock_peers, 0, "the dead have no say");
}

/* ---- the dead and the banned ---- */

Test(links, counts_a_peer_as_dead_after_three_misses_and_finds_it_again)
{
    stage->refuses[0] = true;
    stage_connect(stage, 0);
    stage_change(stage, stage->link[0], SL_LINK_DOWN, NULL);
    for (int i = 0; i < 3; i++) stage_next_epoch(stage);
    cr_assert_not(sl_view_is_live(peer_of(0)));
    cr_assert_eq(stage_status(stage).peers_live, N_LISTED - 1);

    stage->refuses[0] = false;
    for (int i = 0; i < 2; i++) stage_next_epoch(stage);

    cr_assert(sl_view_is_live(peer_of(0)), "the dead are probed");
    cr_assert_eq(stage_status(stage).peers_live, N_LISTED);
}

Test(links, probes_a_dead_peer_about_once_an_epoch)
{
    stage->refuses[0] = true;
    peer_of(0)->misses = SL_VIEW_MISSES_DEAD;
    stage_forget(stage);
    for (int i = 0; i < 4; i++) stage_next_epoch(stage);

    uint32_t n_dials = 0;
    for (uint32_t i = 0; i < stage->n_dials; i++) n_dials += memcmp(stage->dials[i].transport_key, stage->puppets[0].transport_public, 32) == 0;
    cr_assert(n_dials >= 3 && n_dials <= 8, "%u dials in four epochs", n_dials);
}

Test(links, finds_everybody_again_after_all_were_away)
{
    for (uint32_t i = 0; i < N_LISTED; i++) {
        stage->refuses[i] = true;
        peer_of(i)->misses = SL_VIEW_MISSES_DEAD;
    }
    for (int i = 0; i < 5; i++) stage_next_epoch(stage);
    cr_assert_eq(stage_status(stage).peers_live, 0);
    for (uint32_t i = 0; i < N_LISTED; i++) stage->refuses[i] = false;

    for (int i = 0; i < 6; i++) stage_next_epoch(stage);

    cr_assert_geq(stage_status(stage).peers_live, N_LISTED - 1);
}

Test(links, a_banned_peer_is_hung_up_and_stays_out)
{
    stage_connect(stage, 2);
    stage_control(stage, SL_CONTROL_BAN, 2);
    cr_assert_eq(stage->n_hangups, 1);
    cr_assert_eq(stage->told[SL_TRACE_BANNED].n, 1);
    cr_assert_eq(stage_status(stage).peers_live, N_LISTED - 1);

    stage_connect(stage, 2);
    cr_assert_eq(stage->n_hangups, 2, "at once");
    stage_forget(stage);
    pull(2);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_NONE), 0);

    stage_forget(stage);
    for (int i = 0; i < 10; i++) stage_next_epoch(stage);
    for (uint32_t i = 0; i < stage->n_dials; i++)
        cr_assert_neq(memcmp(stage->dials[i].transport_key, stage->puppets[2].transport_public, 32), 0, "never dialled");
}

Test(links, a_banned_peer_does_not_come_back_under_another_transport_key)
{
    stage_control(stage, SL_CONTROL_BAN, 2);
    struct introduction hello = hello_of(2, stage->now_us);
    memcpy(hello.advert.transport_public, stage->puppets[STRANGER].transport_public, 32);
    stage_connect(stage, STRANGER);
    uint32_t link = stage->link[STRANGER];
    struct sl_writer writer = puppet_begin(stage, 2, SL_MESSAGE_HELLO, stage_epoch(stage), NULL);
    puppet_write_hello(stage, 2, &writer, &hello);
    size_t size = puppet_seal(stage, 2, &writer, SL_MESSAGE_HELLO);
    stage_deliver(stage, link, stage->out, size);

    cr_assert_eq(stage->n_hangups, 1);
    cr_assert_eq(n_open(), 0);
}
