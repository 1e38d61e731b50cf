/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_ANSWER_PRIVACY_H
#define SL_RUNTIME_ANSWER_PRIVACY_H

#include <jansson.h>

#include "runtime/glance.h"

/* The budget as JSON (docs/control.md): numbers of the ledger and public settings, nothing that was measured on private data. */

/* What `status` has of it: {"unit": "off", "text"}, and the numbers where privacy is on. */
json_t *sl_answer_privacy_brief(const struct sl_glance *glance, const struct sl_status *status);

/* All of it, with settings, what several records of one person cost, and what is not covered. */
json_t *sl_answer_privacy(const struct sl_glance *glance, const struct sl_status *status);

#endif
