/* SPDX-License-Identifier: MIT */
/* How a core comes to know peers, whom it believes, and what hostile ones can make it do. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "puppet.h"
#include "starling/error.h"
#include "wire/certificate.h"

enum { N_LISTED = 6, N_PUPPETS = 40, EXPIRES_S = 1800000000 };

static struct stage *stage;
static uint8_t bytes[1024];
static size_t size;

static void open_stage(const struct stage_options *options)
{
    stage_destroy(&stage);
    stage = stage_new(options);
    stage_start(stage);
    stage_hush(stage);
}

static void setup(void)
{
    open_stage(&(struct stage_options){.n_puppets = N_PUPPETS, .n_listed = N_LISTED});
}

static void teardown(void)
{
    stage_destroy(&stage);
}

TestSuite(gossip, .init = setup, .fini = teardown);

static const uint8_t *id_of(uint32_t puppet)
{
    return stage->puppets[puppet].id;
}

static struct sl_view_peer *peer_of(uint32_t puppet)
{
    return sl_view_find(&stage->node->view, id_of(puppet));
}

static struct sl_advert advert_of(uint32_t puppet)
{
    return puppet_introduction(stage, puppet).advert;
}

/* `via` passes on what `author` has signed. */
static void pass_on(uint32_t via, uint32_t author, const struct sl_advert *advert)
{
    size = puppet_advert(stage, author, advert, bytes);
    puppet_deliver(stage, via, bytes, size);
}

/* What others may tell unasked begins anew. */
static void begin_round(void)
{
    stage->node->members.n_pushes = stage->node->members.n_announced = 0;
    stage->node->members.round++;
}

static void say_hello(uint32_t puppet)
{
    struct introduction said = puppet_introduction(stage, puppet);
    struct sl_writer writer = puppet_begin(stage, puppet, SL_MESSAGE_HELLO, stage_epoch(stage), NULL);
    puppet_write_hello(stage, puppet, &writer, &said);
    puppet_say(stage, puppet, &writer, SL_MESSAGE_HELLO);
}

static void say_view(uint32_t via, const struct sl_view_adverts *adverts)
{
    struct sl_writer writer = puppet_begin(stage, via, SL_MESSAGE_VIEW, stage_epoch(stage), NULL);
    sl_write_view_adverts(&writer, adverts);
    puppet_say(stage, via, &writer, SL_MESSAGE_VIEW);
}

static void ask_view(uint32_t puppet)
{
    struct sl_view_pull body = {.n_wanted = SL_ADVERTS_MAX};
    struct sl_writer writer = puppet_begin(stage, puppet, SL_MESSAGE_VIEW_PULL, stage_epoch(stage), NULL);
    sl_write_view_pull(&writer, &body);
    puppet_say(stage, puppet, &writer, SL_MESSAGE_VIEW_PULL);
}

/* Is this identity's ADVERT in the last VIEW that the core sent? */
static bool is_in_view_sent(uint32_t puppet)
{
    const struct sent *sent = stage_last(stage, SL_MESSAGE_VIEW);
    struct sl_envelope envelope, inner;
    struct sl_view_adverts adverts;
    cr_assert(sent && sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope) == SL_OK);
    cr_assert_eq(sl_read_view_adverts(&envelope, &adverts), SL_OK);
    for (uint32_t i = 0; i < adverts.n_adverts; i++) {
        cr_assert_eq(sl_envelope_open(adverts.adverts[i].bytes, adverts.adverts[i].size, stage->config.network_id, &inner), SL_OK);
        if (sl_hash_equal(inner.from, id_of(puppet))) return true;
    }
    return false;
}

static uint64_t checks(void)
{
    return stage_status(stage).signature_checks;
}

static void use_certificate(uint32_t puppet, const struct sl_invite *invite)
{
    struct sl_identity *identity = &stage->puppets[puppet];
    size_t n = sl_certificate_issue(stage->config.network_id, invite, identity->id, identity->certificate);
    cr_assert_gt(n, 0);
    identity->certificate_size = (uint32_t)n;
}

/* ---- what is passed on ---- */

Test(gossip, believes_a_signed_advert_whoever_passes_it_on_and_checks_it_once)
{
    struct sl_advert advert = advert_of(10);
    strcpy(advert.name, "ten");
    pass_on(0, 10, &advert);

    cr_assert_not_null(peer_of(10));
    cr_assert_not(peer_of(10)->proven);
    cr_assert_str_eq(peer_of(10)->name, "ten");
    cr_assert_not_null(sl_book_find(&stage->node->members.book, id_of(10)));
    uint64_t before = checks();
    for (uint32_t via = 0; via < N_LISTED; via++) pass_on(via, 10, &advert);
    cr_assert_eq(checks(), before, "a sequence that is known costs nothing");
}

Test(gossip, takes_nothing_older_than_it_knows)
{
    struct sl_advert advert = advert_of(10), older = advert;
    older.sequence -= 60;
    strcpy(older.addresses[0], "10.6.6.6:7400");
    pass_on(0, 10, &advert);
    uint64_t before = checks();

    pass_on(1, 10, &older);

    cr_assert_str_eq(peer_of(10)->address, stage->puppets[10].address);
    cr_assert_eq(checks(), before);
}

