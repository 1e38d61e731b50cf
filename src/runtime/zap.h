/* SPDX-License-Identifier: MIT */
#ifndef SL_RUNTIME_ZAP_H
#define SL_RUNTIME_ZAP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The door keeper (ZeroMQ RFC 27): libzmq asks it about every CURVE handshake before a peer may send a byte. A network is joined by strangers with an
 * invite, so any key comes in but those that the node has banned; whether its holder belongs to the network is for HELLO to show. The key becomes the
 * connection's User-Id in z85, so that the sender of each frame is known. CZMQ's zauth is not used: when it lets any key in it sets no User-Id.
 */
#define SL_ZAP_DOMAIN "starling"

struct sl_zap {
    void *socket;
    bool (*is_banned)(const void *context, const uint8_t transport_key[32]);     /* NULL: nobody is */
    const void *context;
    uint64_t n_admitted, n_refused;
};

/* Must be open before any socket that it guards is bound. SL_ERROR_IO. */
int sl_zap_open(struct sl_zap *zap, void *zmq_context, bool (*is_banned)(const void *context, const uint8_t transport_key[32]), const void *context);

/* Answers what is waiting, a bounded number at a time. */
void sl_zap_turn(struct sl_zap *zap);

void sl_zap_close(struct sl_zap *zap);

#endif
