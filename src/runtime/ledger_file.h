/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_LEDGER_FILE_H
#define SL_RUNTIME_LEDGER_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The file `privacy.ledger` of a node's directory, as bytes on a disk: held by one process, appended to record by record, each durable before the append
 * is over. What the records say is the business of privacy/ledger.h.
 */

#define SL_LEDGER_NAME "privacy.ledger"

struct sl_ledger_file {
    bool is_open;
    int descriptor;
    uint64_t size;                   /* of the whole records */
    bool has_more;                   /* something may stand behind them that must be cut first */
};

/* Opens the file, makes an empty one where there is none, and locks it until it is closed or the process ends. What stands in it is durable then, and so is its
 * name. SL_ERROR_LOCKED (another process has it), SL_ERROR_IO, SL_ERROR_NO_SPACE, with a sentence in `why`. */
int sl_ledger_file_open(struct sl_ledger_file *file, const char *folder, char *why, size_t why_size);

/* Cuts the file after its first `size` bytes, durably. SL_ERROR_IO. */
int sl_ledger_file_cut(struct sl_ledger_file *file, uint64_t size);

/* One record more: durable when this says SL_OK. After SL_ERROR_NO_SPACE or SL_ERROR_IO the file ends where it did, or is cut there before the next append. */
int sl_ledger_file_append(struct sl_ledger_file *file, const uint8_t *record, size_t size);

void sl_ledger_file_close(struct sl_ledger_file *file);

#endif