Test(gossip, refuses_adverts_from_the_future_and_those_that_outlived_themselves)
{
    struct sl_advert future = advert_of(10), past = advert_of(11);
    future.sequence += 7200;
    past.sequence -= past.ttl_s + 60;
    pass_on(0, 10, &future);
    pass_on(0, 11, &past);
    cr_assert_null(peer_of(10));
    cr_assert_null(peer_of(11));
}

Test(gossip, refuses_a_certificate_that_is_somebody_elses_and_a_broken_signature)
{
    struct sl_advert foreign = advert_of(10), fine = advert_of(11);
    foreign.certificate = stage->puppets[12].certificate;
    foreign.certificate_size = stage->puppets[12].certificate_size;
    uint64_t refused = stage_status(stage).messages_refused;
    pass_on(0, 10, &foreign);
    size = puppet_advert(stage, 11, &fine, bytes);
    bytes[size - 1] ^= 1;
    puppet_deliver(stage, 0, bytes, size);

    cr_assert_null(peer_of(10));
    cr_assert_null(peer_of(11));
    cr_assert_eq(stage_status(stage).messages_refused, refused + 2);
    cr_assert_geq(peer_of(0)->refused, 2);
}

Test(gossip, is_not_impressed_by_its_own_descriptor_or_by_its_key_under_anothers_name)
{
    say_hello(0);
    const struct sent *hello = stage_last_to(stage, SL_MESSAGE_HELLO, 0);
    struct sl_envelope envelope;
    struct sl_hello body;
    cr_assert(hello && sl_envelope_open(hello->bytes, hello->size, stage->config.network_id, &envelope) == SL_OK && sl_read_hello(&envelope, &body) == SL_OK);
    uint32_t n = stage_status(stage).peers_known;
    puppet_deliver(stage, 0, body.advert, body.advert_size);
    struct sl_advert thief = advert_of(10);
    memcpy(thief.transport_public, stage->self.transport_public, 32);
    pass_on(0, 10, &thief);
    cr_assert_eq(stage_status(stage).peers_known, n);
}

Test(gossip, dials_nobody_at_port_zero)
{
    struct sl_advert advert = advert_of(10);
    strcpy(advert.addresses[0], "10.0.0.11:0");
    pass_on(0, 10, &advert);
    cr_assert_not_null(peer_of(10));
    cr_assert_eq(peer_of(10)->address[0], 0);
    cr_assert_null(sl_book_find(&stage->node->members.book, id_of(10)));
}

Test(gossip, dials_nothing_on_its_own_machine_on_anybodys_word_where_local_addresses_are_not_free)
{
    static const char *const addresses[] = {"127.0.0.1:22", "[::1]:22", "169.254.169.254:80", "224.0.0.1:7400"};
    open_stage(&(struct stage_options){.n_puppets = N_PUPPETS, .n_listed = N_LISTED, .settings = {"link.local=no"}});
    for (uint32_t i = 0; i < 4; i++) {
        struct sl_advert advert = advert_of(10 + i);
        strcpy(advert.addresses[0], addresses[i]);
        pass_on(i, 10 + i, &advert);
        cr_assert(peer_of(10 + i) && !peer_of(10 + i)->address[0], "%s", addresses[i]);
        cr_assert_null(sl_book_find(&stage->node->members.book, id_of(10 + i)));
    }
}

Test(gossip, lets_nobody_take_a_peers_place_by_claiming_its_key)
{
    struct sl_advert squatter = advert_of(10);
    memcpy(squatter.transport_public, stage->puppets[11].transport_public, 32);
    pass_on(0, 10, &squatter);
    cr_assert_not_null(peer_of(10));

    stage_connect(stage, 11);
    const struct link *link = links_find(stage->node, stage->link[11]);
    cr_assert(link && !link->known, "the link is nobody's until its HELLO");
    say_hello(11);

    cr_assert(link->known && sl_hash_equal(link->id, id_of(11)));
    cr_assert(peer_of(11)->proven);
    stage_next_epoch(stage);
    cr_assert_null(peer_of(10), "who claimed another's key is gone");
    struct sl_advert known = advert_of(0), theft = advert_of(12);
    memcpy(theft.transport_public, known.transport_public, 32);
    pass_on(1, 12, &theft);
    cr_assert_null(peer_of(12));
    cr_assert_eq(sl_view_find_key(&stage->node->view, known.transport_public), peer_of(0));
}

/* ---- floods ---- */

Test(gossip, looks_at_a_few_unasked_adverts_a_round_only)
{
    for (uint32_t i = N_LISTED; i < 30; i++) {
        struct sl_advert advert = advert_of(i);
        pass_on(i % N_LISTED, i, &advert);
    }
    cr_assert_eq(stage_status(stage).peers_known, N_LISTED + PUSHES_MAX);
    membership_on_round(stage->node);
    struct sl_advert advert = advert_of(29);
    pass_on(0, 29, &advert);
    cr_assert_not_null(peer_of(29), "the next round has room again");
}

