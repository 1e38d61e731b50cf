/* SPDX-License-Identifier: MIT */
#ifndef SL_CONFIG_NETWORK_H
#define SL_CONFIG_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "config/names.h"
#include "starling/config.h"

/*
 * The network descriptor: one text file that every node shares. It holds every NETWORK option, the operator's public key, for standard scaling one
 * offset and one factor per feature, and, where they are known, the names of the feature columns and of the classes. Its canonical form (every line
 * "key = value" in the order of options.def with the value as sl_config_get() prints it, then operator key, scaling numbers as %.9g and the names as
 * sl_names_join() writes them) gives the network's id. What is not there has no line.
 */
struct sl_scaling {
    uint32_t n_features;                     /* 0: no scaling; x' = (x - offset) * factor */
    float *offset, *factor;                  /* owned; free with sl_scaling_finish() */
    struct sl_names columns, classes;        /* what goes in and out, by name; each may be missing */
};

void sl_scaling_finish(struct sl_scaling *scaling);

/* BLAKE2b("network", canonical form). */
void sl_network_id(const struct sl_config *config, const struct sl_scaling *scaling, uint8_t out[32]);

/* Writes (temp, fsync, rename) and reads. Errors: SL_ERROR_IO, _NO_SPACE, _NOT_FOUND, _FORMAT, _OUT_OF_RANGE, with a sentence (file, line, what is
 * wrong, what would be right) in `why`. Reading sets the NETWORK options, operator_key and network_id of config. */
int sl_network_write(const char *path, const struct sl_config *config, const struct sl_scaling *scaling, char *why, size_t why_size);
int sl_network_read(const char *path, struct sl_config *config, struct sl_scaling *scaling, char *why, size_t why_size);

/* The same from `size` bytes in memory with a zero behind them (they are changed while being read); `name` stands for the path in sentences. */
int sl_network_parse(char *text, size_t size, const char *name, struct sl_config *config, struct sl_scaling *scaling, char *why, size_t why_size);

#endif
