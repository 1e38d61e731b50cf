/* SPDX-License-Identifier: MIT */
/* A node whose disk was set back: its own signed words, which its peers have kept, tell it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "puppet.h"
#include "starling/error.h"

enum { PUPPETS = 6 };

static struct stage *stage;

static void open_stage(void)
{
    stage = stage_new(&(struct stage_options){
        .n_puppets = PUPPETS, .seed = 1,
        .settings = {"privacy.unit=record", "privacy.dataset=letters", "privacy.records=1000", "privacy.sampling_rate=.1", "privacy.batch=100",
                     "privacy.steps=10", "privacy.clip=1", "privacy.noise=2"}});
    stage_start(stage);
}

static void drop_stage(void)
{
    stage_destroy(&stage);
}

TestSuite(rollback, .init = open_stage, .fini = drop_stage);

/* What the node says of itself now. */
static struct sl_advert own_advert(void)
{
    struct opened_advert opened;
    size_t size;
    const uint8_t *bytes = advert_own(stage->node, &size);
    cr_assert_eq(advert_open(stage->node, bytes, size, &opened), SL_OK);
    return opened.body;
}

/* An ADVERT with these numbers in the name of the node, signed with `sign_secret`, over the link of a puppet. */
static void show_own(uint32_t puppet, const struct sl_advert *body, const uint8_t sign_secret[64])
{
    static const uint8_t none[32];
    uint8_t bytes[ADVERT_MAX];
    struct sl_writer writer = sl_envelope_begin(SL_MESSAGE_ADVERT, stage->config.network_id, stage_epoch(stage), none, stage->self.id, bytes, sizeof bytes);
    sl_write_advert(&writer, body);
    size_t size = sl_envelope_seal(&writer, SL_MESSAGE_ADVERT, sign_secret);
    cr_assert_gt(size, 0);
    puppet_deliver(stage, puppet, bytes, size);
}

static bool is_blocked(void)
{
    return stage_status(stage).privacy.is_blocked;
}

Test(rollback, an_advert_names_unit_records_and_head_of_the_ledger)
{
    stage_next_epoch(stage);
    stage_next_epoch(stage);
    stage->node->members.advert_size = 0;                /* made anew */
    struct sl_advert advert = own_advert();

    cr_assert_eq(advert.unit, SL_UNIT_RECORD);
    cr_assert_gt(advert.ledger_records, 1);
    cr_assert_eq(advert.ledger_records, stage->ledger_size / SL_LEDGER_RECORD);
    cr_assert_arr_eq(advert.ledger_head, stage->node->budget.ledger.head, 32);
    cr_assert_neq(memcmp(advert.ledger_of, stage->node->budget.ledger.dataset, 16), 0, "the name of the data set stays at home");
}

Test(rollback, an_advert_is_made_anew_within_the_hour_when_the_ledger_has_grown)
{
    uint64_t before = own_advert().ledger_records;
    stage_next_epoch(stage);
    cr_assert_eq(own_advert().ledger_records, before, "not for every record");

    stage_run_to(stage, stage->now_us + UINT64_C(3660) * 1000000);
    cr_assert_gt(own_advert().ledger_records, before);
}

Test(rollback, a_node_that_is_shown_more_of_its_ledger_than_it_has_blocks_itself)
{
    stage_next_epoch(stage);
    stage_connect_all(stage);
    struct sl_advert advert = own_advert();
    advert.ledger_records = stage->node->budget.ledger.n_records + 1;

    show_own(0, &advert, stage->self.sign_secret);

    cr_assert(is_blocked());
    cr_assert_not_null(strstr(stage_status(stage).reason, "set back"), "'%s'", stage_status(stage).reason);
    cr_assert_eq(stage->told[SL_TRACE_LEDGER_BLOCKED].n, 1);
    uint32_t jobs = stage->n_jobs;
    stage_next_epoch(stage);
    cr_assert_eq(stage->n_jobs, jobs, "it trains no more");
}