Test(gossip, leaves_others_something_of_what_may_be_told_unasked)
{
    for (uint32_t i = 10; i < 20; i++) {
        struct sl_advert advert = advert_of(i);
        pass_on(0, i, &advert);
    }
    cr_assert_eq(stage_status(stage).peers_known, N_LISTED + PUSHES_OF_ONE_MAX, "one talkative peer");
    struct sl_advert honest = advert_of(30), moved = advert_of(0);
    pass_on(1, 30, &honest);
    cr_assert_not_null(peer_of(30), "another one is heard");
    stage_change(stage, stage->link[0], SL_LINK_DOWN, NULL);
    stage->link[0] = 0;
    struct sl_advert advert = advert_of(31);
    pass_on(0, 31, &advert);
    cr_assert_null(peer_of(31), "a new connection brings no new allowance");

    for (uint32_t i = 0; i < 6; i++) {
        moved.sequence++;
        snprintf(moved.addresses[0], sizeof moved.addresses[0], "10.7.7.%u:7400", (unsigned)i + 1);
        pass_on(0, 0, &moved);
    }
    cr_assert_str_eq(peer_of(0)->address, "10.7.7.1:7400", "what it says of itself is heard, once an epoch");
}

Test(gossip, tells_of_one_that_says_hello_without_end_only_once)
{
    open_stage(&(struct stage_options){.n_puppets = N_PUPPETS, .n_listed = N_LISTED, .settings = {"view.size=6"}});
    for (uint32_t i = 0; i < N_LISTED; i++) say_hello(i);
    stage_forget(stage);
    for (int connection = 0; connection < 3; connection++) {
        for (int i = 0; i < 50; i++) say_hello(10);
        cr_assert_null(peer_of(10), "there is no room for it");
        stage_change(stage, stage->link[10], SL_LINK_DOWN, NULL);
        stage->link[10] = 0;
    }
    cr_assert_eq(stage_count(stage, SL_MESSAGE_ADVERT), 4);
    stage_next_epoch(stage);
    stage_forget(stage);
    say_hello(10);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_ADVERT), 4, "another epoch");
}

Test(gossip, tells_of_a_bounded_number_of_newcomers_a_round)
{
    for (uint32_t i = 0; i < N_LISTED; i++) say_hello(i);
    stage_forget(stage);
    for (uint32_t i = N_LISTED; i < N_PUPPETS; i++) say_hello(i);
    uint32_t n_told = stage_count(stage, SL_MESSAGE_ADVERT);
    cr_assert(n_told > 0 && n_told <= 16 * 4, "%u", (unsigned)n_told);
}

Test(gossip, listens_to_no_view_it_did_not_ask_for_and_stops_at_the_first_lie)
{
    uint8_t all[4][1024];
    struct sl_view_adverts adverts = {.n_adverts = 4};
    for (uint32_t i = 0; i < 4; i++) {
        struct sl_advert advert = advert_of(10 + i);
        adverts.adverts[i].bytes = all[i];
        adverts.adverts[i].size = puppet_advert(stage, 10 + i, &advert, all[i]);
    }
    stage_connect(stage, 0);
    say_view(0, &adverts);
    cr_assert_null(peer_of(10), "nobody asked");

    all[1][adverts.adverts[1].size - 1] ^= 1;
    links_to(stage->node, id_of(0))->pulled_us = stage->now_us;
    say_view(0, &adverts);
    cr_assert_not_null(peer_of(10));
    cr_assert_null(peer_of(11));
    cr_assert_null(peer_of(12), "whoever passes on what he has not looked at is heard no further");

    say_view(0, &adverts);
    cr_assert_null(peer_of(12), "one answer a question");
}

Test(gossip, stops_at_the_first_certificate_in_a_view_that_does_not_hold)
{
    uint8_t all[4][1024];
    struct sl_view_adverts adverts = {.n_adverts = 4};
    for (uint32_t i = 0; i < 4; i++) {
        struct sl_advert advert = advert_of(10 + i);
        if (i > 0) advert.certificate = stage->puppets[20].certificate;
        adverts.adverts[i].bytes = all[i];
        adverts.adverts[i].size = puppet_advert(stage, 10 + i, &advert, all[i]);
    }
    stage_connect(stage, 0);
    links_to(stage->node, id_of(0))->pulled_us = stage->now_us;
    uint64_t refused = stage_status(stage).messages_refused, before = checks();
    say_view(0, &adverts);
    uint64_t n_checks = checks() - before;
    cr_assert_not_null(peer_of(10));
    cr_assert_eq(stage_status(stage).messages_refused, refused + 1);
    cr_assert_leq(n_checks, 4, "%u: two ADVERTs, not four", (unsigned)n_checks);
}

Test(gossip, answers_a_few_questions_a_connection_and_epoch)
{
    for (int i = 0; i < 20; i++) ask_view(0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_VIEW), PULLS_ANSWERED_MAX);
    stage_next_epoch(stage);
    ask_view(0);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_VIEW), PULLS_ANSWERED_MAX + 1);
}

Test(gossip, passes_on_only_those_who_said_hello)
{
    struct sl_advert advert = advert_of(10);
    pass_on(0, 10, &advert);
    ask_view(1);
    cr_assert_not(is_in_view_sent(10), "only heard of");

    say_hello(10);
    ask_view(1);
    cr_assert(is_in_view_sent(10));
    ask_view(10);
    cr_assert_not(is_in_view_sent(10), "nobody is told of himself");

    stage_control(stage, SL_CONTROL_BAN, 10);
    ask_view(1);
    cr_assert_not(is_in_view_sent(10));
}

Test(gossip, tells_a_few_others_of_a_newcomer_at_once)
{
    for (uint32_t i = 0; i < N_LISTED; i++) say_hello(i);
    stage_forget(stage);
    say_hello(10);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_ADVERT), 4);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_ADVERT, 10), 0);
    stage_forget(stage);
    say_hello(10);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_ADVERT), 0, "once");
}

