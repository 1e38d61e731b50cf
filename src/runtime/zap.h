/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_ZAP_H
#define SL_RUNTIME_ZAP_H

#include <stdint.h>

#include "starling/config.h"

/*
 * The door keeper (ZeroMQ RFC 27): libzmq asks it about every CURVE handshake before a peer may send a byte. Only keys on the prepared list come in,
 * and the key becomes the connection's User-Id in z85, so that the sender of each frame is known. CZMQ's zauth is not used: when it lets any key in it
 * sets no User-Id.
 */
#define SL_ZAP_DOMAIN "starling"

struct sl_zap {
    void *socket;
    const struct sl_peer *peers;     /* borrowed */
    uint32_t n_peers;
    uint64_t n_refused;
};

/* Must be open before any socket that it guards is bound. SL_ERROR_IO. */
int sl_zap_open(struct sl_zap *zap, void *context, const struct sl_peer *peers, uint32_t n_peers);

/* Answers what is waiting, a bounded number at a time. */
void sl_zap_turn(struct sl_zap *zap);

void sl_zap_close(struct sl_zap *zap);

#endif
