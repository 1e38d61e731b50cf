/* SPDX-License-Identifier: MIT */
#ifndef SL_OVERLAY_DESCRIPTOR_H
#define SL_OVERLAY_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "starling/config.h"

/* What an identity said of itself in its newest ADVERT: what the peer view and the address book remember. */
struct sl_descriptor {
    uint8_t id[32], sign_public[32], transport_public[32];
    uint8_t certificate_hash[32];
    char address[SL_ADDRESS_MAX];            /* empty: cannot be dialled */
    char name[SL_NAME_MAX];
    uint64_t sequence;                       /* unix seconds when it was made; 0: never heard */
    uint64_t until_s;                        /* not to be believed after this */
    uint64_t expires_s;                      /* of the certificate; 0 unknown */
    uint8_t host_id[32];                     /* the member that invited it; zeros: the operator did, or unknown */
};

/* A numeric address, "192.0.2.7:7400" or "[2001:db8::7]:7400". IPv4 stands in its mapped IPv6 form. */
struct sl_address {
    uint8_t ip[16];
    uint16_t port;
};

/* False for anything else, also for port 0 and for the unspecified address. */
bool sl_address_parse(const char *text, struct sl_address *out);

/* Loopback, private, link-local and shared addresses: many nodes may have one network group there without being one person's. */
bool sl_address_is_local(const struct sl_address *address);

/* Loopback, link-local, multicast and reserved ones lead a node to itself or to whatever stands beside it: nothing that a stranger should make it dial. */
bool sl_address_is_of_one_machine(const struct sl_address *address);

/* The part of the network an identity lives in: /16 and /24 of IPv4, /32 and /48 of IPv6. It is easy to make many identities, but not to be in many groups. */
struct sl_group { uint64_t wide, narrow; };

/* All without an address to tell by are one group; with a local one, when `local_is_free`, every identity is a group of its own. */
struct sl_group sl_group_of(const char *address, const uint8_t id[32], bool local_is_free);

#endif