Test(gossip, closes_strangers_that_do_not_say_who_they_are)
{
    stage_connect(stage, 10);
    stage_jump_to(stage, stage->now_us + 2000000);
    membership_on_round(stage->node);
    cr_assert_not_null(links_find(stage->node, stage->link[10]));
    stage_jump_to(stage, stage->now_us + stage->config.epoch_us / 2 + 2000000);
    uint32_t number = stage->link[10];
    membership_on_round(stage->node);
    cr_assert_null(links_find(stage->node, number));
}

/* ---- admission ---- */

Test(gossip, lets_an_invite_of_one_admit_the_first_who_shows_it)
{
    static const uint8_t seed[32] = {9};
    struct sl_invite invite;
    sl_invite_issue(stage->config.network_id, stage->operator_secret, NULL, seed, SL_INVITE_SINGLE_USE, 0, EXPIRES_S, &invite);
    use_certificate(10, &invite);
    use_certificate(11, &invite);
    struct sl_advert first = advert_of(10), second = advert_of(11);
    pass_on(0, 10, &first);
    pass_on(0, 11, &second);
    say_hello(11);

    cr_assert_not_null(peer_of(10));
    cr_assert_null(peer_of(11));
    cr_assert_eq(stage->link[11], 0, "hung up");
    cr_assert_geq(stage->told[SL_TRACE_INVITE_SPENT].n, 2);
    first.sequence++;
    pass_on(1, 10, &first);
    cr_assert_eq(peer_of(10)->sequence, first.sequence, "its holder may say more");
}

Test(gossip, gives_a_host_one_guest_a_place)
{
    struct sl_invite invite;
    for (uint32_t i = 0; i < 2; i++) {
        const uint8_t seed[32] = {20 + (uint8_t)i};
        sl_invite_issue(stage->config.network_id, stage->puppets[0].sign_secret, &stage->puppets[0], seed, SL_INVITE_SINGLE_USE, 1, 1700100000, &invite);
        use_certificate(10 + i, &invite);
        struct sl_advert advert = advert_of(10 + i);
        pass_on(1, 10 + i, &advert);
    }
    cr_assert_not_null(peer_of(10));
    cr_assert_null(peer_of(11), "the same place with another key");
}

/* An invite of this member, or of the operator (host UINT32_MAX), that admits one. */
static struct sl_invite invite_of(uint32_t host, uint8_t number, uint32_t slot, uint64_t expires_s)
{
    const struct sl_identity *issuer = host == UINT32_MAX ? NULL : &stage->puppets[host];
    const uint8_t seed[32] = {number, 77};
    struct sl_invite invite;
    sl_invite_issue(stage->config.network_id, issuer ? issuer->sign_secret : stage->operator_secret, issuer, seed, SL_INVITE_SINGLE_USE, slot,
                    expires_s, &invite);
    return invite;
}

/* The core hears of this identity, which shows what this invite gave it. */
static bool is_let_in(uint32_t puppet, const struct sl_invite *invite)
{
    use_certificate(puppet, invite);
    struct sl_advert advert = advert_of(puppet);
    begin_round();
    pass_on(0, puppet, &advert);
    return peer_of(puppet) != NULL;
}

Test(gossip, lets_a_spent_invite_make_no_hosts)
{
    const struct sl_invite invite = invite_of(UINT32_MAX, 1, 0, 1700200000);
    cr_assert(is_let_in(10, &invite));
    const struct sl_invite own = invite_of(10, 2, 0, 1700100000);
    for (uint32_t i = 0; i < 8; i++) {                                   /* hosts that show themselves to nobody */
        use_certificate(11 + i, &invite);
        const struct sl_invite guest = invite_of(11 + i, (uint8_t)(40 + i), 0, 1700100000);
        cr_assert_not(is_let_in(20 + i, &guest), "guest %u", (unsigned)i);
    }
    cr_assert_eq(stage->told[SL_TRACE_INVITE_SPENT].n, 8);
    cr_assert(is_let_in(30, &own), "who has the invite may invite");
}

Test(gossip, counts_a_host_that_only_its_guest_tells_of)
{
    const struct sl_invite invite = invite_of(UINT32_MAX, 1, 0, 1700200000);
    use_certificate(10, &invite);
    const struct sl_invite guest = invite_of(10, 2, 0, 1700100000);
    cr_assert(is_let_in(20, &guest));
    cr_assert_not(is_let_in(11, &invite), "used by the host");
    cr_assert(is_let_in(10, &invite));
}

Test(gossip, keeps_out_the_guests_of_the_banned)
{
    const struct sl_invite before = invite_of(0, 1, 0, 1700100000), after = invite_of(0, 2, 1, 1700100000);
    use_certificate(10, &before);
    say_hello(10);
    cr_assert_not_null(peer_of(10));
    cr_assert_neq(stage->link[10], 0);

    stage_control(stage, SL_CONTROL_BAN, 0);
    cr_assert_eq(stage->link[10], 0, "the ban of its host ends its connection");
    cr_assert(peer_of(10)->banned);
    cr_assert_not(is_let_in(11, &after), "a banned member is not to come back as its own guest");
    say_hello(11);
    say_hello(10);
    cr_assert_null(peer_of(11));
    cr_assert_eq(stage->link[10], 0);
    cr_assert_eq(stage->link[11], 0);
    cr_assert_eq(stage_status(stage).peers_banned, 1);

    stage_restart(stage);
    stage_hush(stage);
    say_hello(10);
    cr_assert(!peer_of(10) || peer_of(10)->banned, "nor over a restart");

    stage_control(stage, SL_CONTROL_UNBAN, 0);
    say_hello(10);
    cr_assert(peer_of(10) && !peer_of(10)->banned);
}

