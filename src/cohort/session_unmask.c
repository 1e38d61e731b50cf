/* SPDX-License-Identifier: MIT */
/* CONFIRM: the one story we follow. UNMASK: once a quorum follows it, our shares of what must be taken out of the sum. */
#include <string.h>

#include "cohort/session_parts.h"

void session_confirm(struct sl_session *session)
{
    struct sl_confirm confirm;
    memcpy(confirm.chain, session_last_chain(session), 32);
    struct held *held = session_held(session, SL_STEP_CONFIRM, session->own);
    struct sl_writer writer = session_write(session, SL_MESSAGE_CONFIRM, held->bytes, held->size_max);
    sl_write_confirm(&writer, &confirm);
    session_say(session, SL_STEP_CONFIRM, &writer, SL_MESSAGE_CONFIRM);
    session_tell(session, SL_NEWS_CONFIRMED, session->own, 0);
}

static uint32_t count_confirms(const struct sl_session *session)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < session->n_members; i++)
        if ((session->agreed[0] & bit(i)) && session_fits(session, SL_STEP_CONFIRM, i)) n++;
    return n;
}

/* Of members in the sum the share of their self mask, of those who fell out after V that of their mask secret: never both of one. */
bool session_unmask(struct sl_session *session)
{
    if (count_confirms(session) < session->threshold) return false;

    struct secrets *secrets = &session->secrets;
    struct sl_unmask unmask = {.n_members = session->n_members};
    memcpy(unmask.chain, session_last_chain(session), 32);
    for (uint32_t j = 0; j < session->n_members; j++) {
        if (!(session->agreed[0] & bit(j)) || (session->unusable & bit(j))) continue;
        unmask.shares[j] = session_last(session) & bit(j) ? secrets->self_shares[j] : secrets->mask_shares[j];
    }
    struct held *held = session_held(session, SL_STEP_UNMASK, session->own);
    struct sl_writer writer = session_write(session, SL_MESSAGE_UNMASK, held->bytes, held->size_max);
    sl_write_unmask(&writer, &unmask);
    sl_wipe(secrets, sizeof *secrets);
    session_say(session, SL_STEP_UNMASK, &writer, SL_MESSAGE_UNMASK);
    session_tell(session, SL_NEWS_UNMASKED, session->own, 0);
    return true;
}