Test(rollback, another_end_of_a_ledger_of_the_same_length_blocks_too)
{
    stage_next_epoch(stage);
    stage_connect_all(stage);
    struct sl_advert advert = own_advert();
    advert.ledger_records = stage->node->budget.ledger.n_records;
    memcpy(advert.ledger_head, stage->node->budget.ledger.head, 32);
    show_own(0, &advert, stage->self.sign_secret);
    cr_assert_not(is_blocked(), "its own present words");

    advert.ledger_head[0] ^= 1;
    show_own(0, &advert, stage->self.sign_secret);
    cr_assert(is_blocked());
}

Test(rollback, what_others_sign_older_words_and_the_ledger_of_other_data_count_for_nothing)
{
    stage_next_epoch(stage);
    stage_connect_all(stage);
    const struct sl_advert now = own_advert();
    struct sl_advert advert = now;
    advert.ledger_records = 1000;
    show_own(0, &advert, stage->puppets[0].sign_secret);
    cr_assert_not(is_blocked(), "not signed by this node");

    advert.ledger_of[5] ^= 1;
    show_own(1, &advert, stage->self.sign_secret);
    cr_assert_not(is_blocked(), "another ledger");

    advert = now;
    advert.ledger_records = 1;
    advert.ledger_head[0] ^= 1;
    show_own(2, &advert, stage->self.sign_secret);
    cr_assert_not(is_blocked(), "old words");
    cr_assert_gt(stage->node->budget.ledger.n_records, 1);
}

/* ---- at its peers ---- */

static void say_hello_with(uint32_t puppet, uint64_t sequence, uint64_t records, uint8_t head)
{
    struct introduction said = puppet_introduction(stage, puppet);
    said.advert.sequence = sequence;
    said.advert.unit = SL_UNIT_RECORD;
    said.advert.ledger_records = records;
    memset(said.advert.ledger_head, head, 32);
    memset(said.advert.ledger_of, 9, 32);
    if (stage->link[puppet]) stage_change(stage, stage->link[puppet], SL_LINK_DOWN, NULL);
    stage_connect(stage, puppet);
    struct sl_writer writer = puppet_begin(stage, puppet, SL_MESSAGE_HELLO, stage_epoch(stage), NULL);
    puppet_write_hello(stage, puppet, &writer, &said);
    puppet_say(stage, puppet, &writer, SL_MESSAGE_HELLO);
}

static bool is_reminded(uint32_t puppet)
{
    for (uint32_t i = 0; i < stage->n_sent; i++) {
        struct sl_envelope envelope;
        const struct sent *sent = &stage->sent[i];
        if (sent->to != puppet || sent->type != SL_MESSAGE_ADVERT) continue;
        cr_assert_eq(sl_envelope_open(sent->bytes, sent->size, stage->config.network_id, &envelope), SL_OK);
        if (sl_hash_equal(envelope.from, stage->puppets[puppet].id)) return true;
    }
    return false;
}

Test(rollback, a_peer_that_says_less_of_its_ledger_than_before_gets_its_own_words_back)
{
    uint64_t now_s = stage->now_us / 1000000;
    say_hello_with(0, now_s - 100, 7, 1);
    cr_assert_not(is_reminded(0));
    say_hello_with(0, now_s - 90, 9, 2);
    cr_assert_not(is_reminded(0), "it has grown");

    say_hello_with(0, now_s - 80, 8, 3);
    cr_assert(is_reminded(0));

    stage_forget(stage);
    say_hello_with(0, now_s - 70, 8, 3);
    cr_assert(is_reminded(0), "as long as it says so: what is known better is kept");
    stage_forget(stage);
    say_hello_with(0, now_s - 60, 9, 3);
    cr_assert(is_reminded(0), "another end of the same length");
    stage_forget(stage);
    say_hello_with(0, now_s - 50, 10, 4);
    cr_assert_not(is_reminded(0));
}