Test(gossip, gives_the_place_of_a_guest_whose_time_is_up_to_another)
{
    uint64_t now_s = stage->now_us / 1000000;
    const struct sl_invite first = invite_of(0, 1, 1, now_s + 100), second = invite_of(0, 2, 1, now_s + 100000);
    cr_assert(is_let_in(10, &first));
    cr_assert_not(is_let_in(11, &second));
    stage_run_to(stage, stage->now_us + (uint64_t)300 * 1000000);
    cr_assert(is_let_in(11, &second));
}

static struct claim claim_of(uint32_t number, const uint8_t shown_by[32], uint64_t expires_s)
{
    struct claim claim = {.whose = {1}, .expires_s = expires_s};
    memcpy(claim.what, &number, sizeof number);
    memcpy(claim.shown_by, shown_by, 32);
    return claim;
}

Test(gossip, forgets_no_use_of_an_invite_while_it_matters)
{
    static const uint8_t nobody[32] = {0xdd};
    struct membership *members = &stage->node->members;
    uint64_t now_s = stage->now_us / 1000000;
    const struct sl_invite invite = invite_of(UINT32_MAX, 1, 0, 1700200000), other = invite_of(UINT32_MAX, 2, 0, 1700200000);
    cr_assert(is_let_in(10, &invite));
    for (uint32_t i = members->n_claims; i < members->n_claims_max; i++) {       /* as many as fit: one of somebody unknown, one that ran out */
        struct claim claim = claim_of(i, i == 7 ? nobody : id_of(1), i == 9 ? now_s - 1 : UINT64_MAX);
        cr_assert(advert_claim(stage->node, &claim));
    }
    struct claim first = claim_of(1u << 30, id_of(1), UINT64_MAX), second = claim_of(1u << 30 | 1, id_of(1), UINT64_MAX);
    cr_assert(advert_claim(stage->node, &first));
    cr_assert_eq(memcmp(&members->claims[9], &first, sizeof first), 0, "what has run out gives way first");
    cr_assert(advert_claim(stage->node, &second));
    cr_assert_eq(memcmp(&members->claims[7], &second, sizeof second), 0, "then what somebody showed whom we do not know any more");

    cr_assert_not(is_let_in(12, &other), "no room to remember who uses it");
    cr_assert_not(is_let_in(11, &invite), "used");
    cr_assert_eq(stage->told[SL_TRACE_INVITE_SPENT].n, 2);
}

Test(gossip, drops_a_peer_whose_certificate_runs_out)
{
    static const uint8_t seed[32] = {9};
    struct sl_invite invite;
    sl_invite_issue(stage->config.network_id, stage->operator_secret, NULL, seed, 0, 0, stage->now_us / 1000000 + 90, &invite);
    use_certificate(10, &invite);
    say_hello(10);
    cr_assert_eq(peer_of(10)->expires_s, stage->now_us / 1000000 + 90);
    stage_next_epoch(stage);
    cr_assert_not_null(peer_of(10));
    stage_next_epoch(stage);

    cr_assert_null(peer_of(10));
    cr_assert_eq(stage->link[10], 0);
    cr_assert_eq(stage->told[SL_TRACE_EXPIRED].n, 1);
    struct sl_advert advert = advert_of(10);
    pass_on(0, 10, &advert);
    cr_assert_null(peer_of(10), "nor does it come back");
}

Test(gossip, bans_whom_it_never_met_and_remembers_over_a_restart)
{
    struct sl_advert advert = advert_of(10);
    stage_control(stage, SL_CONTROL_BAN, 10);
    pass_on(0, 10, &advert);
    say_hello(10);
    cr_assert_null(peer_of(10));
    cr_assert_eq(stage->link[10], 0);
    cr_assert_eq(stage_status(stage).peers_banned, 1);

    stage_restart(stage);
    stage_hush(stage);
    cr_assert_eq(stage_status(stage).peers_banned, 1);
    pass_on(0, 10, &advert);
    cr_assert_null(peer_of(10));

    stage_control(stage, SL_CONTROL_UNBAN, 10);
    pass_on(0, 10, &advert);
    cr_assert_not_null(peer_of(10));
    cr_assert_eq(stage_status(stage).peers_banned, 0);
}

Test(gossip, remembers_a_bounded_number_of_bans)
{
    for (uint32_t i = 0; i < BANS_MAX + 5; i++) {
        struct sl_event event = {.type = SL_EVENT_CONTROL, .control = {.verb = SL_CONTROL_BAN}};
        sl_hash_once("anybody", &i, sizeof i, event.control.peer);
        stage_step(stage, &event);
    }
    cr_assert_eq(stage_status(stage).peers_banned, BANS_MAX);
    cr_assert_eq(stage->told[SL_TRACE_UNBANNED].n, 5, "whose ban was forgotten is told");
}

