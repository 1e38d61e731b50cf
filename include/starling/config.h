/* SPDX-License-Identifier: MIT */
#ifndef STARLING_CONFIG_H
#define STARLING_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "starling/aggregator.h"
#include "starling/model.h"
#include "starling/trace.h"

enum { SL_TEXT_MAX = 256, SL_NAME_MAX = 33, SL_PEER_ADDRESS_MAX = 48, SL_PEER_CERTIFICATE_MAX = 512 };

/* Who a node is. The secret signs messages; the transport secret stays with the driver. */
struct sl_identity {
    uint8_t id[32];                  /* BLAKE2b("id", network id, sign_public) */
    uint8_t sign_public[32];
    uint8_t sign_secret[64];
    uint8_t transport_public[32];
    char address[SL_PEER_ADDRESS_MAX];
    uint8_t certificate[SL_PEER_CERTIFICATE_MAX];      /* admission, encoded (src/wire/certificate.h) */
    uint32_t certificate_size;
};

/* A peer the operator vouches for: the prepared list of a closed network. */
struct sl_peer {
    uint8_t id[32];
    uint8_t sign_public[32];
    uint8_t transport_public[32];
    char address[SL_PEER_ADDRESS_MAX];
    uint8_t certificate[SL_PEER_CERTIFICATE_MAX];
    uint32_t certificate_size;
};

/* Where to knock first: a node of the network whose identity is not known yet. It must prove the transport key, and then itself by HELLO. */
struct sl_seed {
    uint8_t transport_public[32];
    char address[SL_PEER_ADDRESS_MAX];
};

#define SL_FIELD_UINT(field) uint32_t field;
#define SL_FIELD_REAL(field) double field;
#define SL_FIELD_DURATION(field) uint64_t field;
#define SL_FIELD_TEXT(field) char field[SL_TEXT_MAX];
#define SL_FIELD_CHOICE(field) char field[SL_TEXT_MAX];

struct sl_config {
#define X(scope, kind, field, key, initial, min, max, help) SL_FIELD_##kind(field)
#include "starling/options.def"
#undef X

    /* Not options: the program fills these in from files. Pointers stay with the program and must outlive the node. */
    uint8_t network_id[32];
    uint8_t operator_key[32];                    /* issues admission certificates */
    struct sl_shape shape;                       /* from `model`, model.features and model.classes */
    const struct sl_aggregator *aggregator;      /* from merge.rule */
    struct sl_rule_params rule;
    const struct sl_identity *identity;
    const struct sl_peer *peers;                 /* may hold the node itself, which is passed over */
    uint32_t n_peers;
    const struct sl_seed *seeds;                 /* asked for peers when fewer than needed are reachable, for ever */
    uint32_t n_seeds;
    const uint8_t *network_secret;               /* 32 bytes with network.admission private, else NULL */
    struct sl_trace_sink trace;
};

/* Sets every option to its default and the rest to zero. */
void sl_config_init(struct sl_config *config);

/* Sets one option from text. On failure nothing changes and `why` (may be NULL) gets a sentence that says what would be right.
 * SL_ERROR_NOT_FOUND (no such key), SL_ERROR_OUT_OF_RANGE, SL_ERROR_FORMAT. */
int sl_config_set(struct sl_config *config, const char *key, const char *value, char *why, size_t why_size);

/* The option's value as text that sl_config_set() reads back. SL_ERROR_NOT_FOUND. */
int sl_config_get(const struct sl_config *config, const char *key, char *out, size_t size);

/* Checks what single options cannot (phases in order, sizes that fit together). SL_ERROR_OUT_OF_RANGE with a sentence in `why`. */
int sl_config_check(const struct sl_config *config, char *why, size_t why_size);

#endif
