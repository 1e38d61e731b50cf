/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/core.h"
#include "starling/error.h"

/*
 * A privacy ledger on a disk that was set back looks whole, and would allow what was spent already. Only others can tell: an ADVERT says how far the ledger of
 * its author has come, its peers keep it, and show it to an author who says less.
 */

/* Which ledger, in the eyes of those who do not have its key: the name of the data set is nobody's business. */
static void name_ledger(const struct sl_ledger *ledger, const uint8_t dataset[16], uint8_t out[32])
{
    uint8_t both[48];
    memcpy(both, ledger->key, 32);
    memcpy(both + 32, dataset, 16);
    sl_hash_once("ledger of", both, sizeof both, out);
    sl_wipe(both, sizeof both);
}

void rollback_state(const struct sl_node *node, struct sl_advert *advert)
{
    const struct sl_ledger *ledger = &node->budget.ledger;
    advert->unit = node->unit;
    if (node->unit == SL_UNIT_OFF || ledger->n_records == 0) return;

    advert->ledger_records = ledger->n_records;
    memcpy(advert->ledger_head, ledger->head, 32);
    name_ledger(ledger, ledger->dataset, advert->ledger_of);
}

bool rollback_knows_better(const struct sl_advert *a, const struct sl_advert *b)
{
    bool is_same_ledger = a->ledger_records > 0 && sl_hash_equal(a->ledger_of, b->ledger_of);
    bool is_other_end = a->ledger_records == b->ledger_records && !sl_hash_equal(a->ledger_head, b->ledger_head);
    return is_same_ledger && (a->ledger_records > b->ledger_records || is_other_end);
}

int rollback_heed(struct sl_node *node, const struct opened_advert *advert)
{
    struct sl_advert own = {0};
    uint8_t dataset[16];
    rollback_state(node, &own);
    sl_ledger_dataset(node->config.privacy_dataset, dataset);
    if (own.ledger_records == 0) name_ledger(&node->budget.ledger, dataset, own.ledger_of);          /* its first record is missing too */
    if (node->unit == SL_UNIT_OFF || node->budget.is_blocked || !rollback_knows_better(&advert->body, &own)) return SL_OK;
    if (!node_verify(node, &advert->envelope, node->self->sign_public)) return SL_ERROR_BAD_SIGNATURE;

    budget_block(node, "its privacy ledger was set back: peers hold a later one of its own; bring back the newest copy, or see starling privacy reset",
                 SL_ERROR_DAMAGED);
    return SL_OK;
}