static void greet_through_door(uint32_t puppet, const uint8_t *secret)
{
    static const uint8_t nonce[16] = {1};
    uint8_t door[SL_DOOR_SIZE];
    struct sl_advert advert = advert_of(puppet);
    size = puppet_advert(stage, puppet, &advert, bytes);
    struct sl_hello hello = {.time_us = stage->now_us, .advert = bytes, .advert_size = size};
    if (secret) sl_door_make(secret, advert.transport_public, stage->self.transport_public, stage->now_us, nonce, door);
    if (secret) hello.door = door;
    stage_connect(stage, puppet);
    struct sl_writer writer = puppet_begin(stage, puppet, SL_MESSAGE_HELLO, stage_epoch(stage), NULL);
    sl_write_hello(&writer, &hello);
    puppet_say(stage, puppet, &writer, SL_MESSAGE_HELLO);
}

Test(gossip, opens_the_door_of_a_private_network_to_those_who_know_the_secret)
{
    static const uint8_t secret[32] = {4}, wrong[32] = {5};
    open_stage(&(struct stage_options){.n_puppets = N_PUPPETS, .n_listed = N_LISTED, .settings = {"network.admission=private"}});
    stage->config.network_secret = secret;
    stage_reset(stage);
    stage_start(stage);
    stage_hush(stage);

    greet_through_door(10, NULL);
    greet_through_door(11, wrong);
    greet_through_door(12, secret);

    cr_assert_null(peer_of(10));
    cr_assert_null(peer_of(11));
    cr_assert_not_null(peer_of(12));
    const struct sent *answer = stage_last_to(stage, SL_MESSAGE_HELLO, 12);
    struct sl_envelope envelope;
    struct sl_hello hello;
    cr_assert(answer && sl_envelope_open(answer->bytes, answer->size, stage->config.network_id, &envelope) == SL_OK);
    cr_assert_eq(sl_read_hello(&envelope, &hello), SL_OK);
    cr_assert(hello.door && sl_door_verify(secret, stage->self.transport_public, stage->puppets[12].transport_public, stage->now_us, hello.door));
}

Test(gossip, makes_nobody_a_partner_in_an_open_network_before_its_hello)
{
    open_stage(&(struct stage_options){.n_puppets = 12, .lists_nobody = true, .settings = {"network.admission=open", "network.puzzle_bits=8"}});
    for (uint32_t i = 0; i < 12; i++) {
        struct sl_identity *identity = &stage->puppets[i];
        identity->certificate_size = (uint32_t)sl_puzzle_solve(stage->config.network_id, 8, identity->id, 0, 100000, identity->certificate);
        cr_assert_gt(identity->certificate_size, 0);
    }
    say_hello(0);
    cr_assert_not_null(peer_of(0));
    struct sl_advert advert = advert_of(1);
    pass_on(0, 1, &advert);
    cr_assert_null(peer_of(1));
    cr_assert_not_null(sl_book_find(&stage->node->members.book, id_of(1)));
    say_hello(1);
    cr_assert_not_null(peer_of(1));
}

/* ---- seeds, restarts, silence ---- */

Test(gossip, knocks_at_its_seeds_and_asks_them_at_once)
{
    open_stage(&(struct stage_options){.n_puppets = 8, .lists_nobody = true, .n_seeds = 2});
    cr_assert_eq(stage->n_dials, 2);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_HELLO, 0), 1);
    cr_assert_eq(stage_count(stage, SL_MESSAGE_VIEW_PULL), 0, "not before it is proven who they are");
    say_hello(0);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_VIEW_PULL, 0), 1);
    cr_assert(peer_of(0)->proven);
}

Test(gossip, hangs_up_a_dialled_peer_that_is_another_than_the_one_expected)
{
    struct sl_advert squatter = advert_of(10);
    memcpy(squatter.transport_public, stage->puppets[11].transport_public, 32);
    pass_on(0, 10, &squatter);
    struct contact contact = contact_of(peer_of(10));
    links_dial(stage->node, &contact);
    const struct sl_dial dial = {.link = stage->node->links.next_number - 1};
    stage->link[11] = dial.link;
    stage_change(stage, dial.link, SL_LINK_UP, stage->puppets[11].transport_public);
    stage->link[11] = dial.link;
    cr_assert_not(links_find(stage->node, dial.link)->known);

    say_hello(11);

    cr_assert_null(links_find(stage->node, dial.link));
    cr_assert_null(links_to(stage->node, id_of(10)));
}

Test(gossip, knocks_for_ever_but_ever_more_seldom)
{
    stage_destroy(&stage);
    stage = stage_new(&(struct stage_options){.n_puppets = 3, .lists_nobody = true, .n_seeds = 3});
    for (uint32_t i = 0; i < 3; i++) stage->refuses[i] = true;
    stage_start(stage);
    stage_run_to(stage, stage->now_us + 2 * stage->config.epoch_us);
    struct sl_status status = stage_status(stage);
    cr_assert(status.stalled);
    cr_assert_not_null(strstr(status.reason, "no peer reachable: 0 of 3 seeds answer"), "%s", status.reason);

    stage_run_to(stage, stage->now_us + 60 * stage->config.epoch_us);
    stage->n_dials = 0;
    stage_run_to(stage, stage->now_us + 60 * stage->config.epoch_us);
    cr_assert(stage->n_dials >= 3 && stage->n_dials <= 3 * 12, "%u dials in an hour", (unsigned)stage->n_dials);
}

