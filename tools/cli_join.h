/* SPDX-License-Identifier: MIT */
#ifndef CLI_JOIN_H
#define CLI_JOIN_H

#include <stdbool.h>
#include <stdint.h>

#include "config/invite.h"
#include "config/network.h"
#include "starling/config.h"
#include "starling/model.h"

/*
 * What an invite file hands over, checked. The first invite of a network that names an address is that of the first node: its transport key follows from the
 * invite's secret, so that later invites can lead to the node before it was ever started.
 */
struct cli_join {
    struct sl_invite_file file;
    struct sl_config config;                     /* network options, network_id and operator_key are set */
    struct sl_scaling scaling;                   /* standard: from the descriptor; divide:X: made from it; with the names of columns and classes */
    const struct sl_model *model;
    bool is_first;                               /* this invite makes the first node, at first_address */
    char first_address[SL_PEER_ADDRESS_MAX];
    uint8_t first_transport_secret[32];
};

/* The transport key pair of the first node, from its invite. */
void cli_first_node_keys(const struct sl_invite *invite, uint8_t out_public[32], uint8_t out_secret[32]);

/* Reads an invite file, or the plain descriptor of an open network, and checks descriptor, model and terms. Negative codes with a sentence in `why`
 * (CLI_WHY_SIZE); what is found out about the invite's terms is said as of now_s. */
int cli_join_read(const char *path, uint64_t now_s, struct cli_join *out, char *why);

/* Checks that the invite admits: issued by this operator, or by a member it admitted, and not expired. */
int cli_join_admit(const struct cli_join *join, const char *path, const uint8_t subject[32], uint64_t now_s, uint8_t *out, uint32_t *out_size, char *why);

void cli_join_finish(struct cli_join *join);

/* divide:X as offsets and factors, so that there is one way to scale; other scalings stay. SL_ERROR_NO_MEMORY. */
int cli_scaling_fill(const struct sl_config *config, struct sl_scaling *scaling, char *why);

#endif
