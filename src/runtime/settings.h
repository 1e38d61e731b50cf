/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_SETTINGS_H
#define SL_RUNTIME_SETTINGS_H

#include <stddef.h>

#include "starling/config.h"

/*
 * node.conf: the NODE options in ZPL (ZeroMQ RFC 4), read by zconfig. "data.path = x" and a section "data" that holds "path = x" mean the same. Unknown
 * keys, options of the network and values out of range are refused with file and line.
 */

/* SL_ERROR_NOT_FOUND, _IO, _TOO_LARGE, _FORMAT, _OUT_OF_RANGE. */
int sl_settings_read(const char *path, struct sl_config *config, char *why, size_t why_size);

/* The same of `size` bytes with a zero behind them; `name` stands for the path in sentences. */
int sl_settings_parse(const char *text, size_t size, const char *name, struct sl_config *config, char *why, size_t why_size);

/* One "KEY=VALUE" from the command line. SL_ERROR_FORMAT, SL_ERROR_NOT_FOUND, SL_ERROR_OUT_OF_RANGE. */
int sl_settings_apply(const char *setting, struct sl_config *config, char *why, size_t why_size);

#endif