Test(gossip, says_that_it_is_alone)
{
    open_stage(&(struct stage_options){.n_puppets = 1, .lists_nobody = true});
    stage_next_epoch(stage);
    stage_next_epoch(stage);
    cr_assert_not_null(strstr(stage_status(stage).reason, "alone"), "%s", stage_status(stage).reason);
}

Test(gossip, comes_back_from_its_book_with_the_peers_it_had)
{
    open_stage(&(struct stage_options){.n_puppets = 12, .lists_nobody = true, .n_seeds = 1});
    for (uint32_t i = 0; i < 5; i++) say_hello(i);
    struct sl_advert advert = advert_of(7);
    pass_on(0, 7, &advert);
    stage_control(stage, SL_CONTROL_CHECKPOINT, 0);
    cr_assert_eq(stage->n_books, 1);
    uint64_t before = stage_status(stage).signature_checks;
    cr_assert_gt(before, 0);

    stage_restart(stage);

    cr_assert_eq(stage_status(stage).peers_known, 6);
    cr_assert(peer_of(4)->proven && !peer_of(7)->proven);
    cr_assert_eq(stage_status(stage).signature_checks, 0, "nothing has to be verified anew");
    say_hello(4);
    cr_assert_eq(stage_status(stage).signature_checks, 0, "its certificate is known");
}

Test(gossip, starts_without_a_book_that_is_torn_foreign_or_spoilt)
{
    open_stage(&(struct stage_options){.n_puppets = 12, .lists_nobody = true});
    for (uint32_t i = 0; i < 5; i++) say_hello(i);
    stage_control(stage, SL_CONTROL_CHECKPOINT, 0);
    size_t whole = stage->book_size;
    static const size_t places[] = {0, 20, 50, 61, 200};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        stage->book[places[i]] ^= 0x80;
        stage_restart(stage);
        stage_hush(stage);
        cr_assert_eq(stage_status(stage).peers_known, 0, "byte %zu", places[i]);
        stage->book[places[i]] ^= 0x80;
    }
    for (size_t n = 1; n < whole; n += n < 130 ? 1 : 97) {
        stage->book_size = n;
        stage_restart(stage);
        stage_hush(stage);
        cr_assert_eq(stage_status(stage).peers_known, 0, "%zu bytes", n);
    }
    cr_assert_geq(stage->told[SL_TRACE_BOOK_UNREADABLE].n, 20);
    uint8_t checksum[32];
    stage->book_size = whole;
    memset(stage->book + 48, 0xff, 12);                  /* counts beyond all bounds, under a checksum that fits */
    sl_hash_once("book", stage->book, whole - 32, checksum);
    memcpy(stage->book + whole - 32, checksum, 32);
    stage_restart(stage);
    cr_assert_eq(stage_status(stage).peers_known, 0);
}

Test(gossip, drops_a_link_that_stays_silent_after_three_pings)
{
    say_hello(0);
    say_hello(1);
    say_hello(2);
    say_hello(3);
    stage->ignores_dials = true;
    for (int epoch = 0; epoch < 6; epoch++) {
        stage_next_epoch(stage);
        for (uint32_t i = 1; i < 4; i++) say_hello(i);
    }
    cr_assert_geq(stage_count_to(stage, SL_MESSAGE_PING, 0), 1);
    cr_assert_null(links_to(stage->node, id_of(0)));
    cr_assert_not_null(links_to(stage->node, id_of(1)));
    cr_assert_not(sl_view_is_live(peer_of(0)));
}

Test(gossip, answers_a_ping_and_measures_its_own)
{
    say_hello(0);
    struct sl_ping body = {.nonce = 77};
    struct sl_writer writer = puppet_begin(stage, 0, SL_MESSAGE_PING, stage_epoch(stage), NULL);
    sl_write_ping(&writer, &body);
    puppet_say(stage, 0, &writer, SL_MESSAGE_PING);
    cr_assert_eq(stage_count_to(stage, SL_MESSAGE_PONG, 0), 1);

    struct link *link = links_to(stage->node, id_of(0));
    link->ping_us = stage->now_us;
    link->ping_nonce = 5;
    stage->now_us += 30000;
    body.nonce = 5;
    writer = puppet_begin(stage, 0, SL_MESSAGE_PONG, stage_epoch(stage), NULL);
    sl_write_ping(&writer, &body);
    puppet_say(stage, 0, &writer, SL_MESSAGE_PONG);
    struct sl_peer_status status = {0};
    for (uint32_t i = 0; i < N_LISTED; i++) {
        sl_node_peer(stage->node, i, &status);
        if (sl_hash_equal(status.id, id_of(0))) break;
    }
    cr_assert_eq(status.rtt_us, 30000);
    cr_assert_eq(status.state, SL_PEER_LINKED);
    cr_assert_str_eq(sl_peer_state_name(status.state), "linked");
    cr_assert_gt(status.type_bytes_received[SL_MESSAGE_PONG], 0);
    cr_assert_gt(status.bytes_sent, 0);
}

static void say_hello_without_address(uint32_t puppet)
{
    struct introduction said = puppet_introduction(stage, puppet);
    said.advert.n_addresses = 0;
    memset(said.advert.addresses, 0, sizeof said.advert.addresses);
    stage_connect(stage, puppet);
    struct sl_writer writer = puppet_begin(stage, puppet, SL_MESSAGE_HELLO, stage_epoch(stage), NULL);
    puppet_write_hello(stage, puppet, &writer, &said);
    puppet_say(stage, puppet, &writer, SL_MESSAGE_HELLO);
}

Test(gossip, misses_a_peer_that_cannot_be_dialled_when_it_is_silent_and_not_while_it_is_connected)
{
    say_hello_without_address(10);
    say_hello_without_address(11);
    stage_change(stage, stage->link[10], SL_LINK_DOWN, NULL);
    stage->link[10] = 0;
    stage->refuses[10] = true;
    stage_next_epoch(stage);
    stage_next_epoch(stage);
    cr_assert(sl_view_is_live(peer_of(10)), "it may come back");
    for (int epoch = 0; epoch < 4; epoch++) {
        stage_next_epoch(stage);
        ask_view(11);
    }
    cr_assert_not(sl_view_is_live(peer_of(10)));
    cr_assert(sl_view_is_live(peer_of(11)));

    say_hello_without_address(10);
    cr_assert(sl_view_is_live(peer_of(10)), "it came back");
}

Test(gossip, gives_no_place_on_the_ring_to_one_that_never_came_and_cannot_be_dialled)
{
    for (uint32_t i = 10; i < 30; i++) {
        struct sl_advert advert = advert_of(i);
        advert.n_addresses = i == 29;
        if (i != 29) memset(advert.addresses, 0, sizeof advert.addresses);
        begin_round();
        pass_on(0, i, &advert);
    }
    stage_next_epoch(stage);
    cr_assert_eq(stage->node->view.n_ring, 1 + N_LISTED + 1, "itself, the listed, and the one that can be dialled");
    say_hello_without_address(10);
    stage_next_epoch(stage);
    cr_assert_eq(stage->node->view.n_ring, 1 + N_LISTED + 2, "and one that has come");
}

/* ---- more identities than places ---- */

Test(gossip, keeps_prepared_peers_and_shares_the_other_places_among_networks)
{
    open_stage(&(struct stage_options){.n_puppets = N_PUPPETS, .n_listed = 4, .settings = {"view.size=12", "link.local=no"}});
    for (uint32_t i = 4; i < N_PUPPETS; i++) {
        struct sl_advert advert = advert_of(i);
        snprintf(advert.addresses[0], sizeof advert.addresses[0], "%u.1.0.%u:7400", i < 30 ? 99u : 100u + i, (unsigned)i);       /* most in one network */
        begin_round();
        pass_on(0, i, &advert);
        sl_book_answered(&stage->node->members.book, id_of(i), stage->now_us / 1000000);
        if (peer_of(i)) peer_of(i)->proven = true;
    }
    cr_assert_not(stage_status(stage).view_covers);
    stage_next_epoch(stage);
    stage_next_epoch(stage);

    uint32_t n_crowd = 0, n_listed = 0;
    for (uint32_t i = 0; i < N_PUPPETS; i++) {
        n_listed += i < 4 && peer_of(i);
        n_crowd += i >= 4 && i < 30 && peer_of(i);
    }
    cr_assert_eq(n_listed, 4);
    cr_assert_leq(stage_status(stage).peers_known, 12);
    cr_assert_leq(n_crowd, 4, "%u of the 8 places went to one network of eleven", (unsigned)n_crowd);
}

Test(gossip, keeps_those_who_have_proven_themselves_whatever_others_tell_it_of_strangers)
{
    open_stage(&(struct stage_options){.n_puppets = N_PUPPETS, .n_listed = 2, .settings = {"view.size=12", "link.local=no"}});
    for (uint32_t i = 2; i < 12; i++) say_hello(i);
    stage->ignores_dials = true;
    for (uint32_t epoch = 0; epoch < 8; epoch++) {
        for (uint32_t i = 12; i < N_PUPPETS; i++) {              /* 28 who lie about where they are, anew in each epoch */
            struct sl_advert advert = advert_of(i);
            advert.sequence += epoch + 1;
            snprintf(advert.addresses[0], sizeof advert.addresses[0], "%u.%u.0.%u:7400", 1 + i + epoch, 17 * epoch, (unsigned)i);
            begin_round();
            pass_on(0, i, &advert);
        }
        stage_next_epoch(stage);
        for (uint32_t i = 2; i < 12; i++) ask_view(i);          /* still there */
    }
    cr_assert_not(stage_status(stage).view_covers);
    for (uint32_t i = 2; i < 12; i++) cr_assert(peer_of(i) && sl_view_is_live(peer_of(i)), "%u", (unsigned)i);
    for (uint32_t i = 12; i < N_PUPPETS; i++) cr_assert_null(peer_of(i), "%u", (unsigned)i);
}

Test(gossip, gives_the_places_of_the_dead_to_newcomers)
{
    open_stage(&(struct stage_options){.n_puppets = 12, .n_listed = 4, .settings = {"view.size=6"}});
    struct sl_advert advert = advert_of(4), other = advert_of(5), late = advert_of(6);
    pass_on(0, 4, &advert);
    pass_on(1, 5, &other);
    peer_of(4)->misses = SL_VIEW_MISSES_DEAD;
    pass_on(2, 6, &late);
    cr_assert(stage_status(stage).view_covers, "there is a place that nobody needs");

    stage_next_epoch(stage);

    cr_assert_null(peer_of(4));
    cr_assert_not_null(peer_of(5));
    cr_assert_not_null(peer_of(6));
}
